"""The sum of many body claims from its own law, so that drawing it costs the same however many they are.

The sum of m claims of one body table is m·mean + √m·sd·h(z, m) with z a standard normal score. From some number of
claims on, h − z is a smooth function of z and of v = √(least/m), which vanishes at v = 0 by the central limit theorem:
a polynomial in v whose coefficients are cubic splines in z. Its values come from the inverse of the distribution
function, a cosine series of φᵐ, where φ is the characteristic function of the table that single claims are drawn from.

References
----------
.. [1] Fang, Oosterlee (2008), A novel pricing method for European options based on Fourier-cosine series expansions.
       SIAM J Sci Comput 31:826-848.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
import scipy
from numpy.polynomial import chebyshev, polynomial
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

FEWEST = 64
"""Claims below which drawing each is as quick as drawing their sum."""
MOST = 1 << 20
"""A law whose sums are not smooth from so many claims on has none."""
PIECES = 96
"""Pieces of the splines, over scores from −SCORES to SCORES; a straight line on either side."""
SCORES = 6.0
DEGREE = 7
"""Of the polynomial in v."""
_EXACT = 3e-8  # largest error of the distribution function at which sums are used
_BINS = 1 << 15
_FASTEST = 8.0  # highest frequency of one claim, in units of its standard deviation, that is looked at
_LEFT = 1e-9  # what φᵐ may be at higher frequencies
_BEYOND = 34.0  # minus the logarithm of the chance of sums outside the series' range


class Sums(NamedTuple):
    """What the kernel needs of the sums of one body table."""

    least: int
    """Claims from which on their sum is drawn; 0 where never."""
    line: Array
    """Of one claim mean, standard deviation, least and largest cost in money per year; then `least`; shape (5,)."""
    terms: Array
    """Shape (PIECES + 2, DEGREE, 4): powers of v from the first, and of z from the constant, from each piece's left."""


NONE = Sums(0, np.zeros(5), np.zeros((PIECES + 2, DEGREE, 4)))


def build(body: NDArray[np.uint64], unit: float) -> Sums:
    """Sums of the claims of a body table; `NONE` where they have no smooth law, as of a few values of cost.

    Parameters
    ----------
    body : ndarray of uint64, shape (1024,)
    unit : float
        Money per year; see `tables.Tables`.
    """
    return _built(body.tobytes(), unit)


@lru_cache(maxsize=64)
def _built(body: bytes, unit: float) -> Sums:
    law = Claim.of(np.frombuffer(body, np.uint64), unit)
    least = FEWEST
    while law is not None and least <= MOST:
        if law.smoothed(least):
            terms = _terms(law, least)
            if _worst(law, least, terms) <= _EXACT:
                return Sums(least, np.append(law.line, least), terms)
        least *= 2
    return NONE


