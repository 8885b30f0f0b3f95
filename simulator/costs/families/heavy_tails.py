"""Families whose tail may be a power law: of two figures, and of three and more."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field
from scipy import special

from ...terms import Number, Positive
from .base import Array, WithMeanAndCv, of_cv


class Pareto(WithMeanAndCv):
    """Classical Pareto: no cost below `scale`, then P(X > x) = (scale / x)^alpha."""

    family: Literal["pareto"] = "pareto"
    scale: Positive | None = None
    """Smallest cost, money per year."""
    alpha: Positive | None = None
    """Tail index: moments of this order and above are infinite."""
    ways = (("mean", "cv"), ("scale", "alpha"))
    index_figures = ("alpha",)

    def _worked_out(self, mean: float, cv: float) -> tuple[float, float]:
        alpha = 1 + math.sqrt(1 + cv**-2)
        return mean * (alpha - 1) / alpha, alpha

    @property
    def tail_index(self) -> float:
        return self._law[1]

    def sf(self, x: ArrayLike) -> Array:
        scale, alpha = self._law
        return (scale / np.maximum(x, scale)) ** alpha

    def isf(self, s: ArrayLike) -> Array:
        scale, alpha = self._law
        return scale * np.asarray(s, float) ** (-1 / alpha)


class Lomax(WithMeanAndCv):
    """Lomax (Pareto type II): P(X > x) = (1 + x / scale)^−alpha."""

    family: Literal["lomax"] = "lomax"
    cv: Annotated[float, Field(strict=True, gt=1, allow_inf_nan=False)] | None = None
    """Standard deviation of a user's annual cost as a multiple of the mean; above 1."""
    scale: Positive | None = None
    """Money per year."""
    alpha: Positive | None = None
    """Tail index: moments of this order and above are infinite."""
    ways = (("mean", "cv"), ("scale", "alpha"))
    index_figures = ("alpha",)

    def _worked_out(self, mean: float, cv: float) -> tuple[float, float]:
        alpha = 2 * cv**2 / (cv**2 - 1)
        return mean * (alpha - 1), alpha

    @property
    def tail_index(self) -> float:
        return self._law[1]

    def sf(self, x: ArrayLike) -> Array:
        scale, alpha = self._law
        return np.exp(-alpha * np.log1p(np.maximum(x, 0.0) / scale))

    def isf(self, s: ArrayLike) -> Array:
        scale, alpha = self._law
        return scale * np.expm1(-np.log(s) / alpha)


class GeneralizedPareto(WithMeanAndCv):
    """Generalized Pareto: P(X > x) = (1 + shape·x / scale)^(−1/shape); exponential at shape 0, bounded below it."""

    family: Literal["gpd"] = "gpd"
    shape: Number | None = None
    """ξ: the reciprocal of the tail index where positive."""
    scale: Positive | None = None
    """Money per year."""
    ways = (("mean", "cv"), ("shape", "scale"))

    @classmethod
    def with_index(cls, given: Mapping[str, Any], factor: float) -> dict[str, float]:
        shape = given.get("shape") or 0.0
        return {"shape": shape / factor} if shape > 0 else {}

    def _worked_out(self, mean: float, cv: float) -> tuple[float, float]:
        shape = (1 - cv**-2) / 2
        return shape, mean * (1 - shape)

    @property
    def tail_index(self) -> float:
        shape = self._law[0]
        return 1 / shape if shape > 0 else math.inf

    def sf(self, x: ArrayLike) -> Array:
        shape, scale = self._law
        y = np.maximum(x, 0.0) / scale
        if shape == 0:
            return np.exp(-y)
        with np.errstate(divide="ignore"):
            return np.exp(-np.log1p(np.maximum(shape * y, -1.0)) / shape)

    def isf(self, s: ArrayLike) -> Array:
        shape, scale = self._law
        y = -np.log(s)
        return scale * (y if shape == 0 else np.expm1(shape * y) / shape)


