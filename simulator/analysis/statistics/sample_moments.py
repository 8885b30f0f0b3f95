"""What is exactly to be expected of a sample that takes parameter sets in turn: of its mean and its variance."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ...costs.moments import TotalMoments
from ...terms import Array


class SampleMoments(NamedTuple):
    """What is exactly to be expected of a sample whose strata have these moments; each of the shape of one cell."""

    mean: Array
    sd: Array  # of the mixture of the strata
    mean_variance: Array  # variance of the sample mean
    expected_variance: Array  # expectation of the sample variance, with n − 1 in its denominator
    variance_variance: Array  # variance of the sample variance
    excess_kurtosis: Array  # of one replicate within its stratum


def _by_stratum(parts: Sequence[TotalMoments], counts: Array) -> tuple[Callable[[Array], Array], list[Array]]:
    """What weighs figures of the strata, and their mean, sd, skewness and kurtosis."""
    weight = counts / counts.sum()
    moments = [np.stack(moment) for moment in zip(*parts, strict=True)]
    return lambda values: np.asarray(np.tensordot(weight, values, axes=1)), moments


def sample_moments(parts: Sequence[TotalMoments], counts: Array) -> SampleMoments:
    """Exact moments of the mean and variance of independent draws, `counts` from each law.

    With d the distance of a stratum's mean from that of all, Q = Σ(x − x̄)² is a quadratic form in independent
    variables, and Var Q = (1 − 1/n)² Σκ₄ + 2(1 − 2/n) Σσ⁴ + 2(Σσ²)²/n² + 4(1 − 1/n) Σdκ₃ + 4 Σd²σ².
    """
    n, (over, (mean, sd, skewness, kurtosis)) = float(counts.sum()), _by_stratum(parts, counts)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        whole = over(mean)
        apart, within = mean - whole, over(sd**2)
        between = over(apart**2)
        third = np.where(apart == 0, 0.0, apart * skewness * sd**3)
        fourth = over(kurtosis * sd**4)
        squares = (1 - 1 / n) ** 2 * fourth + 2 * (1 - 2 / n) * over(sd**4) + 2 * within**2 / n
        squares = n * (squares + 4 * (1 - 1 / n) * over(third) + 4 * over(apart**2 * sd**2))
        degrees = max(n - 1, 1)
        expected = within + between * n / degrees
        spread = np.sqrt(within + between)
        return SampleMoments(whole, spread, within / n, expected, squares / degrees**2, fourth / within**2)


class Leading(NamedTuple):
    """Leading-order substitutes for skewness and excess kurtosis in the errors of sd and cv."""

    skewness: Array
    excess_kurtosis: Array
    within: Array  # share of the variance that lies within strata


def leading(parts: Sequence[TotalMoments], counts: Array) -> Leading:
    """Of a sample with `counts` draws from each law; skewness, kurtosis and 1 of a single law."""
    if len(parts) == 1:
        return Leading(parts[0].skewness, parts[0].excess_kurtosis, np.ones_like(parts[0].sd))
    over, (mean, sd, skewness, kurtosis) = _by_stratum(parts, counts)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        apart, within = mean - over(mean), over(sd**2)
        variance = within + over(apart**2)
        third = skewness * sd**3
        mixed = np.where(apart == 0, 0.0, apart * third)
        of_square = over((kurtosis + 2) * sd**4 + 4 * mixed + 4 * apart**2 * sd**2)
        return Leading(over(third + 2 * apart * sd**2) / variance**1.5, of_square / variance**2 - 2, within / variance)
