"""Money and need without the contract: what funders have, what care would cost, and the gap. No simulation."""

import numpy as np
import xarray as xr

from .. import runs
from ..errors import SimulatorError
from ..ledger import declared
from ..scenario import Scenario


def outlook(scenario: Scenario) -> xr.Dataset:
    """The funding gap by contract year if nothing is done.

    Returns
    -------
    xarray.Dataset
        By (population_size, year), money per year, exact: ``allocation`` of all funders, ``do_nothing_cost``, ``gap``,
        cost less allocation, and ``gap_share`` of the allocation.

    Raises
    ------
    SimulatorError
        Where the scenario has no `do_nothing`, or no [[allocations]].
    """
    path = scenario.do_nothing
    if path is None or not scenario.allocations:
        raise SimulatorError("do_nothing", None, "and [[allocations]] make a gap together", "give both")
    cost = runs.expected_means(scenario)["expected_gross_cost"].mean(axis=0)
    years = np.arange(1, path.years + 1)
    people = np.asarray(scenario.population_sizes, float)
    has = sum(np.outer(people, [one.in_year(int(year)) for year in years]) for one in scenario.allocations)
    spent = np.outer(cost, [path.in_year(int(year)) for year in years])
    dims = ("population_size", "year")
    money = {"allocation": has, "do_nothing_cost": spent, "gap": spent - has, "gap_share": spent / has - 1.0}
    found = xr.Dataset({name: (dims, np.asarray(values)) for name, values in money.items()})
    found = found.assign_coords(population_size=list(scenario.population_sizes), year=years)
    return declared(found.assign_attrs(method="exact"), "outlook", currency=scenario.currency)
