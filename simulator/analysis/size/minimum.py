"""How large must the population be? The smallest size that meets a target, with an interval and an exact cross-check.

One coarse pass over about thirty sizes finds where the statistic meets the target; a second pass, with fresh
replicates, looks closely there. All sizes of a pass share their draws. Where the ends of the statistic's interval meet
the target, the interval of the answer ends.
"""

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ... import effort, runs
from ... import ledger as books
from ...contracts.budget import PerHead
from ...contracts.design import Design
from ...contracts.exclusion import Cap, ExclusionRule, as_attribute
from ...deprecated import old_keywords
from ...errors import SimulatorError
from ...scenario import Scenario
from ...strata import Strata, strata_of
from ...terms import MOST_PEOPLE, Array
from ..checks import left_out
from ..statistics.exact import laws_work, points_of
from .exact_minimum import Asked, exact_minimum
from .grid import crossing
from .targets import Measured, Question, is_exact, measure, question_of, target_of

Sizes = NDArray[np.int64]

GRID = 30  # sizes of the coarse pass
_CLOSE = 9  # sizes of the second pass for each column
_SURE = 0.999  # confidence with which the coarse pass places the second
_EXACT_SIZES = 12  # of which the exact laws are asked for each threshold, about
_STEPS = 6  # of the work before exact answers, in units of progress: the limit, then one and four of the two passes
_COARSE_SHARE = 4  # the coarse pass draws one in so many of the replicates


@old_keywords(budget=PerHead)
def minimum_population(
    scenario: Scenario,
    statistic: str = "p_overspend",
    *,
    at_most: float,
    margin: float | None = None,
    quantile_level: float | None = None,
    loss_over: float | None = None,
    rule: ExclusionRule = Cap(),  # noqa: B008 - frozen
    designs: Sequence[Design] = (),
    party: str = "provider",
    budget: PerHead = PerHead(),  # noqa: B008 - frozen
    smallest: int | None = None,
    largest: int | None = None,
    replicates: int | None = None,
    confidence: float = 0.95,
    method: Literal["simulated", "exact"] | None = None,
    cross_check: bool | None = None,
    executor: Executor | None = None,
) -> xr.Dataset:
    """Smallest population from which on a target holds at every larger size of the grid.

    Parameters
    ----------
    scenario : Scenario
    statistic : str
        "p_overspend", "expected_overspend", "cv", "mean_overspend_worst_5pc"; "tvar", the mean overspend in the worst
        years; or "p_loss", the chance that `party` loses more than `loss_over` of its revenue, which needs designs.
    at_most : float
        The most that the statistic may be, a fraction.
    margin, quantile_level, loss_over : float, optional
        What `p_overspend`, `tvar` and `p_loss` need, as fractions.
    rule : exclusion rule
        Swept over the scenario's thresholds unless it fixes its own; without designs.
    designs : sequence of Design
        One answer for each, with its own exclusion and budget, in the place of one for each threshold. `p_loss` asks
        about the scenario's designs by default.
    party : str
        Whose loss is asked for.
    budget : PerHead
        As in `summarise`.
    smallest, largest : int, optional
        Ends of the grid of sizes; 1,000 (or the scenario's smallest) and the scenario's largest.
    replicates : int, optional
        Populations of the second pass; the scenario's by default. The coarse pass draws a quarter as many.
    confidence : float
        Of the interval.
    method : {"simulated", "exact"}, optional
        "exact" draws nothing; `cv`, which has a closed form, is always exact, the others are simulated by default.
    cross_check : bool, optional
        Whether the exact engine answers too, where it can; by default where there are no parameter sets, each of which
        takes as long as a whole scenario.
    executor : concurrent.futures.Executor, optional

    Returns
    -------
    xarray.Dataset
        By ``threshold`` or ``design``: ``minimum_population`` in people, 0 where the smallest size of the grid meets
        the target already, infinity where the largest does not; ``minimum_population_interval`` (bound);
        ``exact_minimum_population`` (NaN where the exact engine has no answer), infinity where no population is large
        enough; ``systematic_alone``, the statistic in the infinite-population limit, right to about 1e-4; and
        ``curve`` with ``curve_interval`` (population_size), the coarse pass or the exact curve.

    Raises
    ------
    SimulatorError
        For arguments out of range or that do not fit together.

    Examples
    --------
    >>> import simulator as sim
    >>> scenario = sim.load("configs/east_sussex.toml")
    >>> answer = sim.minimum_population(scenario, margin=0.03, at_most=0.05, method="exact")
    >>> round(float(answer["minimum_population"].sel(threshold=50_000)), -2)
    17700.0
    """
    target = target_of(
        statistic, at_most, margin=margin, quantile_level=quantile_level, loss_over=loss_over, confidence=confidence
    )
    exactly = is_exact(method, target.of, bool(designs))
    question = question_of(scenario, target, rule, designs, party, budget)
    sizes = _sizes(scenario, smallest, largest)
    if replicates is not None and replicates < 40:
        raise SimulatorError("replicates", replicates, "must be at least 40", "ask for some thousands")
    checked = not scenario.population.n_sets if cross_check is None else cross_check
    asked = points_of(scenario, rule) if question.dim == "threshold" and (exactly or checked) else []
    drawn = 0 if exactly else replicates or scenario.simulation.replicates
    with effort.task("smallest population", _STEPS + len(asked)) as advance:
        _expect(question, sizes, drawn, len(asked))
        limit = question.limit
        advance()
        origin = runs.exact_origin(scenario) if exactly else runs.origin(scenario) | {"replicates": drawn}
        coarse, found = (None, None) if exactly else _simulated(question, sizes, drawn, executor, advance)
        advance(_STEPS - advance.done)
        exact, exactly_asked = np.full(limit.size, np.nan), Asked(scenario, target, rule, budget)
        near = np.full(limit.size, np.nan) if found is None else found[0]
        for column, point in enumerate(asked):
            ends = (float(near[column]), float(limit[column]))
            exact[column] = exact_minimum(exactly_asked, point, sizes.astype(float), *ends)
            if said := exactly_asked.doubt(point, exact[column]):
                origin |= {"doubt": said}
                exact[column] = exact[column] if exactly else np.nan
            advance()
    if question.dim == "design" and not designs:
        origin |= left_out(scenario, question.labels)
    answer = _answer(question, sizes, np.stack([exact] * 3) if found is None else found, exact, limit, coarse)
    return answer.assign_attrs(origin | as_attribute(rule))


