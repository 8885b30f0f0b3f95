"""The report of a contract: who carries the risk, what was agreed, what stresses do, and how many figures are told."""

from __future__ import annotations

import hashlib
import html
import json
import math
import re

import matplotlib
import pytest
import xarray as xr
from conftest import make
from printed import agrees

import simulator as sim
from simulator.contracts.design import with_reference
from simulator.ledger.variables import kind_of
from simulator.present.answers.comparison import verdicts
from simulator.present.answers.shared import to_three
from simulator.present.figure import UNKNOWN, amount, errors_shown, exact_share
from simulator.present.report import gather
from simulator.present.report.answer import answer_text, byline, carried, contract_table, next_steps, tail_table
from simulator.present.report.assumptions import assumption_tables, provenance
from simulator.present.report.explorer import explorer
from simulator.present.report.gather import MOST_REPLICATES, Contents
from simulator.present.report.otherwise import said, stress_tables
from simulator.present.report.page import html_of
from simulator.present.report.sections import figure_tables, luck_table
from simulator.present.report.terms import budget_table, term_tables

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


def scenario(**changes) -> sim.Scenario:
    simulation = {"replicates": 300, "population_sizes": [300, 1_000, 4_000]} | changes.pop("simulation", {})
    return make(simulation=simulation, **{"designs": [SHARED], "stresses": STRESSES} | changes)


def drawn(**changes) -> xr.Dataset:
    return sim.simulate(scenario(**changes), progress=False)


@pytest.fixture(scope="module")
def contents() -> Contents:
    return gather(drawn())


@pytest.fixture(scope="module")
def page(contents: Contents) -> str:
    return html_of(contents)


# ── who carries the risk ──


@pytest.mark.heavy
def test_the_answer_says_how_large_and_then_who_carries_the_risk(contents: Contents, page: str) -> None:
    compared = contents.compared.isel(design=[1], population_size=[-1])
    (told,) = verdicts(compared, most=compared.sizes["party"])
    assert told.startswith("shared: ") and all(
        f" of the risk lies with {party} " in told for party in ("payer", "trust_a")
    )
    assert carried(contents) == f"Who carries the risk, among 4,000 people? {told}"
    text = answer_text(contents)  # in the order of the page
    assert text.endswith(carried(contents)) and "people are enough (95% interval: " in text
    assert page.index('id="answer"') < page.index('id="carried"') < page.index("<table")
    assert page.index('id="designs"') < page.index('id="otherwise"') < page.index('id="explore"')


def test_every_contract_and_party_has_its_price_and_its_chance(contents: Contents) -> None:
    """No party or design is dropped in silence, and the figures are those of the design's own table."""
    table = contract_table(contents)
    rows = {(str(row[0]), str(row[1])): row for row in table.rows}
    settled = contents.compared.isel(population_size=-1, threshold=-1, quantile_level=0, missing_dims="ignore")
    paid = abs(settled["expected_payment"]) + abs(settled["expected_cost_borne"])
    taking_part = [(d, p) for d in settled["design"].values for p in settled["party"].values
                   if float(paid.sel(design=d, party=p)) > 0]  # fmt: skip
    assert len(taking_part) > 4 and set(taking_part) <= set(rows)
    for (design, party), row in rows.items():
        cell = settled.sel(design=design, party=party)
        assert row[7].value == float(cell["p_loss"]) and row[8].value == pytest.approx(float(cell["risk_share"]))
        assert row[6].value == float(cell["worst_surplus"]) and str(row[2]) in ("no exclusion", "cap £5,000")
    pays = {str(row[0]): str(row[3]) for row in budget_table(contents).rows}
    assert all(str(row[4]) == pays[design] for (design, _), row in rows.items())


