"""`simulator plot`: any picture from a file that another verb wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..base import SimulatorError
from .shell import Verb, check_output, check_picture, clear_errors, without_display, write_picture, written
from .voice import Fraction

if TYPE_CHECKING:
    from .kinds import Asked


@click.command(cls=Verb)
@click.argument("source", required=False)
@click.option("--kind", required=True, help="Which picture; `--kind list` shows all, and the files each is made from.")
@click.option("-o", "--out", type=click.Path(), help="The picture: PNG, SVG or PDF; its numbers go to .csv beside it.")
@click.option("--members", type=click.IntRange(min=1), help="People of the population drawn; the largest by default.")
@click.option("--threshold", type=float, help="A threshold of the file; the last by default.")
@click.option("--margin", type=Fraction(-1, 10, min_open=True), default=0.03, show_default=True,
              help="Tolerance of the overspend.")  # fmt: skip
@click.option("--design", help="The design drawn; the first by default.")
def plot(
    source: str | None,
    kind: str,
    out: str | None,
    members: int | None,
    threshold: float | None,
    margin: float,
    design: str | None,
) -> None:
    """Draw a picture of SOURCE, a .nc file that `run`, `settle`, `stress` or `sensitivity` wrote with --out.

    Example: simulator plot results/es.nc --kind heat-map -o heat.png
    """
    with clear_errors():
        from .kinds import Asked, kind_of, open_any

        if kind == "list":
            click.echo(_listed())
            return
        chosen = kind_of(kind)
        if source is None or out is None:
            raise SimulatorError("plot", None, "needs a file to read and -o for the picture", "add them")
        figures = _check_places(out)
        asked = Asked(source, open_any(source), members, threshold, margin, design)
        asked.check("population_size", members)
        asked.check("threshold", threshold)
        _write(chosen.name, asked, out, figures)
        for path in (out, figures):
            written(path)


def _listed() -> str:
    from .kinds import KINDS

    rows = [[kind.name, kind.question, kind.files] for kind in KINDS.values()]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{name:<{widths[0]}}  {question:<{widths[1]}}  {files}" for name, question, files in rows)


def _check_places(out: str) -> Path:
    """Where the numbers go; refuses, before any work is done, what cannot be written."""
    check_picture(out, option="--out")
    figures = Path(out).with_suffix(".csv")
    check_output("--out", str(figures))
    return figures


def _write(name: str, asked: Asked, out: str, figures: Path) -> None:
    from ..files import write_whole
    from .kinds import KINDS

    without_display()
    kind = KINDS[name]
    shown = kind.make(asked)
    axes = kind.draw(shown, asked)
    write_whole(figures, lambda partial: kind.figures(shown).to_csv(partial, index=False))
    write_picture(axes, out)
