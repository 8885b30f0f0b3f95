"""Workbooks: one sheet, read by another process that memory and time bound."""

import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from ...errors import SimulatorError
from ..columns.cells import as_text
from ..frame import column_from_cells
from ..layout import Layout
from ..names import Said, needs
from ..table import Choose, Headers, Table, texts_of
from . import sheet_worker

LARGEST_SHEET = 1 << 30  # a workbook that unpacks to more bytes than this is refused
LARGEST_RATIO = 200  # as is one that unpacks to more than this many times its size
_PATIENCE = 120  # seconds
_OUT_OF_MEMORY = (-6, -9, 134, 137)


def read_sheet(path: Path, layout: Layout, choose: Choose, said: Said) -> Table:
    """The chosen columns of a sheet."""
    _refuse_bomb(path, said)
    found, *parts = _from_worker(path, layout.sheet, said)
    if found == "no reader":
        raise needs("python-calamine", "Excel files")
    if found == "no such sheet":
        raise SimulatorError("sheet", layout.sheet, "is not in the workbook", f"its sheets are: {_listed(parts[0])}")
    if found == "too wide":
        raise _too_wide(said)
    names, rows = parts
    try:
        return _table(rows, layout, choose, said)
    except SimulatorError as error:
        if layout.sheet is not None or len(names) < 2:
            raise
        mend = f"{error.mend}. The first sheet was read of {_listed(names)}: choose another with sheet (--sheet)"
        raise SimulatorError(error.path, error.value, error.bound, mend) from None


def _listed(names: list[str]) -> str:
    return ", ".join(names[:10]) + (", …" if len(names) > 10 else "")


def _table(rows: list[tuple[int, list[Any]]], layout: Layout, choose: Choose, said: Said) -> Table:
    top = layout.header_row or (rows[0][0] if rows else 1)
    body = [row for number, row in rows if number > top]
    if not body:
        raise said.of_rows(f"{said.holds} no rows", "check that the sheet and its header row are the right ones")
    headers = Headers([as_text(cell) for cell in dict(rows).get(top, [])], layout.columns)
    picks = choose(headers)
    columns = {pick.name: column_from_cells(body, pick.position, headers.names[pick.position], said) for pick in picks}
    return Table(headers, columns, picks, (texts_of(body[-1]), texts_of(body[-2] if len(body) > 1 else ())))


def _from_worker(path: Path, sheet: str | int | None, said: Said) -> tuple[Any, ...]:
    """What the worker found; it stays silent on what it could not read, which may quote a cell."""
    command = [sys.executable, "-P", sheet_worker.__file__, json.dumps(sys.path), str(path), json.dumps(sheet)]
    try:
        ran = subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise said.of_file("takes too long to be read", "save the sheet as CSV") from None
    if ran.returncode == 0:
        return tuple(pickle.loads(ran.stdout))
    if ran.returncode in _OUT_OF_MEMORY or b"MemoryError" in ran.stderr:
        raise _too_wide(said)
    raise said.of_file("is not a sound spreadsheet", "save it afresh, or as CSV")


def _too_wide(said: Said) -> SimulatorError:
    mend = "delete the cells to the right of and below the table, or save the sheet as CSV"
    return said.of_file("has a cell far from the others, or more cells than can be read", mend)


def _refuse_bomb(path: Path, said: Said) -> None:
    """A spreadsheet is a zip archive: refuse one that unpacks to more than a sheet can hold."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise said.of_file("is not a sound spreadsheet", "save it afresh, or as CSV") from None
    packed = path.stat().st_size
    if unpacked > LARGEST_SHEET or (unpacked > 1 << 24 and unpacked > LARGEST_RATIO * packed):
        raise said.of_file("unpacks to far more than a spreadsheet holds", "save the sheet as CSV")
