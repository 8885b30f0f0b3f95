"""The pictures of a report. A further one is a line in `CHARTS`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from ... import effort
from ...analysis.luck.exact_curve import exact_curve
from ...analysis.luck.fan import fan
from ...analysis.size.by_target import minimum_by_target
from ...runs import scenario_of
from .. import plots
from ..answers.places import places_table
from ..tables import Table
from .gather import Contents
from .sections import (
    at_threshold,
    chance_table,
    design_tables,
    fan_table,
    luck_table,
    removed_table,
    target_table,
)
from .svg import inline_svg


class Chart(NamedTuple):
    """A picture, what it asks and tells in words, and the tables beside it."""

    question: str
    told: str
    """What is drawn, for the caption and for those who do not see it; no figures."""
    shown: Callable[[Contents], xr.Dataset]
    """The Dataset that is drawn, asked for once."""
    draw: Callable[[Contents, xr.Dataset], Axes]
    tables: Callable[[Contents, xr.Dataset], Iterable[Table]]
    """The figures that are drawn."""
    is_for: Callable[[Contents], bool] = lambda _: True
    """Whether this ledger has the figures for it."""


class Picture(NamedTuple):
    """A drawn chart, as the page takes it."""

    name: str
    question: str
    told: str
    svg: str
    tables: tuple[Table, ...]

    @property
    def wide(self) -> str:
        """Its natural width in points, so that all pictures have letters of one size on paper."""
        found = re.search(r'viewBox="\S+ \S+ (\S+) ', self.svg)
        return found[1] if found else "500"


def _with_exact_curve(contents: Contents) -> xr.Dataset:
    known = scenario_of(contents.ledger)
    return contents.summary if known is None else contents.summary.assign(exact_curve(known))


def _with_line(contents: Contents) -> xr.Dataset:
    margin, at_most = contents.target
    return contents.summary.assign(minimum_by_target(contents.summary, (at_most,), margin=margin))


def _is_some_size_least(contents: Contents) -> bool:
    """Whether any target is met by some of the simulated sizes and missed by others."""
    if not contents.has_sizes:
        return False
    found = minimum_by_target(contents.summary, margin=contents.target.margin)["minimum_population"].values
    return bool((np.isfinite(found) & (found > 0)).any())


def _compared(contents: Contents) -> xr.Dataset:
    assert contents.compared is not None
    return at_threshold(contents.compared, -1)


def _judged(contents: Contents) -> xr.Dataset:
    assert contents.judged is not None
    return contents.judged


CHARTS = (
    Chart(
        "Which places are large enough by themselves?",
        "Each place's chance of an overspend above the margin, beside the one that is accepted.",
        _judged,
        lambda _, shown: plots.places(shown),
        lambda _, shown: [places_table(shown)],
        lambda contents: contents.judged is not None,
    ),
    Chart(
        "How does luck shrink as the population grows?",
        "One line for each cap, simulated, with its 95% band; thin lines are calculated without simulation.",
        _with_exact_curve,
        lambda _, shown: plots.variance_by_size(shown),
        lambda contents, _: [luck_table(contents)],
        lambda contents: contents.has_sizes,
    ),
    Chart(
        "Which sizes and thresholds are viable?",
        "Each cell is the chance of an overspend above the margin; the line divides off what meets the target.",
        _with_line,
        lambda _, shown: plots.heat_map(shown),
        lambda contents, _: [chance_table(contents, contents.target.margin)],
        lambda contents: contents.has_sizes,
    ),
    Chart(
        "How large must the population be, for each target?",
        "One line for each cap, with 95% intervals.",
        lambda contents: minimum_by_target(contents.summary, margin=contents.target.margin),
        lambda _, shown: plots.minimum_by_target(shown),
        lambda contents, shown: [target_table(contents, shown)],
        _is_some_size_least,
    ),
    Chart(
        "What is the range of likely over- and underspends?",
        "Ranges that hold half of the years, nine in ten, and 98 in 100, by population.",
        lambda contents: fan(contents.ledger),
        lambda _, shown: plots.fan_by_size(shown),
        lambda contents, shown: [fan_table(contents, shown)],
        lambda contents: contents.has_sizes,
    ),
    Chart(
        "What does a threshold take out of the budget?",
        "Shares of patients, of cost and of variance that each rule removes, at the largest population.",
        lambda contents: contents.summary,
        lambda _, shown: plots.threshold_effect(shown),
        lambda contents, _: [removed_table(contents)],
        lambda contents: len(contents.thresholds) > 1,
    ),
)

BEARERS = Chart(
    "Who carries what under each design?",
    "Each party's surplus: average, and what one of its own years in 20 is below.",
    _compared,
    lambda _, shown: plots.who_bears(shown),
    lambda contents, _: design_tables(contents),
    lambda contents: contents.compared is not None,
)
"""Stands with the designs, not among the pictures of luck."""


def pictures(contents: Contents) -> Iterator[Picture]:
    """Every chart that this ledger has the figures for, drawn."""
    for number, chart in effort.each(enumerate(CHARTS, start=1), "pictures of the report"):
        if chart.is_for(contents):
            yield picture_of(chart, contents, f"picture-{number}")


def picture_of(chart: Chart, contents: Contents, name: str) -> Picture:
    """A chart, drawn; `name` begins its ids."""
    shown = chart.shown(contents)
    svg = inline_svg(lambda: chart.draw(contents, shown), name, chart.question, chart.told)
    return Picture(name, chart.question, chart.told, svg, tuple(chart.tables(contents, shown)))
