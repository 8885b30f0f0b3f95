"""What this machine has to spare, and which processes run on it. A leaf of the package: imports nothing of it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path


def free_memory() -> int:
    """Bytes that can be had without swapping: what caches hold is given up when asked for."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        known = hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if known else sys.maxsize


def free_space(folder: str | os.PathLike[str]) -> int:
    """Bytes that a file in this folder may take."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:  # a file system that does not say
        return sys.maxsize


def host() -> str:
    """The machine's name, as part of a file's name."""
    return "".join(letter for letter in platform.node() if letter.isalnum()) or "host"


def is_running(process: int) -> bool:
    """Whether a process of this machine still runs; True where that cannot be known."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def bytes_told(count: float) -> str:
    """A number of bytes as people write it."""
    for size, unit in ((1e9, "GB"), (1e6, "MB")):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{max(count, 1e3) / 1e3:,.0f} kB"


def temporary_folder() -> Path:
    """Where files may be put that have no place of their own."""
    import tempfile

    return Path(tempfile.gettempdir())
