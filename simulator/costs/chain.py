"""The chain of states over years: segment and class of whoever holds a place on the list, of plain arrays.

A state is z = segment · classes + class. People who stay keep their class or draw it afresh, and move between segments;
leavers are replaced so that the case mix stays. Each place is one independent chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
import scipy

from ..errors import Contradiction, SimulatorError, mistake
from .families.slabs import Slabs
from .persistence import MOST, ONE, PUBLISHED, Classes, gaussian, slab_moments
from .quadrature import Array
from .segment import RareService, Segment, Stream, person_isf
from .years import Persistence, Years

if TYPE_CHECKING:
    from .model import Population

_BALANCED = 1e-12
_MET = 1e-9


@dataclass(frozen=True)
class YearlyModel:
    """States of people, how they change from year to year, and what people in each state cost."""

    years: tuple[int, ...]
    """In order, contract year 1 among them."""
    classes: Classes
    start: Array
    """Law of the state of one place in contract year 1; shape (unit or 1, state)."""
    forward: Array
    """Chance of each state one year on, leavers replaced; shape (unit or 1, state, state), rows add to 1."""
    backward: Array
    """The same one year back."""
    staying: Array
    """Of people: chance to be still there and in each state one year on; shape (state, state)."""
    membership: Literal["fixed", "sampled", "held"]
    trend: Array
    """Factor on cost, 1 in year 1; shape (year, stream)."""
    growth: Array
    """People as a multiple of those of year 1; shape (year,)."""
    index: Array
    """Factor on thresholds in money; shape (year,)."""
    streams: tuple[Stream, ...]
    """One for each state, then the rare services."""
    rare_persistence: Array
    """Share of a rare service's events that recur; shape (rare service,)."""

    @property
    def n_classes(self) -> int:
        """Classes of people."""
        return int(self.class_shares.size)

    @property
    def class_shares(self) -> Array:
        """People of each class; shape (class,)."""
        return self.classes.shares

    @property
    def repeats(self) -> list[int]:
        """How many streams stand for each segment and rare service of one year."""
        segments, rare = self.start.shape[1] // self.n_classes, self.rare_persistence.size
        return [self.n_classes] * segments + [1] * rare

    def laws_in(self, year: int) -> Array:
        """Law of the state in a year of who is in each segment in year 1, shape (unit or 1, segment, state)."""
        law = np.kron(np.eye(self.start.shape[1] // self.n_classes), self.class_shares)
        chain = self.forward if year > 1 else self.backward
        return np.stack([law @ np.linalg.matrix_power(one, abs(year - 1)) for one in chain])

    @classmethod
    def of(cls, population: Population, years: Years) -> YearlyModel:
        """From the terms of a model; figures to be met are calibrated here."""
        names = [segment.name for segment in population.segments]
        leavers, moves = years.by_segment(names)
        classes = classes_of(population, years)
        mixes = _mixes(population)
        chains = [_forward(mix, leavers, moves, classes, population.membership) for mix in mixes]
        start = np.stack([np.kron(mix, classes.shares) for mix in mixes])
        rare = population.rare_services
        trends = years.trends([*names, *(service.name for service in rare)])
        repeats = [classes.shares.size] * len(names) + [1] * len(rare)
        return cls(
            years.years, classes, start, np.stack(chains),
            np.stack([_reversed(law, chain) for law, chain in zip(start, chains, strict=True)]),
            (1 - np.repeat(leavers, classes.shares.size))[:, None] * np.kron(moves, classes.chain),
            population.membership, np.repeat(trends, repeats, axis=1), years.factors(years.growth),
            years.factors(years.index_thresholds), (*_streams(population.segments, classes), *map(rare_stream, rare)),
            np.array([service.persistence or 0.0 for service in rare], float),
        )  # fmt: skip


def rare_stream(service: RareService) -> Stream:
    """The events of a rare service."""
    return Stream(service.name, False, service.in_scope, service.rate_per_100k / 100_000, service.price)


def _streams(segments: Sequence[Segment], classes: Classes) -> list[Stream]:
    """What the people of each state cost."""
    if classes is ONE:
        return [Stream(s.name, True, True, s.p_user, s.users_severity) for s in segments]
    found = []
    for segment in segments:
        p, law = segment.p_user, segment.users_severity
        users = classes.below(p)
        edges = np.append(classes.slabs[(classes.slabs > 0) & (classes.slabs < p)], p)
        # a class without users, or that nobody is in, has the law of all
        chances = np.where(
            users > 0, np.diff(classes.below(edges), axis=0, prepend=0.0), np.diff(edges, prepend=0)[:, None]
        )
        chances = chances / chances.sum(axis=0)
        for c, (user, chance) in enumerate(zip(users.tolist(), chances.T, strict=True)):
            own = Slabs(parent=law, edges=(*(edges[:-1] / p).tolist(), 1.0), weights=tuple(chance.tolist()))
            found.append(Stream(f"{segment.name}, class {c + 1}", True, True, user, own))
    return found


def _mixes(population: Population) -> list[Array]:
    """Shares of the segments in each unit, or of all where no unit has its own."""
    if all(unit.shares is None for unit in population.units):
        return [population.shares]
    return [population.shares_of(unit) for unit in population.units]


def _entrants(mix: Array, leavers: Array, moves: Array) -> Array:
    """Segments of whoever takes the places of leavers; the case mix stays. Of shape (segment,)."""
    gone = float(mix @ leavers)
    short = mix - (mix * (1 - leavers)) @ moves
    return short / gone if gone else short


def unbalanced(population: Population, years: Years) -> Contradiction | None:
    """What is wrong with leavers and moves that no entrants can make up for."""
    leavers, moves = years.by_segment([segment.name for segment in population.segments])
    for place, mix in enumerate(_mixes(population)):
        entrants, gone = _entrants(mix, leavers, moves), float(mix @ leavers)
        least = int(np.argmin(entrants))
        whose = f" in {population.units[place].name!r}" if len(_mixes(population)) > 1 else ""
        bound = f"let more people into {population.segments[least].name!r}{whose} than leave it"
        mend = "make moves smaller, or leavers more" if gone else "with no leavers, moves must balance"
        if entrants[least] < -_BALANCED:
            return ("moves",), mistake(bound, mend, value=None)
    return None


def _forward(mix: Array, leavers: Array, moves: Array, classes: Classes, membership: str) -> Array:
    """From state to state of one place by the next year, whoever holds it."""
    n = classes.shares.size
    if membership == "held":
        kept = (1 - leavers) * np.diag(moves)
        afresh = np.tile(classes.shares, (n, 1))
        return np.kron(np.diag(kept), classes.chain) + np.kron(np.diag(1 - kept), afresh)
    stay = np.kron((1 - leavers)[:, None] * moves, classes.chain)
    entrants = np.kron(np.maximum(_entrants(mix, leavers, moves), 0.0), classes.shares)
    return np.asarray(stay + np.outer(np.repeat(leavers, n), entrants / (entrants.sum() or 1.0)))


def _reversed(law: Array, chain: Array) -> Array:
    """The chain backwards in time; a state that nobody is in leads to itself."""
    there = law > 0
    back = np.eye(law.size)
    back[there] = (chain * law[:, None]).T[there] / law[there, None]
    return np.asarray(back / back.sum(axis=1, keepdims=True))


# ── what classes imply, of people who are still there ────────────────────────────────────────────


class Flow:
    """People by segment and class, and where those who stay are some years on."""

    def __init__(self, population: Population, years: Years, classes: Classes) -> None:
        self.leavers, self.moves = years.by_segment([segment.name for segment in population.segments])
        self.classes, self.shares = classes, population.shares
        self.law = self.shares[:, None] * classes.shares

    def on(self, amount: Array, lag: int) -> Array:
        """What was there by segment and class, (segment, class, …), by where its people are `lag` years on."""
        for _ in range(lag):
            staying = (1 - self.leavers).reshape(-1, *[1] * (amount.ndim - 1)) * amount
            amount = np.einsum("hg,hc...,ck->gk...", self.moves, staying, self.classes.chain)
        return amount

    def again(self, top: Array, lag: int) -> float:
        """Of people who were among the costliest, `top` (segment, class) the chance to be, the share again."""
        later = self.on(self.law * top, lag)
        return float((later * top).sum() / later.sum())

    def correlation(self, mean: Array, square: Array, lag: int) -> float:
        """Of a person's cost with the same person's `lag` years on; both moments (segment, class)."""
        here, later = self.on(self.law, lag), self.on(self.law * mean, lag)
        stayed = here.sum()
        first, second = later.sum() / stayed, (here * mean).sum() / stayed
        left = self.on(self.law * square, lag).sum() / stayed - first**2
        right = (here * square).sum() / stayed - second**2
        return float(((later * mean).sum() / stayed - first * second) / np.sqrt(left * right))


def cut(population: Population, top: float) -> float:
    """Cost that this share of all people exceed, money a year."""
    return person_isf(population.segments, population.shares, top)


def ranks(population: Population, top: float) -> Array:
    """Share of each segment's people among the costliest of all; shape (segment,)."""
    cost = cut(population, top)
    return np.array([s.p_user * float(s.users_severity.sf(cost)) for s in population.segments])


def classes_of(population: Population, years: Years) -> Classes:
    """The classes that [years] asks for, calibrated where it gives figures."""
    asked = PUBLISHED if years.persistence == "published" else years.persistence
    if isinstance(asked, str):
        return ONE
    if asked.weights:
        weights = np.array(asked.weights)
        stay = np.broadcast_to(np.asarray(asked.stay, float), weights.shape[1])
        return Classes(np.append(0.0, asked.slabs), weights, stay)
    # what else [years] holds does not bear on who stays
    leaving = years.model_copy(
        update={"contract": 1, "before": 0, "trend": 0.0, "growth": 0.0, "index_thresholds": 0.0}
    )
    people = population.as_one.model_copy(update={"rare_services": (), "parameter_sets": None, "membership": "fixed"})
    return _calibrated(people, leaving, asked)


@lru_cache(maxsize=64)
def _calibrated(population: Population, years: Years, asked: Persistence) -> Classes:
    """Classes by a copula that meets figures: its strength, the chance to keep a class, and the permanent share."""
    tops = {top: ranks(population, top) for top in asked.again_in_top}
    slabs, moments = gaussian(0.0, 0.0).slabs, np.empty((3, 0, 0))
    if asked.correlation:
        if any(s.users_severity.tail_index <= 2 for s in population.segments):
            bound = "has a correlation to be met, and costs with an infinite variance have none"
            raise SimulatorError("years.persistence", None, bound, "give again_in_top, or lighter tails")
        moments = np.stack([slab_moments(s, slabs) for s in population.segments], axis=1)
    wanted = np.array(
        [*(v for by_lag in asked.again_in_top.values() for v in by_lag.values()), *asked.correlation.values()]
    )
    unknown = ["strength", *(["stay"] if asked.stay is None else []), "permanent"][: wanted.size]

    def classes(figures: Array) -> Classes:
        given = {"stay": asked.stay} | dict(zip(unknown, figures.tolist(), strict=True))
        return gaussian(**given)

    def missed(figures: Array) -> Array:
        flow = Flow(population, years, classes(figures))
        own = {top: flow.classes.below(share) for top, share in tops.items()}
        found = [flow.again(own[top], lag) for top, by_lag in asked.again_in_top.items() for lag in by_lag]
        if asked.correlation:
            _, mean, square = moments @ flow.classes.own
            found += [flow.correlation(mean, square, lag) for lag in asked.correlation]
        return np.array(found) - wanted

    ends = np.zeros(len(unknown)), np.array([MOST, *[1.0] * (len(unknown) - 1)])
    with np.errstate(invalid="ignore"):
        best = missed(ends[0])
    if not np.isfinite(best).all():
        bound = "has figures of people of whom there are none: nobody stays, or all cost the same"
        raise SimulatorError("years.persistence", None, bound, 'lower leavers, or give persistence = "none"')
    for start in ([0.7, 0.95, 0.3], [0.9, 0.8, 0.6], [0.5, 0.99, 0.1], [0.99, 0.99, 0.01]):
        fit = scipy.optimize.least_squares(
            missed, start[: len(unknown)], bounds=ends, xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=100
        )
        if np.abs(fit.fun).max() < _MET:
            return classes(fit.x)
        best = min(best, fit.fun, key=lambda found: float(np.abs(found).max()))
    told, nearest = (", ".join(f"{value:.4g}" for value in found) for found in (wanted, best + wanted))
    bound = f"has figures ({told}) that no such classes have; the nearest are {nearest}"
    raise SimulatorError("years.persistence", None, bound, "give figures closer to these, or moves that people make")
