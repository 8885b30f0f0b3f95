"""A patient whom everybody would know is planted; then every artefact is searched for him."""

from __future__ import annotations

import io
import json
import logging
import pickle
import re
import traceback
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import simulator as sim
from simulator.base import SimulatorError
from simulator.costs.fit import FittedModel, fit
from simulator.costs.fitting import curve_errors, goodness
from simulator.costs.fitting.disclosure import check_smallest, safe_totals
from simulator.costs.fitting.sample import sample_of, together
from simulator.present.cli_fit import fit as verb
from simulator.present.plots.fit_diagnostics import fit_diagnostics
from simulator.present.text_fit import as_json, fit_report

ID = "ZQXJ8841773"
COST = 7_654_321.25
"""Far beyond everybody else's."""
MODEST = 1_234.5678
"""Among the others', and told apart only by its digits."""


def planted(n: int = 3_000) -> pd.DataFrame:
    random = np.random.default_rng(5)
    table = pd.DataFrame(
        {
            "nhs_number": [f"ZQXJ{number:07d}" for number in range(n)],
            "band": random.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]),
            "total": random.lognormal(6.5, 1.4, n).round(2) * (random.random(n) < 0.8),
        }
    )
    table.loc[n - 2] = [ID, "a", MODEST]
    table.loc[n - 1] = [ID, "b", COST]
    return table


def numbers_in(text: str) -> Iterator[float]:
    for found in re.findall(r"-?\d[\d,_]*\.?\d*(?:e[+-]?\d+)?", text):
        yield float(found.replace(",", "").replace("_", ""))


def assert_clean(text: str, table: pd.DataFrame, folder: Path | None = None) -> None:
    assert ID not in text and "ZQXJ" not in text
    if folder is not None:
        assert str(folder) not in text and "smith" not in text.lower()
    told = np.array(list(numbers_in(text)))
    for secret in (COST, MODEST, COST - 1, table["total"].nlargest(2).iloc[1]):
        # a number that agrees with a secret to five figures
        assert not np.any(np.abs(told - secret) <= 1e-5 * abs(secret)), secret


FAMILIES = ["auto", "empirical", "burr"]


