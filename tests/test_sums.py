"""Sums of many claims below the cut: their law is that of single claims, and nothing else moves a draw."""

from __future__ import annotations

import math
import os
from functools import cache

import golden_draws as golden
import numpy as np
import pytest
from conftest import FAMILIES, KINDS, LOGNORMAL, SEGMENTS, SETS, alone, diagonal, make, raw
from pydantic import TypeAdapter
from scipy import special, stats

import simulator as sim
from simulator import runs
from simulator.costs import sums, tables
from simulator.costs.families.union import AnySeverity
from simulator.engine import kernels
from simulator.engine import simulate as engine
from simulator.scenario import scenario_from

ANY = TypeAdapter(AnySeverity)
JIT_OFF = os.environ.get("NUMBA_DISABLE_JIT") == "1"
FIVE_SIGMA = 2 * stats.norm.sf(5)
CUTS = {"low": 0.05, "middle": 0.01, "high": 0.002}
COUNTS = [1, 1.6, 2, 2**4, 2**8, 2**14, 2**20]
"""Claims in a sum, over the fewest."""
SCORES = np.concatenate([np.linspace(-6.4, 6.4, 403), stats.norm.ppf([1e-3, 0.999])])


@cache
def cells_of(body, unit):
    """Middles and half widths of a body's cells, standardised, with mean and sd in money."""
    body = np.frombuffer(body, np.uint64)
    floor, width = ((body >> np.uint64(32)) * unit, (body & np.uint64(0xFFFFFFFF)) * unit)
    middle = floor + width / 2
    mean = middle.mean()
    sd = math.sqrt(np.mean((middle - mean) ** 2 + width**2 / 12))
    return (middle - mean) / sd, width / 2 / sd, mean, sd


def law_of(table, count):
    """The distribution function of a standardised sum: Davies's series of the table's transform, term by term."""
    middle, half, _, _ = cells_of(table.body.tobytes(), table.body_unit)
    step = 2 * np.pi / 44
    frequency = step * (np.arange(math.ceil(10 / step)) + 0.5)
    while True:
        at = frequency / math.sqrt(count)
        one = np.mean(np.exp(1j * np.outer(at, middle)) * np.sinc(np.outer(at, half) / np.pi), axis=1)
        if abs(one[-1]) ** count < 1e-15:
            break
        frequency = step * (np.arange(2 * frequency.size) + 0.5)
    weight = one**count / (frequency / step * np.pi)
    return lambda x: 0.5 - (np.exp(-1j * np.outer(x, frequency)) @ weight).imag


def distance(table, own, count):
    """The largest difference between the distribution functions of the drawn sum and of single claims."""
    found = sums.quantile(own.terms, math.sqrt(own.least / count), SCORES)
    return np.abs(law_of(table, count)(found) - special.ndtr(SCORES)).max()


def cumulants(table, own, count):
    """The first four of the drawn sum, standardised, and of single claims."""
    middle, half, _, _ = cells_of(table.body.tobytes(), table.body_unit)
    edges = np.linspace(-9, 9, 145)
    x, w = np.polynomial.legendre.leggauss(6)
    nodes = (edges[:-1, None] + (edges[1] - edges[0]) / 2 * (1 + x)).ravel()
    weights = np.tile(w, 144) * stats.norm.pdf(nodes)
    weights /= weights.sum()
    drawn = sums.quantile(own.terms, math.sqrt(own.least / count), nodes)
    third = np.mean(middle**3 + middle * half**2)
    fourth = np.mean(middle**4 + 2 * middle**2 * half**2 + half**4 / 5) - 3
    m = [weights @ drawn**k for k in range(1, 5)]
    return (m[0], m[1], m[2], m[3] - 3), (0.0, 1.0, third / math.sqrt(count), fourth / count)


def check(table, own, counts=COUNTS):
    for count in counts:
        count = math.ceil(own.least * count)
        assert distance(table, own, count) < 1e-7, count
        drawn, wanted = cumulants(table, own, count)
        assert drawn == pytest.approx(wanted, abs=1e-5), count
    _, _, mean, sd = cells_of(table.body.tobytes(), table.body_unit)
    assert own.line[:2] == pytest.approx([mean, sd], rel=1e-6)


def tables_of(name, chance):
    severity = ANY.validate_python(FAMILIES[name])
    table = tables.build(severity, float(severity.isf(chance)))
    return table, sums.build(table.body, table.body_unit)


