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
from ...terms import Array
from ..checks import check_members
from .bench import Bench, Estimate, Settled, most_events, worst_mean
from .hunt import Place, Tried, evolve, nearest, refine, scan, undominated

TRIED_ON = 3_000
"""Simulated years on which designs are tried; the best are refined, and then judged, on more of them."""
CONFIDENCE = 0.95
"""With which a proposed design meets every limit, on simulated years that the search has not seen."""
POINT = 0.01
"""By which a limit is relaxed to see what it costs, as a share of revenue."""
REACH = {"mean cost": 1.5, "spread of costs": 4.0}
"""Factors as far as which an assumption is moved to see where the first limit fails."""
_MARGINS = (
    0.05,
    0.2,
    0.5,
    0.8,
    0.95,
    0.99,
    0.999,
)  # confidences of refining: what is picked out looks better than it is
_STARTS = 3
_MOST_SHOWN = 12  # designs of the frontier
_FRESH = 1_000_003  # between the seeds of draws
_CLOSE = 1e-9


def propose(
    scenario: Scenario, search: Search | None = None, *, replicates: int | None = None, points: int | None = None
) -> xr.Dataset:
    """Terms that meet limits on what each party may lose: the cheapest, and those with the strongest incentive.

    Many designs are tried on the same simulated years, the best refined on others, and the few that are shown are
    judged on a third set, since what is picked out of many owes a part of how good it looks to luck.

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
        By ``option`` ("today", "cheapest" and "strongest", or "nearest" where nothing meets the limits):
        ``protection_cost``, what the funders expect to pay beyond the expected cost of care, money per year, and
        ``price_per_head``; ``power``, the part of each pound really saved that providers keep, in all years, in those
        of gain (``power_gain``) and of loss; by party ``expected_surplus``, ``loss_1_in_20``, ``worst_mean`` (of the
        worst 1% of years) and ``revenue``; ``within`` by demand, how far inside it with 95% confidence, as a share of
        revenue, below 0 where it fails; ``figure_value``; ``breaks_at`` by assumption, the factor at which the demand
        ``breaks_first`` fails (infinite: none does). By demand ``relaxed_saving``, what the cheapest design costs less
        a year were it a point looser. By ``frontier``, designs that none is both cheaper and stronger than, and others
        that the draws cannot tell from the cheapest (``equally_good``). The attribute ``designs`` holds the options.

    Raises
    ------
    SimulatorError
        Where there is no search, it does not fit the scenario, or the years are too few for a limit.
    """
    asked = scenario.search if search is None else search
    if asked is None:
        raise SimulatorError("search", None, "is not defined", "add [search] to the scenario, or give one")
    if not isinstance(asked, Search):
        raise SimulatorError("search", asked, "is no search", "give a Search of simulator.contracts.search")
    if search is not None:
        scenario = scenario_from(scenario.model_dump() | {"search": search.model_dump()})
    base = asked.base(scenario.designs)
    assert base is not None  # the scenario refuses another
    years, members = replicates or scenario.simulation.replicates, asked.members or scenario.population_sizes[-1]
    check_members(members)
    alone = scenario.model_copy(update={"population": scenario.population.as_one}).resized([members])

    def draw(number: int, count: int) -> Populations:
        seed = (scenario.simulation.seed + number * _FRESH) % 2**63
        return Populations(runs.simulate(alone.with_simulation(replicates=count, seed=seed)))

    answer = proposed(draw, base, asked, years, points or asked.points)
    known = runs.origin(scenario) | {"members": members, "replicates": years, "design": base.name}
    return books.declared(answer.assign_attrs(known), "propose", currency=scenario.currency)


