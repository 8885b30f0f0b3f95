"""From columns to clean rows: one annual cost a row, its weight and its segment, and a report of what was dropped.

A person covered for part of a year is kept with his exposure e (a fraction of the year): his cost is brought to a year,
cost / e, and weighs e, as the US programmes do (42 CFR 425.604), so that cost a member-year is kept to the penny. What
is fitted is then the law of an annualised cost. Its mean is that of a member-year, but it is more spread than the cost
of a person who is covered all year: fewer months are less of an average, and more often without any cost.

Weights are importance weights: a row of weight 2 stands for two like it, and for no more than one observation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import SimulatorError
from ...numerals import figures
from ...rows.columns.column import Column
from ...rows.columns.figures import figures_of
from ...rows.layout import Layout, LayoutOptions, layout, listed
from ...rows.names import COSTS, plain_name
from ...rows.read import read
from ...rows.table import Choose, Headers, Pick, person_like, repeated
from ..disclose.disclosure import (
    SMALLEST_COUNT,
    by_person,
    check_names,
    check_smallest,
    dominated,
    identifies,
    persons,
    told_count,
)
from .segments import SegmentRule, assign, levels_of, parse_rule
from .where import Condition, parse

Array = NDArray[np.float64]
NegativePolicy = Literal["refuse", "zero", "net"]

_MOST_ROUNDING = 1e-9
_LARGEST = 1e15  # amounts beyond this are taken for mistakes: their squares would leave a computer's numbers
_MOST_YEARS = 100
_LEAST_EXPOSURE = 1e-4  # fraction of a year, less than an hour: no cost is brought to a year from less


@dataclass(frozen=True)
class Reading:
    """How a file is to be read: what was asked of `fit`, with names, cuts and filters understood."""

    cost: tuple[str, ...]
    segment: SegmentRule
    exclude_service: tuple[str, ...] = ()  # off the list of `cost`, or off its sum
    weight: str | None = None
    exposure: str | None = None
    exposure_unit: Literal["years", "months"] = "years"
    minimum_exposure: float = 0.0
    person: str | None = None
    year: str | None = None
    where: tuple[Condition, ...] = ()
    negative: NegativePolicy = "refuse"
    smallest_count: int = SMALLEST_COUNT
    layout: Layout = field(default_factory=Layout)
    allow_identifying: bool = False

    @property
    def columns(self) -> list[str]:
        """Every column that is read, once."""
        single = [self.weight, self.exposure, self.person, self.year, self.segment.column]
        filtered = sorted(set().union(*(condition.columns for condition in self.where)))
        return list(dict.fromkeys([*self.money, *(name for name in single if name), *filtered]))

    @property
    def money(self) -> list[str]:
        """Columns of amounts."""
        return list(dict.fromkeys([*self.cost, *self.exclude_service]))

    @property
    def texts(self) -> set[str]:
        """Columns that are read as they are written, and not as numbers."""
        labels = {self.person, None if self.segment.cuts else self.segment.column}
        filtered = set().union(*(condition.texts for condition in self.where))
        return {name for name in labels if name} | filtered | set(self.money if self.layout.blank_as_zero else ())


def reading(
    cost: str | Sequence[str],
    segment: str | None = None,
    exclude_service: str | Sequence[str] = (),
    where: str | None = None,
    rows: LayoutOptions | None = None,
    **options: Any,
) -> Reading:
    """A `Reading` from what a person writes: lists with commas, a filter and cuts as text."""
    laid_out = layout(**(rows or {}))
    for name in ("weight", "exposure", "person", "year"):
        options[name] = plain_name(options[name]) if options.get(name) else None
    found = Reading(
        cost=_listed(cost, "cost"), segment=parse_rule(segment),
        exclude_service=_listed(exclude_service, "exclude_service"),
        where=parse(where, laid_out.dates) if where else (), layout=laid_out, **options,
    )  # fmt: skip
    check_smallest(found.smallest_count)
    if found.year and not found.person:
        raise SimulatorError("year", None, "is given without `person`", "name the column of ids: person=")
    if not found.cost:
        raise SimulatorError("cost", None, "names no column", "name the columns of cost")
    for name, allowed in (("negative", ("refuse", "zero", "net")), ("exposure_unit", ("years", "months"))):
        if getattr(found, name) not in allowed:
            raise SimulatorError(name, None, f"must be one of {', '.join(allowed)}", "choose one of these")
    if not 0 <= found.minimum_exposure <= 1:
        raise SimulatorError("minimum_exposure", found.minimum_exposure, "must be a fraction of a year", "give 0 to 1")
    check_names(found.columns, "the columns")
    masked = list(found.where)
    for place, condition in enumerate(found.where):
        if condition.columns & {*found.money, found.person}:  # amounts or ids, which may be somebody's
            masked[place] = condition._replace(text=f"a condition on {', '.join(sorted(condition.columns))}")
    return replace(found, where=tuple(masked))


def _listed(given: str | Sequence[str], option: str) -> tuple[str, ...]:
    names = [plain_name(part) for part in listed(given, option)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SimulatorError(option, None, f"names column {twice!r} twice", "name each column once")
    return tuple(names)


@dataclass(frozen=True, repr=False)
class Rows:
    """Clean rows. They stay in the memory of the fit and go nowhere else."""

    cost: Array  # shape (row,): money per year of cover, 0 or more
    weight: Array  # shape (row,): member-years, times the weight where there is one
    segment: NDArray[np.int64]
    names: tuple[str, ...]
    fold: NDArray[np.int8]  # shape (row,): 0 or 1, a person's rows together
    person: NDArray[np.int64] | None = None  # shape (row,): whose row it is; None where each row is a person
    year: NDArray[np.int64] | None = None  # shape (row,)
    report: dict[str, Any] = field(default_factory=dict)  # what was read, dropped and changed; small counts are None


class _Tally:
    """Which rows are left, and what took the others."""

    def __init__(self, cost: Array, person: NDArray[np.int64] | None, smallest: int) -> None:
        self.left = np.ones(cost.size, bool)
        self.smallest = smallest
        self.person = person
        self._gone: list[tuple[str, int | None, float]] = []
        self._cost = np.where(np.isfinite(cost), cost, 0.0)

    def drop(self, where: NDArray[np.bool_], why: str, always: bool = False) -> None:
        """Leave rows out. Fewer than ten look like none: no line, or the same line where there is always one."""
        gone = self.left & where
        self.left &= ~where
        enough = persons(self.person, gone) >= self.smallest
        if not (enough or always):
            return
        count = told_count(int(gone.sum()), self.smallest) if enough else None
        spent = by_person(self._cost[gone], None if self.person is None else self.person[gone])
        is_told = enough and (not spent.any() or not dominated(spent))
        self._gone.append((why, count, float(spent.sum()) if is_told else np.nan))

    def report(self) -> dict[str, Any]:
        """What was dropped: counts to the nearest five, none below ten, and shares of what is told and kept."""
        whole = float(self._cost[self.left].sum()) + float(np.nansum([spent for _, _, spent in self._gone]))
        shares = [None if np.isnan(spent) else figures(spent / (whole or 1.0), 4) for _, _, spent in self._gone]
        lines = [
            {"why": why, "rows": count, "share_of_cost": share}
            for (why, count, _), share in zip(self._gone, shares, strict=True)
        ]
        kept = told_count(int(self.left.sum()), self.smallest) or 0
        read = kept + sum(count or 0 for _, count, _ in self._gone)
        return {"rows_read": read, "rows_kept": kept, "dropped": lines, "smallest_count": self.smallest}

    def refuse_few(self) -> None:
        """Refuse to go on with fewer than ten patients; none at all are refused in the same words."""
        if persons(self.person, self.left) < self.smallest:
            raise COSTS.of_rows(f"leave fewer than {self.smallest} patients, or none", "give more rows, or filter less")


def clean(source: Any, how: Reading, seed: int = 1) -> Rows:
    """Read, filter and clean."""
    table = read(source, _choose(how), how.layout, COSTS)
    _refuse_identifying(table.columns, how)
    numeric = [*how.money, *(name for name in (how.exposure, how.weight, how.year) if name)]
    amounts = figures_of(table, numeric, COSTS, [name for name in (how.exposure,) if name])
    for name in numeric:
        if np.any(np.isfinite(amounts[name]) & (np.abs(amounts[name]) > _LARGEST)):
            raise COSTS.of_rows(f"have numbers beyond {_LARGEST:.0e} in column {name!r}", "correct them, or their unit")
    person = _numbered(table.columns[how.person]) if how.person else None
    parts = np.stack([amounts[name] for name in how.cost if name not in how.exclude_service] or [np.zeros(table.size)])
    taken = [amounts[name] for name in how.exclude_service if name not in how.cost]
    tally = _Tally(parts.sum(axis=0), person, how.smallest_count)
    for condition in how.where:
        tally.drop(~condition.holds(table.columns), f"not {condition.text}", always=True)
    tally.refuse_few()
    excluded = _excluded_share(amounts, how, tally)
    code, names = assign(how.segment, table.columns, table.size)
    code, names = _not_filtered(code, names, table.columns, how)
    tally.drop(code < 0, "no segment")
    years = _years(amounts, how, tally)
    parts = np.concatenate([parts, -np.stack(taken)]) if taken else parts
    tally.drop(np.any(np.isnan(parts), axis=0), "cost is missing")
    tally.drop(np.any(np.isinf(parts), axis=0), "cost is infinite")
    tally.refuse_few()
    exposure, weight = _exposure(amounts, how, tally), _weight(amounts, how, tally)
    tally.refuse_few()
    cost, negative = _not_negative(parts, len(taken), how, tally)
    fold, left = _folds(person, table.size, seed), tally.left
    if persons(person, left & (cost > 0)) < how.smallest_count:
        bound = f"are above 0 for fewer than {how.smallest_count} patients, or none"
        raise COSTS.of_rows(bound, "check which column holds the cost, and the filters")
    report = {**tally.report(), "negative": negative, "excluded_service_share_of_cost": excluded}
    report["part_year_share"] = 0.0 if how.exposure is None else _part_years(exposure, weight, tally)
    report["notes"] = table.notes
    if how.person is None and _UNASKED in table.columns:  # a warning where rows far outnumber its persons
        said = repeated(table.columns[_UNASKED], table.headers.names[person_like(table.headers) or 0])
        report["notes"] = [*table.notes, *([said] if said else [])]
    return Rows(
        cost[left] / exposure[left], (exposure * weight)[left], code[left], tuple(names), fold[left],
        None if person is None else person[left], None if years is None else years[left].astype(np.int64), report,
    )  # fmt: skip


def _refuse_identifying(columns: Mapping[str, Column], how: Reading) -> None:
    """Refuse to choose rows by what one patient alone has, and to take costs for something else."""
    costs = {*how.cost, *how.exclude_service}
    for role, name in (("exposure", how.exposure), ("weight", how.weight), ("person", how.person), ("year", how.year)):
        if name in costs:
            raise SimulatorError(role, None, f"is column {name!r}, which is a cost", "name another column")
    if how.allow_identifying:
        return
    chosen = [("where", name) for condition in how.where for name in sorted(condition.columns)]
    for role, name in [*chosen, *([("segment", how.segment.column)] if how.segment.column else [])]:
        told = dict.fromkeys(costs, "holds costs") | ({how.person: "tells who it is"} if how.person else {})
        # cuts of a number make bands, whose smallest are refused: of them only the name is looked at
        values = Column(np.empty(0)) if role == "segment" and how.segment.cuts else columns[name]
        why = told.get(name) or identifies(name, values)
        if why:
            bound = f"goes by column {name!r}, which {why}: answers to it may tell of single patients"
            raise SimulatorError(role, None, bound, "use bands or groups, or allow it (--allow-identifying)")


def _not_filtered(
    code: NDArray[np.int64], names: list[str], columns: Mapping[str, Column], how: Reading
) -> tuple[NDArray[np.int64], list[str]]:
    """Segments without those that the filters leave out by name, whoever is in them."""
    column = how.segment.column
    own = [condition for condition in how.where if column and condition.columns == {column}]
    if not own or column is None:
        return code, names
    levels = levels_of(how.segment, columns[column], own)
    left = [bool(np.logical_and.reduce([c.holds({column: values}) for c in own]).any()) for values in levels]
    place = np.where(left, np.cumsum(left) - 1, -1)
    return np.where(code >= 0, place[code], -1), [name for name, is_left in zip(names, left, strict=True) if is_left]


_UNASKED = "\0person"  # key of a column that looks like a person's id, though none was named


def _choose(how: Reading) -> Choose:
    """The columns that a fit wants of a table, and one that looks like a person's id where none is named."""

    def choose(headers: Headers) -> list[Pick]:
        money, texts = set(how.money), how.texts
        places = {name: headers.only(name, COSTS) for name in how.columns}
        picks = [Pick(name, at, name not in texts, name in money, name in money) for name, at in places.items()]
        looks_like = person_like(headers) if how.person is None else None
        if looks_like is None or looks_like in places.values():
            return picks
        return [*picks, Pick(_UNASKED, looks_like)]

    return choose


