"""Pages: never wider than asked, never a code for the terminal, and escaped as HTML."""

from __future__ import annotations

import math
import re

import pytest
import xarray as xr
from conftest import make

import simulator as sim
from simulator.analysis.size.viable import viable_terms
from simulator.present.figure import DIGITS_NOTE, ERRORS_NOTE, amount, chance, exact_share, money, percent
from simulator.present.report.page import _environment
from simulator.present.tables import Code, Page, Table
from simulator.terms import Term, meanings

HOSTILE = "<script>alert('x')</script>\x1b[31mred\nline & \"quote\""


def test_columns_align_and_labels_stand_left() -> None:
    assert Table(["a", "b"], [["x", "12"], ["long", "3"]]).lines() == ["a      b", "────────", "x     12", "long   3"]
    two = Table(["a", "b", "c"], [["x", "y", "1"]], labels=2).lines()
    assert two[-1] == "x  y  1"


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_wider_than_asked(width: int) -> None:
    head = ["a party with a long name", *(f"figure number {k}" for k in range(9))]
    rows = [["community and mental health services of the county", *["£1.38m ± 0.18m"] * 9]] * 3
    page = Page(
        "A title that goes on and on " * 5, ["A verdict that goes on and on. " * 9], [Table(head, rows, "t " * 90)]
    )
    lines = page.text(width).splitlines()
    assert max(map(len, lines)) <= width
    assert page.text(width).count("£1.38m ± 0.18m") == 27  # nothing is lost where the table is cut
    unwrapped = page.text(400).splitlines()
    assert max(map(len, unwrapped)) > 120  # a control: it would not fit


def test_a_number_is_never_broken() -> None:
    lines = Table(["party", "worst"], [["a very long name of a party " * 3, "−£1.38m ± 0.18m"]]).lines(40)
    assert sum("−£1.38m ± 0.18m" in line for line in lines) == 1


def test_a_hostile_name_reaches_neither_terminal_nor_browser() -> None:
    page = Page(HOSTILE, [HOSTILE], [Table([HOSTILE, "b"], [[HOSTILE, HOSTILE]], HOSTILE), Code(HOSTILE)], [HOSTILE])
    assert "\x1b" not in page.text() and "red" in page.text()
    shown = page._repr_html_()
    assert "<script" not in shown and "&lt;script&gt;" in shown
    assert set(re.findall(r"</?(\w+)", shown)) <= {
        "div", "p", "strong", "br", "table", "caption", "thead", "tbody", "tr", "th", "td", "pre",
    }  # fmt: skip


def test_html_and_text_tell_the_same_cells() -> None:
    page = Page("title", ["verdict"], [Table(["people", "cv"], [["1,000", "4.31% ± 0.04"]])])
    for word in ("title", "verdict", "people", "1,000", "4.31% ± 0.04"):
        assert word in page.text() and word in page._repr_html_()


# ── columns apart, and records ───────────────────────────────────────────────────────────────────

SETTLED = Table(
    ["party", "result", "chance", "expected", "rule"],
    [
        ["payer", amount(1_234.5, 6.7, "GBP"), chance(0.0, 0.0, (0.0, 0.0037)), exact_share(0.2), "cap"],
        ["trust", amount(-50.0, 0.0, "GBP"), chance(0.25, 0.02, (0.21, 0.29)), exact_share(0.8), None],
    ],
)


def test_errors_and_ends_of_intervals_have_columns_of_their_own() -> None:
    apart = SETTLED.apart()
    ends = ["chance: 95% lower", "chance: 95% upper"]
    assert apart.head == ["party", "result", "result: ± s.e.", "chance", "chance: ± s.e.", *ends, "expected", "rule"]
    payer, trust = ([getattr(cell, "value", cell) for cell in row] for row in apart.rows)
    assert payer == ["payer", 1_234.5, 6.7, 0.0, None, 0.0, 0.0037, 0.2, "cap"]  # no error is known of what is alike
    assert trust == ["trust", -50.0, None, 0.25, 0.02, 0.21, 0.29, 0.8, None]
    assert all(row[2] is None or row[2].unit == "GBP" for row in apart.rows)
    assert apart.apart().head[:3] == ["party", "result", "result: ± s.e."]
    assert Table(["a"], [["x"]]).apart().head == ["a"] and Table(["a", "b"], []).apart().head == ["a", "b"]


