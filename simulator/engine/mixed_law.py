"""The law of a total under parameter sets: an equal mixture of the laws under each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .law import Law

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MixedLaw(Law):
    """A mixture of equally likely laws; quantiles and payoffs follow from its own distribution function.

    Attributes
    ----------
    laws : tuple of Law
    """

    laws: tuple[Law, ...] = ()

    def cdf(self, x: ArrayLike) -> Array:
        """P(total ≤ x)."""
        return np.asarray(np.mean([law.cdf(x) for law in self.laws], axis=0))

    def error(self, x: ArrayLike) -> Array:
        """Bound on the error of `cdf`."""
        return np.asarray(np.mean([law.error(x) for law in self.laws], axis=0))

    def shortfall(self, x: ArrayLike) -> Array:
        """E[max(x − total, 0)], money."""
        return np.asarray(np.mean([law.shortfall(x) for law in self.laws], axis=0))


def mixed(laws: Sequence[Law]) -> MixedLaw:
    """The mixture of these laws, each as likely as another."""
    return MixedLaw(
        low=min(law.low for law in laws),
        high=max(law.high for law in laws),
        terms=np.empty(0),
        mean=float(np.mean([law.mean for law in laws])),
        beyond=float(np.mean([law.beyond for law in laws])),
        laws=tuple(laws),
    )
