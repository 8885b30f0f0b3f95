"""Which pictures there are, from which files each can be made, and the Dataset that each draws."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING

import pandas as pd
import xarray as xr

from ..errors import SimulatorError
from . import needs
from .asked import Asked
from .tidy import tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Kind:
    """One kind of picture."""

    draws: str
    """The public function of `simulator.plots`; its module has its name and, as `DRAWN`, those of what it draws."""
    files: str
    """From which files it can be made."""
    make: Callable[[Asked], xr.Dataset]
    needs: tuple[Callable[[Asked], None], ...]
    """What the file must have: each refuses a file without it, at once."""
    takes: tuple[str, ...] = ()
    """Which of members, threshold, margin, at_most and design it heeds."""
    options: Callable[[Asked], dict[str, object]] = lambda _: {}
    """What the function is told besides the Dataset."""

    @property
    def name(self) -> str:
        """As the shell names it."""
        return self.draws.replace("_", "-")

    @property
    def question(self) -> str:
        """The question that the picture answers: the first line of its module."""
        told = import_module(f"{__package__}.plots.{self.draws}").__doc__ or ""
        return told.split("?")[0] + "?"

    def lacks(self, one: Asked) -> SimulatorError | None:
        """The sentence on what the file has not, though the picture needs it; None where it has everything."""
        for need in self.needs:
            try:
                need(one)
            except SimulatorError as refused:
                return refused
        return None

    def check(self, one: Asked) -> None:
        """Refuse a file that has not what the picture needs, and say which pictures it has.

        Raises
        ------
        SimulatorError
            With the kinds that can be drawn from the file, unless an option is at fault.
        """
        refused = self.lacks(one)
        if refused is None:
            return
        if refused.path != one.path:
            raise refused
        kinds = drawable(replace(one, members=None, threshold=None, design=None))
        instead = f"or draw {', '.join(kinds)}" if kinds else "no picture can be drawn from this file"
        raise SimulatorError(refused.path, None, refused.bound, f"{refused.mend}; {instead}")

    def draw(self, shown: xr.Dataset, one: Asked) -> Axes:
        """The picture."""
        drawn = getattr(import_module(f"{__package__}.plots"), self.draws)(shown, **self.options(one))
        axes: Axes = drawn[0] if isinstance(drawn, list) else drawn
        return axes

    def figures(self, shown: xr.Dataset) -> pd.DataFrame:
        """The numbers of the picture in long form, a row each, with unit and error."""
        names = import_module(f"{__package__}.plots.{self.draws}").DRAWN
        return tidy(shown[[name for name in names if name in shown]])


# ── what each picture draws ──────────────────────────────────────────────────────────────────────


def _variance(asked: Asked) -> xr.Dataset:
    from ..analysis.luck.exact_curve import exact_curve
    from ..runs import scenario_of

    known = "scenario" in asked.found.attrs and scenario_of(asked.found) is not None
    return asked.summary.assign(exact_curve(asked.scenario)) if known else asked.summary


def _heat(asked: Asked) -> xr.Dataset:
    from ..analysis.size.by_target import minimum_by_target

    least = minimum_by_target(asked.summary, (asked.at_most,), margin=asked.margin)
    return asked.summary.sel(margin=[asked.margin]).assign(least)


def _targets(asked: Asked) -> xr.Dataset:
    from ..analysis.size.by_target import TARGETS, minimum_by_target

    # a usual target so near to the one asked for that their names would overlap makes room for it
    targets = [target for target in TARGETS if abs(math.log(target / asked.at_most)) > _APART]
    return minimum_by_target(asked.summary, sorted([*targets, asked.at_most]), margin=asked.margin)


def _exceedance(asked: Asked) -> xr.Dataset:
    from ..analysis.luck.exceedance import exceedance
    from .plots.style import evenly

    sizes = asked.ledger["population_size"].values
    chosen = [int(sizes[k]) for k in evenly(sizes.size)] if asked.members is None else [asked.members]
    return exceedance(asked.ledger, sizes=chosen, threshold=asked.threshold)


def _fan(asked: Asked) -> xr.Dataset:
    from ..analysis.luck.fan import fan

    return fan(asked.ledger)


def _funnel(asked: Asked) -> xr.Dataset:
    from ..analysis.luck.funnel import funnel
    from ..rows.whole import whole_frame
    from .cli.shell import about

    if asked.actuals is None:
        return funnel(asked.ledger, asked.scenario, threshold=asked.threshold)
    with about("practices", asked.actuals):
        return funnel(whole_frame(asked.actuals), asked.scenario, threshold=asked.threshold)


def _summary(asked: Asked) -> xr.Dataset:
    return asked.summary


def _payoff(asked: Asked) -> xr.Dataset:
    from ..settlement.payoff import payoff

    return payoff(asked.designs, scenario=asked.scenario)


def _bearers(asked: Asked) -> xr.Dataset:
    from ..analysis.designs.exact_comparison import with_exact
    from ..contracts.design import with_reference
    from ..settlement.compare import compare
    from ..settlement.settle import settle

    outcome = asked.found if "payment" in asked.found else settle(asked.ledger, with_reference(asked.designs))
    if "threshold" in outcome["surplus"].dims:
        outcome = outcome.isel(threshold=-1) if asked.threshold is None else outcome.sel(threshold=asked.threshold)
    return with_exact(compare(outcome))


def _layers(asked: Asked) -> xr.Dataset:
    from ..analysis.designs.layers import layers

    return layers(asked.ledger, asked.placed[0], members=asked.members)


def _split(asked: Asked) -> xr.Dataset:
    from ..analysis.luck.systematic import variance_by_source

    return variance_by_source(asked.scenario)


def _tornado(asked: Asked) -> xr.Dataset:
    if "tornado" in asked.found:
        return asked.found
    from ..analysis.stress.sensitivity import sensitivity

    return sensitivity(asked.scenario, members=asked.members, threshold=asked.threshold, margin=asked.margin, points=4)


def _stress(asked: Asked) -> xr.Dataset:
    if "surplus_difference_share" in asked.found:
        return asked.found
    from ..analysis.stress.stress import stress

    return stress(asked.scenario, designs=asked.placed, members=asked.members)


def _as_it_is(asked: Asked) -> xr.Dataset:
    return asked.found


def _members(asked: Asked) -> dict[str, object]:
    return {} if asked.members is None else {"members": asked.members}


def _threshold(asked: Asked) -> dict[str, object]:
    return {} if asked.threshold is None else {"threshold": asked.threshold}


def _currency(asked: Asked) -> dict[str, object]:
    return {"currency": asked.found.attrs["currency"]} if "currency" in asked.found.attrs else {}


_APART = 0.22  # least distance between two targets, on the logarithmic scale
_RUN = "run --out"
_EITHER = "run --out; run --exact --out"
_SCENARIO = f"{_EITHER}; settle --out"
_DESIGNS = "run --out, of a scenario with designs"
_OVERSPEND = ("margin", "at_most")

KINDS = {
    kind.name: kind
    for kind in (
        Kind("variance_by_size", _EITHER, _variance, (needs.statistics, needs.sizes)),
        Kind("heat_map", _EITHER, _heat, (needs.statistics,), _OVERSPEND),
        Kind("minimum_by_target", _EITHER, _targets, (needs.statistics, needs.sizes), _OVERSPEND,
             lambda asked: {"at_most": asked.at_most}),
        Kind("minimum_population", "size --out", _as_it_is, (needs.minimum,)),
        Kind("exceedance_curve", _RUN, _exceedance, (needs.draws,), ("members", "threshold")),
        Kind("fan_by_size", _RUN, _fan, (needs.draws, needs.sizes), ("threshold",), _threshold),
        Kind("funnel", "run --out, of a scenario with units; a scenario, with --actuals", _funnel,
             (needs.practices,), ("threshold", "actuals")),
        Kind("threshold_effect", _RUN, _summary, (needs.draws, needs.thresholds), ("members",), _members),
        Kind("payoff_diagram", f"{_SCENARIO}, with designs", _payoff,
             (needs.scenario, needs.designs), ("design",)),
        Kind("who_bears", f"{_DESIGNS}; settle --out", _bearers, (needs.settled,),
             ("members", "threshold"), _members),
        Kind("layer_waterfall", _DESIGNS, _layers, (needs.draws, needs.placed), ("members", "design")),
        Kind("risk_split", _SCENARIO, _split, (needs.scenario,), ("threshold",), _threshold),
        Kind("tornado", f"sensitivity --out; {_SCENARIO}, with ranges", _tornado, (needs.ranges,),
             ("members", "threshold", "margin")),
        Kind("stress_heat_map", f"stress --out; {_SCENARIO}, with stresses and designs", _stress,
             (needs.stresses,), ("members", "design")),
        Kind("fit_diagnostics", "fit --curves", _as_it_is, (needs.curves,), (), _currency),
    )
}  # fmt: skip


def drawable(one: Asked) -> list[str]:
    """Names of the kinds that this file has the figures for."""
    return [kind.name for kind in KINDS.values() if kind.lacks(one) is None]


def kind_of(name: str) -> Kind:
    """The kind of this name.

    Raises
    ------
    SimulatorError
        Where there is none.
    """
    kind = KINDS.get(name.replace("_", "-"))
    if kind is None:
        raise SimulatorError("--kind", name, "is not a kind of picture", f"choose from {', '.join(KINDS)}")
    return kind
