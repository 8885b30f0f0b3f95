"""Statistics: definitions by hand, standard errors by repetition, and a self-check that must ring."""

from __future__ import annotations

import logging
import math
from functools import cache

import numpy as np
import pytest
import xarray as xr
from conftest import diagonal, make
from scipy import stats

import simulator as sim
from simulator.analysis.statistics.summary import summarise
from simulator.contracts.exclusion import Banded, Step
from simulator.ledger import by_unit
from simulator.strata import exact_interval
from simulator.stresses import MeanCost, Range

SCENARIO = {
    "title": "statistics",
    "simulation": {"replicates": 400, "population_sizes": [500, 2_000], "thresholds": [20_000.0, math.inf], "seed": 3},
    "population": {
        "segments": [
            {
                "name": "well",
                "share": 0.9,
                "p_user": 0.8,
                "severity": {"family": "lognormal", "mean": 900.0, "cv": 2.0},
            },
            {"name": "ill", "share": 0.1, "severity": {"family": "gamma", "mean": 9_000.0, "cv": 1.2}},
        ]
    },
}
HEAVY = {"family": "pareto", "scale": 2_000.0, "alpha": 2.5}


def scenario(seed: int = 3, **changes: object) -> sim.Scenario:
    return sim.Scenario.model_validate({**SCENARIO, "simulation": SCENARIO["simulation"] | {"seed": seed, **changes}})


@pytest.fixture(scope="module")
def ledger() -> xr.Dataset:
    return sim.simulate(scenario(), progress=False)


@pytest.fixture(scope="module")
def shaken() -> xr.Dataset:
    """A ledger with a shock."""
    raw = SCENARIO | {"shocks": [{"name": "prices", "cv": 0.02}]}
    return sim.simulate(sim.Scenario.model_validate(raw), progress=False)


def test_a_patient_that_was_not_seen_is_counted_only_where_there_is_a_threshold() -> None:
    at = {"percentiles": [0.95, 1.0 - 1e-9, 1.0], "by": "segment"}
    summary = sim.summarise(sim.simulate(scenario(thresholds=at), progress=False)).sel(population_size=500)
    assert summary["patients_above_share"].values[1:].tolist() == [0.0, 0.0]
    assert summary["patients_above_share_se"].values[1] > 0 == summary["patients_above_share_se"].values[2]


def test_every_figure_is_what_its_definition_says(ledger: xr.Dataset) -> None:
    summary = sim.summarise(ledger, margins=(0.02,), quantiles=(0.9,))
    kept = (ledger["gross_cost"] - ledger["excess_cost"].sel(threshold=20_000.0)).sel(population_size=2_000).values
    cell = summary.sel(population_size=2_000, threshold=20_000.0)
    budget = float(cell["exact_mean"])
    q = np.quantile(kept, 0.9)
    by_hand = {
        "mean_cost": kept.mean(),
        "sd_cost": kept.std(ddof=1),
        "cv": kept.std(ddof=1) / kept.mean(),
        "skewness_cost": stats.skew(kept),
        "quantile_cost": q,
        "tvar": q + np.maximum(kept - q, 0).mean() / 0.1,
        "p_overspend": (kept / budget - 1 > 0.02).mean(),
        "expected_overspend": np.maximum(kept / budget - 1, 0).mean(),
        "cost_removed_share": ledger["excess_cost"].sel(population_size=2_000, threshold=20_000.0).values.sum()
        / ledger["gross_cost"].sel(population_size=2_000).values.sum(),
        "patients_above_share": ledger["n_above"].sel(population_size=2_000, threshold=20_000.0).values.mean() / 2_000,
        "variance_removed_share": 1 - kept.var() / ledger["gross_cost"].sel(population_size=2_000).values.var(),
    }
    for name, value in by_hand.items():
        np.testing.assert_allclose(float(cell[name].squeeze()), value, rtol=1e-9, err_msg=name)


def test_every_estimate_has_an_error_a_unit_and_a_name_of_its_own(ledger: xr.Dataset) -> None:
    summary = sim.summarise(ledger)
    estimates = [n for n in summary.data_vars if f"{n}_se" in summary]
    assert len(estimates) == 12
    for name in estimates:
        assert summary[name].dims == summary[f"{name}_se"].dims
        assert (summary[f"{name}_se"].isel(threshold=0) > 0).all(), name
    for name in summary.data_vars:
        assert summary[name].attrs["units"] and summary[name].attrs["long_name"]
        assert not hasattr(xr.Dataset, str(name)), f"{name} shadows a method"


