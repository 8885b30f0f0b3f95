"""A ledger and designs become an outcome: conserved, paired, free of order, and in line with the exact moments."""

from __future__ import annotations

import math
import time

import numpy as np
import oracles
import pytest
import xarray as xr
from conftest import KINDS, SHOCKS, make

import simulator as sim
from simulator.contracts.design import Design
from simulator.ledger import by_unit
from simulator.runs import extend
from simulator.settlement.compare import imbalance
from simulator.settlement.populations import Populations
from simulator.settlement.settle import settle

MEASURES = {
    "measures": [{"name": str(k), "target": 0.75, "mean": 0.8, "sd": 0.05} for k in range(3)],
    "correlation": 0.2,
}
TWO_HOSPITALS = [
    {"name": "payer", "funds": 1.0},
    {"name": "a", "delivers": 0.6},
    {"name": "b", "delivers": 0.4, "variable_share": 0.5},
]
FOLLOWS = {"kind": "follow_patients", "providers": ["a", "b"], "sd": 0.02, "price": 0.7, "cap": 0.02}
DESIGNS = (
    Design(name="full risk"),
    Design(
        name="shared",
        terms=[{"kind": "minimum_rate", "rate": 0.02}, {"kind": "share", "gain": 0.5, "loss": 0.3}],
        exclusion={"kind": "cap", "at": 20_000.0},
    ),
    Design(name="benchmark", budget={"kind": "past_years", "weights": [0.1, 0.3, 0.6], "correlation": [0.4, 0.3]}),
    Design(name="loaded", budget={"kind": "per_head", "loading": {"k": 1.0, "members": 1_000}}),
    Design(
        name="outcomes",
        quality=MEASURES,
        terms=[{"kind": "withhold", "share": 0.05}],
        parties=TWO_HOSPITALS,
        transfers=[FOLLOWS, {"kind": "outcomes_payment", "share": 0.018, "all_or_nothing": True}],
    ),
    Design(name="coinsured", exclusion={"kind": "coinsure", "at": 5_000.0, "share": 0.8}),
    Design(name="carved out", exclusion={"kind": "carve_out", "at": 20_000.0}),
    Design(
        name="pooled",
        parties=[{"name": "payer", "funds": 1.0}, {"name": "provider", "delivers": 1.0}, {"name": "pool"}],
        transfers=[{"kind": "risk_pool", "pool": "pool", "opening": 0.02, "protects": ["provider"]}],
    ),
)


@pytest.fixture(scope="module")
def shocked():
    return make(shocks=SHOCKS, simulation={"replicates": 300})


@pytest.fixture(scope="module")
def ledger(shocked):
    return sim.simulate(shocked)


@pytest.fixture(scope="module")
def outcome(ledger):
    return settle(ledger, DESIGNS)


def test_dims_and_variables(outcome):
    for name in ("payment", "funding", "cost_borne", "surplus"):
        assert outcome[name].dims == ("replicate", "population_size", "design", "party")
        assert outcome[name].attrs["units"] == "GBP per year"
    assert outcome["party"].values.tolist() == ["provider", "payer", "a", "b", "pool"]
    assert outcome["triggered"].dims == ("population_size", "event", "design")
    assert {"gate_missed", "outcomes_missed", "cap_bound", "pool_exhausted"} <= set(outcome["event"].values)


def test_surplus_is_funding_and_payment_less_cost(outcome):
    assert np.array_equal(outcome["surplus"], outcome["funding"] + outcome["payment"] - outcome["cost_borne"])


def test_an_absent_party_has_nothing(outcome):
    assert not outcome["payment"].sel(design="full risk", party=["a", "b", "pool"]).any()


@pytest.mark.heavy
@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"percentiles by segment", "percentiles by population"}))
def test_money_is_conserved(kind):
    ledger = sim.simulate(make(**KINDS[kind]))
    assert imbalance(settle(ledger, DESIGNS)) < 1e-9
    if "unit" in ledger.dims:
        units = settle(by_unit(ledger), DESIGNS)
        assert units["surplus"].dims == ("replicate", "unit", "design", "party")
        assert imbalance(units) < 1e-9


def test_imbalance_notices_money_that_is_lost(outcome):
    lost = outcome.copy(deep=True)
    lost["payment"][{"replicate": 7, "population_size": 1, "design": 0, "party": 0}] += 1.0
    assert imbalance(lost) > 1e-9


