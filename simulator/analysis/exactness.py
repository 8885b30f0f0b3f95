"""Every run checks itself: simulated mean, sd and counts against the exact ones, in standard errors."""

from __future__ import annotations

import logging
import math
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import special

from .. import runs
from ..contracts.exclusion import ExclusionRule
from ..costs.moments import Exact
from ..ledger import sweep
from ..scenario import Scenario

logger = logging.getLogger(__name__)
Array = NDArray[np.float64]

FALSE_ALARM = 0.001
"""Chance, over all cells of a run, of an alarm where nothing is wrong."""
LARGEST_KURTOSIS = 1.0
"""Excess kurtosis of the total from which on a sample sd is not judged: its error is far from normal."""
FEWEST_EVENTS = 400
"""Patients expected above a threshold, over all replicates, below which their number is not judged."""


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


def people_of(ledger: xr.Dataset, place: str) -> Array:
    """People of each population or unit."""
    return ledger["unit_size" if place == "unit" else place].values.astype(float)


def exact_moments(ledger: xr.Dataset, rule: ExclusionRule, scenario: Scenario | None = None) -> ExactCells:
    """Exact moments of the cost that a rule keeps, at each point at which `retained_cost` gives it."""
    place = "unit" if "population_size" not in ledger.dims else "population_size"
    people = people_of(ledger, place)
    points = sweep(ledger, rule)
    scenario = scenario or runs.scenario_of(ledger)
    if scenario is None:
        unknown = np.full((people.size, len(points)), np.nan)
        return ExactCells(people, np.full(people.size, np.nan), *[unknown] * 6)
    heads = runs.increments(scenario) if place == "unit" else runs.heads(scenario)[: people.size]
    return cells_of(scenario, rule, points, heads)


def amounts_of(scenario: Scenario) -> dict[float, Array]:
    """Money of each stream by the threshold's label on the grid."""
    return dict(zip(scenario.threshold_labels.tolist(), scenario.threshold_amounts.T, strict=True))


def cells_of(scenario: Scenario, rule: ExclusionRule, points: list[float], heads: NDArray[np.int64]) -> ExactCells:
    """Exact moments of populations with these heads (place, segment), at these points of the threshold grid."""
    amounts = amounts_of(scenario)
    exact = Exact(scenario.cost_model)
    totals = []
    for point in points:
        layers = [(amounts[layer.threshold], layer.excess_share, layer.whole_share) for layer in rule.layers(point)]
        totals.append(exact.total(heads, layers))
    above = [exact.n_above(heads, amounts[point]) for point in points]
    return ExactCells(
        heads.sum(axis=1).astype(float),
        exact.total(heads, []).mean,
        np.stack([total.mean for total in totals], axis=1),
        np.stack([total.sd for total in totals], axis=1),
        np.stack([total.skewness for total in totals], axis=1),
        np.stack([total.excess_kurtosis for total in totals], axis=1),
        np.stack([mean for mean, _ in above], axis=1),
        np.stack([sd for _, sd in above], axis=1),
    )


def compare(
    kept: Array, retained: xr.DataArray, ledger: xr.Dataset, exact: ExactCells, place: str
) -> dict[str, tuple[tuple[str, str], Array]]:
    """exact_mean, exact_sd and the z-scores, as variables of the summary."""
    n = kept.shape[0]
    above = ledger["n_above"].sel(threshold=retained["threshold"]).transpose(*retained.dims).values
    with np.errstate(invalid="ignore", divide="ignore"):
        z_mean = (kept.mean(axis=0) - exact.mean) / (exact.sd / math.sqrt(n))
        variance = kept.var(axis=0, ddof=1) if n > 1 else np.full(exact.sd.shape, np.nan)
        z_sd = (variance / exact.sd**2 - 1) / np.sqrt(exact.excess_kurtosis / n + 2 / max(n - 1, 1))
        z_n_above = (above.mean(axis=0) - exact.n_above) / (exact.n_above_sd / math.sqrt(n))
    found = {
        "exact_mean": exact.mean,
        "exact_sd": exact.sd,
        "z_mean": np.where(np.isfinite(exact.sd), z_mean, np.nan),
        "z_sd": np.where(exact.excess_kurtosis < LARGEST_KURTOSIS, z_sd, np.nan),
        "z_n_above": np.where(exact.n_above * n >= FEWEST_EVENTS, z_n_above, np.nan),
    }
    return {name: ((place, "threshold"), values) for name, values in found.items()}


def verdict(summary: xr.Dataset, exact: ExactCells) -> dict[str, str | int | float]:
    """The run's own check in figures and in a sentence."""
    # a mean of costs without a third moment is too slow to become normal for a bound this far out
    z_mean = np.where(np.isfinite(exact.skewness), summary["z_mean"].values, np.nan)
    z_others = [summary[name].values.ravel() for name in ("z_sd", "z_n_above")]
    scores = np.abs(np.concatenate([z_mean.ravel(), *z_others]))
    judged = scores[np.isfinite(scores)]
    if not judged.size:
        return {
            "check": "not judged",
            "check_sentence": "self-check: no cell could be judged (infinite moments, or observed costs withheld)",
        }
    alarm = -float(special.ndtri(FALSE_ALARM / 2 / judged.size))
    largest = float(judged.max())
    passed = largest <= alarm
    left_out = int(np.isnan(summary["z_sd"].values).sum()), int(np.isnan(z_mean).sum())
    sentence = (
        f"self-check against the exact engine: {judged.size} cells, largest |z| {largest:.1f}, alarm above {alarm:.1f}"
    )
    if any(left_out):
        sentence += f"; not judged: {left_out[0]} sd (excess kurtosis above {LARGEST_KURTOSIS:g})"
        sentence += f", {left_out[1]} means (no third moment)" if left_out[1] else ""
    if not passed:
        sentence = f"THIS RUN FAILED ITS OWN CHECK, do not use it: {sentence}"
        logger.error(sentence)
    return {
        "check": "passed" if passed else "failed",
        "check_sentence": sentence,
        "check_cells": judged.size,
        "check_largest_z": largest,
        "check_alarm": alarm,
    }
