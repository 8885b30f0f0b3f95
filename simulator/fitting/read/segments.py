"""Segments from a column, from cuts of a number, or from nothing: everybody."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import SimulatorError
from ...rows.columns.column import Column, plain_numbers
from ...rows.names import plain_name
from ..disclose.disclosure import MOST_SEGMENTS, check_names
from .where import Condition

Array = NDArray[Any]

EVERYBODY = "everybody"


class SegmentRule(NamedTuple):
    """How rows are told apart."""

    column: str | None
    cuts: tuple[float, ...] = ()  # lower ends, ascending; the last segment is open

    @property
    def text(self) -> str:
        cuts = ",".join(f"{cut:g}" for cut in self.cuts)
        return (self.column or EVERYBODY) + (f":{cuts}" if cuts else "")


def parse_rule(text: str | None) -> SegmentRule:
    """`band`, `age:0,18,40,65,75,85`, or None for one segment of everybody."""
    if text is None:
        return SegmentRule(None)
    column, colon, listed = text.rpartition(":") if ":" in text else (text, "", "")
    if not column.strip():
        raise SimulatorError("segment", None, "names no column", "write it like band or age:0,18,65")
    if not colon:
        return SegmentRule(plain_name(column))
    try:
        cuts = tuple(float(cut) for cut in listed.split(","))
    except ValueError:
        raise SimulatorError("segment", None, "has cuts that are no numbers", "write it like age:0,18,65") from None
    if not np.isfinite(cuts).all() or any(b <= a for a, b in pairwise(cuts)):
        raise SimulatorError("segment", None, "has cuts that do not ascend", "sort them")
    return SegmentRule(plain_name(column), cuts)


def assign(rule: SegmentRule, columns: Mapping[str, Column], rows: int) -> tuple[NDArray[np.int64], list[str]]:
    """The segment of each row, −1 where it has none, and the names of the segments in order."""
    if rule.column is None:
        return np.zeros(rows, np.int64), [EVERYBODY]
    column = columns[rule.column]
    if rule.cuts:
        return _by_cuts(rule, column)
    codes, levels = column.by_level
    if len(levels) > MOST_SEGMENTS:
        bound = f"has more than {MOST_SEGMENTS} different values"
        raise SimulatorError("segment", None, bound, "cut a number (age:0,18,65), or merge them")
    if _are_labels(column):
        names, merged = np.unique(_labels(levels), return_inverse=True)
        check_names(names.tolist(), "segment")
        return np.append(merged, -1)[codes], names.tolist()
    order = _ascending(column)
    return np.append(np.argsort(order), -1)[codes], [f"{rule.column} {_written(levels[at])}" for at in order]


def _are_labels(column: Column) -> bool:
    return column.is_text and (column.typed or not plain_numbers(column.by_level[1].tolist()))


def _labels(levels: Array) -> Array:
    return np.asarray([str(level).strip() for level in levels], str)


def levels_of(rule: SegmentRule, column: Column, conditions: Sequence[Condition]) -> list[Column]:
    """Values that each segment of `assign` may have, one for every answer that the conditions can give."""
    if not rule.cuts:
        levels = column.by_level[1]
        if _are_labels(column):
            return [column.of(label) for label in np.unique(_labels(levels))]
        return [column.of(levels[at]) for at in _ascending(column)]
    ends = np.array([*rule.cuts, np.inf])
    named = np.array(sorted(set().union(*(condition.numbers for condition in conditions))), float)
    tried = np.unique(np.concatenate([ends, named, np.nextafter(named, -np.inf), np.nextafter(named, np.inf)]))
    return [Column(tried[(tried >= low) & (tried < high)]) for low, high in pairwise(ends)]


def _ascending(column: Column) -> NDArray[np.intp]:
    levels = column.by_level[1]
    return np.argsort(levels if column.is_dates else np.asarray(levels, float), kind="stable")


def _by_cuts(rule: SegmentRule, column: Column) -> tuple[NDArray[np.int64], list[str]]:
    values, odd = column.numbers
    if "open age" in odd:
        mend = "write the age alone in the table (90 for 90+), or leave the cuts out where the column holds bands"
        bound = f'cuts column {rule.column!r}, which holds an open age such as "90+"'
        raise SimulatorError("segment", None, bound, mend)
    if set(odd) - {"suppressed"} or (column.is_text and column.typed):
        bound = f"cuts column {rule.column!r}, which holds text"
        raise SimulatorError("segment", None, bound, "cut a column of numbers")
    cuts = np.asarray(rule.cuts)
    known = ~np.isnan(values)
    code = np.where(known, np.searchsorted(cuts, np.where(known, values, 0.0), side="right") - 1, -1)
    whole = bool(np.all(cuts == np.floor(cuts)) and np.all(values[known] == np.floor(values[known])))
    names = [f"{low:g} to below {high:g}" for low, high in pairwise(rule.cuts)]
    if whole:
        names = [f"{low:g}" + (f"-{high - 1:g}" if high > low + 1 else "") for low, high in pairwise(rule.cuts)]
    return code.astype(np.int64), [f"{rule.column} {name}" for name in (*names, f"{rule.cuts[-1]:g} and over")]


def _written(level: Any) -> str:
    """A number with all its digits, or a day."""
    if isinstance(level, np.datetime64):
        return str(level.astype("datetime64[D]"))
    if isinstance(level, float | np.floating):
        return str(int(level)) if float(level).is_integer() and abs(float(level)) < 1e15 else f"{level:.12g}"
    return str(level)
