"""A design: who pays what. Budget, exclusion rule, ordered terms, parties, and the transfers between them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from ..deprecated import renewed
from ..errors import Contradiction, SimulatorError, mistake, validated
from ..terms import Count, Name, NonNegative, Term, names_differ
from .activity import TariffAndBlock
from .budget import Budget, BySegment, PerHead
from .context import ByYear, CalendarYear, calendar_years
from .contract import Contract
from .exclusion import Cap, ExclusionRule
from .parties import TWO_PARTIES, Party, Protection, SplitName, mistakes_of
from .quality import Quality
from .services import Form
from .sharing import SharingTerm
from .transfers import FollowPatients, RiskPool, Transfer


def _only_one(raw: Any) -> Any:
    if isinstance(raw, list | tuple):
        raise mistake(f"is given {len(raw)} times", "a design has one budget", value=None)
    return raw


class Design(Term):
    """Budget, exclusion rule, ordered terms and parties.

    Terms are applied in the order in which they are written; the first receives budget − retained cost. Without terms
    the provider carries the full risk.
    """

    name: Name
    """What the design is called in results."""
    labels: tuple[str, ...] = ()
    """Other names by which rows of actual figures refer to it."""
    expresses: str = ""
    """What it expresses, in a sentence."""
    budget: Annotated[Budget, BeforeValidator(_only_one)] = PerHead()
    exclusion: ExclusionRule = Cap(at=math.inf)
    terms: tuple[SharingTerm, ...] = ()
    parties: Annotated[tuple[Party, ...], Field(min_length=1)] = TWO_PARTIES
    split: SplitName | None = None
    """How the settlement is divided; without it "fixed" where a party has a `gain_share`, else "by_budget"."""
    protection: Protection | None = None
    """Who pays the excess, and for what premium; without it those who fund bear it."""
    transfers: tuple[Transfer, ...] = ()
    """Payments between parties after the settlement, in order."""
    services: Annotated[dict[Name, Form] | None, Field(exclude_if=lambda given: given is None)] = None
    """Settled service by service where given, even empty: how the services named are paid, the others as [[services]]
    say. Their providers and funders take the place of `delivers` and `funds`; the budget, terms and split are those of
    the capitated services, which have their expected part of the budget."""
    quality: Quality | None = None
    """How quality turns out; needed by terms that follow it."""
    revenue: NonNegative | None = None
    """The provider's own revenue as a share of the budget; needed by limits of revenue."""
    savings: ByYear = 0.0
    """What the design itself saves of the retained cost, a share, or one for each year."""
    saved_by: tuple[Name, ...] = ()
    """Parties that cause the savings; a label."""
    year: Count = 1
    """Contract year, 1 for the first: terms with a figure for each year take the one of this year."""
    rule_year: CalendarYear | None = None
    """Calendar year of the rules: terms with figures by calendar year take those that hold in it."""

    contract: Contract | None = None
    """What holds between the years of a contract; without it each year is settled on its own."""

    @property
    def split_by(self) -> SplitName:
        """How the settlement is divided."""
        fixed = any(party.gain_share is not None for party in self.parties)
        return self.split or ("fixed" if fixed else "by_budget")

    @property
    def saves(self) -> float:
        """What it saves in its contract year, as a share of the retained cost."""
        listed = self.savings if isinstance(self.savings, tuple) else (self.savings,)
        return listed[min(self.year, len(listed)) - 1]

    @property
    def funders(self) -> dict[str, float]:
        """Shares of the parties that fund."""
        return {party.name: party.funds for party in self.parties if party.funds}

    @property
    def follows_patients(self) -> FollowPatients | None:
        """The transfer that moves activity, if there is one."""
        return next((transfer for transfer in self.transfers if isinstance(transfer, FollowPatients)), None)

    def at_point(self, point: float) -> Design:
        """The design, its rule at one point of the grid where it is swept."""
        return self.model_copy(update={"exclusion": self.exclusion.at_point(point)})

    @property
    def draws(self) -> bool:
        """Whether it draws something of its own in every year: quality, or where patients go."""
        return self.follows_patients is not None or bool(self.quality and self.quality.draws)

    @property
    def excess_bearers(self) -> dict[str, float]:
        """Shares of those on whom the excess falls."""
        return self.funders if self.protection is None else {self.protection.payer: 1.0}

    def _contradictions(self) -> Iterator[Contradiction]:
        for error in mistakes_of(self.parties, self.split_by, self.services is not None):
            yield ("parties",), error
        if self.services is not None and self.follows_patients is not None:
            bound = "let patients move, while services are settled one by one"
            yield (
                ("transfers",),
                mistake(bound, 'omit follow_patients: a stress moves = "elsewhere" does it by service'),
            )
        names = {party.name for party in self.parties}
        for key, steps in (("terms", self.terms), ("transfers", self.transfers)):
            for position, step in enumerate(steps):
                for error in _mistakes_of_step(step, self, names):
                    yield (key, position), error
        for party in (self.protection.payer, self.protection.premium_from) if self.protection else ():
            if party is not None and party not in names:
                yield ("protection",), _absent(party, names)
        for party in self.saved_by:
            if party not in names:
                yield ("saved_by",), _absent(party, names)
        if max(self.savings if isinstance(self.savings, tuple) else (self.savings,)) >= 1:
            yield ("savings",), mistake("leave no cost", "give a share below 1")
        if self.protection and self.protection.payer == self.protection.premium_from:
            yield ("protection",), mistake("is bought by its own payer", "name another for premium_from")
        if self.contract is not None:
            for party in self.contract.parties_needed():
                if party not in names:
                    yield ("contract",), _absent(party, names)
            for position, step in enumerate(self.contract.cumulative):
                for error in _mistakes_of_step(step, self, names):
                    yield ("contract", "cumulative", position), error
        if sum(isinstance(transfer, FollowPatients) for transfer in self.transfers) > 1:
            yield ("transfers",), mistake("let patients move twice", "keep one follow_patients")
        if {"full_risk", "no_risk"} <= {term.kind for term in self.terms}:
            yield ("terms",), mistake("hold both full_risk and no_risk", "keep one of them")


