"""Draw synthetic populations: plans of plain arrays, chunks of replicates, any executor.

Where a model carries parameter sets there is a plan for each, and replicate r is drawn by plan r mod their number.
"""

from __future__ import annotations

import hashlib
import math
import os
import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..costs import shocks, sums, tables
from ..costs.model import CostModel, Stream
from ..costs.shocks import JointShocks
from ..errors import SimulatorError
from ..ledger.parts import Checkpoint, Draws
from ..machine import host
from ..terms import DRAWS_VERSION
from .late import kernels
from .services import Split, empty_lines, split_of
from .years import Chain, program

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
Progress = Callable[[int, int], None]

_PATIENTS_A_CHUNK = 1e8  # about a tenth of a second of one core
_CERTAIN = 10.0, 20.0  # no count lies further above its mean than so many roots of it, and so much more
_LEAST_OF_SETS = 1 << 17  # users below the cut of one parameter set whose sums are worth a table


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
    units: int
    """Units that have shocks of their own; 0 where all shocks are everybody's."""
    n_sampled: int
    """Segments whose people are drawn; 0 where the case mix is fixed."""
    tables_hash: str
    split: Split
    """How costs are divided among services."""
    chain: Chain | None = None
    """How people go from year to year; None in a scenario of one year."""
    by_year: tuple[Plan, ...] = ()
    """The plan of each of the chain's years."""
    trend: Array = field(default_factory=lambda: np.ones((1, 1)))
    """What multiplies costs in each of them, shape (year, stream)."""
    made_with: str = field(init=False)
    """SHA-256 of the compiled loops, numba's version and the bits of the tables."""
    made_at: tuple[str, int] = field(init=False)
    """Machine and process."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "made_with", _made_with(self))
        object.__setattr__(self, "made_at", (host(), os.getpid()))

    @property
    def people(self) -> int:
        """People in one replicate, in all its years."""
        if self.chain is not None:
            return int(self.chain.people.sum()) * len(self.chain.years)
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
        _plan(_drawn_of(truth, increments), thresholds, seed, own, least)
        for truth, own in zip(model.truths, built, strict=True)
    )


class Drawn(NamedTuple):
    """What a plan draws: streams, their people, and the shocks that hit them; as in `Plan`."""

    streams: tuple[Stream, ...]
    heads: Counts
    shares: Array
    shocks: JointShocks
    units: int
    n_sampled: int
    split: Split


def _drawn_of(model: CostModel, increments: Counts) -> Drawn:
    return Drawn(
        model.streams, _stream_heads(model, increments), _chained_shares(model), model.joint_shocks,
        len(model.population.units) if model.has_own_shocks else 0, model.shares.size if model.sampled else 0,
        split_of(model),
    )  # fmt: skip


def _tables(model: CostModel, cuts: tuple[float, ...]) -> tuple[tables.Tables, ...]:
    return tuple(tables.build(stream.severity, cut) for stream, cut in zip(model.streams, cuts, strict=True))


@lru_cache(maxsize=1)
def _tables_of_sets(model: CostModel, cuts: tuple[float, ...]) -> tuple[tuple[tables.Tables, ...], ...]:
    """Tables by parameter set; the last are kept, as they take a while and a run is often taken further."""
    with ThreadPoolExecutor(cores()) as threads:
        return tuple(threads.map(lambda truth: _tables(truth, cuts), model.truths))


def plan_years(model: CostModel, increments: Counts, thresholds: Array, cuts: Array, seed: int, summed: bool) -> Plan:
    """The same of several years, of a model without parameter sets: `model.by_year` says who goes where.

    `increments` as above; `thresholds` are (year, stream, threshold), `cuts` (year, stream) of the years' streams.
    """
    years, units = model.by_year, model.population.units
    segments, rare = model.shares.size, len(years.rare_persistence)
    everybody = increments.sum(axis=1, keepdims=True)
    people = everybody if model.sampled else increments
    start = years.start[:, None] if model.sampled else _by_segment(years.start, segments)
    rates = np.array([stream.rate for stream in years.streams[years.start.shape[1] :]])
    chain = Chain(
        years=years.years, people=np.ascontiguousarray(people), states=years.start.shape[1],
        sampled=segments if model.sampled else 0, start=program(start),
        forward=program(years.forward), backward=program(years.backward),
        events=years.growth[:, None, None] * everybody * rates, stays=years.rare_persistence,
    )  # fmt: skip
    # a state may hold whom its segment holds, and more where people move into it
    expected = everybody * years.start
    for matrix in (years.forward, years.backward):
        for _ in range(len(years.years)):
            expected = np.maximum(
                expected, np.einsum("is,ist->it", expected, np.broadcast_to(matrix, (len(expected), *matrix.shape[1:])))
            )
    heads = np.hstack([np.ceil(expected).astype(np.int64), np.repeat(everybody, rare, axis=1)])
    joint = model.joint_shocks.repeated(years.repeats)
    own_shocks = len(units) if model.has_own_shocks else 0
    nobody, split = np.zeros((1, len(years.streams))), split_of(model, years.repeats)
    drawn = Drawn(years.streams, heads, nobody, joint, own_shocks, 0, split)
    kept: dict[tuple[float, ...], Plan] = {}
    plans = []
    for at, cut in zip(np.repeat(thresholds, years.repeats, axis=1), cuts, strict=True):
        same = tuple(cut.tolist())
        if same not in kept:
            built = [tables.build(stream.severity, one) for stream, one in zip(years.streams, same, strict=True)]
            own = _plan(drawn, at, seed, built, sums.FEWEST if summed else 0)
            kept[same] = replace(own, rate=np.where(own.kind == kernels.PEOPLE, own.rate, -1.0))
        plans.append(replace(kept[same], thresholds=np.ascontiguousarray(at)))
    return replace(plans[years.years.index(1)], chain=chain, by_year=tuple(plans), trend=years.trend)


def _by_segment(start: Array, segments: int) -> Array:
    """Chances of each state for a person of each segment, shape (unit or 1, segment, state); of nobody the first."""
    classes = start.shape[1] // segments
    given = start.reshape(len(start), segments, classes)
    whole = given.sum(axis=2, keepdims=True)
    given = np.where(whole > 0, given / np.where(whole > 0, whole, 1.0), 1.0 / classes)
    laws = np.zeros((len(start), segments, segments, classes))
    places = np.arange(segments)
    laws[:, places, places] = given
    return laws.reshape(len(start), segments, -1)


def _plan(drawn: Drawn, thresholds: Array, seed: int, built: Sequence[tables.Tables], least: int) -> Plan:
    streams, heads, shares = drawn.streams, drawn.heads, drawn.shares
    rate = np.array([stream.rate for stream in streams])
    kind = np.array([_kind_of(stream) for stream in streams])
    expected = (heads * (shares if drawn.n_sampled else 1.0) * rate).max(axis=0)
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
        shocks=drawn.shocks,
        units=drawn.units,
        n_sampled=drawn.n_sampled,
        split=drawn.split.by_set(built),
        # one table of sums stands for all: which there are depends on how many people are drawn
        tables_hash=tables.digest(built, [sums.build(built[0].body, built[0].body_unit)] if least > 0 else []),
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
    if plan.chain is None:
        factors = plan.shocks.factors(_shock_uniforms(plan, replicates))
        drawn = _draw_year(plan, replicates, plan.heads[None], plan.shocks.by_stream(factors))
        drawn["shock_factor"] = factors if plan.units else factors[:, 0]
        return drawn
    years = plan.chain.years
    heads = plan.chain.heads(kernels.key_of(plan.seed), replicates)
    by_shock = plan.shocks.over_years({year: _shock_uniforms(plan, replicates, year) for year in years})
    found: dict[int, dict[str, NDArray[Any]]] = {}
    for year, own, trend in zip(years, plan.by_year, plan.trend, strict=True):
        found[year] = _draw_year(own, replicates, heads[year], plan.shocks.by_stream(by_shock[year]) * trend, year)
        found[year]["shock_factor"] = by_shock[year] if plan.units else by_shock[year][:, 0]
        if plan.chain.sampled:
            states, segments = heads[year][..., : plan.chain.states], plan.chain.sampled
            found[year]["members"] = np.add.reduceat(
                states, np.arange(0, states.shape[2], states.shape[2] // segments), axis=2
            )
    return {name: np.stack([one[name] for one in found.values()], axis=1) for name in found[1]}


def _draw_year(plan: Plan, replicates: Counts, heads: Counts, factor: Array, year: int = 1) -> dict[str, NDArray[Any]]:
    increments, n_thresholds = heads.shape[1], plan.thresholds.shape[1]
    count = replicates.size
    drawn: dict[str, NDArray[Any]] = {
        "gross_cost": np.zeros((count, increments)),
        "excess_cost": np.zeros((count, increments, n_thresholds)),
        "above_cost": np.zeros((count, increments, n_thresholds)),
        "n_above": np.zeros((count, increments, n_thresholds), np.int64),
        "excluded_service_cost": np.zeros((count, increments)),
        "members": np.zeros((count if plan.n_sampled else 0, increments, plan.n_sampled), np.int64),
    }
    lines = empty_lines(count, increments, n_thresholds, plan.split.shares.shape[2])
    chances = np.broadcast_to(plan.shares, plan.heads.shape).copy()
    with np.errstate(over="ignore"):  # plain Python's uint64 warns where it wraps round
        kernels.draw_block(
            kernels.key_of(plan.seed), _own(replicates), kernels.last_word(0, year), _own(heads), chances,
            _own(plan.kind), _own(plan.rate), _own(plan.p_large), _own(plan.body), _own(plan.body_unit),
            _own(plan.sums_from), _own(plan.sums_line), _own(plan.sums_terms), _own(plan.tail), _own(plan.thresholds),
            factor, *(*drawn.values(), *map(_own, (plan.split.shares, plan.split.figures)), *lines.values()),
        )  # fmt: skip
    return drawn | (lines if plan.split.shares.shape[2] else {})


def _shock_uniforms(plan: Plan, replicates: Counts, year: int = 1) -> Array:
    """Independent uniforms of a year, shape (replicate, unit or 1, shock); alike in all units of a common shock."""
    own, units = plan.shocks.per_unit, max(plan.units, 1)
    drawn = np.empty((replicates.size, units, own.size))
    for k, u in np.ndindex(own.size, units):
        known = u and not own[k]
        drawn[:, u, k] = drawn[:, 0, k] if known else _uniforms_of(plan, k, replicates, u, year)
    return drawn


def _uniforms_of(plan: Plan, shock: int, replicates: Counts, unit: int, year: int) -> Array:
    return kernels.uniforms(plan.seed, kernels.SHOCK, shock, replicates, 1, unit, year)[:, 0]


def _own(values: NDArray[Any]) -> NDArray[Any]:
    """An array that the kernel's compiled form accepts: what came from another process may be read-only."""
    return values if values.flags.writeable else values.copy()


