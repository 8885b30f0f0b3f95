"""Files: written whole or not at all, with one clear sentence where that cannot be.

A leaf of the package: imports `base` only.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from .base import SimulatorError


def write_whole(path: str | os.PathLike[str], write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside the target, and put it in the target's place only when it is whole."""
    check_writable(path)
    target = Path(os.path.realpath(path))  # a link stays, and what it points at is replaced
    partial: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=target.suffix, dir=target.parent)
        os.close(descriptor)
        partial = Path(name)
        write(partial)
        os.chmod(partial, 0o666 & ~_umask())
        os.replace(partial, target)
    except (OSError, RuntimeError) as error:
        number = getattr(error, "errno", None)  # libraries add what no reader needs to its words
        reason = os.strerror(number) if number else "the disk may be full"
        raise SimulatorError(
            str(path), None, f"could not be written ({reason})", "free some space or name another place"
        ) from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


_LONGEST_NAME = 240  # bytes; file systems take 255, and the file that is filled has some more


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse, before any work is done, a path that cannot be written."""
    target = Path(path)
    if len(os.fsencode(target.name)) > _LONGEST_NAME:
        raise SimulatorError(str(target), None, "has a name that is too long", "shorten it")
    if os.path.isdir(target):
        raise SimulatorError(str(target), None, "is a folder", "name a file in it")
    if os.path.exists(target) and not os.path.isfile(target):
        raise SimulatorError(str(target), None, "is a device or a pipe", "name an ordinary file")
    if not os.path.isdir(target.parent):
        raise SimulatorError(str(target), None, "lies in a folder that does not exist", f"make {target.parent} first")
    if not os.access(target.parent, os.W_OK) or (target.exists() and not os.access(target, os.W_OK)):
        raise SimulatorError(str(target), None, "may not be written", "name a place where you may write")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
