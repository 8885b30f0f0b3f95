"""What a ledger without its scenario still knows: the exact means of what it draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import simulator as sim
from simulator.ledger import by_unit, fingerprint
from simulator.runs import scenario_of
from simulator.scenario import scenario_from
from simulator.settlement.populations import Populations
from simulator.stresses import MeanCost, Stress

VALUES = np.exp(np.random.default_rng(5).normal(6.5, 1.4, 400)).round(2).tolist()
OBSERVED = {"name": "observed", "share": 0.8, "p_user": 0.7, "severity": {"family": "empirical", "values": VALUES}}
FITTED = {"name": "fitted", "share": 0.2, "severity": {"family": "gamma", "mean": 3_000.0, "cv": 1.5}}
FULL = sim.Design(name="full risk", exclusion=sim.Cap(at=np.inf))
HALF = sim.Design.model_validate(
    {
        "name": "half", "exclusion": {"kind": "cap", "at": 20_000.0},
        "terms": [{"kind": "share", "gain": 0.5, "loss": 0.3}],
    }
)  # fmt: skip

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "sampled": {"population": {"membership": "sampled"}},
    "shocks": {"shocks": [{"name": "prices", "cv": 0.02}]},
    "units": {"population": {"units": [{"name": "north", "members": 700}, {"name": "south", "members": 300}]}},
    "rare services": {
        "population": {
            "rare_services": [
                {"name": "gene", "rate_per_100k": 50.0, "price": {"family": "gamma", "mean": 80_000.0, "cv": 0.2}}
            ]
        }
    },
    "percentiles": {"simulation": {"thresholds": {"percentiles": [0.95, 1.0]}}},
    "sets": {"population": {"parameter_sets": [{"segment": "fitted", "mean": [2_000.0, 3_000.0, 4_000.0]}]}},
}


def observed(population: Any = None, simulation: Any = None, **more: Any) -> sim.Scenario:
    drawn = {"replicates": 60, "population_sizes": [500, 1_000], "thresholds": [20_000.0, np.inf], "seed": 4}
    drawn |= simulation or {}
    if "units" in (population or {}):
        del drawn["population_sizes"]
    people = {"segments": [OBSERVED, FITTED]} | (population or {})
    return scenario_from({"title": "bills", "simulation": drawn, "population": people} | more)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> sim.Scenario:
    return observed(**KINDS[request.param])


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("which", [slice(0, 4, 3), pytest.param(slice(1, 3), marks=pytest.mark.slow)], ids=str)
def test_a_withheld_scenario_leaves_its_exact_means(kind: sim.Scenario, which: slice) -> None:
    ledger = sim.simulate(kind, progress=False)
    assert scenario_of(ledger) is None
    point = float(ledger["threshold"][0])
    rules = (sim.Cap(), sim.CarveOut(), sim.Cap(at=point), sim.CarveOut(at=point, keep_capitation=True))
    for rule in rules[which]:
        blind, known = sim.summarise(ledger, rule), sim.summarise(ledger, rule, scenario=kind)
        for name in ("budget", "exact_mean", "p_overspend", "expected_overspend"):
            np.testing.assert_allclose(blind[name], known[name], rtol=1e-12, err_msg=name)
        assert blind.attrs["check"] == "not judged"
    own_mean = sim.retained_cost(ledger, sim.Cap(at=point)).mean("replicate")
    assert np.abs(own_mean / sim.summarise(ledger, sim.Cap(at=point))["budget"] - 1).max() > 1e-3


def test_units_know_theirs() -> None:
    units = observed(**KINDS["units"])
    apart = by_unit(sim.simulate(units, progress=False))
    np.testing.assert_allclose(sim.summarise(apart)["budget"], sim.summarise(apart, scenario=units)["budget"])


@pytest.mark.heavy
def test_what_is_kept_survives_the_file_and_the_merging(tmp_path: Path) -> None:
    whole = observed()
    parts = [
        sim.simulate(whole.with_simulation(replicates=30), progress=False, first_replicate=first) for first in (0, 30)
    ]
    sim.save(parts[0], tmp_path / "run.nc")
    merged = sim.merge([sim.open_ledger(tmp_path / "run.nc"), parts[1]])
    ledger = sim.simulate(whole, progress=False)
    xr.testing.assert_allclose(sim.settle(merged, FULL)["budget"], sim.settle(ledger, FULL)["budget"])
    assert fingerprint(merged) == fingerprint(ledger)


def test_the_budget_is_the_exact_mean_and_not_that_of_the_run() -> None:
    whole = observed(simulation={"replicates": 400})
    settled = sim.settle(sim.simulate(whole, progress=False), (FULL, HALF))
    exact = sim.exact(whole)["mean_cost"].sel(population_size=1_000)
    for name, threshold in (("full risk", np.inf), ("half", 20_000.0)):
        budget = settled["budget"].sel(design=name, population_size=1_000)
        np.testing.assert_allclose(budget, float(exact.sel(threshold=threshold)), rtol=1e-12)
    compared = sim.compare(settled).sel(design="full risk", party="provider", population_size=1_000)
    assert 0.1 < abs(compared["expected_surplus"] / compared["expected_surplus_se"]) < 4, "luck has moved it"


@pytest.mark.heavy
def test_errors_of_a_share_are_as_large_as_the_errors() -> None:
    """A budget that is the mean of its own run moves with it, and so is off by less than is stated."""
    ledger = sim.simulate(observed(simulation={"replicates": 4_000, "population_sizes": [1_000]}), progress=False)
    blind = ledger.drop_vars([name for name in ledger if str(name).startswith("expected_")])

    def surplus(drawn: xr.Dataset) -> xr.DataArray:
        return sim.settle(drawn, HALF)["surplus"].sel(party="provider").isel(design=0, population_size=0)

    blocks = [slice(start, start + 100) for start in range(0, 4_000, 100)]
    drawn = surplus(ledger).values.reshape(40, 100)
    with_own_mean = [float(surplus(blind.isel(replicate=block)).mean()) for block in blocks]
    stated = np.sqrt((drawn.var(axis=1, ddof=1) / 100).mean())
    assert 0.7 < stated / drawn.mean(axis=1).std(ddof=1) < 1.4
    assert stated / np.std(with_own_mean, ddof=1) > 1.8


@pytest.mark.heavy
def test_a_stress_leaves_the_budget_as_it_was_agreed() -> None:
    whole = observed(simulation={"replicates": 200})
    dearer = sim.stress(whole, [Stress(name="dearer", changes=(MeanCost(by=0.1),))], [FULL], members=1_000)
    moved = dearer["surplus_difference"].sel(stress="dearer", party="provider").item()
    mean = sim.describe(whole)["mean"] * 1_000
    assert moved == pytest.approx(-0.1 * mean, rel=0.1)
    detected = sim.detection(whole, [FULL], (0.05,), population_sizes=[1_000])["expected_settlement"]
    assert float(detected.diff("saving").item()) == pytest.approx(0.05, rel=0.1)


def test_a_benchmark_of_past_years_is_unbiased_without_the_scenario() -> None:
    whole = observed(**(KINDS["sets"] | {"simulation": {"replicates": 900}}))
    past = {"kind": "past_years", "weights": [1.0], "correlation": [0.5]}
    ledger = sim.simulate(whole, progress=False)
    budget = sim.settle(ledger, sim.Design.model_validate({"name": "past", "budget": past}))["budget"]
    missed = (budget - ledger["gross_cost"]).sel(population_size=1_000).isel(design=0).values
    sd = np.concatenate([missed[b::3] for b in range(3)]).std()
    for b in range(3):
        assert abs(missed[b::3].mean()) < 5 * sd / np.sqrt(300)
    assert missed.std() < 1.2 * sd
    known = Populations(ledger).means_by_set(None)
    assert known.shape == (3, 2) and (np.diff(known[:, 1]) > 150_000).all()
