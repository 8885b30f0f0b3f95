"""Columns of text files, which come in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..columns.cells import of_levels
from ..columns.column import Column

if TYPE_CHECKING:
    import pandas as pd


def joined(parts: list[pd.Series]) -> Column:
    """Parts of a column of numbers as one; as its texts where some part holds anything else."""
    if not parts:
        return Column(np.empty(0))
    kinds = {part.dtype.kind for part in parts}
    if kinds == {"b"} or kinds <= set("iuf"):
        return Column(np.concatenate([part.to_numpy() for part in parts]))
    texts = Texts()
    for part in parts:
        texts.add(part)
    return texts.column()


class Texts:
    """Parts of a column of text, by its distinct levels."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._codes: list[Any] = []

    def add(self, part: pd.Series) -> None:
        import pandas as pd

        codes, levels = pd.factorize(part)
        texts = [str(level) for level in np.asarray(levels, object).tolist()]
        place = np.array([*(self._known.setdefault(text, len(self._known)) for text in texts), -1])
        self._codes.append(place[codes])

    def column(self) -> Column:
        codes = np.concatenate(self._codes) if self._codes else np.empty(0, np.int64)
        return of_levels(codes.astype(np.int64), np.array([*self._known], object), typed=False)
