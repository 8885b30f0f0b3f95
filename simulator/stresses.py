"""Stresses: what may not go to plan, and what that changes in a scenario. Nothing is run here.

The budget stays as it was agreed on the assumed scenario; a change alters the realised scenario. Every change has
one leading figure, a fraction (or a rate) that is 0 where nothing changes, so that it can be moved until a party
reaches its limit.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, TypeAdapter, ValidationError

from .contracts.services import Moves
from .costs.families.base import Severity, scaled_figure
from .costs.families.union import FAMILIES, AnySeverity
from .deprecated import renewed
from .errors import Contradiction, SimulatorError, mistake, validated
from .paths import steps_of
from .terms import Fraction, Name, NonNegative, Positive, Term, read_toml

Raw = dict[str, Any]  # a scenario as `model_dump` gives it, every severity by its own figures

Change01 = Annotated[float, Field(strict=True, gt=-1, allow_inf_nan=False)]

_NOBODY = 1e-9  # what rounding leaves of a share of nobody


_SEVERITY: TypeAdapter[Severity] = TypeAdapter(AnySeverity)


def _of_segments(raw: Raw, wanted: str | None) -> list[Raw]:
    segments: list[Raw] = raw["population"]["segments"]
    if wanted is None:
        return segments
    found = [segment for segment in segments if segment["name"] == wanted]
    if not found:
        names = ", ".join(segment["name"] for segment in segments)
        raise SimulatorError("stress: segment", wanted, f"is no segment ({names})", "use the names of the segments")
    return found


def _of_sets(raw: Raw, wanted: str | None) -> list[Raw]:
    """Parameter sets of the segments, tables of lists by parameter."""
    return [part for part in raw["population"].get("parameter_sets") or () if wanted in (None, part["segment"])]


def _scale_costs(raw: Raw, factor: float, segment: str | None) -> None:
    for part in _of_segments(raw, segment):
        part["severity"] = _scaled(part["severity"], factor, f"costs of {part['name']!r}")
    for drawn in _of_sets(raw, segment):
        for path in drawn.keys() - {"segment"}:
            drawn[path] = [scaled_figure(path.rpartition(".")[2], value, factor) for value in drawn[path]]
    if segment is None:
        for service in raw["population"]["rare_services"]:
            service["price"] = _scaled(service["price"], factor, f"price of {service['name']!r}")


def _scaled(severity: Raw, factor: float, whose: str) -> Raw:
    """A severity's figures with every cost multiplied by a factor."""
    try:
        return _SEVERITY.validate_python(severity).scaled(factor).model_dump(exclude_none=True)
    except (ValidationError, ValueError):
        bound = f"cannot be multiplied by {factor:.6g}"
        raise SimulatorError(f"stress: {whose}", None, bound, "let the stress change them by less") from None


class Change(Term):
    """One thing that turns out otherwise."""

    figure: ClassVar[str] = "by"
    """The name of the leading figure."""
    largest: ClassVar[float] = 1.0
    """How far the leading figure is moved at most when a breaking point is sought."""

    def apply(self, raw: Raw) -> None:
        """Change the truth, in place."""

    def recorded(self, members: dict[str, float]) -> dict[str, float]:
        """People of each segment as the budget counts them, where this differs from the truth."""
        return members

    @property
    def shifted(self) -> float:
        """Share of all cost that leaves the scope and falls on those who fund."""
        return 0.0

    def at(self, value: float) -> Any:
        """The same change with another leading figure."""
        return type(self).model_validate(self.model_dump(by_alias=True) | {self.figure: value})

    @property
    def strength(self) -> float:
        return float(getattr(self, self.figure))

    @property
    def moves(self) -> tuple[Any, ...]:
        """What is moved, and in which direction: everything but how far."""
        others = self.model_dump(exclude={self.figure})
        return (*sorted((name, str(value)) for name, value in others.items()), self.strength < 0)


