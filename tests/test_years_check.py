"""The check of a run of many years: few replicates raise no false alarm, and years that do not go together do."""

from __future__ import annotations

import copy
from functools import cache

import numpy as np
import pytest
from conftest import SMALL

import simulator as sim
from simulator.analysis.statistics import self_check
from simulator.scenario import scenario_from

NORMAL = {"name": "all", "share": 1.0, "p_user": 0.9, "severity": {"family": "gamma", "mean": 1_000.0, "cv": 0.8}}


@pytest.fixture
def scenario() -> sim.Scenario:
    raw = copy.deepcopy(SMALL) | {"years": {"contract": 6, "before": 6, "persistence": "published"}}
    raw["population"] = {"membership": "fixed", "segments": [NORMAL]}
    raw["simulation"] |= {"population_sizes": [1_500], "thresholds": [float("inf")], "replicates": 120}
    return scenario_from(raw, "scenario")


def test_a_run_of_few_replicates_and_many_years_raises_no_false_alarm(
    scenario: sim.Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that was stopped early: 66 pairs of years, and 3 or 12 replicates whose variances are far from normal."""
    ledger = sim.simulate(scenario, progress=False)
    real = self_check.between_years
    once = cache(lambda: real(scenario.cost_model, *asked[0]))
    asked: list[tuple[object, object]] = []

    def kept(_, layers, heads):
        asked.append((layers, heads))
        return once()

    monkeypatch.setattr(self_check, "between_years", kept)
    few = [slice(start, start + count) for count in (3, 12) for start in (0, 30, 60)]
    checks = [sim.summarise(ledger.isel(replicate=part)).attrs["check"] for part in few]
    assert checks.count("failed") == 0
    whole = sim.summarise(ledger)
    assert whole.attrs["check"] == "passed" and np.isfinite(whole["z_covariance"]).any()
    # the control: each year's replicates in an order of their own
    mixed = ledger.copy(deep=True)
    for year in range(0, ledger.sizes["year"], 2):
        for name in ("gross_cost", "excess_cost", "above_cost", "n_above"):
            mixed[name].values[:, year] = np.roll(mixed[name].values[:, year], 7 * (year + 1), axis=0)
    assert sim.summarise(mixed).attrs["check"] == "failed"


def test_the_score_of_a_variance_is_a_normal_one() -> None:
    """Variances of 4 normal numbers: the plain z-score passes 4 forty times too often, the judged one as it should."""
    variances = np.random.default_rng(1).chisquare(3, 200_000) / 3
    z = (variances - 1) / np.sqrt(2 / 3)
    judged = self_check._normal_score(z, np.zeros(z.shape), 4)
    assert abs(judged.mean()) < 0.01 and judged.std() == pytest.approx(1, abs=0.01)
    above = [(score > 3.09).mean() for score in (z, judged)]
    assert above[1] == pytest.approx(0.001, abs=0.0003) and above[0] > 0.005
