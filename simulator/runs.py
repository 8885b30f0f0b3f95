"""From a scenario to its ledger: what `sim.simulate` does, and how a run is taken further."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache, cached_property, lru_cache
from importlib import metadata
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from . import effort
from . import ledger as books
from .contracts.design import Design, designs_from
from .contracts.services import Service
from .costs.model import Population, head_counts
from .costs.moments import expected_draws
from .deprecated import function_left
from .engine.simulate import (
    Interrupted,
    Plan,
    cores,
    draw_all,
    is_compiled,
    loops_hash,
    make_plans,
    plan_years,
    tables_hash,
)
from .errors import SimulatorError
from .ledger.parts import Checkpoint, kept_for
from .scenario import Scenario, scenario_from
from .terms import DRAWS_VERSION

Progress = Callable[[int, int], None]


class RunInterrupted(KeyboardInterrupt):
    """A run has ended early; `ledger` holds all that was finished, perhaps with gaps, or None.

    `reason` says what broke down: workers, their pool or its scheduler. It is empty where the run was stopped by hand.
    """

    def __init__(self, ledger: xr.Dataset | None, reason: str = "") -> None:
        super().__init__(reason or "the run was stopped")
        self.ledger, self.reason = ledger, reason


def simulate(
    scenario: Scenario,
    executor: Executor | None = None,
    progress: Progress | bool | None = None,
    *,
    first_replicate: int = 0,
    checkpoint: Checkpoint | str | os.PathLike[str] | None = None,
) -> xr.Dataset:
    """Draw a scenario's synthetic populations.

    Parameters
    ----------
    scenario : Scenario
    executor : concurrent.futures.Executor, optional
        Threads, processes, or a Dask client's executor; a thread pool over all cores by default. The numbers do not
        depend on it.
    progress : bool or callable (done, replicates), optional
        A bar in a terminal or notebook by default.
    first_replicate : int
        Where to begin: replicates drawn apart are merged by `simulator.merge`.
    checkpoint : path, optional
        The file that will be written: what is finished is kept in a folder of its name and ``.parts`` meanwhile, taken
        up from there by the next run, and gone when the ledger is returned.

    Returns
    -------
    xarray.Dataset
        The ledger: see ``simulator.ledger.VARIABLES``.

    Raises
    ------
    SimulatorError
        Where the ledger would not fit into memory; where the checkpoint is another scenario's or in use.
    RunInterrupted
        On Ctrl-C, and where the executor broke down, with the ledger of the replicates that were finished.
    """
    if first_replicate < 0:
        raise SimulatorError("first_replicate", first_replicate, "must be at least 0", "count replicates from 0")
    check_memory(scenario)
    numbers = np.arange(first_replicate, first_replicate + scenario.simulation.replicates)
    return _drawn(scenario, numbers, executor, progress, checkpoint)


def _drawn(
    scenario: Scenario,
    numbers: NDArray[np.int64],
    executor: Executor | None,
    progress: Progress | bool | None,
    checkpoint: Checkpoint | str | os.PathLike[str] | None,
) -> xr.Dataset:
    """The ledger of these replicates."""
    check_memory(scenario)
    with _reported(progress, scenario, numbers.size) as shown, kept_for(checkpoint) as kept:
        plans = _plans(scenario)
        if kept:
            kept.begin(_drawn_from(scenario, plans))
        try:
            drawn = draw_all(plans, numbers, executor, shown, kept)
        except Interrupted as stop:
            finished = None if stop.drawn is None else _ledger(scenario, plans, stop.drawn, stop.numbers)
            raise RunInterrupted(finished, stop.reason) from stop.__cause__
        return _ledger(scenario, plans, drawn, numbers)


def _drawn_from(scenario: Scenario, plans: Sequence[Plan]) -> dict[str, str]:
    """All on which draws depend but their replicate, by the words that tell it."""
    plan = plans[0]
    sizes, thresholds = (
        hashlib.sha256(b"".join(np.ascontiguousarray(one).tobytes() for one in values)).hexdigest()
        for values in ((plan.heads, plan.shares), (plan.thresholds,))
    )
    years = {"list of years": str(plan.chain.years)} if plan.chain else {}
    return years | {
        "version of the program (its draws differ)": str(DRAWS_VERSION),
        "seed": str(scenario.simulation.seed),
        "scenario": scenario.scenario_id,
        "list of sizes": sizes,
        "list of thresholds": thresholds,
        "kind of machine or version of numpy and scipy (their cost tables differ)": tables_hash(plans),
        "version of the program or of numba (their compiled loops differ)": loops_hash(),
    }


def extend(
    ledger: xr.Dataset,
    scenario: Scenario,
    executor: Executor | None = None,
    progress: Progress | bool | None = None,
    checkpoint: Checkpoint | str | os.PathLike[str] | None = None,
) -> xr.Dataset:
    """Take a run further: draw the replicates that the scenario asks for and the ledger lacks, gaps too.

    What was drawn stays as it is; `checkpoint` is that of `simulate`. Sizes beyond the ledger's largest are drawn with
    the others afresh, which gives the others the same numbers again.

    Raises
    ------
    SimulatorError
        Where the ledger is another scenario's, was drawn by another version of the draws or from other cost tables, or
        has other thresholds or sizes.
    """
    books.check_draws_version(ledger)
    if ledger.attrs["scenario_id"] != scenario.scenario_id:
        raise SimulatorError("ledger: scenario_id", None, "is that of another scenario", "name another file")
    if not np.array_equal(ledger["threshold"].values, scenario.threshold_labels):
        raise SimulatorError("ledger: threshold", None, "differs from the scenario's", "name another file")
    sizes, have = list(scenario.population_sizes), ledger["population_size"].values.tolist()
    years = list(scenario.years.years if scenario.years else ())
    fewer_years = years != (ledger["year"].values.tolist() if "year" in ledger.dims else [])
    if sizes[: len(have)] != have:
        raise SimulatorError("ledger: population_size", None, "does not begin the scenario's list", "name another file")
    have_numbers = ledger["replicate"].values
    wanted = np.arange(max(scenario.simulation.replicates, int(have_numbers.max()) + 1))
    missing = np.setdiff1d(wanted, have_numbers)
    if sizes == have and not missing.size and not fewer_years:
        return ledger
    books.check_tables(ledger, tables_hash(_plans(scenario)))
    if sizes != have or fewer_years:
        try:
            whole = scenario.with_simulation(replicates=wanted.size)
            return simulate(whole, executor, progress, checkpoint=checkpoint)
        except RunInterrupted as stop:  # what was there is not given up for fewer replicates
            fewer = stop.ledger is None or stop.ledger.sizes["replicate"] < have_numbers.size
            raise RunInterrupted(ledger if fewer else stop.ledger, stop.reason) from stop.__cause__
    try:
        more = _drawn(scenario, missing, executor, progress, checkpoint)
    except RunInterrupted as stop:
        both = ledger if stop.ledger is None else books.merge([ledger, stop.ledger])
        raise RunInterrupted(both, stop.reason) from stop.__cause__
    return books.merge([ledger, more]).assign_attrs(scenario=kept_json(scenario))


def _plans(scenario: Scenario) -> tuple[Plan, ...]:
    wanted, amounts = scenario.simulation, scenario.threshold_amounts
    summed = wanted.sums == "body"
    if scenario.years is not None:
        if scenario.population.cohort is not None:
            raise SimulatorError(
                "population.cohort", None, "cannot be drawn yet", "use `simulator years`, or leave it out"
            )
        if np.ptp(scenario.cost_model.by_year.growth):
            raise SimulatorError("years.growth", None, "cannot be drawn yet", "leave it out")
        by_year = scenario.amounts_by_year, scenario.cuts_by_year
        models = scenario.cost_model.truths
        return tuple(plan_years(one, increments(scenario), *by_year, wanted.seed, summed) for one in models)
    return make_plans(scenario.cost_model, increments(scenario), amounts, scenario.cuts, wanted.seed, summed)


def with_simulation(scenario: Scenario, **changes: Any) -> Scenario:
    """Use the scenario's own method of that name."""
    function_left("runs.with_simulation")
    return scenario.with_simulation(**changes)


