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
from conftest import every

import simulator as sim
from simulator.errors import SimulatorError
from simulator.fitting.disclose.disclosure import check_smallest
from simulator.fitting.fit import FittedModel, fit
from simulator.present.answers.fit import as_json
from simulator.present.answers.fit import page as fit_report
from simulator.present.cli.verbs.fit import fit as verb
from simulator.present.plots.fit_diagnostics import fit_diagnostics

ID = "ZQXJ8841773"
COST = 7_654_321.25
"""Far beyond everybody else's."""
MODEST = 1_234.5678
"""Among the others', and told apart only by its digits."""


def planted(n: int = 1_500) -> pd.DataFrame:
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


FAMILIES = every(3, ["empirical", "auto", "burr"])


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
        model = fit(path, cost="total", segment="band", person="nhs_number", family=request.param, sets=4)
    logging.getLogger().removeHandler(listener)
    model.to_toml(folder / "model.toml")
    model.to_scenario_toml(folder / "scenario.toml", sizes=[500], replicates=20)
    scenario = sim.load(folder / "scenario.toml")
    ledger = sim.simulate(scenario, progress=False)
    sim.save(ledger, folder / "ledger.nc")
    sim.save(sim.summarise(ledger), folder / "summary.nc")
    (folder / "plot.svg").touch()
    if request.param == "empirical":  # the same figures are in the curves
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


@pytest.mark.heavy
@pytest.mark.parametrize(
    "name",
    ["stdout", "stderr", "log", "model", "scenario", "repr", "report", "json", "goodness", "curves", "diagnostics",
     "population", "sets", "ledger", "plot", "summary", "doubt", "doubtful ledger"],
)  # fmt: skip
def test_the_planted_patient_is_nowhere(name: str, artefacts: dict[str, str]) -> None:
    assert_clean(artefacts[name], planted())
    assert "smith" not in artefacts[name]


@pytest.mark.heavy
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


@pytest.mark.heavy
def test_the_filter_is_kept_without_the_id() -> None:
    model = fit(planted(), cost="total", where=f"nhs_number != '{ID}'", sets=0, allow_identifying=True)
    assert model.provenance["where"] == "nhs_number != …"
    assert_clean(model.model_text(), planted())
    (dropped,) = model.report["dropped"]
    assert dropped["rows"] is None and dropped["share_of_cost"] is None


# ── small counts ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.heavy
@pytest.mark.no_cover
def test_the_smallest_count_goes_up_only() -> None:
    assert check_smallest(25) == 25
    for lower in (9, 0, -1, 10.0, True):
        with pytest.raises(SimulatorError, match="at least 10"):
            check_smallest(lower)  # type: ignore[arg-type]
    wider = fit(planted(), cost="total", segment="band", family="lognormal", smallest_count=50, sets=0)
    usual = fit(planted(), cost="total", segment="band", family="lognormal", sets=0)
    assert np.isnan(wider.goodness["observed"]).sum() > np.isnan(usual.goodness["observed"]).sum()


@pytest.mark.heavy
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


@pytest.mark.heavy
def test_a_condition_on_cost_or_id_is_told_without_its_values() -> None:
    table = planted()
    how: dict[str, Any] = {"cost": "total", "family": "lognormal", "sets": 0, "allow_identifying": True}
    model = fit(table, where=f"total != {MODEST} and band in ('a', 'b')", **how)
    assert model.provenance["where"] == "a condition on total and band in (…, …)"
    assert_clean(model.model_text() + str(fit_report(model)), table)
    numbered = table.assign(number=np.arange(len(table)))
    assert "417" not in fit(numbered, person="number", where="number != 417", **how).provenance["where"]


@pytest.mark.heavy
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


@pytest.mark.heavy
def test_nobody_who_outweighs_all_others_is_to_be_worked_out() -> None:
    table = planted()
    model = fit(table, cost="total", sets=0)
    guesses = np.array(reconstructions(model, len(table)))
    assert not np.any(np.abs(guesses / COST - 1) < 0.6)
    assert any("One or two patients outweigh" in sentence for sentence in str(fit_report(model)).splitlines())
    # a control: without the rule the guesses come close
    told = table["total"].std(ddof=0) * np.sqrt(len(table)), table["total"].sum()
    assert all(abs(guess / COST - 1) < 0.6 for guess in told)


@pytest.mark.heavy
@pytest.mark.no_cover
def test_what_one_segment_hides_the_others_do_not_give_away() -> None:
    model = fit(planted(), cost="total", segment="band", family="lognormal", sets=0)
    seen = model.goodness["observed"].sel(measure=["mean", "sd"])
    assert np.isnan(seen.sel(segment="b")).all() and np.isnan(seen.sel(segment="everybody")).all()
    assert np.isfinite(seen.sel(segment=["a", "c"], measure="mean")).all()


@pytest.mark.heavy
@pytest.mark.no_cover
def test_errors_have_two_figures_and_none_stands_without_its_figure() -> None:
    for family in ("lognormal", "empirical"):
        curves = fit(planted(), cost="total", segment="band", family=family, sets=0).curves
        for what in ("p_above", "limited_mean", "top_share", "cell_mean"):
            observed, error = curves[f"observed_{what}"].values, curves[f"observed_{what}_se"].values
            assert not np.any(np.isfinite(error) & ~np.isfinite(observed))
            given = error[np.isfinite(error)]
            assert given.size and np.all(given > 0)
            assert all(float(f"{one:.1e}") == one for one in given.tolist())
