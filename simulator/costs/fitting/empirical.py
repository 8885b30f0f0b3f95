"""Smoothed quantile tables: at least ten patients a cell, the mean of each cell kept, no single bill anywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..severity import Empirical, GeneralizedPareto, Severity, Spliced
from .disclosure import figures
from .sample import Sample

Array = NDArray[np.float64]

MOST_CELLS = 100


def quantile_table(sample: Sample, smallest: int, at: float | None = None) -> Empirical:
    """Users' costs as a quantile function, linear between levels.

    Users are put into cells of equal number, `smallest` or more in each, and a cell in which one costs more than all
    others is joined to the one below. An edge between two cells is the mean of the costs of the adjoining half cells,
    and the middle of a cell is placed so that the cell keeps its mean.

    Parameters
    ----------
    sample : Sample
    smallest : int
        Fewest patients a cell.
    at : float, optional
        Money per year, with `smallest` users or more above: users above are replaced by a stretch up to 2·at.
    """
    below = sample.x <= at if at is not None else np.ones(sample.x.size, bool)
    x, w, count = sample.x[below], sample.w[below], sample.count[below]
    total = float(sample.w.sum())
    cells = int(np.clip(count.sum() // smallest, 1, MOST_CELLS))
    half = _parts(x, w, count, _half_cells(x, w, count, np.linspace(0.0, count.sum(), cells + 1)))
    levels, costs = _knots(half, total, at)
    rounded = [figures(c) for c in np.maximum.accumulate(costs)]
    table = dict(zip((figures(p, 9) for p in levels), rounded, strict=True))
    if at is not None:
        table[1.0] = 2 * at
    return Empirical(quantiles=table)


def _half_cells(x: Array, w: Array, count: Array, edges: Array) -> Array:
    """Edges of half cells, in users ascending, without the edges below which one user outweighs his cell."""
    last = np.cumsum(count)
    each = w / count * x
    kept = [float(edges[-1])]
    for low in edges[-2::-1]:
        inside = (last > low + 0.5) & (last - count < kept[-1] - 0.5)
        cost = float((w * x)[inside].sum())
        if low == 0 or float(each[inside].max(initial=0.0)) <= cost / 2:
            kept.append(float(low))
    ascending = np.array(kept[::-1])
    return np.sort(np.concatenate([ascending, (ascending[1:] + ascending[:-1]) / 2]))


def _parts(x: Array, w: Array, count: Array, edges: Array) -> Array:
    """Weight and cost of groups of consecutive users between edges; shape (part, 2)."""
    rows = np.concatenate([[0.0], np.cumsum(count)])
    weight = np.interp(edges, rows, np.concatenate([[0.0], np.cumsum(w)]))
    cost = np.interp(edges, rows, np.concatenate([[0.0], np.cumsum(w * x)]))
    return np.stack([np.diff(weight), np.diff(cost)], axis=1)


def _knots(half: Array, total: float, at: float | None) -> tuple[Array, Array]:
    cells = half.reshape(-1, 2, 2).sum(axis=1)
    mean = cells[:, 1] / cells[:, 0]
    joined = half[1:-1].reshape(-1, 2, 2).sum(axis=1)
    inner = joined[:, 1] / joined[:, 0]
    if inner.size:
        low = max(2 * mean[0] - inner[0], 0.0)
        high = at if at is not None else 2 * mean[-1] - inner[-1]
    else:
        low = 0.0
        high = at if at is not None else 2 * mean[0]
    edges = np.concatenate([[low], inner, [max(high, mean[-1])]])
    width = np.diff(edges)
    # two straight pieces that meet at the cell's mean have that mean if they meet here
    middle = np.where(width > 0, (edges[1:] - mean) / np.where(width > 0, width, 1.0), 0.5)
    level = np.concatenate([[0.0], np.cumsum(cells[:, 0])]) / total
    if at is None:
        level[-1] = 1.0
    inside = level[:-1] + np.clip(middle, 0.01, 0.99) * np.diff(level)
    levels = np.concatenate([np.stack([level[:-1], inside], axis=1).ravel(), level[-1:]])
    costs = np.concatenate([np.stack([edges[:-1], mean], axis=1).ravel(), edges[-1:]])
    return levels, costs


def resampled(sample: Sample) -> Empirical:
    """Users' costs as they are. Holds patients' bills: for the memory of a session, never for a file."""
    return Empirical(values=tuple(sample.x.tolist()), weights=tuple(sample.w.tolist()))


def with_tail(body: Severity, at: float, tail: GeneralizedPareto) -> Spliced:
    """A body and what lies above it."""
    return Spliced.model_validate(
        {"body": body.model_dump(exclude_none=True), "at": at, "tail": tail.model_dump(exclude_none=True)}
    )
