"""A file of text as a stream: its encoding, and bounds that hold whatever a library makes of it."""

import codecs
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..names import Said
from .source import check_text

LARGEST_RATIO = 200  # a gzip file that unpacks to more than this many times its size is refused
_SMALL = 1 << 26  # but never one that unpacks to less than so many bytes
_LONGEST_LINE = 1 << 24
_MOST_WAITING = 1 << 29  # bytes, which rows must be made of
_BLOCK = 1 << 18


class RefusedError(Exception):
    """What the stream of bytes finds, whatever a library makes of it."""

    def __init__(self, bound: str, mend: str) -> None:
        super().__init__(bound)
        self.bound, self.mend = bound, mend


class Watched(io.RawIOBase):
    """A stream that is refused as soon as it is too large, holds too long a line or what is no text."""

    def __init__(self, stream: Any, packed_size: int | None, wide: bool) -> None:
        self._stream, self._packed, self._wide = stream, packed_size, wide
        self._read = self._line = 0
        self.waiting = 0
        """Bytes of which no rows have been made yet: whoever makes them sets it to 0."""
        self.found: RefusedError | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._stream.read(len(buffer))
        buffer[: len(block)] = block
        self._read += len(block)
        self.waiting += len(block)
        end = max(block.rfind(b"\n"), block.rfind(b"\r"))
        self._line = self._line + len(block) if end < 0 else len(block) - end
        self._judge(block)
        return len(block)

    def _judge(self, block: bytes) -> None:
        if self._line > _LONGEST_LINE:
            self.found = RefusedError("has a line of more than 16 MB", "check that it is a table with one row per line")
        elif self.waiting > _MOST_WAITING:
            self.found = RefusedError("has a cell that does not end", "look for a double quote that is never closed")
        elif not self._wide and b"\0" in block:
            self.found = RefusedError("holds zero bytes, which no text has", "save it afresh as CSV UTF-8")
        elif self._packed and self._read > max(_SMALL, LARGEST_RATIO * self._packed):
            self.found = RefusedError("unpacks to far more than a table holds", "unpack it, and check what it holds")
        if self.found:
            raise self.found

    def close(self) -> None:
        self._stream.close()
        super().close()


class TextFile(NamedTuple):
    """A file of rows, and how it is read."""

    path: Path
    separator: str
    encoding: str
    said: Said


SAVE = "save it as CSV UTF-8"
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip


def encoding_of(path: Path, said: Said) -> str:
    """The encoding that a file's first bytes show: that of its mark, or UTF-8."""
    packed = _is_packed(path)
    with gzip.open(path, "rb") if packed else path.open("rb") as stream:
        start = stream.read(4_096)
    check_text(start, said, packed)
    for mark, encoding in _BOMS:
        if start.startswith(mark):
            return encoding
    if len(start) > 3 and (start[1::2].count(0) > len(start) // 4 or start[::2].count(0) > len(start) // 4):
        raise said.of_file("looks like UTF-16 text without its mark", SAVE)
    return "utf-8-sig"


def _is_packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


@contextmanager
def opened(file: TextFile) -> Iterator[io.TextIOWrapper]:
    """The file as text; what the stream of bytes refused goes before what a library made of it."""
    packed = _is_packed(file.path)
    stream: Any = gzip.GzipFile(file.path) if packed else io.FileIO(file.path)
    wide = file.encoding.startswith(("utf-16", "utf-32"))
    watched = Watched(stream, file.path.stat().st_size if packed else None, wide)
    with io.TextIOWrapper(io.BufferedReader(watched, _BLOCK), file.encoding, newline="") as text:
        try:
            yield text
        except Exception:
            if watched.found is not None:
                raise watched.found from None
            raise