def calculated(scenario: Scenario, margin: float, at_most: float, within: float) -> xr.Dataset | None:
    """The exact smallest populations; None where there is no exact law, or it is expected to take longer (seconds)."""
    asked = points_of(scenario, Cap())
    work = laws_work(scenario.resized((scenario.population_sizes[-1],)), len(asked), _EXACT_SIZES)
    if scenario.population.n_sets or work.seconds > within:
        return None
    try:
        return minimum_population(scenario, margin=margin, at_most=at_most, method="exact")
    except SimulatorError:
        return None


def _expect(question: Question, sizes: Sizes, replicates: int, asked: int) -> None:
    scenario, columns = question.scenario, question.scenario.threshold_labels.size
    passes = replicates * (1 + 1 / _COARSE_SHARE)
    work = runs.work_of(scenario.resized(tuple(sizes.tolist())), int(passes)) if replicates else effort.Work(0.0)
    work = work.also(effort.moments(len(scenario.cost_model.streams), 3 * columns, max(scenario.population.n_sets, 1)))
    if asked and not question.target.of.by_moments:
        work = work.also(laws_work(scenario.resized((int(sizes[-1]),)), asked, _EXACT_SIZES))
    mend = "give fewer thresholds or replicates, or fewer segments"
    effort.expect("smallest population", work, "simulation.thresholds", columns, mend)


def _sizes(scenario: Scenario, smallest: int | None, largest: int | None) -> Sizes:
    low = smallest or min(1_000, scenario.population_sizes[0])
    high = largest or scenario.population_sizes[-1]
    if high > MOST_PEOPLE:
        raise SimulatorError("largest", high, f"must be at most {MOST_PEOPLE:,}", "give a smaller one")
    if not 1 <= low < high:
        bound = f"must be at least 1 and below the largest size, {high:,}"
        raise SimulatorError("smallest", low, bound, "widen the range of sizes")
    return _rounded(low, high, GRID)


def _rounded(low: int, high: int, number: int) -> Sizes:
    """So many sizes from one to another, each by the same factor larger than the one before."""
    return np.unique(np.round(np.geomspace(low, high, number)).astype(np.int64))


