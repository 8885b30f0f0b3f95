"""Stress, reverse stress and sensitivity in words and tables. Formats, and computes nothing."""

from __future__ import annotations

import math

import xarray as xr

from ..analysis.statistics.statistic import STATISTICS
from .page import Page, Table
from .text import (
    error_decimals,
    error_told,
    exact_chance,
    exact_percent,
    explained,
    not_asked,
    people,
    percent,
    percentage,
    too_few,
    with_origin,
)

_DECIMALS = 3
"""Of a per cent of revenue, at most."""

_SHADES = ((0.10, "█"), (0.05, "▓"), (0.02, "▒"), (0.005, "░"))


# ── who is hurt ──────────────────────────────────────────────────────────────────────────────────


def stress_report(answer: xr.Dataset) -> Page:
    """Change of every party's expected surplus, as a share of its revenue: a table for each design."""
    known = answer.attrs
    size = f"{people(known['members'])} people"
    designs = [(str(name), answer.sel(design=name)) for name in answer["design"].values]
    notes = (
        "Change of the expected surplus as a share of the party's revenue as agreed, ± one paired standard error; "
        "'no change': in no population drawn.\n"
        "Losses from 0.5% ░, from 2% ▒, from 5% ▓, from 10% █."
    )
    verdict = [worst_sentence(name, one) for name, one in designs]
    tables = [_stress_table(one, name) for name, one in designs]
    parts: list[Table | str] = [notes, *tables, *not_asked(known)]
    page = Page(f"What a stress costs each party: {size}", verdict, parts, too_few(known["replicates"]))
    return with_origin(explained(page), known)


def parties_of(answer: xr.Dataset) -> list[str]:
    """The parties that have revenue, of which a loss is a share."""
    return [str(name) for name in answer["party"].values if float(answer["revenue"].sel(party=name)) > 0]


def worst_sentence(design: str, answer: xr.Dataset, figures: int | None = None) -> str:
    """Which single stress hurts whom most, and what all of them do together; to so many figures at most."""
    stresses = [str(name) for name in answer["stress"].values[1:]]
    alone = [name for name in stresses if name != "all together"] or stresses
    told = [_worst(answer, alone, figures)]
    if alone != stresses:
        told.append(f"all together cost {_worst(answer, ['all together'], figures, named=False)}")
    return f"{design}: {'; '.join(told)}."


def _worst(answer: xr.Dataset, stresses: list[str], figures: int | None, named: bool = True) -> str:
    places = [(name, party) for name in stresses for party in parties_of(answer)]
    if not places:
        return "no party has revenue to lose"
    share = answer["surplus_difference_share"]
    name, party = min(places, key=lambda place: float(share.sel(stress=place[0], party=place[1])))
    value, error = (
        float(answer[key].sel(stress=name, party=party))
        for key in ("surplus_difference_share", "surplus_difference_share_se")
    )
    if not value < 0:
        return "no stress costs any party anything" if named else "nobody anything"
    told = share_lost(-value, error) if figures is None else percent(-value, error, figures=figures)
    lost = f"{party} {told} of revenue"
    return f"{name!r} hurts most: it costs {lost}" if named else lost


def _stress_table(answer: xr.Dataset, design: str) -> Table:
    parties = parties_of(answer)
    rows = [
        [str(name), *(_hurt(answer.sel(stress=name, party=party)) for party in parties)]
        for name in answer["stress"].values[1:]
    ]
    return Table(["stress", *parties], rows, design)


def _hurt(cell: xr.Dataset) -> str:
    share, error = float(cell["surplus_difference_share"]), float(cell["surplus_difference_share_se"])
    if share == error == 0:
        return "no change  "
    shade = next((mark for bound, mark in _SHADES if share <= -bound), " ")
    return f"{share_lost(share, error, sign=True)} {shade}"


def share_lost(share: float, error: float, sign: bool = False, decimals: int = _DECIMALS) -> str:
    """As `percent`, but never finer than so many decimals."""
    if math.isfinite(error) and error >= 1e-9 and error_decimals(100 * error) > decimals:
        return f"{exact_percent(share, decimals, sign)} {error_told(100 * error, decimals)}"
    return percent(share, error, sign)


def reverse_report(found: list[xr.Dataset]) -> Page:
    """How far each input must move before a party breaks, those that break it first at the top."""
    told = sorted(found, key=_distance)
    known = told[0].attrs
    rows = [[one.attrs["design"], one.attrs["change"].replace("_", " "), _breaking(one)] for one in told]
    title = (
        f"How far an input must move before {known['party']} loses {percentage(known['loss_over'])} of revenue "
        "(± one standard error)"
    )
    table = Table(["design", "input", "would break at"], rows, title, labels=2)
    heading = f"Breaking point of {known['party']}: {people(known['members'])} people"
    return with_origin(Page(heading, [reverse_line(told[0])], [table], too_few(known["replicates"])), known)


