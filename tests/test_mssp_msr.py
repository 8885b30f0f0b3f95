"""The Medicare programme's minimum savings rates come out of one calibrated scale."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import ROOT
from scipy import stats

import simulator as sim
from simulator.contracts.sharing import size_based_rate

RULE = sim.load_minimum_rate(ROOT / "configs" / "published" / "mssp_msr.toml")
PRINTED = 0.0005  # rounding of the printed table, half of 0.1 percentage point


def test_all_corners_come_out_within_the_printed_rounding():
    assert len(RULE.corners) == 13
    assert np.abs(RULE.misses()).max() <= PRINTED


def test_the_corners_are_those_of_the_table_in_use():
    sizes = [corner.people for corner in RULE.corners]
    assert size_based_rate(np.array(sizes)) == pytest.approx([corner.rate for corner in RULE.corners])


def test_below_the_table_the_rate_goes_on_as_the_rule():
    people = np.array([1, 50, 137, 400, 499])
    assert size_based_rate(people) == pytest.approx(RULE.rate(people), rel=1e-12)
    assert size_based_rate(people)[0] > size_based_rate(np.array([500]))  # no longer the rate of 500


def test_the_scores_are_one_sided_confidences():
    assert [score.z for score in RULE.scores] == pytest.approx(stats.norm.isf([0.10, 0.05, 0.01]), abs=5e-5)


def linear_in_confidence(people, scale):
    confidence = np.interp(people, [5_000, 20_000, 50_000], [0.90, 0.95, 0.99])
    return np.maximum(scale / np.sqrt(people) * stats.norm.ppf(confidence), 0.02)


def test_a_rule_linear_in_confidence_fails_at_15_000():
    assert abs(RULE.rate(15_000) - 0.027) <= PRINTED
    assert abs(linear_in_confidence(15_000, RULE.scale) - 0.027) > PRINTED
    # and no other scale helps: 20,000 and 15,000 cannot both be met
    scales = np.linspace(2.0, 2.3, 601)
    met = [
        abs(linear_in_confidence(15_000, s) - 0.027) <= PRINTED
        and all(abs(linear_in_confidence(c.people, s) - c.rate) <= PRINTED for c in RULE.corners if c.people <= 9_000)
        for s in scales
    ]
    assert not any(met)


def test_the_scale_is_pinned_by_the_corners():
    scales = np.linspace(2.0, 2.3, 3_001)
    fits = [np.abs(RULE.model_copy(update={"scale": s}).misses()).max() <= PRINTED for s in scales]
    low, high = scales[fits].min(), scales[fits].max()
    assert low <= 2.135 <= high
    assert high - low < 0.005


def test_a_rule_that_is_none_is_refused(tmp_path):
    broken = tmp_path / "rule.toml"
    broken.write_text("scale = -1\nfloor_from = 10\nscores = []\n")
    with pytest.raises(sim.SimulatorError, match="scale"):
        sim.load_minimum_rate(broken)
    with pytest.raises(sim.SimulatorError, match="check the name"):
        sim.load_minimum_rate(tmp_path / "absent.toml")
