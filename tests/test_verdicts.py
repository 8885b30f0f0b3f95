"""What a design does, in a sentence: the figures are those of the comparison, each with its error and its currency."""

from __future__ import annotations

import re

import numpy as np
import pytest
from conftest import make

import simulator as sim
from simulator.contracts.design import Design
from simulator.present.answers.comparison import verdicts
from simulator.present.figure import UNKNOWN, errors_shown
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
    return sim.compare(sim.settle(ledger, DESIGNS))


@pytest.mark.parametrize("errors", [True, False])
def test_every_figure_is_that_of_its_party(compared, errors):
    with errors_shown(errors):
        _, shared, _ = verdicts(compared)
    assert shared.startswith("shared: ")
    cells = compared.sel(design="shared", quantile_level=0.05).isel(population_size=-1)
    for party in ("payer", "provider"):
        share, told = re.search(rf"[:;] ([^;:]+) of the risk lies with {party} \(([^)]+)\)", shared).groups()
        expected, loss, worst = told.split("; ")
        cell = cells.sel(party=party)
        assert_told(share, cell, "risk_share", errors)
        assert_told(expected.removeprefix("average result "), cell, "expected_surplus", errors)
        assert_told(loss.removeprefix("a loss in ").removesuffix(" of years"), cell, "p_loss", errors)
        assert_told(worst.removeprefix("1 year in 20 is below "), cell, "worst_surplus", errors)


def assert_told(said, cell, name, errors):
    """The figure that is said is the party's: to half its error, or to the digits that the error supports."""
    number = r"(−?)(£?)([\d,.]+)(bn|m|k|%|)"
    sign, currency, digits, unit, told_error = re.fullmatch(rf"{number}(?: ± ([\d.,]+)(?:bn|m|k)?)?", said).groups()
    value, error = float(cell[name]), float(cell[f"{name}_se"])
    size = {"%": 0.01, "k": 1e3, "m": 1e6, "bn": 1e9, "": 1.0}[unit]
    assert (currency == "£") == (name not in ("p_loss", "risk_share"))
    assert (told_error is not None) == errors
    if errors:
        assert float(told_error.replace(",", "")) * size == pytest.approx(error, rel=0.2)
    told = float(f"{'-' if sign else ''}{digits.replace(',', '')}") * size
    assert told == pytest.approx(value, abs=error / 2 if errors else 5 * error)
    assert told == pytest.approx(value, abs=0.51 * size * 10.0 ** -len(digits.partition(".")[2])) or not errors


def test_who_carries_it_alone_carries_all(compared):
    tariff = verdicts(compared)[0]
    assert tariff.startswith("tariff: 100% of the risk lies with payer (average result ")
    assert tariff.count("of the risk") == 1


def test_a_year_that_no_draw_shows_otherwise_is_told_in_words(compared):
    for seen, said in ((1.0, "a loss in every simulated year; "), (0.0, "a loss in no simulated year; ")):
        alike = compared.assign(p_loss=compared["p_loss"] * 0 + seen, p_loss_se=compared["p_loss_se"] * 0)
        assert said in verdicts(alike)[0] and "1 year in 20 is below −£" in verdicts(alike)[0]
    with errors_shown():
        alike = compared.assign(worst_surplus_se=compared["worst_surplus_se"] * 0)
        assert "(same in every simulated year)); none, or less than 0.5%, lies with provider." in verdicts(alike)[0]


def test_a_loss_that_no_draw_shows_is_bounded_as_other_chances_are(compared):
    replicates, bound = compared.attrs["replicates"], compared.attrs["unseen_bound"]
    assert bound == pytest.approx(exact_interval(np.array([0]), replicates)[0, 1], rel=1e-12)
    for seen, said in ((0.0, f"chance of a loss below {100 * bound:.2g}%"), (1.0, "chance of a loss above 9")):
        unseen = compared.assign(p_loss=compared["p_loss"] * 0 + seen, p_loss_se=compared["p_loss_se"] * 0 + 0.01)
        assert said in verdicts(unseen)[0]


def test_many_parties_are_counted_and_not_listed(compared):
    alliance = verdicts(compared)[2]
    assert alliance.count("of the risk lies with ") == 3 and "; the rest lies with " in alliance


def test_nothing_is_said_of_luck_that_was_hardly_drawn(compared):
    assert all("of the risk lies with " in said for said in verdicts(compared))
    few = verdicts(compared.assign_attrs(replicates=9))
    assert all(said.endswith(f": who carries the risk is {UNKNOWN}.") for said in few)


def test_a_swept_design_has_a_sentence_for_each_threshold():
    ledger = sim.simulate(make(simulation={"replicates": 40}))
    swept = sim.compare(sim.settle(ledger, Design(name="swept", exclusion=sim.Cap())))
    names = [said.partition(":")[0] for said in verdicts(swept)]
    assert len(names) == len(set(names)) == 3 and names[-1] == "swept, no exclusion"
