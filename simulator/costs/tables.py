"""Quantile tables: one form for every family, so that the kernel never knows which it draws.

A user is a *body* claim or, with probability `p_large`, a *large* one. Body: 1,024 cells of equal probability. Large:
64 cells an octave of the survival probability. Inside a cell cost is a + b·t with t uniform, a and b such that the
cell's conditional mean and variance are those of the family, exactly where 0 and the cut allow. A cell of the tail
that holds a jump or a kink of the quantile function is split there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .families.base import Severity
from .quadrature import cell_moments
from .sums import Sums

Array = NDArray[np.float64]

BODY_CELLS = 1 << 10
CELLS_PER_OCTAVE = 1 << 6
TAIL_OCTAVES = 58
TAIL_CELLS = TAIL_OCTAVES * CELLS_PER_OCTAVE + 1
_PARTS = 1 << 22  # steps of t in a body cell: what a uniform of 32 bits leaves after the cell
_FULL = float(1 << 32)
_TRIES = 20
_LEAST_BODY = 1e-9  # chance of a body claim below which all users are large: its cells would be finer than rounding


class Tables(NamedTuple):
    """What the kernel needs of one family."""

    p_large: float
    """Chance that a user is a large claim."""
    body: NDArray[np.uint64]
    """Shape (1024,): the cell's floor in the high 32 bits, its width in the low 32, both in `body_unit`."""
    body_unit: float
    """Money per year."""
    tail: Array
    """Shape (TAIL_CELLS, 5): a, b below the split, the split in t, a, b above it; cell 0 lies below 2^-58."""


@lru_cache(maxsize=64)  # a scenario is validated anew for every question that is asked of it
def build(severity: Severity, cut: float) -> Tables:
    """Tables of a family, with every cost above `cut` among the large claims.

    Parameters
    ----------
    severity : Severity
    cut : float
        Money per year, before shocks. No body claim exceeds it.
    """
    above = float(severity.sf(cut))
    # the top body cell goes to the tail, so that no matched cell can reach over the cut
    p_large = above + (1 - above) / BODY_CELLS
    p_large, mean, width = _body_cells(severity, p_large, cut)
    body, unit = _packed(mean, np.minimum(width, 2 * np.maximum(cut - mean, 0.0)))
    return Tables(p_large, body, unit, _tail(severity, p_large))


def digest(tables: Sequence[Tables], sums: Sequence[Sums] = ()) -> str:
    """SHA-256 over every bit of the tables, and of those of sums."""
    sha = hashlib.sha256()
    for table in tables:
        sha.update(np.array([table.p_large, table.body_unit]).tobytes())
        sha.update(np.ascontiguousarray(table.body).tobytes())
        sha.update(np.ascontiguousarray(table.tail).tobytes())
    for own in sums:
        sha.update(own.line.tobytes() + own.terms.tobytes() if own.least else b"none")
    return sha.hexdigest()


def _matched(moments: Array) -> tuple[Array, Array]:
    """Floor and width of the uniform with a cell's conditional mean and variance, not below 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(moments[0] > 0, moments[1] / moments[0], 0.0)
        variance = np.where(moments[0] > 0, moments[2] / moments[0], 0.0) - mean**2
    spread = np.where(np.isfinite(variance), np.maximum(variance, 0.0), 0.0)
    # what is left of a difference of nearly equal squares is rounding
    spread = np.where(spread > 1e-13 * mean**2, spread, 0.0)
    width = np.minimum(np.sqrt(12 * spread), 2 * mean)
    return mean - width / 2, width


def _body_cells(severity: Severity, p_large: float, cut: float) -> tuple[float, Array, Array]:
    """Chance of a large claim, and mean and width of the body's cells."""
    for _ in range(_TRIES):
        if 1 - p_large < _LEAST_BODY:
            return 1.0, np.zeros(BODY_CELLS), np.zeros(BODY_CELLS)
        edges = np.linspace(1.0, p_large, BODY_CELLS + 1)
        panels, starts, _ = cell_moments(severity, edges)
        floor, width = _matched(np.add.reduceat(panels, starts, axis=1))
        over = np.flatnonzero(floor + width > cut * (1 + 1e-9))
        if not over.size:
            break
        # a cell with a jump in it reaches over the cut: the tail, which can split it, takes over from there
        p_large = float(edges[over[0]])
    return p_large, floor + width / 2, width