@pytest.fixture(scope="module", params=FAMILIES)
def artefacts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Everything that a fit leaves behind, as text."""
    folder = tmp_path_factory.mktemp("smith")
    path = folder / "smith-costs.csv"
    planted().to_csv(path, index=False)
    out, err, log = io.StringIO(), io.StringIO(), io.StringIO()
    listener = logging.StreamHandler(log)
    logging.getLogger().addHandler(listener)
    with redirect_stdout(out), redirect_stderr(err):
        model = fit(path, cost="total", segment="band", person="nhs_number", family=request.param, sets=20)
    logging.getLogger().removeHandler(listener)
    model.to_toml(folder / "model.toml")
    model.to_scenario_toml(folder / "scenario.toml", sizes=[500], replicates=20)
    scenario = sim.load(folder / "scenario.toml")
    ledger = sim.simulate(scenario, progress=False)
    sim.save(ledger, folder / "ledger.nc")
    sim.save(sim.summarise(ledger), folder / "summary.nc")
    fit_diagnostics(model.curves, model.currency)[0].figure.savefig(folder / "plot.svg")
    plt.close("all")
    how: dict[str, Any] = {"model": "model.toml", "parameter_uncertainty": True}
    model.to_scenario_toml(folder / "doubt.toml", sizes=[500], replicates=20, **how)
    doubtful = sim.simulate(sim.load(folder / "doubt.toml"), progress=False)
    return {
        "stdout": out.getvalue(), "stderr": err.getvalue(), "log": log.getvalue(),
        "model": (folder / "model.toml").read_text(), "scenario": (folder / "scenario.toml").read_text(),
        "repr": repr(model) + str(model), "report": str(fit_report(model)), "json": json.dumps(as_json(model)),
        "goodness": _spelt(model.goodness), "curves": _spelt(model.curves), "diagnostics": _spelt(model.diagnostics),
        "population": model.population.model_dump_json(), "sets": json.dumps(model.sets),
        "ledger": _spelt(ledger.drop_vars(list(ledger.data_vars))) + json.dumps(ledger.attrs, default=str),
        "plot": (folder / "plot.svg").read_text(), "summary": json.dumps(sim.summarise(ledger).attrs, default=str),
        "files": "".join((folder / name).read_bytes().decode("latin-1") for name in ("ledger.nc", "summary.nc")),
        "doubt": (folder / "doubt.toml").read_text(), "doubtful ledger": json.dumps(doubtful.attrs, default=str),
        "pickle": pickle.dumps(model).decode("latin-1"),
    }  # fmt: skip


def _spelt(found: Any) -> str:
    return json.dumps(found.to_dict(), default=str)


@pytest.mark.parametrize(
    "name",
    ["stdout", "stderr", "log", "model", "scenario", "repr", "report", "json", "goodness", "curves", "diagnostics",
     "population", "sets", "ledger", "plot", "summary", "doubt", "doubtful ledger"],
)  # fmt: skip
def test_the_planted_patient_is_nowhere(name: str, artefacts: dict[str, str]) -> None:
    assert_clean(artefacts[name], planted())
    assert "smith" not in artefacts[name]


def test_nor_is_he_in_the_object_itself(artefacts: dict[str, str]) -> None:
    for name in ("pickle", "files"):
        assert ID not in artefacts[name] and "smith" not in artefacts[name]
    for secret in (COST, MODEST):
        assert np.float64(secret).tobytes().decode("latin-1") not in artefacts["pickle"] + artefacts["files"]


def test_the_search_would_find_him() -> None:
    """A control: resampling holds every bill, and the search must see it."""
    model = fit(planted(), cost="total", segment="band", family="resample", sets=0)
    with pytest.raises(AssertionError):
        assert_clean(model.population.model_dump_json(), planted())
    with pytest.raises(AssertionError):
        assert_clean(f"the largest was {COST:,.0f}", planted())
    assert np.float64(COST).tobytes() in pickle.dumps(np.array([COST]))


def test_rows_that_are_resampled_are_never_written(tmp_path: Path) -> None:
    model = fit(planted(), cost="total", segment="band", family="resample", sets=0)
    for write in (model.to_toml, model.to_scenario_toml):
        with pytest.raises(SimulatorError, match="which no file may hold"):
            write(tmp_path / "model.toml")
    assert list(tmp_path.iterdir()) == []
    ledger = sim.simulate(model.scenario(sizes=[200], replicates=5), progress=False)
    assert_clean(json.dumps(ledger.attrs, default=str), planted())
    assert_clean(repr(model), planted())


FAILING = {
    "text": (lambda t: t.assign(total=[*t.total[:-1].astype(str), f"£{COST} {ID}"]), {}),
    "negative": (lambda t: t.assign(total=[*t.total[:-1], -COST]), {}),
    "segment of one": (lambda t: t.assign(band=[*t.band[:-1], ID]), {}),
    "ids as segments": (lambda t: t, {"segment": "nhs_number"}),
    "ids as cost": (lambda t: t, {"cost": "nhs_number"}),
    "ids cut": (lambda t: t, {"segment": "nhs_number:0,10"}),
    "ids as exposure": (lambda t: t, {"exposure": "nhs_number"}),
    "cost as exposure": (lambda t: t, {"exposure": "total"}),
    "filter to one": (lambda t: t, {"where": f"nhs_number == '{ID}'"}),
    "filter that cannot be read": (lambda t: t, {"where": f"nhs_number == {ID}'"}),
    "filter of the other kind": (lambda t: t, {"where": f"total == '{ID}'"}),
    "filter of an unknown column": (lambda t: t, {"where": "name == 'x'"}),
}


@pytest.mark.parametrize("case", FAILING)
def test_errors_do_not_name_him(case: str, tmp_path: Path) -> None:
    spoil, options = FAILING[case]
    folder = tmp_path / "smith"
    folder.mkdir()
    spoil(planted()).to_csv(folder / "smith.csv", index=False)
    with pytest.raises(SimulatorError) as caught:
        fit(folder / "smith.csv", **{"cost": "total", "segment": "band", **options})
    assert_clean(str(caught.value), planted(), folder)
    assert_clean("".join(traceback.format_exception(caught.value, limit=0)), planted(), folder)


def test_the_command_line_leaves_nothing_behind_after_an_error(tmp_path: Path) -> None:
    path, out = tmp_path / "smith.csv", tmp_path / "model.toml"
    FAILING["text"][0](planted()).to_csv(path, index=False)
    ran = CliRunner().invoke(verb, [str(path), "--cost", "total", "--segment", "band", "--out", str(out)])
    assert ran.exit_code == 2 and ran.output.count("\n") == 1
    assert_clean(ran.output, planted(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["smith.csv"]


def test_the_filter_is_kept_without_the_id() -> None:
    model = fit(planted(), cost="total", where=f"nhs_number != '{ID}'", sets=0)
    assert model.provenance["where"] == "nhs_number != …"
    assert_clean(model.model_text(), planted())
    (dropped,) = model.report["dropped"]
    assert dropped["rows"] is None and dropped["share_of_cost"] is None


# ── small counts ─────────────────────────────────────────────────────────────────────────────────


def test_the_smallest_count_goes_up_only() -> None:
    assert check_smallest(25) == 25
    for lower in (9, 0, -1, 10.0, True):
        with pytest.raises(SimulatorError, match="at least 10"):
            check_smallest(lower)  # type: ignore[arg-type]
    wider = fit(planted(), cost="total", segment="band", smallest_count=50, sets=0)
    usual = fit(planted(), cost="total", segment="band", sets=0)
    assert np.isnan(wider.goodness["observed"]).sum() > np.isnan(usual.goodness["observed"]).sum()


def test_totals_do_not_give_small_counts_away() -> None:
    assert safe_totals({"kept": 100, "gone": 20}, 10) == {"kept": 100, "gone": 20}
    assert safe_totals({"read": 123, "kept": 116, "gone": 7}, 10) == {"read": 120, "kept": 120, "gone": None}


def test_a_handful_without_cost_is_not_to_be_counted() -> None:
    table = planted()
    table["total"] = np.maximum(table["total"], 10.0)
    shares = set()
    for handful in (1, 4, 9):
        table.loc[: handful - 1, "total"] = 0.0
        model = fit(table, cost="total", family="lognormal", sets=0)
        shares.add(model.population.segments[0].p_user)
        assert np.isnan(model.goodness["observed"].sel(segment="everybody", measure="share without cost"))
        table.loc[: handful - 1, "total"] = 10.0
    assert len(shares) == 1


def told_counts(model: FittedModel, table: pd.DataFrame) -> None:
    """Between any two told figures of a segment, and in any segment that is silent, lie none or ten patients."""
    amounts = model.curves["amount"].values
    seen = {}
    for name in model.curves["segment"].values.tolist():
        costs = table["total"] if name == "everybody" else table.loc[table["band"] == name, "total"]
        counts = np.array([(costs > amount).sum() for amount in amounts])
        told = np.isfinite(model.curves["observed_p_above"].sel(segment=name).values)
        steps = np.diff(np.unique([*counts[told], 0]))
        assert np.all(steps >= 10), (name, steps)
        seen[name] = told, counts
    told, counts = (np.stack([seen[name][i] for name in ("a", "b", "c")]) for i in (0, 1))
    silent = ~told & (counts > 0)
    left = np.where(silent, counts, 0).sum(axis=0)
    exposed = seen["everybody"][0] & ((silent.sum(axis=0) == 1) | ((left > 0) & (left < 10)))
    assert not np.any(exposed)
    for some in np.unique(silent.T, axis=0):
        # what those who are silent have in all is everybody less the others
        known = seen["everybody"][0] & (~silent | some[:, None]).all(axis=0)
        here = known & (silent == some[:, None]).all(axis=0)
        rest = counts[some].sum(axis=0)
        gaps = np.abs(rest[here][:, None] - rest[known])
        assert np.all((gaps == 0) | (gaps >= 10)), f"the rest: {some}"
    assert np.isfinite(model.curves["observed_p_above"]).sum() > 30
    assert not (model.curves["observed_p_above"] == 0).any()  # nobody above: the largest cost lies below


def test_no_small_group_is_to_be_had_by_subtraction() -> None:
    table = planted()
    told_counts(fit(table, cost="total", segment="band", sets=0), table)


def unequal(seed: int) -> pd.DataFrame:
    """A large segment and two small ones, which are often silent together."""
    random = np.random.default_rng(seed)
    band = random.choice(["a", "b", "c"], 2_000, p=[0.9, 0.05, 0.05])
    return pd.DataFrame({"band": band, "total": random.lognormal(6.5, 1.0, 2_000).round(2)})


def test_a_rest_of_a_few_patients_between_two_amounts_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = [unequal(seed) for seed in range(3)]
    how: dict[str, Any] = {"cost": "total", "segment": "band", "family": "lognormal", "sets": 0}
    for table in tables:
        told_counts(fit(table, **how), table)
    # a control: without the rule it would be
    monkeypatch.setattr(goodness, "_hide_small_rests", lambda *_: None)
    with pytest.raises(AssertionError, match="the rest"):
        for table in tables:
            told_counts(fit(table, **how), table)


def test_what_lies_between_a_told_share_and_a_told_amount_is_no_small_group() -> None:
    """The cost of the costliest 100 less that of the 99 above an amount is one patient's."""
    for seed in range(4):
        costs = np.random.default_rng(seed).lognormal(6.5, 1.4, 2_000).round(2)
        largest = np.sort(costs)[::-1]
        # thresholds just beside the top shares of 5% and 1%
        asked = [float((largest[n] + largest[n + 1]) / 2) for n in (101, 21)]
        model = fit({"c": costs}, cost="c", thresholds=asked, sets=0)
        assert np.isnan(model.goodness["observed"].sel(segment="everybody", measure=f"P above {asked[0]:,.10g}"))
        told = model.curves.isel(segment=-1)
        amounts = told["amount"].values[np.isfinite(told["observed_p_above"].values)]
        shares = told["people_share"].values[np.isfinite(told["observed_top_share"].values)]
        above = np.array([(costs > amount).sum() for amount in amounts])
        gaps = np.abs(above[:, None] - shares * costs.size)
        assert above.size > 10 and shares.size > 6 and np.all((gaps == 0) | (gaps >= 10))


