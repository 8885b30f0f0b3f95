"""Bodies by maximum likelihood: families with `loc` fixed at 0, costs above the splice counted but not valued.

The likelihood of a spliced law falls into two parts that share no parameter: that of the body, in which a cost above
the splice enters only by its chance of lying there (right-censored), and that of the tail's excesses. Each is
maximised by itself. Standard errors are White's (1982, Econometrica 50:1), which hold where the family is wrong and
where rows have weights. Where rows hardly tell two shapes apart (p and q of a gb2), a weak prior holds both near 1.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize, stats

from ...costs.families.base import Severity
from ...costs.families.heavy_tails import Burr, GeneralizedBeta2, GeneralizedGamma
from ...costs.families.two_figures import Gamma, Lognormal, Weibull
from ...numerals import figures
from ..read.sample import Array, Sample
from .general_laws import BetaPrimePower, PrenticeGamma

_BOUND = 7.0  # shapes, or their logarithms, beyond this are a family's limit and not a member of it
_LOOSEST = 0.5  # shapes with a larger standard error lie on a ridge, along which no estimate is normal
_BINS = 2_000  # bins of log cost, by which estimates move by less than a thousandth of their standard error
_PRIOR = 0.7  # sd of the prior about 0 of logarithms that are held: along a ridge the estimate's is at most half


Starts = Sequence[Sequence[float]]


class Family(NamedTuple):
    """How a family is fitted; θ are its parameters, unbounded, of costs brought to a median of 1."""

    law: Any  # the scipy family, or another that has its `logpdf` and `logsf`
    arguments: Callable[[Array], dict[str, float]]  # its arguments from θ; `loc` is 0
    start: Callable[[float, float, float], Starts]  # from mean and sd of the log cost, and the mean cost
    severity: Callable[[Array, float], dict[str, float]]  # figures of our severity from θ and the median, unrounded
    kind: type[Severity]
    shapes: tuple[int, ...]  # which of θ are shapes, or logarithms of them
    parameters: int  # how many θ has
    held: tuple[int, ...] = ()  # which of θ the prior holds: rows hardly tell them apart


def _gamma_start(mean_log: float, _: float, mean: float) -> Starts:
    gap = max(np.log(mean) - mean_log, 1e-6)
    shape = (3 - gap + np.sqrt((gap - 3) ** 2 + 24 * gap)) / (12 * gap)  # Minka 2002
    return [[np.log(shape), np.log(mean / shape)]]


def _weibull_start(mean_log: float, sd_log: float, _: float) -> Starts:
    shape = np.pi / np.sqrt(6) / sd_log
    return [[np.log(shape), mean_log + 0.5772 / shape]]


def _burr_start(_: float, sd_log: float, __: float) -> Starts:
    c = np.log(np.pi / np.sqrt(3) / sd_log)
    return [[c, 0.0, 0.0], [c - 0.3, 1.0, 1.0]]


def _gb2_start(*spread: float) -> Starts:
    """The Burr's starts, and one with a steeper power and lighter shapes."""
    c = _burr_start(*spread)[0][0]
    return [[c, 0.0, 0.0, 0.0], [c - 0.5, 0.5, 1.0, 1.0], [c + 0.5, 0.0, -0.7, -0.7]]


def _gb2(theta: Array, median: float) -> dict[str, float]:
    a, scale, p, q = np.exp(theta)
    return {"a": a, "p": p, "q": q, "scale": scale * median}


