"""Which pictures there are, from which files each can be made, and the Dataset that each draws."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING

import pandas as pd
import xarray as xr

from ..base import SimulatorError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..contracts.design import Design
    from ..scenario import Scenario


@dataclass(frozen=True)
class Asked:
    """A file, and what of it is to be drawn.

    Attributes
    ----------
    path : str
        Of the file, for sentences.
    found : xarray.Dataset
        What the file holds.
    members : int or None
        People of the population that is drawn; the largest without it.
    threshold : float or None
        A point of the grid; the last without it.
    margin : float
        Tolerance of the overspend, a fraction.
    design : str or None
        Name of the design that is drawn; the first without it.
    """

    path: str
    found: xr.Dataset
    members: int | None = None
    threshold: float | None = None
    margin: float = 0.03
    design: str | None = None

    @cached_property
    def ledger(self) -> xr.Dataset:
        """The draws of a run."""
        from ..ledger import draws_of

        if "gross_cost" not in self.found:
            raise self.refusal("holds no draws", "name a file that `simulator run --out` wrote")
        return draws_of(self.found)

    @cached_property
    def scenario(self) -> Scenario:
        """The scenario that was drawn."""
        from ..runs import scenario_of

        scenario = scenario_of(self.ledger)
        if scenario is None:
            raise self.refusal("withholds the observed costs of its scenario", "choose another kind")
        return scenario

    @cached_property
    def summary(self) -> xr.Dataset:
        """Every statistic of the run, computed from its draws."""
        from ..analysis.statistics import MARGINS, summarise

        return summarise(self.ledger, margins=sorted({*MARGINS, self.margin}))

    @property
    def designs(self) -> tuple[Design, ...]:
        """The scenario's designs, the one asked for first."""
        designs = self.scenario.designs
        if not designs:
            raise self.refusal("has no designs", "add [[designs]] to the scenario and run it again")
        if self.design is None:
            return designs
        names = ", ".join(one.name for one in designs)
        first = [one for one in designs if one.name == self.design]
        if not first:
            raise SimulatorError("--design", self.design, f"is not in {self.path} ({names})", "name one of these")
        return (*first, *(one for one in designs if one.name != self.design))

    def several_sizes(self) -> None:
        """Refuse a run of one population size, of which no curve can be drawn."""
        if self.ledger.sizes.get("population_size", 0) < 2:
            raise self.refusal("holds one population size alone", "run the scenario with two or more")

    def check(self, dim: str, wanted: float | None) -> None:
        """Refuse a size or threshold that the file does not hold."""
        if wanted is not None and dim in self.found.coords and wanted not in self.found[dim].values:
            known = ", ".join(f"{value:g}" for value in self.found[dim].values)
            option = "--members" if dim == "population_size" else "--threshold"
            raise SimulatorError(option, wanted, f"is not in {self.path} ({known})", "name one of these")

    def refusal(self, bound: str, mend: str) -> SimulatorError:
        """A sentence about the file."""
        return SimulatorError(self.path, None, bound, mend)


@dataclass(frozen=True)
class Kind:
    """One kind of picture."""

    draws: str
    """Name of the public function of `simulator.plots`."""
    home: str
    """Module of `simulator.present.plots` that holds it and, as `DRAWN`, the names of what it draws."""
    files: str
    """From which files it can be made."""
    make: Callable[[Asked], xr.Dataset]
    options: Callable[[Asked], dict[str, object]] = lambda _: {}
    """What the function is told besides the Dataset."""

    @property
    def name(self) -> str:
        """As the shell names it."""
        return self.draws.replace("_", "-")

    @property
    def question(self) -> str:
        """The question that the picture answers: the first line of its module."""
        told = import_module(f"{__package__}.plots.{self.home}").__doc__ or ""
        return told.split("?")[0] + "?"

    def draw(self, shown: xr.Dataset, asked: Asked) -> Axes:
        """The picture."""
        drawn = getattr(import_module(f"{__package__}.plots"), self.draws)(shown, **self.options(asked))
        axes: Axes = drawn[0] if isinstance(drawn, list) else drawn
        return axes

    def figures(self, shown: xr.Dataset) -> pd.DataFrame:
        """The numbers of the picture, a row each: ``figure``, where it stands, ``value``, ``unit``."""
        names = import_module(f"{__package__}.plots.{self.home}").DRAWN
        return tidy(shown, [name for name in names if name in shown])


def tidy(shown: xr.Dataset, names: list[str]) -> pd.DataFrame:
    """Some variables of a Dataset in long form, a row a number."""
    parts = []
    for name in names:
        figure = shown[name].drop_vars([c for c in shown[name].coords if c not in shown[name].dims])
        rows = (
            figure.to_series().rename("value").reset_index()
            if figure.dims
            else pd.DataFrame({"value": [figure.item()]})
        )
        parts.append(rows.assign(figure=name, unit=str(shown[name].attrs.get("units", ""))))
    table = pd.concat(parts, ignore_index=True)
    places = [column for column in table.columns if column not in ("figure", "value", "unit")]
    return table[["figure", *places, "value", "unit"]]


# ── what each picture draws ──────────────────────────────────────────────────────────────────────


def _variance(asked: Asked) -> xr.Dataset:
    from ..analysis.exact_curve import exact_curve
    from ..runs import scenario_of

    asked.several_sizes()
    known = scenario_of(asked.ledger) is not None
    return asked.summary.assign(exact_curve(asked.scenario)) if known else asked.summary


