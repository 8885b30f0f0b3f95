"""Every run checks itself: simulated mean, sd and counts against the exact ones, in standard errors."""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import special

from ... import effort, runs
from ...contracts.exclusion import ExclusionRule
from ...costs.covariance import between_years
from ...costs.moments import Exact, Layer, TotalMoments, mixture
from ...errors import SimulatorError
from ...ledger import expected_means, reaching, retained_cost, sweep
from ...scenario import Scenario
from ...terms import Array
from .sample_moments import sample_moments

logger = logging.getLogger(__name__)

FALSE_ALARM = 0.001  # chance, over all cells of a run, of an alarm where nothing is wrong
LARGEST_KURTOSIS = 1.0  # excess kurtosis of the total from which on a sample sd is not judged: its error is not normal
FEWEST_REPLICATES = 10  # below which correlations of years are not judged
FEWEST_EVENTS = 400  # patients expected above a threshold, over all replicates, below which their number is not judged


TRUSTED = 0.001  # error of a probability above which the exact engine's figure gives way to the simulated one


def doubt(error: float) -> str:
    """What every page says of chances that are not exact; empty where they are."""
    if error <= TRUSTED:
        return ""
    return f"{_STEPS} They may be wrong by {100 * error:.2g} percentage points; prefer the simulated ones."


def counted(years: int) -> str:
    """What a page says whose chances are counted among simulated years, as the exact engine cannot tell them."""
    return f"{_STEPS} They are counted among {years:,} simulated years."


_FAILED = "THIS RUN FAILED ITS OWN CHECK, do not use it"
_STEPS = (
    "The chances here are not exact: so few patients cost so nearly the same that the total moves in steps too narrow "
    "to resolve."
)


class ExactCells(NamedTuple):
    """Exact moments by place and threshold; NaN where the scenario is not known."""

    people: Array
    gross_mean: Array
    mean: Array
    sd: Array
    skewness: Array
    excess_kurtosis: Array
    n_above: Array
    n_above_sd: Array
    by_set: tuple[ExactCells, ...] = ()  # the same under each parameter set


class CellsBySet(NamedTuple):
    """Exact moments under each parameter set, and how many replicates were drawn under it."""

    gross: list[TotalMoments]
    retained: list[TotalMoments]
    above: list[TotalMoments]
    counts: Array
    people: Array

    def mixed(self) -> ExactCells:
        """Of all sets, equally likely: what the scenario expects, however many replicates were drawn."""
        own = tuple(map(self._cells, self.gross, self.retained, self.above))
        whole = self._cells(*(mixture(parts) for parts in (self.gross, self.retained, self.above)))
        return whole._replace(by_set=own)

    def _cells(self, gross: TotalMoments, retained: TotalMoments, above: TotalMoments) -> ExactCells:
        return ExactCells(self.people, gross.mean, *retained, above.mean, above.sd)

    def drawn(self, parts: list[TotalMoments]) -> tuple[list[TotalMoments], Array]:
        """The moments of the sets that were drawn, and how often."""
        return [part for part, count in zip(parts, self.counts, strict=True) if count], self.counts[self.counts > 0]


def people_of(ledger: xr.Dataset, place: str) -> Array:
    """People of each population or unit."""
    return ledger["unit_size" if place == "unit" else place].values.astype(float)


def exact_moments(ledger: xr.Dataset, rule: ExclusionRule, scenario: Scenario | None = None) -> ExactCells:
    """Exact moments of the cost that a rule keeps, at each point at which `retained_cost` gives it."""
    return moments_by_set(ledger, rule, scenario).mixed()


