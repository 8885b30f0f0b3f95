"""Several years of partly the same people: the chain, calibration, what both imply, and cohorts; all without draws."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import oracles
import pytest
from conftest import ROOT

import simulator as sim
from simulator.analysis.stress.changed_scenario import truth_of
from simulator.costs.chain import Flow, ranks
from simulator.costs.families.composite import Empirical
from simulator.costs.families.heavy_tails import GeneralizedPareto
from simulator.costs.families.slabs import Slabs
from simulator.costs.families.two_figures import Lognormal
from simulator.costs.persistence import gaussian, slab_moments
from simulator.costs.tables import build
from simulator.engine.transforms import Transforms
from simulator.scenario import Scenario, scenario_from
from simulator.stresses import OfYears

ARRANGEMENT = ROOT / "configs" / "arrangements" / "01-east-sussex.toml"
YEARS = {"contract": 5, "before": 3, "persistence": "published"}
SMALL: dict[str, Any] = {
    "title": "two needs",
    "simulation": {"replicates": 10, "population_sizes": [1_000], "thresholds": [10_000.0, math.inf]},
    "population": {
        "segments": [
            {"name": "well", "share": 0.8, "p_user": 0.7,
             "severity": {"family": "lognormal", "mean": 1_000.0, "cv": 2.0}},
            {"name": "complex", "share": 0.2, "severity": {"family": "gamma", "mean": 6_000.0, "cv": 1.5}},
        ],
    },
}  # fmt: skip
MOVES = {"well": {"complex": 0.02}, "complex": {"well": 0.05}}


def several(years: dict[str, Any] | None = None, **population: Any) -> Scenario:
    raw = copy.deepcopy(SMALL)
    raw["population"] |= population
    return scenario_from(raw | {"years": YEARS | {"leavers": 0.05, "moves": MOVES} | (years or {})})


def arrangement(**years: Any) -> Scenario:
    return scenario_from(sim.load(ARRANGEMENT).model_dump() | {"years": YEARS | years})


# ── the law of a class ───────────────────────────────────────────────────────────────────────────

PARENTS = {
    "lognormal": Lognormal(mean=1_000.0, cv=2.5),
    "gpd": GeneralizedPareto(shape=0.3, scale=800.0),
    "bills": Empirical(values=(10.0, 10.0, 50.0, 400.0, 9_000.0)),
    "table": Empirical(quantiles={0.0: 0.0, 0.5: 200.0, 0.9: 3_000.0, 1.0: 50_000.0}),
}


@pytest.mark.parametrize("parent", PARENTS.values(), ids=PARENTS)
def test_classes_of_a_segment_mix_to_its_own_law(parent: Any) -> None:
    classes = gaussian(0.8, 0.9)
    laws = [Slabs(parent=parent, edges=tuple(classes.slabs[1:]), weights=tuple(own)) for own in classes.own.T]
    costs = np.array([0.5, 10.0, 49.0, 300.0, 2_000.0, 8_000.0, 40_000.0])
    assert np.allclose(classes.shares @ [law.sf(costs) for law in laws], parent.sf(costs), atol=1e-13)
    # bills are steps, which meet the edges of slabs inside one patient's rank
    mixed = classes.shares @ [law.moments.raw for law in laws]
    assert np.allclose(mixed[:3], parent.moments.raw[:3], rtol=1e-7)
    for law in laws:
        share = np.array([1e-6, 0.003, 0.2, 0.7])
        if not parent.has_atoms:
            assert np.allclose(law.sf(law.isf(share)), share, rtol=1e-9)
    assert laws[0].moments.raw[1] < parent.moments.raw[1] < laws[-1].moments.raw[1]


def test_the_mean_of_a_class_is_that_of_its_slabs() -> None:
    scenario = arrangement()
    model, segments = scenario.cost_model.by_year, scenario.population.segments
    for h, segment in enumerate(segments):
        _, mean, square = slab_moments(segment, model.classes.slabs) @ model.classes.own
        for c in range(model.n_classes):
            stream = model.streams[h * model.n_classes + c]
            raw = stream.severity.moments.raw
            assert np.allclose([stream.rate * raw[1], stream.rate * raw[2]], [mean[c], square[c]], rtol=1e-7)


def test_tables_and_transforms_take_the_law_of_a_class() -> None:
    scenario = several({"leavers": 0.0, "moves": {}})
    stream = scenario.cost_model.by_year.streams[4]
    tables = build(stream.severity, 5_000.0)
    step = tables.body_unit * (
        (tables.body >> np.uint64(32)).astype(float) + (tables.body & np.uint64(2**32 - 1)) / 2.0
    )
    body = float(step.mean()) * (1 - tables.p_large)
    above = float(stream.severity.sf(5_000.0)), float(stream.severity.moments.above(5_000.0)[1])
    assert tables.p_large == pytest.approx(above[0], rel=0.05)
    assert body == pytest.approx(
        float(stream.severity.moments.below(float(stream.severity.isf(tables.p_large)))[1]), rel=1e-5
    )
    model = scenario.cost_model.model_copy(update={"years": None})
    object.__setattr__(model, "__dict__", model.__dict__ | {"streams": (stream,)})
    change = Transforms(model, np.array([[math.inf]])).change(0, (), np.ones(1), np.array([1e-9]))
    assert change[0, 0].imag == pytest.approx(1e-9 * stream.severity.moments.raw[1], rel=1e-6)


# ── the chain ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("membership", ["fixed", "sampled", "held"])
def test_a_place_keeps_its_law_forwards_and_backwards(membership: str) -> None:
    model = several(membership=membership).cost_model.by_year
    start, forward, backward = model.start[0], model.forward[0], model.backward[0]
    assert np.allclose(forward.sum(axis=1), 1, atol=1e-14) and np.allclose(backward.sum(axis=1), 1, atol=1e-14)
    assert np.abs(start @ forward - start).max() < 1e-12 and np.abs(start @ backward - start).max() < 1e-12
    assert np.allclose((start[:, None] * forward).T, start[:, None] * backward, atol=1e-15)
    held = forward.reshape(2, 5, 2, 5)[0, :, 1].sum()
    assert held == 0 if membership == "held" else held > 0


def test_leavers_are_replaced_by_the_entrants_that_keep_the_mix() -> None:
    # by hand: well gains 0.2·.95·.05 = .0095 and loses .8·.95·.02 = .0152 by moves, and loses .04 by leaving
    model = several().cost_model.by_year
    entrants = np.array([0.04 + 0.0152 - 0.0095, 0.01 + 0.0095 - 0.0152]) / 0.05
    stay = np.kron(0.95 * np.array([[0.98, 0.02], [0.05, 0.95]]), model.classes.chain)
    assert np.allclose(model.staying, stay, atol=1e-15)
    expected = stay + 0.05 * np.kron(entrants, model.class_shares)
    assert np.allclose(model.forward[0], expected, atol=1e-14)


def test_a_last_year_of_life_is_left_by_all() -> None:
    model = sim.load(ROOT / "configs" / "last_year_of_life.toml").cost_model.by_year
    assert not model.staying[model.n_classes :].any()
    assert np.abs(model.start[0] @ model.forward[0] - model.start[0]).max() < 1e-12


def test_units_have_chains_of_their_own() -> None:
    units = [
        {"name": "north", "members": 400, "shares": {"well": 0.9, "complex": 0.1}},
        {"name": "south", "members": 600},
    ]
    raw = copy.deepcopy(SMALL)
    raw["population"]["units"] = units
    del raw["simulation"]["population_sizes"]
    given = YEARS | {"leavers": 0.2, "moves": MOVES}
    model = scenario_from(raw | {"years": given}).cost_model.by_year
    assert model.start.shape == (2, 10) and model.start[0, :5].sum() == pytest.approx(0.9)
    for start, forward in zip(model.start, model.forward, strict=True):
        assert np.abs(start @ forward - start).max() < 1e-12
    assert not np.allclose(model.forward[0], model.forward[1])


def test_trend_growth_and_thresholds_are_those_of_year_one_in_year_one() -> None:
    scenario = several(
        {"trend": {"complex": 0.1}, "growth": 0.02, "index_thresholds": (0.1, 0.0, 0.0, 0.05, 0.0, 0.0, 0.0)}
    )
    model = scenario.cost_model.by_year
    assert model.years == (-2, -1, 0, 1, 2, 3, 4, 5)
    assert np.allclose(model.trend[:, 0], 1.0) and np.allclose(model.trend[:, -1], 1.1 ** np.arange(-3, 5))
    assert np.allclose(model.growth, 1.02 ** np.arange(-3.0, 5)) and model.index[3] == 1.0
    assert np.allclose(model.index, [1 / 1.1, 1, 1, 1, 1.05, 1.05, 1.05, 1.05])


def test_years_at_either_end_leave_the_id_and_the_absence_of_years_leaves_all() -> None:
    assert several().scenario_id == several({"contract": 7, "before": 0}).scenario_id
    assert several().scenario_id != several({"leavers": 0.06}).scenario_id
    raw = scenario_from(copy.deepcopy(SMALL))
    assert "years" not in raw.canonical_json() and raw.with_("title", "other").scenario_id == raw.scenario_id


REFUSED = {
    "moves more than all": ({"moves": {"well": {"complex": 0.7}, "complex": {"well": 1.2}}}, "must be at most 1"),
    "moves add to more than 1": (
        {"moves": {"well": {"complex": 1.0}, "complex": {"well": 0.6, "lost": 0.6}}}, "more than all"),
    "moves that do not balance": (
        {"leavers": 0.0}, "let more people into 'complex' than leave it; with no leavers, moves must balance"),
    "negative entrants": (
        {"leavers": 0.01, "moves": {"well": {"complex": 0.3}}}, "into 'complex' than leave it; make moves"),
    "a stranger leaves": ({"leavers": {"ill": 0.1}}, "has 'ill', which is no segment"),
    "a stranger moves": ({"moves": {"well": {"ill": 0.1}}}, "has 'ill', which is no segment"),
    "to itself": ({"moves": {"well": {"well": 0.1}}}, "people of 'well' who move to it"),
    "persistence not said": ({"persistence": None}, "years.persistence"),
    "too few steps": ({"trend": (0.1, 0.2)}, "has 2 figures for 'trend', and 7 steps"),
    "beyond what slabs give": (
        {"persistence": {"again_in_top": {"0.1": {"1": 0.5, "2": 0.9}}}}, "that no such classes have; the nearest are"),
    "one figure": ({"persistence": {"again_in_top": {"0.1": {"1": 0.4}}}}, "which does not tell how it fades"),
    "neither": ({"persistence": {}}, "neither figures nor classes"),
    "rows that do not add up": (
        {"persistence": {"slabs": [0.5, 1.0], "weights": [[0.5, 0.4], [0.5, 0.5]], "stay": 0.9}}, "do not add up to 1"),
}  # fmt: skip


@pytest.mark.parametrize(("years", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_in_one_sentence(years: dict[str, Any], sentence: str) -> None:
    with pytest.raises(sim.SimulatorError) as found:
        several(years)
    assert sentence in str(found.value) and len(found.value.mistakes) <= 2, str(found.value)


def test_an_infinite_variance_has_no_correlation_to_meet() -> None:
    raw = copy.deepcopy(SMALL) | {"years": {"contract": 2, "persistence": {"correlation": {"1": 0.3, "3": 0.2}}}}
    raw["simulation"]["thresholds"] = [10_000.0]
    raw["population"]["segments"][1]["severity"] = {"family": "pareto", "scale": 2_000.0, "alpha": 1.8}
    with pytest.raises(sim.SimulatorError, match="infinite variance have none; give again_in_top"):
        scenario_from(raw)
    raw["years"]["persistence"] = "published"
    assert scenario_from(raw).cost_model.by_year.n_classes == 5


def test_held_and_cohorts_need_years() -> None:
    for part in ({"membership": "held"}, {"cohort": {"chosen": {"top": 0.1}}}):
        raw = copy.deepcopy(SMALL)
        raw["population"] |= part
        with pytest.raises(sim.SimulatorError, match=r"needs \[years\]"):
            scenario_from(raw)
    with pytest.raises(sim.SimulatorError, match="is none of the years; choose from -2 to 5"):
        several(cohort={"chosen": {"top": 0.1, "in_year": -3}})


# ── calibration ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.heavy
@pytest.mark.parametrize("path", [ARRANGEMENT, ROOT / "configs" / "east_sussex_years.toml"], ids=["01", "years"])
def test_published_figures_are_met_and_others_agree(path: Path) -> None:
    given = sim.load(path)
    answer = sim.persistence(given if given.years else arrangement())
    again = answer["again_in_top"]
    assert float(again.sel(lag=1, top=0.1)) == pytest.approx(0.434, abs=1e-9)
    assert float(again.sel(lag=5, top=0.1)) == pytest.approx(0.344, abs=1e-9)
    assert 0.30 <= float(again.sel(lag=1, top=0.05)) <= 0.38 and 0.14 <= float(again.sel(lag=1, top=0.01)) <= 0.25
    rho = answer["correlation"]
    assert bool((rho.sel(lag=5) >= rho.sel(lag=1) / 2).all())
    assert float(answer["total_correlation"].sel(lag=1)[-1]) < float(rho.sel(lag=1)[-1])
    assert np.allclose(answer["band_moves"].sum("band_next"), 1)


TARGETS = {
    "correlations": {"correlation": {"1": 0.3, "4": 0.2}},
    "three figures": {"again_in_top": {"0.1": {"1": 0.45, "2": 0.41, "5": 0.36}}},
    "stay given": {"correlation": {"1": 0.25}, "stay": 0.8},
}


@pytest.mark.parametrize("given", TARGETS.values(), ids=TARGETS)
def test_given_figures_are_met(given: dict[str, Any]) -> None:
    answer = sim.persistence(several({"persistence": given}))
    for lag, value in given.get("correlation", {}).items():
        assert float(answer["correlation"].sel(lag=int(lag))[-1]) == pytest.approx(value, abs=1e-8)
    for lag, value in given.get("again_in_top", {}).get("0.1", {}).items():
        assert float(answer["again_in_top"].sel(lag=int(lag), top=0.1)) == pytest.approx(value, abs=1e-8)


def test_a_permanent_part_makes_two_copies_of_each_class() -> None:
    model = several({"persistence": TARGETS["three figures"]}).cost_model.by_year
    assert model.n_classes == 10 and set(model.classes.stay[5:]) == {1.0}
    assert np.abs(model.start[0] @ model.forward[0] - model.start[0]).max() < 1e-12


def test_classes_are_taken_as_they_were_fitted() -> None:
    tables = {"slabs": [0.1, 1.0], "weights": [[0.7, 0.3], [0.1, 0.9]], "stay": [1.0, 1.0]}
    model = several({"persistence": tables, "leavers": 0.0, "moves": {}}).cost_model.by_year
    assert model.class_shares == pytest.approx([0.16, 0.84])
    # by hand: all of the costliest tenth of a segment are equal in what they tell
    flow_again = (0.07**2 / 0.16 + 0.03**2 / 0.84) / 0.1
    scenario = several({"persistence": tables, "leavers": 0.0, "moves": {}})
    flow = Flow(scenario.population, scenario.years, model.classes)  # type: ignore[arg-type]
    top = np.tile(model.classes.below(0.1), (2, 1))
    assert flow.again(top, 3) == pytest.approx(flow_again, rel=1e-12)


# ── what the model implies ───────────────────────────────────────────────────────────────────────


def test_no_persistence_makes_years_independent() -> None:
    answer = sim.persistence(several({"persistence": "none", "leavers": 0.0, "moves": {}}))
    assert np.allclose(answer["total_correlation"], 0, atol=1e-12)
    assert np.allclose(answer["pooled_worth"], answer["years_pooled"])
    # of one segment, who was costly tells nothing
    assert float(answer["again_in_top"].sel(lag=1, top=0.2)) > 0.2  # needs do


def test_classes_that_are_kept_give_the_same_correlation_at_every_lag() -> None:
    given = {"persistence": {"correlation": {"1": 0.2}, "stay": 1.0}, "leavers": 0.0, "moves": {}}
    assert np.allclose(sim.persistence(several(given))["correlation"][:, -1], 0.2, atol=1e-9)


@pytest.mark.parametrize("membership", ["fixed", "sampled", "held"])
def test_the_variance_of_pooled_years_is_that_of_persons(membership: str) -> None:
    """By enumeration of all paths of one person over three years, which shares no code with matrices' powers."""
    tables = {"slabs": [0.2, 1.0], "weights": [[0.7, 0.3], [0.1, 0.9]], "stay": [0.9, 0.6]}
    scenario = several({"persistence": tables}, membership=membership)
    answer = sim.persistence(scenario)
    model = scenario.cost_model.by_year
    means = [s.rate * s.severity.moments.raw[1] for s in model.streams]
    squares = [s.rate * s.severity.moments.raw[2] for s in model.streams]
    groups = [list(range(4))] if membership == "sampled" else [[0, 1], [2, 3]]
    found = oracles.covariance_of_years(model.start[0].tolist(), model.forward[0].tolist(), means, squares, groups, 3)
    worth = sum(found[t][t] for t in range(3)) / 3 / (sum(map(sum, found)) / 9)
    assert float(answer["pooled_worth"].sel(years_pooled=3)[-1]) == pytest.approx(worth, rel=1e-6)


