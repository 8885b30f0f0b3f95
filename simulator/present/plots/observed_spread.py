"""Do organisations lie as far apart as was predicted?"""

from __future__ import annotations

from operator import attrgetter

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from ..picture import Picture
from .colours import INK
from .style import finish, house_axes, label_ends, log_percent_axis, made_by, size_axis

DRAWN = ("observed_sd", "observed_sd_se", "predicted_sd", "people_usual", "judged")
MADE_BY = "backtest --out"
_OTHERS = {"given the past": "given the past", "normal": "fitted"}
"""Models left out where the second is there: the sd given an organisation's past is no spread between organisations."""


@made_by("backtest", "predicted_sd", "model people_from")
def observed_spread(answer: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Standard deviation of results by people, one line a prediction and marks for what was observed.

    Luck alone falls with the square root of the number of people: on these axes a straight line.
    """
    known = answer.isel(people_from=np.flatnonzero(answer["judged"].values > 0))
    people, seen, error = (known[name].values for name in ("people_usual", "observed_sd", "observed_sd_se"))
    names = [str(name) for name in known["model"].values]
    axes, ends = house_axes(ax), []
    for name in (name for name in names if _OTHERS.get(name) not in names):
        predicted = known["predicted_sd"].sel(model=name).values
        (line,) = axes.plot(people, predicted, marker=".")
        ends.append((float(people[-1]), float(predicted[-1]), name, to_hex(line.get_color())))
    axes.vlines(people, np.maximum(seen - 1.96 * error, seen / 20), seen + 1.96 * error, color=INK, lw=1.2)
    axes.plot(people, seen, "o", ms=5, color=INK)
    axes.set(yscale="log", ylabel="sd of results, % of the budget")
    size_axis(axes, float(people[0]) / 1.15, float(people[-1]) * 1.15, "people of the organisation")
    log_percent_axis(axes.yaxis)
    label_ends(axes, ends)
    note = f"Dots: {int(known['judged'].sum()):,} results, year means removed, with 95% intervals."
    return finish(axes, answer, __doc__, f"{note} Luck falls with √people.")


PICTURE = Picture(
    observed_spread, MADE_BY, attrgetter("found"),
    lambda request: request.holds("predicted_sd", "back-test", MADE_BY),
)  # fmt: skip
