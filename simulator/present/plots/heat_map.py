"""Which sizes and thresholds are viable?"""

from __future__ import annotations

import math
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm, to_hex
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from ...errors import SimulatorError
from ..answers.shared import figure_of, rules
from ..figure import DIGITS_NOTE, exact_percent, people
from ..picture import EITHER, Picture, PlotRequest
from .colours import INK, SEQUENTIAL, SERIES, ink_on
from .style import colour_key, finish, house_axes, made_by, percentage, words

DRAWN = ("p_overspend", "p_overspend_se", "p_overspend_interval", "minimum_population", "minimum_population_interval")
_STRIP = 0.45  # height above the cells, in rows, for the words of the line
_BESIDE = 0.36  # columns between the line and a number's middle
_LOW, _HIGH = 0.2, 0.62  # where in a row the line's point stands, and the chance


class _Line(NamedTuple):
    """Where each threshold's chance is the target, in people: 0 and infinity lie beyond the sizes."""

    at_most: float
    least: NDArray[np.float64]
    interval: NDArray[np.float64]


@made_by("summarise", "p_overspend", "population_size threshold margin")
def heat_map(
    summary: xr.Dataset, ax: Axes | None = None, margin: float | None = None, at_most: float | None = None
) -> Axes:
    """Chance of an overspend above a margin, by population size and threshold, and where it is small enough.

    Parameters
    ----------
    summary : xarray.Dataset
        What `summarise` or `exact` gave; with what `minimum_by_target` gave besides, a line parts what is large
        enough: ``summary.assign(minimum_by_target(summary, (0.05,), margin=0.03))``.
    ax : matplotlib.axes.Axes, optional
    margin : float, optional
        One of the summary's; that of the line, or else 0.03 where the summary has it, or else the first.
    at_most : float, optional
        Largest accepted chance, one of those that the minimum was asked for; 0.05 where it is among them, else the
        first.

    Returns
    -------
    matplotlib.axes.Axes
        Cells hold the chance, or its 95% bound where it was never or always seen. The line
        joins the smallest populations, each with its interval as a bar.

    Raises
    ------
    SimulatorError
        For a margin or target that the Dataset does not have.
    """
    margin = _margin(summary, margin)
    line = _line(summary, margin, at_most)
    order = ("threshold", "population_size")
    cells = summary.sel(margin=margin)
    chance = cells["p_overspend"].transpose(*order).values
    told, sizes = _told(cells, order), [str(people(n)) for n in summary["population_size"].values]
    rows = chance.shape[0]
    axes = house_axes(ax, (max(7.0, 1.6 + 0.72 * len(sizes)), 1.9 + 0.5 * max(rows, 3)))
    norm = PowerNorm(0.5, 0, max(float(chance.max()), 0.05 if line is None else line.at_most))
    mesh = axes.pcolormesh(chance, cmap=SEQUENTIAL, norm=norm, edgecolors="white", linewidth=1)
    colour_key(axes, mesh, "chance of an overspend")
    for (row, column), value in np.ndenumerate(chance):
        cell = to_hex(SEQUENTIAL(float(norm(value))))
        x = column + 0.5 + _aside(column, row, summary["population_size"].values, line)
        axes.text(
            x, row + _HIGH, str(told[row, column]), ha="center", va="center", fontsize=7.5, color=ink_on(cell),
            zorder=5, bbox={"facecolor": cell, "edgecolor": "none", "pad": 0.8},
        )  # fmt: skip
    if line is not None:
        _draw(axes, summary["population_size"].values, line)
    axes.set_xticks(np.arange(len(sizes)) + 0.5, sizes)
    axes.set_yticks(np.arange(rows) + 0.5, rules(summary))
    axes.set(xlim=(0, len(sizes)), ylim=(0, rows + _STRIP * (line is not None)))
    axes.spines["left"].set_bounds(0, rows)
    axes.tick_params(length=0)
    axes.grid(False)
    axes.set(xlabel="people in the population, for one year", ylabel="one patient's annual cost")
    asked = f"Chance of an overspend of more than {percentage(margin)} of the budget"
    about = " · ".join(filter(None, (asked, summary.attrs.get("title"))))
    return finish(axes, summary, __doc__, _note("p_overspend_se" in summary, line), about)


def _margin(summary: xr.Dataset, margin: float | None) -> float:
    known = [float(level) for level in summary["margin"].values]
    lined = summary["minimum_population"].attrs.get("margin") if "minimum_population" in summary else None
    if margin is None:
        margin = lined if lined is not None else 0.03 if 0.03 in known else known[0]
    if margin not in known or lined not in (None, margin):
        there = known if lined is None else [lined]
        raise SimulatorError(
            "heat_map: margin", margin, f"is not among those of the Dataset ({', '.join(f'{m:g}' for m in there)})",
            "give both functions the same margin",
        )  # fmt: skip
    return margin


