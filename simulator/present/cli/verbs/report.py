"""`simulator report`: a report that a board can open, and a workbook for finance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ....errors import SimulatorError
from ..option_types import overspend_options
from ..shell import Rendered, Verb, check_forms, check_output, emit, outputs, refuse_failed, without_display

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from ...report.gather import Contents


@click.command(cls=Verb)
@click.argument("results")
@click.option(
    "--out", "-o", type=click.Path(), help="Write the report to this .html file, or its summary to this .docx file."
)
@click.option("--xlsx", type=click.Path(), help="Write the workbook to this Excel file.")
@click.option("--with", "others", multiple=True, type=click.Path(), help="Add a section on what another verb wrote.")
@click.option("--author", default="", help="Who prepared the report.")
@overspend_options("Margin of the overspend in the answer.")
@outputs
def report(
    results: str, out: str | None, xlsx: str | None, others: tuple[str, ...], author: str, margin: float, at_most: float
) -> None:
    """Write a report on RESULTS, the .nc file of a run: one HTML file, a summary for Word, an Excel workbook.

    Example: simulator report results/es.nc -o report.html --xlsx book.xlsx
    """
    from ....ledger import open_ledger
    from ...report import gather, write_html, write_word, write_workbook

    in_word = out is not None and out.lower().endswith(".docx")
    written = (".docx", write_word) if in_word else (".html", write_html)
    asked = (("--out", out, *written), ("--xlsx", xlsx, ".xlsx", write_workbook))
    wanted = [(option, path, ending, write) for option, path, ending, write in asked if path]
    if not wanted:
        raise SimulatorError("report", None, "has nothing to write", "add -o report.html, --xlsx book.xlsx or both")
    for option, path, ending, _ in wanted:
        check_output(option, path, results)
        if not path.lower().endswith(ending):
            raise SimulatorError(f"{option} {path}", None, f"does not end in {ending}", f"name it {ending}")
    check_forms(results)
    without_display()
    besides = [_answer_in(path) for path in others]
    contents = gather(open_ledger(results), margin, at_most, besides=besides, author=author)
    for _, path, _, write in wanted:
        write(contents, path)
    files = {option.removeprefix("--"): path for option, path, *_ in wanted}
    emit(Rendered(None, lambda: _told(contents, files), lambda: _figures(contents)), *files.values())
    refuse_failed(contents.summary)


def _answer_in(path: str) -> xr.Dataset:
    """The answer of another verb, for a section of its own."""
    from ....ledger import read_dataset
    from ....ledger.variables import kind_of

    found = read_dataset(path, "name a file that `--out` wrote")
    if kind_of(found) is None or "gross_cost" in found:
        raise SimulatorError(f"--with {path}", None, "holds no answer of a verb", "name a file that `--out` wrote")
    return found


def _told(contents: Contents, files: dict[str, str]) -> dict[str, Any]:
    """What was written, the sentence that answers, and the figures in it."""
    from ...report.answer import answer_text
    from ...tidy import kept

    keep = ("title", "currency", "scenario_id", "seed", "replicates", "check", "check_sentence")
    return {
        "written": files,
        "answer": answer_text(contents),
        "margin": contents.target.margin,
        "at_most": contents.target.at_most,
        **kept(contents.summary, (*keep, "simulator_version", "draws_version")),
        "figures": _figures(contents).to_dict("records"),
    }


def _figures(contents: Contents) -> pd.DataFrame:
    """The figures of the answer in long form: smallest populations, or of one size the chances of an overspend."""
    from ...tidy import tidy

    if contents.has_sizes:
        return tidy(contents.minimum(contents.target.margin))
    names = ["p_overspend", "p_overspend_se", "p_overspend_interval"]
    return tidy(contents.summary[names].sel(margin=[contents.target.margin]))
