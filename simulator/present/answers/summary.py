"""A run: how large is large enough, then risk, chances and what each cap takes out."""

import math
from typing import NamedTuple

import numpy as np
import xarray as xr

from ...analysis.size.grid import minimum_on_grid
from ..figure import UNKNOWN, Figure, money, people, percent, percentage
from ..tables import Page, Rows, Table
from ..tidy import cells as cells_of
from ..tidy import kept
from . import Kind, shared
from .shared import NO_EXCLUSION, RuleName, each, ends, place_of, rule_names, rules

_KEPT = (
    "title", "currency", "method", "scenario_id", "seed", "replicates", "rule", "check", "check_sentence",
    "simulator_version", "draws_version", "tables_hash",
)  # fmt: skip


_REMOVED = {
    "cost_removed_share": "cost removed",
    "patients_above_share": "patients above it",
    "variance_removed_share": "year-to-year variance removed",
}


def page(
    summary: xr.Dataset, margin: float | None = None, at_most: float = 0.05, exactly: xr.Dataset | None = None
) -> Page:
    """The answer of one run, its tables and its check; `exactly`: the smallest populations, where they are known."""
    margin = chosen_margin(summary, margin)
    if "year" in summary.dims:
        return _of_years(summary, margin, at_most, exactly)
    overspend = f"Chance of overspending by more than {percentage(margin)} of the budget"
    spread = "Year-to-year risk: standard deviation of retained cost, as a share of its mean"
    tables = [
        shared.figure_table(summary, "cv", spread),
        shared.figure_table(summary, "p_overspend", overspend, margin=margin),
        *([removed_table(summary)] if set(rules(summary)) != {NO_EXCLUSION} else []),
    ]
    sized, seen = summary.sizes.get("population_size", 1) > 1, summary.attrs["replicates"] * at_most >= 1
    found = _minima(summary, margin, at_most, exactly) if sized and seen else []
    answers = [answer_table(summary, margin, at_most, found)] if found else []
    if found:
        verdict = _needed(summary, margin, at_most, found)
    elif sized:
        verdict = (
            "How large the population must be cannot be estimated: too few years were simulated to see a chance of "
            f"{percentage(at_most)}."
        )
    else:
        verdict = _chance(summary, margin)
    parts: list[Table | str] = [*answers, *tables]
    made = shared.simulated(Page(summary.attrs.get("title", ""), [verdict], parts, _warnings(summary)))
    return Page(made.title, made.verdict, [*made.parts, _origin(summary)], made.warnings)


def _of_years(summary: xr.Dataset, margin: float, at_most: float, exactly: xr.Dataset | None) -> Page:
    """The page of year 1, and the risk of each year alone."""
    first = page(summary.sel(year=1, drop=True), margin, at_most, exactly)
    last = summary.isel({place_of(summary): -1})
    title = "Each year alone, at the largest population: standard deviation of retained cost, as a share of its mean"
    rows: Rows = [
        [f"year {year}", *(shared.figure_cell(cell, "cv") for cell in each(last.sel(year=year), "threshold"))]
        for year in last["year"].values
    ]
    table = Table(["", *rules(summary)], rows, title)
    told = f"{last.sizes['year']} years were simulated; all else here is of year 1."
    return Page(first.title, [*first.verdict, told], [*first.parts, table], first.warnings)


def chosen_margin(summary: xr.Dataset, margin: float | None) -> float:
    """The margin asked for; 3% where it is there, else the first."""
    from ...errors import SimulatorError

    margins = [float(one) for one in summary["margin"].values]
    chosen = (0.03 if 0.03 in margins else margins[0]) if margin is None else margin
    if chosen not in margins:
        raise SimulatorError("margin", chosen, "is not in the summary", f"ask summarise for margins=({chosen},)")
    return chosen


def _warnings(summary: xr.Dataset) -> list[str]:
    known = summary.attrs
    told = [known["check_sentence"]] if known["check"] == "failed" else []
    told += shared.too_few(known["replicates"])
    if known.get("stopped_by") == "max_replicates":
        told.append("Stopped at the limit of simulated years: not every 95% interval is as narrow as asked.")
    return told


class _Least(NamedTuple):
    """The smallest population under one rule: simulated, and exact where that is known."""

    name: RuleName
    drawn: Figure
    exact: Figure | None = None

    def told(self, sizes: tuple[int, int]) -> str:
        """The exact figure first, the simulated one as its check."""
        if self.exact is None:
            return f"{self.name.sentence}, {shared.people_enough(self.drawn, *sizes)}"
        if math.isinf(self.exact.value):
            return f"{self.name.sentence}, no population is large enough"
        if self.exact.value == 0:
            return f"{self.name.sentence}, {shared.people_enough(self.exact, *sizes)}"
        check = f"{self.drawn.text}, 95% interval {self.drawn.within}" if self.drawn.within else self.drawn.text
        return f"{self.name.sentence}, {self.exact} people are enough (simulated: {check})"


