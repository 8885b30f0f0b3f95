"""Old names, keywords, keys, values and options: each still works, says what to write, and goes with its version."""

from __future__ import annotations

import importlib
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

import simulator as sim
from simulator import deprecated
from simulator.errors import SimulatorWarning
from simulator.scenario import Scenario, scenario_from

RAW = {
    "title": "two hundred",
    "simulation": {"population_sizes": [200], "thresholds": [5_000.0], "replicates": 40},
    "population": {
        "segments": [{"name": "all", "share": 1.0, "severity": {"family": "gamma", "mean": 9e2, "cv": 1.0}}]
    },
}


@pytest.fixture(scope="module")
def small() -> Scenario:
    return scenario_from(RAW)


@pytest.mark.parametrize("name", deprecated.NAMES)
def test_a_name_that_has_left_works_and_names_its_room(name: str) -> None:
    room = f"simulator{deprecated.NAMES[name]}"
    with pytest.warns(DeprecationWarning, match=f"`from {room} import {name}`") as told:
        found = getattr(sim, name)
    assert found is getattr(importlib.import_module(room), name)
    assert told[0].filename == __file__
    assert name not in sim.__all__


def test_the_rows_go_with_their_version() -> None:
    now, gone = (tuple(int(part) for part in text.split(".")[:2]) for text in (sim.__version__, deprecated.GONE_IN))
    assert now < gone, "take the rows out of simulator/deprecated.py"


def test_old_keywords_are_the_new_argument(small: Scenario) -> None:
    new = sim.exact(small, budget=sim.PerHead(amount=1_000.0, basis="retained"))
    with pytest.warns(DeprecationWarning, match=r"write budget=PerHead\((amount|basis)=…\)") as told:
        old = sim.exact(small, capitation_pmpy=1_000.0, budget_basis="retained")  # type: ignore[call-arg]
    assert len(told) == 2 and told[0].filename == __file__
    np.testing.assert_array_equal(old["p_overspend"], new["p_overspend"])
    assert float(new["budget"].item()) == 200_000.0
    for wrong in (
        {"capitation_pmpy": -1.0},
        {"budget_basis": "net"},
        {"capitation_pmpy": 1.0, "budget": sim.PerHead()},
    ):
        with pytest.warns(DeprecationWarning), pytest.raises(sim.SimulatorError, match="budget"):
            sim.exact(small, **wrong)  # type: ignore[arg-type]


def test_every_function_that_took_an_old_keyword_still_does(small: Scenario) -> None:
    from simulator.analysis.size.viable import viable_terms

    given = {"capitation_pmpy": 1_000.0}
    asked = {
        sim.summarise: (sim.simulate(small, progress=False),), viable_terms: (small, 200), sim.luck: (small, 200, 0.04),
    }  # fmt: skip
    for function, arguments in asked.items():
        with pytest.warns(DeprecationWarning, match="capitation_pmpy"):
            assert "threshold" in function(*arguments, **given).dims  # type: ignore[operator]
    target = {"margin": 0.2, "at_most": 0.5, **given}
    with pytest.warns(DeprecationWarning, match="capitation_pmpy"):
        assert sim.viable_threshold(small, 200, **target) > 0  # type: ignore[arg-type]
    with pytest.warns(DeprecationWarning, match="capitation_pmpy"):
        sim.minimum_population(small, smallest=100, method="exact", **target)  # type: ignore[arg-type]


def test_a_function_of_a_room_that_is_a_method_now(small: Scenario) -> None:
    from simulator.runs import with_simulation

    with pytest.warns(DeprecationWarning, match=r"scenario\.with_simulation"):
        assert with_simulation(small, seed=7) == small.with_simulation(seed=7)


@pytest.mark.heavy
def test_old_keys_and_values_of_files_are_read(monkeypatch: pytest.MonkeyPatch, small: Scenario) -> None:
    renamed = {"simulation.populations": "replicates", "population.segments.severity.family = erlang": "gamma"}
    monkeypatch.setattr(deprecated, "CONFIG", renamed)
    (segment,) = RAW["population"]["segments"]  # type: ignore[index]
    old = RAW | {
        "simulation": {"population_sizes": [200], "thresholds": [5_000.0], "populations": 40},
        "population": {"segments": [segment | {"severity": segment["severity"] | {"family": "erlang"}}]},
    }
    with pytest.warns(SimulatorWarning) as told:
        assert scenario_from(old) == small
    assert {str(one.message).partition(":")[0] for one in told} == {
        "the key simulation.populations stops working in 0.3",
        '"erlang" at population.segments.severity.family stops working in 0.3',
    }
    both = RAW | {"simulation": {**RAW["simulation"], "populations": 40}}  # type: ignore[dict-item]
    with pytest.raises(sim.SimulatorError, match=r"simulation\.populations: is not a key"):
        scenario_from(both)


def test_old_options_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deprecated, "OPTIONS", {"run --draws": "--replicates"})
    told = ["--draws stops working in 0.3: write --replicates"]
    assert deprecated.renewed_options(["run", "a.toml", "--draws=9"]) == (["run", "a.toml", "--replicates=9"], told)
    assert deprecated.renewed_options(["run", "--draws", "9"]) == (["run", "--replicates", "9"], told)
    assert deprecated.renewed_options(["size", "--draws", "9"]) == (["size", "--draws", "9"], [])
    assert deprecated.renewed_options([]) == ([], [])


def test_the_command_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import sys; from simulator import deprecated, __main__; "
        "deprecated.OPTIONS['run --aid'] = '--help'; sys.argv[1:] = ['run', '--aid']; __main__.main()"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0 and "Usage: simulator run" in run.stdout
    assert run.stderr == "simulator: --aid stops working in 0.3: write --help\n"
