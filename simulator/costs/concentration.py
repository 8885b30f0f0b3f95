"""From one published concentration to the spread of cost in several segments whose means are known.

Published is mostly how much of *all* cost the costliest few of *all* people hold. It determines one figure: here, the
coefficient of variation of users' cost, common to all segments whose severity leaves it open. Means differ as given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError
from scipy import optimize

from ..errors import line_errors, mistake
from .calibrate import PopulationCalibration
from .families.base import Severity
from .families.union import FAMILIES

OPEN_FAMILIES = ("lognormal", "gamma", "weibull", "pareto", "lomax", "gpd")
"""Families that mean and cv determine."""

_STEPS = np.sort([*np.geomspace(0.05, 500.0, 33), 1.0005])
"""Coefficients of variation of users that are tried, until two of them enclose the target; lomax has them above 1."""


Concentration = Callable[[dict[str, Any], float], float]
"""Share of cost of the costliest share of people, of the mapping of a population; raises as validation does."""


def solved(raw: dict[str, Any], concentration: Concentration) -> dict[str, Any]:
    """The mapping of a population with `calibrate`, without it and with the spread of its open severities."""
    given = {key: value for key, value in raw.items() if key != "calibrate"}
    target = _target(raw["calibrate"])
    if not any(_is_open(part) for part in _severities(given)):
        raise _at_target(mistake("has nothing to solve for", "leave cv out of severities, such as { family, mean }"))
    guess = _spread(given, lambda severity: _with_cv(severity, 2.0))
    try:
        concentration(guess, target[0])
    except ValidationError:
        return guess  # the types then tell what is wrong
    cv = _solve(lambda at, q: concentration(_spread(given, lambda severity: _at(severity, at)), q), *target)
    return _spread(given, lambda severity: _at(severity, cv))


def solved_variant(raw: dict[str, Any], name: str, severities: Any, concentration: Concentration) -> Any:
    """The severities of a variant by segment, with the spread of all that is open in its population or in itself."""
    segments, is_table = raw.get("segments"), isinstance(severities, dict)
    if not isinstance(segments, list | tuple) or not is_table or not any(map(_is_open, severities.values())):
        return severities
    named = [
        s | {"severity": severities.get(str(s.get("name")), s.get("severity"))} if isinstance(s, dict) else s
        for s in segments
    ]
    try:
        found = solved({**raw, "segments": named}, concentration)["segments"]
    except ValidationError as error:
        raise _told_at(("variants", name), error) from None
    pairs = [(s, of) for s, of in zip(found, named, strict=True) if isinstance(of, dict) and _is_open(of["severity"])]
    return severities | {str(s.get("name")): s["severity"] for s, _ in pairs}


def _target(raw: Any) -> tuple[float, float]:
    try:
        return next(iter(PopulationCalibration.model_validate(raw).top_share.items()))
    except ValidationError as error:
        raise _told_at(("calibrate",), error) from None


def _told_at(key: tuple[str, ...], error: ValidationError) -> ValidationError:
    """The same findings below another key."""
    lines = [line | {"loc": (*key, *line["loc"])} for line in line_errors(error)]
    return ValidationError.from_exception_data("", lines)  # type: ignore[arg-type]


def _at_target(why: PydanticCustomError) -> ValidationError:
    line = InitErrorDetails(type=why, loc=("calibrate", "top_share"), input=None)
    return ValidationError.from_exception_data("", [line])


# ── severities that leave their spread open ──────────────────────────────────────────────────────


def _severities(raw: Mapping[str, Any]) -> Iterator[Any]:
    segments = raw.get("segments")
    for segment in segments if isinstance(segments, list | tuple) else ():
        if isinstance(segment, dict):
            yield segment.get("severity")


def _is_open(severity: Any) -> bool:
    if not isinstance(severity, dict):
        return False
    if severity.get("family") == "spliced":
        return _is_open(severity.get("body"))
    return severity.get("family") in OPEN_FAMILIES and set(severity) == {"family", "mean"}


def _spread(raw: dict[str, Any], change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """The mapping of a population with other open severities."""
    segments = [
        segment | {"severity": change(segment["severity"])}
        if isinstance(segment, dict) and _is_open(segment.get("severity"))
        else segment
        for segment in raw["segments"]
    ]
    return {**raw, "segments": segments}


def _with_cv(severity: dict[str, Any], cv: float, mean: float | None = None) -> dict[str, Any]:
    if severity["family"] == "spliced":
        return severity | {"body": _with_cv(severity["body"], cv, mean)}
    return severity | {"cv": cv} | ({} if mean is None else {"mean": mean})


def _at(severity: dict[str, Any], cv: float) -> dict[str, Any]:
    """An open severity at this cv; of a spliced one the body's mean is such that users have the mean that is given."""
    if severity["family"] != "spliced":
        return _with_cv(severity, cv)
    mean = float(severity["body"]["mean"])

    def gap(log_factor: float) -> float:
        made = _law(_with_cv(severity, cv, mean * math.exp(log_factor)))
        return math.log(float(made.moments.raw[1]) / mean)

    factor = math.exp(optimize.newton(gap, 0.0, x1=-gap(0.0) or 1e-9, tol=1e-12, maxiter=60))
    return _with_cv(severity, cv, mean * factor)


def _law(severity: dict[str, Any]) -> Severity:
    return FAMILIES[severity["family"]].model_validate(severity)


# ── the one cv ───────────────────────────────────────────────────────────────────────────────────


def _solve(concentration: Callable[[float, float], float], q: float, target: float) -> float:
    """The cv of users at which the costliest q of people hold the target; more spread is more concentration."""

    def gap(log_cv: float) -> float:
        try:
            with np.errstate(all="ignore"):
                return concentration(math.exp(log_cv), q) - target
        except (ValidationError, PydanticCustomError, RuntimeError, ArithmeticError, ValueError):
            return math.nan  # a cv that one of the families cannot have

    steps = np.log(_STEPS)
    middle = next(i for i, step in enumerate(steps) if step > math.log(2.0))
    gaps = {middle: gap(steps[middle])}
    for direction in (1, -1) if not gaps[middle] >= 0 else (-1, 1):
        place = middle
        while 0 <= (further := place + direction) < steps.size:
            gaps[further] = gap(steps[further])
            if gaps[place] * gaps[further] <= 0:
                low, high = sorted((steps[place], steps[further]))
                return math.exp(optimize.brentq(gap, low, high, xtol=1e-13, rtol=1e-13))
            if math.isnan(gaps[further]):
                break
            place = further
    shares = [found + target for found in gaps.values() if math.isfinite(found)]
    people = f"the costliest {q * 100:g}% of people"
    if not shares:
        raise _at_target(mistake("suits no common cv of users in all of these families", "take others", value=None))
    why = f"{people} cannot hold {target * 100:g}% of cost: with these families and means they hold "
    bounds = f"{min(shares) * 100:.4g}% to {max(shares) * 100:.4g}%"
    raise _at_target(mistake(why + bounds, "give a share between these, or take other families", value=None))