def proposed(
    draw: Callable[[int, int], Populations], base: Design, search: Search, years: int, points: int
) -> xr.Dataset:
    """The same on populations of any source: from the number of the draws (each fresh) and how many years."""
    for demand in search.demands:
        if most_events(years, demand.at_most, CONFIDENCE) < 0:
            needed = math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-demand.at_most))
            bound = f"cannot show that a chance is at most {demand.at_most:g}, however rare"
            raise SimulatorError("replicates", years, bound, f"simulate {needed:,} years or more")
    with effort.task("proposing terms", 4.0) as advance:
        first = Bench(draw(0, min(years, TRIED_ON)), base, search)
        events = first.today.cleared.accounts.events
        for strange in (one.event for one in search.demands if one.event and one.event not in events):
            mend = f"choose from: {', '.join(events) or 'there are none'}"
            raise SimulatorError("search.limits", strange, "is not an event of the design", mend)
        seed = int(first.populations.ledger.attrs.get("seed", 1))
        tried = scan(first, points, seed)
        bred, frontier = evolve(first, tried, seed), undominated(tried)
        advance()
        fine = Bench(draw(1, years), base, search)
        starts = [*bred, *(one for one in tried if one.meets())][:_STARTS] or [nearest(tried)]
        short = _refined(fine, starts, "cheapest")
        short += _refined(fine, frontier[: -_STARTS - 1 : -1], "strongest") if frontier else []
        advance()
        fresh = Bench(draw(2, years), base, search)
        kept = {round(at) for at in np.linspace(0, len(frontier) - 1, _MOST_SHOWN)} if frontier else set()
        shown = {
            place: fresh.at(place) for place in dict.fromkeys([*short, *(frontier[at].place for at in sorted(kept))])
        }
        settled = {place: one for place, one in shown.items() if one is not None}
        met = sorted((place for place in settled if _inside(settled[place])), key=lambda place: settled[place].cost)
        options = {"today": fresh.today}
        if met:
            options["cheapest"] = settled[met[0]]
            options["strongest"] = settled[max(met, key=lambda place: round(settled[place].power().value, 6))]
        else:
            options["nearest"] = max(settled.values(), key=lambda one: float(one.slacks(CONFIDENCE).min()))
        made = _of_options(options) | _of_demands(fine, met) | _of_frontier(fresh, {at: settled[at] for at in met})
        advance(2.0)
    figures = [figure.path for figure in search.figures]
    demands, parties = [str(demand) for demand in search.demands], [party.name for party in base.parties]
    coords = {"option": list(options), "party": parties, "demand": demands, "moving": figures}
    known: dict[str, Any] = {"tried": points, "feasible": sum(one.meets() for one in tried), "aim": search.aim}
    known |= {"guards": int(search.guards), "in_the_way": "" if met else "; ".join(_in_the_way(tried, demands))}
    names = {option: base.name if option == "today" else f"{base.name}, {option}" for option in options}
    designs = [one.design.model_copy(update={"name": names[option]}) for option, one in options.items()]
    kept_designs = json.dumps([design.model_dump(mode="json") for design in designs])
    answer = xr.Dataset(made, coords | {"assumption": list(REACH)}, known | {"designs": kept_designs})
    return answer.assign_attrs(confidence=CONFIDENCE)


def _inside(one: Settled, confidence: float = CONFIDENCE) -> bool:
    return float(one.slacks(confidence).min()) >= -_CLOSE


def _refined(bench: Bench, starts: Sequence[Tried], aim: str) -> list[Place]:
    """The best of the designs that were tried, refined with rising confidence of meeting the limits."""
    found: list[Place] = []
    places = [one.place for one in starts]
    for confidence in effort.each(_MARGINS, f"refining the {aim}"):
        found += [refine(bench, place, confidence, aim) for place in places]
        places = found[-1:] if len(places) == 1 else [_better(bench, found[-len(places) :], confidence, aim)]
    return found


def _better(bench: Bench, places: Sequence[Place], confidence: float, aim: str) -> Place:
    """The best of a few refined designs."""

    def worth(place: Place) -> tuple[float, float]:
        one = bench.at(place)
        if one is None:
            return math.inf, 0.0
        missed = -min(float(one.slacks(confidence).min()) + _CLOSE, 0.0)
        return missed, one.cost if aim == "cheapest" else -one.power().value

    return min(places, key=worth)


def _in_the_way(tried: Sequence[Tried], demands: Sequence[str]) -> list[str]:
    """The demands without which some design would meet the others; all that fail where none does so alone."""
    alone = [demand for at, demand in enumerate(demands) if any(one.meets(without=at) for one in tried)]
    return alone or [demand for demand, slack in zip(demands, nearest(tried).slacks, strict=True) if slack < 0]


# ── what is told ─────────────────────────────────────────────────────────────────────────────────


def _of_demands(bench: Bench, met: Sequence[Place]) -> dict[str, Any]:
    """What the cheapest design costs less, a year, where one demand is a point looser and the others are kept."""
    saved = [Estimate(math.nan, math.nan)] * len(bench.demands)
    one = bench.at(refine(bench, met[0], CONFIDENCE, "cheapest")) if met else None
    for at in effort.each(range(len(saved) if met else 0), "what each limit costs"):
        looser = np.where(np.arange(len(saved)) == at, POINT, 0.0)
        other = bench.at(refine(bench, met[0], CONFIDENCE, "cheapest", looser))
        if one is not None and other is not None:
            saved[at] = bench.mean(one.burden - other.burden)
    values = {"relaxed_saving": [max(one.value, 0.0) for one in saved], "relaxed_saving_se": [x.error for x in saved]}
    return {name: ("demand", value) for name, value in values.items()}


