"""Where does each pound of the capitation go?"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ..figure import amount, exact_percent, people, sign_of
from ..picture import DESIGNS, Picture, PlotRequest
from .colours import GREY, INK, PALE, SERIES
from .style import beside_row, cut, finish, house_axes, made_by, money_axis, name_rows, words_at

Array = NDArray[np.float64]

DRAWN = ("amount", "amount_se", "kind")
_COLOURS = {"total": SERIES[0], "part": SERIES[1], "surplus": SERIES[3]}
_WORDS = {
    SERIES[0]: "blue: totals", SERIES[1]: "green: cost", SERIES[3]: "orange: surplus", SERIES[2]: "purple: deficit",
}  # fmt: skip
_ENLARGE = 0.2  # share of the capitation below which what is left over is drawn enlarged as well


@made_by("layers", "amount", "year step")
def layer_waterfall(answer: xr.Dataset, ax: Axes | None = None, year: str = "costliest 5%") -> Axes:
    """From the capitation, layer by layer, to what each party is left with.

    One bar a layer; each begins where the one before it ended. What is left over, and to whom, is drawn enlarged
    in a second axes to the right, where it is small.
    """
    chosen = answer.sel(year=year)
    amount, error = chosen["amount"].values, chosen["amount_se"].values
    kinds, steps = [str(kind) for kind in chosen["kind"].values], [str(name) for name in chosen["step"].values]
    currency = answer.attrs["currency"]
    starts = _starts(amount, kinds)
    last = _last_rows(amount, starts, kinds)
    rows = np.arange(len(steps), dtype=float)
    rows[last] += 1.2  # room for the ticks of the enlarged part
    names = [cut(step.replace(f"{currency} ", sign_of(currency))) for step in steps]
    size, beside = (7.4, 2.1 + 0.27 * (rows[-1] + 1)), None
    if ax is None and last.size:  # the enlarged part has axes of its own to the right, its rows at the same height
        _, (ax, beside) = plt.subplots(
            1, 2, layout="constrained", figsize=(size[0] + 3.2, size[1]), width_ratios=(1, 0.5)
        )
    axes = house_axes(ax, size, names)
    _bars(axes, amount, starts, kinds, rows)
    for y, value, se in zip(rows, amount, error, strict=True):
        beside_row(axes, float(y), _told(value, se, amount[0], currency), INK)
    name_rows(axes, rows, names)
    axes.set_ylim(rows[-1] + 0.6, -0.6)
    money_axis(axes.xaxis, currency)
    axes.set_xlabel(f"{currency} for one year, {people(float(answer['population_size']))} people")
    if last.size:
        bottom, top = rows[-1] + 0.6, rows[last[0]] - 0.5
        high = (bottom - top) / (rows[-1] + 1.2)
        inside = beside or axes.inset_axes((0.28, 0.0, 0.72, high), facecolor="white", zorder=5)
        _enlarged(inside, amount[last], starts[last], [kinds[k] for k in last], rows[last], currency)
        inside.set_ylim(bottom, -0.6 if beside else top)
    which = "Mean of all years" if year == "average" else f"Mean of the {year} of years"
    about = f"{which} · {answer.attrs['design']} · {answer.attrs.get('title', '')}"
    return finish(axes, answer, __doc__, _note(which, amount, kinds), about)


def _note(which: str, amount: Array, kinds: list[str]) -> str:
    """What the colours that occur stand for."""
    seen = {_colour(kind, value) for kind, value in zip(kinds, amount, strict=True)}
    colours = "; ".join(said for colour, said in _WORDS.items() if colour in seen)
    return f"{which}. {colours[0].upper()}{colours[1:]}. Simulated; shares of the capitation."


def _colour(kind: str, amount: float) -> str:
    return SERIES[2] if kind != "part" and amount < 0 else _COLOURS[kind]


def _bars(axes: Axes, amount: Array, starts: Array, kinds: list[str], rows: Array) -> None:
    for k, y in enumerate(rows):
        part = kinds[k] == "part"
        width = -amount[k] if part else amount[k]
        axes.barh(y, width, left=starts[k], height=0.62, color=_colour(kinds[k], amount[k]))
        if k:
            link = starts[k] if part else starts[k] + amount[k]
            axes.plot([link, link], [rows[k - 1] + 0.31, y - 0.31], color=GREY, lw=0.7, ls="-")
    axes.axvline(0, color=GREY, lw=0.8, ls="-")


def _last_rows(amount: Array, starts: Array, kinds: list[str]) -> NDArray[np.int_]:
    """The rows from what is left over on, where they are too small to be seen; else none."""
    rows = np.flatnonzero(np.array(kinds) == "surplus")
    if not rows.size:
        return rows
    rows = np.append(rows[0] - 1, rows)
    ends = np.concatenate([starts[rows], starts[rows] + amount[rows]])
    return rows if np.ptp(ends) <= _ENLARGE * amount[0] else rows[:0]


def _starts(amount: Array, kinds: list[str]) -> Array:
    """Where each bar begins: totals at nothing, parts where the money before them ended, surpluses below that."""
    left, starts = 0.0, []
    for value, kind in zip(amount, kinds, strict=True):
        if kind == "total":
            left = value
            starts.append(0.0)
            continue
        starts.append(left if kind == "part" else left - value)
        left -= value
    return np.array(starts)


def _enlarged(inside: Axes, amount: Array, starts: Array, kinds: list[str], rows: Array, currency: str) -> None:
    """What is left over and to whom, once more at a scale of its own."""
    _bars(inside, amount, starts, kinds, rows)
    how = {"xycoords": "axes fraction", "color": GREY, "ha": "left", "annotation_clip": False}
    words_at(inside, "enlarged", (0, 1), (0, 15), 7.5, **how)
    inside.set_yticks([])
    inside.margins(x=0.08)
    money_axis(inside.xaxis, currency)
    inside.xaxis.tick_top()
    inside.tick_params(axis="x", labelsize=7.5, length=2)
    inside.grid(axis="y", visible=False)
    for side in ("top", "right", "left", "bottom"):
        inside.spines[side].set_visible(True)
        inside.spines[side].set_color(GREY if side == "bottom" else PALE)  # it lies on the axis


def _told(value: float, se: float, whole: float, currency: str) -> str:
    return f"{amount(value, se, currency).brief} · {_share(value / whole)}"


def _share(share: float) -> str:
    """To a tenth of a percent, or to two where it would be nothing."""
    decimals = 1 if abs(share) >= 0.0005 or abs(share) < 5e-5 else 2
    return str(exact_percent(share if abs(share) >= 5e-5 else 0.0, decimals))


def _made(request: PlotRequest) -> xr.Dataset:
    from ...analysis.designs.layers import layers

    return layers(request.ledger, request.placed[0], members=request.members)


PICTURE = Picture(
    layer_waterfall, DESIGNS, _made, lambda request: (request.ledger, request.placed), ("members", "design")
)
