"""Runs that are killed at random moments: `benchmarks/kills.py` does fifty, the slow lane ten."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT


def killed(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "kills.py"), *options]
    where = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=where, check=False, timeout=1_800)


def test_what_was_lost_is_read_from_what_the_killed_run_wrote_down(tmp_path) -> None:
    spec = importlib.util.spec_from_file_location("kills", ROOT / "benchmarks" / "kills.py")
    kills = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kills)
    (tmp_path / "log").write_text("12.5 0 3 6\n13.0 1 4\n")
    assert kills._chunks(tmp_path / "log") == [(12.5, [0, 3, 6]), (13.0, [1, 4])] and kills.MOST_LOST == 10.0
    assert (kills.CODES[signal.SIGTERM], kills.CODES[signal.SIGINT]) == (143, 130)


@pytest.mark.heavy
@pytest.mark.parametrize("count", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_killed_runs_lose_no_more_than_ten_seconds_and_leave_nothing(count: int) -> None:
    ran = killed("--kills", str(count), "--seed", "5")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{count} kills, 0 with a fault" in ran.stdout
