"""Exact chances of totals with steps: a cap below nearly all costs, near-fixed prices, few users."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

import simulator as sim
from simulator.analysis.size.viable import viable_terms
from simulator.engine.smear import smears
from simulator.engine.steps import Steps

MARGINS = (0.01, 0.03, 0.05, 0.10)
ORACLE = 2e-6
"""What the convolution on a grid errs by; a closed form errs by 1e-9."""


def scenario(size, segments, thresholds=(math.inf,), **others):
    return sim.Scenario.model_validate(
        {
            "schema_version": 1,
            "title": "Steps",
            "currency": "GBP",
            "population": {"segments": segments, **others.pop("population", {})},
            "simulation": {"replicates": 400, "population_sizes": [size], "thresholds": list(thresholds), "seed": 3},
            **others,
        }
    )


def segment(name, share, p_user, family, mean, cv):
    severity = {"family": family, "mean": float(mean), "cv": float(cv)}
    return {"name": name, "share": float(share), "p_user": float(p_user), "severity": severity}


# ── oracles that share no code ───────────────────────────────────────────────────────────────────


def gamma_total(amounts, n, p, mean, cv):
    """P(total > x), for some amounts x, of gamma prices: given how many users there are, the total is gamma again."""
    users = np.arange(n + 1)
    chance = stats.binom.pmf(users, n, p)
    above = special.gammaincc(users[1:] / cv**2, amounts[:, None] / (mean * cv**2))
    return above @ chance[1:]


def sf_of(family, mean, cv):
    if family == "gamma":
        return lambda x: special.gammaincc(cv**-2, np.maximum(x, 0.0) / (mean * cv**2))
    sigma = math.sqrt(math.log(1 + cv**2))
    return lambda x: special.ndtr((math.log(mean) - sigma**2 / 2 - np.log(np.maximum(x, 1e-300))) / sigma)


def convolved(amounts, people, cap, fine):
    """P(total > x), for some amounts x, by convolving everybody's cost, on a grid of which the cap is a multiple."""
    step = cap / fine
    mean = sum(n * p * min(mean, cap) for n, p, _, mean, _ in people)
    sd = math.sqrt(sum(n * p for n, p, *_ in people)) * cap
    length = 2 ** math.ceil(math.log2((mean + 12 * sd + 12 * cap) / step))
    transform = np.ones(length // 2 + 1, complex)
    for n, p, family, mean, cv in people:
        at = np.arange(fine) * step
        sf = sf_of(family, mean, cv)
        user = np.zeros(length)
        user[:fine] = -np.diff(np.append(1.0, sf(at + step / 2)))
        user[fine] = sf(cap - step / 2)
        transform *= (1 - p + p * np.fft.rfft(user)) ** n
    chance = np.fft.irfft(transform, length)
    place = np.floor(amounts / step).astype(int)
    # half of what lies within half a step of x is above it, but for multiples of the cap, which lie below
    share = amounts / step - place
    above = np.cumsum(chance[::-1])[::-1][place + 1]
    nearby, here = (np.where(at % fine, chance[at], 0.0) for at in (place + 1, place))
    return above - nearby * np.maximum(share - 0.5, 0.0) + here * np.maximum(0.5 - share, 0.0)


# ── random laws with steps ───────────────────────────────────────────────────────────────────────


def drawn(seed):
    """A scenario, a threshold, and P(total > x), x above 0, in closed form or by convolution."""
    rng = np.random.default_rng(seed)
    kind = seed % 4
    users = float(np.exp(rng.uniform(math.log(3), math.log(300))))
    n = int(users / rng.uniform(0.0005, 0.02))
    if kind == 0:
        # near-fixed prices
        mean, cv = 10 ** rng.uniform(2, 5), math.exp(rng.uniform(math.log(0.003), math.log(0.05)))
        made = scenario(n, [segment("a", 1, users / n, "gamma", mean, cv)])
        return made, math.inf, lambda x: gamma_total(x, n, users / n, mean, cv)
    if kind == 1:
        # few users, of any spread
        users, mean, cv = rng.uniform(0.3, 12), 10 ** rng.uniform(2, 5), math.exp(rng.uniform(-3, 0.7))
        n = int(users / rng.uniform(0.001, 0.5)) + 1
        made = scenario(n, [segment("a", 1, users / n, "gamma", mean, cv)])
        return made, math.inf, lambda x: gamma_total(x, n, users / n, mean, cv)
    cap = float(np.round(10 ** rng.uniform(3, 5)))
    if kind == 2:
        p, family, mean, cv = (
            users / n,
            rng.choice(["lognormal", "gamma"]),
            cap * rng.uniform(1.8, 4),
            rng.uniform(0.1, 0.3),
        )
        made = scenario(n, [segment("a", 1, p, family, mean, cv)], [cap])
        people = [(n, p, family, mean, cv)]
    else:
        half = n // 2
        p, q = users / n * rng.uniform(0.2, 0.9), users / n
        laws = [("lognormal", cap * rng.uniform(1.8, 4), rng.uniform(0.1, 0.3)) for _ in range(2)]
        made = scenario(2 * half, [segment("a", 0.5, p, *laws[0]), segment("b", 0.5, q, *laws[1])], [cap])
        people = [(half, p, *laws[0]), (half, q, *laws[1])]
    return made, cap, lambda x: convolved(x, people, cap, 1024)


def gap(seed):
    """Largest |exact − truth| beside the stated error."""
    made, threshold, truth = drawn(seed)
    answer = sim.exact(made, margins=MARGINS, quantiles=(0.5,)).isel(population_size=0).sel(threshold=threshold)
    budget = float(answer["budget"])
    apart = np.abs(answer["p_overspend"].values - truth((1 + np.array(MARGINS)) * budget))
    return apart.max(), float(answer["probability_error"])


def assert_within(seeds):
    """All chances lie within their stated errors, and these are at most 0.001 in nine of ten laws."""
    found = [gap(seed) for seed in seeds]
    assert all(apart <= stated + ORACLE for apart, stated in found)
    assert np.mean([stated <= 0.001 for _, stated in found]) >= 0.9


@pytest.mark.heavy
@pytest.mark.parametrize("kind", range(4))
def test_chances_lie_within_stated_errors_that_are_small(kind):
    assert_within(range(kind, 16, 4))


@pytest.mark.slow
def test_chances_of_many_laws_lie_within_stated_errors_that_are_small():
    assert_within(range(16, 360))


def test_the_error_notices_a_law_that_is_smoothed_over():
    """The normal law with the same mean and sd lies outside the stated error."""
    made, threshold, truth = drawn(2)
    answer = sim.exact(made, margins=MARGINS).isel(population_size=0).sel(threshold=threshold)
    over = np.array(MARGINS) * float(answer["budget"]) / float(answer["sd_cost"])
    wanted = truth((1 + np.array(MARGINS)) * float(answer["budget"]))
    assert np.abs(stats.norm.sf(over) - wanted).max() > 100 * float(answer["probability_error"])


def test_a_cap_below_all_costs_leaves_a_binomial_law():
    severity = {"family": "pareto", "scale": 60_000.0, "alpha": 3.0}
    made = scenario(20_000, [{"name": "a", "share": 1.0, "p_user": 0.001, "severity": severity}], [50_000])
    answer = sim.exact(made, margins=(0.0, 0.06), quantiles=(0.9, 0.99)).isel(population_size=0, threshold=0)
    # 20 users are expected: at the budget itself 20 do not exceed it
    np.testing.assert_allclose(answer["p_overspend"], stats.binom.sf([20, 21], 20_000, 0.001), atol=1e-9)
    assert float(answer["probability_error"]) < 1e-6
    np.testing.assert_allclose(answer["quantile_cost"], 50_000 * stats.binom.ppf([0.9, 0.99], 20_000, 0.001), rtol=1e-9)
    told = sim.luck(made, 20_000, 0.06)
    assert float(told["percentile"][0, 0]) == pytest.approx(stats.binom.cdf(21, 20_000, 0.001), abs=1e-9)
    terms = viable_terms(made, 20_000, at_most=0.05)
    assert float(terms["margin"][0]) == pytest.approx(stats.binom.ppf(0.95, 20_000, 0.001) / 20 - 1, abs=1e-9)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "others",
    [
        pytest.param({"shocks": [{"name": "prices", "cv": 0.05}]}, marks=pytest.mark.slow),
        {"shocks": [{"name": "strike", "probability": 0.2, "by": 0.5}]},
        {"population": {"membership": "sampled"}},
    ],
)
def test_steps_under_shocks_and_drawn_membership_are_those_that_are_drawn(others):
    people = [segment("a", 0.5, 0.001, "lognormal", 55_000, 0.3), segment("b", 0.5, 0.003, "gamma", 90_000, 0.3)]
    made = scenario(4_000, people, [50_000], **others)
    made = sim.Scenario.model_validate(
        made.model_dump(exclude_none=True)
        | {"simulation": made.simulation.model_dump(exclude_none=True) | {"replicates": 20_000}}
    )
    answer = sim.exact(made, margins=MARGINS)
    summary = sim.summarise(sim.simulate(made, progress=False), margins=MARGINS)
    score = (summary["p_overspend"] - answer["p_overspend"]) / np.sqrt(
        answer["p_overspend"] * (1 - answer["p_overspend"]) / 20_000
    )
    assert np.abs(score.values).max() < 5
    assert float(answer["probability_error"].max()) < 1e-3