class Burr(WithMeanAndCv):
    """Burr XII: P(X > x) = (1 + (x / scale)^c)^−d; its tail index is c·d."""

    family: Literal["burr"] = "burr"
    tail: Annotated[float, Field(strict=True, gt=2, allow_inf_nan=False)] | None = None
    """Tail index c·d, the third figure beside mean and cv; above 2, since the variance is given."""
    c: Positive | None = None
    d: Positive | None = None
    scale: Positive | None = None
    """Money per year."""
    ways = (("mean", "cv", "tail"), ("c", "d", "scale"))
    index_figures = ("d", "tail")

    def _worked_out(self, mean: float, cv: float) -> tuple[float, float, float]:
        assert self.tail is not None
        tail = self.tail
        c = of_cv(cv, lambda order, c: _log_burr_moment(order, c, tail / c), 1e-2, 1e3)
        return c, tail / c, mean * math.exp(-_log_burr_moment(1, c, tail / c))

    @property
    def tail_index(self) -> float:
        c, d, _ = self._law
        return c * d

    def sf(self, x: ArrayLike) -> Array:
        c, d, scale = self._law
        # logarithms throughout, so that a large c or a small d stays within a computer's numbers
        with np.errstate(divide="ignore"):
            return np.exp(-d * np.logaddexp(0.0, c * np.log(np.maximum(x, 0.0) / scale)))

    def isf(self, s: ArrayLike) -> Array:
        c, d, scale = self._law
        odds = -np.log(s) / d
        with np.errstate(divide="ignore"):
            return scale * np.exp((odds + np.log(-np.expm1(-odds))) / c)


def _log_burr_moment(order: int, c: float, d: float) -> float:
    return float(special.gammaln(d - order / c) + special.gammaln(1 + order / c) - special.gammaln(d))


class GeneralizedGamma(WithMeanAndCv):
    """Generalized gamma: (X / scale)^power is gamma with this shape; gamma at power 1, Weibull at shape 1.

    Or by Prentice's figures (1974, Biometrika 61:539), in which the lognormal is no limit but a member: q = shape^−½,
    sigma = q / power, and log X has its centre near mu. The lognormal has q = 0; where q is below 0 the tail is a power
    law, of index 1 / (sigma·|q|).
    """

    family: Literal["gengamma"] = "gengamma"
    shape: Positive | None = None
    power: Positive | None = None
    """Of cost; with mean and cv the third figure."""
    scale: Positive | None = None
    """Money per year."""
    mu: Number | None = None
    """Centre of the logarithm of cost."""
    sigma: Positive | None = None
    """Spread of the logarithm of cost."""
    q: Number | None = None
    """1 over the root of the shape; of either sign, 0 for the lognormal."""
    ways = (("mean", "cv", "power"), ("shape", "power", "scale"), ("mu", "sigma", "q"))

    def _worked_out(self, mean: float, cv: float) -> tuple[float, float, float]:
        """Prentice's figures."""
        assert self.power is not None
        shape, scale = self.shape, self.scale
        if shape is None or scale is None:
            power = self.power
            shape = of_cv(cv, lambda order, shape: _log_gamma_step(shape, order / power), 1e-3, 1e8)
            scale = mean * math.exp(-_log_gamma_step(shape, 1 / power))
        q = shape**-0.5
        return math.log(scale) + math.log(shape) / self.power, q / self.power, q

    @property
    def tail_index(self) -> float:
        _, sigma, q = self._law
        return 1 / (sigma * -q) if q < -LEAST_Q else math.inf

    def sf(self, x: ArrayLike) -> Array:
        mu, sigma, q = self._law
        with np.errstate(divide="ignore", over="ignore"):
            w = (np.log(np.maximum(x, 0.0)) - mu) / sigma
            if abs(q) <= LEAST_Q:
                return special.ndtr(-w)
            above = special.gammaincc if q > 0 else special.gammainc
            return np.asarray(above(q**-2, q**-2 * np.exp(q * w)))

    def isf(self, s: ArrayLike) -> Array:
        mu, sigma, q = self._law
        s = np.asarray(s, float)
        if abs(q) <= LEAST_Q:
            return np.exp(mu - sigma * special.ndtri(s))
        above, below = (s, 1 - s) if q > 0 else (1 - s, s)
        with np.errstate(divide="ignore", over="ignore"):
            return np.exp(mu + sigma / q * (_log_gamma_quantile(q**-2, above, below) + 2 * math.log(abs(q))))