def test_what_is_alike_in_all_replicates_stays_beside_what_is_not(ledger):
    varying = DESIGNS[7].model_copy(update={"name": "varying", "budget": DESIGNS[2].budget})
    settled = settle(ledger, [DESIGNS[0], varying, DESIGNS[7]])
    funding = settled["funding"].sel(party="pool").isel(population_size=2)
    spread = funding.max("replicate") - funding.min("replicate")
    assert spread.sel(design="varying") > 0
    assert spread.sel(design=["pooled", "full risk"]).values.tolist() == [0.0, 0.0]
    opening = 0.02 * settled["budget"].sel(design="varying")
    assert np.allclose(settled["funding"].sel(party="pool", design="varying"), opening, rtol=1e-12)
    assert imbalance(settled) < 1e-9


def test_full_risk_is_budget_less_cost(ledger, outcome):
    deviation = outcome["budget"].sel(design="full risk") - ledger["gross_cost"]
    assert np.allclose(outcome["surplus"].sel(design="full risk", party="provider"), deviation, rtol=0, atol=1e-6)
    assert np.allclose(outcome["surplus"].sel(design="full risk", party="payer"), 0.0, atol=1e-6)


def test_budget_is_the_exact_mean(shocked, ledger, outcome):
    summary = sim.summarise(ledger)
    exact = summary["exact_mean"].sel(threshold=math.inf)
    assert np.allclose(outcome["budget"].sel(design="full risk").isel(replicate=0), exact, rtol=1e-12)
    capped = summary["exact_mean"].sel(threshold=20_000.0)
    assert np.allclose(outcome["budget"].sel(design="shared").isel(replicate=0), capped, rtol=1e-12)


def test_an_outcome_is_written_and_read_again(outcome, tmp_path):
    sim.save(outcome, tmp_path / "outcome.nc")
    with xr.open_dataset(tmp_path / "outcome.nc", engine="h5netcdf") as again:
        assert again.load()["surplus"].equals(outcome["surplus"])
        assert again["surplus"].attrs["units"] == "GBP per year"


def test_settling_leaves_the_ledger_as_it_was(shocked, ledger, outcome):
    assert "designs" in outcome.attrs
    assert ledger.drop_attrs().identical(sim.simulate(shocked).drop_attrs())
    assert "designs" not in ledger.attrs


def test_without_its_scenario_a_ledger_is_settled_on_its_own_means(ledger):
    anonymous = ledger.assign_attrs()
    del anonymous.attrs["scenario"]
    outcome = settle(anonymous, DESIGNS)
    assert imbalance(outcome) < 1e-9
    mean = ledger["gross_cost"].mean("replicate")
    assert np.allclose(outcome["budget"].sel(design="full risk").isel(replicate=0), mean, rtol=1e-12)
    with pytest.raises(sim.SimulatorError, match="does not carry its scenario"):
        settle(anonymous, Design(name="x", budget={"kind": "by_segment", "amounts": {"well": 1.0, "complex": 1.0}}))


def test_loading_is_one_standard_error(shocked, ledger):
    # two doses of loading differ by one exact standard deviation of a person over the root of 1,000
    plain, loaded = (
        settle(ledger, Design(name="x", budget={"kind": "per_head", "loading": {"k": k, "members": 1_000}}))["budget"]
        for k in (0.0, 1.0)
    )
    a_head = (loaded - plain).isel(replicate=0, design=0) / ledger["population_size"]
    sd = Populations(ledger).luck_sd(Design(name="x").exclusion)[0] / np.sqrt(ledger["population_size"])
    assert np.allclose(a_head, sd / math.sqrt(1_000))


def test_shares_on_the_draws_by_hand(ledger, outcome):
    kept = sim.retained_cost(ledger, sim.Cap(at=20_000.0)).isel(threshold=0)
    budget = outcome["budget"].sel(design="shared")
    rate = 1.0 - kept / budget
    by_hand = (budget - kept) * np.where(rate >= 0.02, 0.5, np.where(rate <= -0.02, 0.3, 0.0))
    assert np.allclose(
        outcome["settlement"].sel(design="shared"),
        by_hand.transpose(*outcome["settlement"].sel(design="shared").dims),
        atol=1e-6,
    )
    missed = ((np.abs(rate) < 0.02).sum("replicate")).transpose("population_size").values
    assert outcome["triggered"].sel(event="gate_missed", design="shared").values.tolist() == missed.tolist()


