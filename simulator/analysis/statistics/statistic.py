"""Statistics of a year, each in one place: what it is, its estimate and error, its exact value, how it is asked for.

`summarise`, `exact`, `minimum_population`, `minimum_on_grid`, `simulate_until` and `sensitivity` go through
`STATISTICS`; a statistic that is added there is known to all of them.

Standard errors. Where the exact fourth moment is finite, those of sd and cv use it, since a sample's own underrates
it; elsewhere they come from the delete-one jackknife, as skewness's always does. Quantiles take the half-width of the
order-statistic interval (Woodruff 1952, J Am Stat Assoc 47:635), tail means that of the mean of the excess over the
quantile, probabilities the binomial one. A probability of which no event (or no other) was seen takes the exact upper
bound that one event in that many draws would allow at one sigma.

Where replicates are drawn under parameter sets, those of a set are a stratum (`strata`). Standard errors are then those
of stratified sampling, given the sets: moments and the jackknife within sets, quantiles by the error of the probability
at the quantile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ...engine.law import Law
from ...errors import SimulatorError
from ...strata import ONE_SIGMA, Strata, jackknife, mean_error, probability_error
from ...terms import Array
from .sample_moments import Leading

Levels = Mapping[str, Sequence[float]]  # what a statistic may have to be told: `margin` and `quantile_level`

_MONEY = "{currency} per year"


class Estimate(NamedTuple):
    """A figure and its Monte Carlo standard error, alike in shape."""

    value: Array
    se: Array


class Scale(NamedTuple):
    """On which scale a statistic is close to a straight line in the population size."""

    of_size: np.ufunc
    of_value: np.ufunc
    size_of: np.ufunc


PROBABILITY = Scale(np.sqrt, special.ndtri, np.square)  # Φ(−margin·√n / c)
SPREAD = Scale(np.log, np.log, np.exp)  # c / √n


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """A figure of the year of a population."""

    name: str
    sentence: str = ""
    unit: str = "1"
    asked: str = ""  # what is asked of a population, with {level} or the {rest} to 1; empty where it is no target
    short: str = ""  # the same as a column's head
    level: str | None = None  # what it must be told: a dim of the variable, and the argument that gives it
    fixed_level: float | None = None  # the quantile level that it rests on without being told
    moments: int | None = None  # moments of the cost that a finite error needs; None where there is no error to aim at
    by_moments: bool = False  # whether its exact value needs no law of the total
    scale: Scale = SPREAD  # on which a smallest population is read off
    estimate: Callable[[Sample], Estimate] | None = None  # the levels last; None where `summarise` has it not
    exact: Callable[[Cell], Array | float] | None = None  # of one cell: a figure, or one for each level
    of_excess: Callable[[Array, float], tuple[Array, Array]] | None = None
    """Of overspends, or losses over revenue (replicate, …), at a level; with what each replicate adds to its error."""
    exact_target: Callable[[Cell], Array | float] | None = None  # the exact value as a target, where another

    @property
    def is_probability(self) -> bool:
        return self.scale is PROBABILITY

    @property
    def is_money(self) -> bool:
        return self.unit == _MONEY

    @property
    def of_party(self) -> bool:
        """Whether it is a party's, and needs designs."""
        return self.level == "loss_over"

    def words(self, level: float | None, told: Callable[[float], object]) -> str:
        """What is asked of a population; `told` writes a fraction."""
        level = level or 0.0
        return self.asked.format(level=told(level), rest=told(1 - level))

    def levels(self, level: float | None) -> dict[str, tuple[float, ...]]:
        """The margins and quantile levels at which nothing but this statistic is to be had."""
        asked = level or 0.0
        quantile = asked if self.level == "quantile_level" else self.fixed_level or 0.5
        return {"margin": (0.0 if self.level == "quantile_level" else asked,), "quantile_level": (quantile,)}


# ── from draws ───────────────────────────────────────────────────────────────────────────────────


