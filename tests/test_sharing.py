"""Sharing, limits and activity terms, each on a ladder of costs with hand-written answers."""

from __future__ import annotations

import math
import re
from typing import get_args

import numpy as np
import pytest
from conftest import ROOT
from ladders import LADDER, context, settled
from pydantic import ValidationError

from simulator.contracts import sharing
from simulator.contracts.activity import Block, CostAndVolume, MarginalRate, TariffAndBlock
from simulator.contracts.context import Array, Context
from simulator.contracts.limits import AggregateStopLoss, CapAndCollar, GainCap, LossLimit, ProfitCap
from simulator.contracts.sharing import (
    Adjustment,
    Band,
    Bands,
    FullRisk,
    Haircut,
    LossRelief,
    MinimumRate,
    NoRisk,
    Share,
    SharingTerm,
    size_based_rate,
)
from simulator.settlement.clearing import apply_terms

GLOBAL = Bands(gains=tuple(Band(upto=u, rate=r) for u, r in ((0.25, 1.0), (0.35, 0.5), (0.50, 0.25), (math.inf, 0.1))))
PROFESSIONAL = Bands(
    gains=tuple(Band(upto=u, rate=r) for u, r in ((0.05, 0.5), (0.10, 0.35), (0.15, 0.15), (math.inf, 0.05)))
)

ONE_LADDER = {
    # term: settlement at costs of 800, 850, … 1,200 with a budget of 1,000
    "full risk": (FullRisk(), [200, 150, 100, 50, 0, -50, -100, -150, -200]),
    "no risk": (NoRisk(), [0, 0, 0, 0, 0, 0, 0, 0, 0]),
    "gain and loss share": (Share(gain=0.5, loss=0.3), [100, 75, 50, 25, 0, -15, -30, -45, -60]),
    "REACH Global": (GLOBAL, [200, 150, 100, 50, 0, -50, -100, -150, -200]),
    "REACH Professional": (PROFESSIONAL, [52.5, 50, 42.5, 25, 0, -25, -42.5, -50, -52.5]),
    "gate, both sides": (MinimumRate(rate=0.10), [200, 150, 100, 0, 0, 0, -100, -150, -200]),
    "gate, gains only": (MinimumRate(rate=0.10, sides="gains"), [200, 150, 100, 0, 0, -50, -100, -150, -200]),
    "gate, losses only": (MinimumRate(rate=0.10, sides="losses"), [200, 150, 100, 50, 0, 0, -100, -150, -200]),
    "gate, excess only": (MinimumRate(rate=0.10, first_dollar=False), [100, 50, 0, 0, 0, 0, 0, -50, -100]),
    "gate, own loss rate": (MinimumRate(rate=0.1, loss_rate=0.15), [200, 150, 100, 0, 0, 0, 0, -150, -200]),
    "gate, half if missed": (MinimumRate(rate=0.10, share_if_missed=0.5), [200, 150, 100, 25, 0, 0, -100, -150, -200]),
    "gate by size, 10,000: 3%": (MinimumRate(), [200, 150, 100, 50, 0, -50, -100, -150, -200]),
    "haircut": (Haircut(keep=0.98), [196, 147, 98, 49, 0, -50, -100, -150, -200]),
    "haircut of losses too": (Haircut(keep=0.9, losses_too=True), [180, 135, 90, 45, 0, -45, -90, -135, -180]),
    "adjustment": (Adjustment(amount=5.0, of_budget=0.01), [215, 165, 115, 65, 15, -35, -85, -135, -185]),
    "relief": (LossRelief(amount=60.0), [200, 150, 100, 50, 0, 0, -40, -90, -140]),
    "gain cap": (GainCap(of_budget=0.10), [100, 100, 100, 50, 0, -50, -100, -150, -200]),
    "gain cap in cash": (GainCap(of_budget=0.12, cash=70.0), [70, 70, 70, 50, 0, -50, -100, -150, -200]),
    "loss limit": (LossLimit(of_budget=0.04), [200, 150, 100, 50, 0, -40, -40, -40, -40]),
    "Alzira 7.5%": (ProfitCap(rate=0.075), [75, 75, 75, 50, 0, -50, -100, -150, -200]),
    "profit cap, half returned": (ProfitCap(rate=0.1, returned=0.5), [150, 125, 100, 50, 0, -50, -100, -150, -200]),
    "cap and collar": (CapAndCollar(cap=0.10, collar=-0.05), [100, 100, 100, 50, 0, -50, -50, -50, -50]),
    "cap and collar with rates": (
        CapAndCollar(cap=0.10, collar=-0.05, rate_above_cap=0.2, rate_below_collar=0.5),
        [120, 110, 100, 50, 0, -50, -75, -100, -125],
    ),
    "stop-loss": (AggregateStopLoss(attachment=0.05), [200, 150, 100, 50, 0, -50, -50, -50, -50]),
    "stop-loss with limit": (
        AggregateStopLoss(attachment=0.05, share_above=0.2, limit=0.08),
        [200, 150, 100, 50, 0, -50, -60, -70, -120],
    ),
    "tariff and block": (TariffAndBlock(block_share=0.4), [80, 60, 40, 20, 0, -20, -40, -60, -80]),
    "block": (Block(), [200, 150, 100, 50, 0, -50, -100, -150, -200]),
    "block with tolerance": (
        Block(tolerance=0.05, price_beyond=0.8, refund_beyond=0.5),
        [125, 100, 75, 50, 0, -50, -60, -70, -80],
    ),
    "cost and volume": (
        # 1,050 is paid 1,000 + 0.7 × 50; above the ceiling of 1,100 the payment stays at 1,070
        CostAndVolume(threshold=1.0, ceiling=1.1, marginal_price=0.7),
        [200, 150, 100, 50, 0, -15, -30, -80, -130],
    ),
    "Whittington": (
        # payment = 1,000 + 0.30 × (activity − 1,000): 940 for 800, 1,060 for 1,200
        MarginalRate(above=0.30, below=0.30),
        [140, 105, 70, 35, 0, -35, -70, -105, -140],
    ),
    "emergency tariff": (MarginalRate(above=0.70, below=1.0), [0, 0, 0, 0, 0, -15, -30, -45, -60]),
}


