"""What all pictures share: what they refuse, style, title and footer, direct labels, and axes."""

import math
import os
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from inspect import cleandoc, signature
from io import BytesIO
from pathlib import Path
from textwrap import indent
from typing import Any, Concatenate, ParamSpec, TypeVar

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from ...errors import SimulatorError
from ...files import write_whole
from ...ledger.swept import points_of
from ..answers.shared import provenance, rules
from ..figure import money_text, people
from .colours import GREY, WORDS
from .fonts import all_letters

MOST_SERIES = 4
_STYLE = Path(__file__).with_name("house.mplstyle")
_SMALL = 7.5
_LETTER = 0.525  # width of a letter as a share of the size of the type
_MOST_TICKS = 7
_LONGEST = 46  # letters of a name beside a row
_LEADER = {"arrowstyle": "-", "lw": 0.7, "shrinkA": 1, "shrinkB": 2}
_NEAR = 4.0  # points between a line's end and its name from which a thin line joins them
_NARROW = 0.7  # powers of ten below which round steps are too far apart


@contextmanager
def house_style() -> Iterator[None]:
    """What is drawn within has the house's style."""
    # a notebook's backend turns interaction on when it is loaded, and the style would turn that off again
    plt.draw_if_interactive()  # type: ignore[no-untyped-call]
    with plt.style.context(_STYLE):
        yield


def house_axes(ax: Axes | None, size: tuple[float, float] | None = None, rows: Sequence[str] = ()) -> Axes:
    """The given axes, or new ones of this size in inches, wider where rows have long names; with the house's series."""
    room = max(0.0, 0.075 * (max(map(len, rows), default=0) - 24))
    wide = size and (size[0] + room, size[1])
    axes = plt.subplots(layout="constrained", figsize=wide)[1] if ax is None else ax
    axes.set_prop_cycle(plt.rcParams["axes.prop_cycle"])
    return axes


# ── what a picture is drawn from ─────────────────────────────────────────────────────────────────

Options = ParamSpec("Options")
Drawn = TypeVar("Drawn")
Picture = Callable[Concatenate[xr.Dataset, Options], Drawn]

_TOLD = {
    "ax": "matplotlib.axes.Axes, optional",
    "threshold": "float, optional\n    The last by default.",
    "members": "int, optional\n    People; the largest population by default.",
    "at_most": "float, optional\n    A target to be marked.",
    "design": "str, optional\n    The first by default.",
    "level": "float\n    Of the bad year: 0.05 is one in twenty.",
    "title": "str, optional\n    The question by default.",
    "year": '{"costliest 5%", "average"}',
}
"""What pictures take besides the Dataset."""


def _described(draw: Callable[..., Any], maker: str) -> str:
    """A picture's docstring with its parameters, between the sentence on what it shows and what it gives."""
    written = cleandoc(draw.__doc__ or "")
    if "Parameters\n" in written or "\n\n" not in written:
        return written
    first, gives = written.split("\n\n", 1)
    shown, *others = signature(draw).parameters
    takes = [f"{shown} : xarray.Dataset\n    What `{maker}` gave.", *(f"{name} : {_TOLD[name]}" for name in others)]
    gives = indent(gives, "    ")
    told = "\n".join(takes)
    return f"{first}\n\nParameters\n----------\n{told}\n\nReturns\n-------\nmatplotlib.axes.Axes\n{gives}"


_LISTED = "select with a list, such as .isel({}=[0])"


def made_by(
    maker: str, needed: str, along: str = "", curve: str = ""
) -> Callable[[Picture[Options, Drawn]], Picture[Options, Drawn]]:
    """A picture in the house's style, which refuses a Dataset it cannot be drawn from and says why in one sentence."""

    def checked(draw: Picture[Options, Drawn]) -> Picture[Options, Drawn]:
        name = draw.__name__

        @wraps(draw)
        def drawn(shown: xr.Dataset, /, *args: Options.args, **kwargs: Options.kwargs) -> Drawn:
            if not isinstance(shown, xr.Dataset) or needed not in shown:
                raise SimulatorError(name, None, f"is given no {needed}", f"give what `{maker}` gave")
            (said, shown), *others = points_of(shown)
            if others:
                mend = f"select one, such as that of {said}"
                raise SimulatorError(name, None, "is given many answers of a sweep", mend)
            for dim in (*along.split(), *curve.split()):
                _check_dim(name, shown, dim, 2 if dim in curve.split() else 1)
            _check_known(name, shown, draw.__globals__["DRAWN"])
            try:
                with house_style():
                    return draw(shown, *args, **kwargs)
            except SimulatorError:
                raise
            except (IndexError, KeyError, ValueError) as error:  # whatever else a selection has left out
                bound, mend = "is given a part that it cannot be drawn from", f"give all of what `{maker}` gave"
                raise SimulatorError(name, None, bound, mend) from error

        drawn.__doc__ = _described(draw, maker)
        return drawn

    return checked


