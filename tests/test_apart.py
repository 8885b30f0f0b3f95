"""One run on many machines: parts with their own years that are merged, and workers of a cluster."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import ROOT

import simulator as sim
from simulator.engine import simulate as engine
from simulator.ledger import fingerprint, verify
from simulator.present.cli import cluster
from simulator.present.cli.main import main
from simulator.runs import RunInterrupted

SCENARIO = """
title = "apart"
[simulation]
replicates = 90
population_sizes = [200, 1_000]
thresholds = [5_000, inf]
seed = 4
[population]
[[population.segments]]
name = "all"
share = 1.0
severity = { family = "lognormal", mean = 1_000.0, cv = 1.5 }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("apart")
    (made / "s.toml").write_text(SCENARIO)
    (made / "other.toml").write_text(SCENARIO.replace("1_000.0", "1_001.0"))
    for name, first, count in (("a", 0, 40), ("b", 40, 20), ("c", 60, 30)):
        drawn(made / "s.toml", made / f"{name}.nc", first, count)
    return made


def drawn(scenario: Path, out: Path, first: int, count: int) -> None:
    asked = sim.load(scenario).with_simulation(replicates=count)
    sim.save(sim.simulate(asked, progress=False, first_replicate=first), out)


def call(*words) -> tuple[int, str]:
    ran = CliRunner().invoke(main, list(map(str, words)))
    return ran.exit_code, ran.output


@pytest.mark.heavy
def test_parts_that_are_merged_are_the_run_in_one_go(folder: Path, tmp_path: Path) -> None:
    code, page = call("merge", *(folder / f"{name}.nc" for name in "bca"), "-o", tmp_path / "m.nc")
    assert code == 0
    whole_page = call("run", folder / "s.toml", "--out", tmp_path / "w.nc")[1]
    merged, whole = sim.open_ledger(tmp_path / "m.nc"), sim.open_ledger(tmp_path / "w.nc")
    assert page == whole_page and fingerprint(merged) == fingerprint(whole)
    assert merged.drop_attrs(deep=False).identical(whole.drop_attrs(deep=False))
    assert merged.attrs | {"created_at": ""} == whole.attrs | {"created_at": ""} and verify(tmp_path / "m.nc")


@pytest.mark.heavy
def test_parts_that_do_not_belong_together_are_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.nc"
    drawn(folder / "other.toml", other, 0, 10)
    drawn(folder / "s.toml", tmp_path / "over.nc", 50, 20)
    sim.save(sim.exact(sim.load(folder / "s.toml")), tmp_path / "exact.nc")
    for part, words in (
        (other, "other.nc: scenario_id: differs; only parts of one scenario"),
        (tmp_path / "over.nc", "over.nc: holds simulated years that another part holds too"),
        (folder / "a.nc", "a.nc: holds simulated years that another part holds too; name each part once"),
        (tmp_path / "exact.nc", "holds no draws"),
        (tmp_path / "absent.nc", "absent.nc: does not exist"),
    ):
        code, said = call("merge", folder / "a.nc", folder / "b.nc", part, "-o", tmp_path / "m.nc")
        assert code == 2 and words in said and len(said.splitlines()) == 1, said
    assert "names the file that is read" in call("merge", folder / "a.nc", "-o", folder / "a.nc")[1]
    assert not (tmp_path / "m.nc").exists()


@pytest.mark.parametrize("more", [["--until", "cv +- 1"], ["--resume", "--out", "x.nc"]])
def test_a_first_replicate_contradicts_going_on(more: list[str], folder: Path) -> None:
    assert "--first-replicate: contradicts" in call("run", folder / "s.toml", "--first-replicate", 5, *more)[1]


