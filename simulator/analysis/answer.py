"""One question answered whole: how large, which places, what each cap costs, and who carries what."""

import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from .. import effort, runs
from .. import ledger as books
from ..errors import SimulatorError
from ..scenario import Scenario
from ..settlement.compare import compare
from ..settlement.settle import settle
from ..thresholds import last_of
from .checks import check_fraction
from .designs.exact_settlement import exact_settlement
from .designs.pricing import fair_price
from .luck.luck import RISKS, by_risk
from .size.minimum import minimum_population
from .size.places import places
from .statistics.exact import exact

_LEAST = 1_000  # people from whom on a smallest population is sought, as `minimum_population` does
_ROUNDING = 1e-12  # share of the cost below which a surplus is a rounding error


def answer(scenario: Scenario, *, margin: float = 0.02, at_most: float = 0.10) -> xr.Dataset:
    """How large, which places qualify, what each cap buys and costs, and who carries what: one question, whole.

    Parameters
    ----------
    scenario : Scenario
        With variants (other tails), units (places), shocks and designs, or without any of them.
    margin : float
        Overspend of the expected cost that can be borne, a fraction.
    at_most : float
        Largest accepted chance of a larger one.

    Returns
    -------
    xarray.Dataset
        By (tail, risk, threshold): ``minimum_population`` in people, 0 where the smallest size tried is enough and
        infinity where none is, its ``minimum_population_interval`` (bound), ``calculated`` (1 where it needed no
        simulation, else 0), and ``systematic_alone``, the chance that no size removes. The tail "central" is the
        scenario itself; the risk "luck" leaves its shocks out. By threshold: ``price_per_head``, the expected cost
        beyond it, and ``loading``, the standard deviation of a pool of `pool_members` people over that. By (unit,
        threshold), where there are units: ``p_overspend`` of each place alone, with its own size and case mix, and
        ``qualifies``, 1 where that is at most `at_most`; ``members`` by unit. By (design, party), where there are
        designs: ``expected_surplus``, money per year, and ``p_loss``, the chance of losing anything, at the
        scenario's largest population. Exact but for ``p_loss``, and for what the exact engine cannot answer.

    Examples
    --------
    A place whose chance of overspending by more than 2% is 8% qualifies where 10% is accepted.
    """
    check_fraction("at_most", at_most)
    if not 0 < margin < math.inf:
        raise SimulatorError("margin", margin, "must be a fraction above 0", "give 0.02 for 2%")
    members = scenario.population_sizes[-1]
    parts = [_how_large(scenario, margin, at_most), _caps(scenario, members)]
    parts += [places(scenario, margin, at_most)] if scenario.population.units else []
    parts += [_contracts(scenario)] if scenario.designs else []
    made = xr.merge(parts, join="outer", combine_attrs="drop")
    books.describe_threshold(made, scenario.simulation.thresholds, scenario.currency)
    known = {"margin": margin, "at_most": at_most, "pool_members": members, "smallest": _smallest(scenario)}
    is_exact = {
        "basis": bool(made["calculated"].all()),
        "of_places": "p_overspend_se" not in made,
        "of_contracts": "expected_surplus_se" not in made or not made["expected_surplus_se"].any(),
    }
    bases = {of: "exact" if exactly else "drawn" for of, exactly in is_exact.items()}
    origin = runs.exact_origin(scenario)
    if "p_loss" in made or "drawn" in bases.values():
        origin = runs.origin(scenario) | {"replicates": scenario.simulation.replicates}
    asked = f"an overspend of more than {margin:g} with a chance of at most {at_most:g}"
    return books.declared(
        made.assign_attrs(known | origin), "answer", asked=asked, margin=margin, currency=scenario.currency, **bases
    )


def headline(scenario: Scenario, margin: float, at_most: float, size: int | None = None) -> xr.Dataset | None:
    """What shocks and other tails do to an answer at the last threshold, by tail and risk, without simulation.

    The `minimum_population`, or with a `size` the chance `p_overspend` there. None where there are neither shocks nor
    variants, and where it cannot be calculated.
    """
    if scenario.population.n_sets or not (scenario.shocks or scenario.variants):
        return None
    last = last_of(scenario.simulation.thresholds)
    one = scenario.resized(scenario.population_sizes, thresholds=last)

    def found(case: Scenario) -> xr.Dataset:
        if size is None:
            return _minimum(case, margin, at_most, draw=False)
        cell = exact(case.resized((size,)), margins=(margin,)).sel(margin=margin).isel(population_size=0)
        if cell.attrs.get("doubt"):
            raise SimulatorError("scenario", None, "has no exact law", "simulate it")
        return cell[["p_overspend"]].reset_coords(drop=True)

    with suppress(SimulatorError):
        return _by_tail(one, found).isel(threshold=-1).assign_attrs(smallest=_smallest(scenario))
    return None


