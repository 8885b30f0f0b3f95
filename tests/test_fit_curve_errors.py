"""Standard errors of a fit's curves: they are the spread of the figures over many samples, weights and all."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from conftest import every
from numpy.typing import NDArray

from simulator.fitting import goodness
from simulator.fitting.disclose.groups import groups_of
from simulator.fitting.fit import default_thresholds, fit, fit_bands
from simulator.fitting.goodness import (
    LEVELS,
    amounts_for,
    cell_mean_error,
    limited_mean_error,
    p_above_error,
    top_share_error,
)
from simulator.fitting.read.sample import Sample, sample_of

Array = NDArray[np.float64]
REPLICATES, PEOPLE = 1_500, 1_200

FIGURES: dict[str, tuple[Callable[[Sample], float], Callable[[Sample], float]]] = {
    "p_above": (lambda s: float(s.p_above(1_500.0)), lambda s: p_above_error(s, 1_500.0)),
    "limited_mean": (lambda s: float(s.limited_mean(2_000.0)), lambda s: limited_mean_error(s, 2_000.0)),
    "top_share": (lambda s: s.top_share(0.05), lambda s: top_share_error(s, 0.05)),
    "broad_top_share": (lambda s: s.top_share(0.5), lambda s: top_share_error(s, 0.5)),
    "cell_mean": (lambda s: cell(s, 0.2, 0.1), lambda s: cell_mean_error(s, 0.2, 0.1)),
    "top_cell_mean": (lambda s: cell(s, 0.05, 0.0), lambda s: cell_mean_error(s, 0.05, 0.0)),
}


def cell(sample: Sample, q: float, lower: float) -> float:
    """The mean of a slice of people, from the two shares of cost."""
    less = sample.top_share(lower) if lower > 0 else 0.0
    return sample.mean * (sample.top_share(q) - less) / (q - lower)


def one_sample(random: np.random.Generator, weighted: bool) -> Sample:
    """Costs of people; with part-years those who were covered for less cost more a year."""
    cost = random.gamma(0.7, 1_500.0, PEOPLE) * (random.random(PEOPLE) < 0.8)
    weight = np.ones(PEOPLE)
    if weighted:
        weight = np.where(random.random(PEOPLE) < 0.3, 0.2, 1.0) * random.uniform(0.5, 1.0, PEOPLE)
        cost = np.where(weight < 0.2, 2 * cost, cost)
    return sample_of(cost, weight)


@pytest.fixture(scope="module", params=[False, True], ids=["rows", "part-years"])
def samples(request: pytest.FixtureRequest) -> list[Sample]:
    random = np.random.default_rng(20170401)
    return [one_sample(random, request.param) for _ in range(REPLICATES)]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors that are not rounded."""
    monkeypatch.setattr(goodness, "_FIGURES", 8)


def off(spread: Array, error: Array) -> float:
    """Log of the ratio of the stated error to the spread, in standard errors of that spread."""
    centred = spread - spread.mean()
    kurtosis = float(np.mean(centred**4) / np.mean(centred**2) ** 2)
    noise = math.sqrt((kurtosis - 1) / 4 / spread.size)
    return math.log(math.sqrt(float(np.mean(np.square(error)))) / float(spread.std())) / noise


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.usefixtures("bare")
def test_an_error_is_the_spread_over_many_samples(name: str, samples: list[Sample]) -> None:
    figure, error = FIGURES[name]
    found = np.array([figure(sample) for sample in samples])
    assert abs(off(found, np.array([error(sample) for sample in samples]))) < 3.5


def slice_alone(sample: Sample, q: float, lower: float) -> float:
    """The error of a mean as if the slice's ends were known: what a careless program would state."""
    costs = np.sort(np.concatenate([sample.x, np.zeros(int(sample.zero_count))]))[::-1]
    inside = costs[int(lower * costs.size) : int(q * costs.size)]
    return float(inside.std() / math.sqrt(inside.size))


@pytest.mark.parametrize(("q", "lower", "name"), [(0.2, 0.1, "cell_mean"), (0.05, 0.0, "top_cell_mean")])
def test_a_slice_whose_ends_are_taken_as_known_is_found_out(q: float, lower: float, name: str) -> None:
    random = np.random.default_rng(1)
    drawn = [one_sample(random, False) for _ in range(400)]
    spread = np.array([FIGURES[name][0](sample) for sample in drawn])
    assert off(spread, np.array([slice_alone(sample, q, lower) for sample in drawn])) < -3.5


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("name", every(3, ["p_above", "limited_mean", "top_share"]))
def test_weights_that_are_forgotten_are_found_out(name: str) -> None:
    random = np.random.default_rng(2)
    drawn = [one_sample(random, True) for _ in range(REPLICATES)]
    unweighted = [Sample(s.x, s.w, s.w, s.count, s.zero_w, s.zero_w, s.zero_count) for s in drawn]
    figure, error = FIGURES[name]
    spread = np.array([figure(sample) for sample in drawn])
    assert abs(off(spread, np.array([error(sample) for sample in unweighted]))) > 3.5


