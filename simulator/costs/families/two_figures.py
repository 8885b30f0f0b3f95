"""Families of two figures whose moments are all finite."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ...terms import Number, Positive
from .base import Array, WithMeanAndCv, of_cv


class Lognormal(WithMeanAndCv):
    """log X is normal."""

    family: Literal["lognormal"] = "lognormal"
    mu: Number | None = None
    """Mean of the logarithm of cost."""
    sigma: Positive | None = None
    """Standard deviation of the logarithm of cost."""
    ways = (("mean", "cv"), ("mu", "sigma"))

    def _worked_out(self, mean: float, cv: float) -> tuple[float, float]:
        variance = math.log1p(cv**2)
        return math.log(mean) - variance / 2, math.sqrt(variance)

    def sf(self, x: ArrayLike) -> Array:
        mu, sigma = self._law
        with np.errstate(divide="ignore", invalid="ignore"):
            return special.ndtr((mu - np.log(np.maximum(x, 0.0))) / sigma)

    def isf(self, s: ArrayLike) -> Array:
        mu, sigma = self._law
        return np.exp(mu - sigma * special.ndtri(np.asarray(s, float)))


class Gamma(WithMeanAndCv):
    """Gamma: a light tail."""

    family: Literal["gamma"] = "gamma"
    shape: Positive | None = None
    scale: Positive | None = None
    """Money per year."""
    ways = (("mean", "cv"), ("shape", "scale"))

    def _worked_out(self, mean: float, cv: float) -> tuple[float, float]:
        return cv**-2, mean * cv**2

    def sf(self, x: ArrayLike) -> Array:
        shape, scale = self._law
        return special.gammaincc(shape, np.maximum(np.asarray(x, float), 0.0) / scale)

    def isf(self, s: ArrayLike) -> Array:
        shape, scale = self._law
        s = np.asarray(s, float)
        return scale * np.where(s > 0.5, special.gammaincinv(shape, 1 - s), special.gammainccinv(shape, s))


class Weibull(WithMeanAndCv):
    """Weibull: a tail between exponential (shape 1) and lognormal (shape towards 0)."""

    family: Literal["weibull"] = "weibull"
    shape: Positive | None = None
    scale: Positive | None = None
    """Money per year."""
    ways = (("mean", "cv"), ("shape", "scale"))

    def _worked_out(self, mean: float, cv: float) -> tuple[float, float]:
        def log_moment(order: int, shape: float) -> float:
            return float(special.gammaln(1 + order / shape))

        shape = of_cv(cv, log_moment, 0.02, 1e4)
        return shape, mean * math.exp(-log_moment(1, shape))

    def sf(self, x: ArrayLike) -> Array:
        shape, scale = self._law
        with np.errstate(over="ignore"):
            return np.exp(-((np.maximum(x, 0.0) / scale) ** shape))

    def isf(self, s: ArrayLike) -> Array:
        shape, scale = self._law
        return scale * (-np.log(s)) ** (1 / shape)
