"""The search itself: space-filling points, those that no other beats on cost and power, and the best refined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize
from scipy.stats import qmc

from ... import effort
from ...terms import Array
from .bench import UNFIT, Bench, Settled

_PER_CENT = 100.0  # scales costs, powers and distances to what an optimiser takes for 1
_COST_OF_POWER = 0.1  # of designs as strong as each other, the cheaper one
_FIRST, _LAST = 0.08, 1e-5  # steps of refining, of the range of a figure
_WIDTHS, _AROUND = (0.4, 0.16, 0.06, 0.02), 7  # boxes round the best, and the base-2 logarithm of points in them all
_TO_EVOLVE, _GENERATIONS = 10, 24  # designs for each figure that moves, and how often they are bred
_STEPS_EACH = 45  # for each figure that moves

Place = tuple[float, ...]


class Tried(NamedTuple):
    """A design that was tried: where, its cost, its distance from each demand, and its power where these are met."""

    place: Place
    cost: float
    slacks: Array
    power: float = math.nan

    def meets(self, without: int | None = None) -> bool:
        """Whether it meets every demand, but perhaps one."""
        return bool((np.delete(self.slacks, [] if without is None else without) >= 0).all())


def judged(bench: Bench, place: Sequence[float], confidence: float) -> tuple[Tried, Settled | None]:
    """A design held against the demands."""
    one, at = bench.at(place), tuple(float(p) for p in place)
    if one is None:
        return Tried(at, math.inf, np.full(len(bench.demands), UNFIT)), None
    return Tried(at, one.cost, one.slacks(confidence)), one


def scan(bench: Bench, points: int, seed: int) -> list[Tried]:
    """Points that fill the space of the figures evenly (Sobol, scrambled by the seed), the cheapest first."""
    sampler = qmc.Sobol(len(bench.search.figures), rng=np.random.default_rng(seed))
    found = []
    for place in effort.each(sampler.random_base2(math.ceil(math.log2(points)))[:points], "trying designs"):
        tried, one = judged(bench, place, 0.5)
        found.append(tried._replace(power=one.power().value) if one is not None and tried.meets() else tried)
    return sorted(found, key=lambda one: one.cost)


def undominated(tried: Sequence[Tried]) -> list[Tried]:
    """Designs within the limits than which none is both cheaper and stronger, of a list with the cheapest first."""
    kept: list[Tried] = []
    for one in tried:
        if one.meets() and one.power > (kept[-1].power + 1e-9 if kept else -math.inf):
            kept.append(one)
    return kept


def nearest(tried: Sequence[Tried]) -> Tried:
    """The design that misses its demands by least."""
    return max(tried, key=lambda one: float(one.slacks.min()))


def evolve(bench: Bench, tried: Sequence[Tried], seed: int) -> list[Tried]:
    """The cheapest designs within the demands of those that evolve from the best of a list with the cheapest first.

    By differential evolution (Storn & Price 1997), which costs that jump or stay level do not hold up.
    """
    figures = len(bench.search.figures)
    size = _TO_EVOLVE * figures
    start = sorted(tried, key=lambda one: -min(float(one.slacks.min()), 0.0))[:size]
    seen: list[Tried] = []

    def worth(place: Array) -> float:
        one, _ = judged(bench, place.tolist(), 0.5)
        seen.append(one)
        return min(one.cost, 1.0) if one.meets() else 1.0 - float(one.slacks.min())

    optimize.differential_evolution(
        worth, optimize.Bounds(np.zeros(figures), np.ones(figures)), init=np.array([one.place for one in start]),
        polish=False, maxiter=_GENERATIONS, tol=_LAST, rng=np.random.default_rng(seed),
    )  # fmt: skip
    return sorted((one for one in seen if one.meets()), key=lambda one: one.cost)[:1]


def refine(bench: Bench, start: Place, confidence: float, aim: str, looser: Array | float = 0.0) -> Place:
    """The best design near a place that meets every demand with this confidence; the nearest where none does.

    By linear approximation (COBYLA, Powell 1994), for costs and distances bend. A demand on a chance is held as one on
    the order statistic that goes with it, which moves without jumps. Figures with a list of values stay.
    """
    free = [at for at, figure in enumerate(bench.search.figures) if figure.values is None]
    seen: dict[Place, tuple[float, Tried]] = {}

    def at(moved: Array) -> tuple[float, Tried]:
        place = np.array(start)
        place[free] = np.clip(moved, 0.0, 1.0)
        key = tuple(place.tolist())
        if key not in seen:
            tried, one = judged(bench, key, confidence)
            worth = min(_PER_CENT * tried.cost, _PER_CENT)
            if aim == "strongest" and one is not None:
                worth = _PER_CENT * (_COST_OF_POWER * tried.cost - one.power().value)
            seen[key] = worth, tried._replace(slacks=tried.slacks + looser)
        return seen[key]

    best = np.array(start)[free]
    at(best)
    for width, steps in zip(
        _WIDTHS,
        qmc.Sobol(best.size or 1, rng=1).random_base2(_AROUND).reshape(len(_WIDTHS), -1, best.size or 1),
        strict=True,
    ):
        for step in steps if free else ():
            at(best + width * (step - 0.5))
        best = np.array(_best(list(seen.values())))[free]
    for step in (_FIRST, _FIRST / 8) if free else ():
        within = optimize.NonlinearConstraint(lambda x: _PER_CENT * at(x)[1].slacks, 0.0, np.inf)
        options: Any = {"rhobeg": step, "tol": _LAST, "maxiter": _STEPS_EACH * (best.size + 1)}
        bounds = optimize.Bounds(np.zeros(best.size), np.ones(best.size))
        optimize.minimize(  # type: ignore[call-overload]
            lambda x: at(x)[0], best, method="COBYLA", bounds=bounds, constraints=within, options=options
        )
        best = np.array(_best(list(seen.values())))[free]
    return _best(list(seen.values()))


def _best(seen: Sequence[tuple[float, Tried]]) -> Place:
    met = [one for one in seen if one[1].meets()]
    return (min(met, key=lambda one: one[0])[1] if met else nearest([one for _, one in seen])).place