@pytest.mark.parametrize("name", ONE_LADDER)
def test_ladder(name):
    term, expected = ONE_LADDER[name]
    assert settled([term]) == expected


def test_every_term_has_a_ladder():
    kinds = {term.kind for term, _ in ONE_LADDER.values()}
    union = get_args(get_args(SharingTerm)[0])
    unseen = {term.model_fields["kind"].default for term in union} - kinds
    assert unseen == {
        "quality_gate",
        "quality_multiplier",
        "quality_share",
        "level_table",
        "withhold",
    }  # test_quality.py


def test_reach_global_far_out():
    # 250; 250 + half of 50; 250 + 50 + a quarter of 50; 250 + 50 + 37.5 + a tenth of 100
    assert settled([GLOBAL], (0.75, 0.70, 0.60, 0.40)) == [250, 275, 312.5, 347.5]


def test_axene():
    # 125,000 member months at 500.00, spent 495.50: half of 4.50 × 125,000
    budget, cost = 125_000 * 500.0, 125_000 * 495.5
    assert settled([Share(gain=0.5, loss=0.0)], [cost / budget], budget) == [281_250.0]
    assert settled([MinimumRate(rate=0.01), Share(gain=0.5, loss=0.0)], [cost / budget], budget) == [0.0]


def test_pgp_pays_beyond_the_minimum_only():
    terms = [MinimumRate(rate=0.02, first_dollar=False), Share(gain=0.8, loss=0.0)]
    assert settled(terms) == [144, 104, 64, 24, 0, 0, 0, 0, 0]
    assert settled(terms, (0.97, 0.98, 0.99)) == [8, 0, 0]


def test_order_matters_haircut_before_cap():
    half, haircut, cap = Share(gain=0.5, loss=0.0), Haircut(keep=0.98), GainCap(of_budget=0.10)
    # 205 saved, half is 102.5: the haircut first leaves 100.45, capped at 100; the cap first leaves 98
    assert settled([half, haircut, cap], [0.795]) == [100.0]
    assert settled([half, cap, haircut], [0.795]) == [98.0]


def test_gate_is_passed_at_the_minimum_exactly():
    assert settled([MinimumRate(rate=0.02)], (0.98, 0.9800001, 1.02, 1.0199999)) == [20, 0, -20, 0]


def test_gate_at_zero_lets_everything_pass():
    assert settled([MinimumRate(rate=0.0)], (0.999, 1.0, 1.001)) == [1, 0, -1]


def test_gate_judges_the_result_not_what_earlier_terms_left():
    assert settled([Share(gain=0.5, loss=0.5), MinimumRate(rate=0.08)], (0.9, 0.95)) == [50, 0]


@pytest.mark.parametrize(
    ("members", "rate"),
    [
        (500, 0.122),
        (605, 0.114635),
        (999, 0.087),
        (1_000, 0.087),
        (2_999, 0.05),
        (5_000, 0.039),
        (9_139, 0.030861),
        (10_000, 0.03),
        (19_999, 0.025),
        (38_660, 0.023134),
        (59_999, 0.02),
        (60_000, 0.02),
        (500_000, 0.02),
        (499, 0.122490),
        (400, 0.136811),
        (100, 0.273622),
        (1, 2.736216),
    ],
)
def test_size_based_rate(members, rate):
    assert float(size_based_rate(np.array(members))) == pytest.approx(rate, abs=5e-7)


