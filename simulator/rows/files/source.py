"""Which files hold rows: ordinary ones, of a known kind and a bounded size. Nothing is read of any other."""

import os
import re
import stat
from pathlib import Path
from typing import Literal

from ..names import Said

Kind = Literal["text", "parquet", "sheet"]

MOST_ROWS = 20_000_000  # a table of more rows is refused: it would fill some 4 GB, and a sample of it tells as much
MOST_COLUMNS = 16_384

KINDS = "CSV (.csv, .tsv, .txt, each also .gz), Parquet (.parquet) or Excel (.xlsx)"
SPREADSHEETS = {".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"}
_TEXTS = {".csv", ".txt", ".tsv", ".tab"}
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
_PACKED = {
    ".zip": "a ZIP archive", ".7z": "a 7z archive", ".tar": "an archive", ".tgz": "an archive", ".rar": "an archive",
    ".bz2": "packed by bzip2", ".xz": "packed by xz", ".zst": "packed by zstd", ".gz": "packed by gzip",
}  # fmt: skip


def kind_of(path: str | os.PathLike[str], said: Said) -> Kind:
    """The kind of a file, by its ending."""
    if _ADDRESS.match(os.fspath(path)):
        raise said.of_file("is an address, not a file", "download it first, and name the file")
    path = Path(path)
    try:
        found = path.stat()
    except FileNotFoundError:
        raise said.of_file("does not exist", "check its name") from None
    except PermissionError:
        raise said.of_file("cannot be opened", "check its permissions") from None
    except (OSError, ValueError) as error:  # too long a name, a loop of links, a zero byte
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "it holds a zero byte"
        raise said.of_file(f"has a name that cannot be opened ({reason})", "check its name") from None
    if stat.S_ISDIR(found.st_mode):
        raise said.of_file("is a folder, not a file", "name a file in it")
    if not stat.S_ISREG(found.st_mode):
        raise said.of_file("is a device or a pipe, not an ordinary file", "save its rows to a file first")
    if found.st_size == 0:
        raise said.of_file("is empty", "check that it was written in full")
    if not os.access(path, os.R_OK):
        raise said.of_file("cannot be opened", "check its permissions")
    return _by_ending([suffix.lower() for suffix in path.suffixes], said)


def _by_ending(endings: list[str], said: Said) -> Kind:
    last = endings[-1] if endings else ""
    if last in (".parquet", ".pq"):
        return "parquet"
    if last in SPREADSHEETS:
        return "sheet"
    if last in _TEXTS or (last == ".gz" and endings[-2:-1] and endings[-2] in _TEXTS):
        return "text"
    if last in _PACKED:
        raise said.of_file(f"is {_PACKED[last]}", f"unpack it, and give {KINDS}")
    raise said.of_file("has an ending that is not known", f"give {KINDS}")


def check_rows(rows: int, said: Said) -> None:
    """Refuse a table of too many rows."""
    if rows > MOST_ROWS:
        raise said.of_rows(f"{said.holds} more than {MOST_ROWS:,} rows", "give a random sample of them")


_SIGNATURES = (
    (b"PK\x03\x04", "a ZIP archive or a spreadsheet", "name it .xlsx if it is one, or unpack it"),
    (b"PAR1", "a Parquet file", "name it .parquet"),
    (b"\x1f\x8b", "packed by gzip", "unpack it, or name it .csv.gz"),
    (b"BZh", "packed by bzip2", "unpack it"),
    (b"\xfd7zXZ", "packed by xz", "unpack it"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd", "unpack it"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet", "save it as .xlsx or CSV"),
    (b"%PDF", "a PDF document", "give the table itself"),
    (b"\x89HDF", "an HDF or netCDF file", "save the table as CSV"),
    (b"SQLite format 3", "a database", "save the table as CSV"),
)


def check_text(start: bytes, said: Said, packed: bool = False) -> None:
    """Refuse what begins like a file of another kind; `packed` where it came out of a gzip file."""
    for signature, what, mend in _SIGNATURES:
        if start.startswith(signature):
            inside = "holds " if packed else "is "
            raise said.of_file(f"{inside}{what}, whatever its name says", "unpack it to a CSV file" if packed else mend)
    head = start[:512].lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        raise said.of_file("is a web page, not a table", "download the table itself")
