"""What a design does, in a sentence: who carries the risk, with what money, each figure with its error."""

from __future__ import annotations

import math
from typing import Any

import xarray as xr

LEAST_TOLD_SHARE = 0.005
"""Share of the risk from which a verdict mentions a party."""

_EXACT = 1e-9
"""Error, as a share of the figure, below which a figure is exact."""


def verdict(compared: xr.Dataset, design: str, **at: Any) -> str:
    """What a design does, in a line.

    Parameters
    ----------
    compared : xarray.Dataset
        From `compare`.
    design : str
    **at
        The population (``population_size=100_000``) or any other dim; the largest population where it is left out.

    Returns
    -------
    str
        Money per year in the ledger's currency, every figure ± one standard error.
    """
    figures = [
        name for stem in ("risk_share", "expected_surplus", "p_loss", "worst_surplus") for name in (stem, f"{stem}_se")
    ]
    chosen = compared[figures].sel(design=design, **at)
    for dim in [dim for dim in chosen["expected_surplus"].dims if dim != "party"]:
        chosen = chosen.isel({dim: -1})
    told = chosen.isel(quantile_level=0).to_dataframe().fillna({"risk_share": 0.0, "risk_share_se": 0.0})
    carrying = told[told["risk_share"].abs() >= LEAST_TOLD_SHARE].sort_values("risk_share", ascending=False)
    if carrying.empty:
        return f"{design}: nobody carries any risk."
    currency, years = compared.attrs.get("currency", ""), 1.0 / float(chosen["quantile_level"].values[0])
    parties = [
        f"{name} carries {_percent(row.risk_share, row.risk_share_se)} of the risk "
        f"(expects {_money(row.expected_surplus, row.expected_surplus_se, currency)}, "
        f"loses money in {_percent(row.p_loss, row.p_loss_se)} of years, one year in {years:.0f} is worse than "
        f"{_money(row.worst_surplus, row.worst_surplus_se, currency)})"
        for name, row in carrying.iterrows()
    ]
    return f"{design}: {'; '.join(parties)}."


def _percent(share: float, error: float) -> str:
    """A fraction as a percentage, rounded to the second digit of its error."""
    if not error > _EXACT:
        return f"exactly {100 * share:.4g}%"
    decimals = max(_decimals(100 * error), 0)
    return f"{100 * share:.{decimals}f}% ± {100 * error:.{decimals}f}"


def _money(amount: float, error: float, currency: str) -> str:
    """A signed sum, rounded to the second digit of its error."""
    unit = f" {currency}" if currency else ""
    if not error > _EXACT * max(abs(amount), 1.0):
        return f"exactly {amount + 0.0:+,.0f}{unit}"
    decimals = _decimals(error)
    shown = max(decimals, 0)
    return f"{round(amount, decimals) + 0.0:+,.{shown}f} ± {round(error, decimals):,.{shown}f}{unit}"


def _decimals(error: float) -> int:
    """Decimals that show two digits of an error; below 0 where whole units are too fine."""
    return 1 - math.floor(math.log10(error))
