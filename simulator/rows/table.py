"""Headers of a table, compared as people read them, and what a reader gives.

That is the columns that were chosen, what its last rows say, and what a person should know of it.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import columns_there
from .columns.column import Column
from .names import Said, plain_name


class Headers:
    """Where each column of a table stands: its names in order, and the header of each other name, plain."""

    def __init__(self, names: Sequence[object], other_names: Mapping[str, str] | None = None) -> None:
        self.names = [plain_name(name) for name in names]
        self.other_names = dict(other_names or {})

    def positions(self, name: str) -> list[int]:
        """Every column that is called so; a name given to a header goes before a header of that name."""
        wanted = self._header(name)
        return [position for position, have in enumerate(self.names) if have == wanted]

    def _header(self, name: str) -> str:
        return self.other_names.get(plain_name(name), plain_name(name))

    def only(self, name: str, said: Said) -> int:
        """The one column that is called so."""
        found, wanted = self.positions(name), self._header(name)
        if len(found) > 1:
            raise said.of_rows(f"{said.has} column {wanted!r} more than once", "rename one of the two")
        if not found:
            there = columns_there([n for n in self.names if n], [wanted])
            raise said.of_rows(f"{said.has} no column {wanted!r}", there)
        return found[0]


class Pick(NamedTuple):
    """A column that is wanted."""

    name: str  # as it is wanted
    position: int
    number: bool = False  # whether nothing but numbers is wanted of it
    adds_up: bool = False  # whether a row of totals holds its sum
    may_be_zero: bool = False  # whether a blank may stand for 0


Choose = Callable[[Headers], list[Pick]]  # the columns that are wanted of a table; raises where one lacks


def texts_of(row: Iterable[Any]) -> dict[int, str]:
    """The texts of a row by their positions."""
    return {at: cell.strip() for at, cell in enumerate(row) if isinstance(cell, str)}


@dataclass(repr=False)
class Table:
    """Columns of one length, by the name that was wanted."""

    headers: Headers
    columns: dict[str, Column]
    picks: list[Pick]
    last: tuple[dict[int, str], dict[int, str]] = field(default_factory=lambda: ({}, {}))
    """Texts of the last row and of the one before it, by position."""
    notes: list[str] = field(default_factory=list)  # what was done that a person should know; nothing of a cell
    index: Any = None  # the index of a frame

    @property
    def size(self) -> int:
        return next((column.size for column in self.columns.values()), 0)

    def rows(self, kept: NDArray[np.bool_]) -> None:
        self.columns = {name: column.rows(kept) for name, column in self.columns.items()}
        self.index = None if self.index is None else self.index[kept]


_WHO = (
    "nhs|nhi|medicare|medicaid|insurance|enrolle?e|bene|beneficiary|member|patient|person|subject|participant|desynpuf|"
    "pseudo|client|life|individual|personal"
)
_WHAT = "id|no|nr|num|number|key|code|identifier|pseudonym"
_ID = re.compile(
    rf"({_WHO})[ _.\-]*({_WHAT})|id|pid|enrolid|pseudonym|"
    "person|patient|member|beneficiary|subject|individual|participant"
)
_FAR = 1.5  # rows a person from which the warning is given


def person_like(headers: Headers) -> int | None:
    """The position of the first column whose name is that of a person's id."""
    return next((place for place, name in enumerate(headers.names) if _ID.fullmatch(name.casefold())), None)


def repeated(column: Column, name: str) -> str | None:
    """A sentence where rows far outnumber the persons that a column names."""
    codes, persons = column.by_level
    rows = int((codes >= 0).sum())
    if rows < _FAR * len(persons) or not rows:
        return None
    return (
        f"There are {rows / len(persons):.1f} rows for each value of {name!r}. If it is a person's id, name it with "
        "person (--person): without it rows are counted as patients."
    )
