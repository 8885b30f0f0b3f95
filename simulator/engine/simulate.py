"""Draw synthetic populations: plans of plain arrays, chunks of replicates, any executor.

Where a model carries parameter sets there is a plan for each, and replicate r is drawn by plan r mod their number.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..costs import sums, tables
from ..costs.model import CostModel
from ..costs.shocks import JointShocks
from . import kernels

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
Progress = Callable[[int, int], None]

_PATIENTS_A_CHUNK = 1e8  # about a tenth of a second of one core
_CERTAIN = 10.0, 20.0  # no count lies further above its mean than so many roots of it, and so much more
_LEAST_OF_SETS = 1 << 17  # users below the cut of one parameter set whose sums are worth a table
_KINDS = {(True, True): kernels.PEOPLE, (False, True): kernels.IN_SCOPE, (False, False): kernels.OUT_OF_SCOPE}


@dataclass(frozen=True)
class Plan:
    """All that one worker needs to draw any replicate of one parameter set: plain arrays, picklable."""

    seed: int
    heads: Counts
    shares: Array
    kind: Counts
    rate: Array
    p_large: Array
    body: NDArray[np.uint64]
    body_unit: Array
    sums_from: Counts
    sums_line: Array
    sums_terms: Array
    tail: Array
    thresholds: Array
    shocks: JointShocks
    n_sampled: int
    """Segments whose people are drawn; 0 where the case mix is fixed."""
    tables_hash: str

    @property
    def people(self) -> int:
        """People in one replicate."""
        return int(self.heads[:, 0].sum() if self.n_sampled else self.heads[:, self.kind == kernels.PEOPLE].sum())


def make_plans(
    model: CostModel, increments: Counts, thresholds: Array, cuts: Array, seed: int, summed: bool = True
) -> tuple[Plan, ...]:
    """Tables and counts for the kernel, one plan for each parameter set.

    Parameters
    ----------
    model : CostModel
        Its parameter sets differ in what people cost; thresholds, cuts and the case mix are the same for all.
    increments : ndarray of int, shape (increment, segment)
        People added from one population size to the next, or people of each unit.
    thresholds : ndarray, shape (stream, threshold)
        Money per year.
    cuts : ndarray, shape (stream,)
        Money per year before shocks; no body claim exceeds it.
    seed : int
    summed : bool
        Whether many body claims are drawn by their sum.
    """
    at = tuple(cuts.tolist())
    built = _tables_of_sets(model, at) if len(model.truths) > 1 else (_tables(model, at),)
    least = 0 if not summed else sums.FEWEST if len(built) == 1 else _LEAST_OF_SETS
    return tuple(
        _plan(truth, increments, thresholds, seed, own, least) for truth, own in zip(model.truths, built, strict=True)
    )


def _tables(model: CostModel, cuts: tuple[float, ...]) -> tuple[tables.Tables, ...]:
    return tuple(tables.build(stream.severity, cut) for stream, cut in zip(model.streams, cuts, strict=True))


@lru_cache(maxsize=1)
def _tables_of_sets(model: CostModel, cuts: tuple[float, ...]) -> tuple[tuple[tables.Tables, ...], ...]:
    """Tables by parameter set; the last are kept, as they take a while and a run is often taken further."""
    with ThreadPoolExecutor(cores()) as threads:
        return tuple(threads.map(lambda truth: _tables(truth, cuts), model.truths))


def _plan(
    model: CostModel, increments: Counts, thresholds: Array, seed: int, built: Sequence[tables.Tables], least: int
) -> Plan:
    streams = model.streams
    heads, shares = _stream_heads(model, increments), _chained_shares(model)
    rate = np.array([stream.rate for stream in streams])
    kind = np.array([_KINDS[stream.is_segment, stream.in_scope] for stream in streams])
    expected = (heads * (shares if model.sampled else 1.0) * rate).max(axis=0)
    at_most = np.minimum(
        expected + _CERTAIN[0] * np.sqrt(expected) + _CERTAIN[1],
        np.where(kind == kernels.PEOPLE, heads.max(axis=0), np.inf),
    )
    summed = [
        sums.build(table.body, table.body_unit) if 0 < least <= reached else sums.NONE
        for table, reached in zip(built, at_most, strict=True)
    ]
    return Plan(
        seed=seed,
        heads=heads,
        shares=shares,
        kind=kind,
        rate=rate,
        p_large=np.array([table.p_large for table in built]),
        body=np.stack([table.body for table in built]),
        body_unit=np.array([table.body_unit for table in built]),
        sums_from=np.array([max(own.least, least) if own.least else 0 for own in summed]),
        sums_line=np.stack([own.line for own in summed]),
        sums_terms=np.stack([own.terms for own in summed])[: len(summed) if any(own.least for own in summed) else 0],
        tail=np.stack([table.tail for table in built]),
        thresholds=np.ascontiguousarray(thresholds),
        shocks=model.joint_shocks,
        n_sampled=model.shares.size if model.sampled else 0,
        tables_hash=tables.digest(list(built), summed),
    )


def tables_hash(plans: Sequence[Plan]) -> str:
    """SHA-256 over every bit of the tables of all parameter sets."""
    if len(plans) == 1:
        return plans[0].tables_hash
    return hashlib.sha256("".join(plan.tables_hash for plan in plans).encode()).hexdigest()


def _stream_heads(model: CostModel, increments: Counts) -> Counts:
    everybody = increments.sum(axis=1, keepdims=True)
    segments = np.repeat(everybody, model.shares.size, axis=1) if model.sampled else increments
    return np.ascontiguousarray(
        np.hstack([segments, np.repeat(everybody, len(model.streams) - model.shares.size, axis=1)])
    )


def _chained_shares(model: CostModel) -> Array:
    """Chance of each segment among those not placed in an earlier one, shape (increment or 1, stream)."""
    units = model.population.units
    shares = np.stack([model.unit_shares(unit) for unit in units]) if units else model.shares[None, :]
    left = np.cumsum(shares[:, ::-1], axis=1)[:, ::-1]
    with np.errstate(invalid="ignore"):
        chained = np.where(left > 0, np.minimum(shares / left, 1.0), 0.0)
    # whoever is left belongs to the last segment that has a share
    last = shares.shape[1] - 1 - np.argmax(shares[:, ::-1] > 0, axis=1)
    chained[np.arange(shares.shape[0]), last] = 1.0
    return np.hstack([chained, np.zeros((shares.shape[0], len(model.streams) - model.shares.size))])


def draw(plan: Plan, replicates: Counts) -> dict[str, NDArray[Any]]:
    """Draw the replicates with these numbers; the unit of work that an executor runs.

    Returns
    -------
    dict of ndarray
        By increment, not accumulated: see `kernels.draw_block`.
    """
    increments, n_thresholds = plan.heads.shape[0], plan.thresholds.shape[1]
    count = replicates.size
    factors = _shock_factors(plan, replicates)
    drawn: dict[str, NDArray[Any]] = {
        "gross_cost": np.zeros((count, increments)),
        "excess_cost": np.zeros((count, increments, n_thresholds)),
        "above_cost": np.zeros((count, increments, n_thresholds)),
        "n_above": np.zeros((count, increments, n_thresholds), np.int64),
        "excluded_service_cost": np.zeros((count, increments)),
        "members": np.zeros((count if plan.n_sampled else 0, increments, plan.n_sampled), np.int64),
    }
    chances = np.broadcast_to(plan.shares, plan.heads.shape).copy()
    factor = plan.shocks.by_stream(factors)
    with np.errstate(over="ignore"):  # plain Python's uint64 warns where it wraps round
        kernels.draw_block(
            kernels.key_of(plan.seed), _own(replicates), _own(plan.heads), chances, _own(plan.kind), _own(plan.rate),
            _own(plan.p_large), _own(plan.body), _own(plan.body_unit), _own(plan.sums_from), _own(plan.sums_line),
            _own(plan.sums_terms), _own(plan.tail), _own(plan.thresholds), factor, *drawn.values(),
        )  # fmt: skip
    drawn["shock_factor"] = factors
    return drawn


def _shock_factors(plan: Plan, replicates: Counts) -> Array:
    """What each shock multiplies costs by, shape (replicate, shock)."""
    drawn = [kernels.uniforms(plan.seed, kernels.SHOCK, k, replicates, 1) for k in range(len(plan.shocks.shocks))]
    return plan.shocks.factors(np.hstack([np.empty((replicates.size, 0)), *drawn]))


def _own(values: NDArray[Any]) -> NDArray[Any]:
    """An array that the kernel's compiled form accepts: what came from another process may be read-only."""
    return values if values.flags.writeable else values.copy()


