"""Does a design detect real savings? The power table of a gain share, design by design."""

from collections.abc import Sequence
from concurrent.futures import Executor

import xarray as xr

from ... import ledger as books
from ...contracts.design import Design
from ...errors import SimulatorError
from ...scenario import Scenario
from ...settlement.settle import settle
from ...strata import mean_and_error, share_and_error, with_errors
from ...stresses import MeanCost
from ..checks import left_out
from ..stress.changed_scenario import draw_truth, with_agreed_budgets

SAVINGS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.08, 0.10)
"""True savings of the table; 0.08 is the fall in tariff cost that the Whole System Demonstrator reported."""
_ROUNDING = 1e-9


def detection(
    scenario: Scenario,
    designs: Sequence[Design] = (),
    savings: Sequence[float] = SAVINGS,
    *,
    population_sizes: Sequence[int] | None = None,
    replicates: int | None = None,
    executor: Executor | None = None,
) -> xr.Dataset:
    """How often each design pays, by true saving and population size.

    A saving makes every cost lower by the same share, under a budget that does not know of it. All savings share their
    draws.

    Parameters
    ----------
    scenario : Scenario
    designs : sequence of Design
        As in `stress`.
    savings : sequence of float
        True savings as shares of the expected cost; 0 is always among them.
    population_sizes : sequence of int, optional
        The scenario's by default.
    replicates : int, optional
        The scenario's by default.

    Returns
    -------
    xarray.Dataset
        By (saving, population_size, design): ``p_paid``, the chance that the settlement pays the provider;
        ``p_paid_without_saving``, the same where nothing was saved; ``p_denied``, the chance that a true saving earns
        nothing (NaN at 0); ``expected_settlement``, as a share of the budget, negative where the provider pays; each
        with ``_se``; and ``share_of_saving``, expected settlement / true saving (NaN at 0), with ``_se``.

    Raises
    ------
    SimulatorError
        For no designs, or a saving out of range.
    """
    # a saving that is asked about takes the place of a design's own
    chosen = tuple(one.model_copy(update={"savings": 0.0}) for one in scenario.select_designs(designs))
    asked = sorted({0.0, *(float(saving) for saving in savings)})
    for saving in asked:
        if not 0 <= saving < 1:
            raise SimulatorError("savings", saving, "must be at least 0 and below 1", "give fractions such as 0.03")
    changes = {} if replicates is None else {"replicates": replicates}
    assumed = scenario.resized(tuple(population_sizes or scenario.population_sizes), **changes)
    agreed = settle(draw_truth(assumed, [], executor), chosen)
    kept = with_agreed_budgets(chosen, agreed)
    rows = [
        _row(agreed if not saving else settle(draw_truth(assumed, [MeanCost(by=-saving)], executor), kept))
        for saving in asked
    ]
    table = xr.concat(rows, dim=xr.DataArray(asked, dims="saving", name="saving"))
    table["p_paid_without_saving"] = table["p_paid"].sel(saving=0.0, drop=True)
    table["p_paid_without_saving_se"] = table["p_paid_se"].sel(saving=0.0, drop=True)
    real = table["saving"] > 0
    table["p_denied"], table["p_denied_se"] = (1 - table["p_paid"]).where(real), table["p_paid_se"].where(real)
    for end in ("", "_se"):
        table[f"share_of_saving{end}"] = (table[f"expected_settlement{end}"] / table["saving"].where(real)).where(real)
    known = {"title": assumed.title, "currency": assumed.currency, "replicates": assumed.simulation.replicates}
    known |= {"method": "simulated"} | ({} if designs else left_out(scenario, [one.name for one in chosen]))
    return books.declared(table.assign_attrs(known), "detection")


def _row(outcome: xr.Dataset) -> xr.Dataset:
    share = (outcome["settlement"] / outcome["budget"]).transpose("replicate", "population_size", ...)
    return with_errors({"p_paid": share_and_error(share > _ROUNDING), "expected_settlement": mean_and_error(share)})
