"""Kinds of answer, one file each: what a Dataset of that kind looks like as a page, as JSON and as long rows.

An answer names its kind; the file of that name in this folder holds it as `KIND`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

    from .kind import Kind


def kind_of(answer: xr.Dataset) -> Kind | None:
    """The kind of an answer; None where it has no page of its own, and is shown as a long table."""
    from ...ledger import variables

    name = variables.kind_of(answer) or ""
    home = f"{__name__}.{name}"
    kind: Kind | None = getattr(import_module(home), "KIND", None) if name and find_spec(home) else None
    return kind
