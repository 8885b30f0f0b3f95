"""From summary figures to a family, against closed forms and scipy's families, and every refusal by its sentence."""

import math

import numpy as np
import oracles
import pytest
from conftest import alone, make, raw
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

import simulator as sim
from simulator.analysis.statistics.describe import compare_families, describe_calibration
from simulator.costs.calibrate import CALIBRATED_FAMILIES, Calibration
from simulator.costs.families.heavy_tails import GeneralizedBeta2
from simulator.costs.families.union import FAMILIES
from simulator.costs.quadrature import Moments
from simulator.costs.shapes import squared_cv, top_share
from simulator.present.answers.calibration import families_table
from simulator.present.answers.calibration import page as calibration_table

GENERAL = ("burr", "gengamma", "gb2")
TWO_FIGURES = [family for family in CALIBRATED_FAMILIES if family not in GENERAL]


def frozen(severity):
    """The same family by scipy."""
    f = severity.family
    given = severity.model_dump(exclude_none=True)
    if f == "lognormal" and "sigma" in given:
        return stats.lognorm(given["sigma"], scale=math.exp(given["mu"]))
    if f == "lognormal":
        sigma = math.sqrt(math.log(1 + given["cv"] ** 2))
        return stats.lognorm(sigma, scale=given["mean"] * math.exp(-(sigma**2) / 2))
    if f == "gamma" and "cv" in given:
        return stats.gamma(given["cv"] ** -2, scale=given["mean"] * given["cv"] ** 2)
    if f == "gamma":
        return stats.gamma(given["shape"], scale=given["scale"])
    if f == "weibull":
        return stats.weibull_min(given["shape"], scale=given["scale"])
    if f == "pareto":
        return stats.pareto(given["alpha"], scale=given["scale"])
    if f == "lomax":
        return stats.lomax(given["alpha"], scale=given["scale"])
    if f == "gpd":
        return stats.genpareto(given["shape"], scale=given["scale"])
    return stats.burr12(given["c"], given["d"], scale=given["scale"])


def share_of_top(severity, u):
    """Share of cost of the costliest u of users, in closed form and without the package."""
    given, law = severity.model_dump(exclude_none=True), frozen(severity)
    cost = law.isf(u)
    match severity.family:
        case "lognormal":
            return stats.norm.cdf(given["sigma"] + stats.norm.ppf(u))
        case "gamma":
            return stats.gamma.sf(cost, given["shape"] + 1, scale=given["scale"])
        case "weibull":
            return special.gammaincc(1 + 1 / given["shape"], -math.log(u))
        case "pareto":
            return u ** (1 - 1 / given["alpha"])
        case "lomax" | "gpd":
            xi = given.get("shape", 1 / given.get("alpha", 1))
            scale = given["scale"] if severity.family == "gpd" else given["scale"] / given["alpha"]
            # the mean excess of a generalized Pareto is a line
            return u * (cost + (scale + xi * cost) / (1 - xi)) / law.mean()


@pytest.mark.parametrize("p_user", [1.0, 0.85, 0.3])
@pytest.mark.parametrize("family", TWO_FIGURES)
def test_a_top_share_is_met_in_closed_form(family, p_user):
    users = sim.calibrate(family, mean=952.0, p_user=p_user, top_share={0.05: 0.514})
    assert share_of_top(users, 0.05 / p_user) == pytest.approx(0.514, abs=1e-12)
    assert frozen(users).mean() == pytest.approx(952.0 / p_user, rel=1e-10)


@pytest.mark.parametrize("p_user", [1.0, 0.85, 0.3])
@pytest.mark.parametrize("family", TWO_FIGURES)
def test_a_cv_is_met_exactly(family, p_user):
    users = sim.calibrate(family, mean=952.0, p_user=p_user, cv=4.0)
    raw = Moments(users).raw
    second = p_user * raw[2]
    assert math.sqrt(second / 952.0**2 - 1) == pytest.approx(4.0, rel=1e-10)
    assert users.mean == 952.0 / p_user  # the figures that were given stay as they are


