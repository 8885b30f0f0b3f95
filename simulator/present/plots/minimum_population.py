"""How large must the population be, under each cap?"""

from __future__ import annotations

import math
from operator import attrgetter

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from ..answers.minimum import asked, size_told
from ..answers.shared import rules
from ..figure import percentage, rounded
from ..picture import Picture
from .colours import INK, SERIES
from .style import beside_row, finish, house_axes, made_by, name_rows, people_axis

DRAWN = ("minimum_population", "minimum_population_interval", "exact_minimum_population", "systematic_alone")


@made_by("minimum_population", "exact_minimum_population", "threshold design")
def minimum_population(answer: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Minimum viable population under each threshold or design, beside what the exact engine says.

    Points with their intervals; upright marks are exact. Rows that no size of the grid, or the smallest already,
    meets have words and no point.
    """
    dim = "threshold" if "threshold" in answer.dims else "design"
    names = rules(answer) if dim == "threshold" else [str(name) for name in answer[dim].values]
    drawn = answer.attrs["method"] == "simulated"
    smallest, largest = (float(answer.attrs[end]) for end in ("smallest", "largest"))
    axes = house_axes(ax, (7.0, 1.9 + 0.42 * max(len(names), 3)))
    for row in range(len(names)):
        cell = answer.isel({dim: row})
        if drawn:
            _draw(axes, row, cell, smallest, largest)
        exact = float(cell["exact_minimum_population"])
        if math.isfinite(exact) and exact > 0:
            axes.plot([exact], [row], "|", ms=15, mew=1.6, color=INK)
        beside_row(axes, row, _told(cell, drawn), SERIES[0] if drawn else INK)
    axes.set(xscale="log", xlim=(0.9 * smallest, 1.1 * largest), ylim=(len(names) - 0.5, -0.5))
    people_axis(axes.xaxis, smallest, largest)
    name_rows(axes, range(len(names)), names)
    axes.set_xlabel("people needed, for one year")
    about = f"For a {asked(answer)} \u00b7 {answer.attrs.get('title', '')}"
    return finish(axes, answer, __doc__, _note(answer, drawn), about)


def _draw(axes: Axes, row: int, cell: xr.Dataset, smallest: float, largest: float) -> None:
    """A point and its interval, as far as they lie among the sizes that were tried."""
    low, high = np.clip(cell["minimum_population_interval"].values, smallest, largest)
    axes.plot([low, high], [row, row], color=SERIES[0], lw=2.2, ls="-")
    least = float(cell["minimum_population"])
    if math.isfinite(least) and least > 0:
        axes.plot([least], [row], "o", ms=6, mfc="white", mec=SERIES[0], color=SERIES[0])


def _told(cell: xr.Dataset, drawn: bool) -> str:
    least, alone = float(cell["minimum_population"]), float(cell["systematic_alone"])
    if alone > cell.attrs["at_most"]:
        return f"none is enough: {percentage(rounded(alone))} however many"
    if not drawn:
        return str(size_told(least, cell))
    low, high = (str(size_told(float(bound), cell)) for bound in cell["minimum_population_interval"].values)
    return f"{size_told(least, cell)}{f' ({low} to {high})' if low != high else ''}"


def _note(answer: xr.Dataset, drawn: bool) -> str:
    rings = [f"Rings: simulated, with {percentage(answer.attrs['confidence'])} intervals."] if drawn else []
    is_exact = not drawn or answer["exact_minimum_population"].notnull().any()
    return " ".join(rings + ["Vertical bars: calculated without simulation."] * bool(is_exact))


PICTURE = Picture(
    minimum_population, "size --out", attrgetter("found"),
    lambda request: request.holds("exact_minimum_population", "smallest population", "size --out"),
)  # fmt: skip