@dataclass
class Sample:
    """What was drawn, arrays with the replicates first: (replicate, place, threshold)."""

    kept: Array  # cost that the rule keeps, money per year
    gross: Array
    overspend: Array  # kept cost / budget − 1
    above_share: Array  # patients above the threshold, as a share of the people
    people: Array  # of each place, (place, 1)
    reachable: NDArray[np.bool_]  # whether anybody can cost more, (threshold)
    leading: Leading
    strata: Strata | None
    levels: Levels

    def mean(self, values: Array) -> Estimate:
        return Estimate(values.mean(axis=0), mean_error(values, self.strata))

    def estimated(self, found: tuple[Array, Array]) -> Estimate:
        """A figure with what each replicate adds to its error."""
        return Estimate(found[0], mean_error(found[1], self.strata))

    @cached_property
    def left_out(self) -> LeftOut:
        return _left_out(self.kept)

    @cached_property
    def sd(self) -> Array:
        return _sd(self.kept)

    @cached_property
    def quantile(self) -> Estimate:
        """Of the kept cost, at the quantile levels."""
        return _quantiles(self.kept, self.levels["quantile_level"], self.strata)

    @property
    def sd_relative(self) -> Array:
        """Squared relative error of the sd by the exact kurtosis."""
        return (self.leading.excess_kurtosis + 2) / (4 * self.kept.shape[0])


class LeftOut(NamedTuple):
    """Mean, sd and skewness of the sample without each replicate in turn."""

    mean: Array
    sd: Array
    skewness: Array


