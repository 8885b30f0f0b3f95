"""The fair price of exclusion: what a pool must charge a head to take what a rule removes, and which rule is best.

Every figure is exact. A pool that takes the excess of n people needs its expected value, and more for its own luck:
price = (E + k · sd) / n. Rules can be compared only where they remove the same expected cost.
"""

import math
from collections.abc import Callable

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import optimize

from ... import ledger as books
from ...contracts.exclusion import Cap, ExclusionRule, as_attribute
from ...costs.model import CostModel, head_counts
from ...costs.moments import Exact, Layer, TotalMoments, removed_layers
from ...errors import SimulatorError
from ...scenario import Scenario
from ..checks import check_members
from ..statistics.exact import points_of
from ..statistics.self_check import layers_at

Heads = NDArray[np.int64]

COINSURED_SHARE = 0.8  # share of the excess that the pool pays in the coinsured rule that is compared
BAND_WIDTH = 4.0  # the banded rule removes half from its first step on, and all from so many times as much on


def fair_price(
    scenario: Scenario,
    pool_members: int,
    *,
    k: float = 1.0,
    rule: ExclusionRule = Cap(),  # noqa: B008 - frozen
) -> xr.Dataset:
    """Price a head at which a pool can take what an exclusion rule removes, for each threshold.

    Parameters
    ----------
    scenario : Scenario
        Its population sizes do not matter.
    pool_members : int
        People in the pool, for one year; all of the scenario's case mix.
    k : float
        Standard deviations of the pool's cost that the price adds to its mean.
    rule : exclusion rule
        Swept over the scenario's thresholds unless it fixes its own.

    Returns
    -------
    xarray.Dataset
        By ``threshold``, exact, money a head and year: ``expected_excess_pmpy``, what the rule removes;
        ``sd_excess_pmpy``, the standard deviation of the pool's cost over its people; ``price_pmpy`` = the first plus
        k times the second; and ``loading``, price / expected excess − 1 (NaN where nothing is removed).

    Raises
    ------
    SimulatorError
        For arguments out of range, and where what is removed has an infinite variance.
    """
    model = scenario.cost_model.as_one
    heads, exact = _heads(model, pool_members, k), Exact(model)
    points = points_of(scenario, rule)
    totals = [exact.total(heads, removed_layers(layers_at(scenario, rule, point))) for point in points]
    expected = np.array([float(total.mean[0]) for total in totals]) / pool_members
    sd = np.array([float(total.sd[0]) for total in totals]) / pool_members
    if not np.isfinite(sd).all():
        bound = "removes a cost of infinite variance, which no price covers"
        point = points[int(np.argmin(np.isfinite(sd)))]
        raise SimulatorError("threshold", point, bound, "make every tail index larger than 2")
    price = expected + k * sd
    loading = np.divide(price, expected, out=np.full(price.shape, np.nan), where=expected > 0) - 1
    figures = {"expected_excess_pmpy": expected, "sd_excess_pmpy": sd, "price_pmpy": price, "loading": loading}
    answer = xr.Dataset({name: ("threshold", values) for name, values in figures.items()}, coords={"threshold": points})
    books.describe_threshold(answer, scenario.simulation.thresholds, scenario.currency)
    known = {"pool_members": pool_members, "k": k, "method": "exact"} | as_attribute(rule)
    answer = answer.assign_attrs(known | {"title": scenario.title, "currency": scenario.currency})
    return books.declared(answer, "fair_price", currency=scenario.currency)


def cap_prices(scenario: Scenario) -> xr.Dataset | None:
    """The price of each cap for a pool of the largest population; None without a cap, or where it has no price."""
    if not np.isfinite(scenario.threshold_labels).any():
        return None
    try:
        return fair_price(scenario, scenario.population_sizes[-1])
    except SimulatorError:  # what is removed has an infinite variance
        return None


def _heads(model: CostModel, members: int, k: float) -> Heads:
    check_members(members)
    if not 0 <= k < math.inf:
        raise SimulatorError("k", k, "must be at least 0", "give a number of standard deviations, such as 1.0")
    return np.asarray(head_counts(members, model.shares)[None, :])


ALIKE = 0.01  # how far a rule may miss what it is asked to remove, as a share of it, and still be compared
_CLOSE = 1e-6  # of what is asked: a larger miss is that of a jump
_FIGURES = 3  # of a threshold beside a jump
_STRIDE = 2.0  # by which the logarithm of the highest threshold grows until it removes too little


_Form = Callable[[float], list[tuple[float, float, float]]]  # the layers of a rule with one free amount

_FORMS: dict[str, _Form] = {
    "cap": lambda d: [(d, 1.0, 0.0)],
    "coinsured": lambda d: [(d, COINSURED_SHARE, 0.0)],
    "banded": lambda d: [(d, 0.5, 0.0), (BAND_WIDTH * d, 0.5, 0.0)],
    "carve-out": lambda d: [(d, 0.0, 1.0)],
}


