"""Calibrated cost families: one with its targets, or all side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..tables import Code, Page, Rows, Table
from ..tidy import stacked
from .description import EXACT, Money, long_rows, number, people_table, share, threshold_table

if TYPE_CHECKING:
    import pandas as pd


def calibration_rows(rows: Sequence[Mapping[str, Any]], currency: str) -> pd.DataFrame:
    """Calibrated families as a long table; those that cannot be had have no row."""
    met = [row for row in rows if "segment" in row]
    return stacked([long_rows({**row["segment"], "currency": currency}, calibrated=row["family"]) for row in met])


def page(calibration: Mapping[str, Any], currency: str = "") -> Page:
    """One calibrated family: its figures, and what it reaches beside each target."""
    money = Money(currency)
    fit = []
    for row in calibration["fit"]:
        show = number if row["target"] == "cv" else share if "share" in row["target"] else money.show
        fit.append([row["target"], show(row["wanted"]), show(row["reached"])])
    others = (row for row in calibration["fit"] if row["target"] != "mean")
    missed = max((abs(row["reached"] - row["wanted"]) for row in others), default=0.0)
    verdict = "meets every target" if missed < 5e-7 else f"meets every target to {missed:.2g}"
    # the segment as a scenario file has it
    told = (f'{n} = "{v}"' if isinstance(v, str) else f"{n} = {v!r}" for n, v in calibration["severity"].items())
    parts: list[Table | str] = [
        Code(f"p_user = {calibration['p_user']:g}\nseverity = {{ {', '.join(told)} }}"),
        Table(["target", "wanted", "reached"], fit),
        people_table(calibration["segment"], money),
        threshold_table(calibration["segment"], money),
        f"{EXACT}. The severity is that of users; all other figures count everybody.",
    ]
    return Page("", [f"The {calibration['family']} {verdict}."], parts)


def families_table(rows: Sequence[Mapping[str, Any]], currency: str = "") -> Page:
    """All families for the same targets, side by side, and why the others cannot be had."""
    money = Money(currency)
    met = _without_twin([row for row in rows if "refused" not in row], money)
    parts: list[Table | str] = []
    if met:
        head, *lines = _family_columns(met, money)
        own = [(row["family"], {n: v for n, v in row["severity"].items() if n != "family"}) for row in met]
        told = [f"{family}: {', '.join(f'{n} = {v:.6g}' for n, v in figures.items())}" for family, figures in own]
        parts += [Table([str(cell) for cell in head], lines), "\n".join(["Figures of users:", *told])]
    if refused := [row for row in rows if "refused" in row]:
        told = [f"{row['family']}: {row['refused'].removeprefix(row['family'] + ' ')}" for row in refused]
        parts.append("\n".join(["Not available:", *told]))
    parts.append(f"{EXACT}; everybody is counted, also people without cost.")
    return Page("", [_families_verdict(met, money)] if met else (), parts)


def _without_twin(met: Sequence[Mapping[str, Any]], money: Money) -> list[Mapping[str, Any]]:
    """Families without one that is another by a second name: a generalised Pareto of heavy tail is a Lomax."""
    known = {row["family"]: row for row in met}
    if not {"lomax", "gpd"} <= set(known):
        return list(met)
    (_, *ours), (_, *theirs) = (_family_columns([known[name]], money) for name in ("lomax", "gpd"))
    if [list(map(str, row[1:])) for row in ours] != [list(map(str, row[1:])) for row in theirs]:
        return list(met)
    named = {**known["lomax"], "family": "lomax (the same law as gpd)"}
    return [named if row["family"] == "lomax" else row for row in met if row["family"] != "gpd"]


def _families_verdict(rows: Sequence[Mapping[str, Any]], money: Money) -> str:
    if len(rows) == 1:
        return f"Only the {rows[0]['family']} meets the targets."
    lowest = rows[0]["segment"]["thresholds"][0]
    above = {row["family"]: row["segment"]["thresholds"][0]["share_of_cost_above"] for row in rows}
    least, most = min(above, key=lambda name: above[name]), max(above, key=lambda name: above[name])
    return (
        f"{len(rows)} families meet the targets; the share of cost above {money.show(lowest['threshold'])} a person "
        f"runs from {share(above[least])} ({least}) to {share(above[most])} ({most})."
    )


def _family_columns(rows: Sequence[Mapping[str, Any]], money: Money) -> Rows:
    segments = [row["segment"] for row in rows]
    finite = [t for t, at in enumerate(segments[0]["thresholds"]) if at["threshold"] != "inf"]
    tops = segments[0]["top_share"]
    table = [
        ["", *(row["family"] for row in rows)],
        ["mean", *(money.show(s["mean"]) for s in segments)],
        ["cv", *(number(s["cv"]) for s in segments)],
        *([f"costliest {float(q):.0%}", *(share(s["top_share"][q]) for s in segments)] for q in tops),
        ["cheaper half", *(share(s["bottom_half_share"]) for s in segments)],
        ["tail index", *("none" if s["tail_index"] == "inf" else number(s["tail_index"]) for s in segments)],
    ]
    for t in finite:
        at = money.show(segments[0]["thresholds"][t]["threshold"])
        found = [s["thresholds"][t] for s in segments]
        table.append([f"people above {at}", *(share(row["p_above"], digits=3) for row in found)])
        table.append([f"cost above {at}", *(share(row["share_of_cost_above"], digits=2) for row in found)])
        table.append([f"cv capped at {at}", *(number(row["cv"]) for row in found)])
    return table
