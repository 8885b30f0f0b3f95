"""Where two features met and one was forgotten: each fault with its figures, and a control."""

from __future__ import annotations

import math

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import FAMILIES, RARE, SEGMENTS, SETS, SHOCKS, alone, diagonal, every, make
from features import toml_of

import simulator as sim
from simulator.analysis.size.viable import viable_terms
from simulator.analysis.stress.changed_scenario import draw_truth, truth_of
from simulator.contracts.budget import BySegment
from simulator.contracts.design import STATUS_QUO
from simulator.ledger import by_unit
from simulator.present.cli.main import main
from simulator.present.pictures import PICTURES, drawable
from simulator.present.plot_request import PlotRequest, open_any
from simulator.stresses import Epidemic, Inflation, NewTreatment, Prevalence, Stress, UpCoding

OWN = [
    {"name": "north", "members": 6_000},
    {"name": "south", "members": 9_000, "shares": {"well": 0.2, "complex": 0.8}},
    {"name": "old town", "members": 3_000, "shares": {"complex": 1.0}},
]
POOLED = {"well": (0.7 * 6 + 0.2 * 9) / 18, "complex": (0.3 * 6 + 0.8 * 9 + 3) / 18}
"""Shares over all units, by hand."""

FIXED = {"kind": "per_head", "amount": 2_000.0}


def own(**changes):
    """Three units, two of which have shares of their own."""
    population = {"units": OWN, **changes.pop("population", {})}
    simulation = {"replicates": 200, **changes.pop("simulation", {})}
    return make(population=population, simulation=simulation, **changes)


def one_population(members=18_000, **changes):
    """As many people of the units' case mix, without units."""
    segments = [segment | {"share": POOLED[segment["name"]]} for segment in SEGMENTS]
    population = {"segments": segments, **changes.pop("population", {})}
    simulation = {"population_sizes": [members], "replicates": 200, **changes.pop("simulation", {})}
    return make(population=population, simulation=simulation, **changes)


# ── units with shares of their own ───────────────────────────────────────────────────────────────


def test_the_shares_of_all_are_those_of_the_units():
    np.testing.assert_allclose(own().cost_model.shares, list(POOLED.values()))
    alike = make(population={"units": [{"name": "north", "members": 60}]}, simulation={"replicates": 2})
    np.testing.assert_array_equal(alike.cost_model.shares, make().cost_model.shares)


@pytest.mark.heavy
@pytest.mark.parametrize("membership", ["fixed", "sampled"])
@pytest.mark.parametrize("budget", [FIXED, {"kind": "by_segment", "amounts": {"well": 700.0, "complex": 4_000.0}}])
def test_as_agreed_is_what_settles(membership, budget):
    design = sim.Design.model_validate({"name": "full risk", "budget": budget})
    scenario = own(population={"membership": membership})
    settled = sim.compare(sim.settle(sim.simulate(scenario, progress=False), design))["expected_surplus"]
    agreed = sim.stress(scenario, [Stress(name="dear", changes=(Inflation(by=0.1),))], [design]).sel(stress="as agreed")
    np.testing.assert_allclose(agreed["expected_surplus"].values, settled.isel(population_size=0).values, rtol=1e-12)
    forgotten = make(
        population={"membership": membership}, simulation={"replicates": 200, "population_sizes": [18_000]}
    )
    wrong = sim.compare(sim.settle(sim.simulate(forgotten, progress=False), design))["expected_surplus"]
    assert abs(wrong.sel(party="provider").item() / settled.sel(party="provider").item() - 1) > 0.1


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("membership", every(2, ["fixed", "sampled"], 1))
@pytest.mark.parametrize("ask", [
    lambda s: sim.luck(s, 5_000, 0.02)["sd_overspend"],
    lambda s: sim.exact_curve(s, sizes=(2_000, 50_000))["exact_cv"],
    lambda s: sim.fair_price(s, 5_000)["price_pmpy"],
    lambda s: sim.compare_rules(s, 5_000, expected_excess_pmpy=100.0)["sd_retained_pmpy"],
    lambda s: sim.minimum_population(s, "cv", at_most=0.02)["exact_minimum_population"],
    lambda s: viable_terms(s, 5_000)["provider_share"],
    lambda s: np.array([row["mean"] for row in [sim.describe(s)]]),
    lambda s: np.array([sim.describe(s)["top_share"]["0.05"]]),
], ids=["luck", "curve", "price", "rules", "minimum", "terms", "mean", "top share"])  # fmt: skip
def test_any_number_of_people_has_the_case_mix_of_all_units(ask, membership):
    """The same figures as of one population that is given the units' case mix; not those of the segments' shares."""
    shares = {"population": {"membership": membership}, "simulation": {"thresholds": [5_000.0, 20_000.0]}}
    found, right = np.asarray(ask(own(**shares))), np.asarray(ask(one_population(**shares)))
    np.testing.assert_allclose(found, right, rtol=1e-6)
    forgotten = np.asarray(ask(make(**shares)))
    assert not np.allclose(found, forgotten, rtol=0.01, equal_nan=True)


