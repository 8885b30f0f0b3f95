"""`simulator settle`: who pays, keeps and loses what under each design."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ....errors import SimulatorError
from ...tidy import as_csv
from .. import shell
from ..option_types import NAMES, Fraction, Whole, by_option, defaulted, layout_of, row_options
from ..shell import Rendered, Verb, about, check_output, emit, load_with, outputs

if TYPE_CHECKING:
    import xarray as xr

    from ....analysis.parts import By
    from ....contracts.design import Design
    from ....rows.layout import LayoutOptions


@click.command(cls=Verb)
@click.argument("source")
@click.option("--replicates", type=Whole(min=2), help="Simulated years; the scenario's by default.")
@click.option("--seed", type=Whole(min=0, max=2**63 - 1), help="Seed; the scenario's by default.")
@click.option("--reference", help="Design that the others are compared with; the status quo by default.")
@defaulted("--loss-over", Fraction(0, 1), 0.05, "Loss as a share of own revenue to warn of.")
@by_option
@click.option(
    "--discount-rate", type=Fraction(0, 1), help="With [years]: a year, of surpluses since year 1; 0 by default."
)
@click.option("--payoff", is_flag=True, help="Print each party's surplus against cost / budget, without simulation.")
@click.option(
    "--between",
    type=(Fraction(0, min_open=True), Fraction(0, min_open=True)),
    metavar="LOW HIGH",
    help="With --payoff: cost / budget from and to, such as 70% 130%; 90% to 110% by default.",
)
@click.option("--plot", type=click.Path(), help="With --payoff: write the payoff diagram of the first design.")
@click.option("--actuals", type=click.Path(), help="Settle the real year-end rows of this CSV, Parquet or Excel file.")
@row_options
@click.option("--out", type=click.Path(), help="Write the outcome to this netCDF file (with --actuals: CSV).")
@outputs
def settle(
    source: str,
    out: str | None,
    plot: str | None,
    actuals: str | None,
    payoff: bool,
    between: Any,
    by: By | None,
    **options: Any,
) -> None:
    """Settle the designs of SOURCE: a scenario file, or the .nc file of a run.

    --actuals reads one row per organisation and year. It needs the columns budget (or benchmark) and cost (or
    expenditure); if the terms need them, also members, minimum_rate (blank if it follows size), final_share, quality,
    met_standard, met_alternative, revenue, revenue_limited, low_revenue, relief, adjustment, contract_year and, where
    SOURCE has several designs, design. Money is per year, shares are fractions. Columns of the public files of the
    Medicare Shared Savings Program are recognised; --columns names others.

    Of a scenario with [years], all contract years are settled: by year, and together.

    Example: simulator settle configs/arrangements/20-whittington.toml --replicates 2000
    """
    given = {"--payoff": payoff, "--between": between, "--actuals": actuals, "--plot": plot, "--out": out, "--by": by}
    drawn = {name: options.pop(name) for name in ("replicates", "seed", "reference", "loss_over", "discount_rate")}
    also = {f"--{name.replace('_', '-')}": drawn[name] for name in ("replicates", "seed", "discount_rate")}
    also |= _options_of(options)
    _refuse_idle(source, given | also)
    for read in filter(None, (source, actuals)):
        shell.check_forms(read)
        check_output("--out", out, read)
    if plot is not None:
        shell.check_picture(plot, source)
    if actuals is not None:
        made = _actuals(
            source, actuals, layout_of(options), out, aside=bool(shell.forms().as_json or shell.forms().csv)
        )
    elif payoff:
        made = _payoff(source, plot, between)
    elif by is not None:
        if drawn.pop("discount_rate") is not None:
            raise SimulatorError("--discount-rate", None, "does nothing with --by, which is of year 1", "omit it")
        made = _settle_parts(source, by, **drawn)
    else:
        made = _settle_draws(source, out, **drawn)
    emit(made, out, plot)


_IDLE = (
    (("--payoff", "--actuals"), "say which of the two"),
    (("--payoff", "--out"), "omit --out: --json prints the figures"),
    (("--payoff", "--discount-rate"), "omit --discount-rate: a payoff is of one year"),
    (("--actuals", "--discount-rate"), "omit --discount-rate: each row is of one year"),
    (("--payoff", "--replicates"), "omit --replicates: a payoff needs no simulation"),
    (("--actuals", "--replicates"), "omit --replicates: real rows are not simulated"),
    (("--actuals", "--plot"), "omit --plot"),
    (("--by", "--out"), "omit --out: --json and --csv hold every part"),
    (("--payoff", "--by"), "omit --by"),
    (("--actuals", "--by"), "omit --by: a row is one organisation"),
)


def _refuse_idle(source: str, options: dict[str, object]) -> None:
    """Refuse options that would be ignored."""
    given = {name for name, value in options.items() if value not in (None, False, "")}
    for pair, mend in _IDLE:
        if given.issuperset(pair):
            raise SimulatorError(pair[1], None, f"does nothing with {pair[0]}", mend)
    idle = sorted(given & set(_options_of(dict.fromkeys(NAMES))))
    if idle and "--actuals" not in given:
        raise SimulatorError(idle[0], None, "is about real rows alone", "add --actuals")
    for alone, does in (("--plot", "draws the payoff alone"), ("--between", "is of the payoff alone")):
        if alone in given and "--payoff" not in given:
            raise SimulatorError(alone, None, does, "add --payoff")
    if source.endswith(".nc") and given & {"--replicates", "--seed", "--payoff", "--by"}:
        mend = "name the scenario file to simulate again or for --payoff"
        raise SimulatorError(source, None, "is already simulated", mend)


def _options_of(rows: dict[str, Any]) -> dict[str, object]:
    """Options of the layout of rows, as they are written."""
    return {f"--{name.replace('_', '-')}": value for name, value in rows.items()}


def _settle_draws(
    source: str,
    out: str | None,
    replicates: int | None,
    seed: int | None,
    reference: str | None,
    loss_over: float,
    discount_rate: float | None,
) -> Rendered:
    from ....analysis.designs.exact_comparison import with_exact
    from ....analysis.designs.over_years import over_years
    from ....contracts.design import with_reference
    from ....ledger import save
    from ....settlement.compare import compare
    from ....settlement.settle import settle as settle_designs

    ledger, designs = _ledger(source, replicates, seed, out)
    several = "year" in ledger.dims
    if discount_rate is not None and not several:
        raise SimulatorError(
            "--discount-rate", discount_rate, "discounts nothing: there is one year", "add [years], or omit it"
        )
    outcome = settle_designs(ledger, with_reference(designs, reference), discount_rate=discount_rate or 0.0)
    answer = over_years(outcome) if several else with_exact(compare(outcome, loss_over=loss_over))
    if out:
        save(outcome, out)
    return Rendered.of(answer)


def _settle_parts(
    source: str, by: By, replicates: int | None, seed: int | None, reference: str | None, loss_over: float
) -> Rendered:
    from .... import effort
    from ....analysis.designs.exact_comparison import with_exact
    from ....analysis.parts import parts_of
    from ....contracts.design import with_reference
    from ....runs import simulate
    from ....settlement.compare import compare
    from ....settlement.settle import settle as settle_designs

    made = {}
    for name, part in effort.each(parts_of(load_with(source, replicates, seed), by).items(), "parts"):
        outcome = settle_designs(simulate(part), with_reference(part.designs, reference))
        made[name] = Rendered.of(with_exact(compare(outcome, loss_over=loss_over)))
    return Rendered.each(by, made)


def _ledger(
    source: str, replicates: int | None, seed: int | None, out: str | None
) -> tuple[xr.Dataset, tuple[Design, ...]]:
    from ....files import check_space
    from ....ledger import draws_of, open_ledger
    from ....runs import designs_of, simulate
    from ....settlement.settle import expected_size

    if source.endswith(".nc"):
        drawn = draws_of(open_ledger(source))
        designs, sizes = designs_of(drawn), drawn.sizes
        shape = sizes["replicate"] * sizes.get("year", 1), sizes["population_size"], sizes["threshold"]
    else:
        scenario, drawn = load_with(source, replicates, seed, all_years=True), None
        designs = scenario.designs
        years = scenario.years.contract if scenario.years else 1
        shape = scenario.simulation.replicates * years, len(scenario.population_sizes), scenario.threshold_labels.size
    if not designs:
        raise SimulatorError(source, None, "has no designs", "add [[designs]] to the scenario")
    if out:
        check_space(out, expected_size(designs, *shape), "name another place, or ask for fewer replicates")
    return simulate(scenario) if drawn is None else drawn, designs


def _payoff(source: str, plot: str | None, between: tuple[float, float] | None) -> Rendered:
    from ....settlement.actuals import load_designs, load_scenario
    from ....settlement.payoff import BETWEEN, payoff

    scenario = load_scenario(source)
    payoffs = payoff(load_designs(source), between=between or BETWEEN, scenario=scenario).assign_attrs(method="exact")
    if plot:
        shell.write_picture(lambda plots: plots.payoff_diagram(payoffs), plot)
    return Rendered.of(payoffs)


def _actuals(source: str, rows: str, layout: LayoutOptions, out: str | None, aside: bool) -> Rendered:
    """Real rows, settled; what was done to them is told `aside` where the answer has no room for it."""
    import pandas as pd

    from ....settlement.actuals import load_designs, settle_rows
    from ....settlement.reading import year_end_rows
    from ...answers.actuals import long_rows, page

    designs = load_designs(source)
    with about("frame", rows):
        frame = year_end_rows(rows, **layout)
        settled = settle_rows(designs, frame)
    notes = frame.attrs["notes"]
    known = [at for at, name in enumerate(frame) if frame.iloc[:, at].dtype.kind not in "fiub" and name not in settled]
    settled = pd.concat([frame.iloc[:, known[:1]], settled], axis=1)  # the column that says whose row it is
    settled.attrs["notes"] = notes
    for note in notes if aside else ():
        click.echo(f"simulator: {note}", err=True)
    if out:
        shell.write_text(as_csv(settled), out)
    records = settled.astype(object)
    return Rendered(lambda: page(settled), lambda: records.to_dict("records"), lambda: long_rows(settled))
