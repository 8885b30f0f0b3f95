"""The tables of a report: what was found. The page and the workbook show the same ones."""

from __future__ import annotations

import math
from collections.abc import Iterator

import xarray as xr

from ...analysis.statistics.summary import MARGINS
from ...contracts.design import STATUS_QUO
from ...thresholds import is_share
from ..answers.comparison import Settled, settled_at
from ..answers.shared import NO_EXCLUSION, minimum_population
from ..figure import Cell, Figure, amount, chance, exact_share, note, people, percent, percentage
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

_NOT_REACHED = (
    " “Over” the largest size simulated: it is not enough, and where shocks that hit everybody exceed the target, no "
    "size is."
)
_RULE = "Cap on a patient’s cost"


def figure(cell: xr.Dataset, name: str, currency: str) -> Figure:
    """One figure of a summary, as a percentage or as money."""
    value, error = float(cell[name]), float(cell[f"{name}_se"])
    if name == "p_overspend":
        return chance(value, error, cell["p_overspend_interval"].values)
    if is_share(cell[name].attrs.get("units")):
        return percent(value, error)
    return amount(value, error, currency)


# ── how large ────────────────────────────────────────────────────────────────────────────────────


def minimum_told(contents: Contents, margin: float, position: int) -> Figure:
    """The smallest population and its interval, for one margin and threshold."""
    sizes = contents.summary["population_size"].values
    return minimum_population(contents.minimum(margin), position, int(sizes[-1]), int(sizes[0]))


def minimum_table(contents: Contents) -> Table:
    """The smallest population for each threshold (rows) and margin (columns, ascending)."""
    margins = sorted({contents.target.margin, *MARGINS})
    found = [[minimum_told(contents, margin, at) for margin in margins] for at in range(len(contents.thresholds))]
    endless = any(cell.value == float("inf") for row in found for cell in row)
    return Table(
        [_RULE, *(f"above {percentage(margin)}" for margin in margins)],
        [[name, *row] for name, row in zip(contents.thresholds, found, strict=True)],
        f"Smallest population with a chance of at most {percentage(contents.target.at_most)} of an overspend",
        note="People; 95% interval in brackets. Interpolated between the sizes simulated."
        + (_NOT_REACHED if endless else ""),
    )


def target_table(contents: Contents, answer: xr.Dataset) -> Table:
    """The smallest population by accepted chance (rows) and threshold (columns)."""
    smallest, largest = int(answer.attrs["smallest"]), int(answer.attrs["largest"])
    rows: Rows = [
        [
            str(percentage(float(level))),
            *(
                minimum_population(answer.isel(at_most=k), at, largest, smallest)
                for at in range(len(contents.thresholds))
            ),
        ]
        for k, level in enumerate(answer["at_most"].values)
    ]
    title = f"Smallest population by the accepted chance of {contents.target.overspend}"
    below = "People; 95% interval in brackets. Interpolated between the sizes simulated."
    return Table(["Chance of at most", *contents.thresholds], rows, title, note=below)


# ── by population ────────────────────────────────────────────────────────────────────────────────


def chance_table(contents: Contents, margin: float) -> Table:
    """The chance of an overspend by population (rows) and threshold (columns)."""
    cells = [(place.summary.sel(margin=margin), "p_overspend") for place in contents.places]
    return _by_place(contents, f"Chance of {overspend(margin)}", cells)


def chance_tables(contents: Contents) -> Iterator[Table]:
    """The chance of an overspend, a table for each margin."""
    return (chance_table(contents, margin) for margin in contents.margins)


def figure_tables(contents: Contents) -> Iterator[Table]:
    """The other figures of the explorer, a table for each."""
    for name, title in FIGURES:
        cells = [(level_of(place.summary), name) for place in contents.places]
        yield _by_place(contents, f"{title}, after exclusion", cells)


def place_table(contents: Contents) -> Table:
    """Every population and rule: the chance of an overspend, and the other figures."""
    rows: Rows = []
    for place in contents.places:
        for at, rule in enumerate(contents.thresholds):
            cell = level_of(place.summary.isel(threshold=at))
            over = figure(cell.sel(margin=contents.target.margin), "p_overspend", contents.currency)
            others = (figure(cell, name, contents.currency) for name, _ in FIGURES)
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
    summary = contents.summary
    exact_cv = summary["exact_sd"] / summary["exact_mean"]
    rows: Rows = []
    for p, place in enumerate(contents.places[: summary.sizes["population_size"]]):
        row: list[Cell] = [place.label]
        for d in range(summary.sizes["threshold"]):
            known = float(exact_cv.isel(population_size=p, threshold=d))
            drawn = figure(place.summary.isel(threshold=d), "cv", contents.currency)
            row.append(drawn if math.isnan(known) else exact_share(known))
        rows.append(row)
    title = "Year-to-year risk: standard deviation of retained cost, as a share of its mean"
    return Table(
        ["Population", *contents.thresholds], rows, title, note="Calculated without simulation where possible."
    )


def fan_table(contents: Contents, answer: xr.Dataset) -> Table:
    """Quantiles of the overspend by population, at the highest threshold."""
    last = answer.isel(threshold=-1)
    rows: Rows = []
    for p, size in enumerate(answer["population_size"].values):
        cell = last.isel(population_size=p)
        pairs = zip(cell["overspend"].values, cell["overspend_se"].values, strict=True)
        rows.append([f"{people(float(size))} people", *(percent(float(v), float(e)) for v, e in pairs)])
    levels = [f"{percentage(float(level))} of years below" for level in answer["quantile_level"].values]
    below = f"Retained cost / budget − 1, {contents.thresholds[-1]}. {note()}"
    return Table(["Population", *levels], rows, "Overspend by population", note=below)


def removed_table(contents: Contents) -> Table:
    """What each threshold takes out, at the largest population."""
    place = contents.places[contents.summary.sizes["population_size"] - 1]
    rows: Rows = [
        [name, *(figure(place.summary.isel(threshold=at), key, contents.currency) for key, _ in REMOVED_FIGURES)]
        for at, name in enumerate(contents.thresholds)
        if name != NO_EXCLUSION
    ]
    title = f"Effect of each cap: share that it takes out, at {place.label}"
    below = "Of the patients: those who cost more than the threshold."
    return Table([_RULE, *(title for _, title in REMOVED_FIGURES)], rows, title, note=below)


def level_of(summary: xr.Dataset) -> xr.Dataset:
    """A summary at the level of its worst years."""
    return summary.sel(quantile_level=WORST_LEVEL)


def _by_place(contents: Contents, title: str, cells: list[tuple[xr.Dataset, str]]) -> Table:
    rows: Rows = [
        [
            place.label,
            *(figure(cell.isel(threshold=d), name, contents.currency) for d in range(len(contents.thresholds))),
        ]
        for place, (cell, name) in zip(contents.places, cells, strict=True)
    ]
    return Table(["Population", *contents.thresholds], rows, title)


# ── designs ──────────────────────────────────────────────────────────────────────────────────────


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


def at_threshold(compared: xr.Dataset, position: int) -> xr.Dataset:
    """A comparison at one point of the grid, where it varies along the grid."""
    return compared.isel(threshold=position) if "threshold" in compared["expected_surplus"].dims else compared


def reference_note(contents: Contents) -> str:
    """What was added to compare with, where something was."""
    if not contents.designs or contents.designs[0].name != STATUS_QUO:
        return ""
    return f"“{STATUS_QUO}” is added for comparison: tariff and block, half of the money in blocks (assumed)."
