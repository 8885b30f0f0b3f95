"""What may be disclosed of a segment's costs: sums over groups of ten persons or more that do not overlap.

The users of a segment, in ascending order, are cut into groups once (microaggregation). Every figure of the rows that a
fit tells, every quantile table and every error is worked out from the groups' means and their rounded sizes, so that
nothing that is told, and no combination of it, rests on a smaller group. A group is told only if

- ten persons or more are in it (`smallest`);
- none of them makes more than half of its cost, and the largest cannot be told to within 10% by the second largest;
- its mean differs from those of its neighbours by a quarter or more, and from an amount at its edge by half as much.
"""

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ...costs.families.composite import Empirical
from ...numerals import figures
from ..read.sample import Array, Sample
from .disclosure import COUNTED_BY, LEAST_STEP, by_person, dominated, rounded_count

MOST_CELLS = 100
_JUMP = 1e-9
_NARROW = 0.05  # of a group whose cv is smaller only that is told: its members are taken to lie so near
_TOP_STEP = 1.25  # ratio of the sizes of the costliest parts at which a cut is tried
_POINTS = 20  # the most made-up people by which a group stands in the sample


@dataclass(frozen=True, repr=False)
class Groups:
    """Groups of users by ascending cost, shape (group,)."""

    n: NDArray[np.int64]  # rows; multiples of five
    w: Array  # member-years a row
    w2: Array  # their square, on average of the rows
    mean: Array  # money per year
    low: Array  # money per year: where a group is taken to begin, by its neighbours' means or at one of `cuts`
    high: Array
    cuts: tuple[float, ...]  # amounts asked for at which two groups meet
    zero: tuple[float, float, float]  # weight, squared weight and rows of people without cost

    @cached_property
    def sample(self) -> Sample:
        """Made-up people with the groups' sizes and means: all that is told of the rows is told of them."""
        parts = [_people(*one) for one in zip(self.n, self.low, self.high, self.mean, strict=True)]
        count = np.concatenate([part[1] for part in parts]).astype(float)
        w, w2 = (np.repeat(weights, [part[0].size for part in parts]) for weights in (self.w, self.w2))
        return Sample(np.concatenate([part[0] for part in parts]), w * count, w2 * count, count, *self.zero)

    def table(self, at: float | None = None, above: float = 0.0) -> Empirical:
        """A quantile function, linear between levels, that has the mean of every group.

        Users above `at`, money per year, are replaced by a stretch up to 2·at; `above` is their share where no groups
        meet there.
        """
        level = _sums(self.n * self.w)
        level /= level[-1]
        inside = (self.high - self.mean) / np.where(self.high > self.low, self.high - self.low, np.inf)
        middle = level[:-1] + np.clip(inside, 0.01, 0.99) * np.diff(level)
        start = level[:-1] * (1 + _JUMP)
        levels = np.stack([start, middle, level[1:]], axis=1).ravel()
        costs = np.stack([self.low, self.mean, self.high], axis=1).ravel()
        if at is None:
            return _empirical(levels, costs)
        end = float(level[1:][self.mean < at].max()) if at in self.cuts else 1.0 - above
        # a group that straddles the amount is left out whole: between the others and the amount the line is straight
        whole = max(3 * int(np.searchsorted(level[1:], end + 1e-9, side="right")), 1)
        kept = (levels[:whole] < end - 1e-9) & (costs[:whole] < at)
        kept[0] = True
        return _empirical([*levels[:whole][kept], end, 1.0], [*np.minimum(costs[:whole][kept], at), at, 2 * at])


def _empirical(levels: Sequence[float] | Array, costs: Sequence[float] | Array) -> Empirical:
    rounded = [figures(float(cost)) for cost in np.maximum.accumulate(costs)]
    return Empirical(quantiles=dict(zip((figures(float(p), 10) for p in levels), rounded, strict=True)))


