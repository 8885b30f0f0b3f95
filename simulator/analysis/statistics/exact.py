"""The same question without draws: every statistic of `summarise`, from the exact engine."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import xarray as xr

from ... import effort, runs
from ...contracts.budget import PerHead
from ...contracts.exclusion import Cap, CarveOut, ExclusionRule, Layer, as_attribute
from ...costs.shock_nodes import factor_range
from ...deprecated import old_keywords
from ...engine.exact import law
from ...engine.law import Law
from ...engine.mixed_law import mixed
from ...engine.simulate import cores
from ...engine.transforms import Rule, Step, Transforms
from ...errors import SimulatorError
from ...ledger import declared
from ...scenario import Scenario
from ...terms import Array
from . import exact_years as over_years
from . import self_check as exactness
from .self_check import points_of as points_of
from .statistic import EXACT, Cell, Levels, Statistic
from .summary import MARGINS, QUANTILE_LEVELS, budget_of, check_arguments

Shared = Callable[[], tuple[Transforms, ...]]

_USELESS = 0.01  # error of a probability from which on a law with observed costs is refused


@old_keywords(budget=PerHead)
def exact(
    scenario: Scenario,
    rule: ExclusionRule = Cap(),  # noqa: B008 - frozen
    margins: Sequence[float] = MARGINS,
    quantiles: Sequence[float] = QUANTILE_LEVELS,
    *,
    budget: PerHead = PerHead(),  # noqa: B008 - frozen
    pool_years: Mapping[int, float] | None = None,
) -> xr.Dataset:
    """Statistics of the cost that an exclusion rule keeps, exactly and at once.

    Where the scenario carries parameter sets, the law is the equal mixture of the laws under each, and takes that many
    times as long. Marginal laws only: what joins thresholds, years or parties is what drawing is for.

    Parameters
    ----------
    scenario, rule, margins, quantiles, budget
        As in `summarise`.
    pool_years : mapping of int to float, optional
        Of a scenario with [years]: weights by year of a sum whose distribution is asked for, {1: 1, 2: 1, 3: 1}, in
        place of that of every year. Its budget is its expected cost.

    Returns
    -------
    xarray.Dataset
        ``year`` where the scenario has [years] that are not pooled. Names and dims of `summarise` without standard
        errors, so that the two can be subtracted; and
        ``probability_error``, a bound on the error of every `p_overspend`: small but where the total has steps too
        narrow to be resolved, as where a few patients all cost nearly the same. Where it is above 0.001, or that of a
        quantile is, the attribute ``doubt`` says so.
        ``expected_overspend`` and ``mean_overspend_worst_5pc`` are NaN where capitation leaves with the patients: a
        ratio of random sums has no series.

    Examples
    --------
    >>> import simulator as sim
    >>> answer = sim.exact(sim.load("configs/east_sussex.toml"))
    >>> bool(answer["cv"].sel(population_size=1_000, threshold=25_000) > 0.05)
    True
    """
    if scenario.years is None and pool_years is None:
        return exact_answer(scenario, rule, margins, quantiles, budget)

    def answer_of(weights: Mapping[int, float] | None) -> xr.Dataset:
        if weights == {1: 1.0} and pool_years is None:
            return exact_answer(scenario, rule, margins, quantiles, budget)
        return _of_years(scenario, rule, {"margin": margins, "quantile_level": quantiles}, weights or {}, budget)

    return over_years.by_year(scenario, answer_of) if pool_years is None else answer_of(pool_years)


def _of_years(
    scenario: Scenario, rule: ExclusionRule, levels: Levels, weights: Mapping[int, float], budget: PerHead
) -> xr.Dataset:
    """Statistics of a weighted sum of years."""
    check_arguments(levels["margin"], levels["quantile_level"])
    if budget != PerHead(basis=budget.basis):
        raise SimulatorError("budget", None, "is not the expected cost, which alone holds over years", "leave it out")
    points = points_of(scenario, rule)
    pooled = over_years.Pooled(scenario, rule, points, over_years.check_weights(scenario, weights))
    if pooled.is_near_0:
        bound = "leaves an expected total near 0, of which nothing is a share"
        raise SimulatorError("pool_years", None, bound, "give other weights, or draw and pool_years(relative_to=...)")
    shape = pooled.mean.shape
    figures = {one.name: np.empty((*shape, *([len(levels[one.level])] if one.level else []))) for one in EXACT}
    figures |= {"budget": pooled.mean, "probability_error": np.empty(shape)}
    for at in effort.each(list(np.ndindex(shape)), "exact distributions"):
        found, paid, sd = pooled.law(at), float(pooled.mean[at]), float(pooled.sd[at])

        def chance_over(margin: float, found: Law = found, paid: float = paid) -> tuple[float, float]:
            return float(1 - found.cdf((1 + margin) * paid)), float(found.error((1 + margin) * paid))

        skewness = found.expect(lambda x, paid=paid, sd=sd: ((x - paid) / sd) ** 3, 4_001)  # type: ignore[misc]
        cell = Cell(paid, sd, skewness, paid, False, levels, lambda found=found: found, chance_over)  # type: ignore[misc]
        for one in EXACT:
            assert one.exact is not None
            figures[one.name][at] = one.exact(cell)
        figures["probability_error"][at] = found.beyond
    said = exactness.doubt(float(figures["probability_error"].max()))
    known = as_attribute(rule) | ({"doubt": said} if said else {})
    return _dataset(scenario, points, figures, levels).assign_attrs(known)


def exact_answer(
    scenario: Scenario,
    rule: ExclusionRule,
    margins: Sequence[float],
    quantiles: Sequence[float],
    budget: PerHead,
    shared: Shared | None = None,
) -> xr.Dataset:
    """As `exact`; `shared` gives what `transforms_of` does where other sizes, or points of the same grid, share it."""
    check_arguments(margins, quantiles)
    levels: Levels = {"margin": margins, "quantile_level": quantiles}
    points = points_of(scenario, rule)
    expect_laws(scenario, len(points), len(scenario.population_sizes))
    moments = exactness.cells_of(scenario, rule, points, runs.heads(scenario))
    paid = budget_of(moments, budget)
    shape = moments.mean.shape
    figures = {one.name: np.empty((*shape, *([len(levels[one.level])] if one.level else []))) for one in EXACT}
    figures |= {"budget": paid, "probability_error": np.empty(shape)}
    cell_at, errors = _cells(scenario, rule, moments, paid, levels, shared), [0.0]
    for at in effort.each(list(np.ndindex(shape)), "exact distributions"):
        cell = cell_at(at)
        for one in EXACT:
            assert one.exact is not None
            figures[one.name][at] = one.exact(cell)
        errors.append(float(np.max(cell.law.error(cell.quantile), initial=0.0)))
        figures["probability_error"][at] = max((error for _, error in cell.chances), default=cell.law.beyond)
    said = exactness.doubt(max(*errors, float(figures["probability_error"].max())))
    known = as_attribute(rule) | ({"doubt": said} if said else {})
    return _dataset(scenario, points, figures, levels).assign_attrs(known)


def exact_value(
    scenario: Scenario,
    rule: ExclusionRule,
    statistic: Statistic,
    level: float | None,
    budget: PerHead,
    shared: Shared | None = None,
) -> Array:
    """One statistic as a target, by population size, with the rule at a single point; nothing else is worked out."""
    levels = statistic.levels(level)
    check_arguments(levels["margin"], levels["quantile_level"])
    moments = exactness.cells_of(scenario, rule, points_of(scenario, rule), runs.heads(scenario))
    cell_at = _cells(scenario, rule, moments, budget_of(moments, budget), levels, shared)
    value = statistic.exact_target or statistic.exact
    assert value is not None
    return np.array([np.ravel(value(cell_at((place, 0))))[0] for place in range(moments.mean.shape[0])])


def _cells(
    scenario: Scenario,
    rule: ExclusionRule,
    moments: exactness.ExactCells,
    budget: Array,
    levels: Levels,
    transforms: Shared | None = None,
) -> Callable[[tuple[int, int]], Cell]:
    """What gives the cell at a size and a point of the grid."""
    points, shared = points_of(scenario, rule), transforms or cache(lambda: transforms_of(scenario))

    def cell_at(at: tuple[int, int]) -> Cell:
        point = points[at[1]]
        paid = float(budget[at])
        cell = Cell(
            mean=moments.mean[at], sd=moments.sd[at], skewness=moments.skewness[at], budget=budget[at],
            budget_moves=moves_capitation(scenario, rule, point), levels=levels,
            made_law=lambda: law_of(scenario, rule, point, at[0], moments, transforms=shared()),
            chance_over=lambda margin: chance_over(scenario, rule, at, moments, cell.law, paid, margin, shared()),
        )  # fmt: skip
        return cell

    return cell_at


def expect_laws(scenario: Scenario, asked: int, sizes: int, name: str = "exact distributions") -> None:
    """Say what laws at so many thresholds and sizes take, and refuse what takes too long."""
    effort.expect(name, laws_work(scenario, asked, sizes), *_longest(scenario, asked, sizes))


def laws_work(scenario: Scenario, asked: int, sizes: int) -> effort.Work:
    """What exact laws at so many thresholds and sizes take."""
    model = scenario.cost_model
    streams, sets = len(model.streams), max(scenario.population.n_sets, 1)
    spreads = [float(s) for s in np.log(np.divide(*factor_range(model.joint_shocks)[::-1])) / 2] if model.shocks else []
    finite = max(int(np.isfinite(scenario.threshold_labels).sum()), 1)
    work = effort.laws(asked, sizes, streams, sets, finite, spreads)
    return work.also(effort.moments(streams, asked, sets, len(model.shocks) + 1))


def _longest(scenario: Scenario, asked: int, sizes: int) -> tuple[str, int, str]:
    """The figure that makes exact laws long, its value, and what to do about it."""
    sets, streams = scenario.population.n_sets, len(scenario.cost_model.streams)
    most = max(asked, sizes, sets, streams)
    draw = "or draw instead of --exact"
    if most == asked and asked > 10:
        return "simulation.thresholds", asked, f"give fewer thresholds, {draw}"
    if most == sizes and sizes > 10:
        return "simulation.population_sizes", sizes, f"give fewer sizes, {draw}"
    if most == sets and sets:
        return "population.parameter_sets", sets, f"take fewer, {draw}"
    if scenario.shocks:
        return "shocks", len(scenario.shocks), f"give them a smaller cv, or fewer thresholds, {draw}"
    return "population.segments", streams, f"merge segments, {draw}"


def doubt_of(answer: xr.Dataset) -> dict[str, str]:
    """The attribute that says that an exact answer is not, where it is not."""
    return {"doubt": answer.attrs["doubt"]} if answer.attrs.get("doubt") else {}


def transforms_of(scenario: Scenario) -> tuple[Transforms, ...]:
    """What laws of all sizes share, for each parameter set; for the scenario itself where it has none."""
    return tuple(Transforms(truth.cost_model, scenario.threshold_amounts) for truth in scenario.truths)


def law_of(
    scenario: Scenario,
    rule: ExclusionRule,
    point: float,
    place: int,
    cells: exactness.ExactCells,
    extra: float = 0.0,
    transforms: Sequence[Transforms] = (),
) -> Law:
    """The law of one population's retained cost, plus `extra` for each patient above the threshold."""
    if scenario.cost_model.has_own_shocks:
        bound = 'are each unit\'s own (per = "unit"): the total of all units has no exact law here'
        raise SimulatorError("shocks", None, bound, "draw instead, or ask about one unit")
    transforms = transforms or transforms_of(scenario)
    if scenario.population.n_sets:
        with ThreadPoolExecutor(cores()) as threads:
            under = threads.map(
                lambda truth, own, one: law_of(truth, rule, point, place, own, extra, (one,)),
                scenario.truths, cells.by_set, transforms,
            )  # fmt: skip
            return mixed(list(under))
    column = points_of(scenario, rule).index(point)
    mean, sd = float(cells.mean[place, column]), float(cells.sd[place, column])
    if extra:
        mean += extra * float(cells.n_above[place, column])
        sd += extra * float(cells.n_above_sd[place, column])
    if not np.isfinite(sd):
        bound = "leaves an infinite variance, for which there is no series"
        raise SimulatorError("threshold", point, bound, "use finite thresholds")
    steps = _steps_of(scenario, rule.layers(point), point, extra)
    found = law(transforms[0], runs.heads(scenario, slice(place, place + 1))[0], steps, mean, sd)
    model = scenario.cost_model
    if found.beyond > _USELESS and model.shocks and any(stream.severity.has_atoms for stream in model.streams):
        bound = "lies among observed costs, which shocks lift over it one by one: no exact law"
        raise SimulatorError("threshold", point, bound, "draw instead, or give those costs a fitted family")
    return found


