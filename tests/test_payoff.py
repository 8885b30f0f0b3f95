"""Payoffs without draws agree with the ladders."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import ROOT, UNITS, make
from ladders import LADDER, settled

import simulator as sim
from simulator.contracts.design import Design
from simulator.errors import SimulatorError
from simulator.present.answers.payoff import page as payoff_report
from simulator.settlement.payoff import EXPECTED, payoff
from simulator.settlement.populations import Populations
from simulator.settlement.settle import settle
from simulator.settlement.year import ContractYear

SHARED = Design(name="shared", terms=[{"kind": "minimum_rate"}, {"kind": "share", "gain": 0.5, "loss": 0.3}])
AQC = Design(
    name="quality",
    quality={"measures": [{"name": "m", "target": 1.0, "minimum": 0.0, "mean": 0.4, "sd": 0.1}]},
    terms=[{"kind": "quality_multiplier"}],
    parties=[{"name": "insurer", "funds": 1.0}, {"name": "group", "delivers": 1.0}],
)


def test_payoff_is_the_ladder():
    curve = payoff(SHARED, LADDER, members=1, capitation=1_000.0)["surplus"].sel(design="shared", party="provider")
    assert curve.values.round(6).tolist() == settled(SHARED.terms, members=1)


def test_payoff_covers_the_usual_range_and_parties_of_all_designs():
    curves = payoff([SHARED, AQC])
    assert curves["surplus"].dims == ("cost_ratio", "design", "party")
    assert float(curves["cost_ratio"].min()) == 0.90
    assert float(curves["cost_ratio"].max()) == 1.10
    wide = payoff([SHARED, AQC], between=(0.7, 1.305))["cost_ratio"].values
    assert (wide[0], wide[-1]) == (0.7, 1.305) and set(np.round(np.arange(70, 131) / 100, 2)) <= set(wide)
    assert float(abs(curves["payment"].sum("party")).max()) < 1e-9 * 1e8
    assert not curves["surplus"].sel(design="shared", party="group").any()


def test_quality_is_the_expected_one_unless_given():
    expected, best = (payoff(AQC, (0.9,), score=score)["settlement"].item() for score in (None, 1.0))
    assert expected == pytest.approx(0.4 * 1e7)
    assert best == pytest.approx(1e7)


def test_budget_that_a_design_names():
    named = Design(name="fee", budget={"kind": "per_head", "amount": 494.0})
    assert payoff(named, (0.9,), members=1_000)["budget"].item() == 494_000
    waterfall = Design(
        name="board", budget={"kind": "waterfall", "current_spend": 3.6e6, "saving": 0.6e6, "members": 12_000}
    )
    assert payoff(waterfall, (0.9,), members=12_000)["budget"].item() == pytest.approx(3.0e6)


def test_no_designs():
    with pytest.raises(SimulatorError, match="none are given"):
        payoff([])


def test_what_a_budget_names_besides_its_amount():
    board = {"kind": "waterfall", "current_spend": 3.6e6, "saving": 0.6e6, "transition": 0.3e6, "members": 12_000}
    curve = payoff(Design(name="transition", budget=board), (1.0,), members=12_000)
    assert curve["budget"].item() == pytest.approx(3.3e6)
    assert curve["funding"].sum("party").item() == pytest.approx(3.0e6)  # what care costs once the cost is out
    reach = Design(name="reach", budget={"kind": "per_head", "discount": [0.02, 0.03], "trend": 0.1}, year=2)
    curve = payoff(reach, (1.0,), members=1_000)
    assert curve["budget"].item() == pytest.approx(1e6 * 0.97 * 1.1)
    assert curve["surplus"].sel(party="payer").item() == pytest.approx(1e6 - 1.067e6)


def test_a_scenario_tells_what_is_expected():
    scenario = make(population={"units": UNITS})
    design = Design(name="capped", exclusion={"kind": "cap", "at": 5_000.0})
    curve = payoff(design, (1.0,), scenario=scenario)
    assert curve["funding"].sum("party").item() > curve["budget"].item() > 0
    assert (curve.attrs["expected"], curve.attrs["members"]) == (EXPECTED, 185)
    with pytest.raises(SimulatorError, match="must be 185, the people of all units"):
        payoff(design, scenario=scenario, members=100)


# ── straight lines between its points are the payoff itself ──────────────────────────────────────

BETWEEN = (0.85, 1.15)
GRID = np.round(np.arange(85, 116) / 100, 2)


def gap(designs, curve_ratios, **known):
    """Largest error of straight lines between the points of a payoff, a share of the budget."""
    rng = np.random.default_rng(2)
    told = payoff(designs, curve_ratios, between=BETWEEN, **known)
    points = told["cost_ratio"].values
    tried = np.unique(np.concatenate([rng.uniform(*BETWEEN, 4_000), np.round(rng.uniform(*BETWEEN, 300), 3)]))
    tried = tried[np.abs(tried[:, None] - points[None, :]).min(axis=1) > 1e-7]  # jumps are as wide as their two sides
    there = payoff(designs, tried, **known)
    return max(
        float((abs(told[name].interp(cost_ratio=tried) - there[name]) / there["budget"]).max())
        for name in ("surplus", "settlement", "payment", "own_cost")
    )


GATE = {"kind": "minimum_rate", "rate": 0.02}
BENT = {
    "gate": [GATE, {"kind": "share", "gain": 0.5, "loss": 0.5}],
    "gate at 2.37%": [
        {"kind": "minimum_rate", "rate": 0.0237, "loss_rate": 0.0111},
        {"kind": "share", "gain": 0.5, "loss": 0.5},
    ],
    "half if missed": [GATE | {"share_if_missed": 0.5}, {"kind": "share", "gain": 0.3, "loss": 0.3}],
    "beyond the gate": [GATE | {"first_dollar": False, "rate": 0.0233}],
    "bands": [
        {
            "kind": "bands",
            "gains": [{"upto": 0.0123, "rate": 0.2}, {"upto": 0.0456, "rate": 0.5}, {"upto": 1.0, "rate": 0.1}],
        }
    ],
    "close together": [
        {
            "kind": "bands",
            "gains": [{"upto": 0.0200, "rate": 0.0}, {"upto": 0.0203, "rate": 1.0}, {"upto": 1.0, "rate": 0.0}],
        }
    ],
    "limits": [{"kind": "gain_cap", "of_budget": 0.0333}, {"kind": "loss_limit", "of_budget": 0.0222}],
    "stop-loss": [{"kind": "aggregate_stop_loss", "attachment": 0.0177, "share_above": 0.1, "limit": 0.05}],
    "cost and volume": [{"kind": "cost_and_volume", "threshold": 0.987, "ceiling": 1.0432, "marginal_price": 0.4}],
    "everything": [
        GATE,
        {"kind": "share", "gain": 0.5, "loss": 0.6},
        {"kind": "haircut", "keep": 0.98},
        {"kind": "gain_cap", "of_budget": 0.041},
        {"kind": "loss_limit", "of_budget": 0.037},
    ],
}


@pytest.mark.heavy
@pytest.mark.parametrize("terms", BENT.values(), ids=BENT)
def test_a_payoff_has_a_point_at_every_kink_and_jump(terms):
    design = Design(name="bent", terms=terms)
    assert gap(design, None) < 1e-7
    assert gap(design, GRID) > 1e-4  # the control: whole per cents alone are not enough


def test_a_gate_is_no_ramp():
    """At 98% half of the saving is paid, and nothing at 98.5%: whole per cents alone drew a ramp from 98% to 99%."""
    curve = payoff(Design(name="gate", terms=BENT["gate"]))["settlement"].squeeze("design") / 1e8
    ratios = curve["cost_ratio"].values
    (side,) = ratios[(ratios > 0.98) & (ratios < 0.99)]
    assert 0.98 < side < 0.98 + 1e-7
    assert curve.sel(cost_ratio=[0.98, side, 0.99]).values == pytest.approx([0.01, 0.0, 0.0])
    (side,) = ratios[(ratios > 1.01) & (ratios < 1.02)]
    assert curve.sel(cost_ratio=[side, 1.02]).values == pytest.approx([0.0, -0.01])


def test_points_are_round_where_the_contract_is():
    limits = payoff(Design(name="limits", terms=BENT["limits"]))["cost_ratio"].values
    assert {0.9667, 1.0222} <= set(limits) and limits.size == 21 + 2


@pytest.mark.parametrize("between", [(1.1, 0.9), (0.0, 1.0), (1.0, 1.0), (0.9, math.inf)])
def test_a_range_without_room_is_refused(between):
    with pytest.raises(SimulatorError, match="between"):
        payoff(SHARED, between=between)


# ── every arrangement: the payoff is what `settle` gives to a replicate of that cost ─────────────

FILES = sorted((ROOT / "configs" / "arrangements").glob("*.toml"))
FACTORS = (0.9, 1.0, 1.15)


def constant(scenario):
    """Replicates that cost a factor of what is expected, nothing else out of line."""
    ledger = sim.simulate(scenario.with_simulation(replicates=len(FACTORS)), progress=False).copy(deep=True)
    expected = Populations(ledger)
    factors = np.array(FACTORS)[:, None]
    for name in ("excess_cost", "above_cost", "n_above"):
        ledger[name][...] = 0.0
        ledger[name] = ledger[name].astype(float)
    for threshold in ledger["threshold"].values[np.isfinite(ledger["threshold"].values)]:
        kept = expected.expected_retained(sim.Cap(at=float(threshold)))
        ledger["excess_cost"].loc[{"threshold": threshold}] = expected.expected_gross - kept
        ledger["n_above"].loc[{"threshold": threshold}] = expected.expected_above(float(threshold))
    ledger["gross_cost"][...] = factors * expected.expected_gross
    for name, people in (expected.usual_members() if "members" in ledger else {}).items():
        ledger["members"].loc[{"segment": name}] = people
    if "shock_factor" in ledger:
        ledger["shock_factor"][...] = 1.0
    return ledger


def moved_by_cost_alone(design):
    """Whether nothing but total cost drives the design's payoff."""
    drawn = design.quality is not None and design.quality.draws
    return not drawn and design.follows_patients is None and design.budget.kind != "past_years"


