"""Payments between parties besides the settlement: pools, patients who move, fees and outcomes; the union last.

Each transfer moves money by `Accounts.pay`, so no transfer can create or lose any.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ..errors import Contradiction, mistake
from ..terms import Fraction, Name, NonNegative, Number, Positive
from .accounts import Accounts
from .context import Array, ByAnyYear, Context, Mitigation, Step
from .parties import Party

PartyName = Name


@dataclass(frozen=True)
class Scene:
    """What a transfer may look at."""

    context: Context
    parties: Mapping[str, Party]
    funders: dict[str, float]  # shares of those who fund
    expected_cost: Array  # expected retained cost, money per year
    outcomes_met: Array | None = None  # whether every quality measure of every partner is met
    activity_change: Mapping[str, Array] = field(default_factory=dict)
    """Change of each provider's part of the activity against plan, as a fraction of the whole; sums to 0."""
    brought: Mapping[str, Array] = field(default_factory=dict)
    """Balances of pools that carry over from the year before, money; none in a first year."""


class TransferStep(Step):
    """A step that moves money between parties."""

    named: ClassVar[tuple[str, ...]]
    """The fields that name parties."""
    watched: ClassVar[tuple[str, ...]] = ()
    """Those of them whose surplus decides what is paid."""

    @property
    def line(self) -> str:
        """What it is called in the parties' accounts."""
        return str(getattr(self, "name", "") or getattr(self, "kind", "")).replace("_", " ")

    def apply(self, accounts: Accounts, scene: Scene) -> None:
        """The payments."""
        raise NotImplementedError

    def parties_needed(self) -> tuple[str, ...]:
        return self._names(self.named)

    def parties_watched(self) -> tuple[str, ...]:
        """Names of those whose surplus decides what is paid."""
        return self._names(self.watched)

    def _names(self, fields: tuple[str, ...]) -> tuple[str, ...]:
        found = (getattr(self, field) for field in fields)
        return tuple(name for names in found for name in ([names] if isinstance(names, str) else names))