def _excluded_share(amounts: Mapping[str, Array], how: Reading, tally: _Tally) -> float | None:
    """Share of cost that the excluded services hold; None where there are none, or too few patients have them."""
    if not how.exclude_service:
        return None
    left = tally.left
    every = sum(np.nansum(amounts[name][left]) for name in how.cost)
    held = np.sum([np.nan_to_num(amounts[name][left]) for name in how.exclude_service], axis=0)
    of = by_person(np.abs(held), None if tally.person is None else tally.person[left])
    told = every != 0 and int((of > 0).sum()) >= how.smallest_count and not dominated(of)
    return figures(float(held.sum() / every), 4) if told else None


def _exposure(amounts: Mapping[str, Array], how: Reading, tally: _Tally) -> Array:
    if how.exposure is None:
        return np.ones(tally.left.size)
    exposure = amounts[how.exposure] / (12 if how.exposure_unit == "months" else 1)
    if (longest := np.nanmax(exposure[tally.left], initial=0.0)) > 1 + _MOST_ROUNDING:
        most, mend = "1 year", "give the part of the year covered, in years, or in months with exposure_unit months"
        if how.exposure_unit == "months":
            most, mend = "12 months", "give the part of the year covered"
        elif longest <= 12 + _MOST_ROUNDING:
            mend = "if it counts months, say exposure_unit months (in a shell --exposure-unit months)"
        raise SimulatorError("exposure", None, f"is above {most} in some rows", mend)
    if np.nanmin(exposure[tally.left], initial=0.0) < 0:
        raise SimulatorError("exposure", None, "is below 0 in some rows", "give the part of the year covered")
    tally.drop(~(exposure >= _LEAST_EXPOSURE), "no exposure")
    if how.minimum_exposure > 0:
        short = exposure < how.minimum_exposure * (1 - _MOST_ROUNDING)
        tally.drop(short, f"covered for less than {how.minimum_exposure:g} of the year")
    return np.where(exposure >= _LEAST_EXPOSURE, exposure, 1.0)


