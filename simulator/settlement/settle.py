"""From a ledger and designs to an outcome: what each party pays, receives and keeps in every replicate."""

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from .. import effort
from ..contracts.context import Array
from ..contracts.design import Design
from ..contracts.exclusion import Cap, ExclusionRule
from ..errors import SimulatorError
from ..ledger import check_draws, declared, sweep
from ..strata import counted_error, mean_error, share_error, strata_of
from .clearing import Cleared
from .course import Course
from .populations import Populations
from .sd_errors import MOMENTS
from .services import with_services

MONEY_BY_PARTY = ("payment", "funding", "cost_borne", "surplus")
MONEY = ("budget", "settlement", "system_cost")


def settle(ledger: xr.Dataset, designs: Design | Iterable[Design], *, discount_rate: float = 0.0) -> xr.Dataset:
    """Settle designs on the same draws, so that differences between designs are paired.

    Parameters
    ----------
    ledger : xarray.Dataset
        What `simulate` drew; dims by name, in any order, with ``unit`` or further dims as well.
    designs : Design or iterable of Design
        Of several years each settles them all, in order, as its `contract` says; its `year` is 1.
    discount_rate : float
        A year, of ``cumulative_surplus``; year 1's money counts in full.

    Returns
    -------
    xarray.Dataset
        ``payment``, ``funding``, ``cost_borne`` and ``surplus`` over (replicate, population_size, design, party), money
        per year, a party absent from a design 0; ``budget``, ``settlement`` and ``system_cost`` without party;
        ``triggered`` (event, population_size, design), a count of replicates, with ``triggered_se``; what pools took in
        and paid out; of designs with savings of their own ``saved``, and by party ``saving``, what each has more than
        if care were paid for as it comes; ``line_mean`` (line, party), with ``line_mean_se``, the mean of each line of
        an account; ``service_cost`` (service), before exclusions, where costs divide among services;
        ``reference_cost`` and its exact ``reference_moment``, which `compare` needs, where the ledger
        carries its scenario. A rule without a threshold of its own is swept, which adds the dim ``threshold``; other
        designs do not vary along it.
        Of several years all of it has the dim ``year``, of the contract years; ``cumulative_surplus`` is the surplus
        since year 1, discounted; ``carried``, ``pool_balance``, ``left`` (1 once the party has left) and
        ``investment_gain`` (over the same design without its investment) are there where a design has them.

    Raises
    ------
    SimulatorError
        Where there are no designs, two have one name, or one does not fit the ledger or its years.

    Notes
    -----
    Payments sum to zero over parties, and the cost borne to the system's cost, in every replicate.
    """
    chosen = (designs,) if isinstance(designs, Design) else tuple(designs)
    _check_names(chosen)
    check_draws(ledger)
    several = "year" in ledger.dims
    contract = [int(year) for year in ledger["year"].values if year > 0] if several else [None]
    before = [Populations(ledger, int(year)) for year in ledger["year"].values[::-1] if year < 1] if several else []
    _check_years(chosen, several, discount_rate)
    _expect(ledger, chosen, len(contract))
    tables = [_Table(ledger, chosen, year) for year in contract]
    chosen = tables[0].designs
    whole = [(number, design, *at) for number, design in enumerate(chosen) for at in tables[0].points_of(design)]
    for number, design, place, point in effort.each(whole, "settling"):
        rule = design.exclusion if point is None else design.exclusion.at_point(point)
        course = Course(design, rule, [table.populations for table in tables], before)
        for table, cleared in zip(tables, course.cleared(), strict=True):
            table.rules.append(rule)
            table.enter(number, place, cleared)
        if several and design.contract is not None and design.contract.investment is not None:
            without = {"contract": design.contract.model_copy(update={"investment": None}), "savings": 0.0}
            course = Course(design.model_copy(update=without), rule, course.populations, before)
            for table, cleared in zip(tables, course.cleared(), strict=True):
                table.enter_gain(number, place, cleared)
    if not several:
        return tables[0].outcome()
    outcomes = [table.outcome() for table in tables]
    events = sorted({name for one in outcomes for name in one["event"].values.tolist()})
    lines = list(dict.fromkeys(line for one in outcomes for line in one["line"].values.tolist()))
    outcomes = [one.reindex(event=events, line=lines, fill_value=0) for one in outcomes]
    outcome = xr.concat(outcomes, xr.DataArray(contract, dims="year", name="year"), data_vars="all", coords="minimal")
    factor = (1.0 + discount_rate) ** -(outcome["year"] - 1.0)
    outcome["cumulative_surplus"] = (outcome["surplus"] * factor).cumsum("year")
    currency, unit = outcome.attrs.get("currency", "money"), ledger["threshold"].attrs.get("units", "")
    outcome = outcome.assign_attrs(discount_rate=discount_rate)
    return declared(outcome, "settlement", currency=currency, threshold_unit=unit)


