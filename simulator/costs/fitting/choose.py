"""Which family a segment gets, and how much of its shape is its own.

A family is taken whose figures (mean, limited means and sds at the thresholds, top shares), fitted on either half of
the people and judged on the other, miss those of the half left out by less than ½ the standard error of the
difference between random halves, on average of the two; of several such the one with the best held-out log score.
Where none is good enough the quantile table is taken, with the tail.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..other_figures import scaled
from ..severity import Mixture, Severity
from . import measures
from .bodies import FAMILIES, Body, fit_body, with_errors_of
from .disclosure import SMALLEST_COUNT, figures
from .empirical import quantile_table, resampled, with_tail
from .groups import groups_of
from .sample import Sample, together
from .tails import Tail, choose_splice, fit_tail, shrink

Array = NDArray[np.float64]

CHOICES = ("auto", *FAMILIES, "empirical", "resample")

FULL_CREDIBILITY = 135
"""Users at which a segment's shape is wholly its own: (1.645 / 0.10)² / 2, the limited-fluctuation standard for the
standard deviation of log cost to lie within 10% of the truth with a probability of 90%. Fewer weigh √(n / 135)."""

WORST_MISS = 0.5
"""The most that a family may miss, on average of both halves, in standard errors of the difference between halves.
The misses of many segments add up: with ¾ the top shares of eleven segments together were off by 0.4 of their own."""

_NO_TAIL_CREDIBILITY = 0.9
"""The most that a segment without a tail of its own weighs."""


@dataclass(frozen=True)
class Options:
    """How segments are fitted.

    Parameters
    ----------
    family : str
        "auto", a family of `bodies.FAMILIES`, "empirical" or "resample".
    tail_above : float, optional
        Money per year at which the tail starts; chosen by segment where absent. Infinity: no tail.
    thresholds : tuple of float
        Money per year: where limited means are judged.
    smallest : int
        Fewest patients that may be told apart.
    seed : int
    """

    family: str = "auto"
    tail_above: float | None = None
    thresholds: tuple[float, ...] = ()
    smallest: int = SMALLEST_COUNT
    seed: int = 1


@dataclass(frozen=True)
class Candidate:
    """How well one family did."""

    family: str
    converged: bool
    log_score: float
    """Mean held-out log density of a user; higher is better. Of the quantile table it is not told (nan)."""
    worst: float
    """Largest held-out miss of any figure, in standard errors of the difference between random halves."""
    worst_figure: str


@dataclass(frozen=True, repr=False)
class SegmentFit:
    """One segment's fitted law."""

    name: str
    sample: Sample
    severity: Severity
    p_user: float
    family: str
    body: Body | None
    tail: Tail | None
    credibility: float = 1.0
    """Weight of the segment's own shape beside that of all segments."""
    candidates: tuple[Candidate, ...] = field(default=())

    @property
    def zero_share_se(self) -> float:
        """Standard error of the share without cost."""
        return math.sqrt(self.p_user * (1 - self.p_user) / self.sample.effective)


def p_user_told(sample: Sample) -> float:
    """Share of users."""
    return min(figures(sample.p_user), 1.0)


def fit_segments(
    names: Sequence[str], samples: Sequence[Sample], halves: Sequence[tuple[Sample, Sample]], how: Options
) -> list[SegmentFit]:
    """Every segment's law.

    Parameters
    ----------
    names : sequence of str
    samples : sequence of Sample
        Of all the people of a segment.
    halves : sequence of pairs of Sample
        The same people in two halves that share no person.
    how : Options
    """
    if how.family != "resample":
        tempered = [sample.tempered() for sample in samples]
        return [
            replace(_told(fit, how), sample=sample)
            for fit, sample in zip(_fit_tempered(names, tempered, halves, how), samples, strict=True)
        ]
    return [_fit_one(*one, None, how) for one in zip(names, samples, halves, strict=True)]


def _told(fit: SegmentFit, how: Options) -> SegmentFit:
    """The fit with errors of its body that rest on groups of patients."""
    if fit.body is None:
        return fit
    people, at = groups_of(fit.sample, how.smallest).sample, math.inf if fit.tail is None else fit.tail.at
    return replace(fit, body=with_errors_of(fit.body, people, at))


def _fit_tempered(
    names: Sequence[str], samples: Sequence[Sample], halves: Sequence[tuple[Sample, Sample]], how: Options
) -> list[SegmentFit]:
    tails = shrink([_own_tail(sample, how) for sample in samples], samples)
    fits = [_fit_one(*one, how) for one in zip(names, samples, halves, tails, strict=True)]
    if len(fits) == 1:
        return fits
    small = [_credibility(fit, how) < 1 for fit in fits]
    if not any(small):
        return fits
    overall = _overall_shape(samples, how)
    return [
        _blended(fit, overall, _credibility(fit, how)) if is_small else fit
        for fit, is_small in zip(fits, small, strict=True)
    ]


