"""`simulator new`: a scenario file of one's own from a few figures."""

import os
import sys
from typing import Any

import click

from ....errors import SimulatorError
from ..new_scenario import KINDS, TEMPLATES, assumed, read_sheet, value_of, write_sheet, written
from ..option_types import BAND, PLACE, Amount, Shares
from ..shell import Rendered, Verb, check_forms, check_output, emit, outputs


@click.command(cls=Verb)
@click.argument("out", required=False)
@click.option("--template", type=click.Choice(TEMPLATES), help="What is assumed for the rest: places by default.")
@click.option("--place", "places", type=PLACE, multiple=True, help="A place and its people: North=60,000. Repeat it.")
@click.option("--band", "bands", type=BAND, multiple=True, help="A band of people: old=20%:3,400:95%. Repeat it.")
@click.option("--top-share", type=Shares(), help="Share of all cost of the costliest of all people: 5%=52%.")
@click.option("--cap", "caps", type=Amount(above=0), multiple=True, help="A cap on one patient's annual cost.")
@click.option("--currency", help="Three capitals: GBP, EUR, USD.")
@click.option("--from", "sheet", type=click.Path(), help="Read all this from a small workbook or CSV file.")
@click.option("--sheet-template", type=click.Path(), help="Write an empty sheet for --from: .xlsx or .csv.")
@click.option("--yes", is_flag=True, help="Ask nothing: assume what is missing.")
@outputs
def new(
    out: str | None, template: str | None, sheet: str | None, sheet_template: str | None, yes: bool, **options: Any
) -> None:
    """Write a scenario of your own to OUT, and print what it implies.

    A band has a share of people, a mean cost a head and a share with any cost; all bands are solved to one overall
    concentration. What was not given is asked for in a terminal, or assumed, and then marked "# assumed" in the file.

    Example: simulator new mine.toml --place North=60,000 --place South=90,000 --top-share 5%=52% --yes
    """  # fmt: skip
    from ....analysis.statistics.describe import describe
    from ....files import write_whole
    from ...answers.description import long_rows, page

    check_forms(sheet)
    for option, path in (("OUT", out), ("--sheet-template", sheet_template)):
        check_output(option, path)
        if path and os.path.exists(path):
            raise SimulatorError(f"{option} {path}", None, "exists, and is not overwritten", "name another file")
    if sheet_template:
        write_sheet(sheet_template)
    if out is None and not sheet_template:
        raise SimulatorError("OUT", None, "is missing", "name the file to write, such as mine.toml")
    if out is None:
        return
    given = (read_sheet(sheet) if sheet else {}) | {name: value for name, value in options.items() if value}
    if not yes and may_ask():
        template, given = _ask(template, given)
    text, scenario = written(template or TEMPLATES[0], given, out)
    described = describe(scenario)
    write_whole(out, lambda partial: partial.write_text(text, encoding="utf-8"))
    marked = sum("assumed" in line for line in text.splitlines())
    said = f"Written: {out}; {marked} lines are marked as assumed. Next: simulator answer {out}"
    shown = page(described)
    told = type(shown)(shown.title, [said, *shown.verdict], shown.parts)
    emit(Rendered(lambda: told, lambda: {"written": out, **described}, lambda: long_rows(described)))


def may_ask() -> bool:
    """Whether a person sits at a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _ask(template: str | None, given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """What is missing, from the person at the terminal; Enter takes what is shown, which stays an assumption."""
    chosen = template or click.prompt("Template", type=click.Choice(TEMPLATES), default=TEMPLATES[0])
    for part, kind in KINDS.items():
        shown = "; ".join(assumed(chosen)[part])

        def read(text: str, part: str = part, shown: str = shown) -> Any:
            return None if text == shown else value_of(part, text.split(";"))

        if part not in given:
            question = f"{part.replace('_', ' ').capitalize()} ({kind.name})"
            given = given | {part: click.prompt(question, default=shown, value_proc=read)}
    return chosen, given
