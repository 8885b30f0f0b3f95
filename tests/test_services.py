"""Costs divided among services, and designs that are settled service by service."""

from __future__ import annotations

import copy
import json
import math

import numpy as np
import oracles
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simulator as sim
from simulator import runs
from simulator.analysis.stress.stress import settle_truth
from simulator.costs.moments import Exact
from simulator.costs.services import Nodes, expected_lines
from simulator.engine.simulate import draw
from simulator.errors import SimulatorError
from simulator.runs import extend
from simulator.scenario import scenario_from
from simulator.settlement.compare import imbalance
from simulator.stresses import Activity, Elsewhere, Price, ServiceShift, Stress

CAP = 20_000.0
RAW = {
    "title": "services",
    "simulation": {"replicates": 3_000, "population_sizes": [1_500], "thresholds": [CAP, math.inf], "seed": 7},
    "population": {
        "segments": [
            {"name": "well", "share": 0.7, "p_user": 0.6, "severity": {"family": "lognormal", "mean": 1e3, "cv": 1.5}},
            {"name": "complex", "share": 0.3, "severity": {"family": "lognormal", "mean": 5e3, "cv": 1.5}},
        ],
        "rare_services": [
            {"name": "transplant", "rate_per_100k": 40.0, "price": {"family": "lognormal", "mean": 4e4, "cv": 0.5}}
        ],
    },
}
SERVICES = [
    {
        "name": "acute", "share": {"well": 0.5, "complex": 0.4}, "share_above": 0.7, "rare_services": ["transplant"],
        "providers": {"trust": 1.0}, "funders": {"board": 1.0},
    },
    {
        "name": "community", "share": {"well": 0.3, "complex": 0.2}, "share_above": 0.1,
        "providers": {"trust": 0.3, "community": 0.7}, "funders": {"board": 1.0}, "form": "block",
    },
    {
        "name": "social care", "share": {"well": 0.2, "complex": 0.4}, "share_above": 0.2,
        "providers": {"council": 1.0}, "funders": {"board": 0.4, "council": 0.6}, "form": "block",
    },
]  # fmt: skip
LAW = {"kappa": 2.0, "above": 25_000.0}


def raw(services=SERVICES, law=LAW, **parts):
    own = {"services": copy.deepcopy(services)} if services else {}
    if services and law:
        own["service_split"] = dict(law)
    made = copy.deepcopy(RAW) | own
    for key, value in parts.items():
        made[key] = made[key] | value if isinstance(made.get(key), dict) else value
    return made


@pytest.fixture(scope="module")
def ledger():
    return sim.simulate(scenario_from(raw()), progress=False)


# ── the file ─────────────────────────────────────────────────────────────────────────────────────


def test_a_scenario_without_services_keeps_its_id_and_says_nothing_of_them():
    bare = scenario_from(raw(services=()))
    assert not {"services", "service_split"} & set(json.loads(bare.canonical_json()))
    assert bare.scenario_id == "4b3e6b78eba48b4a1f1cfcda669cf713eaa3053fcb7842fdf85118c18ef32b58"
    assert bare.scenario_id != scenario_from(raw()).scenario_id


def test_the_id_follows_what_is_drawn_and_not_who_pays():
    other = copy.deepcopy(SERVICES)
    other[0]["form"] = "block"
    assert scenario_from(raw(other)).scenario_id == scenario_from(raw()).scenario_id
    assert scenario_from(raw(law=LAW | {"kappa": 3.0})).scenario_id != scenario_from(raw()).scenario_id


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda one: one[0].update(share=0.6), "add up to"),
        (lambda one: one[0].update(share={"well": 0.5, "ill": 0.4}), "'ill', which is no segment"),
        (lambda one: one[0].update(rare_services=[]), "'transplant' 0 times"),
        (lambda one: one[1].update(rare_services=["stroke"]), "no rare service in scope"),
        (lambda one: one[1].update(providers={"trust": 0.5}), "add up to 0.5, not 1"),
        (lambda one: one[1].update(cost={"kind": "fixed", "step": 0.1}), "has no meaning for a fixed cost"),
    ],
)
def test_what_does_not_fit_is_one_clear_sentence(change, told):
    wrong = copy.deepcopy(SERVICES)
    change(wrong)
    with pytest.raises(SimulatorError, match=told):
        scenario_from(raw(wrong))


def test_shares_above_a_cost_need_the_cost():
    with pytest.raises(SimulatorError, match="no cost to begin at"):
        scenario_from(raw(law={"kappa": 2.0}))


