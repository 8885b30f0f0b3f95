"""Small segments: what their rows tell is kept, and what they do not tell is taken from all segments.

The law of all segments is stretched to the segment's own spread of log cost, and brought to the level at which it has
the segment's own limited mean up to what one user in ten exceeds; both are drawn towards those of all so far as
segments do not differ in them. The segment's own law gets a weight beside it that grows with its patients.

Of fewer users than two groups need, or where one makes half of the cost, no more than one mean may be told (`groups`),
which rests on the costliest: such a segment has the shape of all, and a level with the error of a mean; where one may
make half of the cost, a level that rests on the other half.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import optimize

from ...costs.families.base import Severity
from ...costs.families.composite import Mixture
from ...costs.quadrature import Moments
from ...numerals import figures
from ..read.sample import Array, Sample, together
from .spliced import law_of
from .tails import Common, choose_tail, common_at, common_of, fit_tail

FULL_CREDIBILITY = 135
"""Users at which a segment's shape is wholly its own: (1.645 / 0.10)² / 2, the limited-fluctuation standard for the
standard deviation of log cost to lie within 10% of the truth with a probability of 90%."""
POWER = 3
"""Fewer users, n, weigh (n / 135)³: with a lower power, limited means were further from the truth than the rows' own at
40 users (benchmarks/fit_validation.py), as a table of so few has wide cells."""

_NO_TAIL_CREDIBILITY = 0.9  # the most that a segment without a tail of its own weighs
_ABOVE = 0.1  # share of users above the amount up to which a small segment's limited mean is its own
_LEAST_NOISE = 0.1
_WIDE = 0.5  # standard deviation of log cost from which on users of one segment make more than one group
_MOST_ERROR = 10.0  # of a logarithm: more tells nothing
_LEAST_SPREAD = 0.01


class Shape(NamedTuple):
    """A law of all segments, stretched to the spread of one of them."""

    severity: Severity
    upper: float  # what one user in ten exceeds
    limited_mean: float  # E[min(X, upper)]


class Borrowed(NamedTuple):
    """What a small segment takes from all segments, and its level."""

    shape: Shape
    level: float  # money per year
    level_error: float  # standard error of its logarithm


def credibility(sample: Sample, lacks_tail: bool) -> float:
    """Weight of a segment's own law."""
    z = min((sample.effective_users / FULL_CREDIBILITY) ** POWER, 1.0)
    return figures(min(z, _NO_TAIL_CREDIBILITY) if lacks_tail else z, 4)


class Everybody:
    """All segments together, each brought to the common spread of log cost and to a mean of 1.

    Of segments that are `shapeless` no more than a mean is told.
    """

    def __init__(self, samples: Sequence[Sample], smallest: int, shapeless: Sequence[bool] = ()) -> None:
        self._smallest = smallest
        shapeless = shapeless or [False] * len(samples)
        everybody, samples = samples, [one for one, hidden in zip(samples, shapeless, strict=True) if not hidden]
        spreads = [log_spread(sample) for sample in samples]
        # n times the variance of the logarithm of a standard deviation; 1/2 for a normal law
        users = np.array([sample.effective_users for sample in samples])
        self._noise = max(float(np.average([_kurtosis(s) for s in samples], weights=users)) - 1, _LEAST_NOISE) / 4
        self._common = common_of(spreads, np.sqrt(self._noise / users).tolist()) if len(samples) > 1 else None
        self._sample = together([_of_mean_one(s, math.exp(-self._spread(s))) for s in samples])
        self._tail = choose_tail(self._sample, smallest)
        shapes = [self.shape(sample) for sample in samples]
        own = [log_level(*one) for one in zip(samples, shapes, strict=True)]
        each_own = zip(samples, shapes, own, strict=True)
        errors = [_level_error(sample, math.exp(level) * shape.upper) for sample, shape, level in each_own]
        # of a few costs the error is told badly, and with the level: all segments tell what one user's is
        noise = math.sqrt(float(np.average(users * np.square(errors), weights=users)))
        told = iter(zip(shapes, own, (noise / np.sqrt(users)).tolist(), strict=True))
        of_all = self.shape(None)
        each = [
            _by_mean(sample, of_all, 2 * smallest) if hidden else next(told)
            for sample, hidden in zip(everybody, shapeless, strict=True)
        ]
        self._shapes, self._own, self._errors = map(list, zip(*each, strict=True))
        self._level = level_of_all(self._own, self._errors)

    def borrowed(self, position: int) -> Borrowed:
        """What a segment takes: the shape, and a level drawn towards that of all so far as segments do not differ."""
        own, error = self._own[position], self._errors[position]
        z = self._level.weight(error)
        doubt = math.sqrt(z * error**2 + (1 - z) ** 2 * self._level.doubt)
        return Borrowed(self._shapes[position], figures(math.exp(self._level.shrunk(own, error))), doubt)

    def _spread(self, sample: Sample | None) -> float:
        """Logarithm of a segment's spread beside the common one, as far as it may be believed."""
        if self._common is None or sample is None:
            return 0.0
        error = math.sqrt(self._noise / sample.effective_users)
        return self._common.shrunk(log_spread(sample), error) - self._common.value

    def shape(self, sample: Sample | None) -> Shape:
        """The law of all, with a segment's spread, if that is told, so far as segments differ in theirs."""
        power = figures(math.exp(self._spread(sample)), 3)
        stretched = replace(self._sample, x=self._sample.x**power)
        tail = fit_tail(stretched, figures(self._tail.at**power, 3)) if self._tail is not None else None
        severity = law_of("empirical", stretched, tail, self._smallest)[1]
        upper = float(severity.isf(_ABOVE))
        return Shape(severity, upper, float(Moments(severity).below(upper)[1]) + upper * float(severity.sf(upper)))


