"""What thresholds, margins and figures are called in a report, and a figure beside its error."""

from __future__ import annotations

import math

import xarray as xr

from ..text import NO_EXCLUSION as NO_EXCLUSION
from ..text import UNKNOWN, money
from ..text import percentage as percentage
from .rounding import amount, chance, percent


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

    Parameters
    ----------
    cell : xarray.Dataset
        Of scalars.
    name : str
        An estimate that has a sibling ``…_se``.
    currency : str
    """
    value, se = float(cell[name]), float(cell[f"{name}_se"])
    if name == "p_overspend":
        return chance(value, se, cell["p_overspend_interval"].values)
    if cell[name].attrs.get("units") == "1":
        return percent(value, se)
    return money_told(value, se, currency, is_exact="sd_surplus" in cell and float(cell["sd_surplus"]) == 0)


def money_told(value: float, se: float, currency: str, *, is_exact: bool = False) -> str:
    """Money with its standard error, or with the word that it has none."""
    if math.isfinite(value) and math.isnan(se):
        return f"{money(value, currency)} (error unknown)"
    told = amount(value, se, currency)
    if se > 1e-9 * max(abs(value), 1.0) or told == UNKNOWN:
        return told
    # a figure on which many years fall alike has an error of 0 and is drawn all the same
    return f"{money(value, currency, figures=5)}{' (exact)' if is_exact else ' ± 0'}"
