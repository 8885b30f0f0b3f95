"""What a design loses: a party as a share of its own revenue, and the retained cost beyond the budget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...contracts.design import Design
from ...errors import SimulatorError
from ...ledger import retained_cost
from ...scenario import Scenario
from ...settlement.compare import revenue_of
from ...settlement.settle import settle

Array = NDArray[np.float64]


def designs_of(scenario: Scenario, designs: Sequence[Design] = ()) -> tuple[Design, ...]:
    """The designs that are asked about, each with a threshold of its own: those given, or those of the scenario.

    Of the scenario's, those that sweep the grid are left out beside others (`left_out`). On a grid of one point there
    is nothing to sweep: a rule stands at that point.

    Raises
    ------
    SimulatorError
        Where there are none, or a design that was given has no threshold of its own.
    """
    asked = tuple(designs) or scenario.designs
    if not asked:
        raise SimulatorError("designs", None, "none are given", "give designs, or add [[designs]] to the scenario")
    placed = on_grid(asked, scenario.threshold_labels)
    own = placed if designs else tuple(design for design in placed if design.exclusion.fixed_thresholds())
    for design in own or placed:
        if not design.exclusion.fixed_thresholds():
            raise SimulatorError(
                f"design {design.name!r}: exclusion", None, "has no threshold of its own", "give it `at`"
            )
    return own


def on_grid(designs: Sequence[Design], grid: Sequence[float] | Array) -> tuple[Design, ...]:
    """The designs, a swept rule at the grid's own point where the grid has one alone."""
    if len(grid) > 1:
        return tuple(designs)
    at = {"at": float(grid[0])}
    return tuple(
        design
        if design.exclusion.fixed_thresholds()
        else design.model_copy(update={"exclusion": design.exclusion.model_copy(update=at)})
        for design in designs
    )


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
