"""Drawing: the same bits however it is run, and the right law whatever is drawn."""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache
from multiprocessing import get_context

import numpy as np
import oracles
import pytest
from conftest import FAMILIES, KINDS, RARE, SEGMENTS, SHOCKS, SPLICED, UNITS, alone, diagonal, every, make, raw
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import simulator as sim
from simulator import runs
from simulator.contracts.exclusion import Banded, Cap, CarveOut, Coinsure
from simulator.costs.moments import Exact
from simulator.engine import simulate as engine
from simulator.ledger import by_unit, fingerprint
from simulator.runs import extend

JIT_OFF = os.environ.get("NUMBA_DISABLE_JIT") == "1"
FIVE = 5.0
FIVE_SIGMA = 2 * stats.norm.sf(5)


class Inline(Executor):
    """Runs what is submitted at once, in this thread."""

    def submit(self, function, /, *args, **kwargs):
        future = Future()
        future.set_result(function(*args, **kwargs))
        return future


def drawn(ledger):
    """The numbers that were drawn, without coordinates that tell how they were asked for."""
    return {name: ledger[name] for name in ledger.data_vars if "replicate" in ledger[name].dims}


def assert_same_draws(one, other):
    assert drawn(one).keys() == drawn(other).keys()
    for name, values in drawn(one).items():
        assert np.array_equal(values.values, other[name].values), name


@cache
def whole(kind):
    """The fingerprint of a kind of scenario that is drawn as it comes."""
    return fingerprint(sim.simulate(make(**KINDS[kind])))


# ── the same bits ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize(("kind", "threads"), diagonal(sorted(KINDS), [1, 2, 5]))
def test_identity_threads(kind, threads):
    with ThreadPoolExecutor(threads) as pool:
        assert fingerprint(sim.simulate(make(**KINDS[kind]), pool)) == whole(kind)


