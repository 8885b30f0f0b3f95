"""How many populations are enough? Drawing on in blocks until a figure is as precise as asked."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np
import xarray as xr

from ... import effort
from ...contracts.exclusion import Cap, ExclusionRule
from ...errors import SimulatorError
from ...numerals import NumeralError, number
from ...runs import RunInterrupted, extend, simulate, with_simulation
from ...scenario import Scenario
from .summary import summarise

BLOCK = 1_000
_FORM = re.compile(r"^\s*(?P<name>[a-z_]+)\s*(\((?P<level>[^()]*)\))?\s*(±|\+-|\+/-)\s*(?P<width>.*?)\s*$")
_WITH_LEVEL = {"p_overspend": "margin", "quantile_cost": "quantile_level", "tvar": "quantile_level"}
_WITHOUT_LEVEL = ("mean_cost", "sd_cost", "cv", "expected_overspend")
_MONEY = ("mean_cost", "sd_cost", "quantile_cost", "tvar")
_Z95 = 1.959963984540054


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
        """Half-width of the 95% interval in every cell: Wilson's for a probability, ± 1.96 se elsewhere.

        Under parameter sets a probability has the variance within sets in the place of p (1 − p).
        """
        at = {} if self.level is None else {_WITH_LEVEL[self.statistic]: self.level}
        if self.statistic != "p_overspend":
            return _Z95 * summary[f"{self.statistic}_se"].sel(at)
        p, n, z2 = summary["p_overspend"].sel(at), summary.attrs["replicates"], _Z95**2
        variance = np.minimum(p * (1 - p) / n, summary["p_overspend_se"].sel(at) ** 2)
        return np.sqrt(variance + z2 / (4 * n**2)) * _Z95 / (1 + z2 / n)


def parse_target(text: str) -> Target:
    """Read "p_overspend(0.03) ± 0.002" or "p_overspend(3%) ± 0.2%"; "+-" will do for "±".

    Raises
    ------
    SimulatorError
        For another form, an unknown statistic, or one without a finite error.
    """
    found = _FORM.match(text)
    if not found:
        raise SimulatorError(
            "--until", text, "is not of the form statistic(level) ± half-width", 'write "p_overspend(0.03) ± 0.002"'
        )
    name, level = found["name"], found["level"]
    if name not in (*_WITH_LEVEL, *_WITHOUT_LEVEL):
        allowed = ", ".join([*_WITH_LEVEL, *_WITHOUT_LEVEL])
        raise SimulatorError(
            "--until", name, f"is not a statistic with an error to aim at ({allowed})", "choose one of these"
        )
    if (name in _WITH_LEVEL) != (level is not None):
        needs = f"needs its {_WITH_LEVEL[name]} in brackets" if name in _WITH_LEVEL else "takes no level"
        raise SimulatorError("--until", name, needs, "write it so")
    at = None if level is None else _given(level, fraction=True)
    target = Target(name, at, _given(found["width"], **_unit(name)))
    if not target.half_width > 0:
        raise SimulatorError("--until", target.half_width, "must be above 0", "give a half-width such as 0.002")
    return target


def _unit(statistic: str) -> dict[str, bool]:
    """How the half-width of a statistic may be written."""
    return {"money": True} if statistic in _MONEY else {"fraction": True}


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
) -> xr.Dataset:
    """Draw in blocks of 1,000 replicates until every cell's 95% interval is as narrow as asked, or to the limit.

    With a `ledger` the run goes on from it, and ends where it would have ended in one go.

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
    drawn = 0 if ledger is None else ledger.sizes["replicate"]
    wanted = max(math.ceil(drawn / BLOCK), 1) * BLOCK
    try:
        with effort.task("simulating until precise", max_replicates) as advance:
            while True:
                wanted = min(wanted, max_replicates)
                block = with_simulation(scenario, replicates=wanted)
                ledger = (
                    simulate(block, executor, progress) if ledger is None else extend(ledger, block, executor, progress)
                )
                summary = _summary(ledger, target, rule, scenario)
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


def _summary(ledger: xr.Dataset, target: Target, rule: ExclusionRule, scenario: Scenario) -> xr.Dataset:
    margins = (target.level,) if target.statistic == "p_overspend" and target.level is not None else (0.0,)
    levels = (target.level,) if target.statistic in ("quantile_cost", "tvar") and target.level is not None else (0.5,)
    return summarise(ledger, rule, margins, levels, scenario=scenario)


def _refuse_infinite_error(scenario: Scenario, target: Target, rule: ExclusionRule) -> None:
    order = {"sd_cost": 4, "cv": 4}.get(target.statistic, 2)
    unlimited = np.isinf(scenario.threshold_amounts).any() or not isinstance(rule, Cap)
    for stream in (stream for truth in scenario.cost_model.truths for stream in truth.streams):
        if target.statistic in ("p_overspend", "quantile_cost") or stream.severity.tail_index > order or not unlimited:
            continue
        raise SimulatorError(
            "--until", target.statistic,
            f"has no finite error: {stream.name!r} has a tail index of {stream.severity.tail_index:g}, at most {order}",
            "aim at p_overspend or a quantile, or make every threshold finite",
        )  # fmt: skip
