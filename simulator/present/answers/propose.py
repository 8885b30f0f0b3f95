"""Terms that are proposed: today's contract, the cheapest within the limits, and the strongest incentive."""

from __future__ import annotations

import json
import math
from typing import Any

import xarray as xr

from ...contracts.design import Design, designs_from
from ..figure import Figure, amount, exact_percent, people, percent, percentage, plain_number
from ..tables import Cell, Page, Table
from ..tidy import dataset_json
from . import Kind
from .shared import simulated, too_few, with_origin

_NAMES = {
    "today": "today's contract", "cheapest": "cheapest", "strongest": "strongest incentive", "nearest": "nearest",
}  # fmt: skip
_SHOWN = 0.0005
"""Share of revenue within which a limit is just met."""

WINNERS_CURSE = (
    "Every figure comes from simulated years that had no part in choosing the designs: what looks best of many on "
    "the years it was chosen on owes a part of that to luck."
)
GUARDS = (
    "Guards: a limit on the chance of a loss alone would buy cover of a layer and leave the catastrophe, so the worst "
    "1% of years must keep to the same bound on average; and no more than a small expected payment for no saving. "
    "Power is shown apart for gains and losses. To search without guards, set guards = false."
)


def page(answer: xr.Dataset) -> Page:
    """The verdict, then the options side by side, what limits them, and the frontier."""
    known = answer.attrs
    tables: list[Table | str] = [
        _options(answer),
        _parties(answer),
        _demands(answer),
        _figures(answer),
        _breaks(answer),
    ]
    tables += [_frontier(answer)] if answer.sizes["frontier"] else []
    tables += [GUARDS] if known["guards"] else ["Guards are off: a catastrophe may be left uncovered."]
    title = f"Terms for {known['design']}: {people(known['members'])} people"
    made = simulated(Page(title, _verdict(answer), [*tables, WINNERS_CURSE], too_few(known["replicates"])))
    return with_origin(made, known)


def proposed_tables(answer: xr.Dataset) -> list[Table]:
    """The options side by side, what limits them, and the frontier."""
    tables = [_options(answer), _parties(answer), _demands(answer), _figures(answer), _breaks(answer)]
    return [*tables, _frontier(answer)] if answer.sizes["frontier"] else tables


def _price(cell: xr.Dataset, name: str = "price_per_head") -> Figure:
    return amount(float(cell[name]), float(cell[f"{name}_se"]), cell.attrs["currency"])


def _share(cell: xr.Dataset, name: str) -> Figure:
    return percent(float(cell[name]), float(cell[f"{name}_se"]))


def _verdict(answer: xr.Dataset) -> list[str]:
    known, today = answer.attrs, answer.sel(option="today")
    tried = f"{known['tried']:,} designs were tried"
    if "nearest" in answer["option"].values:
        missed = percentage(round(-float(answer["within"].sel(option="nearest").min()), 4))
        return [
            f"No design meets every limit ({tried}). In the way: {known['in_the_way']}.",
            f"The nearest misses by {missed} of revenue.",
        ]
    said = []
    for name, opening in (("cheapest", "The cheapest terms"), ("strongest", "The strongest incentive")):
        cell = answer.sel(option=name)
        advised = " (recommended)" if known["aim"] == name else ""
        said.append(
            f"{opening} within the limits{advised}: {_price(cell)} a head, and the providers keep "
            f"{_share(cell, 'power')} of what they really save."
        )
    met = "meets" if float(today["within"].min()) >= 0 else "does not meet"
    said.append(f"Today's contract {met} the limits: {_price(today)} a head, and {_share(today, 'power')} is kept.")
    return [*said, _binding(answer)]


def _binding(answer: xr.Dataset) -> str:
    saved = answer["relaxed_saving"] > 2 * answer["relaxed_saving_se"]
    if not bool(saved.any()):
        return "No single limit decides the price: none saves money when it alone is a point looser."
    cell = answer.isel(demand=int(answer["relaxed_saving"].where(saved, -1.0).values.argmax()))
    return f"What binds: {cell['demand'].values}; a point looser would save {_price(cell, 'relaxed_saving')} a year."


def _names(answer: xr.Dataset) -> list[str]:
    return [_NAMES[str(name)] for name in answer["option"].values]


def _each(answer: xr.Dataset, dim: str) -> list[xr.Dataset]:
    return [answer.isel({dim: at}) for at in range(answer.sizes[dim])]


