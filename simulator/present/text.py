"""Numbers as people write them, and tables for a terminal. Formats what it is given and computes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import xarray as xr

SYMBOLS = {"GBP": "£", "USD": "$", "EUR": "€"}


def money(amount: float, currency: str, figures: int = 3) -> str:
    """£25k, £1.5m, £935: three figures at most, or as many as asked for."""
    symbol = ("−" if amount < 0 else "") + SYMBOLS.get(currency, f"{currency} ")
    if math.isinf(amount):
        return "none"
    for size, letter in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if abs(amount) >= size:
            return f"{symbol}{abs(amount) / size:.{figures}g}{letter}"
    return f"{symbol}{abs(amount):.{figures}g}"


def threshold_label(threshold: float, unit: str, currency: str) -> str:
    """A threshold as a column's head: money, or a percentile."""
    if unit == "1":
        return "none" if threshold == 1 else f"{100 * threshold:.6g}%"
    return money(threshold, currency)


def people(number: float) -> str:
    """People with thousands separated; sizes that were estimated to two or three figures."""
    return "—" if math.isnan(number) else f"{number:,.0f}"


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


def percent(value: float, se: float) -> str:
    """A fraction as a percentage, rounded to its standard error: 4.31% ± 0.04."""
    if not math.isfinite(value):
        return "—"
    if not math.isfinite(se):
        return f"{value:.2%} (error unknown)"
    if se < 1e-9:
        return f"{100 * (value if abs(value) > 1e-9 else 0.0):.4g}% exactly"
    decimals = error_decimals(100 * se)
    return f"{100 * value:.{decimals}f}% ± {100 * se:.{decimals}f}"


def amount(value: float, se: float, currency: str) -> str:
    """Money rounded to its standard error: £1.20m ± 0.03; three figures where it has none."""
    if not math.isfinite(value):
        return "—"
    value = value if abs(value) >= 0.005 else 0.0
    if not se > 1e-9 * max(abs(value), 1.0):
        return money(value, currency)
    size = next((size for size in (1e9, 1e6, 1e3) if abs(value) >= size or se >= size), 1.0)
    letter = {1e9: "bn", 1e6: "m", 1e3: "k", 1.0: ""}[size]
    decimals = error_decimals(se / size)
    symbol = money(0, currency)[:-1]
    return f"{'−' if value < 0 else ''}{symbol}{abs(value) / size:,.{decimals}f}{letter} ± {se / size:.{decimals}f}"


def chance(value: float, se: float, interval: Iterable[float]) -> str:
    """A probability rounded to its standard error; its 95% bound where it was never seen, or always."""
    if value in (0.0, 1.0):
        low, high = (float(bound) for bound in interval)
        return f"< {100 * high:.2g}%" if value == 0 else f"> {100 * low:.6g}%"
    return percent(value, se)


def aligned(rows: Sequence[Sequence[str]], header: bool = True) -> list[str]:
    """Lines of equal columns, the first to the left and the others to the right; a rule below the header."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        numbers = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *numbers]).rstrip())
    return [lines[0], "─" * (sum(widths) + 2 * (len(widths) - 1)), *lines[1:]] if header else lines


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with its head."""
    return "\n".join(aligned([head, *rows]))


def columns(summary: xr.Dataset) -> list[str]:
    """Heads of the threshold columns of a summary."""
    unit = summary["threshold"].attrs.get("units", "")
    return [threshold_label(float(d), unit, summary.attrs["currency"]) for d in summary["threshold"].values]


def figure_table(summary: xr.Dataset, name: str, title: str, **at: float) -> str:
    """One figure by population size (rows) and threshold (columns), with its standard error."""
    place = "unit" if "unit" in summary[name].dims else "population_size"
    cells = summary.sel(at).transpose(place, "threshold", ...)
    labels = [people(n) if place == "population_size" else str(n) for n in summary[place].values]
    rows = [
        [label, *(_cell(cells.isel({place: p, "threshold": d}), name) for d in range(summary.sizes["threshold"]))]
        for p, label in enumerate(labels)
    ]
    head = ["people" if place == "population_size" else place, *columns(summary)]
    seen = name != "p_overspend" or not ((summary[name].sel(at) == 0) | (summary[name].sel(at) == 1)).any()
    note = "± one standard error" if seen else "± one standard error; < and >: 95% bound, none or all of them did"
    return f"{title} ({note})\n{table(head, rows)}"


def _cell(cell: xr.Dataset, name: str) -> str:
    value, se = float(cell[name]), float(cell[f"{name}_se"])
    return chance(value, se, cell["p_overspend_interval"].values) if name == "p_overspend" else percent(value, se)


def minimum_population(answer: xr.Dataset, position: int, largest: int, smallest: int) -> str:
    """One minimum population and its 95% interval as a person says it; the interval is rounded outwards."""
    value = float(answer["minimum_population"].isel(threshold=position))
    low, high = (float(bound) for bound in answer["minimum_population_interval"].isel(threshold=position).values)

    def said(number: float, rounding: Callable[[float], float] = round) -> str:
        if math.isinf(number):
            return f"over {people(largest)}"
        if number == 0:
            return f"{people(smallest)} or fewer"
        step = 10.0 ** (math.floor(math.log10(number)) - 1)
        return people(rounding(number / step) * step)

    if value == 0:
        return said(value) if high == 0 else f"{said(value)} (up to {said(high, math.ceil)})"
    if math.isinf(value):
        return said(value) if math.isinf(low) else f"{said(value)} (at least {said(low, math.floor)})"
    return f"{said(value)} ({said(low, math.floor)} to {said(high, math.ceil)})"
