"""Filters of rows: `months == 12 and died == 0`, parsed and never evaluated as a program.

Grammar: comparisons of a column with a number, a quoted text or a quoted date (`==`, `!=`, `<`, `<=`, `>`, `>=`, `in`,
`not in`), joined by `and`, `or`, `not` and brackets. A column's name that is no single word stands in quotes ("annual
total" > 500) or backticks. Nothing else exists here: no calls, attributes, indices or arithmetic.
"""

import ast
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import SimulatorError
from ...rows.columns.column import Column, plain_numbers
from ...rows.columns.dates import has_time, looks_like_date, moments
from ...rows.layout import DayOrder
from ...rows.names import plain_name

Mask = NDArray[np.bool_]
Columns = Mapping[str, Column]

_LONGEST = 1_000
_SHORT_NUMBER = 10_000
_MEND = 'write it like "months == 12 and died == 0"'
_OPEN_AGE = "write the age alone in the table (90 for 90+)"
_BACKTICKS = re.compile(r"`([^`\n]+)`")
_STAND_IN = "__column_in_backticks_"
_SIGNS: dict[type, tuple[str, Any]] = {
    ast.Eq: ("==", np.equal), ast.NotEq: ("!=", np.not_equal), ast.Lt: ("<", np.less), ast.LtE: ("<=", np.less_equal),
    ast.Gt: (">", np.greater), ast.GtE: (">=", np.greater_equal),
    ast.In: ("in", np.equal), ast.NotIn: ("not in", np.equal),
}  # fmt: skip
_FLIPPED: dict[type, type] = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}


class Comparison(NamedTuple):
    """A column compared with a value, or with any of a list."""

    column: str
    sign: str
    compare: Any  # of an array and one value
    values: tuple[float | str, ...]
    dates: DayOrder | None

    @property
    def text(self) -> str:
        """As it may be told: quoted texts and numbers of five digits or more, which may be somebody's, left out."""
        told = ["…" if isinstance(v, str) or abs(v) >= _SHORT_NUMBER else f"{v:g}" for v in self.values]
        return f"{self.column} {self.sign} " + (f"({', '.join(told)})" if "in" in self.sign else told[0])

    def holds(self, columns: Columns) -> Mask:
        """Where it is met; a missing value meets no comparison."""
        column = columns[self.column]
        found = np.logical_or.reduce([self._with(value, column) for value in self.values])
        return np.asarray(~found & ~column.missing if self.sign == "not in" else found)

    def _with(self, value: float | str, column: Column) -> Mask:
        if isinstance(value, str):
            return self._with_text(value, column)
        if column.is_dates:
            raise self._of_another_kind("dates", "write the date in quotes: '2019-12-31'")
        numbers, odd = column.numbers
        if "open age" in odd:
            raise self._of_another_kind('an open age such as "90+" beside numbers', _OPEN_AGE)
        if set(odd) - {"truth", "suppressed"} or (column.is_text and column.typed):
            raise self._of_another_kind("text", "write the value with quotes")
        with np.errstate(invalid="ignore"):
            return np.asarray(self.compare(numbers, value), bool) & ~np.isnan(numbers)

    def _with_text(self, value: str, column: Column) -> Mask:
        if column.is_dates:
            if not looks_like_date(value):
                raise self._of_another_kind("dates", "write the date like '2019-12-31'")
            return self._with_moment(value, np.asarray(column.values, "datetime64[us]")) & ~column.missing
        if column.codes is None:
            raise self._of_another_kind("numbers", "write the value with no quotes")
        codes, values = column.by_level
        levels = [str(level).strip() for level in values]
        if looks_like_date(value) and any(map(looks_like_date, levels)):
            hit = self._with_moment(value, moments(levels, self.dates, self.column, [value]), levels)
        else:
            if self.compare not in (np.equal, np.not_equal) and not column.typed and plain_numbers(levels):
                raise self._of_another_kind("numbers", "write the value with no quotes")
            hit = np.asarray([self.compare(str(level), value) for level in values], bool)
        return np.asarray(np.append(hit, False)[codes])

    def _with_moment(self, value: str, times: NDArray[np.datetime64], hints: Sequence[str] = ()) -> Mask:
        """Moments compared with a date; by the day where it says no time."""
        (wanted,) = moments([value], self.dates, self.column, hints)
        found = times if has_time(value) else times.astype("datetime64[D]").astype("datetime64[us]")
        with np.errstate(invalid="ignore"):
            return np.asarray(self.compare(found, wanted), bool)

    def _of_another_kind(self, found: str, mend: str) -> SimulatorError:
        return _refusal(f"compares column {self.column!r}, which holds {found}, with the other kind", mend)


