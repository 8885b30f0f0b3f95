"""How long work takes: an estimate before it, refused above a bound, and progress meanwhile.

Functions say what they do by `task` and what it will take by `expect`; who shows it, and whether, is no matter of
theirs. Of tasks within tasks the outermost is shown, and each inner one fills one unit of the one around it. Only the
main thread's work is shown. A leaf of the package: knows nothing but the machine.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from .errors import SimulatorError
from .machine import bytes_told, free_memory

T = TypeVar("T")

ANNOUNCED = 20.0
"""Seconds of expected work from which on it is announced."""
MOST_HOURS = 24.0
"""Expected work above which it is refused."""
BOUND = "SIMULATOR_MOST_HOURS"
"""The environment variable that sets another bound, in hours."""
FIRST, EVERY = 15.0, 60.0
"""Seconds until the first line on work of which nobody knew that it is long, and from line to line."""


class Work(NamedTuple):
    """What a piece of work takes on one core of an ordinary machine; benchmarks/effort.py measures the constants."""

    seconds: float
    memory: float = 0.0
    """Bytes at the worst moment."""

    def also(self, other: Work, times: float = 1) -> Work:
        """Both, the other so many times."""
        return Work(self.seconds + times * other.seconds, max(self.memory, other.memory))


def reading(segments: int, thresholds: int) -> Work:
    """A scenario file is read: each segment's moments, and its excess at each threshold."""
    return Work(segments * (1.3e-3 + 2e-5 * thresholds), 3e4 * segments)


def drawing(
    people: float, replicates: int, rows: int, thresholds: int, streams: int, sets: int, summed: bool = False
) -> Work:
    """Tables of costs by stream and set, then people one by one, or few of them; `rows` are sizes or units."""
    cells = replicates * rows * (2 + 3 * thresholds)
    table, each = (2e-2, 2.5e-10) if summed else (9e-3, 1.4e-9)
    seconds = table * streams * sets + replicates * (each * people + 1.5e-7 * rows * streams) + 1.5e-8 * cells
    return Work(seconds, 24 * cells + 1.5e5 * streams * sets)


def moments(streams: int, thresholds: int, sets: int, factors: int = 1) -> Work:
    """Exact moments of what each threshold keeps of each stream, at so many factors of its shocks."""
    return Work(4.5e-4 * streams * thresholds * sets * factors, 400.0 * streams * thresholds * factors)


def summing(replicates: int, rows: int, thresholds: int) -> Work:
    """Statistics of draws and their errors."""
    cells = replicates * rows * thresholds
    return Work(1e-6 * cells + 1.5e-3 * thresholds, 64.0 * cells)


def laws(asked: int, sizes: int, streams: int, sets: int, thresholds: int, spreads: Sequence[float] = ()) -> Work:
    """Exact laws at some of the thresholds of a scenario, for each size.

    Each stream's transform is worked out at the thresholds over each of the points that carry it over the factors of
    its shocks: `spreads` are their logarithms' half-ranges by stream.
    """
    points = [next((count for least, count in _POINTS if spread > least), 1) for spread in spreads] or [1] * streams
    first = sum(8e-3 + 2e-4 * thresholds * count**2 for count in points)
    again = sum(2e-3 + 1.5e-4 * count for count in points)
    return Work(asked * sets * (first + max(sizes - 1, 0) * again), 5e7 + 1e4 * thresholds * sum(points) * sets)


_POINTS = ((3.0, 96), (1.0, 48), (0.5, 24), (0.0, 12))
"""Half-ranges of a factor's logarithm, and the points that a polynomial over so much of it takes."""


def settling(replicates: int, rows: int, places: int, parties: int) -> Work:
    """Designs settled; `places` are designs times the thresholds over which they are swept."""
    cells = replicates * rows * places
    return Work(4e-3 * places + 1e-7 * cells * (parties + 2), 8.0 * cells * (4 * parties + 4))


def expect(name: str, work: Work, path: str, value: object, mend: str) -> None:
    """Say what work is going to take where that is long, and refuse it where it is too long or too large.

    `path`, `value` and `mend` are as in `SimulatorError`: the figure that makes it long, and what to do about it.
    """
    refuse(work, path, value, mend)
    if work.seconds < ANNOUNCED or any(one.announced for one in _open) or not (_watched or _interactive()):
        return
    if _open:
        _open[-1].announced = True
    memory = f" and {bytes_told(work.memory)}" if work.memory > 1e8 else ""
    _say(f"{name} will take {duration(work.seconds)}{memory}")


def refuse(work: Work, path: str, value: object, mend: str) -> None:
    """As `expect`, without a word where the work may be done."""
    free, most = free_memory(), _most_hours()
    if work.memory > free:
        bound = f"would need {bytes_told(work.memory)} of memory, and {bytes_told(free)} are free"
        raise SimulatorError(path, value, bound, mend)
    if work.seconds > 3600 * most:
        bound = f"would take {duration(work.seconds)}, and at most {duration(3600 * most)} are allowed"
        raise SimulatorError(path, value, bound, f"{mend}, or set {BOUND} to more")


