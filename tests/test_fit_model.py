"""The fitted object: model and scenario files, parameter sets, the verb, bands and pictures."""

from __future__ import annotations

import json
import math
import tomllib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import diagonal, every

import simulator as sim
from simulator.costs.model_file import read_model
from simulator.costs.shocks import Shock
from simulator.errors import SimulatorError
from simulator.fitting import parameter_sets
from simulator.fitting.fit import FittedModel, fit, fit_bands, model_population
from simulator.fitting.measures import People
from simulator.present.answers.fit import as_json, verdicts
from simulator.present.answers.fit import page as fit_report
from simulator.present.cli.verbs.fit import fit as verb


def table(n: int = 4_000, seed: int = 3) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    band = random.choice(["mild", "severe", "very severe"], n, p=[0.7, 0.27, 0.03])
    scale = pd.Series(band).map({"mild": 6.0, "severe": 7.5, "very severe": 8.5}).to_numpy()
    return pd.DataFrame(
        {"band": band, "total": np.exp(scale + 1.2 * random.standard_normal(n)) * (random.random(n) < 0.85)}
    )


@pytest.fixture(scope="module", params=every(3, ["empirical", "lognormal", "auto"]))
def model(request: pytest.FixtureRequest) -> FittedModel:
    return fit(table(), cost="total", segment="band", family=request.param, sets=40)


@pytest.mark.heavy
def test_a_model_file_gives_the_population_back(model: FittedModel, tmp_path: Path) -> None:
    model.to_toml(tmp_path / "model.toml")
    assert model_population(tmp_path / "model.toml") == model.population
    population, sets, provenance = read_model(tmp_path / "model.toml")
    assert sets == model.sets and provenance["cost"] == ["total"] and provenance["smallest_count"] == 10
    assert parameter_sets.population_of_set(population, sets, 7) == model.population_of_set(7)


@pytest.mark.heavy
def test_a_scenario_file_runs_by_itself(model: FittedModel, tmp_path: Path) -> None:
    model.to_scenario_toml(tmp_path / "ours.toml", sizes=[300, 3_000], replicates=300, seed=9)
    scenario = sim.load(tmp_path / "ours.toml")
    assert scenario == model.scenario(sizes=[300, 3_000], replicates=300, seed=9)
    summary = sim.summarise(sim.simulate(scenario, progress=False))
    assert summary.attrs["check"] == "passed"
    described = sim.describe(scenario)
    assert described["mean"] == pytest.approx(table()["total"].mean(), rel=0.05)
    fitted = model.goodness["fitted"].sel(segment="everybody")
    assert described["mean"] == pytest.approx(float(fitted.sel(measure="mean")), rel=1e-5)
    assert described["top_share"]["0.05"] == pytest.approx(
        float(fitted.sel(measure="share of cost of the costliest 5%")), rel=1e-4
    )


@pytest.mark.heavy
def test_goodness_sets_fitted_beside_observed() -> None:
    rows = table()
    goodness = fit(rows, cost="total", segment="band", family="empirical", sets=0).goodness.sel(segment="everybody")
    seen = goodness["observed"]
    # numbers of people are told to the nearest five, by segment
    assert float(seen.sel(measure="mean")) == pytest.approx(rows["total"].mean(), rel=7.5 / len(rows) / 0.7)
    assert float(seen.sel(measure="sd")) == pytest.approx(rows["total"].std(ddof=0), rel=0.05)
    assert float(seen.sel(measure="share without cost")) == pytest.approx((rows["total"] == 0).mean(), abs=2e-3)
    error = float(goodness["observed_se"].sel(measure="mean"))
    assert error == pytest.approx(rows["total"].std() / np.sqrt(len(rows)), rel=0.35)
    assert np.nanmax(np.abs(goodness["miss"].where(goodness["measure"] != "sd"))) < 4


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("schema_version = 1\n[population\n", "is not valid TOML"),
        ("schema_version = 9\n[population]\n", "is not 1"),
        ("schema_version = 1\ntitle = 'x'\n[population]\nsegments = []\n", "is not a model file"),
        ("schema_version = 1\n[population]\nsegments = []\n", "too short"),
    ],
)
def test_a_file_that_is_no_model(content: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "model.toml").write_text(content)
    with pytest.raises(SimulatorError, match=sentence):
        model_population(tmp_path / "model.toml")
    with pytest.raises(SimulatorError, match="does not exist"):
        model_population(tmp_path / "other.toml")


