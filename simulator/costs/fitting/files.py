"""From a file or a frame to plain columns, with one clear sentence for whatever is wrong with it.

No sentence repeats the file's path or a cell of it: both may name a patient.
"""

from __future__ import annotations

import codecs
import csv
import os
import warnings
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...base import SimulatorError, columns_there

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[Any]

LARGEST_SHEET = 1 << 30
"""A spreadsheet that unpacks to more bytes than this is refused."""
LARGEST_RATIO = 200
"""As is one that unpacks to more than this many times its size."""

_NESTED = (list, tuple, set, dict, np.ndarray)
_SPREADSHEETS = {".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"}
_KINDS = "CSV (.csv, .csv.gz), Parquet (.parquet) or Excel (.xlsx)"


def columns_of(source: Any, wanted: Sequence[str]) -> dict[str, Array]:
    """The wanted columns of a file, or of anything that has `columns` and gives one by its name.

    Parameters
    ----------
    source : path-like, DataFrame or mapping of str to array
    wanted : sequence of str
        Column names, read in this order and once each.

    Returns
    -------
    dict of str to ndarray
        Of one length each; numbers, or objects where there is text.

    Raises
    ------
    SimulatorError
        Where the file cannot be read, is empty, has a column twice or lacks one.
    """
    wanted = list(dict.fromkeys(wanted))
    if isinstance(source, str | os.PathLike):
        source = _read(Path(source), wanted)
    if isinstance(source, dict):
        have: list[str] = [str(name) for name in source]
    elif hasattr(source, "column_names"):
        have = [str(name) for name in source.column_names]
    elif hasattr(source, "columns"):
        have = [str(name) for name in source.columns]
    else:
        raise SimulatorError("the costs", None, "are neither a file nor a table", "give a path or a DataFrame")
    check_header(have, wanted)
    found = {name: _plain(source[name], name) for name in wanted}
    lengths = {column.size for column in found.values()}
    if len(lengths) > 1:
        raise SimulatorError("the costs", None, "have columns of different lengths", "give columns of one length")
    if lengths == {0}:
        raise SimulatorError("the costs", None, "hold no rows", "check that the file was written in full")
    return found


def check_header(have: Sequence[str], wanted: Iterable[str]) -> None:
    """Refuse a column that is there twice, or not at all."""
    for name in wanted:
        if have.count(name) > 1:
            raise SimulatorError("the costs", None, f"have column {name!r} more than once", "rename one of the two")
        if name not in have:
            raise SimulatorError("the costs", None, f"have no column {name!r}", columns_there(have, [name]))


def _plain(column: Any, name: str) -> Array:
    """One column as numbers, or as objects with None where nothing is."""
    import pandas as pd

    if not isinstance(column, pd.Series):
        column = pd.Series(np.asarray(column))
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if pd.api.types.is_bool_dtype(column.dtype) and not column.isna().any():
        return np.asarray(column, np.int8)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return np.asarray(column.to_numpy(dtype=float, na_value=np.nan))
    values = np.asarray(column.to_numpy(dtype=object, na_value=None))
    if any(isinstance(value, _NESTED) for value in values):
        raise SimulatorError(
            "the costs", None, f"have lists or records in column {name!r}", "give one number or one text a cell"
        )
    return values


def _read(path: Path, wanted: list[str]) -> pd.DataFrame:
    if not path.exists():
        raise SimulatorError("the file of costs", None, "does not exist", "check its name")
    if path.is_dir():
        raise SimulatorError("the file of costs", None, "is a folder, not a file", "name a file in it")
    if path.stat().st_size == 0:
        raise SimulatorError("the file of costs", None, "is empty", "check that it was written in full")
    endings = [suffix.lower() for suffix in path.suffixes]
    try:
        if endings[-1:] in ([".parquet"], [".pq"]):
            return _read_parquet(path, wanted)
        if endings[-1:] and endings[-1] in _SPREADSHEETS:
            return _read_sheet(path)
        if endings[-1:] in ([".csv"], [".txt"], [".tsv"]) or endings[-2:] == [".csv", ".gz"]:
            return _read_text(path, wanted)
    except PermissionError:
        raise SimulatorError("the file of costs", None, "cannot be opened", "check its permissions") from None
    raise SimulatorError("the file of costs", None, "has an ending that is not known", f"give {_KINDS}")


