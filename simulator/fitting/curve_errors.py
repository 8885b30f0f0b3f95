"""Standard errors of the observed curves, and where they may be disclosed.

Every observed figure of a curve is a smooth function of the rows' distribution. Its error is the root of Σ w² ψ² over
(Σ w)², with ψ the figure's influence function and w the rows' weights (member-years), rows taken as independent. For a
share above an amount and equal weights this is √(p (1 − p) / n). Quantiles are plugged in: at the quantile itself ψ has
no slope in it.

The rows are the made-up people of `groups`. Errors of 0 are nan: rows without spread do not prove that there is none.
All are told to two figures, which is all that an error needs.
"""

from __future__ import annotations

import math

import numpy as np

from ..numerals import figures
from .read.sample import Array, Sample

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
    """The root of the mean square of what each row does to a figure, over their number; nan for none."""
    squares = np.append(sample.w2 * users**2, sample.zero_w2 * others**2)
    error = math.sqrt(float(squares.sum())) / sample.weight
    return figures(error, FIGURES) if error > _NO_SPREAD * scale else math.nan