@pytest.mark.heavy
@pytest.mark.jit_off
@pytest.mark.parametrize(("kind", "step"), diagonal(sorted(KINDS), [1, 7, 1_000]))
def test_identity_chunks(kind, step, monkeypatch):
    at_once = whole(kind)
    monkeypatch.setattr(engine, "_chunk_size", lambda plan, count: step)
    assert fingerprint(sim.simulate(make(**KINDS[kind]), Inline())) == at_once


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_identity_processes(kind, processes):
    assert fingerprint(sim.simulate(make(**KINDS[kind]), processes)) == whole(kind)


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.mark.slow  # one scenario on a cluster is in test_apart.py
@pytest.mark.no_cover
@pytest.mark.filterwarnings("ignore")
def test_identity_dask():
    distributed = pytest.importorskip("distributed")
    scenarios = [make(**KINDS[kind]) for kind in ("shocks", "units sampled", "rare", "parameter sets")]
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=None
        ) as cluster,
        distributed.Client(cluster) as client,
        client.get_executor() as pool,
    ):
        for scenario in scenarios:
            assert fingerprint(sim.simulate(scenario, pool)) == fingerprint(sim.simulate(scenario))


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.skipif(JIT_OFF, reason="compiled and plain bits are compared from the compiled side")
def test_identity_jit_off():
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); from conftest import KINDS, make; import simulator as sim; "
        "from simulator.ledger import fingerprint; "
        "print(json.dumps({kind: fingerprint(sim.simulate(make(**changes))) for kind, changes in KINDS.items()}))"
    )
    here = os.path.dirname(__file__)
    ran = subprocess.run(
        [sys.executable, "-c", code, here],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    plain = json.loads(ran.stdout)
    assert plain == {kind: whole(kind) for kind in KINDS}


@pytest.mark.heavy
def test_identity_extension_by_replicates(any_kind):
    first = sim.simulate(any_kind.with_simulation(replicates=17))
    assert_same_draws(extend(first, any_kind), sim.simulate(any_kind))


@pytest.mark.heavy
def test_identity_replicates_apart_then_merged(any_kind):
    parts = [
        sim.simulate(any_kind.with_simulation(replicates=n), first_replicate=at) for at, n in ((0, 8), (8, 2), (10, 30))
    ]
    whole = sim.simulate(any_kind)
    assert fingerprint(sim.merge(parts)) == fingerprint(whole)
    assert fingerprint(sim.merge([parts[2], parts[0], parts[1]])) == fingerprint(whole)


@pytest.mark.heavy
@pytest.mark.parametrize("kind", ["fixed", "sampled", "shocks", "rare"])
def test_identity_extension_by_sizes(kind):
    changes = KINDS[kind]
    short = make(**{**changes, "simulation": {"population_sizes": [7, 100]}})
    long = make(**{**changes, "simulation": {"population_sizes": [7, 100, 250]}})
    begun, whole = sim.simulate(short), sim.simulate(long)
    assert_same_draws(begun, whole.isel(population_size=slice(0, 2)))
    assert_same_draws(extend(begun, long), whole)


def test_extension_by_sizes_keeps_every_replicate_that_was_drawn():
    begun = sim.simulate(make(simulation={"population_sizes": [7, 100], "replicates": 30}))
    longer = extend(begun, make(simulation={"replicates": 10}))
    assert longer.sizes["replicate"] == 30
    assert_same_draws(begun, longer.isel(population_size=slice(0, 2)))


def test_extension_of_replicates_with_a_gap_fills_it():
    parts = [sim.simulate(make(simulation={"replicates": 5}), first_replicate=at) for at in (0, 20)]
    assert_same_draws(extend(sim.merge(parts), make()), sim.simulate(make()))


def test_extension_with_nothing_to_do_draws_nothing():
    ledger = sim.simulate(make())
    assert extend(ledger, make(simulation={"replicates": 10})) is ledger


@pytest.mark.parametrize(
    "changes",
    [
        {"simulation": {"seed": 2}},
        {"simulation": {"thresholds": [6_000.0]}},
        {"simulation": {"population_sizes": [7, 99, 250]}},
        {"simulation": {"population_sizes": [100, 250]}},
        {"shocks": SHOCKS},
    ],
)
def test_extension_of_another_run_is_refused(changes):
    with pytest.raises(sim.SimulatorError):
        extend(sim.simulate(make()), make(**changes))


def test_another_seed_changes_every_number():
    one, other = (sim.simulate(make(simulation={"seed": seed}, shocks=SHOCKS)) for seed in (1, 1 << 32))
    for name in ("gross_cost", "shock_factor"):
        assert not set(one[name].values.ravel()) & set(other[name].values.ravel())


def test_title_replicates_and_thresholds_leave_the_draws_when_the_cut_is_given():
    base = sim.simulate(make(simulation={"cut": 4_000.0}))
    for changes in (
        {"title": "another"},
        {"simulation": {"replicates": 5, "cut": 4_000.0}},
        {"simulation": {"thresholds": [4_500.0], "cut": 4_000.0}},
    ):
        changes.setdefault("simulation", {}).setdefault("cut", 4_000.0)
        other = sim.simulate(make(**changes))
        n = other.sizes["replicate"]
        assert np.array_equal(other["gross_cost"].values, base["gross_cost"].values[:n])
        assert other.attrs["scenario_id"] == base.attrs["scenario_id"]


def test_a_threshold_above_the_lowest_leaves_the_draws():
    one, other = (sim.simulate(make(simulation={"thresholds": [5_000.0, d]})) for d in (9_000.0, 30_000.0))
    assert np.array_equal(one["gross_cost"], other["gross_cost"])
    assert np.array_equal(one["excess_cost"][..., 0], other["excess_cost"][..., 0])


@pytest.mark.jit_off
def test_every_kind_draws_in_plain_python(any_kind):
    ledger = sim.simulate(any_kind.with_simulation(replicates=3), Inline())
    assert np.all(np.isfinite(ledger["gross_cost"])) and ledger["gross_cost"].values.min() >= 0


def test_replicates_and_segments_are_independent():
    ledger = sim.simulate(make(simulation={"replicates": 3_000}, population={"units": UNITS}))
    cost = stats.rankdata(ledger["unit_gross_cost"].values, axis=0)
    for a, b in [(cost[:, 0], cost[:, 1]), (cost[:, 0], cost[:, 2]), (cost[1:, 0], cost[:-1, 0])]:
        assert abs(np.corrcoef(a, b)[0, 1]) < FIVE / math.sqrt(a.size)


# ── sums ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["units", "units sampled"])
def test_units_add_up_to_the_total(kind):
    ledger = sim.simulate(make(**KINDS[kind]))
    for name in [name for name in ledger.data_vars if name.startswith("unit_") and "replicate" in ledger[name].dims]:
        total = ledger[name.removeprefix("unit_")].isel(population_size=0)
        np.testing.assert_allclose(ledger[name].sum("unit"), total, rtol=1e-12)
    assert ledger["population_size"].values.tolist() == [sum(unit["members"] for unit in UNITS)]


def test_sampled_members_add_up_to_the_population():
    ledger = sim.simulate(make(**KINDS["sampled"]))
    assert np.array_equal(ledger["members"].sum("segment"), np.broadcast_to([7, 100, 250], (40, 3)))
    units = sim.simulate(make(**KINDS["units sampled"]))
    assert np.array_equal(units["unit_members"].sum("segment"), np.broadcast_to([60, 90, 35], (40, 3)))
    assert units["unit_members"].sel(unit="old town", segment="well").sum() == 0


def test_shocks_come_before_thresholds():
    scenario = alone(
        {"family": "empirical", "values": [100.0]},
        simulation={"population_sizes": [10], "thresholds": [101.0, 110.0]},
        shocks=SHOCKS,
    )
    ledger = sim.simulate(scenario)
    factor = ledger["shock_factor"].prod("shock").values
    assert 0 < (100 * factor > 101).mean() < 1
    for d, amount in enumerate((101.0, 110.0)):
        np.testing.assert_allclose(
            ledger["excess_cost"][:, 0, d], 10 * np.maximum(100 * factor - amount, 0), rtol=1e-12, atol=1e-9
        )
        assert np.array_equal(ledger["n_above"][:, 0, d], np.where(100 * factor > amount, 10, 0))
    np.testing.assert_allclose(ledger["gross_cost"][:, 0], 1_000 * factor, rtol=1e-12)


def test_a_value_that_is_a_threshold_is_not_above_it():
    values = {
        "family": "empirical",
        "values": [7.0, 25.7, 99.9, 300.1, 33_333.3, 60_000.7],
        "weights": [1, 8, 5, 9.7, 0.2, 0.1],
    }
    scenario = alone(
        values,
        simulation={"population_sizes": [2_000], "replicates": 400, "thresholds": [99.9, 300.1, 33_333.3, 60_000.7]},
    )
    ledger = sim.simulate(scenario)
    chance = np.array([10.0, 0.3, 0.1, 0.0]) / 24
    n = 2_000 * 400
    seen = ledger["n_above"].sum(("replicate", "population_size")).values
    assert np.all(np.abs(seen - n * chance) <= FIVE * np.sqrt(n * chance * (1 - chance)))


def test_a_population_of_one():
    ledger = sim.simulate(
        make(simulation={"population_sizes": [1], "replicates": 4_000}, population={"membership": "sampled"})
    )
    cost = ledger["gross_cost"].values[:, 0]
    p_zero = 1 - 0.7 * 0.6 - 0.3 * 0.9
    assert abs((cost == 0).mean() - p_zero) < FIVE * math.sqrt(p_zero * (1 - p_zero) / cost.size)
    assert set(ledger["members"].values.ravel()) == {0, 1}
    assert np.all(ledger["n_above"].isel(threshold=0).values[:, 0] == (cost > 5_000))


def test_nobody_above_an_infinite_threshold():
    ledger = sim.simulate(make())
    last = ledger.sel(threshold=math.inf)
    assert not last["excess_cost"].any() and not last["above_cost"].any() and not last["n_above"].any()


# ── interrupted ──────────────────────────────────────────────────────────────────────────────────


def stop_after(chunks):
    calls = []

    def progress(done, count):
        calls.append((done, count))
        if len(calls) == chunks:
            raise KeyboardInterrupt

    return progress


@pytest.mark.heavy
def test_an_interrupted_run_keeps_what_was_finished_and_can_be_taken_up(any_kind):
    whole = sim.simulate(any_kind)
    with pytest.raises(runs.RunInterrupted) as stopped:
        sim.simulate(any_kind, Inline(), stop_after(3))
    kept = stopped.value.ledger
    assert 0 < kept.sizes["replicate"] < 40
    assert_same_draws(kept, whole.sel(replicate=kept["replicate"]))
    assert_same_draws(extend(kept, any_kind), whole)


def test_an_interrupted_extension_keeps_what_was_there():
    begun = sim.simulate(make(simulation={"replicates": 10}))
    with pytest.raises(runs.RunInterrupted) as stopped:
        extend(begun, make(), Inline(), stop_after(2))
    assert 10 < stopped.value.ledger.sizes["replicate"] < 40
    assert_same_draws(stopped.value.ledger.isel(replicate=slice(0, 10)), begun)


def test_a_run_interrupted_before_anything_is_finished_has_no_ledger(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "_next", interrupted)
    with pytest.raises(runs.RunInterrupted) as stopped:
        sim.simulate(make())
    assert stopped.value.ledger is None


def test_progress_reaches_the_number_of_replicates():
    seen = []
    sim.simulate(make(), progress=lambda done, count: seen.append((done, count)))
    assert seen[-1] == (40, 40) and seen == sorted(seen)


def test_the_bar_is_drawn_on_request(capsys):
    sim.simulate(make(), progress=True)
    assert "years" in capsys.readouterr().err


def test_a_ledger_too_large_for_memory_is_refused_before_anything_is_drawn():
    with pytest.raises(sim.SimulatorError, match="GB of memory") as refused:
        sim.simulate(make(simulation={"replicates": 10**11}))
    assert refused.value.path == "simulation.replicates" and refused.value.mend


# ── the right law: z-tests against exact moments ─────────────────────────────────────────────────

RULES = {
    "gross": None,
    "cap": Cap(),
    "coinsure": Coinsure(share=0.7),
    "carve-out": CarveOut(),
}


def layers_of(scenario, rule, point):
    amounts = dict(zip(scenario.threshold_labels.tolist(), scenario.threshold_amounts.T, strict=True))
    return (
        []
        if rule is None
        else [(amounts[layer.threshold], layer.excess_share, layer.whole_share) for layer in rule.layers(point)]
    )


def kept_cost(ledger, rule, place):
    if rule is None:
        return (
            ledger["gross_cost"].expand_dims(threshold=[math.inf], axis=-1).transpose("replicate", place, "threshold")
        )
    return sim.retained_cost(ledger, rule).transpose("replicate", place, "threshold")


def scores(ledger, scenario, rule, largest_kurtosis=1.0):
    """z of mean, and of sd where the total's kurtosis allows, over every cell."""
    place = "unit" if "unit" in ledger["gross_cost"].dims else "population_size"
    heads = runs.increments(scenario) if place == "unit" else runs.heads(scenario)
    kept, exact, found = kept_cost(ledger, rule, place), Exact(scenario.cost_model), []
    n = kept.sizes["replicate"]
    for d, point in enumerate(kept["threshold"].values):
        cost = kept.values[:, :, d]
        moments = exact.total(heads, layers_of(scenario, rule, float(point)))
        found.append((cost.mean(0) - moments.mean) / (moments.sd / math.sqrt(n)))
        z_sd = (cost.var(0, ddof=1) / moments.sd**2 - 1) / np.sqrt(moments.excess_kurtosis / n + 2 / (n - 1))
        found.append(z_sd[moments.excess_kurtosis < largest_kurtosis])
    return np.concatenate([np.ravel(z) for z in found])


def z_of_n_above(ledger, scenario):
    """z of the mean number above each finite threshold, where enough are expected."""
    heads, exact, n, found = runs.heads(scenario), Exact(scenario.cost_model), ledger.sizes["replicate"], []
    for d in range(scenario.threshold_labels.size):
        mean, sd, *_ = exact.count_above(heads, scenario.threshold_amounts[:, d])
        enough = mean * n > 200
        found.append((ledger["n_above"].values[:, :, d].mean(0) - mean)[enough] / (sd[enough] / math.sqrt(n)))
    return np.concatenate(found)


LARGER = {"replicates": 600, "population_sizes": [300, 3_000]}


@pytest.fixture(scope="module")
def larger():
    """Ledgers of every kind, with enough people to judge a standard deviation."""
    made = {}
    for kind, changes in KINDS.items():
        changes = {**changes}
        simulation = {**changes.get("simulation", {}), **LARGER}
        if "units" in kind:
            changes["population"] = {
                **changes["population"],
                "units": [{**unit, "members": 20 * unit["members"]} for unit in UNITS],
            }
            simulation.pop("population_sizes")
        scenario = make(**{**changes, "simulation": simulation})
        made[kind] = scenario, sim.simulate(scenario)
    return made


@pytest.mark.heavy
@pytest.mark.parametrize("rule", sorted(RULES))
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_mean_and_sd_lie_within_five_standard_errors(larger, kind, rule):
    scenario, ledger = larger[kind]
    z = scores(ledger, scenario, RULES[rule])
    assert z.size >= 2
    assert np.abs(z).max() < FIVE
    if "units" in kind:
        assert np.abs(scores(by_unit(ledger), scenario, RULES[rule])).max() < FIVE


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_numbers_above_thresholds_lie_within_five_standard_errors(larger, kind):
    scenario, ledger = larger[kind]
    z = z_of_n_above(ledger, scenario)
    if "units" not in kind:
        assert z.size and np.abs(z).max() < FIVE


def test_banded_rules_lie_within_five_standard_errors(larger):
    scenario, ledger = larger["shocks"]
    rule = Banded(bands=[{"at": 5_000.0, "share": 0.9}, {"at": 20_000.0, "share": 0.4}])
    assert np.abs(scores(ledger, scenario, rule)).max() < FIVE


def test_services_out_of_scope_lie_within_five_standard_errors(larger):
    scenario, ledger = larger["rare"]
    exact = Exact(scenario.cost_model).total(runs.heads(scenario), [], in_scope=False)
    z = (ledger["excluded_service_cost"].values.mean(0) - exact.mean) / (exact.sd / math.sqrt(600))
    assert np.abs(z).max() < FIVE


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("fixed", {"population": {"membership": "sampled"}}),
        ("sampled", {"population": {"membership": "fixed"}}),
        ("shocks", {"shocks": [{"name": "prices", "cv": 0.065}]}),
        ("fixed", {"population": {"segments": [{**SEGMENTS[0], "p_user": 0.63}, SEGMENTS[1]]}}),
        (
            "fixed",
            {
                "population": {
                    "segments": [
                        SEGMENTS[0],
                        {**SEGMENTS[1], "severity": {**SPLICED, "tail": {"family": "pareto", "alpha": 4.0}}},
                    ]
                }
            },
        ),
        ("rare", {"population": {"rare_services": [{**RARE[0], "rate_per_100k": 1_000.0}, RARE[1]]}}),
    ],
)
def test_a_wrong_target_is_noticed(kind, wrong):
    changes = {**KINDS[kind], **wrong}
    changes["simulation"] = {**changes.get("simulation", {}), **LARGER, "replicates": 6_000}
    target = make(**changes)
    right = make(**{**KINDS[kind], "simulation": changes["simulation"]})
    ledger = sim.simulate(right)
    assert np.abs(scores(ledger, right, Cap())).max() < FIVE
    z = np.concatenate([scores(ledger, target, Cap()), z_of_n_above(ledger, target)])
    assert np.abs(z).max() > FIVE


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("family", every(3, sorted(FAMILIES), 1))
def test_every_family_lies_within_five_standard_errors(family):
    thresholds = [2_000.0, 9_000.0] if family in INFINITE else [2_000.0, 9_000.0, math.inf]
    scenario = alone(
        FAMILIES[family],
        0.8,
        simulation={"population_sizes": [2_000], "replicates": 800, "thresholds": thresholds},
        shocks=SHOCKS[:1],
    )
    ledger = sim.simulate(scenario)
    z = np.concatenate([scores(ledger, scenario, Cap()), z_of_n_above(ledger, scenario)])
    assert np.abs(z).max() < FIVE


