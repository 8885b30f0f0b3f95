"""Densities of the two general families, parametrised to avoid likelihood ridges at their special cases.

Both have the two functions that a fit needs, `logpdf` and `logsf`, with the names that scipy's families give them.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Array = NDArray[np.float64]

_NEAR = 0.05  # so near to q = 0 series are taken, where differences would be rounding
_LOGNORMAL = 1e-5


class PrenticeGamma:
    """Generalized gamma by Prentice's figures (1974, Biometrika 61:539): the lognormal lies inside, at q = 0."""

    @staticmethod
    def logpdf(x: ArrayLike, mu: float, sigma: float, q: float) -> Array:
        log_x = np.log(x)
        w = (log_x - mu) / sigma
        return _log_constant(q) - w * w * _curvature(q * w) - math.log(sigma) - log_x

    @staticmethod
    def logsf(x: ArrayLike, mu: float, sigma: float, q: float) -> Array:
        w = (np.log(x) - mu) / sigma
        if abs(q) < _LOGNORMAL:
            return np.asarray(special.log_ndtr(-w))
        above = special.gammaincc if q > 0 else special.gammainc
        return np.log(above(q**-2, q**-2 * np.exp(q * w)))


def _log_constant(q: float) -> float:
    """log |q| + a·log a − a − log Γ(a) with a = q⁻²; by Stirling's series near 0."""
    if abs(q) < _NEAR:
        return -0.5 * math.log(2 * math.pi) - q**2 / 12 + q**6 / 360
    a = q**-2
    return math.log(abs(q)) + a * math.log(a) - a - math.lgamma(a)


def _curvature(z: Array) -> Array:
    """(exp(z) − 1 − z) / z²."""
    near = np.abs(z) < _NEAR
    far = np.where(near, 1.0, z)
    series = 0.5 + z * (1 / 6 + z * (1 / 24 + z * (1 / 120 + z * (1 / 720 + z / 5_040))))
    return np.where(near, series, (np.expm1(far) - far) / far**2)


class BetaPrimePower:
    """Generalized beta of the second kind (McDonald 1984, Econometrica 52:647)."""

    @staticmethod
    def logpdf(x: ArrayLike, a: float, p: float, q: float, scale: float) -> Array:
        log_odds = a * np.log(np.asarray(x, float) / scale)
        constant = math.log(a) - float(special.betaln(p, q))
        return constant + p * log_odds - np.log(x) - (p + q) * np.logaddexp(0.0, log_odds)

    @staticmethod
    def logsf(x: ArrayLike, a: float, p: float, q: float, scale: float) -> Array:
        log_odds = a * np.log(np.asarray(x, float) / scale)
        return np.log(special.betainc(q, p, special.expit(-log_odds)))
