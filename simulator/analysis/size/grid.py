"""How large must the population be? Reading the smallest sufficient size off a curve over sizes.

`minimum_on_grid` takes the curve of a summary, as it was drawn for other reasons, and `minimum_by_target` does so for
several targets; `minimum_population` draws one for the question, and reads it with the same `crossing`.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from ... import ledger as books
from ...errors import SimulatorError
from ...strata import Z95
from ...terms import Array
from ..checks import check_fraction
from ..statistics.statistic import ON_GRID, Scale, Statistic, named

TARGETS = (0.01, 0.025, 0.05, 0.10, 0.20)
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
    drawn = f"{statistic}_se" in summary
    found = (
        _drawn(summary, asked, at_most, at, curve, sizes)
        if drawn
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
    return books.declared(answer, "minimum_on_grid", asked=told, basis="drawn" if drawn else "exact")


def minimum_by_target(summary: xr.Dataset, at_most: Sequence[float] = TARGETS, *, margin: float = 0.03) -> xr.Dataset:
    """Smallest population at which an overspend above the margin has at most each of several chances.

    Parameters
    ----------
    summary : xarray.Dataset
        What `summarise` or `exact` gave, with this margin.
    at_most : sequence of float
        Targets: largest accepted chances, fractions.
    margin : float
        Tolerance of the overspend, a fraction of the budget.

    Returns
    -------
    xarray.Dataset
        ``minimum_population`` and ``minimum_population_interval`` (bound), 95%, in people by ``at_most`` and
        ``threshold``: 0 where the smallest size of the run meets the target, infinity where the largest does not. Of
        an exact answer the interval is that of the two sizes between which the minimum lies. Both can stand in a
        summary: ``summary.assign(minimum_by_target(summary, (0.05,)))`` is what `plots.heat_map` draws its line from.

    Raises
    ------
    SimulatorError
        For a target out of range, or a margin that the summary does not have.
    """
    found = [minimum_on_grid(summary, "p_overspend", target, margin=margin) for target in at_most]
    answer = xr.concat(found, dim=xr.DataArray(list(at_most), dims="at_most", name="at_most"), combine_attrs="drop")
    answer["threshold"].attrs.update(summary["threshold"].attrs)
    sizes = summary["population_size"].values
    ends = {"smallest": int(sizes[0]), "largest": int(sizes[-1]), "margin": margin, "statistic": "p_overspend"}
    basis = str(found[0]["minimum_population"].attrs["basis"])
    told = f"P(overspend > {margin:g}) ≤ the target"
    answer = books.declared(answer.assign_attrs(summary.attrs | ends), "minimum_on_grid", asked=told, basis=basis)
    for name in answer.data_vars:
        answer[name].attrs["margin"] = margin
    return answer


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
    """Size at which a curve over ascending sizes meets a target for the last time, interpolated where it is straight.

    It is 0 where the smallest size meets the target already, infinity where the largest does not; `finest` is the
    smallest distance from 0 and 1 that a value is taken to have.
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
