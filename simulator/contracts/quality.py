"""Quality and outcomes: measures, the score that they make, and the terms that it changes."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ..errors import Contradiction, also, mistake
from ..terms import Fraction, Name, NonNegative, Number, Positive, Term, ascend, figures_in, names_differ
from .context import Array, ByAnyYear, Context, SettlementTerm, Switch, apply_by_sign, first_known

ROUNDING = 1e-12  # share of a target by which it may be missed and still count as met


class Measure(Term):
    """One outcome measure: what is expected of it, and how far luck moves it."""

    name: Name
    target: Number
    """Attainment at which the measure counts in full."""
    mean: Number
    """Expected attainment, in the units of the target."""
    sd: NonNegative
    """Standard deviation of the attainment, in the units of the target."""
    minimum: Number | None = None
    """Attainment at which points begin, rising to 1 at the target; without it the measure is met or not."""
    weight: Positive = 1.0
    """Weight in the score."""
    lower_is_better: bool = False
    """Whether the measure is met below its target."""

    def _contradictions(self) -> Iterator[Contradiction]:
        if self.minimum is not None and (self.minimum >= self.target) != self.lower_is_better:
            bound = f"minimum {self.minimum:g} lies on the wrong side of target {self.target:g}"
            yield (), mistake(bound, "points rise from minimum to target")

    def points(self, deviate: Array) -> Array:
        """Points from 0 to 1 for a standard normal deviate (positive is better)."""
        direction = -1.0 if self.lower_is_better else 1.0
        lead = direction * (self.mean - self.target) + self.sd * deviate
        if self.minimum is None:
            return np.asarray(lead >= -ROUNDING * abs(self.target), dtype=float)
        return np.clip(1.0 + lead / abs(self.target - self.minimum), 0.0, 1.0)


class Quality(Term):
    """How quality turns out: a score that is given, or measures that are drawn."""

    score: Fraction | None = None
    """The score, where it is given and not drawn."""
    measures: Annotated[tuple[Measure, ...], also(names_differ)] = ()
    """Measures whose weighted points make the score."""
    correlation: Fraction = 0.0
    """Correlation between any two measures' luck (Gaussian copula); 0 is independent."""
    standard: Fraction = 0.0
    """Score from which the quality standard counts as met."""

    def _contradictions(self) -> Iterator[Contradiction]:
        if (self.score is None) == (not self.measures):
            yield (), mistake("needs either a score or measures", "give one of the two")

    @property
    def draws(self) -> int:
        """How many uniforms one replicate needs: one for each measure, and the one that they share."""
        return len(self.measures) + 1 if self.measures else 0

    def points(self, deviates: Array) -> Array:
        """Points of each measure, 0 to 1, from independent normal deviates (…, measure + 1), the first of all."""
        common, own = deviates[..., :1], deviates[..., 1:]
        correlated = np.sqrt(self.correlation) * common + np.sqrt(1.0 - self.correlation) * own
        return np.stack([measure.points(correlated[..., k]) for k, measure in enumerate(self.measures)], axis=-1)

    def score_from(self, deviates: Array) -> Array:
        """The weighted mean of the points, or the given score; shape of `deviates` without its last axis."""
        if self.score is not None:
            return np.full(deviates.shape[:-1], self.score)
        weights = np.array([measure.weight for measure in self.measures])
        return np.asarray(self.points(deviates) @ (weights / weights.sum()))

    def all_met(self, deviates: Array) -> Array:
        """Whether every measure reaches its target; shape of `deviates` without its last axis."""
        if self.score is not None:
            return np.full(deviates.shape[:-1], self.score >= 1.0)
        return np.asarray((self.points(deviates) >= 1.0 - ROUNDING).all(axis=-1))


def _quality(context: Context) -> tuple[Array, Array]:
    """Score, and 1 where the standard is met, 0 where it is failed; NaN where either is not known.

    With a score, a standard that nobody set counts as met; so does one that a row's own final share shows to be met,
    whatever its flag says.
    """
    score = np.asarray(np.nan if context.quality is None else context.quality, dtype=float)
    said = np.asarray(np.nan if context.met_standard is None else context.met_standard, dtype=float)
    met = np.where(np.isnan(said), np.where(np.isnan(score), np.nan, 1.0), said)
    return score, np.where(first_known(context.final_share, np.nan) > 0, 1.0, met)


class QualityGate(SettlementTerm):
    """No gain is paid where the quality standard is failed; a loss stays."""

    kind: Literal["quality_gate"] = "quality_gate"
    event: ClassVar[str] = "quality_failed"
    needs_quality: ClassVar[bool] = True

    def apply(self, settlement: Array, context: Context) -> Array:
        return apply_by_sign(settlement, _quality(context)[1], 1.0)


class QualityMultiplier(SettlementTerm):
    """A gain is multiplied by the quality score."""

    kind: Literal["quality_multiplier"] = "quality_multiplier"
    needs_quality: ClassVar[bool] = True

    def apply(self, settlement: Array, context: Context) -> Array:
        return apply_by_sign(settlement, _quality(context)[0], 1.0)


