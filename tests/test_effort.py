"""What work takes is told before it, or refused; how far it is meanwhile, by a line where there is no bar."""

from __future__ import annotations

import re
import threading
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import every

import simulator as sim
from simulator import effort
from simulator.analysis.statistics import self_check as exactness
from simulator.analysis.statistics import summary as statistics
from simulator.analysis.statistics.precision import parse_target, simulate_until
from simulator.effort import Work, duration
from simulator.present.cli.main import main
from simulator.scenario import scenario_from

SMALL = """
schema_version = 1
title = "small"
[simulation]
replicates = 100
population_sizes = [500, 2_000]
thresholds = [5_000.0, inf]
seed = 4
[population]
[[population.segments]]
name = "all"
share = 1.0
p_user = 0.8
severity = { family = "lognormal", mean = 900.0, cv = 2.0 }
[[designs]]
name = "half"
exclusion = { kind = "cap", at = 5_000.0 }
terms = [{ kind = "share", gain = 0.5, loss = 0.5 }]
[[stresses]]
name = "dear"
changes = [{ kind = "inflation", by = 0.05 }]
[[ranges]]
name = "prices"
change = { kind = "inflation", by = 0.0 }
low = 0.0
high = 0.05
[[ranges]]
name = "costs"
change = { kind = "mean_cost", segment = "all", by = 0.0 }
low = 0.0
high = 0.05
"""

