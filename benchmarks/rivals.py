"""What we are measured against: a plain numpy loop, a plain jitted loop, and a bound in C."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np

BOUND = Path(__file__).with_name("bound.c")
FLAGS = ("-O3", "-march=native", "-mprefer-vector-width=512", "-shared", "-fPIC")
VARIANTS = ("plain", "vectors_gather", "vectors_loads")


def numpy_loop(heads, rate, mu, sigma, thresholds, replicates, seed=1):  # type: ignore[no-untyped-def]
    """The same sums by numpy.random.Generator.lognormal: one call a segment, increment and replicate."""
    rng = np.random.default_rng(seed)
    gross = np.zeros((replicates, heads.shape[0]))
    excess = np.zeros((replicates, heads.shape[0], thresholds.size))
    n_above = np.zeros(excess.shape, np.int64)
    for r in range(replicates):
        for i in range(heads.shape[0]):
            for s in range(heads.shape[1]):
                cost = rng.lognormal(mu[s], sigma[s], rng.binomial(heads[i, s], rate[s]))
                gross[r, i] += cost.sum()
                for d, threshold in enumerate(thresholds):
                    over = cost[cost > threshold]
                    excess[r, i, d] += over.sum() - threshold * over.size if over.size else 0.0
                    n_above[r, i, d] += over.size
    return gross, excess, n_above


@numba.njit(nogil=True)
def jitted_loop(heads, rate, mu, sigma, thresholds, replicates):  # type: ignore[no-untyped-def]
    """The same sums, patient by patient, every threshold tested on every draw."""
    gross = np.zeros((replicates, heads.shape[0]))
    excess = np.zeros((replicates, heads.shape[0], thresholds.size))
    n_above = np.zeros(excess.shape, np.int64)
    for r in range(replicates):
        for i in range(heads.shape[0]):
            for s in range(heads.shape[1]):
                for _ in range(heads[i, s]):
                    if np.random.random() < rate[s]:  # noqa: NPY002
                        cost = np.random.lognormal(mu[s], sigma[s])  # noqa: NPY002
                        gross[r, i] += cost
                        for d in range(thresholds.size):
                            if cost > thresholds[d]:
                                excess[r, i, d] += cost - thresholds[d]
                                n_above[r, i, d] += 1
    return gross, excess, n_above


def compiler() -> str | None:
    """The system's C compiler, if it has one."""
    named = (sysconfig.get_config_var("CC") or "cc").split()[0]
    return next((path for path in map(shutil.which, ("gcc", "clang", "cc", named)) if path), None)


def bounds(folder: Path) -> dict[str, Callable[[np.ndarray, int], int]]:
    """The variants of the bound that this machine can compile; none without a compiler."""
    command, library = compiler(), folder / "bound.so"
    if command is None:
        return {}
    for flags in (FLAGS, tuple(flag for flag in FLAGS if "prefer" not in flag)):
        if subprocess.run([command, *flags, "-o", library, BOUND], capture_output=True, check=False).returncode == 0:
            return _functions(ctypes.CDLL(str(library)))
    return {}


def _functions(library: ctypes.CDLL) -> dict[str, Callable[[np.ndarray, int], int]]:
    return {name: _function(getattr(library, name)) for name in VARIANTS if hasattr(library, name)}


def _function(compiled: ctypes._NamedFuncPointer) -> Callable[[np.ndarray, int], int]:
    compiled.restype, compiled.argtypes = ctypes.c_uint64, [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64]
    return lambda table, count: int(compiled(table.ctypes.data, count, 1))
