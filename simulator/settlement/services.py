"""Designs settled service by service: activity and price apart, each by the form in which it is paid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray as xr

from ..contracts.accounts import Accounts
from ..contracts.context import Array, Context
from ..contracts.design import Design
from ..contracts.exclusion import ExclusionRule
from ..contracts.parties import divide
from ..contracts.services import Capitated, Moves, PassThrough, Service
from ..contracts.transfers import Scene
from ..costs.services import Nodes, expected_lines
from ..costs.shocks import Shock
from ..engine import kernels
from ..errors import SimulatorError
from ..ledger import retained_cost
from .clearing import Cleared, apply_terms

if TYPE_CHECKING:
    from .populations import Populations

MOVES = "service_moves"
"""Attribute of a ledger: what turns out otherwise than agreed, by service."""
_LINES = ("gross_cost", "excess_cost", "above_cost")
_FACTORS = 1 << 23  # streams of the services' purpose from here on are their yearly factors


class Lines(NamedTuple):
    """Each service's line; arrays (service, replicate or 1, others …), money per year at agreed prices."""

    services: tuple[Service, ...]
    drawn: Array
    """What an exclusion rule keeps, as it was drawn."""
    activity: Array
    """What is done: after the services' own factors, and what a stress moves."""
    gone: Array
    """The part of it that patients take to other providers."""
    price: Array
    """Of the inputs, 1 as agreed."""
    planned: Array
    """Expected of what the rule keeps, as agreed."""
    excess: Array
    expected_excess: Array

    def grown(self, growth: float, of_drawn: float) -> Lines:
        """After growth since costs were drawn; `of_drawn` is what a design leaves of those that the rule keeps."""
        if growth == of_drawn == 1.0:
            return self
        expected = {name: growth * getattr(self, name) for name in ("planned", "excess", "expected_excess")}
        return self._replace(
            **{name: of_drawn * getattr(self, name) for name in ("drawn", "activity", "gone")} | expected
        )


def moves_of(ledger: xr.Dataset) -> Moves:
    """What turns out otherwise, by service."""
    told = ledger.attrs.get(MOVES)
    return Moves() if told is None else Moves.model_validate_json(told)


def lines_of(populations: Populations, rule: ExclusionRule) -> Lines | None:
    """The lines that a rule keeps; None of a ledger without services."""
    ledger = populations.ledger
    if "service_gross_cost" not in ledger or not populations.services:
        return None
    if populations.year is not None:  # states of several years have no expected lines
        return None
    services, moves = populations.services, populations.moves
    of_lines = ledger[[f"service_{name}" for name in _LINES]].rename({f"service_{name}": name for name in _LINES})
    order = ("service", "replicate", *populations.others)
    gross = of_lines["gross_cost"].transpose(*order).values
    drawn = gross
    if not rule.excludes_nobody:
        drawn = np.maximum(retained_cost(of_lines, rule).squeeze("threshold", drop=True).transpose(*order).values, 0.0)
    names = [service.name for service in services]
    own = {kind: np.stack([_factor(populations, services, h, kind) for h in range(len(names))]) for kind in _STREAM}
    activity, price = (
        own[kind] * _column([moves.factor(kind, name) for name in names], drawn.ndim) for kind in ("activity", "price")
    )
    activity = moves.shifted(drawn * activity, names)
    gone = _column([moves.elsewhere.get(name, moves.elsewhere.get("", 0.0)) for name in names], drawn.ndim) * activity
    planned, expected = _expected(populations, rule, drawn), _expected(populations, None, gross)
    return Lines(services, drawn, activity, gone, price, planned, gross - drawn, expected - planned)


_STREAM = {"activity": 0, "price": 1}


