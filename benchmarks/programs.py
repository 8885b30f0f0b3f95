"""What whole processes need: start-up, the first call, memory, and a job that other programs were given too."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from statistics import median

import measure

_SCENARIO = """
import json, math, resource, sys, time
import simulator as sim
people, replicates, sizes, thresholds = json.loads(sys.argv[1])
scenario = sim.Scenario.model_validate({
    "title": "whole program", "currency": "GBP",
    "simulation": {"replicates": replicates, "population_sizes": [people * k // sizes for k in range(1, sizes + 1)],
                   "thresholds": thresholds, "seed": 1},
    "population": {"segments": [{"name": "everybody", "share": 1.0, "p_user": 0.85,
                                 "severity": {"family": "lognormal", "mu": 6.5, "sigma": 1.6}}]},
})
"""
_FIRST_CALL = _SCENARIO + "sim.simulate(scenario)"
_AFTER_START = (
    _SCENARIO
    + """
sim.summarise(sim.simulate(scenario.with_simulation(replicates=10)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.process_time()
ledger = sim.simulate(scenario)
cost = sim.retained_cost(ledger, sim.Cap())
spread = float(cost.std() / cost.mean())
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"cpu_seconds": time.process_time() - started, "more_mb": (after - before) / 1024,
                  "peak_mb": after / 1024, "cv": spread}))
"""
)
_IMPORT = "import simulator"
_LOAD = "import simulator as sim; sim.simulate; sim.Scenario"


def _job(people: int, replicates: int, sizes: int, thresholds: list[float]) -> str:
    return json.dumps([people, replicates, sizes, thresholds])


def start_up() -> dict[str, float]:
    """CPU seconds of processes that only start."""
    tiny = _job(1_000, 10, 1, [50_000.0])
    nothing = median(measure.process("pass").cpu_seconds for _ in range(3))
    with tempfile.TemporaryDirectory() as cache:
        cold = measure.process(_FIRST_CALL, tiny, NUMBA_CACHE_DIR=cache).cpu_seconds
        warm = median(measure.process(_FIRST_CALL, tiny, NUMBA_CACHE_DIR=cache).cpu_seconds for _ in range(3))
    return {
        "import simulator": median(measure.process(_IMPORT).cpu_seconds for _ in range(3)) - nothing,
        "import all that a run needs": median(measure.process(_LOAD).cpu_seconds for _ in range(3)) - nothing,
        "process with a first small run, nothing compiled": cold,
        "process with a first small run, compiled before": warm,
    }


_VERB = "from simulator.__main__ import main; main()"
VERBS = {
    "check": "check configs/east_sussex.toml",
    "luck": "luck configs/east_sussex.toml --members 30000 --overspend 4%",
    "run --exact": "run configs/east_sussex.toml --exact",
    "run --replicates 50": "run configs/east_sussex.toml --replicates 50",
    "run --exact, systematic": "run configs/east_sussex_systematic.toml --exact",
    "luck, systematic": "luck configs/east_sussex_systematic.toml --members 30000 --overspend 4%",
    "luck, a shock": "luck configs/east_sussex_shock.toml --members 30000 --overspend 4%",
    "size --exact": "size configs/east_sussex.toml --margin 3% --exact",
}


def verbs(trees: list[str]) -> Iterator[tuple[str, list[float]]]:
    """CPU seconds of verbs in a cold shell, compiled before, of the versions in some folders by turns."""
    for name, words in VERBS.items():
        runs = [[measure.process(_VERB, *words.split(), PYTHONPATH=t).cpu_seconds for t in trees] for _ in range(4)]
        yield name, [median(each) for each in zip(*runs[1:], strict=True)]


def peers_job() -> dict[str, float]:
    """100,000 people × 1,000 replicates × one cap, after start-up; the median of three processes by CPU."""
    job = _job(100_000, 1_000, 1, [50_000.0])
    ran = [json.loads(measure.process(_AFTER_START, job).output) for _ in range(3)]
    return sorted(ran, key=lambda each: each["cpu_seconds"])[1]


def memory(people: int) -> tuple[float, float]:
    """Peak MB and seconds of a process that draws 9 sizes × 5 thresholds × 10,000 replicates."""
    job = _job(people, 10_000, 9, [25_000.0, 50_000.0, 100_000.0, 250_000.0, float("inf")])
    spent = measure.process(_FIRST_CALL, job)
    return spent.peak_mb, spent.wall_seconds


def years_memory(scenario: str, replicates: int) -> tuple[float, float]:
    """Peak MB and CPU seconds of a process that draws so many replicates of all years of a scenario."""
    code = "import sys, simulator as sim\nfile, n = sys.argv[1:]\n"
    code += "sim.simulate(sim.load(file).with_simulation(replicates=int(n)), progress=False)"
    spent = measure.process(code, scenario, str(replicates))
    return spent.peak_mb, spent.cpu_seconds
