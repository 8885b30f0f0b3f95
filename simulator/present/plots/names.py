"""What series are called: thresholds under their exclusion rule, and years in N."""

from __future__ import annotations

import xarray as xr

from ..answers.shared import rules


def threshold_names(shown: xr.Dataset) -> list[str]:
    """A name each threshold, such as "cap £50k" or "no exclusion"."""
    return rules(shown)


def one_threshold(cells: xr.Dataset) -> str:
    """The one threshold of some cells, to begin a sentence with: "No exclusion"."""
    name = threshold_names(cells.expand_dims("threshold"))[0]
    return name[0].upper() + name[1:]


def one_in(chance: float) -> str:
    """A chance as one year in so many."""
    years = 1 / chance
    return f"1 in {years:.2g}" if years < 10 else f"1 in {years:,.0f}"
