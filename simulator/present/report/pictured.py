"""The tables beside the pictures: what each picture draws, in figures."""

from __future__ import annotations

from collections.abc import Iterable

import xarray as xr

from ..text import minimum_population, people
from .gather import Contents
from .names import percentage
from .rounding import NOTE, percent
from .tables import Table


def target_table(contents: Contents, answer: xr.Dataset) -> Table:
    """The minimum population by tolerated chance (rows) and threshold (columns)."""
    smallest, largest = int(answer.attrs["smallest"]), int(answer.attrs["largest"])
    rows = [
        [
            percentage(float(level)),
            *(
                minimum_population(answer.isel(at_most=k), at, largest, smallest)
                for at in range(len(contents.thresholds))
            ),
        ]
        for k, level in enumerate(answer["at_most"].values)
    ]
    caption = f"Smallest population by the largest tolerated chance of {contents.target.overspend}"
    note = "People; 95% interval in brackets, rounded outwards. Read off the simulated sizes."
    return Table(caption, ["Chance of at most", *contents.thresholds], rows, note, stacked=True)


def fan_table(contents: Contents, answer: xr.Dataset) -> Table:
    """Quantiles of the overspend by population, at the highest threshold."""
    last = answer.isel(threshold=-1)
    rows = [
        [f"{people(float(size))} people", *_quantiles(last.isel(population_size=p))]
        for p, size in enumerate(answer["population_size"].values)
    ]
    levels = [f"{percentage(float(level))} of years below" for level in answer["quantile_level"].values]
    note = f"Retained cost / budget − 1, {contents.thresholds[-1]}. {NOTE}"
    return Table("Overspend by population", ["Population", *levels], rows, note, stacked=True)


def _quantiles(cell: xr.Dataset) -> Iterable[str]:
    pairs = zip(cell["overspend"].values, cell["overspend_se"].values, strict=True)
    return [percent(float(value), float(se)) for value, se in pairs]