LEAST_Q = 1e-3
"""Nearer to 0 than this the lognormal is taken, since incomplete gammas of so large a shape cannot be inverted in
double precision. At sigma 1 the costliest user in a million then differs by 0.4%."""


def _log_gamma_step(shape: float, step: float) -> float:
    """log Γ(shape + step) − log Γ(shape)."""
    return float(special.gammaln(shape + step) - special.gammaln(shape))


def _log_gamma_quantile(shape: float, above: Array, below: Array) -> Array:
    """Logarithm of the gamma variable with these chances above and below it."""
    found = np.where(above < 0.5, special.gammainccinv(shape, above), special.gammaincinv(shape, below))
    # so near to 0 the chance below is a power of the variable, which may lie beyond a computer's numbers
    power = (np.log(below) + special.gammaln(shape + 1)) / shape
    return np.where(power < _TINY, power, np.log(found))


_TINY = -36.0


class GeneralizedBeta2(WithMeanAndCv):
    """Generalized beta of the second kind: (X / scale)^a is the odds of a beta(p, q) variable; its tail index is a·q.

    Burr XII at p = 1, Lomax at a = p = 1 (McDonald 1984, Econometrica 52:647).
    """

    family: Literal["gb2"] = "gb2"
    tail: Annotated[float, Field(strict=True, gt=2, allow_inf_nan=False)] | None = None
    """Tail index a·q, the third figure beside mean, cv and p; above 2, since the variance is given."""
    a: Positive | None = None
    p: Positive | None = None
    """Shape of the body: costs near 0 have the density of a power a·p − 1."""
    q: Positive | None = None
    scale: Positive | None = None
    """Money per year."""
    ways = (("mean", "cv", "tail", "p"), ("a", "p", "q", "scale"))
    index_figures = ("q", "tail")

    def _worked_out(self, mean: float, cv: float) -> tuple[float, float, float, float]:
        assert self.p is not None and self.tail is not None
        p, tail = self.p, self.tail
        a = of_cv(cv, lambda order, a: _log_gb2_moment(order, a, p, tail / a), 1e-2, 1e3)
        return a, p, tail / a, mean * math.exp(-_log_gb2_moment(1, a, p, tail / a))

    @property
    def tail_index(self) -> float:
        a, _, q, _ = self._law
        return a * q

    def sf(self, x: ArrayLike) -> Array:
        a, p, q, scale = self._law
        with np.errstate(divide="ignore"):
            log_odds = a * np.log(np.maximum(x, 0.0) / scale)
        small, large = special.betainc(q, p, special.expit(-log_odds)), special.betainc(p, q, special.expit(log_odds))
        return np.where(log_odds > 0, small, 1 - large)

    def isf(self, s: ArrayLike) -> Array:
        a, p, q, scale = self._law
        s = np.asarray(s, float)
        with np.errstate(divide="ignore", over="ignore"):
            low, high = _log_beta_quantile(p, q, 1 - s), _log_beta_quantile(q, p, s)
            log_odds = np.where(s > 0.5, low - np.log(-np.expm1(low)), np.log(-np.expm1(high)) - high)
            return scale * np.exp(log_odds / a)


def _log_gb2_moment(order: int, a: float, p: float, q: float) -> float:
    return _log_gamma_step(p, order / a) + _log_gamma_step(q, -order / a)


def _log_beta_quantile(p: float, q: float, below: Array) -> Array:
    """Logarithm of the beta(p, q) variable with this chance below it."""
    power = (np.log(below) + math.log(p) + float(special.betaln(p, q))) / p
    return np.where(power < _TINY, power, np.log(special.betaincinv(p, q, below)))
