"""What each party may expect of a design, without draws: a payoff, weighed with the law of the retained cost."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ... import runs
from ...contracts.design import Design
from ...contracts.exclusion import CarveOut
from ...engine.law import Law
from ...ledger import declared
from ...scenario import Scenario
from ...settlement.bends import Curves, follow, turns_of
from ...settlement.payoff import payoff
from ...terms import Array
from ..checks import left_out
from ..statistics.exact import law_of, points_of
from ..statistics.self_check import cells_of, removes_nothing

MONEY = ("payment", "cost_borne", "surplus")
_POINTS = 513
_BENT = 1e-9  # of the largest payoff: where a payoff is no longer taken for straight
_NARROW, _JUMP = 1e-8, 1e-6  # of the range, and of the largest payoff: what rises so much within so little jumps


def exact_settlement(scenario: Scenario, designs: Sequence[Design] = (), *, sizes: Sequence[int] = ()) -> xr.Dataset:
    """Expected payments, cost and surplus of every party, exactly.

    Parameters
    ----------
    scenario : Scenario
    designs : sequence of Design
        As in `stress`.
    sizes : sequence of int
        Of the scenario's population sizes; all of them by default.

    Returns
    -------
    xarray.Dataset
        By (population_size, design, party), money per year and with the names of `compare`, so that the two can be
        subtracted: ``expected_payment``, ``expected_cost_borne``, ``expected_surplus``; an absent party is 0. NaN for
        designs that look at more than the retained cost, with the reason in the coordinate ``needs_draws`` (empty
        elsewhere). ``probability_error`` by (population_size, design) bounds the error of the chance that the retained
        cost reaches any point at which the payoff jumps; where it jumps nowhere, of what lies outside the law's range.

    Raises
    ------
    SimulatorError
        For no designs, a threshold that is not on the grid, and an infinite variance.

    Examples
    --------
    A provider at full risk, with the expected cost as his budget, may expect a surplus of 0.
    """
    chosen = scenario.select_designs(designs)
    chosen_sizes = [size for size in scenario.population_sizes if not sizes or size in sizes]
    places = [scenario.population_sizes.index(size) for size in chosen_sizes]
    parts = [
        xr.concat([_expected(scenario, design, place) for place in places], dim="population_size") for design in chosen
    ]
    answer = xr.concat(parts, dim="design", join="outer", fill_value=0.0)
    answer = answer.assign_coords(
        population_size=chosen_sizes,
        needs_draws=("design", [needs_draws(scenario, design) for design in chosen]),
    )
    answer = answer.where(answer["needs_draws"] == "")
    known = {"title": scenario.title, "currency": scenario.currency, "method": "exact"}
    answer = answer.assign_attrs(known | ({} if designs else left_out(scenario, [one.name for one in chosen])))
    return declared(answer, "exact_settlement", currency=scenario.currency)


def needs_draws(scenario: Scenario, design: Design) -> str:
    """What a design looks at besides the retained cost; empty where it is nothing."""
    if design.services is not None:
        return "it is settled by service"
    if any(service.activity_cv or service.price_cv for service in scenario.services):
        return "services have yearly factors of their own"
    if design.budget.kind == "past_years":
        return "its budget comes from past years"
    if design.budget.kind == "by_segment" and scenario.population.membership == "sampled":
        return "its budget follows the case mix that is drawn"
    nobody_leaves = removes_nothing(scenario, design.exclusion)
    if isinstance(design.exclusion, CarveOut) and not (design.exclusion.keep_capitation or nobody_leaves):
        return "capitation leaves with the patients"
    if design.quality is not None and design.quality.draws:
        return "quality is drawn"
    if design.follows_patients is not None:
        return "activity is drawn"
    watched = [] if nobody_leaves else [name for step in design.transfers for name in step.parties_watched()]
    name = next((name for name in design.excess_bearers if name in watched), "")
    return f"a transfer follows the excess that {name!r} bears" if name else ""


def _expected(scenario: Scenario, design: Design, place: int) -> xr.Dataset:
    members = scenario.population_sizes[place]

    def settled(ratios: Array) -> xr.Dataset:
        return payoff(design, ratios, scenario=scenario, members=members).isel(design=0, drop=True)

    if needs_draws(scenario, design):
        parties = np.array([party.name for party in design.parties])
        nothing = {f"expected_{name}": ("party", np.full(parties.size, np.nan)) for name in MONEY}
        return xr.Dataset(nothing | {"probability_error": np.nan}, coords={"party": parties, "design": design.name})
    typical = settled(np.ones(1))
    parties = typical["party"].values
    rule, budget = design.exclusion, float(typical["budget"])
    (point,) = points_of(scenario, rule)
    # the law is of the cost that is drawn, and the design's year is of what growth and its own savings leave of it
    left = (1.0 - design.saves) * (1.0 if scenario.do_nothing is None else scenario.do_nothing.in_year(design.year))
    law = law_of(scenario, rule, point, place, cells_of(scenario, rule, [point], runs.heads(scenario)))

    def curves(total: Array) -> Array:
        at = settled(total * left / budget)
        return np.hstack([at[name].transpose("cost_ratio", "party").values for name in MONEY])

    total, values = followed(law, curves)
    found = weighed(law, total, values).reshape(len(MONEY), -1)
    expected = {f"expected_{name}": ("party", row) for name, row in zip(MONEY, found, strict=True)}
    error = max(law.beyond, float(law.error(_jumps(total, values)).max(initial=0.0)))
    return xr.Dataset(expected | {"probability_error": error}, coords={"party": parties, "design": design.name})


def followed(law: Law, curves: Curves) -> tuple[Array, Array]:
    """Totals, and the curves there, with points added where a curve bends or jumps: between them it is straight."""

    def is_turn(total: Array, values: Array) -> NDArray[np.bool_]:
        width = np.minimum(np.diff(total)[:-1], np.diff(total)[1:])
        return np.asarray(turns_of(total, values) * width > _BENT * max(float(np.abs(values).max()), 1.0))

    return follow(curves, np.linspace(law.low, law.high, _POINTS), is_turn)


def _jumps(total: Array, values: Array) -> Array:
    """Totals on both sides of each jump; a straight part is far too narrow there to rise so much."""
    rise = np.abs(np.diff(values, axis=0)).max(axis=1)
    narrow = np.diff(total) <= _NARROW * (total[-1] - total[0])
    jumps = np.flatnonzero(narrow & (rise > _JUMP * np.abs(values).max()))
    return total[np.concatenate([jumps, jumps + 1])]


def weighed(law: Law, total: Array, values: Array) -> Array:
    """E[curve(total)] of curves that are straight between points, (curve,); beyond the law's range they go on.

    The chance of each interval and the expected way into it are all that is needed.
    """
    width, rise = np.diff(total), np.diff(values, axis=0)
    above, over = 1 - np.atleast_1d(law.cdf(total)), np.atleast_1d(law.stop_loss(total))
    chance = -np.diff(above)
    # expected way into each interval; bounded, since what is steep is narrow and would make much of a rounding
    way = np.clip(-np.diff(over) - width * above[1:], 0.0, width * chance) / width
    beyond = above[-1] * values[-1] + over[-1] * rise[-1] / width[-1]
    return np.asarray((1 - above[0]) * values[0] + chance @ values[:-1] + way @ rise + beyond)