INFINITE = {name for name, severity in FAMILIES.items() if severity.get("alpha", 9) <= 2}


def test_an_infinite_variance_is_tame_below_finite_caps():
    assert INFINITE, "a family with an infinite variance belongs to the examples"
    severity = {"family": "pareto", "scale": 400.0, "alpha": 1.4}
    scenario = alone(
        severity,
        0.7,
        simulation={"population_sizes": [500, 5_000], "replicates": 800, "thresholds": [1_000.0, 30_000.0]},
    )
    ledger = sim.simulate(scenario)
    exact = Exact(scenario.cost_model).total(runs.heads(scenario), [])
    assert np.all(np.isfinite(exact.mean)) and np.all(np.isinf(exact.sd))
    z = np.concatenate(
        [scores(ledger, scenario, Cap()), scores(ledger, scenario, CarveOut()), z_of_n_above(ledger, scenario)]
    )
    assert np.abs(z).max() < FIVE


# ── the right law: whole distributions against the slow simulator ────────────────────────────────

BANDS = [(5_000.0, 0.9), (20_000.0, 0.4)]
PLAIN_RULES = {
    "cap": lambda x: oracles.cap(x, 5_000.0),
    "coinsure": lambda x: oracles.coinsure(x, 5_000.0, 0.7),
    "carve_out": lambda x: oracles.carve_out(x, 20_000.0),
    "banded": lambda x: oracles.banded(x, BANDS),
}
OUR_RULES = {
    "cap": Cap(at=5_000.0),
    "coinsure": Coinsure(share=0.7, at=5_000.0),
    "carve_out": CarveOut(at=20_000.0),
    "banded": Banded(bands=[{"at": at, "share": share} for at, share in BANDS]),
}
REPLICATES = 2_500


