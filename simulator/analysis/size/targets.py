"""What is asked of a population: how large a statistic of its year may be, by threshold, by design or for a party."""

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import xarray as xr
from scipy import special

from ...contracts.budget import PerHead
from ...contracts.design import Design
from ...contracts.exclusion import ExclusionRule
from ...errors import SimulatorError
from ...ledger import retained_cost
from ...scenario import Scenario
from ...settlement.compare import revenue_of
from ...settlement.settle import settle
from ...strata import Strata, exact_interval, mean_error
from ...terms import Array
from ..checks import check_fraction, check_party
from ..luck.infinite_population import limit_ledger, overspend_of
from ..statistics.exact import points_of
from ..statistics.statistic import STATISTICS, TARGETS, Statistic, named

_ROUNDING = 1e-9  # share of the budget below which a difference is a rounding error
_LUCK = 1e-6  # share of its cost by which luck still moves a population that stands for one without end
_YEARS = 1 << 16  # of an infinite population, if a design has random parts of its own


class Target(NamedTuple):
    """A statistic and the most that it may be."""

    statistic: str
    level: float | None
    at_most: float
    confidence: float = 0.95

    @property
    def of(self) -> Statistic:
        return STATISTICS[self.statistic]

    def sentence(self) -> str:
        return f"{self.of.words(self.level, '{:.4g}'.format)} of at most {self.at_most:.4g}"


def target_of(
    statistic: str,
    at_most: float,
    *,
    margin: float | None = None,
    quantile_level: float | None = None,
    loss_over: float | None = None,
    confidence: float = 0.95,
) -> Target:
    """Validate a target's arguments."""
    asked = named(statistic, TARGETS)
    check_fraction("at_most", at_most)
    check_fraction("confidence", confidence, 0.95, above=0.5)
    given = {"margin": margin, "quantile_level": quantile_level, "loss_over": loss_over}
    needed = asked.level
    for name, value in given.items():
        if value is not None and name != needed:
            raise SimulatorError(name, value, f"is not asked for by {statistic}", "leave it out")
    if needed is None:
        return Target(statistic, None, at_most, confidence)
    level = given[needed]
    if level is None:
        raise SimulatorError(needed, None, f"is missing, and {statistic} needs it", f"give {needed}=0.05, say")
    inside = 0 < level < 1 if needed == "quantile_level" else -1 < level < math.inf
    if not inside:
        bound = "must lie between 0 and 1" if needed == "quantile_level" else "must be a fraction above -1"
        raise SimulatorError(needed, level, bound, "give a fraction")
    return Target(statistic, float(level), at_most, confidence)


class Measured(NamedTuple):
    """A statistic and the ends of its interval; each without the replicates' axis."""

    value: Array
    lower: Array
    upper: Array


def measure(excess: Array, target: Target, confidence: float | None = None, strata: Strata | None = None) -> Measured:
    """The statistic of overspends, or of losses over revenue (replicate, …), with its interval.

    Probabilities have Clopper and Pearson's interval, the others ± z standard errors by the delta method.
    """
    confidence = confidence or target.confidence
    n = excess.shape[0]
    if target.of.of_excess is None:
        events = (excess > (target.level or 0.0) + _ROUNDING).sum(axis=0)
        bounds = exact_interval(events, n, confidence)
        return Measured(events / n, bounds[..., 0], bounds[..., 1])
    value, influence = target.of.of_excess(excess, target.level or 0.0)
    error = special.ndtri((1 + confidence) / 2) * mean_error(influence, strata)
    return Measured(value, value - error, value + error)


class Question(NamedTuple):
    """What is asked of a ledger: one column for each threshold or design."""

    scenario: Scenario
    target: Target
    dim: Literal["threshold", "design"]
    labels: Sequence[float] | Sequence[str]
    excess: Callable[[xr.Dataset], Array]  # overspend, or loss over revenue; (replicate, population_size, column)
    draws: bool = False  # whether a design draws something of its own in every year: quality, or where patients go

    @property
    def limit(self) -> Array:
        """The target's statistic in the infinite-population limit, for each column."""
        ledger = limit_ledger(self.scenario, _YEARS if self.draws else 1)
        excess = self.excess(ledger)
        on_the_bound = np.abs(excess - (self.target.level or 0.0)) < _ROUNDING
        if not self.target.of.is_probability or not on_the_bound.any():
            return measure(excess, self.target).value[0]
        # a cost that tends to the very bound is beyond it half of the time, unless luck moves nothing there
        costs = ledger[["gross_cost", "excess_cost", "above_cost"]]
        off = [ledger.assign({name: one * (1 + luck) for name, one in costs.items()}) for luck in (-_LUCK, _LUCK)]
        return np.asarray(np.mean([measure(self.excess(one), self.target).value[0] for one in off], axis=0))


def loss_of(ledger: xr.Dataset, designs: Sequence[Design], party: str) -> Array:
    """A party's loss over its revenue, positive where money is lacking; shape (replicate, population_size, design)."""
    outcome = settle(ledger, designs)
    loss = -outcome["surplus"] / revenue_of(outcome)
    return np.asarray(loss.sel(party=party).transpose("replicate", "population_size", "design").values)


def overspend_by_design(ledger: xr.Dataset, designs: Sequence[Design]) -> Array:
    """Retained cost / budget − 1 under each design's exclusion and budget; (replicate, population_size, design)."""
    budget = settle(ledger, designs)["budget"]
    ratios = [
        retained_cost(ledger, design.exclusion).isel(threshold=0, drop=True) / budget.sel(design=design.name, drop=True)
        for design in designs
    ]
    return np.stack([ratio.transpose("replicate", "population_size").values - 1 for ratio in ratios], axis=-1)


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
        return Question(scenario, target, "design", names, lambda ledger: loss_of(ledger, chosen, party), draws)
    if designs:
        chosen = scenario.select_designs(designs)
        names = [each.name for each in chosen]
        return Question(scenario, target, "design", names, lambda ledger: overspend_by_design(ledger, chosen))

    def overspend(ledger: xr.Dataset) -> Array:
        drawn = scenario.resized(tuple(int(n) for n in ledger["population_size"].values))
        return np.asarray(overspend_of(ledger, rule, drawn, budget).values)

    return Question(scenario, target, "threshold", points_of(scenario, rule), overspend)


def is_exact(method: str | None, statistic: Statistic, by_design: bool) -> bool:
    """Whether the exact engine is to answer alone."""
    if method not in (None, "simulated", "exact"):
        raise SimulatorError("method", method, 'must be "simulated" or "exact"', "choose one of these")
    if method == "exact" and (by_design or statistic.of_party):
        raise SimulatorError("method", method, "has no answer by design, which must be settled", "leave it out")
    return method == "exact" or (method is None and statistic.by_moments and not by_design)
