"""Families: one suite over all of them, against scipy's laws and their own definitions."""

from __future__ import annotations

import math

import numpy as np
import oracles
import pytest
from conftest import FAMILIES, SPLICED
from pydantic import TypeAdapter, ValidationError
from scipy import stats

from simulator.costs.families.composite import Empirical, Mixture, Spliced
from simulator.costs.families.heavy_tails import (
    Burr,
    GeneralizedBeta2,
    GeneralizedGamma,
    GeneralizedPareto,
    Lomax,
    Pareto,
)
from simulator.costs.families.two_figures import Gamma, Lognormal, Weibull
from simulator.costs.families.union import FAMILIES as CLASSES
from simulator.costs.families.union import AnySeverity
from simulator.costs.quadrature import Moments

ANY = TypeAdapter(AnySeverity)
SURVIVAL = np.concatenate([[1e-12, 1e-9, 1e-6], np.linspace(0.001, 0.999, 200), [1 - 1e-6]])
NAMES = sorted(FAMILIES)
SMOOTH = [name for name in NAMES if not name.startswith("empirical")]


def family(name):
    return ANY.validate_python(FAMILIES[name])


def test_every_family_has_typical_parameters():
    assert {figures["family"] for figures in FAMILIES.values()} == set(CLASSES)


# ── one suite for all ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", NAMES)
def test_survival_is_that_of_scipy(name):
    law, costs = (
        oracles.law_of(FAMILIES[name]),
        np.concatenate([np.geomspace(0.5, 1e6, 120), [2_000.0, 9_000.0, 20_000.0]]),
    )
    np.testing.assert_allclose(family(name).sf(costs), law.sf(costs), rtol=1e-8, atol=1e-13)


@pytest.mark.heavy
@pytest.mark.parametrize("name", NAMES)
def test_quantile_is_that_of_scipy(name):
    law = oracles.law_of(FAMILIES[name])
    survival = SURVIVAL if name in SMOOTH else np.linspace(0.0013, 0.9987, 97)
    wanted = law.isf(survival) if name in SMOOTH else [float(law.isf(s)) for s in survival]
    np.testing.assert_allclose(family(name).isf(survival), wanted, rtol=1e-7)


