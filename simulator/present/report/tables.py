"""A table as all parts of a report take it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Number(str):
    """A number as a person reads it, which a workbook holds as the number itself."""

    __slots__ = ("form", "value")
    value: float
    form: str
    """What it counts: people, money, share or number."""

    def __new__(cls, told: str, value: float, form: str) -> Number:
        """What is read, and what it stands for."""
        made = super().__new__(cls, told)
        made.value, made.form = value, form
        return made


class Table(NamedTuple):
    """Rows of text below a caption; the first cell of a row is its head."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    prose: bool = False
    """Whether the cells are words, which are set to the left."""
    stacked: bool = False
    """Whether what stands in brackets, or else the error, goes below the figure."""