def test_the_patients_of_a_tail_are_not_counted_beside_a_threshold() -> None:
    costs = np.random.default_rng(2).lognormal(6.5, 1.4, 3_000).round(2)
    alone = fit({"c": costs}, cost="c", sets=0).segments[0]
    at = alone["tail_at"]
    assert alone["tail_patients"] == (costs > at).sum()
    beside = float(np.sort(costs[costs <= at])[-3]) - 0.003  # three patients between it and the splice
    model = fit({"c": costs}, cost="c", thresholds=[beside], sets=0)
    assert model.segments[0]["tail_at"] == at
    assert (
        float(np.isfinite(model.goodness["observed"].sel(segment="everybody", measure=f"P above {beside:,.10g}"))) == 1
    )
    assert (
        model.segments[0]["tail_patients"]
        == round((costs > at).sum(), -1)
        == float(model.diagnostics["chosen_patients"][0])
    )
    assert model.segments[0]["tail_patients"] != (costs > at).sum()


def test_a_threshold_that_is_somebodys_cost_is_rounded() -> None:
    table = planted()
    model = fit(table, cost="total", thresholds=[MODEST, 2_500.0, 1_234.5], sets=0)
    assert model.thresholds == (1_230.0, 1_234.5, 2_500.0)
    assert_clean(model.model_text() + model.scenario_text() + str(fit_report(model)), table)


