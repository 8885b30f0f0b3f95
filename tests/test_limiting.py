"""A population without end: every parameter set with all its shocks, and every year with what a design draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

import simulator as sim
from simulator.analysis.luck.infinite_population import ENDLESS, equally_likely, limit_ledger, overspend_of
from simulator.analysis.size.targets import question_of, target_of
from simulator.costs.shock_nodes import quasi_random_uniforms
from simulator.costs.shocks import JointShocks, RareShock, Shock
from simulator.scenario import scenario_from

WELL = {"name": "s0", "share": 0.6, "p_user": 0.8, "severity": {"family": "lognormal", "mean": 1_500.0, "cv": 2.0}}
ILL = {"name": "s1", "share": 0.4, "p_user": 0.9, "severity": {"family": "gamma", "mean": 1_500.0, "cv": 1.5}}
CAP = 8_000.0


def scenario(means: Sequence[float] = (), segments: Any = (WELL, ILL), shocks: Any = ()) -> sim.Scenario:
    population: dict[str, Any] = {"segments": list(segments)}
    if means:
        population["parameter_sets"] = [{"segment": "s0", "mean": list(means)}]
    simulation = {"replicates": 40, "population_sizes": [1_000, 60_000], "thresholds": [CAP], "seed": 1}
    return scenario_from({"title": "far", "simulation": simulation, "population": population, "shocks": list(shocks)})


def limit(asked: sim.Scenario, statistic: str = "p_overspend", designs: Sequence[sim.Design] = (), **at: float) -> Any:
    target = target_of(statistic, at_most=0.03, **at)
    found = question_of(asked, target, sim.Cap(), designs, "provider", sim.PerHead(basis="gross")).limit
    return float(found[0])


# ── parameter sets beside shocks ─────────────────────────────────────────────────────────────────


def chance_by_hand(means: Sequence[float], p: float, by: float, margin: float) -> float:
    """Chance of an overspend over all sets and shocks, from integrals of survival functions alone."""
    sigma = np.sqrt(np.log1p(4.0))
    ordinary = 1 / (1 + p * by)

    def kept(mean: float, factor: float) -> float:
        law = stats.lognorm(sigma, scale=mean * np.exp(-(sigma**2) / 2))
        other = stats.gamma(1 / 1.5**2, scale=1_500.0 * 1.5**2)
        below = [integrate.quad(one.sf, 0, CAP / factor, limit=200)[0] * factor for one in (law, other)]
        return float(0.6 * 0.8 * below[0] + 0.4 * 0.9 * below[1])

    costs = np.array([[kept(mean, ordinary), kept(mean, ordinary * (1 + by))] for mean in means])
    chances = np.array([1 - p, p])
    budget = float((costs @ chances).mean())
    return float(((costs > (1 + margin) * budget) @ chances).mean())


@pytest.mark.heavy
@pytest.mark.parametrize(
    "sets", [2, 8, *(pytest.param(many, marks=pytest.mark.slow) for many in (3, 4, 5, 7, 9, 16, 50))]
)
def test_a_rare_shock_comes_as_often_under_every_set(sets: int) -> None:
    means = [1_425.0 + 150.0 * k / max(sets - 1, 1) for k in range(sets)]
    asked = scenario(means, shocks=[{"name": "flu", "probability": 0.1, "by": 0.05}])
    right = chance_by_hand(means, 0.1, 0.05, 0.05)
    assert limit(asked, margin=0.05) == pytest.approx(right, abs=2e-4)
    if sets == 8:
        assert right == pytest.approx(0.025)
        answer = sim.minimum_population(asked, margin=0.05, at_most=0.03, replicates=40)
        assert answer["systematic_alone"].item() == pytest.approx(0.025, abs=2e-4)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "shocks",
    [
        [{"name": "flu", "probability": 0.07, "by": 0.3}],
        [{"name": "prices", "cv": 0.03}],
        [{"name": "prices", "cv": 0.03, "segments": ["s0"]}, {"name": "flu", "probability": 0.2, "by": 0.1}],
        [{"name": "one", "cv": 0.05, "segments": ["s0"]}, {"name": "two", "cv": 0.02, "segments": ["s1"]}],
    ],
    ids=["rare", "yearly", "yearly of a segment, rare", "two segments"],
)
@pytest.mark.parametrize("sets", [3, pytest.param(8, marks=pytest.mark.slow)])
def test_every_set_sees_the_shocks_that_it_would_alone(shocks: list[dict[str, Any]], sets: int) -> None:
    means = [1_400.0 + 200.0 * k / (sets - 1) for k in range(sets)]
    asked = scenario(means, shocks=shocks)
    endless = limit_ledger(asked)
    for b, truth in enumerate(asked.truths):
        own = endless.isel(replicate=np.flatnonzero(endless["parameter_draw"].values == b))
        alone = limit_ledger(truth)
        for level in (0.05, 0.5, 0.9, 0.99):
            at = np.quantile(alone["gross_cost"], level)
            # the two levels of a rare shock are those of a mean of exactly 1, whatever share of years it comes in
            chance = [(one["gross_cost"] <= at * (1 + 1e-3)).mean().item() for one in (own, alone)]
            assert chance[0] == pytest.approx(chance[1], abs=2.5e-3)


@pytest.mark.jit_off
def test_blocks_of_quasi_random_points_are_even_and_every_eighth_point_is_not() -> None:
    whole = quasi_random_uniforms(3, 1 << 13)
    for block in range(8):
        own = quasi_random_uniforms(3, 1 << 10, block)
        assert np.array_equal(own, whole[block << 10 : (block + 1) << 10])
        for k in range(3):
            assert np.unique((own[:, k] * 1_024).astype(int)).size == 1_024
    assert max(stats.kstest(whole[turn::8, k], "uniform").statistic for turn in range(8) for k in range(3)) > 0.1


@pytest.mark.jit_off
def test_all_parts_together_are_the_law_of_the_shocks() -> None:
    joint = JointShocks.of([Shock(name="p", cv=0.1), RareShock(name="r", probability=0.25, by=0.5)], [], ["a", "b"])
    for parts in (1, 3, 8):
        together = np.concatenate([equally_likely(joint, part, parts)[0] for part in range(parts)])
        assert together.mean() == pytest.approx(1.0, abs=1e-12)
        cv = np.sqrt((1 + 0.1**2) * (1 + joint.shocks[1].cv ** 2) - 1)
        assert together[:, 0].std() == pytest.approx(cv, rel=2e-3)


# ── what a design draws ──────────────────────────────────────────────────────────────────────────

CHANCE = stats.norm.cdf(-0.5)  # that a measure of mean 0.6 and sd 0.1 reaches 0.65
TERMS = [{"kind": "quality_share", "gain": 0.75, "loss_floor": 0.40, "loss_ceiling": 0.75}]
"""Of an overspend of 5.26% the provider bears 40% where the measure is met, 75% where it is not."""


def measured(*names: str, correlation: float = 0.0, **more: Any) -> sim.Design:
    measures = [{"name": name, "mean": 0.6, "sd": 0.1, "target": 0.65} for name in names]
    quality = {"measures": measures, "correlation": correlation}
    raw = {"name": "q", "budget": {"kind": "per_head", "discount": 0.05}, "terms": TERMS, "quality": quality}
    return sim.Design.model_validate(raw | {"exclusion": {"kind": "cap", "at": np.inf}} | more)


def test_the_limit_of_a_loss_is_that_of_all_that_quality_may_be() -> None:
    asked, design = scenario(), measured("one")
    loss = {rate: 1 - CHANCE if rate < 0.035 else 0.0 for rate in (0.03, 0.05)}
    for over, right in loss.items():
        assert limit(asked, "p_loss", [design], loss_over=over) == pytest.approx(right, abs=2e-4)
    assert limit(asked, "p_loss", [design], loss_over=0.01) == 1.0


@pytest.mark.heavy
def test_the_limit_does_not_depend_on_the_seed() -> None:
    design, found = measured("one"), []
    for seed in (1, 2, 3, 4):
        asked = scenario()
        asked = asked.model_copy(update={"simulation": asked.simulation.model_copy(update={"seed": seed})})
        answer = sim.minimum_population(asked, "p_loss", at_most=0.3, loss_over=0.03, designs=[design], replicates=40)
        found.append(answer["systematic_alone"].item())
    assert found == pytest.approx([1 - CHANCE] * 4, abs=2e-4)


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_several_measures_are_spread_evenly_together(correlation: float) -> None:
    """A loss above 3% where both are missed: of two correlated normals both below half a deviation."""
    design = measured("one", "two", correlation=correlation)
    right = stats.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]]).cdf([0.5, 0.5])
    # one of two met: 1 − 0.75 × 0.5 = 62.5% of 5.26% is 3.3%; both missed: 75% is 3.9%
    assert limit(scenario(), "p_loss", [design], loss_over=0.036) == pytest.approx(right, abs=1e-3)


def test_quality_is_drawn_beside_shocks_and_sets() -> None:
    """Above 2% where the measure is missed in an ordinary year, and in every year of the shock."""
    shocks = [{"name": "flu", "probability": 0.1, "by": 0.2}]
    asked = scenario([1_499.0, 1_500.0, 1_501.0], shocks=shocks)
    found = limit(asked, "p_loss", [measured("one")], loss_over=0.02)
    assert found == pytest.approx(0.1 + 0.9 * (1 - CHANCE), abs=2e-3)


def test_patients_who_go_elsewhere_are_drawn_too() -> None:
    """Who gains a share c of all activity at half its price, on half of the budget, loses c of his revenue."""
    parties = [{"name": "payer", "funds": 1.0}] + [{"name": name, "delivers": 0.5} for name in ("provider", "other")]
    follows = {"kind": "follow_patients", "sd": 0.05, "providers": ["provider", "other"], "price": 0.5}
    raw = {"name": "f", "parties": parties, "transfers": [follows], "exclusion": {"kind": "cap", "at": np.inf}}
    design = sim.Design.model_validate(raw)
    assert design.draws and not sim.Design(name="plain").draws
    right = stats.norm.sf(0.01 / (0.05 / np.sqrt(2)))
    assert limit(scenario(), "p_loss", [design], loss_over=0.01) == pytest.approx(right, abs=1e-3)


# ── on the very bound ────────────────────────────────────────────────────────────────────────────


def test_a_cost_that_tends_to_the_very_bound_is_beyond_it_half_of_the_time() -> None:
    asked = scenario()
    assert limit(asked, margin=0.0) == 0.5
    full, none = (
        sim.Design.model_validate({"name": name, "terms": terms, "exclusion": {"kind": "cap", "at": CAP}})
        for name, terms in (("full", []), ("tariff", [{"kind": "no_risk"}]))
    )
    assert limit(asked, "p_loss", [full], loss_over=0.0) == 0.5
    assert limit(asked, "p_loss", [none], loss_over=0.0) == 0.0, "who bears nothing loses nothing"


def test_past_years_follow_the_truth_in_a_population_without_end() -> None:
    past = {"kind": "past_years", "weights": [1.0], "correlation": [0.5]}
    design = sim.Design.model_validate({"name": "past", "budget": past, "exclusion": {"kind": "cap", "at": CAP}})
    asked = scenario([1_300.0, 1_500.0, 1_700.0])
    assert limit(asked, "p_loss", [design], loss_over=0.001) == 0.0
    agreed = sim.Design.model_validate({"name": "agreed", "exclusion": {"kind": "cap", "at": CAP}})
    assert limit(asked, "p_loss", [agreed], loss_over=0.001) == pytest.approx(1 / 3)
    apart = overspend_of(limit_ledger(asked), sim.Cap(), asked.resized((ENDLESS,)))
    assert float(apart.max()) > 0.03
