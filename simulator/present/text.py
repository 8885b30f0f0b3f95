"""Numbers as people write them, with their errors. Formats what it is given and computes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import xarray as xr

from ..contracts.exclusion import NO_EXCLUSION as NO_EXCLUSION
from ..contracts.exclusion import rule_of
from ..numerals import SYMBOLS as SYMBOLS
from .page import Page, Table

UNKNOWN = "not estimable"
"""Said where a figure does not exist, or too little was drawn to tell it."""

AS_DRAWN = "as drawn"
"""In place of an error where every draw that bears on a figure is the same: the draws cannot tell one."""

EXACTLY = "exactly"
"""In place of an error where there is none: the figure was worked out, or is so by definition."""

DRAWN_NOTE = f"{AS_DRAWN}: every draw that bears on the figure is the same; its error is not known, and may not be 0."

_FEW = 100

_UNITS = ((1e9, "bn"), (1e6, "m"), (1e3, "k"), (1.0, ""))


def sign_of(currency: str) -> str:
    """What stands before an amount: £, or three letters and a space."""
    return SYMBOLS.get(currency, f"{currency} " if currency else "")


def signed(told: str, value: float, currency: str) -> str:
    """An amount without its sign, with it: −£1.50, and never −£0."""
    nothing = not any(digit in told for digit in "123456789∞")
    return f"{'−' if value < 0 and not nothing else ''}{sign_of(currency)}{told}"


def money(amount: float, currency: str, figures: int = 3) -> str:
    """£25k, £1.5m, −£935: three figures at most, or as many as asked for."""
    if math.isnan(amount):
        return UNKNOWN
    if math.isinf(amount):
        return "none" if amount > 0 else signed("∞", amount, currency)
    short = rounded(abs(amount), figures)
    size, letter = next((unit for unit in _UNITS if short >= unit[0]), _UNITS[-1])
    return signed(f"{short / size:.{figures}g}{letter}", amount, currency)


def full_money(value: float, currency: str, decimals: int = 0) -> str:
    """Money with every digit: £1,234, −£1.50."""
    if math.isnan(value):
        return UNKNOWN
    return signed("∞" if math.isinf(value) else f"{abs(value):,.{decimals}f}", value, currency)


def amount(value: float, se: float, currency: str, figures: int | None = None) -> str:
    """Money rounded to its standard error, in one unit with it: −£1.38m ± 0.18m; to so many figures at most."""
    if not (math.isfinite(value) and math.isfinite(se)):
        return UNKNOWN
    value = value if abs(value) >= 0.005 else 0.0
    if is_as_drawn(se, value):
        return f"{money(value, currency, figures=figures or 5)} {AS_DRAWN}"
    size, letter = next((unit for unit in _UNITS if abs(value) >= unit[0] or se >= unit[0]), _UNITS[-1])
    decimals = told_decimals(value / size, se / size, figures)
    told = signed(f"{abs(value) / size:,.{decimals}f}{letter}", value, currency)
    return f"{told} {error_told(se / size, decimals)}{letter}"


def exact_amount(value: float, currency: str, figures: int = 5) -> str:
    """Money that has no error, and says so."""
    return f"{money(value, currency, figures)} {EXACTLY}" if math.isfinite(value) else UNKNOWN


def explained(page: Page) -> Page:
    """A page with a note on what "as drawn" means, where one of its figures is."""
    cells = (cell for part in page.parts if isinstance(part, Table) for row in part.rows for cell in row)
    return replace(page, parts=[*page.parts, DRAWN_NOTE]) if any(AS_DRAWN in cell for cell in cells) else page


def threshold_label(threshold: float, unit: str, currency: str) -> str:
    """A threshold: money, or a percentile."""
    if threshold in (math.inf, 1 if unit == "1" else math.inf):
        return NO_EXCLUSION
    return f"percentile {100 * threshold:.6g}" if unit == "1" else money(threshold, currency)


def people(number: float) -> str:
    """People with thousands separated; sizes that were estimated to two or three figures."""
    return UNKNOWN if math.isnan(number) else f"{number:,.0f}"


def rounded(number: float, figures: int = 3) -> float:
    """A number to so many significant figures."""
    if not math.isfinite(number) or number == 0:
        return number
    return round(number, figures - 1 - math.floor(math.log10(abs(number))))


def error_decimals(se: float) -> int:
    """Decimals that show an error by one figure, or by two where the first is below 3.5."""
    if not 0 < se < math.inf:
        return 2
    exponent = math.floor(math.log10(se))
    return min(max((0 if se / 10**exponent >= 3.5 else 1) - exponent, 0), 9)


def told_decimals(value: float, se: float, figures: int | None = None) -> int:
    """Decimals that show the error, and no more significant figures of the value than asked for."""
    decimals = error_decimals(se)
    if figures is None or value == 0:
        return decimals
    return min(decimals, max(figures - 1 - math.floor(math.log10(abs(value))), 0))


def error_told(se: float, decimals: int) -> str:
    """An error beside a figure of so many decimals: ± 0.2; a bound where it would be rounded away: ± < 0.1."""
    last = 10.0**-decimals
    return f"± {se:,.{decimals}f}" if se >= 0.5 * last else f"± < {last:.{decimals}f}"


def is_as_drawn(se: float, value: float = 0.0) -> bool:
    """Whether an error is that of draws that do not differ, give or take rounding: of a fraction, or beside money."""
    return se <= 1e-9 * max(abs(value), 1.0)


def percent(value: float, se: float, sign: bool = False, figures: int | None = None) -> str:
    """A fraction as a percentage, rounded to its standard error: 4.31% ± 0.04; to so many figures at most.

    Where fewer figures are asked for than the error allows, a bound stands for an error that is rounded away.
    """
    if not (math.isfinite(value) and math.isfinite(se)):
        return UNKNOWN
    if is_as_drawn(se):
        return f"{_minus(100 * (value if abs(value) > 1e-9 else 0.0), f'.{figures or 4}g', sign)}% {AS_DRAWN}"
    return _with_error(value, se, told_decimals(100 * value, 100 * se, figures), sign)


def _with_error(value: float, se: float, decimals: int, sign: bool) -> str:
    return f"{_minus(100 * value, f'.{decimals}f', sign)}% {error_told(100 * se, decimals)}"


def chance(value: float, se: float, interval: Iterable[float], figures: int | None = None) -> str:
    """A probability rounded to its standard error; its 95% bound where it was never seen, or always.

    Near 1 the first figure of what is missing is told, however many figures that takes.
    """
    if value in (0.0, 1.0):
        low, high = (float(bound) for bound in interval)
        return f"< {100 * high:.2g}%" if value == 0 else f"> {100 * low:.{error_decimals(100 - 100 * low) + 1}f}%"
    if figures is None or is_as_drawn(se) or not math.isfinite(se):
        return percent(value, se)
    decimals = told_decimals(100 * value, 100 * se, figures), told_decimals(100 - 100 * value, 100 * se, 1)
    return _with_error(value, se, max(decimals), False)


def exact_percent(value: float, digits: int = 2, sign: bool = False) -> str:
    """A fraction that has no error as a percentage; what is rounded away is told as a bound."""
    if not math.isfinite(value):
        return UNKNOWN
    least = 10.0**-digits
    if 0 < value < least / 200:
        return f"< {least:.{digits}f}%"
    if 1 - least / 200 < value < 1 and not sign:
        return f"> {100 - least:.{digits}f}%"
    return f"{_minus(100 * value, f'.{digits}f', sign)}%"


def exact_chance(value: float) -> str:
    """The same with two decimals, or with three where two would leave one figure: 71.00%, 0.028%."""
    return exact_percent(value, 2 if value == 0 or abs(value) >= 0.001 else 3)


def percentage(fraction: float) -> str:
    """A fraction that was asked for, as a percentage without superfluous digits: 3%."""
    return f"{_minus(100 * fraction, '.6g', False)}%"


def _minus(number: float, form: str, sign: bool) -> str:
    shown = f"{abs(number):{form}}"
    nothing = not float(shown)
    return shown if nothing else f"{'−' if number < 0 else '+' if sign else ''}{shown}"


def too_few(replicates: int) -> list[str]:
    """A warning where so few populations were drawn that the errors themselves are rough."""
    if replicates >= _FEW:
        return []
    return [
        f"Only {replicates:,} synthetic populations were drawn: good for a look at the tables, not for an answer; the "
        "errors are rough themselves. Draw 1,000 or more."
    ]


def provenance(known: Mapping[str, Any]) -> str:
    """Replicates (of a fit: rows), seed, scenario and version, as far as the attributes of an answer tell them."""
    parts = []
    if "replicates" in known:
        count = int(known["replicates"])
        parts.append(f"{count:,} synthetic population{'s' if count > 1 else ''}")
    elif "rows" in known:
        parts.append(f"fitted to {int(known['rows']):,} rows")
    elif "banded_people" in known:
        parts.append(f"fitted to bands of {int(known['banded_people']):,} people")
    elif known.get("method") == "exact":
        parts.append("exact: no draws")
    for key, told in (("seed", "seed {}"), ("scenario_id", "scenario {:.8}"), ("simulator_version", "simulator {}")):
        if key in known:
            parts.append(told.format(known[key]))
    return " · ".join(parts)


def not_asked(known: Mapping[str, Any]) -> list[str]:
    """A note on the designs that an answer leaves out; none where it is about all."""
    names = known.get("left_out")
    return [f"Left out, for want of a threshold of their own: {names}. Give each `at`."] if names else []


def with_origin(page: Page, known: Mapping[str, Any]) -> Page:
    """A page whose last line says where its figures come from, and whose first where they are not exact after all."""
    doubts = [str(known["doubt"])] if known.get("doubt") else []
    return replace(page, parts=[*page.parts, provenance(known)], warnings=[*doubts, *page.warnings])


class RuleName(NamedTuple):
    """What is done at one threshold, in the words of the rule itself."""

    label: str
    """cap £25k"""
    sentence: str
    """with each patient's cost capped at £25k"""


