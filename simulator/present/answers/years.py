"""What several years imply: who is costly again, how costs go together, what pooling is worth, what a cohort costs."""

from __future__ import annotations

import math

import xarray as xr

from ..figure import Figure, exact_amount, exact_percent, percentage, plain_number
from ..tables import Cell, Page, Rows, Table
from . import Kind
from .shared import each, rule_names, rules, with_origin


def page(answer: xr.Dataset) -> Page:
    """The answer in a verdict and tables, published figures next to what the scenario implies."""
    tops = answer["top"].values
    share = exact_percent(float(answer["again_in_top"].sel(lag=1, top=0.1)), 1)
    verdict = [f"Of the costliest 10% of people, {share} are among the costliest 10% again a year later."]
    falls = 1 - float(answer["next_year_mean"].sel(top=0.01) / answer["first_year_mean"].sel(top=0.01))
    verdict.append(
        f"Cost per head of the costliest 1% falls by {exact_percent(falls, 0)} in the next year with no intervention."
    )
    last, name = answer.isel(threshold=-1), rule_names(answer)[-1].sentence
    worth = _number(float(last["pooled_worth"].sel(years_pooled=3)))
    verdict.append(f"For luck alone, three years pooled are worth {worth} independent years, {name}.")
    if "cohort_change" in answer:
        verdict += _cohort_said(answer)
    again: Rows = [
        [str(lag), *(cell for top in tops for cell in _again(answer.sel(lag=lag, top=top)))]
        for lag in answer["lag"].values
    ]
    head = ["years on", *(word for top in tops for word in (f"costliest {percentage(top)}", "published"))]
    title = "Share of the costliest who are among them again (people still on the list)"
    parts: list[Table | str] = [Table(head, again, title, note=_SOURCES)]
    means: Rows = [
        [f"costliest {percentage(float(cell['top']))}", *(_number(float(cell[name])) for name in _MEANS)]
        for cell in each(answer, "top")
    ]
    title = "Mean cost of the costliest people, as a multiple of the mean of all"
    parts.append(Table(["people", "this year", "next year"], means, title))
    bands: Rows = [
        [str(band), *(exact_percent(float(v), 1) for v in answer["band_moves"].sel(band=band).values)]
        for band in answer["band"].values
    ]
    title = "Where people of each cost band (rows, the costliest first) are in the next year (columns)"
    parts.append(Table(["this year", *map(str, answer["band_next"].values)], bands, title))
    for variable, (label, title) in _BY_THRESHOLD.items():
        values = answer[variable].transpose(..., "threshold")
        rows: Rows = [[str(int(row[values.dims[0]])), *map(_number, row.values.tolist())] for row in values]
        parts.append(Table([label, *rules(answer)], rows, title.format(**answer.attrs)))
    if "cohort_change" in answer:
        parts.append(_cohort(answer))
    parts.append("Shocks and rare services are not included.")
    return with_origin(Page(str(answer.attrs.get("title", "")), verdict, parts), answer.attrs)


_SOURCES = "Published, all US: costliest 1% AHRQ, 5% Monheit 2003 and Cohen, 10% Hirth 2015 (insured, under 65)."
_MEANS = ("first_year_mean", "next_year_mean")
_BY_THRESHOLD = {
    "correlation": ("years on", "Correlation of a person's cost with that of a later year (people still on the list)"),
    "total_correlation": (
        "years on",
        "Correlation of the whole population's cost with that of a later year, luck alone",
    ),
    "pooled_worth": (
        "years pooled",
        "Independent years that pooled years are worth, luck alone; membership: {membership}",
    ),
}


def _number(value: float) -> Figure:
    return plain_number(value, ".2f")


def _again(cell: xr.Dataset) -> list[Cell]:
    low, high = (float(bound) for bound in cell["published_again"].values)
    between = f"{percentage(low)} to {percentage(high)}"
    published: Cell = "" if math.isnan(low) else percentage(low) if low == high else between
    return [exact_percent(float(cell["again_in_top"]), 1), published]


def _cohort_said(answer: xr.Dataset) -> list[str]:
    first, following = int(answer["year"][0]), answer.isel(year=slice(1, 2))
    if not following.sizes["year"]:
        return []
    change, largest = float(following["cohort_change"][0]), answer["population_size"].values[-1]
    spread = float(following["cohort_change_sd"].sel(population_size=largest)[0])
    way, size = ("falls" if change < 0 else "rises"), exact_percent(abs(change), 0)
    luck = f"by luck this change has a standard deviation of {exact_percent(spread, 1)} with {largest:,} people covered"
    top = percentage(float(answer.attrs["cohort_top"]))
    said = f"The cohort, the costliest {top} of year {first}: cost per head {way}"
    return [f"{said} by {size} in the next year with no intervention; {luck}."]


def _cohort(answer: xr.Dataset) -> Table:
    currency = answer.attrs["currency"]
    rows: Rows = [
        [
            str(int(cell["year"])),
            exact_percent(float(cell["cohort_members"]), 1),
            exact_amount(float(cell["cohort_cost"]), currency, 3),
            exact_percent(float(cell["cohort_share_of_cost"]), 1),
            exact_percent(float(cell["cohort_change"]), 1, sign=True),
        ]
        for cell in each(answer, "year")
    ]
    cut = exact_amount(float(answer["cohort_cut"]), currency)
    head = ["year", "still on the list", "cost per head", "share of all cost", "change in cost per head"]
    return Table(head, rows, f"The cohort: everybody who cost more than {cut}; leavers are not replaced")


KIND = Kind(page, over=("lag", "top"))
