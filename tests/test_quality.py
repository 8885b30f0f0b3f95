"""Quality: scores by hand and against the exact chance, and the terms that follow them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ladders import settled
from pydantic import ValidationError
from scipy import stats

from simulator.contracts.quality import (
    Level,
    LevelTable,
    Measure,
    Quality,
    QualityGate,
    QualityMultiplier,
    QualityShare,
    Withhold,
)

AQC = LevelTable(
    levels=(
        Level(from_score=0.0, premium=0.02, gain=0.20, loss=0.80),
        Level(from_score=0.3, premium=0.03, gain=0.35, loss=0.65),
        Level(from_score=0.5, premium=0.05, gain=0.50, loss=0.50),
        Level(from_score=0.7, premium=0.09, gain=0.65, loss=0.35),
        Level(from_score=0.9, premium=0.10, gain=0.80, loss=0.20),
    )
)


def test_alternative_quality_contract_level_1():
    # a premium of 20 on a budget of 1,000; a fifth of a surplus kept, four fifths of a deficit borne
    assert settled([AQC], quality=0.1) == [60, 50, 40, 30, 20, -20, -60, -100, -140]


def test_alternative_quality_contract_level_5():
    assert settled([AQC], quality=0.95) == [260, 220, 180, 140, 100, 90, 80, 70, 60]


def test_level_is_reached_at_its_score():
    assert settled([AQC], (1.0,) * 5, quality=[0.0, 0.3, 0.5, 0.7, 0.9]) == [20, 30, 50, 90, 100]


def test_gate_and_multiplier():
    assert settled([QualityGate()], (0.9, 1.1), met_standard=[False, False]) == [0, -100]
    assert settled([QualityGate()], (0.9, 1.1), met_standard=[True, True]) == [100, -100]
    assert settled([QualityMultiplier()], (0.9, 1.1), quality=0.8) == [80, -100]


def test_enhanced_track_loss_share():
    enhanced = QualityShare(gain=0.75, gain_follows_score=False, loss_floor=0.40, loss_ceiling=0.75)
    # 1 − 0.75 × 0.6 = 0.55; × 0.9 → 0.325, raised to 0.40; × 0.2 → 0.85, cut to 0.75
    assert settled([enhanced], (1.1,) * 3, quality=[0.6, 0.9, 0.2]) == [-55, -40, -75]
    assert settled([enhanced], (0.9, 1.1), quality=[0.9, 0.9], met_standard=[False, False]) == [0, -75]
    assert settled([enhanced], (0.9,), quality=0.6) == [75]


def test_track_3_loss_share_is_the_complement_of_the_final_share():
    track3 = QualityShare(gain=0.75, loss_floor=0.40, loss_ceiling=0.75)
    assert settled([track3], (0.9, 1.1), quality=0.72) == [54, -46]
    assert settled([track3], (0.9, 1.1), quality=0.9, final_share=[0.5, 0.5]) == [50, -50]  # a row's own share first


def test_fixed_loss_share_and_failed_standard():
    basic = QualityShare(gain=0.5, gain_follows_score=False, loss=0.3)
    assert settled([basic], (0.9, 1.1), quality=0.4, met_standard=[False, False]) == [0, -30]


def test_withhold():
    assert settled([Withhold(share=0.04)], (1.0, 0.9), quality=0.75) == [-10, 90]
    by_standard = Withhold(share=(0.025, 0.05), earned_by="standard")
    assert settled([by_standard], (1.0, 1.0), quality=0.75, met_standard=[True, False], year=2) == [0, -50]


@pytest.mark.parametrize("term", [AQC, QualityMultiplier(), Withhold(share=0.1)])
def test_an_unknown_score_is_not_settled_in_silence(term):
    assert np.isnan(settled([term], (0.9,), quality=math.nan)[0])


def test_points_by_hand():
    measures = (
        Measure(name="met or not", target=0.75, mean=0.70, sd=0.05),
        Measure(name="rising", target=0.8, minimum=0.6, mean=0.7, sd=0.1, weight=3.0),
        Measure(name="waiting days", target=18.0, mean=20.0, sd=2.0, lower_is_better=True),
    )
    quality = Quality(measures=measures)
    at_mean = quality.points(np.zeros(4))
    assert at_mean == pytest.approx([0, 0.5, 0])
    one_sd_better = quality.points(np.array([0.0, 1.0, 1.0, 1.0]))
    assert one_sd_better == pytest.approx([1, 1, 1])
    assert float(quality.score_from(np.zeros(4))) == pytest.approx(0.3)  # 3 × 0.5 of a weight of 5
    assert bool(quality.all_met(np.array([0.0, 1.0, 1.0, 1.0])))
    assert not bool(quality.all_met(np.array([0.0, 1.0, 1.0, 0.5])))


def chance_of_all(correlation, rng, count=200_000):
    measures = tuple(Measure(name=str(k), target=0.75, mean=0.80, sd=0.05) for k in range(3))
    deviates = rng.standard_normal((count, 4))
    return Quality(measures=measures, correlation=correlation).all_met(deviates).mean()


def test_all_or_nothing_has_the_exact_chance(rng):
    one = stats.norm.cdf(1.0)
    assert chance_of_all(0.0, rng) == pytest.approx(one**3, abs=5 * 0.0011)
    together = stats.multivariate_normal([0, 0, 0], 0.6 + 0.4 * np.eye(3)).cdf([1, 1, 1])
    assert chance_of_all(0.6, rng) == pytest.approx(together, abs=5 * 0.0011)
    assert abs(chance_of_all(0.6, rng) - one**3) > 5 * 0.0011  # the correlation is seen


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Quality(), "needs either a score or measures"),
        (lambda: Quality(score=1.2), "less than or equal to 1"),
        (lambda: Measure(name="x", target=0.5, minimum=0.6, mean=0.5, sd=0.1), "lies on the wrong side of target"),
        (
            lambda: QualityShare(gain=0.5, loss_floor=0.8, loss_ceiling=0.4),
            "loss_floor 0.8 lies above loss_ceiling 0.4",
        ),
        (lambda: LevelTable(levels=(Level(from_score=0.1, gain=0, loss=0),)), "leave low scores without a level"),
        (lambda: LevelTable(levels=AQC.levels[::-1]), "levels must begin one above the other"),
        (lambda: Quality(measures=(Measure(name="x", target=1, mean=1, sd=1),) * 2), "more than one 'x'"),
    ],
)
def test_contradictions_are_refused(make, sentence):
    with pytest.raises(ValidationError) as caught:
        make()
    assert sentence in str(caught.value)
    assert caught.value.error_count() == 1
