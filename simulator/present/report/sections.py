"""The tables of a report: what was found. The page and the workbook show the same ones."""

import math
from collections.abc import Iterator
from typing import Any

import xarray as xr

from ...analysis.designs.pricing import cap_prices
from ...analysis.statistics.summary import MARGINS
from ...contracts.design import STATUS_QUO
from ..answers.comparison import Settled, settled_at
from ..answers.shared import NO_EXCLUSION, each, figure_of, minimum_population, price_line
from ..figure import Cell, Figure, exact_share, note, people, percent, percentage
from ..tables import Rows, Table
from .gather import Contents, Place, overspend

FIGURES = (
    ("mean_cost", "Mean cost of a year"),
    ("cv", "Year-to-year risk (coefficient of variation)"),
    ("tvar", "Mean of the costliest 5% of years"),
)
"""What is shown of the retained cost, besides the chance of an overspend."""

WORST_LEVEL = 0.95
"""Level of the mean of the costliest 5% of years."""

PARTY_FIGURES = (
    "Average result",
    "Standard deviation",
    "1 year in 20 is below",
    "Chance of a loss",
    "Share of the risk",
)
"""What is shown of each party."""

REMOVED_FIGURES = (
    ("cost_removed_share", "of the cost"),
    ("patients_above_share", "of the patients"),
    ("variance_removed_share", "of year-to-year variance"),
)
"""What is shown of what a rule takes out."""

_READ_OFF = "People; 95% interval in brackets. Interpolated between the sizes simulated."
_NOT_REACHED = (
    " “Over” the largest size simulated: it is not enough, and where shocks that hit everybody exceed the target, no "
    "size is."
)
_RULE = "Cap on a patient’s cost"


def minimum_told(contents: Contents, margin: float, position: int) -> Figure:
    """The smallest population and its interval, for one margin and threshold."""
    sizes = contents.summary["population_size"].values
    return minimum_population(contents.minimum(margin), position, int(sizes[-1]), int(sizes[0]))


def minimum_table(contents: Contents) -> Table:
    """The smallest population for each threshold (rows) and margin (columns, ascending)."""
    margins = sorted({contents.target.margin, *MARGINS})
    found = [[minimum_told(contents, margin, at) for margin in margins] for at in range(len(contents.thresholds))]
    endless = any(cell.value == math.inf for row in found for cell in row)
    rows: Rows = [[name, *row] for name, row in zip(contents.thresholds, found, strict=True)]
    title = f"Smallest population with a chance of at most {percentage(contents.target.at_most)} of an overspend"
    head = [_RULE, *(f"above {percentage(margin)}" for margin in margins)]
    return Table(head, rows, title, note=_READ_OFF + (_NOT_REACHED if endless else ""))


def target_table(contents: Contents, answer: xr.Dataset) -> Table:
    """The smallest population by accepted chance (rows) and threshold (columns)."""
    ends = int(answer.attrs["largest"]), int(answer.attrs["smallest"])
    points = range(len(contents.thresholds))
    rows: Rows = [
        [str(percentage(float(one["at_most"]))), *(minimum_population(one, at, *ends) for at in points)]
        for one in each(answer, "at_most")
    ]
    title = f"Smallest population by the accepted chance of {contents.target.overspend}"
    return Table(["Chance of at most", *contents.thresholds], rows, title, note=_READ_OFF)


def chance_table(contents: Contents, margin: float) -> Table:
    """The chance of an overspend by population (rows) and threshold (columns)."""
    return _by_place(contents, f"Chance of {overspend(margin)}", "p_overspend", margin=margin)


def chance_tables(contents: Contents) -> Iterator[Table]:
    """The chance of an overspend, a table for each margin."""
    return (chance_table(contents, margin) for margin in contents.margins)


def figure_tables(contents: Contents) -> Iterator[Table]:
    """The other figures of the explorer, a table for each."""
    return (
        _by_place(contents, f"{title}, after exclusion", name, quantile_level=WORST_LEVEL) for name, title in FIGURES
    )


def place_table(contents: Contents) -> Table:
    """Every population and rule: the chance of an overspend, and the other figures."""
    rows: Rows = []
    for place in contents.places:
        for rule, cell in zip(contents.thresholds, each(level_of(place.summary), "threshold"), strict=True):
            over = figure_of(cell.sel(margin=contents.target.margin), "p_overspend", contents.currency)
            others = (figure_of(cell, name, contents.currency) for name, _ in FIGURES)
            rows.append([*_place(place, contents), rule, over, *others])
    units = ["Unit"] if contents.units is not None else []
    heads = [title if name == "cv" else f"{title} ({contents.currency})" for name, title in FIGURES]
    title = f"Chance of {contents.target.overspend}, and the year’s cost"
    return Table([*units, "Population (people)", _RULE, "Chance", *heads], rows, title, note="After exclusion.")


