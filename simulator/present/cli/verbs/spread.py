"""`simulator spread`: how much organisations differ beyond luck."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ....errors import SimulatorError
from ..option_types import defaulted, layout_of, row_options
from ..shell import Verb, check_written, emit_kept, outputs


def panel_options(verb: Any) -> Any:
    """The columns of rows of organisations by year."""
    for option in reversed((
        defaulted("--organisation", None, "organisation", "Column that names the organisation."),
        defaulted("--year", None, "year", "Column of the year."),
        defaulted("--people", None, "people", "Column of people or person-years."),
        click.option("--deviation", help="Column of results as fractions of budget; by default, cost / budget − 1."),
        click.option("--cost", help="Column of cost."),
        click.option("--budget", help="Column of the budget or benchmark."),
    )):  # fmt: skip
        verb = option(verb)
    return verb


def known_luck(said: str) -> Any:
    """A number, or the scenario of a file."""
    from ....scenario import load

    try:
        return float(said)
    except ValueError:
        return load(said)


@click.command(cls=Verb)
@click.argument("rows")
@panel_options
@click.option(
    "--luck", help="Scenario file, or sd of one person's cost / mean cost, such as 2.1; estimated by default."
)
@click.option("--into", type=click.Path(), help="Scenario file to copy, with the implied shocks added.")
@click.option("--copy", type=click.Path(), help="File for the copy; <scenario>_spread.toml by default.")
@row_options
@click.option("--out", type=click.Path(), help="Write the answer to this netCDF file.")
@outputs
def spread(rows: str, luck: str | None, into: str | None, copy: str | None, out: str | None, **options: Any) -> None:
    """How much do the organisations in ROWS differ beyond luck? ROWS has one row per organisation and year.

    Example: simulator spread savings.csv --organisation aco --people person_years --deviation savings_rate --luck 2.135
    """
    from ....analysis.spread.implied import into_scenario
    from ....analysis.spread.spread import spread as estimate

    check_written(rows, out)
    table = layout_of(options)
    if copy is not None and into is None:
        raise SimulatorError("--copy", copy, "has nothing to copy", "name the scenario file with --into")
    answer = estimate(rows, luck=None if luck is None else known_luck(luck), **options, **table)
    if into is not None:
        made = Path(copy or f"{Path(into).with_suffix('')}_spread.toml")
        if made.exists():
            raise SimulatorError("--copy", str(made), "is there already", "name a new file with --copy")
        into_scenario(into, answer, Path(rows).name, made)
    emit_kept(answer, out)
