"""The exact engine agrees with draws in z-scores, with closed forms to 1e-8, and with a transform of other code."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import LOGNORMAL, RARE, ROOT, SHOCKS, SPLICED, alone, every, make
from scipy import stats

import simulator as sim
from simulator.analysis.luck.infinite_population import overspend_of
from simulator.analysis.statistics.exact import law_of
from simulator.analysis.statistics.self_check import cells_of
from simulator.present.cli.main import main
from simulator.runs import heads

LEVELS = (0.95, 0.99, 0.995)
MARGINS = (0.0, 0.03, 0.10)
REPLICATES = 6_000
ALARM = 4.9  # two-sided chance 1e-6 a score; about 1,300 scores

FAMILIES = {
    "lognormal": LOGNORMAL,
    "gamma": {"family": "gamma", "mean": 1_500.0, "cv": 1.7},
    "weibull": {"family": "weibull", "shape": 0.6, "scale": 1_000.0},
    "pareto": {"family": "pareto", "scale": 400.0, "alpha": 4.6},
    "lomax": {"family": "lomax", "mean": 1_200.0, "cv": 1.3},
    "gpd": {"family": "gpd", "shape": 0.2, "scale": 900.0},
    "burr": {"family": "burr", "c": 2.0, "d": 2.4, "scale": 1_000.0},
    "gengamma": {"family": "gengamma", "shape": 1.6, "power": 0.6, "scale": 300.0},
    "gb2": {"family": "gb2", "a": 1.5, "p": 0.8, "q": 3.2, "scale": 1_200.0},
    "spliced": SPLICED,
    "mixture": {
        "family": "mixture",
        "components": [
            {"weight": 0.8, "severity": LOGNORMAL},
            {"weight": 0.2, "severity": {"family": "gamma", "mean": 9_000.0, "cv": 0.8}},
        ],
    },
    "empirical": {
        "family": "empirical",
        "values": [120.0, 300.0, 900.0, 2_500.0, 30_000.0],
        "weights": [5.0, 4.0, 3.0, 2.0, 0.5],
    },
}
GRID = {
    **{f"{name}": lambda s=severity, **k: alone(s, p_user=0.8, **k) for name, severity in FAMILIES.items()},
    "shocks": lambda **k: make(shocks=SHOCKS, **k),
    "sampled": lambda **k: make(population={"membership": "sampled"}, **k),
    "sampled, shocks": lambda **k: make(population={"membership": "sampled"}, shocks=SHOCKS[:1], **k),
    "rare": lambda **k: make(population={"rare_services": RARE}, **k),
}


def small(name, **simulation):
    return GRID[name](
        simulation={"population_sizes": [400, 3_000], "thresholds": [8_000.0, math.inf], "replicates": REPLICATES}
        | simulation
    )


def scores(scenario, expected, rule=None):
    """Every statistic of a run against an exact answer, in standard errors."""
    rule = rule or sim.Cap()
    ledger = sim.simulate(scenario, progress=False)
    kept = sim.retained_cost(ledger, rule).transpose("replicate", "population_size", "threshold").values
    n = kept.shape[0]
    found = {"mean": (kept.mean(axis=0) - expected["mean_cost"].values) / (expected["sd_cost"].values / math.sqrt(n))}
    cells = cells_of(scenario, rule, expected["threshold"].values.tolist(), heads(scenario))
    spread = np.sqrt(np.maximum(cells.excess_kurtosis, 0) / n + 2 / n)
    judged = np.where(cells.excess_kurtosis < 0.6, 1.0, np.nan)
    found["sd"] = judged * (kept.var(axis=0, ddof=1) / expected["sd_cost"].values ** 2 - 1) / spread
    for k, level in enumerate(LEVELS):
        quantile = expected["quantile_cost"].values[..., k]
        found[f"quantile {level}"] = ((kept > quantile).mean(axis=0) - (1 - level)) / math.sqrt(level * (1 - level) / n)
        tail = quantile + np.maximum(kept - quantile, 0) / (1 - level)
        found[f"tvar {level}"] = (tail.mean(axis=0) - expected["tvar"].values[..., k]) / (
            tail.std(axis=0) / math.sqrt(n)
        )
    overspend = overspend_of(ledger, rule, scenario).values
    for k, margin in enumerate(MARGINS):
        p = np.clip(expected["p_overspend"].values[..., k], 1e-12, 1 - 1e-12)
        seen = np.where(n * np.minimum(p, 1 - p) >= 25, 1.0, np.nan)
        found[f"p_overspend {margin}"] = seen * ((overspend > margin).mean(axis=0) - p) / np.sqrt(p * (1 - p) / n)
    return found


def exact_of(scenario, rule=None):
    return sim.exact(scenario, rule or sim.Cap(), MARGINS, LEVELS)


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("name", every(2, sorted(GRID)))
def test_simulated_figures_agree_with_the_exact_ones(name):
    scenario = small(name)
    for figure, z in scores(scenario, exact_of(scenario)).items():
        assert np.nanmax(np.abs(z), initial=0.0) < ALARM, (figure, z)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "rule",
    [sim.Coinsure(share=0.6), sim.CarveOut(), sim.CarveOut(keep_capitation=True)],
    ids=["coinsure", "carve-out", "kept"],
)
def test_other_rules_agree_too(rule):
    scenario = small("lognormal")
    for figure, z in scores(scenario, exact_of(scenario, rule), rule).items():
        assert np.nanmax(np.abs(z), initial=0.0) < ALARM, (figure, z)


def test_the_scores_notice_a_wrong_answer():
    scenario = small("lognormal")
    wider = alone(
        LOGNORMAL | {"cv": 2.4},
        p_user=0.8,
        simulation={"population_sizes": [400, 3_000], "thresholds": [8_000.0, math.inf]},
    )
    z = scores(scenario, exact_of(wider))
    for figure in ("quantile 0.99", "tvar 0.99", "p_overspend 0.1"):
        assert np.nanmax(np.abs(z[figure])) > ALARM, figure
    mixed = small("sampled")
    fixed = exact_of(make(simulation={"population_sizes": [400, 3_000], "thresholds": [8_000.0, math.inf]}))
    assert np.nanmax(np.abs(scores(mixed, fixed)["quantile 0.95"])) > ALARM


def test_a_tail_without_a_fourth_moment_has_its_sd_from_closed_form_and_a_stated_bound():
    alpha, scale, n = 2.8, 500.0, 2_000
    scenario = alone(
        {"family": "pareto", "scale": scale, "alpha": alpha},
        simulation={"population_sizes": [n], "thresholds": [math.inf], "replicates": REPLICATES},
    )
    answer = exact_of(scenario)
    variance = scale**2 * alpha / ((alpha - 1) ** 2 * (alpha - 2))
    assert float(answer["sd_cost"][0, 0]) == pytest.approx(math.sqrt(n * variance), rel=1e-8)
    assert 0 < float(answer["probability_error"][0, 0]) < 1e-4
    z = scores(scenario, answer)
    for level in LEVELS:
        assert abs(z[f"quantile {level}"][0, 0]) < ALARM


# ── closed forms ─────────────────────────────────────────────────────────────────────────────────


def lognormal_moments(p, mean, cv):
    return p * mean, p * mean**2 * (1 + cv**2) - (p * mean) ** 2


@pytest.mark.parametrize("shocked", [False, True])
def test_sd_is_the_closed_form(shocked):
    p, n = 0.7, 5_000
    scenario = alone(
        LOGNORMAL,
        p_user=p,
        shocks=SHOCKS[:1] if shocked else [],
        simulation={"population_sizes": [n], "thresholds": [math.inf]},
    )
    mean, variance = lognormal_moments(p, LOGNORMAL["mean"], LOGNORMAL["cv"])
    square = 1.0
    if shocked:
        sigma, bound = math.sqrt(math.log1p(SHOCKS[0]["cv"] ** 2)), 6.0

        def moment(k):
            inside = stats.norm.cdf(bound - k * sigma) - stats.norm.cdf(-bound - k * sigma)
            return math.exp(k**2 * sigma**2 / 2) * inside / (stats.norm.cdf(bound) - stats.norm.cdf(-bound))

        square = moment(2) / moment(1) ** 2
    sd = math.sqrt(n * variance * square + (n * mean) ** 2 * (square - 1))
    assert float(sim.exact(scenario)["sd_cost"][0, 0]) == pytest.approx(sd, rel=1e-8)
    assert float(sim.exact(scenario)["mean_cost"][0, 0]) == pytest.approx(n * mean, rel=1e-10)


@pytest.mark.parametrize(
    "changes",
    [{}, {"shocks": SHOCKS[:1]}, {"population": {"membership": "sampled"}}],
    ids=["fixed", "shock", "sampled"],
)
def test_the_series_has_the_closed_forms_mean_and_sd(changes):
    scenario = make(**changes, simulation={"population_sizes": [20_000], "thresholds": [5_000.0]})
    cells = cells_of(scenario, sim.Cap(), [5_000.0], heads(scenario))
    law = law_of(scenario, sim.Cap(), 5_000.0, 0, cells)
    k = np.pi * np.arange(1, law.terms.size)
    width, turn = law.high - law.low, np.cos(k)
    mass = law.terms[0]
    first = law.terms[0] / 2 + law.terms[1:] @ ((turn - 1) / k**2)
    second = law.terms[0] / 3 + law.terms[1:] @ (2 * turn / k**2)
    assert mass == pytest.approx(1, abs=1e-10)
    assert law.low + width * first == pytest.approx(float(cells.mean[0, 0]), rel=1e-9)
    assert width * math.sqrt(second - first**2) == pytest.approx(float(cells.sd[0, 0]), rel=1e-8)


def test_the_expectation_of_a_payoff_is_that_of_the_stop_loss():
    scenario = make(simulation={"population_sizes": [2_000], "thresholds": [5_000.0]})
    cells = cells_of(scenario, sim.Cap(), [5_000.0], heads(scenario))
    law = law_of(scenario, sim.Cap(), 5_000.0, 0, cells)
    attachment = 1.02 * law.mean
    expected = law.expect(lambda total: np.maximum(total - attachment, 0.0))
    assert expected == pytest.approx(float(law.stop_loss(attachment)), rel=1e-5)
    assert expected > 0


# ── a transform that shares no code ──────────────────────────────────────────────────────────────


def by_transform(severity, p, n, cap, points, step, factor=1.0, cells=1 << 18):
    """P(total ≤ x) of n people, by powers of the discrete Fourier transform of one person's rounded cost."""
    edges = (np.arange(cells) + 0.5) * step
    below = np.where(edges < cap, severity.cdf(edges / factor), 1.0)
    person = p * np.diff(below, prepend=0.0)
    person[0] += 1 - p
    total = np.fft.irfft(np.fft.rfft(person) ** n, cells)
    cumulated = np.cumsum(total)
    # the lattice puts each total in the middle of its cell
    return np.interp(np.asarray(points) - step / 2, np.arange(cells) * step, cumulated)


