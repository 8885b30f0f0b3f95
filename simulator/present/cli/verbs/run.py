"""`simulator run`: simulate, and print how large is large enough."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from ....errors import SimulatorError
from ..errors import Stopped
from ..option_types import Whole, defaulted, overspend_options
from ..shell import (
    Rendered,
    Verb,
    about,
    check_forms,
    check_output,
    check_picture,
    clear_errors,
    emit,
    judged,
    load_with,
    outputs,
    write_variance,
)

if TYPE_CHECKING:
    import xarray as xr

    from ....scenario import Scenario


_SOON = 60.0
"""Expected seconds of exact answers up to which they are given beside what was simulated."""


@click.command(cls=Verb)
@click.argument("scenario")
@click.option("--replicates", type=Whole(min=2), help="Simulated years; the scenario's by default.")
@click.option("--seed", type=Whole(min=0, max=2**63 - 1), help="Seed; the scenario's by default.")
@click.option("--threads", type=Whole(min=1), help="Threads; all cores by default.")
@overspend_options("Overspend margin of the printed chances.")
@click.option("--until", help='Simulate until a figure is precise: "p_overspend(0.03) ± 0.002" (+- will do).')
@defaulted("--max-replicates", Whole(min=1), 100_000, "Most simulated years for --until.")
@click.option("--out", type=click.Path(), help="Write the simulated years and the summary to this netCDF file.")
@click.option("--resume", is_flag=True, help="Continue the run that --out already holds.")
@click.option(
    "--plot",
    type=click.Path(),
    help="Write a picture of the risk by size to this PNG, SVG or PDF file, and its figures as CSV.",
)
@click.option("--exact", is_flag=True, help="Calculate the same figures without simulation.")
@outputs
def run(
    scenario: str,
    replicates: int | None,
    seed: int | None,
    threads: int | None,
    margin: float,
    at_most: float,
    until: str | None,
    max_replicates: int,
    out: str | None,
    resume: bool,
    plot: str | None,
    exact: bool,
) -> None:
    """Simulate the populations of SCENARIO and print how large is large enough, by cap on one patient's cost.

    Example: simulator run configs/east_sussex.toml --replicates 2000 --out results/es.nc --plot results/es.png
    """
    with clear_errors():
        check_forms(scenario)
        check_output("--out", out, scenario)
        if plot is not None:
            check_picture(plot, scenario)
        if exact:
            _run_exact(load_with(scenario, replicates, seed), margin, at_most, out)
            return
        from ....analysis.size.minimum import calculated
        from ....analysis.statistics.precision import parse_target
        from ....analysis.statistics.summary import MARGINS, summarise
        from ....files import check_space
        from ....ledger import save, with_summary
        from ....runs import check_memory, expected_size

        asked = load_with(scenario, replicates, seed)
        target = parse_target(until) if until else None
        if out:
            check_memory(asked)
            check_space(out, expected_size(asked), "name another place, or ask for fewer replicates")
        with _kept(out):
            ledger = _drawn(asked, threads, target, max_replicates, out, resume)
            with _finished(ledger):
                summary = summarise(ledger, margins=sorted({*MARGINS, margin}), scenario=asked)
                if out:
                    save(with_summary(ledger, summary), out)
        figures = write_variance(summary, plot) if plot else None
        least = calculated(asked, margin, at_most, within=_SOON) if summary.sizes["population_size"] > 1 else None
        told = Rendered.of(summary, margin=margin, at_most=at_most, exactly=least)
        told = told.also("smallest", least, on_page=False).also("places", judged(asked, margin, at_most, ledger))
        emit(told, out, plot, figures)
        if summary.attrs["check"] == "failed":
            click.echo(summary.attrs["check_sentence"], err=True)
            raise SystemExit(3)


def _run_exact(scenario: Scenario, margin: float, at_most: float, out: str | None) -> None:
    """What `simulator run --exact` prints, and writes where a file is named."""
    from ....analysis.statistics.exact import exact
    from ....analysis.statistics.summary import MARGINS
    from ....ledger import save
    from ....runs import kept_json

    answer = exact(scenario, margins=sorted({*MARGINS, margin}))
    if out:
        save(answer.assign_attrs(scenario=kept_json(scenario)), out)
    told = Rendered.of(answer, margin=margin, at_most=at_most).also("places", judged(scenario, margin, at_most))
    emit(told, out)


def _drawn(
    scenario: Scenario, threads: int | None, target: Any, most: int, out: str | None, resume: bool
) -> xr.Dataset:
    from ....analysis.statistics.precision import simulate_until
    from ....ledger import open_ledger
    from ....runs import extend, simulate

    if resume and out is None:
        raise SimulatorError("--resume", None, "needs --out", "name the file to go on from")
    begun = open_ledger(out) if resume and out is not None else None
    executor = ThreadPoolExecutor(threads) if threads else None
    try:
        with about("ledger", out):
            if target is not None:
                return simulate_until(scenario, target, most, executor=executor, ledger=begun)
            return simulate(scenario, executor) if begun is None else extend(begun, scenario, executor)
    finally:
        if executor is not None:
            executor.shutdown()


@contextmanager
def _finished(ledger: xr.Dataset) -> Iterator[None]:
    """A run that is stopped once everything is drawn has finished all of its draws."""
    from ....runs import RunInterrupted

    try:
        yield
    except KeyboardInterrupt:
        raise RunInterrupted(ledger) from None


@contextmanager
def _kept(out: str | None) -> Iterator[None]:
    """Keep what a run had finished when it was stopped, where a file is named."""
    from ....ledger import save
    from ....runs import RunInterrupted

    try:
        yield
    except RunInterrupted as stop:
        if stop.ledger is None or out is None:
            raise
        save(stop.ledger, out)
        done = stop.ledger.sizes["replicate"]
        raise Stopped(
            f"stopped; the {done:,} simulated years that were finished are in {out}: go on with --resume"
        ) from None
