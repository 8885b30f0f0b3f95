"""Exact moments: known answers, and brute force that knows nothing of the package."""

from __future__ import annotations

import itertools
import math

import numpy as np
import oracles
import pytest
from conftest import FAMILIES, RARE, SEGMENTS, SHOCKS, UNITS, alone, diagonal, every, make
from scipy import integrate, stats

import simulator as sim
from simulator import runs
from simulator.contracts.exclusion import Banded, Cap, CarveOut, Coinsure
from simulator.costs.moments import Exact
from simulator.costs.shock_nodes import joint_nodes

KNOWN = {"family": "lognormal", "mu": 6.5, "sigma": 1.6}
BANDS = [(2_000.0, 0.9), (9_000.0, 0.3)]
RULES = {
    "gross": (None, lambda x: x),
    "cap": (Cap(at=2_000.0), lambda x: oracles.cap(x, 2_000.0)),
    "coinsure": (Coinsure(share=0.7, at=2_000.0), lambda x: oracles.coinsure(x, 2_000.0, 0.7)),
    "carve-out": (CarveOut(at=9_000.0), lambda x: oracles.carve_out(x, 9_000.0)),
    "banded": (Banded(bands=[{"at": at, "share": share} for at, share in BANDS]), lambda x: oracles.banded(x, BANDS)),
}


def layers(model, rule):
    """A rule's layers with the same money for every stream."""
    if rule is None:
        return []
    at = rule.fixed_thresholds()[-1]
    return [
        (np.full(len(model.streams), layer.threshold), layer.excess_share, layer.whole_share)
        for layer in rule.layers(at)
    ]


def total(scenario, heads, rule=None):
    model = scenario.cost_model
    return Exact(model).total(np.atleast_2d(heads), layers(model, rule))


def raw_moments(law, rule, factor=1.0):
    """E[rule(factor·X)ᵏ], k = 0 … 4, by quadrature over costs: a sum over values, or over quantiles with scipy."""
    if isinstance(law, oracles.Values):
        return np.array([np.sum(law.weights * rule(factor * law.values) ** k) for k in range(5)])
    marks = [float(law.sf(c / factor)) for c in (2_000.0, 9_000.0)] + [
        float(law.sf(c)) for c in (300.0, 500.0, 2_500.0, 3_000.0, 4_000.0, 18_000.0, 20_000.0)
    ]
    marks += [0.5, 0.1, 0.01] + [10.0**-k for k in (3, 4, 6, 8, 11, 15, 20, 30, 60)]
    edges = np.unique([0.0, 1.0, *(s for s in marks if 0 < s < 1)])
    nodes, weights = np.polynomial.legendre.leggauss(60)
    found = np.zeros(5)
    for low, high in itertools.pairwise(edges):
        low = max(low, 1e-100)
        if high > 0.6:  # the small costs: even steps are enough
            s, w = low + (high - low) * (nodes + 1) / 2, weights * (high - low) / 2
        else:
            y = math.log(low) + (math.log(high) - math.log(low)) * (nodes + 1) / 2
            s = np.exp(y)
            w = weights * (math.log(high) - math.log(low)) / 2 * s
        x = rule(factor * law.isf(s))
        found += [np.sum(w * x**k) for k in range(5)]
    return found


def of_total(per_person, n):
    """Mean, sd, skewness and excess kurtosis of n people from raw moments of one."""
    m1, m2, m3, m4 = per_person[1:]
    k2, k3 = m2 - m1**2, m3 - 3 * m1 * m2 + 2 * m1**3
    k4 = m4 - 4 * m1 * m3 - 3 * m2**2 + 12 * m1**2 * m2 - 6 * m1**4
    return n * m1, math.sqrt(n * k2), k3 / k2**1.5 / math.sqrt(n), k4 / k2**2 / n


# ── known answers ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("cap", "cv"), [(math.inf, 0.11924), (25e3, 0.06719), (50e3, 0.07988), (100e3, 0.09207), (250e3, 0.10520)]
)
def test_known_cv_of_a_thousand_people(cap, cv):
    scenario = alone(KNOWN, 0.85, simulation={"thresholds": [cap]})
    found = total(scenario, [1_000], Cap(at=cap))
    assert found.sd[0] / found.mean[0] == pytest.approx(cv, abs=0.5e-5)
    larger = total(scenario, [64_000], Cap(at=cap))
    assert larger.sd[0] / larger.mean[0] == pytest.approx(found.sd[0] / found.mean[0] / 8, rel=1e-12)


