"""From columns to clean rows: one annual cost a row, its weight and its segment, and a report of what was dropped.

A person covered for part of a year is kept with his exposure e (a fraction of the year): his cost is brought to a year,
cost / e, and weighs e, as the US programmes do (42 CFR 425.604), so that cost a member-year is kept to the penny. What
is fitted is then the law of an annualised cost. Its mean is that of a member-year, but it is more spread than the cost
of a person who is covered all year: fewer months are less of an average, and more often without any cost.

Weights are importance weights: a row of weight 2 stands for two like it, and for no more than one observation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...base import SimulatorError
from .disclosure import SMALLEST_COUNT, check_names, check_smallest, figures, kept_count, safe_totals
from .files import columns_of
from .segments import SegmentRule, assign, parse_rule
from .where import Condition, parse

Array = NDArray[np.float64]
NegativePolicy = Literal["refuse", "zero", "net"]

_MOST_ROUNDING = 1e-9
_LARGEST = 1e15
"""Amounts beyond this are taken for mistakes: their squares would leave a computer's numbers."""
_LEAST_EXPOSURE = 1e-4
"""Fraction of a year, less than an hour: no cost is brought to a year from less."""


@dataclass(frozen=True)
class Reading:
    """How a file is to be read.

    Parameters
    ----------
    cost : tuple of str
        Columns that are added up, money.
    segment : SegmentRule
    exclude_service : tuple of str
        Columns of services that are taken out: off the list of `cost`, or off its sum.
    weight, exposure, person : str, optional
        Columns of weights, of the fraction of the year covered, and of ids (which keep a person's years together when
        rows are split in halves, and are dropped at once).
    exposure_unit : {"years", "months"}
    minimum_exposure : float
        Rows with less than this fraction of a year are dropped.
    where : tuple of Condition
        What rows must meet, in order.
    negative : {"refuse", "zero", "net"}
        Of negative amounts: refuse the file; set each to 0; or net them within the row's person, no lower than 0.
    smallest_count : int
        Fewer patients are not told apart.
    """

    cost: tuple[str, ...]
    segment: SegmentRule
    exclude_service: tuple[str, ...] = ()
    weight: str | None = None
    exposure: str | None = None
    exposure_unit: Literal["years", "months"] = "years"
    minimum_exposure: float = 0.0
    person: str | None = None
    where: tuple[Condition, ...] = ()
    negative: NegativePolicy = "refuse"
    smallest_count: int = SMALLEST_COUNT

    @property
    def columns(self) -> list[str]:
        """Every column that is read."""
        single = [self.weight, self.exposure, self.person, self.segment.column]
        filtered = sorted(set().union(*(condition.columns for condition in self.where)))
        return [*self.cost, *self.exclude_service, *(name for name in single if name), *filtered]


def reading(
    cost: str | Sequence[str],
    segment: str | None = None,
    exclude_service: str | Sequence[str] = (),
    where: str | None = None,
    **options: Any,
) -> Reading:
    """A `Reading` from what a person writes: lists with commas, a filter and cuts as text."""
    found = Reading(
        cost=_listed(cost), segment=parse_rule(segment), exclude_service=_listed(exclude_service),
        where=parse(where) if where else (), **options,
    )  # fmt: skip
    check_smallest(found.smallest_count)
    if not found.cost:
        raise SimulatorError("cost", None, "names no column", "name the columns of cost")
    for name, allowed in (("negative", ("refuse", "zero", "net")), ("exposure_unit", ("years", "months"))):
        if getattr(found, name) not in allowed:
            raise SimulatorError(name, None, f"must be one of {', '.join(allowed)}", "choose one of these")
    if not 0 <= found.minimum_exposure <= 1:
        raise SimulatorError("minimum_exposure", found.minimum_exposure, "must be a fraction of a year", "give 0 to 1")
    check_names(found.columns, "the columns")
    return replace(found, where=tuple(_masked(condition, found) for condition in found.where))


