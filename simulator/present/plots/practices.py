"""Which practices lie beyond what luck explains?"""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from .colours import GREY, SERIES
from .names import one_threshold
from .style import finish, house_axes, label_ends, people_axis, percentage
from .wanted import made_by

DRAWN = ("ratio", "members", "limit", "outside", "expected_outside")
_LINES = ("--", "-")


@made_by("funnel", "ratio")
def funnel(answer: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Each practice's cost over the expected against its people, between the limits of luck.

    Parameters
    ----------
    answer : xarray.Dataset
        What the analysis `funnel` gave.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        Limits are exact; practices beyond the widest are drawn in another colour and, where they are few, named.
    """
    members, ratio = answer["members"].values, answer["ratio"].values
    limit = answer["limit"].transpose("level", "bound", "population_size").values
    sizes, levels = answer["population_size"].values, answer["level"].values
    lower, upper = (np.interp(np.log(members), np.log(sizes), end) for end in limit[-1])
    beyond = (ratio < lower) | (ratio > upper)
    with house_axes(ax) as axes:
        ends = []
        for place, level in enumerate(levels):
            for end, side in zip(limit[place], ("lower", "upper"), strict=True):
                axes.plot(sizes, end, color=SERIES[0], ls=_LINES[place % 2], lw=1.2)
                if side == "upper":
                    ends.append((float(sizes[-1]), float(end[-1]), f"{100 * level:g}%", SERIES[0]))
        axes.plot(members[~beyond], ratio[~beyond], "o", ms=4, color=SERIES[1], mec="white", mew=0.3)
        axes.plot(members[beyond], ratio[beyond], "D", ms=5, color=SERIES[3], mec="white", mew=0.3)
        axes.axhline(1, color=GREY, lw=0.8)
        axes.set_xscale("log")
        people_axis(axes.xaxis, float(sizes[0]), float(sizes[-1]))
        axes.yaxis.set_major_formatter(lambda value, _: percentage(value - 1, signed=True))
        axes.set_xlabel("people of the practice, for one year")
        axes.set_ylabel("cost over the expected, %")
        axes.set_xlim(float(sizes[0]), float(sizes[-1]))
        label_ends(axes, ends)
        finish(axes, answer, "Which practices lie beyond what luck explains?", _note(answer, levels))
    return axes


def _note(answer: xr.Dataset, levels: np.ndarray) -> str:
    told = " ".join(
        f"Beyond {100 * level:g}%: {int(n)} of {answer.sizes['practice']} (luck alone: {expected:.2g})."
        for level, n, expected in zip(levels, answer["outside"].values, answer["expected_outside"].values, strict=True)
    )
    which = f"{answer.attrs['practices'].capitalize()} practices"
    return f"{which}. {one_threshold(answer)}. Limits are exact, for luck alone. {told}"
