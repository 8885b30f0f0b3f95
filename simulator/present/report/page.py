"""The report as one self-contained HTML file: styles, pictures, figures and script inside, and nothing is fetched."""

import base64
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from ...files import check_writable, write_whole
from ...numerals import plain
from ..figure import DIGITS_NOTE, percentage
from ..needed import needed
from . import otherwise, sections
from .answer import answer, byline, carried, contract_table, how_read, next_steps, tail_table
from .assumptions import WORDS, assumption_tables, provenance
from .besides import besides
from .charts import BEARERS, PLACES, picture_of, pictures
from .explorer import HEIGHT, WIDTH, explorer
from .gather import Contents
from .terms import budget_table

_TEMPLATES = Path(__file__).with_name("templates")


def write_html(contents: Contents, path: str | os.PathLike[str]) -> None:
    """Write a report, whole or not at all."""
    check_writable(path)
    page = html_of(contents)
    write_whole(path, lambda partial: partial.write_text(page, encoding="utf-8"))


def html_of(contents: Contents) -> str:
    """The report as HTML."""
    template = _environment().get_template("report.html.j2")
    explored, script = explorer(contents), _read("explorer.js")
    # what the page's own policy knows its script by; any other is refused
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page: str = template.render(
        contents=contents,
        known=contents.summary.attrs,
        answer=answer(contents),
        carried=carried(contents),
        bearers=picture_of(BEARERS, contents, "bearers") if BEARERS.is_for(contents) else None,
        otherwise=otherwise.said(contents) if contents.scenario.get("stresses") else [],
        hurt=picture_of(otherwise.CHART, contents, "hurt") if otherwise.CHART.is_for(contents) else None,
        budgets=budget_table(contents) if contents.agreed is not None else None,
        how_read=how_read(contents),
        byline=byline(contents),
        contracts=None if contents.compared is None else contract_table(contents),
        tails=None if contents.by_tail is None else tail_table(contents),
        following=list(next_steps(contents)),
        places=picture_of(PLACES, contents, "places") if PLACES.is_for(contents) else None,
        besides=list(besides(contents)),
        pictures=list(pictures(contents)),
        explorer=explored,
        box=(WIDTH, HEIGHT),
        grid=_json(explored.grid),
        sections=sections,
        assumptions=list(assumption_tables(contents)),
        provenance=provenance(contents),
        **WORDS,
        percentage=percentage,
        note=DIGITS_NOTE,
        style=_read("report.css"),
        script=script,
        script_hash=f"sha256-{digest}",
    )
    return page


def _environment() -> Any:
    jinja2 = needed("jinja2", "report")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    # a sentence in which no figure is torn from its sign, or from its error
    environment.filters["unbroken"] = lambda text: re.sub(
        r" ±( <)? ", lambda sign: sign[0].replace(" ", "\u00a0"), text
    ).replace("−", "−\u2060")
    return environment


def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _json(grid: dict[str, Any]) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(plain(grid), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