def _mistakes_of_step(step: Any, design: Design, names: set[str]) -> Iterable[PydanticCustomError]:
    for party in dict.fromkeys(step.parties_needed()):
        if party not in names:
            yield _absent(party, names)
    yield from _repeats(step)
    yield from _years_amiss(step, design.rule_year)
    if isinstance(step, FollowPatients):
        for party in (party for party in design.parties if party.name in step.providers and not party.delivers):
            bound = f"(follow_patients) moves patients of {party.name!r}, which delivers nothing"
            yield mistake(bound, "give it a part of delivery, or leave it out")
    if step.needs_quality and design.quality is None:
        yield mistake(f"({step.kind}) follows quality, which the design does not give", "add quality = { … }")
    if design.revenue is None and (step.limited_by_revenue or step.goes_by_revenue):
        how = "is limited by" if step.limited_by_revenue else "goes by"
        bound = f"({step.kind}) {how} revenue, which the design does not give"
        yield mistake(bound, "add revenue = share of the budget")


def _years_amiss(step: Any, rule_year: int | None) -> Iterable[PydanticCustomError]:
    """Figures by calendar year of which none holds in the design's rule year."""
    for name in type(step).model_fields:
        years = calendar_years(getattr(step, name))
        if not years:
            continue
        if rule_year is None:
            bound = f"({step.kind}) gives {name} by calendar year, and the design has no rule_year"
            yield mistake(bound, f"add rule_year = {years[-1]}")
        elif rule_year < years[0]:
            bound = f"({step.kind}) gives {name} from {years[0]} on, after the design's rule_year {rule_year}"
            yield mistake(bound, "begin it earlier, or name a later rule_year")