def _factor(populations: Populations, services: Sequence[Service], h: int, kind: str) -> Array:
    """A service's own factor of the year, shape (replicate or 1, …)."""
    cv = getattr(services[h], f"{kind}_cv")
    if not any(getattr(service, f"{kind}_cv") for service in services):
        return np.ones((1,) * (1 + len(populations.others)))
    if not cv:
        return populations.by_replicate(np.ones(populations.replicates.size))
    seed, stream = int(populations.ledger.attrs["seed"]), _FACTORS + 2 * h + _STREAM[kind]
    uniforms = kernels.uniforms(seed, kernels.SERVICES, stream, populations.replicates, 1)[:, 0]
    return populations.by_replicate(Shock(name=kind, cv=cv).factor(uniforms))


def _column(values: Sequence[float], dims: int) -> Array:
    return np.asarray(values).reshape(-1, *(1,) * (dims - 1))


def _expected(populations: Populations, rule: ExclusionRule | None, drawn: Array) -> Array:
    """Expected lines, adding up to the expected cost; from means of the draws where the scenario is withheld."""
    whole = populations.expected_gross if rule is None else populations.expected_retained(rule)
    if populations.scenario is None:
        mean = drawn.mean(axis=1, keepdims=True)
        return np.asarray(mean / mean.sum(axis=0) * whole)
    split, layers = populations.scenario.split, populations.layers(rule)
    assert split is not None
    by_set = [
        expected_lines(split, exact.model.streams, Nodes(exact.factors, exact.weights), populations.heads, layers)
        for exact in populations.exact_by_set
    ]
    mean = np.mean(by_set, axis=0).T[:, None]  # (service, 1, place)
    return np.asarray(mean / mean.sum(axis=0) * whole)


def with_services(populations: Populations, design: Design) -> Design:
    """A design that is settled by service; what parties fund and deliver is that of the services."""
    services = populations.services
    if not services or "service_gross_cost" not in populations.ledger or populations.year is not None:
        bound = f"is settled by service, and the ledger has {'none' if populations.year is None else 'several years'}"
        raise SimulatorError(f"design {design.name!r}", None, bound, "give [[services]] to a scenario of one year")
    expected = _expected(populations, None, populations.ledger["service_gross_cost"].transpose("service", ...).values)
    weights = expected.mean(axis=tuple(range(1, expected.ndim)))
    weights = weights / weights.sum()

    def part(party: str, key: str) -> float:
        return float(sum(w * getattr(one, key).get(party, 0.0) for w, one in zip(weights, services, strict=True)))

    parties = tuple(
        party.model_copy(update={"funds": part(party.name, "funders"), "delivers": part(party.name, "providers")})
        for party in design.parties
    )
    return design.model_copy(update={"parties": parties})


class Year(NamedTuple):
    """What a contract year knows besides its lines."""

    context: Context
    """Of all services together: the budget, and the cost that the contract measures."""
    expected_cost: Array


