"""Many designs settled on the same draws, one after another, and how far each is from its limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from ...contracts.design import Design
from ...contracts.search import Search
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
MOST_KEPT = 64  # budgets and exclusions that are worked out once
UNFIT = -9.0
"""Distance from every limit of figures that a design cannot have."""


class Estimate(NamedTuple):
    """A figure and its standard error."""

    value: float
    error: float


class Bench:
    """Draws of one population size, and the demands that every design is held against."""

    def __init__(self, populations: Populations, base: Design, search: Search) -> None:
        self.populations, self.base, self.search = populations, base, search
        self.places, self.demands = search.places(base), search.demands()
        self.n = len(populations.replicates)
        self.strata = strata_of(populations.ledger)
        self.budgeted = [at for at, figure in enumerate(search.figures) if figure.path.startswith(("budget", "excl"))]
        self.years: dict[tuple[float, ...], tuple[ContractYear, Array, Array]] = {}
        self.today = self.settled(base)

    def figures(self, place: Sequence[float]) -> tuple[float, ...]:
        """Values of the figures at a place of the unit cube."""
        return tuple(figure.at(min(max(float(p), 0.0), 1.0)) for figure, p in zip(self.search.figures, place, strict=True))

    def at(self, figures: Sequence[float]) -> Settled | None:
        """The design with these figures, settled; None where it cannot have them."""
        try:
            design = self.search.moved(self.base, figures, self.places)
        except SimulatorError:
            return None
        return self.settled(design, tuple(figures[at] for at in self.budgeted))

    def settled(self, design: Design, key: tuple[float, ...] | None = None) -> Settled:
        """A design on these draws; those with one key have the same budget and exclusion."""
        found = self.years.get(key) if key is not None else None
        if found is None:
            year = ContractYear(self.populations, design, design.exclusion)
            found = year, year.budget(), self.populations.retained(design.exclusion)
            if key is not None and len(self.years) < MOST_KEPT:
                self.years[key] = found
        return Settled(self, design, *found)

    @cached_property
    def controls(self) -> tuple[Array, Array]:
        """An orthonormal basis of the costs drawn, and how far their means lie from what is expected exactly."""
        year = ContractYear(self.populations, self.base, self.base.exclusion)
        kept, excess = self.populations.retained(year.rule), year.excess
        drawn = [kept - year.expected_cost] + ([excess - year.expected_excess] if np.ptp(excess) > 0 else [])
        columns = np.column_stack([one.reshape(self.n) for one in drawn])
        off = columns.mean(axis=0)
        basis, triangle = np.linalg.qr(columns - off)
        if np.abs(np.diag(triangle)).min() <= 1e-12 * np.abs(columns).max():
            return np.zeros((self.n, 1)), np.zeros(1)
        return basis, np.linalg.solve(triangle.T, off)

    @cached_property
    def weights(self) -> Array:
        """Of each replicate in a mean: with them the costs have exactly the means that are expected of them."""
        basis, off = self.controls
        return np.asarray(1.0 / self.n - basis @ off)

    def mean(self, values: Array, z: float = 0.0) -> float:
        """Expected value, the luck of the costs drawn taken out, and z standard errors more."""
        return float(self.weights @ values) + (z * self.error(values) if z else 0.0)

    def error(self, values: Array) -> float:
        """Standard error of that mean."""
        centred, (basis, _) = values - values.mean(), self.controls
        return float(mean_error(centred - basis @ (basis.T @ centred), self.strata))


@lru_cache(maxsize=256)
def most_events(n: int, at_most: float, confidence: float) -> int:
    """Most years in which something may have happened for its chance to be at most this, −1 where none may.

    By the one-sided exact bound of a binomial (Clopper and Pearson 1934).
    """
    upper = exact_interval(np.arange(n + 1), n, 2 * confidence - 1)[:, 1]
    return int(np.searchsorted(upper, at_most, side="right")) - 1


class Settled:
    """One design on the draws of a bench."""

    def __init__(self, bench: Bench, design: Design, year: ContractYear, budget: Array, cost: Array) -> None:
        self.bench, self.design, self.year, self._budget, self._cost = bench, design, year, budget, cost
        self.members = float(bench.populations.members.ravel()[0])
        self.cleared = self._cleared(self._cost)
        self.budget = float(np.mean(budget))

    def _cleared(self, cost: Array) -> Cleared:
        self.year.design = self.design
        return self.year.clear_at(cost, self._budget)

    def otherwise(self, cost: Array) -> Settled:
        """The same contract and budget where the retained cost is another."""
        return Settled(self.bench, self.design, self.year, self._budget, cost)

    @property
    def retained(self) -> Array:
        """The retained cost, and its mean, money per year."""
        return self._cost

    def surplus(self, party: str) -> Array:
        """Of each replicate, money per year."""
        return self.cleared.accounts.surplus(party).reshape(-1)

    def revenue(self, party: str) -> float:
        """A party's part of the budget, for the care that it delivers; of others what they are paid, else funded with.

        No settlement is in it, so that a limit does not widen with what a design pays.
        """
        delivers = next(one.delivers for one in self.design.parties if one.name == party)
        paid = float(self.cleared.accounts.payment[party].mean())
        funded = float(np.mean(self.cleared.accounts.funding[party]))
        return delivers * self.budget or (paid if paid > 0 else funded)

    @cached_property
    def burden(self) -> Array:
        """What the funders lose in each replicate against a budget that is the expected cost, money per year."""
        return -np.asarray(sum(self.surplus(name) for name in self.design.funders))

    @cached_property
    def cost(self) -> float:
        """Expected cost of protection to the funders, as a share of the budget."""
        return float(self.bench.weights @ self.burden) / self.budget

    def earned(self, cleared: Cleared) -> Array:
        """Surplus of all who deliver care, money per year."""
        names = [party.name for party in self.design.parties if party.delivers]
        return np.asarray(sum(cleared.accounts.surplus(name) for name in names)).reshape(-1)

    @cached_property
    def kept(self) -> tuple[Array, Array, Array]:
        """What providers keep of a further saving, what is saved, and whether cost is within the budget."""
        saved = SAVED * self._cost
        more = self.earned(self._cleared(self._cost - saved)) - self.earned(self.cleared)
        within = (self._cost <= self._budget).reshape(-1)
        return more, np.broadcast_to(saved.reshape(-1), more.shape), within

    def power(self, side: str = "") -> Estimate:
        """Part of each pound really saved that the providers keep: in all years, those of gain, or those of loss."""
        more, saved, within = self.kept
        years = {"": np.ones_like(within), "gain": within, "loss": ~within}[side]
        if not years.any():
            return Estimate(math.nan, math.nan)
        ratio = float(more[years].sum() / saved[years].sum())
        error = mean_error(np.where(years, more - ratio * saved, 0.0), self.bench.strata)
        return Estimate(ratio, float(error) / float(np.where(years, saved, 0.0).mean()))

    def slacks(self, confidence: float = 0.5) -> Array:
        """How far the design is within each demand, with this confidence; below 0 where it fails. Shares of revenue."""
        z = float(ndtri(confidence))
        return np.array([self._slack(demand, confidence, z) for demand in self.bench.demands])

    def _slack(self, demand: tuple[str, str, float, float], confidence: float, z: float) -> float:
        party, kind, bound, chance = demand
        if kind == "unearned":
            return bound - self.bench.mean(self.earned(self.cleared), z) / self.budget
        if kind == "event":
            happened = self.cleared.accounts.events.get(party_event(self.bench.search, party), np.zeros(1))
            return (most_events(self.bench.n, chance, confidence) - int(np.sum(happened))) / self.bench.n
        if kind == "hard":
            lost = -self._cleared(HARD * self._cost).accounts.surplus(party)
            return bound - max(float(lost.max()), float(-self.surplus(party).min())) / self.revenue(party)
        if kind == "surplus":
            return self.bench.mean(self.surplus(party), -z) / self.revenue(party) - bound
        lost = -self.surplus(party) / self.revenue(party)
        if kind == "worst":
            found = worst_mean(lost)
            return bound - found.value - z * found.error
        may = most_events(self.bench.n, chance, confidence)
        return UNFIT if may < 0 else bound - float(np.partition(lost, self.bench.n - may - 1)[self.bench.n - may - 1])


def party_event(search: Search, party: str) -> str:
    """The event that a limit of this party is about."""
    return next(limit.event for limit in search.limits if limit.event and limit.party == party)


def worst_mean(lost: Array) -> Estimate:
    """Mean loss in the worst 1% of years; its error is that of the mean of what lies beyond where they begin."""
    number = max(math.ceil(WORST * lost.size), 1)
    top = np.partition(lost, lost.size - number)[lost.size - number :]
    beyond, share = top - top.min(), number / lost.size
    variance = share * float((beyond**2).mean()) - (share * float(beyond.mean())) ** 2
    return Estimate(float(top.mean()), math.sqrt(max(variance, 0.0) / lost.size) / share)
