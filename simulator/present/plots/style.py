"""What all pictures share: the style file, the footer, and direct labels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib.pyplot as plt
import xarray as xr
from matplotlib.axes import Axes

from ...ledger import write_whole

MOST_SERIES = 5
_STYLE = Path(__file__).with_name("house.mplstyle")


@contextmanager
def house_axes(ax: Axes | None) -> Iterator[Axes]:
    """The given axes, or new ones, in the house's style."""
    with plt.style.context(_STYLE):
        if ax is None:
            ax = plt.subplots(layout="constrained")[1]
        ax.set_prop_cycle(plt.rcParams["axes.prop_cycle"])
        yield ax


def footer(ax: Axes, summary: xr.Dataset, note: str = "") -> None:
    """Where the numbers come from: replicates, seed, scenario, version."""
    known = summary.attrs
    text = (
        f"{known['replicates']:,} synthetic populations · seed {known['seed']} · scenario {known['scenario_id'][:8]}"
        f" · simulator {known['simulator_version']}"
    )
    ax.annotate(
        f"{note}\n{text}" if note else text,
        xy=(0, 0), xycoords="axes fraction", xytext=(0, -44), textcoords="offset points",
        fontsize=7.5, color="#505A5F", va="top", annotation_clip=False,
    )  # fmt: skip


def label_ends(ax: Axes, ends: Sequence[tuple[float, float, str, str]], gap: float = 13.0) -> None:
    """Write each line's name beside its right end, moved apart where they would overlap.

    Parameters
    ----------
    ends : sequence of (x, y, text, colour)
        In units of the axes.
    gap : float
        Least distance between names, in points.
    """
    ax.figure.canvas.draw()
    points_a_pixel = 72 / ax.figure.dpi
    placed = -1e9
    for x, y, text, colour in sorted(ends, key=lambda end: end[1]):
        here = float(ax.transData.transform((x, y))[1]) * points_a_pixel
        placed = max(here, placed + gap)
        ax.annotate(
            text, xy=(x, y), xytext=(8, placed - here), textcoords="offset points", color=colour, fontsize=9,
            va="center", fontweight="bold", annotation_clip=False,
        )  # fmt: skip


def save_figure(ax: Axes, path: str | os.PathLike[str]) -> None:
    """Write the picture, whole or not at all; the ending of the name (png, svg, pdf) tells the form."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    write_whole(path, lambda partial: figure.savefig(partial, bbox_inches="tight"))
    plt.close(figure)


def evenly(count: int, most: int = MOST_SERIES) -> list[int]:
    """Which of `count` series to draw where there are too many: the ends, and others evenly between."""
    if count <= most:
        return list(range(count))
    return [round(step * (count - 1) / (most - 1)) for step in range(most)]
