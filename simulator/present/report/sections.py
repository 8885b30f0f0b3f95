"""The tables of a report: what was found."""

from __future__ import annotations

import math
from collections.abc import Iterator

import xarray as xr

from ...analysis.statistics.summary import MARGINS
from ...contracts.design import STATUS_QUO
from .answer import minimum_told
from .gather import Contents, Place, overspend
from .names import NO_EXCLUSION, figure, percentage
from .rounding import NOTE, exact
from .tables import Table

FIGURES = (
    ("mean_cost", "Mean cost of a year"),
    ("cv", "Coefficient of variation"),
    ("tvar", "Mean of the costliest 5% of years"),
)
"""What is told of the retained cost, besides the chance of an overspend."""

WORST_LEVEL = 0.95
"""Level of the mean of the costliest 5% of years."""

PARTY_FIGURES = (
    ("expected_surplus", "Expected surplus"),
    ("sd_surplus", "Standard deviation"),
    ("worst_surplus", "1 year in 20 is worse than"),
    ("p_loss", "Chance of a loss"),
    ("risk_share", "Share of the risk"),
)
"""What is told of each party."""

REMOVED_FIGURES = (
    ("cost_removed_share", "of the cost"),
    ("patients_above_share", "of the patients"),
    ("variance_removed_share", "of the variance of the total"),
)
"""What is told of what a rule takes out."""

_NOTE = NOTE
_NOT_REACHED = (
    " “Over” the largest size simulated: it is not enough, and where what hits everybody at once exceeds the "
    "target, no size is."
)
_BOUND_NOTE = f"{_NOTE} < and > give a 95% bound where the event was never, or always, seen."


def minimum_table(contents: Contents) -> Table:
    """The smallest population for each threshold (rows) and margin (columns, the one that was asked for first)."""
    asked = contents.target.margin
    margins = [asked, *(margin for margin in MARGINS if margin != asked)]
    rows = [
        [name, *(minimum_told(contents, margin, at) for margin in margins)]
        for at, name in enumerate(contents.thresholds)
    ]
    return Table(
        f"Smallest population at which an overspend has a chance of at most {percentage(contents.target.at_most)}",
        ["Patient-level rule", *(f"above {percentage(margin)}" for margin in margins)],
        rows,
        "People; 95% interval in brackets, rounded outwards. Read off the simulated sizes."
        + (_NOT_REACHED if any(cell.startswith("over ") for row in rows for cell in row) else ""),
        stacked=True,
    )


def chance_table(contents: Contents, margin: float) -> Table:
    """The chance of an overspend by population (rows) and threshold (columns)."""
    cells = [(place.summary.sel(margin=margin), "p_overspend") for place in contents.places]
    return _by_place(contents, f"Chance of {overspend(margin)}", cells, _BOUND_NOTE)


def chance_tables(contents: Contents) -> Iterator[Table]:
    """The chance of an overspend, a table for each margin."""
    return (chance_table(contents, margin) for margin in contents.margins)


def figure_tables(contents: Contents) -> Iterator[Table]:
    """The other figures of the explorer, a table for each."""
    for name, title in FIGURES:
        cells = [(level_of(place.summary), name) for place in contents.places]
        yield _by_place(contents, f"{title}, after exclusion", cells, _NOTE)


def luck_table(contents: Contents) -> Table:
    """The figures behind the picture of luck by size: simulated, and exact where they are known."""
    summary = contents.summary
    exact_cv = summary["exact_sd"] / summary["exact_mean"]
    rows = []
    for p, place in enumerate(contents.places[: summary.sizes["population_size"]]):
        row = [place.label]
        for d in range(summary.sizes["threshold"]):
            known = float(exact_cv.isel(population_size=p, threshold=d))
            told = figure(place.summary.isel(threshold=d), "cv", contents.currency)
            row.append(told if math.isnan(known) else f"{told} (exact: {exact(known)})")
        rows.append(row)
    return Table(
        "Coefficient of variation of the retained cost",
        ["Population", *contents.thresholds],
        rows,
        _NOTE,
        stacked=True,
    )