def increments(scenario: Scenario) -> NDArray[np.int64]:
    """People added from one population size to the next, or people of each unit; shape (increment, segment)."""
    model = scenario.cost_model
    if scenario.population.units:
        return model.unit_heads
    return np.diff(heads(scenario), axis=0, prepend=0)


def heads(scenario: Scenario, places: slice = slice(None)) -> NDArray[np.int64]:
    """People of each population, or of some of them, by segment; shape (population_size, segment)."""
    if scenario.population.units:
        return increments(scenario).sum(axis=0, keepdims=True)
    return np.stack([head_counts(n, scenario.cost_model.shares) for n in scenario.population_sizes[places]])


def check_memory(scenario: Scenario) -> None:
    """Refuse a ledger that would not fit into memory."""
    effort.refuse(work_of(scenario), *_longest(scenario))


def work_of(scenario: Scenario, replicates: int | None = None) -> effort.Work:
    """What drawing a scenario takes, about, by the clock of this machine."""
    rows = _rows(scenario)
    count = replicates or scenario.simulation.replicates
    drawn = scenario.cost_model.by_year if scenario.years else scenario.cost_model
    streams, sets = len(drawn.streams), max(scenario.population.n_sets, 1)
    people = scenario.population_sizes[-1]
    summed = scenario.simulation.sums == "body" and sets == 1
    labels = scenario.threshold_labels.size
    one = effort.drawing(people, count, rows, labels * (1 + len(scenario.services)), streams, sets, summed)
    return one._replace(seconds=one.seconds / cores())


