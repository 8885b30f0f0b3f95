"""Transfers between parties, each by hand."""

from __future__ import annotations

import numpy as np
import pytest
from ladders import LADDER, cleared, surplus

from simulator.contracts.design import Design
from simulator.contracts.parties import Party
from simulator.contracts.transfers import FollowPatients

PAYER, PROVIDER = Party(name="payer", funds=1.0), Party(name="provider", delivers=1.0)


def pooled(**changes):
    pool = {
        "kind": "risk_pool",
        "pool": "pool",
        "opening": 0.05,
        "contributions": {"payer": 0.02, "provider": 0.01},
        "protects": ["provider"],
    }
    return Design(name="pooled", parties=[PAYER, PROVIDER, Party(name="pool")], transfers=[pool | changes])


def test_pool_on_a_ladder_until_it_is_exhausted():
    # the pool holds 50 + 20 + 10 = 80: deficits of 50 are met, of 100 and more only 80
    design = pooled()
    accounts = cleared(design).accounts
    assert surplus(design, "provider") == [190, 140, 90, 40, -10, -10, -30, -80, -130]
    assert surplus(design, "pool") == [80, 80, 80, 80, 80, 30, 0, 0, 0]  # its closing balance
    assert accounts.events["pool_exhausted"].tolist() == [False] * 6 + [True] * 3
    assert accounts.memo["pool_contributions"].round(6).tolist() == [30] * len(LADDER)
    assert accounts.memo["pool_drawdown"].round(6).tolist() == [0, 0, 0, 0, 0, 50, 80, 80, 80]


def test_pool_is_not_exhausted_by_a_claim_that_it_just_meets():
    accounts = cleared(pooled(), (1.08, 1.0801)).accounts
    assert accounts.events["pool_exhausted"].tolist() == [False, True]


def test_pool_fed_from_gains_covers_a_part():
    design = pooled(opening=0.0, contributions={}, from_gains=0.25)
    assert surplus(design, "provider", (0.9, 1.1)) == [75, -100]
    assert surplus(design, "pool", (0.9, 1.1)) == [25, 0]
    assert surplus(pooled(covers=0.5), "provider", (1.1,)) == [-60]  # half of 100 met, 10 contributed


def test_pool_meets_several_deficits_in_proportion():
    parties = [PAYER, Party(name="a", delivers=0.75), Party(name="b", delivers=0.25), Party(name="pool")]
    pool = {"kind": "risk_pool", "pool": "pool", "opening": 0.04, "protects": ["a", "b"]}
    design = Design(name="two", parties=parties, transfers=[pool])
    assert surplus(design, "a", (1.1,)) == [-45]  # 75 less three quarters of 40
    assert surplus(design, "b", (1.1,)) == [-15]


def test_alzira_outside_treatment():
    parties = [PAYER, Party(name="holder", delivers=1.0), Party(name="outside")]
    flows = {"kind": "outside_treatment", "holder": "holder", "outside": "outside", "outflow": 0.1, "inflow": 0.05}
    design = Design(name="alzira", parties=parties, terms=[{"kind": "profit_cap", "rate": 0.075}], transfers=[flows])
    # a tenth of the residents' cost is borne and charged elsewhere at 100%; outsiders cost 50 and bring in 40
    assert surplus(design, "holder") == [65, 65, 65, 40, -10, -60, -110, -160, -210]
    assert surplus(design, "outside") == [0] * 9
    assert cleared(design).accounts.own_cost.tolist() == [50] * 9


def test_profit_return_sees_what_other_transfers_left():
    parties = [PAYER, PROVIDER]
    bonus = {"kind": "fixed_transfer", "payer": "payer", "receiver": "provider", "of_budget": 0.03}
    limit = {"kind": "profit_return", "party": "provider", "rate": 0.075, "returned": 0.8}
    design = Design(name="returns", parties=parties, transfers=[bonus, limit])
    # 30 on top of the saving; of what lies above 75, a fifth is kept
    assert surplus(design, "provider", (0.9, 0.95, 1.0, 1.1)) == [86, 76, 30, -70]
    assert cleared(design, (0.95, 1.0)).accounts.events["cap_bound"].tolist() == [True, False]