def without_memory(design):
    """The design with a benchmark that does not move with this year's luck."""
    if design.budget.kind != "past_years":
        return design
    return design.model_copy(update={"budget": design.budget.model_copy(update={"correlation": (0.0,)})})


def differences(scenario, designs):
    """Largest difference of payoff and settle, as a share of the budget, for each design."""
    ledger = constant(scenario)
    outcome = settle(ledger, designs).isel(population_size=-1)
    populations = Populations(ledger)
    found = {}
    for design in designs:
        settled_one = outcome.sel(design=design.name)
        budget = settled_one["budget"].values[0]
        cost = ContractYear(populations, design, design.exclusion).cost[:, -1]  # what the design itself saves is out
        curve = payoff(design, cost / budget, scenario=scenario).isel(design=0)
        parties = [party.name for party in design.parties]
        gaps = [
            abs(curve[name].sel(party=parties).values - settled_one[name].sel(party=parties).values).max()
            for name in ("surplus", "payment", "funding", "cost_borne")
        ]
        found[design.name] = max(*gaps, abs(float(curve["budget"]) - budget)) / budget
    return found


def every_second(first):
    """Arrangements of which every second is ordinary: the one test has those that the other leaves to the slow lane."""
    return [
        pytest.param(file, id=file.stem, marks=() if k % 2 == first else pytest.mark.slow)
        for k, file in enumerate(FILES)
    ]