# ── observed costs that shocks smear ─────────────────────────────────────────────────────────────


def smeared_total(x, n, p, values, cap, cv):
    """P(total > x) of two observed costs, of which the dearer may be capped, under one yearly shock."""
    few, dear = np.meshgrid(np.arange(n + 1), np.arange(min(n, 40) + 1 if p[1] else 1))
    chance = stats.binom.pmf(dear, n, p[1]) * stats.binom.pmf(few, n - dear, p[0] / (1 - p[1]))
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = x / (few * values[0] + dear * values[1])
        capped = np.where(x < dear * cap, 0.0, (x - dear * cap) / (few * values[0])) if np.isfinite(cap) else factor
        factor = np.where((dear > 0) & (factor * values[1] > cap), capped, factor)
        sigma = math.sqrt(math.log1p(cv**2))
        above = stats.norm.sf((np.log(factor) + sigma**2 / 2) / sigma)
    return float((chance * np.where(few + dear > 0, above, 0.0)).sum())


SMEARED = [
    # the series of a total of one price fades, and comes back at a whole turn of that price
    pytest.param(1_520, (0.5, 0.0), (1_000.0, 1_000.0), math.inf, 1e-4, 1e-3, id="one price"),
    pytest.param(400, (0.5, 0.02), (1_000.0, 60_000.0), math.inf, 0.01, 1e-3, id="two prices"),
    pytest.param(400, (0.5, 0.02), (1_000.0, 60_000.0), 60_500.0, 0.02, 0.02, id="a cap amid the shocks"),
]


