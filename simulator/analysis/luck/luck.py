"""Was last year luck? The percentile of an observed deviation among all possible years."""

import math

import xarray as xr

from ... import effort, runs
from ... import ledger as books
from ...contracts.budget import PerHead
from ...contracts.exclusion import Cap, ExclusionRule, as_attribute
from ...deprecated import old_keywords
from ...errors import SimulatorError
from ...scenario import Scenario, scenario_from
from ...strata import share_and_error, with_errors
from ..checks import check_fraction, check_members
from ..statistics import self_check as exactness
from ..statistics.exact import doubt_of, exact, expect_laws, points_of
from ..statistics.exact_years import contract_years
from .infinite_population import overspend_of

RISKS = ("luck", "luck and shocks")


@old_keywords(budget=PerHead)
def luck(
    scenario: Scenario,
    members: int,
    overspend: float,
    *,
    rule: ExclusionRule = Cap(),  # noqa: B008 - frozen
    budget: PerHead = PerHead(),  # noqa: B008 - frozen
    confidence: float = 0.95,
    replicates: int | None = None,
    pool: int | None = None,
) -> xr.Dataset:
    """Where an observed overspend stands among the years that luck alone, or luck and common shocks, could have given.

    Parameters
    ----------
    scenario : Scenario
        Its population sizes do not matter.
    members : int
        People, for one year.
    overspend : float
        Observed retained cost / budget − 1: 0.04 where 4% too much was spent, negative where money was left.
    rule, budget
        As in `summarise`; the budget is the exact mean of the retained cost where no amount is given.
    confidence : float
        Share of the years inside `expected_range`.
    replicates : int, optional
        Draw so many years as well, and tell the percentile among them. Where the exact engine cannot tell the chances
        (attribute ``doubt``), years are drawn in any case, all figures but the sd are theirs, and ``method`` is
        "simulated".

    pool : int, optional
        Of a scenario with [years]: contract years 1 to `pool` together, whose overspend it is. Nothing is drawn then.

    Returns
    -------
    xarray.Dataset
        By ``risk`` ("luck", "luck and shocks") and ``threshold``, exact: ``percentile``, the chance of a year that is
        no costlier; ``p_two_sided``, the chance of a year in which either tail is as thin; ``expected_range`` (bound),
        overspends between which so many years lie; ``sd_overspend``. With `replicates` also ``drawn_percentile`` and
        ``drawn_percentile_se``. Without shocks in the scenario there is only "luck".
        Where the scenario carries parameter sets, doubt about parameters is in both.

    Examples
    --------
    Where one year in forty is costlier than the observed one, the percentile is 0.975 and p_two_sided 0.05.

    >>> import simulator as sim
    >>> answer = sim.luck(sim.load("configs/east_sussex.toml"), 30_000, 0.04)
    >>> round(float(answer["percentile"].sel(risk="luck", threshold=50_000)), 3)
    0.998
    """
    check_members(members)
    if not -1 < overspend < math.inf:
        raise SimulatorError("overspend", overspend, "must be a fraction above -1", "give 0.04 for 4% too much")
    check_fraction("confidence", confidence, 0.95)
    pooled = None if pool is None else contract_years(scenario, pool)
    if pooled and replicates:
        raise SimulatorError("replicates", replicates, "is given beside pool, which is without simulation", "omit it")
    tail, changes = (1 - confidence) / 2, {"replicates": replicates} if replicates else {}
    levels, risks = (tail, 1 - tail), by_risk(scenario)
    asked = [truth.resized((members,), **changes) for truth in risks.values()]
    expect_laws(asked[-1], len(points_of(asked[-1], rule)), len(asked), "luck")
    each = effort.each(asked, "luck")
    found = [exact(one, rule, (overspend,), levels, budget=budget, pool_years=pooled) for one in each]
    years = asked[0].simulation.replicates
    doubts = {"doubt": exactness.counted(years)} if not pooled and any(doubt_of(one) for one in found) else {}
    parts = [_part(one.isel(population_size=0, margin=0, drop=True)) for one in found]
    for place, one in enumerate(effort.each(asked if replicates or doubts else (), "simulating years")):
        drawn = overspend_of(runs.simulate(one), rule, one, budget).isel(population_size=0, drop=True)
        parts[place] = parts[place].assign(with_errors({"drawn_percentile": share_and_error(drawn <= overspend)}))
        if doubts:  # the exact engine cannot tell the figures of `_part`
            below, ends = (drawn <= overspend).mean("replicate"), drawn.quantile(list(levels), "replicate")
            ends = ends.rename(quantile="bound").assign_coords(bound=["lower", "upper"])
            told = {"percentile": below, "p_two_sided": _two_sided(below), "expected_range": ends}
            parts[place] = parts[place].assign(told)
    answer = xr.concat(parts, dim=xr.DataArray(list(risks), dims="risk", name="risk"))
    method, basis, origin = "exact", "exact", runs.exact_origin(scenario)
    if doubts:
        method, basis, origin = "simulated", "drawn", runs.origin(scenario) | {"replicates": years}
    known = {"members": members, "overspend": overspend, "confidence": confidence}
    known |= {} if pool is None else {"years_pooled": pool}
    answer = answer.assign_attrs(known | origin | as_attribute(rule) | doubts)
    return books.declared(answer, "luck", overspend=overspend, confidence=confidence, method=method, basis=basis)


def _two_sided(percentile: xr.DataArray) -> xr.DataArray:
    return 2 * percentile.where(percentile < 0.5, 1 - percentile)


def by_risk(scenario: Scenario) -> dict[str, Scenario]:
    """The scenario under each of `RISKS`: without its shocks, and as it is, where it has any."""
    luck_alone, whole = RISKS
    return {luck_alone: without_shocks(scenario)} | ({whole: scenario} if scenario.shocks else {})


def without_shocks(scenario: Scenario) -> Scenario:
    """The scenario without anything that hits everybody at once."""
    return scenario_from(scenario.model_dump() | {"shocks": (), "shock_correlations": ()})


def _part(cell: xr.Dataset) -> xr.Dataset:
    percentile, spread = 1 - cell["p_overspend"], cell["sd_cost"] / cell["budget"]
    ends = (cell["quantile_cost"] / cell["budget"] - 1).rename(quantile_level="bound")
    made = {"percentile": percentile, "p_two_sided": _two_sided(percentile), "sd_overspend": spread}
    return xr.Dataset(made | {"expected_range": ends.assign_coords(bound=["lower", "upper"])})
