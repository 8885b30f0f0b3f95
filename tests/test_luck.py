"""Was last year luck? Percentiles against draws and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import ROOT, make
from scipy import stats

import simulator as sim
from simulator.analysis.luck.luck import luck, without_shocks
from simulator.present.answers.luck import page as luck_report
from simulator.present.cli.verbs.luck import luck as luck_verb

PLAIN = make()
SHOCKED = make(shocks=[{"name": "prices", "cv": 0.04}])
FEW = make(shocks=[{"name": "prices", "cv": 0.04}], simulation={"thresholds": [5_000.0, math.inf]})


@pytest.mark.heavy
@pytest.mark.parametrize("overspend", [0.02, *(pytest.param(far, marks=pytest.mark.slow) for far in (-0.05, 0.08))])
def test_the_percentile_is_that_among_drawn_years(overspend):
    answer = luck(FEW, 2_000, overspend, replicates=4_000)
    p = answer["percentile"]
    z = (answer["drawn_percentile"] - p) / np.sqrt(p * (1 - p) / 4_000)
    assert (np.abs(z) < 4).all()
    other = luck(FEW, 3_000, overspend)["percentile"]
    assert (
        np.abs((answer["drawn_percentile"] - other) / np.sqrt(p * (1 - p) / 4_000)) > 4
    ).any()  # another size is noticed


@pytest.mark.heavy
def test_shocks_make_an_overspend_less_remarkable():
    answer = luck(SHOCKED, 20_000, 0.05)
    alone, both = (answer["p_two_sided"].sel(risk=risk) for risk in ("luck", "luck and shocks"))
    assert (both > 2 * alone).all()
    width = answer["expected_range"].sel(bound="upper") - answer["expected_range"].sel(bound="lower")
    assert (width.sel(risk="luck and shocks") > width.sel(risk="luck")).all()


def test_a_large_population_is_nearly_normal():
    n = 200_000
    answer = luck(PLAIN, n, 0.004).sel(risk="luck", threshold=5_000.0)
    sd = float(answer["sd_overspend"])
    assert float(answer["percentile"]) == pytest.approx(stats.norm.cdf(0.004 / sd), abs=3e-3)
    low, high = answer["expected_range"].values
    assert (low, high) == pytest.approx((-1.96 * sd, 1.96 * sd), rel=0.01)


def test_the_ends_of_the_range_have_the_p_of_the_confidence():
    high = float(
        luck(PLAIN, 1_000, 0.0, confidence=0.9)["expected_range"].sel(bound="upper", threshold=math.inf, risk="luck")
    )
    answer = luck(PLAIN, 1_000, high).sel(threshold=math.inf, risk="luck")
    assert float(answer["p_two_sided"]) == pytest.approx(0.1, abs=1e-6)
    assert float(answer["percentile"]) == pytest.approx(0.95, abs=1e-6)


@pytest.mark.heavy
def test_a_budget_above_the_mean_makes_an_overspend_more_remarkable():
    mean = float(sim.exact(PLAIN)["mean_cost"][0, -1]) / 7
    fair, ample = luck(PLAIN, 2_000, 0.05), luck(PLAIN, 2_000, 0.05, budget=sim.PerHead(amount=1.05 * mean))
    assert (ample["percentile"] > fair["percentile"]).all()


def test_without_shocks_there_is_only_luck():
    assert luck(PLAIN, 500, 0.1)["risk"].values.tolist() == ["luck"]
    assert without_shocks(SHOCKED).scenario_id == PLAIN.scenario_id


def test_the_report_answers_in_words():
    assert "luck alone can explain it" in str(luck_report(luck(PLAIN, 500, 0.05)))
    assert "luck alone can hardly explain it" in str(luck_report(luck(PLAIN, 50_000, 0.09)))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ((0, 0.1), "whole number"),
        ((1.5, 0.1), "whole number"),
        ((100, -1.0), "above -1"),
        ((100, math.nan), "above -1"),
    ],
)
def test_mistakes_are_told(asked, told):
    with pytest.raises(sim.SimulatorError, match=told):
        luck(PLAIN, *asked)


@pytest.mark.heavy
def test_luck_from_a_shell():
    scenario = str(ROOT / "configs" / "east_sussex_shock.toml")
    shown = CliRunner().invoke(luck_verb, [scenario, "--members", "30000", "--overspend", "0.04"])
    assert shown.exit_code == 0 and "luck and shocks can explain it" in shown.output
    refused = CliRunner().invoke(luck_verb, [scenario, "--members", "30000", "--overspend", "-2"])
    assert refused.exit_code == 2
