"""How far does the cost of costly people fall with no intervention?"""

from __future__ import annotations

from operator import attrgetter

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from ..picture import Picture
from .style import finish, house_axes, label_ends, made_by

DRAWN = ("first_year_mean", "next_year_mean")
MADE_BY = "years --out"


@made_by("persistence", "next_year_mean", "top")
def regression_to_the_mean(answer: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Mean cost of the costliest people in their year and in the next, as a multiple of the mean of all."""
    axes, ends = house_axes(ax), []
    for top, first, later in zip(answer["top"].values, *(answer[name].values for name in DRAWN), strict=True):
        (line,) = axes.plot([0, 1], [first, later], marker="o")
        ends.append((1.0, float(later), f"costliest {top:.0%}", to_hex(line.get_color())))
    axes.set(
        xlim=(-0.15, 1.15),
        ylim=(0, None),
        xticks=[0, 1],
        xlabel="years since they were chosen",
        ylabel="mean cost, as a multiple of the mean of all",
    )
    axes.set_xticklabels(["0: chosen for their cost", "1: the next year"])
    label_ends(axes, ends)
    return finish(axes, answer, __doc__, "People still on the list.")


PICTURE = Picture(
    regression_to_the_mean, MADE_BY, attrgetter("found"),
    lambda request: request.holds("next_year_mean", "what years imply", MADE_BY),
)  # fmt: skip
