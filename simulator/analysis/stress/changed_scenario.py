"""Simulates a changed scenario under the agreed budgets.

The ledger of a truth carries the assumed scenario, so that budgets, expected costs and premiums are those that were
agreed. The same seed draws both, so differences between them are paired.
"""

import itertools
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
import xarray as xr
from pydantic import PrivateAttr

from ... import ledger as books
from ... import runs
from ...contracts.budget import Expectations, PastYears, PerHead
from ...contracts.design import Design
from ...contracts.exclusion import CarveOut
from ...contracts.services import Moves
from ...engine import kernels
from ...errors import SimulatorError
from ...ledger.parts import Checkpoint
from ...scenario import Scenario, scenario_from
from ...settlement.services import MOVES
from ...stresses import Change, Epidemic, Inflation, OfService, Prevalence, UpCoding
from ...terms import Array
from ...thresholds import percentiles_of

_EPIDEMICS = 1_000  # streams of the shocks' purpose from here on tell in which years an epidemic comes
_LEAST_LEFT = 0.01  # of the expected cost; beyond it, or its reciprocal, a figure is in another unit than was meant


def truth_of(scenario: Scenario, changes: Iterable[Change]) -> Scenario:
    """The scenario as it turns out, every severity by its own figures; epidemics are left to the drawing.

    Thresholds that are percentiles stay at the money that they were when agreed.
    """
    raw = _by_figures(scenario)
    for change in changes:
        change.apply(raw)
    truth = scenario_from(raw | {"designs": (), "search": None}, "stress")
    left = _mean_cost(truth) / _mean_cost(scenario)
    if not _LEAST_LEFT <= left <= 1 / _LEAST_LEFT:
        bound = f"leaves {100 * left:.3g}% of the expected cost"
        raise SimulatorError("stress", None, bound, "let it leave 1% to 10,000% of it")
    return truth


def _mean_cost(scenario: Scenario) -> float:
    model = scenario.cost_model
    shares = [*model.shares, *(1.0 for _ in scenario.population.rare_services)]
    means = (stream.rate * stream.severity.moments.raw[1] for stream in model.streams)
    return float(sum(share * mean for share, mean in zip(shares, means, strict=True)))


def _by_figures(scenario: Scenario) -> dict[str, Any]:
    raw = scenario.model_dump(exclude_none=True)
    raw["population"]["rare_services"] = list(raw["population"]["rare_services"])
    for segment, given in zip(raw["population"]["segments"], scenario.population.segments, strict=True):
        segment["severity"] = given.users_severity.model_dump(exclude_none=True)
    if percentiles := percentiles_of(scenario.simulation.thresholds):
        by_segment = percentiles.by == "segment"
        rows = scenario.threshold_amounts[: len(scenario.population.segments) if by_segment else 1]
        raw["simulation"]["thresholds"]["amounts"] = rows.tolist()
    return raw


def draw_truth(
    assumed: Scenario, changes: Sequence[Change], executor: Executor | None = None, kept: Checkpoint | None = None
) -> xr.Dataset:
    """Draw what turns out, in a ledger from which budgets follow as they were agreed."""
    epidemics = [change for change in changes if isinstance(change, Epidemic)]
    others = [change for change in changes if not isinstance(change, Epidemic)]
    ledgers = {}
    for hit in itertools.product((False, True), repeat=len(epidemics)):
        dearer = [Inflation(by=change.by) for change, comes in zip(epidemics, hit, strict=True) if comes]
        ledgers[hit] = runs.simulate(truth_of(assumed, [*others, *dearer]), executor, checkpoint=kept)
    drawn = _chosen(ledgers, epidemics, assumed.simulation.seed)
    drawn = _recorded(drawn, truth_of(assumed, others), others)
    if "parameter_set" in drawn.dims:  # the exact means that it keeps are of what was assumed
        drawn = drawn.assign({name: drawn[name].copy(data=m) for name, m in runs.expected_means(assumed).items()})
    moves = Moves()
    for change in changes:
        moves = change.move(moves) if isinstance(change, OfService) else moves
    drawn = drawn if moves == Moves() else drawn.assign_attrs({MOVES: moves.model_dump_json()})
    return drawn.assign_attrs(scenario=runs.kept_json(assumed), scenario_id=assumed.scenario_id)


def _chosen(ledgers: dict[tuple[bool, ...], xr.Dataset], epidemics: Sequence[Epidemic], seed: int) -> xr.Dataset:
    """Each replicate from the ledger of the epidemics that it has."""
    drawn = ledgers[(False,) * len(epidemics)]
    if not epidemics:
        return drawn
    replicates = drawn["replicate"].values
    drawn_by = [kernels.uniforms(seed, kernels.SHOCK, _EPIDEMICS + k, replicates, 1) for k in range(len(epidemics))]
    comes = np.hstack(drawn_by) < [epidemic.probability for epidemic in epidemics]
    made = drawn.copy()
    for name in [name for name in drawn.data_vars if "replicate" in drawn[name].dims]:
        for hit, ledger in ledgers.items():
            here = xr.DataArray((comes == np.array(hit)).all(axis=1), dims="replicate")
            made[name] = made[name].where(~here, ledger[name])
        made[name].attrs = dict(drawn[name].attrs)
    return made


def _recorded(ledger: xr.Dataset, truth: Scenario, changes: Sequence[Change]) -> xr.Dataset:
    """The ledger with people as they are recorded, where a change touches that."""
    if not any(isinstance(change, UpCoding | Prevalence) for change in changes):
        return ledger
    if "members" in ledger:
        drawn = ledger["members"].astype(float)
    else:
        heads = runs.heads(truth).astype(float)
        drawn = xr.DataArray(heads, dims=("population_size", "segment")).expand_dims(replicate=ledger["replicate"])
    names = [str(name) for name in ledger["segment"].values]
    members: dict[str, Any] = {name: drawn.isel(segment=k, drop=True) for k, name in enumerate(names)}
    for change in changes:
        members = change.recorded(members)
    recorded = xr.concat(list(members.values()), dim="segment").transpose("replicate", "population_size", "segment")
    made = ledger.assign(members=(recorded.dims, recorded.values))
    recorded_as = books.VARIABLES["members"]._replace(sentence="people of the segment, as they are recorded")
    books.describe(made["members"], recorded_as)
    return made


class _Agreed(PerHead):
    """A budget that was settled already, replicate by replicate."""

    _budget: Any = PrivateAttr(None)

    def evaluate(self, expected: Expectations) -> Array:
        return np.asarray(self._budget)


def with_agreed_budgets(designs: Iterable[Design], agreed: xr.Dataset) -> tuple[Design, ...]:
    """The designs, where a budget follows past years with the budgets of an outcome as agreed.

    The error of such a budget is drawn together with the year's own luck, for which a stress would be mistaken.
    """
    return tuple(_agreed(design, agreed) if isinstance(design.budget, PastYears) else design for design in designs)


def _agreed(design: Design, agreed: xr.Dataset) -> Design:
    rule = design.exclusion
    if isinstance(rule, CarveOut) and not rule.keep_capitation:
        bound = "follows past years while patients leave with their capitation"
        raise SimulatorError(f"design {design.name!r}: budget", None, bound, "give it per head, or keep the capitation")
    budget = _Agreed()
    budget._budget = agreed["budget"].sel(design=design.name).transpose("replicate", "population_size").values
    return design.model_copy(update={"budget": budget})
