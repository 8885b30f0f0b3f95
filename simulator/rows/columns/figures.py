"""Columns as figures, and one sentence for all of them where some hold anything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..names import Said
from ..table import Table

Array = NDArray[np.float64]

_WORDS = {
    "text": "text", "percentage": "percentages", "truth": "TRUE or FALSE", "open age": "open ages such as 90+",
}  # fmt: skip


def figures_of(
    table: Table, names: Sequence[str], said: Said, shares: Iterable[str] = (), flags: Iterable[str] = ()
) -> dict[str, Array]:
    """Columns as numbers, nan where a cell is blank, missing or suppressed."""
    understood = {**dict.fromkeys(shares, "percentage"), **dict.fromkeys(flags, "truth")}
    headers = {pick.name: table.headers.names[pick.position] for pick in table.picks}
    found: dict[str, Array] = {}
    wrong: dict[str, Counter[str]] = {}
    for name in dict.fromkeys(names):
        found[name], odd = table.columns[name].numbers
        if odd["suppressed"]:
            _note(table, headers[name], odd["suppressed"], said)
        kinds = Counter({kind: n for kind, n in odd.items() if kind not in ("suppressed", understood.get(name))})
        if kinds:
            wrong[headers[name]] = kinds
    if wrong:
        raise _refusal(wrong, said)
    return found


def _note(table: Table, name: str, rows: int, said: Said) -> None:
    many = "Some figures" if said.private else "One figure" if rows == 1 else f"{rows:,} figures"
    note = f"{many} of column {name!r} {'is' if many.startswith('One') else 'are'} suppressed (*) and taken as missing."
    if note not in table.notes:
        table.notes.append(note)


def _refusal(wrong: dict[str, Counter[str]], said: Said) -> Exception:
    parts: dict[str, list[str]] = {}
    for name, odd in wrong.items():
        what = " and ".join(dict.fromkeys(_words(kind) for kind in odd))
        parts.setdefault(what, []).append(repr(name))
    listed = ", ".join(f"{what} in column{'s' * (len(names) > 1)} {_and(names)}" for what, names in parts.items())
    kinds = list(dict.fromkeys(kind for one in wrong.values() for kind in one))
    mend = "leave only numbers there, such as 1,234.50 or £1,234.50"
    if all(map(_marker, kinds)):
        mend = f'if that is a missing figure, say so: missing="{",".join(map(_marker, kinds))}" (--missing)'
    return said.of_rows(f"{said.has} {listed}", mend)


def _marker(kind: str) -> str:
    """What stands for a missing figure, where a kind is that; empty for others."""
    return kind.removeprefix("marker ") if kind.startswith("marker ") else ""


def _words(kind: str) -> str:
    return repr(_marker(kind)) if _marker(kind) else _WORDS[kind]


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
