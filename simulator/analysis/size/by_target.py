"""How large must the population be for each target? Read off the sizes of one run, by `minimum_on_grid`."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from ...ledger import declared
from .grid import minimum_on_grid

TARGETS = (0.01, 0.025, 0.05, 0.10, 0.20)


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
    answer = declared(answer.assign_attrs(summary.attrs | ends), "minimum_on_grid", asked=told, basis=basis)
    for name in answer.data_vars:
        answer[name].attrs["margin"] = margin
    return answer
