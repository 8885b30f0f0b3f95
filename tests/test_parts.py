"""A scenario in parts, and what the files of real arrangements say of their places, segments and levels."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import ROOT, UNITS, make

import simulator as sim
from simulator.analysis.parts import TOGETHER, parts_of
from simulator.costs.model import CostModel
from simulator.costs.moments import Exact
from simulator.errors import SimulatorError
from simulator.present.cli.main import main
from simulator.runs import expected_means
from simulator.stresses import MeanCost, Stress, UpCoding


def arrangement(number):
    (file,) = (ROOT / "configs" / "arrangements").glob(f"{number:02d}-*.toml")
    return sim.load(file)


def expected(scenario):
    """Expected cost of everybody at the largest population."""
    return float(expected_means(scenario)["expected_gross_cost"].mean(axis=0)[-1])


def test_segments_add_up_to_the_whole():
    scenario = arrangement(16)
    parts = parts_of(scenario, "segment")
    assert list(parts) == [segment.name for segment in scenario.population.segments]
    people = sum(part.population_sizes[-1] for part in parts.values())
    assert people == scenario.population_sizes[-1]
    means = [expected(part) for part in parts.values()]
    assert sum(means) == pytest.approx(expected(scenario), rel=1e-9)
    fees = [part.designs[0].budget.amounts for part in parts.values()]
    assert fees == [{name: amount} for name, amount in scenario.designs[0].budget.amounts.items()]


def test_units_alone_have_their_own_people_and_all_together_the_scenario():
    scenario = make(population={"units": UNITS})
    parts = parts_of(scenario, "unit")
    assert list(parts) == [*(unit["name"] for unit in UNITS), TOGETHER]
    assert [part.population_sizes[-1] for part in parts.values()][:-1] == [unit["members"] for unit in UNITS]
    assert parts[TOGETHER] is scenario
    with pytest.raises(SimulatorError, match="units"):
        parts_of(make(), "unit")


def test_what_is_of_other_segments_is_left_out():
    raw = arrangement(16).model_dump() | {
        "shocks": [
            {"name": "all", "cv": 0.01},
            {"name": "low winters", "cv": 0.05, "segments": ["low"]},
            {"name": "others", "cv": 0.05, "segments": ["medium", "high"]},
        ],
        "shock_correlations": [{"between": ["low winters", "others"], "value": 0.5}],
        "simulation": {"replicates": 10, "population_sizes": [1_000],
                       "thresholds": {"percentiles": [0.9, 1.0], "by": "segment"}},
    }  # fmt: skip
    scenario = sim.Scenario.model_validate(raw)
    low = parts_of(scenario, "segment")["low"]
    assert [shock.name for shock in low.shocks] == ["all", "low winters"]
    assert not low.shock_correlations
    assert low.threshold_amounts[0, 0] == pytest.approx(scenario.threshold_amounts[0, 0])


def test_settle_and_size_by_segment_name_every_part():
    file = str(ROOT / "configs" / "arrangements" / "16-ltc-year-of-care.toml")
    done = CliRunner().invoke(main, ["settle", file, "--by", "segment", "--replicates", "20", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["by"] == "segment"
    assert list(told["parts"]) == ["low", "medium", "high", "end of life"]
    done = CliRunner().invoke(main, ["size", file, "--by", "segment", "--exact", "--margin", "0.1", "--json"])
    assert done.exit_code == 0, done.output
    assert list(json.loads(done.stdout)["parts"]) == ["low", "medium", "high", "end of life"]
    done = CliRunner().invoke(main, ["size", file, "--by", "segment", "--out", "a.nc"])
    assert done.exit_code == 2 and "is of one answer, and --by gives several" in done.output
    done = CliRunner().invoke(main, ["settle", file, "--by", "unit"])
    assert done.exit_code == 2
    assert "population.units" in done.output


@pytest.mark.heavy
def test_southwark_needs_by_segment():
    needed = {
        "end of life": 3_180,
        "severe mental illness": 5_530,
        "diabetes": 12_500,
        "over 75": 9_230,
        "breathlessness": 12_500,
    }
    has, enough = {}, {}
    for name, part in parts_of(arrangement(25), "segment").items():
        found = sim.minimum_population(part, "p_overspend", margin=0.03, at_most=0.05, method="exact")
        people = float(found["minimum_population"].sel(threshold=50_000.0).squeeze())
        assert people == pytest.approx(needed[name], rel=0.005), name
        has[name] = part.population_sizes[-1]
        enough[name] = has[name] >= people
    assert list(has.values()) == [2_400, 4_000, 15_000, 13_000, 5_000]
    assert [name for name, is_so in enough.items() if is_so] == ["diabetes", "over 75"]


def spread(scenario: sim.Scenario, shocks: bool = True) -> float:
    """Standard deviation of the total as a share of its mean."""
    model = scenario.cost_model if shocks else CostModel(population=scenario.population)
    heads = np.array([[round(scenario.population_sizes[-1] * share) for share in model.shares]])
    total = Exact(model).total(heads, [])
    return float(total.sd[0] / total.mean[0])


def test_manchester_pools_luck_and_not_what_hits_everybody():
    parts = parts_of(arrangement(3), "unit")
    district, pooled = parts["district 1"], parts[TOGETHER]
    assert spread(district, shocks=False) == pytest.approx(0.0065, abs=0.0001)
    assert spread(pooled, shocks=False) == pytest.approx(0.0020, abs=0.0001)
    assert spread(district) == pytest.approx(0.0119, abs=0.0001)
    assert spread(pooled) == pytest.approx(0.0102, abs=0.0001)


def test_milton_keynes_breaks_even_where_unnecessary_care_is_removed():
    scenario = arrangement(22)
    (design,) = [one for one in scenario.designs if "Milton" in one.name]
    surplus = sim.exact_settlement(scenario, [design], sizes=scenario.population_sizes[-1:])["expected_surplus"]
    scale = expected(scenario)
    assert abs(float(surplus.sel(party="provider").squeeze())) < 1e-6 * scale
    assert float(surplus.sel(party="payer").squeeze()) == pytest.approx(0.05 * scale)


def test_no_risk_share_is_not_no_risk():
    for number, party in (13, "provider 1"), (3, "providers"), (15, "providers"):
        scenario = arrangement(number)
        (design,) = [one for one in scenario.designs if one.name in ("status quo", "pooled budget")]
        fewer = Stress(name="patients go elsewhere", changes=(MeanCost(by=-0.05),))
        found = sim.stress(scenario, [fewer], [design], replicates=40)
        at = found.isel(design=0).sel(stress="patients go elsewhere", party=party)
        cost = float(found["revenue"].isel(design=0).sel(party=party))
        assert float(at["surplus_difference"]) < -0.003 * cost, number


def test_year_of_care_recorded_against_assessed():
    scenario = arrangement(16).with_simulation(replicates=40)
    year, reconciled = scenario.designs
    people = float(scenario.population_sizes[-1])
    moved = 0.05 * 0.70 * people * (3_000 - 1_000)  # 5% of low × the difference of fees
    wrong = Stress(name="recorded", changes=(UpCoding(source="low", recorded_as="medium", share=0.05),))
    assert scenario.stresses[0].changes == wrong.changes
    plain = year.model_copy(
        update={"budget": year.budget.model_copy(update={"case_mix_tolerance": 0.0}), "terms": (), "quality": None}
    )
    narrow = plain.model_copy(update={"name": "with margin", "budget": year.budget})
    fixed = reconciled.model_copy(update={"terms": ()})
    found = sim.stress(scenario, [wrong], [plain, narrow, fixed], together=False)
    change = found["surplus_difference"].sel(stress="recorded", party="provider")
    assert float(change[0]) == pytest.approx(moved, rel=1e-3)
    margin = 0.02 * people * (0.7 * 1_000 + 0.22 * 3_000 + 0.07 * 9_000 + 0.01 * 12_000)
    assert float(change[1]) == pytest.approx(moved - margin, rel=0.05)  # the mix is drawn
    assert float(change[2]) == pytest.approx(0.0, abs=1e-6)


def test_pools_are_the_money_of_their_owners():
    for number in (14, 15):
        scenario = arrangement(number).with_simulation(replicates=40)
        pools = [step for design in scenario.designs for step in design.transfers if step.kind == "risk_pool"]
        assert all(step.owners for step in pools)
        outcome = sim.settle(sim.simulate(scenario), scenario.designs)
        assert np.abs(outcome["surplus"].sel(party=pools[0].pool)).max() < 1e-3


def test_the_status_quo_is_that_of_the_place():
    for file in sorted((ROOT / "configs" / "arrangements").glob("*.toml")):
        scenario = sim.load(file)
        if scenario.currency != "GBP":  # the English one, half in blocks, is no status quo there
            assert scenario.designs[0].name == "status quo", file.name


def test_figures_of_the_sources():
    means = {n: expected(arrangement(n)) / arrangement(n).population_sizes[-1] for n in (1, 2)}
    assert means[1] == pytest.approx(1_731, abs=0.5)  # the cost of the model is the published budget
    assert means[2] == pytest.approx(494 / 0.75, abs=0.5)
    assert arrangement(12).population_sizes[-1] == 1_500
    pooled = 3 / (1 + (2 * 2 * 0.4 + 2 * 0.35) / 3) * 10_000  # three years of one list, by correlation
    assert math.isclose(pooled, 17_000, rel_tol=0.01)
    assert 17_000 in arrangement(32).population_sizes
    assert len(set(arrangement(24).designs[1].savings)) == 3
