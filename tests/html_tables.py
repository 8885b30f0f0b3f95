"""A report as it can be read back: its tables, cell by cell, and the sentences at its head."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import NamedTuple


class Read(NamedTuple):
    """A table of a report."""

    caption: str
    note: str
    head: list[str]
    rows: list[list[str]]


def read_report(page: str) -> tuple[list[Read], list[str]]:
    """Every table of a report, and the sentences of its answer, in their order."""
    reader = _Reader()
    reader.feed(page)
    tables = [
        Read(*(_line(one[part]) for part in ("caption", "note")), *_head_and_rows(one["rows"])) for one in reader.tables
    ]
    return tables, [_line(said) for said in reader.words]


def _head_and_rows(rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    head, *body = [[_line(cell) for cell in row] for row in rows]
    return head, body


def _line(text: str) -> str:
    return " ".join(text.split())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tables: list[dict] = []
        self.words: list[str] = []
        self._into = ""

    def handle_starttag(self, tag, attrs):
        kind = dict(attrs).get("class") or ""
        if tag == "table":
            self.tables.append({"caption": "", "note": "", "rows": []})
        elif tag == "caption":
            self._into = "caption"
        elif tag == "span" and kind == "note" and self._into == "caption":
            self._into = "note"
        elif tag == "tr":
            self.tables[-1]["rows"].append([])
        elif tag in ("td", "th"):
            self.tables[-1]["rows"][-1].append("")
            self._into = "cell"
        elif tag == "p" and kind in ("answer", "how", "told"):
            self.words.append("")
            self._into = "words"

    def handle_endtag(self, tag):
        if tag in ("caption", "p", "td", "th"):
            self._into = ""

    def handle_data(self, data):
        if self._into == "words":
            self.words[-1] += data
        elif self._into == "cell":
            self.tables[-1]["rows"][-1][-1] += data
        elif self._into:
            self.tables[-1][self._into] += data
