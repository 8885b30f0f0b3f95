"""The summary of a report as a Word document: the answer, contracts, pictures and next steps, ready to edit."""

import os
from io import BytesIO
from typing import Any

from ...files import check_writable, write_whole
from .. import plots
from ..needed import needed
from ..picture import question_of
from ..plots.style import picture_bytes
from ..tables import Table, shown
from .answer import Part, answer, byline, carried, contract_table, how_read, next_steps, tail_table
from .assumptions import WORDS
from .besides import besides
from .charts import BEARERS, CHARTS, PLACES, Chart
from .gather import Contents
from .workbook import created

_WIDTH = 16.5  # centimetres between the margins of an A4 page
_PICTURED = (PLACES, BEARERS, *CHARTS[:3])


def write_word(contents: Contents, path: str | os.PathLike[str]) -> None:
    """Write the summary, whole or not at all."""
    docx = needed("docx", "report --out x.docx", "word")
    check_writable(path)
    made = _document(docx, contents)
    write_whole(path, lambda partial: made.save(str(partial)))


def _document(docx: Any, contents: Contents) -> Any:
    made, known = docx.Document(), contents.summary.attrs
    page, centimetres = made.sections[0], docx.shared.Cm
    page.page_width, page.page_height = centimetres(21), centimetres(29.7)
    page.left_margin = page.right_margin = page.top_margin = page.bottom_margin = centimetres(2.25)
    properties = made.core_properties
    properties.title, properties.author, properties.comments = str(known["title"]), contents.author, byline(contents)
    properties.created = properties.modified = created(known.get("created_at"))
    made.add_heading(str(known["title"]), 0)
    if known.get("check") == "failed":
        _said(made, (Part(str(known["check_sentence"]), strong=True),))
    _said(made, answer(contents))
    if told := carried(contents):
        made.add_paragraph(told)
    made.add_paragraph(how_read(contents))
    made.add_paragraph(byline(contents))
    if contents.compared is not None:
        _table(made, docx, contract_table(contents))
    if contents.by_tail is not None:
        _table(made, docx, tail_table(contents))
    made.add_heading("What to do next", 1)
    for step in next_steps(contents):
        made.add_paragraph(step, style="List Number")
    for chart in _PICTURED:
        if chart.is_for(contents):
            made.add_heading(question_of(getattr(plots, chart.draws)), 1)
            made.add_picture(_picture(chart, contents), width=centimetres(_WIDTH))
            made.add_paragraph(chart.told, style="Caption")
    for section in besides(contents, draw=False):
        made.add_heading(section.head, 1)
        for sentence in section.said:
            made.add_paragraph(sentence)
        for table in section.tables:
            _table(made, docx, table)
    made.add_heading("Limitations", 1)
    for limit in WORDS["limits"]:
        made.add_paragraph(limit, style="List Bullet")
    return made


def _said(made: Any, parts: tuple[Part, ...]) -> None:
    paragraph = made.add_paragraph()
    for part in parts:
        paragraph.add_run(part.text).bold = part.strong


def _picture(chart: Chart, contents: Contents) -> BytesIO:
    shown_there = chart.shown(contents)
    return BytesIO(picture_bytes(getattr(plots, chart.draws)(shown_there), "page"))


def _table(made: Any, docx: Any, table: Table) -> None:
    """A table in small type, its title above and its note below; numbers to the right."""
    made.add_paragraph(table.title, style="Caption").paragraph_format.keep_with_next = True
    rows = [*([list(table.head)] if table.head else []), *([shown(cell) for cell in row] for row in table.rows)]
    grid = made.add_table(len(rows), len(rows[0]), style="Light List Accent 1")
    right = docx.enum.text.WD_ALIGN_PARAGRAPH.RIGHT
    for line, row in zip(rows, grid.rows, strict=True):
        for column, (text, cell) in enumerate(zip(line, row.cells, strict=True)):
            paragraph = cell.paragraphs[0]
            paragraph.add_run(text.strip()).font.size = docx.shared.Pt(8)
            if column >= table.labels and not table.prose:
                paragraph.alignment = right
    if table.note:
        made.add_paragraph(table.note).runs[0].font.size = docx.shared.Pt(8)