def _options(answer: xr.Dataset) -> Table:
    rows: list[list[Cell]] = [
        [name, _price(cell), *(_share(cell, power) for power in ("power", "power_gain", "power_loss")),
         "yes" if float(cell["within"].min()) >= -1e-9 else "no"]
        for name, cell in zip(_names(answer), _each(answer, "option"), strict=True)
    ]  # fmt: skip
    head = ["terms", "price a head", "kept of a saving", "in years of gain", "in years of loss", "meets the limits"]
    note = "Price: what the funders expect to pay beyond the expected cost of care; below 0 they gain."
    return Table(head, rows, "Options", note=note)


def _parties(answer: xr.Dataset) -> Table:
    rows: list[list[Cell]] = []
    for name, option in zip(_names(answer), _each(answer, "option"), strict=True):
        for cell in _each(option, "party"):
            revenue = float(cell["revenue"])
            row: list[Cell] = [name, str(cell["party"].values), _price(cell, "expected_surplus")]
            for figure in ("loss_1_in_20", "worst_mean"):
                value, error = float(cell[figure]), float(cell[f"{figure}_se"])
                row += [_price(cell, figure), percent(value / revenue, error / revenue) if revenue else "none"]
            rows.append(row)
    head = ["terms", "party", "expected surplus", "1-in-20 loss", "of revenue", "mean of worst 1%", "of revenue"]
    return Table(head, rows, "Who pays: each party in a year (a loss below 0 is a gain)", labels=2)


def _demands(answer: xr.Dataset) -> Table:
    rows: list[list[Cell]] = []
    for cell in _each(answer, "demand"):
        row: list[Cell] = [str(cell["demand"].values)]
        row += [_met(float(one["within"])) for one in _each(cell, "option")]
        saving = float(cell["relaxed_saving"])
        rows.append([*row, "" if math.isnan(saving) else _price(cell, "relaxed_saving")])
    note = "With 95% confidence, by exact binomial bounds; room as a share of revenue."
    return Table(["limit", *_names(answer), "a point looser saves"], rows, "Limits", note=note)


def _met(within: float) -> Figure:
    shown = exact_percent(abs(within), 2)
    said = "just met" if 0 <= within < _SHOWN else f"{'met, room' if within >= 0 else 'missed by'} {shown}"
    return Figure(within, said, basis="drawn")


def _figures(answer: xr.Dataset) -> Table:
    rows: list[list[Cell]] = []
    for cell in _each(answer, "moving"):
        values = [float(one["figure_value"]) for one in _each(cell, "option")]
        rows.append([str(cell["moving"].values), *("as written" if math.isnan(v) else plain_number(v) for v in values)])
    return Table(["figure", *_names(answer)], rows, "Terms")


def _breaks(answer: xr.Dataset) -> Table:
    rows: list[list[Cell]] = [
        [name, str(cell["assumption"].values), _moved(float(cell["breaks_at"])), str(cell["breaks_first"].values)]
        for name, option in zip(_names(answer), _each(answer, "option"), strict=True)
        for cell in _each(option, "assumption")
    ]
    title = "How far an assumption may move before a limit fails, budgets as agreed"
    return Table(["terms", "assumption", "may be higher by", "limit that fails first"], rows, title, labels=2)


def _moved(factor: float) -> Figure:
    said = "as far as tried" if math.isinf(factor) else "fails already" if factor == 1 else f"{100 * (factor - 1):.1f}%"
    return Figure(factor, said, basis="drawn")


def _frontier(answer: xr.Dataset) -> Table:
    rows: list[list[Cell]] = [
        [_price(cell, "frontier_price"), _share(cell, "frontier_power"),
         *(plain_number(float(value), ",.4g") for value in cell["frontier_figure"].values),
         "yes" if bool(cell["equally_good"]) else ""]
        for cell in _each(answer, "frontier")
    ]  # fmt: skip
    head = ["price a head", "kept of a saving", *map(str, answer["moving"].values), "as cheap as the cheapest"]
    return Table(head, rows, "Price against incentive: no other design that was tried is both cheaper and stronger")


# ── ready to use ─────────────────────────────────────────────────────────────────────────────────


def designs_toml(answer: xr.Dataset) -> str:
    """The designs of an answer as a file of [[designs]]."""
    return "\n".join(map(_toml_of, designs_from(json.loads(answer.attrs["designs"]))))


def _toml_of(design: Design) -> str:
    kept = design.model_dump(exclude_none=True)
    return "[[designs]]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in kept.items())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(str(key))} = {_toml(part)}" for key, part in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool) else repr(value)


KIND = Kind(page, json=lambda answer: dataset_json(answer) | {"designs": json.loads(answer.attrs["designs"])})
