"""Which law a segment gets, and how much of its shape is its own.

A family is taken that foretells rows it has not seen (`held_out`), the simplest of those that do so alike well. Where
none does, the quantile table is taken, with the tail.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .. import effort
from ..costs.families.base import Severity
from ..numerals import figures
from . import measures
from .disclose.disclosure import SMALLEST_COUNT
from .disclose.groups import groups_of
from .held_out import Candidate, Half, candidates, simplest
from .laws.bodies import FAMILIES, Body, with_errors_of
from .laws.small_segments import FULL_CREDIBILITY, Everybody, blended, credibility, without_shape
from .laws.spliced import law_of, resampled
from .laws.tails import Tail, choose_tail, fit_tail, shrink
from .read.sample import Sample

CHOICES = ("auto", *FAMILIES, "empirical", "resample")
_TRIED = (*FAMILIES, "empirical")


@dataclass(frozen=True)
class Options:
    """How segments are fitted: what was asked of `fit`."""

    family: str = "auto"
    tail_above: float | None = None  # money per year; infinity for no tail
    thresholds: tuple[float, ...] = ()
    smallest: int = SMALLEST_COUNT
    seed: int = 1


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
    credibility: float = 1.0  # weight of the segment's own shape beside that of all segments
    level_error: float = 0.0  # standard error of the log of its level, where its shape is not wholly its own
    candidates: tuple[Candidate, ...] = ()

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
    """Every segment's law."""
    each = zip(names, samples, strict=True)
    if how.family == "resample":
        return [SegmentFit(name, one, resampled(one), p_user_told(one), "resample", None, None) for name, one in each]
    fits = _fit_tempered(names, [sample.tempered() for sample in samples], halves, how)
    for place, (fit, sample) in enumerate(zip(fits, samples, strict=True)):
        body, at = fit.body, math.inf if fit.tail is None else fit.tail.at
        if body is not None:  # with errors that rest on groups of patients
            body = with_errors_of(body, groups_of(fit.sample, how.smallest).sample, at)
        fits[place] = replace(fit, body=body, sample=sample)
    return fits


def _fit_tempered(
    names: Sequence[str], samples: Sequence[Sample], halves: Sequence[tuple[Sample, Sample]], how: Options
) -> list[SegmentFit]:
    with effort.task("fitting", 8, fills=7) as advance:
        tails = _tails(samples, how)
        advance()
        tried = _tried(samples, halves, how)
        advance(7)
    each = list(zip(names, samples, tails, tried, strict=True))
    fits = [_fit_one(*one, how) for one in effort.each(each, "segments")]
    if len(fits) == 1:
        return fits
    # of the groups that the segments' own tables tell: of the rows another cut would tell the difference
    groups = [groups_of(sample, how.smallest) for sample in samples]
    people = [group.sample for group in groups]
    shapeless = without_shape(people, [group.n.size == 1 for group in groups])
    weights = [
        0.0 if hidden else credibility(one, fit.tail is None and how.tail_above is None)
        for fit, one, hidden in zip(fits, people, shapeless, strict=True)
    ]
    if min(weights) == 1:
        return fits
    everybody = Everybody(people, how.smallest, shapeless)
    for place, z in enumerate(weights):
        if z < 1:
            borrowed = everybody.borrowed(place)
            law = blended(fits[place].severity, borrowed, z)
            fits[place] = replace(fits[place], severity=law, credibility=z, level_error=borrowed.level_error)
    return fits


def _tails(samples: Sequence[Sample], how: Options) -> list[Tail | None]:
    def own(sample: Sample) -> Tail | None:
        at = how.tail_above
        if at is None:
            return choose_tail(sample, how.smallest)
        return None if at == math.inf else fit_tail(sample, figures(at, 3))

    return shrink([own(sample) for sample in effort.each(samples, "tails")], samples)


def _tried(
    samples: Sequence[Sample], halves: Sequence[tuple[Sample, Sample]], how: Options
) -> list[tuple[Candidate, ...]]:
    """How the families did in each segment that has enough patients for a choice."""
    if how.family != "auto" or all(sample.users < FULL_CREDIBILITY for sample in samples):
        return [() for _ in samples]
    tails = [_tails(half, how) for half in zip(*halves, strict=True)]

    def tried(sample: Sample, pair: tuple[Sample, Sample], *own: Tail | None) -> tuple[Candidate, ...]:
        if sample.users < FULL_CREDIBILITY:
            return ()
        error = measures.difference_error(sample, how.thresholds, how.seed)
        first, second = map(Half, pair, own)
        return candidates((first, second), _TRIED, how.thresholds, how.smallest, error)

    each = list(zip(samples, halves, *tails, strict=True))
    return [tried(*one) for one in effort.each(each, "families tried", fills=7)]


def _fit_one(name: str, sample: Sample, tail: Tail | None, tried: tuple[Candidate, ...], how: Options) -> SegmentFit:
    p_user = p_user_told(sample)
    family = (simplest(tried) or "empirical") if how.family == "auto" else how.family
    body, severity = law_of(family, sample, tail, how.smallest)
    if body is not None and not body.converged:
        family, (body, severity) = "empirical", law_of("empirical", sample, tail, how.smallest)
    return SegmentFit(name, sample, severity, p_user, family, body, tail, candidates=tried)
