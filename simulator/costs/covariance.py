"""How the totals of several years move together: exact given the shocks, averaged over paths of their years.

With α the law of a place's state and m the expected cost in each,
Cov(Sₜ, Sᵤ) = Σₕ nₕ {(αₜ∘mₜ)′ P̃ᵘ⁻ᵗ mᵤ − (αₜ·mₜ)(αᵤ·mᵤ)}; what shocks move together comes on top of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from ..errors import SimulatorError
from .model import CostModel
from .moments import Exact, Layer
from .quadrature import Array
from .shock_nodes import ShockNodes

_PAIRED, _KNOTS = 14, 48  # binary logarithm of the paths of covariances; points in a factor


class Between(NamedTuple):
    """Covariances between years; both (population, year, year)."""

    covariance: Array
    error: Array
    """What two halves of the paths of shocks differ by."""


def paths(model: CostModel, years: Sequence[int], log2: int) -> dict[int, Array]:
    """Factors of shocks by year along quasi-random paths, each (path, stream) of mean 1; two halves tell the error."""
    return _paths(model.model_copy(update={"years": None}), min(1, *years), max(1, *years), log2)


@lru_cache(maxsize=32)
def _paths(model: CostModel, first: int, last: int, log2: int) -> dict[int, Array]:
    span, joint = range(first, last + 1), model.joint_shocks
    if model.has_own_shocks:
        bound = 'are each unit\'s own (per = "unit"): totals of all units over years have no exact answer here'
        raise SimulatorError("shocks", None, bound, "draw instead, or ask about one unit")
    count = len(joint.shocks)
    if not count:
        return {year: np.ones((1, len(model.streams))) for year in span}
    halves = [scipy.stats.qmc.Sobol(count * len(span), seed=seed).random_base2(log2 - 1) for seed in (1, 2)]
    uniforms = np.clip(np.concatenate(halves), 1e-12, 1 - 1e-12).reshape(-1, len(span), count)
    factors = joint.over_years({year: uniforms[:, k] for k, year in enumerate(span)})
    found = {year: joint.by_stream(own) for year, own in factors.items()}
    return {year: own / own.mean(axis=0) for year, own in found.items()}


def carried(factors: Array, knots: int) -> tuple[Array, Array]:
    """Few factors, (knot,), and what carries values at these to all of `factors`, (factor, knot), by a polynomial."""
    few, back = np.unique(factors, return_inverse=True)
    if few.size <= knots:
        return few, np.eye(few.size)[back]
    middle, half = (few[0] + few[-1]) / 2, (few[-1] - few[0]) / 2
    points = chebyshev.chebpts1(knots)
    to_terms = np.linalg.inv(chebyshev.chebvander(points, knots - 1))
    return middle + half * points, chebyshev.chebvander((factors - middle) / half, knots - 1) @ to_terms


def between_years(model: CostModel, layers: Mapping[int, Sequence[Layer]], heads: NDArray[np.int64]) -> Between:
    """Covariances of what a rule keeps, of a model with [years] and without parameter sets.

    Parameters
    ----------
    model : CostModel
    layers : mapping of int to sequence of Layer
        What the rule removes, by year; money of each state and rare service.
    heads : ndarray of int, shape (population, segment)
    """
    years, chain = sorted(layers), model.by_year
    alone = np.stack([Exact(model, year=year).total(heads, layers[year]).sd ** 2 for year in years], axis=1)
    found = np.einsum("py,yz->pyz", alone, np.eye(len(years)))
    errors = np.zeros(found.shape)
    if len(years) == 1:
        return Between(found, errors)
    shocks = paths(model, years, _PAIRED)
    mean = {year: _per_head(model, year, shocks[year], layers[year]) for year in years}
    n_paths = next(iter(mean.values())).shape[1]
    halves = [slice(0, n_paths // 2), slice(n_paths // 2, None)] if n_paths > 1 else []
    apart = len(chain.start) > 1
    rows = model.unit_heads if apart and len(heads) == 1 else heads
    for one in range(len(years)):
        for other in range(one + 1, len(years)):
            pair = years[one], years[other]
            cells = [_given(model, pair, row, place if apart else 0, mean) for place, row in enumerate(rows)]
            if len(rows) != len(heads):
                cells = [tuple(sum(part) for part in zip(*cells, strict=True))]
            for place, cell in enumerate(cells):
                own, *parts = (_whole(cell, part) for part in (slice(None), *halves))
                found[place, one, other] = found[place, other, one] = own
                errors[place, one, other] = errors[place, other, one] = abs(parts[0] - parts[1]) / 2 if parts else 0.0
    return Between(found, errors)


def _whole(given: tuple[Array, ...], part: slice) -> float:
    """A covariance from the one given the shocks and both means given them, each (path,)."""
    within, first, second = (one[part] for one in given)
    return float(within.mean() + ((first - first.mean()) * (second - second.mean())).mean())


def groups_of(model: CostModel, row: NDArray[np.int64]) -> tuple[Array, Array]:
    """Laws over the segments in year 1 of people who are alike, (group, segment), and how many they are."""
    if not model.sampled:
        here = np.flatnonzero(row)
        return np.eye(row.size)[here], row[here].astype(float)
    mixes = model.case_mixes(row)
    return np.stack([shares for shares, _ in mixes]), np.array([drawn for _, drawn in mixes])


def _given(
    model: CostModel, pair: tuple[int, int], row: NDArray[np.int64], unit: int, mean: Mapping[int, Array]
) -> tuple[Array, Array, Array]:
    """Covariance given the shocks, and both means given them; each (path,)."""
    chain, (first, second) = model.by_year, pair
    mixes, counts = groups_of(model, row)
    base, states = int(np.clip(1, first, second)), chain.start.shape[1]
    m_first, m_second = mean[first][:states], mean[second][:states]
    back = np.linalg.matrix_power(chain.backward[unit], base - first) @ m_first
    ahead = np.linalg.matrix_power(chain.forward[unit], second - base) @ m_second
    one, other = (mixes @ chain.laws_in(year)[unit] @ own for year, own in ((first, m_first), (second, m_second)))
    within = counts @ (mixes @ chain.laws_in(base)[unit] @ (back * ahead) - one * other)
    means = [counts @ one, counts @ other]
    for s, stream in enumerate(chain.streams[states:]):
        if stream.in_scope and stream.rate:
            left, right = mean[first][states + s] * row.sum(), mean[second][states + s] * row.sum()
            within = within + chain.rare_persistence[s] ** (second - first) * left * right / (stream.rate * row.sum())
            means = [means[0] + left, means[1] + right]
    return within, means[0], means[1]


def _per_head(model: CostModel, year: int, factors: Array, layers: Sequence[Layer]) -> Array:
    """Expected cost of a person in each state, and a head of each rare service, along paths; shape (stream, path)."""
    repeats = model.by_year.repeats
    carriers = [carried(own, _KNOTS) for own in factors.T]
    most = max(few.size for few, _ in carriers)
    points = np.stack([np.pad(few, (0, most - few.size), mode="edge") for few, _ in carriers], axis=1)
    nodes = ShockNodes(np.repeat(points, repeats, axis=1), np.full(most, 1 / most), False)
    values = Exact(model, nodes, year).mean_per_head(layers)
    origin = np.repeat(np.arange(len(repeats)), repeats)
    return np.stack([carriers[o][1] @ own[: carriers[o][0].size] for o, own in zip(origin, values, strict=True)])
