"""Everything that a report tells, asked of the analysis once: no figure of a report comes from anywhere else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import xarray as xr

from ... import effort
from ...analysis.designs.exact_comparison import with_exact
from ...analysis.size.grid import minimum_on_grid
from ...analysis.size.places import places
from ...analysis.statistics.describe import describe
from ...analysis.statistics.summary import MARGINS, summarise
from ...contracts.design import Design, designs_from, with_reference
from ...contracts.exclusion import Cap
from ...errors import SimulatorError
from ...ledger import by_unit, draws_of
from ...runs import scenario_of
from ...settlement.compare import compare
from ...settlement.settle import settle
from ...thresholds import is_share
from ..answers.shared import NO_EXCLUSION, threshold_label
from ..figure import money_text, people, percentage
from .agreed import agreed_budgets
from .stressed import stressed

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
    unit, currency = ledger["threshold"].attrs.get("units", ""), ledger.attrs["currency"]

    def told(threshold: float) -> str:
        label = threshold_label(threshold, unit, currency)
        if not is_share(unit) or label == NO_EXCLUSION:
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
    described: dict[str, Any] | None
    """What `describe` gives; None where observed costs were withheld."""
    amounts: xr.DataArray
    """Each threshold in money by segment."""
    agreed: xr.Dataset | None
    """What `agreed_budgets` gave: each design's budget and the cost that it is for; None without designs."""
    stressed: xr.Dataset | None
    """What `stress` gave; None without stresses, or without a design that can be stressed."""

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


def gather(ledger: xr.Dataset, margin: float = 0.03, at_most: float = 0.05) -> Contents:
    """Ask for every figure of a report."""
    if "scenario" not in ledger.attrs:
        raise SimulatorError("ledger", None, "does not carry its scenario", "name a file that `simulator run` wrote")
    if not 0 < at_most < 1:
        raise SimulatorError("at_most", at_most, "must lie between 0 and 1", "give a fraction such as 0.05")
    with effort.task("report", 4) as advance:
        return _gathered(ledger, margin, at_most, advance)


def _gathered(ledger: xr.Dataset, margin: float, at_most: float, advance: effort.Task) -> Contents:
    drawn = draws_of(ledger)
    whole = scenario_of(drawn)
    scenario = json.loads(drawn.attrs["scenario"])
    designs = _designs(scenario)
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
        described=None if whole is None else describe(whole),
        amounts=drawn["threshold_amount"].transpose("segment", "threshold"),
        agreed=None if outcome is None else agreed_budgets(drawn, outcome, designs),
        stressed=None if whole is None else stressed(whole),
    )


def _designs(scenario: dict[str, Any]) -> tuple[Design, ...]:
    raw = scenario.get("designs")
    return with_reference(designs_from(raw, "ledger: scenario")) if raw else ()


def _places(summary: xr.Dataset, compared: xr.Dataset | None, dim: str) -> tuple[Place, ...]:
    return tuple(
        Place(
            _label(summary[dim][position]),
            summary.isel({dim: position}),
            None if compared is None else compared.isel({dim: position}),
        )
        for position in range(summary.sizes[dim])
    )


def _label(place: xr.DataArray) -> str:
    """So many people; or a unit's name, and its people."""
    size = place["unit_size"] if "unit_size" in place.coords else place
    told = f"{people(float(size))} people"
    return told if size is place else f"{place.item()}, {told}"
