"""Means given the common factors: against the exact moments at a fixed factor, by hand, and against draws."""

from __future__ import annotations

import math

import numpy as np
import oracles
import pytest
from conftest import KINDS, RARE, SHOCKS, alone, make

import simulator as sim
from simulator.contracts.design import Design
from simulator.costs.conditional import kept_means
from simulator.costs.model import CostModel
from simulator.costs.moments import Exact
from simulator.settlement.populations import Populations
from simulator.settlement.settle import settle

HEADS = np.array([[70, 30], [700, 300]])
RULES = {"none": [], "cap": [(1.0, 0.0)], "carve out": [(0.0, 1.0)], "coinsured": [(0.8, 0.0)]}


def layers_of(rule, model, at=5_000.0, factor=1.0):
    """A rule's layers, its threshold divided by a factor."""
    return [(np.full(len(model.streams), at / factor), excess, whole) for excess, whole in RULES[rule]]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", ["fixed", "sampled", "rare"])
def test_agrees_with_the_exact_moments_at_every_factor(rule, kind):
    # a rule at d on the cost λX is λ times the rule at d/λ on X
    model = CostModel(population=make(**KINDS[kind]).population)
    factors = np.exp(np.linspace(-0.3, 0.3, 400))
    given = kept_means(model, HEADS, layers_of(rule, model), np.repeat(factors[:, None], len(model.streams), axis=1))
    exact = Exact(model)
    for at in (0, 137, 399):
        wanted = factors[at] * exact.total(HEADS, layers_of(rule, model, factor=factors[at])).mean
        assert np.allclose(given[at], wanted, rtol=1e-7)


def test_each_stream_has_its_own_factor():
    model = CostModel(population=make(population={"rare_services": RARE}).population)
    factors = np.array([[1.1, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.2, 5.0]])
    dearer, usual, rare = kept_means(model, HEADS[:1], [], factors)[:, 0]
    assert dearer - usual == pytest.approx(0.1 * 70 * 0.6 * 1_000.0)
    assert rare - usual == pytest.approx(0.2 * 100 * 0.009 * 30_000.0)  # the service out of scope counts for nothing


def test_observed_costs_jump_over_a_threshold():
    observed = {"family": "empirical", "values": [100.0, 4_000.0, 4_900.0], "weights": [1, 1, 1]}
    model = CostModel(population=alone(observed).population)
    factors = np.linspace(0.9, 1.3, 500)
    kept = kept_means(model, np.array([[3]]), layers_of("carve out", model), factors[:, None])[:, 0]
    by_hand = [sum(x * f for x in (100.0, 4_000.0, 4_900.0) if x * f <= 5_000.0) for f in factors]
    assert kept == pytest.approx(by_hand, rel=1e-9)


# ── the budget from past years, under a shock that moves everything and a cap that moves little ──

BENCHMARK = Design(
    name="benchmark",
    budget={"kind": "past_years", "weights": [0.1, 0.3, 0.6], "correlation": [0.4, 0.3]},
    exclusion={"kind": "cap", "at": 5_000.0},
)
REPLICATES = 4_000


@pytest.fixture(scope="module")
def shocked():
    return sim.simulate(make(shocks=SHOCKS, simulation={"replicates": REPLICATES, "population_sizes": [5_000]}))


def errors_of(luck, ledger):
    """C₀ − Σ w_k C_k apart from the year's shocks, in money."""
    populations = Populations(ledger)
    budget = settle(ledger, BENCHMARK)["budget"].values.ravel()
    return luck - (budget - float(populations.expected_retained(BENCHMARK.exclusion)[0, 0]))


def z_of_variance(errors, variance):
    """Standard errors by which a sample variance is off."""
    spread = (errors - errors.mean()) ** 2
    return (spread.mean() - variance) / (spread.std() / math.sqrt(errors.size))


def test_error_of_a_capped_benchmark_under_a_large_shock(shocked):
    populations = Populations(shocked)
    errors = errors_of(populations.luck(BENCHMARK.exclusion).ravel(), shocked)
    of_one = oracles.benchmark_error_variance(BENCHMARK.budget.weights, BENCHMARK.budget.correlation)
    variance = float(populations.luck_sd(BENCHMARK.exclusion)[0, 0]) ** 2 * of_one
    assert abs(z_of_variance(errors, variance)) < 5
    assert abs(errors.mean()) < 5 * math.sqrt(variance / REPLICATES)


def test_dividing_the_shock_out_of_capped_cost_is_noticed(shocked):
    # capped cost moves less than the factor, so a quotient carries the rest of the shock as if it were luck
    populations = Populations(shocked)
    factor = shocked["shock_factor"].prod("shock").values
    kept = populations.retained(BENCHMARK.exclusion).ravel()
    divided = kept / factor - float(populations.expected_retained(BENCHMARK.exclusion)[0, 0])
    variance = float(populations.luck_sd(BENCHMARK.exclusion)[0, 0]) ** 2
    assert abs(z_of_variance(populations.luck(BENCHMARK.exclusion).ravel(), variance)) < 5
    assert z_of_variance(divided, variance) > 5


def test_without_its_scenario_the_mean_is_fitted(shocked):
    anonymous = shocked.assign_attrs()
    del anonymous.attrs["scenario"]
    exact, fitted = (Populations(each).mean_given_shocks(BENCHMARK.exclusion) for each in (shocked, anonymous))
    sd = float(Populations(shocked).luck_sd(BENCHMARK.exclusion)[0, 0])
    assert np.sqrt(np.mean((fitted - exact) ** 2)) < 5 * sd * math.sqrt(5 / REPLICATES)
