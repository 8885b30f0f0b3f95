"""Infinite-population limit: the risk that is left once luck has averaged out and only common shocks remain.

Given the shocks, the cost a head of an ever larger population tends to its mean. So a ledger of it needs no draws: one
replicate for each of many equally likely years, each with the exact mean.
"""

import math

import numpy as np
import scipy
import xarray as xr
from scipy import special

from ... import effort, runs
from ... import ledger as books
from ...contracts.budget import PerHead
from ...contracts.exclusion import ExclusionRule
from ...costs.model import head_counts
from ...costs.moments import Exact
from ...costs.shock_nodes import QUASI_RANDOM_POINTS, ShockNodes, quasi_random_uniforms
from ...costs.shocks import SHOCK_BOUND, JointShocks, Shock
from ...scenario import Scenario
from ...terms import Array
from ..statistics.summary import kept_and_paid

ENDLESS = 1_000_000_000  # people of the population that stands for one without end: luck moves its cost by a millionth
_POINTS = 20_000
_POINTS_OF_SETS = 1 << 16  # quasi-random points of all parameter sets together
_FEWEST_OF_A_SET = 1 << 11
_GOLDEN = (math.sqrt(5) - 1) / 2
_NODES = 17  # of the polynomial in the shock's logarithm that carries the exact means


def equally_likely(joint: JointShocks, part: int = 0, parts: int = 1) -> tuple[Array, Array]:
    """Factors of streams and of shocks in equally likely years; those of streams have mean 1."""
    if not joint.shocks:
        return np.ones((1, joint.hits.shape[1])), np.empty((1, 0))
    yearly = [shock for shock in joint.shocks if isinstance(shock, Shock)]
    if len(yearly) == len(joint.shocks) and (joint.hits == joint.hits[0]).all() and not joint.correlated.any():
        sigma = math.sqrt(sum(shock.sigma**2 for shock in yearly))
        low, high = special.ndtr(-SHOCK_BOUND), special.ndtr(SHOCK_BOUND)
        score = special.ndtri(low + (np.arange(_POINTS) + 0.5) / _POINTS * (high - low))
        factor = np.exp(sigma * score)
        factor /= factor.mean()
        by_shock = np.stack([factor, *[np.ones(_POINTS)] * (len(yearly) - 1)], axis=1)
        # where each part begins among ascending years: which years a set gets must not go with its number
        here = slice(np.argsort(np.arange(parts) * _GOLDEN % 1)[part], None, parts)
        return np.where(joint.hits[0], factor[here, None], 1.0), by_shock[here]
    points = max(_FEWEST_OF_A_SET, 1 << round(math.log2(_POINTS_OF_SETS / parts)))  # a power of 2
    points = QUASI_RANDOM_POINTS if parts == 1 else points
    by_shock = joint.factors(quasi_random_uniforms(len(joint.shocks), points, part))
    by_stream = joint.by_stream(by_shock)
    return by_stream / by_stream.mean(axis=0), by_shock


def limit_ledger(scenario: Scenario, fewest: int = 1) -> xr.Dataset:
    """A ledger of a population so large that only the common shocks still move its cost a head."""
    asked = scenario.resized((ENDLESS,))
    return _over_sets(asked, fewest) if asked.population.n_sets else _limit_of(asked, fewest)


def _over_sets(asked: Scenario, fewest: int) -> xr.Dataset:
    """Under every parameter set, each with its share of the equally likely shocks."""
    n = asked.population.n_sets
    parts = []
    for b, truth in enumerate(asked.truths):
        part = _limit_of(truth, math.ceil(fewest / n), b, n)
        parts.append(part.assign_coords(parameter_draw=("replicate", np.full(part.sizes["replicate"], b))))
    joined = xr.concat(
        parts, dim="replicate", data_vars="minimal", coords="minimal", compat="override", join="override",
        combine_attrs="override",
    )  # fmt: skip
    known = {"scenario": runs.kept_json(asked), "scenario_id": asked.scenario_id}
    return joined.assign_coords(replicate=np.arange(joined.sizes["replicate"])).assign_attrs(known)


