"""`simulator answer`: the whole question on one page."""

from __future__ import annotations

import click

from ..option_types import Fraction, Whole
from ..shell import Verb, check_written, clear_errors, emit_kept, load_with, outputs


@click.command(cls=Verb)
@click.argument("scenario")
@click.option("--margin", type=Fraction(), default=0.03, show_default=True, help="Tolerated overspend.")
@click.option("--at-most", type=Fraction(), default=0.05, show_default=True, help="Largest accepted chance of more.")
@click.option("--pool", type=Whole(min=1), help="People of the pool that takes what a cap removes; all by default.")
@click.option("--out", type=click.Path(), help="Write the answer to this netCDF file.")
@outputs
def answer(scenario: str, margin: float, at_most: float, pool: int | None, out: str | None) -> None:
    """Answer what SCENARIO asks on one page: how large, which places, what a cap costs, who carries what.

    `simulator FILE.toml` is the same.

    Example: simulator answer configs/east_sussex.toml --margin 3% --at-most 5%
    """
    with clear_errors():
        from ....analysis import answer as whole

        check_written(scenario, out)
        asked = load_with(scenario, None, None)
        emit_kept(whole.answer(asked, margin=margin, at_most=at_most, pool_members=pool), out)
