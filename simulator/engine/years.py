"""Several years of partly the same people: how many are in which state in which year, drawn on keyed streams.

The people of an increment are dealt out to states in year 1; each state's people are dealt out anew for the year after,
and for the year before, so that years may be added at either end. Counts are multinomial, binomial after binomial.
What many rows of a matrix have in common, as where leavers are replaced, is dealt out of one pool for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from .late import kernels

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

_NOTHING = 1e-14  # a chance that is rounding


class Program(NamedTuple):
    """How the people of each source are dealt out, entry after entry; first those of the sources, then of the pools."""

    offsets: Counts
    """Where a source's entries begin, shape (unit or 1, source + pool + 1)."""
    target: Counts
    """A state or, from the number of states on, a pool; shape (entry,)."""
    chance: Array
    """Of those not yet dealt out, shape (entry,); 1 in the last of a source."""


def program(matrices: Array) -> Program:
    """The program that deals by these matrices, shape (unit or 1, source, state), whose rows add up to 1."""
    parts = [_pooled(matrix) for matrix in matrices]
    most, offsets, target, chance = max(len(pools) for pools, _ in parts), [], list[int](), list[float]()
    for pools, rest in parts:
        starts = [len(target)]
        given = [np.append(own, [weight[s] for weight, _ in pools]) for s, own in enumerate(rest)]
        for row in (*given, *(law for _, law in pools), *[np.zeros(0)] * (most - len(pools))):
            here = np.flatnonzero(row > _NOTHING)
            left = np.cumsum(row[here][::-1])[::-1]
            chance += [*np.minimum(row[here] / left, 1.0)[:-1].tolist(), *[1.0] * bool(here.size)]
            target += here.tolist()
            starts.append(len(target))
        offsets.append(starts)
    return Program(np.array(offsets, np.int64), np.array(target, np.int64), np.array(chance))


def _pooled(matrix: Array) -> tuple[list[tuple[Array, Array]], Array]:
    """What rows have in common, as (weight of each source, law over states), and the rest of the matrix."""
    rest, pools = matrix / matrix.sum(axis=1, keepdims=True), list[tuple[Array, Array]]()
    while found := [pool for part in _parts(rest) if (pool := _in_common(rest, *part)) is not None]:
        for weight, law in found:
            rest = rest - np.outer(weight, law)
        rest = np.where(rest > _NOTHING, rest, 0.0)
        pools += found
    return pools, rest


def _parts(matrix: Array) -> Iterator[tuple[Counts, Counts]]:
    """Sources and states that no entry joins to others."""
    sources, states = matrix.shape
    graph = scipy.sparse.csr_array(
        np.block([[np.zeros((sources, sources)), matrix], [np.zeros((states, sources + states))]])
    )
    count, label = scipy.sparse.csgraph.connected_components(graph, directed=False)
    for part in range(count):
        yield np.flatnonzero(label[:sources] == part), np.flatnonzero(label[sources:] == part)


def _in_common(matrix: Array, rows: Counts, columns: Counts) -> tuple[Array, Array] | None:
    """The largest product of a weight and a law below a part of the matrix, where it saves entries; None elsewhere."""
    if rows.size < 2 or columns.size < 3:
        return None
    part = matrix[np.ix_(rows, columns)]
    saved, best = float(rows.size + columns.size), None
    for first in (part.min(axis=0), np.median(part, axis=0)):
        law = first
        if law.sum() < _NOTHING:
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            for _ in range(3):
                weight = np.where(law > 0, part / law, np.inf).min(axis=1)
                law = np.where(weight[:, None] > 0, part / weight[:, None], np.inf).min(axis=0)
        fewer = float(((part - np.outer(weight, law) <= _NOTHING) & (part > 0)).sum())
        if fewer > saved:
            saved, best = fewer, (weight * law.sum(), law / law.sum())
    if best is None:
        return None
    whole, over = np.zeros(matrix.shape[0]), np.zeros(matrix.shape[1])
    whole[rows], over[columns] = best
    return whole, over


@dataclass(frozen=True)
class Chain:
    """How people go from year to year, beside the plans by which each year's cost is drawn."""

    years: tuple[int, ...]
    people: Counts
    """Whom year 1 deals out: shape (increment, segment), or (increment, 1) where the case mix is drawn."""
    states: int
    sampled: int
    """Segments whose people are drawn in year 1 too; 0 where the case mix is fixed then."""
    start: Program
    forward: Program
    backward: Program
    events: Array
    """Expected events of each rare service by year, shape (year, increment, service)."""
    stays: Array
    """Chance that an event comes again, shape (service,)."""

    def heads(self, key: NDArray[np.uint64], replicates: Counts) -> dict[int, Counts]:
        """People in each state, then events of each rare service, by year; each (replicate, increment, stream)."""
        states = {1: self._dealt(key, replicates, 1, self.people[None], self.start)}
        events = {1: self._come(key, replicates, 1, None)}
        for year in outward(self.years):
            near = year - 1 if year > 1 else year + 1
            states[year] = self._dealt(key, replicates, year, states[near], self.forward if year > 1 else self.backward)
            events[year] = self._come(key, replicates, year, events[near])
        return {year: np.concatenate([states[year], events[year]], axis=2) for year in self.years}

    def _dealt(self, key: NDArray[np.uint64], replicates: Counts, year: int, before: Counts, by: Program) -> Counts:
        after = np.zeros((replicates.size, before.shape[1], self.states), np.int64)
        with np.errstate(over="ignore"):
            kernels.deal(key, replicates, kernels.last_word(0, year), np.ascontiguousarray(before), *by, after)
        return after

    def _come(self, key: NDArray[np.uint64], replicates: Counts, year: int, near: Counts | None) -> Counts:
        """Events of a year: those of the year nearer to year 1 that come again, and new ones."""
        expected = self.events[self.years.index(year)]
        stays = np.zeros(expected.shape)
        if near is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                was = self.events[self.years.index(year - 1 if year > 1 else year + 1)]
                stays = np.where(was > 0, self.stays * np.minimum(1.0, expected / was), 0.0)
            expected = expected - stays * was
        came = np.zeros((replicates.size, *expected.shape), np.int64)
        before = near if near is not None else came
        with np.errstate(over="ignore"):
            kernels.recur(
                key, replicates, kernels.last_word(0, year), before.copy(), stays, expected, self.states, came
            )
        return came


def outward(years: Sequence[int]) -> list[int]:
    """Years but for year 1, from it outward: 2, 3 and so on, then 0, −1 and so on."""
    return [*(year for year in sorted(years) if year > 1), *(year for year in sorted(years)[::-1] if year < 1)]
