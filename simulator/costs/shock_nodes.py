"""Points and weights that integrate a function of all streams' factors over the joint law of the shocks.

Rare shocks come first: an independent one is two points; correlated ones are laid out over their scores, in panels
between which each steps. Given them, the logarithms of the streams' factors are jointly normal, of no more dimensions
than there are groups of streams that the same shocks hit, however many shocks there are. The first axis lies along the
pull of the function, so that it alone takes a node for every turn; the others need few. All axes have Gauss's rule for
the truncated normal law. Where that would take too many points (from about five dimensions on) the points are
quasi-random: Sobol's, with a fixed scrambling, and an error of some 1e-4 in a probability.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import special

from .shocks import SHOCK_BOUND, JointShocks, RareShock, Shock

Array = NDArray[np.float64]

MOST_POINTS = 120_000
"""Points of a tensor from which on quasi-random points are taken."""
QUASI_RANDOM_POINTS = 1 << 14
_FEWEST = {1: 48, 2: 24, 3: 16}  # points of the first axis, by the number of dimensions
_FEWEST_OF_MANY = 12
_STEP_POINTS = 2_400
_PANEL_POINTS = 28
_MOST_GAUSS = 256
_NEGLIGIBLE = 1e-15
_RADIUS = 7.5  # of the scores together, where there are several; beyond it lies 1e-10 of probability in five dimensions
_RANK = 1e-12  # of the variance of all logarithms: axes with less are none
_USUAL = 3.0  # standard deviations within which a stream's factor bends the pull


class ShockNodes(NamedTuple):
    """Points of the joint law of the streams' factors."""

    factors: Array
    """Shape (node, stream); of mean exactly 1 in each stream."""
    weights: Array
    """Shape (node,), adding up to 1."""
    is_quasi_random: bool
    """Whether the points are quasi-random, so that two halves of them tell the error."""


def joint_nodes(joint: JointShocks, steps: bool = False, pull: Array | None = None) -> ShockNodes:
    """Nodes for the factors of all streams."""
    normal = _normal_part(joint, pull)
    rare = _rare_nodes(joint, normal)
    counts = _counts(normal, rare.weights.size, steps)
    if rare.weights.size * math.prod(counts) > MOST_POINTS:
        return _quasi_random(joint)
    scores, weights = np.zeros((1, 0)), np.ones(1)
    for count in counts:
        score, weight = _midpoints(count) if steps else _normal_rule(count)
        scores = np.column_stack([np.repeat(scores, count, axis=0), np.tile(score, weights.size)])
        weights = (weights[:, None] * weight).ravel()
    factors = np.exp(rare.shift[:, None] + scores @ normal.axes.T) * rare.factors[:, None]
    weights = (rare.weights[:, None] * weights).ravel()
    factors = factors.reshape(weights.size, -1)
    if normal.dimensions > 1:
        square = ((rare.scores**2).sum(axis=1)[:, None] + (scores**2).sum(axis=1)).ravel()
        kept = (weights > _NEGLIGIBLE) & (square < _RADIUS**2)
        weights, factors = weights[kept], factors[kept]
    weights = weights / weights.sum()
    return ShockNodes((factors / (weights @ factors))[:, joint.group_of], weights, False)


def count_of(joint: JointShocks, pull: Array) -> int:
    """About how many nodes `joint_nodes` lays for this pull."""
    normal = _normal_part(joint, pull)
    return min(_rare_nodes(joint, normal).weights.size * math.prod(_counts(normal, 1, False)), MOST_POINTS)


def factor_range(joint: JointShocks) -> tuple[Array, Array]:
    """Bounds of each stream's factor over the nodes, each of shape (stream,)."""
    normal = _normal_part(joint, None)
    span = (SHOCK_BOUND if normal.dimensions == 1 else _RADIUS) * normal.sd
    # the mean is made 1, which takes a little off
    low, high = np.exp(-span * (1 + 1e-9) - span**2 / 30), np.exp(span * (1 + 1e-9))
    for k, shock in enumerate(joint.shocks):
        if isinstance(shock, RareShock):
            hit = joint.groups[k]
            low = np.where(hit, low * shock.levels[0] * (1 - 1e-6), low)
            high = np.where(hit, high * shock.levels[1] * (1 + 1e-6), high)
    return low[joint.group_of], high[joint.group_of]


