"""What a scenario implies: against closed forms of the lognormal, hand-made populations and plain draws."""

import json
import math

import numpy as np
import pytest
from conftest import KINDS, RARE, alone, make
from scipy import integrate, optimize, stats

import simulator as sim
from simulator.analysis.statistics.describe import PUBLISHED_R_SQUARED
from simulator.present.answers.description import page as check_table

THRESHOLDS = {"thresholds": [25_000.0, 50_000.0, 100_000.0, 250_000.0, math.inf]}


def lognormal_partial(k, mu, sigma, cost):
    """E[Xᵏ; X ≤ cost] of a lognormal, in closed form."""
    return math.exp(k * mu + (k * sigma) ** 2 / 2) * stats.norm.cdf((math.log(cost) - mu) / sigma - k * sigma)


def capped_moments(k, mu, sigma, cap):
    return lognormal_partial(k, mu, sigma, cap) + cap**k * stats.norm.sf((math.log(cap) - mu) / sigma)


def test_known_answers_of_one_lognormal():
    """Lognormal(6.5, 1.6), 15% without cost: the cv of 1,000 people's total, and the total of 100,000."""
    found = sim.describe(alone({"family": "lognormal", "mu": 6.5, "sigma": 1.6}, p_user=0.85, simulation=THRESHOLDS))
    printed = [row["cv"] / math.sqrt(1_000) for row in found["thresholds"]]
    assert printed == pytest.approx([0.06719, 0.07988, 0.09207, 0.10520, 0.11924], abs=5e-6)
    at_50k = found["thresholds"][1]
    assert 100_000 * at_50k["mean_below"] == pytest.approx(190_491_205.09, abs=0.01)
    assert math.sqrt(100_000) * at_50k["sd"] == pytest.approx(1_521_639.81, abs=0.01)
    assert found["cv"] == found["thresholds"][-1]["cv"]


TWO = [(0.7, 0.8, 6.0, 1.3), (0.3, 0.95, 8.0, 1.1)]
"""Share, p_user, mu, sigma."""


def two_lognormals(**changes):
    segments = [
        {"name": f"s{i}", "share": w, "p_user": p, "severity": {"family": "lognormal", "mu": mu, "sigma": sigma}}
        for i, (w, p, mu, sigma) in enumerate(TWO)
    ]
    return make(population={"segments": segments} | changes.pop("population", {}), simulation=THRESHOLDS, **changes)


@pytest.mark.parametrize("huge", [1e155, 1e308])
def test_a_threshold_too_large_for_its_square_is_one_that_nobody_exceeds(huge):
    found, none = sim.describe(make(simulation={"thresholds": [huge, math.inf]}))["thresholds"]
    assert found["p_above"] == 0.0
    for figure in ("mean_below", "sd", "cv"):
        assert found[figure] == pytest.approx(none[figure], rel=1e-12)


def test_a_mixture_of_lognormals_in_closed_form():
    found = sim.describe(two_lognormals())
    means = np.array([p * math.exp(mu + s**2 / 2) for _, p, mu, s in TWO])
    seconds = np.array([p * math.exp(2 * mu + 2 * s**2) for _, p, mu, s in TWO])
    shares = np.array([w for w, *_ in TWO])
    mean, variance = shares @ means, shares @ seconds - (shares @ means) ** 2
    between = shares @ (means - mean) ** 2
    assert found["mean"] == pytest.approx(mean, rel=1e-12)
    assert found["sd"] == pytest.approx(math.sqrt(variance), rel=1e-12)
    assert found["zero_share"] == pytest.approx(0.7 * 0.2 + 0.3 * 0.05, abs=1e-14)
    assert found["variance_between_segments"] == pytest.approx(between, rel=1e-12)
    assert found["r_squared"] == pytest.approx(between / variance, rel=1e-12)
    for row in found["thresholds"][:-1]:
        d = row["threshold"]
        kept = sum(w * p * capped_moments(1, mu, s, d) for w, p, mu, s in TWO)
        square = sum(w * p * capped_moments(2, mu, s, d) for w, p, mu, s in TWO)
        above = sum(w * p * stats.norm.sf((math.log(d) - mu) / s) for w, p, mu, s in TWO)
        assert row["mean_below"] == pytest.approx(kept, rel=1e-12)
        assert row["cv"] == pytest.approx(math.sqrt(square - kept**2) / kept, rel=1e-11)
        assert row["p_above"] == pytest.approx(above, rel=1e-11)
        assert row["share_of_cost_above"] == pytest.approx(1 - kept / mean, rel=1e-9)
        whole = sum(w * (p * math.exp(mu + s**2 / 2) - p * lognormal_partial(1, mu, s, d)) for w, p, mu, s in TWO)
        assert row["share_of_cost_of_patients_above"] == pytest.approx(whole / mean, rel=1e-9)
        assert row["share_of_variance_above"] == pytest.approx(1 - (square - kept**2) / variance, rel=1e-9)


