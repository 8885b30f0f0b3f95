"""Reverse stress: how far must an input move before a party reaches its limit?"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import xarray as xr
from scipy import optimize

from ... import effort, runs
from ... import ledger as books
from ...contracts.design import Design
from ...errors import SimulatorError
from ...scenario import Scenario
from ...settlement.compare import revenue_of
from ...strata import mean_and_error, share_and_error
from ...stresses import Change
from ..checks import check_party
from .changed_scenario import truth_of, with_agreed_budgets
from .stress import assumed_for, settle_truth, surplus_of

_Judged = tuple[float, float]  # what is judged, and its standard error

_HALVINGS = 10
_USUAL_STEPS = 12  # runs until a root is found


def reverse_stress(
    scenario: Scenario,
    change: Change,
    design: Design,
    *,
    party: str = "provider",
    loss_over: float = 0.02,
    at_most: float | None = None,
    members: int | None = None,
    replicates: int | None = None,
    largest: float | None = None,
    executor: Executor | None = None,
) -> xr.Dataset:
    """How far one input must move before a party loses more than its limit.

    Parameters
    ----------
    scenario, design
        As in `stress`.
    change : Change
        The input; its leading figure is moved from 0, whatever it is.
    party : str
    loss_over : float
        The limit, as a share of the party's revenue as agreed.
    at_most : float, optional
        Where given, the accepted chance of a loss above the limit; else the expected loss is judged.
    members, replicates : int, optional
        As in `stress`.
    largest : float, optional
        How far the figure is moved at most; by default the change's own largest, or a half, a quarter … of it that the
        scenario allows.

    Returns
    -------
    xarray.Dataset
        ``breaking_point``, the leading figure at which the limit is reached, with ``breaking_point_se``: 0 where it
        is passed as agreed, NaN where even `largest` does not reach it; ``as_agreed`` and ``at_largest``, what is
        judged at the two ends (loss over revenue, or the chance), each with ``_se``.

    Raises
    ------
    SimulatorError
        As in `stress`, and for an unknown party.
    """
    (design,) = scenario.select_designs([design])
    check_party([design], party)
    assumed = assumed_for(scenario, members, replicates)
    top = _reach(assumed, change) if largest is None else largest
    base = settle_truth(assumed, (), [design], executor)
    revenue = float(revenue_of(base).sel(party=party).item())
    kept = with_agreed_budgets([design], base)

    def loss(figure: float) -> xr.DataArray:
        outcome = base if figure == 0 else settle_truth(assumed, (change.at(figure),), kept, executor)
        return -surplus_of(outcome).sel(party=party).isel(design=0) / revenue

    bound = loss_over if at_most is None else at_most
    with effort.task("reverse stress", _USUAL_STEPS) as advance:

        def judge(figure: float) -> _Judged:
            lost = loss(figure)
            value, error = mean_and_error(lost) if at_most is None else share_and_error(lost > loss_over + 1e-9)
            advance()
            return float(value), float(error)

        ends = [judge(0.0), judge(top)]
        point, error = _root(judge, bound, top, ends)
    kind, figure = str(getattr(change, "kind", "")), type(change).figure
    answer = xr.Dataset({"breaking_point": point, "breaking_point_se": error})
    for end, (value, se) in zip(("as_agreed", "at_largest"), ends, strict=True):
        answer[end], answer[f"{end}_se"] = value, se
    known = {"change": kind, "figure": figure, "design": design.name, "party": party, "loss_over": loss_over}
    known |= {"largest": top, "method": "simulated"} | ({} if at_most is None else {"at_most": at_most})
    known |= {"members": assumed.population_sizes[0], "replicates": assumed.simulation.replicates}
    answer = answer.assign_attrs(runs.origin(scenario) | known)
    return books.declared(answer, "reverse", figure=figure, change=kind)


def _reach(assumed: Scenario, change: Change) -> float:
    """The change's own largest figure, halved until the scenario allows it: no segment is larger than all people."""
    reach = type(change).largest
    for _ in range(_HALVINGS):
        try:
            truth_of(assumed, [change.at(reach)])
            return reach
        except SimulatorError:
            reach /= 2
    return type(change).largest


def _root(judged: Callable[[float], _Judged], bound: float, top: float, ends: Sequence[_Judged]) -> _Judged:
    """Where what is judged reaches its bound, and the error that its own error makes there."""
    if ends[0][0] >= bound:
        return 0.0, 0.0
    if ends[1][0] < bound:
        return math.nan, math.nan
    point = float(optimize.brentq(lambda figure: judged(figure)[0] - bound, 0.0, top, xtol=1e-4 * abs(top), maxiter=40))
    step = 0.05 * abs(point) + 1e-3 * abs(top)
    low, high = (min(max(point + side * step, min(0.0, top)), max(0.0, top)) for side in (-1, 1))
    slope = (judged(high)[0] - judged(low)[0]) / (high - low)
    return point, judged(point)[1] / abs(slope) if slope else math.nan
