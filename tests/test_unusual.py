"""What is allowed and seldom meant is told once; what cannot be meant is refused."""

from __future__ import annotations

import warnings

import pytest
from click.testing import CliRunner
from conftest import LOGNORMAL, SEGMENTS, make

import simulator as sim
from simulator.analysis.stress.changed_scenario import truth_of
from simulator.errors import SimulatorWarning
from simulator.present.cli.main import main
from simulator.stresses import Inflation, MeanCost
from simulator.unusual import unusual


def budget(amount):
    return {"designs": [{"name": "a", "budget": {"kind": "per_head", "amount": amount}}]}


def expected_cost():
    return sim.describe(make())["mean"]


def stress(by):
    return {"stresses": [{"name": "s", "expresses": "x", "changes": [{"kind": "inflation", "by": by}]}]}


def wide(cv):
    segments = [SEGMENTS[0] | {"severity": LOGNORMAL | {"cv": cv}}, *SEGMENTS[1:]]
    return {"population": {"segments": segments}}


@pytest.mark.parametrize(
    ("odd", "usual", "told"),
    [
        (wide(1_100.0), wide(900.0), "a cv of 1100 is above 1,000"),
        (stress(9.5), stress(8.5), "changes costs by +950%"),
        (stress(-0.95), stress(-0.85), "changes costs by -95%"),
    ],
)
def test_what_is_seldom_meant_is_told(odd, usual, told):
    (sentence,) = unusual(make(**odd))
    assert told in sentence
    assert not list(unusual(make(**usual)))


@pytest.mark.parametrize(("ratio", "count"), [(0.05, 1), (0.2, 0), (1.0, 0), (8.0, 0), (12.0, 1)])
def test_a_budget_in_another_unit_is_told(ratio, count):
    assert len(list(unusual(make(**budget(ratio * expected_cost()))))) == count


def test_the_shell_tells_it_once_and_goes_on(tmp_path):
    path = tmp_path / "odd.toml"
    path.write_text(SCENARIO)
    with pytest.warns(SimulatorWarning, match="another period or currency"):
        sim.load(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ran = CliRunner().invoke(main, ["settle", str(path), "--json"])
    assert ran.exit_code == 0 and ran.stderr.count("another period or currency") == 1


@pytest.mark.parametrize("by", [-0.995, 150.0])
def test_a_stress_that_leaves_next_to_nothing_or_a_hundredfold_is_refused(by):
    for change in (Inflation(by=by), MeanCost(by=by)):
        with pytest.raises(sim.SimulatorError, match="of the expected cost"):
            truth_of(make(), [change])
    truth_of(make(), [Inflation(by=-0.98)])


SCENARIO = """
title = "a budget per month"
[simulation]
replicates = 20
population_sizes = [1_000]
[population]
[[population.segments]]
name = "all"
share = 1.0
severity = { family = "lognormal", mean = 1_200.0, cv = 2.0 }
[[designs]]
name = "full risk"
budget = { kind = "per_head", amount = 100.0 }
"""
