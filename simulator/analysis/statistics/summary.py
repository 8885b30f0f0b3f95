"""Statistics of a ledger, each with its Monte Carlo standard error and checked against the exact one.

Standard errors. Where the exact fourth moment is finite, those of sd and cv use it, since a sample's own underrates
it; elsewhere they come from the delete-one jackknife, as skewness's always does. Quantiles take the half-width of the
order-statistic interval (Woodruff 1952, J Am Stat Assoc 47:635), tail means that of the mean of the excess over the
quantile, probabilities the binomial one. A probability of which no event (or no other) was seen takes the exact upper
bound that one event in that many draws would allow at one sigma, and every probability an exact 95% interval (Clopper
and Pearson 1934, Biometrika 26:404).

Where replicates are drawn under parameter sets, those of a set are a stratum (`strata`). Standard errors are then those
of stratified sampling, given the sets: moments and the jackknife within sets, quantiles by the error of the probability
at the quantile. The interval of a probability stays that of independent draws, which holds for strata too (Hoeffding
1956, Ann Math Stat 27:713).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import special

from ... import effort
from ... import ledger as books
from ...contracts.exclusion import Cap, CarveOut, ExclusionRule, as_attribute
from ...errors import SimulatorError
from ...scenario import Scenario
from ...strata import Strata, jackknife, mean_error, strata_of
from . import self_check as exactness
from .sample_moments import Leading, leading

Array = NDArray[np.float64]

MARGINS = (0.01, 0.03, 0.05, 0.10)
QUANTILE_LEVELS = (0.5, 0.75, 0.9, 0.95, 0.99, 0.995)
INTERVAL_LEVEL = 0.95
_ONE_SIGMA = 0.31731050786291415


class Estimate(NamedTuple):
    """A figure and its Monte Carlo standard error, alike in shape."""

    value: Array
    se: Array


def summarise(
    ledger: xr.Dataset,
    rule: ExclusionRule = Cap(),  # noqa: B008 - frozen
    margins: Sequence[float] = MARGINS,
    quantiles: Sequence[float] = QUANTILE_LEVELS,
    *,
    capitation_pmpy: float | None = None,
    budget_basis: Literal["gross", "retained"] = "gross",
    scenario: Scenario | None = None,
) -> xr.Dataset:
    """Statistics of the cost that an exclusion rule keeps, by population size and threshold.

    Parameters
    ----------
    ledger : xarray.Dataset
        What `simulate` drew, or `by_unit` of it.
    rule : exclusion rule
        Swept over the ledger's thresholds unless it fixes its own.
    margins : sequence of float
        Tolerances m of P(retained > (1 + m) × budget), as fractions.
    quantiles : sequence of float
        Levels in (0, 1).
    capitation_pmpy : float, optional
        Money per member per year; the budget is the exact mean without it.
    budget_basis : {"gross", "retained"}
        Whether the given capitation pays for everything, and falls by the exact expected cost that the rule removes,
        or for the retained cost as it is.
    scenario : Scenario, optional
        Needed where observed costs were withheld from the ledger.

    Returns
    -------
    xarray.Dataset
        Dims ``population_size`` (or ``unit``) and ``threshold``, with ``quantile_level``, ``margin`` and ``bound``
        where they apply. Every estimate has a sibling with ``_se``. Costs in money per year; `overspend` figures are
        fractions of the budget, positive where the budget is exceeded.

    Raises
    ------
    SimulatorError
        For levels or margins out of range, and thresholds off the grid.
    """
    check_arguments(margins, quantiles, capitation_pmpy, budget_basis)
    books.check_draws(ledger)
    _expect(ledger, rule)
    wrong = exactness.impossible(ledger)
    with np.errstate(invalid="ignore" if wrong else None):
        summary, exact, counts = _summary(ledger, rule, margins, quantiles, capitation_pmpy, budget_basis, scenario)
    summary.attrs |= exactness.verdict(summary, exact, counts, wrong)
    return summary


def _expect(ledger: xr.Dataset, rule: ExclusionRule) -> None:
    """Say what statistics of these draws take, and refuse what takes too long or too much memory."""
    sizes = ledger.sizes
    points = 1 if rule.fixed_thresholds() else sizes.get("threshold", 1)
    sets = np.unique(ledger["parameter_draw"].values).size if "parameter_draw" in ledger.coords else 1
    work = effort.summing(sizes.get("replicate", 1), sizes.get("population_size", sizes.get("unit", 1)), points)
    work = work.also(effort.moments(sizes.get("segment", 1), points, sets, sizes.get("shock", 0) + 1), 2)
    effort.expect("statistics", work, "simulation.thresholds", points, "ask for fewer thresholds, sizes or replicates")


def _summary(
    ledger: xr.Dataset,
    rule: ExclusionRule,
    margins: Sequence[float],
    quantiles: Sequence[float],
    capitation: float | None,
    basis: str,
    scenario: Scenario | None,
) -> tuple[xr.Dataset, exactness.ExactCells, Array]:
    """The summary without its verdict, exact moments, and replicates by parameter set."""
    ledger = books.reaching(ledger, rule)
    retained = books.retained_cost(ledger, rule)
    place = "unit" if "population_size" not in ledger.dims else "population_size"
    retained = retained.transpose("replicate", place, "threshold")
    kept = retained.values
    by_set = exactness.moments_by_set(ledger, rule, scenario)
    exact, strata = by_set.mixed(), strata_of(ledger)
    budget = _budget(ledger, rule, retained, exact, capitation, basis)
    gross = ledger["gross_cost"].transpose("replicate", place).values[:, :, None]

    cells: tuple[str, ...] = (place, "threshold")
    figures: dict[str, tuple[tuple[str, ...], Estimate]] = {}
    for name, estimate in _moments(kept, leading(*by_set.drawn(by_set.retained)), strata).items():
        figures[name] = (cells, estimate)
    quantile = _quantiles(kept, quantiles, strata)
    figures["quantile_cost"] = ((*cells, "quantile_level"), quantile)
    figures["tvar"] = ((*cells, "quantile_level"), _tail_means(kept, quantile.value, quantiles, strata))
    overspend = kept / budget - 1
    figures["p_overspend"] = ((*cells, "margin"), _exceedance(overspend, margins, strata))
    figures["expected_overspend"] = (cells, _mean(np.maximum(overspend, 0.0), strata))
    figures["cost_removed_share"] = (cells, _ratio(gross - kept, np.broadcast_to(gross, kept.shape), strata))
    figures["variance_removed_share"] = (cells, _variance_removed(kept, gross, strata))
    figures["patients_above_share"] = (cells, _patients_above(ledger, retained, place, strata))

    summary = xr.Dataset(
        coords={
            place: ledger[place], "threshold": retained["threshold"],
            "quantile_level": list(quantiles), "margin": list(margins), "bound": ["lower", "upper"],
        }
    )  # fmt: skip
    for name, (dims, estimate) in figures.items():
        summary[name] = (dims, estimate.value)
        summary[f"{name}_se"] = (dims, estimate.se)
    summary["p_overspend_interval"] = ((*cells, "margin", "bound"), _interval(overspend, margins))
    summary["budget"] = (cells, np.broadcast_to(budget.mean(axis=0), kept.shape[1:]))
    summary = summary.assign(exactness.compare(kept, retained, ledger, by_set, place))
    describe_figures(summary, ledger.attrs["currency"])
    summary.attrs = {key: value for key, value in ledger.attrs.items() if key != "scenario"}
    summary.attrs |= {
        "replicates": kept.shape[0],
        **as_attribute(rule),
        "budget_basis": basis,
    }
    return summary, exact, by_set.counts


def check_arguments(margins: Sequence[float], quantiles: Sequence[float], capitation: float | None, basis: str) -> None:
    """Refuse levels, margins or a budget out of range."""
    for level in quantiles:
        if not 0 < level < 1:
            raise SimulatorError("quantiles", level, "must lie between 0 and 1", "give levels such as 0.95")
    for margin in margins:
        if not -1 < margin < math.inf:
            raise SimulatorError("margins", margin, "must be a fraction above -1", "give margins such as 0.03 for 3%")
    if capitation is not None and not 0 < capitation < math.inf:
        raise SimulatorError("capitation_pmpy", capitation, "must be above 0", "give money per member per year")
    if basis not in ("gross", "retained"):
        raise SimulatorError("budget_basis", basis, 'must be "gross" or "retained"', "choose one of these")


def _budget(
    ledger: xr.Dataset,
    rule: ExclusionRule,
    retained: xr.DataArray,
    exact: exactness.ExactCells,
    capitation: float | None,
    basis: str,
) -> Array:
    """Budget of each replicate, shape (replicate or 1, place, threshold)."""
    expected = np.where(np.isfinite(exact.mean), exact.mean, retained.values.mean(axis=0))
    budget = budget_of(exact._replace(mean=expected), capitation, basis)
    if not isinstance(rule, CarveOut) or rule.keep_capitation:
        return budget[None]
    above = ledger["n_above"].sel(threshold=retained["threshold"]).transpose(*retained.dims).values
    # the capitation of a patient who is carved out leaves with him
    people = exact.people[:, None]
    expected_above = np.where(np.isfinite(exact.n_above), exact.n_above, above.mean(axis=0))
    return np.asarray(budget * (people - above) / (people - expected_above))


def budget_of(cells: exactness.ExactCells, capitation: float | None, basis: str) -> Array:
    """Expected budget, shape (place, threshold): the exact mean, or a capitation less what the rule removes."""
    if capitation is None:
        return cells.mean
    gross = np.broadcast_to(cells.people[:, None] * capitation, cells.mean.shape)
    budget = gross - (cells.gross_mean[:, None] - cells.mean) if basis == "gross" else gross
    if (budget <= 0).any():
        raise SimulatorError(
            "capitation_pmpy", capitation, "leaves no budget once the excluded cost is taken off", "give a higher one"
        )
    return np.asarray(budget)


# ── estimators: arrays with the replicates first ─────────────────────────────────────────────────


def _mean(values: Array, strata: Strata | None) -> Estimate:
    return Estimate(values.mean(axis=0), mean_error(values, strata))


def _sd(values: Array) -> Array:
    if values.shape[0] < 2:
        return np.full(values.shape[1:], np.nan)
    return np.asarray(values.std(axis=0, ddof=1))


def _moments(values: Array, exact: Leading, strata: Strata | None) -> dict[str, Estimate]:
    """Mean, sd, cv and skewness."""
    n, skewness, kurtosis = values.shape[0], exact.skewness, exact.excess_kurtosis
    mean, sd = _mean(values, strata), _sd(values)
    left_out = _left_out(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        cv = sd / mean.value
        sd_relative = (kurtosis + 2) / (4 * n)
        sd_se = np.where(np.isfinite(kurtosis), sd * np.sqrt(sd_relative), jackknife(left_out.sd, strata))
        cv_relative = np.maximum(sd_relative - skewness * cv / n + cv**2 * exact.within / n, 0.0)
        ratios = left_out.sd / left_out.mean
        cv_se = np.where(np.isfinite(kurtosis), cv * np.sqrt(cv_relative), jackknife(ratios, strata))
    centred = values - mean.value
    with np.errstate(invalid="ignore", divide="ignore"):
        skew = (centred**3).mean(axis=0) / (centred**2).mean(axis=0) ** 1.5
    return {
        "mean_cost": mean,
        "sd_cost": Estimate(sd, sd_se),
        "cv": Estimate(cv, cv_se),
        "skewness_cost": Estimate(skew, jackknife(left_out.skewness, strata)),
    }


class _LeftOut(NamedTuple):
    """Mean, sd and skewness of the sample without each replicate in turn."""

    mean: Array
    sd: Array
    skewness: Array


def _left_out(values: Array) -> _LeftOut:
    n = values.shape[0]
    if n < 3:
        empty = np.full(values.shape, np.nan)
        return _LeftOut(empty, empty, empty)
    centre = values.mean(axis=0)
    c = values - centre
    m1, m2, m3 = (-c / (n - 1), ((c**2).sum(0) - c**2) / (n - 1), ((c**3).sum(0) - c**3) / (n - 1))
    variance = np.maximum(m2 - m1**2, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        skewness = (m3 - 3 * m1 * m2 + 2 * m1**3) / variance**1.5
    return _LeftOut(centre + m1, np.sqrt(variance * (n - 1) / (n - 2)), skewness)


def _quantiles(values: Array, levels: Sequence[float], strata: Strata | None) -> Estimate:
    n, ordered = values.shape[0], np.sort(values, axis=0)
    level = np.broadcast_to(np.asarray(levels), (*values.shape[1:], len(levels)))
    value = _at(ordered, level)
    spread = np.sqrt(level * (1 - level) / n)
    if strata:
        below = [mean_error((values <= value[..., k]).astype(float), strata) for k in range(len(levels))]
        spread = np.stack(below, axis=-1)
    high, low = _at(ordered, np.minimum(level + spread, 1.0)), _at(ordered, np.maximum(level - spread, 0.0))
    # a level so close to an end that the sample does not reach one sigma beyond it has no finite error
    reached = (level + spread < 1) & (level - spread > 0)
    return Estimate(value, np.where(reached, (high - low) / 2, np.nan))


def _at(ordered: Array, level: Array) -> Array:
    """Quantiles by the linear rule (numpy's default, spreadsheets' PERCENTILE.INC), at the levels of the last axis."""
    position = np.moveaxis(level, -1, 0) * (ordered.shape[0] - 1)
    below = np.floor(position).astype(int)
    above = np.minimum(below + 1, ordered.shape[0] - 1)
    low, high = np.take_along_axis(ordered, below, axis=0), np.take_along_axis(ordered, above, axis=0)
    return np.moveaxis(low + (high - low) * (position - below), 0, -1)


def _tail_means(values: Array, quantile: Array, levels: Sequence[float], strata: Strata | None) -> Estimate:
    found, errors = [], []
    for position, level in enumerate(levels):
        excess = _mean(np.maximum(values - quantile[..., position], 0.0), strata)
        found.append(quantile[..., position] + excess.value / (1 - level))
        errors.append(excess.se / (1 - level))
    return Estimate(np.stack(found, axis=-1), np.stack(errors, axis=-1))


def _exceedance(overspend: Array, margins: Sequence[float], strata: Strata | None) -> Estimate:
    n = overspend.shape[0]
    chance = np.stack([(overspend > margin).mean(axis=0) for margin in margins], axis=-1)
    error = np.sqrt(chance * (1 - chance) / n)
    if strata:
        error = np.stack([mean_error((overspend > margin).astype(float), strata) for margin in margins], axis=-1)
    # no event seen, or none missing, within any stratum says little of its chance
    return Estimate(chance, np.where(error == 0, 1 - _ONE_SIGMA ** (1 / n), error))


def _interval(overspend: Array, margins: Sequence[float]) -> Array:
    n = overspend.shape[0]
    events = np.stack([(overspend > margin).sum(axis=0) for margin in margins], axis=-1)
    return exact_interval(events, n)


def exact_interval(events: NDArray[np.int64], n: int, level: float = INTERVAL_LEVEL) -> Array:
    """Clopper and Pearson's interval of a probability, lower and upper along a last axis."""
    tail = (1 - level) / 2
    with np.errstate(invalid="ignore"):
        lower = np.where(events == 0, 0.0, special.betaincinv(np.maximum(events, 1), n - events + 1, tail))
        upper = np.where(events == n, 1.0, special.betaincinv(events + 1, np.maximum(n - events, 1), 1 - tail))
    return np.stack([lower, upper], axis=-1)


