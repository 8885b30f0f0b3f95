"""Variants of a scenario: other severities by name, which are no part of its draws."""

import copy

import pytest

import simulator as sim
from simulator.scenario import scenario_from

RAW = {
    "title": "two segments",
    "simulation": {"replicates": 50, "population_sizes": [2_000], "thresholds": [20_000.0, float("inf")], "seed": 3},
    "population": {
        "segments": [
            {
                "name": "well",
                "share": 0.9,
                "p_user": 0.8,
                "severity": {"family": "lognormal", "mean": 500.0, "cv": 2.0},
            },
            {"name": "complex", "share": 0.1, "severity": {"family": "lognormal", "mean": 7_000.0, "cv": 1.5}},
        ]
    },
}
LIGHT = {"well": {"family": "gamma", "mean": 520.0, "cv": 1.9}}
HEAVY = {
    "well": {"calibrate": {"family": "burr", "mean": 400.0, "cv": 2.5, "top_share": {"0.05": 0.4}}},
    "complex": {"family": "lomax", "mean": 7_000.0, "cv": 1.6},
}


def having(**variants):
    return copy.deepcopy(RAW) | {"variants": copy.deepcopy(variants)}


@pytest.fixture(scope="module")
def scenario():
    return scenario_from(having(light=LIGHT, heavy=HEAVY))


def test_a_variant_has_the_severities_that_it_gives_and_all_else_of_the_scenario(scenario):
    by_hand = copy.deepcopy(RAW)
    by_hand["population"]["segments"][0]["severity"] = LIGHT["well"]
    light = scenario.variant("light")
    assert light == scenario_from(by_hand)
    assert light.scenario_id != scenario.scenario_id
    assert scenario.variant("central") == scenario_from(RAW)
    assert sim.describe(scenario.variant("heavy"))["segments"][0]["mean"] == pytest.approx(400, rel=1e-6)


def test_variants_are_no_part_of_the_draws(scenario):
    plain = scenario_from(RAW)
    assert scenario.scenario_id == plain.scenario_id
    assert scenario.with_simulation(replicates=60).resized([3_000]).variants == scenario.variants
    one, other = sim.simulate(scenario), sim.simulate(plain)
    assert (one["gross_cost"] == other["gross_cost"]).all()
    assert (sim.simulate(scenario.variant("light"))["gross_cost"] != other["gross_cost"]).any()


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("variants", "sentence"),
    [
        ({"light": {"fit": LIGHT["well"]}}, "variants.light.fit: is a segment that does not exist; use the names"),
        ({"central": LIGHT}, "variants: has a variant 'central', which is the scenario itself"),
        ({"light": {"well": {"family": "gamma", "mean": 520.0}}}, "variants.light.well: has mean, which does not"),
        ({"light": {"well": {"family": "gama", "mean": 1.0, "cv": 1.0}}}, "did you mean 'gamma'?"),
    ],
)
def test_a_mistake_is_one_sentence(variants, sentence):
    with pytest.raises(sim.SimulatorError) as caught:
        scenario_from(having(**variants))
    assert sentence in str(caught.value)
    assert len(caught.value.mistakes) == 1


def test_an_unknown_variant_names_those_that_there_are(scenario):
    with pytest.raises(sim.SimulatorError, match="choose one of: central, light, heavy"):
        scenario.variant("lite")


@pytest.mark.parametrize(
    ("severity", "where", "sentence"),
    [
        ('{ family = "lomax", alpha = 1.8, scale = 500.0 }', "severity", "infinite variance"),
        ('{ family = "lomax", alpha = 0.9, scale = 500.0 }', "", "infinite mean"),
        ('{ calibrate = { family = "gamma", mean = 1.0, top_share = { "0.85" = 0.9 } } }', "", "hold every cost"),
    ],
)
def test_what_does_not_go_with_the_scenario_is_told_on_loading(tmp_path, severity, where, sentence):
    text = (
        'title = "t"\nsimulation = { population_sizes = [100] }\n[[population.segments]]\nname = "a b"\nshare = 1.0\n'
        'p_user = 0.8\nseverity = { family = "gamma", mean = 500.0, cv = 2.0 }\n'
    )
    path = tmp_path / "s.toml"
    path.write_text(text + f'[variants.heavy]\n"a b" = {severity}\n')
    with pytest.raises(sim.SimulatorError) as caught:
        sim.load(path)
    key = "population.segments[a b]" + (f".{where}" if where else "")
    assert f"s.toml: variants.heavy: {key}: " in str(caught.value)
    assert sentence in str(caught.value)


def test_east_sussex_has_the_tails_of_its_other_files():
    central = sim.load("configs/east_sussex.toml")
    assert central.scenario_id == "6fa1b516a170433e5fca64c9746a7fba71a4efb3468bf9ef1f1749a9ac73e298"
    for name in ("light", "heavy"):
        assert central.variant(name).scenario_id == sim.load(f"configs/east_sussex_{name}.toml").scenario_id
