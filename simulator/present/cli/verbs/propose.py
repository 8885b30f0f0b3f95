"""`simulator propose`: which terms protect at the least cost?"""

from __future__ import annotations

import click

from ..option_types import Whole
from ..shell import Verb, check_output, check_written, emit_kept, load_with, outputs, write_text


@click.command(cls=Verb)
@click.argument("scenario")
@click.option("--search", type=click.Path(), help="TOML file with [search]; the scenario's own by default.")
@click.option("--points", type=Whole(min=16, max=200_000), help="Designs to try; the search's number by default.")
@click.option("--replicates", type=Whole(min=2), help="Simulated years; the scenario's by default.")
@click.option("--seed", type=Whole(min=0, max=2**63 - 1), help="Seed; the scenario's by default.")
@click.option("--designs", type=click.Path(), help="Write the designs to this TOML file, ready to use.")
@click.option("--out", type=click.Path(), help="Write the answer to this netCDF file.")
@outputs
def propose(
    scenario: str, search: str | None, points: int | None, replicates: int | None, seed: int | None,
    designs: str | None, out: str | None,
) -> None:  # fmt: skip
    """Which terms protect each party at the least cost?

    Example: simulator propose configs/search.toml --points 64 --replicates 1000
    """
    from ....analysis.designs.propose import propose as proposed
    from ....contracts.search import load_search
    from ...answers.propose import designs_toml

    check_written(scenario, out)
    check_output("--designs", designs, scenario)
    asked = None if search is None else load_search(search)
    answer = proposed(load_with(scenario, None, seed), asked, replicates=replicates, points=points)
    if designs:
        write_text(designs_toml(answer), designs)
    emit_kept(answer, out)