class _NormalPart(NamedTuple):
    """Logarithms of the groups' factors by yearly shocks, given the scores of correlated rare ones."""

    axes: Array
    """Shape (group, axis): over independent scores, the first along the pull."""
    lean: Array
    """Shape (group, correlated rare shock): over the rare shocks' independent scores."""
    sd: Array
    """Shape (group,), of both together."""
    turns: Array
    """Shape (axis,), radians for one unit of score."""
    lean_turns: Array
    """Shape (correlated rare shock,), radians for one unit of score."""

    @property
    def dimensions(self) -> int:
        return int(self.axes.shape[1] + (self.lean.shape[1] if self.lean.any() else 0))


class _RareNodes(NamedTuple):
    factors: Array
    """Shape (node, group)."""
    weights: Array
    shift: Array
    """Shape (node, group), of the logarithms of yearly factors."""
    scores: Array
    """Shape (node, correlated rare shock)."""


def _normal_part(joint: JointShocks, pull: Array | None) -> _NormalPart:
    sigmas = np.array([shock.sigma if isinstance(shock, Shock) else 0.0 for shock in joint.shocks])
    loads = joint.groups.T * sigmas
    rare = _correlated_rare(joint)
    between = np.linalg.solve(_root(joint, rare), joint.correlation[rare])
    lean = loads @ between.T
    whole = loads @ joint.correlation @ loads.T
    left = whole - lean @ lean.T
    pulled = np.bincount(joint.group_of, pull, len(left)) if pull is not None else np.ones(len(left))
    variance = float(pulled @ left @ pulled)
    floor = _RANK * float(np.trace(left))
    first = left @ pulled / math.sqrt(variance) if variance > floor * float(pulled @ pulled) else np.zeros(len(left))
    values, vectors = np.linalg.eigh(left - np.outer(first, first))
    others = (vectors * np.sqrt(np.maximum(values, 0.0)))[:, values > floor][:, ::-1]
    axes = np.column_stack([first, others]) if first.any() else others
    sd = np.sqrt(np.diag(whole))
    if pull is None:
        return _NormalPart(axes, lean, sd, np.zeros(axes.shape[1]), np.zeros(len(rare)))
    # off the first axis the pull is nothing at the centre, and what factors off the centre bend it to elsewhere
    bent = np.abs(pulled) * np.expm1(_USUAL * sd) @ np.abs(axes)
    return _NormalPart(axes, lean, sd, np.maximum(np.abs(pulled @ axes), bent), np.abs(pulled @ lean))


def _correlated_rare(joint: JointShocks) -> list[int]:
    return [k for k, shock in enumerate(joint.shocks) if isinstance(shock, RareShock) and joint.correlated[k]]


def _root(joint: JointShocks, places: list[int]) -> Array:
    return np.asarray(np.linalg.cholesky(joint.correlation[np.ix_(places, places)]))


def _rare_nodes(joint: JointShocks, normal: _NormalPart) -> _RareNodes:
    """Rare shocks' factors and scores; where no yearly shock leans on the scores, one node for each set of levels."""
    correlated = _correlated_rare(joint)
    levels, scores, weights = _panelled(joint, correlated, normal.lean_turns)
    if not normal.lean.any():
        levels, back = np.unique(levels, axis=0, return_inverse=True)
        weights = np.bincount(back.ravel(), weights).astype(float)
        scores = np.zeros((weights.size, len(correlated)))
    factors = np.ones((weights.size, joint.groups.shape[1]))
    for column, k in enumerate(correlated):
        factors[:, joint.groups[k]] *= levels[:, column, None]
    for k, shock in enumerate(joint.shocks):
        if isinstance(shock, RareShock) and k not in correlated:
            own = np.where(joint.groups[k], np.array(shock.levels)[:, None], 1.0)
            factors = (factors[:, None] * own).reshape(-1, own.shape[1])
            scores = np.repeat(scores, 2, axis=0)
            weights = (weights[:, None] * [shock.p_smaller, 1 - shock.p_smaller]).ravel()
    return _RareNodes(factors, weights, scores @ normal.lean.T, scores)