def _distance(found: xr.Dataset) -> float:
    """How far the input moves, as a share of how far it was moved at most."""
    point = float(found["breaking_point"])
    return math.inf if math.isnan(point) else point / found.attrs["largest"]


def reverse_line(found: xr.Dataset) -> str:
    """How far one input must move before a party breaks, in a sentence."""
    known, point = found.attrs, float(found["breaking_point"])
    who = f"{known['design']}: {known['party']}"
    limit = f"(a loss of {percentage(known['loss_over'])} of revenue)"
    what = f"of {known['change'].replace('_', ' ')}"
    if math.isnan(point):
        return f"{who} would not break {limit}, even at {_largest(found)} {what}."
    if point == 0:
        return f"{who} would break {limit} as agreed already."
    return f"{who} would break {limit} at {_point(found)} {what}."


def _breaking(found: xr.Dataset) -> str:
    point = float(found["breaking_point"])
    if math.isnan(point):
        return f"not even at {_largest(found)}"
    return _point(found) if point else "as agreed already"


def _point(found: xr.Dataset) -> str:
    point, error = float(found["breaking_point"]), float(found["breaking_point_se"])
    return _per_100k(point, error) if _is_rate(found) else percent(point, error)


def _largest(found: xr.Dataset) -> str:
    most = found.attrs["largest"]
    return f"{most:g} per 100,000" if _is_rate(found) else percentage(most)


def _is_rate(found: xr.Dataset) -> bool:
    return bool(found.attrs["figure"] == "per_100k")


def _per_100k(point: float, error: float) -> str:
    decimals = error_decimals(error)
    return f"{point:.{decimals}f} ± {error:.{decimals}f} per 100,000"


# ── which assumption matters ─────────────────────────────────────────────────────────────────────


def sensitivity_report(answer: xr.Dataset) -> Page:
    """Inputs by how far they move the statistic, with their Sobol indices, and the verdict in words."""
    known = answer.attrs
    swings = abs(answer["tornado"].sel(end="high") - answer["tornado"].sel(end="low")).values
    order = sorted(range(answer.sizes["input"]), key=lambda k: -swings[k])
    inputs = [(str(answer["input"].values[k]), answer.isel(input=k)) for k in order]
    agreed = exact_chance(float(answer["as_agreed"]))
    short = STATISTICS[known["statistic"]].short
    head = ["input", "lowest", "highest", f"{short} at lowest", f"{short} at highest", "first order", "total"]
    title = f"Which assumption matters for the {statistic_words(answer)}? As agreed it is {agreed} (exact)"
    table = Table(head, [[name, *_input_row(cell)] for name, cell in inputs], "From the input that moves it most")
    notes = (
        f"The columns at lowest and highest are exact. First order: share of its variance that the input explains "
        f"alone; total: with the others (Sobol indices, {percentage(known['confidence'])} interval, held to 0…100%)."
    )
    page = Page(title, [_input_words(cell, name) for name, cell in inputs], [table, notes])
    return with_origin(page, known)


def statistic_words(answer: xr.Dataset) -> str:
    """Which statistic the inputs move, in words."""
    known = answer.attrs
    words = STATISTICS[known["statistic"]].words(known.get("margin", 0.05), percentage)
    return f"{words} at {people(known['members'])} people" if "members" in known else words


def _input_row(cell: xr.Dataset) -> list[str]:
    rate = str(cell["figure"].values) == "per_100k"
    ends = [_end(float(cell["range"].sel(end=end)), rate) for end in ("low", "high")]
    found = [exact_chance(float(cell["tornado"].sel(end=end))) for end in ("low", "high")]
    return [*ends, *found, *(_index(cell, name) for name in ("first_order", "total_order"))]


def _end(value: float, rate: bool) -> str:
    return f"{value:g} per 100,000" if rate else f"{'+' if value > 0 else ''}{percentage(value)}"


def _index(cell: xr.Dataset, name: str) -> str:
    low, high = (float(bound) for bound in cell[f"{name}_interval"].values)
    value, least, most = (percentage(round(number, 2)) for number in (float(cell[name]), low, high))
    return f"{value} ({least} to {most})"


def _input_words(cell: xr.Dataset, name: str) -> str:
    low, value = float(cell["total_order_interval"].sel(bound="lower")), float(cell["total_order"])
    if not low > 0:
        return f"{name}: its part in the variance cannot be told from nothing with so few points."
    low, high = (float(bound) for bound in cell["total_order_interval"].values)
    sure = percentage(cell.attrs["confidence"])
    return f"{name}: bears on {value:.0%} of the variance ({sure} interval: {low:.0%} to {high:.0%})."
