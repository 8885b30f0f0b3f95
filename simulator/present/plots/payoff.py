"""Who gains and who loses, whatever the year turns out to cost?"""

from __future__ import annotations

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.ticker import PercentFormatter

from .style import house_axes, label_ends


def payoff_diagram(payoffs: xr.Dataset, design: str | None = None, ax: Axes | None = None) -> Axes:
    """Each party's surplus against cost, both as a share of the budget.

    Parameters
    ----------
    payoffs : xarray.Dataset
        What `payoff` gave.
    design : str, optional
        The first by default.
    ax : matplotlib.axes.Axes, optional
        New ones by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    one = payoffs.sel(design=payoffs["design"].values[0] if design is None else design)
    share = one["surplus"] / one["budget"]
    with house_axes(ax) as axes:
        ends = []
        for party in one["party"].values:
            values = share.sel(party=party)
            if not bool((values != 0).any()):
                continue
            (line,) = axes.plot(one["cost_ratio"], values)
            ends.append((float(one["cost_ratio"][-1]), float(values[-1]), str(party), to_hex(line.get_color())))
        axes.axhline(0, color="#505A5F", linewidth=0.8)
        axes.axvline(1, color="#505A5F", linewidth=0.8)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_xlabel("retained cost, % of the budget")
        axes.set_ylabel("surplus of the party, % of the budget")
        axes.set_title(str(one["design"].values), wrap=True)
        axes.annotate(
            "Exact: no draws; quality and activity as expected.",
            xy=(0, 0), xycoords="axes fraction", xytext=(0, -44), textcoords="offset points",
            fontsize=7.5, color="#505A5F", va="top", annotation_clip=False,
        )  # fmt: skip
        label_ends(axes, ends)
    return axes