def test_subcontractor_keeps_or_bears_the_difference_to_its_fee():
    parties = [PAYER, Party(name="prime", delivers=0.6, gain_share=1.0), Party(name="sub", delivers=0.4)]
    contract = {"kind": "subcontract", "prime": "prime", "subcontractor": "sub", "fee": 1.0}
    fixed = Design(name="fixed fee", parties=parties, transfers=[contract])
    # of 100 saved or overspent, 40 lie with the subcontractor and 60 with the prime
    assert surplus(fixed, "sub", (0.9, 1.1)) == [40, -40]
    assert surplus(fixed, "prime", (0.9, 1.1)) == [60, -60]
    charged = Design(name="charged", parties=parties, transfers=[contract | {"over_delivery_price": 1.0}])
    assert surplus(charged, "sub", (0.9, 1.1)) == [40, 0]
    assert surplus(charged, "prime", (0.9, 1.1)) == [60, -100]
    capped = Design(
        name="capped", parties=parties, transfers=[contract | {"over_delivery_price": 1.0, "over_delivery_cap": 0.05}]
    )
    assert surplus(capped, "sub", (1.1,)) == [-20]  # 40 over, 20 of it charged
    assert cleared(capped, (1.05, 1.1)).accounts.events["over_delivery_capped"].tolist() == [False, True]


def test_mid_nottinghamshire_outcomes_all_or_nothing():
    parties = [PAYER, Party(name="a", delivers=0.7), Party(name="b", delivers=0.3)]
    payment = {"kind": "outcomes_payment", "share": 0.018, "all_or_nothing": True}
    design = Design(name="outcomes", parties=parties, transfers=[payment], quality={"score": 1.0})
    met = {"quality": np.array([1.0, 0.9]), "outcomes_met": np.array([True, False])}
    assert surplus(design, "a", (1.0, 1.0), **met) == [0, -12.6]  # 1.8% of a contract of 700
    assert surplus(design, "b", (1.0, 1.0), **met) == [0, -5.4]
    on_top = design.model_copy(update={"transfers": (design.transfers[0].model_copy(update={"on_top": True}),)})
    assert surplus(on_top, "a", (1.0, 1.0), **met) == [12.6, 0]
    by_score = design.model_copy(
        update={"transfers": (design.transfers[0].model_copy(update={"all_or_nothing": False}),)}
    )
    assert surplus(by_score, "a", (1.0, 1.0), **met) == pytest.approx([0, -1.26])


def test_money_follows_patients_within_cap_and_collar():
    parties = [PAYER, Party(name="a", delivers=0.5), Party(name="b", delivers=0.5)]
    follows = {
        "kind": "follow_patients",
        "providers": ["a", "b"],
        "sd": 0.01,
        "price": 0.7,
        "cap": 0.02,
        "collar": 0.02,
    }
    design = Design(name="follows", parties=parties, transfers=[follows])
    moved = {"activity_change": {"a": np.array([0.01, 0.04]), "b": np.array([-0.01, -0.04])}}
    # 10 of cost move, 7 of money; then 40 of cost, but money for 20 only
    assert surplus(design, "a", (1.0, 1.0), **moved) == pytest.approx([-3, -26])
    assert surplus(design, "b", (1.0, 1.0), **moved) == pytest.approx([3, 26])
    assert cleared(design, (1.0, 1.0), **moved).accounts.events["cap_bound"].tolist() == [False, True]


def test_changes_of_activity_sum_to_zero_and_leave_nobody_below_nothing(rng):
    parties = {name: Party(name=name, delivers=share) for name, share in (("a", 0.90), ("b", 0.08), ("c", 0.02))}
    follows = FollowPatients(providers=("a", "b", "c"), sd=0.02)
    changes = follows.change(rng.standard_normal((5_000, 3)), parties)
    assert np.abs(sum(changes.values())).max() < 1e-15
    assert all((changes[name] + party.delivers).min() > -1e-15 for name, party in parties.items())
    assert changes["a"].std() == pytest.approx(0.02 * np.sqrt(2 / 3), rel=0.05)


def test_fixed_transfer():
    parties = [Party(name="a", funds=0.5), Party(name="b", funds=0.5), PROVIDER]
    transfer = {"kind": "fixed_transfer", "payer": "a", "receiver": "b", "of_budget": 0.01, "cash": 5.0}
    design = Design(name="smoothing", parties=parties, transfers=[transfer])
    assert surplus(design, "a", (1.0,)) == [-15]
    assert surplus(design, "b", (1.0,)) == [15]
