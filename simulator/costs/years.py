"""`[years]` of a scenario: how many, how persistent costs are, who comes and goes, and what changes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field
from pydantic_core import PydanticCustomError

from ..errors import Contradiction, also, mistake
from ..terms import Array, Fraction, Name, OpenFraction, Term

Rate = Annotated[float, Field(strict=True, gt=-1, le=10, allow_inf_nan=False)]
Rates = Rate | tuple[Rate, ...]
"""A change a year, or one for each step from a year to the next, the first year's first."""
Lag = Annotated[int, Field(ge=1, le=100)]
Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]

MOST_YEARS = 100
"""Contract years, and years before: the draws tell 256 years apart."""


def _wrong(bound: str, mend: str) -> PydanticCustomError:
    return mistake(bound, mend, value=None)


class Persistence(Term):
    """How cost persists: figures to be met, or classes as they were fitted."""

    again_in_top: dict[Share, dict[Lag, OpenFraction]] = Field(default_factory=dict)
    """Of the costliest share of people, the share that is in it again so many years later, of those still there."""
    correlation: dict[Lag, OpenFraction] = Field(default_factory=dict)
    """Correlation of a person's cost with his cost so many years later, of those still there."""
    stay: Fraction | tuple[Fraction, ...] | None = None
    """Chance to keep one's class for a year: of all classes, or of each; calibrated where absent."""
    slabs: tuple[Fraction, ...] = ()
    """Ends of the slabs as shares of people, the costliest first, ascending to 1."""
    weights: tuple[tuple[Fraction, ...], ...] = ()
    """Chance of each class, of a person in each slab; a row for each slab, which adds up to 1."""
    strengths: tuple[Annotated[float, Field(gt=0, le=10)], ...] = ()
    """How far weights lie from the mean of all, as a multiple, in each parameter set; as model files have them."""

    def _contradictions(self) -> Iterator[Contradiction]:
        figures = len(self.correlation) + sum(len(by_lag) for by_lag in self.again_in_top.values())
        if self.weights and (figures or self.stay is None):
            yield (), _wrong("needs `stay` with weights, and no figures to be met", "give classes or figures")
        if self.strengths and not self.weights:
            yield ("strengths",), _wrong("are without weights", "give weights, or leave them out")
        if self.weights:
            yield from self._of_classes()
        elif self.slabs:
            yield ("slabs",), _wrong("are without weights", "give weights, or leave them out")
        elif not figures:
            yield (), _wrong("has neither figures nor classes", "give again_in_top or correlation")
        elif isinstance(self.stay, tuple):
            yield ("stay",), _wrong("is by class beside figures to be met", "give one figure")
        elif figures + (self.stay is not None) < 2:
            yield (), _wrong("has one figure, which does not tell how it fades", "give a second, or stay")

    def in_set(self, b: int) -> Persistence:
        """Under parameter set `b`."""
        if not self.strengths:
            return self
        weights, widths = np.array(self.weights), np.diff([0.0, *self.slabs])
        mean = widths @ weights
        own = np.maximum(mean + self.strengths[b] * (weights - mean), 0.0)
        rows = tuple(map(tuple, (own / own.sum(axis=1, keepdims=True)).tolist()))
        return self.model_copy(update={"weights": rows, "strengths": ()})

    def _of_classes(self) -> Iterator[Contradiction]:
        slabs, widths = self.slabs, {len(row) for row in self.weights}
        if [0.0, *slabs] != sorted({0.0, *slabs, 1.0}) or len(slabs) != len(self.weights):
            yield ("slabs",), _wrong("do not ascend to 1, one for each row of weights", "correct them")
        if len(widths) > 1 or any(abs(math.fsum(row) - 1) > 1e-9 for row in self.weights):
            yield ("weights",), _wrong("have rows that do not add up to 1, or differ in length", "correct them")
        if isinstance(self.stay, tuple) and {len(self.stay)} != widths:
            yield ("stay",), _wrong("has not one figure for each class", "correct it")


def _moves_add_up(raw: Any) -> Iterator[Any]:
    if not isinstance(raw, dict):
        return
    for name, given in raw.items():
        try:
            total = math.fsum(float(share) for share in given.values())
        except (AttributeError, TypeError, ValueError):
            continue
        if name in given:
            yield _wrong(f"has people of {name!r} who move to it", "leave out who stays")
        if total > 1 + 1e-12:
            yield _wrong(f"moves {total:.6g} of the people of {name!r}, more than all", "make them smaller")


