"""The pictures of a report. A further one is a line in `CHARTS`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

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
    draw: Callable[[Contents], Axes]
    tables: Callable[[Contents], Iterable[Table]]
    """The figures that are drawn."""
    is_shown: Callable[[Contents], bool] = lambda _: True


class Picture(NamedTuple):
    """A drawn chart, as the page takes it."""

    chart: Chart
    svg: str
    tables: tuple[Table, ...]


def _has_sizes(contents: Contents) -> bool:
    return contents.has_sizes


CHARTS = (
    Chart(
        "How does luck shrink as the population grows?",
        "One line for each patient-level rule. Lines are simulated, bands are 95% intervals, rings are exact figures.",
        lambda contents: plots.variance_by_size(contents.summary, title=" "),
        lambda contents: [luck_table(contents)],
        _has_sizes,
    ),
)


def pictures(contents: Contents) -> Iterator[Picture]:
    """Every chart that this ledger has the figures for, drawn."""
    for number, chart in enumerate(CHARTS, start=1):
        if chart.is_shown(contents):
            drawn = inline_svg(lambda: chart.draw(contents), f"picture-{number}", chart.question, chart.told)  # noqa: B023
            yield Picture(chart, drawn, tuple(chart.tables(contents)))