def _most_hours() -> float:
    given = os.environ.get(BOUND, "")
    try:
        hours = float(given or MOST_HOURS)
    except ValueError:
        hours = math.nan
    if not hours > 0:
        raise SimulatorError(BOUND, given, "must be a number of hours above 0", "set it to 48, say, or unset it")
    return hours


_UNITS = ((1.0, "second"), (60.0, "minute"), (3600.0, "hour"), (86_400.0, "day"))


def duration(seconds: float) -> str:
    """A span of time as people tell it: "about 3 minutes"."""
    size, unit = next(one for one in reversed(_UNITS) if seconds >= 1.5 * one[0] or one is _UNITS[0])
    count = max(round(seconds / size), 1)
    return f"about {count:,} {unit}{'' if count == 1 else 's'}"


class Task:
    """Work of so many units, any of which may be filled by a task of its own."""

    def __init__(self, name: str, total: float, said: str = "", fills: float = 1.0) -> None:
        self.name, self.total, self.said, self.fills = name, total, said, fills
        self.done = self.filled = 0.0
        self.announced = False
        self.started = time.monotonic()
        self.bar: Any = None

    def __call__(self, units: float = 1.0, said: str = "") -> None:
        """So many more units are done."""
        self.done, self.filled, self.said = self.done + units, 0.0, said
        inner = self
        for outer in reversed(_open[: _open.index(self)] if self in _open else []):
            outer.filled = max(outer.filled, inner.share * inner.fills)
            inner = outer
        for one in _open[:1]:
            _draw(one)

    @property
    def share(self) -> float:
        """How much of it is done, 0 to 1."""
        return min((self.done + self.filled) / self.total, 1.0) if self.total else 0.0

    def line(self) -> str:
        """How far it is, and how much longer it will take."""
        spent = time.monotonic() - self.started
        if self.share <= 0.0:
            return f"{self.name}: {duration(spent)} so far"
        left = duration(spent * (1 / self.share - 1))
        return f"{self.name}: {100 * self.share:.0f}% after {duration(spent)}, {left} left"


_open: list[Task] = []
"""Tasks of the main thread, the outermost first."""
_watched: list[str] = []
"""Verbs of the command line that are running."""


@contextmanager
def task(name: str, total: float, said: str = "", fills: float = 1.0, shown: bool = False) -> Iterator[Task]:
    """Work of so many units, of which what this gives is called for every one that is done.

    It fills `fills` units of the task around it; `said` is told beside its bar from the start; `shown` shows a bar also
    where nobody looks at a terminal or notebook.
    """
    one = Task(name, total, said, fills)
    if threading.current_thread() is not threading.main_thread():
        yield one
        return
    if not _open and (shown or _interactive()):
        one.bar = _bar(one)
    _open.append(one)
    try:
        yield one
    finally:
        _open.remove(one)
        if one.bar:
            one.bar.close()


def each(items: Iterable[T], name: str, fills: float = 1.0) -> Iterator[T]:
    """The items, each a unit of a task."""
    known = list(items)
    with task(name, len(known), fills=fills) as advance:
        for item in known:
            yield item
            advance()


@contextmanager
def watched(verb: str) -> Iterator[None]:
    """A verb of the command line: a bar that moves where a terminal is looked at, else a line now and then."""
    over = threading.Event()
    started = time.monotonic()
    thread = threading.Thread(target=_watch, args=(verb, started, over), daemon=True)
    _watched.append(verb)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        _watched.remove(verb)


def _watch(verb: str, started: float, over: threading.Event) -> None:
    """Refresh bars each second; where there are none, say how far the work is."""
    due = FIRST
    while not over.wait(min(1.0, FIRST, EVERY)):
        spent, one = time.monotonic() - started, next(iter(_open), None)
        if one is not None and one.bar:
            _draw(one, force=time.monotonic() - one.started > 1)
        elif spent >= due:
            _say(one.line() if one else f"{verb}: {duration(spent)} so far")
        due = max(due, spent + EVERY) if spent >= due else due


def _say(line: str) -> None:
    if sys.stderr is not None:
        print(f"simulator: {line}", file=sys.stderr, flush=True)


def _interactive() -> bool:
    """Whether somebody looks at a terminal or a notebook."""
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())


def _bar(one: Task) -> Any:
    from tqdm.auto import tqdm

    shape = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left{postfix}"
    bar = tqdm(total=1.0, desc=one.name, bar_format=shape, leave=False, delay=0 if one.said else 1, mininterval=0.2)
    bar.set_postfix_str(one.said)
    return bar


def _draw(one: Task, force: bool = False) -> None:
    if one.bar:
        one.bar.set_postfix_str(one.said, refresh=False)
        one.bar.update(max(one.share - one.bar.n, 0.0))
        if force:
            one.bar.refresh()