def test_the_order_of_dims_does_not_matter(ledger, outcome):
    turned = ledger.transpose("threshold", "population_size", "replicate", ...)
    assert settle(turned, DESIGNS).transpose(*outcome["payment"].dims, ...).broadcast_equals(outcome)


def test_a_dim_that_came_later_is_carried_along(ledger):
    regions = ledger[["gross_cost", "excess_cost", "above_cost", "n_above"]].expand_dims(region=[1, 2])
    regions.attrs = ledger.attrs
    settled = settle(regions, DESIGNS[:2])
    alone = settle(ledger.drop_vars("shock_factor"), DESIGNS[:2])
    assert settled["payment"].sel(region=2, drop=True).transpose(*alone["payment"].dims).equals(alone["payment"])


def test_designs_do_not_touch_each_other(ledger, outcome):
    for name in ("outcomes", "benchmark"):
        alone = settle(ledger, next(design for design in DESIGNS if design.name == name))
        for variable in ("budget", "settlement"):
            assert alone[variable].squeeze("design", drop=True).equals(outcome[variable].sel(design=name, drop=True))


def test_a_longer_ledger_keeps_its_settlement(shocked):
    short = sim.simulate(shocked.with_simulation(replicates=50))
    longer = extend(short, shocked.with_simulation(replicates=80))
    assert (
        settle(longer, DESIGNS)
        .isel(replicate=slice(0, 50))
        .drop_dims(["event", "line"])
        .equals(settle(short, DESIGNS).drop_dims(["event", "line"]))
    )


def test_another_seed_draws_another_quality(shocked):
    other = make(shocks=SHOCKS, simulation={"replicates": 300, "seed": 4})
    settlements = [settle(sim.simulate(scenario), DESIGNS[4])["settlement"] for scenario in (shocked, other)]
    assert not np.array_equal(*settlements)


def test_quality_is_independent_of_cost(outcome, ledger):
    paid = outcome["settlement"].sel(design="outcomes") - (
        outcome["budget"].sel(design="outcomes") - ledger["gross_cost"]
    )
    score = paid.isel(population_size=2, drop=True)
    correlation = np.corrcoef(score, ledger["gross_cost"].isel(population_size=2))[0, 1]
    assert abs(correlation) < 5 / math.sqrt(300)


def test_error_of_a_benchmark_on_the_draws():
    ledger = sim.simulate(make(simulation={"replicates": 20_000, "population_sizes": [2_000]}))
    outcome = settle(ledger, DESIGNS[2])
    budget = DESIGNS[2].budget
    variance = oracles.benchmark_error_variance(budget.weights, budget.correlation)
    exact = Populations(ledger).luck_sd(DESIGNS[2].exclusion)[0, 0] ** 2 * variance
    drawn = float(outcome["settlement"].var())
    assert drawn == pytest.approx(exact, rel=0.06)
    assert drawn != pytest.approx(exact / variance, rel=0.06)  # the luck of one year alone


def test_a_carved_out_patient_takes_his_capitation_along(ledger):
    rule = {"kind": "carve_out", "at": 5_000.0}
    leaving, keeping = (
        settle(ledger, Design(name="x", exclusion=rule | {"keep_capitation": keep}))["budget"] for keep in (False, True)
    )
    above = ledger["n_above"].sel(threshold=5_000.0)
    assert np.ptp(keeping.values, axis=0).max() == 0
    leaving, above = leaving.isel(population_size=2, design=0), above.isel(population_size=2)
    assert np.corrcoef(leaving, above)[0, 1] == pytest.approx(-1.0)


def test_a_rule_without_a_threshold_is_swept(ledger):
    swept = settle(
        ledger, [Design(name="swept", exclusion=sim.Cap()), Design(name="at 5,000", exclusion=sim.Cap(at=5_000.0))]
    )
    assert swept["threshold"].values.tolist() == [5_000.0, 20_000.0, math.inf]
    assert set(swept["surplus"].dims) == {"replicate", "population_size", "threshold", "design", "party"}
    for threshold in (5_000.0, 20_000.0):
        alone = settle(ledger, Design(name="swept", exclusion=sim.Cap(at=threshold)))
        assert np.array_equal(alone["surplus"], swept["surplus"].sel(threshold=threshold, design=["swept"]))
    fixed = swept["surplus"].sel(design="at 5,000")
    assert (fixed == fixed.isel(threshold=0)).all()


