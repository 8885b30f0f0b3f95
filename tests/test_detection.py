"""The power table of a gain share, against the normal law and by what must hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import ROOT, make
from scipy import stats

import simulator as sim
from simulator.analysis.designs.detection import detection
from simulator.analysis.stress.changed_scenario import truth_of
from simulator.contracts.design import Design
from simulator.present.answers.detection import page as power_report
from simulator.settlement.actuals import load_designs
from simulator.stresses import MeanCost

SIZES = (5_000, 40_000)
BOOK = make(simulation={"population_sizes": list(SIZES), "thresholds": [5_000.0, math.inf], "replicates": 3_000})
CAP = {"kind": "cap", "at": 5_000.0}
GATED = Design(
    name="gated",
    exclusion=CAP,
    terms=({"kind": "minimum_rate", "rate": 0.02}, {"kind": "share", "gain": 0.5, "loss": 0.0}),
)
OPEN = Design(name="open", exclusion=CAP, terms=({"kind": "share", "gain": 0.5, "loss": 0.5},))


@pytest.fixture(scope="module")
def table():
    return detection(BOOK, [GATED, OPEN], (0.0, 0.02, 0.05, 0.08))


def z(value, se, wanted):
    return (value - wanted) / se


def test_power_is_that_of_the_exact_law(table):
    at_5_000 = BOOK.resized((5_000,), thresholds=(5_000.0,))
    paid = 1 - sim.exact(at_5_000, margins=(-0.02,))["p_overspend"].item()
    cell = table.sel(population_size=5_000, design="gated", saving=0.0)
    assert abs(z(cell["p_paid"].item(), math.sqrt(paid * (1 - paid) / 3_000), paid)) < 4.5
    assert abs(z(cell["p_paid"].item(), math.sqrt(paid * (1 - paid) / 3_000), stats.norm.sf(0.5))) > 4.5


def test_a_gate_seldom_pays_for_luck_and_often_denies(table):
    gated, open_ = (table.sel(design=name) for name in ("gated", "open"))
    assert (gated["p_paid"] <= open_["p_paid"]).all()
    assert (gated["p_denied"].sel(saving=0.02) > open_["p_denied"].sel(saving=0.02)).all()
    assert np.abs(open_["p_paid_without_saving"].values - 0.5).max() < 0.05


def test_power_rises_with_the_saving_and_false_payment_falls_with_size(table):
    assert (table["p_paid"].diff("saving") > -1e-12).all()  # the draws are shared, so not even chance can turn it
    p = table["p_paid_without_saving"].sel(design="gated")
    assert p.sel(population_size=40_000) < p.sel(population_size=5_000)


@pytest.mark.heavy
def test_half_of_every_saving_in_the_kept_cost_is_paid(table):
    for saving in (0.02, 0.08):
        kept = [
            sim.exact(truth_of(BOOK.resized((40_000,)), changes), sim.Cap(at=5_000.0))["mean_cost"].item()
            for changes in ([], [MeanCost(by=-saving)])
        ]
        cell = table.sel(design="open", population_size=40_000, saving=saving)
        half = 0.5 * (1 - kept[1] / kept[0])
        assert abs(z(cell["expected_settlement"].item(), cell["expected_settlement_se"].item(), half)) < 4.5
        assert half < 0.4 * saving  # patients above the cap save nothing below it
    uncapped = Design(name="whole", terms=OPEN.terms)
    cell = (
        detection(BOOK, [uncapped], (0.05,), population_sizes=[40_000])
        .sel(saving=0.05)
        .isel(population_size=0, design=0)
    )
    assert abs(z(cell["share_of_saving"].item(), cell["share_of_saving_se"].item(), 0.5)) < 4.5


def test_the_medicare_tracks_have_a_power_table():
    designs = load_designs(ROOT / "configs" / "published" / "mssp.toml")
    chosen = [design for design in designs if design.name in ("Track 1", "ENHANCED")]
    table = detection(BOOK, chosen, (0.08,), population_sizes=[40_000], replicates=300)
    assert (table["p_paid"].sel(saving=0.08) > 0.5).all()
    assert (
        table["expected_settlement"].sel(saving=0.08, design="ENHANCED").item()
        > table["expected_settlement"].sel(saving=0.08, design="Track 1").item()
    )


def test_the_table_is_told(table):
    shown = str(power_report(table))
    assert "saves 2%" in shown and "40,000" in shown
    assert shown.index("gated") < shown.index("open")


@pytest.mark.heavy
def test_the_same_table_twice():
    asked = {"population_sizes": [500], "replicates": 50}
    first, second = (detection(BOOK, [GATED], (0.03,), **asked) for _ in range(2))
    assert first.identical(second)


def test_mistakes_are_told():
    with pytest.raises(sim.SimulatorError, match="designs"):
        detection(BOOK, [])
    with pytest.raises(sim.SimulatorError, match="below 1"):
        detection(BOOK, [OPEN], (1.0,))


@pytest.mark.heavy
def test_a_benchmark_of_past_years_does_not_take_a_saving_for_luck():
    past = Design(
        name="rebased", budget={"kind": "past_years", "weights": (1.0,), "correlation": (0.5,)}, terms=OPEN.terms
    )
    asked = {"population_sizes": [40_000], "replicates": 2_000}
    cell = detection(BOOK, [past], (0.05,), **asked).sel(saving=0.05).isel(population_size=0, design=0)
    # half of the saving: a benchmark that fell with it would pay a quarter
    assert abs(z(cell["share_of_saving"].item(), cell["share_of_saving_se"].item(), 0.5)) < 4.5
    assert abs(z(cell["share_of_saving"].item(), cell["share_of_saving_se"].item(), 0.25)) > 10
    leaving = past.model_copy(update={"exclusion": sim.CarveOut(at=5_000.0)})
    with pytest.raises(sim.SimulatorError, match="keep the capitation"):
        detection(BOOK, [leaving], (0.05,), **asked)


def test_percentile_thresholds_give_the_table_of_the_amounts_that_they_stand_for():
    sizes, savings = [5_000], (0.0, 0.05)
    labels = make(simulation={"population_sizes": sizes, "thresholds": {"percentiles": [0.95, 1.0]}, "replicates": 300})
    money = float(labels.threshold_amounts[0, 0])
    plain = make(simulation={"population_sizes": sizes, "thresholds": [money, math.inf], "replicates": 300})
    one, other = (
        detection(book, [OPEN.model_copy(update={"exclusion": sim.Cap(at=at)})], savings)
        for book, at in ((labels, 0.95), (plain, money))
    )
    for name in one.data_vars:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-12)
    assert float(one["p_paid"][1, 0, 0]) > float(one["p_paid"][0, 0, 0]) + 0.1
