"""The Medicare programme's rules by performance year, against an oracle that knows no term of ours."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import ROOT

import simulator as sim
from simulator.contracts.design import Design
from simulator.errors import SimulatorError
from simulator.present.answers.actuals import page as actuals_report
from simulator.present.cli.main import main
from simulator.settlement.actuals import load_designs, settle_actuals

PUBLISHED = ROOT / "configs" / "published"
YEARS = range(2016, 2025)
OLD, NEW = ("Track 1", "Track 2", "Track 3"), ("BASIC A", "BASIC B", "BASIC C", "BASIC D", "BASIC E", "ENHANCED")
TRACKS = dict.fromkeys((2016, 2017), OLD) | {2018: (*OLD, "Track 1+")}
TRACKS |= dict.fromkeys((2019, 2020, 2021), (*OLD, "Track 1+", *NEW)) | dict.fromkeys((2022, 2023, 2024), NEW)

#        gain, cap, loss share (None: follows quality, with its ends), of revenue, of benchmark
TERMS = {
    "Track 1": (0.50, 0.10, 0.0, None, None), "Track 1+": (0.50, 0.10, 0.30, 0.08, 0.04),
    "Track 2": (0.60, 0.15, (0.40, 0.60), None, 0.10), "Track 3": (0.75, 0.20, (0.40, 0.75), None, 0.15),
    "BASIC A": (0.40, 0.10, 0.0, None, None), "BASIC B": (0.40, 0.10, 0.0, None, None),
    "BASIC C": (0.50, 0.10, 0.30, 0.02, 0.01), "BASIC D": (0.50, 0.10, 0.30, 0.04, 0.02),
    "BASIC E": (0.50, 0.10, 0.30, 0.08, 0.04), "ENHANCED": (0.75, 0.20, (0.40, 0.75), None, 0.15),
}  # fmt: skip


def earned(year: int, row: pd.Series) -> float:
    """One settlement by the rules as the regulation and its corrections tell them, step by step."""
    most, cap, loss_share, of_revenue, of_benchmark = TERMS[row.track]
    saved = row.benchmark - row.expenditure
    met = row.met_quality_standard == 1
    flat = year >= 2021
    alternative = year >= 2022 and row.track in NEW and row.met_alternative == 1
    if not math.isnan(row.final_share):
        share = row.final_share
        met = met or share > 0
    else:
        share = most if met and flat else most * row.quality_score if met or alternative else 0.0
    if saved > 0:
        if saved / row.benchmark < row.minimum_savings_rate:
            low = row.track.startswith("BASIC") and row.revenue_category == "Low Revenue" and row.beneficiaries >= 5_000
            if year != 2024 or not low:
                return 0.0
            share = share if not math.isnan(row.final_share) else share / 2
        kept = 1.0 if year in (2019, 2020) else 0.98
        return min(kept * share * saved, cap * row.benchmark)
    if -saved / row.benchmark < row.minimum_savings_rate:
        return 0.0
    if isinstance(loss_share, tuple):
        low_end, high_end = loss_share
        by_final = not flat and not math.isnan(row.final_share)
        complement = 1 - (row.final_share if by_final else most * row.quality_score)
        loss_share = min(max(complement, low_end), high_end) if met or alternative else high_end
    lost = loss_share * -saved
    if of_benchmark is not None:
        lost = min(lost, of_benchmark * row.benchmark)
    if of_revenue is not None:
        lost = min(lost, of_revenue * row.revenue)
    return -max(lost - abs(row.disaster_adjustment), 0.0)


def rows_of(year: int, count: int = 400) -> pd.DataFrame:
    """Organisations of every kind: each flag both ways, about the gate, with and without a final share."""
    rng = np.random.default_rng(year)

    def either(*values: object) -> np.ndarray:
        return rng.choice(np.array(values, dtype=object), count)

    track = either(*TRACKS[year])
    benchmark = np.round(rng.uniform(5e7, 5e8, count))
    frame = pd.DataFrame(
        {
            "performance_year": year,
            "track": track,
            "benchmark": benchmark,
            "expenditure": np.round(benchmark * (1 - rng.uniform(-0.2, 0.3, count) * rng.choice([0.1, 1.0], count))),
            "beneficiaries": rng.integers(3_000, 60_000, count),
            "minimum_savings_rate": rng.choice([0.005, 0.02, 0.031], count),
            "quality_score": np.round(rng.uniform(0.35, 1.0, count), 4),
            "met_quality_standard": rng.choice([1, 0], count, p=[0.7, 0.3]),
            "met_alternative": rng.choice([1.0, 0.0, np.nan], count),
            "revenue_category": either("Low Revenue", "High Revenue"),
            "revenue": np.round(benchmark * rng.uniform(0.1, 0.9, count)),
            "disaster_adjustment": np.round(rng.choice([0.0, -3e5], count)),
        }
    )
    share = np.array([TERMS[name][0] for name in track]) * frame["quality_score"]
    frame["final_share"] = np.round(share.where(rng.random(count) < 0.3), 4)
    return frame


def designs(year: int) -> tuple[Design, ...]:
    return load_designs(PUBLISHED / f"mssp_{year}.toml")


@pytest.mark.heavy
@pytest.mark.parametrize("year", YEARS)
def test_each_year_settles_as_its_rules_say(year: int) -> None:
    assert sorted(design.name for design in designs(year)) == sorted(TRACKS[year])
    rows = rows_of(year)
    expected = np.array([earned(year, row) for _, row in rows.iterrows()])
    assert min((expected > 0).sum(), (expected < 0).sum(), (expected == 0).sum()) > 20  # every branch is there
    assert settle_actuals(designs(year), rows)["settlement"].to_numpy() == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("year", "other"), [(2018, 2020), (2020, 2021), (2021, 2022), (2023, 2024)])
def test_the_rules_of_another_year_do_not(year: int, other: int) -> None:
    rows = rows_of(year)
    rows = rows[rows["track"].isin(TRACKS[other])]
    expected = np.array([earned(year, row) for _, row in rows.iterrows()])
    settled = settle_actuals(designs(other), rows)
    assert (np.abs(settled["settlement"] - expected) > 1).any()
    assert settled["other_year"].all()


@pytest.mark.parametrize("file", ["mssp.toml", "mssp_2018.toml"])
def test_the_published_rows_of_2018_settle_with_the_file_of_their_year(data_folder, file: str) -> None:
    results = pd.read_csv(data_folder / "mssp_2018_results.csv")
    settlement = settle_actuals(load_designs(PUBLISHED / file), results)["settlement"]
    tolerance = 0.5 + 0.00005 * (results["benchmark"] - results["expenditure"]).abs()
    assert ((settlement - results["earned"]).abs() <= tolerance).sum() == len(results) == 548
    other = settle_actuals(designs(2020), results)["settlement"]
    assert ((other - results["earned"]).abs() <= tolerance).sum() < 548  # the control


def one(**columns: object) -> pd.DataFrame:
    usual = {"track": "BASIC E", "benchmark": 1e8, "expenditure": 9e7, "beneficiaries": 10_000, "quality_score": 0.8}
    return pd.DataFrame({name: [value] for name, value in (usual | {"minimum_savings_rate": 0.02} | columns).items()})


FAILED = {"met_quality_standard": 0}
MISSED = {"expenditure": 9.9e7, "met_quality_standard": 1, "revenue_category": "Low Revenue"}


@pytest.mark.parametrize(
    ("year", "columns", "settlement"),
    [
        # the row's own final share goes first, whatever the flag says
        (2022, FAILED | {"final_share": 0.4}, 0.98 * 0.4 * 1e7),
        (2022, FAILED | {"final_share": 0.0}, 0.0),
        (2022, FAILED, 0.0),
        (2022, FAILED | {"track": "ENHANCED", "expenditure": 1.1e8, "final_share": 0.6}, -0.4 * 1e7),
        (2022, FAILED | {"track": "ENHANCED", "expenditure": 1.1e8}, -0.75 * 1e7),
        # the alternative standard: the share times the score, and from 2022 on alone
        (2022, FAILED | {"met_alternative": 1}, 0.98 * 0.5 * 0.8 * 1e7),
        (2022, FAILED | {"met_alternative_standard": 0}, 0.0),
        (2022, {"met_quality_standard": 1, "met_alternative": 0}, 0.98 * 0.5 * 1e7),
        (2021, FAILED | {"met_alternative": 1}, 0.0),
        (2022, FAILED | {"track": "ENHANCED", "expenditure": 1.1e8, "met_alternative": 1}, -0.4 * 1e7),
        # half a share in 2024: low revenue, 5,000 people, BASIC, and not where the row's own share is halved already
        (2024, MISSED, 0.98 * 0.5 * 0.5 * 1e6),
        (2024, MISSED | {"final_share": 0.25}, 0.98 * 0.25 * 1e6),
        (2024, MISSED | {"revenue_category": "High Revenue"}, 0.0),
        (2024, MISSED | {"beneficiaries": 4_999}, 0.0),
        (2024, MISSED | {"track": "ENHANCED"}, 0.0),
        (2024, MISSED | {"met_quality_standard": 0}, 0.0),
        (2024, MISSED | {"revenue_category": None, "revenue": 2e7}, 0.98 * 0.5 * 0.5 * 1e6),
        (2024, MISSED | {"revenue_category": None, "revenue": 4e7}, 0.0),
        (2023, MISSED, 0.0),
        # no haircut in 2019 and 2020, and the share follows the score until then
        (2018, {"track": "Track 1"}, 0.98 * 0.5 * 0.8 * 1e7),
        (2019, {"track": "Track 1"}, 0.5 * 0.8 * 1e7),
        (2020, {"track": "BASIC A"}, 0.4 * 0.8 * 1e7),
        (2021, {"track": "Track 1"}, 0.98 * 0.5 * 1e7),
    ],
)
def test_each_rule_by_hand(year: int, columns: dict[str, object], settlement: float) -> None:
    settled = settle_actuals(designs(year), one(**columns))["settlement"]
    assert settled.tolist() == pytest.approx([settlement], abs=0.01)


def test_a_row_that_misses_its_rate_is_asked_for_its_revenue() -> None:
    with pytest.raises(SimulatorError, match="give its revenue category"):
        settle_actuals(designs(2024), one(expenditure=9.9e7, met_quality_standard=1))
    assert settle_actuals(designs(2024), one(met_quality_standard=1))["settlement"].item() > 0  # who passes is not
    with pytest.raises(SimulatorError, match="'Middling' is no category of revenue; write low or high"):
        settle_actuals(designs(2024), one(**MISSED | {"revenue_category": "Middling"}))


def test_a_track_that_a_year_did_not_have_is_refused() -> None:
    with pytest.raises(SimulatorError, match="'BASIC E' is not a design that is given; choose from Track 1"):
        settle_actuals(designs(2016), one())


def test_rows_of_another_year_are_warned_of(tmp_path) -> None:
    rows = pd.concat([one(performance_year=2022), one(performance_year=2021), one(performance_year=np.nan)])
    settled = settle_actuals(designs(2022), rows)
    assert settled["other_year"].tolist() == [False, True, False]
    rows.to_csv(tmp_path / "rows.csv", index=False)
    told = CliRunner().invoke(
        main, ["settle", str(PUBLISHED / "mssp_2022.toml"), "--actuals", str(tmp_path / "rows.csv")]
    )
    assert told.output.startswith("1 row is of another year than the rules, and may settle wrongly"), told.output
    assert not actuals_report(settle_actuals(designs(2022), rows[:1])).warnings
    table = actuals_report(settled.reset_index(drop=True)).parts[0]
    assert [row[table.head.index("other year")] for row in table.rows] == ["no", "yes", "no"]
    assert "other_year" not in settle_actuals(designs(2022), rows.drop(columns="performance_year"))


# ── figures by calendar year, in any design ──────────────────────────────────────────────────────

HAIRCUT = {"kind": "haircut", "keep": {"2016": 0.98, "2019": 1.0}}


@pytest.mark.parametrize(("year", "kept"), [(2016, 9.8), (2018, 9.8), (2019, 10.0), (2030, 10.0)])
def test_a_figure_holds_from_its_calendar_year_on(year: int, kept: float) -> None:
    design = Design(name="x", rule_year=year, terms=[HAIRCUT])
    assert Design.model_validate_json(design.model_dump_json()) == design
    frame = pd.DataFrame({"budget": [100.0], "cost": [90.0]})
    assert settle_actuals(design, frame)["settlement"].tolist() == pytest.approx([kept])
    assert sim.payoff(design, [0.9], members=1, capitation=100.0)["settlement"].item() == pytest.approx(kept)


def test_a_haircut_may_change_with_the_contract_year() -> None:
    frame = pd.DataFrame({"budget": [100.0] * 3, "cost": [90.0] * 3, "contract_year": [1, 2, 3]})
    settled = settle_actuals(Design(name="x", terms=[{"kind": "haircut", "keep": [0.9, 1.0]}]), frame)
    assert settled["settlement"].tolist() == pytest.approx([9.0, 10.0, 10.0])


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"terms": [HAIRCUT]}, "gives keep by calendar year, and the design has no rule_year; add rule_year = 2019"),
        ({"terms": [HAIRCUT], "rule_year": 2015}, "gives keep from 2016 on, after the design's rule_year 2015"),
        ({"terms": [HAIRCUT | {"keep": {"3": 0.5}}], "rule_year": 2019}, "must be at least 1900"),
        ({"terms": [HAIRCUT | {"keep": {"2016": 1.5}}], "rule_year": 2019}, "must be at most 1"),
        ({"terms": [HAIRCUT | {"keep": {}}], "rule_year": 2019}, "keep"),
        (
            {"terms": [{"kind": "minimum_rate", "share_if_missed": 0.5, "if_missed_revenue_below": 0.35}]},
            "goes by revenue, which the design does not give",
        ),
    ],
)
def test_figures_by_calendar_year_that_do_not_fit_are_refused(told: dict[str, object], sentence: str, tmp_path) -> None:
    from simulator.contracts.design import designs_from

    with pytest.raises(SimulatorError) as caught:
        designs_from([{"name": "x", **told}])
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('designs = { from = "absent.toml" }', "absent.toml: does not exist"),
        ('designs = { from = "base.toml", names = ["a", "b"] }', "designs.names: 'b' is not a design of that file"),
        ('designs = { file = "base.toml" }', "designs.from"),
        ('rule_year = "2019"\ndesigns = { from = "base.toml" }', ""),
        ('rule_year = 19\ndesigns = { from = "base.toml" }', "rule_year: 19 must be at least 1900"),
    ],
)
def test_a_file_that_takes_designs_from_another(text: str, sentence: str, tmp_path) -> None:
    (tmp_path / "base.toml").write_text('[[designs]]\nname = "a"\n[[designs]]\nname = "c"\n')
    (tmp_path / "year.toml").write_text(text)
    if not sentence:
        assert [(design.name, design.rule_year) for design in load_designs(tmp_path / "year.toml")] == [
            ("a", 2019), ("c", 2019),
        ]  # fmt: skip
        return
    with pytest.raises(SimulatorError) as caught:
        load_designs(tmp_path / "year.toml")
    assert sentence in str(caught.value)


# ── the headline ─────────────────────────────────────────────────────────────────────────────────


def test_a_dollar_is_no_repayment() -> None:
    """A relief that is rounded to the dollar leaves cents of a loss that it is meant to take away."""
    relief = Design(name="x", terms=[{"kind": "loss_relief"}])
    frame = pd.DataFrame({"budget": [1e7] * 4, "cost": [1.1e7 + 0.6, 1.1e7 + 1.0, 1e7 - 0.4, 9e6], "relief": [1e6] * 4})
    headline = actuals_report(settle_actuals(relief, frame)).verdict[0]
    assert headline.startswith("4 rows settled: 1 are paid, 1 pay back, 2 neither")
    small = pd.DataFrame({"budget": [100.0] * 2, "cost": [100.5, 99.5]})  # money a head: half a dollar is a result
    assert "1 are paid, 1 pay back" in actuals_report(settle_actuals(Design(name="x"), small)).verdict[0]


def test_revenue_that_is_not_known_is_told_in_the_headline() -> None:
    lost = one(expenditure=1.2e8, met_quality_standard=1)
    told = actuals_report(settle_actuals(designs(2022), lost)).verdict[0]
    assert "1 row that pays back has no known revenue, which might limit the loss further" in told
    known = actuals_report(settle_actuals(designs(2022), lost.assign(revenue=2e7))).verdict[0]
    assert "revenue" not in known
