"""The cost model: head-counts, shocks, percentiles."""

from __future__ import annotations

import math

import numpy as np
import oracles
import pytest
from conftest import FAMILIES, KINDS, RARE, SHOCKS, UNITS, alone, make, raw
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

import simulator as sim
from simulator.costs.model import head_counts
from simulator.costs.shocks import SHOCK_BOUND, Shock
from simulator.engine import kernels

SHARES = {
    "one": [1.0],
    "halves": [0.5, 0.5],
    "thirds": [1 / 3, 1 / 3, 1 / 3],
    "tenths": [0.1] * 10,
    "uneven": [0.58, 0.3, 0.08, 0.04],
    "tiny": [0.999, 0.000_9, 0.000_1],
    "a zero": [0.6, 0.0, 0.4],
}


# ── head-counts ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", sorted(SHARES))
def test_head_counts_follow_the_definition_of_sainte_lague(name):
    shares = np.array(SHARES[name])
    for n in [*range(1, 60), 97, 500, 1_001]:
        counts, seats = head_counts(n, shares), oracles.head_counts(n, shares)
        assert counts.sum() == n
        if not np.array_equal(counts, seats):
            # a tie, which rounding may break either way: whoever has a seat more has it by the same quotient
            differ = counts != seats
            quotients = (np.maximum(counts, seats)[differ] - 0.5) / shares[differ]
            assert np.abs(counts - seats).max() == 1 and np.ptp(quotients) < 1e-9 * quotients.max()
            assert name in ("tenths", "thirds", "uneven")


@given(st.lists(st.integers(1, 1_000), min_size=1, max_size=30), st.integers(0, 3_000_000))
def test_head_counts_are_those_of_one_divisor(weights, n):
    shares = np.array(weights) / sum(weights)
    counts = head_counts(n, shares)
    assert counts.sum() == n and counts.min() >= 0
    # some divisor rounds every share to its count: no segment is due a seat before one that has just had its own
    assert np.max((counts - 0.5) / shares) <= np.min((counts + 0.5) / shares) * (1 + 1e-12)
    assert np.abs(counts - shares * n).max() < max(1, shares.size / 2)


@pytest.mark.parametrize("name", sorted(SHARES))
def test_head_counts_are_nested_and_no_segment_shrinks(name):
    counts = np.array([head_counts(n, np.array(SHARES[name])) for n in range(0, 700)])
    steps = np.diff(counts, axis=0)
    assert steps.min() >= 0 and np.all(steps.sum(axis=1) == 1)


def test_largest_remainders_would_shrink_a_segment():
    # the rule that is not used: the test above must be able to fail
    shares = np.array([0.58, 0.3, 0.08, 0.04])

    def largest_remainder(n):
        floor = np.floor(shares * n).astype(int)
        floor[np.argsort(floor - shares * n, kind="stable")[: n - floor.sum()]] += 1
        return floor

    assert np.diff([largest_remainder(n) for n in range(1, 700)], axis=0).min() < 0


def test_a_segment_without_share_gets_nobody():
    assert head_counts(1_000, np.array([0.6, 0.0, 0.4])).tolist() == [600, 0, 400]


# ── shocks ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("cv", [1e-6, 0.015, 0.2, 1.0])
def test_a_shock_has_mean_one_and_is_bounded(cv):
    shock = Shock(name="a", cv=cv)
    sigma, scale = oracles.shock_law(cv)
    inside = integrate.quad(stats.norm.pdf, -6, 6)[0]
    mean = integrate.quad(
        lambda z: shock.scale * math.exp(shock.sigma * z) * stats.norm.pdf(z) / inside, -6, 6, epsabs=0, epsrel=1e-13
    )[0]
    assert mean == pytest.approx(1, abs=1e-12)
    assert (shock.sigma, shock.scale) == pytest.approx((sigma, scale), rel=1e-10)
    ends = shock.factor(np.array([2.0**-54, 1.0]))
    assert ends[1] <= shock.largest * (1 + 1e-12) and shock.largest == pytest.approx(
        scale * math.exp(SHOCK_BOUND * sigma)
    )
    assert ends[0] >= scale * math.exp(-SHOCK_BOUND * sigma) * (1 - 1e-12)


def test_factors_are_a_truncated_lognormal():
    shock = Shock(name="a", cv=0.3)
    drawn = shock.factor(kernels.uniforms(5, kernels.SHOCK, 0, np.arange(20_000), 1)[:, 0])
    sigma, scale = oracles.shock_law(0.3)
    score = np.log(drawn / scale) / sigma
    assert stats.kstest(score, stats.truncnorm(-6, 6).cdf).pvalue > 5.7e-7
    assert stats.kstest(score * 1.1, stats.truncnorm(-6, 6).cdf).pvalue < 5.7e-7


def test_shocks_differ_and_multiply():
    model = make(shocks=SHOCKS).cost_model
    assert model.largest_factors.max() == pytest.approx(math.prod(shock.largest for shock in model.shocks))
    ledger = sim.simulate(make(shocks=SHOCKS, simulation={"replicates": 2_000}))
    one, other = ledger["shock_factor"].values.T
    assert abs(stats.spearmanr(one, other).statistic) < 5 / math.sqrt(2_000)
    assert make().cost_model.largest_factors.max() == 1


