"""What if things turn out otherwise? What the stresses do, in sentences, a picture and tables."""

from __future__ import annotations

from collections.abc import Iterator

import xarray as xr

from .. import plots
from ..text import people
from ..text_stress import parties_of, share_lost, worst_sentence
from .charts import Chart
from .gather import Contents
from .rounding import FIGURES, NOTE
from .stressed import stressable
from .tables import Table

_DECIMALS = 2
"""Of a per cent of revenue, at most."""

CHART = Chart(
    "Who is hurt, and by what?",
    "Each cell is the change of a party's expected surplus, as a share of its revenue as agreed.",
    lambda contents: _answer(contents),
    lambda _, shown: plots.stress_heat_map(shown),
    lambda contents, _: stress_tables(contents),
    lambda contents: contents.stressed is not None,
)


def _answer(contents: Contents) -> xr.Dataset:
    assert contents.stressed is not None
    return contents.stressed


def drawn_for(contents: Contents) -> str:
    """For which population, and how often, the stresses were drawn; or why not."""
    found = contents.stressed
    if found is None:
        return (
            "not drawn: no design has a threshold of its own" if contents.designs else "not drawn: no design is given"
        )
    known = found.attrs
    return f"{people(known['members'])} people, {people(known['replicates'])} synthetic populations each"


def said(contents: Contents) -> list[str]:
    """What is done here, and which stress hurts whom most under each design."""
    found = contents.stressed
    if found is None:
        return [f"The scenario’s stresses were {drawn_for(contents)}."]
    told = [f"Budgets stay as agreed; what turns out is drawn anew: {drawn_for(contents)}."]
    swept = [design.name for design in contents.designs if design not in stressable(contents.designs)]
    if swept:
        told.append(f"Not stressed, for want of a threshold of its own: {', '.join(swept)}.")
    return told + [worst_sentence(str(name), found.sel(design=name), FIGURES) for name in found["design"].values]


def stress_tables(contents: Contents) -> Iterator[Table]:
    """What each stress means; and for each design, what each stress (rows) costs each party (columns)."""
    given = contents.scenario["stresses"]
    yield Table(
        "The stresses",
        ["Stress", "What it expresses"],
        [[one["name"], one.get("expresses") or "—"] for one in given],
        "As given. “All together” is every one of them at once." if len(given) > 1 else "As given.",
        prose=True,
    )
    found = _answer(contents)
    for design in found["design"].values:
        answer = found.sel(design=design)
        parties = parties_of(answer)
        rows = [
            [str(name), *(_hurt(answer.sel(stress=name, party=party)) for party in parties)]
            for name in answer["stress"].values[1:]
        ]
        note = (
            "Change of the party’s expected surplus against that as agreed, on the same draws, as a share of its "
            f"revenue as agreed. {NOTE}"
        )
        yield Table(f"{design}: what each stress costs", ["Stress", *parties], rows, note)


def _hurt(cell: xr.Dataset) -> str:
    share, error = float(cell["surplus_difference_share"]), float(cell["surplus_difference_share_se"])
    if share == error == 0:
        return "no change"
    return share_lost(share, error, sign=True, decimals=_DECIMALS)