def test_thresholds_by_percentile_are_those_of_the_people_who_are_drawn():
    percentiles = {"simulation": {"thresholds": {"percentiles": [0.95, 0.99]}}}
    found, right = own(**percentiles).threshold_amounts, one_population(**percentiles).threshold_amounts
    np.testing.assert_allclose(found, right, rtol=1e-9)
    assert not np.allclose(found, make(**percentiles).threshold_amounts, rtol=0.05)


def test_all_of_their_people_are_drawn_unit_by_unit():
    scenario = own(population={"membership": "sampled"})
    drawn, same = draw_truth(scenario, []), sim.simulate(scenario, progress=False)
    np.testing.assert_array_equal(drawn["gross_cost"], same["gross_cost"])
    sd = sim.luck(scenario, 18_000, 0.0)["sd_overspend"]
    exact = sim.exact(scenario)
    np.testing.assert_allclose(
        sd.isel(risk=0), (exact["sd_cost"] / exact["budget"]).isel(population_size=0), rtol=1e-12
    )


def test_a_segment_that_no_unit_has_costs_nothing():
    nobody = [{"name": "north", "members": 900, "shares": {"well": 1.0}}]
    scenario = make(population={"units": nobody}, simulation={"replicates": 50})
    alone_well = sim.describe(make(population={"segments": [SEGMENTS[0] | {"share": 1.0}]}))["mean"]
    assert sim.describe(scenario)["mean"] == pytest.approx(alone_well, rel=1e-9)
    assert sim.exact_curve(scenario, sizes=(500,))["exact_cv"].notnull().all()


def test_prevalence_moves_people_in_every_unit_that_has_others():
    truth = truth_of(own(), [Prevalence(segment="complex", by=0.1)])
    shares = {
        unit.name: dict(zip(POOLED, truth.cost_model.unit_shares(unit), strict=True)) for unit in truth.population.units
    }
    assert shares["north"]["complex"] == pytest.approx(0.33) and shares["south"]["complex"] == pytest.approx(0.88)
    assert shares["old town"]["complex"] == 1.0
    with pytest.raises(sim.SimulatorError, match="share of 'complex' in 'south'"):
        truth_of(own(), [Prevalence(segment="complex", by=0.3)])


# ── every stress, whoever the people are ─────────────────────────────────────────────────────────

BY_SEGMENT = sim.Design(
    name="by need", budget=BySegment(kind="by_segment", amounts={"well": 700.0, "complex": 4_000.0})
)
WHO = {
    "fixed": {},
    "sampled": {"population": {"membership": "sampled"}},
    "units": {"population": {"units": OWN}},
    "units sampled": {"population": {"units": OWN, "membership": "sampled"}},
    "sets": {"population": {"parameter_sets": SETS}},
    "sets sampled": {"population": {"parameter_sets": SETS, "membership": "sampled"}, "shocks": SHOCKS[:1]},
    "rare": {"population": {"rare_services": RARE, "membership": "sampled"}},
    "shocks": {"shocks": SHOCKS},
}  # fmt: skip


