"""How many figures a report shows: three at most, for people who decide; the workbook's long table has them all."""

from __future__ import annotations

import math
from collections.abc import Iterable

from .. import text
from .tables import Number

FIGURES = 3
"""Significant figures at most."""

NOTE = "± is one standard error."

AT_MOST = "Estimates in tables have three digits or so: ± < 0.1 says that the error is smaller than the last of them."
"""What is said once, at the head."""


def amount(value: float, se: float, currency: str) -> str:
    """Money with its standard error."""
    return text.amount(value, se, currency, FIGURES)


def percent(value: float, se: float, sign: bool = False) -> str:
    """A fraction as a percentage with its standard error."""
    return text.percent(value, se, sign, FIGURES)


def chance(value: float, se: float, interval: Iterable[float]) -> str:
    """A probability with its standard error; its 95% bound where it was never seen, or always."""
    return text.chance(value, se, interval, FIGURES)


def exact(fraction: float, sign: bool = False) -> Number:
    """A fraction that has no error, as a percentage of three figures: 0.270%."""
    if abs(fraction) < 1e-9:
        return Number("0%", fraction, "share")
    decimals = max(FIGURES - 1 - math.floor(math.log10(100 * abs(fraction))), 0)
    told = f"{'−' if fraction < 0 else '+' if sign else ''}{100 * abs(fraction):,.{decimals}f}%"
    return Number(told, fraction, "share")


def given(fraction: float) -> Number:
    """A fraction that somebody chose, as it was written; to three figures where more were."""
    short = text.percentage(fraction)
    if len(short.strip("−0.%").replace(".", "")) > FIGURES:
        return exact(fraction)
    return Number(short, fraction, "share")


def in_words(chance_told: str) -> str:
    """A chance as part of a sentence: a bound in words."""
    return chance_told.replace("< ", "below ").replace("> ", "above ")
