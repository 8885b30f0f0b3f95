"""What a population's budget is: per head, by segment, from past years, or as an affordability waterfall.

A budget is for the cost that the exclusion rule retains. An amount that is given is gross, and falls by the exact
expected cost that the rule removes, unless `basis = "retained"`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from ..errors import Contradiction, SimulatorError, mistake
from ..terms import Count, Fraction, NonNegative, Number, Positive, Term
from .context import Array, ByYear, number_or

_Amounts = Annotated[tuple[Positive, ...], Field(min_length=1)]
Amount = Annotated[Positive | _Amounts, number_or(Positive, _Amounts)]
"""Money per member per year, or one for each contract year; the last holds for all later years."""


class Past(NamedTuple):
    """Drawn years that a benchmark is made from, the newest first."""

    costs: Sequence[Array]  # retained cost, money per year
    saved: Sequence[Array]  # budget less cost of those that are contract years; 0 of the others
    years_on: int  # from the newest of them to the contract year, less 1


@dataclass(frozen=True)
class Expectations:
    """What is known before the year begins; arrays broadcast against (replicate, population_size), money is per year.

    Cost is that under the parameter set of the replicate where a budget comes from past years, which were drawn under
    it too; of other budgets it is that over all sets.
    """

    members: Array  # people, for one year
    gross: Array  # expected gross cost
    removed: Array  # the part of it that the exclusion rule removes
    sd: Array = field(default_factory=lambda: np.zeros(()))  # of the whole retained cost, by luck alone
    luck: Array = field(default_factory=lambda: np.zeros(()))  # retained cost less its mean given shocks, over its sd
    baseline: Array = field(default_factory=lambda: np.zeros(()))  # normal deviates for the error of a baseline
    segment_members: Mapping[str, Array] = field(default_factory=dict)  # people by segment, of this replicate
    usual_members: Mapping[str, Array] = field(default_factory=dict)  # people by segment as expected
    year: int = 1  # contract year, 1 for the first
    past: Past | None = None  # drawn, where several years are settled
    years_on: int = 0  # years since year 1, where several are settled: amounts grow by the trend

    @property
    def when(self) -> tuple[int, int]:
        """The contract year, and the years since the first that is settled with it."""
        return self.year, self.years_on

    @property
    def retained(self) -> Array:
        """Expected retained cost, money per year."""
        return np.asarray(self.gross - self.removed)

    @property
    def person_sd(self) -> Array:
        """Standard deviation of one person's retained cost, σ."""
        return np.asarray(self.sd / np.sqrt(self.members))


def _of_correlation(years: int, correlation: tuple[float, ...] | None) -> Iterator[Contradiction]:
    """A table of correlations that `years` years in a row cannot have."""
    if years > 1 and not correlation:
        bound = "needs the correlation of one person's cost from year to year"
        yield (), mistake(bound, "give correlation = [lag 1, lag 2, …], and 0 only if you mean it")
    elif correlation and 1 < years <= len(correlation):
        bound = f"has correlations at {len(correlation)} lags, and its years are at most {years - 1} apart"
        yield (), mistake(bound, "give one for each lag, or fewer: the last holds for longer lags")
    elif correlation and years > 1:
        back = np.arange(years)
        if np.linalg.eigvalsh(year_correlation(correlation, back[:, None] - back[None, :])).min() < -1e-9:
            yield (), mistake("correlations contradict each other", "let them fall slowly with the lag")


def year_correlation(correlation: tuple[float, ...], lag: Array) -> Array:
    """Correlation of one person's cost at a lag in years: 1 at lag 0; the last figure holds for all longer lags."""
    table = np.array([1.0, *correlation])
    return np.asarray(table[np.minimum(np.abs(lag), len(correlation))])


class StandardErrors(Term):
    """A loading for the error of the estimate: k standard errors of a baseline's mean.

    The error is that of the luck of the baseline's own people, so that the loading a head depends on their number and
    not on the size of the population that is paid for. Where a scenario carries parameter sets it is the mean over
    them of the error under each; how far the sets lie apart is doubt that no larger baseline removes: no part of it.
    """

    k: NonNegative
    """Number of standard errors that are added."""
    members: Count
    """People in the baseline, each year."""
    years: Count = 1
    """Years in the baseline, weighted alike."""
    correlation: tuple[Fraction, ...] | None = None
    """Correlation of one person's cost at lags of 1, 2, … years; needed for several years."""

    def _contradictions(self) -> Iterator[Contradiction]:
        return _of_correlation(self.years, self.correlation)

    def per_head(self, person_sd: Array) -> Array:
        """Money per member per year. Example: σ = 3,000, a baseline of 10,000 people, one year, k = 2 → 60."""
        variance = _baseline_variance(np.full(self.years, 1.0 / self.years), self.correlation or (0.0,))
        return np.asarray(self.k * person_sd * np.sqrt(variance / self.members))


