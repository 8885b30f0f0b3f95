"""`simulator calibrate`: from summary figures to a cost family."""

from typing import Any

import click

from ..option_types import Amount, Fraction, Ratio, Shares, defaulted
from ..shell import Rendered, Verb, check_forms, emit, outputs


@click.command(cls=Verb)
@click.option(
    "--family",
    default=None,
    help="lognormal, gamma, weibull, pareto, lomax, gpd, burr, gengamma or gb2; all of them by default.",
)
@click.option(
    "--mean", type=Amount(above=0), required=True, help="Mean annual cost per head, including people without cost."
)
@defaulted("--p-user", Fraction(0, 1, min_open=True), 1.0, "Share of people with any cost.")
@click.option(
    "--cv", type=Ratio(min=0, min_open=True), default=None, help="Coefficient of variation of a person's annual cost."
)
@click.option(
    "--top-share",
    type=Shares(),
    multiple=True,
    callback=lambda *given: dict(given[-1]),
    help="Share of cost of the costliest people: 5%=51.4%.",
)
@defaulted("--currency", None, "GBP")
@outputs
def calibrate(family: str | None, currency: str, **targets: Any) -> None:
    """Find the cost families that meet these summary figures.

    Example: simulator calibrate --family lognormal --mean 952 --p-user 85% --top-share 5%=51.4%
    """
    from ....analysis.statistics.describe import compare_families, describe_calibration
    from ...answers.calibration import calibration_rows, families_table, page

    check_forms()
    if family is None:
        rows = compare_families(**targets)
        made = Rendered(lambda: families_table(rows, currency), lambda: rows, lambda: calibration_rows(rows, currency))
    else:
        one = describe_calibration(family, **targets)
        made = Rendered(lambda: page(one, currency), lambda: one, lambda: calibration_rows([one], currency))
    emit(made)
