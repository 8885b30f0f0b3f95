"""How yearly shocks smear a total, whatever its costs: a bound on what a series leaves out.

Given who needs what, a total is S(λ) = c + λB between the factors λ at which a patient passes a threshold. By parts, m
times, E[exp(itS)] is at most a sum of powers of 1/(tB): of the density of λ and its derivatives at the passings and at
the ends of its range, and of the mean size of the m-th derivative.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

from ..costs.families.base import Severity
from ..costs.model import CostModel
from ..costs.shocks import SHOCK_BOUND, RareShock, Shock
from .transforms import Rule

Array = NDArray[np.float64]

_ORDERS = 40
_NEGLECTED = 1e-8
"""Chance of so little spread that shocks smear it too little."""
_SHARE_OF_NEGLECTED = 10.0  # 1 + Σ 2/(πk): what a series of many terms makes of a part of the law
_CELLS = np.linspace(1.0, 0.0, 513)  # survival probabilities
_SCORES = np.linspace(-SHOCK_BOUND, SHOCK_BOUND, 1_201)
_SLACK = 1.02  # what a mesh of scores may miss


class Smear(NamedTuple):
    """Σ 2/(πk)·|φ| over the terms of a series from one frequency on is at most Σ coefficient · frequency^−power."""

    logs: Array
    """Logarithms of the coefficients of the powers 1, 2, …, shape (order,): of what passes and of the ends."""
    smooth: Array
    """The same of the mean derivative, which closes the sum at each power."""

    def left_out(self, frequency: float) -> float:
        """Bound on what a series leaves out of a chance that ends at this frequency."""
        fall = np.arange(1, self.logs.size + 1) * math.log(frequency)
        passing = np.cumsum(np.exp(np.minimum(self.logs - fall, 700.0)))
        closing = np.exp(np.minimum(self.smooth - fall, 700.0))
        return float((passing + closing).min(initial=math.inf)) + _NEGLECTED * _SHARE_OF_NEGLECTED


NO_SMEAR = Smear(np.full(1, np.inf), np.full(1, np.inf))


def smears(model: CostModel, rule: Rule, expected: Array) -> list[Smear]:
    """The bound by each yearly shock; of one that is correlated, by what the others' scores leave open."""
    joint = model.joint_shocks
    return [
        _smear(model, rule, expected, k)
        for k, shock in enumerate(joint.shocks)
        if isinstance(shock, Shock) and shock.sigma and (expected[joint.hits[k]] > 0).any()
    ]


def _smear(model: CostModel, rule: Rule, expected: Array, place: int) -> Smear:
    joint = model.joint_shocks
    shock = joint.shocks[place]
    assert isinstance(shock, Shock)
    streams = [int(s) for s in np.flatnonzero(joint.hits[place] & (expected > 0))]
    # given the others' scores, its own is normal with this sd, and with a mean that may be as far as this
    free = 1 / math.sqrt(float(np.linalg.inv(joint.correlation)[place, place]))
    sigma, pulled = shock.sigma * free, math.exp(shock.sigma * SHOCK_BOUND * math.sqrt(max(1 - free**2, 0.0)))
    own = shock.scale * np.exp(sigma * _SCORES)
    others = [other for k, other in enumerate(joint.shocks) if k != place]
    hits = np.delete(joint.hits, place, axis=0)
    reach = {s: _range([one for one, hit in zip(others, hits[:, s], strict=True) if hit], pulled) for s in streams}
    moved = _moved(model, rule, expected, {s: (reach[s][0], reach[s][1] * own[-1]) for s in streams})
    if not moved:
        return NO_SMEAR
    passings = [
        (step, expected[s] * _passing(model.streams[s].severity, step.at / own, reach[s]))
        for s in streams
        for step in rule[s]
    ]
    logs, smooth = np.full((2, _ORDERS), -math.inf)
    spread = math.log(sigma * moved)
    density, polynomial = np.exp(-(_SCORES**2) / 2) / math.sqrt(2 * math.pi), Polynomial([1.0])
    for order in range(_ORDERS):
        # the derivative of this order of the density of λ, but for the power of its sigma and of the least B
        size = np.abs(polynomial(_SCORES)) * density / own ** (order + 1)
        passing = float(size[0] + size[-1])
        for step, chances in passings:
            jumps = bool(step.whole_share or step.charge)
            change = size * (2.0 if jumps else (order + 1) * step.excess_share * step.at / own / moved)
            most = np.maximum(change[1:], change[:-1]) if chances.size > 1 else change.max(keepdims=True)
            passing += float(chances @ most) * _SLACK
        summed = math.log(1.5 * 2 / math.pi / (order + 1)) - (order + 1) * spread
        logs[order] = summed + math.log(passing)
        polynomial = polynomial.deriv() - Polynomial([(order + 1) * sigma, 1.0]) * polynomial
        closing = np.abs(polynomial(_SCORES)) * density / own ** (order + 1)
        mean = float(closing.mean() * (_SCORES[-1] - _SCORES[0])) * _SLACK
        smooth[order] = summed + math.log(mean)
    return Smear(logs, smooth)


def _passing(severity: Severity, at: Array, reach: tuple[float, float]) -> Array:
    """Chance that a patient passes a cost that falls with the factor, between any two factors; or at all."""
    if reach == (1.0, 1.0):
        return np.asarray(np.diff(severity.sf(at)))
    return np.asarray(np.diff(severity.sf(at[[0, -1]] / reach)))


def _range(shocks: Sequence[Shock | RareShock], pulled: float) -> tuple[float, float]:
    """The least and the largest product of factors, and of one that lies between a number and one over it."""
    low, high = 1 / pulled, pulled
    for shock in shocks:
        levels = (
            shock.levels
            if isinstance(shock, RareShock)
            else (shock.scale * math.exp(-shock.sigma * SHOCK_BOUND), shock.largest)
        )
        low, high = low * min(levels), high * max(levels)
    return low, high


def _moved(model: CostModel, rule: Rule, expected: Array, reach: dict[int, tuple[float, float]]) -> float:
    """What of the total surely moves with the factor: no less, but for a chance that is neglected; 0 if it may be."""
    costs, chances, everybody = [], [], True
    for s, (low, high) in reach.items():
        severity = model.streams[s].severity
        at = severity.isf(np.clip(_CELLS, 1e-300, 1.0))
        most = min((step.at / high for step in rule[s]), default=math.inf)
        everybody = everybody and not rule[s]
        costs.append(np.where(at[1:] <= most, at[:-1] * low, 0.0))
        chances.append(expected[s] * -np.diff(_CELLS))
    cost, chance = np.concatenate(costs), np.concatenate(chances)
    # where all costs move, a total that does not is one of nothing, which lies on the lattice
    nobody = 0.0 if everybody and set(reach) == set(np.flatnonzero(expected)) else math.exp(-chance[cost > 0].sum())
    mean = float(chance @ cost)
    if not mean:
        return 0.0
    for moved in mean * np.exp2(-np.arange(0.25, 30, 0.25)):
        tilts = np.exp2(np.arange(-3.0, 12.0, 0.5)) / mean
        laplace = (chance @ np.expm1(-np.outer(cost, tilts))) + tilts * moved
        few = sum(expected[s] * float(1 - model.streams[s].severity.sf(moved / low)) for s, (low, _) in reach.items())
        if min(math.exp(min(float(laplace.min()), 0.0)), few + nobody) <= _NEGLECTED:
            return float(moved)
    return 0.0
