"""What is asked of a population: a statistic of its year, how large it may be, and how surely that is known."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ...errors import SimulatorError
from ...strata import Strata, mean_error
from ..checks import check_fraction
from ..statistics.summary import exact_interval

Array = NDArray[np.float64]

LEVELS = {
    "p_overspend": "margin",
    "p_loss": "loss_over",
    "tvar": "quantile_level",
    "expected_overspend": None,
    "cv": None,
}
"""Statistics of which a largest value can be asked, and what each must be told."""
PROBABILITIES = ("p_overspend", "p_loss")
_ROUNDING = 1e-9  # share of the budget below which a difference is a rounding error


class Target(NamedTuple):
    """A statistic and the most that it may be."""

    statistic: str
    level: float | None
    at_most: float
    confidence: float = 0.95

    def sentence(self) -> str:
        """What is asked, in words."""
        level = 0.0 if self.level is None else self.level
        return {
            "p_overspend": f"chance of an overspend above {level:.4g} of the budget",
            "p_loss": f"chance of a loss above {level:.4g} of the party's revenue",
            "tvar": f"mean overspend of the worst {1 - level:.4g} of years",
            "expected_overspend": "expected overspend",
            "cv": "coefficient of variation",
        }[self.statistic] + f" of at most {self.at_most:.4g}"


def target_of(
    statistic: str,
    at_most: float,
    *,
    margin: float | None = None,
    quantile_level: float | None = None,
    loss_over: float | None = None,
    confidence: float = 0.95,
) -> Target:
    """Validate a target's arguments.

    Raises
    ------
    SimulatorError
        For an unknown statistic, a level that is missing, superfluous or out of range, or a target out of range.
    """
    if statistic not in LEVELS:
        raise SimulatorError("statistic", statistic, f"must be one of {', '.join(LEVELS)}", "choose one of these")
    check_fraction("at_most", at_most)
    if not 0.5 < confidence < 1:
        raise SimulatorError("confidence", confidence, "must lie between 0.5 and 1", "give a fraction such as 0.95")
    given = {"margin": margin, "quantile_level": quantile_level, "loss_over": loss_over}
    needed = LEVELS[statistic]
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
    Probabilities have Clopper and Pearson's interval, which holds for strata too (Hoeffding 1956), the others ± z
    standard errors by the delta method.
    """
    confidence = confidence or target.confidence
    n = excess.shape[0]
    if target.statistic in PROBABILITIES:
        events = (excess > (target.level or 0.0) + _ROUNDING).sum(axis=0)
        bounds = exact_interval(events, n, confidence)
        return Measured(events / n, bounds[..., 0], bounds[..., 1])
    value, influence = _with_influence(excess, target)
    error = special.ndtri((1 + confidence) / 2) * mean_error(influence, strata)
    return Measured(value, value - error, value + error)


def _with_influence(excess: Array, target: Target) -> tuple[Array, Array]:
    """A statistic, and what each replicate adds to its error."""
    if target.statistic == "expected_overspend":
        above = np.maximum(excess, 0.0)
        return above.mean(axis=0), above
    if target.statistic == "tvar":
        level = target.level or 0.0
        quantile = np.quantile(excess, level, axis=0)
        beyond = np.maximum(excess - quantile, 0.0) / (1 - level)
        return quantile + beyond.mean(axis=0), beyond
    ratio = 1 + excess
    mean, sd = ratio.mean(axis=0), ratio.std(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        influence = (ratio - mean) ** 2 / (2 * sd * mean) - sd * ratio / mean**2
    return sd / mean, np.where(sd > 0, influence, 0.0)
