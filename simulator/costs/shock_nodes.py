"""Points and weights that integrate a function of all streams' factors over the joint law of the shocks.

Independent shocks make independent parts. Yearly shocks that hit the same streams are one part of one dimension (their
logarithms add up); a rare shock is two points; shocks that are correlated are one part, over their independent scores,
rare ones first, so that each is a step at a known place and all else is smooth. Parts are multiplied as a tensor, with
Gauss's rule for the truncated normal law in every dimension. Where that would take too many points (from about five
dimensions on) the points are quasi-random: Sobol's, with a fixed scrambling, and an error of some 1e-4 in a
probability.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, special
from scipy.stats import qmc

from .shocks import SHOCK_BOUND, JointShocks, RareShock, Shock

Array = NDArray[np.float64]

MOST_POINTS = 120_000
"""Points of a tensor from which on quasi-random points are taken."""
QUASI_RANDOM_POINTS = 1 << 14
_FEWEST = {0: 1, 1: 48, 2: 24, 3: 16}  # points a dimension, by the number of dimensions
_FEWEST_OF_MANY = 12
_STEP_POINTS = 2_400
_PANEL_POINTS = 28
_NEGLIGIBLE = 1e-15


class ShockNodes(NamedTuple):
    """Points of the joint law of the streams' factors."""

    factors: Array
    """Shape (node, stream); of mean exactly 1 in each stream."""
    weights: Array
    """Shape (node,), adding up to 1."""
    is_quasi_random: bool
    """Whether the points are quasi-random, so that two halves of them tell the error."""


class _Part(NamedTuple):
    """Shocks that are independent of all others."""

    shocks: tuple[int, ...]
    dimensions: int


def joint_nodes(joint: JointShocks, steps: bool = False, pull: Array | None = None) -> ShockNodes:
    """Nodes for the factors of all streams.

    Parameters
    ----------
    joint : JointShocks
    steps : bool
        Whether the function may have steps, as where an observed cost passes a threshold; it then takes many nodes.
    pull : ndarray, shape (stream,), optional
        How far the function turns, in radians, for each unit of a stream's log factor; each turn takes its nodes.
    """
    parts = _parts(joint)
    dimensions = sum(part.dimensions for part in parts)
    turns = np.zeros(joint.hits.shape[1]) if pull is None else pull
    counts = [_count(joint, part, dimensions, steps, turns) for part in parts]
    points = math.prod(_points_of(joint, part, count) for part, count in zip(parts, counts, strict=True))
    if points > MOST_POINTS:
        return _quasi_random(joint)
    weights, factors = np.ones(1), np.ones((1, joint.hits.shape[1]))
    for part, count in zip(parts, counts, strict=True):
        own, weight = _nodes_of(joint, part, count, steps)
        weights = (weights[:, None] * weight).ravel()
        factors = (factors[:, None] * own).reshape(weights.size, -1)
        if dimensions > 1:
            kept = weights > _NEGLIGIBLE
            weights, factors = weights[kept], factors[kept]
    weights = weights / weights.sum()
    return ShockNodes(factors / (weights @ factors), weights, False)


def factor_range(joint: JointShocks) -> tuple[Array, Array]:
    """Bounds of each stream's factor over the nodes, each of shape (stream,)."""
    low = high = np.ones(joint.hits.shape[1])
    for part in _parts(joint):
        if _is_merged(joint, part):
            span = SHOCK_BOUND * _sigma(joint, part)
            bounds = {part.shocks[0]: (math.exp(-span * (1 + 1e-9) - span**2 / 30), math.exp(span * (1 + 1e-9)))}
        else:
            ends = {k: joint.shocks[k].factor(np.array([1e-300, 1.0])) for k in part.shocks}
            bounds = {k: (float(end[0]) * (1 - 1e-6), float(end[1]) * (1 + 1e-6)) for k, end in ends.items()}
        for k, (least, most) in bounds.items():
            low, high = np.where(joint.hits[k], low * least, low), np.where(joint.hits[k], high * most, high)
    return low, high


