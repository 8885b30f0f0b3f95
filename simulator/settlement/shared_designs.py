"""Files of designs: written out, or taken from another file under the rules of a calendar year."""

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from ..contracts.context import CalendarYear
from ..contracts.design import Design, designs_from
from ..errors import SimulatorError, validated
from ..terms import Name, Term, read_toml


class _Taken(Term):
    """Designs of another file."""

    file: Annotated[str, Field(min_length=1, alias="from")]
    """The file, as seen from the folder of the one that names it."""
    names: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    """Those that are taken, in this order; all of them without it."""


class _Head(Term):
    """What a file of designs says besides the designs themselves."""

    rule_year: CalendarYear | None = None
    """Calendar year of the rules, in the place of each design's own."""
    designs: _Taken | None = None


def load_designs(path: str | os.PathLike[str]) -> tuple[Design, ...]:
    """The designs of a TOML file: a whole scenario, or nothing but `[[designs]]`.

    A file may also take its designs from another one, as those of a rule year in `configs/published/` do:
    ``rule_year = 2021`` and ``designs = { from = "mssp.toml", names = ["BASIC A", "ENHANCED"] }``.

    Raises
    ------
    SimulatorError
        Listing every mistake.
    """
    source = Path(path)
    raw = read_toml(source)
    told = {key: raw[key] for key in ("rule_year", "designs") if key in raw}
    if not isinstance(told.get("designs"), dict):
        told.pop("designs", None)
    head = validated(_Head, told, str(source))
    tables: Any = raw.get("designs", ())
    if head.designs is not None:
        source = source.parent / head.designs.file
        tables = read_toml(source).get("designs", ())
    names = None if head.designs is None else head.designs.names
    designs = designs_from(_under_rules(tables, head.rule_year, names), str(source))
    by_name = {design.name: design for design in designs}
    for name in names or ():
        if name not in by_name:
            bound = "is not a design of that file"
            raise SimulatorError(f"{path}: designs.names", name, bound, f"choose from {', '.join(by_name)}")
    return designs if names is None else tuple(by_name[name] for name in names)


def _under_rules(tables: Any, rule_year: int | None, names: tuple[str, ...] | None) -> Any:
    """The tables that are taken, each with the rule year; the others as they are, so that their places stay."""
    if rule_year is None or not isinstance(tables, list):
        return tables
    taken = [isinstance(table, dict) and (names is None or table.get("name") in names) for table in tables]
    return [table | {"rule_year": rule_year} if own else table for table, own in zip(tables, taken, strict=True)]
