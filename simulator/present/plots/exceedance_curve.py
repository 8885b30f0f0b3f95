"""How large is the overspend of a 1-in-N year?"""

from __future__ import annotations

from operator import attrgetter

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from ..figure import people
from ..picture import RUN, Picture, PlotRequest
from .colours import INK
from .style import evenly, finish, house_axes, label_ends, made_by, one_in, one_threshold, percent_axis, percentage

DRAWN = ("p_exceed", "p_exceed_interval", "exact_p_exceed")
_RAREST = 1e-4
_TICKS = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001)
_FEW_TICKS = (0.5, 0.2, 0.05, 0.01, 0.001, 0.0001, 0.00001)
"""Where the axis goes on beyond one year in a thousand: the others would touch."""


@made_by("exceedance", "p_exceed", "population_size", "overspend")
def exceedance_curve(answer: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Overspend that is exceeded in one year in N, one line a population size.

    Rarer years to the right, on a logarithmic axis. Broad lines are simulated, bands their 95% interval; both end
    where too few years were drawn for an upper limit. Thin dark lines are exact. At most four sizes are drawn.
    """
    order = ("population_size", "overspend")
    chance, exact = (answer[name].transpose(*order).values for name in ("p_exceed", "exact_p_exceed"))
    low, high = answer["p_exceed_interval"].transpose("bound", *order).values
    overspend, sizes = answer["overspend"].values, answer["population_size"].values
    rarest, bounded = 1.0 / answer.attrs["replicates"], answer.attrs["rarest"]
    rarest = min(rarest, max(_RAREST, float(np.min(exact[exact > 0], initial=1.0))))  # the exact curve goes on
    ticks = _FEW_TICKS if rarest < 1e-3 else _TICKS
    axes = house_axes(ax)
    ends, tops = [], []
    for series in evenly(sizes.size):
        seen = chance[series] >= bounded
        (line,) = axes.plot(chance[series][seen], overspend[seen], lw=2.6, label=people(sizes[series]))
        drawn = chance[series] > 0
        axes.fill_betweenx(
            overspend[drawn], np.maximum(low[series][drawn], bounded), np.maximum(high[series][drawn], bounded),
            color=line.get_color(), alpha=0.25, linewidth=0,
        )  # fmt: skip
        known = exact[series] >= rarest
        axes.plot(exact[series][known], overspend[known], color=INK, ls="-", lw=0.8)
        end = float(max([*overspend[seen], *overspend[known]], default=0.0))
        tops.append(float(max([end, *overspend[drawn]])))
        ends.append((rarest, end, f"{people(sizes[series])} people", to_hex(line.get_color())))
    axes.set(xscale="log", xlim=(0.55, rarest), ylim=(0, 1.05 * max(tops) or 1.0))
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if tick >= rarest]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda chance, _: f"{percentage(chance)}\n{one_in(chance)}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", labelsize=8)
    percent_axis(axes.yaxis, signed=True)
    axes.set(xlabel="how often it is exceeded", ylabel="overspend, % of the budget")
    label_ends(axes, ends)
    return finish(axes, answer, __doc__, _note(answer, bool(np.isfinite(exact).any())))


def _note(answer: xr.Dataset, is_exact: bool) -> str:
    told = "thin dark lines: exact" if is_exact else "no exact curve, since the scenario was withheld"
    last = one_in(answer.attrs["rarest"])
    return (
        f"{one_threshold(answer)}. Broad lines: simulated, with 95% bands; {told}. Lines and bands end at {last}: of "
        "rarer years too few were simulated for an upper limit."
    )


def _made(request: PlotRequest) -> xr.Dataset:
    from ...analysis.luck.exceedance import exceedance

    sizes = request.ledger["population_size"].values
    chosen = [int(sizes[k]) for k in evenly(sizes.size)] if request.members is None else [request.members]
    return exceedance(request.ledger, sizes=chosen, threshold=request.threshold)


PICTURE = Picture(exceedance_curve, RUN, _made, attrgetter("ledger"), ("members", "threshold"))