def test_luck_shocks_and_the_heavy_tail_are_in_one_sentence() -> None:
    heavy = {"well": {"family": "lognormal", "mean": 1_000.0, "cv": 9.0}}
    simulation = {"replicates": 50, "population_sizes": [300, 40_000], "thresholds": [math.inf]}
    shocks = [{"name": "prices", "cv": 0.01}]
    found = gather(sim.simulate(make(simulation=simulation, shocks=shocks, variants={"heavy": heavy}), progress=False))
    told = answer_text(found)
    of = {(t, r): float(found.by_tail["minimum_population"].sel(tail=t, risk=r)) for t in ("central", "heavy")
          for r in ("luck", "luck and shocks")}  # fmt: skip
    assert of["heavy", "luck"] > of["central", "luck"] and of["central", "luck and shocks"] > of["central", "luck"]
    said = [to_three(number) for number in of.values()]
    assert told.startswith(
        "To keep the chance of overspending by more than 3% of the budget at or below 5%: without exclusion, "
        f"{said[0]} people for luck alone; {said[1]} people for luck and shocks; {said[2]} people for luck alone with "
        f"the heavy tail; {said[3]} people for luck and shocks with the heavy tail."
    )
    assert [str(row[0]) for row in tail_table(found).rows] == ["central", "heavy"]
    alone = gather(
        sim.simulate(make(simulation=simulation | {"population_sizes": [300]}, shocks=shocks), progress=False)
    )
    assert re.search(
        r"is [\d.]+% for luck alone; [\d.]+% for luck and shocks, without exclusion\.$", answer_text(alone)
    )


def test_the_byline_names_author_date_and_version(contents: Contents) -> None:
    told = byline(contents._replace(author="A. Actuary"))
    assert re.match(r"Prepared by A\. Actuary · Simulated on \d+ \w+ 20\d\d · 300 simulated years · seed ", told)
    assert told.endswith(f"simulator {sim.__version__}") and "Prepared" not in byline(contents)
    steps = list(next_steps(contents))
    assert any("1 year in 20" in one for one in steps) and any("Add system-wide shocks" in one for one in steps)


@pytest.mark.heavy
def test_a_report_on_several_years_is_of_the_first_and_has_sections_on_all() -> None:
    years = {"contract": 2, "persistence": "none"}
    found = gather(drawn(designs=[SHARED | {"year": 1}], stresses=[], years=years))
    assert [kind_of(one) for one in found.besides] == ["years", "over_years"]
    assert "contract year 1, but for the sections on all years" in byline(found)
    assert "year" not in found.summary.dims
    assert (
        found.whole.scenario_id == scenario(designs=[SHARED | {"year": 1}], years=years).first_year.scenario_id
    )  # so a saved proposal is known again


@pytest.mark.heavy
def test_a_swept_design_says_under_which_rule() -> None:
    swept = gather(drawn(designs=[{"name": "swept", "exclusion": {"kind": "cap"}}], stresses=[]))
    assert carried(swept).startswith("Who carries the risk, among 4,000 people (no exclusion)? swept: ")
    assert carried(gather(drawn(designs=[], stresses=[]))) == ""


@pytest.mark.heavy
def test_the_answer_speaks_of_every_design_and_the_explorer_opens_at_the_contracts_own_case() -> None:
    several = gather(drawn(designs=[SHARED, SHARED | {"name": "later", "year": 1}], stresses=[]))
    told = carried(several)
    assert "shared: " in told and " later: " in told and told.count("later: ") == 1
    at = {control.name: control.options[control.at] for control in explorer(several).controls}
    assert (at["population"], at["threshold"], at["design"]) == ("4,000 people", "cap £5,000", "shared")


def test_the_smallest_size_is_said_to_be_enough() -> None:
    told = answer_text(gather(drawn(designs=[], stresses=[]), margin=2.0))
    assert "at or below 5%: without exclusion, 300 people, the smallest size tried, are already enough" in told
    assert "or fewer" not in told


# ── what was agreed ──