class QualityShare(SettlementTerm):
    """Shares that follow quality: gain share × score; loss share 1 − gain share × score, between floor and ceiling.

    Where the standard is failed there is no gain, and the loss share is at its ceiling (42 CFR 425.605, 425.610);
    where an alternative standard is met in its place, both shares follow the score.
    """

    kind: Literal["quality_share"] = "quality_share"
    gain: ByAnyYear
    """Greatest share of a saving, 0 to 1; a row's own `final_share` goes before it and before the score."""
    gain_follows_score: Switch = True
    """Whether the gain share is multiplied by the score, or paid in full where the standard is met; or a table of
    calendar years from which it is so."""
    alternative: Switch = False
    """Whether a row's `met_alternative` makes good a failed standard: the gain share is then multiplied by the score;
    or a table of calendar years from which it does."""
    loss: ByAnyYear | None = None
    """Share of an overspend, where it does not follow quality; 0 for a one-sided arrangement."""
    loss_floor: Fraction = 0.0
    """Least share of an overspend, where it follows quality."""
    loss_ceiling: Fraction = 1.0
    """Greatest share of an overspend, and the share where the standard is failed."""
    needs_quality: ClassVar[bool] = True

    def _contradictions(self) -> Iterator[Contradiction]:
        if self.loss_floor > self.loss_ceiling:
            bound = f"loss_floor {self.loss_floor:g} lies above loss_ceiling {self.loss_ceiling:g}"
            yield (), mistake(bound, "swap them")

    def apply(self, settlement: Array, context: Context) -> Array:
        score, met = _quality(context)
        by_score = context.this_year(self.gain) * score
        full = np.where(np.isnan(met), np.nan, context.this_year(self.gain))
        alternative = (first_known(context.met_alternative, 0.0) > 0) & (context.this_year(self.alternative) > 0)
        made_good = (met == 0) & alternative
        earned = np.where(context.this_year(self.gain_follows_score) + made_good > 0, by_score, full)
        failed = (met == 0) & ~made_good
        gain = first_known(context.final_share, np.where(failed, 0.0, earned))
        return apply_by_sign(settlement, gain, self._loss_share(context, by_score, failed))

    def _loss_share(self, context: Context, by_score: Array, failed: Array) -> Array:
        if self.loss is not None:
            return context.this_year(self.loss)
        published = first_known(context.final_share, np.nan)
        published_first = context.this_year(self.gain_follows_score) > 0
        preferred = np.where(published_first, published, by_score)
        otherwise = np.where(published_first, by_score, published)
        complement = 1.0 - np.where(np.isnan(preferred), otherwise, preferred)
        return np.where(failed, self.loss_ceiling, np.clip(complement, self.loss_floor, self.loss_ceiling))


class Level(Term):
    """One quality level of a table."""

    from_score: Fraction
    """Score at which the level begins."""
    premium: Fraction = 0.0
    """Quality premium, as a share of the budget, paid whatever the result."""
    gain: Fraction
    """Share of a surplus that the provider keeps at this level."""
    loss: Fraction
    """Share of a deficit that the provider bears at this level."""


def _levels_ascend(raw: Any) -> Any:
    wrong = list(ascend("from_score", "levels must begin one above the other")(raw))
    yield from wrong
    if not wrong and figures_in(raw, "from_score")[:1] not in ([], [0.0]):
        yield mistake("leave low scores without a level", "let the first level begin at from_score = 0")


class LevelTable(SettlementTerm):
    """Premium and shares by quality level (Alternative Quality Contract: better quality, more gain, less loss)."""

    kind: Literal["level_table"] = "level_table"
    levels: Annotated[tuple[Level, ...], Field(min_length=1), also(_levels_ascend)]
    needs_quality: ClassVar[bool] = True

    def apply(self, settlement: Array, context: Context) -> Array:
        score = _quality(context)[0]
        table = np.array([[each.premium, each.gain, each.loss] for each in self.levels])
        premium, gain, loss = np.moveaxis(table[self.level(score)], -1, 0)
        settled = apply_by_sign(settlement, gain, loss) + premium * context.budget
        return np.where(np.isnan(score), np.nan, settled)

    def level(self, score: Array) -> Array:
        """Position of the level that a score reaches, 0 for the first."""
        return np.searchsorted([level.from_score for level in self.levels], np.nan_to_num(score), side="right") - 1


class Withhold(SettlementTerm):
    """A part of the budget is withheld and earned back with the quality score."""

    kind: Literal["withhold"] = "withhold"
    share: ByAnyYear
    """Share of the budget withheld, or one for each contract year."""
    earned_by: Literal["score", "standard"] = "score"
    """Earned back in proportion to the score, or in full where the standard is met and not at all elsewhere."""
    needs_quality: ClassVar[bool] = True
    event: ClassVar[str] = "withhold_kept"

    def apply(self, settlement: Array, context: Context) -> Array:
        return np.asarray(settlement - context.this_year(self.share) * context.budget * (1.0 - self._earned(context)))

    def _earned(self, context: Context) -> Array:
        score, met = _quality(context)
        return score if self.earned_by == "score" else met

    def memos(self, context: Context) -> dict[str, Array]:
        withheld = context.this_year(self.share) * context.budget
        return {"withheld": withheld, "earned_back": withheld * self._earned(context)}


QualityTerm = QualityGate | QualityMultiplier | QualityShare | LevelTable | Withhold
