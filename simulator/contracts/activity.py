"""Terms of contracts that pay for activity: tariff, block, cost and volume, and what lies between.

The ledger's cost is activity at price. Who is paid for its activity has a settlement of nothing; who is paid a block
has budget − activity.
"""

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np

from ..errors import Contradiction, mistake
from ..terms import Fraction, NonNegative
from .context import Array, Context, SettlementTerm, apply_by_sign


class TariffAndBlock(SettlementTerm):
    """Part of the activity is paid a block, the rest by tariff (the English status quo: acute by tariff)."""

    kind: Literal["tariff_and_block"] = "tariff_and_block"
    block_share: Fraction
    """Share of the budget that is paid as a block; the rest is paid as it is done."""

    def apply(self, settlement: Array, context: Context) -> Array:
        return np.asarray(self.block_share * settlement)


class Block(SettlementTerm):
    """A fixed sum for the year, whatever is done; beyond a tolerance the payer meets growth at a marginal price."""

    kind: Literal["block"] = "block"
    tolerance: NonNegative | None = None
    """Growth above plan, as a share of the budget, up to which the block is fixed; without it there is no end."""
    price_beyond: Fraction = 1.0
    """Share of the price that the payer pays for activity beyond the tolerance."""
    refund_beyond: Fraction = 0.0
    """Share of the price that the payer gets back for activity that falls short by more than the tolerance."""
    event: ClassVar[str] = "limit_bound"

    def apply(self, settlement: Array, context: Context) -> Array:
        if self.tolerance is None:
            return settlement
        room = self.tolerance * context.budget
        inside = np.clip(settlement, -room, room)
        beyond = apply_by_sign(settlement - inside, 1.0 - self.refund_beyond, 1.0 - self.price_beyond)
        return np.asarray(inside + beyond)


class CostAndVolume(SettlementTerm):
    """A block up to a threshold, a marginal price from there to a ceiling, nothing above it."""

    kind: Literal["cost_and_volume"] = "cost_and_volume"
    threshold: NonNegative
    """Activity, as a share of the budget, up to which the block pays."""
    ceiling: NonNegative
    """Activity, as a share of the budget, above which nothing more is paid."""
    marginal_price: Fraction
    """Share of the price paid for activity between threshold and ceiling."""
    event: ClassVar[str] = "cap_bound"

    def _contradictions(self) -> Iterator[Contradiction]:
        if self.ceiling < self.threshold:
            bound = f"ceiling {self.ceiling:g} lies below threshold {self.threshold:g}"
            yield (), mistake(bound, "put it at the threshold or above")

    def apply(self, settlement: Array, context: Context) -> Array:
        over = context.budget - settlement - self.threshold * context.budget
        paid_for = np.clip(over, 0.0, (self.ceiling - self.threshold) * context.budget)
        return np.asarray(settlement + self.marginal_price * paid_for)

    def triggered(self, before: Array, after: Array, context: Context) -> Array:
        return np.asarray(context.budget - before > self.ceiling * context.budget)


class MarginalRate(SettlementTerm):
    """Activity off plan is paid, or paid back, at a share of its price on either side."""

    kind: Literal["marginal_rate"] = "marginal_rate"
    above: Fraction
    """Share of the price paid for activity above plan (1: tariff, 0: block)."""
    below: Fraction
    """Share of the price paid back for activity below plan."""

    def apply(self, settlement: Array, context: Context) -> Array:
        return apply_by_sign(settlement, 1.0 - self.below, 1.0 - self.above)


ActivityTerm = TariffAndBlock | Block | CostAndVolume | MarginalRate
