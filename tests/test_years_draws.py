"""Several years of partly the same people, drawn: shocks that persist or are each unit's own, and years of a ledger."""

from __future__ import annotations

import copy
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import RARE, SETS, UNITS, diagonal, every, make, raw
from test_exact import ALARM

import simulator as sim
from simulator import runs
from simulator.analysis.statistics.self_check import cells_of, layers_at
from simulator.costs.model import head_counts
from simulator.costs.moments import Exact
from simulator.engine import kernels
from simulator.engine.years import program
from simulator.ledger import by_unit, draws_of, fingerprint
from simulator.scenario import scenario_from

OWN = {"name": "own", "cv": 0.3, "per": "unit"}
WINTER = {"name": "winter", "cv": 0.2, "segments": ["complex"], "per": "unit"}
PRICES = {"name": "prices", "cv": 0.1, "segments": ["well"], "per": "unit"}
COMMON = {"name": "common", "cv": 0.05}
BIG = [unit | {"members": 40 * unit["members"]} for unit in UNITS]
LARGE = {"units": BIG}
FEW = {"replicates": 3_000, "thresholds": [8_000.0, float("inf")], "seed": 5}


def of_units(*shocks, membership="fixed", **changes):
    people = LARGE | {"membership": membership} | changes.pop("population", {})
    return make(shocks=list(shocks), population=people, simulation=FEW | changes.pop("simulation", {}), **changes)


# ── shocks of each unit ──────────────────────────────────────────────────────────────────────────


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("shocks", "membership"),
    diagonal(
        [[OWN], [WINTER, COMMON], [{"name": "flood", "probability": 0.1, "by": 0.5, "per": "unit"}]],
        ["fixed", "sampled"],
    ),
)
def test_units_with_shocks_of_their_own_pass_the_check_alone_and_together(shocks, membership):
    ledger = sim.simulate(of_units(*shocks, membership=membership), progress=False)
    assert sim.summarise(ledger).attrs["check"] == "passed"
    assert sim.summarise(by_unit(ledger)).attrs["check"] == "passed"


def test_units_together_vary_less_than_under_a_shock_of_all():
    common = {key: value for key, value in OWN.items() if key != "per"}
    rule = sim.Cap()
    own, all_at_once = (cells_of(s, rule, [np.inf], runs.heads(s)) for s in (of_units(OWN), of_units(common)))
    alone = cells_of(of_units(OWN), rule, [np.inf], runs.increments(of_units(OWN)))
    assert own.sd[0, 0] == pytest.approx(np.sqrt((alone.sd**2).sum()), rel=1e-9)  # independent without a common one
    assert own.sd[0, 0] < 0.75 * all_at_once.sd[0, 0]
    # the control: draws under one do not pass for draws under the other
    drawn = sim.simulate(of_units(OWN), progress=False)["gross_cost"].values[:, 0]
    z = (drawn.var(ddof=1) / np.array([own.sd, all_at_once.sd])[:, 0, 0] ** 2 - 1) / np.sqrt(2 / drawn.size)
    assert abs(z[0]) < ALARM < abs(z[1])


def test_variance_by_source_holds_for_units_with_shocks_of_their_own():
    model, rows = of_units(OWN, COMMON).cost_model, runs.heads(of_units(OWN, COMMON))
    _, luck, shocks = Exact(model).sources(rows, [])
    together = Exact(model).total(rows, [])
    by_unit = np.array([Exact(model).total(row[None], []).mean[0] for row in model.unit_heads])
    expected = (1 + COMMON["cv"] ** 2) * ((OWN["cv"] ** 2 * by_unit**2).sum()) + COMMON["cv"] ** 2 * by_unit.sum() ** 2
    assert shocks[0] == pytest.approx(expected, rel=1e-4)
    assert luck[0] + shocks[0] == pytest.approx(together.sd[0] ** 2, rel=1e-12)


def test_the_exact_law_of_all_units_is_refused_in_one_sentence():
    with pytest.raises(sim.SimulatorError, match="the total of all units has no exact law here"):
        sim.exact(of_units(OWN))


