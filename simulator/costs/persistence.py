"""How persistent costs are: classes of people, where in a year's costs each falls, and calibration to figures.

A class decides how likely each slab of a segment's quantile axis is: P(class | slab) is the same in every segment, by
the rank of a person's cost among the people of the segment, those without cost last. Years are independent given the
classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from scipy import special

from .quadrature import Array, cell_moments
from .segment import Segment
from .years import Persistence

PUBLISHED = Persistence(again_in_top={0.10: {1: 0.434, 5: 0.344}})
"""US insured under 65, of the costliest tenth: 43.4% again after a year, 34.4% after five (Hirth 2015)."""

_CLASSES = np.array([0.50, 0.30, 0.12, 0.06, 0.02])
SLABS = np.array(
    [1e-4, 5e-4, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0]
)
MOST = 0.9999  # strength of the copula: at 1 classes would be slabs


@dataclass(frozen=True)
class Classes:
    """Classes of people: `weights` (slab, class) is the chance of a class in a slab, `stay` (class,) to keep it."""

    slabs: Array
    """Ends of the slabs as shares of people, the costliest first; from 0 to 1, shape (slab + 1,)."""
    weights: Array
    stay: Array

    @cached_property
    def shares(self) -> Array:
        """People of each class, π; shape (class,)."""
        return np.asarray(np.diff(self.slabs) @ self.weights)

    @cached_property
    def own(self) -> Array:
        """Chance of each slab for a person of each class; shape (slab, class)."""
        return np.asarray(np.diff(self.slabs)[:, None] * self.weights / np.maximum(self.shares, 1e-300))

    @cached_property
    def chain(self) -> Array:
        """From class to class by the next year, of people who stay: they keep it, or draw afresh."""
        drawn = (1 - self.stay) * self.shares
        return np.diag(self.stay) + np.outer(1 - self.stay, drawn / (drawn.sum() or 1.0))

    def below(self, share: Array | float) -> Array:
        """Chance of each class to be among the costliest share of the segment's people; shape (…, class)."""
        up_to = np.vstack([np.zeros(self.own.shape[1]), np.cumsum(self.own, axis=0)])
        place = np.clip(np.searchsorted(self.slabs, share, side="right") - 1, 0, self.own.shape[0] - 1)
        part = (np.asarray(share) - self.slabs[place]) / np.diff(self.slabs)[place]
        return np.asarray(up_to[place] + part[..., None] * self.own[place])


ONE = Classes(np.array([0.0, 1.0]), np.ones((1, 1)), np.ones(1))
"""No persistence: everybody alike."""


@cache
def _rule() -> tuple[Array, Array]:
    return np.polynomial.legendre.leggauss(24)


def gaussian(strength: float, stay: float, permanent: float = 0.0) -> Classes:
    """Classes by a Gaussian copula of this strength with the rank; a share of people keep theirs for good."""
    slabs = np.append(0.0, SLABS)
    nodes, weights = _rule()
    # between normal scores of the ends of slabs
    ends = special.ndtri(np.clip(1 - slabs, 1e-16, 1 - 1e-16))
    score = ends[1:, None] + (ends[:-1] - ends[1:])[:, None] * (nodes + 1) / 2
    density = np.exp(-(score**2) / 2) * weights
    cuts = special.ndtri(np.cumsum(_CLASSES)[:-1])
    above = special.ndtr((cuts - strength * score[..., None]) / np.sqrt(1 - strength**2))
    chance = np.diff(above, axis=-1, prepend=0.0, append=1.0)
    found = np.einsum("jn,jnc->jc", density / density.sum(axis=1, keepdims=True), chance)
    if not permanent:
        return Classes(slabs, found, np.full(_CLASSES.size, stay))
    copies = np.hstack([(1 - permanent) * found, permanent * found])
    return Classes(slabs, copies, np.repeat([stay, 1.0], _CLASSES.size))


def slab_moments(segment: Segment, slabs: Array, cap: float = np.inf, least: float = -1.0) -> Array:
    """E[min(X, cap)ᵏ; X > least], k = 0 … 2, of a person's cost X in each slab of a segment; shape (3, slab)."""
    law, p = segment.users_severity, segment.p_user
    ends = np.unique(np.minimum(slabs / p, 1.0))
    at_cap = float(law.sf(cap)) if np.isfinite(cap) else 0.0
    counted = float(law.sf(least)) if least >= 0 else 1.0
    edges = np.unique(np.concatenate([ends, [at_cap, counted]]))[::-1]
    panels, starts, _ = cell_moments(law, edges)
    cells = np.add.reduceat(panels, starts, axis=1)[:3]
    if at_cap:
        high = edges[:-1] <= at_cap
        cells[1:, high] = cells[0, high] * np.array([[cap], [cap**2]])
    else:  # with what lies beyond the mesh
        cells[:, -1] = law.moments.raw[:3] - cells[:, :-1].sum(axis=1)
    cells = np.where(edges[:-1] <= counted, cells, 0.0) * p
    found = np.zeros((3, slabs.size - 1))
    place = np.clip(np.searchsorted(ends, edges[1:], side="right") - 1, 0, ends.size - 2)
    for own, total in zip(found, cells, strict=True):
        np.add.at(own, place, total)
    if least < 0:
        found[0] = np.diff(slabs)
    return np.asarray(found / np.diff(slabs))
