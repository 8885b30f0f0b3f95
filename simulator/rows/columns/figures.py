"""Columns as figures, and one sentence for all of them where some hold anything else."""

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
    wrong: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        found[name], odd = table.columns[name].numbers
        if odd["suppressed"]:
            _note(table, headers[name], odd["suppressed"], said)
        if kinds := [kind for kind in odd if kind not in ("suppressed", understood.get(name))]:
            wrong[headers[name]] = kinds
    if wrong:
        raise _refusal(wrong, said)
    return found


def _note(table: Table, name: str, rows: int, said: Said) -> None:
    many = "Some figures" if said.private else "One figure" if rows == 1 else f"{rows:,} figures"
    note = f"{many} of column {name!r} {'is' if many.startswith('One') else 'are'} suppressed (*) and taken as missing."
    if note not in table.notes:
        table.notes.append(note)


def _refusal(wrong: dict[str, list[str]], said: Said) -> Exception:
    kinds = list(dict.fromkeys(kind for one in wrong.values() for kind in one))
    markers = {kind: kind.removeprefix("marker ") for kind in kinds if kind.startswith("marker ")}
    words = _WORDS | {kind: repr(marker) for kind, marker in markers.items()}
    parts: dict[str, list[str]] = {}
    for name, odd in wrong.items():
        parts.setdefault(" and ".join(dict.fromkeys(words[kind] for kind in odd)), []).append(repr(name))
    listed = []
    for what, (*names, last) in parts.items():
        listed.append(f"{what} in column" + (f"s {', '.join(names)} and {last}" if names else f" {last}"))
    mend = "leave only numbers there, such as 1,234.50 or £1,234.50"
    if len(markers) == len(kinds):
        mend = f'if that is a missing figure, say so: missing="{",".join(markers.values())}" (--missing)'
    return said.of_rows(f"{said.has} {', '.join(listed)}", mend)
