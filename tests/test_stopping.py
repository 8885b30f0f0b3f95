"""Ctrl-C: a command ends quietly at any moment, and what was finished is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner
from conftest import ROOT, make, raw
from features import toml_of

import simulator as sim
from simulator.__main__ import heed
from simulator.analysis.statistics import precision
from simulator.analysis.statistics.precision import parse_target, simulate_until
from simulator.fitting import parameter_sets
from simulator.ledger import fingerprint
from simulator.present.cli.errors import Verb
from simulator.present.cli.main import main
from simulator.runs import RunInterrupted, extend

SCENARIO = ""
"""A file with the small scenario."""


@pytest.fixture(scope="module", autouse=True)
def small_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("scenario") / "small.toml"
    file.write_text(toml_of(raw(simulation={"population_sizes": [100, 250]})), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[__name__], "SCENARIO", str(file))
        yield


def test_a_fit_that_is_stopped_leaves_nothing_of_its_rows(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half-way it holds figures that disclosure control has not seen, so not even the last step keeps them."""
    file = tmp_path / "costs.csv"
    file.write_text("total\n" + "\n".join(f"{10 * n % 997 + n / 7:.2f}" for n in range(1, 400)))

    def stopped(*_) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(parameter_sets, "draw", stopped)
    out = ["--out", str(tmp_path / "model.toml"), "--curves", str(tmp_path / "curves.nc")]
    ended = CliRunner().invoke(main, ["fit", str(file), "--cost", "total", *out])
    assert ended.exit_code == 130 and [path.name for path in tmp_path.iterdir()] == ["costs.csv"]
    assert "total" not in ended.output and not ended.stdout


NEVER = parse_target("p_overspend(0.05) ± 0.000001")


def stopped_after(chunks: int):
    """A progress that is stopped by hand after so many chunks."""
    seen = []

    def progress(done, replicates):
        seen.append(done)
        if len(seen) == chunks:
            raise KeyboardInterrupt

    return progress


def test_ctrl_c_while_libraries_are_loaded_ends_with_one_sentence() -> None:
    watch = "import sys, threading, _thread\n"
    # the stop falls into the import of pydantic, long before click could hear of it
    watch += "class Stop:\n    def find_spec(self, name, *_):\n        if name == 'pydantic': raise KeyboardInterrupt\n"
    watch += "sys.meta_path.insert(0, Stop())\nfrom simulator.__main__ import main\nmain()"
    ended = subprocess.run([sys.executable, "-c", watch, "check", SCENARIO], capture_output=True, text=True, cwd=ROOT)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "simulator: stopped\n")


@pytest.mark.parametrize("seconds", [0.3, 0.9])
def test_a_signal_ends_a_verb_with_one_sentence(seconds: float) -> None:
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", "import threading, typing"], check=True)
    python_itself = time.monotonic() - begun  # on a busy machine a second, in which nobody can hear
    running = subprocess.Popen(
        [sys.executable, "-m", "simulator", "check", SCENARIO],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    time.sleep(seconds + 2 * python_itself)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=60)[1]
    # Python itself dies of the signal where it fell into code made from text, which shells show as 130 too
    assert running.returncode in (0, 130, -signal.SIGINT)
    assert "Traceback" not in said and len(said.splitlines()) <= 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, ImportError])
def test_a_stop_that_a_library_made_an_error_of_its_own_is_still_a_stop(error: type[BaseException]) -> None:
    @click.command(cls=Verb)
    def verb() -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as stop:
            raise error from (None if error is KeyboardInterrupt else stop)

    found = CliRunner().invoke(verb)
    assert (found.exit_code, found.output) == (130, "simulator: stopped; no file was left half-written\n")


def test_an_error_that_is_no_stop_stays_what_it_is() -> None:
    @click.command(cls=Verb)
    def verb() -> None:
        raise ImportError("no such library")

    assert isinstance(CliRunner().invoke(verb).exception, ImportError)


@pytest.fixture
def heard() -> Iterator[None]:
    """Where the tests run in the background, SIGINT is ignored: here it is heard."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
def test_a_stop_that_python_would_forget_comes_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", heed)

    class Kept:
        pass

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    kept = Kept()
    reference = weakref.ref(kept, stop)
    with pytest.raises(KeyboardInterrupt):
        del kept  # here Python calls `stop`, and would print what it raises
        for _ in range(1_000):  # the stop is heard between two steps, not during a sleep
            time.sleep(0.01)
    assert reference() is None


@pytest.mark.heavy
def test_a_run_until_that_was_stopped_and_resumed_is_the_run_in_one_go() -> None:
    whole = simulate_until(make(), NEVER, max_replicates=2_500)
    begun = sim.simulate(make(simulation={"replicates": 300}), progress=False)
    with pytest.raises(RunInterrupted) as stopped:
        simulate_until(make(), NEVER, max_replicates=2_500, progress=stopped_after(11), ledger=begun)
    assert 1_000 <= stopped.value.ledger.sizes["replicate"] < 2_500
    resumed = simulate_until(make(), NEVER, max_replicates=2_500, ledger=stopped.value.ledger)
    assert fingerprint(resumed) == fingerprint(whole)
    assert resumed.drop_attrs().identical(whole.drop_attrs())
    assert {**resumed.attrs, "created_at": ""} == {**whole.attrs, "created_at": ""}


@pytest.mark.heavy
def test_a_run_until_stops_resumed_where_it_would_have_stopped_in_one_go() -> None:
    target = parse_target("p_overspend(0.05) ± 0.02")
    whole = simulate_until(make(), target)
    begun = sim.simulate(make(simulation={"replicates": 300}), progress=False)
    assert fingerprint(simulate_until(make(), target, ledger=begun)) == fingerprint(whole)
    assert fingerprint(simulate_until(make(), target, ledger=whole)) == fingerprint(whole)


def test_blocks_are_kept_when_the_stop_falls_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(precision, "summarise", stop)
    with pytest.raises(RunInterrupted) as stopped:
        simulate_until(make(), NEVER)
    assert stopped.value.ledger.sizes["replicate"] == 1_000


@pytest.mark.heavy
def test_a_stop_after_the_draws_keeps_all_of_them(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "r.nc"
    command = ["run", SCENARIO, "--replicates", "20", "--out", str(out)]
    with monkeypatch.context() as patched:
        patched.setattr("simulator.analysis.statistics.summary.summarise", stop)
        found = CliRunner().invoke(main, command)
    assert found.exit_code == 130
    assert "the 20 simulated years that were finished are kept beside" in found.output
    assert os.listdir(tmp_path) == ["r.nc.parts"]
    monkeypatch.setattr("simulator.engine.simulate._next", lambda *_: pytest.fail("it drew"))
    assert CliRunner().invoke(main, command).exit_code == 0
    assert sim.open_ledger(out).sizes["replicate"] == 20 and os.listdir(tmp_path) == ["r.nc"]


def test_what_was_drawn_is_not_given_up_for_a_longer_list_of_sizes() -> None:
    drawn = sim.simulate(make(simulation={"replicates": 500}), progress=False)
    more = make(simulation={"replicates": 500, "population_sizes": [7, 100, 250, 300]})
    with pytest.raises(RunInterrupted) as stopped:
        extend(drawn, more, progress=stopped_after(2))
    assert fingerprint(stopped.value.ledger) == fingerprint(drawn)
