"""The report as an Excel workbook: a summary, every figure in one long table, the scenario, and where it comes from."""

import math
import os
import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pandas as pd
import xarray as xr

from ...files import check_writable, write_whole
from ...thresholds import is_share
from ..answers.places import places_table
from ..answers.propose import proposed_tables
from ..figure import Cell, Figure, amount, full_money, is_alike, people, percent, percentage, sign_of
from ..needed import needed
from ..tables import Table
from ..tidy import LAST, stacked, tidy
from .answer import answer_text, byline, contract_table, how_read, next_steps, tail_table
from .assumptions import WORDS, assumption_tables, provenance
from .besides import besides
from .gather import Contents
from .otherwise import stress_tables
from .sections import chance_table, design_tables, minimum_table, place_table, removed_table

_LONGEST = 32_767  # characters in a cell
_OPTIONS = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False, "in_memory": True}
_WORDS: dict[str, dict[str, Any]] = {
    "title": {"bold": True, "font_size": 16, "font_color": "#12436D", "text_wrap": True, "valign": "top"},
    "lead": {"font_size": 12, "text_wrap": True, "valign": "top"},
    "heading": {"bold": True, "font_size": 12, "font_color": "#12436D"},
    "note": {"font_color": "#4A5358", "text_wrap": True, "valign": "top"},
    "plain note": {"font_color": "#4A5358"},
    "label": {"valign": "top"},
    "text": {"valign": "top", "align": "left", "indent": 1},
    "wrapped": {"text_wrap": True, "valign": "top", "align": "left", "indent": 1},
    "label head": {"bold": True, "text_wrap": True, "valign": "bottom", "bottom": 1},
    "head": {"bold": True, "text_wrap": True, "align": "left", "valign": "bottom", "bottom": 1, "indent": 1},
    "number head": {"bold": True, "text_wrap": True, "align": "right", "valign": "bottom", "bottom": 1},
}
_PAPER_A4 = 9
_MANY = 20
"""Rows from which a table of the summary can be filtered."""

_NO_HEAD = ("What", "Value")
"""Heads of a table whose rows speak for themselves: Excel's have heads."""

_SUMMARY_WIDTHS = (26, 22, 26)
_TYPE = 11
"""Points of standard type."""

_LINE = 1.36
"""Height of a line as a multiple of its type."""


def write_workbook(contents: Contents, path: str | os.PathLike[str]) -> None:
    """Write a workbook, whole or not at all."""
    check_writable(path)
    made = BytesIO()  # whole before the disk is asked: on a full one the library prints what nobody should see
    _Workbook(contents, made).write()
    write_whole(path, lambda partial: partial.write_bytes(made.getbuffer()))


