"""`simulator run`: simulate, and print how large is large enough."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from ....errors import SimulatorError
from .. import shell
from ..cluster import workers
from ..errors import Stopped
from ..option_types import Whole, defaulted, overspend_options
from ..shell import Rendered, Verb, about, check_forms, check_output, clear_errors, emit, judged, load_with, outputs

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import xarray as xr

    from ....ledger.parts import Checkpoint
    from ....runs import RunInterrupted
    from ....scenario import Scenario


@click.command(cls=Verb)
@click.argument("scenario")
@click.option("--replicates", type=Whole(min=2), help="Simulated years; the scenario's by default.")
@click.option("--first-replicate", type=Whole(min=0), help="Number of the first simulated year: see `simulator merge`.")
@click.option("--seed", type=Whole(min=0, max=2**63 - 1), help="Seed; the scenario's by default.")
@click.option("--threads", type=Whole(min=1), help="Threads; all cores by default.")
@click.option("--cluster", help="Simulate on a Dask cluster: tcp://HOST:PORT, or local:N for N processes here.")
@overspend_options("Overspend margin of the printed chances.")
@click.option("--until", help='Simulate until a figure is precise: "p_overspend(0.03) ± 0.002" (+- will do).')
@defaulted("--max-replicates", Whole(min=1), 100_000, "Most simulated years for --until.")
@click.option("--out", type=click.Path(), help="Write the simulated years and the summary to this netCDF file.")
@click.option("--resume", is_flag=True, help="Continue the run that --out already holds.")
@click.option("--fresh", is_flag=True, help="Discard what a run that was stopped has left beside --out.")
@click.option(
    "--plot",
    type=click.Path(),
    help="Write a picture of the risk by size to this PNG, SVG or PDF file, and its figures as CSV.",
)
@click.option("--exact", is_flag=True, help="Calculate the same figures without simulation.")
@outputs
def run(
    scenario: str, replicates: int | None, first_replicate: int | None, seed: int | None, threads: int | None,
    cluster: str | None, margin: float, at_most: float, until: str | None, max_replicates: int, out: str | None,
    resume: bool, fresh: bool, plot: str | None, exact: bool,
) -> None:  # fmt: skip
    """Simulate the populations of SCENARIO and print how large is large enough, by cap on one patient's cost.

    Example: simulator run configs/east_sussex.toml --replicates 2000 --out results/es.nc --plot results/es.png
    """
    with clear_errors():
        check_forms(scenario)
        check_output("--out", out, scenario)
        if plot is not None:
            shell.check_picture(plot, scenario)
        if exact:
            _run_exact(load_with(scenario, replicates, seed, all_years=True), margin, at_most, out)
            return
        from ....analysis.statistics.precision import parse_target
        from ....analysis.statistics.summary import MARGINS, summarise
        from ....files import check_space
        from ....ledger import save, with_summary
        from ....runs import check_memory, expected_size, simulate

        asked = load_with(scenario, replicates, seed, all_years=True)
        target = parse_target(until) if until else None
        _check_options(out, resume, fresh)
        for given, other in ((until, "--until"), (resume, "--resume")):
            if first_replicate is not None and given:
                raise SimulatorError("--first-replicate", None, f"contradicts {other}", "omit one of them")
        hands = workers(threads, cluster)
        if out:
            check_memory(asked)
            check_space(out, 2 * expected_size(asked), "name another place, or ask for fewer replicates")
        with _kept(out, fresh) as kept:
            with hands as executor:
                if target is not None or resume:
                    ledger = _further(asked, executor, target, max_replicates, out if resume else None, kept)
                else:
                    ledger = simulate(asked, executor, first_replicate=first_replicate or 0, checkpoint=kept)
            with _finished(ledger):
                summary = summarise(ledger, margins=sorted({*MARGINS, margin}), scenario=asked)
                if out:
                    save(with_summary(ledger, summary), out)
        figures = shell.write_variance(summary, plot) if plot else None
        emit(shell.of_run(summary, ledger, asked, margin, at_most), out, plot, figures)
        shell.refuse_failed(summary)


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


def _check_options(out: str | None, resume: bool, fresh: bool) -> None:
    if resume and fresh:
        raise SimulatorError("--fresh", None, "contradicts --resume", "omit one of them")
    for asked, option, mend in ((resume, "--resume", "to go on from"), (fresh, "--fresh", "to be written")):
        if asked and out is None:
            raise SimulatorError(option, None, "needs --out", f"name the file {mend}")


def _further(
    scenario: Scenario, executor: Executor | None, target: Any, most: int, begun_in: str | None, kept: Checkpoint | None
) -> xr.Dataset:
    """Draws until a figure is precise, or on from those of a file."""
    from ....analysis.statistics.precision import simulate_until
    from ....ledger import open_ledger
    from ....runs import extend, simulate

    begun = open_ledger(begun_in) if begun_in is not None and os.path.exists(begun_in) else None
    with about("ledger", begun_in):
        if target is not None:
            return simulate_until(scenario, target, most, executor=executor, ledger=begun, checkpoint=kept)
        if begun is None:
            return simulate(scenario, executor, checkpoint=kept)
        return extend(begun, scenario, executor, checkpoint=kept)


@contextmanager
def _finished(ledger: xr.Dataset) -> Iterator[None]:
    """A run that is stopped once everything is drawn has finished all of its draws."""
    from ....runs import RunInterrupted

    try:
        yield
    except KeyboardInterrupt:
        raise RunInterrupted(ledger) from None


@contextmanager
def _kept(out: str | None, fresh: bool) -> Iterator[Checkpoint | None]:
    """Where a file is named, keep beside it what a run has finished; gone when the file is written."""
    from ....ledger.parts import Checkpoint
    from ....runs import RunInterrupted

    try:
        if out is None:
            yield None
            return
        with Checkpoint(out, fresh) as kept:
            yield kept
            kept.discard()
    except RunInterrupted as stop:
        raise _stopped(stop, out) from None


def _stopped(stop: RunInterrupted, out: str | None) -> Stopped:
    """How a run ended early, and where what it had finished is."""
    why, code = (stop.reason, 2) if stop.reason else ("stopped", None)
    if stop.ledger is None:
        return Stopped(f"{why}; no file was left half-written", code)
    kept = f"kept beside {out}: the same command goes on from there" if out else "lost: --out keeps them"
    return Stopped(f"{why}; the {stop.ledger.sizes['replicate']:,} simulated years that were finished are {kept}", code)