def _years(amounts: Mapping[str, Array], how: Reading, tally: _Tally) -> Array | None:
    """The year of each row, where it is asked for."""
    if how.year is None:
        return None
    years = amounts[how.year]
    tally.drop(~np.isfinite(years), "year is missing")
    found = years[tally.left]
    if np.any(found != np.round(found)) or np.ptp(found) >= _MOST_YEARS:
        raise SimulatorError("year", None, f"is no column of whole years, {_MOST_YEARS} at most", "name another column")
    return np.where(np.isfinite(years), years, 0.0)


def _part_years(exposure: Array, weight: Array, tally: _Tally) -> float | None:
    """Share of member-years of people covered for part of the year, to a hundredth; None where they are few or none."""
    part = tally.left & (exposure < 1 - _MOST_ROUNDING)
    if persons(tally.person, part) < tally.smallest:
        return None
    years = exposure * weight
    return round(float(years[part].sum() / years[tally.left].sum()), 2)


def _weight(amounts: Mapping[str, Array], how: Reading, tally: _Tally) -> Array:
    if how.weight is None:
        return np.ones(tally.left.size)
    weight = amounts[how.weight]
    if np.nanmin(weight[tally.left], initial=0.0) < 0:
        raise SimulatorError("weight", None, "is below 0 in some rows", "give weights of 0 or more")
    tally.drop(~(np.isfinite(weight) & (weight > 0)), "weight is missing or 0")
    tally.refuse_few()
    if float(weight[tally.left].max()) > float(weight[tally.left].sum()) / 2:
        bound = "is larger in one row than in all others together"
        raise SimulatorError("weight", None, bound, "correct it, or leave weights out")
    return np.where(np.isfinite(weight), weight, 0.0)