def test_a_unit_keeps_its_draws_beside_more_units_and_the_first_those_of_a_common_shock():
    whole = sim.simulate(of_units(OWN), progress=False)
    fewer = sim.simulate(of_units(OWN, population={"units": BIG[:2]}), progress=False)
    assert whole.isel(unit=slice(2))["unit_gross_cost"].equals(fewer["unit_gross_cost"])
    factor = whole["unit_shock_factor"].values[..., 0]
    assert np.abs(np.corrcoef(factor.T) - np.eye(3)).max() < 5 / np.sqrt(3_000)


def test_without_units_a_units_shock_is_one_of_the_whole_population():
    sizes = {"replicates": 30}
    common = {key: value for key, value in OWN.items() if key != "per"}
    one, other = (sim.simulate(make(shocks=[s], simulation=sizes), progress=False) for s in (OWN, common))
    assert one["gross_cost"].equals(other["gross_cost"])


# ── what a file may say ──────────────────────────────────────────────────────────────────────────


def test_a_scenario_without_the_new_keys_is_written_as_before():
    scenario = make(shocks=[COMMON])
    assert not {"per", "persistence"} & set(json.loads(scenario.canonical_json())["shocks"][0])
    assert make(shocks=[COMMON | {"persistence": 0.5}]).scenario_id != scenario.scenario_id


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("shocks", "value", "told"),
    [
        ([WINTER, PRICES | {"persistence": 0.99}], 0.6, "persistences differ too much"),
        ([WINTER, {"name": "prices", "cv": 0.1, "segments": ["well"]}], 0.6, "each unit's own"),
        ([WINTER, PRICES | {"persistence": "walk"}], 0.6, "is a walk"),
        ([WINTER | {"persistence": 1.5}], None, "must be at most 1"),
        ([{"name": "flood", "probability": 0.1, "by": 0.5, "persistence": "walk"}], None, "is not a number"),
    ],
)
def test_shocks_that_years_contradict_are_refused(shocks, value, told):
    pairs = [{"between": ["winter", "prices"], "value": value}] if value else []
    given = raw(shocks=shocks, shock_correlations=pairs, population={"units": UNITS})
    with pytest.raises(sim.SimulatorError, match=told):
        scenario_from(given)


def test_persistences_that_go_together_are_taken():
    shocks = [WINTER | {"persistence": 0.9}, PRICES | {"persistence": 0.9}]
    of_units(*shocks, shock_correlations=[{"between": ["winter", "prices"], "value": 0.6}])


# ── years drawn ──────────────────────────────────────────────────────────────────────────────────

LASTS = {"slabs": [0.05, 0.3, 1.0], "weights": [[0.8, 0.2], [0.5, 0.5], [0.1, 0.9]], "stay": 0.85}
YEARS = {"contract": 3, "before": 2, "persistence": LASTS, "leavers": 0.1}
MOVES = {"well": {"complex": 0.03}, "complex": {"well": 0.07}}
AGAIN = [RARE[0] | {"persistence": 0.8}, RARE[1]]
LASTING = [{"name": "prices", "cv": 0.05, "persistence": 0.5}, {"name": "wages", "cv": 0.02, "persistence": "walk"}]
SHAPES = {
    "fixed": {"years": YEARS | {"moves": MOVES, "trend": 0.02}, "population": {"rare_services": AGAIN}},
    "sampled": {"years": YEARS, "population": {"membership": "sampled"}, "shocks": LASTING},
    "held": {"years": YEARS | {"index_thresholds": 0.03}, "population": {"membership": "held"}},
    "units": {"years": YEARS | {"leavers": {"complex": 0.2}}, "population": {"units": UNITS}, "shocks": [OWN]},
    "sets": {"years": YEARS, "population": {"parameter_sets": SETS}},
}


def over_years(name, years=None, **simulation):
    parts = copy.deepcopy(SHAPES[name])
    parts["years"] |= years or {}
    sizes = {} if "units" in parts.get("population", {}) else {"population_sizes": [40, 100]}
    return make(**parts, simulation=sizes | {"replicates": 24, "thresholds": [5_000.0, np.inf]} | simulation)