class MeanCost(Change):
    """The mean cost of a segment, or of everybody, is higher or lower."""

    kind: Literal["mean_cost"] = "mean_cost"
    by: Change01
    """Change of the mean as a fraction: 0.05 for 5% more."""
    segment: str | None = None
    """Everybody where absent."""

    def apply(self, raw: Raw) -> None:
        _scale_costs(raw, 1 + self.by, self.segment)


class Inflation(Change):
    """Prices rise by more than the budget allows for; rare services included."""

    kind: Literal["inflation"] = "inflation"
    by: Change01
    """Beyond what the budget contains, a fraction."""

    def apply(self, raw: Raw) -> None:
        _scale_costs(raw, 1 + self.by, None)


class BaselineError(Change):
    """The figures on which the budget rests understate the true cost."""

    kind: Literal["baseline_error"] = "baseline_error"
    by: Change01
    """True cost / cost in the baseline − 1."""

    def apply(self, raw: Raw) -> None:
        _scale_costs(raw, 1 + self.by, None)


class FailedSavings(Change):
    """Savings that the costs assume do not come."""

    kind: Literal["failed_savings"] = "failed_savings"
    figure: ClassVar[str] = "failed"
    planned: Annotated[float, Field(strict=True, ge=0, lt=1, allow_inf_nan=False)]
    """Saving that is in the assumed costs already, as a share of the cost without it."""
    failed: Fraction = 1.0
    """Share of the plan that fails."""

    def apply(self, raw: Raw) -> None:
        _scale_costs(raw, (1 - self.planned * (1 - self.failed)) / (1 - self.planned), None)


class TailIndex(Change):
    """Very costly patients are costlier: the tail is heavier, the body stays."""

    kind: Literal["tail_index"] = "tail_index"
    largest: ClassVar[float] = -0.9
    by: Change01
    """Change of the tail index as a fraction: −0.1 for a heavier tail."""
    segment: str | None = None
    """Every segment that has a tail index, where absent."""

    def apply(self, raw: Raw) -> None:
        segments = _of_segments(raw, self.segment)
        for drawn in _of_sets(raw, self.segment):
            (own,) = (part["severity"] for part in segments if part["name"] == drawn["segment"])
            _with_index_of_sets(drawn, own, 1 + self.by)
        found = [_with_index(part["severity"], 1 + self.by) for part in segments]
        if not any(found):
            bound = "finds no tail index to change"
            raise SimulatorError("stress: tail_index", None, bound, "use a family with alpha, shape or d")


def _with_index(severity: Raw, factor: float) -> bool:
    family = severity.get("family")
    if family == "spliced":
        return _with_index(severity["tail"], factor)
    if family == "mixture":
        changed = [_with_index(part["severity"], factor) for part in severity["components"]]
        return any(changed)
    changed_figures = FAMILIES[str(family)].with_index(severity, factor)
    severity.update(changed_figures)
    return bool(changed_figures)


def _with_index_of_sets(drawn: Raw, severity: Raw, factor: float, inside: str = "") -> None:
    """The same in every parameter set that gives the tail's figures."""
    if severity.get("family") == "spliced":
        _with_index_of_sets(drawn, severity["tail"], factor, f"{inside}tail.")
        return
    for figure in [path.removeprefix(inside) for path in drawn if path.startswith(inside) and path != "segment"]:
        if "." not in figure:
            changed = [dict(severity) | {figure: value} for value in drawn[inside + figure]]
            for one in changed:
                _with_index(one, factor)
            drawn[inside + figure] = [one[figure] for one in changed]


