"""What a cell of text means as a number: plain, with separators, as money, as a percentage, suppressed, or none."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Kind = Literal["number", "blank", "percentage", "truth", "suppressed", "open age", "marker", "text"]

SUPPRESSED = frozenset({"*", "**", "***", "[c]", "[x]", "[z]", "[u]", "[low]"})
"""A star, as US public files have it, and the shorthand of UK official statistics."""

MARKERS = frozenset(
    {"na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "--", "–", ".", "..", "?", "unknown", "missing", "p4r"}
)
"""What people write for a missing figure, in small letters: named in sentences, and missing only where they say so."""

_TRUTHS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
_INFINITE = re.compile(r"([+\-]?)inf(inity)?", re.ASCII | re.IGNORECASE)
_OPEN = re.compile(r"\d+\s*(\+|and over|plus|or over|or more)|[>≥]\s*\d+", re.ASCII | re.IGNORECASE)
_CURRENCY = r"(?:US\$|A\$|C\$|[£$€¥]|GBP|USD|EUR)"
_NUMBER = re.compile(
    rf"(?P<sign>[+\-−]?)\s*(?:{_CURRENCY}\s*(?P<late>[+\-−]?))?\s*"
    r"(?P<digits>(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)(?P<power>[eE][+\-]?\d{1,4})?"
    rf"\s*(?P<percent>%)?(?:\s*{_CURRENCY})?",
    re.ASCII,
)


def number_of(text: str) -> tuple[float, Kind]:
    """A text as a number, and what kind of text it is; nan where it is none.

    A comma is a separator of thousands and a point that of decimals. Brackets make a negative, as accounts write it.

    Examples
    --------
    >>> [number_of(text) for text in ("$1,234.50", "89.5%", "(12)", "*", "1,23")]
    [(1234.5, 'number'), (0.895, 'percentage'), (-12.0, 'number'), (nan, 'suppressed'), (nan, 'text')]
    """
    text = text.strip()
    if not text:
        return math.nan, "blank"
    in_brackets = text.startswith("(") and text.endswith(")")
    found = _NUMBER.fullmatch(text[1:-1].strip() if in_brackets else text)
    if not found:
        return _no_number(text)
    signs = found["sign"] + (found["late"] or "") + ("-" if in_brackets else "")
    value = float(found["digits"].replace(",", "") + (found["power"] or ""))
    if len(signs) > 1 or math.isinf(value):  # two signs, or more digits than a number holds
        return math.nan, "text"
    value = -value if signs in ("-", "−") else value
    return (float(f"{value / 100:.15g}"), "percentage") if found["percent"] else (value, "number")


def _no_number(text: str) -> tuple[float, Kind]:
    if infinite := _INFINITE.fullmatch(text):
        return (-math.inf if infinite[1] == "-" else math.inf), "number"
    small = text.casefold()
    if small in SUPPRESSED:
        return math.nan, "suppressed"
    if small in _TRUTHS:
        return _TRUTHS[small], "truth"
    if _OPEN.fullmatch(text):
        return math.nan, "open age"
    return math.nan, "marker" if small in MARKERS else "text"


def numbers_of(texts: Sequence[str], rows: NDArray[np.int64] | None = None) -> tuple[Array, Counter[str]]:
    """Many texts as numbers, and in how many rows each kind other than a number or a blank stands."""
    values, kinds = np.empty(len(texts)), Counter[str]()
    for position, text in enumerate(texts):
        values[position], kind = number_of(text)
        if kind not in ("number", "blank"):
            name = f"marker {text.strip()}" if kind == "marker" else kind
            kinds[name] += 1 if rows is None else int(rows[position])
    return values, kinds
