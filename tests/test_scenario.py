"""Scenario files: what is refused, in which words, and that nothing is lost on the way to JSON and back."""

from __future__ import annotations

import json
import math
import runpy
from functools import cache

import numpy as np
import pytest
from conftest import FAMILIES, KINDS, LOGNORMAL, RARE, ROOT, SEGMENTS, SHOCKS, UNITS, make, raw

import simulator as sim
from simulator.scenario import json_schema, scenario_from

TOML = """
title = "one"
[simulation]
replicates = 10
population_sizes = [10, 20]
thresholds = [5_000.0, inf]
[[population.segments]]
name = "all"
share = 1.0
p_user = 0.8
severity = { family = "lognormal", mean = 520.0, cv = 1.9 }
"""


def refusal(changes=None, raw_mapping=None):
    with pytest.raises(sim.SimulatorError) as found:
        scenario_from(raw_mapping if raw_mapping is not None else raw(**changes), "file.toml")
    return found.value


def severity(**figures):
    return {"population": {"segments": [{"name": "all", "share": 1.0, "severity": {**figures}}]}}


def segment(**changes):
    return {"population": {"segments": [{"name": "all", "share": 1.0, "severity": LOGNORMAL, **changes}]}}


BAD = {
    "misspelt key": (segment(p_usr=0.5), "population.segments[all].p_usr", "not a key", "p_user"),
    "misspelt key at the top": ({"shock": []}, "shock", "not a key", "shocks"),
    "shares that do not add up": (
        {"population": {"segments": [{**SEGMENTS[0], "share": 0.5}, SEGMENTS[1]]}},
        "population.segments",
        "add up to 0.8, not 1",
        "make",
    ),
    "share of no one": (segment(share=0.0), "population.segments[all].share", "0.0 must be above 0", "larger"),
    "share in quotes": (segment(share="1"), "population.segments[all].share", "'1' is not a number", "quotes"),
    "share as a truth": (segment(share=True), "population.segments[all].share", "True is not a number", "quotes"),
    "p_user above 1": (
        segment(p_user=80.0),
        "population.segments[all].p_user",
        "80.0 must be at most 1",
        "write 80% as 0.8",
    ),
    "negative mean": (
        severity(family="lognormal", mean=-520.0, cv=1.0),
        "population.segments[all].severity.mean",
        "-520.0 must be above 0",
        "larger",
    ),
    "no cv": (
        severity(family="lognormal", mean=520.0),
        "population.segments[all].severity",
        "does not determine",
        "(mean, cv)",
    ),
    "cv of zero": (
        severity(family="gamma", mean=520.0, cv=0.0),
        "population.segments[all].severity.cv",
        "0.0 must be above 0",
        "larger",
    ),
    "negative cv": (
        severity(family="gamma", mean=520.0, cv=-1.0),
        "population.segments[all].severity.cv",
        "-1.0 must be above 0",
        "larger",
    ),
    "too many figures": (
        severity(family="gamma", mean=5.0, cv=1.0, shape=2.0),
        "population.segments[all].severity",
        "cv, mean, shape",
        "(mean, cv) or (shape, scale)",
    ),
    "cv too small for a lomax": (
        severity(family="lomax", mean=520.0, cv=0.9),
        "population.segments[all].severity.cv",
        "0.9 must be above 1",
        "larger",
    ),
    "NaN mean": (
        severity(family="lognormal", mean=math.nan, cv=1.0),
        "population.segments[all].severity.mean",
        "nan is not a finite number",
        "ordinary",
    ),
    "NaN share": (segment(share=math.nan), "population.segments[all].share", "nan is not a finite number", "ordinary"),
    "NaN threshold": (
        {"simulation": {"thresholds": [math.nan]}},
        "simulation.thresholds[0]",
        "nan must be above 0",
        "larger",
    ),
    "infinite mean figure": (
        severity(family="lognormal", mean=math.inf, cv=1.0),
        "population.segments[all].severity.mean",
        "inf is not a finite number",
        "ordinary",
    ),
    "unknown family": (
        severity(family="lognormel", mean=1.0, cv=1.0),
        "population.segments[all].severity.family",
        "'lognormel' is not a known kind",
        "lognormal",
    ),
    "no family": (severity(mean=1.0, cv=1.0), "population.segments[all].severity.family", "is missing", "family = "),
    "severity as text": (
        {"population": {"segments": [{"name": "all", "share": 1.0, "severity": "lognormal"}]}},
        "population.segments[all].severity",
        "",
        "",
    ),
    "unknown tail": (
        severity(family="spliced", body=LOGNORMAL, tail={"family": "paretto", "alpha": 2.5}, at=9e3),
        "population.segments[all].severity.tail",
        "does not name a family",
        "pareto",
    ),
    "wrong tail": (
        severity(family="spliced", body=LOGNORMAL, tail={"family": "pareto", "alpha": -2.5}, at=9e3),
        "population.segments[all].severity.tail.alpha",
        "-2.5 must be above 0",
        "larger",
    ),
    "splice beyond the body": (
        severity(
            family="spliced",
            body={"family": "gpd", "shape": -1.0, "scale": 100.0},
            tail={"family": "pareto", "alpha": 2.5},
            at=9e3,
        ),
        "population.segments[all].severity",
        "9000",
        "inside the body",
    ),
    "mixture weights": (
        severity(family="mixture", components=[{"weight": 0.5, "severity": LOGNORMAL}]),
        "population.segments[all].severity.components",
        "add up to 0.5, not 1",
        "add up to 1",
    ),
    "mixture part": (
        severity(
            family="mixture", components=[{"weight": 1.0, "severity": {"family": "gamma", "mean": 1.0, "cv": -1.0}}]
        ),
        "population.segments[all].severity.components[0].severity.cv",
        "-1.0 must be above 0",
        "larger",
    ),
    "values and quantiles": (
        severity(family="empirical", values=[1.0], quantiles={"0": 1.0, "1": 2.0}),
        "population.segments[all].severity",
        "either values or quantiles",
        "one of the two",
    ),
    "weights of another length": (
        severity(family="empirical", values=[1.0, 2.0], weights=[1.0]),
        "population.segments[all].severity",
        "2 values and 1 weights",
        "as many",
    ),
    "quantiles that fall": (
        severity(family="empirical", quantiles={"0": 5.0, "1": 2.0}),
        "population.segments[all].severity.quantiles",
        "must not fall",
        "sort",
    ),
    "quantiles that do not reach 1": (
        severity(family="empirical", quantiles={"0": 1.0, "0.9": 2.0}),
        "population.segments[all].severity.quantiles",
        "from 0 to 1",
        "highest",
    ),
    "costs of zero only": (
        severity(family="empirical", quantiles={"0": 0.0, "1": 0.0}),
        "population.segments[all]",
        "mean of 0",
        "sensible",
    ),
    "figures beyond a computer's numbers": (
        severity(family="lognormal", mu=6.0, sigma=50.0),
        "population.segments[all]",
        "inf",
        "sensible",
    ),
    "mu beyond a computer's numbers": (
        severity(family="lognormal", mu=900.0, sigma=1.0),
        "population.segments[all].severity",
        "range",
        "sensible",
    ),
    "infinite mean": (
        severity(family="pareto", scale=1.0, alpha=1.0),
        "population.segments[all]",
        "infinite mean (tail index 1)",
        "above 1",
    ),
    "infinite variance": (
        severity(family="pareto", scale=1.0, alpha=1.9),
        "population.segments[all].severity",
        "infinite variance (tail index 1.9)",
        "every threshold finite",
    ),
    "calibration that cannot be": (
        {
            "population": {
                "segments": [
                    {
                        "name": "all",
                        "share": 1.0,
                        "severity": {"calibrate": {"family": "lognormal", "mean": 9.0, "top_share": {"0.05": 1.2}}},
                    }
                ]
            }
        },
        "population.segments[all].severity.calibrate.top_share.0.05",
        "1.2 must be below 1",
        "smaller",
    ),
    "empty segments": ({"population": {"segments": []}}, "population.segments", "too short", "add"),
    "two segments of one name": (
        {"population": {"segments": [{**SEGMENTS[0], "name": "complex"}, SEGMENTS[1]]}},
        "population.segments",
        "more than one 'complex'",
        "own name",
    ),
    "nameless segment": (segment(name=""), "population.segments[0].name", "must not be empty", "name"),
    "unknown membership": (
        {"population": {"membership": "drawn"}},
        "population.membership",
        "'drawn' must be 'fixed', 'sampled' or 'held'",
        "choose",
    ),
    "names that look alike": (
        {"population": {"segments": [SEGMENTS[0] | {"name": n, "share": 0.5} for n in ("\u00e9lan", "e\u0301lan ")]}},
        "population.segments",
        "more than one",
        "each",
    ),
    "unsorted sizes": (
        {"simulation": {"population_sizes": [20, 10]}},
        "simulation.population_sizes",
        "not in ascending order",
        "sort",
    ),
    "duplicate sizes": (
        {"simulation": {"population_sizes": [10, 10]}},
        "simulation.population_sizes",
        "twice",
        "repeats",
    ),
    "size of zero": (
        {"simulation": {"population_sizes": [0, 10]}},
        "simulation.population_sizes[0]",
        "0 must be at least 1",
        "larger",
    ),
    "size of half a person": (
        {"simulation": {"population_sizes": [10.5]}},
        "simulation.population_sizes[0]",
        "10.5 is not a whole number",
        "decimals",
    ),
    "size beyond the world": (
        {"simulation": {"population_sizes": [10**30]}},
        "simulation.population_sizes[0]",
        "at most 2000000000",
        "smaller",
    ),
    "one size, no list": (
        {"simulation": {"population_sizes": 10}},
        "simulation.population_sizes",
        "10 is not a list",
        "square brackets",
    ),
    "no sizes": (
        {"simulation": {"population_sizes": []}},
        "simulation.population_sizes",
        "is missing",
        "how many",
    ),
    "threshold of zero": (
        {"simulation": {"thresholds": [0.0]}},
        "simulation.thresholds[0]",
        "0.0 must be above 0",
        "larger",
    ),
    "negative threshold": (
        {"simulation": {"thresholds": [-5.0, 10.0]}},
        "simulation.thresholds[0]",
        "-5.0 must be above 0",
        "larger",
    ),
    "unsorted thresholds": (
        {"simulation": {"thresholds": [math.inf, 5.0]}},
        "simulation.thresholds",
        "not in ascending order",
        "sort",
    ),
    "duplicate thresholds": ({"simulation": {"thresholds": [5.0, 5.0]}}, "simulation.thresholds", "twice", "repeats"),
    "no thresholds": ({"simulation": {"thresholds": []}}, "simulation.thresholds", "too short", "add"),
    "thresholds as text": (
        {"simulation": {"thresholds": "inf"}},
        "simulation.thresholds",
        "is not a list",
        "square brackets",
    ),
    "percentile above 1": (
        {"simulation": {"thresholds": {"percentiles": [99.0]}}},
        "simulation.thresholds.percentiles[0]",
        "99.0 must be at most 1",
        "write 99% as 0.99",
    ),
    "percentile in the zero mass": (
        {"simulation": {"thresholds": {"percentiles": [0.3]}}},
        "simulation.thresholds",
        "percentile 0.3 at which people have no cost",
        "higher percentile",
    ),
    "percentile in a segment's zero mass": (
        {"simulation": {"thresholds": {"percentiles": [0.4], "by": "segment"}}},
        "simulation.thresholds",
        "percentile 0.4 at which people of 'well' have no cost (40.0% have none)",
        "higher",
    ),
    "percentiles by segment of a rare service": (
        {"simulation": {"thresholds": {"percentiles": [0.99], "by": "segment"}}, "population": {"rare_services": RARE}},
        "simulation.thresholds",
        "rare service in scope",
        "amounts",
    ),
    "negative seed": ({"simulation": {"seed": -1}}, "simulation.seed", "-1 must be at least 0", "larger"),
    "seed too long": ({"simulation": {"seed": 2**63}}, "simulation.seed", "must be below", "smaller"),
    "no replicates": ({"simulation": {"replicates": 0}}, "simulation.replicates", "0 must be at least 2", "larger"),
    "cut above a threshold": ({"simulation": {"cut": 6_000.0}}, "simulation.cut", "6000.0 lies above", "at most"),
    "cut above a threshold less the shock": (
        {"simulation": {"cut": 4_900.0}, "shocks": SHOCKS},
        "simulation.cut",
        "less the largest shock",
        "at most",
    ),
    "shock of no size": ({"shocks": [{"name": "a", "cv": 0.0}]}, "shocks[a].cv", "0.0 must be above 0", "larger"),
    "two shocks of one name": ({"shocks": [SHOCKS[0], SHOCKS[0]]}, "shocks", "more than one 'prices'", "own name"),
    "unit of no one": (
        {"population": {"units": [{"name": "a", "members": 0}]}},
        "population.units[a].members",
        "0 must be at least 1",
        "larger",
    ),
    "unit's strange segment": (
        {"population": {"units": [{"name": "a", "members": 5, "shares": {"poor": 1.0}}]}},
        "population",
        "'poor' that does not exist",
        "names",
    ),
    "unit's shares": (
        {"population": {"units": [{"name": "a", "members": 5, "shares": {"well": 0.4}}]}},
        "population",
        "add up to 0.4, not 1",
        "add up to 1",
    ),
    "units and sizes": (
        {"simulation": {"population_sizes": [10]}, "units too": True},
        "simulation.population_sizes",
        "does not go with [[population.units]]",
        "omit it",
    ),
    "rare service without a mean": (
        {"population": {"rare_services": [{**RARE[0], "price": {"family": "lomax", "scale": 5.0, "alpha": 0.5}}]}},
        "population.rare_services[transplants]",
        "infinite mean",
        "above 1",
    ),
    "rare service out of scope of infinite variance": (
        {"population": {"rare_services": [{**RARE[1], "price": {"family": "lomax", "scale": 5.0, "alpha": 1.5}}]}},
        "population.rare_services[prison].price",
        "infinite variance",
        "tail index larger than 2",
    ),
    "no title": ({"title": ""}, "title", "must not be empty", "name"),
    "title as a number": ({"title": 5}, "title", "5 is not text", "quotes"),
    "currency in words": ({"currency": "pounds"}, "currency", "'pounds' is no currency of ISO 4217", "three capitals"),
    "a currency that does not exist": ({"currency": "GBB"}, "currency", "'GBB' is no currency", "did you mean GBP"),
    "one replicate": ({"simulation": {"replicates": 1}}, "simulation.replicates", "1 must be at least 2", "larger"),
    "a shock that hits nobody": (
        {"shocks": [SHOCKS[0] | {"segments": []}]},
        "shocks[prices].segments",
        "is an empty list",
        "omit the key",
    ),
    "a shock that hits somebody twice": (
        {"shocks": [SHOCKS[0] | {"segments": ["complex", "complex"]}]},
        "shocks[prices].segments",
        "more than one 'complex'",
        "own name",
    ),
    "two shocks of one name to a reader": (
        {"shocks": [SHOCKS[0], SHOCKS[0] | {"name": f" {SHOCKS[0]['name']}"}]},
        "shocks",
        "more than one 'prices'",
        "own name",
    ),
    "a cv beyond a computer's numbers": (
        {
            "population": {
                "segments": [
                    SEGMENTS[0] | {"severity": {"family": "lognormal", "mean": 1.0, "cv": 1e155}},
                    *SEGMENTS[1:],
                ]
            }
        },
        "population.segments[well].severity",
        "outside the range",
        "sensible size",
    ),
    "another version": ({"schema_version": 99}, "schema_version", "99 must be 1", "version of the program"),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_bad_input_is_told_in_one_clear_sentence(case):
    changes, where, bound, mend = BAD[case]
    changes = dict(changes)
    mapping = raw(**{key: value for key, value in changes.items() if key != "units too"})
    if "units too" in changes:
        mapping["population"]["units"] = UNITS
    error = refusal(raw_mapping=mapping)
    told = [m for m in error.mistakes if m.path == (f"file.toml: {where}" if where else "file.toml")]
    assert told, str(error)
    assert bound in str(told[0]) and mend in told[0].mend
    others = [m for m in error.mistakes if m is not told[0]]
    assert all("shares that add up to" in m.bound or m.path.startswith(told[0].path) for m in others), str(error)
    assert all("\n" not in str(m) and "pydantic" not in str(m) and len(str(m)) < 300 for m in error.mistakes)


@pytest.mark.parametrize("alpha", [2.001, 2.05, 4.001])
def test_a_variance_that_is_barely_finite_is_accepted(alpha):
    assert make(**severity(family="pareto", scale=60_000.0, alpha=alpha)).simulation.thresholds[-1] == math.inf


def test_missing_keys_are_named():
    mapping = raw()
    del mapping["title"], mapping["population"]["segments"][0]["share"]
    paths = {(m.path, m.bound) for m in refusal(raw_mapping=mapping).mistakes}
    assert paths == {("file.toml: title", "is missing"), ("file.toml: population.segments[well].share", "is missing")}


def test_every_mistake_is_listed_in_one_go_even_beside_a_misspelt_key():
    mapping = raw(
        titel="x",
        simulation={"seed": -1, "population_sizes": [5, 3], "thresholds": [7.0, 7.0]},
        population={
            "segments": [
                {**SEGMENTS[0], "share": 0.5, "p_usr": 1.0},
                {**SEGMENTS[1], "severity": {"family": "gamma", "mean": -1.0, "cv": 1.0}},
            ]
        },
        shocks=[SHOCKS[0], {"name": "prices", "cv": -0.1}],
    )
    error = refusal(raw_mapping=mapping)
    assert sorted(m.path.removeprefix("file.toml: ") for m in error.mistakes) == sorted([
        "titel", "simulation.seed", "simulation.population_sizes", "simulation.thresholds", "population.segments",
        "population.segments[well].p_usr", "population.segments[complex].severity.mean", "shocks", "shocks[prices].cv",
    ])  # fmt: skip
    assert len(str(error).splitlines()) == 9


def test_observed_costs_never_stand_in_a_sentence():
    error = refusal(severity(family="empirical", values=[1.0, -123456.5]))
    assert "123456" not in str(error) and "values[1]" in str(error)


# ── files ────────────────────────────────────────────────────────────────────────────────────────


def load(tmp_path, text, name="scenario.toml"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_file_is_read(tmp_path):
    scenario = sim.load(load(tmp_path, TOML))
    assert scenario.title == "one" and scenario.simulation.thresholds == (5_000.0, math.inf)
    assert sim.load(str(load(tmp_path, TOML))) == scenario


@pytest.mark.parametrize(
    ("make_it", "bound"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_text("title = "), "is not valid TOML"),
        (lambda path: path.write_bytes(b"title = '\xff'"), "is not UTF-8"),
        (lambda path: path.write_text("x = " + "[" * 5000 + "]" * 5000), "is nested too deeply"),
        (lambda path: path.write_text("x = " + "9" * 5000), "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_its_name(tmp_path, make_it, bound):
    path = tmp_path / "scenario.toml"
    make_it(path)
    with pytest.raises(sim.SimulatorError) as found:
        sim.load(path)
    assert found.value.path == str(path) and found.value.bound.startswith(bound) and found.value.mend
    assert "\n" not in str(found.value)


def test_a_name_that_no_file_can_have_is_told():
    for name in ("x" * 300, "a\0b"):
        with pytest.raises(sim.SimulatorError, match="cannot be read"):
            sim.load(name)


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    path = tmp_path / "scenario.toml"
    path.write_bytes(b"\xef\xbb\xbf" + TOML.encode())
    assert sim.load(path) == sim.load(load(tmp_path, TOML))


def test_names_are_short_and_on_one_line(tmp_path):
    for name, bound in (("a\\nb", "line break"), ("a\\u0000b", "control character"), ("W" * 10_000, "longer than 120")):
        with pytest.raises(sim.SimulatorError, match=bound) as found:
            sim.load(load(tmp_path, TOML.replace('title = "one"', f'title = "{name}"')))
        assert found.value.path.endswith("title") and len(str(found.value)) < 400


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("5_000.0", "1" + "0" * 400, "is too large; give a number of a sensible size"),
        ("p_user", "minimum", "minimum: is not a key that exists here; take it out"),
        ("severity = {", "severity = [] #{", "severity: is not a table; write a table"),
    ],
)
def test_mistakes_have_a_mend_that_helps(tmp_path, before, after, sentence):
    assert before in TOML
    with pytest.raises(sim.SimulatorError) as found:
        sim.load(load(tmp_path, TOML.replace(before, after)))
    assert sentence in str(found.value)


def test_a_file_that_may_not_be_read_is_told(tmp_path, monkeypatch):
    path = load(tmp_path, TOML)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "read_text", refuse)
    with pytest.raises(sim.SimulatorError, match="cannot be read"):
        sim.load(path)


def test_a_mistake_in_a_file_is_told_with_the_files_name(tmp_path):
    path = load(tmp_path, TOML.replace("mean = 520.0", "mean = -520.0"))
    with pytest.raises(sim.SimulatorError) as found:
        sim.load(path)
    assert (
        str(found.value)
        == f"{path}: population.segments[all].severity.mean: -520.0 must be above 0; give a larger number"
    )


# ── nothing is lost ──────────────────────────────────────────────────────────────────────────────


@cache
def everything():
    made = {f"kind: {kind}": make(**changes) for kind, changes in KINDS.items()}
    for family, figures in FAMILIES.items():
        made[f"family: {family}"] = make(**{**severity(**figures), "simulation": {"thresholds": [5_000.0]}})
    calibrated = {"calibrate": {"family": "lognormal", "mean": 952.0, "top_share": {"0.05": 0.514}}}
    made["calibrated"] = make(
        population={"segments": [{"name": "all", "share": 1.0, "p_user": 0.9, "severity": calibrated}]}
    )
    return made


@pytest.mark.parametrize("name", sorted(everything()))
def test_a_scenario_survives_python_and_json(name):
    scenario = everything()[name]
    for again in (
        sim.Scenario.model_validate(scenario.model_dump()),
        sim.Scenario.model_validate(json.loads(scenario.model_dump_json())),
        sim.Scenario.model_validate_json(scenario.model_dump_json()),
        sim.Scenario.model_validate(json.loads(scenario.canonical_json())),
    ):
        assert again == scenario and hash(again) == hash(scenario)
        assert again.scenario_id == scenario.scenario_id
    assert "Infinity" not in scenario.model_dump_json() and "NaN" not in scenario.model_dump_json()


def test_infinity_is_text_in_json():
    assert json.loads(make().canonical_json())["simulation"]["thresholds"][-1] == "inf"


# ── identity ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "another"},
        {"simulation": {"replicates": 7}},
        {"simulation": {"population_sizes": [3]}},
        {"simulation": {"thresholds": [5_000.0]}},
        {"currency": "EUR"},
    ],
)
def test_what_does_not_affect_the_draws_is_not_in_the_id(changes):
    assert make(**changes).scenario_id == make().scenario_id


