"""What is wrong with a text file that no table can be read from: the row, by its number."""

from __future__ import annotations

import csv
import re
import zlib

from ...errors import SimulatorError
from ..layout import Layout
from .stream import RefusedError, TextFile, opened

UNSOUND = "is not a sound CSV file"

_OPEN_QUOTE = re.compile(r"EOF inside string starting at row (\d+)")


def sentence_of(error: Exception, file: TextFile, layout: Layout) -> SimulatorError:
    """What a library refused, in our words."""
    if _OPEN_QUOTE.search(str(error)):
        return file.said.of_file(UNSOUND, "it opens a double quote that is never closed")
    try:
        row, fields, width = _first_long_row(file, layout)
    except (ValueError, csv.Error, StopIteration, OSError, EOFError, zlib.error, RefusedError):
        return file.said.of_file(UNSOUND, "give every row as many fields as the header")
    return file.said.of_file(
        f"{UNSOUND}: row {row:,} has {fields} fields, and the header has {width}",
        "correct that row, or its delimiters",
    )


def _first_long_row(file: TextFile, layout: Layout) -> tuple[int, int, int]:
    """The number of the first row with more fields than the header, not counting one empty field at its end."""
    width = 0
    with opened(file) as text:
        for number, row in enumerate(csv.reader(text, delimiter=file.separator), start=1):
            if not width:
                if number == layout.header_row or (layout.header_row is None and any(cell.strip() for cell in row)):
                    width = len(row)
            elif len(row) > width + 1 or (len(row) == width + 1 and row[-1]):
                return number, len(row), width
    raise ValueError
