"""What is asked of a ledger: overspend by threshold or by design, or a party's loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..base import SimulatorError
from ..contracts.design import Design
from ..contracts.exclusion import ExclusionRule
from ..scenario import Scenario
from .exact import points_of
from .limiting import limit_ledger, overspend_of, with_sizes
from .losses import check_party, designs_of, loss_of, overspend_by_design
from .targets import PROBABILITIES, Target, measure

Array = NDArray[np.float64]

_ROUNDING = 1e-9


class Question(NamedTuple):
    """What is asked of a ledger: one column for each threshold or design."""

    dim: Literal["threshold", "design"]
    labels: Sequence[float] | Sequence[str]
    excess: Callable[[xr.Dataset], Array]
    """Overspend, or loss over revenue, of a ledger: shape (replicate, population_size, column)."""

    def limit(self, scenario: Scenario, target: Target) -> Array:
        """The target's statistic of a population without end, for each column."""
        excess = self.excess(limit_ledger(scenario))
        value = measure(excess, target).value[0]
        if excess.shape[0] > 1 or target.statistic not in PROBABILITIES:
            return value
        # without shocks a cost that tends to the very bound is beyond it half of the time
        on_the_bound = np.abs(excess[0, 0] - (target.level or 0.0)) < _ROUNDING
        return np.where(on_the_bound, 0.5, value)


def question_of(
    scenario: Scenario,
    target: Target,
    rule: ExclusionRule,
    designs: Sequence[Design],
    party: str,
    capitation: float | None,
    basis: Literal["gross", "retained"],
) -> Question:
    """The question that the arguments of `minimum_population` put."""
    if target.statistic == "p_loss":
        chosen = designs_of(scenario, designs)
        check_party(chosen, party)
        return Question("design", [each.name for each in chosen], lambda ledger: loss_of(ledger, chosen, party))
    if designs:
        chosen = designs_of(scenario, designs)
        return Question("design", [each.name for each in chosen], lambda ledger: overspend_by_design(ledger, chosen))

    def overspend(ledger: xr.Dataset) -> Array:
        drawn = with_sizes(scenario, tuple(int(n) for n in ledger["population_size"].values))
        return np.asarray(overspend_of(ledger, rule, drawn, capitation, basis).values)

    return Question("threshold", points_of(scenario, rule), overspend)


def is_exact(method: str | None, statistic: str, by_design: bool) -> bool:
    """Whether the exact engine is to answer alone."""
    if method not in (None, "simulated", "exact"):
        raise SimulatorError("method", method, 'must be "simulated" or "exact"', "choose one of these")
    if method == "exact" and (by_design or statistic == "p_loss"):
        raise SimulatorError("method", method, "has no answer by design, which must be settled", "leave it out")
    return method == "exact" or (method is None and statistic == "cv" and not by_design)