class Prevalence(Change):
    """A segment is larger or smaller than assumed, at the expense of the others in proportion; so in every unit.

    A unit that has nobody in the segment, or nobody else, stays as it is.
    """

    kind: Literal["prevalence"] = "prevalence"
    segment: str
    by: Change01
    """Change of the segment's share as a fraction."""

    def apply(self, raw: Raw) -> None:
        _of_segments(raw, self.segment)
        segments, units = raw["population"]["segments"], raw["population"]["units"]
        shares = self._moved({segment["name"]: segment["share"] for segment in segments}, "")
        for segment in segments:
            segment["share"] = shares[segment["name"]]
        raw["population"]["units"] = [
            unit | ({"shares": self._moved(unit["shares"], f" in {unit['name']!r}")} if unit.get("shares") else {})
            for unit in units
        ]

    def _moved(self, shares: dict[str, float], where: str) -> dict[str, float]:
        """Shares with more or fewer in the segment."""
        before, others = shares.get(self.segment, 0.0), sum(shares.values()) - shares.get(self.segment, 0.0)
        after = before * (1 + self.by)
        if where and not (before > 0 and others > _NOBODY):
            return shares
        if not 0 < after < 1:
            bound = "must lie between 0 and 1"
            mend = "change it by less"
            raise SimulatorError(f"stress: share of {self.segment!r}{where}", round(after, 6), bound, mend)
        return {name: after if name == self.segment else share * (1 - after) / others for name, share in shares.items()}


class Epidemic(Change):
    """In some years everybody costs more."""

    kind: Literal["epidemic"] = "epidemic"
    probability: Fraction
    """Chance of such a year."""
    by: Change01
    """Additional cost in such a year, as a fraction."""


class NewTreatment(Change):
    """A treatment that few people need and that costs a fortune comes into scope."""

    kind: Literal["new_treatment"] = "new_treatment"
    figure: ClassVar[str] = "per_100k"
    largest: ClassVar[float] = 100.0
    name: str = "new treatment"
    price: Positive
    """Cost of one treatment, money."""
    per_100k: NonNegative
    """Treatments a year for 100,000 people."""
    service: Name | None = None
    """The one of [[services]] that gives it; the first where absent."""

    def apply(self, raw: Raw) -> None:
        _known_service(raw, self.service)
        if not self.per_100k:
            return
        price = {"family": "empirical", "values": [self.price]}
        raw["population"]["rare_services"] += [{"name": self.name, "rate_per_100k": self.per_100k, "price": price}]
        given = [dict(one) for one in raw.get("services") or ()]
        for giver in [one for one in given if self.service in (None, one["name"])][:1]:
            giver["rare_services"] = [*giver.get("rare_services", ()), self.name]
            raw["services"] = given


class UpCoding(Change):
    """People are recorded at a higher need than they have; only budgets by segment notice."""

    kind: Literal["up_coding"] = "up_coding"
    figure: ClassVar[str] = "share"
    source: str
    """Segment to which they belong."""
    recorded_as: str
    """Segment in which they are counted."""
    share: Fraction
    """Share of the people of `source`."""

    def _contradictions(self) -> Iterator[Contradiction]:
        if self.source == self.recorded_as:
            yield (), mistake(f"records people of {self.source!r} as what they are", "name two segments")

    def apply(self, raw: Raw) -> None:
        """Nothing but the names is looked at: costs stay as they are."""
        _of_segments(raw, self.source), _of_segments(raw, self.recorded_as)

    def recorded(self, members: dict[str, float]) -> dict[str, float]:
        moved = self.share * members[self.source]
        changed = {self.source: members[self.source] - moved, self.recorded_as: members[self.recorded_as] + moved}
        return members | changed


class CostShift(Change):
    """Care moves out of scope: the budget is spared it, and those who fund pay for it a second time."""

    kind: Literal["cost_shift"] = "cost_shift"
    figure: ClassVar[str] = "share"
    largest: ClassVar[float] = 0.99
    share: Annotated[float, Field(strict=True, ge=0, lt=1, allow_inf_nan=False)]
    """Share of all cost."""

    def apply(self, raw: Raw) -> None:
        _scale_costs(raw, 1 - self.share, None)

    @property
    def shifted(self) -> float:
        return self.share


