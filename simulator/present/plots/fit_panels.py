"""The panels of a fit: marks with their 95% interval for what was observed, lines for the model.

Each draws into the axes it is given and returns the ends of its series, to be labelled once all is drawn.
"""

import math
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from ..figure import money_text
from .colours import GREY, SERIES
from .style import evenly

Array = NDArray[np.float64]
Ends = list[tuple[float, float, str, str]]
Panel = Callable[[Axes, xr.Dataset, str], Ends]

_MARKS, _LINES = ("o", "s", "^", "D"), ("-", "--", "-.", ":")
_WIDTH = 1.96
_DECADES = 5
"""Powers of ten that a logarithmic axis of cost shows, down from the largest."""
_LETTERS, _ROWS = 20, 3
MOST_MARKS = 12
"""Limited means of a segment that are marked."""
_LEAST_MISS = 0.005
_STEP = 1.025
"""How far bars of neighbouring series at the same amount stand apart, as a ratio."""
_NOTHING = "Observed figures are suppressed or missing:\nonly bands are known, or too few patients."


@dataclass(frozen=True)
class Series:
    """One segment's figures, observed and fitted, and how it is drawn."""

    name: str
    place: int
    part: xr.Dataset
    beside: float
    """Steps to the side of an amount that it shares with others."""

    def told(self, what: str) -> tuple[Array, Array, Array]:
        """What was observed of a figure, its standard error (nan where there is none), and what is fitted."""
        observed, fitted = (np.asarray(self.part[f"{kind}_{what}"].values, float) for kind in ("observed", "fitted"))
        error = self.part.get(f"observed_{what}_se")
        return observed, np.full(observed.shape, np.nan) if error is None else np.asarray(error.values, float), fitted

    @property
    def colour(self) -> str:
        """Of line, marks and name."""
        return SERIES[self.place]

    def mark(self, axes: Axes, x: Array, y: Array) -> None:
        """An open mark at each point."""
        axes.plot(x, y, _MARKS[self.place], ms=4, mfc="none", color=self.colour, linestyle="none")

    def line(self, axes: Axes, x: Array, y: Array, width: float = 1.8) -> None:
        """A line in the series' style."""
        axes.plot(x, y, color=self.colour, linestyle=_LINES[self.place], lw=width)

    def end(self, x: float, y: float) -> tuple[float, float, str, str]:
        """Where its name belongs."""
        return x, y, _written(self.name), self.colour


def drawn_series(curves: xr.Dataset) -> Iterator[Series]:
    """Four segments at most, everybody among them."""
    names = [str(name) for name in curves["segment"].values]
    shown = evenly(len(names))
    for place, position in enumerate(shown):
        yield Series(names[position], place, curves.isel(segment=position), place - (len(shown) - 1) / 2)


def _written(name: str) -> str:
    """A segment's name on a few short lines; the middle of a long one is left out."""
    written = textwrap.wrap(name, _LETTERS)
    kept = len(name)
    while len(written) > _ROWS:
        kept -= 2
        written = textwrap.wrap(f"{name[: kept // 2].rstrip()} … {name[-kept // 2 :].lstrip()}", _LETTERS)
    return "\n".join(written)


def quantiles(axes: Axes, curves: xr.Dataset, currency: str) -> Ends:
    """Mean cost of slices of people, fitted against observed."""
    ends: Ends = []
    lowest, span = _least_shown(curves), [np.inf, 0.0]
    for series in drawn_series(curves):
        observed, error, fitted = series.told("cell_mean")
        known = (observed >= lowest) & (fitted > 0)
        if not known.any():
            continue
        x, y, half = observed[known], fitted[known], _WIDTH * error[known]
        series.mark(axes, x, y)
        axes.hlines(y, np.maximum(x - half, x / 1e3), x + half, color=series.colour, lw=1.2)
        ends.append(series.end(float(x[-1]), float(y[-1])))
        span = [min(span[0], *x, *y), max(span[1], *(x + np.nan_to_num(half)), *y)]
    axes.set(xscale="log", yscale="log")
    if ends:
        line = span[0] / 1.5, 1.5 * span[1]
        axes.plot(line, line, color=GREY, lw=1, ls="-", zorder=1)
        axes.set(xlim=line, ylim=line)
    axes.set(xlabel=f"observed mean cost of a slice of people, {currency} a year", ylabel=f"fitted, {currency} a year")
    _log_money_axis(axes.xaxis, currency)
    _log_money_axis(axes.yaxis, currency)
    return _or_said(axes, ends)