def test_person_by_person_it_comes_to_the_same() -> None:
    scenario = arrangement(leavers=0.05, moves={"mostly well": {"complex": 0.01}, "complex": {"mostly well": 0.19}})
    answer = sim.persistence(scenario)
    model = scenario.cost_model.by_year
    people = oracles.persons_over_years(
        [(s.share, s.p_user, s.severity.mean, s.severity.cv) for s in scenario.population.segments],
        {(0, 2): 0.01, (2, 0): 0.19}, 0.05, model.classes.slabs.tolist(), model.classes.weights.tolist(),
        float(model.classes.stay[0]), 400_000, 7,
    )  # fmt: skip
    for top in (0.01, 0.1):
        first, again, error = people["again", top]
        exact = float(answer["again_in_top"].sel(lag=1, top=top))
        assert abs(again - exact) < 5 * error, (top, again, exact)
        assert abs(first - top) < 5 * math.sqrt(top / 400_000)
    # the control: one year's figure is not two years'
    assert (
        abs(people["again", 0.1][1] - float(answer["again_in_top"].sel(lag=2, top=0.1))) > 5 * people["again", 0.1][2]
    )


# ── cohorts ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("top", "year_0", "year_1"), [(0.2, (0.810, 0.814), (0.58, 0.60)), (0.02, (0.335, 0.345), (0.155, 0.165))]
)
def test_a_cohort_of_the_costliest(top: float, year_0: tuple[float, float], year_1: tuple[float, float]) -> None:
    scenario = arrangement().with_("population.cohort", {"chosen": {"top": top, "in_year": 0}})
    share = sim.persistence(scenario)["cohort_share_of_cost"]
    assert year_0[0] <= float(share.sel(year=0)) <= year_0[1] and year_1[0] <= float(share.sel(year=1)) <= year_1[1]
    assert float(share.sel(year=0)) == pytest.approx(scenario.cost_model.top_share(top), rel=1e-6)