def test_top_shares_of_a_mixture_in_closed_form():
    found = sim.describe(two_lognormals())

    def sf(x):
        return sum(w * p * stats.norm.sf((math.log(x) - mu) / s) for w, p, mu, s in TWO)

    def top(q):
        cost = optimize.brentq(lambda x: sf(x) - q, 1e-3, 1e8, xtol=1e-12, rtol=1e-14)
        tail = sum(w * p * (math.exp(mu + s**2 / 2) - lognormal_partial(1, mu, s, cost)) for w, p, mu, s in TWO)
        return tail / found["mean"]

    for q in (0.01, 0.05, 0.1):
        assert found["top_share"][f"{q:g}"] == pytest.approx(top(q), rel=1e-10)
    assert found["bottom_half_share"] == pytest.approx(1 - top(0.5), rel=1e-9)


def test_a_population_that_can_be_counted_by_hand():
    """Ten people: five cost nothing, four cost 10, one costs 60."""
    severity = {"family": "empirical", "values": [10.0, 60.0], "weights": [4.0, 1.0]}
    found = sim.describe(alone(severity, p_user=0.5, simulation={"thresholds": [10.0, 40.0, math.inf]}))
    assert found["mean"] == pytest.approx(10.0)
    assert found["zero_share"] == pytest.approx(0.5)
    assert found["sd"] == pytest.approx(math.sqrt(0.4 * 100 + 0.1 * 3_600 - 100))
    assert found["top_share"] == pytest.approx({"0.01": 0.06, "0.05": 0.3, "0.1": 0.6})
    assert found["bottom_half_share"] == pytest.approx(0.0, abs=1e-12)
    ten, forty, none = found["thresholds"]
    assert (ten["p_above"], forty["p_above"], none["p_above"]) == pytest.approx((0.1, 0.1, 0.0))
    assert forty["share_of_cost_above"] == pytest.approx(0.1 * 20 / 10)
    assert forty["share_of_cost_of_patients_above"] == pytest.approx(0.6)
    assert ten["mean_below"] == pytest.approx(5.0)


def test_everybody_costs_the_same():
    found = sim.describe(alone({"family": "empirical", "values": [3.3]}))
    assert found["sd"] == pytest.approx(0.0, abs=1e-6)
    assert found["top_share"]["0.05"] == pytest.approx(0.05)
    assert found["bottom_half_share"] == pytest.approx(0.5)
    json.dumps(found, allow_nan=False)


def drawn(segments, rng, people=200_000):
    """Costs of a population drawn person by person."""
    parts = []
    for w, p, mu, sigma in segments:
        users = rng.random(round(w * people)) < p
        parts.append(users * rng.lognormal(mu, sigma, users.size))
    return np.sort(np.concatenate(parts))


