"""`simulator stress`: what happens to each party when things do not go to plan?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ....errors import SimulatorError
from ...tidy import dataset_json, stacked, tidy
from ..option_types import Fraction, Whole, defaulted
from ..shell import Rendered, Verb, check_written, emit, emit_kept, load_with, outputs

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
def stress(scenario: str, out: str | None, stresses: tuple[str, ...], reverse: str | None, **asked: Any) -> None:
    """What happens to each party when things do not go to plan?

    Example: simulator stress configs/arrangements/01-east-sussex.toml --stresses configs/stresses/arrangements.toml
    """
    from ....analysis.stress.stress import stress as stressed_by
    from ....stresses import load_stresses

    if reverse is not None and out:
        raise SimulatorError("--out", None, "does nothing with --reverse", "use --csv")
    check_written(scenario, out)
    agreed = load_with(scenario, asked.pop("replicates"), asked.pop("seed"))
    chosen = tuple(one for file in stresses for one in load_stresses(file)) or agreed.stresses
    if reverse is None:
        emit_kept(stressed_by(agreed, chosen, checkpoint=out, **asked), out)
    else:
        emit(_reverse(agreed, chosen, party=reverse, **asked))


def _reverse(agreed: Scenario, stresses: Sequence[Stress], **asked: Any) -> Rendered:
    from ....analysis.stress.reverse import reverse_stress
    from ...answers.reverse import page

    changes = list(dict.fromkeys(change for one in stresses for change in one.changes))
    if not changes or not agreed.designs:
        missing, key = ("stresses", "[[stresses]]") if not changes else ("designs", "[[designs]]")
        raise SimulatorError(missing, None, "are not defined", f"add {key} to the scenario")
    found = [
        reverse_stress(agreed, change, design, **asked) for change in changes for design in agreed.select_designs()
    ]
    return Rendered(
        lambda: page(found),
        lambda: {"title": agreed.title, "cells": [dataset_json(one) for one in found]},
        lambda: stacked([tidy(one, **{key: one.attrs[key] for key in ("design", "party", "change")}) for one in found]),
    )