def rule_names(answer: xr.Dataset) -> list[RuleName]:
    """What is done at each threshold of a Dataset, under the rule that it holds for."""
    rule, unit, currency = rule_of(answer.attrs), answer["threshold"].attrs.get("units", ""), answer.attrs["currency"]

    def told(threshold: float) -> str:
        return threshold_label(threshold, unit, currency)

    thresholds = [float(one) for one in answer["threshold"].values.ravel()]
    return [RuleName(rule.label(one, told), rule.sentence(one, told)) for one in thresholds]


def rules(answer: xr.Dataset) -> list[str]:
    """What is done at each threshold of a Dataset: heads of columns."""
    return [name.label for name in rule_names(answer)]


def figure_table(summary: xr.Dataset, name: str, title: str, **at: float) -> Table:
    """One figure by population size (rows) and threshold (columns), with its standard error."""
    place = "unit" if "unit" in summary[name].dims else "population_size"
    cells = summary.sel(at).transpose(place, "threshold", ...)
    labels = [people(n) if place == "population_size" else str(n) for n in summary[place].values]
    rows = [
        [label, *(_cell(cells.isel({place: p, "threshold": d}), name) for d in range(summary.sizes["threshold"]))]
        for p, label in enumerate(labels)
    ]
    head = ["people" if place == "population_size" else place, *rules(summary)]
    seen = name != "p_overspend" or not ((summary[name].sel(at) == 0) | (summary[name].sel(at) == 1)).any()
    note = "± one standard error" if seen else "± one standard error; < and >: 95% bound, none or all of them did"
    return Table(head, rows, f"{title} ({note})")


