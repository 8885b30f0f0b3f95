"""Statistics of a ledger, each with its Monte Carlo standard error and checked against the exact one.

What each figure is, and how it is estimated, stands in `statistic`. Every probability has an exact 95% interval.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from ... import effort
from ... import ledger as books
from ...contracts.budget import Expectations, PerHead, StandardErrors
from ...contracts.exclusion import Cap, CarveOut, ExclusionRule, as_attribute
from ...deprecated import old_keywords
from ...errors import SimulatorError
from ...scenario import Scenario
from ...strata import exact_interval, strata_of
from ...terms import Array
from . import self_check as exactness
from .sample_moments import leading
from .statistic import ESTIMATED, Sample

MARGINS = (0.01, 0.03, 0.05, 0.10)
QUANTILE_LEVELS = (0.5, 0.75, 0.9, 0.95, 0.99, 0.995)


@old_keywords(budget=PerHead)
def summarise(
    ledger: xr.Dataset,
    rule: ExclusionRule = Cap(),  # noqa: B008 - frozen
    margins: Sequence[float] = MARGINS,
    quantiles: Sequence[float] = QUANTILE_LEVELS,
    *,
    budget: PerHead = PerHead(),  # noqa: B008 - frozen
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
    budget : PerHead
        What is paid a head, as in a design: its amount pays for everything, and falls by the exact expected cost that
        the rule removes (basis "gross"), or for the retained cost as it is ("retained"). Without an amount, the exact
        mean.
    scenario : Scenario, optional
        Needed where observed costs were withheld from the ledger.

    Returns
    -------
    xarray.Dataset
        Dims ``population_size`` (or ``unit``) and ``threshold``, ``year`` before them where there are several, with
        ``quantile_level``, ``margin`` and ``bound`` where they apply. Every estimate has a sibling with
        ``_se``. Costs in money per year; `overspend` figures are fractions of the budget, positive where the budget is
        exceeded. ``z_covariance`` judges every two years at the largest population.

    Raises
    ------
    SimulatorError
        For levels or margins out of range, and thresholds off the grid.
    """
    check_arguments(margins, quantiles)
    books.check_draws(ledger)
    _expect(ledger, rule)
    wrong = exactness.impossible(ledger)
    with np.errstate(invalid="ignore" if wrong else None):
        if "year" in ledger.dims:
            years = [ledger.sel(year=year) for year in ledger["year"].values]
            parts = [_summary(one, rule, margins, quantiles, budget, scenario) for one in years]
            summary = xr.concat(
                [part[0] for part in parts], "year", coords="minimal", compat="override", join="override"
            )
            exact, counts = parts[0][1], parts[0][2]
            exact = exact._replace(
                skewness=np.stack([part[1].skewness for part in parts]),
                excess_kurtosis=np.stack([part[1].excess_kurtosis for part in parts]),
            )
            scores = exactness.covariance_scores(ledger, rule, scenario, [part[1] for part in parts])
            if scores is not None:
                summary["year_other"] = summary["year"].values
                summary["z_covariance"] = (("year", "year_other", "threshold"), scores)
                summary = books.declared(summary, "summary", currency=ledger.attrs["currency"])
        else:
            summary, exact, counts = _summary(ledger, rule, margins, quantiles, budget, scenario)
    summary.attrs |= exactness.verdict(summary, exact, counts, wrong)
    return summary


def _expect(ledger: xr.Dataset, rule: ExclusionRule) -> None:
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
    budget: PerHead,
    scenario: Scenario | None,
) -> tuple[xr.Dataset, exactness.ExactCells, Array]:
    """The summary without its verdict, exact moments, and replicates by parameter set."""
    ledger, retained, by_set, paid = kept_and_paid(ledger, rule, budget, scenario)
    place, kept = str(retained.dims[1]), retained.values
    gross = ledger["gross_cost"].transpose("replicate", place).values[:, :, None]

    cells = (place, "threshold")
    sample = Sample(
        kept=kept,
        gross=gross,
        overspend=kept / paid - 1,
        **_above(ledger, retained, place),
        leading=leading(*by_set.drawn(by_set.retained)),
        strata=strata_of(ledger),
        levels={"margin": margins, "quantile_level": quantiles},
    )
    summary = xr.Dataset(
        coords={
            place: ledger[place], "threshold": retained["threshold"],
            "quantile_level": list(quantiles), "margin": list(margins), "bound": ["lower", "upper"],
        }
    )  # fmt: skip
    for statistic in ESTIMATED:
        assert statistic.estimate is not None
        dims, estimate = (*cells, *([statistic.level] if statistic.level else [])), statistic.estimate(sample)
        summary[statistic.name], summary[f"{statistic.name}_se"] = (dims, estimate.value), (dims, estimate.se)
    events = np.stack([(sample.overspend > margin).sum(axis=0) for margin in margins], axis=-1)
    summary["p_overspend_interval"] = ((*cells, "margin", "bound"), exact_interval(events, kept.shape[0]))
    summary["budget"] = (cells, np.broadcast_to(paid.mean(axis=0), kept.shape[1:]))
    summary = summary.assign(exactness.compare(kept, retained, ledger, by_set, place))
    summary.attrs = {key: value for key, value in ledger.attrs.items() if key != "scenario"}
    summary.attrs |= {"replicates": kept.shape[0], **as_attribute(rule), "budget_basis": budget.basis}
    summary = books.declared(summary, "summary", currency=ledger.attrs["currency"])
    return summary, by_set.mixed(), by_set.counts


