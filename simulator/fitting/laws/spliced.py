"""A family's law of users' cost: a body, and the tail spliced on above it."""

from __future__ import annotations

import math

from ...costs.families.base import Severity
from ..read.sample import Sample
from .bodies import Body, fit_body
from .empirical import quantile_table, with_tail
from .tails import Tail


def law_of(family: str, sample: Sample, tail: Tail | None, smallest: int) -> tuple[Body | None, Severity]:
    """The law of one family, and its body where it is no table.

    Parameters
    ----------
    family : str
        A family of `bodies.FAMILIES`, or "empirical".
    sample : Sample
    tail : Tail, optional
        What lies above its splice.
    smallest : int
        Fewest patients of a cell of the table.
    """
    at = tail.at if tail is not None else None
    body = None if family == "empirical" else fit_body(family, sample, math.inf if at is None else at)
    severity: Severity = quantile_table(sample, smallest, at) if body is None else body.severity
    if tail is None or not 0 < float(severity.sf(tail.at)) < 1:
        return body, severity
    return body, with_tail(severity, tail.at, tail.severity)
