"""The mean of the cost that a rule keeps, given the common factors of each replicate: exact, and without draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy
from numpy.typing import NDArray

from .model import CostModel
from .moments import Layer

Array = NDArray[np.float64]

_NODES = 129  # of the spline in a factor's logarithm, where there are more factors than these


def kept_means(model: CostModel, heads: NDArray[np.int64], layers: Sequence[Layer], factors: Array) -> Array:
    """Exact mean of the cost that a rule keeps, given the factors.

    Parameters
    ----------
    model : CostModel
        Its shocks are not looked at: `factors` are what they came to.
    heads : ndarray of int, shape (population, segment)
        People by segment, as expected; where the case mix is drawn, only their sum counts.
    layers : sequence of Layer
        The rule; empty for gross cost.
    factors : ndarray, shape (replicate, stream)
        What multiplies everybody's cost in a stream: segments first, then rare services.

    Returns
    -------
    ndarray, shape (replicate, population)
        Money per year, of what is in scope. Example: 100 people who cost 1,000 and a factor of 1.1 → 110,000.
    """
    users = _people(model, heads) * np.array([stream.rate * stream.in_scope for stream in model.streams])
    per_user = [_kept(model, s, layers, factors[:, s]) for s in range(len(model.streams))]
    return np.asarray(np.stack(per_user, axis=1) @ users.T)


def _people(model: CostModel, heads: NDArray[np.int64]) -> Array:
    """Expected people at each stream's risk, shape (population, stream)."""
    segments = heads.astype(float)
    if model.sampled:
        mixes = [model.case_mixes(row) for row in heads]
        segments = np.stack([sum(drawn * shares for shares, drawn in mix) for mix in mixes])
    rare = len(model.streams) - heads.shape[1]
    return np.hstack([segments, np.repeat(heads.sum(axis=1, keepdims=True).astype(float), rare, axis=1)])


def _kept(model: CostModel, stream: int, layers: Sequence[Layer], factor: Array) -> Array:
    """E[g(λX)] of one user at each factor λ."""
    severity = model.streams[stream].severity
    moments = severity.moments
    steps = [(float(at[stream]), excess, whole) for at, excess, whole in layers if np.isfinite(at[stream])]

    def removed(at_factor: Array) -> Array:
        total = np.zeros_like(at_factor)
        for at, excess, whole in steps:
            people, cost = moments.above(at / at_factor)[:2]
            total += excess * (at_factor * cost - at * people) + whole * at_factor * cost
        return total

    left = _smooth(removed, factor, exactly=severity.has_atoms) if steps else 0.0
    return np.asarray(factor * moments.raw[1] - left)


def _smooth(curve: Callable[[Array], Array], factor: Array, exactly: bool) -> Array:
    """A curve at many factors, by way of a spline where it has no steps."""
    low, high = np.log(factor.min()), np.log(factor.max())
    if high - low < 1e-12:
        return np.broadcast_to(curve(factor[:1]), factor.shape)
    if exactly or factor.size <= _NODES:
        return curve(factor)
    nodes = np.linspace(low, high, _NODES)
    return np.asarray(scipy.interpolate.CubicSpline(nodes, curve(np.exp(nodes)))(np.log(factor)))
