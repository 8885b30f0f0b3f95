"""Which places are large enough by themselves? Each unit alone, with its own size and case mix."""

import xarray as xr

from ... import effort, runs
from ... import ledger as books
from ...costs.model import Unit
from ...errors import SimulatorError
from ...scenario import Scenario
from ..statistics.exact import exact
from ..statistics.summary import summarise

_MOST_MIXES = 20  # case mixes up to which each place's chance is calculated where its draws are at hand


def places(scenario: Scenario, margin: float, at_most: float, ledger: xr.Dataset | None = None) -> xr.Dataset:
    """By unit and threshold: the chance that a unit alone overspends by more than `margin`, and whether it qualifies.

    Gives ``members`` in people, ``p_overspend`` (exact, or drawn with its standard error and 95% interval), and
    ``qualifies``, 1 where that is at most `at_most`. What has no exact law is read off `ledger`, or drawn.
    """
    units = scenario.population.units
    if not units:
        raise SimulatorError("population.units", None, "are missing", "add [[population.units]] to the scenario")
    mixes: dict[bytes, list[Unit]] = {}
    for unit in units:
        mixes.setdefault(scenario.population.shares_of(unit).tobytes(), []).append(unit)
    try:
        if ledger is not None and len(mixes) > _MOST_MIXES:
            found = _drawn(scenario, ledger, margin)
        else:
            found = _calculated(scenario, list(mixes.values()), margin)
    except SimulatorError:  # no exact law
        found = _drawn(scenario, runs.simulate(scenario) if ledger is None else ledger, margin)
    meets = (found["p_overspend"] <= at_most).astype(float)
    made = found.assign(qualifies=meets, members=("unit", [float(unit.members) for unit in units]))
    books.describe_threshold(made, scenario.simulation.thresholds, scenario.currency)
    basis = "drawn" if "p_overspend_se" in made else "exact"
    origin = runs.exact_origin(scenario)
    if basis == "drawn":
        replicates = scenario.simulation.replicates if ledger is None else ledger.sizes["replicate"]
        origin = runs.origin(scenario) | {"replicates": replicates}
    made = made.assign_attrs({"margin": margin, "at_most": at_most} | origin)
    return books.declared(made, "places", margin=margin, of_places=basis)


def places_alone(scenario: Scenario, units: list[Unit]) -> Scenario:
    """Units of one case mix as a scenario of their own: a size for each, at the thresholds of the whole."""
    population = scenario.population.of_unit(units[0])
    sizes = tuple(sorted({unit.members for unit in units}))
    simulation = scenario.simulation.model_copy(update={"population_sizes": sizes})
    made = scenario.model_copy(
        update={"population": population, "simulation": simulation, "designs": (), "search": None, "variants": {}}
    )
    made.__dict__.update(threshold_amounts=scenario.threshold_amounts, cuts=scenario.cuts)
    return made


def _calculated(scenario: Scenario, mixes: list[list[Unit]], margin: float) -> xr.Dataset:
    """The exact chances; one law of a person serves all units of one case mix."""
    by_name = {}
    for units in effort.each(mixes, "places"):
        chances = exact(places_alone(scenario, units), margins=(margin,))["p_overspend"].isel(margin=0, drop=True)
        for unit in units:
            by_name[unit.name] = chances.sel(population_size=unit.members, drop=True)
    names = [unit.name for unit in scenario.population.units]
    found = xr.concat([by_name[name] for name in names], dim="unit")
    return found.rename("p_overspend").to_dataset().assign_coords(unit=names)


def _drawn(scenario: Scenario, ledger: xr.Dataset, margin: float) -> xr.Dataset:
    summary = summarise(books.by_unit(ledger), margins=(margin,), scenario=scenario)
    names = ["p_overspend", "p_overspend_se", "p_overspend_interval"]
    return summary[names].isel(margin=0, drop=True).reset_coords(drop=True)