def test_order_of_dims_does_not_matter(ledger: xr.Dataset) -> None:
    straight = sim.summarise(ledger, sim.CarveOut())
    turned = sim.summarise(ledger.transpose("threshold", "population_size", "replicate", ...), sim.CarveOut())
    for name in straight.data_vars:
        xr.testing.assert_equal(straight[name], turned[name].transpose(*straight[name].dims))


@cache
def _scores() -> dict[str, np.ndarray]:
    """z-scores of many short runs against the exact engine, by statistic."""
    exact = sim.exact(scenario(population_sizes=[2_000]), margins=(0.02,), quantiles=(0.5, 0.9))
    scores: dict[str, list[np.ndarray]] = {}
    for seed in range(36):
        drawn = sim.simulate(scenario(seed=1_000 + seed, population_sizes=[2_000]), progress=False)
        found = sim.summarise(drawn, margins=(0.02,), quantiles=(0.5, 0.9))
        for name in ("mean_cost", "sd_cost", "cv", "quantile_cost", "tvar", "p_overspend", "expected_overspend"):
            z = (found[name] - exact[name]) / found[f"{name}_se"]
            scores.setdefault(name, []).append(z.values.ravel())
    return {name: np.concatenate(values) for name, values in scores.items()}


def _spread_is_one(z: np.ndarray) -> bool:
    """Whether the mean square of z-scores, of which cells of one run move together, is near 1."""
    return bool(0.6 < np.mean(z**2) < 1.55)


@pytest.mark.heavy
@pytest.mark.no_cover
def test_standard_errors_are_as_large_as_the_errors() -> None:
    scores = _scores()
    off = {name: float(np.mean(z**2)) for name, z in scores.items() if not _spread_is_one(z)}
    assert not off


@pytest.mark.heavy
@pytest.mark.no_cover
def test_standard_errors_half_as_large_would_be_found_out() -> None:
    assert not any(_spread_is_one(2 * z) for z in _scores().values())


def test_sd_of_a_tail_without_a_fourth_moment_takes_the_jackknife() -> None:
    raw = {**SCENARIO, "population": {"segments": [{"name": "heavy", "share": 1.0, "severity": HEAVY}]}}
    drawn = sim.simulate(sim.Scenario.model_validate(raw), progress=False)
    cell = sim.summarise(drawn).sel(population_size=500, threshold=math.inf)
    kept = drawn["gross_cost"].sel(population_size=500).values
    left_out = np.array([np.delete(kept, r).std(ddof=1) for r in range(kept.size)])
    jackknife = math.sqrt((kept.size - 1) / kept.size * ((left_out - left_out.mean()) ** 2).sum())
    np.testing.assert_allclose(float(cell["sd_cost_se"]), jackknife, rtol=1e-9)
    assert math.isnan(float(cell["z_sd"]))
    assert math.isfinite(float(cell["z_mean"]))


def test_sd_with_a_fourth_moment_takes_the_exact_one(ledger: xr.Dataset) -> None:
    cell = sim.summarise(ledger).sel(population_size=500, threshold=20_000.0)
    exact = sim.exact(scenario()).sel(population_size=500, threshold=20_000.0)
    near_normal = float(cell["sd_cost"]) / math.sqrt(2 * 400)
    assert 1 < float(cell["sd_cost_se"]) / near_normal < 1.1  # excess kurtosis is positive, and small under a cap
    assert float(exact["skewness_cost"]) > 0


def test_a_probability_never_seen_has_a_bound_and_no_zero_error(ledger: xr.Dataset) -> None:
    summary = sim.summarise(ledger, margins=(9.0, -0.99))
    cell = summary.sel(population_size=2_000, threshold=20_000.0)
    for margin, side in ((9.0, "upper"), (-0.99, "lower")):
        at = cell.sel(margin=margin)
        assert float(at["p_overspend"]) in (0.0, 1.0)
        assert 0 < float(at["p_overspend_se"]) < 0.01
        bound = float(at["p_overspend_interval"].sel(bound=side))
        np.testing.assert_allclose(min(bound, 1 - bound), 1 - 0.025 ** (1 / 400), rtol=1e-9)


def test_interval_of_a_probability_is_clopper_and_pearsons() -> None:
    for events in (0, 1, 7, 199, 400):
        known = stats.binomtest(events, 400).proportion_ci(0.95, method="exact")
        np.testing.assert_allclose(exact_interval(np.array(events), 400), [known.low, known.high], atol=1e-12)