def compare_rules(
    scenario: Scenario,
    members: int,
    *,
    expected_excess_pmpy: float,
    pool_members: int | None = None,
    k: float = 1.0,
) -> xr.Dataset:
    """Exclusion rules that remove the same expected cost, side by side.

    Each rule's threshold is moved until it removes as much as asked, so that the rules differ only in what they do for
    the budget's risk. Of luck a cap leaves the least. Of a common shock it need not: a carve-out takes whole patients
    out of its reach, and so may leave less.

    Parameters
    ----------
    scenario : Scenario
        Its thresholds and sizes do not matter.
    members : int
        People in the population whose budget is protected.
    expected_excess_pmpy : float
        Money a head and year that every rule removes on average.
    pool_members : int, optional
        People in the pool that takes what is removed; the same population without it.
    k : float
        As in `fair_price`.

    Returns
    -------
    xarray.Dataset
        By ``rule`` ("cap", "coinsured" with 80% removed, "banded" with half removed from its threshold and all from
        four times as much on, "carve-out" of whole patients, and each rare service in scope out of it, which removes
        what it costs, not what is asked), exact: ``rule_threshold`` (NaN for a service), ``removed_pmpy``,
        ``sd_retained_pmpy``, ``cv_retained``, ``variance_removed_share``, ``sd_excess_pmpy`` of the pool and
        ``price_pmpy``. A rule that cannot remove as much, to 1% of it, has NaN: a carve-out where costs were observed
        takes one of them whole or not at all.
    """
    model = scenario.cost_model.as_one
    heads, pool = _heads(model, members, k), _heads(model, pool_members or members, k)
    exact = Exact(model)
    gross = exact.total(heads, [])
    most = float(gross.mean[0]) / members
    if not 0 < expected_excess_pmpy < most:
        bound = f"must lie between 0 and the mean cost, {most:,.0f}"
        raise SimulatorError("expected_excess_pmpy", expected_excess_pmpy, bound, "give money per head and year")
    rows = {name: _form_row(exact, form, heads, pool, k, expected_excess_pmpy) for name, form in _FORMS.items()}
    for service in model.population.rare_services:
        if service.in_scope:
            rows[f"{service.name} out of scope"] = _service_row(model, service.name, heads, pool, k)
    names, (threshold, taken, sd, pool_sd, price) = list(rows), np.array(list(rows.values())).T
    with np.errstate(invalid="ignore"):
        removed = 1 - (sd * members / float(gross.sd[0])) ** 2
    figures = {
        "rule_threshold": threshold, "removed_pmpy": taken, "sd_retained_pmpy": sd, "cv_retained": sd / (most - taken),
        "variance_removed_share": removed, "sd_excess_pmpy": pool_sd, "price_pmpy": price,
    }  # fmt: skip
    answer = xr.Dataset({name: ("rule", values) for name, values in figures.items()}, coords={"rule": names})
    known = {"members": members, "pool_members": pool_members or members, "k": k, "method": "exact"}
    answer = answer.assign_attrs(known | {"title": scenario.title, "currency": scenario.currency})
    return books.declared(answer, "rules", currency=scenario.currency)


def _form_row(exact: Exact, form: _Form, heads: Heads, pool: Heads, k: float, wanted: float) -> list[float]:
    streams = len(exact.model.streams)

    def layers(threshold: float) -> list[Layer]:
        return [(np.full(streams, at), excess, whole) for at, excess, whole in form(threshold)]

    def surplus(log_threshold: float) -> float:
        removed = exact.total(heads, removed_layers(layers(math.exp(log_threshold)))).mean[0]
        return float(removed) / float(heads.sum()) - wanted

    low, high = math.log(1e-6), math.log(exact.model.person_isf(1e-6))
    if surplus(low) < 0:
        return [math.nan] * 5
    while surplus(high) > 0:
        high += _STRIDE
    threshold = math.exp(float(optimize.brentq(surplus, low, high, xtol=1e-10)))
    if abs(surplus(math.log(threshold))) > _CLOSE * wanted:
        # a round amount, on the better side, beside a cost that many patients have alike, where what is removed jumps:
        # round, so that it tells of no patient whose cost was observed
        unit = 10.0 ** (math.floor(math.log10(threshold)) - _FIGURES + 1)
        beside = unit * math.floor(threshold / unit), unit * math.ceil(threshold / unit)
        threshold = min(beside, key=lambda at: abs(surplus(math.log(at))))
    if abs(surplus(math.log(threshold))) > ALIKE * wanted:
        return [math.nan] * 5
    taken, retained = exact.total(pool, removed_layers(layers(threshold))), exact.total(heads, layers(threshold))
    return [threshold, *_row(taken, retained, heads, pool, k)]


def _row(taken: TotalMoments, retained: TotalMoments, heads: Heads, pool: Heads, k: float) -> list[float]:
    """Of what a pool takes and of what is retained: the expected part, both spreads and the price, money a head."""
    expected, sd = float(taken.mean[0]) / float(pool.sum()), float(taken.sd[0]) / float(pool.sum())
    return [expected, float(retained.sd[0]) / float(heads.sum()), sd, expected + k * sd]


def _service_row(model: CostModel, name: str, heads: Heads, pool: Heads, k: float) -> list[float]:
    """A rare service out of scope: the others that are out already stay where they are."""
    services = [service for service in model.population.rare_services if service.name == name or service.in_scope]
    moved = tuple(s.model_copy(update={"in_scope": s.name != name}) for s in services)
    exact = Exact(model.model_copy(update={"population": model.population.model_copy(update={"rare_services": moved})}))
    taken, retained = exact.total(pool, [], in_scope=False), exact.total(heads, [])
    return [math.nan, *_row(taken, retained, heads, pool, k)]
