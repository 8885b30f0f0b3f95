"""How far organisations lie apart: panels whose effects are known, public rows, dirt."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simulator as sim
from simulator.analysis.spread.components import EFFECTS, Panel, components
from simulator.analysis.stress.changed_scenario import truth_of

DATA = Path(os.environ.get("SIMULATOR_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
LUCK = 2.1
PANELS = (100, pytest.param(400, marks=pytest.mark.slow))
"""Fewer of them in the ordinary lane, where the limits of a share that should be 95% are as much wider."""


def limits(panels):
    """Three and a quarter standard errors on either side of 95%."""
    away = 3.25 * np.sqrt(0.95 * 0.05 / panels)
    return 0.95 - away, 0.95 + away


def simulated(rng, organisations, lasting, drift, yearly, heavy=False):
    """A small unbalanced panel with late joiners, leavers and gaps."""
    years = 6

    def errors(*shape):
        return rng.standard_t(5, shape) / np.sqrt(5 / 3) if heavy else rng.normal(size=shape)

    people = np.exp(rng.uniform(np.log(3_000), np.log(60_000), (organisations, 1))) * np.ones(years)
    away = np.arange(years) - (years - 1) / 2
    walk = (abs(away)[:, None] + abs(away) - abs(away[:, None] - away)) / 2
    y = lasting * errors(organisations, 1) + yearly * errors(organisations, years) + 0.01 * rng.normal(size=years)
    y += drift * errors(organisations, years) @ np.linalg.cholesky(walk + 1e-12 * np.eye(years)).T
    y += LUCK * errors(organisations, years) / np.sqrt(people)
    first, last = rng.integers(0, 2, organisations), rng.integers(2, years + 1, organisations)
    here = (np.arange(years) >= first[:, None]) & (np.arange(years) < last[:, None])
    here &= rng.uniform(size=here.shape) > 0.08
    kept = here.any(axis=1)
    names = tuple(map(str, range(kept.sum())))
    return Panel(names, np.arange(years, dtype=float), np.where(here, y, np.nan)[kept], people[kept])


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("panels", PANELS)
@pytest.mark.parametrize(
    ("truth", "heavy", "fixed", "effects"),
    [
        ((0.03, 0.01, 0.02), True, LUCK**2, EFFECTS),
        pytest.param((0.03, 0.0, 0.02), False, None, ("lasting", "yearly", "luck"), marks=pytest.mark.slow),
    ],
)
def test_intervals_cover_and_variances_are_unbiased(truth, heavy, fixed, effects, panels):
    rng = np.random.default_rng(20261201)
    known = dict(zip(EFFECTS, (*truth, LUCK), strict=True))
    fits = [components(simulated(rng, 45, *truth, heavy=heavy), fixed, effects) for _ in range(panels)]
    low, high = limits(panels)
    for name in fits[0].variance:
        held = [fit.interval[name][0] <= known[name] ** 2 <= fit.interval[name][1] for fit in fits]
        assert low <= np.mean(held) <= high, (name, np.mean(held))
        wrong = [fit.interval[name][0] <= (1.5 * known[name]) ** 2 <= fit.interval[name][1] for fit in fits]
        assert np.mean(wrong) < low or name == "drift", name  # the control
        found = np.array([fit.variance[name] for fit in fits])
        z = (found.mean() - known[name] ** 2) / found.std() * np.sqrt(panels)
        print(name, round(float(np.mean(held)), 4), round(float(z), 2))
        assert abs(z) < 4, (name, z)  # unbiased


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("panels", PANELS)
def test_luck_alone_leaves_no_lasting_effect(panels):
    rng = np.random.default_rng(7)
    fits = [components(simulated(rng, 40, 0.0, 0.0, 0.0), LUCK**2) for _ in range(panels)]
    assert np.mean([fit.interval["lasting"][0] <= 1e-12 for fit in fits]) >= limits(panels)[0]
    seen = [components(simulated(rng, 40, 0.03, 0.0, 0.0), LUCK**2).interval["lasting"][0] for _ in range(20)]
    assert np.mean(np.array(seen) <= 1e-12) < 0.2  # the control


def mssp():
    if not (path := DATA / "mssp_savings_2013_2021.csv").exists():
        pytest.skip("the public rows are not here (../shared/data)")
    return path


MSSP = {"organisation": "aco", "people": "person_years", "deviation": "savings_rate"}


@pytest.mark.heavy
def test_mssp_lies_apart_by_more_than_luck_at_every_size():
    answer = sim.spread(mssp(), **MSSP, luck=2.135)
    assert abs(float(answer["lasting_sd"]) - 0.030) < 0.004
    low, high = answer["lasting_sd_interval"].values
    assert low < 0.030 < high
    by_size = answer["lasting_sd_by_size"].values
    assert (np.diff(by_size) < 0).all()
    assert by_size == pytest.approx([0.036, 0.032, 0.021], abs=0.006)
    assert (answer["observed_sd"] > answer["luck_sd_at_size"]).all()
    free = sim.spread(mssp(), **MSSP)
    assert abs(float(free["lasting_sd"]) - 0.030) < 0.004
    assert float(free["luck_sd"]) > 2.6
    assert "hard to tell apart" in free.attrs["cannot_tell"]


def test_counties_show_the_luck_of_persons_by_lag():
    if not (path := DATA / "county_medicare_2003_2012.csv").exists():
        pytest.skip("the public rows are not here (../shared/data)")
    rows = pd.read_csv(path).query("2003 <= year <= 2009")
    rows["result"] = np.log(rows["spend_per_enrollee"])
    rows = rows[np.isfinite(rows["result"])]
    from simulator.analysis.spread.panel_rows import panel_of
    from simulator.analysis.spread.spread import _by_lag

    panel, _ = panel_of(rows, "county", people="enrollees", deviation="result")
    luck = np.array(_by_lag(panel)["change_luck_sd"][1])
    assert luck[:4] == pytest.approx([1.89, 2.05, 2.13, 2.16], rel=0.08)  # of logarithms: some 6% less than of money
    assert (np.diff(luck[:4]) > 0).all()
    both = panel.known[:, 1:] * panel.known[:, :-1] > 0
    change = np.diff(panel.deviation, axis=1)
    inverse = (1 / panel.people[:, 1:] + 1 / panel.people[:, :-1]) / 2  # of the harmonic mean
    change = change - np.nansum(change / inverse, axis=0) / np.sum(both / inverse, axis=0)
    edges = 200.0 * 2.0 ** np.arange(7)
    bands = [both & (1 / inverse >= low) & (1 / inverse < high) for low, high in pairwise(edges)]
    usual = [1 / inverse[band].mean() for band in bands]
    person = [np.sqrt(np.mean(change[band] ** 2) * n / 2) for band, n in zip(bands, usual, strict=True)]
    assert usual[0] == pytest.approx(285, abs=5) and usual[-1] == pytest.approx(8_700, abs=50)
    assert np.mean(person) == pytest.approx(1.87, abs=0.01)
    assert person == pytest.approx([1.87] * 6, rel=0.1)
    apart = np.array(_by_lag(panel)["change_spread_sd"][1])
    assert apart[:4] == pytest.approx([0.015, 0.023, 0.030, 0.037], abs=0.004)


def rows(**changed):
    made = {"organisation": np.repeat(np.arange(30), 4), "year": np.tile(np.arange(4), 30), "people": 5_000.0}
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(made)
    frame["result"] = np.repeat(0.03 * rng.normal(size=30), 4) + 0.03 * rng.normal(size=120)
    return frame.assign(**changed)


def test_dirt_is_left_out_or_refused_in_one_sentence():
    frame = rows()
    frame.loc[0, "people"] = 0
    frame.loc[1, "result"] = np.nan
    answer = sim.spread(frame, deviation="result", luck=LUCK)
    assert answer.attrs["rows_read"] == 118
    assert "2 rows" in answer.attrs["notes"]
    with pytest.raises(sim.SimulatorError, match="more than one row"):
        sim.spread(pd.concat([frame, frame]), deviation="result")
    with pytest.raises(sim.SimulatorError, match="no column 'nothing'"):
        sim.spread(frame, deviation="nothing")
    with pytest.raises(sim.SimulatorError, match="at least 0"):
        sim.spread(frame, deviation="result", luck=-1.0)
    with pytest.raises(sim.SimulatorError, match="cost and a budget"):
        sim.spread(frame)


def test_what_cannot_be_told_apart_is_said():
    answer = sim.spread(rows(), deviation="result")  # all of one size: luck is as yearly differences are
    assert np.isnan(answer["luck_sd"]) and "luck cannot be separated" in answer.attrs["cannot_tell"]


def test_an_outlier_is_named_and_its_weight_shown():
    frame = rows()
    frame.loc[5, "result"] = 1.0
    answer = sim.spread(frame, deviation="result", luck=LUCK)
    assert answer.attrs["outliers"] == "1 in 1"
    assert float(answer["sd_without_outliers"].sel(effect="yearly")) < 0.5 * float(answer["yearly_sd"])


def test_renamed_organisations_are_one():
    frame = rows(organisation=[f"x{k}" for k in np.repeat(np.arange(30), 4)])
    frame.loc[2:3, "organisation"] = "new"
    assert sim.spread(frame, deviation="result", luck=1.0, renamed={"x0": "new"}).attrs["organisations"] == 30


def test_an_evaluation_of_the_whole_system_demonstrator_would_seldom_see_its_saving():
    from simulator.analysis.designs.evaluation import evaluation

    found = evaluation(0.08, 1.86, 3_000, 3_000)
    assert float(found["standard_error"]) == pytest.approx(0.048, abs=5e-4)
    assert float(found["power"]) == pytest.approx(0.38, abs=5e-3)
    assert float(evaluation(0.0, 1.86, 3_000, 3_000)["power"]) == pytest.approx(0.05)
    by_practice = evaluation(0.08, 1.86, 3_000, 3_000, practice_people=300, practice_sd=0.05)
    assert by_practice["power"] < found["power"] < evaluation(0.08, 1.86, 3_000, 3_000, correlation=0.6)["power"]


@pytest.mark.heavy
def test_the_shocks_implied_make_a_scenario(tmp_path):
    from simulator.analysis.spread.implied import into_scenario

    answer = sim.spread(rows(), deviation="result", luck=LUCK)
    into_scenario("configs/east_sussex.toml", answer, "some rows", tmp_path / "copy.toml")
    made = sim.load(tmp_path / "copy.toml")
    assert {shock.per for shock in made.shocks} <= {"unit", None} and made.shocks
    for shock, doubt in zip(made.shocks, made.ranges, strict=True):  # the range is the interval of the estimate
        effect = {"lasting": "lasting", "yearly": "yearly", "common": "common_year", "drift": "drift"}[
            shock.name.split()[0]
        ]
        low, high = ((1 + end) * shock.cv for end in (doubt.low, doubt.high))
        np.testing.assert_allclose([low, high], answer[f"{effect}_sd_interval"], atol=1e-3 * shock.cv)
        (truth,) = (one for one in truth_of(made, [doubt.change.at(doubt.high)]).shocks if one.name == shock.name)
        assert truth.cv == pytest.approx(high)
    assert shock.name not in {one.name for one in truth_of(made, [doubt.change.at(-1.0)]).shocks}
    with pytest.raises(sim.SimulatorError, match="is not a shock with a cv"):
        truth_of(made, [doubt.change.model_copy(update={"of": "winter"})])
    with pytest.raises(sim.SimulatorError, match="already has shocks"):
        into_scenario(tmp_path / "copy.toml", answer, "some rows", tmp_path / "again.toml")


def test_results_that_never_change_are_refused_and_those_that_come_again_are_not():
    lasting = np.repeat(np.tile([-0.03, 0.03], 20), 5)
    panel = {"organisation": np.repeat(range(40), 5), "year": np.tile(range(5), 40), "people": 10_000}
    with pytest.raises(sim.SimulatorError, match="never change within an organisation"):
        sim.spread(pd.DataFrame(panel | {"result": lasting}), deviation="result", luck=0)
    again = lasting + np.tile([0.01, -0.01, 0.01], 67)[:200]  # the same three years later: no change at that lag
    found = sim.spread(pd.DataFrame(panel | {"result": again}), deviation="result", luck=0)
    assert abs(float(found["lasting_sd"]) - 0.03) < 0.003
