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
    """The `[[shocks]]` of a scenario file that `spread` implies, each with its interval; effects of 0 are left out.

    Of a scenario of one year, `years` false, persistence is left out, since it says nothing there.

    Under a budget that follows an organisation's own past, lasting differences are in the budget: leave them out there.
    """
    told = [
        f"# Estimated on {source}: {answer.attrs['rows_read']:,} rows, {answer.attrs['organisations']:,} organisations."
    ]
    for effect, (name, *keys) in _SHOCKS.items():
        sd = float(answer[f"{effect}_sd"])
        if not sd > 0:
            continue
        low, high = (100 * float(one) for one in answer[f"{effect}_sd_interval"].values)
        told += ["", "[[shocks]]", f'name = "{name}"']
        told += [
            f"cv = {_digits(sd)}  # estimated; 95% interval {low:.2f}% to {high:.2f}%",
            *(key for key in keys if key and (years or "persistence" not in key)),
        ]
    return "\n".join(told) + "\n"


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
