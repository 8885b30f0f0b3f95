"""A scenario: the whole question, as a TOML file has it. Composes the types of the other rooms and runs nothing."""

from __future__ import annotations

import hashlib
import json
import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from . import effort
from .contracts.allocation import Allocation, GivenDoNothing
from .contracts.design import Design, mistakes_against, on_grid
from .contracts.search import Search
from .contracts.services import Service, mistakes_of_services
from .costs.chain import classes_of, unbalanced
from .costs.concentration import solved_variant
from .costs.families.base import Severity
from .costs.model import CostModel, Population, concentration_of
from .costs.model_file import ModelPopulation, from_model_file, years_from_model_file
from .costs.segment import GivenSeverity
from .costs.services import ServiceSplit, SplitLaw
from .costs.shocks import AnyShock, Correlations, mistakes_of
from .costs.years import Years
from .deprecated import renewed
from .errors import Contradiction, SimulatorError, SimulatorWarning, also, mistake, mistakes_in
from .paths import changed
from .stresses import Range, Stress
from .terms import DRAWS_VERSION, SCHEMA_VERSION, Array, Currency, Name, People, Positive, Term, names_differ, read_toml
from .thresholds import GivenThresholds, levels_of, percentiles_of
from .unusual import mistakes_of_amounts, unusual


def _ascending(raw: Any) -> Iterator[Any]:
    try:
        numbers = [float(number) for number in levels_of(raw)]
    except (TypeError, ValueError, OverflowError):
        return
    if any(math.isnan(number) for number in numbers):
        return
    if len(set(numbers)) < len(numbers):
        yield mistake("holds a number twice", "take the repeats out")
    elif numbers != sorted(numbers):
        yield mistake("is not in ascending order", "sort it")


class Simulation(Term):
    """How much is drawn, and at which points the answer is wanted."""

    replicates: Annotated[int, Field(strict=True, ge=2)] = 10_000
    """Synthetic populations, each for one contract year."""
    population_sizes: Annotated[tuple[People, ...], also(_ascending)] = ()
    """People, ascending; left out where the population has units."""
    thresholds: Annotated[GivenThresholds, also(_ascending)] = (math.inf,)
    """One patient's annual cost at which exclusion starts, ascending; inf = no exclusion. Or percentiles."""
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**63)] = 1
    sums: Literal["body", "single"] = "body"
    """How costs below the cut are drawn: "body", many of a segment by the law of their sum; "single", each."""
    cut: Positive | None = None
    """Cost before shocks above which patients are drawn one by one; follows from the thresholds where absent."""


def _no_central(raw: Any) -> Iterator[Any]:
    if isinstance(raw, dict) and "central" in raw:
        yield mistake("has a variant 'central', which is the scenario itself", "give it another name", value=None)


