"""Whether rows are persons: a column that looks like a person's id, and how many rows share one."""

from __future__ import annotations

import re

from ..table import Headers
from .column import Column

_WHO = (
    "nhs|nhi|medicare|medicaid|insurance|enrolle?e|bene|beneficiary|member|patient|person|subject|participant|desynpuf|"
    "pseudo|client|life|individual|personal"
)
_WHAT = "id|no|nr|num|number|key|code|identifier|pseudonym"
_ID = re.compile(
    rf"({_WHO})[ _.\-]*({_WHAT})|id|pid|enrolid|pseudonym|"
    "person|patient|member|beneficiary|subject|individual|participant"
)
_FAR = 1.5
"""Rows a person from which the warning is given."""


def person_like(headers: Headers) -> int | None:
    """The position of the first column whose name is that of a person's id."""
    return next((place for place, name in enumerate(headers.names) if _ID.fullmatch(name.casefold())), None)


def repeated(column: Column, name: str) -> str | None:
    """A sentence where rows far outnumber the persons that a column names."""
    codes, persons = column.by_level
    rows = int((codes >= 0).sum())
    if rows < _FAR * len(persons) or not rows:
        return None
    return (
        f"There are {rows / len(persons):.1f} rows for each value of {name!r}. If it is a person's id, name it with "
        "person (--person): without it rows are counted as patients."
    )