def _masked(condition: Condition, how: Reading) -> Condition:
    """A condition without the amounts or ids that it compares with, which may be somebody's."""
    told = condition.columns & {*how.cost, *how.exclude_service, how.person}
    return condition._replace(text=f"a condition on {', '.join(sorted(condition.columns))}") if told else condition


def _listed(given: str | Sequence[str]) -> tuple[str, ...]:
    parts = given.split(",") if isinstance(given, str) else list(given)
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))


@dataclass(frozen=True, repr=False)
class Rows:
    """Clean rows. They stay in the memory of the fit and go nowhere else."""

    cost: Array
    """Shape (row,): money per year of cover, 0 or more."""
    weight: Array
    """Shape (row,): member-years, times the weight where there is one."""
    segment: NDArray[np.int64]
    names: tuple[str, ...]
    fold: NDArray[np.int8]
    """Shape (row,): 0 or 1, a person's rows together."""
    report: dict[str, Any] = field(default_factory=dict)
    """What was read, dropped and changed, by count and share of cost; small counts are None."""


class _Tally:
    """Which rows are left, and what took the others."""

    def __init__(self, cost: Array, smallest: int) -> None:
        self.left = np.ones(cost.size, bool)
        self.smallest = smallest
        self.dropped: list[dict[str, Any]] = []
        self._cost = np.where(np.isfinite(cost), cost, 0.0)
        self._total = float(self._cost.sum()) or 1.0

    def drop(self, where: NDArray[np.bool_], why: str, always: bool = False) -> None:
        gone = self.left & where
        count = int(gone.sum())
        self.left &= ~where
        if count or always:
            spent = float(self._cost[gone].sum())
            told = not 0 < count < self.smallest and not _one_outweighs(self._cost[gone])
            share = figures(spent / self._total) if told else None
            self.dropped.append({"why": why, "rows": count, "share_of_cost": share})

    def report(self) -> dict[str, Any]:
        counts = {"kept": int(self.left.sum()), **{str(i): row["rows"] for i, row in enumerate(self.dropped)}}
        counts["read"] = sum(counts.values())
        told = safe_totals(counts, self.smallest)
        lines = [{**row, "rows": told[str(i)]} for i, row in enumerate(self.dropped)]
        return {"rows_read": told["read"], "rows_kept": told["kept"], "dropped": lines, "smallest_count": self.smallest}


def clean(source: Any, how: Reading, seed: int = 1) -> Rows:
    """Read, filter and clean.

    Parameters
    ----------
    source : path-like or DataFrame
    how : Reading
    seed : int
        Of the split into halves.

    Raises
    ------
    SimulatorError
        One sentence; it never repeats a cell.
    """
    columns = columns_of(source, how.columns)
    parts = np.stack(
        [_money(columns[name], name) for name in how.cost if name not in how.exclude_service]
        or [np.zeros(_size(columns))]
    )
    taken = [_money(columns[name], name) for name in how.exclude_service if name not in how.cost]
    tally = _Tally(parts.sum(axis=0), how.smallest_count)
    for condition in how.where:
        tally.drop(~condition.holds(columns), f"not {condition.text}", always=True)
    excluded = _excluded_share(columns, how, tally.left)
    code, names = assign(how.segment, columns, tally.left.size)
    tally.drop(code < 0, "no segment")
    parts = np.concatenate([parts, -np.stack(taken)]) if taken else parts
    tally.drop(np.any(np.isnan(parts), axis=0), "cost is missing")
    tally.drop(np.any(np.isinf(parts), axis=0), "cost is infinite")
    exposure, weight = _exposure(columns, how, tally), _weight(columns, how, tally)
    cost, negative = _not_negative(parts, len(taken), how, tally.left)
    fold = _folds(columns[how.person] if how.person else None, tally.left.size, seed)
    left = tally.left
    _refuse_empty(cost[left], how.smallest_count)
    report = {**tally.report(), "negative": negative, "excluded_service_share_of_cost": excluded}
    report["part_year_share"] = _part_years(exposure[left], weight[left], how.smallest_count)
    report["member_years"] = round(float((exposure * weight)[left].sum()), -1)
    return Rows(cost[left] / exposure[left], (exposure * weight)[left], code[left], tuple(names), fold[left], report)


