"""Shocks by segment, rare shocks and correlated shocks: their laws, draws against exact answers, and closed forms."""

from __future__ import annotations

import hashlib
import itertools
import math

import numpy as np
import oracles
import pytest
from conftest import KINDS, LOGNORMAL, RARE, ROOT, UNITS, diagonal, make, of_everybody, raw
from scipy import stats
from test_exact import ALARM, exact_of, scores

import simulator as sim
from simulator import runs
from simulator.analysis.luck.infinite_population import limit_ledger
from simulator.analysis.luck.systematic import variance_by_source
from simulator.analysis.statistics.exact import law_of
from simulator.analysis.statistics.self_check import cells_of
from simulator.costs import shock_nodes
from simulator.costs.conditional import kept_means
from simulator.costs.moments import Exact
from simulator.costs.shock_nodes import joint_nodes
from simulator.costs.shocks import RareShock, Shock
from simulator.engine import kernels
from simulator.present.answers.description import page as check_table
from simulator.scenario import scenario_from

PRICES = {"name": "prices", "cv": 0.08, "segments": ["well"]}
WINTER = {"name": "winter", "cv": 0.05, "segments": ["complex"]}
INFLUENZA = {"name": "influenza", "probability": 0.1, "by": 0.3}
STRIKE = {"name": "strike", "probability": 0.25, "by": -0.2, "segments": ["well"]}
COMMON = {"name": "common", "cv": 0.03}


def together(value=0.6, between=("prices", "winter")):
    return [{"between": list(between), "value": value}]


SHOCKED = {
    "by segment": {"shocks": [PRICES, WINTER]},
    "one segment": {"shocks": [WINTER]},
    "rare": {"shocks": [INFLUENZA]},
    "rare by segment": {"shocks": [INFLUENZA | {"segments": ["complex"]}, STRIKE]},
    "correlated": {"shocks": [PRICES, WINTER], "shock_correlations": together()},
    "against each other": {"shocks": [PRICES, WINTER, COMMON], "shock_correlations": together(-0.7)},
    "rare and yearly correlated": {
        "shocks": [PRICES, INFLUENZA | {"segments": ["complex"]}],
        "shock_correlations": together(0.8, ("prices", "influenza")),
    },
    "two rare correlated": {
        "shocks": [STRIKE, INFLUENZA | {"segments": ["complex"]}, COMMON],
        "shock_correlations": together(0.5, ("strike", "influenza")),
    },
    "all": {"shocks": [PRICES, COMMON, STRIKE, WINTER, INFLUENZA], "shock_correlations": together(0.4)},
    "services": {
        "shocks": [{"name": "gene", "cv": 0.3, "segments": ["transplants"]}, PRICES],
        "shock_correlations": together(0.5, ("gene", "prices")),
        "population": {"rare_services": RARE},
    },
}


def shocked(name, membership="fixed", **simulation):
    changes = SHOCKED[name]
    sizes = {"population_sizes": [400, 3_000], "thresholds": [8_000.0, math.inf], "replicates": 6_000}
    population = changes.get("population", {}) | {"membership": membership}
    return make(**(changes | {"population": population}), simulation=sizes | simulation)


# ── draws against exact answers ──────────────────────────────────────────────────────────────────


DEAR = ["all", "against each other", "services"]


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("name", "membership"),
    [
        *diagonal(sorted(SHOCKED.keys() - DEAR), ["fixed", "sampled"]),
        *(pytest.param(*both, marks=pytest.mark.slow) for both in itertools.product(DEAR, ["fixed", "sampled"])),
    ],
)
def test_simulated_figures_agree_with_the_exact_ones(name, membership):
    scenario = shocked(name, membership)
    for figure, z in scores(scenario, exact_of(scenario)).items():
        assert np.nanmax(np.abs(z), initial=0.0) < ALARM, (figure, z)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("by segment", {"shocks": [of_everybody(PRICES), of_everybody(WINTER)]}),
        ("correlated", {"shocks": [PRICES, WINTER], "shock_correlations": together(-0.6)}),
        ("rare", {"shocks": [{"name": "influenza", "cv": RareShock(**INFLUENZA).cv}]}),
        ("rare by segment", {"shocks": [INFLUENZA | {"segments": ["well"]}, STRIKE]}),
    ],
)
def test_the_scores_notice_another_law(name, wrong):
    scenario = shocked(name)
    other = exact_of(make(**wrong, simulation=scenario.simulation.model_dump()))
    z = scores(scenario, other)
    assert max(np.nanmax(np.abs(z[figure])) for figure in z if "quantile" in figure or "overspend" in figure) > ALARM