# ── parts ────────────────────────────────────────────────────────────────────────────────────────


def _parts(joint: JointShocks) -> list[_Part]:
    found: dict[object, list[int]] = {}
    for k, shock in enumerate(joint.shocks):
        key: object = ("rare", k) if isinstance(shock, RareShock) else joint.hits[k].tobytes()
        if joint.correlated[k]:
            key = ("correlated", _first_of_component(joint.correlation, k))
        found.setdefault(key, []).append(k)
    parts = []
    for group in found.values():
        alone = not joint.correlated[group[0]]
        rare = alone and isinstance(joint.shocks[group[0]], RareShock)
        parts.append(_Part(tuple(group), 0 if rare else 1 if alone else len(group)))
    return parts


def _first_of_component(correlation: Array, k: int) -> int:
    reached = correlation[k] != 0
    while True:
        wider = (correlation[reached] != 0).any(axis=0)
        if np.array_equal(wider, reached):
            return int(np.argmax(reached))
        reached = wider


def _is_merged(joint: JointShocks, part: _Part) -> bool:
    """Whether the part is one dimension of yearly shocks whose logarithms add up."""
    return part.dimensions == 1 and not joint.correlated[part.shocks[0]]


def _sigma(joint: JointShocks, part: _Part) -> float:
    return math.sqrt(sum(shock.sigma**2 for shock in _yearly(joint, part.shocks)))


def _yearly(joint: JointShocks, places: Sequence[int]) -> list[Shock]:
    return [shock for shock in (joint.shocks[k] for k in places) if isinstance(shock, Shock)]


def _count(joint: JointShocks, part: _Part, dimensions: int, steps: bool, pull: Array) -> int:
    """Points of each dimension of a part."""
    if steps:
        rare = sum(isinstance(shock, RareShock) for shock in joint.shocks)
        return min(_STEP_POINTS, max(int((MOST_POINTS / 2**rare) ** (1 / max(dimensions, 1))) - 1, 1))
    if _is_merged(joint, part):
        turn = float(pull @ joint.hits[part.shocks[0]]) * _sigma(joint, part)
    else:
        places, root = _rare_first(joint, part)
        sigmas = [s.sigma if isinstance(s, Shock) else 0.0 for s in (joint.shocks[k] for k in places)]
        turn = float(np.abs((sigmas * (joint.hits[places] @ pull)) @ root).max())
    # so many resolve exp(i·turn·z) to 1e-9; in eights, so that few rules are made
    return 8 * math.ceil(max(_FEWEST.get(dimensions, _FEWEST_OF_MANY), 14 + 3.2 * turn if turn else 0) / 8)


