"""What a contract over years brings each party: by year and altogether, its pool, its investment, and who leaves."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

from ...contracts.design import designs_from
from ...contracts.transfers import RiskPool
from ...errors import SimulatorError
from ...ledger import declared
from ...settlement.compare import ROUNDING, imbalance, quantiles_of
from ...strata import exact_interval, mean_and_error, share_and_error, with_errors
from ...terms import Array

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
_HALVINGS = 40
_NEVER = 1e100
"""In the place of an infinite balance, which no quantile may meet."""


def over_years(outcome: xr.Dataset, *, lasts: float = 0.95) -> xr.Dataset:
    """What each design means for each party over its years.

    Parameters
    ----------
    outcome : xarray.Dataset
        From `settle`, of a ledger with years.
    lasts : float
        Probability with which a pool is to meet all deficits, and a party to stay until the last year.

    Returns
    -------
    xarray.Dataset
        By year, design, party and population size, each with its standard error ``…_se``: ``expected_surplus`` and
        ``p_loss`` of the year; ``expected_cumulative``, ``cumulative_quantile`` (quantile_level) and
        ``p_cumulative_loss`` since year 1, discounted as the outcome is. Where a pool carries over: its balance,
        ``p_exhausted`` by the end of the year with a 95% interval, and ``opening_needed``, NaN of several pools and
        beside an exit rule; ``size_pool_lasts``, the smallest of the sizes from which on the pool lasts. Where a party
        may leave: ``p_left``, and ``size_nobody_leaves``, from which on it stays until the last year. Where there is an
        investment: ``expected_npv`` and ``p_paid_back`` of each party, and of all together (``system_…``).

    Raises
    ------
    SimulatorError
        Where the outcome is of one year.
    """
    if "year" not in outcome.dims:
        raise SimulatorError("outcome", None, "is of one year", "settle a ledger with years, or use sim.compare")
    if not 0 < lasts < 1:
        raise SimulatorError(
            "lasts", lasts, "must lie between 0 and 1", "0.95 is a pool that fails in 1 contract in 20"
        )
    surplus, cumulative = outcome["surplus"], outcome["cumulative_surplus"]
    rounding = ROUNDING * abs(outcome["budget"])
    estimates = {
        "expected_surplus": mean_and_error(surplus),
        "p_loss": share_and_error(surplus < -rounding),
        "expected_cumulative": mean_and_error(cumulative),
        "cumulative_quantile": quantiles_of(cumulative, LEVELS),
        "p_cumulative_loss": share_and_error(cumulative < -rounding),
    }
    intervals = {}
    if "pool_balance" in outcome:
        exhausted = (outcome["pool_unmet"] > 0).cumsum("year") > 0
        estimates |= {
            "expected_pool_balance": mean_and_error(outcome["pool_balance"]),
            "pool_balance_quantile": quantiles_of(outcome["pool_balance"], LEVELS),
            "p_exhausted": share_and_error(exhausted),
            "opening_needed": _needed(outcome, lasts),
        }
        intervals["p_exhausted_interval"] = _interval(exhausted)
    if "left" in outcome:
        estimates["p_left"] = share_and_error(outcome["left"] > 0)
        intervals["p_left_interval"] = _interval(outcome["left"] > 0)
    if "investment_gain" in outcome:
        factor = (1.0 + outcome.attrs["discount_rate"]) ** -(outcome["year"] - 1.0)
        gain = (outcome["investment_gain"] * factor).cumsum("year")
        estimates |= {
            "expected_npv": mean_and_error(gain),
            "p_paid_back": share_and_error(gain >= 0),
            "system_npv": mean_and_error(gain.sum("party")),
            "system_p_paid_back": share_and_error(gain.sum("party") >= 0),
        }
    answer = with_errors(estimates).assign(intervals).assign_attrs(outcome.attrs)
    for names, has in _parts(outcome).items():
        at = xr.DataArray(has, dims="design")
        answer = answer.assign({name: one.where(at) for name, one in answer.data_vars.items() if names in str(name)})
    for name, chance in (("size_pool_lasts", "p_exhausted"), ("size_nobody_leaves", "p_left")):
        if chance in answer and "population_size" in answer.dims:
            at = answer[chance].isel(
                year=-1 if chance == "p_exhausted" else max(answer.sizes["year"] - 2, 0), drop=True
            )
            answer[name] = _from_where(at, 1 - lasts)
    answer = answer.assign_attrs(lasts=lasts, imbalance=imbalance(outcome), replicates=outcome.sizes["replicate"])
    return declared(answer, "over_years", currency=outcome.attrs.get("currency", "money"), lasts=lasts)


def _parts(outcome: xr.Dataset) -> dict[str, list[bool]]:
    """By what a figure's name says, which designs have it."""
    designs = designs_from(json.loads(outcome.attrs["designs"]))
    pools = [any(isinstance(one, RiskPool) and one.carries for one in design.transfers) for design in designs]
    contracts = [design.contract for design in designs]
    invested = [contract is not None and contract.investment is not None for contract in contracts]
    leaves = [contract is not None and contract.exit is not None for contract in contracts]
    return {"pool_": pools, "exhausted": pools, "left": leaves, "npv": invested, "paid_back": invested}


