"""Families that are composed of others, and costs as they were observed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field, model_validator

from ...errors import also, mistake
from ...numerals import figures
from ...terms import Positive, Term
from ..quadrature import Part
from .base import MESH, Array, Severity
from .heavy_tails import GeneralizedPareto, Lomax, Pareto

if TYPE_CHECKING:
    from .union import AnySeverity, TailSeverity


class ParetoTail(Term):
    """Classical Pareto that starts at the splice."""

    family: Literal["pareto"] = "pareto"
    alpha: Positive
    """Tail index: moments of this order and above are infinite."""


class Spliced(Severity):
    """One family below `at`, another above: what a body gets wrong about very costly patients, a tail mends.

    The tail has the body's probability of a cost above `at`, so that the survival function is continuous (no gap, no
    atom) while the density may jump. A gpd or lomax tail describes the excess over `at`; a pareto tail without scale
    starts at `at`; any other family is taken given that it exceeds `at`. The body's mean and cv belong to the body
    before splicing.
    """

    family: Literal["spliced"] = "spliced"
    body: AnySeverity
    tail: TailSeverity
    at: Positive
    """Annual cost at which the tail takes over."""

    @model_validator(mode="after")
    def _overlap(self) -> Spliced:
        if not 0 < self._weight < 1:
            bound = f"has its splice at {self.at:g}, where the body leaves {self._weight:g} of its users"
            raise mistake(bound, "move `at` inside the body's range")
        if isinstance(self._above, Severity) and not self._is_excess and float(self._above.sf(self.at)) <= 0:
            raise mistake(f"has a tail that never exceeds {self.at:g}", "take another tail")
        if isinstance(self.tail, Pareto) and self.tail._law[0] > self.at:
            bound = f"has a tail that starts at {self.tail._law[0]:g}, above the splice at {self.at:g}"
            raise mistake(bound, "leave the tail's scale out")
        return self

    @cached_property
    def _weight(self) -> float:
        return float(self.body.sf(self.at))

    @cached_property
    def _above(self) -> Severity:
        return Pareto(scale=self.at, alpha=self.tail.alpha) if isinstance(self.tail, ParetoTail) else self.tail

    @property
    def _is_excess(self) -> bool:
        return isinstance(self.tail, GeneralizedPareto | Lomax)

    @property
    def tail_index(self) -> float:
        return self._above.tail_index

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        if self._is_smooth:
            return (Part(self),)
        body = [part._replace(high=min(part.high, self.at - part.shift)) for part in self.body.parts]
        if self._is_excess:
            tail = [Part(self._above, self._weight, shift=self.at)]
        else:
            scale, parts = self._weight / float(self._above.sf(self.at)), self._above.parts
            tail = [p._replace(weight=p.weight * scale, low=max(p.low, self.at - p.shift)) for p in parts]
        return tuple(part for part in (*body, *tail) if part.low < part.high)

    @property
    def _is_smooth(self) -> bool:
        """Whether `isf` is smooth between `breaks`: a power law is so from the splice on, as an excess is."""
        one = all(len(law.parts) == 1 and not law.has_atoms for law in (self.body, self._above))
        return one and isinstance(self.tail, GeneralizedPareto | Lomax | Pareto | ParetoTail)

    @cached_property
    def breaks(self) -> Array:
        inside = self.body.breaks[self.body.breaks > self._weight]
        reached = 1.0 if self._is_excess else float(self._above.sf(self.at))
        beyond = self._above.breaks[self._above.breaks < reached] / reached * self._weight
        # another tail may rise steeply where it starts
        steep = np.empty(0) if self._is_smooth else MESH[MESH > 0.5] * self._weight
        return np.concatenate([inside, [self._weight], beyond, steep])

    def sf(self, x: ArrayLike) -> Array:
        x = np.asarray(x, float)
        high = np.maximum(x, self.at)
        beyond = self._above.sf(high - self.at) if self._is_excess else self._above.sf(high) / self._above.sf(self.at)
        return np.where(x < self.at, self.body.sf(np.minimum(x, self.at)), self._weight * beyond)

    def isf(self, s: ArrayLike) -> Array:
        s = np.asarray(s, float)
        given, above = np.minimum(s / self._weight, 1.0), self._above
        beyond = self.at + above.isf(given) if self._is_excess else above.isf(given * above.sf(self.at))
        below = np.minimum(self.body.isf(np.maximum(s, self._weight)), self.at)
        return np.where(s > self._weight, below, np.maximum(beyond, self.at))

    def _with_tail_share(self, share: float) -> Self:
        """A spliced quantile table with another share of users above the splice."""
        raw, points = self._table()
        top = points[-2][0]
        levels = {figures(p * (1 - share) / top, 9): x for p, x in points[:-1]}
        raw["body"]["quantiles"] = {**levels, 1.0: points[-1][1]}
        return self.model_validate(raw)

    def _at_level(self, level: float) -> Self:
        """Costs below the splice times a factor, bent so that the splice stays where it is."""
        raw, points = self._table()
        costs = np.minimum(np.array([x for _, x in points[:-2]]) * level, self.at)
        raw["body"]["quantiles"] = dict([*zip([p for p, _ in points[:-2]], costs.tolist(), strict=True), *points[-2:]])
        return self.model_validate(raw)

    def _table(self) -> tuple[dict[str, Any], list[tuple[float, float]]]:
        """Its own figures, and the levels and costs of its body's quantile table."""
        raw = self.model_dump(exclude_none=True)
        return raw, sorted(raw["body"]["quantiles"].items())


