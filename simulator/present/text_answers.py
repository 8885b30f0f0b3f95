"""Answers in words and tables: how large, which terms, was it luck, at what price. Formats, and computes nothing."""

from __future__ import annotations

import math

import xarray as xr

from ..analysis.statistics.statistic import STATISTICS
from .page import Page, Table
from .text import (
    UNKNOWN,
    RuleName,
    exact_percent,
    explained,
    full_money,
    money,
    not_asked,
    people,
    percent,
    percentage,
    rounded,
    rule_names,
    rules,
    with_origin,
)

# ── how large ────────────────────────────────────────────────────────────────────────────────────


def size_report(answer: xr.Dataset) -> Page:
    """The smallest population for each threshold or design, its interval and the exact engine's answer."""
    dim = "threshold" if "threshold" in answer.dims else "design"
    names = rule_names(answer) if dim == "threshold" else [_of_design(str(name)) for name in answer[dim].values]
    simulated = answer.attrs["method"] == "simulated"
    found = list(zip(names, _cells(answer, dim), strict=True))
    checked = simulated and bool(answer["exact_minimum_population"].notnull().any())
    rows = [[name.label, *_size_row(cell, simulated, checked)] for name, cell in found]
    interval = [f"{percentage(answer.attrs['confidence'])} interval"] if simulated else []
    interval += ["exact engine"] if checked else []
    head = [{"threshold": "patient-level rule"}.get(dim, dim), "people", *interval, "systematic risk alone (exact)"]
    how = "drawn, beside the exact engine" if checked else "drawn" if simulated else "exact, nothing drawn"
    ends = found if dim == "design" else [found[-1], *found[:1]][: len(found)]
    told = Table(head, rows, f"Smallest population with a {asked(answer)} ({how})")
    impossible = [_impossible(name, cell) for name, cell in found if _never(cell)]
    verdict = [*impossible, *(_size_sentence(name, cell) for name, cell in ends if not _never(cell))]
    parts: list[Table | str] = [told, *not_asked(answer.attrs)]
    return with_origin(Page(str(answer.attrs.get("title", "")), verdict, parts), answer.attrs)


def asked(answer: xr.Dataset) -> str:
    """What was asked of the population, in words."""
    known = answer.attrs
    told = STATISTICS[known["statistic"]].words(known.get("level"), percentage)
    return f"{told} of at most {percentage(known['at_most'])}"


def _of_design(name: str) -> RuleName:
    """What a design is called, in tables and in sentences."""
    return RuleName(name, f"under {name!r}")


def _where(name: RuleName) -> str:
    return name.sentence[:1].upper() + name.sentence[1:]


def _never(cell: xr.Dataset) -> bool:
    """Whether systematic risk alone misses the target, so that no population is large enough."""
    return float(cell["systematic_alone"]) > float(cell.attrs["at_most"])


def _impossible(name: RuleName, cell: xr.Dataset) -> str:
    alone = exact_percent(float(cell["systematic_alone"]), 1)
    return f"{_where(name)}: no population is large enough: systematic risk alone gives {alone} (exact)."


def _size_sentence(name: RuleName, cell: xr.Dataset) -> str:
    number, exact = (float(cell[figure]) for figure in ("minimum_population", "exact_minimum_population"))
    if math.isinf(number):
        most = people(cell.attrs["largest"])
        return f"{_where(name)}, not even {most} people, the most that were tried, are enough."
    if number == 0:
        return _least_sentence(name, cell, exact)
    if cell.attrs["method"] != "simulated":
        return f"{_where(name)}, {_size(number, cell)} people are enough, exactly."
    beside = "" if math.isnan(exact) else f"; the exact engine says {_size(exact, cell, exact=True)}"
    sure = percentage(cell.attrs["confidence"])
    return f"{_where(name)}, {_size(number, cell)} people are enough ({sure} interval: {_interval(cell)}{beside})."


def _least_sentence(name: RuleName, cell: xr.Dataset, exact: float) -> str:
    """That the smallest population that was tried is enough already."""
    where, least = _where(name), people(cell.attrs["smallest"])
    said = f"{where}, {least} people, the smallest size tried, are already enough"
    if cell.attrs["method"] != "simulated":
        return f"{said}, exactly."
    within = float(cell["minimum_population_interval"].max()) > 0
    told = [f"{percentage(cell.attrs['confidence'])} interval: {_interval(cell)}"] if within else []
    told += [] if math.isnan(exact) else [f"the exact engine says {_size(exact, cell, exact=True)}"]
    return f"{said} ({'; '.join(told)})." if told else f"{said}."


