"""The demo is the page that `answer` gives; then the years, their self-check, the picture and the report."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import ROOT, raw
from features import toml_of

import simulator as sim
from simulator.present.cli.demo import ASKED, AT_MOST, DRAWN, MARGIN, main
from simulator.present.cli.main import main as simulator_main

HEAVY = {"heavy": {"well": {"family": "lognormal", "mean": 1_000.0, "cv": 3.0}}}
SMALL = {"simulation": {"replicates": 60, "population_sizes": [1_000, 3_000], "thresholds": [5_000.0, float("inf")]}}


@pytest.mark.heavy
def test_the_demo_is_the_answer_page_and_keeps_what_it_drew(tmp_path: Path) -> None:
    shock = [{"name": "prices", "cv": 0.02}]
    (tmp_path / ASKED).write_text(toml_of(raw(**SMALL, variants=HEAVY, shocks=shock)), encoding="utf-8")
    (tmp_path / DRAWN).write_text(toml_of(raw(**SMALL)), encoding="utf-8")
    results = tmp_path / "results"
    ran = CliRunner().invoke(main, ["--configs", str(tmp_path), "--results", str(results)])
    assert ran.exit_code == 0, ran.output
    asked = ["answer", str(tmp_path / ASKED), "--margin", str(MARGIN), "--at-most", str(AT_MOST)]
    assert CliRunner().invoke(simulator_main, asked).output.strip() in ran.output
    assert "self-check against the exact engine" in ran.output
    assert {path.name for path in results.iterdir()} == {
        "east_sussex.nc", "east_sussex.png", "east_sussex.csv", "east_sussex.html"
    }  # fmt: skip


def test_the_demo_asks_the_scenario_of_its_years_with_a_shock_and_other_tails() -> None:
    asked, drawn = (sim.load(ROOT / "configs" / name) for name in (ASKED, DRAWN))
    assert list(asked.variants) == ["light", "heavy"] and len(asked.shocks) == 1 and not drawn.shocks
    assert asked.population == drawn.population and asked.simulation == drawn.simulation