def moments_by_set(ledger: xr.Dataset, rule: ExclusionRule, scenario: Scenario | None = None) -> CellsBySet:
    """The same under each parameter set of the scenario."""
    place = "unit" if "population_size" not in ledger.dims else "population_size"
    people = people_of(ledger, place)
    points = sweep(ledger, rule)
    scenario = None if "pooled" in ledger.attrs else scenario or runs.scenario_of(ledger)
    if scenario is None:
        return _means_alone(ledger, rule, points, people)
    heads = runs.increments(scenario) if place == "unit" else runs.heads(scenario)[: people.size]
    found = cells_by_set(scenario, rule, points, heads, int(ledger["year"]) if "year" in ledger.coords else None)
    return found._replace(counts=_counts(ledger, len(found.gross)))


def _counts(ledger: xr.Dataset, sets: int) -> Array:
    """Replicates that were drawn under each parameter set."""
    if "parameter_draw" not in ledger.coords:
        return np.full(sets, ledger.sizes["replicate"] / sets)
    return np.bincount(ledger["parameter_draw"].values, minlength=sets).astype(float)


def _means_alone(ledger: xr.Dataset, rule: ExclusionRule, points: list[float], people: Array) -> CellsBySet:
    """The exact means that a ledger keeps of a scenario that was withheld, or nothing but NaN."""
    kept = expected_means(ledger)
    if kept is None:
        unknown = np.full((people.size, len(points)), np.nan)
        nothing = [_mean_alone(unknown)]
        return CellsBySet([_mean_alone(unknown[:, 0])], nothing, nothing, np.array([ledger.sizes["replicate"]]), people)
    retained, above = retained_cost(kept, rule), kept["n_above"].sel(threshold=points)
    gross, cost, number = (
        [_mean_alone(one) for one in mean.transpose("parameter_set", ...).values]
        for mean in (kept["gross_cost"], retained, above)
    )
    return CellsBySet(gross, cost, number, _counts(ledger, len(gross)), people)


def _mean_alone(mean: Array) -> TotalMoments:
    return TotalMoments(mean, *[np.full(mean.shape, np.nan)] * 3)


def points_of(scenario: Scenario, rule: ExclusionRule) -> list[float]:
    """The points of the threshold grid at which a rule is applied."""
    grid = scenario.threshold_labels.tolist()
    for threshold in rule.fixed_thresholds():
        if threshold not in grid and not np.isinf(threshold):
            bound = "is not on the scenario's grid"
            raise SimulatorError("threshold", threshold, bound, "add it to [simulation] thresholds")
    return list(rule.fixed_thresholds()[-1:]) or grid


def layers_at(scenario: Scenario, rule: ExclusionRule, point: float, year: int | None = None) -> list[Layer]:
    """What a rule removes at a point of the threshold grid, each layer with the money of each stream."""
    amounts = scenario.amounts if year is None else scenario.amounts_in(year)
    return [(amounts[layer.threshold], layer.excess_share, layer.whole_share) for layer in rule.layers(point)]


def removes_nothing(scenario: Scenario, rule: ExclusionRule) -> bool:
    """Whether nobody can cost more than the rule's own thresholds; a rule that is swept has none of its own."""
    fixed = rule.fixed_thresholds()
    return bool(fixed) and all(np.isinf(scenario.amounts[threshold]).all() for threshold in fixed)


def cells_of(scenario: Scenario, rule: ExclusionRule, points: list[float], heads: NDArray[np.int64]) -> ExactCells:
    """Exact moments of populations with these heads (place, segment), at these points of the threshold grid."""
    return cells_by_set(scenario, rule, points, heads).mixed()


def cells_by_set(
    scenario: Scenario, rule: ExclusionRule, points: list[float], heads: NDArray[np.int64], year: int | None = None
) -> CellsBySet:
    """The same under each parameter set, as if each were drawn once; of one of several years where it is named."""
    amounts = scenario.amounts if year is None else scenario.amounts_in(year)
    gross, retained, above = [], [], []
    for truth in scenario.cost_model.truths:
        exact = Exact(truth, year=year)
        each = effort.each(points, "exact moments")
        totals = [exact.total(heads, layers_at(scenario, rule, point, year)) for point in each]
        gross.append(exact.total(heads, []))
        retained.append(_columns(totals))
        above.append(_columns([exact.count_above(heads, amounts[point]) for point in points]))
    return CellsBySet(gross, retained, above, np.ones(len(gross)), heads.sum(axis=1).astype(float))


