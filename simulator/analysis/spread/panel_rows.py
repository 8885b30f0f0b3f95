"""Rows of organisations by year, read with the one reader, as a panel of deviations."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ...errors import SimulatorError
from ...rows.columns.figures import figures_of
from ...rows.layout import LayoutOptions, layout
from ...rows.names import Said
from ...rows.read import read
from ...rows.table import Headers, Pick
from .components import Panel

_MOST = 100.0
"""Largest result that can be meant as a fraction."""


class PanelOptions(LayoutOptions, total=False):
    """What every function that takes rows of organisations by year understands of them."""

    organisation: str  # column of the name; "organisation" by default, and so on
    year: str
    people: str
    deviation: str | None  # column of results as fractions (0.04 for 4%); without it, cost / budget − 1
    cost: str | None
    budget: str | None
    renamed: Mapping[str, str] | None  # former names of organisations and their present ones


def panel_of(
    source: Any, organisation: str = "organisation", year: str = "year", people: str = "people",
    renamed: Mapping[str, str] | None = None, **table: Any,
) -> tuple[Panel, list[str]]:  # fmt: skip
    """A panel, and what was done to the rows."""
    names = {"organisation": organisation, "year": year, "people": people}
    names |= {meaning: table.pop(meaning, None) for meaning in ("deviation", "cost", "budget")}
    by_path = isinstance(source, str | os.PathLike)
    said = (
        Said(os.fspath(source), os.fspath(source), private=False) if by_path else Said("frame", "frame", private=False)
    )
    wanted = {meaning: name for meaning, name in names.items() if name}
    of_result = wanted.keys() - {"organisation", "year", "people"}
    if len(wanted) - len(of_result) < 3 or of_result not in ({"deviation"}, {"cost", "budget"}):
        mend = "name the columns: organisation=, year=, people=, and deviation=, or cost= and budget="
        raise said.of_rows("need organisation, year, people, and a deviation or else a cost and a budget", mend)

    def choose(headers: Headers) -> list[Pick]:
        return [Pick(meaning, headers.only(name, said)) for meaning, name in wanted.items()]

    read_in = read(source, choose, layout(**table), said)
    figures = figures_of(read_in, [name for name in wanted if name != "organisation"], said)
    codes, labels = read_in.columns["organisation"].by_level
    if "deviation" in figures:
        deviation = figures["deviation"]
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            deviation = np.where(figures["budget"] > 0, figures["cost"] / figures["budget"] - 1, np.nan)
    at, heads = figures["year"], figures["people"]
    kept = np.isfinite(deviation) & np.isfinite(at) & (heads >= 1) & np.isfinite(heads) & (codes >= 0)
    notes = list(read_in.notes)
    if not kept.all():
        notes.append(f"{int((~kept).sum())} rows were left out: they lack an organisation, year, people or result.")
    new = renamed or {}
    if not isinstance(new, Mapping):
        raise SimulatorError("renamed", None, "is no mapping", 'give former names and present ones: {"old": "new"}')
    called = np.array([new.get(str(name), str(name)) for name in labels], object)[codes[kept]]
    organisations, rows = np.unique(called.astype(str), return_inverse=True)
    years, columns = np.unique(at[kept], return_inverse=True)
    if organisations.size < 3 or years.size < 1:
        raise said.of_rows(f"hold {organisations.size} organisations with results", "give at least 3")
    places = rows * years.size + columns
    if np.unique(places).size < places.size:
        twice = np.flatnonzero(np.bincount(places) > 1)[0]
        name, when = organisations[twice // years.size], years[twice % years.size]
        raise SimulatorError(said.rows, f"{name}, {when:g}", "has more than one row", "keep one row for each year")
    shape = organisations.size, years.size
    filled, size, money = np.full(shape, np.nan).ravel(), np.ones(shape).ravel(), np.ones(shape).ravel()
    filled[places], size[places], money[places] = deviation[kept], heads[kept], figures.get("budget", heads)[kept]
    if (most := float(np.abs(deviation[kept]).max())) > _MOST:
        raise said.of_rows(f"have a result of {most:.4g}, as a fraction", "give fractions, such as 0.03 for 3%")
    if not (np.fmax.reduce(filled.reshape(shape)) > np.fmin.reduce(filled.reshape(shape))).any():
        raise said.of_rows("have no year in which results differ", "give rows of several organisations in a year")
    rest = (one.reshape(shape) for one in (filled, size, money))
    return Panel(tuple(organisations), years, *rest), notes


def as_number(given: Any) -> float:
    """A number; NaN for what is none."""
    try:
        return float(given)
    except (TypeError, ValueError):
        return math.nan


def edges_of(sizes: Sequence[float]) -> list[float]:
    """Ends of the bands of people."""
    listed = isinstance(sizes, Iterable) and not isinstance(sizes, str)
    edges = [0.0, *map(as_number, sizes), math.inf] if listed else [0.0, 0.0]
    if not all(low < high for low, high in pairwise(edges)):
        told = list(sizes) if listed else sizes
        raise SimulatorError("sizes", told, "must rise from above 0", "give sizes such as 10_000, 30_000")
    return edges
