"""Attacks on what a fit leaves behind: a planted patient, planted groups of nine, and an attacker who knows the rules.

Each attack is tried on what the program tells, and on a control that tells too much: there it must succeed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner
from conftest import every
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array, diags_array, vstack

from simulator.errors import SimulatorError
from simulator.fitting.disclose.disclosure import dominated, identifies
from simulator.fitting.disclose.groups import groups_of
from simulator.fitting.fit import FittedModel, fit
from simulator.fitting.read.sample import Sample, sample_of
from simulator.present.answers.fit import as_json, fit_rows
from simulator.present.answers.fit import page as fit_report
from simulator.present.cli.verbs.fit import fit as verb
from simulator.rows.columns.cells import column_of

Array = NDArray[np.float64]

LEAST_WIDTH = 0.1
"""No patient's cost can be narrowed to less than this of itself, as docs/theory/disclosure.md says."""


def lognormal(n: int, seed: int = 1, sigma: float = 1.4) -> Array:
    return np.sort(np.random.default_rng(seed).lognormal(6.5, sigma, n).round(2))


def artefacts(model: FittedModel) -> dict[str, str]:
    """All that a fit tells, as text."""
    datasets: dict[str, xr.Dataset] = {name: getattr(model, name) for name in ("goodness", "curves", "diagnostics")}
    return {
        "model": model.model_text(), "scenario": model.scenario_text(), "page": str(fit_report(model)),
        "json": json.dumps(as_json(model)), "csv": fit_rows(model).to_csv(), "report": json.dumps(model.report),
        "segments": json.dumps(model.segments), "provenance": json.dumps(model.provenance),
        "sets": json.dumps(model.sets),
        **{name: json.dumps(found.to_dict()) for name, found in datasets.items()},
    }  # fmt: skip


def differing(first: FittedModel, second: FittedModel) -> list[str]:
    """The artefacts by which two fits can be told apart."""
    other = artefacts(second)
    return [name for name, text in artefacts(first).items() if text != other[name]]


# ── quantile tables: the linear programme ────────────────────────────────────────────────────────


def told_groups(model: FittedModel) -> tuple[NDArray[np.int64], Array]:
    """Sizes and means of the groups behind a table without a tail, as an attacker reads them from the model file."""
    (segment,) = model.population.segments
    table = segment.users_severity.model_dump()["quantiles"]
    levels, costs = np.array(list(table)), np.array(list(table.values()))
    users = round(model.segments[0]["rows"] * segment.p_user)
    # a table goes through the beginning, the mean and the end of each group
    return np.rint(np.diff(np.append(0.0, levels[2::3])) * users).astype(int), costs[1::3]


def feasible(sums: csr_array, told: Array, objective: Array, slack: float) -> tuple[float, float]:
    """The least and the largest value of a sum over patients that ascend by cost and have these sums."""
    n = objective.size
    order = diags_array([np.ones(n - 1), -np.ones(n - 1)], offsets=[0, 1], shape=(n - 1, n))
    limits = vstack([order, sums, -sums]).tocsr()
    bounds = np.concatenate([np.zeros(n - 1), told * (1 + slack), -told * (1 - slack)])
    ends = []
    for sign in (1.0, -1.0):
        found = linprog(sign * objective, A_ub=limits, b_ub=bounds, bounds=(0, None), method="highs")
        assert found.success, found.message
        ends.append(sign * found.fun)
    return ends[0], ends[1]


def narrowest(sums: csr_array, told: Array, costs: Array, slack: float = 1e-6) -> float:
    """The narrowest interval for a patient or for five or nine in a row, as a share of a patient's true mean cost."""
    n, widths = costs.size, []
    for first in [*range(0, n, 7), n - 9, n - 5, n - 2, n - 1]:
        for many in (1, 5, 9):
            chosen = np.zeros(n)
            chosen[first : first + many] = 1.0
            low, high = feasible(sums, told, chosen, slack)
            assert low <= chosen @ costs * (1 + 1e-5) and high >= chosen @ costs * (1 - 1e-5)
            widths.append((high - low) / costs[chosen > 0].mean())
    return min(widths)