def _columns(by_point: list[TotalMoments]) -> TotalMoments:
    return TotalMoments(*(np.stack(moment, axis=1) for moment in zip(*by_point, strict=True)))


def compare(
    kept: Array, retained: xr.DataArray, ledger: xr.Dataset, exact: CellsBySet, place: str
) -> dict[str, tuple[tuple[str, str], Array]]:
    """exact_mean, exact_sd and the z-scores, as variables of the summary."""
    n = kept.shape[0]
    above = ledger["n_above"].sel(threshold=retained["threshold"]).transpose(*retained.dims).values
    cost, number = (sample_moments(*exact.drawn(parts)) for parts in (exact.retained, exact.above))
    with np.errstate(invalid="ignore", divide="ignore"):
        z_mean = (kept.mean(axis=0) - cost.mean) / np.sqrt(cost.mean_variance)
        variance = kept.var(axis=0, ddof=1) if n > 1 else np.full(cost.sd.shape, np.nan)
        z_sd = (variance - cost.expected_variance) / np.sqrt(cost.variance_variance)
        z_n_above = (above.mean(axis=0) - number.mean) / np.sqrt(number.mean_variance)
    found = {
        "exact_mean": cost.mean,
        "exact_sd": cost.sd,
        "z_mean": np.where(np.isfinite(cost.sd), z_mean, np.nan),
        "z_sd": np.where(cost.excess_kurtosis < LARGEST_KURTOSIS, z_sd, np.nan),
        "z_n_above": np.where(number.mean * n >= FEWEST_EVENTS, z_n_above, np.nan),
    }
    return {name: ((place, "threshold"), values) for name, values in found.items()}


def covariance_scores(
    ledger: xr.Dataset, rule: ExclusionRule, scenario: Scenario | None, moments: list[ExactCells]
) -> Array | None:
    """Fisher's z of the correlation of every two years less that of the exact one, at the largest population.

    In standard errors, shape (year, year, threshold); None where the exact one is unknown. Its law is near the normal
    one however few the replicates, which that of a covariance is not. What totals near the normal law have left of a
    fourth moment is taken to be shared as far as they are correlated.
    """
    scenario = scenario or runs.scenario_of(ledger)
    known = scenario is not None and not scenario.population.n_sets and not scenario.cost_model.has_own_shocks
    if (
        not known
        or scenario is None
        or "population_size" not in ledger.dims
        or ledger.sizes["replicate"] < FEWEST_REPLICATES
    ):
        return None
    ledger, years = reaching(ledger, rule).isel(population_size=[-1]), ledger["year"].values.tolist()
    kept = retained_cost(ledger, rule).isel(population_size=0).transpose("threshold", "replicate", "year").values
    place = int(np.flatnonzero(np.array(scenario.population_sizes) == ledger["population_size"].item())[0])
    heads, found = runs.heads(scenario)[place : place + 1], []
    for column, point in enumerate(sweep(ledger, rule)):
        layers = {year: layers_at(scenario, rule, point, year) for year in years}
        exact = between_years(scenario.cost_model, layers, heads).covariance[0]
        with np.errstate(invalid="ignore", divide="ignore"):
            tail = np.array([one.excess_kurtosis[-1, column] for one in moments])
            both = 1 + np.sqrt(np.maximum(np.outer(tail, tail), 0.0))
            apart = exact / np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
            wider = (1 + apart**2 * both) / (1 + apart**2)
            z = np.arctanh(np.corrcoef(kept[column].T)) - np.arctanh(apart)
            z *= np.sqrt((kept.shape[1] - 3) / wider)
        judged = (np.maximum.outer(tail, tail) < LARGEST_KURTOSIS) & ~np.eye(tail.size, dtype=bool)
        found.append(np.where(judged, z, np.nan))
    return np.stack(found, axis=-1)


