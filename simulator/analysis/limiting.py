"""The population without end: what is left of the risk once luck has averaged out, and only common shocks remain.

Given the shocks, the cost a head of an ever larger population tends to its mean. So a ledger of it needs no draws: one
replicate for each of many equally likely shocks, each with the exact mean.
"""

from __future__ import annotations

import math

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import special
from scipy.interpolate import BarycentricInterpolator

from .. import ledger as books
from .. import runs
from ..contracts.exclusion import CarveOut, ExclusionRule
from ..costs.model import SHOCK_BOUND, CostModel, Percentiles, head_counts
from ..costs.moments import Exact
from ..scenario import Scenario, scenario_from
from . import exactness
from .statistics import budget_of

Array = NDArray[np.float64]

ENDLESS = 1_000_000_000
"""People of the population that stands for one without end: luck moves it by a millionth of its cost."""
_POINTS = 20_000
_GOLDEN = (math.sqrt(5) - 1) / 2
_NODES = 17  # of the polynomial in the shock's logarithm that carries the exact means


def with_sizes(scenario: Scenario, sizes: tuple[int, ...], **changes: object) -> Scenario:
    """The scenario with other population sizes, without units and without designs, which may be bound to thresholds."""
    population = scenario.population.model_dump() | {"units": ()}
    simulation = scenario.simulation.model_dump() | {"population_sizes": sizes} | changes
    return scenario_from(scenario.model_dump() | {"population": population, "simulation": simulation, "designs": ()})


def shock_quantiles(model: CostModel, points: int = _POINTS) -> Array:
    """Equally likely values of the product of all shocks, ascending; their mean is 1."""
    sigma = math.sqrt(sum(shock.sigma**2 for shock in model.shocks))
    if not sigma:
        return np.ones(1)
    low, high = special.ndtr(-SHOCK_BOUND), special.ndtr(SHOCK_BOUND)
    score = special.ndtri(low + (np.arange(points) + 0.5) / points * (high - low))
    factor = np.exp(sigma * score)
    return np.asarray(factor / factor.mean())


def limit_ledger(scenario: Scenario) -> xr.Dataset:
    """A ledger of a population so large that only the common shocks still move its cost a head.

    Parameters
    ----------
    scenario : Scenario

    Returns
    -------
    xarray.Dataset
        As `simulate` gives it, with one ``population_size`` of a thousand million people and one replicate for each
        equally likely shock (a single one where there are no shocks); every cost is an exact mean given the shock.
    """
    asked = with_sizes(scenario, (ENDLESS,))
    return _over_sets(asked) if asked.population.n_sets else _limit_of(asked)


def _over_sets(asked: Scenario) -> xr.Dataset:
    """Under every parameter set, each with its share of the equally likely shocks."""
    n = asked.population.n_sets
    # which shocks a set gets must not go with its number
    turns = np.argsort(np.arange(n) * _GOLDEN % 1)
    parts = []
    for b, (truth, turn) in enumerate(zip(asked.truths, turns, strict=True)):
        whole = _limit_of(truth)
        part = whole if whole.sizes["replicate"] == 1 else whole.isel(replicate=slice(int(turn), None, n))
        parts.append(part.assign_coords(parameter_draw=("replicate", np.full(part.sizes["replicate"], b))))
    joined = xr.concat(
        parts, dim="replicate", data_vars="minimal", coords="minimal", compat="override", join="override",
        combine_attrs="override",
    )  # fmt: skip
    known = {"scenario": runs.kept_json(asked), "scenario_id": asked.scenario_id}
    return joined.assign_coords(replicate=np.arange(joined.sizes["replicate"])).assign_attrs(known)


