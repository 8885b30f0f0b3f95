"""CSV and TSV files, plain or packed by gzip: strict in form, in bounded memory."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..base import SimulatorError
from .column import Column, of_levels
from .headers import Headers
from .layout import Layout
from .names import Said
from .source import MOST_COLUMNS, MOST_ROWS, check_text
from .table import Choose, Pick, Table

if TYPE_CHECKING:
    import pandas as pd

LARGEST_RATIO = 200
"""A gzip file that unpacks to more than this many times its size is refused."""
_SMALL = 1 << 26
"""But never one that unpacks to less than so many bytes."""
_LONGEST_LINE = 1 << 24
_BLOCK = 1 << 18
_MOST_CELLS = 4_000_000
"""Cells that are read at a time."""
_UNSOUND = "is not a sound CSV file"


class _RefusedError(Exception):
    """What the stream of bytes finds, whatever a library makes of it."""

    def __init__(self, bound: str, mend: str) -> None:
        super().__init__(bound)
        self.bound, self.mend = bound, mend


class _Watched(io.RawIOBase):
    """A stream that is refused as soon as it is too large, holds too long a line or what is no text."""

    def __init__(self, stream: Any, packed_size: int | None, wide: bool) -> None:
        self._stream, self._packed, self._wide = stream, packed_size, wide
        self._read = self._line = 0
        self.found: _RefusedError | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._stream.read(len(buffer))
        buffer[: len(block)] = block
        self._read += len(block)
        end = max(block.rfind(b"\n"), block.rfind(b"\r"))
        self._line = self._line + len(block) if end < 0 else len(block) - end
        self._judge(block)
        return len(block)

    def _judge(self, block: bytes) -> None:
        if self._line > _LONGEST_LINE:
            self.found = _RefusedError("has a line of more than 16 MB", "check that it is a table with one row a line")
        elif not self._wide and b"\0" in block:
            self.found = _RefusedError("holds zero bytes, which no text has", "save it afresh as CSV UTF-8")
        elif self._packed and self._read > max(_SMALL, LARGEST_RATIO * self._packed):
            self.found = _RefusedError("unpacks to far more than a table holds", "unpack it, and check what it holds")
        if self.found:
            raise self.found

    def close(self) -> None:
        self._stream.close()
        super().close()


class _File(NamedTuple):
    path: Path
    separator: str
    encoding: str
    said: Said


def read_text(path: Path, layout: Layout, choose: Choose, said: Said) -> Table:
    """The chosen columns of a CSV or TSV file.

    Raises
    ------
    SimulatorError
        Where it is no sound table of text: with the row's number where a row is wrong.
    """
    separator = "\t" if {".tsv", ".tab"} & {suffix.lower() for suffix in path.suffixes} else ","
    try:
        encoding = _encoding(path, said)
        try:
            return _read(_File(path, separator, encoding, said), layout, choose)
        except UnicodeDecodeError:
            if encoding != "utf-8-sig":
                raise said.of_file(f"is not the {encoding.upper()} text that it says it is", _SAVE) from None
        try:
            table = _read(_File(path, separator, "cp1252", said), layout, choose)
        except UnicodeDecodeError:
            raise said.of_file("is neither UTF-8 nor Windows-1252 text", _SAVE) from None
        table.notes.append("The file is not UTF-8 and was read as Windows-1252; check letters with accents.")
        return table
    except _RefusedError as refused:
        raise said.of_file(refused.bound, refused.mend) from None
    except (zlib.error, EOFError, gzip.BadGzipFile):
        raise said.of_file(_UNSOUND, "it is damaged or was cut off when it was packed; write it afresh") from None
    except OSError:
        raise said.of_file("cannot be read to its end", "check the disk that it lies on") from None


_SAVE = "save it as CSV UTF-8"
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip


def _encoding(path: Path, said: Said) -> str:
    packed = _is_packed(path)
    with gzip.open(path, "rb") if packed else path.open("rb") as stream:
        start = stream.read(4_096)
    check_text(start, said, packed)
    for mark, encoding in _BOMS:
        if start.startswith(mark):
            return encoding
    if len(start) > 3 and (start[1::2].count(0) > len(start) // 4 or start[::2].count(0) > len(start) // 4):
        raise said.of_file("looks like UTF-16 text without its mark", _SAVE)
    return "utf-8-sig"


def _is_packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


@contextmanager
def _opened(file: _File) -> Iterator[io.TextIOWrapper]:
    """The file as text; what the stream of bytes refused goes before what a library made of it."""
    packed = _is_packed(file.path)
    stream: Any = gzip.GzipFile(file.path) if packed else io.FileIO(file.path)
    wide = file.encoding.startswith(("utf-16", "utf-32"))
    watched = _Watched(stream, file.path.stat().st_size if packed else None, wide)
    with io.TextIOWrapper(io.BufferedReader(watched, _BLOCK), file.encoding, newline="") as text:
        try:
            yield text
        except Exception:
            if watched.found is not None:
                raise watched.found from None
            raise


def _read(file: _File, layout: Layout, choose: Choose) -> Table:
    import pandas as pd

    try:
        with _opened(file) as text, warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            warnings.simplefilter("ignore", pd.errors.DtypeWarning)
            headers = Headers(_header(text, file, layout), layout.columns)
            picks = choose(headers)
            return _gathered(_chunks(text, file, layout, len(headers.names), picks), headers, picks, file)
    except (SimulatorError, UnicodeDecodeError, _RefusedError):
        raise
    except (pd.errors.ParserWarning, pd.errors.ParserError, csv.Error, ValueError, OverflowError) as error:
        raise _sentence(error, file, layout) from None


def _header(text: io.TextIOWrapper, file: _File, layout: Layout) -> list[str]:
    """The names of the columns; the stream is left at the row below them."""
    try:
        for number, row in enumerate(csv.reader(text, delimiter=file.separator), start=1):
            if number == layout.header_row or (layout.header_row is None and any(cell.strip() for cell in row)):
                break
        else:
            raise file.said.of_rows(
                f"{file.said.holds} no rows", "check the header row, and that the file was written in full"
            )
    except csv.Error:
        raise file.said.of_file("has a header that cannot be read", "check its first line") from None
    other = next((sign for sign in "\t;|" if len(row) == 1 and sign in row[0]), None)
    if other is not None:
        mend = "name it .tsv" if other == "\t" else "save it with commas, and points for decimals"
        raise file.said.of_file(f"separates its fields by {_SIGNS[other]}", mend)
    if len(row) > MOST_COLUMNS:
        raise file.said.of_file(f"has more than {MOST_COLUMNS:,} columns", "save those that are needed")
    return row


_SIGNS = {"\t": "tabs", ";": "semicolons", "|": "vertical bars"}


def _chunks(
    text: io.TextIOWrapper, file: _File, layout: Layout, width: int, picks: list[Pick]
) -> Iterator[pd.DataFrame]:
    """The rows below the header, some at a time; a last column takes what stands beyond the header."""
    import pandas as pd

    try:
        reader = pd.read_csv(
            text, sep=file.separator, header=None, names=range(width + 1), index_col=False,
            dtype={pick.position: str for pick in picks if not pick.number},
            keep_default_na=False, na_values=_missing(layout, width, picks), low_memory=False,
            chunksize=max(min(_MOST_CELLS // (width + 1), 250_000), 256),
        )  # fmt: skip
    except pd.errors.EmptyDataError:
        return
    with reader:
        yield from reader


def _missing(layout: Layout, width: int, picks: list[Pick]) -> Any:
    """What is missing in each column; in one of text it is told later from what is blank."""
    texts = {pick.position for pick in picks if not pick.number}
    return {at: [""] if at in texts else ["", *layout.missing] for at in range(width + 1)}


def _gathered(chunks: Iterator[pd.DataFrame], headers: Headers, picks: list[Pick], file: _File) -> Table:
    beyond = len(headers.names)
    numbers: dict[int, list[pd.Series]] = {pick.position: [] for pick in picks if pick.number}
    texts: dict[int, _Texts] = {pick.position: _Texts() for pick in picks if not pick.number}
    tail: list[dict[int, str]] = [{}, {}]
    rows = 0
    for chunk in chunks:
        if chunk[beyond].notna().any():
            raise ValueError("a row with more fields than the header")
        chunk = chunk[chunk.notna().any(axis=1)]
        rows += len(chunk)
        if rows > MOST_ROWS:
            raise _too_many(file.said)
        for position, parts in numbers.items():
            parts.append(chunk[position])
        for position, found in texts.items():
            found.add(chunk[position])
        tail = [*tail, *(_cells(chunk.iloc[at]) for at in range(max(len(chunk) - 2, 0), len(chunk)))][-2:]
    columns = {
        pick.name: _joined(numbers[pick.position]) if pick.number else texts[pick.position].column() for pick in picks
    }
    return Table(headers, columns, picks, (tail[1], tail[0]))


def _too_many(said: Said) -> SimulatorError:
    return said.of_rows(f"{said.holds} more than {MOST_ROWS:,} rows", "give a random sample of them")


def _cells(row: pd.Series) -> dict[int, str]:
    return {int(position): cell.strip() for position, cell in row.items() if isinstance(cell, str)}  # type: ignore[call-overload]


def _joined(parts: list[pd.Series]) -> Column:
    """Parts of a column of numbers as one; as its texts where some part holds anything else."""
    if not parts:
        return Column(np.empty(0))
    kinds = {part.dtype.kind for part in parts}
    if kinds == {"b"} or kinds <= set("iuf"):
        return Column(np.concatenate([part.to_numpy() for part in parts]))
    texts = _Texts()
    for part in parts:
        texts.add(part)
    return texts.column()


class _Texts:
    """Parts of a column of text, by its distinct levels."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._codes: list[Any] = []

    def add(self, part: pd.Series) -> None:
        import pandas as pd

        codes, levels = pd.factorize(part)
        texts = [str(level) for level in np.asarray(levels, object).tolist()]
        place = np.array([*(self._known.setdefault(text, len(self._known)) for text in texts), -1])
        self._codes.append(place[codes])

    def column(self) -> Column:
        codes = np.concatenate(self._codes) if self._codes else np.empty(0, np.int64)
        return of_levels(codes.astype(np.int64), np.array([*self._known], object), typed=False)