def test_arguments_out_of_range() -> None:
    for options, sentence in (
        ({"family": "pareto"}, "must be one of"),
        ({"tail_above": 0.0}, "must be above 0"),
        ({"sets": -1}, "must be from 0"),
        ({"thresholds": [math.inf]}, "must be finite"),
        ({"currency": "pounds"}, "ISO 4217"),
        ({"negative": "drop"}, "must be one of"),
        ({"smallest_count": 5}, "at least 10"),
        ({"cost": ""}, "names no column"),
        ({"minimum_exposure": 2.0}, "fraction of a year"),
    ):
        with pytest.raises(SimulatorError, match=sentence):
            fit(table(50), **{"cost": "total", **options})  # type: ignore[arg-type]


R = np.random.default_rng(0)
ODD = {
    "all alike": np.full(500, 100.0),
    "two amounts": np.r_[np.full(300, 10.0), np.full(300, 1_000.0)],
    "few integers": R.integers(0, 4, 400).astype(float),
    "ten": np.arange(1.0, 11.0),
    "ten among many": np.r_[np.zeros(20_000), np.arange(1.0, 11.0)],
    "pence": R.lognormal(-8, 1, 400),
    "billions": R.lognormal(22, 1, 400),
    "one giant": np.r_[R.lognormal(6, 1, 2_000), 1e9],
    "bounded": R.uniform(0, 1, 1_000),
    "rounded": np.round(R.lognormal(3, 1, 3_000), -1),
    "no mean": R.pareto(0.5, 2_000) + 1,
}


@pytest.mark.heavy
@pytest.mark.parametrize(("odd", "family"), diagonal(list(ODD), ["auto", "empirical", "burr"], 2))
def test_odd_costs_give_a_model_that_runs(odd: str, family: str) -> None:
    model = fit(pd.DataFrame({"c": ODD[odd]}), cost="c", family=family, sets=2)
    assert model.population_of_set(1).segments[0].name == "everybody" and fit_report(model)
    ledger = sim.simulate(model.scenario(sizes=[50], replicates=3), progress=False)
    assert np.isfinite(ledger["excess_cost"]).all()
    mean, seen = (float(model.goodness[n].sel(segment="everybody", measure="mean")) for n in ("fitted", "observed"))
    wrong = not abs(mean / ODD[odd].mean() - 1) <= 0.05
    warned = any("is suppressed" in v or "do not use" in v for v in verdicts(model))
    assert warned == (wrong or np.isnan(seen)) or not wrong


def test_a_family_that_does_not_converge_is_replaced_and_told() -> None:
    model = fit(pd.DataFrame({"c": ODD["all alike"]}), cost="c", family="burr", sets=0)
    assert model.segments[0]["family"] == "empirical" and "burr did not converge" in str(fit_report(model))


@pytest.mark.heavy
def test_many_rows_are_binned_and_it_is_said() -> None:
    costs = np.random.default_rng(5).lognormal(6, 1.2, 300_000)
    model = fit({"total": costs}, cost="total", family="empirical", sets=0)
    assert model.report["binned_segments"] == ["everybody"] and "costs were binned in everybody" in str(
        fit_report(model)
    )
    people = People(model.population)
    assert people.mean == pytest.approx(costs.mean(), rel=2e-3)
    assert people.limited(5_000.0)[1] == pytest.approx(np.minimum(costs, 5_000).std(), rel=3e-3)
    few = fit({"total": costs[:90_000]}, cost="total", family="empirical", sets=0)
    assert few.report["binned_segments"] == [] and "binned" not in str(fit_report(few))


# ── doubt about parameters ───────────────────────────────────────────────────────────────────────


