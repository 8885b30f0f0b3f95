"""`simulator size`: how large must the population be?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ....errors import SimulatorError
from ..option_types import Fraction, Whole, by_option, defaulted
from ..shell import Rendered, Verb, check_written, emit, emit_kept, judged, load_with, outputs

if TYPE_CHECKING:
    import xarray as xr

    from ....analysis.parts import By
    from ....scenario import Scenario


@click.command(cls=Verb)
@click.argument("scenario")
@defaulted(
    "--statistic", None, "p_overspend", "What is to be small, such as p_overspend, cv or tvar; a wrong name lists all."
)
@click.option("--margin", type=Fraction(), help="Overspend margin of p_overspend; 0.03 by default.")
@click.option("--level", type=Fraction(), help="Level of tvar, such as 0.95.")
@defaulted("--at-most", Fraction(), 0.05, "Largest accepted value of the statistic.")
@click.option("--loss-over", type=Fraction(), help="With p_loss: the loss, as a share of the party's own revenue.")
@defaulted("--party", None, "provider", "With p_loss: whose loss, under each design.")
@click.option("--members", type=Whole(min=1), help="A given population: ask what would make it large enough.")
@click.option("--largest", type=Whole(min=2), help="Largest population to try.")
@click.option("--replicates", type=Whole(min=40), help="Simulated years; the scenario's by default.")
@click.option("--seed", type=Whole(min=0, max=2**63 - 1), help="Seed; the scenario's by default.")
@click.option("--pool", type=Whole(min=1), help="Contract years settled together; without simulation.")
@click.option("--exact", is_flag=True, help="Calculate the answer without simulation.")
@by_option
@click.option("--out", type=click.Path(), help="Write the answer to this netCDF file.")
@outputs
def size(
    scenario: str, statistic: str, margin: float | None, level: float | None, at_most: float, loss_over: float | None,
    party: str, members: int | None, largest: int | None, replicates: int | None, seed: int | None, pool: int | None,
    exact: bool, by: By | None, out: str | None,
) -> None:  # fmt: skip
    """How large must the population of SCENARIO be?

    Example: simulator size configs/east_sussex.toml --margin 0.05 --at-most 0.05
    """
    from .... import effort
    from ....analysis.designs.pricing import cap_prices
    from ....analysis.parts import parts_of
    from ....analysis.size.minimum import minimum_population
    from ....analysis.size.pooled import pooled_minimum
    from ....analysis.size.viable import viable_terms
    from ....ledger import save
    from ...answers.shared import price_line

    check_written(scenario, out)
    if pool is not None:
        if statistic != "p_overspend" or members is not None or by is not None:
            bound = "goes with p_overspend alone, and not with --members or --by"
            raise SimulatorError("--pool", None, bound, "leave it out")
        several = load_with(scenario, replicates, seed, all_years=True)
        over = 0.03 if margin is None else margin
        emit_kept(pooled_minimum(several, pool, at_most=at_most, margin=over, largest=largest), out)
        return
    asked = load_with(scenario, replicates, seed)
    if members is not None:
        emit_kept(viable_terms(asked, members, at_most=at_most), out)
        return
    margin = 0.03 if margin is None and statistic == "p_overspend" else margin

    def needed(part: Scenario) -> xr.Dataset:
        return minimum_population(
            part, statistic, at_most=at_most, margin=margin, quantile_level=level, loss_over=loss_over,
            party=party, largest=largest, method="exact" if exact else None,
        )  # fmt: skip

    if by is not None:
        if out:
            raise SimulatorError("--out", None, "is of one answer, and --by gives several", "use --csv or --json")
        parts = effort.each(parts_of(asked, by).items(), "parts")
        emit(Rendered.each(by, {name: Rendered.of(needed(part)).noted(_has(part)) for name, part in parts}))
        return
    answer = needed(asked)
    rendered = Rendered.of(answer).noted(price_line(cap_prices(asked)) if "threshold" in answer.dims else "")
    if margin is not None and statistic == "p_overspend":
        rendered = rendered.also("places", judged(asked, margin, at_most))
    if out:
        save(answer, out)
    emit(rendered, out)


def _has(part: Scenario) -> str:
    return f"It has {part.population_sizes[-1]:,} people."
