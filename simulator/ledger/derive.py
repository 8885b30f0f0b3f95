"""What follows from a ledger without another draw."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import xarray as xr

from ..errors import SimulatorError
from .variables import DERIVED, EXPECTED, describe


class Rule(Protocol):
    """What an exclusion rule must tell: see `simulator.contracts.exclusion`."""

    def layers(self, threshold: float) -> tuple[tuple[float, float, float], ...]:
        """(threshold, share of the excess removed, share of the whole patient removed), a layer each."""
        ...

    def fixed_thresholds(self) -> tuple[float, ...]:
        """The thresholds that the rule fixes itself; empty where it is swept over the grid."""
        ...


def check_draws(ledger: xr.Dataset) -> None:
    """Refuse what is no ledger, such as a summary of one."""
    if not isinstance(ledger, xr.Dataset) or "gross_cost" not in ledger:
        raise SimulatorError("ledger", None, "holds no draws", "give what `simulate` drew")


def retained_cost(ledger: xr.Dataset, rule: Rule) -> xr.DataArray:
    """Cost that is kept under an exclusion rule.

    Parameters
    ----------
    ledger : xarray.Dataset
    rule : exclusion rule
        Swept over the ledger's thresholds, or with thresholds of its own that must be on the grid or infinite.

    Returns
    -------
    xarray.DataArray
        Money per year, dims of `gross_cost` and ``threshold`` (length 1 where the rule fixes its own).
    """
    kept, ledger = [], reaching(ledger, rule)
    for point in sweep(ledger, rule):
        cost = ledger["gross_cost"]
        for threshold, excess_share, whole_share in rule.layers(point):
            at = {"threshold": threshold}
            if excess_share:
                cost = cost - excess_share * ledger["excess_cost"].sel(at, drop=True)
            if whole_share:
                cost = cost - whole_share * ledger["above_cost"].sel(at, drop=True)
        kept.append(cost)
    points = ledger["threshold"].sel(threshold=sweep(ledger, rule))
    retained = xr.concat(kept, dim=points).transpose(*ledger["gross_cost"].dims, "threshold")
    describe(retained, DERIVED["retained_cost"]._replace(unit=ledger["gross_cost"].attrs.get("units", "")))
    return retained.rename("retained_cost")


def expected_means(ledger: xr.Dataset) -> xr.Dataset | None:
    """The exact means that a ledger keeps, under the names of what they are means of; None where it keeps none.

    The dim ``parameter_set`` stands for ``replicate``: `retained_cost` of it is what a rule is expected to keep.
    """
    kept = {name: f"expected_{name}" for name in EXPECTED if f"expected_{name}" in ledger}
    if not kept:
        return None
    return ledger[list(kept.values())].rename({long: name for name, long in kept.items()}).reset_coords(drop=True)


def sweep(ledger: xr.Dataset, rule: Rule) -> list[float]:
    """The points of the threshold grid at which a rule is applied.

    Raises
    ------
    SimulatorError
        Where a threshold of the rule's own is not on the ledger's grid.
    """
    check_draws(ledger)
    grid = [float(threshold) for threshold in ledger["threshold"].values]
    fixed = rule.fixed_thresholds()
    for threshold in fixed:
        if threshold not in grid and not np.isinf(threshold):
            raise SimulatorError(
                "threshold", threshold, f"is not on the ledger's grid ({', '.join(f'{d:g}' for d in grid)})",
                "add it to [simulation] thresholds",
            )  # fmt: skip
    return list(fixed[-1:]) or grid


def reaching(ledger: xr.Dataset, rule: Rule) -> xr.Dataset:
    """The ledger, with "no exclusion" as a last point of its grid where a rule asks for it: nobody costs more."""
    check_draws(ledger)
    if not np.isinf(rule.fixed_thresholds()).any() or np.isinf(ledger["threshold"].values).any():
        return ledger
    fill = dict.fromkeys(map(str, ledger.data_vars), 0.0) | {"threshold_amount": np.inf}
    grid = ("threshold", [*ledger["threshold"].values, np.inf], ledger["threshold"].attrs)
    return ledger.reindex(threshold=grid[1], fill_value=fill).assign_coords(threshold=grid)


def by_unit(ledger: xr.Dataset) -> xr.Dataset:
    """The units of a ledger as a ledger of their own, with ``unit`` in the place of ``population_size``."""
    if "unit" not in ledger.dims:
        raise SimulatorError("ledger", None, "has no units", "add [[population.units]] to the scenario")
    units = ledger.drop_dims("population_size")
    return units.rename(
        {name: str(name).removeprefix("unit_") for name in units.data_vars if str(name).startswith("unit_")}
    )
