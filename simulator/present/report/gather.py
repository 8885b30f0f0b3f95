"""Everything that a report tells, asked of the analysis once: no figure of a report comes from anywhere else."""

import json
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ... import effort
from ...analysis.answer import headline
from ...analysis.designs.exact_comparison import with_exact
from ...analysis.designs.over_years import over_years
from ...analysis.designs.propose import propose
from ...analysis.size.grid import minimum_on_grid
from ...analysis.size.places import places
from ...analysis.statistics.describe import describe
from ...analysis.statistics.pooled import pool_years
from ...analysis.statistics.self_check import exact_moments
from ...analysis.statistics.summary import MARGINS, summarise
from ...analysis.stress.stress import stress
from ...analysis.years import persistence
from ...contracts.design import Design, designs_from, with_reference
from ...contracts.exclusion import Cap, ExclusionRule
from ...errors import SimulatorError
from ...ledger import by_unit, draws_of
from ...ledger.variables import kind_of
from ...runs import scenario_of
from ...scenario import Scenario
from ...settlement.compare import compare
from ...settlement.settle import settle
from ...strata import error_of_mean
from ...thresholds import is_share
from ..answers import shared
from ..answers.shared import NO_EXCLUSION, each
from ..figure import money_text, people, percentage

MOST_REPLICATES = 1_000
"""Synthetic populations of a stress: differences are paired, so that few will do."""

EXPLORED_MARGINS = (0.0, 0.02, 0.075, *MARGINS)
"""Margins of the explorer, besides the one that is asked for."""


class Target(NamedTuple):
    """What "large enough" means: P(overspend > margin) is at most `at_most`."""

    margin: float
    at_most: float

    @property
    def overspend(self) -> str:
        """The event in words."""
        return overspend(self.margin)


def overspend(margin: float) -> str:
    """An overspend above a margin, in words."""
    return f"overspending by more than {percentage(margin)} of the budget" if margin else "overspending"


def teller(ledger: xr.Dataset) -> Callable[[float], str]:
    """How a threshold of the ledger is shown; of a percentile also the amounts."""
    label_of, currency = shared.teller(ledger), ledger.attrs["currency"]

    def told(threshold: float) -> str:
        label = label_of(threshold)
        if not is_share(ledger["threshold"].attrs.get("units", "")) or label == NO_EXCLUSION:
            return label
        amounts = ledger["threshold_amount"].sel(threshold=threshold)
        low, high = money_text(float(amounts.min()), currency), money_text(float(amounts.max()), currency)
        return f"{label} ({low if low == high else f'{low} to {high} by segment'})"

    return told


class Place(NamedTuple):
    """One population of the ledger: a size, or a unit."""

    label: str
    summary: xr.Dataset
    """What `summarise` gave, at this place: dims threshold and so on."""
    compared: xr.Dataset | None
    """What `compare` gave, at this place: dims design, party and so on; None without designs."""