def smeared_gap(n, p, values, cap, cv):
    """Largest |exact − truth| beside the stated error."""
    severity = {"family": "empirical", "values": list(values), "weights": [p[0] or 1, p[1] or p[0]]}
    people = [{"name": "a", "share": 1.0, "p_user": sum(p), "severity": severity}]
    made = scenario(n, people, [cap], shocks=[{"name": "prices", "cv": cv}])
    answer = sim.exact(made, margins=MARGINS).isel(population_size=0, threshold=0)
    wanted = [smeared_total((1 + margin) * float(answer["budget"]), n, p, values, cap, cv) for margin in MARGINS]
    return np.abs(answer["p_overspend"].values - wanted).max(), float(answer["probability_error"])


@pytest.mark.heavy
@pytest.mark.parametrize(("n", "p", "values", "cap", "cv", "most"), SMEARED)
def test_observed_costs_under_shocks_lie_within_their_stated_error(n, p, values, cap, cv, most):
    apart, stated = smeared_gap(n, p, values, cap, cv)
    assert apart <= stated <= most


def test_a_series_that_ends_where_it_has_faded_misses_what_comes_back(monkeypatch):
    """The control: without the bound the first of these laws is far off."""
    monkeypatch.setattr(Steps, "smeared_from", lambda self, most: 1e-300)
    monkeypatch.setattr(Steps, "smeared", lambda self, frequency: 0.0)
    apart, stated = smeared_gap(*SMEARED[0].values[:-1])
    assert apart > 1e-3 > stated


