"""The report of a contract: who carries the risk, what was agreed, what stresses do, and how many figures are told."""

from __future__ import annotations

import hashlib
import html
import json
import math
import re

import matplotlib
import numpy as np
import pytest
import xarray as xr
from conftest import make
from simulator.present.report.rounding import amount, chance, exact, given, in_words, percent
from simulator.present.text import percent as full_percent
from simulator.present.verdicts import verdicts

import simulator as sim
from simulator.contracts.design import with_reference
from simulator.present.report import gather
from simulator.present.report.answer import answer_text, carried
from simulator.present.report.assumptions import assumption_tables, provenance
from simulator.present.report.explorer import explorer
from simulator.present.report.gather import Contents
from simulator.present.report.otherwise import said, stress_tables
from simulator.present.report.page import html_of
from simulator.present.report.sections import luck_table
from simulator.present.report.stressed import MOST_REPLICATES
from simulator.present.report.terms import budget_table, term_tables
from simulator.settlement.compare import comparison_json

matplotlib.use("Agg")

SHARED = {
    "name": "shared",
    "expresses": "Gains and losses are shared.",
    "year": 2,
    "budget": {"kind": "per_head", "amount": 1_500.0},
    "exclusion": {"kind": "cap", "at": 5_000.0},
    "terms": [
        {"kind": "share", "gain": [0.3, 0.4], "loss": 0.25},
        {"kind": "cap_and_collar", "cap": 0.05, "collar": -0.03},
    ],
    "parties": [
        {"name": "payer", "funds": 1.0},
        {"name": "trust_a", "delivers": 0.75},
        {"name": "practices", "delivers": 0.25},
    ],
    "protection": {"payer": "payer"},
}
STRESSES = [
    {"name": "prices", "expresses": "Prices rise.", "changes": [{"kind": "inflation", "by": 0.04}]},
    {"name": "epidemic", "changes": [{"kind": "epidemic", "probability": 0.2, "by": 0.1}]},
]


def drawn(**changes) -> xr.Dataset:
    simulation = {"replicates": 300, "population_sizes": [300, 1_000, 4_000]} | changes.pop("simulation", {})
    known = {"designs": [SHARED], "stresses": STRESSES} | changes
    return sim.simulate(make(simulation=simulation, **known), progress=False)


@pytest.fixture(scope="module")
def contents() -> Contents:
    return gather(drawn())


@pytest.fixture(scope="module")
def page(contents: Contents) -> str:
    return html_of(contents)


# ── who carries the risk ──


def test_the_answer_says_first_who_carries_the_risk(contents: Contents, page: str) -> None:
    compared = contents.compared.isel(design=[1], population_size=[-1])
    (told,) = verdicts(comparison_json(compared), "GBP", 3, most=2)
    assert told.startswith("shared: ") and " ± " in told and told.endswith("; the rest on others.")
    assert carried(contents) == f"Who carries the risk, among 4,000 people? {told}"
    assert answer_text(contents).startswith(carried(contents)) and "a contract needs" in answer_text(contents)
    assert page.index('id="carried"') < page.index('id="answer"') < page.index("<table")
    assert page.index('id="designs"') < page.index('id="otherwise"') < page.index('id="explore"')


def test_a_swept_design_says_under_which_rule() -> None:
    swept = gather(drawn(designs=[{"name": "swept", "exclusion": {"kind": "cap"}}], stresses=[]))
    assert carried(swept).startswith("Who carries the risk, among 4,000 people (no exclusion)? swept: ")
    assert carried(gather(drawn(designs=[], stresses=[]))) == ""


def test_the_answer_speaks_of_every_design_and_the_explorer_opens_at_the_contracts_own_case() -> None:
    several = gather(drawn(designs=[SHARED, SHARED | {"name": "later", "year": 1}], stresses=[]))
    told = carried(several)
    assert "shared: " in told and " later: " in told and told.count("of the risk") == 2
    at = {control.name: control.options[control.at] for control in explorer(several).controls}
    assert (at["population"], at["threshold"], at["design"]) == ("4,000 people", "cap £5k", "shared")


def test_the_smallest_size_is_said_to_be_enough() -> None:
    told = answer_text(gather(drawn(designs=[], stresses=[]), margin=2.0))
    assert "at most 5%, 300 people, the smallest size simulated, are already enough without exclusion" in told
    assert "or fewer people" not in told and "a contract needs" not in told


# ── what was agreed ──


def test_the_budget_by_contract_stands_beside_the_expected_cost(contents: Contents) -> None:
    summary = contents.summary.sel(population_size=4_000)
    whole, kept = (float(summary["exact_mean"].sel(threshold=at)) for at in (math.inf, 5_000))
    reference, shared = budget_table(contents).rows
    assert reference[0] == "status quo" and reference[3] == reference[5] == f"£{whole / 4_000:,.2f}"
    budget = 1_500.0 * 4_000 - (whole - kept)
    assert shared[:2] == ["shared", "cap £5k"]
    assert shared[3] == f"£{budget / 4_000:,.2f}" and shared[5] == f"£{kept / 4_000:,.2f}"
    assert shared[6] == exact(budget / kept - 1, sign=True)


