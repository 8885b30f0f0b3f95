"""Which assumption matters? Sobol indices and a tornado over inputs that are known only within ranges.

The budget stays as agreed on the scenario's own figures; the inputs are what turns out. Every figure at a point of the
input space is exact, so that nothing but the inputs makes it vary, and no seeds are needed for the model itself.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import xarray as xr
from scipy import stats

from ... import effort, runs
from ... import ledger as books
from ...contracts.budget import PerHead
from ...contracts.exclusion import Cap
from ...errors import SimulatorError
from ...scenario import Scenario
from ...stresses import Change, Epidemic, Range
from ...terms import Array
from ..checks import check_fraction
from ..statistics.exact import exact_value, laws_work
from ..statistics.self_check import cells_of
from ..statistics.statistic import EXPLAINED, Statistic, named
from .changed_scenario import truth_of

_RESAMPLES = 400


def sensitivity(
    scenario: Scenario,
    ranges: Sequence[Range] = (),
    statistic: str = "p_overspend",
    *,
    members: int | None = None,
    threshold: float | None = None,
    margin: float = 0.05,
    points: int = 64,
    confidence: float = 0.95,
    seed: int = 1,
) -> xr.Dataset:
    """Which uncertain input moves a statistic most.

    Parameters
    ----------
    scenario : Scenario
    ranges : sequence of Range
        The scenario's by default. Inputs are independent, and each point of a range is as likely as another.
    statistic : str
        "p_overspend", "cv", "mean_overspend" (mean retained cost / budget − 1), "expected_overspend" or
        "mean_overspend_worst_5pc".
    members : int, optional
        People; the scenario's largest population by default.
    threshold : float, optional
        A point of the scenario's grid; the last by default.
    margin : float
        Of p_overspend, a fraction.
    points : int
        Points of the Sobol sequence, a power of 2; the exact engine is asked points × (inputs + 2) times.
    confidence : float
        Of the indices' bootstrap intervals.
    seed : int
        Of the Sobol sequence and the bootstrap.

    Returns
    -------
    xarray.Dataset
        By ``input``: ``first_order`` and ``total_order``, shares of the statistic's variance that an input explains
        alone, and with all that it does together with others; each with ``…_interval`` (bound), held to 0…1, where
        such shares lie, although their estimates can stray beyond; and ``tornado``
        (input, end), the exact statistic with this input at the ends of its range and all others as agreed.
        ``as_agreed`` is the statistic where nothing turns out otherwise.

    Raises
    ------
    SimulatorError
        For no ranges, parameter sets, an epidemic (which only draws can show), or a point at which the model is
        invalid.
    """
    chosen, of = ranges_of(scenario, ranges), named(statistic, EXPLAINED)
    ends = np.array([[one.low, one.high] for one in chosen])
    if points < 4 or points & (points - 1):
        raise SimulatorError("points", points, "must be a power of 2, 4 or more", "give 64, say")
    check_fraction("confidence", confidence, 0.95, above=0.5)
    size = members or scenario.population_sizes[-1]
    of_changes = _model(scenario, of, size, threshold, margin)
    asked = 2 * len(chosen) + points * (len(chosen) + 2) + 1
    with effort.task("sensitivity", asked) as advance:
        _expect(scenario, of, asked, points)

        def value(changes: Sequence[Change]) -> float:
            found = of_changes(changes)
            advance()
            return found

        def at(inputs: Array) -> Array:
            rows = [[one.change.at(float(x)) for one, x in zip(chosen, row, strict=True)] for row in inputs]
            return np.array([[value(changes) for changes in rows]])

        tornado = np.array([[value([one.change.at(end)]) for end in (one.low, one.high)] for one in chosen])
        evaluated = _evaluated(at, ends, points, seed)
        as_agreed = value([])
    found, intervals = (np.clip(part, 0, 1) for part in (_indices(evaluated), _bootstrap(evaluated, confidence, seed)))
    answer = xr.Dataset(
        {
            "first_order": ("input", found[0]), "first_order_interval": (("input", "bound"), intervals[0]),
            "total_order": ("input", found[1]), "total_order_interval": (("input", "bound"), intervals[1]),
            "tornado": (("input", "end"), tornado), "as_agreed": as_agreed,
        },
        coords={
            "input": [one.name for one in chosen], "bound": ["lower", "upper"], "end": ["low", "high"],
            "figure": ("input", [type(one.change).figure for one in chosen]), "range": (("input", "end"), ends),
        },
    )  # fmt: skip
    told = "; ".join(f"{one.name}: {type(one.change).figure} {one.low:g} to {one.high:g}" for one in chosen)
    known = {"statistic": statistic, "points": points, "confidence": confidence, "ranges": told, "members": size}
    known |= {"margin": margin} if of.level else {}
    answer = answer.assign_attrs(runs.exact_origin(scenario) | known)
    return books.declared(answer, "sensitivity", statistic=statistic, confidence=confidence)


def _expect(scenario: Scenario, statistic: Statistic, asked: int, points: int) -> None:
    streams, thresholds = len(scenario.cost_model.streams), scenario.threshold_labels.size
    one = effort.reading(streams, thresholds)
    if not statistic.by_moments:
        one = one.also(laws_work(scenario, 1, 1))
    work = effort.Work(0.02 * asked).also(one, asked)
    effort.expect("sensitivity", work, "points", points, "ask for fewer points")


_Evaluated = dict[Literal["f_A", "f_B", "f_AB"], Array]
"""A statistic at two samples of the inputs, and at the first with one input from the second."""


def _evaluated(at: Callable[[Array], Array], ends: Array, points: int, seed: int) -> _Evaluated:
    inputs = ends.shape[0]
    drawn = stats.qmc.Sobol(2 * inputs, rng=np.random.default_rng(seed)).random(points)
    first, second = (ends[:, 0] + part * (ends[:, 1] - ends[:, 0]) for part in (drawn[:, :inputs], drawn[:, inputs:]))
    mixed = [np.where(np.arange(inputs) == k, second, first) for k in range(inputs)]
    return {"f_A": at(first), "f_B": at(second), "f_AB": np.stack([at(part) for part in mixed])}


def _indices(evaluated: _Evaluated) -> Array:
    """First and total order by input, shape (2, input); 0 where the statistic does not vary at all."""
    if np.ptp(np.concatenate([evaluated["f_A"], evaluated["f_B"]])) == 0:
        return np.zeros((2, evaluated["f_AB"].shape[0]))
    found = stats.sobol_indices(func=evaluated, n=evaluated["f_A"].shape[1])
    return np.stack([np.ravel(found.first_order), np.ravel(found.total_order)])


def _bootstrap(evaluated: _Evaluated, confidence: float, seed: int) -> Array:
    """Percentile intervals over resampled points, shape (2, input, bound)."""
    rng, n = np.random.default_rng(seed), evaluated["f_A"].shape[1]
    drawn = [rng.integers(n, size=n) for _ in range(_RESAMPLES)]
    resampled = [_indices({name: values[..., kept] for name, values in evaluated.items()}) for kept in drawn]
    tail = (1 - confidence) / 2
    return np.moveaxis(np.quantile(resampled, [tail, 1 - tail], axis=0), 0, -1)


def ranges_of(scenario: Scenario, ranges: Sequence[Range] = ()) -> tuple[Range, ...]:
    """The ranges that are asked about, the scenario's by default."""
    chosen = tuple(ranges) or scenario.ranges
    if not chosen:
        raise SimulatorError("ranges", None, "none are given", "add [[ranges]] to the scenario, or give some")
    if len(chosen) < 2:
        bound = "is one alone, which has nothing to be compared with"
        raise SimulatorError("ranges", len(chosen), bound, "give two or more")
    for one in chosen:
        if isinstance(one.change, Epidemic):
            bound = "is an epidemic, which only draws can show"
            raise SimulatorError(f"ranges: {one.name}", None, bound, "use `stress`")
        if not one.low < one.high:
            bound = f"must be below high, {one.high:g}"
            raise SimulatorError(f"ranges: {one.name}: low", one.low, bound, "widen the range")
    if scenario.population.n_sets:
        bound = "are doubt of another kind, which the ranges would be added to"
        mend = "leave parameter_uncertainty out, or ask variance_by_source"
        raise SimulatorError("population.parameter_sets", None, bound, mend)
    for one in chosen:
        for end in (one.low, one.high):
            truth_of(scenario, [one.change.at(end)])
    return chosen


def _model(
    scenario: Scenario, statistic: Statistic, members: int, threshold: float | None, margin: float
) -> Callable[[Sequence[Change]], float]:
    """The exact statistic of what turns out, under the budget as agreed."""
    assumed = scenario.resized((members,))
    grid = assumed.threshold_labels.tolist()
    point = grid[-1] if threshold is None else threshold
    if point not in grid:
        bound = "is not on the scenario's grid"
        raise SimulatorError("threshold", threshold, bound, "add it to [simulation] thresholds")
    rule = Cap(at=point)
    agreed = cells_of(assumed, rule, [point], runs.heads(assumed)).mean.item() / members

    def value(changes: Sequence[Change]) -> float:
        paid = PerHead(amount=agreed, basis="retained")
        return float(exact_value(truth_of(assumed, changes), rule, statistic, margin, paid)[0])

    return value
