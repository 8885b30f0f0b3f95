"""The whole law of a population's cost without draws: the characteristic function, inverted by a cosine series.

Given the common shocks, people are independent, so the characteristic function of the total is a product over people;
the shocks are integrated out in the frequency domain. The series is that of Fang and Oosterlee [1]_.

References
----------
.. [1] Fang, Oosterlee (2008), A novel pricing method for European options based on Fourier-cosine series expansions.
       SIAM J Sci Comput 31:826-848.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from ..costs.shock_nodes import ShockNodes, count_of, factor_range, joint_nodes
from ..costs.shocks import JointShocks
from .lattice import lattice_of
from .law import Law
from .steps import Steps
from .transforms import Rule, Step, Transforms, to_terms

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

TAIL_MASS = 1e-8
"""Chance of a total beyond the series' range that is aimed at."""
_REACH = 9.0  # standard deviations that a normal total may stray
_FADED = 1e-9  # of the last terms of a series that is long enough
_GONE = 2e-9  # of a block of frequencies after which nothing is left; a truncated shock leaves some 1e-9 for ever
_MOST_TERMS = 16_384
_DEGREES = (11, 23, 47, 95, 191)  # of the polynomial that carries logarithms from few factors to all
_CARRIED = 1e-10  # its error that is aimed at
_SHORTEST, _LONGEST = 1 << 11, 1 << 16  # the most terms of a law that has steps
_MOST_WORK = 3_000_000  # terms times nodes of the shocks
_LEFT_OUT, _BEARABLE = 1e-7, 2e-4  # of a series: what is aimed at, and what has it tapered
_BLOCK, _LARGE_BLOCK = 32, 512  # frequencies that share their nodes, also in a long series