def _interval(cell: xr.Dataset) -> str:
    low, high = (_size(float(bound), cell) for bound in cell["minimum_population_interval"].values)
    return low if low == high else f"{low} to {high}"


def _size_row(cell: xr.Dataset, simulated: bool, checked: bool) -> list[str]:
    exact = [_size(float(cell["exact_minimum_population"]), cell, exact=True)] if checked else []
    alone = float(cell["systematic_alone"])
    risk = UNKNOWN if math.isnan(alone) else "none" if alone == 0 else exact_percent(alone)
    drawn = [_interval(cell)] if simulated else []
    return [_size(float(cell["minimum_population"]), cell), *drawn, *exact, risk]


def _size(number: float, answer: xr.Dataset, exact: bool = False) -> str:
    if math.isnan(number):
        return UNKNOWN
    if math.isinf(number):
        return "none is enough" if exact else f"over {people(answer.attrs['largest'])}"
    return f"≤ {people(answer.attrs['smallest'])}" if number == 0 else people(rounded(number, 3))


def terms_report(terms: xr.Dataset) -> Page:
    """What makes a given population viable: margin, reserve and share by threshold."""
    known = terms.attrs
    currency, found = known["currency"], list(zip(rule_names(terms), _cells(terms, "threshold"), strict=True))
    rows = [
        [
            name.label,
            exact_percent(float(cell["margin"])),
            money(float(cell["reserve"]), currency),
            pence(float(cell["reserve_pmpy"]), currency),
            exact_percent(float(cell["provider_share"]), 1),
        ]
        for name, cell in found
    ]
    often, lost = percentage(known["at_most"]), percentage(known["loss_over"])
    size = people(known["members"])
    ends = [found[-1], *found[:1]][: len(found)]
    verdict = [_terms_sentence(name, cell, size, often, currency) for name, cell in ends]
    head = ["patient-level rule", "margin", "reserve a year", "reserve a head", "provider's largest share"]
    notes = (
        f"Exact, nothing drawn. Margin and reserve are exceeded in {often} of years. The provider's share of an "
        f"overspend is the largest whose loss stays within {lost} of its revenue as often."
    )
    told = Table(head, rows, f"What makes {size} people viable")
    return with_origin(Page(str(known.get("title", "")), verdict, [told, notes]), known)


def _terms_sentence(name: RuleName, cell: xr.Dataset, size: str, often: str, currency: str) -> str:
    reserve, margin = float(cell["reserve"]), float(cell["margin"])
    if margin <= 0:
        return f"{_where(name)}, {size} people need no reserve to be safe in all but {often} of years."
    return (
        f"{_where(name)}, {size} people need a margin of {exact_percent(margin)}, a reserve of "
        f"{money(reserve, currency)}, to be safe in all but {often} of years "
        "(exact)."
    )


def pence(number: float, currency: str) -> str:
    """Money a head, to the penny."""
    return full_money(number, currency, 2)


def _cells(answer: xr.Dataset, dim: str) -> list[xr.Dataset]:
    return [answer.isel({dim: position}) for position in range(answer.sizes[dim])]


# ── was it luck ──────────────────────────────────────────────────────────────────────────────────


def luck_report(answer: xr.Dataset) -> Page:
    """Where an observed overspend stands, in a sentence for each risk, and a table."""
    names, known = rule_names(answer), answer.attrs
    overspend = exact_percent(known["overspend"], sign=True)
    title = f"Was it luck? Observed: {overspend} of the budget, {people(known['members'])} people"
    rows = [
        [name.label, str(risk), *_luck_row(answer.isel(threshold=position).sel(risk=risk))]
        for position, name in enumerate(names)
        for risk in answer["risk"].values
    ]
    head = ["patient-level rule", "risk", "years no costlier", "years as far out, either way",
            f"range of {percentage(known['confidence'])} of years"]  # fmt: skip
    told = [
        _luck_sentence(answer.isel(threshold=-1).sel(risk=risk), str(risk), names[-1]) for risk in answer["risk"].values
    ]
    drawn = known["method"] == "simulated"
    note = "Simulated years: ± one standard error." if drawn else "Exact, nothing drawn."
    return with_origin(Page(title, told, [Table(head, rows, labels=2), note]), known)


