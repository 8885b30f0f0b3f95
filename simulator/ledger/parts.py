"""What a run has finished before it is over, kept in `F.parts/` beside the file F that it will write.

A part holds replicates by their numbers, which need not be neighbours, and says what they were drawn from; its checksum
tells whether it is as it was written. Draws are a pure function of these, so whoever finds a part need not draw it.
"""

from __future__ import annotations

import io
import json
import os
import time
import uuid
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.lib import format
from numpy.typing import NDArray

from ..errors import SimulatorError, SimulatorWarning
from ..files import check_writable, write_whole

try:
    import fcntl
except ImportError:  # a system without locks of this kind: two live runs are not told apart
    fcntl = None  # type: ignore[assignment]

Counts = NDArray[np.int64]
Draws = Mapping[str, NDArray[Any]]

EVERY = 5.0
"""Seconds after which what is finished is written: with the time of one chunk, at most ten are lost."""

_NUMBERS, _ORIGIN, _END = "replicate", "origin", ".part"
_CHECKSUM = 8  # bytes
_here: set[Path] = set()
"""Folders that this process holds: locks of files are between processes."""


class Checkpoint:
    """The parts of one file, held by one run at a time: a context, at whose end what is finished is written.

    Parameters
    ----------
    target : path
        The file that will be written in the end.
    fresh : bool
        Whether parts that are there are discarded.
    several : bool
        Whether it keeps several runs, one after another, as a stress test has them; parts of others are left alone.
    """

    def __init__(self, target: str | os.PathLike[str], fresh: bool = False, several: bool = False) -> None:
        self.target = Path(os.path.realpath(target))
        self.folder = self.target.with_name(f"{self.target.name}.parts")
        self._fresh, self._several, self._lock = fresh, several, -1
        self._origin: Mapping[str, str] | None = None
        self._kept: list[tuple[Path, Counts]] = []
        self._waiting: list[tuple[Counts, Draws]] = []
        self._written = time.monotonic()

    def __enter__(self) -> Self:
        check_writable(self.target)
        self._lock = self._locked()
        _here.add(self.folder)
        for left in self.folder.glob(f".*{_END}"):  # by a process that is gone, as the folder is ours
            left.unlink(missing_ok=True)
        if self._fresh:
            self.discard()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.write()
        finally:
            _here.discard(self.folder)
            if not any(self.folder.glob(f"*{_END}")):
                (self.folder / "lock").unlink(missing_ok=True)
                _remove_empty(self.folder)
            os.close(self._lock)

    def _locked(self) -> int:
        """The lock of the folder; refused while another run holds it."""
        lock = self.folder / "lock"
        while True:
            try:
                if self.folder in _here:  # told before the file is opened: closing it would give up the lock
                    raise BlockingIOError
                self.folder.mkdir(exist_ok=True)
                file = os.open(lock, os.O_RDWR | os.O_CREAT)
                if _is_ours(file, lock):
                    return file
                os.close(file)
            except FileNotFoundError:  # its last holder has just removed it
                continue
            except BlockingIOError:
                raise SimulatorError(
                    str(self.target), None, "is being written by another run", "wait for its end, or name another file"
                ) from None

    def begin(self, origin: Mapping[str, str]) -> None:
        """Look through the parts: `origin` is what they must have been drawn from, by the words that tell it.

        Raises
        ------
        SimulatorError
            Where one was drawn from something else.
        """
        if self._origin == origin:
            return
        self.write()
        self._origin, self._kept = dict(origin), []
        for path in sorted(self.folder.glob(f"*{_END}")):
            found = _read(path)
            if found is None:
                note = f"{path}: is damaged, so what it held is simulated again"
                warnings.warn(note, SimulatorWarning, stacklevel=2)
                path.unlink(missing_ok=True)
                continue
            other = [name for name in origin if found[0].get(name) != origin[name]]
            if other and self._several:
                continue
            if other:
                raise SimulatorError(
                    str(self.folder), None, f"holds finished years of another {other[0]}",
                    "discard them with --fresh (or delete the folder), or name another file",
                )  # fmt: skip
            self._kept.append((path, found[1]))

    def taken(self, numbers: Counts) -> Iterator[tuple[Counts, Draws]]:
        """Those of these replicates that are finished."""
        for path, kept in self._kept:
            wanted = np.isin(kept, numbers)
            found = _read(path) if wanted.any() else None
            if found is not None:
                yield kept[wanted], {name: values[wanted[: len(values)]] for name, values in found[2].items()}

    def add(self, numbers: Counts, drawn: Draws) -> None:
        """Keep a finished chunk; it is written when its time comes."""
        self._waiting.append((numbers, drawn))
        self.tick()

    def tick(self) -> None:
        """Write what waits for it, if it is time."""
        if time.monotonic() - self._written >= EVERY:
            self.write()

    def write(self) -> None:
        """Write what is finished and not yet kept."""
        waiting, self._written = list(self._waiting), time.monotonic()
        if not waiting or self._origin is None:
            return
        numbers = np.concatenate([one for one, _ in waiting])
        path = self.folder / f"{numbers.min()}-{numbers.size}-{uuid.uuid4().hex}{_END}"
        held = {name: [values[name] for _, values in waiting] for name in waiting[0][1]}
        held |= {_NUMBERS: [numbers], _ORIGIN: [np.array([json.dumps(self._origin)])]}
        try:
            write_whole(path, lambda partial: _write(partial, held))
            self._kept.append((path, numbers))
        except SimulatorError as error:  # the run itself is sound
            note = f"{error.path}: {error.bound}, so finished years are not kept meanwhile"
            warnings.warn(note, SimulatorWarning, stacklevel=2)
        del self._waiting[: len(waiting)]

    def discard(self) -> None:
        """Remove all parts: what they hold is elsewhere, or no longer wanted."""
        self._waiting, self._kept = [], []
        for path in self.folder.glob(f"*{_END}"):
            path.unlink(missing_ok=True)