def test_known_mean_and_sd_of_a_hundred_thousand_people():
    found = total(alone(KNOWN, 0.85, simulation={"thresholds": [50e3]}), [100_000], Cap(at=50e3))
    assert found.mean[0] == pytest.approx(190_491_205.09, abs=0.005)
    assert found.sd[0] == pytest.approx(1_521_639.81, abs=0.005)


@pytest.mark.heavy
@pytest.mark.parametrize("n", [5_000, 20_000])
def test_known_chances_of_overspending_by_three_per_cent(n):
    known = {(5_000, 50e3): 0.199, (5_000, math.inf): 0.261, (20_000, 50e3): 0.0478, (20_000, math.inf): 0.127}
    scenario = alone(
        KNOWN, 0.85, simulation={"population_sizes": [n], "replicates": 4_000, "thresholds": [50e3, math.inf]}
    )
    cost = sim.retained_cost(sim.simulate(scenario), Cap())
    for cap in (50e3, math.inf):
        budget = total(scenario, [n], Cap(at=cap)).mean[0]
        seen = float((cost.sel(threshold=cap) > 1.03 * budget).mean())
        p = known[n, cap]
        assert abs(seen - p) < 5 * math.sqrt(p * (1 - p) / 4_000) + 0.0005


# ── brute force ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize(("name", "rule"), diagonal(sorted(FAMILIES), sorted(RULES)))
def test_kept_moments_of_every_family_and_rule_against_brute_force(name, rule):
    ours, plain = RULES[rule]
    law, scenario = (
        oracles.law_of(FAMILIES[name]),
        alone(FAMILIES[name], 0.8, simulation={"thresholds": [2_000.0, 9_000.0]}),
    )
    found = [float(values[0]) for values in total(scenario, [70], ours)]
    per_person = 0.8 * raw_moments(law, plain)
    index = scenario.cost_model.streams[0].severity.tail_index
    if rule in ("gross", "coinsure", "banded") and index <= 2:
        assert found[0] == pytest.approx(70 * per_person[1], rel=1e-5) and found[1] == math.inf
        return
    wanted = of_total(per_person, 70)
    finite = 4 if rule in ("cap", "carve-out") else sum(index > k for k in (1, 2, 3, 4))
    np.testing.assert_allclose(found[:finite], wanted[:finite], rtol=2e-5)
    assert all(math.isinf(figure) for figure in found[finite:])


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("rule", every(2, ["gross", "cap", "carve-out", "banded"], 1))
def test_shocks_are_integrated_out_as_by_scipy(rule):
    ours, plain = RULES[rule]
    shock, law = {"name": "a", "cv": 0.2}, oracles.law_of(FAMILIES["gamma"])
    found = total(alone(FAMILIES["gamma"], 0.8, shocks=[shock]), [90], ours)
    sigma, scale = oracles.shock_law(0.2)
    # the law of the shock on Simpson's panels, which the program does not use
    z = np.linspace(-6, 6, 61)
    weight = stats.norm.pdf(z)
    weight /= integrate.simpson(weight, x=z)
    given = np.array([of_total(0.8 * raw_moments(law, plain, scale * math.exp(sigma * one)), 90) for one in z])
    mean = integrate.simpson(weight * given[:, 0], x=z)
    variance = integrate.simpson(weight * (given[:, 1] ** 2 + (given[:, 0] - mean) ** 2), x=z)
    third = integrate.simpson(
        weight
        * (given[:, 2] * given[:, 1] ** 3 + 3 * given[:, 1] ** 2 * (given[:, 0] - mean) + (given[:, 0] - mean) ** 3),
        x=z,
    )
    assert found.mean[0] == pytest.approx(mean, rel=1e-7)
    assert found.sd[0] == pytest.approx(math.sqrt(variance), rel=1e-5)
    assert found.skewness[0] == pytest.approx(third / variance**1.5, rel=1e-3)