def test_draws_agree_and_draws_of_another_population_do_not(rng):
    found = sim.describe(two_lognormals())

    def far(segments):
        shares, means, above = [], [], []
        for _ in range(16):
            cost = drawn(segments, rng)
            shares.append(cost[-cost.size // 20 :].sum() / cost.sum())
            means.append(np.minimum(cost, 25_000).mean())
            above.append((cost > 25_000).mean())
        wanted = (found["top_share"]["0.05"], found["thresholds"][0]["mean_below"], found["thresholds"][0]["p_above"])
        return [
            abs(np.mean(got) - want) / (np.std(got, ddof=1) / 4)
            for got, want in zip((shares, means, above), wanted, strict=True)
        ]

    assert max(far(TWO)) < 5
    assert min(far([(0.68, *TWO[0][1:]), (0.32, 0.95, 8.05, 1.15)])) > 5


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_scenario_is_plain_json(kind):
    found = sim.describe(make(**KINDS[kind]))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert "without simulation" in " ".join(str(check_table(found)).split())


def test_shocks_are_listed_and_change_nothing_else():
    calm, shaken = sim.describe(make()), sim.describe(make(shocks=[{"name": "a", "cv": 0.3}, {"name": "b", "cv": 0.4}]))
    assert shaken["shock_cv"] == pytest.approx(math.sqrt(1.09 * 1.16 - 1))
    assert [shock["cv"] for shock in shaken["shocks"]] == [0.3, 0.4]
    assert calm["shock_cv"] == 0
    assert {key for key in calm if calm[key] != shaken[key]} == {"shocks", "shock_cv"}


def test_rare_services_are_listed_apart():
    plain, found = sim.describe(make()), sim.describe(make(population={"rare_services": RARE}))
    assert found["rare_cost_in_scope"] == pytest.approx(900 / 100_000 * 30_000)
    assert found["rare_cost_out_of_scope"] == pytest.approx(0.02 * 4_000 * math.gamma(1 + 1 / 1.3))
    assert found["mean"] == plain["mean"]
    shown = str(check_table(found))
    assert "£270.00" in shown
    assert "prison" in shown


def test_risk_adjustment_removes_n_times_the_variance_between_segments():
    """The variance of a random mix's total less that of a fixed mix's, from another room's exact moments."""
    fixed, mixed = two_lognormals(), two_lognormals(population={"membership": "sampled"})
    n = 100_000
    from simulator.costs.model import head_counts
    from simulator.costs.moments import Exact

    def variance(scenario):
        model = scenario.cost_model
        heads = head_counts(n, model.shares)[None, :]
        return float(Exact(model).total(heads, []).sd[0]) ** 2

    removed = variance(mixed) - variance(fixed)
    assert removed == pytest.approx(n * sim.describe(mixed)["variance_between_segments"], rel=1e-6)


def test_infinite_moments_are_told_as_inf():
    severity = {"family": "pareto", "scale": 100.0, "alpha": 1.5}
    found = sim.describe(alone(severity, simulation={"thresholds": [1_000.0, 5_000.0]}))
    assert (found["sd"], found["cv"], found["r_squared"]) == ("inf", "inf", 0.0)
    assert found["tail_index"] == 1.5
    assert [row["share_of_variance_above"] for row in found["thresholds"]] == [1.0, 1.0]
    capped = integrate.quad(lambda x: (100 / max(x, 100)) ** 1.5, 0, 1_000, points=[100])[0]
    assert found["thresholds"][0]["mean_below"] == pytest.approx(capped, rel=1e-9)
    assert "infinite variance" in str(check_table(found))


def test_a_moment_that_is_barely_finite_is_exact():
    """Where the tail index is hardly above 2, a ten-thousandth of all users carries most of the second moment."""
    alpha = 2.02
    severity = {"family": "pareto", "scale": 100.0, "alpha": alpha}
    found = sim.describe(alone(severity, simulation={"thresholds": [1_000.0, math.inf]}))
    assert found["mean"] == pytest.approx(100 * alpha / (alpha - 1), rel=1e-12)
    second = 100**2 * alpha / (alpha - 2)
    assert found["sd"] == pytest.approx(math.sqrt(second - found["mean"] ** 2), rel=1e-9)


def test_percentiles_by_segment_have_an_amount_each():
    found = sim.describe(make(**KINDS["percentiles by segment"]))
    first = found["thresholds"][0]
    assert first["threshold"] is None
    assert len(first["threshold_by_segment"]) == 2
    assert first["percentile"] == 0.95
    assert first["p_above"] == pytest.approx(0.05, abs=1e-9)
    assert found["thresholds"][-1]["cv"] == found["cv"]


def test_segments_add_up():
    found = sim.describe(two_lognormals())
    assert math.fsum(row["share_of_people"] for row in found["segments"]) == pytest.approx(1.0)
    assert math.fsum(row["share_of_cost"] for row in found["segments"]) == pytest.approx(1.0)
    assert [row["tail_index"] for row in found["segments"]] == ["inf", "inf"]


def test_table_says_it_in_words_first_and_in_columns():
    shown = str(check_table(sim.describe(two_lognormals(population={"membership": "sampled"}))))
    opening = " ".join(shown.split("\n\n")[1].split())
    assert "cost nothing, and the costliest 5% carry" in opening
    assert "age and sex explain 3.7%, diagnoses 12.0% (Dixon et al. 2011, England)" in opening
    assert "The case mix is drawn" in opening
    lines = shown.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("threshold"))
    rows = lines[head : head + 7]
    assert rows[1] == "─" * len(rows[0])
    assert {len(row) for row in rows} == {len(rows[0])}
    assert shown.rsplit("\n\n", maxsplit=1)[-1].startswith("Calculated from the distributions, without simulation")
    assert "GBP" in shown.rsplit("\n\n", maxsplit=1)[-1]
    assert PUBLISHED_R_SQUARED == {"age and sex": 0.037, "diagnoses": 0.12}
