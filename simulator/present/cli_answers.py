"""Verbs that answer a question: `size`, `luck`, `stress`, `sensitivity`. Each calls one function and prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .cli import _clear_errors, _scenario

if TYPE_CHECKING:
    import xarray as xr


@click.command()
@click.argument("scenario")
@click.option(
    "--statistic", default="p_overspend", show_default=True, help="p_overspend, tvar, expected_overspend or cv."
)
@click.option("--margin", type=float, help="Tolerance of p_overspend; 0.05 by default.")
@click.option("--level", type=float, help="Level of tvar, such as 0.95.")
@click.option(
    "--at-most", type=float, default=0.05, show_default=True, help="Largest tolerated value of the statistic."
)
@click.option(
    "--members", type=click.IntRange(min=1), help="Ask what makes so many people viable, not how many are needed."
)
@click.option("--largest", type=click.IntRange(min=2), help="Largest population that is tried.")
@click.option("--replicates", type=click.IntRange(min=40), help="Synthetic populations; the scenario's by default.")
@click.option("--seed", type=click.IntRange(min=0, max=2**63 - 1), help="Seed; the scenario's by default.")
@click.option("--exact", is_flag=True, help="Draw nothing: the exact engine's answer alone.")
@click.option("--out", type=click.Path(), help="Write the answer to this netCDF file.")
def size(
    scenario: str, statistic: str, margin: float | None, level: float | None, at_most: float, members: int | None,
    largest: int | None, replicates: int | None, seed: int | None, exact: bool, out: str | None,
) -> None:  # fmt: skip
    """How large must the population of SCENARIO be?

    Example: simulator size configs/east_sussex.toml --margin 0.05 --at-most 0.05
    """
    with _clear_errors():
        from ..analysis.minimum import minimum_population
        from ..analysis.viable import viable_terms
        from .text_answers import size_report, terms_report

        asked = _scenario(scenario, replicates, seed)
        if members is not None:
            terms = viable_terms(asked, members, at_most=at_most)
            _shown(terms_report(terms), terms, out)
            return
        margin = 0.05 if margin is None and statistic == "p_overspend" else margin
        answer = minimum_population(
            asked, statistic, at_most=at_most, margin=margin, quantile_level=level, largest=largest,
            method="exact" if exact else None,
        )  # fmt: skip
        _shown(size_report(answer), answer, out)


def _shown(report: str, answer: xr.Dataset, out: str | None) -> None:
    """Print an answer, and keep it where a file is named."""
    from ..ledger import save

    if out:
        save(answer, out)
    click.echo(report)
    if out:
        click.echo(f"written: {out}")


@click.command()
@click.argument("scenario")
@click.option("--members", type=click.IntRange(min=1), required=True, help="People, for one year.")
@click.option("--overspend", type=float, required=True, help="Observed cost / budget − 1, such as 0.04.")
@click.option(
    "--confidence", type=float, default=0.95, show_default=True, help="Share of the years in the usual range."
)
@click.option("--out", type=click.Path(), help="Write the answer to this netCDF file.")
def luck(scenario: str, members: int, overspend: float, confidence: float, out: str | None) -> None:
    """Was last year's deviation luck?

    Example: simulator luck configs/east_sussex_shock.toml --members 30000 --overspend 0.04
    """
    with _clear_errors():
        from ..analysis.luck import luck as stands
        from .text_answers import luck_report

        answer = stands(_scenario(scenario, None, None), members, overspend, confidence=confidence)
        _shown(luck_report(answer), answer, out)
