"""Verbs that answer a question: `size`, `luck`, `stress`, `sensitivity`. Each calls one function and tells it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ..tidy import dataset_json, stacked, tidy
from .option_types import Amount, Fraction, Whole
from .shell import Told, Verb, check_output, check_told, clear_errors, load_with, outputs, tell, written

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

    from ...scenario import Scenario
    from ...stresses import Stress
    from ..page import Page


def _tell(
    answer: xr.Dataset,
    report: Callable[[xr.Dataset], Page],
    over: Sequence[str],
    out: str | None,
    as_json: bool,
    csv: str | None,
) -> None:
    """Keep an answer where a file is named, and print it."""
    from ...ledger import save

    if out:
        save(answer, out)
    tell(Told(lambda: report(answer), lambda: dataset_json(answer, over), lambda: tidy(answer)), as_json, csv)
    if out:
        written(out)


def _check(scenario: str, out: str | None, as_json: bool, csv: str | None) -> None:
    """Refuse, before any work is done, what could not be written."""
    check_told(as_json, csv, scenario)
    check_output("--out", out, scenario)


@click.command(cls=Verb)
@click.argument("scenario")
@click.option(
    "--statistic", default="p_overspend", show_default=True, help="p_overspend, p_loss, tvar, expected_overspend or cv."
)
@click.option("--margin", type=Fraction(), help="Tolerance of p_overspend; 0.03 by default.")
@click.option("--level", type=Fraction(), help="Level of tvar, such as 0.95.")
@click.option(
    "--at-most", type=Fraction(), default=0.05, show_default=True, help="Largest tolerated value of the statistic."
)
@click.option("--loss-over", type=Fraction(), help="With p_loss: the loss, as a share of the party's own revenue.")
@click.option("--party", default="provider", show_default=True, help="With p_loss: whose loss, under each design.")
@click.option("--members", type=Whole(min=1), help="Ask what makes so many people viable, not how many are needed.")
@click.option("--largest", type=Whole(min=2), help="Largest population that is tried.")
@click.option("--replicates", type=Whole(min=40), help="Synthetic populations; the scenario's by default.")
@click.option("--seed", type=Whole(min=0, max=2**63 - 1), help="Seed; the scenario's by default.")
@click.option("--exact", is_flag=True, help="Draw nothing: the exact engine's answer alone.")
@click.option("--out", type=click.Path(), help="Write the answer to this netCDF file.")
@outputs
def size(
    scenario: str, statistic: str, margin: float | None, level: float | None, at_most: float, loss_over: float | None,
    party: str, members: int | None, largest: int | None, replicates: int | None, seed: int | None, exact: bool,
    out: str | None, as_json: bool, csv: str | None,
) -> None:  # fmt: skip
    """How large must the population of SCENARIO be?

    Example: simulator size configs/east_sussex.toml --margin 0.05 --at-most 0.05
    """
    with clear_errors():
        from ...analysis.size.minimum import minimum_population
        from ...analysis.size.viable import viable_terms
        from ..text_answers import size_report, terms_report

        _check(scenario, out, as_json, csv)
        asked = load_with(scenario, replicates, seed)
        if members is not None:
            terms = viable_terms(asked, members, at_most=at_most)
            _tell(terms, terms_report, ("threshold",), out, as_json, csv)
            return
        margin = 0.03 if margin is None and statistic == "p_overspend" else margin
        answer = minimum_population(
            asked, statistic, at_most=at_most, margin=margin, quantile_level=level, loss_over=loss_over,
            party=party, largest=largest, method="exact" if exact else None,
        )  # fmt: skip
        over = "threshold" if "threshold" in answer.dims else "design"
        _tell(answer, size_report, (over,), out, as_json, csv)


@click.command(cls=Verb)
@click.argument("scenario")
@click.option("--members", type=Whole(min=1), required=True, help="People, for one year.")
@click.option("--overspend", type=Fraction(), required=True, help="Observed cost / budget − 1, such as 0.04.")
@click.option(
    "--confidence", type=Fraction(), default=0.95, show_default=True, help="Share of the years in the usual range."
)
@click.option("--out", type=click.Path(), help="Write the answer to this netCDF file.")
@outputs
def luck(
    scenario: str, members: int, overspend: float, confidence: float, out: str | None, as_json: bool, csv: str | None
) -> None:
    """Was last year's deviation luck?

    Example: simulator luck configs/east_sussex_shock.toml --members 30000 --overspend 0.04
    """
    with clear_errors():
        from ...analysis.luck.luck import luck as stands
        from ..text_answers import luck_report

        _check(scenario, out, as_json, csv)
        answer = stands(load_with(scenario, None, None), members, overspend, confidence=confidence)
        _tell(answer, luck_report, ("risk", "threshold"), out, as_json, csv)


@click.command(cls=Verb)
@click.argument("scenario")
@click.option(
    "--stresses", multiple=True, type=click.Path(), help="Files of [[stresses]]; the scenario's own by default."
)
@click.option("--members", type=Whole(min=1), help="People; the scenario's largest population by default.")
@click.option("--replicates", type=Whole(min=2), help="Synthetic populations; the scenario's by default.")
@click.option("--seed", type=Whole(min=0, max=2**63 - 1), help="Seed; the scenario's by default.")
@click.option(
    "--loss-over", type=Fraction(), default=0.02, show_default=True, help="A party's limit, as a share of its revenue."
)
@click.option("--reverse", metavar="PARTY", help="How far must each input move before this party breaks?")
@click.option("--out", type=click.Path(), help="Write the answer to this netCDF file.")
@outputs
def stress(
    scenario: str, stresses: tuple[str, ...], members: int | None, replicates: int | None, seed: int | None,
    loss_over: float, reverse: str | None, out: str | None, as_json: bool, csv: str | None,
) -> None:  # fmt: skip
    """What happens to each party when things turn out otherwise than agreed?

    Example: simulator stress configs/arrangements/01-east-sussex.toml --stresses configs/stresses/arrangements.toml
    """
    with clear_errors():
        from ...analysis.stress.stress import stress as stressed_by
        from ...errors import SimulatorError
        from ...stresses import load_stresses
        from ..text_stress import stress_report

        if reverse is not None and out:
            raise SimulatorError("--out", None, "does nothing beside --reverse", "use --csv")
        _check(scenario, out, as_json, csv)
        asked = load_with(scenario, replicates, seed)
        chosen = tuple(one for file in stresses for one in load_stresses(file)) or asked.stresses
        if reverse is not None:
            _tell_reverse(asked, chosen, reverse, loss_over, members, as_json, csv)
            return
        answer = stressed_by(asked, chosen, members=members, loss_over=loss_over)
        _tell(answer, stress_report, ("stress", "design", "party"), out, as_json, csv)


def _tell_reverse(
    asked: Scenario,
    stresses: Sequence[Stress],
    party: str,
    loss_over: float,
    members: int | None,
    as_json: bool,
    csv: str | None,
) -> None:
    from ...analysis.designs.losses import designs_of
    from ...analysis.stress.reverse import reverse_stress
    from ...errors import SimulatorError
    from ..text_stress import reverse_report

    changes = list(dict.fromkeys(change for one in stresses for change in one.changes))
    if not changes or not asked.designs:
        missing, key = ("stresses", "[[stresses]]") if not changes else ("designs", "[[designs]]")
        raise SimulatorError(missing, None, "are none", f"add {key} to the scenario")
    found = [
        reverse_stress(asked, change, design, party=party, loss_over=loss_over, members=members)
        for change in changes
        for design in designs_of(asked)
    ]
    told = Told(
        lambda: reverse_report(found),
        lambda: {"title": asked.title, "cells": [dataset_json(one) for one in found]},
        lambda: stacked([tidy(one, **{key: one.attrs[key] for key in ("design", "party", "change")}) for one in found]),
    )
    tell(told, as_json, csv)


@click.command(cls=Verb)
@click.argument("scenario")
@click.option("--statistic", default="p_overspend", show_default=True, help="p_overspend, cv or mean_overspend.")
@click.option("--members", type=Whole(min=1), help="People; the scenario's largest population by default.")
@click.option(
    "--threshold", type=Amount(is_threshold=True), help="A point of the scenario's grid; the last by default."
)
@click.option("--margin", type=Fraction(), default=0.05, show_default=True, help="Tolerance of p_overspend.")
@click.option("--points", type=Whole(min=4), default=64, show_default=True, help="A power of 2.")
@click.option("--out", type=click.Path(), help="Write the answer to this netCDF file.")
@outputs
def sensitivity(
    scenario: str, statistic: str, members: int | None, threshold: float | None, margin: float, points: int,
    out: str | None, as_json: bool, csv: str | None,
) -> None:  # fmt: skip
    """Which of the [[ranges]] of SCENARIO matters most?

    Example: simulator sensitivity configs/uncertain.toml --statistic cv --members 50000
    """
    with clear_errors():
        from ...analysis.stress.sensitivity import sensitivity as matters
        from ..text_stress import sensitivity_report

        _check(scenario, out, as_json, csv)
        asked = load_with(scenario, None, None)
        answer = matters(asked, (), statistic, members=members, threshold=threshold, margin=margin, points=points)
        _tell(answer, sensitivity_report, ("input",), out, as_json, csv)