def clear_services(design: Design, year: Year, lines: Lines) -> Cleared:
    """Settle one design service by service.

    Who buys the inputs bears their price: the provider, but for what is passed through and the part by which payments
    are indexed. What patients take elsewhere is paid, at agreed prices, by those who fund; of a capitated service by
    its providers.
    """
    accounts = Accounts((party.name for party in design.parties), lines.activity.shape[1:])
    forms, settled = design.services or {}, np.zeros(lines.activity.shape[1:])
    named = [forms.get(service.name, service.form) for service in lines.services]
    capitated = [h for h, form in enumerate(named) if isinstance(form, Capitated)]
    pooled = _pooled_funders(lines, capitated)
    for h, service in enumerate(lines.services):
        form, planned = named[h], lines.planned[h]
        mine = lines.activity[h] - lines.gone[h]
        cost = lines.price[h] * (planned + service.cost.change(mine, planned))
        indexed = 1.0 + service.indexed * (lines.price[h] - 1.0)
        is_capitated = isinstance(form, Capitated)
        if is_capitated:
            paid = lines.activity[h] * indexed
        elif isinstance(form, PassThrough):
            paid = cost
        else:
            context = Context(budget=planned, cost=mine, members=year.context.members, year=design.year)
            settlement = form.apply(planned - mine, context)
            if form.event:
                accounts.note(form.event, form.triggered(planned - mine, settlement, context))
            paid, settled = (mine + settlement) * indexed, settled + settlement
        for name, share in service.providers.items():
            accounts.line = "cost of care"
            accounts.bear(name, share * lines.drawn[h])
            accounts.bear_more(name, share * (cost + (lines.gone[h] if is_capitated else 0.0) - lines.drawn[h]))
            accounts.line = "paid for care, and the settlement"
            accounts.pay(pooled if is_capitated else service.funders, name, share * paid)
        for name, share in service.funders.items():
            accounts.line = "money of funders"
            if name not in year.context.allocations:
                accounts.fund(name, share * (planned + lines.expected_excess[h]))
            accounts.line = "cost of care"
            if not is_capitated:
                accounts.bear_more(name, share * lines.gone[h])
            accounts.line = "excess of the exclusion rule"
            if design.protection is None:
                accounts.bear(name, share * lines.excess[h])
    accounts.line = "money of funders"
    for name in design.funders.keys() & year.context.allocations.keys():
        accounts.fund(name, year.context.allocations[name])
    accounts.line = "paid for care, and the settlement"
    if capitated:
        settled = settled + _pay_capitated(design, year, lines, capitated, accounts)
    accounts.line = "protection"
    if design.protection is not None:
        excess = lines.expected_excess.sum(axis=0), lines.excess.sum(axis=0)
        design.protection.settle(accounts, design.funders, *excess)
    parties = {party.name: party for party in design.parties}
    scene = Scene(year.context, parties, design.funders, year.expected_cost, year.context.outcomes_met, {})
    for transfer in design.transfers:
        accounts.line = transfer.line
        transfer.apply(accounts, scene)
    return Cleared(np.asarray(year.context.budget), settled, accounts)


def _pay_capitated(design: Design, year: Year, lines: Lines, chosen: list[int], accounts: Accounts) -> Array:
    """The settlement of the capitated services together, paid among their parties."""
    planned = lines.planned[chosen].sum(axis=0)
    part = planned / lines.planned.sum(axis=0)
    indexed = [1.0 + lines.services[h].indexed * (lines.price[h] - 1.0) for h in chosen]
    cost = np.asarray(sum(lines.activity[h] * index for h, index in zip(chosen, indexed, strict=True)))
    known, budget = year.context, part * year.context.budget
    revenue = None if known.revenue is None else part * known.revenue
    context = Context(
        budget=budget, cost=cost, members=known.members, year=known.year, rule_year=known.rule_year,
        revenue=revenue, quality=known.quality, met_standard=known.met_standard,
    )  # fmt: skip
    settlement = apply_terms(design.terms, context, accounts)
    weights = lines.planned[chosen].mean(axis=tuple(range(1, planned.ndim + 1)))

    delivers: dict[str, float] = {}
    for h, weight in zip(chosen, weights / weights.sum(), strict=True):
        for name, share in lines.services[h].providers.items():
            delivers[name] = delivers.get(name, 0.0) + float(weight) * share
    partners = [one.model_copy(update={"delivers": delivers.get(one.name, 0.0)}) for one in design.parties]
    parts, limited = divide(settlement, budget, partners, design.split_by)
    if any(party.gain_limit is not None or party.loss_limit is not None for party in design.parties):
        accounts.note("party_limit_bound", limited)
    for name, amount in parts.items():
        accounts.pay(_pooled_funders(lines, chosen), name, amount)
    return settlement


def _pooled_funders(lines: Lines, chosen: Sequence[int]) -> dict[str, Array]:
    """Who pays for services of one budget: each its part of their planned cost, whatever is then done in which."""
    found: dict[str, Array] = {}
    for h in chosen:
        weight = lines.planned[h] / lines.planned[list(chosen)].sum(axis=0)
        for name, share in lines.services[h].funders.items():
            found[name] = found.get(name, np.zeros(1)) + share * weight
    return found
