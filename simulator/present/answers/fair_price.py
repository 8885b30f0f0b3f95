"""The fair price of exclusion, by threshold."""

import math

import xarray as xr

from ..figure import exact_percent, pence, people
from ..tables import Page, Rows, Table
from . import Kind
from .shared import CALCULATED, each, rule_head, rules


def page(price: xr.Dataset) -> Page:
    """The fair price of exclusion, by threshold."""
    known, currency = price.attrs, price.attrs["currency"]
    rows: Rows = [
        [
            label,
            *(pence(float(cell[n]), currency) for n in ("expected_excess_pmpy", "sd_excess_pmpy", "price_pmpy")),
            "none" if math.isnan(float(cell["loading"])) else exact_percent(float(cell["loading"]), 1),
        ]
        for label, cell in zip(rules(price), each(price, "threshold"), strict=True)
    ]
    pool = f"a pool of {people(known['pool_members'])} people, loading of {known['k']:g} standard deviations"
    title = f"Fair price of the excess, per head and year: {pool}"
    head = [rule_head(price), "expected excess", "standard deviation", "price", "loading"]
    return Page("", (), [Table(head, rows, title), CALCULATED])


KIND = Kind(page, over=("threshold",))
