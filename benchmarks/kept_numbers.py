"""Which numbers does a change of the code move? Keeps them before it, and compares them after it.

    python benchmarks/kept_numbers.py keep results/kept.json       # on the version before the change
    python benchmarks/kept_numbers.py compare results/kept.json    # on the version after it

Kept are the fingerprints of the draws and every number, with its key's path, that the verbs print as JSON for the
shipped scenarios and arrangements, for a fit and for a calibration. A path that is gone or a number that differs in
any bit fails the comparison; paths may be added.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from rows import write_costs
from tqdm import tqdm

import simulator as sim
from simulator.present.cli.main import main as simulator_verbs

ROOT = Path(__file__).resolve().parents[1]
FEW = "200"
"""Replicates of every run: enough for each figure to exist."""
MOVES = ("created_at", "simulator_version", "scenario_id", "seconds")
"""Keys that a version or a clock may move."""

Numbers = dict[str, float | str | None]
"""Numbers by their paths; infinity and what is not known as JSON has them."""


# ── what is asked ────────────────────────────────────────────────────────────────────────────────


def scenarios() -> list[Path]:
    found = [*ROOT.glob("configs/*.toml"), *ROOT.glob("configs/arrangements/*.toml")]
    return sorted(path for path in found if not path.stem.endswith("_model"))


def questions(folder: Path) -> Iterator[list[str]]:
    """Every command whose numbers are kept."""
    for path in scenarios():
        yield from of_scenario(path)
    costs = write_costs(folder / "costs.csv")
    yield ["fit", costs, "--cost", "total", "--segment", "band", "--currency", "GBP", "--seed", "3", "--sets", "8"]
    given = ["--mean", "952", "--p-user", "0.85", "--top-share", "0.05=0.514"]
    yield ["calibrate", *given]
    yield ["calibrate", "--family", "lognormal", *given]


def of_scenario(path: Path) -> Iterator[list[str]]:
    scenario, name = sim.load(path), str(path)
    few = ["--replicates", FEW]
    yield ["check", name]
    yield ["run", name, *few]
    yield ["run", name, "--exact"]
    yield ["size", name, "--exact"]
    yield ["size", name, "--members", "20000"]
    yield ["luck", name, "--members", "20000", "--overspend", "0.04"]
    if scenario.designs:
        yield ["settle", name, *few]
        yield ["settle", name, "--payoff"]
        yield ["stress", name, *few, *own_stresses(scenario)]
    if scenario.ranges:
        yield ["sensitivity", name, "--points", "16", "--statistic", "cv"]


def own_stresses(scenario: sim.Scenario) -> list[str]:
    return [] if scenario.stresses else ["--stresses", str(ROOT / "configs" / "stresses" / "arrangements.toml")]


# ── what is answered ─────────────────────────────────────────────────────────────────────────────


def answers() -> Iterator[tuple[str, Numbers]]:
    """Each command, and the numbers that it prints; a refusal is kept as its sentence."""
    with tempfile.TemporaryDirectory() as folder:
        for question in questions(Path(folder)):
            ran = CliRunner().invoke(simulator_verbs, [*question, "--json"])
            words = " ".join(Path(word).name if "/" in word else word for word in question)
            if ran.exit_code:
                yield words, {"refused": ran.stderr.replace(str(ROOT), "").replace(folder, "")}
            else:
                yield words, dict(numbers(json.loads(ran.stdout)))
    for path in scenarios():
        yield f"draws of {path.name}", {"fingerprint": fingerprint_of(path)}


def fingerprint_of(path: Path) -> str:
    from simulator.ledger import fingerprint

    scenario = sim.load(path)
    few = scenario.simulation.model_copy(update={"replicates": int(FEW)})
    return fingerprint(sim.simulate(scenario.model_copy(update={"simulation": few}), progress=False))


def numbers(told: Any, path: str = "") -> Iterator[tuple[str, float | str | None]]:
    """Every number with its key's path; texts are none, but for infinity."""
    if isinstance(told, Mapping):
        for key, part in told.items():
            if key not in MOVES:
                yield from numbers(part, f"{path}.{key}" if path else str(key))
    elif isinstance(told, list):
        for position, part in enumerate(told):
            yield from numbers(part, f"{path}[{position}]")
    elif told is None or isinstance(told, bool | int | float) or told in ("inf", "-inf"):
        yield path, told


# ── the two commands ─────────────────────────────────────────────────────────────────────────────


def keep(file: Path) -> int:
    kept = dict(tqdm(answers(), unit=" commands"))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(kept))
    print(f"kept {sum(map(len, kept.values())):,} numbers of {len(kept)} commands in {file}")
    return 0


def compare(file: Path) -> int:
    kept = json.loads(file.read_text())
    found = dict(tqdm(answers(), total=len(kept), unit=" commands"))
    moved = list(differences(kept, found))
    print(*moved[:50], sep="\n")
    print(f"{sum(map(len, kept.values())):,} numbers of {len(kept)} commands kept, {len(moved)} of them moved or gone")
    return 1 if moved else 0


def differences(kept: Mapping[str, Numbers], found: Mapping[str, Numbers]) -> Iterator[str]:
    """A line for each number that moved or is gone."""
    for question, before in kept.items():
        after = found.get(question, {})
        for path, number in before.items():
            if path not in after:
                yield f"{question}: {path} was {number}, and is gone"
            elif after[path] != number or type(after[path]) is not type(number):
                yield f"{question}: {path} was {number}, and is {after[path]}"


if __name__ == "__main__":
    commands = {"keep": keep, "compare": compare}
    if len(sys.argv) != 3 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    sys.exit(commands[sys.argv[1]](Path(sys.argv[2])))