def drawn(*arguments, **simulation):
    return sim.simulate(over_years(*arguments, **simulation), progress=False)


@pytest.fixture(scope="module")
def kept():
    return {name: drawn(name) for name in SHAPES}


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("name", every(2, SHAPES))
def test_draws_of_years_do_not_depend_on_how_they_are_split(name, kept, monkeypatch):
    whole = kept[name]
    assert whole["year"].values.tolist() == [-1, 0, 1, 2, 3]
    parts = [sim.simulate(over_years(name, replicates=12), progress=False, first_replicate=at) for at in (12, 0)]
    assert fingerprint(sim.merge(parts)) == fingerprint(whole)
    monkeypatch.setattr("simulator.engine.simulate._PATIENTS_A_CHUNK", 1.0)
    with ThreadPoolExecutor(3) as threads:
        assert fingerprint(sim.simulate(over_years(name), threads, progress=False)) == fingerprint(whole)


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("name", "years"), diagonal(list(SHAPES), [{"contract": 4}, {"before": 3}, {"contract": 2, "before": 0}])
)
def test_more_years_at_either_end_leave_what_was_drawn(name, years, kept):
    other = drawn(name, years)
    both = np.intersect1d(other["year"], kept[name]["year"])
    assert other.attrs["scenario_id"] == kept[name].attrs["scenario_id"]
    one, more = (draws_of(ledger).sel(year=both) for ledger in (other, kept[name]))
    assert fingerprint(one) == fingerprint(more)


@pytest.mark.heavy
def test_more_sizes_and_thresholds_leave_what_was_drawn(kept):
    more = drawn("fixed", population_sizes=[40, 100, 130], thresholds=[5_000.0, 9_000.0, np.inf])
    for name in ("gross_cost", "excess_cost", "n_above"):
        cut = {"threshold": [5_000.0, np.inf]} if "threshold" in more[name].dims else {}
        assert more[name].sel(population_size=[40, 100], **cut).equals(kept["fixed"][name]), name


@pytest.mark.jit_off
def test_plain_python_draws_the_same_bits():
    """The prints are those of the compiled loops; this test runs in both lanes."""
    ledger = sim.simulate(over_years("fixed", replicates=3, population_sizes=[30]), progress=False)
    assert float(ledger["gross_cost"].sum()) == pytest.approx(PRINT[0], rel=1e-13)
    assert int(ledger["n_above"].sum()) == PRINT[1]


PRINT = (818190.5414675548, 33)


@pytest.mark.heavy
def test_a_file_of_years_is_read_and_extended(tmp_path, kept):
    sim.save(kept["sampled"], tmp_path / "a.nc")
    again = sim.open_ledger(tmp_path / "a.nc")
    assert fingerprint(again) == fingerprint(kept["sampled"])
    longer = runs.extend(again, over_years("sampled", {"contract": 4}, replicates=30))
    assert longer.sizes["year"] == 6 and longer.sizes["replicate"] == 30
    assert fingerprint(longer.isel(replicate=slice(24), year=slice(5))) == fingerprint(kept["sampled"])


# ── what years follow ────────────────────────────────────────────────────────────────────────────


def moments_of(scenario, people):
    """Mean by year and covariance of gross cost without shocks and rare services, person by person in closed form."""
    model, shares = scenario.cost_model.by_year, scenario.cost_model.shares
    mean, square = np.array([s.rate * s.severity.moments.raw[[1, 2]] for s in model.streams]).T
    segments, classes = shares.size, model.n_classes
    heads = head_counts(people, shares)
    total, trend = np.zeros((len(model.years),) * 2), model.trend[:, 0]
    means = np.zeros(len(model.years))
    for h, n in enumerate(heads):
        law = np.zeros((len(model.years), segments * classes))
        law[model.years.index(1), h * classes : (h + 1) * classes] = model.class_shares
        paths = chains(model, law)
        for t, u in np.ndindex(total.shape):
            joint = paths[t][u]
            together = mean @ joint @ mean if t != u else np.diag(joint) @ square
            total[t, u] += n * (together - (joint.sum(axis=1) @ mean) * (joint.sum(axis=0) @ mean))
        means += n * np.array([paths[t][t].sum(axis=1) @ mean for t in range(len(means))])
    return means * trend, total * np.outer(trend, trend)