class RiskPool(TransferStep, Mitigation):
    """A ring-fenced pool: an opening balance, contributions, drawdown for deficits while it lasts, closing balance.

    The pool is a party. Its surplus is its closing balance; of several years that carry over, their sum is.
    """

    kind: Literal["risk_pool"] = "risk_pool"
    named = ("pool", "contributions", "protects", "owners")
    watched = ("pool", "protects")
    pool: PartyName
    """The party that is the pool."""
    opening: NonNegative = 0.0
    """Balance that it opens with, as a share of the budget: its owners' money, else from outside."""
    contributions: dict[str, NonNegative] = Field(default_factory=dict)
    """What each party pays in, as a share of the budget."""
    from_gains: Fraction = 0.0
    """Share of the protected parties' gains that is paid in as well."""
    protects: Annotated[tuple[PartyName, ...], Field(min_length=1)]
    """Parties whose deficit the pool meets, in proportion where it cannot meet them all."""
    covers: Fraction = 1.0
    """Share of a deficit that the pool meets."""
    carries: bool = False
    """Whether the closing balance opens the next contract year; else each year opens anew."""
    interest: NonNegative = 0.0
    """Interest on the balance that is carried, a year, from outside."""
    target: NonNegative | None = None
    """Balance at which contributions stop, as a share of the budget."""
    cap: NonNegative | None = None
    """Greatest closing balance, as a share of the budget; what is above goes back to those who contribute."""
    owners: dict[str, Fraction] = Field(default_factory=dict)
    """Parts of the balance that are parties' own, adding to 1: they open the pool, and what is left comes back."""
    event: ClassVar[str] = "pool_exhausted"

    def _contradictions(self) -> Iterator[Contradiction]:
        if self.interest and not self.carries:
            yield ("interest",), mistake("is earned by no balance that is carried", "add carries = true")
        if self.target is not None and self.cap is not None and self.cap < self.target:
            yield (
                ("cap",),
                mistake(f"{self.cap:g} lies below the target {self.target:g}", "the cap is the higher of the two"),
            )
        if self.owners and abs(sum(self.owners.values()) - 1.0) > 1e-6:
            bound = f"has owners with shares that add to {sum(self.owners.values()):g}, not to 1"
            yield ("owners",), mistake(bound, "divide the balance wholly among them")
        if self.owners and self.carries:
            yield ("owners",), mistake("are given what the pool carries over", "omit carries = true, or the owners")

    def apply(self, accounts: Accounts, scene: Scene) -> None:
        """Deficits are those before contributions; what the pool pays never exceeds what it holds."""
        budget, brought = scene.context.budget, scene.brought.get(self.pool)
        standing = {name: accounts.surplus(name) for name in self.protects}
        if self.owners:
            accounts.pay(self.owners, self.pool, self.opening * budget)
        else:
            accounts.fund(self.pool, self.opening * budget if brought is None else self.interest * brought)
        before = 0.0 if brought is None else brought
        shares = [(name, share * budget) for name, share in self.contributions.items()]
        shares += [(name, self.from_gains * np.maximum(surplus, 0.0)) for name, surplus in standing.items()]
        offered = np.asarray(sum(share for _, share in shares))
        opened = before + accounts.surplus(self.pool)
        room = self.room(opened, offered, budget)
        for name, share in shares:
            accounts.pay({name: 1.0}, self.pool, room * share)
        claims = {name: self.covers * np.maximum(-surplus, 0.0) for name, surplus in standing.items()}
        claimed, held = np.asarray(sum(claims.values())), np.maximum(before + accounts.surplus(self.pool), 0.0)
        met = self.met(held, claimed)
        for name, claim in claims.items():
            accounts.pay({self.pool: 1.0}, name, met * claim)
        accounts.remember("pool_contributions", held - (self.opening * budget if brought is None else opened))
        accounts.remember("pool_drawdown", met * claimed)
        accounts.note(self.event, claimed > held + 1e-9 * np.abs(budget))
        if self.cap is not None:
            whole = sum(self.contributions.values())
            back = {name: part / whole for name, part in self.contributions.items()} if whole else scene.funders
            accounts.pay(back, self.pool, -self.over(held - met * claimed, budget))
        left = accounts.surplus(self.pool)
        for name, part in self.owners.items():
            accounts.pay({self.pool: 1.0}, name, part * left)
        if self.carries:
            unmet = np.maximum(claimed - held, 0.0) * (claimed > held + 1e-9 * np.abs(budget))
            balance = before + accounts.surplus(self.pool)
            kept = {"claims": claimed, "offered": offered, "unmet": unmet, "balance": balance}
            for name, amount in kept.items():
                accounts.remember(f"pool_{name}", np.asarray(amount))

    def lasts(self, opening: Array, claims: Array, offered: Array, budgets: Array) -> Array:
        """Whether a pool that opens with a share of the first budget meets the claims of all years, (year, …)."""
        held, enough = opening * budgets[0], np.ones(claims.shape[1:], dtype=bool)
        for claimed, share, budget in zip(claims, offered, budgets, strict=True):
            held = held + self.room(held, share, budget) * share
            enough &= claimed <= held + 1e-9 * np.abs(budget)
            left = np.maximum(held - claimed, 0.0)
            held = (left - self.over(left, budget)) * (1.0 + self.interest)
        return enough

    def room(self, held: Array, offered: Array, budget: Array) -> Array:
        """Share of what is offered that is paid in, until the balance is at the target."""
        if self.target is None:
            return np.ones(())
        lacking, offered = np.broadcast_arrays(np.maximum(self.target * budget - held, 0.0), offered)
        return np.minimum(1.0, np.divide(lacking, offered, out=np.ones(lacking.shape), where=offered > 0))

    def met(self, held: Array, claimed: Array) -> Array:
        """Share of what is claimed that the pool pays."""
        held, claimed = np.broadcast_arrays(held, claimed)
        return np.minimum(1.0, np.divide(held, claimed, out=np.ones(held.shape), where=claimed > 0))

    def over(self, left: Array, budget: Array) -> Array:
        """What lies above the cap."""
        return np.maximum(left - (np.inf if self.cap is None else self.cap) * budget, 0.0)


