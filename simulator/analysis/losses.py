"""What a party of a design loses, as a share of its own revenue."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..base import SimulatorError
from ..contracts.design import Design
from ..contracts.settle import settle

Array = NDArray[np.float64]


def check_party(designs: Sequence[Design], party: str) -> None:
    """Refuse a question about no design, about a party that a design lacks, or about a rule without a threshold."""
    if not designs:
        raise SimulatorError("designs", None, "are none", "give designs to ask what a party loses")
    for design in designs:
        names = [each.name for each in design.parties]
        if party not in names:
            raise SimulatorError("party", party, f"is not in design {design.name!r} ({', '.join(names)})", "name one of these")
        if not design.exclusion.fixed_thresholds():
            raise SimulatorError(f"design {design.name!r}: exclusion", None, "has no threshold of its own", "give it `at`")


def revenue_of(outcome: xr.Dataset) -> xr.DataArray:
    """A party's own revenue: the mean of what it is paid, else of what it is funded with; money per year."""
    paid = outcome["payment"].mean("replicate")
    return paid.where(paid > 0, outcome["funding"].mean("replicate"))


def loss_of(ledger: xr.Dataset, designs: Sequence[Design], party: str) -> Array:
    """A party's loss over its revenue, positive where money is lacking; shape (replicate, population_size, design)."""
    outcome = settle(ledger, designs)
    loss = -outcome["surplus"] / revenue_of(outcome)
    return np.asarray(loss.sel(party=party).transpose("replicate", "population_size", "design").values)
