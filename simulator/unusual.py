"""What a scenario may say and seldom means: one sentence each, shown once when its file is read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .contracts.amounts import budget_a_head
from .contracts.budget import PastYears
from .costs.moments import Exact

if TYPE_CHECKING:
    from .scenario import Scenario

LARGEST_CV = 1_000.0
BUDGET = (0.1, 10.0)
"""Budget over expected cost."""
CHANGE = (-0.9, 9.0)
"""Change of costs that a stress makes, as a fraction."""


def unusual(scenario: Scenario) -> Iterator[str]:
    """Sentences on figures that are seldom meant."""
    for segment in scenario.population.segments:
        cv = max(_figures(segment.severity.model_dump(), "cv"), default=0.0)
        if cv > LARGEST_CV:
            yield f"segment {segment.name!r}: a cv of {cv:g} is above {LARGEST_CV:,.0f}; is it a percentage?"
    yield from _of_budgets(scenario)
    for stress in scenario.stresses:
        for change in stress.changes:
            by = getattr(change, "by", 0.0)
            if not CHANGE[0] <= by <= CHANGE[1]:
                yield f"stress {stress.name!r}: changes costs by {100 * by:+,.0f}%; is that meant?"


def _of_budgets(scenario: Scenario) -> Iterator[str]:
    exact = Exact(scenario.cost_model.as_one) if scenario.designs else None
    for design in scenario.designs:
        if exact is None or isinstance(design.budget, PastYears):
            continue
        budget, cost = budget_a_head(design, exact, [])
        if not BUDGET[0] * cost <= budget <= BUDGET[1] * cost:
            told = f"{budget:,.2f} a head beside an expected cost of {cost:,.2f}"
            yield f"design {design.name!r}: its budget is {told}; is it for another period or currency?"


def _figures(part: Any, name: str) -> Iterator[float]:
    """Every figure of this name, however deep."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key == name and isinstance(value, float) and math.isfinite(value):
                yield value
            else:
                yield from _figures(value, name)
    elif isinstance(part, list | tuple):
        for value in part:
            yield from _figures(value, name)
