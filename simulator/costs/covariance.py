"""How the totals of several years move together: exact given the shocks, averaged over paths of their years.

With α the law of a place's state and m the expected cost in each,
Cov(Sₜ, Sᵤ) = Σₕ nₕ {(αₜ∘mₜ)′ P̃ᵘ⁻ᵗ mᵤ − (αₜ·mₜ)(αᵤ·mᵤ)}; what shocks move together comes on top of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from ..errors import SimulatorError
from .chain import YearlyModel
from .model import CostModel
from .moments import Exact, Layer
from .quadrature import Array
from .shock_nodes import ShockNodes

_PAIRED, _KNOTS = 14, 48  # binary logarithm of the paths of covariances; points in a factor


class Between(NamedTuple):
    """Covariances between years, (population, year, year), and means, (population, year)."""

    covariance: Array
    error: Array
    """What two halves of the paths of shocks differ by."""
    mean: Array


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
    totals = [Exact(model, year=year).total(heads, layers[year]) for year in years]
    means, alone = (np.stack(part, axis=1) for part in ([t.mean for t in totals], [t.sd**2 for t in totals]))
    found = np.einsum("py,yz->pyz", alone, np.eye(len(years)))
    errors = np.zeros(found.shape)
    if len(years) == 1:
        return Between(found, errors, means)
    shocks = paths(model, years, _PAIRED)
    mean = {year: _per_head(model, year, shocks[year], layers[year]) for year in years}
    n_paths = next(iter(mean.values())).shape[1]
    halves = [slice(0, n_paths // 2), slice(n_paths // 2, None)] if n_paths > 1 else []
    apart = len(chain.start) > 1
    rows = model.unit_heads if apart and len(heads) == 1 else heads
    of_rows = (_given(model, row, place if apart else 0, mean) for place, row in enumerate(rows))
    for pair in zip(*of_rows, strict=True):
        one, other = (years.index(year) for year in pair[0][0])
        cells = [cell for _, *cell in pair]
        if len(rows) != len(heads):
            cells = [[sum(part) for part in zip(*cells, strict=True)]]
        for place, cell in enumerate(cells):
            own, *parts = (_whole(cell, part) for part in (slice(None), *halves))
            found[place, one, other] = found[place, other, one] = own
            errors[place, one, other] = errors[place, other, one] = abs(parts[0] - parts[1]) / 2 if parts else 0.0
    return Between(found, errors, means)


def _whole(given: Sequence[Array], part: slice) -> float:
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


def of_places(
    chain: YearlyModel, unit: int, mixes: Array, counts: Array, mean: Mapping[int, Array]
) -> Iterator[tuple[tuple[int, int], Array]]:
    """Covariance of what independent places cost in every two years, given the shocks; each (path,).

    Places that are alike are `counts` (group,), their segments in year 1 `mixes` (group, segment); `mean` is by year
    what each state is expected to cost, (state, path).
    """
    years = sorted(mean)
    law = {year: mixes @ chain.laws_in(year)[unit] for year in {*years, 1}}
    expected = {year: law[year] @ own for year, own in mean.items()}
    back: dict[int, Array] = {}  # as years up to 1 see their own costs from the later one, or from year 1
    for second in range(years[0], years[-1] + 1):
        if second <= 1:
            back = {first: chain.backward[unit] @ own for first, own in back.items()}
        if second not in mean:
            continue
        at, ahead = second, mean[second]
        for first in reversed([year for year in years if year < second]):
            base = max(first, min(1, second))
            for _ in range(at - base):
                ahead = chain.forward[unit] @ ahead
            at, near = base, mean[first] if first > 1 else back[first]
            yield (first, second), counts @ (law[base] @ (near * ahead) - expected[first] * expected[second])
        if second <= 1:
            back[second] = mean[second]


def _given(
    model: CostModel, row: NDArray[np.int64], unit: int, mean: Mapping[int, Array]
) -> Iterator[tuple[tuple[int, int], Array, Array, Array]]:
    """Two years, their covariance given the shocks, and both means given them; each (path,)."""
    chain, (mixes, counts) = model.by_year, groups_of(model, row)
    states, people = chain.start.shape[1], row.sum()
    rare = [
        (states + s, stays, stream.rate * people)
        for s, (stream, stays) in enumerate(zip(chain.streams[states:], chain.rare_persistence, strict=True))
        if stream.in_scope and stream.rate
    ]
    events = {year: [own[at] * people for at, _, _ in rare] for year, own in mean.items()}
    whole = _totals(model, row, unit, mean)
    for (one, other), within in of_places(chain, unit, mixes, counts, {y: own[:states] for y, own in mean.items()}):
        both = zip(events[one], events[other], rare, strict=True)
        again = sum(stays ** (other - one) * left * right / expected for left, right, (_, stays, expected) in both)
        yield (one, other), within + again, whole[one], whole[other]


def _totals(model: CostModel, row: NDArray[np.int64], unit: int, mean: Mapping[int, Array]) -> dict[int, Array]:
    """Expected cost of people by year, given the shocks; each (path,)."""
    chain, (mixes, counts) = model.by_year, groups_of(model, row)
    states, people = chain.start.shape[1], row.sum()
    laws = {year: counts @ (mixes @ chain.laws_in(year)[unit]) for year in mean}
    scope = np.array([stream.in_scope for stream in chain.streams[states:]], float)
    return {year: laws[year] @ own[:states] + people * (scope @ own[states:]) for year, own in mean.items()}


def expected_on_paths(
    model: CostModel, layers: Mapping[int, Sequence[Layer]], row: NDArray[np.int64]
) -> dict[int, Array]:
    """Expected cost of people by segment, (segment,), under a rule in each year along paths of shocks; each (path,)."""
    shocks = paths(model, sorted(layers), _PAIRED)
    mean = {year: _per_head(model, year, shocks[year], layers[year]) for year in layers}
    return _totals(model, row, 0, mean)


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
