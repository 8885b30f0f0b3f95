"""How luck shrinks as the population grows, and where a larger one stops helping: its variance split by source.

By the law of total variance, with θ the parameters and λ the factors of the common shocks:

    Var(C) = E[Var(C | λ, θ)]  +  E[Var(E[C | λ, θ] | θ)]  +  Var(E[C | θ])
              process              systematic                  parameter

Process variance grows with the number of people, the others with its square; so only the first is averaged out. All
exact.
"""

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr

from ... import ledger as books
from ... import runs
from ...contracts.exclusion import Cap, ExclusionRule, as_attribute
from ...costs.model import CostModel
from ...costs.moments import Exact
from ...errors import SimulatorError
from ...scenario import Scenario
from ...terms import Array
from ..statistics.exact import points_of
from ..statistics.self_check import cells_of, layers_at

SOURCES = ("process", "systematic", "parameter")
POINTS = 40  # sizes that a smooth curve needs


def variance_by_source(
    scenario: Scenario,
    parameter_sets: Sequence[Scenario] = (),
    weights: Sequence[float] | None = None,
    *,
    rule: ExclusionRule = Cap(),  # noqa: B008 - frozen
) -> xr.Dataset:
    """Variance of the overspend by source, population size and threshold.

    Parameters
    ----------
    scenario : Scenario
    parameter_sets : sequence of Scenario, optional
        What the truth may be, `scenario` being one of them or not: drawn fits, or variants. Sizes and thresholds are
        those of `scenario`. Without them the sets that the scenario itself carries are taken; where it has none,
        parameters are taken as known.
    weights : sequence of float, optional
        Chance of each set; equal without them.
    rule : exclusion rule
        Swept over the scenario's thresholds unless it fixes its own.

    Returns
    -------
    xarray.Dataset
        Exact: ``variance`` (source, population_size, threshold) of retained cost / expected cost; ``share`` of the
        whole; ``sd_overspend`` of all together; and ``enough_people`` (threshold): the size at which process variance
        has fallen to that of the other two together, beyond which a larger population hardly helps (infinity where
        there are none).

    Raises
    ------
    SimulatorError
        For weights that do not fit, and where a variance is infinite.

    Examples
    --------
    A person's cv of 3 and a shock of 3% meet at 3² / 0.03² = 10,000 people.
    """
    asked = [truth.model_copy(update={"simulation": scenario.simulation}) for truth in parameter_sets] or [scenario]
    # thresholds by percentile are those of a scenario's central figures, whatever its own sets
    sets = [(truth, model) for truth in asked for model in truth.cost_model.truths]
    chance = _chances(len(sets), weights)
    points = points_of(scenario, rule)
    given = np.stack([_given(truth, model, rule, points) for truth, model in sets])
    mean, process, systematic = (_weighted(chance, given[:, part]) for part in range(3))
    variance = np.stack([process, systematic, _weighted(chance, (given[:, 0] - mean) ** 2)]) / mean**2
    if not np.isfinite(variance).all():
        raise SimulatorError("threshold", None, "leaves an infinite variance", "use finite thresholds")
    people = np.array(scenario.population_sizes, float)
    # process variance over the squared mean falls as 1 / n, the others stay
    process, others = variance[0, -1] * people[-1], variance[1:, -1].sum(axis=0)
    enough = np.divide(process, others, out=np.full(process.shape, math.inf), where=others > 0)
    by_cell, whole = ("population_size", "threshold"), variance.sum(axis=0)
    answer = xr.Dataset(
        {
            "variance": (("source", *by_cell), variance),
            "share": (("source", *by_cell), variance / whole),
            "sd_overspend": (by_cell, np.sqrt(whole)),
            "enough_people": (("threshold",), enough),
        },
        coords={"source": list(SOURCES), "population_size": list(scenario.population_sizes), "threshold": list(points)},
        attrs={"parameter_sets": len(sets)} | runs.exact_origin(scenario) | as_attribute(rule),
    )
    return books.declared(answer, "variance_by_source")


def _chances(sets: int, weights: Sequence[float] | None) -> Array:
    chance = np.ones(sets) if weights is None else np.asarray(weights, float)
    if chance.shape != (sets,) or (chance < 0).any() or not chance.sum() > 0:
        bound = f"must be {sets} numbers of at least 0"
        raise SimulatorError("weights", weights, bound, "give one for each parameter set")
    return np.asarray(chance / chance.sum())


def _weighted(chance: Array, parts: Array) -> Array:
    return np.asarray(np.tensordot(chance, parts, axes=1))


def _given(scenario: Scenario, model: CostModel, rule: ExclusionRule, points: Sequence[float]) -> Array:
    """Mean, process and systematic variance under one set of parameters, (3, population_size, threshold)."""
    exact, heads = Exact(model), runs.heads(scenario)
    return np.stack([exact.sources(heads, layers_at(scenario, rule, point)) for point in points], axis=-1)


def exact_curve(
    scenario: Scenario,
    rule: ExclusionRule = Cap(),  # noqa: B008 - frozen
    sizes: Sequence[int] = (),
) -> xr.Dataset:
    """Coefficient of variation of the retained cost by population size, from closed-form moments.

    Parameters
    ----------
    scenario : Scenario
    rule : exclusion rule
        Swept over the scenario's thresholds unless it fixes its own.
    sizes : sequence of int, optional
        People; forty sizes from the scenario's smallest to its largest without it.

    Returns
    -------
    xarray.Dataset
        ``exact_cv`` (curve_size, threshold), a fraction; infinite where the variance is. The sizes have a dim of
        their own, so that the curve can stand in a summary: ``summary.assign(exact_curve(scenario))``.

    Examples
    --------
    Without shocks four times the people halve it: a person's cv of 3 is 3 / √10,000 = 3% at 10,000 people.
    """
    between = np.round(np.geomspace(scenario.population_sizes[0], scenario.population_sizes[-1], POINTS))
    asked = scenario.resized(tuple(sizes) or tuple(np.unique(between.astype(np.int64)).tolist()))
    points = points_of(scenario, rule)
    cells = cells_of(asked, rule, points, runs.heads(asked))
    curve = xr.Dataset(
        {"exact_cv": (("curve_size", "threshold"), cells.sd / cells.mean)},
        coords={"curve_size": list(asked.population_sizes), "threshold": points},
        attrs=runs.exact_origin(scenario) | as_attribute(rule),
    )
    books.describe_threshold(curve, scenario.simulation.thresholds, scenario.currency)
    return books.declared(curve, "exact_curve")