def test_a_cohort_loses_members_and_its_cost_a_head_is_of_those_left() -> None:
    scenario = several({"leavers": 0.2}, cohort={"chosen": {"top": 0.1, "in_year": 0}})
    answer = sim.persistence(scenario)
    assert np.allclose(answer["cohort_members"], 0.8 ** np.arange(6))
    assert list(answer["year"].values) == [0, 1, 2, 3, 4, 5]
    stays = sim.persistence(several({"leavers": 0.0, "moves": {}}, cohort={"chosen": {"top": 0.1, "in_year": 0}}))
    assert float(stays["cohort_members"].min()) == pytest.approx(1)
    assert float(answer["cohort_change"].sel(year=1)) < -0.3


@pytest.mark.slow
@pytest.mark.no_cover
def test_the_error_of_a_cohort_change_is_that_of_drawn_cohorts() -> None:
    tables = {"slabs": [0.2, 1.0], "weights": [[0.7, 0.3], [0.1, 0.9]], "stay": [0.9, 0.9]}
    scenario = several(
        {"persistence": tables, "leavers": 0.1, "moves": {}}, cohort={"chosen": {"top": 0.2, "in_year": 0}}
    )
    answer = sim.persistence(scenario)
    model, drawn = scenario.cost_model.by_year, np.random.default_rng(5)
    n, runs = 1_000, 1_500
    cut = float(answer["cohort_cut"])
    states = drawn.choice(4, p=model.start[0], size=(runs, n))

    def costs(of: Any) -> Any:
        found = np.zeros(of.shape)
        for z, stream in enumerate(model.streams):
            here = of == z
            uses = drawn.random(here.sum()) < stream.rate
            found[here] = np.where(uses, stream.severity.isf(np.clip(drawn.random(here.sum()), 1e-12, 1)), 0.0)
        return found

    first = costs(states)
    chosen = first > cut
    chain = model.staying / model.staying.sum(axis=1, keepdims=True)
    later = np.minimum((drawn.random((runs, n))[..., None] > np.cumsum(chain, axis=1)[states]).sum(axis=-1), 3)
    there = chosen & (drawn.random((runs, n)) < 0.9)
    second = costs(later)
    change = (second * there).sum(1) / there.sum(1) / ((first * chosen).sum(1) / chosen.sum(1)) - 1
    exact, sd = float(answer["cohort_change"].sel(year=1)), float(answer["cohort_change_sd"].sel(year=1)[0])
    assert change.std() == pytest.approx(sd, rel=0.12)
    assert abs(change.mean() - exact) < 5 * sd / math.sqrt(runs) + sd**2
    assert abs(change.mean()) > 20 * sd / math.sqrt(runs)  # the control: no change


