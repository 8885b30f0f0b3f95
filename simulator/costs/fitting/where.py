"""Filters of rows: `months == 12 and died == 0`, parsed and never evaluated as a program.

Grammar: comparisons of a column with a number or a quoted text (`==`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `not in`),
joined by `and`, `or`, `not` and brackets. Nothing else exists here: no calls, attributes, indices or arithmetic.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...base import SimulatorError

Mask = NDArray[np.bool_]
Columns = Mapping[str, NDArray[Any]]

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


def parse(text: str) -> tuple[Condition, ...]:
    """The conditions that a filter joins by `and`, in order.

    Parameters
    ----------
    text : str

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
    try:
        body = ast.parse(text.strip(), mode="eval").body
        parts = body.values if isinstance(body, ast.BoolOp) and isinstance(body.op, ast.And) else [body]
        return tuple(_condition(part) for part in parts)
    except SyntaxError:
        raise _refusal("cannot be read") from None
    except (ValueError, RecursionError, MemoryError):
        raise _refusal("is too deep to be read") from None


def _refusal(bound: str, mend: str = _MEND) -> SimulatorError:
    return SimulatorError("where", None, bound, mend)


def _condition(node: ast.expr) -> Condition:
    if isinstance(node, ast.BoolOp):
        parts = [_condition(part) for part in node.values]
        both = isinstance(node.op, ast.And)
        text = "(" + (" and " if both else " or ").join(part.text for part in parts) + ")"
        join = np.logical_and if both else np.logical_or
        return _joined(text, parts, lambda c: join.reduce([p.holds(c) for p in parts]))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = _condition(node.operand)
        return inner._replace(text=f"not {inner.text}", holds=lambda c: ~inner.holds(c))
    if isinstance(node, ast.Compare):
        return _comparisons(node)
    raise _refusal("holds something that is no comparison")


def _comparisons(node: ast.Compare) -> Condition:
    terms = [node.left, *node.comparators]
    pieces = [_comparison(a, sign, b) for a, sign, b in zip(terms[:-1], node.ops, terms[1:], strict=True)]
    if len(pieces) == 1:
        return pieces[0]
    text = " and ".join(piece.text for piece in pieces)
    return _joined(text, pieces, lambda c: np.logical_and.reduce([piece.holds(c) for piece in pieces]))


def _joined(text: str, parts: Sequence[Condition], holds: Callable[[Columns], Mask]) -> Condition:
    columns, numbers = (frozenset().union(*sets) for sets in zip(*((p.columns, p.numbers) for p in parts), strict=True))
    return Condition(text, columns, holds, numbers)


def _numbers(*values: float | str) -> frozenset[float]:
    return frozenset(value for value in values if not isinstance(value, str))


def _comparison(left: ast.expr, sign: ast.cmpop, right: ast.expr) -> Condition:
    if type(sign) not in _SIGNS:
        raise _refusal("holds a sign other than == != < <= > >= in")
    if isinstance(sign, ast.In | ast.NotIn):
        return _membership(left, sign, right)
    flipped = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}
    kind = type(sign)
    if not isinstance(left, ast.Name):
        left, right, kind = right, left, flipped.get(kind, kind)
    if not isinstance(left, ast.Name) or isinstance(right, ast.Name):
        raise _refusal("compares something other than a column with a number or a quoted text")
    name, value, compare = left.id, _literal(right), _COMPARE[kind]
    return Condition(
        f"{name} {_SIGNS[kind]} {_told(value)}",
        frozenset([name]),
        lambda c: _compared(c[name], compare, value, name),
        _numbers(value),
    )


def _membership(left: ast.expr, sign: ast.cmpop, right: ast.expr) -> Condition:
    if not isinstance(left, ast.Name) or not isinstance(right, ast.List | ast.Tuple | ast.Set) or not right.elts:
        raise _refusal("has an `in` without a column before it and a list after it", 'write it like "band in (1, 2)"')
    name, values, inside = left.id, [_literal(element) for element in right.elts], isinstance(sign, ast.In)
    text = f"{name} {_SIGNS[type(sign)]} ({', '.join(_told(value) for value in values)})"

    def holds(columns: Columns) -> Mask:
        found = np.logical_or.reduce([_compared(columns[name], np.equal, value, name) for value in values])
        return np.asarray(found if inside else ~found & ~_missing(columns[name]))

    return Condition(text, frozenset([name]), holds, _numbers(*values))


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


def _missing(column: NDArray[Any]) -> Mask:
    if column.dtype.kind in "fc":
        return np.isnan(column)
    if column.dtype.kind in "iub":
        return np.zeros(column.size, bool)
    return np.asarray([value is None or value != value for value in column], bool)


def _compared(column: NDArray[Any], compare: Callable[[Any, Any], Any], value: float | str, name: str) -> Mask:
    is_text = column.dtype.kind not in "iufb"
    if is_text != isinstance(value, str):
        found, wanted = ("text", "quotes") if is_text else ("numbers", "no quotes")
        raise _refusal(
            f"compares column {name!r}, which holds {found}, with the other kind", f"write the value with {wanted}"
        )
    missing = _missing(column)
    if not is_text:
        with np.errstate(invalid="ignore"):
            return np.asarray(compare(column, value), bool) & ~missing
    filled = np.where(missing, "", column).astype(str)
    return np.asarray(compare(filled, value), bool) & ~missing
