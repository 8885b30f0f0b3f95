"""A segment's costs in the form that everything here reads: distinct costs ascending, with weights and counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

MOST_ROWS = 100_000
"""Above this many users their costs are binned."""
BINS = 10_000
MOST_OF_ONE = 0.5
"""A figure of which one patient makes more than this is not told: it would tell his cost."""


@dataclass(frozen=True, repr=False)
class Sample:
    """Costs of the people of one segment; `x`, `w`, `w2`, `count` have the shape (cost,) and hold users only."""

    x: Array
    """Distinct costs above 0, ascending, money per year; mean costs of bins where binned."""
    w: Array
    """Sum of weights, member-years."""
    w2: Array
    """Sum of squared weights."""
    count: Array
    """Rows."""
    zero_w: float
    zero_w2: float
    zero_count: float
    binned: bool = False

    @property
    def users(self) -> float:
        """Rows with a cost."""
        return float(self.count.sum())

    @property
    def rows(self) -> float:
        """All rows."""
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

    def dominated(self, order: int, at: float = 0.0) -> bool:
        """Whether one patient holds more than half of the cost, or of its variance.

        Parameters
        ----------
        order : {1, 2}
            1: of the cost, of the excess over `at` where anybody lies above; 2: of the squared distances from the mean.
        at : float
            Money per year.
        """
        each = self.w / self.count
        if order == 2:
            total = self.sd**2 * self.weight
            return float(np.max(each * (self.x - self.mean) ** 2)) > MOST_OF_ONE * total > 0
        above = at if at < self.x[-1] else 0.0
        return float(np.max(each * (self.x - above))) > MOST_OF_ONE * float(self.excess(above)) * self.weight

    def top_dominated(self, q: float) -> bool:
        """Whether one patient holds more than half of the cost of the costliest share q of people."""
        top = self.x >= float(self.isf(q))
        largest = float(np.max((self.w / self.count * self.x)[top]))
        return largest > MOST_OF_ONE * self.top_share(q) * self.mean * self.weight

    def tempered(self) -> Sample:
        """The sample for a law: a patient who costs more than all others together counts as if he cost as much as they.

        Any law that keeps the mean would else tell his cost.
        """
        if self.count[-1] > 1 or not self.dominated(1):
            return self
        rest = float(self.w[:-1] @ self.x[:-1])
        if rest <= 0 or int(np.argmax(self.w / self.count * self.x)) < self.x.size - 1:
            return self
        x = np.append(self.x[:-1], max(rest / float(self.w[-1]), float(self.x[-2])))
        return replace(self, x=x)

    def scaled(self, factor: float) -> Sample:
        """All costs times a factor."""
        return Sample(
            self.x * factor, self.w, self.w2, self.count, self.zero_w, self.zero_w2, self.zero_count, self.binned
        )

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
            self.zero_w * zero_share, self.zero_w2 * zero_share, zero, self.binned,
        )  # fmt: skip


def sample_of(cost: Array, weight: Array, most_rows: int = MOST_ROWS) -> Sample:
    """A sample from rows.

    Parameters
    ----------
    cost, weight : ndarray, shape (row,)
        Money per year, 0 or more; member-years.
    most_rows : int
        Above this many users, costs are put into bins of equal ratio and stand for the mean of their bin, which keeps
        the total; a bin is narrower than 0.3% of its cost where costs span less than thirteen decades.
    """
    user = cost > 0
    x, w = cost[user], weight[user]
    zero = weight[~user]
    binned = x.size > most_rows
    if binned:
        low, high = np.log(x.min()), np.log(x.max())
        width = (high - low) / BINS or 1.0
        key = ((np.log(x) - low) / width).astype(np.int64)
        key = np.unique(key, return_inverse=True)[1]
        mean = _summed(key, w * x) / _summed(key, w)
    else:
        mean, key = np.unique(x, return_inverse=True)
    return Sample(
        mean, _summed(key, w), _summed(key, w * w), _summed(key, np.ones(x.size)),
        float(zero.sum()), float((zero * zero).sum()), float(zero.size), binned,
    )  # fmt: skip


def _summed(key: NDArray[np.int64], values: Array) -> Array:
    return np.asarray(np.bincount(key, weights=values), float)


def together(samples: Sequence[Sample]) -> Sample:
    """All segments' people as one sample."""
    x = np.concatenate([s.x for s in samples])
    mean, key = np.unique(x, return_inverse=True)
    return Sample(
        x=mean,
        w=_summed(key, np.concatenate([s.w for s in samples])),
        w2=_summed(key, np.concatenate([s.w2 for s in samples])),
        count=_summed(key, np.concatenate([s.count for s in samples])),
        zero_w=sum(s.zero_w for s in samples),
        zero_w2=sum(s.zero_w2 for s in samples),
        zero_count=sum(s.zero_count for s in samples),
        binned=any(s.binned for s in samples),
    )
