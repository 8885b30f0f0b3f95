"""One design through the years of a contract: what each year takes over from those before it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ..contracts.accounts import Accounts
from ..contracts.budget import Past, PastYears
from ..contracts.context import Array, Context
from ..contracts.contract import Contract, Exit
from ..contracts.design import Design, status_quo
from ..contracts.exclusion import ExclusionRule
from ..contracts.parties import divide
from ..contracts.transfers import RiskPool
from ..errors import SimulatorError
from .clearing import Cleared, Earlier, apply_terms, run_through
from .populations import Populations
from .year import ContractYear


class Course:
    """A design, with an exclusion rule at one point of the grid, from contract year 1 to the last.

    `before` are the populations of the years before the contract, the newest first.
    """

    def __init__(
        self, design: Design, rule: ExclusionRule, years: Sequence[Populations], before: Sequence[Populations]
    ) -> None:
        self.design, self.rule, self.populations, self.before = design, rule, years, before
        self.terms = design.contract or Contract()
        carries = any(isinstance(transfer, RiskPool) and transfer.carries for transfer in design.transfers)
        if design.services is not None and len(years) > 1 and (design.contract is not None or carries):
            bound = f"of design {design.name!r} is settled service by service, and carries nothing from year to year"
            raise SimulatorError("designs.services", None, bound, "leave out services, or contract and carries")
        self.budgets: list[Array] = []
        self.costs: list[Array] = []
        self.paid: Array = np.zeros(1)
        """Settled since year 1, before terms on the sum."""
        self.adjusted: Array = np.zeros(1)
        self.balance: Array = np.zeros(1)
        self.pools: dict[str, Array] = {}
        self.losses: Array = np.zeros(1)
        self.left = self.leaving = np.zeros(1, dtype=bool)

    def cleared(self) -> Iterator[Cleared]:
        """The accounts of each year, in order."""
        for place, populations in enumerate(self.populations, 1):
            one_year = populations.year is None
            design = self.design if one_year else self.design.model_copy(update={"year": place})
            yield self._clear(ContractYear(populations, design, self.rule))

    @property
    def _is_last(self) -> bool:
        return len(self.budgets) == len(self.populations)

    def _clear(self, year: ContractYear) -> Cleared:
        budget, invested = year.budget(self._past(year.populations)), self.terms.investment
        found = year.accounted(year.settled(budget, earlier=Earlier(self.pools, self._settle)))
        if invested is not None:
            found.accounts.line = "investment"
            found.accounts.bear_more(invested.by, invested.cost(year.design.year))
        if self.terms.exit is not None:
            found = self._with_exit(found, self.terms.exit, year)
        for transfer in self.design.transfers:
            if isinstance(transfer, RiskPool) and transfer.carries:
                self.pools[transfer.pool] = self.pools.get(transfer.pool, 0.0) + found.accounts.surplus(transfer.pool)
        return year.with_saving(found)

    def _past(self, populations: Populations) -> Past | None:
        """Drawn years from which a benchmark is made; none for other budgets, or where a ledger is of one year."""
        budget, done = self.design.budget, len(self.costs)
        if not isinstance(budget, PastYears) or populations.year is None:
            return None
        newest = done // (budget.rebase_every or len(self.populations)) * (budget.rebase_every or 0)
        drawn = [earlier.retained(self.rule) for earlier in self.before]
        costs, count = [*self.costs[:newest][::-1], *drawn], len(budget.weights)
        if len(costs) < count:
            bound = (
                f"of design {self.design.name!r} needs {count} years before the contract, and {len(drawn)} are drawn"
            )
            raise SimulatorError("budget.weights", None, bound, f"give [years] before = {count}")
        saved = [b - c for b, c in zip(self.budgets[:newest], self.costs[:newest], strict=True)]
        return Past(costs[:count], [*saved[::-1], *[np.zeros(1)] * count][:count], done - newest)

    def _settle(self, context: Context, accounts: Accounts) -> tuple[Array, Array]:
        """What is paid this year of this year's result and of those before."""
        self.budgets.append(context.budget)
        self.costs.append(context.cost)
        basis, carry, self.carried_out = self._basis(context), self.terms.carry, self.balance
        due = np.zeros(1) if basis is None else apply_terms(self.design.terms, basis, accounts)
        if carry is not None:
            due = due + (1.0 + carry.interest) * self.balance
            if self._is_last:
                due, self.balance = carry.at_end(due, context.budget), np.zeros(1)
            else:
                self.balance = carry.kept(due, context.budget)
                due = due - self.balance
            accounts.remember("carried", self.balance)
        if self.terms.cumulative:
            self.paid = self.paid + due
            whole = self._together(context, len(self.budgets), 1.0)
            change = run_through(self.terms.cumulative, self.paid, whole, accounts) - self.paid
            due, self.adjusted = due + change - self.adjusted, change
        return np.asarray(due), context.budget if basis is None else basis.budget

    def _basis(self, context: Context) -> Context | None:
        """The figures that are settled this year; nothing where all is left to the end."""
        if self.terms.settled == "each_year":
            return context
        if self.terms.settled == "at_end":
            return self._together(context, len(self.budgets), 1.0) if self._is_last else None
        count = min(self.terms.rolling_years or 1, len(self.budgets))
        return self._together(context, count, 1.0 / count)

    def _together(self, context: Context, count: int, part: float) -> Context:
        """A part of the last years' budgets and costs together."""
        budget, cost = (part * sum(amounts[-count:], np.zeros(1)) for amounts in (self.budgets, self.costs))
        revenue = None if context.revenue is None else context.revenue * budget / context.budget
        return replace(context, budget=budget, cost=cost, revenue=revenue)

    def _with_exit(self, found: Cleared, rule: Exit, year: ContractYear) -> Cleared:
        """The status quo in replicates that the party has left; then who leaves after this year's loss."""
        if self.left.any():
            design = status_quo(self.design.parties)
            other = ContractYear(
                year.populations, design.model_copy(update={"year": year.design.year}), design.exclusion
            )
            found = self._instead(found, other.clear())
        budget = np.abs(found.budget)
        lost = -found.accounts.surplus(rule.party) > (rule.loss_over + 1e-9) * budget
        self.losses = np.where(lost & ~self.left, self.losses + 1, 0)
        self.leaving = (self.losses >= rule.years_running) & ~self.left
        self.left = self.left | self.leaving
        found.accounts.remember("left", self.left.astype(float))
        return found

    def _instead(self, found: Cleared, other: Cleared) -> Cleared:
        """Another year's accounts where a party has left; what was carried is paid in the year after it leaves."""
        own, theirs, left = found.accounts, other.accounts, self.left
        if self.terms.carry is not None:
            due = np.where(self.leaving, (1.0 + self.terms.carry.interest) * self.carried_out, 0.0)
            due = self.terms.carry.at_end(due, found.budget)
            for name, part in divide(due, found.budget, self.design.parties, self.design.split_by)[0].items():
                theirs.pay(self.design.funders, name, part)
        for ours, his in (
            (own.funding, theirs.funding),
            (own.cost_borne, theirs.cost_borne),
            (own.payment, theirs.payment),
        ):
            for name in ours:
                ours[name] = np.where(left, his[name], ours[name])
        for line in {*own.lines, *theirs.lines}:
            his, ours = theirs.lines.get(line, {}), own.lines.setdefault(line, {})
            ours |= {who: np.where(left, his.get(who, 0.0), ours.get(who, 0.0)) for who in {*his, *ours}}
        own.own_cost = np.where(left, theirs.own_cost, own.own_cost)
        own.events = {name: where & ~left for name, where in own.events.items()}
        kept = {"pool_balance": sum(self.pools.values(), np.zeros(1))}
        own.memo = {name: np.where(left, kept.get(name, 0.0), amount) for name, amount in own.memo.items()}
        return found._replace(
            budget=np.where(left, other.budget, found.budget),
            settlement=np.where(left, other.settlement, found.settlement),
            saved=None if found.saved is None else np.where(left, 0.0, found.saved),
        )
