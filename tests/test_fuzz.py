"""Damaged and hostile scenarios and result files: an answer or one sentence, never a traceback or a hang.

Three thousand scenarios and a thousand files with `EVERY_QUESTION=1`, without it the first tenth or so of each batch.
"""

from __future__ import annotations

import copy
import os
import random
import resource
import time
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import KINDS, make, raw

import simulator as sim
from simulator.netcdf import _SEAL
from simulator.present.cli.main import main
from simulator.scenario import scenario_from

LONGEST = 20.0  # CPU seconds
LARGEST = 2e9  # bytes
SCENARIOS, FILES = (500, 200) if os.environ.get("EVERY_QUESTION") else (50, 12)  # a batch
ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 3, 100, 10**9, 2**63, 2**64, -(2**63), 10**400),
    *(0.0, -0.0, 1.0, 0.5, 0.999999, 1e-9, 1e-300, 1e155, 1e300, 1e308, -1e155),
    *(float("inf"), float("-inf"), float("nan")),
    *("", "a", " ", "a\nb", "é", "1", "1,000", "50%", "inf", "\u202ea", "\0", "x" * 5_000),
    *([], [0], ["a"], [[]], [1, 2, 3], [3, 2, 1], [1, 1], [float("inf")]),
    *({}, {"a": 1}, {"family": "lognormal"}, {"family": "empirical", "values": [1.0]}, {"percentiles": [0.5, 1.0]}),
]
DESIGNS = [
    {"name": "a", "terms": [{"kind": "minimum_rate", "rate": 0.02}, {"kind": "share", "gain": 0.5, "loss": 0.3}]},
    {"name": "b", "exclusion": {"kind": "cap"}, "budget": {"kind": "per_head", "amount": 1_000.0}},
]
STRESSES = [{"name": "s", "expresses": "x", "changes": [{"kind": "inflation", "by": 0.02}]}]


# ── scenarios ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.slow if k else ()) for k in range(6)])
def test_a_damaged_scenario_is_answered_or_refused(seed: int) -> None:
    refused = 0
    for damaged in scenarios(seed, SCENARIOS):
        started = time.process_time()
        refused += not is_answered(damaged)
        assert time.process_time() - started < LONGEST, damaged
    assert refused > 0
    assert peak_memory() < LARGEST


def scenarios(seed: int, count: int) -> Iterator[dict[str, Any]]:
    """Scenarios of every kind with one to three of their parts replaced, taken out, renamed or repeated."""
    rng = random.Random(seed)
    kinds = [raw(**changes) | {"designs": DESIGNS, "stresses": STRESSES} for changes in KINDS.values()]
    for _ in range(count):
        damaged = copy.deepcopy(rng.choice(kinds))
        for _ in range(rng.choice((1, 1, 2, 3))):
            damage(damaged, rng)
        yield damaged


def damage(whole: dict[str, Any], rng: random.Random) -> None:
    *way, last = rng.choice(list(places(whole)))
    part: Any = whole
    for step in way:
        part = part[step]
    how = rng.random()
    if how < 0.75:
        part[last] = copy.deepcopy(rng.choice(ODD))
    elif how < 0.85:
        part.pop(last)
    elif isinstance(part, dict):
        part[rng.choice(("x", "name", "mean", "cv", "segments", "kind"))] = part.pop(last)
    else:
        part.append(copy.deepcopy(part[last]))


def places(part: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in inner:
        yield (*way, key)
        yield from places(value, (*way, key))


def is_answered(damaged: dict[str, Any]) -> bool:
    """Whether a scenario is accepted, and then described and drawn; anything but a sentence fails the test."""
    try:
        scenario = scenario_from(damaged)
        sim.describe(scenario)
        sizes = {} if scenario.population.units else {"population_sizes": (40,)}
        few = scenario.simulation.model_copy(update={"replicates": 2} | sizes)
        if max(scenario.population_sizes) < 10_000 or sizes:
            sim.simulate(scenario.model_copy(update={"simulation": few}), progress=False)
    except sim.SimulatorError as error:
        assert str(error)
        return False
    return True


# ── result files ─────────────────────────────────────────────────────────────────────────────────

VERBS = (
    ["report", "FILE", "-o", "OUT.html"],
    ["plot", "FILE", "--kind", "heat-map", "-o", "OUT.png"],
    ["settle", "FILE"],
)


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")  # a person sees none; costs may be 1e300
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.slow if k else ()) for k in range(5)])
def test_a_damaged_result_file_is_read_or_refused(seed: int, tmp_path: Any) -> None:
    sound = tmp_path / "sound.nc"
    scenario = make(simulation={"replicates": 8, "population_sizes": [50, 200]}, designs=DESIGNS)
    sim.save(sim.simulate(scenario, progress=False), sound)
    whole, rng = (
        sound.read_bytes()[:-_SEAL],
        random.Random(seed),
    )  # no seal, or HDF5 is not even called
    codes = set()
    for number in range(FILES):
        damaged = tmp_path / f"damaged{number}.nc"
        damaged.write_bytes(whole)
        (spoil if number % 2 else rewrite)(damaged, rng)
        started = time.process_time()
        codes.add(read_by_a_verb(damaged, rng))
        assert time.process_time() - started < LONGEST
        damaged.unlink()
    assert codes <= {0, 2, 3} and 2 in codes
    assert peak_memory() < LARGEST


def spoil(path: Any, rng: random.Random) -> None:
    """Cut the file short, or turn some of its bytes."""
    held = bytearray(path.read_bytes())
    if rng.random() < 0.3:
        del held[rng.randrange(len(held)) :]
    else:
        for _ in range(rng.choice((1, 4, 64))):
            held[rng.randrange(len(held))] ^= 1 << rng.randrange(8)
    path.write_bytes(held)


def rewrite(path: Any, rng: random.Random) -> None:
    """A sound HDF5 file with another attribute, another type, or a part taken out."""
    with h5py.File(path, "a") as file:
        name, how = rng.choice(list(file)), rng.random()
        if how < 0.4:
            attribute = rng.choice(list(file.attrs))
            file.attrs[attribute] = rng.choice(("", "{}", 3, -1.5, np.nan, np.arange(3), "null", '{"a": [1]}'))
        elif how < 0.6:
            del file[name]
        elif how < 0.8 and file[name].dtype.kind == "f":
            file[name][...] = rng.choice((np.nan, np.inf, -1.0, 0.0, 1e300))
        else:
            shape = file[name].shape
            del file[name]
            file[name] = np.full(shape, b"text") if rng.random() < 0.5 else np.zeros(shape, complex)


def read_by_a_verb(path: Any, rng: random.Random) -> int:
    out = str(path.with_suffix(""))
    verb = [word.replace("FILE", str(path)).replace("OUT", out) for word in rng.choice(VERBS)]
    ran = CliRunner().invoke(main, verb)
    assert ran.exception is None or isinstance(ran.exception, SystemExit), (verb, ran.exception)
    assert ran.exit_code != 2 or ran.stderr.startswith("simulator: "), ran.stderr
    return ran.exit_code


def peak_memory() -> float:
    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