def against_the_oracle(changes, rules=(), oracle_changes=None):
    """P-values of two-sample Kolmogorov-Smirnov tests, by variable, population and threshold."""
    given = {
        **changes,
        "simulation": {"population_sizes": [12, 120], **changes.get("simulation", {}), "replicates": REPLICATES},
    }
    scenario = make(**given)
    ledger = sim.simulate(scenario)
    slow = oracles.simulate(
        raw(**{**given, **(oracle_changes or {})}),
        REPLICATES,
        np.random.default_rng(7),
        {name: PLAIN_RULES[name] for name in rules},
    )
    place = ledger
    if "unit" in ledger.dims:
        place = by_unit(ledger)
    found = {}

    def add(name, one, other):
        # a body claim is a multiple of a unit some 1e-10 of its size: equal values must not be told apart by it
        one, other = (np.round(values.reshape(REPLICATES, -1).astype(float), 4) for values in (one, other))
        for cell in range(one.shape[1]):
            found[name, cell] = stats.ks_2samp(one[:, cell], other[:, cell], method="asymp").pvalue

    for name in ("gross_cost", "excess_cost", "above_cost", "n_above"):
        add(name, place[name].values.astype(float), slow[name])
    for name in ("excluded_service_cost", "members"):
        if name in place:
            add(name, place[name].values, slow[name])
    for name in rules:
        add(name, sim.retained_cost(place, OUR_RULES[name]).values[..., 0], slow[name])
    return found


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("kind", every(2, sorted(KINDS)))
def test_whole_distributions_agree_with_the_slow_simulator(kind):
    rules = sorted(PLAIN_RULES) if "percentiles" not in kind else ()
    found = against_the_oracle(KINDS[kind], rules)
    assert len(found) >= 6
    assert min(found.values()) > FIVE_SIGMA, min(found, key=found.get)


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("family", every(3, sorted(FAMILIES)))
def test_whole_distributions_of_every_family_agree_with_the_slow_simulator(family):
    segments = [{"name": "all", "share": 1.0, "p_user": 0.8, "severity": FAMILIES[family]}]
    found = against_the_oracle(
        {
            "population": {"segments": segments},
            "simulation": {"population_sizes": [1, 20], "thresholds": [2_000.0, 9_000.0]},
        }
    )
    assert min(found.values()) > FIVE_SIGMA, min(found, key=found.get)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "wrong",
    [
        {"shocks": [{"name": "prices", "cv": 0.4}]},
        {
            "population": {
                "segments": [
                    SEGMENTS[0],
                    {**SEGMENTS[1], "severity": {**SPLICED, "tail": {"family": "pareto", "alpha": 1.1}}},
                ]
            }
        },
        {"population": {"segments": [{**SEGMENTS[0], "p_user": 0.75}, SEGMENTS[1]]}},
        {
            "population": {
                "segments": [
                    {**SEGMENTS[0], "severity": {"family": "lognormal", "mean": 1_000.0, "cv": 1.2}},
                    SEGMENTS[1],
                ]
            }
        },
    ],
    ids=["a shock", "a heavier tail", "more users", "a smaller cv"],
)
def test_the_comparison_with_the_slow_simulator_notices(wrong):
    assert min(against_the_oracle({}, oracle_changes=wrong).values()) < FIVE_SIGMA


