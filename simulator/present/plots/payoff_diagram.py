"""Who gains and who loses, whatever the year costs?"""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from ..picture import SCENARIO, Picture, PlotRequest
from .colours import GREY
from .style import MOST_SERIES, cut, finish, house_axes, label_ends, made_by, percent_axis, percentage

DRAWN = ("surplus", "own_cost", "budget")


@made_by("payoff", "surplus", "design party", "cost_ratio")
def payoff_diagram(payoffs: xr.Dataset, design: str | None = None, ax: Axes | None = None) -> Axes:
    """Each party's surplus against cost, both as a share of the budget.

    The four parties with the most at stake; parties that share alike have one line.
    """
    one = payoffs.sel(design=payoffs["design"].values[0] if design is None else design)
    share = (one["surplus"] / one["budget"]).transpose("party", "cost_ratio")
    ratios = one["cost_ratio"].values
    lines, left_out = _lines(share)
    axes = house_axes(ax)
    ends = []
    for names, values in lines:
        (line,) = axes.plot(ratios, values, label=" = ".join(names))
        told = _told(names, float(values[-1]))
        ends.append((float(ratios[-1]), float(values[-1]), told, to_hex(line.get_color())))
    axes.axhline(0, color=GREY, linewidth=0.8, linestyle="-")
    axes.axvline(1, color=GREY, linewidth=0.8, linestyle="-")
    percent_axis(axes.xaxis)
    percent_axis(axes.yaxis, signed=True)
    axes.set(xlabel="retained cost, % of the budget", ylabel="surplus of the party, % of the budget")
    axes.set_xlim(float(ratios[0]), float(ratios[-1]))
    every = (payoffs["surplus"] / payoffs["budget"]).values  # of all designs, so that their pictures can be compared
    low, high = float(np.nanmin(every, initial=0.0)), float(np.nanmax(every, initial=0.0))
    axes.update_datalim([(float(ratios[0]), low), (float(ratios[0]), high)])
    most = max((text.count("\n") + 1 for *_, text, _ in ends), default=1)
    axes.margins(y=0.05 * most)  # several names below each other stay above the ticks
    label_ends(axes, ends, gap=12.0 * most)
    rest = f" Not drawn, with less at stake: {', '.join(left_out)}." if left_out else ""
    note = f"Budget, quality and activity as expected; figures: at the right end.{_scale(payoffs)}{_unborne(one)}{rest}"
    about = " · ".join(filter(None, (str(one["design"].values), str(payoffs.attrs.get("title", "")))))
    return finish(axes, payoffs, __doc__, note, about)


def _scale(payoffs: xr.Dataset) -> str:
    return " All contracts are drawn on one scale." if payoffs.sizes["design"] > 1 else ""


def _told(names: list[str], end: float) -> str:
    """The parties of one line, below each other in four lines at most, and where it ends."""
    more = [f"{len(names) - 3} more"] if len(names) > 4 else []
    shown = [*(cut(name, 34) for name in names[: 3 if more else 4]), *more]
    return " =\n".join(shown) + f" {percentage(end, signed=True, figures=2)}"


def _lines(share: xr.DataArray) -> tuple[list[tuple[list[str], np.ndarray]], list[str]]:
    """A line for each party, one for those who share alike; those beyond four are named, the least at stake first."""
    found: list[tuple[list[str], np.ndarray]] = []
    for party, values in zip(share["party"].values, share.values, strict=True):
        if not (values != 0).any():
            continue
        alike = next((names for names, known in found if np.allclose(known, values, atol=1e-9)), None)
        if alike is None:
            found.append(([str(party)], values))
        else:
            alike.append(str(party))
    at_stake = sorted(found, key=lambda line: -float(np.ptp(line[1])))[:MOST_SERIES]
    kept = [line for line in found if any(line is one for one in at_stake)]
    return kept, [name for line in found if not any(line is one for one in kept) for name in line[0]]


def _unborne(one: xr.Dataset) -> str:
    """A sentence on the cost that no party's surplus shows, at the right end."""
    last = one.isel(cost_ratio=-1)
    share = float(last["own_cost"] / last["budget"])
    if abs(share) < 1e-9:
        return ""
    how = "is carried by nobody, because part of a party's own cost is fixed" if share < 0 else "comes on top"
    at = percentage(float(last["cost_ratio"]))
    return f" At {at}, {percentage(abs(share))} of the budget {how}."


def _made(request: PlotRequest) -> xr.Dataset:
    from ...settlement.payoff import payoff

    return payoff(request.designs, scenario=request.scenario)


PICTURE = Picture(
    payoff_diagram, f"{SCENARIO}, with designs", _made, lambda request: (request.scenario, request.designs), ("design",)
)