def test_the_budget_by_contract_stands_beside_the_expected_cost(contents: Contents) -> None:
    summary = contents.summary.sel(population_size=4_000)
    whole, kept = (float(summary["exact_mean"].sel(threshold=at)) for at in (math.inf, 5_000))
    reference, shared = budget_table(contents).rows
    assert reference[0] == "status quo" and str(reference[3]) == str(reference[5]) == f"£{whole / 4_000:,.2f}"
    budget = 1_500.0 * 4_000 - (whole - kept)
    assert shared[:2] == ["shared", "cap £5,000"]
    assert str(shared[3]) == f"£{budget / 4_000:,.2f}" and str(shared[5]) == f"£{kept / 4_000:,.2f}"
    assert shared[3].value == pytest.approx(budget / 4_000) and shared[5].value == pytest.approx(kept / 4_000)
    assert str(shared[6]) == str(exact_share(budget / kept - 1, sign=True))


@pytest.mark.heavy
def test_a_budget_that_varies_has_its_error() -> None:
    past = {"name": "past", "budget": {"kind": "past_years", "weights": [1.0], "correlation": [0.4]}}
    ledger = drawn(designs=[past], stresses=[])
    budget = sim.settle(ledger, sim.Design.model_validate(past))["budget"].isel(population_size=-1, design=0)
    mean, error = float(budget.mean()), float(budget.std(ddof=1)) / math.sqrt(300)
    row = budget_table(gather(ledger)).rows[-1]
    assert error > 0 and str(row[2]) == str(amount(mean, error, "GBP")) and row[2].error == pytest.approx(error)
    assert row[6].varies and row[6].basis == "drawn"


@pytest.mark.heavy
def test_every_term_of_a_contract_is_stated(contents: Contents, page: str) -> None:
    tables = {table.title: table for table in term_tables(contents.designs, "GBP")}
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


@pytest.mark.heavy
def test_every_stress_has_the_figures_of_the_analysis(contents: Contents, page: str) -> None:
    scenario = make(
        simulation={"replicates": 300, "population_sizes": [300, 1_000, 4_000]}, designs=[SHARED], stresses=STRESSES
    )
    found = sim.stress(scenario)
    assert "What if things do not go to plan?" in page
    meanings, table = stress_tables(contents)
    assert [row[0] for row in meanings.rows] == ["prices", "epidemic"]
    assert [row[0] for row in table.rows] == ["prices", "epidemic", "all together"]
    seen = 0
    for name, *cells in table.rows:
        for party, cell in zip(table.head[1:], cells, strict=True):
            at = found.sel(design="shared", stress=name, party=party)
            value, error = (100 * float(at[f"surplus_difference_share{end}"]) for end in ("", "_se"))
            assert (100 * cell.value, 100 * cell.error) == pytest.approx((value, error), rel=1e-12)
            assert str(cell) == "no change" or agrees(str(cell), cell.value, cell.error, least=1e-4), cell
            seen += value < -0.1
            assert html.escape(cell.text) in page
    assert seen >= 3
    assert "'prices' hurts most" in " ".join(said(contents)) and said(contents)[-1].replace("'", "&#39;")[:30] in page


@pytest.mark.heavy
def test_few_replicates_are_drawn_for_stresses_and_the_report_says_how_many() -> None:
    ledger = drawn(simulation={"replicates": MOST_REPLICATES + 500, "population_sizes": [100]})
    found = gather(ledger)
    assert found.stressed.attrs["replicates"] == MOST_REPLICATES
    assert f"100 people, {MOST_REPLICATES:,} simulated years each" in said(found)[0]


@pytest.mark.heavy
def test_provenance_names_designs_and_stresses_by_what_they_say(contents: Contents) -> None:
    rows = dict(provenance(contents).rows)
    given = json.loads(contents.ledger.attrs["scenario"])["stresses"]
    text = json.dumps(given, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert f"prices, epidemic (SHA-256 {hashlib.sha256(text.encode()).hexdigest()[:16]})" in rows["Stresses"]
    assert "300 simulated years" in rows["Stresses"] and rows["Designs"].startswith("shared (SHA-256 ")
    stronger = [STRESSES[0] | {"changes": [{"kind": "inflation", "by": 0.05}]}, STRESSES[1]]
    other = gather(drawn(stresses=stronger))
    assert other.summary.attrs["scenario_id"] == contents.summary.attrs["scenario_id"]
    assert dict(provenance(other).rows)["Stresses"] != rows["Stresses"]


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("designs", "why"),
    [([{"name": "swept", "exclusion": {"kind": "cap"}}], "no design has a threshold of its own"), ([], "no design is")],
)
@pytest.mark.usefixtures("unpictured")
def test_stresses_that_cannot_be_drawn_are_not_dropped_silently(designs: list, why: str) -> None:
    page = html_of(gather(drawn(designs=designs)))
    assert f"stresses were not simulated: {why}" in page and 'id="hurt-box"' not in page


