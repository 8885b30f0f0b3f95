"""What a family of annual cost of one user is: parameters, survival function, quantile function.

A family says how likely a cost above x is (`sf`) and which cost is exceeded with probability s (`isf`). Moments,
limited means, tables and concentration shares of every family follow from `isf` alone (`quadrature.py`), so a new
family is one class and its place in `union.py`. A family that is composed of others names its `parts`: integrals are
then sums of theirs, since its own quantile function may have steps, flats and steep pieces.

Costs are money per year of a person who has any cost; s is a survival probability in (0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import model_validator
from scipy import optimize

from ...errors import mistake
from ...terms import Positive, Term
from ..quadrature import Moments, Part

Array = NDArray[np.float64]

MESH = np.concatenate([-np.expm1(-np.arange(50, 1, -1) * math.log(2)), np.exp2(-np.arange(1.0, 61))])
"""Survival probabilities between which the quantile function of a family that is not composed is nearly straight."""


class Severity(Term):
    """Annual cost of one user."""

    ways: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """The sets of figures, any one of which determines the family."""

    @property
    def tail_index(self) -> float:
        """Moments of this order and above are infinite."""
        return math.inf

    @property
    def breaks(self) -> Array:
        """Survival probabilities at which `isf` has a kink or a jump."""
        return np.empty(0)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The laws of which it is composed; itself alone where `isf` is smooth between `breaks`."""
        return (Part(self),)

    @cached_property
    def moments(self) -> Moments:
        """Partial moments, prepared once."""
        return Moments(self)

    @property
    def atoms(self) -> tuple[Array, Array]:
        """Single costs that have a chance of their own, and that chance; of a family that is not composed."""
        return np.empty(0), np.empty(0)

    @property
    def has_atoms(self) -> bool:
        """Whether some single cost has a chance of its own."""
        return any(part.law.atoms[0].size > 0 for part in self.parts)

    def sf(self, x: ArrayLike) -> Array:
        """P(X > x)."""
        raise NotImplementedError

    def isf(self, s: ArrayLike) -> Array:
        """The cost that is exceeded with probability s."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _determined(self) -> Self:
        optional = {name for way in self.ways for name in way}
        given = {name for name in optional if getattr(self, name) is not None}
        if self.ways and given not in [set(way) for way in self.ways]:
            listed = " or ".join("(" + ", ".join(way) + ")" for way in self.ways)
            found = ", ".join(sorted(given)) or "none of its figures"
            raise mistake(f"has {found}, which does not determine it", f"give exactly {listed}")
        try:
            with np.errstate(all="ignore"):
                median = float(self.isf(0.5))
        except ArithmeticError:
            median = math.nan
        if not math.isfinite(median):
            raise mistake("has figures outside the range of a computer's numbers", "give figures of a sensible size")
        return self


class WithMeanAndCv(Severity):
    """A family that may be given by the figures people have."""

    mean: Positive | None = None
    """Mean annual cost of a user."""
    cv: Positive | None = None
    """Standard deviation of a user's annual cost as a multiple of the mean."""


def solve(gap: Callable[[float], float], low: float, high: float, name: str, value: float) -> float:
    """The figure in [low, high] at which `gap` vanishes, sought on a log scale."""
    try:
        return math.exp(
            optimize.brentq(lambda y: gap(math.exp(y)), math.log(low), math.log(high), xtol=1e-13, rtol=1e-13)
        )
    except ValueError:
        raise mistake(f"has {name} = {value:g}, which this family cannot have", "choose another family") from None
