"""Rejects budgets that the exclusion rule makes non-positive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from pydantic_core import PydanticCustomError

from ..costs.model import CostModel, head_counts
from ..costs.moments import Exact, Layer
from ..errors import mistake
from ..terms import Array
from .budget import BySegment, Expectations, PastYears
from .design import Design

_PEOPLE = 1_000_000  # who share the rounding of the case mix


def mistakes_of_amounts(
    designs: Sequence[Design], model: CostModel, labels: Array, amounts: Array
) -> Iterator[PydanticCustomError]:
    """Sentences for budgets that are 0 or less once the expected excess is out of them, to be told before any draw."""
    exact = None
    for design in designs:
        layers = _lowest(design, labels, amounts)
        if not layers or not _may_run_out(design, model):
            continue
        exact = exact or Exact(model.as_one)
        left, _ = budget_a_head(design, exact, layers)
        if left <= 0:
            bound = f"design {design.name!r} leaves {left:,.0f} a head of its budget: its rule removes all of it"
            yield mistake(bound, "give a larger amount, or basis = 'retained'")


def _lowest(design: Design, labels: Array, amounts: Array) -> list[Layer]:
    """The layers of the rule where it removes most; none where it removes nothing."""
    rule, grid = design.exclusion, labels.tolist()
    layers = rule.layers((rule.fixed_thresholds() or grid)[0])
    known = [layer for layer in layers if layer.threshold in grid]
    return [(amounts[:, grid.index(at)], excess, whole) for at, excess, whole in known if np.isfinite(at)]


def _may_run_out(design: Design, model: CostModel) -> bool:
    """Whether the budget is gross, and names what the scenario knows."""
    if isinstance(design.budget, PastYears) or design.budget.basis == "retained":
        return False
    names = {segment.name for segment in model.population.segments}
    return not isinstance(design.budget, BySegment) or set(design.budget.amounts) == names


def budget_a_head(design: Design, exact: Exact, layers: list[Layer]) -> tuple[float, float]:
    """A design's budget under a rule, and the expected cost before it, money a head and year."""
    heads = head_counts(_PEOPLE, exact.model.shares)[None, :]
    gross, kept = (float(exact.total(heads, rule).mean[0]) for rule in ([], layers))
    names = [segment.name for segment in exact.model.population.segments]
    people = {name: np.asarray(float(count)) for name, count in zip(names, heads[0], strict=True)}
    expected = Expectations(
        members=np.asarray(float(_PEOPLE)), gross=np.asarray(gross), removed=np.asarray(gross - kept),
        sd=np.zeros(()), luck=np.zeros(()), baseline=np.zeros(()), segment_members=people, usual_members=people,
        year=design.year,
    )  # fmt: skip
    return float(design.budget.evaluate(expected)) / _PEOPLE, gross / _PEOPLE