def test_a_condition_on_cost_or_id_is_told_without_its_values() -> None:
    table = planted()
    model = fit(table, cost="total", where=f"total != {MODEST} and band in ('a', 'b')", sets=0)
    assert model.provenance["where"] == "a condition on total and band in (…, …)"
    assert_clean(model.model_text() + str(fit_report(model)), table)
    numbered = table.assign(number=np.arange(len(table)))
    assert "417" not in fit(numbered, cost="total", person="number", where="number != 417", sets=0).provenance["where"]


@pytest.mark.parametrize("n", [12, 40, 90])
@pytest.mark.parametrize("family", ["empirical", "gamma", "auto"])
def test_the_mean_of_a_law_does_not_tell_who_outweighs_all_others(n: int, family: str) -> None:
    """Without a tail a law keeps the mean; less what is known of the others it would be his cost."""
    costs = np.random.default_rng(n).gamma(2.0, 300.0, n).round(2)
    costs[0] = 7_654_321.25
    model = fit({"c": costs}, cost="c", family=family, sets=5)
    text = model.model_text() + model.scenario_text()
    told = np.array([*numbers_in(text), *(float(v) for v in model.goodness["fitted"].values.ravel())])
    guesses = np.concatenate([told * k for k in (1, 10, n - 1, n)])
    assert not np.any(np.abs(guesses / costs[0] - 1) < 0.03)
    # a control: the plain mean gives him away
    assert abs(costs.mean() * n / costs[0] - 1) < 0.01


