"""Which family foretells rows that it has not seen: all of a law is fitted to one half, and judged on the other.

The tail is chosen on the half that is fitted, too. For each figure (mean, limited means and sds at the thresholds, top
shares) the held-out miss is the root mean square of the two ways, first half to second and second to first, beside what
the rows of the one half miss in the other, or are expected to. A law that repeats its rows misses as much as they.

Signed misses tell something else: their mean is what the fits miss in their own rows. It must be small as well, but a
table of every row makes it 0.

Between families decides the held-out log score: the mean logarithm of the chance that a law gave the cell into which a
user of the half left out falls, of fifty cells of equal number. A law that follows its own rows too closely loses it.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..costs.families.base import Severity
from . import measures
from .laws.bodies import FAMILIES, Body
from .laws.spliced import law_of
from .laws.tails import Tail
from .read.sample import Array, Sample, together

WORST_MISS = 1.25
"""The most that a family may miss in any figure of the half left out, beside the rows. Of samples of 1,500 rows of a
known family two in a hundred had it miss more."""
WORST_OWN_MISS = 0.75
"""The most that it may miss in any figure of the rows that it was fitted to, in standard errors of the difference
between random halves: 1.5 standard errors of the rows together."""
SIMPLER = 1.0  # standard errors of the difference of log scores within which the simpler wins (Breiman et al. 1984)

_CELL, _MOST_CELLS = 10, 50
_LEAST = 1e-9  # chance of a cell that a law holds to be empty

_OF_THE_TAIL = ("sd", "cv")  # figures that may be infinite: an affair of the tail, not of the body


@dataclass(frozen=True)
class Candidate:
    """How well one family did."""

    family: str
    converged: bool
    log_score: float  # mean held-out log chance of a user's cell; higher is better
    worst: float  # largest held-out miss of any figure, as a multiple of what the rows of one half miss in the other
    worst_figure: str
    miss: float  # root mean square of the held-out misses of all figures, likewise
    own_worst: float  # largest miss of any figure of its own rows, in standard errors of the difference between halves
    behind: float = math.nan  # how far its log score lies behind the best that holds; below 0 where it is ahead
    behind_se: float = math.nan

    @property
    def holds(self) -> bool:
        """Whether it may be taken."""
        return self.converged and self.worst <= WORST_MISS and self.own_worst <= WORST_OWN_MISS


class Half(NamedTuple):
    """One half of the people, with the tail that was chosen on it."""

    sample: Sample
    tail: Tail | None


Law = Callable[[Sample, Tail | None], tuple[Body | None, Severity]]  # what is fitted to a sample with its tail


class Judged(NamedTuple):
    """A law's trial."""

    candidate: Candidate
    scores: list[Array]  # log chance of the cell of each distinct cost left out, one array a way


def candidates(
    halves: tuple[Half, Half], families: Iterable[str], thresholds: Sequence[float], smallest: int, error: Array
) -> tuple[Candidate, ...]:
    """Every family, fitted on each half and judged on the other."""
    laws = {family: partial(law_of, family, smallest=smallest) for family in families}
    found = [judged(family, law, halves, thresholds, error) for family, law in laws.items()]
    good = [one for one in found if one.candidate.holds and one.candidate.family in FAMILIES]
    if not good:
        return tuple(one.candidate for one in found)
    best = max(good, key=lambda one: one.candidate.log_score)
    return tuple(_behind(one, best, halves) for one in found)


def simplest(tried: Sequence[Candidate]) -> str | None:
    """The family with the fewest figures among those whose log score lies within a standard error of the best.

    None where no family holds.
    """
    near = [c for c in tried if c.holds and c.family in FAMILIES and c.behind <= SIMPLER * c.behind_se]
    return min(near, key=lambda c: (FAMILIES[c.family].parameters, c.behind)).family if near else None


def judged(name: str, law: Law, halves: tuple[Half, Half], thresholds: Sequence[float], error: Array) -> Judged:
    """One law fitted on each half and judged on the other."""
    misses, scores, converged = [], [], True
    edges = cell_edges(halves)
    for fitted_on, judged_on in (halves, halves[::-1]):
        body, severity = law(fitted_on.sample, fitted_on.tail)
        with np.errstate(all="ignore"):
            implied = measures.one_segment(severity, fitted_on.sample.p_user).implied(thresholds)
            misses.append(implied - measures.observed(judged_on.sample, thresholds))
        converged &= body is None or body.converged
        chances = -np.diff(np.concatenate([[1.0], severity.sf(edges), [0.0]]))
        cells = np.searchsorted(edges, judged_on.sample.x, side="left")
        scores.append(np.log(np.maximum(chances, _LEAST))[cells])
    labels = measures.names(thresholds)
    held_out = _judged_only(_root(misses), np.maximum(rows_miss(halves, thresholds), error), labels)
    own = _judged_only(np.abs(np.mean(misses, axis=0)), error, labels)
    worst = int(np.argmax(held_out))
    score = float(np.mean([_mean(one, half.sample) for one, half in zip(scores, halves[::-1], strict=True)]))
    found = (float(held_out[worst]), labels[worst], float(_root(held_out)), float(own.max()))
    return Judged(Candidate(name, converged, score, *found), scores)


def cell_edges(halves: tuple[Half, Half]) -> Array:
    """Costs between cells of equal numbers of users, ten or more in each, of both halves."""
    everybody = together([half.sample for half in halves])
    cells = int(np.clip(everybody.users // _CELL, 2, _MOST_CELLS))
    return np.unique(everybody.isf(np.arange(1, cells) / cells * everybody.p_user))


def _root(values: Any) -> Any:
    with np.errstate(all="ignore"):
        return np.sqrt(np.mean(np.square(values), axis=0))


def _judged_only(miss: Array, yardstick: Array, labels: Sequence[str]) -> Array:
    """Misses beside their yardstick: 0 where there is none or the figure is the tail's, infinite where not a number."""
    with np.errstate(all="ignore"):
        gap = miss / yardstick
    gap = np.where(np.isnan(gap), np.inf, gap)
    of_the_tail = np.isin(labels, _OF_THE_TAIL)
    return np.where(of_the_tail | ~np.isfinite(yardstick) | (yardstick == 0), 0.0, gap)


def rows_miss(halves: tuple[Half, Half], thresholds: Sequence[float]) -> Array:
    """How far the rows of the one half are from those of the other."""
    first, second = (measures.observed(half.sample, thresholds) for half in halves)
    return np.abs(first - second)


def _mean(values: Array, sample: Sample) -> float:
    return float(np.average(values, weights=sample.w))


def _behind(one: Judged, best: Judged, halves: tuple[Half, Half]) -> Candidate:
    """With how far its log score lies behind the best, and the error of that difference."""
    gaps, variances = [], []
    for ahead, own, half in zip(best.scores, one.scores, halves[::-1], strict=True):
        gap = ahead - own
        mean = _mean(gap, half.sample)
        gaps.append(mean)
        variances.append(float(half.sample.w2 @ (gap - mean) ** 2) / float(half.sample.w.sum()) ** 2)
    return replace(one.candidate, behind=float(np.mean(gaps)), behind_se=math.sqrt(sum(variances)) / 2)
