"""Files: read with one clear sentence for whatever is wrong, and written whole or not at all.

A leaf of the package: imports `base` only.
"""

from __future__ import annotations

import os
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .base import SimulatorError


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a TOML file holds.

    Raises
    ------
    SimulatorError
        Where there is no such file, or it is not TOML.
    """
    source = Path(path)
    if not source.exists():
        raise SimulatorError(str(source), None, "does not exist", "check the name")
    if source.is_dir():
        raise SimulatorError(str(source), None, "is a folder, not a file", "name a .toml file in it")
    try:
        return tomllib.loads(source.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise SimulatorError(str(source), None, "is not UTF-8 text", "save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SimulatorError(str(source), None, f"is not valid TOML: {error}", "mend that line") from None
    except OSError as error:
        raise SimulatorError(str(source), None, f"cannot be read ({error.strerror})", "check its permissions") from None


def write_whole(path: str | os.PathLike[str], write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside the target, and put it in the target's place only when it is whole."""
    target = Path(path)
    check_writable(target)
    partial: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=target.suffix, dir=target.parent)
        os.close(handle)
        partial = Path(name)
        write(partial)
        os.chmod(partial, 0o666 & ~_umask())
        os.replace(partial, target)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "the disk may be full"
        raise SimulatorError(
            str(target), None, f"could not be written ({reason})", "free some space or name another place"
        ) from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse, before any work is done, a path that cannot be written."""
    target = Path(path)
    if target.is_dir():
        raise SimulatorError(str(target), None, "is a folder", "name a file in it")
    if not target.parent.is_dir():
        raise SimulatorError(str(target), None, "lies in a folder that does not exist", f"make {target.parent} first")
    if not os.access(target.parent, os.W_OK) or (target.exists() and not os.access(target, os.W_OK)):
        raise SimulatorError(str(target), None, "may not be written", "name a place where you may write")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