LAWS = {
    "gamma": (FAMILIES["gamma"], stats.gamma(1 / 1.7**2, scale=1_500 * 1.7**2)),
    "weibull": (FAMILIES["weibull"], stats.weibull_min(0.6, scale=1_000)),
    "lognormal": (LOGNORMAL, stats.lognorm(math.sqrt(math.log(5)), scale=1_000 / math.sqrt(5))),
    "lomax": ({"family": "lomax", "alpha": 3.0, "scale": 2_000.0}, stats.lomax(3.0, scale=2_000)),
}


@pytest.mark.heavy
@pytest.mark.parametrize("name", sorted(LAWS))
def test_the_law_is_that_of_another_transform(name):
    severity, frozen = LAWS[name]
    n, p, cap, step = 60, 0.6, 8_000.0, 2.0
    scenario = alone(severity, p_user=p, simulation={"population_sizes": [n], "thresholds": [cap]})
    cells = cells_of(scenario, sim.Cap(), [cap], heads(scenario))
    law = law_of(scenario, sim.Cap(), cap, 0, cells)
    points = law.mean + float(cells.sd[0, 0]) * np.array([-1.5, -0.5, 0.0, 0.7, 1.5, 2.5, 3.5])
    assert law.cdf(points) == pytest.approx(by_transform(frozen, p, n, cap, points, step), abs=2e-5)
    assert np.abs(law.cdf(points) - by_transform(frozen, p, n, 1.05 * cap, points, step)).max() > 1e-3  # another cap


