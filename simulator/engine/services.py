"""What the kernel needs in order to divide costs among services."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..costs.model import CostModel
from ..costs.tables import Tables
from ..terms import Array


@dataclass(frozen=True)
class Split:
    """Shares of the services by stream, and how they vary from patient to patient; plain arrays, picklable.

    Costs are drawn before they are divided, and their draws do not know of it. Of each stream and increment three sums
    are divided: the body's, that of large claims, and that of claims above the dear cost. Given the patients' costs x,
    with S = Σ x and Q = Σ x², lines of independent splits have covariances Q / (κ + 1) · (diag w − w wᵀ), which
    S · Dirichlet(((κ + 1) S²/Q − 1) w) has too. The body's Q is its expectation, as its costs are drawn by their sum.
    At a threshold, what is kept of each of the sums is divided as the sum is, so that lines add up.
    """

    shares: Array
    """Shape (stream, 3, service)."""
    figures: Array
    """Concentration, mean square of a body claim, dear cost; shape (stream, 3)."""

    def by_set(self, built: Sequence[Tables]) -> Split:
        """With the bodies of one parameter set."""
        figures = self.figures.copy()
        figures[:, 1] = [_mean_square(table) for table in built]
        return Split(self.shares, figures)


def split_of(model: CostModel, repeats: Sequence[int] | None = None) -> Split:
    """How a model's streams are divided; among no services where it does not say."""
    streams = len(model.streams) if repeats is None else sum(repeats)
    if model.split is None:
        return Split(np.zeros((streams, 3, 0)), np.zeros((streams, 3)))
    law = model.split.law
    figures = np.tile([law.kappa, 0.0, math.inf if law.above is None else law.above], (streams, 1))
    return Split(np.ascontiguousarray(model.split.shares(model.streams, repeats)[:, [0, 0, 1]]), figures)


def empty_lines(count: int, increments: int, thresholds: int, services: int) -> dict[str, NDArray[np.float64]]:
    """Where the kernel puts services' lines, by the names that the ledger has for them."""
    by_threshold = (count, increments, thresholds, services)
    return {
        "service_gross_cost": np.zeros((count, increments, services)),
        "service_excess_cost": np.zeros(by_threshold),
        "service_above_cost": np.zeros(by_threshold),
    }


def _mean_square(table: Tables) -> float:
    """E[x²] of a body claim: uniform in each of its cells."""
    floor, width = (part.astype(float) for part in (table.body >> np.uint64(32), table.body & np.uint64(0xFFFFFFFF)))
    return float(np.mean((floor + width / 2) ** 2 + width**2 / 12)) * table.body_unit**2