@pytest.mark.parametrize(("share", "of_people", "sigma", "cv"), [(0.514, 0.05, 1.68, 4.0), (0.32, 0.01, 1.86, 5.5)])
def test_published_shares_of_one_lognormal(share, of_people, sigma, cv):
    """Health Foundation working paper 7 (2019) and IFS W15/21, each met by a single lognormal."""
    users = sim.calibrate("lognormal", mean=952.0, top_share={of_people: share})
    assert users.sigma == pytest.approx(sigma, abs=0.005)
    assert math.sqrt(math.expm1(users.sigma**2)) == pytest.approx(cv, abs=0.05)


def test_published_top_and_rest():
    """£9,789 and £487 (Health Foundation 2019): the share, the mean and both means are one set of figures."""
    mean = 0.05 * 9_789 + 0.95 * 487
    users = sim.calibrate("lognormal", mean=mean, top_share={0.05: 0.05 * 9_789 / mean})
    top = frozen(users).expect(lambda x: x, lb=frozen(users).isf(0.05)) / 0.05
    assert top == pytest.approx(9_789, abs=1)
    assert (mean - 0.05 * top) / 0.95 == pytest.approx(487, abs=1)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "targets",
    [
        {"cv": 4.0, "top_share": {0.05: 0.514}},
        {"top_share": {0.01: 0.246, 0.05: 0.514}},
        {"cv": 2.0, "top_share": {0.05: 0.35}},
    ],
)
def test_burr_meets_two_targets(targets):
    users = sim.calibrate("burr", mean=952.0, p_user=0.85, **targets)
    law = frozen(users)
    assert law.mean() == pytest.approx(1_120.0, rel=1e-9)
    for q, share in targets["top_share"].items():
        cost = law.isf(q / 0.85)
        grid = np.exp(np.linspace(math.log(cost), math.log(law.isf(1e-14)), 400_001))
        # E[X; X > c] = c·P(X > c) + ∫ P(X > x) dx
        above = cost * q / 0.85 + np.trapezoid(law.sf(grid) * grid, np.log(grid))
        assert above / 1_120.0 == pytest.approx(share, abs=2e-6)
    if "cv" in targets:
        second = law.moment(2) * 0.85 / 952.0**2
        assert math.sqrt(second - 1) == pytest.approx(targets["cv"], abs=1e-6)


@pytest.mark.heavy
def test_more_targets_than_figures_are_met_where_they_agree():
    whole = sim.calibrate("lognormal", mean=952.0, p_user=0.85, top_share={0.05: 0.514})
    sigma = whole.sigma
    shares = {q: float(stats.norm.cdf(sigma + stats.norm.ppf(q / 0.85))) for q in (0.01, 0.05, 0.10)}
    again = sim.calibrate("lognormal", mean=952.0, p_user=0.85, top_share=shares)
    assert again.sigma == pytest.approx(sigma, abs=1e-6)
    near = sim.calibrate("lognormal", mean=952.0, p_user=0.85, top_share={**shares, 0.01: shares[0.01] + 0.0004})
    assert near.sigma == pytest.approx(sigma, abs=0.002)
    with pytest.raises(sim.SimulatorError, match="the closest has"):
        sim.calibrate("lognormal", mean=952.0, p_user=0.85, top_share={**shares, 0.01: shares[0.01] + 0.003})


@given(
    sigma=st.floats(0.2, 3.0),
    p_user=st.floats(0.2, 1.0),
    mean=st.floats(0.01, 1e6),
    q=st.floats(0.001, 0.19),
)
def test_what_a_lognormal_has_is_found_again(sigma, p_user, mean, q):
    share = float(stats.norm.cdf(sigma + stats.norm.ppf(q / p_user)))
    if not q / p_user < share < 0.9999:
        return
    users = sim.calibrate("lognormal", mean=mean, p_user=p_user, top_share={q: share})
    # where nearly all cost is at the top, its share says little about sigma
    assert users.sigma == pytest.approx(sigma, rel=1e-6)
    assert users.mu == pytest.approx(math.log(mean / p_user) - users.sigma**2 / 2, rel=1e-9, abs=1e-9)


