"""Which places are large enough by themselves: by name, exact where it can be, with the draws as its check."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import xarray as xr
from click.testing import CliRunner
from conftest import UNITS, make, raw
from features import toml_of

import simulator as sim
from simulator.analysis.size import places as home
from simulator.analysis.size.places import places, places_alone
from simulator.errors import SimulatorError
from simulator.present.answers.places import qualifying
from simulator.present.answers.shared import rule_names
from simulator.present.cli.main import main

MARGIN, AT_MOST = 0.05, 0.15
PLACES = [
    {"name": "north", "members": 600},
    {"name": "south", "members": 900, "shares": {"well": 0.2, "complex": 0.8}},
    {"name": "west", "members": 1_800},
]
PARTS = raw(simulation={"replicates": 400, "thresholds": [5_000.0, math.inf]}, population={"units": PLACES})
SCENARIO = sim.Scenario.model_validate(PARTS)


@pytest.fixture(scope="module")
def judged() -> xr.Dataset:
    return places(SCENARIO, MARGIN, AT_MOST)


def test_one_law_of_a_person_serves_all_places_of_a_case_mix(judged: xr.Dataset) -> None:
    for place in PLACES:
        alone = make(
            simulation={"population_sizes": [place["members"]], "thresholds": [5_000.0, math.inf]},
            population={"segments": shares_of(place)},
        )
        wanted = sim.exact(alone, margins=(MARGIN,))["p_overspend"].values.ravel()
        assert judged["p_overspend"].sel(unit=place["name"]).values == pytest.approx(wanted, rel=1e-9)
    assert judged.attrs["method"] == "exact" and list(judged["unit"].values) == ["north", "south", "west"]


def shares_of(place: dict) -> list[dict]:
    own = place.get("shares", {})
    known = [segment.model_dump() for segment in SCENARIO.population.segments]
    return [segment | {"share": own.get(segment["name"], segment["share"])} for segment in known]


def test_draws_are_the_check_of_the_exact_chances(judged: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "_MOST_MIXES", 0)
    ledger = sim.simulate(SCENARIO.with_simulation(replicates=4_000), progress=False)
    drawn = places(SCENARIO, MARGIN, AT_MOST, ledger)
    z = (drawn["p_overspend"] - judged["p_overspend"]) / drawn["p_overspend_se"]
    assert float(abs(z).max()) < 4.5 and drawn.attrs["replicates"] == 4_000
    shuffled = judged.assign_coords(unit=["south", "west", "north"]).sel(unit=judged["unit"])  # a control
    assert float(abs((drawn["p_overspend"] - shuffled["p_overspend"]) / drawn["p_overspend_se"]).max()) > 4.5


def test_percentiles_of_a_place_are_those_of_the_whole() -> None:
    scenario = make(simulation={"thresholds": {"percentiles": [0.95], "by": "population"}}, population={"units": UNITS})
    alone = places_alone(scenario, [scenario.population.units[1]])
    assert (alone.threshold_amounts == scenario.threshold_amounts).all() and alone.population_sizes == (90,)
    with pytest.raises(SimulatorError, match="are missing"):
        places(make(), MARGIN, AT_MOST)


@pytest.mark.heavy
def test_run_and_size_tell_each_place_by_name_and_agree(judged: xr.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "places.toml"
    path.write_text(toml_of(PARTS), encoding="utf-8")
    asked = ["--margin", str(MARGIN), "--at-most", str(AT_MOST)]
    said = qualifying(judged, rule_names(judged))
    assert said.startswith("Places: without exclusion, two of three qualify; with each patient")
    for verb in (["run", path], ["run", path, "--exact"], ["size", path, "--exact"]):
        page = CliRunner().invoke(main, [*map(str, verb), *asked]).output
        assert said in " ".join(page.split()), verb
        told = json.loads(CliRunner().invoke(main, [*map(str, verb), *asked, "--json"]).output)["places"]
        assert [row["place"] for row in told] == ["north", "south", "west"]
        assert [row["p_overspend"] for row in told] == pytest.approx(judged["p_overspend"].isel(threshold=-1).values)
