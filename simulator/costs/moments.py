"""Exact moments of a population's cost under an exclusion rule: what every simulated mean and sd is checked against.

A person's kept cost is a piecewise linear function of his cost, so its moments are sums of the family's partial
moments; a population's cumulants are sums over people; common shocks are integrated out at the end. No draws, and
nothing of the tables: what is compared with a simulation shares only the families with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .model import CostModel
from .quadrature import ORDERS, Array, Moments
from .shock_nodes import ShockNodes, joint_nodes

Layer = tuple[Array, float, float]
"""Threshold of each stream in money, share of the excess removed above it, share of the whole patient removed."""


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

    A model with parameter sets is an equal mixture of its truths. `nodes` are points of the streams' factors, where
    others than those of the model's shocks are asked for. `heads` are people by segment in year 1, or, where `settled`,
    in the year itself.
    """

    def __init__(
        self, model: CostModel, nodes: ShockNodes | None = None, year: int | None = None, settled: bool = False
    ) -> None:
        self.model, joint, trend = model, model.joint_shocks, 1.0
        self._truths = (
            [Exact(truth, nodes, year, settled) for truth in model.truths] if model.population.parameter_sets else []
        )
        self._streams, self._laws = model.streams, np.eye(model.shares.size)[None]
        if year is not None:  # people of a segment in year 1 are then in states
            years = model.by_year
            laws, trend = years.laws_in(1 if settled else year), years.trend[years.years.index(year)]
            self._streams, self._laws = years.streams, laws
            joint = joint.in_year(year).repeated(years.repeats)
        self._moments = [stream.severity.moments for stream in self._streams]
        self._rates = np.array([stream.rate for stream in self._streams])
        atoms = any(stream.severity.has_atoms for stream in self._streams)
        self._own: Array | None = None
        """Weights of the nodes of shocks that are each unit's own, which vary fastest; None where there are none."""
        if nodes is None and model.has_own_shocks:
            common, own = (joint_nodes(joint.only(part), steps=atoms) for part in (~joint.per_unit, joint.per_unit))
            factors = (common.factors[:, None] * own.factors).reshape(-1, len(self._streams))
            nodes, self._own = ShockNodes(factors, np.outer(common.weights, own.weights).ravel(), False), own.weights
        factors, self.weights, _ = nodes or joint_nodes(joint, steps=atoms)
        self.factors = factors if year is None else factors * trend

    def total(self, heads: NDArray[np.int64], layers: Sequence[Layer], in_scope: bool = True) -> TotalMoments:
        """Moments of the cost that a rule keeps."""
        if self._truths:
            return mixture([truth.total(heads, layers, in_scope) for truth in self._truths])
        return self._over_shocks(lambda rows: self.given_shocks(rows, layers, in_scope), heads)

    def _over_shocks(self, given: Callable[[NDArray[np.int64]], Array], heads: NDArray[np.int64]) -> TotalMoments:
        """Moments of a total from its cumulants given the shocks; of all units', over the shocks of each unit first."""
        if self._own is None or len(heads) > 1 or not np.array_equal(heads[0], self.model.unit_heads.sum(axis=0)):
            return _moments_of(_central_over(given(heads), self.weights))
        cumulants = given(self.model.unit_heads)
        by_unit = _central_over(cumulants.reshape(*cumulants.shape[:2], -1, self._own.size), self._own)
        by_unit[3] -= 3 * by_unit[1] ** 2
        weights = self.weights.reshape(-1, self._own.size).sum(axis=1)
        return _moments_of(_central_over(by_unit.sum(axis=1, keepdims=True), weights))

    def given_shocks(self, heads: NDArray[np.int64], layers: Sequence[Layer], in_scope: bool = True) -> Array:
        """First four cumulants of the cost that a rule keeps, given the shocks; shape (4, population, node)."""
        per_user = np.stack([self._kept(s, layers) for s in range(len(self._moments))])
        return self._cumulants(heads, per_user, in_scope)

    def mean_per_head(self, layers: Sequence[Layer]) -> Array:
        """Expected cost a head that a rule keeps of each stream, given the shocks; shape (stream, node)."""
        return np.stack([self._kept(s, layers)[:, 1] for s in range(len(self._moments))]) * self._rates[:, None]

    def above_per_head(self, amounts: Array) -> Array:
        """Expected patients a head above each stream's threshold, given the shocks; shape (stream, node)."""
        return self._chances(amounts) * self._rates[:, None]

    def _chances(self, amounts: Array) -> Array:
        """Chance of a user above each stream's threshold, given the shocks; shape (stream, node)."""
        return np.stack([m.severity.sf(amounts[s] / self.factors[:, s]) for s, m in enumerate(self._moments)])

    def sources(self, heads: NDArray[np.int64], layers: Sequence[Layer]) -> tuple[Array, Array, Array]:
        """Mean of what a rule keeps, its variance given the shocks on average, and the variance of its mean given them.

        Each (population,); of a model without parameter sets.
        """
        if self._own is None:
            mean_given, variance_given, _, _ = self.given_shocks(heads, layers)
            mean = mean_given @ self.weights
            return mean, variance_given @ self.weights, (mean_given - mean[:, None]) ** 2 @ self.weights
        mean_alone = np.array([1.0, 0.0, 0.0, 0.0])[:, None, None]
        whole = self.total(heads, layers)
        apart = self._over_shocks(lambda rows: self.given_shocks(rows, layers) * mean_alone, heads).sd ** 2
        return whole.mean, whole.sd**2 - apart, apart

    def count_above(self, heads: NDArray[np.int64], amounts: Array) -> TotalMoments:
        """Moments of the number of patients above the thresholds."""
        if self._truths:
            return mixture([truth.count_above(heads, amounts) for truth in self._truths])
        per_user = np.where(ORDERS == 0, 1.0, self._chances(amounts)[..., None])
        return self._over_shocks(lambda rows: self._cumulants(rows, per_user, True), heads)

    def _kept(self, stream: int, layers: Sequence[Layer]) -> Array:
        """E[g(λX)ᵏ] of one user, shape (node, 5)."""
        factors, back = np.unique(self.factors[:, stream], return_inverse=True)
        steps = sorted((float(at[stream]), excess, whole) for at, excess, whole in layers if np.isfinite(at[stream]))
        return _kept_moments(self._moments[stream], tuple(steps), factors.tobytes()).T[back]

    def _cumulants(self, heads: NDArray[np.int64], per_user: Array, in_scope: bool) -> Array:
        """Cumulants of the total given the shocks, shape (4, population, node)."""
        if len(self._laws) > 1 and len(heads) == 1:  # all units', each of which has its own laws
            return self._cumulants(self.model.unit_heads, per_user, in_scope).sum(axis=1, keepdims=True)
        streams, segments = self._streams, heads.shape[1]
        people = heads.sum(axis=1).astype(float)
        per_head = self._rates[:, None, None] * per_user[:, :, 1:]
        total = np.zeros((4, heads.shape[0], self.weights.size))
        if streams is not self.model.streams:
            return self._of_states(heads, per_head, in_scope)
        if in_scope and self.model.sampled:
            for place, row in enumerate(heads):
                for shares, drawn in self.model.case_mixes(row):
                    total[:, place] += drawn * _cumulants_of(np.tensordot(shares, per_head[:segments], axes=1))
        elif in_scope:
            by_segment = _cumulants_of(per_head[:segments])
            total += np.einsum("ns,ksf->knf", heads.astype(float), np.where(np.isinf(by_segment), 0.0, by_segment))
            infinite = np.asarray(np.isinf(by_segment).any(axis=1))
            total[np.broadcast_to(infinite[:, None, :], total.shape)] = np.inf
        for s in range(segments, len(streams)):
            if streams[s].in_scope == in_scope:
                total += people[None, :, None] * per_head[s].T[:, None, :]
        return total

    def _of_states(self, heads: NDArray[np.int64], per_head: Array, in_scope: bool) -> Array:
        """The same where each person of a segment is in one of several states, by its law."""
        total = np.zeros((4, heads.shape[0], self.weights.size))
        segments, states = self._laws.shape[1:]
        alike = [np.tensordot(law, per_head[:states], axes=1) for law in self._laws]
        cumulants = [_cumulants_of(of_people) for of_people in alike]
        for place, row in enumerate(heads):
            unit = place if len(self._laws) > 1 else 0
            mixes = self.model.case_mixes(row) if self.model.sampled else []
            for shares, drawn in mixes if in_scope else ():
                total[:, place] += drawn * _cumulants_of(np.tensordot(shares, alike[unit], axes=1))
            for h in range(segments if in_scope and not mixes else 0):
                total[:, place] += row[h] * cumulants[unit][:, h] if row[h] else 0.0
            for s in range(states, len(self._streams)):
                if self._streams[s].in_scope == in_scope:
                    total[:, place] += row.sum() * per_head[s].T
        return total


