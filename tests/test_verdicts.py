"""What a design does, in a sentence: the figures are those of the comparison, each with its error and its currency."""

from __future__ import annotations

import re

import numpy as np
import pytest
from conftest import make
from simulator.present.verdicts import verdicts

import simulator as sim
from simulator.contracts.design import Design
from simulator.settlement.compare import comparison_json
from simulator.strata import exact_interval

DESIGNS = (
    Design(name="tariff", terms=[{"kind": "no_risk"}]),
    Design(name="shared", terms=[{"kind": "share", "gain": 0.5, "loss": 0.3}]),
    Design(
        name="alliance",
        parties=[{"name": "payer", "funds": 1.0}, *({"name": f"unit {k}", "delivers": 0.2} for k in range(5))],
    ),
)


@pytest.fixture(scope="module")
def compared():
    ledger = sim.simulate(make(simulation={"replicates": 400}))
    return comparison_json(sim.compare(sim.settle(ledger, DESIGNS)))


def test_every_figure_is_that_of_its_row(compared):
    _, shared, _ = verdicts(compared, "GBP")
    size = max(row["population_size"] for row in compared["rows"])
    rows = {
        row["party"]: row for row in compared["rows"] if (row["design"], row["population_size"]) == ("shared", size)
    }
    assert shared.startswith("shared: ")
    for party, row in rows.items():
        share, told = re.search(rf"([^;:]+) of the risk is on {party} \(([^)]+)\)", shared).groups()
        figures = dict(zip(("expected_surplus", "p_loss", "worst_0.05"), told.split(", "), strict=True))
        assert_told(share, row, "risk_share")
        for name, said in figures.items():
            assert_told(said, row, name)


def assert_told(said, row, name):
    """The figure that is said is the row's, to the rounding of the error that is said beside it."""
    number = r"(−?)(£?)([\d,.]+)(bn|m|k|%|)"
    sign, currency, value, unit, _, pound, error, _ = re.search(rf"{number} ± {number}", said).groups()
    size = {"%": 0.01, "k": 1e3, "m": 1e6, "bn": 1e9, "": 1.0}[unit]
    error = float(error.replace(",", "")) * size
    assert (currency == "£") == (name not in ("p_loss", "risk_share")) and not pound
    assert error == pytest.approx(row[f"{name}_se"], rel=0.2)
    assert float(f"{'-' if sign else ''}{value.replace(',', '')}") * size == pytest.approx(row[name], abs=error / 2)


def test_who_carries_it_alone_carries_all(compared):
    tariff = verdicts(compared, "GBP")[0]
    assert (
        tariff.startswith("tariff: 100% of the risk drawn is on payer (expects ") and tariff.count("of the risk") == 1
    )


def test_a_year_that_no_draw_shows_otherwise_is_told_in_words(compared):
    rows = [row | {"p_loss": 1.0, "p_loss_se": 0.0, "worst_0.05_se": 0.0} for row in compared["rows"]]
    tariff = verdicts({**compared, "rows": rows}, "GBP")[0]
    assert "loses in every year drawn, one year in 20 is worse than −£" in tariff and tariff.endswith(" as drawn).")


def test_a_loss_that_no_draw_shows_is_bounded_as_other_chances_are(compared):
    replicates = compared["replicates"]
    assert compared["unseen_bound"] == pytest.approx(exact_interval(np.array([0]), replicates)[0, 1], rel=1e-12)
    (bound,) = {f"{100 * compared['unseen_bound']:.2g}"}
    for seen, said in ((0.0, f"loses in less than {bound}% of years"), (1.0, "loses in more than 9")):
        rows = [row | {"p_loss": seen, "p_loss_se": 0.01} for row in compared["rows"]]
        assert said in verdicts({**compared, "rows": rows}, "GBP")[0]


def test_many_parties_are_counted_and_not_listed(compared):
    alliance = verdicts(compared, "GBP")[2]
    assert alliance.count("of the risk drawn is on") == 3 and alliance.endswith("; the rest on others.")


def test_nothing_is_said_of_luck_that_was_hardly_drawn(compared):
    assert all("of the risk" in said for said in verdicts(compared, "GBP"))
    few = verdicts({**compared, "replicates": 9}, "GBP")
    assert all(said.endswith(": who carries the risk is not estimable.") for said in few)


def test_a_swept_design_has_a_sentence_for_each_threshold():
    ledger = sim.simulate(make(simulation={"replicates": 40}))
    swept = comparison_json(sim.compare(sim.settle(ledger, Design(name="swept", exclusion=sim.Cap()))))
    names = [said.partition(":")[0] for said in verdicts(swept, "GBP")]
    assert len(names) == len(set(names)) == 3 and names[-1] == "swept, no exclusion"
