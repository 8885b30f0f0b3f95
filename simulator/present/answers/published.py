"""The margin exceeded at each size that the literature names."""

import xarray as xr

from ..figure import exact_percent, people, percentage
from ..tables import Cell, Page, Rows, Table
from . import Kind
from .shared import CALCULATED, each, rules


def page(beside: xr.Dataset) -> Page:
    """The margin that is exceeded at each size that the literature names, a table for each risk."""
    labels, often = rules(beside), percentage(beside.attrs["at_most"])
    tables = []
    for at_risk in each(beside, "risk"):
        rows: Rows = []
        for one in each(at_risk, "source"):
            known: list[Cell] = [str(one["source"].values), people(float(one["people"])), str(one["says"].values)]
            rows.append([*known, *(exact_percent(float(share)) for share in one["margin"].values)])
        title = f"Overspend exceeded in {often} of years: {at_risk['risk'].values}"
        tables.append(Table(["source", "people", "it says", *labels], rows, title, labels=3))
    told = "What the literature says of a size, and what follows from this scenario"
    return Page(told, (), [*tables, CALCULATED])


KIND = Kind(page, over=("risk", "source"))
