"""Columns as figures, and one sentence for all of them where some hold anything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from .names import Said
from .table import Table

Array = NDArray[np.float64]

_WORDS = {
    "text": "text", "percentage": "percentages", "truth": "TRUE or FALSE", "open age": "open ages such as 90+",
}  # fmt: skip
_NUMBERS_ONLY = "leave only numbers there, such as 1,234.50 or £1,234.50"


def figures_of(table: Table, names: Sequence[str], said: Said, shares: Iterable[str] = ()) -> dict[str, Array]:
    """Columns as numbers, nan where a cell is blank, missing or suppressed.

    Parameters
    ----------
    table : Table
        Gets a note where figures are suppressed.
    names : sequence of str
    said : Said
    shares : iterable of str
        Columns of fractions, in which a percentage is understood.

    Raises
    ------
    SimulatorError
        One for all columns that hold text, TRUE or FALSE, or percentages where there should be amounts.
    """
    shares, found, wrong = set(shares), {}, {}
    for name in dict.fromkeys(names):
        found[name], kinds = table.columns[name].numbers
        kinds = Counter(kinds)
        if suppressed := kinds.pop("suppressed", 0):
            _note(table, name, suppressed, said)
        if name in shares:
            kinds.pop("percentage", 0)
        if kinds:
            wrong[name] = kinds
    if wrong:
        raise _refusal(wrong, said)
    return found


def _note(table: Table, name: str, rows: int, said: Said) -> None:
    many = "" if said.private else f" in {rows:,} rows"
    note = f"Figures of column {name!r} are suppressed (*){many} and were taken as missing."
    if note not in table.notes:
        table.notes.append(note)


def _refusal(wrong: dict[str, Counter[str]], said: Said) -> Exception:
    markers = list(
        dict.fromkeys(kind.partition(" ")[2] for kinds in wrong.values() for kind in kinds if _is_marker(kind))
    )
    parts: dict[str, list[str]] = {}
    for name, kinds in wrong.items():
        what = " and ".join(dict.fromkeys(_words(kind) for kind in kinds))
        parts.setdefault(what, []).append(repr(name))
    listed = ", ".join(f"{what} in column{'s' * (len(names) > 1)} {_and(names)}" for what, names in parts.items())
    if all(_is_marker(kind) for kinds in wrong.values() for kind in kinds):
        marks = ",".join(markers)
        return said.of_rows(
            f"{said.has} {listed}", f'if that is a missing figure, say so: missing="{marks}" (--missing)'
        )
    return said.of_rows(f"{said.has} {listed}", _NUMBERS_ONLY)


def _is_marker(kind: str) -> bool:
    return kind.startswith("marker ")


def _words(kind: str) -> str:
    return repr(kind.partition(" ")[2]) if _is_marker(kind) else _WORDS[kind]


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