@pytest.mark.heavy
@pytest.mark.parametrize("rule", [sim.Coinsure(share=0.6), sim.CarveOut()], ids=["coinsure", "carve-out"])
def test_other_rules_agree_too(rule):
    scenario = shocked("correlated")
    for figure, z in scores(scenario, exact_of(scenario, rule), rule).items():
        assert np.nanmax(np.abs(z), initial=0.0) < ALARM, (figure, z)


def test_a_run_of_units_passes_its_own_check():
    scenario = make(
        **SHOCKED["correlated"],
        population={"units": UNITS, "membership": "sampled"},
        simulation={"replicates": 4_000, "thresholds": [5_000.0]},
    )
    summary = sim.summarise(sim.simulate(scenario, progress=False))
    assert summary.attrs["check"] == "passed"


# ── closed forms ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("value", [-0.5, 0.0, 0.6])
def test_two_segments_under_correlated_lognormal_shocks_in_closed_form(value):
    n, parts = 10_000, [(0.7, 0.6, 1_000.0, 2.0, 0.08), (0.3, 0.9, 4_000.0, 1.2, 0.05)]
    segments = [
        {"name": name, "share": share, "p_user": p, "severity": {"family": "lognormal", "mean": mean, "cv": cv}}
        for name, (share, p, mean, cv, _) in zip(("well", "complex"), parts, strict=True)
    ]
    scenario = make(
        shocks=[PRICES, WINTER],
        shock_correlations=together(value),
        population={"segments": segments},
        simulation={"population_sizes": [n], "thresholds": [math.inf]},
    )
    luck, systematic, means = 0.0, 0.0, []
    for share, p, mean, cv, shock in parts:
        first, square = p * mean, p * mean**2 * (1 + cv**2)
        luck += n * share * (square - first**2) * (1 + shock**2)
        means.append((n * share * first, math.sqrt(math.log1p(shock**2))))
    for i, (one, a) in enumerate(means):
        for j, (other, b) in enumerate(means):
            systematic += one * other * math.expm1(a * b * (1.0 if i == j else value))
    whole = sum(mean for mean, _ in means)
    answer, split = sim.exact(scenario), variance_by_source(scenario)["variance"].values[:, 0, 0]
    assert float(answer["mean_cost"].item()) == pytest.approx(whole, rel=1e-10)
    assert float(answer["sd_cost"].item()) == pytest.approx(math.sqrt(luck + systematic), rel=1e-6)
    assert split[:2] * whole**2 == pytest.approx([luck, systematic], rel=1e-6)


def test_rare_years_are_a_mixture_of_two_populations():
    scenario = shocked("rare")
    shock = RareShock(**INFLUENZA)
    answer = sim.exact(scenario)
    cells = cells_of(scenario, sim.Cap(), [math.inf], runs.heads(scenario))
    point = float(cells.mean[1, 0] * 1.05)
    ours = float(
        law_of(
            scenario, sim.Cap(), math.inf, 1, cells_of(scenario, sim.Cap(), [8_000.0, math.inf], runs.heads(scenario))
        ).cdf(point)
    )
    calm = make(simulation=scenario.simulation.model_dump())
    alone = law_of(calm, sim.Cap(), math.inf, 1, cells_of(calm, sim.Cap(), [8_000.0, math.inf], runs.heads(calm)))
    mixed = 0.9 * alone.cdf(point / shock.levels[0]) + 0.1 * alone.cdf(point / shock.levels[1])
    assert ours == pytest.approx(float(mixed), abs=1e-7)
    assert abs(ours - float(alone.cdf(point))) > 0.01
    factor = np.array(shock.levels)
    variance = float(answer["sd_cost"][1, 1]) ** 2
    sd, mean = float(cells_of(calm, sim.Cap(), [math.inf], runs.heads(calm)).sd[1, 0]), float(cells.mean[1, 0])
    square = float(np.array([0.9, 0.1]) @ factor**2)
    assert variance == pytest.approx(square * sd**2 + (square - 1) * mean**2, rel=1e-9)


