"""Budgets: amounts by hand, and the error of a benchmark against people drawn year by year."""

from __future__ import annotations

import numpy as np
import oracles
import pytest
from pydantic import ValidationError

from simulator.contracts.budget import BySegment, Expectations, PastYears, PerHead, StandardErrors, Waterfall
from simulator.errors import SimulatorError


def expected(members=10_000.0, gross=12_000_000.0, removed=2_000_000.0, sd=300_000.0, **changes):
    """10,000 people at 1,200 a head, of which the rule removes 200; σ of one person 3,000."""
    fields = {"members": members, "gross": gross, "removed": removed, "sd": sd, "luck": 0.0, "baseline": 0.0} | changes
    plain = {name: np.asarray(value) if isinstance(value, float) else value for name, value in fields.items()}
    return Expectations(**plain)


@pytest.mark.parametrize(
    ("budget", "amount"),
    [
        (PerHead(), 10_000_000),  # the exact mean: gross less removed
        (PerHead(amount=1_300.0), 11_000_000),  # 13m less the 2m that the rule removes
        (PerHead(amount=1_050.0, basis="retained"), 10_500_000),
        (PerHead(basis="retained"), 10_000_000),
        (PerHead(discount=0.02), 9_760_000),  # 12m × 0.98 − 2m
        (PerHead(amount=1_000.0, trend=0.1, trend_years=2, basis="retained"), 12_100_000),
        (PerHead(loading=0.01), 10_120_000),
        (PerHead(loading=StandardErrors(k=2.0, members=10_000)), 10_600_000),  # 2 × 3,000 / √10,000 = 60 a head
        (
            Waterfall(
                current_spend=3.6e6, saving=0.3e6, incentive=0.3e6, contingency=5e4, members=2_500, basis="retained"
            ),
            12_000_000,
        ),
        (Waterfall(current_spend=3.6e6, saving=0.3e6, incentive=0.3e6, transition=0.3e6, members=2_500), 11_200_000),
    ],
)
def test_amounts_by_hand(budget, amount):
    assert float(budget.evaluate(expected())) == pytest.approx(amount, rel=1e-12)


def test_discount_follows_the_contract_year():
    reach = PerHead(amount=1_000.0, discount=(0.02, 0.03, 0.035), basis="retained")
    assert [float(reach.evaluate(expected(year=year))) / 1e7 for year in (1, 2, 3, 8)] == pytest.approx(
        [0.98, 0.97, 0.965, 0.965]
    )


def test_lewisham():
    waterfall = Waterfall(current_spend=3.6e6, saving=0.3e6, incentive=0.3e6, contingency=0.05e6, members=12_000)
    assert waterfall.payment == pytest.approx(3.0e6)
    assert waterfall.provider_budget == pytest.approx(2.95e6)
    assert round(waterfall.payment / waterfall.provider_budget, 3) == 1.017


def test_segments_and_case_mix_cap():
    mix = {"well": np.array([8_000.0, 7_000.0, 9_900.0]), "ill": np.array([2_000.0, 3_000.0, 100.0])}
    usual = {"well": np.array(8_000.0), "ill": np.array(2_000.0)}
    known = expected(segment_members=mix, usual_members=usual)
    plain = BySegment(amounts={"well": 500.0, "ill": 4_000.0}, basis="retained")
    assert plain.evaluate(known).tolist() == [12_000_000, 15_500_000, 5_350_000]
    capped = plain.model_copy(update={"case_mix_cap": 0.03})
    assert capped.evaluate(known).tolist() == pytest.approx([12_000_000, 12_360_000, 11_640_000])
    # 2% of a change are tolerated: of 3.5m more, 3.26m are paid
    tolerant = plain.model_copy(update={"case_mix_tolerance": 0.02})
    assert tolerant.evaluate(known).tolist() == pytest.approx([12_000_000, 15_260_000, 5_590_000])


def test_segments_must_all_have_an_amount():
    known = expected(segment_members={"well": np.array(1.0), "ill": np.array(1.0)})
    with pytest.raises(SimulatorError, match=r"must name every segment \(well, ill\)"):
        BySegment(amounts={"well": 500.0}).evaluate(known)


def test_baseline_of_several_correlated_years():
    # two years alike with ρ = 0.5: variance of the mean is (1 + 0.5) / 2 of one year's
    loading = StandardErrors(k=1.0, members=100, years=2, correlation=(0.5,))
    assert float(loading.per_head(np.array(1_000.0))) == pytest.approx(1_000 * np.sqrt(0.75 / 100))


WEIGHTS, CORRELATION = (0.1, 0.3, 0.6), (0.5, 0.4, 0.3)


