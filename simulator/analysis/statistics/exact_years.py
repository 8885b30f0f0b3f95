"""Several years of partly the same people without draws: covariances between years, and the law of any sum of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ... import effort, runs
from ...contracts.exclusion import Cap, CarveOut, ExclusionRule
from ...costs.covariance import between_years
from ...costs.model import CostModel
from ...engine.law import Law
from ...engine.mixed_law import mixed
from ...engine.transforms import Rule, Step
from ...engine.years_law import YearsTotal
from ...errors import SimulatorError
from ...ledger import declared
from ...ledger.variables import describe_threshold
from ...scenario import Scenario
from ...terms import Array
from ..checks import checked_weights
from .self_check import layers_at, points_of

_NEAR = 0.01
"""Share of the weights' whole cost below which their total is near 0."""


def year_covariance(scenario: Scenario, rule: ExclusionRule = Cap()) -> xr.Dataset:  # noqa: B008 - frozen
    """Covariances between the years' totals of the cost that an exclusion rule keeps, without simulation.

    Parameters
    ----------
    scenario : Scenario
        With [years].
    rule : ExclusionRule
        Applied at each threshold of the grid, or at its own.

    Returns
    -------
    xarray.Dataset
        ``covariance`` (population_size, threshold, year, year_other), money squared; the variance where both years are
        the same. ``covariance_error``: 0 without shocks, which are averaged over quasi-random paths.

    Raises
    ------
    SimulatorError
        Without [years], or where shocks are each unit's own.
    """
    points, years = points_of(scenario, rule), _years(scenario)
    found = [_moments(scenario, rule, point, years) for point in effort.each(points, "covariances")]
    dims = "population_size", "threshold", "year", "year_other"
    answer = xr.Dataset(
        {
            "covariance": (dims, np.stack([covariance for _, covariance, _ in found], axis=1)),
            "covariance_error": (dims, np.stack([error for _, _, error in found], axis=1)),
        },
        {"population_size": list(scenario.population_sizes), "threshold": points, "year": years, "year_other": years},
        runs.exact_origin(scenario),
    )
    describe_threshold(answer, scenario.simulation.thresholds, scenario.currency)
    return declared(answer, "year_covariance", currency=scenario.currency)


def check_weights(scenario: Scenario, weights: Mapping[int, float]) -> dict[int, float]:
    """Weights by year, in order; refused where the scenario has no such year."""
    years = _years(scenario)
    for year in checked_weights("pool_years", weights):
        if year not in years:
            bound = "is no year of the scenario"
            raise SimulatorError("pool_years", year, bound, f"choose from {years[0]} to {years[-1]}")
    if not any(weights.values()):
        raise SimulatorError("pool_years", None, "has no weight but 0", "give the years' weights: {1: 1, 2: 1}")
    return {year: float(weights[year]) for year in years if weights.get(year)}


def contract_years(scenario: Scenario, pool: int) -> dict[int, float]:
    """Weights of contract years 1 to `pool` together; refused where there are fewer."""
    most = scenario.years.contract if scenario.years else 0
    if not 1 <= pool <= most:
        bound = f"is not from 1 to the number of contract years, {most}"
        raise SimulatorError("pool", pool, bound, "give [years] with more, or pool fewer")
    return dict.fromkeys(range(1, pool + 1), 1.0)