def _heat(asked: Asked) -> xr.Dataset:
    asked.ledger  # noqa: B018 - refuses what is no run
    return asked.summary


def _targets(asked: Asked) -> xr.Dataset:
    from ..analysis.by_target import minimum_by_target

    asked.several_sizes()
    return minimum_by_target(asked.summary, margin=asked.margin)


def _exceedance(asked: Asked) -> xr.Dataset:
    from ..analysis.exceedance import exceedance
    from .plots.style import evenly

    sizes = asked.ledger["population_size"].values
    chosen = [int(sizes[k]) for k in evenly(sizes.size)] if asked.members is None else [asked.members]
    return exceedance(asked.ledger, sizes=chosen, threshold=asked.threshold)


def _fan(asked: Asked) -> xr.Dataset:
    from ..analysis.fan import fan

    asked.several_sizes()
    return fan(asked.ledger)


def _funnel(asked: Asked) -> xr.Dataset:
    from ..analysis.funnel import funnel

    if "unit" not in asked.ledger.dims:
        raise asked.refusal("has no units", "add [[population.units]] to the scenario and run it again")
    return funnel(asked.ledger, asked.scenario, threshold=asked.threshold)


def _removal(asked: Asked) -> xr.Dataset:
    if asked.summary.sizes["threshold"] < 2:
        raise asked.refusal("holds one threshold alone", "run the scenario with two or more")
    return asked.summary


def _payoff(asked: Asked) -> xr.Dataset:
    from ..contracts.payoff import payoff

    return payoff(asked.designs, scenario=asked.scenario)


def _bearers(asked: Asked) -> xr.Dataset:
    from ..contracts.compare import compare
    from ..contracts.design import with_reference
    from ..contracts.settle import settle

    outcome = asked.found if "payment" in asked.found else settle(asked.ledger, with_reference(asked.designs))
    if "threshold" in outcome["surplus"].dims:
        outcome = outcome.isel(threshold=-1) if asked.threshold is None else outcome.sel(threshold=asked.threshold)
    return compare(outcome)


def _layers(asked: Asked) -> xr.Dataset:
    from ..analysis.layers import layers

    return layers(asked.ledger, asked.designs[0], members=asked.members)


def _split(asked: Asked) -> xr.Dataset:
    from ..analysis.systematic import variance_by_source

    return variance_by_source(asked.scenario)


def _tornado(asked: Asked) -> xr.Dataset:
    if "tornado" in asked.found:
        return asked.found
    if not asked.scenario.ranges:
        raise asked.refusal("has no ranges", "add [[ranges]] to the scenario, or name what `sensitivity --out` wrote")
    from ..analysis.sensitivity import sensitivity

    return sensitivity(asked.scenario, members=asked.members, threshold=asked.threshold, margin=asked.margin, points=4)


def _stress(asked: Asked) -> xr.Dataset:
    if "surplus_difference_share" in asked.found:
        return asked.found
    if not asked.scenario.stresses:
        raise asked.refusal("has no stresses", "add [[stresses]] to the scenario, or name what `stress --out` wrote")
    from ..analysis.stress import stress

    return stress(asked.scenario, designs=asked.designs, members=asked.members)


def _fit(asked: Asked) -> xr.Dataset:
    if "observed_p_above" not in asked.found:
        raise asked.refusal("holds no curves of a fit", "keep them with sim.save(model.curves, path)")
    return asked.found


def _members(asked: Asked) -> dict[str, object]:
    return {} if asked.members is None else {"members": asked.members}


def _threshold(asked: Asked) -> dict[str, object]:
    return {} if asked.threshold is None else {"threshold": asked.threshold}


_RUN = "run --out"
_DESIGNS = "run --out, of a scenario with designs"

KINDS = {
    kind.name: kind
    for kind in (
        Kind("variance_by_size", "variance", _RUN, _variance),
        Kind("heat_map", "heat", _RUN, _heat, lambda asked: {"margin": asked.margin}),
        Kind("minimum_by_target", "targets", _RUN, _targets),
        Kind("exceedance_curve", "exceed", _RUN, _exceedance),
        Kind("fan_by_size", "fan", _RUN, _fan, _threshold),
        Kind("funnel", "practices", "run --out, of a scenario with units", _funnel),
        Kind("threshold_effect", "removal", _RUN, _removal, _members),
        Kind("payoff_diagram", "payoff", _DESIGNS, _payoff),
        Kind("who_bears", "bearers", f"{_DESIGNS}; settle --out", _bearers, _members),
        Kind("layer_waterfall", "waterfall", _DESIGNS, _layers),
        Kind("risk_split", "split", _RUN, _split, _threshold),
        Kind("tornado", "assumptions", "sensitivity --out; run --out, with ranges", _tornado),
        Kind("stress_heat_map", "stresses", "stress --out; run --out, with stresses and designs", _stress),
        Kind("fit_diagnostics", "fit_diagnostics", "sim.save(model.curves, …)", _fit),
    )
}


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


def open_any(path: str) -> xr.Dataset:
    """What a file of this program holds, whatever verb wrote it.

    Raises
    ------
    SimulatorError
        Where there is no such file, or it is not one that the program writes.
    """
    from ..ledger import check_ledger, check_version, read_dataset

    is_scenario = path.endswith(".toml") and os.path.exists(path)
    found = read_dataset(
        path, "run it first, and name what --out wrote" if is_scenario else "name a file that `--out` wrote"
    )
    if "schema_version" in found.attrs:
        check_version(found.attrs["schema_version"], path)
    if "gross_cost" in found:
        check_ledger(found, path)
    return found
