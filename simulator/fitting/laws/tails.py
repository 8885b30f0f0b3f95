"""Tails: a generalized Pareto law of the excess over a splice, with what one looks at before trusting it.

Peaks over a threshold: Pickands 1975 (Ann Stat 3:119), Davison and Smith 1990 (J R Stat Soc B 52:393). The shape ξ is
kept to −0.5 < ξ < 1: below, maximum likelihood is irregular (Smith 1985, Biometrika 72:67) and the upper end that it
finds is the largest bill itself, which must not leave the room; above, there is no mean.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize, stats

from ...costs.families.heavy_tails import GeneralizedPareto
from ...costs.quadrature import Moments
from ...numerals import figures
from ..disclose.disclosure import SMALLEST_COUNT, round_amount
from ..read.sample import Array, Sample

LOWEST_SHAPE, HIGHEST_SHAPE = -0.45, 0.95
FEWEST = 30  # patients above the splice without whom no tail is fitted
_STEPS = (0.25, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6)
_CRITICAL = 0.124  # Cramér-von Mises statistic that one tail in ten exceeds near ξ = 0 (Choulakian, Stephens 2001)
_UNSTABLE = 2.0  # standard errors by which the shape may differ from that of a higher splice
_UNSEEN = 2.0  # standard errors by which the mean square may lie above the rows'
_DOUBT = 1.645  # standard errors of a shape on either side, 5% beyond each


@dataclass(frozen=True, repr=False)
class Tail:
    """A fitted tail."""

    at: float  # the splice, money per year, a round number
    shape: float
    scale: float  # money per year
    shape_se: float
    patients: float  # rows above the splice, in the sense of Kish where they have weights
    misfit: float  # Cramér-von Mises statistic of the excesses
    converged: bool
    credibility: float = 1.0  # weight of the segment's own shape

    @property
    def severity(self) -> GeneralizedPareto:
        return GeneralizedPareto(shape=figures(self.shape), scale=figures(self.scale))

    @property
    def mean_excess(self) -> float:
        """Mean of the excess, money per year."""
        return self.scale / (1 - self.shape)

    @property
    def infinite_variance_possible(self) -> bool:
        """Whether a shape of 1/2, at which the variance is infinite, lies within 1.645 standard errors."""
        return self.shape + _DOUBT * self.shape_se >= 0.5

    @property
    def surely_infinite_variance(self) -> bool:
        """Whether the shape lies above 1/2, at which the variance is infinite, by more than 1.645 standard errors."""
        return self.shape - _DOUBT * self.shape_se > 0.5

    def covariance(self) -> Array:
        """Of (ξ, log scale): the inverse of Fisher's information (Smith 1984)."""
        a = 1 + self.shape
        return np.array([[a * a, -a], [-a, 2 * a]]) / self.patients


def fit_tail(sample: Sample, at: float, shape: float | None = None) -> Tail | None:
    """The generalized Pareto law of the excess over `at`, by maximum likelihood."""
    inside = sample.x > at
    w = sample.w[inside]
    if not _enough(sample, at, SMALLEST_COUNT):
        return None
    excess, share = sample.x[inside] - at, w / w.sum()
    patients = float(w.sum() ** 2 / sample.w2[inside].sum())
    mean = float(share @ excess)
    if shape is None:
        starts = ((0.1, math.log(0.9)), (-0.2, math.log(1.2)), (0.5, math.log(0.5)))
        given: Any = {"method": "Nelder-Mead", "options": {"xatol": 1e-7, "fatol": 1e-12, "maxiter": 2_000}}
        tried = [optimize.minimize(_objective, start, (excess / mean, share), **given) for start in starts]
        found = min(tried, key=lambda reached: float(reached.fun))
        shape, log_scale, converged = float(found.x[0]), float(found.x[1]), bool(found.success)
    else:
        log_scale, converged = _scale(excess / mean, share, shape), True
    scale = math.exp(log_scale) * mean
    error = (1 + shape) / math.sqrt(patients)
    # W² of a weighted sample in ascending order (Cramér and von Mises)
    gap = stats.genpareto(c=shape, scale=scale).cdf(excess) - (np.cumsum(share) - share / 2)
    misfit = float(1 / (12 * patients) + patients * (share @ gap**2))
    return Tail(at, shape, scale, error, patients, misfit, converged)