def _check_dim(name: str, shown: xr.Dataset, dim: str, least: int) -> None:
    """Refuse a dim that was selected away, is empty, or is too short for a line."""
    if dim not in shown.dims:
        if dim in shown.coords:
            raise SimulatorError(name, None, f"is given a single {dim} without its dim", _LISTED.format(dim))
        return
    if shown.sizes[dim] < least:
        has = f"one {dim}, and draws a line along several" if shown.sizes[dim] else f"no {dim}"
        raise SimulatorError(name, None, f"is given {has}", f"select {'two' if least > 1 else 'one'} or more")


def _check_known(name: str, shown: xr.Dataset, figures: tuple[str, ...]) -> None:
    """Refuse figures none of which is known."""
    known = [one for one in figures if one in shown and not one.endswith(("_se", "_interval"))]
    numbers = [shown[one].values for one in known if shown[one].dtype.kind == "f"]
    if numbers and all(np.isnan(one).all() for one in numbers):
        raise SimulatorError(name, None, "is given figures of which none is known", "draw more, or choose another part")


# ── title and footer ─────────────────────────────────────────────────────────────────────────────


def finish(ax: Axes, shown: xr.Dataset, question: str | None, note: str = "", about: str | None = None) -> Axes:
    """Put the question, its module's docstring, above the picture and the footer below it; the last thing to draw."""
    _lay_out(ax)
    points = 72 / ax.figure.dpi
    drawn = ax.get_tightbbox() or ax.bbox
    left, width = (ax.bbox.x0 - drawn.x0) * points, drawn.width * points
    _heading(ax, question or "", str(shown.attrs.get("title", "")) if about is None else about, left, width)
    ticks = ax.xaxis.get_tightbbox(ax.figure.canvas.get_renderer())  # type: ignore[attr-defined]
    is_below = ticks is not None and ax.xaxis.get_ticks_position() != "top"
    below = (ax.bbox.y0 - ticks.y0) * points if ticks is not None and is_below else 0.0
    _beside(ax, _footer(shown, note, width), (0, 0), (-left, -below - 6), _SMALL, "top")
    return ax


def _lay_out(ax: Axes) -> None:
    """Give the axes their place and size, as drawing would."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)


def finish_sheet(figure: Figure, shown: xr.Dataset, question: str, note: str = "") -> None:
    """`finish` for a sheet of several pictures: one question above and one footer below them all."""
    footer = _footer(shown, note, 0.98 * 72 * figure.get_figwidth())
    figure.suptitle(question, x=0.01, ha="left", fontsize=12.5, fontweight="bold")
    figure.supxlabel(footer, x=0.01, ha="left", fontsize=_SMALL, color=GREY)


def _footer(shown: xr.Dataset, note: str, width: float) -> str:
    return "\n".join(_wrapped(text, width, _SMALL) for text in (note, provenance(shown.attrs)) if text)


def _heading(ax: Axes, question: str, about: str, left: float, width: float) -> None:
    below = _wrapped(about, width, 9)
    height = 12 * (below.count("\n") + 1) * bool(below)
    start = -left / (ax.bbox.width * 72 / ax.figure.dpi)
    ax.set_title(_wrapped(question, width, 12.5), loc="left", pad=8 + height, x=start)
    if below:
        _beside(ax, below, (0, 1), (-left, 6), 9, "bottom")


def _beside(ax: Axes, text: str, corner: tuple[int, int], offset: tuple[float, float], size: float, side: str) -> None:
    """Small grey words so many points from a corner of the axes."""
    words_at(ax, text, corner, offset, size, xycoords="axes fraction", color=GREY, va=side, annotation_clip=False)


def _wrapped(text: str, width: float, size: float) -> str:
    letters = max(int(width / (_LETTER * size)), 20)
    return "\n".join(textwrap.fill(line, letters) for line in text.splitlines())


# ── direct labels ────────────────────────────────────────────────────────────────────────────────


def label_ends(
    ax: Axes, ends: Sequence[tuple[float, float, str, str]], gap: float = 12.0, inside: bool = False
) -> list[Annotation]:
    """Write each line's name beside its right end, moved apart where they would overlap."""
    how: dict[str, Any] = {"va": "center", "fontweight": "bold", "annotation_clip": False}
    names = [words_at(ax, text, (x, y), (8, 0), 9, color=words(colour), **how) for x, y, text, colour in ends]
    space_ends(ax, names, gap, inside)
    return names


