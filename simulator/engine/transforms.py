"""Each user's characteristic function, worked out once for all sizes and thresholds.

E[exp(iτX); X ≤ y] of one severity is a smooth function of τ. On each octave of τ it is a Chebyshev polynomial, made
when first asked for and long enough that its last terms have faded; where a law has atoms, whose terms turn for ever,
it is worked out at each τ that is asked for. From it follows, for every rule and factor, E[exp(it·kept(λX))] − 1 as a
function of t, which is kept in octaves in turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from ..costs.families.base import Severity
from ..costs.model import CostModel
from ..costs.quadrature import turning_nodes
from .spread import Spread, spread_of

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

FADED = 2e-13
"""Of a polynomial's last terms, relative to its largest: what the interpolation in frequency leaves out."""
_CHUNK = 1 << 20  # complex numbers held at a time
_LENGTHS = (24, 64, 192, 768)
_BELOW, _ABOVE = 20, 60  # octaves of frequency on either side of a turn for the dearest stream's mean cost
_RARE, _LOOKED, LOOKS = 1e-5, 9, 32  # octaves beyond half a turn of so rare a patient that are looked at, looks in each
_EVEN = 256  # evenly spaced frequencies from which on their turns are made of products
_FEW = 64  # frequencies whose polynomials are kept
_MANY = 2_048  # frequencies of one octave that are worked out sooner than a polynomial for them
_FLOOR = 1e-3  # of the largest column: columns below it need not be as exact relative to themselves


Columns = slice | NDArray[np.int64]
_EVERY = slice(None)


class Step(NamedTuple):
    """What a rule does to a patient above one threshold."""

    at: float
    """Money, after shocks."""
    excess_share: float
    """Share of the excess over it that is removed."""
    whole_share: float
    """Share of the whole patient that is removed."""
    charge: float = 0.0
    """Money added for each such patient."""


Rule = tuple[tuple[Step, ...], ...]
"""The steps of each stream, ascending."""


class Glimpse(NamedTuple):
    """One user's kept cost without shocks, at the frequencies of `looks`."""

    transform: Complex
    mean: float
    mean_square: float


@cache
def to_terms(length: int) -> Array:
    """What makes terms of Chebyshev polynomials of values at `chebpts1`, by the polynomials' own orthogonality."""
    weights = chebyshev.chebvander(chebyshev.chebpts1(length), length - 1) * (2 / length)
    weights[:, 0] /= 2
    return np.asarray(weights.T)


@lru_cache(maxsize=512)
def _powers(mantissa: bytes, length: int) -> Array:
    """Chebyshev polynomials at places of an octave: all streams are asked for the same frequencies."""
    return np.asarray(chebyshev.chebvander(4 * np.frombuffer(mantissa) - 3, length - 1))


