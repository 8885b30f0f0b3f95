"""The exact chance of each of many overspends: one law a population, or a smooth curve through a few."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.polynomial import chebyshev
from scipy import special

from ... import runs
from ...contracts.budget import PerHead
from ...contracts.exclusion import ExclusionRule
from ...engine.law import Law
from ...scenario import Scenario
from ...terms import Array
from ..statistics.exact import chance_over, law_of, moves_capitation, points_of, transforms_of
from ..statistics.self_check import TRUSTED, cells_of
from ..statistics.summary import budget_of

_NODES = 13  # overspends between which the normal score of the chance is carried
_RAREST = 1e-10  # chance below which an overspend is not worked out
_CLOSE = 1e-6  # of the curve, where it is looked at between its nodes


def exact_exceedance(scenario: Scenario, rule: ExclusionRule, overspends: Sequence[float]) -> Array:
    """P(retained > (1 + overspend) × budget), with the exact mean as the budget; shape (population, overspend)."""
    (point,), asked = points_of(scenario, rule), np.asarray(overspends, float)
    cells = cells_of(scenario, rule, [point], runs.heads(scenario))
    budget, transforms = budget_of(cells, PerHead()), transforms_of(scenario)
    found = np.empty((len(scenario.population_sizes), asked.size))
    for place in range(len(found)):
        at = (place, 0)
        law = law_of(scenario, rule, point, place, cells, transforms=transforms)
        if not moves_capitation(scenario, rule, point):
            allowed = (1 + asked) * budget[at]
            found[place] = np.where(law.error(allowed) <= TRUSTED, 1 - law.cdf(allowed), np.nan)
            continue

        def chance(over: float, at: tuple[int, int] = at, law: Law = law) -> float:
            p, error = chance_over(scenario, rule, at, cells, law, float(budget[at]), over, transforms)
            return p if error <= TRUSTED else np.nan

        found[place] = _carried(chance, asked, float(cells.sd[at] / cells.mean[at]))
    return found


def _carried(chance: Callable[[float], float], asked: Array, cv: float) -> Array:
    """A chance that takes a law for each overspend, by way of a polynomial in its normal score where that is smooth."""
    if asked.size <= _NODES:
        return np.array([chance(over) for over in asked])
    low, high = float(asked[0]), float(asked[-1])
    step = 7 * cv
    while low + step < high and chance(low + step) > _RAREST:
        step *= 1.5
    high = min(high, low + step)
    inside = asked <= high
    nodes = low + (high - low) * (chebyshev.chebpts1(_NODES) + 1) / 2
    values = np.array([chance(over) for over in nodes])
    scores = special.ndtri(np.clip(values, _RAREST**2, 1 - 1e-16))
    terms = chebyshev.chebfit(2 * (nodes - low) / (high - low) - 1, scores, _NODES - 1)
    found = np.zeros(asked.size)
    found[inside] = special.ndtr(chebyshev.chebval(2 * (asked[inside] - low) / (high - low) - 1, terms))
    looks = np.flatnonzero(inside)[:: max(int(inside.sum()) // 3, 1)]
    if all(abs(chance(float(asked[k])) - found[k]) <= _CLOSE for k in looks):
        return found
    return np.array([chance(float(over)) if here else 0.0 for over, here in zip(asked, inside, strict=True)])
