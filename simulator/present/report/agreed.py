"""What was agreed: the budget of each contract, and the expected cost that it is for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...analysis.statistics.self_check import exact_moments
from ...contracts.design import Design
from ...contracts.exclusion import Cap, ExclusionRule
from ...strata import error_of_mean


def agreed_budgets(ledger: xr.Dataset, outcome: xr.Dataset, designs: Sequence[Design]) -> xr.Dataset:
    """Each design's budget, and the exact mean of the cost that its exclusion rule keeps."""
    budget = outcome["budget"]
    fixed = budget.max("replicate") == budget.min("replicate")
    places = budget.sizes["population_size"]
    error = error_of_mean(budget)
    grid = budget.sizes.get("threshold", 1)
    cost = np.stack([np.broadcast_to(_expected(ledger, design.exclusion), (places, grid)) for design in designs])
    expected = xr.DataArray(cost, dims=("design", "population_size", "threshold"))
    return xr.Dataset(
        {
            "budget": budget.mean("replicate"),
            "budget_se": error.where(~fixed, 0.0),
            "expected_cost": expected if "threshold" in budget.dims else expected.isel(threshold=0),
        }
    )


def _expected(ledger: xr.Dataset, rule: ExclusionRule) -> NDArray[np.float64]:
    """By population and point of the grid where the rule is swept over it."""
    if rule.excludes_nobody:
        return exact_moments(ledger, Cap()).gross_mean[:, None]
    return exact_moments(ledger, rule).mean
