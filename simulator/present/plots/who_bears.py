"""Who carries what under each design?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import xarray as xr
from matplotlib.axes import Axes

from ..answers.shared import figure_of
from ..figure import Figure, exact_amount, people, percentage
from ..picture import DESIGNS, Picture, PlotRequest
from .colours import GREY, SERIES
from .style import at, beside_row, cut, finish, heading, house_axes, made_by, money_axis, name_rows, words_at

DRAWN = ("expected_surplus", "expected_surplus_se", "worst_surplus", "worst_surplus_se")
_NOTE = (
    "Ordinary: expected surplus. 1-in-{}: where the party's own worst {} of years begin, not their mean. "
    "Bars: 95% intervals."
)
_HEAD = -0.9  # row of the columns' heads
_COLUMN = 92.0  # points from one column of figures to the next


class _Row(NamedTuple):
    """A design's heading; or a party, and its surplus in an ordinary and in a bad year."""

    name: str
    usual: Figure | None = None
    worst: Figure | None = None


@made_by("compare", "expected_surplus", "population_size design party quantile_level")
def who_bears(compared: xr.Dataset, ax: Axes | None = None, members: int | None = None, level: float = 0.05) -> Axes:
    """Each party's surplus under each design: expected, and in its own 1-in-20 year.

    Rings are ordinary years, filled marks bad ones, each with its 95% interval.
    """
    chosen = at(compared, "population_size", members)
    currency = compared.attrs["currency"]
    rows = list(_rows(chosen, level, currency))
    names = {y: cut(row.name) for y, row in enumerate(rows) if row.usual}
    axes = house_axes(ax, (7.4, 2.0 + 0.27 * (len(rows) + 1.5)), list(names.values()))
    axes.axvline(0, color=GREY, lw=0.8, ls="-")
    beside_row(axes, _HEAD, "○ average result", SERIES[0], _COLUMN, 8.5, ha="right", fontweight="bold")
    bad = f"◆ 1-in-{1 / level:.0f} year"
    beside_row(axes, _HEAD, bad, SERIES[2], 2 * _COLUMN, 8.5, ha="right", fontweight="bold")
    for y, row in enumerate(rows):
        _draw(axes, y, row)
    name_rows(axes, list(names), list(names.values()))
    axes.set_ylim(len(rows) - 0.4, _HEAD - 0.5)
    money_axis(axes.xaxis, currency)
    axes.set_xlabel(f"surplus, {currency} for one year, {people(float(chosen['population_size']))} people")
    note = _NOTE.format(f"{1 / level:.0f}", percentage(level))
    return finish(axes, compared, __doc__, note)


def _rows(chosen: xr.Dataset, level: float, currency: str) -> Iterator[_Row]:
    """A heading each design, and a row each party that has anything to its name."""
    for design in chosen["design"].values:
        yield _Row(str(design))
        for party in chosen["party"].values:
            cell = chosen.sel(design=design, party=party)
            known = float(cell.get("exact_surplus", math.nan))
            drawn = figure_of(cell, "expected_surplus", currency)
            usual = drawn if math.isnan(known) else exact_amount(known, currency, 3)
            worst = figure_of(cell.sel(quantile_level=level), "worst_surplus", currency)
            if usual.value or worst.value or float(cell["expected_payment"]):
                yield _Row(str(party), usual, worst)


def _draw(axes: Axes, y: int, row: _Row) -> None:
    if row.usual is None or row.worst is None:
        how = {"xycoords": axes.get_yaxis_transform(), "va": "center", "fontweight": "bold"}
        words_at(axes, heading(row.name), (0, y), (5, 0), 8.5, **how)
        return
    axes.plot([row.usual.value, row.worst.value], [y, y], color=SERIES[2], lw=1, ls=":")
    _mark(axes, y, row.usual, SERIES[0], "o", "white")
    _mark(axes, y, row.worst, SERIES[2], "D", SERIES[2])
    beside_row(axes, y, row.usual.brief, SERIES[0], _COLUMN, 7.5, ha="right")
    beside_row(axes, y, row.worst.brief, SERIES[2], 2 * _COLUMN, 7.5, ha="right")


def _mark(axes: Axes, y: int, figure: Figure, colour: str, mark: str, fill: str) -> None:
    reach = 1.96 * figure.error
    axes.plot([figure.value - reach, figure.value + reach], [y, y], color=colour, lw=2.2, ls="-")
    axes.plot([figure.value], [y], marker=mark, ms=5.5, mfc=fill, mec=colour, color=colour, ls="none")


def _made(request: PlotRequest) -> xr.Dataset:
    from ...analysis.designs.exact_comparison import with_exact
    from ...contracts.design import with_reference
    from ...settlement.compare import compare
    from ...settlement.settle import settle

    outcome = request.found if _is_settled(request) else settle(request.ledger, with_reference(request.designs))
    if "threshold" in outcome["surplus"].dims:
        outcome = outcome.isel(threshold=-1) if request.threshold is None else outcome.sel(threshold=request.threshold)
    return with_exact(compare(outcome))


def _is_settled(request: PlotRequest) -> bool:
    return "payment" in request.found


PICTURE = Picture(
    who_bears, f"{DESIGNS}; settle --out", _made,
    lambda request: _is_settled(request) or (request.ledger, request.designs), ("threshold",), ("members",),
)  # fmt: skip
