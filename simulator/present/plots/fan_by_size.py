"""What is the range of likely over- and underspends?"""

from __future__ import annotations

import xarray as xr
from matplotlib.axes import Axes

from ..picture import RUN, Picture, PlotRequest
from .colours import GREY, SERIES
from .style import at, finish, house_axes, label_ends, made_by, one_in, one_threshold, percent_axis, size_axis

DRAWN = ("overspend", "overspend_se")
_BOARD = 0.9


@made_by("fan", "overspend", "threshold quantile_level", "population_size")
def fan_by_size(answer: xr.Dataset, ax: Axes | None = None, threshold: float | None = None) -> Axes:
    """Ranges of the overspend by population size: half of the years, nine in ten, 98 in 100.

    Bars at the edges are their 95% intervals.
    """
    cells = at(answer, "threshold", threshold)
    order = ("quantile_level", "population_size")
    value, error = (cells[name].transpose(*order).values for name in DRAWN)
    sizes, levels = cells["population_size"].values, cells["quantile_level"].values
    axes = house_axes(ax)
    ends = []
    for pair in range(levels.size // 2):
        axes.fill_between(
            sizes, value[pair], value[-1 - pair], color=SERIES[0], alpha=(0.16, 0.30, 0.5)[min(pair, 2)], lw=0
        )
    for place, level in enumerate(levels):
        axes.plot(sizes, value[place], color=SERIES[0], lw=1.8 if level == 0.5 else 0.7, ls="-")
        low, high = value[place] - 1.96 * error[place], value[place] + 1.96 * error[place]
        axes.vlines(sizes, low, high, color=SERIES[2], lw=1.8, clip_on=False)
        rarer = f": {one_in(round(1 - level, 9))} above" if level > _BOARD else ""  # as a board counts years
        said = "median" if level == 0.5 else f"{100 * level:g}%{rarer}"
        ends.append((float(sizes[-1]), float(value[place, -1]), said, SERIES[0]))
    axes.axhline(0, color=GREY, lw=0.8)
    size_axis(axes, float(sizes[0]), float(sizes[-1]))
    percent_axis(axes.yaxis, signed=True)
    axes.set_ylabel("overspend, % of the budget")
    label_ends(axes, ends)
    note = f"{one_threshold(cells)}. Lines: that share of years lies below; purple bars: their 95% intervals."
    return finish(axes, answer, __doc__, note)


def _made(request: PlotRequest) -> xr.Dataset:
    from ...analysis.luck.exceedance import fan

    return fan(request.ledger)


PICTURE = Picture(
    fan_by_size, RUN, _made, lambda request: (request.ledger, request.several("population_size")),
    options=("threshold",),
)  # fmt: skip
