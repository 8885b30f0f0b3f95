"""What may move in a design, and what it must achieve: the question that `propose` answers. Runs nothing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from ..errors import Contradiction, SimulatorError, mistake, mistakes_in, validated
from ..paths import changeable, steps_of
from ..terms import Count, Fraction, Name, NonNegative, Number, People, Term, Threshold
from .design import Design

Places = Sequence[tuple[str, Sequence[str | int]]]


class MovingFigure(Term):
    """One figure of a design that may move, between two ends or along a list."""

    path: Annotated[str, Field(min_length=1)]
    """Where it is in the design, such as `terms[1].attachment` or `parties[acute].gain_share`."""
    between: tuple[Number, Number] | None = None
    """The least and the greatest value."""
    values: Annotated[tuple[Number | Threshold, ...], Field(min_length=1)] | None = None
    """The values that it may have, where it cannot have any between."""
    rest: str | None = None
    """Path of a figure that is 1 less this one: the other part of a split between two parties."""

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest value."""
        return self.between or (min(self.values or (0.0,)), max(self.values or (0.0,)))

    def at(self, place: float) -> float:
        """The value at a place from 0 to 1."""
        if self.values is None:
            low, high = self.ends
            return low + (high - low) * place
        return self.values[min(int(place * len(self.values)), len(self.values) - 1)]

    def _contradictions(self) -> Iterator[Contradiction]:
        if (self.between is None) == (self.values is None):
            yield (), mistake("moves along nothing, or along two things", "give `between` or `values`", value=self.path)
        elif self.between is not None and not self.between[0] < self.between[1]:
            bound = f"is empty: {self.between[0]:g} is not below {self.between[1]:g}"
            yield ("between",), mistake(bound, "give the lower end first, then the higher")


class Limit(Term):
    """What one party must be spared or given; several limits may be of one party."""

    party: Name
    loss_over: NonNegative | None = None
    """A loss of more than this share of the party's revenue …"""
    at_most: Annotated[float, Field(strict=True, gt=0, lt=1)] | None = None
    """… may happen in at most this share of years."""
    worst: NonNegative | None = None
    """Largest mean loss in the worst 1% of years, as a share of revenue."""
    hard: NonNegative | None = None
    """Largest loss whatever happens (tried with costs twice as high), as a share of revenue."""
    surplus: Number | None = None
    """Least expected surplus, as a share of revenue; below 0 for a loss."""
    event: str | None = None
    """What may happen in at most `at_most` of years: `pool_exhausted`, for a pool that must last."""

    @property
    def demands(self) -> tuple[tuple[str, float, float], ...]:
        """Each thing that is asked: its kind, the bound, and the chance that goes with it (NaN without one)."""
        found = [(kind, getattr(self, kind), math.nan) for kind in ("worst", "hard", "surplus")]
        chance = math.nan if self.at_most is None else self.at_most
        found = [("loss_over", self.loss_over, chance), ("event", None if self.event is None else 0.0, chance), *found]
        return tuple((kind, float(bound), chance) for kind, bound, chance in found if bound is not None)

    def _contradictions(self) -> Iterator[Contradiction]:
        if not self.demands:
            yield (), mistake("limits nothing", "give loss_over and at_most, worst, hard or surplus", value=self.party)
        if (self.at_most is None) != (self.loss_over is None and self.event is None):
            yield (), mistake("has half of a limit", "give both loss_over (or event) and at_most", value=self.party)


