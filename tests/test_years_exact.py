"""Several years of partly the same people, without draws: covariances, and laws of sums of years."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from conftest import diagonal

import simulator as sim
from simulator import runs
from simulator.analysis.statistics.exact_years import Pooled
from simulator.analysis.statistics.self_check import cells_of
from simulator.errors import SimulatorError
from simulator.scenario import scenario_from

CONFIGS = Path(__file__).parents[1] / "configs"
WELL = {"name": "well", "share": 0.8, "p_user": 0.7, "severity": {"family": "lognormal", "mean": 900.0, "cv": 2.5}}
COMPLEX = {"name": "complex", "share": 0.2, "p_user": 0.95, "severity": {"family": "gamma", "mean": 9_000.0, "cv": 1.5}}
CLASSES = {"slabs": [0.05, 0.2, 1.0], "weights": [[0.8, 0.2], [0.5, 0.5], [0.1, 0.9]]}
MOVES = {"well": {"complex": 0.02}, "complex": {"well": 0.08}}
CORRELATED = {"correlation": {1: 0.4, 2: 0.35}}


def years_of(stay=0.9, membership="fixed", segments=(WELL, COMPLEX), simulation=None, shocks=(), **years):
    drawn = {"replicates": 3_000, "population_sizes": [500, 2_000], "thresholds": [10_000.0, math.inf], "seed": 3}
    raw = {
        "schema_version": 1, "title": "Years", "currency": "GBP", "simulation": drawn | (simulation or {}),
        "population": {"membership": membership, "segments": list(segments)}, "shocks": list(shocks),
        "years": {"contract": 3, "before": 1, "persistence": CLASSES | {"stay": stay}} | years,
    }  # fmt: skip
    if raw["years"]["contract"] == 0:
        raw.pop("years")
    return scenario_from(raw, "scenario")


def alone(**given):
    return years_of(contract=0, **given)


def correlation(covariance):
    sd = np.sqrt(np.diag(covariance))
    return covariance / np.outer(sd, sd)


ONE = {"segments": [COMPLEX | {"share": 1.0}]}


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("membership", "more"), [("fixed", {}), ("held", {"moves": MOVES, "leavers": 0.1}), ("sampled", {"moves": MOVES})]
)
def test_variances_are_those_of_the_scenario_of_one_year(membership, more):
    scenario = years_of(membership=membership, **more)
    single = alone(membership="sampled" if membership == "sampled" else "fixed")
    wanted = cells_of(single, sim.Cap(), [10_000.0, math.inf], runs.heads(single)).sd ** 2
    found = np.einsum("ptyy->pty", sim.year_covariance(scenario)["covariance"].values)
    np.testing.assert_allclose(found, np.repeat(wanted[..., None], 4, axis=2), rtol=1e-12)


@pytest.mark.heavy
def test_every_year_of_a_stationary_scenario_has_the_exact_answer_of_one_year():
    found, wanted = sim.exact(years_of()), sim.exact(alone())
    assert found["p_overspend"].dims == ("year", "population_size", "threshold", "margin")
    for year in (0, 1, 2, 3):
        np.testing.assert_array_equal(found["p_overspend"].sel(year=year), wanted["p_overspend"])
    # the control: leavers' places go to anybody, so that the case mix of later years varies
    mixed = sim.exact(years_of(leavers=0.1))["p_overspend"].sel(year=3)
    assert abs(mixed - wanted["p_overspend"]).max() > 0.005


def test_years_without_persistence_are_independent_and_add_up_to_a_larger_population():
    scenario = years_of(stay=0.0, simulation={"population_sizes": [500]}, **ONE)
    covariance = sim.year_covariance(scenario)["covariance"].values[0, 1]
    np.testing.assert_allclose(correlation(covariance), np.eye(4), atol=1e-12)
    larger = sim.exact(alone(simulation={"population_sizes": [1_500]}, **ONE))
    pooled = sim.exact(scenario, pool_years={1: 1, 2: 1, 3: 1})
    for name in ("mean_cost", "sd_cost", "quantile_cost", "expected_overspend"):
        np.testing.assert_allclose(pooled[name].values, larger[name].values, rtol=1e-6)
    np.testing.assert_allclose(pooled["p_overspend"].values, larger["p_overspend"].values, atol=2e-7)
    # the control: with persistence it does not
    apart = sim.exact(years_of(stay=0.9, simulation={"population_sizes": [500]}, **ONE), pool_years={1: 1, 2: 1, 3: 1})
    assert abs(float(apart["p_overspend"][0, 1, 0] - larger["p_overspend"][0, 1, 0])) > 0.003


def test_classes_for_good_correlate_years_by_what_they_explain():
    scenario = years_of(stay=1.0, membership="held", **ONE)
    model = scenario.cost_model.by_year
    laws = [(stream.rate, stream.severity.moments.raw) for stream in model.streams]
    mean, square = (np.array([rate * raw[k] for rate, raw in laws]) for k in (1, 2))
    explained = model.class_shares @ mean**2 - (model.class_shares @ mean) ** 2
    wanted = explained / (model.class_shares @ square - (model.class_shares @ mean) ** 2)
    found = correlation(sim.year_covariance(scenario)["covariance"].values[1, 1])
    np.testing.assert_allclose(found[~np.eye(4, dtype=bool)], wanted, rtol=1e-9)


def test_three_pooled_years_are_worth_what_the_correlations_say():
    scenario = years_of(
        membership="held", persistence=CORRELATED, simulation={"population_sizes": [10_000], "thresholds": [math.inf]},
        **ONE,
    )  # fmt: skip
    covariance = sim.year_covariance(scenario)["covariance"].sel(year=[1, 2, 3], year_other=[1, 2, 3]).values[0, 0]
    worth = 10_000 * np.diag(covariance).mean() / covariance.mean()
    assert round(worth) == 16_981  # 9 / (3 + 2 (2 × 0.4 + 0.35)) × 10,000


SHOCK = {"name": "prices", "cv": 0.1, "persistence": 0.7}


@pytest.mark.heavy
def test_shocks_that_persist_move_years_together():
    calm = years_of(simulation={"thresholds": [math.inf]})
    moved = years_of(shocks=[SHOCK], simulation={"thresholds": [math.inf]})
    without, found = (sim.year_covariance(s)["covariance"].values[:, 0] for s in (calm, moved))
    mean = sim.exact(alone(simulation={"thresholds": [math.inf]}))["mean_cost"].values[:, 0]
    lag = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    together = np.exp(math.log1p(0.1**2) * 0.7**lag)
    wanted = without * together + mean[:, None, None] ** 2 * (together - 1)
    apart = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(found[:, apart], wanted[:, apart], rtol=3e-3)
    assert np.abs(found[:, apart] / without[:, apart] - 1).min() > 0.5  # the control


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("shocks", "weights"),
    diagonal(
        [(), (SHOCK, {"name": "winter", "probability": 0.2, "by": 0.1})],
        [{1: 1.0, 2: 1.0, 3: 1.0}, {2: 1.0, 1: -0.6, 0: -0.4}],
    ),
)
def test_laws_of_sums_of_years_are_those_that_are_drawn(shocks, weights):
    scenario = years_of(shocks=list(shocks), leavers=0.1, moves=MOVES, simulation={"replicates": 6_000})
    drawn = sim.simulate(scenario, progress=False)
    kept = drawn["gross_cost"] - drawn["excess_cost"]
    total = sum(weight * kept.sel(year=year) for year, weight in weights.items()).values
    pooled = Pooled(scenario, sim.Cap(), [10_000.0, math.inf], dict(sorted(weights.items())))
    for at in np.ndindex(pooled.mean.shape):
        own, law = total[:, at[0], at[1]], pooled.law(at)
        for level in (0.05, 0.5, 0.95):
            error = math.sqrt(level * (1 - level) / own.size)
            share = (own <= law.quantile(level)).mean()
            assert abs(share - level) < 4.5 * error + law.beyond
        assert abs((own.mean() - pooled.mean[at]) / pooled.sd[at]) < 4.5 / math.sqrt(own.size)
        # the control: years taken for independent
        wrong = pooled.mean[at] + 1.3 * (law.quantile(0.95) - pooled.mean[at])
        assert abs((own <= wrong).mean() - 0.95) > 4.5 * math.sqrt(0.95 * 0.05 / own.size)


@pytest.mark.heavy
def test_a_benchmark_varies_as_the_totals_of_years_correlate_and_not_as_a_persons():
    scenario = years_of(
        membership="held", before=3, contract=1,
        simulation={"replicates": 20_000, "population_sizes": [1_000], "thresholds": [8_000.0]},
    )  # fmt: skip
    drawn = sim.simulate(scenario, progress=False)
    kept = (drawn["gross_cost"] - drawn["excess_cost"])[:, :, 0, 0]
    weights = np.array([0.1, 0.3, 0.6])
    variance = float(np.var(kept.sel(year=[-2, -1, 0]).values @ weights, ddof=1))
    covariance = sim.year_covariance(scenario)["covariance"].values[0, 0][:3, :3]
    lag = np.abs(np.subtract.outer(np.arange(3), np.arange(3)))
    by_person = np.append(1.0, sim.persistence(scenario)["correlation"].values[:2, 0])[lag] * covariance[0, 0]
    error = variance * math.sqrt(2.2 / 20_000)
    assert abs(weights @ covariance @ weights - variance) < 3 * error
    assert abs(weights @ by_person @ weights - variance) > 5 * error  # the control


def test_weights_that_cannot_be_are_refused_in_a_sentence():
    scenario = years_of(simulation={"population_sizes": [500]})
    for weights, said in (({9: 1.0}, "is no year"), ({1: 0.0}, "no weight"), ({1: 1.0, 2: -1.0}, "near 0")):
        with pytest.raises(SimulatorError, match=said):
            sim.exact(scenario, pool_years=weights)
    with pytest.raises(SimulatorError, match="are not given"):
        sim.year_covariance(alone())
