"""Every figure of a report as one long, tidy table: a row a figure, with its error beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ...settlement.compare import EXACT_FIGURES as COMPARED_EXACTLY
from ..text import AS_DRAWN, is_as_drawn
from .gather import Contents
from .names import NO_EXCLUSION

COLUMNS = (
    "statistic", "population", "unit of population", "threshold", "rule", "design", "party", "margin", "level", "event",
    "value", "error", "lower 95%", "upper 95%", "unit",
)  # fmt: skip

EXACT = "exact"
"""What stands in place of an error where there is none."""

_EXACT_FIGURES = ("exact_mean", "exact_sd")
_REMOVED = ("cost_removed_share", "patients_above_share", "variance_removed_share")
"""Exactly nothing where there is no exclusion."""

_COLUMNS_OF = {
    "population_size": ("population",),
    "unit": ("unit of population",),
    "threshold": ("threshold", "rule"),
    "margin": ("margin",),
    "quantile_level": ("level",),
    "event": ("event",),
    "design": ("design",),
    "party": ("party",),
}


def tidy(contents: Contents) -> pd.DataFrame:
    """All figures of the summary, the designs and the minimum populations.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`. ``error`` is one standard error, "exact", or "as drawn" where every draw is the same;
        ``threshold`` infinite where nothing is excluded; what does not apply is None.
    """
    rows = list(_summary_rows(contents, contents.summary))
    rows += _minimum_rows(contents)
    if contents.compared is not None:
        rows += _design_rows(contents, contents.compared)
    if contents.units is not None:
        by_unit, compared = contents.units
        rows += _summary_rows(contents, by_unit)
        rows += [] if compared is None else _design_rows(contents, compared)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _summary_rows(contents: Contents, summary: xr.Dataset) -> Iterator[dict[str, Any]]:
    for name in summary.data_vars:
        error = summary.get(f"{name}_se")
        if error is not None or name in _EXACT_FIGURES:
            yield from _rows(contents, summary[str(name)], error, summary.get(f"{name}_interval"))


def _design_rows(contents: Contents, compared: xr.Dataset) -> Iterator[dict[str, Any]]:
    for name in compared.data_vars:
        if f"{name}_se" in compared or name in COMPARED_EXACTLY:
            yield from _rows(contents, compared[str(name)], compared.get(f"{name}_se"))


def _minimum_rows(contents: Contents) -> Iterator[dict[str, Any]]:
    for margin in contents.margins if contents.has_sizes else ():
        answer = contents.minimum(margin)
        for row in _rows(contents, answer["minimum_population"], None, answer["minimum_population_interval"]):
            yield row | {"margin": margin, "level": contents.target.at_most, "error": "95% interval"}


def _rows(
    contents: Contents, figure: xr.DataArray, errors_of: xr.DataArray | None, interval: xr.DataArray | None = None
) -> Iterator[dict[str, Any]]:
    """A row for each value of a figure that is known."""
    errors = None if errors_of is None else errors_of.transpose(*figure.dims).values
    bounds = None if interval is None else interval.transpose(*figure.dims, "bound").values
    known = _coordinates(contents, figure)
    empty: dict[str, Any] = dict.fromkeys(COLUMNS)
    empty |= {"statistic": str(figure.name), "unit": figure.attrs.get("units", "")}
    for at, value in np.ndenumerate(figure.values):
        if math.isnan(value):
            continue
        row = empty | {column: values[at[axis]] for column, axis, values in known}
        if row["design"] and "threshold" in figure.dims:  # a design has a rule of its own
            row["rule"] = contents.rule_of(row["design"], at[figure.dims.index("threshold")])
        error = EXACT if errors is None else _error(float(errors[at]), float(value), row)
        row |= {"value": float(value), "error": error}
        if bounds is not None:
            row |= {"lower 95%": float(bounds[at][0]), "upper 95%": float(bounds[at][1])}
        yield row


def _error(error: float, value: float, row: dict[str, Any]) -> float | str:
    """A standard error, or what stands in its place."""
    if not is_as_drawn(error, 1.0 if row["unit"] == "1" else value):
        return error
    return EXACT if row["statistic"] in _REMOVED and row["rule"] == NO_EXCLUSION else AS_DRAWN


def _coordinates(contents: Contents, figure: xr.DataArray) -> list[tuple[str, int, list[Any]]]:
    """Column, axis and labels of every dim."""
    known = [
        (column, axis, figure[dim].values.tolist())
        for axis, dim in enumerate(figure.dims)
        for column in _COLUMNS_OF[str(dim)]
    ]
    return [(column, axis, list(contents.thresholds) if column == "rule" else labels) for column, axis, labels in known]
