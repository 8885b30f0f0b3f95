"""Small segments: what their rows tell is kept, and what they do not tell is taken from all segments.

A few costs tell well what a person costs up to an amount that one in ten exceeds, and badly what lies above. So the law
of all segments is stretched to the segment's own spread of log cost, as far as segments differ in it at all, and
brought to the level at which it has the segment's own limited mean. The segment's own law gets a weight beside it that
grows with its patients. The plain mean, to which the costliest patient adds most, is not used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import optimize

from ..other_figures import scaled
from ..quadrature import Moments
from ..severity import Mixture, Severity
from .disclosure import figures
from .laws import law_of
from .sample import Sample, together
from .tails import choose_tail, common_of, fit_tail

FULL_CREDIBILITY = 135
"""Users at which a segment's shape is wholly its own: (1.645 / 0.10)² / 2, the limited-fluctuation standard for the
standard deviation of log cost to lie within 10% of the truth with a probability of 90%."""
POWER = 2
"""Fewer users, n, weigh (n / 135)²: with a lower power, limited means were further from the truth than the rows' own at
40 users (benchmarks/fit_studies.py), as a table of so few has wide cells."""

_NO_TAIL_CREDIBILITY = 0.9
"""The most that a segment without a tail of its own weighs."""
_ABOVE = 0.1
"""Share of users above the amount up to which a small segment's limited mean is its own."""
_LEAST_NOISE = 0.1


class Shape(NamedTuple):
    """A law of all segments, stretched to the spread of one of them."""

    severity: Severity
    upper: float
    """What one user in ten exceeds."""
    limited_mean: float
    """E[min(X, upper)]."""


def credibility(sample: Sample, lacks_tail: bool) -> float:
    """Weight of a segment's own law."""
    z = min((sample.effective_users / FULL_CREDIBILITY) ** POWER, 1.0)
    return figures(min(z, _NO_TAIL_CREDIBILITY) if lacks_tail else z, 4)


class Everybody:
    """All segments together, each brought to a mean of 1.

    Parameters
    ----------
    samples : sequence of Sample
    smallest : int
        Fewest patients of a cell of a table.
    """

    def __init__(self, samples: Sequence[Sample], smallest: int) -> None:
        self._sample = together([sample.scaled(sample.p_user / sample.mean) for sample in samples])
        self._smallest = smallest
        self._tail = choose_tail(self._sample, smallest)
        # n times the variance of the logarithm of a standard deviation; 1/2 for a normal law
        self._noise = max(_kurtosis(self._sample) - 1, _LEAST_NOISE) / 4
        known = [sample for sample in samples if sample.x.size > 1]
        spreads, errors = [log_spread(sample) for sample in known], [self._error(sample) for sample in known]
        self._common = common_of(spreads, errors) if len(known) > 1 else None

    def _error(self, sample: Sample) -> float:
        return math.sqrt(self._noise / sample.effective_users)

    def shape(self, sample: Sample) -> Shape:
        """The law of all, with a segment's spread so far as segments differ in theirs."""
        power = 1.0
        if self._common is not None and sample.x.size > 1:
            own = self._common.shrunk(log_spread(sample), self._error(sample))
            power = figures(math.exp(own - log_spread(self._sample)), 3)
        stretched = replace(self._sample, x=self._sample.x**power)
        tail = fit_tail(stretched, figures(self._tail.at**power, 3)) if self._tail is not None else None
        severity = law_of("empirical", stretched, tail, self._smallest)[1]
        upper = float(severity.isf(_ABOVE))
        return Shape(severity, upper, float(Moments(severity).below(upper)[1]) + upper * float(severity.sf(upper)))


def log_spread(sample: Sample) -> float:
    """Logarithm of the standard deviation of users' log cost."""
    log_cost, share = np.log(sample.x), sample.w / sample.w.sum()
    n = sample.effective_users
    return 0.5 * math.log(float(share @ (log_cost - share @ log_cost) ** 2) * n / (n - 1))


def _kurtosis(sample: Sample) -> float:
    """Of users' log cost; 3 for a lognormal law."""
    log_cost, share = np.log(sample.x), sample.w / sample.w.sum()
    away = log_cost - share @ log_cost
    return float(share @ away**4) / float(share @ away**2) ** 2


def known_up_to(sample: Sample, shape: Shape) -> float:
    """The amount up to which the limited mean of a small segment is its own, money per year."""
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
    return figures(math.exp(float(optimize.brentq(gap, low, high, xtol=1e-7))) * shape.upper)


def blended(own: Severity, shape: Shape, upper: float, z: float) -> Mixture:
    """A segment's own law with weight z, and that of all segments at its level."""
    parts = ((z, own), (1 - z, scaled(shape.severity, upper / shape.upper)))
    return Mixture.model_validate(
        {"components": [{"weight": w, "severity": s.model_dump(exclude_none=True)} for w, s in parts]}
    )


def level_error(sample: Sample, upper: float) -> float:
    """Standard error of the log of the level at which a law has a small segment's limited mean."""
    share = sample.w / sample.w.sum()
    capped = np.minimum(sample.x, upper)
    spread = math.sqrt(max(float(share @ capped**2) - float(share @ capped) ** 2, 0.0))
    slope = float(share @ np.where(sample.x < upper, sample.x, 0.0))
    return spread / slope / math.sqrt(sample.effective_users) if slope > 0 else 0.0