def space_ends(ax: Axes, names: Sequence[Annotation], gap: float = 12.0, inside: bool = False) -> None:
    """Move names apart, as `label_ends` does, for the height that the axes have now."""
    _lay_out(ax)
    points = 72 / ax.figure.dpi
    ends = [ax.transData.transform(name.xy) * points for name in names]
    heights, right = [float(y) for _, y in ends], max((float(x) for x, _ in ends), default=0.0)
    wanted = _apart(heights, gap)
    if inside:
        wanted = _between(wanted, ax.bbox.y0 * points + gap / 2, ax.bbox.y1 * points - gap / 2, gap)
    for name, (x, here), there in zip(names, ends, wanted, strict=True):
        aside, up = right - float(x), there - float(here)
        name.set_position((8 + aside, up))
        if not inside and (abs(up) > _NEAR or aside > _NEAR):
            how = _LEADER | {"color": name.get_color()}
            words_at(ax, "", name.xy, (8 + aside, up), 9, arrowprops=how, annotation_clip=False)


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """Heights as near as may be to those wanted, in their order, none nearer than `gap` to another."""
    order = np.argsort(heights, kind="stable")
    steps, placed = gap * np.arange(order.size), np.empty(order.size)
    if order.size:
        placed[order] = isotonic_regression(np.asarray(heights)[order] - steps).x + steps
    return [float(one) for one in placed]


def _between(heights: Sequence[float], floor: float, ceiling: float, gap: float) -> list[float]:
    """Heights moved between a floor and a ceiling, in their order and as far apart as they were or by `gap`."""
    order = np.argsort(heights, kind="stable")
    steps, placed = gap * np.arange(order.size), np.empty(order.size)
    placed[order] = np.maximum(np.minimum(np.asarray(heights)[order], ceiling - steps[::-1]), floor + steps)
    return [float(one) for one in placed]


def beside_row(ax: Axes, y: float, text: str, colour: str, offset: float = 8.0, size: float = 8.0, **how: Any) -> None:
    """Write a row's figure to the right of the axes, so many points from their edge."""
    how |= {"xycoords": ax.get_yaxis_transform(), "color": words(colour), "va": "center", "annotation_clip": False}
    words_at(ax, text, (1, y), (offset, 0), size, **how)


def words_at(
    ax: Axes, text: str, at: tuple[float, float], offset: tuple[float, float], size: float, **how: Any
) -> Annotation:
    """Words of this size, so many points from a place."""
    return ax.annotate(text, xy=at, xytext=offset, textcoords="offset points", fontsize=size, **how)


def one_threshold(cells: xr.Dataset) -> str:
    """The one threshold of some cells, to begin a sentence with: "No exclusion"."""
    name = rules(cells.expand_dims("threshold"))[0]
    return name[0].upper() + name[1:]


def one_in(chance: float) -> str:
    """A chance as one year in so many."""
    years = 1 / chance
    return f"1 in {years:.2g}" if years < 10 else f"1 in {years:,.0f}"


def cut(name: str, letters: int = _LONGEST) -> str:
    """A name of at most so many letters, an ellipsis in the place of the rest."""
    return name if len(name) <= letters else f"{name[: letters - 1].rstrip()}…"


def heading(name: str) -> str:
    """A design's name above its rows: at most two lines, each as long as narrow axes have room for."""
    return textwrap.fill(name, 40, max_lines=2, placeholder=" …")


def words(colour: str) -> str:
    """A series' colour, as dark as small type needs."""
    return WORDS.get(to_hex(colour).upper(), colour)


def evenly(count: int, most: int = MOST_SERIES) -> list[int]:
    """Which of `count` series to draw where there are too many: the ends, and others evenly between."""
    if count <= most:
        return list(range(count))
    return [round(step * (count - 1) / (most - 1)) for step in range(most)]


def left_out(names: Sequence[str], most: int = MOST_SERIES) -> str:
    """The series that `evenly` leaves out, as the end of a note; nothing where all are drawn."""
    missing = [name for at, name in enumerate(names) if at not in evenly(len(names), most)]
    return f" Not shown: {', '.join(missing)}." if missing else ""


def at(shown: xr.Dataset, dim: str, label: float | None) -> xr.Dataset:
    """What is shown at one place of a dim, its last where none is asked for."""
    return shown.isel({dim: -1}) if label is None else shown.sel({dim: label})


# ── axes ─────────────────────────────────────────────────────────────────────────────────────────


