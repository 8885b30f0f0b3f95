"""The payoff of a design: what each party has left when cost is a given share of the budget. Nothing is drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import NamedTuple

import numpy as np
import xarray as xr

from ..base import SimulatorError
from ..ledger import describe_variable
from ..runs import exact_origin
from ..scenario import Scenario
from .budget import Expectations, PerHead, Waterfall
from .clearing import Cleared
from .context import Array
from .design import Design
from .exclusion import ExclusionRule
from .typical import Typical, members_of
from .year import ContractYear

RATIOS = tuple(round(0.70 + 0.01 * step, 2) for step in range(61))
"""Cost as a share of the budget, 0.70 to 1.30."""

EXPECTED = (
    "as expected: the budget, the case mix, the excess, the attainment of every quality measure and every provider's "
    "share of the activity"
)
"""What a payoff holds at its expected value, since it depends on more than the retained cost."""


def payoff(
    designs: Design | Iterable[Design],
    ratios: Iterable[float] = RATIOS,
    *,
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
    ratios : iterable of float
        Retained cost as a share of the budget.
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
        Where there are no designs, or another number of people is asked of a scenario with units.
    """
    chosen = (designs,) if isinstance(designs, Design) else tuple(designs)
    if not chosen:
        raise SimulatorError("designs", None, "are none", "give at least one design")
    points, people = np.asarray(list(ratios), dtype=float), members_of(scenario, members)
    parts = [_one(design, points, people, scenario, capitation, score) for design in chosen]
    together = xr.concat(parts, dim="design", join="outer", fill_value=0.0)
    currency = "money" if scenario is None else scenario.currency
    for name in together.data_vars:
        describe_variable(together[name], f"{currency} per year", f"{name}, all but the retained cost as expected")
    known: Mapping[str, str | int | float] = {
        "method": "exact", "simulator_version": metadata.version("capitation-risk"),
    }  # fmt: skip
    known = known if scenario is None else exact_origin(scenario)
    together.attrs = {"expected": EXPECTED, "members": people, **known}
    return together.transpose("cost_ratio", "design", "party")


def _one(
    design: Design, points: Array, members: int, scenario: Scenario | None, capitation: float, score: float | None
) -> xr.Dataset:
    nominal = _nominal(design, capitation)
    typical = Typical(points.size, members, scenario, nominal.cost * members)
    year = ContractYear(typical, design, _unswept(design.exclusion))
    budget = year.budget() if scenario else _adjusted(design, nominal.estimate * members, members)
    cleared = year.clear_at(points[:, None] * budget, budget, score)
    return _as_dataset(cleared, design.name, points, float(np.ravel(budget)[0]))


def _as_dataset(cleared: Cleared, name: str, points: Array, budget: float) -> xr.Dataset:
    accounts = cleared.accounts
    parties = list(accounts.payment)
    shape = (points.size, 1)
    money = {
        variable: (
            ("party", "cost_ratio"),
            np.stack([np.broadcast_to(getattr(accounts, variable)[party], shape)[:, 0] for party in parties]),
        )
        for variable in ("payment", "funding", "cost_borne")
    }
    dataset = xr.Dataset(money, coords={"cost_ratio": points, "party": parties, "design": name})
    dataset["surplus"] = dataset["funding"] + dataset["payment"] - dataset["cost_borne"]
    dataset["settlement"] = "cost_ratio", np.broadcast_to(cleared.settlement, shape)[:, 0]
    dataset["own_cost"] = "cost_ratio", np.broadcast_to(accounts.own_cost, shape)[:, 0]
    dataset["budget"] = budget
    return dataset


def _unswept(rule: ExclusionRule) -> ExclusionRule:
    """The rule, at no exclusion where it has no threshold of its own."""
    return rule if rule.fixed_thresholds() else rule.model_copy(update={"at": math.inf})


# ── without a scenario ───────────────────────────────────────────────────────────────────────────


class _Nominal(NamedTuple):
    """Money per member per year."""

    estimate: float
    """What the budget is made from, before discount, trend and loading."""
    cost: float
    """What is expected to be spent."""


def _nominal(design: Design, capitation: float) -> _Nominal:
    budget = design.budget
    if isinstance(budget, Waterfall):
        return _Nominal((budget.payment + budget.transition) / budget.members, budget.provider_budget / budget.members)
    if isinstance(budget, PerHead) and budget.amount is not None:
        return _Nominal(budget.amount, budget.amount * (1.0 + budget.trend) ** budget.trend_years)
    return _Nominal(capitation, capitation)


def _adjusted(design: Design, estimate: float, members: int) -> Array:
    nothing = np.zeros((1, 1))
    known = Expectations(
        members=np.full((1, 1), float(members)), gross=nothing, removed=nothing, sd=nothing, luck=nothing,
        baseline=nothing, year=design.year,
    )  # fmt: skip
    return design.budget.adjust(np.full((1, 1), estimate), known)
