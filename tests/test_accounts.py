"""Who gains what: allocations, savings of a design's own, and every line of the parties' accounts."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

import simulator as sim
from simulator.contracts.design import designs_from
from simulator.errors import SimulatorError
from simulator.scenario import scenario_from
from simulator.settlement.outlook import outlook

RAW = {
    "title": "accounts",
    "simulation": {"replicates": 100, "population_sizes": [2_000], "thresholds": [5_000.0, float("inf")], "seed": 3},
    "population": {
        "membership": "fixed",
        "segments": [{"name": "all", "share": 1.0, "severity": {"family": "gamma", "mean": 1_000.0, "cv": 2.0}}],
    },
}
PARTIES = [{"name": "funder", "funds": 1.0}, {"name": "trust", "delivers": 0.6}, {"name": "clinic", "delivers": 0.4}]


def of(*designs, **parts):
    """A scenario with these designs, its outcome and their comparison."""
    named = [{"name": f"design {k}", "parties": PARTIES} | one for k, one in enumerate(designs)]
    scenario = scenario_from(RAW | parts | {"designs": named})
    outcome = sim.settle(sim.simulate(scenario), scenario.designs)
    return scenario, outcome, sim.compare(outcome)


def the(compared: xr.Dataset, name: str, party: str | None = None) -> float:
    one = compared[name].isel(design=0, population_size=0)
    return float(one if party is None else one.sel(party=party))


def test_a_saving_under_full_risk_is_the_providers_and_under_no_risk_the_funders():
    for terms, whose in ([], "trust"), ([{"kind": "no_risk"}], "funder"):
        _, outcome, compared = of(
            {"savings": 0.05, "terms": terms, "parties": [*PARTIES[:1], {"name": "trust", "delivers": 1.0}]}
        )
        assert the(compared, "expected_saved") == pytest.approx(
            0.05 * float(sim.simulate(scenario_from(RAW))["gross_cost"].mean())
        )
        gap = abs(the(compared, "expected_saving", whose) - the(compared, "expected_saved"))
        assert gap < 3 * the(compared, "expected_saving_se", whose) + 1e-6
        assert the(compared, "expected_unsaved") == pytest.approx(0.0, abs=1e-6)
        assert sim.compare(outcome).attrs["imbalance"] < 1e-9


def test_a_funder_without_an_allocation_has_the_cost_before_the_saving():
    scenario, outcome, _ = of({"savings": [0.1, 0.2], "year": 2})
    whole = 2_000 * 1_000.0
    assert np.allclose(outcome["funding"].sel(party="funder"), whole)
    assert np.allclose(outcome["system_cost"].isel(design=0), 0.8 * sim.simulate(scenario)["gross_cost"])


def test_cost_that_stays_is_saved_for_nobody():
    fixed = [PARTIES[0], {"name": "trust", "delivers": 1.0, "variable_share": 0.4}]
    _, outcome, _ = of({"savings": 0.05, "parties": fixed})
    saved, has = outcome["saved"], outcome["saving"].sum("party")
    gross = 2_000_000.0
    # six tenths of every deviation from the plan stay, the saving among them
    stays = 0.6 * (gross - 0.95 * saved / 0.05)
    assert np.allclose(saved - has, stays, atol=1e-6)


def test_an_allocation_is_what_a_funder_has_whatever_the_design():
    money = [{"funder": "funder", "per_head": 900.0, "growth": 0.02}]
    for year in (1, 3):
        _, outcome, _ = of({"year": year}, {"year": year, "savings": 0.1}, allocations=money)
        assert np.allclose(outcome["funding"].sel(party="funder"), 900.0 * 1.02 ** (year - 1) * 2_000)


def test_cost_grows_without_the_contract():
    growing = {"do_nothing": {"growth": 0.05, "years": 3}, "allocations": [{"funder": "funder", "per_head": 1_000.0}]}
    scenario, outcome, _ = of({"year": 3}, **growing)
    grown = 1.05**2 * sim.simulate(scenario)["gross_cost"]
    assert np.allclose(outcome["system_cost"].isel(design=0), grown)
    assert sim.compare(outcome).attrs["imbalance"] < 1e-9
    gap = outlook(scenario).isel(population_size=0)
    assert gap["gap_share"].values == pytest.approx([0.0, 0.05, 0.1025])
    assert gap["gap"].values[2] == pytest.approx(0.1025 * 2e6)
    assert "gap if nothing is done" in str(sim.table(sim.compare(outcome)))


def test_exact_surplus_knows_savings_and_growth():
    growing = {"do_nothing": 0.03}
    scenario, _, compared = of(
        {"savings": 0.04, "year": 2, "terms": [{"kind": "share", "gain": 0.5, "loss": 0.2}]}, **growing
    )
    exact = sim.exact_settlement(scenario)["expected_surplus"].isel(design=0, population_size=0)
    for party in ("funder", "trust", "clinic"):
        off = the(compared, "expected_surplus", party) - float(exact.sel(party=party))
        assert abs(off) < 4 * the(compared, "expected_surplus_se", party) + 1e-6


def test_detection_counts_a_saving_once():
    plain, stated = ({"terms": [{"kind": "share", "gain": 0.5, "loss": 0.0}], "savings": s} for s in (0.0, 0.08))
    found = sim.detection(of(plain, stated)[0], savings=[0.03])
    assert np.allclose(found["p_paid"].isel(design=0), found["p_paid"].isel(design=1))


COST = {"kind": "own_cost", "name": "setting up", "party": "trust", "of_budget": [0.02, 0.0]}
POOL = {"kind": "risk_pool", "pool": "pool", "contributions": {"funder": 0.02, "trust": 0.01}, "protects": ["clinic"]}


def test_set_up_cost_falls_on_its_party_in_its_year():
    for year, share in (1, 0.02), (2, 0.0):
        _, outcome, compared = of({"transfers": [COST], "year": year})
        assert float(outcome["line_mean"].sel(line="setting up", party="trust").squeeze()) == pytest.approx(
            -share * 2e6
        )
        assert compared.attrs["imbalance"] < 1e-9


def test_a_pool_goes_back_to_its_owners():
    pool = POOL | {"opening": 0.005}
    owned = pool | {"owners": {"funder": 2 / 3, "trust": 1 / 3}}
    parties = [*PARTIES, {"name": "pool"}]
    _, outcome, _ = of({"transfers": [owned], "parties": parties}, {"transfers": [pool], "parties": parties})
    kept = outcome["surplus"].sel(party="pool")
    assert np.allclose(kept.isel(design=0), 0.0, atol=1e-6)
    back = (outcome["surplus"].isel(design=0) - outcome["surplus"].isel(design=1)).sel(party="funder")
    opened = pool["opening"] * outcome["budget"].isel(design=1)
    assert np.allclose(back, 2 / 3 * (kept.isel(design=1) - opened))  # the opening was their money too
    with pytest.raises(SimulatorError, match="owners"):
        designs_from([{"name": "x", "parties": parties, "transfers": [POOL | {"owners": {"funder": 0.5}}]}])


@settings(max_examples=15, deadline=None)
@given(
    saved=st.sampled_from([0.0, 0.03, [0.02, 0.3]]), growth=st.sampled_from([-0.02, 0.0, 0.05]), year=st.integers(1, 3),
    varies=st.sampled_from([0.0, 0.4, 1.0]), has=st.sampled_from([None, 950.0]), cap=st.sampled_from([5_000.0, None]),
    transfers=st.lists(st.sampled_from([COST, POOL, POOL | {"owners": {"clinic": 1.0}}]), max_size=3),
)  # fmt: skip
def test_lines_add_up_and_nothing_is_lost(saved, growth, year, varies, has, cap, transfers):
    parties = [*PARTIES[:2], PARTIES[2] | {"variable_share": varies}, {"name": "pool"}]
    rule = {} if cap is None else {"exclusion": {"kind": "cap", "at": cap}}
    money = {} if has is None else {"allocations": [{"funder": "funder", "per_head": has, "growth": 0.01}]}
    own = {"savings": saved, "year": year, "parties": parties, "transfers": transfers} | rule
    _, outcome, compared = of({"parties": parties}, own, do_nothing=growth, **money)
    assert compared.attrs["imbalance"] < 1e-9
    lines = outcome["line_mean"].sum("line")
    xr.testing.assert_allclose(lines, outcome["surplus"].mean("replicate").transpose(*lines.dims), atol=1e-6)
    # Σ over parties of a change of design is the system's change
    change = outcome["surplus"].isel(design=1) - outcome["surplus"].isel(design=0)
    money_in = outcome["funding"].sum("party") - outcome["system_cost"]
    whole = money_in.isel(design=1) - money_in.isel(design=0)
    assert float(abs(change.sum("party") - whole).max()) < 1e-9 * 2e6


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"allocations": [{"funder": "nobody", "per_head": 1.0}]}, "funds no design"),
        ({"allocations": [{"funder": "funder", "per_head": 1.0}] * 2}, "second of 'funder'"),
        ({"do_nothing": -1.0}, "above -1"),
        ({"designs": [{"name": "x", "savings": 1.0}]}, "below 1"),
        ({"designs": [{"name": "x", "savings": 0.1, "saved_by": ["stranger"]}]}, "stranger"),
    ],
)
def test_what_cannot_be_is_one_sentence(parts, told):
    with pytest.raises(SimulatorError, match=told):
        scenario_from(RAW | {"designs": [{"name": "x", "parties": PARTIES}]} | parts)
    with pytest.raises(SimulatorError, match="do_nothing"):
        outlook(scenario_from(RAW))


# ── what the files of real arrangements say ──────────────────────────────────────────────────────


def exact_of(number: int, design: str) -> tuple[sim.Scenario, xr.DataArray]:
    """Exact expected surplus by party at the population that the source is about, the largest of the file."""
    (file,) = (ROOT / "configs" / "arrangements").glob(f"{number:02d}-*.toml")
    scenario = sim.load(file)
    chosen = [one for one in scenario.designs if one.name == design]
    found = sim.exact_settlement(scenario, chosen, sizes=scenario.population_sizes[-1:])
    return scenario, found["expected_surplus"].squeeze(drop=True)


def test_kinzigtal_the_payer_gains_half_of_five_and_a_half_million():
    scenario, surplus = exact_of(29, "shared savings")
    assert scenario.population_sizes[-1] == 32_000
    assert float(surplus.sel(party="sickness funds")) == pytest.approx(2.75e6, rel=0.01)
    assert float(surplus.sum()) == pytest.approx(5.5e6, rel=0.001)


def test_pennine_the_commissioner_gains_the_first_target():
    _, surplus = exact_of(24, "prime vendor, year 1")
    assert float(surplus.sel(party="commissioner")) == pytest.approx(2.1e6, abs=1e4)
    _, surplus = exact_of(24, "prime vendor, year 3")
    assert float(surplus.sel(party="commissioner")) == pytest.approx(5.0e6, abs=1e4)


def test_lewisham_prints_the_saving_the_incentive_and_the_ratio():
    scenario, surplus = exact_of(18, "joint management board")
    assert float(surplus.sel(party="commissioner")) == pytest.approx(300_000, abs=50)
    assert float(surplus.sel(party="provider")) == pytest.approx(
        350_000, abs=50
    )  # the incentive, and what is not drawn
    outcome = sim.settle(sim.simulate(scenario.with_simulation(replicates=20)), scenario.designs)
    lines = outcome["line_mean"].isel(population_size=-1).sel(design="joint management board", line="incentive")
    assert float(lines.sel(party="provider")) == pytest.approx(300_000)
    page = str(sim.table(sim.compare(outcome)))
    rows = page[page.index("What is affordable") :].splitlines()  # a narrow page has its columns in two tables
    row = " ".join(line for line in rows if line.startswith("joint management board"))
    assert "1.017" in row and row.count("£300k") == 2
    _, surplus = exact_of(18, "transition year")
    assert abs(float(surplus.sel(party="provider"))) < 50  # paid because cost is still there: no certain gain


def test_east_london_the_gap_if_nothing_is_done():
    gap = outlook(sim.load(ROOT / "configs" / "arrangements" / "15-east-london-payment-forms.toml"))
    last = gap.isel(population_size=-1, year=-1)
    assert float(last["gap_share"]) == pytest.approx(0.19, abs=0.005)
    assert float(last["gap"]) == pytest.approx(578e6, rel=0.005)


def test_demonstrator_pays_for_luck_in_six_to_nine_percent_of_years():
    scenario = sim.load(ROOT / "configs" / "arrangements" / "26-whole-system-demonstrator.toml")
    gated = [design for design in scenario.designs if "minimum" in design.name]
    found = sim.detection(scenario, gated, [0.08], replicates=2_000).isel(design=0)
    luck = found.sel(saving=0.0)
    assert ((luck["p_paid"] > 0.06 - 3 * luck["p_paid_se"]) & (luck["p_paid"] < 0.09 + 3 * luck["p_paid_se"])).all()
    assert float(found["p_paid"].sel(saving=0.08).isel(population_size=-1)) > 0.75
