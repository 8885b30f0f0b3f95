"""Every real arrangement is a file that loads, draws, settles and balances; the worked examples in them by hand."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest
from conftest import ROOT
from ladders import context

import simulator as sim
from simulator.ledger import by_unit
from simulator.present.answers.comparison import verdicts
from simulator.settlement.actuals import load_designs
from simulator.settlement.clearing import apply_terms, clear
from simulator.settlement.compare import compare, imbalance
from simulator.settlement.payoff import payoff
from simulator.settlement.settle import settle

FILES = sorted((ROOT / "configs" / "arrangements").glob("*.toml"))


def arrangement(number):
    """The scenario of one arrangement."""
    return sim.load(next(file for file in FILES if file.name.startswith(f"{number:02d}-")))


def named(number, name):
    """One design of one arrangement."""
    return next(design for design in arrangement(number).designs if design.name == name)


@cache
def settled(file):
    """One arrangement's designs, and its draws with what each party got of them."""
    scenario = sim.load(file).with_simulation(replicates=60)
    ledger = sim.simulate(scenario)
    return scenario.designs, ledger, settle(ledger, scenario.designs)


def test_there_is_a_file_for_each_arrangement():
    assert [int(file.name[:2]) for file in FILES] == list(range(1, 33))


@pytest.mark.heavy
@pytest.mark.parametrize(
    "file",
    # the payoffs and budgets of the others are in the ordinary lane
    [pytest.param(file, id=file.stem, marks=pytest.mark.slow if k % 4 else ()) for k, file in enumerate(FILES)],
)
def test_loads_settles_and_balances(file):
    designs, ledger, outcome = settled(file)
    assert outcome.sizes["design"] == len(designs) > 0
    assert np.isfinite(outcome["surplus"]).all()
    assert imbalance(outcome) < 1e-9
    if "unit" in ledger.dims:
        assert imbalance(settle(by_unit(ledger), designs)) < 1e-9
    compared = compare(outcome)
    said = verdicts(compared)
    assert all(any(one.startswith(design.name) for one in said) for design in designs)
    assert np.isfinite(payoff(designs)["surplus"]).all()


@pytest.mark.heavy
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_budget_and_cost_are_of_one_size(file):
    # an amount that does not belong to the file's cost would make every settlement a matter of the budget alone
    _, _, outcome = settled(file)
    largest = outcome.isel(population_size=-1)
    kept = largest["budget"].mean("replicate") / (largest["cost_borne"].sum("party").mean("replicate"))
    assert ((kept > 0.5) & (kept < 1.2)).all()


SETTINGS = re.compile(r"^\s*(replicates|seed|year) = |\byear = \d+")


def unmarked(text):
    """Lines with a figure, other than 0 and 1, that say neither that it is assumed nor that it is published."""
    found = []
    for line in text.splitlines():
        code, _, remark = line.partition("#")
        code = SETTINGS.sub("", re.sub(r'"[^"]*"', "", code)) if not SETTINGS.match(code) else ""
        figures = [float(number.replace("_", "")) for number in re.findall(r"(?<![\w.])\d[\d_.]*", code)]
        if set(figures) - {0.0, 1.0} and not re.search("assumed|published", remark):
            found.append(line)
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_figure_says_whether_it_is_assumed_or_published(file):
    assert unmarked(file.read_text(encoding="utf-8")) == []
    assert all(design.expresses for design in sim.load(file).designs)


def test_a_figure_that_says_nothing_is_found():
    assert unmarked('name = "5"\nshare = 0.5  # assumed\nseed = 5\nfee = 1.0\nrate = 0.02\n') == ["rate = 0.02"]
    assert unmarked("bands = [0.1, 0.2]  # later years differ\n") != []


def test_axene_at_whole_people():
    outcome = settle(sim.simulate(arrangement(31).with_simulation(replicates=2)), arrangement(31).designs)
    budget = float(outcome["budget"].sel(population_size=10_417, design="first dollar")[0])
    assert budget == 62_502_000
    assert apply_terms(named(31, "first dollar").terms, context((0.991,), budget=budget)).round().tolist() == [281_259]


