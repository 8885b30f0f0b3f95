"""Stresses: what each changes, exactly; who is hurt, paired; and how far until somebody breaks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import LOGNORMAL, ROOT, SEGMENTS, SPLICED, alone, make
from pydantic import ValidationError

import simulator as sim
from simulator.analysis.statistics.self_check import cells_of
from simulator.analysis.stress.changed_scenario import draw_truth, truth_of
from simulator.analysis.stress.reverse import reverse_stress
from simulator.analysis.stress.stress import BASE, TOGETHER, stress
from simulator.contracts.design import Design
from simulator.costs.quadrature import Moments
from simulator.present.cli.verbs.stress import stress as stress_verb
from simulator.runs import heads
from simulator.stresses import (
    BaselineError,
    CostShift,
    Epidemic,
    FailedSavings,
    Inflation,
    Leakage,
    MeanCost,
    NewTreatment,
    Prevalence,
    Stress,
    TailIndex,
    UpCoding,
    at_once,
    load_stresses,
)

BOOK = make(simulation={"population_sizes": [4_000], "thresholds": [20_000.0, math.inf], "replicates": 1_500})
FULL = Design(name="full risk")
HALF = Design(name="half", terms=({"kind": "share", "gain": 0.5, "loss": 0.5},))


def person_mean(scenario):
    """Of the exact moments, which cost nothing beside the exact law."""
    cells = cells_of(scenario, sim.Cap(), [math.inf], heads(scenario))
    return float(cells.mean[-1, 0]) / scenario.population_sizes[-1]


# ── what a change changes ────────────────────────────────────────────────────────────────────────

SEVERITIES = [
    LOGNORMAL, SPLICED, {"family": "lognormal", "mu": 6.0, "sigma": 1.5},
    {"family": "gamma", "shape": 0.6, "scale": 900.0},
    {"family": "weibull", "mean": 900.0, "cv": 1.4}, {"family": "pareto", "alpha": 4.5, "scale": 300.0},
    {"family": "lomax", "mean": 800.0, "cv": 1.3}, {"family": "gpd", "shape": 0.1, "scale": 800.0},
    {"family": "burr", "c": 2.0, "d": 3.0, "scale": 700.0}, {"family": "burr", "mean": 900.0, "cv": 1.6, "tail": 5.0},
    {"family": "gengamma", "mu": 6.0, "sigma": 0.9, "q": 0.4},
    {"family": "gengamma", "shape": 2.0, "power": 0.8, "scale": 90.0},
    {"family": "gb2", "a": 1.6, "p": 0.8, "q": 4.0, "scale": 700.0},
    {"family": "empirical", "values": [10.0, 500.0, 9_000.0], "weights": [3.0, 2.0, 1.0]},
    {"family": "empirical", "quantiles": {"0": 0.0, "0.5": 400.0, "1": 9_000.0}},
    {"family": "mixture", "components": [{"weight": 0.6, "severity": LOGNORMAL}, {"weight": 0.4, "severity": SPLICED}]},
]  # fmt: skip


@pytest.mark.parametrize("severity", SEVERITIES, ids=lambda s: f"{s['family']}-{len(s)}")
def test_scaling_multiplies_every_moment_and_keeps_the_shape(severity):
    given = alone(severity).population.segments[0].users_severity
    made = given.scaled(1.3)
    before, after = Moments(given).raw, Moments(made).raw
    assert after[1:4] == pytest.approx(before[1:4] * 1.3 ** np.arange(1, 4), rel=1e-9)
    assert made.tail_index == pytest.approx(given.tail_index)


@pytest.mark.parametrize(
    ("change", "factor"),
    [
        (MeanCost(by=0.05), 1.05),
        (Inflation(by=-0.02), 0.98),
        (BaselineError(by=0.03), 1.03),
        (FailedSavings(planned=0.1, failed=0.5), 0.95 / 0.9),
        (FailedSavings(planned=0.1, failed=0.0), 1.0),
        (CostShift(share=0.04), 0.96),
        (Leakage(share=0.1, price=1.2, stranded=0.5), 1.07),
        (UpCoding(source="well", recorded_as="complex", share=0.2), 1.0),
        (NewTreatment(price=1_800_000, per_100k=0.5), None),
    ],
    ids=lambda c: getattr(c, "kind", ""),
)
def test_the_mean_moves_as_said(change, factor):
    wanted = person_mean(BOOK) * factor if factor else person_mean(BOOK) + 9.0  # 1.8m / 200,000
    assert person_mean(truth_of(BOOK, [change])) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("change", [Leakage(share=1.0, price=0.0, stranded=0.0), MeanCost(by=1e308)])
def test_costs_that_nobody_can_have_are_refused_in_one_sentence(change):
    with pytest.raises(sim.SimulatorError, match=r"costs of 'well': cannot be multiplied by \S+; let the stress"):
        truth_of(BOOK, [change])


def test_a_segment_alone_may_cost_more():
    part = 0.3 * person_mean(make(population={"segments": [SEGMENTS[1] | {"share": 1.0}]}))
    assert person_mean(truth_of(BOOK, [MeanCost(by=0.1, segment="complex")])) == pytest.approx(
        person_mean(BOOK) + 0.1 * part, rel=1e-4
    )


def test_prevalence_keeps_shares_adding_to_one():
    truth = truth_of(BOOK, [Prevalence(segment="complex", by=0.5)])
    assert [segment.share for segment in truth.population.segments] == pytest.approx([0.55, 0.45])


@pytest.mark.parametrize(
    "severity",
    [
        {"family": "gb2", "a": 1.6, "p": 0.8, "q": 4.0, "scale": 700.0},
        {"family": "gb2", "mean": 900.0, "cv": 1.2, "tail": 5.0, "p": 0.7},
        {"family": "burr", "c": 2.0, "d": 3.0, "scale": 700.0},
        {"family": "burr", "mean": 900.0, "cv": 1.2, "tail": 5.0},
    ],
)
def test_a_heavier_tail_of_a_family_of_several_figures(severity):
    given = alone(severity).population.segments[0].users_severity
    made = truth_of(alone(severity), [TailIndex(by=-0.2)]).population.segments[0].users_severity
    assert made.tail_index == pytest.approx(0.8 * given.tail_index)


def test_a_heavier_tail_leaves_the_body_alone():
    truth = truth_of(BOOK, [TailIndex(by=-0.2)]).population.segments[1].users_severity
    given = BOOK.population.segments[1].users_severity
    assert truth.tail_index == pytest.approx(0.8 * given.tail_index)
    assert truth.sf(10_000.0) == pytest.approx(given.sf(10_000.0))
    assert truth.sf(100_000.0) > given.sf(100_000.0)


def test_nothing_changes_at_a_leading_figure_of_zero():
    changes = [
        MeanCost(by=1.0), TailIndex(by=0.5), Prevalence(segment="well", by=0.2),
        NewTreatment(price=5.0, per_100k=9.0), CostShift(share=0.5),
        Leakage(share=0.5), UpCoding(source="well", recorded_as="complex", share=0.5), FailedSavings(planned=0.3),
    ]  # fmt: skip
    for change in changes:
        assert person_mean(truth_of(BOOK, [change.at(0.0)])) == pytest.approx(person_mean(BOOK), rel=1e-12), change.kind
        assert change.at(0.0).strength == 0


def test_an_epidemic_comes_as_often_as_said_and_costs_as_much():
    plain = draw_truth(BOOK, [])["gross_cost"].values[:, 0]
    struck = draw_truth(BOOK, [Epidemic(probability=0.2, by=0.5)])["gross_cost"].values[:, 0]
    ratio = struck / plain
    hit = ratio > 1.25
    assert abs(hit.mean() - 0.2) < 4.5 * math.sqrt(0.2 * 0.8 / 1_500)
    assert ratio[~hit] == pytest.approx(1.0)
    assert ratio[hit].mean() == pytest.approx(1.5, abs=0.005)  # the same people, but for who counts as a large claim
    assert np.abs(ratio[hit] - 1.5).max() < 0.15
    both = draw_truth(BOOK, [Epidemic(probability=0.2, by=0.5), Epidemic(probability=1.0, by=0.1)])[
        "gross_cost"
    ].values[:, 0]
    assert (both / struck).mean() == pytest.approx(1.1, rel=1e-3)


@pytest.mark.heavy
def test_up_coding_is_noticed_by_a_budget_by_segment_alone():
    amounts = {"well": 600.0, "complex": 4_500.0}
    by_segment = Design(name="by need", budget={"kind": "by_segment", "amounts": amounts})
    coded = Stress(name="coded", changes=(UpCoding(source="well", recorded_as="complex", share=0.1),))
    answer = stress(BOOK, [coded], [by_segment, FULL], replicates=60)
    gain = answer["surplus_difference"].sel(stress="coded", party="provider")
    assert float(gain.sel(design="by need")) == pytest.approx(0.1 * 2_800 * 3_900.0, rel=1e-9)
    assert float(gain.sel(design="full risk")) == 0


def test_budgets_do_not_know_of_the_stress():
    ledger = draw_truth(BOOK, [Inflation(by=0.1)])
    outcome = sim.settle(ledger, [FULL])
    assert outcome["budget"].values == pytest.approx(4_000 * person_mean(BOOK))


# ── who is hurt ──────────────────────────────────────────────────────────────────────────────────

DEARER = Stress(name="dearer", changes=(Inflation(by=0.03),))
SHIFTED = Stress(name="shifted", changes=(CostShift(share=0.02),))


@pytest.fixture(scope="module")
def answer():
    return stress(BOOK, [DEARER, SHIFTED], [FULL, HALF])


def test_a_rise_in_cost_falls_where_the_design_says(answer):
    mean = 4_000 * person_mean(BOOK)
    hurt = answer.sel(stress="dearer")
    for design, share in (("full risk", 1.0), ("half", 0.5)):
        for party, part in (("provider", share), ("payer", 1 - share)):
            cell = hurt.sel(design=design, party=party)
            error = max(float(cell["surplus_difference_se"]), 1e-6)
            assert abs(float(cell["surplus_difference"]) + 0.03 * part * mean) < 4.5 * error, (design, party)


def test_differences_are_paired(answer):
    paired = answer["surplus_difference_se"].sel(stress="dearer", design="full risk", party="provider")
    assert paired < 0.35 * answer["expected_surplus_se"].sel(stress="dearer", design="full risk", party="provider")
    assert (answer["surplus_difference"].sel(stress=BASE) == 0).all()


def test_what_is_shifted_out_is_paid_by_who_funds(answer):
    mean = 4_000 * person_mean(BOOK)
    moved = answer["surplus_difference"].sel(stress="shifted", design="full risk")
    assert float(moved.sel(party="provider")) == pytest.approx(0.02 * mean, rel=0.02)
    assert float(moved.sel(party="payer")) == pytest.approx(-0.02 * mean, rel=0.02)


def test_together_they_compound(answer):
    assert answer["stress"].values.tolist() == [BASE, "dearer", "shifted", TOGETHER]
    mean = 4_000 * person_mean(BOOK)
    both = float(answer["surplus_difference"].sel(stress=TOGETHER, design="full risk", party="provider"))
    assert both == pytest.approx((1 - 1.03 * 0.98) * mean, rel=0.05)
    assert answer["p_loss_over"].sel(stress="dearer", design="full risk", party="provider") > answer["p_loss_over"].sel(
        stress=BASE, design="full risk", party="provider"
    )


PRICES, DEMAND = Inflation(by=0.02), MeanCost(by=0.03)


def named(**changes):
    return [Stress(name=name, changes=of if isinstance(of, tuple) else (of,)) for name, of in changes.items()]


def test_all_together_counts_a_combination_once():
    stresses = named(prices=PRICES, demand=DEMAND, both=(PRICES, DEMAND))
    answer = stress(BOOK, stresses, [FULL], replicates=200).sel(design="full risk", party="provider")
    together, both, apart = (
        answer["surplus_difference"].sel(stress=name).item() for name in (TOGETHER, "both", "prices")
    )
    assert together == both
    assert together < 2 * apart  # the control: it is more than one of its parts


@pytest.mark.parametrize(
    ("stresses", "expected"),
    [
        (named(prices=PRICES, demand=DEMAND), [PRICES, DEMAND]),
        (named(prices=PRICES, wages=PRICES), [PRICES, PRICES]),  # two stresses that happen to be alike
        (named(prices=PRICES, more=Inflation(by=0.03)), [PRICES, Inflation(by=0.03)]),
        (named(both=(PRICES, DEMAND), prices=PRICES), [PRICES, DEMAND]),
        (named(one=(PRICES, DEMAND), other=(DEMAND, CostShift(share=0.1))), [PRICES, DEMAND, CostShift(share=0.1)]),
        (named(prices=PRICES, bad=(Inflation(by=0.05), DEMAND)), [Inflation(by=0.05), DEMAND]),  # moved furthest
        (named(prices=PRICES, mild=(Inflation(by=0.01), DEMAND)), [PRICES, DEMAND]),
        (named(prices=PRICES, relief=(Inflation(by=-0.05), DEMAND)), [PRICES, Inflation(by=-0.05), DEMAND]),
        (
            named(a=MeanCost(by=0.1, segment="well"), b=(MeanCost(by=0.1, segment="ill"), PRICES)),
            [MeanCost(by=0.1, segment="well"), MeanCost(by=0.1, segment="ill"), PRICES],
        ),
        (
            named(rare=Epidemic(probability=0.1, by=0.05), both=(Epidemic(probability=0.2, by=0.05), PRICES)),
            [Epidemic(probability=0.1, by=0.05), Epidemic(probability=0.2, by=0.05), PRICES],
        ),
    ],
)
def test_at_once_each_input_is_moved_once(stresses, expected):
    assert list(at_once(stresses)) == expected


# ── how far until somebody breaks ────────────────────────────────────────────────────────────────


@pytest.mark.heavy
def test_the_breaking_point_of_inflation_is_the_limit_itself():
    found = reverse_stress(BOOK, Inflation(by=0.5), FULL, loss_over=0.04)
    assert abs(float(found["breaking_point"]) - 0.04) < 4.5 * float(found["breaking_point_se"])
    half = reverse_stress(BOOK, Inflation(by=0.5), HALF, loss_over=0.04)
    assert float(half["breaking_point"]) == pytest.approx(2 * float(found["breaking_point"]), rel=0.15)


@pytest.mark.heavy
def test_the_breaking_point_of_a_chance_meets_it():
    asked = {"loss_over": 0.05, "at_most": 0.25}
    point = float(reverse_stress(BOOK, Inflation(by=0.5), FULL, **asked)["breaking_point"])
    at = stress(BOOK, [Stress(name="there", changes=(Inflation(by=point),))], [FULL], loss_over=0.05)
    assert float(at["p_loss_over"].sel(stress="there", design="full risk", party="provider")) == pytest.approx(
        0.25, abs=0.005
    )


def test_who_cannot_be_broken_and_who_is_broken_already():
    safe = Design(name="safe", terms=({"kind": "no_risk"},))
    assert math.isnan(reverse_stress(BOOK, Inflation(by=0.5), safe, replicates=60)["breaking_point"])
    poor = Design(name="poor", budget={"kind": "per_head", "amount": 0.8 * person_mean(BOOK)})
    assert reverse_stress(BOOK, Inflation(by=0.5), poor, replicates=60)["breaking_point"] == 0


# ── mistakes, files and the command line ─────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (Prevalence(segment="complex", by=3.0), "share of 'complex': 1.2 must lie between 0 and 1"),
        (MeanCost(by=0.1, segment="rich"), "is no segment"),
        (TailIndex(by=-0.6), "infinite variance"),
        (TailIndex(by=-0.1, segment="well"), "no tail index"),
    ],
)
def test_an_invalid_stress_gets_one_clear_sentence(change, told):
    with pytest.raises(sim.SimulatorError, match=told) as caught:
        stress(BOOK, [Stress(name="wrong", changes=(change,))], [FULL], replicates=40)
    assert "\n" not in str(caught.value)


def test_a_negative_mean_is_refused():
    with pytest.raises(ValidationError, match="greater than -1"):
        MeanCost(by=-1.0)


def test_nothing_to_ask_is_told():
    with pytest.raises(sim.SimulatorError, match="stresses"):
        stress(BOOK, [], [FULL])
    with pytest.raises(sim.SimulatorError, match="designs"):
        stress(BOOK, [DEARER])
    with pytest.raises(sim.SimulatorError, match="name one of these"):
        reverse_stress(BOOK, Inflation(by=0.1), FULL, party="nurse")


def test_every_stress_of_the_library_can_be_applied():
    scenario = sim.load(ROOT / "configs" / "arrangements" / "01-east-sussex.toml")
    for file in sorted((ROOT / "configs" / "stresses").glob("*.toml")):
        for one in load_stresses(file):
            assert truth_of(scenario, one.changes).population_sizes == scenario.population_sizes
    with pytest.raises(sim.SimulatorError, match="check the name"):
        load_stresses(ROOT / "absent.toml")


def test_stresses_in_a_scenario_do_not_change_its_draws():
    raw = BOOK.model_dump() | {"stresses": [DEARER.model_dump()], "designs": [FULL.model_dump()]}
    scenario = sim.Scenario.model_validate(raw)
    assert scenario.scenario_id == BOOK.scenario_id
    assert stress(scenario, replicates=40)["stress"].values.tolist() == [BASE, "dearer"]
    with pytest.raises(ValidationError, match="more than one"):
        sim.Scenario.model_validate(raw | {"stresses": [DEARER.model_dump()] * 2})


def test_the_truth_of_no_change_is_the_scenario():
    assert truth_of(BOOK, []).scenario_id == BOOK.scenario_id
    asked = BOOK.resized((500,), replicates=20)
    assert draw_truth(asked, []).drop_attrs().identical(sim.simulate(asked, progress=False).drop_attrs())


@pytest.mark.heavy
def test_stress_from_a_shell(tmp_path):
    scenario = str(ROOT / "configs" / "arrangements" / "01-east-sussex.toml")
    library = tmp_path / "two.toml"
    parts = (ROOT / "configs" / "stresses" / "three_needs.toml").read_text().split("[[stresses]]")
    library.write_text(
        "[[stresses]]".join(["", *(part for part in parts if "up-coding" in part or "a bad year" in part)])
    )
    asked = [scenario, "--stresses", str(library), "--replicates", "20", "--members", "4000"]
    shown = CliRunner().invoke(stress_verb, [*asked, "--out", str(tmp_path / "stress.nc")])
    assert shown.exit_code == 0, shown.output
    assert "up-coding" in shown.output and (tmp_path / "stress.nc").exists()
    library.write_text("[[stresses]]".join(["", *(part for part in parts if "a bad year" in part)]))
    reverse = CliRunner().invoke(stress_verb, [*asked, "--reverse", "commissioners"])
    assert reverse.exit_code == 0 and "commissioners reaches its 2% loss limit at" in reverse.output, reverse.output
    refused = CliRunner().invoke(stress_verb, [scenario, "--stresses", "absent.toml"])
    assert refused.exit_code == 2


# ── thresholds that are percentiles ──────────────────────────────────────────────────────────────


@pytest.mark.heavy
@pytest.mark.parametrize("by", ["population", "segment"])
def test_percentile_thresholds_stay_at_the_money_that_was_agreed(by):
    thresholds = {"percentiles": [0.95, 1.0], "by": by}
    book = make(simulation={"population_sizes": [4_000], "thresholds": thresholds, "replicates": 400})
    capped = Design(name="capped", exclusion={"kind": "cap", "at": 0.95})
    base, truth = draw_truth(book, []), draw_truth(book, [MeanCost(by=0.2)])
    np.testing.assert_array_equal(truth["threshold_amount"], book.threshold_amounts)
    expected = sim.summarise(base)["exact_mean"]
    assert float(expected[0, 0]) == pytest.approx(
        float(base["gross_cost"].mean() - base["excess_cost"][..., 0].mean()), rel=0.01
    )
    above = truth["n_above"].mean("replicate")[0, 0] / base["n_above"].mean("replicate")[0, 0]
    assert float(above) > 1.1  # at percentiles of the dearer costs it would be 1
    moved = stress(book, [Stress(name="dearer", changes=(MeanCost(by=0.2),))], [capped])
    assert {"dearer", BASE} <= set(moved["stress"].values)


def test_percentiles_under_stress_are_as_the_amounts_that_they_stand_for():
    labels = make(
        simulation={"population_sizes": [4_000], "thresholds": {"percentiles": [0.95, 1.0]}, "replicates": 200}
    )
    money = float(labels.threshold_amounts[0, 0])
    plain = make(simulation={"population_sizes": [4_000], "thresholds": [money, math.inf], "replicates": 200})
    for changes in ([], [Inflation(by=0.1)], [NewTreatment(price=500_000.0, per_100k=5.0)]):
        one, other = draw_truth(labels, changes), draw_truth(plain, changes)
        np.testing.assert_array_equal(one["excess_cost"].values, other["excess_cost"].values)


def test_a_new_treatment_has_no_percentile_of_a_segment():
    thresholds = {"percentiles": [0.95, 1.0], "by": "segment"}
    book = make(simulation={"population_sizes": [4_000], "thresholds": thresholds, "replicates": 20})
    with pytest.raises(sim.SimulatorError, match="beside a rare service in scope"):
        draw_truth(book, [NewTreatment(price=500_000.0, per_100k=5.0)])


def test_agreed_amounts_must_fit():
    for amounts in ([[1_000.0]], [[1_000.0, math.inf]] * 3):
        with pytest.raises(ValidationError, match="amounts"):
            make(simulation={"thresholds": {"percentiles": [0.95, 1.0], "amounts": amounts}})
