"""Numbers as text: as people write them (1,500, 25k, £1.5m, 3%), and as JSON holds infinity and what is not known.

A number has a decimal point, and commas, spaces or underscores between thousands only. What could be read in two ways
is refused. Near the ground of the package: it imports nothing of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

SYMBOLS = {"GBP": "£", "USD": "$", "EUR": "€"}
"""Signs of currencies; any other is written as its three letters."""

_ENDLESS = ("inf", "infinity", "∞", "none", "no exclusion", "no cap")
_SIZES = {"": 1, "k": 10**3, "m": 10**6, "bn": 10**9}
_DIGITS = r"(?:\d+|\d{1,3}(?:(?P<group>[,_ ])\d{3})(?:(?P=group)\d{3})*)"
_NUMBER = re.compile(
    rf"(?P<sign>[+-]?)\s*(?P<currency>[{''.join(SYMBOLS.values())}]|(?-i:[A-Z]{{3}})\s)?\s*(?P<minus>-?)"
    rf"(?P<digits>{_DIGITS}?(?:\.\d*)?(?:e[+-]?\d{{1,3}})?)\s*(?P<size>k|m|bn)?\s*(?P<percent>%?)",
    re.ASCII | re.IGNORECASE,
)
_SPACES = str.maketrans({"\u2212": "-", "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u2007": " "})


class NumeralError(ValueError):
    """What is wrong with a text, as the end of a sentence, and how to mend it."""


def number(text: str, *, money: bool = False, fraction: bool = False, endless: bool = False) -> Decimal:
    """One number.

    Examples
    --------
    >>> number("1,500"), number("£25k", money=True), number("3%", fraction=True)
    (Decimal('1500'), Decimal('25000'), Decimal('0.03'))
    """
    plain = text.translate(_SPACES).strip()
    if plain.lower().removeprefix("+") in _ENDLESS:
        if not endless:
            raise NumeralError("is without limit; give a number")
        return Decimal("inf")
    found = _NUMBER.fullmatch(plain)
    if found is None or not any(letter.isdigit() for letter in found["digits"].partition("e")[0]):
        raise NumeralError(_why_not(plain))
    if (found["currency"] or "") and not money:
        raise NumeralError("is an amount of money, which is not asked for here; leave the currency out")
    if found["percent"] and not fraction:
        raise NumeralError("is a percentage, which is not asked for here; leave the % out")
    if (found["percent"] and found["size"]) or (found["sign"] and found["minus"]):
        raise NumeralError("is not a number")
    size = Decimal(_SIZES[(found["size"] or "").lower()])
    value = Decimal(re.sub("[,_ ]", "", found["digits"])) * size / (100 if found["percent"] else 1)
    if math.isinf(float(value)):
        raise NumeralError("is too large for a number")
    return -value if "-" in (found["sign"], found["minus"]) else value


def plain(value: Any) -> Any:
    """A value as JSON can hold it: infinity as the text "inf" or "-inf", what is not known as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value


def from_plain(value: Any) -> Any:
    """What `plain` made of a number, as the number again."""
    return math.nan if value is None else float(value) if value in ("inf", "-inf") else value


def _why_not(plain: str) -> str:
    """What is wrong with a text, where that can be told."""
    if re.fullmatch(r"[+-]?[^\d]?\d+,\d{1,2}\D*", plain, re.ASCII):
        return f"has a comma where a decimal point is meant, or is two numbers; write {plain.replace(',', '.')}"
    if re.fullmatch(r"[\d,_ .%£$€+-]+", plain, re.ASCII) and any(mark in plain for mark in ",_ "):
        return "does not have three digits after each separator; write it without separators"
    return "is not a number"


def numbers(text: str, *, money: bool = False, fraction: bool = False, endless: bool = False) -> list[Decimal]:
    """Several numbers, parted by commas or semicolons.

    A comma with a space behind it, or a semicolon, parts two numbers, and all other commas are then between thousands.

    Examples
    --------
    >>> [int(size) for size in numbers("1000,10000")], [int(size) for size in numbers("1,500; 20k")]
    ([1000, 10000], [1500, 20000])
    """
    plain = text.translate(_SPACES)
    wanted = {"money": money, "fraction": fraction, "endless": endless}
    parts = re.split(r"\s*;\s*|,\s+", plain.strip())
    if len(parts) > 1:
        return [_one_of(part, wanted) for part in parts]
    readings = list(_readings(plain.strip().split(","), wanted))
    if len(readings) > 1:
        whole, apart = readings[-1], readings[0]
        mend = f"write {_unmistakably(whole)} or {_unmistakably(apart)}"
        raise NumeralError(f"could be {_listed(whole)} or {_listed(apart)}; {mend}")
    return readings[0] if readings else [_one_of(part, wanted) for part in plain.split(",")]


def _one_of(part: str, wanted: dict[str, bool]) -> Decimal:
    try:
        return number(part, **wanted)
    except NumeralError as error:
        raise NumeralError(
            f"holds {part!r}, which {error}" if part else "has an empty place; write a number in it"
        ) from None


def _readings(pieces: list[str], wanted: dict[str, bool]) -> Iterator[list[Decimal]]:
    """Every way in which the pieces between commas make numbers, those that join fewest first."""
    if not pieces:
        yield []
    for count in range(1, len(pieces) + 1):
        joined = ",".join(pieces[:count])
        if re.match(r"[+-]?0\d", joined, re.ASCII):  # 000 is the end of a number, not one of its own
            continue
        try:
            first = number(joined, **wanted)
        except NumeralError:
            continue
        yield from ([first, *rest] for rest in _readings(pieces[count:], wanted))


def _listed(values: list[Decimal]) -> str:
    return " and ".join(f"{value:f}" for value in values)


def _unmistakably(values: list[Decimal]) -> str:
    return "'" + "; ".join(f"{value:f}" for value in values) + "'" if len(values) > 1 else f"{values[0]:f}"


def figures(number: float, significant: int = 6) -> float:
    """A number to so many significant figures: six are enough for a model, and too few for a patient's bill."""
    if not math.isfinite(number) or number == 0:
        return float(number)
    return float(f"{number:.{significant}g}")
