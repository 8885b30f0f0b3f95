"""A last row that is the sum of the others is none of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .names import Said
from .table import Table

_LABELS = {"total", "totals", "grand total", "all", "sum"}
_TOLERANCE = 0.005


def without_total(table: Table, said: Said) -> None:
    """Leave out a last row that is labelled as a total and is one; ask about one that is only labelled so."""
    if table.size < 2 or not _labelled(table):
        return
    sums = [_is_sum(table.columns[pick.name].numbers[0]) for pick in table.picks if pick.adds_up]
    if not sums or not all(sums):
        raise said.of_rows(
            f"{said.has} a last row that is called a total and is not the sum of the rows above",
            "take it out if it is a total, or give it another name",
        )
    table.rows(np.arange(table.size) < table.size - 1)
    table.notes.append("The last row is the total of those above and was left out.")


def _labelled(table: Table) -> bool:
    """Whether the last row alone has the name of a total in some column."""
    chosen = {pick.position: table.columns[pick.name] for pick in table.picks}
    last, before = table.last
    for at, text in last.items():
        column = chosen.get(at)
        often = column is not None and column.codes is not None and (column.codes == column.codes[-1]).sum() > 1
        if _plain(text) in _LABELS and _plain(before.get(at, "")) != _plain(text) and not often:
            return True
    return False


def _plain(text: str) -> str:
    return " ".join(text.casefold().strip(" :.").split())


def _is_sum(values: NDArray[np.float64]) -> bool:
    above, said = float(np.nansum(values[:-1])), float(values[-1])
    return bool(np.isfinite(above) and abs(said - above) <= _TOLERANCE * abs(above))