@pytest.mark.heavy
@pytest.mark.parametrize("file", every_second(0))
def test_straight_lines_are_the_payoff_of_every_arrangement(file):
    scenario = sim.load(file)
    assert gap(scenario.designs, None, scenario=scenario) < 1e-6


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("file", every_second(1))
def test_payoff_is_what_settle_gives_at_that_cost(file, monkeypatch):
    scenario = sim.load(file)
    by_cost = [design for design in scenario.designs if moved_by_cost_alone(design)]
    found = differences(scenario, by_cost) if by_cost else {}
    monkeypatch.setattr(Populations, "deviates", lambda self, purpose, count: np.zeros((len(FACTORS), count)))
    drawn = [without_memory(design) for design in scenario.designs if not moved_by_cost_alone(design)]
    found |= differences(scenario, drawn) if drawn else {}
    assert set(found) == {design.name for design in scenario.designs}
    assert max(found.values()) < 1e-9, found


def test_a_payoff_without_its_scenario_would_be_noticed():
    scenario = sim.load(next(file for file in FILES if file.name.startswith("32-")))
    outcome = settle(constant(scenario), scenario.designs).isel(population_size=-1, replicate=1)
    reinsured = scenario.designs[1]
    budget = float(outcome["budget"].sel(design=reinsured.name))
    ratio = 1.0 - float(outcome["settlement"].sel(design=reinsured.name)) / budget
    curve = payoff(reinsured, (ratio,), members=30_000).isel(design=0, cost_ratio=0)
    settled_here = outcome["surplus"].sel(design=reinsured.name, party="fundholders")
    gap = float(curve["surplus"].sel(party="fundholders") - settled_here)
    assert abs(gap) > 1e-3 * budget  # the premium's loading