def _steps_of(scenario: Scenario, layers: Sequence[Layer], point: float, extra: float) -> Rule:
    """The rule as steps of each stream, ascending; `extra` is charged for each patient above the point."""
    amounts = scenario.amounts
    all_steps = [(amounts[layer.threshold], layer.excess_share, layer.whole_share, 0.0) for layer in layers]
    all_steps += [(amounts[point], 0.0, 0.0, extra)] if extra else []
    return tuple(
        tuple(sorted(Step(float(at[s]), *shares) for at, *shares in all_steps if np.isfinite(at[s])))
        for s in range(len(scenario.cost_model.streams))
    )


def chance_over(
    scenario: Scenario,
    rule: ExclusionRule,
    at: tuple[int, int],
    cells: exactness.ExactCells,
    found: Law,
    budget: float,
    margin: float,
    transforms: Sequence[Transforms],
) -> tuple[float, float]:
    """P(retained > (1 + margin) × budget) at one size and point of the grid, and a bound on its error."""
    point = points_of(scenario, rule)[at[1]]
    if not moves_capitation(scenario, rule, point):
        allowed = (1 + margin) * budget
        return float(1 - found.cdf(allowed)), float(found.error(allowed))
    # each patient who is carved out takes the capitation along: move it to the side of the cost
    people = float(cells.people[at[0]])
    capitation = (1 + margin) * budget / (people - float(cells.n_above[at]))
    joint = law_of(scenario, rule, point, at[0], cells, capitation, transforms)
    return float(1 - joint.cdf(capitation * people)), float(joint.error(capitation * people))


def moves_capitation(scenario: Scenario, rule: ExclusionRule, point: float) -> bool:
    """Whether the budget varies with the number of patients who are carved out."""
    moves = isinstance(rule, CarveOut) and not rule.keep_capitation
    return moves and bool(np.isfinite(scenario.amounts[point]).any())


def _dataset(scenario: Scenario, points: list[float], figures: dict[str, Array], levels: Levels) -> xr.Dataset:
    last = {one.name: (one.level,) for one in EXACT if one.level}
    answer = xr.Dataset(
        {name: (("population_size", "threshold", *last.get(name, ())), values) for name, values in figures.items()},
        coords={
            "population_size": list(scenario.population_sizes), "threshold": points,
            **{dim: list(asked) for dim, asked in levels.items()},
        },
        attrs=runs.exact_origin(scenario),
    )  # fmt: skip
    return declared(answer, "exact", currency=scenario.currency)