def removed_table(contents: Contents) -> Table:
    """What each threshold takes out, at the largest population."""
    place, positions = removed_at(contents)
    rows = [
        [
            contents.thresholds[at],
            *(figure(place.summary.isel(threshold=at), key, contents.currency) for key, _ in REMOVED_FIGURES),
        ]
        for at in positions
    ]
    return Table(
        f"Share that each rule takes out, at {place.label}",
        ["Patient-level rule", *(title for _, title in REMOVED_FIGURES)],
        rows,
        f"{_NOTE} Of the patients: those who cost more than the threshold.",
    )


def removed_at(contents: Contents) -> tuple[Place, list[int]]:
    """The largest population, and the positions of the rules that take something out."""
    place = contents.places[contents.summary.sizes["population_size"] - 1]
    return place, [at for at, name in enumerate(contents.thresholds) if name != NO_EXCLUSION]


def level_of(summary: xr.Dataset) -> xr.Dataset:
    """A summary at the level of its worst years."""
    return summary.sel(quantile_level=WORST_LEVEL)


def _by_place(contents: Contents, caption: str, cells: list[tuple[xr.Dataset, str]], note: str) -> Table:
    rows = [
        [
            place.label,
            *(figure(cell.isel(threshold=d), name, contents.currency) for d in range(len(contents.thresholds))),
        ]
        for place, (cell, name) in zip(contents.places, cells, strict=True)
    ]
    return Table(caption, ["Population", *contents.thresholds], rows, note)


# ── designs ──────────────────────────────────────────────────────────────────────────────────────


def party_rows(compared: xr.Dataset, currency: str) -> list[list[str]]:
    """A row for each party that takes part: its figures in the order of `PARTY_FIGURES`.

    Parameters
    ----------
    compared : xarray.Dataset
        What `compare` gave, at one design, population and threshold.
    currency : str
    """
    return [
        [party, *(figure(cell, name, currency) for name, _ in PARTY_FIGURES)] for party, cell in parties_of(compared)
    ]


def parties_of(compared: xr.Dataset) -> Iterator[tuple[str, xr.Dataset]]:
    """Each party that takes part in a design, and its figures."""
    worst = compared.isel(quantile_level=0)
    for party in compared["party"].values:
        cell = worst.sel(party=party)
        if any(float(cell[name]) for name in ("expected_payment", "expected_cost_borne", "expected_surplus")):
            yield str(party), cell


def design_tables(contents: Contents) -> Iterator[Table]:
    """Who gains and who loses, a table for each design, at the largest population and the highest threshold."""
    place = contents.places[contents.summary.sizes["population_size"] - 1]
    if place.compared is None:
        return
    compared = at_threshold(place.compared, -1)
    for design in contents.designs:
        rows = party_rows(compared.sel(design=design.name), contents.currency)
        rule = contents.rule_of(design.name, -1)
        caption = f"{design.name}: each party’s year among {place.label}, {rule}"
        bounded = any(cell.startswith(("<", ">")) for row in rows for cell in row[1:])
        head = ["Party", *(title for _, title in PARTY_FIGURES)]
        yield Table(caption, head, rows, _BOUND_NOTE if bounded else _NOTE)


def at_threshold(compared: xr.Dataset, position: int) -> xr.Dataset:
    """A comparison at one point of the grid, where it varies along the grid."""
    return compared.isel(threshold=position) if "threshold" in compared["expected_surplus"].dims else compared


def reference_note(contents: Contents) -> str:
    """What was added to compare with, where something was."""
    if not contents.designs or contents.designs[0].name != STATUS_QUO:
        return ""
    return f"“{STATUS_QUO}” is there to compare with: tariff and block, half of the money in blocks (assumed)."