def test_with_what_nobody_bears_a_payoff_adds_up():
    parties = [{"name": "payer", "funds": 1.0}, {"name": "trust", "delivers": 1.0, "variable_share": 0.6}]
    design = sim.Design.model_validate({"name": "d", "parties": parties})
    curve = sim.payoff(design, [0.9, 1.0, 1.1]).isel(design=0)
    # of 10% too much, 4% is fixed cost that was there already
    assert (curve["own_cost"] / curve["budget"]).values == pytest.approx([0.04, 0.0, -0.04])
    together = (curve["surplus"].sum("party") + curve["own_cost"]) / curve["budget"]
    assert together.values == pytest.approx([0.1, 0.0, -0.1])
    assert (curve["surplus"].sum("party") / curve["budget"]).values == pytest.approx([0.06, 0.0, -0.06])


def test_the_payoff_page_has_a_column_for_what_nobody_bears_where_there_is_any():
    parties = [{"name": "payer", "funds": 1.0}, {"name": "trust", "delivers": 1.0, "variable_share": 0.6}]
    fixed, free = (
        payoff_report(sim.payoff(sim.Design.model_validate({"name": "d", "parties": [parties[0], trust]})))
        for trust in (parties[1], parties[1] | {"variable_share": 1.0})
    )
    table = next(part for part in fixed.parts if not isinstance(part, str))
    assert table.head[-1] == "nobody here" and ["110%", "−6.00%", "−4.00%"] in [
        [str(cell) for cell in (row[0], *row[-2:])] for row in table.rows
    ]
    assert "nobody here −4.00%" in fixed.verdict[0] and "each row adds up" in fixed.parts[-1]
    assert "nobody" not in str(free)


def test_the_page_has_a_row_for_either_side_of_a_gate_and_none_for_another_designs():
    gate, plain = (Design(name=name, terms=BENT[name][k:]) for name, k in (("gate at 2.37%", 0), ("gate", 1)))
    page = payoff_report(payoff([gate, plain]))
    first, second = (part for part in page.parts if not isinstance(part, str))
    labels = [row[0] for row in first.rows]
    assert labels.index("just above 97.63%") == labels.index("97.63%") + 1
    assert labels.index("just below 101.11%") == labels.index("101.11%") - 1
    assert {row[0]: str(row[1]) for row in first.rows}["just above 97.63%"] == "0.00%"
    assert [row[0] for row in second.rows] == [f"{ratio}%" for ratio in range(90, 111, 2)]
