"""How luck shrinks as the population grows, exactly, at as many sizes as a smooth curve needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from ... import ledger as books
from ... import runs
from ...contracts.exclusion import Cap, ExclusionRule, as_attribute
from ...scenario import Scenario
from ..statistics.exact import points_of
from ..statistics.self_check import cells_of

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
    asked = scenario.resized(tuple(sizes) or tuple(_between(ends[0], ends[-1])))
    points = points_of(scenario, rule)
    cells = cells_of(asked, rule, points, runs.heads(asked))
    curve = xr.Dataset(
        {"exact_cv": (("curve_size", "threshold"), cells.sd / cells.mean)},
        coords={"curve_size": list(asked.population_sizes), "threshold": points},
        attrs=runs.exact_origin(scenario) | as_attribute(rule),
    )
    books.describe_threshold(curve, scenario.simulation.thresholds, scenario.currency)
    return books.declared(curve, "exact_curve")


def _between(low: int, high: int) -> list[int]:
    return [int(n) for n in np.unique(np.round(np.geomspace(low, high, POINTS)).astype(np.int64))]
