"""A place in what a term holds, by its path: `population.segments[complex].severity.tail.alpha`.

Items of a list stand in brackets, by name, or by number from 0 where they have none; so may keys of a table that are
names themselves (`units[North].shares[complex]`). Errors write such paths, and this reads them.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import reduce
from operator import getitem
from typing import Any

import numpy as np
from pydantic import BaseModel

from .errors import SimulatorError


def changed(term: BaseModel, changes: Mapping[str, Any]) -> Any:
    """What a term holds, as tables and lists, with other values at some paths, one after the other."""
    every, made = (
        changeable(term),
        changeable(term.model_dump()),
    )  # the second without lists that may be absent, and not empty
    for path, value in changes.items():
        *outer, last = steps_of(every, path)
        for tree in (every, made):
            reduce(getitem, outer, tree)[last] = changeable(value)
    return made


def changeable(value: Any) -> Any:
    """Tables and lists that can be changed, of numbers as Python has them."""
    if isinstance(value, BaseModel):
        return changeable({name: getattr(value, name) for name in type(value).model_fields} | (value.model_extra or {}))
    if isinstance(value, Mapping):
        return {key: changeable(part) for key, part in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [changeable(part) for part in value] if isinstance(value, list | tuple) else value


def steps_of(raw: Any, path: str) -> list[str | int]:
    """The keys and numbers by which a path goes through tables and lists."""
    here, rest, steps = raw, path, list[str | int]()
    while rest or not steps:
        rest, done = rest.removeprefix(".") if steps else rest, path[: len(path) - len(rest)] or "the scenario"
        known = _known(here)
        bracketed, listed = rest.startswith("["), isinstance(here, list)
        told = {f"[{name}]" if bracketed else name: name for name in known if bracketed or not listed}
        fitting = [text for text in told if rest.startswith(text) and rest[len(text) :][:1] in ("", ".", "[")]
        if not fitting:
            raise SimulatorError(path, None, *_missing(rest, here, done))
        text = max(fitting, key=len)
        steps.append(known[told[text]])
        here, rest = here[steps[-1]], rest[len(text) :]
    return steps


def _known(here: Any) -> dict[str, Any]:
    """Steps that are possible from here, by how they are written; a name goes before a number."""
    if not isinstance(here, list):
        return {str(key): key for key in here} if isinstance(here, Mapping) else {}
    named = {part["name"]: k for k, part in enumerate(here) if isinstance(part, Mapping) and "name" in part}
    return {str(k): k for k in range(len(here))} | named


def _missing(rest: str, here: Any, where: str) -> tuple[str, str]:
    """What is wrong with a step, and what to write."""
    known = list(_known(here))
    names = [name for name in known if not name.isdigit()] or known
    if not names:
        return f"leads into {where}, which has no parts here ({here})", "give all of it"
    bracketed = rest.startswith("[")
    wrong = rest[1:].partition("]")[0] if bracketed else rest.partition(".")[0].partition("[")[0]
    near = difflib.get_close_matches(wrong, names, n=1, cutoff=0.7)
    if isinstance(here, list) and not bracketed:
        return f"needs an item of {where}", f"name it in brackets, as in {where}[{(near or names)[0]}]"
    listed = ", ".join(map(repr, names[:12])) + (", …" if len(names) > 12 else "")
    meant = f"did you mean {near[0]!r}? There are: " if near else "there are: "
    return f"has no {wrong!r} in {where}" if wrong else f"stops at {where}", meant + listed
