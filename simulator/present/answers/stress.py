"""What each stress costs each party: the change of its expected surplus, as a share of its revenue."""

import xarray as xr

from ..figure import Figure, people, percent
from ..tables import Cell, Page, Table
from . import Kind
from .shared import not_asked, simulated, too_few, with_origin

_DECIMALS = 3
"""Of a per cent of revenue, at most."""

_SHADES = ((0.10, "█"), (0.05, "▓"), (0.02, "▒"), (0.005, "░"))

_TOGETHER = "all together"


def page(answer: xr.Dataset) -> Page:
    """Change of every party's expected surplus, as a share of its revenue: a table for each design."""
    known = answer.attrs
    designs = [(str(name), answer.sel(design=name)) for name in answer["design"].values]
    notes = (
        "Change of the expected surplus, as a share of the party's revenue as agreed, on the same simulated years.\n"
        "Losses from 0.5% ░, from 2% ▒, from 5% ▓, from 10% █."
    )
    tables = [table(one, name, _DECIMALS, shaded=True) for name, one in designs]
    parts: list[Table | str] = [notes, *tables, *not_asked(known)]
    title = f"What a stress costs each party: {people(known['members'])} people"
    made = Page(title, [worst_sentence(name, one) for name, one in designs], parts, too_few(known["replicates"]))
    return with_origin(simulated(made), known)


def parties_of(answer: xr.Dataset) -> list[str]:
    """The parties that have revenue, of which a loss is a share."""
    return [str(name) for name in answer["party"].values if float(answer["revenue"].sel(party=name)) > 0]


def worst_sentence(design: str, answer: xr.Dataset) -> str:
    """Which single stress hurts whom most, and what all of them do together."""
    stresses = [str(name) for name in answer["stress"].values[1:]]
    alone = [name for name in stresses if name != _TOGETHER] or stresses
    told = [_worst(answer, alone)]
    if alone != stresses:
        told.append(f"all together cost {_worst(answer, [_TOGETHER], named=False)}")
    return f"{design}: {'; '.join(told)}."


def _worst(answer: xr.Dataset, stresses: list[str], named: bool = True) -> str:
    places = [(name, party) for name in stresses for party in parties_of(answer)]
    if not places:
        return "no party has revenue to lose"
    share = answer["surplus_difference_share"]
    name, party = min(places, key=lambda place: float(share.sel(stress=place[0], party=place[1])))
    value, error = _change(answer.sel(stress=name, party=party))
    if not value < 0:
        return "no stress costs any party anything" if named else "nobody anything"
    lost = f"{party} {percent(-value, error, most=_DECIMALS).brief} of revenue"
    return f"{name!r} hurts most: it costs {lost}" if named else lost


def _change(cell: xr.Dataset) -> tuple[float, float]:
    return float(cell["surplus_difference_share"]), float(cell["surplus_difference_share_se"])


def table(answer: xr.Dataset, title: str, decimals: int, shaded: bool = False) -> Table:
    """What each stress (rows) costs each party (columns) under one design."""
    parties = parties_of(answer)
    rows: list[list[Cell]] = [
        [str(name), *(_hurt(answer.sel(stress=name, party=party), decimals, shaded) for party in parties)]
        for name in answer["stress"].values[1:]
    ]
    return Table(["stress", *parties], rows, title)


def _hurt(cell: xr.Dataset, decimals: int, shaded: bool) -> Figure:
    share, error = _change(cell)
    if share == error == 0:
        return Figure(0.0, "no change", error=0.0, mark="  " if shaded else "")
    shade = next((mark for bound, mark in _SHADES if share <= -bound), " ")
    return percent(share, error, sign=True, most=decimals).marked(f" {shade}" if shaded else "")


KIND = Kind(page, over=("stress", "design", "party"))