class Chosen(Term):
    """The costliest people of a year."""

    top: Share
    """Share of people, by cost before shocks."""
    in_year: Annotated[int, Field(strict=True, ge=-MOST_YEARS, le=MOST_YEARS)] = 0
    """The year by whose costs they are chosen."""


class Cohort(Term):
    """People who are chosen once and followed: whoever leaves is not replaced."""

    chosen: Chosen


class Years(Term):
    """Several years of partly the same people: contract years 1, 2, …, and the years before, 0, −1, …."""

    contract: Annotated[int, Field(strict=True, ge=1, le=MOST_YEARS)]
    """Contract years, from year 1 on."""
    before: Annotated[int, Field(strict=True, ge=0, le=MOST_YEARS)] = 0
    """Years before the contract: years 0, −1, …."""
    persistence: Literal["published", "none"] | Persistence
    """"published" figures, figures or classes of one's own, or "none"."""
    leavers: Fraction | dict[Name, Fraction] = 0.0
    """Share of people who have left by the next year, of all or by segment; others take their places."""
    moves: Annotated[dict[Name, dict[Name, Fraction]], also(_moves_add_up)] = Field(default_factory=dict)
    """Of the people of a segment who stay, the shares that move to others by the next year."""
    trend: Rates | dict[Name, Rates] = 0.0
    """Rise of cost a head from a year to the next, of all or by segment and rare service."""
    growth: Rates = 0.0
    """Rise of the number of people from a year to the next."""
    index_thresholds: Rates = 0.0
    """Rise of thresholds in money from a year to the next."""

    @property
    def years(self) -> tuple[int, ...]:
        """All years in order."""
        return tuple(range(1 - self.before, self.contract + 1))

    def in_set(self, b: int) -> Years:
        """Under parameter set `b` of the population."""
        if not isinstance(self.persistence, Persistence):
            return self
        return self.model_copy(update={"persistence": self.persistence.in_set(b)})

    def _contradictions(self) -> Iterator[Contradiction]:
        steps = len(self.years) - 1
        by_name = self.trend if isinstance(self.trend, dict) else {"trend": self.trend}
        given = by_name | {"growth": self.growth, "index_thresholds": self.index_thresholds}
        for name, rates in given.items():
            if isinstance(rates, tuple) and len(rates) != steps:
                bound = f"has {len(rates)} figures for {name!r}, and {steps} steps from a year to the next"
                yield (), _wrong(bound, "give one for each step, or one for all")

    def mistakes_of(self, segments: list[str], rare: list[str]) -> Iterator[Contradiction]:
        """Names that nobody has."""
        moved = {name for origin, given in self.moves.items() for name in (origin, *given)}
        named = {"leavers": self.leavers, "moves": dict.fromkeys(moved), "trend": self.trend}
        for key, given in named.items():
            known = segments + rare if key == "trend" else segments
            for stranger in sorted(set(given) - set(known)) if isinstance(given, dict) else []:
                yield (key,), _wrong(f"has {stranger!r}, which is no segment", "use the names of the segments")

    def factors(self, rates: Rates) -> Array:
        """What a rise a year makes of each year, with year 1 at 1; shape (year,)."""
        steps = np.broadcast_to(np.asarray(rates, float), len(self.years) - 1)
        # outward from year 1, so that more years leave the others to the last digit
        behind, ahead = 1 / np.cumprod(1 + steps[: self.before][::-1]), np.cumprod(1 + steps[self.before :])
        return np.concatenate([behind[::-1], [1.0], ahead])

    def by_segment(self, names: list[str]) -> tuple[Array, Array]:
        """Leavers of each segment, (segment,), and where its people are a year on if they stay, (segment, segment)."""
        leaving = self.leavers
        leavers = [leaving.get(name, 0.0) for name in names] if isinstance(leaving, dict) else [leaving] * len(names)
        moves = np.array([[self.moves.get(a, {}).get(b, 0.0) for b in names] for a in names])
        np.fill_diagonal(moves, 0.0)
        np.fill_diagonal(moves, np.maximum(1 - moves.sum(axis=1), 0.0))
        return np.array(leavers, float), moves

    def trends(self, names: list[str]) -> Array:
        """Factor on cost by year and name; shape (year, name)."""
        given = self.trend if isinstance(self.trend, dict) else dict.fromkeys(names, self.trend)
        return np.stack([self.factors(given.get(name, 0.0)) for name in names], axis=1)
