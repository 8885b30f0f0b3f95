"""Contracts over years: every year settled by its own terms, and what goes from one year into the next."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import make

import simulator as sim
from simulator.settlement.compare import imbalance

YEARS = {"contract": 3, "before": 3, "persistence": {"correlation": {"1": 0.3}, "stay": 0.9}}
PARTIES = [{"name": "payer", "funds": 1.0}, {"name": "provider", "delivers": 1.0}, {"name": "pool"}]
POOL = {"kind": "risk_pool", "pool": "pool", "protects": ["provider"], "opening": 0.05, "carries": True}
FEW = {"replicates": 40, "population_sizes": [100, 250]}


@pytest.fixture(scope="module")
def drawn():
    return sim.simulate(make(years=YEARS, simulation=FEW), progress=False)


def design(name="asked", **terms):
    return sim.Design(name=name, **terms)


def pooled(**contract):
    return design("pooled", parties=PARTIES, transfers=[POOL], contract=contract or None)


def surplus(outcome, party="provider"):
    return outcome["surplus"].isel(design=0, drop=True).sel(party=party).transpose("year", "replicate", ...).values


# ── each year on its own ─────────────────────────────────────────────────────────────────────────


def test_settled_each_year_is_as_many_settlements_of_one_year_to_the_penny(drawn):
    terms = [
        {"kind": "share", "gain": [0.3, 0.4], "loss": [0.1, 0.2, 0.3]},
        {"kind": "aggregate_stop_loss", "attachment": [0.01, 0.03]},
    ]
    of = {"exclusion": {"kind": "cap", "at": 20_000.0}, "terms": terms}
    together = sim.settle(drawn, design(**of))
    for year in (1, 2, 3):
        alone = sim.settle(sim.pool_years(drawn, {year: 1}), design(**of, year=year))
        for name in ("surplus", "payment", "funding", "cost_borne", "budget", "settlement"):
            np.testing.assert_allclose(together[name].sel(year=year), alone[name], atol=0.005)
        np.testing.assert_array_equal(together["triggered"].sel(year=year), alone["triggered"])
    assert imbalance(together) < 1e-9


def test_amounts_by_year_and_growth_by_trend():
    years = YEARS | {"before": 0, "trend": 0.05}
    ledger = sim.simulate(make(years=years, simulation=FEW), progress=False)

    def budgets(**budget):
        settled = sim.settle(ledger, design(budget={"kind": "per_head", **budget}))["budget"]
        return settled.isel(design=0, replicate=0, population_size=-1).values / 250

    np.testing.assert_allclose(budgets(amount=[900.0, 950.0]), [900, 950, 950])
    np.testing.assert_allclose(budgets(amount=900.0, trend=0.02), 900 * 1.02 ** np.array([1, 2, 3]))
    np.testing.assert_allclose(budgets(amount=900.0, trend=0.02, trend_years=0), 900 * 1.02 ** np.array([0, 1, 2]))
    mean = budgets()
    np.testing.assert_allclose(mean / mean[0], 1.05 ** np.array([0, 1, 2]), rtol=1e-9)  # the year's own expected cost


def test_cumulative_surplus_is_discounted_from_year_1(drawn):
    outcome = sim.settle(drawn, design(), discount_rate=0.1)
    own = surplus(outcome)
    at = outcome["cumulative_surplus"].isel(design=0).sel(party="provider").transpose("year", "replicate", ...)
    np.testing.assert_allclose(at.sel(year=3), own[0] + own[1] / 1.1 + own[2] / 1.21)


def test_another_year_and_a_wrong_rate_are_refused_in_one_sentence(drawn):
    with pytest.raises(sim.SimulatorError, match="one of the years of the ledger"):
        sim.settle(drawn, design(year=2))
    with pytest.raises(sim.SimulatorError, match="is no rate a year"):
        sim.settle(drawn, design(), discount_rate=-1.0)


# ── between years ────────────────────────────────────────────────────────────────────────────────


def test_at_the_end_all_years_are_settled_together(drawn):
    share = [{"kind": "share", "gain": 0.5, "loss": 0.5}, {"kind": "loss_limit", "of_budget": 0.02}]
    whole = sim.settle(drawn, design(terms=share, contract={"settled": "at_end"}))
    one = sim.settle(sim.pool_years(drawn, {1: 1, 2: 1, 3: 1}), design(terms=share))
    paid = whole["settlement"].sum("year")
    np.testing.assert_allclose(paid, one["settlement"], rtol=1e-9, atol=1e-6)
    assert not whole["settlement"].sel(year=[1, 2]).any()
    each = sim.settle(drawn, design(terms=share))["settlement"].sum("year")
    assert abs(each - one["settlement"]).max() > 100  # the control: limits of single years are others


def test_a_rolling_mean_is_of_the_last_years(drawn):
    rolling = sim.settle(drawn, design(contract={"settled": "rolling", "rolling_years": 2}))["settlement"]
    each = sim.settle(drawn, design())["settlement"]
    np.testing.assert_allclose(rolling.sel(year=1), each.sel(year=1))
    np.testing.assert_allclose(rolling.sel(year=3), (each.sel(year=2) + each.sel(year=3)) / 2, atol=1e-6)


def test_what_is_carried_comes_back_with_interest_by_hand():
    """A loss of 100: 8% of the budget is carried, the rest paid at once."""
    carry = sim.Design(
        name="a", contract={"carry": {"interest": 0.1, "limit": 0.08, "written_off": 0.5}}
    ).contract.carry
    budget, due = np.array([1_000.0]), np.array([-100.0])
    assert carry.kept(due, budget) == -80.0  # limited to 8% of the budget; 20 are paid at once
    assert carry.kept(-due, budget) == 0.0  # gains are paid at once
    assert carry.at_end(due, budget) == -60.0  # half of the 80 that would be carried is written off


def test_carried_and_paid_add_up_to_what_was_settled(drawn):
    rate = 0.07
    plain = sim.settle(drawn, design())["settlement"].isel(design=0).transpose("year", ...).values
    carried = sim.settle(drawn, design(contract={"carry": {"gains": 0.4, "losses": 0.9, "interest": rate}}))
    paid = carried["settlement"].isel(design=0).transpose("year", ...).values
    grown = (1 + rate) ** np.arange(2, -1, -1)[:, None, None]
    np.testing.assert_allclose((paid * grown).sum(axis=0), (plain * grown).sum(axis=0), rtol=1e-9, atol=1e-6)
    assert not carried["carried"].sel(year=3).any() and carried["carried"].sel(year=1).any()


def test_terms_over_the_contract_leave_the_sum_as_they_leave_one_result(drawn):
    cap = {"kind": "profit_cap", "rate": 0.02}
    plain = sim.settle(drawn, design())
    capped = sim.settle(drawn, design(contract={"cumulative": [cap]}))["settlement"].sum("year")
    whole = sim.settle(sim.pool_years(drawn, {1: 1, 2: 1, 3: 1}), design(terms=[cap]))["settlement"]
    np.testing.assert_allclose(capped, whole, rtol=1e-9, atol=1e-6)
    assert (abs(plain["settlement"].sum("year") - whole) > 1).any()


def test_a_pool_that_carries_over_is_the_sum_of_its_years(drawn):
    outcome = sim.settle(drawn, pooled())
    balance = outcome["pool_balance"].isel(design=0)
    np.testing.assert_allclose(
        outcome["cumulative_surplus"].sel(party="pool").isel(design=0).transpose(*balance.dims), balance, atol=1e-6
    )
    assert (balance.transpose("year", ...).diff("year") <= 1e-9).all() and (balance >= -1e-9).all()
    assert (outcome["funding"].sel(party="pool", year=2) == 0).all()  # opened once


def test_a_party_that_leaves_has_the_status_quo_from_the_next_year(drawn):
    exit_rule = {"party": "provider", "loss_over": 0.05, "years_running": 1}
    stays, leaves = sim.settle(drawn, design()), sim.settle(drawn, design(contract={"exit": exit_rule}))
    quo = sim.settle(drawn, sim.Design(name="quo", terms=[{"kind": "tariff_and_block", "block_share": 0.5}]))
    left = leaves["left"].isel(design=0).transpose("year", ...).values
    assert (np.diff(left, axis=0) >= 0).all() and 0 < left[0].mean() < left[2].mean() < 1
    before = np.concatenate([np.zeros_like(left[:1]), left[:-1]])
    expected = np.where(before == 1, surplus(quo), surplus(stays))
    np.testing.assert_allclose(surplus(leaves), expected, atol=1e-6)
    lost = surplus(stays)[0] < -0.05 * stays["budget"].sel(year=1).isel(design=0).values
    np.testing.assert_array_equal(left[0] == 1, lost)


@pytest.mark.parametrize("seed", range(12))
def test_money_is_conserved_under_any_contract(drawn, seed):
    """Over parties in each year; and over years: what the pool holds is what it was given, less what it gave."""
    rng = np.random.default_rng(seed)
    contract = {"settled": ["each_year", "rolling"][seed % 2]} | ({"rolling_years": 2} if seed % 2 else {})
    if rng.random() < 0.7:
        limits = {"gains": rng.random(), "losses": rng.random(), "interest": 0.1 * rng.random()}
        contract["carry"] = limits | {"limit": 0.1 * rng.random(), "written_off": rng.random()}
    if rng.random() < 0.6:
        contract["cumulative"] = [{"kind": "aggregate_stop_loss", "attachment": [0.02, 0.04, 0.06]}]
    savings = [0.01, 0.02] if rng.random() < 0.6 else 0.0
    if savings:
        contract["investment"] = {"by": "provider", "set_up": 1e4 * rng.random(), "double_running": [2e3, 1e3]}
    if rng.random() < 0.6:
        contract["exit"] = {"party": "provider", "loss_over": 0.03, "years_running": 1 + seed % 2}
    pool = POOL | {"interest": 0.05 * rng.random(), "from_gains": rng.random(), "covers": rng.random()}
    pool |= {"contributions": {"payer": 0.02}, "target": 0.06, "cap": 0.08}
    budget = {"kind": "past_years", "weights": [0.4, 0.6], "correlation": [0.3], "rebase_every": 1 + seed % 3}
    outcome = sim.settle(
        drawn, design(budget=budget, parties=PARTIES, transfers=[pool], contract=contract, savings=savings)
    )
    assert imbalance(outcome) < 1e-9
    whole = outcome["surplus"].sum(["party", "year"]) - (outcome["funding"].sum("party") - outcome["system_cost"]).sum(
        "year"
    )
    assert float(abs(whole).max() / outcome["budget"].mean()) < 1e-9
    balance, own = outcome["pool_balance"], outcome["surplus"].sel(party="pool").cumsum("year")
    assert float(abs(balance - own).max() / outcome["budget"].mean()) < 1e-9
    assert (balance >= -1e-6).all() and (balance <= 0.08 * outcome["budget"] * 3 + 1e-6).all()


# ── benchmarks ───────────────────────────────────────────────────────────────────────────────────


def without_luck(ledger):
    """The same ledger with every cost at its expected value."""
    exact = sim.pool_years(ledger, {2: 1})["expected_gross_cost"].mean("parameter_set")
    return ledger.assign(gross_cost=(ledger["gross_cost"] * 0 + exact.values).assign_attrs(ledger["gross_cost"].attrs))


@pytest.mark.parametrize(("every", "pays"), [(None, [1, 1, 1]), (1, [1, 0, 0]), (2, [1, 1, 0])])
def test_rebasing_ends_what_a_lasting_saving_pays(drawn, every, pays):
    """The ratchet, to the penny without luck: each year at weight 1 it pays once, without rebasing every year."""
    budget = {"kind": "past_years", "weights": [1.0], "correlation": [0.3], "rebase_every": every}
    outcome = sim.settle(without_luck(drawn), design(budget=budget, savings=0.01))
    one = 0.01 * outcome["budget"].sel(year=1).isel(design=0, replicate=0).values
    np.testing.assert_allclose(surplus(outcome)[:, 0], np.outer(pays, one), atol=0.005)


def test_savings_given_back_and_the_region_keep_a_saving_paying(drawn):
    rebased = {"kind": "past_years", "weights": [1.0], "correlation": [0.3], "rebase_every": 1}
    for term in ("savings_returned", "regional_share"):
        outcome = sim.settle(without_luck(drawn), design(budget=rebased | {term: 0.5}, savings=0.01))
        paid = surplus(outcome)[:, 0] / (0.01 * outcome["budget"].sel(year=1).isel(design=0, replicate=0).values)
        assert paid[1] == pytest.approx(0.5, abs=1e-6), term


def test_a_benchmark_is_of_the_drawn_years_and_needs_them(drawn):
    budget = {"kind": "past_years", "weights": [0.1, 0.3, 0.6], "correlation": [0.3]}
    outcome = sim.settle(drawn, design(budget=budget))
    gross = drawn["gross_cost"]
    by_hand = 0.1 * gross.sel(year=-2) + 0.3 * gross.sel(year=-1) + 0.6 * gross.sel(year=0)
    for year in (1, 2, 3):
        np.testing.assert_allclose(outcome["budget"].sel(year=year).isel(design=0), by_hand, rtol=1e-12)
    with pytest.raises(sim.SimulatorError, match="needs 3 years before the contract"):
        sim.settle(drawn.sel(year=[0, 1, 2, 3]), design(budget=budget))
