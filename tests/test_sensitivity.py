"""Which assumption matters: indices against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import LOGNORMAL, SEGMENTS, make

import simulator as sim
from simulator.analysis.stress.sensitivity import sensitivity
from simulator.present.answers.sensitivity import page as sensitivity_report
from simulator.present.cli.verbs.sensitivity import sensitivity as sensitivity_verb
from simulator.stresses import Epidemic, Inflation, MeanCost, Range, UpCoding

BOOK = make(simulation={"population_sizes": [2_000], "thresholds": [5_000.0, math.inf]})


def ranges(**halves):
    """A range for each segment's mean cost, symmetric about 0."""
    return [
        Range(name=name, change=MeanCost(by=0.0, segment=name), low=-half, high=half) for name, half in halves.items()
    ]


PRICES = Range(name="prices", change=Inflation(by=0.0), low=0.0, high=0.05)
IDLE = Range(name="names", change=UpCoding(source="well", recorded_as="complex", share=0.0), low=0.0, high=0.3)


@pytest.mark.slow
@pytest.mark.no_cover
def test_the_indices_of_a_sum_are_its_variance_shares():
    whole = sim.exact(BOOK)["mean_cost"].values[0, -1]
    part = {s["name"]: s["share"] * s["p_user"] for s in SEGMENTS}
    well = part["well"] * LOGNORMAL["mean"] * 2_000 / whole
    weights = {"well": well, "complex": 1 - well}
    halves = {"well": 0.20, "complex": 0.03}
    answer = sensitivity(BOOK, ranges(**halves), "mean_overspend", points=256)
    variance = {name: (weights[name] * halves[name]) ** 2 for name in halves}
    for name in halves:
        share = variance[name] / sum(variance.values())
        low, high = answer["first_order_interval"].sel(input=name).values
        assert float(answer["first_order"].sel(input=name)) == pytest.approx(share, abs=0.02)
        assert float(answer["total_order"].sel(input=name)) == pytest.approx(share, abs=0.02)
        assert low - 0.02 < share < high + 0.02
    assert answer["tornado"].sel(input="well").values == pytest.approx([-0.2 * well, 0.2 * well], rel=1e-9)
    assert float(answer["as_agreed"]) == pytest.approx(0, abs=1e-12)


@pytest.mark.heavy
def test_indices_and_their_intervals_are_held_to_where_shares_lie():
    answer = sensitivity(BOOK, [PRICES, *ranges(well=0.3, complex=0.3)], "p_overspend", margin=0.05, points=4)
    names = ("first_order", "total_order", "first_order_interval", "total_order_interval")
    values = np.concatenate([answer[name].values.ravel() for name in names])
    assert values.min() >= 0 and values.max() <= 1 and (values == 0).any()  # so few points stray beyond


@pytest.mark.heavy
def test_the_tornado_is_the_exact_answer():
    answer = sensitivity(BOOK, [PRICES, IDLE], "p_overspend", margin=0.05, points=4)
    exact = sim.exact(BOOK, margins=(0.0, 0.05))["p_overspend"].values[0, -1]
    at_low, at_high = answer["tornado"].values[0]
    assert at_low == pytest.approx(exact[1], abs=1e-9) == float(answer["as_agreed"])
    # prices 5% up and a tolerance of 5%: as often as a budget without tolerance is passed
    assert at_high == pytest.approx(exact[0], abs=1e-6)


@pytest.mark.heavy
def test_an_input_that_does_nothing_cannot_be_told_from_zero():
    answer = sensitivity(BOOK, [*ranges(complex=0.1), IDLE], "cv", members=5_000, threshold=5_000.0, points=32)
    assert (answer["total_order_interval"].sel(bound="lower") > 0).values.tolist() == [True, False]
    assert "names: too few points to tell its effect from none" in str(sensitivity_report(answer))
    assert "complex: explains " in str(sensitivity_report(answer))
    assert np.ptp(answer["tornado"].values[1]) == 0


@pytest.mark.heavy
def test_the_same_answer_twice_and_another_with_another_sequence():
    asked = (BOOK, ranges(well=0.2, complex=0.2), "cv")
    first, second, other = (sensitivity(*asked, points=16, seed=seed) for seed in (1, 1, 2))
    assert first.identical(second)
    assert not np.allclose(first["first_order"], other["first_order"])


@pytest.mark.parametrize(
    ("given", "changes", "told"),
    [
        ([], {}, "ranges"),
        ([PRICES], {}, "two or more"),
        ([IDLE, Range(name="flu", change=Epidemic(probability=0.1, by=0.0), low=0.0, high=0.1)], {}, "only draws"),
        ([IDLE, Range(name="prices", change=Inflation(by=0.0), low=0.1, high=0.1)], {}, "below high"),
        ([IDLE, PRICES], {"points": 10}, "power of 2"),
        ([IDLE, PRICES], {"statistic": "sd"}, "must be one of"),
        ([IDLE, PRICES], {"threshold": 77.0}, "grid"),
        ([IDLE, PRICES], {"confidence": 1.0}, "between 0.5 and 1"),
    ],
)
def test_mistakes_are_told(given, changes, told):
    with pytest.raises(sim.SimulatorError, match=told):
        sensitivity(BOOK, given, **changes)


def test_sensitivity_from_a_shell(tmp_path):
    file = tmp_path / "uncertain.toml"
    file.write_text("""
title = "uncertain"
[simulation]
population_sizes = [1_000]
thresholds = [5_000, inf]
[population]
[[population.segments]]
name = "all"
share = 1.0
severity = { family = "lognormal", mean = 900.0, cv = 2.0 }
[[ranges]]
name = "prices"
low = -0.02
high = 0.03
change = { kind = "inflation", by = 0.0 }
[[ranges]]
name = "baseline"
low = -0.05
high = 0.05
change = { kind = "baseline_error", by = 0.0 }
""")
    shown = CliRunner().invoke(
        sensitivity_verb,
        [str(file), "--statistic", "mean_overspend", "--points", "16", "--out", str(tmp_path / "s.nc")],
    )
    assert shown.exit_code == 0, shown.output
    assert shown.output.index("baseline ") < shown.output.index("prices ")
    refused = CliRunner().invoke(sensitivity_verb, [str(file), "--points", "10"])
    assert refused.exit_code == 2