@pytest.mark.parametrize("name", SMOOTH)
def test_survival_of_the_quantile_is_the_probability(name):
    np.testing.assert_allclose(family(name).sf(family(name).isf(SURVIVAL)), SURVIVAL, rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_the_quantile_is_the_least_cost_exceeded_with_at_most_that_chance(name):
    severity = family(name)
    survival = np.linspace(0.0013, 0.9987, 97)
    cost = severity.isf(survival)
    assert np.all(severity.sf(cost) <= survival * (1 + 1e-9))
    assert np.all(severity.sf(cost * (1 - 1e-6)) >= survival * (1 - 1e-9))


@pytest.mark.parametrize("name", NAMES)
def test_survival_and_quantile_fall(name):
    severity = family(name)
    assert np.all(np.diff(severity.isf(np.linspace(1e-6, 1, 500))) <= 0)
    assert np.all(np.diff(severity.sf(np.geomspace(0.1, 1e7, 500))) <= 0)


@pytest.mark.parametrize("name", NAMES)
def test_costs_are_not_negative_and_everybody_costs_at_least_nothing(name):
    severity = family(name)
    assert severity.isf(1.0) >= 0
    assert severity.sf(-5.0) == 1
    assert np.ndim(severity.sf(3.0)) == 0 and severity.sf([3.0, 4.0]).shape == (2,)


@pytest.mark.parametrize("name", NAMES)
def test_scaling_multiplies_every_cost_exactly_and_rounding_is_a_step_of_its_own(name):
    severity, survival = family(name), np.linspace(0.0013, 0.9987, 97)
    made = severity.scaled(1 / 3)
    np.testing.assert_allclose(made.isf(survival), severity.isf(survival) / 3, rtol=1e-12)
    assert made.tail_index == pytest.approx(severity.tail_index)
    np.testing.assert_allclose(made.rounded(6).isf(survival), made.isf(survival), rtol=2e-5)
    assert made.rounded(6) == made.rounded(6).rounded(6)
    figure = FAMILIES[name].get("mean") or FAMILIES[name].get("scale")
    if figure:
        kept = {"mean", "scale"} & set(FAMILIES[name])
        assert [getattr(made, one) for one in kept] == [FAMILIES[name][one] * (1 / 3) for one in kept]


def test_a_fit_rounds_what_it_scaled():
    law = Gamma(shape=2.0, scale=1_280.370_2)
    assert law.scaled(1.1).scale == 1_280.370_2 * 1.1 and law.scaled(1.1).rounded(6).scale == 1_408.41
    assert Lognormal(mu=6.0, sigma=1.0).scaled(1.1).rounded(6).mu == round(6 + math.log(1.1), 8)
    assert Empirical(values=(1_234.567_89,)).scaled(1.1).rounded(6).values == (1_234.567_89 * 1.1,)


def test_other_figures_are_given_by_their_paths():
    severity = ANY.validate_python(SPLICED)
    (path,) = [f"tail.{name}" for name in ("alpha", "shape") if name in SPLICED["tail"]]
    made = severity.with_figures({path: 0.9 * SPLICED["tail"][path[5:]], "at": severity.at + 1.0})
    assert made == ANY.validate_python(
        SPLICED | {"at": severity.at + 1.0, "tail": SPLICED["tail"] | {path[5:]: 0.9 * SPLICED["tail"][path[5:]]}}
    )
    assert Gamma(shape=2.0, scale=10.0).with_figures({"level": 1.5}).scale == 15.0
    with pytest.raises(LookupError, match="tail_share"):
        Gamma(shape=2.0, scale=10.0).with_figures({"tail_share": 0.1})
    with pytest.raises(ValidationError):
        severity.with_figures({"at": -1.0})


@pytest.mark.parametrize("name", NAMES)
def test_atoms_are_where_the_survival_jumps(name):
    severity = family(name)
    costs = severity.isf(np.linspace(0.001, 0.999, 400))
    jumps = severity.sf(np.nextafter(costs, 0)) - severity.sf(costs)
    assert severity.has_atoms == bool((jumps > 1e-3).any())


@pytest.mark.parametrize("name", NAMES)
def test_moments_stop_at_the_tail_index(name):
    severity = family(name)
    raw = Moments(severity).raw
    assert np.array_equal(np.isinf(raw), np.arange(5) >= severity.tail_index)
    if math.isfinite(severity.tail_index):
        # far out a power law: twice the cost, 2^-index the chance
        far = severity.isf(1e-40)
        assert math.log2(severity.sf(far) / severity.sf(2 * far)) == pytest.approx(severity.tail_index, rel=1e-6)


@pytest.mark.parametrize("name", [name for name in NAMES if "mean" in FAMILIES[name]])
def test_mean_and_cv_are_those_given(name):
    raw = Moments(family(name)).raw
    assert raw[1] == pytest.approx(FAMILIES[name]["mean"], rel=1e-9)
    assert math.sqrt(raw[2] / raw[1] ** 2 - 1) == pytest.approx(FAMILIES[name]["cv"], rel=1e-8)


@pytest.mark.parametrize(
    ("native", "third"),
    [
        (Lognormal(mu=6.5, sigma=1.6), {}),
        (Gamma(shape=0.3, scale=5_000.0), {}),
        (Weibull(shape=0.6, scale=900.0), {}),
        (Pareto(scale=500.0, alpha=2.4), {}),
        (Lomax(scale=4_000.0, alpha=3.1), {}),
        (GeneralizedPareto(shape=0.2, scale=700.0), {}),
        (GeneralizedPareto(shape=-0.4, scale=700.0), {}),
        (Burr(c=1.5, d=2.0, scale=800.0), {"tail": 3.0}),
        (GeneralizedGamma(shape=2.5, power=0.5, scale=40.0), {"power": 0.5}),
        (GeneralizedGamma(shape=0.4, power=1.5, scale=900.0), {"power": 1.5}),
        (GeneralizedBeta2(a=1.2, p=0.6, q=2.5, scale=800.0), {"tail": 3.0, "p": 0.6}),
    ],
)
def test_mean_and_cv_lead_back_to_the_native_figures(native, third):
    raw = Moments(native).raw
    again = type(native)(mean=raw[1], cv=math.sqrt(raw[2] / raw[1] ** 2 - 1), **third)
    np.testing.assert_allclose(again.isf(SURVIVAL), native.isf(SURVIVAL), rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in NAMES if "mean" in FAMILIES[name]])
