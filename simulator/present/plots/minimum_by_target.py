"""How large must the population be, for each target?"""

from __future__ import annotations

import math

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from ..answers.shared import rules
from ..picture import EITHER, Picture, PlotRequest
from .colours import GREY
from .style import evenly, finish, house_axes, label_ends, left_out, made_by, people_axis, percentage

DRAWN = ("minimum_population", "minimum_population_interval")
_MARKS = ("o", "s", "^", "D")
_APART = 0.22  # least distance between two targets, on the logarithmic scale


@made_by("minimum_by_target", "minimum_population", "at_most threshold")
def minimum_by_target(answer: xr.Dataset, ax: Axes | None = None, at_most: float | None = None) -> Axes:
    """Minimum viable population by the largest accepted chance of an overspend, one line per threshold.

    Points with 95% intervals, or of an exact answer with the sizes between which they lie.
    Targets that every size of the run meets, or none, have no point.
    """
    order = ("at_most", "threshold")
    least = answer["minimum_population"].transpose(*order).values
    low, high = answer["minimum_population_interval"].transpose("bound", *order).values
    inside = np.isfinite(least) & (least > 0)
    smallest, largest = answer.attrs["smallest"], answer.attrs["largest"]
    endless = bool((high[inside] > largest).any())
    low, high = np.clip(low, smallest, None), np.clip(high, None, largest)
    targets, names = answer["at_most"].values, rules(answer)
    shown = evenly(len(names))
    met = targets[inside[:, shown].any(axis=1)] if inside[:, shown].any() else targets
    axes = house_axes(ax)
    ends = []
    for place, series in enumerate(shown):
        here = inside[:, series]
        # neighbouring series a little apart, so that their bars can be told
        x = targets * 1.025 ** (place - (len(shown) - 1) / 2)
        (line,) = axes.plot(x[here], least[here, series], marker=_MARKS[place], ms=5, lw=1.2, label=names[series])
        axes.vlines(x[here], low[here, series], high[here, series], color=line.get_color(), lw=2)
        if here.any():
            end = float(targets[here][-1]) * 1.05, float(least[here, series][-1])
            ends.append((*end, names[series], to_hex(line.get_color())))
    marked = [target for target in met if target == at_most]
    for target in marked:
        axes.axvline(target, color=GREY, lw=1, ls=":", zorder=0.5)
    axes.set(xscale="log", yscale="log", xlim=(0.9 * met.min(), 1.15 * met.max()))
    axes.set_xticks(met, [percentage(target) for target in met])
    axes.xaxis.set_minor_formatter(NullFormatter())
    over = f"overspending by more than {percentage(answer.attrs['margin'])} of the budget"
    axes.set(xlabel=f"accepted chance of {over}", ylabel="people needed, for one year")
    drawn = np.concatenate([low[inside], high[inside]]) if inside.any() else np.array([smallest, largest])
    axes.set_ylim(0.8 * drawn.min(), 1.25 * drawn.max())
    people_axis(axes.yaxis, float(drawn.min()), float(drawn.max()))
    label_ends(axes, ends)
    dotted = "".join(f" Dotted: the target of {percentage(target)}." for target in marked)
    return finish(axes, answer, __doc__, f"{_note(answer, least[:, shown], endless)}{left_out(names)}{dotted}")


def _note(answer: xr.Dataset, least: NDArray[np.float64], endless: bool) -> str:
    note = "Bars: 95% intervals, from the sizes of one run."
    if answer.attrs.get("method") == "exact":
        note = "Read off between exact figures; bars: the two sizes between which each lies."
    smallest, largest = (f"{answer.attrs[end]:,}" for end in ("smallest", "largest"))
    if endless:
        note += f" Those that reach {largest} may go on beyond it."
    if (least == 0).any():
        note += f" Not shown: targets that {smallest} people meet already."
    if np.isinf(least).any():
        note += f" Not shown: targets that {largest} people do not meet."
    return note


def _made(request: PlotRequest) -> xr.Dataset:
    from ...analysis.size.grid import TARGETS
    from ...analysis.size.grid import minimum_by_target as found

    # a usual target so near to the one asked for that their names would overlap makes room for it
    targets = [target for target in TARGETS if abs(math.log(target / request.at_most)) > _APART]
    return found(request.summary, sorted([*targets, request.at_most]), margin=request.margin)


PICTURE = Picture(
    minimum_by_target, EITHER, _made, lambda request: (request.statistics, request.several("population_size")),
    ("margin",), ("at_most",),
)  # fmt: skip