class Leakage(Change):
    """Residents are treated elsewhere at the holder's expense, while some of its own cost stays."""

    kind: Literal["leakage"] = "leakage"
    figure: ClassVar[str] = "share"
    share: Fraction
    """Share of all care."""
    price: NonNegative = 1.0
    """What care elsewhere costs, as a share of the holder's own cost (Alzira paid 100%)."""
    stranded: Fraction = 0.5
    """Share of the holder's own cost of that care that stays in the year; the default is assumed."""

    def apply(self, raw: Raw) -> None:
        _scale_costs(raw, 1 + self.share * (self.price - 1 + self.stranded), None)


class OfYears(Change):
    """Persistence, leavers, moves, trend or growth over [years] turn out otherwise."""

    kind: Literal["years"] = "years"
    of: Name
    """What it is by its path below `years`: "leavers", "moves[complex]", "persistence.again_in_top"."""
    by: Change01
    """Change of all figures there, as a fraction."""

    def apply(self, raw: Raw) -> None:
        """Multiply the figures."""
        *outer, last = steps_of({"years": raw.get("years") or {}}, f"years.{self.of}")
        place: Any = raw
        for step in outer:
            place = place[step]
        place[last] = _times(place[last], 1 + self.by, f"years.{self.of}")


class OfService(Change):
    """Something of one service, or of all care, turns out otherwise; costs are drawn as agreed and moved afterwards."""

    service: Name | None = None
    """One of [[services]]; all care where absent."""

    def apply(self, raw: Raw) -> None:
        """Nothing but the name is looked at."""
        _known_service(raw, self.service)

    def move(self, moves: Moves) -> Moves:
        """What turns out otherwise, with this."""
        raise NotImplementedError

    def _compounded(self, moves: Moves, which: Literal["activity", "price"], by: float) -> Moves:
        key, known = self.service or "", getattr(moves, which)
        return moves.model_copy(update={which: known | {key: (1 + known.get(key, 0.0)) * (1 + by) - 1}})


class Activity(OfService):
    """More or less is done, at agreed prices: a tariff pays for it, a block does not."""

    kind: Literal["activity"] = "activity"
    by: Change01
    """Change as a fraction."""

    def move(self, moves: Moves) -> Moves:
        return self._compounded(moves, "activity", self.by)


class Price(OfService):
    """Inputs cost more than agreed, for the same activity: who buys them bears it."""

    kind: Literal["price"] = "price"
    by: Change01
    """Change as a fraction."""

    def move(self, moves: Moves) -> Moves:
        return self._compounded(moves, "price", self.by)


class Elsewhere(OfService):
    """Patients take a part of their care to other providers, paid at agreed prices by those who fund it.

    Of capitated services, and of designs that are not settled by service, the holder pays.
    """

    kind: Literal["elsewhere"] = "elsewhere"
    figure: ClassVar[str] = "share"
    share: Fraction
    """Share of the activity."""

    def move(self, moves: Moves) -> Moves:
        key, known = self.service or "", moves.elsewhere
        return moves.model_copy(update={"elsewhere": known | {key: 1 - (1 - known.get(key, 0.0)) * (1 - self.share)}})


class ServiceShift(OfService):
    """Care moves from one service to another, at the same cost: who provides and funds it changes with it."""

    kind: Literal["service_shift"] = "service_shift"
    figure: ClassVar[str] = "share"
    service: Name
    """The service that care leaves."""
    receiver: Name
    """The service that receives it."""
    share: Fraction
    """Share of the activity of the first."""

    def apply(self, raw: Raw) -> None:
        """Nothing but the names is looked at."""
        for name in (self.service, self.receiver):
            _known_service(raw, name)

    def move(self, moves: Moves) -> Moves:
        return moves.model_copy(update={"shifts": (*moves.shifts, (self.service, self.receiver, self.share))})


def _known_service(raw: Raw, service: str | None) -> None:
    names = [one["name"] for one in raw.get("services") or ()]
    if service is not None and service not in names:
        bound = f"is no service ({', '.join(names)})" if names else "is no service: the scenario has none"
        raise SimulatorError("stress: service", service, bound, "use the names of [[services]]")


