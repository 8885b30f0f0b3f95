"""How large must the population be: the smallest for each cap or design, its interval, and the exact answer."""

import math

import xarray as xr

from ...analysis.statistics.statistic import TARGETS, named
from ..figure import UNKNOWN, Figure, exact_percent, people, percentage
from ..tables import Cell, Page, Table
from ..tidy import dataset_json
from . import Kind
from .shared import (
    CALCULATED,
    RuleName,
    each,
    ends,
    not_asked,
    people_enough,
    rule_head,
    rule_names,
    to_three,
    with_origin,
)


def page(answer: xr.Dataset) -> Page:
    """The smallest population for each threshold or design, its interval and the exact engine's answer."""
    dim = "threshold" if "threshold" in answer.dims else "design"
    names = rule_names(answer) if dim == "threshold" else []
    names = names or [RuleName(name, f"under {name!r}") for name in map(str, answer[dim].values)]
    simulated = answer.attrs["method"] == "simulated"
    found = list(zip(names, each(answer, dim), strict=True))
    checked = simulated and bool(answer["exact_minimum_population"].notnull().any())
    rows = [[name.label, *_row(cell, simulated, checked)] for name, cell in found]
    head = [rule_head(answer) if dim == "threshold" else dim]
    head += (["exact", "simulated"] if checked else ["people"]) + (["95% interval"] if simulated else [])
    table = Table([*head, "risk that no size removes"], rows, f"Smallest population with a {asked(answer)}")
    places = range(len(found)) if dim == "design" else ends(len(found))
    verdict = [_sentence(*found[at]) for at in sorted(places, key=lambda at: not _never(found[at][1]))]
    how = [] if simulated else [CALCULATED]
    parts: list[Table | str] = [table, *how, *not_asked(answer.attrs)]
    return with_origin(Page(str(answer.attrs.get("title", "")), verdict, parts), answer.attrs)


def asked(answer: xr.Dataset) -> str:
    """What was asked of the population, in words."""
    known = answer.attrs
    words = named(known["statistic"], TARGETS).words(known.get("level"), percentage)
    together = f", contract years 1 to {known['years_pooled']} together" if "years_pooled" in known else ""
    return f"{words} of at most {percentage(known['at_most'])}{together}"


def _never(cell: xr.Dataset) -> bool:
    """Whether the risk that is common to all misses the target, so that no population is large enough."""
    return float(cell["systematic_alone"]) > float(cell.attrs["at_most"])


def _sentence(name: RuleName, cell: xr.Dataset) -> str:
    if _never(cell):
        alone = exact_percent(float(cell["systematic_alone"]), 1)
        return f"{name.opening}, no population is large enough: system-wide shocks alone give {alone}."
    number, exact = (float(cell[figure]) for figure in ("minimum_population", "exact_minimum_population"))
    known = cell.attrs
    leads = number if math.isnan(exact) else exact
    said = f"{name.opening}, {people_enough(to_three(leads), known['smallest'], known['largest'])}"
    if known["method"] != "simulated" or not 0 < leads < math.inf:
        return f"{said}."
    sure = percentage(known["confidence"])
    if math.isnan(exact):
        return f"{said} ({sure} interval: {_interval(cell)})."
    return f"{said} (simulated: {size_told(number, cell)}, {sure} interval {_interval(cell)})."


def _interval(cell: xr.Dataset) -> str:
    low, high = (str(size_told(float(bound), cell)) for bound in cell["minimum_population_interval"].values)
    return low if low == high else f"{low} to {high}"


def _row(cell: xr.Dataset, simulated: bool, checked: bool) -> list[Cell]:
    exact = [size_told(float(cell["exact_minimum_population"]), cell, exact=True)] if checked else []
    alone = float(cell["systematic_alone"])
    risk: Cell = UNKNOWN if math.isnan(alone) else "none" if alone == 0 else exact_percent(alone)
    drawn = [_interval(cell)] if simulated else []
    return [*exact, size_told(float(cell["minimum_population"]), cell), *drawn, risk]


def size_told(number: float, answer: xr.Dataset, exact: bool = False) -> Figure:
    """People, or in words what the sizes tried cannot tell."""
    if math.isinf(number):
        told = "none is enough" if exact else f"over {people(answer.attrs['largest'])}"
        return Figure(number, told, unit="people")
    fewest = people(answer.attrs["smallest"])
    return to_three(number) if number else Figure(number, f"{fewest} or fewer", unit="people")


KIND = Kind(
    page, json=lambda answer: dataset_json(answer, [dim for dim in ("threshold", "design") if dim in answer.dims])
)