def without_shape(samples: Sequence[Sample], alone: Sequence[bool]) -> list[bool]:
    """Of which segments no more than a mean can be used: those of one group, unless all costs may be that near."""
    others = [log_spread(sample) for sample, one in zip(samples, alone, strict=True) if not one]
    wide = bool(others) and float(np.median(others)) > math.log(_WIDE)
    return [one and wide for one in alone]


def _by_mean(sample: Sample, shape: Shape, two_groups: int) -> tuple[Shape, float, float]:
    """Shape, level and its error of a segment of which no more than the mean is told."""
    _, mean, square = Moments(shape.severity).raw[:3]
    error = math.sqrt(max(square / mean**2 - 1, 0.0) / sample.effective_users)
    own = float(sample.w @ sample.x / sample.w.sum())
    # so many users whose costs differ are one group only where one of them may make half of the cost
    others = 0.5 if sample.effective_users >= two_groups else 1.0
    return shape, math.log(others * own / mean), min(error, _MOST_ERROR)


def level_of_all(own: Sequence[float], errors: Sequence[float]) -> Common:
    """The common level and the variance of levels between segments, by Paule and Mandel (1982).

    Segments count alike where they differ by more than their errors, so that a few large ones do not decide alone.
    """
    value, squared = np.asarray(own), np.square(errors)

    def excess(between: float) -> float:
        w = 1 / (squared + between)
        return float(w @ (value - w @ value / w.sum()) ** 2) - value.size + 1

    most = float(np.sum((value - value.mean()) ** 2)) + 1.0
    between = float(optimize.brentq(excess, 0.0, most)) if excess(0.0) > 0 else 0.0
    return common_at(between, value, squared)


def _of_mean_one(sample: Sample, power: float) -> Sample:
    """A segment's users, their costs raised to a power and brought to a mean of 1."""
    x = sample.x**power
    return replace(sample, x=x * float(sample.w.sum()) / float(sample.w @ x))


def log_spread(sample: Sample) -> float:
    """Logarithm of the standard deviation of users' log cost; of costs that are nearly alike, of a hundredth."""
    away, share = _log_distances(sample)
    n = sample.effective_users
    return 0.5 * math.log(max(float(share @ away**2) * n / max(n - 1, 1.0), _LEAST_SPREAD**2))


def _kurtosis(sample: Sample) -> float:
    """Of users' log cost; 3 for a lognormal law."""
    away, share = _log_distances(sample)
    square = float(share @ away**2)
    return float(share @ away**4) / square**2 if square > _LEAST_SPREAD**2 else 1.0


def _log_distances(sample: Sample) -> tuple[Array, Array]:
    """Log costs less their mean, and their shares of users."""
    log_cost, share = np.log(sample.x), sample.w / sample.w.sum()
    return log_cost - share @ log_cost, share


def log_level(sample: Sample, shape: Shape) -> float:
    """Logarithm of the level at which a law has a segment's limited mean up to what one user in ten exceeds."""
    share = sample.w / sample.w.sum()

    def gap(log_level: float) -> float:
        level = math.exp(log_level)
        return float(share @ np.minimum(sample.x / level, shape.upper)) - shape.limited_mean

    middle = math.log(float(share @ sample.x))
    low, high = middle, middle
    while gap(low) < 0:
        low -= 1.0
    while gap(high) > 0:
        high += 1.0
    return float(optimize.brentq(gap, low, high, xtol=1e-7))


def blended(own: Severity, borrowed: Borrowed, z: float) -> Severity:
    """A segment's own law with weight z, and that of all segments at its level."""
    of_all = borrowed.shape.severity.scaled(borrowed.level).rounded(6)
    if not z:
        return of_all
    parts = [{"weight": z, "severity": own}, {"weight": 1 - z, "severity": of_all}]
    return Mixture.model_validate({"components": parts})


def _level_error(sample: Sample, upper: float) -> float:
    """Standard error of the log of a segment's level, from its own costs."""
    share = sample.w / sample.w.sum()
    capped = np.minimum(sample.x, upper)
    spread = math.sqrt(max(float(share @ capped**2) - float(share @ capped) ** 2, 0.0))
    slope = float(share @ np.where(sample.x < upper, sample.x, 0.0))
    return spread / slope / math.sqrt(sample.effective_users) if slope > 0 else 0.0
