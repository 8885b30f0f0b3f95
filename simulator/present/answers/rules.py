"""Exclusion rules that remove the same expected cost: which leaves the least risk."""

import math

import xarray as xr

from ..figure import exact_percent, pence, people
from ..tables import Page, Rows, Table
from . import Kind
from .shared import CALCULATED, each, threshold_label


def page(compared: xr.Dataset) -> Page:
    """Exclusion rules that remove the same expected cost, the one that leaves the least risk first in words."""
    known, currency = compared.attrs, compared.attrs["currency"]
    cells = list(each(compared, "rule"))
    rows: Rows = [
        [
            str(cell["rule"].values),
            "—" if math.isnan(from_ := float(cell["rule_threshold"])) else threshold_label(from_, currency, currency),
            pence(float(cell["removed_pmpy"]), currency),
            exact_percent(float(cell["cv_retained"])),
            exact_percent(float(cell["variance_removed_share"]), 1),
            pence(float(cell["price_pmpy"]), currency),
        ]
        for cell in cells
    ]
    head = ["rule", "from", "removed per head", "cv of retained cost", "variance removed", "price per head"]
    title = (
        f"{people(known['members'])} people; price: of a pool of {people(known['pool_members'])} people, loading of "
        f"{known['k']:g} standard deviations"
    )
    possible = [cell for cell in cells if math.isfinite(float(cell["cv_retained"]))]
    verdict = []
    if possible:
        least = min(possible, key=lambda cell: float(cell["cv_retained"]))
        cv = exact_percent(float(least["cv_retained"]))
        verdict = [f"The rule that leaves the least risk: {least['rule'].values} (coefficient of variation {cv})."]
    return Page("Which exclusion rule leaves the least risk?", verdict, [Table(head, rows, title), CALCULATED])


KIND = Kind(page, over=("rule",))
