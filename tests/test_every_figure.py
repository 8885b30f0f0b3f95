"""Every figure that is shown is its value to the digits shown, which are those that its error supports.

Figures are typed, so that what is walked are the tables of every page and report: no prose is read. A drawn figure
has an error; its last digit is no finer than that, unless its interval is beside it; and JSON, or the workbook's long
table, has the same number and the same error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import KINDS, ROOT, make
from printed import UNKNOWN, agrees

import simulator as sim
from simulator.analysis.designs.exact_comparison import with_exact
from simulator.analysis.size.viable import viable_terms
from simulator.contracts.design import with_reference
from simulator.present.answers import kind_of
from simulator.present.figure import Figure, amount, chance, errors_shown, exact_percent, money, people, percent
from simulator.present.report import gather, sections
from simulator.present.report.assumptions import assumption_tables
from simulator.present.report.gather import Contents
from simulator.present.report.otherwise import stress_tables
from simulator.present.report.terms import budget_table
from simulator.present.report.workbook import long_table
from simulator.present.tables import Page, Table

# ── the rules ────────────────────────────────────────────────────────────────────────────────────

WORDS = {"none", "no change", "infinite", "−infinite", "no limit"}
"""What is said in the place of a number."""

GIVEN_HEADS = {
    "lowest",
    "highest",
    "it says",
    "95% interval",
    "Value",
    "Meaning",
    "from",
    "comes",
    "threshold",
    "Cap on a patient’s cost",
}
"""Columns of words in which numbers may stand that were asked for, or that are the ends of an interval."""


def fault(figure: Figure, least: float = 0.0) -> str:
    """What is wrong with a figure; nothing where its text is its value, and its digits its error's."""
    text, drawn = f"{figure.text} {figure.beside}".rstrip(), figure.basis == "drawn"
    interval = figure.interval if math.isfinite(sum(figure.interval)) else None
    if not math.isfinite(figure.value) or figure.text in WORDS:
        return "" if not re.search(r"\d", figure.text) or figure.is_bound else "a number for what is none"
    if figure.unit == "people":
        bare = figure.text.replace(",", "")
        right = figure.is_bound or (bare.isdigit() and abs(int(bare) - figure.value) <= 0.51 + 0.051 * figure.value)
        return "" if right and (not drawn or figure.beside or interval or figure.is_bound) else "wrong people"
    if drawn and not (math.isfinite(figure.error) or interval or figure.text == UNKNOWN or "unknown" in text):
        return "no error"
    error = figure.error if drawn and math.isfinite(figure.error) else None
    told = text.replace(" per 100,000", "").replace(" (error unknown)", "")
    return "" if agrees(told, figure.value, error, interval, least) else "not its value to its digits"


def cells(tables: Iterable[object]) -> Iterator[tuple[str, str, Any]]:
    """The cells of tables that name no row: table, column, cell."""
    for table in tables:
        if isinstance(table, Table) and not table.note.startswith("As given"):
            for row in table.rows:
                for k, cell in enumerate(row):
                    if k >= table.labels or isinstance(cell, Figure):
                        yield table.title, table.head[k] if table.head else "", cell


def faults(tables: Iterable[object], least: float = 0.0) -> list[str]:
    """Figures that are not their values, and numbers in cells of words, which have neither error nor unit."""
    found = []
    for title, head, cell in cells(tables):
        if isinstance(cell, Figure):
            if wrong := fault(cell, least):
                found.append(f"{wrong}: {cell!r} in {head!r} of {title!r}")
        elif (
            isinstance(cell, str)
            and not (head in GIVEN_HEADS or head.startswith("range of"))
            and re.search(r"[£$€]\d|\d%", cell)
        ):
            found.append(f"words for a figure: {cell!r} in {head!r} of {title!r}")
    return found


def numbers(told: object) -> Iterator[float]:
    """Every number of JSON, without its sign."""
    if isinstance(told, dict | list | tuple):
        yield from (one for part in (told.values() if isinstance(told, dict) else told) for one in numbers(part))
    elif isinstance(told, int | float) and not isinstance(told, bool) and math.isfinite(told):
        yield abs(float(told))


def missing(tables: Iterable[object], told: Iterable[float]) -> list[str]:
    """Drawn figures whose value or error is not among numbers."""
    known = np.sort(np.fromiter(told, float))
    found = []
    for title, head, cell in cells(tables):
        if isinstance(cell, Figure) and cell.basis == "drawn":
            for number in (cell.value, cell.error):
                at = np.searchsorted(known, abs(number) * (1 - 1e-9) - 1e-15) if math.isfinite(number) else 0
                if math.isfinite(number) and not (at < known.size and known[at] <= abs(number) * (1 + 1e-9) + 1e-15):
                    found.append(f"{number} in {head!r} of {title!r}")
    return found


# ── controls: what must be found ─────────────────────────────────────────────────────────────────

