"""Shocks by segment, rare and correlated, against the slow simulator, which shares no code with the package."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import oracles
import pytest
from conftest import make, of_everybody, raw
from scipy import stats
from test_exact import ALARM

import simulator as sim
from simulator import runs
from simulator.analysis.statistics.self_check import cells_of

REPLICATES = 3_000
THRESHOLDS = [2_500.0, math.inf]
LEVELS = (0.1, 0.5, 0.9, 0.95)
SEGMENTS = [
    {"name": "well", "share": 0.6, "p_user": 0.9, "severity": {"family": "gamma", "mean": 1_000.0, "cv": 0.5}},
    {"name": "complex", "share": 0.4, "severity": {"family": "lognormal", "mean": 1_800.0, "cv": 0.6}},
]
GENE = {"name": "gene", "rate_per_100k": 3_000.0, "price": {"family": "gamma", "mean": 9_000.0, "cv": 0.3}}
HEAT = {"name": "heat", "cv": 0.3, "segments": ["well"]}
COLD = {"name": "cold", "cv": 0.25, "segments": ["complex"]}
PRICES = {"name": "prices", "cv": 0.1}
PLAGUE = {"name": "plague", "probability": 0.15, "by": 0.8, "segments": ["complex"]}
STRIKE = {"name": "strike", "probability": 0.3, "by": -0.5, "segments": ["well"]}


def pair(one, other, value):
    return [{"between": [one, other], "value": value}]


CASES = {
    "by segment": {"shocks": [HEAT, PRICES]},
    "rare": {"shocks": [PLAGUE, STRIKE]},
    "correlated": {"shocks": [HEAT, COLD, PRICES], "shock_correlations": pair("heat", "cold", 0.8)},
    "against each other": {"shocks": [HEAT, COLD], "shock_correlations": pair("heat", "cold", -0.8)},
    "rare and yearly": {"shocks": [HEAT, PLAGUE], "shock_correlations": pair("heat", "plague", 0.8)},
    "two rare": {"shocks": [PLAGUE, STRIKE, PRICES], "shock_correlations": pair("plague", "strike", 0.8)},
    "services": {
        "shocks": [{"name": "drug", "cv": 0.5, "segments": ["gene"]}, HEAT],
        "shock_correlations": pair("drug", "heat", 0.7),
        "population": {"rare_services": [GENE]},
    },
}
WRONG = {
    "everybody hit": ("by segment", {"shocks": [of_everybody(HEAT), PRICES]}),
    "the others hit": ("rare", {"shocks": [PLAGUE | {"segments": ["well"]}, STRIKE | {"segments": ["complex"]}]}),
    "not correlated": ("correlated", {"shock_correlations": []}),
    "the wrong sign": ("against each other", {"shock_correlations": pair("heat", "cold", 0.8)}),
    "rare and yearly apart": ("rare and yearly", {"shocks": [HEAT, PLAGUE], "shock_correlations": []}),
    "a strike that makes dear": ("two rare", {"shocks": [PLAGUE, STRIKE | {"by": 0.5}, PRICES]}),
}


def scenario_of(changes, membership):
    population = {"segments": SEGMENTS, "membership": membership} | changes.get("population", {})
    simulation = {"population_sizes": [60], "thresholds": THRESHOLDS, "replicates": REPLICATES}
    return changes | {"population": population, "simulation": simulation}


def drawn(name, membership, changes=()):
    given = scenario_of(CASES[name] | dict(changes), membership)
    return oracles.simulate(raw(**given), REPLICATES, np.random.default_rng(11))


@cache
def exactly(name, membership):
    """The exact answer of a case, worked out once for all tests."""
    return sim.exact(make(**scenario_of(CASES[name], membership)), quantiles=LEVELS)


def scores(slow, name, membership):
    """The slow simulator's mean, sd and chances of retained cost against the exact ones, in standard errors."""
    scenario = make(**scenario_of(CASES[name], membership))
    kept = slow["gross_cost"][:, 0, None] - slow["excess_cost"][:, 0]
    cells = cells_of(scenario, sim.Cap(), THRESHOLDS, runs.heads(scenario))
    mean, sd, kurtosis = cells.mean[0], cells.sd[0], cells.excess_kurtosis[0]
    found = {"mean": (kept.mean(axis=0) - mean) / (sd / math.sqrt(REPLICATES))}
    found["sd"] = (kept.var(axis=0, ddof=1) / sd**2 - 1) / np.sqrt((kurtosis + 2) / REPLICATES)
    quantiles = exactly(name, membership)["quantile_cost"].values[0]
    for k, level in enumerate(LEVELS):
        error = math.sqrt(level * (1 - level) / REPLICATES)
        found[f"P(cost ≤ quantile {level})"] = ((kept <= quantiles[:, k]).mean(axis=0) - level) / error
    found["n_above"] = (slow["n_above"][:, 0, 0].mean() - cells.n_above[0, 0]) / (
        cells.n_above_sd[0, 0] / math.sqrt(REPLICATES)
    )
    return found


def largest(found):
    return max(float(np.abs(z).max()) for z in found.values())


ORDINARY = {("by segment", "sampled"), ("rare", "fixed"), ("rare", "sampled"), ("rare and yearly", "sampled")}
"""Cases whose exact answers cost seconds, not half a minute; of the others `test_shocks` has draws every day."""


def marks(name, membership):
    if (name, membership) not in ORDINARY:
        return pytest.mark.slow
    return () if name == "rare" else pytest.mark.heavy


BOTH = ("fixed", "sampled")


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("name", "membership"),
    [pytest.param(name, kind, marks=marks(name, kind)) for name in sorted(CASES) for kind in BOTH],
)
def test_the_slow_simulator_draws_what_the_ledger_and_the_exact_engine_have(name, membership):
    scenario, slow = make(**scenario_of(CASES[name], membership)), drawn(name, membership)
    found = scores(slow, name, membership)
    assert largest(found) < ALARM, found
    ledger = sim.simulate(scenario, progress=False)
    for variable in ("gross_cost", "excess_cost", "above_cost", "n_above"):
        ours = ledger[variable].values.reshape(REPLICATES, -1)
        for one, other in zip(ours.T, slow[variable].reshape(REPLICATES, -1).T, strict=True):
            p = stats.ks_2samp(np.round(one, 4), np.round(other, 4), method="asymp").pvalue
            assert p > 5.7e-7, variable


LARGE = [("by segment", "sampled"), *((name, "fixed") for name in ("by segment", "correlated", "rare and yearly"))]


@pytest.mark.parametrize(("name", "membership"), [pytest.param(*case, marks=marks(*case)) for case in LARGE])
def test_large_shocks_to_few_people_leave_the_exact_law_exact(name, membership):
    assert float(exactly(name, membership)["probability_error"].max()) < 1e-4


@pytest.mark.parametrize(
    ("wrong", "membership"),
    [pytest.param(wrong, kind, marks=marks(WRONG[wrong][0], kind)) for wrong in sorted(WRONG) for kind in BOTH],
)
def test_the_comparison_notices_other_shocks(wrong, membership):
    name, changes = WRONG[wrong]
    assert largest(scores(drawn(name, membership, changes), name, membership)) > ALARM