@pytest.mark.heavy
@pytest.mark.parametrize("who", WHO)
def test_up_coding_pays_for_those_who_are_recorded_as_dearer(who):
    """People moved × the difference of the amounts, whoever is drawn: by hand from the ledger."""
    scenario = make(**{"simulation": {"replicates": 100}} | WHO[who])
    change = UpCoding(source="well", recorded_as="complex", share=0.05)
    coded = sim.stress(scenario, [Stress(name="up", changes=(change,))], [BY_SEGMENT])
    ledger = sim.simulate(scenario, progress=False).isel(population_size=-1)
    drawn = "members" in ledger
    expected = np.round(scenario.cost_model.shares[0] * scenario.population_sizes[-1])
    well = float(ledger["members"].sel(segment="well").mean() if drawn else expected)
    gained = coded["surplus_difference"].sel(stress="up", party="provider").item()
    # with several sizes the largest population is drawn anew, with a case mix of its own
    assert gained == pytest.approx(0.05 * well * 3_300.0, rel=0.02 if drawn else 1e-9)
    assert coded["surplus_difference"].sel(stress="up", party="payer").item() == pytest.approx(-gained)


def test_nobody_is_recorded_as_what_he_is():
    with pytest.raises(Exception, match="records people of 'well' as what they are"):
        UpCoding(source="well", recorded_as="well", share=0.1)


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("who", every(2, list(WHO)))
def test_stresses_of_nothing_change_nothing(who):
    idle = (
        Epidemic(probability=0.3, by=0.0),
        NewTreatment(price=9_000.0, per_100k=0.0),
        Inflation(by=0.0),
        Prevalence(segment="complex", by=0.0),
        UpCoding(source="well", recorded_as="complex", share=0.0),
    )
    scenario = make(**{"simulation": {"replicates": 40}} | WHO[who])
    answer = sim.stress(scenario, [Stress(name=one.kind, changes=(one,)) for one in idle], [BY_SEGMENT])
    np.testing.assert_allclose(answer["surplus_difference"], 0.0, atol=1e-6)


# ── no exclusion is a point of every grid ────────────────────────────────────────────────────────

GRIDS = {
    "money": [5_000.0, 20_000.0],
    "percentiles": {"percentiles": [0.95, 0.99]},
    "percentiles to 1": {"percentiles": [0.95, 1.0]},
    "by segment": {"percentiles": [0.95, 1.0], "by": "segment"},
    "with inf": [5_000.0, math.inf],
}
PLAIN = {
    "segments": [
        {"name": "all", "share": 1.0, "p_user": 0.6, "severity": {"family": "gamma", "mean": 3_000.0, "cv": 1.4}}
    ]
}


NOBODY = (sim.Cap(at=math.inf), sim.CarveOut(at=math.inf), sim.Coinsure(at=math.inf, share=0.5))


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize(("grid", "rule"), diagonal(list(GRIDS), NOBODY), ids=lambda one: getattr(one, "kind", one))
def test_no_exclusion_is_gross_cost_on_any_grid(grid, rule):
    simulation = {"thresholds": GRIDS[grid], "replicates": 200, "population_sizes": [2_000]}
    scenario = make(population=PLAIN, simulation=simulation)
    ledger = sim.simulate(scenario, progress=False)
    np.testing.assert_array_equal(sim.retained_cost(ledger, rule).squeeze("threshold"), ledger["gross_cost"])
    summary, exact = sim.summarise(ledger, rule), sim.exact(scenario, rule)
    assert summary.attrs["check"] == "passed" and exact["expected_overspend"].notnull().all()
    wide = make(population=PLAIN, simulation=simulation | {"thresholds": [math.inf]})
    np.testing.assert_allclose(exact["p_overspend"], sim.exact(wide)["p_overspend"], atol=1e-12)
    design = sim.Design(name="none", exclusion=rule)
    found = sim.exact_settlement(scenario, [design]).sel(party="provider")
    assert found["expected_surplus"].item() == pytest.approx(0.0, abs=1e-6 * exact["budget"].item())
    assert "no exclusion" in str(sim.table(summary)) and "inf%" not in str(sim.table(summary))


@pytest.mark.parametrize("keep", [False, True])
def test_the_hundredth_percentile_carves_nobody_out(keep):
    grid = {"thresholds": {"percentiles": [0.95, 1.0]}, "replicates": 200, "population_sizes": [2_000]}
    scenario = make(population=PLAIN, simulation=grid)
    design = sim.Design(name="none", exclusion=sim.CarveOut(at=1.0, keep_capitation=keep))
    assert sim.exact_settlement(scenario, [design])["expected_surplus"].notnull().all()
    assert sim.exact(scenario, design.exclusion)["expected_overspend"].notnull().all()
    real = sim.CarveOut(at=0.95)
    assert sim.exact(scenario, real)["expected_overspend"].isnull().all()  # a ratio of random sums has no series


