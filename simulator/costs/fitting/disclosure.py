"""What may leave the room where the rows are: no small count, no single value, no name that is somebody's number."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...base import SimulatorError

SMALLEST_COUNT = 10
"""Fewer patients than this are never told apart; it may be raised, never lowered."""

MOST_SEGMENTS = 60

_UNSAFE = re.compile(r"^[=@+\-\t\r|%]|[\x00-\x1f\x7f]")
_SIGNED = re.compile(r"^[+\-]?\d[\w .,+\-–]*$")


def check_smallest(smallest: int) -> int:
    """Refuse to lower the smallest count."""
    if isinstance(smallest, bool) or not isinstance(smallest, int) or smallest < SMALLEST_COUNT:
        raise SimulatorError("smallest_count", None, f"must be at least {SMALLEST_COUNT}", "leave it out, or raise it")
    return smallest


def kept_count(count: ArrayLike, smallest: int) -> NDArray[np.float64]:
    """Counts with those from 1 to `smallest` − 1 replaced by nan."""
    count = np.asarray(count, float)
    return np.where((count > 0) & (count < smallest), np.nan, count)


def safe_totals(counts: Mapping[str, int], smallest: int) -> dict[str, int | None]:
    """Counts that add up to a total, with none to be had by subtraction.

    Small counts become None; where there are any, the others are rounded to the nearest `smallest`.
    """
    small = any(0 < count < smallest for count in counts.values())

    def shown(count: int) -> int | None:
        if 0 < count < smallest:
            return None
        return smallest * round(count / smallest) if small else count

    return {name: shown(count) for name, count in counts.items()}


def check_names(names: list[str], what: str) -> None:
    """Refuse names that a spreadsheet would run as a formula, or that are no names; they are not repeated."""
    if any(not name.strip() or len(name) > 100 for name in names):
        raise SimulatorError(what, None, "has empty names or names of more than 100 letters", "give short names")
    if any(_UNSAFE.search(name) and not _SIGNED.match(name) for name in names):
        raise SimulatorError(
            what,
            None,
            "has names that begin like a spreadsheet formula",
            "take = + - @ | % and control characters off their start",
        )


def figures(number: float, significant: int = 6) -> float:
    """A parameter to so many significant figures: enough for a model, too few for a patient's bill."""
    if not math.isfinite(number) or number == 0:
        return float(number)
    return float(f"{number:.{significant}g}")


def round_amount(amount: float, significant: int = 2) -> float:
    """An amount of money that is a round number and nobody's cost."""
    return figures(amount, significant)
