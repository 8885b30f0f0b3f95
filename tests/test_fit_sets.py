"""Parameter sets cover the truth as often as they say, and small segments are helped where their rows are few."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import numpy as np
import pytest
from conftest import ROOT, diagonal
from scipy import stats

from simulator.fitting import choose
from simulator.fitting.laws import bodies, small_segments, tails
from simulator.fitting.parameter_sets import _normal, _tail_draws
from simulator.fitting.read.sample import sample_of


def _loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fit_studies", ROOT / "benchmarks" / "fit_studies.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fit_studies"] = module
    spec.loader.exec_module(module)
    return module


studies = _loaded()


@pytest.mark.heavy
def test_the_mean_excess_of_a_tail_is_as_sure_as_the_rows_tell_it() -> None:
    """Tails of 60 patients: drawn mean excesses spread like the fitted ones; drawn with the scale they would not."""
    law, random = stats.genpareto(c=0.35, scale=1_000.0), np.random.default_rng(6)
    fitted, told, naive = [], [], []
    for _ in range(60):
        excess = law.rvs(60, random_state=random)
        tail = tails.fit_tail(sample_of(excess + 500.0, np.ones(60)), 500.0)
        assert tail is not None
        fitted.append(np.log(tail.mean_excess))
        sets = _tail_draws(tail, 200, random)
        shape, scale = np.array(sets["tail.shape"]), np.array(sets["tail.scale"])
        told.append(np.std(np.log(scale / (1 - shape))))
        drawn = random.multivariate_normal([tail.shape, np.log(tail.scale)], tail.covariance(), 200)
        shape = np.clip(drawn[:, 0], tails.LOWEST_SHAPE, tails.HIGHEST_SHAPE)
        naive.append(np.std(drawn[:, 1] - np.log1p(-shape)))
        assert np.corrcoef(sets["tail.shape"], sets["tail.scale"])[0, 1] < 0
    # an sd of sixty is uncertain by 9%
    assert 0.7 < np.median(told) / np.std(fitted) < 1.35
    # the control: shape and log scale as normal tell means that no rows allow
    assert np.mean(naive) > 1.15 * np.mean(told)


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize(
    "trial",
    [
        ("lognormal", "lognormal"),
        pytest.param(("gengamma", "lognormal"), marks=pytest.mark.slow),
        pytest.param(("empirical", "lognormal"), marks=pytest.mark.slow),
        pytest.param(("gb2", "gb2"), marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("seeds", [24, pytest.param(40, marks=pytest.mark.slow)])
def test_sets_cover_the_truth(trial: tuple[str, str], seeds: int) -> None:
    (line,) = list(studies.sets(seeds, (trial,)))[1:]
    covered = [float(word) for word in line.split("covered ")[1].split(";")[0].split(",")]
    width = [float(word) for word in line.split("found ")[1].split(",")]
    # intervals of 95%: fewer than 34 of forty hold once in three hundred, fewer than 20 of 24 once in 170
    assert round(seeds * min(covered)) >= stats.binom.ppf(0.006, seeds, 0.95) and all(0.7 < w < 1.4 for w in width)


@pytest.mark.slow
@pytest.mark.no_cover
def test_shapes_that_rows_hardly_tell_apart_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """All fits of a gb2 to 1,500 of its own rows settle; without the prior most run along a ridge."""
    at = studies.points("gb2")
    rows = [studies.drawn("gb2", studies.ROWS, np.random.default_rng([seed, 77])) for seed in range(5)]

    def taken() -> int:
        return sum(studies._fitted("gb2", costs, at).family == "gb2" for costs in rows)

    assert taken() == 5
    monkeypatch.setattr(bodies, "_PRIOR", 1e6)
    assert taken() < 3


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("seeds", [2, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("n", "label"), diagonal(list(studies.SMALL), list(studies.SHAPES), 3))
def test_small_segments_are_nearer_the_truth_than_their_rows(n: int, label: str, seeds: int) -> None:
    """Limited means of 80 or 120 segments a setting; without credibility they are further off than the rows."""
    sigmas = studies.SHAPES[label]
    found = np.array([errors for seed in range(seeds) for errors in studies.small_errors(sigmas, n, seed)])
    lost, error = studies.lost_to_rows(found)
    assert lost + 1.645 * error < 0
    # the control: groups of ten of 15 or 40 users tell less of their limited mean than the rows
    alone, control = studies.lost_to_rows(found[:, [2, 1]])
    assert n == 100 or alone > control


@pytest.mark.slow
@pytest.mark.no_cover
def test_a_patient_who_makes_half_of_the_cost_does_not_lift_the_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a hundred users, one of whom makes half of the cost, no more than a mean is told; these hold such a case."""

    def worst() -> float:
        found = studies.small_errors(studies.SHAPES["shapes that differ"], 100, 101)
        return max(abs(float(errors[0, 0])) for errors in found)

    assert worst() < 0.6
    # the control: the mean as if it were a limited mean
    monkeypatch.setattr(choose, "without_shape", lambda people, alone: [False] * len(alone))
    assert worst() > 1.2


@pytest.mark.heavy
def test_a_shape_is_stretched_only_where_segments_differ() -> None:
    random = np.random.default_rng(3)

    def powers(sigmas: tuple[float, ...], n: int) -> np.ndarray:
        samples = [sample_of(random.lognormal(6, s, 1_500), np.ones(1_500)) for s in sigmas]
        small = [sample_of(random.lognormal(6, s, n), np.ones(n)) for s in sigmas for _ in range(4)]
        everybody = small_segments.Everybody([*samples, *small], 10)
        found = []
        for sample in small:
            law = everybody.shape(sample).severity
            spread = np.log(law.isf(np.array([0.1])) / law.isf(np.array([0.5])))[0] / stats.norm.isf(0.1)
            found.append(spread)
        return np.array(found)

    alike = powers((1.2, 1.2, 1.2, 1.2), 25)
    assert np.std(alike) < 0.08 and alike.mean() == pytest.approx(1.2, rel=0.08)
    apart = powers((0.8, 1.0, 1.2, 1.6), 25)
    truth = np.repeat([0.8, 1.0, 1.2, 1.6], 4)
    # with 25 users the raw spread is uncertain by 14%
    assert np.sqrt(np.mean((apart / truth - 1) ** 2)) < 0.16 and np.corrcoef(apart, truth)[0, 1] > 0.8


def test_sets_have_the_covariance_that_they_are_drawn_from() -> None:
    """Also forty of them: the spread of plain draws is off by a ninth, and in some direction by more."""
    mean, root = np.array([1.0, -2.0, 0.5]), np.array([[0.3, 0.0, 0.0], [-0.2, 0.1, 0.0], [0.1, 0.05, 0.02]])
    drawn = _normal(mean, root @ root.T, 40, np.random.default_rng([1, 4]))
    assert drawn.mean(axis=0) == pytest.approx(mean) and np.cov(drawn.T) == pytest.approx(root @ root.T)
    plain = np.random.default_rng([1, 4]).multivariate_normal(mean, root @ root.T, 40, method="svd")
    assert np.abs(np.cov(plain.T) / (root @ root.T) - 1).max() > 0.1
    few = _normal(mean, root @ root.T, 3, np.random.default_rng(1))
    assert few.shape == (3, 3) and np.isfinite(few).all()