def _objective(theta: Array, y: Array, share: Array) -> float:
    shape, log_scale = float(theta[0]), float(theta[1])
    if not LOWEST_SHAPE <= shape <= HIGHEST_SHAPE or abs(log_scale) > 50:
        return 1e10
    over = y / math.exp(log_scale)
    if abs(shape) < 1e-9:
        return log_scale + float(share @ over)
    if 1 + shape * float(over[-1]) <= 0:
        return 1e10
    return log_scale + (1 + 1 / shape) * float(share @ np.log1p(shape * over))


def _scale(y: Array, share: Array, shape: float) -> float:
    low = math.log(max(-shape * float(y.max()), 1e-6) * (1 + 1e-9)) if shape < 0 else -8.0

    found = optimize.minimize_scalar(
        lambda log_scale: _objective(np.array([shape, log_scale]), y, share),
        bounds=(low, 8.0), method="bounded", options={"xatol": 1e-9},
    )  # fmt: skip
    return float(found.x)


def choose_tail(sample: Sample, smallest: int) -> Tail | None:
    """The tail above the lowest splice from which on it is generalized Pareto and stays the same.

    Tried are round amounts above which there are 5.6 to ¼ times n^(2/3) / log log n users (Loretan and Phillips 1994),
    the most first. The first is taken that meets four conditions, or else the one that comes closest:

    - its Cramér-von Mises statistic is one that a true tail exceeds in one sample of ten;
    - its shape is that of the tails above every higher splice, within two standard errors of the difference;
    - its mean and mean square of the excess, capped at twice the largest, lie within a standard error of the rows';
    - its mean square without a cap is at most two standard errors above the rows', unless the variance is infinite
      beyond doubt: a heavier tail than the rows show must be shown by its shape.

    The last three matter for budgets: with many rows the first alone would let a body's end pass for a heavy tail.
    """
    tried = [tail for at in splices(sample, smallest, _STEPS[::-1]) if (tail := fit_tail(sample, at)) is not None]
    if not tried:
        return None
    gaps = [_gap(sample, tail, tried[place + 1 :]) for place, tail in enumerate(tried)]
    good = [tail for tail, gap in zip(tried, gaps, strict=True) if gap <= 1 and tail.converged]
    return good[0] if good else tried[int(np.argmin(gaps))]


def _gap(sample: Sample, tail: Tail, higher: Sequence[Tail]) -> float:
    """The largest of a splice's gaps, each as a multiple of what is allowed."""
    return max(
        tail.misfit / _CRITICAL,
        max((_instability(tail, other) for other in higher), default=0.0) / _UNSTABLE,
        _capped_gap(sample, tail),
        0.0 if tail.surely_infinite_variance else _square_gap(sample, tail) / _UNSEEN,
    )


def _instability(tail: Tail, higher: Tail) -> float:
    """How far apart two shapes are, in standard errors of the difference.

    The tail of fewer patients rests on some of the same: the variance of the difference is the difference of the
    variances, as the estimate from more of them is the efficient one (Hausman 1978, Econometrica 46:1251).
    """
    apart = 1 / higher.patients - 1 / tail.patients
    if apart <= 0:
        return 0.0
    common = (tail.shape + higher.shape) / 2
    return abs(tail.shape - higher.shape) / ((1 + common) * math.sqrt(apart))


def _capped_gap(sample: Sample, tail: Tail) -> float:
    """The larger distance, in standard errors, of the fitted from the observed capped mean and mean square."""
    excess = sample.x[sample.x > tail.at] - tail.at
    cap = 2 * float(excess[-1])
    law, beyond = Moments(tail.severity), float(tail.severity.sf(cap))
    gaps = []
    for order in (1, 2):
        observed, error = _power_mean(sample, tail, order)
        fitted = float(law.below(cap)[order]) + cap**order * beyond
        gaps.append(abs(fitted - observed) / error if error > 0 else 0.0)
    return max(gaps)