class Claim:
    """The law of one claim of a body table, less its mean and over its standard deviation."""

    def __init__(self, middle: Array, half: Array, line: Array) -> None:
        self._middle, self._half = middle, half
        self.line = line
        self._grid, self._envelope = self._waning()
        self._tilts = np.exp2(np.arange(-14, 5))
        self._grown = {sign: self._log_growth(sign * self._tilts) for sign in (-1, 1)}
        self.skewness = float(np.mean(middle**3 + middle * half**2))

    @classmethod
    def of(cls, body: NDArray[np.uint64], unit: float) -> Claim | None:
        """The law of a table's cells; None where all claims cost the same."""
        floor = (body >> np.uint64(32)).astype(float) * unit
        width = (body & np.uint64(0xFFFFFFFF)).astype(float) * unit
        middle = floor + width * (0.5 - 2.0**-23)  # t goes in steps of 2⁻²² from 0
        mean = float(middle.mean())
        sd = math.sqrt(float(np.mean((middle - mean) ** 2) + np.mean(width**2) / 12))
        if sd <= 1e-6 * mean or mean == 0:
            return None
        line = np.array([mean, sd, float(floor.min()), float((floor + width).max())])
        return cls((middle - mean) / sd, width / (2 * sd), line)

    def smoothed(self, least: int) -> bool:
        """Whether sums of so many claims have a smooth law; then their characteristic function is made ready."""
        self.fastest = float(self._grid[np.argmax(self._envelope <= _LEFT ** (1 / least))])
        if not 0 < self.fastest <= _FASTEST or self.skewness**2 > least / 2:
            return False
        nodes = chebyshev.chebpts1(24 + math.ceil(0.6 * self.fastest * float(np.ptp(self._middle))))
        values = self._log_over_square(self.fastest * (nodes + 1) / 2)
        self._terms = np.asarray(to_terms(nodes.size) @ np.stack([values.real, values.imag], axis=1))
        return bool(np.abs(self._terms[-3:]).max() < 1e-10)

    def _waning(self) -> tuple[Array, Array]:
        """Frequencies, and a bound on the characteristic function at all frequencies from each on."""
        ends = np.stack([self._middle - self._half, self._middle + self._half], axis=1).ravel()
        chance = np.repeat(np.arange(self._middle.size + 1) / self._middle.size, 2)[1:-1]
        edges = np.linspace(ends.min(), ends.max(), _BINS + 1)
        mass = np.diff(np.interp(edges, np.maximum.accumulate(ends), chance), prepend=0.0)
        step = edges[1] - edges[0]
        seen = np.abs(np.fft.rfft(mass, 2 * _BINS)) / 0.9  # less than what bins, and looks between, may miss
        grid = np.pi / (_BINS * step) * np.arange(seen.size)
        last = int(np.searchsorted(grid, 1 / step))
        with np.errstate(divide="ignore"):
            beyond = float(np.mean(np.minimum(1.0, 1 / (grid[last] * self._half))))
        seen = np.append(seen[:last], beyond)
        return grid[: last + 1], np.maximum.accumulate(seen[::-1])[::-1]

    def _log_over_square(self, frequency: Array) -> Complex:
        """log φ(τ) / τ², without cancellation at small τ."""
        turn, blur = np.outer(frequency, self._middle), np.outer(frequency, self._half)
        small = blur < 0.3
        square = blur**2
        series = -square / 6 * (1 - square / 20 * (1 - square / 42))
        fading = np.where(small, series, np.sin(blur) / np.where(small, 1.0, blur) - 1)
        real = np.mean(-2 * np.sin(turn / 2) ** 2 * (1 + fading) + fading, axis=1)
        imaginary = np.mean(np.sin(turn) * (1 + fading), axis=1)
        size = np.log1p(2 * real + real**2 + imaginary**2) / 2
        return (size + 1j * np.unwrap(np.arctan2(imaginary, 1 + real))) / frequency**2

    def _log_growth(self, tilt: Array) -> Array:
        """The cumulant generating function."""
        lifted = np.outer(tilt, self._middle)
        spread = np.maximum(np.abs(np.outer(tilt, self._half)), 1e-9)
        most = lifted.max(axis=1)
        return most + np.log(np.mean(np.exp(lifted - most[:, None]) * np.sinh(spread) / spread, axis=1))

    def range_of(self, count: float) -> tuple[float, float]:
        """Where the standardised sum of so many claims lies but for a chance of 1e-15, by Chernoff's bound."""
        low, high = (
            sign * float(np.min((count * self._grown[sign] + _BEYOND) / (self._tilts * math.sqrt(count))))
            for sign in (-1, 1)
        )
        return low, high

    def transform(self, count: float, frequency: Array) -> Complex:
        """The characteristic function of the standardised sum of `count` claims."""
        place = 2 * (frequency / math.sqrt(count)) / self.fastest - 1
        parts = np.cos(np.outer(np.arccos(np.clip(place, -1.0, 1.0)), np.arange(self._terms.shape[0]))) @ self._terms
        return np.asarray(np.exp(frequency**2 * (parts[:, 0] + 1j * parts[:, 1])))