def chains(model, law):
    """Joint law of the states in every two years, from that in year 1."""
    first, last = model.years.index(1), len(model.years)
    step = {t: model.forward[0] if t > first else model.backward[0] for t in range(last)}

    def on(t):
        matrix = np.eye(law.shape[1])
        for year in range(first + 1, t + 1) if t >= first else range(first - 1, t - 1, -1):
            matrix = matrix @ step[year]
        return matrix

    start, way = law[first], [on(t) for t in range(last)]
    found = [[None] * last for _ in range(last)]
    for t, u in np.ndindex(last, last):
        if (t - first) * (u - first) <= 0:
            found[t][u] = way[t].T @ np.diag(start) @ way[u]
        else:
            near, far = sorted((t, u), key=lambda k: abs(k - first))
            between = np.linalg.matrix_power(step[far], abs(far - near))
            joint = np.diag(start @ way[near]) @ between
            found[t][u] = joint if near == t else joint.T
    return found


def z_scores(scenario, people=2_000):
    """Of means and of covariances of years, from draws, against the closed form."""
    cost = sim.simulate(scenario, progress=False)["gross_cost"].values[:, :, -1]
    mean, covariance = moments_of(scenario, people)
    n, sd = len(cost), np.sqrt(np.diag(covariance))
    z_mean = (cost.mean(axis=0) - mean) / (sd / np.sqrt(n))
    apart = cost - mean
    products = apart[:, :, None] * apart[:, None, :]
    z_covariance = (products.mean(axis=0) - covariance) / (products.std(axis=0) / np.sqrt(n))
    return z_mean, z_covariance


PLAIN = {"replicates": 6_000, "population_sizes": [2_000], "thresholds": [np.inf], "seed": 3}


@pytest.mark.heavy
@pytest.mark.parametrize("membership", ["fixed", "held"])
def test_means_and_covariances_of_years_are_the_exact_ones(membership):
    given = YEARS | {"moves": MOVES if membership == "fixed" else {}, "trend": 0.02}
    scenario = make(years=given, population={"membership": membership}, simulation=PLAIN)
    z_mean, z_covariance = z_scores(scenario)
    assert np.abs(z_mean).max() < ALARM and np.abs(z_covariance).max() < ALARM


@pytest.mark.heavy
def test_classes_by_rounded_heads_would_be_noticed(monkeypatch):
    """The control: classes seated and not drawn lose variance."""

    def seated(key, replicates, last, before, offsets, target, chance, after):
        for b in range(before.shape[2]):
            left = before[..., b].copy()
            for e in range(offsets[0, b], offsets[0, b + 1]):
                n = np.rint(left * chance[e]).astype(int)
                after[..., target[e]] += n
                left = left - n

    scenario = make(years=YEARS | {"leavers": 0.0, "contract": 1, "before": 0}, simulation=PLAIN)
    assert np.abs(z_scores(scenario)[1]).max() < ALARM
    monkeypatch.setattr(kernels, "deal", seated)
    assert np.abs(z_scores(scenario)[1]).max() > ALARM


@pytest.mark.heavy
def test_years_without_persistence_are_independent():
    scenario = make(years={"contract": 4, "persistence": "none"}, simulation=PLAIN | {"replicates": 3_000})
    cost = sim.simulate(scenario, progress=False)["gross_cost"].values[:, :, 0]
    assert np.abs(np.corrcoef(cost.T) - np.eye(4)).max() < ALARM / np.sqrt(3_000)


