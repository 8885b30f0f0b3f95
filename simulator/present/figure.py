"""A figure: a number with its error, unit and basis, and the text that people read. The only formatter of numbers.

On a page a figure has the digits that its simulation error supports: the error is at most one unit of the last digit.
Where its 95% interval is wider than a tenth of it, the interval is shown too. With `errors_shown` every simulated
figure has ± one standard error in the place of both.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Literal, Self

from ..numerals import SYMBOLS as SYMBOLS
from ..thresholds import is_share

UNKNOWN = "not available"
"""Said where a figure does not exist, or too little was simulated to tell it."""

SAME_EVERY_YEAR = "same in every simulated year"
"""In the place of an error where every simulated year that bears on a figure is the same: its error is not known."""

NO_ERROR = "no simulation error"
"""Said of a figure that was worked out without draws, where errors are shown."""

DIGITS_NOTE = "Simulation error is at most one unit of the last digit shown; a 95% interval is given where it is wide."
"""Said once on every page of simulated figures."""

ERRORS_NOTE = "± is one standard error of the simulation; other figures have no simulation error."
"""Said in its place where errors are shown."""

NORMAL = 1.959964
"""Standard errors on either side of a 95% interval."""

WIDE = 0.1
"""Width of a 95% interval as a share of its figure, from which it is shown."""

Basis = Literal["drawn", "exact", "given"]
_SCALES = ((1e10, 1e9, "bn"), (1e7, 1e6, "m"), (1e4, 1e3, "k"))
"""From which amount on, in which unit, with which letter."""

_errors: ContextVar[bool] = ContextVar("errors", default=False)


@contextmanager
def errors_shown(shown: bool = True) -> Iterator[None]:
    """Figures that are made within have ± one standard error; without, the digits that their errors support."""
    before = _errors.set(shown)
    try:
        yield
    finally:
        _errors.reset(before)


def are_errors_shown() -> bool:
    """Whether figures are made with ± one standard error."""
    return _errors.get()


def note() -> str:
    """How the simulated figures of a page are to be read."""
    return ERRORS_NOTE if are_errors_shown() else DIGITS_NOTE


@dataclass(frozen=True, slots=True)
class Figure:
    """A number and how it is shown. In a sentence or a cell it is its text."""

    value: float
    text: str
    beside: str = ""
    """What is shown beside it: its error or interval."""
    unit: str = "1"
    """What it counts: "1" for a share or ratio, "people", "number", or a currency (a year)."""
    error: float = math.nan
    """Standard error, in the same unit; NaN where there is none."""
    interval: tuple[float, float] = (math.nan, math.nan)
    """95% interval, where one was estimated beside the error."""
    basis: Basis = "exact"
    decimals: int = 0
    """Of the number in a workbook; of a share, of its percentage."""
    short: str = ""
    """Its text in a sentence that has no room for an interval: the digits that the error supports."""
    mark: str = ""
    """What stands after the text of a cell and belongs to no number: a shade, a sign."""

    def __str__(self) -> str:
        return f"{self.text} {self.beside}".rstrip() + self.mark

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    @property
    def is_bound(self) -> bool:
        """Whether its text is a bound or a word, of which the value tells nothing."""
        return self.unit == "people" and not 0 < self.value < math.inf

    def marked(self, mark: str) -> Self:
        """The same figure with a mark after it."""
        return replace(self, mark=mark)

    @property
    def within(self) -> str:
        """What is shown beside it, without its brackets."""
        return self.beside.removeprefix("(").removesuffix(")")

    @property
    def brief(self) -> str:
        """The figure in a sentence that has no room for its interval."""
        return str(self) if are_errors_shown() else self.short or self.text

    @property
    def varies(self) -> bool:
        """Whether there is an error to show: none is known of draws that are all alike."""
        return math.isfinite(self.error) and not is_alike(self.error, 0.0 if is_share(self.unit) else self.value)


Cell = Figure | str | None
"""What a table holds: a figure, words, or nothing."""


def sign_of(currency: str) -> str:
    """What stands before an amount: £, or three letters and a space."""
    return SYMBOLS.get(currency, f"{currency} " if currency else "")


def _signed(told: str, value: float, currency: str, sign: bool = False) -> str:
    """An amount with its sign: −£1.50, and never −£0."""
    nothing = not any(digit in told for digit in "123456789∞")
    before = "" if nothing else "−" if value < 0 else "+" if sign else ""
    return f"{before}{sign_of(currency)}{told}"


def money(amount: float, currency: str, figures: int = 3) -> Figure:
    """An amount that has no error, of so many significant figures: £1,450, £25k, £12.3m."""
    return Figure(amount, money_text(amount, currency, figures), unit=currency, decimals=_pence(amount))


def money_text(amount: float, currency: str, figures: int = 3, like: float = 0.0) -> str:
    """The text of `money`, in the unit of the amount `like` where that is larger."""
    if math.isnan(amount):
        return UNKNOWN
    if math.isinf(amount):
        return "none" if amount > 0 else _signed("∞", amount, currency)
    short = rounded(abs(amount), figures)
    scale, letter = _scale(max(short, like)) if short else (1.0, "")
    decimals = max(figures - 1 - _exponent(short / scale), 0) if short else 0
    decimals = 0 if scale == 1 and short >= 100 else decimals
    told = f"{short / scale:,.{decimals}f}"
    # £1.2m for £1.20m; £1,450 and £2.50, but £2 for £2.00
    bare = told.rstrip("0").rstrip(".") if decimals and scale > 1 else told.removesuffix(".00").removesuffix(".0")
    return _signed(bare + letter, amount, currency)


def full_money(value: float, currency: str, decimals: int = 0) -> Figure:
    """An amount with every digit: £1,234, −£1.50."""
    if math.isnan(value):
        return Figure(value, UNKNOWN, unit=currency)
    text = _signed("∞" if math.isinf(value) else f"{abs(value):,.{decimals}f}", value, currency)
    return Figure(value, text, unit=currency, decimals=decimals)


def pence(number: float, currency: str) -> Figure:
    """Money a head, to the penny."""
    return full_money(number, currency, 2)


def amount(value: float, error: float, currency: str, sign: bool = False) -> Figure:
    """Simulated money with the digits that its error supports."""
    made = Figure(value, UNKNOWN, unit=currency, error=error, basis="drawn", decimals=_pence(value, error))
    if not math.isfinite(value):
        return made
    value = value if abs(value) >= 0.005 else 0.0
    if math.isnan(error):
        return replace(made, text=money_text(value, currency), beside="(error unknown)")
    if not math.isfinite(error):
        return made
    if is_alike(error, value):
        return replace(made, text=money_text(value, currency, 5), beside=_said(SAME_EVERY_YEAR))
    scale, letter = _scale(max(abs(value), error))

    def told(one: float, decimals: int) -> str:
        size = f"{abs(one) / scale:,.{decimals}f}"
        return _signed(f"{size}{letter}" if float(size.replace(",", "")) else "0", one, currency, sign)

    return _with_error(made, scale, told, letter)


def exact_amount(value: float, currency: str, figures: int = 4) -> Figure:
    """Money that was worked out without draws."""
    text = money_text(value, currency, figures) if math.isfinite(value) else UNKNOWN
    return Figure(value, text, _said(NO_ERROR), unit=currency, error=0.0, decimals=_pence(value))


def _pence(value: float, error: float = math.nan) -> int:
    """Decimals of an amount in a workbook: pence where its error, or without one the amount, is small."""
    varies = math.isfinite(error) and not is_alike(error, value)
    return 2 if (error < 35 if varies else abs(value) < 1_000) else 0


def _scale(size: float) -> tuple[float, str]:
    return next(((unit, letter) for least, unit, letter in _SCALES if size >= least), (1.0, ""))


def percent(value: float, error: float, sign: bool = False, most: int = 9) -> Figure:
    """A simulated fraction as a percentage with the digits that its error supports, of `most` decimals at most."""
    made = Figure(value, UNKNOWN, error=error, basis="drawn", decimals=_share_decimals(value, error))
    if not (math.isfinite(value) and math.isfinite(error)):
        return made
    if is_alike(error):
        same = _minus(100 * (value if abs(value) > 1e-9 else 0.0), ".4g", sign)
        return replace(made, text=f"{same}%", beside=_said(SAME_EVERY_YEAR))

    def told(one: float, decimals: int) -> str:
        return f"{_minus(100 * one, f'.{min(decimals, most)}f', sign)}%"

    return _with_error(made, 0.01, told, "", most)


def chance(value: float, error: float, interval: Iterable[float]) -> Figure:
    """A simulated probability; its 95% bound where the event was never seen, or always."""
    low, high = (float(bound) for bound in interval)
    made = percent(value, error)
    if value not in (0.0, 1.0):
        decimals, certain = error_decimals(100 * error), made.text.startswith("100")
        if (made.beside or certain) and not are_errors_shown() and math.isfinite(low + high):
            beside = f"({100 * low:.{decimals}f} to {100 * high:.{decimals}f}%)"
            made = replace(made, text=f"{100 * value:.{decimals}f}%", beside=beside)
        return replace(made, interval=(low, high))
    text = f"below {100 * high:.2g}%" if value == 0 else f"above {100 * low:.{error_decimals(100 - 100 * low) + 1}f}%"
    decimals = _share_decimals(value, high - low)
    return replace(made, text=text, beside="", short="", interval=(low, high), decimals=decimals)


def exact_percent(value: float, digits: int = 2, sign: bool = False) -> Figure:
    """A fraction that has no error as a percentage; what is rounded away is shown as a bound."""
    return Figure(value, _exact_percent(value, digits, sign), error=0.0, decimals=max(digits, 2))


def _exact_percent(value: float, digits: int, sign: bool) -> str:
    if not math.isfinite(value):
        return UNKNOWN
    least = 10.0**-digits
    if 0 < value < least / 200:
        return f"below {least:.{digits}f}%"
    if 1 - least / 200 < value < 1 and not sign:
        return f"above {100 - least:.{digits}f}%"
    return f"{_minus(100 * value, f'.{digits}f', sign)}%"


def exact_share(value: float, sign: bool = False) -> Figure:
    """A fraction that has no error, as a percentage of three significant figures: 0.270%."""
    if abs(value) < 1e-9:
        return Figure(value, "0%", error=0.0)
    decimals = max(2 - _exponent(100 * value), 0) if math.isfinite(value) else 2
    return Figure(value, _exact_percent(value, decimals, sign), error=0.0, decimals=decimals)


def exact_chance(value: float) -> Figure:
    """The same with two decimals, or with three where two would leave one figure: 71.00%, 0.028%."""
    return exact_percent(value, 2 if value == 0 or abs(value) >= 0.001 else 3)


def percentage(fraction: float) -> Figure:
    """A fraction that was asked for, as a percentage without superfluous digits: 3%."""
    text = f"{_minus(100 * fraction, '.6g', False)}%"
    return Figure(fraction, text, basis="given", decimals=len(text.partition(".")[2].rstrip("%")))


def in_years(value: float) -> str:
    """A chance as one year in so many, to stand beside its percentage: 1 year in 44."""
    return f"1 year in {1 / value:,.0f}" if 1e-6 < value <= 0.5 else ""


def _share_decimals(value: float, error: float) -> int:
    if math.isfinite(error) and not is_alike(error):
        return max(error_decimals(100 * error), 2)
    if not math.isfinite(value) or abs(value) < 1e-9:
        return 2
    told = f"{abs(100 * value):.3g}"  # 2.5 keeps its own figures
    return max(min(len(f"{float(told):.9f}".rstrip("0").partition(".")[2]), 6), 2)


def people(number: float) -> Figure:
    """People with thousands separated."""
    return Figure(number, UNKNOWN if math.isnan(number) else f"{number:,.0f}", unit="people")


def plain_number(value: float, form: str = ",.6g") -> Figure:
    """A bare number."""
    return Figure(value, UNKNOWN if math.isnan(value) else f"{value:{form}}".replace("-", "−"), unit="number")


def ratio(value: float, error: float) -> Figure:
    """A simulated or observed bare number with the digits that its error supports."""
    made = Figure(value, UNKNOWN, unit="number", error=error, basis="drawn", decimals=error_decimals(error))
    return _with_error(made, 1.0, lambda one, decimals: f"{one:,.{decimals}f}".replace("-", "−"), "")


def rounded(number: float, figures: int = 3) -> float:
    """A number to so many significant figures."""
    if not math.isfinite(number) or number == 0:
        return number
    return round(number, figures - 1 - _exponent(number))


def _exponent(number: float) -> int:
    return math.floor(math.log10(abs(number)))


def error_decimals(error: float) -> int:
    """Decimals that show an error by one figure, or by two where the first is below 3.5."""
    return max(_error_places(error), 0) if 0 < error < math.inf else 2


def _error_places(error: float) -> int:
    """The same; below 0 where the error has tens or more."""
    exponent = _exponent(error)
    return min((0 if error / 10**exponent >= 3.5 else 1) - exponent, 9)


def is_alike(error: float, value: float = 0.0) -> bool:
    """Whether an error is that of draws that do not differ, give or take rounding: of a fraction, or beside money."""
    return error <= 1e-9 * max(abs(value), 1.0)


def _with_error(made: Figure, scale: float, told: Callable[[float, int], str], letter: str, most: int = 9) -> Figure:
    """A simulated figure with its text, and what stands beside it; `scale` is the unit in which it is shown."""
    value, error = made.value, made.error / scale
    decimals = min(error_decimals(error), most)
    if are_errors_shown():
        last = 10.0**-decimals
        beside = f"{error:,.{decimals}f}" if error >= 0.5 * last else f"< {last:.{decimals}f}"
        return replace(made, text=told(value, decimals), beside=f"± {beside}{letter}")
    # the last digit has a unit no smaller than the error; where that leaves nothing of the figure, those of its error
    supported = min(math.floor(-math.log10(error) + 1e-9), 9)
    places = min(supported if abs(value) >= scale * 10.0**-supported else _error_places(error), most)
    short = told(scale * round(value / scale, places), max(places, 0))
    if 2 * NORMAL * made.error <= WIDE * abs(value):
        return replace(made, text=short)
    low, high = (told(value + side * NORMAL * made.error, decimals) for side in (-1, 1))
    return replace(made, text=told(value, decimals), beside=f"({low.removesuffix('%')} to {high})", short=short)


def _said(words: str) -> str:
    """What stands beside a figure only where errors are shown."""
    return f"({words})" if are_errors_shown() else ""


def _minus(number: float, form: str, sign: bool) -> str:
    shown = f"{abs(number):{form}}"
    nothing = not float(shown)
    return shown if nothing else f"{'−' if number < 0 else '+' if sign else ''}{shown}"
