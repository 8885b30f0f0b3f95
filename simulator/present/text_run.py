"""What `simulator run` prints: the answer in words first, then the tables behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..analysis.size.grid import minimum_on_grid
from .page import Page, Table
from .text import (
    NO_EXCLUSION,
    RuleName,
    enough_already,
    exact_percent,
    explained,
    figure_table,
    minimum_population,
    money,
    people,
    percent,
    percentage,
    provenance,
    rule_names,
    rules,
    too_few,
    with_origin,
)
from .tidy import cells


def run_report(summary: xr.Dataset, margin: float, at_most: float) -> Page:
    """The answer of one run, its tables and its check."""
    overspend = f"Chance of an overspend above {percentage(margin)} of the budget"
    tables = [
        figure_table(summary, "cv", "Coefficient of variation of the retained cost"),
        figure_table(summary, "p_overspend", overspend, margin=margin),
        *([removed_table(summary)] if set(rules(summary)) != {NO_EXCLUSION} else []),
    ]
    sized, seen = summary.sizes.get("population_size", 1) > 1, summary.attrs["replicates"] * at_most >= 1
    answers = [answer_table(summary, margin, at_most)] if sized and seen else []
    verdict = _needed(summary, margin, at_most) if answers else _unseen(at_most) if sized else _chance(summary, margin)
    parts: list[Table | str] = [*answers, *tables, _provenance(summary)]
    return explained(Page(summary.attrs.get("title", ""), [verdict], parts, _warnings(summary)))


def _warnings(summary: xr.Dataset) -> list[str]:
    known = summary.attrs
    told = [known["check_sentence"]] if known["check"] == "failed" else []
    told += too_few(known["replicates"])
    if known.get("stopped_by") == "max_replicates":
        told.append("STOPPED at the limit of populations: not every 95% interval is as narrow as asked.")
    return told


def _needed(summary: xr.Dataset, margin: float, at_most: float) -> str:
    """How many people are needed, without exclusion and with the most of it."""
    said = _minima(summary, margin, at_most)
    ends = [said[-1], *([said[0]] if len(said) > 1 else [])]
    needs = " and ".join(f"{number} people {name.sentence}" for name, number in ends if not enough_already(number))
    told = [f"a population needs {needs} (95% interval in brackets)"] if needs else []
    told += [f"{enough_already(number)} {name.sentence}" for name, number in ends if enough_already(number)]
    asked = f"To hold the chance of an overspend above {percentage(margin)} of the budget to {percentage(at_most)}"
    return f"{asked}, {'; '.join(told)}."


def _unseen(at_most: float) -> str:
    return (
        f"How large the population must be is not estimable: in so few populations a chance of {percentage(at_most)} "
        "cannot be seen."
    )


def _minima(summary: xr.Dataset, margin: float, at_most: float) -> list[tuple[RuleName, str]]:
    answer = minimum_on_grid(summary, "p_overspend", at_most, margin=margin)
    sizes = summary["population_size"].values
    return [
        (name, minimum_population(answer, position, int(sizes[-1]), int(sizes[0])))
        for position, name in enumerate(rule_names(summary))
    ]


def _chance(summary: xr.Dataset, margin: float) -> str:
    """The chance of an overspend, or between which two it lies over the units."""
    place = "unit" if "unit" in summary.dims else "population_size"
    cell = summary.sel(margin=margin).isel(threshold=-1)
    order = np.argsort(cell["p_overspend"].values)
    least, most = (
        percent(float(cell["p_overspend"][k]), float(cell["p_overspend_se"][k])) for k in (order[0], order[-1])
    )
    names = [str(cell[place].values[k]) for k in (order[0], order[-1])]
    who = f"At {people(float(names[0]))} people" if place == "population_size" else f"In {names[0]}"
    told = f"{who}, an overspend above {percentage(margin)} of the budget has a chance of {least}"
    more = "" if order.size == 1 else f"; in {names[1]}, of {most}"
    return f"{told}{more} ({rule_names(summary)[-1].sentence}; ± one standard error)."


def answer_table(summary: xr.Dataset, margin: float, at_most: float) -> Table:
    """How large the population must be, for each threshold."""
    rows = [[name.label, number] for name, number in _minima(summary, margin, at_most)]
    question = (
        f"Smallest population at which an overspend above {percentage(margin)} has a chance of at most "
        f"{percentage(at_most)} (95% interval)"
    )
    return Table(["patient-level rule", "people"], rows, question)


def removed_table(summary: xr.Dataset) -> Table:
    """What each threshold takes out, at the largest population."""
    place = "unit" if "unit" in summary.dims else "population_size"
    last = summary.isel({place: -1})
    figures = (
        ("cost removed", "cost_removed_share"),
        ("patients above", "patients_above_share"),
        ("variance of their total removed", "variance_removed_share"),
    )
    rows = [
        [name, *(_share(last.isel(threshold=d), key, label) for d, label in enumerate(rules(summary)))]
        for name, key in figures
    ]
    largest = summary[place].values[-1]
    where = f"{people(float(largest))} people" if place == "population_size" else str(largest)
    return Table(
        ["share of", *rules(summary)], rows, f"What each threshold takes out, at {where} (± one standard error)"
    )


def _share(cell: xr.Dataset, key: str, label: str) -> str:
    value, error = float(cell[key]), float(cell[f"{key}_se"])
    return "nothing" if label == NO_EXCLUSION else percent(value, error)


def _provenance(summary: xr.Dataset) -> str:
    known = summary.attrs
    capitation = known.get("capitation_pmpy")
    budget = (
        f"capitation {money(capitation, known['currency'])} a head"
        if capitation
        else "the budget is the exact mean of the retained cost"
    )
    stopped = (
        "Drawn on until every 95% interval was as narrow as asked.\n" if known.get("stopped_by") == "target" else ""
    )
    return f"{stopped}{known['check_sentence']}\n{budget[:1].upper()}{budget[1:]}.\n{provenance(known)}"


def exact_report(answer: xr.Dataset, margin: float, at_most: float) -> Page:
    """What `simulator run --exact` prints: the tables of a run, without draws and without standard errors."""
    cells_, names = answer.transpose("population_size", "threshold", ...), rule_names(answer)
    over = cells_["p_overspend"].sel(margin=margin)
    worst = cells_["quantile_cost"].sel(quantile_level=0.95) / cells_["budget"] - 1
    chance = f"Chance of an overspend above {percentage(margin)} of the budget"
    tables = [
        _exact_table(cells_["cv"], names, "Coefficient of variation of the retained cost (exact)"),
        _exact_table(over, names, f"{chance} (exact; ▪: at most {percentage(at_most)})", at_most),
        _exact_table(worst, names, "95th percentile of the overspend, share of the budget (exact)"),
    ]
    error = float(answer["probability_error"].max())
    how = f"Exact: nothing was drawn. Probabilities are right to {error:.1g}; means and sd are closed forms."
    verdict = [_exact_verdict(over, name, chance, at_most, d) for d, name in _ends(names)]
    page = Page(str(answer.attrs.get("title", "")), verdict, [*tables, how])
    return with_origin(page, answer.attrs)


def _ends(names: list[RuleName]) -> list[tuple[int, RuleName]]:
    last = len(names) - 1
    return [(last, names[last]), *([(0, names[0])] if last else [])]


def _exact_verdict(over: xr.DataArray, name: RuleName, chance: str, at_most: float, column: int) -> str:
    sizes, values = over["population_size"].values, over.isel(threshold=column).values
    missed = np.flatnonzero(~(values <= at_most))
    said = f"{name.sentence[:1].upper()}{name.sentence[1:]}, the {chance[:1].lower()}{chance[1:]}"
    if missed.size and missed[-1] == sizes.size - 1:
        most = people(sizes[-1])
        return f"{said} is still {exact_percent(float(values[-1]))} (exact) at {most} people, the largest asked."
    first = sizes[missed[-1] + 1] if missed.size else sizes[0]
    return f"{said} is at most {percentage(at_most)} from {people(first)} people on (exact, of the sizes asked)."


def _exact_table(values: xr.DataArray, names: list[RuleName], title: str, at_most: float | None = None) -> Table:
    rows = [
        [people(n), *(_marked(float(v), at_most) for v in row)]
        for n, row in zip(values["population_size"].values, values.values, strict=True)
    ]
    return Table(["people", *(name.label for name in names)], rows, title)


def _marked(value: float, at_most: float | None) -> str:
    mark = "" if at_most is None else " ▪" if value <= at_most else "  "
    return exact_percent(value) + mark


def summary_rows(summary: xr.Dataset) -> dict[str, Any]:
    """The summary as JSON has it: one row a population and threshold."""
    place = "unit" if "unit" in summary.dims else "population_size"
    keep = (
        "title", "currency", "method", "scenario_id", "seed", "replicates", "rule", "check", "check_sentence",
        "simulator_version", "draws_version", "tables_hash",
    )  # fmt: skip
    told = {key: summary.attrs[key] for key in keep if key in summary.attrs}
    return told | {"cells": cells(summary, (place, "threshold"))}
