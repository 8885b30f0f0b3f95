"""What several years imply: who is costly again, what pooling is worth, what a cohort costs."""

from __future__ import annotations

import numpy as np
import xarray as xr

from .. import runs
from ..costs.chain import Flow, YearlyModel, cut, ranks
from ..costs.covariance import of_places
from ..costs.persistence import slab_moments
from ..ledger.variables import declared, describe_threshold
from ..scenario import Scenario
from ..terms import Array

TOPS = (0.01, 0.05, 0.10, 0.20)
BANDS = (0.01, 0.05, 0.10, 0.20, 0.50, 1.0)
PUBLISHED_AGAIN = {
    (1, 0.10): (0.434, 0.434, "US insured under 65: Hirth 2015, PMID 25701579"),
    (5, 0.10): (0.344, 0.344, "US insured under 65: Hirth 2015, PMID 25701579"),
    (1, 0.05): (0.30, 0.34, "US, 1996-97 and 2009-10: Monheit 2003, PMID 12865727; Cohen"),
    (1, 0.01): (0.14, 0.25, "US, by year: AHRQ statistical briefs 191, 309, 354, 481"),
}
"""Again in the costliest share, by years on and that share: lowest and highest published figure, and where."""
_LEAST_YEARS = 5


def persistence(scenario: Scenario) -> xr.Dataset:
    """What the years of a scenario imply for persons and for the population's total, without simulation.

    Parameters
    ----------
    scenario : Scenario
        With [years]; of parameter sets, the central figures. Shocks and rare services are left out.

    Returns
    -------
    xarray.Dataset
        ``again_in_top`` and ``published_again`` (lag, top), ``first_year_mean`` and ``next_year_mean`` (top), multiples
        of the mean of all; ``correlation`` of a person and ``total_correlation`` of the population's cost
        (lag, threshold); ``band_moves`` (band, band_next); ``pooled_worth`` (years_pooled, threshold): how many
        independent years the mean of so many is worth, mean of Var Sₜ / Var of their mean. Where the population has a
        cohort, by year from the one it is chosen in: ``cohort_cost`` a head, ``cohort_share_of_cost``,
        ``cohort_members``, ``cohort_change`` since then, and its sd by luck.

    Raises
    ------
    SimulatorError
        Without [years].
    """
    model, population, years = scenario.cost_model.by_year, scenario.population, scenario.years
    assert years is not None
    flow = Flow(population, years, model.classes)
    lags = range(1, max(len(model.years), _LEAST_YEARS + 1))
    tops = {top: model.classes.below(ranks(population, top)) for top in BANDS[:-1]}
    whole = _moments(scenario, flow)
    answer = xr.Dataset(coords={"lag": list(lags), "top": list(TOPS), "threshold": scenario.threshold_labels})
    answer["again_in_top"] = ("lag", "top"), [[flow.again(tops[top], lag) for top in TOPS] for lag in lags]
    answer["published_again"] = ("lag", "top", "bound"), _published(list(lags))
    answer = answer.assign_coords(bound=["lower", "upper"])
    average = float((flow.law * whole[1]).sum())
    for name, place in (("first_year_mean", 0), ("next_year_mean", 1)):
        answer[name] = "top", [_cohort_means(scenario, flow, top)[place] / average for top in TOPS]
    edges = np.stack([np.zeros_like(flow.law), *tops.values(), np.ones_like(flow.law)])
    bands = np.diff(edges, axis=0)
    later = np.stack([flow.on(flow.law * band, 1) for band in bands])
    names = [f"{low:.0%} to {high:.0%}" for low, high in zip((0.0, *BANDS), BANDS, strict=False)]
    chances = np.einsum("ahc,bhc->ab", later, bands) / later.sum(axis=(1, 2))[:, None]
    answer["band_moves"] = ("band", "band_next"), chances
    answer = answer.assign_coords(band=names, band_next=names)
    capped = [_moments(scenario, flow, column) for column in scenario.threshold_amounts.T]
    found = [[flow.correlation(mean, square, lag) for _, mean, square in capped] for lag in lags]
    answer["correlation"] = ("lag", "threshold"), found
    pools = np.arange(1, max(years.contract, _LEAST_YEARS) + 1)
    covariances = [_covariances(scenario, model, moments, max(lags[-1] + 1, pools[-1])) for moments in capped]
    totals = [c[0, 1:] / np.sqrt(c[0, 0] * np.diag(c)[1:]) for c in covariances]
    answer["total_correlation"] = ("threshold", "lag"), np.stack(totals)[:, : len(lags)]
    worth = [[np.diag(c)[:k].mean() / c[:k, :k].mean() for k in pools] for c in covariances]
    answer["pooled_worth"] = ("threshold", "years_pooled"), worth
    answer = answer.assign_coords(years_pooled=pools)
    if population.cohort is not None:
        answer = answer.merge(_cohort(scenario, model, flow)).assign_attrs(cohort_top=population.cohort.chosen.top)
    told = runs.exact_origin(scenario) | {"membership": population.membership}
    describe_threshold(answer, scenario.simulation.thresholds, scenario.currency)
    return declared(answer.assign_attrs(told), "years", currency=scenario.currency)


