"""How does luck shrink as the population grows?"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.ticker import FuncFormatter, NullFormatter

from ..text import columns, money, people
from .style import evenly, footer, house_axes, label_ends


def variance_by_size(summary: xr.Dataset, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Coefficient of variation of the retained cost by population size, one line a threshold.

    Parameters
    ----------
    summary : xarray.Dataset
        What `summarise` gave.
    ax : matplotlib.axes.Axes, optional
        New ones by default.
    title : str, optional
        The scenario's by default.

    Returns
    -------
    matplotlib.axes.Axes
        Lines are the simulated figures, bands their 95% interval, rings the exact figures.
    """
    order = ("population_size", "threshold")
    cv, error = summary["cv"].transpose(*order).values, summary["cv_se"].transpose(*order).values
    with np.errstate(invalid="ignore"):
        exact = (summary["exact_sd"] / summary["exact_mean"]).transpose(*order).values
    sizes, labels = summary["population_size"].values, columns(summary)
    shown = evenly(len(labels))
    with house_axes(ax) as axes:
        ends = []
        for series in shown:
            (line,) = axes.plot(sizes, 100 * cv[:, series])
            low, high = cv[:, series] - 1.96 * error[:, series], cv[:, series] + 1.96 * error[:, series]
            axes.fill_between(sizes, 100 * low, 100 * high, color=line.get_color(), alpha=0.25, linewidth=0)
            axes.plot(sizes, 100 * exact[:, series], "o", mfc="none", mec=line.get_color(), ms=5, mew=0.8)
            name = "no cap" if labels[series] == "none" else f"cap {labels[series]}"
            ends.append((float(sizes[-1]), float(100 * cv[-1, series]), name, to_hex(line.get_color())))
        axes.set(xscale="log", yscale="log")
        axes.set_xlabel("people in the population, for one year")
        axes.set_ylabel("coefficient of variation of the retained cost, %")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda n, _: people(n)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}%"))
        axes.yaxis.set_minor_formatter(FuncFormatter(_few_labels))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_title(title or summary.attrs.get("title", ""), wrap=True)
        label_ends(axes, ends)
        mean = float(summary["exact_mean"].isel(population_size=-1, threshold=-1)) / float(sizes[-1])
        note = (
            "Lines: simulated, bands 95% interval; rings: exact. Sizes are nested: neighbouring points move together."
        )
        if np.isfinite(mean):
            note += f" Mean {money(mean, summary.attrs['currency'])} a head."
        footer(axes, summary, note)
    return axes


def plotted(summary: xr.Dataset) -> pd.DataFrame:
    """The figures behind `variance_by_size`, a row a population and threshold.

    Returns
    -------
    pandas.DataFrame
        ``cv``, its standard error ``cv_se`` and ``exact_cv``, as fractions.
    """
    shown = summary[["cv", "cv_se"]].assign(exact_cv=summary["exact_sd"] / summary["exact_mean"])
    return shown.to_dataframe()[["cv", "cv_se", "exact_cv"]].reset_index()


def _few_labels(value: float, _: object) -> str:
    leading = value / 10 ** np.floor(np.log10(value))
    return f"{value:g}%" if round(float(leading), 6) in (2.0, 5.0) else ""
