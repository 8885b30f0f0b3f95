"""Population-level terms: what a settlement becomes, one small function each; the union of all terms last.

A settlement is signed money per year, positive when it goes to the provider. The first term receives budget − cost.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from ..base import Fraction, Number, Term, Threshold, also, mistake
from .activity import ActivityTerm
from .context import Array, ByYear, Context, apply_by_sign, first_known
from .limits import LimitTerm
from .quality import QualityTerm

ROUNDING = 1e-12
"""A rate this close to a minimum has reached it: amounts in pennies are no exact binary fractions."""


class FullRisk(Term):
    """The provider keeps every saving and bears every overspend."""

    kind: Literal["full_risk"] = "full_risk"

    def apply(self, settlement: Array, context: Context) -> Array:
        """The settlement as it is."""
        return settlement


class NoRisk(Term):
    """The provider is paid what it costs; the payer carries everything."""

    kind: Literal["no_risk"] = "no_risk"

    def apply(self, settlement: Array, context: Context) -> Array:
        """Nothing, whatever happened."""
        return np.zeros_like(settlement)


class Share(Term):
    """The provider keeps a share of a saving and bears a share of an overspend, each with its own rate."""

    kind: Literal["share"] = "share"
    gain: ByYear
    """Share of a saving that goes to the provider, 0 to 1, or one for each contract year."""
    loss: ByYear
    """Share of an overspend that the provider bears, 0 to 1, or one for each contract year."""

    def apply(self, settlement: Array, context: Context) -> Array:
        """Each sign times its share."""
        return apply_by_sign(settlement, context.this_year(self.gain), context.this_year(self.loss))


MSSP_RATES: tuple[tuple[int, float], ...] = (
    (500, 0.122), (999, 0.087), (1_000, 0.087), (2_999, 0.050), (3_000, 0.050), (4_999, 0.039), (5_000, 0.039),
    (5_999, 0.036), (6_000, 0.036), (6_999, 0.034), (7_000, 0.034), (7_999, 0.032), (8_000, 0.032), (8_999, 0.031),
    (9_000, 0.031), (9_999, 0.030), (10_000, 0.030), (14_999, 0.027), (15_000, 0.027), (19_999, 0.025),
    (20_000, 0.025), (49_999, 0.022), (50_000, 0.022), (59_999, 0.020), (60_000, 0.020),
)  # fmt: skip
"""Minimum savings rate by number of people, linear between the points (42 CFR 425.604(b), 425.605(b))."""


def size_based_rate(members: Array) -> Array:
    """The Medicare Shared Savings Program's minimum savings rate for a number of people.

    Parameters
    ----------
    members : array
        People; below 500 the rate of 500 holds, above 60,000 that of 60,000.

    Returns
    -------
    array
        Fraction of the benchmark. Example: 10,000 people → 0.030, 605 people → 0.1146.
    """
    sizes, rates = zip(*MSSP_RATES, strict=True)
    return np.asarray(np.interp(np.asarray(members, dtype=float), sizes, rates))


class MinimumRate(Term):
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
    share_if_missed: Fraction = 0.0
    """What remains of a positive result that misses the minimum (0.5: settled at half the rate)."""
    event: ClassVar[str] = "gate_missed"

    @model_validator(mode="after")
    def _sides_have_their_rates(self) -> Any:
        if self.sides == "gains" and self.loss_rate is not None:
            raise mistake(
                f"has a loss_rate of {self.loss_rate:g} beside sides = 'gains', which lets every loss be",
                "leave one of the two out",
                value=None,
            )
        return self

    def apply(self, settlement: Array, context: Context) -> Array:
        """Compare the unrounded savings rate with the minimum: at the minimum exactly, the gate is passed."""
        minimum_gain, minimum_loss = self.minimum(context)
        saved, beyond = context.savings_rate, 0.0 if self.first_dollar else context.budget
        gain = np.where(
            saved >= minimum_gain - ROUNDING,
            np.maximum(settlement - beyond * minimum_gain, 0.0),
            self.share_if_missed * settlement,
        )
        loss = np.where(saved <= ROUNDING - minimum_loss, np.minimum(settlement + beyond * minimum_loss, 0.0), 0.0)
        gain = settlement if self.sides == "losses" else gain
        loss = settlement if self.sides == "gains" else loss
        return np.where(np.isnan(minimum_gain), np.nan, np.where(settlement > 0, gain, loss))

    def minimum(self, context: Context) -> tuple[Array, Array]:
        """Minimum savings and loss rate: the row's own, else the elected one or that of the size."""
        own = size_based_rate(context.members) if self.rate is None else np.asarray(self.rate)
        rate = first_known(context.minimum_rate, own)
        return rate, rate if self.loss_rate is None else np.asarray(self.loss_rate)

    def triggered(self, before: Array, after: Array, context: Context) -> Array:
        """Where a result did not pass."""
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


