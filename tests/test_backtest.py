"""Predictions judged by what came to pass: public rows, and rows drawn from the model itself."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simulator as sim

DATA = Path(os.environ.get("SIMULATOR_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
MSSP = {"organisation": "aco", "people": "person_years", "deviation": "overspend"}


@pytest.fixture(scope="module")
def judged():
    if not (path := DATA / "mssp_savings_2013_2021.csv").exists():
        pytest.skip("the public rows are not here (../shared/data)")
    rows = pd.read_csv(path)
    return sim.backtest(rows.assign(overspend=-rows["savings_rate"]), 2.135, **MSSP, after=2018)


def errors_off(judged, model):
    part = judged.sel(model=model)
    return np.abs((part["coverage"] - part["level"]) / part["coverage_se"])


def test_years_to_2018_predict_2019_to_2021_at_every_size(judged):
    assert float(errors_off(judged, "fitted").max()) < 3


def test_luck_alone_fails_at_every_size(judged):
    assert float(errors_off(judged, "luck").min()) > 3


def test_the_past_of_an_organisation_tells_more(judged):
    score = judged["log_score"]
    assert score.sel(model="given the past") > score.sel(model="fitted") > score.sel(model="luck")


def test_luck_explains_a_fifth_of_the_spread_at_9_000_people(judged):
    assert abs(float(judged["luck_share"].sel(people_from=8_000)) - 0.2) < 0.04


def test_a_scenario_predicts_what_is_drawn_from_it_and_not_what_is_wider():
    scenario = sim.load("configs/uncertain.toml").resized((5_000,), replicates=600)
    drawn = sim.simulate(scenario, progress=False)["gross_cost"].isel(population_size=0).values
    result = drawn / drawn.mean() - 1
    rows = pd.DataFrame({"organisation": np.arange(600), "year": 1, "people": 5_000.0, "result": result})
    right = sim.backtest(rows, scenario, deviation="result", sizes=())
    assert float(errors_off(right, "luck").max()) < 5
    wrong = sim.backtest(rows.assign(result=2 * result), scenario, deviation="result", sizes=())
    assert float(errors_off(wrong, "luck").max()) > 5


def test_a_year_beyond_all_rows_is_refused():
    rows = pd.DataFrame({"organisation": range(9), "year": 1, "people": 5.0, "result": np.arange(9) / 100})
    with pytest.raises(sim.SimulatorError, match="at least 8 and 1 are needed"):
        sim.backtest(rows, 2.0, deviation="result", after=5)