def _limit_of(asked: Scenario) -> xr.Dataset:
    model = asked.cost_model
    factors = shock_quantiles(model)
    arrays = _means_given(asked, factors)
    segments = [segment.name for segment in asked.population.segments]
    coordinates = {"replicate": np.arange(factors.size), "population_size": np.array([ENDLESS])}
    coordinates |= {"threshold": asked.threshold_labels, "segment": np.array(segments)}
    if model.shocks:
        coordinates["shock"] = np.array([shock.name for shock in model.shocks])
        arrays["shock_factor"] = np.stack([factors, *[np.ones(factors.size)] * (len(model.shocks) - 1)], axis=1)
    if model.sampled:
        arrays["members"] = np.tile(head_counts(ENDLESS, model.shares), (factors.size, 1, 1))
    arrays["threshold_amount"] = asked.threshold_amounts[: len(segments)]
    arrays["cut"] = asked.cuts[: len(segments)]
    attrs: dict[str, str | int | float] = {"title": asked.title, "scenario": runs.kept_json(asked)}
    attrs |= {"scenario_id": asked.scenario_id, "seed": asked.simulation.seed, "method": "exact"}
    ledger = books.assemble(arrays, coordinates, attrs, asked.currency)
    if isinstance(asked.simulation.thresholds, Percentiles):
        books.describe_variable(ledger["threshold"], "1", "percentile of patients' annual cost")
    return ledger


def _means_given(scenario: Scenario, factors: Array) -> dict[str, Array]:
    """Exact means given each factor, in the shapes of a ledger."""
    model, amounts = scenario.cost_model, scenario.threshold_amounts
    without = Exact(CostModel(population=model.population))
    heads = runs.heads(scenario)
    gross = float(without.total(heads, []).mean[0])
    low, high = np.log(factors.min()), np.log(factors.max())
    nodes = (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES)
    nodes = nodes if factors.size > 1 else np.zeros(1)
    # a rule at d on the cost λX is λ times the rule at d/λ on X
    at_nodes = np.array(
        [[_above(without, heads, amounts[:, d] / f, gross) for d in range(amounts.shape[1])] for f in np.exp(nodes)]
    )
    above = at_nodes if nodes.size == 1 else BarycentricInterpolator(nodes, at_nodes)(np.log(factors))
    named = {
        "gross_cost": factors[:, None] * gross,
        "excess_cost": (factors[:, None] * above[:, :, 0])[:, None],
        "above_cost": (factors[:, None] * above[:, :, 1])[:, None],
        "n_above": above[:, None, :, 2],
    }
    if any(not service.in_scope for service in model.population.rare_services):
        outside = float(without.total(heads, [], in_scope=False).mean[0])
        named["excluded_service_cost"] = factors[:, None] * outside
    return named


def _above(exact: Exact, heads: NDArray[np.int64], amount: Array, gross: float) -> tuple[float, float, float]:
    """Mean excess over an amount, mean cost and mean number of the patients above it."""
    if np.isinf(amount).all():
        return 0.0, 0.0, 0.0
    excess, whole = (
        gross - float(exact.total(heads, [(amount, *shares)]).mean[0]) for shares in ((1.0, 0.0), (0.0, 1.0))
    )
    return excess, whole, float(exact.n_above(heads, amount)[0][0])


def overspend_of(
    ledger: xr.Dataset, rule: ExclusionRule, scenario: Scenario, capitation: float | None = None, basis: str = "gross"
) -> xr.DataArray:
    """Retained cost / budget − 1 of every replicate, with the budget of `summarise`; dims of `retained_cost`."""
    retained = books.retained_cost(ledger, rule).transpose("replicate", "population_size", "threshold")
    cells = exactness.exact_moments(ledger, rule, scenario)
    budget = budget_of(cells, capitation, basis)
    if isinstance(rule, CarveOut) and not rule.keep_capitation:
        above = ledger["n_above"].sel(threshold=retained["threshold"]).transpose(*retained.dims).values
        people = cells.people[:, None]
        budget = budget * (people - above) / (people - cells.n_above)
    overspend = retained / budget - 1
    books.describe_variable(overspend, "1", "retained cost / budget − 1")
    return overspend.rename("overspend")