def drawn_people(rng, correlation, people=400, replicates=20_000):
    """Totals of four years of people whose costs correlate: oldest first, this year last."""
    rho = (1.0, *correlation)
    lags = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    factor = np.linalg.cholesky(np.array(rho)[lags])
    return np.sqrt(people) * rng.standard_normal((replicates, 4)) @ factor.T  # a total of people is normal enough


def test_error_of_a_benchmark_against_drawn_people(rng):
    totals = drawn_people(rng, CORRELATION)
    error = totals[:, 3] - totals[:, :3] @ np.array(WEIGHTS)
    by_formula = oracles.benchmark_error_variance(WEIGHTS, CORRELATION)
    assert error.var() / 400 == pytest.approx(by_formula, rel=5 * np.sqrt(2 / 20_000))


def test_error_of_a_benchmark_without_correlation_is_wrong(rng):
    totals = drawn_people(rng, CORRELATION)
    error = totals[:, 3] - totals[:, :3] @ np.array(WEIGHTS)
    independent = oracles.benchmark_error_variance(WEIGHTS, (0.0,))
    assert independent == pytest.approx(1.46)  # 1 + 0.01 + 0.09 + 0.36
    assert abs(error.var() / 400 / independent - 1) > 5 * np.sqrt(2 / 20_000)


def test_error_variance_by_hand():
    assert oracles.benchmark_error_variance((1.0,), (0.5,)) == pytest.approx(1.0)  # 1 + 1 − 2 × 0.5
    assert oracles.benchmark_error_variance((1.0,), (1.0,)) == pytest.approx(0.0)
    thirds = oracles.benchmark_error_variance((1 / 3, 1 / 3, 1 / 3), (0.4,))
    assert thirds == pytest.approx(1 + 1 / 3 + 2 * 3 * 0.4 / 9 - 2 * 0.4)


def test_benchmark_moves_with_luck_as_the_formula_says(rng):
    luck, baseline = rng.standard_normal((2, 200_000))
    benchmark = PastYears(weights=WEIGHTS, correlation=CORRELATION)
    budget = benchmark.evaluate(expected(luck=luck, baseline=baseline))
    cost = 10_000_000 + 300_000 * luck
    assert budget.mean() == pytest.approx(10_000_000, rel=1e-3)
    assert (cost - budget).var() / 300_000**2 == pytest.approx(
        oracles.benchmark_error_variance(WEIGHTS, CORRELATION), rel=0.02
    )


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: PastYears(weights=(0.5, 0.4), correlation=(0.3,)), "weights add to 0.9, not to 1"),
        (lambda: PastYears(weights=(0.5, 0.5)), "Field required"),
        (lambda: PastYears(weights=(0.5, 0.5), correlation=(1.0, 0.0)), "correlations contradict each other"),
        (lambda: StandardErrors(k=1.0, members=100, years=3), "needs the correlation of one person's cost"),
        (lambda: PerHead(amount=-1.0), "greater than 0"),
        (lambda: PerHead(discount=2), "less than or equal to 1"),
        (lambda: PerHead(loading=-0.1), "greater than or equal to 0"),
        (lambda: PerHead(discount=1.0), "has a discount of 1, which leaves no budget"),
        (lambda: PerHead(discount=(0.02, 1.0)), "has a discount of 1, which leaves no budget"),
        (lambda: PerHead(trend=-1.0), "has a trend of -1, which leaves no budget"),
        (lambda: PerHead(trend=-1.5), "has a trend of -1.5, which leaves no budget"),
        (lambda: StandardErrors(k=1.0, members=100, years=2, correlation=()), "needs the correlation of one person's"),
        (
            lambda: StandardErrors(k=1.0, members=100, years=2, correlation=(0.4, 0.3)),
            "correlations at 2 lags, and its",
        ),
        (
            lambda: StandardErrors(k=1.0, members=100, years=3, correlation=(1.0, 0.0)),
            "correlations contradict each other",
        ),
        (
            lambda: PerHead(loading={"k": 1.0, "members": 9, "years": 3, "correlation": (1.0, 0.0)}),
            "correlations contradict each other",
        ),
        (lambda: PastYears(weights=(1.0,), correlation=(0.4, 0.3)), "has correlations at 2 lags, and its years are at"),
        (lambda: PastYears(weights=(1.0,), correlation=()), "at least 1 item"),
        (
            lambda: Waterfall(current_spend=100.0, saving=60.0, incentive=50.0, members=10),
            "leaves nothing for the provider",
        ),
    ],
)
def test_contradictions_are_refused(make, sentence):
    with pytest.raises(ValidationError) as caught:
        make()
    assert sentence in str(caught.value)
    assert caught.value.error_count() == 1