def _longest(scenario: Scenario) -> tuple[str, int, str]:
    """The figure that makes a run long, its value, and what to do about it."""
    streams = len(scenario.cost_model.streams) * max(scenario.population.n_sets, 1)
    if streams > scenario.simulation.replicates:
        return "population.segments", streams, "take fewer segments or parameter sets"
    return "simulation.replicates", scenario.simulation.replicates, "ask for fewer replicates, sizes or thresholds"


def expected_size(scenario: Scenario) -> int:
    """Bytes that a file of the scenario's draws takes, about."""
    rows = _rows(scenario)
    return int(8 * scenario.simulation.replicates * rows * _columns(scenario)) + 200_000


def _rows(scenario: Scenario) -> int:
    """Populations, or units, of one replicate in all its years."""
    populations = len(scenario.population.units) or len(scenario.population_sizes)
    return populations * (len(scenario.years.years) if scenario.years else 1)


def _columns(scenario: Scenario) -> int:
    """Numbers of one population in one replicate."""
    model, thresholds = scenario.cost_model, scenario.threshold_labels.size
    services = len(scenario.services) * (1 + 2 * thresholds)
    return 2 + 3 * thresholds + services + (model.shares.size if model.sampled else 0)


# ── the ledger ───────────────────────────────────────────────────────────────────────────────────