# ── the law ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize(("name", "where"), diagonal(sorted(FAMILIES), sorted(CUTS), 2))
def test_sums_of_every_family_have_the_law_of_its_single_claims(name, where):
    table, own = tables_of(name, CUTS[where])
    if name == "empirical":  # a few values of cost: single claims
        assert own is sums.NONE
        return
    assert 64 <= own.least <= 512
    check(table, own)


@pytest.mark.slow
@pytest.mark.no_cover
def test_every_table_that_a_scenario_of_the_conformance_tests_builds_has_the_law_of_single_claims(monkeypatch):
    built = {}
    honest = sums.build

    def kept(body, unit):
        built[body.tobytes()] = tables.Tables(0.0, body, unit, np.empty(0)), honest(body, unit)
        return built[body.tobytes()][1]

    monkeypatch.setattr(sums, "build", kept)
    for kind in KINDS.values():
        runs._plans(make(**kind).with_simulation(**({} if "units" in str(kind) else {"population_sizes": [2_000]})))
    for scenario in golden.scenarios().values():
        runs._plans(scenario)
    smooth = [one for one in built.values() if one[1].least]
    assert len(smooth) >= 4
    for table, own in smooth:
        check(table, own, [1, 2**8])


@pytest.mark.parametrize("wrong", ["of another law", "less skew", "spread", "moved", "of another count"])
def test_wrong_tables_are_noticed(wrong):
    table, own = tables_of("lognormal", 0.01)
    check(table, own, [1])
    other = tables_of("gamma native", 0.01)[1].terms
    terms = {
        "of another law": other,
        "less skew": own.terms * 0.999,
        "spread": own.terms.copy(),
        "moved": own.terms.copy(),
    }
    changed = own._replace(terms=terms.get(wrong, own.terms))
    changed.terms[:, 0, 1] += 1e-4 * (wrong == "spread")
    changed.terms[:, 0, 0] += 1e-4 * (wrong == "moved")
    if wrong == "of another count":
        changed = own._replace(least=own.least + 1)
    with pytest.raises(AssertionError):
        check(table, changed, [1])
    if wrong in ("spread", "moved", "less skew"):
        drawn, wanted = cumulants(table, changed, own.least)
        assert drawn != pytest.approx(wanted, abs=1e-5)


def test_a_law_that_is_not_smooth_has_no_sums():
    for values in ([1.0, 5_000.0], [10.0, 20.0, 30.0, 9_000.0]):
        severity = ANY.validate_python({"family": "empirical", "values": values, "weights": [1] * len(values)})
        table = tables.build(severity, max(values))
        assert sums.build(table.body, table.body_unit) is sums.NONE
    nothing = tables.build(severity, 0.5)
    assert not nothing.body.any() and sums.build(nothing.body, nothing.body_unit) is sums.NONE


def test_claims_of_many_values_have_sums():
    values = np.round(np.random.default_rng(3).lognormal(6, 1.2, 3_000), 0)
    severity = ANY.validate_python({"family": "empirical", "values": values[values > 0].tolist()})
    table = tables.build(severity, float(severity.isf(0.01)))
    own = sums.build(table.body, table.body_unit)
    check(table, own, [1, 64])


# ── the loops ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.jit_off
def test_normal_scores_are_those_of_the_normal_law():
    uniforms = [2.0**-53, 1e-12, 1e-3, 0.0749, 0.0751, 0.3, 0.5, 0.8, 0.9249, 0.9251, 1 - 1e-9, 1 - 2.0**-53]
    for u in uniforms:
        assert kernels.score(u) == pytest.approx(float(special.ndtri(u)), rel=1e-14, abs=1e-15)


@pytest.mark.jit_off
def test_the_kernel_draws_what_the_tables_say():
    _, own = tables_of("lognormal native", 0.01)
    line, terms = own.line[None], own.terms[None]
    for count in (own.least, 3 * own.least + 1, 10**7):
        for z in (-9.0, -6.0, -5.99, -0.3, 0.0, 1.7, 6.0, 8.0):
            wanted = float(sums.quantile(own.terms, math.sqrt(own.least / count), np.array([z]))[0])
            wanted = count * own.line[0] + math.sqrt(count) * own.line[1] * wanted
            found = kernels.sum_of(z, count, line, terms, 0)
            assert found == pytest.approx(max(wanted, count * own.line[2]), rel=1e-13)
    cheap = np.array([[1.0, 1.0, 0.9, 1.1, 64.0]])
    assert kernels.sum_of(-8.0, 64, cheap, terms, 0) == pytest.approx(57.6), "no sum is below so many of the least cost"
    assert kernels.sum_of(8.0, 64, cheap, terms, 0) == pytest.approx(70.4)


