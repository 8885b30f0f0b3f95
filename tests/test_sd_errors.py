"""Errors of standard deviations where rare costly patients decide: coverage over many runs, exact fourth moments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import xarray as xr
from conftest import alone

import simulator as sim

FIGURES = ("sd_surplus", "sd_difference")
CAP = 20_000.0
DESIGNS = (
    sim.Design(name="full"),
    sim.Design.model_validate({"name": "unequal", "terms": [{"kind": "share", "gain": 0.5, "loss": 0.3}]}),
    sim.Design.model_validate({"name": "limit", "terms": [{"kind": "loss_limit", "of_budget": 0.05}]}),
    sim.Design.model_validate(
        {
            "name": "capped",
            "exclusion": {"kind": "cap", "at": CAP},
            "terms": [{"kind": "share", "gain": 0.5, "loss": 0.5}],
        }
    ),
)
RUNS, REPLICATES = 40, 1_000


def skewed(cv: float = 3.0, replicates: int = REPLICATES, **more: Any) -> sim.Scenario:
    """A thousand people whose excess kurtosis is 12 at a cv of 3."""
    simulation = {"replicates": replicates, "population_sizes": [1_000], "thresholds": [CAP, np.inf], "seed": 5}
    return alone({"family": "lognormal", "mean": 1_000.0, "cv": cv}, simulation=simulation, **more)


@pytest.fixture(scope="module")
def outcome() -> xr.Dataset:
    return sim.settle(sim.simulate(skewed(replicates=RUNS * REPLICATES), progress=False), DESIGNS)


@pytest.fixture(scope="module")
def runs(outcome: xr.Dataset) -> list[xr.Dataset]:
    return [sim.compare(outcome.isel(replicate=slice(b * REPLICATES, (b + 1) * REPLICATES))) for b in range(RUNS)]


def coverage(runs: list[xr.Dataset], outcome: xr.Dataset, figure: str, at: Mapping[str, Any]) -> float:
    """Share of runs whose 95% interval holds the figure of all runs together."""
    whole = outcome["surplus"].std("replicate", ddof=1)
    whole = whole if figure == "sd_surplus" else whole - whole.isel(design=0)
    truth = whole.sel(at).item()
    held = [abs(run[figure].sel(at).item() - truth) <= 1.96 * run[f"{figure}_se"].sel(at).item() for run in runs]
    return float(np.mean(held))


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("design", ["full", "unequal", "limit", "capped"])
@pytest.mark.parametrize("party", ["provider", "payer"])
def test_intervals_hold_the_truth(
    runs: list[xr.Dataset], outcome: xr.Dataset, figure: str, design: str, party: str
) -> None:
    at = {"design": design, "party": party, "population_size": 1_000}
    if not runs[0][figure].sel(at).item():
        pytest.skip("nothing moves")
    assert coverage(runs, outcome, figure, at) >= 0.875  # 40 runs at 95%: 35 or more, but for 1.5%


@pytest.mark.heavy
def test_the_twin_a_samples_own_fourth_moment_does_not(runs: list[xr.Dataset], outcome: xr.Dataset) -> None:
    at = {"design": "full", "party": "provider", "population_size": 1_000}
    own = []
    for run, start in zip(runs, range(0, RUNS * REPLICATES, REPLICATES), strict=True):
        surplus = outcome["surplus"].isel(replicate=slice(start, start + REPLICATES)).sel(at).values
        spread = ((surplus - surplus.mean()) ** 2).std(ddof=1) / (2 * surplus.std(ddof=1) * np.sqrt(REPLICATES))
        own.append(run.assign(sd_surplus_se=xr.full_like(run["sd_surplus_se"], spread)))
    assert coverage(own, outcome, "sd_surplus", at) < coverage(runs, outcome, "sd_surplus", at) - 0.04
    medians = [np.median([run["sd_surplus_se"].sel(at).item() for run in found]) for found in (own, runs)]
    assert medians[0] < 0.8 * medians[1]


def test_full_risk_has_the_error_of_the_cost_itself() -> None:
    """As `summarise` states it, from the exact fourth moment; with sets too."""
    sets = {"parameter_sets": [{"segment": "all", "mean": [900.0, 1_100.0]}]}
    for whole in (skewed(), skewed(population=sets)):
        ledger = sim.simulate(whole, progress=False)
        known = sim.summarise(ledger).sel(population_size=1_000, threshold=np.inf)
        found = sim.compare(sim.settle(ledger, DESIGNS[0])).isel(design=0).sel(party="provider", population_size=1_000)
        assert found["sd_surplus"].item() == pytest.approx(known["sd_cost"].item(), rel=1e-9)
        assert found["sd_surplus_se"].item() == pytest.approx(known["sd_cost_se"].item(), rel=0.03)


def test_without_a_fourth_moment_the_jackknife_speaks() -> None:
    heavy = alone(
        {"family": "pareto", "scale": 500.0, "alpha": 3.0},
        simulation={"replicates": 300, "population_sizes": [1_000], "thresholds": [np.inf], "seed": 5},
    )
    outcome = sim.settle(sim.simulate(heavy, progress=False), DESIGNS[:2])
    surplus = outcome["surplus"].sel(party="provider").isel(population_size=0).values
    left_out = np.array([np.delete(surplus, i, axis=0).std(axis=0, ddof=1) for i in range(300)])
    for name, values in (("sd_surplus", left_out), ("sd_difference", left_out - left_out[:, :1])):
        by_hand = np.sqrt(299 * values.var(axis=0))
        found = sim.compare(outcome)[f"{name}_se"].sel(party="provider").isel(population_size=0)
        np.testing.assert_allclose(found, by_hand, rtol=1e-6, atol=1e-6)