def test_stratified_uniforms_within_a_population_would_be_noticed():
    # the classical mistake: it takes away the very variance that is sought
    scenario = alone(
        {"family": "lognormal", "mean": 1_000.0, "cv": 2.0},
        simulation={"population_sizes": [200], "replicates": 400, "thresholds": [math.inf]},
    )
    law = oracles.law_of({"family": "lognormal", "mean": 1_000.0, "cv": 2.0})
    rng = np.random.default_rng(3)
    strata = (np.arange(200) + rng.random((400, 200))) / 200
    honest, stratified = (law.isf(u).sum(axis=1) for u in (rng.random((400, 200)), strata))
    exact = Exact(scenario.cost_model).total(runs.heads(scenario), [])
    error = math.sqrt(exact.excess_kurtosis[0] / 400 + 2 / 399)
    z_honest, z_stratified = ((cost.var(ddof=1) / exact.sd[0] ** 2 - 1) / error for cost in (honest, stratified))
    assert abs(z_honest) < FIVE < abs(z_stratified)
    ours = sim.simulate(scenario)["gross_cost"].values[:, 0]
    assert stats.ks_2samp(ours, honest).pvalue > FIVE_SIGMA > stats.ks_2samp(ours, stratified).pvalue


# ── properties of any scenario ───────────────────────────────────────────────────────────────────


