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
def rows():
    if not (path := DATA / "mssp_savings_2013_2021.csv").exists():
        pytest.skip("the public rows are not here (../shared/data)")
    read = pd.read_csv(path)
    return read.assign(overspend=-read["savings_rate"])


GATED = sim.Design(name="gated", terms=({"kind": "minimum_rate"}, {"kind": "share", "gain": 0.5, "loss": 0.0}))


@pytest.fixture(scope="module")
def judged(rows):
    return sim.backtest(rows, 2.135, **MSSP, after=2018, designs=GATED)


def errors_off(judged, model):
    """Gaps in errors clustered by organisation, and no smaller than those of independent results.

    Where few results lie outside, as with 95%, the clustered error rests on those few and is too small.
    """
    part = judged.sel(model=model)
    level, count = part["level"], part["judged"].where(part["judged"] > 0)
    return abs(part["coverage"] - level) / np.maximum(part["coverage_se"], np.sqrt(level * (1 - level) / count))


def test_years_to_2018_predict_2019_to_2021_at_every_size(judged):
    assert float(errors_off(judged, "fitted").max()) < 3


def test_the_shape_is_chosen_on_past_years_alone(judged, rows):
    """Results of the judged years that are shuffled, and made to lie far away, change nothing that was fitted."""
    assert judged.attrs["fitted_shape"].startswith("Student's t with 5.")
    far = rows["overspend"].sample(frac=1, random_state=1).to_numpy() * 3
    other = rows.assign(overspend=np.where(rows["year"] > 2018, far, rows["overspend"]))
    again = sim.backtest(other, 2.135, **MSSP, after=2018)
    assert again.attrs["fitted_shape"] == judged.attrs["fitted_shape"]
    np.testing.assert_array_equal(again["predicted_sd"].sel(model="fitted"), judged["predicted_sd"].sel(model="fitted"))
    assert float(errors_off(again, "fitted").max()) > 3  # the control


def test_eight_bands_of_size_hold_as_six_do(rows):
    sizes = (6_000, 8_000, 10_000, 15_000, 20_000, 30_000, 50_000)
    found = sim.backtest(rows, 2.135, **MSSP, after=2018, sizes=sizes)
    assert float(errors_off(found, "fitted").max()) < 3 < float(errors_off(found, "luck").min())


def test_money_settled_over_all_organisations_is_what_the_fit_expects_and_not_what_luck_does(judged, rows):
    off = abs(judged["settled_gap"] / judged["settled_gap_se"]).squeeze("design")
    print(judged[["settled_real", "settled_predicted", "settled_gap", "settled_gap_se"]].to_dataframe())
    assert off.sel(model="fitted") < 3 < off.sel(model="luck")
    later = rows.query("year > 2018")  # the same settlement, by hand
    centred = later["overspend"] - later.groupby("year")["overspend"].transform("mean")
    frame = pd.DataFrame({"budget": later["person_years"], "cost": later["person_years"] * (1 + centred)})
    settled = sim.settle_actuals(GATED, frame.assign(members=later["person_years"]))["settlement"]
    assert settled.sum() / later["person_years"].sum() == pytest.approx(float(judged["settled_real"].squeeze()))


def test_a_settlement_is_predicted_exactly():
    """Normal results and a half of every saving: sd / √(2π) / 2 of the budget."""
    rng = np.random.default_rng(3)
    frame = {"organisation": np.arange(4_000), "year": 1, "people": 10_000.0, "result": 0.02 * rng.normal(size=4_000)}
    half = sim.Design(name="half", terms=({"kind": "share", "gain": 0.5, "loss": 0.0},))
    found = sim.backtest(pd.DataFrame(frame), 2.0, deviation="result", sizes=(), designs=half).squeeze("design")
    assert float(found["settled_predicted"].sel(model="luck")) == pytest.approx(0.01 / np.sqrt(2 * np.pi), rel=2e-3)
    assert abs(float((found["settled_gap"] / found["settled_gap_se"]).sel(model="luck"))) < 4


def test_an_organisation_seen_before_has_a_forecast(judged):
    """Its own past tells something of where it lands three years later, and its intervals hold what came."""
    foretold, came = judged["forecast"].values, judged["forecast_came"].values
    assert np.corrcoef(foretold, came)[0, 1] > 0.3
    assert abs(np.corrcoef(foretold, np.roll(came, 1))[0, 1]) < 0.15  # the control: another organisation's
    inside = np.abs(came - foretold) < 1.96 * judged["forecast_sd"].values
    assert 0.9 < inside.mean() < 0.99


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
