"""What `simulator settle` prints: a verdict on each design in words, then who gains and who loses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..contracts.design import STATUS_QUO
from .text import amount, money, people, percent, table


def comparison_report(compared: Mapping[str, Any], title: str, currency: str) -> str:
    """The comparison of designs at the largest population, from `comparison_json`."""
    largest = max(row["population_size"] for row in compared["rows"])
    rows = [row for row in compared["rows"] if row["population_size"] == largest]
    parts = [title, "\n".join(compared["verdicts"])]
    parts.append(f"Each party's year at {people(largest)} people (± one standard error)\n{_parties(rows, currency)}")
    events = [row for row in compared["triggered"] if row["population_size"] == largest]
    if events:
        parts.append(f"What was triggered, at {people(largest)} people\n{_events(events)}")
    bought = [row for row in compared["protection"] if row["population_size"] == largest]
    if bought:
        lines = [[row["design"], _amount(row, "expected_protection_cost", currency)] for row in bought]
        parts.append(
            f"Cost of protection, above the excess it is expected to pay\n{table(['design', 'a year'], lines)}"
        )
    if compared["reference"] == STATUS_QUO:
        parts.append(
            f"{STATUS_QUO!r} is added to compare with: tariff and block, half of the money in blocks (assumed). "
            "'against first' is the difference of expected surplus; --reference names another design."
        )
    parts.append(
        f"{compared['replicates']:,} synthetic populations, the same for every design; differences are paired with "
        f"{compared['reference']!r}. Largest imbalance: {compared['imbalance']:.1e} of the budget. "
        f"Other populations: --json."
    )
    return "\n\n".join(parts)


def _parties(rows: list[Mapping[str, Any]], currency: str) -> str:
    head = ["design", "party", "expected surplus", "sd", "1 year in 20", "P(loss)", "share of risk", "against first"]
    swept = any(isinstance(row.get("threshold"), float) and not math.isnan(row["threshold"]) for row in rows)
    lines = [
        [
            _design(row, currency, swept),
            row["party"],
            _amount(row, "expected_surplus", currency),
            _amount(row, "sd_surplus", currency),
            _amount(row, "worst_0.05", currency),
            percent(row["p_loss"], row["p_loss_se"]),
            percent(_number(row["risk_share"]), _number(row["risk_share_se"])),
            _amount(row, "surplus_difference", currency),
        ]
        for row in rows
    ]
    return table(head, lines)


def _design(row: Mapping[str, Any], currency: str, swept: bool) -> str:
    threshold = row.get("threshold")
    return f"{row['design']} at {money(threshold, currency)}" if swept and threshold is not None else str(row["design"])


def _number(value: Any) -> float:
    return math.nan if value is None else math.inf if value == "inf" else float(value)


def _amount(row: Mapping[str, Any], name: str, currency: str) -> str:
    return amount(_number(row[name]), _number(row[f"{name}_se"]), currency)


def _events(rows: list[Mapping[str, Any]]) -> str:
    lines = [
        [row["design"], row["event"].replace("_", " "), percent(row["p_triggered"], row["p_triggered_se"])]
        for row in rows
    ]
    return table(["design", "event", "chance"], lines)


def payoff_report(payoffs: xr.Dataset) -> str:
    """Each party's surplus against cost / budget, exact for given cost: a share of the budget."""
    parts = []
    for design in payoffs["design"].values:
        one = payoffs.sel(design=design)
        parties = [str(p) for p in one["party"].values if np.any(one["surplus"].sel(party=p).values)]
        shown = one.sel(cost_ratio=one["cost_ratio"].values[:: max(1, one.sizes["cost_ratio"] // 12)])
        rows = [
            [f"{float(ratio):.0%}", *(_share(shown, party, ratio) for party in parties)]
            for ratio in shown["cost_ratio"].values
        ]
        parts.append(
            f"{design}: surplus of each party as a share of the budget\n{table(['cost / budget', *parties], rows)}"
        )
    return "\n\n".join([*parts, "Exact: no draws; quality and activity are as expected."])


def _share(payoffs: xr.Dataset, party: str, ratio: float) -> str:
    surplus = float(payoffs["surplus"].sel(party=party, cost_ratio=ratio)) / float(payoffs["budget"])
    return f"{100 * surplus + 0.0:+.2f}%"


def actuals_report(settled: pd.DataFrame) -> str:
    """Settlements of real rows, in their order."""
    amounts = settled.select_dtypes("number")
    head = ["row", *(["design"] if "design" in settled else []), *map(str, amounts.columns)]
    rows = [
        [str(index), *([str(settled.loc[index, "design"])] if "design" in settled else []), *(f"{v:,.2f}" for v in row)]
        for index, row in zip(settled.index, amounts.itertuples(index=False), strict=True)
    ]
    return table(head, rows)
