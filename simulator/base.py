"""What every term of a scenario is made of: frozen, strict types, and one clear error.

A leaf of the package: imports nothing of it.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WrapValidator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

SCHEMA_VERSION = 1

DRAWS_VERSION = 2
"""Raised by every change that gives some scenario other draws; ledgers of two versions are never joined."""
"""Version of scenario files, model files and ledgers that this package writes and reads."""


class SimulatorError(ValueError):
    """A mistake in what the program was given, told so that it can be mended.

    Parameters
    ----------
    path : str
        Where the mistake is: the file, the key's path inside it, or the argument's name.
    value : object
        What was found there; `None` when nothing was.
    bound : str
        What it must be, as the end of a sentence ("must be above 0").
    mend : str
        What to do about it.

    Attributes
    ----------
    mistakes : tuple of SimulatorError
        Every mistake found in one go; the error itself where there is only one.
    """

    def __init__(self, path: str, value: object = None, bound: str = "", mend: str = "") -> None:
        self.path, self.value, self.bound, self.mend = path, value, bound, mend
        self.mistakes: tuple[SimulatorError, ...] = (self,)
        super().__init__(self._sentence())

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, tuple((m.path, m.value, m.bound, m.mend) for m in self.mistakes)

    def _sentence(self) -> str:
        shown = "" if self.value is None else f"{_shorten(self.value)} "
        sentence = f"{_middle_left_out(self.path)}: {shown}{self.bound}"
        return f"{sentence}; {self.mend}" if self.mend else sentence

    @classmethod
    def several(cls, mistakes: Sequence[SimulatorError]) -> SimulatorError:
        """One error that lists `mistakes`, a line each."""
        first = mistakes[0]
        if len(mistakes) == 1:
            return first
        error = cls(first.path, first.value, first.bound, first.mend)
        error.mistakes = tuple(mistakes)
        error.args = ("\n".join(str(mistake) for mistake in mistakes),)
        return error


def _rebuild(*mistakes: tuple[str, object, str, str]) -> SimulatorError:
    return SimulatorError.several([SimulatorError(*m) for m in mistakes])


def _middle_left_out(path: str, width: int = 240) -> str:
    """A path that fits into a sentence."""
    return path if len(path) <= width else f"{path[: width // 2]}…{path[-width // 2 :]}"


def _shorten(value: object, width: int = 60) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"


class SimulatorWarning(UserWarning):
    """What is allowed, and is seldom meant."""


def mistake(bound: str, mend: str = "", value: object = ...) -> PydanticCustomError:
    """What a validator raises: `bound` and `mend` as in `SimulatorError`; `value` where the input is not it."""
    context: dict[str, Any] = {"bound": bound, "mend": mend}
    if value is not ...:
        context["value"] = value
    message = f"{bound}; {mend}" if mend else bound
    return PydanticCustomError("mistake", "{message}", {**context, "message": message})


class Term(BaseModel):
    """Base of every type that a scenario is composed of: frozen, and refusing unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

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

    def _repr_html_(self) -> str:
        return f"<details open>{_term_html(self)}</details>"


# ── files of TOML ────────────────────────────────────────────────────────────────────────────────


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a TOML file holds.

    Raises
    ------
    SimulatorError
        Where the file cannot be read, or is not valid TOML.
    """
    source = Path(path)
    try:
        return tomllib.loads(source.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise SimulatorError(str(source), None, "does not exist", "check the name") from None
    except IsADirectoryError:
        raise SimulatorError(str(source), None, "is a folder, not a file", "name a .toml file in it") from None
    except OSError as error:
        raise SimulatorError(
            str(source), None, f"cannot be read ({error.strerror})", "check its name and permissions"
        ) from None
    except UnicodeDecodeError:
        if _is_netcdf(source):
            raise SimulatorError(
                str(source),
                None,
                "is a netCDF file that a verb wrote, not a scenario",
                "name the scenario's .toml file",
            ) from None
        raise SimulatorError(str(source), None, "is not UTF-8 text", "save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SimulatorError(str(source), None, f"is not valid TOML: {error}", "mend that line") from None
    except RecursionError:
        raise SimulatorError(str(source), None, "is nested too deeply", "take brackets out") from None
    except ValueError as error:  # a number of thousands of digits, or a name that no file can have
        raise SimulatorError(str(source), None, f"cannot be read ({error})", "shorten it") from None


def _is_netcdf(source: Path) -> bool:
    with source.open("rb") as opened:
        return opened.read(4) == b"\x89HDF"


_MOST_NAMES = 12


def columns_there(have: Sequence[str], wanted: Sequence[str]) -> str:
    """A near match of a column that is missing, and the columns that there are, as the end of a sentence.

    Nothing where a name may be a figure: rows without a head would be told as one.
    """
    import difflib

    names = [str(name) for name in have]
    if not names or not all(name[:1].isalpha() for name in names):
        return "check that its first line names the columns"
    near = difflib.get_close_matches(wanted[0], names, n=1) if wanted else []
    listed = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
    meant = f"did you mean {near[0]!r}? " if near else ""
    return f"{meant}Its columns are: {listed}" if meant else f"its columns are: {listed}"


# ── in notebooks ─────────────────────────────────────────────────────────────────────────────────

_MOST_SHOWN = 8
_LEFT = "style='text-align:left'"


def fields_of(term: Term) -> Iterator[tuple[str, Any, str]]:
    """Of a term's fields that say something: name, value and meaning."""
    for name, field in type(term).model_fields.items():
        value = getattr(term, name)
        if value is not None and value != ():
            yield name, value, " ".join((field.description or "").split())


