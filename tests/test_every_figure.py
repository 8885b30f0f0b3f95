"""Every figure that is shown has its error, a bound, or the words that it is exact, given, or the same in every draw.

A figure is an amount of money, a percentage, or a number with thousands. Pages are those of the terminal, which
`sim.table` shows too; of the HTML report, every table and the sentences at its head.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from functools import cache

import pandas as pd
import pytest
from conftest import KINDS, ROOT, make
from html_tables import read_report
from simulator.present.page import Code, Page, Table
from simulator.present.text_run import run_report

import simulator as sim
from simulator.analysis.size.viable import viable_terms
from simulator.contracts.design import with_reference
from simulator.present.report import gather
from simulator.present.report.page import html_of

FIGURE = r"[+−]?(?:(?:[£$€]|[A-Z]{3} )\d[\d,.]*(?:bn|m|k)?|\d[\d,.]*%|\d{1,3}(?:,\d{3})+)"
"""Money, a percentage, or thousands."""

NUMBER = r"[+−]?(?:[£$€]|[A-Z]{3} )?\d[\d,.]*(?:bn|m|k|%)?"
_INTERVAL = rf"(?:(?:up to|perhaps|perhaps over|at least) {NUMBER}|(?:≤ )?{NUMBER} to (?:over )?{NUMBER})"

CARRIED = (
    rf"{FIGURE} ± (?:< )?{NUMBER}",
    rf"(?:[<>≤]|less than|more than) {FIGURE}(?: \({_INTERVAL}\))?",
    rf"{FIGURE} (?:exactly|as drawn)",
    rf"{FIGURE} \(error unknown\)",
    rf"(?:{FIGURE}|\d+)(?: people)?(?: are enough)? \((?:95% interval: )?{_INTERVAL}[);]",
    rf"{FIGURE} of the variance \((?:95% interval: )?{_INTERVAL}\)",
    rf"\(exact: {FIGURE}\)|the exact engine says (?:≤ )?{FIGURE}",
)
"""A figure with its error, a bound, an interval in brackets, or a word."""

GIVEN = (
    rf"(?:above|over|beyond|at most) {FIGURE}(?: of (?:the budget(?: to {FIGURE})?|revenue))?",
    rf"capped at (?:percentile [\d.]+ \({FIGURE}(?: to {FIGURE} by segment)?\)|{FIGURE})",
    rf"a loss of {FIGURE} of revenue",
    rf"{FIGURE} people, the smallest size (?:simulated|tried), are already enough",
    rf"(?:but|in) {FIGURE} of years",
    rf"worst {FIGURE} of years",
    r"\d+(?:\.\d+)?% (?:interval|bound)",
    rf"(?:[Aa]mong|[Aa]t|of|:) {FIGURE} people",
    rf"{FIGURE} synthetic populations",
    rf"even at {FIGURE} of [a-z ]+",
    rf"{FIGURE} of the risk drawn",
    rf"Only {FIGURE}",
    r"(?:from|From) 0\.5% ░, from 2% ▒, from 5% ▓, from 10% █",
    r"seed [\d,]+",
    r"held to 0…100%",
    r"Draw 1,000 or more",
    rf"capitation {FIGURE} a head",
    rf"\(cap {FIGURE}\)",
)
"""What was asked for or given, in the words that say so."""

EXACT = re.compile(
    r"\bexact\)|, exactly\b|\(exact\b|\bExact[:,.]|[Ee]very figure is exact|\bthe rest is exact|costs are exact"
)
"""A sentence or caption that says of its figures that they are exact."""

GIVEN_CAPTIONS = re.compile(r"\bAs given\.|give the same figures again\.$")
GIVEN_HEADS = {"lowest", "highest", "source", "it says", "scenario", "people", "tail above", "patients there"}
"""Columns of what was asked for, or counted: sizes, ends of ranges."""

BESIDE = re.compile(r"interval$|^error$|^exact engine$")
"""Columns that hold an error, or a figure that has none; "value" has its own in the column "error"."""


# ── the rules ────────────────────────────────────────────────────────────────────────────────────


def bare(text: str) -> list[str]:
    """Figures of a text that have no error, no bound and no word."""
    for carried in (*CARRIED, *GIVEN):
        text = re.sub(carried, " ", text)
    return re.findall(FIGURE, text)


def faults_in_words(text: str) -> Iterator[str]:
    for sentence in re.split(r"(?<=\.)\s+|\n", text):
        if not EXACT.search(sentence):
            yield from (f"{figure} in: {sentence}" for figure in bare(sentence))


def faults_in_table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str, labels: int = 1) -> Iterator[str]:
    """Cells without an error; the columns that name a row are not looked at."""
    if EXACT.search(caption) or GIVEN_CAPTIONS.search(caption):
        return
    known = {*GIVEN_HEADS, *(["value"] if "error" in head else [])}
    for row in rows:
        for k, cell in enumerate(row[labels:], start=labels):
            name = head[k] if head else ""
            if "fitted" in row[:labels]:  # the law's own figures
                continue
            if name not in known and not EXACT.search(name) and not BESIDE.search(name):
                yield from (f"{figure} in column {name!r} of {caption!r}" for figure in bare(cell))


def faults(page: Page) -> list[str]:
    """What a page shows without error: in its title, sentences and tables."""
    notes = [part for part in page.parts if isinstance(part, str) and not isinstance(part, Code)]
    if any(re.match(r"Exact[:,]|Every figure is exact", note) for note in notes):
        return []
    names = [
        part.title for part in page.parts if isinstance(part, Table) and part.title
    ]  # a design's may hold a figure
    words = [page.title, *page.warnings, *(_without(said, names) for said in page.verdict), *notes]
    found = [fault for said in words for fault in faults_in_words(said)]
    exact_ends = any("at lowest and highest are exact" in note for note in notes)
    for part in page.parts:
        if isinstance(part, Table):
            head = [
                f"{name} (exact)" if exact_ends and re.search(r"at (low|high)est$", name) else name
                for name in part.head
            ]
            found += faults_in_table(head, part.rows, part.title, part.labels)
    return found


def _without(said: str, names: Sequence[str]) -> str:
    """A sentence without the name that it begins with."""
    return next((said.removeprefix(f"{name}:") for name in names if said.startswith(f"{name}:")), said)


# ── controls: what must be found ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "cell",
    ["£0", "−£467k", "NZD 3.12m", "4.31%", "0%", "12,345", "+2.0%", "£1k to £2k", "1% (2%)", "31,000 (± unknown)"],
)
def test_a_cell_without_an_error_is_found(cell: str) -> None:
    assert faults(Page("", (), [Table(["party", "surplus"], [["payer", cell]], "A year (± one standard error)")]))
    assert not faults(Page("", (), [Table(["party", "surplus"], [["payer", cell]], "A year (exact)")]))


@pytest.mark.parametrize(
    "cell",
    ["£0 as drawn", "−£467k ± 3k", "4.31% ± 0.04", "0% exactly", "< 1.2%", "> 99.1%", "31,000 (21,000 to 46,000)",
     "≤ 5,000 (up to 7,100)", "over 100,000 (at least 88,000)", "34% (30% to 38%)", "2.1% ± 0.1 (exact: 2.2%)"],
)  # fmt: skip
def test_a_cell_with_its_error_is_none(cell: str) -> None:
    assert not faults(Page("", (), [Table(["party", "surplus"], [["payer", cell]])])), cell


@pytest.mark.parametrize(
    "said",
    ["The payer expects £5m.", "12.5% on 2 more.", "It costs £5m ± 1m, or £7m.", "A fifth (exact). It costs £5m.",
     "At 31,000 people the chance is 4%.", "The provider loses in 4% of the draws."],
)  # fmt: skip
def test_a_sentence_without_an_error_is_found(said: str) -> None:
    assert len(faults(Page("", [said]))) == 1
    assert len(faults(Page(said))) == len(faults(Page("", (), [said]))) == 1


# ── the terminal's pages ─────────────────────────────────────────────────────────────────────────


@cache
def arrangement(number: str) -> sim.Scenario:
    (path,) = (ROOT / "configs" / "arrangements").glob(f"{number}-*.toml")
    scenario = sim.load(path)
    return few(scenario) if scenario.population.units else few(scenario, population_sizes=scenario.population_sizes[:2])


def few(scenario: sim.Scenario, **simulation: object) -> sim.Scenario:
    """A scenario with few replicates, perhaps its smallest populations: it is the form that is looked at."""
    simulation = {"replicates": 60, **simulation}
    return scenario.model_copy(update={"simulation": scenario.simulation.model_copy(update=simulation)})


def comparison(scenario: sim.Scenario, loss_over: float = 0.05):
    ledger = sim.simulate(scenario, progress=False)
    return sim.compare(sim.settle(ledger, with_reference(scenario.designs)), loss_over=loss_over)


ALL = sorted(path.name[:2] for path in (ROOT / "configs" / "arrangements").glob("*.toml"))
STRESSES = ROOT / "configs" / "stresses" / "arrangements.toml"


@pytest.mark.parametrize("number", [pytest.param(one, marks=pytest.mark.slow if int(one) % 3 else ()) for one in ALL])
def test_settlements(number: str) -> None:
    page = sim.table(comparison(arrangement(number)))
    assert not faults(page)
    drawn = any(
        "as drawn" in cell for part in page.parts if isinstance(part, Table) for row in part.rows for cell in row
    )
    assert drawn == ("may not be 0." in str(page).replace("\n", " "))


def test_runs() -> None:
    for kind in KINDS.values():
        summary = sim.summarise(sim.simulate(make(**kind), progress=False))
        assert not faults(sim.table(summary))
        assert not faults(run_report(summary, 0.05, 0.2))


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
        "stress": sim.stress(east, stresses, east.designs[:2], members=2_000),
        "reverse": sim.reverse_stress(
            east, stresses[0].changes[0], east.designs[0], party="commissioners", members=2_000
        ),
        "power": sim.detection(east, east.designs[:1], (0.0, 0.05), population_sizes=(2_000,)),
        "payoff": sim.payoff(east.designs, scenario=east),
        "curve": sim.exceedance(sim.simulate(make(simulation={"population_sizes": [100, 250]}), progress=False)),
    }
    found = {name: faults(sim.table(answer)) for name, answer in answers.items()}
    assert found == {name: [] for name in answers}


def test_pages_name_no_option_of_the_shell() -> None:
    pages = [sim.table(comparison(few_drawn(arrangement("01")))), sim.table(sim.summarise(sim.simulate(make())))]
    assert all("Only" in str(page) and "Draw 1,000 or more" in str(page) for page in pages)
    assert not [page for page in pages if re.search(r"(?<!\w)--[a-z]", str(page))]
    assert re.search(r"(?<!\w)--[a-z]", "ask for more with --replicates")  # a control


def few_drawn(scenario: sim.Scenario) -> sim.Scenario:
    return scenario.model_copy(update={"simulation": scenario.simulation.model_copy(update={"replicates": 12})})


# ── the report ───────────────────────────────────────────────────────────────────────────────────


def report_faults(page: str) -> list[str]:
    tables, words = read_report(page)
    found = [fault for said in words for fault in faults_in_words(said)]
    for table in tables:
        found += faults_in_table(table.head, table.rows, f"{table.caption} · {table.note}")
    return found


@cache
def report() -> str:
    terms = [{"kind": "cap_and_collar", "cap": 0.9, "collar": -0.9}]
    sizes = {"population_sizes": [100, 250, 400]}
    scenario = make(designs=[{"name": "stop-loss", "terms": terms}], simulation=sizes)
    return html_of(gather(sim.simulate(scenario, progress=False)))


def test_the_report() -> None:
    assert report_faults(report()) == []
    assert "as drawn" in report() and "may not be 0" in report()


def test_the_report_of_percentiles_and_units() -> None:
    for kind in ("percentiles by segment", "units", "rare"):
        assert report_faults(html_of(gather(sim.simulate(make(**KINDS[kind]), progress=False)))) == [], kind


def test_the_report_of_a_contract_with_stresses() -> None:
    contract = {
        "name": "stop-loss",
        "budget": {"kind": "per_head", "amount": 1_500.0},
        "exclusion": {"kind": "cap", "at": 5_000.0},
        "terms": [{"kind": "share", "gain": [0.3, 0.4], "loss": 0.25}],
    }
    stresses = [{"name": "prices", "changes": [{"kind": "inflation", "by": 0.04}]}]
    simulation = {"replicates": 1_000, "population_sizes": [300, 4_000]}
    scenario = make(designs=[contract], stresses=stresses, simulation=simulation)
    page = html_of(gather(sim.simulate(scenario, progress=False)))
    assert report_faults(page) == []
    assert "± &lt; " in page and "what each stress costs" in page


def test_a_report_that_lost_an_error_is_found() -> None:
    table = re.search(r"<tbody>.*? ± .*?</tbody>", report(), re.S)
    assert table
    place = re.compile(r"(<td>[^<]*?) ± [\d.]+[km]?(</td>)")
    tables = len(place.findall(report()))
    assert tables > 100
    for k in range(0, tables, 17):
        match = list(place.finditer(report()))[k]
        broken = report()[: match.start()] + match[1] + match[2] + report()[match.end() :]
        assert len(report_faults(broken)) == 1
    assert len(report_faults(re.sub(" as drawn</td>", "</td>", report(), count=1))) == 1


# ── rows of a fit and of real years ──────────────────────────────────────────────────────────────


def test_fits_and_real_years() -> None:
    rows = pd.DataFrame({"total": [0.0] * 50 + [100.0 * math.exp(k / 40) for k in range(250)]})
    assert faults(sim.table(sim.fit(rows, cost="total", family="lognormal", sets=0))) == []