def _ledger(
    scenario: Scenario, plans: Sequence[Plan], drawn: dict[str, NDArray[Any]], numbers: NDArray[np.int64]
) -> xr.Dataset:
    units = scenario.population.units
    used = {name: values for name, values in drawn.items() if _is_used(name, scenario)}
    by_increment = [name for name in used if name != "shock_factor"]
    axis, n_segments = 2 if scenario.years else 1, len(scenario.population.segments)
    arrays = {name: np.cumsum(used[name], axis=axis) for name in by_increment}
    if units:
        arrays = {name: np.take(values, [-1], axis=axis) for name, values in arrays.items()}
        arrays |= {f"unit_{name}": used[name] for name in by_increment}
    if scenario.shocks:
        arrays["shock_factor" if used["shock_factor"].ndim == axis + 1 else "unit_shock_factor"] = used["shock_factor"]
    if scenario.years is not None:
        arrays["threshold_amount"] = scenario.amounts_by_year[:, :n_segments]
    else:
        arrays["threshold_amount"] = scenario.threshold_amounts[:n_segments]
        arrays["cut"] = scenario.cuts[:n_segments]
    coordinates: dict[str, Any] = {
        "replicate": numbers,
        "population_size": np.array(scenario.population_sizes),
        "threshold": scenario.threshold_labels,
        "segment": [segment.name for segment in scenario.population.segments],
    }
    if scenario.years is not None:
        coordinates["year"] = list(scenario.years.years)
    if scenario.population.n_sets:
        coordinates["parameter_draw"] = coordinates["replicate"] % scenario.population.n_sets
    if units:
        coordinates |= {"unit": [unit.name for unit in units], "unit_size": [unit.members for unit in units]}
    if scenario.shocks:
        coordinates["shock"] = [shock.name for shock in scenario.shocks]
    if scenario.services:
        coordinates["service"] = [service.name for service in scenario.services]
    if scenario.years is None and _has_withheld(json.loads(kept_json(scenario))):
        means = expected_means(scenario)
        arrays |= means
        coordinates["parameter_set"] = np.arange(len(means["expected_gross_cost"]))
    ledger = books.assemble(arrays, coordinates, _attrs(scenario, plans), scenario.currency)
    books.describe_threshold(ledger, scenario.simulation.thresholds, scenario.currency)
    return ledger


def expected_means(scenario: Scenario) -> dict[str, NDArray[np.float64]]:
    """The exact means that a ledger keeps where observed costs are withheld from it: a mean tells of no patient."""
    model, amounts = scenario.cost_model, scenario.threshold_amounts
    found = {f"expected_{name}": m for name, m in expected_draws(model, heads(scenario), amounts).items()}
    if scenario.population.units:
        own = expected_draws(model, increments(scenario), amounts)
        found |= {f"unit_expected_{name}": mean for name, mean in own.items()}
    return found


def _is_used(name: str, scenario: Scenario) -> bool:
    if name == "members":
        return scenario.cost_model.sampled
    if name == "excluded_service_cost":
        return any(not service.in_scope for service in scenario.population.rare_services)
    return True


_version = cache(metadata.version)  # which reads a file each time


