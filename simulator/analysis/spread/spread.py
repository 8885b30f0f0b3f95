"""How far do organisations lie apart beyond luck?"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Unpack

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SimulatorError, SimulatorWarning
from ...ledger import declared
from ...scenario import Scenario
from ...terms import Array
from ..luck.luck import without_shocks
from ..statistics.exact import exact
from .components import EFFECTS, Components, Panel, components, scaled_chi2
from .panel_rows import PanelOptions, as_number, edges_of, panel_of

_OUTLYING = 4.5
_ALIKE = 0.7
_MOST_LUCK = 1_000.0
_FEWEST = 30
"""Rows of a band by size, and pairs of a lag, that an estimate needs."""


def spread(
    frame: Any,
    *,
    luck: Scenario | float | None = None,
    sizes: Sequence[float] = (10_000, 30_000),
    **rows: Unpack[PanelOptions],
) -> xr.Dataset:
    """How far organisations lie apart, split into what lasts, drifts, comes and goes, hits all, and luck.

    With y the deviation of organisation i in year t, y = m_t + a_it + b_it + e_it: a lasts, and moves from year to year
    by a step of sd ``drift_sd``; b is new each year; luck e has variance luck_sd² / people. Restricted likelihood;
    errors and intervals are clustered by organisation and need no normal law.

    Parameters
    ----------
    frame : path-like or DataFrame
        One row an organisation and year.
    luck : Scenario or float, optional
        The sd of luck times √people: a number such as 2.135, or a scenario's own; estimated from the rows without it.
    sizes : sequence of float
        People at which the bands of ``lasting_sd_by_size`` part.
    **rows
        Columns: ``organisation``, ``year``, ``people`` (of these names by default), and ``deviation``, a fraction (0.04
        for 4%), or ``cost`` and ``budget``, of which it is cost / budget − 1; ``renamed``, a mapping of former names of
        organisations to their present ones; and how the table is laid out, as in `settle_actuals`.

    Returns
    -------
    xarray.Dataset
        ``lasting_sd`` (in the middle year of the rows), ``drift_sd`` (a year), ``yearly_sd``, ``common_year_sd``,
        fractions, and ``luck_sd`` (of one person), each with ``_se`` and ``_interval`` (bound; 95%); NaN where the rows
        cannot tell it. ``lasting_sd_by_size``, ``observed_sd`` and ``luck_sd_at_size`` by band of people;
        ``sd_without_outliers`` (effect); ``change_luck_sd`` and ``change_spread_sd`` by lag: the variance of a change
        over so many years is change_spread_sd² + change_luck_sd² · 2 / people.
        Attributes: ``cannot_tell``, ``outliers``.

    Raises
    ------
    SimulatorError
        For missing columns, an organisation twice in a year, fewer than three organisations, or an impossible luck.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import simulator as sim
    >>> rows = pd.DataFrame({"organisation": np.repeat(range(40), 5), "year": np.tile(range(5), 40), "people": 10_000})
    >>> each = np.tile([0.01, -0.01, 0.0, 0.02, -0.02, 0.01, 0.0], 29)[:200]
    >>> rows["result"] = np.repeat(np.tile([-0.03, 0.03], 20), 5) + each
    >>> round(float(sim.spread(rows, deviation="result", luck=0)["lasting_sd"]), 3)
    0.03
    """
    panel, notes = panel_of(frame, **rows)
    fixed = luck_of(luck, panel)
    rest = panel.centred().deviation
    if not fixed and np.nanmax(np.nanmax(rest, axis=1) - np.nanmin(rest, axis=1)) < 1e-12:
        bound = "have results that never change within an organisation, which leaves luck and years nothing"
        raise SimulatorError("frame", None, bound, "give rows of several years, or the luck")
    fitted = components(panel, None if fixed is None else fixed**2)
    answer = _sds(fitted, fixed) | _common_year(fitted)
    outlying = _outlying(panel, fitted, fixed)
    kept = panel.subset(~outlying & (panel.known > 0)) if outlying.any() else panel
    again = components(kept, None if fixed is None else fixed**2) if outlying.any() else fitted
    without = [math.sqrt(again.variance[name]) if name in again.variance else np.nan for name in EFFECTS]
    person = fixed if fixed is not None else float(answer["luck_sd"][1])
    made = xr.Dataset(
        answer | _by_size(panel, person, sizes) | _by_lag(panel) | {"sd_without_outliers": ("effect", without)}
    )
    bands = [0.0, *sizes]
    made = made.assign_coords(bound=["lower", "upper"], effect=list(EFFECTS), people_from=bands)
    attrs = {
        "organisations": len(panel.organisations), "rows_read": int(panel.known.sum()), "years": panel.years.size,
        "people_mean": float(panel.people[panel.known > 0].mean()), "luck_given": "no" if fixed is None else "yes",
        "outliers": _named(panel, outlying), "cannot_tell": _cannot_tell(fitted, fixed),
        "notes": " ".join(notes),
    }  # fmt: skip
    return declared(made.assign_attrs(attrs), "spread")


def luck_of(luck: Scenario | float | None, panel: Panel) -> float | None:
    """The sd of luck of one person, as a share of the mean cost."""
    if luck is None:
        return None
    if isinstance(luck, Scenario):
        if luck.years is not None:
            told = f"{luck.title!r} has several years; luck is of year 1 alone"
            warnings.warn(told, SimulatorWarning, stacklevel=3)
            luck = luck.first_year
        size = round(float(np.median(panel.people[panel.known > 0])))
        cell = exact(without_shocks(luck).resized((size,))).isel(population_size=0, threshold=-1)
        return float(cell["cv"]) * math.sqrt(size)
    if not 0 <= (value := as_number(luck)) <= _MOST_LUCK:
        mend = "give a scenario, or the sd of one person's cost over its mean, such as 2.1"
        raise SimulatorError("luck", luck, f"must be at least 0 and at most {_MOST_LUCK:g}", mend)
    return value


def _sds(fitted: Components, fixed: float | None) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name in EFFECTS:
        if name in fitted.variance:
            made |= _as_sd(name, fitted.variance[name], fitted.se[name], fitted.interval[name])
        else:
            known = fixed if name == "luck" and fixed is not None else np.nan
            made |= _as_sd(name, known**2, 0.0 * known, (known**2, known**2))
    return made


def _as_sd(name: str, variance: float, se: float, interval: tuple[float, float]) -> dict[str, Any]:
    sd = math.sqrt(variance) if variance >= 0 else math.nan
    error = se / (sd + math.sqrt(variance + se)) if se else se
    ends = [math.sqrt(one) for one in interval]
    return {f"{name}_sd": ((), sd), f"{name}_sd_se": ((), error), f"{name}_sd_interval": ("bound", ends)}


def _common_year(fitted: Components) -> dict[str, Any]:
    count = fitted.means.size
    if count < 2:
        return _as_sd("common_year", math.nan, math.nan, (math.nan, math.nan))
    centred = np.eye(count) - 1 / count
    noise = float(np.trace(centred @ fitted.means_covariance)) / (count - 1)
    seen = float(np.var(fitted.means, ddof=1))
    se = seen * math.sqrt(2 / (count - 1))
    ends = scaled_chi2(seen - noise, noise, se, 10**6)
    return _as_sd("common_year", max(seen - noise, 0.0), se, ends)


def _standardised(panel: Panel, fitted: Components, fixed: float | None) -> Array:
    covariance = fitted.covariance(panel, None if fixed is None else fixed**2)
    spread = np.sqrt(np.einsum("itt->it", covariance))
    return np.asarray(np.abs(fitted.residual) / np.where(spread > 0, spread, np.inf))


def _outlying(panel: Panel, fitted: Components, fixed: float | None) -> NDArray[np.bool_]:
    far = _standardised(panel, fitted, fixed)
    return np.asarray(np.where(panel.known > 0, far, 0.0) > _OUTLYING)


def _named(panel: Panel, outlying: NDArray[np.bool_]) -> str:
    found = [f"{panel.organisations[i]} in {panel.years[t]:g}" for i, t in np.argwhere(outlying)]
    return ", ".join(found)


def _cannot_tell(fitted: Components, fixed: float | None) -> str:
    said = {"lasting": "lasting differences", "drift": "drift", "yearly": "yearly differences", "luck": "luck"}
    parts = [
        f"{said[name]} cannot be separated from the other effects in these rows and are included in them"
        for name in EFFECTS if name not in fitted.variance and not (name == "luck" and fixed is not None)
    ]  # fmt: skip
    parts += [
        f"{said[a]} and {said[b]} are hard to tell apart: more of one is less of the other (correlation −{-value:.2f})"
        for (a, b), value in fitted.correlation.items() if value < -_ALIKE
    ]  # fmt: skip
    if fixed is None:
        parts.append("estimated luck includes whatever else falls with size, such as errors in benchmarks")
    return "; ".join(parts)


def _by_size(panel: Panel, person: float, sizes: Sequence[float]) -> dict[str, Any]:
    edges = edges_of(sizes)
    mean = np.where(panel.known > 0, panel.people, np.nan)
    usual = np.nanmean(mean, axis=1)[:, None] * np.ones(panel.years.size)
    found: dict[str, list[Any]] = {name: [] for name in _BY_SIZE}
    for low, high in pairwise(edges):
        inside = (usual >= low) & (usual < high) & (panel.known > 0)
        part = panel.subset(inside) if inside.any() else None
        values: list[Any] = [math.nan, math.nan, [math.nan, math.nan], math.nan, math.nan, math.nan]
        if part is not None and inside.sum() >= _FEWEST and np.isfinite(person):
            fitted = components(part, person**2, ("lasting", "yearly"))
            if "lasting" in fitted.variance:
                one = _as_sd("x", fitted.variance["lasting"], fitted.se["lasting"], fitted.interval["lasting"])
                values[:3] = [one["x_sd"][1], one["x_sd_se"][1], one["x_sd_interval"][1]]
            values[3:5] = _clustered_sd(fitted.residual, part.known)
            values[5] = person * math.sqrt(float((1 / part.people[part.known > 0]).mean()))
        for name, value in zip(_BY_SIZE, values, strict=True):
            found[name].append(value)
    return {name: (("people_from", "bound")[: np.ndim(one)], one) for name, one in found.items()}


_BY_SIZE = (
    "lasting_sd_by_size", "lasting_sd_by_size_se", "lasting_sd_by_size_interval", "observed_sd", "observed_sd_se",
    "luck_sd_at_size",
)  # fmt: skip


def _clustered_sd(residual: Array, known: Array) -> list[float]:
    """The sd of all rows, and its error over organisations."""
    squared, count = np.nansum(residual**2, axis=1), known.sum(axis=1)
    variance = float(squared.sum() / count.sum())
    error = math.sqrt(float(np.sum((squared - variance * count) ** 2))) / float(count.sum())
    return [math.sqrt(variance), error / (2 * math.sqrt(variance)) if variance else 0.0]


def _by_lag(panel: Panel) -> dict[str, Any]:
    """Variance of changes over k years as τ_k² + s_k² · 2 / people (harmonic mean of the two years)."""
    lags, found = [], []
    for lag in range(1, min(panel.years.size - 1, 5) + 1):
        pairs = [(a, b) for a in range(panel.years.size) for b in range(panel.years.size)
                 if panel.years[b] - panel.years[a] == lag]  # fmt: skip
        if fit := _one_lag(panel, pairs):
            lags.append(lag)
            found.append(fit)
    columns = np.array(found).reshape(len(found), 4).T
    names = ("change_spread_sd", "change_spread_sd_se", "change_luck_sd", "change_luck_sd_se")
    return {name: ("lag", one, {}) for name, one in zip(names, columns, strict=True)} | {"lag": ("lag", lags)}


def _one_lag(panel: Panel, pairs: Sequence[tuple[int, int]]) -> list[float] | None:
    squares, inverse, cluster = [], [], []
    for a, b in pairs:
        both = np.flatnonzero(panel.known[:, a] * panel.known[:, b])
        if both.size < 3:
            continue
        change = panel.deviation[both, b] - panel.deviation[both, a]
        one = 1 / panel.people[both, a] + 1 / panel.people[both, b]
        weight = 1 / (np.median(one) + one)
        squares.append((change - np.average(change, weights=weight)) ** 2)
        inverse.append(one)
        cluster.append(both)
    if not squares or sum(map(len, squares)) < _FEWEST:
        return None
    y, x, who = map(np.concatenate, (squares, inverse, cluster))
    design = np.stack([np.ones_like(x), x], axis=1)
    at = np.array([np.mean(y) / 2, np.mean(y) / (2 * np.mean(x))])
    for _ in range(30):
        weight = 1 / np.maximum(design @ at, 1e-3 * np.mean(y) + 1e-100) ** 2
        bread = np.linalg.pinv(design.T @ (weight[:, None] * design))
        at = bread @ (design.T @ (weight * y))
    score = np.zeros((panel.known.shape[0], 2))
    np.add.at(score, who, design * (weight * (y - design @ at))[:, None])
    variance = bread @ score.T @ score @ bread
    made: list[float] = []
    for value, se in zip(at, np.sqrt(np.diag(variance)), strict=True):
        sd = math.sqrt(max(value, 0.0))
        made += [sd, float(se) / (sd + math.sqrt(max(value, 0.0) + se)) if se else 0.0]
    return made
