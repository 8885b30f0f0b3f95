"""What a reader gives: the columns that were chosen, what its last rows say, and what a person should know of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .columns.column import Column
from .headers import Headers


class Pick(NamedTuple):
    """A column that is wanted."""

    name: str
    """As it is wanted."""
    position: int
    number: bool = False
    """Whether nothing but numbers is wanted of it."""
    adds_up: bool = False
    """Whether a row of totals holds its sum."""
    may_be_zero: bool = False
    """Whether a blank may stand for 0."""


Choose = Callable[[Headers], list[Pick]]
"""The columns that are wanted of a table with these headers; raises where one lacks."""


@dataclass(repr=False)
class Table:
    """Columns of one length, by the name that was wanted."""

    headers: Headers
    columns: dict[str, Column]
    picks: list[Pick]
    last: tuple[dict[int, str], dict[int, str]] = field(default_factory=lambda: ({}, {}))
    """Texts of the last row and of the one before it, by position."""
    notes: list[str] = field(default_factory=list)
    """What was done that a person should know; nothing of a cell."""
    index: Any = None
    """The index of a frame."""

    @property
    def size(self) -> int:
        """Rows."""
        return next((column.size for column in self.columns.values()), 0)

    def rows(self, kept: NDArray[np.bool_]) -> None:
        """Keep some rows."""
        self.columns = {name: column.rows(kept) for name, column in self.columns.items()}
        self.index = None if self.index is None else self.index[kept]
