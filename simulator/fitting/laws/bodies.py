"""Bodies by maximum likelihood: families with `loc` fixed at 0, costs above the splice counted but not valued.

The likelihood of a spliced law falls into two parts that share no parameter: that of the body, in which a cost above
the splice enters only by its chance of lying there (right-censored), and that of the tail's excesses. Each is
maximised by itself. Standard errors are White's (1982, Econometrica 50:1), which hold where the family is wrong and
where rows have weights. Where rows hardly tell two shapes apart (p and q of a gb2), a weak prior holds both near 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from ...costs.families.base import Severity
from ...costs.families.heavy_tails import Burr, GeneralizedBeta2, GeneralizedGamma
from ...costs.families.two_figures import Gamma, Lognormal, Weibull
from ...numerals import figures
from ..read.sample import Sample
from .general_laws import BetaPrimePower, PrenticeGamma

Array = NDArray[np.float64]

_BOUND = 7.0
"""Shapes, or their logarithms, beyond this are a family's limit and not a member of it."""


_LOOSEST = 0.5
"""Shapes with a larger standard error lie on a ridge, along which the normal law of the estimates does not hold."""

_BINS = 2_000
"""Bins of log cost, by which estimates move by less than a thousandth of their standard error."""

_PRIOR = 0.7
"""Standard deviation of the prior about 0 of logarithms that are held: along a ridge the estimate's is at most half."""


class Family(NamedTuple):
    """How a family is fitted; θ are its parameters, unbounded, of costs brought to a median of 1."""

    law: Any
    """The scipy family, or another that has its `logpdf` and `logsf`."""
    arguments: Callable[[Array], dict[str, float]]
    """Its arguments from θ; `loc` is 0."""
    start: Callable[[Array, Array], list[Array]]
    """Starting points from costs and weights."""
    severity: Callable[[Array, float], dict[str, float]]
    """Figures of our severity from θ and the median, unrounded."""
    kind: type[Severity]
    shapes: tuple[int, ...]
    """Which of θ are shapes, or logarithms of them."""
    parameters: int
    """How many θ has."""
    held: tuple[int, ...] = ()
    """Which of θ the prior holds: rows hardly tell them apart."""


def _log_moments(x: Array, w: Array) -> tuple[float, float]:
    mean = float(np.average(np.log(x), weights=w))
    return mean, max(float(np.sqrt(np.average((np.log(x) - mean) ** 2, weights=w))), 1e-3)


def _lognormal_start(x: Array, w: Array) -> list[Array]:
    mean, sd = _log_moments(x, w)
    return [np.array([mean, np.log(sd)])]


def _gamma_start(x: Array, w: Array) -> list[Array]:
    mean = float(np.average(x, weights=w))
    gap = max(np.log(mean) - _log_moments(x, w)[0], 1e-6)
    shape = (3 - gap + np.sqrt((gap - 3) ** 2 + 24 * gap)) / (12 * gap)  # Minka 2002
    return [np.array([np.log(shape), np.log(mean / shape)])]


def _weibull_start(x: Array, w: Array) -> list[Array]:
    mean, sd = _log_moments(x, w)
    shape = np.pi / np.sqrt(6) / sd
    return [np.array([np.log(shape), mean + 0.5772 / shape])]


def _burr_start(x: Array, w: Array) -> list[Array]:
    _, sd = _log_moments(x, w)
    c = np.log(np.pi / np.sqrt(3) / sd)
    return [np.array([c, 0.0, 0.0]), np.array([c - 0.3, 1.0, 1.0])]


def _gengamma_start(x: Array, w: Array) -> list[Array]:
    """Near the lognormal, and near the Weibull."""
    mean, sd = _log_moments(x, w)
    return [np.array([mean, np.log(sd), 0.1]), np.array([mean + 0.5 * sd, np.log(sd), 0.8])]


