"""Segments from a column, from cuts of a number, or from nothing: everybody."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...base import SimulatorError
from .disclosure import MOST_SEGMENTS, check_names
from .where import Condition

Array = NDArray[Any]

EVERYBODY = "everybody"


class SegmentRule(NamedTuple):
    """How rows are told apart."""

    column: str | None
    cuts: tuple[float, ...] = ()
    """Lower ends, ascending; the last segment is open."""

    @property
    def text(self) -> str:
        """As it was given."""
        cuts = ",".join(f"{cut:g}" for cut in self.cuts)
        return (self.column or EVERYBODY) + (f":{cuts}" if cuts else "")


def parse_rule(text: str | None) -> SegmentRule:
    """`band`, `age:0,18,40,65,75,85`, or None for one segment of everybody.

    Raises
    ------
    SimulatorError
        Where the cuts are no ascending numbers.
    """
    if text is None:
        return SegmentRule(None)
    column, colon, listed = text.rpartition(":") if ":" in text else (text, "", "")
    if not column.strip():
        raise SimulatorError("segment", None, "names no column", "write it like band or age:0,18,65")
    if not colon:
        return SegmentRule(column.strip())
    try:
        cuts = tuple(float(cut) for cut in listed.split(","))
    except ValueError:
        raise SimulatorError("segment", None, "has cuts that are no numbers", "write it like age:0,18,65") from None
    if not np.isfinite(cuts).all() or any(b <= a for a, b in pairwise(cuts)):
        raise SimulatorError("segment", None, "has cuts that do not ascend", "sort them")
    return SegmentRule(column.strip(), cuts)


def assign(rule: SegmentRule, columns: dict[str, Array], rows: int) -> tuple[NDArray[np.int64], list[str]]:
    """The segment of each row, −1 where it has none, and the names of the segments in order."""
    if rule.column is None:
        return np.zeros(rows, np.int64), [EVERYBODY]
    values = columns[rule.column]
    if rule.cuts:
        return _by_cuts(rule, values)
    if values.dtype.kind in "fiu":
        return _by_number(rule.column, values)
    return _by_text(values)


def levels_of(rule: SegmentRule, values: Array, conditions: Sequence[Condition]) -> list[Array]:
    """Values that each segment of `assign` may have, one for every answer that the conditions can give."""
    if not rule.cuts:
        levels = np.unique(values[~np.isnan(values)]) if values.dtype.kind in "fiu" else _labels(values)
        return [np.array([level]) for level in levels]
    ends = np.array([*rule.cuts, np.inf])
    named = np.array(sorted(set().union(*(condition.numbers for condition in conditions))), float)
    tried = np.unique(np.concatenate([ends, named, np.nextafter(named, -np.inf), np.nextafter(named, np.inf)]))
    return [tried[(tried >= low) & (tried < high)] for low, high in pairwise(ends)]


def _labels(values: Array) -> list[str]:
    return sorted({str(value).strip() for value in values if value is not None and value == value})


def _by_cuts(rule: SegmentRule, values: Array) -> tuple[NDArray[np.int64], list[str]]:
    if values.dtype.kind not in "fiu":
        raise SimulatorError(
            "segment", None, f"cuts column {rule.column!r}, which holds text", "cut a column of numbers"
        )
    cuts = np.asarray(rule.cuts)
    known = ~np.isnan(values)
    code = np.where(known, np.searchsorted(cuts, np.where(known, values, 0.0), side="right") - 1, -1)
    whole = bool(np.all(cuts == np.floor(cuts)) and np.all(values[known] == np.floor(values[known])))
    return code.astype(np.int64), [_cut_name(rule, position, whole) for position in range(cuts.size)]


def _cut_name(rule: SegmentRule, position: int, whole: bool) -> str:
    low = rule.cuts[position]
    if position == len(rule.cuts) - 1:
        return f"{rule.column} {low:g} and over"
    high = rule.cuts[position + 1]
    if whole:
        return f"{rule.column} {low:g}" if high == low + 1 else f"{rule.column} {low:g}-{high - 1:g}"
    return f"{rule.column} {low:g} to below {high:g}"


def _by_number(column: str, values: Array) -> tuple[NDArray[np.int64], list[str]]:
    known = ~np.isnan(values)
    levels, code = np.unique(values[known], return_inverse=True)
    _refuse_many(levels.size)
    codes = np.full(values.size, -1, np.int64)
    codes[known] = code
    return codes, [f"{column} {level:g}" for level in levels]


def _by_text(values: Array) -> tuple[NDArray[np.int64], list[str]]:
    import pandas as pd

    codes, levels = pd.factorize(values)
    _refuse_many(len(levels))
    named = np.array([str(level).strip() for level in levels], dtype=object)
    names, merged = np.unique(named.astype(str), return_inverse=True)
    check_names(list(names), "segment")
    codes = np.asarray(codes, np.int64)
    return np.where(codes >= 0, merged[codes] if merged.size else -1, -1), [str(name) for name in names]


def _refuse_many(levels: int) -> None:
    if levels > MOST_SEGMENTS:
        raise SimulatorError(
            "segment",
            None,
            f"has more than {MOST_SEGMENTS} different values",
            "cut a number (age:0,18,65), or merge them",
        )