def _repeats(step: Any) -> Iterable[PydanticCustomError]:
    """A party on both sides of a payment, or named twice among those who share one."""
    if isinstance(step, RiskPool):
        if step.pool in (*step.contributions, *step.protects, *step.owners):
            yield mistake(f"lets pool {step.pool!r} pay itself", "protect others, and let others contribute")
        return
    named = step.parties_needed()
    for party in sorted({name for name in named if named.count(name) > 1}):
        yield mistake(f"({step.kind}) names party {party!r} twice", "name each once")


def _absent(party: str, names: Iterable[str]) -> PydanticCustomError:
    bound = f"needs party {party!r}, which is not among the parties ({', '.join(sorted(names))})"
    return mistake(bound, "add it, or name another")


STATUS_QUO = "status quo"

_WHO_IT_IS = ("name", "funds", "delivers", "variable_share")


def status_quo(parties: Sequence[Party] = TWO_PARTIES) -> Design:
    """Tariff and block: a part of the care is paid as it is done, the rest by a fixed sum, for every provider alike.

    Of each party it keeps who it is: what it funds and delivers, and how much of its cost varies. What a proposal
    agrees with it, such as shares, limits or a contract's value, is no part of the status quo. Half of the money in
    blocks is assumed.
    """
    return Design(
        name=STATUS_QUO,
        expresses="Half of every provider's budget is a block, the rest is paid by tariff: nobody shares anything.",
        terms=(TariffAndBlock(block_share=0.5),),
        parties=tuple(Party(**{name: getattr(party, name) for name in _WHO_IT_IS}) for party in parties),
        split="by_budget",
    )


def with_reference(designs: Sequence[Design], reference: str | None = None) -> tuple[Design, ...]:
    """The designs to compare, the reference first: the named one, or else the status quo among the same parties."""
    wanted = reference or STATUS_QUO
    first = next((design for design in designs if design.name == wanted), None)
    if first is None and reference is not None:
        names = ", ".join(design.name for design in designs)
        raise SimulatorError("reference", reference, "is not a design", f"choose from {names}")
    if first is None:
        first = status_quo(designs[0].parties if designs else TWO_PARTIES)
        if any(design.services is not None for design in designs):
            says = "Every service is paid as it is today: nobody shares anything else."
            first = first.model_copy(update={"services": {}, "terms": (), "expresses": says})
    return (first, *(design for design in designs if design.name != wanted))


def designs_from(raw: Any, source: str = "designs") -> tuple[Design, ...]:
    """Designs from parsed tables, each mistake told as `source: designs[0].terms[1].…`."""
    return validated(_Designs, {"designs": renewed(raw, "designs")}, source).designs


class _Designs(Term):
    designs: Annotated[tuple[Design, ...], Field(min_length=1)]


def mistakes_against(designs: Sequence[Design], segments: Iterable[str], thresholds: Iterable[float]) -> Any:
    """Sentences for designs that do not fit a scenario, to be told before any draw."""
    known, grid = set(segments), set(thresholds) | {math.inf}
    yield from names_differ(designs)
    for design in designs:
        if isinstance(design.budget, BySegment) and set(design.budget.amounts) != known:
            bound = f"design {design.name!r} must give an amount for every segment ({', '.join(sorted(known))})"
            yield mistake(bound, "name the same segments")
        for threshold in design.exclusion.fixed_thresholds():
            if threshold not in grid:
                bound = f"design {design.name!r} excludes at {threshold:g}, which is not on the grid"
                yield mistake(bound, "add it to [simulation] thresholds")


def on_grid(designs: Sequence[Design], grid: Sequence[float] | NDArray[np.float64]) -> tuple[Design, ...]:
    """The designs, a swept rule at the grid's own point where the grid has one alone."""
    return tuple(designs) if len(grid) > 1 else tuple(design.at_point(float(grid[0])) for design in designs)
