"""An exclusion rule is named in one place: every page, picture and report says what it is, and never another."""

from __future__ import annotations

import math
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import ROOT, diagonal, every, make

import simulator as sim
from simulator.analysis.luck.exceedance import fan
from simulator.analysis.luck.systematic import exact_curve
from simulator.analysis.size.grid import minimum_by_target
from simulator.analysis.size.viable import viable_terms
from simulator.contracts.exclusion import Banded, Cap, CarveOut, Coinsure, as_attribute, rule_from, rule_of
from simulator.present.answers.comparison import settled_at
from simulator.present.answers.shared import rule_names
from simulator.present.report import gather
from simulator.settlement.settle import settle

BANDS = [{"at": 5_000.0, "share": 0.5}, {"at": 20_000.0, "share": 0.9}]
RULES = {
    "cap": (Cap(), "cap £5,000", "with each patient's cost capped at £5,000"),
    "its own cap": (Cap(at=20_000.0), "cap £20k", "with each patient's cost capped at £20k"),
    "coinsured": (
        Coinsure(share=0.8),
        "80% out above £5,000",
        "with 80% of each patient's cost above £5,000 taken out",
    ),
    "carve-out": (CarveOut(), "carve-out above £5,000", "with patients who cost more than £5,000 carved out"),
    "banded": (Banded(bands=BANDS), "bands from £5,000", "with bands of each patient's cost above £5,000 taken out"),
}
KINDS = {"cap ": Cap, "capped": Cap, "% out above": Coinsure, "carve": CarveOut, "bands ": Banded}
"""What is said of one kind of rule only."""

BY_SEGMENT = {"percentiles": [0.95, 0.999, 1.0], "by": "segment"}


@pytest.fixture(scope="module")
def ledger():
    return sim.simulate(make(simulation={"replicates": 60}), progress=False)


MODEL = make(simulation={"population_sizes": [20_000], "thresholds": [5_000.0, 20_000.0, math.inf]})
SIZED = make(simulation={"population_sizes": [5_000, 20_000]})
SHOCKED = make(shocks=[{"name": "prices", "cv": 0.02}])


def swept(rule):
    return not rule.fixed_thresholds()


PAGES = {
    "run": lambda rule, ledger: sim.summarise(ledger, rule),
    "exact": lambda rule, ledger: sim.exact(MODEL, rule),
    "size": lambda rule, ledger: sim.minimum_population(SIZED, rule=rule, margin=0.05, at_most=0.05, replicates=40),
    "luck": lambda rule, ledger: sim.luck(MODEL, 20_000, 0.04, rule=rule),
    "terms": lambda rule, ledger: viable_terms(MODEL, 20_000, rule=rule),
    "price": lambda rule, ledger: sim.fair_price(MODEL, 20_000, rule=rule),
    "sources": lambda rule, ledger: sim.variance_by_source(SHOCKED, rule=rule),
}


def said_of_others(text: str, rule: object) -> list[str]:
    """What a text says of a kind of rule that is not the one it is about."""
    return [words for words, kind in KINDS.items() if words in text and not isinstance(rule, kind)]


@pytest.mark.heavy
@pytest.mark.parametrize(("page", "name"), diagonal(list(PAGES), list(RULES)))
def test_each_page_names_the_rule_it_is_about_and_no_other(page, name, ledger):
    rule, label, _ = RULES[name]
    text = " ".join(str(sim.table(PAGES[page](rule, ledger))).split())
    assert label in text and not said_of_others(text, rule), text


@pytest.mark.heavy
@pytest.mark.parametrize("name", RULES)
def test_sentences_and_tables_name_a_rule_alike(name, ledger):
    rule, label, sentence = RULES[name]
    names = rule_names(sim.summarise(ledger, rule))
    assert (names[0].label, names[0].sentence) == (label, sentence)
    assert (names[-1].label == "no exclusion") == (names[-1].sentence == "without exclusion") == swept(rule)
    assert sentence in " ".join(str(sim.table(sim.summarise(ledger, rule))).split()).replace("With", "with")


def test_a_page_about_another_rule_is_found(ledger):
    text = str(sim.table(sim.summarise(ledger, CarveOut()).assign_attrs(as_attribute(Cap()))))
    assert said_of_others(text, CarveOut())