def _cell(cell: xr.Dataset, name: str) -> str:
    value, se = float(cell[name]), float(cell[f"{name}_se"])
    return chance(value, se, cell["p_overspend_interval"].values) if name == "p_overspend" else percent(value, se)


_EDGE = "≤ "
"""Before the smallest size of a grid where that is enough already."""


def enough_already(said: str) -> str:
    """The sentence on a smallest population that the grid's edge hides; nothing where it does not.

    Parameters
    ----------
    said : str
        From `minimum_population`.
    """
    if not said.startswith(_EDGE):
        return ""
    smallest, _, bound = said.removeprefix(_EDGE).partition(" (")
    within = f" (95% interval: {bound}" if bound else ""
    return f"{smallest} people, the smallest size simulated, are already enough{within}"


def minimum_population(answer: xr.Dataset, position: int, largest: int, smallest: int) -> str:
    """One minimum population and its 95% interval as a person says it; the interval is rounded outwards."""
    value = float(answer["minimum_population"].isel(threshold=position))
    low, high = (float(bound) for bound in answer["minimum_population_interval"].isel(threshold=position).values)

    def said(number: float, rounding: Callable[[float], float] = round) -> str:
        if math.isinf(number):
            return f"over {people(largest)}"
        if number == 0:
            return f"{_EDGE}{people(smallest)}"
        step = 10.0 ** (math.floor(math.log10(number)) - 1)
        return people(rounding(number / step) * step)

    if value == 0:
        most = said(high, math.ceil)
        return said(value) if high == 0 else f"{said(value)} ({'perhaps' if math.isinf(high) else 'up to'} {most})"
    if math.isinf(value):
        return said(value) if math.isinf(low) else f"{said(value)} (at least {said(low, math.floor)})"
    return f"{said(value)} ({said(low, math.floor)} to {said(high, math.ceil)})"