def _bands_ascend(raw: Any) -> Any:
    try:
        ends = [float(band["upto"] if isinstance(band, dict) else band.upto) for band in raw]
    except (TypeError, ValueError, KeyError, AttributeError):
        return
    if ends != sorted(set(ends)):
        yield mistake("bands must end one above the other", "sort them by `upto`, without repeats")


BandTable = Annotated[tuple[Band, ...], Field(min_length=1), also(_bands_ascend)]


class Bands(Term):
    """Marginal bands round the budget (risk corridors): each slice of the result has its own share."""

    kind: Literal["bands"] = "bands"
    gains: BandTable
    """Bands of a saving, nearest the budget first; beyond the last nothing goes to the provider."""
    losses: BandTable | None = None
    """Bands of an overspend; without them the same as `gains`."""

    def apply(self, settlement: Array, context: Context) -> Array:
        """Sum over the bands of the slice inside times its rate."""
        losses = self.gains if self.losses is None else self.losses
        size = np.abs(settlement) / context.budget
        shared = np.where(settlement > 0, _sliced(size, self.gains), -_sliced(size, losses))
        return np.asarray(shared * context.budget)


def _sliced(size: Array, bands: tuple[Band, ...]) -> Array:
    starts = (0.0, *(band.upto for band in bands[:-1]))
    slices = [
        band.rate * np.clip(size - start, 0.0, band.upto - start) for band, start in zip(bands, starts, strict=True)
    ]
    return np.asarray(sum(slices))


class Haircut(Term):
    """A scalar reduction of what is paid out, such as the 2% sequestration of the Medicare programme."""

    kind: Literal["haircut"] = "haircut"
    keep: Fraction
    """What remains, 0 to 1."""
    losses_too: bool = False
    """Whether losses are reduced as well."""

    def apply(self, settlement: Array, context: Context) -> Array:
        """The gain times `keep`."""
        return apply_by_sign(settlement, self.keep, self.keep if self.losses_too else 1.0)


class Adjustment(Term):
    """A sum that is added to the settlement, whatever it is; a row's own `adjustment` goes before it."""

    kind: Literal["adjustment"] = "adjustment"
    amount: Number = 0.0
    """Money per year, positive to the provider."""
    of_budget: Number = 0.0
    """The same as a share of the budget; both are added."""

    def apply(self, settlement: Array, context: Context) -> Array:
        """The settlement plus the sum."""
        return np.asarray(settlement + first_known(context.adjustment, self.amount + self.of_budget * context.budget))


class LossRelief(Term):
    """A sum that reduces a loss, never below zero (disaster adjustment); a row's own `relief` goes before it."""

    kind: Literal["loss_relief"] = "loss_relief"
    amount: Annotated[float, Field(strict=True, ge=0)] = 0.0
    """Money per year by which a loss is reduced."""

    def apply(self, settlement: Array, context: Context) -> Array:
        """A loss moved towards zero; a gain stays as it is."""
        relief = np.abs(first_known(context.relief, self.amount))
        return np.asarray(np.where(settlement < 0, np.minimum(settlement + relief, 0.0), settlement))


Sharing = FullRisk | NoRisk | Share | MinimumRate | Bands | Haircut | Adjustment | LossRelief

SharingTerm = Annotated[Sharing | LimitTerm | ActivityTerm | QualityTerm, Field(discriminator="kind")]
"""Every term that a design may list; a new one is a class above and its name in this union."""
