"""Real year-end rows from a file or a frame: which column is which figure, whoever named it, and in which unit."""

import os
from collections.abc import Mapping
from typing import Any, Unpack

import numpy as np
import pandas as pd

from ..errors import SimulatorError
from ..rows.columns.column import Column, plain_numbers
from ..rows.columns.figures import figures_of
from ..rows.layout import Layout, LayoutOptions, layout
from ..rows.names import Said
from ..rows.read import read
from ..rows.table import Headers, Pick, Table
from .actual_rows import COLUMNS

PUBLIC: Mapping[str, str] = {
    "abtotbnchmk": "benchmark",
    "abtotexp": "expenditure",
    "n_ab": "beneficiaries",
    "minsavperc": "minimum_savings_rate",
    "finalsharerate": "final_share",
    "qualscore": "quality_score",
    "met_qps": "met_quality_standard",
    "met_altqps": "met_alternative_standard",
    "rev_exp_cat": "revenue_category",
    "revexp_cat": "revenue_category",
    "disadj": "disaster_adjustment",
    "current_track": "track",
}
"""Columns of the public files of the Medicare Shared Savings Program, in small letters, and what they are called here.

Where a table has a column by its name here too, that one goes before.
"""

_SHARES = {"quality", "final_share", "minimum_rate"}
_FLAGS = {"met_standard", "met_alternative", "revenue_limited"}
_TEXTS = {"design", "low_revenue"}
_ADD_UP = {"budget", "cost", "members"}
_MAY_BE_ZERO = {"cost", "adjustment", "relief"}
_NOT_NEGATIVE = {"cost", "members"}
_LARGEST = 1e15  # money beyond this is taken for a mistake


def year_end_rows(source: Any, **rows: Unpack[LayoutOptions]) -> pd.DataFrame:
    """Rows with figures as numbers, under the names of `rows.COLUMNS`; `attrs["notes"]` says what was done to them."""
    path = os.fspath(source) if isinstance(source, str | os.PathLike) else None
    said = _FRAME if path is None else Said(path, path, private=False)
    laid_out = layout(**rows)
    names: dict[int, str] = {}

    def choose(headers: Headers) -> list[Pick]:
        names.update(_names(headers, laid_out))
        known = {at: _meaning(name) for at, name in names.items()}
        return [Pick(str(at), at, False, known[at] in _ADD_UP, known[at] in _MAY_BE_ZERO) for at in names]

    return _frame(read(source, choose, laid_out, said), names, said)


_FRAME = Said("frame", "frame", private=False)


def _meaning(name: str) -> str | None:
    return next((meaning for meaning, known in COLUMNS.items() if name.casefold() in known), None)


def _names(headers: Headers, laid_out: Layout) -> dict[int, str]:
    """What each column is called here, by position: as it is, as it was said, or as a public file's column is known."""
    for name in laid_out.columns:
        if _meaning(name) is None:
            known = ", ".join(names[0] for names in COLUMNS.values())
            raise SimulatorError("columns", name, "is no column of real rows", f"choose from {known}")
    given = {headers.only(name, _FRAME): name for name in laid_out.columns}
    own = {at: name for at, name in enumerate(headers.names) if name and at not in given}
    taken = {_meaning(name) for name in (*own.values(), *given.values())}
    public = {
        at: PUBLIC[name.casefold()]
        for at, name in own.items()
        if name.casefold() in PUBLIC and _meaning(PUBLIC[name.casefold()]) not in taken
    }
    named = {_meaning(name) for name in given.values()}
    kept = {at: name for at, name in own.items() if _meaning(name) not in named or _meaning(name) is None}
    return dict(sorted((kept | public | given).items()))


def _frame(table: Table, names: Mapping[int, str], said: Said) -> pd.DataFrame:
    meanings = {str(at): _meaning(name) for at, name in names.items()}
    wanted = [key for key, meaning in meanings.items() if meaning is not None and meaning not in _TEXTS]
    shares = [key for key in wanted if meanings[key] in _SHARES]
    flags = [key for key in wanted if meanings[key] in _FLAGS]
    figures = figures_of(table, wanted, said, shares, flags)
    for key, values in figures.items():
        _check(values, names[int(key)], meanings[key] or "")
        if key in shares and table.headers.names[int(key)].casefold() in PUBLIC:
            figures[key] = _as_fractions(values, table, int(key))
    columns = [figures[key] if key in figures else _cells(column) for key, column in table.columns.items()]
    frame = pd.concat([pd.Series(values, index=table.index) for values in columns], axis=1)
    frame.columns = pd.Index(list(names.values()))
    frame.attrs["notes"] = tuple(table.notes)
    return frame


def _check(values: np.ndarray[Any, Any], name: str, meaning: str) -> None:
    large = np.flatnonzero(np.abs(values) > _LARGEST)
    if large.size:
        raise SimulatorError(name, None, f"is beyond {_LARGEST:.0e} in row {large[0] + 1}", "correct it, or its unit")
    below = np.flatnonzero(values < 0) if meaning in _NOT_NEGATIVE else np.empty(0, int)
    if below.size:
        bound = f"must be at least 0 (row {below[0] + 1} of the table)"
        raise SimulatorError(name, float(values[below[0]]), bound, "correct that row")


def _as_fractions(values: np.ndarray[Any, Any], table: Table, at: int) -> np.ndarray[Any, Any]:
    """Shares of a public file, some of which give them from 0 to 100."""
    if not np.nanmax(values, initial=0.0) > 1 or np.nanmax(values, initial=0.0) > 100:
        return values
    table.notes.append(f"Column {table.headers.names[at]!r} was read as percentages.")
    return values / 100


def _cells(column: Column) -> np.ndarray[Any, Any]:
    """A column that is no figure, as it is: numbers where it holds nothing else."""
    if column.codes is None:
        return column.values
    if not column.typed and plain_numbers([str(level) for level in column.values]):
        return column.numbers[0]
    return np.append(column.values, np.array([None], object))[column.codes]