def mixture(parts: Sequence[TotalMoments], counts: Array | None = None) -> TotalMoments:
    """Moments of a mixture of laws, equally likely or in proportion to `counts`."""
    if len(parts) == 1:
        return parts[0]
    weight = np.ones(len(parts)) if counts is None else counts
    weight = weight / weight.sum()
    mean, sd, skewness, kurtosis = (np.stack(moment) for moment in zip(*parts, strict=True))
    # cumulants given the law, with the laws where shocks have their nodes
    with np.errstate(invalid="ignore"):
        given = np.stack([mean, sd**2, skewness * sd**3, kurtosis * sd**4])
    return _moments_of(_central_over(np.moveaxis(given, 1, -1), weight))


def removed_layers(layers: Sequence[Layer]) -> list[Layer]:
    """Layers that keep what a rule removes: everything goes at 0, and what the rule takes comes back."""
    if not layers:
        return []
    nothing_kept: Layer = (np.zeros_like(layers[0][0]), 1.0, 0.0)
    return [nothing_kept, *((at, -excess, -whole) for at, excess, whole in layers)]


def gross_per_head(model: CostModel) -> Array:
    """Expected cost in scope of each stream for one head of the population, money; shape (stream,)."""
    heads = np.array([*model.shares, *[1.0] * (len(model.streams) - model.shares.size)])
    means = [stream.rate * stream.severity.moments.raw[1] * stream.in_scope for stream in model.streams]
    return np.asarray(heads * means)


