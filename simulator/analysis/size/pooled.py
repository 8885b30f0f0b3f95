"""How large a population must be where several years are settled together, without simulation."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import special

from ... import effort, runs
from ...contracts.exclusion import Cap, ExclusionRule, as_attribute
from ...costs.covariance import expected_on_paths
from ...ledger import declared
from ...ledger.variables import describe_threshold
from ...scenario import Scenario
from ...terms import Array
from ..statistics.exact_years import Pooled, check_weights, contract_years
from ..statistics.self_check import layers_at, points_of
from ..statistics.statistic import STATISTICS
from .grid import crossing
from .targets import target_of

_GRID = 48


def pooled_minimum(
    scenario: Scenario,
    years: int,
    *,
    at_most: float,
    margin: float,
    rule: ExclusionRule = Cap(),  # noqa: B008 - frozen
    largest: int | None = None,
) -> xr.Dataset:
    """Smallest population from which on the cost of contract years 1 to `years` together seldom exceeds its budget.

    Parameters
    ----------
    scenario : Scenario
        With [years].
    years : int
        How many are settled together; their budget is their expected cost.
    at_most : float
        The most that the chance of an overspend above `margin` may be.
    margin : float
        A fraction of the budget of all these years.
    rule : exclusion rule
        Swept over the scenario's thresholds unless it fixes its own.
    largest : int, optional
        End of the grid of sizes; the scenario's largest.

    Returns
    -------
    xarray.Dataset
        As `minimum_population` with method "exact", interpolated between sizes that are 15% apart or less.

    Raises
    ------
    SimulatorError
        Without [years], where these have fewer contract years, or there is no exact distribution.
    """
    target = target_of("p_overspend", at_most, margin=margin)
    given = contract_years(scenario, years)
    low, high = min(1_000, scenario.population_sizes[0]), largest or scenario.population_sizes[-1]
    sizes = np.unique(np.round(np.geomspace(low, max(high, low + 1), _GRID)).astype(int))
    asked, points = scenario.resized(tuple(sizes.tolist())), points_of(scenario, rule)
    weights = check_weights(asked, given)
    pooled = Pooled(asked, rule, points, weights)
    each = effort.each(range(len(points)), "exact distributions")
    found = [_smallest(pooled, column, sizes, margin, at_most) for column in each]
    alone = [_alone(asked, rule, point, weights, margin) for point in points]
    smallest = np.where(np.array(alone) > at_most, np.inf, found)
    answer = xr.Dataset(
        {
            "minimum_population": ("threshold", smallest),
            "minimum_population_interval": (("threshold", "bound"), np.stack([smallest, smallest], axis=1)),
            "exact_minimum_population": ("threshold", smallest),
            "systematic_alone": ("threshold", alone),
        },
        {"threshold": points, "bound": ["lower", "upper"]},
    )
    known = {"statistic": "p_overspend", "at_most": at_most, "level": margin, "asked": target.sentence()}
    known |= {"smallest": int(low), "largest": int(high), "method": "exact", "years_pooled": years}
    describe_threshold(answer, scenario.simulation.thresholds, scenario.currency)
    answer = answer.assign_attrs(runs.exact_origin(scenario) | as_attribute(rule) | known)
    return declared(answer, "minimum", asked=target.sentence(), basis="exact")


def _smallest(pooled: Pooled, column: int, sizes: Array, margin: float, at_most: float) -> float:
    """Size from which on the chance is met: from a first guess by the normal law outward along the grid."""
    guess = special.ndtr(-margin * pooled.mean[:, column] / pooled.sd[:, column])
    known: dict[int, float] = {}

    def chance(place: int) -> float:
        if place not in known:
            paid = float(pooled.mean[place, column])
            known[place] = float(1 - pooled.law((place, column)).cdf((1 + margin) * paid))
        return known[place]

    met = np.flatnonzero(guess <= at_most)
    place = int(met[0]) if met.size else sizes.size - 1
    while place < sizes.size - 1 and chance(place) > at_most:
        place += 1
    while place > 0 and chance(place) <= at_most:
        place -= 1
    if chance(place) <= at_most:
        return 0.0
    if place == sizes.size - 1:
        return float("inf")
    both = np.array([chance(place), chance(place + 1)])
    return crossing(sizes[place : place + 2].astype(float), both, at_most, STATISTICS["p_overspend"].scale, 1e-12)


def _alone(scenario: Scenario, rule: ExclusionRule, point: float, weights: dict[int, float], margin: float) -> float:
    """The chance in a population without end, where shocks alone are left."""
    row, totals = runs.heads(scenario)[-1], []
    for truth in scenario.truths:
        layers = {year: layers_at(scenario, rule, point, year) for year in weights}
        totals.append(np.sum(list(expected_on_paths(truth.cost_model, layers, row).values()), axis=0))
    budget = float(np.mean([total.mean() for total in totals]))
    return float(np.mean([(total > (1 + margin) * budget * (1 + 1e-9)).mean() for total in totals]))