BIG = {"simulation": {"population_sizes": [400, 2_000, 2_100], "replicates": 30}}


@pytest.mark.skipif(JIT_OFF, reason="compiled and plain bits are compared from the compiled side")
def test_plain_python_gives_the_same_bits():
    _, own = tables_of("lognormal native", 0.01)
    for u in np.random.default_rng(1).random(2_000):
        assert kernels.score.py_func(u) == kernels.score(u)
    for z in np.linspace(-8, 8, 999):
        arguments = (z, 777, own.line[None], own.terms[None], 0)
        assert kernels.sum_of.py_func(*arguments) == kernels.sum_of(*arguments)


def drawn(scenario, **changes):
    return sim.simulate(scenario.with_simulation(**changes) if changes else scenario, progress=False)


def test_sums_are_used_and_can_be_left():
    many, single = drawn(make(**BIG)), drawn(make(**BIG), sums="single")
    assert many.attrs["scenario_id"] != single.attrs["scenario_id"]
    assert not np.isclose(many["gross_cost"], single["gross_cost"], rtol=1e-6).any()
    assert np.array_equal(many["excess_cost"], single["excess_cost"]), "large claims are the same"
    few = {"population_sizes": [60, 120]}
    assert np.array_equal(
        drawn(make(**BIG), **few)["gross_cost"], drawn(make(**BIG), **few, sums="single")["gross_cost"]
    )


def test_thresholds_sizes_replicates_and_splits_do_not_move_draws():
    scenario = make(**BIG)
    whole = drawn(scenario)["gross_cost"].values
    others = [
        drawn(scenario, thresholds=[5_000.0, 9_000.0])["gross_cost"].values,
        drawn(scenario, population_sizes=[400, 2_000, 2_100, 2_600])["gross_cost"].values[:, :3],
        drawn(scenario, replicates=50)["gross_cost"].values[:30],
    ]
    assert all(np.array_equal(whole, other) for other in others)
    (plan,) = runs._plans(scenario)
    parts = [engine.draw(plan, np.arange(start, 30, 7))["gross_cost"] for start in range(7)]
    for start, part in enumerate(parts):
        assert np.array_equal(part, engine.draw(plan, np.arange(30))["gross_cost"][start::7])


def test_a_run_of_few_people_is_taken_further_to_many():
    scenario = make(**BIG)
    few = drawn(scenario, population_sizes=[40])
    longer = scenario.with_simulation(population_sizes=[40, 3_000])
    assert few.attrs["tables_hash"] == engine.tables_hash(runs._plans(longer))  # whichever sums they need
    taken = runs.extend(few, longer, progress=False)
    assert np.array_equal(taken["gross_cost"].values[:, 0], few["gross_cost"].values[:, 0])


@pytest.mark.jit_off
def test_only_sums_that_can_be_reached_have_tables():
    assert not runs._plans(make(simulation={"population_sizes": [30]}))[0].sums_terms.size
    plan = runs._plans(make(simulation={"population_sizes": [40_000]}))[0]
    assert plan.sums_from.tolist() == [64, 64] and plan.sums_terms.shape[0] == 2
    with_sets = make(population={"parameter_sets": SETS}, simulation={"population_sizes": [40_000]})
    assert all(not one.sums_terms.size for one in runs._plans(with_sets)), "tables of every set are dearer than draws"
    many = with_sets.with_simulation(population_sizes=[400_000])
    assert runs._plans(many)[0].sums_from.tolist() == [engine._LEAST_OF_SETS, 0]


# ── in law the same as single claims ─────────────────────────────────────────────────────────────

TWO = [
    {**SEGMENTS[0], "share": 0.5},
    {"name": "old", "share": 0.5, "severity": {"family": "gamma", "mean": 2_000.0, "cv": 0.9}},
]
JOINT = {
    "population": {"segments": TWO},
    "simulation": {"population_sizes": [300, 700], "replicates": 40_000, "thresholds": [9_000.0, 20_000.0]},
}
PLACES = {
    "population": {**JOINT["population"], "units": [{"name": "a", "members": 300}, {"name": "b", "members": 200}]},
    "simulation": {"replicates": 40_000, "thresholds": [9_000.0]},
}
SHOCKED = {**JOINT, "shocks": [{"name": "prices", "cv": 0.05}]}


