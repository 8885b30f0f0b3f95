"""Designs side by side: what each party expects and how far luck moves it."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..errors import SimulatorError
from ..ledger import declared
from ..numerals import plain
from ..strata import error_of_mean, mean_and_error, mean_error, share_and_error, strata_of, unseen_bound, with_errors
from ..terms import Array
from .sd_errors import spread_of

ROUNDING = 1e-9  # share of the budget below which a loss is a rounding error

_NOTHING = 1e-12  # below this, a fraction or a share of the budget is what floating point left of nothing

_FRACTIONS = ("p_loss", "p_loss_over", "risk_share", "p_triggered")


def imbalance(outcome: xr.Dataset) -> float:
    """Largest relative imbalance of any replicate: payments that do not cancel, or money that is not in the system."""
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
        ``surplus_difference`` and ``sd_difference`` to the first design on the same draws. Errors are those of luck
        within parameter sets. Without party:
        ``p_triggered`` (event), such as that of an exhausted pool, and ``expected_protection_cost``; where a design has
        savings of its own ``expected_saved``, by party ``expected_saving``, and ``expected_unsaved``, which nobody has;
        ``expected_line`` (line, party), which adds to the expected surplus over lines. ``expected_service_cost``
        and ``sd_service_cost`` (service), before exclusions, where costs divide among services. The attribute
        ``unseen_bound`` is the upper end of the exact 95% interval of a probability that no replicate showed.
    """
    if "year" in outcome.dims:
        raise SimulatorError("outcome", None, "holds several years, and this is an answer of one", "use sim.over_years")
    surplus = outcome["surplus"].transpose("replicate", ...)
    replicates = surplus.sizes["replicate"]
    rounding = ROUNDING * abs(outcome["budget"])
    lost = surplus < -rounding
    luckless = (surplus.max("replicate") - surplus.min("replicate")) <= rounding.max("replicate")
    spread = spread_of(surplus, outcome)
    estimates = {f"expected_{name}": mean_and_error(outcome[name]) for name in ("payment", "cost_borne", "surplus")}
    estimates |= {
        "sd_surplus": (spread.sd, spread.sd_se),
        "p_loss": _probability(lost, luckless),
        "p_loss_over": _probability(lost & (surplus < -loss_over * revenue_of(outcome)), luckless),
        "worst_surplus": quantiles_of(surplus, levels),
        "risk_share": _risk_share(surplus),
        "surplus_difference": mean_and_error(surplus - surplus.isel(design=0, drop=True)),
        "sd_difference": (spread.difference, spread.difference_se),
        "p_triggered": (outcome["triggered"] / replicates, outcome["triggered_se"] / replicates),
    }
    if "line_mean" in outcome:
        estimates["expected_line"] = outcome["line_mean"], outcome["line_mean_se"]
    for name in ("protection_cost", "withheld", "earned_back", "saved", "saving"):
        if name in outcome:
            estimates[f"expected_{name}"] = mean_and_error(outcome[name])
    if "saving" in outcome:
        estimates["expected_unsaved"] = mean_and_error(outcome["saved"] - outcome["saving"].sum("party"))
    if "service_cost" in outcome:
        lines = outcome["service_cost"].transpose("replicate", ...)
        estimates |= {"expected_service_cost": mean_and_error(lines), "sd_service_cost": _sd(lines)}
    compared = _without_rounding(with_errors(estimates), float(abs(outcome["budget"]).max()))
    unit = outcome["surplus"].attrs.get("units", "money per year")
    known = {"imbalance": imbalance(outcome), "loss_over": loss_over, "replicates": replicates}
    compared = compared.assign_attrs(outcome.attrs | known | {"unseen_bound": unseen_bound(replicates)})
    return declared(compared, "comparison", unit=unit, loss_over=loss_over)


