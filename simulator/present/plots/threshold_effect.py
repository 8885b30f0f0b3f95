"""What does a threshold take out of the budget?"""

from __future__ import annotations

from operator import attrgetter

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from ...errors import SimulatorError
from ..answers.shared import NO_EXCLUSION, rules
from ..figure import people, percent
from ..picture import RUN, Picture
from .colours import INK, SERIES
from .style import at, evenly, finish, house_axes, left_out, made_by, name_rows, percent_axis, words, words_at

DRAWN = tuple(
    f"{name}{end}"
    for name in ("patients_above_share", "cost_removed_share", "variance_removed_share")
    for end in ("", "_se")
)
_SAID = ("of patients", "of cost", "of the total's variance")
_COLOURS = (SERIES[1], SERIES[0], SERIES[2])
_MOST = 5
_NOTE = (
    "Lines: 95% intervals. Patients: those with a cost above the threshold. Variance: of "
    "what all people together cost, not of one person's cost."
)


@made_by("summarise", "cost_removed_share", "population_size threshold")
def threshold_effect(summary: xr.Dataset, ax: Axes | None = None, members: int | None = None) -> Axes:
    """Shares of patients, of cost and of variance that each threshold removes.

    Bars with their figures.
    """
    cells, names = at(summary, "population_size", members), rules(summary)
    every = [k for k, name in enumerate(names) if name != NO_EXCLUSION]
    if not every:
        raise SimulatorError("threshold_effect", None, "is given no threshold that excludes anybody", "add a lower one")
    finite = [every[k] for k in evenly(len(every), _MOST)]
    axes = house_axes(ax, (7.0, 1.9 + 0.62 * max(len(finite), 3)))
    for part, (said, colour) in enumerate(zip(_SAID, _COLOURS, strict=True)):
        value, error = (cells[DRAWN[2 * part + k]].values[finite] for k in (0, 1))
        y = np.arange(len(finite)) + 0.27 * (part - 1)
        axes.barh(y, value, height=0.24, color=colour, label=said)
        axes.hlines(y, value - 1.96 * error, value + 1.96 * error, color=INK, lw=1)
        for row, v, e in zip(y, value, error, strict=True):
            told, end = f"{percent(float(v), float(e)).brief} {said}", (v + 1.96 * np.nan_to_num(e), row)
            words_at(axes, told, end, (4, 0), 8, va="center", color=words(colour))
    name_rows(axes, range(len(finite)), [names[k] for k in finite])
    axes.invert_yaxis()
    axes.set_xlim(0, min(1.0, 1.35 * float(np.nanmax(cells[DRAWN[4]].values[finite], initial=0.05))))
    percent_axis(axes.xaxis)
    axes.set_xlabel(f"share that is removed, {people(float(cells['population_size']))} people for one year")
    axes.set_ylabel("one patient's annual cost")
    return finish(axes, summary, __doc__, _NOTE + left_out([names[k] for k in every], _MOST))


PICTURE = Picture(
    threshold_effect, RUN, attrgetter("summary"), lambda request: (request.ledger, request.several("threshold")),
    options=("members",),
)  # fmt: skip
