"""Real arrangements over their years: every file settles, balances and tells what it brings each party."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import ROOT

import simulator as sim
from simulator.present.cli.main import main
from simulator.settlement.compare import imbalance

FILES = sorted((ROOT / "configs" / "over_years").glob("*.toml"))


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_settles_all_its_years_and_balances(file):
    scenario = sim.load(file).with_simulation(replicates=40)
    outcome = sim.settle(sim.simulate(scenario, progress=False), scenario.designs)
    assert outcome.sizes["year"] == scenario.years.contract and imbalance(outcome) < 1e-9
    answer = sim.over_years(outcome)
    assert np.isfinite(answer["expected_cumulative"]).all()
    whole = outcome["cumulative_surplus"].isel(year=-1) - outcome["surplus"].sum("year")
    assert float(abs(whole).max() / outcome["budget"].mean()) < 1e-9


def test_the_verb_tells_each_year_and_the_contract():
    file = str(ROOT / "configs" / "over_years" / "32-fundholding.toml")
    found = CliRunner().invoke(main, ["settle", file, "--replicates", "40", "--discount-rate", "0.035"])
    told = " ".join(found.output.split())
    assert found.exit_code == 0, found.output
    for said in ("over 3 years", "all years", "exhausted by the end of the year", "discounted at 3.5% a year"):
        assert said in told, said
    found = CliRunner().invoke(main, ["settle", file, "--replicates", "40", "--json"])
    assert "p_exhausted" in json.dumps(json.loads(found.output))


def test_a_discount_rate_without_years_is_refused():
    file = str(ROOT / "configs" / "arrangements" / "20-whittington.toml")
    found = CliRunner().invoke(main, ["settle", file, "--replicates", "2", "--discount-rate", "0.035"])
    assert found.exit_code == 2 and "there is one year" in " ".join(found.output.split())