def rows_of(sizes: NDArray[np.int64]) -> csr_array:
    """Which patients are in which group."""
    member = np.repeat(np.arange(sizes.size), sizes)
    return csr_array((np.ones(member.size), (member, np.arange(member.size))))


def half_cells(costs: Array, k: int = 10) -> tuple[csr_array, Array]:
    """The publication before: means of cells of k, and of every two half cells that adjoin."""
    cells = rows_of(np.full(costs.size // k, k))
    halves = rows_of(np.full(2 * costs.size // k, k // 2))
    sums = vstack([cells, halves[1:-1:2] + halves[2:-1:2]]).tocsr()
    return sums, sums @ costs


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize(("seed", "sigma"), every(3, [(1, 1.4), (2, 0.8), (5, 2.0)]))
def test_no_sum_of_fewer_than_ten_follows_from_a_table(seed: int, sigma: float) -> None:
    costs = lognormal(120, seed, sigma)
    model = fit({"c": costs}, cost="c", family="empirical", tail_above=np.inf, sets=0)
    sizes, means = told_groups(model)
    assert sizes.sum() == costs.size and sizes.min() >= 10
    ends = np.cumsum(sizes)
    np.testing.assert_allclose(means, [costs[a:b].mean() for a, b in zip(ends - sizes, ends, strict=True)], rtol=1e-5)
    assert narrowest(rows_of(sizes), means * sizes, costs) > LEAST_WIDTH
    # the control: with the half cells the sums of five costliest are all but known
    sums, told = half_cells(costs)
    assert narrowest(sums, told, costs) < LEAST_WIDTH / 2


def test_the_costliest_five_of_the_half_cells_were_known_to_the_penny() -> None:
    """The case that was found: the top five, of whom one makes more than half."""
    costs = np.sort(np.r_[np.linspace(100, 9_000, 95).round(2), 9_100.0, 9_200.0, 9_700.0, 10_000.0, 47_123.0])
    sums, told = half_cells(costs)
    five = np.r_[np.zeros(95), np.ones(5)]
    low, high = feasible(sums, told, five, 0.0)
    assert low <= costs[-5:].sum() <= high and (high - low) / costs[-5:].sum() < 0.35
    model = fit({"c": costs}, cost="c", family="empirical", tail_above=np.inf, sets=0)
    sizes, means = told_groups(model)
    him = np.r_[np.zeros(99), 1.0]
    low, high = feasible(rows_of(sizes), means * sizes, him, 1e-6)
    assert high > 1.1 * 47_123.0 and low < 0.9 * 47_123.0


@pytest.mark.heavy
def test_groups_at_thresholds_are_no_narrower() -> None:
    costs = lognormal(150, 4)
    sample = sample_of(costs, np.ones(150), cuts=(1_000.0, 1_010.0, 2_000.0, 650.0))
    groups = groups_of(sample, 10)
    assert 1_000.0 in groups.cuts and 1_010.0 not in groups.cuts
    edges = np.searchsorted(costs, groups.cuts)
    # where groups meet at an amount the attacker takes all below and above to lie there
    assert all(
        abs(edge - end) <= 2 for edge, end in zip(sorted(edges), _met(groups.n, groups.mean, groups.cuts), strict=True)
    )
    assert narrowest(rows_of(groups.n), groups.mean * groups.n, costs) > LEAST_WIDTH
    for cut in groups.cuts:
        beside = groups.mean[np.argsort(np.abs(np.log(groups.mean / cut)))[0]]
        assert abs(np.log(beside / cut)) > 0.1


def _met(sizes: NDArray[np.int64], means: Array, cuts: tuple[float, ...]) -> list[int]:
    return [int(sizes[means < cut].sum()) for cut in sorted(cuts)]


# ── nothing that is told changes with who in a group cost what ───────────────────────────────────


def moved(costs: Array, sizes: NDArray[np.int64], cuts: tuple[float, ...] = ()) -> Array:
    """The same groups with other members: within each the dearest gives to the cheapest, all in their order.

    No cost passes one of the amounts, so that as many as before lie above each.
    """
    found, amounts = costs.copy(), np.array([0.0, costs.mean(), *cuts, np.inf])
    ends = np.cumsum(sizes)
    for start, end in zip(ends - sizes, ends, strict=True):
        first, last = costs[start], costs[end - 1]
        above, below = amounts[amounts > first].min(), amounts[amounts < last].max()
        room = 0.98 * min(last - costs[end - 2], costs[start + 1] - first, above - first, last - below)
        found[end - 1] -= room
        found[start] += room
    return found


def group_sizes(model: FittedModel, costs: Array) -> NDArray[np.int64]:
    """Sizes of a fit's groups; the true ones, as the number of costs is a multiple of five."""
    assert costs.size % 5 == 0
    return groups_of(_sample(costs, model), 10).n


def test_every_artefact_rests_on_groups_alone() -> None:
    """Patients of one group trade costs: everything that is told stays as it is, to the last letter."""
    costs = np.r_[lognormal(798, 5), 90_000.0, 120_000.0]
    how: dict[str, Any] = {
        "cost": "c",
        "family": "empirical",
        "tail_above": np.inf,
        "sets": 5,
        "thresholds": [2_000, 9_000],
    }
    model = fit({"c": costs}, **how)
    sizes = group_sizes(model, costs)
    np.testing.assert_array_equal(told_groups(model)[0], sizes)
    other = moved(costs, sizes, _sample(costs, model).cuts)
    assert np.max(np.abs(other / costs - 1)) > 0.02 and abs(other.std() / costs.std() - 1) > 1e-5
    assert differing(model, fit({"c": other}, **how)) == []
    # the control: money that leaves a group shows
    out = costs.copy()
    out[-1] += 1_000.0
    assert {"model", "json", "curves", "sets"} <= set(differing(model, fit({"c": out}, **how)))


@pytest.mark.parametrize("family", ["gamma", "lognormal"])
def test_what_is_observed_rests_on_groups_whatever_the_law(family: str) -> None:
    costs = lognormal(900, 6)
    how: dict[str, Any] = {"cost": "c", "family": family, "sets": 0, "thresholds": [2_000.0]}
    model = fit({"c": costs}, **how)
    other = fit({"c": moved(costs, group_sizes(model, costs), _sample(costs, model).cuts)}, **how)
    for name in ("observed", "observed_se"):
        np.testing.assert_array_equal(model.goodness[name], other.goodness[name])
    for name in [str(name) for name in model.curves.data_vars if str(name).startswith("observed")]:
        np.testing.assert_array_equal(model.curves[name], other.curves[name])
    assert model.report == other.report and "model" in differing(model, other)


def _sample(costs: Array, model: FittedModel) -> Sample:
    """The sample of a fit of one segment, with the amounts at which it was told."""
    from simulator.fitting.goodness import amounts_for

    plain = sample_of(costs, np.ones(costs.size))
    return sample_of(costs, np.ones(costs.size), cuts=tuple(dict.fromkeys([*model.thresholds, *amounts_for([plain])])))


# ── one who outweighs the others ─────────────────────────────────────────────────────────────────


def test_the_second_largest_cannot_tell_the_largest() -> None:
    """Two make nearly all of the cost; the second knows his own and takes it off every sum that is told."""
    costs = np.r_[lognormal(200, 7, 0.5) / 5, 470_000.0, 480_000.0].round(2)
    model = fit({"c": costs}, cost="c", family="empirical", sets=0)
    rows = model.report["rows_kept"]
    seen = model.goodness["observed"].isel(segment=-1)
    law = float(model.goodness["fitted"].isel(segment=-1).sel(measure="mean"))
    assert np.isnan(seen.sel(measure="mean"))
    for total in (law * rows, law * costs.size):
        assert abs((total - 470_000.0) / 480_000.0 - 1) > LEAST_WIDTH
    # the control: the plain sum tells him
    assert abs((costs.sum() - 470_000.0) / 480_000.0 - 1) < LEAST_WIDTH
    assert dominated(costs) and not dominated(costs[:200])


def test_rules_of_dominance_hold_for_unions() -> None:
    random = np.random.default_rng(8)
    for _ in range(300):
        first, second = (random.lognormal(0, 1.5, random.integers(3, 12)) for _ in range(2))
        if not dominated(first) and not dominated(second):
            assert not dominated(np.concatenate([first, second]))
    assert dominated(np.array([1.0, 1.0])) and dominated(np.array([0.05, 1.0, 1.0])) and not dominated(np.ones(3))


def test_parameter_sets_do_not_tell_squares() -> None:
    """With the seed, a set tells the standard error of the level, and that the squares of all costs."""
    costs = np.r_[np.random.default_rng(9).gamma(4.0, 100.0, 370), np.linspace(3_010, 3_990, 29), 12_000.0].round(2)
    model = fit({"c": costs}, cost="c", family="empirical", tail_above=np.inf, sets=100)
    normal = np.random.default_rng([1, 4]).standard_normal(100)
    error = float(np.log(model.sets["everybody"]["level"]) @ normal / (normal @ normal))

    def largest(error: float) -> float:
        squares = costs.size * costs.mean() ** 2 * (error**2 * costs.size + 1)
        return float(np.sqrt(squares - (costs[:-1] ** 2).sum()))

    plain = costs.std() / costs.mean() / np.sqrt(costs.size)
    assert abs(largest(plain) / 12_000.0 - 1) < 1e-6  # the control: the error of the rows themselves
    assert not abs(largest(error) / 12_000.0 - 1) < LEAST_WIDTH


# ── small counts ─────────────────────────────────────────────────────────────────────────────────


def without_cost(few: int) -> FittedModel:
    costs = np.r_[np.zeros(few), lognormal(3_000, 10)[: 3_000 - few]]
    return fit({"c": costs}, cost="c", family="gamma", sets=3, tail_above=np.inf)


def guessed(model: FittedModel) -> float:
    """The number without cost from the share, the number of rows and the two means."""
    (segment,) = model.population.segments
    rows = model.report["rows_kept"]
    told = float(model.goodness["observed"].sel(segment="everybody", measure="mean"))
    of_users = float(segment.users_severity.model_dump()["shape"] * segment.users_severity.model_dump()["scale"])
    return float(
        np.median([rows * (1 - segment.p_user), rows * (1 - told / of_users), rows * model.segments[0]["zero_share"]])
    )


def test_one_to_nine_without_cost_are_all_told_as_five() -> None:
    guesses = {few: guessed(without_cost(few)) for few in (1, 2, 5, 8, 9)}
    assert all(abs(guess - 5) < 0.3 for guess in guesses.values()), guesses
    assert 15 < guessed(without_cost(20)) < 25  # the control: twenty are told


@pytest.mark.heavy
@pytest.mark.parametrize("n", [60, 1_003])
def test_who_knows_the_number_of_rows_learns_no_more(n: int) -> None:
    """From the file and the true number of rows: every count and every level is the same for one to nine."""
    costs = lognormal(n, 11)
    told = set()
    for few in range(1, 10):
        model = fit({"c": np.r_[np.zeros(few), costs[few:]]}, cost="c", family="empirical", tail_above=np.inf, sets=0)
        (segment,) = model.population.segments
        sizes, _ = told_groups(model)
        counts = (model.report["rows_kept"], model.segments[0]["rows"], segment.p_user, sizes.sum(), set(sizes % 5))
        told.add(str(counts))
    assert len(told) == 1
    twenty = fit(
        {"c": np.r_[np.zeros(20), costs[20:]]}, cost="c", family="gamma", sets=0
    )  # the control: twenty are told
    assert abs(twenty.population.segments[0].p_user - (1 - 20 / n)) < 5 / n


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("how", "few"),
    every(2, [("filter", 1), ("missing", 9), ("infinite", 9), ("no segment", 1), ("negative", 1), ("exposure", 9)]),
)
def test_zero_to_nine_that_are_dropped_look_alike(how: str, few: int) -> None:
    """Rows beside the same others are left out for one reason: nobody sees whether there were any."""
    kept = pd.DataFrame({"c": lognormal(1_000, 12), "band": "a", "age": 50, "months": 12.0})
    spoil: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "filter": ({"age": 103}, {"where": "age < 100"}),
        "missing": ({"c": np.nan}, {}),
        "infinite": ({"c": np.inf}, {}),
        "no segment": ({"band": None}, {}),
        "negative": ({"c": -5.0}, {"where": "c >= 0", "allow_identifying": True}),
        "exposure": ({"months": 0.0}, {"exposure": "months", "exposure_unit": "months"}),
    }
    spoilt, options = spoil[how]

    def fitted(rows: int) -> FittedModel:
        table = pd.concat([kept, kept.head(rows).assign(**spoilt)], ignore_index=True)
        return fit(table, cost="c", segment="band", family="lognormal", sets=0, **options)

    # halves are drawn by row, and rows that are dropped stand last: the fits are of the same rows
    none = fitted(0)
    assert differing(none, fitted(few)) == []
    assert differing(none, fitted(12))  # the control: twelve are told


def test_what_is_dropped_is_not_to_be_had_from_the_shares() -> None:
    """Two filters, one of which takes one costly patient: the share that the other took tells nothing of him."""
    table = pd.DataFrame({"c": lognormal(2_000, 13), "band": np.where(np.arange(2_000) % 4 == 0, "x", "y"), "age": 50})
    table.loc[3, ["c", "age"]] = [400_000.0, 103]
    how: dict[str, Any] = {"cost": "c", "where": "age < 100 and band == 'y'", "family": "lognormal", "sets": 0}
    report, alone = fit(table, **how).report, fit(table[table["age"] < 100], **how).report
    assert report["dropped"] == alone["dropped"] and report["rows_read"] == alone["rows_read"]
    gone = table.loc[(table["age"] < 100) & (table["band"] == "x"), "c"].sum()
    kept = table.loc[(table["age"] < 100) & (table["band"] == "y"), "c"].sum()
    # the control: of the cost of everybody the share would give him away
    assert abs(gone / (gone / table["c"].sum()) - gone - kept - 400_000.0) < 1.0
    assert report["dropped"][1]["share_of_cost"] == pytest.approx(gone / (gone + kept), rel=1e-3)


# ── answers as an oracle ─────────────────────────────────────────────────────────────────────────


def people(n: int = 600) -> pd.DataFrame:
    random = np.random.default_rng(14)
    return pd.DataFrame(
        {
            "nhs": [f"P{number}" for number in range(n)],
            "total": random.lognormal(6.5, 1.2, n).round(2),
            "band": random.choice(["a", "b"], n),
            "age": random.integers(20, 80, n),
        }
    )


def answer(table: pd.DataFrame, **options: Any) -> str:
    try:
        fit(table, cost="total", sets=0, family="lognormal", **options)
    except SimulatorError as error:
        return str(error)
    return "a fit"


def test_a_cost_is_not_to_be_had_by_asking() -> None:
    """Twenty-seven questions halved the interval of one patient's cost: now all have one answer."""
    table = people()
    cost = float(table["total"][417])
    asked = [f"nhs == 'P417' and total > {cost + step}" for step in (-100.0, -0.01, 0.01, 1e6)]
    refused = {answer(table, where=where) for where in asked}
    assert len(refused) == 1 and "allow" in refused.pop()
    allowed = {answer(table, where=where, allow_identifying=True) for where in asked}
    assert allowed == {"the costs: leave fewer than 10 patients, or none; give more rows, or filter less"}
    # the control: it is answered where ten and more are left
    assert answer(table, where="band == 'a'") == "a fit"


@pytest.mark.parametrize(
    "options",
    [
        {"where": "nhs != 'P1'"}, {"where": "total < 4000"}, {"segment": "total:0,4321.08,4321.09"}, {"segment": "nhs"},
        {"where": "born < '1950-01-01'"}, {"where": "not (band == 'a' or total > 9)"}, {"exposure": "total"},
        {"weight": "total"}, {"where": "other > 100"}, {"where": "patientId == 3"},
    ],
)  # fmt: skip
def test_rows_are_not_chosen_by_what_one_patient_has(options: dict[str, str]) -> None:
    table = people()
    table["born"] = pd.Series(pd.date_range("1930-01-01", periods=len(table), freq="11D")).astype(str)
    table["other"] = np.where(np.arange(600) % 3 == 0, 0.0, np.random.default_rng(1).gamma(2.0, 99.0, 600).round(2))
    table["patientId"] = np.arange(600) % 30
    said = answer(table, **options)
    assert said != "a fit" and not any(str(cost) in said for cost in table["total"])


def test_cuts_of_a_number_with_many_values_are_bands() -> None:
    table = people().assign(exact=lambda t: t["age"] + np.random.default_rng(2).random(600))
    assert "nearly as many" in answer(table, where="exact > 30")
    assert answer(table, segment="exact:0,40,60") == "a fit"
    assert "named like an id" in answer(table.assign(nhs_no=table["exact"]), segment="nhs_no:0,40,60")


def test_columns_that_name_somebody_are_known() -> None:
    plain = column_of(np.arange(600) % 12)
    for name in ("id", "nhs", "NHS number", "nhs_no", "patient_id", "PatientID", "person", "personId", "MRN", "dob",
                 "DESYNPUF_ID", "bene_id", "date_of_birth", "pseudo_key", "memberid", "first name"):  # fmt: skip
        assert identifies(name, plain), name
    for name in ("months", "band", "age", "n_chronic", "died", "member_months", "patient_type", "paid", "first_year",
                 "nhs_trust", "key_stage", "number_of_admissions", "valid", "zone"):  # fmt: skip
        assert not identifies(name, plain), name


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("few", every(3, [9, 0, 1]))
def test_filters_and_segments_of_few_have_one_answer(few: int) -> None:
    table = people()
    table.loc[: few - 1, "age"] = 15
    table.loc[few:, "age"] = np.maximum(table.loc[few:, "age"], 30)
    assert (
        answer(table, where="age < 20")
        == "the costs: leave fewer than 10 patients, or none; give more rows, or filter less"
    )
    said = answer(table, segment="age:0,20,50")
    assert said.startswith("segment: leaves a segment with fewer than 10 patients who cost anything, or none; merge")
    # a segment that the filter itself leaves out is no question
    assert answer(table, segment="age:0,20,50", where="age >= 20") == "a fit"
    assert answer(table, segment="age:0,20,50", where="age >= 21") == "a fit"
    assert "fewer than 10" in answer(table, segment="age:0,20,50", where="age >= 19")


def test_a_filter_may_leave_a_segment_out_by_name() -> None:
    table = people()
    table.loc[:4, "band"] = "few"
    assert "fewer than 10" in answer(table, segment="band")
    assert answer(table, segment="band", where="band in ('a', 'b')") == "a fit"
    assert "fewer than 10" in answer(table.assign(sex=1), segment="band", where="band != 'a' and sex == 1")


@pytest.mark.heavy
def test_thresholds_do_not_tell_whose_cost_they_are() -> None:
    asked = [4_321.08, 4_321.09, 4_321.10]
    for cost in (4_321.09, 5_000.0):
        table = people()
        table.loc[0, "total"] = cost
        assert fit(table, cost="total", thresholds=asked, family="gamma", sets=0).thresholds == (4_320.0,)
    assert fit(people(), cost="total", thresholds=[2_500.0, 10_000.0], family="gamma", sets=0).thresholds == (
        2_500.0,
        10_000.0,
    )


# ── many segments, many rows a person ────────────────────────────────────────────────────────────


@pytest.mark.heavy
def test_everybody_less_the_others_tells_no_nine() -> None:
    """Nine, or four, patients of a small segment lie above an amount at which all other segments are told."""
    bands = {"a": lognormal(3_000, 15), "b": lognormal(2_000, 16)}
    rests = []
    for top in (np.full(9, 9_000.0), np.r_[np.full(5, 6_200.0), np.full(4, 12_500.0)]):
        bands["c"] = np.r_[lognormal(300, 17, 0.3), top]
        table = pd.DataFrame({"band": np.repeat(list(bands), [x.size for x in bands.values()])})
        table["c"] = np.concatenate(list(bands.values()))
        model = fit(table, cost="c", segment="band", thresholds=[8_000.0], family="lognormal", sets=0)
        seen, rows = model.goodness["observed"], {row["name"]: row["rows"] for row in model.segments}
        assert np.isnan(seen.sel(segment="c", measure="P above 8,000"))
        assert np.isfinite(seen.sel(segment=["a", "b", "everybody"], measure="P above 8,000")).all()
        told = seen.sel(measure=["P above 8,000", "excess above 8,000", "sd up to 8,000", "mean"])
        others = sum(told.sel(segment=name) * rows[name] for name in "ab")
        rests.append((told.sel(segment="everybody") * sum(rows.values()) - others).values)
        # the control: exact counts leave the nine, or four
        assert (table["c"] > 8_000).sum() - sum((bands[s] > 8_000).sum() for s in "ab") == (top > 8_000).sum()
    np.testing.assert_array_equal(*rests)


@pytest.mark.heavy
def test_ten_rows_of_one_patient_are_one_patient() -> None:
    costs = lognormal(1_200, 18)
    alone = np.where(np.arange(1_200) >= 1_188, "P0", [f"P{n % 400}" for n in range(1_200)])
    table = pd.DataFrame({"c": costs, "who": alone, "band": np.where(alone == "P0", "rare", "usual")})
    with pytest.raises(SimulatorError, match="fewer than 10 patients"):
        fit(table, cost="c", segment="band", person="who", sets=0)
    fit(table, cost="c", segment="band", family="gamma", sets=0)  # the control: as rows they are enough
    with pytest.raises(SimulatorError, match="leave fewer than 10 patients, or none"):
        fit(table, cost="c", where="band == 'rare'", person="who", sets=0)
    ids = np.unique(alone, return_inverse=True)[1].astype(np.int64)
    groups = groups_of(sample_of(costs, np.ones(1_200), person=ids), 10)
    ends = np.cumsum(groups.n)
    for start, end in zip(ends - groups.n, ends, strict=True):
        assert np.unique(ids[start:end]).size >= 10
    assert groups.n[-1] >= 20  # the dearest twelve rows are one patient's
    assert groups_of(sample_of(costs, np.ones(1_200)), 10).n[-1] < 20


def test_one_patient_of_many_rows_who_outweighs_all_is_brought_down() -> None:
    costs = np.r_[lognormal(400, 19), np.full(6, 200_000.0)]
    who = np.r_[np.arange(400), np.full(6, 400)].astype(np.int64)
    sample = sample_of(costs, np.ones(406), person=who)
    assert dominated(sample.spent()) and not dominated(sample_of(costs, np.ones(406)).spent())
    assert not dominated(sample.tempered().spent())
    model = fit({"c": costs, "who": who}, cost="c", person="who", family="gamma", tail_above=np.inf, sets=0)
    law = float(model.goodness["fitted"].isel(segment=-1).sel(measure="mean"))
    assert abs((law * 406 - costs[:400].sum()) / 1_200_000.0 - 1) > 0.4
    assert np.isnan(model.goodness["observed"].isel(segment=-1)).all()
    assert abs((costs.mean() * 406 - costs[:400].sum()) / 1_200_000.0 - 1) < 1e-9  # the control: the plain mean


# ── two files ────────────────────────────────────────────────────────────────────────────────────


def test_two_fits_that_differ_by_nine_differ_in_no_count_below_ten() -> None:
    """Their means do differ, as docs/theory/disclosure.md says: rules for one file cannot mend what two tell."""
    table = people(3_000).assign(rare=0)
    table.loc[:8, "rare"] = 1
    how: dict[str, Any] = {"cost": "total", "family": "lognormal", "sets": 0}
    whole, less = (fit(table, where=where, **how) for where in ("rare >= 0", "rare == 0"))
    assert whole.report["dropped"][0]["rows"] is None is less.report["dropped"][0]["rows"]
    assert whole.report["rows_kept"] - less.report["rows_kept"] in (5, 10)
    means = [float(one.goodness["observed"].isel(segment=-1).sel(measure="mean")) for one in (whole, less)]
    assert means[0] != means[1]


def test_the_command_line_tells_no_more(tmp_path: Path) -> None:
    table = people()
    table.to_csv(tmp_path / "rows.csv", index=False)
    outputs = []
    for where in ("age < 3", f"total > {table['total'].max() - 1}"):
        ran = CliRunner().invoke(
            verb, [str(tmp_path / "rows.csv"), "--cost", "total", "--where", where, "--allow-identifying"]
        )
        assert ran.exit_code == 2
        outputs.append(ran.output)
    assert outputs[0] == outputs[1] and outputs[0].count("\n") == 1
    plain = CliRunner().invoke(verb, [str(tmp_path / "rows.csv"), "--cost", "total", "--where", "total > 5"])
    assert plain.exit_code == 2 and "--allow-identifying" in plain.output
