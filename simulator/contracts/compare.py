"""Designs side by side: what each party expects and how far luck moves it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..ledger import describe_variable
from ..numerals import plain

ROUNDING = 1e-9
"""Share of the budget below which a loss is a rounding error."""

_NOTHING = 1e-12
"""Below this, a fraction or a share of the budget is what floating point left of nothing."""

_FRACTIONS = ("p_loss", "p_loss_over", "risk_share", "p_triggered")


def imbalance(outcome: xr.Dataset) -> float:
    """Largest relative imbalance of any replicate: payments that do not cancel, or money that is not in the system.

    Returns
    -------
    float
        As a share of the budget; below 1e-9 in every outcome that `settle` made.
    """
    budget = np.abs(outcome["budget"])
    money_in = outcome["funding"].sum("party") - outcome["system_cost"]
    gaps = (
        outcome["payment"].sum("party"),
        outcome["cost_borne"].sum("party") - outcome["system_cost"],
        outcome["surplus"].sum("party") - money_in,
    )
    return float(max((np.abs(gap) / budget).max() for gap in gaps))


def compare(outcome: xr.Dataset, *, loss_over: float = 0.05, levels: Sequence[float] = (0.05, 0.01)) -> xr.Dataset:
    """What each design means for each party.

    Parameters
    ----------
    outcome : xarray.Dataset
        From `settle`; the first design is the one that the others are compared with.
    loss_over : float
        Loss, as a share of the party's own revenue, of which the probability is told.
    levels : sequence of float
        Low quantiles of the surplus, the bad ones.

    Returns
    -------
    xarray.Dataset
        Over (population_size, design, party), each with its Monte Carlo standard error ``…_se``: ``expected_payment``,
        ``expected_cost_borne``, ``expected_surplus``, ``sd_surplus``, ``p_loss``, ``p_loss_over``, ``worst_surplus``
        (quantile_level), ``risk_share`` = cov(surplus, total) / var(total), which adds to 1 over parties,
        ``surplus_difference`` and ``sd_difference`` to the first design on the same draws. Without party:
        ``p_triggered`` (event), such as that of an exhausted pool, and ``expected_protection_cost``. The attribute
        ``unseen_bound`` is the upper end of the exact 95% interval of a probability that no replicate showed.
    """
    surplus = outcome["surplus"].transpose("replicate", ...)
    compared = xr.Dataset(attrs=outcome.attrs)
    for name in ("payment", "cost_borne", "surplus"):
        _add(compared, f"expected_{name}", *_mean(outcome[name]))
    _add(compared, "sd_surplus", *_sd(surplus))
    rounding = ROUNDING * abs(outcome["budget"])
    lost = surplus < -rounding
    luckless = (surplus.max("replicate") - surplus.min("replicate")) <= rounding.max("replicate")
    _add(compared, "p_loss", *_probability(lost, luckless))
    _add(compared, "p_loss_over", *_probability(lost & (surplus < -loss_over * revenue_of(outcome)), luckless))
    _add(compared, "worst_surplus", *_quantiles(surplus, levels))
    _add(compared, "risk_share", *_risk_share(surplus))
    difference = surplus - surplus.isel(design=0, drop=True)
    _add(compared, "surplus_difference", *_mean(difference))
    _add(compared, "sd_difference", *_sd_difference(surplus))
    _add(compared, "p_triggered", *_proportion(outcome["triggered"], surplus.sizes["replicate"]))
    if "protection_cost" in outcome:
        _add(compared, "expected_protection_cost", *_mean(outcome["protection_cost"]))
    _drop_rounding(compared, float(abs(outcome["budget"]).max()))
    _describe(compared, outcome["surplus"].attrs.get("units", "money per year"), loss_over)
    replicates = surplus.sizes["replicate"]
    return compared.assign_attrs(
        imbalance=imbalance(outcome), loss_over=loss_over, replicates=replicates, unseen_bound=unseen_bound(replicates)
    )


def unseen_bound(replicates: int) -> float:
    """Upper end of the 95% interval of a probability of which no event was seen (Clopper and Pearson)."""
    return float(1.0 - 0.025 ** (1.0 / replicates))


def _add(compared: xr.Dataset, name: str, estimate: xr.DataArray, error: xr.DataArray) -> None:
    compared[name], compared[f"{name}_se"] = estimate, error


def _drop_rounding(compared: xr.Dataset, budget: float) -> None:
    """Set to nothing what only the rounding of floating point keeps from it."""
    for name in compared.data_vars:
        least = _NOTHING * (1.0 if str(name).removesuffix("_se") in _FRACTIONS else budget)
        compared[name] = compared[name].where(~(abs(compared[name]) < least), 0.0)


def _mean(values: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    return values.mean("replicate"), values.std("replicate", ddof=1) / math.sqrt(values.sizes["replicate"])


def _sd(values: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Standard deviation, and its error from the fourth moment of the draws."""
    squares = (values - values.mean("replicate")) ** 2
    sd, spread = values.std("replicate", ddof=1), squares.std("replicate", ddof=1)
    error = spread / (2.0 * sd.where(sd > 0) * math.sqrt(values.sizes["replicate"]))
    return sd, error.fillna(0.0)