@pytest.mark.heavy
def test_the_law_under_a_shock_is_a_mixture_over_factors():
    severity, frozen = LAWS["gamma"]
    n, p, cap, step, cv = 60, 0.6, 8_000.0, 2.0, 0.2
    scenario = alone(
        severity,
        p_user=p,
        shocks=[{"name": "prices", "cv": cv}],
        simulation={"population_sizes": [n], "thresholds": [cap]},
    )
    cells = cells_of(scenario, sim.Cap(), [cap], heads(scenario))
    law = law_of(scenario, sim.Cap(), cap, 0, cells)
    points = law.mean + float(cells.sd[0, 0]) * np.array([-1.0, 0.0, 1.0, 2.0, 3.0])
    score, weight = np.polynomial.hermite_e.hermegauss(24)
    sigma = math.sqrt(math.log1p(cv**2))
    factors, weight = np.exp(sigma * score - sigma**2 / 2), weight / weight.sum()
    mixed = sum(
        w * by_transform(frozen, p, n, cap, points, step, factor) for w, factor in zip(weight, factors, strict=True)
    )
    assert law.cdf(points) == pytest.approx(mixed, abs=2e-5)
    assert np.abs(law.cdf(points) - by_transform(frozen, p, n, cap, points, step)).max() > 1e-3  # no shock


