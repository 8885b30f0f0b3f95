"""Kill runs at random moments, give the same command again, and see what was lost.

    python benchmarks/kills.py --kills 50 --seed 1

Each kill is a signal (KILL, TERM or INT) at a random moment of `run`, `run --until` or `run --cluster local:2`. So that
most fall among the draws, the killed process waits a little after each chunk. A kill is
sound where the file of the rerun has the bits of a run that was left alone, where no more than ten seconds of work were
drawn again, where exit codes are 143 and 130, and where nothing stays beside the file.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

import simulator as sim
import simulator.engine.simulate as engine
from simulator.__main__ import main as command
from simulator.ledger import fingerprint, verify
from simulator.ledger.parts import Counts, Draws
from simulator.runs import _plans

CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGKILL: -signal.SIGKILL}
MOST_LOST = 10.0
WAIT = 0.6
"""Seconds after each chunk."""
SCENARIO = """
title = "kills"
[simulation]
replicates = {replicates}
population_sizes = [2_000, {people}]
thresholds = [5_000, inf]
seed = 8
[population]
[[population.segments]]
name = "all"
share = 1.0
severity = {{ family = "lognormal", mean = 1_000.0, cv = 1.5 }}
[[population.parameter_sets]]
segment = "all"
mean = [900.0, 1_000.0, 1_100.0]
"""


class Kill(NamedTuple):
    """One kill, and what came of it."""

    verb: str
    signal: str
    after: float
    lost: float
    """Seconds of work that were drawn again."""
    fault: str


def kills(count: int, seed: int, replicates: int = 3_000, people: int = 20_000) -> Iterator[Kill]:
    """Kill so many runs."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenario = folder / "s.toml"
        scenario.write_text(SCENARIO.format(replicates=replicates, people=people))
        verbs = {
            "run": [],
            "run --until": ["--until", "p_overspend(3%) +- 0.01%", "--max-replicates", str(replicates)],
            "run --cluster local:2": ["--cluster", "local:2"],
        }
        engine.draw(_plans(sim.load(scenario))[0], np.arange(0))  # compiled once, for all
        whole, takes = {}, {}
        for number in range(count):
            verb = list(verbs)[number % len(verbs)]
            if verb not in whole:
                started = time.monotonic()
                code = _ended(_begun(folder, scenario, f"{number}-whole.nc", verbs[verb], WAIT))
                assert code == 0, (code, (folder / "said").read_text()[-2_000:])
                takes[verb] = time.monotonic() - started
                whole[verb] = fingerprint(sim.open_ledger(folder / f"{number}-whole.nc"))
            given = rng.choice(list(CODES))
            after = rng.uniform(0.2, 1.0) * takes[verb]
            lost, fault = _killed(folder, scenario, f"{number}.nc", verbs[verb], given, after, whole[verb])
            yield Kill(verb, given.name, after, lost, fault)


def _killed(
    folder: Path, scenario: Path, out: str, options: list[str], given: signal.Signals, after: float, whole: str
) -> tuple[float, str]:
    running = _begun(folder, scenario, out, options, WAIT)
    time.sleep(after)
    killed_at = time.time()
    os.kill(running, given)
    code = _ended(running)
    written = (folder / out).exists()  # then the rerun rightly draws anew: nothing was lost
    before = _chunks(folder / f"{out}.log")
    (folder / f"{out}.log").unlink(missing_ok=True)
    if code not in (0, CODES[given], -given):  # Python itself dies of a signal that comes before it is ready
        return 0.0, f"ended with {code}: {(folder / 'said').read_text()[-200:]}"
    again = _ended(_begun(folder, scenario, out, options))
    if again != 0:
        return 0.0, f"the same command ended with {again}: {(folder / 'said').read_text()[-200:]}"
    drawn_again = {number for _, numbers in _chunks(folder / f"{out}.log") for number in numbers}
    lost = [at for at, numbers in before if drawn_again & set(numbers) and not written]
    seconds = killed_at - min(lost) if lost else 0.0
    verify(folder / out)
    left = sorted(one for one in os.listdir(folder) if out in one and one not in (out, f"{out}.log"))
    fault = "" if fingerprint(sim.open_ledger(folder / out)) == whole else "other bits"
    fault = fault or ("" if not left else f"left {left}")
    return seconds, fault or ("" if seconds <= MOST_LOST else "lost too much")


def _begun(folder: Path, scenario: Path, out: str, options: list[str], wait: float = 0.0) -> int:
    """A process of its own, which has its libraries from this one: its number."""
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where this was started in the background
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        _spy(folder / f"{out}.log", wait)
        sys.argv = ["simulator", "run", str(scenario), "--out", str(folder / out), *options]
        command()
    except SystemExit as ended:
        code = int(ended.code or 0)
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)


def _spy(log: Path, wait: float) -> None:
    """Write finished chunks down as they come, each by the moment and its replicates."""
    laid = engine._Gathered.add

    def add(self: engine._Gathered, numbers: Counts, values: Draws) -> None:
        laid(self, numbers, values)
        with log.open("a") as file:
            file.write(" ".join(map(str, [time.time(), *numbers.tolist()])) + "\n")
        time.sleep(wait)

    engine._Gathered.add = add  # type: ignore[method-assign]


def _ended(running: int) -> int:
    """The exit code, or the signal as a number below 0."""
    return os.waitstatus_to_exitcode(os.waitpid(running, 0)[1])


def _chunks(log: Path) -> list[tuple[float, list[int]]]:
    lines = log.read_text().splitlines() if log.exists() else []
    return [(float(first), [int(one) for one in rest]) for first, *rest in map(str.split, lines)]


def main() -> None:
    """Print each kill; the exit code is 1 where one of them had a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replicates", type=int, default=3_000)
    asked = parser.parse_args()
    faults, most = 0, 0.0
    for number, one in enumerate(kills(asked.kills, asked.seed, asked.replicates), 1):
        faults, most = faults + bool(one.fault), max(most, one.lost)
        said = f"{number:3} {one.verb:22} {one.signal:8} after {one.after:5.1f} s, {one.lost:4.1f} s drawn again"
        print(f"{said}  {one.fault or 'sound'}", flush=True)
    print(f"{asked.kills} kills, {faults} with a fault; at most {most:.1f} s of work lost")
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
