"""The one reader of rows: from a file or a frame to the columns that are wanted."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SimulatorError
from .columns.column import Column
from .files.sheet import read_sheet
from .files.source import Kind, kind_of
from .files.text import read_text
from .frame import read_memory
from .layout import Layout
from .names import Said, needs
from .table import Choose, Headers, Pick, Table

if TYPE_CHECKING:
    import pandas as pd


def _read_parquet(path: Path, layout: Layout, choose: Choose, said: Said) -> Table:
    try:
        from .files.arrow import read_parquet
    except ImportError:
        raise needs("pyarrow", "Parquet files") from None
    return read_parquet(path, layout, choose, said)


_READERS: dict[Kind, Callable[[Any, Layout, Choose, Said], Table]] = {
    "text": read_text, "parquet": _read_parquet, "sheet": read_sheet,
}  # fmt: skip
_LABELS = {"total", "totals", "grand total", "all", "sum"}
_TOLERANCE = 0.005


def read(source: Any, choose: Choose, layout: Layout, said: Said) -> Table:
    """The columns of a file, or of a frame, that are wanted."""
    kind = kind_of(source, said) if isinstance(source, str | os.PathLike) else None
    _refuse_idle(layout, kind)
    reader, given = (read_memory, source) if kind is None else (_READERS[kind], Path(source))
    table = reader(given, layout, choose, said)
    if table.size == 0:
        raise said.of_rows(f"{said.holds} no rows", "check that the file was written in full")
    if layout.blank_as_zero:
        zeros = [pick.name for pick in table.picks if pick.may_be_zero]
        table.columns |= {name: table.columns[name].blank_as_zero() for name in zeros}
    if layout.missing:
        table.columns = {name: column.without(layout.missing) for name, column in table.columns.items()}
    _without_total(table, said)
    return table


def _refuse_idle(layout: Layout, kind: Kind | None) -> None:
    """Refuse what would be ignored in a table of this kind."""
    if layout.sheet is not None and kind != "sheet":
        raise SimulatorError("sheet", layout.sheet, "is of workbooks alone", "leave it out")
    if layout.header_row is not None and kind not in ("sheet", "text"):
        raise SimulatorError("header_row", layout.header_row, "is of text files and workbooks alone", "leave it out")


def whole_frame(path: str | os.PathLike[str]) -> pd.DataFrame:
    """A file's rows, for questions that name their columns themselves."""
    import pandas as pd

    name = os.fspath(path)

    def choose(headers: Headers) -> list[Pick]:
        return [Pick(header, at) for at, header in enumerate(headers.names) if header]

    table = read(name, choose, Layout(), Said(name, name, private=False))
    return pd.DataFrame({name: _cells(column) for name, column in table.columns.items()})


def _cells(column: Column) -> NDArray[Any]:
    numbers, others = column.numbers
    if not others:
        return numbers
    codes, levels = column.by_level
    return np.append(levels.astype(object), np.array([None], object))[codes]


def _without_total(table: Table, said: Said) -> None:
    """Leave out a last row that is labelled as a total and is one; ask about one that is only labelled so."""
    if table.size < 2 or not _labelled(table):
        return
    sums = []
    for values in (table.columns[pick.name].numbers[0] for pick in table.picks if pick.adds_up):
        above = float(np.nansum(values[:-1]))
        sums.append(np.isfinite(above) and abs(float(values[-1]) - above) <= _TOLERANCE * abs(above))
    if not sums or not all(sums):
        bound = f"{said.has} a last row that is called a total and is not the sum of the rows above"
        raise said.of_rows(bound, "take it out if it is a total, or give it another name")
    table.rows(np.arange(table.size) < table.size - 1)
    table.notes.append("The last row is the total of those above and was left out.")


def _labelled(table: Table) -> bool:
    """Whether the last row alone has the name of a total in some column."""
    chosen = {pick.position: table.columns[pick.name] for pick in table.picks}
    last, before = table.last
    for at, text in last.items():
        column = chosen.get(at)
        often = column is not None and column.codes is not None and (column.codes == column.codes[-1]).sum() > 1
        if _plain(text) in _LABELS and _plain(before.get(at, "")) != _plain(text) and not often:
            return True
    return False


def _plain(text: str) -> str:
    return " ".join(text.casefold().strip(" :.").split())