def test_a_level_beyond_the_sample_has_no_error() -> None:
    few = sim.simulate(scenario(replicates=50), progress=False)
    summary = sim.summarise(few, quantiles=(0.5, 0.995))
    assert np.isfinite(summary["quantile_cost_se"].sel(quantile_level=0.5)).all()
    assert np.isnan(summary["quantile_cost_se"].sel(quantile_level=0.995)).all()


# ── budgets ──────────────────────────────────────────────────────────────────────────────────────


def test_a_given_budget_falls_by_the_cost_that_the_rule_removes(ledger: xr.Dataset) -> None:
    exact = sim.exact(scenario())["mean_cost"].sel(population_size=2_000)
    gross = sim.summarise(ledger, budget=sim.PerHead(amount=2_000.0))["budget"].sel(population_size=2_000)
    kept = sim.summarise(ledger, budget=sim.PerHead(amount=2_000.0, basis="retained"))["budget"].sel(
        population_size=2_000
    )
    removed = float(exact.sel(threshold=math.inf) - exact.sel(threshold=20_000.0))
    np.testing.assert_allclose(gross.values, [2_000.0 * 2_000 - removed, 2_000.0 * 2_000], rtol=1e-12)
    np.testing.assert_allclose(kept.values, 2_000.0 * 2_000)


def test_capitation_of_a_carved_out_patient_leaves_with_him(ledger: xr.Dataset) -> None:
    at = {"population_size": 500, "threshold": 20_000.0}
    leaving = sim.summarise(ledger, sim.CarveOut(), margins=(0.02,)).sel(at)
    n_above = ledger["n_above"].sel(at).values
    kept = (ledger["gross_cost"].sel(population_size=500) - ledger["above_cost"].sel(at)).values
    budget = float(leaving["exact_mean"])
    by_hand = (kept > 1.02 * budget * (500 - n_above) / (500 - _expected_above())).mean()
    assert float(leaving["p_overspend"].sel(margin=0.02)) == pytest.approx(by_hand)
    staying = sim.summarise(ledger, sim.CarveOut(keep_capitation=True), margins=(0.02,)).sel(at)
    assert float(staying["p_overspend"].sel(margin=0.02)) == pytest.approx((kept > 1.02 * budget).mean())


def _expected_above() -> float:
    well, ill = stats.lognorm, stats.gamma
    sigma = math.sqrt(math.log(5.0))
    above_well = well.sf(20_000.0, sigma, scale=900.0 / math.exp(sigma**2 / 2))
    above_ill = ill.sf(20_000.0, 1 / 1.44, scale=9_000.0 * 1.44)
    return float(450 * 0.8 * above_well + 50 * above_ill)


def test_bands_of_one_full_band_are_a_cap(ledger: xr.Dataset) -> None:
    cap = sim.summarise(ledger, sim.Cap(at=20_000.0))
    bands = sim.summarise(ledger, Banded(bands=(Step(at=20_000.0, share=1.0),)))
    np.testing.assert_allclose(cap["sd_cost"], bands["sd_cost"], rtol=1e-12)


# ── the run's own check ──────────────────────────────────────────────────────────────────────────


def test_a_sound_run_passes_its_own_check(ledger: xr.Dataset) -> None:
    known = sim.summarise(ledger).attrs
    assert known["check"] == "passed"
    assert known["check_largest_z"] < known["check_alarm"]
    np.testing.assert_allclose(known["check_alarm"], stats.norm.ppf(1 - 0.0005 / known["check_cells"]))
    assert f"{known['check_cells']} cells" in known["check_sentence"]


