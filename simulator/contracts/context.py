"""What a term may look at: the budget, the cost, and everything else that it cannot change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, TypeAdapter, WrapValidator

from ..base import Fraction

Array = npt.NDArray[Any]


def number_or(number: Any, other: Any) -> WrapValidator:
    """Validate a plain number as `number` and anything else as `other`, so that a mistake is told once."""
    as_number, as_other = TypeAdapter(number), TypeAdapter(other)

    def validate(value: Any, handler: Any) -> Any:
        plain = isinstance(value, int | float | str) or value is None
        return (as_number if plain else as_other).validate_python(value)

    return WrapValidator(validate)


_Years = Annotated[tuple[Fraction, ...], Field(min_length=1)]
ByYear = Annotated[Fraction | _Years, number_or(Fraction, _Years)]
"""A fraction, or one for each contract year; the last holds for all later years."""


@dataclass(frozen=True)
class Context:
    """The fixed surroundings of a settlement; every array broadcasts against `budget`.

    Attributes
    ----------
    budget, cost : array
        Money per year: the budget for the retained cost, and the retained cost itself.
    members : array
        People in the population, for one year.
    year : array or int
        Contract year, 1 for the first.
    revenue : array or None
        The provider's own revenue, money per year; NaN where it is not known, infinite where it limits nothing.
    quality : array or None
        Quality score, 0 to 1; NaN where it is not known.
    met_standard : array or None
        Whether the quality standard is met, 1 or 0; NaN where it is not known.
    minimum_rate, final_share, adjustment, relief : array or None
        What real rows say themselves; each goes before the figure of the term, NaN where a row is silent.
    """

    budget: Array
    cost: Array
    members: Array
    year: Array | int = 1
    revenue: Array | None = None
    quality: Array | None = None
    met_standard: Array | None = None
    minimum_rate: Array | None = None
    final_share: Array | None = None
    adjustment: Array | None = None
    relief: Array | None = None

    @property
    def savings_rate(self) -> Array:
        """(budget − cost) / budget, not rounded; positive when less was spent than budgeted."""
        return np.asarray((self.budget - self.cost) / self.budget)

    def this_year(self, values: float | tuple[float, ...]) -> Array:
        """The figure of the contract year, of a list with one figure a year."""
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
    return np.asarray(np.where(np.isnan(shared) & (settlement == 0), 0.0, shared))