def test_a_mark_and_what_is_beside_a_figure_are_shown_with_it() -> None:
    cell = money(25_000.0, "GBP").marked(" ▪")
    assert Table(["a", "b"], [["x", cell]]).lines()[-1] == "x  £25k ▪" and cell.text == "£25k"
    assert "£25k ▪" in Table(["a", "b"], [["x", cell]]).html() and repr(cell.marked("")) == repr(money(25_000.0, "GBP"))


@pytest.mark.parametrize("error", [1e-5, 0.02])
def test_a_report_shows_the_mark_of_a_figure_with_and_without_an_interval(error: float) -> None:
    cell = percent(0.05, error).marked(" ▪")
    assert bool(cell.beside) == (error == 0.02)
    environment = _environment()
    macro = environment.loader.get_source(environment, "report.html.j2")[0].partition("{% endmacro %}")[0]
    page = environment.from_string(macro + "{% endmacro %}{{ table_of(table) }}")
    told = re.sub(r"<[^>]+>", "", page.render(table=Table(["a", "b"], [["x", cell], ["y", None]])))
    assert " ".join(str(cell).split()) in " ".join(told.split()) and told.count("▪") == 1


# ── terms ────────────────────────────────────────────────────────────────────────────────────────


def test_a_scenario_shows_its_fields_with_their_meaning() -> None:
    shown = make()._repr_html_()
    assert "<summary>Scenario" in shown and "population_sizes" in shown and "lognormal" in shown
    described = meanings(type(make().simulation))["population_sizes"]
    assert described and described.split()[0] in shown
    assert shown.count("<details") == shown.count("</details>") and shown.count("<td") == shown.count("</td>")


def test_a_hostile_name_of_a_design_is_escaped() -> None:
    shown = sim.Design(name="<script>alert('x')</script> & \"quote\"")._repr_html_()
    assert "<script" not in shown and "&lt;script&gt;" in shown


class Costs(Term):
    values: tuple[float, ...]


def test_a_long_list_of_numbers_is_counted_and_not_shown() -> None:
    shown = Costs(values=tuple(12_345.5 + k for k in range(20)))._repr_html_()
    assert "20 values" in shown and "12,345.5" not in shown
    assert "12,345.5" in Costs(values=(12_345.5,))._repr_html_()


# ── answers ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.heavy
def test_a_summary_is_shown_with_its_errors_where_they_are_asked_for() -> None:
    scenario = make(simulation={"replicates": 400, "population_sizes": [100, 250]})
    ledger = sim.simulate(scenario, progress=False)
    summary = sim.summarise(ledger, scenario=scenario)
    page, plain = sim.table(summary, errors=True), sim.table(summary)
    words, brief = (" ".join(str(one).split()) for one in (page, plain))
    assert " ± " in words and " ± " in page._repr_html_() and ERRORS_NOTE in words
    assert "±" not in brief and DIGITS_NOTE in brief and "are enough" in brief
    assert "Calculated without simulation" in str(sim.table(sim.exact(scenario)))
    with pytest.raises(sim.SimulatorError, match="holds draws"):
        sim.table(ledger)
    with pytest.raises(sim.SimulatorError, match="margin"):
        sim.table(sim.exact(scenario), margin=0.123)


@pytest.mark.heavy
def test_every_other_answer_has_its_page() -> None:
    scenario = make(simulation={"replicates": 200, "population_sizes": [100, 250]})
    outcome = sim.settle(sim.simulate(scenario, progress=False), sim.Design(name="full risk"))
    told = {
        "of the risk lies with": sim.compare(outcome),
        "Was it luck": sim.luck(scenario, 5_000, 0.05),
        "need a margin of": viable_terms(scenario, 5_000),
        "Fair price": sim.fair_price(scenario, 5_000),
        "The rule that leaves the least risk: cap": sim.compare_rules(scenario, 5_000, expected_excess_pmpy=60.0),
        "exceeded in 5% of years": sim.beside_published(scenario),
        "luck is": sim.variance_by_source(scenario),
        "at a cost of 110%": sim.payoff(sim.Design(name="full risk")),
        "costs £": sim.describe(scenario),
    }
    for word, answer in told.items():
        assert word in str(sim.table(answer)), word


def test_any_other_dataset_is_a_long_table_and_nothing_else_is() -> None:
    unknown = xr.Dataset({"figure_x": ("place", [1.5, math.nan])}, coords={"place": ["<b>", "b"]})
    page = sim.table(unknown)
    assert "1.5" in str(page) and "nan" not in str(page) and "<b>b" not in page._repr_html_()
    with pytest.raises(sim.SimulatorError, match="is not an answer"):
        sim.table(7)
