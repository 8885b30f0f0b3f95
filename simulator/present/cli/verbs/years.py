"""`simulator years`: what several years of partly the same people imply."""

from __future__ import annotations

import click

from ..shell import Verb, check_written, emit_kept, outputs


@click.command(cls=Verb)
@click.argument("scenario")
@click.option("--out", type=click.Path(), help="Write the answer to this netCDF file.")
@outputs
def years(scenario: str, out: str | None) -> None:
    """How persistent are costs, what is pooling years worth, and what does a cohort cost?

    Example: simulator years configs/east_sussex_years.toml
    """
    from ....analysis.years import persistence
    from ....scenario import load

    check_written(scenario, out)
    emit_kept(persistence(load(scenario)), out)
