"""How does luck shrink as the population grows?"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from numpy.typing import NDArray

from ..answers.shared import rules
from ..figure import full_money
from ..picture import EITHER, Picture, PlotRequest
from .colours import INK
from .style import evenly, finish, house_axes, label_ends, left_out, log_percent_axis, made_by, size_axis

DRAWN = ("cv", "cv_se", "exact_cv")
_DRAWN = "Broad lines: simulated, with 95% bands; thin dark lines: exact. Sizes are nested: neighbours move together."
_ALONE = "Broad lines: simulated, with 95% bands. Sizes are nested: neighbours move together."


@made_by("summarise", "cv", "threshold", "population_size")
def variance_by_size(summary: xr.Dataset, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Coefficient of variation of the retained cost by population size, one line a threshold.

    Broad lines are the simulated figures, bands their 95% interval, thin dark lines the exact ones; of an exact
    answer, which `exact` gave, the broad lines are exact. At most four thresholds are drawn. With what `exact_curve`
    gave besides, the exact curve is smooth; without it the exact figures at the summary's sizes are joined.
    """
    order = ("population_size", "threshold")
    cv = summary["cv"].transpose(*order).values
    error = summary["cv_se"].transpose(*order).values if "cv_se" in summary else None
    exact_sizes, exact_cv = _curve(summary)
    sizes, names = summary["population_size"].values, rules(summary)
    axes = house_axes(ax)
    ends = []
    for series in evenly(len(names)):
        drawn = (exact_sizes, exact_cv[:, series]) if error is None else (sizes, cv[:, series])
        (line,) = axes.plot(*drawn, lw=2.6, label=names[series])
        if error is not None:
            low, high = cv[:, series] - 1.96 * error[:, series], cv[:, series] + 1.96 * error[:, series]
            axes.fill_between(sizes, low, high, color=line.get_color(), alpha=0.25, linewidth=0)
            axes.plot(exact_sizes, exact_cv[:, series], color=INK, ls="-", lw=0.8, label=f"exact: {names[series]}")
        ends.append((float(sizes[-1]), float(cv[-1, series]), names[series], to_hex(line.get_color())))
    axes.set(yscale="log", ylabel="year-to-year risk (sd of retained cost / its mean)")
    size_axis(axes, float(sizes[0]), float(sizes[-1]))
    log_percent_axis(axes.yaxis)
    label_ends(axes, ends)
    return finish(axes, summary, title or __doc__, _note(summary) + left_out(names))


def _exact(summary: xr.Dataset) -> xr.DataArray:
    if "exact_sd" not in summary:
        return summary["cv"]
    with np.errstate(invalid="ignore"):
        return summary["exact_sd"] / summary["exact_mean"]


def _curve(summary: xr.Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sizes and exact figures, the latter of shape (size, threshold)."""
    if "exact_cv" in summary:
        return summary["curve_size"].values, summary["exact_cv"].transpose("curve_size", "threshold").values
    return summary["population_size"].values, _exact(summary).transpose("population_size", "threshold").values


def _note(summary: xr.Dataset) -> str:
    last = {"population_size": -1, "threshold": -1}
    drawn = "cv_se" in summary
    mean = float(summary["exact_mean" if drawn else "mean_cost"].isel(last)) / float(summary["population_size"][-1])
    currency = summary.attrs["currency"]
    note = (_DRAWN if np.isfinite(_curve(summary)[1]).any() else _ALONE) if drawn else "Calculated without simulation."
    return f"{note} Mean {full_money(mean, currency)} a head." if np.isfinite(mean) else note


def plotted(summary: xr.Dataset) -> pd.DataFrame:
    """The figures behind `variance_by_size`, a row a population and threshold."""
    shown = summary[["cv", "cv_se"]].assign(exact_cv=_exact(summary))
    return shown.to_dataframe()[list(DRAWN)].reset_index()


def _made(request: PlotRequest) -> xr.Dataset:
    from ...analysis.luck.systematic import exact_curve
    from ...runs import scenario_of

    known = "scenario" in request.found.attrs and scenario_of(request.found) is not None
    return request.summary.assign(exact_curve(request.scenario)) if known else request.summary


PICTURE = Picture(
    variance_by_size, EITHER, _made, lambda request: (request.statistics, request.several("population_size"))
)
