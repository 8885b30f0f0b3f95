"""The inverse questions: what makes a given population large enough? A threshold, a margin or reserve, a share.

All answers are exact: they come from the law of the retained cost, without draws.
"""

import math

import numpy as np
import xarray as xr

from ... import ledger as books
from ... import runs
from ...contracts.budget import PerHead
from ...contracts.exclusion import Banded, Cap, ExclusionRule, as_attribute
from ...deprecated import old_keywords
from ...errors import SimulatorError
from ...scenario import Scenario
from ...terms import Array
from ..checks import check_fraction, check_members
from ..statistics.exact import doubt_of, exact
from .exact_minimum import Asked
from .targets import target_of

_SCAN = 13
_STEPS = 9
_HIGHEST = 1e-7  # share of people above the highest threshold that is tried


@old_keywords(budget=PerHead)
def viable_threshold(
    scenario: Scenario,
    members: int,
    statistic: str = "p_overspend",
    *,
    at_most: float,
    margin: float | None = None,
    quantile_level: float | None = None,
    rule: ExclusionRule = Cap(),  # noqa: B008 - frozen
    budget: PerHead = PerHead(),  # noqa: B008 - frozen
) -> float:
    """Largest threshold that makes a population of this size meet a target, as does every lower one that was tried.

    Parameters
    ----------
    scenario : Scenario
        Its thresholds do not matter.
    members : int
        People.
    statistic, at_most, margin, quantile_level, budget
        As in `minimum_population`.
    rule : Cap, Coinsure or CarveOut
        Without a threshold of its own.

    Returns
    -------
    float
        Money per year, to 0.5%; infinity where no exclusion is needed, 0 where no threshold is low enough.

    Raises
    ------
    SimulatorError
        For arguments out of range, `p_loss`, or a rule that fixes its thresholds.
    """
    target = target_of(statistic, at_most, margin=margin, quantile_level=quantile_level)
    if target.of.of_party:
        raise SimulatorError("statistic", statistic, "settles a design, whose threshold is its own", "choose another")
    if isinstance(rule, Banded) or rule.fixed_thresholds():
        raise SimulatorError("rule", rule.kind, "fixes its thresholds", "give one without `at`")
    check_members(members)

    def meets(threshold: float) -> bool:
        asked = Asked(scenario.resized((members,), thresholds=(threshold,), cut=None), target, rule, budget)
        return bool(asked.statistic(threshold, np.array([members]))[0] <= at_most)

    truths = scenario.cost_model.truths
    finite = all(stream.severity.tail_index > 2 for truth in truths for stream in truth.streams)
    if finite and meets(math.inf) and meets(float(_thresholds(scenario)[-1])):
        return math.inf
    low = 0.0
    for high in _thresholds(scenario).tolist():
        if not meets(high):
            break
        low = high
    else:
        return low
    for _ in range(_STEPS if low else 0):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if meets(middle) else (low, middle)
    return low


def _thresholds(scenario: Scenario) -> Array:
    """From a cost that one person in ten exceeds to one that hardly anybody does."""
    model = scenario.cost_model
    low = model.person_isf(min(0.1, 0.9 * model.person_sf(0.0)))
    high = max(model.person_isf(_HIGHEST), low * 1.01)
    return np.geomspace(low, high, _SCAN)


@old_keywords(budget=PerHead)
def viable_terms(
    scenario: Scenario,
    members: int,
    *,
    at_most: float = 0.05,
    loss_over: float = 0.02,
    revenue: float = 1.0,
    rule: ExclusionRule = Cap(),  # noqa: B008 - frozen
    budget: PerHead = PerHead(),  # noqa: B008 - frozen
) -> xr.Dataset:
    """The margin, the reserve and the provider's share that make a given population viable.

    Parameters
    ----------
    scenario : Scenario
    members : int
        People.
    at_most : float
        Largest accepted chance of an overspend above the margin, or of a loss above `loss_over`.
    loss_over : float
        Loss that the provider can bear, as a share of its revenue.
    revenue : float
        The provider's revenue as a share of the budget.
    rule, budget
        As in `summarise`.

    Returns
    -------
    xarray.Dataset
        By ``threshold``, exact: ``margin``, the smallest m with P(retained > (1 + m) × budget) ≤ `at_most`, a fraction;
        ``reserve`` and ``reserve_pmpy``, the same in money per year, in all and a head, 0 where the margin is negative;
        ``provider_share``, the largest share of the overspend whose loss stays within `loss_over`, 0 to 1.

    Examples
    --------
    Where one year in twenty is 8% over, a provider who can lose 2% of a revenue as large as the budget can bear a
    quarter of the overspend: 0.02 / 0.08.
    """
    check_members(members)
    check_fraction("at_most", at_most)
    for name, value in (("loss_over", loss_over), ("revenue", revenue)):
        if not 0 < value < math.inf:
            raise SimulatorError(name, value, "must be above 0", "give a fraction such as 0.02")
    asked = scenario.resized((members,))
    answer = exact(asked, rule, (0.0,), (1 - at_most,), budget=budget)
    cell = answer.isel(population_size=0)
    margin = cell["quantile_cost"].isel(quantile_level=0) / cell["budget"] - 1
    reserve = np.maximum(margin, 0.0) * cell["budget"]
    share = (loss_over * revenue / margin.where(margin > 0)).clip(max=1.0).fillna(1.0)
    made = xr.Dataset(
        {"margin": margin, "reserve": reserve, "reserve_pmpy": reserve / members, "provider_share": share}
    )
    made = made.drop_vars(["population_size", "quantile_level"], errors="ignore")
    known = {"members": members, "at_most": at_most, "loss_over": loss_over, "revenue": revenue}
    made = made.assign_attrs(known | as_attribute(rule) | runs.exact_origin(scenario) | doubt_of(answer))
    return books.declared(made, "viable_terms", currency=scenario.currency, at_most=at_most, loss_over=loss_over)
