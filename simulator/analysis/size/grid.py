"""How large must the population be? Reading the smallest sufficient size off a curve over sizes.

`minimum_on_grid` takes the curve of a summary, as it was drawn for other reasons; `minimum_population` draws one for
the question, and reads it with the same `crossing`.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from ... import ledger as books
from ...errors import SimulatorError
from ...strata import Z95
from ...terms import Array
from ..checks import check_fraction
from ..statistics.statistic import ON_GRID, Scale, Statistic, named

_FINEST = 1e-12  # distance from 0 and 1 below which an exact probability is a rounding error


def minimum_on_grid(summary: xr.Dataset, statistic: str, at_most: float, **at: float) -> xr.Dataset:
    """Smallest population from which on a target holds at every larger size of the grid.

    Between two sizes of the grid the curve is interpolated on the scale on which it is nearly straight.
    """
    asked = named(statistic, ON_GRID)
    check_fraction("at_most", at_most)
    for dim, level in at.items():
        if level not in summary[dim].values:
            raise SimulatorError(dim, level, "is not in the summary", f"ask summarise for {dim}s=({level},)")
    curve = summary[statistic].sel(at).transpose("population_size", "threshold")
    sizes = summary["population_size"].values.astype(float)
    found = (
        _drawn(summary, asked, at_most, at, curve, sizes)
        if f"{statistic}_se" in summary
        else [_exactly(sizes, values, at_most, asked.scale) for values in curve.values.T]
    )
    answer = xr.Dataset(
        {
            "minimum_population": (("threshold",), np.array([least for least, *_ in found])),
            "minimum_population_interval": (("threshold", "bound"), np.array([ends for _, *ends in found])),
        },
        coords={"threshold": summary["threshold"], "bound": ["lower", "upper"]},
        attrs={"statistic": statistic, "at_most": at_most, **at},
    )
    told = f"{statistic} ≤ {at_most:g}"
    return books.declared(answer, "minimum_on_grid", asked=told, basis=_basis(summary, statistic))


def _basis(summary: xr.Dataset, statistic: str) -> str:
    return "drawn" if f"{statistic}_se" in summary else "exact"


def _drawn(
    summary: xr.Dataset, statistic: Statistic, at_most: float, at: dict[str, float], curve: xr.DataArray, sizes: Array
) -> list[list[float]]:
    """By threshold: where the statistic and the ends of its 95% interval meet the target."""
    if statistic.is_probability:
        interval = summary[f"{statistic.name}_interval"].sel(at).transpose("bound", *curve.dims)
        low, high = interval.sel(bound="lower").values, interval.sel(bound="upper").values
    else:
        error = Z95 * summary[f"{statistic.name}_se"].sel(at).transpose(*curve.dims).values
        low, high = curve.values - error, curve.values + error
    # of a probability that was never seen, all that is known is that it is small
    finest = min(0.5 / summary.attrs["replicates"], at_most / 2)
    return [
        [crossing(sizes, values[:, d], at_most, statistic.scale, finest) for values in (curve.values, low, high)]
        for d in range(curve.sizes["threshold"])
    ]


def _exactly(sizes: Array, values: Array, at_most: float, scale: Scale) -> tuple[float, float, float]:
    """Where an exact curve meets the target, and the two sizes between which it does."""
    least = crossing(sizes, values, at_most, scale, _FINEST)
    if least in {0, np.inf}:
        return least, least, least
    above = int(np.searchsorted(sizes, least))
    return least, float(sizes[max(above - 1, 0)]), float(sizes[above])


def crossing(sizes: Array, values: Array, at_most: float, scale: Scale, finest: float) -> float:
    """Size at which a curve meets a target for the last time, interpolated on the scale on which it is nearly straight.

    Parameters
    ----------
    sizes, values : ndarray, shape (size,)
        Sizes ascending.
    at_most : float
        The target.
    scale : Scale
    finest : float
        Smallest distance from 0 and 1 that a value is taken to have.

    Returns
    -------
    float
        0 where the smallest size meets the target already, infinity where the largest does not.
    """
    misses = np.flatnonzero(~(values <= at_most))
    if not misses.size:
        return 0.0
    last = int(misses[-1])
    if last == sizes.size - 1:
        return float("inf")
    seen = np.clip([values[last], values[last + 1]], finest, 1 - finest)
    before, after, target = scale.of_value([*seen, at_most])
    share = (before - target) / (before - after)
    start, stop = scale.of_size(sizes[last : last + 2])
    return float(scale.size_of(start + share * (stop - start)))
