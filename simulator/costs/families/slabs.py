"""A law with its quantile axis reweighted by slabs: what people of one class of a segment cost."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import InstanceOf

from ..quadrature import Part
from .base import Array, Severity


class Slabs(Severity):
    """The parent's costs, with the people of each slab of its survival probabilities made more or fewer.

    Examples
    --------
    The dearer half of users twice as likely as the cheaper: P(X > median) is 2/3.

    >>> from .two_figures import Lognormal
    >>> law = Slabs(parent=Lognormal(mu=0.0, sigma=1.0), edges=(0.5, 1.0), weights=(2 / 3, 1 / 3))
    >>> round(float(law.sf(1.0)), 6), round(float(law.isf(2 / 3)), 6)
    (0.666667, 1.0)
    """

    family: Literal["slabs"] = "slabs"
    parent: InstanceOf[Severity]
    edges: tuple[float, ...]
    """Upper ends of the slabs, as survival probabilities of the parent, ascending to 1: the costliest first."""
    weights: tuple[float, ...]
    """Chance of each slab; they add up to 1."""

    @cached_property
    def _ends(self) -> tuple[Array, Array]:
        """Edges from 0 to 1 by the parent's survival probability and by its own."""
        own = np.append(0.0, np.cumsum(self.weights))
        return np.append(0.0, self.edges), own / own[-1]

    def _own(self, survival: Array) -> Array:
        return np.asarray(np.interp(survival, *self._ends))

    @property
    def tail_index(self) -> float:
        return self.parent.tail_index

    @cached_property
    def breaks(self) -> Array:
        found = np.concatenate([self._own(self.parent.breaks), self._ends[1][1:-1]])
        return np.unique(found[(found > 0) & (found < 1)])

    @cached_property
    def atoms(self) -> tuple[Array, Array]:
        at = [(part.law.atoms[0] + part.shift) for part in self.parent.parts]
        costs = np.unique(np.concatenate(at))
        return costs, self._own(self.parent.sf(np.nextafter(costs, -np.inf))) - self._own(self.parent.sf(costs))

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        if len(self.parent.parts) == 1 or self.atoms[0].size:
            return (Part(self),)
        own, density = self._ends, np.diff(self._ends[1]) / np.diff(self._ends[0])
        costs = np.append(np.inf, self.parent.isf(own[0][1:]))
        costs[-1] = -np.inf
        cut = [
            part._replace(
                weight=part.weight * float(density[j]),
                low=max(part.low, float(costs[j + 1]) - part.shift),
                high=min(part.high, float(costs[j]) - part.shift),
            )
            for j in range(density.size)
            for part in self.parent.parts
        ]
        return tuple(part for part in cut if part.low < part.high and part.weight > 0)

    def sf(self, x: ArrayLike) -> Array:
        return self._own(self.parent.sf(x))

    def isf(self, s: ArrayLike) -> Array:
        edges, own = self._ends
        return self.parent.isf(np.interp(np.asarray(s, float), own, edges))

    def _with_amounts(self, change: Any) -> Slabs:
        return self.model_copy(update={"parent": self.parent._with_amounts(change)})
