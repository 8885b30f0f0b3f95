"""The law of users' cost: a body, or a smoothed quantile table without a single bill, and the tail spliced on above."""

import math

from ...costs.families.base import Severity
from ...costs.families.composite import Empirical, Spliced
from ...costs.families.heavy_tails import GeneralizedPareto
from ..disclose.disclosure import rounded_count
from ..disclose.groups import groups_of
from ..read.sample import Sample
from .bodies import Body, fit_body
from .tails import Tail


def law_of(family: str, sample: Sample, tail: Tail | None, smallest: int) -> tuple[Body | None, Severity]:
    """The law of one family, and its body where it is no table."""
    at = tail.at if tail is not None else None
    body = None if family == "empirical" else fit_body(family, sample, math.inf if at is None else at)
    severity: Severity = quantile_table(sample, smallest, at) if body is None else body.severity
    if tail is None or not 0 < float(severity.sf(tail.at)) < 1:
        return body, severity
    return body, with_tail(severity, tail.at, tail.severity)


def quantile_table(sample: Sample, smallest: int, at: float | None = None) -> Empirical:
    """Users' costs as a quantile function, linear between levels, that keeps the mean of each group of patients."""
    groups = groups_of(sample, smallest)
    if at is None:
        return groups.table()
    count, above = float(sample.n_above(at)), sample.x > at
    share = float(sample.w[above].sum() / sample.w.sum()) * rounded_count(count) / count if count else 0.0
    return groups.table(at, share)


def resampled(sample: Sample) -> Empirical:
    """Users' costs as they are. Holds patients' bills: for the memory of a session, never for a file."""
    return Empirical(values=tuple(sample.x.tolist()), weights=tuple(sample.w.tolist()))


def with_tail(body: Severity, at: float, tail: GeneralizedPareto) -> Spliced:
    """A body and what lies above it."""
    return Spliced.model_validate({"body": body, "at": at, "tail": tail})
