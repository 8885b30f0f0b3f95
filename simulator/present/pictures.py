"""Which pictures there are, from which files each can be made, and the Dataset that each draws."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING

import pandas as pd
import xarray as xr

from ..analysis.designs.exact_comparison import with_exact
from ..analysis.designs.layers import layers
from ..analysis.luck.exceedance import exceedance, fan
from ..analysis.luck.funnel import funnel
from ..analysis.luck.systematic import exact_curve, variance_by_source
from ..analysis.size.grid import TARGETS, minimum_by_target
from ..analysis.size.places import places
from ..analysis.stress.sensitivity import ranges_of, sensitivity
from ..analysis.stress.stress import stress, stresses_of
from ..contracts.design import with_reference
from ..errors import SimulatorError
from ..rows.read import whole_frame
from ..runs import scenario_of
from ..settlement.compare import compare
from ..settlement.payoff import payoff
from ..settlement.settle import settle
from .cli.shell import about
from .plot_request import PlotRequest
from .plots.style import evenly
from .tidy import tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def question_of(picture: str) -> str:
    """The question that a picture answers, with which the docstring of its module begins."""
    told = import_module(f"{__package__}.plots.{picture}").__doc__ or ""
    return told.split("?")[0] + "?"


@dataclass(frozen=True)
class Picture:
    """One picture: what it needs of a file, and the Dataset that it draws."""

    draws: str
    """The public function of `simulator.plots`; its module has its name and, as `DRAWN`, those of what it draws."""
    files: str
    """From which files it can be made."""
    make: Callable[[PlotRequest], xr.Dataset]
    needs: tuple[Callable[[PlotRequest], object], ...]
    """What the file must have: each refuses a file without it, at once."""
    takes: tuple[str, ...] = ()
    """Which of members, threshold, margin, at_most and design it heeds."""
    options: Callable[[PlotRequest], dict[str, object]] = lambda _: {}
    """What the function is told besides the Dataset."""

    @property
    def name(self) -> str:
        """As the shell names it."""
        return self.draws.replace("_", "-")

    @property
    def question(self) -> str:
        """The question that the picture answers."""
        return question_of(self.draws)

    def lacks(self, one: PlotRequest) -> SimulatorError | None:
        """The first unmet requirement, in a sentence; None if the file has everything."""
        for need in self.needs:
            try:
                need(one)
            except SimulatorError as refused:
                return refused
        return None

    def check(self, one: PlotRequest) -> None:
        """Refuse a file that has not what the picture needs, and say which pictures it has."""
        refused = self.lacks(one)
        if refused is None:
            return
        if refused.path != one.path:
            raise refused
        kinds = drawable(replace(one, members=None, threshold=None, design=None))
        instead = f"or draw {', '.join(kinds)}" if kinds else "no picture can be drawn from this file"
        raise SimulatorError(refused.path, None, refused.bound, f"{refused.mend}; {instead}")

    def draw(self, shown: xr.Dataset, one: PlotRequest) -> Axes:
        """The picture."""
        drawn = getattr(import_module(f"{__package__}.plots"), self.draws)(shown, **self.options(one))
        axes: Axes = drawn[0] if isinstance(drawn, list) else drawn
        return axes

    def figures(self, shown: xr.Dataset) -> pd.DataFrame:
        """The numbers of the picture in long form, a row each, with unit and error."""
        names = import_module(f"{__package__}.plots.{self.draws}").DRAWN
        return tidy(shown[[name for name in names if name in shown]])


# ── what a file must have: requirements; each refuses, in one sentence and at once, a file that lacks it ─────

Need = Callable[[PlotRequest], object]

_needs_draws, _needs_scenario, _needs_designs, _needs_placed = map(
    attrgetter, ("ledger", "scenario", "designs", "placed")
)


def _several(dim: str) -> Need:
    """Two or more places of a dim, without which there is no curve."""

    def need(request: PlotRequest) -> None:
        if request.found.sizes.get(dim, 0) < 2:
            raise request.refusal(f"holds one {dim.replace('_', ' ')} alone", "run the scenario with two or more")

    return need


def _holding(figure: str, what: str, verb: str) -> Need:
    """What one verb alone writes."""

    def need(request: PlotRequest) -> None:
        if figure not in request.found:
            raise request.refusal(f"holds no {what}", f"name a file that `simulator {verb}` wrote")

    return need


_needs_sizes, _needs_thresholds = _several("population_size"), _several("threshold")
_needs_curves = _holding("observed_p_above", "curves of a fit", "fit --curves")
_needs_frontier = _holding("frontier_price", "proposed terms", "propose --out")
_needs_minimum = _holding("exact_minimum_population", "smallest population", "size --out")


def _needs_units(request: PlotRequest) -> None:
    """Units."""
    if "unit" not in request.ledger.dims:
        raise request.refusal("has no units", "add [[population.units]] to the scenario and run it again")


def _needs_statistics(request: PlotRequest) -> None:
    """A run's statistics, drawn or exact."""
    if not request.is_exact:
        _needs_draws(request)


