"""Exact means of what a ledger draws, for ledgers that do not carry the costs from which they could be worked out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .model import CostModel
from .moments import Exact

Array = NDArray[np.float64]


def expected_draws(model: CostModel, heads: NDArray[np.int64], amounts: Array) -> Mapping[str, Array]:
    """Exact means of a ledger's variables under each parameter set."""
    sets = [_of_one(Exact(truth), heads, amounts) for truth in model.truths]
    return {name: np.stack([one[name] for one in sets]) for name in sets[0]}


def _of_one(exact: Exact, heads: NDArray[np.int64], amounts: Array) -> dict[str, Array]:
    gross = exact.total(heads, []).mean

    def removed(excess: float, whole: float) -> Array:
        return np.stack([gross - exact.total(heads, [(at, excess, whole)]).mean for at in amounts.T], axis=1)

    return {
        "gross_cost": gross,
        "excess_cost": removed(1.0, 0.0),
        "above_cost": removed(0.0, 1.0),
        "n_above": np.stack([exact.count_above(heads, at).mean for at in amounts.T], axis=1),
    }
