"""Did predictions come true? Each organisation's result against the distribution predicted at its size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Unpack

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ... import runs
from ...contracts.design import Design
from ...errors import SimulatorError
from ...ledger import declared
from ...scenario import Scenario
from ...settlement.actuals import settle_actuals
from ...terms import Array
from ..luck.luck import by_risk
from .components import Panel
from .panel_rows import PanelOptions, as_number, edges_of, panel_of
from .predictions import NORMAL, Prediction, fitted, given_past, of_scenario, of_shape
from .spread import luck_of

LEVELS = (0.5, 0.8, 0.95)
SIZES = (8_000, 10_000, 15_000, 20_000, 30_000)
_BINS = 10
_FEWEST = 8
_STEPS = 0.6 * np.sinh(np.linspace(-3.0, 3.0, 202)) / math.sinh(3.0)
"""Deviations between which a predicted settlement is constant, closest together around 0."""


class _Rows(NamedTuple):
    """The rows that are judged: result with the year's mean removed, people, organisation, budget."""

    y: Array
    people: Array
    who: NDArray[np.intp]
    budget: Array


def backtest(
    frame: Any,
    scenario: Scenario | float,
    *,
    after: float | None = None,
    sizes: Sequence[float] = SIZES,
    designs: Design | Sequence[Design] = (),
    **rows: Unpack[PanelOptions],
) -> xr.Dataset:
    """Judge predictions by what came to pass, organisation by organisation, year means removed.

    Models: "luck" (the scenario's exact distribution without shocks; normal where a number is given), "luck and shocks"
    where the scenario has shocks, "normal" and "fitted" with variance τ² + s² / people fitted on rows up to `after`
    ("fitted" has the shape, of normal, Student's t and that of past results, that best predicts organisations left out
    of those same rows), and "given the past" for organisations seen before.

    Parameters
    ----------
    frame : path-like or DataFrame
        As in `spread`; a deviation is of cost: positive where more was spent.
    scenario : Scenario or float
        Or the sd of luck of one person's cost over its mean, such as 2.135.
    after : float, optional
        Last year to fit on; later ones are predicted. Without it the same rows are fitted and judged, which flatters.
    sizes : sequence of float
        People at which bands part.
    designs : Design or sequence of Design
        Settled over all organisations, as predicted and as it came to pass; quality and revenue are those that the
        design expects.
    **rows
        Columns and layout, as in `spread`.

    Returns
    -------
    xarray.Dataset
        ``coverage`` (model, people_from, level), ``pit_share`` (model, bin), ``log_score`` (model; higher is better),
        ``observed_sd`` (people_from), each with ``_se`` clustered by organisation;
        ``predicted_sd`` (model, people_from); ``luck_share`` (people_from), of the observed variance; ``judged``
        (people_from), rows. With `after`, ``forecast`` (organisation) of the last judged year given the organisation's
        own past, its ``forecast_sd``, and ``forecast_came``. With `designs`, what providers were paid, as a share of
        all budgets: ``settled_real`` (design), ``settled_predicted`` (model, design), and ``settled_gap``, the first
        less the second, with its ``_se``.

    Raises
    ------
    SimulatorError
        As in `spread`, where no rows lie on one side of `after`, or a design needs a figure that rows lack.
    """
    panel, notes = panel_of(frame, **rows)
    later = (panel.years > (-math.inf if after is None else as_number(after))) & (panel.known > 0)
    past = panel.known > 0 if after is None else ~later & (panel.known > 0)
    if not later.any() or past.sum() < _FEWEST:
        bound = f"leaves {past.sum()} rows to fit and {later.sum()} to judge; at least {_FEWEST} and 1 are needed"
        raise SimulatorError("after", after, bound, "give more rows" if after is None else "choose a year between")
    person = luck_of(scenario, panel)
    if not person:
        mend = "give a scenario, or the sd of one person's cost over its mean, such as 2.1"
        raise SimulatorError("scenario", scenario, "must tell a luck above 0", mend)
    centred = panel.centred()
    judged = _Rows(centred.deviation[later], panel.people[later], np.nonzero(later)[0], panel.budgets[later])
    models: dict[str, Prediction] = {}
    if isinstance(scenario, Scenario):
        models |= {risk: of_scenario(one, judged.people) for risk, one in by_risk(scenario.first_year).items()}
    else:
        models["luck"] = Prediction(of_shape(NORMAL), person / np.sqrt(judged.people))
    fit = fitted(centred.deviation[past], panel.people[past], np.nonzero(past)[0])
    sd = fit.at(judged.people)
    models |= {"normal": Prediction(of_shape(NORMAL), sd), "fitted": Prediction(of_shape(fit.shape), sd)}
    forecasts = xr.Dataset()
    if after is not None:
        centre, own_sd = given_past(centred, past, person)
        models["given the past"] = Prediction(of_shape(fit.shape), own_sd[later], centre[later])
        forecasts = _forecasts(centred, past, (centre, own_sd))
    made = _scores(models, judged, person, sizes).merge(forecasts)
    if chosen := (designs,) if isinstance(designs, Design) else tuple(designs):
        made = made.merge(_settled(models, judged, chosen))
    origin = runs.exact_origin(scenario) if isinstance(scenario, Scenario) else {"method": "exact"}
    known = origin | {
        "after": "all rows" if after is None else float(after), "notes": " ".join(notes),
        "rows_judged": int(judged.y.size), "fitted_shape": fit.shape_name,
    }  # fmt: skip
    return declared(made.assign_attrs(known), "backtest")


