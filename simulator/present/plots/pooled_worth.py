"""What is pooling several years worth?"""

from __future__ import annotations

from operator import attrgetter

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from ..answers.shared import rules
from ..picture import Picture
from .colours import GREY
from .regression_to_the_mean import MADE_BY
from .style import evenly, finish, house_axes, label_ends, left_out, made_by

DRAWN = ("pooled_worth",)


@made_by("persistence", "pooled_worth", "years_pooled threshold")
def pooled_worth(answer: xr.Dataset, ax: Axes | None = None) -> Axes:
    """How many independent years pooled years are worth by their number, one line a threshold; at most four."""
    axes, names = house_axes(ax), rules(answer)
    years, worth = answer["years_pooled"].values, answer["pooled_worth"].transpose("threshold", "years_pooled").values
    axes.plot(years, years, color=GREY, lw=1.0, ls="--")
    ends = [(float(years[-1]), float(years[-1]), "independent years", GREY)]
    for series in evenly(len(names)):
        (line,) = axes.plot(years, worth[series], marker="o", ms=4)
        ends.append((float(years[-1]), float(worth[series, -1]), names[series], to_hex(line.get_color())))
    axes.set(xticks=years, xlabel="years pooled", ylabel="independent years they are worth")
    label_ends(axes, ends)
    note = f"Luck alone; membership: {answer.attrs['membership']}."
    return finish(axes, answer, __doc__, note + left_out(names))


PICTURE = Picture(
    pooled_worth, MADE_BY, attrgetter("found"),
    lambda request: request.holds("pooled_worth", "what years imply", MADE_BY),
)  # fmt: skip
