"""Parameter sets in scenarios: where they come from, what is drawn under them, and what is exact about them."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import simulator as sim
from simulator.analysis.luck.infinite_population import ENDLESS, limit_ledger, overspend_of
from simulator.analysis.statistics.sample_moments import leading, sample_moments
from simulator.analysis.statistics.self_check import cells_of
from simulator.analysis.stress.changed_scenario import truth_of
from simulator.costs.model import CostModel, Population
from simulator.costs.moments import TotalMoments, mixture
from simulator.costs.shocks import Shock, ShockCorrelation
from simulator.engine import simulate as engine
from simulator.fitting.fit import FittedModel, fit
from simulator.ledger import by_unit, fingerprint
from simulator.present.answers.description import page as check_table
from simulator.present.cli.main import main
from simulator.runs import RunInterrupted, extend, heads, scenario_of
from simulator.scenario import scenario_from
from simulator.strata import Strata, jackknife, strata_of
from simulator.stresses import Inflation, MeanCost, NewTreatment, Prevalence, Range, Stress, TailIndex

SETS = [
    {
        "segment": "well",
        "p_user": [0.7, 0.8, 0.75],
        "mu": [5.0, 5.3, 5.1],
    },
    {
        "segment": "ill",
        "tail.shape": [0.2, 0.3, 0.1],
        "tail.scale": [4_000.0, 5_000.0, 4_500.0],
    },
]
SEGMENTS = [
    {"name": "well", "share": 0.9, "p_user": 0.75, "severity": {"family": "lognormal", "mu": 5.1, "sigma": 1.2}},
    {
        "name": "ill",
        "share": 0.1,
        "severity": {
            "family": "spliced",
            "body": {"family": "gamma", "shape": 1.5, "scale": 2_000.0},
            "tail": {"family": "gpd", "shape": 0.2, "scale": 4_500.0},
            "at": 9_000.0,
        },
    },
]
MODEL = """\
schema_version = 1

[provenance]
currency = "GBP"

[population]
membership = "fixed"

[[population.segments]]
name = "well"
share = 0.9
p_user = 0.75
severity = { family = "lognormal", mu = 5.1, sigma = 1.2 }

[[population.segments]]
name = "ill"
share = 0.1
severity = { family = "spliced", body = { family = "gamma", shape = 1.5, scale = 2000.0 }, tail = { family = "gpd", shape = 0.2, scale = 4500.0 }, at = 9000.0 }

[[parameter_sets]]
segment = "well"
"p_user" = [0.7, 0.8, 0.75]
"mu" = [5.0, 5.3, 5.1]

[[parameter_sets]]
segment = "ill"
"tail.shape" = [0.2, 0.3, 0.1]
"tail.scale" = [4000.0, 5000.0, 4500.0]
"""  # noqa: E501
SCENARIO = """\
title = "ours"

[simulation]
replicates = 20
population_sizes = [200, 500]
thresholds = [5000.0, 20000.0]
seed = 7

"""


def raw_scenario(sets: Any = SETS, **population: Any) -> dict[str, Any]:
    held = {"segments": SEGMENTS, **({"parameter_sets": sets} if sets else {}), **population}
    simulation = {"replicates": 20, "population_sizes": [200, 500], "thresholds": [5_000.0, 20_000.0], "seed": 7}
    return {"title": "ours", "simulation": simulation, "population": held}


def scenario(sets: Any = SETS, shocks: Any = (), **population: Any) -> sim.Scenario:
    simulation = population.pop("simulation", {})
    raw = raw_scenario(sets, **population) | {"shocks": list(shocks)}
    return scenario_from(raw | {"simulation": raw["simulation"] | simulation})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "fits").mkdir()
    (tmp_path / "fits" / "model.toml").write_text(MODEL, encoding="utf-8")
    return tmp_path


def written(folder: Path, population: str, top: str = SCENARIO) -> Path:
    path = folder / "scenario.toml"
    path.write_text(f"{top}[population]\n{population}\n", encoding="utf-8")
    return path


WITH_SETS = 'model = "fits/model.toml"\nparameter_uncertainty = true'

# ── where they come from ─────────────────────────────────────────────────────────────────────────


@pytest.mark.jit_off
def test_a_scenario_takes_a_model_file_from_its_own_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    central = sim.load(written(folder, 'model = "fits/model.toml"'))
    assert central == scenario(sets=None)
    assert central.scenario_id == scenario(sets=None).scenario_id
    doubtful = sim.load(written(folder, WITH_SETS))
    assert doubtful == scenario()
    assert doubtful.population.n_sets == 3
    assert doubtful.scenario_id != central.scenario_id
    monkeypatch.chdir(folder)
    assert scenario_from(raw_scenario() | {"population": {"model": "fits/model.toml"}}) == central


@pytest.mark.jit_off
def test_what_stands_beside_a_model_takes_the_place_of_its_own(folder: Path) -> None:
    beside = """\
membership = "sampled"

[[population.units]]
name = "east"
members = 300
shares = { well = 0.8, ill = 0.2 }

