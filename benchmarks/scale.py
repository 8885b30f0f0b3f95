"""What a run costs: the model of `effort.py` against measured runs at three sizes, and then on paper for a country.

    python benchmarks/scale.py        about a minute of one core; the exit code is 1 where the model is off

Time is in CPU seconds of one core, memory is the most that numpy held at once, and a file is as it is on disk.
"""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import simulator as sim
from simulator import effort, runs
from simulator.engine.simulate import Plan, draw

TIME, BYTES = (0.4, 2.5), (0.8, 1.25)
"""Between which the measured may lie, over the estimated: processors differ, numbers of bytes do not."""
SIZES = ((200_000, 2_000), (2_000_000, 200), (20_000_000, 20))
"""People and replicates: the same number of patient-years each."""
SUMMED = 20_000
"""People of a unit from which on most of their costs are drawn by sums."""
COUNTRY = {"people": 57_000_000, "replicates": 100_000, "units": 42, "years": 8}
THRESHOLDS, START_UP = 5, 15.0
"""Of the country's run; seconds until a new process draws, with its tables."""


class Check(NamedTuple):
    """One estimate against what was measured."""

    what: str
    estimated: float
    measured: float
    bounds: tuple[float, float]

    @property
    def holds(self) -> bool:
        return self.bounds[0] <= self.measured / self.estimated <= self.bounds[1]


def scenario(people: int, replicates: int, units: int = 42, thresholds: int = THRESHOLDS) -> sim.Scenario:
    """A population of so many people in units of one size, with three segments."""
    families = ((0.7, 500.0, 2.0), (0.25, 1_500.0, 1.6), (0.05, 9_000.0, 1.3))
    return sim.Scenario.model_validate({
        "title": "scale",
        "simulation": {"replicates": replicates, "seed": 3, "thresholds": [5_000.0 * 2**k for k in range(thresholds)]},
        "population": {
            "segments": [
                {"name": f"s{k}", "share": share, "severity": {"family": "lognormal", "mean": mean, "cv": cv}}
                for k, (share, mean, cv) in enumerate(families)
            ],
            "units": [{"name": f"u{k}", "members": people // units} for k in range(units)],
        },
    })  # fmt: skip


def checks() -> Iterator[Check]:
    """Time and memory at three sizes; bytes of a file and of what travels to and from a worker."""
    for people, replicates in SIZES:
        asked = scenario(people, replicates)
        (plan,) = runs._plans(asked)
        one, streams = asked.population.units, len(plan.rate)
        summed = people // len(one) >= SUMMED
        work = effort.drawing(people, replicates, len(one), THRESHOLDS, streams, 1, summed)
        seconds, peak, ledger = _measured(asked, plan)
        yield Check(f"{people:,} people × {replicates:,} years, CPU seconds", work.seconds, seconds, TIME)
        yield Check("  most memory, MB", held(asked) / 1e6, peak / 1e6, (0.5, 1.25))
        with tempfile.TemporaryDirectory() as folder:
            sim.save(ledger, Path(folder) / "s.nc")
            yield Check(
                "  file, MB", runs.expected_size(asked) / 1e6, os.path.getsize(f"{folder}/s.nc") / 1e6, (0.4, 2.2)
            )
        back = len(pickle.dumps(draw(plan, _first(4)))) / 4
        yield Check("  back from a worker, kB a year", travelled(asked) / 1e3, back / 1e3, BYTES)
        yield Check("  to a worker, kB a chunk", plan_bytes(streams) / 1e3, len(pickle.dumps(plan)) / 1e3, BYTES)


def _first(count: int):  # type: ignore[no-untyped-def]
    import numpy as np

    return np.arange(count)


def held(asked: sim.Scenario) -> float:
    """Bytes of memory of a run, on the estimate that refuses one which is too large, and what any run needs."""
    return runs.work_of(asked).memory + 1.5e6


def travelled(asked: sim.Scenario) -> float:
    """Bytes of one replicate on its way back: gross cost and excluded services, and three figures a threshold."""
    return 8.0 * len(asked.population.units) * (2 + 3 * THRESHOLDS)


def plan_bytes(streams: int) -> float:
    """Bytes of a plan: its tables, about 180 kB a stream."""
    return 180_000.0 * streams


def _measured(asked: sim.Scenario, plan: Plan) -> tuple[float, float, object]:
    draw(plan, _first(1))
    with ThreadPoolExecutor(1) as one:
        before = sum(os.times()[:2])
        sim.simulate(asked, one, progress=False)
        seconds = sum(os.times()[:2]) - before
        tracemalloc.start()
        ledger = sim.simulate(asked, one, progress=False)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return seconds, peak, ledger


def country(cores: int) -> dict[str, float]:
    """What COUNTRY takes on so many cores, each with an equal part of the replicates of each year."""
    people, replicates, units, years = COUNTRY.values()
    share = replicates / cores
    one = effort.drawing(people, int(share), units, THRESHOLDS, 3, 1, people // units >= SUMMED)
    numbers = replicates * units * (2 + 3 * THRESHOLDS)
    return {
        "hours by the clock": (years * one.seconds + START_UP) / 3_600,
        "core-hours": cores * (years * one.seconds + START_UP) / 3_600,
        "memory a core, MB": one.memory / 1e6,
        "file a core and year, MB": 8 * numbers / cores / 1e6,
        "all files, GB": 8 * numbers * years / 1e9,
    }


def main() -> None:
    """Print both tables."""
    found = list(checks())
    print(f"{'':48} estimated  measured  ratio")
    for one in found:
        verdict = "" if one.holds else "  OFF"
        print(f"{one.what:48} {one.estimated:9.3g} {one.measured:9.3g} {one.measured / one.estimated:6.2f}{verdict}")
    print("\n{people:,} people × {replicates:,} years × {units} units × {years} contract years".format(**COUNTRY))
    tables = {cores: country(cores) for cores in (1, 16, 1_000)}
    print(f"{'':26}" + "".join(f"{cores:>10,} cores" for cores in tables))
    for name in tables[1]:
        print(f"{name:26}" + "".join(f"{table[name]:>16,.3g}" for table in tables.values()))
    sys.exit(not all(one.holds for one in found))


if __name__ == "__main__":
    main()
