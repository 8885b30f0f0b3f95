"""The pictures of a report. A further one is a line in `CHARTS`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import xarray as xr
from matplotlib.axes import Axes

from .. import plots
from .gather import Contents
from .sections import luck_table
from .svg import inline_svg
from .tables import Table


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

    chart: Chart
    svg: str
    tables: tuple[Table, ...]


CHARTS = (
    Chart(
        "How does luck shrink as the population grows?",
        "One line for each patient-level rule, simulated, with its 95% band; exact figures are drawn beside it.",
        lambda contents: contents.summary,
        lambda _, shown: plots.variance_by_size(shown),
        lambda contents, _: [luck_table(contents)],
        lambda contents: contents.has_sizes,
    ),
)


def pictures(contents: Contents) -> Iterator[Picture]:
    """Every chart that this ledger has the figures for, drawn."""
    for number, chart in enumerate(CHARTS, start=1):
        if chart.is_for(contents):
            yield _drawn(chart, contents, f"picture-{number}")


def _drawn(chart: Chart, contents: Contents, name: str) -> Picture:
    shown = chart.shown(contents)
    svg = inline_svg(lambda: chart.draw(contents, shown), name, chart.question, chart.told)
    return Picture(chart, svg, tuple(chart.tables(contents, shown)))
