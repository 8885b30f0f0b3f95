"""Which sizes and thresholds are viable?"""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm, to_hex
from numpy.typing import NDArray

from ..text import columns, error_decimals, people
from .colours import INK, SEQUENTIAL, SERIES, ink_on
from .style import finish, house_axes, percentage
from .wanted import made_by

_NOTE = (
    "Chance in % ± one standard error. Orange line: at most {} on its right; ? where the 95% interval leaves that open."
)
DRAWN = ("p_overspend", "p_overspend_se", "p_overspend_interval")


@made_by("summarise", "p_overspend")
def heat_map(summary: xr.Dataset, ax: Axes | None = None, margin: float | None = None, at_most: float = 0.05) -> Axes:
    """Chance of an overspend above a margin, by population size and threshold, and where it is small enough.

    Parameters
    ----------
    summary : xarray.Dataset
        What `summarise` gave.
    ax : matplotlib.axes.Axes, optional
    margin : float, optional
        One of the summary's; 0.03 where it has it, else the first.
    at_most : float
        Largest tolerated chance: the contour is drawn between cells on either side of it.

    Returns
    -------
    matplotlib.axes.Axes
        Cells hold the chance in % ± its standard error, or its 95% bound where it was never or always seen; a
        "?" marks those whose 95% interval holds the target.
    """
    known = [float(level) for level in summary["margin"].values]
    margin = margin if margin is not None else 0.03 if 0.03 in known else known[0]
    order = ("threshold", "population_size")
    cells = summary.sel(margin=margin)
    chance, error = (cells[name].transpose(*order).values for name in ("p_overspend", "p_overspend_se"))
    interval = cells["p_overspend_interval"].transpose("bound", *order).values
    unsure = (interval[0] <= at_most) & (at_most < interval[1])
    sizes = [people(n) for n in summary["population_size"].values]
    height = 1.9 + 0.42 * max(chance.shape[0], 3)
    with house_axes(ax, (max(7.0, 1.6 + 0.72 * len(sizes)), height)) as axes:
        norm = PowerNorm(0.5, 0, max(float(chance.max()), at_most))
        axes.pcolormesh(chance, cmap=SEQUENTIAL, norm=norm, edgecolors="white", linewidth=1)
        for (row, column), value in np.ndenumerate(chance):
            at = (row, column)
            told = _told(float(value), float(error[at]), interval[:, row, column]) + (" ?" if unsure[at] else "")
            ink = ink_on(to_hex(SEQUENTIAL(float(norm(value)))))
            axes.text(column + 0.5, row + 0.5, told, ha="center", va="center", fontsize=7.5, color=ink)
        _contour(axes, chance <= at_most)
        axes.set_xticks(np.arange(len(sizes)) + 0.5, sizes)
        axes.set_yticks(np.arange(chance.shape[0]) + 0.5, columns(summary))
        axes.tick_params(length=0)
        axes.grid(False)
        axes.set_xlabel("people in the population, for one year")
        axes.set_ylabel("exclusion threshold,\none patient's annual cost")
        asked = f"Chance of an overspend of more than {percentage(margin)} of the budget"
        about = f"{asked} · {summary.attrs.get('title', '')}".removesuffix(" · ")
        finish(axes, summary, "Which sizes and thresholds are viable?", _NOTE.format(percentage(at_most)), about)
    return axes


def _told(chance: float, error: float, interval: NDArray[np.float64]) -> str:
    """A chance with its error; where none or all of the years did, the end of the 95% interval."""
    if chance in (0.0, 1.0):
        return f"<{100 * interval[1]:.2g}" if chance == 0 else f">{100 * interval[0]:.4g}"
    decimals = error_decimals(100 * error)
    return f"{100 * chance:.{decimals}f}±{100 * error:.{decimals}f}"


def _contour(axes: Axes, viable: NDArray[np.bool_]) -> None:
    """A heavy line between cells on either side of the target."""
    rows, columns_ = viable.shape
    segments = []
    for row, column in np.ndindex(viable.shape):
        if column + 1 < columns_ and viable[row, column] != viable[row, column + 1]:
            segments.append(((column + 1, row), (column + 1, row + 1)))
        if row + 1 < rows and viable[row, column] != viable[row + 1, column]:
            segments.append(((column, row + 1), (column + 1, row + 1)))
    for (x0, y0), (x1, y1) in segments:
        axes.plot([x0, x1], [y0, y1], color=INK, lw=4.5, ls="-", solid_capstyle="projecting")
    for (x0, y0), (x1, y1) in segments:
        axes.plot([x0, x1], [y0, y1], color=SERIES[3], lw=2.6, ls="-", solid_capstyle="projecting")