def law(transforms: Transforms, heads: NDArray[np.int64], rule: Rule, mean: float, sd: float) -> Law:
    """The distribution of the total that a rule keeps of what is in scope."""
    total = _Total(transforms, heads, rule, mean)
    low, high, beyond = total.range(mean, sd)
    sure, longest = 0.0, _MOST_TERMS * np.pi / (high - low)
    if math.isinf(total.steps.fades_from):
        # observed costs: only where shocks smear them is there a frequency from which on nothing is left
        observed = any(stream.severity.has_atoms for stream in transforms.model.streams)
        sure = total.steps.smeared_from(longest) if observed else longest
        if sure >= longest:
            return _stepped_law(total, mean, sd)
    count = int(min(max(64, 1.1 * _REACH * (high - low) / (np.pi * sd), 2 + sure * (high - low) / np.pi), _MOST_TERMS))
    while True:
        frequency = np.pi * np.arange(1, count, dtype=float) / (high - low)
        characteristic, error = total.characteristic(frequency, sure)
        # few people, or one cost that dwarfs all others: the law is far from normal, and its series longer
        unfaded = float(np.abs(characteristic[-max(8, count // 16) :]).max())
        if unfaded < _FADED or count >= _MOST_TERMS:
            break
        count = min(2 * count, _MOST_TERMS)
    if unfaded >= _FADED or (not sure and total.steps.may_return(total.amplitude, float(frequency[-1]))):
        return _stepped_law(total, mean, sd)
    left_out = total.steps.smeared(float(frequency[-1])) if sure else 0.0
    terms = np.append(1.0, 2 * np.real(characteristic * np.exp(-1j * frequency * low)))
    return Law(low, high, terms, mean, max(beyond, unfaded, error, left_out))


def _stepped_law(total: _Total, mean: float, sd: float) -> Law:
    """A law that is a lattice, or nearly one: its steps are taken out, and a long series left for what is smooth."""
    low, high, beyond = total.range(mean, sd, few=True)
    on_lattice, unit = total.steps.lattice(high - low)
    lattice = lattice_of(on_lattice, unit, low, high)
    longest = total.longest(high - low)
    until, left_out = total.steps.needed(_LEFT_OUT, longest * np.pi / (high - low))
    count = int(np.clip(math.ceil(until * (high - low) / np.pi) + 1, 64, longest))
    frequency = np.pi * np.arange(1, count, dtype=float) / (high - low)
    characteristic, error = total.characteristic(frequency, math.inf)
    smooth = characteristic - on_lattice(frequency)
    terms = np.append(1.0 - lattice.chances.sum(), 2 * np.real(smooth * np.exp(-1j * frequency * low)))
    tapered = left_out > _BEARABLE
    return Law(low, high, terms, mean, max(beyond, error, 0.0 if tapered else left_out), lattice, tapered)


class _Total:
    """The total that a rule keeps of one population."""

    def __init__(self, transforms: Transforms, heads: NDArray[np.int64], rule: Rule, mean: float) -> None:
        self._transforms, self._heads, self._rule = transforms, heads, rule
        self._model = model = transforms.model
        people, segments = float(heads.sum()), heads.size
        usual = people * model.shares if model.sampled else heads.astype(float)
        paid = [people if stream.in_scope else 0.0 for stream in model.streams[segments:]]
        self._expected = np.array([*usual, *paid]) * [stream.rate for stream in model.streams]
        """Expected users, or events, of each stream that is in scope."""
        self._gross = self._expected * transforms.means
        self._mixes = model.case_mixes(heads) if model.sampled else []
        self._kept_share = min(mean / self._gross.sum(), 1.0)
        self._degree = 0
        self.steps = Steps(transforms, heads, rule, self._expected)

    def range(self, mean: float, sd: float, few: bool = False) -> tuple[float, float, float]:
        """Bounds of the series and the chance of a total outside them, where there may be few users too."""
        low, high, most = max(mean - _REACH * sd, 0.0), mean + _REACH * sd, 0.0
        if self._model.shocks:
            nodes = joint_nodes(self._model.joint_shocks, pull=self._gross / self._gross.sum())
            apart, least, most = _extremes(nodes, self._gross)
            # more than the normal reach where a rare shock is large, or a yearly one far from normal
            luck = math.sqrt(max(sd**2 - apart, 0.0))
            low = max(min(low, mean + least - _REACH * luck), 0.0)
            high = max(high, mean + most + _REACH * luck)
        reach, half = high - mean, (high - mean) / 2
        # one patient far beyond all others is how a heavy tail reaches far: a total beyond needs one of that size
        while self._beyond(reach - half) > TAIL_MASS and reach < 2_000 * sd:
            reach *= 1.15
        if few:
            # Bennett: many patients of the largest size that is expected at all
            size = self.steps.largest(TAIL_MASS)
            while _bennett(reach - most, sd**2, size) > TAIL_MASS / 10 and reach < 2_000 * sd:
                reach *= 1.15
        return low, mean + reach, max(self._beyond(reach - half), TAIL_MASS / 10 if few else 1e-12)

    def _beyond(self, excess: float) -> float:
        """Expected patients of whom the rule keeps more than this."""
        chance, largest = 0.0, self._model.largest_factors
        for s, stream in enumerate(self._model.streams):
            if self._expected[s] and largest_kept(self._rule[s]) > excess:
                chance += self._expected[s] * float(stream.severity.sf(excess / largest[s]))
        return chance

    def amplitude(self, frequency: Array) -> Array:
        """Logarithm of the size of E[exp(i·t·total)] at frequencies above 0, without shocks."""
        carrier = _Carrier(self._model.joint_shocks, np.ones((1, self._gross.size)))
        return np.asarray(self._exponent(frequency, carrier).real.ravel())

    def longest(self, span: float) -> int:
        """The most terms that a series over so much money may have."""
        most, pull = _LONGEST, self.steps.pull * (np.pi / span)
        if not self._model.shocks:
            return most
        most //= 2
        while most > _SHORTEST:
            if most * count_of(self._model.joint_shocks, most * pull) <= _MOST_WORK:
                break
            most //= 2
        return most

    def characteristic(self, frequency: Array, sure: float) -> tuple[Complex, float]:
        """E[exp(i·t·total)] at ascending frequencies above 0, and the error of what carries and integrates it.

        Where it has faded at a frequency that is `sure` or beyond, it is taken for nothing from there on.
        """
        if not self._model.shocks:
            return np.exp(
                self._exponent(frequency, _Carrier(self._model.joint_shocks, np.ones((1, self._gross.size)))).ravel()
            ), 0.0
        found, worst = np.zeros(frequency.size, complex), 0.0
        pull = self.steps.pull if sure else self._kept_share * self._gross
        size = _LARGE_BLOCK if sure and frequency.size > _LARGE_BLOCK else _BLOCK
        for start in range(0, frequency.size, size):
            block = frequency[start : start + size]
            nodes = joint_nodes(self._model.joint_shocks, pull=float(block[-1]) * pull)
            found[start : start + size], error = self._over_shocks(block, nodes)
            worst = max(worst, error)
            left = float(np.abs(found[start : start + size]).max())
            if left < _GONE and block[-1] >= sure:
                return found, max(worst, left)
        return found, worst

    def _over_shocks(self, frequency: Array, nodes: ShockNodes) -> tuple[Complex, float]:
        # given the shocks the logarithm is smooth in the factors, so polynomials carry it from few factors to all
        while True:
            carrier = _Carrier(self._model.joint_shocks, nodes.factors, _DEGREES[self._degree])
            exponent = self._exponent(frequency, carrier)
            error = float((carrier.left_out * np.exp(np.minimum(exponent.real.max(axis=0), 0.0))).max())
            if error < _CARRIED or self._degree == len(_DEGREES) - 1:
                break
            self._degree += 1
        if error >= _CARRIED:
            # a logarithm that no polynomial carries, as where a transform passes nothing: carry what it is taken of
            carrier.left_out = 0.0
            apart = self._exponent(frequency, carrier, apart=True)
            if float(np.max(carrier.left_out)) < error:
                exponent, error = apart, float(np.max(carrier.left_out))
        exponent.real = np.minimum(exponent.real, 1.0)
        given = np.exp(exponent)
        if nodes.is_quasi_random:
            half = nodes.weights.size // 2
            one, other = (part.mean(axis=0) for part in (given[:half], given[half:]))
            error = max(error, float(np.abs(one - other).max()))
        return np.asarray(nodes.weights @ given), error

    def _exponent(self, frequency: Array, carrier: _Carrier, apart: bool = False) -> Complex:
        """log E[exp(i·t·total)] given the factors, shape (node, f). Branches do not matter: heads are whole numbers.

        What is carried from few factors to all is the logarithm; or each segment's transform, `apart`.
        """
        streams, segments = self._model.streams, self._heads.size
        total: Complex = np.zeros((1, frequency.size), complex)
        for places in carrier.groups:
            logs = np.zeros((carrier.points(places[0]).size, frequency.size), complex)
            for s in places:
                if self._expected[s] and (s >= segments or not self._mixes):
                    change = streams[s].rate * self._change(s, frequency, carrier)
                    heads = float(self._heads[s] if s < segments else self._heads.sum())
                    if s < segments and apart:
                        total = total + heads * np.log1p(carrier.carry(places[0], change, heads))
                    else:
                        logs += heads * (_continued_log1p(change) if s < segments else change)
            total = total + carrier.carry(places[0], logs, 1.0)
        for shares, drawn in self._mixes:
            mixed: Complex = np.zeros((1, frequency.size), complex)
            for places in carrier.groups:
                changes = sum(
                    shares[s] * streams[s].rate * self._change(s, frequency, carrier)
                    for s in places
                    if s < segments and shares[s]
                )
                if not isinstance(changes, int):
                    mixed = mixed + carrier.carry(places[0], changes, drawn)
            total = total + drawn * np.log1p(mixed)
        return total

    def _change(self, stream: int, frequency: Array, carrier: _Carrier) -> Complex:
        return self._transforms.change(stream, self._rule[stream], carrier.points(stream), frequency).T


class _Carrier:
    """Polynomials in the factor, from Chebyshev's points to the nodes; streams hit by the same shocks share theirs."""

    def __init__(self, joint: JointShocks, factors: Array, degree: int = 0) -> None:
        low, high = factor_range(joint)
        self.groups = [np.flatnonzero(joint.group_of == g).tolist() for g in range(joint.groups.shape[1])]
        """Streams by the shocks that hit them."""
        self.left_out: Array | float = 0.0
        """Last terms of the polynomials, by frequency: what they may leave out of the exponent."""
        self._points: dict[int, Array] = {}
        self._carried: dict[int, tuple[NDArray[Any], Array | None]] = {}
        for places in self.groups:
            own, first = factors[:, places[0]], places[0]
            few, back = np.unique(own, return_inverse=True)
            self._carried[first] = back, None
            if few.size > degree + 1:
                middle, half = (low[first] + high[first]) / 2, (high[first] - low[first]) / 2
                few = middle + half * chebyshev.chebpts1(degree + 1)
                self._carried[first] = chebyshev.chebvander((own - middle) / half, degree), to_terms(degree + 1)
            self._points |= dict.fromkeys(places, few)

    def points(self, stream: int) -> Array:
        """Factors at which a stream's function is worked out."""
        return self._points[stream]

    def carry(self, first: int, values: Complex, weight: float) -> Complex:
        """Values (point, f) of a group, by its first stream, at the nodes, shape (node, f)."""
        carried, to_terms = self._carried[first]
        if to_terms is None:
            return values[carried]
        terms = to_terms @ values
        self.left_out = self.left_out + weight * np.abs(terms[-2:]).sum(axis=0)
        return np.asarray(carried @ terms)


def _bennett(reach: float, variance: float, largest: float) -> float:
    """Bound on the chance of a total so far above its mean (Bennett 1962, JASA 57:33)."""
    u = max(reach, 0.0) * largest / variance
    return math.exp(-variance / largest**2 * ((1 + u) * math.log1p(u) - u))


def _continued_log1p(change: Complex) -> Complex:
    """log(1 + change), shape (factor, f), without jumps from one factor to the next, which no polynomial carries."""
    logs = np.log1p(change)
    logs.imag = np.unwrap(logs.imag, axis=0)
    return np.asarray(logs)


def _extremes(nodes: ShockNodes, gross: Array) -> tuple[float, float, float]:
    """Variance over the shocks of the mean gross cost, and how far it lies off at either end but for `TAIL_MASS`."""
    means = nodes.factors @ gross - gross.sum()
    order = np.argsort(means)
    up_to = np.cumsum(nodes.weights[order])
    least = means[order][np.searchsorted(up_to, TAIL_MASS / 10)]
    most = means[order][min(np.searchsorted(up_to, 1 - TAIL_MASS / 10), means.size - 1)]
    return float(nodes.weights @ means**2), float(least), float(most)


def largest_kept(steps: tuple[Step, ...]) -> float:
    """The most that the rule keeps of one patient whose cost knows no bound."""
    left = 1.0 - sum(step.excess_share + step.whole_share for step in steps)
    return math.inf if left > 1e-12 else sum(step.excess_share * step.at + step.charge for step in steps)
