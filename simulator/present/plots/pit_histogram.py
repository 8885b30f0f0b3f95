"""Do results fall evenly over what was predicted?"""

from __future__ import annotations

from operator import attrgetter

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from ..picture import Picture
from .colours import INK
from .style import finish, house_axes, label_ends, made_by, percent_axis

DRAWN = ("pit_share", "pit_share_se")
MADE_BY = "backtest --out"
_LEFT_OUT = ("normal",)


@made_by("backtest", "pit_share", "model bin")
def pit_histogram(answer: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Share of results in each tenth of the predicted chances, by model; a tenth each, if a prediction holds.

    A hump says that the prediction is too wide, a bowl that it is too narrow.
    """
    names = [name for name in answer["model"].values if str(name) not in _LEFT_OUT]
    axes, width, ends = house_axes(ax), 1.0 / answer.sizes["bin"], []
    axes.axhline(width, color=INK, lw=1.0, ls=":")
    for at, name in enumerate(names):
        share, error = (answer[one].sel(model=name).values for one in ("pit_share", "pit_share_se"))
        place = answer["bin"].values + width * (0.5 + 0.08 * (at - (len(names) - 1) / 2))
        (line,) = axes.plot(place, share, marker=".")
        axes.vlines(place, np.maximum(share - 1.96 * error, 0.0), share + 1.96 * error, color=line.get_color(), lw=1.0)
        ends.append((float(place[-1]), float(share[-1]), str(name), to_hex(line.get_color())))
    axes.set(
        xlim=(0, 1),
        ylim=(0, None),
        xlabel="predicted chance of a result as low, %",
        ylabel="results in each tenth, % of all",
    )
    percent_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    label_ends(axes, ends)
    note = "Bars: 95%, clustered by organisation. Dotted: what a prediction that holds would give."
    return finish(axes, answer, __doc__, note)


PICTURE = Picture(
    pit_histogram, MADE_BY, attrgetter("found"), lambda request: request.holds("pit_share", "back-test", MADE_BY),
)  # fmt: skip
