"""A ledger and designs become an outcome: what each party pays, bears and keeps in every replicate."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..base import SimulatorError
from ..engine import kernels
from ..ledger import describe_variable, sweep
from .budget import BySegment, Expectations
from .clearing import Cleared, clear
from .context import Array, Context
from .design import Design
from .exclusion import Cap, CarveOut, ExclusionRule
from .populations import Populations

MONEY_BY_PARTY = {
    "payment": "what the party is paid, positive to it; sums to zero over parties",
    "funding": "money that the party brings from outside",
    "cost_borne": "cost that falls on the party",
    "surplus": "funding + payment − cost_borne",
}
MONEY = {
    "budget": "budget for the cost that the exclusion rule retains",
    "settlement": "what the terms make of budget − retained cost; positive to the provider",
    "system_cost": "gross cost, and cost that the design itself gives rise to",
}
MEMOS = {
    "pool_contributions": "paid into the design's risk pools (opening balance: funding; closing: surplus)",
    "pool_drawdown": "paid out of the design's risk pools",
    "protection_cost": "premium for the excess above its expected value",
}


def settle(ledger: xr.Dataset, designs: Design | Iterable[Design]) -> xr.Dataset:
    """Settle designs on the same draws, so that differences between designs are paired.

    Parameters
    ----------
    ledger : xarray.Dataset
        What `simulate` drew; dims by name, in any order, with ``unit`` or further dims as well.
    designs : Design or iterable of Design

    Returns
    -------
    xarray.Dataset
        ``payment``, ``funding``, ``cost_borne`` and ``surplus`` over (replicate, population_size, design, party), money
        per year, a party absent from a design 0; ``budget``, ``settlement`` and ``system_cost`` without party;
        ``triggered`` (event, population_size, design), a count of replicates; what pools took in and paid out. A rule
        without a threshold of its own is swept, which adds the dim ``threshold``; other designs do not vary along it.

    Raises
    ------
    SimulatorError
        Where there are no designs, two have one name, or one does not fit the ledger.

    Notes
    -----
    Payments sum to zero over parties, and the cost borne to the system's cost, in every replicate.
    """
    chosen = (designs,) if isinstance(designs, Design) else tuple(designs)
    _check_names(chosen)
    table = _Table(ledger, chosen)
    for number, design in enumerate(chosen):
        for place, point in table.points_of(design):
            table.enter(number, place, _Year(table.populations, design, _at(design.exclusion, point)).clear())
    return table.outcome()


def _check_names(designs: Sequence[Design]) -> None:
    names = [design.name for design in designs]
    if not names:
        raise SimulatorError("designs", None, "are none", "add [[designs]] to the scenario")
    for name in names:
        if names.count(name) > 1:
            raise SimulatorError("designs", name, "is the name of two designs", "give each its own name")


def _at(rule: ExclusionRule, point: float | None) -> ExclusionRule:
    """The rule at one point of the grid."""
    return rule if point is None else rule.model_copy(update={"at": point})


# ── one design on one ledger ─────────────────────────────────────────────────────────────────────


class _Year:
    """One contract year of one design, with an exclusion rule at one point of the grid."""

    def __init__(self, populations: Populations, design: Design, rule: ExclusionRule) -> None:
        self.populations, self.design, self.rule = populations, design, rule
        self.cost = populations.retained(rule)
        self.expected_cost = populations.expected_retained(rule)
        self.expected_excess = populations.expected_gross - self.expected_cost

    def clear(self) -> Cleared:
        """Budget, quality and activity of every replicate, and what follows from them."""
        budget = self._budget()
        score, outcomes_met = self._quality()
        met = None if score is None or self.design.quality is None else score >= self.design.quality.standard
        context = Context(
            budget=budget,
            cost=self.cost,
            members=self.populations.members,
            year=self.design.year,
            revenue=None if self.design.revenue is None else self.design.revenue * budget,
            quality=score,
            met_standard=met,
        )
        return clear(
            self.design,
            context,
            expected_cost=self.expected_cost,
            expected_excess=self.expected_excess,
            excess=self.populations.gross - self.cost,
            outcomes_met=outcomes_met,
            activity_change=self._activity_change(),
        )

    def _budget(self) -> Array:
        budget = self.design.budget.evaluate(self._expectations()) * np.ones_like(self.expected_cost)
        if isinstance(self.rule, CarveOut) and not self.rule.keep_capitation:
            threshold, members = self.rule.fixed_thresholds()[0], self.populations.members
            left = members - self.populations.above(threshold)
            budget = budget * left / (members - self.populations.expected_above(threshold))
        return np.asarray(budget)

    def _expectations(self) -> Expectations:
        populations, design = self.populations, self.design
        kind = design.budget.kind
        luck, baseline, sd = np.zeros(1), np.zeros(1), np.zeros(1)
        if kind == "past_years" or not isinstance(design.budget.loading, int | float):
            sd = populations.luck_sd(self.rule)
        if kind == "past_years":
            luck = populations.luck(self.rule) / np.where(sd > 0, sd, 1.0)
            baseline = populations.by_replicate(populations.deviates(kernels.BASELINE, 1)[:, 0])
        segments = kind == "by_segment"
        return Expectations(
            members=populations.members,
            gross=self.expected_cost + self.expected_excess,
            removed=self.expected_excess + self._excess_of_case_mix(),
            sd=sd,
            luck=luck,
            baseline=baseline,
            segment_members=populations.segment_members() if segments else {},
            usual_members=populations.usual_members() if segments else {},
            year=design.year,
        )

    def _excess_of_case_mix(self) -> Array:
        budget = self.design.budget
        if not isinstance(budget, BySegment) or not budget.follows_case_mix:
            return np.zeros(1)
        return self.populations.excess_of_case_mix(self.rule)

    def _quality(self) -> tuple[Array | None, Array | None]:
        quality = self.design.quality
        if quality is None:
            return None, None
        deviates = self.populations.deviates(kernels.QUALITY, quality.draws) if quality.draws else np.zeros((1, 1))
        score = self.populations.by_replicate(quality.score_from(deviates))
        return score, self.populations.by_replicate(quality.all_met(deviates))

    def _activity_change(self) -> dict[str, Array]:
        follows = self.design.follows_patients
        if follows is None:
            return {}
        parties = {party.name: party for party in self.design.parties}
        changes = follows.change(self.populations.deviates(kernels.ACTIVITY, len(follows.providers)), parties)
        return {name: self.populations.by_replicate(change) for name, change in changes.items()}


# ── the outcome ──────────────────────────────────────────────────────────────────────────────────


class _Table:
    """Where the accounts of all designs are entered; party, design and threshold come first for speed."""

    def __init__(self, ledger: xr.Dataset, designs: Sequence[Design]) -> None:
        self.ledger, self.designs = ledger, designs
        self.populations = Populations(ledger)
        self.parties = list(dict.fromkeys(party.name for design in designs for party in design.parties))
        self.swept = any(not design.exclusion.fixed_thresholds() for design in designs)
        self.grid = sweep(ledger, Cap()) if self.swept else [math.nan]
        shape = (len(designs), len(self.grid), *self.populations.gross.shape)
        self.by_party = {name: np.zeros((len(self.parties), *shape)) for name in ("payment", "funding", "cost_borne")}
        self.money = {name: np.zeros(shape) for name in MONEY}
        self.memos: dict[str, Array] = {}
        self.counts: dict[str, Array] = {}

    def points_of(self, design: Design) -> list[tuple[Any, float | None]]:
        """Places along the grid, and the point at which a swept rule is applied there."""
        if design.exclusion.fixed_thresholds():
            return [(slice(None), None)]
        return list(enumerate(self.grid))

    def enter(self, design: int, place: Any, cleared: Cleared) -> None:
        """Enter the accounts of one design at one point."""
        accounts = cleared.accounts
        for party, name in enumerate(self.parties):
            if name in accounts.payment:
                for variable in self.by_party:
                    self.by_party[variable][party, design, place] = getattr(accounts, variable)[name]
        self.money["budget"][design, place] = cleared.budget
        self.money["settlement"][design, place] = cleared.settlement
        self.money["system_cost"][design, place] = self.populations.gross + accounts.own_cost
        for name, amount in accounts.memo.items():
            self.memos.setdefault(name, np.zeros(self.money["budget"].shape))[design, place] = amount
        for event, where in accounts.events.items():
            counts = self.counts.setdefault(
                event, np.zeros((len(self.designs), len(self.grid), *where.shape[1:]), dtype=int)
            )
            counts[design, place] = where.sum(axis=0)

    def outcome(self) -> xr.Dataset:
        """The Dataset, its dims in the order that the documentation gives."""
        payment, funding, cost_borne = (self.by_party[name] for name in ("payment", "funding", "cost_borne"))
        by_party = {**self.by_party, "surplus": funding + payment - cost_borne}
        rows = ("design", "threshold", "replicate", *self.populations.others)
        variables: dict[str, Any] = {name: (("party", *rows), values) for name, values in by_party.items()}
        variables |= {name: (rows, values) for name, values in {**self.money, **self.memos}.items()}
        places = (len(self.designs), len(self.grid), *self.populations.gross.shape[1:])
        counts = np.array(list(self.counts.values()), dtype=int).reshape(-1, *places)
        variables["triggered"] = (("event", "design", "threshold", *self.populations.others), counts)
        outcome = xr.Dataset(variables, coords=self._coordinates(), attrs=self.ledger.attrs)
        outcome.attrs["designs"] = json.dumps([design.model_dump(mode="json") for design in self.designs])
        if not self.swept:
            outcome = outcome.isel(threshold=0, drop=True)
        _describe(outcome, self.ledger.attrs.get("currency", "money"), self.ledger["threshold"].attrs.get("units", ""))
        return outcome.transpose("replicate", *self.populations.others, ..., "design", "party")

    def _coordinates(self) -> dict[str, Any]:
        names = [design.name for design in self.designs]
        own = [design.exclusion.fixed_thresholds()[-1:] or (math.nan,) for design in self.designs]
        kept = {dim: self.ledger[dim] for dim in ("replicate", *self.populations.others) if dim in self.ledger.coords}
        parameters = {"parameter_draw": self.ledger["parameter_draw"]} if "parameter_draw" in self.ledger.coords else {}
        return {
            **kept,
            **parameters,
            "design": names,
            "party": self.parties,
            "threshold": self.ledger["threshold"] if self.swept else self.grid,
            "event": list(self.counts),
            "design_threshold": ("design", [threshold[0] for threshold in own]),
        }


def _describe(outcome: xr.Dataset, currency: str, threshold_unit: str) -> None:
    sentences = {**MONEY_BY_PARTY, **MONEY, **MEMOS}
    for name in sentences.keys() & set(outcome.data_vars):
        describe_variable(outcome[name], f"{currency} per year", sentences[str(name)])
    describe_variable(outcome["triggered"], "replicates", "replicates in which the event occurred")
    describe_variable(outcome["design_threshold"], threshold_unit, "the design's own threshold; NaN where it is swept")