# ── the law ──────────────────────────────────────────────────────────────────────────────────────


def test_costs_keep_their_bits_beside_services(ledger):
    bare = sim.simulate(scenario_from(raw(services=())), progress=False)
    for name in ("gross_cost", "excess_cost", "above_cost", "n_above"):
        assert np.array_equal(bare[name], ledger[name]), name


def test_lines_add_up_and_none_is_negative(ledger):
    for name in ("gross", "excess", "above"):
        lines = ledger[f"service_{name}_cost"]
        assert float(abs(lines.sum("service") - ledger[f"{name}_cost"]).max()) < 0.005  # to the penny
        assert float(lines.min()) >= 0
    kept = ledger["service_gross_cost"] - ledger["service_excess_cost"].sel(threshold=CAP)
    assert float(kept.min()) >= 0


def test_the_split_does_not_depend_on_chunks_or_on_larger_populations(ledger):
    scenario = scenario_from(raw())
    plan = runs._plans(scenario)[0]
    apart = [draw(plan, np.array([k])) for k in (5, 2)]
    for one, k in zip(apart, (5, 2), strict=True):
        assert np.array_equal(one["service_gross_cost"][0], ledger["service_gross_cost"].values[k])
    longer = scenario.with_simulation(population_sizes=[1_500, 2_000], replicates=6)
    drawn = sim.simulate(longer, progress=False)["service_excess_cost"]
    assert np.array_equal(drawn.values[:, 0], ledger["service_excess_cost"].values[:6, 0])


@pytest.mark.jit_off
def test_a_service_of_units_and_years_adds_up():
    people = {"units": [{"name": "north", "members": 900}, {"name": "south", "members": 600}]}
    few = {"replicates": 20, "thresholds": [CAP], "seed": 3}
    drawn = sim.simulate(scenario_from(raw(population=people) | {"simulation": few}), progress=False)
    lines = drawn["unit_service_gross_cost"].sum("service")
    assert float(abs(lines - drawn["unit_gross_cost"]).max()) < 0.005
    years = {"contract": 2, "persistence": "published"}
    drawn = sim.simulate(scenario_from(raw(years=years, simulation={"replicates": 20})), progress=False)
    assert float(abs(drawn["service_gross_cost"].sum("service") - drawn["gross_cost"]).max()) < 0.005


def exact_lines(scenario, layers=()):
    exact = Exact(scenario.cost_model)
    nodes = Nodes(exact.factors, exact.weights)
    return expected_lines(scenario.split, scenario.cost_model.streams, nodes, runs.heads(scenario), layers)


def test_expected_lines_are_those_drawn_and_add_up_to_the_expected_cost(ledger):
    scenario = scenario_from(raw(shocks=[{"name": "winter", "cv": 0.05}]))
    drawn = sim.simulate(scenario, progress=False)
    at = [(scenario.amounts[CAP], 1.0, 0.0)]
    for layers, excess in (((), 0.0), (at, 1.0)):
        expected = exact_lines(scenario, layers)
        whole = Exact(scenario.cost_model).total(runs.heads(scenario), list(layers)).mean
        assert expected.sum(axis=1) == pytest.approx(whole, rel=1e-9)
        lines = drawn["service_gross_cost"] - excess * drawn["service_excess_cost"].sel(threshold=CAP)
        z = (lines.mean("replicate") - expected) / (lines.std("replicate") / math.sqrt(lines.sizes["replicate"]))
        assert float(abs(z).max()) < 5
        assert float(abs(z + 0.02 * expected.max() / lines.std("replicate")).max()) > 0


@pytest.mark.heavy
@pytest.mark.parametrize("kappa", [2.0, math.inf])
def test_lines_have_the_moments_of_patients_split_one_by_one(kappa):
    file = raw(law=LAW | {"kappa": kappa})
    drawn = sim.simulate(scenario_from(file), progress=False)
    ours = [drawn["service_gross_cost"].values[:, 0]]
    ours.append(ours[0] - drawn["service_excess_cost"].sel(threshold=CAP).values[:, 0])
    theirs = oracles.lines_of_services(file, 3_000, np.random.default_rng(5), CAP)
    for mine, other, tolerance in zip(ours, theirs, (0.05, 0.12), strict=True):
        error = np.sqrt(mine.var(axis=0) / len(mine) + other.var(axis=0) / len(other))
        assert (np.abs(mine.mean(axis=0) - other.mean(axis=0)) < 3 * error).all()
        sds = np.outer(other.std(axis=0), other.std(axis=0))
        assert np.abs(mine.std(axis=0) / other.std(axis=0) - 1).max() < tolerance
        assert (np.abs(np.cov(mine.T) - np.cov(other.T)) / sds).max() < 2 * tolerance