@pytest.mark.parametrize(
    "changes",
    [
        {"simulation": {"seed": 1}},
        {"simulation": {"cut": 100.0}},
        {"simulation": {"thresholds": [400.0]}},
        {"population": {"membership": "sampled"}},
        {"population": {"segments": [{**SEGMENTS[0], "p_user": 0.61}, SEGMENTS[1]]}},
        {"population": {"segments": SEGMENTS[::-1]}},
        {"population": {"rare_services": RARE}},
        {"shocks": SHOCKS},
        {"population": {"units": UNITS}},
    ],
)
def test_what_affects_the_draws_is_in_the_id(changes):
    assert make(**changes).scenario_id != make().scenario_id


def test_the_cut_is_the_least_of_threshold_and_percentile_less_the_largest_shock():
    scenario = make(shocks=SHOCKS, simulation={"thresholds": [3_000.0, 9_000.0, math.inf]})
    users = [stream.severity for stream in scenario.cost_model.streams]
    wanted = [min(3_000.0, float(family.isf(0.01))) / scenario.cost_model.largest_factors.max() for family in users]
    np.testing.assert_allclose(scenario.cuts, wanted, rtol=1e-14)
    assert make(simulation={"cut": 77.0}).cuts.tolist() == [77.0, 77.0]


# ── the schema ───────────────────────────────────────────────────────────────────────────────────


def test_the_schema_file_is_current():
    built = runpy.run_path(str(ROOT / "schemas" / "build.py"))
    assert built["TARGET"].read_text(encoding="utf-8") == built["text"](), "run schemas/build.py"


@pytest.mark.heavy
def test_the_schema_accepts_what_the_program_accepts_and_refuses_strangers():
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(json_schema())
    validator.check_schema(json_schema())
    for scenario in everything().values():
        given = scenario.model_dump(mode="json", exclude_none=True)
        assert validator.is_valid(given), next(validator.iter_errors(given)).message
    assert not validator.is_valid(raw(titel="x"))
    assert not validator.is_valid(raw(simulation={"replicates": 0}))