def tails_of(scenario: Scenario) -> list[str]:
    """The scenario's variants and itself, from light to heavy where they are so named."""
    others = list(scenario.variants)
    lighter = [name for name in others if name == "light"]
    return [*lighter, "central", *(name for name in others if name not in lighter)]


def _how_large(scenario: Scenario, margin: float, at_most: float) -> xr.Dataset:
    return _by_tail(scenario, lambda case: _minimum(case, margin, at_most))


def _by_tail(scenario: Scenario, find: Callable[[Scenario], xr.Dataset]) -> xr.Dataset:
    """What is found under each tail and risk."""
    tails, risks = tails_of(scenario), list(RISKS) if scenario.shocks else [RISKS[0]]
    asked = [one for tail in tails for one in by_risk(scenario.variant(tail)).values()]
    found = iter([find(one) for one in effort.each(asked, "smallest populations")])
    rows = [xr.concat([next(found) for _ in risks], dim=xr.DataArray(risks, dims="risk", name="risk")) for _ in tails]
    return xr.concat(rows, dim=xr.DataArray(tails, dims="tail", name="tail"), combine_attrs="drop")


def _smallest(scenario: Scenario) -> int:
    return min(_LEAST, scenario.population_sizes[0])


def _minimum(scenario: Scenario, margin: float, at_most: float, draw: bool = True) -> xr.Dataset:
    """The smallest population by threshold: calculated, or simulated where that cannot be and may be."""
    names = ["minimum_population", "minimum_population_interval", "systematic_alone"]
    smallest = _smallest(scenario)
    asked: dict[str, Any] = {"margin": margin, "at_most": at_most, "smallest": smallest}
    asked["largest"] = max(scenario.population_sizes[-1], 10 * smallest)
    smallest_by, exactly = partial(minimum_population, scenario, **asked), None
    if not scenario.population.n_sets:
        with suppress(SimulatorError):  # no exact law: what is wrong with the question itself is told below
            exactly = smallest_by(method="exact")[names]
    if exactly is not None and bool(exactly["minimum_population"].notnull().all()):
        return exactly.assign(calculated=xr.ones_like(exactly["systematic_alone"]))
    if not draw:
        raise SimulatorError("scenario", None, "has no exact law", "simulate it")
    drawn = smallest_by(method="simulated", cross_check=False)[names]
    if exactly is None:
        return drawn.assign(calculated=xr.zeros_like(drawn["systematic_alone"]))
    known = exactly["minimum_population"].notnull()
    return exactly.where(known, drawn).assign(calculated=known.astype(float))


def _caps(scenario: Scenario, members: int) -> xr.Dataset:
    try:
        price = fair_price(scenario, members)
    except SimulatorError:  # what is removed has an infinite variance
        blank = xr.DataArray(np.full(scenario.threshold_labels.size, math.nan), dims="threshold")
        unknown = xr.Dataset({"price_per_head": blank, "loading": blank})
        return unknown.assign_coords(threshold=scenario.threshold_labels)
    return price[["expected_excess_pmpy", "loading"]].rename(expected_excess_pmpy="price_per_head")


def _contracts(scenario: Scenario) -> xr.Dataset:
    """Expected surplus, exact where it can be, and the chance of a loss, both at the largest population."""
    designs, size = scenario.select_designs(), scenario.population_sizes[-1]
    last = scenario if scenario.population.units else scenario.with_simulation(population_sizes=(size,))
    compared = compare(settle(runs.simulate(last), designs)).isel(population_size=-1, drop=True)
    names = [f"{name}{end}" for name in ("expected_surplus", "p_loss") for end in ("", "_se")]
    found = compared[names].reset_coords(drop=True)
    try:
        settled = exact_settlement(last, designs).isel(population_size=-1, drop=True)
    except SimulatorError:  # an infinite variance
        return found
    surplus, costs = settled["expected_surplus"], abs(settled["expected_cost_borne"]).max()
    known = surplus.where(~(abs(surplus) <= _ROUNDING * costs), 0.0)
    known = known.reset_coords(drop=True).reindex_like(found["expected_surplus"])
    return found.assign(
        expected_surplus=known.fillna(found["expected_surplus"]),
        expected_surplus_se=found["expected_surplus_se"].where(known.isnull(), 0.0),
    )
