"""Whether predictions came true: coverage by size, sd by size, log scores, and a verdict for each model."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..figure import exact_percent, people, percentage, plain_number
from ..tables import Cell, Page, Rows, Table
from . import Kind

_FAR = 3.0


def page(answer: xr.Dataset) -> Page:
    """A verdict for each model, and tables of coverage, sd and log score."""
    least = np.sqrt(answer["level"] * (1 - answer["level"]) / answer["judged"].where(answer["judged"] > 0))
    off = abs(answer["coverage"] - answer["level"]) / answer["coverage_se"].where(answer["coverage_se"] > least, least)
    worst = off.max(("people_from", "level"))
    verdict = [
        f"{str(name)[:1].upper()}{str(name)[1:]}: "
        + (
            "holds at every size"
            if float(worst.sel(model=name)) <= _FAR
            else "fails: intervals hold too many or too few"
        )
        + f" (largest gap {float(worst.sel(model=name)):.1f} standard errors)."
        for name in answer["model"].values
        if np.isfinite(worst.sel(model=name))
    ]
    bands = [answer.isel(people_from=at) for at in range(answer.sizes["people_from"]) if answer["judged"][at] > 0]
    usual = bands[len(bands) // 2 - 1 if len(bands) > 2 else 0]
    luck, size = float(usual["luck_share"]), float(usual["people_usual"])
    verdict.append(f"Luck explains {exact_percent(luck)} of the spread at {people(size)} people.")
    models = [str(name) for name in answer["model"].values]
    tables = []
    for level in answer["level"].values:
        rows: Rows = [
            [people(float(one["people_usual"])), *map(_percent, one["coverage"].sel(level=level).values)]
            for one in bands
        ]
        tables.append(Table(["people", *models], rows, f"Results inside the {percentage(float(level))} interval"))
    rows = [
        [people(float(one["people_usual"])), _percent(one["observed_sd"]), *map(_percent, one["predicted_sd"].values)]
        for one in bands
    ]
    tables.append(Table(["people", "observed", *models], rows, "Standard deviation, observed and predicted"))
    scores: list[Cell] = [plain_number(float(answer["log_score"].sel(model=m)), ".3f") for m in models]
    tables.append(Table(["", *models], [["log score", *scores]], "Log score a result: higher is better"))
    return Page("Did the predictions come true?", verdict, tables)


def _percent(value: float | xr.DataArray) -> Cell:
    return exact_percent(float(value)) if np.isfinite(value) else "none"


KIND = Kind(page, over=("model", "people_from", "level"))
