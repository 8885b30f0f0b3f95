"""Integrals over a family's quantile function: moments, limited means and conditional moments, for every family alike.

With Q(s) the cost exceeded with probability s, E[g(X)] = ∫₀¹ g(Q(s)) ds. The mesh is uniform in −log s towards the
large costs and in −log(1 − s) towards the small ones, so that power-law ends are integrated to rounding error; kinks
and jumps of Q lie on its nodes' edges. A family that is composed of others is integrated part by part.
"""

from __future__ import annotations

import math
from functools import cache, cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Array = NDArray[np.float64]

ORDERS = np.arange(5)
_LN2 = np.log(2.0)
# survival probabilities descending from 1 to e^-700
_HALVED = np.r_[1.0, -np.expm1(-np.arange(60, 1, -1) * _LN2), np.exp(-np.arange(1, 61) * _LN2)]
_EDGES = np.r_[_HALVED, np.exp(-np.linspace(60 * _LN2, 700.0, 111)[1:])]
_TURN = 16.0  # radians that a panel of 16 nodes resolves to rounding error
_FADE, _SURE = 0.7, 6.5  # the middle of the fading in logarithms of the cost, and normal scores from there to its end
_MOST_CUTS = 160  # of all panels together, the cheapest first
# the same down to e^-41, where little is left: for functions that must be evaluated many times
_COARSE = np.array([52, 42, 33, *range(24, 1, -2)])
_COARSE_EDGES = np.r_[1.0, -np.expm1(-_COARSE * _LN2), np.exp(-np.arange(1, 60) * _LN2)]


class Part(NamedTuple):
    """One of the laws of which a family is composed: E[g(X)] = Σ weight · E[g(Y + shift); low < Y ≤ high]."""

    law: Law
    """Of Y; its `isf` is smooth between its `breaks`."""
    weight: float = 1.0
    low: float = -math.inf
    high: float = math.inf
    shift: float = 0.0


