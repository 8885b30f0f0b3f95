"""What makes a given population viable: margin, reserve and share by threshold."""

import xarray as xr

from ..figure import exact_percent, money, pence, people, percentage
from ..tables import Page, Rows, Table
from . import Kind
from .shared import RuleName, each, ends, rule_head, rule_names, with_origin


def page(terms: xr.Dataset) -> Page:
    """What makes a given population viable: margin, reserve and share by threshold."""
    known = terms.attrs
    currency, found = known["currency"], list(zip(rule_names(terms), each(terms, "threshold"), strict=True))
    rows: Rows = [
        [
            name.label,
            exact_percent(float(cell["margin"])),
            money(float(cell["reserve"]), currency),
            pence(float(cell["reserve_pmpy"]), currency),
            exact_percent(float(cell["provider_share"]), 1),
        ]
        for name, cell in found
    ]
    often, lost, size = percentage(known["at_most"]), percentage(known["loss_over"]), people(known["members"])
    verdict = [_needed(*found[at], f"{size}", f"{often}", currency) for at in ends(len(found))]
    head = [rule_head(terms), "margin", "reserve per year", "reserve per head", "provider's largest share"]
    notes = (
        f"Calculated without simulation. Margin and reserve are exceeded in {often} of years. The provider's share of "
        f"an overspend is the largest that keeps its loss within {lost} of its revenue as often."
    )
    table = Table(head, rows, f"What makes {size} people enough")
    return with_origin(Page(str(known.get("title", "")), verdict, [table, notes]), known)


def _needed(name: RuleName, cell: xr.Dataset, size: str, often: str, currency: str) -> str:
    reserve, margin = money(float(cell["reserve"]), currency), float(cell["margin"])
    need = "no reserve" if margin <= 0 else f"a margin of {exact_percent(margin)}, a reserve of {reserve},"
    return f"{name.opening}, {size} people need {need} to be safe in all but {often} of years."


KIND = Kind(page, over=("threshold",))