def _needs_practices(request: PlotRequest) -> None:
    """The scenario whose luck the limits are for, and real rows or units that were drawn."""
    if request.actuals is None:
        _needs_draws(request)
        _needs_units(request)
    _needs_scenario(request)


def _needs_places(request: PlotRequest) -> None:
    """Places that were judged, or a scenario with units."""
    if "qualifies" in request.found:
        request.fixed()
    elif not request.scenario.population.units:
        raise request.refusal("has no units", "add [[population.units]] to the scenario and run it again")


def _needs_settled(request: PlotRequest) -> None:
    """A settlement, or draws and the designs to settle them by."""
    if "payment" not in request.found:
        _needs_draws(request)
        _needs_designs(request)


def _needs_answer(verb: str, figure: str, part: str, check: Need) -> Need:
    """What a verb found, or the part of the scenario to ask about, which `check` refuses where it will not do."""

    def need(request: PlotRequest) -> None:
        if figure in request.found:
            request.fixed()
            return
        if not getattr(request.scenario, part):
            mend = f"add [[{part}]] to the scenario, or name what `{verb} --out` wrote"
            raise request.refusal(f"has no {part}", mend)
        check(request)

    return need


_needs_ranges = _needs_answer("sensitivity", "tornado", "ranges", lambda one: ranges_of(one.scenario))
_needs_stresses = _needs_answer(
    "stress", "surplus_difference_share", "stresses", lambda one: (one.placed, stresses_of(one.scenario))
)


# ── what each picture draws ──────────────────────────────────────────────────────────────────────


def _variance(request: PlotRequest) -> xr.Dataset:
    known = "scenario" in request.found.attrs and scenario_of(request.found) is not None
    return request.summary.assign(exact_curve(request.scenario)) if known else request.summary


def _heat(request: PlotRequest) -> xr.Dataset:
    least = minimum_by_target(request.summary, (request.at_most,), margin=request.margin)
    return request.summary.sel(margin=[request.margin]).assign(least)


def _targets(request: PlotRequest) -> xr.Dataset:
    # a usual target so near to the one asked for that their names would overlap makes room for it
    targets = [target for target in TARGETS if abs(math.log(target / request.at_most)) > _APART]
    return minimum_by_target(request.summary, sorted([*targets, request.at_most]), margin=request.margin)


def _exceedance(request: PlotRequest) -> xr.Dataset:
    sizes = request.ledger["population_size"].values
    chosen = [int(sizes[k]) for k in evenly(sizes.size)] if request.members is None else [request.members]
    return exceedance(request.ledger, sizes=chosen, threshold=request.threshold)


def _funnel(request: PlotRequest) -> xr.Dataset:
    if request.actuals is None:
        return funnel(request.ledger, request.scenario, threshold=request.threshold)
    with about("practices", request.actuals):
        return funnel(whole_frame(request.actuals), request.scenario, threshold=request.threshold)


def _places(request: PlotRequest) -> xr.Dataset:
    if "qualifies" in request.found:
        return request.found
    drawn = request.ledger if "gross_cost" in request.found else None
    return places(request.scenario, request.margin, request.at_most, drawn)


def _bearers(request: PlotRequest) -> xr.Dataset:
    outcome = request.found if "payment" in request.found else settle(request.ledger, with_reference(request.designs))
    if "threshold" in outcome["surplus"].dims:
        outcome = outcome.isel(threshold=-1) if request.threshold is None else outcome.sel(threshold=request.threshold)
    return with_exact(compare(outcome))