# ── nodes ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.heavy
@pytest.mark.parametrize("name", sorted(SHOCKED))
def test_nodes_have_the_means_and_covariances_of_draws(name):
    joint = shocked(name).cost_model.joint_shocks
    factors, weights, quasi = joint_nodes(joint)
    assert weights.sum() == pytest.approx(1) and weights @ factors == pytest.approx(np.ones(factors.shape[1]))
    assert not quasi
    uniforms = np.random.default_rng(3).random((400_000, len(joint.shocks)))
    drawn = joint.by_stream(joint.factors(uniforms))
    product = (drawn - 1)[:, :, None] * (drawn - 1)[:, None, :]
    expected = np.einsum("k,ki,kj->ij", weights, factors - 1, factors - 1)
    z = (product.mean(axis=0) - expected) / np.maximum(product.std(axis=0) / math.sqrt(len(drawn)), 1e-12)
    assert np.abs(z).max() < 5
    assert np.abs((drawn.mean(axis=0) - 1) / np.maximum(drawn.std(axis=0) / math.sqrt(len(drawn)), 1e-12)).max() < 5


@pytest.mark.heavy
def test_many_dimensions_take_quasi_random_points_that_are_near_the_tensor(monkeypatch):
    scenario = shocked("all")
    joint, heads = scenario.cost_model.joint_shocks, runs.heads(scenario)
    sharp = sim.exact(scenario)
    monkeypatch.setattr(shock_nodes, "MOST_POINTS", 10)
    rough = joint_nodes(joint)
    assert rough.is_quasi_random and rough.weights.size == shock_nodes.QUASI_RANDOM_POINTS
    total = Exact(scenario.cost_model, rough).total(heads, [])
    assert total.sd / sharp["sd_cost"].values[:, 1] == pytest.approx(1, abs=1e-3)
    answer = sim.exact(scenario)
    assert np.abs(answer["p_overspend"] - sharp["p_overspend"]).max() < 1e-3
    error = answer["probability_error"]
    assert float(error.max()) > float(sharp["probability_error"].max())


def test_a_group_of_streams_is_one_dimension_however_many_shocks_hit_it():
    many = [PRICES | {"name": f"prices {k}"} for k in range(4)] + [COMMON | {"name": f"common {k}"} for k in range(4)]
    joint = make(shocks=many).cost_model.joint_shocks
    factors, weights, quasi = joint_nodes(joint)
    assert not quasi and weights.size <= 24**2
    logs = np.log(factors)
    covariance = (logs.T * weights) @ logs - np.outer(weights @ logs, weights @ logs)
    well, common = 4 * math.log1p(0.08**2), 4 * math.log1p(0.03**2)
    assert covariance == pytest.approx(np.array([[well + common, common], [common, common]]), rel=1e-6)


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("sizes", "thresholds"),
    [([540_000], [math.inf]), pytest.param([1_000, 540_000], [25_000.0, math.inf], marks=pytest.mark.slow)],
)
def test_systematic_risk_in_several_dimensions_is_integrated_to_the_end(sizes, thresholds, monkeypatch):
    scenario = sim.load(ROOT / "configs" / "east_sussex_systematic.toml")
    scenario = scenario.with_simulation(population_sizes=sizes, thresholds=thresholds)
    answer = sim.exact(scenario)
    assert float(answer["probability_error"].max()) < 1e-7
    usual = shock_nodes._resolving
    monkeypatch.setattr(shock_nodes, "_resolving", lambda turn, fewest: 2 * usual(turn, fewest))
    finer = sim.exact(scenario)
    assert float(np.abs(answer["p_overspend"] - finer["p_overspend"]).max()) < 1e-10
    monkeypatch.setattr(shock_nodes, "_resolving", lambda turn, fewest: 8)
    rough = sim.exact(scenario)
    assert float(np.abs(answer["p_overspend"] - rough["p_overspend"]).max()) > 1e-6


# ── observed costs beside shocks ─────────────────────────────────────────────────────────────────


