"""Filters of rows: `months == 12 and died == 0`, parsed and never evaluated as a program.

Grammar: comparisons of a column with a number, a quoted text or a quoted date (`==`, `!=`, `<`, `<=`, `>`, `>=`, `in`,
`not in`), joined by `and`, `or`, `not` and brackets. A column's name that is no single word stands in quotes ("annual
total" > 500) or backticks. Nothing else exists here: no calls, attributes, indices or arithmetic.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import SimulatorError
from ...rows.columns.column import Column, plain_numbers
from ...rows.columns.dates import has_time, looks_like_date, moments
from ...rows.layout import DayOrder
from ...rows.names import plain_name

Mask = NDArray[np.bool_]
Columns = Mapping[str, Column]
Compare = Callable[[Any, Any], Any]

_LONGEST = 1_000
_SHORT_NUMBER = 10_000
_MEND = 'write it like "months == 12 and died == 0"'
_SIGNS: dict[type, str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: np.equal, ast.NotEq: np.not_equal, ast.Lt: np.less, ast.LtE: np.less_equal,
    ast.Gt: np.greater, ast.GtE: np.greater_equal,
}  # fmt: skip


class Condition(NamedTuple):
    """One condition that a row must meet."""

    text: str
    """As it may be told: quoted texts and numbers of five digits or more, which may be somebody's, left out."""
    columns: frozenset[str]
    holds: Callable[[Columns], Mask]
    """Where it is met; a missing value meets no comparison."""
    numbers: frozenset[float] = frozenset()
    """What it compares with."""
    texts: frozenset[str] = frozenset()
    """The columns among `columns` that are compared with a quoted text."""


