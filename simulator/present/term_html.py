"""A term in a notebook: its fields and what each means; all text escaped."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from ..terms import Term, meanings

_MOST_SHOWN = 8
_LEFT = "style='padding:.25em .75em;text-align:left'"


def fields_of(term: Term) -> Iterator[tuple[str, Any, str]]:
    """Of a term's fields that say something: name, value and meaning."""
    for name in type(term).model_fields:
        value = getattr(term, name)
        if value is not None and value != ():
            yield name, value, " ".join(meanings(type(term)).get(name, "").split())


def term_html(term: Term) -> str:
    """A term's fields and their meaning, open for a reader to fold."""
    return f"<details open>{_inside(term)}</details>"


def _inside(term: Term) -> str:
    rows = []
    for name, value, meaning in fields_of(term):
        cells = (f"<b>{escape(name)}</b>", _value_html(value), f"<small>{escape(meaning)}</small>")
        rows.append(f"<tr>{''.join(f'<td {_LEFT}>{cell}</td>' for cell in cells)}</tr>")
    named = getattr(term, "name", None) or getattr(term, "title", None)
    head = type(term).__name__ + (f": {named}" if isinstance(named, str) else "")
    return f"<summary>{escape(head)}</summary><table>{''.join(rows)}</table>"


def _value_html(value: Any) -> str:
    if isinstance(value, Term):
        return f"<details>{_inside(value)}</details>"
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


Term._page = term_html
