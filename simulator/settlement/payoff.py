"""The payoff of a design: what each party has left when cost is a given share of the budget. No simulation."""

import math
from collections.abc import Iterable
from importlib import metadata
from typing import NamedTuple

import numpy as np
import xarray as xr

from ..contracts.budget import Expectations, PerHead, Waterfall
from ..contracts.context import Array
from ..contracts.design import Design
from ..contracts.exclusion import ExclusionRule
from ..errors import SimulatorError
from ..ledger import declared
from ..runs import exact_origin
from ..scenario import Scenario
from .bends import nodes
from .populations import Populations
from .year import ContractYear

BETWEEN = (0.90, 1.10)  # cost as a share of the budget, where nothing else is asked: most years of most contracts

_STEP = 0.01

EXPECTED = (
    "as expected: the budget, the case mix, the excess, the attainment of every quality measure and every provider's "
    "share of the activity"
)
"""What a payoff holds at its expected value, since it depends on more than the retained cost."""


def payoff(
    designs: Design | Iterable[Design],
    ratios: Iterable[float] | None = None,
    *,
    between: tuple[float, float] = BETWEEN,
    scenario: Scenario | None = None,
    members: int | None = None,
    capitation: float = 1_000.0,
    score: float | None = None,
) -> xr.Dataset:
    """Each party's surplus against cost / budget: what `settle` gives to a replicate that costs so much.

    Whatever depends on more than the retained cost is as expected: a budget that moves with luck or with the case mix,
    the excess, every quality measure at its expected attainment, and every provider's share of the activity.

    Parameters
    ----------
    designs : Design or iterable of Design
    ratios : iterable of float, optional
        Retained cost as a share of the budget: these and no others. Without it whole per cents, and every ratio at
        which a payoff has a kink or a jump, so that straight lines between the points are the payoff itself; at a jump
        there are two ratios close to each other, one for either side.
    between : (float, float)
        The least and the greatest ratio where `ratios` are not given.
    scenario : Scenario, optional
        What cost is expected, and what the exclusion rule is expected to remove. Without it the expected cost is the
        one that the design's budget is made for, nothing is excluded, and a loading by standard errors is 0.
    members : int, optional
        People; without it the scenario's largest population, or 100,000 where there is none.
    capitation : float
        Expected cost, money per member per year, where there is neither scenario nor an amount in the budget.
    score : float, optional
        Quality score from 0 to 1, in the place of the expected one.

    Returns
    -------
    xarray.Dataset
        ``payment``, ``funding``, ``cost_borne``, ``surplus`` over (cost_ratio, design, party), ``settlement`` and
        ``own_cost`` over (cost_ratio, design), money per year; ``budget`` over (design). As in `settle`, ``own_cost``
        arises besides the retained cost: with it the surpluses add up to what is funded less the retained cost and the
        excess. It is below 0 where part of a party's cost is fixed and activity is above its plan.

    Raises
    ------
    SimulatorError
        Where there are no designs, `between` has no room, or another number of people is asked of a scenario with
        units.

    Examples
    --------
    Half of a saving of 2% or more is paid: nothing up to 98% of the budget.

    >>> import simulator as sim
    >>> gate = {"kind": "minimum_rate", "rate": 0.02}
    >>> half = sim.Design(name="half", terms=(gate, {"kind": "share", "gain": 0.5, "loss": 0.5}))
    >>> curve = sim.payoff(half, members=1, capitation=100.0)["settlement"].squeeze("design")
    >>> [round(float(paid), 4) for paid in curve.interp(cost_ratio=[0.97, 0.98, 0.985, 0.99])]
    [1.5, 1.0, 0.0, 0.0]
    """
    chosen = (designs,) if isinstance(designs, Design) else tuple(designs)
    if not chosen:
        raise SimulatorError("designs", None, "none are given", "give at least one design")
    people = _members_of(scenario, members)
    payoffs = [_Payoff(design, people, scenario, capitation, score) for design in chosen]
    points = _points(payoffs, between) if ratios is None else np.asarray(list(ratios), dtype=float)
    parts = [one.at(points) for one in payoffs]
    together = xr.concat(parts, dim="design", join="outer", fill_value=0.0)
    currency = "money" if scenario is None else scenario.currency
    known = {"expected": EXPECTED, "members": people, "method": "exact"}
    known |= {"simulator_version": metadata.version("capitation-risk")}
    together.attrs = known if scenario is None else known | exact_origin(scenario)
    return declared(together.transpose("cost_ratio", "design", "party"), "payoff", currency=currency)