class Pooled:
    """The law of a weighted sum of years at every size and point of the grid, each worked out when it is asked for."""

    def __init__(
        self, scenario: Scenario, rule: ExclusionRule, points: Sequence[float], weights: dict[int, float]
    ) -> None:
        if isinstance(rule, CarveOut) and not rule.keep_capitation:
            bound = "takes the capitation of patients along, whose number has no exact law over years"
            raise SimulatorError("rule", None, bound, "keep the capitation, or draw instead")
        self._scenario, self._rule, self._weights = scenario, rule, weights
        years, own = list(weights), np.array(list(weights.values()))
        self._sets = [[_under(truth, scenario, rule, point, years) for truth in scenario.truths] for point in points]
        self._totals = [
            [YearsTotal(truth.cost_model, weights, _rules(scenario, rule, point, years)) for truth in scenario.truths]
            for point in points
        ]
        self._means = np.array([[mean @ own for mean, _, _ in sets] for sets in self._sets])
        self._sds = np.array([[np.sqrt(own @ one @ own) for _, one, _ in sets] for sets in self._sets])
        self.mean = self._means.mean(axis=1).T
        self.sd = np.sqrt((self._sds**2).mean(axis=1) + self._means.var(axis=1)).T
        """Both of shape (population, threshold)."""
        self.heads = runs.heads(scenario)
        whole = np.array([[mean.mean(axis=0) for mean, _, _ in sets] for sets in self._sets]).mean(axis=(0, 1))
        self.is_near_0 = abs(whole @ own) < _NEAR * (whole @ np.abs(own))
        """Whether the total's mean is so near 0 that nothing is a share of it."""

    def law(self, at: tuple[int, int]) -> Law:
        """At a size and a point of the grid."""
        place, column = at
        if not np.isfinite(self.sd[at]):
            bound = "leaves an infinite variance, for which there is no series"
            raise SimulatorError("threshold", None, bound, "use finite thresholds")
        model = self._scenario.cost_model
        apart = len(model.by_year.start) > 1
        heads = model.unit_heads if apart else self.heads[place]
        found = [
            total.law(heads, float(mean[place]), float(sd[place]))
            for total, mean, sd in zip(self._totals[column], self._means[column], self._sds[column], strict=True)
        ]
        return found[0] if len(found) == 1 else mixed(found)


def _years(scenario: Scenario) -> list[int]:
    model = scenario.cost_model.by_year
    if np.ptp(model.growth):
        raise SimulatorError("years.growth", None, "has no exact answer yet", "leave it out")
    return list(model.years)


def _moments(scenario: Scenario, rule: ExclusionRule, point: float, years: Sequence[int]) -> tuple[Array, Array, Array]:
    """Means (population, year), covariances and their errors, of an equal mixture of parameter sets."""
    found = [_under(truth, scenario, rule, point, years) for truth in scenario.truths]
    means, covariances, errors = (np.stack(part) for part in zip(*found, strict=True))
    apart = means - means.mean(axis=0)
    between = np.einsum("spy,spz->pyz", apart, apart) / len(means)
    return means.mean(axis=0), covariances.mean(axis=0) + between, errors.mean(axis=0)


def _under(
    truth: Scenario, scenario: Scenario, rule: ExclusionRule, point: float, years: Sequence[int]
) -> tuple[Array, Array, Array]:
    heads: NDArray[np.int64] = runs.heads(scenario)
    layers = {year: layers_at(scenario, rule, point, year) for year in years}
    between = between_years(truth.cost_model, layers, heads)
    return between.mean, between.covariance, between.error


def _rules(scenario: Scenario, rule: ExclusionRule, point: float, years: Sequence[int]) -> dict[int, Rule]:
    """The rule as steps of each segment and rare service, by year."""
    model: CostModel = scenario.cost_model
    origin = np.append(0, np.cumsum(model.by_year.repeats)[:-1])

    def steps(layers: Sequence[tuple[Array, float, float]], stream: int) -> tuple[Step, ...]:
        return tuple(sorted(Step(float(at[stream]), e, w) for at, e, w in layers if np.isfinite(at[stream])))

    layers = {year: layers_at(scenario, rule, point, year) for year in years}
    return {year: tuple(steps(own, int(stream)) for stream in origin) for year, own in layers.items()}


def by_year(scenario: Scenario, answer_of: Callable[[Mapping[int, float] | None], xr.Dataset]) -> xr.Dataset:
    """Answers of all years; year 1's for those whose laws are the same."""
    first = answer_of({1: 1.0})
    years = effort.each(_years(scenario), "exact distributions by year")
    found = [first if _alike(scenario, year) else answer_of({year: 1.0}) for year in years]
    return xr.concat(found, xr.DataArray(_years(scenario), dims="year", name="year")).assign_attrs(first.attrs)


def _alike(scenario: Scenario, year: int) -> bool:
    """Whether a year has the laws of year 1."""
    model, at = scenario.cost_model.by_year, scenario.cost_model.by_year.years.index
    same = np.array_equal(scenario.amounts_by_year[at(year)], scenario.amounts_by_year[at(1)])
    walks = any(getattr(shock, "persistence", None) == "walk" for shock in scenario.shocks)
    still = np.allclose(model.laws_in(year), model.laws_in(1), rtol=0, atol=1e-14) or model.membership == "sampled"
    return bool(
        year == 1 or (same and still and not walks and np.array_equal(model.trend[at(year)], model.trend[at(1)]))
    )
