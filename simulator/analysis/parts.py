"""A scenario in parts: each place by itself, or each segment as a population of its own."""

import warnings
from typing import Any, Literal

from ..costs.model import head_counts
from ..errors import SimulatorError
from ..scenario import Scenario, scenario_from
from ..thresholds import percentiles_of

By = Literal["unit", "segment"]
TOGETHER = "all together"


def parts_of(scenario: Scenario, by: By) -> dict[str, Scenario]:
    """Scenarios of each unit alone, with its own case mix, and of all together; or of each segment's people alone.

    A segment has the severity, shocks, thresholds and designs that it has in the whole; an amount by segment is its
    own, and what is about other segments is left out, as are allocations, which are for everybody. Each part can be
    given to any function that takes a scenario.

    Raises
    ------
    SimulatorError
        Where there are no units.

    Examples
    --------
    >>> import simulator as sim
    >>> list(parts_of(sim.load("configs/arrangements/25-southwark-segments.toml"), "segment"))[:2]
    ['end of life', 'severe mental illness']
    """
    scenario = scenario.first_year
    if by == "segment":
        return {one.name: _segment(scenario, place) for place, one in enumerate(scenario.population.segments)}
    units = scenario.population.units
    if not units:
        raise SimulatorError("population.units", None, "are missing", "add [[population.units]] to the scenario")
    raws = {unit.name: _raw(scenario) for unit in units}
    for unit, raw in zip(units, raws.values(), strict=True):
        shares, segments = scenario.population.shares_of(unit), raw["population"]["segments"]
        own = [part | {"share": max(float(share), 1e-9)} for part, share in zip(segments, shares, strict=True)]
        raw["population"] |= {"units": (), "segments": own}
        raw["simulation"]["population_sizes"] = (unit.members,)
    return {name: _checked(raw) for name, raw in raws.items()} | {TOGETHER: scenario}


def _raw(scenario: Scenario) -> dict[str, Any]:
    """The scenario as a mapping, every severity by its own figures, percentiles at the money that they are."""
    raw = scenario.model_dump(exclude_none=True) | {"search": None, "variants": {}}
    raw["population"].pop("calibrate", None)
    for part, given in zip(raw["population"]["segments"], scenario.population.segments, strict=True):
        part["severity"] = given.users_severity.model_dump(exclude_none=True)
    if percentiles := percentiles_of(scenario.simulation.thresholds):
        count = len(scenario.population.segments) if percentiles.by == "segment" else 1
        raw["simulation"]["thresholds"]["amounts"] = scenario.threshold_amounts[:count].tolist()
    return raw


def _segment(scenario: Scenario, place: int) -> Scenario:
    population, name = scenario.population, scenario.population.segments[place].name
    raw, units = _raw(scenario), population.units
    each = [head_counts(unit.members, population.shares_of(unit)) for unit in units] or [
        head_counts(size, population.shares) for size in scenario.population_sizes
    ]
    people = [int(heads[place]) for heads in each]
    raw["simulation"]["population_sizes"] = sorted({max(n, 1) for n in ([sum(people)] if units else people)})
    sets = [one for one in raw["population"].get("parameter_sets") or () if one["segment"] == name]
    own = raw["population"]["segments"][place] | {"share": 1.0}
    raw["population"] |= {"segments": [own], "units": (), "parameter_sets": sets or None, "membership": "fixed"}
    if percentiles := percentiles_of(scenario.simulation.thresholds):
        row = place if percentiles.by == "segment" else 0
        raw["simulation"]["thresholds"]["amounts"] = scenario.threshold_amounts[row : row + 1].tolist()
    shocks = [one for one in raw["shocks"] if name in (one.get("segments") or [name])]
    kept = {one["name"] for one in shocks}
    raw["shocks"] = [one | {"segments": [name]} if one.get("segments") else one for one in shocks]
    correlated = [one for one in raw.pop("shock_correlations", ()) if set(one["between"]) <= kept]
    raw |= {"shock_correlations": correlated} if correlated else {}
    for design in raw["designs"]:
        if amounts := design["budget"].get("amounts"):
            design["budget"]["amounts"] = {name: amounts[name]}
    return _checked(raw | {"allocations": (), "stresses": (), "ranges": ()})


def _checked(raw: dict[str, Any]) -> Scenario:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return scenario_from(raw)
