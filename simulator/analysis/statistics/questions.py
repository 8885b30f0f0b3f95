"""What is asked of a ledger: overspend by threshold or by design, or a party's loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import xarray as xr

from ...contracts.budget import PerHead
from ...contracts.design import Design
from ...contracts.exclusion import ExclusionRule
from ...errors import SimulatorError
from ...scenario import Scenario
from ...terms import Array
from ..designs.losses import check_party, loss_of, overspend_by_design
from ..luck.infinite_population import limit_ledger, overspend_of
from ..size.targets import Target, measure
from .exact import points_of
from .statistic import Statistic

_ROUNDING = 1e-9
_LUCK = 1e-6  # share of its cost by which luck still moves a population that stands for one without end
_YEARS = 1 << 16  # of an infinite population, if a design has random parts of its own


class Question(NamedTuple):
    """What is asked of a ledger: one column for each threshold or design."""

    dim: Literal["threshold", "design"]
    labels: Sequence[float] | Sequence[str]
    excess: Callable[[xr.Dataset], Array]
    """Overspend, or loss over revenue, of a ledger: shape (replicate, population_size, column)."""
    draws: bool = False
    """Whether a design draws something of its own in every year: quality, or where patients go."""

    def limit(self, scenario: Scenario, target: Target) -> Array:
        """The target's statistic in the infinite-population limit, for each column."""
        ledger = limit_ledger(scenario, _YEARS if self.draws else 1)
        excess = self.excess(ledger)
        on_the_bound = np.abs(excess - (target.level or 0.0)) < _ROUNDING
        if not target.of.is_probability or not on_the_bound.any():
            return measure(excess, target).value[0]
        # a cost that tends to the very bound is beyond it half of the time, unless luck moves nothing there
        either = [measure(self.excess(_with_luck(ledger, luck)), target).value[0] for luck in (-_LUCK, _LUCK)]
        return np.asarray(np.mean(either, axis=0))


def _with_luck(ledger: xr.Dataset, luck: float) -> xr.Dataset:
    """The ledger with every cost a little off what it tends to."""
    return ledger.assign({name: ledger[name] * (1 + luck) for name in ("gross_cost", "excess_cost", "above_cost")})


def question_of(
    scenario: Scenario,
    target: Target,
    rule: ExclusionRule,
    designs: Sequence[Design],
    party: str,
    budget: PerHead,
) -> Question:
    """The question that the arguments of `minimum_population` put."""
    if target.of.of_party:
        chosen = scenario.select_designs(designs)
        check_party(chosen, party)
        names, draws = [each.name for each in chosen], any(each.draws for each in chosen)
        return Question("design", names, lambda ledger: loss_of(ledger, chosen, party), draws)
    if designs:
        chosen = scenario.select_designs(designs)
        return Question("design", [each.name for each in chosen], lambda ledger: overspend_by_design(ledger, chosen))

    def overspend(ledger: xr.Dataset) -> Array:
        drawn = scenario.resized(tuple(int(n) for n in ledger["population_size"].values))
        return np.asarray(overspend_of(ledger, rule, drawn, budget).values)

    return Question("threshold", points_of(scenario, rule), overspend)


def is_exact(method: str | None, statistic: Statistic, by_design: bool) -> bool:
    """Whether the exact engine is to answer alone."""
    if method not in (None, "simulated", "exact"):
        raise SimulatorError("method", method, 'must be "simulated" or "exact"', "choose one of these")
    if method == "exact" and (by_design or statistic.of_party):
        raise SimulatorError("method", method, "has no answer by design, which must be settled", "leave it out")
    return method == "exact" or (method is None and statistic.by_moments and not by_design)