def test_a_cell_of_which_one_patient_makes_the_most_is_joined_to_others() -> None:
    from simulator.costs.fitting.empirical import quantile_table

    costs = np.sort(np.r_[np.random.default_rng(3).uniform(100, 200, 79), 3_000.0])
    table = quantile_table(sample_of(costs, np.ones(80)), 10).quantiles
    assert table is not None
    knots = np.array(list(table.values()))
    assert np.isclose(knots, costs[-20:].mean(), rtol=1e-5).any()  # here he makes less than half
    assert not np.isclose(knots, costs[-10:].mean(), rtol=2e-3).any()  # here he would make more


def test_a_rule_that_tells_all_would_be_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    table = planted()
    monkeypatch.setattr(
        goodness, "may_tell_above", lambda people, amounts, *_: np.ones((len(people), amounts.size), bool)
    )
    with pytest.raises(AssertionError):
        told_counts(fit(table, cost="total", segment="band", sets=0), table)


def reconstructions(model: FittedModel, rows: int) -> list[float]:
    """What an attacker makes of the told figures of everybody: the total, the root of the squares, the excesses."""
    seen = {
        str(m): float(v)
        for m, v in zip(model.goodness["measure"].values, model.goodness["observed"].values[-1], strict=True)
    }
    found = [seen["mean"] * rows, seen["sd"] * np.sqrt(rows), seen["cv"] * seen["mean"] * np.sqrt(rows)]
    for name, value in seen.items():
        if name.startswith("excess above"):
            found.append(value * rows + float(name.split()[-1].replace(",", "")))
        if name.startswith("share of cost"):
            found.append(value * seen["mean"] * rows)
    return found


def test_nobody_who_outweighs_all_others_is_to_be_worked_out() -> None:
    table = planted()
    model = fit(table, cost="total", sets=0)
    guesses = np.array(reconstructions(model, len(table)))
    assert not np.any(np.abs(guesses / COST - 1) < 0.6)
    assert any("One patient makes more than half" in sentence for sentence in str(fit_report(model)).splitlines())
    # a control: without the rule the guesses come close
    told = table["total"].std(ddof=0) * np.sqrt(len(table)), table["total"].sum()
    assert all(abs(guess / COST - 1) < 0.6 for guess in told)


def test_what_one_segment_hides_the_others_do_not_give_away() -> None:
    model = fit(planted(), cost="total", segment="band", sets=0)
    seen = model.goodness["observed"].sel(measure=["mean", "sd"])
    assert np.isnan(seen.sel(segment="b")).all() and np.isnan(seen.sel(segment="everybody")).all()
    assert np.isfinite(seen.sel(segment=["a", "c"], measure="mean")).all()