PICTURES = {
    "variance": lambda rule, ledger: sim.plots.variance_by_size(
        sim.summarise(ledger, rule).assign(exact_curve(make(), rule) if swept(rule) else {})
    ),
    "heat": lambda rule, ledger: sim.plots.heat_map(sim.summarise(ledger, rule), margin=0.05),
    "fan": lambda rule, ledger: sim.plots.fan_by_size(fan(ledger, rule), threshold=at(rule)),
    "targets": lambda rule, ledger: sim.plots.minimum_by_target(
        minimum_by_target(sim.summarise(ledger, rule), (0.1, 0.3), margin=0.05)
    ),
    "removal": lambda rule, ledger: sim.plots.threshold_effect(sim.summarise(ledger, rule)),
    "least": lambda rule, ledger: sim.plots.minimum_population(PAGES["size"](rule, ledger)),
}


def at(rule):
    return rule.fixed_thresholds()[-1] if rule.fixed_thresholds() else 5_000.0


@pytest.mark.heavy
@pytest.mark.parametrize(("picture", "name"), diagonal(list(PICTURES), list(RULES)))
def test_each_picture_names_the_rule_it_is_about_and_no_other(picture, name, ledger):
    rule, label, _ = RULES[name]
    drawn = PICTURES[picture](rule, ledger)
    words = " ".join(" ".join(text.get_text() for text in drawn.figure.findobj(plt.Text)).split())
    plt.close(drawn.figure)
    assert label.lower() in words.lower() and not said_of_others(words.lower(), rule), words


@pytest.mark.heavy
@pytest.mark.parametrize("name", every(3, [name for name, (rule, *_) in RULES.items() if swept(rule)]))
def test_a_swept_design_is_named_by_its_own_rule_on_every_page(name):
    rule, label, _ = RULES[name]
    simulation = {"replicates": 30, "population_sizes": [250, 500]}
    drawn = sim.simulate(make(simulation=simulation, designs=[{"name": "x", "exclusion": rule.model_dump()}]))
    designs = sim.Design(name="x", exclusion=rule)
    compared = sim.compare(settle(drawn, [designs]))
    assert f"x, {label}" in [one.label for one in settled_at(compared)]
    page = " ".join(str(sim.table(compared)).split())
    assert f"x, {label}" in page and not said_of_others(page, rule)
    contents = gather(drawn)
    assert contents.rule_of("x", 0) == label and contents.rule_of("x", -1) == "no exclusion"


@pytest.mark.parametrize("name", RULES)
def test_percentiles_are_said_to_be_percentiles(name):
    rule = RULES[name][0]
    if isinstance(rule, Banded):
        rule = Banded(bands=[{"at": 0.95, "share": 0.5}, {"at": 0.999, "share": 0.9}])
    rule = rule if swept(rule) or isinstance(rule, Banded) else Cap(at=0.95)
    drawn = sim.simulate(make(simulation={"replicates": 4, "thresholds": BY_SEGMENT}), progress=False)
    first = rule_names(sim.summarise(drawn, rule))[0]
    assert (
        "percentile 95" in first.label
        and "percentile 95" in first.sentence
        and "%" not in first.label.replace("80%", "")
    )


def test_a_rule_is_kept_with_its_answer_and_read_back(ledger):
    for rule, *_ in RULES.values():
        assert rule_of(as_attribute(rule)) == rule == rule_from(rule.model_dump(mode="json"))
        assert rule_of(sim.summarise(ledger, rule).attrs) == rule
    assert rule_of({}) == Cap()


def test_nobody_else_names_rules():
    pattern = re.compile(r'"(cap(?! on a patient)|carve-out|bands from|share above|out above) |costs? capped at|f"cap ')
    said = {path.name: path.read_text("utf-8").splitlines() for path in (ROOT / "simulator" / "present").rglob("*.py")}
    code = {name: [line for line in lines if '"""' not in line] for name, lines in said.items()}
    elsewhere = [name for name, lines in code.items() if any(pattern.search(line) for line in lines)]
    assert not elsewhere
    assert np.all([pattern.search(text) for text in ('"cap {label}"', 'f"cap {x}"', "patient's cost capped at")])
