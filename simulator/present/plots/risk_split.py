"""Is it luck, doubt about the model, or system-wide shocks?"""

from __future__ import annotations

from operator import attrgetter

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from ..figure import people
from ..picture import SCENARIO, Picture, PlotRequest
from .colours import INK, SERIES, ink_on
from .style import at, finish, house_axes, label_ends, made_by, one_threshold, percent_axis

DRAWN = ("share", "variance", "sd_overspend", "enough_people")
_SAID = {"process": "luck", "systematic": "system-wide shocks", "parameter": "doubt about the model"}
_ANY = 0.0005
_COLOURS = {"process": SERIES[0], "systematic": SERIES[3], "parameter": SERIES[1]}


@made_by("variance_by_source", "sd_overspend", "source population_size threshold")
def risk_split(answer: xr.Dataset, ax: Axes | None = None, threshold: float | None = None) -> Axes:
    """Shares of the overspend's variance from luck, doubt and common shocks, by population size.

    Exact shares, and above each bar the standard deviation that they add up to.
    """
    cells = at(answer, "threshold", threshold)
    sizes, total = cells["population_size"].values, cells["sd_overspend"].values
    x = np.arange(sizes.size, dtype=float)
    axes = house_axes(ax, (max(7.0, 2.4 + 0.6 * sizes.size), 4.5))
    bottom, ends = np.zeros(sizes.size), []
    for source in cells["source"].values:
        share, colour = cells["share"].sel(source=source).values, _COLOURS[str(source)]
        if not share.any():
            continue
        axes.bar(x, share, bottom=bottom, width=0.8, color=colour, edgecolor="white", label=_SAID[str(source)])
        for place, part, below in zip(x, share, bottom, strict=True):
            if part >= 0.045:
                told, ink = f"{100 * part:.0f}%", ink_on(colour)
                axes.text(place, below + part / 2, told, ha="center", va="center", fontsize=8, color=ink)
        ends.append((float(x[-1]) + 0.4, float(bottom[-1] + share[-1] / 2), _SAID[str(source)], colour))
        bottom = bottom + share
    # two figures, a last one of 0 among them: 4.0% beside 5.7%
    for place, sd in zip(x, total, strict=True):
        told = f"{100 * sd:#.2g}".removesuffix(".")
        axes.text(place, 1.015, f"{told}%", ha="center", va="bottom", fontsize=8, color=INK)
    axes.set_xticks(x, [str(people(n)) for n in sizes])
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="x", visible=False)
    axes.set(ylim=(0, 1.09), yticks=[0, 0.25, 0.5, 0.75, 1])
    percent_axis(axes.yaxis)
    axes.set(xlabel="people in the population, for one year", ylabel="share of the variance of the overspend")
    label_ends(axes, ends)
    return finish(axes, answer, __doc__, _note(cells), _alone(cells))


def _alone(cells: xr.Dataset) -> str | None:
    """A sentence in the place of a title where all of the risk has one source."""
    having = [str(name) for name in cells["source"].values if (cells["share"].sel(source=name) > _ANY).any()]
    if len(having) != 1:
        return None
    return f"All of the risk is {_SAID[having[0]]}, at every size: the scenario has no other source of it."


def _note(cells: xr.Dataset) -> str:
    note = f"{one_threshold(cells)}. Above the bars: standard deviation of the overspend, % of the budget. All exact."
    enough = float(cells["enough_people"])
    if np.isfinite(enough):
        note += f" From {float(f'{enough:.2g}'):,.0f} people on, luck is less than half of the variance."
    if cells.attrs.get("parameter_sets", 1) == 1:
        note += " The model's parameters are taken as known."
    return note


def _made(request: PlotRequest) -> xr.Dataset:
    from ...analysis.luck.systematic import variance_by_source

    return variance_by_source(request.scenario)


PICTURE = Picture(risk_split, SCENARIO, _made, attrgetter("scenario"), options=("threshold",))
