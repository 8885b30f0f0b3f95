"""A segment's costs in the form that everything here reads: distinct costs ascending, with weights and counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..disclose.disclosure import COUNTED_BY, NEAREST_GUESS, by_person, dominated, rounded_count

Array = NDArray[np.float64]

MOST_ROWS = 100_000  # above this many users their costs are binned
BINS = 10_000
_SLACK = 1e-9


@dataclass(frozen=True, repr=False)
class Sample:
    """Costs of the people of one segment; `x`, `w`, `w2`, `count` have the shape (cost,) and hold users only."""

    x: Array  # distinct costs above 0, ascending, money per year; mean costs of bins where binned
    w: Array  # sum of weights, member-years
    w2: Array  # sum of squared weights
    count: Array  # rows
    zero_w: float
    zero_w2: float
    zero_count: float
    binned: bool = False
    person: NDArray[np.int64] | None = None  # whose each user's row is, by ascending cost; None: each its own
    cuts: tuple[float, ...] = ()  # amounts at which the rows should be told, the more important first; money per year
    counted: int = 0  # users as they are told; 0 where they are but rounded

    @property
    def users(self) -> float:
        """Rows with a cost."""
        return float(self.count.sum())

    @property
    def rows(self) -> float:
        return self.users + self.zero_count

    @property
    def weight(self) -> float:
        """Member-years of all rows."""
        return float(self.w.sum()) + self.zero_w

    @cached_property
    def effective(self) -> float:
        """Kish's effective number of rows: (Σw)² / Σw²."""
        return self.weight**2 / (float(self.w2.sum()) + self.zero_w2)

    @cached_property
    def effective_users(self) -> float:
        """Kish's effective number of users."""
        return float(self.w.sum() ** 2 / self.w2.sum())

    @property
    def p_user(self) -> float:
        """Weighted share of people with any cost."""
        return float(self.w.sum()) / self.weight

    @property
    def mean(self) -> float:
        """Mean annual cost a head."""
        return float(self.w @ self.x) / self.weight

    @property
    def sd(self) -> float:
        """Standard deviation of a person's annual cost."""
        return math.sqrt(max(float(self.w @ self.x**2) / self.weight - self.mean**2, 0.0))

    @cached_property
    def _sums(self) -> tuple[Array, Array, Array]:
        """Weight, cost and rows above each position, shape (cost + 1,)."""

        def above(values: Array) -> Array:
            return np.append(np.cumsum(values[::-1])[::-1], 0.0)

        return above(self.w), above(self.w * self.x), above(self.count)

    def _position(self, cost: ArrayLike) -> NDArray[np.intp]:
        return np.searchsorted(self.x, np.asarray(cost, float), side="right")

    def p_above(self, cost: ArrayLike) -> Array:
        """Share of people who cost more."""
        return np.asarray(self._sums[0][self._position(cost)] / self.weight)

    def n_above(self, cost: ArrayLike) -> Array:
        """Rows that cost more."""
        return np.asarray(self._sums[2][self._position(cost)])

    def excess(self, cost: ArrayLike) -> Array:
        """E[max(X − cost, 0)] of a person."""
        at = self._position(cost)
        return np.asarray((self._sums[1][at] - np.asarray(cost, float) * self._sums[0][at]) / self.weight)

    def limited_mean(self, cost: ArrayLike) -> Array:
        """E[min(X, cost)] of a person."""
        return self.mean - self.excess(cost)

    def limited_sd(self, cost: float) -> float:
        """Standard deviation of min(X, cost) of a person."""
        capped = np.minimum(self.x, cost)
        square = float(self.w @ capped**2) / self.weight
        return float(np.sqrt(max(square - (float(self.w @ capped) / self.weight) ** 2, 0.0)))

    def isf(self, survival: ArrayLike) -> Array:
        """The smallest cost that a person exceeds with at most this chance; 0 for people without cost."""
        target = np.asarray(survival, float) * self.weight * (1 + 1e-12)
        # weights above x ascending position are descending
        at = np.searchsorted(-self._sums[0], -target, side="left")
        costs = np.concatenate([[0.0], self.x])
        return np.asarray(costs[np.minimum(at, self.x.size)])

    def top_share(self, q: float) -> float:
        """Share of cost of the costliest share q of people."""
        cost = float(self.isf(q))
        at = int(self._position(cost))
        level = cost * (q * self.weight - self._sums[0][at]) if cost > 0 else 0.0
        return float((self._sums[1][at] + level) / self._sums[1][0])

    def spent(self) -> Array:
        """What each person cost, in no order; money."""
        return by_person(np.repeat(self.w * self.x / self.count, self.count.astype(np.int64)), self.person)

    @cached_property
    def _tops(self) -> Array:
        """Each person's largest cost, ascending."""
        x = np.repeat(self.x, self.count.astype(np.int64))
        if self.person is None:
            return x
        # of a person the last row is the costliest
        last = x.size - 1 - np.unique(self.person[::-1], return_index=True)[1]
        return np.sort(x[last])

    def persons_above(self, cost: float) -> int:
        """Persons with a row that costs more."""
        return int(self._tops.size - np.searchsorted(self._tops, cost, side="right"))

    def rounded(self, smallest: int) -> Sample:
        """The sample with numbers of users and others to the nearest five; a few without cost count as five.

        Shares of users, of segments and their errors follow, so that none of them tells another count. Of a few without
        cost the number of all rows is rounded, so that whoever knows that number learns nothing more.
        """
        small = 0 < self.zero_count < smallest
        users = rounded_count(self.rows) - COUNTED_BY if small else rounded_count(self.users)
        many = users / self.users
        rounded = replace(self, w=self.w * many, w2=self.w2 * many, counted=users)
        if self.zero_count == 0:
            return rounded
        zero = COUNTED_BY if small else rounded_count(self.zero_count)
        # of a few not even their weights are told
        each = float(self.w.sum()) / self.users if small else self.zero_w / self.zero_count
        square = float(self.w2.sum()) / self.users if small else self.zero_w2 / self.zero_count
        return replace(rounded, zero_w=zero * each, zero_w2=zero * square, zero_count=float(zero))

    @property
    def users_told(self) -> int:
        """Users, rounded."""
        return self.counted or rounded_count(self.users)

    @property
    def rows_told(self) -> int:
        """Rows, from numbers to the nearest five."""
        return self.users_told + int(self.zero_count)

    def tempered(self) -> Sample:
        """The sample for a law: a patient who would outweigh all others counts for no more than they.

        Any law that keeps the mean would else tell his cost. Where the two costliest do so together, both are
        brought down to where the others keep the largest from being told.
        """
        spent = self.spent()
        if spent.size < 3 or not dominated(spent):
            return self
        *others, second, first = np.sort(spent)
        rest = math.fsum(others)
        most = min(rest + second, first) * (1 - _SLACK)
        if rest < NEAREST_GUESS * most:
            most = rest / NEAREST_GUESS * (1 - _SLACK)
        count = self.count.astype(np.int64)
        whose = np.arange(count.sum()) if self.person is None else np.unique(self.person, return_inverse=True)[1]
        x = np.repeat(self.x, count) * np.minimum(1.0, most / spent)[whose]
        order = np.argsort(x, kind="stable")
        w, w2 = (np.repeat(weight / self.count, count)[order] for weight in (self.w, self.w2))
        person = None if self.person is None else self.person[order]
        return replace(self, x=x[order], w=w, w2=w2, count=np.ones(x.size), person=person)

    def thinned(self, random: np.random.Generator) -> tuple[Sample, Sample]:
        """Two random halves, row by row."""
        taken = random.binomial(self.count.astype(np.int64), 0.5)
        zero = float(random.binomial(int(self.zero_count), 0.5))
        return self._part(taken, zero), self._part(self.count - taken, self.zero_count - zero)

    def _part(self, taken: ArrayLike, zero: float) -> Sample:
        taken = np.asarray(taken, float)
        kept, share = taken > 0, taken / self.count
        zero_share = zero / self.zero_count if self.zero_count else 0.0
        return Sample(
            self.x[kept], (self.w * share)[kept], (self.w2 * share)[kept], taken[kept],
            self.zero_w * zero_share, self.zero_w2 * zero_share, zero, self.binned, cuts=self.cuts,
        )  # fmt: skip