def _size(columns: dict[str, NDArray[Any]]) -> int:
    return next(iter(columns.values())).size


def _money(column: NDArray[Any], name: str) -> Array:
    """A column as numbers; text in it is counted, not shown."""
    numbers: Array = np.asarray(column, np.float64) if column.dtype.kind in "fiu" else _numbers_of(column, name)
    if bool(np.any(np.isfinite(numbers) & (np.abs(numbers) > _LARGEST))):
        raise SimulatorError(
            "the costs", None, f"have numbers beyond {_LARGEST:.0e} in column {name!r}", "correct them, or their unit"
        )
    return numbers


def _numbers_of(column: NDArray[Any], name: str) -> Array:
    import pandas as pd

    missing = np.array([value is None or value != value or value == "" for value in column], bool)
    plain = [value if isinstance(value, str | int | float | Decimal | np.number) else None for value in column]
    numbers: Array = np.asarray(pd.to_numeric(pd.Series(plain, dtype=object), errors="coerce"), np.float64)
    if bool((np.isnan(numbers) & ~missing).any()):
        raise SimulatorError(
            "the costs",
            None,
            f"have text in column {name!r}",
            "leave only numbers there, without currency signs, spaces or formulas",
        )
    return numbers


def _excluded_share(columns: dict[str, NDArray[Any]], how: Reading, left: NDArray[np.bool_]) -> float | None:
    """Share of cost that the excluded services hold; None where there are none, or too few patients have them."""
    if not how.exclude_service:
        return None
    every = sum(np.nansum(_money(columns[name], name)[left]) for name in how.cost)
    parts = [np.nan_to_num(_money(columns[name], name)[left]) for name in how.exclude_service]
    held = np.sum(parts, axis=0)
    users = int(np.any([part != 0 for part in parts], axis=0).sum())
    told = every != 0 and (users == 0 or (users >= how.smallest_count and not _one_outweighs(np.abs(held))))
    return figures(float(held.sum() / every)) if told else None


def _one_outweighs(amounts: Array) -> bool:
    """Whether one amount is more than all others together: a sum would then tell it."""
    return bool(amounts.size) and float(amounts.max()) > float(amounts.sum()) / 2


def _exposure(columns: dict[str, NDArray[Any]], how: Reading, tally: _Tally) -> Array:
    if how.exposure is None:
        return np.ones(tally.left.size)
    exposure = _money(columns[how.exposure], how.exposure) / (12 if how.exposure_unit == "months" else 1)
    if np.nanmax(exposure[tally.left], initial=0.0) > 1 + _MOST_ROUNDING:
        raise _too_long(exposure[tally.left], how)
    if np.nanmin(exposure[tally.left], initial=0.0) < 0:
        raise SimulatorError("exposure", None, "is below 0 in some rows", "give the part of the year covered")
    tally.drop(~(exposure >= _LEAST_EXPOSURE), "no exposure")
    if how.minimum_exposure > 0:
        tally.drop(
            exposure < how.minimum_exposure * (1 - _MOST_ROUNDING),
            f"covered for less than {how.minimum_exposure:g} of the year",
        )
    return np.where(exposure >= _LEAST_EXPOSURE, exposure, 1.0)


