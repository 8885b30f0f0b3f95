"""What a file of results must be before a library reads it: as it was written, whole in itself, and within memory.

Behind the end of what HDF5 knows stands a seal, the SHA-256 of all that lies before it, which other readers pass over.
Near the ground of the package: imports `errors` and `machine` only.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .errors import SimulatorError
from .machine import bytes_told, free_memory

if TYPE_CHECKING:
    import h5py

_MOST_OBJECTS = 10_000
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_BEFORE, _AFTER = b"\nsimulator: SHA-256 ", b" of all before this line\n"
"""Both are looked for: a file in which one of them is damaged is no file without a seal."""
_SEAL = len(_BEFORE) + 64 + len(_AFTER)


def seal(path: str | os.PathLike[str]) -> None:
    """Write the SHA-256 of a file behind its end."""
    digest, _ = _digest(path)
    with open(path, "ab") as file:
        file.write(_BEFORE + digest.encode() + _AFTER)


def check_seal(path: str | os.PathLike[str], mend: str) -> str | None:
    """The SHA-256 of a file that is as it was written, None where it bears no seal; one that differs is refused."""
    digest, end = _digest(path, _SEAL)
    if end == _BEFORE + digest.encode() + _AFTER:
        return digest
    if _BEFORE in end or _AFTER in end:
        bound = "is damaged: it differs from the SHA-256 that was written into it"
        raise SimulatorError(str(path), None, bound, f"take a copy, or {mend}")
    return None


def _digest(path: str | os.PathLike[str], behind: int = 0) -> tuple[str, bytes]:
    """SHA-256 of a file but for so many bytes at its end, and those bytes."""
    digest, left = hashlib.sha256(), max(os.path.getsize(path) - behind, 0)
    with open(path, "rb") as file:
        while part := file.read(min(left, 1 << 20)):
            digest.update(part)
            left -= len(part)
        return digest.hexdigest(), file.read()


def check_contents(path: str | os.PathLike[str], mend: str) -> bool:
    """Refuse a damaged file, numbers kept elsewhere, or more than fit into memory; gives whether it is sealed."""
    import h5py

    source = str(path)
    is_sealed = check_file(path, mend) is not None
    with h5py.File(path, "r") as file:
        needed = 0
        for count, (name, found) in enumerate(_objects(file)):
            if found is None or count > _MOST_OBJECTS:
                raise SimulatorError(source, None, f"refers to other files ({name}), which are not read", mend)
            if isinstance(found, h5py.Dataset):
                needed += found.size * found.dtype.itemsize if found.shape is not None else 0
    if 2 * needed > (free := free_memory()):
        bound = f"holds {bytes_told(needed)}, and {bytes_told(free)} of memory are free"
        raise SimulatorError(source, None, bound, mend)
    return is_sealed


def check_file(path: str | os.PathLike[str], mend: str) -> str | None:
    """Refuse what is no netCDF-4 file or differs from its seal, before HDF5 is called; gives the SHA-256, if any."""
    if not os.path.isfile(path):
        raise SimulatorError(str(path), None, "is a device or a pipe, not a file", mend)
    digest = check_seal(path, mend)
    with open(path, "rb") as opened:
        if opened.read(len(_SIGNATURE)) != _SIGNATURE:
            raise SimulatorError(str(path), None, "is not a netCDF-4 file, or is damaged", mend)
    return digest


def _objects(group: h5py.Group) -> Iterator[tuple[str, h5py.HLObject | None]]:
    """Every object of a file by its name; None for one that is kept in another file."""
    import h5py

    waiting, seen = [group], set[object]()
    while waiting:
        here = waiting.pop()
        for name in here:
            link = here.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                yield name, None
                continue
            if isinstance(link, h5py.SoftLink):
                continue  # another name for what is in this file
            found = here[name]
            if isinstance(found, h5py.Dataset) and (found.external or found.is_virtual):
                yield name, None
                continue
            yield name, found
            if isinstance(found, h5py.Group) and found.id not in seen:
                seen.add(found.id)
                waiting.append(found)