FAMILIES: dict[str, Family] = {
    "lognormal": Family(
        stats.lognorm, lambda t: {"s": np.exp(t[1]), "scale": np.exp(t[0])}, lambda m, sd, _: [[m, np.log(sd)]],
        lambda t, m: {"mu": t[0] + np.log(m), "sigma": np.exp(t[1])}, Lognormal, (), 2,
    ),
    "gamma": Family(
        stats.gamma, lambda t: {"a": np.exp(t[0]), "scale": np.exp(t[1])}, _gamma_start,
        lambda t, m: {"shape": np.exp(t[0]), "scale": np.exp(t[1]) * m}, Gamma, (0,), 2,
    ),
    "weibull": Family(
        stats.weibull_min, lambda t: {"c": np.exp(t[0]), "scale": np.exp(t[1])}, _weibull_start,
        lambda t, m: {"shape": np.exp(t[0]), "scale": np.exp(t[1]) * m}, Weibull, (0,), 2,
    ),
    "burr": Family(
        stats.burr12, lambda t: {"c": np.exp(t[0]), "d": np.exp(t[1]), "scale": np.exp(t[2])}, _burr_start,
        lambda t, m: {"c": np.exp(t[0]), "d": np.exp(t[1]), "scale": np.exp(t[2]) * m}, Burr, (0, 1), 3,
    ),
    "gengamma": Family(
        PrenticeGamma, lambda t: {"mu": t[0], "sigma": np.exp(t[1]), "q": t[2]},
        lambda m, sd, _: [[m, np.log(sd), 0.1], [m + 0.5 * sd, np.log(sd), 0.8]],  # near the lognormal, and the Weibull
        lambda t, m: {"mu": t[0] + np.log(m), "sigma": np.exp(t[1]), "q": t[2]}, GeneralizedGamma, (2,), 3,
    ),
    "gb2": Family(
        BetaPrimePower, lambda t: _gb2(t, 1.0), _gb2_start, _gb2, GeneralizedBeta2, (0, 2, 3), 4, (2, 3),
    ),
}  # fmt: skip
"""Families that can be a body, by their names in a scenario file."""


@dataclass(frozen=True, repr=False)
class Body:
    """A fitted body."""

    family: str
    severity: Severity
    theta: Array
    covariance: Array  # of `theta`
    median: float  # money per year to which costs were scaled
    converged: bool

    def figures_at(self, theta: Array) -> dict[str, float]:
        """The severity's figures at other parameters."""
        return _figures(FAMILIES[self.family], theta, self.median)

    @property
    def heaviness(self) -> tuple[float, float]:
        """1 over the tail index (0: no power law) and its standard error; the variance is infinite from 0.5 on."""

        def at(theta: Array) -> float:
            return 1 / FAMILIES[self.family].kind(**self.figures_at(theta)).tail_index

        slope = _slopes(at, self.theta, 1e-2)
        return at(self.theta), math.sqrt(max(float(slope @ self.covariance @ slope), 0.0))


def _figures(family: Family, theta: Array, median: float) -> dict[str, float]:
    return {name: figures(float(value)) for name, value in family.severity(theta, median).items()}


def fit_body(family: str, sample: Sample, at: float = np.inf) -> Body:
    """Fit one family to a sample's users."""
    known = FAMILIES[family]
    median = float(np.exp(np.average(np.log(sample.x), weights=sample.w)))
    costs = _scaled(sample, at, median)
    few, starts = _condensed(costs), known.start(*_spread(costs.x, costs.w))
    best = min((_minimum(np.array(start), known, few) for start in starts), key=lambda reached: float(reached.fun))
    theta = np.asarray(best.x, float)
    covariance = _sandwich(theta, known, costs, sample, at)
    shapes, loose = list(known.shapes), np.diag(covariance) > _LOOSEST**2
    settled = bool(best.success and np.isfinite(covariance).all() and not loose[shapes].any())
    settled = settled and bool(np.all(np.abs(theta[shapes]) < _BOUND))
    return Body(family, known.kind(**_figures(known, theta, median)), theta, covariance, median, settled)


def with_errors_of(body: Body, people: Sample, at: float = np.inf) -> Body:
    """The body with the covariance that these people would give: errors of rows tell squares of single costs."""
    known, theta, costs = FAMILIES[body.family], body.theta, _scaled(people, at, body.median)
    if known.held:  # at their own estimate: beside it the likelihood need not be curved downwards along a ridge
        theta = np.asarray(_minimum(theta, known, costs).x, float)
    covariance = _sandwich(theta, known, costs, people, at)
    return replace(body, covariance=covariance) if np.isfinite(covariance).all() else body


class Scaled(NamedTuple):
    """Users' costs as the likelihood takes them, each over the median."""

    x: Array  # up to the splice
    w: Array  # their shares of users
    above: float  # share of users above the splice
    limit: float  # the splice
    hold: float  # what the prior weighs beside the mean log density of a user


