"""Real year-end figures: 548 settlements of the Medicare programme, and its rules one by one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from simulator.contracts.design import Design
from simulator.errors import SimulatorError
from simulator.settlement.actuals import load_designs, settle_actuals

HALF = Design(name="half", terms=[{"kind": "share", "gain": 0.5, "loss": 0.3}])


@pytest.fixture(scope="module")
def tracks():
    return load_designs(ROOT / "configs" / "published" / "mssp.toml")


@pytest.fixture(scope="module")
def results(data_folder):
    return pd.read_csv(data_folder / "mssp_2018_results.csv")


def reproduced(settlement, published):
    """Rows within the rounding of the published share (four decimals) and of the published dollar."""
    tolerance = 0.5 + 0.00005 * (published["benchmark"] - published["expenditure"]).abs()
    return int(((settlement - published["earned"]).abs() <= tolerance).sum())


def test_every_settlement_of_2018_is_reproduced(tracks, results):
    settled = settle_actuals(tracks, results)
    assert reproduced(settled["settlement"], results) == len(results) == 548


def test_settlements_follow_from_the_quality_score_too(tracks, results):
    settled = settle_actuals(tracks, results.drop(columns="final_share"))
    assert reproduced(settled["settlement"], results) == 548


@pytest.mark.parametrize("drop", ["haircut", "minimum_rate", "loss_relief"])
def test_a_missing_term_is_noticed(tracks, results, drop):
    fewer = [
        Design.model_validate(t.model_dump() | {"terms": [term for term in t.terms if term.kind != drop]})
        for t in tracks
    ]
    assert reproduced(settle_actuals(fewer, results)["settlement"], results) < 548


def test_one_track_at_a_time_gives_the_same(tracks, results):
    together = settle_actuals(tracks, results)["settlement"]
    labels = {"Track_1": "Track 1", "Track_1_Plus": "Track 1+", "Track_2": "Track 2", "Track_3": "Track 3"}
    by_name = {track.name: track for track in tracks}
    apart = [settle_actuals(by_name[labels[track]], rows)["settlement"] for track, rows in results.groupby("track")]
    pd.testing.assert_series_equal(pd.concat(apart).sort_index(), together)


def rows(**columns):
    """One organisation with 100m benchmark, 10,000 people and a good quality score."""
    usual = {
        "track": "BASIC E",
        "benchmark": 1e8,
        "expenditure": 9e7,
        "beneficiaries": 10_000,
        "minimum_savings_rate": 0.02,
        "quality_score": 0.9,
        "met_quality_standard": 1,
        "disaster_adjustment": 0.0,
    }
    return pd.DataFrame({name: np.atleast_1d(value) for name, value in (usual | columns).items()})


@pytest.mark.parametrize(
    ("columns", "earned"),
    [
        ({"track": "BASIC A"}, 3_920_000),  # 10m × 0.40 × 0.98
        ({"track": "B"}, 3_920_000),
        ({"track": "BASIC A", "expenditure": 1.1e8}, 0),  # one-sided
        ({}, 4_900_000),  # 10m × 0.50 × 0.98
        ({"expenditure": 7e7}, 10_000_000),  # 30m × 0.49 = 14.7m, capped at a tenth of the benchmark
        ({"expenditure": 7.955e7}, 10_000_000),  # 20.45m × 0.49 = 10.02m: the haircut comes before the cap
        ({"expenditure": 9.8e7}, 980_000),  # at the minimum exactly
        ({"expenditure": 9.800001e7}, 0),
        ({"expenditure": 1.02e8}, -600_000),  # at the minimum loss rate: 2m × 0.30
        ({"expenditure": 1.019e8}, 0),
        ({"met_quality_standard": 0}, 0),
        ({"met_quality_standard": 0, "expenditure": 1.05e8}, -1_500_000),
        ({"expenditure": 1.2e8}, -4_000_000),  # 6m, limited to 4% of the benchmark where revenue is not known
        ({"expenditure": 1.2e8, "revenue": 2e7}, -1_600_000),  # 8% of revenue is less
        ({"expenditure": 1.2e8, "revenue": 2e7, "revenue_loss_limit": 0}, -4_000_000),
        ({"track": "BASIC C", "expenditure": 1.2e8, "revenue": 3e7}, -600_000),
        ({"track": "BASIC D", "expenditure": 1.2e8, "revenue": 9e7}, -2_000_000),
        ({"expenditure": 1.1e8, "disaster_adjustment": -1e6}, -2_000_000),
        ({"expenditure": 1.1e8, "disaster_adjustment": 9e6}, 0),
        ({"track": "ENHANCED"}, 7_350_000),  # 10m × 0.75 × 0.98
        ({"track": "EN", "expenditure": 1.1e8}, -4_000_000),  # 1 − 0.75 × 0.9 = 0.325, at least 0.40
        ({"track": "ENHANCED", "expenditure": 1.1e8, "quality_score": 0.6}, -5_500_000),
        ({"track": "ENHANCED", "expenditure": 1.1e8, "met_quality_standard": 0}, -7_500_000),
        ({"track": "ENHANCED", "expenditure": 1.5e8, "quality_score": 0.1}, -15_000_000),
        ({"track": "ENHANCED", "expenditure": 5e7}, 20_000_000),
        # without a score the loss share is 1 − final share, at least 0.40 and at most 0.75
        ({"track": "ENHANCED", "expenditure": 1.1e8, "quality_score": np.nan, "final_share": 0.75}, -4_000_000),
        ({"track": "ENHANCED", "expenditure": 1.1e8, "quality_score": np.nan, "final_share": 0.45}, -5_500_000),
        ({"track": "ENHANCED", "expenditure": 1.1e8, "quality_score": np.nan, "final_share": 0.10}, -7_500_000),
        # the score goes before the share, and may be a percentage beside it
        ({"track": "ENHANCED", "expenditure": 1.1e8, "quality_score": 60.0, "final_share": 0.75}, -5_500_000),
        (
            {
                "track": "ENHANCED",
                "expenditure": 1.1e8,
                "quality_score": 20.0,
                "final_share": 0.75,
                "met_quality_standard": np.nan,
            },
            -7_500_000,
        ),
        ({"track": "ENHANCED", "expenditure": 1.1e8, "quality_score": 312.0, "final_share": 0.45}, -5_500_000),
        # inside the gate nothing is settled, whatever the quality
        ({"track": "ENHANCED", "expenditure": 1.01e8, "quality_score": np.nan}, 0),
        ({"track": "Track 1", "expenditure": 9.9e7, "quality_score": np.nan}, 0),
        ({"track": 3.0, "final_share": 0.675}, 6_615_000),
        ({"track": "Track_3", "final_share": 0.675}, 6_615_000),
        ({"track": "Track_3", "expenditure": 1.1e8, "final_share": 0.5}, -5_000_000),
        ({"track": "track 1 plus", "expenditure": 1.5e8}, -4_000_000),
        ({"minimum_savings_rate": np.nan, "expenditure": 9.71e7}, 0),  # 2.9%, and 10,000 people need 3.0%
        ({"minimum_savings_rate": np.nan, "expenditure": 9.7e7}, 1_470_000),
    ],
)
def test_rules_of_the_programme(tracks, columns, earned):
    assert settle_actuals(tracks, rows(**columns))["settlement"].tolist() == pytest.approx([earned], abs=1e-6)


def test_columns_and_order_of_rows():
    frame = pd.DataFrame({"budget": [100.0, 100.0], "cost": [110.0, 90.0]}, index=["late", "early"])
    settled = settle_actuals(HALF, frame)
    assert settled.index.tolist() == ["late", "early"]
    assert settled["settlement"].tolist() == pytest.approx([-3.0, 5.0])
    assert settled["savings_rate"].tolist() == pytest.approx([-0.1, 0.1])
    assert settled["surplus_payer"].tolist() == pytest.approx([-7.0, 5.0])
    assert settled["payment_provider"].tolist() == pytest.approx([107.0, 95.0])


def test_events_are_told_for_each_row(tracks):
    frame = pd.concat([rows(track="BASIC A"), rows(expenditure=9.9e7), rows(expenditure=1.2e8)], ignore_index=True)
    settled = settle_actuals(tracks, frame)
    assert settled["gate_missed"].tolist() == [False, True, False]
    assert settled["limit_bound"].tolist() == [False, False, True]


def test_own_adjustment_of_a_row():
    design = Design(name="adjusted", terms=[{"kind": "adjustment"}])
    frame = pd.DataFrame({"budget": [100.0, 100.0], "cost": [90.0, 90.0], "adjustment": [-3.0, 4.0]})
    assert settle_actuals(design, frame)["settlement"].tolist() == [7.0, 14.0]


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        ({"budget": [], "cost": []}, "frame: has no rows"),
        ({"cost": [1.0]}, "frame: has no column 'budget' or 'benchmark'"),
        ({"budget": [1.0], "benchmark": [1.0], "cost": [1.0]}, "has both 'budget' and 'benchmark'"),
        ({"budget": [1.0, None], "cost": [1.0, 1.0]}, "budget: is missing in a row"),
        ({"budget": [0.0], "cost": [1.0]}, "must be above 0"),
        ({"budget": ["1.000,50"], "cost": [1.0]}, "has text in column 'budget'"),
    ],
)
def test_bad_rows_are_refused(frame, sentence):
    with pytest.raises(SimulatorError) as caught:
        settle_actuals(HALF, pd.DataFrame(frame))
    assert sentence in str(caught.value)


def test_unknown_designs_and_missing_figures_are_refused(tracks):
    with pytest.raises(SimulatorError, match="'Track_9' is not a design that is given"):
        settle_actuals(tracks, rows(track="Track_9"))
    with pytest.raises(SimulatorError, match="does not say which design holds"):
        settle_actuals(tracks, rows().drop(columns="track"))
    with pytest.raises(SimulatorError, match=r"row 0: lacks a figure that design 'Track 1' needs"):
        settle_actuals(tracks, rows(track="Track 1", quality_score=np.nan))
    with pytest.raises(SimulatorError, match="lacks a figure that design 'BASIC E' needs; give its members"):
        settle_actuals(tracks, rows(minimum_savings_rate=np.nan, beneficiaries=np.nan))


def test_outcomes_payment_of_real_rows():
    payment = {"kind": "outcomes_payment", "share": 0.02, "all_or_nothing": True}
    design = Design(name="outcomes", quality={"score": 1.0}, transfers=[payment])
    frame = pd.DataFrame({"budget": [100.0, 100.0], "cost": [100.0, 100.0], "quality_score": [1.0, 0.9]})
    assert settle_actuals(design, frame)["surplus_provider"].tolist() == [0.0, -2.0]
    with pytest.raises(SimulatorError, match="lacks a figure"):
        settle_actuals(design, frame.drop(columns="quality_score"))


def test_files_that_hold_no_designs(tmp_path):
    with pytest.raises(SimulatorError, match="does not exist"):
        load_designs(tmp_path / "absent.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[[designs]\n")
    with pytest.raises(SimulatorError, match="is not valid TOML"):
        load_designs(broken)
    broken.write_text("title = 'x'\n")
    with pytest.raises(SimulatorError, match="at least 1 needed"):
        load_designs(broken)


def bare_row(**columns):
    """A row with a benchmark of 100, an expenditure of 90, and nothing else but what is given."""
    return pd.DataFrame({"benchmark": [100.0], "expenditure": [90.0], **{name: [x] for name, x in columns.items()}})


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"minimum_savings_rate": 2.0}, "between 0 and 1"),
        ({"quality_score": 90.0}, "between 0 and 1"),
        ({"final_share": 50.0}, "between 0 and 1"),
        ({"revenue": -1.0}, "at least 0"),
        ({"contract_year": 1.5}, "contract year"),
        ({"met_quality_standard": np.nan}, "missing in a row"),
    ],
)
def test_figures_of_another_unit_are_refused(columns, told):
    with pytest.raises(SimulatorError, match=told):
        settle_actuals(Design(name="full risk"), bare_row(**columns))


def test_calendar_years_and_idle_scores_are_let_be():
    design = Design(name="stop-loss", year=2, terms=[{"kind": "loss_limit", "of_budget": [0.02, 0.05]}])
    lost = bare_row(contract_year=2021, quality_score=90.0, final_share=0.5).assign(expenditure=200.0)
    assert settle_actuals(design, lost)["settlement"].tolist() == pytest.approx([-5.0])
    assert settle_actuals(design, lost.assign(contract_year=1))["settlement"].tolist() == pytest.approx([-2.0])


def test_losses_that_revenue_might_limit_are_told(tracks, results):
    settled = settle_actuals(tracks, results)
    told = results[settled["revenue_unknown"]]
    assert told["track"].unique().tolist() == ["Track_1_Plus"]
    assert told["revenue_loss_limit"].tolist() == [1.0, 1.0]
    lost = settle_actuals(tracks, pd.concat([rows(expenditure=1.1e8), rows(expenditure=1.1e8, revenue=2e7)]))
    assert lost["revenue_unknown"].tolist() == [True, False]


REVENUE_ALONE = Design(name="by revenue", revenue=0.5, terms=[{"kind": "loss_limit", "of_revenue": 0.08}])


def test_a_limit_of_revenue_alone_needs_the_revenue():
    lost = bare_row().assign(expenditure=150.0)
    with pytest.raises(SimulatorError, match=r"row 0: lacks a figure that design 'by revenue' needs; give its revenue"):
        settle_actuals(REVENUE_ALONE, lost)
    with pytest.raises(SimulatorError, match="give its revenue"):
        settle_actuals(REVENUE_ALONE, lost.assign(revenue=np.nan, revenue_loss_limit=1))
    assert settle_actuals(REVENUE_ALONE, lost.assign(revenue=50.0))["settlement"].tolist() == pytest.approx([-4.0])
    assert settle_actuals(REVENUE_ALONE, lost.assign(revenue_loss_limit=0))["settlement"].tolist() == [-50.0]
    assert settle_actuals(REVENUE_ALONE, bare_row())["settlement"].tolist() == [10.0]  # a gain needs no limit of losses


def test_a_profit_cap_on_revenue_needs_the_revenue():
    capped = Design(name="capped", revenue=1.0, terms=[{"kind": "profit_cap", "rate": 0.075, "turnover": "revenue"}])
    with pytest.raises(SimulatorError, match="give its revenue"):
        settle_actuals(capped, bare_row())
    assert settle_actuals(capped, bare_row(revenue=80.0))["settlement"].tolist() == pytest.approx([6.0])
    assert settle_actuals(capped, bare_row().assign(expenditure=110.0))["settlement"].tolist() == [-10.0]


@pytest.mark.parametrize(
    "term",
    [
        {"kind": "quality_gate"},
        {"kind": "withhold", "share": 0.05},
        {"kind": "withhold", "share": 0.05, "earned_by": "standard"},
        {"kind": "quality_multiplier"},
        {"kind": "quality_share", "gain": 0.4, "gain_follows_score": False, "loss": 0.0},
    ],
)
def test_a_design_that_follows_quality_needs_it(term):
    design = Design(name="by quality", quality={"score": 1.0, "standard": 0.3}, terms=[term])
    with pytest.raises(SimulatorError, match="lacks a figure that design 'by quality' needs; give its quality score"):
        settle_actuals(design, bare_row())
    assert np.isfinite(settle_actuals(design, bare_row(quality_score=0.5))["settlement"]).all()


def test_tracks_read_with_blanks_are_whole_numbers(tracks):
    with pytest.raises(SimulatorError, match="track: is missing in a row"):
        settle_actuals(tracks, pd.concat([rows(track=3.0), rows(track=np.nan)], ignore_index=True))


def test_one_design_of_several_refuses_the_rows_of_another(tracks):
    by_name = {track.name: track for track in tracks}
    with pytest.raises(SimulatorError, match="'BASIC E' is not a design that is given; choose from Track 1"):
        settle_actuals(by_name["Track 1"], rows())
    # a proposal knows no tracks, and settles them all
    assert settle_actuals(HALF, rows())["settlement"].tolist() == pytest.approx([5e6])
    with pytest.raises(SimulatorError, match="'BASIC E' is not a design"):
        settle_actuals(HALF, pd.concat([rows(track="half"), rows()], ignore_index=True))


def test_columns_of_another_year_are_let_be(tracks, results):
    later = results.assign(
        performance_year=2021.0, quality_score=100 * results["quality_score"], agreement_type="New", final_loss_rate=0.3
    )
    assert reproduced(settle_actuals(tracks, later)["settlement"], results) == 548
    assert reproduced(settle_actuals(tracks, later.rename(columns=str.upper))["settlement"], results) == 548
    # whoever earned nothing may have no final share, and has a percentage all the same
    later.loc[later["earned"] == 0, "final_share"] = np.nan
    assert reproduced(settle_actuals(tracks, later)["settlement"], results) == 548
