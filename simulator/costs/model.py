"""The cost model: who costs what. Segments, membership, units, rare services, common shocks, and nothing of draws."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from ..errors import SimulatorError, also, mistake, mistakes_in
from ..terms import Name, People, Term, names_differ
from ..thresholds import Thresholds, levels_of, percentiles_of
from .calibrate import PopulationCalibration
from .chain import YearlyModel
from .concentration import solved
from .parameter_draws import ParameterSets, check_names, count, segments_of_sets
from .quadrature import Array
from .segment import RareService, Segment, person_isf, person_sf
from .segment import Stream as Stream
from .services import ServiceSplit
from .shocks import AnyShock, Correlations, JointShocks, mistakes_of
from .years import Cohort, Years

_ALMOST_ONE = 1 - 1e-12
_NOBODY = 1e-15  # a share that seats nobody: of a segment that no unit has


class Unit(Term):
    """One of several disjoint populations that are drawn together: a district, a practice, a cohort."""

    name: Name
    members: People
    """People in the unit, for one year."""
    shares: dict[str, Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]] | None = None
    """Share of each segment in this unit; those that the segments give where absent."""


def _shares_add_up(raw: Any) -> Iterator[Any]:
    yield from names_differ(raw)
    try:
        total = math.fsum(float(part["share"] if isinstance(part, dict) else part.share) for part in raw)
    except (TypeError, ValueError, OverflowError, KeyError, AttributeError):
        return
    if len(raw) and not abs(total - 1) <= 1e-6:
        yield mistake(f"has shares that add up to {total:.8g}, not 1", "make the shares add up to 1")


class Population(Term):
    """Who is covered."""

    membership: Literal["fixed", "sampled", "held"] = "fixed"
    """"fixed": every population has the same case mix; "sampled": the case mix is drawn too; "held": over [years],
    whoever leaves a segment is replaced by another of it."""
    segments: Annotated[tuple[Segment, ...], Field(min_length=1), also(_shares_add_up)]
    units: Annotated[tuple[Unit, ...], also(names_differ)] = ()
    """Disjoint populations drawn together, in place of a list of sizes."""
    rare_services: Annotated[tuple[RareService, ...], also(names_differ)] = ()
    parameter_sets: Annotated[tuple[ParameterSets, ...], Field(min_length=1)] | None = None
    """What the segments' parameters may be, by segment; replicate r is drawn under set r mod the number of sets."""

    cohort: Cohort | None = None
    """People who are chosen by the cost of one of the [years], and followed."""

    calibrate: PopulationCalibration | None = None
    """One concentration of all cost, met on reading by the cv of all severities that give a family and a mean alone."""

    @model_validator(mode="before")
    @classmethod
    def _calibrated(cls, raw: Any) -> Any:
        if not isinstance(raw, dict) or raw.get("calibrate") is None:
            return raw
        return solved(raw, concentration_of)

    @property
    def names(self) -> list[str]:
        """Names of the segments, then of the rare services."""
        return [segment.name for segment in self.segments] + [service.name for service in self.rare_services]

    @model_validator(mode="after")
    def _units_know_their_segments(self) -> Population:
        names = {segment.name for segment in self.segments}
        for unit in self.units:
            if unit.shares is None:
                continue
            strangers = sorted(set(unit.shares) - names)
            if strangers:
                bound = f"has a unit {unit.name!r} with a segment {strangers[0]!r} that does not exist"
                raise mistake(bound, "use the names of the segments")
            total = math.fsum(unit.shares.values())
            if abs(total - 1) > 1e-6:
                bound = f"has a unit {unit.name!r} whose shares add up to {total:.8g}, not 1"
                raise mistake(bound, "make them add up to 1")
        return self

    @model_validator(mode="after")
    def _sets_fit(self) -> Population:
        if self.parameter_sets is not None:
            check_names(self.parameter_sets, self.segments)
            segments_of_sets(self.segments, self.parameter_sets)
        return self

    @cached_property
    def shares(self) -> Array:
        """Shares of the segments among all who are covered, adding up to 1; over all units where these have own."""
        if all(unit.shares is None for unit in self.units):
            return self._given_shares
        members = np.array([unit.members for unit in self.units], float)
        return np.asarray(members @ np.stack([self.shares_of(unit) for unit in self.units]) / members.sum())

    def shares_of(self, unit: Unit) -> Array:
        """Shares of the segments in one unit."""
        if unit.shares is None:
            return self._given_shares
        shares = np.array([unit.shares.get(segment.name, 0.0) for segment in self.segments])
        return shares / shares.sum()

    @cached_property
    def _given_shares(self) -> Array:
        """The segments' own shares, scaled to add up to 1 exactly."""
        shares = np.array([segment.share for segment in self.segments])
        return shares / shares.sum()

    @property
    def as_one(self) -> Population:
        """Everybody as one population without units, with the case mix of all units together."""
        if all(unit.shares is None for unit in self.units):
            return self.model_copy(update={"units": ()})
        return self._with_shares(self.shares)

    def of_unit(self, unit: Unit) -> Population:
        """One unit as a population without units."""
        return self._with_shares(self.shares_of(unit))

    def _with_shares(self, shares: Array) -> Population:
        segments = tuple(
            segment.model_copy(update={"share": max(float(share), _NOBODY)})
            for segment, share in zip(self.segments, shares, strict=True)
        )
        return self.model_copy(update={"segments": segments, "units": ()})

    @property
    def n_sets(self) -> int:
        """Parameter sets; 0 where parameters are taken as known."""
        return count(self.parameter_sets)

    @cached_property
    def truths(self) -> tuple[Population, ...]:
        """The population under each parameter set; itself alone where parameters are taken as known."""
        if self.parameter_sets is None:
            return (self,)
        drawn = segments_of_sets(self.segments, self.parameter_sets)
        return tuple(self.model_copy(update={"segments": one, "parameter_sets": None}) for one in drawn)


