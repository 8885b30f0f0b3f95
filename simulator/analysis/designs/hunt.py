"""The search itself: space-filling points, those that no other beats on cost and power, and the best of them refined."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import optimize
from scipy.stats import qmc

from ... import effort
from ...terms import Array
from .bench import UNFIT, Bench, Settled

_PER_CENT = 100.0  # scales costs, powers and distances to what an optimiser takes for 1
_COST_OF_POWER = 0.1  # of designs as strong as each other, the cheaper one
_STEP, _CLOSE = 0.08, 1e-5  # of the range of a figure: first and last step of refining
_STEPS_EACH = 45  # evaluations for each figure that moves

Place = tuple[float, ...]


@dataclass
class Tried:
    """Designs that were tried on a bench: where, their cost, distances from limits, and power where these are met."""

    places: list[Place] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    slacks: list[Array] = field(default_factory=list)
    power: list[float] = field(default_factory=list)

    def add(self, bench: Bench, place: Sequence[float], one: Settled | None, confidence: float, strong: bool) -> None:
        """Note a design, and its power where it is asked for."""
        slacks = np.full(len(bench.demands), UNFIT) if one is None else one.slacks(confidence)
        self.places.append(tuple(place))
        self.cost.append(math.inf if one is None else one.cost)
        self.slacks.append(slacks)
        self.power.append(one.power().value if one is not None and strong and slacks.min() >= 0 else math.nan)

    def feasible(self, without: int | None = None) -> list[int]:
        """Numbers of the designs that meet every demand, but perhaps one; the cheapest first."""
        kept = [at for at in range(len(self.slacks[0])) if at != without] if self.slacks else []
        met = [at for at, slack in enumerate(self.slacks) if slack[kept].min(initial=math.inf) >= 0]
        return sorted((at for at in met if math.isfinite(self.cost[at])), key=lambda at: self.cost[at])

    def undominated(self) -> list[int]:
        """Numbers of the feasible designs than which none is both cheaper and stronger; the cheapest first."""
        best, kept = -math.inf, []
        for at in self.feasible():
            if self.power[at] > best + 1e-9:
                best = self.power[at]
                kept.append(at)
        return kept

    def nearest(self) -> int:
        """Number of the design that misses its demands by least."""
        return int(np.argmax([slack.min() for slack in self.slacks]))


def scan(bench: Bench, points: int, seed: int) -> Tried:
    """Points that fill the space of the figures evenly (Sobol, scrambled by the seed), all on the same draws."""
    sampler = qmc.Sobol(len(bench.search.figures), rng=np.random.default_rng(seed))
    places = sampler.random_base2(math.ceil(math.log2(points)))[:points]
    tried = Tried()
    for place in effort.each(places, "trying designs"):
        tried.add(bench, place, bench.at(bench.figures(place)), 0.5, strong=True)
    return tried


def refine(bench: Bench, start: Place, confidence: float, aim: str, relaxed: Array | None = None) -> Place:
    """The best design near a place that meets every demand with this confidence; the nearest where none does.

    By linear approximation (COBYLA, Powell 1994), for costs and distances bend. A demand on a chance is held as one on
    the order statistic that goes with it, which moves without jumps. Figures with a list of values stay.
    """
    free = [at for at, figure in enumerate(bench.search.figures) if figure.values is None]
    tried, seen = Tried(), dict[Place, int]()
    more = np.zeros(len(bench.demands)) if relaxed is None else relaxed

    def number(moved: Array) -> int:
        place = np.array(start)
        place[free] = np.clip(moved, 0.0, 1.0)
        key = tuple(place.tolist())
        if key not in seen:
            seen[key] = len(tried.places)
            tried.add(bench, key, bench.at(bench.figures(key)), confidence, strong=False)
            tried.slacks[-1] = tried.slacks[-1] + more
            tried.power[-1] = worth(key, tried.cost[-1])
        return seen[key]

    def worth(place: Place, cost: float) -> float:
        if not math.isfinite(cost):
            return _PER_CENT
        if aim == "cheapest":
            return _PER_CENT * cost
        settled = bench.at(bench.figures(place))
        return math.inf if settled is None else _PER_CENT * (_COST_OF_POWER * cost - settled.power().value)

    first = np.array(start)[free]
    _minimise(lambda x: tried.power[number(x)], lambda x: _PER_CENT * tried.slacks[number(x)], first)
    met = tried.feasible()
    return tried.places[min(met, key=lambda at: tried.power[at]) if met else tried.nearest()]


def _minimise(worth: Callable[[Array], float], within: Callable[[Array], Array], first: Array) -> None:
    """Look for the least worth within limits; the caller notes what it is asked on the way."""
    worth(first)
    if not first.size:
        return
    for step in (_STEP, _STEP / 8):
        found = optimize.minimize(
            worth, first, method="COBYLA", bounds=[(0.0, 1.0)] * first.size,
            constraints=[{"type": "ineq", "fun": within}],
            options={"rhobeg": step, "tol": _CLOSE, "maxiter": _STEPS_EACH * (first.size + 1)},
        )  # fmt: skip
        first = np.clip(found.x, 0.0, 1.0)