# ── other processes ──────────────────────────────────────────────────────────────────────────────


def loops_hash() -> str:
    """SHA-256 of all that a worker brings to a plan: the loops' sources, numba's version, the version of the draws.

    Not of Python, numpy and scipy, with other versions of which the same plan gives the same bits.
    """
    return _loops_hash(version("numba"))


@cache
def _loops_hash(numba: str) -> str:
    digest = hashlib.sha256(f"{numba} {DRAWS_VERSION}".encode())
    for module in (kernels, tables, sums, shocks):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()


def _made_with(plan: Plan) -> str:
    digest = hashlib.sha256(loops_hash().encode())
    for values in _arrays_in(plan):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _arrays_in(plan: Any) -> Iterator[NDArray[Any]]:
    """Every array of a plan, and of what it holds."""
    for values in [getattr(plan, one.name) for one in fields(plan) if one.init] if is_dataclass(plan) else plan:
        if isinstance(values, np.ndarray):
            yield values
        elif isinstance(values, tuple) or is_dataclass(values):
            yield from _arrays_in(values)


class UnlikeError(SimulatorError):
    """A worker would draw other numbers than the run that it works for."""

    def __reduce__(self) -> tuple[Any, ...]:
        return UnlikeError, (self.path, self.value, self.bound, self.mend)