def test_the_answer_has_the_names_of_a_summary():
    scenario = small("lognormal", replicates=50)
    summary, answer = sim.summarise(sim.simulate(scenario, progress=False)), sim.exact(scenario)
    difference = summary[list(set(answer.data_vars) & set(summary.data_vars))] - answer
    assert {"mean_cost", "sd_cost", "cv", "quantile_cost", "tvar", "p_overspend", "expected_overspend"} <= set(
        difference.data_vars
    )
    assert difference["tvar"].shape == summary["tvar"].shape


@pytest.mark.heavy
def test_the_exact_tables_from_a_shell(tmp_path):
    scenario = str(ROOT / "configs" / "arrangements" / "01-east-sussex.toml")
    ran = CliRunner().invoke(main, ["run", scenario, "--exact", "--out", str(tmp_path / "exact.nc")])
    shown = ran.output
    answer = sim.exact(sim.load(scenario), margins=(0.03,))
    assert f"{100 * answer['p_overspend'].values[0, 0, 0]:.2f}%" in shown
    assert "Calculated without simulation" in shown and (tmp_path / "exact.nc").exists()
    told = json.loads(CliRunner().invoke(main, ["run", scenario, "--exact", "--json"]).output)
    assert told["method"] == "exact"
    assert [cell["threshold"] for cell in told["cells"][:2]] == [100_000.0, "inf"]


@pytest.mark.heavy
@pytest.mark.parametrize(("price", "n"), [(20_000_000.0, 500), (20_000_000.0, 5_000)])
def test_a_cost_far_beyond_all_others_is_resolved(price, n):
    gene = {"name": "gene", "rate_per_100k": 0.5, "price": {"family": "empirical", "values": [price]}}
    scenario = make(
        population={"rare_services": [gene]},
        simulation={"population_sizes": [n], "thresholds": [math.inf], "replicates": 20_000},
    )
    z = scores(scenario, exact_of(scenario))
    for margin in MARGINS:
        assert abs(np.nan_to_num(z[f"p_overspend {margin}"]).item()) < ALARM


@pytest.mark.heavy
def test_a_handful_of_people_has_an_honest_error():
    severity, frozen = LAWS["gamma"]
    for n in (2, 5, 10):
        scenario = alone(severity, p_user=0.6, simulation={"population_sizes": [n], "thresholds": [2_000.0]})
        cells = cells_of(scenario, sim.Cap(), [2_000.0], heads(scenario))
        law = law_of(scenario, sim.Cap(), 2_000.0, 0, cells)
        points = law.mean + float(cells.sd[0, 0]) * np.linspace(-1, 3, 41)
        points = points[points > 0]
        apart = np.abs(law.cdf(points) - by_transform(frozen, 0.6, n, 2_000.0, points, 2.0))
        assert (apart <= law.error(points) + 2e-5).all()
        assert law.error(points).max() < 1e-3
