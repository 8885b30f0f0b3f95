"""`simulator merge`: parts of one run, simulated apart, as one file."""

import click

from ....errors import SimulatorError
from ..option_types import overspend_options
from ..shell import Verb, about, check_forms, check_output, clear_errors, emit, of_run, outputs, refuse_failed


@click.command(cls=Verb)
@click.argument("parts", nargs=-1, required=True)
@overspend_options("Overspend margin of the printed chances.")
@click.option("--out", "-o", required=True, type=click.Path(), help="Write all simulated years and their summary here.")
@outputs
def merge(parts: tuple[str, ...], margin: float, at_most: float, out: str) -> None:
    """Write the simulated years of PARTS into one file, and print what `simulator run` prints of them.

    PARTS are files of one scenario, each with other years: see `simulator run --first-replicate`.

    Example: simulator merge a.nc b.nc -o both.nc
    """
    with clear_errors():
        from ....analysis.statistics.summary import MARGINS, summarise
        from ....ledger import check_same_draws, draws_of, open_ledger, save, with_summary
        from ....ledger import merge as merged
        from ....runs import scenario_of

        check_forms()
        for part in parts:
            check_output("--out", out, part)
        ledger = draws_of(open_ledger(parts[0]))
        for part in parts[1:]:
            more = open_ledger(part)
            with about("ledgers", part):
                check_same_draws(ledger, more)
            if ledger["replicate"].isin(more["replicate"]).any():
                mend = "name each part once, and give each other years by --first-replicate"
                raise SimulatorError(part, None, "holds simulated years that another part holds too", mend)
            with about("ledgers", part):
                ledger = merged([ledger, more])
        scenario = scenario_of(ledger)
        summary = summarise(ledger, margins=sorted({*MARGINS, margin}), scenario=scenario)
        save(with_summary(ledger, summary), out)
        emit(of_run(summary, ledger, scenario, margin, at_most), out)
        refuse_failed(summary)