def test_gross_cost_under_a_shock_in_closed_form():
    shocked, calm = (
        total(alone(FAMILIES["gamma"], 0.8, shocks=shocks), [90]) for shocks in ([{"name": "a", "cv": 0.2}], [])
    )
    sigma, scale = oracles.shock_law(0.2)
    square = integrate.quad(
        lambda z: (scale * math.exp(sigma * z)) ** 2 * stats.norm.pdf(z), -6, 6, epsabs=0, epsrel=1e-12
    )[0] / (1 - 2 * stats.norm.sf(6))
    assert shocked.mean[0] == pytest.approx(calm.mean[0], rel=1e-12)
    assert shocked.sd[0] ** 2 == pytest.approx(square * calm.sd[0] ** 2 + (square - 1) * calm.mean[0] ** 2, rel=1e-9)


@pytest.mark.parametrize("cvs", [[0.015], [0.5], [0.05, 0.02], [0.3, 0.3, 0.1]])
def test_shock_nodes_have_the_moments_of_the_product(cvs):
    shocks = [{"name": str(i), "cv": cv} for i, cv in enumerate(cvs)]
    factors, weights, _ = joint_nodes(make(shocks=shocks).cost_model.joint_shocks)
    np.testing.assert_array_equal(factors[:, 0], factors[:, 1])
    factors = factors[:, 0]
    assert weights.sum() == pytest.approx(1, abs=1e-14) and weights @ factors == pytest.approx(1, abs=1e-13)
    square = 1.0
    for cv in cvs:
        sigma, scale = oracles.shock_law(cv)
        square *= integrate.quad(
            lambda z, a=sigma, b=scale: (b * math.exp(a * z)) ** 2 * stats.norm.pdf(z), -6, 6, epsabs=0, epsrel=1e-12
        )[0]
    assert weights @ factors**2 == pytest.approx(square, rel=1e-6)


# ── membership, units, services ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("rule", sorted(RULES))
def test_drawing_the_case_mix_adds_exactly_the_variance_of_the_segment_means(rule):
    ours = RULES[rule][0]
    fixed, sampled = make(), make(population={"membership": "sampled"})
    n = 1_000
    heads = [700, 300]
    means = [total(make(population={"segments": [{**part, "share": 1.0}]}), [1], ours).mean[0] for part in SEGMENTS]
    between = 0.7 * 0.3 * (means[0] - means[1]) ** 2
    one, other = total(fixed, heads, ours), total(sampled, heads, ours)
    assert one.mean[0] == pytest.approx(other.mean[0], rel=1e-12)
    assert other.sd[0] ** 2 - one.sd[0] ** 2 == pytest.approx(n * between, rel=1e-9)


def test_fixed_segments_are_independent_sums():
    heads = np.array([[13, 29], [0, 7]])
    found = total(make(), heads)
    parts = [total(make(population={"segments": [{**part, "share": 1.0}]}), [[1]]) for part in SEGMENTS]
    for row, head in enumerate(heads):
        assert found.mean[row] == pytest.approx(
            sum(n * part.mean[0] for n, part in zip(head, parts, strict=True)), rel=1e-12
        )
        assert found.sd[row] ** 2 == pytest.approx(
            sum(n * part.sd[0] ** 2 for n, part in zip(head, parts, strict=True)), rel=1e-12
        )
        third = sum(n * part.skewness[0] * part.sd[0] ** 3 for n, part in zip(head, parts, strict=True))
        assert found.skewness[row] == pytest.approx(third / found.sd[row] ** 3, rel=1e-9)


@pytest.mark.parametrize("membership", ["fixed", "sampled"])
def test_units_add_up_and_each_has_its_own_mix(membership):
    scenario = make(population={"units": UNITS, "membership": membership})
    units, whole = total(scenario, runs.increments(scenario)), total(scenario, runs.heads(scenario))
    assert whole.mean[0] == pytest.approx(units.mean.sum(), rel=1e-12)
    assert whole.sd[0] ** 2 == pytest.approx((units.sd**2).sum(), rel=1e-12)
    if membership == "sampled":
        laws = [oracles.law_of(part["severity"]) for part in SEGMENTS]
        raw = np.array(
            [part["p_user"] * raw_moments(law, lambda x: x) for part, law in zip(SEGMENTS, laws, strict=True)]
        )
        for row, (n, mix) in enumerate([(60, [0.7, 0.3]), (90, [0.2, 0.8]), (35, [0.0, 1.0])]):
            mean, sd, _, _ = of_total(np.array(mix) @ raw, n)
            assert (units.mean[row], units.sd[row]) == pytest.approx((mean, sd), rel=1e-6)