def observed(name, *values):
    segments = [
        {"name": "well", "share": 0.7, "p_user": 0.6, "severity": {"family": "empirical", "values": [50.0, 2_000.0]}},
        {"name": "complex", "share": 0.3, "severity": {"family": "empirical", "values": [100.0, 4_000.0, *values]}},
    ]
    return make(
        **SHOCKED[name] | {"population": {"segments": segments}},
        simulation={"population_sizes": [400, 1_500], "thresholds": [8_000.0], "replicates": 6_000},
    )


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("name", "rule"),
    [
        pytest.param("by segment", sim.Cap(), marks=pytest.mark.slow),
        ("by segment", sim.CarveOut()),
        pytest.param("rare and yearly correlated", sim.Cap(), marks=pytest.mark.slow),
        pytest.param("against each other", sim.Cap(), marks=pytest.mark.slow),
        pytest.param("correlated", sim.Cap(), marks=pytest.mark.slow),
        pytest.param("correlated", sim.CarveOut(), marks=pytest.mark.slow),
        pytest.param("all", sim.CarveOut(), marks=pytest.mark.slow),
    ],
)
def test_observed_costs_that_no_shock_lifts_over_a_threshold_have_an_exact_law(name, rule):
    scenario = observed(name, 20_000.0)
    answer = exact_of(scenario, rule)
    assert float(answer["probability_error"].max()) < 1e-6
    for figure, z in scores(scenario, answer, rule).items():
        assert np.nanmax(np.abs(z), initial=0.0) < ALARM, (figure, z)


@pytest.mark.heavy
@pytest.mark.no_cover
def test_observed_costs_that_shocks_lift_over_a_cap_have_a_law_with_its_error():
    scenario = observed("by segment", 7_900.0)
    answer = exact_of(scenario)
    assert 1e-6 < float(answer["probability_error"].max()) < 0.01
    for figure, z in scores(scenario, answer).items():
        assert np.nanmax(np.abs(z), initial=0.0) < ALARM, (figure, z)


@pytest.mark.slow
@pytest.mark.no_cover
def test_observed_costs_that_shocks_carry_out_one_by_one_have_no_exact_law_but_exact_moments():
    scenario = observed("by segment", 7_900.0)
    with pytest.raises(sim.SimulatorError, match="lies among observed costs") as caught:
        sim.exact(scenario, sim.CarveOut())
    assert "\n" not in str(caught.value)
    kept = sim.retained_cost(sim.simulate(scenario, progress=False), sim.CarveOut()).isel(threshold=0)
    cells = cells_of(scenario, sim.CarveOut(), [8_000.0], runs.heads(scenario))
    z = (kept.mean("replicate").values - cells.mean[:, 0]) / (cells.sd[:, 0] / math.sqrt(6_000))
    assert np.abs(z).max() < ALARM
    spread = (kept.var("replicate", ddof=1).values / cells.sd[:, 0] ** 2 - 1) / np.sqrt(
        (cells.excess_kurtosis[:, 0] + 2) / 6_000
    )
    assert np.abs(spread).max() < ALARM


# ── laws ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("by", "levels"), [(0.05, (1 / 1.005, 1.05 / 1.005)), (-0.2, (0.8 / 0.98, 1 / 0.98))])
def test_a_rare_shock_has_mean_one_and_two_levels(by, levels):
    shock = RareShock(name="a", probability=0.1, by=by)
    assert shock.levels == pytest.approx(levels) and shock.largest == pytest.approx(levels[1])
    drawn = shock.factor(kernels.uniforms(5, kernels.SHOCK, 0, np.arange(40_000), 1)[:, 0])
    assert set(np.round(drawn, 12)) == set(np.round(levels, 12))
    chance = 0.1 if by > 0 else 0.9
    assert abs((drawn == shock.levels[1]).mean() - chance) < 5 * math.sqrt(0.09 / 40_000)
    exact = (1 - chance) * shock.levels[0] + chance * shock.levels[1]
    assert exact == pytest.approx(1, abs=1e-15)
    assert shock.cv == pytest.approx(math.sqrt((1 - chance) * shock.levels[0] ** 2 + chance * shock.levels[1] ** 2 - 1))


def test_correlated_shocks_keep_their_laws_and_have_the_correlation_of_their_scores():
    scenario = shocked("correlated", replicates=20_000, population_sizes=[1], thresholds=[math.inf])
    drawn = sim.simulate(scenario, progress=False)["shock_factor"].values
    scores_of = []
    for column, cv in zip(drawn.T, (0.08, 0.05), strict=True):
        sigma, scale = oracles.shock_law(cv)
        scores_of.append(np.log(column / scale) / sigma)
        assert stats.kstest(scores_of[-1], stats.truncnorm(-6, 6).cdf).pvalue > 5.7e-7
    seen = float(np.corrcoef(*scores_of)[0, 1])
    assert abs(math.atanh(seen) - math.atanh(0.6)) < 5 / math.sqrt(20_000)


