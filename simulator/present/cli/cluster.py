"""Where a run is simulated: threads of this machine, or the workers of a Dask cluster."""

import logging
import re
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from ...errors import SimulatorError
from ..needed import needed

ANSWER, WORKERS = 30.0, 120.0
"""Seconds within which a scheduler answers, and within which it has a worker."""


def workers(threads: int | None, cluster: str | None) -> AbstractContextManager[Executor | None]:
    """What --threads and --cluster ask for; refused before any work is done where it cannot be."""
    if cluster is None:
        return nullcontext() if threads is None else ThreadPoolExecutor(threads)
    if threads is not None:
        raise SimulatorError("--cluster", None, "contradicts --threads", "omit one of them")
    local = re.fullmatch(r"local:([1-9]\d{0,3})", cluster)
    if not local and not re.fullmatch(r"(tcp|tls)://[^\s/:]+:\d{1,5}/?", cluster):
        raise SimulatorError("--cluster", cluster, "is no cluster", "write tcp://HOST:PORT, tls://HOST:PORT or local:4")
    distributed = needed("distributed", "--cluster", "distributed")
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters of its words is told as a sentence
    return _local(distributed, int(local[1])) if local else _client(distributed, cluster.rstrip("/"), cluster)


@contextmanager
def _local(distributed: Any, count: int) -> Iterator[Executor]:
    """Processes of this machine, which end with the run."""
    quiet = {"dashboard_address": None, "memory_limit": None, "silence_logs": logging.CRITICAL}
    with (
        distributed.LocalCluster(n_workers=count, threads_per_worker=1, processes=True, **quiet) as cluster,
        _client(distributed, cluster, f"local:{count}") as executor,
    ):
        yield executor


@contextmanager
def _client(distributed: Any, address: Any, asked: str) -> Iterator[Executor]:
    """The workers of a scheduler; TLS is as Dask's own configuration has it."""
    try:
        client = distributed.Client(address, timeout=ANSWER)
    except (OSError, ValueError, TypeError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise SimulatorError("--cluster", asked, f"cannot be reached ({why})", "start `dask scheduler` there") from None
    with client:
        try:
            client.wait_for_workers(1, timeout=WORKERS)
        except TimeoutError:
            mend = f"start `dask worker {asked}` on each machine"
            raise SimulatorError("--cluster", asked, "has no workers", mend) from None
        yield client.get_executor()