class _Workbook:
    """One workbook in the making."""

    def __init__(self, contents: Contents, made: BytesIO) -> None:
        self.contents = contents
        self.book = needed("xlsxwriter", "report --xlsx").Workbook(made, _OPTIONS)
        self.formats = {name: self.book.add_format(properties) for name, properties in _WORDS.items()}
        self.tables = 0
        self.widths: Sequence[int] = ()
        """Of the columns of the sheet in the making, in characters."""

    def write(self) -> None:
        """Write every sheet and close the file."""
        known = self.contents.summary.attrs
        made = created(known.get("created_at"))
        self.book.set_properties({"title": str(known["title"]), "comments": "Capitation risk report", "created": made})
        self._summary()
        self._long()
        self._charts()
        self._words("Assumptions", list(assumption_tables(self.contents)))
        limits: list[list[Cell]] = [[people(k), limit] for k, limit in enumerate(WORDS["limits"], start=1)]
        told = Table(["No.", "Limitation"], limits, "Limitations", prose=True)
        self._words("Sources and limits", [provenance(self.contents), told])
        words: list[list[Cell]] = [[term, meaning] for term, meaning in WORDS["glossary"].items()]
        self._words("Glossary", [Table(["Word", "Meaning"], words, prose=True)])
        self.book.close()

    def _sheet(self, name: str, widths: Sequence[int], repeated: int) -> Any:
        """A new sheet: its columns, and how it prints, with the row `repeated` on top of every page."""
        sheet = self.book.add_worksheet(name)
        self.widths = widths
        for column, width in enumerate(widths):
            sheet.set_column(column, column, width)
        sheet.set_landscape()
        sheet.set_paper(_PAPER_A4)
        sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(repeated)
        sheet.set_footer("&L&A&RPage &P of &N")
        return sheet

    # ── the summary ──

    def _summary(self) -> None:
        tables = [table.apart() for table in _summary_tables(self.contents)]
        widest = max(len(table.head) for table in tables)
        sheet = self._sheet("Answer", [*_SUMMARY_WIDTHS[:widest], *[13] * (widest - len(_SUMMARY_WIDTHS))], 0)
        sheet.hide_gridlines(2)
        said = ((str(self.contents.summary.attrs["title"]), "title"), (answer_text(self.contents), "lead"),
                (how_read(self.contents), "note"), (byline(self.contents), "note"),
                (f"Next: {' '.join(next_steps(self.contents))}", "lead"))  # fmt: skip
        for row, (text, form) in enumerate(said):
            self._line(sheet, row, widest - 1, text, form)
        sheet.freeze_panes(1, 1)
        row = len(said) + 1
        for table in tables:
            row = self._figures(sheet, row, table, widest - 1)

    def _line(self, sheet: Any, row: int, last: int, text: str, form: str) -> None:
        """Words across the sheet, the row as high as they need."""
        sheet.merge_range(row, 0, row, last, "", self.formats[form])
        self._text(sheet, row, 0, text, form)
        size = _WORDS[form].get("font_size", _TYPE)
        sheet.set_row(row, _LINE * size * _lines(text, sum(self.widths[: last + 1]) * _TYPE / size))

    def _figures(self, sheet: Any, row: int, table: Table, last: int) -> int:
        """A table of figures with its caption; gives the row below it."""
        self._text(sheet, row, 0, table.title, "heading")
        if table.note:
            self._line(sheet, row + 1, last, table.note, "note")
        self._named_table(sheet, row + 2, table.head, table.rows, filtered=len(table.rows) > _MANY)
        for number, cells in enumerate(table.rows, start=row + 3):
            for column, cell in enumerate(cells):
                self._figure(sheet, number, column, cell)
        return row + 3 + len(table.rows) + 1

    def _figure(self, sheet: Any, row: int, column: int, cell: Cell) -> None:
        if isinstance(cell, Figure):
            if math.isfinite(cell.value) and not cell.is_bound:
                sheet.write_number(row, column, cell.value, self._number_format(cell.unit, cell.decimals))
            else:
                self._text(sheet, row, column, cell.text, "text" if column else "label")
        elif cell:
            self._text(sheet, row, column, cell, "text" if column else "label")

    # ── charts that Excel draws, so that they can be edited ──

    def _charts(self) -> None:
        """Each table of figures with a chart of it to the right."""
        sheet = self._sheet("Charts", [26, *[16] * 5], 0)
        self._text(sheet, 0, 0, "Charts", "title")
        sheet.freeze_panes(1, 1)
        row = 2
        for table, kind, columns in _charted(self.contents):
            self._figures(sheet, row, table, 5)
            first, last = row + 3, row + 2 + len(table.rows)
            chart = self.book.add_chart({"type": kind})
            for column in columns:
                names, values = ["Charts", first, 0, last, 0], ["Charts", first, column, last, column]
                chart.add_series({"name": ["Charts", row + 2, column], "categories": names, "values": values})
            chart.set_title({"name": table.title, "overlay": False, "name_font": {"size": 11}})
            chart.set_size({"width": 720, "height": 320})
            sheet.insert_chart(row, max(len(table.head) + 1, 7), chart)
            row = max(last + 2, row + 18)

    # ── sheets of words and assumptions ──

    def _words(self, name: str, tables: Sequence[Table]) -> None:
        prose = all(table.prose for table in tables)
        sheet = self._sheet(name, (30, 110) if prose else (30, *[22] * 7), 0)
        self._text(sheet, 0, 0, name, "title")
        sheet.freeze_panes(1, 1)
        row = 2
        for table in tables:
            row = self._table(sheet, row, table, wrapped=prose)

    def _table(self, sheet: Any, row: int, table: Table, wrapped: bool = False) -> int:
        """A table of words and given numbers with its caption; gives the row below it."""
        for said, form in ((table.title, "heading"), (table.note, "plain note")):
            if said:
                self._text(sheet, row, 0, said, form)
                row += 1
        self._named_table(sheet, row, table.head or _NO_HEAD, table.rows, prose=wrapped)
        for number, cells in enumerate(table.rows, start=row + 1):
            for column, cell in enumerate(cells):
                if isinstance(cell, Figure) and math.isfinite(cell.value):
                    form = self._number_format(cell.unit, cell.decimals, "left" if wrapped else "")
                    sheet.write_number(number, column, cell.value, form)
                else:
                    told = "label" if not column else "wrapped" if wrapped else "text"
                    self._text(sheet, number, column, str(cell or ""), told)
            if wrapped:
                sheet.set_row(number, _LINE * _TYPE * max(map(_lines, map(str, cells), self.widths)))
        return row + 1 + len(table.rows) + 2

    def _named_table(
        self, sheet: Any, row: int, head: Sequence[str], rows: Sequence[Sequence[Any]], name: str = "",
        filtered: bool = False, prose: bool = False,
    ) -> None:  # fmt: skip
        """An Excel table round the rows, each head set as the values below it."""
        self.tables += 1
        before = [sum(other.lower() == one.lower() for other in head[:k]) for k, one in enumerate(head)]
        # Excel refuses a table that has a head twice
        heads = [f"{one} ({twin + 1})" if twin else one for one, twin in zip(head, before, strict=True)]
        columns = []
        for k, one in enumerate(heads):
            counts = not prose and any(isinstance(row[k], Figure) for row in rows)
            form = "number head" if counts else "head" if k else "label head"
            columns.append({"header": one, "header_format": self.formats[form]})
        sheet.set_row(row, _LINE * _TYPE * max(map(_lines, heads, self.widths)))
        options = {"columns": columns, "name": name or f"{sheet.get_name().replace(' ', '')}{self.tables}",
                   "style": "Table Style Light 1", "autofilter": filtered}  # fmt: skip
        sheet.add_table(row, 0, row + len(rows), len(head) - 1, options)

    # ── every figure ──

    def _long(self) -> None:
        heads, rows = long_table(self.contents)
        sheet = self._sheet("Every figure", [WIDTHS.get(head, WIDTH) for head in heads], 0)
        sheet.freeze_panes(1, 1)
        self._named_table(sheet, 0, heads, rows, name="LongTable", filtered=True)
        for number, cells in enumerate(rows, start=1):
            for column, cell in enumerate(cells):
                self._figure(sheet, number, column, cell)

    # ── cells ──

    def _number_format(self, unit: str, decimals: int, side: str = "") -> Any:
        """The format of a number: by currency, and with so many decimals."""
        code = _code(unit, decimals, self.contents.currency)
        if code + side not in self.formats:
            set_to = {"align": side, "indent": 1} if side else {}
            self.formats[code + side] = self.book.add_format({"num_format": code, "valign": "top"} | set_to)
        return self.formats[code + side]

    def _text(self, sheet: Any, row: int, column: int, text: str, form: str) -> None:
        """Text as text, whatever it begins with."""
        sheet.write_string(row, column, text[:_LONGEST], self.formats[form])


