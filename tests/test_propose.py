"""Proposed terms: what is searched, what is found, and that no design drawn at random is better."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import xarray as xr
from conftest import ROOT, make
from scipy import optimize
from scipy.special import ndtri
from scipy.stats import norm

import simulator as sim
from simulator.analysis.designs import bench as benches
from simulator.analysis.designs.bench import Bench, Settled
from simulator.analysis.designs.hunt import nearest, refine, scan
from simulator.analysis.designs.propose import _FRESH, proposed
from simulator.contracts.design import Design, designs_from
from simulator.contracts.search import Search
from simulator.present.answers.propose import designs_toml
from simulator.present.report import gather
from simulator.scenario import scenario_from
from simulator.settlement.populations import Populations
from simulator.settlement.shared_designs import load_designs

SD = 0.03
LAYER = {"kind": "aggregate_stop_loss", "attachment": 0.02, "limit": 0.05}


def normal_years(n: int, sd: float = SD) -> Populations:
    """A cost of mean 100 in n equally likely years."""
    cost = 100.0 * (1.0 + sd * ndtri((np.arange(n) + 0.5) / n))
    return Populations(
        xr.Dataset(
            {"gross_cost": (("replicate", "population_size"), cost[:, None])},
            coords={"replicate": np.arange(n), "population_size": [100]},
        )
    )


def layered(**changes):
    raw = {
        "figures": [
            {"path": "terms[0].attachment", "between": [0.0, 0.06]},
            {"path": "terms[0].limit", "between": [0.0, 0.2]},
        ],
        "limits": [{"party": "provider", "loss_over": 0.018, "at_most": 0.05}],
    }
    return Search.model_validate(raw | changes)


def best(search: Search, design: Design, populations: Populations, points: int = 256) -> Settled:
    """The cheapest design, on one set of years that are equally likely: nothing is left to luck."""
    bench = Bench(populations, design, search)
    tried = scan(bench, points, seed=1)
    starts = [one.place for one in tried if one.meets()][:3] or [nearest(tried).place]
    found = [bench.at(refine(bench, start, 0.5, "cheapest")) for start in starts]
    return min(found, key=lambda one: one.cost if one.slacks().min() >= -1e-9 else math.inf)


@pytest.mark.heavy
@pytest.mark.no_cover
def test_a_limit_on_a_chance_alone_buys_a_layer_and_leaves_the_catastrophe():
    design, years = Design(name="layer", terms=(LAYER,)), normal_years(20_000)
    layer = best(layered(guards=False), design, years)
    stop = best(layered(), design, years)
    tail = [benches.worst_mean(-one.surplus("provider") / one.revenue("provider")).value for one in (layer, stop)]
    assert layer.cost == pytest.approx(0.004433, abs=4e-6) and tail[0] == pytest.approx(0.04861, abs=5e-5)
    assert stop.cost == pytest.approx(0.005060, abs=4e-6) and tail[1] == pytest.approx(0.018, abs=2e-6)
    exact = SD * (norm.pdf(0.6) - 0.6 * norm.sf(0.6))
    assert stop.cost == pytest.approx(exact, abs=4e-6)


def test_the_stop_loss_is_best_of_free_layers_at_equal_premium():
    """Of 14 layers whose slopes are free, those nearest to the budget are kept and the rest is given away (Arrow 1963).

    Least variance at one premium: a dual of what the search does, solved by scipy on the variance that it gives.
    """
    years = normal_years(2_000)
    cost = years.gross[:, 0] - 100.0
    edges = np.linspace(0.0, 7.0, 15)
    layers = np.clip(cost[:, None] - edges[:-1], 0.0, np.diff(edges))  # of a loss
    layers[:, -1] = np.maximum(cost - edges[-2], 0.0)
    premium = 0.5 * layers.mean(axis=0).sum()

    def variance(kept):
        return float(np.var(np.minimum(cost, 0.0) + layers @ kept))

    rule = optimize.LinearConstraint(layers.mean(axis=0), premium, premium)
    found = optimize.minimize(
        variance, np.full(14, 0.5), jac="3-point", constraints=rule, bounds=[(0.0, 1.0)] * 14, method="trust-constr",
        options={"maxiter": 400, "gtol": 1e-10},
    )  # fmt: skip
    between = (found.x > 0.02) & (found.x < 0.98)
    assert (np.diff(found.x) < 0.02).all() and between.sum() <= 1


def test_a_search_over_layers_finds_the_stop_loss():
    """A layer with a limit and a share above it are free: what is bought is all above one point, at equal premium."""
    search = Search.model_validate(
        {
            "figures": [
                {"path": "terms[0].attachment", "between": [0.0, 0.06]},
                {"path": "terms[0].share_above", "between": [0.0, 1.0]},
            ],
            "limits": [{"party": "provider", "worst": 0.03}],
            "guards": False,
        }
    )
    design = Design(name="layer", terms=({"kind": "aggregate_stop_loss", "attachment": 0.02},))
    found = best(search, design, normal_years(4_000))
    (term,) = found.design.terms
    assert term.attachment == pytest.approx(0.03, abs=2e-4) and term.share_above < 0.02


def test_a_quota_share_is_best_between_two_exponential_utilities():
    """With risk tolerances 2 : 1 the second party takes a third of every layer (Borch 1962), for variance as for it."""
    cost = normal_years(2_000).gross[:, 0] - 100.0
    edges = np.quantile(cost, np.linspace(0, 1, 15))
    layers = np.clip(cost[:, None] - edges[:-1], 0.0, np.diff(edges))
    start = cost.min()

    def burden(kept, tolerances=(2.0, 1.0)):
        second = layers @ kept + start / 3
        return sum(np.var(part) / (2 * t) for part, t in zip((cost - second, second), tolerances, strict=True))

    found = optimize.minimize(burden, np.full(14, 0.5), method="L-BFGS-B", bounds=[(0, 1)] * 14, tol=1e-14)
    np.testing.assert_allclose(found.x, 1 / 3, atol=2e-3)


def test_a_party_that_does_not_mind_risk_bears_all():
    """Where cover costs nothing in expectation, and only the provider is limited, it is cheapest to cover nothing less.

    The search is asked for the least of the provider's worst years: the payer, who has no limit, bears every loss.
    """
    search = layered(
        figures=[{"path": "terms[0].loss", "between": [0.0, 1.0]}, {"path": "terms[0].gain", "between": [0.0, 1.0]}],
        limits=[{"party": "provider", "hard": 0.0}],
    )
    share = Design(name="share", terms=({"kind": "share", "gain": 0.5, "loss": 0.5},))
    found = best(search, share, normal_years(2_000))
    assert found.design.terms[0].loss == 0 and found.design.terms[0].gain == pytest.approx(0, abs=1e-6)
    assert found.cost == pytest.approx(0.0, abs=1e-9)


def test_cover_that_has_a_price_leaves_a_deductible():
    """Cover is loaded by 40%: with an expected surplus to be kept, the provider keeps a first layer (Arrow 1963)."""
    loading, years = 0.4, normal_years(2_000)
    cost = years.gross[:, 0] / 100.0 - 1.0

    def worse_off(d):
        covered = np.maximum(cost - d, 0.0)
        kept = -cost + covered - (1 + loading) * covered.mean()
        return -(-np.exp(-kept / 0.02)).mean()

    found = optimize.minimize_scalar(worse_off, bounds=(-0.1, 0.12), method="bounded")
    assert -0.02 < found.x < 0.03
    free = optimize.minimize_scalar(
        lambda d: np.exp(-(-cost + np.maximum(cost - d, 0) - np.maximum(cost - d, 0).mean()) / 0.02).mean(),
        bounds=(-0.1, 0.12), method="bounded",
    )  # fmt: skip
    assert free.x < -0.09  # the control: where cover has no price, all is covered


# ── the whole way ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def answer() -> xr.Dataset:
    return sim.propose(sim.load(ROOT / "configs/search.toml"), replicates=600, points=32)


@pytest.mark.heavy
def test_an_answer_has_today_and_two_alternatives_that_meet_the_limits(answer):
    assert list(answer["option"].values) == ["today", "cheapest", "strongest"]
    within = answer["within"].min("demand")
    assert float(within.sel(option="today")) < 0 <= float(within.sel(option=["cheapest", "strongest"]).min()) + 1e-9
    assert float(answer["price_per_head"].sel(option="cheapest")) < float(
        answer["price_per_head"].sel(option="strongest")
    )
    assert float(answer["power"].sel(option="cheapest")) < float(answer["power"].sel(option="strongest"))
    page = str(sim.table(answer))
    for said in ("recommended", "Limit that decides", "gain share", "Guards", "not used to choose", "1-in-20 loss"):
        assert said in page


@pytest.mark.heavy
def test_the_same_seed_proposes_the_same_terms():
    terms = ({"kind": "share", "gain": 0.5, "loss": 0.5},)
    half = {"name": "half", "exclusion": {"kind": "cap", "at": 20_000.0}, "terms": terms}
    scenario = make(designs=[half], simulation={"population_sizes": [1_000], "thresholds": [20_000.0]})
    search = {
        "figures": [{"path": "terms[0].gain", "between": [0.0, 1.0]}],
        "limits": [{"party": "provider", "worst": 0.9}],
    }
    asked = scenario, Search.model_validate(search)
    first, again = (sim.propose(*asked, replicates=100, points=16) for _ in range(2))
    xr.testing.assert_identical(first, again)


@pytest.mark.heavy
def test_the_figures_are_those_of_a_settlement(answer):
    """The search has no settlement of its own: on the fresh draws `settle` and `compare` say the same."""
    scenario = sim.load(ROOT / "configs/search.toml")
    fresh = scenario.resized([50_000], replicates=600, seed=scenario.simulation.seed + 2 * _FRESH)
    designs = designs_from(json.loads(answer.attrs["designs"]))
    compared = sim.compare(sim.settle(sim.simulate(fresh, progress=False), designs)).squeeze("population_size")
    surplus = compared["expected_surplus"].transpose("design", "party").sel(party=answer["party"].values).values
    off = abs(answer["expected_surplus"].values - surplus) / compared["expected_surplus_se"].transpose(
        "design", "party"
    )
    assert float(off.max()) < 4.0  # they differ by the luck of the costs, which `propose` takes out
    lost = -compared["worst_surplus"].sel(quantile_level=0.05).transpose("design", "party").values
    np.testing.assert_allclose(answer["loss_1_in_20"].values, lost, rtol=1e-9)


@pytest.mark.heavy
def test_a_report_takes_a_saved_proposal_and_does_not_search_again(answer, monkeypatch):
    monkeypatch.setattr("simulator.present.report.gather.propose", lambda scenario: scenario.scenario_id)
    small = scenario_from(sim.load(ROOT / "configs/search.toml").model_dump() | {"shocks": ()})
    raw = small.model_dump()
    small = scenario_from(raw | {"simulation": raw["simulation"] | {"population_sizes": (500,), "replicates": 50}})
    ledger = sim.simulate(small, progress=False)
    mine = answer.assign_attrs(scenario_id=ledger.attrs["scenario_id"])
    found = gather(ledger, besides=[mine])
    assert found.proposed is mine and not found.besides
    other = answer.assign_attrs(scenario_id="another")  # of another scenario: a section of its own
    found = gather(ledger, besides=[other])
    assert found.proposed == ledger.attrs["scenario_id"] and found.besides == (other,)


@pytest.mark.heavy
def test_the_designs_are_ready_to_use(answer, tmp_path):
    (tmp_path / "designs.toml").write_text(designs_toml(answer))
    designs = load_designs(tmp_path / "designs.toml")
    assert designs == designs_from(json.loads(answer.attrs["designs"]))


def test_a_search_is_no_part_of_the_draws():
    scenario = sim.load(ROOT / "configs/search.toml")
    without = scenario_from(scenario.model_dump() | {"search": None})
    assert scenario.scenario_id == without.scenario_id and "search" not in without.canonical_json()


@pytest.mark.heavy
def test_where_nothing_meets_the_limits_it_says_which_is_in_the_way():
    scenario = sim.load(ROOT / "configs/search.toml")
    impossible = {"party": "provider", "surplus": 0.5}
    search = scenario.search.model_dump() | {"limits": [{"party": "provider", "worst": 0.05}, impossible]}
    found = sim.propose(scenario, Search.model_validate(search), replicates=200, points=16)
    assert list(found["option"].values) == ["today", "nearest"]
    assert found.attrs["in_the_way"] == "provider: expected surplus at least 50% of revenue"
    assert "No design meets every limit" in str(sim.table(found))


BAD = {
    "is empty: 0.5 is not below 0.1": {"figures": [{"path": "terms[0].gain", "between": [0.5, 0.1]}]},
    "needs one range or list": {"figures": [{"path": "terms[0].gain"}]},
    "has no 'gian' in terms[0]": {"figures": [{"path": "terms[0].gian", "between": [0.0, 1.0]}]},
    "is not a party": {"limits": [{"party": "hospital", "worst": 0.1}]},
    "has half of a limit": {"limits": [{"party": "provider", "loss_over": 0.1}]},
    "limits nothing": {"limits": [{"party": "provider"}]},
    "cannot lose more on average": {"limits": [{"party": "provider", "worst": 0.05, "hard": 0.02}]},
    "twice (0.05 and 0.1)": {"limits": [{"party": "provider", "worst": w} for w in (0.05, 0.1)]},
    "ask for more": {"limits": [{"party": p, "surplus": 0.01} for p in ("provider", "payer")]},
    "is not a design": {"design": "yesterday"},
    "move 'terms[0].gain' twice": {"figures": [{"path": "terms[0].gain", "between": [0.0, w]} for w in (0.5, 1.0)]},
    "do not fit the design": {"figures": [{"path": "terms[0].gain", "between": [-1.0, 1.0]}]},
    "cannot be 1.5": {"figures": [{"path": "terms[0].gain", "between": [0.0, 1.5]}]},
    "cannot be 2": {"figures": [{"path": "terms[0].gain", "values": [0.5, 2.0]}]},
    "leaves the grid": {"figures": [{"path": "exclusion.at", "values": [5_000.0]}]},
}


@pytest.mark.heavy
@pytest.mark.parametrize("said", BAD)
def test_a_search_that_makes_no_sense_is_refused_in_one_sentence(said):
    scenario = sim.load(ROOT / "configs/search.toml").model_dump()
    with pytest.raises(sim.SimulatorError) as refused:
        scenario_from(scenario | {"search": scenario["search"] | BAD[said]})
    assert said in str(refused.value) and len(refused.value.mistakes) == 1


def test_years_that_cannot_show_a_rare_loss_are_refused():
    scenario = sim.load(ROOT / "configs/search.toml")
    rare = scenario.search.model_dump() | {"limits": [{"party": "provider", "loss_over": 0.02, "at_most": 0.001}]}
    with pytest.raises(sim.SimulatorError, match="simulate 2,995 years or more"):
        sim.propose(scenario, Search.model_validate(rare), replicates=500, points=16)
    with pytest.raises(sim.SimulatorError, match="is not an event of the design"):
        strange = scenario.search.model_dump() | {"limits": [{"party": "provider", "event": "rain", "at_most": 0.1}]}
        sim.propose(scenario, Search.model_validate(strange), replicates=500, points=16)


# ── designs drawn at random are no better ────────────────────────────────────────────────────────

ARRANGED = {
    "01-east-sussex": (
        [{"path": "terms[0].gain", "between": [0.0, 1.0]}, {"path": "terms[0].loss", "between": [0.0, 1.0]},
         {"path": "terms[1].attachment", "between": [0.002, 0.05]}],
        [{"party": "acute", "loss_over": 0.01, "at_most": 0.05}, {"party": "acute", "surplus": -0.05}],
    ),
    "04-mssp": (
        [{"path": "terms[1].gain", "between": [0.0, 1.0]}, {"path": "terms[1].loss", "between": [0.0, 1.0]},
         {"path": "terms[4].of_budget", "between": [0.0, 0.1]}],
        [{"party": "provider", "loss_over": 0.02, "at_most": 0.05}, {"party": "provider", "surplus": 0.0}],
    ),
    "08-mid-nottinghamshire": (
        [{"path": "transfers[0].price", "between": [0.0, 1.0]}, {"path": "transfers[0].cap", "between": [0.0, 0.05]},
         {"path": "transfers[1].share", "between": [0.0, 0.05]}],
        [{"party": "acute, Nottingham", "loss_over": 0.05, "at_most": 0.05}],
    ),
    "14-newham-msk": (
        [{"path": "terms[0].tolerance", "between": [0.0, 0.1]},
         {"path": "terms[0].price_beyond", "between": [0.0, 1.0]},
         {"path": "transfers[1].opening", "between": [0.0, 0.05]},
         {"path": "transfers[1].covers", "between": [0.0, 1.0]}],
        [{"party": "hospital", "loss_over": 0.06, "at_most": 0.1},
         {"party": "risk pool", "event": "pool_exhausted", "at_most": 0.2}],
    ),
    "20-whittington": (
        [{"path": "terms[0].above", "between": [0.0, 1.0]}, {"path": "terms[0].below", "between": [0.0, 1.0]}],
        [{"party": "provider", "loss_over": 0.03, "at_most": 0.05}],
    ),
    "21-alternative-quality-contract": (
        [{"path": "budget.amount", "between": [4_400.0, 4_900.0]},
         *({"path": f"terms[0].levels[{at}].{side}", "between": [0.0, 1.0]}
           for at in (2, 3) for side in ("gain", "loss"))],
        [{"party": "provider", "loss_over": 0.03, "at_most": 0.05}, {"party": "provider", "surplus": 0.0}],
    ),
}  # fmt: skip


def beaten_by(name: str, count: int, years: int, points: int) -> float:
    """By how many paired errors the best of so many random designs, sure to be within the limits, is cheaper."""
    scenario = sim.load(ROOT / f"configs/arrangements/{name}.toml")
    design = scenario.designs[-1]
    figures, limits = ARRANGED[name]
    search = Search.model_validate({"design": design.name, "figures": figures, "limits": limits, "unearned": 0.2})
    alone = scenario.resized(scenario.population_sizes[:1])
    drawn = [
        Populations(sim.simulate(alone.with_simulation(replicates=years, seed=seed), progress=False))
        for seed in (1, 2, 3, 4)
    ]
    found = proposed(lambda at, n: drawn[at], design, search, years, points)
    assert "cheapest" in found["option"].values, f"{name}: {found.attrs['in_the_way']}"
    proposal = designs_from(json.loads(found.attrs["designs"]))[1]
    rough, fresh = (Bench(drawn[at], design, search) for at in (0, 3))
    asked = [rough.settled(proposal, ("own",)), fresh.settled(proposal, ("own",))]
    beaten = -math.inf
    for place in np.random.default_rng(7).random((count, len(figures))):
        one = rough.at(place)
        if one is None or one.cost >= asked[0].cost or one.slacks(0.5).min() < 0:
            continue
        again = fresh.at(place)
        if again.slacks(0.99).min() < 0:
            continue
        saved = fresh.mean(asked[1].burden - again.burden)
        beaten = max(beaten, saved.value / saved.error if saved.error > 0 else math.inf * (saved.value > 1e-6))
    return beaten


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=pytest.mark.slow if one[:2] != "20" else ()) for one in ARRANGED]
)
@pytest.mark.parametrize("count", [300, pytest.param(20_000, marks=pytest.mark.slow)])
def test_no_design_drawn_at_random_is_cheaper_and_surely_within_the_limits(name, count):
    """Those that beat the proposal are drawn again: none that is feasible at 99% is cheaper by over 3 paired errors."""
    years, points = (1_500, 128) if count < 1_000 else (3_000, 1_024)
    assert beaten_by(name, count, years, points) <= 3.0
