"""The same law with other figures: all costs scaled, or the values of one parameter set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..numerals import figures
from .severity import Severity, Spliced

if TYPE_CHECKING:
    from .model import Segment


def scaled(severity: Severity, factor: float) -> Severity:
    """The law of cost times a factor."""
    raw = _scaled_raw(severity.model_dump(exclude_none=True), factor)
    return type(severity).model_validate(raw)


def _scaled_raw(raw: dict[str, object], factor: float) -> dict[str, object]:
    changed: dict[str, object] = {}
    for name, value in raw.items():
        if name in ("scale", "at", "mean") and isinstance(value, float):
            changed[name] = figures(value * factor)
        elif name == "mu" and isinstance(value, float):
            changed[name] = figures(value + float(np.log(factor)), 9)
        elif name == "quantiles" and isinstance(value, dict):
            changed[name] = {p: figures(x * factor) for p, x in value.items()}
        elif name == "values" and isinstance(value, tuple):
            changed[name] = tuple(x * factor for x in value)
        elif isinstance(value, dict):
            changed[name] = _scaled_raw(value, factor)
        elif name == "components" and isinstance(value, tuple | list):
            changed[name] = [_scaled_raw(part, factor) for part in value]
        else:
            changed[name] = value
    return changed


def segment_of_set(segment: Segment, given: Mapping[str, float]) -> Segment:
    """The segment with other values of the parameters that are given."""
    severity: Severity = segment.users_severity
    if "tail_share" in given:
        severity = _with_tail_share(severity, given["tail_share"])
    paths = {name: value for name, value in given.items() if name not in ("p_user", "level", "tail_share")}
    if paths:
        severity = type(severity).model_validate(_replaced(severity.model_dump(exclude_none=True), paths))
    if "level" in given:
        severity = _at_level(severity, given["level"])
    return segment.model_copy(update={"p_user": given.get("p_user", segment.p_user), "severity": severity})


def _replaced(raw: dict[str, Any], paths: Mapping[str, float]) -> dict[str, Any]:
    for path, value in paths.items():
        *outer, last = path.split(".")
        inner = raw
        for name in outer:
            inner = inner[name]
        inner[last] = value
    return raw


def _with_tail_share(severity: Severity, share: float) -> Severity:
    """A spliced quantile table with another share of users above the splice."""
    raw = severity.model_dump(exclude_none=True)
    points = sorted(raw["body"]["quantiles"].items())
    top = points[-2][0]
    levels = {figures(p * (1 - share) / top, 9): x for p, x in points[:-1]}
    raw["body"]["quantiles"] = {**levels, 1.0: points[-1][1]}
    return type(severity).model_validate(raw)


def _at_level(severity: Severity, level: float) -> Severity:
    """Costs below the splice times a factor, bent so that the splice stays where it is; all costs without a splice."""
    if not isinstance(severity, Spliced):
        return scaled(severity, level)
    raw = severity.model_dump(exclude_none=True)
    points = sorted(raw["body"]["quantiles"].items())
    costs = np.minimum(np.array([x for _, x in points[:-2]]) * level, severity.at)
    raw["body"]["quantiles"] = dict([*zip([p for p, _ in points[:-2]], costs.tolist(), strict=True), *points[-2:]])
    return Spliced.model_validate(raw)