def _place(place: Place, contents: Contents) -> list[Cell]:
    known = place.summary.coords
    size = float(known["unit_size"] if "unit_size" in known else known["population_size"])
    unit = [str(known["unit"].item()) if "unit" in known else ""] if contents.units is not None else []
    return [*unit, people(size)]


def luck_table(contents: Contents) -> Table:
    """The figures behind the picture of luck by size: exact where they are known, else simulated."""
    rows: Rows = []
    for place in contents.places[: contents.summary.sizes["population_size"]]:
        known = [(float(cell["exact_sd"] / cell["exact_mean"]), cell) for cell in each(place.summary, "threshold")]
        told = (figure_of(cell, "cv") if math.isnan(exact) else exact_share(exact) for exact, cell in known)
        rows.append([place.label, *told])
    title = "Year-to-year risk: standard deviation of retained cost, as a share of its mean"
    note = "Calculated without simulation where possible."
    return Table(["Population", *contents.thresholds], rows, title, note=note)


def fan_table(contents: Contents, answer: xr.Dataset) -> Table:
    """Quantiles of the overspend by population, at the highest threshold."""
    rows: Rows = []
    for cell in each(answer.isel(threshold=-1), "population_size"):
        pairs = zip(cell["overspend"].values, cell["overspend_se"].values, strict=True)
        size = people(float(cell["population_size"]))
        rows.append([f"{size} people", *(percent(float(v), float(e)) for v, e in pairs)])
    levels = [f"{percentage(float(level))} of years below" for level in answer["quantile_level"].values]
    below = f"Retained cost / budget − 1, {contents.thresholds[-1]}. {note()}"
    return Table(["Population", *levels], rows, "Overspend by population", note=below)


def removed_table(contents: Contents) -> Table:
    """What each threshold takes out, at the largest population."""
    place = contents.places[contents.summary.sizes["population_size"] - 1]
    rows: Rows = [
        [name, *(figure_of(cell, key, contents.currency) for key, _ in REMOVED_FIGURES)]
        for name, cell in zip(contents.thresholds, each(place.summary, "threshold"), strict=True)
        if name != NO_EXCLUSION
    ]
    title = f"Effect of each cap: share that it takes out, at {place.label}"
    below = "Of the patients: those who cost more than the threshold."
    prices = price_line(None if contents.whole is None else cap_prices(contents.whole))
    note = f"{below} {prices}".rstrip()
    return Table([_RULE, *(title for _, title in REMOVED_FIGURES)], rows, title, note=note)


def level_of(summary: xr.Dataset) -> xr.Dataset:
    """A summary at the level of its worst years."""
    return summary.sel(quantile_level=WORST_LEVEL)


def _by_place(contents: Contents, title: str, name: str, **at: float) -> Table:
    """A figure by population (rows) and threshold (columns)."""
    rows: Rows = [
        [place.label, *(figure_of(cell, name, contents.currency) for cell in each(place.summary.sel(at), "threshold"))]
        for place in contents.places
    ]
    return Table(["Population", *contents.thresholds], rows, title)


def party_rows(settled: Settled) -> Rows:
    """A row for each party that takes part: its figures in the order of `PARTY_FIGURES`."""
    money, shares = ("sd_surplus", "worst_surplus"), ("p_loss", "risk_share")
    return [[one.name, one.expected, *map(one.money, money), *map(one.share, shares)] for one in settled.parties]


def design_tables(contents: Contents) -> Iterator[Table]:
    """Who gains and who loses, a table for each design, at the largest population and the highest threshold."""
    place = contents.places[contents.summary.sizes["population_size"] - 1]
    if place.compared is None:
        return
    for settled in settled_at(at_threshold(place.compared, -1)):
        title = f"{settled.design}: each party’s year among {place.label}, {contents.rule_of(settled.design, -1)}"
        yield Table(["Party", *PARTY_FIGURES], party_rows(settled), title)


def at_threshold(compared: Any, position: int) -> xr.Dataset:
    """A comparison at one point of the grid, where it varies along the grid."""
    return compared.isel(threshold=position) if "threshold" in compared["expected_surplus"].dims else compared


def reference_note(contents: Contents) -> str:
    """What was added to compare with, where something was."""
    if not contents.designs or contents.designs[0].name != STATUS_QUO:
        return ""
    return f"“{STATUS_QUO}” is added for comparison: tariff and block, half of the money in blocks (assumed)."
