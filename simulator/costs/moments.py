"""Exact moments of a population's cost under an exclusion rule: what every simulated mean and sd is checked against.

A person's kept cost is a piecewise linear function of his cost, so its moments are sums of the family's partial
moments; a population's cumulants are sums over people; a common shock is integrated out at the end. No draws, and
nothing of the tables: what is compared with a simulation shares only the families with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .model import SHOCK_BOUND, CostModel, head_counts
from .quadrature import ORDERS, Moments

Array = NDArray[np.float64]

Layer = tuple[Array, float, float]
"""Threshold of each stream in money, share of the excess removed above it, share of the whole patient removed."""

_SHOCK_NODES = 48


class TotalMoments(NamedTuple):
    """Of a population's total; each of the shape of the populations asked for."""

    mean: Array
    """Money."""
    sd: Array
    """Money; infinite where a family's variance is."""
    skewness: Array
    excess_kurtosis: Array


class Exact:
    """Exact moments of one cost model, with the families' integrals prepared once.

    Parameters
    ----------
    model : CostModel
    """

    def __init__(self, model: CostModel) -> None:
        self.model = model
        self._moments = [Moments(stream.severity) for stream in model.streams]
        self.factors, self.weights = shock_nodes(model)

    def total(self, heads: NDArray[np.int64], layers: Sequence[Layer], in_scope: bool = True) -> TotalMoments:
        """Moments of the cost that a rule keeps.

        Parameters
        ----------
        heads : ndarray of int, shape (population, segment)
            People by segment; where the case mix is drawn, only their sum counts.
        layers : sequence of Layer
            The rule; empty for gross cost.
        in_scope : bool
            Whether to total what the budget pays for, or the rare services that are out of scope.
        """
        per_user = np.stack([self._kept(s, layers) for s in range(len(self._moments))])
        return _over_shocks(self._cumulants(heads, per_user, in_scope), self.weights)

    def n_above(self, heads: NDArray[np.int64], amounts: Array) -> tuple[Array, Array]:
        """Mean and sd of the number of patients above the thresholds, each (population,)."""
        chance = [np.array([m.severity.sf(amounts[s] / f) for f in self.factors]) for s, m in enumerate(self._moments)]
        per_user = np.stack([np.where(ORDERS == 0, 1.0, c[:, None]) for c in chance])
        found = _over_shocks(self._cumulants(heads, per_user, True), self.weights)
        return found.mean, found.sd

    def _kept(self, stream: int, layers: Sequence[Layer]) -> Array:
        """E[g(λX)ᵏ] of one user, shape (factor, 5)."""
        return np.stack([_kept_moments(self._moments[stream], stream, layers, f) for f in self.factors])

    def _cumulants(self, heads: NDArray[np.int64], per_user: Array, in_scope: bool) -> Array:
        """Cumulants of the total given the shock, shape (4, population, factor)."""
        streams, segments = self.model.streams, heads.shape[1]
        people = heads.sum(axis=1).astype(float)
        rates = np.array([stream.rate for stream in streams])
        per_head = rates[:, None, None] * per_user[:, :, 1:]
        total = np.zeros((4, heads.shape[0], self.factors.size))
        if in_scope and self.model.sampled:
            for shares, drawn in self._case_mixes(heads):
                mixed = np.tensordot(shares, per_head[:segments], axes=1)
                total[:, drawn > 0] += _cumulants_of(mixed)[:, None, :] * drawn[drawn > 0, None]
        elif in_scope:
            by_segment = _cumulants_of(per_head[:segments])
            total += np.einsum("ns,ksf->knf", heads.astype(float), np.where(np.isinf(by_segment), 0.0, by_segment))
            infinite = np.asarray(np.isinf(by_segment).any(axis=1))
            total[np.broadcast_to(infinite[:, None, :], total.shape)] = np.inf
        for s in range(segments, len(streams)):
            if streams[s].in_scope == in_scope:
                total += people[None, :, None] * per_head[s].T[:, None, :]
        return total

    def _case_mixes(self, heads: NDArray[np.int64]) -> Iterator[tuple[Array, Array]]:
        """Shares of the segments, and people of each population who are drawn by them."""
        units = self.model.population.units
        if all(unit.shares is None for unit in units):
            yield self.model.shares, heads.sum(axis=1).astype(float)
            return
        counts = [tuple(head_counts(unit.members, self.model.unit_shares(unit)).tolist()) for unit in units]
        for place, row in enumerate(heads.tolist()):
            # a row that is no unit is the total of them all
            parts = [counts.index(tuple(row))] if tuple(row) in counts else range(len(units))
            for unit in (units[part] for part in parts):
                drawn = np.zeros(heads.shape[0])
                drawn[place] = unit.members
                yield self.model.unit_shares(unit), drawn


