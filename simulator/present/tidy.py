"""From a Dataset to what other programs read: tidy rows (a long table, for CSV) and JSON. The one home of both.

Infinity is "inf" or "-inf", and what is not known is null in JSON, empty in CSV; a standard error ends in ``_se``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..numerals import from_plain
from ..numerals import plain as plain

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

LAST = ("value", "error", "lower", "upper", "unit", "basis")
"""Columns at the end of every long table, in this order."""

_UNKEPT = ("scenario", "schema_version", "created_at")


def tidy(answer: xr.Dataset, **known: str) -> pd.DataFrame:
    """A long table of a Dataset: one row a figure and place."""
    import pandas as pd

    if "unit" in answer.dims:  # the column of that name holds what a figure counts
        answer = answer.rename(unit="place")
    beside = {f"{name}{end}" for name in answer.data_vars for end in ("_se", "_interval")}
    frames = [_long(answer, name) for name in map(str, answer.data_vars) if name not in beside]
    rows = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    rows = rows.assign(**known)
    dims = [str(dim) for dim in answer.dims if dim != "bound" and dim in rows]
    return rows.reindex(columns=["figure", *known, *dims, *LAST])


def _long(answer: xr.Dataset, name: str) -> pd.DataFrame:
    values = answer[name].reset_coords(drop=True)
    dims = [dim for dim in values.dims if dim != "bound"]
    columns: dict[str, xr.DataArray] = {} if "bound" in values.dims else {"value": values}
    if f"{name}_se" in answer:
        columns["error"] = answer[f"{name}_se"].reset_coords(drop=True)
    interval = values if "bound" in values.dims else answer.get(f"{name}_interval")
    if interval is not None:
        columns |= {bound: interval.sel(bound=bound, drop=True).reset_coords(drop=True) for bound in ("lower", "upper")}
    long = _frame(columns, dims)
    long["figure"], long["unit"] = name, values.attrs.get("units", "")
    long["basis"] = _basis(answer, name, long)
    return long


def _frame(columns: Mapping[str, xr.DataArray], dims: Sequence[Any]) -> pd.DataFrame:
    import pandas as pd

    first = next(iter(columns.values()))
    labels = [first[dim].values.tolist() for dim in dims]
    index = pd.MultiIndex.from_product(labels, names=list(dims)) if dims else pd.RangeIndex(1)
    flat = {name: column.transpose(*dims).values.ravel() for name, column in columns.items()}
    long = pd.DataFrame(flat, index=index).reset_index(drop=not dims)
    return long.astype(dict.fromkeys(dims, object))  # whole numbers stay whole beside rows without the dim


def _basis(answer: xr.Dataset, name: str, long: pd.DataFrame) -> Any:
    declared = answer[name].attrs.get("basis", "")
    if declared in ("exact", "given"):
        return declared
    if "error" in long:
        from .figure import is_alike

        sizes = [1.0] * len(long) if long["unit"].eq("1").all() or "value" not in long else long["value"]
        alike = [is_alike(error, size) for error, size in zip(long["error"], sizes, strict=True)]
        return ["constant" if one else "estimated" for one in alike]
    if "lower" in long:
        return "exact" if "value" in long and (long["lower"] == long["upper"]).all() else "estimated"
    return "exact" if answer.attrs.get("method") == "exact" else "estimated" if declared else ""


def tidy_records(
    records: Iterable[Mapping[str, Any]], names: Sequence[str], unit: Any, **known: object
) -> pd.DataFrame:
    """A long table of plain records, every figure of which is exact."""
    import pandas as pd

    rows = [
        {"figure": key, **known, **{name: record.get(name) for name in names}, "value": from_plain(value),
         "error": 0.0, "unit": unit(key), "basis": "exact"}
        for record in records
        for key, value in record.items()
        if key not in names and isinstance(value, int | float | str)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["figure", *known, *names, *LAST])


def stacked(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Long tables one below the other, with the columns of all."""
    import pandas as pd

    middle = dict.fromkeys(column for table in tables for column in table if column not in ("figure", *LAST))
    columns = ["figure", *middle, *LAST]
    return pd.DataFrame([row for table in tables for row in table.to_dict("records")], columns=columns)


def as_csv(rows: pd.DataFrame) -> str:
    """The long table as CSV."""
    safe = rows.assign(**{str(name): _texts(rows[name]) for name in rows if rows[name].dtype.kind in "OU"})
    return str(safe.to_csv(index=False, lineterminator="\n"))


def _texts(column: pd.Series) -> pd.Series:
    """Texts that no spreadsheet takes for a formula: an apostrophe goes before a sign with which one begins."""
    import pandas as pd

    signs = ("=", "+", "-", "@", "\t", "\r")
    safe = [f"'{cell}" if isinstance(cell, str) and cell.startswith(signs) else cell for cell in column]
    return pd.Series(safe, index=column.index, dtype=object)


def as_json(value: Any) -> str:
    """JSON as the verbs print it."""
    return json.dumps(_harmless(plain(value)), ensure_ascii=False, indent=2, allow_nan=False)


_UNSEEN = dict.fromkeys(
    [*range(9), 11, 12, *range(14, 32), *range(127, 160), 0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F),
     *range(0x2066, 0x206A)]
)  # fmt: skip
"""Control characters, and those that turn the direction of writing: they make a text look like another."""


def _harmless(value: Any) -> Any:
    """Texts without characters that a terminal obeys or a reader does not see."""
    if isinstance(value, str):
        return value.translate(_UNSEEN)
    if isinstance(value, Mapping):
        return {_harmless(key): _harmless(part) for key, part in value.items()}
    return [_harmless(part) for part in value] if isinstance(value, list) else value


def dataset_json(answer: xr.Dataset, over: Sequence[str] = ()) -> dict[str, Any]:
    """A Dataset as JSON has it: attributes, what has no dim, and ``cells``, one for each place of the dims `over`."""
    told = {str(key): plain(value) for key, value in answer.attrs.items() if key not in _UNKEPT}
    alone = {str(name): plain(answer[name].values.item()) for name in answer.data_vars if not answer[name].dims}
    return told | alone | ({"cells": cells(answer, over)} if over else {})


def kept(answer: xr.Dataset, keys: Sequence[str]) -> dict[str, Any]:
    """Attributes of an answer that its JSON has."""
    return {key: answer.attrs[key] for key in keys if key in answer.attrs}


def record(cell: xr.Dataset, *names: str) -> dict[str, Any]:
    """Figures and labels of one place as JSON has them."""
    return {name: plain(cell[name].values.tolist()) for name in names}


def cells(answer: xr.Dataset, over: Sequence[str]) -> list[dict[str, Any]]:
    """One record for each place of the dims `over`; figures with further dims are nested in it."""
    import numpy as np

    found = []
    for place in np.ndindex(*(answer.sizes[dim] for dim in over)):
        cell = answer.isel(dict(zip(over, place, strict=True)))
        figures = {str(name): _nested(cell[name]) for name in answer.data_vars if answer[name].dims}
        found.append({dim: plain(cell[dim].values) for dim in over} | figures)
    return found


def _nested(values: xr.DataArray) -> Any:
    if not values.dims:
        return plain(values.values)
    dim = values.dims[0]
    return {
        str(plain(label)): _nested(values.isel({dim: position})) for position, label in enumerate(values[dim].values)
    }
