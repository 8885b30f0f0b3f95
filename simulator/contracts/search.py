"""What may move in a design, and what it must achieve: the question that `propose` answers. Runs nothing."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, Field, ValidationError

from ..errors import Contradiction, SimulatorError, mistake, mistakes_in, validated
from ..paths import changeable, steps_of
from ..terms import Count, Fraction, Name, NonNegative, Number, OpenFraction, People, Term, Threshold, read_toml
from .design import Design


class Demand(NamedTuple):
    """One thing that is demanded of every design."""

    party: str
    kind: Literal["loss_over", "event", "worst", "hard", "surplus", "unearned"]
    bound: float
    at_most: float = math.nan
    event: str = ""

    def __str__(self) -> str:
        bound, chance = f"{100 * self.bound:.4g}%", f"{100 * self.at_most:.4g}%"
        return (
            f"{self.party or 'providers'}: "
            + {
                "loss_over": f"chance of losing over {bound} of revenue at most {chance}",
                "event": f"chance of {self.event.replace('_', ' ')} at most {chance}",
                "worst": f"mean loss of the worst 1% of years at most {bound} of revenue",
                "hard": f"never a loss over {bound} of revenue",
                "surplus": f"expected surplus at least {bound} of revenue",
                "unearned": f"expected payment for no saving at most {bound} of the budget",
            }[self.kind]
        )


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

    def at(self, place: float) -> float:
        """The value at a place from 0 to 1."""
        if self.between is not None:
            return round(self.between[0] + (self.between[1] - self.between[0]) * min(max(place, 0.0), 1.0), 9)
        values = self.values or ()
        return values[min(int(place * len(values)), len(values) - 1)]

    def _contradictions(self) -> Iterator[Contradiction]:
        if (self.between is None) == (self.values is None):
            yield (), mistake("needs one range or list", "give either `between` or `values`", value=self.path)
        elif self.between is not None and not self.between[0] < self.between[1]:
            bound = f"is empty: {self.between[0]:g} is not below {self.between[1]:g}"
            yield ("between",), mistake(bound, "give the lower end first, then the higher")


class Limit(Term):
    """What one party must be spared or given; a party may have several."""

    party: Name
    loss_over: NonNegative | None = None
    """A loss of more than this share of the party's revenue …"""
    at_most: OpenFraction | None = None
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
    def demands(self) -> list[Demand]:
        """Each thing that is demanded."""
        found = [] if self.event is None else [Demand(self.party, "event", 0.0, self.at_most or math.nan, self.event)]
        for kind in ("loss_over", "worst", "hard", "surplus"):
            if (bound := getattr(self, kind)) is not None:
                chance = self.at_most if kind == "loss_over" else None
                found.append(Demand(self.party, kind, bound, chance or math.nan))
        return found

    def _contradictions(self) -> Iterator[Contradiction]:
        if (self.at_most is None) != (self.loss_over is None and self.event is None):
            yield (), mistake("has half of a limit", "give both loss_over (or event) and at_most", value=self.party)
        elif not self.demands:
            yield (), mistake("limits nothing", "give loss_over and at_most, worst, hard or surplus", value=self.party)


