"""How a rule leaves one patient's cost spread: single amounts that have a chance of their own, and a smooth rest.

A total is smooth where enough patients' kept costs are. How smooth is read off survival functions alone: on a stretch
where a density rises and falls once, |∫ exp(itx) f(x) dx| is at most 2·max f / t, and what lies where it is higher
still is counted whole. The bound falls with t, so that it holds for all frequencies from t on.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..costs.families.base import Severity
from ..costs.quadrature import Law

Array = NDArray[np.float64]

_OCTAVES = np.arange(0.25, 40, 0.25)
_MESH = np.concatenate([-np.expm1(-_OCTAVES[:3:-1] * np.log(2)), np.exp2(-_OCTAVES[3:])])
_INSIDE = 1e-12
_STEEPER = 1.2  # the highest density over the average of the cell that holds it


class Spread(NamedTuple):
    """One user's kept cost at one factor."""

    amounts: Array
    """Single amounts with a chance of their own, ascending, money; shape (amount,)."""
    chances: Array
    """Of each, given that he is a user; shape (amount,)."""
    unsmoothed: Array
    """Bound on |E[exp(itX); none of the amounts]| at each of some frequencies and beyond; shape (frequency,)."""


def spread_of(
    severity: Severity, edges: Array, slopes: Array, intercepts: Array, factor: float, frequencies: Array
) -> Spread:
    """The spread of kept(factor·X)."""
    single: list[tuple[Array, Array]] = []
    unsmoothed = np.zeros(frequencies.size)
    for part in severity.parts:
        for low, high, slope, intercept in zip(edges[:-1], edges[1:], slopes, intercepts, strict=True):
            start, stop = max(low - part.shift, part.low), min(high - part.shift, part.high)
            if start >= stop:
                continue
            above, below = float(part.law.sf(start)), float(part.law.sf(stop)) if np.isfinite(stop) else 0.0
            if slope == 0.0:
                single.append((np.array([intercept]), np.array([part.weight * (above - below)])))
                continue
            costs, chances = part.law.atoms
            here = (costs > start) & (costs <= stop)
            single.append((slope * factor * (costs[here] + part.shift) + intercept, part.weight * chances[here]))
            for chance, width in _stretches(part.law, above, below):
                unsmoothed += _unsmoothed(part.weight * chance, slope * factor * width, frequencies)
    amounts, chances = (np.concatenate(arrays) for arrays in zip(*single, strict=True))
    found, place = np.unique(amounts, return_inverse=True)
    weights = np.asarray(np.bincount(place, chances, found.size), float)
    return Spread(found[weights > 0], weights[weights > 0], unsmoothed)


def _stretches(law: Law, above: float, below: float) -> Iterator[tuple[Array, Array]]:
    """Chance and width of the cells of each stretch on which the density rises and falls at most once."""
    if law.atoms[1].sum() > 1 - 1e-12:
        return
    breaks = law.breaks
    ends = np.concatenate([[above], np.sort(breaks[(breaks < above) & (breaks > below)])[::-1], [below]])
    for start, stop in itertools.pairwise(ends):
        survival = np.concatenate([[start], _MESH[(start > _MESH) & (stop < _MESH)], [stop]])
        # a little inside the stretch, as the quantile function may jump at its ends
        inside = np.clip(survival, stop + _INSIDE * (start - stop), start - _INSIDE * (start - stop))
        width = -np.diff(-law.isf(np.maximum(inside, 1e-15)))
        if width.sum() > 0:
            yield -np.diff(survival), np.maximum(width, 0.0)


def _unsmoothed(chance: Array, width: Array, frequencies: Array) -> Array:
    with np.errstate(divide="ignore"):
        density = chance / width
    order = np.argsort(-density)
    density, whole = density[order], np.cumsum(chance[order])
    # without the densest cells two stretches are left, each of which rises or falls
    left_out = (whole[:, None] + 4 * density[:, None] / frequencies).min(axis=0)
    return np.asarray(np.minimum(np.minimum(2 * _STEEPER * density[0] / frequencies, left_out), whole[-1]))