def test_a_rows_own_minimum_goes_first():
    assert settled([MinimumRate(rate=0.10)], (0.95, 0.95), minimum_rate=[0.04, math.nan]) == [50, 0]


def test_an_unknown_size_is_not_settled_in_silence():
    assert np.isnan(settled([MinimumRate()], (0.9,), members=math.nan)[0])


def test_lesser_of_two_limits():
    limit = LossLimit(of_revenue=0.08, of_budget=0.04)
    # 8% of a revenue of 300 is 24; of 900 is 72, so 4% of the budget holds; unknown revenue leaves the budget's
    assert settled([limit], (1.2, 1.2, 1.2), revenue=[300.0, 900.0, math.nan]) == [-24, -40, -40]


def test_figures_by_contract_year():
    widening = AggregateStopLoss(attachment=(0.01, 0.02, 0.05))
    assert [settled([widening], (1.1,), year=year)[0] for year in (1, 2, 3, 9)] == [-10, -20, -50, -50]
    assert settled([Share(gain=(0.2, 0.4), loss=0.5)], (0.9, 1.1), year=2) == [40, -50]


def test_relief_never_turns_a_loss_into_a_gain_whatever_its_sign():
    assert settled([LossRelief()], (1.05, 1.05, 1.05, 0.95), relief=[-20.0, 20.0, 80.0, 20.0]) == [-30, -30, 0, 50]


def test_cost_and_volume_with_a_threshold_below_plan():
    # from 900 to 1,000 half a price is paid on top of the block
    term = CostAndVolume(threshold=0.9, ceiling=1.0, marginal_price=0.5)
    assert settled([term], (0.85, 0.95, 1.0, 1.1)) == [150, 75, 50, -50]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: CapAndCollar(cap=0.01, collar=0.02), "collar 0.02 lies above cap 0.01"),
        (lambda: CapAndCollar(cap=0.05, collar=0.02), "write the collar as a negative share"),
        (lambda: MinimumRate(rate=-0.01), "greater than or equal to 0"),
        (lambda: GainCap(), "limits nothing"),
        (lambda: CostAndVolume(threshold=1.1, ceiling=1.0, marginal_price=0.7), "ceiling 1 lies below threshold 1.1"),
        (lambda: Bands(gains=(Band(upto=0.2, rate=1), Band(upto=0.1, rate=0))), "bands must end one above the other"),
        (lambda: Share(gain=1.5, loss=0.0), "less than or equal to 1"),
        (lambda: Share(gain=50, loss=0.0), "less than or equal to 1"),
        (lambda: Haircut(keep=0.98, cap=0.1), "Extra inputs are not permitted"),
    ],
)
def test_contradictions_are_refused(make, sentence):
    with pytest.raises(ValidationError) as caught:
        make()
    assert sentence in str(caught.value)
    assert caught.value.error_count() == 1


def test_ladder_has_a_twin_that_fails():
    term, expected = ONE_LADDER["REACH Professional"]
    wrong = Bands(gains=(Band(upto=0.05, rate=0.5), Band(upto=math.inf, rate=0.35)))
    assert settled([term]) == expected != settled([wrong])


def test_terms_are_functions_of_each_cost_alone():
    terms = [term for term, _ in ONE_LADDER.values() if term.kind not in ("full_risk", "no_risk")]
    together = settled(terms[:8])
    apart = [settled(terms[:8], [ratio])[0] for ratio in LADDER]
    assert together == apart
    square = context(LADDER)
    assert apply_terms((), square).tolist() == (square.budget - square.cost).tolist()


def test_a_term_needs_no_base_to_be_settled():
    """What the settlement asks of a term is the protocol `Settles`, and nothing else."""

    class Tenth:
        event = ""

        def apply(self, settlement: Array, context: Context) -> Array:
            return settlement / 10

        def triggered(self, before: Array, after: Array, context: Context) -> Array:
            return before != after

        def memos(self, context: Context) -> dict[str, Array]:
            return {}

    square = context(LADDER)
    assert apply_terms([Tenth()], square) == pytest.approx((square.budget - square.cost) / 10)
    with pytest.raises(AttributeError, match="apply"):  # a control
        apply_terms([object()], square)


def test_the_documented_new_term_needs_nothing_but_its_class():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(class Franchise.*?)```", text, re.S).group(1)
    namespace = dict(vars(sharing))
    exec(code, namespace)
    franchise = namespace["Franchise"](of_budget=0.08)
    assert franchise.apply(context().budget - context().cost, context()).round(6).tolist() == [
        120, 70, 20, 0, 0, 0, -20, -70, -120,
    ]  # fmt: skip
