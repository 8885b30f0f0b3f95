"""`simulator stress`: what happens to each party when things do not go to plan?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ...tidy import dataset_json, stacked, tidy
from ..option_types import Fraction, Whole, defaulted
from ..shell import Rendered, Verb, check_written, clear_errors, emit, emit_kept, load_with, outputs

if TYPE_CHECKING:
    from ....scenario import Scenario
    from ....stresses import Stress


@click.command(cls=Verb)
@click.argument("scenario")
@click.option(
    "--stresses", multiple=True, type=click.Path(), help="Files of [[stresses]]; the scenario's own by default."
)
@click.option("--members", type=Whole(min=1), help="Population; the scenario's largest by default.")
@click.option("--replicates", type=Whole(min=2), help="Simulated years; the scenario's by default.")
@click.option("--seed", type=Whole(min=0, max=2**63 - 1), help="Seed; the scenario's by default.")
@defaulted("--loss-over", Fraction(), 0.02, "A party's limit, as a share of its revenue.")
@click.option("--reverse", metavar="PARTY", help="How far must each input move before this party reaches its limit?")
@click.option("--out", type=click.Path(), help="Write the answer to this netCDF file.")
@outputs
def stress(
    scenario: str, stresses: tuple[str, ...], members: int | None, replicates: int | None, seed: int | None,
    loss_over: float, reverse: str | None, out: str | None,
) -> None:  # fmt: skip
    """What happens to each party when things do not go to plan?

    Example: simulator stress configs/arrangements/01-east-sussex.toml --stresses configs/stresses/arrangements.toml
    """
    with clear_errors():
        from ....analysis.stress.stress import stress as stressed_by
        from ....errors import SimulatorError
        from ....stresses import load_stresses

        if reverse is not None and out:
            raise SimulatorError("--out", None, "does nothing with --reverse", "use --csv")
        check_written(scenario, out)
        asked = load_with(scenario, replicates, seed)
        chosen = tuple(one for file in stresses for one in load_stresses(file)) or asked.stresses
        if reverse is not None:
            _reverse(asked, chosen, reverse, loss_over, members)
            return
        answer = stressed_by(asked, chosen, members=members, loss_over=loss_over)
        emit_kept(answer, out)


def _reverse(
    asked: Scenario,
    stresses: Sequence[Stress],
    party: str,
    loss_over: float,
    members: int | None,
) -> None:
    from ....analysis.stress.reverse import reverse_stress
    from ....errors import SimulatorError
    from ...answers.reverse import page

    changes = list(dict.fromkeys(change for one in stresses for change in one.changes))
    if not changes or not asked.designs:
        missing, key = ("stresses", "[[stresses]]") if not changes else ("designs", "[[designs]]")
        raise SimulatorError(missing, None, "are not defined", f"add {key} to the scenario")
    found = [
        reverse_stress(asked, change, design, party=party, loss_over=loss_over, members=members)
        for change in changes
        for design in asked.select_designs()
    ]
    made = Rendered(
        lambda: page(found),
        lambda: {"title": asked.title, "cells": [dataset_json(one) for one in found]},
        lambda: stacked([tidy(one, **{key: one.attrs[key] for key in ("design", "party", "change")}) for one in found]),
    )
    emit(made)
