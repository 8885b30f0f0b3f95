"""Kinds of answer, one file each: what a Dataset of that kind looks like as a page, as JSON and as long rows.

An answer names its kind in the attribute ``answer``; the file of that name in this folder holds it as `KIND`.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

    from .kind import Kind

ATTRIBUTE = "answer"


def kind_of(answer: xr.Dataset) -> Kind | None:
    """The kind of an answer; None where it has none, and is shown as a long table."""
    named = str(answer.attrs.get(ATTRIBUTE, ""))
    names = list(_names())
    if named in names:
        kind: Kind | None = _kind(named)
        if kind is not None and set(kind.known_by) <= set(map(str, answer.variables)):
            return kind
    # a file of 0.1 does not name its kind
    return next((kind for name in names if (kind := _kind(name)) and set(kind.known_by) <= set(answer.variables)), None)


def _names() -> Iterator[str]:
    return (module.name for module in pkgutil.iter_modules(__path__))


def _kind(name: str) -> Kind | None:
    kind: Kind | None = getattr(import_module(f"{__name__}.{name}"), "KIND", None)
    return kind
