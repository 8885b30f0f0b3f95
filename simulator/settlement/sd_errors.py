"""How far off a standard deviation over replicates may be, where rare costly patients decide.

A sample's own fourth moment lacks the years that it did not see, so that it nearly always underrates the error of its
sd. Of some costs every moment is exact: of the gross cost, and of what an exclusion rule removes. Where a party's
surplus follows a straight line in such a cost g in its costliest years, and so beyond them, its square follows a
parabola, and that part of the variance of the square is replaced by its exact one:

    Var(ψ) = Var of the sample + pᵀ (exact covariance of (g, g²) − that of the sample) p,   ψ ≈ p₀ + p₁ g + p₂ g².

A party at full risk so has the exact fourth moment, as has `summarise`. Where no line is followed (what is limited has
no tail), and where there is no exact fourth moment, the error is that of the jackknife.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from ..costs.moments import TotalMoments, mixture
from ..strata import Strata, jackknife, mean_error, strata_of
from ..terms import Array

MOMENTS = ("mean", "sd", "skewness", "excess_kurtosis")  # of each reference cost, along its dim `moment`
_TAIL = 0.01  # share of the replicates, the costliest, that tell what lies beyond them
_FEWEST = 20  # replicates that such a tail has
_FOLLOWED = 0.5  # share of the tail's variation that a line must explain
_LEAST = 0.02  # share of the sample's own figure that a replacement leaves at least


class Spread(NamedTuple):
    """Standard deviations and their change against the first design, each with its standard error."""

    sd: xr.DataArray
    sd_se: xr.DataArray
    difference: xr.DataArray
    difference_se: xr.DataArray


def spread_of(surplus: xr.DataArray, outcome: xr.Dataset) -> Spread:
    """Standard deviation of every surplus over replicates, and its change against the first design, paired."""
    place = next((dim for dim in ("population_size", "unit") if dim in surplus.dims), None)
    dims = ["replicate", *([] if place is None else [place]), "design"]
    ordered = surplus.transpose(*dims, ...)
    values = ordered.values if place is not None else ordered.values[:, None]
    strata, like = strata_of(surplus), ordered.isel(replicate=0, drop=True)
    # one population after the other: all together would take several times the memory of the outcome
    found = [
        _spread(values[:, [at]] - values[:, [at]].mean(axis=0), strata, _references(outcome, place, at))
        for at in range(values.shape[1])
    ]
    together = (np.concatenate(parts, axis=0) for parts in zip(*found, strict=True))
    return Spread(*(like.copy(data=part.reshape(like.shape)) for part in together))


def _spread(centred: Array, strata: Strata | None, known: Sequence[_Reference]) -> tuple[Array, Array, Array, Array]:
    """From deviations (replicate, place, design, …)."""
    n, squares = len(centred), centred**2
    sd = np.sqrt(squares.sum(axis=0) / (n - 1)) if n > 1 else np.full(centred.shape[1:], np.nan)
    if n < 3:
        nothing = np.full(sd.shape, np.nan)
        return sd, nothing, _against_first(sd, 1), nothing
    left_out = np.sqrt(np.maximum(squares.sum(axis=0) - squares * (n / (n - 1)), 0.0) / (n - 2))
    lines = [reference.line(centred) for reference in known]
    means = [reference.mean_shift(line.parabola) for reference, line in zip(known, lines, strict=True)]
    variance = np.maximum(sd**2 + _closest([line.share for line in lines], means, sd.shape), _LEAST * sd**2)
    scale = np.divide(sd, 2 * variance, out=np.zeros_like(sd), where=variance > 0)
    alone = [_Line(line.parabola * scale, line.share) for line in lines]
    influence = squares * scale
    error = _error(influence, jackknife(left_out, strata), known, alone, strata)
    against = [_Line(_against_first(line.parabola, 2), line.share + line.share[:, :1]) for line in alone]
    paired = jackknife(_against_first(left_out, 2), strata)
    apart = _error(_against_first(influence, 2), paired, known, against, strata)
    return sd, error, _against_first(sd, 1), apart


def _against_first(values: Array, axis: int) -> Array:
    """Less those of the first design."""
    return values - np.take(values, [0], axis=axis)


def _error(
    influence: Array, jackknifed: Array, known: Sequence[_Reference], lines: Sequence[_Line], strata: Strata | None
) -> Array:
    """Standard error of the mean of an influence; the jackknife's where it follows no cost that is known."""
    shares = [line.share for line in lines]
    shifts = [reference.variance_shift(line.parabola) for reference, line in zip(known, lines, strict=True)]
    variance = mean_error(influence, strata) ** 2
    replaced = variance + _closest(shares, shifts, jackknifed.shape) / len(influence)
    follows = np.sum([np.zeros(jackknifed.shape), *shares], axis=0) > 0
    return np.where(follows, np.sqrt(np.maximum(replaced, _LEAST * variance)), jackknifed)


def _closest(shares: Sequence[Array], figures: Sequence[Array], shape: tuple[int, ...]) -> Array:
    """The figure of the reference that is followed most closely, 0 where none is."""
    best, found = np.zeros(shape), np.zeros(shape)
    for share, figure in zip(shares, figures, strict=True):
        found, best = np.where(share > best, figure, found), np.maximum(best, share)
    return found