def slices_left_out(curves: xr.Dataset) -> bool:
    """Whether slices of people who cost next to nothing lie beyond the axes of `quantiles`."""
    seen = curves["observed_cell_mean"].values
    return bool(np.any(seen < _least_shown(curves)))


def _least_shown(curves: xr.Dataset) -> float:
    seen = curves["observed_cell_mean"].values
    return float(np.max(seen[np.isfinite(seen)], initial=0.0)) / 10**_DECADES or np.inf


def exceedance(axes: Axes, curves: xr.Dataset, currency: str) -> Ends:
    """Share of people who cost more than an amount."""
    amounts, ends = curves["amount"].values, []
    seen = curves["observed_p_above"].values
    lowest, right = float(np.min(seen[seen > 0], initial=1.0)) / 10, 1.15 * float(amounts[-1])
    for series in drawn_series(curves):
        observed, error, fitted = series.told("p_above")
        series.line(axes, amounts, np.where(fitted > 0, fitted, np.nan))
        known = observed > 0
        series.mark(axes, amounts[known], observed[known])
        half = _WIDTH * error[known]
        low, high = np.maximum(observed[known] - half, lowest), np.minimum(observed[known] + half, 1.0)
        axes.vlines(amounts[known], low, high, color=series.colour, lw=1.2)
        # a line that ends below the floor of the axes is named just upon it, in the order of the lines
        last = float(fitted[-1])
        floor = lowest * (1 + 1e-6 * (math.log10(max(last, 1e-300)) + 300))
        ends.append(series.end(right, max(last, floor)))
    axes.set(xscale="log", yscale="log", xlim=(amounts[0] / 1.2, right), ylim=(lowest, 1.5))
    axes.set(xlabel=f"cost of a person, {currency} a year", ylabel="share of people who cost more")
    _log_money_axis(axes.xaxis, currency)
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda share, _: f"1 in {1 / share:,.0f}" if 0 < share < 0.2 else f"{share:.0%}")
    )
    return ends


def concentration(axes: Axes, curves: xr.Dataset, _: str) -> Ends:
    """Lorenz: share of cost that the costliest share of people carry."""
    people, ends = 100 * curves["people_share"].values, []
    for series in drawn_series(curves):
        observed, error, fitted = (100 * figure for figure in series.told("top_share"))
        series.line(axes, people, fitted)
        series.mark(axes, people, observed)
        axes.vlines(people, observed - _WIDTH * error, observed + _WIDTH * error, color=series.colour, lw=1.2)
        # all lines end at nearly 100%: names stand in the order of the lines
        ends.append(series.end(float(people.max()), float(fitted.max() + 1e-3 * np.mean(fitted))))
    axes.set(xscale="log", ylim=(-2, 104), xlim=(people.min() / 1.2, 100))
    axes.set(xlabel="the costliest people, % of all", ylabel="their share of cost, %")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}%")
    return ends


def limited_means(axes: Axes, curves: xr.Dataset, currency: str) -> Ends:
    """Mean cost up to an amount, fitted over observed: 1 where the fit is perfect."""
    amounts, ends = curves["amount"].values, []
    for series in drawn_series(curves):
        observed, error, fitted = series.told("limited_mean")
        known = observed > 0
        if not known.any():
            continue
        x, ratio = amounts[known] * _STEP**series.beside, fitted[known] / observed[known]
        half = _WIDTH * ratio * error[known] / observed[known]
        series.line(axes, x, ratio, 0.9)
        some = evenly(x.size, MOST_MARKS)
        series.mark(axes, x[some], ratio[some])
        axes.vlines(x[some], (ratio - half)[some], (ratio + half)[some], color=series.colour, lw=1)
        ends.append(series.end(float(x[-1]), float(ratio[-1])))
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 1 - _LEAST_MISS), max(high, 1 + _LEAST_MISS))
    axes.axhline(1.0, color=GREY, lw=1, ls="-", zorder=1)
    axes.set(xscale="log", xlabel=f"amount up to which a cost counts, {currency} a year")
    axes.set_ylabel("mean cost, fitted / observed")
    _log_money_axis(axes.xaxis, currency)
    return _or_said(axes, ends)


def _or_said(axes: Axes, ends: Ends) -> Ends:
    if not ends:
        axes.set(xticks=[], yticks=[])
        axes.minorticks_off()
        axes.text(0.5, 0.5, _NOTHING, transform=axes.transAxes, ha="center", va="center", color=GREY, fontsize=9)
    return ends


def _log_money_axis(axis: Axis, currency: str) -> None:
    axis.set_major_locator(LogLocator(10, numticks=6))
    axis.set_major_formatter(FuncFormatter(lambda v, _: money_text(v, currency)))
    axis.set_minor_formatter(NullFormatter())
