"""The figures by which a fit is judged: the same list, observed in rows and implied by a model."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..costs.families.base import Severity
from ..costs.model import CostModel, Population
from ..costs.segment import Segment
from .read.sample import Array, Sample

TOP = (0.01, 0.05, 0.10)
SPLITS = 40


_OF_ALL = {
    "mean": "money", "sd": "money", "cv": "ratio", "share without cost": "share",
    **{f"share of cost of the costliest {q:.0%}": "share" for q in TOP},
}  # fmt: skip
"""Figures of the whole, and what each is: money a year, a ratio or a share."""
_OF_ONE = {"P above": "share", "excess above": "money", "mean up to": "money", "sd up to": "money"}  # of a threshold


def names(thresholds: Sequence[float]) -> list[str]:
    """What the figures are, in order."""
    return [*_OF_ALL, *(f"{name} {d:,.10g}" for d in thresholds for name in _OF_ONE)]


def units(thresholds: Sequence[float]) -> list[str]:
    """What each figure is: money a year, a ratio or a share."""
    return [*_OF_ALL.values(), *[*_OF_ONE.values()] * len(thresholds)]


def places(thresholds: Sequence[float]) -> list[float]:
    """The threshold of each figure; NaN where it is of the whole."""
    return [*[np.nan] * len(_OF_ALL), *np.repeat(np.asarray(thresholds, dtype=float), len(_OF_ONE)).tolist()]


def observed(sample: Sample, thresholds: Sequence[float]) -> Array:
    """The figures of a sample's people."""
    found = [sample.mean, sample.sd, sample.sd / sample.mean, 1 - sample.p_user, *(sample.top_share(q) for q in TOP)]
    for d in thresholds:
        found += [*map(float, (sample.p_above(d), sample.excess(d), sample.limited_mean(d))), sample.limited_sd(d)]
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
    """What a population's segments imply about one person, exactly."""

    def __init__(self, population: Population) -> None:
        self.model = CostModel(population=population)
        self._moments = [segment.users_severity.moments for segment in population.segments]
        self._raw = self._over_segments([moments.raw for moments in self._moments])

    def _over_segments(self, moments: Sequence[Array]) -> Array:
        """Moments of a person, from those of each segment's users."""
        rates = np.array([segment.p_user for segment in self.model.population.segments])
        return np.asarray(self.model.shares @ (rates[:, None] * np.array(moments)))

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

    def limited(self, cost: float) -> tuple[float, float]:
        """Mean and standard deviation of min(X, cost)."""
        below = self._over_segments([moments.below(cost) for moments in self._moments])
        chance = self.p_above(cost)
        mean = float(below[1]) + cost * chance
        return mean, math.sqrt(max(float(below[2]) + cost**2 * chance - mean**2, 0.0))

    def top_share(self, q: float) -> float:
        """Share of cost of the costliest share q of people."""
        return self.model.top_share(q)

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