SOUND = (
    percent(0.0431, 0.0004), percent(0.5, 0.02), amount(-1_234_567.0, 5_000.0, "GBP"), amount(1_000.0, 300.0, "NZD"),
    chance(0.0, 0.0, (0.0, 0.0092)), chance(0.2, 0.03, (0.15, 0.26)), chance(0.9996, 0.0003, (0.9988, 0.9999)),
    exact_percent(0.12345), exact_percent(1e-7), money(1_234.4, "GBP"), amount(5_000.0, 0.0, "GBP"), people(12_345.0),
    percent(math.nan, 0.1), amount(-0.3, 30_000.0, "GBP"),
)  # fmt: skip


@pytest.mark.parametrize("figure", SOUND, ids=str)
def test_a_figure_that_is_its_value_is_none(figure: Figure) -> None:
    assert fault(figure) == ""
    assert (
        fault(replace(figure, value=1.2 * figure.value + 7.0 * (figure.unit != "1") + 0.1)) != ""
        or figure.text == UNKNOWN
    )


@pytest.mark.parametrize(
    "figure",
    [
        replace(SOUND[0], error=math.nan),
        replace(SOUND[0], text="4.31%"),
        replace(SOUND[0], text="4%"),
        replace(SOUND[0], error=0.004),
        replace(SOUND[1], beside=""),
        replace(SOUND[1], beside="(46.1% to 54.9%)"),
        replace(SOUND[2], text="£1,230k"),
        replace(SOUND[4], text="0%"),
        replace(SOUND[5], beside="(14.1 to 25.9%)"),
        replace(SOUND[7], text="12.4%"),
        replace(SOUND[9], text="£1,240"),
    ],
    ids=str,
)
def test_a_figure_that_is_not_its_value_is_found(figure: Figure) -> None:
    if figure.text != "0%":
        assert fault(figure)
    assert faults([Table(["a", "b"], [["x", figure], ["y", SOUND[0]]])]) == faults([Table(["a", "b"], [["x", figure]])])


def test_words_for_a_figure_and_numbers_that_json_lacks_are_found() -> None:
    assert faults([Table(["party", "surplus"], [["payer", "£5k"]])]) and faults([Table(["a", "b"], [["x", "4.3%"]])])
    table = Table(["a", "b"], [["x", SOUND[0]]])
    assert missing([table], numbers({"cells": [{"p": 0.0431, "p_se": 0.0004}]})) == []
    assert len(missing([table], numbers([0.0431, 0.0005]))) == len(missing([table], numbers([0.0432, 0.0004]))) == 1
    assert len(missing([table], [])) == 2


# ── the pages of the terminal and of notebooks ───────────────────────────────────────────────────


def check(answer: Any, least: float = 0.0) -> list[str]:
    """Faults of the page of an answer, with and without errors, and what its JSON lacks."""
    page, of_errors = sim.table(answer), sim.table(answer, errors=True)
    found = faults(page.parts, least) + faults(of_errors.parts, least)
    kind = kind_of(answer) if isinstance(answer, xr.Dataset) else None
    return found if kind is None else found + missing(page.parts, numbers(kind.as_json(answer)))


@cache
def arrangement(number: str) -> sim.Scenario:
    (path,) = (ROOT / "configs" / "arrangements").glob(f"{number}-*.toml")
    scenario = sim.load(path)
    return few(scenario) if scenario.population.units else few(scenario, population_sizes=scenario.population_sizes[:2])


def few(scenario: sim.Scenario, **simulation: object) -> sim.Scenario:
    """A scenario with few replicates, perhaps its smallest populations: it is the form that is looked at."""
    simulation = {"replicates": 60, **simulation}
    return scenario.model_copy(update={"simulation": scenario.simulation.model_copy(update=simulation)})


def comparison(scenario: sim.Scenario, loss_over: float = 0.05) -> xr.Dataset:
    ledger = sim.simulate(scenario, progress=False)
    # what its page adds exactly is worked out once
    return with_exact(sim.compare(sim.settle(ledger, with_reference(scenario.designs)), loss_over=loss_over))


ALL = sorted(path.name[:2] for path in (ROOT / "configs" / "arrangements").glob("*.toml"))
STRESSES = ROOT / "configs" / "stresses" / "arrangements.toml"
_USUAL = ("fixed", "units", "rare", "percentiles by segment", "parameter sets")


@pytest.mark.heavy
@pytest.mark.parametrize(
    "number", [pytest.param(one, marks=pytest.mark.slow if int(one) % 12 != 6 else ()) for one in ALL]
)
def test_settlements(number: str) -> None:
    assert check(comparison(arrangement(number))) == []


@pytest.mark.heavy
@pytest.mark.parametrize("kind", [pytest.param(one, marks=() if one in _USUAL else pytest.mark.slow) for one in KINDS])
def test_runs(kind: str) -> None:
    assert check(sim.summarise(sim.simulate(make(**KINDS[kind]), progress=False))) == []