def _term_html(term: Term) -> str:
    """A term's fields, what each means beside it; all text escaped."""
    rows = []
    for name, value, meaning in fields_of(term):
        cells = (f"<b>{escape(name)}</b>", _value_html(value), f"<small>{escape(meaning)}</small>")
        rows.append(f"<tr>{''.join(f'<td {_LEFT}>{cell}</td>' for cell in cells)}</tr>")
    named = getattr(term, "name", None) or getattr(term, "title", None)
    head = type(term).__name__ + (f": {named}" if isinstance(named, str) else "")
    return f"<summary>{escape(head)}</summary><table>{''.join(rows)}</table>"


def _value_html(value: Any) -> str:
    if isinstance(value, Term):
        return f"<details>{_term_html(value)}</details>"
    if isinstance(value, tuple | list):
        # a long list of numbers may be patients' own costs: its length is all that is shown
        if len(value) > _MOST_SHOWN and not isinstance(value[0], Term):
            return f"{len(value):,} values"
        between = "" if value and isinstance(value[0], Term) else ", "
        return between.join(map(_value_html, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{escape(str(key))} = {_value_html(part)}" for key, part in value.items())
    if isinstance(value, float | int) and not isinstance(value, bool):
        return f"{value:,}" if isinstance(value, int) else f"{value:,.10g}"
    return escape(str(value))


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────


def _infinity_from_text(value: object) -> object:
    return math.inf if isinstance(value, str) and value.strip().lower() in {"inf", "+inf", "infinity"} else value


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


Name = Annotated[str, Field(min_length=1, max_length=120), AfterValidator(_one_line)]
"""What somebody calls a thing: one line, short enough for tables and pictures."""


# ── every mistake in one go ──────────────────────────────────────────────────────────────────────


def also(check: Callable[[Any], Iterable[PydanticCustomError]]) -> WrapValidator:
    """A check of the raw value whose findings are listed beside those of the type itself.

    A validator that runs after the type would stay silent while any part is wrong; this one does not. `check` must
    accept any raw value and yield nothing where the value is too broken to be judged.
    """

    def validate(value: Any, handler: Callable[[Any], Any]) -> Any:
        found = [InitErrorDetails(type=error, loc=(), input=value) for error in check(value)]
        try:
            parsed = handler(value)
        except ValidationError as error:
            raise ValidationError.from_exception_data("", _line_errors(error) + found) from None
        if found:
            raise ValidationError.from_exception_data("", found)
        return parsed

    return WrapValidator(validate)


def _line_errors(error: ValidationError) -> list[InitErrorDetails]:
    details = []
    for line in error.errors(include_url=False):
        context = line.get("ctx", {})
        kind: Any = line["type"]
        if kind == "mistake":
            kind = PydanticCustomError("mistake", "{message}", context)
        elif kind == "value_error":
            context = {"error": str(context.get("error", line["msg"]))}
        details.append(InitErrorDetails(type=kind, loc=line["loc"], input=line["input"], ctx=context))
    return details


# ── pydantic's findings as our sentences ─────────────────────────────────────────────────────────

_BOUNDS = {
    "greater_than": ("must be above {gt}", "give a number above {gt}"),
    "greater_than_equal": ("must be at least {ge}", "give a number of at least {ge}"),
    "less_than": ("must be below {lt}", "give a number below {lt}"),
    "less_than_equal": ("must be at most {le}", "give a number of at most {le}"),
    "finite_number": ("is not a finite number", "give an ordinary number"),
    "float_type": ("is not a number", "write it without quotes"),
    "int_type": ("is not a whole number", "write a whole number without quotes or decimals"),
    "int_from_float": ("is not a whole number", "write it without decimals"),
    "string_type": ("is not text", "put it in quotes"),
    "bool_type": ("is neither true nor false", "write true or false"),
    "tuple_type": ("is not a list", "write a list in square brackets"),
    "dict_type": ("is not a table", "write a table: {{ key = value }}"),
    "model_type": ("is not a table", "write a table: {{ key = value }}"),
    "model_attributes_type": ("is not a table", "write a table: {{ key = value }}"),
    "float_parsing": ("is not a number", "write a number"),
    "literal_error": ("must be {expected}", "choose one of these"),
    "union_tag_invalid": ("is not a known kind", "choose one of {expected_tags}"),
    "too_long": ("is too long: {actual_length} given, at most {max_length} possible", "take the rest out"),
    "too_short": ("is too short: {actual_length} given, at least {min_length} needed", "add what is missing"),
    "string_too_long": ("is longer than {max_length} characters", "shorten it"),
    "string_too_short": ("must not be empty", "give it a name"),
    "string_pattern_mismatch": ("has not the form {pattern}", "write it in that form"),
}


def mistakes_in(error: ValidationError, raw: object, source: str, known: Iterable[str] = ()) -> SimulatorError:
    """Pydantic's findings as one `SimulatorError`, a sentence a mistake.

    Parameters
    ----------
    error : pydantic.ValidationError
    raw : object
        The parsed input, to tell keys of the file from tags of a union.
    source : str
        The file's name, or the name of the argument.
    known : iterable of str
        Names of keys, to suggest one for a misspelt key.
    """
    names = sorted(known)
    lines = error.errors(include_url=False)
    return SimulatorError.several(
        [_mistake_from(line, raw, source, names) for line in lines if not _is_echo(line, lines)]
    )


def _is_echo(line: Any, lines: Sequence[Any]) -> bool:
    """A list counts only its sound items: one that is too short since an item is wrong is no mistake of its own."""
    loc = line["loc"]
    return line["type"] == "too_short" and any(
        len(other["loc"]) > len(loc) and other["loc"][: len(loc)] == loc for other in lines
    )


def _mistake_from(line: Any, raw: object, source: str, known: Sequence[str]) -> SimulatorError:
    kind, context = line["type"], line.get("ctx", {})
    where = _key_path(line["loc"], raw, kind)
    tag = context["discriminator"].strip("'") if kind.startswith("union_tag") else ""
    where += f".{tag}" if tag else ""
    path = f"{source}: {where}" if where else source
    value = context.get("value", line["input"])
    if isinstance(value, dict | list | tuple) or "values" in where:
        value = None
    if kind == "mistake":
        return SimulatorError(path, value, context["bound"], context["mend"])
    if kind == "missing":
        key = line["loc"][-1]
        return SimulatorError(path, None, "is missing", "give one more" if isinstance(key, int) else f"add {key} = …")
    if kind == "extra_forbidden":
        key = str(line["loc"][-1])
        # a key that is known stands in the wrong place
        close = [] if key in known else difflib.get_close_matches(key, known, n=1)
        mend = f"did you mean {close[0]!r}?" if close else "take it out"
        return SimulatorError(path, None, "is not a key that exists here", mend)
    if kind == "union_tag_not_found":
        return SimulatorError(path, None, "is missing", f"add {tag} = …")
    if kind == "union_tag_invalid":
        value = context["tag"]
    if kind == "float_type" and isinstance(value, int) and not isinstance(value, bool):
        return SimulatorError(path, value, "is too large", "give a number of a sensible size")
    if kind in _BOUNDS:
        bound, mend = _BOUNDS[kind]
        return SimulatorError(path, value, bound.format_map(context), mend.format_map(context))
    return SimulatorError(path, value, line["msg"][:1].lower() + line["msg"][1:])


def _key_path(loc: Sequence[str | int], raw: object, kind: str) -> str:
    """The path as the file has it: the tags of unions, and what another file holds, are no keys of it and left out."""
    text, here = "", raw
    for position, step in enumerate(loc):
        keys = {str(key): key for key in here} if isinstance(here, dict) else {}
        if isinstance(step, int):
            text += f"[{step}]" if isinstance(here, list | tuple) else ""
            here = here[step] if isinstance(here, list | tuple) and step < len(here) else None
        elif step in keys or (kind == "missing" and position == len(loc) - 1):
            text += f".{step}" if text else step
            here = here[keys[step]] if isinstance(here, dict) and step in keys else None
    return text