def _needed(summary: xr.Dataset, margin: float, at_most: float, found: list[_Least]) -> str:
    """How many people are needed, without a cap and with the lowest."""
    sizes = summary["population_size"].values
    told = [found[at].told((int(sizes[0]), int(sizes[-1]))) for at in ends(len(found))]
    asked = f"To keep the chance of overspending by more than {percentage(margin)} of the budget at or below"
    return f"{asked} {percentage(at_most)}: {'; '.join(told)}."


def _minima(summary: xr.Dataset, margin: float, at_most: float, exactly: xr.Dataset | None) -> list[_Least]:
    answer = minimum_on_grid(summary, "p_overspend", at_most, margin=margin)
    sizes = summary["population_size"].values
    known = [math.nan] * answer.sizes["threshold"] if exactly is None else exactly["minimum_population"].values
    return [
        _Least(
            name,
            shared.minimum_population(answer, at, int(sizes[-1]), int(sizes[0])),
            _exact(float(known[at]), sizes[0]),
        )
        for at, name in enumerate(rule_names(summary))
    ]


def _exact(number: float, smallest: float) -> Figure | None:
    if math.isnan(number):
        return None
    words = {0.0: f"{people(smallest)} or fewer", math.inf: "none is enough"}
    return Figure(number, words[number], unit="people") if number in words else shared.to_three(number)


def _chance(summary: xr.Dataset, margin: float) -> str:
    """The chance of an overspend, or between which two it lies over the units."""
    place = place_of(summary)
    cell = summary.sel(margin=margin).isel(threshold=-1)
    order = [int(at) for at in np.argsort(cell["p_overspend"].values)]
    both = dict.fromkeys((order[0], order[-1]))
    said = "in {}" if place == "unit" else "at {} people"
    chances = [(cell.isel({place: k}), shared.place_label(place, cell[place].values[k])) for k in both]
    told = [
        f"{percent(float(one['p_overspend']), float(one['p_overspend_se']))} {said.format(at)}" for one, at in chances
    ]
    asked = f"The chance of overspending by more than {percentage(margin)} of the budget"
    return f"{asked}, {rule_names(summary)[-1].sentence}: {', '.join(told)}."


def answer_table(summary: xr.Dataset, margin: float, at_most: float, found: list[_Least]) -> Table:
    """How large the population must be, for each threshold; the exact column leads where there is one."""
    known = any(one.exact is not None for one in found)
    rows: Rows = [[one.name.label, *([one.exact or UNKNOWN] if known else []), one.drawn] for one in found]
    question = (
        f"Smallest population with a chance of at most {percentage(at_most)} of overspending by more than "
        f"{percentage(margin)} (95% interval)"
    )
    return Table([shared.rule_head(summary), *(["exact", "simulated"] if known else ["people"])], rows, question)


def removed_table(summary: xr.Dataset) -> Table:
    """What each threshold takes out, at the largest population."""
    place = place_of(summary)
    cells = list(zip(rules(summary), each(summary.isel({place: -1}), "threshold"), strict=True))
    rows: Rows = [
        [said, *("nothing" if rule == NO_EXCLUSION else shared.figure_of(cell, key) for rule, cell in cells)]
        for key, said in _REMOVED.items()
    ]
    where = shared.place_label(place, summary[place].values[-1])
    at = f"{where} people" if place == "population_size" else where
    return Table(["share of", *rules(summary)], rows, f"Effect of each cap, at {at}")


def _origin(summary: xr.Dataset) -> str:
    known, lines = summary.attrs, []
    if known.get("stopped_by") == "target":
        lines.append("Simulated until every 95% interval was as narrow as asked.")
    budget = "the expected retained cost"
    if capitation := known.get("capitation_pmpy"):
        budget = f"a capitation of {money(capitation, known['currency'])} a head"
    return "\n".join([*lines, known["check_sentence"], f"The budget is {budget}.", shared.provenance(known)])


def as_json(summary: xr.Dataset) -> dict[str, object]:
    """The summary as JSON has it: one row a population and threshold."""
    dims = (*(["year"] if "year" in summary.dims else []), place_of(summary), "threshold")
    return kept(summary, _KEPT) | {"cells": cells_of(summary, dims)}


KIND = Kind(page, json=as_json)