class Octaves:
    """A smooth function of frequency, column by column, as polynomials on octaves.

    Parameters
    ----------
    function : callable (frequency, shape (f,), columns, slice or ndarray) -> complex ndarray, shape (f, column)
    """

    def __init__(self, function: Callable[[Array, Columns], Complex]) -> None:
        self._function = function
        self._terms: dict[int, Complex | None] = {}

    def __call__(self, frequency: Array, columns: Columns = _EVERY) -> Complex:
        """The function at frequencies above 0, shape (f, column)."""
        mantissa, octave = np.frexp(frequency)
        if octave.size and octave[0] == octave[-1] and (octave == octave[0]).all():
            return self._on_octave(int(octave[0]), frequency, mantissa, columns)
        parts = {int(k): np.flatnonzero(octave == k) for k in np.unique(octave)}
        values = {k: self._on_octave(k, frequency[here], mantissa[here], columns) for k, here in parts.items()}
        found = np.empty((frequency.size, next(iter(values.values())).shape[1]), complex)
        for k, here in parts.items():
            found[here] = values[k]
        return found

    def across(self, frequency: Array, columns: NDArray[np.int64]) -> Complex:
        """At frequencies of shape (f, m), each m in its own columns, shape (m, c); shape (f, m, c)."""
        if len(columns) == 1:
            return self(frequency[:, 0], columns[0])[:, None]
        mantissa, octave = np.frexp(frequency)
        found = np.empty((*frequency.shape, columns.shape[1]), complex)
        for k in np.unique(octave).tolist():
            on_octave = octave == k
            terms = self._terms_of(k, int(on_octave.sum(axis=0).max()))
            if terms is None:
                for each in np.flatnonzero(on_octave.any(axis=0)):
                    here = on_octave[:, each]
                    found[here, each] = self._function(frequency[here, each], columns[each])
                continue
            row, m = np.nonzero(on_octave)
            step = max(1, _CHUNK // terms.size)
            for start in range(0, row.size, step):
                at, own = row[start : start + step], m[start : start + step]
                powers = chebyshev.chebvander(4 * mantissa[at, own] - 3, len(terms) - 1)
                found[at, own] = np.einsum("pl,lpc->pc", powers, terms[:, columns[own]])
        return found

    def _terms_of(self, octave: int, wanted: int) -> Complex | None:
        if octave not in self._terms:
            self._terms[octave] = self._fitted(octave, wanted)
        return self._terms[octave]

    def _on_octave(self, octave: int, frequency: Array, mantissa: Array, columns: Columns) -> Complex:
        terms = self._terms_of(octave, frequency.size)
        if terms is None:
            return self._function(frequency, columns)
        terms = terms[:, columns]
        if frequency.size <= _FEW:
            return np.asarray(_powers(mantissa.tobytes(), terms.shape[0]) @ terms)
        step = max(1, _CHUNK // terms.shape[0])
        parts = [
            chebyshev.chebvander(4 * mantissa[start : start + step] - 3, terms.shape[0] - 1) @ terms
            for start in range(0, frequency.size, step)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _fitted(self, octave: int, wanted: int) -> Complex | None:
        if wanted >= _MANY:
            return None
        for length in _LENGTHS:
            if length > max(wanted, _LENGTHS[-2]):
                return None
            points = chebyshev.chebpts1(length)
            values = self._function(np.ldexp((points + 3) / 4, octave), _EVERY)
            terms = np.asarray(to_terms(length) @ values)
            size = np.abs(terms).max(axis=0)
            if (np.abs(terms[-3:]).max(axis=0) <= FADED * np.maximum(size, _FLOOR * size.max(initial=0.0))).all():
                return terms
        return None


class Transforms:
    """Transforms of all users of a model, shared by all populations and thresholds.

    Parameters
    ----------
    model : CostModel
    thresholds : ndarray, shape (stream, threshold)
        Money after shocks: every threshold that a rule may have.
    """

    def __init__(self, model: CostModel, thresholds: Array) -> None:
        self.model = model
        self.means = np.array([stream.severity.moments.raw[1] for stream in model.streams])
        """Expected cost of a user, or of an event, before shocks."""
        self.grid = np.exp2(np.arange(-_BELOW, _ABOVE, 0.5)) / self.means.max()
        """Frequencies at which bounds on transforms are known."""
        self._thresholds = [np.unique(row[np.isfinite(row)]) for row in thresholds]
        self._partial: dict[tuple[int, bytes], _Partial] = {}
        self._changes: dict[tuple[int, bytes, tuple[Step, ...]], Octaves] = {}
        finite = [float(row[-1]) for row in self._thresholds if row.size]
        dearest = max([*finite, *(float(stream.severity.isf(_RARE)) for stream in model.streams)])
        self.looks = np.exp2(np.arange(-3, _LOOKED, 1 / LOOKS)) * np.pi / dearest
        """Frequencies at which transforms are looked at, to see whether they come back."""
        self._glimpses: dict[tuple[int, tuple[Step, ...]], Glimpse] = {}
        self._spreads: dict[tuple[int, tuple[Step, ...], float], Spread] = {}

    def change(self, stream: int, steps: tuple[Step, ...], factors: Array, frequency: Array) -> Complex:
        """E[exp(i·t·kept(λX))] − 1 of one user; shape (f, factor)."""
        key = stream, factors.tobytes(), steps
        if key not in self._changes:
            partial = self._partial_of(stream, factors)
            self._changes[key] = Octaves(lambda t, columns: _change(partial, steps, factors, t)[:, columns])
        return self._changes[key](frequency)

    def spread(self, stream: int, steps: tuple[Step, ...], factor: float) -> Spread:
        """How the rule leaves the cost of one user spread."""
        key = stream, steps, factor
        if key not in self._spreads:
            edges, slopes, intercepts = pieces(steps)
            costs = np.concatenate([[-np.inf], edges / factor, [np.inf]])
            severity = self.model.streams[stream].severity
            self._spreads[key] = spread_of(severity, costs, slopes, intercepts, factor, self.grid)
        return self._spreads[key]

    def glimpse(self, stream: int, steps: tuple[Step, ...]) -> Glimpse:
        """The transform of one user's kept cost where it may come back, without shocks, to some 1e-3."""
        key = stream, steps
        if key not in self._glimpses:
            severity = self.model.streams[stream].severity
            edges = np.array([step.at for step in steps])
            nodes = turning_nodes(severity, edges, 0.0, order=6)
            kept, back = np.unique(self.kept(steps, nodes.cost), return_inverse=True)
            weights = np.bincount(back, nodes.weight)
            # single precision is ten times as fast, and enough
            turns, few = np.outer(self.looks, kept).astype(np.float32), weights.astype(np.float32)
            seen = (np.cos(turns) @ few) + 1j * (np.sin(turns) @ few)
            self._glimpses[key] = Glimpse(seen, float(weights @ kept), float(weights @ kept**2))
        return self._glimpses[key]

    @staticmethod
    def kept(steps: tuple[Step, ...], cost: Array) -> Array:
        """What the rule keeps of patients' costs, after shocks."""
        edges, slopes, intercepts = pieces(steps)
        piece = np.searchsorted(edges, cost)
        return np.asarray(intercepts[piece] + slopes[piece] * cost)

    def _partial_of(self, stream: int, factors: Array) -> _Partial:
        key = stream, factors.tobytes()
        if key not in self._partial:
            ends = (self._thresholds[stream] / factors[:, None]).ravel()
            self._partial[key] = _Partial(self.model.streams[stream].severity, ends)
        return self._partial[key]


class _Partial:
    """E[exp(iτX) − 1; X ≤ y] of one severity for some ends y, the last of which is infinity."""

    def __init__(self, severity: Severity, ends: Array) -> None:
        self._severity = severity
        self._ends = np.append(np.unique(ends), np.inf)
        self.mass = 1 - severity.sf(self._ends[:-1])
        self.mass = np.append(self.mass, 1.0)
        largest = float(self._ends[-2]) if self._ends.size > 1 else 0.0
        self.up_to = Octaves(lambda frequency, columns: self._worked_out(frequency, columns, largest))
        """Up to each finite end."""
        self.whole = Octaves(lambda frequency, columns: self._worked_out(frequency, columns, math.inf))
        """Up to each end."""

    def column(self, ends: Array) -> NDArray[np.int64]:
        """The places of these ends."""
        return np.searchsorted(self._ends, ends)

    def _worked_out(self, frequency: Array, columns: Columns, most: float) -> Complex:
        ends = self._ends[columns]
        kinks = np.unique(ends[np.isfinite(ends)])
        nodes = turning_nodes(self._severity, kinks, float(frequency.max()), min(most, float(ends.max())))
        averaged = _up_to(nodes.cost, ends, nodes.averaged * nodes.weight)
        here = nodes.averaged < 1
        cost, weight = nodes.cost[here], (nodes.weight * (1 - nodes.averaged))[here]
        if frequency.size >= _EVEN and np.ptp(np.diff(frequency)) <= 1e-9 * np.diff(frequency).min():
            weights = weight[:, None] * (cost[:, None] <= ends)
            return _evenly(frequency, cost, weights) - weights.sum(axis=0) - averaged
        found = np.empty((frequency.size, ends.size), complex)
        step = max(1, _CHUNK // max(cost.size, 1))
        for start in range(0, frequency.size, step):
            half = frequency[start : start + step, None] * (cost / 2)
            sine = np.sin(half)
            weighed = 2 * weight * sine
            # cos − 1 and sin, of twice the angle, without cancellation
            found.real[start : start + step] = -_up_to(cost, ends, weighed * sine) - averaged
            found.imag[start : start + step] = _up_to(cost, ends, weighed * np.cos(half))
        return found


def _up_to(cost: Array, ends: Array, values: Array) -> Array:
    """Sums of values, shape (…, cost), over ascending costs up to each end; shape (…, end)."""
    last = np.searchsorted(cost, ends, side="right")
    starts = np.unique(np.append(0, last[last < cost.size]))
    sums = np.zeros((*values.shape[:-1], starts.size + 1))
    if cost.size:
        np.cumsum(np.add.reduceat(values, starts, axis=-1), axis=-1, out=sums[..., 1:])
    return np.asarray(sums[..., np.searchsorted(starts, last)])


def _evenly(frequency: Array, cost: Array, weights: Array) -> Complex:
    """Σ weight·exp(i·frequency·cost), shape (f, column), at even frequencies: each turn is a far one and a near one."""
    near = math.isqrt(frequency.size - 1) + 1
    far = -(-frequency.size // near)
    step = (frequency[-1] - frequency[0]) / (frequency.size - 1)
    first = np.exp(1j * np.outer(frequency[0] + step * near * np.arange(far), cost))
    second = np.exp(1j * step * np.outer(cost, np.arange(near)))
    columns = [((first * weight) @ second).ravel()[: frequency.size] for weight in weights.T]
    return np.stack(columns, axis=1)


def pieces(steps: Sequence[Step]) -> tuple[Array, Array, Array]:
    """Thresholds, and slope and intercept of what is kept on the pieces between them."""
    slopes, intercepts = [1.0], [0.0]
    for step in steps:
        slope = slopes[-1] - step.excess_share - step.whole_share
        slopes.append(0.0 if abs(slope) < 1e-12 else slope)
        intercepts.append(intercepts[-1] + step.excess_share * step.at + step.charge)
    return np.array([step.at for step in steps]), np.array(slopes), np.array(intercepts)


def _change(partial: _Partial, steps: Sequence[Step], factors: Array, frequency: Array) -> Complex:
    """E[exp(i·t·kept(λX))] − 1, shape (f, factor): kept is linear on the pieces between thresholds."""
    found = np.zeros((frequency.size, factors.size), complex)
    edges = [np.zeros(factors.size), *(step.at / factors for step in steps), np.full(factors.size, np.inf)]
    for piece, (slope, intercept) in enumerate(zip(*pieces(steps)[1:], strict=True)):
        low, high = partial.column(edges[piece]), partial.column(edges[piece + 1])
        turn = np.exp(1j * frequency * intercept)
        if slope:
            at = partial.up_to if piece < len(steps) else partial.whole
            columns = np.stack([high, low] if piece else [high], axis=1)
            values = at.across(np.outer(frequency, factors * slope), columns)
            found += turn[:, None] * (values[..., 0] - (values[..., 1] if piece else 0.0))
        if intercept:
            mass = partial.mass[high] - (partial.mass[low] if piece else 0.0)
            moved = -2 * np.sin(frequency * intercept / 2) ** 2 + 1j * np.sin(frequency * intercept)
            found += moved[:, None] * mass
    return found
