"""A page: a verdict in words, then tables of figures. One table, in each of the forms that it is shown in."""

from __future__ import annotations

import math
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import zip_longest

from .figure import Cell as Cell
from .figure import Figure

Rows = list[list[Cell]]
"""Rows in the making."""

WIDEST = 120
"""Columns that a page takes at most."""

_NARROWEST = 40
_LONGEST_LABEL = 44


def clean(text: str) -> str:
    """Text of one line without anything that a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text))


class Code(str):
    """Lines to be copied as they are."""

    __slots__ = ()


@dataclass(frozen=True)
class Table:
    """A table of figures and words: its head, its rows, and what stands round it."""

    head: Sequence[str]
    """Empty where the rows speak for themselves."""
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    labels: int = 1
    """Columns at the left that name the row: set to the left, and repeated where a wide table is cut."""
    note: str = ""
    """Words below it."""
    prose: bool = False
    """Whether the cells are words, which are set to the left."""

    def lines(self, width: int = WIDEST) -> list[str]:
        """Aligned lines of at most `width` characters, the title wrapped above them."""
        head, rows = [clean(cell) for cell in self.head], [[shown(cell) for cell in row] for row in self.rows]
        lines = wrapped(self.title, width)
        for number, columns in enumerate(_parts(head, rows, self.labels, width)):
            part = [[row[column] for column in columns] for row in rows]
            lines += [""] if number else []
            lines += _aligned([head[column] for column in columns] if head else [], part, self.labels, width)
        return lines + (wrapped(self.note, width) if self.note else [])

    def html(self) -> str:
        """The table as HTML, escaped."""
        caption = f"<caption style='text-align:left'>{_lines_html(self.title)}</caption>" if self.title else ""
        head = "".join(
            f"<th scope='col' style='{_side(k, self.labels)}'>{escape(clean(c))}</th>" for k, c in enumerate(self.head)
        )
        body = "".join(
            f"<tr>{''.join(self._cell_html(k, cell) for k, cell in enumerate(row))}</tr>" for row in self.rows
        )
        note = f"<p>{_lines_html(self.note)}</p>" if self.note else ""
        return f"<table>{caption}{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>{note}"

    def _cell_html(self, column: int, cell: Cell) -> str:
        kind = "th scope='row'" if column < self.labels else "td"
        name, text = kind.split(maxsplit=1)[0], escape(shown(cell).strip())
        return f"<{kind} style='{_side(column, self.labels)}'>{text}</{name}>"

    def apart(self) -> Table:
        """The table with a column each for figures, their standard errors and the ends of their intervals."""
        columns = list(zip(*self.rows, strict=True)) or [()] * len(self.head)
        heads: list[str] = []
        cells: list[Sequence[Cell]] = []
        for head, column in zip(self.head, columns, strict=True):
            figures = [cell for cell in column if isinstance(cell, Figure)]
            heads.append(head)
            cells.append(column)
            if any(figure.varies for figure in figures):
                heads.append(f"{head}: {STANDARD_ERROR}")
                cells.append([_alone(c, c.error) if isinstance(c, Figure) and c.varies else None for c in column])
            if any(math.isfinite(sum(figure.interval)) for figure in figures):
                heads += [f"{head}: 95% lower", f"{head}: 95% upper"]
                cells += [[_end_of(cell, end) for cell in column] for end in (0, 1)]
        return replace(self, head=heads, rows=list(zip(*cells, strict=True)))


STANDARD_ERROR = "± s.e."


def shown(cell: Cell) -> str:
    """A cell as text of one line."""
    return "" if cell is None else clean(str(cell))


def _alone(cell: Figure, value: float) -> Figure:
    """Another number of a figure, with nothing beside it."""
    return replace(cell, value=value, interval=(math.nan, math.nan), beside="")


def _end_of(cell: Cell, end: int) -> Figure | None:
    return _alone(cell, cell.interval[end]) if isinstance(cell, Figure) and math.isfinite(cell.interval[end]) else None


@dataclass(frozen=True)
class Page:
    """What is told of an answer: its title, warnings, the verdict in words, then tables and notes."""

    title: str = ""
    verdict: Sequence[str] = ()
    parts: Sequence[Table | Code | str] = ()
    warnings: Sequence[str] = ()

    def text(self, width: int | None = None) -> str:
        """The page for a terminal of so many columns: its own, or 120 where there is none."""
        if width is None:
            width = max(_NARROWEST, min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST))
        return "\n\n".join("\n".join(block) for block in self._blocks(width) if block)

    def beside(self, other: Page) -> Page:
        """Both answers on one page: the verdict of the other below this one's, its tables before this one's."""
        tables = [part for part in other.parts if isinstance(part, Table)]
        notes = [part for part in other.parts if not isinstance(part, Table) and part not in self.parts]
        parts = [*tables, *self.parts[:-1], *notes, *self.parts[-1:]]
        return replace(self, verdict=[*self.verdict, *other.verdict], parts=parts)

    def _blocks(self, width: int) -> Iterator[list[str]]:
        yield wrapped(self.title, width)
        yield [line for said in self.warnings for line in wrapped(said, width)]
        yield [line for said in self.verdict for line in wrapped(said, width)]
        for part in self.parts:
            if isinstance(part, Code):
                yield [clean(line) for line in part.splitlines()]
            else:
                yield part.lines(width) if isinstance(part, Table) else wrapped(part, width)

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        said = [f"<p><strong>{_lines_html(self.title)}</strong></p>"] if self.title else []
        said += [f"<p><strong>{_lines_html(one)}</strong></p>" for one in self.warnings]
        said += [f"<p>{_lines_html(one)}</p>" for one in self.verdict]
        return f"<div>{''.join([*said, *map(_part_html, self.parts)])}</div>"


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters; the text's own line breaks are kept."""
    found = [textwrap.wrap(clean(line), width, break_on_hyphens=False) or [""] for line in text.splitlines()]
    return [line for lines in found for line in lines]


