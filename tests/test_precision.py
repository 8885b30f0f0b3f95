"""Drawing on until a figure is precise enough."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import alone, make

import simulator as sim
from simulator.analysis.statistics.precision import Target, parse_target, simulate_until
from simulator.ledger import fingerprint


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("p_overspend(0.03) ± 0.002", Target("p_overspend", 0.03, 0.002)),
        ("p_overspend( 0.03 )+-0.002", Target("p_overspend", 0.03, 0.002)),
        ("cv ± 1e-3", Target("cv", None, 1e-3)),
        ("tvar(0.99) +/- 5000", Target("tvar", 0.99, 5_000.0)),
    ],
)
def test_targets_are_read(text: str, target: Target) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("p_overspend(0.03)", "not of the form"),
        ("skewness_cost ± 1", "not a statistic with an error"),
        ("cv(0.1) ± 0.01", "takes no level"),
        ("p_overspend ± 0.01", "needs its margin"),
        ("p_overspend(0.03) ± 0", "above 0"),
        ("p_overspend(0.0.3) ± 0.1", "not a number"),
    ],
)
def test_other_words_are_refused(text: str, word: str) -> None:
    with pytest.raises(sim.SimulatorError, match=word):
        parse_target(text)


def test_wilsons_half_width_is_scipys() -> None:
    from scipy import stats

    summary = sim.summarise(sim.simulate(make(), progress=False), margins=(0.05,))
    found = Target("p_overspend", 0.05, 1.0).half_widths(summary)
    events = round(float(summary["p_overspend"].isel(population_size=0, threshold=0, margin=0)) * 40)
    known = stats.binomtest(events, 40).proportion_ci(0.95, method="wilson")
    np.testing.assert_allclose(
        float(found.isel(population_size=0, threshold=0)), (known.high - known.low) / 2, rtol=1e-9
    )


@pytest.mark.heavy
def test_stops_as_soon_as_every_cell_is_narrow_and_says_why() -> None:
    target = parse_target("p_overspend(0.05) ± 0.02")
    ledger = simulate_until(make(), target, max_replicates=20_000)
    assert ledger.attrs["stopped_by"] == "target"
    assert ledger.sizes["replicate"] % 1_000 == 0
    assert target.reached(sim.summarise(ledger, margins=(0.05,)))
    before = ledger.isel(replicate=slice(0, ledger.sizes["replicate"] - 1_000))
    assert before.sizes["replicate"] == 0 or not target.reached(sim.summarise(before, margins=(0.05,)))


def test_stops_at_the_limit_and_says_so() -> None:
    ledger = simulate_until(make(), parse_target("p_overspend(0.05) ± 0.000001"), max_replicates=1_500)
    assert ledger.attrs["stopped_by"] == "max_replicates"
    assert ledger.sizes["replicate"] == 1_500


def test_blocks_are_the_draws_of_one_long_run() -> None:
    blocks = simulate_until(make(), parse_target("p_overspend(0.05) ± 0.000001"), max_replicates=2_000)
    whole = sim.simulate(make(simulation={"replicates": 2_000}), progress=False)
    assert fingerprint(blocks) == fingerprint(whole)


def test_a_statistic_without_a_finite_error_is_refused_before_any_draw() -> None:
    heavy = alone({"family": "pareto", "scale": 500.0, "alpha": 2.5})
    with pytest.raises(sim.SimulatorError, match="no finite error"):
        simulate_until(heavy, parse_target("sd_cost ± 1"))
    capped = alone({"family": "pareto", "scale": 500.0, "alpha": 2.5}, simulation={"thresholds": [5_000.0]})
    assert math.isfinite(float(simulate_until(capped, parse_target("sd_cost ± 1e9"))["gross_cost"].mean()))
