"""What `simulator settle` prints: a verdict on each design in words, then who gains and who loses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import xarray as xr

from ..contracts.design import STATUS_QUO
from .page import Page, Table
from .text import SYMBOLS, exact_percent, explained, people, percentage, too_few, with_origin
from .verdicts import Row, by_design, row_amount, row_chance, rows_told, verdicts


def comparison_report(compared: Mapping[str, Any], title: str, currency: str, origin: Mapping[str, Any]) -> Page:
    """The comparison of designs at the largest population, from `comparison_json`; `origin`: of the draws."""
    rows = rows_told(compared)
    largest = rows[0]["population_size"]
    events, bought = (
        [row for row in compared[part] if row["population_size"] == largest] for part in ("triggered", "protection")
    )
    designs = by_design(rows, currency)
    parts: list[Table | str] = [
        f"Each party's year at {people(largest)} people (± one standard error; < and >: 95% bound)"
    ]
    parts += [_parties(name, of, currency, compared) for name, of in designs.items()]
    if events:
        parts.append(_events(events))
    if bought:
        lines = [[row["design"], row_amount(row, "expected_protection_cost", currency)] for row in bought]
        parts.append(Table(["design", "a year"], lines, "Cost of protection, above the excess it is expected to pay"))
    parts.append(_notes(compared))
    page = explained(Page(title, verdicts(compared, currency), parts, too_few(compared["replicates"])))
    return with_origin(page, {**origin, "replicates": compared["replicates"]})


def _parties(design: str, rows: Sequence[Row], currency: str, known: Mapping[str, Any]) -> Table:
    lost = f"chance of a loss over {percentage(known['loss_over'])} of revenue"
    head = [
        "party",
        "expected surplus",
        "sd",
        "1 year in 20 is worse than",
        "chance of a loss",
        lost,
        "share of risk",
        "against first",
    ]
    lines = [
        [
            row["party"],
            row_amount(row, "expected_surplus", currency),
            row_amount(row, "sd_surplus", currency),
            row_amount(row, "worst_0.05", currency),
            row_chance(row, "p_loss"),
            row_chance(row, "p_loss_over"),
            row_chance(row, "risk_share"),
            row_amount(row, "surplus_difference", currency),
        ]
        for row in rows
    ]
    shown = slice(-1) if rows[0]["design"] == known["reference"] else slice(None)  # nothing differs from itself
    return Table(head[shown], [line[shown] for line in lines], design)


def _events(rows: Sequence[Row]) -> Table:
    lines = [[row["design"], row["event"].replace("_", " "), row_chance(row, "p_triggered")] for row in rows]
    return Table(["design", "event", "chance"], lines, "What was triggered", labels=2)


def _notes(compared: Mapping[str, Any]) -> str:
    off = compared["imbalance"]
    balance = "none" if off == 0 else f"{off:.0e} of the budget, which is rounding" if off < 1e-9 else f"{off:.1e}"
    notes = (
        f"'against first': expected surplus less that under {compared['reference']!r}, on the same draws. "
        "The synthetic populations are the same for every design. Largest imbalance of the "
        f"accounts: {balance}. Other populations stand in the JSON and the CSV."
    )
    if compared["reference"] == STATUS_QUO:
        notes += (
            f"\n{STATUS_QUO!r} is added to compare with: tariff and block, half of the money in blocks (assumed); "
            "another design may be named as the reference."
        )
    return notes


# ── without draws ────────────────────────────────────────────────────────────────────────────────


def payoff_report(payoffs: xr.Dataset) -> Page:
    """Each party's surplus against cost / budget, exact for given cost: a share of the budget."""
    verdict, tables = [], []
    for design in payoffs["design"].values:
        one = payoffs.sel(design=design)
        parties = [str(name) for name in one["party"].values if abs(one["surplus"].sel(party=name)).max() > 0]
        shown = one.isel(cost_ratio=slice(None, None, max(1, one.sizes["cost_ratio"] // 12)))
        own = [_NOBODY] if _has_own_cost(one) else []
        rows = [
            [f"{float(ratio):.0%}", *(_share(shown, name, ratio) for name in (*parties, *own))]
            for ratio in shown["cost_ratio"].values
        ]
        verdict += [_payoff_sentence(str(design), one, [*parties, *own])]
        title = f"{design}: surplus of each party as a share of the budget"
        tables.append(Table(["cost / budget", *parties, *own], rows, title))
    unborne = f" {_UNBORNE}" if _has_own_cost(payoffs) else ""
    return Page("", verdict, [*tables, f"{_EXACT}{unborne}"])


_NOBODY = "nobody here"
_EXACT = (
    "Exact: no draws; the budget, quality and each party's part of the activity are as expected. What moves them, such "
    "as the luck of past years in a budget, is in the shares of risk that drawing gives."
)
_UNBORNE = (
    "'nobody here': what a change of cost counts and no party bears within the year, since part of a party's own cost "
    "is fixed (variable_share below 1), or bears besides (people from outside); with it each row adds up."
)


def _has_own_cost(payoffs: xr.Dataset) -> bool:
    return "own_cost" in payoffs and bool((abs(payoffs["own_cost"]) > 1e-9 * abs(payoffs["budget"])).any())


def _payoff_sentence(design: str, one: xr.Dataset, parties: Sequence[str]) -> str:
    ends = [one["cost_ratio"].sel(cost_ratio=near, method="nearest").item() for near in (1.1, 0.9)]
    told = []
    for ratio in ends:
        kept = ", ".join(f"{party} {_share(one, party, ratio)}" for party in parties)
        told.append(f"at a cost of {ratio:.0%} of the budget {kept}")
    return f"{design}: {'; '.join(told)} of the budget."


def _share(payoffs: xr.Dataset, party: str, ratio: float) -> str:
    at = payoffs.sel(cost_ratio=ratio)
    amount = at["own_cost"] if party == _NOBODY else at["surplus"].sel(party=party)
    share = float(amount) / float(payoffs["budget"])
    return exact_percent(share if abs(share) > 1e-9 else 0.0, sign=True)


# ── real rows ────────────────────────────────────────────────────────────────────────────────────


def actuals_report(settled: pd.DataFrame, currency: str = "") -> Page:
    """Settlements of real rows, in their order."""
    names = [name for name in settled if settled[name].dtype.kind not in "fiub"]
    figures = [name for name in settled if name not in names]
    rows = [
        [
            str(index),
            *(str(settled[name][index]) for name in names),
            *(_figure(settled[n][index], n) for n in figures),
        ]
        for index in settled.index
    ]
    head = ["row", *map(str, names), *(str(name).replace("_", " ") for name in figures)]
    paid = settled["settlement"]
    total = f"{SYMBOLS.get(currency, '')}{abs(paid.sum()):,.0f}"
    verdict = (
        f"{len(settled):,} rows settled: {int((paid > 0).sum()):,} are paid, {int((paid < 0).sum()):,} pay back, "
        f"{int((paid == 0).sum()):,} neither; in all {'−' if paid.sum() < 0 else ''}{total} to providers."
    )
    table = Table(head, rows, labels=1 + len(names))
    notes = list(settled.attrs.get("notes", ()))
    return Page("", [verdict], [table, "Exact: nothing is drawn. Money as in the rows."], notes)


def _figure(value: Any, name: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "none"
    return exact_percent(float(value), sign=True) if name == "savings_rate" else f"{float(value):,.2f}"
