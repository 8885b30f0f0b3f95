"""Population-level terms: what a settlement becomes, one small function each; the union of all terms last.

A settlement is signed money per year, positive when it goes to the provider. The first term receives budget − cost.
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ..errors import Contradiction, also, mistake
from ..terms import Count, Fraction, Number, Term, Threshold, ascend
from .activity import ActivityTerm
from .context import Array, ByAnyYear, Context, SettlementTerm, apply_by_sign, first_known
from .limits import LimitTerm
from .quality import QualityTerm

ROUNDING = 1e-12  # a rate this close to a minimum has reached it: amounts in pennies are no exact binary fractions


class FullRisk(SettlementTerm):
    """The provider keeps every saving and bears every overspend."""

    kind: Literal["full_risk"] = "full_risk"

    def apply(self, settlement: Array, context: Context) -> Array:
        return settlement


class NoRisk(SettlementTerm):
    """The provider is paid what it costs; the payer carries everything."""

    kind: Literal["no_risk"] = "no_risk"

    def apply(self, settlement: Array, context: Context) -> Array:
        return np.zeros_like(settlement)


class Share(SettlementTerm):
    """The provider keeps a share of a saving and bears a share of an overspend, each with its own rate."""

    kind: Literal["share"] = "share"
    gain: ByAnyYear
    """Share of a saving that goes to the provider, 0 to 1, or one for each contract year."""
    loss: ByAnyYear
    """Share of an overspend that the provider bears, 0 to 1, or one for each contract year."""

    def apply(self, settlement: Array, context: Context) -> Array:
        return apply_by_sign(settlement, context.this_year(self.gain), context.this_year(self.loss))


MSSP_RATES: tuple[tuple[int, float], ...] = (
    (500, 0.122), (999, 0.087), (1_000, 0.087), (2_999, 0.050), (3_000, 0.050), (4_999, 0.039), (5_000, 0.039),
    (5_999, 0.036), (6_000, 0.036), (6_999, 0.034), (7_000, 0.034), (7_999, 0.032), (8_000, 0.032), (8_999, 0.031),
    (9_000, 0.031), (9_999, 0.030), (10_000, 0.030), (14_999, 0.027), (15_000, 0.027), (19_999, 0.025),
    (20_000, 0.025), (49_999, 0.022), (50_000, 0.022), (59_999, 0.020), (60_000, 0.020),
)  # fmt: skip
"""Minimum savings rate by number of people, linear between the points (42 CFR 425.604(b), 425.605(b))."""

_SCALE, _SCORE = 2.135, 1.2816
"""Below the table the rate is scale × score / √people, as at its small end (`configs/published/mssp_msr.toml`)."""


def size_based_rate(members: Array) -> Array:
    """The Medicare Shared Savings Program's minimum savings rate for a number of people."""
    sizes, rates = zip(*MSSP_RATES, strict=True)
    people = np.asarray(members, dtype=float)
    small = _SCALE * _SCORE / np.sqrt(np.minimum(people, sizes[0]))
    return np.asarray(np.where(people < sizes[0], small, np.interp(people, sizes, rates)))


class MinimumRate(SettlementTerm):
    """A savings or loss rate inside the minimum is treated as noise: nothing is settled."""

    kind: Literal["minimum_rate"] = "minimum_rate"
    rate: Fraction | None = None
    """Minimum savings rate, a fraction of the budget; without it the Medicare programme's table by size."""
    loss_rate: Fraction | None = None
    """Minimum loss rate; without it the same as `rate`."""
    sides: Literal["both", "gains", "losses"] = "both"
    """Which results must pass the gate; the other side is left as it is."""
    first_dollar: bool = True
    """Once passed, the whole result is settled; if false, only what lies beyond the minimum."""
    share_if_missed: ByAnyYear = 0.0
    """What remains of a positive result that misses the minimum (0.5: settled at half the rate); a row's own
    `final_share`, where a term goes by it, is the share after that."""
    if_missed_from: Count = 1
    """People from which on `share_if_missed` holds."""
    if_missed_revenue_below: Fraction | None = None
    """Provider's own revenue, as a share of the budget, below which alone `share_if_missed` holds; a row's own
    `low_revenue` goes before it."""
    event: ClassVar[str] = "gate_missed"

    def _contradictions(self) -> Iterator[Contradiction]:
        if self.sides == "gains" and self.loss_rate is not None:
            bound = f"has a loss_rate of {self.loss_rate:g} beside sides = 'gains', which lets every loss be"
            yield (), mistake(bound, "leave one of the two out")

    @property
    def goes_by_revenue(self) -> bool:
        return self.if_missed_revenue_below is not None

    def apply(self, settlement: Array, context: Context) -> Array:
        """Compare the unrounded savings rate with the minimum: at the minimum exactly, the gate is passed."""
        minimum_gain, minimum_loss = self.minimum(context)
        saved, beyond = context.savings_rate, 0.0 if self.first_dollar else context.budget
        gain = np.where(
            saved >= minimum_gain - ROUNDING,
            np.maximum(settlement - beyond * minimum_gain, 0.0),
            self._kept_if_missed(context) * settlement,
        )
        loss = np.where(saved <= ROUNDING - minimum_loss, np.minimum(settlement + beyond * minimum_loss, 0.0), 0.0)
        gain = settlement if self.sides == "losses" else gain
        loss = settlement if self.sides == "gains" else loss
        return np.where(np.isnan(minimum_gain), np.nan, np.where(settlement > 0, gain, loss))

    def _kept_if_missed(self, context: Context) -> Array:
        """The share that holds for a population of this size and revenue; NaN where either is not known."""
        share = context.this_year(self.share_if_missed)
        if not share.any():
            return share
        holds = np.where(np.isnan(context.members), np.nan, context.members >= self.if_missed_from)
        if (below := self.if_missed_revenue_below) is not None:
            revenue = np.asarray(np.nan if context.revenue is None else context.revenue, dtype=float)
            by_revenue = np.where(np.isfinite(revenue), revenue < below * context.budget, np.nan)
            holds = np.where(holds == 0, 0.0, holds * first_known(context.low_revenue, by_revenue))
        kept = np.where(np.isnan(first_known(context.final_share, np.nan)), share, 1.0)
        return np.where(holds == 0, 0.0, holds * kept)

    def minimum(self, context: Context) -> tuple[Array, Array]:
        """Minimum savings and loss rate: the row's own, else the elected one or that of the size."""
        own = size_based_rate(context.members) if self.rate is None else np.asarray(self.rate)
        rate = first_known(context.minimum_rate, own)
        return rate, rate if self.loss_rate is None else np.asarray(self.loss_rate)

    def triggered(self, before: Array, after: Array, context: Context) -> Array:
        minimum_gain, minimum_loss = self.minimum(context)
        missed_gain = (before > 0) & (context.savings_rate < minimum_gain - ROUNDING) & (self.sides != "losses")
        missed_loss = (before < 0) & (context.savings_rate > ROUNDING - minimum_loss) & (self.sides != "gains")
        return np.asarray(missed_gain | missed_loss)


