"""The main job from end to end: how large must East Sussex's capitated population be?

Luck alone, luck and an estimated shock, and light, central and heavy tails that all agree on the top-5% share.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...errors import SimulatorError
from .option_types import Whole
from .shell import Rendered, Verb, clear_errors, write_variance

if TYPE_CHECKING:
    import xarray as xr

    from ...scenario import Scenario

MARGIN = 0.03
AT_MOST = 0.05
ASKED = "east_sussex_spread.toml"
"""With the light and heavy tails as variants, and a shock estimated from results of organisations."""
YEARS = "east_sussex_years.toml"
"""Several years of partly the same people, of which one line is told."""
DRAWN = "east_sussex.toml"
"""Luck alone, of which the years are kept."""
PACKED = Path(__file__).parents[2] / "configs"
"""Where a wheel has both."""


@click.command(cls=Verb)
@click.option(
    "--configs", type=click.Path(path_type=Path), default=None, help="Folder of scenarios; ./configs, or the package's."
)
@click.option("--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True)
@click.option("--replicates", type=Whole(min=2), default=None, help="Simulated years.")
def main(configs: Path | None, results: Path, replicates: int | None) -> None:
    """Answer on one page how large East Sussex's population must be; write a picture, the years and a report."""
    with clear_errors():
        from ...analysis.answer import answer
        from .shell import load_with

        results.mkdir(exist_ok=True)
        if configs is None:
            configs = Path("configs") if Path("configs", ASKED).exists() or not PACKED.exists() else PACKED
        asked = str(configs / ASKED)
        found = answer(load_with(asked, replicates, None), margin=MARGIN, at_most=AT_MOST)
        rendered = Rendered.of(found, source=asked)
        assert rendered.page is not None
        click.echo(f"{rendered.page().text()}\n")
        if (configs / YEARS).exists():
            click.echo(f"{_of_years(configs / YEARS)}\n")
        _keep(load_with(str(configs / DRAWN), replicates, None), results, found)


def _of_years(path: Path) -> str:
    """What pooling three years is worth, without simulation."""
    from ...analysis.years import persistence
    from ...scenario import load
    from ..answers.years import page

    return f"{page(persistence(load(path))).verdict[2]} ({path})"


def _keep(scenario: Scenario, results: Path, answered: xr.Dataset) -> None:
    """The simulated years with their self-check, the picture and the report, with what was answered."""
    from ...analysis.statistics.summary import summarise
    from ...ledger import save, with_summary
    from ...runs import simulate

    ledger = simulate(scenario)
    summary = summarise(ledger, scenario=scenario)
    save(with_summary(ledger, summary), results / "east_sussex.nc")
    write_variance(summary, results / "east_sussex.png")
    report = _report(ledger, results / "east_sussex.html", answered)
    click.echo(summary.attrs["check_sentence"])
    click.echo(f"simulated years:   {results / 'east_sussex.nc'}")
    click.echo(f"picture:           {results / 'east_sussex.png'} (its figures: .csv)")
    click.echo(f"report:            {report}")


def _report(ledger: xr.Dataset, path: Path, answered: xr.Dataset) -> str:
    """Where the report was written, or why it was not."""
    from ..report import gather, write_html

    try:
        write_html(gather(ledger, MARGIN, AT_MOST, besides=[answered]), path)
    except SimulatorError as error:
        return f"not written ({error})"
    return f"{path} (open it in a browser)"


if __name__ == "__main__":
    main()
