"""`simulator check`: what a scenario implies, without simulation."""

import click

from ..shell import Rendered, Verb, check_forms, emit, outputs


@click.command(cls=Verb)
@click.argument("scenario")
@outputs
def check(scenario: str) -> None:
    """Read SCENARIO and print what it implies, without simulation.

    Example: simulator check configs/east_sussex.toml
    """
    from ....analysis.statistics.describe import describe
    from ....scenario import load
    from ...answers.description import long_rows, page

    check_forms(scenario)
    described = describe(load(scenario))
    emit(Rendered(lambda: page(described), lambda: described, lambda: long_rows(described)))