# ── settlement ───────────────────────────────────────────────────────────────────────────────────

PARTIES = [{"name": name} for name in ("board", "council", "trust", "community")]
WITHIN = 1e-9  # of the budget


def designs(**forms):
    return [{"name": "by service", "services": forms, "parties": PARTIES}]


def changed(services, *changes, wanted, replicates=40):
    """Each party's change of surplus under a stress, in every replicate; and the outcomes before and after it."""
    few = raw(services, designs=wanted, simulation={"replicates": replicates})
    scenario = scenario_from(few)
    before, after = (settle_truth(scenario, made, scenario.designs, None) for made in ((), changes))
    return (after["surplus"] - before["surplus"]).isel(population_size=0, design=0), before, after


def with_acute(**parts):
    return [SERVICES[0] | parts, *SERVICES[1:]]


@pytest.mark.parametrize(
    ("cost", "released"),
    [
        ({"kind": "variable"}, 1.0),
        ({"kind": "fixed"}, 0.0),
        ({"kind": "fixed", "variable_share": 0.4}, 0.4),
        ({"kind": "stepped", "after_months": 6.0}, 0.5),
        ({"kind": "stepped", "after_months": 6.0, "variable_share": 0.4}, 0.7),
    ],
)
def test_patients_who_leave_a_tariff_cost_the_provider_their_income_less_what_it_releases(cost, released):
    plain = with_acute(cost=cost)
    move, before, _ = changed(plain, Elsewhere(service="acute", share=0.05), wanted=designs())
    paid = before["payment"].sel(party="trust").isel(population_size=0, design=0)
    block = 0.3 * float(exact_lines(scenario_from(raw(plain)))[0, 1])
    lost = 0.05 * (paid - block)
    usual = released if cost.get("after_months") is None else None
    if usual is not None:  # stepped cost is released with a delay only as far as activity is below the plan
        assert np.allclose(move.sel(party="trust"), -(1 - released) * lost)
        assert np.allclose(move.sel(party="board"), 0.0)  # it pays the same, elsewhere
    expected = float(exact_lines(scenario_from(raw(plain)))[0, 0])
    alone = np.full(3, 0.95 * expected)
    cut = scenario_from(raw(plain)).services[0].cost.change(alone, np.full(3, expected))
    assert np.allclose(cut, -0.05 * released * expected)


def test_a_block_keeps_its_income_when_patients_leave():
    move, before, after = changed(SERVICES, Elsewhere(service="community", share=0.05), wanted=designs())
    assert np.allclose(before["payment"].sel(party="community"), after["payment"].sel(party="community"))
    fixed = [SERVICES[0], SERVICES[1] | {"cost": {"kind": "fixed"}}, SERVICES[2]]
    move, *_ = changed(fixed, Elsewhere(service="community", share=0.05), wanted=designs())
    assert np.allclose(move.sel(party="community"), 0.0)
    assert (move.sel(party="board") < 0).all()  # it pays twice


def test_steps_are_whole_and_come_late():
    cost = scenario_from(raw(with_acute(cost={"kind": "stepped", "after_months": 3.0, "step": 0.02}))).services[0].cost
    planned = np.full(4, 100.0)
    assert cost.change(np.array([95.0, 99.0, 105.0, 96.0]), planned).tolist() == [-3.0, 0.0, 4.0, -3.0]


@pytest.mark.parametrize("form", ["tariff", "block", "pass_through", "capitated"])
def test_activity_moves_what_a_tariff_pays_and_prices_fall_on_who_buys(form):
    wanted = designs(acute=form)
    dearer, before, _ = changed(SERVICES, Price(service="acute", by=0.02), wanted=wanted)
    busier, *_ = changed(SERVICES, Activity(service="acute", by=0.03), wanted=wanted)
    system = before["cost_borne"].sum("party").isel(population_size=0, design=0)
    payer = "board" if form == "pass_through" else "trust"
    assert (dearer.sel(party=payer) < -0.005 * system).all()
    assert float(abs(dearer.drop_sel(party=payer)).max()) < 1e-6
    payer = "trust" if form in ("block", "capitated") else "board"
    assert (busier.sel(party=payer) < -0.008 * system).all()
    assert float(abs(busier.drop_sel(party=payer)).max()) < 1e-6


