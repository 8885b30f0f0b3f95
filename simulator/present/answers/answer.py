"""The whole question on one page: how large, which places, what a cap buys, who carries what, what would break it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from ..figure import UNKNOWN, Figure, chance, exact_percent, pence, people, percentage
from ..tables import Cell, Page, Rows, Table
from ..tidy import plain
from .comparison import Party
from .kind import Kind
from .shared import NO_EXCLUSION, each, rule_head, rule_names, rules, to_three, with_origin


def page(answer: xr.Dataset) -> Page:
    """The answer in sentences, then a table of each part."""
    parts: list[Table | str] = [_large_table(answer)]
    parts += [_places_table(answer)] if "p_overspend" in answer else []
    parts += [_caps_table(answer)] if "price_pmpy" in answer else []
    parts += [_contracts_table(answer)] if "expected_surplus" in answer else []
    if answer.attrs["left_out"]:
        parts.append(f"Not answered: {answer.attrs['left_out']}.")
    parts.append("Next: simulator report on a run of this scenario, for a board; simulator stress, before signing.")
    verdict = [_how_large(answer), *_qualify(answer), *_cap(answer), *_breaks(answer)]
    return with_origin(Page(str(answer.attrs.get("title", "")), verdict, parts), answer.attrs)


# ── how large ────────────────────────────────────────────────────────────────────────────────────


def _how_large(answer: xr.Dataset) -> str:
    """The central answer without a cap, or with the highest, in the years that there will be."""
    name, cell = rule_names(answer)[-1], answer.isel(risk=-1, threshold=-1).sel(tail="central")
    goal = f"a chance of at most {_asked_of(answer)}"
    number = float(cell["minimum_population"])
    shocks = " with these shocks" if answer.sizes["risk"] > 1 else ""
    if math.isinf(number):
        return f"{name.opening}, no population is large enough{shocks} for {goal}."
    return f"{name.opening}, {_people(number)} people are enough{shocks} for {goal}."


def _asked_of(answer: xr.Dataset) -> str:
    known = answer.attrs
    return f"{percentage(known['at_most'])} of overspending by more than {percentage(known['margin'])}"


def _people(number: float) -> Figure | str:
    return "none is enough" if math.isinf(number) else to_three(number) if number else "the fewest"


def _large_table(answer: xr.Dataset) -> Table:
    rows: Rows = []
    for tail, of_tail in zip(answer["tail"].values, each(answer, "tail"), strict=True):
        for risk, of_risk in zip(answer["risk"].values, each(of_tail, "risk"), strict=True):
            rows.append([str(tail), str(risk), *(_large_cell(cell) for cell in each(of_risk, "threshold"))])
    title = f"Smallest population with a chance of at most {_asked_of(answer)}"
    return Table(["tail", "risk", *rules(answer)], rows, title, labels=2)


def _large_cell(cell: xr.Dataset) -> Cell:
    number = float(cell["minimum_population"])
    if math.isnan(number):
        return UNKNOWN
    made = _people(number)
    if bool(cell["is_exact"]) or isinstance(made, str):
        return made
    low, high = (str(_people(float(bound))) for bound in cell["minimum_population_interval"].values)
    return Figure(number, str(made), beside=f"({low} to {high})", unit="people", basis="drawn")


# ── places ───────────────────────────────────────────────────────────────────────────────────────


def _qualify(answer: xr.Dataset) -> Iterator[str]:
    if "qualifies" in answer:
        name, one = rule_names(answer)[-1], answer["qualifies"].isel(threshold=-1)
        few = [str(place) for place in one["unit"].values[one.values]]
        named = f": {', '.join(few)}" if 0 < len(few) <= 5 else ""
        yield f"{name.opening}, {len(few)} of {one.size} places qualify{named}."


def _places_table(answer: xr.Dataset) -> Table:
    """Chance of overspending of each place, by cap; a mark where it qualifies."""
    rows: Rows = []
    for name, size, place in zip(answer["unit"].values, answer["unit_size"].values, each(answer, "unit"), strict=True):
        cells = [_chance(cell).marked(" ▪" if bool(cell["qualifies"]) else "  ") for cell in each(place, "threshold")]
        rows.append([str(name), people(float(size)), *cells])
    most, margin = percentage(answer.attrs["at_most"]), percentage(answer.attrs["margin"])
    title = f"Chance of overspending by more than {margin} of the budget (▪ qualifies: at most {most})"
    return Table(["place", "people", *rules(answer)], rows, title)


def _chance(cell: xr.Dataset) -> Figure:
    value = float(cell["p_overspend"])
    if "p_overspend_se" not in cell:
        return exact_percent(value)
    return chance(value, float(cell["p_overspend_se"]), (math.nan, math.nan))


# ── caps ─────────────────────────────────────────────────────────────────────────────────────────


def _cap(answer: xr.Dataset) -> Iterator[str]:
    """What the first cap that a sentence can tell buys, and costs."""
    if "price_pmpy" not in answer or rules(answer)[-1] != NO_EXCLUSION or answer.sizes["threshold"] < 2:
        return
    cell, without = (answer.isel(risk=-1, threshold=at).sel(tail="central") for at in (-2, -1))
    costs = pence(float(cell["price_pmpy"]), answer.attrs["currency"])
    sizes = [float(one["minimum_population"]) for one in (cell, without)]
    if all(np.isfinite(sizes)) and min(sizes) > 0:
        fewer = f"lowers the population needed from {_people(sizes[1])} to {_people(sizes[0])}"
        yield f"The {rules(answer)[-2]} {fewer}, and costs {costs} a head and year (pool of {_pool(answer)})."


def _pool(answer: xr.Dataset) -> str:
    k = answer.attrs["k"]
    return f"{people(answer.attrs['pool_members'])} people, loading of {k:g} standard deviation{'s' if k != 1 else ''}"


def _caps_table(answer: xr.Dataset) -> Table:
    currency = answer.attrs["currency"]
    rows: Rows = []
    for label, cell in zip(rules(answer), each(answer.isel(risk=-1).sel(tail="central"), "threshold"), strict=True):
        prices = (pence(float(cell[name]), currency) for name in ("expected_excess_pmpy", "price_pmpy"))
        rows.append([label, *prices, _large_cell(cell)])
    title = f"What a cap costs a head and year, and buys: {_pool(answer)}"
    return Table([rule_head(answer), "expected excess", "price", "smallest population"], rows, title)


# ── contracts, and what would break it ───────────────────────────────────────────────────────────


def _contracts_table(answer: xr.Dataset) -> Table:
    rows: Rows = []
    for design, of_design in zip(answer["design"].values, each(answer, "design"), strict=True):
        for name, cell in zip(answer["party"].values, each(of_design, "party"), strict=True):
            party = Party(str(name), cell, answer.attrs["currency"])
            if not math.isnan(party.value("expected_surplus")):
                rows.append([str(design), str(name), party.expected, party.share("p_loss")])
    title = "Who carries what in a year: expected surplus, and the chance of a loss"
    return Table(["design", "party", "expected surplus", "chance of a loss"], rows, title, labels=2)


def _breaks(answer: xr.Dataset) -> Iterator[str]:
    """What would break it: a shock that no size removes, or a heavier tail."""
    last = answer.isel(threshold=-1)
    name, central = rule_names(answer)[-1], last["minimum_population"].sel(tail="central")
    if answer.sizes["risk"] > 1:
        alone = float(last["systematic_alone"].isel(risk=-1).sel(tail="central"))
        luck = _people(float(central.isel(risk=0)))
        yield (
            f"What would break it: shocks, which no size removes ({exact_percent(alone, 1)} by themselves; "
            f"{luck} people are enough for luck alone)."
        )
    if "heavy" in answer["tail"].values:
        heavy = float(last["minimum_population"].sel(tail="heavy").isel(risk=-1))
        yield (
            f"With a heavier tail, {name.sentence}: {_people(heavy)} people."
            if math.isfinite(heavy)
            else (f"With a heavier tail, {name.sentence}, no population is large enough.")
        )


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────


def as_json(answer: xr.Dataset) -> dict[str, Any]:
    """Attributes, and a list for each part."""
    known = {name: plain(value) for name, value in answer.attrs.items() if name != "answer"}
    return known | {
        "how_large": [
            {**at, "minimum_population": number(cell, "minimum_population"), "exact": bool(cell["is_exact"]),
             "interval": [plain(float(bound)) for bound in cell["minimum_population_interval"].values]}
            for at, cell in _cells(answer, "tail", "risk", "threshold") if cell["minimum_population"].notnull()
        ],
        "places": [
            {"place": at["unit"], "members": int(cell["unit_size"]), "threshold": at["threshold"],
             "p_overspend": number(cell, "p_overspend"), "qualifies": bool(cell["qualifies"])}
            for at, cell in (_cells(answer, "unit", "threshold") if "qualifies" in answer else ())
        ],
        "caps": [
            {**at, "price_per_head": number(cell, "price_pmpy"),
             "expected_excess_per_head": number(cell, "expected_excess_pmpy"),
             "minimum_population": number(cell.sel(tail="central").isel(risk=-1), "minimum_population")}
            for at, cell in (_cells(answer, "threshold") if "price_pmpy" in answer else ())
        ],
        "contracts": [
            {**at, **{name: number(cell, name) for name in cell.data_vars if "design" in answer[name].dims}}
            for at, cell in (_cells(answer, "design", "party") if "expected_surplus" in answer else ())
            if cell["expected_surplus"].notnull()
        ],
    }  # fmt: skip


def number(cell: xr.Dataset, name: Any) -> Any:
    """A figure as JSON has it."""
    return plain(float(cell[name]))


def _cells(answer: xr.Dataset, *dims: str) -> Iterator[tuple[dict[str, Any], xr.Dataset]]:
    """Every place of some dims, by its labels."""
    if not dims:
        yield {}, answer
        return
    for label, part in zip(answer[dims[0]].values, each(answer, dims[0]), strict=True):
        for at, cell in _cells(part, *dims[1:]):
            yield {dims[0]: plain(label.item() if hasattr(label, "item") else label), **at}, cell


KIND = Kind(page, json=as_json)
