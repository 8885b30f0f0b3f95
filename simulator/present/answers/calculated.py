"""Answers that are calculated without simulation: the page of each kind, and `KINDS`, which names them."""

import math

import numpy as np
import xarray as xr

from ..figure import exact_percent, money, pence, people, percentage, rounded
from ..tables import Cell, Page, Rows, Table
from . import Kind
from .shared import RuleName, each, ends, rule_head, rule_names, rules, threshold_label, with_origin
from .summary import as_json, chosen_margin

_CALCULATED = "Calculated without simulation."


def exact(answer: xr.Dataset, margin: float | None = None, at_most: float = 0.05) -> Page:
    """The tables of a run, calculated without simulation."""
    margin = chosen_margin(answer, margin)
    cells, names = answer.transpose("population_size", "threshold", ...), rule_names(answer)
    over = cells["p_overspend"].sel(margin=margin)
    worst = cells["quantile_cost"].sel(quantile_level=0.95) / cells["budget"] - 1
    chance = f"chance of overspending by more than {percentage(margin)} of the budget"
    tables = [
        _by_size(cells["cv"], names, "Year-to-year risk: standard deviation of retained cost, as a share of its mean"),
        _by_size(over, names, f"{chance[:1].upper()}{chance[1:]} (▪: at most {percentage(at_most)})", at_most),
        _by_size(worst, names, "Overspend exceeded in 1 year in 20, as a share of the budget"),
    ]
    error = float(answer["probability_error"].max())
    how = f"Calculated without simulation: chances are right to {error:.1g}; means and standard deviations are exact."
    verdict = [_from_where(over, names[at], chance, at_most, at) for at in ends(len(names))]
    return with_origin(Page(str(answer.attrs.get("title", "")), verdict, [*tables, how]), answer.attrs)


def _from_where(over: xr.DataArray, name: RuleName, chance: str, at_most: float, column: int) -> str:
    sizes, values = over["population_size"].values, over.isel(threshold=column).values
    missed = np.flatnonzero(~(values <= at_most))
    said = f"{name.opening}, the {chance}"
    if missed.size and missed[-1] == sizes.size - 1:
        return (
            f"{said} is still {exact_percent(float(values[-1]))} at {people(sizes[-1])} people, the largest size asked."
        )
    first = sizes[missed[-1] + 1] if missed.size else sizes[0]
    return f"{said} is at most {percentage(at_most)} from {people(first)} people on (of the sizes asked)."


def _by_size(values: xr.DataArray, names: list[RuleName], title: str, at_most: float | None = None) -> Table:
    rows = [
        [people(n), *(exact_percent(float(v)).marked(_mark(float(v), at_most)) for v in row)]
        for n, row in zip(values["population_size"].values, values.values, strict=True)
    ]
    return Table(["people", *(name.label for name in names)], rows, title)


def _mark(value: float, at_most: float | None) -> str:
    return "" if at_most is None else " ▪" if value <= at_most else "  "


def fair_price(price: xr.Dataset) -> Page:
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
    return Page("", (), [Table(head, rows, title), _CALCULATED])


def exclusion_rules(compared: xr.Dataset) -> Page:
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
    return Page("Which exclusion rule leaves the least risk?", verdict, [Table(head, rows, title), _CALCULATED])


def published(beside: xr.Dataset) -> Page:
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
    return Page(told, (), [*tables, _CALCULATED])


def variance_by_source(split: xr.Dataset) -> Page:
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
    return Page("", [verdict], [table, _CALCULATED])


def viable_terms(terms: xr.Dataset) -> Page:
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
    reserve, margin = float(cell["reserve"]), float(cell["margin"])
    if margin <= 0:
        return f"{name.opening}, {size} people need no reserve to be safe in all but {often} of years."
    return (
        f"{name.opening}, {size} people need a margin of {exact_percent(margin)}, a reserve of "
        f"{money(reserve, currency)}, to be safe in all but {often} of years."
    )


KINDS = {
    "exact": Kind(exact, json=as_json),
    "fair_price": Kind(fair_price, over=("threshold",)),
    "rules": Kind(exclusion_rules, over=("rule",)),
    "published": Kind(published, over=("risk", "source")),
    "variance_by_source": Kind(variance_by_source, over=("threshold", "population_size", "source")),
    "viable_terms": Kind(viable_terms, over=("threshold",)),
}