class Interrupted(KeyboardInterrupt):
    """Drawing was stopped; `drawn` holds the replicates that were finished without a gap, or None."""

    def __init__(self, drawn: dict[str, NDArray[Any]] | None) -> None:
        super().__init__("drawing was stopped")
        self.drawn = drawn


def draw_all(
    plans: Sequence[Plan], first: int, count: int, executor: Executor | None = None, progress: Progress | None = None
) -> dict[str, NDArray[Any]]:
    """Draw replicates in chunks; no number depends on the chunks, on their order or on the executor.

    Parameters
    ----------
    plans : sequence of Plan
        Replicate r is drawn by plan r mod their number.
    first, count : int
        Replicates first … first + count − 1.
    executor : concurrent.futures.Executor, optional
        A thread pool over all cores by default.
    progress : callable (done, count), optional
        Called after every chunk.

    Raises
    ------
    Interrupted
        On Ctrl-C, with what was finished.
    """
    draw(plans[0], np.arange(0))  # compile, or load what was compiled, before many workers need it
    if executor is None:
        with ThreadPoolExecutor(cores()) as threads:
            return _gather(plans, first, count, threads, progress)
    return _gather(plans, first, count, executor, progress)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def is_compiled() -> bool:
    """Whether the kernel is compiled already, in this process or on disk."""
    kernel: Any = kernels.draw_block
    if not hasattr(kernel, "stats") or kernel.signatures:
        return True
    folder = kernel.stats.cache_path
    return folder is not None and any(Path(folder).glob("kernels.draw_block*.nbc"))