class CostModel(Term):
    """Everything that affects what patients cost: what the engine draws from."""

    population: Population
    shocks: Annotated[tuple[AnyShock, ...], also(names_differ)] = ()
    shock_correlations: Correlations = ()
    years: Years | None = None
    split: ServiceSplit | None = None
    """How costs divide among services."""

    @model_validator(mode="after")
    def _shocks_fit(self) -> CostModel:
        for _, error in mistakes_of(self.shocks, self.shock_correlations, self.population.names):
            raise error
        return self

    @cached_property
    def truths(self) -> tuple[CostModel, ...]:
        """The model under each parameter set; itself alone where parameters are taken as known."""
        if self.population.parameter_sets is None:
            return (self,)
        years = [self.years and self.years.in_set(b) for b in range(self.population.n_sets)]
        return tuple(
            self.model_copy(update={"population": truth, "years": own})
            for truth, own in zip(self.population.truths, years, strict=True)
        )

    @property
    def sampled(self) -> bool:
        """Whether the case mix is drawn."""
        return self.population.membership == "sampled"

    @property
    def shares(self) -> Array:
        """Shares of the segments among all who are covered, adding up to 1."""
        return self.population.shares

    @property
    def as_one(self) -> CostModel:
        """The same people without units, so that any number of them may be asked about."""
        return self.model_copy(update={"population": self.population.as_one})

    @cached_property
    def streams(self) -> tuple[Stream, ...]:
        """Segments first, then rare services."""
        people = [Stream(s.name, True, True, s.p_user, s.users_severity) for s in self.population.segments]
        services = self.population.rare_services
        rare = [Stream(r.name, False, r.in_scope, r.rate_per_100k / 100_000, r.price) for r in services]
        return (*people, *rare)

    @cached_property
    def by_year(self) -> YearlyModel:
        """The classes of people, and how a place on the list goes on from year to year."""
        if self.years is None:
            raise SimulatorError("years", None, "are not given", "add [years] to the scenario")
        return YearlyModel.of(self.population, self.years)

    @cached_property
    def joint_shocks(self) -> JointShocks:
        """The shocks, and which stream each hits."""
        return JointShocks.of(self.shocks, self.shock_correlations, self.population.names)

    @property
    def largest_factors(self) -> Array:
        """The largest product of shocks that their laws allow, shape (stream,)."""
        return self.joint_shocks.largest

    def unit_shares(self, unit: Unit) -> Array:
        """Shares of the segments in one unit."""
        return self.population.shares_of(unit)

    @property
    def unit_heads(self) -> NDArray[np.int64]:
        """People of each unit by segment, shape (unit, segment)."""
        return np.stack([head_counts(unit.members, self.unit_shares(unit)) for unit in self.population.units])

    @property
    def has_own_shocks(self) -> bool:
        """Whether units have shocks of their own, so that those of two units differ."""
        return len(self.population.units) > 1 and bool(self.joint_shocks.per_unit.any())

    def case_mixes(self, heads: NDArray[np.int64]) -> list[tuple[Array, float]]:
        """Where the case mix is drawn: shares of the segments, and how many people are drawn by them."""
        units = self.population.units
        if all(unit.shares is None for unit in units):
            return [(self.shares, float(heads.sum()))]
        alone = [unit for unit in units if np.array_equal(head_counts(unit.members, self.unit_shares(unit)), heads)]
        return [(self.unit_shares(unit), float(unit.members)) for unit in alone[:1] or units]

    def threshold_amounts(self, thresholds: Thresholds) -> Array:
        """Money at which exclusion starts; shape (stream, threshold)."""
        levels, percentiles = np.asarray(levels_of(thresholds), float), percentiles_of(thresholds)
        if percentiles is None:
            return np.tile(levels, (len(self.streams), 1))
        if percentiles.amounts is not None:
            return self._agreed_amounts(np.asarray(percentiles.amounts, float))
        if percentiles.by == "population":
            return np.tile(self._population_quantile(levels), (len(self.streams), 1))
        return np.stack([_person_quantile(stream, levels) for stream in self.streams])

    def _agreed_amounts(self, rows: Array) -> Array:
        """Amounts of every stream, from one row for all or one for each segment."""
        if rows.shape[0] == 1:
            return np.repeat(rows, len(self.streams), axis=0)
        if rows.shape[0] != self.shares.size:
            bound = f"has {rows.shape[0]} rows of amounts for {self.shares.size} segments"
            raise mistake(bound, "give one row, or one for each")
        for stream in self.streams[self.shares.size :]:
            _refuse_by_segment(stream)
        return np.vstack([rows, np.full((len(self.streams) - rows.shape[0], rows.shape[1]), np.inf)])

    def person_sf(self, cost: float) -> float:
        """Chance that a person of the whole population costs more, before shocks and rare services."""
        return person_sf(self.population.segments, self.shares, cost)

    def person_isf(self, survival: float) -> float:
        """The smallest annual cost that a person exceeds with at most this chance."""
        return person_isf(self.population.segments, self.shares, survival)

    def top_share(self, q: float) -> float:
        """Share of cost of the costliest q of people, before shocks and rare services."""
        cost, people = self.person_isf(q), self.streams[: self.shares.size]
        rates, moments = np.array([s.rate for s in people]), [s.severity.moments for s in people]
        mean = float(self.shares @ (rates * [m.raw[1] for m in moments]))
        # people who cost exactly this much are counted as far as they are needed
        level = cost * (q - self.person_sf(cost)) if cost > 0 else 0.0
        return (float((rates * [m.above(cost)[1] for m in moments]) @ self.shares) + level) / mean

    def _population_quantile(self, levels: Array) -> Array:
        _refuse_no_cost(levels, self.person_sf(0.0), "people")
        return np.array([math.inf if level == 1 else self.person_isf(1 - level) for level in levels])