# ── what is wrong with a row ─────────────────────────────────────────────────────────────────────

_OPEN_QUOTE = re.compile(r"EOF inside string starting at row (\d+)")


def _sentence(error: Exception, file: _File, layout: Layout) -> SimulatorError:
    if _OPEN_QUOTE.search(str(error)):
        return file.said.of_file(_UNSOUND, "it opens a double quote that is never closed")
    try:
        row, fields, width = _first_long_row(file, layout)
    except (ValueError, csv.Error, StopIteration, OSError, EOFError, zlib.error, _RefusedError):
        return file.said.of_file(_UNSOUND, "give every row as many fields as the header")
    return file.said.of_file(
        f"{_UNSOUND}: row {row:,} has {fields} fields, and the header has {width}",
        "correct that row, or its delimiters",
    )


def _first_long_row(file: _File, layout: Layout) -> tuple[int, int, int]:
    """The number of the first row with more fields than the header, not counting one empty field at its end."""
    width = 0
    with _opened(file) as text:
        for number, row in enumerate(csv.reader(text, delimiter=file.separator), start=1):
            if not width:
                if number == layout.header_row or (layout.header_row is None and any(cell.strip() for cell in row)):
                    width = len(row)
            elif len(row) > width + 1 or (len(row) == width + 1 and row[-1]):
                return number, len(row), width
    raise ValueError
