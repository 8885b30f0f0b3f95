"""How good is the fit? Four pictures of fitted beside observed; rings are observed, lines fitted.

No point stands for fewer than ten patients: what may not be told is not in the Dataset.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter
from numpy.typing import NDArray

from ..text import money
from .colours import GREY
from .style import evenly, house_axes

DRAWN = tuple(
    f"{kind}_{what}"
    for what in ("cell_mean", "p_above", "top_share", "limited_mean")
    for kind in ("observed", "fitted")
)


def fit_diagnostics(curves: xr.Dataset, currency: str = "GBP") -> list[Axes]:
    """The four pictures on one sheet.

    Parameters
    ----------
    curves : xarray.Dataset
        `FittedModel.curves`.
    currency : str

    Returns
    -------
    list of matplotlib.axes.Axes
        Quantiles, exceedance, concentration, limited means.
    """
    with house_axes(None) as single:
        figure = single.get_figure(root=True)
        assert figure is not None
        figure.clear()
        figure.set_size_inches(11, 8.5)
        axes = figure.subplots(2, 2)
        figure.supxlabel(_note(curves), fontsize=7.5, color=GREY, x=0.01, ha="left")
    flat = list(axes.ravel())
    fit_quantiles(curves, currency, flat[0])
    fit_exceedance(curves, currency, flat[1])
    fit_concentration(curves, flat[2])
    fit_limited_means(curves, currency, flat[3])
    return flat


def fit_quantiles(curves: xr.Dataset, currency: str = "GBP", ax: Axes | None = None) -> Axes:
    """Q–Q: mean cost of equal slices of people, fitted against observed, on logarithmic axes."""
    with house_axes(ax) as axes:
        for name, part in _shown(curves):
            observed, fitted = part["observed_cell_mean"].values, part["fitted_cell_mean"].values
            known = (observed > 0) & (fitted > 0)
            axes.plot(observed[known], fitted[known], "o", ms=4, mfc="none", label=name)
        ends = np.array(axes.get_xlim())
        ends = np.maximum(ends, 1.0)
        axes.plot(ends, ends, color=GREY, lw=1, ls="-")
        axes.set(xscale="log", yscale="log")
        axes.set_xlabel(f"observed mean cost of a slice of people, {currency} a year")
        axes.set_ylabel(f"fitted, {currency} a year")
        axes.set_title("Quantiles")
        _money_axis(axes.xaxis, currency)
        _money_axis(axes.yaxis, currency)
        axes.legend(fontsize=8, frameon=False, title="rings: observed" if ax is None else None)
    return axes


def fit_exceedance(curves: xr.Dataset, currency: str = "GBP", ax: Axes | None = None) -> Axes:
    """Share of people who cost more than an amount, on logarithmic axes."""
    with house_axes(ax) as axes:
        amounts = curves["amount"].values
        for name, part in _shown(curves):
            fitted = np.where(part["fitted_p_above"].values > 0, part["fitted_p_above"].values, np.nan)
            (line,) = axes.plot(amounts, fitted, label=name)
            observed = np.where(part["observed_p_above"].values > 0, part["observed_p_above"].values, np.nan)
            _rings(axes, amounts, observed, str(line.get_color()))
        axes.set(xscale="log", yscale="log")
        lowest = float(np.nanmin(np.where(curves["observed_p_above"] > 0, curves["observed_p_above"], np.nan)))
        axes.set_ylim(bottom=lowest / 10)
        axes.set_xlabel(f"cost, {currency} a year")
        axes.set_ylabel("share of people who cost more")
        axes.set_title("Exceedance")
        _money_axis(axes.xaxis, currency)
        axes.yaxis.set_major_formatter(FuncFormatter(_one_in))
        _legend(axes, ax)
    return axes


def fit_concentration(curves: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Lorenz: share of cost that the costliest share of people carry."""
    with house_axes(ax) as axes:
        people = 100 * curves["people_share"].values
        for name, part in _shown(curves):
            (line,) = axes.plot(people, 100 * part["fitted_top_share"].values, label=name)
            _rings(axes, people, 100 * part["observed_top_share"].values, str(line.get_color()))
        axes.set(xscale="log")
        axes.set_xlabel("costliest people, % (logarithmic)")
        axes.set_ylabel("their share of cost, %")
        axes.set_title("Concentration")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}%"))
        _legend(axes, ax)
    return axes


def fit_limited_means(curves: xr.Dataset, currency: str = "GBP", ax: Axes | None = None) -> Axes:
    """Mean cost up to an amount, fitted over observed: 1 where the fit is perfect."""
    with house_axes(ax) as axes:
        for name, part in _shown(curves):
            ratio = part["fitted_limited_mean"].values / part["observed_limited_mean"].values
            known = np.isfinite(ratio)
            axes.plot(curves["amount"].values[known], ratio[known], marker="o", ms=3, label=name)
        axes.axhline(1.0, color=GREY, lw=1, ls="-")
        axes.set(xscale="log")
        axes.set_xlabel(f"amount, {currency} a year")
        axes.set_ylabel("mean cost up to the amount, fitted / observed")
        axes.set_title("Limited means")
        _money_axis(axes.xaxis, currency)
        _legend(axes, ax)
    return axes


def _shown(curves: xr.Dataset) -> list[tuple[str, xr.Dataset]]:
    names = [str(name) for name in curves["segment"].values]
    return [(names[position], curves.isel(segment=position)) for position in evenly(len(names))]


def _note(curves: xr.Dataset) -> str:
    shown = [name for name, _ in _shown(curves)]
    left_out = [str(name) for name in curves["segment"].values if str(name) not in shown]
    rest = f" Not drawn: {', '.join(left_out)}." if left_out else ""
    return (
        f"Rings: observed; lines: fitted, exact for the model. No point stands for fewer than ten patients.{rest}\n"
        "The standard errors of what was observed stand in the table of the fit."
    )


def _legend(axes: Axes, given: Axes | None) -> None:
    """Names of the segments, where the picture stands alone."""
    if given is None:
        axes.legend(fontsize=8, frameon=False, title="lines: fitted; rings: observed", title_fontsize=8)


def _rings(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], colour: str) -> None:
    # colour and line style are both given, so that the cycle goes on with the next segment
    axes.plot(x, y, marker="o", ms=4, mfc="none", color=colour, linestyle="none")


def _money_axis(axis: object, currency: str) -> None:
    axis.set_major_formatter(FuncFormatter(lambda v, _: money(v, currency)))  # type: ignore[attr-defined]
    axis.set_minor_formatter(NullFormatter())  # type: ignore[attr-defined]


def _one_in(share: float, _: object) -> str:
    return f"1 in {1 / share:,.0f}" if 0 < share < 0.2 else f"{share:.0%}"
