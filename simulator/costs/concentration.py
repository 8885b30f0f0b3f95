"""From one published concentration to the spread of cost in several segments whose means are known.

Published is mostly how much of *all* cost the costliest few of *all* people hold. It determines one figure: here, the
coefficient of variation of users' cost, common to all segments whose severity leaves it open. Means differ as given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy
from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from ..errors import line_errors, mistake
from .calibrate import PopulationCalibration
from .families.union import FAMILIES

_OPEN = ("lognormal", "gamma", "weibull", "pareto", "lomax", "gpd")
"""Families that mean and cv determine."""

_STEPS = np.log(np.sort([*np.geomspace(0.05, 500.0, 33), 1.0005]))
"""Logarithms of the cvs that are tried, until two of them enclose the target; lomax has them above 1."""

Raw = dict[str, Any]
Concentration = Callable[[Raw, float], float]
"""Share of cost of the costliest share of people, of the mapping of a population; raises as validation does."""


def solved(raw: Raw, concentration: Concentration) -> Raw:
    """The mapping of a population with `calibrate`, without it and with the spread of its open severities."""
    given = {key: value for key, value in raw.items() if key != "calibrate"}
    try:
        targets = PopulationCalibration.model_validate(raw["calibrate"]).top_share
    except ValidationError as error:
        raise _told_at(("calibrate",), error) from None
    if len(targets) != 1:
        raise _refusal(f"has {len(targets)} targets for one figure, the cv of users", "give one target")
    ((q, target),) = targets.items()
    if not any(_is_open(segment) for segment in _segments(given)):
        raise _refusal("has nothing to solve for", "leave cv out of severities, such as { family, mean }")
    guess = _spread(given, 2.0, means=False)
    try:
        concentration(guess, q)
    except ValidationError:
        return guess  # the types then tell what is wrong
    return _spread(given, _solve(lambda cv: concentration(_spread(given, cv), q) - target, q, target))


def solved_variant(raw: Raw, name: str, severities: Any, concentration: Concentration) -> Any:
    """The severities of a variant by segment, with the spread of all that is open in its population or in itself."""
    if not isinstance(severities, dict) or not any(_is_open({"severity": one}) for one in severities.values()):
        return severities
    named = [
        s | {"severity": severities.get(str(s.get("name")), s.get("severity"))} if isinstance(s, dict) else s
        for s in _segments(raw)
    ]
    try:
        found = solved({**raw, "segments": named}, concentration)["segments"]
    except ValidationError as error:
        raise _told_at(("variants", name), error) from None
    return severities | {str(s.get("name")): s["severity"] for s, of in zip(found, named, strict=True) if _is_open(of)}


def _told_at(key: tuple[str, ...], error: ValidationError) -> ValidationError:
    """The same findings below another key."""
    lines = [line | {"loc": (*key, *line["loc"])} for line in line_errors(error)]
    return ValidationError.from_exception_data("", lines)


def _refusal(why: str, mend: str) -> ValidationError:
    line = InitErrorDetails(type=mistake(why, mend, value=None), loc=("calibrate", "top_share"), input=None)
    return ValidationError.from_exception_data("", [line])


def _segments(raw: Raw) -> list[Any]:
    found = raw.get("segments")
    return list(found) if isinstance(found, list | tuple) else []


def _is_open(segment: Any) -> bool:
    severity = segment.get("severity") if isinstance(segment, dict) else None
    if not isinstance(severity, dict):
        return False
    if severity.get("family") == "spliced":
        return _is_open({"severity": severity.get("body")})
    return severity.get("family") in _OPEN and set(severity) == {"family", "mean"}


def _spread(raw: Raw, cv: float, means: bool = True) -> Raw:
    """The mapping of a population with this cv of users; beside a tail the users' mean is kept where `means`."""
    changed = [s | {"severity": _at(s["severity"], cv, means)} if _is_open(s) else s for s in _segments(raw)]
    return {**raw, "segments": changed} if "segments" in raw else raw


def _at(severity: Raw, cv: float, means: bool) -> Raw:
    if severity["family"] != "spliced":
        return severity | {"cv": cv}
    body, mean = severity["body"] | {"cv": cv}, severity["body"]["mean"]

    def made(log_factor: float) -> Raw:
        return severity | {"body": body | ({"mean": mean * math.exp(log_factor)} if log_factor else {})}

    def gap(log_factor: float) -> float:
        return math.log(float(FAMILIES["spliced"].model_validate(made(log_factor)).moments.raw[1]) / mean)

    return made(scipy.optimize.newton(gap, 0.0, x1=-gap(0.0) or 1e-9, tol=1e-12, maxiter=60) if means else 0.0)


def _solve(missed: Callable[[float], float], q: float, target: float) -> float:
    """The cv of users at which the target is met: more spread is more concentration."""

    def gap(log_cv: float) -> float:
        try:
            with np.errstate(all="ignore"):
                return missed(math.exp(log_cv))
        except (ValidationError, PydanticCustomError, RuntimeError, ArithmeticError, ValueError):
            return math.nan  # a cv that one of the families cannot have

    place = int(np.searchsorted(_STEPS, math.log(2.0)))
    gaps = {place: gap(_STEPS[place])}
    for direction in (-1, 1) if gaps[place] >= 0 else (1, -1):
        at = place
        while 0 <= at + direction < _STEPS.size and (at == place or math.isfinite(gaps[at])):
            low, high = sorted((at, at + direction))
            at += direction
            gaps[at] = gap(_STEPS[at])
            if gaps[low] * gaps[high] <= 0:
                return math.exp(scipy.optimize.brentq(gap, _STEPS[low], _STEPS[high], xtol=1e-11, rtol=1e-11))
    shares = [100 * (found + target) for found in gaps.values() if math.isfinite(found)]
    if not shares:
        raise _refusal("suits no common cv of users in all of these families", "take others")
    why = f"the costliest {q * 100:g}% of people cannot hold {target * 100:g}% of cost: with these families and means "
    bounds = f"they hold {min(shares):.4g}% to {max(shares):.4g}%"
    raise _refusal(why + bounds, "give a share between these, or take other families")