@pytest.mark.heavy
@pytest.mark.no_cover
def test_every_set_is_a_population_near_the_fitted_one(model: FittedModel) -> None:
    assert model.n_sets == 40
    means = np.array([People(model.population_of_set(b)).mean for b in range(40)])
    fitted, rows = People(model.population).mean, table()
    # segment shares are taken as known: the doubt is that of the means within segments
    within = sum((g.size / len(rows)) ** 2 * g.var() / g.size for _, g in rows.groupby("band")["total"])
    assert means.std() == pytest.approx(np.sqrt(within), rel=0.4)
    assert abs(means.mean() / fitted - 1) < 4 * means.std() / fitted / np.sqrt(40) + 0.01
    with pytest.raises(SimulatorError, match="from 0 to 39"):
        model.population_of_set(40)


@pytest.mark.slow
@pytest.mark.no_cover
@pytest.mark.parametrize("family", ["lognormal", "empirical"])
def test_the_doubt_told_is_that_of_fitting_again_to_other_rows(family: str) -> None:
    random = np.random.default_rng(5)
    means, told = [], []
    for _ in range(24):
        costs = random.lognormal(6, 1.2, 1_500) * (random.random(1_500) < 0.85)
        model = fit({"c": costs}, cost="c", family=family, sets=16)
        means.append(People(model.population).limited(20_000.0)[0])
        told.append(np.std([People(model.population_of_set(b)).limited(20_000.0)[0] for b in range(16)]))
    # the sd of 24 means is itself uncertain by 15%
    assert 0.65 < np.mean(told) / np.std(means) < 1.5
    # a control: sixteen times the rows tell a quarter of the doubt, which is too little for these
    surer = fit({"c": np.tile(costs, 16)}, cost="c", family=family, sets=60)
    assert np.std([People(surer.population_of_set(b)).limited(20_000.0)[0] for b in range(60)]) / np.std(means) < 0.5


@pytest.mark.heavy
def test_doubt_shrinks_with_rows_and_luck_with_people() -> None:
    small, large = (fit(table(n), cost="total", family="lognormal", sets=60) for n in (1_500, 24_000))
    few, many = small.variance_parts(10_000, 50_000.0), large.variance_parts(10_000, 50_000.0)
    assert 6 < few.parameter / many.parameter < 45  # 16 times the rows
    assert few.shares[1] > 0.5 > many.shares[1]
    # doubt about the tail makes the mean of the process variance larger where rows are few
    assert many.process == pytest.approx(few.process, rel=0.35)
    shaken = large.variance_parts(10_000, 50_000.0, (Shock(name="prices", cv=0.02),))
    mean = People(large.population).limited(50_000.0)[0] * 10_000
    assert shaken.systematic == pytest.approx((0.02 * mean) ** 2, rel=0.2)
    assert sum(shaken.shares) == pytest.approx(1)


@pytest.mark.heavy
def test_without_sets_there_is_nothing_to_choose_from() -> None:
    none = fit(table(500), cost="total", sets=0)
    assert none.n_sets == 0 and "parameter_sets]]" not in none.model_text()
    with pytest.raises(SimulatorError, match="no sets"):
        none.population_of_set(0)


# ── bands ────────────────────────────────────────────────────────────────────────────────────────

EDGES = [0.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0, 25_000.0, 60_000.0, math.inf]


def banded(costs: np.ndarray) -> pd.DataFrame:
    rows = [{"band_low": 0.0, "band_high": 0.0, "n": int((costs == 0).sum()), "total": 0.0}]
    for low, high in pairwise(EDGES):
        inside = (costs > low) & (costs <= high)
        rows.append({"band_low": low, "band_high": high, "n": int(inside.sum()), "total": float(costs[inside].sum())})
    return pd.DataFrame(rows)


