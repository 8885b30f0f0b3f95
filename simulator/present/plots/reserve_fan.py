"""How long does the reserve last?"""

from __future__ import annotations

import xarray as xr
from matplotlib.axes import Axes

from ..figure import people
from ..picture import Picture
from .colours import SERIES
from .cumulative_surplus import MADE_BY, answered, last
from .style import finish, house_axes, label_ends, made_by, money_axis, percentage

DRAWN = ("pool_balance_quantile", "pool_balance_quantile_se", "p_exhausted", "p_exhausted_interval")


@made_by("over_years", "pool_balance_quantile", "design quantile_level population_size", "year")
def reserve_fan(answer: xr.Dataset, ax: Axes | None = None, members: int | None = None) -> Axes:
    """Balance of the pool by year: the median, half of the contracts and 9 in 10; how often it is exhausted below.

    The share of contracts in which the pool has failed to meet a deficit stands at each year.
    """
    known = answer.isel(
        design=answer["p_exhausted"].notnull().any([d for d in answer["p_exhausted"].dims if d != "design"])
    )
    cell = last(known, members)
    axes, years = house_axes(ax), cell["year"].values
    values = cell["pool_balance_quantile"].transpose("quantile_level", "year").values
    for pair, alpha in enumerate((0.16, 0.3)):
        axes.fill_between(years, values[pair], values[-1 - pair], color=SERIES[0], alpha=alpha, lw=0)
    axes.plot(years, values[len(values) // 2], color=SERIES[0], marker="o", ms=4)
    told = [
        f"{int(year)}\n{percentage(float(share))}"
        for year, share in zip(years, cell["p_exhausted"].values, strict=True)
    ]
    currency = str(answer.attrs["currency"])
    axes.set(xlabel="contract year, and % of contracts in which the pool was exhausted by its end")
    axes.set_xticks(years, told)
    axes.set_ylim(0, None)
    axes.set_ylabel(f"balance of the pool, {currency}")
    money_axis(axes.yaxis, currency)
    ends = zip((values[0], values[len(values) // 2], values[-1]), ("5%", "median", "95%"), strict=True)
    label_ends(axes, [(float(years[-1]), float(row[-1]), said, SERIES[0]) for row, said in ends])
    size = f"{people(float(cell['population_size']))} people. " if "population_size" in cell.coords else ""
    return finish(axes, answer, __doc__, f"{cell['design'].values}; {size}Bands: half and 9 in 10 simulated contracts.")


PICTURE = Picture(
    reserve_fan, MADE_BY, answered,
    lambda request: request.holds("pool_balance", "pool that carries over", MADE_BY), options=("members",),
)  # fmt: skip