def test_rare_services_are_compound_poisson():
    scenario, calm = make(population={"rare_services": RARE}), make()
    heads = np.array([[700, 300]])
    law = stats.gamma(1 / 0.4**2, scale=30_000.0 * 0.4**2)
    added = total(scenario, heads), total(calm, heads)
    assert added[0].mean[0] - added[1].mean[0] == pytest.approx(9 * law.mean(), rel=1e-9)
    assert added[0].sd[0] ** 2 - added[1].sd[0] ** 2 == pytest.approx(9 * law.moment(2), rel=1e-9)
    out = Exact(scenario.cost_model).total(heads, [], in_scope=False)
    prison = stats.weibull_min(1.3, scale=4_000.0)
    assert (out.mean[0], out.sd[0] ** 2) == pytest.approx((20 * prison.mean(), 20 * prison.moment(2)), rel=1e-9)
    assert out.skewness[0] == pytest.approx(20 * prison.moment(3) / (20 * prison.moment(2)) ** 1.5, rel=1e-8)


# ── numbers above ────────────────────────────────────────────────────────────────────────────────


def test_numbers_above_are_binomial_without_a_shock():
    scenario = make()
    mean, sd, *_ = Exact(scenario.cost_model).count_above(np.array([[700, 300]]), np.array([5_000.0, 5_000.0]))
    p = [part["p_user"] * float(oracles.law_of(part["severity"]).sf(5_000.0)) for part in SEGMENTS]
    assert mean[0] == pytest.approx(700 * p[0] + 300 * p[1], rel=1e-9)
    assert sd[0] ** 2 == pytest.approx(700 * p[0] * (1 - p[0]) + 300 * p[1] * (1 - p[1]), rel=1e-9)


def test_numbers_above_under_a_shock():
    scenario = alone(FAMILIES["lognormal"], 0.8, shocks=SHOCKS[:1])
    mean, sd, *_ = Exact(scenario.cost_model).count_above(np.array([[1_000]]), np.array([9_000.0]))
    sigma, scale = oracles.shock_law(0.05)
    law = oracles.law_of(FAMILIES["lognormal"])
    z = np.linspace(-6, 6, 2_001)
    p = 0.8 * law.sf(9_000.0 / (scale * np.exp(sigma * z)))
    weight = stats.norm.pdf(z) / integrate.simpson(stats.norm.pdf(z), x=z)
    first = integrate.simpson(weight * p, x=z)
    variance = integrate.simpson(weight * (1_000 * p * (1 - p) + (1_000 * (p - first)) ** 2), x=z)
    assert (mean[0], sd[0] ** 2) == pytest.approx((1_000 * first, variance), rel=1e-8)


@pytest.mark.parametrize("threshold", [100.5, 101.0, 103.0, 110.0])
def test_an_observed_cost_near_the_threshold_is_carried_over_it_by_the_shock(threshold):
    # a step in the shock, which few nodes would miss by a third of the atom
    scenario = alone({"family": "empirical", "values": [100.0]}, shocks=SHOCKS[:1])
    sigma, scale = oracles.shock_law(0.05)
    p = float(stats.norm.sf(math.log(threshold / 100 / scale) / sigma))
    mean, *_ = Exact(scenario.cost_model).count_above(np.array([[1_000]]), np.array([threshold]))
    error = math.sqrt(p * (1 - p) / 10_000)  # of ten thousand replicates, where all are above or none
    assert abs(mean[0] / 1_000 - p) < 0.5 * error
    kept = total(scenario, [1_000], CarveOut(at=threshold)).mean[0]
    below = integrate.quad(
        lambda z: scale * math.exp(sigma * z) * stats.norm.pdf(z), -6, math.log(threshold / 100 / scale) / sigma
    )[0]
    assert abs(kept / 100_000 - below) < 0.5 * error


def test_nobody_is_above_infinity():
    mean, sd, *_ = Exact(make().cost_model).count_above(np.array([[700, 300]]), np.full(2, math.inf))
    assert mean[0] == 0 == sd[0]
