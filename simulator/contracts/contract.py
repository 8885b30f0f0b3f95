"""What a design agrees about several years: how results are settled, what is carried over, invested, and who may leave.

A contract of one year has none of it: everything is then settled in that year.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from ..errors import Contradiction, mistake
from ..terms import Array, Count, Fraction, Name, NonNegative, Term
from .sharing import SharingTerm

Money = Annotated[tuple[NonNegative, ...], Field(min_length=1)]


class Carry(Term):
    """What is not paid at once, but goes with interest into the next year's settlement; the last year pays the rest."""

    gains: Fraction = 0.0
    """Share of a gain that is carried."""
    losses: Fraction = 1.0
    """Share of a loss that is carried."""
    interest: NonNegative = 0.0
    """Interest a year on what is carried: paid by whoever owes it."""
    limit: NonNegative | None = None
    """Greatest balance either way, as a share of the year's budget; the rest is paid at once."""
    written_off: Fraction = 0.0
    """Share of a loss still carried at the end that nobody has to pay back: it stays with those who fund."""

    def kept(self, due: Array, budget: Array) -> Array:
        """What is carried of `due`: the balance with its interest, and the year's settlement."""
        limit = np.inf if self.limit is None else self.limit
        return np.clip(due * np.where(due > 0, self.gains, self.losses), -limit * budget, limit * budget)

    def at_end(self, due: Array, budget: Array) -> Array:
        """What is paid where nothing is carried on."""
        return np.asarray(due - self.written_off * np.minimum(self.kept(due, budget), 0.0))


class Investment(Term):
    """What it costs to bring up the design's `savings`."""

    by: Name
    """The party that pays for it."""
    set_up: NonNegative = 0.0
    """Money in the first year."""
    double_running: Money = (0.0,)
    """Money by contract year for care that is paid for twice; none after the last that is listed."""
    overhead: NonNegative = 0.0
    """Money in every year, whatever the number of people."""

    def cost(self, year: int) -> float:
        """Money spent in a contract year."""
        double = self.double_running[year - 1] if year <= len(self.double_running) else 0.0
        return (self.set_up if year == 1 else 0.0) + double + self.overhead


class Exit(Term):
    """A party leaves after losses in several years running; from the next year on the others have the status quo."""

    party: Name
    loss_over: NonNegative
    """Loss of a year, as a share of the budget, above which it counts."""
    years_running: Count = 1
    """Such years in a row after which the party leaves."""


class Contract(Term):
    """What holds between the years of a contract."""

    settled: Literal["each_year", "at_end", "rolling"] = "each_year"
    """When results are settled: each year's; those of all years together in the last; or the mean of the last years."""
    rolling_years: Count | None = None
    """Years of a rolling mean: the year itself and those before, as far as the contract goes back."""
    carry: Carry | None = None
    """What is carried forward of each settlement."""
    cumulative: tuple[SharingTerm, ...] = ()
    """Terms on what has been settled since year 1, against the budgets since then: a corridor, stop-loss or profit cap
    over the contract. Each year pays the change; lists by year let them widen."""
    investment: Investment | None = None
    """What the design's savings cost."""
    exit: Exit | None = None
    """When a party leaves."""

    def _contradictions(self) -> Iterator[Contradiction]:
        if (self.settled == "rolling") != (self.rolling_years is not None):
            yield ("rolling_years",), mistake("belongs with settled = 'rolling'", "give both, or neither", value=None)
        if self.settled == "at_end" and (self.carry or self.cumulative or self.exit):
            bound = "settles all years together, so that nothing is carried and nobody sees a loss before the end"
            yield ("settled",), mistake(bound, "settle each year, or leave out carry, cumulative and exit")

    def parties_needed(self) -> tuple[str, ...]:
        """Names that must be among the parties."""
        invested = () if self.investment is None else (self.investment.by,)
        return invested if self.exit is None else (*invested, self.exit.party)