@pytest.mark.heavy
@pytest.mark.usefixtures("unpictured")
def test_without_stresses_nothing_is_said_of_them() -> None:
    page = html_of(gather(drawn(stresses=[])))
    assert 'id="otherwise"' not in page and "Stresses" not in page


# ── how many figures are told ──


def test_the_report_rounds_as_the_terminal_does(contents: Contents) -> None:
    """One formatter: the report has no digits of its own."""
    (place,) = [one for one in contents.places if one.label == "4,000 people"]
    cell = place.summary.isel(threshold=-1)
    (told,) = [row[-1] for row in next(figure_tables(contents)).rows if row[0] == "4,000 people"]
    assert told == amount(float(cell["mean_cost"]), float(cell["mean_cost_se"]), "GBP")
    with errors_shown():
        (told,) = [row[-1] for row in next(figure_tables(contents)).rows if row[0] == "4,000 people"]
        assert " ± " in str(told) and told == amount(float(cell["mean_cost"]), float(cell["mean_cost_se"]), "GBP")


def test_the_exact_figure_leads_where_it_is_known(contents: Contents) -> None:
    exact = contents.summary["exact_sd"] / contents.summary["exact_mean"]
    assert bool(exact.notnull().all())
    rows = luck_table(contents).rows
    for p, row in enumerate(rows):
        for t, cell in enumerate(row[1:]):
            assert cell == exact_share(float(exact.isel(population_size=p, threshold=t))) and UNKNOWN not in str(cell)
    blank = [
        one._replace(summary=one.summary.assign(exact_sd=one.summary["exact_sd"] * math.nan)) for one in contents.places
    ]
    unknown = contents._replace(places=tuple(blank))
    drawn = [cell for row in luck_table(unknown).rows for cell in row[1:]]
    assert all(cell.basis == "drawn" and cell.error > 0 for cell in drawn)


def test_percentiles_are_named_only_where_thresholds_are_percentiles(contents: Contents) -> None:
    def labels(of: Contents) -> list[str]:
        (table,) = [one for one in assumption_tables(of) if one.title.startswith("Effect of a cap on one person")]
        return [str(row[0]) for row in table.rows]

    assert labels(contents) == ["£5,000", "£20,000", "no exclusion"]
    thresholds = {"percentiles": [0.95, 0.999, 1.0], "by": "segment"}
    by_percentile = drawn(designs=[], stresses=[], simulation={"thresholds": thresholds})
    assert [one.partition(" (")[0] for one in labels(gather(by_percentile))] == [
        "percentile 95",
        "percentile 99.9",
        "percentile 100",
    ]


@pytest.mark.heavy
def test_a_rule_without_a_line_of_its_own_is_named(page: str) -> None:
    thresholds = [2_000.0, 5_000.0, 10_000.0, 20_000.0, math.inf]
    few = {"thresholds": thresholds, "replicates": 60}
    many = html_of(gather(drawn(designs=[], stresses=[], simulation=few)))
    assert many.count("Not shown: cap £10k.") == 2  # luck by size, and people by target
    assert "Not shown: cap" not in page


@pytest.mark.heavy
def test_each_table_of_the_designs_stands_once_and_what_it_rests_on_above_the_limits(page: str) -> None:
    for design in with_reference((sim.Design.model_validate(SHARED),)):
        assert page.count(f'<span class="words">{design.name}: each party’s year among') == 1
    assert page.index('id="assumptions"') < page.index("The model is the assumptions above")