def _charted(contents: Contents) -> Iterator[tuple[Table, str, list[int]]]:
    """Tables, the kind of their chart, and the columns that it draws."""
    chances = chance_table(contents, contents.target.margin)
    yield chances, "line" if contents.has_sizes else "column", [*range(1, len(chances.head))]
    if contents.judged is not None:
        table = places_table(contents.judged)
        yield table, "bar", [*range(2, len(table.head) - 1)]
    if contents.compared is not None:
        made = contract_table(contents)
        rows = [[f"{row[0]}: {row[1]}", *row[5:7]] for row in made.rows]
        yield Table(["Contract and party", *made.head[5:7]], rows, made.title), "bar", [1, 2]


def _summary_tables(contents: Contents) -> Iterator[Table]:
    """What the summary shows, in its order."""
    if contents.compared is not None:
        yield contract_table(contents)
    if contents.by_tail is not None:
        yield tail_table(contents)
    if contents.judged is not None:
        yield places_table(contents.judged)
    if contents.has_sizes:
        yield minimum_table(contents)
    yield place_table(contents)
    removed = removed_table(contents)
    yield from [removed] if removed.rows else []
    yield from design_tables(contents)
    yield from [] if contents.proposed is None else proposed_tables(contents.proposed)
    if contents.stressed is not None:
        yield from (table for table in stress_tables(contents) if not table.prose)
    yield from (table for one in besides(contents, draw=False) for table in one.tables if table.head)


