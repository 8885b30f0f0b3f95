"""Whether a total is smooth, and what of it is not.

Given the common shocks, a total's transform is a product over people. One person's consists of single amounts, whose
terms turn for ever, and of a rest that fades as frequency grows (`spread.py`). Where many people have a rest, the
product has faded for good from some frequency on; where they have not, nearly all of the total lies on a lattice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..costs.shock_nodes import ShockNodes, joint_nodes
from .lattice import unit_of
from .smear import Smear, smears
from .spread import Spread
from .transforms import LOOKS, Rule, Transforms, pieces

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

_USUAL = 5e-4  # chance on either side of the factors that are looked at
_STEP = 0.5  # radians that the costliest usual patient turns between two frequencies that are looked at
_MOST_LOOKS = 20_000
_ZOOMS = 4
_SEEN_TO = 5e-3
_SMEARED = 1e-6, 1e-4  # of a chance, what a series may leave out: first aim and second
_CHUNK = 1 << 20  # complex numbers held at a time


class Steps:
    """What is not smooth in one population's total.

    Parameters
    ----------
    transforms : Transforms
    heads : ndarray of int, shape (segment,)
    rule : Rule
    expected : ndarray, shape (stream,)
        Users, or events, of what is in scope.
    """

    def __init__(self, transforms: Transforms, heads: NDArray[np.int64], rule: Rule, expected: Array) -> None:
        self._transforms, self._heads, self._rule, self._expected = transforms, heads, rule, expected
        self._model = transforms.model
        self._mixes = self._model.case_mixes(heads) if self._model.sampled else []
        self._streams = [int(s) for s in np.flatnonzero(expected > 0)]
        self._factors = _usual_factors(joint_nodes(self._model.joint_shocks), expected * transforms.means)
        self._spreads = [
            {s: transforms.spread(s, rule[s], float(row[s])) for s in self._streams} for row in self._factors
        ]
        self._left: Array | None = None

    @cached_property
    def fades_from(self) -> float:
        """The frequency from which on the transform is surely nothing; infinity where there is none."""
        whole = [self._log_product({s: at[s].chances.sum() + at[s].unsmoothed for s in at}) for at in self._spreads]
        return self._first(np.max(np.exp(whole), axis=0) <= _NOTHING)

    @property
    def pull(self) -> Array:
        """Money by which the kept total moves with the logarithm of each stream's factor, at least by one patient's."""
        found = np.zeros(self._expected.size)
        for s in self._streams:
            law = self._model.streams[s].severity.moments
            edges, slopes, _ = pieces(self._rule[s])
            cost = np.diff(np.concatenate([[0.0], law.below(edges)[1], [law.raw[1]]]))
            found[s] = max(self._expected[s] * float(slopes @ cost), self.largest(0.1) if slopes.any() else 0.0)
        return found

    def may_return(self, amplitude: Callable[[Array], Array], faded: float) -> bool:
        """Whether a transform that has faded at one frequency may come back beyond it, as that of a lattice does."""
        until = self.fades_from
        if until <= faded:
            return False
        largest = self.largest(0.1)
        # until the costliest patient has turned half a round the transform can but fall
        start, step = max(faded, math.pi / largest), _STEP / largest
        if until > start + _MOST_LOOKS * step:
            return True
        if until <= start or self._surely_gone(start, until):
            return False
        at = np.append(np.arange(start, until, step), until)
        found = amplitude(at)
        first = _fallen(found)
        at, found, start = at[first:], found[first:], float(at[first])
        inner = np.flatnonzero((found[1:-1] >= found[:-2]) & (found[1:-1] >= found[2:])) + 1
        peaks = np.append(at[inner], [start, until])
        for _ in range(_ZOOMS):
            near = np.clip(peaks[:, None] + step * np.linspace(-1, 1, 17), start, until)
            values = amplitude(near.ravel()).reshape(near.shape)
            peaks, step = near[np.arange(peaks.size), values.argmax(axis=1)], step / 8
            found = np.append(found, values.max(axis=1))
        return float(found.max()) > math.log(_NOTHING)

    def _surely_gone(self, start: float, until: float) -> bool:
        """Whether the transform is nothing between two frequencies, by a few looks.

        Of independent copies Y and Y' of one person's cost, 1 − |φ(t)|² = ½E|exp(itY) − exp(itY')|²: its root changes
        by at most the standard deviation of Y for a unit of frequency.
        """
        looks = self._transforms.looks
        here = slice(max(int(np.searchsorted(looks, start)) - 1, 0), int(np.searchsorted(looks, until)) + 1)
        if start < looks[0] or until > looks[-1]:
            return False
        reach = (2 ** (0.5 / LOOKS) - 1) * 2 ** (0.5 / LOOKS) * looks[here]
        glimpses = {int(s): self._transforms.glimpse(int(s), self._rule[s]) for s in self._streams}
        seen, bound = np.zeros(reach.size), np.zeros(reach.size)
        mixes = self._mixes or [(np.eye(self._heads.size)[s], heads) for s, heads in enumerate(self._heads)]
        for shares, people in mixes:
            rates = {s: shares[s] * self._model.streams[s].rate for s in glimpses if s < shares.size and shares[s]}
            change = sum((rate * (glimpses[s].transform[here] - 1) for s, rate in rates.items()), np.zeros(reach.size))
            square = sum(rate * glimpses[s].mean_square for s, rate in rates.items())
            sd = math.sqrt(max(square - sum(rate * glimpses[s].mean for s, rate in rates.items()) ** 2, 0.0))
            apart = np.sqrt(np.maximum(1 - np.abs(1 + change) ** 2, 0.0))
            seen += people / 2 * np.log1p(-(np.clip(apart, 0.0, 0.999) ** 2))
            bound += people / 2 * np.log1p(-(np.clip(apart - sd * reach - _SEEN_TO, 0.0, 0.999) ** 2))
        return bool(bound[_fallen(seen) :].max() <= math.log(_NOTHING))

    def largest(self, expected: float) -> float:
        """The most that the rule keeps of a patient, but for so many who cost more."""
        most = 0.0
        for s in self._streams:
            survival = min(expected / self._expected[s], 0.5)
            cost = float(self._model.streams[s].severity.isf(survival)) * float(self._factors[:, s].max())
            costs = np.append(cost, [min(step.at, cost) for step in self._rule[s]])
            # a charge comes at once above its threshold
            costs = np.append(costs, np.nextafter(costs, np.inf))
            most = max(most, float(self._transforms.kept(self._rule[s], costs).max()))
        return most

    def lattice(self, span: float) -> tuple[Callable[[Array], Complex], float]:
        """E[exp(i·t·total); on a lattice] as a function of frequency, and the lattice's unit."""
        amounts, expected = self._amounts()
        unit, chosen = unit_of(amounts, expected, span) if amounts.size else (0.0, np.empty(0, bool))
        held = np.append(0.0, amounts[chosen])
        nodes = joint_nodes(self._model.joint_shocks)
        chances = {s: self._chances(s, held, nodes.factors[:, s]) for s in self._streams}
        self._left = self._smooth_bound(held)

        def transform(frequency: Array) -> Complex:
            found = np.empty(frequency.size, complex)
            step = max(1, _CHUNK // nodes.weights.size)
            for start in range(0, frequency.size, step):
                turns = np.exp(1j * np.outer(held, frequency[start : start + step]))
                # the few distinct factors of a stream stand for all nodes
                log_product = self._log_product({s: chances[s] @ turns for s in chances})
                found[start : start + step] = nodes.weights @ np.exp(log_product)
            return found

        return transform, unit or span

    def needed(self, bearable: float, most: float) -> tuple[float, float]:
        """The frequency up to which a series must reach for an error of probabilities, and what it then leaves out."""
        assert self._left is not None
        grid = self._transforms.grid
        smeared = self.smeared_from(most)
        if smeared < most:
            return smeared, self.smeared(smeared)
        # Σ 2·|φ|/(πk) from a frequency on, an interval of the grid at a time
        each = 2 / math.pi * np.log(grid[1:] / grid[:-1]) * self._left[:-1]
        each = np.append(each, 0.0 if self._left[-1] < _NOTHING else math.inf)
        left_out = np.cumsum(each[::-1])[::-1] + _NOTHING
        until = min(self._first(left_out <= bearable), most)
        place = int(np.searchsorted(grid, until * (1 + 1e-12), side="right")) - 1
        return until, min(float(left_out[place]), self.smeared(until))

    # ── what yearly shocks smear ─────────────────────────────────────────────────────────────────

    @cached_property
    def _smears(self) -> list[Smear]:
        return smears(self._model, self._rule, self._expected)

    def smeared(self, frequency: float) -> float:
        """Bound on what a series that ends at a frequency leaves out of a chance, as shocks smear the total."""
        return min((smear.left_out(frequency) for smear in self._smears), default=math.inf)

    def smeared_from(self, most: float) -> float:
        """The frequency, or the most, from which on a series leaves out next to nothing, by that bound."""
        frequencies = most * np.exp2(np.arange(-20, 0, 0.125))
        left_out = np.array([self.smeared(float(frequency)) for frequency in frequencies])
        aims = [frequencies[left_out <= bearable] for bearable in _SMEARED]
        return next((float(found[0]) for found in aims if found.size), most)

    # ── one population, from its people ──────────────────────────────────────────────────────────

    def _log_product(self, of_user: Mapping[int, NDArray[np.inexact]]) -> NDArray[np.inexact]:
        """Logarithm of the product over all people of 1 − rate + rate·v, v being `of_user` of each stream."""
        total: NDArray[np.inexact] = np.zeros(1)
        mixed: list[NDArray[np.inexact]] = [np.ones(1) for _ in self._mixes]
        for s in self._streams:
            change = self._model.streams[s].rate * (of_user[s] - 1)
            if s >= self._heads.size:
                total = total + self._heads.sum() * change
            elif not self._mixes:
                total = total + self._heads[s] * _log(1 + change)
            else:
                mixed = [one + shares[s] * change for one, (shares, _) in zip(mixed, self._mixes, strict=True)]
        for one, (_, drawn) in zip(mixed, self._mixes, strict=True):
            total = total + drawn * _log(one)
        return total

    def _amounts(self) -> tuple[Array, Array]:
        """Amounts above 0 that have a chance under all usual factors, and people expected at each."""
        every = [np.concatenate([spread.amounts for spread in at.values()]) for at in self._spreads]
        people = np.concatenate([self._expected[s] * spread.chances for s, spread in self._spreads[0].items()])
        for other in every[1:]:
            people = np.where(np.isin(every[0], other), people, 0.0)
        found, place = np.unique(every[0], return_inverse=True)
        people = np.asarray(np.bincount(place, people, found.size), float)
        return found[(found > 0) & (people > 0)], people[(found > 0) & (people > 0)]

    def _chances(self, stream: int, held: Array, factors: Array) -> Array:
        """Chance of each amount that is held, for a user at each factor, shape (factor, amount)."""
        few, back = np.unique(factors, return_inverse=True)
        rows = [_at(self._transforms.spread(stream, self._rule[stream], float(factor)), held) for factor in few]
        return np.stack(rows)[back]

    def _smooth_bound(self, held: Array) -> Array:
        """Bound on the transform of what is not on the lattice, at each frequency of the grid and beyond."""
        bounds = []
        for at in self._spreads:
            kept = {s: _at(at[s], held).sum() for s in at}
            whole = self._log_product({s: at[s].chances.sum() + at[s].unsmoothed for s in at})
            lattice = self._log_product({s: np.full(1, kept[s]) for s in kept})
            bounds.append(np.maximum(np.exp(whole) - np.exp(lattice), 0.0).real)
        return np.asarray(np.max(bounds, axis=0))

    def _first(self, holds: NDArray[np.bool_]) -> float:
        """The first frequency of the grid from which on something holds."""
        missed = np.flatnonzero(~holds)
        place = missed[-1] + 1 if missed.size else 0
        return float(self._transforms.grid[place]) if place < holds.size else math.inf


_NOTHING = 2e-9
"""Of a transform, what counts as nothing."""


def _fallen(amplitude: Array) -> int:
    """Where a transform that shocks have made fade is gone without them too, if until there it but falls."""
    gone = np.flatnonzero(amplitude <= 1.5 * math.log(_NOTHING))
    first = int(gone[0]) if gone.size else 0
    return first if (np.diff(amplitude[: first + 1]) < 0).all() else 0


def _log(values: NDArray[np.inexact]) -> NDArray[np.inexact]:
    with np.errstate(divide="ignore"):
        # shares of a case mix sum to 1 but for rounding: what is left of nothing may lie below 0
        return np.log(values if np.iscomplexobj(values) else np.maximum(values, 0.0))


def _at(spread: Spread, held: Array) -> Array:
    """Chance of each amount that is held."""
    place = np.clip(np.searchsorted(spread.amounts, held), 0, max(spread.amounts.size - 1, 0))
    if not spread.amounts.size:
        return np.zeros(held.size)
    return np.where(spread.amounts[place] == held, spread.chances[place], 0.0)


def _usual_factors(nodes: ShockNodes, gross: Array) -> Array:
    """Factors of all streams in an ordinary year and in two at the ends of what is usual, shape (row, stream)."""
    if nodes.weights.size == 1:
        return nodes.factors
    order = np.argsort(nodes.factors @ gross)
    up_to = np.cumsum(nodes.weights[order])
    places = order[np.searchsorted(up_to, [0.5, _USUAL, 1 - _USUAL])]
    return np.asarray(nodes.factors[places])
