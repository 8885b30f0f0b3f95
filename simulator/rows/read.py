"""The one reader of rows: from a file or a frame to the columns that are wanted."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import SimulatorError
from .files.arrow import read_parquet
from .files.sheet import read_sheet
from .files.source import Kind, kind_of
from .files.text import read_text
from .frame import read_memory
from .layout import Layout
from .names import Said
from .table import Choose, Table
from .totals import without_total

_READERS: dict[Kind, Callable[[Path, Layout, Choose, Said], Table]] = {
    "text": read_text, "parquet": read_parquet, "sheet": read_sheet,
}  # fmt: skip


def read(source: Any, choose: Choose, layout: Layout, said: Said) -> Table:
    """The columns of a file, or of a frame, that are wanted.

    Parameters
    ----------
    source : path-like, DataFrame, Arrow table or mapping of str to array
    choose : callable
        From the headers to the columns.
    layout : Layout
    said : Said
        What sentences call the table.

    Raises
    ------
    SimulatorError
        One sentence for whatever is wrong with the file or the table.
    """
    kind = kind_of(source, said) if isinstance(source, str | os.PathLike) else None
    _refuse_idle(layout, kind)
    table = (
        read_memory(source, layout, choose, said)
        if kind is None
        else _READERS[kind](Path(source), layout, choose, said)
    )
    if table.size == 0:
        raise said.of_rows(f"{said.holds} no rows", "check that the file was written in full")
    if layout.blank_as_zero:
        zeros = [pick.name for pick in table.picks if pick.may_be_zero]
        table.columns |= {name: table.columns[name].blank_as_zero() for name in zeros}
    if layout.missing:
        table.columns = {name: column.without(layout.missing) for name, column in table.columns.items()}
    without_total(table, said)
    return table


def _refuse_idle(layout: Layout, kind: Kind | None) -> None:
    """Refuse what would be ignored in a table of this kind."""
    if layout.sheet is not None and kind != "sheet":
        raise SimulatorError("sheet", layout.sheet, "is of workbooks alone", "leave it out")
    if layout.header_row is not None and kind not in ("sheet", "text"):
        raise SimulatorError("header_row", layout.header_row, "is of text files and workbooks alone", "leave it out")
