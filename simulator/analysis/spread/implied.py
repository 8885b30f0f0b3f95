"""The shocks of a scenario that an estimated spread implies, as TOML."""

from __future__ import annotations

import math
import os
from pathlib import Path

import xarray as xr

from ...errors import SimulatorError
from ...scenario import load

_SHOCKS = {
    "lasting": ("lasting differences", 'per = "unit"', "persistence = 1.0"),
    "drift": ("drift of differences", 'per = "unit"', 'persistence = "walk"'),
    "yearly": ("yearly differences", 'per = "unit"', ""),
    "common_year": ("common year", "", ""),
}


def implied_shocks(answer: xr.Dataset, source: str = "rows of organisations", years: bool = True) -> str:
    """The `[[shocks]]` of a scenario file that `spread` implies, and `[[ranges]]` as wide as their 95% intervals.

    Effects of 0 are left out. `sensitivity` takes the ranges.

    Of a scenario of one year, `years` false, persistence is left out, since it says nothing there.

    Under a budget that follows an organisation's own past, lasting differences are in the budget: leave them out there.
    """
    told = [
        f"# Estimated on {source}: {answer.attrs['rows_read']:,} rows, {answer.attrs['organisations']:,} organisations."
    ]
    doubt: list[str] = []
    for effect, (name, *keys) in _SHOCKS.items():
        sd = float(_digits(float(answer[f"{effect}_sd"]))) if answer[f"{effect}_sd"] > 0 else 0.0
        if not sd:
            continue
        low, high = (float(one) for one in answer[f"{effect}_sd_interval"].values)
        told += ["", "[[shocks]]", f'name = "{name}"']
        told += [
            f"cv = {sd}  # estimated; 95% interval {100 * low:.2f}% to {100 * high:.2f}%",
            *(key for key in keys if key and (years or "persistence" not in key)),
        ]
        if low < high:
            ends = f"low = {low / sd - 1:.3f}\nhigh = {min(high, 1.0) / sd - 1:.3f}  # the 95% interval, of the cv"
            change = f'change = {{ kind = "shock_size", of = "{name}", by = 0.0 }}'
            doubt += ["", "[[ranges]]", f'name = "sd of {name}"', ends, change]
    return "\n".join([*told, *doubt]) + "\n"


def _digits(value: float) -> str:
    return f"{value:.{max(2 - math.floor(math.log10(value)), 1)}f}"


def into_scenario(path: str | os.PathLike[str], answer: xr.Dataset, source: str, out: str | os.PathLike[str]) -> None:
    """Write a copy of a scenario file with the implied shocks; refused where it already has shocks."""
    scenario = load(path)
    if scenario.shocks:
        raise SimulatorError(os.fspath(path), None, "already has shocks", "take them out of the copy first")
    shocks = implied_shocks(answer, source, years=scenario.years is not None)
    Path(out).write_text(Path(path).read_text("utf-8").rstrip("\n") + "\n\n" + shocks, encoding="utf-8")
    load(out)