@contextmanager
def kept_for(
    checkpoint: Checkpoint | str | os.PathLike[str] | None, several: bool = False
) -> Iterator[Checkpoint | None]:
    """A checkpoint that is held already, or that of a file for as long as it takes, and gone when all went well."""
    if checkpoint is None or isinstance(checkpoint, Checkpoint):
        yield checkpoint
        return
    with Checkpoint(checkpoint, several=several) as kept:
        yield kept
        kept.discard()


def _write(path: Path, held: Mapping[str, Sequence[NDArray[Any]]]) -> None:
    """Write the names and then each array, of the pieces that it is in, and last a checksum; no amount is copied.

    The checksum is quicker than the SHA-256 of a file that is handed on, and enough against damage.
    """
    with path.open("wb") as file:
        check = 0
        for pieces in ([np.array(list(held))], *map(_narrow, held.values())):
            begin = io.BytesIO()
            whole = {**format.header_data_from_array_1_0(pieces[0]), "fortran_order": False}
            format.write_array_header_1_0(begin, whole | {"shape": (sum(map(len, pieces)), *pieces[0].shape[1:])})
            plain = (np.ascontiguousarray(one).reshape(-1).view(np.uint8).data for one in pieces)
            for part in (begin.getbuffer(), *plain):
                check = zlib.crc32(part, check)
                file.write(part)
        file.write(b"%08x" % check)


def _narrow(pieces: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
    """Counts in as few bytes as they need: they are a third of what a chunk holds."""
    if pieces[0].dtype != np.int64:
        return pieces
    kind = np.min_scalar_type(max(int(one.max(initial=0)) for one in pieces))
    return [one.astype(kind) for one in pieces]


def _read(path: Path) -> tuple[dict[str, str], Counts, dict[str, NDArray[Any]]] | None:
    """Origin, numbers and draws of a part; None where it is damaged."""
    read = memoryview(path.read_bytes())
    whole, end = read[:-_CHECKSUM], read[-_CHECKSUM:]
    try:
        file = io.BytesIO(whole if end == b"%08x" % zlib.crc32(whole) else b"")
        found = {name: np.load(file) for name in np.load(file).tolist()}
        held = {name: one.astype(np.int64) if one.dtype.kind == "u" else one for name, one in found.items()}
        return json.loads(held.pop(_ORIGIN).item()), held.pop(_NUMBERS), held
    except (AttributeError, EOFError, KeyError, ValueError, OSError):  # damaged, or made by somebody else
        return None


def _is_ours(file: int, lock: Path) -> bool:
    """Lock an open file; False where it is no longer the one of this name."""
    try:
        if fcntl is not None:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.stat(lock), os.fstat(file))
    except OSError as error:
        os.close(file)
        raise FileNotFoundError if isinstance(error, FileNotFoundError) else BlockingIOError from None


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # somebody put something there
        return