class Component(Term):
    """One part of a mixture."""

    weight: Positive
    """Share of users; the weights of a mixture add up to 1."""
    severity: AnySeverity


def _weights_add_up(raw: Any) -> Iterator[Any]:
    try:
        total = math.fsum(float(part["weight"] if isinstance(part, dict) else part.weight) for part in raw)
    except (TypeError, ValueError, KeyError, AttributeError):
        return
    if abs(total - 1) > 1e-9:
        yield mistake(f"has weights that add up to {total:.10g}, not 1", "make them add up to 1")


class Mixture(Severity):
    """A user is of one kind or another, each with its own law."""

    family: Literal["mixture"] = "mixture"
    components: Annotated[tuple[Component, ...], Field(min_length=1), also(_weights_add_up)]

    @property
    def tail_index(self) -> float:
        return min(part.severity.tail_index for part in self.components)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        each = [(one.weight, part) for one in self.components for part in one.severity.parts]
        return tuple(part._replace(weight=part.weight * weight) for weight, part in each)

    @cached_property
    def breaks(self) -> Array:
        # where a component starts or ends, the others go on; between them the cost rises steeply
        with np.errstate(all="ignore"):
            laws = [part.severity for part in self.components]
            at = [law.isf(np.concatenate([[1.0], MESH, law.breaks, [0.0]])) for law in laws]
        costs = np.unique(np.concatenate(at))
        costs = costs[(costs > 0) & np.isfinite(costs)]
        return np.unique(np.concatenate([self.sf(costs), self.sf(np.nextafter(costs, 0))]))

    def sf(self, x: ArrayLike) -> Array:
        return np.sum([part.weight * part.severity.sf(x) for part in self.components], axis=0)

    def isf(self, s: ArrayLike) -> Array:
        s = np.asarray(s, float)
        quantiles = np.stack([part.severity.isf(s) for part in self.components])
        low, high = quantiles.min(axis=0), quantiles.max(axis=0)
        for _ in range(200):
            middle = np.where(low > 0, np.sqrt(np.maximum(low, 1e-300) * high), 0.5 * high)
            middle = np.where((middle <= low) | (middle >= high), 0.5 * (low + high), middle)
            above = self.sf(middle) > s
            low, high = np.where(above, middle, low), np.where(above, high, middle)
            if np.all(high - low <= 4e-16 * high):
                break
        return high


def _costs_fit(raw: Any) -> Iterator[Any]:
    if not isinstance(raw, dict):
        return
    values, weights = raw.get("values"), raw.get("weights")
    if (values is None) == (raw.get("quantiles") is None):
        yield mistake("must have either values or quantiles", "give one of the two")
    if weights is not None and values is None:
        yield mistake("has weights but no values", "take the weights out")
    if isinstance(values, list | tuple) and isinstance(weights, list | tuple) and len(values) != len(weights):
        yield mistake(f"has {len(values)} values and {len(weights)} weights", "give as many weights as values")