def two_groups(n, p, cv, correlation):
    """Two groups at one price, 1,000, under two shocks."""
    severity = {"family": "empirical", "values": [1_000.0]}
    return scenario(
        2 * n,
        [{"name": name, "share": 0.5, "p_user": p, "severity": severity} for name in "ab"],
        shocks=[{"name": name, "cv": cv, "segments": [name]} for name in "ab"],
        shock_correlations=[{"between": ["a", "b"], "value": correlation}],
    )


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("correlation", "p"),
    [
        (0.8, 0.5),  # where half have the cost, the transform of one person passes nothing
        pytest.param(0.5, 0.4, marks=pytest.mark.slow),
        pytest.param(-0.5, 0.4, marks=pytest.mark.slow),
    ],
)
def test_observed_costs_under_correlated_shocks_lie_within_their_stated_error(correlation, p):
    n, cv = 150, 0.05
    answer = sim.exact(two_groups(n, p, cv, correlation), margins=MARGINS).isel(population_size=0, threshold=0)
    sigma, free = math.sqrt(math.log1p(cv**2)), math.sqrt(1 - correlation**2)
    score, users = np.linspace(-7, 7, 401), np.arange(n + 1)
    weight, chance = stats.norm.pdf(score) * (score[1] - score[0]), stats.binom.pmf(users, n, p)
    first = users[:, None] * np.exp(sigma * score - sigma**2 / 2)
    for margin, stated in zip(MARGINS, answer["p_overspend"].values, strict=True):
        rest = (1 + margin) * float(answer["budget"]) / 1_000 - first
        with np.errstate(divide="ignore", invalid="ignore"):
            least = (np.log(rest / users[:, None, None]) + sigma**2 / 2) / sigma
        above = np.where(rest <= 0, 1.0, stats.norm.sf((least - correlation * score) / free))
        assert abs(chance @ (above @ weight) @ chance - stated) <= float(answer["probability_error"]) < 1e-6


def left_out(correlation, cv=0.05):
    """Σ 2/(πk)·|φ| of a hundred users in each group from one frequency on, and its bound."""
    made = two_groups(100, 1.0, cv, correlation)
    sigma, free = math.sqrt(math.log1p(cv**2)), math.sqrt(1 - correlation**2)
    frequency = 1.2e-3 + 5e-6 * np.arange(2_000)
    score, weight = np.polynomial.hermite_e.hermegauss(120)
    one, other = np.meshgrid(score, score)
    total = 1e5 * np.exp(-(sigma**2) / 2) * (np.exp(sigma * one) + np.exp(sigma * (correlation * one + free * other)))
    weights = np.outer(weight, weight) / (2 * math.pi)
    size = [abs((weights * np.exp(1j * t * total)).sum()) for t in frequency]
    bounds = smears(made.cost_model, ((), ()), np.array([100.0, 100.0]))
    return float(2 / math.pi * 5e-6 * (size / frequency).sum()), min(one.left_out(frequency[0]) for one in bounds)


@pytest.mark.parametrize("correlation", [-0.999, -0.9, 0.5])
def test_what_correlated_shocks_leave_of_a_series_lies_below_its_bound(correlation):
    found, bound = left_out(correlation)
    assert found <= bound


def test_a_bound_for_independent_shocks_is_too_low_for_opposed_ones(monkeypatch):
    """The control: what one shock smears the other takes back."""
    monkeypatch.setattr(np.linalg, "inv", lambda matrix: np.eye(len(matrix)))
    found, bound = left_out(-0.999)
    assert found > 2 * bound