def test_bands_give_back_what_they_tell_and_nearly_what_they_do_not() -> None:
    random = np.random.default_rng(12)
    costs = np.concatenate([np.zeros(9_000), random.lognormal(6.4, 1.4, 51_000)])
    found = fit_bands(banded(costs))
    people = People(found.population)
    assert people.mean == pytest.approx(costs.mean(), rel=2e-4)
    for edge in EDGES[1:7]:
        assert people.p_above(edge) == pytest.approx((costs > edge).mean(), rel=1e-4)
        assert people.limited(edge)[0] == pytest.approx(np.minimum(costs, edge).mean(), rel=1e-4)
        assert people.limited(edge)[1] == pytest.approx(np.minimum(costs, edge).std(), rel=0.03)
    for q in (0.01, 0.05, 0.1):
        top = np.sort(costs)[-round(q * costs.size) :].sum() / costs.sum()
        assert people.top_share(q) == pytest.approx(top, rel=0.06)
    silent = found.goodness["observed"].sel(segment="everybody", measure=["sd", "cv"])
    assert np.isnan(silent).all() and "suppressed" in str(fit_report(found))
    assert found.scenario(sizes=[500], replicates=50, thresholds=[25_000.0]).currency == "GBP"


def test_bands_by_segment_and_a_closed_top() -> None:
    random = np.random.default_rng(13)
    parts = [banded(random.gamma(0.8, 900.0 * k, 5_000).round(2)).assign(band=f"b{k}") for k in (1, 2)]
    both = pd.concat([part[part["n"] > 0] for part in parts])
    both = both[(both["n"] >= 10) & (both["band_low"] < 10_000)]
    closed = fit_bands(both, segment="band")
    assert [s.name for s in closed.population.segments] == ["b1", "b2"]
    assert max(s.users_severity.isf(1e-12) for s in closed.population.segments) <= 10_000


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda b: b.assign(n=b["n"].where(b["band_low"] != 60_000, 4)), "fewer than 10 people"),
        (lambda b: b.assign(band_low=b["band_low"] / 2), "overlap"),
        (lambda b: b.assign(total=b["total"] * 1_000), "cannot have"),
        (lambda b: b.assign(n=b["n"] + 0.5), "no count"),
        (lambda b: b.assign(total=-b["total"]), "cannot have|no amount"),
        (lambda b: b.assign(n="many"), "text in column 'n'"),
        (lambda b: b.head(2), "fewer than two"),
        (lambda b: b.drop(columns="total"), "no column 'total'"),
    ],
)
def test_bands_that_cannot_be(change: object, sentence: str) -> None:
    costs = np.random.default_rng(12).lognormal(6.4, 1.6, 60_000)
    with pytest.raises(SimulatorError, match=sentence):
        fit_bands(change(banded(costs)))  # type: ignore[operator]


# ── what is shown ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.heavy
def test_the_verdict_names_what_a_tail_rests_on() -> None:
    rows = table(900)
    model = fit(rows, cost="total", family="lognormal", sets=0)
    row = model.segments[0]
    told = next(v for v in verdicts(model) if "rests on" in v)
    counted = int((rows["total"] > row["tail_at"]).sum())
    assert f"rests on about {5 * round(counted / 5)} patients" in told
    heavy = pd.DataFrame({"total": np.random.default_rng(2).pareto(1.4, 5_000) * 1_000 + 10})
    assert any("infinite" in v for v in verdicts(fit(heavy, cost="total", family="lognormal", sets=0)))
    light = pd.DataFrame({"total": np.random.default_rng(2).gamma(2.0, 1_000, 5_000)})
    assert not any("infinite" in v for v in verdicts(fit(light, cost="total", family="lognormal", sets=0)))


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("family", "tail", "told"),
    [("burr", 1.6, "is infinite"), ("gb2", 1.6, "is infinite"), ("gengamma", 1.6, "is infinite"),
     ("gb2", 2.1, "cannot be ruled out"), ("gb2", 6.0, None), ("gengamma", 6.0, None)],
)  # fmt: skip
def test_an_infinite_variance_of_a_body_without_tail_is_told(family: str, tail: float, told: str | None) -> None:
    """An inverse Weibull and a Lomax lie in the families; up to an index of 2 the variance is infinite."""
    uniform = np.random.default_rng(4).random(6_000)
    costs = (-np.log(uniform)) ** (-1 / tail) if family == "gengamma" else uniform ** (-1 / tail) - 1
    model = fit({"c": 900 * costs}, cost="c", family=family, tail_above=math.inf, sets=3)
    said = [verdict for verdict in verdicts(model) if "infinite" in verdict]
    assert (told in said[0]) if told else not said
    assert model.infinite_variance == (told == "is infinite")
    assert not told or all(model.population_of_set(b).segments[0].users_severity.tail_index < 9 for b in range(3))


