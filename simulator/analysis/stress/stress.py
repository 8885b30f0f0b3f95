"""Stress tests: the effect on each party under each design when things do not go to plan.

Budgets stay as agreed. Every stress shares its draws with the base case, so differences are paired.
"""

import json
import math
import os
from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np
import xarray as xr

from ... import effort, runs
from ... import ledger as books
from ...contracts.design import Design, designs_from
from ...errors import SimulatorError
from ...ledger.parts import Checkpoint, kept_for
from ...scenario import Scenario
from ...settlement.compare import revenue_of
from ...settlement.settle import settle
from ...strata import mean_and_error, share_and_error, with_errors
from ...stresses import Change, Epidemic, Stress, at_once
from ..checks import left_out
from .changed_scenario import draw_truth, truth_of, with_agreed_budgets

BASE = "as agreed"
TOGETHER = "all together"


def stress(
    scenario: Scenario,
    stresses: Sequence[Stress] = (),
    designs: Sequence[Design] = (),
    *,
    members: int | None = None,
    replicates: int | None = None,
    loss_over: float = 0.02,
    together: bool = True,
    executor: Executor | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> xr.Dataset:
    """What every stress does to every party under every design.

    Parameters
    ----------
    scenario : Scenario
        What was agreed upon.
    stresses : sequence of Stress
        The scenario's by default.
    designs : sequence of Design
        The scenario's by default, but for those whose threshold is swept (the attribute ``left_out`` names them). Of
        those given, a threshold must be the design's own.
    members : int, optional
        People; the scenario's largest population by default.
    replicates : int, optional
        The scenario's by default.
    loss_over : float
        Loss, as a share of the party's revenue as agreed, of which the chance is told.
    together : bool
        Whether all stresses come at once in a last row; what a combination shares with another stress comes once.
    checkpoint : path, optional
        The file that will be written: finished draws are kept beside it meanwhile, as `simulate` does.

    Returns
    -------
    xarray.Dataset
        By (stress, design, party), the first stress being "as agreed": ``expected_surplus`` in money per year;
        ``surplus_difference`` to the base case, paired; ``surplus_difference_share`` of the party's revenue as agreed;
        ``p_loss_over``; each with ``_se``; and ``revenue``, money per year.

    Raises
    ------
    SimulatorError
        For no stresses or designs, and a stress that makes the model invalid.
    """
    chosen, wanted = scenario.select_designs(designs), stresses_of(scenario, stresses, together)
    assumed = assumed_for(scenario, members, replicates)
    with kept_for(checkpoint, several=True) as kept, effort.task("stress tests", len(wanted) + 1) as advance:
        _expect(assumed, wanted)
        base = settle_truth(assumed, (), chosen, executor, kept)
        advance()
        revenue = revenue_of(base).isel(population_size=0, drop=True)
        agreed = surplus_of(base)
        rows = [_row(agreed, agreed, revenue, loss_over)]
        settled = with_agreed_budgets(chosen, base)
        for one in wanted:
            outcome = settle_truth(assumed, one.changes, settled, executor, kept)
            rows.append(_row(surplus_of(outcome), agreed, revenue, loss_over))
            advance()
    names = [BASE, *(one.name for one in wanted)]
    answer = xr.concat(rows, dim=xr.DataArray(names, dims="stress", name="stress"))
    answer["revenue"] = revenue
    known = {"loss_over": loss_over, "method": "simulated", "members": assumed.population_sizes[0]}
    swept = {} if designs else left_out(scenario, [one.name for one in chosen])
    answer = answer.assign_attrs(known | {"replicates": assumed.simulation.replicates} | runs.origin(scenario) | swept)
    return books.declared(answer, "stress", currency=assumed.currency, loss_over=loss_over)


def _expect(assumed: Scenario, wanted: Sequence[Stress]) -> None:
    draws = 1 + sum(2 ** sum(isinstance(change, Epidemic) for change in one.changes) for one in wanted)
    work = effort.Work(0.0).also(runs.work_of(assumed), draws)
    effort.expect("stress tests", work, "stresses", len(wanted), "ask for fewer stresses or replicates")


def stresses_of(scenario: Scenario, stresses: Sequence[Stress] = (), together: bool = True) -> tuple[Stress, ...]:
    """The stresses that are asked about, the scenario's by default, and all of them at once."""
    chosen = tuple(stresses) or scenario.stresses
    if not chosen:
        raise SimulatorError("stresses", None, "none are given", "add [[stresses]] to the scenario, or give some")
    if together and len(chosen) > 1:
        chosen += (Stress(name=TOGETHER, expresses="every stress at once", changes=at_once(chosen)),)
    for one in chosen:
        truth_of(scenario, one.changes)
    return chosen


def assumed_for(scenario: Scenario, members: int | None, replicates: int | None) -> Scenario:
    """The scenario with one population; the largest of its own where no size is given."""
    changes = {} if replicates is None else {"replicates": replicates}
    return scenario.resized((members or scenario.population_sizes[-1],), **changes)


def settle_truth(
    assumed: Scenario,
    changes: Sequence[Change],
    designs: Sequence[Design],
    executor: Executor | None,
    kept: Checkpoint | None = None,
) -> xr.Dataset:
    """The outcome of what turns out; cost that left the scope falls on those who fund."""
    outcome = settle(draw_truth(assumed, changes, executor, kept), designs)
    left = math.prod(1 - change.shifted for change in changes)
    if left == 1:
        return outcome
    settled = designs_from(json.loads(outcome.attrs["designs"]))  # with what services fund
    shares = [[design.funders.get(str(party), 0.0) for party in outcome["party"].values] for design in settled]
    shifted = outcome["system_cost"] * (1 / left - 1) * xr.DataArray(shares, dims=("design", "party"))
    return outcome.assign(surplus=outcome["surplus"] - shifted, cost_borne=outcome["cost_borne"] + shifted)


def surplus_of(outcome: xr.Dataset) -> xr.DataArray:
    """Surplus of the one population; (replicate, design, party)."""
    return outcome["surplus"].isel(population_size=0, drop=True).transpose("replicate", "design", "party")


def _row(surplus: xr.DataArray, agreed: xr.DataArray, revenue: xr.DataArray, loss_over: float) -> xr.Dataset:
    lost = surplus < -loss_over * revenue - 1e-9 * np.abs(revenue)
    row = with_errors({
        "expected_surplus": mean_and_error(surplus), "surplus_difference": mean_and_error(surplus - agreed),
        "p_loss_over": share_and_error(lost),
    })  # fmt: skip
    for name in ("", "_se"):
        row[f"surplus_difference_share{name}"] = row[f"surplus_difference{name}"] / revenue.where(revenue > 0)
    return row