class Series:
    """Distribution function and density of the standardised sum of so many claims, a cosine series."""

    def __init__(self, law: Claim, count: float) -> None:
        self.low, self.high = law.range_of(count)
        step = np.pi / (self.high - self.low)
        most = math.floor(law.fastest * math.sqrt(count) / step)
        terms = min(most, math.ceil(12.0 / step))
        while True:
            self._frequency: Array = np.asarray(step * np.arange(1, terms + 1), np.float64)
            transform = law.transform(count, self._frequency)
            if terms == most or np.abs(transform[-terms // 8 :]).max() < 1e-16:
                break
            terms = min(most, 2 * terms)
        self._weight = (transform * np.exp(-1j * self._frequency * self.low)).real * (2 / (self.high - self.low))
        self._over = self._weight / self._frequency

    def __call__(self, at: Array) -> tuple[Array, Array]:
        """Distribution function and density."""
        once, width = np.exp(1j * self._frequency[0] * (at - self.low)), self.high - self.low
        turns = np.cumprod(np.broadcast_to(once[:, None], (at.size, self._weight.size)), axis=1)
        below = (at - self.low) / width + turns.imag @ self._over
        return below, 1 / width + turns.real @ self._weight

    def score(self, at: Array) -> tuple[Array, Array]:
        """The normal score of the distribution function, and its slope."""
        below, density = self(at)
        tiny = 1e-15
        left = special.ndtri(np.clip(below, tiny, 1.0))
        right = -special.ndtri(np.clip(1 - below, tiny, 1.0))
        score = np.where(below < 0.5, left, right)
        return score, np.maximum(density, tiny) / _normal(score)


def _normal(score: Array) -> Array:
    return np.asarray(np.exp(-(score**2) / 2) / math.sqrt(2 * math.pi))


@cache
def to_terms(length: int) -> Array:
    """What makes terms of Chebyshev polynomials of values at `chebpts1`."""
    weights = chebyshev.chebvander(chebyshev.chebpts1(length), length - 1) * (2 / length)
    weights[:, 0] /= 2
    return np.asarray(weights.T)


@cache
def _places() -> tuple[Array, Array, Array]:
    """Scores of the knots, values of v, and what makes coefficients of v of values there."""
    knots = np.linspace(-SCORES, SCORES, PIECES + 1)
    v = np.asarray((1 - np.cos(np.pi * np.arange(1, DEGREE + 1) / DEGREE)) / 2, np.float64)
    return knots, v, np.asarray(np.linalg.inv(polynomial.polyvander(v, DEGREE)[:, 1:]), np.float64)


def _terms(law: Claim, least: int) -> Array:
    knots, places, to_terms = _places()
    found = np.empty((DEGREE, knots.size))
    skewness = law.skewness / math.sqrt(least)
    for k, v in enumerate(places):
        slopes = found[:k] / places[:k, None]
        slope = slopes[-1] if k else skewness * (knots**2 - 1) / 6
        if k > 1:
            slope = slope + (slopes[-1] - slopes[-2]) * (v - places[k - 1]) / (places[k - 1] - places[k - 2])
        values = _inverse(Series(law, least / v**2), knots, knots + slope * v)
        found[k] = _standardised(values) - knots
    spline = scipy.interpolate.CubicSpline(knots, to_terms @ found, axis=1)
    inner = spline.c[::-1].transpose(1, 2, 0)  # piece, power of v, power of the score
    ends = [np.stack([spline(at), spline(at, 1), 0 * spline(at), 0 * spline(at)], axis=1) for at in knots[[0, -1]]]
    return np.ascontiguousarray(np.concatenate([ends[:1], inner, ends[1:]]))


def _inverse(series: Series, scores: Array, start: Array) -> Array:
    """Where the series has these normal scores, by Newton's steps in the score."""
    at = np.clip(start, series.low, series.high)
    for _ in range(40):
        score, slope = series.score(at)
        step = np.clip((scores - score) / slope, -1.0, 1.0)
        at = np.clip(at + step, series.low, series.high)
        if (np.abs(step) * _normal(scores)).max() < 1e-7:  # the next would be its square
            break
    return at


def _standardised(values: Array) -> Array:
    """Values at the knots, moved and stretched so that their spline has mean 0 and variance 1 over normal scores."""
    spread, weights = _over_scores()
    at = spread @ values
    mean = float(weights @ at)
    return np.asarray((values - mean) / math.sqrt(float(weights @ (at - mean) ** 2)))


@cache
def _over_scores() -> tuple[Array, Array]:
    """What makes values at normal scores of values at the knots, and the scores' weights: Gauss–Legendre by pieces."""
    knots = _places()[0]
    edges = np.concatenate([[-9.0, -7.5], knots, [7.5, 9.0]])
    x, w = np.polynomial.legendre.leggauss(5)
    half = np.diff(edges)[:, None] / 2
    nodes = (edges[:-1, None] + half * (1 + x)).ravel()
    weights = (half * w).ravel() * _normal(nodes)
    spline, inside = scipy.interpolate.CubicSpline(knots, np.eye(knots.size)), np.clip(nodes, -SCORES, SCORES)
    return spline(inside) + spline(inside, 1) * (nodes - inside)[:, None], weights / weights.sum()


def _worst(law: Claim, least: int, terms: Array) -> float:
    """The largest error of the distribution function between the values that the polynomial and splines meet."""
    knots, places, _ = _places()
    middle = (knots[:-1] + knots[1:]) / 2
    wrong = 0.0
    for v in ((places[-1] + places[-2]) / 2, (places[2] + places[3]) / 2):
        below, _ = Series(law, least / v**2)(quantile(terms, v, middle))
        wrong = max(wrong, float(np.abs(below - special.ndtr(middle)).max()))
    return wrong


def quantile(terms: Array, v: float, scores: Array) -> Array:
    """The standardised sum at normal scores, as the kernel has it."""
    step = 2 * SCORES / PIECES
    piece = np.clip(np.floor((scores + SCORES) / step), -1, PIECES).astype(int)
    t = scores - (np.maximum(piece, 0) * step - SCORES)
    found = np.zeros_like(scores)
    for k in range(DEGREE - 1, -1, -1):
        own = terms[piece + 1, k]
        found = (found + own[:, 0] + t * (own[:, 1] + t * (own[:, 2] + t * own[:, 3]))) * v
    return scores + found