def test_rare_shocks_alone_smear_nothing():
    severity = {"family": "empirical", "values": [1_000.0]}
    made = scenario(
        1_500,
        [{"name": "a", "share": 1.0, "p_user": 0.5, "severity": severity}],
        shocks=[{"name": "strike", "probability": 0.2, "by": 0.1}],
    )
    answer = sim.exact(made, margins=MARGINS).isel(population_size=0, threshold=0)
    levels, chances = np.array([1.0, 1.1]) / 1.02, np.array([0.8, 0.2])
    wanted = [
        chances @ stats.binom.sf(np.floor((1 + margin) * 750_000 / (1_000 * levels)), 1_500, 0.5) for margin in MARGINS
    ]
    assert np.abs(answer["p_overspend"].values - wanted).max() <= float(answer["probability_error"])


def test_steps_too_narrow_to_resolve_are_told():
    """Two users at nearly one price: the budget lies in a peak of the law that is narrower than any series resolves."""
    people = [segment("a", 1, 0.01, "lognormal", 1_000, 1e-7)]
    made = scenario(200, people)
    answer = sim.exact(made, margins=(0.0, 0.5))
    assert float(answer["probability_error"].max()) > 0.001
    assert "not exact" in answer.attrs["doubt"]
    assert "not exact" in str(sim.table(answer))


def test_luck_counts_simulated_years_where_steps_are_too_narrow():
    made = scenario(200, [segment("a", 1, 0.01, "lognormal", 1_000, 1e-7)])
    told = sim.luck(made, 200, 0.0, replicates=4_000)
    # two users come to a little more than the budget as often as to a little less
    wanted = stats.binom.cdf(1, 200, 0.01) + stats.binom.pmf(2, 200, 0.01) / 2
    assert abs(float(told["percentile"].squeeze()) - wanted) < 5 * math.sqrt(wanted * (1 - wanted) / 4_000)
    assert "simulated" in told["percentile"].attrs["long_name"]
    page = " ".join(str(sim.table(told)).split())
    assert "not exact" in page and "4,000 simulated years" in page
    assert told["percentile"].values == told["drawn_percentile"].values


@pytest.mark.heavy
def test_a_settlement_says_what_a_jump_amid_steps_may_be_wrong_by():
    made = scenario(200, [segment("a", 1, 0.01, "lognormal", 1_000, 1e-7)])

    def error(rate):
        terms = [{"kind": "minimum_rate", "rate": rate}, {"kind": "share", "gain": 0.5, "loss": 0.5}]
        return sim.exact_settlement(made, [sim.Design(name="gate", terms=terms)])["probability_error"].item()

    # one user of two leaves half of the budget; between that and two there is nobody
    assert error(0.25) < 0.001 < error(0.5)


# ── the currency's unit ──────────────────────────────────────────────────────────────────────────


@pytest.mark.heavy
@pytest.mark.parametrize("unit", [1e-12, 1e-6, 1e6, 1e12])
def test_exact_figures_do_not_depend_on_the_unit_of_money(unit):
    def figures(unit):
        people = [
            segment("a", 0.7, 0.8, "lognormal", 500 * unit, 2.0),
            segment("b", 0.3, 0.01, "gamma", 9e3 * unit, 0.2),
        ]
        made = scenario(2_000, people, [6_000 * unit, math.inf], shocks=[{"name": "prices", "cv": 0.02}])
        return sim.exact(made)

    here, there = figures(1.0), figures(unit)
    for name in ("p_overspend", "cv", "skewness_cost", "expected_overspend"):
        np.testing.assert_allclose(there[name], here[name], rtol=1e-7, atol=1e-9)
    for name in ("mean_cost", "sd_cost", "budget", "quantile_cost", "tvar"):
        np.testing.assert_allclose(there[name] / unit, here[name], rtol=1e-7)


@pytest.mark.parametrize("mean", [1e-80, 1e-9, 1e60])
def test_tiny_and_huge_costs_have_exact_figures(mean):
    answer = sim.exact(scenario(1_000, [segment("a", 1, 0.5, "lognormal", mean, 1.0)]))
    assert float(answer["cv"].squeeze()) == pytest.approx(math.sqrt((2 / 0.5 - 1) / 1_000), rel=1e-9)
    assert np.isfinite(answer["p_overspend"].values).all()