class Scenario(Term):
    """A question about capitation risk: who costs what, how many people, which exclusions."""

    schema_version: int = SCHEMA_VERSION
    """Version of the file's form."""
    title: Name
    currency: Currency = "GBP"
    """ISO 4217 code, three capitals: GBP, EUR, USD."""
    simulation: Simulation
    population: Annotated[
        Population, BeforeValidator(from_model_file, json_schema_input_type=Population | ModelPopulation)
    ]
    """Who is covered: segments as written here, or as a model file has them."""
    shocks: Annotated[tuple[AnyShock, ...], also(names_differ)] = ()
    """What hits everybody, or some segments, in a replicate at once."""
    shock_correlations: Correlations = ()
    """Which shocks tend to come in the same years; all others are independent."""
    years: Annotated[Years | None, BeforeValidator(years_from_model_file, json_schema_input_type=Years | None)] = None
    """Several years of partly the same people; one year where absent."""
    services: Annotated[tuple[Service, ...], also(names_differ), Field(exclude_if=lambda services: not services)] = ()
    """Into what patients' costs divide, who provides and funds it, and how it is paid."""
    service_split: Annotated[SplitLaw | None, Field(exclude_if=lambda law: law is None)] = None
    """How much patients' splits among services differ; without it all patients of a segment have the same."""
    designs: Annotated[tuple[Design, ...], also(names_differ)] = ()
    """Who pays what: risk shares to be compared."""
    allocations: tuple[Allocation, ...] = ()
    """What funders have; one without an allocation has its part of the expected cost before a design's savings."""
    do_nothing: GivenDoNothing | None = None
    """Growth of cost without the contract; designs of a later contract year are settled on costs that have grown."""
    stresses: Annotated[tuple[Stress, ...], also(names_differ)] = ()
    """Stresses to consider before signing."""
    ranges: Annotated[tuple[Range, ...], also(names_differ)] = ()
    """Uncertain inputs and how far they may lie off, for the question which of them matters."""
    variants: Annotated[dict[Name, dict[str, GivenSeverity]], also(_no_central)] = Field(default_factory=dict)
    """Other severities of some segments, by a name such as light or heavy, then by segment; no part of the draws."""
    search: Search | None = None
    """Which figures of a design may move, and within which limits: what `propose` asks; no part of the draws."""

    @model_validator(mode="before")
    @classmethod
    def _variants_solved(cls, raw: Any) -> Any:
        """What variants leave open meets the concentration of the population too."""
        population, variants = (raw.get(key) if isinstance(raw, dict) else None for key in ("population", "variants"))
        if not isinstance(population, dict) or not isinstance(variants, dict) or not population.get("calibrate"):
            return raw
        given = variants.items()
        return raw | {"variants": {n: solved_variant(population, n, own, concentration_of) for n, own in given}}

    @field_validator("schema_version")
    @classmethod
    def _known_version(cls, version: int) -> int:
        if version != SCHEMA_VERSION:
            raise mistake(f"must be {SCHEMA_VERSION}", "use the version of the program that this file was written for")
        return version

    def _contradictions(self) -> Iterator[Contradiction]:
        """Parts that are sound alone and do not fit together."""
        yield from self._of_sizes()
        yield from self._of_years()
        yield from self._of_services()
        yield from self._of_allocations()
        names = {segment.name for segment in self.population.segments}
        for name, given in self.variants.items():
            for stranger in sorted(set(given) - names):
                at = ("variants", name, stranger)
                yield at, mistake("is a segment that does not exist", "use the names of the segments")
        for error in mistakes_against(self.designs, [s.name for s in self.population.segments], self.threshold_labels):
            yield ("designs",), error
        if self.search is not None:
            asked = self.search.contradictions_with(self.designs, levels_of(self.simulation.thresholds))
            yield from ((("search", *at), error) for at, error in asked)
        of_shocks = list(mistakes_of(self.shocks, self.shock_correlations, self.population.names))
        if of_shocks:
            yield from of_shocks
            return
        try:
            amounts = self.threshold_amounts
        except PydanticCustomError as error:
            yield ("simulation", "thresholds"), error
            return
        yield from self._of_variance(amounts)
        for found in mistakes_of_amounts(self):
            yield ("designs",), found
        yield from self._of_cut(amounts.min(axis=1))

    def _of_sizes(self) -> Iterator[Contradiction]:
        units, sizes = self.population.units, self.simulation.population_sizes
        at = ("simulation", "population_sizes")
        if not units and not sizes:
            yield at, mistake("is missing", "say how many people, or give [[population.units]]")
        if units and sizes not in ((), (sum(unit.members for unit in units),)):
            yield at, mistake("does not go with [[population.units]], which have their own", "omit it")

    def _of_allocations(self) -> Iterator[Contradiction]:
        parties = {name for design in self.designs for name in design.funders}
        funders = [allocation.funder for allocation in self.allocations]
        for place, funder in enumerate(funders):
            if self.designs and funder not in parties:
                bound = f"is of {funder!r}, which funds no design"
                yield ("allocations", place), mistake(bound, f"choose from {', '.join(sorted(parties))}")
            if funder in funders[:place]:
                yield ("allocations", place), mistake(f"is the second of {funder!r}", "give one for each funder")
        if self.do_nothing is not None and self.years is not None:
            yield ("do_nothing",), mistake("is given beside [years], whose trend is the growth of cost", "omit it")

    def _of_years(self) -> Iterator[Contradiction]:
        cohort = self.population.cohort
        if self.years is None:
            if self.population.membership == "held":
                yield ("population", "membership"), mistake("needs [years]", 'give them, or "fixed" or "sampled"')
            if cohort is not None:
                yield ("population", "cohort"), mistake("needs [years]", "give them, or take it out", value=None)
            return
        if cohort is not None and cohort.chosen.in_year not in self.years.years:
            at = ("population", "cohort", "chosen", "in_year")
            yield at, mistake("is none of the years", f"choose from {self.years.years[0]} to {self.years.contract}")
        segments = [segment.name for segment in self.population.segments]
        rare = [service.name for service in self.population.rare_services]
        found = list(self.years.mistakes_of(segments, rare))
        if not found and (moved := unbalanced(self.population, self.years)) is not None:
            found = [moved]
        given = getattr(self.years.persistence, "strengths", ())
        if given and len(given) != self.population.n_sets:
            mend = "give one for each parameter set, or leave them out"
            bound = f"has {len(given)} values, and the population {self.population.n_sets} parameter sets"
            found.append((("persistence", "strengths"), mistake(bound, mend, value=None)))
        for place, error in found:
            yield ("years", *place), error
        if not found:
            try:
                classes_of(self.population, self.years)
            except SimulatorError as error:
                yield ("years", "persistence"), mistake(error.bound, error.mend, value=None)

    def _of_services(self) -> Iterator[Contradiction]:
        if self.split is None:
            if self.service_split is not None:
                yield ("service_split",), mistake("needs [[services]]", "give them, or omit it", value=None)
        else:
            rare = [service.name for service in self.population.rare_services if service.in_scope]
            found = self.split.mistakes_of([segment.name for segment in self.population.segments], rare)
            yield from ((("services", *place), error) for place, error in found)
        for place, design in enumerate(self.designs):
            for error in mistakes_of_services(self.services, design.services, [one.name for one in design.parties]):
                yield ("designs", place, "services"), error

    @cached_property
    def split(self) -> ServiceSplit | None:
        """How costs divide among services; None where they do not."""
        if not self.services:
            return None
        law = SplitLaw() if self.service_split is None else self.service_split
        return ServiceSplit(services=tuple(service.as_share for service in self.services), law=law)

    def _of_variance(self, amounts: Array) -> Iterator[Contradiction]:
        segments = len(self.population.segments)
        lowest = np.min([[s.severity.tail_index for s in truth.streams] for truth in self.cost_model.truths], axis=0)
        for place, (row, stream, index) in enumerate(zip(amounts, self.cost_model.streams, lowest, strict=True)):
            if index > 2 or not (math.isinf(row[-1]) or not stream.in_scope):
                continue
            known = "" if index == stream.severity.tail_index else f" of {stream.name!r} in one of the parameter sets"
            bound = f"has an infinite variance (tail index {index:g}{known}) beside a threshold that excludes nothing"
            found = mistake(bound, "make every threshold finite, or the tail index larger than 2")
            whose = (
                ("segments", place, "severity") if stream.is_segment else ("rare_services", place - segments, "price")
            )
            yield ("population", *whose), found

    def _of_cut(self, lowest: Array) -> Iterator[Contradiction]:
        cut, largest = self.simulation.cut, float((lowest / self.cost_model.largest_factors).min())
        if cut is not None and cut > largest:
            bound = "lies above the lowest threshold, less the largest shock"
            yield ("simulation", "cut"), mistake(bound, f"give at most {largest:g}", value=cut)

    @cached_property
    def cost_model(self) -> CostModel:
        """What the engine draws from; its `truths` are the models under each parameter set."""
        parts = {"shocks": self.shocks, "shock_correlations": self.shock_correlations, "years": self.years}
        return CostModel(population=self.population, split=self.split, **parts)

    @cached_property
    def truths(self) -> tuple[Scenario, ...]:
        """The scenario under each parameter set, with the thresholds of the whole; itself alone where it has none."""
        if not self.population.n_sets:
            return (self,)
        models = self.cost_model.truths
        found = tuple(self.model_copy(update={"population": m.population, "years": m.years}) for m in models)
        for truth in found:
            truth.__dict__.update(threshold_amounts=self.threshold_amounts, cuts=self.cuts)
        return found

    @cached_property
    def threshold_amounts(self) -> Array:
        """Money at which exclusion starts, shape (stream, threshold): of the central figures, whatever the set."""
        return self.cost_model.threshold_amounts(self.simulation.thresholds)

    @cached_property
    def amounts(self) -> dict[float, Array]:
        """Money of each stream by the threshold's label; no exclusion is always there."""
        nobody = {math.inf: np.full(self.threshold_amounts.shape[0], math.inf)}
        return nobody | dict(zip(self.threshold_labels.tolist(), self.threshold_amounts.T, strict=True))

    @property
    def threshold_labels(self) -> Array:
        """The threshold coordinate: money, or percentiles."""
        given = self.simulation.thresholds
        return np.asarray(levels_of(given), float)

    @property
    def population_sizes(self) -> tuple[int, ...]:
        """Sizes of the populations, ascending; the total where there are units."""
        units = self.population.units
        return (sum(unit.members for unit in units),) if units else self.simulation.population_sizes

    @cached_property
    def cuts(self) -> Array:
        """Cost before shocks above which a patient is drawn one by one, shape (stream,).

        Any that does not exceed the lowest threshold over the largest shock is exact; parameter sets share that of the
        central figures.
        """
        streams = self.cost_model.streams
        if self.simulation.cut is not None:
            return np.full(len(streams), self.simulation.cut)
        common = np.array([_common_cost(stream.severity) for stream in streams])
        cuts = np.minimum(self.threshold_amounts.min(axis=1), common) / self.cost_model.largest_factors
        return np.minimum(cuts, self._dear_cost)

    @property
    def _dear_cost(self) -> float:
        """Cost from which services have other shares: nobody above it is drawn by a sum."""
        known = self.service_split is not None and self.service_split.above is not None
        return self.service_split.above if known else math.inf  # type: ignore[union-attr, return-value]

    @property
    def first_year(self) -> Scenario:
        """Contract year 1 alone: its costs have the laws that all of [years] leave them; itself where it has none."""
        if self.years is None:
            return self
        membership = "fixed" if self.population.membership == "held" else self.population.membership
        population = self.population.model_copy(update={"membership": membership, "cohort": None})
        alone = tuple(design.model_copy(update={"contract": None}) for design in self.designs)
        return self.model_copy(update={"population": population, "years": None, "designs": alone})

    @cached_property
    def amounts_by_year(self) -> Array:
        """Money at which exclusion starts in each of [years], shape (year, stream, threshold).

        Amounts are those of year 1, indexed; percentiles are of each year's own costs.
        """
        model, trend = self.cost_model.by_year, self.trend_by_year
        percentiles = percentiles_of(self.simulation.thresholds)
        if percentiles is None or percentiles.amounts is not None:
            return np.asarray(self.threshold_amounts * model.index[:, None, None])
        if percentiles.by == "population" and np.ptp(trend, axis=1).max() > 0:
            bound = "are percentiles of everybody beside a trend that differs between segments"
            raise SimulatorError("simulation.thresholds", None, bound, 'give amounts, or by = "segment"')
        return np.asarray(self.threshold_amounts * trend[:, :, None])

    def amounts_in(self, year: int) -> dict[float, Array]:
        """`amounts` in one of [years], of each of its states and rare services."""
        model = self.cost_model.by_year
        rows = np.repeat(self.amounts_by_year[model.years.index(year)], model.repeats, axis=0)
        nobody = {math.inf: np.full(len(rows), math.inf)}
        return nobody | dict(zip(self.threshold_labels.tolist(), rows.T, strict=True))

    @property
    def trend_by_year(self) -> Array:
        """Factor on cost in each of [years], shape (year, stream)."""
        trend, classes = self.cost_model.by_year.trend, self.cost_model.by_year.n_classes
        states = classes * len(self.population.segments)
        return np.hstack([trend[:, :states:classes], trend[:, states:]])

    @cached_property
    def cuts_by_year(self) -> Array:
        """`cuts` of each year's states and rare services, before its trend and shocks; shape (year, stream)."""
        model, joint = self.cost_model.by_year, self.cost_model.joint_shocks
        counts = model.repeats
        lowest = np.repeat(self.amounts_by_year.min(axis=2) / self.trend_by_year, counts, axis=1)
        largest = np.repeat([joint.largest_in(year) for year in model.years], counts, axis=1)
        if self.simulation.cut is not None:
            return np.minimum(self.simulation.cut, lowest / largest)
        lowest = np.minimum(lowest, self._dear_cost * largest)
        return np.minimum(lowest, [_common_cost(stream.severity) for stream in model.streams]) / largest

    @cached_property
    def scenario_id(self) -> str:
        """SHA-256 of all that affects the draws: cost model, shocks, seed, cut, sums and version of the draws.

        Not of replicates, sizes, thresholds or title: runs that differ in these alone share their draws.
        """
        model: dict[str, Any] = self.cost_model.model_dump(mode="json", exclude_none=True)
        for extended in ("contract", "before"):  # years at either end leave what was drawn
            model.get("years", {}).pop(extended, None)
        drawn = {
            "model": model,
            "seed": self.simulation.seed,
            "cut": [cut.hex() for cut in self.cuts.tolist()],
        }
        if DRAWS_VERSION > 1:  # files of version 1 were written before it had a name, and keep their ids
            drawn["draws_version"] = DRAWS_VERSION
        if self.simulation.sums != "body":
            drawn["sums"] = self.simulation.sums
        return hashlib.sha256(json.dumps(drawn, sort_keys=True).encode()).hexdigest()

    def with_simulation(self, **changes: Any) -> Scenario:
        """The scenario with other figures under [simulation], checked afresh.

        Examples
        --------
        >>> load("configs/east_sussex.toml").with_simulation(replicates=500, seed=2).simulation.replicates
        500
        """
        return scenario_from(self.model_dump() | {"simulation": self.simulation.model_dump() | changes})

    def variant(self, name: str, source: str = "") -> Scenario:
        """The scenario with the severities of one of its `variants`, without variants; "central" is itself.

        Mistakes are told as `source: variants.name: …`, where a file is its source.

        Raises
        ------
        SimulatorError
            Where there is no such variant, or it does not go with the rest: an infinite variance beside a threshold
            that excludes nothing, parameter sets of another family.

        Examples
        --------
        >>> light = load("configs/east_sussex.toml").variant("light")
        >>> light.population.segments[0].severity.family, light.variants
        ('gamma', {})
        """
        if name != "central" and name not in self.variants:
            known = ", ".join(["central", *self.variants])
            raise SimulatorError("variant", name, "is not one of the scenario", f"choose one of: {known}")
        raw = self.model_dump()
        severities = raw.pop("variants").get(name, {})
        for segment in raw["population"]["segments"]:
            segment["severity"] = severities.get(segment["name"], segment["severity"])
        return scenario_from(raw, f"{source and source + ': '}variants.{name}")

    def with_(self, path: str | Mapping[str, Any], value: Any = None) -> Scenario:
        """The scenario with another value at a path, checked afresh; all other figures stay as they were given.

        Parameters
        ----------
        path : str or mapping
            Keys with dots between them, items of lists in brackets, by name, or by number from 0 where they have none.
            A mapping of paths to values changes several at once, as shares need that add up to 1.
        value : object
            None takes out what need not be there.

        Raises
        ------
        SimulatorError
            Where a path leads nowhere, or the scenario cannot have this value.
        """
        return scenario_from(changed(self, {path: value} if isinstance(path, str) else path))

    def resized(self, sizes: Sequence[int], **changes: Any) -> Scenario:
        """The scenario with other population sizes, and without designs, which may be bound to thresholds.

        Units stay where it is all of their people that are asked for. Any other number of people has the case mix of
        all units together.

        Parameters
        ----------
        sizes : sequence of int
            People, ascending.
        **changes
            Other figures under [simulation].

        Examples
        --------
        >>> load("configs/east_sussex.toml").resized([4_000]).population_sizes
        (4000,)
        """
        keeps_units = self.population.units and tuple(sizes) == self.population_sizes
        population = self.population if keeps_units else self.population.as_one
        simulation = self.simulation.model_dump() | {"population_sizes": tuple(sizes)} | changes
        raw = {"population": population.model_dump(), "simulation": simulation, "designs": (), "search": None}
        return scenario_from(self.model_dump() | raw)

    def select_designs(self, designs: Sequence[Design] = ()) -> tuple[Design, ...]:
        """The designs that are asked about, each with a threshold of its own: those given, or those of the scenario.

        Of the scenario's, those that sweep the grid are left out beside others. On a grid of one point there is
        nothing to sweep: a rule stands at that point.

        Raises
        ------
        SimulatorError
            Where there are none, or a design that was given has no threshold of its own.
        """
        asked = tuple(designs) or self.designs
        if not asked:
            raise SimulatorError("designs", None, "are none", "give designs, or add [[designs]] to the scenario")
        placed = on_grid(asked, self.threshold_labels)
        own = placed if designs else tuple(design for design in placed if design.exclusion.fixed_thresholds())
        for design in own or placed:
            if not design.exclusion.fixed_thresholds():
                bound = "has no threshold of its own"
                raise SimulatorError(f"design {design.name!r}: exclusion", None, bound, "give it `at`")
        return own

    def canonical_json(self) -> str:
        """The scenario as JSON with sorted keys; infinity is the text "inf"."""
        return json.dumps(self.model_dump(mode="json", exclude_none=True), sort_keys=True, ensure_ascii=False)