def _luck_row(cell: xr.Dataset) -> list[str]:
    percentile, p = float(cell["percentile"]), float(cell["p_two_sided"])
    if cell.attrs["method"] == "exact":
        return [exact_percent(percentile, 1), exact_percent(p, 1), _range(cell)]
    se = float(cell["drawn_percentile_se"])
    return [percent(percentile, se), percent(p, 2 * se), _range(cell)]


def _range(cell: xr.Dataset) -> str:
    low, high = (exact_percent(float(bound), 1, sign=True) for bound in cell["expected_range"].values)
    return f"{low} to {high}"


def _luck_sentence(cell: xr.Dataset, risk: str, name: RuleName) -> str:
    p = float(cell["p_two_sided"])
    low, high = (float(bound) for bound in cell["expected_range"].values)
    inside = low <= cell.attrs["overspend"] <= high
    often = f"one year in {1 / p:,.0f} lies as far out" if p > 1e-6 else "hardly any year lies as far out"
    can = f"{risk} alone can explain it" if risk == "luck" else f"{risk} can explain it"
    verdict = can if inside else can.replace(" can ", " can hardly ")
    return f"{_where(name)}, {verdict}: {often}, and {_range(cell)} is the usual range ({cell.attrs['method']})."


# ── prices, power and sources of variance ────────────────────────────────────────────────────────


def price_report(price: xr.Dataset) -> Page:
    """The fair price of exclusion, by threshold."""
    known, currency = price.attrs, price.attrs["currency"]
    rows = [
        [
            label,
            *(pence(float(cell[n]), currency) for n in ("expected_excess_pmpy", "sd_excess_pmpy", "price_pmpy")),
            "none" if math.isnan(float(cell["loading"])) else exact_percent(float(cell["loading"]), 1),
        ]
        for label, cell in zip(rules(price), _cells(price, "threshold"), strict=True)
    ]
    pool = f"a pool of {people(known['pool_members'])} people, k = {known['k']:g} standard deviations"
    title = f"Fair price of the excess, a head and year: {pool} (exact)"
    return Page("", (), [Table(["patient-level rule", "expected", "sd", "price", "loading"], rows, title)])


def power_report(power: xr.Dataset) -> Page:
    """How often each design pays, by true saving (columns) and population (rows)."""
    savings = [float(saving) for saving in power["saving"].values]
    title = (
        f"Chance that a true saving is paid for (± one standard error, {people(power.attrs['replicates'])} populations)"
    )
    tables = []
    for design in power["design"].values:
        chosen = power.sel(design=design)
        rows = [
            [people(n), *(_chance(chosen.sel(population_size=n, saving=saving)) for saving in savings)]
            for n in power["population_size"].values
        ]
        tables.append(Table(["people", *(f"saves {percentage(saving)}" for saving in savings)], rows, str(design)))
    return explained(Page(title, (), [*tables, *not_asked(power.attrs)]))


def _chance(cell: xr.Dataset) -> str:
    return percent(float(cell["p_paid"]), float(cell["p_paid_se"]))


def sources_report(split: xr.Dataset) -> Page:
    """How much of the variance luck makes, by population size, and where a larger population stops helping."""
    names = rule_names(split)
    rows = [
        [
            people(n),
            *(exact_percent(float(x), 1) for x in split["share"].sel(source="process", population_size=n).values),
        ]
        for n in split["population_size"].values
    ]
    enough = [people(rounded(float(n), 2)) if math.isfinite(n) else "never" for n in split["enough_people"].values]
    rows.append(["luck is half at", *enough])
    where = _where(names[-1])
    verdict = (
        f"{where}, luck is more than half of the variance at every size: a larger population always helps."
        if enough[-1] == "never"
        else f"{where}, luck is half of the variance at {enough[-1]} people: beyond that more people help little "
        "(exact)."
    )
    title = "Share of the variance that is luck; the rest hits everybody at once, or is doubt (exact)"
    return Page("", [verdict], [Table(["people", *(name.label for name in names)], rows, title)])
