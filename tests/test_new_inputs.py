"""Wrong input to several years, the search for terms, and the spread of organisations: one sentence each."""

from __future__ import annotations

import copy
import math

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from features import BASE, toml_of

import simulator as sim
from simulator.present.cli.main import main
from simulator.scenario import scenario_from

YEARS = {"contract": 2, "before": 1, "persistence": "published", "leavers": 0.05}
CLASSES = {"stay": 0.5, "slabs": [0.7, 1.0]}
SEARCH = {
    "points": 16, "figures": [{"path": "terms[0].gain", "between": [0.0, 1.0]}],
    "limits": [{"party": "provider", "worst": 0.5}],
}  # fmt: skip


def raw(years=None, **parts):
    """A small scenario with one design of shares; `years` change those of `YEARS`."""
    made = copy.deepcopy(BASE) | parts
    made["simulation"] |= {"replicates": 20, "population_sizes": [300], "thresholds": [5_000.0, 20_000.0]}
    terms = [{"kind": "share", "gain": 0.5, "loss": 0.3}]
    made["designs"] = [{"name": "asked", "exclusion": {"kind": "cap", "at": 20_000.0}, "terms": terms}]
    return made | ({} if years is None else {"years": YEARS | years})


def rows(**columns):
    """Results of six organisations in three years."""
    made = {"organisation": np.repeat(list("abcdef"), 3), "year": np.tile([1, 2, 3], 6), "people": 9_000}
    made |= {"result": np.random.default_rng(4).normal(0, 0.03, 18)} | columns
    return pd.DataFrame(made)


@pytest.mark.parametrize(
    ("years", "sentence"),
    [
        ({"leavers": 1.0}, "people of whom there are none"),
        ({"persistence": {"correlation": {"1": 0.3, "3": 0.2}, "slabs": [1.0]}}, "are without weights"),
        ({"persistence": {"correlation": {"1": 0.99, "5": 0.9}}}, "the nearest are"),
        ({"persistence": {"correlation": {"1": 0.3}}}, "has one figure"),
        ({"persistence": "publisched"}, "must be 'published' or 'none'"),
        ({"moves": {"well": {"complex": 0.6, "x": 0.6}}}, "more than all"),
        ({"moves": {"well": {"complex": 0.1}}}, "let more people into"),
        ({"trend": []}, "has 0 figures for 'trend'"),
        ({"leavers": {"wel": 0.1}}, "is no segment"),
        ({"contract": 0}, "must be at least 1"),
        ({"leavers": -0.1}, "must be at least 0"),
        ({"trend": math.nan}, "is not a finite number"),
    ],
)
def test_years_that_cannot_be_are_refused(years, sentence):
    with pytest.raises(sim.SimulatorError, match=sentence) as refused:
        scenario_from(raw(years))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("weights", [[[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]])
def test_a_class_without_people_or_users_has_years(weights):
    scenario = sim.Scenario.model_validate(raw({"persistence": CLASSES | {"weights": weights}}))
    assert np.isfinite(sim.persistence(scenario)["again_in_top"]).all()
    np.testing.assert_allclose(scenario.cost_model.by_year.laws_in(1).sum(axis=2), 1.0)


@pytest.mark.parametrize(
    "weights", [{}, {1: 0.0}, {1: math.nan}, {1: math.inf}, {1: 1e308}, {1: 1e-320}, {1: "x"}, {9: 1}, {"1": 1}, [1], 1]
)
def test_weights_that_are_none_are_refused(weights):
    scenario = sim.Scenario.model_validate(raw({"persistence": "none"}))
    with pytest.raises(sim.SimulatorError, match="pool_years"):
        sim.exact(scenario, pool_years=weights)


def test_an_answer_of_one_year_refuses_several():
    scenario = sim.Scenario.model_validate(raw({"persistence": "none"}))
    with pytest.raises(sim.SimulatorError, match=r"several years.*first_year"):
        sim.luck(scenario, members=300, overspend=0.04)
    assert "percentile" in sim.luck(scenario.first_year, members=300, overspend=0.04)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "verb",
    [
        "check S", "answer S --margin 0.1 --at-most 0.2", "size S --members 300", "run S --exact",
        "luck S --members 300 --overspend 0.04", "stress S", "sensitivity S --points 4 --statistic cv",
    ],
)  # fmt: skip
def test_a_verb_of_one_year_says_so(verb, tmp_path):
    (tmp_path / "s.toml").write_text(toml_of(raw({"persistence": "none"}, stresses=[
        {"name": "dear", "changes": [{"kind": "inflation", "by": 0.05}]},
    ])), encoding="utf-8")  # fmt: skip
    done = CliRunner().invoke(main, verb.replace(" S", f" {tmp_path / 's.toml'}").split())
    assert done.exit_code == 0, done.stderr
    assert verb.startswith("check") or "several years; what follows is of year 1 alone" in done.stderr