def _scaled(sample: Sample, at: float, median: float) -> Scaled:
    inside, share = sample.x <= at, sample.w / sample.w.sum()
    hold = 1 / (_PRIOR**2 * sample.effective_users)
    return Scaled(sample.x[inside] / median, share[inside], float(share[~inside].sum()), at / median, hold)


def _condensed(costs: Scaled) -> Scaled:
    """Many costs as the means of narrow bins of log cost, of which the likelihood differs by their squared width."""
    if costs.x.size <= 2 * _BINS:
        return costs
    log_x = np.log(costs.x)
    bins = np.unique((log_x * (_BINS / np.ptp(log_x))).astype(int), return_inverse=True)[1]
    weight = np.bincount(bins, costs.w)
    x = np.exp(np.bincount(bins, costs.w * log_x) / weight)
    return costs._replace(x=x, w=np.asarray(weight, dtype=np.float64))


def _spread(x: Array, w: Array) -> tuple[float, float, float]:
    """Mean and standard deviation of the logarithm of cost, and the mean cost."""
    mean = float(np.average(np.log(x), weights=w))
    sd = float(np.sqrt(np.average((np.log(x) - mean) ** 2, weights=w)))
    return mean, max(sd, 1e-3), float(np.average(x, weights=w))


def _log_density(theta: Array, family: Family, x: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(family.law.logpdf(x, **family.arguments(theta)), float)


def _log_above(theta: Array, family: Family, limit: float) -> float:
    with np.errstate(all="ignore"):
        return float(family.law.logsf(limit, **family.arguments(theta))) if np.isfinite(limit) else 0.0


def _objective(theta: Array, family: Family, costs: Scaled) -> float:
    if np.any(np.abs(theta) > 50):
        return 1e10
    beyond = costs.above * _log_above(theta, family, costs.limit) if costs.above else 0.0
    value = -float(costs.w @ _log_density(theta, family, costs.x)) - beyond
    value += costs.hold / 2 * sum(float(theta[i]) ** 2 for i in family.held)
    return value if np.isfinite(value) else 1e10


def _minimum(start: Array, family: Family, costs: Scaled) -> Any:
    # a simplex of our own: scipy's has no width along a parameter that starts near 0
    simplex = np.vstack([start, start + 0.2 * np.eye(start.size)])
    return optimize.minimize(
        _objective, start, args=(family, costs), method="Nelder-Mead",
        options={"initial_simplex": simplex, "xatol": 1e-6, "fatol": 1e-10, "maxiter": 2_000},
    )  # fmt: skip


def _slopes(function: Callable[[Array], Any], theta: Array, step: float) -> Array:
    """Derivatives by each parameter, by central differences."""
    return np.array([(function(theta + s) - function(theta - s)) / (2 * step) for s in step * np.eye(theta.size)])


def _sandwich(theta: Array, family: Family, costs: Scaled, sample: Sample, at: float) -> Array:
    """Hessian⁻¹ · Σ w²·score² · Hessian⁻¹, by central differences; nan where there is none."""
    step, none = 1e-4, np.full((theta.size, theta.size), np.nan)
    scores = _slopes(lambda t: _log_density(t, family, costs.x), theta, step)
    beyond = _slopes(lambda t: _log_above(t, family, costs.limit), theta, step)
    if not np.isfinite(scores).all() or not np.isfinite(beyond).all():
        return none
    inside = sample.x <= at
    total = float(sample.w.sum())
    meat = (scores * sample.w2[inside]) @ scores.T / total**2
    if costs.above:
        meat += np.outer(beyond, beyond) * float(sample.w2[~inside].sum()) / total**2

    def curved(a: Array, b: Array) -> float:
        corners = (theta + a + b, theta + a - b, theta - a + b, theta - a - b)
        both, one, other, neither = (_objective(corner, family, costs) for corner in corners)
        return (both - one - other + neither) / (4 * step**2)

    shifts = 10 * (step * np.eye(theta.size))
    bread = np.array([[curved(a, b) for b in shifts] for a in shifts]) / 100
    try:
        inverse = np.linalg.inv(bread)
    except np.linalg.LinAlgError:
        return none
    if np.any(np.linalg.eigvalsh((bread + bread.T) / 2) <= 0):
        return none
    with np.errstate(all="ignore"):
        return np.asarray(inverse @ meat @ inverse.T)