@pytest.mark.parametrize("rule", [sim.CarveOut(), sim.CarveOut(keep_capitation=True), sim.Coinsure(share=0.9)])
def test_every_rule_can_be_swept_up_to_no_exclusion(ledger, rule):
    swept = settle(ledger, Design(name="swept", exclusion=rule))
    assert imbalance(swept) < 1e-9
    none = settle(ledger, Design(name="none"))
    assert np.array_equal(swept["surplus"].sel(threshold=math.inf), none["surplus"])
    spread = swept["surplus"].sel(party="provider", design="swept").std("replicate").isel(population_size=2)
    assert float(spread.sel(threshold=5_000.0)) < float(spread.sel(threshold=math.inf))


def test_no_exclusion_needs_no_infinite_threshold():
    ledger = sim.simulate(make(simulation={"thresholds": [5_000.0]}))
    assert np.allclose(settle(ledger, Design(name="x"))["cost_borne"].sum("party").isel(design=0), ledger["gross_cost"])


def test_percentile_thresholds():
    ledger = sim.simulate(make(**KINDS["percentiles by segment"]))
    outcome = settle(ledger, Design(name="x", exclusion=sim.Cap(at=0.95)))
    kept = sim.retained_cost(ledger, sim.Cap(at=0.95)).isel(threshold=0)
    assert np.allclose(outcome["cost_borne"].sel(party="provider").isel(design=0), kept)
    assert imbalance(outcome) < 1e-9


def test_drawn_case_mix_moves_a_budget_by_segment():
    ledger = sim.simulate(make(population={"membership": "sampled"}))
    amounts = {"well": 700.0, "complex": 4_000.0}
    budget = settle(ledger, Design(name="x", budget={"kind": "by_segment", "amounts": amounts}))["budget"].isel(
        design=0
    )
    by_hand = sum(amount * ledger["members"].sel(segment=name) for name, amount in amounts.items())
    assert np.allclose(budget, by_hand)


@pytest.mark.parametrize(
    ("designs", "sentence"),
    [
        ([], "designs: none are given"),
        ([Design(name="x"), Design(name="x")], "is the name of two designs"),
        (Design(name="x", exclusion=sim.Cap(at=7.0)), "is not on the ledger's grid"),
        (Design(name="x", budget={"kind": "by_segment", "amounts": {"well": 1.0}}), "must name every segment"),
    ],
)
def test_what_does_not_fit_is_refused(ledger, designs, sentence):
    with pytest.raises(sim.SimulatorError, match=sentence):
        settle(ledger, designs)


def test_twenty_designs_are_settled_quickly():
    ledger = sim.simulate(
        make(simulation={"replicates": 2_000, "population_sizes": [10, 20, 30, 40, 50, 60, 70, 80, 90]})
    )
    designs = [DESIGNS[k % 5].model_copy(update={"name": str(k)}) for k in range(20)]
    settle(ledger, designs[:1])
    started = time.perf_counter()
    settle(ledger, designs)
    assert time.perf_counter() - started < 2.0  # ten thousand replicates take about five times as long


def test_a_budget_by_segment_loses_the_excess_of_the_people_who_were_drawn():
    scenario = make(population={"membership": "sampled"}, simulation={"population_sizes": [500], "replicates": 3_000})
    ledger = sim.simulate(scenario, progress=False)
    means = {row["name"]: row["mean"] for row in sim.describe(scenario)["segments"]}
    capped = {"exclusion": {"kind": "cap", "at": 5_000.0}}
    risk_adjusted = Design(name="by segment", budget={"kind": "by_segment", "amounts": means}, **capped)
    outcome = settle(ledger, [risk_adjusted, Design(name="flat", **capped)]).isel(population_size=0)
    surplus = outcome["settlement"].transpose("replicate", "design").values
    complex_people = ledger["members"].sel(segment="complex", population_size=500).values
    slopes = [np.corrcoef(complex_people, surplus[:, k])[0, 1] * math.sqrt(3_000) for k in range(2)]
    assert abs(slopes[0]) < 5, "case mix must not move the surplus of a risk-adjusted budget"
    assert slopes[1] < -20, "and moves that of a flat price"
