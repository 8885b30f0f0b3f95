"""Verbs that answer a question: `size`, `luck`, `stress`, `sensitivity`. Each calls one function and prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .shell import clear_errors, load_with

if TYPE_CHECKING:
    import xarray as xr


@click.command()
@click.argument("scenario")
@click.option(
    "--statistic", default="p_overspend", show_default=True, help="p_overspend, p_loss, tvar, expected_overspend or cv."
)
@click.option("--margin", type=float, help="Tolerance of p_overspend; 0.03 by default.")
@click.option("--level", type=float, help="Level of tvar, such as 0.95.")
@click.option(
    "--at-most", type=float, default=0.05, show_default=True, help="Largest tolerated value of the statistic."
)
@click.option("--loss-over", type=float, help="With p_loss: the loss, as a share of the party's own revenue.")
@click.option("--party", default="provider", show_default=True, help="With p_loss: whose loss, under each design.")
@click.option(
    "--members", type=click.IntRange(min=1), help="Ask what makes so many people viable, not how many are needed."
)
@click.option("--largest", type=click.IntRange(min=2), help="Largest population that is tried.")
@click.option("--replicates", type=click.IntRange(min=40), help="Synthetic populations; the scenario's by default.")
@click.option("--seed", type=click.IntRange(min=0, max=2**63 - 1), help="Seed; the scenario's by default.")
@click.option("--exact", is_flag=True, help="Draw nothing: the exact engine's answer alone.")
@click.option("--out", type=click.Path(), help="Write the answer to this netCDF file.")
def size(
    scenario: str, statistic: str, margin: float | None, level: float | None, at_most: float, loss_over: float | None,
    party: str, members: int | None, largest: int | None, replicates: int | None, seed: int | None, exact: bool,
    out: str | None,
) -> None:  # fmt: skip
    """How large must the population of SCENARIO be?

    Example: simulator size configs/east_sussex.toml --margin 0.05 --at-most 0.05
    """
    with clear_errors():
        from ..analysis.minimum import minimum_population
        from ..analysis.viable import viable_terms
        from .text_answers import size_report, terms_report

        _check_writable(out)
        asked = load_with(scenario, replicates, seed)
        if members is not None:
            terms = viable_terms(asked, members, at_most=at_most)
            _shown(terms_report(terms), terms, out)
            return
        margin = 0.03 if margin is None and statistic == "p_overspend" else margin
        answer = minimum_population(
            asked, statistic, at_most=at_most, margin=margin, quantile_level=level, loss_over=loss_over,
            party=party, largest=largest, method="exact" if exact else None,
        )  # fmt: skip
        _shown(size_report(answer), answer, out)


def _check_writable(out: str | None) -> None:
    """Refuse, before any work is done, a file that cannot be written."""
    from ..ledger import check_writable

    if out:
        check_writable(out)


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
    with clear_errors():
        from ..analysis.luck import luck as stands
        from .text_answers import luck_report

        _check_writable(out)
        answer = stands(load_with(scenario, None, None), members, overspend, confidence=confidence)
        _shown(luck_report(answer), answer, out)


@click.command()
@click.argument("scenario")
@click.option(
    "--stresses", multiple=True, type=click.Path(), help="Files of [[stresses]]; the scenario's own by default."
)
@click.option("--members", type=click.IntRange(min=1), help="People; the scenario's largest population by default.")
@click.option("--replicates", type=click.IntRange(min=2), help="Synthetic populations; the scenario's by default.")
@click.option("--seed", type=click.IntRange(min=0, max=2**63 - 1), help="Seed; the scenario's by default.")
@click.option(
    "--loss-over", type=float, default=0.02, show_default=True, help="A party's limit, as a share of its revenue."
)
@click.option("--reverse", metavar="PARTY", help="How far must each input move before this party breaks?")
@click.option("--out", type=click.Path(), help="Write the answer to this netCDF file.")
def stress(
    scenario: str, stresses: tuple[str, ...], members: int | None, replicates: int | None, seed: int | None,
    loss_over: float, reverse: str | None, out: str | None,
) -> None:  # fmt: skip
    """What happens to each party when things turn out otherwise than agreed?

    Example: simulator stress configs/arrangements/01-east-sussex.toml --stresses configs/stresses/arrangements.toml
    """
    with clear_errors():
        from ..analysis.reverse import reverse_stress
        from ..analysis.stress import stress as stressed_by
        from ..stresses import load_stresses
        from .text_answers import reverse_line, stress_report

        _check_writable(out)
        asked = load_with(scenario, replicates, seed)
        chosen = tuple(one for file in stresses for one in load_stresses(file)) or asked.stresses
        if reverse is None:
            answer = stressed_by(asked, chosen, members=members, loss_over=loss_over)
            _shown(stress_report(answer), answer, out)
            return
        for change in dict.fromkeys(change for one in chosen for change in one.changes):
            for design in asked.designs:
                found = reverse_stress(asked, change, design, party=reverse, loss_over=loss_over, members=members)
                click.echo(reverse_line(found))


@click.command()
@click.argument("scenario")
@click.option("--statistic", default="p_overspend", show_default=True, help="p_overspend, cv or mean_overspend.")
@click.option("--members", type=click.IntRange(min=1), help="People; the scenario's largest population by default.")
@click.option("--threshold", type=float, help="A point of the scenario's grid; the last by default.")
@click.option("--margin", type=float, default=0.05, show_default=True, help="Tolerance of p_overspend.")
@click.option("--points", type=click.IntRange(min=4), default=64, show_default=True, help="A power of 2.")
@click.option("--out", type=click.Path(), help="Write the answer to this netCDF file.")
def sensitivity(
    scenario: str,
    statistic: str,
    members: int | None,
    threshold: float | None,
    margin: float,
    points: int,
    out: str | None,
) -> None:
    """Which of the [[ranges]] of SCENARIO matters most?

    Example: simulator sensitivity configs/uncertain.toml --statistic cv --members 50000
    """
    with clear_errors():
        from ..analysis.sensitivity import sensitivity as matters
        from .text_answers import sensitivity_report

        _check_writable(out)
        answer = matters(
            load_with(scenario, None, None),
            (),
            statistic,
            members=members,
            threshold=threshold,
            margin=margin,
            points=points,
        )
        _shown(sensitivity_report(answer), answer, out)


def run_exact(path: str, margin: float, at_most: float, out: str | None, as_json: bool) -> str:
    """What `simulator run --exact` prints, and writes where a file is named."""
    from ..analysis.exact import exact
    from ..analysis.statistics import MARGINS
    from ..ledger import save
    from .shell import as_json as json_text
    from .text_answers import exact_report

    answer = exact(load_with(path, None, None), margins=sorted({*MARGINS, margin}))
    if out:
        save(answer, out)
    if not as_json:
        return exact_report(answer, margin, at_most)
    figures = {str(name): answer[name].values.tolist() for name in answer.data_vars}
    coordinates = {
        str(name): [str(x) if x == float("inf") else x for x in answer[name].values.tolist()] for name in answer.coords
    }
    return json_text(
        {"title": answer.attrs["title"], "method": "exact", "coordinates": coordinates, "figures": figures}
    )
