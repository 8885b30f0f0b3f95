"""How a table is laid out: what is missing, where its header is, what its columns are also called."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypedDict

from ..errors import SimulatorError
from .names import plain_name

DayOrder = Literal["day-first", "month-first"]

_MOST_HEADER_ROW = 1_000


class LayoutOptions(TypedDict, total=False):
    """What every function that takes rows understands of their layout."""

    missing: str | Sequence[str]  # texts that stand for a missing value, besides the empty cell
    sheet: str | int | None  # sheet of a workbook, by name or number from 1; the first by default
    header_row: int | None  # row that names the columns, from 1; the first that is not blank by default
    columns: str | Mapping[str, str] | None  # other names for columns: "benchmark=ABtotBnchmk, expenditure=ABtotExp"
    blank_as_zero: bool  # whether a blank amount of money is 0
    dates: DayOrder | None  # whether 01/02/2019 is the first of February ("day-first") or the second of January


@dataclass(frozen=True)
class Layout:
    """`LayoutOptions` as they are used."""

    missing: tuple[str, ...] = ()
    sheet: str | int | None = None
    header_row: int | None = None
    columns: Mapping[str, str] = field(default_factory=dict)  # the header of each other name
    blank_as_zero: bool = False
    dates: DayOrder | None = None


def layout(
    missing: str | Sequence[str] = (),
    sheet: str | int | None = None,
    header_row: int | None = None,
    columns: str | Mapping[str, str] | None = None,
    blank_as_zero: bool = False,
    dates: DayOrder | None = None,
) -> Layout:
    """A `Layout` from what a person writes.

    Examples
    --------
    >>> dict(layout(columns="benchmark=ABtotBnchmk, cost = ABtotExp").columns)
    {'benchmark': 'ABtotBnchmk', 'cost': 'ABtotExp'}
    """
    whole = isinstance(header_row, int) and not isinstance(header_row, bool)
    if header_row is not None and not (whole and 1 <= header_row <= _MOST_HEADER_ROW):
        bound = f"must be a row from 1 to {_MOST_HEADER_ROW:,}"
        raise SimulatorError("header_row", header_row, bound, "count the file's rows from 1")
    if isinstance(sheet, int) and (isinstance(sheet, bool) or sheet < 1):
        raise SimulatorError("sheet", sheet, "must be a name or a number from 1", "the first sheet is 1")
    if dates not in (None, "day-first", "month-first"):
        raise SimulatorError("dates", None, "must be day-first or month-first", "choose one of these")
    marks = tuple(dict.fromkeys(listed(missing, "missing")))
    return Layout(marks, sheet, header_row, _other_names(columns), blank_as_zero, dates)


def listed(given: str | Sequence[str], option: str) -> list[str]:
    """The parts of a list with commas; one that holds a comma itself stands in double quotes."""
    if not isinstance(given, str):
        parts = list(given)
    else:
        try:
            parts = next(csv.reader([given], skipinitialspace=True), [])
        except csv.Error:
            raise SimulatorError(option, None, "cannot be read as a list", "write it like a,b,c") from None
    return [part.strip() for part in parts if part.strip()]


def _other_names(given: str | Mapping[str, str] | None) -> dict[str, str]:
    if not given:
        return {}
    parts = given.items() if isinstance(given, Mapping) else (part.split("=", 1) for part in listed(given, "columns"))
    found: dict[str, str] = {}
    for name, *headers in parts:
        if not headers:
            raise SimulatorError("columns", None, "has a part without an equals sign", _LIKE)
        (header,) = headers
        if not plain_name(name) or not plain_name(header):
            raise SimulatorError("columns", None, "has a pair with an empty side", _LIKE)
        if plain_name(name) in found:
            raise SimulatorError("columns", None, f"gives {name!r} twice", "name each once")
        found[plain_name(name)] = plain_name(header)
    return found


_LIKE = 'write it like "benchmark=ABtotBnchmk, expenditure=ABtotExp"'