def drawn_top_share(users, rng, people=400_000, p_user=0.85):
    """Share of the costliest 5% and its standard error, from draws by scipy."""
    shares = []
    for _ in range(20):
        cost = np.zeros(people // 20)
        count = rng.binomial(cost.size, p_user)
        cost[:count] = frozen(users).rvs(size=count, random_state=rng)
        cost.sort()
        shares.append(cost[-cost.size // 20 :].sum() / cost.sum())
    return np.mean(shares), np.std(shares, ddof=1) / math.sqrt(len(shares))


@pytest.mark.parametrize("family", ["lognormal", "gamma", "weibull"])
def test_draws_have_the_share(family, rng):
    share, error = drawn_top_share(sim.calibrate(family, mean=952.0, p_user=0.85, top_share={0.05: 0.514}), rng)
    assert abs(share - 0.514) < 5 * error
    # the same test on a wrong target must fail
    share, error = drawn_top_share(sim.calibrate(family, mean=952.0, p_user=0.85, top_share={0.05: 0.54}), rng)
    assert abs(share - 0.514) > 5 * error


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────

THREE_FIGURES = [
    {"top_share": {0.01: 0.25, 0.05: 0.514}},
    {"top_share": {0.01: 0.3, 0.05: 0.514}},
    {"top_share": {0.05: 0.3, 0.2: 0.7}},
    {"cv": 4.0, "top_share": {0.05: 0.514}},
    {"cv": 2.0, "top_share": {0.05: 0.35}},
]


def general_isf(severity, s):
    """Quantiles of the two general families by scipy's beta prime and gamma."""
    f = severity
    if f.family == "gb2":
        return oracles.PowerOfBetaPrime(f.a, f.p, f.q, f.scale).isf(s)
    gamma = stats.gamma(f.q**-2, scale=f.q**2)
    return np.exp(f.mu + f.sigma / f.q * np.log(gamma.isf(s) if f.q > 0 else gamma.ppf(s)))


def check_figures(users, mean, p_user, targets):
    """Mean, top shares and cv of a law by adding up its quantiles, which shares no code with the program."""
    # levels close to 0, where the costs are, and far into the tail
    shares = [q / p_user for q in targets.get("top_share", {})]
    edges = np.union1d(np.geomspace(1e-13, 1.0, 20_001), shares)
    cells = (edges[1:] + edges[:-1]) / 2
    cost, width = general_isf(users, cells), np.diff(edges)
    total = float(cost @ width)
    assert p_user * total == pytest.approx(mean, rel=1e-4)
    for q, share in targets.get("top_share", {}).items():
        inside = edges[1:] <= q / p_user
        assert float((cost * width)[inside].sum()) / total == pytest.approx(share, abs=1e-4)
    if "cv" in targets:
        second = p_user * float(cost**2 @ width) / mean**2
        assert math.sqrt(second - 1) == pytest.approx(targets["cv"], rel=2e-3)


@pytest.mark.parametrize("p_user", [1.0, 0.85])
@pytest.mark.parametrize("targets", THREE_FIGURES)
def test_the_generalized_gamma_meets_two_targets(targets, p_user):
    users = sim.calibrate("gengamma", mean=952.0, p_user=p_user, **targets)
    check_figures(users, 952.0, p_user, targets)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("law", "p_user"),
    [((1.3, 0.8, 2.2, 700.0), 0.85), ((2.0, 0.4, 1.5, 900.0), 1.0), ((0.9, 1.5, 4.0, 2_000.0), 0.6)],
)
def test_gb2_is_found_again_from_its_figures(law, p_user):
    """Two top shares and the cv, and three top shares, of a law known from numpy."""
    a, p, q, scale = law
    truth = GeneralizedBeta2(a=a, p=p, q=q, scale=scale)
    mean = p_user * float(Moments(truth).raw[1])
    share = {u: Moments(truth).above(truth.isf(u / p_user))[1] * p_user / mean for u in (0.01, 0.05, 0.2)}
    three = {"top_share": {u: float(s) for u, s in share.items()}}
    users = sim.calibrate("gb2", mean=mean, p_user=p_user, **three)
    check_figures(users, mean, p_user, three)
    s = np.array([0.9, 0.5, 0.1, 0.01])
    assert users.isf(s) == pytest.approx(truth.isf(s), rel=0.01)
    if a * q > 2.5:
        raw = Moments(truth).raw
        cv = math.sqrt(p_user * raw[2] / mean**2 - 1)
        given = {"cv": cv, "top_share": {u: float(share[u]) for u in (0.05, 0.2)}}
        check_figures(sim.calibrate("gb2", mean=mean, p_user=p_user, **given), mean, p_user, given)


@pytest.mark.parametrize("family", ["gengamma", "gb2"])
def test_closed_forms_of_general_families_are_those_of_the_quadrature(family):
    figures = {"gengamma": {"mu": 6.0, "sigma": 1.1, "q": 0.0}, "gb2": {"a": 1.3, "p": 0.8, "q": 2.9, "scale": 7e2}}
    for change in ({}, {"q": 0.9}, {"q": 2.4}) if family == "gengamma" else ({}, {"q": 1.9}):
        users = FAMILIES[family](**figures[family] | change)
        raw = Moments(users).raw
        assert squared_cv(users) == pytest.approx(raw[2] / raw[1] ** 2, rel=1e-8)
        for u in (0.3, 0.05, 1e-3):
            assert top_share(users, u) == pytest.approx(Moments(users).above(users.isf(u))[1] / raw[1], rel=1e-8)


REFUSALS = [
    ({"family": "gengamma", "cv": 2.0}, "needs two targets beside the mean and has 1"),
    ({"family": "gb2", "cv": 2.0, "top_share": {0.05: 0.35}}, "needs three targets beside the mean and has 2"),
    ({"family": "gengamma", "cv": 9.0, "top_share": {0.05: 0.2}}, "the closest has cv"),
    ({"family": "lognormal"}, "needs one target beside the mean and has none"),
    ({"family": "burr", "cv": 2.0}, "needs two targets beside the mean and has 1"),
    ({"top_share": {0.05: 0.04}}, "the costliest 5% of people cannot hold 4% of cost; give a share of cost above 0.05"),
    ({"top_share": {0.05: 0.06}, "p_user": 0.5}, "hold more than 10% of cost, as 50% have any, not 6%"),
    ({"top_share": {0.05: 0.5}, "p_user": 0.04}, "hold every cost, as 4% have any"),
    ({"top_share": {0.05: 1.2}}, "top_share.0.05: 1.2 must be below 1"),
    ({"top_share": {1.5: 0.5}}, "top_share"),
    ({"top_share": {0.01: 0.5, 0.05: 0.4}}, "the costliest 1% cannot hold 50% of cost while the costliest 5% hold 40%"),
    ({"top_share": {0.01: 0.1, 0.05: 0.6}}, "a larger group holds more in all and less a head"),
    ({"cv": 0.9, "p_user": 0.5}, "people without any cost (50.0%) alone make it more than 1"),
    ({"cv": math.inf}, "cv: inf is not a finite number"),
    ({"cv": 0.0}, "cv: 0.0 must be above 0"),
    ({"family": "lomax", "cv": 0.9}, "no lomax has cv 0.9 here; it must be above 1; give a larger cv or take gpd"),
    ({"family": "lomax", "top_share": {0.05: 0.1}}, "the closest it can have is 0.19979"),
    ({"family": "pareto", "top_share": {0.05: 0.9999}}, "no pareto has a top-5% share of 0.9999"),
    ({"family": "pareto", "cv": 1e9}, "within the range of a computer's numbers"),
    ({"family": "gamma", "cv": 4.0, "top_share": {0.05: 0.514}}, "no gamma has cv 4 and top-5% share 0.514 together"),
    ({"family": "burr", "cv": 9.0, "top_share": {0.05: 0.2}}, "the closest has cv"),
    ({"mean": -1.0, "cv": 1.0}, "mean: -1.0 must be above 0"),
    ({"mean": math.nan, "cv": 1.0}, "mean: nan is not a finite number"),
    ({"mean": 1e200, "cv": 1.0}, "range of a computer's numbers; give it in another unit"),
    ({"p_user": "0.5", "cv": 1.0}, "p_user: '0.5' is not a number"),
    ({"p_user": 1.5, "cv": 1.0}, "p_user: 1.5 must be at most 1"),
    ({"p_user": math.nan, "cv": 1.0}, "p_user: nan is not a finite number"),
    ({"family": "lognormale", "cv": 1.0}, "family: 'lognormale' must be 'lognormal', 'gamma'"),
]


@pytest.mark.heavy
@pytest.mark.parametrize(("figures", "sentence"), REFUSALS)
def test_one_clear_sentence(figures, sentence):
    with pytest.raises(sim.SimulatorError) as caught:
        sim.calibrate(**{"family": "lognormal", "mean": 1_000.0, **figures})
    told = str(caught.value)
    assert sentence in told
    assert "\n" not in told


def test_whole_numbers_and_numpys_numbers_will_do():
    users = sim.calibrate("gamma", mean=1_000, p_user=np.float64(0.5), cv=2)
    assert users.mean == 2_000.0


def test_every_mistake_in_one_go():
    with pytest.raises(sim.SimulatorError) as caught:
        sim.calibrate("lognormal", mean=-1.0, cv=0.0, top_share={0.05: 2.0})
    assert len(caught.value.mistakes) == 3


def test_the_closest_figures_can_be_had():
    with pytest.raises(sim.SimulatorError, match="closest it can have is") as caught:
        sim.calibrate("gpd", mean=1.0, top_share={0.05: 0.06})
    closest = float(str(caught.value).split("closest it can have is ")[1].split(";")[0])
    assert closest == pytest.approx(1 - 0.95**2, abs=1e-4)  # a uniform cost
    sim.calibrate("gpd", mean=1.0, top_share={0.05: closest + 1e-6})


# ── in a scenario ────────────────────────────────────────────────────────────────────────────────

TARGETS = {"family": "lognormal", "mean": 952.0, "top_share": {"0.05": 0.514}}


def test_calibrated_in_a_scenario_counts_everybody():
    found = sim.describe(alone({"calibrate": TARGETS}, p_user=0.85))
    assert found["mean"] == pytest.approx(952.0, rel=1e-12)
    assert found["top_share"]["0.05"] == pytest.approx(0.514, abs=1e-10)
    assert found["zero_share"] == pytest.approx(0.15)


def test_a_calibrated_scenario_goes_through_json():
    scenario = alone({"calibrate": {**TARGETS, "family": "gamma"}}, p_user=0.85)
    assert sim.Scenario.model_validate(scenario.model_dump()) == scenario
    assert sim.Scenario.model_validate_json(scenario.model_dump_json()) == scenario


@pytest.mark.heavy
def test_a_mistake_names_its_segment_and_leaves_the_others_to_be_told():
    from simulator.scenario import scenario_from

    segments = [
        {"name": "a", "share": 0.5, "p_user": 0.04, "severity": {"calibrate": TARGETS}},
        {"name": "b", "share": 0.5, "severity": {"family": "gamma", "mean": -1.0, "cv": 1.0}},
    ]
    with pytest.raises(sim.SimulatorError) as caught:
        scenario_from(raw(population={"segments": segments}), "some.toml")
    told = str(caught.value)
    assert "some.toml: population.segments[a]: cannot be calibrated: the costliest 5% of people hold every cost" in told
    assert "segments[b].severity.mean" in told


def test_unknown_targets_are_refused():
    with pytest.raises(ValueError, match="Extra inputs"):
        Calibration.model_validate({"family": "gamma", "mean": 1.0, "cv": 1.0, "median": 3.0})


# ── side by side ─────────────────────────────────────────────────────────────────────────────────


def test_families_agree_on_two_figures_and_differ_above_the_threshold():
    rows = {row["family"]: row for row in compare_families(mean=952.0, p_user=0.85, cv=4.0)}
    assert set(rows) == set(CALIBRATED_FAMILIES)
    for family, wanted in (("burr", "two"), ("gengamma", "two"), ("gb2", "three")):
        assert f"needs {wanted} targets" in rows.pop(family)["refused"]
    above = {}
    for family, row in rows.items():
        assert row["segment"]["mean"] == pytest.approx(952.0, rel=1e-10)
        assert row["segment"]["cv"] == pytest.approx(4.0, rel=1e-9)
        above[family] = row["segment"]["thresholds"][0]["share_of_cost_above"]
    assert above["lognormal"] / above["weibull"] == pytest.approx(0.864, abs=0.001)
    assert above["lomax"] < 0.5 * above["lognormal"]


def test_share_of_cost_above_is_scipys():
    row = describe_calibration("weibull", mean=952.0, p_user=0.85, top_share={0.05: 0.514})
    law = frozen(sim.calibrate("weibull", mean=952.0, p_user=0.85, top_share={0.05: 0.514}))
    for threshold in row["segment"]["thresholds"][:2]:
        d = threshold["threshold"]
        assert threshold["p_above"] == pytest.approx(0.85 * law.sf(d), rel=1e-10)
        excess = 0.85 * law.expect(lambda x, d=d: x - d, lb=d)
        assert threshold["share_of_cost_above"] == pytest.approx(excess / 952.0, rel=1e-6)


def test_targets_that_no_family_can_have_are_told_once():
    with pytest.raises(sim.SimulatorError, match="cannot hold 4% of cost"):
        compare_families(mean=952.0, top_share={0.05: 0.04})


@pytest.mark.heavy
def test_tables_tell_the_fit_the_reasons_and_that_they_are_exact():
    shown = str(
        calibration_table(describe_calibration("gamma", mean=952.0, p_user=0.85, top_share={0.05: 0.514}), "GBP")
    )
    assert shown.startswith("The gamma meets every target.")
    assert 'severity = { family = "gamma", shape = 0.1755' in shown
    assert "top-5% share   51.4%    51.4%" in shown
    assert "£50,000" in shown
    assert "without simulation" in shown
    side = str(families_table(compare_families(mean=952.0, p_user=0.85, top_share={0.05: 0.514}), "GBP"))
    assert " ".join(side.split()).startswith(
        "5 families meet the targets; the share of cost above £25,000 a person runs from 0.5% ("
    )
    assert "burr: needs two targets" in side
    assert "without simulation" in side
    only = str(families_table(compare_families(mean=952.0, p_user=0.85, cv=4.0, top_share={0.05: 0.514})))
    assert only.startswith("2 families meet the targets")


def test_a_scenario_may_mix_given_and_calibrated():
    scenario = make(
        population={
            "segments": [
                {"name": "a", "share": 0.5, "p_user": 0.8, "severity": {"calibrate": {**TARGETS, "family": "weibull"}}},
                {"name": "b", "share": 0.5, "severity": {"family": "gamma", "mean": 100.0, "cv": 1.0}},
            ]
        }
    )
    assert sim.describe(scenario)["mean"] == pytest.approx(0.5 * 952 + 0.5 * 100)
