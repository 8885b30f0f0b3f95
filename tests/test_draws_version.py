"""The version of the draws: raised by every change of draws, and never joined with another."""

from __future__ import annotations

import json

import golden_draws as golden
import pytest
from conftest import make
from test_cli import GOOD, call

import simulator as sim
from simulator import ledger as books
from simulator import runs
from simulator import scenario as scenarios
from simulator.costs.families.union import AnySeverity
from simulator.ledger import store
from simulator.runs import extend
from simulator.terms import DRAWS_VERSION

PLAIN = {"simulation": {"cut": 1_500.0}}


@pytest.mark.heavy
@pytest.mark.no_cover
def test_no_draw_has_changed_without_another_version():
    kept = golden.recorded()
    assert kept["draws_version"] == DRAWS_VERSION, "run `python tests/golden_draws.py`"
    found = {name: golden.drawn(scenario) for name, scenario in golden.scenarios().items()}
    assert set(found) <= set(kept["draws"]), "run `python tests/golden_draws.py`"
    changed = {name: what for name in found if (what := golden.differences(kept["draws"][name], found[name]))}
    assert not changed, "raise DRAWS_VERSION in simulator/terms.py, then run `python tests/golden_draws.py`"


def test_the_golden_scenarios_have_every_family_and_every_part_of_the_engine():
    told = json.dumps([scenario.model_dump(mode="json", exclude_none=True) for scenario in golden.scenarios().values()])
    families = {part.__metadata__[0].tag for part in AnySeverity.__args__[0].__args__}
    assert len(families) >= 12 and all(f'"family": "{family}"' in told for family in families)
    for part in (
        "units",
        "rare_services",
        "sampled",
        "parameter_sets",
        "probability",
        "shock_correlations",
        "percentiles",
    ):
        assert part in told


def test_other_draws_are_told_from_the_recorded_ones():
    kept = golden.drawn(make(**PLAIN))
    assert golden.differences(kept, golden.drawn(make(simulation={"cut": 1_500.0, "seed": 1})))
    assert golden.differences(kept, kept | {"bits": "other"}) == ["bits"]
    assert not golden.differences(kept, kept | {"bits": "other", "tables": "of another processor"})
    nearly = {name: value * (1 + 1e-7) for name, value in kept["sums"].items()}
    assert golden.differences(kept, kept | {"sums": nearly})


def test_a_record_is_changed_with_the_version_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(golden, "FILE", tmp_path / "golden.json")
    monkeypatch.setattr(golden, "scenarios", lambda: {"one": make(**PLAIN)})
    assert golden.record() == []
    before = golden.FILE.read_text()
    monkeypatch.setattr(golden, "scenarios", lambda: {"one": make(simulation={"seed": 2})})
    assert golden.record() == ["one"] and golden.FILE.read_text() == before
    monkeypatch.setattr(golden, "DRAWS_VERSION", DRAWS_VERSION + 1)
    assert golden.record() == [] and golden.recorded()["draws_version"] == DRAWS_VERSION + 1


# ── in the ledger and in the id ──────────────────────────────────────────────────────────────────


@pytest.mark.heavy
def test_a_ledger_and_what_is_said_of_it_tell_the_version():
    ledger = sim.simulate(make())
    assert ledger.attrs["draws_version"] == sim.summarise(ledger).attrs["draws_version"] == DRAWS_VERSION
    assert "draws_version" not in sim.exact(make(simulation={"population_sizes": [100]})).attrs


def test_the_id_of_the_first_version_is_that_of_files_from_before_there_was_one(monkeypatch):
    monkeypatch.setattr(scenarios, "DRAWS_VERSION", 1)
    first = make(**PLAIN).scenario_id
    assert first == "0d2712647fbb785c735f2f3f668022c6aae841e5ddc6be8bf4e6ef0839d5bde5"
    monkeypatch.setattr(scenarios, "DRAWS_VERSION", 2)
    second = make(**PLAIN).scenario_id
    monkeypatch.setattr(scenarios, "DRAWS_VERSION", 3)
    assert len({first, second, make(**PLAIN).scenario_id}) == 3


# ── never joined with another ────────────────────────────────────────────────────────────────────


def drawn_by(version, first=0, count=5):
    """Replicates of a ledger that says another version, or none, as files of 0.1.0 do."""
    ledger = sim.simulate(make(simulation={"replicates": count}), first_replicate=first)
    del ledger.attrs["draws_version"]
    return ledger if version is None else ledger.assign_attrs(draws_version=version)


@pytest.mark.heavy
@pytest.mark.parametrize("version", [DRAWS_VERSION + 1, 0, "1b"])
def test_draws_of_another_version_are_not_taken_further(version, tmp_path):
    other = drawn_by(version)
    for wanted in (3, 5, 8):
        with pytest.raises(sim.SimulatorError, match=rf"draws_version: {version!r}.* is not {DRAWS_VERSION}"):
            extend(other, make(simulation={"replicates": wanted}), progress=False)
    with pytest.raises(sim.SimulatorError, match="ledgers: draws_version"):
        sim.merge([other, sim.simulate(make(simulation={"replicates": 5}), first_replicate=5)])
    sim.save(other, tmp_path / "other.nc")
    assert sim.summarise(sim.open_ledger(tmp_path / "other.nc")).attrs["draws_version"] == version  # it can be read


def test_files_from_before_there_was_a_version_hold_the_first(monkeypatch):
    for module in (store, runs, scenarios):
        monkeypatch.setattr(module, "DRAWS_VERSION", 1)
    old = drawn_by(None)
    assert books.draws_version(old) == 1
    assert extend(old, make(simulation={"replicates": 8}), progress=False).sizes["replicate"] == 8
    for module in (store, runs):
        monkeypatch.setattr(module, "DRAWS_VERSION", 2)
    with pytest.raises(sim.SimulatorError, match="draws_version"):
        extend(old, make(simulation={"replicates": 8}), progress=False)


def test_draws_from_other_tables_are_neither_merged_nor_taken_further():
    ours = sim.simulate(make(simulation={"replicates": 5}))
    theirs = sim.simulate(make(simulation={"replicates": 5}), first_replicate=5)
    with pytest.raises(sim.SimulatorError, match="ledgers: tables_hash: differs"):
        sim.merge([ours, theirs.assign_attrs(tables_hash="another")])
    for change in ({"replicates": 8}, {"replicates": 5, "population_sizes": [7, 100, 250, 300]}):
        with pytest.raises(sim.SimulatorError, match="ledger: tables_hash: differs"):
            extend(ours.assign_attrs(tables_hash="another"), make(simulation=change), progress=False)
    assert sim.merge([ours, theirs]).sizes["replicate"] == 10


def test_the_shell_refuses_to_resume_in_one_sentence(tmp_path):
    asked, out = tmp_path / "small.toml", tmp_path / "run.nc"
    asked.write_text(GOOD)
    sim.save(sim.simulate(sim.load(asked), progress=False).assign_attrs(draws_version=DRAWS_VERSION + 1), out)
    code, told = call("run", asked, "--out", out, "--resume")
    assert code == 2 and told.startswith(f"simulator: {out}: draws_version: ") and told.count("\n") == 1