def _tornado(request: PlotRequest) -> xr.Dataset:
    if "tornado" in request.found:
        return request.found
    return sensitivity(
        request.scenario, members=request.members, threshold=request.threshold, margin=request.margin, points=4
    )


def _stress(request: PlotRequest) -> xr.Dataset:
    if "surplus_difference_share" in request.found:
        return request.found
    return stress(request.scenario, designs=request.placed, members=request.members)


_summary, _as_it_is = attrgetter("summary"), attrgetter("found")


def _asked(name: str) -> Callable[[PlotRequest], dict[str, object]]:
    """An option that is handed on where it was given."""
    return lambda request: {} if getattr(request, name) is None else {name: getattr(request, name)}


def _currency(request: PlotRequest) -> dict[str, object]:
    return {"currency": request.found.attrs["currency"]} if "currency" in request.found.attrs else {}


_APART = 0.22  # least distance between two targets, on the logarithmic scale
_RUN = "run --out"
_EITHER = "run --out; run --exact --out"
_SCENARIO = f"{_EITHER}; settle --out"
_DESIGNS = "run --out, of a scenario with designs"
_OVERSPEND = ("margin", "at_most")

PICTURES = {
    picture.name: picture
    for picture in (
        Picture("variance_by_size", _EITHER, _variance, (_needs_statistics, _needs_sizes)),
        Picture("heat_map", _EITHER, _heat, (_needs_statistics,), _OVERSPEND),
        Picture("minimum_by_target", _EITHER, _targets, (_needs_statistics, _needs_sizes), _OVERSPEND,
             lambda request: {"at_most": request.at_most}),
        Picture("minimum_population", "size --out", _as_it_is, (_needs_minimum,)),
        Picture("exceedance_curve", _RUN, _exceedance, (_needs_draws,), ("members", "threshold")),
        Picture("fan_by_size", _RUN, lambda one: fan(one.ledger), (_needs_draws, _needs_sizes),
             ("threshold",), _asked("threshold")),
        Picture("funnel", "run --out, of a scenario with units; a scenario, with --actuals", _funnel,
             (_needs_practices,), ("threshold", "actuals")),
        Picture("places", f"answer --out; {_EITHER}, of a scenario with units", _places,
             (_needs_places,), _OVERSPEND),
        Picture("threshold_effect", _RUN, _summary, (_needs_draws, _needs_thresholds), ("members",), _asked("members")),
        Picture("payoff_diagram", f"{_SCENARIO}, with designs",
             lambda one: payoff(one.designs, scenario=one.scenario), (_needs_scenario, _needs_designs), ("design",)),
        Picture("who_bears", f"{_DESIGNS}; settle --out", _bearers, (_needs_settled,),
             ("members", "threshold"), _asked("members")),
        Picture("layer_waterfall", _DESIGNS, lambda one: layers(one.ledger, one.placed[0], members=one.members),
             (_needs_draws, _needs_placed), ("members", "design")),
        Picture("risk_split", _SCENARIO, lambda one: variance_by_source(one.scenario), (_needs_scenario,),
             ("threshold",), _asked("threshold")),
        Picture("tornado", f"sensitivity --out; {_SCENARIO}, with ranges", _tornado, (_needs_ranges,),
             ("members", "threshold", "margin")),
        Picture("stress_heat_map", f"stress --out; {_SCENARIO}, with stresses and designs", _stress,
             (_needs_stresses,), ("members", "design")),
        Picture("frontier", "propose --out", _as_it_is, (_needs_frontier,)),
        Picture("fit_diagnostics", "fit --curves", _as_it_is, (_needs_curves,), (), _currency),
    )
}  # fmt: skip


def drawable(one: PlotRequest) -> list[str]:
    """Names of the kinds that this file has the figures for."""
    return [kind.name for kind in PICTURES.values() if kind.lacks(one) is None]


def picture_named(name: str) -> Picture:
    """The kind of this name."""
    kind = PICTURES.get(name.replace("_", "-"))
    if kind is None:
        raise SimulatorError("--kind", name, "is not a kind of picture", f"choose from {', '.join(PICTURES)}")
    return kind
