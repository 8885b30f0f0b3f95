"""What all verbs share: one clear sentence for every mistake, scenarios with options, and the forms of an answer."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import click

from ...errors import SimulatorError, SimulatorWarning
from ...errors import about as about
from ..figure import errors_shown
from ..tidy import as_csv, as_json, stacked, tidy
from .errors import Verb as Verb
from .errors import clear_errors as clear_errors

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes

    from ...scenario import Scenario
    from ..tables import Page


def load_with(path: str, replicates: int | None = None, seed: int | None = None, all_years: bool = False) -> Scenario:
    """A scenario file with some of its figures replaced by options; of several years the first alone, which is said."""
    from ...scenario import load

    scenario = load(path)
    if not all_years and scenario.years is not None:
        warnings.warn(f"{path}: has several years; what follows is of year 1 alone", SimulatorWarning, stacklevel=2)
        scenario = scenario.first_year
    given = {name: value for name, value in (("replicates", replicates), ("seed", seed)) if value is not None}
    return scenario.with_simulation(**given) if given else scenario


class Rendered(NamedTuple):
    """An answer as a page, as JSON and as long rows; only the form that is asked for is made."""

    page: Callable[[], Page] | None
    """None where what was asked for is a file, and people need no words beside it."""
    json: Callable[[], Any]
    rows: Callable[[], pd.DataFrame]

    @classmethod
    def of(cls, answer: xr.Dataset, **options: Any) -> Self:
        """A Dataset as its kind has it; `options` go to its page."""
        from ..answers import kind_of

        kind = kind_of(answer)
        assert kind is not None
        return cls(lambda: kind.page(answer, **options), lambda: kind.as_json(answer), lambda: tidy(answer))

    def also(self, name: str, answer: xr.Dataset | None, on_page: bool = True) -> Self:
        """The same beside another answer, which JSON has under a name; without its page where this one tells it."""
        if answer is None:
            return self
        other, own = type(self).of(answer), self.page
        theirs = other.page
        return type(self)(
            (lambda: own().beside(theirs())) if on_page and own and theirs else own,
            lambda: self.json() | {name: other.json()},
            lambda: stacked([self.rows(), other.rows()]),
        )

    @classmethod
    def each(cls, by: str, parts: Mapping[str, Self]) -> Self:
        """Answers for the parts of a scenario, each under its name."""
        return cls(
            lambda: _under_names({name: one.page() for name, one in parts.items() if one.page}),
            lambda: {"by": by, "parts": {name: one.json() for name, one in parts.items()}},
            lambda: stacked([one.rows().assign(**{by: name}) for name, one in parts.items()]),
        )

    def noted(self, line: str) -> Self:
        """With one more line on the page; the same without a line."""
        from ..tables import Page

        own = self.page
        return self._replace(page=lambda: own().beside(Page("", (), [line]))) if own and line else self


def _under_names(pages: Mapping[str, Page]) -> Page:
    """Pages of parts as one; what the last of each says below its tables is of all, and said once."""
    from ..tables import Page

    first = next(iter(pages.values()))
    verdict = [f"{name}: {line}" for name, page in pages.items() for line in page.verdict]
    parts = [part for name, page in pages.items() for part in (f"── {name} ──", *page.parts[:-1])]
    told = dict.fromkeys(line for page in pages.values() for line in page.warnings)
    return Page(first.title, verdict, [*parts, *first.parts[-1:]], [*told])


def judged(scenario: Scenario, margin: float, at_most: float, ledger: xr.Dataset | None = None) -> xr.Dataset | None:
    """Which places are large enough by themselves; None for a scenario without units."""
    from ...analysis.size.places import places

    return places(scenario, margin, at_most, ledger) if scenario.population.units else None


_SOON = 60.0
"""Expected seconds of exact answers up to which they are given beside what was simulated."""


def of_run(
    summary: xr.Dataset, ledger: xr.Dataset, scenario: Scenario | None, margin: float, at_most: float
) -> Rendered:
    """What is told of simulated years; without a scenario, whose costs were withheld, nothing exact beside it."""
    from ...analysis.designs.pricing import cap_prices
    from ...analysis.size.minimum import calculated
    from ...analysis.statistics.pooled import pool_years
    from ..answers.shared import price_line

    if scenario is None:
        return Rendered.of(summary, margin=margin, at_most=at_most)
    if "year" in ledger.dims:  # what stands beside the years is of the first
        ledger, scenario = pool_years(ledger, {1: 1}), scenario.first_year
    several = summary.sizes["population_size"] > 1
    least = calculated(scenario, margin, at_most, within=_SOON) if several else None
    told = Rendered.of(summary, margin=margin, at_most=at_most, exactly=least).noted(price_line(cap_prices(scenario)))
    return told.also("smallest", least, on_page=False).also("places", judged(scenario, margin, at_most, ledger))


class Forms(NamedTuple):
    """In which form the answer of the running verb is to be shown."""

    as_json: bool
    csv: str | None
    errors: bool


_FORMS = "simulator.forms"


def outputs(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The options --json, --csv and --errors, which every verb has; `forms` gives them."""
    for name, flags, settings in (
        ("errors", ("--errors",), {"is_flag": True, "help": "Show ± one standard error on simulated figures."}),
        ("csv", ("--csv",), {"metavar": "FILE",
         "help": "Write every figure with unit and error to this CSV file; - prints it instead."}),
        ("as_json", ("--json",), {"is_flag": True, "help": "Print JSON instead of tables."}),
    ):  # fmt: skip
        verb = click.option(*flags, name, expose_value=False, callback=_keep, **settings)(verb)
    return verb


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    context.meta.setdefault(_FORMS, {})[parameter.name] = value


