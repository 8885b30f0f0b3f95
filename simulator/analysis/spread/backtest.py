"""Did predictions come true? Each organisation's result against the distribution predicted at its size."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Unpack

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import special

from ... import runs
from ...contracts.exclusion import Cap
from ...errors import SimulatorError
from ...ledger import declared
from ...rows.layout import LayoutOptions
from ...scenario import Scenario
from ...terms import Array
from ..luck.luck import by_risk
from ..statistics.exact import law_of
from ..statistics.self_check import cells_of
from .components import EFFECTS, Panel, components
from .panel_rows import panel_of
from .spread import as_number, edges_of, luck_of

LEVELS = (0.5, 0.8, 0.95)
SIZES = (8_000, 10_000, 15_000, 20_000, 30_000)
_BINS = 10
_SCORES = np.linspace(-12.0, 12.0, 481)
_SMOOTHED = 0.2
_GRID = 8
_CDF = Callable[[Array, Array], Array]
"""Chance of a deviation of at most so much, at so many people."""


def backtest(
    frame: Any,
    scenario: Scenario | float,
    *,
    organisation: str = "organisation",
    year: str = "year",
    people: str = "people",
    deviation: str | None = None,
    cost: str | None = None,
    budget: str | None = None,
    after: float | None = None,
    sizes: Sequence[float] = SIZES,
    **table: Unpack[LayoutOptions],
) -> xr.Dataset:
    """Judge predictions by what came to pass, organisation by organisation, year means removed.

    Models: "luck" (the scenario's exact distribution without shocks; normal where a number is given), "luck and shocks"
    where the scenario has shocks, "normal" and "fitted" with variance τ² + s² / people fitted on rows up to `after`
    ("fitted" has the shape of their residuals), and "given the past" for organisations seen before.

    Parameters
    ----------
    frame : path-like or DataFrame
        As in `spread`; a deviation is of cost: positive where more was spent.
    scenario : Scenario or float
        Or the sd of luck of one person's cost over its mean, such as 2.135.
    organisation, year, people, deviation, cost, budget : str
        As in `spread`.
    after : float, optional
        Last year to fit on; later ones are predicted. Without it the same rows are fitted and judged, which flatters.
    sizes : sequence of float
        People at which bands part.
    **table
        As in `spread`.

    Returns
    -------
    xarray.Dataset
        ``coverage`` (model, people_from, level), ``pit_share`` (model, bin), ``log_score`` (model; higher is better),
        ``observed_sd`` (people_from), each with ``_se`` clustered by organisation;
        ``predicted_sd`` (model, people_from);
        ``luck_share`` (people_from), of the observed variance; ``judged`` (model, people_from), rows.

    Raises
    ------
    SimulatorError
        As in `spread`, or where no rows lie on one side of `after`.
    """
    names = {"organisation": organisation, "year": year, "people": people}
    results = {"deviation": deviation, "cost": cost, "budget": budget}
    panel, notes = panel_of(frame, {**names, **results}, **table)
    later = (panel.years > (-math.inf if after is None else as_number(after))) & (panel.known > 0)
    past = panel.known > 0 if after is None else ~later & (panel.known > 0)
    if not later.any() or past.sum() < _GRID:
        bound = f"leaves {past.sum()} rows to fit and {later.sum()} to judge; at least {_GRID} and 1 are needed"
        raise SimulatorError("after", after, bound, "give more rows" if after is None else "choose a year between")
    means = np.nanmean(panel.deviation, axis=0)
    y, n, who = (panel.deviation - means)[later], panel.people[later], np.nonzero(later)[0]
    person = luck_of(scenario, panel)
    if not person:
        mend = "give a scenario, or the sd of one person's cost over its mean, such as 2.1"
        raise SimulatorError("scenario", scenario, "must tell a luck above 0", mend)
    models: dict[str, tuple[_CDF, Array]] = {}
    if isinstance(scenario, Scenario):
        models |= {risk: _exact_law(one, n) for risk, one in by_risk(scenario.first_year).items()}
    else:
        models["luck"] = _of_scores(special.ndtr(_SCORES)), person / np.sqrt(n)
    theta = _fitted((panel.deviation - means)[past], panel.people[past])
    seen = (panel.deviation - means)[past] / np.sqrt(theta[0] + theta[1] / panel.people[past])
    shape, spread = _smoothed(seen), np.sqrt(theta[0] + theta[1] / n)
    models |= {"normal": (_of_scores(special.ndtr(_SCORES)), spread), "fitted": (_of_scores(shape), spread)}
    parts = {name: _judged(y, cdf, sd) for name, (cdf, sd) in models.items()}
    if after is not None:
        centre, sd = _given_past(panel, past, person)
        parts["given the past"] = _judged(y - centre[later], _of_scores(shape), sd[later])
        spreads = {name: sd for name, (_, sd) in models.items()} | {"given the past": sd[later]}
    else:
        spreads = {name: sd for name, (_, sd) in models.items()}
    made = _answer(parts, spreads, (y, n, who), person, sizes)
    origin = runs.exact_origin(scenario) if isinstance(scenario, Scenario) else {"method": "exact"}
    known = origin | {
        "after": "all rows" if after is None else float(after),
        "notes": " ".join(notes),
        "rows_judged": int(y.size),
    }
    return declared(made.assign_attrs(known), "backtest")


def _of_scores(shape: Array) -> _CDF:
    return lambda y, sd: np.interp(y / sd, _SCORES, shape)


def _exact_law(scenario: Scenario, people: Array) -> tuple[_CDF, Array]:
    """The exact distribution at a few sizes, carried to others in units of its sd."""
    sizes = np.unique(np.round(np.geomspace(people.min(), people.max(), _GRID)).astype(int))
    shapes, spreads = [], []
    for size in sizes.tolist():
        one = scenario.resized((size,))
        point = one.threshold_labels.tolist()[-1]
        cells = cells_of(one, Cap(at=point), [point], runs.heads(one))
        law, sd = law_of(one, Cap(at=point), point, 0, cells), float(np.squeeze(cells.sd))
        shapes.append(law.cdf(law.mean + _SCORES * sd))
        spreads.append(sd / law.mean)
    at, known = np.log(people), np.log(sizes)
    place = np.clip(np.searchsorted(known, at) - 1, 0, max(sizes.size - 2, 0))
    share = (at - known[place]) / (known[place + 1] - known[place]) if sizes.size > 1 else np.zeros_like(at)
    table = np.array(shapes)

    def cdf(y: Array, sd: Array) -> Array:
        below, above = (
            [
                np.interp(z, _SCORES, table[k])
                for z, k in zip(y / sd, np.minimum(place + up, len(table) - 1), strict=True)
            ]
            for up in (0, 1)
        )
        return np.asarray((1 - share) * np.array(below) + share * np.array(above))

    return cdf, np.exp(np.interp(at, known, np.log(spreads)))


def _fitted(y: Array, people: Array) -> Array:
    """τ² and s², by weighted regression of squares on 1 / people; neither is below 0."""
    design = np.stack([np.ones_like(people), 1 / people], axis=1)
    square, at = y**2, np.array([np.mean(y**2) / 2, np.mean(y**2) / (2 * np.mean(1 / people))])
    for _ in range(50):
        weight = 1 / np.maximum(design @ at, 1e-3 * square.mean()) ** 2
        at = np.maximum(np.linalg.pinv(design.T @ (weight[:, None] * design)) @ (design.T @ (weight * square)), 0.0)
    return at if at.any() else np.array([square.mean(), 0.0])


def _smoothed(scores: Array) -> Array:
    """The distribution of residuals in units of their sd, smoothed, at `_SCORES`."""
    scores = scores / np.sqrt(np.mean(scores**2)) / math.sqrt(1 + _SMOOTHED**2)
    width = _SMOOTHED / math.sqrt(1 + _SMOOTHED**2)
    return np.asarray(special.ndtr((_SCORES[:, None] - scores) / width).mean(axis=1))


def _given_past(panel: Panel, past: NDArray[np.bool_], person: float) -> tuple[Array, Array]:
    """The mean and sd of each organisation-year given the organisation's own past, (organisation, year)."""
    fitted = components(panel.subset(past), person**2)
    variance = {name: fitted.variance.get(name, 0.0) for name in EFFECTS} | {"luck": person**2}
    centred = Panel(
        panel.organisations, panel.years, panel.deviation - np.nanmean(panel.deviation, axis=0), panel.people
    )
    kernels = centred.kernels()
    covariance = sum(variance[name] * kernels[name] for name in EFFECTS)
    mean, sd = np.zeros(past.shape), np.zeros(past.shape)
    for i, whole in enumerate(np.asarray(covariance)):
        here = np.flatnonzero(past[i])
        weight = np.linalg.solve(whole[np.ix_(here, here)], whole[here]).T
        mean[i] = weight @ centred.deviation[i, here]
        sd[i] = np.sqrt(np.maximum(np.diag(whole) - np.einsum("tk,kt->t", weight, whole[here]), 1e-12))
    return mean, sd


def _judged(y: Array, cdf: _CDF, sd: Array) -> tuple[Array, Array]:
    """The predicted chance of at most what came to pass, and the logarithm of its predicted density."""
    step = 0.05 * sd
    density = (cdf(y + step, sd) - cdf(y - step, sd)) / (2 * step)
    return np.clip(cdf(y, sd), 0.0, 1.0), np.log(np.maximum(density, 1e-9))


def _answer(
    parts: Mapping[str, tuple[Array, Array]], spreads: Mapping[str, Array], rows: tuple[Array, Array, NDArray[np.intp]],
    person: float, sizes: Sequence[float],
) -> xr.Dataset:  # fmt: skip
    y, n, who = rows
    edges = edges_of(sizes)
    bands = [(n >= low) & (n < high) for low, high in pairwise(edges)]
    coverage = [[[_mean(abs(u[band] - 0.5) < level / 2, who[band]) for level in LEVELS] for band in bands]
                for u, _ in parts.values()]  # fmt: skip
    bins = [
        [_mean(np.minimum((u * _BINS).astype(int), _BINS - 1) == k, who) for k in range(_BINS)]
        for u, _ in parts.values()
    ]
    scores = [_mean(score, who) for _, score in parts.values()]
    square = [_mean(y[band] ** 2, who[band]) for band in bands]
    seen = np.sqrt([one for one, _ in square])
    luck = np.array([person**2 * float(np.mean(1 / n[band])) if band.any() else math.nan for band in bands])
    expected = [
        [math.sqrt(np.mean(sd[band] ** 2)) if band.any() else math.nan for band in bands] for sd in spreads.values()
    ]
    cover, bars, score = np.array(coverage), np.array(bins), np.array(scores)
    return xr.Dataset(
        {
            "coverage": (("model", "people_from", "level"), cover[..., 0]),
            "coverage_se": (("model", "people_from", "level"), cover[..., 1]),
            "pit_share": (("model", "bin"), bars[..., 0]),
            "pit_share_se": (("model", "bin"), bars[..., 1]),
            "log_score": ("model", score[:, 0]),
            "log_score_se": ("model", score[:, 1]),
            "observed_sd": ("people_from", seen),
            "observed_sd_se": ("people_from", [one[1] / (2 * sd) for one, sd in zip(square, seen, strict=True)]),
            "predicted_sd": (("model", "people_from"), expected),
            "luck_share": ("people_from", luck / seen**2),
            "judged": ("people_from", [int(band.sum()) for band in bands]),
            "people_usual": ("people_from", [float(np.median(n[band])) if band.any() else math.nan for band in bands]),
        },
        coords={
            "model": list(parts), "people_from": edges[:-1], "level": list(LEVELS), "bin": np.arange(_BINS) / _BINS,
        },
    )  # fmt: skip


def _mean(values: Array | NDArray[np.bool_], who: NDArray[np.intp]) -> tuple[float, float]:
    """A mean and its error, clustered."""
    if not values.size:
        return math.nan, math.nan
    mean = float(values.mean())
    sums = np.bincount(who, values - mean)
    return mean, math.sqrt(float(np.sum(sums**2))) / values.size
