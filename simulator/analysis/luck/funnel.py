"""Which places differ by more than chance? Cost against expected, with limits that narrow with the people."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from ... import ledger as books
from ... import runs
from ...contracts.exclusion import Cap
from ...errors import SimulatorError
from ...scenario import Scenario, scenario_from
from ...terms import Array
from ..statistics.self_check import exact_moments
from .luck import without_shocks
from .ratio_limits import between_sizes, limits_by_size, limits_of_units

LEVELS = (0.95, 0.998)
_SIZES = 12
_MOST_OWN = 24  # sizes of practices up to which each has limits computed for it; of more, those between are carried


def funnel(
    practices: xr.Dataset | pd.DataFrame,
    scenario: Scenario | None = None,
    *,
    threshold: float | None = None,
    replicate: int | None = None,
    levels: Sequence[float] = LEVELS,
) -> xr.Dataset:
    """Each practice's cost over what was to be expected, and the limits within which luck alone leaves it.

    What hits all practices alike, such as prices, is taken out: costs are divided by what all practices together cost
    over their expectation, and the limits leave shocks out. Each practice is judged by its own limits: those of its
    people and case mix, beside the others with theirs. They allow for its own part in what it is measured by, so that
    luck puts each outside as often as the level says; one that stands alone is never outside.

    Parameters
    ----------
    practices : xarray.Dataset or pandas.DataFrame
        A ledger with units; or rows with ``members`` and ``cost`` (money a year), and, where known, ``expected`` cost
        and ``practice``, its name.
    scenario : Scenario, optional
        Of whose people the limits are; the ledger's own without it, and needed for rows.
    threshold : float, optional
        A point of the scenario's grid, above which a patient's cost is left out; the last without it.
    replicate : int, optional
        Of a ledger: which year is shown; the first without it.
    levels : sequence of float
        Shares of practices that luck alone leaves inside the limits.

    Returns
    -------
    xarray.Dataset
        ``ratio`` and ``members`` by ``practice``; ``practice_limit`` by (level, bound, practice), exact; ``outside``
        (level): how many practices lie beyond theirs, and ``expected_outside``, how many luck alone would put there.
        Where all have one case mix, as rows are taken to have, ``limit`` by (level, bound, population_size) too; and
        where the scenario has shocks of each unit, the same with them (``limit_with_spread``,
        ``practice_limit_with_spread``, ``outside_with_spread``): those of the others are left out, since they average.

    Raises
    ------
    SimulatorError
        For a ledger without units, rows without the columns, or no scenario.
    """
    if drawn := isinstance(practices, xr.Dataset):
        names, members, ratio, truth = _drawn(practices, scenario, threshold, replicate)
    else:
        names, members, ratio, truth = _observed(practices, scenario)
    point = truth.threshold_labels.tolist()[-1] if threshold is None else threshold
    model, calm = truth.cost_model, without_shocks(truth)
    alike = (np.allclose(model.unit_shares(unit), model.shares, atol=1e-12) for unit in model.population.units)
    shared = not drawn or all(alike)
    sizes, limit = _by_size(calm, members, point, levels) if shared else (np.empty(0), np.empty((len(levels), 2, 0)))
    own = between_sizes(limit, sizes, members, members.sum()) if shared else limits_of_units(calm, point, levels)
    standing = members.size if members.size > 1 else 0  # one alone is what it is measured by
    answer = xr.Dataset(
        {
            "ratio": (("practice",), ratio),
            "members": (("practice",), members),
            "practice_limit": (("level", "bound", "practice"), own),
            "outside": (("level",), ((ratio < own[:, 0]) | (ratio > own[:, 1])).sum(axis=1)),
            "expected_outside": (("level",), [(1 - level) * standing for level in levels]),
        },
        coords={"practice": names, "level": list(levels), "bound": ["lower", "upper"], "threshold": point},
    )  # fmt: skip
    if shared:
        answer = answer.assign_coords(population_size=sizes)
        answer["limit"] = ("level", "bound", "population_size"), limit
        answer = answer.merge(_with_spread(truth, calm, answer, levels))
    known = runs.origin(truth) | {"replicates": 1} if drawn else runs.exact_origin(truth)
    return books.declared(answer.assign_attrs(known | {"practices": "simulated" if drawn else "observed"}), "funnel")


def _with_spread(truth: Scenario, calm: Scenario, answer: xr.Dataset, levels: Sequence[float]) -> xr.Dataset:
    """Limits of luck together with the shocks that each unit has for itself; nothing where there are none."""
    own = [shock.model_dump() for shock in truth.shocks if shock.per == "unit"]
    if not own:
        return xr.Dataset()
    sizes, members, ratio = (answer[name].values for name in ("population_size", "members", "ratio"))
    apart, people = scenario_from(calm.model_dump() | {"shocks": own}), float(members.sum())
    limit = limits_by_size(apart, sizes.tolist(), people, float(answer["threshold"]), levels, calm)
    at = np.log(members)
    each = np.array([[np.interp(at, np.log(sizes), end) for end in ends] for ends in limit])
    return xr.Dataset(
        {
            "limit_with_spread": (("level", "bound", "population_size"), limit),
            "practice_limit_with_spread": (("level", "bound", "practice"), each),
            "outside_with_spread": ("level", ((ratio < each[:, 0]) | (ratio > each[:, 1])).sum(axis=1)),
        }
    )


def _by_size(scenario: Scenario, members: Array, point: float, levels: Sequence[float]) -> tuple[Array, Array]:
    between = np.round(np.geomspace(0.8 * members.min(), 1.25 * members.max(), _SIZES)).clip(1)
    own = np.unique(np.round(members))
    sizes = np.unique(np.append(between, own) if own.size <= _MOST_OWN else between).astype(int)
    return sizes, limits_by_size(scenario, sizes.tolist(), float(members.sum()), point, levels)


def _drawn(
    ledger: xr.Dataset, scenario: Scenario | None, threshold: float | None, replicate: int | None
) -> tuple[list[str], Array, Array, Scenario]:
    units = ledger if "population_size" not in ledger.dims else books.by_unit(ledger)
    truth = scenario or runs.scenario_of(units)
    if truth is None:
        raise SimulatorError("scenario", None, "was withheld from the ledger", "give the scenario as well")
    rule = Cap(at=truth.threshold_labels.tolist()[-1] if threshold is None else threshold)
    year = units["replicate"].values[0] if replicate is None else replicate
    cost = books.retained_cost(units, rule).isel(threshold=0).sel(replicate=year).values
    expected = exact_moments(units, rule, truth).mean[:, 0]
    members = units["unit_size"].values.astype(float)
    return [str(name) for name in units["unit"].values], members, _ratio(cost, expected), truth


def _observed(rows: pd.DataFrame, scenario: Scenario | None) -> tuple[list[str], Array, Array, Scenario]:
    if scenario is None:
        raise SimulatorError("scenario", None, "is missing", "give the scenario whose people the limits are for")
    if not len(rows):
        raise SimulatorError("practices", None, "holds no rows", "give one row per practice")
    members, cost = _column(rows, "members"), _column(rows, "cost")
    expected = _column(rows, "expected") if "expected" in rows else members
    return _names(rows), members, _ratio(cost, expected), scenario


def _column(rows: pd.DataFrame, name: str) -> Array:
    if name not in rows:
        raise SimulatorError("practices", None, f"has no column {name}", "give members and cost a year")
    found = pd.to_numeric(rows[name], errors="coerce").to_numpy(float)
    if not (np.isfinite(found) & (found > 0)).all():
        raise SimulatorError(f"practices: {name}", None, "holds figures that are not above 0", "leave these rows out")
    return np.asarray(found)


def _names(rows: pd.DataFrame) -> list[str]:
    """What the practices are called: by ``practice``, else by the first column of words, else by their row."""
    words = ["practice"] if "practice" in rows else [name for name in rows if rows[name].dtype.kind not in "fiub"]
    return [str(name) for name in (rows[words[0]] if words else range(1, len(rows) + 1))]


def _ratio(cost: Array, expected: Array) -> Array:
    return np.asarray(cost / expected / (cost.sum() / expected.sum()))
