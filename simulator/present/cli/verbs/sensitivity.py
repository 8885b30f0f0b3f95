"""`simulator sensitivity`: which assumption matters most?"""

from typing import Any

import click

from ..option_types import Amount, Fraction, Whole, defaulted
from ..shell import Verb, check_written, emit_kept, load_with, outputs


@click.command(cls=Verb)
@click.argument("scenario")
@defaulted(
    "--statistic", None, "p_overspend", "What is to be explained, such as p_overspend or cv; a wrong name lists all."
)
@click.option("--members", type=Whole(min=1), help="Population; the scenario's largest by default.")
@click.option(
    "--threshold", type=Amount(is_threshold=True), help="A point of the scenario's grid; the last by default."
)
@defaulted("--margin", Fraction(), 0.05, "Overspend margin of p_overspend.")
@defaulted("--points", Whole(min=4), 64, "Points of the Sobol' sequence, a power of 2.")
@click.option("--out", type=click.Path(), help="Write the answer to this netCDF file.")
@outputs
def sensitivity(scenario: str, out: str | None, statistic: str, **asked: Any) -> None:
    """Which of the [[ranges]] of SCENARIO matters most?

    Example: simulator sensitivity configs/uncertain.toml --statistic cv --members 50000
    """
    from ....analysis.stress.sensitivity import sensitivity as matters

    check_written(scenario, out)
    emit_kept(matters(load_with(scenario), (), statistic, **asked), out)