@pytest.mark.parametrize("variable", ["gross_cost", "excess_cost", "n_above"])
def test_a_wrong_run_fails_its_own_check_loudly(
    ledger: xr.Dataset, variable: str, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = ledger.copy()
    spread = 1.3 if variable != "gross_cost" else 1.05
    wrong[variable] = (ledger[variable] * spread).astype(ledger[variable].dtype)
    with caplog.at_level(logging.ERROR):
        known = sim.summarise(wrong).attrs
    assert known["check"] == "failed"
    assert "FAILED ITS OWN CHECK" in known["check_sentence"]
    assert "FAILED" in caplog.text


@pytest.mark.heavy
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1.0], ids=str)
@pytest.mark.parametrize("variable", ["gross_cost", "excess_cost", "above_cost", "n_above", "shock_factor"])
def test_one_impossible_figure_fails_the_check_loudly(
    variable: str, value: float, shaken: xr.Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = shaken.copy(deep=True)
    wrong[variable] = wrong[variable].astype(float)
    wrong[variable].values.flat[7] = value
    with caplog.at_level(logging.ERROR):
        known = sim.summarise(wrong).attrs
    assert known["check"] == "failed"
    assert f"{variable} holds 1 of" in known["check_sentence"] and "FAILED ITS OWN CHECK" in caplog.text


@pytest.mark.parametrize("variable", ["gross_cost", "members"])
def test_an_impossible_unit_or_member_fails_it_too(variable: str) -> None:
    units = [{"name": "north", "members": 700}, {"name": "south", "members": 1_300}]
    raw = {**SCENARIO, "population": SCENARIO["population"] | {"units": units, "membership": "sampled"}}
    raw["simulation"] = {key: value for key, value in SCENARIO["simulation"].items() if key != "population_sizes"}
    ledger = sim.simulate(sim.Scenario.model_validate(raw), progress=False)
    assert sim.summarise(ledger).attrs["check"] == sim.summarise(by_unit(ledger)).attrs["check"] == "passed"
    wrong = ledger.assign({f"unit_{variable}": ledger[f"unit_{variable}"].astype(float)}).copy(deep=True)
    wrong[f"unit_{variable}"].values.flat[3] = np.nan
    assert sim.summarise(by_unit(wrong)).attrs["check"] == "failed"


def test_units_are_summarised_like_populations() -> None:
    units = [{"name": "north", "members": 700}, {"name": "south", "members": 1_300}]
    raw = {**SCENARIO, "population": SCENARIO["population"] | {"units": units}}
    raw["simulation"] = {k: v for k, v in SCENARIO["simulation"].items() if k != "population_sizes"}
    drawn = sim.simulate(sim.Scenario.model_validate(raw), progress=False)
    whole, parts = sim.summarise(drawn), sim.summarise(by_unit(drawn))
    assert whole.attrs["check"] == parts.attrs["check"] == "passed"
    np.testing.assert_allclose(parts["mean_cost"].sum("unit"), whole["mean_cost"].isel(population_size=0), rtol=1e-12)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "budget",
    [
        sim.PerHead(),
        sim.PerHead(discount=0.1),
        sim.PerHead(amount=950.0, trend=0.02),
        sim.PerHead(basis="retained", loading=0.05),
    ],
)
def test_a_head_is_paid_as_in_a_design(budget: sim.PerHead) -> None:
    small = scenario(population_sizes=[200], thresholds=[5_000.0], replicates=40)
    ledger = sim.simulate(small, progress=False)
    settled = sim.settle(ledger, (sim.Design(name="one", budget=budget, exclusion=sim.Cap(at=5_000.0)),))["budget"]
    told = (sim.summarise(ledger, budget=budget)["budget"], sim.exact(small, budget=budget)["budget"])
    assert [float(one.item()) for one in told] == pytest.approx([float(settled.max())] * 2, rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"quantiles": (1.0,)}, "quantiles"),
        ({"margins": (math.nan,)}, "margins"),
        ({"budget": sim.PerHead(amount=1.0)}, "leaves no budget"),
        ({"budget": sim.PerHead(loading={"k": 1.0, "members": 9})}, "in standard errors"),
        ({"rule": sim.Cap(at=12_345.0)}, "not on the ledger's grid"),
    ],
)
def test_bad_arguments_get_a_sentence(ledger: xr.Dataset, arguments: dict[str, object], word: str) -> None:
    with pytest.raises(sim.SimulatorError, match=word):
        summarise(ledger, **arguments)  # type: ignore[arg-type]


FAMILIES = [
    {"family": "lognormal", "mean": 900.0, "cv": 2.0},
    {"family": "gamma", "mean": 900.0, "cv": 1.5},
    {"family": "weibull", "mean": 900.0, "cv": 2.0},
    {"family": "pareto", "scale": 300.0, "alpha": 2.5},
    {"family": "lomax", "scale": 900.0, "alpha": 2.5},
    {"family": "burr", "mean": 900.0, "cv": 2.0, "tail": 3.5},
    {"family": "gpd", "shape": 0.3, "scale": 900.0},
    {
        "family": "spliced",
        "body": {"family": "lognormal", "mean": 900.0, "cv": 1.5},
        "tail": {"family": "pareto", "alpha": 2.6},
        "at": 8_000.0,
    },
    {
        "family": "mixture",
        "components": [
            {"weight": 0.8, "severity": {"family": "gamma", "mean": 400.0, "cv": 1.0}},
            {"weight": 0.2, "severity": {"family": "lognormal", "mean": 3_000.0, "cv": 2.0}},
        ],
    },
    {"family": "empirical", "values": [50.0, 300.0, 900.0, 4_000.0, 30_000.0], "weights": [40.0, 30.0, 20.0, 9.0, 1.0]},
]