def _points_of(joint: JointShocks, part: _Part, count: int) -> int:
    if part.dimensions == 0:
        return 2
    if _is_merged(joint, part):
        return count
    rare = sum(isinstance(joint.shocks[k], RareShock) for k in part.shocks)
    return int((2 * max(count // 2, _PANEL_POINTS)) ** rare * count ** (len(part.shocks) - rare))


def _nodes_of(joint: JointShocks, part: _Part, count: int, steps: bool) -> tuple[Array, Array]:
    """Factors (node, stream) and weights of one part."""
    first = joint.shocks[part.shocks[0]]
    if part.dimensions == 0 and isinstance(first, RareShock):
        weights = np.array([first.p_smaller, 1 - first.p_smaller])
        own = np.array(first.levels)[:, None]
    elif _is_merged(joint, part):
        score, weights = _midpoints(count) if steps else _normal_rule(count)
        # several truncated normals add up to one but for some 1e-9 of probability
        own = np.exp(_sigma(joint, part) * score)[:, None]
        return np.where(joint.hits[part.shocks[0]], own / (weights @ own), 1.0), weights
    else:
        own, weights = _correlated(joint, part, count, steps)
        own = own / (weights @ own)
    factors = np.ones((weights.size, joint.hits.shape[1]))
    for column, k in enumerate(part.shocks):
        factors[:, joint.hits[k]] *= own[:, column, None]
    return factors, weights


def _rare_first(joint: JointShocks, part: _Part) -> tuple[list[int], Array]:
    """A part's shocks, rare ones first, and the root of their correlation."""
    places = sorted(part.shocks, key=lambda k: not isinstance(joint.shocks[k], RareShock))
    return places, np.asarray(np.linalg.cholesky(joint.correlation[np.ix_(places, places)]))


def _correlated(joint: JointShocks, part: _Part, count: int, steps: bool) -> tuple[Array, Array]:
    """Factors (node, shock of the part) and weights, over independent scores; rare shocks first."""
    places, root = _rare_first(joint, part)
    score, weights = np.zeros((1, 0)), np.ones(1)
    found: dict[int, Array] = {}
    for row, k in enumerate(places):
        shock, given = joint.shocks[k], score @ root[row, :row]
        if isinstance(shock, RareShock):
            step = np.clip((special.ndtri(shock.p_smaller) - given) / root[row, row], -SHOCK_BOUND, SHOCK_BOUND)
            new, weight, upper = _panels(step, max(count // 2, _PANEL_POINTS))
            own = np.where(upper, shock.levels[1], shock.levels[0])
        else:
            rule = _midpoints(count) if steps else _normal_rule(count)
            new, weight = (np.tile(one, (weights.size, 1)) for one in rule)
            own = shock.factor(special.ndtr(given[:, None] + root[row, row] * new))
        repeat = new.shape[1]
        found = {place: np.repeat(values, repeat) for place, values in found.items()} | {k: own.ravel()}
        score = np.column_stack([np.repeat(score, repeat, axis=0), new.ravel()])
        weights = (weights[:, None] * weight).ravel()
    return np.stack([found[k] for k in part.shocks], axis=1), weights / weights.sum()


def _panels(step: Array, count: int) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Scores, weights and whether they lie above the step, each (parent, node): Gauss's rule on either side."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    low, high = np.full(step.shape, -SHOCK_BOUND), np.full(step.shape, SHOCK_BOUND)
    sides = [(low, step), (step, high)]
    score = np.hstack([(a + b)[:, None] / 2 + (b - a)[:, None] / 2 * nodes for a, b in sides])
    weight = np.hstack([(b - a)[:, None] / 2 * weights for a, b in sides]) * np.exp(-(score**2) / 2)
    return score, weight / weight.sum(axis=1, keepdims=True), np.repeat([[False, True]] * step.size, count, axis=1)


# ── rules of one dimension ───────────────────────────────────────────────────────────────────────


def _midpoints(count: int) -> tuple[Array, Array]:
    score: Array = SHOCK_BOUND * ((np.arange(count, dtype=float) + 0.5) * (2 / count) - 1)
    weights: Array = np.exp(-(score**2) / 2)
    return score, weights / weights.sum()


@cache
def _normal_rule(count: int) -> tuple[Any, Any]:
    """Gauss's rule for the truncated standard normal law, by the three-term recurrence of its polynomials."""
    nodes, weights = np.polynomial.legendre.leggauss(4 * count + 64)
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
    points, vectors = linalg.eigh_tridiagonal(np.zeros(count), off[:-1])
    return points, vectors[0] ** 2


def _quasi_random(joint: JointShocks) -> ShockNodes:
    points = quasi_random_uniforms(len(joint.shocks), QUASI_RANDOM_POINTS)
    factors = joint.by_stream(joint.factors(points))
    return ShockNodes(factors / factors.mean(axis=0), np.full(len(points), 1 / len(points)), True)


def quasi_random_uniforms(dimensions: int, points: int) -> Array:
    """Sobol's points with a fixed scrambling, inside (0, 1), shape (point, dimension)."""
    drawn = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(20260101)).random(points)
    return np.asarray(np.clip(drawn, 2.0**-53, 1 - 2.0**-53))
