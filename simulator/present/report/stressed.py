"""What if things do not go to plan? The scenario's own stresses, simulated for the report."""

from __future__ import annotations

import xarray as xr

from ...analysis.stress.stress import stress
from ...contracts.design import Design
from ...scenario import Scenario

MOST_REPLICATES = 1_000
"""Synthetic populations of a stress: differences are paired, so that few will do."""


def stressed(scenario: Scenario) -> xr.Dataset | None:
    """What every stress of a scenario does under each of its designs, at its largest population."""
    chosen = stressable(scenario.designs)
    if not (scenario.stresses and chosen):
        return None
    replicates = min(scenario.simulation.replicates, MOST_REPLICATES)
    return stress(scenario, designs=chosen, replicates=replicates)


def stressable(designs: tuple[Design, ...]) -> tuple[Design, ...]:
    """The designs that have a threshold of their own."""
    return tuple(design for design in designs if design.exclusion.fixed_thresholds())