def _left_out(values: Array) -> LeftOut:
    n = values.shape[0]
    if n < 3:
        empty = np.full(values.shape, np.nan)
        return LeftOut(empty, empty, empty)
    centre = values.mean(axis=0)
    c = values - centre
    m1, m2, m3 = (-c / (n - 1), ((c**2).sum(0) - c**2) / (n - 1), ((c**3).sum(0) - c**3) / (n - 1))
    variance = np.maximum(m2 - m1**2, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        skewness = (m3 - 3 * m1 * m2 + 2 * m1**3) / variance**1.5
    return LeftOut(centre + m1, np.sqrt(variance * (n - 1) / (n - 2)), skewness)


def _sd(values: Array) -> Array:
    if values.shape[0] < 2:
        return np.full(values.shape[1:], np.nan)
    return np.asarray(values.std(axis=0, ddof=1))


def _sd_cost(sample: Sample) -> Estimate:
    with np.errstate(invalid="ignore", divide="ignore"):
        by_kurtosis = sample.sd * np.sqrt(sample.sd_relative)
        known = np.isfinite(sample.leading.excess_kurtosis)
        return Estimate(sample.sd, np.where(known, by_kurtosis, jackknife(sample.left_out.sd, sample.strata)))


def _cv(sample: Sample) -> Estimate:
    n, exact, left_out = sample.kept.shape[0], sample.leading, sample.left_out
    with np.errstate(invalid="ignore", divide="ignore"):
        cv = sample.sd / sample.kept.mean(axis=0)
        relative = np.maximum(sample.sd_relative - exact.skewness * cv / n + cv**2 * exact.within / n, 0.0)
        ratios = jackknife(left_out.sd / left_out.mean, sample.strata)
        return Estimate(cv, np.where(np.isfinite(exact.excess_kurtosis), cv * np.sqrt(relative), ratios))


def _skewness(sample: Sample) -> Estimate:
    centred = sample.kept - sample.kept.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        skew = (centred**3).mean(axis=0) / (centred**2).mean(axis=0) ** 1.5
    return Estimate(skew, jackknife(sample.left_out.skewness, sample.strata))


def _quantiles(values: Array, levels: Sequence[float], strata: Strata | None) -> Estimate:
    n, ordered = values.shape[0], np.sort(values, axis=0)
    level = np.broadcast_to(np.asarray(levels), (*values.shape[1:], len(levels)))
    value = _at(ordered, level)
    spread = np.sqrt(level * (1 - level) / n)
    if strata:
        below = [mean_error((values <= value[..., k]).astype(float), strata) for k in range(len(levels))]
        spread = np.stack(below, axis=-1)
    high, low = _at(ordered, np.minimum(level + spread, 1.0)), _at(ordered, np.maximum(level - spread, 0.0))
    # a level so close to an end that the sample does not reach one sigma beyond it has no finite error
    reached = (level + spread < 1) & (level - spread > 0)
    return Estimate(value, np.where(reached, (high - low) / 2, np.nan))


def _at(ordered: Array, level: Array) -> Array:
    """Quantiles by the linear rule (numpy's default, spreadsheets' PERCENTILE.INC), at the levels of the last axis."""
    position = np.moveaxis(level, -1, 0) * (ordered.shape[0] - 1)
    below = np.floor(position).astype(int)
    above = np.minimum(below + 1, ordered.shape[0] - 1)
    low, high = np.take_along_axis(ordered, below, axis=0), np.take_along_axis(ordered, above, axis=0)
    return np.moveaxis(low + (high - low) * (position - below), 0, -1)


def _tvar(sample: Sample) -> Estimate:
    found, errors = [], []
    for position, level in enumerate(sample.levels["quantile_level"]):
        quantile = sample.quantile.value[..., position]
        excess = sample.mean(np.maximum(sample.kept - quantile, 0.0))
        found.append(quantile + excess.value / (1 - level))
        errors.append(excess.se / (1 - level))
    return Estimate(np.stack(found, axis=-1), np.stack(errors, axis=-1))


def _p_overspend(sample: Sample) -> Estimate:
    happened = [sample.overspend > margin for margin in sample.levels["margin"]]
    chance = np.stack([one.mean(axis=0) for one in happened], axis=-1)
    return Estimate(chance, np.stack([probability_error(one, sample.strata) for one in happened], axis=-1))


def _cost_removed(sample: Sample) -> Estimate:
    """Σ removed / Σ gross, with the error of a ratio of paired means."""
    part, whole = sample.gross - sample.kept, np.broadcast_to(sample.gross, sample.kept.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = part.mean(axis=0) / whole.mean(axis=0)
        return Estimate(share, mean_error(part - share * whole, sample.strata) / whole.mean(axis=0))


def _variance_removed(sample: Sample) -> Estimate:
    with np.errstate(invalid="ignore", divide="ignore"):
        share = 1 - (sample.sd / _sd(sample.gross)) ** 2
        left_out = 1 - (sample.left_out.sd / _left_out(sample.gross).sd) ** 2
        return Estimate(share, jackknife(left_out, sample.strata))


def _patients_above(sample: Sample) -> Estimate:
    mean = sample.mean(sample.above_share)
    # no patient seen above a threshold: what one patient in all replicates would have been
    unseen = (mean.value == 0) & sample.reachable
    one = -math.log(ONE_SIGMA) / (sample.kept.shape[0] * sample.people)
    return Estimate(mean.value, np.where(unseen, one, mean.se))


# ── exactly ──────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Cell:
    """One population at one threshold, exactly: moments and budget of the cost that the rule keeps, money per year."""

    mean: float
    sd: float
    skewness: float
    budget: float
    budget_moves: bool  # whether capitation leaves with the patients
    levels: Levels
    made_law: Callable[[], Law]  # gives the law of the kept cost, when it is first asked for
    chance_over: Callable[[float], tuple[float, float]]  # P(kept > (1 + margin) × budget), and its error, of a margin

    @cached_property
    def law(self) -> Law:
        return self.made_law()

    @cached_property
    def quantile(self) -> Array:
        """At the quantile levels."""
        return self.law.quantile(np.asarray(self.levels["quantile_level"], float))

    @cached_property
    def chances(self) -> list[tuple[float, float]]:
        """At the margins: P(overspend > margin), and a bound on its error."""
        return [self.chance_over(margin) for margin in self.levels["margin"]]

    @cached_property
    def tail_mean(self) -> Array:
        """Mean of the kept cost beyond each quantile."""
        levels = np.asarray(self.levels["quantile_level"], float)
        return np.asarray(self.quantile + self.law.stop_loss(self.quantile) / (1 - levels))

    def worst_overspend(self, level: float) -> Array:
        """Mean overspend beyond a quantile; NaN where the budget moves."""
        known = list(self.levels["quantile_level"])
        quantile = self.quantile[known.index(level)] if level in known else self.law.quantile(level)
        cost = quantile + self.law.stop_loss(quantile) / (1 - level)
        return np.asarray(np.nan if self.budget_moves else cost / self.budget - 1)


# ── of overspends, or of losses over revenue ─────────────────────────────────────────────────────


def _worst(excess: Array, level: float) -> tuple[Array, Array]:
    quantile = np.quantile(excess, level, axis=0)
    beyond = np.maximum(excess - quantile, 0.0) / (1 - level)
    return quantile + beyond.mean(axis=0), beyond


def _spread(excess: Array, _: float) -> tuple[Array, Array]:
    ratio = 1 + excess
    mean, sd = ratio.mean(axis=0), ratio.std(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        influence = (ratio - mean) ** 2 / (2 * sd * mean) - sd * ratio / mean**2
    return sd / mean, np.where(sd > 0, influence, 0.0)


# ── the statistics ───────────────────────────────────────────────────────────────────────────────

_ALL = (
    Statistic(
        name="mean_cost", unit=_MONEY, sentence="mean of the retained cost", moments=2, by_moments=True,
        estimate=lambda sample: sample.mean(sample.kept), exact=lambda cell: cell.mean,
    ),
    Statistic(
        name="sd_cost", unit=_MONEY, sentence="standard deviation of the retained cost", moments=4, by_moments=True,
        estimate=_sd_cost, exact=lambda cell: cell.sd,
    ),
    Statistic(
        name="skewness_cost", sentence="skewness of the retained cost", by_moments=True,
        estimate=_skewness, exact=lambda cell: cell.skewness,
    ),
    Statistic(
        name="quantile_cost", unit=_MONEY, sentence="quantile of the retained cost, linear rule",
        level="quantile_level", moments=0, estimate=lambda sample: sample.quantile, exact=lambda cell: cell.quantile,
    ),
    Statistic(
        name="p_overspend", sentence="P(retained cost > (1 + margin) × budget)",
        asked="chance of overspending by more than {level} of the budget", short="chance", level="margin", moments=0,
        scale=PROBABILITY, estimate=_p_overspend, exact=lambda cell: np.array([chance for chance, _ in cell.chances]),
    ),
    Statistic(
        name="p_loss", asked="chance of a loss above {level} of the party's revenue", level="loss_over",
        scale=PROBABILITY,
    ),
    Statistic(
        name="tvar", unit=_MONEY, sentence="quantile plus the mean excess over it divided by one less the level",
        asked="mean overspend in the worst {rest} of years", level="quantile_level", moments=2,
        estimate=_tvar, exact=lambda cell: cell.tail_mean, of_excess=_worst,
        exact_target=lambda cell: cell.tail_mean / cell.budget - 1,
    ),
    Statistic(
        name="expected_overspend", sentence="E[max(overspend, 0)], unconditional, as a fraction of the budget",
        asked="expected overspend", short="expected overspend", moments=2,
        estimate=lambda sample: sample.mean(np.maximum(sample.overspend, 0.0)),
        exact=lambda cell: np.nan if cell.budget_moves else cell.law.stop_loss(cell.budget) / cell.budget,  # no series
        of_excess=lambda excess, _: (np.maximum(excess, 0.0).mean(axis=0), np.maximum(excess, 0.0)),
    ),
    Statistic(
        name="cv", sentence="coefficient of variation of the retained cost", asked="coefficient of variation",
        short="cv", moments=4, by_moments=True,
        estimate=_cv, exact=lambda cell: cell.sd / cell.mean, of_excess=_spread,
    ),
    Statistic(
        name="mean_overspend_worst_5pc", sentence="mean overspend in the worst 5% of years, share of the budget",
        asked="mean overspend in the worst 5% of years", short="worst 5%", fixed_level=0.95, moments=2,
        estimate=lambda sample: sample.estimated(_worst(sample.overspend, 0.95)),
        exact=lambda cell: cell.worst_overspend(0.95), of_excess=lambda excess, _: _worst(excess, 0.95),
    ),
    Statistic(
        name="mean_overspend", asked="expected cost beyond the budget", short="cost beyond the budget",
        by_moments=True, exact=lambda cell: cell.mean / cell.budget - 1,
    ),
    Statistic(
        name="cost_removed_share", sentence="share of gross cost that the rule removes", estimate=_cost_removed
    ),
    Statistic(
        name="variance_removed_share", sentence="share of the variance of gross cost that the rule removes",
        estimate=_variance_removed,
    ),
    Statistic(
        name="patients_above_share", sentence="share of people whose cost exceeds the threshold",
        estimate=_patients_above,
    ),
)  # fmt: skip

STATISTICS: Mapping[str, Statistic] = {one.name: one for one in _ALL}  # every statistic by its name
ESTIMATED = tuple(one for one in _ALL if one.estimate)  # those of `summarise`
EXACT = tuple(one for one in ESTIMATED if one.exact)  # those of `exact`
TARGETS = tuple(one for one in _ALL if one.of_excess or one.is_probability)  # of which a largest value can be asked
ON_GRID = tuple(one for one in TARGETS if one.estimate and not one.is_money)  # those that a summary is read for
AIMED_AT = tuple(one for one in ESTIMATED if one.moments is not None)  # that can be drawn for until they are precise
EXPLAINED = tuple(one for one in _ALL if one.exact and one.asked and one.level in (None, "margin"))
"""Those whose dependence on uncertain inputs is told."""


def named(name: str, among: Sequence[Statistic], path: str = "statistic", what: str = "must be one of {}") -> Statistic:
    """The statistic of this name."""
    found = [one for one in among if one.name == name]
    if not found:
        names = ", ".join(one.name for one in among)
        raise SimulatorError(path, name, what.format(names), "choose one of these")
    return found[0]