def _normal_score(z: Array, excess_kurtosis: Array, replicates: int) -> Array:
    """What a normal number as unlikely as a variance's z-score would be: variances of few replicates are skewed."""
    n = max(replicates, 2)
    shape = 1 / np.maximum(2 / (n - 1) + np.nan_to_num(excess_kurtosis) / n, 1 / n)  # of a gamma law of that spread
    at = np.maximum(shape + z * np.sqrt(shape), 0.0)
    return np.where(z > 0, -special.ndtri(special.gammaincc(shape, at)), special.ndtri(special.gammainc(shape, at)))


def impossible(ledger: xr.Dataset) -> str:
    """What no draw can have come to: costs, counts or factors below 0 or without an end; empty where there are none."""
    for name, values in ledger.data_vars.items():
        if not {"replicate", "parameter_set"} & set(values.dims):
            continue
        least = -np.inf if "pooled" in ledger.attrs else 0.0  # a difference of years may be below 0
        wrong = ~(np.isfinite(values.values) & (values.values >= least))
        if wrong.any():
            return f"{name} holds {int(wrong.sum()):,} of {wrong.size:,} figures that are below 0 or no number"
    return ""


def verdict(summary: xr.Dataset, exact: ExactCells, counts: Array, wrong: str = "") -> dict[str, str | int | float]:
    """The run's own check in figures and in a sentence; `wrong` is what is impossible about its ledger."""
    if wrong:
        sentence = f"{_FAILED}: self-check: {wrong}"
        logger.error(sentence)
        return {"check": "failed", "check_sentence": sentence}
    # a mean of costs without a third moment is too slow to become normal for a bound this far out
    z_mean = np.where(np.isfinite(exact.skewness), summary["z_mean"].values, np.nan)
    z_sd = _normal_score(summary["z_sd"].values, exact.excess_kurtosis, int(summary.attrs["replicates"]))
    z_others = [z_sd.ravel(), summary["z_n_above"].values.ravel()]
    if "z_covariance" in summary:  # each once
        z_others.append(summary["z_covariance"].values[np.triu_indices(summary.sizes["year"], 1)].ravel())
    scores = np.abs(np.concatenate([z_mean.ravel(), *z_others]))
    judged = scores[np.isfinite(scores)]
    if not judged.size:
        sentence = "self-check: no cell could be judged (infinite moments, or observed costs withheld)"
        return {"check": "not judged", "check_sentence": sentence}
    alarm = -float(special.ndtri(FALSE_ALARM / 2 / judged.size))
    largest = float(judged.max())
    passed = largest <= alarm
    left_out = int(np.isnan(summary["z_sd"].values).sum()), int(np.isnan(z_mean).sum())
    sentence = f"self-check against the exact engine: {judged.size} cells, largest |z| {largest:.1f}"
    sentence += f", alarm above {alarm:.1f}"
    if any(left_out):
        sentence += f"; not judged: {left_out[0]} sd (excess kurtosis above {LARGEST_KURTOSIS:g})"
        sentence += f", {left_out[1]} means (no third moment)" if left_out[1] else ""
    if counts.size > 1:
        undrawn = int((counts == 0).sum())
        sentence += f"; {counts.size} parameter sets, given which the errors are"
        sentence += f" ({undrawn} of them not drawn)" if undrawn else ""
    if not passed:
        sentence = f"{_FAILED}: {sentence}"
        logger.error(sentence)
    told: dict[str, str | int | float] = {"check": "passed" if passed else "failed", "check_sentence": sentence}
    return told | {"check_cells": judged.size, "check_largest_z": largest, "check_alarm": alarm}
