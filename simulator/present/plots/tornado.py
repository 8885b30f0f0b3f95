"""Which assumption matters most?"""

from __future__ import annotations

import textwrap

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from ..answers.sensitivity import statistic_words
from ..figure import exact_chance
from ..picture import SCENARIO, Picture, PlotRequest
from .colours import GREY, SERIES
from .style import finish, house_axes, made_by, name_rows, percent_axis, percentage, words, words_at

_NOTE = "Green: input at its low end; blue: at its high end, the others as agreed. Every figure is exact."
DRAWN = ("tornado", "as_agreed")


@made_by("sensitivity", "tornado", "input bound end")
def tornado(answer: xr.Dataset, ax: Axes | None = None) -> Axes:
    """A statistic with each input at the ends of its range, the widest on top.

    Every figure is exact.
    """
    ends = answer["tornado"].transpose("input", "end").sel(end=["low", "high"]).values
    agreed = float(answer["as_agreed"])
    order = np.argsort(-np.abs(ends[:, 1] - ends[:, 0]), kind="stable")
    ranges = dict(part.split(": ", 1) for part in answer.attrs["ranges"].split("; "))
    names = [str(name) for name in answer["input"].values]
    axes = house_axes(ax, (7.0, 2.2 + 0.5 * len(names)))
    for y, row in enumerate(order):
        for value, colour in zip(ends[row], (SERIES[1], SERIES[0]), strict=True):
            axes.barh(y, value - agreed, left=agreed, height=0.55, color=colour)
        for value, colour in zip(ends[row], (SERIES[1], SERIES[0]), strict=True):
            offset, side = ((4, 0), "left") if value >= agreed else ((-4, 0), "right")
            how = {"ha": side, "va": "center", "color": words(colour), "annotation_clip": False}
            words_at(axes, str(exact_chance(value)), (value, y), offset, 8, **how)
    axes.axvline(agreed, color=GREY, lw=1.2, ls="-")
    name_rows(axes, range(len(names)), [f"{names[row]}\n{_range(ranges.get(names[row], ''))}" for row in order])
    axes.invert_yaxis()
    axes.margins(x=0.24)
    if answer.attrs["statistic"] == "p_overspend":  # the margins hold figures, and no chances
        axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= 1])
    percent_axis(axes.xaxis)
    year = " for one year" if "members" in answer.attrs else ""
    axes.set_xlabel(textwrap.fill(f"{statistic_words(answer)}{year}", 72))
    return finish(axes, answer, __doc__, f"As agreed: {exact_chance(agreed)}. {_NOTE}")


def _range(told: str) -> str:
    """The ends of a range as percentages."""
    words_ = told.split(" ")
    try:
        low, high = float(words_[-3]), float(words_[-1])
    except (IndexError, ValueError):
        return told
    return f"{percentage(low, signed=True)} to {percentage(high, signed=True)}"


def _needs(request: PlotRequest) -> None:
    from ...analysis.stress.sensitivity import ranges_of

    if not request.answers("tornado"):
        request.asks("ranges", "sensitivity")
        ranges_of(request.scenario)


def _made(request: PlotRequest) -> xr.Dataset:
    from ...analysis.stress.sensitivity import sensitivity

    if "tornado" in request.found:
        return request.found
    asked = {name: getattr(request, name) for name in PICTURE.takes}
    return sensitivity(request.scenario, **asked, points=4)


PICTURE = Picture(
    tornado, f"sensitivity --out; {SCENARIO}, with ranges", _made, _needs, ("members", "threshold", "margin")
)
