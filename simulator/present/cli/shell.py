"""What all verbs share: one clear sentence for every mistake, scenarios with options, and how an answer is told."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ...errors import SimulatorError
from ..tidy import as_csv
from ..tidy import as_json as as_json
from ..tidy import as_json as json_text
from .errors import Sentence as Sentence
from .errors import Verb as Verb

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes

    from ...scenario import Scenario
    from ..page import Page


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn the program's own errors into sentences."""
    try:
        yield
    except SimulatorError as error:
        raise Sentence(str(error)) from None


@contextmanager
def about(name: str, source: str | None) -> Iterator[None]:
    """Say what is wrong with an argument of a function by the name of the file that it was read from."""
    try:
        yield
    except SimulatorError as error:
        if source is None or error.path.partition(":")[0] != name:
            raise
        raise SimulatorError(f"{source}{error.path.removeprefix(name)}", error.value, error.bound, error.mend) from None


def load_with(path: str, replicates: int | None, seed: int | None) -> Scenario:
    """A scenario file with some of its figures replaced by options."""
    from ...runs import with_simulation
    from ...scenario import load

    changes = {name: value for name, value in (("replicates", replicates), ("seed", seed)) if value is not None}
    scenario = load(path)
    return with_simulation(scenario, **changes) if changes else scenario


# ── an answer, told ──────────────────────────────────────────────────────────────────────────────


class Told(NamedTuple):
    """An answer in each of the forms that it can be told in; only the one that is asked for is made."""

    page: Callable[[], Page] | None
    """None where what was asked for is a file, and people need no words beside it."""
    json: Callable[[], Any]
    rows: Callable[[], pd.DataFrame]


def outputs(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The options --json and --csv, which every verb has."""
    for option in (
        click.option(
            "--csv",
            metavar="FILE",
            help="Write every figure with unit and error to this CSV file; - prints it instead.",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables."),
    ):
        verb = option(verb)
    return verb


def check_told(as_json: bool, csv: str | None, source: str | None = None) -> None:
    """Refuse, before any work is done, what could not be printed or written."""
    if as_json and csv == "-":
        raise SimulatorError("--csv", csv, "would print into the JSON", "name a file, or leave --json away")
    if csv is not None and csv != "-":
        check_output("--csv", csv, source)


def tell(told: Told, as_json: bool, csv: str | None) -> None:
    """Print an answer as it was asked for; with JSON, or CSV on standard output, nothing else is there."""
    if csv:
        rows = as_csv(told.rows())
        if csv == "-":
            click.echo(rows, nl=False)
            return
        _write_text(rows, csv)
    if as_json:
        click.echo(json_text(told.json()))
    elif told.page is not None:
        click.echo(told.page().text())
    if csv:
        written(csv)


def _write_text(text: str, path: str) -> None:
    from ...files import write_whole

    write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def note(text: str) -> None:
    """Say something by the way, to people alone: on standard error, where that is a terminal."""
    if sys.stderr.isatty():
        click.echo(text, err=True)


def written(path: object) -> None:
    """Note a file that was written."""
    note(f"written: {path}")


# ── files and pictures ───────────────────────────────────────────────────────────────────────────


def check_output(option: str, path: str | None, source: str | None = None) -> None:
    """Refuse, before any work is done, a file that cannot be written, or that is the one to be read."""
    from ...files import check_writable

    if path is None:
        return
    if not path:
        raise SimulatorError(option, None, "names no file", "give it a name, or leave it away")
    if source is not None and os.path.exists(path) and os.path.exists(source) and os.path.samefile(path, source):
        raise SimulatorError(option, None, "names the file that is read", "name another file")
    try:
        check_writable(path)
    except SimulatorError as error:
        raise SimulatorError(f"{option} {error.path}", None, error.bound, error.mend) from None


_PICTURES = (".png", ".svg", ".pdf")


def check_picture(path: str, source: str | None = None, option: str = "--plot") -> None:
    """Refuse, before any work is done, a picture that could not be written."""
    check_output(option, path, source)
    if Path(path).suffix.lower() not in _PICTURES:
        raise SimulatorError(
            f"{option} {path}", None, f"has an ending that is no picture's ({', '.join(_PICTURES)})", "name it .png"
        )


def write_picture(ax: Axes, path: str) -> None:
    """Write a picture, whole or not at all."""
    from ..plots.style import save_figure

    save_figure(ax, path)


def write_variance(summary: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write the picture of variance by size, and its figures as CSV beside it; gives the CSV's path."""
    without_display()
    from ..plots.variance_by_size import plotted, variance_by_size

    figures = Path(path).with_suffix(".csv")
    write_picture(variance_by_size(summary), str(path))
    _write_text(as_csv(plotted(summary)), str(figures))
    return figures


def without_display() -> None:
    """Draw pictures without a screen."""
    import matplotlib

    matplotlib.use("Agg")
