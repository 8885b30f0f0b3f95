"""Every figure of a report as one long table for a workbook: a row a figure, with all that is known of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd
import xarray as xr

from ...thresholds import is_share
from ..figure import Cell, Figure, amount, full_money, is_alike, people, percent, percentage
from ..tidy import LAST, stacked, tidy
from .gather import Contents

WIDTHS = {"figure": 24, "meaning": 46, "rule": 18, "design": 22, "party": 16}
"""Characters of the columns that hold words; others have `WIDTH`."""

WIDTH = 13


def long_table(contents: Contents) -> tuple[list[str], list[list[Cell]]]:
    """The heads of the table and its rows."""
    rows = stacked([_told(contents, one) for one in _answers(contents)])
    rows = rows[rows["value"].notna()]
    rows = rows.dropna(axis="columns", how="all")
    heads = [str(name) for name in rows]
    of = is_share(contents.summary["threshold"].attrs.get("units")), contents.currency
    return heads, [[_cell(record, name, *of) for name in heads] for record in rows.to_dict("records")]


def _answers(contents: Contents) -> Iterator[xr.Dataset]:
    yield contents.summary
    for margin in contents.margins if contents.has_sizes else ():
        yield contents.minimum(margin).expand_dims(margin=[margin])
    found = (contents.compared, *(contents.units or ()), contents.stressed)
    yield from (one for one in found if one is not None)


def _told(contents: Contents, answer: xr.Dataset) -> pd.DataFrame:
    rows = tidy(answer)
    meanings = {str(name): str(values.attrs.get("long_name", "")) for name, values in answer.data_vars.items()}
    rows.insert(1, "meaning", rows["figure"].map(meanings))
    if "threshold" in rows:
        names = dict(zip(contents.summary["threshold"].values.tolist(), contents.thresholds, strict=True))
        rows.insert(2, "rule", rows["threshold"].map(names))
    return rows


def _cell(record: dict[Any, Any], name: str, by_percentile: bool, currency: str) -> Cell:
    value = record[name]
    if isinstance(value, str) or value is None:
        return value
    number = float(value)
    if not math.isfinite(number):
        return None
    if name in LAST[:4]:
        return _figure(number, record, name)
    if name in ("margin", "quantile_level", "at_most") or (name == "threshold" and by_percentile):
        return percentage(number)
    return full_money(number, currency) if name == "threshold" else people(number)


def _figure(number: float, record: dict[Any, Any], name: str) -> Figure | None:
    unit, error = str(record["unit"]), record["error"]
    known = math.nan if error is None else float(error)
    if name == "error" and is_alike(number, 0.0 if is_share(unit) else float(record["value"])):
        return None  # none is known
    if unit == "people":
        return people(number)
    return percent(number, known) if is_share(unit) else amount(number, known, unit)