def _people(n: int, low: float, high: float, mean: float) -> tuple[Array, NDArray[np.int64]]:
    """Costs and numbers of a group's made-up people: spread evenly below and above its mean, which they keep."""
    width = high - low
    if not low < mean < high:
        return np.array([mean]), np.array([n])
    # a half is rounded up, however the last digits fell
    below = int(np.clip(math.floor(n * (high - mean) / width + 0.5 + 1e-6), 1, n - 1))
    middle = 2 * mean - (below * low + (n - below) * high) / n
    if not low < middle < high:
        return np.array([mean]), np.array([n])
    costs, counts = [], []
    for people, start, end in ((below, low, middle), (n - below, middle, high)):
        sizes = np.array([part.size for part in np.array_split(np.empty(people), min(people, _POINTS // 2))])
        centre = (np.cumsum(sizes) - sizes / 2) / people
        costs.append(start + centre * (end - start))
        counts.append(sizes)
    return np.concatenate(costs), np.concatenate(counts)


def groups_of(sample: Sample, smallest: int) -> Groups:
    """Cut a segment's users into groups, always into the same."""
    users = _Users(sample, smallest)
    for amount in dict.fromkeys(sample.cuts):
        if min(sample.persons_above(amount), sample.users - float(sample.n_above(amount))) >= smallest:
            users.cut(users.counted(int(sample.n_above(amount))), float(amount))
    for above in _places(users.size):
        users.cut(users.counted(above))
    taken = users.amounts
    ends = [users.size - above for above in users.above[::-1]]
    n = np.diff(ends)
    cost, weight = np.diff(users.cost[ends]), np.diff(users.weight[ends])
    mean, told = cost / weight, n.copy()
    odd = int(np.argmax(n % COUNTED_BY) if np.any(n % COUNTED_BY) else np.argmax(n))
    told[odd] += sample.users_told - users.size
    if n.size > 1 and told[odd] != n[odd]:
        # the one group of another size takes the rounding, with a mean that leaves everybody's as it is
        member_years = told * (weight / n)
        others = float(member_years @ mean) - member_years[odd] * mean[odd]
        mean[odd] = (cost.sum() / weight.sum() * member_years.sum() - others) / member_years[odd]
    halfway = np.sqrt(mean[:-1] * mean[1:]).tolist()
    between = [taken.get(users.size - end, half) for end, half in zip(ends[1:-1], halfway, strict=True)]
    low, high = _spans(between, mean, users.spread(ends))
    scale = float(sample.w.sum()) / float(told @ (weight / n))
    each, square = weight / n * scale, users.squares(ends) / n * scale**2
    zero = (sample.zero_w, sample.zero_w2, sample.zero_count)
    met = tuple(taken[above] for above in sorted(taken, reverse=True))
    each, square = (np.array([figures(float(one), 4) for one in values]) for values in (each, square))
    return Groups(told, each, square, mean, low, high, met, zero)


def _sums(values: Array) -> Array:
    return np.concatenate([[0.0], np.cumsum(values)])


def _spans(between: list[float], mean: Array, spread: Array) -> tuple[Array, Array]:
    """Where groups begin and end: the lowest as far below as above, the highest as an exponential excess is wide."""
    if between:
        edges = np.array([mean[0] ** 2 / between[0], *between, 4 * mean[-1] - 3 * between[-1]])
    else:
        # of a single group the spread is told to a quarter of its mean
        step = min(max(round(4 * float(spread[0])), 1) / 4, 1.0)
        edges = mean[0] * np.array([1 - step, 1 + 3 * step])
    narrow = spread < _NARROW
    low = np.where(narrow, np.maximum(edges[:-1], mean * (1 - _NARROW)), edges[:-1])
    return low, np.where(narrow, np.minimum(edges[1:], mean * (1 + _NARROW)), edges[1:])


def _places(size: int) -> list[int]:
    """Numbers of the costliest at which a cut is tried: few of them close together, then hundredths of all."""
    steps = range(math.ceil(math.log(max(size, 1)) / math.log(_TOP_STEP)) + 1)
    hundredths = [round(size * cell / MOST_CELLS) for cell in range(1, MOST_CELLS)]
    return [round(_TOP_STEP**step) for step in steps] + hundredths


def _apart(ends: Sequence[int], means: Sequence[float], amounts: Mapping[int, float]) -> bool:
    """Whether descending means are far enough from each other and from amounts where their groups meet."""
    steps = all(a >= LEAST_STEP * b for a, b in pairwise(means))
    half = math.sqrt(LEAST_STEP)
    met = [(a, amounts[end], b) for end, a, b in zip(ends[1:-1], means[:-1], means[1:], strict=True) if end in amounts]
    return steps and all(a >= half * amount and amount >= half * b for a, amount, b in met)


class _Users:
    """Users one by one, ascending by cost, and the cuts that were taken, by the number of users above."""

    def __init__(self, sample: Sample, smallest: int) -> None:
        count = sample.count.astype(np.int64)
        x, w = np.repeat(sample.x, count), np.repeat(sample.w / sample.count, count)
        self.size, self.smallest, self.ids = x.size, smallest, sample.person
        self.spent = w * x
        self._x, self._w = x, w
        self.cost = _sums(self.spent)
        self.weight = _sums(w)
        self.above, self.amounts = [0, self.size], dict[int, float]()
        self._costly = float(sample.n_above(self.cost[-1] / self.weight[-1]))

    def counted(self, above: int) -> int:
        """The nearest number above that leaves all groups multiples of five but the one with the mean in it.

        Its size alone is rounded, which moves the mean least.
        """
        if above <= self._costly:
            return rounded_count(above)
        return self.size - rounded_count(self.size - above)

    def squares(self, ends: Sequence[int]) -> Array:
        return np.diff(_sums(self._w**2)[ends])

    def spread(self, ends: Sequence[int]) -> Array:
        """Coefficient of variation of the costs of each group."""
        squares = _sums(self._w * self._x**2)
        weight = np.diff(self.weight[ends])
        mean = np.diff(self.cost[ends]) / weight
        return np.sqrt(np.maximum(np.diff(squares[ends]) / weight / mean**2 - 1.0, 0.0))

    def cut(self, above: int, amount: float | None = None) -> bool:
        """Take a cut with so many users above, if both groups that it makes may be told."""
        place = bisect.bisect_left(self.above, above)
        if not 0 < above < self.size or self.above[place] == above:
            return False
        upper, lower = self.above[place - 1], self.above[place]
        ends = [*self.above[max(place - 2, 0) : place], above, *self.above[place : place + 2]]
        amounts = self.amounts if amount is None else self.amounts | {above: amount}
        if not _apart(ends, [self._mean(a, b) for a, b in pairwise(ends)], amounts):
            return False
        if not (self._may_be_told(upper, above) and self._may_be_told(above, lower)):
            return False
        self.above.insert(place, above)
        self.amounts = amounts
        return True

    def _mean(self, upper: int, lower: int) -> float:
        low, high = self.size - lower, self.size - upper
        return float((self.cost[high] - self.cost[low]) / (self.weight[high] - self.weight[low]))

    def _may_be_told(self, upper: int, lower: int) -> bool:
        here = slice(self.size - lower, self.size - upper)
        # the size of one group is rounded, by up to seven
        spare = 7 if (lower - upper) % COUNTED_BY and lower - upper < self.size else 0
        amounts = by_person(self.spent[here], None if self.ids is None else self.ids[here])
        return amounts.size >= self.smallest + spare and not dominated(amounts)
