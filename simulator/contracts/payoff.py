"""The payoff of a design: what each party has left when cost is a given share of the budget. Nothing is drawn."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata

import numpy as np
import xarray as xr

from ..base import SimulatorError
from ..ledger import describe_variable
from .budget import PerHead, Waterfall
from .clearing import Cleared, clear
from .context import Array, Context
from .design import Design

RATIOS = tuple(round(0.70 + 0.01 * step, 2) for step in range(61))
"""Cost as a share of the budget, 0.70 to 1.30."""


def payoff(
    designs: Design | Iterable[Design],
    ratios: Iterable[float] = RATIOS,
    *,
    members: int = 100_000,
    capitation: float = 1_000.0,
    score: float | None = None,
) -> xr.Dataset:
    """Each party's surplus against cost / budget, at expected quality and activity.

    Parameters
    ----------
    designs : Design or iterable of Design
    ratios : iterable of float
        Retained cost as a share of the budget.
    members : int
        People, for size-based rates.
    capitation : float
        Money per member per year, where the design's budget names no amount.
    score : float, optional
        Quality score from 0 to 1, in the place of the expected one.

    Returns
    -------
    xarray.Dataset
        ``payment``, ``funding``, ``cost_borne``, ``surplus`` over (cost_ratio, design, party), ``settlement`` over
        (cost_ratio, design), money per year; ``budget`` over (design).
    """
    chosen = (designs,) if isinstance(designs, Design) else tuple(designs)
    if not chosen:
        raise SimulatorError("designs", None, "are none", "give at least one design")
    points = np.asarray(list(ratios), dtype=float)
    parts = [_one(design, points, members, capitation, score) for design in chosen]
    together = xr.concat(parts, dim="design", join="outer", fill_value=0.0)
    for name in together.data_vars:
        describe_variable(together[name], "money per year", f"{name} at expected quality and activity")
    known = {"method": "exact", "simulator_version": metadata.version("capitation-risk")}
    return together.transpose("cost_ratio", "design", "party").assign_attrs(known)


def _one(design: Design, points: Array, members: int, capitation: float, score: float | None) -> xr.Dataset:
    budget = _reference(design, capitation) * members
    cleared = _at_ratios(design, points, budget, members, score)
    accounts = cleared.accounts
    parties = list(accounts.payment)
    money = {
        name: (("party", "cost_ratio"), np.stack([getattr(accounts, name)[party] for party in parties]))
        for name in ("payment", "funding", "cost_borne")
    }
    dataset = xr.Dataset(money, coords={"cost_ratio": points, "party": parties, "design": design.name})
    dataset["surplus"] = dataset["funding"] + dataset["payment"] - dataset["cost_borne"]
    dataset["settlement"] = "cost_ratio", cleared.settlement
    dataset["budget"] = budget
    return dataset


def _at_ratios(design: Design, points: Array, budget: float, members: int, score: float | None) -> Cleared:
    budgets = np.full(points.shape, budget)
    quality, met, all_met = _expected_quality(design, score)
    context = Context(
        budget=budgets,
        cost=points * budget,
        members=np.full(points.shape, float(members)),
        year=design.year,
        revenue=None if design.revenue is None else design.revenue * budgets,
        quality=quality,
        met_standard=met,
    )
    return clear(design, context, expected_cost=budgets, outcomes_met=all_met)


def _reference(design: Design, capitation: float) -> float:
    """Money per member per year that the budget names, else `capitation`."""
    if isinstance(design.budget, PerHead) and design.budget.amount is not None:
        return design.budget.amount
    if isinstance(design.budget, Waterfall):
        return design.budget.payment / design.budget.members
    return capitation


def _expected_quality(design: Design, score: float | None) -> tuple[Array | None, Array | None, Array | None]:
    if design.quality is None:
        return None, None, None
    usual = np.zeros(max(design.quality.draws, 1))
    quality = np.asarray(design.quality.score_from(usual) if score is None else score)
    all_met = design.quality.all_met(usual) if score is None else quality >= 1.0
    return quality, np.asarray(quality >= design.quality.standard), np.asarray(all_met)
