"""Whether predictions came true: coverage by size, sd by size, log scores, and a verdict for each model."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..figure import exact_percent, people, percentage, plain_number
from ..tables import Cell, Page, Rows, Table
from . import Kind

_FAR = 3.0
_MODELS = {
    "luck": "Luck alone", "normal": "A normal distribution with a fitted sd (normal)",
    "fitted": "A fitted sd with a shape chosen on the same past years (fitted)",
    "given the past": "Each organisation's own past",
}  # fmt: skip


def page(answer: xr.Dataset) -> Page:
    """A verdict for each model, and tables of coverage, sd and log score."""
    least = np.sqrt(answer["level"] * (1 - answer["level"]) / answer["judged"].where(answer["judged"] > 0))
    off = abs(answer["coverage"] - answer["level"]) / answer["coverage_se"].where(answer["coverage_se"] > least, least)
    worst = off.max(("people_from", "level"))
    verdict = [
        f"{_MODELS.get(str(name), str(name).capitalize())} "
        + ("holds" if float(worst.sel(model=name)) <= _FAR else "fails: its intervals hold too many or too few results")
        + f" (largest gap in a size band: {float(worst.sel(model=name)):.1f} standard errors)."
        for name in answer["model"].values
        if np.isfinite(worst.sel(model=name))
    ]
    bands = [answer.isel(people_from=at) for at in range(answer.sizes["people_from"]) if answer["judged"][at] > 0]
    usual = bands[len(bands) // 2 - 1 if len(bands) > 2 else 0]
    luck, size = float(usual["luck_share"]), float(usual["people_usual"])
    if np.isfinite(luck):
        verdict.append(f"Luck explains {exact_percent(luck, 0)} of the variance at {people(size)} people.")
    models = [str(name) for name in answer["model"].values]
    tables = []
    for level in answer["level"].values:
        rows: Rows = [
            [people(float(one["people_usual"])), *(_percent(v, 0) for v in one["coverage"].sel(level=level).values)]
            for one in bands
        ]
        title = f"Share of results inside the {percentage(float(level))} interval"
        tables.append(Table(["people", *models], rows, title))
    rows = [
        [people(float(one["people_usual"])), _percent(one["observed_sd"]), *map(_percent, one["predicted_sd"].values)]
        for one in bands
    ]
    tables.append(Table(["people", "observed", *models], rows, "Standard deviation, observed and predicted"))
    scores: list[Cell] = [plain_number(float(answer["log_score"].sel(model=m)), ".3f") for m in models]
    tables.append(Table(["", *models], [["log score", *scores]], "Log score per result (higher is better)"))
    if "settled_real" in answer:
        tables.append(_settled(answer))
    error, after = 100 * float(answer["coverage_se"].max()), answer.attrs["after"]
    fitted = after if isinstance(after, str) else f"years to {after:g}"
    known = f"{answer.attrs['rows_judged']:,} results judged; fitted on {fitted}. Year means are removed."
    notes = [known, f"Shape that best predicts organisations left out of the fit: {answer.attrs['fitted_shape']}."]
    if "forecast" in answer:
        missed = float(np.sqrt(((answer["forecast_came"] - answer["forecast"]) ** 2).mean()))
        before = float(np.sqrt((answer["forecast_came"] ** 2).mean()))
        count = answer.sizes["organisation"]
        notes.append(
            f"For {count:,} organisations seen before, the answer holds a forecast of their last judged year, given "
            f"their own past: typically {100 * missed:.1f}% of the budget off, {100 * before:.1f}% without their past."
        )
    if np.isfinite(error):
        notes.append(f"Standard error of a share inside an interval: at most {error:.0f} percentage points.")
    return Page("Did the predictions come true?", verdict, [*tables, *filter(None, [*notes, answer.attrs["notes"]])])


def _settled(answer: xr.Dataset) -> Table:
    """What was paid and what was expected, with the gap in standard errors."""
    rows: Rows = []
    for design in answer["design"].values:
        one = answer.sel(design=design)
        rows.append([str(design), "really paid", _percent(one["settled_real"], 2), ""])
        for model in answer["model"].values:
            cell = one.sel(model=model)
            unsure = float(cell["settled_gap_se"])
            gap = plain_number(float(cell["settled_gap"]) / unsure, "+.1f") if unsure > 0 else "none"
            rows.append(["", f"expected: {model}", _percent(cell["settled_predicted"], 2), gap])
    head = ["design", "", "share of budgets", "paid beyond expected, in standard errors"]
    return Table(head, rows, "Paid to providers over all organisations", labels=2)


def _percent(value: float | xr.DataArray, digits: int = 1) -> Cell:
    return exact_percent(float(value), digits) if np.isfinite(value) else "none"


KIND = Kind(page, over=("model", "people_from", "level"))