def _common_cost(severity: Severity) -> float:
    """A cost that about one user in a hundred exceeds; of observed costs a round figure, which tells of no patient."""
    cost = float(severity.isf(0.01))
    return float(f"{cost:.0e}") if severity.has_atoms else cost


def load(path: str | os.PathLike[str]) -> Scenario:
    """Read a scenario from a TOML file.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Scenario

    Raises
    ------
    SimulatorError
        Listing every mistake of the file, each with its key, value, bound and mend.

    Warns
    -----
    SimulatorWarning
        Where a figure is allowed and seldom meant: a budget of a tenth or of ten times the expected cost, a cv above
        1,000, a stress beyond −90% or +900%.

    Examples
    --------
    >>> load("configs/east_sussex.toml").currency
    'GBP'
    """
    source = Path(path)
    raw = read_toml(source)
    _expect(raw)
    scenario = scenario_from(raw, str(source), source.parent)
    for name in scenario.variants:
        scenario.variant(name, str(source))
    for sentence in unusual(scenario):
        warnings.warn(f"{source}: {sentence}", SimulatorWarning, stacklevel=2)
    return scenario


def _expect(raw: dict[str, Any]) -> None:
    """Say what reading takes, where there are many segments."""
    found = [(raw.get(part) or {}) for part in ("population", "simulation")]
    segments, thresholds = (
        len(part[name]) if isinstance(part, dict) and isinstance(part.get(name), list) else 0
        for part, name in zip(found, ("segments", "thresholds"), strict=True)
    )
    work = effort.reading(segments, thresholds)
    effort.expect("reading the scenario", work, "population.segments", segments, "merge segments")


def scenario_from(raw: dict[str, Any], source: str = "scenario", folder: Path | None = None) -> Scenario:
    """A scenario from a parsed file; mistakes are told as `source: key.path: …`.

    A model file that it names is looked for from `folder` on, or from where the program runs.
    """
    raw = renewed(raw)
    try:
        return Scenario.model_validate(raw, context={"folder": folder or Path()})
    except ValidationError as error:
        raise mistakes_in(error, raw, source, known=_key_names()) from None


def json_schema() -> dict[str, Any]:
    """The JSON Schema of scenario files."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_any_of(Scenario.model_json_schema())}


def _any_of(part: Any) -> Any:
    """Unions without a tag may overlap, as a pareto and the pareto tail of a splice do: one match or more."""
    if isinstance(part, list):
        return [_any_of(item) for item in part]
    if not isinstance(part, dict):
        return part
    loose = "oneOf" in part and "discriminator" not in part
    return {"anyOf" if loose and key == "oneOf" else key: _any_of(value) for key, value in part.items()}


def _key_names() -> set[str]:
    schema = Scenario.model_json_schema()
    parts = [schema, *schema["$defs"].values()]
    return {name for part in parts for name in part.get("properties", {})}