def parse(text: str, dates: DayOrder | None = None) -> tuple[Condition, ...]:
    """The conditions that a filter joins by `and`, in order.

    Parameters
    ----------
    text : str
    dates : {"day-first", "month-first"}, optional
        What 01/02/2019 means.

    Returns
    -------
    tuple of Condition

    Raises
    ------
    SimulatorError
        For anything that is not in the grammar. The sentence does not repeat the filter.

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
        return _Filter(tuple(quoted), dates).conditions(body)
    except SimulatorError:
        raise
    except SyntaxError as error:
        place = f" at letter {error.offset}" if error.offset and not quoted else ""
        raise _refusal(
            f"cannot be read: {error.msg}{place}", f"{_MEND}; put a name that is no single word in quotes"
        ) from None
    except (ValueError, RecursionError, MemoryError):
        raise _refusal("is too deep to be read") from None


_BACKTICKS = re.compile(r"`([^`\n]+)`")
_STAND_IN = "__column_in_backticks_"


def _refusal(bound: str, mend: str = _MEND) -> SimulatorError:
    return SimulatorError("where", None, bound, mend)


class _Filter(NamedTuple):
    """What is known while a filter is read: names in backticks, and the order of day and month."""

    quoted: tuple[str, ...]
    dates: DayOrder | None

    def conditions(self, body: ast.expr) -> tuple[Condition, ...]:
        parts = body.values if isinstance(body, ast.BoolOp) and isinstance(body.op, ast.And) else [body]
        return tuple(self._condition(part) for part in parts)

    def _condition(self, node: ast.expr) -> Condition:
        if isinstance(node, ast.BoolOp):
            both = isinstance(node.op, ast.And)
            return _joined([self._condition(part) for part in node.values], " and " if both else " or ", both, "({})")
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self._condition(node.operand)
            return inner._replace(text=f"not {inner.text}", holds=lambda c: ~inner.holds(c))
        if isinstance(node, ast.Compare):
            terms = [node.left, *node.comparators]
            pieces = [self._comparison(a, sign, b) for a, sign, b in zip(terms[:-1], node.ops, terms[1:], strict=True)]
            return pieces[0] if len(pieces) == 1 else _joined(pieces, " and ", True, "{}")
        raise _refusal("holds something that is no comparison")

    def _comparison(self, left: ast.expr, sign: ast.cmpop, right: ast.expr) -> Condition:
        kind = type(sign)
        if kind not in _SIGNS:
            raise _refusal("holds a sign other than == != < <= > >= in")
        if isinstance(sign, ast.In | ast.NotIn):
            return self._membership(left, sign, right)
        if not self._is_column(left, right):
            left, right, kind = right, left, _FLIPPED.get(kind, kind)
        if not self._is_column(left, right):
            raise _refusal("compares something other than a column with a number or a quoted text")
        name, value, compare, dates = self._name(left), _literal(right), _COMPARE[kind], self.dates
        return Condition(
            f"{name} {_SIGNS[kind]} {_told(value)}",
            frozenset([name]),
            lambda c: _compared(c[name], compare, value, name, dates),
            _numbers(value),
            frozenset([name] if isinstance(value, str) else []),
        )

    def _membership(self, left: ast.expr, sign: ast.In | ast.NotIn, right: ast.expr) -> Condition:
        listed = right.elts if isinstance(right, ast.List | ast.Tuple | ast.Set) else []
        if not (isinstance(left, ast.Name) or _is_text(left)) or not listed:
            raise _refusal(
                "has an `in` without a column before it and a list after it", 'write it like "band in (1, 2)"'
            )
        name, values, dates = self._name(left), [_literal(element) for element in listed], self.dates

        def holds(columns: Columns) -> Mask:
            found = np.logical_or.reduce([_compared(columns[name], np.equal, value, name, dates) for value in values])
            return np.asarray(found if isinstance(sign, ast.In) else ~found & ~columns[name].missing)

        text = f"{name} {_SIGNS[type(sign)]} ({', '.join(_told(value) for value in values)})"
        texts = frozenset([name] if any(isinstance(value, str) for value in values) else [])
        return Condition(text, frozenset([name]), holds, _numbers(*values), texts)

    def _is_column(self, node: ast.expr, other: ast.expr) -> bool:
        """Whether a side names the column: a name, or a quoted text beside something that is no name."""
        return not isinstance(other, ast.Name) and (isinstance(node, ast.Name) or _is_text(node))

    def _name(self, node: ast.expr) -> str:
        name = node.id if isinstance(node, ast.Name) else str(node.value) if isinstance(node, ast.Constant) else ""
        place = name.removeprefix(_STAND_IN)
        return plain_name(self.quoted[int(place)] if place != name and place.isdigit() else name)


_FLIPPED: dict[type, type] = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _joined(parts: Sequence[Condition], word: str, both: bool, form: str) -> Condition:
    join = np.logical_and if both else np.logical_or
    return Condition(
        form.format(word.join(part.text for part in parts)),
        frozenset().union(*(part.columns for part in parts)),
        lambda c: join.reduce([part.holds(c) for part in parts]),
        frozenset().union(*(part.numbers for part in parts)),
        frozenset().union(*(part.texts for part in parts)),
    )


def _numbers(*values: float | str) -> frozenset[float]:
    return frozenset(value for value in values if not isinstance(value, str))


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


def _told(value: float | str) -> str:
    if isinstance(value, str):
        return "…"
    return f"{value:g}" if abs(value) < _SHORT_NUMBER else "…"


def _compared(column: Column, compare: Compare, value: float | str, name: str, dates: DayOrder | None) -> Mask:
    if isinstance(value, str):
        return _with_text(column, compare, value, name, dates)
    if column.is_dates:
        raise _other_kind(name, "dates", "write the date in quotes: '2019-12-31'")
    numbers, odd = column.numbers
    if "open age" in odd:
        raise _other_kind(name, 'an open age such as "90+" beside numbers', _OPEN_AGE)
    if set(odd) - {"truth", "suppressed"} or (column.is_text and column.typed):
        raise _other_kind(name, "text", "write the value with quotes")
    with np.errstate(invalid="ignore"):
        return np.asarray(compare(numbers, value), bool) & ~np.isnan(numbers)


_OPEN_AGE = "write the age alone in the table (90 for 90+)"


def _other_kind(name: str, found: str, mend: str) -> SimulatorError:
    return _refusal(f"compares column {name!r}, which holds {found}, with the other kind", mend)


def _with_text(column: Column, compare: Compare, value: str, name: str, dates: DayOrder | None) -> Mask:
    if column.is_dates:
        if not looks_like_date(value):
            raise _other_kind(name, "dates", "write the date like '2019-12-31'")
        return _at_times(np.asarray(column.values, "datetime64[us]"), compare, value, name, dates) & ~column.missing
    if column.codes is None:
        raise _other_kind(name, "numbers", "write the value with no quotes")
    codes, values = column.by_level
    levels = [str(level).strip() for level in values]
    if looks_like_date(value) and any(map(looks_like_date, levels)):
        hit = _at_times(moments(levels, dates, name, [value]), compare, value, name, dates, levels)
    else:
        if compare not in (np.equal, np.not_equal) and not column.typed and plain_numbers(levels):
            raise _other_kind(name, "numbers", "write the value with no quotes")
        hit = np.asarray([compare(str(level), value) for level in values], bool)
    return np.asarray(np.append(hit, False)[codes])


def _at_times(
    times: NDArray[np.datetime64],
    compare: Compare,
    value: str,
    name: str,
    dates: DayOrder | None,
    hints: Sequence[str] = (),
) -> Mask:
    """Moments compared with a date; by the day where it says no time."""
    (wanted,) = moments([value], dates, name, hints)
    found = times if has_time(value) else times.astype("datetime64[D]").astype("datetime64[us]")
    with np.errstate(invalid="ignore"):
        return np.asarray(compare(found, wanted), bool)