def sample_of(
    cost: Array,
    weight: Array,
    most_rows: int = MOST_ROWS,
    person: NDArray[np.int64] | None = None,
    cuts: tuple[float, ...] = (),
) -> Sample:
    """A sample from rows."""
    user = cost > 0
    x, w = cost[user], weight[user]
    zero = weight[~user]
    binned = x.size > most_rows
    if binned:
        low, high = np.log(x.min()), np.log(x.max())
        width = (high - low) / BINS or 1.0
        key = np.unique(((np.log(x) - low) / width).astype(np.int64), return_inverse=True)[1]
        mean = _summed(key, w * x) / _summed(key, w)
    else:
        mean, key = np.unique(x, return_inverse=True)
    return Sample(
        mean, _summed(key, w), _summed(key, w * w), _summed(key, np.ones(x.size)),
        float(zero.sum()), float((zero * zero).sum()), float(zero.size), binned,
        None if person is None else person[user][np.argsort(x, kind="stable")], cuts,
    )  # fmt: skip


def _summed(key: NDArray[np.int64], values: Array) -> Array:
    return np.asarray(np.bincount(key, weights=values), float)


def together(samples: Sequence[Sample]) -> Sample:
    """All segments' people as one sample."""
    mean, key = np.unique(np.concatenate([s.x for s in samples]), return_inverse=True)
    w, w2, count = (_summed(key, np.concatenate([getattr(s, name) for s in samples])) for name in ("w", "w2", "count"))
    zeros = [sum(getattr(s, name) for s in samples) for name in ("zero_w", "zero_w2", "zero_count")]
    return Sample(mean, w, w2, count, zeros[0], zeros[1], zeros[2], binned=any(s.binned for s in samples))
