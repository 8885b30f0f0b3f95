"""The tables of a report as figures: a column each for a figure, its error and its interval, for a workbook."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import xarray as xr

from ...analysis.statistics.summary import MARGINS
from ..text import error_decimals, is_as_drawn, people
from ..text_stress import parties_of as stressed_parties
from .gather import Contents, Place
from .names import percentage
from .rounding import FIGURES as DIGITS
from .sections import (
    FIGURES,
    PARTY_FIGURES,
    REMOVED_FIGURES,
    at_threshold,
    level_of,
    parties_of,
    removed_at,
)

SE = "± s.e."
LOWER, UPPER = "95% lower", "95% upper"


class Figure(NamedTuple):
    """One cell: a number and how it is shown."""

    value: float
    form: str
    """What it counts: people, money, share or number."""
    decimals: int = 0


Cell = Figure | str | None
"""A figure, words, or nothing."""


class FigureTable(NamedTuple):
    """Rows of figures below a caption."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


def figure_tables(contents: Contents) -> Iterator[FigureTable]:
    """What a workbook's summary shows, in its order."""
    if contents.has_sizes:
        yield minimum_figures(contents)
    yield place_figures(contents)
    removed = removed_figures(contents)
    yield from [removed] if removed.rows else []
    if contents.compared is not None:
        yield design_figures(contents)
    if contents.stressed is not None:
        yield stress_figures(contents.stressed)


# ── a figure and its error ───────────────────────────────────────────────────────────────────────


def share(value: float, error: float = math.nan) -> Figure | None:
    """A fraction, with as many decimals of a percentage as its error asks; without one, of three figures at least."""
    decimals = error_decimals(100 * error) if varies(error) else _shown_decimals(100 * value)
    return _known(value, "share", max(decimals, 2))


def _shown_decimals(percent: float) -> int:
    """Decimals that show three figures of a percentage without an error, and no more than six."""
    if not math.isfinite(percent) or abs(percent) < 1e-7:
        return 0
    told = f"{abs(percent):.{DIGITS}g}"  # 2.5 keeps its own figures
    return min(len(f"{float(told):.9f}".rstrip("0").partition(".")[2]), 6)


def varies(error: float, value: float = 0.0) -> bool:
    """Whether there is an error to tell: none is known of what is exact or given, or of draws that are all alike."""
    return math.isfinite(error) and not is_as_drawn(error, value)


def amount(value: float, error: float = math.nan) -> Figure | None:
    """Money, in pence where its error, or without one the amount itself, is small."""
    small = error < 35 if varies(error, value) else abs(value) < 1_000
    return _known(value, "money", 2 if small else 0)


def _known(value: float, form: str, decimals: int) -> Figure | None:
    return Figure(value, form, decimals) if math.isfinite(value) else None


def _pair(cell: xr.Dataset, name: str) -> list[Cell]:
    """A figure and its standard error; none where every draw is the same."""
    value, error = float(cell[name]), float(cell[f"{name}_se"])
    told = share if cell[name].attrs.get("units") == "1" else amount
    return [told(value, error), told(error, error) if varies(error, _size(cell[name])) else None]


def _size(figure: xr.DataArray) -> float:
    """What an error is small beside: an amount, or of a fraction the whole."""
    return 1.0 if figure.attrs.get("units") == "1" else float(figure)


def _heads(title: str, unit: str = "") -> list[str]:
    told = f"{title} ({unit})" if unit else title
    return [told, f"{title}: {SE}"]


def _unit(contents: Contents, name: str) -> str:
    units = contents.summary if name in contents.summary else contents.compared
    return "" if units is None or units[name].attrs.get("units") == "1" else contents.currency


# ── how large ────────────────────────────────────────────────────────────────────────────────────


def minimum_figures(contents: Contents) -> FigureTable:
    """The smallest population for each threshold and margin, with its interval."""
    asked = contents.target.margin
    rows = []
    for margin in (asked, *(margin for margin in MARGINS if margin != asked)):
        answer = contents.minimum(margin)
        for at, name in enumerate(contents.thresholds):
            number = float(answer["minimum_population"][at])
            bounds = [float(bound) for bound in answer["minimum_population_interval"][at].values]
            told = [_people(value) for value in (number, *bounds)]
            rows.append([name, share(margin), *told, minimum_note(contents, number, bounds)])
    return FigureTable(
        f"Smallest population at which an overspend has a chance of at most {percentage(contents.target.at_most)}",
        ["Patient-level rule", "Overspend above", "People", f"People: {LOWER}", f"People: {UPPER}", "Note"],
        rows,
        "Read off the simulated sizes.",
    )


def _people(number: float) -> Figure | None:
    """So many people; nothing where the simulated sizes do not reach them."""
    return _known(number, "people", 0) if math.isfinite(number) and number else None