def test_cost_scales_with_the_mean(name):
    figures = FAMILIES[name]
    double = ANY.validate_python({**figures, "mean": 2 * figures["mean"]})
    np.testing.assert_allclose(double.isf(SURVIVAL), 2 * family(name).isf(SURVIVAL), rtol=1e-9)


@pytest.mark.heavy
@pytest.mark.parametrize("name", NAMES)
def test_breaks_lie_inside_and_the_quantile_is_smooth_between(name):
    severity = family(name)
    inside = severity.breaks[(severity.breaks > 1e-3) & (severity.breaks < 1 - 1e-3)]
    edges = np.unique(np.concatenate([[1e-3], inside, [1 - 1e-3]]))
    middle = (edges[:-1] + np.diff(edges) * np.array([0.2, 0.4, 0.6, 0.8])[:, None]).ravel()
    steps = [np.abs(severity.isf(middle * (1 + h)) - severity.isf(middle * (1 - h))) for h in (1e-6, 1e-8)]
    assert np.all(steps[1] <= steps[0] * 0.1 + 1e-6), "a jump does not shrink with the step"


@pytest.mark.parametrize(
    "cls", [Lognormal, Gamma, Weibull, Pareto, Lomax, GeneralizedPareto, Burr, GeneralizedGamma, GeneralizedBeta2]
)
def test_figures_that_do_not_determine_a_family_are_refused(cls):
    for figures in (
        {},
        {"mean": 5.0},
        {"mean": 5.0, "cv": 1.5, cls.ways[1][0]: 3.0},
        dict.fromkeys(cls.ways[1][:-1], 3.0),
    ):
        with pytest.raises(ValidationError, match="does not determine it"):
            cls(**figures)


def test_a_cv_that_no_weibull_has_is_refused():
    with pytest.raises(ValidationError, match="which this family cannot have"):
        Weibull(mean=5.0, cv=1e-9)


# ── generalized gamma and beta ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("general", "special"),
    [
        (GeneralizedGamma(shape=0.7, power=1.0, scale=900.0), Gamma(shape=0.7, scale=900.0)),
        (GeneralizedGamma(shape=1.0, power=0.6, scale=900.0), Weibull(shape=0.6, scale=900.0)),
        (GeneralizedGamma(mu=6.5, sigma=1.6, q=0.0), Lognormal(mu=6.5, sigma=1.6)),
        (GeneralizedGamma(mu=6.5, sigma=0.8, q=0.8), Gamma(shape=0.8**-2, scale=0.64 * math.exp(6.5))),
        (GeneralizedBeta2(a=1.5, p=1.0, q=2.0, scale=800.0), Burr(c=1.5, d=2.0, scale=800.0)),
        (GeneralizedBeta2(a=1.0, p=1.0, q=3.1, scale=800.0), Lomax(alpha=3.1, scale=800.0)),
    ],
)
def test_a_general_family_holds_its_special_cases(general, special):
    np.testing.assert_allclose(general.isf(SURVIVAL), special.isf(SURVIVAL), rtol=1e-10)
    np.testing.assert_allclose(general.sf(special.isf(SURVIVAL)), SURVIVAL, rtol=1e-9)
    assert general.tail_index == pytest.approx(special.tail_index)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_generalized_gamma_goes_through_the_lognormal(sign):
    survival = np.array([1 - 1e-6, 0.9, 0.5, 0.1, 1e-6])
    gap = [
        np.log(GeneralizedGamma(mu=6.5, sigma=1.6, q=sign * q).isf(survival))
        - np.log(Lognormal(mu=6.5, sigma=1.6).isf(survival))
        for q in (9e-4, 1.1e-3, 1.1e-2)
    ]
    assert np.all(gap[0] == 0) and np.all(np.abs(gap[1]) < 0.7e-2 * 1.6 * 1.1)
    # near the lognormal the distance from it is as q
    np.testing.assert_allclose(gap[2], 10 * gap[1], rtol=0.15)


