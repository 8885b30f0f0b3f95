"""What a family of annual cost of one user is: parameters, survival function, quantile function.

A family says how likely a cost above x is (`sf`) and which cost is exceeded with probability s (`isf`). Moments,
limited means, tables and concentration shares of every family follow from `isf` alone (`quadrature.py`), so a new
family is one class and its place in `union.py`. A family that is composed of others names its `parts`: integrals are
then sums of theirs, since its own quantile function may have steps, flats and steep pieces.

Costs are money per year of a person who has any cost; s is a survival probability in (0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import scipy
from pydantic import model_validator

from ...errors import mistake
from ...numerals import figures
from ...paths import changed
from ...terms import Positive, Term
from ..quadrature import Array as Array
from ..quadrature import Law

MESH = np.concatenate([-np.expm1(-np.arange(50, 1, -1) * math.log(2)), np.exp2(-np.arange(1.0, 61))])
"""Survival probabilities between which the quantile function of a family that is not composed is nearly straight."""


class Severity(Law, Term):
    """Annual cost of one user."""

    ways: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """The sets of figures, any one of which determines the family."""

    index_figures: ClassVar[tuple[str, ...]] = ()
    """Figures to which the tail index is proportional; the first that is given tells it."""

    @classmethod
    def with_index(cls, given: Mapping[str, Any], factor: float) -> dict[str, float]:
        """Which of the given figures change, and to what, where the tail index is multiplied by a factor."""
        found = [name for name in cls.index_figures if given.get(name) is not None][:1]
        return {name: given[name] * factor for name in found}

    def scaled(self, factor: float) -> Self:
        """The law of cost times a factor, exactly; its shape stays."""
        return self._with_amounts(lambda name, value: scaled_figure(name, value, factor))

    def rounded(self, significant: int) -> Self:
        """Amounts of money to so many significant figures, their logarithms to three more; observed costs stay."""
        more = {"mu": 3, "values": 17 - significant}
        return self._with_amounts(lambda name, value: figures(value, significant + more.get(name, 0)))

    def _with_amounts(self, change: Callable[[str, float], float]) -> Self:
        """With every amount of money changed, in all that it is composed of."""
        return self.model_validate(_amounts_changed(self, "", change))

    def with_figures(self, given: Mapping[str, float]) -> Self:
        """The law with other values of figures that are given by their paths, such as "tail.shape".

        `level` multiplies every cost, of a spliced quantile table those below the splice; `tail_share` is its share of
        users above the splice. A figure that does not exist or cannot have its value is refused.
        """
        made = self._with_tail_share(given["tail_share"]) if "tail_share" in given else self
        own = {path: value for path, value in given.items() if path not in ("tail_share", "level")}
        made = self.model_validate(changed(made, own))
        return made._at_level(given["level"]) if "level" in given else made

    def _with_tail_share(self, share: float) -> Self:
        raise KeyError("tail_share")

    def _at_level(self, level: float) -> Self:
        return self.scaled(level).rounded(6)

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

    @cached_property
    def _law(self) -> tuple[float, ...]:
        """The figures of its last way."""
        own = tuple(getattr(self, name) for name in self.ways[-1])
        return own if None not in own else self._worked_out(self.mean or math.nan, self.cv or math.nan)

    def _worked_out(self, mean: float, cv: float) -> tuple[float, ...]:
        """The same from mean and cv, and what else is given."""
        raise NotImplementedError


def of_cv(cv: float, log_moment: Callable[[int, float], float], low: float, high: float) -> float:
    """The figure in [low, high] with this cv, sought on a log scale, by the logarithms of the raw moments under it."""

    def gap(log_figure: float) -> float:
        figure = math.exp(log_figure)
        return log_moment(2, figure) - 2 * log_moment(1, figure) - math.log1p(cv**2)

    try:
        return math.exp(scipy.optimize.brentq(gap, math.log(low), math.log(high), xtol=1e-13, rtol=1e-13))
    except ValueError:
        raise mistake(f"has cv = {cv:g}, which this family cannot have", "choose another family") from None


def scaled_figure(name: str, value: float, factor: float) -> float:
    """A family's figure of this name where every cost is multiplied by a factor."""
    return value + math.log(factor) if name == "mu" else value * factor if name in _MONEY else value


_MONEY = ("mean", "scale", "at", "values", "quantiles")


def _amounts_changed(value: Any, name: str, change: Callable[[str, float], float]) -> Any:
    """A term as `model_dump` gives it, with the figures changed that are money or its logarithm."""
    if isinstance(value, Term):
        inner = {part: getattr(value, part) for part in type(value).model_fields}
        return {part: _amounts_changed(each, part, change) for part, each in inner.items() if each is not None}
    if isinstance(value, dict):
        return {key: _amounts_changed(each, name, change) for key, each in value.items()}
    if isinstance(value, tuple):
        return [_amounts_changed(each, name, change) for each in value]
    return change(name, value) if name in (*_MONEY, "mu") else value