def _check_years(designs: Sequence[Design], several: bool, discount_rate: float) -> None:
    """Refuse a design of another year than the first where all are settled, and a rate that discounts to nothing."""
    if not -1.0 < discount_rate < 10.0:
        raise SimulatorError("discount_rate", discount_rate, "is no rate a year", "give a fraction: 0.035 for 3.5%")
    for design in designs:
        if several and design.year != 1:
            bound = f"of design {design.name!r} is one of the years of the ledger, which are all settled"
            raise SimulatorError(
                "designs.year", design.year, bound, "leave it out; terms may list a figure for each year"
            )


def _expect(ledger: xr.Dataset, designs: Sequence[Design], years: int) -> None:
    places = len(designs) * (ledger.sizes.get("threshold", 1) if _swept(designs) else 1)
    parties = len(_parties(designs))
    rows = ledger.sizes.get("population_size", 1) * ledger.sizes.get("unit", 1) * years
    work = effort.settling(ledger.sizes.get("replicate", 1), rows, places, parties)
    effort.expect("settling", work, "designs", len(designs), "ask for fewer designs, thresholds, sizes or replicates")


def expected_size(designs: Sequence[Design], replicates: int, sizes: int, thresholds: int) -> int:
    """Bytes that a file of settled designs takes, about."""
    columns = len(designs) * (thresholds if _swept(designs) else 1)
    columns *= len(MONEY_BY_PARTY) * len(_parties(designs)) + len(MONEY)
    return 8 * replicates * sizes * columns + 200_000


def _swept(designs: Sequence[Design]) -> bool:
    return any(not design.exclusion.fixed_thresholds() for design in designs)


def _parties(designs: Sequence[Design]) -> list[str]:
    return list(dict.fromkeys(party.name for design in designs for party in design.parties))


def _check_names(designs: Sequence[Design]) -> None:
    names = [design.name for design in designs]
    if not names:
        raise SimulatorError("designs", None, "none are given", "add [[designs]] to the scenario")
    for name in names:
        if names.count(name) > 1:
            raise SimulatorError("designs", name, "is the name of two designs", "give each its own name")


class _Growing:
    """An array over replicates that is kept once until two replicates differ: what is expected is the same in all."""

    def __init__(self, leading: tuple[int, ...], shape: tuple[int, ...]) -> None:
        self.leading, self.shape = leading, shape
        self.kept = np.zeros((*leading, 1, *shape[1:]))

    def enter(self, at: tuple[Any, ...], values: Array) -> None:
        """Put an array of one replicate, or of all, at a place of the leading dims."""
        values = np.asarray(values)
        if values.ndim == len(self.shape) and values.shape[0] > self.kept.shape[len(self.leading)]:
            self.kept = np.repeat(self.kept, self.shape[0], axis=len(self.leading))
        self.kept[at] = values

    @property
    def values(self) -> Array:
        """With all replicates; read only where they are all alike."""
        return np.broadcast_to(self.kept, (*self.leading, *self.shape))