class FollowPatients(TransferStep):
    """Money follows patients between competing providers, on the change of activity share, with cap and collar."""

    kind: Literal["follow_patients"] = "follow_patients"
    named = ("providers",)
    providers: Annotated[tuple[PartyName, ...], Field(min_length=2)]
    """Providers between whom patients may move."""
    sd: NonNegative
    """Standard deviation of one provider's change of share, as a fraction of all activity, before they are balanced."""
    price: Fraction = 1.0
    """Share of the average price that follows a patient."""
    cap: Fraction = 1.0
    """Greatest gain of share that is paid for; a greater one scales all changes down."""
    collar: Fraction = 1.0
    """Greatest loss of share that is paid back; a greater one scales all changes down."""
    event: ClassVar[str] = "cap_bound"

    def change(self, deviates: Array, parties: Mapping[str, Party]) -> dict[str, Array]:
        """Changes of share that sum to 0, from normal deviates (replicate, provider); no share goes negative."""
        raw = self.sd * (deviates - deviates.mean(axis=-1, keepdims=True))
        planned = np.array([parties[name].delivers for name in self.providers])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            room = np.where(raw < 0, planned / -raw, np.inf)
        scaled = raw * np.minimum(1.0, np.nan_to_num(room, nan=0.0, posinf=np.inf).min(axis=-1, keepdims=True))
        return dict(zip(self.providers, np.moveaxis(scaled, -1, 0), strict=True))

    def apply(self, accounts: Accounts, scene: Scene) -> None:
        changes = {name: scene.activity_change[name] for name in self.providers if name in scene.activity_change}
        if not changes:
            return
        moved = np.stack(list(changes.values()))
        scale = np.minimum(_within(self.cap, moved.max(axis=0)), _within(self.collar, -moved.min(axis=0)))
        first, *others = self.providers
        for name in others:
            accounts.pay({first: 1.0}, name, self.price * scale * changes[name] * scene.expected_cost)
        accounts.note(self.event, scale < 1.0)


def _within(bound: float, greatest: Array) -> Array:
    """The factor, at most 1, that brings `greatest` down to `bound`."""
    return np.where(greatest > bound, bound / np.where(greatest > bound, greatest, 1.0), 1.0)


class OutsideTreatment(TransferStep):
    """Own residents treated elsewhere cost the holder a price; outsiders bring one in (Alzira: 100% and 80%)."""

    kind: Literal["outside_treatment"] = "outside_treatment"
    named = ("holder", "outside")
    holder: PartyName
    """The party that is paid for the residents, and delivers their care."""
    outside: PartyName
    """The party that stands for providers elsewhere; it funds the care of its own people."""
    outflow: Fraction
    """Share of the residents' retained cost that arises elsewhere."""
    outflow_price: NonNegative = 1.0
    """Share of the average price paid for it."""
    inflow: NonNegative
    """Care given to people from elsewhere, as a share of the expected retained cost."""
    inflow_price: NonNegative = 0.8
    """Share of the average price that is paid for them."""

    def apply(self, accounts: Accounts, scene: Scene) -> None:
        """Cost moves with the place of treatment, money with the price."""
        elsewhere, from_outside = self.outflow * scene.context.cost, self.inflow * scene.expected_cost
        accounts.bear(self.holder, -elsewhere)
        accounts.bear(self.outside, elsewhere)
        accounts.pay({self.holder: 1.0}, self.outside, self.outflow_price * elsewhere)
        accounts.bear_more(self.holder, from_outside)
        accounts.fund(self.outside, self.inflow_price * from_outside)
        accounts.pay({self.outside: 1.0}, self.holder, self.inflow_price * from_outside)


class Subcontract(TransferStep):
    """A prime contractor pays a subcontractor a fixed fee, and a price for what it delivers beyond the plan."""

    kind: Literal["subcontract"] = "subcontract"
    named = ("prime", "subcontractor")
    prime: PartyName
    """The party that holds the contract and keeps the residual risk."""
    subcontractor: PartyName
    """The party that delivers its part for the fee."""
    fee: Positive
    """Fee for the year, as a share of the expected retained cost that the subcontractor delivers."""
    over_delivery_price: Fraction = 0.0
    """Share of the price that it charges for activity above the fee."""
    over_delivery_cap: NonNegative | None = None
    """Greatest charge for over-delivery, as a share of the fee."""
    event: ClassVar[str] = "over_delivery_capped"

    def apply(self, accounts: Accounts, scene: Scene) -> None:
        delivers = scene.parties[self.subcontractor].delivers
        activity = delivers * scene.context.cost
        fee = self.fee * delivers * scene.expected_cost
        charge = self.over_delivery_price * np.maximum(activity - fee, 0.0)
        if self.over_delivery_cap is not None:
            accounts.note(self.event, charge > self.over_delivery_cap * fee)
            charge = np.minimum(charge, self.over_delivery_cap * fee)
        accounts.pay({self.prime: 1.0}, self.subcontractor, fee + charge - activity)


