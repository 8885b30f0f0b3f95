"""Kinds of answer, one file each: what a Dataset of that kind looks like as a page, as JSON and as long rows.

An answer names its kind; the file of that name in this folder holds it as `KIND`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..tables import Page
from ..tidy import dataset_json

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Kind:
    """How an answer is shown."""

    page: Callable[..., Page]
    over: tuple[str, ...] = ()
    """Dims of its cells in JSON."""
    json: Callable[[xr.Dataset], Any] | None = None
    """Its JSON, where that is more than attributes and cells."""

    def as_json(self, answer: xr.Dataset) -> Any:
        """The answer as JSON has it."""
        return dataset_json(answer, self.over) if self.json is None else self.json(answer)


def kind_of(answer: xr.Dataset) -> Kind | None:
    """The kind of an answer; None where it has no page of its own, and is shown as a long table."""
    from ...ledger import variables

    name = variables.kind_of(answer) or ""
    home = f"{__name__}.{name}"
    return getattr(import_module(home), "KIND", None) if name and find_spec(home) else None
