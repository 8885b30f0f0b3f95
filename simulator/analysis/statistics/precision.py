"""How many populations are enough? Drawing on in blocks until a figure is as precise as asked."""

import math
import os
import re
from collections.abc import Callable
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np
import xarray as xr

from ... import effort
from ...contracts.exclusion import Cap, ExclusionRule
from ...errors import SimulatorError
from ...ledger.parts import Checkpoint, kept_for
from ...numerals import NumeralError, number
from ...runs import RunInterrupted, extend, simulate
from ...scenario import Scenario
from ...strata import Z95, wilson_half_width
from .statistic import AIMED_AT, STATISTICS, named
from .summary import summarise

BLOCK = 1_000
_FORM = re.compile(r"^\s*(?P<name>[a-z_0-9]+)\s*(\((?P<level>[^()]*)\))?\s*(±|\+-|\+/-)\s*(?P<width>.*?)\s*$")


class Target(NamedTuple):
    """A figure and the half-width of its 95% interval that is asked for."""

    statistic: str
    level: float | None
    half_width: float

    def reached(self, summary: xr.Dataset) -> bool:
        """Whether every cell's interval is that narrow."""
        return bool((self.half_widths(summary) <= self.half_width).all())

    def excess(self, summary: xr.Dataset) -> float:
        """How many times as wide as asked for the widest interval is."""
        return float(self.half_widths(summary).max()) / self.half_width

    def half_widths(self, summary: xr.Dataset) -> xr.DataArray:
        """Half-width of the 95% interval in every cell: Wilson's for a probability, ± 1.96 se elsewhere."""
        of = STATISTICS[self.statistic]
        at = {} if of.level is None else {of.level: self.level}
        error = summary[f"{self.statistic}_se"].sel(at)
        if not of.is_probability:
            return Z95 * error
        return wilson_half_width(summary[self.statistic].sel(at), error, summary.attrs["replicates"])


def parse_target(text: str) -> Target:
    """Read "p_overspend(0.03) ± 0.002" or "p_overspend(3%) ± 0.2%"; "+-" will do for "±"."""
    found = _FORM.match(text)
    if not found:
        bound = "is not of the form statistic(level) ± half-width"
        raise SimulatorError("--until", text, bound, 'write "p_overspend(0.03) ± 0.002"')
    name, level = found["name"], found["level"]
    of = named(name, AIMED_AT, "--until", "is not a statistic with an error to aim at ({})")
    if (of.level is None) != (level is None):
        needs = f"needs its {of.level} in brackets" if of.level else "takes no level"
        raise SimulatorError("--until", name, needs, "write it so")
    at = None if level is None else _given(level, fraction=True)
    target = Target(name, at, _given(found["width"], **{"money" if of.is_money else "fraction": True}))
    if not target.half_width > 0:
        raise SimulatorError("--until", target.half_width, "must be above 0", "give a half-width such as 0.002")
    return target


def _given(text: str, **wanted: bool) -> float:
    try:
        return float(number(text, **wanted))
    except NumeralError as error:
        mend = "" if ";" in str(error) else 'write "p_overspend(0.03) ± 0.002"'
        raise SimulatorError("--until", text, str(error), mend) from None


def simulate_until(
    scenario: Scenario,
    target: Target,
    max_replicates: int = 100_000,
    rule: ExclusionRule = Cap(),  # noqa: B008 - frozen
    executor: Executor | None = None,
    progress: Callable[[int, int], None] | None = None,
    ledger: xr.Dataset | None = None,
    checkpoint: Checkpoint | str | os.PathLike[str] | None = None,
) -> xr.Dataset:
    """Draw in blocks of 1,000 replicates until every cell's 95% interval is as narrow as asked, or to the limit.

    With a `ledger` the run goes on from it, and with a `checkpoint`, as `simulate` has it, from what is kept there; it
    ends where it would have ended in one go.

    Returns
    -------
    xarray.Dataset
        The ledger, with the attribute ``stopped_by``: "target" or "max_replicates".

    Raises
    ------
    SimulatorError
        Where a statistic has no finite error in some cell, or the ledger is another scenario's.
    RunInterrupted
        On Ctrl-C, with the ledger of the replicates that were finished.
    """
    _refuse_infinite_error(scenario, target, rule)
    margins, levels = STATISTICS[target.statistic].levels(target.level).values()
    drawn = 0 if ledger is None else ledger.sizes["replicate"]
    wanted = max(math.ceil(drawn / BLOCK), 1) * BLOCK
    try:
        with effort.task("simulating until precise", max_replicates) as advance, kept_for(checkpoint) as kept:
            while True:
                wanted = min(wanted, max_replicates)
                block = scenario.with_simulation(replicates=wanted)
                if ledger is None:
                    ledger = simulate(block, executor, progress, checkpoint=kept)
                else:
                    ledger = extend(ledger, block, executor, progress, kept)
                summary = summarise(ledger, rule, margins, levels, scenario=scenario)
                if target.reached(summary):
                    return ledger.assign_attrs(stopped_by="target")
                if wanted == max_replicates:
                    return ledger.assign_attrs(stopped_by="max_replicates")
                # errors fall with the root of the number of replicates
                advance.total = min(wanted * target.excess(summary) ** 2, max_replicates)
                advance(wanted - advance.done)
                wanted += BLOCK
    except RunInterrupted:
        raise
    except KeyboardInterrupt:  # between two blocks
        raise RunInterrupted(ledger) from None


def _refuse_infinite_error(scenario: Scenario, target: Target, rule: ExclusionRule) -> None:
    order = STATISTICS[target.statistic].moments or 0
    unlimited = np.isinf(scenario.threshold_amounts).any() or not isinstance(rule, Cap)
    for stream in (stream for truth in scenario.cost_model.truths for stream in truth.streams):
        if unlimited and (index := stream.severity.tail_index) <= order:
            bound = f"has no finite error: {stream.name!r} has a tail index of {index:g}, at most {order}"
            mend = "aim at p_overspend or a quantile, or make every threshold finite"
            raise SimulatorError("--until", target.statistic, bound, mend)