def test_a_threshold_off_the_grid_is_still_refused():
    ledger = sim.simulate(make(), progress=False)
    with pytest.raises(sim.SimulatorError, match="is not on the ledger's grid"):
        sim.retained_cost(ledger, sim.Cap(at=6_000.0))


# ── observed costs ───────────────────────────────────────────────────────────────────────────────

MANY = np.round(np.random.default_rng(1).lognormal(7.0, 1.5, 800), 2).tolist()


@pytest.mark.parametrize("values", [[100.0, 1_000.0, 10_000.0], FAMILIES["empirical"]["values"], MANY],
                         ids=["three", "seven", "many"])  # fmt: skip
@pytest.mark.parametrize("asked", [20.0, 200.0])
def test_rules_remove_as_much_as_asked_or_are_not_compared(values, asked):
    answer = sim.compare_rules(alone({"family": "empirical", "values": values}), 1_000, expected_excess_pmpy=asked)
    removed = answer["removed_pmpy"]
    assert removed.sel(rule=["cap", "coinsured", "banded"]).values == pytest.approx(asked, rel=1e-5)
    carved = removed.sel(rule="carve-out").item()
    assert math.isnan(carved) or carved == pytest.approx(asked, rel=0.01)


@pytest.mark.heavy
def test_a_carve_out_of_many_observed_costs_comes_close_at_a_round_threshold():
    answer = sim.compare_rules(alone({"family": "empirical", "values": MANY}, shocks=SHOCKS[:1]), 1_000,
                               expected_excess_pmpy=200.0).sel(rule="carve-out")  # fmt: skip
    assert answer["removed_pmpy"].item() == pytest.approx(200.0, rel=0.01)
    threshold = answer["rule_threshold"].item()
    assert threshold == float(f"{threshold:.3g}") and threshold not in MANY


def test_rules_are_compared_where_a_service_is_dearer_than_any_person():
    dear = [RARE[0] | {"price": {"family": "lognormal", "mean": 300_000.0, "cv": 0.3}}]
    scenario = alone({"family": "gamma", "mean": 500.0, "cv": 1.0}, population={"rare_services": dear})
    answer = sim.compare_rules(scenario, 1_000, expected_excess_pmpy=20.0)
    assert answer["removed_pmpy"].isel(rule=slice(4)).values == pytest.approx(20.0, rel=1e-6)


@pytest.mark.parametrize("membership", ["fixed", "sampled"])
def test_a_budget_by_segment_needs_no_observed_cost(membership):
    segments = [SEGMENTS[0] | {"severity": FAMILIES["empirical"]}, SEGMENTS[1]]
    kept = own(population={"segments": segments, "membership": membership})
    ledger = sim.simulate(kept, progress=False)
    assert "withheld" in ledger.attrs["scenario"]
    for drawn, places in ((ledger, 1), (by_unit(ledger), 3)):
        budget = sim.settle(drawn, BY_SEGMENT)["budget"].isel(design=0).mean("replicate")
        if membership == "fixed":
            people = [4_200 * 700.0 + 1_800 * 4_000.0, 1_800 * 700.0 + 7_200 * 4_000.0, 3_000 * 4_000.0]
            np.testing.assert_allclose(budget, people if places == 3 else [sum(people)])
        assert budget.size == places and budget.notnull().all()


# ── swept designs ────────────────────────────────────────────────────────────────────────────────

SWEPT = {"name": "swept", "exclusion": {"kind": "cap"}}
STRESSES = [{"name": "dear", "changes": [{"kind": "inflation", "by": 0.05}]}]


def written(folder, *designs, **changes):
    """A scenario file with a stress and these designs, and the file of its run."""
    from conftest import raw

    scenario, ledger = folder / "s.toml", folder / "s.nc"
    scenario.write_text(toml_of(raw(designs=list(designs), stresses=STRESSES, **changes)), encoding="utf-8")
    assert CliRunner().invoke(main, ["run", str(scenario), "--out", str(ledger)]).exit_code == 0
    return str(scenario), str(ledger)


