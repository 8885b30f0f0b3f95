"""Proposed terms: what is searched, what is found, and that no design drawn at random is better."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr
from scipy.special import ndtri
from scipy.stats import norm

from simulator.analysis.designs import bench as benches
from simulator.analysis.designs.bench import Bench
from simulator.analysis.designs.hunt import refine, scan
from simulator.contracts.design import Design
from simulator.contracts.search import Search
from simulator.settlement.populations import Populations

SD = 0.03
LAYER = {"kind": "aggregate_stop_loss", "attachment": 0.02, "limit": 0.05}


def normal_years(n: int, sd: float = SD) -> Populations:
    """A cost of mean 100 in n equally likely years."""
    cost = 100.0 * (1.0 + sd * ndtri((np.arange(n) + 0.5) / n))
    return Populations(
        xr.Dataset(
            {"gross_cost": (("replicate", "population_size"), cost[:, None])},
            coords={"replicate": np.arange(n), "population_size": [100]},
        )
    )


def layered(**changes):
    raw = {
        "figures": [
            {"path": "terms[0].attachment", "between": [0.0, 0.06]},
            {"path": "terms[0].limit", "between": [0.0, 0.2]},
        ],
        "limits": [{"party": "provider", "loss_over": 0.018, "at_most": 0.05}],
    }
    return Search.model_validate(raw | changes)


def best(search: Search, design: Design, populations: Populations, points: int = 256):
    """The cheapest design, on one set of years that are equally likely: nothing is left to luck."""
    bench = Bench(populations, design, search)
    tried = scan(bench, points, seed=1)
    starts = [tried.places[at] for at in (tried.feasible() or [tried.nearest()])[:3]]
    found = [bench.at(bench.figures(refine(bench, start, 0.5, "cheapest"))) for start in starts]
    return min(found, key=lambda one: one.cost if one.slacks().min() >= -1e-9 else math.inf)


def test_a_limit_on_a_chance_alone_buys_a_layer_and_leaves_the_catastrophe():
    design, years = Design(name="layer", terms=(LAYER,)), normal_years(20_000)
    layer = best(layered(guards=False), design, years)
    stop = best(layered(), design, years)
    tail = [benches.worst_mean(-one.surplus("provider") / one.revenue("provider")).value for one in (layer, stop)]
    print(layer.cost, stop.cost, tail, layer.design.terms, stop.design.terms)
    assert layer.cost == pytest.approx(0.004433, abs=4e-6) and tail[0] == pytest.approx(0.04861, abs=5e-5)
    assert stop.cost == pytest.approx(0.005060, abs=4e-6) and tail[1] == pytest.approx(0.018, abs=2e-6)
    exact = SD * (norm.pdf(0.6) - 0.6 * norm.sf(0.6))
    assert stop.cost == pytest.approx(exact, abs=4e-6)