def _from_where(chance: xr.DataArray, at_most: float) -> xr.DataArray:
    """The smallest size from which on a chance is small enough; infinite where none is, NaN where none is known."""
    met = (chance <= at_most).isel(population_size=slice(None, None, -1)).cumprod("population_size").astype(bool)
    return (
        met["population_size"]
        .where(met)
        .min("population_size")
        .fillna(np.inf)
        .where(chance.notnull().any("population_size"))
    )


def _interval(happened: xr.DataArray) -> xr.DataArray:
    count = happened.sum("replicate")
    bounds = exact_interval(count.values, happened.sizes["replicate"])
    return xr.DataArray(bounds, dims=(*count.dims, "bound"), coords={**count.coords, "bound": ["lower", "upper"]})


def _needed(outcome: xr.Dataset, lasts: float) -> tuple[xr.DataArray, xr.DataArray]:
    """Opening balance that a share of contracts need at most, and its error; NaN where there is not one pool alone."""
    found, errors = [], []
    for design in designs_from(json.loads(outcome.attrs["designs"])):
        pools = [one for one in design.transfers if isinstance(one, RiskPool) and one.carries]
        own = outcome.sel(design=design.name).reset_coords(drop=True)
        alone = len(pools) == 1 and (design.contract is None or design.contract.exit is None)
        needed = own["pool_claims"].isel(year=0, drop=True) * np.nan
        if alone:
            parts = (own[name].transpose("year", *needed.dims) for name in ("pool_claims", "pool_offered", "budget"))
            needed = needed.copy(data=_least(pools[0], *(part.values for part in parts)))
        value, error = quantiles_of(needed, (lasts,)) if alone else [needed.isel(replicate=[0])] * 2
        found.append(value.isel(quantile_level=0, replicate=0, drop=True, missing_dims="ignore"))
        errors.append(error.isel(quantile_level=0, replicate=0, drop=True, missing_dims="ignore"))
    first, second = (xr.concat(parts, outcome["design"].reset_coords(drop=True)) for parts in (found, errors))
    is_finite = (first < _NEVER / 2) & (second < _NEVER / 4)
    return first.where(is_finite | first.isnull(), np.inf), second.where(is_finite)


def _least(pool: RiskPool, claims: Array, offered: Array, budgets: Array) -> Array:
    """The least opening balance, as a share of the first budget, that meets all claims; `_NEVER` where none does."""
    low, high = np.zeros(claims.shape[1:]), claims.sum(axis=0) / budgets[0]
    enough = pool.lasts(low, claims, offered, budgets)
    never = ~pool.lasts(high * (1 + 1e-12), claims, offered, budgets)
    high = np.where(enough, 0.0, high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        enough = pool.lasts(middle, claims, offered, budgets)
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(never, _NEVER, high)
