"""The whole law of a weighted sum of years without draws: a product over people of what their states turn by each year.

φ(u) = Πₕ [αₕ′ D₁(u) P̃ D₂(u) … D_K(u) 1]^nₕ with D(u) = diag E[exp(iu·w·g(X)) | state], inverted by the cosine series of
`exact`. Shocks are averaged over quasi-random paths: years and shocks together exceed a tensor rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations_with_replacement
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ..costs.covariance import carried, groups_of, paths
from ..costs.families.slabs import Slabs
from ..costs.model import CostModel
from ..costs.quadrature import turning_nodes
from .exact import TAIL_MASS, largest_kept
from .law import Law
from .transforms import Octaves, Rule, Step, Transforms, pieces

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

_LOG2, _KNOTS = 14, 12  # binary logarithm of the paths of shocks; points in a factor
_FEW, _WIDER = 128, 1.4  # paths of which exponents are worked out, and how much farther these reach than the others
_REACH = 9.0  # standard deviations that a normal total may stray
_FADED, _MOST_TERMS = 1e-9, 8_192
_HELD = 1 << 20  # complex numbers held at a time


class YearsTotal:
    """A weighted sum of years under a rule, for populations of any size.

    Parameters
    ----------
    model : CostModel
        With [years], without parameter sets.
    weights : mapping of int to float
        By year.
    rules : mapping of int to Rule
        By year, the steps of each segment and rare service in the money of the year.
    """

    def __init__(self, model: CostModel, weights: Mapping[int, float], rules: Mapping[int, Rule]) -> None:
        self._model, self._chain, self._rules = model, model.by_year, rules
        self._weights = {year: weights[year] for year in sorted(weights) if weights[year]}
        chain, shocks = self._chain, paths(model, list(self._weights), _LOG2)
        origin = np.append(0, np.cumsum(chain.repeats)[:-1])
        trend = {year: chain.trend[chain.years.index(year), origin] for year in self._weights}
        every = np.hstack([np.log(np.unique(shocks[year], axis=1)) for year in self._weights])
        few = slice(0, len(every), max(1, len(every) // _FEW))
        self._factors = {year: shocks[year][few] ** _WIDER * trend[year] for year in self._weights}
        self._paths = next(iter(self._factors.values())).shape[0]
        varied = every[:, np.ptp(every, axis=0) > 0]
        self._every = _basis(varied, varied, self._paths)
        self._few = _basis(varied[few] * _WIDER, varied, self._paths)
        self._carry = np.linalg.pinv(self._few)
        self._segments, self._states = len(model.population.segments), chain.start.shape[1]
        self._turns: dict[tuple[int, tuple[Step, ...]], tuple[list[Array], Octaves, int]] = {}
        self._people: dict[tuple[int, bytes], Octaves] = {}
        self._rare = Octaves(lambda frequency, columns: self._events(frequency)[:, columns])

    def law(self, heads: NDArray[np.int64], mean: float, sd: float) -> Law:
        """The law for people by segment; shape (segment,), or (unit, segment) where units have states of their own."""
        rows, people = np.atleast_2d(heads), float(heads.sum())
        low, high = mean - _REACH * sd, mean + _REACH * sd
        while self._beyond(people, (high - mean) / 2, 1) > TAIL_MASS and high - mean < 2_000 * sd:
            high = mean + 1.15 * (high - mean)
        if min(self._weights.values()) >= 0:
            low = max(low, 0.0)
        while low < 0 and self._beyond(people, (mean - low) / 2, -1) > TAIL_MASS and mean - low < 2_000 * sd:
            low = mean - 1.15 * (mean - low)
        count = int(np.clip(1.1 * _REACH * (high - low) / (np.pi * sd), 64, _MOST_TERMS))
        while True:
            frequency = np.pi * np.arange(1, count, dtype=float) / (high - low)
            found, error = self._characteristic(frequency, rows)
            unfaded = float(np.abs(found[-max(8, count // 16) :]).max())
            if unfaded < max(_FADED, error) or count >= _MOST_TERMS:
                break
            count = min(2 * count, _MOST_TERMS)
        beyond = sum(self._beyond(people, reach / 2, sign) for reach, sign in ((high - mean, 1), (mean - low, -1)))
        terms = np.append(1.0, 2 * np.real(found * np.exp(-1j * frequency * low)))
        return Law(low, high, terms, mean, max(beyond, unfaded, error, 1e-12))

    def _beyond(self, people: float, excess: float, sign: int) -> float:
        """Expected patients of whom the rule keeps more than this in a year whose weight has the sign."""
        chance, shares = 0.0, self._model.shares
        for year, weight in self._weights.items():
            for s, stream in enumerate(self._model.streams):
                at = excess / abs(weight) / float(self._factors[year][:, s].max())
                if stream.in_scope and weight * sign > 0 and largest_kept(self._rules[year][s]) * abs(weight) > excess:
                    share = float(shares[s]) if s < shares.size else 1.0
                    chance += people * share * stream.rate * float(stream.severity.sf(at))
        return chance

    def _characteristic(self, frequency: Array, rows: NDArray[np.int64]) -> tuple[Complex, float]:
        """E[exp(iu·total)] at frequencies above 0, and what two halves of the paths differ by."""
        found, step = np.zeros(frequency.size, complex), max(1, _HELD // len(self._every))
        worst = 0.0
        for start in range(0, frequency.size, step):
            part = slice(start, start + step)
            exponent = rows.sum() * self._rare(frequency[part]).T
            for place, row in enumerate(rows):
                mixes, counts = groups_of(self._model, row)
                change = self._groups(place if len(self._chain.start) > 1 else 0, mixes)(frequency[part])
                logs = np.log1p(change.reshape(-1, self._paths, len(mixes)))
                exponent = exponent + np.einsum("fpg,g->pf", logs, counts)
            if self._paths == 1:
                found[part] = np.exp(exponent[0])
                continue
            # smooth in the factors of all years: a polynomial carries it from few paths to all
            terms = self._carry @ exponent
            left = np.abs(np.exp(self._few @ terms) - np.exp(exponent)).max()
            given = self._every @ terms
            given.real = np.minimum(given.real, 0.0)
            one, other = (half.mean(axis=0) for half in np.split(np.exp(given), 2))
            found[part] = (one + other) / 2
            worst = max(worst, float(np.abs(one - other).max()) / 2, float(left))
        return found, worst

    def _groups(self, unit: int, mixes: Array) -> Octaves:
        """E[exp(iu·weighted sum)] − 1 of a person of each group, (f, path · group)."""
        key = unit, mixes.tobytes()
        if key not in self._people:

            def function(frequency: Array, columns: slice | NDArray[np.int64]) -> Complex:
                step = max(1, _HELD // (self._paths * self._states))
                parts = [frequency[start : start + step] for start in range(0, frequency.size, step)]
                return np.concatenate([self._of_groups(part, unit, mixes) for part in parts])[:, columns]

            self._people[key] = Octaves(function)
        return self._people[key]

    def _of_groups(self, frequency: Array, unit: int, mixes: Array) -> Complex:
        chain, asked = self._chain, self._weights
        law = mixes @ chain.laws_in(1)[unit]
        shape = frequency.size, self._paths, self._states

        def gone(years: range, matrix: Array) -> Complex:
            turned = np.ones(shape, complex)
            for year in years:
                turned = _through(turned * self._turned(year, frequency) if year in asked else turned, matrix)
            return turned

        both = gone(range(min(1, *asked), 1), chain.backward[unit])
        both = both * gone(range(max(1, *asked), 1, -1), chain.forward[unit])
        both = both * self._turned(1, frequency) if 1 in asked else both
        return np.asarray(_through(both, law) - 1).reshape(frequency.size, -1)

    def _turned(self, year: int, frequency: Array) -> Complex:
        """E[exp(iu·w·g(X)) | state] of a year along paths; shape (f, path, state)."""
        parts = [self._change(s, year, frequency) for s in range(self._segments)]
        return np.asarray(1 + np.concatenate(parts, axis=2))

    def _change(self, stream: int, year: int, frequency: Array) -> Complex:
        """Less 1, of the states of a segment, or of an event of a rare service; shape (f, path, state)."""
        steps = self._rules[year][stream]
        if (stream, steps) not in self._turns:
            years = [other for other in self._weights if self._rules[other][stream] == steps]
            few, carriers = carried(np.concatenate([self._factors[other][:, stream] for other in years]), _KNOTS)
            by_year = dict(zip(years, np.split(carriers, len(years)), strict=True))

            def function(frequency: Array, columns: slice | NDArray[np.int64]) -> Complex:
                found = np.stack([self._worked_out(stream, steps, float(one), frequency) for one in few], axis=1)
                return np.asarray(found.reshape(frequency.size, -1)[:, columns])

            self._turns[stream, steps] = by_year, Octaves(function), few.size  # type: ignore[assignment]
        by_weight, octaves, knots = cast("tuple[dict[int, Array], Octaves, int]", self._turns[stream, steps])
        weight = self._weights[year]
        values = octaves(frequency * abs(weight)).reshape(frequency.size, knots, -1)
        found = np.matmul(by_weight[year], values.real) + 1j * np.sign(weight) * np.matmul(by_weight[year], values.imag)
        return np.asarray(found)

    def _worked_out(self, stream: int, steps: tuple[Step, ...], factor: float, frequency: Array) -> Complex:
        """E[exp(iu·g(factor·X))] − 1 of the states of a segment, or of an event; shape (f, state)."""
        n, parent = self._chain.n_classes, self._model.streams[stream].severity
        if stream >= self._segments:
            states = self._chain.streams[self._states + stream - self._segments :][:1]
            rates = np.ones(1)
        else:
            states = self._chain.streams[stream * n : (stream + 1) * n]
            rates = np.array([state.rate for state in states])
        slopes, intercepts = pieces(steps)[1:]
        most = steps[-1].at / factor if steps and not slopes[-1] else np.inf
        kinks = np.array([step.at for step in steps]) / factor
        laws = [state.severity for state in states]
        split = [law for law in laws if isinstance(law, Slabs)]
        if len(split) == n and stream < self._segments and not parent.has_atoms:
            edges = np.array(split[0].edges)
            kinks = np.unique(np.append(kinks, parent.isf(edges[:-1])))
            kinks = kinks[np.isfinite(kinks)]
            nodes = turning_nodes(parent, kinks, float(frequency.max()) * factor, most)
            density = np.array([law.weights for law in split]).T / np.diff(edges, prepend=0.0)[:, None]
            place = np.minimum(np.searchsorted(edges, parent.sf(nodes.cost)), edges.size - 1)
            found = _sum(frequency, steps, factor * nodes.cost, nodes.weight[:, None] * density[place], nodes.averaged)
        else:
            every = [turning_nodes(law, kinks, float(frequency.max()) * factor, most) for law in laws]
            found = np.hstack(
                [_sum(frequency, steps, factor * one.cost, one.weight[:, None], one.averaged) for one in every]
            )
        if np.isfinite(most):
            above = np.array([float(law.sf(most)) for law in laws])
            found = found + np.expm1(1j * frequency * intercepts[-1])[:, None] * above
        return np.asarray(found * rates)

    def _events(self, frequency: Array) -> Complex:
        """Exponent of the rare services a head, along paths, (f, path): events come, and come again or not."""
        total = np.zeros((frequency.size, self._paths), complex)
        years = range(min(self._weights), max(self._weights) + 1)
        for s, stays in enumerate(self._chain.rare_persistence):
            stream = self._model.streams[self._segments + s]
            if not (stream.in_scope and stream.rate):
                continue
            turned = {year: 1 + self._change(self._segments + s, year, frequency)[..., 0] for year in self._weights}
            for first in years:
                came = stream.rate * (1.0 if first == years[0] else 1 - stays)
                product = np.ones_like(total)
                for last in range(first, years[-1] + 1):
                    product = product * turned.get(last, 1.0)
                    total += came * stays ** (last - first) * (1.0 if last == years[-1] else 1 - stays) * (product - 1)
        return total


def _basis(points: Array, every: Array, count: int) -> Array:
    """Products of powers of the logarithms of factors, (point, term): as many as a third of the paths determines."""
    scaled = points / (_WIDER * np.abs(every).max(axis=0, initial=1e-300))
    terms = [np.ones(len(points))]
    for degree in range(1, 7):
        own = list(combinations_with_replacement(range(points.shape[1]), degree))
        if 3 * (len(terms) + len(own)) > count:
            break
        terms += [np.prod(scaled[:, list(one)], axis=1) for one in own]
    return np.stack(terms, axis=1)


def _through(values: Complex, matrix: Array) -> Complex:
    """Values by state, (f, path, state), as seen from the rows of a matrix, (f, path, row)."""
    return np.asarray(values.real @ matrix.T + 1j * (values.imag @ matrix.T))


def _sum(frequency: Array, steps: tuple[Step, ...], cost: Array, weights: Array, averaged: Array) -> Complex:
    """Σ weight (exp(iu·kept) − 1) over nodes, (f, state); what turns too often there averages out to 0."""
    kept, own = Transforms.kept(steps, cost), weights * (1 - averaged)[:, None]
    found = np.empty((frequency.size, weights.shape[1]), complex)
    chunk = max(1, _HELD // max(kept.size, 1))
    for start in range(0, frequency.size, chunk):
        half = np.outer(frequency[start : start + chunk], kept / 2)
        sine = np.sin(half)
        found.real[start : start + chunk] = -2 * (sine * sine) @ own
        found.imag[start : start + chunk] = 2 * (sine * np.cos(half)) @ own
    return np.asarray(found - averaged @ weights)