def forms() -> Forms:
    """What the running verb was asked for."""
    return Forms(**click.get_current_context().meta[_FORMS])


def check_forms(source: str | None = None) -> None:
    """Refuse, before any work is done, what could not be printed or written."""
    asked = forms()
    if asked.as_json and asked.csv == "-":
        raise SimulatorError("--csv", asked.csv, "would print into the JSON", "name a file, or omit --json")
    if asked.csv is not None and asked.csv != "-":
        check_output("--csv", asked.csv, source)


def emit(rendered: Rendered, *files: object) -> None:
    """Print an answer in the form asked for, and nothing else; a note names the files that were written."""
    asked = forms()
    if asked.csv:
        rows = as_csv(rendered.rows())
        if asked.csv == "-":
            click.echo(rows, nl=False)
        else:
            write_text(rows, asked.csv)
    if asked.as_json:
        click.echo(as_json(rendered.json()))
    elif rendered.page is not None and asked.csv != "-":
        with errors_shown(asked.errors):
            click.echo(rendered.page().text())
    for path in filter(None, (asked.csv if asked.csv != "-" else None, *files)):
        note(f"written: {path}")


def refuse_failed(summary: xr.Dataset) -> None:
    """End with exit code 3 where a run failed its own check."""
    if summary.attrs["check"] == "failed":
        click.echo(summary.attrs["check_sentence"], err=True)
        raise SystemExit(3)


def emit_kept(answer: xr.Dataset, out: str | None, **options: Any) -> None:
    """Keep an answer where a file is named, and print it."""
    from ...ledger import save

    if out:
        save(answer, out)
    emit(Rendered.of(answer, **options), out)


def write_text(text: str, path: str | os.PathLike[str]) -> None:
    """Write a text, whole or not at all."""
    from ...files import write_whole

    write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def note(text: str) -> None:
    """A note on standard error, where that is a terminal."""
    if sys.stderr.isatty():
        click.echo(text, err=True)


def check_output(option: str, path: str | None, source: str | None = None) -> None:
    """Refuse, before any work is done, a file that cannot be written, or that is the one to be read."""
    from ...files import check_writable

    if path is None:
        return
    if not path:
        raise SimulatorError(option, None, "names no file", "give it a name, or omit it")
    if source is not None and os.path.exists(path) and os.path.exists(source) and os.path.samefile(path, source):
        raise SimulatorError(option, None, "names the file that is read", "name another file")
    try:
        check_writable(path)
    except SimulatorError as error:
        raise SimulatorError(f"{option} {error.path}", None, error.bound, error.mend) from None


def check_written(source: str, out: str | None) -> None:
    """Refuse, before any work is done, an answer that could not be written."""
    check_forms(source)
    check_output("--out", out, source)


_PICTURES = (".png", ".svg", ".pdf")


def check_picture(path: str, source: str | None = None, option: str = "--plot") -> None:
    """Refuse, before any work is done, a picture that could not be written."""
    check_output(option, path, source)
    if Path(path).suffix.lower() not in _PICTURES:
        bound = f"has an ending that is no picture's ({', '.join(_PICTURES)})"
        raise SimulatorError(f"{option} {path}", None, bound, "name it .png")


def write_picture(draw: Callable[[ModuleType], Axes], path: str | os.PathLike[str], use: str = "screen") -> None:
    """Draw a picture with what `simulator.plots` has, without a screen, and write it, whole or not at all."""
    without_display()
    from .. import plots
    from ..plots.style import save_figure

    save_figure(draw(plots), path, use)


def write_variance(summary: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write the picture of variance by size, of year 1 where there are several, and its figures as CSV beside it."""
    if "year" in summary.dims:
        summary = summary.sel(year=1, drop=True).drop_dims("year_other", errors="ignore")
    figures = Path(path).with_suffix(".csv")
    write_picture(lambda plots: plots.variance_by_size(summary), path)
    from ..plots.variance_by_size import plotted

    write_text(as_csv(plotted(summary)), figures)
    return figures


def without_display() -> None:
    """Draw pictures without a screen."""
    import matplotlib

    matplotlib.use("Agg")