def _times(part: Any, factor: float, path: str) -> Any:
    """Every figure in a part multiplied by a factor."""
    if isinstance(part, dict):
        return {key: _times(value, factor, path) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [_times(value, factor, path) for value in part]
    if not isinstance(part, float):
        raise SimulatorError(f"stress: {path}", part, "is no figure that can grow", "name one of [years]")
    return part * factor


class ShockSize(Change):
    """A shock of the scenario is larger or smaller."""

    kind: Literal["shock_size"] = "shock_size"
    of: Name
    """Name of a shock that has a cv."""
    by: Annotated[float, Field(strict=True, ge=-1, allow_inf_nan=False)]
    """Change of its cv as a fraction; −1 removes it."""

    def apply(self, raw: Raw) -> None:
        """Multiply the cv."""
        found = [shock for shock in raw["shocks"] if shock["name"] == self.of and "cv" in shock]
        if not found:
            names = ", ".join(repr(shock["name"]) for shock in raw["shocks"] if "cv" in shock) or "none are defined"
            bound = f"is not a shock with a cv ({names})"
            raise SimulatorError("stress: shock_size", self.of, bound, "name one of [[shocks]]")
        changed = [
            dict(shock) | ({"cv": shock["cv"] * (1 + self.by)} if shock in found else {}) for shock in raw["shocks"]
        ]
        raw["shocks"] = [shock for shock in changed if shock.get("cv") != 0]


_OfCosts = MeanCost | Inflation | BaselineError | FailedSavings | TailIndex
_OfServices = Activity | Price | Elsewhere | ServiceShift
_OfNeedsAndPlaces = Prevalence | Epidemic | NewTreatment | UpCoding | CostShift | Leakage | OfYears | ShockSize
AnyChange = Annotated[_OfCosts | _OfNeedsAndPlaces | _OfServices, Field(discriminator="kind")]
"""Every change that a stress may be made of; a new one is a class above and its name in one of these unions."""


class Stress(Term):
    """A named stress: one change, or several at once."""

    name: Name
    expresses: str = ""
    """What it expresses and where it comes from, in a sentence."""
    changes: Annotated[tuple[AnyChange, ...], Field(min_length=1)]


def at_once(stresses: Sequence[Stress]) -> tuple[AnyChange, ...]:
    """The changes of several stresses at once, in their order.

    A combination names inputs that other stresses may move too: each input is then moved once, by the stresses that
    consist of it alone or by the combination that moves it furthest.

    Examples
    --------
    >>> prices, demand = Inflation(by=0.02), MeanCost(by=0.03)
    >>> both = Stress(name="both", changes=(prices, demand))
    >>> len(at_once([Stress(name="prices", changes=(prices,)), Stress(name="demand", changes=(demand,)), both]))
    2
    """
    claims: dict[tuple[Any, ...], dict[str, list[AnyChange]]] = {}
    for number, stress in enumerate(stresses):
        claimant = "alone" if len(stress.changes) == 1 else f"combination {number}"
        for change in stress.changes:
            claims.setdefault(change.moves, {}).setdefault(claimant, []).append(change)
    furthest = (
        max(by.values(), key=lambda changes: sum(abs(change.strength) for change in changes)) for by in claims.values()
    )
    return tuple(change for changes in furthest for change in changes)


class Range(Term):
    """An uncertain input: a change whose leading figure lies anywhere between two ends."""

    name: Name
    change: AnyChange
    """What is uncertain; its own leading figure does not matter."""
    low: Annotated[float, Field(strict=True, allow_inf_nan=False)]
    high: Annotated[float, Field(strict=True, allow_inf_nan=False)]


class _Library(Term):
    stresses: Annotated[tuple[Stress, ...], Field(min_length=1)]


def load_stresses(path: str | os.PathLike[str]) -> tuple[Stress, ...]:
    """Stresses from a TOML file of [[stresses]], such as those in `configs/stresses/`.

    Raises
    ------
    SimulatorError
        Listing every mistake of the file.
    """
    return validated(_Library, renewed(read_toml(path)), str(Path(path))).stresses