class Search(Term):
    """Which figures of a design may move, within which limits, and to what end."""

    design: Name | None = None
    """Whose figures move; the scenario's first design without it."""
    figures: Annotated[tuple[MovingFigure, ...], Field(min_length=1)]
    limits: Annotated[tuple[Limit, ...], Field(min_length=1)]
    aim: Literal["cheapest", "strongest"] = "cheapest"
    """What is recommended: the least expected cost to the funders, or the most kept of each pound really saved."""
    guards: bool = True
    """Demand what a limit forgets: `unearned`, and a mean of the worst 1% of years beside a chance of loss."""
    unearned: Fraction = 0.01
    """Under guards, the largest expected payment to the providers for no saving, as a share of the budget."""
    members: People | None = None
    """People; the scenario's largest population without it."""
    points: Annotated[Count, Field(ge=16, le=200_000)] = 2_048
    """Designs that are tried before the best are refined."""

    @property
    def demands(self) -> tuple[Demand, ...]:
        """All that is demanded, guards last."""
        asked = [demand for limit in self.limits for demand in limit.demands]
        sure = {one.party for one in asked if one.kind in ("worst", "hard")}
        over = sorted((one.party, one.bound) for one in asked if one.kind == "loss_over" and one.party not in sure)
        if self.guards:
            asked += [Demand(party, "worst", bound) for party, bound in dict(reversed(over)).items()]
            asked.append(Demand("", "unearned", self.unearned))
        return tuple(asked)

    def _contradictions(self) -> Iterator[Contradiction]:
        paths = [path for figure in self.figures for path in (figure.path, figure.rest) if path]
        for path in sorted({path for path in paths if paths.count(path) > 1}):
            yield ("figures",), mistake(f"move {path!r} twice", "name each figure once")
        asked = [demand for limit in self.limits for demand in limit.demands]
        for one, other in combinations(asked, 2):
            bounds = {one.kind: one.bound, other.kind: other.bound}
            if one[:2] == other[:2] and one.kind in ("worst", "hard", "surplus"):
                bound = f"limit {one.kind} of {one.party!r} twice ({one.bound:g} and {other.bound:g})"
                yield ("limits",), mistake(bound, "keep one of them")
            elif one.party == other.party and bounds.get("hard", math.inf) < bounds.get("worst", -math.inf):
                bound = f"contradict each other: {one.party!r} cannot lose more on average in its worst years than ever"
                yield ("limits",), mistake(bound, f"make worst at most {bounds['hard']:g}, or omit it")

    def base(self, designs: Sequence[Design]) -> Design | None:
        """The design whose figures move."""
        return next((one for one in designs if self.design in (None, one.name)), None)

    def contradictions_with(self, designs: Sequence[Design], grid: Sequence[float]) -> Iterator[Contradiction]:
        """What does not fit the designs of a scenario."""
        base = self.base(designs)
        if base is None:
            known = ", ".join(repr(one.name) for one in designs) or "none are defined"
            yield ("design",), mistake("is not a design of the scenario", f"choose from: {known}", value=self.design)
            return
        moving = {figure.path.partition(".")[0] for figure in self.figures}
        if not base.exclusion.fixed_thresholds() and "exclusion" not in moving:
            bound = "sweeps the thresholds, and a search needs one rule"
            yield (
                ("design",),
                mistake(bound, "give its exclusion thresholds, or let exclusion.at move", value=base.name),
            )
            return
        names = {party.name for party in base.parties}
        for at, limit in enumerate(self.limits):
            if limit.party not in names:
                bound = f"{limit.party!r} is not a party of the design"
                yield ("limits", at, "party"), mistake(bound, f"choose from: {', '.join(sorted(names))}")
        asked = {limit.party: limit.surplus for limit in self.limits if limit.surplus is not None}
        if set(asked) == names and min(asked.values()) >= 0 < max(asked.values()):
            bound = "contradict each other: the parties together have an expected surplus of 0, and these ask for more"
            yield ("limits",), mistake(bound, "lower a surplus, or leave one party without it")
        for at, figure in enumerate(self.figures):
            if figure.path.startswith("exclusion") and not set(figure.values or (math.nan,)) <= {*grid, math.inf}:
                yield ("figures", at), mistake("leaves the grid", "list values of [simulation] thresholds")
        least, most = ([figure.at(end) for figure in self.figures] for end in (0.0, 1.0))
        if refused := self._refused(base, least):
            yield ("figures",), mistake(f"do not fit the design ({refused.path}: {refused.bound})", refused.mend)
            return
        for at, figure in enumerate(self.figures):
            for value in figure.values or figure.between or ():  # whatever the other figures are
                tried = [self._refused(base, [*rest[:at], float(value), *rest[at + 1 :]]) for rest in (least, most)]
                if all(tried) and (refused := tried[0]):
                    bound = f"cannot be {value:g} ({refused.path}: {refused.bound})"
                    yield ("figures", at), mistake(bound, refused.mend, value=figure.path)

    def _refused(self, base: Design, values: Sequence[float]) -> SimulatorError | None:
        """Why the design cannot have these figures."""
        try:
            self.moved(base, values)
        except SimulatorError as error:
            return error
        return None

    def places(self, base: Design) -> list[tuple[bool, list[str | int]]]:
        """Steps to every figure that moves; True where it is the rest of the one before."""
        tree = changeable(base)
        every = [(key == "rest", getattr(one, key)) for one in self.figures for key in ("path", "rest")]
        return [(is_rest, steps_of(tree, path)) for is_rest, path in every if path]

    def moved(
        self, base: Design, values: Sequence[float], places: list[tuple[bool, list[str | int]]] | None = None
    ) -> Design:
        """The design with these figures, checked afresh; where `places` are known, no more than what they touch.

        Raises
        ------
        SimulatorError
            Where the design cannot have them.
        """
        raw: dict[str, Any] = {field: getattr(base, field) for field in Design.model_fields}
        left, value = iter(values), 0.0
        for is_rest, (first, *steps) in self.places(base) if places is None else places:
            value = 1.0 - value if is_rest else next(left)
            try:
                raw[str(first)] = _put(raw[str(first)], steps, value)
            except ValidationError as error:
                raise mistakes_in(error, changeable(base), "design") from None
        if places and not any(steps[0] == "parties" for _, steps in places):
            return base.model_copy(update=raw)
        return validated(Design, raw, "design")


def _put(part: Any, steps: Sequence[str | int], value: float) -> Any:
    """A part with another value at a place; only what lies on the way there is checked again."""
    if not steps:
        return int(value) if type(part) is int and value.is_integer() else value
    if isinstance(part, list | tuple):
        return tuple(_put(one, steps[1:], value) if at == steps[0] else one for at, one in enumerate(part))
    made = dict(part) if isinstance(part, dict) else {name: getattr(part, name) for name in type(part).model_fields}
    made[steps[0]] = _put(made[steps[0]], steps[1:], value)
    return type(part).model_validate(made) if isinstance(part, BaseModel) else made


class _File(Term):
    search: Search


def load_search(path: str | os.PathLike[str]) -> Search:
    """A search from a TOML file of its own with a table [search].

    Raises
    ------
    SimulatorError
        Listing every mistake of the file.
    """
    return validated(_File, read_toml(path), str(Path(path))).search
