"""Many designs settled on the same draws, one after another, and how far each is from its limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property, lru_cache, reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ...contracts.design import Design
from ...contracts.search import Demand, Search
from ...errors import SimulatorError
from ...settlement.clearing import Cleared
from ...settlement.populations import Populations
from ...settlement.year import ContractYear
from ...strata import exact_interval, mean_error, strata_of
from ...terms import Array

WORST = 0.01
"""The worst years of which the mean loss is limited."""
SAVED = 0.01
"""The saving, as a share of the retained cost, of which a provider keeps a part."""
HARD = 2.0
"""A hard limit must hold even where the retained cost is so many times as high."""
UNFIT = -9.0
"""Distance from every limit of figures that a design cannot have."""
_MOST_KEPT = 64  # budgets and exclusions that are worked out once


class Estimate(NamedTuple):
    """A figure and its standard error."""

    value: float
    error: float


class Bench:
    """Draws of one population size, and the demands that every design is held against."""

    def __init__(self, populations: Populations, base: Design, search: Search) -> None:
        self.populations, self.base, self.search = populations, base, search
        self.places, self.demands, self.n = search.places(base), search.demands, len(populations.replicates)
        self.strata = strata_of(populations.ledger)
        self._budgeted = [at for at, figure in enumerate(search.figures) if figure.path.startswith(("budget", "excl"))]
        self._years: dict[tuple[float, ...] | None, tuple[ContractYear, Array, Array]] = {}
        self.today = self.settled(base, None)

    def figures(self, place: Sequence[float]) -> tuple[float, ...]:
        """Values of the figures at a place of the unit cube."""
        return tuple(figure.at(float(at)) for figure, at in zip(self.search.figures, place, strict=True))

    def at(self, place: Sequence[float]) -> Settled | None:
        """The design at a place of the unit cube, settled; None where it cannot have these figures."""
        figures = self.figures(place)
        try:
            design = self.search.moved(self.base, figures, self.places)
        except SimulatorError:
            return None
        return self.settled(design, tuple(figures[at] for at in self._budgeted))

    def settled(self, design: Design, key: tuple[float, ...] | None) -> Settled:
        """A design on these draws; those with one key have the same budget and exclusion."""
        found = self._years.get(key)
        if found is None:
            year = ContractYear(self.populations, design, design.exclusion)
            found = year, year.budget(), year.cost
            if len(self._years) < _MOST_KEPT:
                self._years[key] = found
        return Settled(self, design, *found)

    @cached_property
    def _controls(self) -> tuple[Array, Array]:
        """An orthonormal basis of the costs drawn, and how far their means lie from what is expected exactly."""
        year = self._years[None][0]
        drawn = [self.today.retained - (1.0 - year.design.saves) * year.expected_cost] + (
            [year.excess - year.expected_excess] if np.ptp(year.excess) else []
        )
        columns = np.column_stack([one.reshape(self.n) for one in drawn])
        off = columns.mean(axis=0)
        basis, triangle = np.linalg.qr(columns - off)
        return basis, np.linalg.lstsq(triangle.T, off, rcond=1e-9)[0]

    @cached_property
    def weights(self) -> Array:
        """Of each replicate in a mean: with them the costs have exactly the means that are expected of them."""
        basis, off = self._controls
        return np.asarray(1.0 / self.n - basis @ off)

    def mean(self, values: Array) -> Estimate:
        """Expected value, the luck of the costs drawn taken out."""
        centred, basis = values - values.mean(), self._controls[0]
        error = mean_error(centred - basis @ (basis.T @ centred), self.strata)
        return Estimate(float(self.weights @ values), float(error))


@lru_cache(maxsize=256)
def most_events(n: int, at_most: float, confidence: float) -> int:
    """Most years in which something may have happened for its chance to be at most this, −1 where none may.

    By the one-sided exact bound of a binomial (Clopper and Pearson 1934).
    """
    upper = exact_interval(np.arange(n + 1), n, 2 * confidence - 1)[:, 1]
    return int(np.searchsorted(upper, at_most, side="right")) - 1


class Settled:
    """One design on the draws of a bench; all arrays are (replicate,), money per year."""

    def __init__(self, bench: Bench, design: Design, year: ContractYear, budget: Array, cost: Array) -> None:
        self.bench, self.design, self.retained, self._year, self._budget = bench, design, cost, year, budget
        self._lost: dict[str, Array] = {}
        self.cleared = self._cleared(cost)

    def _cleared(self, cost: Array) -> Cleared:
        self._year.design = self.design
        return self._year.clear_at(cost, self._budget)

    def otherwise(self, cost: Array) -> Settled:
        """The same contract and budget where the retained cost is another."""
        return Settled(self.bench, self.design, self._year, self._budget, cost)

    @property
    def members(self) -> float:
        """People, the same in every year."""
        return float(self.bench.populations.members.ravel()[0])

    @cached_property
    def budget(self) -> float:
        """Mean budget, money per year."""
        return float(np.mean(self._budget))

    def surplus(self, *parties: str) -> Array:
        """Of one or more parties together."""
        return reduce(np.add, map(self.cleared.accounts.surplus, parties)).reshape(-1)

    def lost(self, party: str) -> Array:
        """What a party loses, as a share of its revenue."""
        if party not in self._lost:
            self._lost[party] = -self.surplus(party) / self.revenue(party)
        return self._lost[party]

    def revenue(self, party: str) -> float:
        """A party's part of the budget, for the care that it delivers; of others what they are paid, else funded with.

        No settlement is in it, so that a limit does not widen with what a design pays.
        """
        accounts = self.cleared.accounts
        if delivers := next(one.delivers for one in self.design.parties if one.name == party):
            return delivers * self.budget
        paid = float(accounts.payment[party].mean())
        return paid if paid > 0 else float(np.mean(accounts.funding[party]))

    @cached_property
    def burden(self) -> Array:
        """What the funders lose against the expected cost of care."""
        return -self.surplus(*self.design.funders)

    @cached_property
    def cost(self) -> float:
        """Expected cost of protection to the funders, as a share of the budget."""
        return float(self.bench.weights @ self.burden) / self.budget

    @cached_property
    def earned(self) -> Array:
        """Surplus of all who deliver care."""
        return self.surplus(*(party.name for party in self.design.parties if party.delivers))

    @cached_property
    def _kept(self) -> tuple[Array, Array, NDArray[np.bool_]]:
        """What providers keep of a further saving, what is saved, and whether cost is within the budget."""
        saved = SAVED * self.retained
        more = self.otherwise(self.retained - saved).earned - self.earned
        return more, saved.reshape(-1), (self.retained <= self._budget).reshape(-1)

    def power(self, side: str = "") -> Estimate:
        """Part of each pound really saved that the providers keep: in all years, those of gain, or those of loss."""
        more, saved, within = self._kept
        years = 1.0 if not side else (within if side == "gain" else ~within)
        more, saved = years * more, years * saved
        if not (whole := float(saved.mean())):
            return Estimate(math.nan, math.nan)
        ratio = float(more.mean()) / whole
        return Estimate(ratio, float(mean_error(more - ratio * saved, self.bench.strata)) / whole)

    def slacks(self, confidence: float = 0.5) -> Array:
        """How far the design is within each demand, with this confidence; below 0 where it fails. Shares of revenue."""
        return np.array([self._slack(demand, confidence) for demand in self.bench.demands])

    def _slack(self, asked: Demand, confidence: float) -> float:
        n, z = self.bench.n, float(ndtri(confidence))
        if asked.kind in ("unearned", "surplus"):
            values = self.earned if asked.kind == "unearned" else -self.surplus(asked.party)
            value = float(self.bench.weights @ values) + (z * self.bench.mean(values).error if z else 0.0)
            whole = self.budget if asked.kind == "unearned" else self.revenue(asked.party)
            return (asked.bound if asked.kind == "unearned" else -asked.bound) - value / whole
        if asked.kind == "event":
            happened = int(np.sum(self.cleared.accounts.events.get(asked.event, 0)))
            return (most_events(n, asked.at_most, confidence) - happened) / n
        lost = self.lost(asked.party)
        if asked.kind == "hard":
            worse = -self.otherwise(HARD * self.retained).surplus(asked.party) / self.revenue(asked.party)
            return asked.bound - float(max(lost.max(), worse.max()))
        if asked.kind == "worst":
            tail = worst_mean(lost)
            return asked.bound - tail.value - z * tail.error
        rank = n - most_events(n, asked.at_most, confidence) - 1
        return UNFIT if rank == n else asked.bound - float(np.partition(lost, rank)[rank])


def worst_mean(lost: Array) -> Estimate:
    """Mean loss in the worst 1% of years; its error is that of the mean of what lies beyond where they begin."""
    number = max(math.ceil(WORST * lost.size), 1)
    top = np.partition(lost, lost.size - number)[lost.size - number :]
    beyond, share = top - top.min(), number / lost.size
    variance = share * float((beyond**2).mean()) - (share * float(beyond.mean())) ** 2
    return Estimate(float(top.mean()), math.sqrt(max(variance, 0.0) / lost.size) / share)