def _quantiles_ascend(raw: Any) -> Iterator[Any]:
    try:
        points = sorted((float(p), float(x)) for p, x in raw.items())
    except (AttributeError, TypeError, ValueError):
        return
    levels, costs = [p for p, _ in points], [x for _, x in points]
    if levels[:1] != [0.0] or levels[-1:] != [1.0]:
        yield mistake("must reach from 0 to 1", 'give the lowest cost as "0" and the highest as "1"')
    if costs != sorted(costs) or len(set(levels)) != len(levels):
        yield mistake("must not fall as the level rises", "sort the costs")


class Empirical(Severity):
    """Observed costs: values, each as likely as its weight; or a quantile table, linear between its levels."""

    family: Literal["empirical"] = "empirical"
    values: Annotated[tuple[Positive, ...], Field(min_length=1)] | None = None
    """Annual costs of users, resampled as they are."""
    weights: Annotated[tuple[Positive, ...], Field(min_length=1)] | None = None
    """How often each value is drawn, in any unit; alike where absent."""
    quantiles: (
        Annotated[dict[float, Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]], also(_quantiles_ascend)]
        | None
    ) = None
    """Cost below which a user lies with probability p, from "0" to "1"."""

    @model_validator(mode="before")
    @classmethod
    def _one_kind(cls, raw: Any) -> Any:
        for error in _costs_fit(raw):
            raise error
        return raw

    @cached_property
    def _steps(self) -> tuple[Array, Array]:
        """Costs ascending, and P(X > cost) after each."""
        assert self.values is not None
        order = np.argsort(self.values, kind="stable")
        weight = np.ones(len(self.values)) if self.weights is None else np.asarray(self.weights, float)
        # divided last: counts add up without rounding, so that a percentile meets its own value
        above = np.append(np.cumsum(weight[order][::-1])[::-1][1:], 0.0) / weight.sum()
        return np.asarray(self.values, float)[order], above

    @cached_property
    def _line(self) -> tuple[Array, Array]:
        """Survival probabilities descending from 1 to 0, and the costs there."""
        assert self.quantiles is not None
        points = sorted(self.quantiles.items())
        return 1 - np.array([p for p, _ in points]), np.array([x for _, x in points])

    @property
    def breaks(self) -> Array:
        return self._steps[1][:-1] if self.values is not None else self._line[0][1:-1]

    @cached_property
    def atoms(self) -> tuple[Array, Array]:
        if self.values is not None:
            costs, place = np.unique(self._steps[0], return_inverse=True)
            return costs, np.asarray(np.bincount(place, -np.diff(np.append(1.0, self._steps[1]))), float)
        survival, costs = self._line
        flat = np.diff(costs) == 0
        return costs[1:][flat], -np.diff(survival)[flat]

    def sf(self, x: ArrayLike) -> Array:
        x = np.asarray(x, float)
        if self.values is not None:
            costs, above = self._steps
            return np.append(1.0, above)[np.searchsorted(costs, x, side="right")]
        survival, costs = self._line
        # not clip, which takes as long as all the rest on a few costs
        step = np.minimum(np.maximum(np.searchsorted(costs, x, side="right"), 1), costs.size - 1)
        width = costs[step] - costs[step - 1]
        share = np.minimum(np.maximum((x - costs[step - 1]) / np.where(width > 0, width, 1.0), 0.0), 1.0)
        inside = survival[step - 1] + (survival[step] - survival[step - 1]) * share
        return np.where(x < costs[0], 1.0, np.where(x >= costs[-1], 0.0, inside))

    def isf(self, s: ArrayLike) -> Array:
        s = np.asarray(s, float)
        if self.values is not None:
            costs, above = self._steps
            return costs[np.minimum(np.searchsorted(-above, -s, side="left"), costs.size - 1)]
        survival, costs = self._line
        return np.interp(-s, -survival, costs)
