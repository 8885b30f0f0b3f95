"""Every output variable is declared with its dims, unit, sentence and basis, and a file in another form is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import SHOCKS, UNITS, make

import simulator as sim
from simulator.analysis.answer import answer as answered
from simulator.analysis.designs.evaluation import evaluation
from simulator.analysis.designs.exact_comparison import with_exact
from simulator.analysis.size.grid import minimum_on_grid
from simulator.analysis.size.places import places
from simulator.analysis.size.viable import viable_terms
from simulator.contracts.search import Search
from simulator.fitting.fit import fit_bands
from simulator.ledger import COORDINATES, VARIABLES, by_unit, declared, read_dataset
from simulator.ledger.variables import KINDS, variables_of
from simulator.present.tidy import tidy
from simulator.runs import extend
from simulator.settlement.outlook import outlook
from simulator.stresses import Inflation, MeanCost, Range, Stress

SIZES = {"replicates": 60, "population_sizes": [300, 900], "thresholds": [5_000.0, math.inf]}
HALF = {"name": "half", "terms": [{"kind": "share", "gain": 0.5, "loss": 0.5}], "exclusion": {"kind": "cap", "at": 5e3}}
SCENARIO = make(
    simulation=SIZES, shocks=SHOCKS[:1], designs=[HALF, HALF | {"name": "swept", "exclusion": {"kind": "cap"}}]
)
SEARCH = Search.model_validate(
    {
        "figures": [{"path": "terms[0].gain", "between": [0.0, 1.0]}],
        "limits": [{"party": "provider", "worst": 0.9}],
    }
)
RANGES = [
    Range(name="prices", change=Inflation(by=0.0), low=-0.05, high=0.05),
    Range(name="costs", change=MeanCost(by=0.0), low=0.0, high=0.1),
]
YEARS = {"contract": 2, "before": 1, "persistence": {"correlation": {"1": 0.3}, "stay": 0.9}}
ORGANISATION, YEAR = (part.ravel() for part in np.meshgrid(np.arange(40), np.arange(1, 5), indexing="ij"))
RESULT = np.random.default_rng(4).normal(0.0, 0.03, 40)[ORGANISATION] + np.random.default_rng(5).normal(0, 0.02, 160)
PANEL = pd.DataFrame({"organisation": ORGANISATION, "year": YEAR, "people": 9_000.0, "result": RESULT})
EDGES = np.array([0, 300, 1_000, 3_000, 10_000, np.inf])
COSTS = np.random.default_rng(12).lognormal(6.4, 1.4, 20_000)
PLACE = np.searchsorted(EDGES, COSTS) - 1
BANDS = pd.DataFrame(
    {"band_low": EDGES[:-1], "band_high": EDGES[1:], "n": np.bincount(PLACE), "total": np.bincount(PLACE, COSTS)}
)


def contract_years() -> xr.Dataset:
    """A contract of two years with all that may hold between them."""
    parties = [{"name": "payer", "funds": 1.0}, {"name": "provider", "delivers": 1.0}, {"name": "pool"}]
    pool = {"kind": "risk_pool", "pool": "pool", "opening": 0.1, "protects": ["provider"], "carries": True}
    contract = {
        "carry": {"interest": 0.02}, "exit": {"party": "provider", "loss_over": 0.02},
        "investment": {"by": "provider", "set_up": 1e3},
    }  # fmt: skip
    design = sim.Design(name="all", parties=parties, transfers=[pool], contract=contract)
    years = make(years=YEARS, simulation={"replicates": 40})
    return sim.settle(sim.simulate(years, progress=False), design)


PARTS = {"providers": {"provider": 1.0}, "funders": {"payer": 1.0}}
DIVIDED = make(
    services=[{"name": "acute", "share": 0.6, **PARTS}, {"name": "other", "share": 0.4, "form": "block", **PARTS}],
    designs=[{"name": "by service", "services": {}, "parties": [{"name": "payer"}, {"name": "provider"}]}],
    simulation={"replicates": 40},
)


def services_drawn() -> xr.Dataset:
    return sim.simulate(DIVIDED, progress=False)


def of(ledger: xr.Dataset) -> dict[str, Callable[[], xr.Dataset]]:
    """Every public function that gives a Dataset, by its name; the last word tells several of one apart."""
    half = SCENARIO.designs[0]
    units = sim.simulate(make(simulation={"replicates": 40}, population={"units": UNITS}), progress=False)
    outcome = sim.settle(ledger, SCENARIO.designs)
    summary = sim.summarise(ledger)
    cv = {"at_most": 0.5, "largest": 5_000}
    over = {"margin": 0.1, "replicates": 40, "cross_check": False}
    return {
        "simulate": lambda: ledger,
        "simulate units": lambda: units,
        "extend": lambda: extend(ledger, SCENARIO, progress=False),
        "merge": lambda: sim.merge([ledger]),
        "summarise": lambda: summary,
        "summarise units": lambda: sim.summarise(by_unit(units)),
        "exact": lambda: sim.exact(SCENARIO),
        "exact_curve": lambda: sim.exact_curve(SCENARIO, sizes=(300, 900)),
        "fan": lambda: sim.fan(ledger),
        "exceedance": lambda: sim.exceedance(ledger),
        "funnel": lambda: sim.funnel(units),
        "minimum_population": lambda: sim.minimum_population(SCENARIO, "cv", method="exact", **cv),
        "minimum_population drawn": lambda: sim.minimum_population(SCENARIO, **over, **cv),
        "minimum_by_target": lambda: sim.minimum_by_target(summary),
        "minimum_on_grid": lambda: minimum_on_grid(sim.exact(SCENARIO), "cv", 0.2),
        "answer": lambda: answered(SCENARIO, margin=0.1, at_most=0.2),
        "answer units": lambda: answered(make(population={"units": UNITS}), margin=0.5),
        "places": lambda: places(make(population={"units": UNITS}), 0.5, 0.2),
        "viable_terms": lambda: viable_terms(SCENARIO, 900),
        "beside_published": lambda: sim.beside_published(SCENARIO),
        "year_covariance": lambda: sim.year_covariance(
            make(years=YEARS | {"before": 0})
        ),
        "persistence": lambda: sim.persistence(
            make(years=YEARS, population={"cohort": {"chosen": {"top": 0.1}}})),
        "pool_years": lambda: sim.pool_years(sim.simulate(make(years=YEARS), progress=False), {1: 1.0, 2: 1.0}),
        "spread": lambda: sim.spread(PANEL, deviation="result"),
        "backtest": lambda: sim.backtest(PANEL, 2.0, deviation="result", after=2),
        "evaluation": lambda: evaluation(0.08, 1.86, 3_000, 3_000),
        "luck": lambda: sim.luck(SCENARIO, 900, 0.04, replicates=40),
        "variance_by_source": lambda: sim.variance_by_source(SCENARIO),
        "settle": lambda: outcome,
        "settle saving": lambda: sim.settle(ledger, half.model_copy(update={"savings": 0.03})),
        "compare saving": lambda: sim.compare(sim.settle(ledger, half.model_copy(update={"savings": 0.03}))),
        "outlook": lambda: outlook(make(do_nothing=0.03, allocations=[{"funder": "payer", "per_head": 1e3}])),
        "settle units": lambda: sim.settle(by_unit(units), half.model_copy(update={"exclusion": sim.Cap(at=5e3)})),
        "compare": lambda: sim.compare(outcome),
        "simulate services": services_drawn,
        "compare services": lambda: sim.compare(sim.settle(services_drawn(), DIVIDED.designs)),
        "over_years": lambda: sim.over_years(contract_years()),
        "compare exact": lambda: with_exact(sim.compare(outcome)),
        "payoff": lambda: sim.payoff(half, scenario=SCENARIO),
        "exact_settlement": lambda: sim.exact_settlement(SCENARIO, [half]),
        "layers": lambda: sim.layers(ledger, half),
        "detection": lambda: sim.detection(SCENARIO, [half], savings=(0.02,), replicates=40),
        "fair_price": lambda: sim.fair_price(SCENARIO, 900, rule=sim.Cap(at=5e3)),
        "compare_rules": lambda: sim.compare_rules(SCENARIO, 900, expected_excess_pmpy=50.0),
        "stress": lambda: sim.stress(SCENARIO, [Stress(name="dearer", changes=(Inflation(by=0.02),))], [half]),
        "propose": lambda: sim.propose(SCENARIO, SEARCH, replicates=100, points=16),
        "reverse_stress": lambda: sim.reverse_stress(SCENARIO, Inflation(by=0.0), half, replicates=40),
        "sensitivity": lambda: sim.sensitivity(SCENARIO, RANGES, "cv", points=4),
        **{f"fit_bands {part}": lambda part=part: getattr(fit_bands(BANDS, sets=0), part)
           for part in ("goodness", "curves", "diagnostics")},
    }  # fmt: skip


NO_DATASET = """
Banded Cap CarveOut Coinsure Design PerHead Scenario SimulatorError by_unit calibrate describe fit load load_designs
load_minimum_rate load_stresses model_population open_ledger plots retained_cost save settle_actuals sweep table
viable_threshold
"""
"""Public names that give no Dataset, or those above."""


@pytest.fixture(scope="module")
def answers() -> dict[str, xr.Dataset]:
    ledger = sim.simulate(SCENARIO, progress=False)
    return {name: ask() for name, ask in of(ledger).items()}


@pytest.mark.heavy
def test_every_public_answer_is_asked_and_every_kind_is_seen(answers: dict[str, xr.Dataset]) -> None:
    asked = {name.split()[0] for name in answers} | set(NO_DATASET.split())
    assert not {name for name in sim.__all__ if callable(getattr(sim, name))} - asked
    assert {answer.attrs["answer"] for answer in answers.values()} == set(KINDS)


@pytest.mark.heavy
def test_every_variable_of_every_answer_is_declared(answers: dict[str, xr.Dataset]) -> None:
    for asked, answer in answers.items():
        known = variables_of(answer.attrs["answer"])
        for name in map(str, answer.data_vars):
            variable = known.get(name) or known[name.removesuffix("_se")]
            assert variable.fits(answer[name].dims), (asked, name, answer[name].dims)
            attrs = answer[name].attrs
            assert attrs["basis"] in ("drawn", "exact", "given"), (asked, name)
            assert attrs["units"] and attrs["long_name"] and "{" not in attrs["units"] + attrs["long_name"]
            if name.endswith("_se"):
                assert attrs["basis"] == "drawn" and "standard error" in attrs["long_name"]


@pytest.mark.heavy
def test_what_is_not_declared_is_refused(answers: dict[str, xr.Dataset]) -> None:
    answer = answers["fan"]
    with pytest.raises(LookupError, match=r"depth of kind 'fan' is not declared in simulator/ledger/variables\.py"):
        declared(answer.assign(depth=1.0), "fan")
    with pytest.raises(LookupError, match="overspend of kind 'fan' is declared over"):
        declared(answer.isel(quantile_level=0, drop=True), "fan")
    assert declared(answer.isel(quantile_level=0), "fan").sizes == answer.isel(quantile_level=0).sizes  # a part of it


@pytest.mark.heavy
def test_the_basis_says_what_is_exact(answers: dict[str, xr.Dataset]) -> None:
    rows = tidy(answers["compare exact"]).set_index("figure")["basis"]
    assert set(rows["exact_surplus"]) == {"exact"} and "exact" not in set(rows["sd_surplus"])
    reworded = answers["summarise"].copy()
    reworded["exact_mean"].attrs["long_name"] = "mean"
    reworded["cv"].attrs["long_name"] = "cv, exact"
    rows = tidy(reworded).set_index("figure")["basis"]
    assert set(rows["exact_mean"]) == {"exact"} and "exact" not in set(rows["cv"])


# ── files ────────────────────────────────────────────────────────────────────────────────────────

KEPT = ("exact", "minimum_population", "viable_terms", "luck", "settle", "stress", "sensitivity", "fit_bands curves")


def as_of_0_1(answer: xr.Dataset) -> xr.Dataset:
    old = answer.copy().assign_attrs()
    del old.attrs["answer"]
    for name in old.variables:
        old[name].attrs.pop("basis", None)
    return old


@pytest.mark.heavy
@pytest.mark.parametrize(
    "asked", [pytest.param(one, marks=pytest.mark.slow if k % 2 else ()) for k, one in enumerate(KEPT)]
)
def test_an_answer_is_read_back_and_so_is_one_of_version_0_1(
    answers: dict[str, xr.Dataset], asked: str, tmp_path: Path
) -> None:
    answer, old = answers[asked], as_of_0_1(answers[asked])
    for written in (answer, old):
        sim.save(written, tmp_path / "a.nc")
        read = read_dataset(tmp_path / "a.nc", "mend")
        xr.testing.assert_equal(read, answer)
        assert [read[name].attrs for name in answer.data_vars] == [one.attrs for one in answer.data_vars.values()]
    assert all("basis" not in old[name].attrs for name in old.data_vars)


FAULTS: dict[str, tuple[Callable[[xr.Dataset], xr.Dataset], str]] = {
    "unknown": (lambda one: one.assign(depth=1.0), r"holds depth, which is no variable of its kind \(luck\)"),
    "dims": (lambda one: one.assign(percentile=one["percentile"].isel(risk=0)), "holds percentile by threshold"),
    "unit": (
        lambda one: one.assign(percentile=one["percentile"].assign_attrs(units="GBP")),
        "holds percentile in GBP, not in 1",
    ),
}


@pytest.mark.heavy
@pytest.mark.parametrize("fault", list(FAULTS))
def test_another_form_is_refused_in_one_sentence(answers: dict[str, xr.Dataset], fault: str, tmp_path: Path) -> None:
    change, sentence = FAULTS[fault]
    sim.save(change(answers["luck"]), tmp_path / "a.nc")
    with pytest.raises(sim.SimulatorError, match=sentence) as refused:
        read_dataset(tmp_path / "a.nc", "name a file that `--out` wrote")
    assert str(refused.value).endswith("; name a file that `--out` wrote") and "\n" not in str(refused.value)


@pytest.mark.heavy
def test_a_run_with_what_no_run_has_is_refused(answers: dict[str, xr.Dataset], tmp_path: Path) -> None:
    sim.save(answers["simulate"].assign(depth=1.0), tmp_path / "a.nc")
    with pytest.raises(sim.SimulatorError, match="holds depth, which is no variable of its kind"):
        sim.open_ledger(tmp_path / "a.nc")
    sim.save(answers["simulate"].assign(dict(answers["summarise"].data_vars)), tmp_path / "b.nc")
    assert "mean_overspend_worst_5pc_se" in sim.open_ledger(tmp_path / "b.nc")


def test_a_ledger_is_declared_as_it_was() -> None:
    assert len(VARIABLES) == 30 and len(COORDINATES) == 12
    assert VARIABLES["n_above"].dims == ("replicate", "year?", "population_size", "threshold")
    assert np.all([variable.basis in ("drawn", "exact", "given") for variable in VARIABLES.values()])