def _attrs(scenario: Scenario, plans: Sequence[Plan]) -> dict[str, str | int | float]:
    versions = {name: _version(name) for name in ("numpy", "scipy", "numba", "xarray")}
    versions["python"] = platform.python_version()
    return {
        **origin(scenario),
        "scenario": kept_json(scenario),
        "tables_hash": tables_hash(plans),
        "versions": json.dumps(versions, sort_keys=True),
        "platform": f"{platform.system()} {platform.machine()}",
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def origin(scenario: Scenario) -> dict[str, str | int | float]:
    """What every answer from draws says of where it comes from: title, currency, scenario, versions and seed."""
    return {
        "title": scenario.title,
        "currency": scenario.currency,
        "scenario_id": scenario.scenario_id,
        "seed": scenario.simulation.seed,
        "draws_version": DRAWS_VERSION,
        "simulator_version": _version("capitation-risk"),
        "method": "simulated",
    }


def exact_origin(scenario: Scenario) -> dict[str, str | int | float]:
    """The same of an answer that draws nothing."""
    drawn = ("seed", "draws_version")
    return {key: value for key, value in origin(scenario).items() if key not in drawn} | {"method": "exact"}


def kept_json(scenario: Scenario) -> str:
    """The scenario as a ledger keeps it: observed costs, which may be patients', are withheld."""
    return json.dumps(_withheld(json.loads(scenario.canonical_json())), sort_keys=True, ensure_ascii=False)


def _withheld(part: Any) -> Any:
    if isinstance(part, list):
        return [_withheld(item) for item in part]
    if not isinstance(part, dict):
        return part
    if part.get("family") == "empirical" and "values" in part:
        return {"family": "empirical", "withheld": f"{len(part['values']):,} observed costs"}
    return {key: _withheld(value) for key, value in part.items()}


def scenario_of(ledger: xr.Dataset) -> Scenario | None:
    """The scenario that a ledger was drawn from; None where observed costs were withheld from it, or years pooled."""
    if "pooled" in ledger.attrs:
        return None
    return _kept(ledger).whole


def designs_of(ledger: xr.Dataset) -> tuple[Design, ...]:
    """The designs of the scenario that a ledger was drawn from; they hold no observed cost."""
    return _kept(ledger).designs


def services_of(ledger: xr.Dataset) -> tuple[Service, ...]:
    """The services of the scenario that a ledger was drawn from; they hold no observed cost."""
    return _kept(ledger).services


def population_of(ledger: xr.Dataset) -> Population:
    """Who is covered, as the ledger's scenario says; where observed costs were withheld, with stand-ins for them."""
    return _kept(ledger).population


class _Kept:
    """What a ledger says of its scenario, each part checked once."""

    def __init__(self, text: str) -> None:
        try:
            self._raw: dict[str, Any] = json.loads(text)
        except ValueError:
            raise SimulatorError(
                "ledger: scenario", None, "is not JSON", "name a file that `simulator run` wrote"
            ) from None

    @cached_property
    def whole(self) -> Scenario | None:
        return None if _has_withheld(self._raw) else scenario_from(self._raw, "ledger")

    @cached_property
    def designs(self) -> tuple[Design, ...]:
        found = self._raw.get("designs")
        return designs_from(found, "ledger") if found else ()

    @cached_property
    def services(self) -> tuple[Service, ...]:
        return tuple(Service.model_validate(one) for one in self._raw.get("services", ()))

    @cached_property
    def population(self) -> Population:
        if self.whole is not None:
            return self.whole.population
        return Population.model_validate(_stood_in(self._raw["population"] | {"parameter_sets": None}))


_read = lru_cache(maxsize=8)(_Kept)


def _kept(ledger: xr.Dataset) -> _Kept:
    return _read(ledger.attrs["scenario"])


def _stood_in(part: Any) -> Any:
    """A part of a scenario, any cost in the place of those that were withheld."""
    if isinstance(part, list):
        return [_stood_in(item) for item in part]
    if not isinstance(part, dict):
        return part
    if "withheld" in part:
        return {"family": "lognormal", "mean": 1.0, "cv": 1.0}
    return {key: _stood_in(value) for key, value in part.items()}


def _has_withheld(part: Any) -> bool:
    if isinstance(part, dict):
        return "withheld" in part or any(_has_withheld(value) for value in part.values())
    return isinstance(part, list) and any(_has_withheld(item) for item in part)


# ── progress ─────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _reported(wanted: Progress | bool | None, scenario: Scenario, replicates: int) -> Iterator[Progress | None]:
    """What draws are reported to: a bar with the pace, or a function of one's own."""
    if callable(wanted) or wanted is False:
        yield wanted or None
        return
    people, started = scenario.population_sizes[-1], time.monotonic()
    compiling, name = "" if is_compiled() else "compiling (first run only)", f"simulating {replicates:,} years"
    with effort.task(name, replicates, compiling, shown=bool(wanted)) as advance:
        effort.expect("simulating", work_of(scenario, replicates), *_longest(scenario))

        def report(done: int, _: int) -> None:
            pace = people * done / max(time.monotonic() - started, 1e-9)
            advance(done - advance.done, f"{pace / 1e6:,.0f} million patients/s")

        yield report