class Law:
    """What is integrated: annual cost by its survival function and its quantile function."""

    @property
    def tail_index(self) -> float:
        """Moments of this order and above are infinite."""
        return math.inf

    @property
    def breaks(self) -> Array:
        """Survival probabilities at which `isf` has a kink or a jump."""
        return np.empty(0)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The laws of which it is composed; itself alone where `isf` is smooth between `breaks`."""
        return (Part(self),)

    @cached_property
    def moments(self) -> Moments:
        """Partial moments, prepared once."""
        return _prepared(self)

    @property
    def atoms(self) -> tuple[Array, Array]:
        """Single costs that have a chance of their own, and that chance; of a family that is not composed."""
        return np.empty(0), np.empty(0)

    @property
    def has_atoms(self) -> bool:
        """Whether some single cost has a chance of its own."""
        return any(part.law.atoms[0].size > 0 for part in self.parts)

    def sf(self, x: ArrayLike) -> Array:
        """P(X > x)."""
        raise NotImplementedError

    def isf(self, s: ArrayLike) -> Array:
        """The cost that is exceeded with probability s."""
        raise NotImplementedError


_rule = cache(np.polynomial.legendre.leggauss)


def panel_moments(severity: Law, high: ArrayLike, low: ArrayLike, order: int = 16) -> Array:
    """∫ Q(s)ᵏ ds for k = 0 … 4, shape (5, panel), over panels low < s < high between which Q is smooth."""
    cost, weight = _panel_nodes(severity, np.asarray(high, float), np.asarray(low, float), order)
    with np.errstate(over="ignore"):
        # the root of the weight goes inside the power, which alone may be beyond a computer's numbers
        return np.stack([((weight ** (1 / k) * cost) ** k if k > 1 else weight * cost**k).sum(axis=0) for k in ORDERS])


def _panel_nodes(severity: Law, high: Array, low: Array, order: int) -> tuple[Array, Array]:
    """Costs and probability weights of the nodes of each panel, both (order, panel)."""
    upper = high > 0.5
    # nodes uniform in −log s for the large costs, in −log(1 − s) for the small ones
    with np.errstate(divide="ignore", over="ignore"):
        start = np.where(upper, np.minimum(-np.log1p(-np.minimum(high, 1.0)), 745.0), -np.log(np.maximum(high, 1e-320)))
        stop = np.where(upper, np.minimum(-np.log1p(-low), 745.0), np.minimum(-np.log(np.maximum(low, 1e-320)), 736.0))
    nodes, weights = _rule(order)
    y = start + (stop - start) * (nodes[:, None] + 1) / 2
    small = np.exp(-y)
    weight = np.abs(stop - start) / 2 * weights[:, None] * small
    with np.errstate(over="ignore", divide="ignore"):
        cost = severity.isf(np.clip(np.where(upper, 1 - small, small), 1e-320, 1.0))
    return cost, weight


class TurningNodes(NamedTuple):
    """Costs x and weights w with E[g(X)] ≈ Σ w·g(x), for a g that turns with the cost."""

    cost: Array
    """Money, ascending; shape (node,)."""
    weight: Array
    """Probabilities that add up to that of the range but for 1e-17; shape (node,)."""
    averaged: Array
    """Share of g at each node that averages out to 0, as it turns so often there; rises smoothly; shape (node,)."""


def turning_nodes(severity: Law, kinks: Array, frequency: float, most: float = np.inf, order: int = 16) -> TurningNodes:
    """Nodes up to a cost, one of the finite `kinks` or infinity, for any g that is smooth but at these.

    Nodes between the same two kinks stand together. Panels are cut in which g, which turns by at most `frequency`
    radians for each unit of money, turns far.
    """
    if len(severity.parts) == 1:
        return _smooth_nodes(severity, kinks, frequency, most, order)
    found = [_part_nodes(part, kinks, frequency, most, order) for part in severity.parts]
    cost, weight, averaged = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    ascending = np.argsort(cost, kind="stable")
    return TurningNodes(cost[ascending], weight[ascending], averaged[ascending])


def _part_nodes(part: Part, kinks: Array, frequency: float, most: float, order: int) -> TurningNodes:
    """Nodes of one part of a family."""
    own = np.append(kinks - part.shift, [end for end in (part.low, part.high) if np.isfinite(end)])
    nodes = _smooth_nodes(part.law, own, frequency, max(min(part.high, most - part.shift), part.low), order)
    kept = (nodes.cost > part.low) & (nodes.cost <= part.high)
    return TurningNodes(nodes.cost[kept] + part.shift, nodes.weight[kept] * part.weight, nodes.averaged[kept])


def _smooth_nodes(severity: Law, kinks: Array, frequency: float, most: float, order: int) -> TurningNodes:
    """Nodes of a family whose quantile function is smooth between its breaks."""
    least = max(float(severity.sf(most)) if np.isfinite(most) else 0.0, _COARSE_EDGES[-1])
    edges = np.concatenate([_COARSE_EDGES, severity.breaks, np.atleast_1d(severity.sf(kinks)), [least]])
    edges = np.unique(edges[(edges >= least) & (edges <= 1)])[::-1]
    edges, uncut = _cut_where_it_turns(severity, edges, frequency)
    cost, weight = (part.T.ravel() for part in _panel_nodes(severity, edges[:-1], edges[1:], order))
    ascending = np.argsort(cost, kind="stable")
    cost, weight, uncut = cost[ascending], weight[ascending], np.repeat(uncut, order)[ascending]
    averaged = np.zeros(cost.size)
    if uncut.any():
        # a sharp end would turn by itself, a smooth one leaves next to nothing
        logs = np.log(np.maximum(cost, 1e-300))
        averaged = special.ndtr(((logs - logs[uncut].min()) / _FADE + 1) * _SURE)
        averaged[uncut] = 1.0
    return TurningNodes(cost, weight, averaged)


def _cut_where_it_turns(severity: Law, edges: Array, frequency: float) -> tuple[Array, NDArray[np.bool_]]:
    """The panels, cut so that exp(i·frequency·x) turns by few radians in each; and those too dear to be cut."""
    cost = severity.isf(np.clip(edges, _COARSE_EDGES[-1], 1 - 1e-16))
    cuts = np.maximum(np.ceil(frequency * np.diff(cost) / _TURN) - 1, 0.0)
    left = (cuts > 0) & (np.cumsum(cuts) > _MOST_CUTS)
    cut = np.flatnonzero((cuts > 0) & ~left)
    inner = [severity.sf(np.linspace(cost[k], cost[k + 1], int(cuts[k]) + 2)[1:-1]) for k in cut]
    finer = np.unique(np.concatenate([edges, *inner]))[::-1]
    return finer, left[np.searchsorted(-edges, -finer[:-1], side="right") - 1]


def cell_moments(severity: Law, edges: Array) -> tuple[Array, NDArray[np.int64], Array]:
    """Moments of the cells between descending survival probabilities, however many kinks or jumps lie inside them.

    By panels, each inside one cell and free of kinks and jumps: ∫ Q(s)ᵏ ds, shape (5, panel), the first panel of each
    cell, and the panels' edges, descending.
    """
    between = np.concatenate([severity.breaks, _EDGES])
    inside = between[(between < edges[0]) & (between > edges[-1])]
    panel_edges = np.unique(np.concatenate([edges, inside]))[::-1]
    moments = panel_moments(severity, panel_edges[:-1], panel_edges[1:], order=8)
    starts = np.searchsorted(-panel_edges, -edges[:-1]).astype(np.int64)
    return moments, starts, panel_edges


class Moments:
    """Partial moments of one family, prepared once and read at any cost."""

    def __init__(self, severity: Law) -> None:
        self.severity = severity
        self._parts = [(part, _SmoothMoments(part.law)) for part in severity.parts]

    @cached_property
    def raw(self) -> Array:
        """E[Xᵏ], k = 0 … 4; infinite from the tail index on."""
        return self.below(np.inf)

    def below(self, cost: ArrayLike) -> Array:
        """E[Xᵏ; X ≤ cost], shape (5, …); cost may be infinite."""
        cost = np.asarray(cost, float)
        if len(self._parts) == 1:
            return self._parts[0][1].below(cost)
        return self._summed(np.full_like(cost, -np.inf), cost)

    def above(self, cost: ArrayLike) -> Array:
        """E[Xᵏ; X > cost], shape (5, …); cost may be infinite."""
        cost = np.asarray(cost, float)
        if len(self._parts) == 1:
            return self._parts[0][1].above(cost)
        return self._summed(cost, np.full_like(cost, np.inf))

    def _summed(self, low: Array, high: Array) -> Array:
        """E[Xᵏ; low < X ≤ high], part by part."""
        total = np.zeros((ORDERS.size, *low.shape))
        for part, moments in self._parts:
            own_low, own_high = np.maximum(low - part.shift, part.low), np.minimum(high - part.shift, part.high)
            total += part.weight * _shifted(moments.between(own_low, np.maximum(own_high, own_low)), part.shift)
        return total


def _shifted(moments: Array, shift: float) -> Array:
    """E[(Y + shift)ᵏ] of a measure from its own moments, k along the first axis."""
    if not shift:
        return moments
    return np.stack([sum(special.comb(k, j) * shift ** (k - j) * moments[j] for j in range(k + 1)) for k in ORDERS])


@lru_cache(maxsize=128)  # a scenario is validated anew for every question that is asked of it
def _prepared(severity: Law) -> Moments:
    return Moments(severity)


class _SmoothMoments:
    """Partial moments of a family whose quantile function is smooth between its breaks."""

    def __init__(self, severity: Law) -> None:
        self.severity, breaks = severity, severity.breaks
        edges = np.unique(np.concatenate([_EDGES, breaks[(breaks > _EDGES[-1]) & (breaks < 1)]]))[::-1]
        panels = panel_moments(severity, edges[:-1], edges[1:])
        self._edges = edges
        rest = _power_law_rest(severity, edges[-1])
        with np.errstate(over="ignore"):
            self._below = np.cumsum(np.concatenate([np.zeros((ORDERS.size, 1)), panels], axis=1), axis=1)
            self._beyond = np.cumsum(np.concatenate([rest, panels[:, ::-1]], axis=1), axis=1)[:, ::-1]
        self._beyond[severity.tail_index <= ORDERS] = np.inf

    def below(self, cost: Array) -> Array:
        return self._at(cost, self._below, 1.0, self._beyond[:, 0])

    def above(self, cost: Array) -> Array:
        return self._at(cost, self._beyond, -1.0, np.zeros(ORDERS.size))

    def between(self, low: Array, high: Array) -> Array:
        """E[Xᵏ; low < X ≤ high] for low ≤ high, from whichever end loses fewer digits."""
        top = (self.severity.tail_index > ORDERS).reshape(-1, *[1] * low.ndim) & (self.severity.sf(low) <= 0.5)
        with np.errstate(invalid="ignore"):
            from_above = self.above(low) - self.above(high) if top.any() else 0.0
            from_below = 0.0 if top.all() else self.below(high) - self.below(low)
        return np.where(low < high, np.maximum(np.where(top, from_above, from_below), 0.0), 0.0)

    def _at(self, cost: Array, sums: Array, sign: float, at_infinity: Array) -> Array:
        infinite = np.isposinf(flat := np.atleast_1d(cost).ravel())
        survival = np.clip(self.severity.sf(np.where(infinite, 0.0, flat)), self._edges[-1], 1.0)
        panel = np.clip(np.searchsorted(-self._edges, -survival, side="right") - 1, 0, self._edges.size - 2)
        start = self._edges[panel]
        partial = panel_moments(self.severity, start, survival) if (~infinite & (survival < start)).any() else 0.0
        found = sums[:, panel] + sign * np.where(survival < start, partial, 0.0)
        return np.where(infinite, at_infinity[:, None], found).reshape(ORDERS.size, *cost.shape)


def _power_law_rest(severity: Law, survival: float) -> Array:
    """What lies beyond the mesh, shape (5, 1): it matters where a moment is barely finite, and there Q is a power."""
    index = severity.tail_index
    finite = index > ORDERS
    if not np.isfinite(index):
        return np.zeros((ORDERS.size, 1))
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        log_cost = np.log(severity.isf(survival))
        rest = np.exp(np.log(survival) + ORDERS * log_cost) / (1 - ORDERS / index)
    return np.where(finite, rest, 0.0)[:, None]