@pytest.mark.heavy
def test_a_fit_of_infinite_variance_runs_below_a_threshold_and_nowhere_else() -> None:
    model = fit({"c": 900 * np.random.default_rng(4).pareto(1.4, 6_000)}, cost="c", sets=0)
    assert model.infinite_variance and math.inf not in model.scenario().simulation.thresholds
    assert sim.simulate(model.scenario(sizes=[100], replicates=5), progress=False).attrs["seed"] == 1
    with pytest.raises(SimulatorError) as refused:
        sim.simulate(model.scenario(sizes=[100], replicates=5, thresholds=[1e4, math.inf]), progress=False)
    said = str(refused.value)
    assert "infinite variance" in said and "make every threshold finite" in said
    assert "\n" not in said


@pytest.mark.heavy
def test_the_verb_prints_and_writes(tmp_path: Path) -> None:
    table().to_csv(tmp_path / "costs.csv", index=False)
    names = {name: tmp_path / f"{name}.{'png' if name == 'plot' else 'toml'}" for name in ("out", "scenario", "plot")}
    given = [
        str(tmp_path / "costs.csv"),
        "--cost",
        "total",
        "--segment",
        "band",
        "--family",
        "empirical",
        "--size",
        "500,5000",
        "--sets",
        "5",
    ]
    ran = CliRunner().invoke(
        verb, [*given, *(part for name, path in names.items() for part in (f"--{name}", str(path)))]
    )
    assert ran.exit_code == 0, ran.output
    for expected in ("read", "costliest", "tail above", "no tail of its own"):
        assert expected in ran.output
    assert tomllib.loads(names["out"].read_text())["provenance"]["segment"] == "band"
    assert sim.load(names["scenario"]).population_sizes == (500, 5_000) and names["plot"].stat().st_size > 20_000
    as_text = CliRunner().invoke(verb, [*given, "--json"])
    assert json.loads(as_text.output)["report"]["rows_kept"] == 4_005


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "--cost: is missing"), (["--cost", "sum"], "no column 'sum'"),
        (["--cost", "total", "--where", "total ="], "cannot be read"),
        (["--cost", "total", "--family", "resample", "--out", "OUT"], "no file may hold"),
        (["--cost", "total", "--smallest-count", "3"], "at least 10"), (["--bands"], "no column 'band_low'"),
    ],
)  # fmt: skip
def test_the_verb_refuses_in_one_sentence(options: list[str], sentence: str, tmp_path: Path) -> None:
    table(200).to_csv(tmp_path / "costs.csv", index=False)
    options = [str(tmp_path / "model.toml") if part == "OUT" else part for part in options]
    ran = CliRunner().invoke(verb, [str(tmp_path / "costs.csv"), *options])
    assert ran.exit_code == 2 and sentence in ran.output and ran.output.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["costs.csv"]


def test_the_verb_reads_bands(tmp_path: Path) -> None:
    banded(np.random.default_rng(12).lognormal(6.4, 1.4, 60_000)).to_csv(tmp_path / "bands.csv", index=False)
    ran = CliRunner().invoke(verb, [str(tmp_path / "bands.csv"), "--bands", "--out", str(tmp_path / "model.toml")])
    assert ran.exit_code == 0 and model_population(tmp_path / "model.toml").segments[0].name == "everybody"


def test_json_holds_plain_values(model: FittedModel) -> None:
    text = json.dumps(as_json(model), allow_nan=False)
    assert json.loads(text)["segments"][0]["name"] == "mild"
