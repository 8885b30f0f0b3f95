"""Tables that set things side by side: rules that remove the same money, and what the literature says of a size."""

from __future__ import annotations

import math

import xarray as xr

from .page import Page, Table
from .text import exact_percent, people, percentage, rules, threshold_label
from .text_answers import pence


def rules_report(compared: xr.Dataset) -> Page:
    """Exclusion rules that remove the same expected cost, the one that leaves the least risk first in words."""
    known, currency = compared.attrs, compared.attrs["currency"]
    cells = [compared.isel(rule=place) for place in range(compared.sizes["rule"])]
    rows = [
        [
            str(cell["rule"].values),
            _threshold(float(cell["rule_threshold"]), currency),
            pence(float(cell["removed_pmpy"]), currency),
            exact_percent(float(cell["cv_retained"])),
            exact_percent(float(cell["variance_removed_share"]), 1),
            pence(float(cell["price_pmpy"]), currency),
        ]
        for cell in cells
    ]
    head = ["rule", "from", "removes a head", "cv of the retained cost", "variance removed", "price a head"]
    title = (
        f"{people(known['members'])} people; the price is that of a pool of {people(known['pool_members'])} people, "
        f"k = {known['k']:g} standard deviations (exact)"
    )
    possible = [cell for cell in cells if math.isfinite(float(cell["cv_retained"]))]
    verdict = []
    if possible:
        least = min(possible, key=lambda cell: float(cell["cv_retained"]))
        cv = exact_percent(float(least["cv_retained"]))
        verdict = [f"Least risk is left by: {least['rule'].values}, a cv of {cv} (exact)."]
    return Page("Which kind of cut leaves the least risk?", verdict, [Table(head, rows, title)])


def _threshold(amount: float, currency: str) -> str:
    return "—" if math.isnan(amount) else threshold_label(amount, currency, currency)


def published_report(beside: xr.Dataset) -> Page:
    """The margin that is passed at each size that the literature names, a table for each risk."""
    labels = rules(beside)
    often = percentage(beside.attrs["at_most"])
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
            f"Overspend that is passed in {often} of years: {risk} (exact)",
            labels=3,
        )
        for risk in beside["risk"].values
    ]
    return Page("What the literature says of a size, and what follows from this scenario", (), tables)
