"""The command line: each verb parses its arguments, calls one public function and prints what came back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import click

from ..base import SimulatorError
from .cli_answers import luck, run_exact, sensitivity, size, stress
from .cli_fit import fit
from .cli_plot import plot as plot_verb
from .cli_settle import settle
from .shell import as_json as json_text
from .shell import check_picture, clear_errors, load_with, write_variance

if TYPE_CHECKING:
    import xarray as xr

    from ..scenario import Scenario


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="capitation-risk", prog_name="simulator")
def main() -> None:
    """How much of next year's health-care cost is luck, and who should carry it?

    \b
    simulator check configs/east_sussex.toml       what the scenario implies, exactly
    simulator run configs/east_sussex.toml         draw, and print how large is large enough
    simulator calibrate --mean 952 --p-user 0.85 --top-share 0.05=0.514
    """  # noqa: D301 - click takes this backslash for "do not wrap"
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)


@main.command()
@click.argument("scenario")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def check(scenario: str, as_json: bool) -> None:
    """Read SCENARIO and print what it implies, exactly and without draws.

    Example: simulator check configs/east_sussex.toml
    """
    with clear_errors():
        from ..analysis.describe import describe
        from ..scenario import load
        from .text_check import check_table

        described = describe(load(scenario))
        click.echo(json_text(described) if as_json else check_table(described))


def _share(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[float, float]:
    try:
        pairs = [text.split("=") for text in given]
        return {float(people): float(cost) for people, cost in pairs}
    except ValueError:
        raise click.BadParameter("write it as people=cost, such as 0.05=0.514") from None


@main.command()
@click.option(
    "--family", default=None, help="lognormal, gamma, weibull, pareto, lomax, gpd or burr; all side by side without it."
)
@click.option("--mean", type=float, required=True, help="Mean annual cost a head, people without cost included.")
@click.option("--p-user", type=float, default=1.0, show_default=True, help="Share of people with any cost.")
@click.option("--cv", type=float, default=None, help="Coefficient of variation of a person's annual cost.")
@click.option("--top-share", multiple=True, callback=_share, help="Share of cost of the costliest people: 0.05=0.514.")
@click.option("--currency", default="GBP", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def calibrate(
    family: str | None,
    mean: float,
    p_user: float,
    cv: float | None,
    top_share: dict[float, float],
    currency: str,
    as_json: bool,
) -> None:
    """Find the cost family that has these summary figures.

    Example: simulator calibrate --family lognormal --mean 952 --p-user 0.85 --top-share 0.05=0.514
    """
    with clear_errors():
        from ..analysis.describe import compare_families, describe_calibration
        from .text_check import calibration_table, families_table

        if family is None:
            rows = compare_families(mean=mean, p_user=p_user, cv=cv, top_share=top_share)
            click.echo(json_text(rows) if as_json else families_table(rows, currency))
        else:
            one = describe_calibration(family, mean=mean, p_user=p_user, cv=cv, top_share=top_share)
            click.echo(json_text(one) if as_json else calibration_table(one, currency))


_run_options: list[Callable[..., Any]] = [
    click.option("--replicates", type=click.IntRange(min=2), help="Synthetic populations; the scenario's by default."),
    click.option("--seed", type=click.IntRange(min=0, max=2**63 - 1), help="Seed; the scenario's by default."),
    click.option("--threads", type=click.IntRange(min=1), help="Threads; all cores by default."),
    click.option(
        "--margin",
        type=click.FloatRange(-1, 10, min_open=True),
        default=0.03,
        show_default=True,
        help="Tolerance of the printed overspend probability.",
    ),
    click.option(
        "--at-most",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        default=0.05,
        show_default=True,
        help="Largest tolerated overspend probability.",
    ),
    click.option("--until", help='Draw on until a figure is precise: "p_overspend(0.03) ± 0.002" (+- will do).'),
    click.option(
        "--max-replicates", type=click.IntRange(min=1), default=100_000, show_default=True, help="Limit of --until."
    ),
    click.option("--out", type=click.Path(), help="Write draws and summary to this netCDF file."),
    click.option("--resume", is_flag=True, help="Go on from what --out holds already."),
    click.option(
        "--plot",
        type=click.Path(),
        help="Write a picture of variance by size to this PNG, SVG or PDF file, and its figures as CSV.",
    ),
    click.option("--exact", is_flag=True, help="Draw nothing: the same figures from the exact engine, at once."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables."),
]


@main.command()
@click.argument("scenario")
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
) -> None:
    """Draw the populations of SCENARIO and print budget variance by population size and threshold.

    Example: simulator run configs/east_sussex.toml --replicates 2000 --out results/es.nc --plot results/es.png
    """
    with clear_errors():
        if exact:
            click.echo(run_exact(scenario, margin, at_most, out, as_json))
            return
        from ..analysis.precision import parse_target
        from ..analysis.statistics import MARGINS, summarise
        from ..ledger import check_writable, save, with_summary
        from .text_run import run_report, summary_rows

        asked = load_with(scenario, replicates, seed)
        target = parse_target(until) if until else None
        if out:
            check_writable(out)
        if plot:
            check_picture(plot)
        ledger = _drawn(asked, threads, target, max_replicates, out, resume)
        summary = summarise(ledger, margins=sorted({*MARGINS, margin}), scenario=asked)
        written: list[object] = []
        if out:
            save(with_summary(ledger, summary), out)
            written.append(out)
        if plot:
            written += [plot, write_variance(summary, plot)]
        click.echo(json_text(summary_rows(summary)) if as_json else run_report(summary, margin, at_most))
        for path in written:
            click.echo(f"written: {path}", err=as_json)
        if summary.attrs["check"] == "failed":
            click.echo(summary.attrs["check_sentence"], err=True)
            raise SystemExit(3)


for _option in reversed(_run_options):
    _option(run)


def _drawn(
    scenario: Scenario, threads: int | None, target: Any, most: int, out: str | None, resume: bool
) -> xr.Dataset:
    from ..analysis.precision import simulate_until
    from ..ledger import open_ledger, save
    from ..runs import RunInterrupted, extend, simulate

    executor = ThreadPoolExecutor(threads) if threads else None
    try:
        if resume and out is None:
            raise SimulatorError("--resume", None, "needs --out", "name the file to go on from")
        if target is not None:
            return simulate_until(scenario, target, most, executor=executor)
        if resume and out is not None:
            return extend(open_ledger(out), scenario, executor)
        return simulate(scenario, executor)
    except RunInterrupted as stop:
        if stop.ledger is not None and out is not None:
            save(stop.ledger, out)
            done = stop.ledger.sizes["replicate"]
            click.echo(
                f"\nstopped; the {done:,} populations that were finished are in {out}: go on with --resume", err=True
            )
        raise SystemExit(130) from None
    finally:
        if executor is not None:
            executor.shutdown()


for _verb in (fit, settle, size, luck, stress, sensitivity, plot_verb):
    main.add_command(_verb)


if __name__ == "__main__":
    main()
