"""Every column of a table, as figures where it holds nothing else and as text where it does."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .columns.column import Column
from .headers import Headers
from .layout import layout
from .names import Said
from .read import read
from .table import Pick


def whole_frame(path: str | os.PathLike[str]) -> pd.DataFrame:
    """A file's rows, for questions that name their columns themselves."""
    name = os.fspath(path)

    def choose(headers: Headers) -> list[Pick]:
        return [Pick(header, at) for at, header in enumerate(headers.names) if header]

    table = read(name, choose, layout(), Said(name, name, private=False))
    return pd.DataFrame({name: _cells(column) for name, column in table.columns.items()})


def _cells(column: Column) -> NDArray[Any]:
    numbers, others = column.numbers
    if not others:
        return numbers
    codes, levels = column.by_level
    return np.append(levels.astype(object), np.array([None], object))[codes]