def _needs(package: str, what: str) -> SimulatorError:
    return SimulatorError(
        what, None, f"need the package {package}", "install it with: pip install 'capitation-risk[data]'"
    )


def _read_parquet(path: Path, wanted: list[str]) -> pd.DataFrame:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise _needs("pyarrow", "Parquet files") from None
    try:
        check_header(parquet.read_schema(path).names, wanted)
        frame: pd.DataFrame = parquet.read_table(path, columns=wanted).to_pandas(strings_to_categorical=True)
    except (ArrowException, OSError):
        raise SimulatorError("the file of costs", None, "is not a sound Parquet file", "write it afresh") from None
    return frame


def _read_sheet(path: Path) -> pd.DataFrame:
    try:
        import python_calamine
    except ImportError:
        raise _needs("python-calamine", "Excel files") from None
    import pandas as pd

    _refuse_bomb(path)
    try:
        rows = python_calamine.CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python()
    except Exception:  # the reader has no common error, and what it says may quote a cell
        raise SimulatorError(
            "the file of costs", None, "is not a sound spreadsheet", "save it afresh, or as CSV"
        ) from None
    if not rows:
        raise SimulatorError("the costs", None, "hold no rows", "check that the first sheet holds them")
    frame = pd.DataFrame(rows[1:]).astype(object)
    frame = frame.mask(frame == "")
    frame.columns = pd.Index([str(name) for name in rows[0]])
    return frame.infer_objects()


def _refuse_bomb(path: Path) -> None:
    """A spreadsheet is a zip archive: refuse one that unpacks to more than a sheet can hold."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
    except (zipfile.BadZipFile, OSError):
        raise SimulatorError(
            "the file of costs", None, "is not a sound spreadsheet", "save it afresh, or as CSV"
        ) from None
    packed = path.stat().st_size
    if unpacked > LARGEST_SHEET or (unpacked > 1 << 24 and unpacked > LARGEST_RATIO * packed):
        raise SimulatorError(
            "the file of costs", None, "unpacks to far more than a spreadsheet holds", "save the sheet as CSV"
        )


def _read_text(path: Path, wanted: list[str]) -> pd.DataFrame:
    import pandas as pd

    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        check_header(_header(path, separator), wanted)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # all columns are read: only so is a row with a field too many found out
            frame: pd.DataFrame = pd.read_csv(
                path, sep=separator, encoding="utf-8-sig", low_memory=False, index_col=False
            )
        frame.columns = frame.columns.str.strip()
    except SimulatorError:
        raise
    except UnicodeDecodeError:
        raise SimulatorError("the file of costs", None, "is not UTF-8 text", "save it as CSV UTF-8") from None
    except (
        pd.errors.ParserWarning,
        pd.errors.ParserError,
        pd.errors.EmptyDataError,
        csv.Error,
        OSError,
        EOFError,
        ValueError,
    ):
        raise SimulatorError(
            "the file of costs", None, "is not a sound CSV file", "give every row as many fields as the header"
        ) from None
    return frame


def _header(path: Path, separator: str) -> list[str]:
    import gzip

    with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as stream:
        start = stream.read(1 << 16)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SimulatorError("the file of costs", None, "is not UTF-8 text", "save it as CSV UTF-8")
    first = start.decode("utf-8-sig", errors="surrogateescape").splitlines()[:1]
    return [name.strip() for name in next(csv.reader(first, delimiter=separator), [])]
