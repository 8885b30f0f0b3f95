"""Parameter sets in contracts: what is luck, what is doubt, and how large the errors of every verb are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from conftest import diagonal

import simulator as sim
from simulator.analysis.statistics.precision import Target
from simulator.contracts.context import Array
from simulator.scenario import scenario_from
from simulator.strata import Strata, counted_error, mean_and_error, share_and_error, share_error
from simulator.stresses import MeanCost, Stress

MEANS = [950.0, 1_000.0, 1_000.0, 1_050.0]


def doubtful(
    sizes: tuple[int, ...] = (1_000,), *, means: list[float] | None = MEANS, mean: float = 1_000.0, cv: float = 2.0,
    replicates: int = 400, seed: int = 3, **more: Any,
) -> sim.Scenario:  # fmt: skip
    """One segment whose mean lies in doubt; of known mean without means."""
    population: dict[str, Any] = {
        "segments": [{"name": "all", "share": 1.0, "severity": {"family": "gamma", "mean": mean, "cv": cv}}]
    }
    if means:
        population["parameter_sets"] = [{"segment": "all", "mean": means}]
    simulation = {"replicates": replicates, "population_sizes": sizes, "thresholds": [9_000.0, np.inf], "seed": seed}
    return scenario_from({"title": "doubt", "simulation": simulation, "population": population} | more)


def design(name: str = "d", **terms: Any) -> sim.Design:
    return sim.Design.model_validate({"name": name} | terms)


# ── a loading of k standard errors ───────────────────────────────────────────────────────────────

LOADED = {"kind": "per_head", "amount": 1_000.0, "loading": {"k": 1.0, "members": 10_000}}


@pytest.mark.heavy
@pytest.mark.parametrize("size", [1_000, 10_000, 100_000])
def test_a_loading_of_standard_errors_is_the_same_a_head_at_every_size(size: int) -> None:
    whole, loaded = doubtful((size,), replicates=8), design(budget=LOADED)
    settled = sim.settle(sim.simulate(whole, progress=False), loaded)["budget"].values
    drawn_without = sim.payoff(loaded, scenario=whole, members=size)["budget"].values
    for budget in (settled, drawn_without):
        np.testing.assert_allclose(budget / size - 1_000, 20.00, rtol=1e-9)
    # the standard deviation over all sets, which it was, is more than that by what the sets differ
    over_all = sim.exact(whole)["sd_cost"].sel(threshold=np.inf).item() / np.sqrt(size) / 100
    assert over_all == pytest.approx({1_000: 22.92, 10_000: 40.62, 100_000: 113.58}[size], abs=0.05)


def test_shocks_are_no_part_of_a_loading_either() -> None:
    whole = doubtful((50_000,), shocks=[{"name": "prices", "cv": 0.05}])
    found = sim.payoff(design(budget=LOADED), scenario=whole, members=50_000)["budget"].item()
    assert found / 50_000 - 1_000 == pytest.approx(20.0, rel=1e-9)


@pytest.mark.heavy
@pytest.mark.parametrize("rule", [sim.Cap(at=9_000.0), sim.CarveOut(at=9_000.0), sim.Cap(at=np.inf)], ids=repr)
def test_a_loading_is_the_mean_of_those_of_the_sets(rule: Any) -> None:
    loaded = sim.Design(name="d", budget=design(budget=LOADED).budget, exclusion=rule)
    whole = doubtful((2_000,))
    plain = loaded.model_copy(update={"budget": loaded.budget.model_copy(update={"loading": 0.0})})

    def loading(scenario: sim.Scenario) -> float:
        with_it, without = (sim.payoff(one, scenario=scenario)["budget"].item() for one in (loaded, plain))
        return float(with_it - without)

    assert loading(whole) == pytest.approx(np.mean([loading(truth) for truth in whole.truths]), rel=1e-9)


# ── a budget from past years ─────────────────────────────────────────────────────────────────────

PAST = {"kind": "past_years", "weights": [1.0], "correlation": [0.4]}


def missed_a_head(scenario: sim.Scenario, budget: dict[str, Any], rule: Any = None) -> Array:
    """Budget less retained cost, money a head."""
    chosen = sim.Cap(at=np.inf) if rule is None else rule
    ledger = sim.simulate(scenario, progress=False)
    kept = sim.retained_cost(ledger, chosen).isel(threshold=0, population_size=0)
    agreed = sim.settle(ledger, sim.Design.model_validate({"name": "d", "budget": budget, "exclusion": chosen}))
    return np.asarray((agreed["budget"].isel(design=0, population_size=0) - kept).values) / scenario.population_sizes[0]


@pytest.mark.heavy
def test_a_benchmark_is_set_under_the_same_truth_as_its_year() -> None:
    missed = missed_a_head(doubtful((100_000,), replicates=2_000), PAST)
    # 1 + 1 − 2 × 0.4 years' luck of 6.33 a head
    expected = np.sqrt(1.2 * np.mean(np.square(MEANS)) * 4 / 100_000)
    assert expected == pytest.approx(6.93, abs=0.005)
    assert abs(missed.std(ddof=1) / expected - 1) < 5 / np.sqrt(2 * 2_000)
    assert abs(missed.mean()) < 5 * expected / np.sqrt(2_000)
    # an agreed budget does not follow the truth: sets that lie 35 a head apart are its risk, as they should be
    agreed = missed_a_head(doubtful((100_000,), replicates=2_000), {"kind": "per_head"})
    assert agreed.std(ddof=1) == pytest.approx(np.hypot(np.std(MEANS), 6.33), rel=0.05)


RULES = [sim.Cap(at=9_000.0), sim.CarveOut(at=9_000.0), sim.CarveOut(at=9_000.0, keep_capitation=True)]


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize(("rule", "shocks"), diagonal(RULES, [[], [{"name": "prices", "cv": 0.02}]]))
def test_every_set_has_the_benchmark_that_it_would_have_alone(rule: Any, shocks: list[Any]) -> None:
    # sets draw costs singly where a set alone would draw sums
    whole = doubtful((3_000,), replicates=80, shocks=shocks).with_simulation(sums="single")
    budget = PAST | {"loading": {"k": 1.0, "members": 10_000}}
    together = missed_a_head(whole, budget, rule)
    for b, truth in enumerate(whole.truths):
        np.testing.assert_allclose(together[b::4], missed_a_head(truth, budget, rule)[b::4], rtol=1e-9, atol=1e-9)
    others = missed_a_head(whole.truths[0], budget, rule)[3::4]
    assert np.abs(together[3::4] - others).max() > 1, "sets must differ"


# ── errors ───────────────────────────────────────────────────────────────────────────────────────

APART = [900.0, 1_000.0, 1_100.0]
AGREED = {"kind": "per_head", "amount": 1_000.0}
DESIGNS = (
    design("full", budget=AGREED),
    design("half", budget=AGREED, terms=[{"kind": "share", "gain": 0.5, "loss": 0.5}]),
    design("gate", budget=AGREED, terms=[{"kind": "minimum_rate", "rate": 0.02}]),
)
WIDE = doubtful((4_000,), means=APART, cv=1.0, replicates=1_200).with_simulation(sums="single")
DEARER = [Stress(name="dearer", changes=(MeanCost(by=0.03),))]

VERBS: dict[str, tuple[Callable[[sim.Scenario], xr.Dataset], tuple[str, ...]]] = {
    "compare": (
        lambda s: sim.compare(sim.settle(sim.simulate(s, progress=False), DESIGNS)),
        ("expected_payment", "expected_cost_borne", "expected_surplus", "surplus_difference"),
    ),
    "detection": (lambda s: sim.detection(s, DESIGNS, (0.03,)), ("expected_settlement", "p_paid", "share_of_saving")),
    "stress": (lambda s: sim.stress(s, DEARER, DESIGNS), ("expected_surplus", "surplus_difference", "p_loss_over")),
}


@pytest.mark.heavy
@pytest.mark.parametrize("verb", VERBS)
def test_errors_are_those_of_each_set_in_a_scenario_of_its_own(verb: str) -> None:
    ask, names = VERBS[verb]
    whole, alone = ask(WIDE), [ask(truth) for truth in WIDE.truths]
    for name in names:
        stated = whole[f"{name}_se"]
        own = np.sqrt(sum(each[f"{name}_se"] ** 2 for each in alone) / len(alone))
        seen = (own > 1e-9 * float(own.max())) & np.isfinite(own)
        seen &= ~((whole[name] == 0) | (whole[name] == 1)) if name.startswith("p_") else True
        assert bool(seen.any())
        ratio = (stated / own).where(seen)
        # an sd from 400 replicates of each set; two more of either outcome count for more in each set alone
        assert float(ratio.min()) > (0.7 if name.startswith("p_") else 0.85) and float(ratio.max()) < 1.15, name


def test_the_twin_errors_that_take_the_sets_for_luck_would_be_found_out() -> None:
    outcome = sim.settle(sim.simulate(WIDE, progress=False), DESIGNS)
    told = sim.compare(outcome.drop_vars("parameter_draw"))["expected_surplus_se"]
    known = VERBS["compare"][0](WIDE)["expected_surplus_se"]
    at = {"design": "full", "party": "provider"}
    assert float(told.sel(at).item() / known.sel(at).item()) > 3


FIGURES = (
    "expected_surplus",
    "sd_surplus",
    "p_loss",
    "risk_share",
    "worst_surplus",
    "sd_difference",
    "surplus_difference",
)


@pytest.mark.slow
@pytest.mark.no_cover
@pytest.mark.parametrize("figure", FIGURES)
def test_errors_of_compare_are_those_of_repeated_runs(figure: str, repeated: list[xr.Dataset]) -> None:
    at = {"design": "half", "party": "provider", "population_size": 4_000}
    at |= {"quantile_level": 0.05} if figure == "worst_surplus" else {}
    at |= {"party": "payer"} if figure == "risk_share" else {}
    found = np.array([[run[name].sel(at).item() for name in (figure, f"{figure}_se")] for run in repeated])
    seen, told = found[:, 0].std(ddof=1), np.sqrt((found[:, 1] ** 2).mean())
    if seen > 1e-9 * np.abs(found[:, 0]).max():
        assert 0.7 < told / seen < 1.4
    else:
        assert told < 1e-6


@pytest.fixture(scope="module")
def repeated() -> list[xr.Dataset]:
    """Forty runs of three hundred replicates each, every set in each of them alike."""
    whole = doubtful((4_000,), means=APART, cv=1.0, replicates=12_000)
    outcome = sim.settle(sim.simulate(whole, progress=False), DESIGNS[:2])
    return [sim.compare(outcome.isel(replicate=slice(start, start + 300))) for start in range(0, 12_000, 300)]


def test_how_often_an_event_occurs_has_the_error_within_sets() -> None:
    outcome = VERBS["compare"][0](WIDE)
    at = {"event": "gate_missed", "design": "gate"}
    share, stated = (outcome[name].sel(at).item() for name in ("p_triggered", "p_triggered_se"))
    assert 0.2 < share < 0.8
    assert stated < 0.8 * np.sqrt(share * (1 - share) / 1_200)


def test_the_interval_of_a_smallest_population_knows_the_sets() -> None:
    """Its simulated interval of the mean overspend is that of luck within sets."""
    asked = doubtful((500, 40_000), means=APART, cv=1.0, replicates=900)
    found = sim.minimum_population(asked, "expected_overspend", at_most=0.05, method="simulated")
    width = (found["curve_interval"].diff("bound").isel(bound=0) / 2).sel(threshold=np.inf).values[-1]
    luck, doubt = 1.0 / np.sqrt(40_000), 0.05
    assert width < 0.5 * 1.96 * doubt / np.sqrt(225)
    assert width > 0.3 * 1.96 * luck / np.sqrt(225)


@pytest.mark.heavy
def test_layers_and_reverse_stress_have_errors_within_sets() -> None:
    ledger = sim.simulate(WIDE, progress=False)
    amount = sim.layers(ledger, DESIGNS[0])["amount_se"].isel(year=0)
    within = np.sqrt(np.mean(np.square(APART)) * 4_000 / 1_200)
    assert float(amount.max()) == pytest.approx(within, rel=0.1)
    far = sim.reverse_stress(WIDE, MeanCost(by=0.0), DESIGNS[0], loss_over=0.05)
    assert far["as_agreed_se"].item() == pytest.approx(within / 4e6, rel=0.1)


# ── the home itself ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.jit_off
def test_an_error_of_a_share_is_never_zero_and_never_more_than_without_strata() -> None:
    labels = np.arange(400) % 4
    strata = Strata(labels)
    for happened in (np.zeros(400, bool), np.ones(400, bool), labels == 1, labels > 1):
        alone, within = counted_error(happened.sum(), 400), share_error(happened, strata)
        assert 0 < within <= alone * (1 + 1e-12)
    random = np.random.default_rng(1).random(400) < 0.3
    assert share_error(random, strata) == pytest.approx(counted_error(random.sum(), 400), rel=0.05)


@pytest.mark.jit_off
def test_the_strata_of_labelled_figures_are_those_of_their_own_coordinate() -> None:
    labels = np.arange(60) % 3
    values = xr.DataArray(
        10.0 * labels + np.random.default_rng(2).standard_normal(60), dims="replicate",
        coords={"replicate": np.arange(60), "parameter_draw": ("replicate", labels)},
    )  # fmt: skip
    mean, error = mean_and_error(values)
    assert float(mean) == pytest.approx(values.values.mean())
    assert float(error) == pytest.approx(np.sqrt(np.mean([values.values[b::3].var(ddof=1) for b in range(3)]) / 60))
    assert mean_and_error(values.drop_vars("parameter_draw"))[1] > 5 * error
    assert share_and_error(values > 5)[0] == (values.values > 5).mean()


# ── without draws ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.heavy
def test_exact_settlements_are_the_mean_of_those_of_each_set() -> None:
    """With the loading in the budget, which each set alone would have made another."""
    terms = [{"kind": "minimum_rate", "rate": 0.02}, {"kind": "share", "gain": 0.5, "loss": 0.3}]
    whole = doubtful((1_000, 30_000), cv=1.0)
    loaded = design(budget=AGREED | {"loading": {"k": 1.0, "members": 10_000}}, terms=terms)
    agreed = design(budget=AGREED | {"amount": 1_010.0}, terms=terms)  # cv 1: 1,000 / √10,000 on top
    found = sim.exact_settlement(whole, [loaded])
    alone = [sim.exact_settlement(truth, [agreed]) for truth in whole.truths]
    for name in ("expected_payment", "expected_surplus", "expected_cost_borne"):
        expected = sum(each[name] for each in alone) / len(alone)
        np.testing.assert_allclose(found[name], expected, atol=1e-4 * 30_000, rtol=1e-6)


def test_drawing_on_until_a_chance_is_known_stops_as_soon_as_its_stratified_error_says() -> None:
    summary = sim.summarise(sim.simulate(WIDE, progress=False), margins=(0.02,))
    at = {"threshold": np.inf, "margin": 0.02, "population_size": 4_000}
    chance, error = (summary[name].sel(at).item() for name in ("p_overspend", "p_overspend_se"))
    found = Target("p_overspend", 0.02, 0.01).half_widths(summary).sel(threshold=np.inf, population_size=4_000).item()
    assert found == pytest.approx(1.96 * error, rel=0.1)
    assert found < 0.7 * 1.96 * np.sqrt(chance * (1 - chance) / 1_200)
