"""What a netCDF-4 file must not be before it is read: a way to other files, or larger than memory.

Near the ground of the package: imports `base` and `machine` only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .errors import SimulatorError
from .machine import bytes_told, free_memory

if TYPE_CHECKING:
    import h5py

_MOST_OBJECTS = 10_000
_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def check_contents(path: str | os.PathLike[str], mend: str) -> None:
    """Refuse a file that keeps its numbers elsewhere, or more of them than fit into memory.

    Raises
    ------
    SimulatorError
        In one sentence, with `mend`.
    """
    import h5py

    source = str(path)
    if not os.path.isfile(path):
        raise SimulatorError(source, None, "is a device or a pipe, not a file", mend)
    with open(path, "rb") as opened:
        if opened.read(len(_SIGNATURE)) != _SIGNATURE:
            raise SimulatorError(source, None, "is not a netCDF-4 file, or is damaged", mend)
    with h5py.File(path, "r") as file:
        needed = 0
        for count, (name, found) in enumerate(_objects(file)):
            if found is None or count > _MOST_OBJECTS:
                raise SimulatorError(source, None, f"refers to other files ({name}), which are not read", mend)
            if isinstance(found, h5py.Dataset):
                needed += found.size * found.dtype.itemsize if found.shape is not None else 0
    free = free_memory()
    if 2 * needed > free:
        raise SimulatorError(
            source, None, f"holds {bytes_told(needed)}, and {bytes_told(free)} of memory are free", mend
        )


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