def test_an_indexed_payment_follows_prices():
    move, *_ = changed(with_acute(indexed=0.25), Price(service="acute", by=0.02), wanted=designs())
    assert np.allclose(move.sel(party="board"), move.sel(party="trust") / 3)


def test_a_pooled_fund_shares_what_it_pays_and_drugs_go_from_pass_through_to_shared_savings():
    open_book = [*SERVICES[:2], SERVICES[2] | {"form": "pass_through"}]
    move, *_ = changed(open_book, Activity(service="social care", by=0.1), wanted=designs())
    assert np.allclose(0.6 * move.sel(party="board"), 0.4 * move.sel(party="council"))
    shared = designs(**{"social care": "capitated"})
    shared[0]["terms"] = [{"kind": "share", "gain": 0.5, "loss": 0.5}]
    after, *_ = changed(open_book, Activity(service="social care", by=0.1), wanted=shared)
    whole = move.sum("party")
    assert np.allclose(after.sel(party="board"), 0.4 * 0.5 * whole)
    assert np.allclose(after.sel(party="council"), (0.6 * 0.5 + 0.5) * whole)  # funds its part, and provides


def test_care_that_moves_between_services_is_paid_where_it_arrives():
    move, *_ = changed(SERVICES, ServiceShift(service="acute", receiver="social care", share=0.1), wanted=designs())
    assert (move.sel(party="board") > 0).all() and (move.sel(party="council") < 0).all()
    assert np.allclose(move.sum("party"), 0.0)
    back, *_ = changed(SERVICES, ServiceShift(service="social care", receiver="acute", share=0.1), wanted=designs())
    assert (back.sel(party="board") < 0).all() and (back.sel(party="council") > 0).all()


FORMS = (
    "tariff", "block", "pass_through", "capitated", {"kind": "marginal_rate", "above": 0.7, "below": 0.5},
    {"kind": "cost_and_volume", "threshold": 0.98, "ceiling": 1.02, "marginal_price": 0.5},
)  # fmt: skip
COSTS = ({"kind": "variable"}, {"kind": "fixed"}, {"kind": "stepped", "after_months": 4.0, "step": 0.01})


@pytest.mark.heavy
@given(st.data())
def test_changes_of_the_parties_add_up_to_that_of_the_system(data):
    draw_one = data.draw
    services = []
    for one in SERVICES:
        part = draw_one(st.integers(0, 10)) / 10
        services.append(
            one
            | {"form": draw_one(st.sampled_from(FORMS)), "cost": draw_one(st.sampled_from(COSTS))}
            | {"indexed": draw_one(st.sampled_from([0.0, 0.3, 1.0])), "providers": {"trust": part, "council": 1 - part}}
            | {
                "activity_cv": draw_one(st.sampled_from([0.0, 0.05])),
                "price_cv": draw_one(st.sampled_from([0.0, 0.03])),
            }
        )
    names = [one["name"] for one in services]
    by = draw_one(st.floats(-0.3, 0.3))
    changes = [
        Activity(service=draw_one(st.sampled_from(names)), by=by), Price(by=by / 2),
        Elsewhere(service=draw_one(st.sampled_from(names)), share=abs(by)),
        ServiceShift(service=names[0], receiver=names[1], share=abs(by)),
    ]  # fmt: skip
    wanted = [
        {"name": "by service", "services": {}, "parties": PARTIES, "exclusion": {"kind": "cap", "at": CAP}},
        {
            "name": "in whole",
            "parties": [{"name": "board", "funds": 1.0}, {"name": "trust", "delivers": 1.0, "variable_share": 0.5}],
        },
    ]
    chosen = [change for change in changes if draw_one(st.booleans())]
    _, before, after = changed(services, *chosen, wanted=wanted, replicates=3)
    assert imbalance(before) < WITHIN and imbalance(after) < WITHIN
    parties = (after["surplus"] - before["surplus"]).sum("party")
    system = after["system_cost"] - before["system_cost"]
    assert float((abs(parties + system) / before["budget"]).max()) < WITHIN