def _scores(models: Mapping[str, Prediction], rows: _Rows, person: float, sizes: Sequence[float]) -> xr.Dataset:
    edges = edges_of(sizes)
    bands = [(rows.people >= low) & (rows.people < high) for low, high in pairwise(edges)]
    below = {name: one.below(rows.y) for name, one in models.items()}
    place = {name: np.minimum((u * _BINS).astype(int), _BINS - 1) for name, u in below.items()}
    inside = {(name, level): abs(u - 0.5) < level / 2 for name, u in below.items() for level in LEVELS}
    cover = [[[_mean(inside[name, level][band], rows.who[band]) for level in LEVELS] for band in bands]
             for name in models]  # fmt: skip
    bars = [[_mean(place[name] == k, rows.who) for k in range(_BINS)] for name in models]
    score = [_mean(one.log_density(rows.y), rows.who) for one in models.values()]
    square = np.array([_mean(rows.y[band] ** 2, rows.who[band]) for band in bands])
    seen = np.sqrt(square[:, 0])

    def by_band(values: Array) -> list[float]:
        return [float(np.mean(values[band])) if band.any() else math.nan for band in bands]

    made: dict[str, Any] = {}
    for name, dims, values in (
        ("coverage", ("model", "people_from", "level"), np.array(cover)), ("pit_share", ("model", "bin"), bars),
        ("log_score", ("model",), score),
        ("observed_sd", ("people_from",), np.stack([seen, square[:, 1] / (2 * seen)], axis=1)),
    ):  # fmt: skip
        made |= {name: (dims, np.asarray(values)[..., 0]), f"{name}_se": (dims, np.asarray(values)[..., 1])}
    made |= {
        "predicted_sd": (("model", "people_from"), np.sqrt([by_band(one.sd**2) for one in models.values()])),
        "luck_share": ("people_from", np.array(by_band(person**2 / rows.people)) / seen**2),
        "judged": ("people_from", [int(band.sum()) for band in bands]),
        "people_usual": ("people_from", [float(np.median(rows.people[b])) if b.any() else math.nan for b in bands]),
    }
    coords = {"people_from": edges[:-1], "level": list(LEVELS), "bin": np.arange(_BINS) / _BINS}
    return xr.Dataset(made, {"model": list(models), **coords})


def _forecasts(centred: Panel, past: NDArray[np.bool_], given: tuple[Array, Array]) -> xr.Dataset:
    """For organisations seen before, what their past said of the last year that is judged, and what came."""
    seen = past.any(axis=1) & ((centred.known > 0) & ~past).any(axis=1)
    rows = np.flatnonzero(seen)
    last = centred.years.size - 1 - np.argmax(centred.known[rows, ::-1] > 0, axis=1)
    found = {"forecast": given[0], "forecast_sd": given[1], "forecast_came": centred.deviation}
    made = xr.Dataset({name: ("organisation", values[rows, last]) for name, values in found.items()})
    return made.assign_coords(organisation=[centred.organisations[row] for row in rows])


def _settled(models: Mapping[str, Prediction], rows: _Rows, designs: Sequence[Design]) -> xr.Dataset:
    """What providers are paid over all rows, as a share of all budgets: in fact, and as expected by each model."""
    ends = np.concatenate([[-np.inf], _STEPS, [np.inf]])
    points = np.concatenate([_STEPS[:1], (_STEPS[1:] + _STEPS[:-1]) / 2, _STEPS[-1:]])
    chance = {
        name: np.diff([one.below(np.full(rows.y.size, end)) for end in ends], axis=0) for name, one in models.items()
    }
    whole, count = rows.budget.sum(), len(points)
    real, expected, gap = [], [], []
    for design in designs:
        came = _paid(design, rows, rows.y)
        y, people, budget = (np.tile(one, count).astype(float) for one in (rows.y, rows.people, rows.budget))
        grid = _Rows(y, people, np.tile(rows.who, count), budget)
        on_grid = _paid(design, grid, np.repeat(points, rows.y.size)).reshape(count, -1)
        foreseen = {name: (share * on_grid).sum(axis=0) for name, share in chance.items()}
        real.append(came.sum() / whole)
        expected.append([one.sum() / whole for one in foreseen.values()])
        gap.append([_mean((came - one) * (rows.y.size / whole), rows.who) for one in foreseen.values()])
    by_model, errors = np.array(expected).T, np.moveaxis(np.array(gap), 1, 0)
    return xr.Dataset(
        {
            "settled_real": ("design", real),
            "settled_predicted": (("model", "design"), by_model),
            "settled_gap": (("model", "design"), errors[..., 0]),
            "settled_gap_se": (("model", "design"), errors[..., 1]),
        },
        {"design": [design.name for design in designs], "model": list(models)},
    )


def _paid(design: Design, rows: _Rows, y: Array) -> Array:
    """What the provider is paid in each row, where its cost is so far from its budget."""
    frame = pd.DataFrame({"budget": rows.budget, "cost": rows.budget * (1 + y), "members": rows.people})
    if design.quality is not None and design.quality.score is not None:
        frame["quality"] = design.quality.score
    if design.revenue is not None:
        frame["revenue"] = design.revenue * frame["budget"]
    return np.asarray(settle_actuals(design, frame)["settlement"], dtype=float)


def _mean(values: Array | NDArray[np.bool_], who: NDArray[np.intp]) -> tuple[float, float]:
    """A mean and its error, clustered."""
    if not values.size:
        return math.nan, math.nan
    mean = float(values.mean())
    sums = np.bincount(who, values - mean)
    return mean, math.sqrt(float(np.sum(sums**2))) / values.size
