"""Compiled loops. Where their cache on disk is damaged, full or forbidden, they are compiled afresh, and that is said.

numba keeps what it compiled beside the source or in NUMBA_CACHE_DIR, and lets a broken cache fail in its own words.
"""

from __future__ import annotations

import logging
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

logger = logging.getLogger(__name__)
_Function = TypeVar("_Function", bound=Callable[..., Any])
_said: set[str] = set()


def compiled(function: _Function) -> _Function:
    """A loop compiled without the interpreter's lock, kept on disk where that can be."""
    try:
        made: Any = numba.njit(nogil=True, cache=True)(function)
    except (RuntimeError, OSError):  # nowhere to write: a read-only install without a home, or a full disk
        _say_once("numba has nowhere to keep the compiled loops: they are compiled afresh (set NUMBA_CACHE_DIR)")
        plain: Any = numba.njit(nogil=True)(function)
        return plain
    cache = getattr(made, "_cache", None)
    if cache is not None:
        cache.save_overload = _saved_if_possible(cache.save_overload)
    return made


def _saved_if_possible(save: Callable[..., None]) -> Callable[..., None]:
    def save_overload(*arguments: Any) -> None:
        try:
            save(*arguments)
        except OSError as error:
            _say_once(f"numba's cache could not be written ({error.strerror}): loops are compiled afresh in each run")

    return save_overload


def _say_once(sentence: str) -> None:
    if sentence not in _said:
        _said.add(sentence)
        logger.warning(sentence)


def drop_damaged_cache(function: Any, name: str) -> None:
    """Remove files of a module's cache that are cut short, before numba trips over them."""
    folder = getattr(getattr(function, "stats", None), "cache_path", None)
    if folder is None:
        return
    files = [*Path(folder).glob(f"{name}.*.nbi"), *Path(folder).glob(f"{name}.*.nbc")]
    damaged = [file for file in files if not _is_whole(file)]
    for file in damaged:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            _say_once(f"numba's cache is damaged and cannot be removed ({error.strerror}): delete {file.parent}")
    if damaged:
        _say_once("numba's cache was damaged: loops are compiled afresh")


def _is_whole(file: Path) -> bool:
    """Whether a file holds pickles from its first byte to its last; reads them without running them."""
    try:
        with file.open("rb") as opened:
            while opened.peek(1):
                for _ in pickletools.genops(opened):
                    pass
    except (OSError, ValueError):
        return False
    return file.stat().st_size > 0
