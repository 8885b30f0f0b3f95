"""What every term of a scenario is made of: frozen, strict types, and the numbers, names and currencies in them."""

from __future__ import annotations

import ast
import difflib
import inspect
import json
import math
import os
import re
import textwrap
import tomllib
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator
from pydantic_core import PydanticCustomError

from .errors import Contradiction, SimulatorError, mistake, refuse_all
from .numerals import NumeralError, number

Array = NDArray[np.float64]

SCHEMA_VERSION = 1
"""Version of scenario files, model files and ledgers that this package writes and reads."""

DRAWS_VERSION = 3
"""Raised by every change that gives some scenario other draws; ledgers of two versions are never joined."""


class Term(BaseModel):
    """Base of every type that a scenario is composed of: frozen, and refusing unknown keys."""

    # built when first used, and without what fields mean: both together were most of what starting the program took
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)

    def _contradictions(self) -> Iterator[Contradiction]:
        """Parts that are sound alone and do not fit together."""
        yield from ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        refuse_all(self._contradictions(), type(self).__name__)
        return self

    # What a term has worked out and kept is no part of it: not when compared, and not in a changed copy.

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(
            getattr(self, name) == getattr(other, name) for name in type(self).model_fields
        )

    def __hash__(self) -> int:
        # keys sorted, as the order of a table's keys is no part of it when compared
        return hash((type(self), json.dumps(self.model_dump(mode="json"), sort_keys=True)))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields changed."""
        copy = super().model_copy(update=update, deep=deep)
        for name in set(copy.__dict__) - set(type(self).model_fields):
            del copy.__dict__[name]
        return copy

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        made: dict[str, Any] = handler(core_schema)
        properties = handler.resolve_ref_schema(made).get("properties", {})
        for name, meaning in meanings(cls).items():
            field = properties.get(cls.model_fields[name].alias or name) if name in cls.model_fields else None
            if field is not None:
                field.setdefault("description", meaning)
        return made

    _page: ClassVar[Callable[[Term], str] | None] = None
    """How a notebook shows a term: `present` says so, which lies above."""

    def _repr_html_(self) -> str | None:
        return None if Term._page is None else Term._page(self)


@cache
def meanings(term: type[Term]) -> dict[str, str]:
    """What fields mean: the text below each in the source; nothing where that is not at hand."""
    found: dict[str, str] = {}
    for part in (part for part in reversed(term.__mro__) if issubclass(part, Term)):
        try:
            source = ast.parse(textwrap.dedent(inspect.getsource(part))).body[0]
        except (OSError, TypeError, SyntaxError):
            continue
        for field, text in pairwise(source.body if isinstance(source, ast.ClassDef) else ()):
            match field, text:
                case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(told))):
                    found[name] = inspect.cleandoc(told)
    return found


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a TOML file holds."""
    source = Path(path)
    try:
        return tomllib.loads(source.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise SimulatorError(str(source), None, *_unreadable(source, error)) from None


def _unreadable(source: Path, error: Exception) -> tuple[str, str]:
    """What is wrong with a file, and how to mend it."""
    if isinstance(error, FileNotFoundError):
        return "does not exist", "check the name"
    if isinstance(error, IsADirectoryError):
        return "is a folder, not a file", "name a .toml file in it"
    if isinstance(error, OSError):
        return f"cannot be read ({error.strerror})", "check its name and permissions"
    if isinstance(error, UnicodeDecodeError):
        if _is_netcdf(source):
            return "is a netCDF file that a verb wrote, not a scenario", "name the scenario's .toml file"
        return "is not UTF-8 text", "save it as UTF-8"
    if isinstance(error, tomllib.TOMLDecodeError):
        return _of_toml(source, str(error))
    if isinstance(error, RecursionError):
        return "is nested too deeply", "take brackets out"
    return f"cannot be read ({error})", "shorten it"  # a number of thousands of digits, or a name that no file can have


def _of_toml(source: Path, found: str) -> tuple[str, str]:
    """What is wrong with a line of TOML: most often a number that is written as people do."""
    place = re.search(r"line (\d+)", found)
    lines = source.read_text(encoding="utf-8-sig").splitlines()
    line = lines[int(place[1]) - 1].strip() if place and int(place[1]) <= len(lines) else ""
    given = re.fullmatch(r"[\w.\"'-]+\s*=\s*([^\"'\[{#]+?)\s*(#.*)?", line)
    try:
        meant = number(given[1], money=True, fraction=True) if given else None
    except NumeralError:
        meant = None
    if meant is not None and meant.is_finite():
        return f"is not valid TOML in line {place[1] if place else ''}: {line}", f"write {meant:.12g}"
    return f"is not valid TOML: {found}", f"correct line {place[1]}" if place else "correct it"


def _is_netcdf(source: Path) -> bool:
    with source.open("rb") as opened:
        return opened.read(4) == b"\x89HDF"


def _infinity_from_text(value: object) -> object:
    return (
        math.inf if isinstance(value, str) and value.strip().lower() in {"inf", "+inf", "infinity", "none"} else value
    )


def _infinity_to_text(value: float) -> float | str:
    return "inf" if math.isinf(value) else float(value)


Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
OpenFraction = Annotated[float, Field(strict=True, gt=0, lt=1, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=1)]
MOST_PEOPLE = 2_000_000_000
People = Annotated[int, Field(strict=True, ge=1, le=MOST_PEOPLE)]
Threshold = Annotated[
    Annotated[float, Field(strict=True, gt=0, allow_inf_nan=True)],
    BeforeValidator(_infinity_from_text, json_schema_input_type=Annotated[float, Field(gt=0)] | Literal["inf"]),
    PlainSerializer(_infinity_to_text, when_used="json"),
]
"""One patient's annual cost at which exclusion starts; infinity (`inf` in TOML, "inf" in JSON) excludes nobody."""


def _one_line(name: str) -> str:
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        raise mistake("holds a line break or another control character", "write it on one line")
    return name


def name_key(name: object) -> str:
    """What makes two names the same to a reader: letters in one Unicode form, no blanks around them."""
    return unicodedata.normalize("NFC", str(name)).strip()


def names_differ(raw: Any) -> Iterator[PydanticCustomError]:
    """A check of a list of terms: no name twice."""
    try:
        names = [name_key(part["name"] if isinstance(part, dict) else part.name) for part in raw]
    except (TypeError, KeyError, AttributeError):
        return
    yield from nothing_twice(names)


def nothing_twice(names: Sequence[str]) -> Iterator[PydanticCustomError]:
    """A check of names: none twice."""
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        yield mistake(f"has more than one {repeated[0]!r}", "give each its own name", value=None)


def figures_in(raw: Any, key: str) -> list[float]:
    """The figures of one key in a list of terms; none where the list is too broken to be judged."""
    try:
        return [float(part[key] if isinstance(part, dict) else getattr(part, key)) for part in raw]
    except (TypeError, ValueError, KeyError, AttributeError):
        return []


def ascend(key: str, bound: str) -> Callable[[Any], Iterator[PydanticCustomError]]:
    """A check of a list of terms: the figure of each is above that of the one before."""

    def check(raw: Any) -> Iterator[PydanticCustomError]:
        figures = figures_in(raw, key)
        if figures != sorted(set(figures)):
            yield mistake(bound, f"sort them by `{key}`, without repeats")

    return check


Name = Annotated[str, Field(min_length=1, max_length=120), AfterValidator(_one_line)]
"""What somebody calls a thing: one line, short enough for tables and pictures."""

_LIST_ONE = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY
COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS
INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP
MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR
SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV
WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
CODES = frozenset(_LIST_ONE.split())
"""Legal tender of some country: ISO 4217, list one, 2026."""


def _known_currency(code: str) -> str:
    if code not in CODES:
        near = difflib.get_close_matches(code.upper(), sorted(CODES), n=1)
        raise mistake(
            "is no currency of ISO 4217", f"did you mean {near[0]}?" if near else "write three capitals such as GBP"
        )
    return code


Currency = Annotated[str, AfterValidator(_known_currency), Field(pattern="^[A-Z]{3}$")]
"""ISO 4217 code, three capitals: GBP, EUR, USD."""