def test_shocks_that_last_keep_their_law_and_have_their_correlation():
    scenario = make(
        shocks=[
            {"name": "a", "cv": 0.1, "persistence": 0.8, "segments": ["well"]},
            {"name": "b", "probability": 0.3, "by": 0.5, "persistence": 0.6, "segments": ["complex"]},
            {"name": "walk", "cv": 0.02, "persistence": "walk"},
        ],
        shock_correlations=[{"between": ["a", "b"], "value": 0.5}],
    )
    joint, rng, n = scenario.cost_model.joint_shocks, np.random.default_rng(1), 40_000
    uniforms = {year: rng.random((n, 1, 3)) for year in range(-2, 5)}
    found = joint.over_years(uniforms)
    assert np.array_equal(found[1], joint.factors(uniforms[1]))
    logs = {year: np.log(one[:, 0]) for year, one in found.items()}
    for year, one in found.items():
        mean = one[:, 0].mean(axis=0)
        assert np.abs((mean - 1) / np.maximum(one[:, 0].std(axis=0), 1e-12) * np.sqrt(n)).max() < ALARM, year
        steps = abs(year)
        assert logs[year][:, 2].std() == pytest.approx(scenario.shocks[2].sigma * np.sqrt(steps), rel=0.03, abs=1e-12)
    for year in range(-2, 4):
        assert np.corrcoef(logs[year][:, 0], logs[year + 1][:, 0])[0, 1] == pytest.approx(0.8, abs=ALARM / np.sqrt(n))
    assert np.corrcoef(logs[-2][:, 0], logs[4][:, 0])[0, 1] == pytest.approx(0.8**6, abs=ALARM / np.sqrt(n))
    fewer = joint.over_years({year: uniforms[year] for year in (0, 1, 2)})
    assert all(np.array_equal(fewer[year], found[year]) for year in fewer)


@pytest.mark.heavy
def test_a_rare_service_that_persists_keeps_its_law():
    scenario = make(
        years={"contract": 3, "persistence": "none"},
        population={"rare_services": [AGAIN[0]]},
        simulation=PLAIN | {"replicates": 4_000, "population_sizes": [500]},
    )
    (plan,) = runs._plans(scenario)
    events = {y: h[:, 0, -1] for y, h in plan.chain.heads(kernels.key_of(3), np.arange(4_000)).items()}
    expected = 500 * AGAIN[0]["rate_per_100k"] / 100_000
    for count in events.values():
        assert abs(count.mean() - expected) < ALARM * np.sqrt(expected / 4_000)
        assert abs(count.var() / expected - 1) < ALARM * np.sqrt((2 + 1 / expected) / 4_000)
    assert np.corrcoef(events[1], events[2])[0, 1] == pytest.approx(0.8, abs=ALARM / np.sqrt(4_000))
    assert np.corrcoef(events[1], events[3])[0, 1] == pytest.approx(0.64, abs=ALARM / np.sqrt(4_000))


@pytest.mark.parametrize("rows", [3, 8])
def test_programs_deal_by_their_matrices(rows):
    rng = np.random.default_rng(rows)
    sparse = np.kron(np.eye(rows), rng.dirichlet(np.ones(4), 4))
    matrix = 0.9 * sparse + np.outer(rng.uniform(0.05, 0.1, 4 * rows), rng.dirichlet(np.ones(4 * rows)))
    matrix = np.stack([matrix / matrix.sum(axis=1, keepdims=True)] * 2)
    made = program(matrix)
    assert made.target.size < matrix.size / 2 or rows == 3
    for unit in range(2):
        states, sources = matrix.shape[2], matrix.shape[1]
        reached = np.zeros((made.offsets.shape[1] - 1, states))
        for b in range(made.offsets.shape[1] - 2, -1, -1):
            left = 1.0
            for e in range(made.offsets[unit, b], made.offsets[unit, b + 1]):
                here = left * made.chance[e]
                left -= here
                to = made.target[e]
                reached[b] += here * (np.eye(states)[to] if to < states else reached[sources + to - states])
        assert np.abs(reached[:sources] - matrix[unit]).max() < 1e-13


# ── statistics of years ──────────────────────────────────────────────────────────────────────────


