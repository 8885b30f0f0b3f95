"""Every figure of a report as rows of a workbook: numbers as numbers, and what they cannot say in a column of words."""

from __future__ import annotations

import math
from typing import Any

import xarray as xr

from ..text import people
from .figures import LOWER, UPPER, Cell, Figure, amount, share
from .gather import Contents
from .tidy import tidy

LONG = (
    ("statistic", 22), ("meaning", 46), ("population", 12), ("unit of population", 14), ("threshold", 12),
    ("rule", 16), ("design", 22), ("party", 14), ("margin", 9), ("level", 9), ("event", 12), ("value", 15),
    ("± s.e.", 12), (LOWER, 12), (UPPER, 12), ("unit", 14), ("note", 30),
)  # fmt: skip
"""Heads of the columns, and how wide they are."""


def long_rows(contents: Contents) -> list[list[Cell]]:
    """A row a figure, as `tidy` has them."""
    meanings = _meanings(contents)
    return [_row(contents, record, meanings) for record in tidy(contents).to_dict("records")]


def _meanings(contents: Contents) -> dict[str, str]:
    """What each figure is, in the words of its Dataset."""
    told: dict[str, str] = {}
    known: list[xr.Dataset | None] = [contents.summary, contents.compared, *(contents.units or ())]
    known += [contents.minimum(contents.target.margin)] if contents.has_sizes else []
    for one in known:
        told |= {str(name): str(figure.attrs.get("long_name", "")) for name, figure in (one or {}).items()}
    told["minimum_population"] = "smallest population that meets the target, read off the simulated sizes"
    return told


def _row(contents: Contents, record: dict[Any, Any], meanings: dict[str, str]) -> list[Cell]:
    error = record["error"]
    cells: dict[str, Cell] = {head: _text(record.get(head)) for head, _ in LONG}
    cells |= {"meaning": meanings.get(record["statistic"], ""), "note": _note(contents, record)}
    cells |= {"population": _count(record["population"]), "threshold": _threshold(contents, record["threshold"])}
    cells |= {name: _share(record[name]) for name in ("margin", "level")}
    se = math.nan if isinstance(error, str) else float(error)
    found = {"value": record["value"], "± s.e.": se, LOWER: record["lower 95%"], UPPER: record["upper 95%"]}
    return list((cells | {name: _figure(record, value, se) for name, value in found.items()}).values())


def _figure(record: dict[Any, Any], value: float | None, error: float) -> Cell:
    if not _known(value):
        return None
    assert value is not None
    if record["unit"] == "people":
        return Figure(value, "people") if value else None  # nothing: the smallest size is enough, as the note says
    if record["unit"] == "1":
        return Figure(value, "number", 4) if "skewness" in record["statistic"] else share(value, error)
    return amount(value, error)


def _note(contents: Contents, record: dict[Any, Any]) -> str:
    told = [record["error"]] if isinstance(record["error"], str) else []
    if record["unit"] == "people":
        sizes = contents.summary["population_size"].values
        ends = {0.0: f"≤ {people(float(sizes[0]))}", math.inf: f"> {people(float(sizes[-1]))}"}
        named = (("value", ""), ("lower 95%", "lower end "), ("upper 95%", "upper end "))
        told += [f"{name}{ends[record[key]]}" for key, name in named if record[key] in ends]
    return "; ".join(told)


def _threshold(contents: Contents, threshold: float | None) -> Cell:
    if not _known(threshold):
        return None
    assert threshold is not None
    by_percentile = contents.summary["threshold"].attrs.get("units") == "1"
    return share(threshold) if by_percentile else amount(threshold)


def _count(number: float | None) -> Cell:
    return Figure(float(number), "people") if number is not None and _known(number) else None


def _share(fraction: float | None) -> Cell:
    return share(fraction) if fraction is not None and _known(fraction) else None


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _text(value: Any) -> Cell:
    return value if isinstance(value, str) else None