def test_shocks_without_a_correlation_keep_their_draws():
    alone = sim.simulate(shocked("against each other", replicates=50), progress=False)["shock_factor"]
    free = make(shocks=[PRICES, WINTER, COMMON], simulation=shocked("rare", replicates=50).simulation.model_dump())
    independent = sim.simulate(free, progress=False)["shock_factor"]
    np.testing.assert_array_equal(alone.sel(shock="common"), independent.sel(shock="common"))
    assert not np.allclose(alone.sel(shock="winter"), independent.sel(shock="winter"))


def test_segments_are_hit_by_their_shocks_alone():
    model = shocked("services").cost_model
    factors = np.array([[2.0, 3.0]])
    np.testing.assert_array_equal(model.joint_shocks.by_stream(factors), [[3.0, 1.0, 2.0, 1.0]])
    gene, prices = (Shock(**shock) for shock in SHOCKED["services"]["shocks"])
    assert model.largest_factors.tolist() == [prices.largest, 1.0, gene.largest, 1.0]


# ── the population without end ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["by segment", "rare", "all"])
def test_the_population_without_end_varies_as_the_systematic_part(name):
    scenario = shocked(name)
    ledger = limit_ledger(scenario)
    kept = sim.retained_cost(ledger, sim.Cap()).transpose("replicate", "population_size", "threshold").values[:, 0]
    variance = variance_by_source(scenario)["variance"].sel(source="systematic", population_size=3_000)
    assert kept.var(axis=0) / kept.mean(axis=0) ** 2 == pytest.approx(variance.values, rel=2e-3)
    assert kept.mean(axis=0) == pytest.approx(
        cells_of(scenario, sim.Cap(), [8_000.0, math.inf], np.array([[700_000_000, 300_000_000]])).mean[0], rel=1e-4
    )


def test_given_its_shocks_cost_varies_by_luck_alone():
    scenario = shocked("all", thresholds=[math.inf], population_sizes=[200_000], replicates=400)
    ledger, heads = sim.simulate(scenario, progress=False), runs.heads(scenario)
    factors = scenario.cost_model.joint_shocks.by_stream(ledger["shock_factor"].values)
    cost, split = ledger["gross_cost"].values, variance_by_source(scenario)["variance"].values[:, 0, 0]
    luck = cost - kept_means(scenario.cost_model, heads, [], factors)
    assert luck.std() / cost.mean() == pytest.approx(math.sqrt(split[0]), rel=0.2)
    assert abs(luck.mean()) < 5 * luck.std() / math.sqrt(luck.size)
    assert luck.std() < 0.4 * cost.std()


def test_the_shocks_together_are_described():
    scenario = shocked("all")
    systematic = variance_by_source(scenario)["variance"].sel(source="systematic", threshold=math.inf)
    told = sim.describe(scenario)
    assert told["shock_cv"] == pytest.approx(math.sqrt(float(systematic[1])), rel=1e-6)
    assert [shock["name"] for shock in told["shocks"]] == ["prices", "common", "strike", "winter", "influenza"]
    assert told["shock_correlations"] == [{"between": ["prices", "winter"], "value": 0.4}]
    page = str(check_table(told))
    for words in ("every year", "10.0% of years: cost +30%", "25.0% of years: cost -20%", "everybody"):
        assert words in page
    assert "'prices' with 'winter' +0.4" in page
    assert "every year" not in str(check_table(sim.describe(make(shocks=[COMMON]))))
    assert told["shocks"][4]["probability"] == 0.1 and told["shocks"][3]["segments"] == ["complex"]


# ── bits, ids, mistakes ──────────────────────────────────────────────────────────────────────────

