"""What thresholds, margins and figures are called in a report, and a figure beside its error."""

from __future__ import annotations

import math

import xarray as xr

from ..text import DRAWN_NOTE, exact_amount, is_as_drawn, money
from ..text import NO_EXCLUSION as NO_EXCLUSION
from ..text import percentage as percentage
from .rounding import FIGURES, amount, chance, percent

EVERY_FIGURE = (
    f"Every figure has its error beside it, or is said to be exact or given. {DRAWN_NOTE[0].upper()}{DRAWN_NOTE[1:]}"
)
"""What stands at the head of a report and of its workbook."""


def threshold_names(ledger: xr.Dataset) -> list[str]:
    """What each threshold of the ledger does to one patient's cost: cap £50k, no exclusion."""
    unit, currency = ledger["threshold"].attrs.get("units", ""), ledger.attrs["currency"]
    amounts = ledger["threshold_amount"]
    return [
        _threshold_name(float(d), unit, currency, amounts.isel(threshold=position))
        for position, d in enumerate(ledger["threshold"].values)
    ]


def _threshold_name(threshold: float, unit: str, currency: str, amounts: xr.DataArray) -> str:
    if math.isinf(threshold) or (unit == "1" and threshold == 1):
        return NO_EXCLUSION
    if unit != "1":
        return f"cap {money(threshold, currency)}"
    low, high = money(float(amounts.min()), currency), money(float(amounts.max()), currency)
    return f"cap at percentile {100 * threshold:.6g} ({low if low == high else f'{low} to {high} by segment'})"


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
