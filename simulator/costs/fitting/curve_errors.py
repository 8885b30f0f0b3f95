"""Standard errors of what the curves show of the rows, and where they may be told.

Every observed figure of a curve is a smooth function of the rows' distribution. Its error is the root of Σ w² ψ² over
(Σ w)², with ψ the figure's influence function and w the rows' weights (member-years), rows taken as independent. For a
share above an amount and equal weights this is √(p (1 − p) / n). Quantiles are plugged in: at the quantile itself ψ has
no slope in it.

An error tells a sum of squares over the same people whose sum the figure tells. Where one patient makes more than half
of the squares, he would be told by them though he does not make half of the sum; such errors are nan. So are errors of
0: rows without spread do not prove that there is none. All are told to two figures, which is all that an error needs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .disclosure import figures
from .sample import MOST_OF_ONE, Sample, together

Array = NDArray[np.float64]
Told = NDArray[np.bool_]

FIGURES = 2
"""Significant figures of an error."""
_NO_SPREAD = 1e-10


def p_above_error(sample: Sample, amount: float) -> float:
    """Of the share of people who cost more than an amount."""
    chance = float(sample.p_above(amount))
    return _error(sample, np.where(sample.x > amount, 1.0 - chance, -chance), -chance)


def limited_mean_error(sample: Sample, amount: float) -> float:
    """Of E[min(X, amount)], money a year."""
    mean = float(sample.limited_mean(amount))
    return _error(sample, np.minimum(sample.x, amount) - mean, -mean, amount)


def top_share_error(sample: Sample, q: float) -> float:
    """Of the share of cost of the costliest share `q` of people."""
    share = sample.top_share(q)
    top, top_zero = _top(sample, q)
    return _error(sample, (top - share * sample.x) / sample.mean, top_zero / sample.mean)


def cell_mean_error(sample: Sample, q: float, lower: float) -> float:
    """Of the mean cost of the people between the costliest share `q` and a smaller one or 0; money a year."""
    (top, top_zero), (less, less_zero) = _top(sample, q), _top(sample, lower)
    total = sample.mean * (sample.top_share(q) - (sample.top_share(lower) if lower > 0 else 0.0))
    return _error(sample, (top - less - total) / (q - lower), (top_zero - less_zero - total) / (q - lower), sample.mean)


def _top(sample: Sample, q: float) -> tuple[Array, float]:
    """What users and others add to the cost of the costliest share `q`: (x − c)⁺ + q c, with c its smallest cost."""
    if q == 0:
        return np.zeros(sample.x.size), 0.0
    cost = float(sample.isf(q))
    return np.maximum(sample.x - cost, 0.0) + q * cost, q * cost


def _error(sample: Sample, users: Array, others: float, scale: float = 1.0) -> float:
    """The root of the mean square of what each row does to a figure, over their number; nan where it may not be told.

    Parameters
    ----------
    sample : Sample
    users : ndarray, shape (cost,)
        Influence of a user with this cost.
    others : float
        Influence of a person without cost.
    scale : float
        Of the figure; an error beyond its digits is that of the arithmetic.
    """
    squares = np.append(sample.w2 * users**2, sample.zero_w2 * others**2)
    if _one_makes_most(squares, np.append(sample.count, max(sample.zero_count, 1.0))):
        return math.nan
    error = math.sqrt(float(squares.sum())) / sample.weight
    return figures(error, FIGURES) if error > _NO_SPREAD * scale else math.nan


def _one_makes_most(squares: Array, rows: Array) -> bool:
    """Whether one patient makes more than half of a sum of squares, given by distinct cost with rows of each."""
    return squares.size > 0 and float(np.max(squares / rows)) > MOST_OF_ONE * float(squares.sum())


# ── what two errors tell together ────────────────────────────────────────────────────────────────


def squares_told(samples: Sequence[Sample], amounts: Array, told: Told) -> Told:
    """Where errors of limited means may be told, shape (sample, amount); everybody, if there, stands last.

    Two errors at neighbouring amounts tell, beside the limited means and the numbers above, the sum of squares of the
    costs in between; the last and the standard deviation that of the costs above; those of everybody and of all
    segments but some that of the rest. In none of these one patient may make more than half.

    Parameters
    ----------
    samples : sequence of Sample
    amounts : ndarray, shape (amount,)
        Ascending.
    told : ndarray of bool, shape (sample, amount)
        Where the limited means are told.
    """
    kept = np.stack([_steps_told(sample, amounts, row) for sample, row in zip(samples, told, strict=True)])
    if len(samples) == 1:
        return kept
    spread_told = np.array([not sample.dominated(2) for sample in samples[:-1]])
    counts = np.stack([sample.n_above(amounts) for sample in samples[:-1]])
    # a segment with nobody above an amount tells its standard deviation there, or hides it
    silent = ~kept[:-1] & ((counts > 0) | ~spread_told[:, None])
    everybody = kept[-1].copy()
    for some in np.unique(silent.T, axis=0):
        here = (silent == some[:, None]).all(axis=0)
        if some.sum() == 1:
            everybody &= ~here
        elif some.any():
            rest = together([sample for sample, is_silent in zip(samples[:-1], some, strict=True) if is_silent])
            # what the rest have in all is known wherever none but they are silent
            within = (~silent | some[:, None]).all(axis=0)
            everybody &= ~here | _steps_told(rest, amounts, kept[-1] & within)
    return np.concatenate([kept[:-1], everybody[None]])


def tail_told(sample: Sample, amounts: Array, squares: Told) -> bool:
    """Whether the squares of the costs above the last amount with an error may be told, as errors of top shares do."""
    last = float(amounts[squares].max(initial=0.0))
    return not _one_makes_most(*_squares(sample, last, math.inf))


def _steps_told(sample: Sample, amounts: Array, told: Told) -> Told:
    """The told amounts but those between which, above or below which one patient makes most of the squares."""
    kept = told.copy()
    upper = math.inf
    for position in np.flatnonzero(told)[::-1]:
        amount = float(amounts[position])
        hidden_above = math.isinf(upper) and sample.dominated(2)
        kept[position] = hidden_above or not _one_makes_most(*_squares(sample, amount, upper))
        upper = amount if kept[position] else upper
    for position in np.flatnonzero(kept):
        if not _one_makes_most(*_squares(sample, 0.0, float(amounts[position]))):
            break
        kept[position] = False
    return kept


def _squares(sample: Sample, low: float, high: float) -> tuple[Array, Array]:
    """Squared distances from `low` of the costs above it and not above `high`, by distinct cost, and their rows."""
    first, last = np.searchsorted(sample.x, [low, high], side="right")
    here = slice(int(first), int(last))
    return sample.w2[here] * (sample.x[here] - low) ** 2, sample.count[here]