def test_prentices_figures_are_stacys():
    stacy, prentice = (
        GeneralizedGamma(shape=4.0, power=0.5, scale=100.0),
        GeneralizedGamma(mu=math.log(100.0) + math.log(4.0) / 0.5, sigma=1.0, q=0.5),
    )
    np.testing.assert_allclose(stacy.isf(SURVIVAL), prentice.isf(SURVIVAL), rtol=1e-10)


# ── spliced ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["spliced", "spliced excess", "spliced conditional"])
def test_a_splice_has_neither_gap_nor_atom(name):
    severity, at = family(name), FAMILIES[name]["at"]
    weight = float(severity.body.sf(at))
    assert severity.sf(np.nextafter(at, 0)) == pytest.approx(severity.sf(np.nextafter(at, math.inf)), rel=1e-9)
    assert severity.sf(at) == pytest.approx(weight, rel=1e-12)
    around = severity.isf(weight * np.array([1 + 1e-9, 1 - 1e-9]))
    np.testing.assert_allclose(around, at, rtol=1e-6)
    below = np.geomspace(1, at * 0.999, 20)
    np.testing.assert_array_equal(severity.sf(below), severity.body.sf(below))


def test_a_pareto_tail_without_scale_is_a_power_of_the_distance_from_the_splice():
    severity = family("spliced")
    weight = float(severity.body.sf(20_000.0))
    np.testing.assert_allclose(severity.sf([40_000.0, 200_000.0]), weight * np.array([2, 10]) ** -4.5, rtol=1e-12)


def test_a_pareto_tail_with_a_scale_below_the_splice_is_the_same_law():
    given = Spliced.model_validate({**SPLICED, "tail": {"family": "pareto", "alpha": 4.5, "scale": 1_000.0}})
    np.testing.assert_allclose(given.isf(SURVIVAL), family("spliced").isf(SURVIVAL), rtol=1e-9)


def test_the_mean_of_a_spliced_family_belongs_to_the_body_before_splicing():
    assert Moments(family("spliced").body).raw[1] == pytest.approx(4_000.0)
    assert Moments(family("spliced")).raw[1] != pytest.approx(4_000.0, rel=1e-3)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"tail": {"family": "pareto", "alpha": 2.5, "scale": 30_000.0}}, "above the splice"),
        ({"tail": {"family": "empirical", "values": [5.0]}}, "never exceeds"),
        ({"body": {"family": "pareto", "scale": 30_000.0, "alpha": 3.0}}, "inside the body's range"),
    ],
)
def test_splices_that_cannot_be_are_refused(changes, sentence):
    with pytest.raises(ValidationError, match=sentence):
        Spliced.model_validate({**SPLICED, **changes})


# ── mixture ──────────────────────────────────────────────────────────────────────────────────────


def test_a_mixture_is_the_weighted_survival_of_its_parts():
    severity = family("mixture")
    costs = np.geomspace(10, 1e5, 50)
    np.testing.assert_allclose(
        severity.sf(costs), sum(p.weight * p.severity.sf(costs) for p in severity.components), rtol=1e-14
    )
    assert severity.tail_index == 5