@pytest.mark.heavy
@pytest.mark.parametrize(("severity", "seed"), diagonal(FAMILIES, [1, 20, 300]))
def test_largest_z_of_every_family_lies_in_its_range_for_three_seeds(severity: dict[str, object], seed: int) -> None:
    raw = {**SCENARIO, "simulation": SCENARIO["simulation"] | {"seed": seed, "replicates": 1_000}}
    raw["population"] = {"segments": [{"name": "all", "share": 1.0, "p_user": 0.8, "severity": severity}]}
    asked = sim.Scenario.model_validate(raw)
    known = sim.summarise(sim.simulate(asked, progress=False), scenario=asked).attrs
    assert known["check_cells"] >= 4  # without a third moment, the two uncapped means and sds are not judged
    assert 0.2 < known["check_largest_z"] <= known["check_alarm"]


def test_the_worst_twentieth_of_years_by_hand_and_exactly() -> None:
    scenario = make(simulation={"replicates": 2_000, "population_sizes": [500, 2_000], "thresholds": [20_000.0]})
    ledger = sim.simulate(scenario, progress=False)
    summary, exact = sim.summarise(ledger), sim.exact(scenario)
    name = "mean_overspend_worst_5pc"
    overspend = ledger["gross_cost"] - ledger["excess_cost"].isel(threshold=0)
    overspend = np.sort(overspend / summary["exact_mean"].isel(threshold=0) - 1, axis=0)
    np.testing.assert_allclose(summary[name].values[:, 0], overspend[-100:].mean(axis=0), rtol=1e-10)

    def score(wanted: xr.DataArray) -> float:
        return float((np.abs(summary[name] - wanted) / summary[f"{name}_se"]).max())

    assert score(exact[name]) < 5
    tenth = (exact["tvar"].sel(quantile_level=0.9) / exact["budget"]) - 1
    assert score(tenth) > 5, "the worst tenth is another figure"
    np.testing.assert_allclose(exact[name], exact["tvar"].sel(quantile_level=0.95) / exact["budget"] - 1)
    moving = sim.exact(scenario, sim.CarveOut())
    assert np.isnan(moving[name]).all(), "a ratio of random sums has no series"


@pytest.mark.heavy
def test_the_worst_twentieth_of_years_is_known_wherever_a_statistic_is_asked_for() -> None:
    from simulator.analysis.size.grid import minimum_on_grid
    from simulator.analysis.statistics.precision import parse_target, simulate_until

    name = "mean_overspend_worst_5pc"
    scenario = make(simulation={"replicates": 400, "population_sizes": [500, 4_000], "thresholds": [20_000.0]})
    drawn = sim.minimum_population(scenario.with_simulation(seed=4), name, at_most=0.15, replicates=400)
    exact = sim.minimum_population(scenario, name, at_most=0.15, method="exact")
    low, high = drawn["minimum_population_interval"].values[0]
    assert low < float(exact["minimum_population"][0]) < high
    same = sim.minimum_population(scenario, "tvar", quantile_level=0.95, at_most=0.15, method="exact")
    assert float(exact["minimum_population"][0]) == pytest.approx(float(same["minimum_population"][0]), rel=1e-6)
    assert drawn.attrs["asked"] == "mean overspend in the worst 5% of years of at most 0.15"
    summary = sim.summarise(sim.simulate(scenario, progress=False))
    assert 500 < float(minimum_on_grid(summary, name, 0.1)["minimum_population"][0]) < 4_000
    assert simulate_until(scenario, parse_target(f"{name} ± 50%")).attrs["stopped_by"] == "target"
    ranges = [Range(name=k, change=MeanCost(by=0.0, segment=k), low=0.0, high=0.1) for k in ("well", "complex")]
    answer = sim.sensitivity(scenario, ranges, name, points=4)
    assert (answer["tornado"].sel(end="high") > answer["tornado"].sel(end="low")).all()
    assert float(answer["as_agreed"]) == pytest.approx(float(sim.exact(scenario)[name][-1, 0]), rel=1e-9)
    for told in (drawn, answer):
        assert "mean overspend in the worst 5% of years" in str(sim.table(told))