def _packed(mean: Array, width: Array) -> tuple[NDArray[np.uint64], float]:
    """Body cells as the kernel reads them, and their unit."""
    unit = float((mean + width / 2).max()) / (_FULL - 2) or 1.0
    width_units = np.floor(width / unit + 0.5)
    # the rounding of each floor is carried to the next cell, so that the mean over all cells is kept
    floor_units = np.diff(
        np.floor(np.cumsum(mean / unit - width_units * (_PARTS - 1) / (2 * _PARTS)) + 0.5), prepend=0.0
    )
    floor_units = np.clip(floor_units, 0.0, _FULL - 1)
    return (floor_units.astype(np.uint64) << np.uint64(32)) | width_units.astype(np.uint64), unit


def _tail_edges(p_large: float) -> Array:
    octave = np.repeat(-np.arange(1, TAIL_OCTAVES + 1, dtype=float), CELLS_PER_OCTAVE)
    step = np.tile(np.arange(CELLS_PER_OCTAVE - 1, -1, -1) / CELLS_PER_OCTAVE, TAIL_OCTAVES)
    return p_large * np.concatenate([[1.0], 2.0**octave * (1 + step)])


def _tail(severity: Severity, p_large: float) -> Array:
    edges = _tail_edges(p_large)
    panels, starts, panel_edges = cell_moments(severity, edges)
    floor, width = _matched(np.add.reduceat(panels, starts, axis=1))
    floor = _atoms_kept(severity, floor, width, edges[:-1], edges[1:])
    cells = np.empty((TAIL_CELLS, 5))
    # t rises with the survival probability, so cost falls along a cell
    cells[1:, 0], cells[1:, 1] = (floor + width)[::-1], -width[::-1]
    cells[1:, 2], cells[1:, 3:] = 2.0, 0.0
    for cell in np.flatnonzero(np.isin(edges[:-1], panel_edges) & (np.diff(np.append(starts, panels.shape[1])) > 1)):
        first, last = starts[cell], starts[cell + 1] if cell + 1 < starts.size else panels.shape[1]
        cells[TAIL_CELLS - 1 - cell] = _split_cell(severity, panels[:, first:last], panel_edges[first : last + 1])
    cells[0] = _bottom(severity, edges[-1])
    return cells


def _atoms_kept(severity: Severity, floor: Array, width: Array, high: ArrayLike, low: ArrayLike) -> Array:
    """Floors, unrounded where one cost fills its cell: it may be a threshold, which it must not exceed."""
    if np.all(width):
        return floor
    high, low = np.asarray(high, float), np.asarray(low, float)
    quarter, three_quarters = severity.isf(high + (low - high) / 4), severity.isf(high + (low - high) * 3 / 4)
    return np.where((width == 0) & (quarter == three_quarters), quarter, floor)


def _split_cell(severity: Severity, panels: Array, edges: Array) -> Array:
    """A cell in two parts, parted where the quantile function jumps most."""
    at, inner = 1, edges[1:-1]
    if inner.size > 1:
        jump = severity.isf(inner * (1 - 1e-12)) - severity.isf(inner * (1 + 1e-12))
        at = int(np.argmax(jump)) + 1
    floor, width = _matched(np.stack([panels[:, :at].sum(1), panels[:, at:].sum(1)], axis=1))
    low_floor, high_floor = _atoms_kept(severity, floor, width, [edges[0], edges[at]], [edges[at], edges[-1]])
    low_width, high_width = width
    split = (edges[at] - edges[-1]) / (edges[0] - edges[-1])
    # each part is matched on its own share of t, here written as a line in the cell's t
    high_slope = -high_width / split
    low_slope = -low_width / (1 - split)
    return np.array([high_floor + high_width, high_slope, split, low_floor + low_width - low_slope * split, low_slope])


def _bottom(severity: Severity, survival: float) -> Array:
    """Everything rarer than the last octave, in one cell."""
    cost = float(severity.isf(survival))
    moments = severity.moments.above(cost)
    moments[0] = float(severity.sf(cost))
    if not 0 < moments[0] <= survival * (1 + 1e-6):
        return np.array([cost, 0.0, 2.0, 0.0, 0.0])
    floor, width = _matched(moments[:, None])
    floor = _atoms_kept(severity, floor, width, survival, survival / 2)
    return np.array([floor[0] + width[0], -width[0], 2.0, 0.0, 0.0])