class _Payoff:
    """One design, its budget, and what is settled at any cost."""

    def __init__(
        self, design: Design, members: int, scenario: Scenario | None, capitation: float, score: float | None
    ) -> None:
        nominal = _nominal(design, capitation)
        typical = _Typical(1, members, scenario, nominal.cost * members)
        self.design, self.score = design, score
        self.year = ContractYear(typical, design, design.exclusion.at_point(math.inf))
        if scenario is not None:
            self.budget = self.year.budget()
            return
        people, nothing = np.full((1, 1), float(members)), np.zeros((1, 1))
        known = Expectations(people, gross=nothing, removed=nothing, year=design.year)
        self.budget = design.budget.adjust(np.full((1, 1), nominal.estimate * members), known)

    def at(self, ratios: Array) -> xr.Dataset:
        """What each party has at each ratio."""
        cleared = self.year.clear_at(ratios[:, None] * self.budget, self.budget, self.score)
        accounts, parties = cleared.accounts, list(cleared.accounts.payment)

        def of_all(values: Array) -> Array:
            return np.broadcast_to(values, (ratios.size, 1))[:, 0]

        found = xr.Dataset(coords={"cost_ratio": ratios, "party": parties, "design": self.design.name})
        for name in ("payment", "funding", "cost_borne"):
            found[name] = ("party", "cost_ratio"), np.stack([of_all(getattr(accounts, name)[who]) for who in parties])
        found["surplus"] = found["funding"] + found["payment"] - found["cost_borne"]
        found["settlement"] = "cost_ratio", of_all(cleared.settlement)
        found["own_cost"] = "cost_ratio", of_all(accounts.own_cost)
        found["budget"] = float(np.ravel(self.budget)[0])
        return found

    def shares(self, ratios: Array) -> Array:
        """Surplus of each party, settlement and own cost, shares of the budget; (ratio, figure)."""
        one = self.at(ratios)
        surplus = one["surplus"].transpose("cost_ratio", "party").values
        money = np.column_stack([surplus, one["settlement"].values, one["own_cost"].values])
        return money / float(np.ravel(self.budget)[0])


def _points(payoffs: Iterable[_Payoff], between: tuple[float, float]) -> Array:
    """Whole per cents, both ends, and the kinks and jumps of every payoff."""
    low, high = (float(end) for end in between)
    if not 0 < low < high < math.inf:
        raise SimulatorError("between", between, "must rise from above 0", "give two ratios, such as 0.9 and 1.1")
    whole = np.round(np.arange(math.ceil(low / _STEP - 1e-9), math.floor(high / _STEP + 1e-9) + 1) * _STEP, 2)
    bends = [nodes(one.shares, low, high) for one in payoffs]
    return np.unique(np.concatenate([[low, high], whole, *bends]))


class _Typical(Populations):
    """One population of so many members, with what is expected in the place of what is drawn.

    It is looked at at so many costs (`points`), in the place of replicates. Without a scenario, `cost` is the expected
    cost, money per year, and nothing is excluded.
    """

    def __init__(self, points: int, members: int, scenario: Scenario | None, cost: float = 0.0) -> None:
        self.scenario, self._cost = scenario, np.full((1, 1), cost)
        coordinates = {"replicate": np.arange(points), "population_size": [members]}
        if scenario is not None:
            coordinates["segment"] = [segment.name for segment in scenario.population.segments]
        dims = ("replicate", "population_size")
        super().__init__(xr.Dataset({"gross_cost": (dims, np.zeros((points, 1)))}, coords=coordinates))

    @property
    def expected_gross(self) -> Array:
        return self._cost if self.scenario is None else self._over_sets(self.means_by_set(None))

    def expected_retained(self, rule: ExclusionRule) -> Array:
        """Expected cost that the rule keeps; a rule without a threshold of its own excludes nobody."""
        if self.scenario is None or rule.excludes_nobody or not rule.fixed_thresholds():
            return self.expected_gross
        return self._over_sets(self.means_by_set(rule))

    def luck_sd(self, rule: ExclusionRule) -> Array:
        """Standard deviation of the cost that the rule keeps; 0 where there is no scenario to tell it."""
        return np.zeros(1) if self.scenario is None else self._over_sets(self._sds_by_set(rule))

    # no set is that of the truth here: the mean over them stands for it

    def _of_truth(self, by_set: Array) -> Array:
        return self._over_sets(by_set)

    # what was drawn elsewhere

    def retained(self, rule: ExclusionRule) -> Array:
        return self.expected_retained(rule)

    def excess(self, rule: ExclusionRule) -> Array:
        return self.expected_gross - self.expected_retained(rule)

    def luck(self, rule: ExclusionRule) -> Array:
        return np.zeros(1)

    def above(self, threshold: float) -> Array:
        return self.expected_above(threshold)

    def segment_members(self) -> dict[str, Array]:
        return self.usual_members()

    def excess_of_case_mix(self, rule: ExclusionRule) -> Array:
        return np.zeros(1)

    def deviates(self, purpose: int, count: int) -> Array:
        """Zeros: every measure at its expected attainment, and nobody's share of the activity changed."""
        return np.zeros((1, count))


def _members_of(scenario: Scenario | None, asked: int | None) -> int:
    """People for whom a payoff is told: those asked for, else the scenario's largest population."""
    if scenario is None:
        return 100_000 if asked is None else asked
    largest = scenario.population_sizes[-1]
    if scenario.population.units and asked not in (None, largest):
        raise SimulatorError("members", asked, f"must be {largest}, the people of all units", "omit it")
    return largest if asked is None else asked


class _Nominal(NamedTuple):
    """Money per member per year."""

    estimate: float  # what the budget is made from, before discount, trend and loading
    cost: float  # what is expected to be spent


def _nominal(design: Design, capitation: float) -> _Nominal:
    budget = design.budget
    if isinstance(budget, Waterfall):
        return _Nominal((budget.payment + budget.transition) / budget.members, budget.provider_budget / budget.members)
    if isinstance(budget, PerHead) and budget.amount is not None:
        amount = budget.in_year(budget.amount, design.year)
        return _Nominal(amount, amount * (1.0 + budget.trend) ** budget.trend_years)
    return _Nominal(capitation, capitation)
