"""The small sheet of `simulator new`: a row for each place and band, and one for the concentration and the currency."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ...errors import SimulatorError
from ...files import write_whole
from ...rows.columns.cells import as_text
from ...rows.layout import layout
from ...rows.names import Said
from ...rows.read import read
from ...rows.table import Pick
from .new_scenario import value_of

COLUMNS = ["what", "name", "amount", "mean a head", "any cost"]
_PARTS = {"place": "places", "band": "bands", "top share": "top_share", "currency": "currency"}


def write_sheet(path: str) -> None:
    """An empty sheet, whose rows say what belongs in them."""
    import pandas as pd

    rows = [*[["place"]] * 12, *[["band"]] * 6, ["top share", "5%"], ["currency", "code"]]
    sheet = pd.DataFrame([row + [""] * (len(COLUMNS) - len(row)) for row in rows], columns=COLUMNS)
    is_book = Path(path).suffix.lower() == ".xlsx"
    write = (lambda file: sheet.to_excel(file, index=False, engine="xlsxwriter")) if is_book else (
        lambda file: sheet.to_csv(file, index=False))  # fmt: skip
    try:
        write_whole(path, write)
    except ImportError:
        raise SimulatorError(
            path, None, "needs xlsxwriter", 'pip install "capitation-risk[report]", or name it .csv'
        ) from None


def read_sheet(path: str) -> dict[str, Any]:
    """What a sheet gives; rows without an amount are passed over."""
    said = Said(path, path, private=False)
    table = read(path, lambda headers: [Pick(name, headers.only(name, said)) for name in COLUMNS], layout(), said)
    columns = []
    for codes, levels in (table.columns[name].by_level for name in COLUMNS):
        columns.append(["" if code < 0 else as_text(levels[code]).strip() for code in codes])
    found: dict[str, list[str]] = {}
    for what, name, amount, *figures in zip(*columns, strict=True):
        if not amount:
            continue
        part = _PARTS.get(what)
        if part is None:
            raise SimulatorError(path, what, "is no kind of row", f"write one of {', '.join(_PARTS)}")
        text = ":".join([amount, *figures] if part == "bands" else [amount])
        text = text if part == "currency" else f"{name}={text}"
        try:
            value_of(part, [text])
        except click.BadParameter as error:
            raise SimulatorError(f"{path}: {what} {name!r}", None, error.message, "correct the row") from None
        found.setdefault(part, []).append(text)
    return {part: value_of(part, texts) for part, texts in found.items()}
