"""A comparison of designs with the exact expected surplus in front of the simulated one, where it is known."""

import json
import math

import numpy as np
import xarray as xr

from ...contracts.design import Design, designs_from
from ...errors import SimulatorError
from ...ledger import declared
from ...runs import scenario_of
from ...scenario import Scenario
from .exact_settlement import exact_settlement

MOST_UNSURE = 0.001  # error of the exact engine's probabilities above which the simulated figure leads

_NOTHING = 1e-9  # share of what is paid below which an exact surplus is what floating point left of nothing


def with_exact(compared: xr.Dataset) -> xr.Dataset:
    """Add what each party may expect exactly."""
    if "exact_surplus" in compared or "population_size" not in compared["expected_surplus"].dims:
        return compared
    scenario = scenario_of(compared) if "scenario" in compared.attrs else None
    if scenario is None or not {"designs"} <= set(compared.attrs):
        return compared
    sizes = [int(size) for size in compared["population_size"].values]
    if not set(sizes) <= set(scenario.population_sizes):
        return compared
    surplus = _surplus(compared, scenario, sizes)
    if not surplus.notnull().any():
        return compared
    difference = _cleaned(surplus - surplus.isel(design=0, drop=True), compared)
    answer = compared.assign(exact_surplus=surplus, exact_difference=difference.transpose(*surplus.dims))
    unit = compared["expected_surplus"].attrs.get("units", "money per year")
    answer = declared(answer, "comparison", unit=unit, loss_over=compared.attrs.get("loss_over", 0.0))
    return answer.assign_attrs(exact_check=_check(answer))


def _surplus(compared: xr.Dataset, scenario: Scenario, sizes: list[int]) -> xr.DataArray:
    """By the dims of the simulated one."""
    like = compared["expected_surplus"]
    names = [str(name) for name in compared["design"].values]
    known = {design.name: design for design in designs_from(json.loads(compared.attrs["designs"]))}
    parts = [_of_design(known[name], compared, scenario, sizes) for name in names]
    together = xr.concat(parts, dim=xr.DataArray(names, dims="design", name="design"), join="outer", fill_value=0.0)
    together = together.reindex(party=like["party"], fill_value=0.0).broadcast_like(like).transpose(*like.dims)
    return _cleaned(together, compared)


def _cleaned(amount: xr.DataArray, compared: xr.Dataset) -> xr.DataArray:
    """With 0 in the place of what floating point left of nothing."""
    least = _NOTHING * float(np.abs(compared["expected_payment"]).max())
    return amount.where(~(np.abs(amount) < least), 0.0)


def _of_design(design: Design, compared: xr.Dataset, scenario: Scenario, sizes: list[int]) -> xr.DataArray:
    if design.exclusion.fixed_thresholds():
        return _one(design, scenario, sizes)
    if "threshold" not in compared.coords:
        return _unknown(design, sizes)
    points = np.atleast_1d(compared["threshold"].values).tolist()
    placed = [_one(design.at_point(point), scenario, sizes) for point in points]
    if "threshold" not in compared["expected_surplus"].dims:  # one point was chosen of those that were swept
        return placed[0]
    return xr.concat(placed, dim=xr.DataArray(points, dims="threshold", name="threshold"))


def _one(design: Design, scenario: Scenario, sizes: list[int]) -> xr.DataArray:
    """By population size and party."""
    try:
        found = exact_settlement(scenario, [design], sizes=sizes)
    except SimulatorError:  # an infinite variance, or a threshold that the scenario's grid lacks
        return _unknown(design, sizes)
    sure = found["probability_error"] <= MOST_UNSURE
    return found["expected_surplus"].where(sure).isel(design=0, drop=True).reset_coords(drop=True)


def _unknown(design: Design, sizes: list[int]) -> xr.DataArray:
    parties = [party.name for party in design.parties]
    nothing = np.full((len(sizes), len(parties)), np.nan)
    return xr.DataArray(nothing, coords={"population_size": sizes, "party": parties}, dims=("population_size", "party"))


def _check(answer: xr.Dataset) -> float:
    off = abs(answer["expected_surplus"] - answer["exact_surplus"])
    error = answer["expected_surplus_se"]
    least = _NOTHING * float(abs(answer["expected_payment"]).max())
    scores = (off / error.where(error > least)).values
    return float(np.nanmax(scores)) if np.isfinite(scores).any() else math.nan