VERBS = {
    "run SMALL": "simulating 100 years",
    "run SMALL --exact": "exact moments, exact distributions",
    "run SMALL --until cv±0.0001 --max-replicates 2000": "simulating until precise",
    "size SMALL --margin 0.1 --at-most 0.2": "smallest population",
    "luck SMALL --members 2000 --overspend 0.04": "luck",
    "stress SMALL": "stress tests",
    "stress SMALL --reverse provider": "reverse stress",
    "sensitivity SMALL --points 4 --statistic cv": "sensitivity",
    "settle SMALL": "settling",
    "fit COSTS --cost total --sets 2": "fit",
    "report DRAWS -o REPORT": "report",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("effort")
    (made / "small.toml").write_text(SMALL)
    costs = [float(1 + (k * 7_919) % 4_001) * (1 + (k % 7)) for k in range(600)]
    pd.DataFrame({"total": costs}).to_csv(made / "costs.csv", index=False)
    sim.save(sim.simulate(sim.load(made / "small.toml")), made / "draws.nc")
    return made


def words(verb: str, folder: Path) -> list[str]:
    known = {"SMALL": "small.toml", "COSTS": "costs.csv", "DRAWS": "draws.nc", "REPORT": "report.html"}
    return [str(folder / known[word]) if word in known else word for word in verb.split()]


def hostile(**changed: Any) -> sim.Scenario:
    """Small, but for what is changed."""
    raw = tomllib.loads(SMALL)
    raw["simulation"] |= {key: value for key, value in changed.items() if key in raw["simulation"]}
    if "segments" in changed:
        n = changed["segments"]
        one = raw["population"]["segments"][0]
        raw["population"]["segments"] = [one | {"name": f"s{k}", "share": 1 / n} for k in range(n)]
        raw["ranges"] = raw["ranges"][:1]
    raw["shocks"] = changed.get("shocks", [])
    return scenario_from(raw)


THRESHOLDS = [float(x) for x in range(5_000, 55_000, 10)]
SIZES = list(range(1_000, 151_000, 50))
SHOCKS = [{"name": "prices", "cv": 0.9}, {"name": "winter", "cv": 0.8}]


# ── before ───────────────────────────────────────────────────────────────────────────────────────


class BegunError(Exception):
    """The work was begun."""


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"thresholds": THRESHOLDS}, r"exact distributions will take about \d+ (minutes|hours)"),
        (
            {"population_sizes": sorted({*SIZES, *(size + 25 for size in SIZES)})},
            r"exact distributions will take about \d+ (seconds|minutes)",
        ),
        ({"shocks": SHOCKS, "segments": 10}, r"exact distributions will take about \d+ (seconds|minutes)"),
    ],
)
def test_long_exact_work_is_announced_before_it(
    changed: Any, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def begun(*_: Any) -> None:
        raise BegunError

    scenario = hostile(**changed)
    monkeypatch.setattr(exactness, "cells_of", begun)
    with effort.watched("run"), pytest.raises(BegunError):
        sim.exact(scenario)
    assert re.search(said, capsys.readouterr().err)
    with effort.watched("run"), pytest.raises(BegunError):
        sim.exact(hostile())  # the twin that is short, of which nothing is said
    assert capsys.readouterr().err == ""


def test_in_a_script_that_nobody_watches_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    effort.expect("work", Work(100.0), "key", 1, "mend")
    assert capsys.readouterr().err == ""


def test_work_of_days_is_refused_in_one_sentence_that_says_how_to_allow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = hostile(thresholds=THRESHOLDS, population_sizes=SIZES, segments=10)
    with pytest.raises(sim.SimulatorError, match=r"about \d+ days?, and at most about 24 hours") as refused:
        sim.exact(scenario)
    assert refused.value.path == "simulation.thresholds" and refused.value.value == len(THRESHOLDS)
    assert "fewer thresholds" in refused.value.mend and effort.BOUND in refused.value.mend
    monkeypatch.setenv(effort.BOUND, "1e9")
    monkeypatch.setattr(exactness, "cells_of", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sim.exact(scenario)


@pytest.mark.parametrize("given", ["many", "0", "-1", "nan"])
def test_a_bound_that_is_no_number_of_hours_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(effort.BOUND, given)
    with pytest.raises(sim.SimulatorError, match="number of hours above 0"):
        effort.refuse(Work(1.0), "key", 1, "mend")


def test_draws_and_statistics_too_large_for_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = hostile(thresholds=THRESHOLDS, population_sizes=SIZES)
    with pytest.raises(sim.SimulatorError, match="GB of memory"):
        sim.simulate(scenario)
    drawn = sim.simulate(hostile())
    monkeypatch.setattr(effort, "free_memory", lambda: 10_000)
    with pytest.raises(sim.SimulatorError, match=r"of memory, and .* are free"):
        statistics.summarise(drawn)
    with pytest.raises(sim.SimulatorError, match=r"of memory, and .* are free"):
        sim.settle(drawn, hostile().designs)


@pytest.mark.heavy
def test_many_segments_are_announced_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    part = '[[population.segments]]\nname = "s{k}"\nshare = 0.0\np_user = 0.8\nseverity = {{ family = "x" }}\n'
    head = SMALL.partition("[[population.segments]]")[0]
    (tmp_path / "many.toml").write_text(head + "".join(part.format(k=k) for k in range(15_000)))
    monkeypatch.setattr("simulator.scenario.scenario_from", lambda *_: 1 / 0)
    with effort.watched("check"), pytest.raises(ZeroDivisionError):
        sim.load(tmp_path / "many.toml")
    assert "reading the scenario will take about" in capsys.readouterr().err


def test_work_inside_work_that_was_announced_is_not_announced_again(capsys: pytest.CaptureFixture[str]) -> None:
    with effort.watched("size"), effort.task("outer", 2):
        effort.expect("outer", Work(200.0, 2e9), "key", 1, "mend")
        with effort.task("inner", 1):
            effort.expect("inner", Work(100.0), "key", 1, "mend")
    assert capsys.readouterr().err == "simulator: outer will take about 3 minutes and 2.0 GB\n"


def test_spans_are_told_as_people_do() -> None:
    told = [duration(seconds) for seconds in (0.2, 1.4, 45, 89, 91, 3_600, 5_401, 86_400, 200_000)]
    assert told == [
        "about 1 second", "about 1 second", "about 45 seconds", "about 89 seconds", "about 2 minutes",
        "about 60 minutes", "about 2 hours", "about 24 hours", "about 2 days",
    ]  # fmt: skip


# ── meanwhile ────────────────────────────────────────────────────────────────────────────────────


def test_inner_work_fills_its_part_of_the_outer_one() -> None:
    with effort.task("outer", 4) as outer:
        with effort.task("inner", 10) as inner:
            inner(5)
            assert outer.share == pytest.approx(0.5 / 4)
            inner(5)
        outer()
        assert outer.share == pytest.approx(1 / 4)
        with effort.task("large", 2, fills=3) as large:
            for _ in effort.each(range(5), "innermost"):
                pass
            assert outer.share == pytest.approx(1 / 4 + 3 / 8)
            large(2)
        outer(3)
        assert outer.share == 1
    assert effort._open == []


def test_work_of_another_thread_is_its_own_matter() -> None:
    with effort.task("outer", 2) as outer:

        def work() -> None:
            with effort.task("elsewhere", 1) as advance:
                advance()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert outer.share == 0 and len(effort._open) == 1


@pytest.mark.heavy
@pytest.mark.no_cover
@pytest.mark.parametrize("verb", every(3, VERBS))
def test_each_verb_tells_how_far_it_is_where_nobody_looks_at_a_terminal(
    verb: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if verb.startswith("report"):  # whose pictures take long, and say nothing of how far it is
        monkeypatch.setattr("simulator.present.report.charts.inline_svg", lambda *_: "<svg></svg>")
    seen: dict[str, list[float]] = {}

    class Seen(effort.Task):
        def __call__(self, units: float = 1.0, said: str = "") -> None:
            super().__call__(units, said)
            if effort._open[0] is self or any(one is self for one in effort._open):
                seen.setdefault(effort._open[0].name, []).append(effort._open[0].share)

    monkeypatch.setattr(effort, "Task", Seen)
    monkeypatch.setattr(effort, "FIRST", 0.02)
    monkeypatch.setattr(effort, "EVERY", 0.02)
    ran = CliRunner().invoke(main, words(verb, folder))
    assert ran.exit_code == 0, ran.stderr
    for name in VERBS[verb].split(", "):
        assert len(seen[name]) > 1 or max(seen[name]) > 0, seen
        if "until" not in name:  # whose end is foretold anew after each block
            assert seen[name] == sorted(seen[name])
    said = [line for line in ran.stderr.splitlines() if "so far" in line or " left" in line]
    assert said and all(
        re.fullmatch(r"simulator: .+: (about .+ so far|\d+% after about .+, about .+ left)", s) for s in said
    )
    assert "so far" not in ran.stdout and " left\n" not in ran.stdout
    if not verb.startswith(("run", "luck", "size")):  # the others take longer
        return
    monkeypatch.setattr(effort, "FIRST", 600.0)
    assert CliRunner().invoke(main, words(verb, folder)).stderr == ""  # the twin that is over before its first line


@pytest.mark.heavy
def test_a_run_until_a_figure_is_precise_foretells_its_end(folder: Path) -> None:
    shares = []

    target = parse_target("p_overspend(0.03) ± 0.01")
    scenario = sim.load(folder / "small.toml")
    original = effort.Task.__call__

    def called(self: effort.Task, units: float = 1.0, said: str = "") -> None:
        original(self, units, said)
        if self.name == "simulating until precise":
            shares.append((self.done, self.total))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(effort.Task, "__call__", called)
        drawn = simulate_until(scenario, target)
    needed = drawn.sizes["replicate"]
    assert needed > 3_000 and all(abs(total - needed) < 0.25 * needed + 1_000 for _, total in shares)


def test_a_terminal_has_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(effort, "_interactive", lambda: True)
    with effort.task("outer", 2, said="compiling") as outer:
        assert outer.bar is not None
        with effort.task("inner", 1) as inner:
            assert inner.bar is None
            inner()
        assert outer.bar.n == pytest.approx(0.5)
    assert "outer" in capsys.readouterr().err


def test_costs_grow_with_what_makes_them_grow() -> None:
    """The estimates' own shapes; benchmarks/effort.py holds them to measurements."""
    for one, more in (
        (effort.laws(2, 3, 3, 1, 2), effort.laws(4, 3, 3, 1, 2)),
        (effort.laws(2, 3, 3, 1, 2), effort.laws(2, 3, 3, 1, 2, [0.4, 0.0, 0.0])),
        (effort.laws(2, 3, 3, 1, 2, [0.4]), effort.laws(2, 3, 3, 1, 2, [4.0])),
        (effort.drawing(1e5, 100, 3, 3, 3, 1), effort.drawing(1e6, 100, 3, 3, 3, 1)),
        (effort.drawing(1e5, 100, 3, 3, 3, 1), effort.drawing(1e5, 100, 3, 3, 3, 50)),
        (effort.summing(100, 3, 3), effort.summing(100, 3, 30)),
        (effort.settling(100, 3, 3, 2), effort.settling(1_000, 3, 3, 2)),
        (effort.moments(3, 3, 1), effort.moments(3, 3, 4)),
        (effort.reading(10, 3), effort.reading(100, 3)),
    ):
        assert more.seconds > one.seconds > 0 and np.isfinite(more.seconds)
