"""Which practices lie beyond what luck explains? Cost against expected, with limits that narrow with the list."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy import special

from .. import ledger as books
from .. import runs
from ..base import SimulatorError
from ..contracts.exclusion import Cap
from ..scenario import Scenario
from .exact import exact
from .exactness import exact_moments
from .limiting import with_sizes
from .luck import without_shocks

Array = NDArray[np.float64]

LEVELS = (0.95, 0.998)
_SIZES = 12


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
    over their expectation, and the limits leave shocks out. The limits are those of a practice beside many: one that is
    a large part of all together is held to itself, and lies outside less often. `expected_outside` allows for that.

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
        ``ratio`` and ``members`` by ``practice``; ``limit`` by (level, bound, population_size), exact; ``outside``
        (level): how many practices lie beyond it, and ``expected_outside``, how many luck alone would put there.

    Raises
    ------
    SimulatorError
        For a ledger without units, rows without the columns, or no scenario.
    """
    names, members, ratio, truth = (
        _drawn(practices, scenario, threshold, replicate)
        if isinstance(practices, xr.Dataset)
        else _observed(practices, scenario)
    )
    point = truth.threshold_labels.tolist()[-1] if threshold is None else threshold
    sizes = np.unique(np.round(np.geomspace(0.8 * members.min(), 1.25 * members.max(), _SIZES)).clip(1).astype(int))
    limit = _limits(truth, sizes, point, levels)
    answer = xr.Dataset(
        {
            "ratio": (("practice",), ratio),
            "members": (("practice",), members),
            "limit": (("level", "bound", "population_size"), limit),
            "outside": (("level",), _outside(sizes, limit, members, ratio)),
            "expected_outside": (("level",), [_expected_outside(level, members) for level in levels]),
        },
        coords={
            "practice": names, "level": list(levels), "bound": ["lower", "upper"], "population_size": sizes,
            "threshold": point,
        },
    )  # fmt: skip
    return _described(answer, truth, practices)


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
    for column in ("members", "cost"):
        if column not in rows:
            raise SimulatorError("practices", None, f"has no column {column}", "give members and cost a year")
        if not np.isfinite(rows[column].to_numpy(float)).all() or (rows[column].to_numpy(float) <= 0).any():
            raise SimulatorError(f"practices: {column}", None, "holds figures that are not above 0", "leave them out")
    if scenario is None:
        raise SimulatorError("scenario", None, "is missing", "give the scenario whose people the limits are for")
    members, cost = rows["members"].to_numpy(float), rows["cost"].to_numpy(float)
    expected = rows["expected"].to_numpy(float) if "expected" in rows else members
    names = rows["practice"] if "practice" in rows else pd.Series(np.arange(1, len(rows) + 1))
    return [str(name) for name in names], members, _ratio(cost, expected), scenario


def _ratio(cost: Array, expected: Array) -> Array:
    return np.asarray(cost / expected / (cost.sum() / expected.sum()))


def _limits(scenario: Scenario, sizes: Array, point: float, levels: Sequence[float]) -> Array:
    """Exact quantiles of cost / expected, shape (level, bound, population_size)."""
    asked = with_sizes(without_shocks(scenario), tuple(int(n) for n in sizes))
    ends = sorted({end for level in levels for end in ((1 - level) / 2, (1 + level) / 2)})
    found = exact(asked, Cap(at=point), (0.0,), ends).isel(threshold=0)
    ratio = found["quantile_cost"] / found["mean_cost"]
    ordered = ratio.transpose("quantile_level", "population_size").values
    return np.stack(
        [np.stack([ordered[ends.index(end)] for end in ((1 - level) / 2, (1 + level) / 2)]) for level in levels]
    )


def _outside(sizes: Array, limit: Array, members: Array, ratio: Array) -> list[int]:
    """Practices beyond each limit, which is interpolated between sizes as it narrows: by the root of the people."""
    at, known = 1 / np.sqrt(members), 1 / np.sqrt(sizes)
    order = np.argsort(known)
    found = []
    for low, high in limit:
        below, above = (np.interp(at, known[order], end[order]) for end in (low, high))
        found.append(int(((ratio < below) | (ratio > above)).sum()))
    return found


def _expected_outside(level: float, members: Array) -> float:
    """How many practices luck puts outside, where all are measured by what they cost together.

    That takes a practice's share of the people out of its variance: σ²/n becomes (1 − n/N) σ²/n.
    """
    left = np.sqrt(1 - members / members.sum())
    end = float(special.ndtri((1 - level) / 2))
    return float(2 * special.ndtr(np.divide(end, left, out=np.full(left.shape, -np.inf), where=left > 0)).sum())


def _described(answer: xr.Dataset, scenario: Scenario, practices: xr.Dataset | pd.DataFrame) -> xr.Dataset:
    sentences = {
        "ratio": ("1", "cost / expected cost, all practices together 1"),
        "members": ("people", "people on the practice's list, for one year"),
        "limit": ("1", "cost / expected cost within which luck leaves this share of practices, exact"),
        "outside": ("practices", "practices beyond the limit"),
        "expected_outside": ("practices", "practices that luck alone would put there"),
    }
    for name, (unit, sentence) in sentences.items():
        books.describe_variable(answer[name], unit, sentence)
    drawn = isinstance(practices, xr.Dataset)
    known = runs.origin(scenario) | {"replicates": 1} if drawn else runs.exact_origin(scenario)
    return answer.assign_attrs(known | {"practices": "simulated" if drawn else "observed"})
