"""What thresholds, margins and figures are called in a report, and a figure beside its error."""

from __future__ import annotations

import math
from collections.abc import Callable

import xarray as xr

from ...contracts.exclusion import Cap, ExclusionRule
from ..text import DRAWN_NOTE, exact_amount, is_as_drawn, money, threshold_label
from ..text import NO_EXCLUSION as NO_EXCLUSION
from ..text import percentage as percentage
from .rounding import FIGURES, amount, chance, percent

EVERY_FIGURE = (
    f"Every figure has its error beside it, or is said to be exact or given. {DRAWN_NOTE[0].upper()}{DRAWN_NOTE[1:]}"
)
"""What stands at the head of a report and of its workbook."""


def threshold_names(ledger: xr.Dataset, rule: ExclusionRule = Cap()) -> list[str]:  # noqa: B008 - frozen
    """What a rule does to one patient's cost at each threshold of the ledger: cap £50k, no exclusion."""
    return [rule.label(float(one), teller(ledger)) for one in ledger["threshold"].values]


def threshold_sentences(ledger: xr.Dataset) -> list[str]:
    """The same of a cap, as part of a sentence: with each patient’s cost capped at £50k."""
    said = [Cap().sentence(float(one), teller(ledger)) for one in ledger["threshold"].values]
    return [one.replace("'", "’") for one in said]


def teller(ledger: xr.Dataset) -> Callable[[float], str]:
    """How a threshold of the ledger is told; of a percentile also the amounts."""
    unit, currency = ledger["threshold"].attrs.get("units", ""), ledger.attrs["currency"]

    def told(threshold: float) -> str:
        label = threshold_label(threshold, unit, currency)
        if unit != "1" or label == NO_EXCLUSION:
            return label
        amounts = ledger["threshold_amount"].sel(threshold=threshold)
        low, high = money(float(amounts.min()), currency), money(float(amounts.max()), currency)
        return f"{label} ({low if low == high else f'{low} to {high} by segment'})"

    return told


def figure(cell: xr.Dataset, name: str, currency: str) -> str:
    """One figure of a summary or comparison with its standard error, as a percentage or as money.

    An expected surplus that is known exactly goes before the simulated one.

    Parameters
    ----------
    cell : xarray.Dataset
        Of scalars.
    name : str
        An estimate that has a sibling ``…_se``.
    currency : str
    """
    value, se = float(cell[name]), float(cell[f"{name}_se"])
    if name == "expected_surplus" and math.isfinite(known := float(cell.get("exact_surplus", math.nan))):
        return f"{exact_amount(known, currency, FIGURES)} (simulated: {amount(value, se, currency)})"
    if name == "p_overspend":
        return chance(value, se, cell["p_overspend_interval"].values)
    if name.startswith("p_") and not is_as_drawn(se):
        return chance(value, se, (1 - cell.attrs["unseen_bound"], cell.attrs["unseen_bound"]))
    if cell[name].attrs.get("units") == "1":
        return percent(value, se)
    return money_told(value, se, currency)


def money_told(value: float, se: float, currency: str) -> str:
    """Money with its standard error, or with the word that it has none."""
    if math.isfinite(value) and math.isnan(se):
        return f"{money(value, currency)} (error unknown)"
    return amount(value, se, currency)