class Band(Term):
    """One band of a result, measured from the budget outwards."""

    upto: Threshold
    """Where the band ends, as a share of the budget; `inf` for the last."""
    rate: Fraction
    """The provider's share of the money inside the band."""


_Ascending = also(ascend("upto", "bands must end one above the other"))
BandTable = Annotated[tuple[Band, ...], Field(min_length=1), _Ascending]


class Bands(SettlementTerm):
    """Marginal bands round the budget (risk corridors): each slice of the result has its own share."""

    kind: Literal["bands"] = "bands"
    gains: BandTable
    """Bands of a saving, nearest the budget first; beyond the last nothing goes to the provider."""
    losses: BandTable | None = None
    """Bands of an overspend; without them the same as `gains`."""

    def apply(self, settlement: Array, context: Context) -> Array:
        losses = self.gains if self.losses is None else self.losses
        size = np.abs(settlement) / context.budget
        shared = np.where(settlement > 0, _sliced(size, self.gains), -_sliced(size, losses))
        return np.asarray(shared * context.budget)


def _sliced(size: Array, bands: tuple[Band, ...]) -> Array:
    starts = zip(bands, (0.0, *(band.upto for band in bands[:-1])), strict=True)
    return np.asarray(sum(band.rate * np.clip(size - start, 0.0, band.upto - start) for band, start in starts))


class Haircut(SettlementTerm):
    """A scalar reduction of what is paid out, such as the 2% sequestration of the Medicare programme."""

    kind: Literal["haircut"] = "haircut"
    keep: ByAnyYear
    """What remains, 0 to 1, or one for each contract year, or a table of calendar years from which it holds."""
    losses_too: bool = False
    """Whether losses are reduced as well."""

    def apply(self, settlement: Array, context: Context) -> Array:
        keep = context.this_year(self.keep)
        return apply_by_sign(settlement, keep, keep if self.losses_too else 1.0)


class Adjustment(SettlementTerm):
    """A sum that is added to the settlement, whatever it is; a row's own `adjustment` goes before it."""

    kind: Literal["adjustment"] = "adjustment"
    amount: Number = 0.0
    """Money per year, positive to the provider."""
    of_budget: Number = 0.0
    """The same as a share of the budget; both are added."""

    def apply(self, settlement: Array, context: Context) -> Array:
        return np.asarray(settlement + first_known(context.adjustment, self.amount + self.of_budget * context.budget))


class LossRelief(SettlementTerm):
    """A sum that reduces a loss, never below zero (disaster adjustment); a row's own `relief` goes before it."""

    kind: Literal["loss_relief"] = "loss_relief"
    amount: Annotated[float, Field(strict=True, ge=0)] = 0.0
    """Money per year by which a loss is reduced."""

    def apply(self, settlement: Array, context: Context) -> Array:
        relief = np.abs(first_known(context.relief, self.amount))
        return np.asarray(np.where(settlement < 0, np.minimum(settlement + relief, 0.0), settlement))


Sharing = FullRisk | NoRisk | Share | MinimumRate | Bands | Haircut | Adjustment | LossRelief

SharingTerm = Annotated[Sharing | LimitTerm | ActivityTerm | QualityTerm, Field(discriminator="kind")]
"""Every term that a design may list; a new one is a class above and its name in this union."""
