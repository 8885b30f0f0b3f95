"""The main job from end to end: how large must East Sussex's capitated population be?

Luck alone, luck and a common shock, and light, central and heavy tails that all agree on the top-5% share.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import xarray as xr

from ...errors import SimulatorError
from .option_types import Whole
from .shell import Verb, clear_errors, note

if TYPE_CHECKING:
    from ...scenario import Scenario
    from ..tables import Table

MARGIN = 0.03
AT_MOST = 0.05
_WIDTH = 125  # the answers as the README shows them


class Case(NamedTuple):
    """One column of the answer table."""

    head: str
    file: str


CASES = (
    Case("luck alone", "east_sussex.toml"),
    Case("luck and 1.5% shock", "east_sussex_shock.toml"),
    Case("lighter tail", "east_sussex_light.toml"),
    Case("heavier tail", "east_sussex_heavy.toml"),
)


@click.command(cls=Verb)
@click.option("--configs", type=click.Path(path_type=Path), default=Path("configs"), show_default=True)
@click.option("--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True)
@click.option("--replicates", type=Whole(min=2), default=None, help="Simulated years of each case.")
def main(configs: Path, results: Path, replicates: int | None) -> None:
    """Run the four East Sussex scenarios and print how large is large enough."""
    with clear_errors():
        _demo(configs, results, replicates)


def _demo(configs: Path, results: Path, replicates: int | None) -> None:
    from ...analysis.statistics.summary import summarise
    from ...ledger import save, with_summary
    from ..answers.shared import figure_table
    from .shell import write_variance

    results.mkdir(exist_ok=True)
    summaries = []
    for case, scenario, ledger in _drawn(configs, replicates):
        summary = summarise(ledger, scenario=scenario)
        click.echo(f"{case.head:<21} {case.file}: {summary.attrs['check_sentence']}")
        summaries.append(summary)
        if case is CASES[0]:
            save(with_summary(ledger, summary), results / "east_sussex.nc")
            write_variance(summary, results / "east_sussex.png")
            report = _report(ledger, results / "east_sussex.html")
    first = summaries[0]
    click.echo(f"\n{first.attrs['title']}\n")
    spread = figure_table(first, "cv", "Luck alone: standard deviation of retained cost, as a share of its mean")
    title = "Luck alone: chance of overspending by more than 3% of the budget"
    overspend = figure_table(first, "p_overspend", title, margin=MARGIN)
    for shown in (spread, overspend, answers(summaries)):
        click.echo("\n".join(shown.lines(_WIDTH)) + "\n")
    click.echo(f"simulated years:   {results / 'east_sussex.nc'}")
    click.echo(f"picture:           {results / 'east_sussex.png'} (its figures: .csv)")
    click.echo(f"report:            {report}")


def _drawn(configs: Path, replicates: int | None) -> Iterator[tuple[Case, Scenario, xr.Dataset]]:
    """Each case with its draws; the next is drawn while this one is looked at."""
    from ...runs import simulate
    from ...scenario import load

    scenarios = [load(configs / case.file) for case in CASES]
    if replicates is not None:
        scenarios = [scenario.with_simulation(replicates=replicates) for scenario in scenarios]
    note(f"simulating {len(CASES)} × {scenarios[0].simulation.replicates:,} simulated years …")
    ahead = ThreadPoolExecutor(1)
    try:
        yield from zip(CASES, scenarios, ahead.map(partial(simulate, progress=False), scenarios), strict=True)
    finally:
        ahead.shutdown(cancel_futures=True)


def _report(ledger: xr.Dataset, path: Path) -> str:
    """Where the report was written, or why it was not."""
    from ..report import gather, write_html

    try:
        write_html(gather(ledger, MARGIN, AT_MOST), path)
    except SimulatorError as error:
        return f"not written ({error})"
    return f"{path} (open it in a browser)"


def answers(summaries: list[xr.Dataset]) -> Table:
    """Minimum population by threshold (rows) and case (columns)."""
    from ...analysis.size.grid import minimum_on_grid
    from ..answers.shared import minimum_population, rules
    from ..tables import Rows, Table

    sizes = summaries[0]["population_size"].values
    found = [minimum_on_grid(summary, "p_overspend", AT_MOST, margin=MARGIN) for summary in summaries]
    rows: Rows = [
        [
            label,
            *(minimum_population(answer, row, int(sizes[-1]), int(sizes[0])) for answer in found),
        ]
        for row, label in enumerate(rules(summaries[0]))
    ]
    title = (
        "Smallest population with a chance of at most 5% of overspending the budget by more than 3%\n"
        "(95% interval in brackets, interpolated between sizes; the shock is assumed; tails agree on the top-5% share)"
    )
    return Table(["", *(case.head for case in CASES)], rows, title)


if __name__ == "__main__":
    main()