def test_a_mixture_of_atoms_keeps_them():
    severity = Mixture(
        components=[
            {"weight": 0.25, "severity": {"family": "empirical", "values": [50.0]}},
            {"weight": 0.75, "severity": FAMILIES["gamma"]},
        ]
    )
    assert severity.has_atoms
    jump = float(severity.sf(np.nextafter(50.0, 0)) - severity.sf(50.0))
    assert jump == pytest.approx(0.25, abs=1e-9)
    gamma = Moments(ANY.validate_python(FAMILIES["gamma"])).raw
    np.testing.assert_allclose(Moments(severity).raw, 0.25 * 50.0 ** np.arange(5) + 0.75 * gamma, rtol=1e-9)


@pytest.mark.parametrize(
    "part",
    [
        {"family": "pareto", "scale": 1_000.0, "alpha": 6.0},
        {"family": "gpd", "shape": -0.6, "scale": 900.0},
        {"family": "empirical", "quantiles": {"0": 700.0, "1": 900.0}},
    ],
)
def test_a_mixture_knows_where_its_parts_start_and_end(part):
    parts = [ANY.validate_python(figures) for figures in (part, FAMILIES["lognormal"])]
    severity = Mixture(
        components=[{"weight": 0.4, "severity": part}, {"weight": 0.6, "severity": FAMILIES["lognormal"]}]
    )
    wanted = 0.4 * Moments(parts[0]).raw + 0.6 * Moments(parts[1]).raw
    np.testing.assert_allclose(Moments(severity).raw, wanted, rtol=1e-8)


# ── empirical ────────────────────────────────────────────────────────────────────────────────────


def test_observed_values_are_resampled_with_exactly_their_weights():
    severity = Empirical(values=[30.0, 10.0, 20.0, 10.0], weights=[1.0, 2.0, 4.0, 1.0])
    assert [float(severity.sf(np.nextafter(v, 0)) - severity.sf(v)) for v in (10.0, 20.0, 30.0)] == [0.375, 0.5, 0.125]
    assert severity.isf([0.999, 0.626, 0.624, 0.126, 0.124, 1e-12]).tolist() == [10.0, 10.0, 20.0, 20.0, 30.0, 30.0]
    assert severity.isf([1.0, 0.625, 0.125]).tolist() == [10.0, 10.0, 20.0]
    assert severity.sf([9.0, 10.0, 29.0, 30.0]).tolist() == [1.0, 0.625, 0.125, 0.0]


def test_values_without_weights_are_alike_and_weights_have_any_unit():
    one, other = Empirical(values=[1.0, 2.0, 5.0]), Empirical(values=[5.0, 1.0, 2.0], weights=[7.0, 7.0, 7.0])
    np.testing.assert_allclose(one.sf([1.0, 2.0]), other.sf([1.0, 2.0]), rtol=1e-15)
    np.testing.assert_allclose(
        Moments(one).raw, np.mean(np.array([1.0, 2.0, 5.0])[:, None] ** np.arange(5), axis=0), rtol=1e-12
    )


@pytest.mark.parametrize("weights", [None, [3.0] * 1_000])
def test_percentiles_of_equal_values_are_order_statistics(weights):
    severity = Empirical(values=np.arange(1.0, 1_001.0).tolist(), weights=weights)
    for percent in (1, 10, 50, 90, 99):
        assert severity.isf((100 - percent) / 100) == 10 * percent


