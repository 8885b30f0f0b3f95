"""The whole question at once: how large, which places qualify, what a cap buys and costs, who carries what."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from .. import effort, runs
from ..errors import SimulatorError
from ..ledger import declared
from ..scenario import Scenario, scenario_from
from ..settlement.compare import compare
from ..settlement.settle import settle
from .designs.exact_comparison import with_exact
from .designs.pricing import fair_price
from .size.minimum import minimum_population
from .statistics.exact import exact
from .statistics.summary import summarise

RISKS = ("luck", "luck and shocks")
_MOST_REPLICATES = 2_000
"""Simulated years of contracts, and of what the exact engine does not answer."""
_LARGE = ("minimum_population", "minimum_population_interval", "systematic_alone")
_CARRIED = ("expected_surplus", "expected_surplus_se", "exact_surplus", "p_loss", "p_loss_se")


def answer(
    scenario: Scenario, *, margin: float = 0.03, at_most: float = 0.05, pool_members: int | None = None, k: float = 1.0
) -> xr.Dataset:
    """What a scenario is asked, in one Dataset: `simulator answer` prints it as a page.

    Exact figures lead; what the exact engine has no answer to is simulated, and `is_exact` says which.

    Parameters
    ----------
    scenario : Scenario
        Its `variants` are asked about beside it, its units are the places, its designs the contracts.
    margin : float
        Tolerated overspend, a fraction of the budget.
    at_most : float
        Largest accepted chance of more than that, a fraction.
    pool_members : int, optional
        People of the pool that would take what a cap removes; by default all of the scenario.
    k : float
        Standard deviations of the pool's cost that its price adds to the mean.

    Returns
    -------
    xarray.Dataset
        By (tail, risk, threshold): ``minimum_population`` in people, ``minimum_population_interval`` (bound), equal to
        it where it is exact, and ``systematic_alone`` as in `minimum_population`; ``is_exact``. By (unit, threshold):
        ``p_overspend`` at the place's own size and case mix, and ``qualifies``. By threshold: the figures of
        `fair_price`. By (design, party), at the largest population: ``expected_surplus``, ``exact_surplus`` and
        ``p_loss`` as in `compare`, money per year. What the scenario does not hold is not there; the attribute
        ``left_out`` says what could not be answered.

    Raises
    ------
    SimulatorError
        For arguments out of range.
    """
    left_out: list[str] = []

    def unless_refused(what: str, part: Callable[[], xr.Dataset]) -> xr.Dataset:
        try:
            return part()
        except SimulatorError as refused:
            left_out.append(f"{what}: {refused.bound}")
            return xr.Dataset()

    tails = _tails(scenario, left_out)
    parts = []
    with effort.task("answer", 2 * len(tails) + 3) as advance:
        for tail, one in tails.items():
            for risk in RISKS if scenario.shocks else RISKS[:1]:
                parts.append(_how_large(one, tail, risk, margin, at_most))
                advance()
        large = xr.combine_by_coords(parts, combine_attrs="override", join="outer")
        large = large.reindex(tail=list(tails), risk=list(RISKS[: 1 + bool(scenario.shocks)]))
        assert isinstance(large, xr.Dataset)
        places = _places(scenario, margin, at_most) if scenario.population.units else xr.Dataset()
        advance()
        pool = pool_members or scenario.population_sizes[-1]
        priced = unless_refused("price of a cap", lambda: fair_price(scenario, pool, k=k))
        advance()
        carried = unless_refused("contracts", lambda: _contracts(scenario)) if scenario.designs else xr.Dataset()
        advance()
    known = runs.exact_origin(scenario) | large.attrs | carried.attrs | {"margin": margin, "at_most": at_most}
    known |= {"pool_members": pool, "k": k, "left_out": "; ".join(left_out), "method": "exact"}
    told = xr.merge([large, places, priced, carried], combine_attrs="drop", join="outer")
    told["threshold"].attrs = large["threshold"].attrs
    asked = large["minimum_population"].attrs["asked"]
    return declared(told.assign_attrs(known), "answer", asked=asked, currency=scenario.currency, margin=margin)


def _tails(scenario: Scenario, left_out: list[str]) -> dict[str, Scenario]:
    """The scenario and its variants, a light one first."""
    found = {"central": scenario}
    for name in scenario.variants:
        try:
            found[name] = scenario.variant(name)
        except SimulatorError as refused:
            left_out.append(f"{name} tail: {refused.bound}")
    return {name: found[name] for name in sorted(found, key=lambda name: (name != "light", name != "central"))}


def _how_large(scenario: Scenario, tail: str, risk: str, margin: float, at_most: float) -> xr.Dataset:
    raw: dict[str, object] = {"designs": (), "stresses": (), "ranges": (), "variants": {}}
    raw |= {"shocks": (), "shock_correlations": ()} if risk == RISKS[0] else {}
    asked = scenario_from(scenario.model_dump() | raw)
    try:
        found, is_exact = minimum_population(asked, margin=margin, at_most=at_most, method="exact"), True
    except SimulatorError:
        years = min(_MOST_REPLICATES, asked.simulation.replicates)
        found, is_exact = minimum_population(asked, margin=margin, at_most=at_most, replicates=years), False
    kept = found[list(_LARGE)].assign(is_exact=("threshold", np.full(found.sizes["threshold"], is_exact)))
    kept["minimum_population"].attrs["asked"] = _asked(margin, at_most)
    return kept.expand_dims(tail=[tail], risk=[risk])


def _asked(margin: float, at_most: float) -> str:
    return f"chance of at most {100 * at_most:.6g}% of overspending by more than {100 * margin:.6g}%"


def _places(scenario: Scenario, margin: float, at_most: float) -> xr.Dataset:
    """Each place at its own size and case mix."""
    try:
        found = exact(scenario, margins=(margin,))
    except SimulatorError:
        years = min(_MOST_REPLICATES, scenario.simulation.replicates)
        found = summarise(runs.simulate(scenario.with_simulation(replicates=years), progress=False), margins=(margin,))
    chance = found[[name for name in ("p_overspend", "p_overspend_se") if name in found]].sel(margin=margin, drop=True)
    return chance.assign(qualifies=chance["p_overspend"] <= at_most).drop_attrs()


def _contracts(scenario: Scenario) -> xr.Dataset:
    """Who carries what, over all people."""
    designs = scenario.select_designs()
    years = min(_MOST_REPLICATES, scenario.simulation.replicates)
    whole = scenario_from(scenario.model_dump() | {"variants": {}, "stresses": (), "ranges": ()})
    ledger = runs.simulate(whole.with_simulation(replicates=years), progress=False)
    found = with_exact(compare(settle(ledger, designs)))
    last = found.isel(population_size=-1) if "population_size" in found.dims else found
    kept = last[[name for name in _CARRIED if name in last]].reset_coords(drop=True)
    attrs = {name: found.attrs[name] for name in ("replicates", "unseen_bound") if name in found.attrs}
    return kept.drop_attrs().assign_attrs(attrs)
