"""Services: who provides and who funds each, how it is paid, and how its cost follows activity.

Activity is what is done at agreed prices. A price is that of the service's inputs, 1 as agreed: who buys the inputs
bears its rise, but for the part by which payments are indexed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from ..costs.services import ServiceShare
from ..errors import Contradiction, mistake
from ..terms import Fraction, Name, NonNegative, Term
from .activity import Block, CostAndVolume, MarginalRate
from .context import Array, Context, SettlementTerm


class Tariff(SettlementTerm):
    """Activity at the agreed price: nothing is settled afterwards."""

    kind: Literal["tariff"] = "tariff"

    def apply(self, settlement: Array, context: Context) -> Array:
        return np.zeros_like(settlement)


class PassThrough(SettlementTerm):
    """Those who fund pay what the service costs its provider, prices included."""

    kind: Literal["pass_through"] = "pass_through"

    def apply(self, settlement: Array, context: Context) -> Array:
        return np.zeros_like(settlement)


class Capitated(SettlementTerm):
    """Paid from the design's budget with the other capitated services, under its terms and split."""

    kind: Literal["capitated"] = "capitated"

    def apply(self, settlement: Array, context: Context) -> Array:
        return settlement


_KINDS = Literal["tariff", "block", "pass_through", "capitated"]
_AnyForm = Annotated[
    Tariff | Block | PassThrough | Capitated | CostAndVolume | MarginalRate, Field(discriminator="kind")
]
Form = Annotated[
    _AnyForm,
    BeforeValidator(
        lambda raw: {"kind": raw} if isinstance(raw, str) else raw, json_schema_input_type=_AnyForm | _KINDS
    ),
]
"""How a service is paid: a kind by its name alone, or a table of the kind and its figures."""


class CostBehaviour(Term):
    """How a service's cost follows a change of its activity within the year."""

    kind: Literal["variable", "fixed", "stepped"] = "variable"
    variable_share: Fraction = 0.0
    """Share of a change that is cash at once, where the rest is fixed or stepped."""
    after_months: Annotated[float, Field(strict=True, ge=0, le=12, allow_inf_nan=False)] = 0.0
    """Months after which stepped cost of less activity is released; what is left of the year is saved."""
    step: NonNegative = 0.0
    """Size of a step, as a share of the planned cost; only whole steps are taken. 0: as small as one likes."""

    def _contradictions(self) -> Iterator[Contradiction]:
        given = {name for name in ("variable_share", "after_months", "step") if getattr(self, name)}
        idle = given - {"variable": set(), "fixed": {"variable_share"}, "stepped": given}[self.kind]
        for name in sorted(idle):
            yield (name,), mistake(f"has no meaning for a {self.kind} cost", "omit it, or give another kind")

    def change(self, activity: Array, planned: Array) -> Array:
        """Change of the cost with activity other than planned, money per year."""
        moved = np.asarray(activity - planned)
        if self.kind == "variable":
            return moved
        rest = np.zeros_like(moved)
        if self.kind == "stepped":
            step = self.step * planned
            whole = np.divide(moved, step, out=np.zeros_like(moved), where=step > 0)
            rest = np.where(step > 0, np.trunc(whole + 1e-9 * np.sign(whole)) * step, moved)
            rest = np.where(rest < 0, rest * (1.0 - self.after_months / 12.0), rest)
        return np.asarray(self.variable_share * moved + (1.0 - self.variable_share) * rest)


Shares = Annotated[dict[Name, Fraction], Field(min_length=1)]


class Service(ServiceShare):
    """One service of a scenario: its share of costs, its parties, how it is paid and how its cost behaves."""

    providers: Shares
    """Parties that provide it, and their parts, which add to 1."""
    funders: Shares
    """Parties that fund it, and their parts, which add to 1: two in a pooled fund of health and social care."""
    form: Form = Tariff()
    """How it is paid today: "tariff", "block", "pass_through", "capitated", or a table as in terms."""
    cost: CostBehaviour = CostBehaviour()
    """How its cost follows activity."""
    indexed: Fraction = 0.0
    """Share of a change of input prices that the payment follows."""
    activity_cv: Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)] = 0.0
    """Coefficient of variation of a yearly lognormal factor of its activity, of mean 1."""
    price_cv: Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)] = 0.0
    """The same of its input prices."""

    def _contradictions(self) -> Iterator[Contradiction]:
        for key in ("providers", "funders"):
            total = sum(getattr(self, key).values())
            if abs(total - 1.0) > 1e-6:
                yield (key,), mistake(f"have parts that add up to {total:g}, not 1", "divide it wholly", value=None)

    @property
    def as_share(self) -> ServiceShare:
        """What of it the costs' law knows."""
        return ServiceShare(**{name: getattr(self, name) for name in ServiceShare.model_fields})


def mistakes_of_services(
    services: Sequence[Service], forms: Mapping[str, Any] | None, parties: Sequence[str]
) -> Iterator[PydanticCustomError]:
    """Sentences for a design that is settled by service and does not fit the scenario's services."""
    if forms is None:
        return
    if not services:
        yield mistake("need [[services]]", "add them to the scenario, or omit it", value=None)
    names = [service.name for service in services]
    for stranger in sorted(set(forms) - set(names)):
        yield mistake(
            f"name {stranger!r}, which is no service ({', '.join(names)})", "use the services' names", value=None
        )
    for service in services:
        for party in sorted({*service.providers, *service.funders} - set(parties)):
            bound = f"need party {party!r} of {service.name!r}, which is not among the design's parties"
            yield mistake(bound, "add it", value=None)


class Moves(Term):
    """What turns out otherwise than agreed, by service; of everything under "": fractions, 0 as agreed."""

    activity: dict[str, float] = Field(default_factory=dict)
    price: dict[str, float] = Field(default_factory=dict)
    elsewhere: dict[str, float] = Field(default_factory=dict)
    """Share of the activity that its patients take to other providers."""
    shifts: tuple[tuple[str, str, float], ...] = ()
    """Service that care leaves, service that receives it, share of the first one's activity."""

    def factor(self, kind: Literal["activity", "price"], service: str = "") -> float:
        """What multiplies activity or price."""
        of: dict[str, float] = getattr(self, kind)
        return (1.0 + of.get("", 0.0)) * (1.0 + (of.get(service, 0.0) if service else 0.0))

    def shifted(self, activity: Array, names: Sequence[str]) -> Array:
        """Activity (service, …) after care has moved between services."""
        moved = activity.copy()
        for source, receiver, share in self.shifts:
            part = share * activity[names.index(source)]
            moved[names.index(source)] -= part
            moved[names.index(receiver)] += part
        return moved
