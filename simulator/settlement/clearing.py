"""One design settled on given figures: the terms, the division among parties, and every payment that follows."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from ..contracts.accounts import Accounts
from ..contracts.context import Array, Context, Settles
from ..contracts.design import Design
from ..contracts.parties import divide
from ..contracts.transfers import Scene

Settle = Callable[[Context, Accounts], tuple[Array, Array]]
"""A settlement, and the budget of which limits of the parties are shares."""


class Cleared(NamedTuple):
    """A design's settlement, and the accounts of its parties."""

    budget: Array
    settlement: Array
    accounts: Accounts
    saved: Array | None = None  # by the design itself, money per year
    saving: Mapping[str, Array] = MappingProxyType({})
    """What each party has more than if care were paid for as it comes."""


class Apart(NamedTuple):
    """What turns out otherwise than agreed and is no matter of the cost that the contract measures."""

    price: Array | float = 1.0
    """Of the deliverers' inputs, 1 as agreed: who buys them bears its rise."""
    gone: Array | float = 0.0
    """Care that patients take elsewhere at the deliverers' expense; their own cost of it stays as far as fixed."""
    beyond: Array | float = 0.0
    """Cost of activity beyond what was drawn."""


AS_AGREED = Apart()


class Earlier(NamedTuple):
    """What the years of a contract before this one left."""

    brought: Mapping[str, Array]
    """Balances of pools, by party."""
    settle: Settle
    """What is settled this year, of this year's result and of those before."""


def clear(
    design: Design,
    context: Context,
    *,
    expected_cost: Array,
    expected_excess: Array | float = 0.0,
    excess: Array | float = 0.0,
    activity_change: Mapping[str, Array] | None = None,
    apart: Apart = AS_AGREED,
    earlier: Earlier | None = None,
) -> Cleared:
    """Settle one design: by its terms, or with what earlier years left."""
    shape = np.broadcast_shapes(np.shape(context.budget), np.shape(context.cost), np.shape(excess))
    accounts = Accounts((party.name for party in design.parties), shape)
    if earlier is None:
        settlement, of = apply_terms(design.terms, context, accounts), context.budget
    else:
        settlement, of = earlier.settle(context, accounts)
    parties = {party.name: party for party in design.parties}
    brought = {} if earlier is None else earlier.brought
    expected, met = np.asarray(expected_cost), context.outcomes_met
    scene = Scene(context, parties, design.funders, expected, met, activity_change or {}, brought)
    _pay_providers(design, scene, accounts, settlement, of)
    _bear_apart(design, accounts, apart)
    accounts.line = "money of funders"
    for name, share in design.funders.items():
        # what a design pays is not what its funders have: all designs of a comparison find the same money
        accounts.fund(name, context.allocations.get(name, share * (scene.expected_cost + expected_excess)))
    accounts.line = "excess of the exclusion rule" if design.protection is None else "protection"
    if design.protection is None:
        for name, share in design.funders.items():
            accounts.bear(name, share * excess)
    else:
        design.protection.settle(accounts, design.funders, np.asarray(expected_excess), np.asarray(excess))
    for transfer in design.transfers:
        accounts.line = transfer.line
        transfer.apply(accounts, scene)
    return Cleared(np.asarray(context.budget), settlement, accounts)


def _bear_apart(design: Design, accounts: Accounts, apart: Apart) -> None:
    """Prices of inputs, and the cost that stays when care has gone elsewhere, fall on those who deliver."""
    if apart is AS_AGREED:
        return
    accounts.line = "cost of care"
    accounts.own_cost = accounts.own_cost + apart.beyond
    for party in design.parties:
        if party.delivers:
            stays = (1.0 - party.variable_share) * party.delivers * apart.gone
            accounts.bear_more(party.name, (apart.price - 1.0) * accounts.cost_borne[party.name] + stays)


def apply_terms(terms: Iterable[Settles], context: Context, accounts: Accounts | None = None) -> Array:
    """The settlement after every term in its order, money per year, positive to the provider.

    Where `accounts` is given, what each term triggered is noted there.
    """
    return run_through(terms, np.asarray(context.budget - context.cost), context, accounts)


def run_through(
    terms: Iterable[Settles], settlement: Array, context: Context, accounts: Accounts | None = None
) -> Array:
    """A settlement after some terms in their order."""
    for term in terms:
        after = term.apply(settlement, context)
        if accounts is not None and term.event:
            accounts.note(term.event, term.triggered(settlement, after, context))
        if accounts is not None:
            for name, amount in term.memos(context).items():
                accounts.remember(name, amount)
        settlement = after
    return np.asarray(settlement + 0.0)  # no −0 where a loss is settled at nothing


def _pay_providers(design: Design, scene: Scene, accounts: Accounts, settlement: Array, of: Array) -> None:
    """Providers bear their activity, are paid for the planned part of it, and get their part of the settlement."""
    cost = scene.context.cost
    parts, limited = divide(settlement, of, design.parties, design.split_by)
    if any(party.gain_limit is not None or party.loss_limit is not None for party in design.parties):
        accounts.note("party_limit_bound", limited)
    for party in design.parties:
        if party.delivers or party.name in scene.activity_change:
            activity = (party.delivers + scene.activity_change.get(party.name, 0.0)) * cost
            accounts.line = "cost of care"
            accounts.bear(party.name, activity)
            if party.variable_share < 1.0:
                accounts.line = "cost that stays"
                planned = party.delivers * scene.expected_cost
                accounts.bear_more(party.name, (1.0 - party.variable_share) * (planned - activity))
        if party.delivers or party.name in parts:
            accounts.line = "paid for care, and the settlement"
            accounts.pay(design.funders, party.name, party.delivers * cost + parts.get(party.name, 0.0))
