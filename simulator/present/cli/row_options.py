"""The options that every verb has that reads other people's rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ...rows.layout import LayoutOptions
from .option_types import Whole


def row_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """--missing, --sheet, --header-row, --columns, --blank-as-zero and --dates; `layout_of` takes their values."""
    for option in reversed((
        click.option("--missing", default="", help="Texts that mean a missing value, separated by commas: NA,n/a."),
        click.option("--sheet", help="Sheet of a workbook, by name or number; the first by default."),
        click.option("--header-row", type=Whole(min=1), help="Row that names the columns, counted from 1."),
        click.option("--columns", help='Other names for columns: "benchmark=Budget 2023, expenditure=Spend".'),
        click.option("--blank-as-zero", is_flag=True, help="Take a blank amount of money for 0."),
        click.option(
            "--dates", type=click.Choice(["day-first", "month-first"]), help="What 01/02/2019 means in the rows."
        ),
    )):  # fmt: skip
        verb = option(verb)
    return verb


NAMES = ("missing", "sheet", "header_row", "columns", "blank_as_zero", "dates")


def layout_of(options: dict[str, Any]) -> LayoutOptions:
    """Takes what `row_options` gave out of a verb's options."""
    given = {name: options.pop(name) for name in NAMES}
    return LayoutOptions(**given)  # type: ignore[typeddict-item]