def _published(lags: list[int]) -> Array:
    unknown = (np.nan, np.nan, "")
    return np.array([[PUBLISHED_AGAIN.get((lag, top), unknown)[:2] for top in TOPS] for lag in lags], float)


def _moments(scenario: Scenario, flow: Flow, caps: Array | None = None, least: float = -1.0) -> Array:
    """E[min(X, cap)ᵏ; X > least], k = 0 … 2, of a person by state; shape (3, segment, class)."""
    segments, slabs = scenario.population.segments, flow.classes.slabs
    limits = np.full(len(segments), np.inf) if caps is None else caps
    found = [slab_moments(s, slabs, float(cap), least) for s, cap in zip(segments, limits, strict=False)]
    return np.asarray(np.stack(found, axis=1) @ flow.classes.own)


def _cohort_means(scenario: Scenario, flow: Flow, top: float) -> tuple[float, float]:
    """Mean cost of the costliest people in their year and in the next, of those still there."""
    inside, cost, _ = _moments(scenario, flow, least=cut(scenario.population, top))
    later = flow.on(flow.law * inside, 1)
    _, mean, _ = _moments(scenario, flow)
    return float((flow.law * cost).sum() / (flow.law * inside).sum()), float((later * mean).sum() / later.sum())


def _covariances(scenario: Scenario, model: YearlyModel, moments: Array, years: int) -> Array:
    """Of the total's cost a head, between years from year 1 on, luck only; shape (year, year)."""
    _, mean, square = moments.reshape(3, -1)
    units, segments = scenario.population.units, model.start.shape[1] // model.n_classes
    members = np.array([unit.members for unit in units] if len(model.start) > 1 else [1.0], float)
    found, per_head = np.zeros((years, years)), dict.fromkeys(range(1, years + 1), mean[:, None])
    for unit, weight in enumerate(members / members.sum()):
        mix = model.start[unit].reshape(segments, -1).sum(axis=1)
        sampled = model.membership == "sampled"
        mixes, counts = (mix[None], np.array([weight])) if sampled else (np.eye(segments), weight * mix)
        for year in range(1, years + 1):
            law = mixes @ model.laws_in(year)[unit]
            found[year - 1, year - 1] += counts @ (law @ square - (law @ mean) ** 2)
        for (one, other), covariance in of_places(model, unit, mixes, counts, per_head):
            found[one - 1, other - 1] += float(covariance[0])
    return found + np.triu(found, 1).T


def _cohort(scenario: Scenario, model: YearlyModel, flow: Flow) -> xr.Dataset:
    """What a closed cohort costs, by year from the one it is chosen in."""
    cohort = scenario.population.cohort
    assert cohort is not None
    chosen, first = cohort.chosen, model.years.index(cohort.chosen.in_year)
    least, years = cut(scenario.population, chosen.top), model.years[first:]
    trend = model.trend[first:, : flow.law.size].reshape(len(years), *flow.law.shape)
    inside, _, _ = _moments(scenario, flow, least=least)
    whole, above = _moments(scenario, flow), _moments(scenario, flow, least=least)
    start = flow.law * inside
    left = [flow.on(start, k) for k in range(len(years))]
    members = np.array([part.sum() for part in left])
    costs = np.array([(part * whole[1] * factor).sum() for part, factor in zip(left, trend, strict=True)])
    costs[0] = (flow.law * above[1] * trend[0]).sum()
    everybody = np.array([(flow.law * whole[1] * factor).sum() for factor in trend])
    change = costs / members / (costs[0] / members[0]) - 1
    spread = np.zeros(len(years))
    for k in range(1, len(years)):
        # the change as a function of sums over persons: their cost and number in both years
        own, back = trend[k] * whole[1], trend[0] * above[1]
        one = np.ones_like(flow.law)
        later = {name: flow.on(flow.law * part, k) for name, part in (("there", inside), ("cost", back))}
        a, m, b, n = costs[k], members[k], costs[0], members[0]
        squares = (later["there"] * (trend[k] ** 2 * whole[2] / a**2 - 2 * own / a / m + one / m**2)).sum()
        squares += (flow.law * (trend[0] ** 2 * above[2] / b**2 - 2 * back / b / n + inside / n**2)).sum()
        crossed = (later["there"] * (own / a - one / m) / n - later["cost"] * (own / a - one / m) / b).sum()
        spread[k] = (1 + change[k]) * np.sqrt(squares + 2 * crossed)
    sizes = np.array(scenario.population_sizes, float)
    return xr.Dataset(
        {
            "cohort_cut": ((), least), "cohort_cost": ("year", costs / members),
            "cohort_share_of_cost": ("year", costs / everybody), "cohort_members": ("year", members / members[0]),
            "cohort_change": ("year", change),
            "cohort_change_sd": (("year", "population_size"), spread[:, None] / np.sqrt(sizes)),
        },
        {"year": list(years), "population_size": list(scenario.population_sizes)},
    )  # fmt: skip