def _own_tail(sample: Sample, how: Options) -> Tail | None:
    if how.tail_above == math.inf:
        return None
    at = figures(how.tail_above, 3) if how.tail_above is not None else choose_splice(sample, how.smallest)
    return None if at is None else fit_tail(sample, at)


def _fit_one(name: str, sample: Sample, halves: tuple[Sample, Sample], tail: Tail | None, how: Options) -> SegmentFit:
    p_user = p_user_told(sample)
    if how.family == "resample":
        return SegmentFit(name, sample, resampled(sample), p_user, "resample", None, None)
    if how.family != "auto":
        body, severity = _law(how.family, sample, tail, how)
        if body is None or body.converged:
            return SegmentFit(name, sample, severity, p_user, how.family, body, tail)
        return SegmentFit(name, sample, _law("empirical", sample, tail, how)[1], p_user, "empirical", None, tail)
    tried = ["empirical"] if sample.users < FULL_CREDIBILITY else [*FAMILIES, "empirical"]
    error = measures.difference_error(sample, how.thresholds, how.seed) if len(tried) > 1 else np.empty(0)
    candidates = tuple(judged(family, halves, tail, how, error) for family in tried if len(tried) > 1)
    good = [c for c in candidates if c.family != "empirical" and c.converged and c.worst <= WORST_MISS]
    family = max(good, key=lambda c: c.log_score).family if good else "empirical"
    body, severity = _law(family, sample, tail, how)
    if body is not None and not body.converged:
        family, (body, severity) = "empirical", _law("empirical", sample, tail, how)
    return SegmentFit(name, sample, severity, p_user, family, body, tail, candidates=candidates)


def _law(family: str, sample: Sample, tail: Tail | None, how: Options) -> tuple[Body | None, Severity]:
    at = tail.at if tail is not None else None
    body = None if family == "empirical" else fit_body(family, sample, math.inf if at is None else at)
    severity: Severity = quantile_table(sample, how.smallest, at) if body is None else body.severity
    if tail is None or not 0 < float(severity.sf(tail.at)) < 1:
        return body, severity
    return body, with_tail(severity, tail.at, tail.severity)


def judged(family: str, halves: tuple[Sample, Sample], tail: Tail | None, how: Options, error: Array) -> Candidate:
    """One family fitted on each half and judged on the other; `error` is the yardstick of each figure."""
    thresholds = how.thresholds
    misses, scores, converged = [], [], True
    for fitted_on, judged_on in (halves, halves[::-1]):
        own = fit_tail(fitted_on, tail.at) if tail is not None else None
        body, severity = _law(family, fitted_on, own or tail, how)
        with np.errstate(all="ignore"):
            implied = measures.one_segment(severity, fitted_on.p_user).implied(thresholds)
        misses.append(implied - measures.observed(judged_on, thresholds))
        if body is not None:
            converged &= body.converged
            scores.append(body.log_score(judged_on, tail.at if tail is not None else math.inf))
    with np.errstate(all="ignore"):
        gap = np.abs(np.mean(misses, axis=0)) / error
    gap[~np.isfinite(error) | (error == 0)] = 0.0
    gap[[1, 2]] = 0.0  # the uncapped sd may be infinite and is the tail's affair, not the body's
    worst = int(np.nanargmax(np.where(np.isnan(gap), np.inf, gap)))
    score = float(np.mean(scores)) if scores else math.nan
    return Candidate(family, converged, score, float(gap[worst]), measures.names(thresholds)[worst])


def _credibility(fit: SegmentFit, how: Options) -> float:
    z = min(math.sqrt(fit.sample.effective_users / FULL_CREDIBILITY), 1.0)
    lacks_tail = fit.tail is None and how.tail_above is None
    return min(z, _NO_TAIL_CREDIBILITY) if lacks_tail else z


def _overall_shape(samples: Sequence[Sample], how: Options) -> Severity:
    """The law of a user's cost over his segment's mean, all segments together."""
    # of the groups that the segments' own tables tell: of the rows another cut would tell the difference
    people = [groups_of(sample, how.smallest).sample for sample in samples]
    everybody = together([sample.scaled(sample.p_user / sample.mean) for sample in people])
    at = choose_splice(everybody, how.smallest)
    tail = fit_tail(everybody, at) if at is not None else None
    return _law("empirical", everybody, tail, how)[1]


def _blended(fit: SegmentFit, overall: Severity, credibility: float) -> SegmentFit:
    z = figures(credibility, 4)
    mean = figures(fit.sample.mean / fit.sample.p_user)
    parts = ((z, fit.severity), (1 - z, scaled(overall, mean)))
    mixed = Mixture.model_validate(
        {"components": [{"weight": w, "severity": s.model_dump(exclude_none=True)} for w, s in parts]}
    )
    return replace(fit, severity=mixed, credibility=z)
