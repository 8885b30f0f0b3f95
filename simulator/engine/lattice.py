"""The part of a total that lies on a lattice: everybody costs nothing or one of a few single amounts.

Where a cap lies below nearly all costs, or there are few users, a total has a chance of its own at multiples of an
amount. No series resolves such steps; a discrete Fourier transform of their own lattice gives them exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

_MOST_STEPS = 1 << 17
_ALIKE = 1e-9  # relative: amounts that differ by less are one
_NOTHING = 1e-15


class Lattice(NamedTuple):
    """Totals with a chance of their own."""

    totals: Array
    """Ascending, money."""
    chances: Array


NO_LATTICE = Lattice(np.empty(0), np.empty(0))


def unit_of(amounts: Array, expected: Array, span: float) -> tuple[float, Array]:
    """A unit of which amounts are multiples, and which of them are: the most usual ones first."""
    unit, chosen = 0.0, np.zeros(amounts.size, bool)
    for place in np.argsort(-expected, kind="stable"):
        with_it = _common(unit, float(amounts[place]))
        if span <= with_it * _MOST_STEPS:
            unit, chosen[place] = with_it, True
        elif not unit:
            break
    return unit, chosen


def _common(one: float, other: float) -> float:
    """The largest unit of which both are multiples but for rounding."""
    large, small = max(one, other), min(one, other)
    rounding = _ALIKE * large
    while small > rounding:
        left = large % small
        large, small = small, 0.0 if small - left <= rounding else left
    return large


def lattice_of(transform: Callable[[Array], Complex], unit: float, low: float, high: float) -> Lattice:
    """The chances of the multiples of a unit between two totals."""
    first = int(np.floor(low / unit))
    steps = int(2 ** np.ceil(np.log2((high - low) / unit + 4)))
    half = transform(np.asarray(2 * np.pi / (steps * unit) * np.arange(steps // 2 + 1), float))
    # E[exp(+itS)] is the conjugate of what the inverse transform of a real sequence takes
    chances = np.roll(np.fft.irfft(np.conj(half), steps), -(first % steps))
    place = np.flatnonzero(chances > _NOTHING)
    return Lattice(np.asarray((first + place) * unit, float), chances[place])
