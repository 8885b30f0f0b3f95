"""Terms that are proposed: today's contract, the cheapest within the limits, and the strongest incentive."""

import json
import math
import re
from typing import Any

import xarray as xr

from ...contracts.design import Design, designs_from
from ..figure import Figure, amount, exact_percent, people, percent, percentage, plain_number, rounded
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
    "All figures come from simulated years that were not used to choose the designs: on the years used to choose it, "
    "the best of many designs looks better than it is."
)
GUARDS = (
    "Guards: a limit on the chance of a loss alone can be met by covering moderate losses and leaving catastrophic "
    "ones uncovered, so the mean loss of the worst 1% of years must stay within it too; and providers may expect no "
    "more than a small payment for no saving. To search without guards, set guards = false."
)


def page(answer: xr.Dataset) -> Page:
    """The verdict, then the options side by side, what limits them, and the frontier."""
    known = answer.attrs
    notes = [GUARDS if known["guards"] else "Guards are off: catastrophic losses may be left uncovered.", WINNERS_CURSE]
    title = f"Proposed terms for design '{known['design']}': {people(known['members'])} people"
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
        why = f"Limits that prevent it: {_minus(known['in_the_way'])}."
        return [f"{tried} {why}", f"The nearest design misses by {missed} of revenue."]
    said = []
    openings = {"cheapest": "The cheapest terms", "strongest": "The strongest incentive"}
    for name, opening in sorted(openings.items(), key=lambda option: option[0] != known["aim"]):
        cell, advised = answer.sel(option=name), " (recommended)" if known["aim"] == name else ""
        kept = f"providers keep {_share(cell, 'power')} of each further pound saved."
        said.append(f"{opening} within the limits{advised}: {_price(cell)} per head per year; {kept}")
    met = "meets" if float(today["within"].min()) >= 0 else "does not meet"
    kept = f"providers keep {_share(today, 'power')}."
    said.append(f"Today's contract {met} the limits: {_price(today)} per head per year; {kept}")
    saved = answer["relaxed_saving"].where(answer["relaxed_saving"] > 2 * answer["relaxed_saving_se"], -1.0)
    cell = answer.isel(demand=int(saved.values.argmax()))
    if float(saved.max()) <= 0:
        return [
            *said,
            "No single limit decides the price: loosening any one by a point has no clear effect.",
        ]
    looser = f"one percentage point looser would save {_price(cell, 'relaxed_saving')} a year"
    return [*said, f"Limit that decides the price of the cheapest terms: {_minus(cell['demand'].values)}; {looser}."]


def _minus(limit: object) -> str:
    return str(limit).replace(" -", " −")


def _named(path: str, design: dict[str, Any]) -> str:
    """A moving figure in words: `terms[0].gain` is "gain share" where that term is a share."""
    place, _, key = path.rpartition(".")
    place = re.sub(r"^terms\[(\d+)\]", lambda term: str(design["terms"][int(term[1])]["kind"]), place)
    place, key = re.sub(r"^\w+\[(\D.*)\]$", r"\1", place), "threshold" if key == "at" else key
    named = f"{key} share" if place == "share" else f"{place} {key}".strip()
    return named.replace("_", " ").replace("stop loss", "stop-loss")


def _term(value: float, path: str) -> Cell:
    """A share as a percentage; a threshold, years, or a figure above 1 as a number."""
    if math.isinf(value):
        return "none"
    is_number = path.endswith((".at", "year", "years")) or abs(value) > 1
    return plain_number(value, ",.0f" if abs(value) >= 1_000 else ".6g") if is_number else percentage(rounded(value, 4))


def proposed_tables(answer: xr.Dataset) -> list[Table]:
    """The options side by side, what limits them, and the frontier."""
    names = [_NAMES[str(name)] for name in answer["option"].values]
    options = list(zip(names, each(answer, "option"), strict=True))
    powers = ("power", "power_gain", "power_loss")
    rows: Rows = [
        [name, _price(one), *(_share(one, power) for power in powers), "yes" if one["within"].min() >= -1e-9 else "no"]
        for name, one in options
    ]
    head = ["terms", "price per head", "kept of a saving", "in years of gain", "in years of loss", "meets the limits"]
    note = "Price: what funders expect to pay in a year beyond the expected cost of care; below 0, they gain."
    tables = [Table(head, rows, "Options", note=note)]
    rows = []
    for name, cell in ((name, cell) for name, one in options for cell in each(one, "party")):
        lost = [(_price(cell, x), _share(cell, x, float(cell["revenue"]))) for x in ("loss_1_in_20", "worst_mean")]
        rows.append([name, str(cell["party"].values), _price(cell, "expected_surplus"), *lost[0], *lost[1]])
    head = ["terms", "party", "expected surplus", "1-in-20 loss", "of revenue", "mean of worst 1%", "of revenue"]
    tables.append(Table(head, rows, "Result of each party in a year (a loss below 0 is a gain)", labels=2))
    rows = []
    for cell in each(answer, "demand"):
        saving = "" if cell["relaxed_saving"].isnull() else _price(cell, "relaxed_saving")
        rows.append([_minus(cell["demand"].values), *(_met(float(slack)) for slack in cell["within"].values), saving])
    note = "Judged with 95% confidence. Met or missed by so much of revenue."
    tables.append(Table(["limit", *names, "saved a year if one point looser"], rows, "Limits", note=note))
    rows = []
    paths, design = answer["moving"].values.tolist(), json.loads(answer.attrs["designs"])[0]
    figures = [_named(path, design) for path in paths]
    figures = [name if figures.count(name) == 1 else path for name, path in zip(figures, paths, strict=True)]
    for name, path, cell in zip(figures, paths, each(answer, "moving"), strict=True):
        values = map(float, cell["figure_value"].values)
        rows.append([name, *("not a single figure" if math.isnan(v) else _term(v, path) for v in values)])
    tables.append(Table(["term", *names], rows, "Terms"))
    moved = [(name, cell) for name, one in options for cell in each(one, "assumption")]
    rows = [[name, str(cell["assumption"].values), _moved(float(cell["breaks_at"]))] for name, cell in moved]
    first = dict.fromkeys(str(cell["breaks_first"].values) for _, cell in moved)
    note = f"First to fail: {_minus('; '.join(limit for limit in first if limit))}." if any(first) else ""
    title = "How much higher an assumption may be before a limit fails, with budgets as agreed"
    tables.append(Table(["terms", "assumption", "may be higher by"], rows, title, labels=2, note=note))
    rows = []
    for cell in each(answer, "frontier"):
        terms = [_term(v, path) for v, path in zip(cell["frontier_figure"].values.tolist(), paths, strict=True)]
        alike = "yes" if bool(cell["equally_good"]) else ""
        rows.append([_price(cell, "frontier_price"), _share(cell, "frontier_power"), *terms, alike])
    head = ["price per head", "kept of a saving", *figures, "as cheap as the cheapest"]
    title = "Price against incentive: no other design that was tried is both cheaper and stronger"
    return [*tables, Table(head, rows, title)] if rows else tables


def _met(within: float) -> Figure:
    shown = exact_percent(abs(within), 2)
    said = "just met" if 0 <= within < _SHOWN else f"{'met' if within >= 0 else 'missed'} by {shown}"
    return Figure(within, said, basis="drawn")


def _moved(factor: float) -> Figure:
    more = str(percentage(rounded(factor - 1, 2)))
    said = "any amount tried" if math.isinf(factor) else "fails already" if factor == 1 else more
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