@pytest.mark.heavy
def test_answers() -> None:
    scenario = few(sim.load(ROOT / "configs" / "uncertain.toml"))
    east = arrangement("01")
    stresses = sim.load_stresses(STRESSES)[:3]
    answers = {
        "exact": sim.exact(scenario),
        "check": sim.describe(scenario),
        "size": sim.minimum_population(scenario, at_most=0.05, margin=0.03, replicates=100),
        "size, exact": sim.minimum_population(scenario, at_most=0.05, margin=0.03, method="exact"),
        "terms": viable_terms(scenario, 20_000),
        "luck": sim.luck(scenario, 20_000, 0.04),
        "price": sim.fair_price(scenario, 100_000),
        "rules": sim.compare_rules(scenario, 20_000, expected_excess_pmpy=20.0),
        "literature": sim.beside_published(scenario),
        "sources": sim.variance_by_source(scenario),
        "sensitivity": sim.sensitivity(scenario, members=20_000, points=4),
        "reverse": sim.reverse_stress(
            east, stresses[0].changes[0], east.designs[0], party="commissioners", members=2_000
        ),
        "power": sim.detection(east, east.designs[:1], (0.0, 0.05), population_sizes=(2_000,)),
        "payoff": sim.payoff(east.designs, scenario=east),
        "curve": sim.exceedance(sim.simulate(make(simulation={"population_sizes": [100, 250]}), progress=False)),
    }
    found = {name: check(answer) for name, answer in answers.items()}
    found["stress"] = check(sim.stress(east, stresses, east.designs[:2], members=2_000), least=1e-5)
    assert found == {name: [] for name in found}


@pytest.mark.heavy
def test_pages_name_no_option_of_the_shell() -> None:
    pages = [sim.table(comparison(few_drawn(arrangement("01")))), sim.table(sim.summarise(sim.simulate(make())))]
    assert all("Only" in str(page) and "Simulate 1,000 or more" in " ".join(str(page).split()) for page in pages)
    assert not [page for page in pages if re.search(r"(?<!\w)--[a-z]", str(page))]
    assert re.search(r"(?<!\w)--[a-z]", "ask for more with --replicates")  # a control


def few_drawn(scenario: sim.Scenario) -> sim.Scenario:
    return scenario.model_copy(update={"simulation": scenario.simulation.model_copy(update={"replicates": 12})})


# ── the report and its workbook ──────────────────────────────────────────────────────────────────

CONTRACT = {
    "name": "stop-loss",
    "budget": {"kind": "per_head", "amount": 1_500.0},
    "exclusion": {"kind": "cap", "at": 5_000.0},
    "terms": [{"kind": "share", "gain": [0.3, 0.4], "loss": 0.25}],
}
REPORTS: dict[str, dict] = {
    "percentiles": KINDS["percentiles by segment"],
    "units": KINDS["units"],
    "rare": KINDS["rare"],
    "contract": {
        "designs": [CONTRACT],
        "stresses": [{"name": "prices", "changes": [{"kind": "inflation", "by": 0.04}]}],
        "simulation": {"replicates": 1_000, "population_sizes": [300, 4_000]},
    },
}


def tables_of(contents: Contents) -> Sequence[Table]:
    """The tables of figures that a report and its workbook show."""
    found = [sections.place_table(contents), sections.removed_table(contents), sections.luck_table(contents)]
    found += [*sections.chance_tables(contents), *sections.figure_tables(contents), *sections.design_tables(contents)]
    found += [sections.minimum_table(contents)] if contents.has_sizes else []
    return [*found, *assumption_tables(contents)]


@pytest.mark.heavy
@pytest.mark.parametrize(
    "kind", [pytest.param(one, marks=() if one in ("units", "contract") else pytest.mark.slow) for one in REPORTS]
)
def test_reports(kind: str) -> None:
    contents = gather(sim.simulate(make(**REPORTS[kind]), progress=False))
    tables = tables_of(contents)
    assert len([cell for *_, cell in cells(tables) if isinstance(cell, Figure) and cell.basis == "drawn"]) > 50
    assert faults(tables) == []
    long = [cell.value for row in long_table(contents)[1] for cell in row if isinstance(cell, Figure)]
    assert missing(tables, map(abs, filter(math.isfinite, long))) == []
    apart = [cell.value for table in tables for row in table.apart().rows for cell in row if isinstance(cell, Figure)]
    assert missing(tables, [abs(one) for one in apart if math.isfinite(one)] + [0.0]) == []  # errors have columns
    with errors_shown():
        assert faults(tables_of(contents)) == []
    if contents.stressed is not None:
        assert faults(stress_tables(contents), least=1e-4) == faults([budget_table(contents)]) == []


# ── rows of a fit and of real years ──────────────────────────────────────────────────────────────


def test_fits_and_real_years() -> None:
    rows = pd.DataFrame({"total": [0.0] * 50 + [100.0 * math.exp(k / 40) for k in range(250)]})
    page = sim.table(sim.fit(rows, cost="total", family="lognormal", sets=0))
    assert isinstance(page, Page) and faults(page.parts) == []