def _sd(values: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Standard deviation over replicates, and its standard error."""
    square = (values - values.mean("replicate")) ** 2
    sd = square.mean("replicate") ** 0.5
    return sd, error_of_mean(square) / (2 * sd.where(sd > 0, 1.0))


def _without_rounding(compared: xr.Dataset, budget: float) -> xr.Dataset:
    """With nothing in the place of what only the rounding of floating point keeps from it."""
    kept = {}
    for name, found in compared.data_vars.items():
        least = _NOTHING * (1.0 if str(name).removesuffix("_se") in _FRACTIONS else budget)
        kept[name] = found.copy(data=np.where(np.abs(found.values) < least, 0.0, found.values))
    return compared.assign(kept)


def _probability(event: xr.DataArray, certain: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Share of replicates in which something happened; exact where nothing is left to luck."""
    share, error = share_and_error(event)
    return share, error.where(~certain, 0.0)


def revenue_of(outcome: xr.Dataset) -> xr.DataArray:
    """A party's own revenue: the mean of what it is paid, else of what it is funded with; money per year."""
    paid = outcome["payment"].mean("replicate")
    return paid.where(paid > 0, outcome["funding"].mean("replicate"))


def quantiles_of(surplus: xr.DataArray, levels: Sequence[float]) -> tuple[xr.DataArray, xr.DataArray]:
    """Quantiles (numpy linear), errors from the order statistics one standard error of the chance to either side."""
    ordered, strata = surplus.transpose("replicate", ...), strata_of(surplus)
    values = ordered.values
    like, sorted_values = ordered.isel(replicate=0, drop=True), np.sort(values, axis=0)
    quantiles, errors = [], []
    for level in levels:
        middle = _interpolated(sorted_values, np.full(like.shape, level))
        half = np.full(like.shape, math.sqrt(level * (1.0 - level) / len(values)))
        if strata:
            half = mean_error((values <= middle).astype(float), strata)
        low, high = (_interpolated(sorted_values, np.clip(level + side * half, 0.0, 1.0)) for side in (-1, 1))
        quantiles.append(like.copy(data=middle))
        errors.append(like.copy(data=(high - low) / 2.0))
    level_dim = xr.DataArray(list(levels), dims="quantile_level", name="quantile_level")
    return xr.concat(quantiles, level_dim), xr.concat(errors, level_dim)


def _interpolated(ordered: Array, level: Array) -> Array:
    """Quantiles of ascending values (replicate, …) at levels (…)."""
    position = level * (len(ordered) - 1)
    below = np.floor(position).astype(int)
    above, part = np.minimum(below + 1, len(ordered) - 1), position - below
    low, high = (np.take_along_axis(ordered, place[None], axis=0)[0] for place in (below, above))
    return np.asarray((1.0 - part) * low + part * high)


def _risk_share(surplus: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Regression of a party's surplus on the total, with a standard error that allows for unequal spread."""
    centred = surplus - surplus.mean("replicate")
    total = centred.sum("party")
    power = (total**2).mean("replicate")
    slope = (centred * total).mean("replicate") / power.where(power > 0)
    return slope, error_of_mean((centred - slope * total) * total) / power.where(power > 0)


FIGURES = (
    "expected_payment", "expected_cost_borne", "expected_surplus", "sd_surplus", "p_loss", "p_loss_over", "risk_share",
    "surplus_difference", "sd_difference",
)  # fmt: skip
"""What a row tells, each with `_se`; besides them `worst_…` for each quantile level."""

EXACT_FIGURES = ("exact_surplus", "exact_difference")  # what a row tells besides, without `_se`, where it was added


def comparison_rows(compared: xr.Dataset) -> list[dict[str, Any]]:
    """The comparison as plain rows, one for each design, population (and threshold) and party.

    A party that is absent from a design, with nothing to its name, has no row.
    """
    names = [name for figure in FIGURES for name in (figure, f"{figure}_se")]
    names += [name for name in (*EXACT_FIGURES, "expected_saving", "expected_saving_se") if name in compared]
    dims = [str(dim) for dim in compared["expected_surplus"].dims]
    order = ["design", *(dim for dim in dims if dim not in ("design", "party")), "party"]
    for k, level in enumerate(compared["quantile_level"].values):
        at_level = compared.isel(quantile_level=k, drop=True)
        told = {f"worst_{level:g}{end}": at_level[f"worst_surplus{end}"] for end in ("", "_se")}
        compared, names = compared.assign(told), [*names, *told]
    rows = _rows(compared, names, order)
    there = ("expected_payment", "expected_cost_borne", "expected_surplus", "sd_surplus")
    return [row for row in rows if any(row[name] for name in there)]


def _rows(compared: xr.Dataset, names: list[str], order: list[str]) -> list[dict[str, Any]]:
    """Some figures as plain rows, one for each place along these dims."""
    table = compared[names].to_dataframe(dim_order=order).reset_index()
    return [plain(row) for row in table[[*order, *names]].to_dict("records")]


def _occurring(compared: xr.Dataset, name: str) -> list[dict[str, Any]]:
    """The places at which a figure is above 0, with its error; none where it is not told."""
    if name not in compared:
        return []
    rows = _rows(compared, [name, f"{name}_se"], [str(dim) for dim in compared[name].dims])
    return [row for row in rows if (row[name] or 0.0) > 0]


def service_rows(compared: xr.Dataset) -> list[dict[str, Any]]:
    """Each service's cost as plain rows; none where costs do not divide among services."""
    names = [name for name in ("expected_service_cost", "sd_service_cost") if name in compared]
    if not names:
        return []
    dims = [str(dim) for dim in compared["expected_service_cost"].dims]
    return _rows(compared, [one for name in names for one in (name, f"{name}_se")], dims)


def comparison_json(compared: xr.Dataset) -> dict[str, Any]:
    """Everything that a comparison tells, as plain JSON."""
    swept = compared["threshold"].attrs if "threshold" in compared.coords else {}
    return {
        "imbalance": float(compared.attrs["imbalance"]),
        "replicates": int(compared.attrs["replicates"]),
        "loss_over": float(compared.attrs["loss_over"]),
        "unseen_bound": float(compared.attrs["unseen_bound"]),
        "reference": str(compared["design"].values[0]),
        "exact_check": plain(float(compared.attrs.get("exact_check", math.nan))),
        "exclusions": {one["name"]: one["exclusion"] for one in json.loads(compared.attrs.get("designs", "[]"))},
        "threshold_unit": str(swept.get("units", "")),  # money, or 1 for percentiles
        "rows": comparison_rows(compared),
        "triggered": _occurring(compared, "p_triggered"),
        "protection": _occurring(compared, "expected_protection_cost"),
        "saved": _occurring(compared, "expected_saved"),
        "unsaved": _occurring(compared, "expected_unsaved"),
        "services": service_rows(compared),
    }