@lru_cache(maxsize=128)  # one user is the same in populations of any size
def _kept_moments(moments: Moments, steps: tuple[tuple[float, float, float], ...], nodes: bytes) -> Array:
    """E[g(λX)ᵏ] of one user for each factor λ, shape (5, factor)."""
    factors = np.frombuffer(nodes)
    slope, intercept, below = 1.0, 0.0, np.zeros((ORDERS.size, factors.size))
    kept = np.zeros((ORDERS.size, factors.size))
    for at, excess, whole in steps:
        up_to = moments.below(at / factors)
        kept += _linear_moments(up_to - below, slope * factors, intercept)
        slope, intercept, below = slope - excess - whole, intercept + excess * at, up_to
        slope = 0.0 if abs(slope) < 1e-12 else slope
    above = moments.above(steps[-1][0] / factors) if steps else np.repeat(moments.raw[:, None], factors.size, axis=1)
    return kept + _linear_moments(above, slope * factors, intercept)


def _linear_moments(partial: Array, slope: Array, intercept: float) -> Array:
    """∫ (intercept + slope·x)ᵏ over a piece, k = 0 … 4 and each slope, from its partial moments, shape (5, slope)."""
    if not slope.any():
        return np.asarray(intercept ** ORDERS[:, None] * partial[0])
    if intercept == 0.0:
        return np.asarray(slope ** ORDERS[:, None] * partial)

    def moment(k: Any) -> Array:
        return sum(special.comb(k, j) * intercept ** (k - j) * slope**j * partial[j] for j in range(k + 1))

    with np.errstate(invalid="ignore"):
        found = np.array([moment(k) for k in ORDERS])
    # where a lower moment is infinite too, the signs of the terms say nothing
    return np.where(np.isinf(partial), np.inf, found)


def _cumulants_of(raw: Array) -> Array:
    """First four cumulants, shape (4, …), from raw moments 1 … 4 along the last axis."""
    m1, m2, m3, m4 = np.moveaxis(raw, -1, 0)
    with np.errstate(invalid="ignore"):
        k2 = m2 - m1**2
        k3 = m3 - 3 * m1 * m2 + 2 * m1**3
        k4 = m4 - 4 * m1 * m3 - 3 * m2**2 + 12 * m1**2 * m2 - 6 * m1**4
    higher = [np.where(np.isinf(m), np.inf, k) for m, k in ((m2, k2), (m3, k3), (m4, k4))]
    return np.stack([m1, *higher])


def _central_over(cumulants: Array, weights: Array) -> Array:
    """Mean and central moments of the total, (4, population …), from cumulants given the shocks, (4, …, node)."""
    k1, k2, k3, k4 = cumulants
    mean = k1 @ weights
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.where(np.isinf(k1), 0.0, k1 - mean[..., None])
        variance = np.maximum((k2 + apart**2) @ weights, 0.0)  # rounding may leave less than nothing
        third = (k3 + 3 * k2 * apart + apart**3) @ weights
        fourth = (k4 + 3 * k2**2 + 4 * k3 * apart + 6 * k2 * apart**2 + apart**4) @ weights
    return np.stack([mean, variance, third, fourth])


def _moments_of(central: Array) -> TotalMoments:
    mean, variance, third, fourth = central
    with np.errstate(invalid="ignore", divide="ignore"):
        skewness = np.where(np.isfinite(third), third / variance**1.5, np.inf)
        kurtosis = np.where(np.isfinite(fourth), fourth / variance**2 - 3, np.inf)
    return TotalMoments(mean, np.sqrt(variance), skewness, kurtosis)


def expected_draws(
    model: CostModel, heads: NDArray[np.int64], amounts: Array, year: int | None = None
) -> Mapping[str, Array]:
    """Exact means of a ledger's variables under each parameter set, for ledgers whose costs do not tell them."""
    sets = [_of_one(Exact(truth, year=year), heads, amounts) for truth in model.truths]
    return {name: np.stack([one[name] for one in sets]) for name in sets[0]}


def _of_one(exact: Exact, heads: NDArray[np.int64], amounts: Array) -> dict[str, Array]:
    gross = exact.total(heads, []).mean

    def removed(excess: float, whole: float) -> Array:
        return np.stack([gross - exact.total(heads, [(at, excess, whole)]).mean for at in amounts.T], axis=1)

    return {
        "gross_cost": gross,
        "excess_cost": removed(1.0, 0.0),
        "above_cost": removed(0.0, 1.0),
        "n_above": np.stack([exact.count_above(heads, at).mean for at in amounts.T], axis=1),
    }