@pytest.mark.parametrize(
    ("frame", "options", "sentence"),
    [
        (rows(result=0.01), {}, "no year in which results differ"),
        (rows(result=np.linspace(0, 1e300, 18)), {}, "as a fraction"),
        (rows(), {"deviation": "people"}, "as a fraction"),
        (rows(people=1e-300), {}, "hold 0 organisations"),
        (rows(organisation="a"), {}, "hold 1 organisations"),
        (rows(organisation="a", year=1), {}, "hold 1 organisations"),
        (rows(year="FY18"), {}, "has text in column 'year'"),
        (rows(year=np.tile([1, 1, 3], 6)), {}, "has more than one row"),
        (rows().iloc[:0], {}, "holds no rows"),
        (rows(), {"cost": "people", "budget": "people"}, "or else"),
        (rows(), {"organisation": None}, "need organisation"),
        (rows(), {"deviation": "resul"}, "did you mean 'result'"),
        (rows(), {"luck": "abc"}, "luck: 'abc' must be at least 0"),
        (rows(), {"luck": 1e300}, "at most 1000"),
        (rows(), {"luck": math.nan}, "must be at least 0"),
        (rows(), {"sizes": "abc"}, "must rise"),
        (rows(), {"sizes": [math.nan]}, "must rise"),
        (rows(), {"renamed": ["a"]}, "is no mapping"),
    ],
)
def test_rows_that_tell_no_spread_are_refused(frame, options, sentence):
    with pytest.raises(sim.SimulatorError, match=sentence):
        sim.spread(frame, **{"deviation": "result"} | options)


@pytest.mark.parametrize(
    ("luck", "options", "sentence"),
    [
        (None, {}, "must tell a luck above 0"), (0, {}, "must tell a luck above 0"), ("abc", {}, "luck: 'abc'"),
        (2.1, {"sizes": [3, 2]}, "must rise"), (2.1, {"after": "x"}, "leaves 0 rows to fit and 0|0 to judge"),
        (2.1, {"after": 9}, "0 to judge"), (2.1, {"after": 1}, "leaves 6 rows"),
    ],
)  # fmt: skip
def test_predictions_that_cannot_be_judged_are_refused(luck, options, sentence):
    with pytest.raises(sim.SimulatorError, match=sentence):
        sim.backtest(rows(), luck, deviation="result", **options)


def test_rows_of_one_year_tell_nothing_that_lasts(tmp_path):
    rows().iloc[::3].to_csv(tmp_path / "r.csv", index=False)
    done = CliRunner().invoke(main, ["spread", str(tmp_path / "r.csv"), "--deviation", "result", "--luck", "2"])
    assert done.exit_code == 0 and "nan" not in done.stdout and "These rows cannot tell" in done.stdout


def test_luck_of_several_years_is_of_the_first():
    scenario = sim.Scenario.model_validate(raw({"persistence": "none"}))
    with pytest.warns(sim.errors.SimulatorWarning, match="year 1 alone"):
        several = sim.spread(rows(), deviation="result", luck=scenario)
    assert several.identical(sim.spread(rows(), deviation="result", luck=scenario.first_year))


@pytest.mark.parametrize(
    ("search", "sentence"),
    [
        ({"figures": [{"path": "terms[9].gain", "between": [0, 1]}]}, "has no '9' in terms"),
        ({"figures": [{"path": "terms[0].gain", "between": [1.0, 1.0]}]}, "is empty"),
        ({"figures": [{"path": "terms[0].gain"}]}, "needs one range or list"),
        ({"figures": []}, "at least 1"),
        ({"limits": [{"party": "provder", "worst": 0.1}]}, "is not a party"),
        ({"limits": [{"party": "provider", "worst": 0.5, "hard": 0.1}]}, "contradict each other"),
        ({"design": "nope"}, "is not a design"),
        ({"figures": [{"path": "exclusion.at", "values": [5_001.0]}]}, "leaves the grid"),
    ],
)
def test_a_search_that_cannot_be_is_refused(search, sentence):
    with pytest.raises(ValueError, match=sentence):
        sim.Scenario.model_validate(raw(search=SEARCH | search))


def test_a_search_of_a_swept_design_is_refused():
    swept = raw(search=SEARCH)
    swept["designs"][0]["exclusion"] = {"kind": "cap"}
    with pytest.raises(ValueError, match="sweeps the thresholds"):
        sim.Scenario.model_validate(swept)
    with pytest.raises(sim.SimulatorError, match="is no search"):
        sim.propose(sim.Scenario.model_validate(raw()), {"figures": []})