def _part_html(part: Table | Code | str) -> str:
    if isinstance(part, Table):
        return part.html()
    return f"<pre>{escape(part)}</pre>" if isinstance(part, Code) else f"<p>{_lines_html(part)}</p>"


def _lines_html(text: str) -> str:
    return "<br>".join(escape(clean(line)) for line in text.splitlines())


def _side(column: int, labels: int) -> str:
    return f"padding:.25em .75em;text-align:{'left' if column < labels else 'right'}"


def _widths(head: Sequence[str], rows: Sequence[Sequence[str]], labels: int, width: int) -> list[int]:
    """Of each column: its longest cell, or the longest word of its head; labels are wrapped where they are long."""
    longest = [max((len(row[k]) for row in rows), default=0) for k in range(len(head or rows[0]))]
    words = [max(map(len, cell.split()), default=0) for cell in head] or [0] * len(longest)
    limit = min(_LONGEST_LABEL, width // (labels + 1))
    cells = [min(one, limit) if k < labels else one for k, one in enumerate(longest)]
    return [
        max(cell, min(word, limit) if k < labels else word)
        for k, (cell, word) in enumerate(zip(cells, words, strict=True))
    ]


def _parts(head: Sequence[str], rows: Sequence[Sequence[str]], labels: int, width: int) -> list[list[int]]:
    """Columns of each table that a wide one is cut into."""
    if not (head or rows):
        return []
    widths = _widths(head, rows, labels, width)
    names = list(range(min(labels, len(widths))))
    room = width - sum(widths[k] + 2 for k in names)
    parts: list[list[int]] = [[]]
    for column in range(len(names), len(widths)):
        taken = sum(widths[k] + 2 for k in parts[-1])
        if parts[-1] and taken + widths[column] > room:
            parts.append([])
        parts[-1].append(column)
    return [names + part for part in parts]


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]], labels: int, width: int) -> list[str]:
    widths = _widths(head, rows, labels, width)
    spare = width - sum(widths) - 2 * (len(widths) - 1)
    for k in range(len(head)):  # a head stands on one line where there is room for it
        more = max(0, min(len(head[k]), _LONGEST_LABEL) - widths[k])
        if k < labels or more <= spare:
            taken = min(more, max(spare, 0))
            widths[k], spare = widths[k] + taken, spare - taken
    lines = [line for row in rows for line in _row(row, widths, labels)]
    if not head:
        return lines
    return [*_row(head, widths, labels, low=True), "─" * (sum(widths) + 2 * (len(widths) - 1)), *lines]


def _row(cells: Sequence[str], widths: Sequence[int], labels: int, low: bool = False) -> list[str]:
    """A row as lines: labels and heads are wrapped, numbers never; `low`: the last line of each cell is full."""
    stacks = [
        (textwrap.wrap(cell, size, break_on_hyphens=False) or [""]) if low or k < labels else [cell]
        for k, (cell, size) in enumerate(zip(cells, widths, strict=True))
    ]
    if low:
        deepest = max(map(len, stacks))
        stacks = [[""] * (deepest - len(stack)) + stack for stack in stacks]
    lines = []
    for line in zip_longest(*stacks, fillvalue=""):
        padded = [
            cell.ljust(size) if k < labels else cell.rjust(size)
            for k, (cell, size) in enumerate(zip(line, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    return lines
