"""How much of the variance luck makes, and where a larger population stops helping."""

import math

import xarray as xr

from ..figure import exact_percent, people, rounded
from ..tables import Page, Rows, Table
from . import Kind
from .shared import CALCULATED, rule_names


def page(split: xr.Dataset) -> Page:
    """How much of the variance luck makes, and where a larger population stops helping."""
    names = rule_names(split)
    luck = split["share"].sel(source="process").transpose("population_size", "threshold").values
    rows: Rows = [
        [people(n), *(exact_percent(float(share), 1) for share in row)]
        for n, row in zip(split["population_size"].values, luck, strict=True)
    ]
    enough = [float(n) for n in split["enough_people"].values]
    rows.append(["luck is half at", *(people(rounded(n, 2)) if math.isfinite(n) else "no size" for n in enough)])
    verdict = (
        f"{names[-1].opening}, luck is half of the variance at {people(rounded(enough[-1], 2))} people; more people "
        "than that reduce the risk little."
        if math.isfinite(enough[-1])
        else f"{names[-1].opening}, luck is more than half of the variance at every size: more people always help."
    )
    title = "Share of the variance that is luck; the rest is shocks that hit everybody, or doubt about the model"
    table = Table(["people", *(name.label for name in names)], rows, title)
    return Page("", [verdict], [table, CALCULATED])


KIND = Kind(page, over=("threshold", "population_size", "source"))
