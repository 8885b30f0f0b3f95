"""Does `simulator/effort.py` foretell what work takes? Predicted beside measured CPU seconds, over large shapes.

    python benchmarks/effort.py            about a minute on an idle core

A line says NO where the ratio lies outside a third to three: then the constants there want measuring anew.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import simulator as sim
from simulator import effort, runs
from simulator.analysis.statistics.exact import laws_work
from simulator.engine.simulate import cores
from simulator.scenario import Scenario, scenario_from

MOST_OFF = 3.0


def scenario(
    sizes: list[int] | None = None,
    thresholds: list[float] | None = None,
    segments: int = 3,
    shock: float = 0.0,
    replicates: int = 1_000,
) -> Scenario:
    """A scenario of this shape."""
    one = {"p_user": 0.8, "severity": {"family": "lognormal", "mean": 900.0, "cv": 2.0}}
    raw: dict[str, Any] = {
        "schema_version": 1,
        "title": "shape",
        "simulation": {
            "replicates": replicates,
            "population_sizes": sizes or [10_000],
            "thresholds": thresholds or [25_000.0, 50_000.0],
            "seed": 1,
        },
        "population": {"segments": [one | {"name": f"s{k}", "share": 1 / segments} for k in range(segments)]},
        "shocks": [{"name": "prices", "cv": shock}] if shock else [],
    }
    return scenario_from(raw)


def grid(count: int) -> list[float]:
    """So many thresholds."""
    return [25_000.0 + 10.0 * k for k in range(count)]


def exact(shape: Scenario) -> tuple[effort.Work, Callable[[], object]]:
    """Exact laws of a shape."""
    work = laws_work(shape, shape.threshold_labels.size, len(shape.population_sizes))
    return work, lambda: sim.exact(shape)


def drawing(shape: Scenario) -> tuple[effort.Work, Callable[[], object]]:
    """Draws of a shape, in CPU seconds of all cores together."""
    work = runs.work_of(shape)
    return work._replace(seconds=work.seconds * cores()), lambda: sim.simulate(shape, progress=False)


def statistics(shape: Scenario) -> tuple[effort.Work, Callable[[], object]]:
    """Statistics of draws."""
    rows, columns = len(shape.population_sizes), shape.threshold_labels.size
    work = effort.summing(shape.simulation.replicates, rows, columns)
    drawn = sim.simulate(shape, progress=False)
    return work.also(effort.moments(len(shape.cost_model.streams), columns, 1), 2), lambda: sim.summarise(drawn)


def reading(segments: int) -> tuple[effort.Work, Callable[[], object]]:
    """A scenario of many segments is read."""
    return effort.reading(segments, 2), lambda: scenario(segments=segments)


def shapes() -> Iterator[tuple[str, tuple[effort.Work, Callable[[], object]]]]:
    """What is measured, none longer than some ten seconds."""
    yield "exact, 60 thresholds", exact(scenario(thresholds=grid(60)))
    yield "exact, 300 sizes", exact(scenario(sizes=list(range(1_000, 31_000, 100))))
    yield "exact, 100 segments", exact(scenario(segments=100))
    yield "exact, a shock of cv 0.05", exact(scenario(shock=0.05))
    yield "exact, a shock of cv 0.3", exact(scenario(shock=0.3))
    yield "draws, 500,000 people", drawing(scenario(sizes=[500_000], replicates=4_000))
    yield "draws, 300 segments", drawing(scenario(segments=300))
    yield "draws, 1,000 sizes", drawing(scenario(sizes=list(range(1_000, 11_000, 10))))
    yield "draws and sets of a fit", drawing(with_sets())
    yield "statistics, 500 thresholds", statistics(scenario(thresholds=grid(500)))
    yield "statistics, 500 sizes", statistics(scenario(sizes=list(range(1_000, 11_000, 20))))
    yield "reading, 2,000 segments", reading(2_000)


def with_sets() -> Scenario:
    """The shipped scenario that carries parameter sets."""
    return sim.load("configs/synpuf_doubt.toml").with_simulation(replicates=200)


def main() -> int:
    """Print the table; 1 where a line is too far off."""
    sim.simulate(scenario(replicates=10), progress=False)  # compiled before anything is measured
    print(f"{'work':<32}{'predicted s':>12}{'measured s':>12}{'ratio':>8}")
    far = 0
    for name, (work, job) in shapes():
        started = time.process_time()
        job()
        measured = time.process_time() - started
        ratio = work.seconds / measured
        wrong = not 1 / MOST_OFF <= ratio <= MOST_OFF
        far += wrong
        print(f"{name:<32}{work.seconds:>12.2f}{measured:>12.2f}{ratio:>8.2f}{'  NO' if wrong else ''}", flush=True)
    return 1 if far else 0


if __name__ == "__main__":
    sys.exit(main())
