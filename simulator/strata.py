"""Replicates that share a parameter set are a stratum: the one home of standard errors over replicates.

Sets are not drawn but taken in turn, each for its share of the replicates. So which sets there are adds nothing to the
error of a run: standard errors are those of the luck within sets, given the sets. That the fit rests on finitely many
rows is in the sets themselves and so in the spread of the costs; that the sets are finitely many is not told.

Every mean, share, difference and influence has its error from here, whatever it is a figure of, so that none of them
can take the difference between sets for luck; and so have the intervals of a share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import special

from .terms import Array

INTERVAL_LEVEL = 0.95
Z95 = 1.959963984540054
ONE_SIGMA = 0.31731050786291415
"""Chance of a normal variable beyond one standard deviation, to either side."""


class Strata:
    """Which replicates were drawn under the same parameter set, from the set of each (replicate,)."""

    def __init__(self, labels: NDArray[np.int64]) -> None:
        self.sets, self.labels, self.counts = np.unique(labels, return_inverse=True, return_counts=True)
        self._order = np.argsort(self.labels, kind="stable")
        self._starts = np.concatenate([[0], np.cumsum(self.counts)[:-1]])

    def squares_within(self, values: Array) -> Array:
        """Sum of squared deviations from the stratum's own mean, shape (stratum, …)."""
        counts = self.counts.reshape(-1, *[1] * (values.ndim - 1))
        mean = self._sums(values) / counts
        return self._sums((values - mean[self.labels]) ** 2)

    def _sums(self, values: Array) -> Array:
        return np.asarray(np.add.reduceat(values[self._order], self._starts, axis=0))

    def root_within(self, values: Array, weight: Array) -> Array:
        """Root of the squared deviations within strata, each stratum with its weight."""
        return np.asarray(np.sqrt(np.tensordot(weight, self.squares_within(values), axes=1)))

    def sd(self, values: Array) -> Array:
        """Standard deviation of the values for the error of their mean: that within strata, weighted by their size."""
        return self.root_within(values, self.counts / (self.counts - 1) / self.counts.sum())


def strata_of(drawn: xr.Dataset | xr.DataArray) -> Strata | None:
    """The strata of what has replicates; None without parameter sets, and where some set was drawn only once.

    A sample of sets drawn once each is taken as one without strata, which errs to the wide side.
    """
    if "parameter_draw" not in drawn.coords:
        return None
    found = Strata(drawn["parameter_draw"].values)
    return found if found.counts.min() > 1 else None


def mean_error(values: Array, strata: Strata | None) -> Array:
    """Standard error of the mean over replicates; NaN of a single one."""
    n = values.shape[0]
    if n < 2:
        return np.full(values.shape[1:], np.nan)
    sd = strata.sd(values) if strata else values.std(axis=0, ddof=1)
    return np.asarray(sd / math.sqrt(n))


def share_error(happened: NDArray[np.bool_], strata: Strata | None) -> Array:
    """Standard error of the share of replicates in which something happened; never 0.

    Two more of either outcome are counted (Agresti and Coull 1998). Under strata the variance is that within them, and
    at least the one that this gives to a thing that was never seen.
    """
    n = happened.shape[0]
    if strata is None:
        return counted_error(happened.sum(axis=0), n)
    within = strata.sd(happened.astype(float)) ** 2
    return np.asarray(np.maximum(np.sqrt(within / (n + 4)), counted_error(np.zeros(1), n)[0]))


def counted_error(count: Array, n: int) -> Array:
    """The same of a count alone, of `n` replicates without strata."""
    adjusted = (np.asarray(count) + 2) / (n + 4)
    return np.asarray(np.sqrt(adjusted * (1 - adjusted) / (n + 4)))


def probability_error(happened: NDArray[np.bool_], strata: Strata | None) -> Array:
    """Binomial standard error of the share of replicates, within strata where there are any.

    No event seen, or none missing, within any stratum says little of its chance: there it is the exact upper bound that
    one event in so many draws would allow at one sigma.
    """
    n, share = happened.shape[0], happened.mean(axis=0)
    error = mean_error(happened.astype(float), strata) if strata else np.sqrt(share * (1 - share) / n)
    return np.where(error == 0, 1 - ONE_SIGMA ** (1 / n), error)


def exact_interval(events: NDArray[np.int64], n: int, level: float = INTERVAL_LEVEL) -> Array:
    """Clopper and Pearson's interval of a probability (1934, Biometrika 26:404), lower and upper along a last axis.

    It holds for strata too (Hoeffding 1956, Ann Math Stat 27:713).
    """
    tail = (1 - level) / 2
    with np.errstate(invalid="ignore"):
        lower = np.where(events == 0, 0.0, special.betaincinv(np.maximum(events, 1), n - events + 1, tail))
        upper = np.where(events == n, 1.0, special.betaincinv(events + 1, np.maximum(n - events, 1), 1 - tail))
    return np.stack([lower, upper], axis=-1)


def unseen_bound(n: int) -> float:
    """Upper end of the 95% interval of a probability of which no event was seen (Clopper and Pearson)."""
    return float(1.0 - 0.025 ** (1.0 / n))


def wilson_half_width(share: xr.DataArray, error: xr.DataArray, n: int) -> xr.DataArray:
    """Half-width of Wilson's 95% interval; under strata with the variance within them in the place of p (1 − p)."""
    variance: Any = np.minimum(share * (1 - share) / n, error**2)
    half: xr.DataArray = np.sqrt(variance + Z95**2 / (4 * n**2)) * Z95 / (1 + Z95**2 / n)
    return half


def jackknife(left_out: Array, strata: Strata | None) -> Array:
    """Standard error of a statistic from its values without each replicate in turn."""
    if strata:
        return strata.root_within(left_out, (strata.counts - 1) / strata.counts)
    n = left_out.shape[0]
    return np.asarray(np.sqrt((n - 1) / n * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0)))


def mean_and_error(values: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Mean over replicates, and its standard error."""
    return values.mean("replicate"), error_of_mean(values)


def error_of_mean(values: xr.DataArray) -> xr.DataArray:
    """Standard error of the mean over replicates."""
    return _reduced(values, mean_error(_first(values), strata_of(values)))


def share_and_error(happened: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Share of the replicates in which something happened, and its standard error, which is never 0."""
    return happened.mean("replicate"), _reduced(happened, share_error(_first(happened), strata_of(happened)))


def with_errors(estimates: Mapping[str, tuple[xr.DataArray, xr.DataArray]]) -> xr.Dataset:
    """Estimates with their standard errors as the siblings ``…_se``."""
    named = {name: {name: value, f"{name}_se": error} for name, (value, error) in estimates.items()}
    return xr.Dataset({key: part for pair in named.values() for key, part in pair.items()})


def _first(values: xr.DataArray) -> NDArray[Any]:
    return np.asarray(values.transpose("replicate", ...).values)


def _reduced(values: xr.DataArray, errors: Array) -> xr.DataArray:
    """Errors with the dims of what they are errors of, the replicates gone."""
    like = values.transpose("replicate", ...).isel(replicate=0, drop=True)
    return xr.DataArray(errors, dims=like.dims, coords=like.coords)
