"""Which places are large enough by themselves?"""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from ..answers.places import qualifying
from ..answers.shared import ends, rule_names
from ..figure import people, percentage
from ..picture import EITHER, Picture, PlotRequest
from .colours import GREY, SERIES
from .style import cut, finish, house_axes, made_by, name_rows, percent_axis, words, words_at

DRAWN = ("members", "p_overspend", "qualifies")
_MOST = 40
"""Places that are drawn at most: those with the largest chances."""
_MARKS = ((SERIES[0], "o"), (SERIES[3], "D"))


@made_by("answer", "qualifies", "unit threshold")
def places(answer: xr.Dataset, ax: Axes | None = None) -> Axes:
    """The chance of an overspend in each place alone, beside the one that is accepted; the largest on top.

    Of a scenario with units, without exclusion and at the lowest threshold; lines are 95% intervals where the chances
    were simulated.
    """
    names, count = rule_names(answer), answer.sizes["unit"]
    order = np.argsort(-answer["p_overspend"].isel(threshold=-1).values, kind="stable")[:_MOST]
    shown, at_most = answer.isel(unit=order), float(answer.attrs["at_most"])
    rows = np.arange(order.size)
    axes = house_axes(ax, (7.0, 1.8 + 0.3 * order.size))
    for place, (colour, mark) in zip(ends(len(names)), _MARKS, strict=False):
        cell = shown.isel(threshold=place)
        if "p_overspend_interval" in cell:
            axes.hlines(rows, *cell["p_overspend_interval"].transpose("bound", "unit").values, color=colour, lw=1.2)
        chances = cell["p_overspend"].values
        axes.plot(chances, rows, mark, ms=5, color=colour, mec="white", mew=0.3)
        where = (float(chances[0]), 0.0)
        how = {"ha": "center", "va": "bottom", "color": words(colour), "annotation_clip": False}
        words_at(axes, names[place].label, where, (0, 8), 8, **how)
    axes.axvline(at_most, color=GREY, lw=1.2)
    words_at(axes, f"accepted: {percentage(at_most)}", (at_most, rows[-1]), (4, -14), 8, color=GREY, va="top")
    sizes = shown["members"].values
    told = [f"{cut(str(name))}, {people(n)}" for name, n in zip(shown["unit"].values, sizes, strict=True)]
    name_rows(axes, rows, told)
    axes.set_ylim(order.size + 0.15, -1.1)  # room for the words of the line, and of the marks
    axes.set_xlim(0, 1.12 * max(float(shown["p_overspend"].max()), at_most))
    percent_axis(axes.xaxis)
    axes.set_xlabel(f"chance of overspending by more than {percentage(answer.attrs['margin'])} in a year")
    left = f" The {count - order.size} places with the smallest chances are not drawn." * (count > order.size)
    how_known = "Lines: 95% intervals." if "p_overspend_se" in answer else "Every chance is exact."
    return finish(axes, answer, __doc__, f"{qualifying(answer, names)} {how_known}{left}")


def _made(request: PlotRequest) -> xr.Dataset:
    from ...analysis.size.places import places as judged

    if "qualifies" in request.found:
        return request.found
    drawn = request.ledger if "gross_cost" in request.found else None
    return judged(request.scenario, request.margin, request.at_most, drawn)


PICTURE = Picture(
    places, f"answer --out; {EITHER}, of a scenario with units", _made,
    lambda request: request.answers("qualifies") or request.has_units(request.scenario.population.units),
    ("margin", "at_most"),
)  # fmt: skip
