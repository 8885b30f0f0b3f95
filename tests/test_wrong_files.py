"""A file of the wrong kind is told by what it is, and a missing column by those that are there."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner
from conftest import make

import simulator as sim
from simulator.analysis.size.viable import viable_terms
from simulator.errors import columns_there
from simulator.ledger import VERBS, save
from simulator.present.cli.main import main
from simulator.stresses import Inflation, Stress

CONFIGS = Path(__file__).parents[1] / "configs"
UNCERTAIN = CONFIGS / "uncertain.toml"
DESIGNS = [{"name": "half", "terms": [{"kind": "share", "gain": 0.5, "loss": 0.5}]}]


def told(*arguments: object) -> str:
    called = CliRunner().invoke(main, list(map(str, arguments)))
    assert called.exit_code == 2, called.output
    return called.output


@pytest.fixture(scope="module")
def answers() -> dict[str, xr.Dataset]:
    scenario = sim.load(UNCERTAIN)
    drawn = make(simulation={"replicates": 40, "population_sizes": [300]}, designs=DESIGNS)
    stresses = [Stress(name="dearer", changes=(Inflation(by=0.03),))]
    return {
        "luck --out": sim.luck(scenario, 20_000, 0.04),
        "size --members --out": viable_terms(scenario, 20_000),
        "size --out": sim.minimum_population(scenario, "cv", at_most=0.1, method="exact"),
        "run --exact --out": sim.exact(drawn),
        "sensitivity --out": sim.sensitivity(scenario, statistic="cv", points=4),
        "settle --out": sim.settle(sim.simulate(drawn, progress=False), drawn.designs),
        "stress --out": sim.stress(drawn, stresses),
    }


@pytest.mark.heavy
@pytest.mark.parametrize("verb", list(VERBS.values()))
def test_an_answer_given_for_a_run_is_told_by_its_verb(answers: dict[str, xr.Dataset], verb: str, tmp_path) -> None:
    save(answers[verb], tmp_path / "a.nc")
    said = told("report", tmp_path / "a.nc", "-o", tmp_path / "a.html")
    assert f"a.nc: is what `simulator {verb}` wrote, and holds no draws; name a file that `simulator run --out`" in said
    assert not (tmp_path / "a.html").exists()


def test_draws_given_for_a_scenario_are_told(answers: dict[str, xr.Dataset], tmp_path: Path) -> None:
    save(answers["luck --out"], tmp_path / "a.nc")
    assert "a.nc: is a netCDF file that a verb wrote, not a scenario; name the scenario's .toml" in told(
        "check", tmp_path / "a.nc"
    )


def test_a_missing_column_of_year_end_rows_names_the_file_and_its_columns(tmp_path: Path) -> None:
    rows = tmp_path / "act.csv"
    pd.DataFrame({"org": ["a"], "bugdet": [1.0], "cost": [1.0]}).to_csv(rows, index=False)
    said = told("settle", CONFIGS / "arrangements" / "20-whittington.toml", "--actuals", rows)
    assert f"{rows}: has no column 'budget' or 'benchmark'; did you mean 'bugdet'? Its columns are: org, bugdet" in said
    assert "frame" not in said


def test_a_missing_column_of_costs_is_told_by_the_near_one() -> None:
    frame = pd.DataFrame({"total": [1.0], "band": ["a"]})
    with pytest.raises(sim.SimulatorError, match=r"no column 'totl'; did you mean 'total'\? Its columns are: total, b"):
        sim.fit(frame, cost="totl")


def test_rows_without_a_head_are_not_told_as_names() -> None:
    assert columns_there(["Smith", "90210.77"], ["total"]) == "check that its first line names the columns"
    assert columns_there([f"c{k}" for k in range(20)], ["x"]).endswith("c10, c11, …")


def test_the_help_of_settle_lists_the_columns_it_needs() -> None:
    told_ = " ".join(CliRunner().invoke(main, ["settle", "--help"]).output.split())
    assert "columns budget (or benchmark) and cost (or expenditure)" in told_
