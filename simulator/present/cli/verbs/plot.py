"""`simulator plot`: any picture from a file that another verb wrote."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ....errors import SimulatorError
from .. import shell
from ..option_types import Amount, Whole, overspend_options
from ..shell import Rendered, Verb, check_output, emit, outputs

if TYPE_CHECKING:
    import pandas as pd

    from ...picture import Picture
    from ...plot_request import PlotRequest


@click.command(cls=Verb)
@click.argument("source", required=False)
@click.option("--kind", required=True, help="Which picture; `--kind list` shows all, or those of SOURCE.")
@click.option(
    "-o", "--out", type=click.Path(), help="The picture: PNG, SVG or PDF; its numbers go to a .csv next to it."
)
@click.option(
    "--for", "use", type=click.Choice(["screen", "page", "slide"]), default="screen",
    help="What the picture is for: a page has 300 dots per inch, a slide is 16:9 too.",
)  # fmt: skip
@click.option("--members", type=Whole(min=1), help="Population shown; the largest by default.")
@click.option("--year", type=Whole(), help="Year shown, if the file has several; year 1 by default.")
@click.option("--threshold", type=Amount(is_threshold=True), help="A threshold of the file; the last by default.")
@overspend_options("Overspend margin.")
@click.option("--design", help="Design shown; the first by default.")
@click.option("--actuals", type=click.Path(), help="Funnel: show real rows of this CSV file; SOURCE may be a scenario.")
@outputs
@click.pass_context
def plot(context: click.Context, /, source: str | None, kind: str, out: str | None, use: str, **wanted: Any) -> None:
    """Draw a picture of SOURCE, a .nc file that another verb wrote with --out.

    --actuals reads one row per practice, with the columns members and cost (a year) and, where known, expected (cost)
    and practice (its name).

    Example: simulator plot results/es.nc --kind heat-map -o heat.png
    """
    import xarray as xr

    from ...pictures import PICTURES, check, drawable, picture_named
    from ...plot_request import PlotRequest, of_year, open_any

    if kind == "list":
        click.echo(_listed(drawable(PlotRequest(source, open_any(source))) if source else list(PICTURES)))
        return
    chosen = picture_named(kind)
    if source is None or out is None:
        raise SimulatorError("plot", None, "needs a file to read and -o for the picture", "add them")
    shell.check_forms(source)
    csv, actuals, year = shell.forms().csv, wanted["actuals"], wanted.pop("year")
    figures = _check_places(out, source, csv)
    for place in (out, str(figures), csv):
        check_output("--out", place if place != "-" else None, actuals)
    for name in wanted:
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and name not in chosen.takes:
            option = f"--{name.replace('_', '-')}"
            raise SimulatorError(option, None, f"does nothing for {chosen.name}", "omit it")
    found = xr.Dataset() if actuals and source.endswith(".toml") else open_any(source)
    asked = PlotRequest(source, of_year(found, year, source), **wanted)
    asked.check("population_size", asked.members)
    asked.check("threshold", asked.threshold)
    check(chosen, asked)
    rows = _write(chosen, asked, out, figures, use)
    told = {"kind": chosen.name, "question": chosen.question, "picture": out, "figures": rows.to_dict("records")}
    emit(Rendered(None, lambda: told, lambda: rows), out, figures)


def _listed(names: list[str]) -> str:
    from ...pictures import PICTURES

    rows = [[kind.name, kind.question, kind.files] for kind in map(PICTURES.__getitem__, names)]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    lines = [f"{name:<{widths[0]}}  {question:<{widths[1]}}  {files}" for name, question, files in rows]
    return "\n".join(lines) or "no picture can be drawn from this file"


def _check_places(out: str, source: str, csv: str | None) -> Path:
    """Where the numbers go; refuses, before any work is done, what cannot be written."""
    shell.check_picture(out, source, "--out")
    figures = Path(out).with_suffix(".csv")
    check_output("--out", str(figures), source)
    if csv and csv != "-" and os.path.realpath(csv) == os.path.realpath(out):
        raise SimulatorError("--csv", None, "names the picture", "name another file")
    return figures


def _write(kind: Picture, request: PlotRequest, out: str, figures: Path, use: str) -> pd.DataFrame:
    """Write the picture and its numbers; gives the numbers."""
    from ...tidy import as_csv

    shell.without_display()
    try:
        shown = kind.make(request)
        axes, rows = kind.draw(shown, request), kind.figures(shown)
    except (KeyError, IndexError, ValueError) as error:
        if isinstance(error, SimulatorError) or "gross_cost" in request.found:
            raise
        # draws were looked through when they were read; an answer may have been made elsewhere, and lack anything
        raise request.refusal(f"lacks a part of what {kind.name} shows", "have the verb write it again") from error
    shell.write_picture(lambda _: axes, out, use)
    shell.write_text(as_csv(rows), figures)
    return rows
