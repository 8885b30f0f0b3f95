"""What kinds of number the options take, all read by `simulator.numerals`, and options that several verbs have."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import click

from ...numerals import NumeralError, number, numbers
from ...rows.layout import LayoutOptions


class _Number(click.FloatRange):
    """A number as people write it, of the forms that `takes` allows."""

    takes: tuple[str, ...] = ("fraction",)

    def _describe_range(self) -> str:
        return "" if self.min is None and self.max is None else super()._describe_range()

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A number; the percent sign divides it by 100."""
        if isinstance(value, str):
            value = float(_decimal(self, value, param, ctx, **dict.fromkeys(self.takes, True)))
        return super().convert(value, param, ctx)


class Fraction(_Number):
    """A fraction: 0.03, or 3%. What is written as 3 is taken as 300%, with a word of warning."""

    name = "fraction"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A number, with the word of warning."""
        found = super().convert(value, param, ctx)
        allowed = self.max == 1 and not self.max_open  # 1 is a usual answer there
        if isinstance(value, str) and "%" not in value and abs(found) >= 1 and not allowed:
            option = param.opts[0] if param else ""
            said = f"{found:g} means {100 * found:g}%; for {found:g}% write {found / 100:g} or {found:g}%"
            click.echo(f"simulator: {option}: {said}", err=True)
        return found


class Amount(_Number):
    """Money: 25000, 25,000, £25k. Where it names a threshold also a percentile, or inf for none."""

    name = "amount"

    def __init__(self, *, is_threshold: bool = False, above: float | None = None) -> None:
        super().__init__(min=above, min_open=True)
        self.takes = ("money", "fraction", "endless") if is_threshold else ("money",)


class Ratio(_Number):
    """A number without a unit that may well exceed 1, such as a coefficient of variation: 2.5, or 250%."""

    name = "number"


by_option = click.option(
    "--by",
    type=click.Choice(["unit", "segment"]),
    help="One answer for each place of [[population.units]] by itself, or for each segment's people by themselves.",
)


class Whole(click.IntRange):
    """A whole number: 1500, 1,500, 1.5k."""

    name = "number"

    def _describe_range(self) -> str:
        return "" if self.min is None and self.max is None else super()._describe_range()

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A whole number, whatever its size."""
        if isinstance(value, str):
            value = _whole(_decimal(self, value, param, ctx), value, self, param, ctx)
        return super().convert(value, param, ctx)


class Several(click.ParamType):  # type: ignore[type-arg]
    """Several numbers of one kind: 1000,10000, or with thousands 1,000; 10,000."""

    def __init__(self, one: Whole | Amount) -> None:
        self.one = one
        self.name = f"{one.name}s"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A tuple."""
        if not isinstance(value, str):
            return value
        money = isinstance(self.one, Amount)
        try:
            found = numbers(value, money=money)
        except NumeralError as error:
            self.fail(f"{value!r} {error}", param, ctx)
        read = [float(one) if money else _whole(one, f"{one:f}", self, param, ctx) for one in found]
        return tuple(self.one.convert(one, param, ctx) for one in read)


class Shares(click.ParamType):  # type: ignore[type-arg]
    """One share of people and its share of cost: 0.05=0.514, or 5%=51.4%."""

    name = "people=cost"
    one = Fraction(0, 1, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A pair."""
        if not isinstance(value, str):
            return value
        parts = value.split("=")
        if len(parts) != 2:
            self.fail(f"{value!r} is no pair; write it as people=cost, such as 5%=51.4%", param, ctx)
        return tuple(self.one.convert(part, param, ctx) for part in parts)


class Named(click.ParamType):  # type: ignore[type-arg]
    """A name and figures, with colons between them: North=60,000, or 65 and over=20%:3,400:95%."""

    def __init__(self, name: str, example: str, *figures: Whole | Amount | Fraction) -> None:
        self.name, self.example, self.figures = name, example, figures

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The name, then the figures."""
        if not isinstance(value, str):
            return value
        name, _, figures = (part.strip() for part in value.rpartition("="))
        parts = figures.split(":")
        if not name or len(parts) != len(self.figures):
            self.fail(f"{value!r} does not fit; write it as {self.name}, such as {self.example}", param, ctx)
        return (name, *(kind.convert(part, param, ctx) for kind, part in zip(self.figures, parts, strict=True)))


PLACE = Named("name=people", "North=60,000", Whole(min=1))
BAND = Named("name=share:mean:any cost", "old=20%:3,400:95%", Shares.one, Amount(above=0), Shares.one)
"""Share of people, mean cost a head (people without cost included), share of people with any cost."""


def _decimal(kind: click.ParamType[Any], text: str, param: Any, ctx: Any, **wanted: bool) -> Decimal:
    try:
        return number(text, **wanted)
    except NumeralError as error:
        plain = str(error) == "is not a number"  # the bounds of the option are told with it
        kind.fail(f"{text!r} is not a valid number" if plain else f"{text!r} {error}", param, ctx)


def _whole(found: Decimal, text: str, kind: click.ParamType[Any], param: Any, ctx: Any) -> int:
    if found != found.to_integral_value():
        kind.fail(f"{text!r} is not a valid integer", param, ctx)
    return int(found)


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def defaulted(flag: str, kind: click.ParamType[Any] | None, default: Any, told: str | None = None) -> Decorator:
    """An option whose help says what it is where it is not given."""
    return click.option(flag, type=kind, default=default, show_default=True, help=told)


def overspend_options(margin: str) -> Decorator:
    """--margin, told in the words of the verb, and --at-most."""
    margins = defaulted("--margin", Fraction(-1, 10, min_open=True), 0.03, margin)
    chances = Fraction(0, 1, min_open=True, max_open=True)
    at_most = defaulted("--at-most", chances, 0.05, "Largest accepted overspend probability.")
    return lambda verb: margins(at_most(verb))


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
    return LayoutOptions(**{name: options.pop(name) for name in NAMES})  # type: ignore[typeddict-item]
