"""How luck shrinks as the population grows, exactly, at as many sizes as a smooth curve needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from ... import ledger as books
from ... import runs
from ...contracts.exclusion import Cap, ExclusionRule, as_attribute
from ...scenario import Scenario
from ...thresholds import percentiles_of
from ..statistics.exact import points_of
from ..statistics.self_check import cells_of
from .infinite_population import with_sizes

POINTS = 40


def exact_curve(
    scenario: Scenario,
    rule: ExclusionRule = Cap(),  # noqa: B008 - frozen
    sizes: Sequence[int] = (),
) -> xr.Dataset:
    """Coefficient of variation of the retained cost by population size, from closed-form moments.

    Parameters
    ----------
    scenario : Scenario
    rule : exclusion rule
        Swept over the scenario's thresholds unless it fixes its own.
    sizes : sequence of int, optional
        People; forty sizes from the scenario's smallest to its largest without it.

    Returns
    -------
    xarray.Dataset
        ``exact_cv`` (curve_size, threshold), a fraction; infinite where the variance is. The sizes have a dim of
        their own, so that the curve can stand in a summary: ``summary.assign(exact_curve(scenario))``.

    Examples
    --------
    Without shocks four times the people halve it: a person's cv of 3 is 3 / √10,000 = 3% at 10,000 people.
    """
    ends = scenario.population_sizes
    asked = with_sizes(scenario, tuple(sizes) or tuple(_between(ends[0], ends[-1])))
    points = points_of(scenario, rule)
    cells = cells_of(asked, rule, points, runs.heads(asked))
    curve = xr.Dataset(
        {"exact_cv": (("curve_size", "threshold"), cells.sd / cells.mean)},
        coords={"curve_size": list(asked.population_sizes), "threshold": points},
        attrs=runs.exact_origin(scenario) | as_attribute(rule),
    )
    books.describe_variable(curve["exact_cv"], "1", "coefficient of variation of the retained cost, exact")
    books.describe_variable(curve["curve_size"], "people", "people in the population, for one year")
    describe_thresholds(curve, scenario)
    return curve


def describe_thresholds(answer: xr.Dataset, scenario: Scenario) -> None:
    """Say whether the thresholds are money or percentiles."""
    if percentiles_of(scenario.simulation.thresholds):
        books.describe_variable(answer["threshold"], "1", "percentile of patients' annual cost")
    else:
        books.describe_variable(answer["threshold"], f"{scenario.currency} per year", "threshold")


def _between(low: int, high: int) -> list[int]:
    return [int(n) for n in np.unique(np.round(np.geomspace(low, high, POINTS)).astype(np.int64))]