def _sd_difference(surplus: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Change of the standard deviation against the first design, its error from paired influences."""
    sd = surplus.std("replicate", ddof=1)
    influence = (surplus - surplus.mean("replicate")) ** 2 / (2.0 * sd.where(sd > 0))
    paired = influence.fillna(0.0) - influence.fillna(0.0).isel(design=0, drop=True)
    return sd - sd.isel(design=0, drop=True), _mean(paired)[1]


def _probability(event: xr.DataArray, certain: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Share of replicates in which something happened; exact where nothing is left to luck."""
    share, error = _proportion(event.sum("replicate"), event.sizes["replicate"])
    return share, error.where(~certain, 0.0)


def _proportion(count: xr.DataArray, replicates: int) -> tuple[xr.DataArray, xr.DataArray]:
    """`count` of `replicates`, with an error that is never 0 (two more of either outcome: Agresti and Coull 1998)."""
    adjusted = (count + 2.0) / (replicates + 4.0)
    return count / replicates, (adjusted * (1.0 - adjusted) / (replicates + 4.0)) ** 0.5


def revenue_of(outcome: xr.Dataset) -> xr.DataArray:
    """A party's own revenue: the mean of what it is paid, else of what it is funded with; money per year."""
    paid = outcome["payment"].mean("replicate")
    return paid.where(paid > 0, outcome["funding"].mean("replicate"))


def _quantiles(surplus: xr.DataArray, levels: Sequence[float]) -> tuple[xr.DataArray, xr.DataArray]:
    """Quantiles (numpy linear), errors from the order statistics one binomial standard deviation to either side."""
    replicates = surplus.sizes["replicate"]
    quantiles, errors = [], []
    ordered = np.sort(surplus.values, axis=surplus.get_axis_num("replicate"))
    ordered_array = surplus.copy(data=ordered)
    for level in levels:
        half = math.sqrt(level * (1.0 - level) / replicates)
        around = [np.clip(at, 0.0, 1.0) * (replicates - 1) for at in (level - half, level, level + half)]
        low, middle, high = (_interpolated(ordered_array, position) for position in around)
        quantiles.append(middle)
        errors.append((high - low) / 2.0)
    level_dim = xr.DataArray(list(levels), dims="quantile_level", name="quantile_level")
    return xr.concat(quantiles, level_dim), xr.concat(errors, level_dim)


def _interpolated(ordered: xr.DataArray, position: float) -> xr.DataArray:
    below = math.floor(position)
    above, part = min(below + 1, ordered.sizes["replicate"] - 1), position - below
    return (1.0 - part) * ordered.isel(replicate=below, drop=True) + part * ordered.isel(replicate=above, drop=True)


def _risk_share(surplus: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Regression of a party's surplus on the total, with a standard error that allows for unequal spread."""
    centred = surplus - surplus.mean("replicate")
    total = centred.sum("party")
    power = (total**2).sum("replicate")
    slope = (centred * total).sum("replicate") / power.where(power > 0)
    residual = centred - slope * total
    return slope, ((residual * total) ** 2).sum("replicate") ** 0.5 / power.where(power > 0)


def _describe(compared: xr.Dataset, unit: str, loss_over: float) -> None:
    sentences = {
        "p_triggered": "probability of the event",
        "p_loss": "probability that the surplus is negative",
        "p_loss_over": f"probability of a loss above {loss_over:g} of the party's own revenue",
        "risk_share": "cov(surplus, total) / var(total)",
        "surplus_difference": "expected surplus less that of the first design, paired",
        "sd_difference": "standard deviation of the surplus less that of the first design, paired",
    }
    for name in compared.data_vars:
        stem = str(name).removesuffix("_se")
        sentence = sentences.get(stem, stem.replace("_", " "))
        told = f"standard error of: {sentence}" if str(name).endswith("_se") else sentence
        describe_variable(compared[name], "1" if stem in _FRACTIONS else unit, told)


# ── rows ───────────────────────────────────────────────────────────────────────────────────────

FIGURES = (
    "expected_payment", "expected_cost_borne", "expected_surplus", "sd_surplus", "p_loss", "p_loss_over", "risk_share",
    "surplus_difference", "sd_difference",
)  # fmt: skip
"""What a row tells, each with `_se`; besides them `worst_…` for each quantile level."""


def comparison_rows(compared: xr.Dataset) -> list[dict[str, Any]]:
    """The comparison as plain rows, one for each design, population (and threshold) and party.

    A party that is absent from a design, with nothing to its name, has no row.
    """
    names = [name for figure in FIGURES for name in (figure, f"{figure}_se")]
    dims = [str(dim) for dim in compared["expected_surplus"].dims]
    order = ["design", *(dim for dim in dims if dim not in ("design", "party")), "party"]
    columns = {name: compared[name].transpose(*order).values for name in names}
    worst = compared["worst_surplus"].transpose("quantile_level", *order).values
    worst_se = compared["worst_surplus_se"].transpose("quantile_level", *order).values
    rows = []
    for place in np.ndindex(*(compared.sizes[dim] for dim in order)):
        row = {dim: plain(compared[dim].values[at]) for dim, at in zip(order, place, strict=True)}
        row |= {name: plain(column[place]) for name, column in columns.items()}
        for k, level in enumerate(compared["quantile_level"].values):
            row |= {f"worst_{level:g}": plain(worst[k][place]), f"worst_{level:g}_se": plain(worst_se[k][place])}
        if row["expected_payment"] or row["expected_cost_borne"] or row["expected_surplus"] or row["sd_surplus"]:
            rows.append(row)
    return rows


def triggered_rows(compared: xr.Dataset) -> list[dict[str, Any]]:
    """How often each event occurred, a row for each design, population and event that did."""
    return _occurring(compared, "p_triggered")


def protection_rows(compared: xr.Dataset) -> list[dict[str, Any]]:
    """What protection costs above the excess that it is expected to pay, a row for each design that buys it."""
    return _occurring(compared, "expected_protection_cost") if "expected_protection_cost" in compared else []


def _occurring(compared: xr.Dataset, name: str) -> list[dict[str, Any]]:
    """The places at which a figure is above 0, with its error."""
    found = compared[name]
    error = compared[f"{name}_se"].transpose(*found.dims)
    rows = []
    for place in np.argwhere(found.values > 0):
        row = {str(dim): plain(compared[dim].values[at]) for dim, at in zip(found.dims, place, strict=True)}
        rows.append(row | {name: plain(found.values[tuple(place)]), f"{name}_se": plain(error.values[tuple(place)])})
    return rows


def comparison_json(compared: xr.Dataset) -> dict[str, Any]:
    """Everything that a comparison tells, as plain JSON."""
    return {
        "imbalance": float(compared.attrs["imbalance"]),
        "replicates": int(compared.attrs["replicates"]),
        "loss_over": float(compared.attrs["loss_over"]),
        "unseen_bound": float(compared.attrs["unseen_bound"]),
        "reference": str(compared["design"].values[0]),
        "exclusions": {one["name"]: one["exclusion"] for one in json.loads(compared.attrs.get("designs", "[]"))},
        "threshold_unit": _threshold_unit(compared),
        "rows": comparison_rows(compared),
        "triggered": triggered_rows(compared),
        "protection": protection_rows(compared),
    }


def _threshold_unit(compared: xr.Dataset) -> str:
    """Money, or 1 for percentiles; empty where no design is swept over thresholds."""
    return str(compared["threshold"].attrs.get("units", "")) if "threshold" in compared.coords else ""