[[population.rare_services]]
name = "transplant"
rate_per_100k = 3.0
price = { family = "gamma", mean = 90000.0, cv = 0.4 }
"""
    top = SCENARIO.replace("population_sizes = [200, 500]\n", "")
    population = sim.load(written(folder, f"{WITH_SETS}\n{beside}", top)).population
    assert population.membership == "sampled"
    assert [unit.name for unit in population.units] == ["east"]
    assert [service.name for service in population.rare_services] == ["transplant"]
    assert population.n_sets == 3 and len(population.segments) == 2


@pytest.mark.jit_off
def test_a_loaded_scenario_is_whole_in_itself(folder: Path) -> None:
    loaded = sim.load(written(folder, WITH_SETS))
    (folder / "fits" / "model.toml").unlink()
    for again in (
        scenario_from(loaded.model_dump()),
        scenario_from(json.loads(loaded.canonical_json())),
        sim.Scenario.model_validate_json(loaded.model_dump_json()),
    ):
        assert again == loaded and hash(again) == hash(loaded) and again.scenario_id == loaded.scenario_id
    other = loaded.model_dump()
    other["population"]["parameter_sets"][0]["mu"] = (5.0, 5.3, 5.2)
    assert scenario_from(other) != loaded and scenario_from(other).scenario_id != loaded.scenario_id


@pytest.mark.heavy
@pytest.mark.jit_off
def test_no_path_reaches_the_ledger(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    ledger = sim.simulate(sim.load(written(folder, WITH_SETS)), progress=False)
    told = json.dumps(ledger.attrs) + caplog.text
    assert "model.toml" not in told and str(folder) not in told
    assert scenario_of(ledger) == scenario()


@pytest.mark.jit_off
def test_without_sets_nothing_of_a_scenario_changes() -> None:
    plain = scenario(sets=None)
    assert "parameter_sets" not in plain.canonical_json()
    assert plain.cost_model.truths == (plain.cost_model,)


@pytest.mark.heavy
@pytest.mark.jit_off
@pytest.mark.parametrize(
    ("population", "model", "sentence"),
    [
        ('model = "nix.toml"', MODEL, "population.model: nix.toml: does not exist; check the name"),
        ('model = ""', MODEL, "population.model: '' must not be empty; give it a name"),
        ("model = 3", MODEL, "population.model: 3 is not text; put it in quotes"),
        (WITH_SETS, "=", "population.model: model.toml: is not valid TOML; fit the model afresh"),
        (
            WITH_SETS,
            MODEL.replace("p_user = 0.75", "p_user = 1.9"),
            "population.model: model.toml: segments[well].p_user: 1.9 must be at most 1; give a smaller number",
        ),
        (
            WITH_SETS,
            MODEL[: MODEL.index("[[parameter_sets]]")],
            "population.model: model.toml: holds no parameter sets; "
            "fit with --sets 100, or leave parameter_uncertainty out",
        ),
        (
            WITH_SETS,
            MODEL.replace("[4000.0, 5000.0, 4500.0]", "[4000.0, 5000.0]"),
            "population.model: model.toml: has parameter sets of 2 to 3 values; give one value of each parameter a set",
        ),
        (
            WITH_SETS,
            MODEL.replace('segment = "ill"', 'segment = "sick"'),
            "population.model: model.toml: has parameter sets of a segment 'sick' that does not exist; "
            "use the names of the segments",
        ),
        (
            WITH_SETS,
            MODEL.replace("[0.2, 0.3, 0.1]", "[0.2, 1.3, 0.1]"),
            "population.model: model.toml: has a parameter set 1 that does not fit the segment 'ill': the mean is inf; "
            "fit the model afresh",
        ),
        (
            WITH_SETS,
            MODEL.replace("[0.7, 0.8, 0.75]", "[0.7, 0.8, 1.75]"),
            "population.model: model.toml: has a parameter set 2 that does not fit the segment 'well': "
            "p_user 1.75 is not above 0 and at most 1; fit the model afresh",
        ),
        (
            WITH_SETS,
            MODEL.replace('"mu" = [', '"nu" = ['),
            "population.model: model.toml: has a parameter set 0 that does not fit the segment 'well': nu",
        ),
        (
            WITH_SETS,
            MODEL.replace('"mu" = [', '"tail.mu" = ['),
            "population.model: model.toml: has a parameter set 0 that does not fit the segment 'well'",
        ),
        (
            WITH_SETS,
            MODEL.replace('[[parameter_sets]]\nsegment = "well"\n', "[[parameter_sets]]\n"),
            "population.model: model.toml: parameter_sets: are not tables of one segment each with lists of numbers; ",
        ),
        (
            WITH_SETS,
            MODEL.replace("[0.7, 0.8, 0.75]", '"0.7"'),
            "population.model: model.toml: parameter_sets: are not tables of one segment each with lists of numbers; ",
        ),
        (
            WITH_SETS,
            MODEL.replace('"GBP"', '"USD"'),
            "population: names a model in USD beside a scenario in GBP; write currency = \"USD\"",
        ),
        (
            f"{WITH_SETS}\nsegments = []",
            MODEL,
            "population: has segments beside a model, which has its own; take segments or model out",
        ),
        (f"{WITH_SETS}\nmember = 3", MODEL, "population.member: is not a key that exists here; did you mean 'member"),
    ],
)  # fmt: skip
def test_mistakes_in_a_model_name_scenario_key_and_file(
    folder: Path, population: str, model: str, sentence: str
) -> None:
    (folder / "fits" / "model.toml").write_text(model, encoding="utf-8")
    path = written(folder, population)
    with pytest.raises(sim.SimulatorError) as raised:
        sim.load(path)
    assert str(raised.value).startswith(f"{path}: {sentence}"), str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.jit_off
def test_an_infinite_variance_in_one_set_is_told() -> None:
    sets = [{"segment": "ill", "tail.shape": [0.2, 0.6]}]
    with pytest.raises(sim.SimulatorError, match=r"tail index 1\.66667 of 'ill' in one of the parameter sets"):
        scenario(sets, simulation={"thresholds": [5_000.0, "inf"]})
    assert scenario(sets).population.n_sets == 2


# ── what is drawn ────────────────────────────────────────────────────────────────────────────────

FORMS: dict[str, dict[str, Any]] = {
    "fixed": {},
    "sampled": {"membership": "sampled"},
    "shocks": {"shocks": [{"name": "prices", "cv": 0.03}]},
    "units": {
        "membership": "sampled",
        "units": [{"name": "east", "members": 150}, {"name": "west", "members": 90}],
        "rare_services": [
            {"name": "in", "rate_per_100k": 900.0, "price": {"family": "gamma", "mean": 9_000.0, "cv": 0.5}},
            {
                "name": "out",
                "rate_per_100k": 900.0,
                "price": {"family": "gamma", "mean": 9_000.0, "cv": 0.5},
                "in_scope": False,
            },
        ],
        "simulation": {"population_sizes": []},
    },
}


@pytest.fixture(params=FORMS)
def doubtful(request: pytest.FixtureRequest) -> sim.Scenario:
    return scenario(**json.loads(json.dumps(FORMS[request.param])))


def truth(whole: sim.Scenario, b: int) -> sim.Scenario:
    """A scenario of one set alone, with the cut of the whole."""
    alone = whole.population.truths[b]
    cut = {"cut": float(whole.cuts.min())}
    return scenario_from(whole.model_dump() | {"population": alone, "simulation": whole.simulation.model_dump() | cut})


@pytest.mark.heavy
@pytest.mark.jit_off
def test_each_replicate_is_the_one_that_its_set_alone_would_give(doubtful: sim.Scenario) -> None:
    # sets draw costs singly where a set alone would draw sums
    whole = doubtful.with_simulation(cut=float(doubtful.cuts.min()), sums="single")
    ledger = sim.simulate(whole, progress=False)
    assert ledger["parameter_draw"].values.tolist() == [r % 3 for r in range(20)]
    assert ledger["parameter_draw"].dtype.kind == "i"
    for b in range(3):
        alone = sim.simulate(truth(whole, b), progress=False).isel(replicate=slice(b, None, 3))
        ours = ledger.isel(replicate=slice(b, None, 3)).drop_vars("parameter_draw")
        assert ours.identical(alone.assign_attrs(ours.attrs))


@pytest.mark.jit_off
def test_the_twin_other_sets_give_other_draws() -> None:
    whole = scenario().with_simulation(cut=float(scenario().cuts.min()), sums="single")
    ledger = sim.simulate(whole, progress=False)
    alone = sim.simulate(truth(whole, 0), progress=False)
    same = (ledger["gross_cost"] == alone["gross_cost"]).all("population_size").values
    assert same[::3].all() and not same[1::3].any() and not same[2::3].any()


@pytest.mark.heavy
@pytest.mark.jit_off
@pytest.mark.parametrize("step", [2, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, 1_000))])
def test_chunks_change_nothing(doubtful: sim.Scenario, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fingerprint(sim.simulate(doubtful, progress=False))
    monkeypatch.setattr(engine, "_chunk_size", lambda plan, count: step)
    with ThreadPoolExecutor(3) as threads:
        assert fingerprint(sim.simulate(doubtful, threads, False)) == whole


@pytest.mark.heavy
def test_processes_change_nothing(doubtful: sim.Scenario) -> None:
    with ProcessPoolExecutor(2) as processes:
        assert fingerprint(sim.simulate(doubtful, processes, False)) == fingerprint(sim.simulate(doubtful, None, False))


@pytest.mark.heavy
@pytest.mark.jit_off
@pytest.mark.parametrize("at", [4, *(pytest.param(at, marks=pytest.mark.slow) for at in (2, 6, 13))])
def test_parts_and_extensions_give_the_whole(doubtful: sim.Scenario, at: int) -> None:
    whole = sim.simulate(doubtful, progress=False)
    first = sim.simulate(doubtful.with_simulation(replicates=at), progress=False)
    rest = sim.simulate(doubtful.with_simulation(replicates=20 - at), progress=False, first_replicate=at)
    assert rest["parameter_draw"].values[0] == at % 3
    assert fingerprint(sim.merge([rest, first])) == fingerprint(whole)
    assert fingerprint(extend(first, doubtful, progress=False)) == fingerprint(whole)


@pytest.mark.jit_off
def test_more_sizes_leave_the_others_as_they_are() -> None:
    few = sim.simulate(scenario(), progress=False)
    more = sim.simulate(scenario(simulation={"population_sizes": [200, 500, 700]}), progress=False)
    assert few["gross_cost"].equals(more["gross_cost"].sel(population_size=[200, 500]))


@pytest.mark.jit_off
def test_a_stopped_run_keeps_all_that_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_chunk_size", lambda plan, count: 1)
    whole = sim.simulate(scenario(), progress=False)

    def stop(done: int, count: int) -> None:
        if done >= 7:
            raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as one, pytest.raises(RunInterrupted) as raised:
        sim.simulate(scenario(), one, stop)
    kept = raised.value.ledger
    assert kept is not None and kept.sizes["replicate"] >= 7
    assert fingerprint(kept) == fingerprint(whole.sel(replicate=kept["replicate"]))
    assert fingerprint(extend(kept, scenario(), progress=False)) == fingerprint(whole)


@pytest.mark.heavy
@pytest.mark.jit_off
def test_a_ledger_on_disk_keeps_its_sets(tmp_path: Path) -> None:
    one_third = 1 / 3 + np.arange(1_400) / 1e5
    sets = [
        {"segment": "well", "mu": (one_third * 15).tolist(), "p_user": one_third.tolist(), "sigma": one_third.tolist()}
    ]
    many = scenario(sets, simulation={"replicates": 2})
    ledger = sim.simulate(scenario().with_simulation(replicates=5), progress=False)
    assert len(many.canonical_json()) > 70_000  # beyond what HDF5 keeps inside a header
    sim.save(ledger.assign_attrs(scenario=many.canonical_json()), tmp_path / "ledger.nc")
    again = sim.open_ledger(tmp_path / "ledger.nc")
    assert again["parameter_draw"].identical(ledger["parameter_draw"])
    assert again.attrs["scenario"] == many.canonical_json()


@pytest.mark.jit_off
def test_percentile_thresholds_are_those_of_the_central_figures() -> None:
    grid = {"simulation": {"thresholds": {"percentiles": [0.9, 0.99]}}}
    assert np.array_equal(scenario(**grid).threshold_amounts, scenario(sets=None, **grid).threshold_amounts)


def test_tables_are_built_once_for_a_set(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    honest = engine.tables.build
    monkeypatch.setattr(engine.tables, "build", lambda *given: built.append(given) or honest(*given))
    few = scenario(simulation={"seed": 8})
    engine._tables_of_sets.cache_clear()
    sim.simulate(few, progress=False)
    extend(sim.simulate(few, progress=False), few.with_simulation(replicates=40), progress=False)
    assert len(built) == 3 * 2


@pytest.mark.jit_off
def test_every_set_of_a_population_is_the_one_of_the_fit() -> None:
    from simulator.fitting.parameter_sets import population_of_set

    known = Population.model_validate({"segments": SEGMENTS})
    drawn = {part["segment"]: {k: tuple(v) for k, v in part.items() if k != "segment"} for part in SETS}  # type: ignore[attr-defined]
    for b, found in enumerate(scenario().cost_model.truths):
        assert found == CostModel(population=population_of_set(known, drawn, b))


# ── what is exact about it ───────────────────────────────────────────────────────────────────────

APART = [
    {"segment": "well", "p_user": [0.6, 0.75, 0.9], "mu": [4.8, 5.1, 5.4]},
    {"segment": "ill", "tail.shape": [0.1, 0.2, 0.3]},
]
"""Sets so far apart that strata matter."""


def two_populations(**simulation: Any) -> sim.Scenario:
    grid = {"replicates": 3_000, "population_sizes": [300, 3_000], "thresholds": [5_000.0, 20_000.0], "seed": 11}
    return scenario(APART, simulation=grid | simulation)


@pytest.fixture(scope="module")
def drawn() -> Any:
    ledger = sim.simulate(two_populations(), progress=False)
    return ledger, sim.summarise(ledger)


def exact_of_sets(whole: sim.Scenario, threshold: float) -> tuple[Any, Any]:
    """Mean and variance by set and size, each set taken as a scenario of its own."""
    summaries = [sim.exact(truth(whole, b)).sel(threshold=threshold) for b in range(whole.population.n_sets)]
    mean = np.stack([one["mean_cost"].values for one in summaries])
    return mean, np.stack([one["sd_cost"].values for one in summaries]) ** 2


@pytest.mark.heavy
def test_the_exact_mean_and_sd_are_those_of_the_mixture(drawn: Any) -> None:
    ledger, summary = drawn
    for threshold in (5_000.0, 20_000.0):
        mean, variance = exact_of_sets(two_populations(), threshold)
        at = summary.sel(threshold=threshold)
        np.testing.assert_allclose(at["exact_mean"], mean.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(at["exact_sd"] ** 2, variance.mean(axis=0) + mean.var(axis=0), rtol=1e-10)
    assert summary.attrs["check"] == "passed", summary.attrs["check_sentence"]
    assert np.isfinite(summary["z_mean"]).all() and np.isfinite(summary["z_sd"]).all()
    dearer = [APART[0] | {"mu": [4.8, 5.1, 5.5]}, APART[1]]
    wrong = sim.summarise(ledger, scenario=scenario(dearer, simulation=two_populations().simulation.model_dump()))
    assert wrong.attrs["check"] == "failed"


@pytest.mark.heavy
def test_every_form_of_run_passes_its_own_check(doubtful: sim.Scenario) -> None:
    ledger = sim.simulate(doubtful.with_simulation(replicates=1_500), progress=False)
    for rule in (sim.Cap(), sim.CarveOut()):
        summary = sim.summarise(ledger, rule)
        assert summary.attrs["check"] == "passed", summary.attrs["check_sentence"]
        assert float(abs(summary["z_sd"]).max()) < 5 or np.isnan(summary["z_sd"]).all()
    if "unit" in ledger.dims:
        assert sim.summarise(by_unit(ledger)).attrs["check"] == "passed"


@pytest.mark.heavy
def test_sets_drawn_unequally_often_are_weighted_so() -> None:
    whole = two_populations(replicates=5)
    summary = sim.summarise(sim.simulate(whole, progress=False))
    mean, variance = exact_of_sets(whole, 5_000.0)
    weight = np.array([2, 2, 1]) / 5
    np.testing.assert_allclose(summary["exact_mean"].sel(threshold=5_000.0), weight @ mean, rtol=1e-12)
    spread = weight @ variance + weight @ (mean - weight @ mean) ** 2
    np.testing.assert_allclose(summary["exact_sd"].sel(threshold=5_000.0) ** 2, spread, rtol=1e-10)
    np.testing.assert_allclose(summary["budget"].sel(threshold=5_000.0), mean.mean(axis=0), rtol=1e-12)
    few = sim.summarise(sim.simulate(two_populations(replicates=2), progress=False))
    assert "3 parameter sets, given which the errors are (1 of them not drawn)" in few.attrs["check_sentence"]
    assert "not drawn" not in summary.attrs["check_sentence"] and "3 parameter sets" in summary.attrs["check_sentence"]


def chi_squares(rng: Any, sizes: list[int]) -> Any:
    """A thousand stratified samples of shifted exponentials: three strata, means 1, 3 and 7, sds 1, 2 and 0.5."""
    parts = [
        mean + sd * (rng.exponential(size=(1_000, n)) - 1)
        for mean, sd, n in zip((1, 3, 7), (1, 2, 0.5), sizes, strict=True)
    ]
    return np.concatenate(parts, axis=1)


@pytest.mark.jit_off
@pytest.mark.parametrize("sizes", [[4, 4, 4], [2, 5, 3], [40, 10, 25]])
def test_what_a_stratified_sample_gives_is_exact(sizes: list[int]) -> None:
    laws = [TotalMoments(*map(np.float64, (mean, sd, 2.0, 6.0))) for mean, sd in ((1, 1), (3, 2), (7, 0.5))]
    expected = sample_moments(laws, np.array(sizes, float))
    samples = np.concatenate([chi_squares(np.random.default_rng(seed), sizes) for seed in range(40)])
    mean, variance = samples.mean(axis=1), samples.var(axis=1, ddof=1)
    n = len(mean)
    assert abs(mean.mean() - expected.mean) / np.sqrt(expected.mean_variance / n) < 5
    assert abs(variance.mean() - expected.expected_variance) / np.sqrt(expected.variance_variance / n) < 5
    for found, exact in ((mean, expected.mean_variance), (variance, expected.variance_variance)):
        centred = (found - found.mean()) ** 2
        error = centred.std() / np.sqrt(n)
        assert abs(centred.mean() - exact) / error < 5
    # the twin: of a sample that is not stratified both would be larger by far
    plain = sample_moments([mixture(laws, np.array(sizes, float))], np.array([sum(sizes)], float))
    assert plain.mean_variance > 2 * expected.mean_variance
    assert abs(variance.mean() - plain.expected_variance) / np.sqrt(expected.variance_variance / n) > 5


@pytest.mark.jit_off
def test_one_law_is_as_it_always_was() -> None:
    one = TotalMoments(*map(np.float64, (10.0, 3.0, 0.7, 1.5)))
    expected = sample_moments([one], np.array([50.0]))
    by_hand = (9.0 / 50, 9.0, 81 * (1.5 / 50 + 2 / 49), 1.5)
    np.testing.assert_allclose(expected[2:], by_hand, rtol=1e-13)
    assert leading([one], np.array([50.0])) == (0.7, 1.5, 1.0)
    assert leading([one, one], np.array([20.0, 30.0])) == pytest.approx((0.7, 1.5, 1.0), rel=1e-13)


@pytest.mark.jit_off
def test_standard_errors_are_those_of_the_luck_within_sets() -> None:
    rng, labels = np.random.default_rng(3), np.arange(90) % 3
    values = rng.normal(size=(90, 2)) + 10.0 * labels[:, None]
    strata = Strata(labels)
    by_hand = np.sqrt(np.mean([values[b::3].var(axis=0, ddof=1) for b in range(3)], axis=0))
    np.testing.assert_allclose(strata.sd(values), by_hand, rtol=1e-13)
    assert (strata.sd(values) < values.std(axis=0) / 5).all()
    # of the mean, the jackknife is that standard error itself
    left_out = (values.sum(axis=0) - values) / 89
    np.testing.assert_allclose(
        jackknife(left_out, strata), by_hand / np.sqrt(90) * 90 / 89 * np.sqrt(29 / 30), rtol=0.02
    )


@pytest.mark.slow
@pytest.mark.no_cover
def test_standard_errors_of_a_summary_cover_what_many_runs_do() -> None:
    whole = two_populations(replicates=300, population_sizes=[1_000])
    ledger = sim.simulate(whole.with_simulation(replicates=300 * 60), progress=False)
    asked: dict[str, Any] = {"margins": (0.0,), "quantiles": (0.5, 0.9)}
    runs = [sim.summarise(ledger.isel(replicate=slice(k * 300, (k + 1) * 300)), **asked) for k in range(60)]
    alone = [sim.summarise(run.drop_vars("parameter_draw"), **asked) for run in
             (ledger.isel(replicate=slice(k * 300, (k + 1) * 300)) for k in range(3))]  # fmt: skip
    for name in ("mean_cost", "sd_cost", "cv", "quantile_cost", "tvar", "p_overspend", "expected_overspend"):
        found = np.stack([run[name].values for run in runs])
        told = np.sqrt(np.mean([run[f"{name}_se"].values ** 2 for run in runs], axis=0))
        ratio = told / found.std(axis=0, ddof=1)
        # 60 runs know their own sd to 9%; a quantile's half-width is rougher
        assert (np.abs(ratio - 1) < (0.45 if name == "quantile_cost" else 0.3)).all(), (name, ratio)
    blind = np.mean([run["mean_cost_se"].values for run in alone], axis=0)
    assert (blind / np.std([run["mean_cost"].values for run in runs], axis=0) > 2).all()


def test_a_ledger_whose_sets_were_drawn_once_is_one_sample() -> None:
    once = sim.simulate(two_populations(replicates=3), progress=False)
    assert strata_of(once) is None
    summary, alone = sim.summarise(once), sim.summarise(once.drop_vars("parameter_draw"))
    assert summary["mean_cost_se"].equals(alone["mean_cost_se"])


@pytest.mark.heavy
def test_analysis_of_variance_agrees_with_the_exact_parts(drawn: Any) -> None:
    ledger, _ = drawn
    for scale, agrees in ((1.0, True), (1.3, False)):
        parts = sim.variance_by_source(two_populations())["variance"].sel(threshold=20_000.0)
        mean, _ = exact_of_sets(two_populations(), 20_000.0)
        kept = sim.retained_cost(ledger, sim.Cap()).sel(threshold=20_000.0, drop=True)
        kept = kept.transpose("replicate", "population_size").values / mean.mean(axis=0)
        groups = np.stack([kept[b::3] for b in range(3)])
        within = groups.var(axis=1, ddof=1).mean(axis=0)
        n = groups.shape[1]
        process = scale * parts.sel(source="process").values
        # both in standard errors: of a mean of three variances, and of the variance of three means less their noise
        fourth = ((groups - groups.mean(axis=1, keepdims=True)) ** 4).mean(axis=1)
        error = np.sqrt(((fourth - groups.var(axis=1) ** 2) / n).sum(axis=0)) / 3
        means = groups.mean(axis=1)
        between = means.var(axis=0) - 2 / 3 * within / n
        parameter = scale * parts.sel(source="parameter").values
        slope = 2 / 3 * (means - means.mean(axis=0))
        error_between = np.sqrt((slope**2 * groups.var(axis=1, ddof=1) / n).sum(axis=0))
        z = np.stack([(within - process) / error, (between - parameter) / error_between])
        assert (np.abs(z) < 5).all() == agrees, z
        assert parts.sel(source="systematic").values == pytest.approx(0.0)


# ── what is asked of it ──────────────────────────────────────────────────────────────────────────


@pytest.mark.heavy
def test_the_exact_law_is_the_mixture_of_the_laws(drawn: Any) -> None:
    ledger, summary = drawn
    whole = two_populations()
    found = sim.exact(whole, margins=(0.0, 0.05))
    parts = [sim.exact(truth(whole, b)) for b in range(3)]
    at = {"population_size": 300, "threshold": 20_000.0}
    budget = float(np.mean([part["mean_cost"].sel(at) for part in parts]))
    assert float(found["budget"].sel(at)) == pytest.approx(budget, rel=1e-12)
    alone = [
        sim.exact(truth(whole, b), margins=(0.05,), budget=sim.PerHead(amount=budget / 300, basis="retained")).sel(at)
        for b in range(3)
    ]
    for name in ("p_overspend", "expected_overspend"):
        wanted = np.mean([part[name].values for part in alone])
        got = found[name].sel(at | ({"margin": 0.05} if name == "p_overspend" else {}))
        assert float(got) == pytest.approx(wanted, abs=1e-8), name
    exact = sim.exact(whole)
    for name in ("mean_cost", "sd_cost", "cv", "tvar", "expected_overspend"):
        z = (summary[name] - exact[name]) / summary[f"{name}_se"]
        assert float(abs(z).max()) < 5, name
    # of a quantile that 15 years exceed, its standard error tells little; how many exceed it, all
    beyond, rare = sim.retained_cost(ledger, sim.Cap()) > exact["quantile_cost"], 1 - exact["quantile_level"]
    z = (beyond.mean("replicate") - rare) / np.sqrt(rare * (1 - rare) / ledger.sizes["replicate"])
    assert float(abs(z).max()) < 4.5
    central = sim.exact(scenario(sets=None, simulation=whole.simulation.model_dump()))
    z = (summary["sd_cost"] - central["sd_cost"]) / summary["sd_cost_se"]
    assert float(abs(z).max()) > 5


@pytest.mark.heavy
def test_luck_takes_doubt_into_account(drawn: Any) -> None:
    whole = two_populations()
    doubtful, sure = (sim.luck(one, 3_000, 0.1) for one in (whole, truth(whole, 1)))
    assert (doubtful["sd_overspend"] > 2 * sure["sd_overspend"]).all()
    found = sim.luck(whole, 3_000, 0.1, replicates=600)
    z = (found["drawn_percentile"] - found["percentile"]) / found["drawn_percentile_se"]
    assert float(abs(z).max()) < 5


@pytest.mark.heavy
def test_no_population_is_enough_where_doubt_alone_misses_the_target() -> None:
    whole = two_populations()
    asked: dict[str, Any] = {"margin": 0.05, "replicates": 400}
    never = sim.minimum_population(whole, at_most=0.3, **asked)
    # a third of the sets costs more than 105% of the mean over them
    assert never["systematic_alone"].values == pytest.approx([1 / 3, 1 / 3])
    assert np.isinf(never["minimum_population"]).all()
    assert np.isnan(never["exact_minimum_population"]).all()
    larger = sim.minimum_population(whole, at_most=0.36, cross_check=True, **asked)
    interval, exactly = larger["minimum_population_interval"], larger["exact_minimum_population"]
    assert (interval.sel(bound="lower") <= exactly).all() and (exactly <= interval.sel(bound="upper")).all()
    central = sim.minimum_population(
        scenario(sets=None, simulation=whole.simulation.model_dump()), at_most=0.3, method="exact", margin=0.05
    )
    assert np.isfinite(central["exact_minimum_population"]).all()


def test_a_population_without_end_has_every_set_and_every_shock() -> None:
    asked = scenario(APART, shocks=[{"name": "prices", "cv": 0.03}])
    endless = limit_ledger(asked)
    assert np.array_equal(np.unique(endless["parameter_draw"]), [0, 1, 2])
    parts = sim.variance_by_source(asked)["variance"].isel(population_size=0)
    overspend = overspend_of(endless, sim.Cap(), asked.resized((ENDLESS,))).isel(population_size=0)
    expected = parts.sel(source="parameter") + parts.sel(source="systematic")
    np.testing.assert_allclose(overspend.var("replicate"), expected, rtol=2e-3)
    np.testing.assert_allclose(overspend.mean("replicate"), 0.0, atol=1e-4)


CHANGES: dict[str, Any] = {
    "everybody": MeanCost(by=0.1),
    "one segment": MeanCost(by=0.2, segment="ill"),
    "inflation": Inflation(by=-0.05),
    "a heavier tail": TailIndex(by=-0.2, segment="ill"),
    "prevalence": Prevalence(segment="ill", by=0.3),
    "a new treatment": NewTreatment(price=90_000.0, per_100k=40.0),
}


@pytest.mark.jit_off
@pytest.mark.parametrize("name", CHANGES)
def test_a_stress_reaches_every_set(name: str) -> None:
    whole = scenario()
    stressed = truth_of(whole, [CHANGES[name]])
    assert stressed.population.n_sets == 3
    for b in range(3):
        alone = truth_of(truth(whole, b), [CHANGES[name]])
        for ours, theirs in zip(stressed.cost_model.truths[b].streams, alone.cost_model.streams, strict=True):
            assert ours.rate == theirs.rate
            np.testing.assert_allclose(ours.severity.moments.raw[1:3], theirs.severity.moments.raw[1:3], rtol=1e-9)
        assert np.array_equal(stressed.cost_model.truths[b].shares, alone.cost_model.shares)
    assert truth_of(whole, []) == whole


@pytest.mark.heavy
def test_stresses_and_settling_run_on_sets() -> None:
    design = sim.Design(name="full risk", exclusion=sim.Cap(at=20_000.0))
    whole = scenario(simulation={"replicates": 300})
    ledger = sim.simulate(whole, progress=False)
    outcome = sim.settle(ledger, design)
    mean = np.mean([sim.exact(truth(whole, b))["mean_cost"].sel(threshold=20_000.0) for b in range(3)], axis=0)
    np.testing.assert_allclose(outcome["budget"].isel(design=0).mean("replicate"), mean, rtol=1e-9)
    stressed = sim.stress(
        whole.model_copy(update={"designs": (design,)}), [Stress(name="dearer", changes=(MeanCost(by=0.1),))]
    )
    assert np.isfinite(stressed["surplus"] if "surplus" in stressed else next(iter(stressed.data_vars.values()))).all()


@pytest.mark.heavy
def test_a_budget_from_past_years_is_fair_over_all_sets() -> None:
    segment = {"name": "all", "share": 1.0, "severity": {"family": "gamma", "mean": 1_000.0, "cv": 2.0}}
    dearer = [{"segment": "all", "mean": [1_050.0, 1_100.0, 1_150.0, 1_200.0]}]
    whole = sim.Scenario.model_validate(
        {
            "title": "every set dearer than the central figures",
            "simulation": {"replicates": 2_000, "population_sizes": [2_000], "thresholds": [20_000.0], "seed": 3},
            "population": {"segments": [segment], "parameter_sets": dearer},
            "shocks": [{"name": "prices", "cv": 0.02}],
        }
    )
    past = {"kind": "past_years", "weights": [1.0], "correlation": [0.5]}
    design = sim.Design.model_validate({"name": "past", "budget": past, "exclusion": {"kind": "cap", "at": 20_000.0}})
    budget = sim.settle(sim.simulate(whole, progress=False), design)["budget"].values.ravel()
    error = budget.std() / np.sqrt(budget.size)
    assert abs(budget.mean() - sim.exact(whole)["mean_cost"].item()) < 5 * error
    # half of what the sets' mean is off the central figures
    assert abs(budget.mean() - (1.125 + 0.0625) / 1.125 * sim.exact(whole)["mean_cost"].item()) > 5 * error


@pytest.mark.slow
def test_the_inverse_questions_are_answered_for_all_sets() -> None:
    whole = scenario([{"segment": "ill", "tail.shape": [0.2, 0.6]}])
    asked: dict[str, Any] = {"margin": 0.1, "at_most": 0.3}
    found = sim.viable_threshold(whole, 500, **asked)
    assert 0 < found < np.inf
    at = scenario_from(
        whole.model_dump()
        | {"simulation": whole.simulation.model_dump() | {"thresholds": (found,), "population_sizes": (500,)}}
    )
    assert float(sim.exact(at, margins=(0.1,))["p_overspend"].item()) <= 0.3
    design = sim.Design(name="full risk", exclusion=sim.Cap(at=20_000.0))
    far = sim.reverse_stress(whole, MeanCost(by=0.0), design, loss_over=0.05, at_most=0.7, members=500, replicates=200)
    assert 0 < float(far["breaking_point"]) < 1


@pytest.mark.jit_off
def test_sensitivity_refuses_sets_in_one_sentence() -> None:
    ranges = [Range(name=name, change=MeanCost(by=0.0, segment=name), low=-0.1, high=0.1) for name in ("well", "ill")]
    with pytest.raises(sim.SimulatorError, match="leave parameter_uncertainty out, or ask variance_by_source"):
        sim.sensitivity(scenario(), ranges)


@pytest.mark.jit_off
def test_describe_tells_the_doubt_beside_the_central_figures() -> None:
    told, central = sim.describe(scenario()), sim.describe(scenario(sets=None))
    doubt = told.pop("parameter_sets")
    assert told == central
    means = [sim.describe(truth(scenario(), b))["mean"] for b in range(3)]
    assert doubt == {"number": 3, "mean": pytest.approx(np.mean(means)), "mean_sd": pytest.approx(np.std(means))}
    assert "3 parameter sets" in str(check_table(sim.describe(scenario())))
    assert "parameter sets" not in str(check_table(central))


# ── from a fit ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def fitted() -> FittedModel:
    random = np.random.default_rng(8)
    costs = random.lognormal(6, 1.3, 3_000) * (random.random(3_000) < 0.8)
    band = np.where(np.arange(3_000) % 4 == 0, "ill", "well")
    costs = costs * np.where(band == "ill", 4.0, 1.0)
    return fit({"total": costs, "band": band}, cost="total", segment="band", thresholds=[20_000.0], sets=12)


@pytest.mark.heavy
def test_the_variance_parts_of_a_fit_are_those_of_its_scenario(fitted: FittedModel) -> None:
    shocks = (Shock(name="prices", cv=0.02), Shock(name="winter", cv=0.01))
    plain = fitted.scenario(parameter_uncertainty=True, sizes=[1_000, 50_000], thresholds=[5_000.0, 20_000.0])
    assert plain.population.n_sets == 12
    apart = (Shock(name="heat", cv=0.02, segments=("ill",)), Shock(name="cold", cv=0.03, segments=("well",)))
    together = (ShockCorrelation(between=("heat", "cold"), value=0.6),)
    for common, pairs in (((), ()), (shocks, ()), (apart, together)):
        told_of = {"shocks": common, "shock_correlations": pairs}
        asked = scenario_from(plain.model_dump() | {k: [term.model_dump() for term in v] for k, v in told_of.items()})
        variance = sim.variance_by_source(asked)["variance"]
        for size in (1_000,) if pairs else (1_000, 50_000):
            for threshold in (5_000.0,) if pairs else (5_000.0, 20_000.0):
                at = {"population_size": size, "threshold": threshold}
                parts = fitted.variance_parts(size, threshold, common, pairs)
                cells = cells_of(asked, sim.Cap(at=threshold), [threshold], heads(asked))
                place = [1_000, 50_000].index(size)
                mean, sd = cells.mean[place, 0], cells.sd[place, 0]
                told = variance.sel(at) * mean**2
                np.testing.assert_allclose(told.sel(source="process"), parts.process, rtol=1e-9)
                np.testing.assert_allclose(told.sel(source="parameter"), parts.parameter, rtol=1e-9)
                np.testing.assert_allclose(told.sel(source="systematic"), parts.systematic, rtol=1e-6, atol=1e-9)
                np.testing.assert_allclose(sum(parts), sd**2, rtol=1e-9)


@pytest.mark.jit_off
def test_scenario_files_of_a_fit_refer_to_its_model(fitted: FittedModel, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    fitted.to_toml(tmp_path / "model.toml")
    fitted.to_scenario_toml(tmp_path / "runs" / "a.toml", model="../model.toml", parameter_uncertainty=True)
    fitted.to_scenario_toml(tmp_path / "runs" / "b.toml", model="../model.toml")
    assert sim.load(tmp_path / "runs" / "a.toml") == fitted.scenario(parameter_uncertainty=True)
    assert sim.load(tmp_path / "runs" / "b.toml") == fitted.scenario()
    with pytest.raises(sim.SimulatorError, match="needs a model file"):
        fitted.scenario_text(parameter_uncertainty=True)
    without = replace(fitted, sets={})
    for refused in (without.scenario, lambda **parts: without.scenario_text(model="model.toml", **parts)):
        with pytest.raises(sim.SimulatorError, match="finds no parameter sets"):
            refused(parameter_uncertainty=True)
    with pytest.raises(sim.SimulatorError, match="none are given"):
        without.variance_parts(1_000)


@pytest.mark.heavy
def test_the_verbs_fit_and_run_with_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(2)
    rows = "\n".join(f"{x:.2f}" for x in random.lognormal(6, 1, 600))
    (tmp_path / "rows.csv").write_text(f"total\n{rows}\n", encoding="utf-8")
    (tmp_path / "fits").mkdir()
    how = [
        "--sets",
        "5",
        "--family",
        "lognormal",
        "--size",
        "100; 200",
        "--thresholds",
        "4000",
        "--parameter-uncertainty",
    ]
    told = CliRunner().invoke(
        main,
        ["fit", "rows.csv", "--cost", "total", "--out", "fits/m.toml", "--scenario", "s.toml", *how],
    )
    assert told.exit_code == 0, told.output
    text = (tmp_path / "s.toml").read_text(encoding="utf-8").replace("replicates = 10000", "replicates = 50")
    assert 'model = "fits/m.toml"' in text
    (tmp_path / "s.toml").write_text(text, encoding="utf-8")
    told = CliRunner().invoke(main, ["run", "s.toml", "--out", "draws.nc"])
    assert told.exit_code == 0, told.output
    ledger = sim.open_ledger("draws.nc")
    assert ledger["parameter_draw"].values.max() == 4
    assert str(tmp_path) not in str(ledger.attrs) and "m.toml" not in str(ledger.attrs)
    for verb in (["check"], ["luck", "--members", "150", "--overspend", "0.04"], ["size", "--margin", "0.03"]):
        told = CliRunner().invoke(main, [verb[0], "s.toml", *verb[1:]])
        assert told.exit_code in (0, 2) and "Traceback" not in told.output, told.output
    alone = ["fit", "rows.csv", "--cost", "total", "--scenario", "s.toml", "--parameter-uncertainty"]
    told = CliRunner().invoke(main, alone)
    assert told.exit_code == 2 and "needs a model and a scenario" in told.output