def _code(unit: str, decimals: int, currency: str) -> str:
    """Excel's code of a number format."""
    places = f".{'0' * decimals}" if decimals else ""
    if is_share(unit):
        return f"0{places}%"
    if unit == "people":
        return "#,##0"
    return f"0{places}" if unit == "number" else f'"{sign_of(currency)}"#,##0{places}'


def _lines(text: str, width: float) -> int:
    """Lines that a text takes in a column of so many characters."""
    return max(1, len(textwrap.wrap(text, max(int(0.9 * width), 8))))


def created(told: Any) -> datetime:
    """When the ledger was drawn, so that the same ledger gives the same file."""
    try:
        return datetime.fromisoformat(str(told)).astimezone(UTC).replace(tzinfo=None)
    except ValueError:
        return datetime(2000, 1, 1)


WIDTHS = {"figure": 24, "meaning": 46, "rule": 18, "design": 22, "party": 16}
"""Characters of the columns that hold words; others have `WIDTH`."""

WIDTH = 13


def long_table(contents: Contents) -> tuple[list[str], list[list[Cell]]]:
    """The heads of the table and its rows."""
    rows = stacked([_long_rows(contents, one) for one in _answers(contents)])
    rows = rows[rows["value"].notna()]
    rows = rows.dropna(axis="columns", how="all")
    heads = [str(name) for name in rows]
    of = is_share(contents.summary["threshold"].attrs.get("units")), contents.currency
    return heads, [[_long_cell(record, name, *of) for name in heads] for record in rows.to_dict("records")]


def _answers(contents: Contents) -> Iterator[xr.Dataset]:
    yield contents.summary
    for margin in contents.margins if contents.has_sizes else ():
        yield contents.minimum(margin).expand_dims(margin=[margin])
    found = (contents.compared, *(contents.units or ()), contents.stressed, contents.proposed)
    yield from (one for one in found if one is not None)


def _long_rows(contents: Contents, answer: xr.Dataset) -> pd.DataFrame:
    rows = tidy(answer)
    meanings = {str(name): str(values.attrs.get("long_name", "")) for name, values in answer.data_vars.items()}
    rows.insert(1, "meaning", rows["figure"].map(meanings))
    if "threshold" in rows:
        names = dict(zip(contents.summary["threshold"].values.tolist(), contents.thresholds, strict=True))
        rows.insert(2, "rule", rows["threshold"].map(names))
    return rows


def _long_cell(record: dict[Any, Any], name: str, by_percentile: bool, currency: str) -> Cell:
    value = record[name]
    if isinstance(value, str) or value is None:
        return value
    number = float(value)
    if not math.isfinite(number):
        return None
    if name in LAST[:4]:
        return _long_figure(number, record, name)
    if name in ("margin", "quantile_level", "at_most") or (name == "threshold" and by_percentile):
        return percentage(number)
    return full_money(number, currency) if name == "threshold" else people(number)


def _long_figure(number: float, record: dict[Any, Any], name: str) -> Figure | None:
    unit, error = str(record["unit"]), record["error"]
    known = math.nan if error is None else float(error)
    if name == "error" and is_alike(number, 0.0 if is_share(unit) else float(record["value"])):
        return None  # none is known
    if unit == "people":
        return people(number)
    return percent(number, known) if is_share(unit) else amount(number, known, unit)