LEFT_OUT = "Left out because they have no threshold of their own: swept."


@pytest.mark.heavy
def test_one_swept_design_leaves_the_others_to_be_stressed(tmp_path):
    scenario, _ = written(tmp_path, SWEPT, {"name": "full risk"})
    done = CliRunner().invoke(main, ["stress", scenario])
    assert done.exit_code == 0 and "full risk" in done.stdout
    assert LEFT_OUT in done.stdout
    sized = CliRunner().invoke(
        main,
        ["size", scenario, "--statistic", "p_loss", "--loss-over", "0.1", "--largest", "900"],
    )
    assert sized.exit_code == 0 and LEFT_OUT in sized.stdout
    reverse = CliRunner().invoke(main, ["stress", scenario, "--reverse", "provider"])
    assert reverse.exit_code == 0 and "full risk" in reverse.stdout


def test_swept_designs_alone_are_refused_in_one_sentence(tmp_path):
    scenario, ledger = written(tmp_path, SWEPT)
    done = CliRunner().invoke(main, ["stress", scenario])
    assert done.exit_code == 2 and "has no threshold of its own" in done.stderr
    named = drawable(PlotRequest(ledger, open_any(ledger)))
    assert not {"stress-heat-map", "layer-waterfall"} & set(named) and "who-bears" in named


def test_a_grid_of_one_point_leaves_nothing_to_sweep():
    scenario = make(simulation={"thresholds": [20_000.0], "replicates": 40}, designs=[SWEPT])
    (design,) = scenario.select_designs()
    assert design.exclusion == sim.Cap(at=20_000.0)
    stressed = sim.stress(scenario, [Stress(name="dear", changes=(Inflation(by=0.1),))])
    assert stressed["expected_surplus"].notnull().all()


FULL = {"name": "full risk"}
OF_DESIGNS = {"layer-waterfall", "payoff-diagram", "stress-heat-map", "threshold-effect", "who-bears"}


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize(("designs", "grid"), diagonal([(SWEPT, FULL), (SWEPT,), (FULL,)], list(GRIDS), 5))
def test_every_picture_that_is_named_can_be_made(tmp_path, designs, grid):
    simulation = {"thresholds": GRIDS[grid], "replicates": 60, "population_sizes": [200, 900]}
    _, ledger = written(tmp_path, *designs, simulation=simulation, population=PLAIN)
    asked = PlotRequest(ledger, open_any(ledger))
    for name in OF_DESIGNS & set(drawable(asked)):
        assert len(PICTURES[name].figures(PICTURES[name].make(asked))), name


@pytest.mark.heavy
def test_the_waterfall_is_of_the_first_design_that_has_a_threshold(tmp_path):
    _, ledger = written(tmp_path, SWEPT, {"name": "full risk"})
    asked = PlotRequest(ledger, open_any(ledger))
    assert PICTURES["layer-waterfall"].make(asked).attrs["design"] == "full risk"
    refused = CliRunner().invoke(
        main, ["plot", ledger, "--kind", "layer-waterfall", "--design", "swept", "-o", str(tmp_path / "p.png")]
    )
    assert refused.exit_code == 2 and "has no threshold of its own" in refused.stderr
    assert STATUS_QUO not in asked.placed


@pytest.mark.heavy
def test_a_run_of_observed_costs_is_settled_and_drawn_by_its_designs(tmp_path):
    """The file withholds the costs, and nothing else: designs are told, and budgets that need no law."""
    segments = [SEGMENTS[0] | {"severity": FAMILIES["empirical"]}, SEGMENTS[1]]
    designs = ({"name": "by need", "budget": {"kind": "by_segment", "amounts": {"well": 700.0, "complex": 4_000.0}}},)
    _, ledger = written(tmp_path, *designs, population={"segments": segments})
    settled = CliRunner().invoke(main, ["settle", ledger])
    assert settled.exit_code == 0 and "by need" in settled.stdout
    named = drawable(PlotRequest(ledger, open_any(ledger)))
    assert {"who-bears", "layer-waterfall"} <= set(named)
    assert not {"payoff-diagram", "stress-heat-map", "risk-split"} & set(named)  # these need the law
