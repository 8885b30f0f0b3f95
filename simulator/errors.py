"""One clear error: what is wrong, where, its bound and what to do; all mistakes of an input at once.

Near the ground of the package: imports how numbers are written, and nothing else of it.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError, WrapValidator
from pydantic_core import InitErrorDetails, PydanticCustomError

from .numerals import NumeralError, number

M = TypeVar("M", bound=BaseModel)


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


Contradiction = tuple[tuple[str | int, ...], PydanticCustomError]
"""What is wrong with parts that are sound alone, and where it stands inside the term."""


def refuse_all(found: Iterable[Contradiction], title: str) -> None:
    """Raise every contradiction that was found, in one error; nothing where there are none."""
    details = [InitErrorDetails(type=error, loc=loc, input=None) for loc, error in found]
    if details:
        raise ValidationError.from_exception_data(title, details)


_MOST_NAMES = 12


def columns_there(have: Sequence[str], wanted: Sequence[str]) -> str:
    """A near match of a column that is missing, and the columns that there are, as the end of a sentence.

    Nothing where a name may be a figure: rows without a head would be told as one.
    """
    names = [str(name) for name in have]
    if not names or not all(name[:1].isalpha() for name in names):
        return "check that its first line names the columns"
    near = difflib.get_close_matches(wanted[0], names, n=1) if wanted else []
    listed = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
    meant = f"did you mean {near[0]!r}? " if near else ""
    return f"{meant}Its columns are: {listed}" if meant else f"its columns are: {listed}"


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
            raise ValidationError.from_exception_data("", line_errors(error) + found) from None
        if found:
            raise ValidationError.from_exception_data("", found)
        return parsed

    return WrapValidator(validate)


def line_errors(error: ValidationError) -> list[InitErrorDetails]:
    """Pydantic's findings, as they are raised again beside others."""
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


_BOUNDS = {
    "greater_than": ("must be above {gt}", "give a larger number"),
    "greater_than_equal": ("must be at least {ge}", "give a larger number"),
    "less_than": ("must be below {lt}", "give a smaller number"),
    "less_than_equal": ("must be at most {le}", "give a smaller number"),
    "finite_number": ("is not a finite number", "give an ordinary number"),
    "float_type": ("is not a number", "give a number without quotes"),
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
    """Pydantic's findings as one `SimulatorError`, a sentence a mistake."""
    names = sorted(known)
    lines = error.errors(include_url=False)
    return SimulatorError.several(
        [_mistake_from(line, raw, source, names) for line in lines if not _is_echo(line, lines)]
    )


def validated(kind: type[M], raw: Any, source: str) -> M:
    """What a parsed file holds as a term of this kind; mistakes are told as `source: key.path: …`."""
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise mistakes_in(error, raw, source) from None


def _misshapen(line: Any) -> bool:
    """Whether a member of a union was tried on a table where it is none, or the other way round."""
    of_table = line["type"] == "literal_error" and isinstance(line["input"], dict)
    of_union = str(line["loc"][-1:]).startswith(("('literal[", "('dict[", "('tuple[", "('function-", '("literal['))
    return of_union and (of_table or line["type"] in ("dict_type", "tuple_type", "model_type"))


def _is_echo(line: Any, lines: Sequence[Any]) -> bool:
    """Ignore "too short" if an item of the list failed, and the members of a union that are of another shape."""
    loc = line["loc"]
    if _misshapen(line):
        return any(other["loc"][: len(loc) - 1] == loc[:-1] and not _misshapen(other) for other in lines)
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
        told = {name: f"{part:,.12g}" if isinstance(part, float) else part for name, part in context.items()}
        near = _near(value, context.get("expected_tags"))
        mend = _as_a_number(kind, value, context) or near or mend.format_map(told)
        return SimulatorError(path, value, bound.format_map(told), mend)
    return SimulatorError(path, value, line["msg"][:1].lower() + line["msg"][1:])


def _as_a_number(kind: str, value: object, context: Mapping[str, Any]) -> str:
    """How a number that was written as people do is written in a file; empty where it is none."""
    if kind in ("less_than", "less_than_equal") and isinstance(value, int | float):
        most = context.get("lt", context.get("le"))
        return f"write {value:g}% as {value / 100:g}" if most == 1 and 2 <= value <= 100 else ""
    if kind not in ("float_type", "int_type") or not isinstance(value, str):
        return ""
    try:
        meant = number(value, money=True, fraction=True)
    except NumeralError:
        return ""
    return f"write {meant:.12g}, without quotes, commas or signs" if math.isfinite(meant) else ""


def _near(value: object, known: str | None) -> str:
    """A kind that was probably meant, among those that there are."""
    names = [name.strip(" '") for name in known.split(",")] if known and value else []
    close = difflib.get_close_matches(str(value), names, n=1)
    return f"did you mean {close[0]!r}?" if close else ""


def _key_path(loc: Sequence[str | int], raw: object, kind: str) -> str:
    """The path as the file has it: the tags of unions, and what another file holds, are no keys of it and left out."""
    text, here = "", raw
    for position, step in enumerate(loc):
        keys = {str(key): key for key in here} if isinstance(here, dict) else {}
        if isinstance(step, int):
            listed = isinstance(here, list | tuple)
            here = here[step] if isinstance(here, list | tuple) and step < len(here) else None
            text += f"[{_called(here) or step}]" if listed else ""
        elif step in keys or (kind == "missing" and position == len(loc) - 1):
            text += f".{step}" if text else step
            here = here[keys[step]] if isinstance(here, dict) and step in keys else None
    return text


def _called(item: object) -> str:
    """The name that an item of a list has, by which its path says which it is."""
    name = item.get("name") if isinstance(item, dict) else None
    return _shorten(name, 40).strip("'\"") if isinstance(name, str) and name.isprintable() else ""


@contextmanager
def about(name: str, source: str | None) -> Iterator[None]:
    """Say what is wrong with an argument of a function by the name of the file that it was read from."""
    try:
        yield
    except SimulatorError as error:
        if source is None or error.path.partition(":")[0] != name:
            raise
        raise SimulatorError(f"{source}{error.path.removeprefix(name)}", error.value, error.bound, error.mend) from None