def shock_nodes(model: CostModel) -> tuple[Array, Array]:
    """Factors and weights that integrate a function of the product of all shocks; weights add up to 1, mean is 1."""
    if not model.shocks:
        return np.ones(1), np.ones(1)
    nodes, weights = np.polynomial.legendre.leggauss(_SHOCK_NODES)
    score = SHOCK_BOUND * nodes
    weights = weights * np.exp(-(score**2) / 2)
    # several truncated normals add up to one but for some 1e-9 of probability
    sigma = float(np.sqrt(sum(shock.sigma**2 for shock in model.shocks)))
    factors = np.exp(sigma * score)
    weights /= weights.sum()
    return factors / float(weights @ factors), weights


def _kept_moments(moments: Moments, stream: int, layers: Sequence[Layer], factor: float) -> Array:
    steps = sorted((float(at[stream]), excess, whole) for at, excess, whole in layers if np.isfinite(at[stream]))
    edges = [0.0, *(at / factor for at, _, _ in steps), np.inf]
    slope, intercept = 1.0, 0.0
    kept = np.zeros(ORDERS.size)
    for position, (low, high) in enumerate(pairwise(edges)):
        if position:
            at, excess, whole = steps[position - 1]
            slope, intercept = slope - excess - whole, intercept + excess * at
            slope = 0.0 if abs(slope) < 1e-12 else slope
        if low == 0.0:
            piece = moments.below(high) if np.isfinite(high) else moments.raw
        elif np.isinf(high):
            piece = moments.above(low)
        else:
            piece = moments.below(high) - moments.below(low)
        kept += _linear_moments(piece, slope * factor, intercept)
    return kept


def _linear_moments(partial: Array, slope: float, intercept: float) -> Array:
    """∫ (intercept + slope·x)ᵏ over a piece, k = 0 … 4, from its partial moments."""
    if slope == 0.0:
        return np.asarray(intercept**ORDERS * partial[0])
    if intercept == 0.0:
        return np.asarray(slope**ORDERS * partial)
    return np.array(
        [sum(special.comb(k, j) * intercept ** (k - j) * slope**j * partial[j] for j in range(k + 1)) for k in ORDERS]
    )


def _cumulants_of(raw: Array) -> Array:
    """First four cumulants, shape (4, …), from raw moments 1 … 4 along the last axis."""
    m1, m2, m3, m4 = np.moveaxis(raw, -1, 0)
    with np.errstate(invalid="ignore"):
        k2 = m2 - m1**2
        k3 = m3 - 3 * m1 * m2 + 2 * m1**3
        k4 = m4 - 4 * m1 * m3 - 3 * m2**2 + 12 * m1**2 * m2 - 6 * m1**4
    return np.stack(
        [m1, np.where(np.isinf(m2), np.inf, k2), np.where(np.isinf(m3), np.inf, k3), np.where(np.isinf(m4), np.inf, k4)]
    )


def _over_shocks(cumulants: Array, weights: Array) -> TotalMoments:
    """Moments of the total from its cumulants given the shock, shape (4, population, factor)."""
    k1, k2, k3, k4 = cumulants
    mean = k1 @ weights
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.where(np.isinf(k1), 0.0, k1 - mean[:, None])
        variance = (k2 + apart**2) @ weights
        third = (k3 + 3 * k2 * apart + apart**3) @ weights
        fourth = (k4 + 3 * k2**2 + 4 * k3 * apart + 6 * k2 * apart**2 + apart**4) @ weights
        skewness = np.where(np.isfinite(third), third / variance**1.5, np.inf)
        kurtosis = np.where(np.isfinite(fourth), fourth / variance**2 - 3, np.inf)
    return TotalMoments(mean, np.sqrt(variance), skewness, kurtosis)