class _Table:
    """Where the accounts of all designs are entered; party, design and threshold come first for speed.

    Most of the time of settling goes to touching new memory, so each sum is written once, where it stays.
    """

    def __init__(self, ledger: xr.Dataset, designs: Sequence[Design], year: int | None) -> None:
        self.populations = Populations(ledger, year)
        self.ledger = self.populations.ledger
        self.designs = tuple(one if one.services is None else with_services(self.populations, one) for one in designs)
        self.parties, self.swept = _parties(designs), _swept(designs)
        self.grid = sweep(ledger, Cap()) if self.swept else [math.nan]
        self.shape = self.populations.gross.shape
        self.places = (len(designs), len(self.grid))
        leading = (len(self.parties), *self.places)
        self.moved = {name: np.zeros((*leading, *self.shape)) for name in ("payment", "cost_borne", "surplus")}
        self.settlement = np.zeros((*self.places, *self.shape))
        self.funding = _Growing(leading, self.shape)
        self.budget, self.own_cost = (_Growing(self.places, self.shape) for _ in range(2))
        self.memos: dict[str, Array] = {}
        self.saving: dict[str, Array] = {}
        self.lines: dict[str, tuple[Array, Array]] = {}
        self.rules: list[ExclusionRule] = []
        self.counts: dict[str, Array] = {}
        self.count_errors: dict[str, Array] = {}
        self.strata = strata_of(ledger)

    def points_of(self, design: Design) -> list[tuple[Any, float | None]]:
        """Places along the grid, and the point at which a swept rule is applied there."""
        if not design.exclusion.fixed_thresholds():
            return list(enumerate(self.grid))
        if not design.exclusion.excludes_nobody:
            sweep(self.ledger, design.exclusion)  # refuses a threshold that is not on the grid
        return [(slice(None), None)]

    def enter(self, design: int, place: Any, cleared: Cleared) -> None:
        """Enter the accounts of one design at one point."""
        accounts = cleared.accounts
        for party, name in enumerate(self.parties):
            if name in accounts.payment:
                at = (party, design, place)
                self.funding.enter(at, accounts.funding[name])
                self.moved["payment"][at] = accounts.payment[name]
                self.moved["cost_borne"][at] = accounts.cost_borne[name]
                self.moved["surplus"][at] = accounts.surplus(name)
        self.budget.enter((design, place), cleared.budget)
        self.own_cost.enter((design, place), accounts.own_cost)
        self.settlement[design, place] = cleared.settlement
        saved = {} if cleared.saved is None else {"saved": cleared.saved}
        for name, amount in (accounts.memo | saved).items():
            self.memos.setdefault(name, np.zeros(self.settlement.shape))[design, place] = amount
        if cleared.saving:
            whole = self.saving.setdefault("saving", np.zeros(self.moved["surplus"].shape))
            for name, amount in cleared.saving.items():
                whole[self.parties.index(name), design, place] = amount
        for line, by_party in accounts.lines.items():
            whole = self.moved["surplus"].shape
            empty = np.zeros((2, *whole[:3], *whole[4:]))
            means, errors = self.lines.setdefault(line, (empty[0], empty[1]))
            for name, entered in by_party.items():
                at, amount = (self.parties.index(name), design, place), np.atleast_1d(entered)
                means[at] = amount.mean(axis=0)
                errors[at] = mean_error(amount, self.strata) if amount.shape[:1] == self.shape[:1] else 0.0
        n = self.shape[0]
        for event, where in accounts.events.items():
            happened = np.broadcast_to(where, self.shape)
            counts = self.counts.setdefault(event, np.zeros((*self.places, *self.shape[1:]), dtype=int))
            counts[design, place] = happened.sum(axis=0)
            errors = self.count_errors.setdefault(event, np.full(counts.shape, n * counted_error(np.zeros(1), n)[0]))
            errors[design, place] = n * share_error(happened, self.strata)

    def enter_gain(self, design: int, place: Any, without: Cleared) -> None:
        """Enter what an investment leaves each party more than the same design without it."""
        if "investment_gain" not in self.moved:
            self.moved["investment_gain"] = np.zeros_like(self.moved["surplus"])
        for party, name in enumerate(self.parties):
            if name in without.accounts.payment:
                at = (party, design, place)
                self.moved["investment_gain"][at] = self.moved["surplus"][at] - without.accounts.surplus(name)

    def outcome(self) -> xr.Dataset:
        """The Dataset, its dims in the order that the documentation gives."""
        rows = ("design", "threshold", "replicate", *self.populations.others)
        by_party = {**self.moved, "funding": self.funding.values}
        variables: dict[str, Any] = {
            name: (("party", *rows), values) for name, values in (by_party | self.saving).items()
        }
        gross, own = self.populations.gross, self.own_cost
        system = gross + own.values if own.kept.any() else np.broadcast_to(gross, self.settlement.shape)
        money = {"budget": self.budget.values, "settlement": self.settlement, "system_cost": system}
        variables |= {name: (rows, values) for name, values in {**money, **self.memos}.items()}
        dims, shape = ("event", *rows[:2], *self.populations.others), (-1, *self.places, *self.shape[1:])
        for name, of_events in (("triggered", self.counts), ("triggered_se", self.count_errors)):
            kind = int if name == "triggered" else float
            variables[name] = dims, np.array(list(of_events.values()), dtype=kind).reshape(shape)
        line_dims = ("line", "party", *rows[:2], *self.populations.others)
        for at, name in enumerate(("line_mean", "line_mean_se")):
            variables[name] = line_dims, np.stack([found[at] for found in self.lines.values()])
        variables |= self._of_references()
        coordinates = self._coordinates()
        if (lines := self.populations.lines(Cap(at=math.inf))) is not None:
            coordinates["service"] = [service.name for service in lines.services]
            variables["service_cost"] = ("service", "replicate", *self.populations.others), lines.activity
        outcome = xr.Dataset(variables, coords=coordinates, attrs=self.ledger.attrs)
        outcome.attrs["designs"] = json.dumps([design.model_dump(mode="json") for design in self.designs])
        if not self.swept:
            outcome = outcome.isel(threshold=0, drop=True)
        unit, currency = self.ledger["threshold"].attrs.get("units", ""), self.ledger.attrs.get("currency", "money")
        outcome = declared(outcome, "settlement", currency=currency, threshold_unit=unit)
        return outcome.transpose("replicate", *self.populations.others, ..., "design", "party")

    def _of_references(self) -> dict[str, Any]:
        """Costs of which every moment is exact, from which the error of a standard deviation is told."""
        populations = self.populations
        if populations.year or populations.scenario is None or populations.others != (populations.place,):
            return {}
        rules = [None, *dict.fromkeys(rule for rule in self.rules if not rule.excludes_nobody)]
        costs = [populations.gross if rule is None else populations.excess(rule) for rule in rules]
        moments = [populations.removed_moments(rule) for rule in rules]
        others = populations.others
        return {
            "reference_cost": (("reference", "replicate", *others), np.stack(costs)),
            "reference_moment": (("reference", "moment", "parameter_set", *others), np.stack(moments)),
        }

    def _coordinates(self) -> dict[str, Any]:
        names = [design.name for design in self.designs]
        own = [design.exclusion.fixed_thresholds()[-1:] or (math.nan,) for design in self.designs]
        kept = ("replicate", *self.populations.others, "parameter_draw")
        return {
            **{name: self.ledger[name] for name in kept if name in self.ledger.coords},
            "design": names,
            "party": self.parties,
            "threshold": self.ledger["threshold"] if self.swept else self.grid,
            "event": list(self.counts),
            "line": list(self.lines),
            "moment": list(MOMENTS),
            "design_threshold": ("design", [threshold[0] for threshold in own]),
        }