# ── clusters ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cluster", "tcp://h:1", "--threads", "2"], "--cluster: contradicts --threads"),
        (["--cluster", "local:0"], "'local:0' is no cluster; write tcp://HOST:PORT"),
        (["--cluster", "http://h:1"], "is no cluster"),
        (["--cluster", "tcp://127.0.0.1:9"], "'tcp://127.0.0.1:9' cannot be reached"),
    ],
)
def test_a_cluster_that_is_none_is_told(words: list[str], said: str, folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(cluster, "ANSWER", 0.5)
    code, told = call("run", folder / "s.toml", *words)
    assert code == 2 and said in told and "Traceback" not in told


def test_without_the_extra_one_sentence_says_what_to_install(folder: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert 'pip install "capitation-risk[distributed]"' in call("run", folder / "s.toml", "--cluster", "local:2")[1]


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")
def test_processes_of_a_local_cluster_give_the_bits_of_a_run_and_leave_nothing(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    code, said = call("run", folder / "s.toml", "--cluster", "local:2", "--out", tmp_path / "r.nc")
    assert code == 0 and "distributed" not in said
    assert fingerprint(sim.open_ledger(tmp_path / "r.nc")) == fingerprint(sim.simulate(sim.load(folder / "s.toml")))
    assert os.listdir(tmp_path) == ["r.nc"]


class Cluster:
    """A scheduler and two workers, each a process of its own, the second perhaps with another program."""

    def __init__(self, folder: Path, second: Path = ROOT) -> None:
        address = folder / "scheduler.json"
        self.scheduler = self._start("scheduler", ROOT, folder, "--port", "0", "--host", "127.0.0.1", address)
        one = ("--nthreads", "1", "--no-nanny", address)
        self.workers = [self._start("worker", program, folder, *one) for program in (ROOT, second)]
        until = time.monotonic() + 120
        while not (address.exists() and address.stat().st_size) and time.monotonic() < until:
            time.sleep(0.1)
        self.address = json.loads(address.read_text())["address"]

    @staticmethod
    def _start(kind: str, program: Path, folder: Path, *options: object) -> subprocess.Popen[bytes]:
        *rest, file = map(str, options)
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard", "--scheduler-file", file]
        quiet, environment = subprocess.DEVNULL, {**os.environ, "PYTHONPATH": str(program)}
        return subprocess.Popen([*command, *rest], cwd=folder, env=environment, stdout=quiet, stderr=quiet)

    def end(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("what", ["worker killed", "scheduler killed", "another version"])
def test_a_cluster_that_breaks_down_loses_nothing(what: str, folder: Path, tmp_path: Path, monkeypatch) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(engine, "_chunk_size", lambda plan, count: 3)
    other = ROOT
    if what == "another version":
        other = tmp_path / "other"
        shutil.copytree(ROOT / "simulator", other / "simulator", ignore=shutil.ignore_patterns("__pycache__"))
        (other / "simulator/engine/kernels.py").open("a").write("# of another version\n")
    running, killed = Cluster(tmp_path, other), []

    def progress(done: int, count: int) -> None:
        if not killed and done >= 10 and what != "another version":
            killed.append(done)
            (running.scheduler if what == "scheduler killed" else running.workers[1]).kill()

    scenario, out = sim.load(folder / "s.toml").with_simulation(replicates=300), tmp_path / "r.nc"
    whole = fingerprint(sim.simulate(scenario, progress=False))
    try:
        with distributed.Client(running.address, timeout=60) as client:
            client.wait_for_workers(2, timeout=120)
            pool = client.get_executor()
            if what == "worker killed":
                assert fingerprint(sim.simulate(scenario, pool, progress, checkpoint=out)) == whole and killed
                return
            with pytest.raises(RunInterrupted) as told:
                sim.simulate(scenario, pool, progress, checkpoint=out)
    finally:
        running.end()
    assert "other compiled loops" in told.value.reason or what == "scheduler killed"
    assert told.value.reason and (what == "another version" or told.value.ledger.sizes["replicate"] >= 10)
    assert fingerprint(sim.simulate(scenario, checkpoint=out, progress=False)) == whole


# ── the page ─────────────────────────────────────────────────────────────────────────────────────


def commands(script: str, **environment: str) -> list[list[str]]:
    """What `simulator` is called with by a script, which bash reads."""
    spy = 'simulator() { printf "%s\\0" "$@"; printf "\\n"; }; exec() { "$@"; }\n'
    ran = subprocess.run(
        ["bash", "-c", spy + script], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return [line.split("\0")[:-1] for line in ran.stdout.splitlines()]


@pytest.mark.slow
def test_the_commands_of_the_slurm_array_give_the_run_in_one_go(folder: Path, tmp_path: Path, monkeypatch) -> None:
    page = (ROOT / "docs" / "howto" / "machines.md").read_text(encoding="utf-8")
    array, merging = re.findall(r"```bash\n(.*?)```", page, flags=re.S)
    last = int(re.search(r"--array=0-(\d+)", array)[1])
    scenario, years = str(folder / "s.toml"), 30
    small = array.replace("configs/uncertain.toml", scenario).replace("years=2500", f"years={years}")
    assert small.count(scenario) == small.count(f"years={years}") == 1
    (tmp_path / "results").mkdir()
    monkeypatch.chdir(tmp_path)
    for task in range(last + 1):
        (words,) = commands(small, SLURM_ARRAY_TASK_ID=str(task), SLURM_CPUS_PER_TASK="2")
        assert call(*words)[0] == 0
    (words,) = commands(merging)
    assert len(words) == 1 + last + 1 + 2 and call(*words)[0] == 0
    asked = sim.load(scenario).with_simulation(replicates=years * (last + 1))
    merged = sim.open_ledger(tmp_path / "results" / "whole.nc")
    assert fingerprint(merged) == fingerprint(sim.simulate(asked, progress=False))
    assert merged.attrs["check"] == "passed"