def test_a_budget_that_varies_has_its_error() -> None:
    past = {"name": "past", "budget": {"kind": "past_years", "weights": [1.0], "correlation": [0.4]}}
    ledger = drawn(designs=[past], stresses=[])
    budget = sim.settle(ledger, sim.Design.model_validate(past))["budget"].isel(population_size=-1, design=0)
    mean, error = float(budget.mean()), float(budget.std(ddof=1)) / math.sqrt(300)
    row = budget_table(gather(ledger)).rows[-1]
    assert error > 0 and row[2] == amount(mean, error, "GBP")
    assert "±" in row[6]


def test_every_term_of_a_contract_is_stated(contents: Contents, page: str) -> None:
    tables = {table.caption: table for table in term_tables(contents.designs, "GBP")}
    told = {row[0]: row[1] for row in tables["Designs: who pays what under shared"].rows}
    assert told["Budget"] == "per head" and told["Budget: amount"] == "£1,500"
    assert told["Exclusion"] == "cap" and told["Exclusion: at"] == "£5,000"
    assert told["Term 1"] == "share" and told["Term 1: gain"] == "40% in contract year 2 (by year: 30%, 40%)"
    assert told["Term 1: loss"] == "25%"
    assert told["Term 2: cap"] == "5%" and told["Term 2: collar"] == "−3%"
    assert told["Protection: payer"] == "payer" and told["Year"] == "2"
    parties = tables["Parties of shared"]
    assert parties.head == ["Party", "Funds", "Delivers"]
    assert parties.rows == [["payer", "100%", "—"], ["trust_a", "—", "75%"], ["practices", "—", "25%"]]
    assert "Share of a saving that goes to the provider" in page and "£1,500" in page


def test_full_risk_and_percentiles_are_said() -> None:
    plain = sim.Design.model_validate({"name": "plain", "exclusion": {"kind": "cap", "at": 0.99}})
    told = {row[0]: row[1] for row in next(iter(term_tables((plain,), "GBP"))).rows}
    assert told["Terms"] == "none" and told["Exclusion: at"] == "percentile 99"


# ── stresses ──


def test_every_stress_has_the_figures_of_the_analysis(contents: Contents, page: str) -> None:
    scenario = make(
        simulation={"replicates": 300, "population_sizes": [300, 1_000, 4_000]}, designs=[SHARED], stresses=STRESSES
    )
    found = sim.stress(scenario)
    assert "What if things turn out otherwise?" in page
    meanings, table = stress_tables(contents)
    assert [row[0] for row in meanings.rows] == ["prices", "epidemic"]
    assert [row[0] for row in table.rows] == ["prices", "epidemic", "all together"]
    seen = 0
    for name, *cells in table.rows:
        for party, cell in zip(table.head[1:], cells, strict=True):
            at = found.sel(design="shared", stress=name, party=party)
            value, error = (100 * float(at[f"surplus_difference_share{end}"]) for end in ("", "_se"))
            told, _, beside = cell.replace("−", "-").partition("% ± ")
            assert abs(float(told) - value) <= 0.0051
            assert error < 0.01 if beside == "< 0.01" else abs(float(beside) - error) <= 0.0051
            seen += value < -0.1
            assert html.escape(cell) in page
    assert seen >= 3
    assert "'prices' hurts most" in " ".join(said(contents)) and said(contents)[-1].replace("'", "&#39;")[:30] in page


def test_few_replicates_are_drawn_for_stresses_and_the_report_says_how_many() -> None:
    ledger = drawn(simulation={"replicates": MOST_REPLICATES + 500, "population_sizes": [100]})
    found = gather(ledger)
    assert found.stressed.attrs["replicates"] == MOST_REPLICATES
    assert f"100 people, {MOST_REPLICATES:,} synthetic populations each" in said(found)[0]


