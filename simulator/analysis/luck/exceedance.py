"""How large is the overspend of a 1-in-N year, and between which overspends do years lie, population by population?"""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from ...contracts.exclusion import Cap, ExclusionRule
from ...errors import SimulatorError
from ...ledger import declared
from ...runs import scenario_of
from ...scenario import Scenario
from ...strata import unseen_bound
from ..statistics.summary import summarise
from .exact_tail import exact_exceedance

LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)  # of the years between which a fan is drawn
_BEYOND = 6
_POINTS = 40  # of each population's own curve


def exceedance(
    ledger: xr.Dataset,
    rule: ExclusionRule = Cap(),  # noqa: B008 - frozen
    *,
    sizes: Sequence[int] = (),
    threshold: float | None = None,
    scenario: Scenario | None = None,
) -> xr.Dataset:
    """Chance that the retained cost exceeds the expected by more than each of many shares.

    Parameters
    ----------
    ledger : xarray.Dataset
        What `simulate` drew.
    rule : exclusion rule
    sizes : sequence of int, optional
        People; all of the ledger's without it.
    threshold : float, optional
        A point of the ledger's grid; without it the rule's own, or the last.
    scenario : Scenario, optional
        Needed for the exact curve where observed costs were withheld from the ledger.

    Returns
    -------
    xarray.Dataset
        By ``population_size`` and ``overspend`` (retained cost / expected − 1): ``p_exceed``, its ``p_exceed_interval``
        (bound; 95%, Clopper-Pearson) and ``exact_p_exceed``, NaN where the scenario was withheld
        or the total moves in steps too narrow for the exact engine. The attribute
        ``rarest`` is the chance below which the overspend has no upper limit at 95%, since too few years were drawn.

    Raises
    ------
    SimulatorError
        For a size or threshold that the ledger does not have.
    """
    chosen = _chosen(ledger, "population_size", sizes or ledger["population_size"].values.tolist())
    own = rule.fixed_thresholds()
    if own and threshold not in (None, own[-1]):
        raise SimulatorError("threshold", threshold, f"is not the rule's own, {own[-1]:g}", "leave it out")
    last = own[-1] if own else ledger["threshold"].values[-1]
    point = _chosen(ledger, "threshold", [last if threshold is None else threshold])[0]
    levels = [float(level) for level in 1 - np.geomspace(0.5, 0.5 / ledger.sizes["replicate"], _POINTS)]
    cells = summarise(ledger, rule, (0.0,), levels, scenario=scenario).sel(population_size=chosen, threshold=point)
    # where each population's own curve lies: its quantiles from the median to the largest drawn
    values = np.asarray((cells["quantile_cost"] / cells["budget"] - 1).values).ravel()
    rarer = max(values.max(), 0.0) * np.linspace(1.0, 1.6, _BEYOND + 1)[1:]  # than any drawn: exact alone
    overspends = [float(value) for value in np.unique(np.round(np.concatenate([values[values > 0], [0.0], rarer]), 6))]
    summary = summarise(ledger, rule, overspends, (0.5,), scenario=scenario)
    shown = summary.sel(population_size=chosen, threshold=point)[["p_overspend", "p_overspend_interval"]]
    names = {"margin": "overspend", "p_overspend": "p_exceed", "p_overspend_interval": "p_exceed_interval"}
    answer = shown.rename(names).assign_attrs(summary.attrs)
    exact = np.full(answer["p_exceed"].shape, np.nan)
    if known := scenario or scenario_of(ledger):
        asked = known.resized(tuple(int(size) for size in chosen))
        exact = exact_exceedance(asked, rule.at_point(point), overspends)
    answer["exact_p_exceed"] = answer["p_exceed"].dims, exact
    answer.attrs["rarest"] = unseen_bound(ledger.sizes["replicate"])
    return declared(answer, "exceedance")


def _chosen(ledger: xr.Dataset, dim: str, wanted: Sequence[float]) -> list[float]:
    for one in wanted:
        if one not in ledger[dim].values:
            raise SimulatorError(dim, one, "is not in the ledger", "name one that was drawn")
    return list(wanted)


def fan(
    ledger: xr.Dataset,
    rule: ExclusionRule = Cap(),  # noqa: B008 - frozen
    levels: Sequence[float] = LEVELS,
    *,
    scenario: Scenario | None = None,
) -> xr.Dataset:
    """Quantiles of the overspend by population size.

    Parameters
    ----------
    ledger : xarray.Dataset
        What `simulate` drew, or `by_unit` of it.
    rule : exclusion rule
    levels : sequence of float
        Levels in (0, 1), symmetrical about 0.5.
    scenario : Scenario, optional
        As in `summarise`.

    Returns
    -------
    xarray.Dataset
        ``overspend`` = retained cost / expected − 1 and ``overspend_se`` by (population_size, threshold,
        quantile_level), fractions; the error is NaN where the draws do not reach one sigma beyond the level.
    """
    summary = summarise(ledger, rule, (0.0,), sorted(levels), scenario=scenario)
    overspend, error = summary["quantile_cost"] / summary["budget"] - 1, summary["quantile_cost_se"] / summary["budget"]
    return declared(xr.Dataset({"overspend": overspend, "overspend_se": error}, attrs=summary.attrs), "fan")
