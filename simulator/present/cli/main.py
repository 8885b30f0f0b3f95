"""The command line: each verb parses its arguments, calls one public function and prints what came back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from ...errors import SimulatorError
from ..tidy import tidy
from .answers import luck, sensitivity, size, stress
from .errors import Stopped, Verbs
from .fit import fit
from .option_types import Amount, Fraction, Ratio, Shares, Whole
from .plot import plot as plot_verb
from .report import report
from .settle import settle
from .shell import (
    Told,
    about,
    check_output,
    check_picture,
    check_told,
    clear_errors,
    load_with,
    outputs,
    tell,
    write_variance,
    written,
)

if TYPE_CHECKING:
    import xarray as xr

    from ...scenario import Scenario


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="capitation-risk", prog_name="simulator")
def main() -> None:
    """How much of next year's health-care cost is luck, and who should carry it?

    \b
    simulator check configs/east_sussex.toml       what the scenario implies, exactly
    simulator run configs/east_sussex.toml         draw, and print how large is large enough
    simulator calibrate --mean 952 --p-user 0.85 --top-share 0.05=0.514

    \b
    Fractions, such as a margin, are written as 0.03 or as 3%; other numbers as 1500, 1,500 or 1.5k.
    """  # noqa: D301 - click takes this backslash for "do not wrap"
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)


@main.command()
@click.argument("scenario")
@outputs
def check(scenario: str, as_json: bool, csv: str | None) -> None:
    """Read SCENARIO and print what it implies, exactly and without draws.

    Example: simulator check configs/east_sussex.toml
    """
    with clear_errors():
        from ...analysis.statistics.describe import describe
        from ...scenario import load
        from ..text_check import check_rows, check_table

        check_told(as_json, csv, scenario)
        described = describe(load(scenario))
        tell(Told(lambda: check_table(described), lambda: described, lambda: check_rows(described)), as_json, csv)


def _share(_: click.Context, __: click.Parameter, given: tuple[tuple[float, float], ...]) -> dict[float, float]:
    return dict(given)


@main.command()
@click.option(
    "--family",
    default=None,
    help="lognormal, gamma, weibull, pareto, lomax, gpd, burr, gengamma or gb2; all side by side without it.",
)
@click.option(
    "--mean", type=Amount(above=0), required=True, help="Mean annual cost a head, people without cost included."
)
@click.option(
    "--p-user",
    type=Fraction(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Share of people with any cost.",
)
@click.option(
    "--cv", type=Ratio(min=0, min_open=True), default=None, help="Coefficient of variation of a person's annual cost."
)
@click.option(
    "--top-share",
    type=Shares(),
    multiple=True,
    callback=_share,
    help="Share of cost of the costliest people: 0.05=0.514.",
)
@click.option("--currency", default="GBP", show_default=True)
@outputs
def calibrate(
    family: str | None,
    mean: float,
    p_user: float,
    cv: float | None,
    top_share: dict[float, float],
    currency: str,
    as_json: bool,
    csv: str | None,
) -> None:
    """Find the cost family that has these summary figures.

    Example: simulator calibrate --family lognormal --mean 952 --p-user 0.85 --top-share 0.05=0.514
    """
    with clear_errors():
        from ...analysis.statistics.describe import compare_families, describe_calibration
        from ..text_check import calibration_rows, calibration_table, families_table

        check_told(as_json, csv)
        targets: dict[str, Any] = {"mean": mean, "p_user": p_user, "cv": cv, "top_share": top_share}
        if family is None:
            rows = compare_families(**targets)
            told = Told(lambda: families_table(rows, currency), lambda: rows, lambda: calibration_rows(rows, currency))
        else:
            one = describe_calibration(family, **targets)
            told = Told(
                lambda: calibration_table(one, currency), lambda: one, lambda: calibration_rows([one], currency)
            )
        tell(told, as_json, csv)


_run_options: list[Callable[..., Any]] = [
    click.option("--replicates", type=Whole(min=2), help="Synthetic populations; the scenario's by default."),
    click.option("--seed", type=Whole(min=0, max=2**63 - 1), help="Seed; the scenario's by default."),
    click.option("--threads", type=Whole(min=1), help="Threads; all cores by default."),
    click.option(
        "--margin",
        type=Fraction(-1, 10, min_open=True),
        default=0.03,
        show_default=True,
        help="Tolerance of the printed overspend probability.",
    ),
    click.option(
        "--at-most",
        type=Fraction(0, 1, min_open=True, max_open=True),
        default=0.05,
        show_default=True,
        help="Largest tolerated overspend probability.",
    ),
    click.option("--until", help='Draw on until a figure is precise: "p_overspend(0.03) ± 0.002" (+- will do).'),
    click.option("--max-replicates", type=Whole(min=1), default=100_000, show_default=True, help="Limit of --until."),
    click.option("--out", type=click.Path(), help="Write draws and summary to this netCDF file."),
    click.option("--resume", is_flag=True, help="Go on from what --out holds already."),
    click.option(
        "--plot",
        type=click.Path(),
        help="Write a picture of variance by size to this PNG, SVG or PDF file, and its figures as CSV.",
    ),
    click.option("--exact", is_flag=True, help="Draw nothing: the same figures from the exact engine, at once."),
]


@main.command()
@click.argument("scenario")
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
    as_json: bool,
    csv: str | None,
) -> None:
    """Draw the populations of SCENARIO and print budget variance by population size and threshold.

    Example: simulator run configs/east_sussex.toml --replicates 2000 --out results/es.nc --plot results/es.png
    """
    with clear_errors():
        check_told(as_json, csv, scenario)
        check_output("--out", out, scenario)
        if plot is not None:
            check_picture(plot, scenario)
        if exact:
            _run_exact(load_with(scenario, replicates, seed), margin, at_most, out, as_json, csv)
            return
        from ...analysis.statistics.precision import parse_target
        from ...analysis.statistics.summary import MARGINS, summarise
        from ...files import check_space
        from ...ledger import save, with_summary
        from ...runs import check_memory, expected_size
        from ..text_run import run_report, summary_rows

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
        files: list[object] = [out] if out else []
        if plot:
            files += [plot, write_variance(summary, plot)]
        told = Told(lambda: run_report(summary, margin, at_most), lambda: summary_rows(summary), lambda: tidy(summary))
        tell(told, as_json, csv)
        for path in files:
            written(path)
        if summary.attrs["check"] == "failed":
            click.echo(summary.attrs["check_sentence"], err=True)
            raise SystemExit(3)


for _option in reversed(_run_options):
    _option(run)


def _run_exact(
    scenario: Scenario, margin: float, at_most: float, out: str | None, as_json: bool, csv: str | None
) -> None:
    """What `simulator run --exact` prints, and writes where a file is named."""
    from ...analysis.statistics.exact import exact
    from ...analysis.statistics.summary import MARGINS
    from ...ledger import save
    from ...runs import kept_json
    from ..text_run import exact_report, summary_rows

    answer = exact(scenario, margins=sorted({*MARGINS, margin}))
    if out:
        save(answer.assign_attrs(scenario=kept_json(scenario)), out)
    told = Told(lambda: exact_report(answer, margin, at_most), lambda: summary_rows(answer), lambda: tidy(answer))
    tell(told, as_json, csv)
    if out:
        written(out)


def _drawn(
    scenario: Scenario, threads: int | None, target: Any, most: int, out: str | None, resume: bool
) -> xr.Dataset:
    from ...analysis.statistics.precision import simulate_until
    from ...ledger import open_ledger
    from ...runs import extend, simulate

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
    from ...runs import RunInterrupted

    try:
        yield
    except KeyboardInterrupt:
        raise RunInterrupted(ledger) from None


@contextmanager
def _kept(out: str | None) -> Iterator[None]:
    """Keep what a run had finished when it was stopped, where a file is named."""
    from ...ledger import save
    from ...runs import RunInterrupted

    try:
        yield
    except RunInterrupted as stop:
        if stop.ledger is None or out is None:
            raise
        save(stop.ledger, out)
        done = stop.ledger.sizes["replicate"]
        raise Stopped(
            f"stopped; the {done:,} populations that were finished are in {out}: go on with --resume"
        ) from None


for _verb in (fit, settle, size, luck, stress, sensitivity, plot_verb, report):
    main.add_command(_verb)


if __name__ == "__main__":
    main()