def _references(outcome: xr.Dataset, place: str | None, at: int) -> list[_Reference]:
    """The costs of one population of an outcome that have an exact fourth moment."""
    if "reference_cost" not in outcome or place is None or outcome.sizes["replicate"] < _FEWEST:
        return []
    one = {place: [at]}
    costs = outcome["reference_cost"].isel(one).transpose("reference", "replicate", place).values
    moments = outcome["reference_moment"].isel(one).transpose("reference", "moment", "parameter_set", place).values
    strata = strata_of(outcome)
    return [
        _Reference(cost, exact, strata)
        for cost, exact in zip(costs, moments, strict=True)
        if np.isfinite(exact).all() and (exact[1] > 0).all()
    ]


class _Line(NamedTuple):
    """What values less their mean follow in the costliest years."""

    parabola: Array  # of their squares: coefficients of g and g², (2, place, …); 0 where they follow no line
    share: Array  # of their variation that the line explains, (place, …); 0 where it is no line


class _Reference:
    """A cost (replicate, place) in standard deviations from its mean, g, with exact moments (moment, set, place)."""

    def __init__(self, cost: Array, moments: Array, strata: Strata | None) -> None:
        sets, weight = _drawn(moments, strata)
        middle = weight @ sets[0]
        unit = np.sqrt(weight @ (sets[1] ** 2 + (sets[0] - middle) ** 2))
        self._g = (cost - middle) / unit
        powers = np.stack([self._g, self._g**2], axis=-1)
        within = _covariance(
            [mean_error(part, strata) ** 2 * len(cost) for part in (powers[..., 0], powers.sum(-1), powers[..., 1])]
        )
        mean, covariance = _exactly((sets[0] - middle) / unit, sets[1] / unit, sets[2], sets[3])
        self._mean = np.moveaxis(np.tensordot(weight, mean, axes=(0, 1)), 0, -1) - powers.mean(axis=0)
        self._covariance = np.moveaxis(np.tensordot(weight, covariance, axes=(0, 2)), -1, 0) - within
        number = min(max(_FEWEST, math.ceil(_TAIL * len(cost))), len(cost))
        self._costliest = np.argsort(self._g, axis=0)[-number:]

    def line(self, values: Array) -> _Line:
        """How values (replicate, place, …) less their mean go with g in the costliest years."""
        slopes, share = np.zeros((2, *values.shape[1:])), np.zeros(values.shape[1:])
        for place, costliest in enumerate(self._costliest.T):
            g = self._g[costliest, place]
            tail, weight = values[costliest, place].reshape(len(g), -1), np.abs(g)[:, None]
            terms = np.stack([np.ones_like(g), g], axis=1)
            start, slope = np.linalg.lstsq(terms * weight, tail * weight, rcond=None)[0]
            missed = ((tail - start - np.outer(g, slope)) ** 2 * weight**2).sum(axis=0)
            spread = ((tail - (tail * weight**2).sum(axis=0) / (weight**2).sum()) ** 2 * weight**2).sum(axis=0)
            explained = 1 - np.divide(missed, spread, out=np.ones_like(missed), where=spread > 0)
            follows = explained > _FOLLOWED
            shape = values.shape[2:]
            share[place] = np.where(follows, explained, 0.0).reshape(shape)
            slopes[:, place] = np.where(follows, [2 * start * slope, slope**2], 0.0).reshape(2, *shape)
        return _Line(slopes, share)

    def mean_shift(self, slopes: Array) -> Array:
        """Exact mean of the parabolas less that of the sample."""
        return np.einsum("kp...,pk->p...", slopes, self._mean)

    def variance_shift(self, slopes: Array) -> Array:
        """Exact variance of the parabolas less that of the sample, both within strata."""
        return np.einsum("jp...,pjk,kp...->p...", slopes, self._covariance, slopes)


def _drawn(moments: Array, strata: Strata | None) -> tuple[Array, Array]:
    """Moments (moment, set, place) of the sets that were drawn, and their weights; of all as one without strata."""
    if strata is None or moments.shape[1] == 1:
        parts = [TotalMoments(*np.moveaxis(moments, 1, 0)[b]) for b in range(moments.shape[1])]
        return np.stack(mixture(parts))[:, None], np.ones(1)
    return moments[:, strata.sets], strata.counts / strata.counts.sum()


def _exactly(apart: Array, sd: Array, skewness: Array, kurtosis: Array) -> tuple[Array, Array]:
    """Mean (2, …) and covariance (2, 2, …) of g and g², from the moments of g."""
    third = skewness * sd**3
    both = 2 * apart * sd**2 + third
    squared = 4 * apart**2 * sd**2 + 4 * apart * third + (kurtosis + 2) * sd**4
    return np.stack([apart, apart**2 + sd**2]), np.stack([np.stack([sd**2, both]), np.stack([both, squared])])


def _covariance(variances: list[Array]) -> Array:
    """The matrix (…, 2, 2) from the variances of the first, of the sum and of the second."""
    first, together, second = variances
    both = (together - first - second) / 2
    return np.stack([np.stack([first, both], axis=-1), np.stack([both, second], axis=-1)], axis=-2)
