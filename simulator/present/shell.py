"""What all verbs share: one clear sentence for every mistake, scenarios with options, JSON and pictures."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..base import SimulatorError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from ..scenario import Scenario


class Sentence(click.ClickException):
    """One clear sentence on standard error, and exit code 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        """Print every mistake on a line of its own."""
        for line in self.message.splitlines():
            click.echo(f"simulator: {line}", file=file or sys.stderr)


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn the program's own errors into sentences."""
    try:
        yield
    except SimulatorError as error:
        raise Sentence(str(error)) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(0) from None


def load_with(path: str, replicates: int | None, seed: int | None) -> Scenario:
    """A scenario file with some of its figures replaced by options."""
    from ..runs import with_simulation
    from ..scenario import load

    changes = {name: value for name, value in (("replicates", replicates), ("seed", seed)) if value is not None}
    scenario = load(path)
    return with_simulation(scenario, **changes) if changes else scenario


_PICTURES = (".png", ".svg", ".pdf")


def check_picture(path: str) -> None:
    """Refuse, before any work is done, a picture that could not be written."""
    from ..ledger import check_writable

    check_writable(path)
    if Path(path).suffix.lower() not in _PICTURES:
        raise SimulatorError(path, None, f"has an ending that is no picture's ({', '.join(_PICTURES)})", "name it .png")


def write_picture(ax: Axes, path: str) -> None:
    """Write a picture, whole or not at all."""
    from .plots.style import save_figure

    save_figure(ax, path)


def write_variance(summary: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write the picture of variance by size, and its figures as CSV beside it; gives the CSV's path."""
    without_display()
    from ..ledger import write_whole
    from .plots.variance import plotted, variance_by_size

    figures = Path(path).with_suffix(".csv")
    write_picture(variance_by_size(summary), str(path))
    write_whole(figures, lambda partial: plotted(summary).to_csv(partial, index=False))
    return figures


def without_display() -> None:
    """Draw pictures without a screen."""
    import matplotlib

    matplotlib.use("Agg")


def as_json(value: Any) -> str:
    """JSON as the verbs print it."""
    return json.dumps(value, ensure_ascii=False, indent=2)
