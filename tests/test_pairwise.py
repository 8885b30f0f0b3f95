"""Where features meet: every two levels of all features in one scenario, asked what must hold whatever meets.

`features.py` has the features, one line a level; `covering.py` the rows in which all levels of two features meet. What
is asked is a feature too: every verb, and every relation that must hold, meets every level. The design stands in the
slow lane, a thin sample of it in the ordinary one; `EVERY_QUESTION=1` asks every row everything. A refusal must be in
`NEEDED`.
"""

from __future__ import annotations

import json
import math
import os

import numpy as np
import pytest
from click.testing import CliRunner
from covering import all_meetings, covering, meetings
from features import halved, in_quarters, names, raw_of, scenario_of, toml_of, turned

import simulator as sim
from simulator.analysis.stress.changed_scenario import truth_of
from simulator.contracts.design import with_reference
from simulator.ledger import fingerprint
from simulator.present.cli.main import main
from simulator.present.pictures import PICTURES, drawable
from simulator.present.plot_request import PlotRequest, open_any

NEEDED = {
    "percentiles by segment beside a rare service": "an event has no segment whose percentile it could meet",
    "has no threshold of its own": "every design of the file is swept; `settle` answers for each point",
    "parameter_sets: are doubt of another kind": "ranges and sets are two ways to say the same doubt",
    "follows past years while patients leave with their capitation": "its agreed budget is not known by replicate",
    "withholds the observed costs": "the file holds no patient's cost, and the verb needs the law",
    "the total of all units has no exact law": "units with shocks of their own are joined by drawing",
    "lies among observed costs, which shocks lift": "steps that shocks move one by one have no series",
    "was withheld from the ledger": "the file holds no patient's cost, and the verb needs the law",
}
"""Parts of the sentences that may refuse a scenario of the design, each with the reason."""


# ── verbs ────────────────────────────────────────────────────────────────────────────────────────

FILES = {"S": "s.toml", "N": "n.nc", "T": "t.nc", "H": "h.html", "X": "x.xlsx"}


