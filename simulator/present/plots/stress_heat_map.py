"""Who is hurt when things do not go to plan?"""

from __future__ import annotations

import textwrap

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import SymLogNorm, to_hex
from numpy.typing import NDArray

from ..figure import people, percent
from ..picture import SCENARIO, Picture, PlotRequest
from .colours import DIVERGING, INK, ink_on
from .style import colour_key, cut, finish, heading, house_axes, made_by

DRAWN = ("surplus_difference_share", "surplus_difference_share_se")
_NOTE = (
    "Change of the party's expected surplus against that as agreed, on the same draws, % of its revenue as agreed "
    "0: no change in any simulated year. Purple: loss; blue: gain."
)

Array = NDArray[np.float64]


@made_by("stress", "surplus_difference_share", "stress design party")
def stress_heat_map(answer: xr.Dataset, ax: Axes | None = None) -> Axes:
    """What each stress does to each party under each design, as a share of the party's revenue as agreed.

    Cells hold the change of the expected surplus, on the same simulated years; purple is a loss.
    Parties without revenue, and what changes nothing for anybody, have no cells.
    """
    order = ("design", "party", "stress")
    value, error = (answer[name].transpose(*order).values for name in DRAWN)
    shown = [k for k in range(value.shape[2]) if np.nan_to_num(value[:, :, k]).any()] or [value.shape[2] - 1]
    largest = float(np.nanmax(np.abs(value), initial=1e-6))
    norm = SymLogNorm(linthresh=0.1 * largest, vmin=-largest, vmax=largest)
    ticks: dict[int, str] = {}
    y, mesh = -1, None
    lines = sum(1 + int(np.isfinite(part).any(axis=1).sum()) for part in value)
    names = [cut(str(name)) for name in answer["party"].values]
    axes = house_axes(ax, (max(7.0, 2.6 + 0.82 * len(shown)), 2.2 + 0.3 * lines), names)
    for name, of_design, errors in zip(answer["design"].values, value, error, strict=True):
        y += 1
        axes.text(0, y + 0.05, heading(str(name)), fontsize=8.5, fontweight="bold", va="center", color=INK)
        for party, row, row_errors in zip(answer["party"].values, of_design, errors, strict=True):
            if np.isfinite(row).any():
                y += 1
                ticks[y] = cut(str(party))
                mesh = _row(axes, y, row[shown], row_errors[shown], norm)
    axes.set_yticks(list(ticks), list(ticks.values()))
    stresses = [textwrap.fill(str(answer["stress"].values[k]), 11) for k in shown]
    axes.set_xticks(np.arange(len(shown)) + 0.5, stresses)
    axes.set(xlim=(0, len(shown)), ylim=(y + 0.5, -0.6))
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[["left", "bottom"]].set_visible(False)
    if mesh is not None:
        colour_key(axes, mesh, "change, % of revenue", signed=True)
    axes.set_xlabel(f"stress, {people(answer.attrs['members'])} people for one year")
    return finish(axes, answer, __doc__, _NOTE)


def _row(axes: Axes, y: int, values: Array, errors: Array, norm: SymLogNorm) -> QuadMesh:
    """One party's cells."""
    edges = np.arange(values.size + 1)
    grid, how = (edges, [y - 0.5, y + 0.5]), {"edgecolors": "white", "linewidth": 1}
    mesh = axes.pcolormesh(*grid, values[None], cmap=DIVERGING, norm=norm, **how)  # type: ignore[arg-type]
    for x, (value, error) in enumerate(zip(values, errors, strict=True)):
        colour = to_hex(DIVERGING(float(norm(value)))) if np.isfinite(value) else "#FFFFFF"
        axes.text(x + 0.5, y, _told(value, error), ha="center", va="center", fontsize=7, color=ink_on(colour))
    return mesh


def _told(value: float, error: float) -> str:
    if not np.isfinite(value):
        return "—"
    if abs(value) < 1e-9:
        return "0"
    return percent(value, error, sign=True, most=2).brief


def _needs(request: PlotRequest) -> None:
    from ...analysis.stress.stress import stresses_of

    if not request.answers(DRAWN[0]):
        request.asks("stresses", "stress")
        _ = request.placed
        stresses_of(request.scenario)


def _made(request: PlotRequest) -> xr.Dataset:
    from ...analysis.stress.stress import stress

    if DRAWN[0] in request.found:
        return request.found
    return stress(request.scenario, designs=request.placed, members=request.members)


PICTURE = Picture(
    stress_heat_map, f"stress --out; {SCENARIO}, with stresses and designs", _made, _needs, ("members", "design")
)
