"""The price of exclusion: closed forms, draws, and rules compared where they remove the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import LOGNORMAL, RARE, SHOCKS, alone, make
from scipy import stats

import simulator as sim
from simulator.analysis.designs.pricing import compare_rules, fair_price
from simulator.contracts.exclusion import Banded, Step
from simulator.present.answers.fair_price import page as price_report

BOOK = make(simulation={"population_sizes": [2_000], "replicates": 4_000}, shocks=SHOCKS[:1])


def test_the_expected_excess_of_a_lognormal_is_the_closed_form():
    p, d, n = 0.7, 5_000.0, 1_000
    price = fair_price(alone(LOGNORMAL, p_user=p, simulation={"population_sizes": [n], "thresholds": [d]}), n, k=0.0)
    sigma = math.sqrt(math.log(5))
    mu = math.log(1_000) - sigma**2 / 2
    high = (mu + sigma**2 - math.log(d)) / sigma
    excess = p * (1_000 * stats.norm.cdf(high) - d * stats.norm.cdf(high - sigma))
    assert float(price["expected_excess_pmpy"][0]) == pytest.approx(excess, rel=1e-9)
    assert float(price["price_pmpy"][0]) == pytest.approx(excess, rel=1e-9)
    assert float(price["loading"][0]) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    "rule", [sim.Cap(), sim.Coinsure(share=0.7), sim.CarveOut()], ids=["cap", "coinsure", "carve-out"]
)
def test_price_and_draws_agree(rule):
    n, draws = 2_000, 4_000
    price = fair_price(BOOK, n, rule=rule)
    ledger = sim.simulate(BOOK, progress=False)
    taken = (ledger["gross_cost"] - sim.retained_cost(ledger, rule)).isel(population_size=0).transpose(
        "replicate", "threshold"
    ).values[:, :2] / n
    expected, sd = price["expected_excess_pmpy"].values[:2], price["sd_excess_pmpy"].values[:2]
    assert (np.abs((taken.mean(axis=0) - expected) / (sd / math.sqrt(draws))) < 4.5).all()
    spread = np.array([np.std((column - column.mean()) ** 2) / column.var() / math.sqrt(draws) for column in taken.T])
    assert (np.abs((taken.var(axis=0) / sd**2 - 1) / spread) < 4.5).all()
    wrong = fair_price(make(simulation={"population_sizes": [2_000]}), n, rule=rule)["sd_excess_pmpy"].values[
        :2
    ]  # no shock
    assert (np.abs((taken.var(axis=0) / wrong**2 - 1) / spread) > 4.5).any()


def test_what_is_removed_and_what_is_kept_add_up():
    bands = Banded(bands=(Step(at=5_000.0, share=0.4), Step(at=20_000.0, share=0.9)))
    ledger = sim.simulate(BOOK, progress=False)
    gross = float(sim.summarise(ledger, sim.Cap(at=math.inf))["exact_mean"][0, 0])
    for rule in (sim.Cap(at=20_000.0), bands):
        kept = float(sim.summarise(ledger, rule)["exact_mean"][0, 0])
        assert float(fair_price(BOOK, 2_000, rule=rule)["expected_excess_pmpy"][0]) * 2_000 == pytest.approx(
            gross - kept, rel=1e-9
        )


def test_a_larger_pool_charges_less_for_its_luck():
    small, large = (fair_price(make(), n, k=2.0) for n in (5_000, 500_000))
    assert (small["price_pmpy"][:2] > large["price_pmpy"][:2]).all()
    assert small["loading"].values[:2] == pytest.approx(10 * large["loading"].values[:2], rel=1e-2)
    assert small["price_pmpy"][2] == 0 and math.isnan(small["loading"][2])


def test_a_shock_puts_a_floor_under_the_price():
    floor = fair_price(BOOK, 50_000_000)["loading"].values[:2]
    assert (floor > SHOCKS[0]["cv"]).all()  # excess over a fixed amount moves more than the cost itself


# ── rules at equal expected excess ───────────────────────────────────────────────────────────────


def test_a_cap_leaves_the_least_luck_at_equal_expected_excess():
    compared = compare_rules(make(), 5_000, expected_excess_pmpy=150.0)
    assert compared["removed_pmpy"].values == pytest.approx(150.0, rel=1e-6)
    kept = compared["sd_retained_pmpy"]
    others = [name for name in compared["rule"].values if name != "cap"]
    assert (kept.sel(rule="cap") < 0.999 * kept.sel(rule=others)).all()
    assert (compared["sd_excess_pmpy"].sel(rule="carve-out") > compared["sd_excess_pmpy"].sel(rule="cap")).all()


def test_of_a_common_shock_a_carve_out_may_leave_less():
    kept = compare_rules(make(shocks=SHOCKS[:1]), 5_000_000, expected_excess_pmpy=150.0)["sd_retained_pmpy"]
    assert kept.sel(rule="carve-out") < kept.sel(rule="cap") < kept.sel(rule="coinsured")


def test_at_equal_threshold_the_order_is_another():
    scenario = make(simulation={"population_sizes": [5_000], "thresholds": [5_000.0]})
    cap, carved = (float(sim.exact(scenario, rule)["sd_cost"][0, 0]) for rule in (sim.Cap(), sim.CarveOut()))
    assert carved < cap  # it removes far more money: not a fair comparison


def test_a_service_out_of_scope_is_compared_too():
    scenario = make(population={"rare_services": RARE})
    compared = compare_rules(scenario, 5_000, expected_excess_pmpy=270.0, pool_members=100_000, k=2.0)
    service = compared.sel(rule="transplants out of scope")
    assert float(service["removed_pmpy"]) == pytest.approx(0.009 * 30_000)  # 900 in 100,000 at 30,000
    sd = math.sqrt(0.009 * 30_000**2 * (1 + 0.4**2) / 100_000)
    assert float(service["sd_excess_pmpy"]) == pytest.approx(sd, rel=1e-9)
    assert float(service["price_pmpy"]) == pytest.approx(270 + 2 * sd, rel=1e-9)
    assert "prison out of scope" not in compared["rule"].values  # it is out already
    gross, kept = (
        float(
            sim.exact(make(**part, simulation={"population_sizes": [5_000], "thresholds": [math.inf]}))["sd_cost"][0, 0]
        )
        for part in ({"population": {"rare_services": RARE}}, {})
    )
    assert float(service["variance_removed_share"]) == pytest.approx(1 - (kept / gross) ** 2, rel=1e-6)


def test_a_rule_that_cannot_remove_as_much_is_told_as_nan():
    compared = compare_rules(make(), 1_000, expected_excess_pmpy=0.9 * 1_500)
    assert compared["rule_threshold"].sel(rule="coinsured").isnull()
    assert compared["rule_threshold"].sel(rule="cap") > 0


def test_the_price_is_told_in_a_table():
    shown = str(price_report(fair_price(make(), 5_000)))
    assert "£5,000" in shown and "£20k" in shown and "none" in shown
    assert "a pool of 5,000" in shown


# ── mistakes ─────────────────────────────────────────────────────────────────────────────────────


def test_mistakes_are_told():
    with pytest.raises(sim.SimulatorError, match="whole number"):
        fair_price(BOOK, 0)
    with pytest.raises(sim.SimulatorError, match="at least 0"):
        fair_price(BOOK, 10, k=-1.0)
    with pytest.raises(sim.SimulatorError, match="between 0 and the mean"):
        compare_rules(BOOK, 10, expected_excess_pmpy=1e9)
    heavy = alone(
        {"family": "pareto", "alpha": 1.8, "scale": 500.0},
        simulation={"population_sizes": [10], "thresholds": [5_000.0]},
    )
    with pytest.raises(sim.SimulatorError, match="infinite variance"):
        fair_price(heavy, 1_000)