@st.composite
def scenarios(draw):
    """Small scenarios of every kind."""
    families = st.sampled_from([severity for name, severity in sorted(FAMILIES.items()) if name not in INFINITE])
    cuts = draw(st.lists(st.integers(1, 99), min_size=0, max_size=3, unique=True))
    edges = [0, *sorted(cuts), 100]
    segments = [
        {
            "name": f"s{i}",
            "share": (high - low) / 100,
            "p_user": draw(st.sampled_from([0.02, 0.5, 1.0])),
            "severity": draw(families),
        }
        for i, (low, high) in enumerate(itertools.pairwise(edges))
    ]
    thresholds = draw(st.lists(st.floats(1.0, 1e5), min_size=1, max_size=4, unique=True))
    population = {"membership": draw(st.sampled_from(["fixed", "sampled"])), "segments": segments}
    if draw(st.booleans()):
        population["rare_services"] = RARE
    simulation = {
        "replicates": draw(st.integers(2, 12)),
        "thresholds": [*sorted(thresholds), math.inf],
        "seed": draw(st.integers(0, 2**63 - 1)),
    }
    if draw(st.booleans()):
        population["units"] = [
            {"name": f"u{i}", "members": n}
            for i, n in enumerate(draw(st.lists(st.integers(1, 400), min_size=1, max_size=3)))
        ]
    else:
        simulation["population_sizes"] = sorted(
            draw(st.lists(st.integers(1, 900), min_size=1, max_size=4, unique=True))
        )
    return make(population=population, simulation=simulation, shocks=draw(st.sampled_from([[], SHOCKS])))


