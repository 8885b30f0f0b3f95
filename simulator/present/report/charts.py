"""The pictures of a report. A further one is a line in `CHARTS`."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import xarray as xr

from ... import effort
from ...analysis.luck.exceedance import fan
from ...analysis.luck.systematic import exact_curve
from ...analysis.size.grid import TARGETS, minimum_by_target
from .. import plots
from ..answers.places import places_table
from ..answers.propose import proposed_tables
from ..picture import question_of
from ..tables import Table
from . import sections
from .gather import Contents
from .svg import inline_svg


class Chart(NamedTuple):
    """A picture, what it tells in words, and the tables beside it."""

    draws: str
    """The function of `simulator.plots`."""
    told: str
    """What is drawn, for the caption and for those who do not see it; no figures."""
    shown: Callable[[Contents], xr.Dataset]
    """The Dataset that is drawn, asked for once."""
    tables: Callable[[Contents, xr.Dataset], Iterable[Table]]
    """The figures that are drawn."""
    is_for: Callable[[Contents], bool] = lambda _: True
    """Whether this ledger has the figures for it."""
    asks: str = ""
    """Its question, where that is not the picture's own."""


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


def _by_target(contents: Contents, targets: Sequence[float] = TARGETS) -> xr.Dataset:
    return minimum_by_target(contents.summary, targets, margin=contents.target.margin)


def _is_some_size_least(contents: Contents) -> bool:
    """Whether any target is met by some of the simulated sizes and missed by others."""
    if not contents.has_sizes:
        return False
    found = _by_target(contents)["minimum_population"].values
    return bool((np.isfinite(found) & (found > 0)).any())


CHARTS = (
    Chart(
        "variance_by_size",
        "One line for each cap, simulated, with its 95% band; thin lines are calculated without simulation.",
        lambda contents: contents.summary.assign({} if contents.whole is None else exact_curve(contents.whole)),
        lambda contents, _: [sections.luck_table(contents)],
        attrgetter("has_sizes"),
    ),
    Chart(
        "heat_map",
        "Each cell is the chance of an overspend above the margin; the line divides off what meets the target.",
        lambda contents: contents.summary.assign(_by_target(contents, (contents.target.at_most,))),
        lambda contents, _: [sections.chance_table(contents, contents.target.margin)],
        attrgetter("has_sizes"),
    ),
    Chart(
        "minimum_by_target",
        "One line for each cap, with 95% intervals.",
        _by_target,
        lambda contents, shown: [sections.target_table(contents, shown)],
        _is_some_size_least,
    ),
    Chart(
        "fan_by_size",
        "Ranges that hold half of the years, nine in ten, and 98 in 100, by population.",
        lambda contents: fan(contents.ledger),
        lambda contents, shown: [sections.fan_table(contents, shown)],
        attrgetter("has_sizes"),
    ),
    Chart(
        "threshold_effect",
        "Shares of patients, of cost and of variance that each rule removes, at the largest population.",
        attrgetter("summary"),
        lambda contents, _: [sections.removed_table(contents)],
        lambda contents: len(contents.thresholds) > 1,
    ),
    Chart(
        "frontier",
        "Proposed terms: price per head of designs within the limits, by how much of a saving providers keep.",
        attrgetter("proposed"),
        lambda _, shown: proposed_tables(shown),
        lambda contents: contents.proposed is not None and contents.proposed.sizes["frontier"] > 0,
    ),
)

PLACES = Chart(
    "places",
    "Each place's chance of an overspend above the margin, beside the one that is accepted.",
    attrgetter("judged"),
    lambda _, shown: [places_table(shown)],
    lambda contents: contents.judged is not None,
)
"""Has a section of its own."""

BEARERS = Chart(
    "who_bears",
    "Each party's surplus: average, and what one of its own years in 20 is below.",
    lambda contents: sections.at_threshold(contents.compared, -1),
    lambda contents, _: sections.design_tables(contents),
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
    shown, question = chart.shown(contents), chart.asks or question_of(getattr(plots, chart.draws))
    svg = inline_svg(lambda: getattr(plots, chart.draws)(shown), name, question, chart.told)
    return Picture(name, question, chart.told, svg, tuple(chart.tables(contents, shown)))
