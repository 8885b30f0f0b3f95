"""Covering arrays of strength 2: few rows in which every two levels of every two features meet at least once.

Greedy and deterministic, after Cohen, Dalal, Fredman and Patton (1997, IEEE Trans Softw Eng 23:437): each row begins
with a pair that has not met, and every other feature takes the level that meets the most levels for the first time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

Row = dict[str, str]
Meeting = frozenset[tuple[str, str]]
"""Two levels of two features, each as (feature, level)."""


def meetings(row: Mapping[str, str]) -> set[Meeting]:
    """Every two levels that meet in a row."""
    return {frozenset(pair) for pair in combinations(row.items(), 2)}


def all_meetings(features: Mapping[str, Sequence[str]]) -> set[Meeting]:
    """Every two levels that can meet."""
    return {
        frozenset({(one, a), (other, b)})
        for one, other in combinations(features, 2)
        for a in features[one]
        for b in features[other]
    }


def covering(features: Mapping[str, Sequence[str]]) -> list[Row]:
    """Rows, one level of every feature each, in which all levels of two features meet.

    Examples
    --------
    >>> len(covering({"a": "01", "b": "01", "c": "01"}))
    4
    """
    left = dict.fromkeys(sorted(all_meetings(features), key=lambda meeting: sorted(meeting)))
    rows: list[Row] = []
    while left:
        row = dict(next(iter(left)))
        for feature in sorted(features.keys() - row.keys(), key=lambda name: (-len(features[name]), name)):
            # rotated by the rows made so far, so that ties do not always go to the first level
            turn = len(rows) % len(features[feature])
            levels = [*features[feature][turn:], *features[feature][:turn]]
            row[feature] = max(levels, key=lambda level: _new(row, feature, level, left))
        for meeting in meetings(row):
            left.pop(meeting, None)
        rows.append({feature: row[feature] for feature in features})
    return rows


def _new(row: Row, feature: str, level: str, left: Mapping[Meeting, None]) -> int:
    return sum(frozenset({(feature, level), known}) in left for known in row.items())