def _of_options(options: dict[str, Settled]) -> dict[str, Any]:
    """Every figure of the options, by its name: dims and values."""
    made: dict[str, Any] = {}
    ones = list(options.values())
    bench, parties = ones[0].bench, [party.name for party in ones[0].design.parties]
    cost = [bench.mean(one.burden) for one in ones]
    scalars = {"protection_cost": cost, "power": [one.power() for one in ones]}
    scalars["price_per_head"] = [
        Estimate(c.value / o.members, c.error / o.members) for c, o in zip(cost, ones, strict=True)
    ]
    scalars |= {f"power_{side}": [one.power(side) for one in ones] for side in ("gain", "loss")}
    for name, row in scalars.items():
        made |= {name: ("option", [at.value for at in row]), f"{name}_se": ("option", [at.error for at in row])}
    by_party: dict[str, Callable[[Array], Estimate]] = {
        "expected_surplus": bench.mean,
        "loss_1_in_20": lambda surplus: _one_in_twenty(-surplus),
        "worst_mean": lambda surplus: worst_mean(-surplus),
    }
    for name, told in by_party.items():
        found = np.array([[told(one.surplus(party)) for party in parties] for one in ones])
        made |= {name: (("option", "party"), found[..., 0]), f"{name}_se": (("option", "party"), found[..., 1])}
    made["revenue"] = ("option", "party"), [[one.revenue(party) for party in parties] for one in ones]
    made["within"] = ("option", "demand"), [one.slacks(CONFIDENCE) for one in ones]
    made["figure_value"] = ("option", "moving"), [_values(one.design, bench) for one in ones]
    broken = [[_breaks(one, name) for name in REACH] for one in ones]
    for at, name in enumerate(("breaks_at", "breaks_first")):
        made[name] = ("option", "assumption"), [[cell[at] for cell in row] for row in broken]
    return made


def _of_frontier(bench: Bench, met: dict[Place, Settled]) -> dict[str, Any]:
    """Designs that no other beats, and those that cannot be told from the cheapest, with which `met` begins."""
    best, shown = -math.inf, list[tuple[Place, bool, Estimate, Estimate]]()
    for place, one in met.items():
        more, power = bench.mean(one.burden - next(iter(met.values())).burden), one.power()
        alike = more.value <= 2 * more.error or more.value == 0
        if power.value > best + _CLOSE or (alike and len(shown) < _MOST_SHOWN):
            shown.append((place, alike, bench.mean(one.burden / one.members), power))
            best = max(best, power.value)
    rows = np.array([[*price, *power, alike, *bench.figures(place)] for place, alike, price, power in shown])
    rows = rows.reshape(len(shown), 5 + len(bench.search.figures))
    names = ("frontier_price", "frontier_price_se", "frontier_power", "frontier_power_se", "equally_good")
    return {name: ("frontier", rows[:, at]) for at, name in enumerate(names)} | {
        "frontier_figure": (("frontier", "moving"), rows[:, 5:])
    }


def _one_in_twenty(lost: Array) -> Estimate:
    """Loss that one year in twenty reaches; its error from the order statistics one binomial error to either side."""
    half = math.sqrt(0.05 * 0.95 / lost.size)
    low, middle, high = np.quantile(lost, [max(0.95 - half, 0.0), 0.95, min(0.95 + half, 1.0)])
    return Estimate(float(middle), float(high - low) / 2)


def _values(design: Design, bench: Bench) -> list[float]:
    """Figures of a design; NaN for one that it has not, or has for each year."""
    found = []
    for steps in (steps for is_rest, steps in bench.places if not is_rest):
        part: Any = design
        for step in steps:
            part = part[step] if isinstance(step, int) or isinstance(part, dict) else getattr(part, step)
        found.append(float(part) if isinstance(part, int | float) else math.nan)
    return found


def _breaks(one: Settled, assumption: str) -> tuple[float, str]:
    """The factor on the mean, or the spread, of the retained cost at which the first demand fails, and which it is.

    Budgets stay as agreed. Infinite where none fails as far as the assumption is moved; 1 where one fails already.
    """
    mean, low, high = float(one.retained.mean()), 1.0, REACH[assumption]

    def slacks(factor: float) -> Array:
        centre = mean * factor if assumption == "mean cost" else mean
        spread = one.retained - mean
        return one.otherwise(centre + factor * spread).slacks()

    if (failing := slacks(low)).min() >= -_CLOSE:
        if slacks(high).min() >= -_CLOSE:
            return math.inf, ""
        for _ in range(12):
            middle = (low + high) / 2
            low, high = (middle, high) if slacks(middle).min() >= -_CLOSE else (low, middle)
        failing = slacks(high)
    return low, str(one.bench.demands[int(failing.argmin())])