def draw_alike(plan: Plan, replicates: Counts) -> dict[str, NDArray[Any]]:
    """Draw in whatever process, or refuse where its loops, its numba or its copy of the tables are others."""
    if plan.made_at != (host(), os.getpid()) and plan.made_with != _made_with(plan):
        raise UnlikeError(
            f"worker {host()}", None, "has other compiled loops, another numba or other tables than the run",
            "install the same version of the program and of numba on every machine",
        )  # fmt: skip
    return draw(plan, replicates)


# ── gathering ────────────────────────────────────────────────────────────────────────────────────

ATTEMPTS = 3
"""How often a chunk is tried before the run ends with what is finished."""


class Interrupted(KeyboardInterrupt):
    """Drawing has ended early: `drawn` holds the replicates `numbers`, all that were finished, or None.

    `reason` says what broke down; empty where it was stopped by hand.
    """

    def __init__(self, drawn: dict[str, NDArray[Any]] | None, numbers: Counts, reason: str = "") -> None:
        super().__init__(reason or "drawing was stopped")
        self.drawn, self.numbers, self.reason = drawn, numbers, reason


def draw_all(
    plans: Sequence[Plan],
    numbers: Counts,
    executor: Executor | None = None,
    progress: Progress | None = None,
    kept: Checkpoint | None = None,
) -> dict[str, NDArray[Any]]:
    """Draw replicates in chunks; no number depends on the chunks, on their order or on the executor.

    Parameters
    ----------
    plans : sequence of Plan
        Replicate r is drawn by plan r mod their number.
    numbers : ndarray of int
        Which replicates, in rising order.
    executor : concurrent.futures.Executor, optional
        A thread pool over all cores by default.
    progress : callable (done, count), optional
        Called after every chunk.
    kept : Checkpoint, optional
        Gives what is finished already, and keeps what is finished here.

    Raises
    ------
    Interrupted
        On Ctrl-C, and where workers broke down or a chunk failed again and again, with what was finished.
    """  # fmt: skip
    draw(plans[0], np.arange(0))  # compile, or load what was compiled, before many workers need it
    if executor is None:
        with ThreadPoolExecutor(cores()) as threads:
            return _gather(plans, _Gathered(numbers, progress, kept), threads)
    return _gather(plans, _Gathered(numbers, progress, kept), executor)