@pytest.mark.heavy
@pytest.mark.no_cover
@given(scenarios())
def test_properties_of_any_ledger(scenario):
    ledger = sim.simulate(scenario, Inline())
    gross, excess, above, number = (
        ledger[name].values for name in ("gross_cost", "excess_cost", "above_cost", "n_above")
    )
    near = 1e-9 * gross.max() + 1e-9
    retained = sim.retained_cost(ledger, Cap()).values
    np.testing.assert_allclose(
        retained + excess, np.broadcast_to(gross[..., None], excess.shape), rtol=1e-12, atol=near
    )
    assert retained.min() >= -near
    assert np.diff(retained, axis=-1).min() >= -near, "a higher threshold keeps more"
    assert (
        np.diff(excess, axis=-1).max() <= near
        and np.diff(above, axis=-1).max() <= near
        and np.diff(number, axis=-1).max() <= 0
    )
    thresholds = scenario.threshold_amounts[0]
    finite = np.isfinite(thresholds)
    assert np.all(excess <= above + near) and np.all(above <= gross[..., None] + near)
    np.testing.assert_allclose(
        above[..., finite], excess[..., finite] + thresholds[finite] * number[..., finite], rtol=1e-9, atol=near
    )
    for values in (gross, excess, above, number):
        assert values.min() >= 0 and np.diff(values, axis=1, prepend=0).min() >= 0, "larger populations cost more"


