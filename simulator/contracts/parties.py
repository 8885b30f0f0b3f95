"""Who takes part: what each party brings, delivers and shares, and how a settlement is divided among them."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ..errors import mistake
from ..terms import Fraction, Name, NonNegative, Term, names_differ
from .accounts import Accounts
from .context import Array, Basis


class Party(Term):
    """One party of a design; shares are fractions that add to 1 over the parties."""

    name: Name
    funds: Fraction = 0.0
    """Its part of the money that comes from outside."""
    delivers: Fraction = 0.0
    """Its part of the retained cost, as a deliverer of care."""
    gain_share: Fraction | None = None
    """Its part of a positive settlement, where the split is fixed."""
    loss_share: Fraction | None = None
    """Its part of a negative settlement, where the split is fixed; without it the same as `gain_share`."""
    influence: NonNegative | None = None
    """Weight of its influence on the cost, where the split follows influence."""
    contract_value: NonNegative | None = None
    """Its contract's part of the budget, where the split or an outcomes payment follows it; else what it delivers."""
    gain_limit: NonNegative | None = None
    """Greatest gain from the settlement, as a share of the budget."""
    loss_limit: NonNegative | None = None
    """Greatest loss from the settlement, as a share of the budget."""
    variable_share: Fraction = 1.0
    """How much of a deviation in its activity is cash within the year; the rest is stranded."""

    @property
    def weight_by_budget(self) -> float:
        return self.delivers if self.contract_value is None else self.contract_value

    @property
    def partakes(self) -> bool:
        """Whether the settlement may be divided to it at all."""
        return bool(self.delivers or self.gain_share or self.loss_share or self.influence or self.contract_value)


SplitName = Literal["fixed", "by_budget", "equal", "by_influence", "waterfall"]

TWO_PARTIES = (Party(name="provider", delivers=1.0), Party(name="payer", funds=1.0))
"""The parties of a design that names none."""


def weights(parties: Sequence[Party], split: SplitName, gain: bool) -> dict[str, float]:
    """Each partner's part of a settlement, adding to 1; in a waterfall every partner has weight 1, in order."""
    partners = [party for party in parties if party.partakes]
    match split:
        case "fixed":
            raw = {p.name: (p.gain_share if gain or p.loss_share is None else p.loss_share) or 0.0 for p in partners}
        case "by_budget":
            raw = {p.name: p.weight_by_budget for p in partners}
        case "by_influence":
            raw = {p.name: p.influence or 0.0 for p in partners}
        case _:
            raw = {p.name: 1.0 for p in partners}
    total = 1.0 if split == "waterfall" else sum(raw.values())
    return {name: weight / total for name, weight in raw.items() if weight} if total else {}


def divide(
    settlement: Array, budget: Array, parties: Sequence[Party], split: SplitName
) -> tuple[dict[str, Array], Array]:
    """Divide a settlement among the partners."""
    gains, losses = weights(parties, split, gain=True), weights(parties, split, gain=False)
    left = np.asarray(settlement, dtype=float)
    parts: dict[str, Array] = {}
    for party in parties:
        if party.name not in gains and party.name not in losses:
            continue
        claim = left
        if split != "waterfall":
            gain, loss = gains.get(party.name, 0.0), losses.get(party.name, 0.0)
            claim = gain * settlement if gain == loss else np.where(settlement > 0, gain, loss) * settlement
        if party.gain_limit is not None:
            claim = np.minimum(claim, party.gain_limit * budget)
        if party.loss_limit is not None:
            claim = np.maximum(claim, -party.loss_limit * budget)
        parts[party.name] = claim
        if split == "waterfall":
            left = left - claim
    if all(party.gain_limit is None and party.loss_limit is None for party in parties):
        return parts, np.zeros(np.shape(settlement), dtype=bool)
    return parts, np.asarray(np.abs(settlement - sum(parts.values())) > 1e-9 * np.abs(budget))


class Protection(Term):
    """Who pays the excess that the exclusion rule removes, and for what premium.

    The funders hand over the expected excess; `loading` is added by whom `premium_from` names.
    """

    payer: Name
    """The party that bears the excess: an external pool, a commissioner, a reinsurer."""
    premium_from: str | None = None
    """The party that buys the protection; without it those who fund."""
    loading: NonNegative = 0.0
    """Added to the expected excess, as a fraction of it."""
    basis: Basis = "prospective"
    """Whether the rule is agreed before the year, or costs are taken out after it; a label."""

    def settle(self, accounts: Accounts, funders: dict[str, float], expected: Array, excess: Array) -> None:
        """Let the premium pass, and the excess fall on its payer."""
        premium = (1.0 + self.loading) * expected
        if self.premium_from is None:
            accounts.pay(funders, self.payer, premium)
        else:
            accounts.pay(funders, self.premium_from, expected)
            accounts.pay({self.premium_from: 1.0}, self.payer, premium)
        accounts.bear(self.payer, excess)
        from_itself = funders.get(self.payer, 0.0) if self.premium_from is None else 0.0
        accounts.remember("protection_cost", (1.0 - from_itself) * self.loading * expected)


def mistakes_of(parties: Sequence[Party], split: SplitName, by_service: bool = False) -> Any:
    """Sentences for parties that do not fit together; with `by_service` what they fund and deliver follows services."""
    yield from names_differ(parties)
    if not by_service:
        yield from _of_total("funds", [party.funds for party in parties], "the money from outside")
        yield from _of_total("delivers", [party.delivers for party in parties], "the retained cost")
    for field, wanted in _DIVIDED_BY.items():
        if split != wanted and any(getattr(party, field) is not None for party in parties):
            bound = f"have {field} beside split = {split!r}: both would divide the settlement"
            yield mistake(bound, f"leave it out, or give split = {wanted!r}")
    if split == "fixed":
        yield from _of_total("gain_shares", [party.gain_share or 0.0 for party in parties], "the settlement")
        if any(party.loss_share is not None for party in parties):
            losses = [party.gain_share if party.loss_share is None else party.loss_share for party in parties]
            yield from _of_total("loss_shares", [share or 0.0 for share in losses], "the settlement")
    if split == "by_influence" and not sum(party.influence or 0.0 for party in parties):
        yield mistake("have no influence to divide by", "give at least one party an influence, or another split")
    if split == "by_budget" and not by_service and not sum(party.weight_by_budget for party in parties):
        mend = "give at least one party a contract_value, or another split"
        yield mistake("have no contract_value to divide by", mend)


_DIVIDED_BY: dict[str, SplitName] = {"gain_share": "fixed", "loss_share": "fixed", "influence": "by_influence"}
"""Figures that say how to divide, and the split that goes by them."""


def _of_total(name: str, shares: Sequence[float], what: str) -> Any:
    if abs(sum(shares) - 1.0) > 1e-6:
        yield mistake(f"have {name} that add to {sum(shares):g}, not to 1", f"divide {what} wholly among the parties")
