"""Which places differ by more than chance?"""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ...errors import about
from ..picture import Picture, PlotRequest
from .colours import GREY, INK, SERIES
from .style import cut, finish, house_axes, label_ends, made_by, one_threshold, percentage, size_axis, words_at

Array = NDArray[np.float64]

DRAWN = (
    "ratio", "members", "practice_limit", "limit", "outside", "expected_outside", "limit_with_spread",
    "practice_limit_with_spread", "outside_with_spread",
)  # fmt: skip
_LINES = ("--", "-")
_WIDTHS = (4.5, 1.2)
_MOST_NAMES = 12
_MOST_TOLD = 4
"""Names in the footer; the figures hold them all."""
_WIDE, _HIGH = 80.0, 14.0  # points between names
_ROOM = 1.25  # factor of people left free beside the first and the last
_APART = 1.06  # factor of people by which those of one size are drawn apart


@made_by("funnel", "ratio", "practice level", "population_size")
def funnel(answer: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Each unit's cost over the expected against its people, between the limits of luck.

    Limits are exact: lines by people where all have one case mix, else a bar for each unit, with its name where
    they are few. Units beyond their widest limit are drawn in another colour. Dotted: the widest limit of luck together
    with shocks of each unit's own, where the scenario has some.
    """
    ratio, levels = answer["ratio"].values, answer["level"].values
    own = answer["practice_limit"].transpose("level", "bound", "practice").values
    beyond = (ratio < own[-1, 0]) | (ratio > own[-1, 1])
    shared, unit = "limit" in answer, "unit" if _is_simulated(answer) else "practice"
    axes = house_axes(ax)
    places = answer["members"].values if shared else _places(answer["members"].values)
    ends = _curves(axes, answer) if shared else _bars(axes, places, own)
    axes.plot(places[~beyond], ratio[~beyond], "o", ms=4, color=SERIES[1], mec="white", mew=0.3)
    axes.plot(places[beyond], ratio[beyond], "D", ms=5, color=SERIES[3], mec="white", mew=0.3)
    axes.axhline(1, color=GREY, lw=0.8)
    sizes = answer["population_size"].values if shared else [places.min() / _ROOM, places.max() * _ROOM]
    size_axis(axes, float(sizes[0]), float(sizes[-1]), f"people of the {unit}")
    axes.yaxis.set_major_formatter(lambda value, _: percentage(value - 1, signed=True))
    axes.set_ylabel("cost over the expected, %")
    label_ends(axes, ends)
    if not shared and places.size <= _MOST_NAMES:
        for x, y, name in zip(places, own[-1, 1], answer["practice"].values, strict=True):
            words_at(axes, str(name).replace(" ", "\n"), (x, y), (0, 4), 7.5, color=INK, ha="center", va="bottom")
    else:
        _name(axes, answer, places, ratio, beyond)
    # of a simulated year it cannot be asked, but shows what luck alone may look like
    question = f"One simulated year: w{__doc__[1:]}" if __doc__ and _is_simulated(answer) else __doc__
    return finish(axes, answer, question, _note(answer, levels, shared))


def _name(axes: Axes, answer: xr.Dataset, places: Array, ratio: Array, beyond: NDArray[np.bool_]) -> None:
    """Names of those beyond, where they have room: the farthest first."""
    taken: list[Array] = []
    for place in sorted(np.flatnonzero(beyond), key=lambda k: -abs(ratio[k] - 1)):
        at = axes.transData.transform((places[place], ratio[place])) * 72 / axes.figure.dpi
        if all(abs(at[0] - x) > _WIDE or abs(at[1] - y) > _HIGH for x, y in taken):
            taken.append(at)
            name, how = cut(str(answer["practice"].values[place]), 18), {"ha": "center", "va": "bottom"}
            words_at(axes, name, (places[place], ratio[place]), (0, 4), 7.5, color=INK, **how)


def _is_simulated(answer: xr.Dataset) -> bool:
    return bool(answer.attrs["practices"] == "simulated")


def _curves(axes: Axes, answer: xr.Dataset) -> list[tuple[float, float, str, str]]:
    limit, sizes = answer["limit"].transpose("level", "bound", "population_size").values, answer["population_size"]
    ends = []
    for place, level in enumerate(answer["level"].values):
        for end in limit[place]:
            axes.plot(sizes, end, color=SERIES[0], ls=_LINES[place % 2], lw=1.2)
        ends.append((float(sizes[-1]), float(limit[place, 1, -1]), f"{100 * level:g}%", SERIES[0]))
    if "limit_with_spread" in answer:
        for end in answer["limit_with_spread"].transpose("level", "bound", "population_size").values[-1]:
            axes.plot(sizes, end, color=SERIES[2], ls=":", lw=1.4)
        ends.append((float(sizes[-1]), float(end[-1]), f"{100 * float(answer['level'][-1]):g}% with spread", SERIES[2]))
    return ends


def _bars(axes: Axes, places: Array, own: Array) -> list[tuple[float, float, str, str]]:
    for place, (low, high) in enumerate(own):
        axes.vlines(places, low, high, color=SERIES[0], lw=_WIDTHS[place % 2], alpha=0.35 if place % 2 == 0 else 1.0)
    axes.margins(y=0.12)  # room for the names
    return []


def _places(members: Array) -> Array:
    """Where each bar stands: at its people, those of the same size drawn a little apart."""
    places = members.copy()
    for size in np.unique(members):
        same = np.flatnonzero(members == size)
        places[same] *= _APART ** (np.arange(same.size) - (same.size - 1) / 2)
    return places


def _note(answer: xr.Dataset, levels: Array, shared: bool) -> str:
    count = answer.sizes["practice"]
    told = " ".join(
        f"Beyond {100 * level:g}%: {int(n)} of {count} (luck alone: {expected:.2g})."
        for level, n, expected in zip(levels, answer["outside"].values, answer["expected_outside"].values, strict=True)
    )
    what = "A simulated year, not real results: each unit" if _is_simulated(answer) else "Real rows: each practice"
    which = f"{what} against what all cost together"
    bars = ", ".join(f"{'thin' if k % 2 else 'thick'} bar {100 * level:g}%" for k, level in enumerate(levels))
    drawn = "Limits are exact, for luck alone, and allow for that" if shared else (
        f"Each has its own limits ({bars}): exact, for luck alone, with its own case mix, allowing for that"
    )  # fmt: skip
    return f"{which}. {one_threshold(answer)}. {drawn}. {told}{_who(answer, shared)}"


def _who(answer: xr.Dataset, shared: bool) -> str:
    """Names of those beyond the widest limit, where the picture has no room for names."""
    ratio, told = answer["ratio"].values, ""
    for name, which in (("practice_limit", "the widest"), ("practice_limit_with_spread", "luck and spread")):
        if not shared or name not in answer:
            continue
        own = answer[name].transpose("level", "bound", "practice").values[-1]
        names = [cut(str(one)) for one in answer["practice"].values[(ratio < own[0]) | (ratio > own[1])]]
        more = f" and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else ""
        if names or which != "the widest":
            told += f" Beyond {which}: {', '.join(names[:_MOST_TOLD]) or 'none'}{more}."
    return told


def _made(request: PlotRequest) -> xr.Dataset:
    from ...analysis.luck.funnel import funnel as limits
    from ...rows.read import whole_frame

    if request.actuals is None:
        return limits(request.ledger, request.scenario, threshold=request.threshold)
    with about("practices", request.actuals):
        return limits(whole_frame(request.actuals), request.scenario, threshold=request.threshold)


PICTURE = Picture(
    funnel, "run --out, of a scenario with units; a scenario, with --actuals", _made,
    lambda request: (request.actuals or request.units, request.scenario), ("threshold", "actuals"),
)  # fmt: skip