def _kind_of(stream: Stream) -> int:
    return kernels.PEOPLE if stream.is_segment else kernels.IN_SCOPE if stream.in_scope else kernels.OUT_OF_SCOPE


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


def _chunks(plans: Sequence[Plan], numbers: Counts) -> Iterator[tuple[Plan, Counts]]:
    """Replicates of one plan each, small enough to share the work and to stop soon; early replicates first."""
    sets = len(plans)
    step = sets * _chunk_size(plans[0], math.ceil(numbers.size / sets))
    for start in range(0, numbers.size, step):
        near = numbers[start : start + step]
        for one in np.unique(near % sets):
            yield plans[one], near[near % sets == one]


class _Gathered:
    """Draws by their replicates, as far as they have come."""

    def __init__(self, numbers: Counts, progress: Progress | None, kept: Checkpoint | None) -> None:
        self.numbers, self._progress, self.kept = numbers, progress, kept
        self.drawn: dict[str, NDArray[Any]] = {}
        self._finished = np.zeros(numbers.size, bool)
        for one, values in kept.taken(numbers) if kept else ():
            self._lay(one, values)
        if self._finished.any():
            self._report()

    @property
    def missing(self) -> Counts:
        return self.numbers[~self._finished]

    def add(self, numbers: Counts, values: Draws) -> None:
        """What a worker has finished."""
        self._lay(numbers, values)
        if self.kept:
            self.kept.add(numbers, values)
        self._report()

    def ended(self, reason: str = "") -> Interrupted:
        """All that is finished, where there will be no more."""
        done = self._finished
        if not done.any():
            return Interrupted(None, self.numbers[:0], reason)
        drawn = {name: values[done] if len(values) else values for name, values in self.drawn.items()}
        return Interrupted(drawn, self.numbers[done], reason)

    def _lay(self, numbers: Counts, values: Draws) -> None:
        here = np.searchsorted(self.numbers, numbers)
        for name, one in values.items():  # what a scenario does not use stays empty
            if name not in self.drawn:
                self.drawn[name] = np.empty((self.numbers.size if len(one) else 0, *one.shape[1:]), one.dtype)
            if len(one):
                self.drawn[name][here] = one
        self._finished[here] = True

    def _report(self) -> None:
        if self._progress is not None:
            self._progress(int(self._finished.sum()), self.numbers.size)


def _gather(plans: Sequence[Plan], found: _Gathered, executor: Executor) -> dict[str, NDArray[Any]]:
    """Hand the missing chunks out, and lay what comes back in its place; a chunk that failed is handed out again."""
    given: dict[Future[dict[str, NDArray[Any]]], tuple[Plan, Counts, int]] = {}
    back: queue.SimpleQueue[Future[dict[str, NDArray[Any]]]] = queue.SimpleQueue()

    def give(plan: Plan, numbers: Counts, attempt: int) -> None:
        try:
            future = executor.submit(draw_alike, plan, numbers)
        except Exception as error:  # a pool or scheduler that is broken or closed takes no more
            raise found.ended(_told(error)) from error
        given[future] = plan, numbers, attempt
        future.add_done_callback(back.put)

    try:
        for plan, numbers in _chunks(plans, found.missing):
            give(plan, numbers, 1)
        while given:
            future = _next(back, found.kept)
            if future is None:
                continue
            plan, numbers, attempt = given.pop(future)
            error = _error_of(future)
            if error is None:
                found.add(numbers, future.result())
            elif isinstance(error, KeyboardInterrupt):
                raise error
            elif attempt == ATTEMPTS or isinstance(error, UnlikeError):
                raise found.ended(_told(error)) from error
            else:
                give(plan, numbers, attempt + 1)
    except KeyboardInterrupt as stop:
        for future in given:
            future.cancel()
        if isinstance(stop, Interrupted):
            raise
        raise found.ended() from None
    return found.drawn


def _next(back: queue.SimpleQueue[Future[Any]], kept: Checkpoint | None) -> Future[Any] | None:
    """The next chunk that comes back; None after a second in which none did."""
    try:
        return back.get(timeout=1.0)
    except queue.Empty:
        if kept:
            kept.tick()
        return None


def _error_of(future: Future[Any]) -> BaseException | None:
    return CancelledError() if future.cancelled() else future.exception()


def _told(error: BaseException) -> str:
    """What hindered a chunk, in one line."""
    if isinstance(error, SimulatorError):
        return str(error)
    said = (str(error).splitlines() or [""])[0]
    return f"the workers broke down ({type(error).__name__}{': ' if said else ''}{said[:200]})"