def _not_negative(parts: Array, taken: int, how: Reading, tally: _Tally) -> tuple[Array, dict[str, Any]]:
    """Cost a row by the policy for negative amounts, and what the policy met."""
    left, ids = tally.left, tally.person
    signs = np.ones((parts.shape[0], 1))
    signs[parts.shape[0] - taken :] = -1
    with np.errstate(invalid="ignore"):
        below = (parts * signs < 0) & left
        net = parts.sum(axis=0)
        below_sum = (net < -_MOST_ROUNDING) & left
        zeroed = np.maximum((np.maximum(parts * signs, 0.0) * signs).sum(axis=0), 0.0)
    met = below.any(axis=0) | below_sum
    rows = told_count(int(met.sum()), how.smallest_count) if persons(ids, met) >= how.smallest_count else None
    if met.any() and how.negative == "refuse":
        told = f"in fewer than {how.smallest_count} rows" if rows is None else f"in about {rows:,} rows"
        raise COSTS.of_rows(f"are negative {told}", 'correct them, or choose negative = "zero" or "net"')
    cost = zeroed if how.negative == "zero" else np.maximum(net, 0.0)
    # what is left where amounts cancel is rounding
    cost = np.where(cost < _MOST_ROUNDING, 0.0, cost)
    before = float(net[left].sum())
    changed = by_person(np.abs(cost[left] - net[left]), None if ids is None else ids[left])
    enough = int((changed > 0).sum()) >= how.smallest_count and not dominated(changed)
    change = figures(float(cost[left].sum()) / before - 1, 4) if enough and before > 0 else None
    if how.negative == "refuse":
        rows, change = 0, 0.0
    return cost, {"policy": how.negative, "rows": rows, "change_of_cost": change}


def _numbered(column: Column) -> NDArray[np.int64]:
    """Ids as numbers, in their order; rows without one are taken for one person's: they must not pass for many."""
    import pandas as pd

    codes, _ = column.by_level
    known = codes >= 0
    numbers, persons = pd.factorize(codes[known])
    found = np.full(codes.size, len(persons))
    found[known] = numbers
    return found


def _folds(person: NDArray[np.int64] | None, rows: int, seed: int) -> NDArray[np.int8]:
    """A half for each person, at random."""
    random = np.random.default_rng(seed)
    if person is None:
        return random.integers(0, 2, rows, dtype=np.int8)
    return random.integers(0, 2, int(person.max(initial=0)) + 2, dtype=np.int8)[person]
