"""Where features meet: every two levels of all features in one scenario, every verb, and what must hold whatever meets.

`features.py` has the features, one line a level; `covering.py` the rows in which all levels of two features meet. The
whole design stands in the slow lane, a thin sample of it in the fast one. A refusal must be one of `NEEDED`.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner
from covering import all_meetings, covering, meetings
from features import halved, in_quarters, names, raw_of, scenario_of, toml_of, turned

import simulator as sim
from simulator.analysis.stressed import truth_of
from simulator.contracts.design import with_reference
from simulator.ledger import fingerprint
from simulator.present.asked import Asked, open_any
from simulator.present.cli import main
from simulator.present.kinds import KINDS, drawable

NEEDED = {
    "percentiles by segment beside a rare service": "an event has no segment whose percentile it could meet",
    "has no threshold of its own": "every design of the file is swept: an answer for each point is what `settle` gives",
    "parameter_sets: are doubt of another kind": "ranges and sets are two ways to say the same doubt",
    "follows past years while patients leave with their capitation": "its agreed budget is not known by replicate",
    "withholds the observed costs": "the file holds no patient's cost, and the verb needs the law",
    "lies among observed costs, which shocks lift": "no exact law of steps that shocks move one by one",
    "observed costs": "the verb would tell of a patient",
}
"""Parts of the sentences that may refuse a scenario of the design, each with the reason."""

ALL = covering(names())
ROWS = [
    row for row in ALL if not {("thresholds", "percentiles by segment"), ("rare services", "in scope")} <= row.items()
]
EACH = pytest.mark.parametrize(
    "row", [pytest.param(row, marks=[] if k % 24 == 5 else [pytest.mark.slow], id=str(k)) for k, row in enumerate(ROWS)]
)

LIGHT = (
    "check S", "run S --out N --margin 0.1", "settle S", "settle N", "settle S --payoff", "stress S --out T",
)  # fmt: skip
"""Verbs that every row meets."""

HEAVY = (
    "run S --exact", "size S --margin 0.1 --at-most 0.2 --largest 50000 --replicates 40", "luck S --members 20000 --overspend 0.04",
    "size S --statistic p_loss --loss-over 0.1 --at-most 0.2 --replicates 40 --largest 50000", "size S --members 20000",
    "stress S --reverse provider --replicates 40", "sensitivity S --points 4 --statistic cv", "report N -o H.html --xlsx X.xlsx",
)  # fmt: skip
"""Verbs that ask the exact engine again and again, or draw pictures: one a row, in turn."""

LIGHT_KINDS = tuple(kind for kind in KINDS if kind not in ("exceedance-curve", "funnel", "tornado"))
"""Pictures whose figures cost little; the others have rows of their own in turn."""


# ── the design itself ────────────────────────────────────────────────────────────────────────────


def test_all_levels_of_two_features_meet():
    met = set().union(*map(meetings, ALL))
    assert met == all_meetings(names())
    assert len(ALL) < 80 and ALL == covering(names())


def test_a_row_too_few_is_found_out():
    assert all(set().union(*map(meetings, ALL[:k] + ALL[k + 1 :])) < all_meetings(names()) for k in (0, len(ALL) - 1))


def test_three_levels_of_two_features_need_all_nine_rows():
    assert len(covering({"a": "012", "b": "012"})) == 9


# ── every verb ───────────────────────────────────────────────────────────────────────────────────


def told(command, folder):
    """What a verb prints as JSON; None where it refuses with a sentence that is needed."""
    files = {"S": "s.toml", "N": "n.nc", "T": "t.nc", "H.html": "h.html", "X.xlsx": "x.xlsx"}
    arguments = [str(folder / files[word]) if word in files else word for word in command.split()]
    done = CliRunner().invoke(main, [*arguments, "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    if done.exit_code == 2:
        sentence = done.stderr.strip()
        assert "\n" not in sentence and any(part in sentence for part in NEEDED), f"{command}: {sentence}"
        return None
    assert done.exit_code == 0, f"{command}: {done.exit_code} {done.stderr}"
    return json.loads(done.stdout, parse_constant=pytest.fail)


def write(row, folder):
    (folder / "s.toml").write_text(toml_of(raw_of(row)), encoding="utf-8")


@EACH
def test_every_verb_answers_or_says_why_not(row, tmp_path):
    write(row, tmp_path)
    for command in LIGHT:
        told(command, tmp_path)
    for file in ("n.nc", "t.nc"):
        if (tmp_path / file).exists():
            pictures(str(tmp_path / file))


def pictures(path):
    """Every picture that a file is said to hold can be made of it, and has figures."""
    asked = Asked(path, open_any(path))
    for name in set(drawable(asked)) & set(LIGHT_KINDS):
        assert len(KINDS[name].figures(KINDS[name].make(asked))), name


@pytest.mark.slow
@pytest.mark.parametrize("place", range(0, len(ROWS), 3))
def test_heavy_verbs_answer_or_say_why_not(place, tmp_path):
    write(ROWS[place], tmp_path)
    command = HEAVY[place // 3 % len(HEAVY)]
    if " N " in command:
        told("run S --out N", tmp_path)
    told(command, tmp_path)


# ── what must hold whatever meets ────────────────────────────────────────────────────────────────


def figures(raw):
    """Exact figures of a scenario that cost little: of a person, of the pool, of luck by size, and of every payoff."""
    scenario = scenario_of(raw)
    curve, price = sim.exact_curve(scenario), sim.fair_price(scenario, 10_000)
    paid = sim.payoff(scenario.designs, (0.9, 1.0, 1.1), scenario=scenario)
    about = sim.describe(scenario)
    shown = paid["surplus"].transpose("cost_ratio", "design", "party").sortby(["design", "party"])
    return {
        "mean": about["mean"], "cv": about["cv"], "curve": curve["exact_cv"].values, "surplus": shown.values,
        "price": price["price_pmpy"].values, "budget": paid["budget"].sortby("design").values,
    }  # fmt: skip


MONEY = ("mean", "surplus", "price", "budget")


def close(one, other, factor=1.0):
    for name, value in one.items():
        scale = factor if name in MONEY else 1.0
        size = np.abs(one["budget"]).max() if name == "surplus" else 0.0
        np.testing.assert_allclose(other[name], scale * np.asarray(value), rtol=2e-9, atol=2e-9 * size, err_msg=name)


@EACH
def test_money_in_another_unit_scales_money_and_nothing_else(row):
    raw = raw_of(row)
    close(figures(raw), figures(in_quarters(raw)), 4.0)


@EACH
def test_two_halves_of_a_segment_are_the_segment(row):
    raw = raw_of(row)
    close(figures(raw), figures(halved(raw)))


@EACH
def test_the_order_of_segments_units_and_designs_does_not_matter(row):
    raw = raw_of(row)
    close(figures(raw), figures(turned(raw)))


@EACH
def test_what_is_drawn_agrees_with_itself_and_with_the_exact_engine(row):
    scenario = scenario_of(raw_of(row))
    ledger = sim.simulate(scenario, progress=False)
    assert sim.summarise(ledger, scenario=scenario).attrs["check"] in ("passed", "not judged")
    gross = ledger["gross_cost"]
    for rule in (sim.Cap(at=math.inf), sim.CarveOut(at=math.inf), sim.Coinsure(at=math.inf, share=0.5)):
        np.testing.assert_array_equal(sim.retained_cost(ledger, rule).squeeze("threshold"), gross)
    outcome = sim.settle(ledger, with_reference(scenario.designs))
    assert sim.compare(outcome).attrs["imbalance"] < 1e-9
    for name in ("payment", "funding", "cost_borne", "surplus", "budget", "settlement", "system_cost"):
        assert np.isfinite(outcome[name]).all(), name


@EACH
def test_replicates_drawn_in_two_parts_are_those_drawn_at_once(row):
    scenario = scenario_of(raw_of(row) | {"title": "parts"})
    half = scenario.simulation.model_copy(update={"replicates": 100})
    part = scenario.model_copy(update={"simulation": half})
    parts = [sim.simulate(part, progress=False, first_replicate=first) for first in (100, 0)]
    assert fingerprint(sim.merge(parts)) == fingerprint(sim.simulate(scenario, progress=False))


@EACH
def test_as_agreed_is_what_settles_and_a_stress_of_nothing_is_as_agreed(row):
    scenario = scenario_of(raw_of(row))
    own = [design for design in scenario.designs if design.exclusion.fixed_thresholds()]
    if not own:
        pytest.skip("every design is swept")
    if own[0].budget.kind == "past_years" and own[0].exclusion.kind == "carve_out":
        pytest.skip("its agreed budget is not known by replicate")
    idle = [one.model_copy(update={"changes": tuple(c.at(0.0) for c in one.changes)}) for one in scenario.stresses]
    answer = sim.stress(scenario, idle, own)
    base = answer.sel(stress="as agreed")
    settled = sim.compare(sim.settle(sim.simulate(scenario, progress=False), own)).isel(population_size=-1)
    miss = (settled["expected_surplus"] - base["expected_surplus"]).values
    if len(scenario.population_sizes) == 1:
        np.testing.assert_allclose(miss, 0.0, atol=1e-6)
    else:  # other draws, since populations grow by other steps
        error = np.hypot(settled["expected_surplus_se"], base["expected_surplus_se"]).values
        assert (np.abs(miss) <= 5 * error + 1e-6).all()
    assert not any(is_idle(scenario, one) for one in scenario.stresses)
    nothing = answer["surplus_difference"].sel(stress=[one.name for one in idle])
    np.testing.assert_allclose(nothing, 0.0, atol=1e-6)


def is_idle(scenario, stress):
    """Whether a stress changes neither the truth nor who is counted where, nor when an epidemic comes."""
    same = truth_of(scenario, stress.changes).cost_model == truth_of(scenario, ()).cost_model
    return same and not any(change.kind in ("up_coding", "epidemic") for change in stress.changes)
