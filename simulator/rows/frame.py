"""Frames in memory: pandas, a mapping, Arrow's kin, or anything that has `columns` and gives one by its name."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .columns.cells import NestedError, column_of
from .columns.column import Column
from .layout import Layout
from .names import Said, needs
from .table import Choose, Headers, Table, texts_of


def read_memory(source: Any, layout: Layout, choose: Choose, said: Said) -> Table:
    """The chosen columns of a frame."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(source, pandas.DataFrame):
        levels = (name if isinstance(name, tuple) else (name,) for name in source.columns)  # several as one
        headers = Headers([" ".join(str(part) for part in name if str(part)) for name in levels], layout.columns)
        picks, names = choose(headers), headers.names
        columns = {pick.name: _column(source.iloc[:, pick.position], names[pick.position], said) for pick in picks}
        return Table(headers, columns, picks, (_texts(source, 1), _texts(source, 2)), index=source.index)
    if hasattr(source, "collect") and not hasattr(source, "__arrow_c_stream__"):
        raise said.of_rows(f"{'are' if said.many else 'is'} a lazy frame", "collect it first: frame.collect()")
    if hasattr(source, "__arrow_c_stream__"):
        try:
            from .files.arrow import read_frame
        except ImportError:
            raise needs("pyarrow", "frames other than pandas'") from None
        return read_frame(source, layout, choose, said)
    found = _names(source)
    if found is None:
        raise said.of_rows(f"{'are' if said.many else 'is'} neither a file nor a table", "give a path or a DataFrame")
    headers = Headers(found, layout.columns)
    picks = choose(headers)
    columns = {pick.name: _column(source[found[pick.position]], found[pick.position], said) for pick in picks}
    if len({column.size for column in columns.values()}) > 1:
        raise said.of_rows(f"{said.has} columns of different lengths", "give columns of one length")
    return Table(headers, columns, picks)


def _names(source: Any) -> Sequence[Any] | None:
    if isinstance(source, Mapping):
        return list(source)
    for attribute in ("column_names", "columns"):
        found = getattr(source, attribute, None)
        if found is not None and not callable(found):
            return list(found)
    return None


def _texts(frame: Any, from_end: int) -> dict[int, str]:
    place = len(frame) - from_end
    return texts_of(frame.iat[place, at] for at in range(frame.shape[1])) if place >= 0 else {}


def _column(given: Any, name: object, said: Said) -> Column:
    try:
        return column_of(given)
    except NestedError:
        raise said.nested(name) from None
    except (TypeError, ValueError, OverflowError):
        raise said.of_rows(f"{said.has} a column {str(name)!r} that cannot be read", "give numbers or texts") from None


def column_from_cells(rows: list[list[Any]], position: int, name: object, said: Said) -> Column:
    """A column of a list of rows."""
    cells = np.empty(len(rows), object)
    cells[:] = [row[position] if position < len(row) else None for row in rows]
    return _column(cells, name, said)
