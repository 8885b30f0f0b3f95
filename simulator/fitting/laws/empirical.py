"""Smoothed quantile tables: through the means of groups of ten persons or more, no single bill anywhere."""

from __future__ import annotations

from ...costs.families.base import Severity
from ...costs.families.composite import Empirical, Spliced
from ...costs.families.heavy_tails import GeneralizedPareto
from ..disclose.disclosure import rounded_count
from ..disclose.groups import groups_of
from ..read.sample import Sample


def quantile_table(sample: Sample, smallest: int, at: float | None = None) -> Empirical:
    """Users' costs as a quantile function, linear between levels, that keeps the mean of each group of patients.

    Parameters
    ----------
    sample : Sample
    smallest : int
        Fewest persons a group.
    at : float, optional
        Money per year, with `smallest` users or more above: users above are replaced by a stretch up to 2·at.
    """
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
    return Spliced.model_validate(
        {"body": body.model_dump(exclude_none=True), "at": at, "tail": tail.model_dump(exclude_none=True)}
    )
