"""The whole law of a population's cost without draws: the characteristic function, inverted by a cosine series.

Given the common shock, people are independent, so the characteristic function of the total is a product over people;
the shock is integrated out in the frequency domain. The series is that of Fang and Oosterlee [1]_.

References
----------
.. [1] Fang, Oosterlee (2008), A novel pricing method for European options based on Fourier-cosine series expansions.
       SIAM J Sci Comput 31:826-848.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike, NDArray

from ..costs.model import CostModel, Stream
from ..costs.moments import shock_nodes
from ..costs.quadrature import integration_nodes

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]
Kept = Callable[[Array, int], Array]
"""What one patient's cost (after shocks) adds to the total, by stream: an exclusion rule."""

TAIL_MASS = 1e-8
"""Chance of a total beyond the series' range that is aimed at."""
_REACH = 9.0  # standard deviations that a normal total may stray
_FADED = 1e-9  # of the last terms of a series that is long enough
_MOST_TERMS = 16_384
_SHOCK_DEGREE = 11
_CHUNK = 1 << 21  # complex numbers held at a time


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
    """

    low: float
    high: float
    terms: Array
    mean: float
    beyond: float

    def cdf(self, x: ArrayLike) -> Array:
        """P(total ≤ x)."""
        z, frequency = self._at(x)
        rest = np.sin(z[..., None] * frequency[1:]) / frequency[1:] @ self.terms[1:]
        return np.asarray(np.clip(self.terms[0] * z + rest, 0.0, 1.0))

    def shortfall(self, x: ArrayLike) -> Array:
        """E[max(x − total, 0)], money."""
        z, frequency = self._at(x)
        rest = (1 - np.cos(z[..., None] * frequency[1:])) / frequency[1:] ** 2 @ self.terms[1:]
        return (self.terms[0] * z**2 / 2 + rest) * (self.high - self.low) + np.maximum(np.asarray(x) - self.high, 0.0)

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


def law(
    model: CostModel, heads: NDArray[np.int64], kept: Kept, breaks: Array, mean: float, sd: float, in_scope: bool = True
) -> Law:
    """The distribution of the total that a rule keeps.

    Parameters
    ----------
    model : CostModel
    heads : ndarray of int, shape (segment,)
        People; where the case mix is drawn, only their sum counts.
    kept : callable (cost after shocks, stream) -> kept cost
    breaks : ndarray, shape (stream, threshold)
        Costs after shocks at which `kept` has a kink or a jump; infinite ones are left out.
    mean, sd : float
        Exact moments of the total, money.
    in_scope : bool
        Whether to total what the budget pays for, or the rare services that are out of scope.
    """
    low, high, beyond = _range(model, heads, kept, mean, sd, model.largest_factor)
    reach = mean * (model.largest_factor - 1)
    count = int(min(max(64, 1.1 * _REACH * (high - low) / (np.pi * sd)), _MOST_TERMS))
    while True:
        frequency = np.pi * np.arange(count, dtype=float) / (high - low)
        factors, weights = shock_nodes(model, phase=float(frequency[-1]) * reach)
        characteristic = _characteristic(model, heads, kept, breaks, frequency, factors, weights, in_scope)
        # few people, or one cost that dwarfs all others: the law is far from normal, and its series longer
        unfaded = float(np.abs(characteristic[-max(8, count // 16) :]).max())
        if unfaded < _FADED or count >= _MOST_TERMS:
            break
        count = min(2 * count, _MOST_TERMS)
    terms = 2 * np.real(characteristic * np.exp(-1j * frequency * low))
    terms[0] /= 2
    beyond = max(beyond, unfaded)
    return Law(low, high, terms, mean, beyond)


def _range(
    model: CostModel, heads: NDArray[np.int64], kept: Kept, mean: float, sd: float, factor: float
) -> tuple[float, float, float]:
    """Bounds of the series and the chance of a total outside them."""
    people = float(heads.sum())

    def expected_beyond(excess: float) -> float:
        chance = 0.0
        for s, stream in enumerate(model.streams):
            largest = float(kept(np.array([1e300]), s)[0])
            if not stream.in_scope or largest <= excess:
                continue
            share = (
                float(heads[s])
                if s < heads.size and not model.sampled
                else people * (model.shares[s] if s < heads.size else 1.0)
            )
            chance += share * stream.rate * float(stream.severity.sf(excess / factor))
        return chance

    reach = _REACH * sd
    # one patient far beyond all others is how a heavy tail reaches far: a total beyond needs one of that size
    while expected_beyond(reach - _REACH * sd / 2) > TAIL_MASS and reach < 2_000 * sd:
        reach *= 1.15
    return max(mean - _REACH * sd, 0.0), mean + reach, max(expected_beyond(reach - _REACH * sd / 2), 1e-12)


def _characteristic(
    model: CostModel,
    heads: NDArray[np.int64],
    kept: Kept,
    breaks: Array,
    frequency: Array,
    factors: Array,
    weights: Array,
    in_scope: bool,
) -> Complex:
    """E[exp(i·t·total)] at each frequency."""
    if factors.size == 1:
        return np.exp(_log_characteristic(model, heads, kept, breaks, frequency, 1.0, in_scope))
    # the logarithm is smooth in the factor, so a polynomial carries it from few factors to all
    points = chebyshev.chebpts2(_SHOCK_DEGREE + 1)
    middle, half = (factors.max() + factors.min()) / 2, (factors.max() - factors.min()) / 2
    logs = np.stack(
        [_log_characteristic(model, heads, kept, breaks, frequency, middle + half * x, in_scope) for x in points]
    )
    fitted = np.linalg.solve(chebyshev.chebvander(points, _SHOCK_DEGREE), logs)
    return np.asarray(weights @ np.exp(chebyshev.chebvander((factors - middle) / half, _SHOCK_DEGREE) @ fitted))


def _log_characteristic(
    model: CostModel,
    heads: NDArray[np.int64],
    kept: Kept,
    breaks: Array,
    frequency: Array,
    factor: float,
    in_scope: bool,
) -> Complex:
    """log E[exp(i·t·total)] given the shock. Branches do not matter: heads are whole numbers."""
    people = float(heads.sum())
    segments = [np.zeros(frequency.size, complex) for _ in model.shares]
    total = np.zeros(frequency.size, complex)
    for s, stream in enumerate(model.streams):
        if stream.in_scope != in_scope:
            continue
        change = stream.rate * _per_user(stream, s, kept, breaks[s], frequency, factor)
        if stream.is_segment:
            segments[s] = change
        else:
            total += people * change
    if model.sampled:
        for shares, drawn in model.case_mixes(heads):
            total += drawn * np.log1p(np.tensordot(shares, segments, axes=1))
    else:
        total += sum(n * np.log1p(change) for n, change in zip(heads, segments, strict=True))
    return total


def _per_user(stream: Stream, s: int, kept: Kept, breaks: Array, frequency: Array, factor: float) -> Complex:
    """E[exp(i·t·kept)] − 1 of one user."""
    finite = breaks[np.isfinite(breaks)] / factor
    cost, weight = integration_nodes(stream.severity, finite)
    amount = kept(cost * factor, s)
    found = np.empty(frequency.size, complex)
    step = max(1, _CHUNK // cost.size)
    for start in range(0, frequency.size, step):
        angle = frequency[start : start + step, None] * amount
        # cos − 1 written without cancellation
        found[start : start + step] = (-2 * np.sin(angle / 2) ** 2) @ weight + 1j * (np.sin(angle) @ weight)
    return found
