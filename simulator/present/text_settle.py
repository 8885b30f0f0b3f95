"""What `simulator settle` prints: a verdict on each design in words, then who gains and who loses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..contracts.design import STATUS_QUO
from .page import Page, Table
from .text import exact_percent, explained, full_money, people, percentage, too_few, with_origin
from .verdicts import (
    Row,
    by_design,
    number,
    row_amount,
    row_chance,
    row_difference,
    row_expected,
    rows_told,
    verdicts,
)


def comparison_report(compared: Mapping[str, Any], title: str, currency: str, origin: Mapping[str, Any]) -> Page:
    """The comparison of designs at the largest population, from `comparison_json`; `origin`: of the draws."""
    rows = rows_told(compared)
    largest = rows[0]["population_size"]
    events, bought = (
        [row for row in compared[part] if row["population_size"] == largest] for part in ("triggered", "protection")
    )
    designs = by_design(compared, rows, currency)
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
    warnings = [*too_few(compared["replicates"]), *_apart(compared)]
    page = explained(Page(title, verdicts(compared, currency), parts, warnings))
    return with_origin(page, {**origin, "replicates": compared["replicates"]})


def _apart(compared: Mapping[str, Any]) -> list[str]:
    """A warning where the draws do not bear out what was worked out without them."""
    off = compared.get("exact_check")
    if off is None or off < _TOO_FAR:
        return []
    return [
        f"An expected surplus as simulated is {off:.1f} standard errors from the exact one: a few years decide it, so "
        "draw more; if it stays so, one of the two is wrong."
    ]


def _parties(design: str, rows: Sequence[Row], currency: str, known: Mapping[str, Any]) -> Table:
    lost = f"chance of a loss over {percentage(known['loss_over'])} of revenue"
    exact = any(not math.isnan(number(row.get("exact_surplus"))) for row in rows)
    head = [
        "party",
        "expected surplus",
        *(["as simulated"] if exact else []),
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
            row_expected(row, currency),
            *([row_amount(row, "expected_surplus", currency)] if exact else []),
            row_amount(row, "sd_surplus", currency),
            row_amount(row, "worst_0.05", currency),
            row_chance(row, "p_loss"),
            row_chance(row, "p_loss_over"),
            row_chance(row, "risk_share"),
            row_difference(row, currency),
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
    if (off := compared.get("exact_check")) is not None:
        notes += (
            "\nExpected surpluses 'exactly' are worked out without draws; 'as simulated' is their check: at most "
            f"{off:.1f} standard errors apart, over all designs, parties and populations."
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
        shown = one.isel(cost_ratio=_rows_shown(one))
        own = [_NOBODY] if _has_own_cost(one) else []
        rows = [
            [_ratio(ratio, one["cost_ratio"].values), *(_share(shown, name, ratio) for name in (*parties, *own))]
            for ratio in shown["cost_ratio"].values
        ]
        verdict += [_payoff_sentence(str(design), one, [*parties, *own])]
        title = f"{design}: surplus of each party as a share of the budget"
        tables.append(Table(["cost / budget", *parties, *own], rows, title))
    unborne = f" {_UNBORNE}" if _has_own_cost(payoffs) else ""
    return Page("", verdict, [*tables, f"{_EXACT}{unborne}"])


_TOO_FAR = 5.0
"""Standard errors between a simulated and an exact figure that chance does not explain."""
_NOBODY = "nobody here"
_MOST_RATIOS = 13
_BESIDE = 1e-6
"""How close to each other the two sides of a jump are, at most."""
_ROUNDING_OF_ROWS = 1.0
"""Money below which a settlement of real rows is what the rounding of their figures leaves."""
_ROUNDING_OF_BUDGET = 1e-6
"""The same as a share of the budget, for rows of small sums."""
_EXACT = (
    "Exact: no draws; the budget, quality and each party's part of the activity are as expected. What moves them, such "
    "as the luck of past years in a budget, is in the shares of risk that drawing gives."
)
_UNBORNE = (
    "'nobody here': what a change of cost counts and no party bears within the year, since part of a party's own cost "
    "is fixed (variable_share below 1), or bears besides (people from outside); with it each row adds up."
)


def _rows_shown(one: xr.Dataset) -> list[int]:
    """Of the whole per cents so many as make a table of about a dozen rows, with both ends and where this one bends."""
    ratios = one["cost_ratio"].values
    whole = [k for k, ratio in enumerate(ratios) if abs(ratio - round(ratio, 2)) < _BESIDE / 100]
    shares = (one["surplus"] / one["budget"]).transpose("cost_ratio", "party").values
    return sorted(set(whole[:: max(1, -(-len(whole) // _MOST_RATIOS))]) | {0, len(ratios) - 1} | _bends(ratios, shares))


def _bends(ratios: np.ndarray, shares: np.ndarray) -> set[int]:
    """Where shares are not on the straight line between their neighbours; at a jump both sides."""
    found: set[int] = set()
    for k in range(1, len(ratios) - 1):
        way = (ratios[k] - ratios[k - 1]) / (ratios[k + 1] - ratios[k - 1])
        if np.abs(shares[k] - shares[k - 1] - way * (shares[k + 1] - shares[k - 1])).max() > _BESIDE:
            found.add(k)
    return found


def _ratio(ratio: float, ratios: np.ndarray) -> str:
    """A ratio as a per cent; the far side of a jump is named by the jump."""
    twin = next((other for other in ratios if 0 < abs(other - ratio) < _BESIDE), ratio)
    if abs(ratio - round(ratio, 8)) <= abs(twin - round(twin, 8)):
        return percentage(float(ratio))
    return f"just {'above' if ratio > twin else 'below'} {percentage(float(twin))}"


def _has_own_cost(payoffs: xr.Dataset) -> bool:
    return "own_cost" in payoffs and bool((abs(payoffs["own_cost"]) > 1e-9 * abs(payoffs["budget"])).any())


def _payoff_sentence(design: str, one: xr.Dataset, parties: Sequence[str]) -> str:
    ratios = one["cost_ratio"].values
    told = []
    for ratio in (ratios[-1], ratios[0]):
        kept = ", ".join(f"{party} {_share(one, party, ratio)}" for party in parties)
        told.append(f"at a cost of {percentage(float(ratio))} of the budget {kept}")
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
    tables: list[Table | str] = [
        Table(head, rows, labels=1 + len(names)),
        "Exact: nothing is drawn. Money as in the rows.",
    ]
    warnings = [*_other_year(settled), *settled.attrs.get("notes", ())]
    return Page("", [_actuals_sentence(settled, currency)], tables, warnings)


def _actuals_sentence(settled: pd.DataFrame, currency: str) -> str:
    """Who is paid and who pays back, but for what rounding left: figures of rows are rounded to the unit of money."""
    paid = settled["settlement"]
    told = np.minimum(_ROUNDING_OF_ROWS, _ROUNDING_OF_BUDGET * settled["budget"])
    gains, losses = paid >= told, paid <= -told
    sentence = (
        f"{len(settled):,} rows settled: {gains.sum():,} are paid, {losses.sum():,} pay back, "
        f"{(~(gains | losses)).sum():,} neither; in all {full_money(paid.sum(), currency)} to providers."
    )
    unknown = int((losses & settled["revenue_unknown"]).sum()) if "revenue_unknown" in settled else 0
    return sentence if not unknown else f"{sentence} {_without_revenue(unknown)}"


def _without_revenue(rows: int) -> str:
    who = "1 row that pays back has" if rows == 1 else f"{rows:,} rows that pay back have"
    return f"{who} no known revenue, which might limit the loss further: give it in the column revenue."


def _other_year(settled: pd.DataFrame) -> list[str]:
    """A warning about rows of another year than the rules."""
    other = int(settled["other_year"].sum()) if "other_year" in settled else 0
    if not other:
        return []
    rows = "1 row is" if other == 1 else f"{other:,} rows are"
    return [f"{rows} of another year than the rules, and may settle wrongly: use the file of that year."]


def _figure(value: Any, name: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float) and not math.isfinite(value):
        return "none"
    return (
        exact_percent(float(value), sign=True) if name == "savings_rate" else f"{float(value):,.2f}".replace("-", "−")
    )
