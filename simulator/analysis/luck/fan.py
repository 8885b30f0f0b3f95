"""Between which overspends do years lie, and how do these ranges narrow as the population grows?"""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from ...contracts.exclusion import Cap, ExclusionRule
from ...ledger import declared
from ...scenario import Scenario
from ..statistics.summary import summarise

LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def fan(
    ledger: xr.Dataset,
    rule: ExclusionRule = Cap(),  # noqa: B008 - frozen
    levels: Sequence[float] = LEVELS,
    *,
    scenario: Scenario | None = None,
) -> xr.Dataset:
    """Quantiles of the overspend by population size.

    Parameters
    ----------
    ledger : xarray.Dataset
        What `simulate` drew, or `by_unit` of it.
    rule : exclusion rule
    levels : sequence of float
        Levels in (0, 1), symmetrical about 0.5.
    scenario : Scenario, optional
        As in `summarise`.

    Returns
    -------
    xarray.Dataset
        ``overspend`` = retained cost / expected − 1 and ``overspend_se`` by (population_size, threshold,
        quantile_level), fractions; the error is NaN where the draws do not reach one sigma beyond the level.
    """
    summary = summarise(ledger, rule, (0.0,), sorted(levels), scenario=scenario)
    answer = xr.Dataset(
        {
            "overspend": summary["quantile_cost"] / summary["budget"] - 1,
            "overspend_se": summary["quantile_cost_se"] / summary["budget"],
        },
        attrs=summary.attrs,
    )
    return declared(answer, "fan")
