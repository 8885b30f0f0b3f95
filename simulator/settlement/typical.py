"""Populations of which everything but the total cost is as expected: what a payoff is settled on."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..contracts.context import Array
from ..contracts.exclusion import ExclusionRule
from ..errors import SimulatorError
from ..scenario import Scenario
from .populations import Populations


class Typical(Populations):
    """One population of so many members, with what is expected in the place of what is drawn.

    It is looked at at so many costs (`points`), in the place of replicates. Without a scenario, `cost` is the expected
    cost, money per year, and nothing is excluded.
    """

    def __init__(self, points: int, members: int, scenario: Scenario | None, cost: float = 0.0) -> None:
        self.scenario, self._cost = scenario, np.full((1, 1), cost)
        coordinates = {"replicate": np.arange(points), "population_size": [members]}
        if scenario is not None:
            coordinates["segment"] = [segment.name for segment in scenario.population.segments]
        dims = ("replicate", "population_size")
        super().__init__(xr.Dataset({"gross_cost": (dims, np.zeros((points, 1)))}, coords=coordinates))

    @property
    def expected_gross(self) -> Array:
        """Expected gross cost."""
        return self._cost if self.scenario is None else self._over_sets(self.means_by_set(None))

    def expected_retained(self, rule: ExclusionRule) -> Array:
        """Expected cost that the rule keeps; a rule without a threshold of its own excludes nobody."""
        if self.scenario is None or rule.excludes_nobody or not rule.fixed_thresholds():
            return self.expected_gross
        return self._over_sets(self.means_by_set(rule))

    def luck_sd(self, rule: ExclusionRule) -> Array:
        """Standard deviation of the cost that the rule keeps; 0 where there is no scenario to tell it."""
        return np.zeros(1) if self.scenario is None else self._over_sets(self._sds_by_set(rule))

    # no set is that of the truth here: the mean over them stands for it

    def _of_truth(self, by_set: Array) -> Array:
        return self._over_sets(by_set)

    # what was drawn elsewhere

    def retained(self, rule: ExclusionRule) -> Array:
        """Cost that the rule keeps, as expected."""
        return self.expected_retained(rule)

    def excess(self, rule: ExclusionRule) -> Array:
        """Cost that the rule removes, as expected."""
        return self.expected_gross - self.expected_retained(rule)

    def luck(self, rule: ExclusionRule) -> Array:
        """None."""
        return np.zeros(1)

    def above(self, threshold: float) -> Array:
        """Patients above a threshold, as expected."""
        return self.expected_above(threshold)

    def segment_members(self) -> dict[str, Array]:
        """People by segment, as expected."""
        return self.usual_members()

    def excess_of_case_mix(self, rule: ExclusionRule) -> Array:
        """None."""
        return np.zeros(1)

    def deviates(self, purpose: int, count: int) -> Array:
        """Zeros: every measure at its expected attainment, and nobody's share of the activity changed."""
        return np.zeros((1, count))


def members_of(scenario: Scenario | None, asked: int | None) -> int:
    """People for whom a payoff is told: those asked for, else the scenario's largest population."""
    if scenario is None:
        return 100_000 if asked is None else asked
    largest = scenario.population_sizes[-1]
    if scenario.population.units and asked not in (None, largest):
        raise SimulatorError("members", asked, f"must be {largest}, the people of all units", "omit it")
    return largest if asked is None else asked
