"""Budgets that leave nothing, which are refused, and what a scenario may say and seldom means.

Of the latter there is one sentence each, shown once when its file is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic_core import PydanticCustomError

from .contracts.budget import BySegment, Expectations, PastYears
from .contracts.design import Design
from .costs.model import head_counts
from .costs.moments import Exact, Layer
from .errors import mistake

if TYPE_CHECKING:
    from .scenario import Scenario

LARGEST_CV = 1_000.0
BUDGET = (0.1, 10.0)  # budget over expected cost
CHANGE = (-0.9, 9.0)  # change of costs that a stress makes, as a fraction
_PEOPLE = 1_000_000  # who share the rounding of the case mix


def unusual(scenario: Scenario) -> Iterator[str]:
    """Sentences on figures that are seldom meant."""
    for segment in scenario.population.segments:
        cv = max(_figures(segment.severity.model_dump(), "cv"), default=0.0)
        if cv > LARGEST_CV:
            yield f"segment {segment.name!r}: a cv of {cv:g} is above {LARGEST_CV:,.0f}; is it a percentage?"
    if getattr(scenario, "years", None) is None:
        for one in (*scenario.shocks, *scenario.population.rare_services):
            if one.persistence is not None:
                yield f"{one.name!r} has a persistence, which says nothing of one year: add [years]"
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


def mistakes_of_amounts(scenario: Scenario) -> Iterator[PydanticCustomError]:
    """Sentences for budgets that are 0 or less once the expected excess is out of them, to be told before any draw."""
    exact = None
    segments = {segment.name for segment in scenario.population.segments}
    for design in scenario.designs:
        rule, budget = design.exclusion, design.budget
        if isinstance(budget, PastYears) or budget.basis == "retained":
            continue
        known = rule.layers((rule.fixed_thresholds() or scenario.threshold_labels.tolist())[0])  # that removes most
        known = tuple(one for one in known if one.threshold in scenario.amounts and math.isfinite(one.threshold))
        if not known or (isinstance(budget, BySegment) and set(budget.amounts) != segments):
            continue
        layers = [(scenario.amounts[at], excess, whole) for at, excess, whole in known]
        exact = exact or Exact(scenario.cost_model.as_one)
        left, _ = budget_a_head(design, exact, layers)
        if left <= 0:
            bound = f"design {design.name!r} leaves {left:,.0f} a head of its budget: its rule removes all of it"
            yield mistake(bound, "give a larger amount, or basis = 'retained'")


def budget_a_head(design: Design, exact: Exact, layers: list[Layer]) -> tuple[float, float]:
    """A design's budget under a rule, and the expected cost before it, money a head and year."""
    heads = head_counts(_PEOPLE, exact.model.shares)[None, :]
    gross, kept = (float(exact.total(heads, rule).mean[0]) for rule in ([], layers))
    names = [segment.name for segment in exact.model.population.segments]
    people = {name: np.asarray(float(count)) for name, count in zip(names, heads[0], strict=True)}
    expected = Expectations(
        members=np.asarray(float(_PEOPLE)), gross=np.asarray(gross), removed=np.asarray(gross - kept),
        segment_members=people, usual_members=people, year=design.year,
    )  # fmt: skip
    return float(design.budget.evaluate(expected)) / _PEOPLE, gross / _PEOPLE
