"""Where does each pound of the capitation go? A design's year in layers: excess, care, what parties are left with."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ... import ledger as books
from ...contracts.design import Design, on_grid
from ...contracts.exclusion import Banded
from ...errors import SimulatorError
from ...settlement.compare import ROUNDING
from ...settlement.settle import settle
from ...strata import Strata, mean_error, strata_of
from ...terms import Array
from ...thresholds import At

YEARS = ("average", "costliest 5%")
WORST = 0.05  # share of the years, the costliest, of which the second year is the mean


class _Step(NamedTuple):
    name: str
    kind: str  # total: stands by itself; part: is taken off what is left; surplus: is taken off last, to nothing
    amount: Array


def layers(ledger: xr.Dataset, design: Design, *, members: int | None = None) -> xr.Dataset:
    """From the capitation down to what each party is left with, on average over all years and over the costliest.

    Parameters
    ----------
    ledger : xarray.Dataset
        What `simulate` drew.
    design : Design
        With a threshold of its own, or without exclusion.
    members : int, optional
        People; the ledger's largest population without it.

    Returns
    -------
    xarray.Dataset
        ``amount`` and ``amount_se`` by (year, step), money per year; ``kind`` by step: "total", "part" or "surplus".
        A total less the parts below it is the next total, and the surpluses add up to the last, in every year.
        ``costliest 5%`` is the mean of the costliest twentieth of the years: worse than the 1-in-20 year of `compare`,
        which is where the worst twentieth of a party's own years begins.

    Raises
    ------
    SimulatorError
        For a design whose threshold is swept, or that does not fit the ledger.

    Examples
    --------
    Of £100 with £3 above the threshold, £97 are left for care; a provider whose care costs £99 is lacking £2.
    """
    if "year" in ledger.dims:
        bound = "holds several years, and this is an answer of one"
        raise SimulatorError("ledger", None, bound, "pool them: sim.pool_years(ledger, {1: 1}) is year 1")
    (design,) = on_grid((design,), ledger["threshold"].values)
    if not design.exclusion.fixed_thresholds():
        raise SimulatorError(f"design {design.name!r}: exclusion", None, "has no threshold of its own", "give it `at`")
    size = ledger["population_size"].values[-1] if members is None else members
    outcome = settle(ledger, design).isel(design=0).sel(population_size=size)
    steps = list(_steps(ledger.sel(population_size=size), design, outcome))
    least = ROUNDING * np.abs(steps[0].amount).max()
    steps = [step for step in steps if np.abs(step.amount).max() > least]
    cost = outcome["system_cost"].values
    worst, edge = _worst(cost)
    years = [np.ones(cost.size, bool), worst]
    strata = strata_of(outcome)
    figures = [[_mean(step.amount, year, edge, strata) for step in steps] for year in years]
    answer = xr.Dataset(
        {
            "amount": (("year", "step"), np.array(figures)[..., 0]),
            "amount_se": (("year", "step"), np.array(figures)[..., 1]),
            "kind": (("step",), [step.kind for step in steps]),
        },
        coords={"year": list(YEARS), "step": [step.name for step in steps], "population_size": int(size)},
        attrs={key: value for key, value in ledger.attrs.items() if key != "scenario"},
    )
    answer = answer.assign_attrs(replicates=int(cost.size), design=design.name)
    return books.declared(answer, "layers", currency=ledger.attrs["currency"])


def _steps(ledger: xr.Dataset, design: Design, outcome: xr.Dataset) -> Iterator[_Step]:
    def of(name: str, party: str) -> Array:
        return np.asarray(outcome[name].sel(party=party).values)

    parties = [str(name) for name in outcome["party"].values]
    removed = list(_removed(ledger, design))
    funding = outcome["funding"].sum("party").values
    excess = sum((amount for _, amount in removed), np.zeros(funding.shape))
    yield _Step("capitation", "total", funding)
    for name, amount in removed:
        yield _Step(name, "part", amount)
    yield _Step("left for care", "total", funding - excess if removed else np.zeros(funding.shape))
    for party in parties:
        borne = of("cost_borne", party) - design.excess_bearers.get(party, 0.0) * excess
        yield _Step(f"care: {party}", "part", borne)
    yield _Step("surplus or deficit", "total", outcome["surplus"].sum("party").values)
    for party in parties:
        yield _Step(f"stays with {party}", "surplus", of("surplus", party))


def _removed(ledger: xr.Dataset, design: Design) -> Iterator[tuple[str, Array]]:
    """What the exclusion rule takes out, a layer each; layers of nothing are left out by the caller."""
    rule = design.exclusion
    if isinstance(rule, Banded):
        ends = [*(band.at for band in rule.bands[1:]), math.inf]
        for band, end in zip(rule.bands, ends, strict=True):
            inside = _at(ledger, "excess_cost", band.at) - _at(ledger, "excess_cost", end)
            yield f"band above {_told(ledger, band.at)}", band.share * inside
        return
    for threshold, excess_share, whole_share in rule.layers(rule.fixed_thresholds()[0]):
        amount = excess_share * _at(ledger, "excess_cost", threshold)
        amount = amount + whole_share * _at(ledger, "above_cost", threshold)
        if math.isfinite(threshold):
            yield f"excess above {_told(ledger, threshold)}", amount


def _told(ledger: xr.Dataset, threshold: float) -> str:
    at = At.of(threshold, ledger["threshold"].attrs.get("units"))
    return at.told(lambda amount: f"{ledger.attrs['currency']} {amount:,.0f}")


def _at(ledger: xr.Dataset, name: str, threshold: float) -> Array:
    if math.isinf(threshold):
        return np.zeros(ledger.sizes["replicate"])
    return np.asarray(ledger[name].sel(threshold=threshold).values)


def _worst(cost: Array) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Which years are the costliest, and the places of those about where they begin."""
    number = max(math.ceil(WORST * cost.size), 1)
    order, start, near = np.argsort(cost, kind="stable"), cost.size - number, max(number // 4, 1)
    return cost >= cost[order[start]], order[max(start - near, 0) : start + near]


def _mean(amount: Array, year: NDArray[np.bool_], edge: NDArray[np.intp], strata: Strata | None) -> tuple[float, float]:
    """The mean over the chosen years, with an error that knows that other draws would choose other years.

    As of a tail mean, it is that of the mean of what lies beyond the layer's value where the choice begins.
    """
    beyond = np.where(year, amount - amount[edge].mean(), 0.0) / year.mean()
    return float(amount[year].mean()), float(mean_error(beyond, strata))
