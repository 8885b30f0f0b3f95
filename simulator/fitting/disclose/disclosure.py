"""Statistical disclosure control: no small count, no single value, no name that is somebody's number."""

import math
import re

import numpy as np
from numpy.typing import NDArray

from ...errors import SimulatorError
from ...numerals import figures
from ...rows.columns.column import Column

SMALLEST_COUNT = 10  # fewer patients than this are never told apart; it may be raised, never lowered

COUNTED_BY = 5  # counts are told to the nearest five, so that sums and differences of them tell no small group exactly

MOST_OF_ONE = 0.5  # no patient makes more than this of a sum of costs that is told

NEAREST_GUESS = 0.10  # p% rule: who knows a sum's second largest cost cannot tell the largest to within this share

LEAST_STEP = 1.25
"""Means of neighbouring groups differ by this ratio or more, and a mean and an amount where groups meet by its root: no
order of costs narrows a patient's to less than a tenth of itself."""

ROUND = (1, 1.1, 1.25, 1.4, 1.6, 1.8, 2, 2.2, 2.5, 2.8, 3.2, 3.6, 4, 4.5, 5, 5.6, 6.3, 7.1, 8, 9, 10)
"""Preferred numbers (Renard's series of twenty), rounded."""

MOST_SEGMENTS = 60

MOST_LABELS = 24  # so few different values are bands, months or hours, however few the rows
_SAME = 3  # with fewer rows than this to a value, as dates of birth have, a column tells single patients apart
_WORDS = re.compile(r"[a-z]+|[A-Z]+(?![a-z])|[A-Z][a-z]+|[0-9]+")
_IDS = frozenset([
    "id", "ids", "nhsno", "mrn", "ssn", "hic", "hicno", "mbi", "enrolid", "desynpuf", "dob", "birthdate", "surname",
    "forename",
])  # fmt: skip
_PEOPLE = frozenset(["nhs", "person", "patient", "member", "bene", "beneficiary", "pseudo", "birth", "first", "last"])
_NUMBERED = frozenset(["no", "nr", "num", "number", "key", "code", "date", "name"])

_UNSAFE = re.compile(r"^[=@+\-\t\r|%]|[\x00-\x1f\x7f]")
_SIGNED = re.compile(r"^[+\-]?\d[\w .,+\-–]*$")


def check_smallest(smallest: int) -> int:
    """Refuse to lower the smallest count."""
    if isinstance(smallest, bool) or not isinstance(smallest, int) or smallest < SMALLEST_COUNT:
        raise SimulatorError("smallest_count", None, f"must be at least {SMALLEST_COUNT}", "leave it out, or raise it")
    return smallest


def rounded_count(count: float) -> int:
    """A count to the nearest five."""
    return COUNTED_BY * round(count / COUNTED_BY)


def told_count(count: int, smallest: int) -> int | None:
    """A count to the nearest five; None for fewer than `smallest`, none at all among them."""
    return rounded_count(count) if count >= smallest else None


def persons(ids: NDArray[np.int64] | None, where: NDArray[np.bool_]) -> int:
    """How many persons some rows belong to; each row is a person where there are no ids."""
    return int(where.sum()) if ids is None else int(np.unique(ids[where]).size)


def by_person(amounts: NDArray[np.float64], ids: NDArray[np.int64] | None) -> NDArray[np.float64]:
    """Amounts of each person; those of the rows where there are no ids."""
    if ids is None:
        return amounts
    return np.asarray(np.bincount(np.unique(ids, return_inverse=True)[1], weights=amounts), float)


def dominated(amounts: NDArray[np.float64]) -> bool:
    """Whether a sum of persons' amounts would tell the largest: by the (1, 50%) rule or the p% rule.

    Both rules are subadditive: a union of sums that pass passes too.
    """
    if amounts.size < 3:
        return True
    second, largest = np.partition(amounts, amounts.size - 2)[-2:]
    total = float(amounts.sum())
    return bool(largest > MOST_OF_ONE * total or total - largest - second < NEAREST_GUESS * largest)


def identifies(name: str, column: Column) -> str:
    """Why a column may tell who somebody is; nothing where it does not."""
    words = {word.casefold() for word in _WORDS.findall(name)}
    names_somebody = words & _PEOPLE and (len(words) == 1 or words & _NUMBERED)
    if words & _IDS or names_somebody or any(word.endswith("id") and word[:-2] in _PEOPLE for word in words):
        return "is named like an id"
    codes, levels = column.by_level
    none = {at for at, level in enumerate(levels) if not column.is_text and level == 0}
    rows = np.bincount(codes[codes >= 0], minlength=len(levels))
    known, values = int(rows.sum()) - sum(int(rows[at]) for at in none), len(levels) - len(none)
    if values > MOST_LABELS and _SAME * values > known:
        return "has nearly as many values as rows"
    return ""


def check_names(names: list[str], what: str) -> None:
    """Refuse names that a spreadsheet would run as a formula, or that are not names; they are not repeated."""
    if any(not name.strip() or len(name) > 100 for name in names):
        raise SimulatorError(what, None, "has empty names or names of more than 100 letters", "give short names")
    if any(_UNSAFE.search(name) and not _SIGNED.match(name) for name in names):
        mend = "take = + - @ | % and control characters off their start"
        raise SimulatorError(what, None, "has names that begin like a spreadsheet formula", mend)


def round_amount(amount: float) -> float:
    """The nearest of twenty round numbers a decade, a tenth apart or more.

    An amount near which somebody's cost lies is told so, and tells that cost no closer.
    """
    if not (math.isfinite(amount) and amount > 0):
        return float(amount)
    decade = 10.0 ** math.floor(math.log10(amount))
    return figures(decade * min(ROUND, key=lambda one: abs(one - amount / decade)), 3)


def round_amounts(low: float, high: float) -> list[float]:
    """Every second of the round numbers from one amount to another, a quarter apart or nearly."""
    decades = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    every = [figures(one * 10.0**decade, 3) for decade in decades for one in ROUND[:-1:2]]
    return [amount for amount in every if round_amount(low) <= amount <= round_amount(high)]