@pytest.mark.heavy
@pytest.mark.parametrize("name", every(2, SHAPES, 1))
def test_a_run_of_years_passes_its_own_check(name):
    ledger = drawn(name, replicates=2_000)
    summary = sim.summarise(ledger)
    assert summary["mean_cost"].dims[0] == "year"
    assert summary.attrs["check"] == "passed", summary.attrs["check_sentence"]
    if name == "units":
        assert sim.summarise(by_unit(ledger)).attrs["check"] == "passed"


@pytest.mark.heavy
def test_the_check_notices_years_of_other_people(kept):
    ledger = drawn("sampled", replicates=2_000, population_sizes=[1_000])
    summary = sim.summarise(ledger)
    assert summary.attrs["check"] == "passed" and np.isfinite(summary["z_covariance"]).any()
    strange = ledger.copy(deep=True)
    for name in ("gross_cost", "excess_cost", "above_cost", "n_above"):
        strange[name].loc[{"year": 2}] = np.roll(ledger[name].sel(year=2), 1, axis=0)
    assert sim.summarise(strange).attrs["check"] == "failed"


@pytest.mark.heavy
def test_the_check_of_years_notices_another_trend():
    ledger = drawn("fixed", replicates=2_000)
    other = over_years("fixed", {"trend": 0.08})
    assert sim.summarise(ledger, scenario=other).attrs["check"] == "failed"


@pytest.mark.heavy
def test_pooled_years_are_their_sum_and_have_its_budget(kept):
    ledger = kept["fixed"]
    pooled = sim.pool_years(ledger, {1: 1, 2: 1, 3: 1})
    assert "year" not in pooled.coords and pooled.attrs["scenario_id"] != ledger.attrs["scenario_id"]
    np.testing.assert_allclose(pooled["gross_cost"], ledger["gross_cost"].sel(year=[1, 2, 3]).sum("year"), rtol=1e-14)
    one = sim.pool_years(ledger, {2: 1})
    assert np.array_equal(one["excess_cost"], ledger["excess_cost"].sel(year=2))
    whole, year = sim.summarise(pooled), sim.summarise(ledger).sel(year=[1, 2, 3])
    np.testing.assert_allclose(whole["budget"], year["budget"].sum("year"), rtol=1e-9)
    assert sim.settle(one, [sim.Design(name="all", exclusion=sim.Cap(at=5_000.0))])["surplus"].size


@pytest.mark.heavy
def test_this_year_less_a_benchmark_is_relative_to_a_year(kept):
    weights = {1: 1, 0: -0.5, -1: -0.5}
    with pytest.raises(sim.SimulatorError, match="near 0"):
        sim.pool_years(kept["held"], weights)
    pooled = sim.pool_years(kept["held"], weights, relative_to=1)
    np.testing.assert_allclose(pooled["expected_gross_cost"], sim.summarise(kept["held"])["exact_mean"].sel(
        year=1, threshold=np.inf).values[None], rtol=1e-9)  # fmt: skip
    assert abs(float(pooled["gross_cost"].mean() / pooled["expected_gross_cost"].mean()) - 1) < 0.5
    with pytest.raises(sim.SimulatorError, match="is no year of the ledger"):
        sim.pool_years(kept["held"], {7: 1})


def test_answers_of_one_year_refuse_several_in_one_sentence(kept):
    with pytest.raises(sim.SimulatorError, match="holds several years"):
        sim.layers(kept["held"], sim.Design(name="all", exclusion=sim.Cap(at=5_000.0)))


@pytest.mark.parametrize("name", ["fixed", "held", "sampled"])
def test_year_1_has_the_moments_of_the_single_year_scenario(name):
    scenario = over_years(name)
    one = scenario.cost_model.model_copy(update={"years": None})
    rows, rule = runs.heads(scenario), sim.Cap()
    for at in (5_000.0, np.inf):
        years = Exact(scenario.cost_model, year=1).total(rows, layers_at(scenario, rule, at, 1))
        alone = Exact(one).total(rows, layers_at(scenario, rule, at))
        for ours, theirs in zip(years, alone, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9)