def test_closed_forms_by_hand() -> None:
    """80 people without cost, 20 who cost 100: p = 0.2, and min(x, 50) is 50 times a coin of that chance."""
    sample = sample_of(np.repeat([0.0, 100.0], [80, 20]), np.ones(100))
    assert p_above_error(sample, 50.0) == pytest.approx(math.sqrt(0.2 * 0.8 / 100))
    assert limited_mean_error(sample, 50.0) == pytest.approx(50 * math.sqrt(0.2 * 0.8 / 100))
    # the costliest tenth carry 10 × 100 of 20 × 100: 1 / (10 p), whose slope in p is −0.1 / p²
    assert top_share_error(sample, 0.1) == pytest.approx(0.1 / 0.2**2 * 0.04)
    halves = sample_of(np.repeat([0.0, 100.0], [80, 20]), np.full(100, 0.5))
    assert p_above_error(halves, 50.0) == p_above_error(sample, 50.0)


def test_nobody_above_or_everybody_is_no_proof_that_there_is_no_error() -> None:
    sample = sample_of(np.linspace(100, 200, 50), np.ones(50))
    assert math.isnan(p_above_error(sample, 50.0)) and math.isnan(limited_mean_error(sample, 50.0))
    assert math.isnan(p_above_error(sample, 300.0))


@pytest.mark.heavy
def test_a_fits_errors_are_those_of_its_rows_beside_each_observed_figure() -> None:
    random = np.random.default_rng(6)
    table = pd.DataFrame({"cost": random.lognormal(6, 1, 3_000), "months": random.integers(1, 13, 3_000)})
    curves = fit(table, cost="cost", exposure="months", exposure_unit="months", sets=0).curves.isel(segment=-1)
    cost, years = table["cost"].to_numpy() / table["months"].to_numpy() * 12, table["months"].to_numpy() / 12
    plain = sample_of(cost, years)
    cuts = tuple(dict.fromkeys([*default_thresholds([plain]), *amounts_for([plain])]))
    sample = groups_of(sample_of(cost, years, cuts=cuts), 10).sample
    for place, amount in enumerate(curves["amount"].values):
        told = np.isfinite(curves["observed_p_above"].values[place])
        assert np.isfinite(curves["observed_p_above_se"].values[place]) == told
        if told:
            assert curves["observed_p_above_se"].values[place] == p_above_error(sample, amount)
            error = float(curves["observed_limited_mean_se"].values[place])
            assert math.isnan(error) or error == limited_mean_error(sample, amount)
    assert np.isfinite(curves["observed_limited_mean_se"].values).sum() > 8
    # made-up people stand for the rows: their errors are those of the rows, or nearly
    for amount in curves["amount"].values[np.isfinite(curves["observed_p_above"].values)][::3]:
        assert p_above_error(sample, amount) == pytest.approx(p_above_error(plain, amount), rel=0.1)
        assert limited_mean_error(sample, amount) == pytest.approx(limited_mean_error(plain, amount), rel=0.1)
    shares = np.isfinite(curves["observed_top_share"].values)
    assert shares.sum() > 6
    expected = [top_share_error(sample, q) for q in np.array(LEVELS)[shares]]
    np.testing.assert_array_equal(curves["observed_top_share_se"].values[shares], expected)
    cells = np.flatnonzero(np.isfinite(curves["observed_cell_mean"].values))
    assert cells.size > 5 and np.isfinite(curves["observed_cell_mean_se"].values[cells]).all()
    last = np.flatnonzero(shares)[-1]
    for k in cells:
        lower = 0.0 if k == last else LEVELS[k + 1]
        assert curves["observed_cell_mean_se"].values[k] == cell_mean_error(sample, LEVELS[k], lower)


@pytest.mark.heavy
def test_errors_have_units_and_sentences_and_the_curves_say_where_they_come_from() -> None:
    curves = fit(
        {"c": np.random.default_rng(4).gamma(1.0, 900.0, 500)}, cost="c", currency="EUR", sets=0, seed=7
    ).curves
    for name in curves.data_vars:
        money = "mean" in str(name)
        assert curves[name].attrs["units"] == ("EUR per year" if money else "1"), name
        assert ("standard error" in curves[name].attrs["long_name"]) == str(name).endswith("_se")
    assert {name for name in curves.data_vars if str(name).startswith("observed")} >= {
        f"observed_{what}_se" for what in ("p_above", "limited_mean", "top_share", "cell_mean")
    }
    assert curves.attrs["currency"] == "EUR" and curves.attrs["seed"] == 7 and curves.attrs["rows"] == 500
    assert curves.attrs["simulator_version"] and curves.attrs["smallest_count"] == 10


def test_bands_have_no_errors() -> None:
    costs = np.random.default_rng(12).lognormal(6.4, 1.4, 60_000)
    edges = np.array([0, 300, 1_000, 3_000, 10_000, np.inf])
    place = np.searchsorted(edges, costs) - 1
    bands = pd.DataFrame(
        {"band_low": edges[:-1], "band_high": edges[1:], "n": np.bincount(place), "total": np.bincount(place, costs)}
    )
    curves = fit_bands(bands, sets=0).curves
    assert np.isfinite(curves["observed_p_above"]).any()
    for name in curves.data_vars:
        if str(name).endswith("_se"):
            assert np.isnan(curves[name]).all()
