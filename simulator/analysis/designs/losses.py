"""What a design loses: a party as a share of its own revenue, and the retained cost beyond the budget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from ...contracts.design import Design
from ...errors import SimulatorError
from ...ledger import retained_cost
from ...scenario import Scenario
from ...settlement.compare import revenue_of
from ...settlement.settle import settle
from ...terms import Array


def left_out(scenario: Scenario, asked: Sequence[object]) -> dict[str, str]:
    """What an answer about the scenario's own designs says of those that it is not about; `asked` are names."""
    swept = [design.name for design in scenario.designs if design.name not in asked]
    return {"left_out": ", ".join(swept)} if swept else {}


def check_party(designs: Sequence[Design], party: str) -> None:
    """Refuse a party that one of the designs lacks."""
    for design in designs:
        names = ", ".join(each.name for each in design.parties)
        if party not in [each.name for each in design.parties]:
            raise SimulatorError("party", party, f"is not in design {design.name!r} ({names})", "name one of these")


def loss_of(ledger: xr.Dataset, designs: Sequence[Design], party: str) -> Array:
    """A party's loss over its revenue, positive where money is lacking; shape (replicate, population_size, design)."""
    outcome = settle(ledger, designs)
    loss = -outcome["surplus"] / revenue_of(outcome)
    return np.asarray(loss.sel(party=party).transpose("replicate", "population_size", "design").values)


def overspend_by_design(ledger: xr.Dataset, designs: Sequence[Design]) -> Array:
    """Retained cost / budget − 1 under each design's exclusion and budget; (replicate, population_size, design)."""
    budget = settle(ledger, designs)["budget"]
    ratios = [
        retained_cost(ledger, design.exclusion).isel(threshold=0, drop=True) / budget.sel(design=design.name, drop=True)
        for design in designs
    ]
    return np.stack([ratio.transpose("replicate", "population_size").values - 1 for ratio in ratios], axis=-1)
