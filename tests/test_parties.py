"""Parties: how a settlement is divided, who pays the excess, and that no money is made or lost."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ladders import BUDGET, cleared, context, surplus

from simulator.contracts.accounts import Accounts
from simulator.contracts.design import Design
from simulator.contracts.parties import Party, divide, weights
from simulator.settlement.clearing import clear

THREE = (
    Party(name="commissioner", funds=1.0, influence=1.0),
    Party(name="hospital", delivers=0.75, influence=2.0, contract_value=0.6),
    Party(name="community", delivers=0.25, influence=1.0, contract_value=0.4),
)


def parts_of(split, settlement, parties=THREE):
    parts, _ = divide(np.array([settlement]), np.array([BUDGET]), parties, split)
    return {name: round(float(part[0]), 6) for name, part in parts.items()}


def test_divide_by_hand():
    assert parts_of("by_influence", 100.0) == {"commissioner": 25, "hospital": 50, "community": 25}
    assert parts_of("by_budget", -100.0) == {"hospital": -60, "community": -40}
    partners = tuple(party for party in THREE if party.delivers)
    assert parts_of("equal", 100.0, partners) == {"hospital": 50, "community": 50}


def test_gains_and_losses_have_their_own_proportions():
    torbay = (
        Party(name="group", funds=1.0, gain_share=0.3, loss_share=0.5),
        Party(name="trust", delivers=1.0, gain_share=0.7, loss_share=0.5),
    )
    assert parts_of("fixed", 100.0, torbay) == {"group": 30, "trust": 70}
    assert parts_of("fixed", -100.0, torbay) == {"group": -50, "trust": -50}


def test_waterfall_fills_one_party_after_the_other():
    parties = (
        Party(name="payer", funds=1.0),
        Party(name="first", delivers=0.5, gain_limit=0.03, loss_limit=0.01),
        Party(name="second", delivers=0.5, gain_limit=0.05, loss_limit=0.02),
    )
    assert parts_of("waterfall", 60.0, parties) == {"first": 30, "second": 30}
    assert parts_of("waterfall", -25.0, parties) == {"first": -10, "second": -15}
    design = Design(name="w", parties=parties, split="waterfall")
    # 200 saved: 30 and 50 are kept, 120 stay with the payer; 200 overspent: 10 and 20 borne, 170 by the payer
    assert surplus(design, "payer", (0.8, 1.2)) == [120, -170]
    assert cleared(design, (0.8, 1.0)).accounts.events["party_limit_bound"].tolist() == [True, False]


def test_a_partys_limit_returns_the_rest_to_those_who_fund():
    plain = [party.model_copy(update={"influence": None}) for party in THREE]
    parties = (plain[0], plain[1].model_copy(update={"loss_limit": 0.03}), plain[2])
    design = Design(name="limited", parties=parties, split="by_budget")
    assert surplus(design, "hospital", (1.1,)) == [-30]
    assert surplus(design, "community", (1.1,)) == [-40]
    assert surplus(design, "commissioner", (1.1,)) == [-30]


@pytest.mark.parametrize("split", ["by_budget", "equal", "by_influence"])
def test_weights_add_to_one(split):
    assert sum(weights(THREE, split, gain=True).values()) == pytest.approx(1.0)


def test_excess_falls_on_those_who_fund_and_they_hold_its_expected_value():
    design = Design(name="plain", exclusion={"kind": "cap", "at": 50_000.0})
    paid = {"excess": np.array([70.0]), "expected_excess": np.array([50.0])}
    assert surplus(design, "payer", (0.9,), **paid) == [-20]
    assert surplus(design, "provider", (0.9,), **paid) == [100]


def test_a_reinsurer_takes_the_excess_for_a_loaded_premium():
    parties = [Party(name="payer", funds=1.0), Party(name="provider", delivers=1.0), Party(name="reinsurer")]
    bought = {"payer": "reinsurer", "premium_from": "provider", "loading": 0.2}
    design = Design(name="reinsured", parties=parties, protection=bought, exclusion={"kind": "cap", "at": 50_000.0})
    paid = {"excess": np.array([70.0]), "expected_excess": np.array([50.0])}
    assert surplus(design, "provider", (0.9,), **paid) == [90]  # 100 saved, less the loading of 10
    assert surplus(design, "reinsurer", (0.9,), **paid) == [-10]  # a premium of 60 for a claim of 70
    assert surplus(design, "payer", (0.9,), **paid) == [0]
    assert float(cleared(design, (0.9,), **paid).accounts.memo["protection_cost"][0]) == pytest.approx(10.0)


def test_a_funder_that_insures_itself_pays_no_loading():
    design = Design(
        name="own", protection={"payer": "payer", "loading": 0.2}, exclusion={"kind": "cap", "at": 50_000.0}
    )
    paid = {"excess": np.array([70.0]), "expected_excess": np.array([50.0])}
    assert float(cleared(design, (0.9,), **paid).accounts.memo["protection_cost"][0]) == 0.0
    assert surplus(design, "payer", (0.9,), **paid) == [-20]


def test_stranded_cost():
    parties = (Party(name="payer", funds=1.0), Party(name="provider", delivers=1.0, variable_share=0.4))
    design = Design(name="stranded", parties=parties)
    # activity falls by 100 below plan, but only 40 of it is cash: 60 of the saving is stranded
    assert surplus(design, "provider", (0.9, 1.1)) == [40, -40]
    tariff = Design(name="tariff", terms=[{"kind": "no_risk"}], parties=parties)
    assert surplus(tariff, "provider", (0.9, 1.1)) == [-60, 60]


def test_two_commissioners_fund_in_their_proportions():
    parties = (Party(name="a", funds=0.8), Party(name="b", funds=0.2), Party(name="provider", delivers=1.0))
    design = Design(name="two", terms=[{"kind": "share", "gain": 0.5, "loss": 0.0}], parties=parties)
    assert surplus(design, "a", (0.9, 1.1)) == [40, -80]
    assert surplus(design, "b", (0.9, 1.1)) == [10, -20]


def test_accounts_cannot_make_money():
    accounts = Accounts(["a", "b", "c"], (3,))
    accounts.pay({"a": 0.4, "b": 0.6}, "b", np.array([10.0, -5.0, 0.0]))
    assert accounts.payment["a"].tolist() == [-4, 2, 0]
    assert sum(accounts.payment.values()).tolist() == [0, 0, 0]
    with pytest.raises(KeyError):
        accounts.pay({"a": 1.0}, "nobody", 1.0)


# ── conservation over random designs ─────────────────────────────────────────────────────────────

shares = st.floats(0.0, 1.0)
amounts = st.floats(0.0, 0.2)


def proportions(count):
    """`count` numbers that add to 1."""
    return st.lists(st.floats(0.05, 1.0), min_size=count, max_size=count).map(lambda ws: [w / sum(ws) for w in ws])


TERMS = st.one_of(
    st.builds(lambda g, lo: {"kind": "share", "gain": g, "loss": lo}, shares, shares),
    st.builds(
        lambda r, f, h: {"kind": "minimum_rate", "rate": r, "first_dollar": f, "share_if_missed": h},
        amounts,
        st.booleans(),
        shares,
    ),
    st.builds(
        lambda a, b: {"kind": "bands", "gains": [{"upto": 0.05, "rate": a}, {"upto": math.inf, "rate": b}]},
        shares,
        shares,
    ),
    st.builds(
        lambda c, d, r: {"kind": "cap_and_collar", "cap": c, "collar": -d, "rate_above_cap": r},
        amounts,
        amounts,
        shares,
    ),
    st.builds(lambda c: {"kind": "gain_cap", "of_budget": c, "of_revenue": c}, amounts),
    st.builds(lambda c: {"kind": "loss_limit", "cash": 1_000 * c}, amounts),
    st.builds(lambda a, s: {"kind": "aggregate_stop_loss", "attachment": a, "share_above": s}, amounts, shares),
    st.builds(
        lambda t, p: {"kind": "cost_and_volume", "threshold": t, "ceiling": t + 0.1, "marginal_price": p},
        st.floats(0.8, 1.2),
        shares,
    ),
    st.builds(lambda g, f: {"kind": "quality_share", "gain": g, "gain_follows_score": f}, shares, st.booleans()),
    st.builds(lambda w: {"kind": "withhold", "share": w}, amounts),
)
TRANSFERS = st.one_of(
    st.builds(
        lambda o, c, g: {
            "kind": "risk_pool",
            "pool": "pool",
            "opening": o,
            "contributions": {"p0": c, "f0": c},
            "from_gains": g,
            "protects": ["p0", "p1"],
        },
        amounts,
        amounts,
        shares,
    ),
    st.builds(
        lambda o, i, p: {
            "kind": "outside_treatment",
            "holder": "p0",
            "outside": "pool",
            "outflow": o,
            "inflow": i,
            "inflow_price": p,
        },
        amounts,
        amounts,
        shares,
    ),
    st.builds(
        lambda f, p, c: {
            "kind": "subcontract",
            "prime": "p0",
            "subcontractor": "p1",
            "fee": f,
            "over_delivery_price": p,
            "over_delivery_cap": c,
        },
        st.floats(0.5, 1.5),
        shares,
        amounts,
    ),
    st.builds(
        lambda s, a, t: {"kind": "outcomes_payment", "share": s, "all_or_nothing": a, "on_top": t},
        amounts,
        st.booleans(),
        st.booleans(),
    ),
    st.builds(
        lambda a: {"kind": "fixed_transfer", "payer": "f1", "receiver": "p1", "of_budget": a - 0.1, "cash": 3.0},
        amounts,
    ),
)

FOLLOWS = st.builds(
    lambda s, p, c, d: {
        "kind": "follow_patients",
        "providers": ["p0", "p1"],
        "sd": s,
        "price": p,
        "cap": c,
        "collar": d,
    },
    amounts,
    shares,
    amounts,
    amounts,
)


@st.composite
def designs(draw):
    """Two funders, two providers between whom patients may move, and a pool; terms and transfers in any order."""
    funds, delivers, gains, losses = (draw(proportions(2)) for _ in range(4))
    limits = st.one_of(st.none(), amounts)
    split = draw(st.sampled_from(["fixed", "by_budget", "equal", "by_influence", "waterfall"]))
    parties = [{"name": f"f{k}", "funds": funds[k]} for k in range(2)]
    parties += [
        {
            "name": f"p{k}",
            "delivers": delivers[k],
            "gain_share": gains[k] if split == "fixed" else None,
            "loss_share": losses[k] if split == "fixed" else None,
            "influence": 1.0 + k if split == "by_influence" else None,
            "variable_share": draw(shares),
            "gain_limit": draw(limits),
            "loss_limit": draw(limits),
        }
        for k in range(2)
    ]
    return Design(
        name="random",
        parties=[*parties, {"name": "pool"}],
        split=split,
        terms=draw(st.lists(TERMS, max_size=4)),
        transfers=[*draw(st.lists(TRANSFERS, max_size=3)), *draw(st.lists(FOLLOWS, max_size=1))],
        protection=draw(
            st.one_of(
                st.none(),
                st.builds(
                    lambda f, g: {"payer": "pool", "premium_from": f, "loading": g},
                    st.sampled_from([None, "p0"]),
                    shares,
                ),
            )
        ),
        quality={"score": 0.7},
        revenue=0.5,
    )


def moved_activity(design, rng):
    """Changes of activity share where patients move, as `settle` draws them."""
    if design.follows_patients is None:
        return {}
    parties = {party.name: party for party in design.parties}
    changes = design.follows_patients.change(rng.standard_normal((50, 2)), parties)
    return {name: change[:, None] for name, change in changes.items()}


@given(design=designs(), seed=st.integers(0, 2**32 - 1))
def test_money_is_conserved_in_every_replicate(design, seed):
    rng = np.random.default_rng(seed)
    cost, excess = rng.lognormal(np.log(1_000), 0.15, (50, 3)), rng.exponential(50.0, (50, 3))
    ratios = cost / BUDGET
    surroundings = context(
        ratios,
        quality=rng.uniform(size=(50, 1)),
        met_standard=rng.uniform(size=(50, 1)) < 0.8,
        revenue=np.full((50, 3), 500.0),
        outcomes_met=rng.uniform(size=(50, 1)) < 0.5,
    )
    settled = clear(
        design,
        surroundings,
        expected_cost=surroundings.budget,
        expected_excess=50.0,
        excess=excess,
        activity_change=moved_activity(design, rng),
    )
    accounts = settled.accounts
    system = surroundings.cost + excess + accounts.own_cost
    assert np.abs(sum(accounts.payment.values())).max() < 1e-9 * BUDGET
    assert np.abs(sum(accounts.cost_borne.values()) - system).max() < 1e-9 * BUDGET
    left = sum(accounts.surplus(name) for name in accounts.payment)
    assert np.abs(left - (sum(accounts.funding.values()) - system)).max() < 1e-9 * BUDGET


def test_conservation_notices_a_lost_penny():
    settled = cleared(Design(name="plain"))
    settled.accounts.payment["provider"] += 0.01
    assert np.abs(sum(settled.accounts.payment.values())).max() > 1e-9 * BUDGET