def test_ranks_add_up_to_the_share_asked() -> None:
    scenario = arrangement()
    assert float(scenario.population.shares @ ranks(scenario.population, 0.05)) == pytest.approx(0.05, rel=1e-9)


# ── ranges ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("of", "found"), [("leavers", 0.06), ("moves[well]", {"complex": 0.024})])
def test_a_range_reaches_the_years(of: str, found: Any) -> None:
    raw = copy.deepcopy(SMALL) | {"years": YEARS | {"leavers": 0.05, "moves": MOVES}}
    raw["ranges"] = [{"name": "who goes", "low": -0.2, "high": 0.2, "change": {"kind": "years", "of": of, "by": 0.0}}]
    scenario = scenario_from(raw)
    years = truth_of(scenario, [scenario.ranges[0].change.at(0.2)]).years
    assert years is not None
    reached = years.leavers if of == "leavers" else years.moves["well"]
    assert reached == pytest.approx(found)


def test_a_range_of_what_is_no_figure_is_refused() -> None:
    change = OfYears(of="persistence", by=0.1)
    with pytest.raises(sim.SimulatorError, match="is no figure that can grow"):
        truth_of(several(), [change])
    with pytest.raises(sim.SimulatorError, match="has no 'lost' in years"):
        truth_of(several(), [OfYears(of="lost", by=0.1)])
