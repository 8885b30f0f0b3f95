"""What several years imply: who is costly again, how costs go together, what pooling is worth, what a cohort costs."""

from __future__ import annotations

import math

import xarray as xr

from ..figure import Figure, exact_amount, exact_percent, percentage, plain_number
from ..tables import Cell, Page, Rows, Table
from . import Kind
from .shared import each, rule_names, rules, with_origin

_TOP = "costliest"


def page(answer: xr.Dataset) -> Page:
    """The answer in a verdict and tables, published figures beside what the scenario implies."""
    tops = answer["top"].values
    share = f"{exact_percent(float(answer['again_in_top'].sel(lag=1, top=0.1)), 1)}"
    verdict = [f"Of the costliest 10% of people, {share} are among the costliest 10% again a year later."]
    falls = 1 - float(answer["next_year_mean"].sel(top=0.01) / answer["first_year_mean"].sel(top=0.01))
    verdict.append(
        f"Cost a head of the costliest 1% falls by {exact_percent(falls, 0)} in the next year with no intervention."
    )
    last, name = answer.isel(threshold=-1), rule_names(answer)[-1].sentence
    worth = _number(float(last["pooled_worth"].sel(years_pooled=3)))
    verdict.append(f"Three pooled years are worth {worth} independent ones, {name}, as far as luck goes.")
    if "cohort_change" in answer:
        verdict += _cohort_said(answer)
    again: Rows = [
        [str(lag), *(cell for top in tops for cell in _again(answer.sel(lag=lag, top=top)))]
        for lag in answer["lag"].values
    ]
    head = ["years on", *(word for top in tops for word in (f"{_TOP} {percentage(top)}", "published"))]
    parts: list[Table | str] = [Table(head, again, "Among the costliest again, of people who are still there")]
    means: Rows = [
        [f"{_TOP} {percentage(float(cell['top']))}", *(_number(float(cell[name])) for name in _MEANS)]
        for cell in each(answer, "top")
    ]
    heads = ["people", "their year", "the next year"]
    parts.append(Table(heads, means, "Mean cost of the costliest people, as a multiple of that of all"))
    bands: Rows = [
        [str(band), *(exact_percent(float(v), 1) for v in answer["band_moves"].sel(band=band).values)]
        for band in answer["band"].values
    ]
    title = "Where people are in the next year: bands of people by cost, the costliest first"
    parts.append(Table(["this year", *map(str, answer["band_next"].values)], bands, title))
    for variable, said in _CORRELATIONS.items():
        rows: Rows = [
            [str(lag), *(_number(float(v)) for v in answer[variable].sel(lag=lag).transpose("threshold").values)]
            for lag in answer["lag"].values
        ]
        parts.append(Table(["years on", *rules(answer)], rows, said))
    title = f"What pooled years are worth in independent ones; membership: {answer.attrs['membership']}"
    rows = [
        [str(k), *(_number(float(v)) for v in answer["pooled_worth"].sel(years_pooled=k).transpose("threshold").values)]
        for k in answer["years_pooled"].values
    ]
    parts.append(Table(["years pooled", *rules(answer)], rows, title))
    if "cohort_change" in answer:
        parts.append(_cohort(answer))
    parts.append("Calculated without simulation; before shocks and rare services.")
    return with_origin(Page(str(answer.attrs.get("title", "")), verdict, parts), answer.attrs)


_MEANS = ("first_year_mean", "next_year_mean")
_CORRELATIONS = {
    "correlation": "Correlation of a person's cost with the same person's, of people who are still there",
    "total_correlation": "Correlation of the whole population's cost with its own, by luck alone",
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
    luck = f"with {largest:,} people covered, luck has a standard deviation of {exact_percent(spread, 1)}"
    top = percentage(float(answer.attrs["cohort_top"]))
    said = f"The cohort, the costliest {top} of year {first}: cost a head {way}"
    return [f"{said} by {size} in the next year with no intervention; {luck}."]


def _cohort(answer: xr.Dataset) -> Table:
    currency = answer.attrs["currency"]
    rows: Rows = [
        [
            str(int(cell["year"])),
            exact_percent(float(cell["cohort_members"]), 1),
            exact_amount(float(cell["cohort_cost"]), currency),
            exact_percent(float(cell["cohort_share_of_cost"]), 1),
            exact_percent(float(cell["cohort_change"]), 1, sign=True),
        ]
        for cell in each(answer, "year")
    ]
    cut = exact_amount(float(answer["cohort_cut"]), currency)
    head = ["year", "still there", "cost a head", "share of all cost", "change"]
    return Table(head, rows, f"The cohort: everybody who cost more than {cut}; leavers are not replaced")


KIND = Kind(page, over=("lag", "top"))
