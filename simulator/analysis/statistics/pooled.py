"""Several years of a ledger as one: their sum, or any difference of them, such as this year less a benchmark."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ... import runs
from ...costs.moments import expected_draws
from ...errors import SimulatorError
from ...ledger import EXPECTED, VARIABLES, check_draws, declared
from ...scenario import Scenario
from ..checks import checked_weights

_NEAR = 0.01
"""Share of the weights' whole cost below which their total is near 0, so that nothing can be a share of it."""


def pool_years(
    ledger: xr.Dataset,
    weights: Mapping[int, float],
    *,
    relative_to: int | None = None,
    scenario: Scenario | None = None,
) -> xr.Dataset:
    """The weighted sum of a ledger's years, as a ledger without ``year``.

    Parameters
    ----------
    ledger : xarray.Dataset
        Of a scenario with [years], or `by_unit` of it.
    weights : mapping of int to float
        By year. {1: 1, 2: 1, 3: 1} is the cost of three years together, {2: 1} that of year 2, and {1: 1} that of
        year 1, which is a ledger of one year like any other.
    relative_to : int, optional
        A year whose expected cost is added: what is over is then a share of that. Needed where the weights leave an
        expected total near 0, as {1: 1, 0: -0.6, -1: -0.3, -2: -0.1}.
    scenario : Scenario, optional
        Needed where observed costs were withheld from the ledger.

    Returns
    -------
    xarray.Dataset
        Money of all years of the weights together, with its exact means as ``expected_gross_cost`` and others, from
        which `summarise` has its budget. Thresholds are those of year 1 by their labels.

    Raises
    ------
    SimulatorError
        Where the ledger has no years or lacks one, and where the expected total is near 0 without `relative_to`.
    """
    check_draws(ledger)
    if "year" not in ledger.dims:
        raise SimulatorError("ledger", None, "has no years", "add [years] to the scenario")
    for year in (*checked_weights("weights", weights), *([] if relative_to is None else [relative_to])):
        if year not in ledger["year"].values:
            had = ", ".join(map(str, ledger["year"].values))
            raise SimulatorError("weights", year, "is no year of the ledger", f"choose among {had}")
    scenario = scenario or runs.scenario_of(ledger)
    if dict(weights) == {1: 1} and relative_to is None:
        return _first(ledger)
    if scenario is None:
        raise SimulatorError("ledger", None, "withholds the observed costs of its scenario", "give the scenario")
    usual = {year: float(ledger["gross_cost"].sel(year=year).mean()) for year in weights}
    whole, size = (math.fsum(part(w) * usual[year] for year, w in weights.items()) for part in (float, abs))
    if relative_to is None and not abs(whole) > _NEAR * size:
        bound = "leave an expected total near 0, of which nothing is a share"
        raise SimulatorError("weights", None, bound, "name the year that it is compared with: relative_to")
    asked = {*weights} if relative_to is None else {*weights, relative_to}
    expected = {year: _expected(ledger, scenario, year) for year in sorted(asked)}
    by_year = {str(name): one for name, one in ledger.data_vars.items() if "year" in one.dims}
    dated = {"threshold_amount", "shock_factor", "unit_shock_factor"}
    pooled = ledger.drop_vars([*by_year, "year", *(name for name in ledger.variables if "expected_" in str(name))])
    pooled["threshold_amount"] = ledger["threshold_amount"].sel(year=1, drop=True)
    for name in sorted((by_year.keys() - dated) & VARIABLES.keys()):
        pooled[name] = sum(weight * ledger[name].sel(year=year, drop=True) for year, weight in weights.items())
    for name in next(iter(expected.values())):
        mean: xr.DataArray = sum((w * expected[year][name] for year, w in weights.items()), xr.DataArray(0.0))
        if relative_to is not None:
            drawn = name.replace("expected_", "")
            pooled[drawn] = pooled[drawn] + expected[relative_to][name].mean("parameter_set")
            mean = mean + expected[relative_to][name]
        pooled[name] = mean
    pooled = pooled.assign_coords(parameter_set=np.arange(pooled.sizes["parameter_set"]))
    said = json.dumps({"weights": {str(year): weights[year] for year in weights}, "relative_to": relative_to})
    own = hashlib.sha256((str(ledger.attrs["scenario_id"]) + said).encode()).hexdigest()
    return declared(
        pooled.assign_attrs(ledger.attrs, pooled=said, scenario_id=own), "ledger", currency=ledger.attrs["currency"]
    )


def _first(ledger: xr.Dataset) -> xr.Dataset:
    """Year 1, whose laws are those of the scenario without [years]."""
    raw = json.loads(ledger.attrs["scenario"])
    raw.pop("years")
    if raw["population"].get("membership") == "held":
        raw["population"]["membership"] = "fixed"
    own = hashlib.sha256(f"{ledger.attrs['scenario_id']} year 1".encode()).hexdigest()  # not the bits of that scenario
    told = {"scenario": json.dumps(raw, sort_keys=True, ensure_ascii=False), "scenario_id": own}
    return ledger.sel(year=1, drop=True).assign_attrs(told)


def _expected(ledger: xr.Dataset, scenario: Scenario, year: int) -> dict[str, xr.DataArray]:
    """Exact means of a year, under the names by which a ledger keeps them."""
    model, of_label = scenario.cost_model, scenario.amounts_in(year)
    amounts = np.stack([of_label[float(at)] for at in ledger["threshold"].values], axis=1)
    found: dict[str, xr.DataArray] = {}
    for place, heads in _heads(ledger, scenario).items():
        own = expected_draws(model, heads, amounts, year)
        prefix = "unit_" if place == "unit" and "unit_gross_cost" in ledger else ""
        for name in EXPECTED:
            dims = ("parameter_set", place, "threshold")[: own[name].ndim]
            found[f"{prefix}expected_{name}"] = xr.DataArray(own[name], dims=dims)
    return found


def _heads(ledger: xr.Dataset, scenario: Scenario) -> dict[str, NDArray[np.int64]]:
    found = {}
    if "population_size" in ledger.dims:
        found["population_size"] = runs.heads(scenario)[: ledger.sizes["population_size"]]
    if "unit" in ledger.dims:
        found["unit"] = runs.increments(scenario)
    return found
