"""The scenario file, key by key, from schemas/scenario.schema.json."""

import json
import re
from collections.abc import Iterator
from typing import Any

from sources import ROOT

Schema = dict[str, Any]

BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}

INTRODUCTION = """\
# The scenario file

Every key that a scenario file may hold, with its bounds and its default, from `schemas/scenario.schema.json`. Unknown
keys are refused. Shares and rates are fractions from 0 to 1, money is the scenario's currency a year, and infinity is
written `inf`. An editor that knows JSON Schema completes the keys and shows these sentences.
"""


def scenario_page() -> str:
    """The page."""
    schema = json.loads((ROOT / "schemas" / "scenario.schema.json").read_text(encoding="utf-8"))
    types: dict[str, Schema] = schema["$defs"]
    parts = [INTRODUCTION, _table(schema, types)]
    told: set[str] = set()
    for key, its in schema["properties"].items():
        names = [name for name in _reached(its, types) if name not in told]
        if not names:
            continue
        told.update(names)
        parts.append(f"## {key}\n")
        parts += [_section(name, types) for name in names]
    return "\n".join(parts)


def _section(name: str, types: dict[str, Schema]) -> str:
    one = types[name]
    return f"({_label(name)})=\n### {_title(name, one)}\n\n{_prose(one)}\n\n{_table(one, types)}"


def _title(name: str, one: Schema) -> str:
    mark = _mark(one)
    return f'{_words(name)}: `{mark[0]} = "{mark[1]}"`' if mark else _words(name)


def _mark(one: Schema) -> tuple[str, str] | None:
    """The key and word that tell a type from others, such as kind = "cap"."""
    for key in ("kind", "family"):
        said = one.get("properties", {}).get(key, {})
        if "const" in said:
            return key, said["const"]
    return None


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize()


def _label(name: str) -> str:
    return f"scenario-{name.lower()}"


def _prose(one: Schema) -> str:
    return str(one.get("description", "")).replace("$", "\\$").replace("*", "\\*")


def _table(one: Schema, types: dict[str, Schema]) -> str:
    required = one.get("required", [])
    rows = []
    for key, its in one.get("properties", {}).items():
        if "const" in its:
            continue
        default = "required" if key in required else _default(its)
        meaning = _prose(its).replace("\n", " ").replace("|", "\\|")
        rows.append(f"| `{key}` | {_kind(its, types)} | {default} | {meaning} |")
    if not rows:
        return ""
    return "\n".join(["| key | what it may be | default | meaning |", "|---|---|---|---|", *rows]) + "\n"


def _default(its: Schema) -> str:
    if "default" not in its or its["default"] is None:
        return "absent"
    if isinstance(its["default"], dict):
        return f"`{its['default']['kind']}`" if "kind" in its["default"] else "its own defaults"
    if isinstance(its["default"], list) and any(isinstance(one, dict) for one in its["default"]):
        return ", ".join(f"`{one.get('name', one.get('kind'))}`" for one in its["default"])
    return f"`{json.dumps(its['default'], ensure_ascii=False)}`"


def _kind(its: Schema, types: dict[str, Schema]) -> str:
    """What a key may hold, in words."""
    if "$ref" in its:
        name = its["$ref"].rpartition("/")[2]
        mark = _mark(types[name])
        return f"[{mark[1] if mark else _words(name).lower()}](#{_label(name)})"
    if "enum" in its:
        return " or ".join(f'`"{word}"`' for word in its["enum"])
    if "const" in its:
        return f'`"{its["const"]}"`'
    for choice in ("anyOf", "oneOf"):
        if choice in its:
            kinds = dict.fromkeys(_kind(one, types) for one in its[choice] if one.get("type") != "null")
            return " or ".join(kinds)
    if its.get("type") == "array":
        inner = its.get("items") or {"type": "value"}
        return f"list of: {_kind(inner, types)}"
    if its.get("type") == "object":
        inner = its.get("additionalProperties")
        return f"table of: {_kind(inner, types)}" if isinstance(inner, dict) else "table"
    return _plain(its)


def _plain(its: Schema) -> str:
    word = {"integer": "whole number", "number": "number", "string": "text", "boolean": "`true` or `false`"}.get(
        its.get("type", ""), "value"
    )
    bounds = [f"{said} {its[key]:,}" for key, said in BOUNDS.items() if key in its and abs(its[key]) < 1e15]
    return ", ".join([word, *bounds])


def _reached(its: Any, types: dict[str, Schema]) -> list[str]:
    """Types that a key leads to, in the order in which one meets them."""
    found: dict[str, None] = {}
    waiting = list(_references(its))
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = None
            waiting += _references(types[name])
    return list(found)


def _references(its: Any) -> Iterator[str]:
    if isinstance(its, dict):
        for key, value in its.items():
            if key == "$ref":
                yield value.rpartition("/")[2]
            elif key != "mapping":
                yield from _references(value)
    elif isinstance(its, list):
        for value in its:
            yield from _references(value)
