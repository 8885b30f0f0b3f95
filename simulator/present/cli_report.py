"""`simulator report`: a report that a board can open, and a workbook for finance."""

from __future__ import annotations

import click

from ..base import SimulatorError
from .shell import Verb, check_output, clear_errors, without_display, written
from .voice import Fraction


@click.command(cls=Verb)
@click.argument("results")
@click.option("--out", "-o", type=click.Path(), help="Write the report to this HTML file.")
@click.option("--xlsx", type=click.Path(), help="Write the workbook to this Excel file.")
@click.option(
    "--margin",
    type=Fraction(-1, 10, min_open=True),
    default=0.03,
    show_default=True,
    help="Tolerance of the overspend that the answer is about.",
)
@click.option(
    "--at-most",
    type=Fraction(0, 1, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    help="Largest tolerated overspend probability.",
)
def report(results: str, out: str | None, xlsx: str | None, margin: float, at_most: float) -> None:
    """Tell what RESULTS, the .nc file of a run, has found: as one HTML file, as an Excel workbook, or as both.

    Example: simulator report results/es.nc -o report.html --xlsx book.xlsx
    """
    with clear_errors():
        from ..ledger import open_ledger
        from .report import gather, write_html, write_workbook

        asked = (("--out", out, ".html", write_html), ("--xlsx", xlsx, ".xlsx", write_workbook))
        wanted = [(option, path, ending, write) for option, path, ending, write in asked if path]
        if not wanted:
            raise SimulatorError("report", None, "has nothing to write", "add -o report.html, --xlsx book.xlsx or both")
        for option, path, ending, _ in wanted:
            check_output(option, path, results)
            if not path.lower().endswith(ending):
                raise SimulatorError(f"{option} {path}", None, f"does not end in {ending}", f"name it {ending}")
        without_display()
        contents = gather(open_ledger(results), margin, at_most)
        for _, path, _, write in wanted:
            write(contents, path)
            written(path)
        if contents.summary.attrs["check"] == "failed":
            click.echo(contents.summary.attrs["check_sentence"], err=True)
            raise SystemExit(3)
