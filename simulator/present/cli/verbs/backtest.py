"""`simulator backtest`: did predictions come true?"""

from __future__ import annotations

from typing import Any

import click

from ..option_types import Whole, layout_of, row_options
from ..shell import Verb, check_written, emit_kept, outputs
from .spread import known_luck, panel_options


@click.command(cls=Verb)
@click.argument("rows")
@click.argument("scenario")
@panel_options
@click.option("--after", type=Whole(), help="Last year to fit on; later years are judged. By default, all are both.")
@click.option("--designs", type=click.Path(), help="TOML file with [[designs]] to settle over all organisations.")
@row_options
@click.option("--out", type=click.Path(), help="Write the answer to this netCDF file.")
@outputs
def backtest(
    rows: str, scenario: str, after: float | None, designs: str | None, out: str | None, **options: Any
) -> None:
    """Did predictions for the organisations in ROWS come true?

    SCENARIO may be a number: the sd of one person's cost / mean cost, such as 2.135.

    Example: simulator backtest results.csv 2.135 --organisation aco --cost expenditure --budget benchmark --after 2018
    """
    from ....analysis.spread.backtest import backtest as judge
    from ....settlement.shared_designs import load_designs

    check_written(rows, out)
    table, settled = layout_of(options), load_designs(designs) if designs else ()
    emit_kept(judge(rows, known_luck(scenario), after=after, designs=settled, **options, **table), out)