def told(command, folder):
    """What a verb prints as JSON; None where it refuses with a sentence that is needed."""
    arguments = [str(folder / FILES[word]) if word in FILES else word for word in command.split()]
    done = CliRunner().invoke(main, [*arguments, "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    if done.exit_code == 2:
        sentence = done.stderr.strip()
        assert "\n" not in sentence and any(part in sentence for part in NEEDED), f"{command}: {sentence}"
        return None
    assert done.exit_code == 0, f"{command}: {done.exit_code} {done.stderr}"
    return json.loads(done.stdout, parse_constant=pytest.fail)


def verbs(*commands, then=lambda folder: None):
    """Answers, or one needed sentence, from each of these verbs."""

    def ask(raw, folder):
        (folder / "s.toml").write_text(toml_of(raw), encoding="utf-8")
        for command in commands:
            told(command, folder)
        then(folder)

    return ask


DEAR = {"exceedance-curve", "funnel", "tornado", "stress-heat-map", "who-bears"}
"""Pictures that ask the exact engine often, or that another question covers."""


def pictures(folder):
    """Every picture that a file is said to hold can be made of it, and has figures."""
    for file in ("n.nc", "t.nc"):
        if (folder / file).exists():
            asked = PlotRequest(str(folder / file), open_any(str(folder / file)))
            for name in set(drawable(asked)) - (DEAR if file == "n.nc" else set()):
                assert len(PICTURES[name].figures(PICTURES[name].make(asked))), name


# ── relations ────────────────────────────────────────────────────────────────────────────────────

MONEY = ("mean", "surplus", "price", "budget")


def figures(raw):
    """Exact figures that cost little: of a person, of a pool, of luck by size, and of every payoff."""
    scenario = scenario_of(raw)
    paid = sim.payoff(scenario.designs, (0.9, 1.0, 1.1), scenario=scenario).sortby(["design", "party"])
    about, pool = sim.describe(scenario), sim.fair_price(scenario, 10_000)
    return {
        "mean": about["mean"], "cv": about["cv"], "curve": sim.exact_curve(scenario)["exact_cv"].values,
        "surplus": paid["surplus"].transpose("cost_ratio", "design", "party").values,
        "price": pool["price_pmpy"].values, "budget": paid["budget"].values,
    }  # fmt: skip


def same_figures(raw, _):
    """In another unit of money, in two halves, in another order: the same figures."""
    agreed = figures(raw)
    for other, factor in ((in_quarters(raw), 4.0), (halved(raw), 1.0), (turned(raw), 1.0)):
        for name, value in figures(other).items():
            right = np.asarray(agreed[name]) * (factor if name in MONEY else 1.0)
            within = 2e-9 * np.abs(right).max()
            np.testing.assert_allclose(value, right, rtol=2e-9, atol=within, err_msg=name)


def fair_game(raw, _):
    """Full risk for the expected cost is worth nothing to anybody, exactly."""
    scenario = scenario_of(raw)
    design = sim.Design(name="fair", exclusion=sim.Cap(at=scenario.threshold_labels[0]))
    try:
        surplus = sim.exact_settlement(scenario, [design])["expected_surplus"]
    except sim.SimulatorError as refused:
        assert any(part in str(refused) for part in NEEDED), refused
        return
    cost = sim.describe(scenario)["mean"] * surplus["population_size"]
    assert (abs(surplus) < 1e-6 * cost).all()


def same_draws(raw, _):
    """Replicates drawn in two parts, the later first, are those drawn at once."""
    scenario = scenario_of(raw)
    half = scenario.model_copy(update={"simulation": scenario.simulation.model_copy(update={"replicates": 100})})
    parts = [sim.simulate(half, progress=False, first_replicate=first) for first in (100, 0)]
    assert fingerprint(sim.merge(parts)) == fingerprint(sim.simulate(scenario, progress=False))


def sound_draws(raw, _):
    """The run passes its own check; no exclusion is gross cost; nothing is lost between parties; all are numbers."""
    scenario = scenario_of(raw)
    ledger = sim.simulate(scenario, progress=False)
    assert sim.summarise(ledger, scenario=scenario).attrs["check"] in ("passed", "not judged")
    for rule in (sim.Cap(at=math.inf), sim.CarveOut(at=math.inf), sim.Coinsure(at=math.inf, share=0.5)):
        kept = sim.retained_cost(ledger, rule).squeeze("threshold")
        np.testing.assert_array_equal(kept, ledger["gross_cost"])
    outcome = sim.settle(ledger, with_reference(scenario.designs))
    assert sim.compare(outcome).attrs["imbalance"] < 1e-9
    for name in ("payment", "funding", "cost_borne", "surplus", "budget", "settlement", "system_cost"):
        assert np.isfinite(outcome[name]).all(), name


def same_agreement(raw, _):
    """As agreed is what settles, and a stress of nothing is as agreed."""
    scenario = scenario_of(raw)
    own = [design for design in scenario.designs if design.exclusion.fixed_thresholds() and not _unknown(design)]
    if not own:
        return
    idle = [one.model_copy(update={"changes": tuple(c.at(0.0) for c in one.changes)}) for one in scenario.stresses]
    answer = sim.stress(scenario, idle, own)
    base = answer.sel(stress="as agreed")
    settled = sim.compare(sim.settle(sim.simulate(scenario, progress=False), own)).isel(population_size=-1)
    miss = np.abs(settled["expected_surplus"] - base["expected_surplus"])
    # populations of several sizes grow step by step, and so are other draws
    error = np.hypot(settled["expected_surplus_se"], base["expected_surplus_se"])
    assert (miss <= 1e-6 + (5 * error if len(scenario.population_sizes) > 1 else 0)).all()
    nothing = answer["surplus_difference"].sel(stress=[one.name for one in idle])
    np.testing.assert_allclose(nothing, 0.0, atol=1e-6)
    assert not any(_is_idle(scenario, one) for one in scenario.stresses)


def _unknown(design):
    """Whether what was agreed is not known by replicate: see `NEEDED`."""
    leaves = design.exclusion.kind == "carve_out" and not design.exclusion.keep_capitation
    return leaves and design.budget.kind == "past_years"


def _is_idle(scenario, stress):
    """Whether a stress changes neither the truth, nor who is counted where, nor when an epidemic comes."""
    same = truth_of(scenario, stress.changes).cost_model == truth_of(scenario, ()).cost_model
    return same and not any(change.kind in ("up_coding", "epidemic") for change in stress.changes)


def relations(*holds):
    """Each of these relations holds."""

    def ask(raw, folder):
        for one in holds:
            one(raw, folder)

    return ask


# ── the design ───────────────────────────────────────────────────────────────────────────────────

SIZE = "size S --margin 0.1 --at-most 0.2 --largest 50000 --replicates 40"
QUESTIONS = {
    "run": verbs("check S", "run S --out N --margin 0.1", then=pictures),
    "settle": verbs("settle S", "settle S --payoff"),
    "stress": verbs("stress S --out T", then=pictures),
    "reverse": verbs("stress S --reverse provider --replicates 20", "sensitivity S --points 4 --statistic cv"),
    "size": verbs(SIZE, f"{SIZE} --statistic p_loss --loss-over 0.1".replace("--margin 0.1 ", "")),
    "exact": verbs("run S --exact", "luck S --members 20000 --overspend 0.04", "size S --members 20000"),
    "report": verbs("run S --out N", "settle N", "report N -o H --xlsx X"),
    "figures": relations(same_figures, fair_game),
    "draws": relations(same_draws, sound_draws),
    "agreement": same_agreement,
}  # fmt: skip
"""What is asked of a row: verbs and relations, together in one question where they cost little."""

LEVELS = {**names(), "question": list(QUESTIONS)}
ALL = covering(LEVELS)
REFUSED = {("thresholds", "percentiles by segment"), ("rare services", "in scope")}
"""A scenario that cannot be, as `test_what_cannot_be_is_refused` shows."""


def cases():
    """Rows and what each is asked; all but a few in the slow lane."""
    for place, row in enumerate(row for row in ALL if not row.items() >= REFUSED):
        questions = list(QUESTIONS) if os.environ.get("EVERY_QUESTION") else [row["question"]]
        marks = [] if place % 28 == 3 else [pytest.mark.slow]
        yield from (pytest.param(row, question, marks=marks, id=f"{place}-{question}") for question in questions)


def test_all_levels_of_two_features_meet():
    met = set().union(*map(meetings, ALL))
    assert met == all_meetings(LEVELS)
    assert covering(LEVELS) == ALL and len(ALL) < 100


def test_a_row_too_few_is_found_out():
    assert all(set().union(*map(meetings, ALL[:k] + ALL[k + 1 :])) < all_meetings(LEVELS) for k in (0, len(ALL) - 1))


def test_what_cannot_be_is_refused():
    row = {feature: levels[0] for feature, levels in names().items()} | dict(REFUSED)
    with pytest.raises(ValueError, match="percentiles by segment beside a rare service"):
        scenario_of(raw_of(row))


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize(("row", "question"), list(cases()))
def test_where_features_meet(row, question, tmp_path):
    QUESTIONS[question](raw_of(row), tmp_path)


# ── these rules can fail ─────────────────────────────────────────────────────────────────────────


def test_other_figures_are_found_out(monkeypatch, tmp_path):
    raw = raw_of({feature: levels[0] for feature, levels in names().items()})
    same_figures(raw, tmp_path)
    monkeypatch.setattr("test_pairwise.halved", lambda raw: in_quarters(raw))
    with pytest.raises(AssertionError, match="mean"):
        same_figures(raw, tmp_path)


def test_a_refusal_that_is_not_needed_is_found_out(tmp_path):
    raw = raw_of({feature: levels[0] for feature, levels in names().items()})
    with pytest.raises(AssertionError, match="share of 'complex'"):
        far = {"kind": "prevalence", "segment": "complex", "by": 9.0}
        verbs("stress S")(raw | {"stresses": [{"name": "all", "changes": [far]}]}, tmp_path)
