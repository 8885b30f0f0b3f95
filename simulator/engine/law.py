"""The distribution of one total: what lies on a lattice, and a cosine series of the density of the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .lattice import NO_LATTICE, Lattice

Array = NDArray[np.float64]

_CHUNK = 1 << 21  # sines held at a time
_ROUNDING = 1e-12  # of the range: a total so little above an argument counts as not exceeding it


@dataclass(frozen=True)
class Law:
    """The distribution of one total.

    Attributes
    ----------
    low, high : float
        Range of the series, money.
    terms : ndarray, shape (term,)
        Coefficients of the cosine series of the density.
    mean : float
        Exact, money.
    beyond : float
        Error of every probability read off: what may lie outside the range, and what the series leaves out.
    lattice : Lattice
        Totals with a chance of their own, which the series leaves out.
    tapered : bool
        Whether what the series leaves out is too much for one bound. Its terms are then Vaaler's [1]_, which lie within
        a known distance of the distribution function wherever that is asked for, whatever the terms left out.

    References
    ----------
    .. [1] Vaaler (1985), Some extremal functions in Fourier analysis. Bull AMS 12:183-216, theorem 18.
    """

    low: float
    high: float
    terms: Array
    mean: float
    beyond: float
    lattice: Lattice = NO_LATTICE
    tapered: bool = False

    def cdf(self, x: ArrayLike) -> Array:
        """P(total ≤ x)."""
        x = np.asarray(x, float)
        z, frequency = self._at(x)
        part = np.arange(1, self.terms.size) / self.terms.size
        taper = np.pi * part * ((1 - part) / np.tan(np.pi * part) + 1 / np.pi) if self.tapered else 1.0
        rest = _summed(np.sin, z, frequency[1:], taper * self.terms[1:] / frequency[1:])
        below = np.append(0.0, np.cumsum(self.lattice.chances))
        place = np.searchsorted(self.lattice.totals, x + _ROUNDING * (self.high - self.low), side="right")
        return np.asarray(np.clip(self.terms[0] * z + rest + below[place], 0.0, 1.0))

    def error(self, x: ArrayLike) -> Array:
        """Bound on the error of `cdf`."""
        z, frequency = self._at(x)
        if not self.tapered:
            return np.full(z.shape, self.beyond)
        fejer = (1 - np.arange(1, self.terms.size) / self.terms.size) * self.terms[1:]
        apart = (self.terms[0] + _summed(np.cos, z, frequency[1:], fejer)) / self.terms.size
        return np.minimum(self.beyond + np.maximum(apart, 0.0), 1.0)

    def shortfall(self, x: ArrayLike) -> Array:
        """E[max(x − total, 0)], money."""
        x = np.asarray(x, float)
        z, frequency = self._at(x)
        weights = self.terms[1:] / frequency[1:] ** 2
        rest = weights.sum() - _summed(np.cos, z, frequency[1:], weights)
        beyond = self.terms[0] * np.maximum(x - self.high, 0.0)
        return (self.terms[0] * z**2 / 2 + rest) * (self.high - self.low) + beyond + self._lattice_shortfall(x)

    def _lattice_shortfall(self, x: Array) -> Array:
        totals, chances = self.lattice
        place = np.searchsorted(totals, x, side="right")
        below, paid = np.append(0.0, np.cumsum(chances))[place], np.append(0.0, np.cumsum(chances * totals))[place]
        return np.asarray(x * below - paid)

    def stop_loss(self, x: ArrayLike) -> Array:
        """E[max(total − x, 0)], money; from the exact mean, so that nothing beyond the range is missed."""
        return np.maximum(self.mean - np.asarray(x) + self.shortfall(x), 0.0)

    def quantile(self, p: ArrayLike) -> Array:
        """The total that is not exceeded with probability p."""
        p = np.asarray(p, float)
        low, high = np.full(p.shape, self.low), np.full(p.shape, self.high)
        for _ in range(64):
            middle = (low + high) / 2
            below = self.cdf(middle) < p
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return (low + high) / 2

    def expect(self, payoff: Callable[[Array], Array], points: int = 20_001) -> float:
        """E[payoff(total)] for any payoff of the total; what lies outside the range is left out."""
        edges = np.linspace(self.low, self.high, points)
        return float(payoff((edges[:-1] + edges[1:]) / 2) @ np.diff(self.cdf(edges)))

    def _at(self, x: ArrayLike) -> tuple[Array, Array]:
        z = np.clip((np.asarray(x, float) - self.low) / (self.high - self.low), 0.0, 1.0)
        return z, np.pi * np.arange(self.terms.size, dtype=float)


def _summed(wave: Callable[[Array], Array], z: Array, frequency: Array, weights: Array) -> Array:
    """Σ weight · wave(frequency · z), a few points at a time."""
    flat = z.ravel()
    found = np.empty(flat.size)
    step = max(1, _CHUNK // max(frequency.size, 1))
    for start in range(0, flat.size, step):
        found[start : start + step] = wave(flat[start : start + step, None] * frequency) @ weights
    return found.reshape(z.shape)
