"""What pictures are drawn from: curves, fans, funnels, layers and targets, each beside what it must be."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import LOGNORMAL, UNITS, alone, every, make
from matplotlib.text import Text
from scipy import stats

import simulator as sim
from simulator.analysis.luck.ratio_limits import limits_by_size, limits_of_units
from simulator.analysis.size.viable import viable_terms
from simulator.ledger import by_unit

MOVED = sim.CarveOut(at=5_000.0)
MANY = {"replicates": 400, "population_sizes": [500, 2_000, 8_000], "thresholds": [5_000.0, 20_000.0, math.inf]}


@pytest.fixture(scope="module")
def scenario() -> sim.Scenario:
    return make(simulation=MANY)


@pytest.fixture(scope="module")
def ledger(scenario: sim.Scenario) -> xr.Dataset:
    return sim.simulate(scenario, progress=False)


def test_four_times_the_people_halve_the_exact_curve() -> None:
    one = alone(LOGNORMAL, simulation=MANY)
    curve = sim.exact_curve(one, sizes=(1_000, 4_000))["exact_cv"].sel(threshold=math.inf).values
    np.testing.assert_allclose(curve, [2 / math.sqrt(1_000), 2 / math.sqrt(4_000)], rtol=1e-6)


def test_the_curve_runs_through_the_summarys_exact_figures(scenario: sim.Scenario, ledger: xr.Dataset) -> None:
    summary = sim.summarise(ledger)
    curve = sim.exact_curve(scenario)
    ends = curve["exact_cv"].sel(curve_size=[500, 8_000]).values
    exact = (summary["exact_sd"] / summary["exact_mean"]).sel(population_size=[500, 8_000]).values
    np.testing.assert_allclose(ends, exact)
    assert summary.assign(curve).attrs == summary.attrs


def test_each_target_is_answered_as_on_its_own(ledger: xr.Dataset) -> None:
    from simulator.analysis.size.grid import minimum_on_grid

    summary = sim.summarise(ledger)
    answer = sim.minimum_by_target(summary, (0.05, 0.2), margin=0.1)
    for target in (0.05, 0.2):
        alone_ = minimum_on_grid(summary, "p_overspend", target, margin=0.1)
        np.testing.assert_array_equal(answer["minimum_population"].sel(at_most=target), alone_["minimum_population"])
    strict, lax = (answer["minimum_population"].sel(at_most=target) for target in (0.05, 0.2))
    assert bool((strict >= lax).all())
    with pytest.raises(sim.SimulatorError, match="not in the summary"):
        sim.minimum_by_target(summary, margin=0.123)


def test_exceedance_is_the_share_of_years_beside_the_exact_one(ledger: xr.Dataset) -> None:
    answer = sim.exceedance(ledger, sizes=[2_000], threshold=20_000.0)
    kept = sim.retained_cost(ledger, sim.Cap(at=20_000.0)).sel(population_size=2_000).values[:, 0]
    expected = float(sim.summarise(ledger)["exact_mean"].sel(population_size=2_000, threshold=20_000.0))
    by_hand = [(kept / expected - 1 > at).mean() for at in answer["overspend"].values]
    np.testing.assert_allclose(answer["p_exceed"].values[0], by_hand)
    exact = answer["exact_p_exceed"].values[0]
    z = (answer["p_exceed"].values[0] - exact) / np.sqrt(exact * (1 - exact) / 400)
    seen = exact > 0.02
    assert np.abs(z[seen]).max() < 5 and seen.sum() > 5
    wrong = (answer["p_exceed"].values[0] - 0.5 * exact) / np.sqrt(exact / 400)
    assert np.abs(wrong[seen]).max() > 5


def test_a_withheld_scenario_has_no_exact_curve_until_it_is_given() -> None:
    bills = alone({"family": "empirical", "values": [100.0, 250.0, 900.0, 4_000.0]}, simulation=MANY)
    ledger = sim.simulate(bills, progress=False)
    answer = sim.exceedance(ledger, sizes=[500])
    assert np.isnan(answer["exact_p_exceed"]).all() and float(answer["p_exceed"].max()) > 0
    assert np.isfinite(sim.exceedance(ledger, sizes=[500], scenario=bills)["exact_p_exceed"]).all()


@pytest.mark.parametrize(("name", "value"), [("sizes", [3]), ("threshold", 1.0)])
def test_what_was_not_drawn_is_refused(ledger: xr.Dataset, name: str, value: object) -> None:
    with pytest.raises(sim.SimulatorError, match="is not in the ledger"):
        sim.exceedance(ledger, **{name: value})


def test_the_fan_holds_quantiles_of_the_overspend(ledger: xr.Dataset) -> None:
    answer = sim.fan(ledger, levels=(0.05, 0.5, 0.95)).sel(population_size=8_000, threshold=math.inf)
    cost = ledger["gross_cost"].sel(population_size=8_000).values
    exact = float(sim.summarise(ledger)["exact_mean"].sel(population_size=8_000, threshold=math.inf))
    np.testing.assert_allclose(answer["overspend"], np.quantile(cost, [0.05, 0.5, 0.95]) / exact - 1)
    assert bool((answer["overspend_se"] > 0).all())


# ── funnel ───────────────────────────────────────────────────────────────────────────────────────


def drawn_practices(rng: np.random.Generator, spread: float) -> pd.DataFrame:
    """Practices whose costs have the law of a lognormal with mean 1,000 and a cv of `spread`, by its normal limit."""
    members = rng.integers(2_000, 30_000, 2_000)
    return pd.DataFrame(
        {"members": members, "cost": 1_000 * (members + spread * np.sqrt(members) * rng.normal(size=2_000))}
    )


@pytest.mark.heavy
def test_luck_leaves_the_promised_share_inside_the_limits(rng: np.random.Generator) -> None:
    mild = alone({"family": "gamma", "mean": 1_000.0, "cv": 2.0}, simulation=MANY)
    inside, outside = (sim.funnel(drawn_practices(rng, spread), mild) for spread in (2.0, 3.0))
    for answer, fits in ((inside, True), (outside, False)):
        count = float(answer["outside"].sel(level=0.95))
        z = (count - float(answer["expected_outside"].sel(level=0.95))) / math.sqrt(2_000 * 0.05 * 0.95)
        assert (abs(z) < 5) == fits


@pytest.mark.heavy
def test_limits_of_luck_and_spread_hold_practices_that_differ_for_good(rng: np.random.Generator) -> None:
    """Of practices 3% apart (sd) beyond luck, limits of luck alone name many, and those of both as many as promised."""
    shock = {"name": "lasting", "cv": 0.03, "per": "unit"}
    apart = alone({"family": "gamma", "mean": 1_000.0, "cv": 2.0}, simulation=MANY, shocks=[shock])
    rows = drawn_practices(rng, 2.0)
    rows["cost"] *= 1 + 0.03 * rng.normal(size=len(rows))
    answer = sim.funnel(rows, apart).sel(level=0.95)
    for name, fits in (("outside", False), ("outside_with_spread", True)):
        z = (float(answer[name]) - float(answer["expected_outside"])) / math.sqrt(2_000 * 0.05 * 0.95)
        assert (abs(z) < 5) == fits
    common = alone({"family": "gamma", "mean": 1_000.0, "cv": 2.0}, simulation=MANY, shocks=[{"name": "p", "cv": 0.03}])
    assert "limit_with_spread" not in sim.funnel(rows[:5], common)  # what hits all alike parts nobody
    drawn = sim.plots.funnel(sim.funnel(rows[:40].assign(practice=[f"no. {k}" for k in range(40)]), apart))
    words = " ".join(text.get_text() for text in drawn.figure.findobj(Text)).replace("\n", " ")
    assert "Beyond luck and spread: " in words and "99.8% with spread" in words


@pytest.mark.heavy
def test_few_practices_measured_by_their_own_total_have_narrower_limits(rng: np.random.Generator) -> None:
    mild = alone({"family": "gamma", "mean": 1_000.0, "cv": 2.0}, simulation=MANY)
    members, years = np.array([10_000, 20_000, 70_000]), 20_000
    answer = sim.funnel(pd.DataFrame({"members": members, "cost": 1_000.0 * members}), mild)
    low, high = answer["practice_limit"].sel(level=0.95).transpose("bound", "practice").values
    cost = rng.gamma(members / 4, 4_000.0, (years, 3))
    ratio = cost / members / (cost.sum(axis=1, keepdims=True) / members.sum())
    z = (((ratio < low) | (ratio > high)).mean(axis=0) - 0.05) / math.sqrt(0.05 * 0.95 / years)
    assert np.abs(z).max() < 4
    as_beside_many = np.abs(ratio - 1) > stats.norm.isf(0.025) * 2.0 / np.sqrt(members)
    assert as_beside_many[:, 2].mean() < 0.01
    one = sim.funnel(pd.DataFrame({"members": [5_000], "cost": [6e6]}), mild)
    assert one["expected_outside"].values.tolist() == [0.0, 0.0]
    np.testing.assert_array_equal(one["practice_limit"], 1.0)
    np.testing.assert_array_equal(one["outside"], 0)


@pytest.mark.heavy
def test_limits_are_exact_quantiles() -> None:
    # of gamma costs, a practice's part in the cost of all has a beta law
    mild = alone({"family": "gamma", "mean": 1_000.0, "cv": 0.5}, simulation=MANY)
    members = np.array([300, 2_000, 2_500, 9_000])
    everybody = float(members.sum())
    answer = sim.funnel(pd.DataFrame({"members": members, "cost": 1_000.0 * members}), mild)
    for name, n in (
        ("limit", answer["population_size"].values), ("practice_limit", answer["members"].values),
    ):  # fmt: skip
        for level in (0.95, 0.998):
            for bound, p in (("lower", (1 - level) / 2), ("upper", (1 + level) / 2)):
                exact = stats.beta.ppf(p, 4 * n, 4 * (everybody - n)) * everybody / n
                np.testing.assert_allclose(answer[name].sel(level=level, bound=bound), exact, rtol=1e-6)


HEAVY = {
    "segments": [
        {"name": "well", "share": 0.8, "p_user": 0.7, "severity": {"family": "gamma", "mean": 900.0, "cv": 1.2}},
        {"name": "dying", "share": 0.2, "severity": {"family": "lognormal", "mean": 12_000.0, "cv": 0.8}},
    ],
    "units": [
        {"name": "hospice", "members": 250, "shares": {"dying": 1.0}},
        {"name": "north", "members": 3_000, "shares": {"well": 0.95, "dying": 0.05}},
        {"name": "south", "members": 4_000, "shares": {"well": 0.9, "dying": 0.1}},
    ],
}


@pytest.mark.heavy
@pytest.mark.parametrize("membership", ["fixed", "sampled"])
def test_each_unit_lies_outside_its_own_limits_as_often_as_said(membership: str) -> None:
    years = 4_000
    scenario = make(
        population=HEAVY | {"membership": membership},
        simulation={"replicates": years, "population_sizes": None, "thresholds": [math.inf]},
    )
    ledger = sim.simulate(scenario, progress=False)
    answer = sim.funnel(ledger)
    cost = ledger["unit_gross_cost"].transpose("replicate", "unit").values
    expected = sim.summarise(by_unit(ledger))["exact_mean"].sel(threshold=math.inf).values
    ratio = cost / expected / (cost.sum(axis=1, keepdims=True) / expected.sum())

    def scores(limit: np.ndarray) -> np.ndarray:
        outside = ((ratio < limit[0]) | (ratio > limit[1])).mean(axis=0)
        return np.asarray((outside - 0.05) / math.sqrt(0.05 * 0.95 / years))

    assert "limit" not in answer
    assert np.abs(scores(answer["practice_limit"].sel(level=0.95).transpose("bound", "practice").values)).max() < 4
    # of the mix of all at each unit's size, a hospice at +6% would pass as luck
    mixed = limits_by_size(scenario, [250, 3_000, 4_000], 7_250.0, math.inf, (0.95,))[0]
    assert scores(mixed)[0] < -8
    assert answer["expected_outside"].values == pytest.approx([3 * 0.05, 3 * 0.002])


@pytest.mark.heavy
def test_units_of_one_mix_have_the_limits_of_their_size() -> None:
    units = [{"name": name, "members": n} for name, n in (("a", 400), ("b", 900), ("c", 5_000))]
    scenario = make(population={"units": units}, simulation={"replicates": 2, "population_sizes": None})
    answer = sim.funnel(sim.simulate(scenario, progress=False))
    own = limits_of_units(scenario, math.inf, (0.95, 0.998))
    np.testing.assert_allclose(answer["practice_limit"], own, rtol=1e-6)
    np.testing.assert_allclose(answer["limit"].sel(population_size=[400, 900, 5_000]), own, rtol=1e-6)


@pytest.mark.heavy
def test_between_sizes_limits_are_carried() -> None:
    mild = alone({"family": "gamma", "mean": 1_000.0, "cv": 0.5}, simulation=MANY)
    members = np.arange(1_000, 4_000, 100)  # more sizes than are computed one by one
    answer = sim.funnel(pd.DataFrame({"members": members, "cost": 1_000.0 * members}), mild)
    assert answer.sizes["population_size"] < members.size
    everybody = members.sum()
    exact = stats.beta.ppf(0.999, 4 * members, 4 * (everybody - members)) * everybody / members
    np.testing.assert_allclose(answer["practice_limit"].sel(level=0.998, bound="upper"), exact, rtol=3e-6)


@pytest.mark.heavy
def test_units_of_a_ledger_are_practices() -> None:
    units = make(population={"units": UNITS})
    ledger = sim.simulate(units, progress=False)
    answer = sim.funnel(ledger, replicate=3)
    assert answer["practice"].values.tolist() == ["north", "south", "old town"]
    cost = ledger["unit_gross_cost"].sel(replicate=3).values
    expected = sim.summarise(by_unit(ledger))["exact_mean"].sel(threshold=math.inf).values
    np.testing.assert_allclose(answer["ratio"], cost / expected / (cost.sum() / expected.sum()))
    np.testing.assert_allclose(answer["ratio"], sim.funnel(by_unit(ledger), replicate=3)["ratio"])


@pytest.mark.parametrize(
    ("rows", "word"),
    [({"members": [10]}, "no column cost"), ({"members": [10], "cost": [-1.0]}, "not above 0")],
)
def test_rows_that_will_not_do_are_refused(scenario: sim.Scenario, rows: dict[str, list[float]], word: str) -> None:
    with pytest.raises(sim.SimulatorError, match=word):
        sim.funnel(pd.DataFrame(rows), scenario)


def test_rows_need_a_scenario_and_ledgers_units(ledger: xr.Dataset) -> None:
    with pytest.raises(sim.SimulatorError, match="scenario"):
        sim.funnel(pd.DataFrame({"members": [10], "cost": [1.0]}))
    with pytest.raises(sim.SimulatorError, match="no units"):
        sim.funnel(ledger)


# ── layers ───────────────────────────────────────────────────────────────────────────────────────

BANDED = {"kind": "banded", "bands": [{"at": 5_000.0, "share": 0.5}, {"at": 20_000.0, "share": 0.9}]}
PARTIES = [{"name": "payer", "funds": 1.0}, {"name": "a", "delivers": 0.7}, {"name": "b", "delivers": 0.3}]


@pytest.mark.parametrize(
    "exclusion",
    [{"kind": "cap", "at": 5_000.0}, {"kind": "carve_out", "at": 20_000.0}, BANDED, {"kind": "cap", "at": math.inf}],
)
@pytest.mark.parametrize("protection", [None, {"payer": "b"}])
def test_layers_add_up_in_both_years(
    ledger: xr.Dataset, exclusion: dict[str, object], protection: dict[str, str] | None
) -> None:
    terms = [{"kind": "share", "gain": 0.5, "loss": 0.3}]
    parts = {"name": "d", "exclusion": exclusion, "protection": protection, "parties": PARTIES, "terms": terms}
    answer = sim.layers(ledger, sim.Design.model_validate(parts), members=2_000)
    kinds = answer["kind"].values
    for year in answer["year"].values:
        left = 0.0
        amounts = answer["amount"].sel(year=year).values
        for k, (amount, kind) in enumerate(zip(amounts, kinds, strict=True)):
            if kind == "total":
                assert k == 0 or amount == pytest.approx(left, abs=1e-6 * amounts[0])
                left = amount
            else:
                left -= amount
        assert left == pytest.approx(0.0, abs=1e-6 * amounts[0])


def test_the_excess_is_what_the_rule_removes(ledger: xr.Dataset) -> None:
    design = sim.Design.model_validate({"name": "d", "exclusion": BANDED})
    answer = sim.layers(ledger, design, members=8_000).sel(year="average")
    removed = (ledger["gross_cost"] - sim.retained_cost(ledger, design.exclusion).isel(threshold=0)).sel(
        population_size=8_000
    )
    bands = [str(step) for step in answer["step"].values if str(step).startswith("band")]
    assert bands == ["band above GBP 5,000", "band above GBP 20,000"]
    assert float(answer["amount"].sel(step=bands).sum()) == pytest.approx(float(removed.mean()))


@pytest.mark.slow
@pytest.mark.no_cover
def test_the_error_of_the_bad_year_is_that_of_drawing_again() -> None:
    design = sim.Design.model_validate({"name": "capped", "exclusion": {"kind": "cap", "at": 20_000.0}})
    means, told, chosen = [], [], []
    for seed in range(40):
        drawn = sim.simulate(make(simulation=MANY | {"population_sizes": [500], "seed": seed}), progress=False)
        year = sim.layers(drawn, design).sel(step="care: provider")
        means.append(year["amount"].values)
        told.append(year["amount_se"].values)
        cost = np.sort(sim.settle(drawn, design)["system_cost"].values.ravel())[-20:]
        chosen.append(cost.std(ddof=1) / math.sqrt(20))
    # the sd of forty means is itself uncertain by 11%
    np.testing.assert_allclose(np.mean(told, axis=0) / np.std(means, axis=0, ddof=1), 1.0, atol=0.25)
    # as if the years had been chosen beforehand
    assert np.mean(chosen) / np.std(means, axis=0, ddof=1)[1] < 0.75


def test_the_bad_year_is_dearer_and_a_swept_design_is_refused(ledger: xr.Dataset) -> None:
    answer = sim.layers(ledger, sim.Design(name="full risk"))
    care = answer["amount"].sel(step="care: provider")
    assert float(care.sel(year="costliest 5%")) > float(care.sel(year="average"))
    with pytest.raises(sim.SimulatorError, match="no threshold of its own"):
        sim.layers(ledger, sim.Design(name="swept", exclusion=sim.Cap()))


# ── which of the two each figure is ──────────────────────────────────────────────────────────────

FULL_RISK = sim.Design.model_validate({"name": "full risk"})
PRICES = [
    {"name": name, "low": 0.0, "high": 0.1, "change": {"kind": "inflation", "by": 0.0}} for name in ("one", "two")
]
STATED = {
    "simulated": {
        "simulate": lambda s, drawn: drawn,
        "summarise": lambda s, drawn: sim.summarise(drawn),
        "minimum_by_target": lambda s, drawn: sim.minimum_by_target(sim.summarise(drawn)),
        "exceedance": lambda s, drawn: sim.exceedance(drawn),
        "fan": lambda s, drawn: sim.fan(drawn),
        "layers": lambda s, drawn: sim.layers(drawn, FULL_RISK),
        "settle": lambda s, drawn: sim.settle(drawn, FULL_RISK),
        "compare": lambda s, drawn: sim.compare(sim.settle(drawn, FULL_RISK)),
        "minimum_population": lambda s, drawn: sim.minimum_population(s, margin=0.05, at_most=0.2, cross_check=False),
        "reverse_stress": lambda s, drawn: sim.reverse_stress(s, s.ranges[0].change, FULL_RISK),
        "stress": lambda s, drawn: sim.stress(s),
        "detection": lambda s, drawn: sim.detection(s, savings=(0.05,)),
    },
    "exact": {
        "exact": lambda s, drawn: sim.exact(s),
        "exact_curve": lambda s, drawn: sim.exact_curve(s),
        "exact_settlement": lambda s, drawn: sim.exact_settlement(s),
        "minimum_population of cv": lambda s, drawn: sim.minimum_population(s, "cv", at_most=0.2),
        "luck": lambda s, drawn: sim.luck(s, 500, 0.04),
        "sensitivity": lambda s, drawn: sim.sensitivity(s, statistic="cv", points=4),
        "variance_by_source": lambda s, drawn: sim.variance_by_source(s),
        "fair_price": lambda s, drawn: sim.fair_price(s, 500),
        "compare_rules": lambda s, drawn: sim.compare_rules(s, 500, expected_excess_pmpy=10.0),
        "viable_terms": lambda s, drawn: viable_terms(s, 500),
        "payoff": lambda s, drawn: sim.payoff(FULL_RISK),
    },
}


@pytest.mark.heavy
@pytest.mark.parametrize(("method", "name"), every(2, [(method, name) for method in STATED for name in STATED[method]]))
def test_every_answer_says_whether_it_was_drawn(method: str, name: str) -> None:
    asked = make(
        simulation={"replicates": 60, "population_sizes": [300, 900], "thresholds": [20_000.0, math.inf]},
        designs=[FULL_RISK.model_dump()],
        ranges=PRICES,
        stresses=[{"name": "dear", "changes": [{"kind": "inflation", "by": 0.02}]}],
    )
    answer = STATED[method][name](asked, sim.simulate(asked, progress=False))
    assert answer.attrs["method"] == method


def test_an_exact_curve_under_a_budget_that_moves_with_the_carved_is_what_was_drawn(ledger: xr.Dataset) -> None:
    curve = sim.exceedance(ledger, MOVED, sizes=(2_000,)).squeeze()
    drawn, exact = (curve[name].values for name in ("p_exceed", "exact_p_exceed"))
    often = exact > 0.02
    error = np.sqrt(exact * (1 - exact) / ledger.sizes["replicate"])[often]
    assert often.sum() > 10 and abs((drawn - exact)[often] / error).max() < 4
    whole = sim.exceedance(ledger, sim.Cap(at=math.inf), sizes=(2_000,)).squeeze()
    other = np.interp(curve["overspend"], whole["overspend"], whole["exact_p_exceed"])
    assert abs((drawn - other)[often] / error).max() > 4  # a control: without exclusion
    with pytest.raises(sim.SimulatorError, match="is not the rule's own, 5000"):
        sim.exceedance(ledger, MOVED, threshold=20_000.0)
