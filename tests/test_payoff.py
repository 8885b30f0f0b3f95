"""Payoffs without draws agree with the ladders."""

from __future__ import annotations

import pytest
from ladders import LADDER, settled

from simulator.base import SimulatorError
from simulator.contracts.design import Design
from simulator.contracts.payoff import payoff

SHARED = Design(name="shared", terms=[{"kind": "minimum_rate"}, {"kind": "share", "gain": 0.5, "loss": 0.3}])
AQC = Design(
    name="quality",
    quality={"measures": [{"name": "m", "target": 1.0, "minimum": 0.0, "mean": 0.4, "sd": 0.1}]},
    terms=[{"kind": "quality_multiplier"}],
    parties=[{"name": "insurer", "funds": 1.0}, {"name": "group", "delivers": 1.0}],
)


def test_payoff_is_the_ladder():
    curve = payoff(SHARED, LADDER, members=1, capitation=1_000.0)["surplus"].sel(design="shared", party="provider")
    assert curve.values.round(6).tolist() == settled(SHARED.terms, members=1)


def test_payoff_covers_the_usual_range_and_parties_of_all_designs():
    curves = payoff([SHARED, AQC])
    assert curves["surplus"].dims == ("cost_ratio", "design", "party")
    assert float(curves["cost_ratio"].min()) == 0.70
    assert float(curves["cost_ratio"].max()) == 1.30
    assert float(abs(curves["payment"].sum("party")).max()) < 1e-9 * 1e8
    assert not curves["surplus"].sel(design="shared", party="group").any()


def test_quality_is_the_expected_one_unless_given():
    expected, best = (payoff(AQC, (0.9,), score=score)["settlement"].item() for score in (None, 1.0))
    assert expected == pytest.approx(0.4 * 1e7)
    assert best == pytest.approx(1e7)


def test_budget_that_a_design_names():
    named = Design(name="fee", budget={"kind": "per_head", "amount": 494.0})
    assert payoff(named, (0.9,), members=1_000)["budget"].item() == 494_000
    waterfall = Design(
        name="board", budget={"kind": "waterfall", "current_spend": 3.6e6, "saving": 0.6e6, "members": 12_000}
    )
    assert payoff(waterfall, (0.9,), members=12_000)["budget"].item() == pytest.approx(3.0e6)


def test_no_designs():
    with pytest.raises(SimulatorError, match="are none"):
        payoff([])
