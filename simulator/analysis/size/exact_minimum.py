"""The exact engine's answer to how large a population must be: a root of an exact statistic in the number of people."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from ...contracts.budget import PerHead
from ...contracts.exclusion import ExclusionRule
from ...engine.transforms import Transforms
from ...scenario import Scenario
from ...terms import Array
from ..luck.infinite_population import ENDLESS
from ..statistics.exact import doubt_of, exact_answer, exact_value, transforms_of
from ..statistics.statistic import STATISTICS
from .grid import crossing
from .targets import Target

_GRID = 12
_CLOSENESS = 1e-3  # relative, of the size that is found
_STEPS = 12


@dataclass(frozen=True)
class Asked:
    """What is asked of a population of any size, and what all sizes and thresholds share."""

    scenario: Scenario
    target: Target
    rule: ExclusionRule
    budget: PerHead

    @cached_property
    def _as_one(self) -> Scenario:
        """The scenario without units, which one number of people keeps: all that they have."""
        return self.scenario.resized((max(self.scenario.population_sizes[-1] - 1, 1),))

    @cached_property
    def _transforms(self) -> tuple[Transforms, ...]:
        return transforms_of(self._as_one)

    def resized(self, sizes: Array) -> Scenario:
        return self._as_one.resized(tuple(int(n) for n in sizes))

    def statistic(self, point: float, sizes: Array) -> Array:
        """The target's statistic at each size, exactly, with the rule at one point of the grid."""
        rule, of, level = self.rule.at_point(point), self.target.of, self.target.level
        return exact_value(self.resized(sizes), rule, of, level, self.budget, lambda: self._transforms)

    def doubt(self, point: float, size: float) -> str:
        """What is to be said of a smallest population that is not exact; empty where it is."""
        if self.target.of.by_moments or not 0 < size < math.inf:
            return ""
        margins, levels = self.target.of.levels(self.target.level).values()
        asked, rule = self.resized(np.array([round(size)])), self.rule.at_point(point)
        answer = exact_answer(asked, rule, margins, levels, self.budget, lambda: self._transforms)
        return doubt_of(answer).get("doubt", "")


def exact_minimum(asked: Asked, point: float, sizes: Array, near: float, limit: float) -> float:
    """Smallest population from which on the target holds, exactly, at a point of the threshold grid.

    It is 0 where the smallest of the ascending `sizes` meets the target and nothing larger misses it, infinity where no
    population is large enough (`limit` is the statistic of one without end), NaN where the exact engine has no answer.
    `near` is a first guess where the moments give none: people, 0, infinity, or NaN. What is found does not depend on
    it otherwise, so that every page has the same answer to the same question.
    """
    target = asked.target
    if limit > target.at_most:
        return math.inf
    low, high = float(sizes[0]), float(sizes[-1])

    def value(n: float) -> float:
        return float(asked.statistic(point, np.array([round(n)]))[0])

    guess = _by_moments(asked, point, low)
    if math.isnan(guess) and math.isnan(near):
        return _on_grid(asked, point, np.geomspace(low, high, _GRID), value)
    start = max(near if math.isnan(guess) else guess, low)
    first = value(start)
    if math.isnan(first):
        return math.nan
    if start == low and first <= target.at_most:
        return 0.0
    return _search(value, target, start, first, low)


def _by_moments(asked: Asked, point: float, low: float) -> float:
    """About how many people hold an overspend to its chance, if the year were normal; NaN where that is no guess."""
    target = asked.target
    if target.statistic != "p_overspend" or (target.level or 0.0) <= 0 or target.at_most >= 0.5:
        return math.nan
    sizes = np.array([1, 1_000]) * (round(low) + 1_000)
    few, many = exact_value(asked.resized(sizes), asked.rule.at_point(point), STATISTICS["cv"], None, PerHead()) ** 2
    common = max((many - few / 1_000) / (1 - 1 / 1_000), 0.0)
    left = ((target.level or 0.0) / special.ndtri(1 - target.at_most)) ** 2 - common
    guess = float(sizes[0] * (few - common) / left) if left > 0 else math.nan
    return guess if low < guess < ENDLESS else math.nan


def _on_grid(asked: Asked, point: float, grid: Array, value: Callable[[float], float]) -> float:
    target, values = asked.target, asked.statistic(point, grid)
    if np.isnan(values).any():
        return math.nan
    guess = crossing(np.round(grid), values, target.at_most, target.of.scale, 1e-12)
    if guess == 0.0:
        return 0.0
    start = min(guess, float(grid[-1]))
    return _search(value, target, start, value(start), float(grid[0]))


def _search(value: Callable[[float], float], target: Target, start: float, first: float, least: float) -> float:
    """Where the statistic meets the target, from a first guess outwards; infinity beyond all that can be drawn."""
    sizes, values = [start], [first]
    step = 1.02 if first <= target.at_most else 1 / 1.02
    while (values[-1] <= target.at_most) == (first <= target.at_most):
        if sizes[-1] == least:
            return 0.0
        n = max(sizes[-1] / step, least)
        if n > ENDLESS:
            return math.inf
        sizes.append(n)
        values.append(value(n))
        step *= step
    return _between(value, target, sizes[-2:], values[-2:])


def _between(value: Callable[[float], float], target: Target, sizes: list[float], values: list[float]) -> float:
    """Interpolate between one size that meets the target and one that does not, until they are close."""
    order = np.argsort(sizes)
    (low, high), (before, after) = np.array(sizes)[order], np.array(values)[order]
    found = high
    for _ in range(_STEPS):
        found = crossing(np.array([low, high]), np.array([before, after]), target.at_most, target.of.scale, 1e-12)
        if (high - low) <= _CLOSENESS * high:
            break
        here = value(found)
        if here <= target.at_most:
            high, after = found, here
            probe = max(low, found * (1 - _CLOSENESS / 2))
            if probe > low and (there := value(probe)) > target.at_most:
                low, before = probe, there
        else:
            low, before = found, here
            probe = min(high, found * (1 + _CLOSENESS / 2))
            if probe < high and (there := value(probe)) <= target.at_most:
                high, after = probe, there
    return float(found)
