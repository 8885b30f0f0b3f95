"""Who gains and who loses over the years of a contract?"""

from __future__ import annotations

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from ..figure import people
from ..picture import Picture, PlotRequest
from .colours import GREY
from .style import at, evenly, finish, house_axes, label_ends, left_out, made_by, money_axis

DRAWN = ("cumulative_quantile", "cumulative_quantile_se")
MADE_BY = "settle --out, of a scenario with [years]"


@made_by("over_years", "cumulative_quantile", "design party quantile_level population_size", "year")
def cumulative_surplus(answer: xr.Dataset, ax: Axes | None = None, members: int | None = None) -> Axes:
    """Surplus of each party since year 1: the median, and where 9 in 10 contracts lie; at most four parties."""
    cell = last(answer, members)
    axes, ends, years = house_axes(ax), [], cell["year"].values
    values = cell["cumulative_quantile"].transpose("party", "quantile_level", "year")
    moves = [name for name in values["party"].values if abs(values.sel(party=name)).max() > 0]
    for party in (moves[place] for place in evenly(len(moves))):
        low, middle, high = values.sel(party=party, quantile_level=[0.05, 0.5, 0.95]).values
        (line,) = axes.plot(years, middle, marker="o", ms=4)
        axes.fill_between(years, low, high, color=line.get_color(), alpha=0.12, lw=0)
        ends.append((float(years[-1]), float(middle[-1]), str(party), to_hex(line.get_color())))
    currency = str(answer.attrs["currency"])
    axes.axhline(0, color=GREY, lw=0.8)
    axes.set(xticks=years, xlabel="contract year, years from the start", ylabel=f"surplus since year 1, {currency}")
    money_axis(axes.yaxis, currency)
    label_ends(axes, ends)
    size = f"{people(float(cell['population_size']))} people. " if "population_size" in cell.coords else ""
    note = f"{cell['design'].values}; {size}Lines: median; bands: 9 in 10 simulated contracts."
    return finish(axes, answer, __doc__, note + left_out(moves))


def last(answer: xr.Dataset, members: int | None) -> xr.Dataset:
    """The last design, at the size asked for or the largest, without a cap where several were swept."""
    cell = at(answer, "population_size", members) if "population_size" in answer.dims else answer
    return cell.isel(design=-1, threshold=-1, unit=-1, missing_dims="ignore")


def answered(request: PlotRequest) -> xr.Dataset:
    """The answer from a settled file."""
    from ...analysis.designs.over_years import over_years

    return over_years(request.found)


PICTURE = Picture(
    cumulative_surplus, MADE_BY, answered,
    lambda request: request.holds("cumulative_surplus", "contract over years", MADE_BY), options=("members",),
)  # fmt: skip
