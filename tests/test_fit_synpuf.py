"""The model that is fitted to the public-use file: its scenarios run, and it is what the file gives."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from conftest import ROOT

import simulator as sim
from simulator.costs.model_file import read_model
from simulator.costs.parameter_draws import ParameterSets
from simulator.fitting.fit import model_population
from simulator.fitting.measures import People

CONFIG = ROOT / "configs" / "synpuf.toml"
DOUBT = ROOT / "configs" / "synpuf_doubt.toml"
MODEL = ROOT / "configs" / "synpuf_model.toml"


def first_sets(scenario: sim.Scenario, count: int) -> sim.Scenario:
    """The scenario with the first of its parameter sets alone."""
    given = scenario.population.parameter_sets
    kept = [ParameterSets(segment=one.segment, **{k: v[:count] for k, v in one.figures.items()}) for one in given]
    return scenario.model_copy(
        update={"population": scenario.population.model_copy(update={"parameter_sets": tuple(kept)})}
    )


def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_synpuf", ROOT / "configs" / "build_synpuf.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.heavy
@pytest.mark.no_cover
def test_it_runs() -> None:
    scenario = sim.load(CONFIG)
    few = scenario.simulation.model_copy(update={"replicates": 150, "population_sizes": (1_000, 10_000)})
    summary = sim.summarise(sim.simulate(scenario.model_copy(update={"simulation": few}), progress=False))
    assert summary.attrs["check"] == "passed" and scenario.currency == "USD"
    assert np.all(np.diff(summary["cv"].values, axis=0) < 0)


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("sets", [8, pytest.param(40, marks=pytest.mark.slow)])
def test_it_runs_under_its_parameter_sets(sets: int) -> None:
    scenario = sim.load(DOUBT)
    assert scenario.population.n_sets == 40
    few = {"replicates": 4 * sets, "population_sizes": (1_000, 100_000)}
    few |= {"thresholds": (50_000.0,)} if sets < 40 else {}
    scenario = first_sets(scenario.model_copy(update={"simulation": scenario.simulation.model_copy(update=few)}), sets)
    ledger = sim.simulate(scenario, progress=False)
    assert len(np.unique(ledger["parameter_draw"])) == scenario.population.n_sets == sets
    summary = sim.summarise(ledger)
    assert summary.attrs["check"] == "passed"
    share = sim.variance_by_source(scenario)["share"].sel(source="parameter", threshold=50_000.0)
    # the sets rest on 111,601 people, so that doubt is as large as luck at about that size
    assert share.sel(population_size=1_000) < 0.03 and 0.3 < share.sel(population_size=100_000) < 0.7


def test_both_scenarios_are_of_the_one_model() -> None:
    sure, doubtful = sim.load(CONFIG).population, sim.load(DOUBT).population
    assert sure == model_population(MODEL) and sure.segments == doubtful.segments


def test_what_it_implies_is_what_the_file_was_reported_to_hold() -> None:
    """The public figures of the file: 111,601 people of full cover, 17.2% of them without cost, US$4,568 a head."""
    described = sim.describe(sim.load(CONFIG))
    assert described["mean"] == pytest.approx(4_568, rel=0.002)
    assert described["zero_share"] == pytest.approx(0.1717, abs=0.0002)
    assert described["top_share"]["0.05"] == pytest.approx(0.4506, rel=0.005)


def test_it_holds_no_row_and_no_path() -> None:
    for path in (CONFIG, DOUBT, MODEL):
        text = path.read_text(encoding="utf-8")
        assert "shared" not in text and ".parquet" not in text and "values" not in text


@pytest.mark.slow
def test_it_is_current(data_folder: Path) -> None:
    pytest.importorskip("pyarrow")
    path = data_folder / "synpuf_person_years.parquet"
    if not path.exists():
        pytest.skip("no synpuf_person_years.parquet in the data folder")
    model = builder().fitted(str(path))
    fresh, kept = model.population, sim.load(CONFIG).population
    assert [s.name for s in fresh.segments] == [s.name for s in kept.segments]
    thresholds = (25_000.0, 50_000.0, 100_000.0)
    assert People(fresh).implied(thresholds) == pytest.approx(People(kept).implied(thresholds), rel=1e-3)
    kept_sets = read_model(MODEL)[1]
    assert model.sets.keys() == kept_sets.keys()
    for segment, drawn in model.sets.items():
        assert drawn.keys() == kept_sets[segment].keys()
        for parameter, values in drawn.items():
            assert np.asarray(values) == pytest.approx(np.asarray(kept_sets[segment][parameter]), rel=2e-3, abs=1e-4)


def test_a_bad_file_is_told_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert builder().main([str(tmp_path / "smith.parquet"), "--check"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "smith" not in said
