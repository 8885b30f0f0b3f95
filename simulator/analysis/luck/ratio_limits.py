"""Control limits for cost / expected of a unit that is measured by what all units together cost.

The unit's cost over the expected, divided by that of all together, depends on the quotient of two independent totals:
its own and that of the others. The law of the quotient is that of the one, averaged over the other.
"""

from collections.abc import Callable, Sequence

import numpy as np
import scipy
from scipy import special

from ... import runs
from ...contracts.exclusion import Cap
from ...costs.model import Unit
from ...engine.law import Law
from ...engine.mixed_law import MixedLaw
from ...engine.transforms import Transforms
from ...scenario import Scenario, scenario_from
from ...terms import Array
from ..statistics.exact import law_of, transforms_of
from ..statistics.self_check import cells_of

_SCORES = np.linspace(-6.0, 6.0, 97)
"""Normal scores at which the law of the others is taken: a trapezoid rule over them errs by less than that law."""
_WEIGHTS = np.exp(-(_SCORES**2) / 2) / np.exp(-(_SCORES**2) / 2).sum()
_HALVINGS = 48
_READINGS = 1_025  # totals at which a distribution function is read once; a spline between them errs by some 1e-8
_STEPS_SEEN = 1e-9


def limits_of_units(scenario: Scenario, point: float, levels: Sequence[float]) -> Array:
    """Limits of each unit, with its own case mix and beside the others with theirs; shape (level, bound, unit)."""
    units = scenario.population.units
    alike = None if scenario.cost_model.sampled else transforms_of(scenario)
    known: dict[tuple[object, ...], Array] = {}
    for unit in units:
        key = _kind(scenario, unit)
        if key not in known:
            others = tuple(one for one in units if one is not unit)
            laws = [_law(_with_units(scenario, part), point, alike) for part in ((unit,), others) if part]
            known[key] = _limits(laws, levels)
    return np.stack([known[_kind(scenario, unit)] for unit in units], axis=2)


def limits_by_size(
    scenario: Scenario, sizes: Sequence[int], people: float, point: float, levels: Sequence[float],
    others: Scenario | None = None,
) -> Array:  # fmt: skip
    """Limits of a unit of each size beside others with the same case mix, of `people` in all.

    Of shape (level, bound, size). `others` is what holds for the others, where that differs.
    """
    both = scenario, scenario if others is None else others
    known = [transforms_of(one.resized((1,))) for one in both]
    found = []
    for size in sizes:
        parts = zip(both, (size, round(people) - size), known, strict=True)
        found.append(_limits([_law(one.resized((int(n),)), point, own) for one, n, own in parts if n > 0], levels))
    return np.stack(found, axis=2)


def between_sizes(limit: Array, sizes: Array, members: Array, people: float) -> Array:
    """Limits by size carried to other sizes, (level, bound, unit): in units of 1/√n, less the unit's part in all."""

    def spread(n: Array) -> Array:
        return np.sqrt(np.maximum(1 / n - 1 / people, 0.0))

    here = spread(np.asarray(sizes, float))
    kept = here > 0
    scaled = (limit[..., kept] - 1) / here[kept]
    at, order = 1 / np.sqrt(members), np.argsort(-np.asarray(sizes)[kept])
    known = 1 / np.sqrt(np.asarray(sizes, float)[kept][order])
    carried = [[np.interp(at, known, end[order]) for end in ends] for ends in scaled] if kept.any() else 0.0
    return np.asarray(1 + np.asarray(carried) * spread(np.asarray(members, float)))


def _kind(scenario: Scenario, unit: Unit) -> tuple[object, ...]:
    """Units with the same people and case mix have the same other units."""
    return unit.members, *scenario.cost_model.unit_shares(unit).tolist()


def _with_units(scenario: Scenario, units: tuple[Unit, ...]) -> Scenario:
    population = scenario.population.model_dump() | {"units": [unit.model_dump() for unit in units]}
    return scenario_from(scenario.model_dump() | {"population": population, "designs": (), "search": None})


def _law(scenario: Scenario, point: float, alike: Sequence[Transforms] | None) -> Law:
    rule = Cap(at=point)
    cells = cells_of(scenario, rule, [point], runs.heads(scenario))
    return law_of(scenario, rule, point, 0, cells, transforms=alike or ())


def _limits(laws: Sequence[Law], levels: Sequence[float]) -> Array:
    """Shape (level, bound): from the law of the unit and, where there are any, that of all others."""
    if len(laws) < 2:
        return np.ones((len(levels), 2))
    unit, others = laws
    ends = np.array([[(1 - level) / 2, (1 + level) / 2] for level in levels])
    quotient = _quotient(unit, others, ends.ravel()) * others.mean / unit.mean
    part = unit.mean / (unit.mean + others.mean)
    return np.asarray((quotient / (part * quotient + 1 - part)).reshape(ends.shape))


def _quotient(unit: Law, others: Law, chances: Array) -> Array:
    """Quantiles of unit / others; under parameter sets both are under the same."""
    own = unit.laws if isinstance(unit, MixedLaw) else (unit,)
    beside = others.laws if isinstance(others, MixedLaw) else (others,)
    usual = special.ndtr(_SCORES)
    costs = [np.maximum(_reached(_read_once(law), usual, law.low, law.high), 1e-9 * law.mean) for law in beside]
    curves = [_read_once(law) for law in own]

    def chance(quotient: Array) -> Array:
        under = [curve(quotient[:, None] * cost) @ _WEIGHTS for curve, cost in zip(curves, costs, strict=True)]
        return np.asarray(np.mean(under, axis=0))

    return _reached(chance, chances, 0.0, max(law.high for law in own) / min(float(cost.min()) for cost in costs))


def _reached(curve: Callable[[Array], Array], chances: Array, least: float, most: float) -> Array:
    """Where a rising curve reaches each chance, between two ends."""
    low, high = np.full(chances.shape, least), np.full(chances.shape, most)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = curve(middle) < chances
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray((low + high) / 2)


def _read_once(law: Law) -> Callable[[Array], Array]:
    """The distribution function, read off a spline where it is smooth: it is asked for many thousand times."""
    if law.tapered or law.lattice.chances.sum() > _STEPS_SEEN:
        return law.cdf
    at = np.linspace(law.low, law.high, _READINGS)
    spline = scipy.interpolate.CubicSpline(at, law.cdf(at))
    return lambda x: np.asarray(np.clip(spline(np.clip(x, law.low, law.high)), 0.0, 1.0))