def _baseline_variance(weights: Array, correlation: tuple[float, ...]) -> float:
    """Variance of Σ w_k C_k in units of σ²/n: Σw² + 2 Σ_{j<k} w_j w_k ρ_jk."""
    back = np.arange(1, weights.size + 1)
    return float(weights @ year_correlation(correlation, back[:, None] - back[None, :]) @ weights)


class _Adjusted(Term):
    """What may be done to any estimate before it becomes a budget."""

    discount: ByYear = 0.0
    """Taken off, as a fraction, or one for each contract year."""
    trend: Number = 0.0
    """Growth a year from the estimate to the contract year, as a fraction."""
    trend_years: Annotated[int, Field(strict=True, ge=0)] = 1
    """Years of that growth."""
    loading: Annotated[NonNegative | StandardErrors, number_or(NonNegative, StandardErrors)] = 0.0
    """Added for the error of the estimate: a fraction, or a number of standard errors."""

    @property
    def _discounts(self) -> tuple[float, ...]:
        return (self.discount,) if isinstance(self.discount, int | float) else self.discount

    def in_year(self, amount: float | tuple[float, ...], year: int, years_on: int = 0) -> float:
        """An agreed amount in the contract year: of a list that of the year, else grown by the trend since year 1."""
        if isinstance(amount, tuple):
            return amount[min(year, len(amount)) - 1]
        return float(amount * (1.0 + self.trend) ** years_on)

    def _contradictions(self) -> Iterator[Contradiction]:
        if (most := max(self._discounts)) >= 1:
            yield (), mistake(f"has a discount of {most:g}, which leaves no budget", "give a fraction below 1")
        if self.trend <= -1:
            yield (), mistake(f"has a trend of {self.trend:g}, which leaves no budget", "give a fraction above -1")

    def adjust(self, estimate: Array, expected: Expectations) -> Array:
        """Estimate × (1 − discount) × (1 + trend)^years × (1 + loading), or + standard errors."""
        discount = self._discounts[min(expected.year, len(self._discounts)) - 1]
        adjusted = estimate * (1.0 - discount) * (1.0 + self.trend) ** self.trend_years
        if isinstance(self.loading, StandardErrors):
            return np.asarray(adjusted + self.loading.per_head(expected.person_sd) * expected.members)
        return np.asarray(adjusted * (1.0 + self.loading))


class PerHead(_Adjusted):
    """The same amount for every member."""

    kind: Literal["per_head"] = "per_head"
    amount: Amount | None = None
    """Money per member per year, or one for each contract year; without it the exact mean cost."""
    basis: Literal["gross", "retained"] = "gross"
    """Whether the amount still falls by the expected cost that the exclusion rule removes."""

    def evaluate(self, expected: Expectations) -> Array:
        """Budget for the retained cost, money per year."""
        removed = expected.removed if self.basis == "gross" else np.zeros_like(expected.removed)
        mean = expected.gross if self.basis == "gross" else expected.retained
        estimate = mean if self.amount is None else self.in_year(self.amount, *expected.when) * expected.members
        return np.asarray(self.adjust(estimate, expected) - removed)


class BySegment(_Adjusted):
    """An amount for each segment times its people: risk-adjusted capitation."""

    kind: Literal["by_segment"] = "by_segment"
    amounts: Annotated[dict[str, Amount], Field(min_length=1)]
    """Money per member per year, by segment; or one for each contract year."""
    basis: Literal["gross", "retained"] = "gross"
    """Whether the amounts still fall by the expected cost that the exclusion rule removes."""
    case_mix_tolerance: NonNegative = 0.0
    """Change of the case mix, as a fraction either way, within which the budget stays as it was expected."""
    case_mix_cap: NonNegative | None = None
    """Greatest change of the budget by case mix, as a fraction either way; without it there is no limit."""

    @property
    def follows_case_mix(self) -> bool:
        """Whether every change of the case mix moves the budget."""
        return self.case_mix_cap is None and not self.case_mix_tolerance

    def evaluate(self, expected: Expectations) -> Array:
        """Budget for the retained cost, money per year."""
        if set(self.amounts) != set(expected.segment_members):
            known = ", ".join(expected.segment_members)
            bound = f"must name every segment ({known})"
            raise SimulatorError("budget.amounts", ", ".join(self.amounts), bound, "add them")
        estimate = self._total(expected, expected.segment_members)
        if not self.follows_case_mix:
            usual = self._total(expected, expected.usual_members)
            change = estimate / usual - 1.0
            beyond = np.sign(change) * np.maximum(np.abs(change) - self.case_mix_tolerance, 0.0)
            limit = np.inf if self.case_mix_cap is None else self.case_mix_cap
            estimate = usual * (1.0 + np.clip(beyond, -limit, limit))
        removed = expected.removed if self.basis == "gross" else 0.0
        return np.asarray(self.adjust(estimate, expected) - removed)

    def _total(self, expected: Expectations, members: Mapping[str, Array]) -> Array:
        return np.asarray(
            sum(self.in_year(amount, *expected.when) * members[name] for name, amount in self.amounts.items())
        )