def concentration_of(population: Mapping[str, Any], q: float) -> float:
    """Share of cost of the costliest q of people in a population that is given as in a file."""
    return CostModel(population=Population.model_validate(population)).top_share(q)


def calibrate_population(population: Mapping[str, Any], *, top_share: Mapping[float, float]) -> Population:
    """The population with the one coefficient of variation of users at which the whole has this concentration.

    Parameters
    ----------
    population : mapping
        As [population] in a scenario file. Severities of a family and the mean of users alone, or spliced with such a
        body, are solved for. The mean beside a tail is that of users with the tail.
    top_share : mapping of float to float
        Share of all cost of the costliest share of all people, fractions, one target: {0.05: 0.52}. Outside the range
        that these families and means can have, it is refused.

    Examples
    --------
    >>> young = {"name": "young", "share": 0.8, "severity": {"family": "lognormal", "mean": 500.0}}
    >>> old = {"name": "old", "share": 0.2, "severity": {"family": "lognormal", "mean": 4_000.0}}
    >>> people = calibrate_population({"segments": [young, old]}, top_share={0.05: 0.52})
    >>> [round(segment.severity.cv, 3) for segment in people.segments]
    [2.209, 2.209]
    """
    raw = {**population, "calibrate": {"top_share": dict(top_share)}}
    try:
        return Population.model_validate(raw)
    except ValidationError as error:
        raise mistakes_in(error, raw, "population") from None


def _refuse_by_segment(stream: Stream) -> None:
    if stream.in_scope and not stream.is_segment:
        bound = "cannot be percentiles by segment beside a rare service in scope"
        raise mistake(bound, 'give amounts, or by = "population"')


def _refuse_no_cost(levels: Array, users: float, people: str) -> None:
    for level in levels:
        if level < 1 and 1 - level >= users * _ALMOST_ONE:
            bound = f"has a percentile {level:g} at which {people} have no cost ({1 - users:.1%} have none)"
            raise mistake(bound, "give a higher percentile")


def _person_quantile(stream: Stream, levels: Array) -> Array:
    if not stream.in_scope:
        return np.full(levels.size, np.inf)
    _refuse_by_segment(stream)
    _refuse_no_cost(levels, stream.rate, f"people of {stream.name!r}")
    survival = np.minimum((1 - levels) / stream.rate, 1.0)
    return np.where(levels == 1, np.inf, stream.severity.isf(np.where(levels == 1, 0.5, survival)))


def head_counts(n: int, shares: Array) -> NDArray[np.int64]:
    """People of each segment among n, by the divisor method of Sainte-Laguë: no segment shrinks as n grows.

    Of shape (segment,).
    """
    # whoever is due at a divisor that surely seats fewer than n is seated at once, the rest one by one
    counts = np.floor(shares * max(n - shares.size, 0) + 0.5).astype(np.int64)
    with np.errstate(divide="ignore"):
        for _ in range(n - int(counts.sum())):
            counts[np.argmin((counts + 0.5) / shares)] += 1
    return counts
