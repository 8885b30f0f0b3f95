"""The book of patients that every benchmark draws, and its plan for the engine."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import simulator as sim
from simulator.engine.simulate import Plan, make_plans
from simulator.runs import increments

SIZES = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 540_000)
THRESHOLDS = (25_000.0, 50_000.0, 100_000.0, 250_000.0, math.inf)
EIGHT = (25_000.0, 35_000.0, 50_000.0, 75_000.0, 100_000.0, 150_000.0, 250_000.0, 500_000.0)


def scenario(
    segments: int = 12,
    sizes: tuple[int, ...] = SIZES,
    thresholds: tuple[float, ...] = THRESHOLDS,
    replicates: int = 100,
    membership: str = "fixed",
) -> sim.Scenario:
    """Lognormal bodies, mean 300 to 6,000 for a user, each with a Pareto tail above 40,000; 3% to 30% have no cost."""
    return sim.Scenario.model_validate(
        {
            "title": "benchmark",
            "currency": "GBP",
            "simulation": {
                "replicates": replicates,
                "population_sizes": list(sizes),
                "thresholds": list(thresholds),
                "seed": 20170401,
            },
            "population": {"membership": membership, "segments": [_segment(s, segments) for s in range(segments)]},
        }
    )


def _segment(number: int, segments: int) -> dict[str, Any]:
    place = number / max(segments - 1, 1)
    body = {"family": "lognormal", "mean": 300.0 * 20.0**place, "cv": 2.0 - 0.8 * place}
    return {
        "name": f"segment {number + 1}",
        "share": 1.0 / segments,
        "p_user": 0.70 + 0.27 * place,
        "severity": {
            "family": "spliced",
            "body": body,
            "tail": {"family": "pareto", "alpha": 2.3 + 0.5 * place},
            "at": 40_000.0,
        },
    }


def plan_of(book: sim.Scenario) -> Plan:
    summed, seed = book.simulation.sums == "body", book.simulation.seed
    (plan,) = make_plans(book.cost_model, increments(book), book.threshold_amounts, book.cuts, seed, summed)
    return plan


def single(book: sim.Scenario) -> Plan:
    """The plan that draws every claim."""
    return plan_of(book.with_simulation(sums="single"))


def users(plan: Plan) -> float:
    """Expected people with any cost in one replicate: the draws that cannot be avoided."""
    return float((plan.heads * plan.rate).sum())


def lognormals(plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """A mu and a sigma for each segment of a plain loop, of the size of the book's."""
    place = np.linspace(0, 1, plan.rate.size)
    cv = 2.0 - 0.8 * place
    sigma = np.sqrt(np.log1p(cv**2))
    return np.log(300.0 * 20.0**place) - sigma**2 / 2, sigma