def _gb2_start(x: Array, w: Array) -> list[Array]:
    """The Burr's starts, and one with a steeper power and lighter shapes."""
    c = _burr_start(x, w)[0][0]
    return [np.array([c, 0.0, 0.0, 0.0]), np.array([c - 0.5, 0.5, 1.0, 1.0]), np.array([c + 0.5, 0.0, -0.7, -0.7])]


def _gb2(theta: Array, median: float) -> dict[str, float]:
    a, scale, p, q = np.exp(theta)
    return {"a": a, "p": p, "q": q, "scale": scale * median}


FAMILIES: dict[str, Family] = {
    "lognormal": Family(
        stats.lognorm, lambda t: {"s": np.exp(t[1]), "scale": np.exp(t[0])}, _lognormal_start,
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
        PrenticeGamma, lambda t: {"mu": t[0], "sigma": np.exp(t[1]), "q": t[2]}, _gengamma_start,
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
    covariance: Array
    """Of `theta`."""
    median: float
    """Money per year to which costs were scaled."""
    converged: bool

    def figures_at(self, theta: Array) -> dict[str, float]:
        """The severity's figures at other parameters."""
        return {name: figures(float(x)) for name, x in FAMILIES[self.family].severity(theta, self.median).items()}

    @property
    def heaviness(self) -> tuple[float, float]:
        """1 over the tail index (0: no power law) and its standard error; the variance is infinite from 0.5 on."""

        def at(theta: Array) -> float:
            return 1 / FAMILIES[self.family].kind(**self.figures_at(theta)).tail_index

        step = 1e-2
        slope = np.array(
            [(at(self.theta + s) - at(self.theta - s)) / (2 * step) for s in step * np.eye(self.theta.size)]
        )
        return at(self.theta), math.sqrt(max(float(slope @ self.covariance @ slope), 0.0))

    def log_score(self, sample: Sample, at: float) -> float:
        """Mean log density of users up to `at` and log chance of those above, after division by the median."""
        return -_objective(self.theta, FAMILIES[self.family], *_scaled(sample, at, self.median))


def fit_body(family: str, sample: Sample, at: float = np.inf) -> Body:
    """Fit one family to a sample's users."""
    known = FAMILIES[family]
    median = float(np.exp(np.average(np.log(sample.x), weights=sample.w)))
    x, w, above, limit = _scaled(sample, at, median)
    few = _condensed(x, w)
    found = [_minimum(start, known, *few, above, limit, _hold(sample)) for start in known.start(x, w)]
    best = min(found, key=lambda reached: float(reached.fun))
    theta = np.asarray(best.x, float)
    settled = bool(best.success) and bool(np.all(np.abs(theta[list(known.shapes)]) < _BOUND))
    covariance = _sandwich(theta, known, x, w, above, limit, sample, at)
    settled = settled and bool(np.isfinite(covariance).all())
    settled = settled and all(covariance[i, i] <= _LOOSEST**2 for i in known.shapes)
    raw = {name: figures(float(value)) for name, value in known.severity(theta, median).items()}
    return Body(family, known.kind(**raw), theta, covariance, median, settled)


def with_errors_of(body: Body, people: Sample, at: float = np.inf) -> Body:
    """The body with the covariance that these people would give: errors of rows tell squares of single costs."""
    known, theta = FAMILIES[body.family], body.theta
    x, w, above, limit = _scaled(people, at, body.median)
    if known.held:  # at their own estimate: beside it the likelihood need not be curved downwards along a ridge
        theta = np.asarray(_minimum(theta, known, x, w, above, limit, _hold(people)).x, float)
    covariance = _sandwich(theta, known, x, w, above, limit, people, at)
    return replace(body, covariance=covariance) if np.isfinite(covariance).all() else body


def _condensed(x: Array, w: Array) -> tuple[Array, Array]:
    """Many costs as the means of narrow bins of log cost, of which the likelihood differs by their squared width."""
    if x.size <= 2 * _BINS:
        return x, w
    log_x = np.log(x)
    bins = np.unique((log_x * (_BINS / np.ptp(log_x))).astype(int), return_inverse=True)[1]
    weight = np.bincount(bins, w)
    return np.exp(np.bincount(bins, w * log_x) / weight), np.asarray(weight, dtype=np.float64)


def _hold(sample: Sample) -> float:
    """What the prior weighs beside the mean log density of a user."""
    return 1 / (_PRIOR**2 * sample.effective_users)


def _scaled(sample: Sample, at: float, median: float) -> tuple[Array, Array, float, float]:
    """Costs up to the splice and their shares of users, the share above, and the splice."""
    inside = sample.x <= at
    share = sample.w / sample.w.sum()
    return sample.x[inside] / median, share[inside], float(share[~inside].sum()), at / median


def _log_density(theta: Array, family: Family, x: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(family.law.logpdf(x, **family.arguments(theta)), float)


def _log_above(theta: Array, family: Family, limit: float) -> float:
    with np.errstate(all="ignore"):
        return float(family.law.logsf(limit, **family.arguments(theta))) if np.isfinite(limit) else 0.0


def _objective(
    theta: Array, family: Family, x: Array, w: Array, above: float, limit: float, hold: float = 0.0
) -> float:
    if np.any(np.abs(theta) > 50):
        return 1e10
    value = -float(w @ _log_density(theta, family, x)) - (above * _log_above(theta, family, limit) if above else 0.0)
    value += hold / 2 * sum(float(theta[i]) ** 2 for i in family.held)
    return value if np.isfinite(value) else 1e10


def _minimum(start: Array, family: Family, x: Array, w: Array, above: float, limit: float, hold: float) -> Any:
    # a simplex of our own: scipy's has no width along a parameter that starts near 0
    simplex = np.vstack([start, start + 0.2 * np.eye(start.size)])
    return optimize.minimize(
        _objective, start, args=(family, x, w, above, limit, hold), method="Nelder-Mead",
        options={"initial_simplex": simplex, "xatol": 1e-6, "fatol": 1e-10, "maxiter": 2_000},
    )  # fmt: skip


def _sandwich(
    theta: Array, family: Family, x: Array, w: Array, above: float, limit: float, sample: Sample, at: float
) -> Array:
    """Hessian⁻¹ · Σ w²·score² · Hessian⁻¹, by central differences."""
    step = 1e-4
    shifts = step * np.eye(theta.size)
    scores = np.stack(
        [(_log_density(theta + s, family, x) - _log_density(theta - s, family, x)) / (2 * step) for s in shifts]
    )
    beyond = np.array(
        [(_log_above(theta + s, family, limit) - _log_above(theta - s, family, limit)) / (2 * step) for s in shifts]
    )
    if not np.isfinite(scores).all() or not np.isfinite(beyond).all():
        return np.full((theta.size, theta.size), np.nan)
    inside = sample.x <= at
    total = float(sample.w.sum())
    meat = (scores * sample.w2[inside]) @ scores.T / total**2
    if above:
        meat += np.outer(beyond, beyond) * float(sample.w2[~inside].sum()) / total**2

    def objective(t: Array) -> float:
        return _objective(t, family, x, w, above, limit, _hold(sample))

    bread = (
        np.array(
            [
                [
                    (
                        objective(theta + a + b)
                        - objective(theta + a - b)
                        - objective(theta - a + b)
                        + objective(theta - a - b)
                    )
                    / (4 * step**2)
                    for b in 10 * shifts
                ]
                for a in 10 * shifts
            ]
        )
        / 100
    )
    try:
        inverse = np.linalg.inv(bread)
    except np.linalg.LinAlgError:
        return np.full((theta.size, theta.size), np.nan)
    if np.any(np.linalg.eigvalsh((bread + bread.T) / 2) <= 0):
        return np.full((theta.size, theta.size), np.nan)
    with np.errstate(all="ignore"):
        return np.asarray(inverse @ meat @ inverse.T)