class Contents(NamedTuple):
    """What a report is made of."""

    target: Target
    ledger: xr.Dataset
    """The draws."""
    summary: xr.Dataset
    """By population size."""
    compared: xr.Dataset | None
    """Designs by population size."""
    units: tuple[xr.Dataset, xr.Dataset | None] | None
    """Summary and designs by unit, where the ledger has units."""
    judged: xr.Dataset | None
    """Which units are large enough by themselves; None without units, and where observed costs were withheld."""
    places: tuple[Place, ...]
    thresholds: tuple[str, ...]
    """What each threshold does, in words."""
    designs: tuple[Design, ...]
    """The reference first."""
    scenario: dict[str, Any]
    """As the ledger keeps it, observed costs withheld."""
    whole: Scenario | None
    """The scenario itself; None where observed costs were withheld."""
    described: dict[str, Any] | None
    """What `describe` gives; None where observed costs were withheld."""
    amounts: xr.DataArray
    """Each threshold in money by segment."""
    agreed: xr.Dataset | None
    """Each design's budget, and the exact mean of the cost that its rule keeps; None without designs."""
    proposed: xr.Dataset | None
    """What `propose` gave; None without [search]."""
    stressed: xr.Dataset | None
    """What `stress` gave; None without stresses, or without a design that can be stressed."""
    by_tail: xr.Dataset | None
    """What `headline` or `answer` gave by tail and risk at the last threshold; None without shocks and variants."""
    besides: tuple[xr.Dataset, ...]
    """Other answers that the report shows, such as what `backtest` gave."""
    author: str
    several_years: bool = False
    """Whether the draws have more years than the first, which is the one that the report is of."""

    @property
    def currency(self) -> str:
        """ISO code."""
        return str(self.summary.attrs["currency"])

    @property
    def margins(self) -> list[float]:
        """Margins of the summary, ascending."""
        return [float(margin) for margin in self.summary["margin"].values]

    @property
    def has_sizes(self) -> bool:
        """Whether there are several sizes, so that a smallest one can be read off."""
        return self.summary.sizes["population_size"] > 1

    @property
    def own_design(self) -> int:
        """Position of the first design that is not there to compare with."""
        return min(1, len(self.designs) - 1)

    def rule_of(self, design: str, position: int) -> str:
        """Which patient-level rule a design was settled with, at a point of the grid if it is swept over it."""
        rule = next(one for one in self.designs if one.name == design).exclusion
        own = rule.fixed_thresholds()
        at = own[-1] if own else float(self.ledger["threshold"][position])
        return rule.label(at, teller(self.ledger))

    def minimum(self, margin: float) -> xr.Dataset:
        """The smallest population for a margin, read off the simulated sizes."""
        return minimum_on_grid(self.summary, "p_overspend", self.target.at_most, margin=margin)


def gather(
    ledger: xr.Dataset, margin: float = 0.03, at_most: float = 0.05, *, besides: Sequence[xr.Dataset] = (),
    author: str = "",
) -> Contents:  # fmt: skip
    """Ask for every figure of a report; `besides` are other answers, each of which gets a section.

    What `propose` found for the scenario takes the place of searching again.
    """
    if "scenario" not in ledger.attrs:
        raise SimulatorError("ledger", None, "does not carry its scenario", "name a file that `simulator run` wrote")
    if not 0 < at_most < 1:
        raise SimulatorError("at_most", at_most, "must lie between 0 and 1", "give a fraction such as 0.05")
    drawn = draws_of(ledger)
    if "year" in drawn.dims:
        besides = [*_over_years(drawn, {kind_of(one) for one in besides}), *besides]
        drawn = pool_years(drawn, {1: 1})
    with effort.task("report", 4) as advance:
        found = _gathered(drawn, margin, at_most, advance)
        known = {ledger.attrs["scenario_id"], found.whole and found.whole.scenario_id}  # that of year 1 too
        own = [one for one in besides if kind_of(one) == "propose" and one.attrs["scenario_id"] in known]
        given = tuple(one for one in besides if not any(one is mine for mine in own))
        if found.whole is not None and found.whole.search is not None:
            found = found._replace(proposed=own[0] if own else propose(found.whole))
    several = "year" in ledger.dims
    return found._replace(by_tail=_by_tail(found, given), besides=given, author=author, several_years=several)


def _by_tail(found: Contents, besides: Sequence[xr.Dataset]) -> xr.Dataset | None:
    """By tail and risk: of an answer to the same question, or calculated."""
    margin, at_most = found.target
    for one in besides:
        if kind_of(one) == "answer" and (one.attrs["margin"], one.attrs["at_most"]) == (margin, at_most):
            return one.isel(threshold=-1)
    size = None if found.has_sizes else int(found.summary["population_size"][0])
    return None if found.whole is None else headline(found.whole, margin, at_most, size)


