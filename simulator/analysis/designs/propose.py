"""Proposed terms: the contract that protects at the least cost, and the one with the strongest incentive."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from ... import effort, runs
from ... import ledger as books
from ...contracts.design import Design
from ...contracts.search import Search
from ...errors import SimulatorError
from ...scenario import Scenario, scenario_from
from ...settlement.populations import Populations
from ...strata import exact_interval
from ...terms import Array
from ..checks import check_members
from .bench import Bench, Estimate, Settled, most_events, worst_mean
from .hunt import Place, Tried, refine, scan

TRIED_ON = 3_000
"""Simulated years on which designs are tried; the best are refined, and then judged, on more of them."""
CONFIDENCE = 0.95
"""With which a proposed design meets every limit, on simulated years that the search has not seen."""
POINT = 0.01
"""By which a limit is relaxed to see what it costs, as a share of revenue."""
_MARGINS = (0.5, 0.8, 0.95, 0.99, 0.999)  # confidences of refining: what is picked out looks better than it is
_STARTS = 3
_MOST_SHOWN = 12  # designs of the frontier
_FRESH = 1_000_003  # between the seeds of draws
_REACH = {"mean cost": 0.5, "spread of costs": 3.0}  # how far an assumption is moved at most

Draw = Callable[[int, int], Populations]
"""Populations from a number of the draws (0, 1, 2: each fresh) and how many years."""


def propose(
    scenario: Scenario, search: Search | None = None, *, replicates: int | None = None, points: int | None = None
) -> xr.Dataset:
    """Terms that meet limits on what each party may lose: the cheapest, and those with the strongest incentive.

    Many designs are tried on the same simulated years, the best refined on others, and the few that are shown are
    judged on a third set, since what is picked out of many looks better than it is.

    Parameters
    ----------
    scenario : Scenario
    search : Search, optional
        What may move and what is demanded; the scenario's own [search] by default.
    replicates : int, optional
        Simulated years of refining and of judging; the scenario's by default.
    points : int, optional
        Designs that are tried; those of the search by default.

    Returns
    -------
    xarray.Dataset
        By ``option``: "today", "cheapest" and "strongest", or "nearest" where nothing meets the limits.
        ``protection_cost``, the expected cost to those who fund, beyond the expected cost of care, money per year, and
        ``price_per_head``; ``power``, the part of each pound really saved that providers keep, with ``power_gain`` and
        ``power_loss``; by party ``expected_surplus``, ``loss_1_in_20``, ``worst_mean`` (worst 1% of years) and
        ``revenue``; by demand ``within``, how far the design is inside it with 95% confidence (below 0: it fails),
        ``demanded``, ``chance_of_loss`` with its exact interval, ``relaxed_saving``, what the cheapest design would
        cost less were that demand a point looser; ``figure_value`` by figure; ``breaks_at`` by assumption, the factor
        at which the first demand fails; and over ``frontier`` the designs than which none is both cheaper and stronger,
        and others that cannot be told from the cheapest (``equally_good``). The attribute ``designs`` holds the designs.

    Raises
    ------
    SimulatorError
        Where there is no search, or it does not fit the scenario; and where the years are too few for a limit.

    Notes
    -----
    The winner's curse: of many designs tried on the same draws, the one that looks best owes a part to luck. So its
    figures come from draws that had no part in choosing it.
    """
    asked = scenario.search if search is None else search
    if asked is None:
        raise SimulatorError("search", None, "is not defined", "add [search] to the scenario, or give one")
    if search is not None:
        scenario = scenario_from(scenario.model_dump() | {"search": search.model_dump()})
    base = asked.base(scenario.designs)
    assert base is not None  # the scenario refuses another
    years = scenario.simulation.replicates if replicates is None else replicates
    members = asked.members or scenario.population_sizes[-1]
    check_members(members)
    _refuse_few(asked, years)
    alone = scenario.model_copy(update={"population": scenario.population.as_one})

    def draw(number: int, count: int) -> Populations:
        seed = (scenario.simulation.seed + number * _FRESH) % 2**63
        return Populations(runs.simulate(alone.resized([members], replicates=count, seed=seed)))

    answer = proposed(draw, base, asked, years, points or asked.points)
    known = runs.origin(scenario) | {"members": members, "replicates": years, "design": base.name}
    return books.declared(answer.assign_attrs(known), "propose", currency=scenario.currency)


def _refuse_few(search: Search, years: int) -> None:
    for _, kind, _, chance in search.demands():
        if kind in ("loss_over", "event") and most_events(years, chance, CONFIDENCE) < 0:
            needed = math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-chance))
            bound = f"cannot show that a chance is at most {chance:g}, however rare"
            raise SimulatorError("replicates", years, bound, f"simulate {needed:,} years or more")


def proposed(draw: Draw, base: Design, search: Search, years: int, points: int) -> xr.Dataset:
    """The same on any source of populations."""
    with effort.task("proposing terms", 4.0) as advance:
        first = Bench(draw(0, min(years, TRIED_ON)), base, search)
        _check_events(first)
        tried = scan(first, points, seed=int(first.populations.ledger.attrs.get("seed", 1)))
        advance()
        fine = Bench(draw(1, years), base, search)
        met = tried.feasible()
        short = _refined(fine, tried, "cheapest") + (_refined(fine, tried, "strongest") if met else [])
        advance()
        fresh = Bench(draw(2, years), base, search)
        shown = _Shown(fresh, short, [tried.places[at] for at in tried.undominated()])
        saving = _relaxed(fine, shown.places["cheapest"]) if "cheapest" in shown.places else {}
        advance()
        answer = shown.answer(saving)
        advance()
    in_the_way = [] if "cheapest" in shown.places else _in_the_way(tried, fresh)
    known = {"tried": points, "feasible": len(met), "aim": search.aim, "in_the_way": "; ".join(in_the_way)}
    return answer.assign_attrs(known | {"guards": int(search.guards), "confidence": CONFIDENCE})


def _check_events(bench: Bench) -> None:
    for at, limit in enumerate(bench.search.limits):
        known = bench.today.cleared.accounts.events
        if limit.event is not None and limit.event not in known:
            bound = "is not an event of the design"
            mend = f"choose from: {', '.join(known) or 'there are none'}"
            raise SimulatorError(f"search.limits[{at}].event", limit.event, bound, mend)


def _refined(bench: Bench, tried: Tried, aim: str) -> list[Place]:
    """The best of the designs that were tried, refined with rising confidence of meeting the limits."""
    met = tried.feasible() if aim == "cheapest" else sorted(tried.undominated(), key=lambda at: -tried.power[at])
    starts = [tried.places[at] for at in (met or [tried.nearest()])[:_STARTS]]
    found: list[Place] = []
    for confidence in effort.each(_MARGINS, f"refining the {aim}"):
        refined = [refine(bench, start, confidence, aim) for start in starts]
        found += refined
        starts = [_best(bench, refined, confidence, aim)]
    return found


def _best(bench: Bench, places: Sequence[Place], confidence: float, aim: str) -> Place:
    """The best of a few refined designs."""

    def worth(place: Place) -> tuple[float, float]:
        one = bench.at(bench.figures(place))
        if one is None:
            return math.inf, 0.0
        value = one.cost if aim == "cheapest" else -one.power().value
        return -min(float(one.slacks(confidence).min()), 0.0), value

    return min(places, key=worth)


def _relaxed(bench: Bench, place: Place) -> dict[int, Estimate]:
    """What the cheapest design costs less, a year, where one demand is a point looser, the others kept."""
    found = {}
    for at in effort.each(range(len(bench.demands)), "what each limit costs"):
        pair = []
        for looser in (0.0, POINT):
            more = np.eye(len(bench.demands))[at] * looser
            pair.append(bench.at(bench.figures(refine(bench, place, CONFIDENCE, "cheapest", more))))
        one, other = pair
        if one is not None and other is not None:
            saved = one.burden - other.burden
            value = float(bench.weights @ saved)
            found[at] = Estimate(value if value > 0 else 0.0, bench.error(saved))
    return found


def _in_the_way(tried: Tried, bench: Bench) -> list[str]:
    """The demands without which some design would meet the others; all that fail where none does so alone."""
    alone = [at for at in range(len(bench.demands)) if tried.feasible(without=at)]
    fails = [at for at, slack in enumerate(tried.slacks[tried.nearest()]) if slack < 0]
    return [told(bench.demands[at]) for at in alone or fails]


def told(demand: tuple[str, str, float, float]) -> str:
    """A demand in words."""
    party, kind, bound, chance = demand
    return {
        "loss_over": f"{party}: chance of losing over {bound:.4g} of revenue at most {chance:.4g}",
        "worst": f"{party}: mean loss of the worst 1% of years at most {bound:.4g} of revenue",
        "hard": f"{party}: never a loss over {bound:.4g} of revenue",
        "surplus": f"{party}: expected surplus at least {bound:.4g} of revenue",
        "event": f"{party}: chance of the event at most {chance:.4g}",
        "unearned": f"providers: expected payment for no saving at most {bound:.4g} of the budget",
    }[kind]


# ── what is shown ────────────────────────────────────────────────────────────────────────────────


class _Shown:
    """The designs that are shown, judged on draws that had no part in choosing them."""

    def __init__(self, bench: Bench, short: Sequence[Place], frontier: Sequence[Place]) -> None:
        self.bench = bench
        kept = [frontier[at] for at in np.unique(np.linspace(0, max(len(frontier) - 1, 0), _MOST_SHOWN).astype(int))[: len(frontier)]]
        every = {place: bench.at(bench.figures(place)) for place in dict.fromkeys([*short, *kept])}
        self.settled = {place: one for place, one in every.items() if one is not None}
        self.slacks = {place: one.slacks(CONFIDENCE) for place, one in self.settled.items()}
        met = [place for place in self.settled if self.slacks[place].min() >= -1e-9]
        self.places: dict[str, Place] = {}
        if met:
            self.places["cheapest"] = min(met, key=lambda place: self.settled[place].cost)
            self.places["strongest"] = max(met, key=lambda place: (round(self.settled[place].power().value, 6), -self.settled[place].cost))
        elif self.settled:
            self.places["nearest"] = max(self.settled, key=lambda place: float(self.slacks[place].min()))
        self.met = sorted(met, key=lambda place: self.settled[place].cost)
        self.options = {"today": bench.today} | {name: self.settled[place] for name, place in self.places.items()}

    def answer(self, saving: dict[int, Estimate]) -> xr.Dataset:
        """Every figure of the options, of the demands and of the frontier."""
        bench, options = self.bench, list(self.options.values())
        parties = [party.name for party in bench.base.parties]
        demands, figures = bench.demands, bench.search.figures
        by_option = {name: [_figures(one, parties)[name] for one in options] for name in _figures(options[0], parties)}
        made: dict[str, Any] = {
            name: (("option", "party") if isinstance(values[0], list) else ("option",), values)
            for name, values in by_option.items()
        }
        made["within"] = ("option", "demand"), [one.slacks(CONFIDENCE) for one in options]
        chances = np.array([[_chance(one, demand) for demand in demands] for one in options])
        made["chance_of_loss"], made["chance_of_loss_interval"] = (
            (("option", "demand"), chances[..., 0]), (("option", "demand", "bound"), chances[..., 1:]),
        )  # fmt: skip
        made["demanded"] = "demand", [bound for _, _, bound, _ in demands]
        made["relaxed_saving"] = "demand", [saving.get(at, Estimate(math.nan, math.nan)).value for at in range(len(demands))]
        made["relaxed_saving_se"] = "demand", [saving.get(at, Estimate(math.nan, math.nan)).error for at in range(len(demands))]
        values = [[_value(one.design, bench, at) for at in range(len(figures))] for one in options]
        made["figure_value"] = ("option", "figure"), values
        broken = [[_breaks(one, name, reach) for name, reach in _REACH.items()] for one in options]
        made["breaks_at"] = ("option", "assumption"), [[at for at, _ in row] for row in broken]
        made["breaks_first"] = ("option", "assumption"), [[first for _, first in row] for row in broken]
        made |= self._frontier()
        coords = {
            "option": list(self.options), "party": parties, "demand": [told(demand) for demand in demands],
            "figure": [figure.path for figure in figures], "assumption": list(_REACH), "bound": ["lower", "upper"],
        }  # fmt: skip
        designs = [one.design.model_copy(update={"name": self._name(name)}) for name, one in self.options.items()]
        kept = json.dumps([design.model_dump(mode="json") for design in designs])
        return xr.Dataset(made, coords=coords, attrs={"designs": kept})

    def _name(self, option: str) -> str:
        return self.bench.base.name if option == "today" else f"{self.bench.base.name}, {option}"

    def _frontier(self) -> dict[str, Any]:
        """The designs that no other beats, and those that cannot be told from the cheapest."""
        best, power, shown = -math.inf, {place: self.settled[place].power() for place in self.met}, []
        cheapest = self.settled[self.met[0]].burden if self.met else np.zeros(1)
        for place in self.met:
            more = self.settled[place].burden - cheapest
            alike = float(self.bench.weights @ more) <= 2 * self.bench.error(more) if place != self.met[0] else True
            if power[place].value > best + 1e-9 or (alike and len(shown) < _MOST_SHOWN):
                shown.append((place, alike))
                best = max(best, power[place].value)
        ones = [self.settled[place] for place, _ in shown]
        return {
            "frontier_price": ("frontier", [float(self.bench.weights @ one.burden) / one.members for one in ones]),
            "frontier_price_se": ("frontier", [self.bench.error(one.burden) / one.members for one in ones]),
            "frontier_power": ("frontier", [power[place].value for place, _ in shown]),
            "frontier_power_se": ("frontier", [power[place].error for place, _ in shown]),
            "equally_good": ("frontier", [alike for _, alike in shown]),
            "frontier_figure": (
                ("frontier", "figure"),
                np.array([self.bench.figures(place) for place, _ in shown]).reshape(len(shown), len(self.bench.search.figures)),
            ),
        }


def _figures(one: Settled, parties: Sequence[str]) -> dict[str, Any]:
    """Figures of one design, each with its standard error."""
    bench, burden = one.bench, one.burden
    cost, error = float(bench.weights @ burden), bench.error(burden)
    found: dict[str, Any] = {"protection_cost": cost, "protection_cost_se": error}
    found |= {"price_per_head": cost / one.members, "price_per_head_se": error / one.members}
    for side in ("", "gain", "loss"):
        power = one.power(side)
        name = f"power_{side}".rstrip("_")
        found |= {name: power.value, f"{name}_se": power.error}
    surplus = {name: one.surplus(name) for name in parties}
    tails = [worst_mean(-surplus[name]) for name in parties]
    bad = [_one_in_twenty(-surplus[name]) for name in parties]
    found |= {"expected_surplus": [bench.mean(surplus[name]) for name in parties]}
    found |= {"expected_surplus_se": [bench.error(surplus[name]) for name in parties]}
    found |= {"loss_1_in_20": [lost.value for lost in bad], "loss_1_in_20_se": [lost.error for lost in bad]}
    found |= {"worst_mean": [tail.value for tail in tails], "worst_mean_se": [tail.error for tail in tails]}
    return found | {"revenue": [one.revenue(name) for name in parties]}


def _one_in_twenty(lost: Array) -> Estimate:
    """Loss that one year in twenty reaches; its error from the order statistics one binomial error to either side."""
    half = math.sqrt(0.05 * 0.95 / lost.size)
    low, middle, high = np.quantile(lost, [0.95 - half, 0.95, min(0.95 + half, 1.0)])
    return Estimate(float(middle), float(high - low) / 2)


def _chance(one: Settled, demand: tuple[str, str, float, float]) -> tuple[float, float, float]:
    """How often a loss is over the bound, and its exact 95% interval; NaN for demands on something else."""
    party, kind, bound, _ = demand
    if kind != "loss_over":
        return math.nan, math.nan, math.nan
    lost = -one.surplus(party) / one.revenue(party) > bound + 1e-12
    low, high = exact_interval(np.array([int(lost.sum())]), lost.size)[0]
    return float(lost.mean()), float(low), float(high)


def _value(design: Design, bench: Bench, at: int) -> float:
    """A figure of a design; NaN where it has none, or one for each year."""
    places = [steps for kind, steps in bench.places if kind == "figure"]
    part: Any = design
    for step in places[at]:
        part = part[step] if isinstance(step, int) or isinstance(part, dict) else getattr(part, step)
    return float(part) if isinstance(part, int | float) else math.nan


def _breaks(one: Settled, assumption: str, reach: float) -> tuple[float, str]:
    """The factor on the mean, or on the spread, of the retained cost at which the first demand fails, and which.

    Budgets stay as agreed. Infinite where none fails as far as the assumption is moved; 1 where one fails already.
    """
    demands, cost = one.bench.demands, one.retained
    mean = float(cost.mean())
    top = 1.0 + reach

    def slacks(factor: float) -> Array:
        moved = cost * factor if assumption == "mean cost" else mean + factor * (cost - mean)
        return one.otherwise(moved).slacks()

    low, high = 1.0, top
    if (at := slacks(low)).min() < -1e-9:
        return 1.0, told(demands[int(at.argmin())])
    if slacks(high).min() >= -1e-9:
        return math.inf, ""
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if slacks(middle).min() >= -1e-9 else (low, middle)
    return low, told(demands[int(slacks(high).argmin())])
