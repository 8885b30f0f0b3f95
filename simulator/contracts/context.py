"""What a step of a design may look at, which it cannot change, and what it may say of itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field, TypeAdapter, WrapValidator

from ..terms import Fraction, Term

Array = npt.NDArray[Any]


def by_form(is_first: Callable[[Any], bool], first: Any, other: Any) -> WrapValidator:
    """Validate a value of one form as `first` and anything else as `other`, so that a mistake is told once."""
    as_first, as_other = TypeAdapter(first), TypeAdapter(other)
    return WrapValidator(lambda value, _: (as_first if is_first(value) else as_other).validate_python(value))


def number_or(number: Any, other: Any) -> WrapValidator:
    """Validate a plain number as `number` and anything else as `other`."""
    return by_form(lambda value: value is None or isinstance(value, int | float | str), number, other)


_Years = Annotated[tuple[Fraction, ...], Field(min_length=1)]
ByYear = Annotated[Fraction | _Years, number_or(Fraction, _Years)]
"""A fraction, or one for each contract year; the last holds for all later years."""

FIRST_CALENDAR_YEAR = 1900  # years below it are contract years

CalendarYear = Annotated[int, Field(ge=FIRST_CALENDAR_YEAR, le=9_999)]
_FractionsFrom = Annotated[dict[CalendarYear, Fraction], Field(min_length=1)]


_BY_CALENDAR = by_form(lambda value: isinstance(value, Mapping), _FractionsFrom, ByYear)
ByAnyYear = Annotated[ByYear | _FractionsFrom, _BY_CALENDAR]
"""The same, or a table of calendar years from which a fraction holds, by the rule year of the design."""

Switch = bool | Annotated[dict[CalendarYear, bool], Field(min_length=1)]
"""Yes or no, or a table of calendar years from which it is so."""


def calendar_years(values: Any) -> tuple[int, ...]:
    """The years of a table by calendar year, ascending; none of anything else."""
    years = tuple(values) if isinstance(values, Mapping) else ()
    return tuple(sorted(years)) if all(isinstance(year, int) for year in years) else ()


@dataclass(frozen=True)
class Context:
    """The fixed surroundings of a settlement; every array broadcasts against `budget`, NaN where it is not known."""

    budget: Array  # for the retained cost, money per year
    cost: Array  # the retained cost, money per year
    members: Array  # people in the population, for one year
    year: Array | int = 1  # contract year, 1 for the first
    rule_year: int | None = None  # calendar year of the rules; needed by figures by calendar year
    revenue: Array | None = None  # the provider's own revenue, money per year; infinite where it limits nothing
    quality: Array | None = None  # quality score, 0 to 1
    met_standard: Array | None = None  # whether the quality standard is met, 1 or 0
    outcomes_met: Array | None = None  # whether every quality measure of every partner is met
    met_alternative: Array | None = None  # whether the alternative standard is met, 1 or 0; not known counts as not met
    low_revenue: Array | None = None  # whether the provider counts as one of low revenue, 1 or 0
    allocations: Mapping[str, Array] = field(default_factory=dict)  # money of funders that do not have what is expected
    # what real rows say themselves; each goes before the figure of the term
    minimum_rate: Array | None = None
    final_share: Array | None = None
    adjustment: Array | None = None
    relief: Array | None = None

    @property
    def savings_rate(self) -> Array:
        """(budget − cost) / budget, not rounded; positive when less was spent than budgeted."""
        return np.asarray((self.budget - self.cost) / self.budget)

    def this_year(self, values: float | tuple[float, ...] | Mapping[int, float]) -> Array:
        """The figure of the contract year, of a list with one a year; of a table by calendar year that of the rules."""
        if isinstance(values, Mapping):
            begun = [year for year in values if self.rule_year is None or year <= self.rule_year]
            return np.asarray(values[max(begun)], dtype=float)
        if isinstance(self.year, int):
            listed = values if isinstance(values, tuple) else (values,)
            return np.asarray(listed[min(self.year, len(listed)) - 1], dtype=float)
        table = np.atleast_1d(np.asarray(values, dtype=float))
        return np.asarray(table[np.clip(np.asarray(self.year) - 1, 0, table.size - 1)])


def first_known(given: Array | None, otherwise: Array | float) -> Array:
    """`given` where it says something (is no NaN), else `otherwise`."""
    if given is None:
        return np.asarray(otherwise, dtype=float)
    return np.where(np.isnan(given), otherwise, given)


def apply_by_sign(settlement: Array, gain: Any, loss: Any) -> Array:
    """`settlement` times `gain` where it is positive, times `loss` where it is negative; a share of nothing is nothing.

    A share that is not known (NaN) matters only where there is something to share.
    """
    shared = np.where(settlement > 0, gain, loss) * settlement
    if isinstance(gain, float) and isinstance(loss, float) and gain + loss == gain + loss:  # both are known
        return np.asarray(shared)
    return np.asarray(np.where(np.isnan(shared) & (settlement == 0), 0.0, shared))


Basis = Literal["prospective", "retrospective"]


class Mitigation(Term):
    """An exclusion, a limit or a pool: agreed before the year, or applied to its costs afterwards."""

    basis: Basis | None = None
    """Whether it is agreed before the year ("prospective") or taken after it ("retrospective"); a label."""


class Step(Term):
    """A term or a transfer; what a step does not say of itself is as here."""

    event: ClassVar[str] = ""
    """Name of what is counted where the step changed something; nothing is counted without one."""
    needs_quality: ClassVar[bool] = False
    """Whether a design with it must give quality."""

    @property
    def rests_on_revenue(self) -> bool:
        """Whether it has nothing but revenue to go by."""
        return False

    @property
    def limited_by_revenue(self) -> bool:
        """Whether the provider's revenue limits what it does."""
        return self.rests_on_revenue

    @property
    def goes_by_revenue(self) -> bool:
        """Whether the provider's revenue decides which of its figures holds."""
        return False

    def parties_needed(self) -> tuple[str, ...]:
        """Names that must be among the parties."""
        return ()


class SettlementTerm(Step):
    """A step that changes the settlement; beside this it has an `apply`, as in `Settles`."""

    def memos(self, context: Context) -> dict[str, Array]:
        """Sums worth telling besides the settlement."""
        return {}

    def triggered(self, before: Array, after: Array, context: Context) -> Array:
        """Where its event occurred: where it changed the settlement."""
        return np.asarray(before != after)


class Settles(Protocol):
    """What the settlement asks of a term: money per year, positive when it goes to the provider."""

    event: ClassVar[str]

    def apply(self, settlement: Array, context: Context) -> Array: ...
    def triggered(self, before: Array, after: Array, context: Context) -> Array: ...
    def memos(self, context: Context) -> dict[str, Array]: ...
