"""The report as an Excel workbook: a summary, every figure in one long table, the scenario, and where it comes from."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from ...base import SimulatorError
from ...files import check_writable, write_whole
from . import sections
from .answer import answer_text, how_read
from .assumptions import LIMITS, assumption_tables, provenance
from .gather import Contents
from .glossary import GLOSSARY
from .names import EVERY_FIGURE, NO_EXCLUSION
from .tables import Table
from .tidy import COLUMNS, tidy

_LONGEST = 32_767  # characters in a cell
_OPTIONS = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False, "in_memory": True}
_FORMATS: dict[str, dict[str, Any]] = {
    "title": {"bold": True, "font_size": 16, "font_color": "#12436D"},
    "lead": {"font_size": 12, "text_wrap": True, "valign": "top"},
    "heading": {"bold": True, "font_size": 12, "font_color": "#12436D"},
    "note": {"font_color": "#4A5358"},
    "text": {"valign": "top"},
    "wrapped": {"text_wrap": True, "valign": "top"},
    "right": {"align": "right", "valign": "top"},
    "people": {"num_format": "#,##0"},
    "share": {"num_format": "0.00%"},
    "money": {"num_format": "#,##0.00"},
    "number": {"num_format": "0.0000"},
}


def write_workbook(contents: Contents, path: str | os.PathLike[str]) -> None:
    """Write a workbook, whole or not at all.

    Parameters
    ----------
    contents : Contents
        What `gather` gave.
    path : path-like
        The .xlsx file.

    Raises
    ------
    SimulatorError
        Where the extra ``report`` is not installed, or the file cannot be written.
    """
    check_writable(path)
    made = BytesIO()  # whole before the disk is asked: on a full one the library prints what nobody should see
    _Workbook(contents, made).write()
    write_whole(path, lambda partial: partial.write_bytes(made.getbuffer()))


class _Workbook:
    """One workbook in the making."""

    def __init__(self, contents: Contents, made: BytesIO) -> None:
        self.contents = contents
        self.book = _xlsxwriter().Workbook(made, _OPTIONS)
        self.formats = {name: self.book.add_format(properties) for name, properties in _FORMATS.items()}
        self.tables = 0

    def write(self) -> None:
        """Write every sheet and close the file."""
        known = self.contents.summary.attrs
        made = _created(known.get("created_at"))
        self.book.set_properties({"title": str(known["title"]), "comments": "Capitation risk report", "created": made})
        self._summary()
        self._long()
        self._words("Scenario", list(assumption_tables(self.contents)))
        self._words("Provenance", [provenance(self.contents), Table("Limits", ["No.", "What this cannot tell you"],
                    [[str(k), limit] for k, limit in enumerate(LIMITS, start=1)], prose=True)])  # fmt: skip
        words = [[word.term, word.meaning] for word in GLOSSARY]
        self._words("Glossary", [Table("Glossary", ["Word", "Meaning"], words, prose=True)])
        self.book.close()

    # ── sheets of words and finished cells ──

    def _summary(self) -> None:
        sheet = self.book.add_worksheet("Summary")
        sheet.hide_gridlines(2)
        sheet.set_column(0, 0, 30)
        sheet.set_column(1, 12, 26)
        self._text(sheet, 0, 0, str(self.contents.summary.attrs["title"]), "title")
        sheet.merge_range(1, 0, 1, 5, "", self.formats["lead"])
        self._text(sheet, 1, 0, answer_text(self.contents), "lead")
        sheet.set_row(1, 50)
        self._text(sheet, 2, 0, f"{how_read(self.contents)} {EVERY_FIGURE}", "note")
        sheet.freeze_panes(3, 1)
        row = 4
        for table in self._summary_tables():
            row = self._table(sheet, row, table)

    def _summary_tables(self) -> Iterator[Table]:
        contents = self.contents
        if contents.has_sizes:
            yield sections.minimum_table(contents)
        yield sections.chance_table(contents, contents.target.margin)
        yield from sections.figure_tables(contents)
        removed = sections.removed_table(contents)
        yield from [removed] if removed.rows else []
        yield from sections.design_tables(contents)

    def _words(self, name: str, tables: Sequence[Table]) -> None:
        sheet = self.book.add_worksheet(name)
        prose = all(table.prose for table in tables)
        sheet.set_column(0, 0, 30)
        sheet.set_column(1, 1, 100 if prose else 24)
        sheet.set_column(2, 8, 22)
        self._text(sheet, 0, 0, name, "title")
        sheet.freeze_panes(1, 1)
        row = 2
        for table in tables:
            row = self._table(sheet, row, table, wrapped=prose)

    def _table(self, sheet: Any, row: int, table: Table, wrapped: bool = False) -> int:
        """A table of text with its caption; gives the row below it."""
        self._text(sheet, row, 0, table.caption, "heading")
        if table.note:
            self._text(sheet, row + 1, 0, table.note, "note")
        self._named_table(sheet, row + 2, table.head, len(table.rows))
        body = "wrapped" if wrapped else "text" if table.prose else "right"
        for number, cells in enumerate(table.rows, start=row + 3):
            for column, cell in enumerate(cells):
                self._text(sheet, number, column, cell, body if column else "text")
        return row + 3 + len(table.rows) + 2

    def _named_table(self, sheet: Any, row: int, head: Sequence[str], rows: int, name: str = "") -> None:
        self.tables += 1
        columns = [{"header": _once(head, place)} for place in range(len(head))]
        options = {"columns": columns, "name": name or f"{sheet.get_name()}{self.tables}",
                   "style": "Table Style Light 1", "autofilter": bool(name)}  # fmt: skip
        sheet.add_table(row, 0, row + rows, len(head) - 1, options)

    # ── every figure ──

    def _long(self) -> None:
        figures = tidy(self.contents)
        sheet = self.book.add_worksheet("Long")
        sheet.freeze_panes(1, 1)
        for column, width in enumerate((24, 13, 20, 13, 24, 28, 24, 9, 9, 18, 18, 16, 14, 14, 14)):
            sheet.set_column(column, column, width)
        self._named_table(sheet, 0, COLUMNS, len(figures), name="LongTable")
        for number, row in enumerate(figures.to_dict("records"), start=1):
            for column, name in enumerate(COLUMNS):
                self._cell(sheet, number, column, row[name], self._format(name, row))

    def _format(self, column: str, row: dict[Any, Any]) -> str:
        if column in ("margin", "level"):
            return "share"
        if column in ("population", "threshold"):
            return "share" if column == "threshold" and self._is_percentile() else "people"
        if row["unit"] == "people":
            return "people"
        if row["unit"] == "1":
            return "number" if "skewness" in row["statistic"] else "share"
        return "money"

    def _is_percentile(self) -> bool:
        return self.contents.summary["threshold"].attrs.get("units") == "1"

    def _cell(self, sheet: Any, row: int, column: int, value: Any, form: str) -> None:
        if isinstance(value, str):
            self._text(sheet, row, column, value, "text")
        elif value is None or math.isnan(value):
            return
        elif math.isinf(value):
            told = NO_EXCLUSION if COLUMNS[column] == "threshold" else "above the largest size"
            self._text(sheet, row, column, told, "right")
        else:
            sheet.write_number(row, column, value, self.formats[form])

    def _text(self, sheet: Any, row: int, column: int, text: str, form: str) -> None:
        """Text as text, whatever it begins with."""
        sheet.write_string(row, column, text[:_LONGEST], self.formats[form])


def _xlsxwriter() -> Any:
    try:
        import xlsxwriter
    except ImportError:
        raise SimulatorError(
            "report --xlsx", None, "needs xlsxwriter, which is not installed", 'pip install "capitation-risk[report]"'
        ) from None
    return xlsxwriter


def _created(told: Any) -> datetime:
    """When the ledger was drawn, so that the same ledger gives the same file."""
    try:
        return datetime.fromisoformat(str(told)).astimezone(UTC).replace(tzinfo=None)
    except ValueError:
        return datetime(2000, 1, 1)


def _once(head: Sequence[str], place: int) -> str:
    """A column's head; Excel refuses a table that has one twice."""
    before = sum(other.lower() == head[place].lower() for other in head[:place])
    return f"{head[place]} ({before + 1})" if before else head[place]
