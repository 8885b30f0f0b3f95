"""How long a pool lasts: simulated contracts against a recursion on the exact distribution of a single year."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import alone

import simulator as sim

OPENING, GAINS, STEP = 0.30, 0.1, 0.004
SEVERITY = {"family": "lognormal", "mean": 1_000.0, "cv": 1.2}
FEW = {"replicates": 3_000, "population_sizes": [100], "thresholds": [float("inf")], "seed": 4}
PARTIES = [{"name": "payer", "funds": 1.0}, {"name": "provider", "delivers": 1.0}, {"name": "pool"}]
POOL = {"kind": "risk_pool", "pool": "pool", "protects": ["provider"], "carries": True, "from_gains": GAINS}
PERSISTENT = {"correlation": {"1": 0.6, "3": 0.5}}


def outcome(persistence, opening=OPENING, **changes):
    years = {"contract": 4, "persistence": persistence}
    scenario = alone(SEVERITY, years=years, simulation=FEW, population={"membership": "held"})
    pool = POOL | {"opening": opening} | changes
    asked = sim.Design(name="pooled", parties=PARTIES, transfers=[pool])
    return sim.settle(sim.simulate(scenario, progress=False), asked)


@pytest.fixture(scope="module")
def settled():
    return {name: outcome(what) for name, what in (("none", "none"), ("persistent", PERSISTENT))}


def by_recursion(years):
    """P(exhausted by year t) of independent years, on a grid of balances, from the exact law of one year."""
    one = alone(SEVERITY, simulation=FEW)
    margins = np.arange(-0.6, 1.2, STEP)
    above = sim.exact(one, margins=margins.tolist())["p_overspend"].values.reshape(-1)
    chances, loss = -np.diff(above), (margins[1:] + margins[:-1]) / 2  # of the budget
    chances[0] += 1 - above[0]
    balances = np.arange(0, 4, STEP)
    held, gone, told = np.zeros(balances.size), 0.0, []
    held[round(OPENING / STEP)] = 1.0
    for _ in range(years):
        after = np.zeros_like(held)
        for chance, lost in zip(chances, loss, strict=True):
            moved = np.where(held > 0, balances - np.where(lost > 0, lost, GAINS * lost), np.nan)
            short = moved < 0  # what is left is nothing, and it may be exhausted again
            gone_now = held[short].sum() * chance
            gone += gone_now
            place = np.clip(np.nan_to_num(moved) / STEP, 0, balances.size - 2)
            low = np.floor(place).astype(int)
            stays = (held > 0) & ~short
            np.add.at(after, low[stays], (held * chance * (1 - place + low))[stays])
            np.add.at(after, low[stays] + 1, (held * chance * (place - low))[stays])
        held = after
        told.append(gone)
    return np.array(told)


def test_independent_years_exhaust_a_pool_as_the_exact_law_of_one_year_says(settled):
    """And persistent costs exhaust it more often: the model of independent years fails there."""
    expected = by_recursion(4)
    found = {name: sim.over_years(one) for name, one in settled.items()}
    z = {
        name: (one["p_exhausted"].values.ravel() - expected) / np.sqrt(expected * (1 - expected) / FEW["replicates"])
        for name, one in found.items()
    }
    assert np.abs(z["none"]).max() < 4, (expected, z)
    assert z["persistent"][1:3].min() > 6, z
    low, high = (bound.ravel() for bound in found["none"]["p_exhausted_interval"].transpose("bound", ...).values)
    share = found["none"]["p_exhausted"].values.ravel()
    assert (low < share).all() and (share < high).all()


@pytest.mark.parametrize("terms", [{}, {"interest": 0.05, "target": 0.2, "cap": 0.6}], ids=["plain", "limited"])
def test_the_opening_balance_that_is_needed_is_just_enough(terms):
    lasts = sim.over_years(outcome("none", **terms))
    needed = lasts["opening_needed"].item()
    assert 0 < lasts["opening_needed_se"].item() < 0.1 * needed
    for opening, low, high in ((needed * 1.001, 0.03, 0.05), (needed * 0.97, 0.05, 0.12)):
        again = sim.over_years(outcome("none", opening=opening, **terms))
        assert low <= again["p_exhausted"].sel(year=4).item() <= high


def test_a_pool_whose_cap_is_too_low_is_never_enough():
    answer = sim.over_years(outcome("none", cap=0.0))
    assert np.isinf(answer["opening_needed"].item())
    with pytest.raises(ValueError, match="earned by no balance"):
        sim.Design(name="a", parties=PARTIES, transfers=[POOL | {"carries": False, "interest": 0.1}])


def test_larger_populations_make_a_pool_last_and_a_party_stay():
    years = {"contract": 3, "persistence": "none"}
    scenario = alone(SEVERITY, years=years, simulation=FEW | {"replicates": 300, "population_sizes": [50, 400, 20_000]})
    exits = {"exit": {"party": "provider", "loss_over": 0.02, "years_running": 1}}
    asked = [
        sim.Design(name="pooled", parties=PARTIES, transfers=[POOL | {"opening": 0.25}]),
        sim.Design(name="leaves", contract=exits),
        sim.Design(name="neither"),
    ]
    ledger = sim.simulate(scenario, progress=False)
    answer = sim.over_years(sim.settle(ledger, asked))
    assert answer["size_pool_lasts"].values.tolist()[0] == 400 and np.isnan(answer["size_pool_lasts"][1:]).all()
    assert answer["size_nobody_leaves"].values.tolist()[1] == 20_000
    few = sim.over_years(sim.settle(ledger.isel(population_size=[0]), asked))
    assert np.isinf(few["size_pool_lasts"][0])  # none of the sizes is enough


def test_three_years_of_10_000_people_are_worth_16_981_independent_ones():
    """Bachmann and Bevan's 10,000 people over three years, with correlations of 0.4 and 0.35: 30,000 / 1.7667."""
    years = {"contract": 3, "persistence": {"correlation": {"1": 0.4, "2": 0.35}}}
    scenario = alone(SEVERITY, years=years, simulation=FEW, population={"membership": "held"})
    implied = sim.persistence(scenario)
    np.testing.assert_allclose(implied["correlation"].sel(lag=[1, 2]).values.ravel(), [0.4, 0.35], atol=1e-6)
    assert round(10_000 * implied["pooled_worth"].sel(years_pooled=3).item()) == 16_981


def test_answers_over_years_refuse_what_they_cannot_tell():
    scenario = alone(SEVERITY, simulation=FEW | {"replicates": 20})
    one = sim.settle(sim.simulate(scenario, progress=False), sim.Design(name="a"))
    with pytest.raises(sim.SimulatorError, match="is of one year"):
        sim.over_years(one)
