"""One column: numbers, moments, or text by its distinct levels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .numbers import number_of, numbers_of

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, repr=False, eq=False)
class Column:
    """A column of a table."""

    values: NDArray[Any]  # numbers, truths or moments, shape (row,); or the distinct texts, where `codes` are given
    codes: NDArray[np.int64] | None = None  # position of each row's text among `values`; −1 where it has none
    typed: bool = True  # whether the table said that it is text; in a CSV file it may as well be a number

    @property
    def size(self) -> int:
        return int(self.values.size if self.codes is None else self.codes.size)

    @property
    def is_text(self) -> bool:
        return self.codes is not None

    @property
    def is_dates(self) -> bool:
        return self.values.dtype.kind == "M"

    @cached_property
    def missing(self) -> Mask:
        if self.codes is not None:
            return np.asarray(self.codes < 0)
        if self.is_dates:
            return np.asarray(np.isnat(self.values))
        return np.isnan(self.values) if self.values.dtype.kind == "f" else np.zeros(self.size, bool)

    @cached_property
    def numbers(self) -> tuple[Array, Counter[str]]:
        """As numbers, nan where there is none, and in how many rows something else stands, by kind."""
        if self.codes is None:
            if self.is_dates:
                return np.full(self.size, np.nan), Counter(text=int((~self.missing).sum()))
            truths = Counter(truth=self.size) if self.values.dtype.kind == "b" and self.size else Counter[str]()
            return np.asarray(self.values, np.float64), truths
        codes, levels = self.by_level
        values, kinds = numbers_of(levels.tolist(), np.bincount(codes[codes >= 0]))
        return np.append(values, np.nan)[codes], kinds

    @cached_property
    def by_level(self) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Codes of the rows and their distinct values, whatever they are, none without rows; −1 where nothing is."""
        if self.codes is not None:
            used = np.bincount(self.codes + 1, minlength=self.values.size + 1)[1:] > 0
            return np.append(np.cumsum(used) - 1, -1)[self.codes], self.values[used]
        import pandas as pd

        codes, levels = pd.factorize(self.values)
        codes = np.asarray(codes, np.int64)
        codes[self.missing] = -1
        return codes, np.asarray(levels)

    def without(self, marks: Sequence[str]) -> Column:
        """With the cells missing that hold one of these marks."""
        if self.codes is not None:
            marked = np.flatnonzero([str(level).strip() in marks for level in self.values])
            return replace(self, codes=np.where(np.isin(self.codes, marked), -1, self.codes))
        if self.values.dtype.kind not in "iuf":
            return self
        numbers = [value for value, kind in map(number_of, marks) if kind == "number"]
        gone = np.isin(self.values, numbers)
        return replace(self, values=np.where(gone, np.nan, self.values)) if gone.any() else self

    def blank_as_zero(self) -> Column:
        """With 0 where nothing is."""
        if not self.missing.any() or self.is_dates:
            return self
        if self.codes is None:
            return replace(self, values=np.where(self.missing, 0.0, self.values))
        codes = np.where(self.missing, self.values.size, self.codes)
        return replace(self, values=np.append(self.values, "0"), codes=codes)

    def of(self, value: Any) -> Column:
        """A column of the same kind with one row."""
        if self.codes is None:
            return replace(self, values=np.array([value], self.values.dtype))
        return replace(self, values=np.array([value], object), codes=np.array([0]))

    def rows(self, kept: Any) -> Column:
        if self.codes is None:
            return replace(self, values=self.values[kept])
        return replace(self, codes=self.codes[kept])


def plain_numbers(levels: Sequence[str]) -> bool:
    """Whether texts are whole or decimal numbers as a program writes them, so that nothing is lost by reading them so.

    Examples
    --------
    >>> plain_numbers(["1", "20", "-3.5"]), plain_numbers(["01001"]), plain_numbers(["1", "1.0"])
    (True, False, False)
    """
    texts = [level.strip() for level in levels]
    plain = all(_PLAIN.fullmatch(text) and len(text.removeprefix("-")) <= 15 for text in texts)
    return plain and len(set(map(float, texts))) == len(texts)


_PLAIN = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
