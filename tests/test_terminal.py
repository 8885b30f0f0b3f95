"""What every page and verb share: the last line, fractions as they are written, and the edge of the grid in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import make

import simulator as sim
from simulator.analysis.size.viable import viable_terms
from simulator.contracts.design import with_reference
from simulator.present.answers.shared import provenance
from simulator.present.answers.summary import page as run_report
from simulator.present.cli.main import main
from simulator.present.report import gather
from simulator.present.report.answer import answer_text

CONFIGS = Path(__file__).parents[1] / "configs"
UNCERTAIN = str(CONFIGS / "uncertain.toml")
DESIGNS = [{"name": "half", "terms": [{"kind": "share", "gain": 0.5, "loss": 0.5}]}]


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("run", lambda drawn: sim.summarise(sim.simulate(drawn, progress=False))),
        ("exact", sim.exact),
        ("luck", lambda drawn: sim.luck(drawn, 20_000, 0.04)),
        ("terms", lambda drawn: viable_terms(drawn, 20_000)),
        (
            "settle",
            lambda drawn: sim.compare(
                sim.settle(sim.simulate(drawn, progress=False), with_reference(drawn.designs, None))
            ),
        ),
    ],
)
def test_every_page_ends_with_where_its_figures_come_from(name, answer) -> None:
    drawn = make(simulation={"replicates": 40, "population_sizes": [300, 1_000]}, designs=DESIGNS)
    last = last_paragraph(str(sim.table(answer(drawn))))
    begins = "40 simulated years · seed" if name in ("run", "settle") else "calculated without simulation"
    assert last.startswith(begins) and f"scenario {drawn.scenario_id[:8]} · simulator " in last


def last_paragraph(page: str) -> str:
    """What stands last on a page, as one line."""
    lines = page.splitlines()
    start = max(
        at
        for at, line in enumerate(lines)
        if line.startswith(("calculated without simulation ·", "fitted to", "40 simulated years ·"))
    )
    return " ".join(lines[start:])


def test_the_last_line_tells_what_is_known() -> None:
    assert provenance({"replicates": 1, "seed": 7, "scenario_id": "a" * 64}) == (
        "1 simulated year · seed 7 · scenario aaaaaaaa"
    )


@pytest.mark.heavy
@pytest.mark.parametrize(("written", "warned"), [("3", True), ("3%", False), ("0.03", False)])
def test_a_fraction_may_be_a_percentage_and_a_whole_number_is_warned_of(written: str, warned: bool) -> None:
    called = CliRunner().invoke(main, ["size", UNCERTAIN, "--exact", "--margin", written])
    assert called.exit_code == 0
    assert ("--margin: 3 means 300%; for 3% write 0.03 or 3%" in called.stderr) == warned
    assert ("by more than 300% of" if warned else "by more than 3% of") in " ".join(called.stdout.split())


def test_what_is_no_fraction_is_refused() -> None:
    called = CliRunner().invoke(main, ["size", UNCERTAIN, "--margin", "x%"])
    assert called.exit_code == 2 and "'x%' is not a number" in called.output


def test_the_smallest_size_that_is_enough_is_told_in_a_sentence() -> None:
    drawn = make(simulation={"replicates": 200, "population_sizes": [200_000, 400_000]})
    ledger = sim.simulate(drawn, progress=False)
    said = " ".join(str(run_report(sim.summarise(ledger), 0.05, 0.05)).split())
    assert "at or below 5%: without exclusion, 200,000 people, the smallest size tried, are already enough" in said
    assert "200,000 or fewer people" not in said
    told = answer_text(gather(ledger, 0.05))
    assert "without exclusion, 200,000 people, the smallest size tried, are already enough" in told
    assert "or fewer" not in told


def test_without_a_threshold_nothing_is_said_of_what_thresholds_remove() -> None:
    simulation = {"replicates": 40, "population_sizes": [300, 1_000], "thresholds": [float("inf")]}
    plain = sim.summarise(sim.simulate(make(simulation=simulation), progress=False))
    capped = make(simulation=simulation | {"thresholds": [5_000.0, float("inf")]})
    assert "Effect of each cap" not in str(run_report(plain, 0.03, 0.05))
    assert "Effect of each cap" in str(run_report(sim.summarise(sim.simulate(capped, progress=False)), 0.03, 0.05))


def test_one_law_is_told_once_with_both_its_names() -> None:
    called = CliRunner().invoke(main, ["calibrate", "--mean", "952", "--p-user", "0.85", "--top-share", "0.05=0.514"])
    assert "lomax (the same law as gpd)" in called.output and "gpd  " not in called.output
    assert called.output.startswith("5 families")


def test_a_payoff_is_in_the_currency_of_its_scenario() -> None:
    drawn = make(designs=DESIGNS, currency="EUR")
    assert sim.payoff(drawn.designs, scenario=drawn)["surplus"].attrs["units"] == "EUR per year"


def test_a_fit_bounds_what_no_row_shows_and_says_what_is_of_everybody() -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"total": np.r_[rng.lognormal(6, 1, 167), rng.lognormal(6, 1, 400), np.zeros(100)]})
    frame["band"] = ["a"] * 167 + ["b"] * 500
    model = sim.fit(frame, cost="total", segment="band", sets=2, family="lognormal")
    page = str(sim.table(model))
    (line,) = [line for line in page.splitlines() if line.startswith("a ") and "lognormal" in line]
    assert "below 2.2%" in line  # 1 − 0.025^(1/167)
    assert last_paragraph(page).startswith("fitted to 665 rows · seed 1 · simulator")
    words = " ".join(page.split())
    assert ("suppressed: fewer than" in words.lower()) == ("suppressed" in words.lower().partition("suppressed: ")[0])
    assert "Over all segments" not in page and "For everybody together" in page
