"""What is asked of a population: a statistic of its year, how large it may be, and how surely that is known."""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy import special

from ...errors import SimulatorError
from ...strata import Strata, exact_interval, mean_error
from ...terms import Array
from ..checks import check_fraction
from ..statistics.statistic import STATISTICS, TARGETS, Statistic, named

_ROUNDING = 1e-9  # share of the budget below which a difference is a rounding error


class Target(NamedTuple):
    """A statistic and the most that it may be."""

    statistic: str
    level: float | None
    at_most: float
    confidence: float = 0.95

    @property
    def of(self) -> Statistic:
        """The statistic itself."""
        return STATISTICS[self.statistic]

    def sentence(self) -> str:
        """What is asked, in words."""
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
    if not 0.5 < confidence < 1:
        raise SimulatorError("confidence", confidence, "must lie between 0.5 and 1", "give a fraction such as 0.95")
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
    """The statistic over the first axis, with an interval.

    Parameters
    ----------
    excess : ndarray, shape (replicate, …)
        Overspend, or loss over revenue: fractions, positive where money is lacking.
    target : Target
    confidence : float, optional
        That of the target without it.
    strata : Strata, optional
        Of the replicates, where they were drawn under parameter sets.

    Notes
    -----
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
