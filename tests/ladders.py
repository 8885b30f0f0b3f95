"""One design on one ladder of costs, 0.80 to 1.20 of a budget of 1,000: what an actuary checks by eye."""

from __future__ import annotations

import numpy as np

from simulator.contracts.context import Context
from simulator.contracts.design import Design
from simulator.settlement.clearing import apply_terms, clear

BUDGET = 1_000.0
LADDER = (0.80, 0.85, 0.90, 0.95, 1.00, 1.05, 1.10, 1.15, 1.20)


def context(ratios=LADDER, budget=BUDGET, **known):
    """A context with one cost for each ratio."""
    ratios = np.asarray(ratios, dtype=float)
    budgets = np.full(ratios.shape, float(budget))
    members = np.full(ratios.shape, float(known.pop("members", 10_000)))
    known = {name: value if name == "year" else np.asarray(value) for name, value in known.items()}
    return Context(budget=budgets, cost=np.round(ratios * budget, 6), members=members, **known)


def settled(terms, ratios=LADDER, budget=BUDGET, **known):
    """The settlement of some terms on a ladder; terms that need quality or revenue get a design that has them."""
    design = Design(name="ladder", terms=terms, quality={"score": 1.0}, revenue=1.0)
    return apply_terms(design.terms, context(ratios, budget, **known)).round(6).tolist()


def cleared(design, ratios=LADDER, budget=BUDGET, expected_cost=None, **known):
    """A design's accounts on a ladder."""
    passed = {name: known.pop(name) for name in ("excess", "expected_excess", "activity_change") if name in known}
    surroundings = context(ratios, budget, **known)
    expected = (
        surroundings.budget if expected_cost is None else np.full(surroundings.budget.shape, float(expected_cost))
    )
    return clear(design, surroundings, expected_cost=expected, **passed)


def surplus(design, party, ratios=LADDER, **known):
    """One party's surplus on a ladder."""
    return cleared(design, ratios, **known).accounts.surplus(party).round(6).tolist()
