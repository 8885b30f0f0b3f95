"""Curves that are straight but for kinks and jumps: where these lie."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..terms import Array

Curves = Callable[[Array], Any]  # several curves, (point, curve), at each point, (point,)

_CLOSE = 1e-9  # of the range: how closely kinks and jumps are surrounded
_FINER = 17  # points into which an interval with a kink or a jump is cut, again and again

_INTERVALS = 100
_OFF = 0.381966  # of an interval: keeps the points off the round numbers at which contracts bend
_TURN = 5e-4  # a smaller change of slope is not seen; what is curved has smaller ones the closer one looks
_JUMP = 1e-6  # what a curve rises at a node that is a jump
_DECIMALS = 8


def turns_of(points: Array, values: Array) -> Array:
    """Largest change of slope of any curve at each inner point; (point − 2,)."""
    slopes = np.diff(values, axis=0) / np.diff(points)[:, None]
    return np.asarray(np.abs(np.diff(slopes, axis=0)).max(axis=1))


def follow(
    curves: Curves, points: Array, is_turn: Callable[[Array, Array], npt.NDArray[np.bool_]]
) -> tuple[Array, Array]:
    """Points to which others are added until every turn is closely surrounded, and the values there."""
    values, close = np.asarray(curves(points)), _CLOSE * (points[-1] - points[0])
    while True:
        within = _intervals(is_turn(points, values)) & (np.diff(points) > close)
        if not within.any():
            return points, values
        inner = np.arange(1, _FINER) / _FINER
        new = (points[:-1][within, None] + inner * np.diff(points)[within, None]).ravel()
        order = np.argsort(np.concatenate([points, new]), kind="stable")
        points = np.concatenate([points, new])[order]
        values = np.concatenate([values, curves(new)])[order]


def _intervals(turns: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Intervals with a turn at one of their ends."""
    return np.concatenate([turns, [False]]) | np.concatenate([[False], turns])


def nodes(curves: Curves, low: float, high: float) -> Array:
    """Points between two ends at which curves of the order of 1 bend; two close to each other where one jumps.

    A node is a round number where the curve allows it, since what is agreed is one: 0.98, not 0.97999999953.
    """
    inside = low + (high - low) * (np.arange(_INTERVALS) + _OFF) / _INTERVALS
    points, values = follow(curves, np.concatenate([[low], inside, [high]]), lambda x, y: turns_of(x, y) > _TURN)
    bent = np.flatnonzero(_intervals(turns_of(points, values) > _TURN))
    told: list[float] = []
    for group in np.split(bent, np.flatnonzero(np.diff(bent) > 1) + 1) if bent.size else ():
        first, last = group[0], group[-1] + 1
        jumps = float(np.abs(values[last] - values[first]).max()) > _JUMP
        told += _jump(curves, points[first], points[last]) if jumps else [_round(points[first], points[last])]
    return np.array([point for point in told if low < point < high])


def _round(low: float, high: float) -> float:
    return round(float(low + high) / 2, _DECIMALS)


def _jump(curves: Curves, low: float, high: float) -> list[float]:
    """The two sides of a jump; the round number is on the side to which the contract gives it."""
    middle, beside = _round(low, high), 2 * (float(high - low) + 10.0**-_DECIMALS)
    below, at, above = curves(np.array([middle - beside, middle, middle + beside]))
    if np.abs(at - below).max() <= _JUMP:
        return [middle, middle + beside]
    return [middle - beside, middle] if np.abs(above - at).max() <= _JUMP else [float(low), float(high)]