def _line(summary: xr.Dataset, margin: float, at_most: float | None) -> _Line | None:
    """The line of a target, where the Dataset has lines."""
    known = [float(target) for target in summary["at_most"].values] if "at_most" in summary.dims else []
    if at_most is not None and at_most not in known:
        raise SimulatorError(
            "heat_map: at_most", at_most, "has no smallest population in the Dataset",
            f"draw summary.assign(minimum_by_target(summary, ({at_most:g},), margin={margin:g}))",
        )  # fmt: skip
    if not known:
        return None
    target = at_most if at_most is not None else 0.05 if 0.05 in known else known[0]
    found = summary[["minimum_population", "minimum_population_interval"]].sel(at_most=target)
    interval = found["minimum_population_interval"].transpose("bound", "threshold").values
    return _Line(target, found["minimum_population"].values, interval)


def _told(cells: xr.Dataset, order: tuple[str, str]) -> NDArray[np.object_]:
    """Each cell's chance with the digits that its error supports; where none or all of the years did, its 95% bound."""
    cells = cells.transpose(*order, ...)
    told = np.empty(cells["p_overspend"].shape, object)
    for at in np.ndindex(told.shape):
        cell = cells.isel(dict(zip(order, at, strict=True)))
        is_drawn = "p_overspend_se" in cells
        told[at] = figure_of(cell, "p_overspend").brief if is_drawn else str(exact_percent(float(cell["p_overspend"])))
    return told


def _aside(column: int, row: int, sizes: NDArray[np.int64], line: _Line | None) -> float:
    """How far a number moves to the side, to stand beside the line."""
    off = math.inf if line is None else column + 0.5 - float(_place(line.least, sizes)[row])
    return 0.0 if abs(off) > _BESIDE else math.copysign(_BESIDE - abs(off), off)


def _draw(axes: Axes, sizes: NDArray[np.int64], line: _Line) -> None:
    """The line through each row's smallest population, its intervals as bars, and its name above."""
    least, (low, high) = _place(line.least, sizes), _place(line.interval, sizes)
    rows = least.size
    y = np.arange(rows) + _LOW
    colour, edge = SERIES[3], [withStroke(linewidth=4.2, foreground=INK)]
    inside = np.isfinite(line.least) & (line.least > 0)
    if inside.any():
        path = np.repeat(least, 2), np.repeat(np.arange(rows + 1), 2)[1:-1]  # a step to each row's own place
        axes.plot(*path, color=colour, lw=2.2, ls="-", path_effects=edge, solid_joinstyle="round", zorder=3)
    axes.hlines(y, low, high, color=colour, lw=2.6, path_effects=edge, zorder=4)
    axes.plot(least[inside], y[inside], "o", ms=6, mfc="white", mec=INK, color=colour, zorder=6)
    target = percentage(line.at_most)
    said = f"{target}: to the right is large enough"
    if (line.least == 0).all() or np.isinf(line.least).all():
        said = f"{target}: {'no' if line.least.any() else 'every'} size is large enough"
    left = least[-1] <= sizes.size / 2
    axes.annotate(
        said, xy=(least[-1], rows), xytext=(0 if left else 4, 4), textcoords="offset points",
        ha="left" if left else "right", va="bottom", fontsize=8.5, fontweight="bold", color=words(colour),
    )  # fmt: skip


def _place(number: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Where a number of people stands among the columns, on the logarithmic scale; beyond the sizes, at an edge."""
    centres = np.arange(sizes.size) + 0.5
    with np.errstate(divide="ignore"):
        place = np.interp(np.log(number), np.log(sizes), centres)
    return np.where(number == 0, 0.0, np.where(np.isinf(number), float(sizes.size), place))


def _note(drawn: bool, line: _Line | None) -> str:
    note = (
        f"Chances, simulated: {DIGITS_NOTE[0].lower()}{DIGITS_NOTE[1:]}"
        if drawn
        else "Chances calculated without simulation."
    )
    if line is None or ((line.least == line.interval).all() and np.isin(line.least, (0, np.inf)).all()):
        return note
    target, bars = percentage(line.at_most), "95% intervals" if drawn else "the two sizes between which it lies"
    note += f" Line: where it is {target}, read off between the sizes; bars: {bars}."
    ends = np.concatenate([line.interval.ravel(), line.least])
    beyond = ((ends == 0) | np.isinf(ends)).any()
    return note + (" What reaches an edge goes on beyond it." if beyond else "")


def _made(request: PlotRequest) -> xr.Dataset:
    from ...analysis.size.grid import minimum_by_target

    least = minimum_by_target(request.summary, (request.at_most,), margin=request.margin)
    return request.summary.sel(margin=[request.margin]).assign(least)


PICTURE = Picture(heat_map, EITHER, _made, attrgetter("statistics"), ("margin", "at_most"))
