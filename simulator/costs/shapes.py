"""Families with their mean taken out: what is left is a shape of one to three figures, which targets determine."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

from .families.base import Severity
from .families.heavy_tails import LEAST_Q, Burr, GeneralizedBeta2, GeneralizedGamma, GeneralizedPareto, Lomax, Pareto
from .families.two_figures import Gamma, Lognormal, Weibull
from .quadrature import Array

_NEARLY = 1e-3
"""How far a bound stays from where a mean or a variance becomes infinite."""


def top_share(users: Severity, u: float) -> float:
    """Share of cost of the costliest u of users."""
    cost = float(users.isf(u))
    if isinstance(users, GeneralizedBeta2) and users.a and users.p and users.q and users.scale:
        # the cost above is that of a beta prime variable with other figures (McDonald 1984)
        log_odds = users.a * math.log(cost / users.scale)
        return float(special.betainc(users.q - 1 / users.a, users.p + 1 / users.a, special.expit(-log_odds)))
    if isinstance(users, GeneralizedGamma) and users.sigma and users.q is not None and users.mu is not None:
        return _gamma_share(cost, users.mu, users.sigma, users.q)
    moments = users.moments
    return float(moments.above(cost)[1] / moments.raw[1])


def squared_cv(users: Severity) -> float:
    """Squared coefficient of variation of users' cost, plus 1; may be infinite."""
    if users.tail_index <= 2:
        return math.inf
    if isinstance(users, GeneralizedBeta2) and users.a and users.p and users.q:
        first, second = (_log_gb2_mean(order / users.a, users.p, users.q) for order in (1, 2))
        return math.exp(min(second - 2 * first, 700.0))
    if isinstance(users, GeneralizedGamma) and users.sigma and users.q is not None:
        first, second = (_log_gengamma_mean(order * users.sigma, users.q) for order in (1, 2))
        return math.exp(min(second - 2 * first, 700.0))
    raw = users.moments.raw
    return float(raw[2] / raw[1] ** 2)


def _gamma_share(cost: float, mu: float, sigma: float, q: float) -> float:
    """Share of cost above an amount of a generalized gamma law: the chance of a gamma variable with another shape."""
    w = (math.log(cost) - mu) / sigma
    if abs(q) <= LEAST_Q:
        return float(special.ndtr(sigma - w))
    above = special.gammaincc if q > 0 else special.gammainc
    return float(above(q**-2 + sigma / q, q**-2 * math.exp(min(q * w, 700.0))))


def _log_gengamma_mean(sigma: float, q: float) -> float:
    """Logarithm of the mean of a generalized gamma law with mu 0."""
    if abs(q) <= LEAST_Q:
        return sigma**2 / 2
    shape = q**-2
    return sigma / q * math.log(q * q) + float(special.gammaln(shape + sigma / q) - special.gammaln(shape))


def _log_gb2_mean(step: float, p: float, q: float) -> float:
    """Logarithm of the mean of the odds of a beta(p, q) variable to the power of `step`."""
    return float(special.gammaln(p + step) - special.gammaln(p) + special.gammaln(q - step) - special.gammaln(q))


class Shape(NamedTuple):
    """A family with its mean taken out: `build(mean, y)` for y within the bounds."""

    build: Callable[[float, Array], Severity]
    low: tuple[float, ...]
    high: tuple[float, ...]
    finite: float | None = None
    """Lower bound of the last figure from which on the variance is finite; none where it always is."""

    @property
    def figures(self) -> int:
        """How many there are beside the mean."""
        return len(self.low)

    def bounds(self, finite: bool) -> tuple[Array, Array]:
        """The bounds; those within which the variance is finite where it must be."""
        low, high = np.array(self.low), np.array(self.high)
        if finite and self.finite is not None:
            low[-1] = self.finite
        return low, high


def _burr(mean: float, y: Array) -> Severity:
    c, tail = math.exp(y[0]), 1 + math.exp(y[1])
    d = tail / c
    log_mean = float(special.gammaln(d - 1 / c) + special.gammaln(1 + 1 / c) - special.gammaln(d))
    return Burr(c=c, d=d, scale=mean * math.exp(-log_mean))


def _gengamma(mean: float, y: Array) -> Severity:
    # the tail index is −1 / κ where κ = q·σ is below 0; the gamma has κ = σ², the Weibull κ = σ
    sigma, kappa = math.exp(y[0]), float(y[1])
    q = kappa / sigma
    return GeneralizedGamma(mu=math.log(mean) - _log_gengamma_mean(sigma, q), sigma=sigma, q=q)


def _gb2(mean: float, y: Array) -> Severity:
    a, p, tail = math.exp(y[0]), math.exp(y[1]), 1 + math.exp(y[2])
    q = tail / a
    return GeneralizedBeta2(a=a, p=p, q=q, scale=mean * math.exp(-_log_gb2_mean(1 / a, p, q)))


def _of(make: Callable[[float, float], Severity]) -> Callable[[float, Array], Severity]:
    """What builds a family of one figure, which is given by its logarithm."""
    return lambda mean, y: make(mean, math.exp(y[0]))


def _logs(*values: float) -> tuple[float, ...]:
    return tuple(math.log(v) for v in values)


SHAPES: dict[str, Shape] = {
    "lognormal": Shape(
        _of(lambda mean, sigma: Lognormal(mu=math.log(mean) - sigma**2 / 2, sigma=sigma)), _logs(1e-3), _logs(8.0),
    ),
    "gamma": Shape(
        lambda mean, y: Gamma(shape=math.exp(y[0]), scale=mean * math.exp(-y[0])), _logs(1e-3), _logs(1e6),
    ),
    "weibull": Shape(
        _of(lambda mean, k: Weibull(shape=k, scale=mean * math.exp(-float(special.gammaln(1 + 1 / k))))),
        _logs(0.05), _logs(1e3),
    ),
    "pareto": Shape(
        _of(lambda mean, above: Pareto(scale=mean * above / (1 + above), alpha=1 + above)),
        _logs(1e-3), _logs(1e5), math.log(1 + _NEARLY),
    ),
    "lomax": Shape(
        _of(lambda mean, above: Lomax(alpha=1 + above, scale=mean * above)),
        _logs(1e-3), _logs(1e6), math.log(1 + _NEARLY),
    ),
    "gpd": Shape(
        _of(lambda mean, below: GeneralizedPareto(shape=1 - below, scale=mean * below)),
        _logs(1e-3), _logs(2.0), math.log(0.5 + _NEARLY),
    ),
    "burr": Shape(_burr, _logs(0.1, 1e-3), _logs(1e2, 1e3), math.log(1 + _NEARLY)),
    "gengamma": Shape(_gengamma, (math.log(1e-2), _NEARLY - 1), (math.log(20.0), 20.0), _NEARLY - 0.5),
    "gb2": Shape(_gb2, _logs(0.1, 0.02, 1e-3), _logs(1e2, 1e3, 1e3), math.log(1 + _NEARLY)),
}  # fmt: skip
"""Bounds of the logarithms of: sigma; shape; shape; alpha − 1; alpha − 1; 1 − ξ; c and tail index − 1; sigma, and κ
itself; a, p and tail index − 1."""
