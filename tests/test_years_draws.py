"""Several years of partly the same people, drawn: shocks that persist or are each unit's own, and years of a ledger."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import UNITS, make, raw
from test_exact import ALARM

import simulator as sim
from simulator import runs
from simulator.analysis.statistics.self_check import cells_of
from simulator.costs.moments import Exact
from simulator.ledger import by_unit
from simulator.scenario import scenario_from

OWN = {"name": "own", "cv": 0.3, "per": "unit"}
WINTER = {"name": "winter", "cv": 0.2, "segments": ["complex"], "per": "unit"}
PRICES = {"name": "prices", "cv": 0.1, "segments": ["well"], "per": "unit"}
COMMON = {"name": "common", "cv": 0.05}
BIG = [unit | {"members": 40 * unit["members"]} for unit in UNITS]
LARGE = {"units": BIG}
FEW = {"replicates": 3_000, "thresholds": [8_000.0, float("inf")], "seed": 5}


def of_units(*shocks, membership="fixed", **changes):
    people = LARGE | {"membership": membership} | changes.pop("population", {})
    return make(shocks=list(shocks), population=people, simulation=FEW | changes.pop("simulation", {}), **changes)


# ── shocks of each unit ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "shocks", [[OWN], [WINTER, COMMON], [{"name": "flood", "probability": 0.1, "by": 0.5, "per": "unit"}]], ids=str
)
@pytest.mark.parametrize("membership", ["fixed", "sampled"])
def test_units_with_shocks_of_their_own_pass_the_check_alone_and_together(shocks, membership):
    ledger = sim.simulate(of_units(*shocks, membership=membership), progress=False)
    assert sim.summarise(ledger).attrs["check"] == "passed"
    assert sim.summarise(by_unit(ledger)).attrs["check"] == "passed"


def test_units_together_vary_less_than_under_a_shock_of_all():
    common = {key: value for key, value in OWN.items() if key != "per"}
    rule = sim.Cap()
    own, all_at_once = (cells_of(s, rule, [np.inf], runs.heads(s)) for s in (of_units(OWN), of_units(common)))
    alone = cells_of(of_units(OWN), rule, [np.inf], runs.increments(of_units(OWN)))
    assert own.sd[0, 0] == pytest.approx(np.sqrt((alone.sd**2).sum()), rel=1e-9)  # independent without a common one
    assert own.sd[0, 0] < 0.75 * all_at_once.sd[0, 0]
    # the control: draws under one do not pass for draws under the other
    drawn = sim.simulate(of_units(OWN), progress=False)["gross_cost"].values[:, 0]
    z = (drawn.var(ddof=1) / np.array([own.sd, all_at_once.sd])[:, 0, 0] ** 2 - 1) / np.sqrt(2 / drawn.size)
    assert abs(z[0]) < ALARM < abs(z[1])


def test_variance_by_source_holds_for_units_with_shocks_of_their_own():
    model, rows = of_units(OWN, COMMON).cost_model, runs.heads(of_units(OWN, COMMON))
    mean, luck, shocks = Exact(model).sources(rows, [])
    together = Exact(model).total(rows, [])
    by_unit = np.array([Exact(model).total(row[None], []).mean[0] for row in model.unit_heads])
    expected = (1 + COMMON["cv"] ** 2) * ((OWN["cv"] ** 2 * by_unit**2).sum()) + COMMON["cv"] ** 2 * by_unit.sum() ** 2
    assert shocks[0] == pytest.approx(expected, rel=1e-4)
    assert luck[0] + shocks[0] == pytest.approx(together.sd[0] ** 2, rel=1e-12)


def test_the_exact_law_of_all_units_is_refused_in_one_sentence():
    with pytest.raises(sim.SimulatorError, match="the total of all units has no exact law here"):
        sim.exact(of_units(OWN))


def test_a_unit_keeps_its_draws_beside_more_units_and_the_first_those_of_a_common_shock():
    whole = sim.simulate(of_units(OWN), progress=False)
    fewer = sim.simulate(of_units(OWN, population={"units": BIG[:2]}), progress=False)
    assert whole.isel(unit=slice(2))["unit_gross_cost"].equals(fewer["unit_gross_cost"])
    factor = whole["unit_shock_factor"].values[..., 0]
    assert np.abs(np.corrcoef(factor.T) - np.eye(3)).max() < 5 / np.sqrt(3_000)


def test_without_units_a_units_shock_is_one_of_the_whole_population():
    sizes = {"replicates": 30}
    common = {key: value for key, value in OWN.items() if key != "per"}
    one, other = (sim.simulate(make(shocks=[s], simulation=sizes), progress=False) for s in (OWN, common))
    assert one["gross_cost"].equals(other["gross_cost"])


# ── what a file may say ──────────────────────────────────────────────────────────────────────────


def test_a_scenario_without_the_new_keys_is_written_as_before():
    scenario = make(shocks=[COMMON])
    assert not {"per", "persistence"} & set(json.loads(scenario.canonical_json())["shocks"][0])
    assert make(shocks=[COMMON | {"persistence": 0.5}]).scenario_id != scenario.scenario_id


@pytest.mark.parametrize(
    ("shocks", "value", "told"),
    [
        ([WINTER, PRICES | {"persistence": 0.99}], 0.6, "persistences differ too much"),
        ([WINTER, {"name": "prices", "cv": 0.1, "segments": ["well"]}], 0.6, "each unit's own"),
        ([WINTER, PRICES | {"persistence": "walk"}], 0.6, "is a walk"),
        ([WINTER | {"persistence": 1.5}], None, "must be at most 1"),
        ([{"name": "flood", "probability": 0.1, "by": 0.5, "persistence": "walk"}], None, "is not a number"),
    ],
)
def test_shocks_that_years_contradict_are_refused(shocks, value, told):
    pairs = [{"between": ["winter", "prices"], "value": value}] if value else []
    given = raw(shocks=shocks, shock_correlations=pairs, population={"units": UNITS})
    with pytest.raises(sim.SimulatorError, match=told):
        scenario_from(given)


def test_persistences_that_go_together_are_taken():
    shocks = [WINTER | {"persistence": 0.9}, PRICES | {"persistence": 0.9}]
    of_units(*shocks, shock_correlations=[{"between": ["winter", "prices"], "value": 0.6}])