@pytest.mark.heavy
@pytest.mark.no_cover
@given(scenarios(), st.data())
def test_any_split_of_replicates_merges_to_the_whole(scenario, data):
    n = scenario.simulation.replicates
    # a part has two replicates or more
    at = sorted({2 * k for k in data.draw(st.sets(st.integers(1, 6), max_size=3)) if 2 * k <= n - 2})
    edges = [0, *at, n]
    parts = [
        sim.simulate(scenario.with_simulation(replicates=high - low), Inline(), first_replicate=low)
        for low, high in itertools.pairwise(edges)
    ]
    shuffled = data.draw(st.permutations(parts))
    assert fingerprint(sim.merge(shuffled)) == fingerprint(sim.simulate(scenario, Inline()))


@pytest.mark.heavy
@pytest.mark.no_cover
@given(scenarios())
def test_any_scenario_lies_within_five_standard_errors(scenario):
    scenario = scenario.with_simulation(replicates=150)
    ledger = sim.simulate(scenario, Inline())
    exact = Exact(scenario.cost_model).total(runs.heads(scenario), [])
    z = (ledger["gross_cost"].values.mean(0) - exact.mean) / (exact.sd / math.sqrt(150))
    # the mean of few skew totals is itself skew: judged where it is nearly normal
    assert np.all(np.abs(z[exact.skewness < 2]) < FIVE)
