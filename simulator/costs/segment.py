"""People with one cost distribution, and services that are counted by event: what a cost model is composed of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Discriminator, Field, Tag, model_validator

from ..errors import mistake
from ..terms import Name, Positive, Term
from .calibrate import Calibrated
from .families.base import Severity
from .families.union import AnySeverity
from .quadrature import Array


def _severity_kind(raw: Any) -> str:
    calibrated = "calibrate" in raw if isinstance(raw, dict) else isinstance(raw, Calibrated)
    return "calibrated" if calibrated else "given"


GivenSeverity = Annotated[
    Annotated[AnySeverity, Tag("given")] | Annotated[Calibrated, Tag("calibrated")], Discriminator(_severity_kind)
]
"""A severity by its figures, or calibrated from summary figures of the whole segment."""


class Segment(Term):
    """People with one cost distribution: a need level, an age band, a condition count."""

    name: Name
    share: Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False)]
    """Share of the population, or of each unit that gives no shares of its own; those of all segments add up to 1."""
    p_user: Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False)] = 1.0
    """Chance that a person has any cost in the year."""
    severity: GivenSeverity
    """Annual cost of a user."""

    @model_validator(mode="after")
    def _has_a_mean(self) -> Segment:
        _refuse_infinite_mean(self.users_severity)
        return self

    @cached_property
    def users_severity(self) -> Severity:
        """Annual cost of a user, calibrated where summary figures were given."""
        return self.severity.users_severity(self.p_user) if isinstance(self.severity, Calibrated) else self.severity

    def with_figures(self, given: Mapping[str, float]) -> Segment:
        """The segment with other values of `p_user` and of its severity's figures."""
        own = {name: value for name, value in given.items() if name != "p_user"}
        changed = {"p_user": given.get("p_user", self.p_user), "severity": self.users_severity.with_figures(own)}
        return self.model_copy(update=changed)


def person_sf(segments: Sequence[Segment], shares: Array, cost: float) -> float:
    """Chance that a person of a mix of segments costs more."""
    return float(sum(w * s.p_user * float(s.users_severity.sf(cost)) for w, s in zip(shares, segments, strict=True)))


def person_isf(segments: Sequence[Segment], shares: Array, survival: float) -> float:
    """The smallest annual cost that a person of a mix of segments exceeds with at most this chance."""
    if survival >= person_sf(segments, shares, 0.0):
        return 0.0
    if survival <= 0:
        return math.inf
    reached = [float(s.users_severity.isf(min(survival / s.p_user, 1.0))) for s in segments]
    low, high = min(reached) * (1 - 1e-12), max(reached)
    if person_sf(segments, shares, high) > survival:
        high = math.nextafter(high, math.inf) * (1 + 1e-12)
    if person_sf(segments, shares, low) <= survival:
        return low
    while high - low > 1e-14 * high:
        middle = (low + high) / 2
        if not low < middle < high:
            break
        low, high = (middle, high) if person_sf(segments, shares, middle) > survival else (low, middle)
    return high


class RareService(Term):
    """A rare costly service, counted by event and not by patient: transplants, secure mental health, a new therapy."""

    name: Name
    rate_per_100k: Positive
    """Expected events a year for 100,000 people; the number of events is Poisson."""
    price: AnySeverity
    """Cost of one event. Thresholds and shocks meet each event as they meet a patient's annual cost."""
    in_scope: bool = True
    """Whether the budget pays for it; if not, its cost is kept as `excluded_service_cost`."""
    persistence: Annotated[
        float | None, Field(strict=True, ge=0, le=1, allow_inf_nan=False, exclude_if=lambda given: given is None)
    ] = None
    """Chance that an event comes again the next year, to the same patient; the others are new ones."""

    @model_validator(mode="after")
    def _has_a_mean(self) -> RareService:
        _refuse_infinite_mean(self.price)
        return self


class Stream(NamedTuple):
    """One thing the engine draws: the users of a segment, or the events of a rare service."""

    name: str
    is_segment: bool
    in_scope: bool
    rate: float
    """Chance of any cost, or expected events a head."""
    severity: Severity


def _refuse_infinite_mean(severity: Severity) -> None:
    if severity.tail_index <= 1:
        bound = f"has an infinite mean (tail index {severity.tail_index:g})"
        raise mistake(bound, "give a tail index above 1, better above 2")
    with np.errstate(all="ignore"):
        mean, square = severity.moments.raw[1:3]
    if not 0 < mean < math.inf or (severity.tail_index > 2 and not math.isfinite(square)):
        raise mistake(f"has a mean of {mean:g} and a mean square of {square:g}", "give figures of a sensible size")