def test_quantile_tables_rest_on_ten_patients_a_cell() -> None:
    from simulator.costs.fitting.empirical import quantile_table

    costs = np.sort(np.random.default_rng(3).lognormal(6, 1, 137))
    base = quantile_table(sample_of(costs, np.ones(137)), 10).quantiles
    assert base is not None
    # moving one bill by a penny moves a knot by no more than a tenth of it
    for patient in (0, 5, 68, 136):
        moved = costs.copy()
        moved[patient] *= 1.001
        other = quantile_table(sample_of(np.sort(moved), np.ones(137)), 10).quantiles
        assert other is not None
        shift = np.abs(np.array(list(other.values())) - np.array(list(base.values())))
        assert shift.max() <= 0.25 * 0.001 * costs[patient] + 1e-5 * costs.max()
    assert len(base) <= 2 * 13 + 1 and not np.isin(np.round(list(base.values()), 6), np.round(costs, 6)).any()


# ── errors tell sums of squares ──────────────────────────────────────────────────────────────────


def one_far_above(seed: int = 1) -> np.ndarray:
    """One patient makes a third of what lies above 3,000, less than half of the variance, and most of the squares."""
    random = np.random.default_rng(seed)
    return np.r_[random.gamma(4.0, 100.0, 370), np.linspace(3_010, 3_990, 29), FAR].round(2)


def one_in_between(middle: float) -> np.ndarray:
    """Between 1,000 and 4,000 stand ten patients near the lower end, and one in the middle."""
    between = np.r_[np.linspace(1_005, 1_250, 10), middle]
    return np.r_[np.linspace(20, 990, 360), between, np.linspace(4_010, 5_900, 40)].round(2)


FAR, MIDDLE = 12_000.0, 2_500.0


def from_squares(model: FittedModel, rows: int) -> np.ndarray:
    """Costs that follow from told errors: the root of the squares between each two amounts, and above each."""
    told = model.curves.isel(segment=-1)
    kept = np.isfinite(told["observed_limited_mean_se"].values)
    amounts, mean, error, above = (
        told[name].values[kept]
        for name in ("amount", "observed_limited_mean", "observed_limited_mean_se", "observed_p_above")
    )
    squares = rows * (rows * error**2 + mean**2)
    sd, all_mean = (float(model.goodness["observed"].isel(segment=-1).sel(measure=name)) for name in ("sd", "mean"))
    ends = [*zip(amounts, mean, squares, above, strict=True), (np.inf, all_mean, rows * (sd**2 + all_mean**2), 0.0)]
    guesses = []
    for first, (low, low_mean, low_squares, _) in enumerate(ends[:-1]):
        for high, high_mean, high_squares, high_above in ends[first + 1 :]:
            top = 0.0 if np.isinf(high) else rows * high_above
            far = 0.0 if np.isinf(high) else high
            gap = rows * (high_mean - low_mean) - (top * (far - low) if top else 0.0)
            between = high_squares - low_squares - (top * (far**2 - low**2) if top else 0.0) - 2 * low * gap
            guesses.append(low + np.sqrt(max(between, 0.0)))
    return np.array(guesses)


def lift_the_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curve_errors, "squares_told", lambda samples, amounts, told: told)


def test_who_makes_most_of_the_squares_above_an_amount_is_not_to_be_worked_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    costs = one_far_above()
    asked: dict[str, Any] = {"cost": "c", "thresholds": [3_000.0], "tail_above": np.inf, "family": "gamma", "sets": 0}
    model = fit({"c": costs}, **asked)
    seen = model.goodness["observed"].isel(segment=-1)
    assert np.isfinite(seen.sel(measure=["sd", "mean up to 3,000"])).all()  # else there is nothing to work out
    assert np.isnan(seen.sel(measure="sd up to 3,000"))
    last = model.curves.isel(segment=-1).sel(amount=3_000.0)
    assert np.isfinite(last["observed_limited_mean"]) and np.isnan(last["observed_limited_mean_se"])
    lift_the_rule(monkeypatch)
    loose = fit({"c": costs}, **asked)
    assert np.isfinite(loose.curves["observed_limited_mean_se"].isel(segment=-1).sel(amount=3_000.0))
    assert np.abs(from_squares(loose, costs.size) / FAR - 1).min() < 0.1