def _too_long(exposure: Array, how: Reading) -> SimulatorError:
    if how.exposure_unit == "months":
        return SimulatorError("exposure", None, "is above 12 months in some rows", "give the part of the year covered")
    if np.nanmax(exposure) <= 12 + _MOST_ROUNDING:
        mend = "if it counts months, say exposure_unit months (in a shell --exposure-unit months)"
    else:
        mend = "give the part of the year covered, in years, or in months with exposure_unit months"
    return SimulatorError("exposure", None, "is above 1 year in some rows", mend)


def _part_years(exposure: Array, weight: Array, smallest: int) -> float | None:
    """Share of member-years of people covered for part of the year, to a hundredth; None where they are too few."""
    part = exposure < 1 - _MOST_ROUNDING
    if 0 < int(part.sum()) < smallest:
        return None
    return round(float((exposure * weight)[part].sum() / (exposure * weight).sum()), 2)


def _weight(columns: dict[str, NDArray[Any]], how: Reading, tally: _Tally) -> Array:
    if how.weight is None:
        return np.ones(tally.left.size)
    weight = _money(columns[how.weight], how.weight)
    if np.nanmin(weight[tally.left], initial=0.0) < 0:
        raise SimulatorError("weight", None, "is below 0 in some rows", "give weights of 0 or more")
    tally.drop(~(np.isfinite(weight) & (weight > 0)), "weight is missing or 0")
    if tally.left.sum() >= how.smallest_count and _one_outweighs(weight[tally.left]):
        raise SimulatorError(
            "weight", None, "is larger in one row than in all others together", "correct it, or leave weights out"
        )
    return np.where(np.isfinite(weight), weight, 0.0)


def _not_negative(parts: Array, taken: int, how: Reading, left: NDArray[np.bool_]) -> tuple[Array, dict[str, Any]]:
    """Cost a row by the policy for negative amounts, and what the policy met."""
    signs = np.ones((parts.shape[0], 1))
    signs[parts.shape[0] - taken :] = -1
    with np.errstate(invalid="ignore"):
        below = (parts * signs < 0) & left
        net = parts.sum(axis=0)
        below_sum = (net < -_MOST_ROUNDING) & left
        zeroed = np.maximum((np.maximum(parts * signs, 0.0) * signs).sum(axis=0), 0.0)
    rows = int((below.any(axis=0) | below_sum).sum())
    if rows and how.negative == "refuse":
        told = f"in {rows:,} rows" if rows >= how.smallest_count else f"in fewer than {how.smallest_count} rows"
        raise SimulatorError(
            "the costs", None, f"are negative {told}", 'correct them, or choose negative = "zero" or "net"'
        )
    cost = zeroed if how.negative == "zero" else np.maximum(net, 0.0)
    # what is left where amounts cancel is rounding
    cost = np.where(cost < _MOST_ROUNDING, 0.0, cost)
    before = float(net[left].sum())
    enough = rows == 0 or (rows >= how.smallest_count and not _one_outweighs(np.abs(cost - net)[left]))
    change = figures(float(cost[left].sum()) / before - 1) if enough and before > 0 else None
    counted = float(kept_count(rows, how.smallest_count))
    return cost, {"policy": how.negative, "rows": None if np.isnan(counted) else rows, "change_of_cost": change}


def _folds(person: NDArray[Any] | None, rows: int, seed: int) -> NDArray[np.int8]:
    random = np.random.default_rng(seed)
    if person is None:
        return random.integers(0, 2, rows, dtype=np.int8)
    import pandas as pd

    codes, levels = pd.factorize(person)
    return random.integers(0, 2, len(levels) + 1, dtype=np.int8)[codes]


def _refuse_empty(cost: Array, smallest: int) -> None:
    if cost.size == 0:
        raise SimulatorError("the costs", None, "have no rows left after the filters", "check the filters")
    if cost.size < smallest:
        raise SimulatorError(
            "the costs",
            None,
            f"hold fewer than {smallest} rows",
            "give more rows: parameters of so few would tell who they are",
        )
    if not cost.any():
        raise SimulatorError("the costs", None, "are 0 in every row", "check which column holds the cost")
