"""How large a population must be where years are settled together."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import SMALL
from features import toml_of

import simulator as sim
from simulator.analysis.size.minimum import minimum_population
from simulator.analysis.size.pooled import pooled_minimum
from simulator.present.cli.main import main
from simulator.scenario import scenario_from

ASKED = {"margin": 0.04, "at_most": 0.05}


def raw_of(persistence: object = "none", **parts: object) -> dict[str, Any]:
    raw = copy.deepcopy(SMALL) | {"years": {"contract": 3, "persistence": persistence}} | parts
    raw["population"]["segments"] = [raw["population"]["segments"][0] | {"share": 1.0}]
    raw["simulation"] |= {"population_sizes": [500, 20_000], "thresholds": [5_000.0]}
    return raw


def scenario(persistence: object = "none", **parts: object) -> sim.Scenario:
    return scenario_from(raw_of(persistence, **parts), "scenario")


SHOCK = {"shocks": [{"name": "flu", "cv": 0.01}]}


def found(answer) -> float:
    return float(answer["minimum_population"][0])


def test_one_year_is_the_answer_of_a_single_year() -> None:
    asked = scenario("published", **SHOCK)
    alone, single = pooled_minimum(asked, 1, **ASKED), minimum_population(asked.first_year, **ASKED, method="exact")
    assert found(alone) == pytest.approx(found(single), rel=3e-3)
    assert float(alone["systematic_alone"][0]) == pytest.approx(float(single["systematic_alone"][0]), abs=1e-4)


def test_independent_years_need_a_third_of_the_people_and_persistent_ones_more() -> None:
    single = found(minimum_population(scenario().first_year, **ASKED, method="exact"))
    assert found(pooled_minimum(scenario(), 3, **ASKED)) == pytest.approx(single / 3, rel=3e-3)
    persistent = found(pooled_minimum(scenario("published"), 3, **ASKED))
    worth = float(sim.persistence(scenario("published"))["pooled_worth"].sel(years_pooled=3)[0])
    assert persistent == pytest.approx(single / worth, rel=0.05) and persistent > 1.3 * single / 3


def test_more_years_than_the_contract_has_are_refused() -> None:
    with pytest.raises(sim.SimulatorError, match="not from 1 to the number of contract years, 3"):
        pooled_minimum(scenario(), 4, **ASKED)
    with pytest.raises(sim.SimulatorError, match="contract years, 0"):
        pooled_minimum(scenario().first_year, 1, **ASKED)


def test_the_page_says_which_years() -> None:
    text = " ".join(sim.table(pooled_minimum(scenario(), 2, **ASKED)).text().split())
    assert "contract years 1 to 2 together" in text


def test_the_verb_pools_years_and_says_what_does_not_go_with_it(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text(toml_of(raw_of()), encoding="utf-8")
    done = CliRunner().invoke(main, ["size", str(file), "--pool", "2", "--margin", "0.04"])
    assert done.exit_code == 0 and "contract years 1 to 2 together" in " ".join(done.stdout.split())
    done = CliRunner().invoke(main, ["size", str(file), "--pool", "2", "--members", "500"])
    assert done.exit_code == 2 and "goes with p_overspend alone" in done.stderr


def test_luck_over_years_is_the_exact_chance_of_their_sum() -> None:
    asked = scenario("published")
    answer = sim.luck(asked, 4_000, 0.03, pool=3)
    exact = sim.exact(asked.resized((4_000,)), margins=(0.03,), pool_years={1: 1, 2: 1, 3: 1})
    below = 1 - float(exact["p_overspend"].squeeze())
    assert float(answer["percentile"].squeeze()) == pytest.approx(below, abs=1e-9)
    assert "3 contract years" in sim.table(answer).text()
    for wrong in ({"pool": 4}, {"pool": 2, "replicates": 50}):
        with pytest.raises(sim.SimulatorError, match=r"contract years|without simulation"):
            sim.luck(asked, 4_000, 0.03, **wrong)