def test_provenance_names_designs_and_stresses_by_what_they_say(contents: Contents) -> None:
    rows = dict(provenance(contents).rows)
    given = json.loads(contents.ledger.attrs["scenario"])["stresses"]
    text = json.dumps(given, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert f"prices, epidemic (SHA-256 {hashlib.sha256(text.encode()).hexdigest()[:16]})" in rows["Stresses"]
    assert "300 synthetic populations" in rows["Stresses"] and rows["Designs"].startswith("shared (SHA-256 ")
    stronger = [STRESSES[0] | {"changes": [{"kind": "inflation", "by": 0.05}]}, STRESSES[1]]
    other = gather(drawn(stresses=stronger))
    assert other.summary.attrs["scenario_id"] == contents.summary.attrs["scenario_id"]
    assert dict(provenance(other).rows)["Stresses"] != rows["Stresses"]


@pytest.mark.parametrize(
    ("designs", "why"),
    [([{"name": "swept", "exclusion": {"kind": "cap"}}], "no design has a threshold of its own"), ([], "no design is")],
)
def test_stresses_that_cannot_be_drawn_are_not_dropped_silently(designs: list, why: str) -> None:
    page = html_of(gather(drawn(designs=designs)))
    assert f"stresses were not drawn: {why}" in page and 'id="hurt-box"' not in page


def test_without_stresses_nothing_is_said_of_them() -> None:
    page = html_of(gather(drawn(stresses=[])))
    assert 'id="otherwise"' not in page and "Stresses" not in page


# ── how many figures are told ──


def test_three_figures_are_told_and_the_terminal_has_them_all() -> None:
    assert percent(0.00046913, 0.0000003) == "0.0469% ± < 0.0001" and percent(0.10598, 0.000028) == "10.6% ± < 0.1"
    assert percent(0.24951, 0.0009) == "25.0% ± 0.1" and percent(0.0431, 0.0004) == "4.31% ± 0.04"
    assert percent(0.002746, 0.000019) == "0.275% ± 0.002"
    assert full_percent(0.10598, 0.000028) == "10.5980% ± 0.0028"
    assert amount(-1_227_000.0, 30_000.0, "GBP") == "−£1.23m ± 0.03m"
    assert amount(171_720_000.0, 50_000.0, "GBP") == "£172m ± < 1m" and amount(5_000.0, 28_000.0, "GBP") == "£5k ± 28k"
    assert chance(0.9996, 0.0003, (0.99, 1.0)) == "99.96% ± 0.03"
    assert chance(0.0, 0.0, (0.0, 0.00037)) == "< 0.037%"
    assert in_words("< 0.037%") == "below 0.037%" and in_words("> 99.9%") == "above 99.9%"


def test_an_error_that_is_rounded_away_has_a_true_bound() -> None:
    generator = np.random.default_rng(20170401)
    values, errors = 10 ** generator.uniform(-6, 0, 500), 10 ** generator.uniform(-9, -1, 500)
    bounds = 0
    for value, error in zip(values, errors, strict=True):
        told = re.fullmatch(r"([\d.]+)% ± (< )?([\d.]+)", percent(value, error))
        step = 10.0 ** -len(told[1].partition(".")[2])
        assert abs(float(told[1]) - 100 * value) <= 0.5001 * step
        if told[2]:
            bounds += 1
            assert 100 * error < float(told[3]) == pytest.approx(step)
        else:
            assert abs(float(told[3]) - 100 * error) <= 0.5001 * step
    assert 50 < bounds < 450


def test_exact_and_given_shares_have_three_figures() -> None:
    assert (
        exact(0.0027) == "0.270%" and exact(-0.3) == "−30.0%" and exact(0.0) == "0%" and exact(0.0111, True) == "+1.11%"
    )
    assert given(0.189839) == "19.0%" and given(0.9) == "90%" and given(0.00164) == "0.164%" and given(0.038) == "3.8%"


def test_the_exact_figure_beside_a_drawn_one_has_as_many(contents: Contents) -> None:
    for row in luck_table(contents).rows:
        for cell in row[1:]:
            assert re.fullmatch(
                r"[\d.]+% ± (?:< )?[\d.]+ \(exact: (0\.0*[1-9]\d\d|\d\.\d\d|\d\d\.\d|\d{3})%\)", cell
            ), cell


def test_percentiles_have_a_column_only_where_thresholds_are_percentiles(contents: Contents) -> None:
    def heads(of: Contents) -> list[str]:
        return next(list(table.head) for table in assumption_tables(of) if table.caption.startswith("Thresholds"))

    assert len(heads(contents)) == 2
    thresholds = {"percentiles": [0.95, 0.999, 1.0], "by": "segment"}
    by_percentile = drawn(designs=[], stresses=[], simulation={"thresholds": thresholds})
    assert heads(gather(by_percentile))[-1] == "Percentile of patients"


def test_a_rule_without_a_line_of_its_own_is_named(page: str) -> None:
    thresholds = [2_000.0, 5_000.0, 10_000.0, 20_000.0, math.inf]
    many = html_of(gather(drawn(designs=[], stresses=[], simulation={"thresholds": thresholds})))
    assert many.count("Not drawn: cap £10k.") == 2  # luck by size, and people by target
    assert "Not drawn: cap" not in page


def test_each_table_of_the_designs_stands_once_and_what_it_rests_on_above_the_limits(page: str) -> None:
    for design in with_reference((sim.Design.model_validate(SHARED),)):
        assert page.count(f'<span class="words">{design.name}: each party’s year among') == 1
    assert page.index('id="assumptions"') < page.index("The model is the assumptions above")