def people_axis(axis: Axis, least: float, most: float) -> None:
    """A logarithmic axis of people, its ticks at round numbers."""
    span = math.log10(max(most / least, 1.001))
    if span < _NARROW:
        axis.set_major_locator(MaxNLocator(4, integer=True))
    else:
        steps = next(subs for subs in ((1, 2, 5), (1, 3), (1,)) if len(subs) * span <= _MOST_TICKS or subs == (1,))
        axis.set_major_locator(LogLocator(10, subs=steps))
    axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(FuncFormatter(lambda n, _: str(people(n))))


def size_axis(ax: Axes, least: float, most: float, whose: str = "people in the population") -> None:
    """Population sizes to the right, from the least to the most."""
    ax.set(xscale="log", xlim=(least, most), xlabel=f"{whose}, for one year")
    people_axis(ax.xaxis, least, most)


def colour_key(ax: Axes, mesh: Any, said: str, signed: bool = False) -> None:
    """A key to the colours of cells, in percent, to their right."""
    bar = ax.get_figure(root=True).colorbar(mesh, ax=ax, shrink=0.8, pad=0.02, aspect=28)  # type: ignore[union-attr]
    assert bar.solids is not None
    bar.solids.set_rasterized(False)  # a report's pictures are drawn, and load nothing
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.5, length=0)
    bar.set_label(said, fontsize=8)
    percent_axis(bar.ax.yaxis, signed)


def name_rows(ax: Axes, places: ArrayLike, names: Sequence[str]) -> None:
    """Rows have names, and no ticks or lines."""
    ax.set_yticks(places, names)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)


_OF_A_TICK = 5  # figures: a tick is a round number, and 102.5% is not 102%


def percent_axis(axis: Axis, signed: bool = False) -> None:
    """Fractions as percentages, with a sign where below and above zero mean different things."""
    axis.set_major_formatter(FuncFormatter(lambda share, _: percentage(share, signed, figures=_OF_A_TICK)))


def log_percent_axis(axis: Axis) -> None:
    """Fractions as percentages at 1, 2 and 5 on a logarithmic axis."""
    axis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    axis.set_minor_formatter(NullFormatter())
    percent_axis(axis)


def money_axis(axis: Axis, currency: str) -> None:
    """Money as people write it, on a linear axis."""
    axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    most = max(map(abs, axis.get_view_interval()))
    axis.set_major_formatter(FuncFormatter(lambda amount, _: money_text(amount, currency, like=most)))
    axis.set_minor_formatter(NullFormatter())


def percentage(share: float, signed: bool = False, figures: int = 3) -> str:
    """A fraction as a percentage of so many figures: 4.31%, +2%, −0.5%."""
    value = 100 * share
    if abs(value) < 1e-9:
        return "0%"
    if abs(value) < 0.01:
        return "above −0.01%" if value < 0 else "below 0.01%"
    told = f"{abs(value):.{figures}g}" if abs(value) < 100 else f"{abs(value):,.{max(figures - 3, 0)}f}"
    told = told.rstrip("0").rstrip(".") if "." in told else told
    sign = "−" if value < 0 else "+" if signed else ""
    return f"{sign}{told}%"


# ── files ────────────────────────────────────────────────────────────────────────────────────────


USES = {"screen": (150, None), "page": (300, None), "slide": (300, 16 / 9)}
"""What a picture is for: dots per inch, and width over height."""


def save_figure(ax: Axes, path: str | os.PathLike[str], use: str = "screen") -> None:
    """Write the picture, whole or not at all; the ending of the name (png, svg, pdf) tells the form."""
    write_whole(path, lambda partial: partial.write_bytes(picture_bytes(ax, use, Path(path).suffix[1:].lower())))


def picture_bytes(ax: Axes, use: str = "screen", form: str = "png") -> bytes:
    """The picture as a file of this form; a slide's is made 16:9 by white at the sides or above and below."""
    figure: Any = ax.get_figure(root=True)
    (dots, ratio), made = USES[use], BytesIO()
    with all_letters(figure):
        box: Any = "tight"
        if ratio is not None:
            figure.savefig(BytesIO(), dpi=50)  # lays everything out
            box = figure.get_tightbbox().padded(0.15)
            wide, high = max(box.width, ratio * box.height), max(box.height, box.width / ratio)
            box = box.expanded(wide / box.width, high / box.height)
        metadata = {"Date": None} if form == "svg" else {"CreationDate": None} if form == "pdf" else None
        figure.savefig(made, format=form, dpi=dots, bbox_inches=box, metadata=metadata)
    plt.close(figure)
    return made.getvalue()