# ── percentiles ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "percentiles" in kind])
def test_percentile_thresholds_are_those_of_brute_force(kind):
    scenario = make(**KINDS[kind])
    wanted = oracles.amounts(raw(**KINDS[kind]))[:2]
    np.testing.assert_allclose(scenario.threshold_amounts, wanted, rtol=1e-9)
    by_segment = scenario.simulation.thresholds.by == "segment"
    assert (len(set(scenario.threshold_amounts[:, 0])) == 2) == by_segment


@pytest.mark.heavy
@pytest.mark.parametrize("name", sorted(FAMILIES))
@pytest.mark.parametrize("by", ["segment", "population"])
def test_percentiles_are_the_least_cost_exceeded_with_that_chance(name, by):
    levels = [0.5, 0.9, 0.99]
    scenario = alone(FAMILIES[name], 0.8, simulation={"thresholds": {"percentiles": levels, "by": by}})
    law = oracles.law_of(FAMILIES[name])
    for level, amount in zip(levels, scenario.threshold_amounts[0], strict=True):
        assert 0.8 * float(law.sf(amount)) <= (1 - level) * (1 + 1e-9)
        assert 0.8 * float(law.sf(amount * (1 - 1e-6))) >= (1 - level) * (1 - 1e-9)


def test_nobody_is_above_an_atom_that_is_the_percentile():
    values = {"family": "empirical", "values": [10.0, 33.3, 77.7]}
    for by in ("segment", "population"):
        scenario = alone(
            values, 1.0, simulation={"thresholds": {"percentiles": [0.9], "by": by}, "population_sizes": [50]}
        )
        assert sim.simulate(scenario)["n_above"].sum() == 0
        assert scenario.threshold_amounts[0, 0] == pytest.approx(77.7, rel=1e-12)


@pytest.mark.parametrize("p_user", [0.2, 0.3, 0.5, 0.7])
@pytest.mark.parametrize("by", ["segment", "population"])
def test_a_percentile_at_the_edge_of_the_zero_mass_is_refused(p_user, by):
    gamma = {"family": "gamma", "mean": 5.0, "cv": 1.0}
    with pytest.raises(ValueError, match="have no cost"):
        alone(gamma, p_user, simulation={"thresholds": {"percentiles": [round(1 - p_user, 10)], "by": by}})
    assert (
        alone(
            gamma, p_user, simulation={"thresholds": {"percentiles": [1 - p_user + 1e-6], "by": by}}
        ).threshold_amounts[0, 0]
        > 0
    )


def test_the_hundredth_percentile_excludes_nobody():
    for by in ("segment", "population"):
        assert np.all(np.isinf(make(simulation={"thresholds": {"percentiles": [1.0], "by": by}}).threshold_amounts))


def test_percentiles_come_before_shocks():
    given = {"thresholds": {"percentiles": [0.99]}}
    np.testing.assert_array_equal(
        make(simulation=given, shocks=SHOCKS).threshold_amounts, make(simulation=given).threshold_amounts
    )


def test_percentiles_by_segment_allow_services_out_of_scope():
    scenario = make(
        simulation={"thresholds": {"percentiles": [0.99], "by": "segment"}}, population={"rare_services": RARE[1:]}
    )
    assert np.all(np.isinf(scenario.threshold_amounts[2:]))
    assert sim.simulate(scenario)["excluded_service_cost"].values.any()


def test_a_persons_survival_is_that_of_the_mix():
    model, parts = make().cost_model, raw()["population"]["segments"]
    for cost in (0.0, 100.0, 5_000.0, 90_000.0):
        wanted = sum(
            part["share"] * part["p_user"] * float(oracles.law_of(part["severity"]).sf(cost)) for part in parts
        )
        assert model.person_sf(cost) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("survival", [0.6, 0.3, 0.01, 1e-5, 1e-9])
def test_a_persons_quantile_undoes_his_survival(survival):
    model = make().cost_model
    assert model.person_sf(model.person_isf(survival)) == pytest.approx(survival, rel=1e-9)


def test_a_persons_quantile_at_the_ends():
    model = make().cost_model
    assert model.person_isf(model.person_sf(0.0)) == 0 == model.person_isf(0.99)
    assert model.person_isf(0.0) == math.inf


# ── parts ────────────────────────────────────────────────────────────────────────────────────────


def test_streams_are_segments_then_services():
    model = make(population={"rare_services": RARE}).cost_model
    assert [(s.name, s.is_segment, s.in_scope) for s in model.streams] == [
        ("well", True, True), ("complex", True, True), ("transplants", False, True), ("prison", False, False),
    ]  # fmt: skip
    assert [s.rate for s in model.streams] == [0.6, 0.9, 0.009, 0.02]


def test_shares_of_units_follow_the_order_of_the_segments():
    model = make(population={"units": UNITS}).cost_model
    assert [model.unit_shares(unit).tolist() for unit in model.population.units] == [
        pytest.approx([0.7, 0.3]),
        [0.2, 0.8],
        [0.0, 1.0],
    ]


def test_shares_are_scaled_to_one():
    segments = [
        {**part, "share": share}
        for part, share in zip(raw()["population"]["segments"], (0.7, 0.300_000_5), strict=True)
    ]
    assert make(population={"segments": segments}).cost_model.shares.sum() == pytest.approx(1, abs=1e-15)