def _simulated(
    question: Question, sizes: Sizes, replicates: int, executor: Executor | None, advance: effort.Task
) -> tuple[Measured, Array]:
    """The coarse curve, and the answer with its interval, shape (3, column)."""
    few, target = max(replicates // _COARSE_SHARE, 40), question.target
    excess, strata = _draw(question, sizes, few, 0, executor)
    advance()
    coarse = measure(excess, target, strata=strata)
    ranges = _close_ranges(measure(excess, target, _SURE, strata), sizes, target.at_most)
    wanted = [_rounded(low, high, _CLOSE) for low, high in ranges if low < high]
    if not wanted:
        decided = [math.inf if low == sizes[-1] else 0.0 for low, _ in ranges]
        return coarse, np.tile(decided, (3, 1))
    close_sizes = np.unique(np.concatenate(wanted))
    with effort.task("second pass", 1, fills=_STEPS - 2):
        excess, strata = _draw(question, close_sizes, replicates, few, executor)
    close = measure(excess, target, strata=strata)
    # of a probability that was never seen, all that is known is that it is small
    finest = min(0.5 / replicates, target.at_most / 2)
    found = np.empty((3, len(ranges)))
    for column, (low, high) in enumerate(ranges):
        outside = (sizes < low) | (sizes > high) | (low == high)
        inside = (close_sizes >= low) & (close_sizes <= high) & (low < high)
        joined = np.concatenate([sizes[outside], close_sizes[inside]])
        order = np.argsort(joined)
        for row, (far, near) in enumerate(zip(coarse, close, strict=True)):
            values = np.concatenate([far[outside, column], near[inside, column]])[order]
            found[row, column] = crossing(joined[order].astype(float), values, target.at_most, target.of.scale, finest)
    return coarse, found


def _draw(
    question: Question, sizes: Sizes, replicates: int, first: int, executor: Executor | None
) -> tuple[Array, Strata | None]:
    asked = question.scenario.resized(tuple(sizes.tolist()), replicates=replicates)
    ledger = runs.simulate(asked, executor, first_replicate=first)
    return question.excess(ledger), strata_of(ledger)


def _close_ranges(sure: Measured, sizes: Sizes, at_most: float) -> list[tuple[int, int]]:
    """Between which sizes of the grid each column's answer surely lies; equal where the smallest meets the target."""
    ranges = []
    for column in range(sure.value.shape[1]):
        surely_missed = np.flatnonzero(~(sure.lower[:, column] <= at_most))
        perhaps_missed = np.flatnonzero(~(sure.upper[:, column] <= at_most))
        low = int(surely_missed[-1]) if surely_missed.size else 0
        high = min(int(perhaps_missed[-1]) + 1, sizes.size - 1) if perhaps_missed.size else 0
        ranges.append((int(sizes[low]), int(sizes[high])))
    return ranges


def _answer(
    question: Question, sizes: Sizes, found: Array, exact: Array, limit: Array, coarse: Measured | None
) -> xr.Dataset:
    dim, target, scenario = question.dim, question.target, question.scenario
    answer = xr.Dataset(
        {
            "minimum_population": ((dim,), found[0]),
            "minimum_population_interval": ((dim, "bound"), np.sort(found[1:].T, axis=1)),
            "exact_minimum_population": ((dim,), exact),
            "systematic_alone": ((dim,), limit),
        },
        coords={dim: question.labels, "bound": ["lower", "upper"]},
    )
    if coarse is not None:
        answer = answer.assign_coords(population_size=sizes)
        answer["curve"] = ("population_size", dim), coarse.value
        answer["curve_interval"] = ("population_size", dim, "bound"), np.stack([coarse.lower, coarse.upper], axis=-1)
    asked, method, basis = target.sentence(), *(("exact", "exact") if coarse is None else ("simulated", "drawn"))
    known = {"statistic": target.statistic, "at_most": target.at_most, "confidence": target.confidence, "asked": asked}
    known |= {} if target.level is None else {"level": target.level}
    known |= {"smallest": int(sizes[0]), "largest": int(sizes[-1]), "method": method}
    if dim == "threshold":
        books.describe_threshold(answer, scenario.simulation.thresholds, scenario.currency)
    return books.declared(answer.assign_attrs(known), "minimum", asked=asked, basis=basis)
