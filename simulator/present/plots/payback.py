"""When is the investment paid back?"""

from __future__ import annotations

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from ..figure import people
from ..picture import Picture
from .cumulative_surplus import MADE_BY, answered
from .style import evenly, finish, house_axes, label_ends, left_out, made_by, percent_axis

DRAWN = ("system_p_paid_back", "system_p_paid_back_se")


@made_by("over_years", "system_p_paid_back", "design population_size", "year")
def payback(answer: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Share of contracts in which all parties together have had the investment back, a line a population size."""
    share = answer["system_p_paid_back"]
    known = share.isel(design=share.notnull().any([d for d in share.dims if d != "design"])).isel(design=-1)
    cells = known.isel(threshold=-1, unit=-1, missing_dims="ignore")
    cells = cells if "population_size" in cells.dims else cells.expand_dims("population_size")
    axes, ends, years = house_axes(ax), [], cells["year"].values
    sizes = [f"{people(float(size))} people" for size in cells["population_size"].values]
    for place in evenly(len(sizes)):
        values = cells.isel(population_size=place).values
        (line,) = axes.plot(years, values, marker="o", ms=4)
        ends.append((float(years[-1]), float(values[-1]), sizes[place], to_hex(line.get_color())))
    axes.set(
        xticks=years,
        xlabel="contract year, years from the start",
        ylabel="% of contracts that have paid back",
        ylim=(-0.03, 1.03),
    )
    percent_axis(axes.yaxis)
    label_ends(axes, ends)
    return finish(axes, answer, __doc__, f"{cells['design'].values}. Simulated contracts." + left_out(sizes))


PICTURE = Picture(payback, MADE_BY, answered, lambda request: request.holds("investment_gain", "investment", MADE_BY))