def _ratio(part: Array, whole: Array, strata: Strata | None) -> Estimate:
    """Σ part / Σ whole, with the error of a ratio of paired means."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share = part.mean(axis=0) / whole.mean(axis=0)
        return Estimate(share, mean_error(part - share * whole, strata) / whole.mean(axis=0))


def _variance_removed(kept: Array, gross: Array, strata: Strata | None) -> Estimate:
    with np.errstate(invalid="ignore", divide="ignore"):
        share = 1 - (_sd(kept) / _sd(gross)) ** 2
        return Estimate(share, jackknife(1 - (_left_out(kept).sd / _left_out(gross).sd) ** 2, strata))


def _patients_above(ledger: xr.Dataset, retained: xr.DataArray, place: str, strata: Strata | None) -> Estimate:
    above = ledger["n_above"].sel(threshold=retained["threshold"]).transpose(*retained.dims).values
    people = exactness.people_of(ledger, place)
    mean = _mean(above / people[:, None], strata)
    # no patient seen above a threshold: what one patient in all replicates would have been
    amounts = ledger["threshold_amount"].sel(threshold=retained["threshold"]).transpose("threshold", "segment").values
    unseen = (mean.value == 0) & np.isfinite(amounts).any(axis=-1)
    return Estimate(mean.value, np.where(unseen, -math.log(_ONE_SIGMA) / (above.shape[0] * people[:, None]), mean.se))


# ── units and sentences ──────────────────────────────────────────────────────────────────────────

_FIGURES = {
    "mean_cost": ("{currency} per year", "mean of the retained cost"),
    "sd_cost": ("{currency} per year", "standard deviation of the retained cost"),
    "cv": ("1", "coefficient of variation of the retained cost"),
    "skewness_cost": ("1", "skewness of the retained cost"),
    "quantile_cost": ("{currency} per year", "quantile of the retained cost, linear rule"),
    "tvar": ("{currency} per year", "quantile plus the mean excess over it divided by one less the level"),
    "p_overspend": ("1", "P(retained cost > (1 + margin) × budget)"),
    "p_overspend_interval": ("1", "95% interval of p_overspend (Clopper-Pearson)"),
    "expected_overspend": ("1", "E[max(overspend, 0)], unconditional, as a fraction of the budget"),
    "cost_removed_share": ("1", "share of gross cost that the rule removes"),
    "variance_removed_share": ("1", "share of the variance of gross cost that the rule removes"),
    "patients_above_share": ("1", "share of people whose cost exceeds the threshold"),
    "budget": ("{currency} per year", "budget, after the rule's expected cost is taken off; mean over replicates"),
    "exact_mean": ("{currency} per year", "exact mean of the retained cost, without simulation"),
    "exact_sd": ("{currency} per year", "exact standard deviation of the retained cost, without simulation"),
    "probability_error": ("1", "bound on the error of every probability"),
    "z_mean": ("1", "(mean_cost − exact_mean) / its exact standard error"),
    "z_sd": ("1", "(variance − exact) / its exact standard error; only where the excess kurtosis is below 1"),
    "z_n_above": ("1", "(mean of n_above − exact) / its exact standard error; only where 400 patients are expected"),
}


def describe_figures(summary: xr.Dataset, currency: str) -> None:
    """Set units and sentences of every figure."""
    for name in summary.data_vars:
        unit, sentence = _FIGURES[str(name).removesuffix("_se")]
        told = f"Monte Carlo standard error: {sentence}" if str(name).endswith("_se") else sentence
        books.describe_variable(summary[name], unit.format(currency=currency), told)