@pytest.mark.heavy
def test_settled_surpluses_have_the_moments_of_patients_split_one_by_one():
    file = raw(designs=designs(acute={"kind": "marginal_rate", "above": 0.7, "below": 0.5}))
    scenario = scenario_from(file)
    ours = sim.settle(sim.simulate(scenario, progress=False), scenario.designs)["surplus"]
    ours = ours.isel(population_size=0, design=0)
    lines, _ = oracles.lines_of_services(file, 3_000, np.random.default_rng(6))
    planned = exact_lines(scenario)[0]
    over = lines - planned
    acute = np.where(over[:, 0] > 0, 0.7, 0.5) * over[:, 0]
    theirs = {
        "board": -acute, "trust": acute - over[:, 0] - 0.3 * over[:, 1], "community": -0.7 * over[:, 1],
        "council": -over[:, 2],
    }  # fmt: skip
    for name, other in theirs.items():
        mine = ours.sel(party=name).values
        error = math.sqrt(mine.var() / mine.size + other.var() / other.size)
        assert abs(mine.mean() - other.mean()) < 3 * error, name
        assert abs(mine.std() / other.std() - 1) < 0.06, name


def test_prices_of_a_contract_on_past_activity_fall_on_its_provider_alone():
    """Arrangement 20: the provider absorbs costs, and a price rise is not activity."""
    scenario = sim.load("configs/arrangements/20-whittington.toml").resized([50_000], replicates=30)
    designs_of_file = sim.load("configs/arrangements/20-whittington.toml").designs
    dearer = sim.stress(scenario, [Stress(name="prices", changes=(Price(by=0.02),))], designs_of_file)
    base = sim.settle(sim.simulate(scenario, progress=False), designs_of_file)
    cost = float(base["cost_borne"].sel(party="provider").mean())
    move = dearer["surplus_difference"].sel(stress="prices").isel(design=0)
    assert float(move.sel(party="provider")) == pytest.approx(-0.02 * cost, rel=1e-9)
    assert float(move.sel(party="commissioner")) == 0.0


def test_a_design_by_service_is_refused_where_nothing_tells_its_lines():
    scenario = scenario_from(raw(designs=designs(), simulation={"replicates": 5}))
    bare = sim.simulate(scenario_from(raw(services=(), simulation={"replicates": 5})), progress=False)
    with pytest.raises(SimulatorError, match="settled by service, and the ledger has none"):
        sim.settle(bare, scenario.designs)
    with pytest.raises(SimulatorError, match="settled by service, which follows more"):
        sim.payoff(scenario.designs, scenario=scenario, members=1_500)
    with pytest.raises(SimulatorError, match="need party 'community'"):
        scenario_from(raw(designs=[designs()[0] | {"parties": PARTIES[:3]}]))
    with pytest.raises(SimulatorError, match="is no service"):
        scenario_from(raw(designs=designs(dental="block")))


def test_one_budget_of_two_funders_is_paid_by_their_parts_wherever_care_is_given():
    every = designs(acute="capitated", community="capitated", **{"social care": "capitated"})
    every[0]["terms"] = [{"kind": "share", "gain": 0.5, "loss": 0.5}]
    move, *_ = changed(SERVICES, ServiceShift(service="acute", receiver="social care", share=0.1), wanted=every)
    assert float(abs(move.sel(party="board")).max()) < 1e-6
    planned = exact_lines(scenario_from(raw()))[0]
    parts = np.array([planned @ [1.0, 1.0, 0.4], planned @ [0.0, 0.0, 0.6]])
    move, before, _ = changed(SERVICES, Activity(service="acute", by=0.1), wanted=every)
    both = before["funding"].isel(population_size=0, design=0).sel(party=["board", "council"])
    assert np.allclose(both, parts)
    assert np.allclose(move.sel(party="board") / parts[0], -0.05 * move_of(SERVICES) / parts.sum())


def move_of(services, replicates=40):
    """What acute activity is in every replicate."""
    drawn = sim.simulate(scenario_from(raw(services, simulation={"replicates": replicates})), progress=False)
    return drawn["service_gross_cost"].sel(service="acute").values[:, 0]


def test_a_run_with_services_is_kept_taken_further_and_settled_from_its_file(tmp_path):
    scenario = scenario_from(raw(designs=designs(), simulation={"replicates": 6}))
    whole = sim.simulate(scenario, progress=False)
    sim.save(whole.isel(replicate=slice(4)), tmp_path / "run.nc")
    longer = extend(sim.open_ledger(tmp_path / "run.nc"), scenario)
    for name in ("service_gross_cost", "service_above_cost"):
        assert np.array_equal(longer[name], whole[name]), name
    compared = sim.compare(sim.settle(longer, scenario.designs))
    assert float(compared["expected_service_cost"].sum()) == pytest.approx(float(whole["gross_cost"].mean()))
    assert "Services, before exclusions" in str(sim.table(compared))