class OutcomesPayment(TransferStep):
    """Each partner's outcomes payment, a share of its contract value: all or nothing for all of them, or by score."""

    kind: Literal["outcomes_payment"] = "outcomes_payment"
    named = ("partners",)
    share: ByAnyYear
    """Share of each partner's contract value at stake, or one for each contract year."""
    all_or_nothing: bool = False
    """Paid in full where every measure is met, and to nobody elsewhere; else in proportion to the score."""
    on_top: bool = False
    """Paid on top of the budget; else held back from it and earned back."""
    partners: tuple[PartyName, ...] = ()
    """Who takes part; without names everybody with a contract value or a part in delivery."""
    event: ClassVar[str] = "outcomes_missed"
    needs_quality: ClassVar[bool] = True

    def apply(self, accounts: Accounts, scene: Scene) -> None:
        """From those who fund, to every partner by its contract value."""
        score = np.asarray(np.nan if scene.context.quality is None else scene.context.quality)
        met = np.asarray(score >= 1.0 if scene.outcomes_met is None else scene.outcomes_met)
        earned = np.where(np.isnan(score), np.nan, met) if self.all_or_nothing else score
        paid = scene.context.this_year(self.share) * (earned if self.on_top else earned - 1.0)
        for name in self.partners or [name for name, party in scene.parties.items() if party.weight_by_budget]:
            accounts.pay(scene.funders, name, scene.parties[name].weight_by_budget * paid * scene.context.budget)
        if self.all_or_nothing:
            accounts.note(self.event, ~met)


class ProfitReturn(TransferStep):
    """A party keeps its surplus up to a share of the budget, and returns a part of the rest to those who fund.

    Unlike the term `profit_cap`, it sees what the transfers before it left with the party.
    """

    kind: Literal["profit_return"] = "profit_return"
    named = ("party",)
    watched = ("party",)
    party: PartyName
    """The party whose profit is limited."""
    rate: Fraction
    """Profit that it may keep, as a share of the budget."""
    returned: Fraction = 1.0
    """Share of the excess that goes back."""
    event: ClassVar[str] = "cap_bound"

    def apply(self, accounts: Accounts, scene: Scene) -> None:
        excess = np.maximum(accounts.surplus(self.party) - self.rate * scene.context.budget, 0.0)
        accounts.pay(scene.funders, self.party, -self.returned * excess)
        accounts.note(self.event, excess > 0)


class FixedTransfer(TransferStep):
    """A sum agreed between two parties: a prime's fee, an incentive, one commissioner's contribution to another."""

    kind: Literal["fixed_transfer"] = "fixed_transfer"
    name: str = ""
    """What it is, as accounts call it."""
    named = ("payer", "receiver")
    payer: PartyName
    receiver: PartyName
    of_budget: Number = 0.0
    """Share of the budget."""
    cash: Number = 0.0
    """Money per year, added to it."""

    def _contradictions(self) -> Iterator[Contradiction]:
        if self.payer == self.receiver:
            yield (), mistake(f"pays {self.payer!r} from its own money", "name another receiver")

    def apply(self, accounts: Accounts, scene: Scene) -> None:
        accounts.pay({self.payer: 1.0}, self.receiver, self.of_budget * scene.context.budget + self.cash)


class OwnCost(TransferStep):
    """A cost of a party besides that of care: transactions, set-up, double running of old and new services."""

    kind: Literal["own_cost"] = "own_cost"
    named = ("party",)
    name: Name
    """What it is, as accounts call it."""
    party: PartyName
    """The party that bears it."""
    of_budget: ByAnyYear = 0.0
    """Share of the budget, or one for each contract year, such as [0.01, 0] for setting up."""
    cash: NonNegative = 0.0
    """Money per year, added to it."""

    def apply(self, accounts: Accounts, scene: Scene) -> None:
        accounts.bear_more(self.party, scene.context.this_year(self.of_budget) * scene.context.budget + self.cash)


Transfer = Annotated[
    RiskPool
    | FollowPatients
    | OutsideTreatment
    | Subcontract
    | OutcomesPayment
    | ProfitReturn
    | FixedTransfer
    | OwnCost,
    Field(discriminator="kind"),
]