def _square_gap(sample: Sample, tail: Tail) -> float:
    """How far, in standard errors, the fitted mean square of the excess without a cap lies above the observed one."""
    if tail.shape >= 0.5:
        return math.inf
    observed, error = _power_mean(sample, tail, 2)
    fitted = 2 * tail.scale**2 / ((1 - tail.shape) * (1 - 2 * tail.shape))
    return max(fitted - observed, 0.0) / error if error > 0 else 0.0


def _power_mean(sample: Sample, tail: Tail, order: int) -> tuple[float, float]:
    """The mean of a power of the rows' excess, and its standard error."""
    inside = sample.x > tail.at
    power, share = (sample.x[inside] - tail.at) ** order, sample.w[inside] / sample.w[inside].sum()
    mean = float(share @ power)
    return mean, math.sqrt(float(share @ (power - mean) ** 2) / tail.patients)


def splices(sample: Sample, smallest: int, steps: Sequence[float] = _STEPS) -> list[float]:
    """Round amounts above which there are about `steps` times n^(2/3) / log log n users."""
    n = sample.users
    if n < 100:
        return []
    usual = n ** (2 / 3) / math.log(math.log(n))
    shares = [step * usual / n for step in steps if step * usual >= max(FEWEST, smallest)]
    amounts = [round_amount(float(sample.isf(share * sample.p_user))) for share in shares if share <= 0.25]
    return [at for at in dict.fromkeys(amounts) if _enough(sample, at, smallest)]


def _enough(sample: Sample, at: float, smallest: int) -> bool:
    return float(sample.n_above(at)) >= max(FEWEST, smallest) and sample.persons_above(at) >= smallest


def shrink(tails: Sequence[Tail | None], samples: Sequence[Sample]) -> list[Tail | None]:
    """Shapes drawn towards that of all segments, by empirical Bayes (Bühlmann's greatest-accuracy credibility).

    A segment's own shape weighs Z = τ² / (τ² + se²), with τ² the variance between segments by DerSimonian and Laird
    (1986); the scale is fitted afresh.
    """
    own = [tail for tail in tails if tail is not None]
    if len(own) < 2:
        return list(tails)
    common = common_of([t.shape for t in own], [t.shape_se for t in own])
    return [None if t is None else _drawn(t, s, common) for t, s in zip(tails, samples, strict=True)]


class Common(NamedTuple):
    """What the figures of several segments have in common."""

    value: float
    between: float  # variance of the true figures between segments
    doubt: float  # variance of `value`

    def weight(self, error: float) -> float:
        """How much a segment's own figure weighs, by its standard error."""
        return self.between / (self.between + error**2) if error > 0 else 1.0

    def shrunk(self, own: float, error: float) -> float:
        """A segment's figure, drawn towards the common one."""
        z = self.weight(error)
        return z * own + (1 - z) * self.value


def common_of(values: Sequence[float], errors: Sequence[float]) -> Common:
    """The common figure and the variance between segments, by DerSimonian and Laird (1986)."""
    value, error = np.asarray(values, float), np.asarray(errors, float)
    precision = error**-2
    common = float(precision @ value / precision.sum())
    spread = float(precision @ (value - common) ** 2)
    between = max((spread - value.size + 1) / float(precision.sum() - (precision**2).sum() / precision.sum()), 0.0)
    return common_at(between, value, error**2)


def common_at(between: float, value: Array, squared: Array) -> Common:
    """The common figure where segments' own, with these squared errors, have this variance between them."""
    weights = 1 / (squared + between)
    return Common(float(weights @ value / weights.sum()), between, float(1 / weights.sum()))


def _drawn(tail: Tail, sample: Sample, common: Common) -> Tail:
    z = common.weight(tail.shape_se)
    shape = common.shrunk(tail.shape, tail.shape_se)
    error = math.sqrt(z * tail.shape_se**2 + (1 - z) ** 2 * common.doubt)
    largest = float(sample.x[-1] - tail.at)
    fitted = fit_tail(sample, tail.at, shape) if 1 + shape * largest > 0 or shape >= 0 else None
    if fitted is None:
        return tail
    return replace(fitted, shape_se=error, credibility=z, converged=tail.converged)
