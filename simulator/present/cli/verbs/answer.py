"""`simulator answer`: one question, one page."""

import click

from ..option_types import Fraction, Whole
from ..shell import Verb, check_written, emit_kept, load_with, outputs


@click.command(cls=Verb)
@click.argument("scenario")
@click.option("--margin", type=Fraction(), default=0.02, help="Overspend that can be borne; 2% by default.")
@click.option("--at-most", type=Fraction(), default=0.10, help="Largest accepted chance of more; 10% by default.")
@click.option("--replicates", type=Whole(min=40), help="Simulated years; the scenario's by default.")
@click.option("--seed", type=Whole(min=0, max=2**63 - 1), help="Seed; the scenario's by default.")
@click.option("--out", type=click.Path(), help="Write the answer to this netCDF file.")
@outputs
def answer(
    scenario: str, margin: float, at_most: float, replicates: int | None, seed: int | None, out: str | None
) -> None:
    """How large, which places qualify, what each cap costs, who carries what: SCENARIO on one page.

    `simulator SCENARIO.toml` does the same.

    Example: simulator answer configs/east_sussex_shock.toml --margin 2% --at-most 10%
    """
    from ....analysis.answer import answer as answered

    check_written(scenario, out)
    found = answered(load_with(scenario, replicates, seed), margin=margin, at_most=at_most)
    emit_kept(found, out, source=scenario)
