"""Files: written whole or not at all, with one clear sentence where that cannot be.

Near the ground of the package: imports `base` and `machine` only.
"""

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from .errors import SimulatorError
from .machine import bytes_told, free_space, host, is_running, temporary_folder

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DiskFullError(SimulatorError):
    """A file could not be written because the disk is full."""


def write_whole(path: str | os.PathLike[str], write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside the target, and put it in the target's place only when it is whole.

    The file that is filled carries the machine's name and the number of the process; what a process that is gone has
    left behind is removed.
    """
    check_writable(path)
    target = Path(os.path.realpath(path))  # a link stays, and what it points at is replaced
    remove_left_behind(target)
    partial: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(target.suffix, f"{_begun(target)}{os.getpid()}.", target.parent)
        os.close(descriptor)
        partial = Path(name)
        write(partial)
        with partial.open(
            "rb+"
        ) as file:  # its name must not be on the disk before its bytes when the machine goes down
            os.fsync(file.fileno())
        os.chmod(partial, 0o666 & ~_umask())
        os.replace(partial, target)
    except (OSError, RuntimeError) as error:
        number = getattr(error, "errno", None)  # libraries add what no reader needs to its words
        reason = os.strerror(number) if number else "the disk may be full"
        kind, bound = DiskFullError if number in (None, *_FULL) else SimulatorError, f"could not be written ({reason})"
        raise kind(str(path), None, bound, "free some space or name another place") from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def write_somewhere(path: str | os.PathLike[str], write: Callable[[Path], object], size: int) -> None:
    """As `write_whole`; what took long to make is put into the temporary folder where its own disk is full."""
    try:
        write_whole(path, write)
        return
    except DiskFullError as full:
        told, where = full, temporary_folder()
    needs = f"needs about {bytes_told(size)}; free some space or name another place"
    if size > free_space(where):
        raise DiskFullError(told.path, None, told.bound, needs) from None
    saved = where / f"{Path(path).stem}-{os.getpid()}{Path(path).suffix}"
    try:
        write_whole(saved, write)
    except SimulatorError:
        raise DiskFullError(told.path, None, told.bound, needs) from None
    raise DiskFullError(told.path, None, told.bound, f"it is in {saved} instead: move it from there")


def check_space(path: str | os.PathLike[str], size: int, mend: str) -> None:
    """Refuse, before any work is done, a file for which there is no room."""
    if size > (free := free_space(Path(os.path.realpath(path)).parent)):
        bound = f"would take about {bytes_told(size)}, and {bytes_told(free)} are free"
        raise DiskFullError(str(path), None, bound, mend)


def _begun(target: Path) -> str:
    """How the names of files begin that this machine fills for a target."""
    return f".{target.stem}.{host()}-"


def remove_left_behind(target: Path) -> None:
    """Remove what processes of this machine that are gone had begun to write for a target; never a live one's."""
    begun = _begun(target)
    try:
        names = [name for name in os.listdir(target.parent) if name.startswith(begun)]
    except OSError:
        return
    for name in names:
        process = name.removeprefix(begun).partition(".")[0]
        if process.isdecimal() and not is_running(int(process)):
            (target.parent / name).unlink(missing_ok=True)


_LONGEST_NAME = 200  # bytes; file systems take 255, and the file that is filled has some more


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse, before any work is done, a path that cannot be written."""
    target = Path(path)
    if len(os.fsencode(target.name)) > _LONGEST_NAME:
        raise SimulatorError(str(target), None, "has a name that is too long", "shorten it")
    try:
        exists, is_file, is_folder = target.exists(), target.is_file(), target.is_dir()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SimulatorError(str(target), None, f"is no name of a file ({reason})", "name another file") from None
    if is_folder:
        raise SimulatorError(str(target), None, "is a folder", "name a file in it")
    if exists and not is_file:
        raise SimulatorError(str(target), None, "is a device or a pipe", "name an ordinary file")
    if not os.path.isdir(target.parent):
        raise SimulatorError(str(target), None, "lies in a folder that does not exist", f"make {target.parent} first")
    if not os.access(target.parent, os.W_OK) or (exists and not os.access(target, os.W_OK)):
        raise SimulatorError(str(target), None, "may not be written", "name a place where you may write")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