def test_a_quantile_table_is_linear_between_its_levels():
    severity = Empirical(quantiles={0: 100.0, 0.5: 300.0, 1: 1_100.0})
    assert severity.isf([1.0, 0.75, 0.5, 0.25, 1e-300]).tolist() == pytest.approx([100.0, 200.0, 300.0, 700.0, 1_100.0])
    assert severity.sf([99.0, 100.0, 200.0, 300.0, 700.0, 1_100.0, 1_101.0]).tolist() == pytest.approx(
        [1, 1, 0.75, 0.5, 0.25, 0, 0]
    )
    raw = [
        0.5
        * sum(
            np.diff([a ** (k + 1) / (k + 1) / (b - a), b ** (k + 1) / (k + 1) / (b - a)])[0]
            for a, b in ((100, 300), (300, 1_100))
        )
        for k in range(5)
    ]
    np.testing.assert_allclose(Moments(severity).raw, raw, rtol=1e-10)


def test_a_flat_piece_of_a_quantile_table_is_an_atom():
    severity = Empirical(quantiles={0: 0.0, 0.3: 0.0, 0.8: 50.0, 0.9: 50.0, 1: 90.0})
    assert severity.sf(0.0) == pytest.approx(0.7)
    assert float(severity.sf(np.nextafter(50.0, 0)) - severity.sf(50.0)) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("figures", "sentence"),
    [
        ({}, "either values or quantiles"),
        ({"values": []}, "at least 1"),
        ({"values": [0.0]}, "greater than 0"),
        ({"values": [math.nan]}, "finite"),
        ({"values": [1.0], "weights": [0.0]}, "greater than 0"),
        ({"quantiles": {0: 0.0, 1: 1.0}, "weights": [1.0]}, "weights but no values"),
        ({"quantiles": {0.1: 0.0, 1: 1.0}}, "from 0 to 1"),
        ({"quantiles": {0: 0.0, 1: math.inf}}, "finite"),
        ({"quantiles": {-0.5: 0.0, 1: 1.0}}, "from 0 to 1"),
    ],
)
def test_observed_costs_that_cannot_be_are_refused(figures, sentence):
    with pytest.raises(ValidationError, match=sentence):
        Empirical(**figures)


# ── extremes ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "severity",
    [
        Weibull(shape=50.0, scale=10.0),
        Weibull(shape=0.1, scale=10.0),
        Gamma(shape=1e-3, scale=1e6),
        Gamma(shape=1e6, scale=1e-3),
        Burr(c=60.0, d=0.1, scale=100.0),
        GeneralizedGamma(mu=6.0, sigma=1.2, q=1e-9),
        GeneralizedGamma(mu=6.0, sigma=1.2, q=2e-3),
        GeneralizedGamma(mu=6.0, sigma=1.2, q=-2e-3),
        GeneralizedGamma(mu=6.0, sigma=1.2, q=6.0),
        GeneralizedGamma(mu=6.0, sigma=0.1, q=-6.0),
        GeneralizedBeta2(a=30.0, p=0.05, q=0.1, scale=100.0),
        GeneralizedBeta2(a=0.3, p=60.0, q=90.0, scale=100.0),
        Lognormal(mu=3.0, sigma=1e-4),
        Lognormal(mu=3.0, sigma=6.0),
        GeneralizedPareto(shape=1e-12, scale=5.0),
    ],
    ids=repr,
)
def test_extreme_shapes_stay_within_a_computers_numbers(severity):
    costs = severity.isf(np.array([1.0, 1 - 1e-12, 0.5, 1e-12, 1e-300]))
    assert np.all(np.isfinite(costs)) and np.all(np.diff(costs) >= 0)
    survival = severity.sf(np.array([0.0, 1e-300, 1.0, 1e12, 1e100]))
    assert np.all((survival >= 0) & (survival <= 1)) and np.all(np.diff(survival) <= 0)


def test_a_wrong_shape_is_noticed():
    law = stats.lognorm(s=1.6, scale=math.exp(6.5))
    right, wrong = Lognormal(mu=6.5, sigma=1.6), Lognormal(mu=6.5, sigma=1.6 * (1 + 1e-6))
    costs = np.geomspace(1, 1e6, 50)
    np.testing.assert_allclose(right.sf(costs), law.sf(costs), rtol=1e-8)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(wrong.sf(costs), law.sf(costs), rtol=1e-8)
