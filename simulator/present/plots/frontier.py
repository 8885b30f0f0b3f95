"""What does a stronger incentive cost?"""

from operator import attrgetter

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from ..picture import Picture
from .colours import GREY
from .style import finish, house_axes, made_by

DRAWN = ("frontier_price", "frontier_power", "price_per_head", "power")
_MARKS = {"today": "s", "cheapest": "D", "strongest": "^", "nearest": "v"}


@made_by("propose", "frontier_price", "frontier")
def frontier(answer: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Price a head of designs within the limits by the part of a saving that providers keep, with 95% intervals."""
    axes = house_axes(ax)
    order = answer.sortby("frontier_power")
    axes.errorbar(
        order["frontier_power"], order["frontier_price"], yerr=1.96 * order["frontier_price_se"], marker="o", ms=4,
        lw=1.2, elinewidth=1,
    )  # fmt: skip
    for name in map(str, answer["option"].values):
        one = answer.sel(option=name)
        axes.plot(one["power"], one["price_per_head"], _MARKS[name], color=GREY, ms=8, mfc="none")
        axes.annotate(name, (float(one["power"]), float(one["price_per_head"])), (8, -12), textcoords="offset points")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.margins(0.18)
    axes.set_xlabel("part of each further pound saved that providers keep")
    axes.set_ylabel(f"price, {answer.attrs['currency']} per head per year")
    return finish(axes, answer, __doc__, "Bars: 95% intervals. No design that was tried is both cheaper and stronger.")


PICTURE = Picture(
    frontier, "propose --out", attrgetter("found"),
    lambda request: request.holds("frontier_price", "proposed terms", "propose --out"),
)  # fmt: skip
