"""Ratios that a busy machine disturbs little: two jobs by turns, CPU seconds, medians."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import NamedTuple

Job = Callable[[], object]


class Pair(NamedTuple):
    """Two jobs measured by turns."""

    first: float
    """Median seconds of the first."""
    second: float
    ratio: float
    """Median of second / first, each pair by itself."""
    lowest: float
    highest: float


def seconds(job: Job, clock: Callable[[], float] = time.process_time) -> float:
    started = clock()
    job()
    return clock() - started


def median_seconds(job: Job, turns: int = 5) -> float:
    """CPU seconds of a job by itself, after one run that is thrown away."""
    job()
    return median(seconds(job) for _ in range(turns))


def by_turns(first: Job, second: Job, turns: int = 9, clock: Callable[[], float] = time.process_time) -> Pair:
    """Seconds of both, and of each second / first, after one run of each that is thrown away."""
    first(), second()
    measured = [(seconds(first, clock), seconds(second, clock)) for _ in range(turns)]
    ratios = [b / a for a, b in measured]
    return Pair(
        median(a for a, _ in measured), median(b for _, b in measured), median(ratios), min(ratios), max(ratios)
    )


class Spent(NamedTuple):
    """What a process of its own used."""

    cpu_seconds: float
    wall_seconds: float
    peak_mb: float
    output: str


_SPY = """
import os, resource, sys, time
started = time.monotonic()
pid = os.fork()
if not pid:
    os.execv(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(pid, 0)
print(f"\\n@ {usage.ru_utime + usage.ru_stime} {time.monotonic() - started} {usage.ru_maxrss}")
sys.exit(os.waitstatus_to_exitcode(status))
"""


def process(code: str, *arguments: str, **environment: str) -> Spent:
    """Run Python code in a process of its own."""
    command = [sys.executable, "-c", _SPY, sys.executable, "-c", code, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, check=False)
    if ran.returncode:
        raise RuntimeError(ran.stderr)
    output, _, figures = ran.stdout.rpartition("\n@ ")
    cpu, wall, peak = (float(part) for part in figures.split())
    return Spent(cpu, wall, peak / 1024, output)


def load() -> float:
    """Programs that wanted a core in the last minute, this one included; 0 where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    names = ("numpy", "scipy", "numba", "llvmlite", "xarray")
    return {
        "date": date.today().isoformat(),
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in names},
    }


def _processor() -> str:
    import llvmlite.binding as llvm

    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return f"{named} ({llvm.get_host_cpu_name()})"


def table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