def kept_and_paid(
    ledger: xr.Dataset, rule: ExclusionRule, budget: PerHead, scenario: Scenario | None
) -> tuple[xr.Dataset, xr.DataArray, exactness.CellsBySet, Array]:
    """The ledger at the rule's thresholds, the cost that is kept, exact moments, and the budget of each replicate."""
    if "year" in ledger.dims:
        bound = "holds several years, and this is an answer of one"
        raise SimulatorError("ledger", None, bound, "pool them: sim.pool_years(ledger, {1: 1}) is year 1")
    ledger = books.reaching(ledger, rule)
    place = "unit" if "population_size" not in ledger.dims else "population_size"
    retained = books.retained_cost(ledger, rule).transpose("replicate", place, "threshold")
    by_set = exactness.moments_by_set(ledger, rule, scenario)
    return ledger, retained, by_set, _budget_by_replicate(ledger, rule, retained, by_set.mixed(), budget)


def _above(ledger: xr.Dataset, retained: xr.DataArray, place: str) -> dict[str, Any]:
    """What a sample tells of the patients above each threshold."""
    points = retained["threshold"]
    above = ledger["n_above"].sel(threshold=points).transpose(*retained.dims).values
    amounts = ledger["threshold_amount"].sel(threshold=points).transpose("threshold", "segment").values
    people = exactness.people_of(ledger, place)[:, None]
    return {"above_share": above / people, "people": people, "reachable": np.isfinite(amounts).any(axis=-1)}


def check_arguments(margins: Sequence[float], quantiles: Sequence[float]) -> None:
    """Refuse levels or margins out of range."""
    for level in quantiles:
        if not 0 < level < 1:
            raise SimulatorError("quantiles", level, "must lie between 0 and 1", "give levels such as 0.95")
    for margin in margins:
        if not -1 < margin < math.inf:
            raise SimulatorError("margins", margin, "must be a fraction above -1", "give margins such as 0.03 for 3%")


def _budget_by_replicate(
    ledger: xr.Dataset, rule: ExclusionRule, retained: xr.DataArray, exact: exactness.ExactCells, budget: PerHead
) -> Array:
    """Budget of each replicate, shape (replicate or 1, place, threshold)."""
    expected = np.where(np.isfinite(exact.mean), exact.mean, retained.values.mean(axis=0))
    paid = budget_of(exact._replace(mean=expected), budget)
    if not isinstance(rule, CarveOut) or rule.keep_capitation:
        return paid[None]
    above = ledger["n_above"].sel(threshold=retained["threshold"]).transpose(*retained.dims).values
    # the capitation of a patient who is carved out leaves with him
    people = exact.people[:, None]
    expected_above = np.where(np.isfinite(exact.n_above), exact.n_above, above.mean(axis=0))
    return np.asarray(paid * (people - above) / (people - expected_above))


def budget_of(cells: exactness.ExactCells, budget: PerHead) -> Array:
    """Expected budget, shape (place, threshold): the exact mean, or an amount a head less what the rule removes."""
    if budget == PerHead(basis=budget.basis):
        return cells.mean
    if isinstance(budget.loading, StandardErrors):
        raise SimulatorError("budget: loading", None, "is in standard errors", "give a fraction, or settle a design")
    gross = np.broadcast_to(cells.gross_mean[:, None], cells.mean.shape)
    removed = gross - cells.mean
    paid = budget.evaluate(Expectations(cells.people[:, None], gross, removed))
    if (paid <= 0).any():
        bound = "leaves no budget once the excluded cost is taken off"
        raise SimulatorError("budget: amount", budget.amount, bound, "give a higher one")
    return np.broadcast_to(paid, cells.mean.shape)
