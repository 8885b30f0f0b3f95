"""Sections on answers of other verbs: several years, proposed terms, a back-test, each as its own page shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import xarray as xr

from ...errors import SimulatorError
from ...ledger.variables import kind_of
from .. import plots
from ..answers import kind_of as shown_as
from ..picture import question_of
from ..tables import Code, Table
from .charts import Picture
from .gather import Contents
from .svg import inline_svg

_HEADS = {
    "answer": "How large, by tail and risk?",
    "years": "What do several years of the same people mean?",
    "over_years": "What does the contract do over its years?",
    "propose": "Which terms are proposed?",
    "spread": "How much do organisations differ beyond luck?",
    "backtest": "Did such predictions come true?",
    "luck": "Was last year luck?",
    "stress": "Who is hurt when things do not go to plan?",
    "sensitivity": "Which assumption matters most?",
}
_PICTURED = {
    "years": ("regression_to_the_mean", "pooled_worth"), "propose": ("frontier",), "sensitivity": ("tornado",),
    "backtest": ("observed_spread", "pit_histogram"), "over_years": ("reserve_fan", "cumulative_surplus", "payback"),
}  # fmt: skip


class Section(NamedTuple):
    """One answer: its verdict, its pictures and its tables."""

    name: str
    head: str
    said: list[str]
    pictures: list[Picture]
    tables: list[Table]
    notes: list[str]


def besides(contents: Contents, draw: bool = True) -> Iterator[Section]:
    """A section for each answer that the report shows besides its own."""
    for number, answer in enumerate(contents.besides, start=1):
        kind = str(kind_of(answer))
        page = shown_as(answer)
        if page is None:
            raise SimulatorError("--with", kind, "is no answer of a verb", "name what a verb wrote with --out")
        try:
            made = page.page(answer)
        except KeyError as error:  # an answer that another version wrote
            raise SimulatorError("--with", kind, f"lacks {error}", "have the verb write it again") from error
        parts = [part for part in made.parts if not isinstance(part, Code)]
        tables = [part for part in parts if isinstance(part, Table) and part.rows]
        notes = [str(part) for part in parts if not isinstance(part, Table)]
        head = _HEADS.get(kind) or made.title or kind
        said = [*made.warnings, *made.verdict]
        pictures = [_picture(name, answer, f"beside-{number}") for name in _PICTURED.get(kind, ()) if draw]
        yield Section(f"beside-{number}", head, said, [one for one in pictures if one], tables, notes)


def _picture(name: str, answer: xr.Dataset, place: str) -> Picture | None:
    """A picture of an answer; None where that has not what it shows."""
    draw = getattr(plots, name)
    told = " ".join((draw.__doc__ or "").split("Parameters")[0].split())
    try:
        svg = inline_svg(lambda: draw(answer), f"{place}-{name}", question_of(draw), told)
    except SimulatorError:
        return None
    return Picture(f"{place}-{name}", question_of(draw), told, svg, ())