class Condition(NamedTuple):
    """One condition that a row must meet."""

    text: str  # as it may be told
    comparisons: tuple[Comparison, ...]
    holds: Callable[[Columns], Mask]  # where it is met

    @property
    def columns(self) -> frozenset[str]:
        return frozenset(one.column for one in self.comparisons)

    @property
    def texts(self) -> frozenset[str]:
        """The columns among `columns` that are compared with a quoted text."""
        return frozenset(one.column for one in self.comparisons if any(isinstance(v, str) for v in one.values))

    @property
    def numbers(self) -> frozenset[float]:
        return frozenset(v for one in self.comparisons for v in one.values if not isinstance(v, str))


def parse(text: str, dates: DayOrder | None = None) -> tuple[Condition, ...]:
    """The conditions that a filter joins by `and`, in order; what is not in the grammar is refused and not repeated.

    Examples
    --------
    >>> [condition.text for condition in parse("months == 12 and died == 0")]
    ['months == 12', 'died == 0']
    """
    if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST:
        raise _refusal(f"is empty or longer than {_LONGEST:,} letters")
    quoted, number = _BACKTICKS.findall(text), count()
    plain = _BACKTICKS.sub(lambda _: f"{_STAND_IN}{next(number)}", text.strip())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            body = ast.parse(plain, mode="eval").body
        parts = body.values if isinstance(body, ast.BoolOp) and isinstance(body.op, ast.And) else [body]
        return tuple(map(_Filter(tuple(quoted), dates).condition, parts))
    except SimulatorError:
        raise
    except SyntaxError as error:
        place = f" at letter {error.offset}" if error.offset and not quoted else ""
        mend = f"{_MEND}; put a name that is no single word in quotes"
        raise _refusal(f"cannot be read: {error.msg}{place}", mend) from None
    except (ValueError, RecursionError, MemoryError):
        raise _refusal("is too deep to be read") from None


def _refusal(bound: str, mend: str = _MEND) -> SimulatorError:
    return SimulatorError("where", None, bound, mend)


class _Filter(NamedTuple):
    """What is known while a filter is read: names in backticks, and the order of day and month."""

    quoted: tuple[str, ...]
    dates: DayOrder | None

    def condition(self, node: ast.expr) -> Condition:
        if isinstance(node, ast.BoolOp):
            both = isinstance(node.op, ast.And)
            joined = _joined([self.condition(part) for part in node.values], "and" if both else "or")
            return joined._replace(text=f"({joined.text})")
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self.condition(node.operand)
            return inner._replace(text=f"not {inner.text}", holds=lambda c: ~inner.holds(c))
        if isinstance(node, ast.Compare):
            terms = [node.left, *node.comparators]
            pieces = [self._comparison(a, sign, b) for a, sign, b in zip(terms[:-1], node.ops, terms[1:], strict=True)]
            return _joined(pieces, "and")
        raise _refusal("holds something that is no comparison")

    def _comparison(self, left: ast.expr, sign: ast.cmpop, right: ast.expr) -> Condition:
        kind, listed = type(sign), []
        if kind not in _SIGNS:
            raise _refusal("holds a sign other than == != < <= > >= in")
        if isinstance(sign, ast.In | ast.NotIn):
            listed = right.elts if isinstance(right, ast.List | ast.Tuple | ast.Set) else []
            if not _may_be_name(left) or not listed:
                bound = "has an `in` without a column before it and a list after it"
                raise _refusal(bound, 'write it like "band in (1, 2)"')
        else:
            if not _is_column(left, right):
                left, right, kind = right, left, _FLIPPED.get(kind, kind)
            if not _is_column(left, right):
                raise _refusal("compares something other than a column with a number or a quoted text")
            listed = [right]
        one = Comparison(self._name(left), *_SIGNS[kind], tuple(map(_literal, listed)), self.dates)
        return Condition(one.text, (one,), one.holds)

    def _name(self, node: ast.expr) -> str:
        name = node.id if isinstance(node, ast.Name) else str(node.value) if isinstance(node, ast.Constant) else ""
        place = name.removeprefix(_STAND_IN)
        return plain_name(self.quoted[int(place)] if place != name and place.isdigit() else name)


def _may_be_name(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _is_column(node: ast.expr, other: ast.expr) -> bool:
    """Whether a side names the column: a name, or a quoted text beside something that is no name."""
    return not isinstance(other, ast.Name) and _may_be_name(node)


def _joined(parts: Sequence[Condition], word: Literal["and", "or"]) -> Condition:
    if len(parts) == 1:
        return parts[0]
    join = np.logical_and if word == "and" else np.logical_or
    return Condition(
        f" {word} ".join(part.text for part in parts),
        tuple(one for part in parts for one in part.comparisons),
        lambda c: join.reduce([part.holds(c) for part in parts]),
    )


def _literal(node: ast.expr) -> float | str:
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        sign = -1 if isinstance(node.op, ast.USub) else 1
        node = node.operand
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, str) and sign == 1:
        return value
    if isinstance(value, bool | int | float):
        return sign * float(value)
    raise _refusal("compares a column with something that is neither a number nor a quoted text")
