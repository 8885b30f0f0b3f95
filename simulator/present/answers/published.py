"""What the literature says of the size of a risk pool, and what follows from a scenario."""

from __future__ import annotations

import xarray as xr

from ..figure import exact_percent, people, percentage
from ..tables import Page, Table
from . import Kind
from .shared import rules


def page(beside: xr.Dataset) -> Page:
    """The margin that is exceeded at each size that the literature names, a table for each risk."""
    labels, often = rules(beside), percentage(beside.attrs["at_most"])
    tables = [
        Table(
            ["source", "people", "it says", *labels],
            [
                [
                    str(source),
                    people(float(beside["people"].sel(source=source))),
                    str(beside["says"].sel(source=source).values),
                    *(exact_percent(float(share)) for share in beside["margin"].sel(risk=risk, source=source).values),
                ]
                for source in beside["source"].values
            ],
            f"Overspend exceeded in {often} of years: {risk}",
            labels=3,
        )
        for risk in beside["risk"].values
    ]
    parts: list[Table | str] = [*tables, "Calculated without simulation."]
    return Page("What the literature says of a size, and what follows from this scenario", (), parts)


KIND = Kind(page, over=("risk", "source"))