def test_the_medicare_file_has_every_track_of_today():
    names = [design.name for design in arrangement(4).designs]
    assert names == ["status quo", "BASIC A", "BASIC B", "BASIC C", "BASIC D", "BASIC E", "ENHANCED"]
    published = {design.name: design for design in load_designs(ROOT / "configs" / "published" / "mssp.toml")}
    scenario, ratios = arrangement(4), np.linspace(0.85, 1.15, 61)
    for design in scenario.designs[1:]:
        same = design.model_copy(
            update={"terms": published[design.name].terms, "rule_year": published[design.name].rule_year}
        )
        ours, theirs = (sim.payoff(one, ratios, scenario=scenario)["surplus"] for one in (design, same))
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_the_table_in_the_documentation_lists_them_all():
    text = (ROOT / "docs" / "arrangements.md").read_text(encoding="utf-8")
    for file in FILES:
        row = next(line for line in text.splitlines() if line.startswith("|") and file.name in line)
        for design in sim.load(file).designs:
            kinds = {design.budget.kind, *(step.kind for step in (*design.terms, *design.transfers))} - {"per_head"}
            assert kinds <= set(re.findall(r"`(\w+)`", row)), (file.name, kinds)


def test_lewisham_income_over_cost():
    design = named(18, "joint management board")
    assert round(design.budget.payment / design.budget.provider_budget, 3) == 1.017
    assert design.budget.payment == pytest.approx(3.0e6)
    ladder = context((0.80, 0.983333, 1.0, 1.2), budget=3.0e6)
    accounts = clear(design, ladder, expected_cost=ladder.budget).accounts
    # £3.0m, the incentive of £0.3m, and the contingency: met by the board where cost is over 2.95m, else returned
    assert (accounts.surplus("board").round(-2) + 0.0).tolist() == [0, 0, 0, 0]
    assert (accounts.surplus("provider").round(-2) + 0.0).tolist() == [900_000, 350_000, 300_000, -300_000]
    assert (accounts.surplus("commissioner") + 0.0).round(-2).tolist() == [-300_000] * 4  # of the 3.0m it is given here


def test_lewisham_on_a_ladder():
    ladder = context(budget=3.0e6)
    accounts = clear(named(18, "joint management board"), ladder, expected_cost=ladder.budget).accounts
    # in thousands: what is left of £3.0m, and the incentive of £0.3m; the board's £50,000 always come back
    assert (accounts.surplus("provider") / 1e3).round().tolist() == [900, 750, 600, 450, 300, 150, 0, -150, -300]


def test_axene():
    ladder = context((495.5 / 500.0,), budget=62.5e6)
    assert apply_terms(named(31, "first dollar").terms, ladder).round(6).tolist() == [281_250]
    assert apply_terms(named(31, "with a 1% gate").terms, ladder).tolist() == [0]


@pytest.mark.parametrize(
    ("number", "name", "surplus"),
    [
        # surplus of the provider at costs of 80, 85, … 120% of the budget, in thousandths of it
        (27, "Global", [200, 150, 100, 50, 0, -50, -100, -150, -200]),
        (27, "Professional", [52.5, 50, 42.5, 25, 0, -25, -42.5, -50, -52.5]),
        (20, "integrated care organisation", [140, 105, 70, 35, 0, -35, -70, -105, -140]),
        (31, "first dollar", [100, 75, 50, 25, 0, 0, 0, 0, 0]),
        (31, "with a 1% gate", [100, 75, 50, 25, 0, 0, 0, 0, 0]),
        (30, "demonstration", [144, 104, 64, 24, 0, 0, 0, 0, 0]),
        (28, "marginal-rate emergency tariff", [0, 0, 0, 0, 0, -15, -30, -45, -60]),
        (28, "blended payment 2019/20", [160, 120, 80, 40, 0, -40, -80, -120, -160]),
        (28, "aligned payment 2023/25", [0] * 9),
        (2, "second contract, fee of 2003 indexed", [75, 75, 75, 50, 0, -50, -100, -150, -200]),
    ],
)
def test_ladders_of_the_files(number, name, surplus):
    assert apply_terms(named(number, name).terms, context()).round(6).tolist() == surplus


def test_alzira_profit_cap_after_outside_treatment():
    design = named(2, "second contract, 2006")
    ladder = context()
    accounts = clear(design, ladder, expected_cost=ladder.budget).accounts
    # outsiders cost a tenth of the budget and bring in 80% of it, so 20 are lost on them before profit is counted
    assert accounts.surplus("holder").round(6).tolist() == [75, 75, 75, 30, -20, -70, -120, -170, -220]
