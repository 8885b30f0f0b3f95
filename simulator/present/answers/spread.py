"""How much organisations differ: what lasts, drifts, comes and goes, and luck."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ...analysis.spread.implied import implied_shocks
from ..figure import exact_percent, people, plain_number
from ..tables import Cell, Code, Page, Table
from . import Kind

_TOLD = {
    "lasting": "lasting differences", "drift": "drift per year", "yearly": "differences new each year",
    "common_year": "common to all in a year",
}  # fmt: skip


def page(answer: xr.Dataset) -> Page:
    """A table of the effects, one by size, and the shocks that they imply."""
    rows: list[list[Cell]] = [[told, *_cells(answer, f"{effect}_sd")] for effect, told in _TOLD.items()]
    given = answer.attrs["luck_given"] == "yes"
    luck = float(answer["luck_sd"])
    ends = "given" if given else " to ".join(f"{one:.3g}" for one in answer["luck_sd_interval"].values)
    rows.append(["luck: sd of one person's cost / mean cost", plain_number(luck, ".4g"), ends])
    by_size: list[list[Cell]] = []
    for at, start in enumerate(answer["people_from"].values):
        one = answer.isel(people_from=at)
        observed = _percent(float(one["observed_sd"]))
        luck_here = _percent(float(one["luck_sd_at_size"]))
        by_size.append([people(float(start)), observed, luck_here, *_cells(one, "lasting_sd_by_size")])
    head = f"{answer.attrs['rows_read']:,} results of {answer.attrs['organisations']:,} organisations"
    low, high = (f"{100 * one:.1f}%" for one in answer["lasting_sd_interval"].values)
    lasting = float(answer["lasting_sd"])
    verdict = f"Beyond luck, organisations differ by a lasting {100 * lasting:.1f}% (sd; 95% interval {low} to {high})."
    if np.isnan(lasting):
        verdict = "These rows cannot tell how far organisations differ for good: that takes several years of each."
    parts: list[Table | str] = [
        Table(["difference", "sd", "95% interval"], rows, f"Standard deviations (sd) of results: {head}"),
        Table(["people from", "observed sd", "luck sd", "lasting sd", "95% interval"], by_size, "By size"),
    ]  # fmt: skip
    if answer.attrs["outliers"]:
        without = ", ".join(
            f"{name} {100 * float(value):.1f}%"
            for name, value in zip(answer["effect"].values, answer["sd_without_outliers"].values, strict=True)
            if name != "luck" and np.isfinite(value)
        )
        parts.append(f"Outliers: {answer.attrs['outliers']}. Standard deviations without them: {without}.")
    doubts = [f"{text[:1].upper()}{text[1:]}." for text in (answer.attrs["cannot_tell"],) if text]
    notes = [*([answer.attrs["notes"]] if answer.attrs["notes"] else []), "As shocks of a scenario file:"]
    shocks = Code(implied_shocks(answer))
    return Page("How much do organisations differ?", [verdict], [*parts, *doubts, *notes, shocks])


def _cells(answer: xr.Dataset, name: str) -> list[Cell]:
    low, high = (f"{100 * one:.2f}%" for one in answer[f"{name}_interval"].values)
    return [_percent(float(answer[name])), f"{low} to {high}" if np.isfinite(answer[name]) else ""]


def _percent(value: float) -> Cell:
    return exact_percent(value) if np.isfinite(value) else "cannot be separated"


KIND = Kind(page, over=("people_from",))
