"""The figures by which a fit is judged: the same list, observed in rows and implied by a model."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..costs.families.base import Severity
from ..costs.model import CostModel, Population
from ..costs.quadrature import Moments
from ..costs.segment import Segment
from .read.sample import Array, Sample

TOP = (0.01, 0.05, 0.10)
SPLITS = 40


def names(thresholds: Sequence[float]) -> list[str]:
    """What the figures are, in order."""
    shares = [f"share of cost of the costliest {q:.0%}" for q in TOP]
    above = [
        (f"P above {d:,.10g}", f"excess above {d:,.10g}", f"mean up to {d:,.10g}", f"sd up to {d:,.10g}")
        for d in thresholds
    ]
    return ["mean", "sd", "cv", "share without cost", *shares, *(name for four in above for name in four)]


def units(thresholds: Sequence[float]) -> list[str]:
    """What each figure is: money a year, a ratio or a share."""
    return ["money", "money", "ratio", "share", *["share"] * len(TOP), *["share", *["money"] * 3] * len(thresholds)]


def places(thresholds: Sequence[float]) -> list[float]:
    """The threshold of each figure; NaN where it is of the whole."""
    return [*[np.nan] * (4 + len(TOP)), *np.repeat(np.asarray(thresholds, dtype=float), 4).tolist()]


def observed(sample: Sample, thresholds: Sequence[float]) -> Array:
    """The figures of a sample's people."""
    found = [sample.mean, sample.sd, sample.sd / sample.mean, 1 - sample.p_user, *(sample.top_share(q) for q in TOP)]
    for d in thresholds:
        found += [
            float(sample.p_above(d)),
            float(sample.excess(d)),
            float(sample.limited_mean(d)),
            sample.limited_sd(d),
        ]
    return np.array(found)


def may_be_told(sample: Sample, thresholds: Sequence[float], smallest: int) -> NDArray[np.bool_]:
    """Whether each figure rests on `smallest` of a sample's people or more, or on nobody."""

    def enough(count: float) -> bool:
        return count == 0 or count >= smallest

    tops = [sample.rows >= smallest / q for q in TOP]
    above = [enough(float(n)) for n in sample.n_above(np.array(thresholds, float)) for _ in range(4)]
    return np.array([True, True, True, enough(sample.zero_count), *tops, *above])


def difference_error(sample: Sample, thresholds: Sequence[float], seed: int) -> Array:
    """Standard error of the difference between random halves of the rows, by figure."""
    random = np.random.default_rng(seed)
    gaps = []
    for _ in range(SPLITS):
        first, second = sample.thinned(random)
        if first.users and second.users:
            gaps.append(observed(first, thresholds) - observed(second, thresholds))
    return np.sqrt(np.mean(np.square(gaps), axis=0)) if gaps else np.full(len(names(thresholds)), np.nan)


class People:
    """What a population's segments imply about one person, exactly.

    Parameters
    ----------
    population : Population
    """

    def __init__(self, population: Population) -> None:
        self.model = CostModel(population=population)
        self.shares = self.model.shares
        self._rates = np.array([segment.p_user for segment in population.segments])
        self._moments = [Moments(segment.users_severity) for segment in population.segments]
        self._raw = self.shares @ (self._rates[:, None] * np.array([m.raw for m in self._moments]))

    @property
    def mean(self) -> float:
        """Mean annual cost a head."""
        return float(self._raw[1])

    @property
    def sd(self) -> float:
        """Standard deviation of a person's annual cost; may be infinite."""
        return math.sqrt(max(float(self._raw[2]) - self.mean**2, 0.0))

    def p_above(self, cost: float) -> float:
        """Share of people who cost more."""
        return self.model.person_sf(cost)

    def _above(self, cost: float) -> Array:
        return np.asarray(self.shares @ (self._rates[:, None] * np.array([m.above(cost) for m in self._moments])))

    def limited(self, cost: float) -> tuple[float, float]:
        """Mean and standard deviation of min(X, cost)."""
        below = self.shares @ (self._rates[:, None] * np.array([m.below(cost) for m in self._moments]))
        chance = self.p_above(cost)
        mean = float(below[1]) + cost * chance
        return mean, math.sqrt(max(float(below[2]) + cost**2 * chance - mean**2, 0.0))

    def top_share(self, q: float) -> float:
        """Share of cost of the costliest share q of people."""
        cost = self.model.person_isf(q)
        level = cost * (q - self.p_above(cost)) if cost > 0 else 0.0
        return (float(self._above(cost)[1]) + level) / self.mean

    def implied(self, thresholds: Sequence[float]) -> Array:
        """The figures, in the order of `names`."""
        found = [self.mean, self.sd, self.sd / self.mean, 1 - self.p_above(0.0), *(self.top_share(q) for q in TOP)]
        for d in thresholds:
            mean, sd = self.limited(d)
            found += [self.p_above(d), max(self.mean - mean, 0.0), mean, sd]
        return np.array(found)


def one_segment(severity: Severity, p_user: float) -> People:
    """People of one segment."""
    segment = Segment.model_construct(name="one", share=1.0, p_user=p_user, severity=severity)  # type: ignore[arg-type]
    return People(Population.model_construct(segments=(segment,), units=(), rare_services=(), membership="fixed"))