def _chunk_size(plan: Plan, count: int) -> int:
    by_work = math.ceil(_PATIENTS_A_CHUNK / max(plan.people, 1))
    return max(1, min(by_work, math.ceil(count / 8)))


def _chunks(plans: Sequence[Plan], first: int, count: int) -> Iterator[tuple[Plan, Counts]]:
    """Replicates of one plan each, small enough to share the work and to stop soon; early replicates first."""
    sets = len(plans)
    step = sets * _chunk_size(plans[0], math.ceil(count / sets))
    for start in range(first, first + count, step):
        stop = min(start + step, first + count)
        for one in range(start, min(start + sets, stop)):
            yield plans[one % sets], np.arange(one, stop, sets)


def _gather(
    plans: Sequence[Plan], first: int, count: int, executor: Executor, progress: Progress | None
) -> dict[str, NDArray[Any]]:
    futures: dict[Future[dict[str, NDArray[Any]]], Counts] = {}
    drawn: dict[str, NDArray[Any]] = {}
    finished = np.zeros(count, bool)
    try:
        for plan, numbers in _chunks(plans, first, count):
            futures[executor.submit(draw, plan, numbers)] = numbers
        for future in as_completed(list(futures)):
            here = futures.pop(future) - first
            for name, values in future.result().items():
                _put(drawn, name, values, here, count)
            finished[here] = True
            if progress is not None:
                progress(int(finished.sum()), count)
    except KeyboardInterrupt:
        for future in futures:
            future.cancel()
        whole = count if finished.all() else int(np.argmin(finished))
        raise Interrupted({name: values[:whole] for name, values in drawn.items()} if whole else None) from None
    return drawn


def _put(drawn: dict[str, NDArray[Any]], name: str, values: NDArray[Any], here: Counts, count: int) -> None:
    """Lay what was drawn in its place; what a scenario does not use stays empty."""
    if name not in drawn:
        drawn[name] = np.empty((count if len(values) else 0, *values.shape[1:]), values.dtype)
    if len(values):
        drawn[name][here] = values