def _panelled(joint: JointShocks, places: list[int], turns: Array) -> tuple[Array, Array, Array]:
    """Levels and independent scores (node, shock), and weights, of correlated rare shocks."""
    root = _root(joint, places)
    levels, scores, weights = np.zeros((1, 0)), np.zeros((1, 0)), np.ones(1)
    for row, k in enumerate(places):
        shock = joint.shocks[k]
        assert isinstance(shock, RareShock)
        step = (special.ndtri(shock.p_smaller) - scores @ root[row, :row]) / root[row, row]
        count = max(_resolving(float(turns[row]), 0) // 2, _PANEL_POINTS)
        new, weight, upper = _panels(np.clip(step, -SHOCK_BOUND, SHOCK_BOUND), count)
        own = np.where(upper, shock.levels[1], shock.levels[0])
        levels = np.column_stack([np.repeat(levels, new.shape[1], axis=0), own.ravel()])
        scores = np.column_stack([np.repeat(scores, new.shape[1], axis=0), new.ravel()])
        weights = (weights[:, None] * weight).ravel()
    return levels, scores, weights


def _counts(normal: _NormalPart, rare: int, steps: bool) -> list[int]:
    """Points of each axis of the normal part."""
    axes, dimensions = normal.axes.shape[1], normal.dimensions
    if steps:
        return [min(_STEP_POINTS, max(int((MOST_POINTS / rare) ** (1 / max(axes, 1))) - 1, 1))] * axes
    fewest = _FEWEST.get(dimensions, _FEWEST_OF_MANY)
    return [_resolving(float(turn), fewest) for turn in normal.turns]


def _resolving(turn: float, fewest: int) -> int:
    """So many points resolve exp(i·turn·z) to 1e-9; in eights, so that few rules are made."""
    return 8 * math.ceil(max(fewest, 14 + 3.2 * turn if turn else 0) / 8)


def _panels(step: Array, count: int) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Scores, weights and whether they lie above the step, each (parent, node): Gauss's rule on either side."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    low, high = np.full(step.shape, -SHOCK_BOUND), np.full(step.shape, SHOCK_BOUND)
    sides = [(low, step), (step, high)]
    score = np.hstack([(a + b)[:, None] / 2 + (b - a)[:, None] / 2 * nodes for a, b in sides])
    weight = np.hstack([(b - a)[:, None] / 2 * weights for a, b in sides]) * np.exp(-(score**2) / 2)
    return score, weight / weight.sum(axis=1, keepdims=True), np.repeat([[False, True]] * step.size, count, axis=1)


def _midpoints(count: int) -> tuple[Array, Array]:
    score: Array = SHOCK_BOUND * ((np.arange(count, dtype=float) + 0.5) * (2 / count) - 1)
    weights: Array = np.exp(-(score**2) / 2)
    return score, weights / weights.sum()


@cache
def _normal_rule(count: int) -> tuple[Any, Any]:
    """Gauss's rule for the truncated standard normal law, by the three-term recurrence of its polynomials."""
    if count > _MOST_GAUSS:
        # the recurrence takes time as count³; so many even points err by no more than what lies at the ends, 1e-10
        return _midpoints(count)
    nodes, weights = special.roots_legendre(4 * count + 64)  # numpy's rule takes seconds for so many
    score = SHOCK_BOUND * nodes
    weights = weights * np.exp(-(score**2) / 2)
    basis = np.zeros((count + 1, score.size))
    basis[0] = np.sqrt(weights / weights.sum())
    off = np.empty(count)
    for k in range(count):
        # the law is symmetric, so the diagonal of the recurrence is 0
        rest = score * basis[k]
        for _ in range(2):
            rest -= basis[: k + 1].T @ (basis[: k + 1] @ rest)
        off[k] = np.linalg.norm(rest)
        basis[k + 1] = rest / off[k]
    points, vectors = np.linalg.eigh(np.diag(off[:-1], -1))
    return points, vectors[0] ** 2


def _quasi_random(joint: JointShocks) -> ShockNodes:
    points = quasi_random_uniforms(len(joint.shocks), QUASI_RANDOM_POINTS)
    factors = joint.by_stream(joint.factors(points))
    return ShockNodes(factors / factors.mean(axis=0), np.full(len(points), 1 / len(points)), True)


def quasi_random_uniforms(dimensions: int, points: int, block: int = 0) -> Array:
    """Sobol's points with a fixed scrambling, inside (0, 1), shape (point, dimension)."""
    sequence = scipy.stats.qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(20260101))
    if block:
        sequence.fast_forward(block * points)
    drawn = sequence.random(points)
    return np.asarray(np.clip(drawn, 2.0**-53, 1 - 2.0**-53))