def columns(scenario):
    """What a replicate has in all: gross and excess cost at every size or place and threshold."""
    ledger = drawn(scenario)
    names = [n for n in ("unit_gross_cost", "unit_excess_cost") if n in ledger] or ["gross_cost", "excess_cost"]
    return np.hstack([ledger[name].values.reshape(ledger.sizes["replicate"], -1) for name in names])


def fits(one, other):
    """The smallest p-value of two samples over columns and mixtures of columns, which see their joint law."""
    scale = other.std(axis=0)
    one, other = one / scale, other / scale
    ways = [*np.eye(one.shape[1]), *np.random.default_rng(5).normal(size=(6, one.shape[1]))]
    p = [stats.ks_2samp(one @ way, other @ way).pvalue for way in ways]
    means = (one.mean(0) - other.mean(0)) / math.sqrt(2 / len(one))
    spread = np.cov(one.T) - np.cov(other.T)
    centred = other - other.mean(0)
    error = np.sqrt(2 * np.var(centred[:, :, None] * centred[:, None, :], axis=0) / len(one))
    return min(*p, *(2 * stats.norm.sf(np.abs(means))), *(2 * stats.norm.sf(np.abs(spread / error))).ravel())


@pytest.mark.heavy
@pytest.mark.parametrize("asked", [JOINT, PLACES, SHOCKED], ids=["sizes", "places", "shock"])
def test_draws_of_both_kinds_have_one_joint_law(asked):
    single = columns(make(**asked).with_simulation(sums="single", seed=4))
    assert fits(columns(make(**asked)), single) > FIVE_SIGMA


@pytest.mark.heavy
@pytest.mark.parametrize("wrong", ["spread", "mean", "increments that share their score"])
def test_the_comparison_of_both_kinds_notices(wrong, monkeypatch):
    honest = sums.build

    def changed(body, unit):
        own = honest(body, unit)
        factor = {"spread": [1, 1.1, 1, 1, 1], "mean": [1.003, 1, 1, 1, 1]}.get(wrong, np.ones(5))
        return own._replace(line=own.line * factor)

    monkeypatch.setattr(sums, "build", changed)
    single = columns(make(**JOINT).with_simulation(sums="single", seed=4))
    found = columns(make(**JOINT))
    if wrong == "increments that share their score":
        first, more = found[:, 0], np.sort(found[:, 1] - found[:, 0])
        found[np.argsort(first), 1] = np.sort(first) + more
    assert fits(found, single) < FIVE_SIGMA


# ── pairs stay pairs ─────────────────────────────────────────────────────────────────────────────


def error_of_difference(sums_of, change):
    """Standard error of the difference that a change of the model makes to the mean, on the same random numbers."""
    base = make(simulation={"population_sizes": [20_000], "replicates": 400, "sums": sums_of})
    one, other = (drawn(s)["gross_cost"].values[:, 0] for s in (base, base.with_(change)))
    return (other - one).std(ddof=1)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "change",
    [{"population.segments[well].p_user": 0.606}, {"population.segments[well].p_user": 0.66},
     {"population.segments[well].share": 0.69, "population.segments[complex].share": 0.31}],
    ids=["1% more users", "10% more", "another mix"],
)  # fmt: skip
def test_a_difference_is_as_precise_as_with_single_claims(change):
    assert error_of_difference("body", change) < 1.1 * error_of_difference("single", change)


def test_what_sums_may_be_is_told():
    with pytest.raises(sim.SimulatorError, match=r"simulation.sums: 'all'.*'body' or 'single'"):
        scenario_from(raw(simulation={"sums": "all"}))


def test_alone_a_segment_of_one_law(rng):
    """The total of many claims has the exact sd."""
    scenario = alone(LOGNORMAL, simulation={"population_sizes": [5_000], "replicates": 4_000, "thresholds": [math.inf]})
    summary = sim.summarise(drawn(scenario)).isel(population_size=0, threshold=0)
    exact = sim.exact(scenario).isel(population_size=0, threshold=0)
    for name in ("mean_cost", "sd_cost"):
        assert abs(float(summary[name] - exact[name])) < 5 * float(summary[f"{name}_se"])
