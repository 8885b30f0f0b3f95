"""How good is the fit? Four pictures of fitted and observed.

Marks are what was observed, with its 95% interval; lines are the model. No mark is for fewer
than ten patients: what is suppressed is not in the Dataset.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

import matplotlib.pyplot as plt
import xarray as xr
from matplotlib.axes import Axes

from ..picture import Picture
from . import fit_panels
from .fit_panels import MOST_MARKS, Ends, Panel, drawn_series, slices_left_out
from .style import finish, finish_sheet, house_axes, label_ends, made_by, space_ends

DRAWN = tuple(
    name
    for what in ("cell_mean", "p_above", "top_share", "limited_mean")
    for name in (f"observed_{what}", f"observed_{what}_se", f"fitted_{what}")
)
_PANELS = (fit_panels.quantiles, fit_panels.exceedance, fit_panels.concentration, fit_panels.limited_means)
_MOST_NAMED = 6
_of_a_fit = made_by("fit(…).curves", "observed_p_above", "segment", "people_share amount")


@_of_a_fit
def fit_diagnostics(curves: xr.Dataset, currency: str | None = None) -> list[Axes]:
    """The four pictures on one sheet.

    Parameters
    ----------
    curves : xarray.Dataset
        `FittedModel.curves`.
    currency : str, optional
        ISO 4217 code; that of the fit by default.

    Returns
    -------
    list of matplotlib.axes.Axes
        Quantiles, exceedance, concentration, limited means.
    """
    figure, panels = plt.subplots(2, 2, layout="constrained", figsize=(11, 9))
    sheet = list(panels.ravel())
    ends = []
    for draw, axes in zip(_PANELS, sheet, strict=True):
        ends.append(draw(axes, curves, _currency(curves, currency)))
        axes.set_title(draw.__name__.replace("_", " ").capitalize(), loc="left")
    finish_sheet(figure, curves, "How good is the fit?", _note(curves, f"{_slices(curves)} {_together(curves)}"))
    for axes, names in zip(sheet, ends, strict=True):
        _label(axes, names)
    return sheet


@_of_a_fit
def fit_quantiles(curves: xr.Dataset, currency: str | None = None, ax: Axes | None = None) -> Axes:
    """Q–Q: mean cost of equal slices of people, fitted against observed, on logarithmic axes."""
    question = "Does the model give each slice of people its cost?"
    return _alone(curves, currency, ax, fit_panels.quantiles, question, _slices(curves))


@_of_a_fit
def fit_exceedance(curves: xr.Dataset, currency: str | None = None, ax: Axes | None = None) -> Axes:
    """Share of people who cost more than an amount, on logarithmic axes."""
    question = "Does the model have as many costly people?"
    return _alone(curves, currency, ax, fit_panels.exceedance, question)


@_of_a_fit
def fit_concentration(curves: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Lorenz: share of cost that the costliest share of people carry."""
    question = "Do the costliest people carry as much of the cost?"
    return _alone(curves, None, ax, fit_panels.concentration, question)


@_of_a_fit
def fit_limited_means(curves: xr.Dataset, currency: str | None = None, ax: Axes | None = None) -> Axes:
    """Mean cost up to an amount, fitted over observed: 1 where the fit is perfect."""
    question = "Is the mean cost right below each threshold?"
    return _alone(curves, currency, ax, fit_panels.limited_means, question, _together(curves))


def _alone(
    curves: xr.Dataset, currency: str | None, ax: Axes | None, draw: Panel, question: str, told: str = ""
) -> Axes:
    axes = house_axes(ax)
    space_again = _label(axes, draw(axes, curves, _currency(curves, currency)))
    finish(axes, curves, question, _note(curves, told))
    space_again()
    return axes


def _label(axes: Axes, ends: Ends) -> Callable[[], None]:
    """Write the names; what is returned moves them apart once more, after a footer has made the axes lower."""
    rows = max((text.count("\n") + 1 for *_, text, _ in ends), default=1)
    gap = 12.0 if rows == 1 else 13.0 * rows
    names = label_ends(axes, ends, gap, inside=True)
    return lambda: space_ends(axes, names, gap, inside=True)


def _currency(curves: xr.Dataset, given: str | None) -> str:
    return str(curves.attrs.get("currency", "GBP")) if given is None else given


def _note(curves: xr.Dataset, told: str) -> str:
    errors = [curves[name].values for name in curves if str(name).startswith("observed") and str(name).endswith("_se")]
    known = any((error > 0).any() for error in errors)
    parts = [
        f"Marks: observed{', with 95% intervals (± 1.96 standard errors, rows independent)' if known else ''}.",
        "Lines: fitted, exact for the model.",
        told,
        f"No mark is for fewer than {curves.attrs.get('smallest_count', 10)} patients.",
        "Where there is no bar, it is smaller than the mark." if known else _NO_ERRORS,
        _not_drawn(curves),
    ]
    return " ".join(filter(None, parts))


_NO_ERRORS = "No bars: without rows, as in bands, the errors of what was observed are not known."


def _not_drawn(curves: xr.Dataset) -> str:
    drawn = {series.name for series in drawn_series(curves)}
    left = [str(name) for name in curves["segment"].values if str(name) not in drawn]
    more = f" and {len(left) - _MOST_NAMED} more" if len(left) > _MOST_NAMED else ""
    return f"Not shown: {'; '.join(left[:_MOST_NAMED])}{more}." if left else ""


def _slices(curves: xr.Dataset) -> str:
    left_out = " Slices of people who cost next to nothing lie beyond the axes." if slices_left_out(curves) else ""
    return f"Straight line: fitted equals observed.{left_out}"


def _together(curves: xr.Dataset) -> str:
    told = ["Neighbouring limited means rest on the same people and move together"]
    if curves.sizes["amount"] > MOST_MARKS:
        told.append("some of them have a mark")
    if curves.sizes["segment"] > 1:
        told.append("segments stand side by side at an amount that they share")
    return "; ".join(told) + "."


PICTURE = Picture(
    fit_diagnostics, "fit --curves", attrgetter("found"),
    lambda request: request.holds("observed_p_above", "curves of a fit", "fit --curves"),
)  # fmt: skip