class PastYears(_Adjusted):
    """A benchmark from weighted past years of the same people, with the luck of those years in it.

    Where several years are settled these are the years that were drawn: those before the contract, or, with
    `rebase_every`, those before the year in which it was last made anew. Of one year it is a formula: past years were
    drawn under the same parameters as this one, so that doubt about them moves both alike and is no error of the
    benchmark. The error is normal, with

    Var(C₀ − Σ w_k C_k) = (σ²/n) (1 + Σ w² + 2 Σ_{j<k} w_j w_k ρ_jk − 2 Σ w_k ρ_0k).
    """

    kind: Literal["past_years"] = "past_years"
    weights: Annotated[tuple[Fraction, ...], Field(min_length=1)]
    """Weight of each past year, the latest last (10/30/60 is 0.1, 0.3, 0.6); they add to 1."""
    correlation: Annotated[tuple[Fraction, ...], Field(min_length=1)]
    """Correlation of one person's cost at lags of 1, 2, … years; the last holds for longer lags. 0 only if meant."""
    rebase_every: Count | None = None
    """Contract years after which it is made anew from the years just past; without it, never."""
    regional_share: Fraction = 0.0
    """Part of it that is what the region expects of the year, which own savings do not lower; over several years."""
    savings_returned: Fraction = 0.0
    """Share of what was saved in the past years, on average, that is added to it when it is made anew."""

    def _contradictions(self) -> Iterator[Contradiction]:
        yield from super()._contradictions()
        if abs(sum(self.weights) - 1.0) > 1e-6:
            yield (), mistake(f"weights add to {sum(self.weights):g}, not to 1", "let them add to 1")
        yield from _of_correlation(len(self.weights) + 1, self.correlation)

    def evaluate(self, expected: Expectations) -> Array:
        """Budget for the retained cost, money per year, with the error that goes with this replicate's luck."""
        newest_first = np.array(self.weights[::-1])
        if expected.past is not None:
            return self._of_drawn(expected, expected.past, newest_first)
        with_this_year = float(newest_first @ year_correlation(self.correlation, np.arange(1, newest_first.size + 1)))
        unexplained = max(_baseline_variance(newest_first, self.correlation) - with_this_year**2, 0.0)
        error = with_this_year * expected.luck + np.sqrt(unexplained) * expected.baseline
        return self.adjust(expected.retained + expected.sd * error, expected)

    def _of_drawn(self, expected: Expectations, past: Past, weights: Array) -> Array:
        """Each past year brought to the newest by the trend, and from there to the contract year."""
        rise = (1.0 + self.trend) ** np.arange(weights.size)
        own = sum(w * up * cost for w, up, cost in zip(weights, rise, past.costs, strict=True))
        saved = sum(w * saving for w, saving in zip(weights, past.saved, strict=True))
        own = (own + self.savings_returned * np.maximum(saved, 0.0)) * (1.0 + self.trend) ** past.years_on
        region = expected.retained / (1.0 + self.trend) ** self.trend_years
        return self.adjust((1.0 - self.regional_share) * own + self.regional_share * region, expected)


class Waterfall(_Adjusted):
    """Affordability waterfall: current spend less the saving and the incentive is paid; a contingency is held of it.

    Example (Lewisham): 3.6 − 0.3 − 0.3 = 3.0 paid, 0.05 held, 2.95 for the provider's cost: 3.0 / 2.95 = 1.017.
    """

    kind: Literal["waterfall"] = "waterfall"
    current_spend: Positive
    """Money per year spent today on `members` people."""
    saving: NonNegative = 0.0
    """Money per year that the health economy saves."""
    incentive: NonNegative = 0.0
    """Money per year set aside as the provider's incentive."""
    contingency: NonNegative = 0.0
    """Money per year of the payment that is held against surprises."""
    transition: NonNegative = 0.0
    """Money per year paid on top while cost comes out (Lewisham's first year: 0.3)."""
    members: Count
    """People that the amounts are for."""
    basis: Literal["gross", "retained"] = "gross"
    """Whether the payment still falls by the expected cost that the exclusion rule removes."""

    def _contradictions(self) -> Iterator[Contradiction]:
        yield from super()._contradictions()
        if self.provider_budget <= 0:
            mend = "let saving, incentive and contingency stay below current_spend"
            yield (), mistake("leaves nothing for the provider", mend)

    @property
    def payment(self) -> float:
        """Money per year that the provider is paid, the transition apart."""
        return self.current_spend - self.saving - self.incentive

    @property
    def provider_budget(self) -> float:
        """Money per year for the provider's own cost."""
        return self.payment - self.contingency

    def evaluate(self, expected: Expectations) -> Array:
        """Budget for the retained cost, money per year: payment and transition, scaled to the population."""
        removed = expected.removed if self.basis == "gross" else 0.0
        paid = self.in_year((self.payment + self.transition) / self.members, *expected.when) * expected.members
        return np.asarray(self.adjust(paid, expected) - removed)


Budget = Annotated[PerHead | BySegment | PastYears | Waterfall, Field(discriminator="kind")]
