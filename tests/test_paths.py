"""How far a threshold and a design travel: the files that are handed one, from a scenario file to a picture."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from conftest import ROOT

import simulator as sim
from simulator.contracts.design import Design

PACKAGE = str(ROOT / "simulator") + "/"
GIVEN = 31_337.0
SCENARIO = """
title = "small"
currency = "GBP"

[simulation]
replicates = 40
population_sizes = [200, 400]
thresholds = [31_337, inf]
seed = 1

[[population.segments]]
name = "all"
share = 1.0
p_user = 0.8
severity = { family = "lognormal", mean = 1500.0, cv = 3.0 }

[[designs]]
name = "shared"
exclusion = { kind = "cap", at = 31_337 }
terms = [{ kind = "share", gain = 0.5, loss = 0.5 }]
"""


def to_a_picture(path: Path) -> None:
    scenario = sim.load(path)
    summary = sim.summarise(sim.simulate(scenario, progress=False))
    sim.plots.variance_by_size(summary)


def to_the_parties(path: Path) -> None:
    scenario = sim.load(path)
    outcome = sim.settle(sim.simulate(scenario, progress=False), scenario.designs)
    sim.plots.who_bears(sim.compare(outcome))


def holds_it(value: Any) -> bool:
    """Whether a value is the threshold, or a grid with it."""
    if isinstance(value, int | float):
        return value == GIVEN
    if isinstance(value, np.ndarray):
        return value.dtype.kind == "f" and bool((value == GIVEN).any())
    return isinstance(value, list | tuple) and any(holds_it(part) for part in value)


def is_handed_thresholds(name: str, value: Any) -> bool:
    return "threshold" in name and holds_it(value)


def is_handed_designs(_: str, value: Any) -> bool:
    parts = value if isinstance(value, list | tuple) else [value]
    return any(isinstance(part, Design) for part in parts)


def handed(flow: Callable[[Path], None], path: Path, asked: Callable[[str, Any], bool]) -> set[str]:
    """The files of which a function is handed what is asked for, while something is done."""
    found = set()

    def look(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE):
            names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            if any(asked(name, frame.f_locals.get(name)) for name in names):
                found.add(code.co_filename.removeprefix(PACKAGE))

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        flow(path)
    finally:
        sys.setprofile(before)
    return found


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SCENARIO)
    to_a_picture(path)  # what is made once is not looked at
    to_the_parties(path)
    return path


def listed(what: str) -> set[str]:
    """The files that CONTRIBUTING lists for a thing's way."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (line,) = re.findall(rf"^\| {what} \| (.*?) \|", text, flags=re.M)
    return set(re.findall(r"`([\w/]+\.py)`", line))


def test_a_threshold_passes_through_few_files(scenario: Path) -> None:
    found = handed(to_a_picture, scenario, is_handed_thresholds)
    assert found == listed("a threshold") and len(found) <= 8


@pytest.mark.heavy
def test_a_design_passes_through_few_files_and_no_json(scenario: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    loads = json.loads
    monkeypatch.setattr(json, "loads", lambda text, *a, **k: read.append(text) or loads(text, *a, **k))
    found = handed(to_the_parties, scenario, is_handed_designs)
    assert found == listed("a design") and len(found) <= 7
    # the ledger keeps the whole scenario for its file; of the designs alone nothing is read
    assert not [text for text in read if "exclusion" in str(text) and "simulation" not in str(text)]


@pytest.mark.heavy
def test_a_longer_way_is_found_out(scenario: Path) -> None:
    """A control: settling once more, by the payoff, hands a design to another file."""

    def longer(path: Path) -> None:
        to_the_parties(path)
        sim.payoff(sim.load(path).designs)

    assert "settlement/payoff.py" in handed(longer, scenario, is_handed_designs)