def _over_years(drawn: xr.Dataset, given: Container[str | None]) -> Iterator[xr.Dataset]:
    """What several years imply and what designs do over them, but for what is given; the rest is of year 1."""
    whole, raw = scenario_of(drawn), json.loads(drawn.attrs["scenario"]).get("designs")
    if whole is not None and "years" not in given:
        yield persistence(whole)
    if raw and "over_years" not in given:
        yield over_years(settle(drawn, with_reference(designs_from(raw, "ledger: scenario"))))


def _gathered(drawn: xr.Dataset, margin: float, at_most: float, advance: effort.Task) -> Contents:
    whole = scenario_of(drawn)
    scenario = json.loads(drawn.attrs["scenario"])
    raw = scenario.get("designs")
    designs = with_reference(designs_from(raw, "ledger: scenario")) if raw else ()
    margins = sorted({*EXPLORED_MARGINS, margin})
    summary = summarise(drawn, margins=margins)
    advance()
    outcome = settle(drawn, designs) if designs else None
    compared = None if outcome is None else with_exact(compare(outcome))
    advance()
    units = None
    if "unit" in drawn.dims:
        apart = by_unit(drawn)
        units = summarise(apart, margins=margins), compare(settle(apart, designs)) if designs else None
    chosen = stressable(whole.designs) if whole is not None and whole.stresses else ()
    stressed = None
    if whole is not None and chosen:
        stressed = stress(whole, designs=chosen, replicates=min(whole.simulation.replicates, MOST_REPLICATES))
    return Contents(
        target=Target(margin, at_most),
        ledger=drawn,
        summary=summary,
        compared=compared,
        units=units,
        judged=None if whole is None or units is None else places(whole, margin, at_most, drawn),
        places=_places(summary, compared, "population_size") + (_places(*units, "unit") if units else ()),
        thresholds=tuple(Cap().label(float(one), teller(drawn)) for one in drawn["threshold"].values),
        designs=designs,
        scenario=scenario,
        whole=whole,
        proposed=None,
        described=None if whole is None else describe(whole),
        amounts=drawn["threshold_amount"].transpose("segment", "threshold"),
        agreed=None if outcome is None else _agreed(drawn, outcome, designs),
        stressed=stressed,
        by_tail=None,
        besides=(),
        author="",
    )


def _places(summary: xr.Dataset, compared: xr.Dataset | None, dim: str) -> tuple[Place, ...]:
    beside = [None] * summary.sizes[dim] if compared is None else each(compared, dim)
    return tuple(Place(_label(one[dim]), one, other) for one, other in zip(each(summary, dim), beside, strict=True))


def _label(place: xr.DataArray) -> str:
    """So many people; or a unit's name, and its people."""
    size = place["unit_size"] if "unit_size" in place.coords else place
    told = f"{people(float(size))} people"
    return told if size is place else f"{place.item()}, {told}"


def _agreed(ledger: xr.Dataset, outcome: xr.Dataset, designs: Sequence[Design]) -> xr.Dataset:
    """Each design's budget, and the exact mean of the cost that its exclusion rule keeps."""
    budget = outcome["budget"]
    fixed = budget.max("replicate") == budget.min("replicate")
    shape = budget.sizes["population_size"], budget.sizes.get("threshold", 1)
    cost = np.stack([np.broadcast_to(_expected(ledger, design.exclusion), shape) for design in designs])
    expected = xr.DataArray(cost, dims=("design", "population_size", "threshold"))
    return xr.Dataset(
        {
            "budget": budget.mean("replicate"),
            "budget_se": error_of_mean(budget).where(~fixed, 0.0),
            "expected_cost": expected if "threshold" in budget.dims else expected.isel(threshold=0),
        }
    )


def _expected(ledger: xr.Dataset, rule: ExclusionRule) -> NDArray[np.float64]:
    """By population and point of the grid where the rule is swept over it."""
    if rule.excludes_nobody:
        return exact_moments(ledger, Cap()).gross_mean[:, None]
    return exact_moments(ledger, rule).mean


def stressable(designs: tuple[Design, ...]) -> tuple[Design, ...]:
    """The designs that have a threshold of their own."""
    return tuple(design for design in designs if design.exclusion.fixed_thresholds())
