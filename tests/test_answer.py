"""One question on one page: each figure is what the verb or function of that part answers, and page and JSON agree."""

from __future__ import annotations

import json
import math

import pytest
import xarray as xr
from click.testing import CliRunner
from conftest import KINDS, SETS, make
from test_every_figure import check

import simulator as sim
from simulator.analysis.answer import answer, tails_of
from simulator.analysis.luck.luck import by_risk
from simulator.ledger import by_unit
from simulator.present.answers.answer import as_json
from simulator.present.cli.main import main

MARGIN, AT_MOST = 0.05, 0.1
HALF = {"name": "half", "terms": [{"kind": "share", "gain": 0.5, "loss": 0.5}], "exclusion": {"kind": "cap", "at": 5e3}}
HEAVY = {"well": {"family": "lognormal", "mean": 1_000.0, "cv": 3.0}}
PLACES = [
    {"name": "north", "members": 600},
    {"name": "south", "members": 900, "shares": {"well": 0.2, "complex": 0.8}},
    {"name": "twin of north", "members": 600},
]
WHOLE = make(
    simulation={"replicates": 200, "thresholds": [5_000.0, math.inf]},
    population={"units": PLACES},
    shocks=[{"name": "prices", "cv": 0.02}],
    designs=[{"name": "full risk"}, HALF],
    variants={"heavy": HEAVY, "light": {"well": {"family": "lognormal", "mean": 1_000.0, "cv": 1.0}}},
)


@pytest.fixture(scope="module")
def whole() -> xr.Dataset:
    return answer(WHOLE, margin=MARGIN, at_most=AT_MOST)


def test_how_large_is_what_minimum_population_says(whole: xr.Dataset) -> None:
    assert tails_of(WHOLE) == list(whole["tail"].values) == ["light", "central", "heavy"]
    for tail, risk in (("central", "luck and shocks"), ("heavy", "luck")):
        one = by_risk(WHOLE.variant(tail))[risk]
        alone = sim.minimum_population(one, margin=MARGIN, at_most=AT_MOST, method="exact")
        cell = whole.sel(tail=tail, risk=risk)
        assert cell["minimum_population"].values == pytest.approx(alone["minimum_population"].values)
        assert cell["systematic_alone"].values == pytest.approx(alone["systematic_alone"].values)
    assert (whole["calculated"] == 1).all()
    sizes = whole["minimum_population"].isel(threshold=-1, risk=-1)
    assert sizes.sel(tail="light") < sizes.sel(tail="central") < sizes.sel(tail="heavy")
    luck, both = whole["minimum_population"].isel(threshold=-1).transpose("risk", ...).values
    assert (luck < both).all()


def test_places_are_judged_alone_with_their_own_case_mix(whole: xr.Dataset) -> None:
    south = {"name": "well", "share": 0.2}, {"name": "complex", "share": 0.8}
    segments = [segment.model_dump() | own for segment, own in zip(WHOLE.population.segments, south, strict=True)]
    by_hand = make(
        simulation={"population_sizes": [900], "thresholds": [5_000.0, math.inf]},
        population={"segments": segments},
        shocks=[{"name": "prices", "cv": 0.02}],
    )
    wanted = sim.exact(by_hand, margins=(MARGIN,))["p_overspend"].values.ravel()
    chances = whole["p_overspend"]
    assert chances.sel(unit="south").values == pytest.approx(wanted, rel=1e-9)
    assert chances.sel(unit="south").values != pytest.approx(chances.sel(unit="north").values, rel=1e-3)  # a control
    assert (chances.sel(unit="north") == chances.sel(unit="twin of north")).all()
    assert ((chances <= AT_MOST) == whole["qualifies"]).all() and 0 < float(whole["qualifies"].mean()) < 1
    drawn = sim.summarise(by_unit(sim.simulate(WHOLE.with_simulation(replicates=2_000))), margins=(MARGIN,))
    z = (drawn["p_overspend"].isel(margin=0) - chances) / drawn["p_overspend_se"].isel(margin=0)
    assert float(abs(z).max()) < 5