# the id, then the bits: processors with and without AVX-512 (tables differ in their last digits); lowest versions
PINNED = {
    "shocks": (
        "2422b1546983e12f17b2ff9f1d543f2e6f1aa4f385c7e425ac71d5498fce99c6",
        "ff02c8ec325a7c0888869a9130f5929470bfabd7ed117bbb4cb1cb5441edb0bf",
        "bbaa79cb14549fae190a15214db27e5b89d5ba9545522103491e9f2e79feee9f",
        "12fba5160df9b271bb59910bbdc473eac872cbaf73c35ef598cfdb979d550f14",
    ),
    "units sampled": (
        "83da79d34fa78d59baa57d42c83dcfd7bffc1fe86c89d2d7a5fccb0f67660bea",
        "f9909fa07776313178892c604da2604c07e5bb386cc0f26819845a4b163e18d6",
        "c24cac42d28cb5de8084c815827da247a374f81bcc0d2746efa747a4180316cb",
        "a4e95ef972d2f7b5393240d915647f0757ce51170a0db56ea45b35649221e2a6",
    ),
    "rare": (
        "6ec2c14b6e5c3b49b251a4f04aad9b55528b699be04a3d5fe89307966319bf0a",
        "3b6aae98e01284bf4f2f8a3e20982086ce5044cb5b42c6c58006009d256eed0d",
        "888df51d57f3fb42d39c3f9687db52e6f8c8b134df5aef8731a015e0f2469fe2",
        "7b01efb8aa2c6da7d7a1889a64769d68a976d308317541f836b909c0b03834ea",
    ),
}


def test_scenarios_of_old_have_their_ids_and_their_draws(monkeypatch):
    monkeypatch.setattr("simulator.scenario.DRAWS_VERSION", 1)  # which entered no id
    for kind, (wanted_id, *wanted) in PINNED.items():
        scenario = make(**KINDS[kind])
        ledger = sim.simulate(scenario, progress=False)
        digest = hashlib.sha256()
        for name in sorted(ledger.data_vars):
            digest.update(name.encode() + np.ascontiguousarray(ledger[name].values).tobytes())
        assert scenario.scenario_id == wanted_id and digest.hexdigest() in wanted


def test_whom_shocks_hit_and_how_they_correlate_is_in_the_id():
    ids = {make(shocks=[PRICES, WINTER], shock_correlations=together(v)).scenario_id for v in (0.1, 0.2)}
    ids |= {make(shocks=[PRICES, WINTER]).scenario_id, make(shocks=[PRICES, of_everybody(WINTER)]).scenario_id}
    assert len(ids) == 4


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shocks": [PRICES | {"segments": ["rich"]}]}, "'rich', which is neither a segment nor a rare service"),
        ({"shocks": [PRICES, WINTER], "shock_correlations": together(1.0)}, "must be below 1"),
        ({"shocks": [PRICES, WINTER], "shock_correlations": together(-1.0)}, "must be above -1"),
        ({"shocks": [PRICES, WINTER], "shock_correlations": together(0.1, ("prices", "x"))}, "'x', which is no shock"),
        ({"shocks": [PRICES], "shock_correlations": together(0.1, ("prices", "prices"))}, "'prices' twice"),
        (
            {"shocks": [PRICES, WINTER], "shock_correlations": [*together(), *together(0.1, ("winter", "prices"))]},
            "a second time",
        ),
        ({"shocks": [PRICES, COMMON], "shock_correlations": together(0.1, ("prices", "common"))}, "merge them into"),
        ({"shocks": [INFLUENZA | {"by": -1.0}]}, "must be above -1"),
        ({"shocks": [INFLUENZA | {"probability": 1.0}]}, "must be below 1"),
        ({"shocks": [INFLUENZA | {"cv": 0.1}]}, "is not a key that exists here"),
        ({"shocks": [{"name": "a", "by": 0.1}]}, "probability: is missing"),
        ({"shocks": [{"name": "a"}]}, "cv: is missing"),
    ],
)
def test_mistakes_are_told_in_a_sentence(changes, words):
    with pytest.raises(sim.SimulatorError) as caught:
        scenario_from(raw(**changes))
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_correlations_that_no_law_has_are_refused():
    segments = [
        {"name": name, "share": share, "severity": LOGNORMAL}
        for name, share in zip("abc", (0.5, 0.25, 0.25), strict=True)
    ]
    shocks = [{"name": name, "cv": 0.1, "segments": [name]} for name in "abc"]
    pairs = [
        {"between": list(pair), "value": value}
        for pair, value in zip(("ab", "bc", "ac"), (0.9, 0.9, -0.9), strict=True)
    ]
    with pytest.raises(sim.SimulatorError, match="not positive definite"):
        scenario_from(raw(shocks=shocks, shock_correlations=pairs, population={"segments": segments}))
    assert scenario_from(raw(shocks=shocks, shock_correlations=pairs[:1], population={"segments": segments}))
