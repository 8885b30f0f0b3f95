"""CSV and TSV files, plain or packed by gzip: strict in form, in bounded memory."""

from __future__ import annotations

import csv
import gzip
import io
import re
import warnings
import zlib
from collections.abc import Iterator
from itertools import dropwhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import SimulatorError
from ..columns.cells import of_levels
from ..columns.column import Column
from ..layout import Layout
from ..names import Said
from ..table import Choose, Headers, Pick, Table, texts_of
from .source import MOST_COLUMNS, check_rows
from .stream import SAVE, RefusedError, TextFile, encoding_of, opened

if TYPE_CHECKING:
    import pandas as pd

_MOST_CELLS = 2_000_000  # cells that are read at a time
_UNSOUND = "is not a sound CSV file"
_OPEN_QUOTE = re.compile(r"EOF inside string starting at row (\d+)")


def read_text(path: Path, layout: Layout, choose: Choose, said: Said) -> Table:
    """The chosen columns of a CSV or TSV file."""
    separator = "\t" if {".tsv", ".tab"} & {suffix.lower() for suffix in path.suffixes} else ","
    try:
        encoding = encoding_of(path, said)
        try:
            return _read(TextFile(path, separator, encoding, said), layout, choose)
        except UnicodeDecodeError:
            if encoding != "utf-8-sig":
                raise said.of_file(f"is not the {encoding.upper()} text that it says it is", SAVE) from None
        try:
            table = _read(TextFile(path, separator, "cp1252", said), layout, choose)
        except UnicodeDecodeError:
            raise said.of_file("is neither UTF-8 nor Windows-1252 text", SAVE) from None
        table.notes.append("The file is not UTF-8 and was read as Windows-1252; check letters with accents.")
        return table
    except RefusedError as refused:
        raise said.of_file(refused.bound, refused.mend) from None
    except (zlib.error, EOFError, gzip.BadGzipFile):
        raise said.of_file(_UNSOUND, "it is damaged or was cut off when it was packed; write it afresh") from None
    except OSError:
        raise said.of_file("cannot be read to its end", "check the disk that it lies on") from None


def _read(file: TextFile, layout: Layout, choose: Choose) -> Table:
    import pandas as pd

    try:
        if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1):
            _refuse_long_rows(file, layout)
        with opened(file) as text, warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            warnings.simplefilter("ignore", pd.errors.DtypeWarning)
            headers = Headers(_header(text, file, layout), layout.columns)
            picks = choose(headers)
            return _gathered(_chunks(text, file, layout, len(headers.names), picks), headers, picks, file)
    except (SimulatorError, UnicodeDecodeError, RefusedError):
        raise
    except (pd.errors.ParserWarning, pd.errors.ParserError, csv.Error, ValueError, OverflowError) as error:
        raise _sentence_of(error, file, layout) from None


def _from_header(text: io.TextIOWrapper, file: TextFile, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """The rows of a file with their numbers, from the one that names the columns."""

    def is_above(numbered: tuple[int, list[str]]) -> bool:
        number, row = numbered
        return number != layout.header_row if layout.header_row else not any(cell.strip() for cell in row)

    return dropwhile(is_above, enumerate(csv.reader(text, delimiter=file.separator), start=1))


def _header(text: io.TextIOWrapper, file: TextFile, layout: Layout) -> list[str]:
    """The names of the columns; the stream is left at the row below them."""
    try:
        _, row = next(_from_header(text, file, layout))
    except StopIteration:
        mend = "check the header row, and that the file was written in full"
        raise file.said.of_rows(f"{file.said.holds} no rows", mend) from None
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
    text: io.TextIOWrapper, file: TextFile, layout: Layout, width: int, picks: list[Pick]
) -> Iterator[pd.DataFrame]:
    """The rows below the header, some at a time; a last column takes what stands beyond the header."""
    import pandas as pd

    texts = {pick.position: str for pick in picks if not pick.number}
    # in a column of text what is missing is told later from what is blank
    missing: Any = {at: [""] if at in texts else ["", *layout.missing] for at in range(width + 1)}
    try:
        reader = pd.read_csv(
            text, sep=file.separator, header=None, names=range(width + 1), index_col=False,
            dtype=texts, keep_default_na=False, na_values=missing, low_memory=False,
            chunksize=max(min(_MOST_CELLS // (width + 1), 250_000), 256),
        )  # fmt: skip
    except pd.errors.EmptyDataError:
        return
    watched: Any = text.buffer
    with reader:
        for chunk in reader:
            watched.raw.waiting = 0
            yield chunk


def _gathered(chunks: Iterator[pd.DataFrame], headers: Headers, picks: list[Pick], file: TextFile) -> Table:
    beyond = len(headers.names)
    numbers: dict[int, list[pd.Series]] = {pick.position: [] for pick in picks if pick.number}
    texts: dict[int, _Texts] = {pick.position: _Texts() for pick in picks if not pick.number}
    tail: list[dict[int, str]] = [{}, {}]
    rows = 0
    for chunk in chunks:
        if chunk[beyond].notna().any():
            raise ValueError("a row with more fields than the header")
        chunk = chunk[chunk.notna().any(axis=1)]  # noqa: PLW2901 - the whole is let go
        rows += len(chunk)
        check_rows(rows, file.said)
        for position, parts in numbers.items():
            parts.append(chunk[position])
        for position, found in texts.items():
            found.add(chunk[position])
        tail = [*tail, *(texts_of(chunk.iloc[at]) for at in range(max(len(chunk) - 2, 0), len(chunk)))][-2:]
    columns = {p.name: _joined(numbers[p.position]) if p.number else texts[p.position].column() for p in picks}
    return Table(headers, columns, picks, (tail[1], tail[0]))


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


def _sentence_of(error: Exception, file: TextFile, layout: Layout) -> SimulatorError:
    """What a library refused, in our words."""
    if _OPEN_QUOTE.search(str(error)):
        return file.said.of_file(_UNSOUND, "it opens a double quote that is never closed")
    try:
        row, fields, width = _first_long_row(file, layout)
    except _NONE_FOUND:
        return file.said.of_file(_UNSOUND, "give every row as many fields as the header")
    bound = f"{_UNSOUND}: row {row:,} has {fields} fields, and the header has {width}"
    return file.said.of_file(bound, "correct that row, or its delimiters")


_NONE_FOUND = (ValueError, csv.Error, StopIteration, OSError, EOFError, zlib.error, RefusedError)


def _refuse_long_rows(file: TextFile, layout: Layout) -> None:
    """What pandas before 3.1 passes over: it cuts the first row of each part to the header's length."""
    try:
        row, *_ = _first_long_row(file, layout)
    except _NONE_FOUND:
        return
    raise ValueError(f"row {row} has more fields than the header")


def _first_long_row(file: TextFile, layout: Layout) -> tuple[int, int, int]:
    """The number of the first row with more fields than the header, not counting one empty field at its end."""
    with opened(file) as text:
        rows = _from_header(text, file, layout)
        width = len(next(rows, (0, []))[1])
        for number, row in rows:
            if len(row) > width + 1 or (len(row) == width + 1 and row[-1]):
                return number, len(row), width
    raise ValueError
