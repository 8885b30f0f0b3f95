"""`simulator luck`: was last year's deviation luck?"""

import click

from ..option_types import Fraction, Whole, defaulted
from ..shell import Verb, check_written, emit_kept, load_with, outputs


@click.command(cls=Verb)
@click.argument("scenario")
@click.option("--members", type=Whole(min=1), required=True, help="People in that year.")
@click.option("--overspend", type=Fraction(), required=True, help="Observed cost / budget − 1, such as 0.04.")
@defaulted("--confidence", Fraction(), 0.95, "Share of years in the usual range.")
@click.option("--pool", type=Whole(min=1), help="The overspend is of contract years 1 to this one together.")
@click.option("--out", type=click.Path(), help="Write the answer to this netCDF file.")
@outputs
def luck(scenario: str, members: int, overspend: float, confidence: float, pool: int | None, out: str | None) -> None:
    """Was last year's deviation luck?

    Example: simulator luck configs/east_sussex_shock.toml --members 30000 --overspend 0.04
    """
    from ....analysis.luck.luck import luck as stands

    check_written(scenario, out)
    asked = load_with(scenario, all_years=pool is not None)
    emit_kept(stands(asked, members, overspend, confidence=confidence, pool=pool), out)