def test_who_makes_most_of_the_squares_between_two_amounts_is_not_to_be_worked_out() -> None:
    sample, amounts = sample_of(one_in_between(MIDDLE), np.ones(411)), np.array([500.0, 1_000.0, 4_000.0])
    limited, error = sample.limited_mean(amounts), np.array([sample.limited_sd(d) for d in amounts]) / np.sqrt(411)
    squares = 411 * (411 * error**2 + limited**2)
    gap = 411 * (limited[2] - limited[1]) - 40 * 3_000.0
    alone = squares[2] - squares[1] - 40 * (4_000.0**2 - 1_000.0**2) - 2_000.0 * gap
    assert abs(1_000.0 + np.sqrt(alone) - MIDDLE) < 0.15 * 1_500.0  # what the two errors would tell
    kept = curve_errors.squares_told([sample], amounts, np.ones((1, 3), bool))
    assert kept.tolist() == [[True, False, True]]
    # a control: without him the same amounts are told
    others = sample_of(one_in_between(MIDDLE)[one_in_between(MIDDLE) != MIDDLE], np.ones(410))
    assert curve_errors.squares_told([others], amounts, np.ones((1, 3), bool)).all()


def test_squares_that_one_segment_hides_the_sum_over_all_does_not_give_away() -> None:
    amounts, told = np.array([500.0, 1_000.0, 4_000.0]), np.ones((4, 3), bool)
    plain = [sample_of(np.random.default_rng(seed).gamma(1.0, 1_500.0, 2_000), np.ones(2_000)) for seed in (1, 2)]
    hiding = sample_of(one_in_between(MIDDLE), np.ones(411))
    kept = curve_errors.squares_told([*plain, hiding, together([*plain, hiding])], amounts, told)
    assert kept[:2].all() and not kept[2, 1] and kept[3].tolist() == [True, False, True]
    # everybody's own squares are no reason to be silent: that is the control
    assert curve_errors.squares_told([together([*plain, hiding])], amounts, told[:1]).all()
    # two who hide are told together where nobody makes most of both, and not where somebody does
    for middle, is_told in ((1_600.0, False), (MIDDLE, True)):
        second = sample_of(one_in_between(middle), np.ones(411))
        kept = curve_errors.squares_told(
            [hiding, second, plain[0], together([hiding, second, plain[0]])], amounts, told
        )
        assert not kept[:2, 1].any() and bool(kept[3, 1]) is is_told, middle


def test_top_shares_have_no_error_where_it_would_tell_of_one_patient() -> None:
    """The error of a top share holds the squares of all above it, whoever they are."""
    costs = np.r_[np.random.default_rng(4).gamma(2.0, 300.0, 3_000), 40_000.0].round(2)
    told = fit({"c": costs}, cost="c", family="gamma", tail_above=np.inf, sets=0).curves.isel(segment=-1)
    assert np.isfinite(told["observed_top_share"]).sum() > 5 and np.isnan(told["observed_top_share_se"]).all()
    assert np.isfinite(told["observed_cell_mean_se"]).sum() > 3
    top = np.flatnonzero(np.isfinite(told["observed_cell_mean"].values))[-1]
    assert np.isnan(told["observed_cell_mean_se"].values[top])
    without = fit({"c": costs[:-1]}, cost="c", family="gamma", tail_above=np.inf, sets=0).curves.isel(segment=-1)
    seen = np.isfinite(without["observed_top_share"].values)
    assert np.isfinite(without["observed_top_share_se"].values[seen]).any()


def test_errors_have_two_figures_and_none_stands_without_its_figure() -> None:
    for family in ("auto", "empirical"):
        curves = fit(planted(), cost="total", segment="band", family=family, sets=0).curves
        for what in ("p_above", "limited_mean", "top_share", "cell_mean"):
            observed, error = curves[f"observed_{what}"].values, curves[f"observed_{what}_se"].values
            assert not np.any(np.isfinite(error) & ~np.isfinite(observed))
            given = error[np.isfinite(error)]
            assert given.size and np.all(given > 0)
            assert all(float(f"{one:.1e}") == one for one in given.tolist())
