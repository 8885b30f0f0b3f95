"""Texts that are dates: in which order their parts stand, and what is asked where that is not known."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import SimulatorError
from ..layout import DayOrder

Moments = NDArray[np.datetime64]

_TIME = r"(?:[T ](?P<time>\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)\s*(?:Z|[+\-]00:?00)?)?"
_ISO = re.compile(rf"(?P<year>\d{{4}})[-/.](?P<month>\d{{1,2}})[-/.](?P<day>\d{{1,2}}){_TIME}", re.ASCII)
_MIXED = re.compile(rf"(?P<a>\d{{1,2}})[-/.](?P<b>\d{{1,2}})[-/.](?P<year>\d{{4}}){_TIME}", re.ASCII)
_NAMED = re.compile(rf"(?P<day>\d{{1,2}})[-/ ](?P<name>[A-Za-z]{{3,9}})[-/ ,]+(?P<year>\d{{4}}){_TIME}", re.ASCII)
_AMERICAN = re.compile(rf"(?P<name>[A-Za-z]{{3,9}}) (?P<day>\d{{1,2}}),? (?P<year>\d{{4}}){_TIME}", re.ASCII)
_SHORT = re.compile(r"\d{1,2}[-/.](\d{1,2}|[A-Za-z]{3})[-/.]\d{2}", re.ASCII)
_MONTHS = {name: number for number, name in enumerate(
    ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1)}  # fmt: skip


class Date(NamedTuple):
    """A date as it was written: parts, and whether a time stands beside it."""

    year: int
    first: int
    second: int
    time: str
    asked: bool = False  # whether `first` may be the day; it is the month otherwise


def looks_like_date(text: str) -> bool:
    """Whether a text is a date in any order."""
    return _parts(text) is not None or _SHORT.fullmatch(text.strip()) is not None


def _parts(text: str) -> Date | None:
    for form in (_ISO, _MIXED, _NAMED, _AMERICAN):
        if found := form.fullmatch(text.strip()):
            of, asked = found.groupdict(), form is _MIXED
            first = of["a"] if asked else of["month"] if form is _ISO else _MONTHS.get(of["name"][:3].casefold())
            if first:
                second = of["b"] if asked else of["day"]
                return Date(int(of["year"]), int(first), int(second), of["time"] or "", asked)
    return None


def moments(texts: Sequence[str], order: DayOrder | None, name: str, hints: Sequence[str] = ()) -> Moments:
    """Texts as moments, in the order of day and month that they, or else `hints`, show."""
    parts = [_parts(text) for text in texts]
    if any(part is None for part in parts):
        what, mend = _WRONG[any(_SHORT.fullmatch(text.strip()) for text in texts)]
        raise _refusal(name, f"which holds {what}", mend)
    known = [part for part in parts if part is not None]
    asked = [part for part in (*known, *filter(None, map(_parts, hints))) if part.asked]
    day_first = _day_first(asked, order, name) if any(part.asked for part in known) else False
    return np.array([_moment(part, day_first, name) for part in known], "datetime64[us]")


_WRONG = {
    False: ("dates beside other text", "name what stands for no date: missing (--missing)"),
    True: ("dates whose year has two digits", "write years with four digits: 2019-12-31"),
}


def _day_first(asked: Sequence[Date], order: DayOrder | None, name: str) -> bool:
    if order is not None:
        return order == "day-first"
    days, months = any(part.first > 12 for part in asked), any(part.second > 12 for part in asked)
    if days and months:
        raise _refusal(name, "which holds day/month and month/day side by side", "write all dates like 2019-12-31")
    if not (days or months):
        mend = 'say which: dates = "day-first" or "month-first" (--dates)'
        raise _refusal(name, "whose dates may be day/month or month/day", mend)
    return days


def _moment(part: Date, day_first: bool, name: str) -> np.datetime64:
    month, day = (part.second, part.first) if part.asked and day_first else (part.first, part.second)
    time = part.time.rjust(len(part.time) + (part.time[1:2] == ":"), "0") or "00:00"
    try:
        return np.datetime64(f"{part.year:04d}-{month:02d}-{day:02d}T{time}", "us")
    except ValueError:
        raise _refusal(name, "which holds a date that does not exist", "correct the date") from None


def _refusal(name: str, what: str, mend: str) -> SimulatorError:
    return SimulatorError("where", None, f"compares column {name!r}, {what}", mend)


def has_time(text: str) -> bool:
    """Whether a date says the time too."""
    return (part := _parts(text)) is not None and bool(part.time)
