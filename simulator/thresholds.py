"""Thresholds of a grid, money or percentiles of patients' annual cost: which of the two is asked here alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Discriminator, Field, Tag

from .errors import Contradiction, mistake
from .terms import Term, Threshold

NO_EXCLUSION = "no exclusion"
"""What a threshold is called that excludes nobody, and a rule with it."""


class Percentiles(Term):
    """Thresholds as percentiles of patients' annual cost, as US programmes truncate by enrolment stratum."""

    percentiles: Annotated[
        tuple[Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False)], ...], Field(min_length=1)
    ]
    """Ascending; people without cost are counted, shocks are not; 1.0 excludes nobody."""
    by: Literal["segment", "population"] = "population"
    """Whether each segment has its own amount, or all have one."""
    amounts: tuple[tuple[Threshold, ...], ...] | None = None
    """Money at each percentile where it is agreed already: one row for all, or one for each segment."""

    def _contradictions(self) -> Iterator[Contradiction]:
        if any(len(row) != len(self.percentiles) for row in self.amounts or ()):
            yield (), mistake("has a row of amounts that is not as long as the percentiles", "give one for each")


_Amounts = Annotated[tuple[Threshold, ...], Field(min_length=1)]


def _kind(raw: Any) -> str:
    return "percentiles" if isinstance(raw, dict | Percentiles) else "amounts"


GivenThresholds = Annotated[
    Annotated[_Amounts, Tag("amounts")] | Annotated[Percentiles, Tag("percentiles")], Discriminator(_kind)
]
"""Either, as a scenario file gives them."""

Thresholds = tuple[Threshold, ...] | Percentiles


def percentiles_of(thresholds: Thresholds) -> Percentiles | None:
    """The percentiles, where thresholds are given as such."""
    return thresholds if isinstance(thresholds, Percentiles) else None


def last_of(thresholds: Thresholds) -> Thresholds:
    """The last place of the grid alone."""
    if isinstance(thresholds, Percentiles):
        return thresholds.model_copy(update={"percentiles": thresholds.percentiles[-1:]})
    return thresholds[-1:]


def units_of(thresholds: Thresholds, currency: str) -> str:
    """The unit of the figures on the grid, as a ledger says it."""
    return f"{currency} per year" if percentiles_of(thresholds) is None else "1"


def levels_of(raw: Any) -> Any:
    """The figures on the grid, amounts or percentiles; of what is not validated yet as well."""
    if isinstance(raw, dict):
        return raw.get("percentiles")
    return raw.percentiles if isinstance(raw, Percentiles) else raw


def is_share(units: object) -> bool:
    """Whether figures of these units, as files say them, are shares, and neither money nor counts."""
    return units == "1"


class At(NamedTuple):
    """One point of a grid."""

    value: float
    """Money per year; or a percentile, 0 to 1."""
    is_percentile: bool = False

    @classmethod
    def of(cls, value: float, units: str | None) -> At:
        """The point that a ledger's coordinate has at `value`, its attribute `units` being this."""
        return cls(float(value), is_share(units))

    @property
    def excludes_nobody(self) -> bool:
        """Whether no patient's cost can exceed it; a rule without an amount is at infinity on any grid."""
        return self.value >= (1.0 if self.is_percentile else math.inf)

    def told(self, money: Callable[[float], str]) -> str:
        """The point in words: £25k, percentile 99, or no exclusion; `money` writes an amount."""
        if self.excludes_nobody:
            return NO_EXCLUSION
        return f"percentile {100 * self.value:.6g}" if self.is_percentile else money(self.value)
