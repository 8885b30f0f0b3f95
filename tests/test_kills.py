"""Runs that are killed at random moments: `benchmarks/kills.py` does fifty, the slow lane ten."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from conftest import ROOT


def killed(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "kills.py"), *options]
    where = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=where, check=False, timeout=1_800)


def test_the_script_says_what_it_does() -> None:
    assert "has the bits of a run that was left alone" in killed("--help").stdout


@pytest.mark.heavy
@pytest.mark.parametrize("count", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_killed_runs_lose_no_more_than_ten_seconds_and_leave_nothing(count: int) -> None:
    ran = killed("--kills", str(count), "--seed", "5")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{count} kills, 0 with a fault" in ran.stdout