class Search(Term):
    """Which figures of a design may move, within which limits, and to what end."""

    design: Name | None = None
    """Whose figures move; the scenario's first design without it."""
    figures: Annotated[tuple[MovingFigure, ...], Field(min_length=1)]
    limits: Annotated[tuple[Limit, ...], Field(min_length=1)]
    aim: Literal["cheapest", "strongest"] = "cheapest"
    """What is recommended: the least expected cost to the funders, or the most kept of each pound really saved."""
    guards: bool = True
    """Whether to demand what a limit forgets: see `unearned`, and a mean of the worst 1% beside a chance of loss."""
    unearned: Fraction = 0.01
    """Under guards, the largest expected payment to the providers for no saving, as a share of the budget."""
    members: People | None = None
    """People; the scenario's largest population without it."""
    points: Annotated[Count, Field(ge=16, le=200_000)] = 2_048
    """Designs that are tried before the best are refined."""

    def demands(self) -> tuple[tuple[str, str, float, float], ...]:
        """Party, kind, bound and chance of all that is demanded, guards last."""
        asked = [(limit.party, *demand) for limit in self.limits for demand in limit.demands]
        sure = {party for party, kind, *_ in asked if kind in ("worst", "hard")}
        over = [(party, bound) for party, kind, bound, _ in asked if kind == "loss_over" and party not in sure]
        forgotten = {party: min(at for whose, at in over if whose == party) for party, _ in over}
        if self.guards:
            asked += [(party, "worst", bound, math.nan) for party, bound in forgotten.items()]
            asked.append(("", "unearned", self.unearned, math.nan))
        return tuple(asked)

    def _contradictions(self) -> Iterator[Contradiction]:
        paths = [path for figure in self.figures for path in (figure.path, figure.rest) if path]
        for path in sorted({path for path in paths if paths.count(path) > 1}):
            yield ("figures",), mistake(f"move {path!r} twice", "name each figure once")
        asked = [(limit.party, *demand[:2]) for limit in self.limits for demand in limit.demands]
        for one, other in itertools.combinations(asked, 2):
            if one[:2] == other[:2] and one[1] in ("worst", "hard", "surplus"):
                bound = f"limit {one[1]} of {one[0]!r} twice ({one[2]:g} and {other[2]:g})"
                yield ("limits",), mistake(bound, "keep one of them")
            elif one[0] == other[0] and {one[1], other[1]} <= {"hard", "worst", "surplus"} and one[1] != other[1]:
                least = dict((one[1:], other[1:]))
                if least.get("hard", math.inf) < least.get("worst", -math.inf):
                    bound = f"let {one[0]!r} lose more on average in its worst years than ever: {least['worst']:g}"
                    yield ("limits",), mistake(bound, f"make worst at most {least['hard']:g}, or omit it")

    def contradictions_with(self, designs: Sequence[Design], grid: Sequence[float]) -> Iterator[Contradiction]:
        """What does not fit the designs of a scenario."""
        base = self.base(designs)
        if base is None:
            known = ", ".join(repr(one.name) for one in designs) or "none are defined"
            yield ("design",), mistake("is not a design of the scenario", f"choose from: {known}", value=self.design)
            return
        names = {party.name for party in base.parties}
        for at, limit in enumerate(self.limits):
            if limit.party not in names:
                yield ("limits", at, "party"), mistake("is not a party of the design", f"name one of {sorted(names)}")
        asked = {limit.party: limit.surplus for limit in self.limits if limit.surplus is not None}
        if set(asked) == names and min(asked.values()) >= 0 < max(asked.values()):
            bound = "contradict each other: all parties together have an expected surplus of 0, and these ask for more"
            yield ("limits",), mistake(bound, "lower a surplus, or leave one party without it")
        for at, figure in enumerate(self.figures):
            for key in ("path", "rest"):
                try:
                    (path := getattr(figure, key)) is None or steps_of(changeable(base), path)
                except SimulatorError as error:
                    yield ("figures", at, key), mistake(f"of the design {error.bound}", error.mend)
                    return
            if figure.path.startswith("exclusion") and not set(figure.values or (math.nan,)) <= {*grid, math.inf}:
                yield ("figures", at), mistake("leaves the grid", "list values of [simulation] thresholds")
        try:
            self.moved(base, [figure.ends[0] for figure in self.figures])
        except SimulatorError as error:
            yield ("figures",), mistake(f"do not fit the design: {error}")

    def base(self, designs: Sequence[Design]) -> Design | None:
        """The design whose figures move."""
        return next((one for one in designs if self.design in (None, one.name)), None)

    def places(self, base: Design) -> Places:
        """Steps to every figure that moves, in the order of `figures`, the rest of a split after its figure."""
        tree = changeable(base)
        paths = [(figure, path) for figure in self.figures for path in (figure.path, figure.rest) if path]
        return [("rest" if path == figure.rest else "figure", steps_of(tree, path)) for figure, path in paths]

    def moved(self, base: Design, values: Sequence[float], places: Places | None = None) -> Design:
        """The design with these figures, checked afresh where it changed.

        Raises
        ------
        SimulatorError
            Where the design cannot have them.
        """
        raw = {field: getattr(base, field) for field in Design.model_fields}
        left, value = iter(values), 0.0
        for kind, steps in places or self.places(base):
            value = 1.0 - value if kind == "rest" else next(left)
            try:
                raw[str(steps[0])] = _put(raw[str(steps[0])], steps[1:], value)
            except ValidationError as error:
                raise mistakes_in(error, changeable(base), "design") from None
        if places and not any(steps[0] == "parties" for _, steps in places):  # the rest was checked with other figures
            return base.model_copy(update=raw)
        return validated(Design, raw, "design")


def _put(part: Any, steps: Sequence[str | int], value: float) -> Any:
    """A part with another value at a place; only what lies on the way there is checked again."""
    if not steps:
        whole = isinstance(part, int) and not isinstance(part, bool) and float(value).is_integer()
        return int(value) if whole else value
    if isinstance(part, list | tuple):
        return tuple(_put(one, steps[1:], value) if at == steps[0] else one for at, one in enumerate(part))
    made = dict(part) if isinstance(part, dict) else {name: getattr(part, name) for name in type(part).model_fields}
    made[steps[0]] = _put(made[steps[0]], steps[1:], value)
    return type(part).model_validate(made) if isinstance(part, BaseModel) else made
