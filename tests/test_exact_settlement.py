"""Expected settlements without draws: by hand, against draws, and where only draws can tell."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import ROOT

import simulator as sim
from simulator.analysis.designs.exact_settlement import exact_settlement, followed, needs_draws, weighed
from simulator.analysis.statistics.exact import law_of
from simulator.analysis.statistics.self_check import cells_of
from simulator.runs import heads

INF = float("inf")
PARTIES = [{"name": "commissioner", "funds": 1.0}, {"name": "provider", "delivers": 1.0}]
DESIGNS = {
    "full risk": {},
    "shared": {"terms": [{"kind": "share", "gain": 0.5, "loss": 0.3}]},
    "gate": {"terms": [{"kind": "minimum_rate", "rate": 0.02}, {"kind": "share", "gain": 0.5, "loss": 0.5}]},
    "limited": {"terms": [{"kind": "gain_cap", "of_budget": 0.03}, {"kind": "loss_limit", "of_budget": 0.02}]},
    "capped": {"exclusion": {"kind": "cap", "at": 20_000.0}, "terms": [{"kind": "share", "gain": 0.4, "loss": 0.4}]},
}  # fmt: skip


@pytest.fixture(scope="module")
def scenario() -> sim.Scenario:
    return sim.Scenario.model_validate(
        {
            "title": "t",
            "simulation": {
                "replicates": 20_000, "population_sizes": [2_000, 10_000], "thresholds": [20_000, INF], "seed": 9,
            },
            "population": {
                "segments": [
                    {"name": "a", "share": 0.9, "severity": {"family": "lognormal", "mean": 800.0, "cv": 1.5}},
                    {"name": "b", "share": 0.1, "severity": {"family": "gamma", "mean": 9_000.0, "cv": 1.2}},
                ]
            },
            "shocks": [{"name": "prices", "cv": 0.02}],
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def designs() -> list[sim.Design]:
    return [sim.Design.model_validate({"name": name, "parties": PARTIES, **parts}) for name, parts in DESIGNS.items()]


@pytest.fixture(scope="module")
def compared(scenario, designs):
    return sim.compare(sim.settle(sim.simulate(scenario, progress=False), designs))


def scores(exact, compared):
    names = ("expected_payment", "expected_cost_borne", "expected_surplus")
    found = []
    for name in names:
        difference = (compared[name] - exact[name]).transpose("population_size", "design", "party")
        error = compared[f"{name}_se"].transpose(*difference.dims)
        budget = float(np.abs(exact["expected_cost_borne"]).max())
        found.append((difference / np.maximum(error, 1e-9 * budget)).values.ravel())
    return np.concatenate(found)


@pytest.mark.heavy
@pytest.mark.no_cover
def test_draws_agree(scenario, designs, compared):
    z = scores(exact_settlement(scenario, designs), compared)
    assert z.size == 2 * 5 * 2 * 3
    assert np.isfinite(z).all()
    assert np.abs(z).max() < 5


@pytest.mark.heavy
def test_another_design_does_not_agree(scenario, designs, compared):
    other = [
        sim.Design.model_validate({"name": name, "parties": PARTIES, **parts})
        for name, parts in (DESIGNS | {"shared": {"terms": [{"kind": "share", "gain": 0.5, "loss": 0.4}]}}).items()
    ]
    assert np.abs(scores(exact_settlement(scenario, other), compared)).max() > 5


def test_a_fair_budget_at_full_risk_expects_nothing(scenario, designs):
    surplus = exact_settlement(scenario, designs[:1])["expected_surplus"].sel(party="provider")
    budget = sim.exact(scenario)["mean_cost"].sel(threshold=INF)
    assert float(np.abs(surplus.values[:, 0] / budget.values).max()) < 1e-9


def test_a_jump_is_weighed_with_the_law(scenario):
    rule = sim.Cap(at=INF)
    law = law_of(scenario, rule, INF, 0, cells_of(scenario, rule, [INF], heads(scenario)))
    at = law.mean * 1.0123

    def curves(x):
        return np.stack([1.0 * (x > at), np.maximum(x - at, 0.0), 7.0 + 2.0 * x + 1e6 * (x > at)], axis=1)

    jump, kink, both = weighed(law, *followed(law, curves))
    assert jump == pytest.approx(float(1 - law.cdf(at)), abs=1e-8)
    assert kink == pytest.approx(float(law.stop_loss(at)), rel=1e-8)
    assert both == pytest.approx(7 + 2 * law.mean + 1e6 * float(1 - law.cdf(at)), rel=1e-8)


def test_what_needs_draws_is_told_and_not_guessed():
    scenario = sim.load(ROOT / "configs" / "arrangements" / "08-mid-nottinghamshire.toml")
    answer = exact_settlement(scenario)
    assert answer["needs_draws"].values.tolist() == ["quality is drawn"]
    assert answer["expected_surplus"].isnull().all()


POOLED = [*PARTIES, {"name": "pool"}]
CAPPED = {"kind": "cap", "at": 20_000.0}
POOL = {"kind": "risk_pool", "pool": "pool", "opening": 0.02}
WATCHED = {
    "pool pays the excess": {
        "exclusion": CAPPED, "protection": {"payer": "pool"}, "transfers": [POOL | {"protects": ["provider"]}],
    },
    "pool protects who bears the excess": {
        "exclusion": CAPPED, "transfers": [POOL | {"protects": ["commissioner"]}],
    },
    "pool returns its profit": {
        "exclusion": CAPPED, "protection": {"payer": "pool"},
        "transfers": [{"kind": "profit_return", "party": "pool", "rate": 0.0}],
    },
}  # fmt: skip


@pytest.mark.parametrize("parts", WATCHED.values(), ids=WATCHED)
def test_a_transfer_that_follows_the_excess_needs_draws(scenario, parts):
    design = sim.Design.model_validate({"name": "x", "parties": POOLED, **parts})
    assert "excess" in needs_draws(scenario, design)
    assert exact_settlement(scenario, [design])["expected_surplus"].isnull().all()


@pytest.mark.heavy
@pytest.mark.parametrize("parts", WATCHED.values(), ids=WATCHED)
def test_without_exclusion_the_same_transfer_has_its_answer(scenario, parts):
    design = sim.Design.model_validate({"name": "x", "parties": POOLED, **parts, "exclusion": CAPPED | {"at": INF}})
    compared = sim.compare(sim.settle(sim.simulate(scenario, progress=False), [design]))
    assert np.abs(scores(exact_settlement(scenario, [design]), compared)).max() < 5


def test_every_arrangement_is_answered_or_says_why():
    told = set()
    for path in sorted((ROOT / "configs" / "arrangements").glob("*.toml")):
        scenario = sim.load(path)
        told |= {needs_draws(scenario, design) for design in scenario.designs}
    assert "" in told
    assert len(told) > 3


def test_a_swept_threshold_is_refused(scenario):
    with pytest.raises(sim.SimulatorError, match="threshold of its own"):
        exact_settlement(scenario, [sim.Design.model_validate({"name": "x", "exclusion": {"kind": "cap"}})])
