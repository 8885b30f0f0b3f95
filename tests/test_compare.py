"""Designs side by side: figures against plain numpy, errors against repeated runs."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from conftest import KINDS, make

import simulator as sim
from simulator.contracts.design import Design
from simulator.ledger import by_unit
from simulator.settlement.compare import compare, comparison_json, comparison_rows
from simulator.settlement.settle import settle

DESIGNS = (
    Design(name="tariff", terms=[{"kind": "no_risk"}]),
    Design(name="shared", terms=[{"kind": "share", "gain": 0.5, "loss": 0.3}]),
    Design(
        name="alliance",
        parties=[
            {"name": "payer", "funds": 1.0},
            {"name": "hospital", "delivers": 0.5},
            {"name": "practices", "delivers": 0.5},
        ],
    ),
)
PLACE = {"design": "shared", "population_size": 100, "party": "provider"}


@pytest.fixture(scope="module")
def outcome():
    return settle(sim.simulate(make(simulation={"replicates": 4_000})), DESIGNS)


@pytest.fixture(scope="module")
def compared(outcome):
    return compare(outcome)


def test_figures_against_numpy(outcome, compared):
    surplus = outcome["surplus"].sel(PLACE).values
    row = compared.sel(PLACE)
    assert float(row["expected_surplus"]) == pytest.approx(surplus.mean())
    assert float(row["expected_surplus_se"]) == pytest.approx(surplus.std(ddof=1) / math.sqrt(4_000))
    assert float(row["sd_surplus"]) == pytest.approx(surplus.std(ddof=1))
    assert float(row["p_loss"]) == (surplus < 0).mean()
    assert row["worst_surplus"].values == pytest.approx(np.quantile(surplus, [0.05, 0.01]))
    revenue = outcome["payment"].sel(PLACE).values.mean()
    assert float(row["p_loss_over"]) == (surplus < -0.05 * revenue).mean()


def test_risk_shares_add_to_one(outcome, compared):
    share = compared["risk_share"]
    assert np.allclose(share.sum("party"), 1.0)
    total = outcome["surplus"].sum("party").sel(design="shared", population_size=100)
    by_hand = np.cov(outcome["surplus"].sel(PLACE), total)[0, 1] / total.values.var(ddof=1)
    assert float(share.sel(PLACE)) == pytest.approx(by_hand)
    assert float(share.sel(design="tariff", party="payer", population_size=100)) == pytest.approx(1.0)


def test_differences_are_paired(outcome, compared):
    both = outcome["surplus"].sel(population_size=100, party="payer")
    difference = (both.sel(design="shared") - both.sel(design="tariff")).values
    row = compared.sel(design="shared", population_size=100, party="payer")
    assert float(row["surplus_difference"]) == pytest.approx(difference.mean())
    assert float(row["surplus_difference_se"]) == pytest.approx(difference.std(ddof=1) / math.sqrt(4_000))
    unpaired = math.hypot(
        *(
            compared["expected_surplus_se"].sel(design=d, population_size=100, party="payer")
            for d in ("shared", "tariff")
        )
    )
    assert float(row["surplus_difference_se"]) < 0.7 * unpaired
    assert not compared["surplus_difference"].sel(design="tariff").any()


@pytest.fixture(scope="module")
def runs():
    """Forty runs of two hundred replicates each, which know their own sd to 11%."""
    ledger = sim.simulate(make(simulation={"replicates": 8_000, "population_sizes": [250]}))
    outcome = settle(ledger, DESIGNS[:2])
    return [compare(outcome.isel(replicate=slice(start, start + 200))) for start in range(0, 8_000, 200)]


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize(
    "figure", ["expected_surplus", "sd_surplus", "p_loss", "risk_share", "sd_difference", "worst_surplus"]
)
def test_standard_errors_are_those_of_repeated_runs(runs, figure):
    place = {"design": "shared", "party": "provider", "population_size": 250} | (
        {"quantile_level": 0.05} if figure == "worst_surplus" else {}
    )
    seen = np.std([float(run[figure].sel(place)) for run in runs], ddof=1)
    told = np.mean([float(run[f"{figure}_se"].sel(place)) for run in runs])
    assert 0.7 < told / seen < 1.4


def test_a_probability_without_an_event_still_has_an_error(outcome):
    kept = outcome.copy(deep=True)
    kept["surplus"] = abs(kept["surplus"])
    row = compare(kept).sel(PLACE)
    assert float(row["p_loss"]) == 0.0
    assert 0 < float(row["p_loss_se"]) < 0.001


def test_a_party_without_luck_has_an_exact_chance_of_loss(compared):
    provider, payer = (
        compared.sel(design="tariff", party=party, population_size=100) for party in ("provider", "payer")
    )
    assert float(provider["p_loss"]) == float(provider["p_loss_se"]) == float(provider["p_loss_over_se"]) == 0.0
    assert float(payer["p_loss_se"]) > 0


def test_what_was_triggered_and_what_protection_costs():
    parties = [{"name": "payer", "funds": 1.0}, {"name": "provider", "delivers": 1.0}, {"name": "reinsurer"}]
    design = Design(
        name="x",
        exclusion=sim.Cap(at=5_000.0),
        terms=[{"kind": "minimum_rate", "rate": 0.02}],
        parties=parties,
        protection={"payer": "reinsurer", "premium_from": "provider", "loading": 0.25},
    )
    outcome = settle(sim.simulate(make()), design)
    compared = compare(outcome)
    missed = compared["p_triggered"].sel(event="gate_missed", design="x")
    assert np.array_equal(missed, outcome["triggered"].sel(event="gate_missed", design="x") / 40)
    removed = outcome["funding"].sum("party") - outcome["budget"]
    assert np.allclose(compared["expected_protection_cost"], 0.25 * removed.mean("replicate"))
    told = comparison_json(compared)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    row = next(row for row in told["triggered"] if row["population_size"] == 250)
    assert (row["event"], row["design"]) == ("gate_missed", "x")
    assert row["p_triggered"] == float(missed.sel(population_size=250))
    assert told["imbalance"] < 1e-9


def test_units_are_compared_one_by_one():
    ledger = sim.simulate(make(**KINDS["units"]))
    rows = comparison_rows(compare(settle(by_unit(ledger), DESIGNS[:2])))
    assert {row["unit"] for row in rows} == {"north", "south", "old town"}
    assert len(rows) == 2 * 3 * 2


def test_a_loss_without_limit_keeps_its_sign(compared):
    endless = compared.assign(expected_surplus=compared["expected_surplus"] * 0 - np.inf)
    told = {row["expected_surplus"] for row in comparison_json(endless)["rows"]}
    assert "-inf" in told and "inf" not in told


def test_rows_are_plain_and_leave_absent_parties_out(compared):
    rows = comparison_rows(compared)
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert len(rows) == 3 * (2 + 2 + 3)
    assert {
        "design",
        "population_size",
        "party",
        "expected_payment",
        "expected_cost_borne",
        "expected_surplus",
        "sd_surplus",
        "p_loss",
    } <= set(rows[0])
    assert {
        f"{name}_se" for name in ("expected_payment", "expected_cost_borne", "expected_surplus", "sd_surplus", "p_loss")
    } <= set(rows[0])
    assert {"worst_0.05", "worst_0.01", "risk_share"} <= set(rows[0])
    assert compared.attrs["imbalance"] < 1e-9


def test_sweep_of_thresholds():
    ledger = sim.simulate(make(simulation={"replicates": 200}))
    swept = compare(settle(ledger, Design(name="swept", exclusion=sim.Cap())))
    assert swept["sd_surplus"].sizes["threshold"] == 3
    assert len(comparison_rows(swept)) == 3 * 3 * 2
    lower, none = (
        float(swept["sd_surplus"].sel(threshold=at, party="provider", population_size=250).item())
        for at in (5_000.0, math.inf)
    )
    assert lower < none