def _limit_of(asked: Scenario, fewest: int, part: int = 0, parts: int = 1) -> xr.Dataset:
    model = asked.cost_model
    factors, by_shock = equally_likely(model.joint_shocks, part, parts)
    times = math.ceil(fewest / len(factors))
    factors, by_shock = np.tile(factors, (times, 1)), np.tile(by_shock, (times, 1))
    arrays, years = _means_given(asked, factors), factors.shape[0]
    segments = [segment.name for segment in asked.population.segments]
    coordinates = {"replicate": np.arange(years), "population_size": np.array([ENDLESS])}
    coordinates |= {"threshold": asked.threshold_labels, "segment": np.array(segments)}
    if model.shocks:
        coordinates["shock"] = np.array([shock.name for shock in model.shocks])
        arrays["shock_factor"] = by_shock
    if model.sampled:
        arrays["members"] = np.tile(head_counts(ENDLESS, model.shares), (years, 1, 1))
    arrays["threshold_amount"] = asked.threshold_amounts[: len(segments)]
    arrays["cut"] = asked.cuts[: len(segments)]
    attrs: dict[str, str | int | float] = {"title": asked.title, "scenario": runs.kept_json(asked)}
    attrs |= {"scenario_id": asked.scenario_id, "seed": asked.simulation.seed, "method": "exact"}
    ledger = books.assemble(arrays, coordinates, attrs, asked.currency)
    books.describe_threshold(ledger, asked.simulation.thresholds, asked.currency)
    return ledger


def _means_given(scenario: Scenario, factors: Array) -> dict[str, Array]:
    """Exact means given the streams' factors (year, stream), in the shapes of a ledger."""
    model, amounts = scenario.cost_model, scenario.threshold_amounts
    logs = np.log(factors)
    low, high = logs.min(), logs.max()
    at = (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES)
    at = at if high > low else np.zeros(1)
    alike = np.repeat(np.exp(at)[:, None], logs.shape[1], axis=1)
    exact = Exact(model, ShockNodes(alike, np.full(at.size, 1 / at.size), False))
    gross = exact.mean_per_head([])[:, 0] / alike[0]
    # a person is of one segment and may need any rare service
    people = np.array([*runs.heads(scenario)[0], *[ENDLESS] * len(model.population.rare_services)], float)
    paid = np.where([stream.in_scope for stream in model.streams], people, 0.0)
    above = np.array([_above_per_head(exact, amount, alike, gross) for amount in effort.each(amounts.T, "exact means")])
    given = sum(paid[s] * _carried(at, above[:, :, s], logs[:, s]) for s in range(people.size))
    excess, whole, count = np.moveaxis(np.asarray(given), 2, 0)[:, :, None]
    named = {
        "gross_cost": (factors @ (paid * gross))[:, None], "excess_cost": excess, "above_cost": whole, "n_above": count,
    }  # fmt: skip
    if any(not service.in_scope for service in model.population.rare_services):
        named["excluded_service_cost"] = (factors @ ((people - paid) * gross))[:, None]
    return named


def _above_per_head(exact: Exact, amount: Array, factors: Array, gross: Array) -> Array:
    """Mean excess a head over an amount, cost and number of the patients above, each (stream, node); stacked first."""
    if np.isinf(amount).all():
        return np.zeros((3, *factors.T.shape))
    excess, whole = (factors.T * gross[:, None] - exact.mean_per_head([(amount, *s)]) for s in ((1.0, 0.0), (0.0, 1.0)))
    return np.stack([excess, whole, exact.above_per_head(amount)])


def _carried(nodes: Array, values: Array, points: Array) -> Array:
    """Values (…, node) carried to points of the factor's logarithm by a polynomial, shape (point, …)."""
    if nodes.size == 1:
        return np.repeat(np.asarray(values[..., 0])[None], points.size, axis=0)
    return np.asarray(scipy.interpolate.BarycentricInterpolator(nodes, np.moveaxis(values, -1, 0))(points))


def overspend_of(
    ledger: xr.Dataset,
    rule: ExclusionRule,
    scenario: Scenario,
    budget: PerHead = PerHead(),  # noqa: B008 - frozen
) -> xr.DataArray:
    """Retained cost / budget − 1 of every replicate, with the budget of `summarise`; dims of `retained_cost`."""
    _, retained, _, paid = kept_and_paid(ledger, rule, budget, scenario)
    overspend = retained / paid - 1
    books.describe(overspend, books.DERIVED["overspend"])
    return overspend.rename("overspend")
