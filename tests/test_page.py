"""Pages: never wider than asked, never a code for the terminal, and escaped as HTML."""

from __future__ import annotations

import math
import re

import pytest
import xarray as xr
from conftest import make
from simulator.present.page import Code, Page, Table

import simulator as sim
from simulator.terms import Term

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


# ── terms ────────────────────────────────────────────────────────────────────────────────────────


def test_a_scenario_shows_its_fields_with_their_meaning() -> None:
    shown = make()._repr_html_()
    assert "<summary>Scenario" in shown and "population_sizes" in shown and "lognormal" in shown
    described = type(make().simulation).model_fields["population_sizes"].description
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


def test_a_summary_is_shown_with_its_errors() -> None:
    scenario = make(simulation={"replicates": 400, "population_sizes": [100, 250]})
    ledger = sim.simulate(scenario, progress=False)
    page = sim.table(sim.summarise(ledger, scenario=scenario))
    assert " ± " in str(page) and " ± " in page._repr_html_() and "needs" in str(page)
    assert "(exact)" in str(sim.table(sim.exact(scenario)))
    with pytest.raises(sim.SimulatorError, match="holds draws"):
        sim.table(ledger)
    with pytest.raises(sim.SimulatorError, match="margin"):
        sim.table(sim.exact(scenario), margin=0.123)


def test_every_other_answer_has_its_page() -> None:
    scenario = make(simulation={"replicates": 200, "population_sizes": [100, 250]})
    outcome = sim.settle(sim.simulate(scenario, progress=False), sim.Design(name="full risk"))
    told = {
        "of the risk": sim.compare(outcome),
        "Was it luck": sim.luck(scenario, 5_000, 0.05),
        "viable": sim.viable_terms(scenario, 5_000),
        "Fair price": sim.fair_price(scenario, 5_000),
        "The rule that leaves the least risk: cap": sim.compare_rules(scenario, 5_000, expected_excess_pmpy=60.0),
        "passed in 5% of years": sim.beside_published(scenario),
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
    with pytest.raises(sim.SimulatorError, match="is no answer"):
        sim.table(7)
