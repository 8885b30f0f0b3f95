"""Which places are large enough by themselves: each by name, and how many of them qualify."""

import math
from typing import Any

import xarray as xr

from ..figure import Figure, chance, exact_chance, people, percentage
from ..tables import Cell, Page, Table
from ..tidy import record
from . import Kind
from .shared import RuleName, each, ends, rule_names, rules, simulated

_NUMBERS = (
    "none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"
)  # fmt: skip


def page(answer: xr.Dataset) -> Page:
    """How many places qualify, and the chance in each."""
    made = Page("", [qualifying(answer, rule_names(answer))], [places_table(answer)])
    return simulated(made) if "p_overspend_se" in answer else made


def qualifying(answer: xr.Dataset, names: list[RuleName]) -> str:
    """How many places qualify, without a cap and with the lowest."""
    meets, count = answer["qualifies"].sum("unit").values, answer.sizes["unit"]
    verbs = ["qualifies" if int(one) == 1 else "qualify" for one in meets]
    told = [f"{_spelt(int(meets[at]))} of {_spelt(count)} {verbs[at]}" for at in ends(len(names))]
    said = [f"{names[at].sentence}, {one}" for at, one in zip(ends(len(names)), told, strict=True)]
    return f"Places: {'; '.join(said)}."


def _spelt(count: int) -> str:
    return _NUMBERS[count] if count < len(_NUMBERS) else f"{count:,}"


def places_table(answer: xr.Dataset) -> Table:
    """Each place by name: its people, the chance at each cap, and whether it qualifies at the last one."""
    rows: list[list[Cell]] = [
        [
            str(name),
            people(float(place["members"])),
            *(chance_told(cell, "p_overspend") for cell in each(place, "threshold")),
            "yes" if bool(place["qualifies"].isel(threshold=-1)) else "no",
        ]
        for name, place in zip(answer["unit"].values, each(answer, "unit"), strict=True)
    ]
    margin, labels = percentage(answer.attrs["margin"]), rules(answer)
    title = f"Places: chance of overspending by more than {margin}, each alone"
    return Table(["place", "people", *labels, f"qualifies, {labels[-1]}"], rows, title)


def chance_told(cell: xr.Dataset, name: str) -> Figure:
    """A chance: exact, or simulated with its error and, where it is known, its interval."""
    value, error, interval = float(cell[name]), cell.get(f"{name}_se"), cell.get(f"{name}_interval")
    if error is None or (interval is None and float(error) == 0):
        return exact_chance(value)
    return chance(value, float(error), (math.nan, math.nan) if interval is None else interval.values)


def places_json(answer: xr.Dataset) -> list[dict[str, Any]]:
    """A row a place: what holds at the last threshold, and at each."""
    figures = [one for one in ("p_overspend", "p_overspend_se", "p_overspend_interval") if one in answer]
    rows = []
    for place in each(answer, "unit"):
        cells = each(place, "threshold")
        by_threshold = [record(cell, "threshold", *figures) | {"qualifies": bool(cell["qualifies"])} for cell in cells]
        known = {"place": str(place["unit"].values), "members": int(place["members"])}
        rows.append(known | by_threshold[-1] | {"by_threshold": by_threshold})
    return rows


KIND = Kind(page, json=places_json)
