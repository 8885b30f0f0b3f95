"""What a run has finished is kept until its file is written, and never drawn twice; workers that fail cost nothing."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from conftest import KINDS, ROOT, make, raw
from features import toml_of

import simulator as sim
from simulator import runs
from simulator.analysis.statistics.precision import parse_target, simulate_until
from simulator.engine import simulate as engine
from simulator.ledger import fingerprint, parts
from simulator.ledger.parts import Checkpoint
from simulator.present.cli.main import main
from simulator.runs import RunInterrupted, extend
from simulator.stresses import Inflation, Stress

SCENARIO = ""
"""A file with the small scenario."""


@pytest.fixture(scope="module", autouse=True)
def small_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("scenario") / "small.toml"
    file.write_text(toml_of(raw(simulation={"population_sizes": [100, 250]})), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[__name__], "SCENARIO", str(file))
        yield


SETS = make(**KINDS["parameter sets"])


class Some(Executor):
    """Draws at once, chunk by chunk, and does with each what it is told: finish, fail so often, or break down."""

    def __init__(self, fail=lambda numbers, times: None) -> None:
        self.fail, self.drawn, self.tried = fail, [], {}

    def submit(self, task, plan, numbers):
        future: Future = Future()
        self.tried[numbers[0]] = times = self.tried.get(numbers[0], 0) + 1
        error = self.fail(numbers, times)
        if error is None:
            self.drawn += numbers.tolist()
            future.set_result(task(plan, numbers))
        else:
            future.set_exception(error)
        return future


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(engine, "_chunk_size", lambda plan, count: 2)


def stopped(scenario, out, after=4, **more):
    """A run that is stopped by hand after so many chunks, every other of which fails until then."""

    def progress(done, count):
        progress.calls += 1
        if progress.calls == after:
            raise KeyboardInterrupt

    progress.calls = 0
    odd = Some(lambda numbers, times: ValueError() if numbers[0] // 4 % 2 and times == 1 else None)
    with pytest.raises(RunInterrupted) as told:
        sim.simulate(scenario, odd, progress, checkpoint=out, **more)
    return told.value.ledger


@pytest.mark.heavy
@pytest.mark.parametrize("scenario", [make(), SETS], ids=["plain", "parameter sets"])
def test_the_next_run_draws_only_what_is_missing_gaps_too(scenario, tmp_path):
    out = tmp_path / "r.nc"
    kept = stopped(scenario, out)["replicate"].values
    assert (np.diff(kept) > 1).any() and os.listdir(tmp_path) == ["r.nc.parts"]
    again = Some()
    ledger = sim.simulate(scenario, again, checkpoint=out)
    assert sorted(again.drawn) == sorted(set(range(40)) - set(kept.tolist()))
    assert fingerprint(ledger) == fingerprint(sim.simulate(scenario, Some())) and os.listdir(tmp_path) == []


def test_parts_are_written_while_the_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "EVERY", 0.0)
    out, seen = tmp_path / "r.nc", []
    sim.simulate(make(), Some(), lambda *_: seen.append(len(list(out.with_name("r.nc.parts").glob("*.part")))),
                 checkpoint=out)  # fmt: skip
    assert seen == list(range(1, 21)) and os.listdir(tmp_path) == []


def test_less_often_nothing_is_written(tmp_path):
    out, seen = tmp_path / "r.nc", []
    sim.simulate(make(), Some(), lambda *_: seen.append(os.listdir(out.with_name("r.nc.parts"))), checkpoint=out)
    assert seen == [["lock"]] * 20


@pytest.mark.parametrize(
    ("changes", "other"),
    [
        ({"simulation": {"seed": 3}}, "another seed"),
        ({"shocks": [{"name": "prices", "cv": 0.05}]}, "another scenario"),
        ({"simulation": {"population_sizes": [7, 100]}}, "another list of sizes"),
        ({"simulation": {"thresholds": [5_000.0, 21_000.0, float("inf")]}}, "another list of thresholds"),
    ],
)
def test_parts_of_another_run_are_refused_and_stay(changes, other, tmp_path):
    stopped(make(), tmp_path / "r.nc")
    with pytest.raises(sim.SimulatorError, match=f"holds finished years of {other}; discard them with --fresh"):
        sim.simulate(make(**changes), checkpoint=tmp_path / "r.nc")
    assert list((tmp_path / "r.nc.parts").glob("*.part"))
    with Checkpoint(tmp_path / "r.nc", fresh=True) as kept:
        sim.simulate(make(**changes), Some(), checkpoint=kept)
        kept.discard()
    assert os.listdir(tmp_path) == []


def test_parts_of_another_version_are_refused(tmp_path, monkeypatch):
    stopped(make(), tmp_path / "r.nc")
    monkeypatch.setattr(runs, "loops_hash", lambda: "another")
    with pytest.raises(sim.SimulatorError, match="another version of the program or of numba"):
        sim.simulate(make(), checkpoint=tmp_path / "r.nc")


def test_fewer_or_more_years_take_the_same_parts_up(tmp_path):
    kept = stopped(make(), tmp_path / "r.nc")["replicate"].values
    few = make(simulation={"replicates": 5})
    with Checkpoint(tmp_path / "r.nc") as held:
        again = Some()
        assert fingerprint(sim.simulate(few, again, checkpoint=held)) == fingerprint(sim.simulate(few, Some()))
        assert sorted(again.drawn) == sorted(set(range(5)) - set(kept.tolist()))


@pytest.mark.parametrize("place", [3, 400, -3])
def test_a_damaged_part_is_told_and_drawn_again(place, tmp_path):
    stopped(make(), tmp_path / "r.nc")
    (part,) = (tmp_path / "r.nc.parts").glob("*.part")
    held = bytearray(part.read_bytes())
    held[place] ^= 1
    part.write_bytes(held)
    with pytest.warns(sim.errors.SimulatorWarning, match="is damaged, so what it held is simulated again"):
        ledger = sim.simulate(make(), Some(), checkpoint=tmp_path / "r.nc")
    assert fingerprint(ledger) == fingerprint(sim.simulate(make(), Some()))


def test_a_full_disk_is_told_and_the_run_goes_on(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parts, "EVERY", 0.0)
    monkeypatch.setattr(parts, "_write", full)
    with pytest.warns(sim.errors.SimulatorWarning, match=r"No space left.* not kept meanwhile"):
        ledger = sim.simulate(make(), Some(), checkpoint=tmp_path / "r.nc")
    assert fingerprint(ledger) == fingerprint(sim.simulate(make(), Some()))


def test_an_extension_keeps_what_it_finished(tmp_path):
    begun = sim.simulate(make(simulation={"replicates": 10}), Some())
    with pytest.raises(RunInterrupted):
        extend(begun, make(), Some(), stop_at(5), checkpoint=tmp_path / "r.nc")
    again = Some()
    assert fingerprint(extend(begun, make(), again, checkpoint=tmp_path / "r.nc")) == fingerprint(sim.simulate(make()))
    assert sorted(again.drawn) == list(range(20, 40))


def stop_at(calls):
    def progress(*_):
        progress.left -= 1
        if not progress.left:
            raise KeyboardInterrupt

    progress.left = calls
    return progress


def test_a_run_until_precise_keeps_all_its_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "_chunk_size", lambda plan, count: 250)
    never = parse_target("p_overspend(0.05) ± 0.000001")
    with pytest.raises(RunInterrupted):
        simulate_until(make(), never, 2_000, executor=Some(), progress=stop_at(6), checkpoint=tmp_path / "r.nc")
    again = Some()
    ledger = simulate_until(make(), never, 2_000, executor=again, checkpoint=tmp_path / "r.nc")
    assert sorted(again.drawn) == list(range(1_500, 2_000)) and os.listdir(tmp_path) == []
    assert fingerprint(ledger) == fingerprint(sim.simulate(make(simulation={"replicates": 2_000})))


# ── one run at a time ────────────────────────────────────────────────────────────────────────────


@pytest.mark.heavy
def test_a_second_live_run_on_one_file_is_refused(tmp_path):
    (tmp_path / "link.nc").symlink_to(tmp_path / "r.nc")
    with Checkpoint(tmp_path / "r.nc"):
        for name in ("r.nc", "link.nc"):
            with pytest.raises(sim.SimulatorError, match="is being written by another run"):
                Checkpoint(tmp_path / name).__enter__()
        code = "import sys; from simulator.ledger.parts import Checkpoint; Checkpoint(sys.argv[1]).__enter__()"
        other = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "r.nc")], capture_output=True, text=True, cwd=ROOT, check=False
        )
        assert "is being written by another run" in other.stderr
    with Checkpoint(tmp_path / "r.nc"):
        pass
    assert os.listdir(tmp_path) == ["link.nc"]


# ── from the shell ───────────────────────────────────────────────────────────────────────────────


def call(*words):
    ran = CliRunner().invoke(main, ["run", SCENARIO, *map(str, words)])
    return ran.exit_code, ran.stderr


@pytest.mark.heavy
def test_fresh_discards_what_another_run_left(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "_chunk_size", lambda plan, count: 10)
    out = tmp_path / "r.nc"
    with monkeypatch.context() as patched:
        patched.setattr("simulator.analysis.statistics.summary.summarise", lambda *_, **__: stop_at(1)())
        assert call("--replicates", 20, "--out", out)[0] == 130
    code, said = call("--replicates", 20, "--seed", 4, "--out", out)
    assert code == 2 and len(said.splitlines()) == 1 and "holds finished years of another seed" in said
    assert not out.exists()
    assert call("--replicates", 20, "--seed", 4, "--out", out, "--fresh")[0] == 0
    assert os.listdir(tmp_path) == ["r.nc"]


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--fresh"], "--fresh: needs --out"), (["--fresh", "--resume", "--out", "x.nc"], "contradicts --resume")],
)
def test_options_that_mean_nothing_are_refused(words, said):
    assert call(*words)[0] == 2 and said in call(*words)[1]


# ── workers that fail ────────────────────────────────────────────────────────────────────────────


def test_a_chunk_that_fails_is_drawn_again():
    flaky = Some(lambda numbers, times: ValueError("flaky") if times < engine.ATTEMPTS else None)
    assert fingerprint(sim.simulate(make(), flaky)) == fingerprint(sim.simulate(make(), Some()))


@pytest.mark.parametrize("error", [ValueError("no luck"), BrokenExecutor("gone"), MemoryError()])
def test_a_chunk_that_always_fails_ends_the_run_with_all_that_is_finished(error, tmp_path):
    hopeless = Some(lambda numbers, times: error if numbers[0] == 20 else None)
    with pytest.raises(RunInterrupted, match="the workers broke down") as told:
        sim.simulate(make(), hopeless, checkpoint=tmp_path / "r.nc")
    kept = told.value.ledger["replicate"].values.tolist()
    assert {20, 21}.isdisjoint(kept) and len(kept) == 38 and type(error).__name__ in told.value.reason
    again = Some()
    sim.simulate(make(), again, checkpoint=tmp_path / "r.nc")
    assert again.drawn == [20, 21]


def test_a_pool_that_is_closed_is_told():
    with ThreadPoolExecutor(1) as pool:
        pass
    with pytest.raises(RunInterrupted, match="after shutdown") as told:
        sim.simulate(make(), pool)
    assert told.value.ledger is None


def test_a_broken_pool_is_told_by_the_shell_with_exit_code_2(tmp_path, monkeypatch):
    def broken(*_, **__):
        raise RunInterrupted(sim.simulate(make(), Some()), "the workers broke down (BrokenProcessPool)")

    monkeypatch.setattr(runs, "simulate", broken)
    code, said = call("--out", tmp_path / "r.nc")
    assert code == 2 and said.startswith(
        "simulator: the workers broke down (BrokenProcessPool); the 40 simulated years"
    )


def die_or_draw(plan, numbers):
    """A worker that dies in the middle of the work."""
    if numbers.size and numbers[0] >= 20:
        os._exit(9)
    return engine.draw(plan, numbers)


@pytest.mark.heavy
def test_a_worker_that_dies_breaks_the_pool_and_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "draw_alike", die_or_draw)
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
        pytest.raises(RunInterrupted, match="BrokenProcessPool") as told,
    ):
        sim.simulate(make(), pool, checkpoint=tmp_path / "r.nc")
    assert told.value.ledger["replicate"].values.tolist() == list(range(20))
    monkeypatch.undo()
    monkeypatch.setattr(engine, "_chunk_size", lambda plan, count: 2)
    again = Some()
    ledger = sim.simulate(make(), again, checkpoint=tmp_path / "r.nc")
    assert sorted(again.drawn) == list(range(20, 40)) and fingerprint(ledger) == fingerprint(sim.simulate(make()))


# ── a worker of another version ──────────────────────────────────────────────────────────────────


def sent(plan):
    """A plan as it comes to another machine."""
    arrived = pickle.loads(pickle.dumps(plan))
    object.__setattr__(arrived, "made_at", ("elsewhere", 1))
    return arrived


def test_a_worker_like_the_run_draws_the_same():
    (plan,) = runs._plans(make())
    ours, theirs = engine.draw(plan, np.arange(3)), engine.draw_alike(sent(plan), np.arange(3))
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("what", ["numba", "version of the draws", "tables"])
def test_a_worker_with_another_kernel_numba_or_table_refuses(what, monkeypatch):
    (plan,) = runs._plans(make())
    arrived = sent(plan)
    if what == "tables":
        arrived.tail[0, 3] *= 1 + 1e-15
    else:
        monkeypatch.setattr(engine, "version", lambda name: "0.0") if what == "numba" else monkeypatch.setattr(
            engine, "_loops_hash", lambda version: "other"
        )
    with pytest.raises(engine.UnlikeError, match="has other compiled loops, another numba or other tables") as refused:
        engine.draw_alike(arrived, np.arange(3))
    assert isinstance(pickle.loads(pickle.dumps(refused.value)), engine.UnlikeError)


def test_a_worker_that_refuses_is_not_asked_again(tmp_path):
    refusal = engine.UnlikeError("worker b", None, "has other loops", "install")
    refusing = Some(lambda numbers, times: refusal if numbers[0] == 8 else None)
    with pytest.raises(RunInterrupted, match="worker b: has other loops") as told:
        sim.simulate(make(), refusing, checkpoint=tmp_path / "r.nc")
    assert refusing.tried[8] == 1 and told.value.ledger.sizes["replicate"] >= 8


def test_a_stress_test_that_is_stopped_goes_on_from_what_it_has_drawn(tmp_path, monkeypatch):
    agreed = sim.load(ROOT / "configs" / "arrangements" / "01-east-sussex.toml").with_simulation(replicates=12)
    out, drawn = tmp_path / "stress.nc", []
    harder = [Stress(name=f"{by:.0%}", changes=(Inflation(by=by),)) for by in (0.02, 0.04)]

    class Counting(Some):
        def submit(self, task, plan, numbers):
            drawn.extend(numbers.tolist())
            if len(drawn) > self.most:
                raise KeyboardInterrupt
            return super().submit(task, plan, numbers)

    executor = Counting()
    executor.most = 20  # the base case and a part of the first stress
    with pytest.raises(KeyboardInterrupt):
        sim.stress(agreed, harder, members=2_000, executor=executor, checkpoint=out)
    assert os.listdir(tmp_path) == ["stress.nc.parts"]
    drawn.clear()
    executor.most = 1_000
    answer = sim.stress(agreed, harder, members=2_000, executor=executor, checkpoint=out)
    assert os.listdir(tmp_path) == [] and len(drawn) <= 4 * 12 - 12
    xr.testing.assert_identical(answer, sim.stress(agreed, harder, members=2_000, executor=Some()))