def minimum_note(contents: Contents, number: float, bounds: Sequence[float]) -> str:
    """What the simulated sizes cannot tell of a smallest population."""
    sizes = contents.summary["population_size"].values
    least, most = people(float(sizes[0])), people(float(sizes[-1]))
    told = []
    if number == 0:
        told.append(f"{least}, the smallest size simulated, are already enough")
    elif math.isinf(number):
        told.append(f"> {most}: not even the largest size simulated is enough")
    if bounds[0] == 0 != number:
        told.append(f"lower end ≤ {least}")
    if math.isinf(bounds[1]) and not math.isinf(number):
        told.append(f"upper end > {most}")
    return "; ".join(told)


# ── by population ────────────────────────────────────────────────────────────────────────────────


def place_figures(contents: Contents) -> FigureTable:
    """Every population and rule: the chance of an overspend with its interval, and the other figures."""
    units = contents.units is not None
    head = [*(["Unit"] if units else []), "Population (people)", "Patient-level rule"]
    head += ["Chance", f"Chance: {SE}", f"Chance: {LOWER}", f"Chance: {UPPER}"]
    for name, title in FIGURES:
        head += _heads(title, _unit(contents, name))
    rows = [
        [*_place(place, units), rule, *_place_row(contents, place, at)]
        for place in contents.places
        for at, rule in enumerate(contents.thresholds)
    ]
    note = (
        "After exclusion. Chance: 95% interval beside it, which is the bound where the event was never, or always, "
        "seen. Mean of the costliest 5% of years: TVaR."
    )
    return FigureTable(f"Chance of {contents.target.overspend}, and the year’s cost", [*head, "Note"], rows, note)


def _place(place: Place, units: bool) -> list[Cell]:
    known = place.summary.coords
    size = float(known["unit_size"] if "unit_size" in known else known["population_size"])
    unit = str(known["unit"].item()) if "unit" in known else ""
    return [*([unit] if units else []), Figure(size, "people")]


def _place_row(contents: Contents, place: Place, at: int) -> list[Cell]:
    cell = place.summary.isel(threshold=at)
    chance = cell.sel(margin=contents.target.margin)
    value, error = float(chance["p_overspend"]), float(chance["p_overspend_se"])
    low, high = (float(bound) for bound in chance["p_overspend_interval"].values)
    seen = 0 < value < 1
    width = error if seen else high - low
    row: list[Cell] = [share(value, width), share(error, error) if seen else None]
    row += [share(low, width), share(high, width)]
    for name, _ in FIGURES:
        row += _pair(level_of(cell), name)
    return [*row, "" if seen else "never seen in the draws" if value == 0 else "seen in every draw"]


def removed_figures(contents: Contents) -> FigureTable:
    """What each threshold takes out, at the largest population."""
    place, positions = removed_at(contents)
    head = ["Patient-level rule"]
    for _, title in REMOVED_FIGURES:
        head += _heads(title[0].upper() + title[1:])
    rows = []
    for at in positions:
        cell = place.summary.isel(threshold=at)
        rows.append([contents.thresholds[at], *(part for key, _ in REMOVED_FIGURES for part in _pair(cell, key))])
    return FigureTable(f"Share that each rule takes out, at {place.label}", head, rows,
                       "Of the patients: those who cost more than the threshold.")  # fmt: skip


# ── designs ──────────────────────────────────────────────────────────────────────────────────────


def design_figures(contents: Contents) -> FigureTable:
    """Who gains and who loses under each design, at the largest population and the highest threshold."""
    place = contents.places[contents.summary.sizes["population_size"] - 1]
    assert place.compared is not None
    compared = at_threshold(place.compared, -1)
    head = ["Design", "Patient-level rule", "Party"]
    for name, title in PARTY_FIGURES:
        head += _heads(title, _unit(contents, name))
    exact = "exact_surplus" in compared
    if exact:
        head.insert(3, f"Expected surplus, exact ({contents.currency})")
    rows = []
    for design in contents.designs:
        for party, cell in parties_of(compared.sel(design=design.name)):
            told: list[Any] = [part for name, _ in PARTY_FIGURES for part in _pair(cell, name)]
            known = [amount(float(cell["exact_surplus"]))] if exact else []
            rows.append([design.name, contents.rule_of(design.name, -1), party, *known, *told])
    note = "Where no standard error stands, every draw that bears on the figure is the same."
    if exact:
        note += " An exact expected surplus is worked out without draws, and goes before the simulated one."
    return FigureTable(f"Each party’s year among {place.label}", head, rows, note)


def stress_figures(found: xr.Dataset) -> FigureTable:
    """What each stress costs each party that has revenue, under each design."""
    head = ["Design", "Stress", "Party", *_heads("Change of expected surplus, share of revenue")]
    rows = []
    for design in found["design"].values:
        answer = found.sel(design=design)
        for name in answer["stress"].values[1:]:
            for party in stressed_parties(answer):
                pair = _pair(answer.sel(stress=name, party=party), "surplus_difference_share")
                rows.append([str(design), str(name), party, *pair])
    known = found.attrs
    note = (
        "Against the expected surplus as agreed, on the same draws, as a share of revenue as agreed; "
        f"{people(known['members'])} people, {people(known['replicates'])} synthetic populations each."
    )
    return FigureTable("What each stress costs", head, rows, note)
