"""Variance by source: it adds up, and each part is what it is said to be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import LOGNORMAL, SHOCKS, alone, make
from scipy import stats

import simulator as sim
from simulator.analysis.luck.systematic import variance_by_source
from simulator.present.answers.variance_by_source import page as sources_report

SIMULATION = {"population_sizes": [100, 10_000, 1_000_000], "thresholds": [5_000.0, math.inf]}


@pytest.mark.heavy
@pytest.mark.parametrize("membership", ["fixed", "sampled"])
def test_the_sources_add_up_to_the_exact_variance(membership):
    scenario = make(shocks=SHOCKS, population={"membership": membership}, simulation=SIMULATION)
    split, whole = variance_by_source(scenario), sim.exact(scenario)
    assert split["sd_overspend"].values == pytest.approx(whole["cv"].values, rel=1e-7)
    assert split["share"].sum("source").values == pytest.approx(1.0)
    assert (split["variance"].sel(source="parameter") == 0).all()


def test_without_shocks_all_is_luck():
    split = variance_by_source(make(simulation=SIMULATION))
    assert (split["share"].sel(source="process") == 1).all()
    assert np.isinf(split["enough_people"]).all()


def test_luck_falls_with_size_and_the_rest_stays():
    variance = variance_by_source(make(shocks=SHOCKS, simulation=SIMULATION))["variance"]
    process = variance.sel(source="process").values
    assert process[0] == pytest.approx(100 * process[1], rel=1e-3)
    assert process[1] == pytest.approx(100 * process[2], rel=1e-3)
    assert variance.sel(source="systematic").values == pytest.approx(
        np.tile(variance.sel(source="systematic").values[0], (3, 1)), rel=1e-3
    )


def test_the_size_that_is_enough_is_where_luck_equals_the_shock():
    p, cv, shock = 0.7, LOGNORMAL["cv"], 0.05
    scenario = alone(
        LOGNORMAL,
        p_user=p,
        shocks=[{"name": "prices", "cv": shock}],
        simulation={"population_sizes": [1_000], "thresholds": [math.inf]},
    )
    enough = float(variance_by_source(scenario)["enough_people"][0])
    # luck is scaled by E[λ²] = 1 + shock²; the truncated law is the closed one to 1e-7
    assert enough == pytest.approx(((1 + cv**2) / p - 1) * (1 + shock**2) / shock**2, rel=1e-5)


def test_doubt_about_the_parameters_is_the_variance_between_them():
    low, high = (
        alone(LOGNORMAL | {"mean": m}, simulation={"population_sizes": [100_000], "thresholds": [math.inf]})
        for m in (980.0, 1_020.0)
    )
    split = variance_by_source(low, [low, high], weights=[3.0, 1.0])
    mean = 0.75 * 980 + 0.25 * 1_020
    between = 0.75 * (980 - mean) ** 2 + 0.25 * (1_020 - mean) ** 2
    within = (0.75 * 980**2 + 0.25 * 1_020**2) * LOGNORMAL["cv"] ** 2 / 100_000
    assert float(split["variance"].sel(source="parameter").item()) == pytest.approx(between / mean**2, rel=1e-9)
    assert float(split["variance"].sel(source="process").item()) == pytest.approx(within / mean**2, rel=1e-9)
    assert float(split["enough_people"][0]) == pytest.approx(within * 100_000 / between, rel=1e-9)


def test_the_parts_are_those_of_draws():
    scenario = make(
        shocks=SHOCKS[:1], simulation={"population_sizes": [3_000], "thresholds": [math.inf], "replicates": 4_000}
    )
    ledger = sim.simulate(scenario, progress=False)
    factor = ledger["shock_factor"].isel(shock=0).values
    cost = ledger["gross_cost"].values[:, 0]
    mean = cost.mean()
    residual = cost - mean * factor  # without exclusion the mean given the shock is proportional to it
    split = variance_by_source(scenario)["variance"].values[:, 0, 0]
    drawn = np.array([residual.var(), (mean * factor).var()]) / mean**2
    alarm = 4.5 * math.sqrt(2 / 4_000) * 1.5
    assert np.abs(drawn / split[:2] - 1).max() < alarm
    assert abs(drawn[0] / split.sum() - 1) > alarm  # the whole is not the part
    assert stats.pearsonr(residual, factor).pvalue > 1e-4


def test_the_split_is_told():
    shown = str(sources_report(variance_by_source(make(shocks=SHOCKS, simulation=SIMULATION))))
    assert "1,000,000" in shown and "luck is half at" in shown and "no size" not in shown
    assert "no size" in str(sources_report(variance_by_source(make(simulation=SIMULATION))))


def test_mistakes_are_told():
    scenario = make(simulation=SIMULATION)
    with pytest.raises(sim.SimulatorError, match="one for each"):
        variance_by_source(scenario, [scenario], weights=[1.0, 2.0])
    with pytest.raises(sim.SimulatorError, match="one for each"):
        variance_by_source(scenario, [scenario], weights=[-1.0])
