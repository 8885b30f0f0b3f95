"""A kind of answer: how it is recognised, its page, and its JSON. One file per kind in this folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import xarray as xr

from ..tables import Page
from ..tidy import dataset_json


@dataclass(frozen=True)
class Kind:
    """One kind of answer. The module that holds it as `KIND` has the kind's name."""

    page: Callable[..., Page]
    over: tuple[str, ...] = ()
    """Dims of its cells in JSON."""
    json: Callable[[xr.Dataset], Any] | None = None
    """Its JSON, where that is more than attributes and cells."""

    def as_json(self, answer: xr.Dataset) -> Any:
        """The answer as JSON has it."""
        return dataset_json(answer, self.over) if self.json is None else self.json(answer)
