"""Terms that are proposed: today's contract, the cheapest within the limits, and the strongest incentive."""

import json
import math
from typing import Any

import xarray as xr

from ...contracts.design import Design, designs_from
from ..figure import Figure, amount, exact_percent, people, percent, percentage, plain_number
from ..tables import Cell, Page, Rows, Table
from ..tidy import dataset_json
from . import Kind
from .shared import each, simulated, too_few, with_origin

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
    notes = [GUARDS if known["guards"] else "Guards are off: a catastrophe may be left uncovered.", WINNERS_CURSE]
    title = f"Terms for {known['design']}: {people(known['members'])} people"
    made = Page(title, _verdict(answer), [*proposed_tables(answer), *notes], too_few(known["replicates"]))
    return with_origin(simulated(made), known)


def _price(cell: xr.Dataset, name: str = "price_per_head") -> Figure:
    return amount(float(cell[name]), float(cell[f"{name}_se"]), cell.attrs["currency"])


def _share(cell: xr.Dataset, name: str, of: float = 1.0) -> Cell:
    return percent(float(cell[name]) / of, float(cell[f"{name}_se"]) / of) if of else "none"


def _verdict(answer: xr.Dataset) -> list[str]:
    known, today = answer.attrs, answer.sel(option="today")
    if "nearest" in answer["option"].values:
        missed = percentage(round(-float(answer["within"].sel(option="nearest").min()), 4))
        tried = f"No design meets every limit ({known['tried']:,} designs were tried)."
        return [f"{tried} In the way: {known['in_the_way']}.", f"The nearest misses by {missed} of revenue."]
    said = []
    for name, opening in (("cheapest", "The cheapest terms"), ("strongest", "The strongest incentive")):
        cell, advised = answer.sel(option=name), " (recommended)" if known["aim"] == name else ""
        kept = f"the providers keep {_share(cell, 'power')} of what they really save."
        said.append(f"{opening} within the limits{advised}: {_price(cell)} a head, and {kept}")
    met = "meets" if float(today["within"].min()) >= 0 else "does not meet"
    said.append(f"Today's contract {met} the limits: {_price(today)} a head, and {_share(today, 'power')} is kept.")
    saved = answer["relaxed_saving"].where(answer["relaxed_saving"] > 2 * answer["relaxed_saving_se"], -1.0)
    cell = answer.isel(demand=int(saved.values.argmax()))
    if float(saved.max()) <= 0:
        return [*said, "No single limit decides the price: none saves money when it alone is a point looser."]
    looser = f"a point looser would save {_price(cell, 'relaxed_saving')} a year"
    return [*said, f"What binds for the cheapest: {cell['demand'].values}; {looser}."]


def proposed_tables(answer: xr.Dataset) -> list[Table]:
    """The options side by side, what limits them, and the frontier."""
    names = [_NAMES[str(name)] for name in answer["option"].values]
    options = list(zip(names, each(answer, "option"), strict=True))
    powers = ("power", "power_gain", "power_loss")
    rows: Rows = [
        [name, _price(one), *(_share(one, power) for power in powers), "yes" if one["within"].min() >= -1e-9 else "no"]
        for name, one in options
    ]
    head = ["terms", "price a head", "kept of a saving", "in years of gain", "in years of loss", "meets the limits"]
    note = "Price: what the funders expect to pay beyond the expected cost of care; below 0 they gain."
    tables = [Table(head, rows, "Options", note=note)]
    rows = []
    for name, cell in ((name, cell) for name, one in options for cell in each(one, "party")):
        lost = [(_price(cell, x), _share(cell, x, float(cell["revenue"]))) for x in ("loss_1_in_20", "worst_mean")]
        rows.append([name, str(cell["party"].values), _price(cell, "expected_surplus"), *lost[0], *lost[1]])
    head = ["terms", "party", "expected surplus", "1-in-20 loss", "of revenue", "mean of worst 1%", "of revenue"]
    tables.append(Table(head, rows, "Who pays: each party in a year (a loss below 0 is a gain)", labels=2))
    rows = []
    for cell in each(answer, "demand"):
        saving = "" if cell["relaxed_saving"].isnull() else _price(cell, "relaxed_saving")
        rows.append([str(cell["demand"].values), *(_met(float(slack)) for slack in cell["within"].values), saving])
    note = "With 95% confidence, by exact binomial bounds; room as a share of revenue."
    tables.append(Table(["limit", *names, "a point looser saves"], rows, "Limits", note=note))
    rows = []
    for cell in each(answer, "moving"):
        values = map(float, cell["figure_value"].values)
        rows.append([str(cell["moving"].values), *("as written" if math.isnan(v) else plain_number(v) for v in values)])
    tables.append(Table(["figure", *names], rows, "Terms"))
    moved = [(name, cell) for name, one in options for cell in each(one, "assumption")]
    rows = [[name, str(cell["assumption"].values), _moved(float(cell["breaks_at"]))] for name, cell in moved]
    first = dict.fromkeys(str(cell["breaks_first"].values) for _, cell in moved)
    note = f"First to fail: {'; '.join(limit for limit in first if limit)}." if any(first) else ""
    title = "How far an assumption may move before a limit fails, budgets as agreed"
    tables.append(Table(["terms", "assumption", "may be higher by"], rows, title, labels=2, note=note))
    rows = []
    for cell in each(answer, "frontier"):
        figures = [plain_number(float(value), ",.4g") for value in cell["frontier_figure"].values]
        alike = "yes" if bool(cell["equally_good"]) else ""
        rows.append([_price(cell, "frontier_price"), _share(cell, "frontier_power"), *figures, alike])
    head = ["price a head", "kept of a saving", *map(str, answer["moving"].values), "as cheap as the cheapest"]
    title = "Price against incentive: no other design that was tried is both cheaper and stronger"
    return [*tables, Table(head, rows, title)] if rows else tables


def _met(within: float) -> Figure:
    shown = exact_percent(abs(within), 2)
    said = "just met" if 0 <= within < _SHOWN else f"{'met, room' if within >= 0 else 'missed by'} {shown}"
    return Figure(within, said, basis="drawn")


def _moved(factor: float) -> Figure:
    said = "as far as tried" if math.isinf(factor) else "fails already" if factor == 1 else f"{100 * (factor - 1):.1f}%"
    return Figure(factor, said, basis="drawn")


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
