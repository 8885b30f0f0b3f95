"""Terms that limit a settlement: caps, collars, profit caps and aggregate stop-loss."""

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np

from ..errors import Contradiction, mistake
from ..terms import Fraction, NonNegative, Number
from .context import Array, ByAnyYear, Context, Mitigation, SettlementTerm


class _Ceiling(SettlementTerm, Mitigation):
    """The least of the limits that are given."""

    of_budget: ByAnyYear | None = None
    """Limit as a share of the budget (benchmark), or one for each contract year."""
    of_revenue: ByAnyYear | None = None
    """Limit as a share of the provider's own revenue; where a row does not know it, the other limits hold."""
    cash: NonNegative | None = None
    """Limit as money per year."""

    def _contradictions(self) -> Iterator[Contradiction]:
        if self.of_budget is None and self.of_revenue is None and self.cash is None:
            yield (), mistake("limits nothing", "give of_budget, of_revenue or cash; the least of them holds")

    @property
    def limited_by_revenue(self) -> bool:
        return self.of_revenue is not None

    @property
    def rests_on_revenue(self) -> bool:
        return self.of_budget is None and self.cash is None

    def ceiling(self, context: Context) -> Array:
        """Money per year, 0 or above; NaN where nothing is known of any limit."""
        lowest = np.full(np.shape(context.budget), np.nan)
        for share, whole in ((self.of_budget, context.budget), (self.of_revenue, context.revenue)):
            if share is not None and whole is not None:
                lowest = np.fmin(lowest, context.this_year(share) * whole)
        if self.cash is not None:
            lowest = np.fmin(lowest, self.cash)
        return lowest


class GainCap(_Ceiling):
    """A gain is paid up to the cap; what lies above stays with the payer."""

    kind: Literal["gain_cap"] = "gain_cap"
    event: ClassVar[str] = "cap_bound"

    def apply(self, settlement: Array, context: Context) -> Array:
        return np.where(settlement > 0, np.minimum(settlement, self.ceiling(context)), settlement)


class LossLimit(_Ceiling):
    """A loss is borne up to the limit; what lies above stays with the payer."""

    kind: Literal["loss_limit"] = "loss_limit"
    event: ClassVar[str] = "limit_bound"

    def apply(self, settlement: Array, context: Context) -> Array:
        return np.where(settlement < 0, np.maximum(settlement, -self.ceiling(context)), settlement)


class ProfitCap(SettlementTerm, Mitigation):
    """Profit up to a share of turnover is kept; of the excess, a part is returned to the payer (Alzira: 7.5%)."""

    kind: Literal["profit_cap"] = "profit_cap"
    rate: Fraction
    """Profit that may be kept, as a share of turnover."""
    returned: Fraction = 1.0
    """Share of the excess that goes back to the payer."""
    turnover: Literal["budget", "revenue"] = "budget"
    """What counts as turnover."""
    event: ClassVar[str] = "cap_bound"

    @property
    def rests_on_revenue(self) -> bool:
        return self.turnover == "revenue"

    def apply(self, settlement: Array, context: Context) -> Array:
        revenue = np.nan if context.revenue is None else context.revenue
        turnover = context.budget if self.turnover == "budget" else revenue
        excess = np.where(settlement > 0, np.maximum(settlement - self.rate * turnover, 0.0), 0.0)
        return np.asarray(settlement - self.returned * excess)


class CapAndCollar(SettlementTerm, Mitigation):
    """A settlement between the collar (most it can lose) and the cap (most it can gain), with rates beyond them."""

    kind: Literal["cap_and_collar"] = "cap_and_collar"
    cap: Number
    """Greatest gain at the full rate, as a share of the budget, at least 0."""
    collar: Number
    """Greatest loss at the full rate, as a share of the budget, written as a negative number."""
    rate_above_cap: Fraction = 0.0
    """The provider's share of a gain beyond the cap."""
    rate_below_collar: Fraction = 0.0
    """The provider's share of a loss beyond the collar."""
    event: ClassVar[str] = "cap_bound"

    def _contradictions(self) -> Iterator[Contradiction]:
        if self.collar > self.cap:
            bound = f"collar {self.collar:g} lies above cap {self.cap:g}"
            yield (), mistake(bound, "the collar is the lower of the two")
        elif self.collar > 0 or self.cap < 0:
            bound = "cap and collar must lie on either side of the budget"
            yield (), mistake(bound, "write the collar as a negative share")

    def apply(self, settlement: Array, context: Context) -> Array:
        inside = np.clip(settlement, self.collar * context.budget, self.cap * context.budget)
        beyond = settlement - inside
        return np.asarray(inside + np.where(beyond > 0, self.rate_above_cap, self.rate_below_collar) * beyond)


class AggregateStopLoss(SettlementTerm, Mitigation):
    """The payer takes over the loss beyond the attachment point, which may widen from contract year to year."""

    kind: Literal["aggregate_stop_loss"] = "aggregate_stop_loss"
    attachment: ByAnyYear
    """Loss at which the payer steps in, as a share of the budget, or one for each contract year."""
    share_above: Fraction = 0.0
    """The provider's share of the loss beyond the attachment."""
    limit: NonNegative | None = None
    """Greatest loss that the payer takes over, as a share of the budget; beyond it the provider bears all again."""
    event: ClassVar[str] = "limit_bound"

    def apply(self, settlement: Array, context: Context) -> Array:
        beyond = np.maximum(-settlement - context.this_year(self.attachment) * context.budget, 0.0)
        taken = (1.0 - self.share_above) * beyond
        if self.limit is not None:
            taken = np.minimum(taken, self.limit * context.budget)
        return np.asarray(settlement + taken)


LimitTerm = GainCap | LossLimit | ProfitCap | CapAndCollar | AggregateStopLoss