def test_caps_and_contracts_are_what_their_own_functions_say(whole: xr.Dataset) -> None:
    price = sim.fair_price(WHOLE, 2_100)
    assert whole["price_per_head"].values == pytest.approx(price["expected_excess_pmpy"].values)
    assert whole["loading"].values == pytest.approx(price["loading"].values, nan_ok=True)
    designs = WHOLE.select_designs()
    settled = sim.exact_settlement(WHOLE, designs)["expected_surplus"].isel(population_size=0)
    found = whole["expected_surplus"].sel(design=settled["design"], party=settled["party"])
    assert found.values == pytest.approx(settled.transpose(*found.dims).values, abs=1e-6)
    drawn = sim.compare(sim.settle(sim.simulate(WHOLE), designs))["p_loss"].isel(population_size=0)
    assert whole["p_loss"].values == pytest.approx(drawn.transpose(*whole["p_loss"].dims).values)


def test_json_has_the_figures_of_the_page(whole: xr.Dataset) -> None:
    assert check(whole) == []
    told = as_json(whole)
    assert [set(row) >= keys for row, keys in (
        (told["how_large"][0], {"tail", "risk", "threshold", "minimum_population", "interval", "exact"}),
        (told["places"][0], {"place", "members", "p_overspend", "qualifies"}),
        (told["caps"][0], {"threshold", "price_per_head", "minimum_population"}),
        (told["contracts"][0], {"design", "party", "expected_surplus", "p_loss"}),
    )] == [True] * 4  # fmt: skip
    assert (len(told["how_large"]), len(told["places"]), len(told["caps"])) == (3 * 2 * 2, 3, 2)
    last = whole.isel(threshold=-1)
    assert [row["p_overspend"] for row in told["places"]] == pytest.approx(last["p_overspend"].values)
    page = " ".join(str(sim.table(whole)).split())
    assert told["seed"] == WHOLE.simulation.seed and f"{told['replicates']:,} simulated years" in page
    for count, at in zip(whole["qualifies"].sum("unit").values, (0, -1), strict=True):
        names = ("none", "one", "two", "three")
        assert f"{names[int(count)]} of three qualif" in page, at


@pytest.mark.heavy
@pytest.mark.parametrize("kind", ["fixed", "percentiles by segment", "parameter sets"])
def test_a_scenario_without_places_shocks_or_designs_has_its_answer_too(kind: str) -> None:
    parts = KINDS[kind] | {"shocks": []}
    parts |= {"population": {"parameter_sets": SETS}} if kind == "parameter sets" else {}
    parts["simulation"] = {"population_sizes": [1_000, 3_000]} | parts.get("simulation", {})
    found = answer(make(**parts), margin=0.3, at_most=0.3)
    told = as_json(found)
    assert told["places"] == told["contracts"] == [] and {row["risk"] for row in told["how_large"]} == {"luck"}
    assert {row["exact"] for row in told["how_large"]} == {kind != "parameter sets"}
    page = " ".join(str(sim.table(found)).split())
    assert check(found) == [] and "this answer has none" in page
    assert ("calculated without simulation" in page) == ("seed" not in told) == (kind != "parameter sets")


def test_a_file_in_the_place_of_a_verb_and_what_cannot_be_asked(tmp_path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        '[simulation]\npopulation_sizes = [2_000]\n[population]\n[[population.segments]]\nname = "all"\nshare = 1.0\n'
        'severity = { family = "gamma", mean = 900.0, cv = 2.0 }\n'
    )
    path.write_text('title = "own"\n' + path.read_text())
    asked = ["--margin", "3%", "--at-most", "10%", "--json"]
    one, other = (CliRunner().invoke(main, [*start, str(path), *asked]) for start in ([], ["answer"]))
    assert one.exit_code == other.exit_code == 0 and json.loads(one.stdout) == json.loads(other.stdout)
    for wrong in (["--margin", "-1%"], ["--at-most", "-5%"]):
        refused = CliRunner().invoke(main, ["answer", str(path), *wrong])
        assert refused.exit_code == 2 and len(refused.stderr.splitlines()) == 1
