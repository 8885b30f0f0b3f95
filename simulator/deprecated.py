"""What has a new name or a new home: one table, each row good for one minor version, with a warning that names the new.

A release takes the rows out that name it in `GONE_IN`; a test says when.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

from pydantic import ValidationError

from .errors import SimulatorError, SimulatorWarning, mistakes_in

P = ParamSpec("P")
R = TypeVar("R")

GONE_IN = "0.3"
"""The version in which the old names below stop working."""

NAMES = {
    "Banded": ".contracts.exclusion",
    "by_unit": ".ledger",
    "extend": ".runs",
    "fit_bands": ".fitting.fit",
    "load_designs": ".settlement.shared_designs",
    "model_population": ".fitting.fit",
    "viable_terms": ".analysis.size.viable",
}
"""Names that have left `simulator` for the rooms in which they live on."""

FUNCTIONS = {"runs.with_simulation": "scenario.with_simulation(…)"}
"""Functions of the rooms that documents named, and what to write in their place."""

KEYWORDS = {"capitation_pmpy": ("budget", "amount"), "budget_basis": ("budget", "basis")}
"""Keyword arguments: the argument that took them in, and what they are called in it."""

CONFIG: dict[str, str] = {}
"""Of scenario files: ``table.key`` to the key's new name, ``table.key = value`` to the new value; lists unnumbered."""

OPTIONS: dict[str, str] = {}
"""Of the command line: ``verb --option`` to the option's new name."""


def name_left(name: str) -> str:
    """Say where a name that has left `simulator` lives now; give its home."""
    home = NAMES[name]
    warn(f"simulator.{name} stops working in {GONE_IN}: write `from simulator{home} import {name}`", 4)
    return home


def function_left(name: str) -> None:
    """Say what to write in the place of a function."""
    warn(f"simulator.{name} stops working in {GONE_IN}: write {FUNCTIONS[name]}", 4)


def old_keywords(**made: Callable[..., Any]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function take the keywords of before: they make up the argument that took them in (`budget=PerHead`)."""

    def taking_both(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **given: P.kwargs) -> R:
            parts: dict[str, dict[str, Any]] = {}
            for old in [name for name in given if name in KEYWORDS]:
                new, field = KEYWORDS[old]
                warn(f"{old}=… stops working in {GONE_IN}: write {new}={made[new].__name__}({field}=…)", 3)
                parts.setdefault(new, {})[field] = given.pop(old)
            for new, fields in parts.items():
                if new in given:
                    raise SimulatorError(new, None, "is given beside its old keywords", "leave those out")
                try:
                    given[new] = made[new](**fields)
                except ValidationError as error:
                    raise mistakes_in(error, fields, new) from None
            return function(*args, **given)

        return call

    return taking_both


def renewed(raw: Any, at: str = "") -> Any:
    """A parsed scenario file, or the part of it that stands at a path, with keys and values by their names of today."""
    if isinstance(raw, list):
        return [renewed(item, at) for item in raw]
    if not CONFIG or not isinstance(raw, dict):
        return raw
    found = {}
    for key, value in raw.items():
        path = f"{at}.{key}".strip(".")
        told, name = f"{path} = {value}", key
        if path in CONFIG and CONFIG[path] not in raw:
            warn(f"the key {path} stops working in {GONE_IN}: write {CONFIG[path]}", 3, SimulatorWarning)
            name = CONFIG[path]
        renewed_value = renewed(value, path)
        if isinstance(value, str) and told in CONFIG:
            warn(f'"{value}" at {path} stops working in {GONE_IN}: write "{CONFIG[told]}"', 3, SimulatorWarning)
            renewed_value = CONFIG[told]
        found[name] = renewed_value
    return found


def renewed_options(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """A command line with its options by their names of today, and a sentence on each that has another now."""
    now, told = [], []
    for word in words:
        name, equals, value = word.partition("=")
        new = OPTIONS.get(f"{words[0]} {name}")
        if new:
            told.append(f"{name} stops working in {GONE_IN}: write {new}")
        now.append(f"{new}{equals}{value}" if new else word)
    return now, told


def warn(sentence: str, level: int, category: type[Warning] = DeprecationWarning) -> None:
    """Warn whoever wrote the old name."""
    warnings.warn(sentence, category, stacklevel=level)
