"""`calibrate_population`: several segments that together have one published concentration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ..errors import mistakes_in
from .model import Population


def calibrate_population(population: Mapping[str, Any], *, top_share: Mapping[float, float]) -> Population:
    """The population with the one coefficient of variation of users at which the whole has this concentration.

    Parameters
    ----------
    population : mapping
        As [population] in a scenario file. Severities that give a family and the mean of users alone, such as
        ``{"family": "lognormal", "mean": 1200.0}``, or are spliced with such a body, are solved for; others stay. The
        mean beside a tail is that of users with the tail.
    top_share : mapping of float to float
        Share of all cost of the costliest share of all people, fractions: {0.05: 0.52}. One target.

    Returns
    -------
    Population
        With a severity of mean and cv in every segment; `describe` tells the target as its `top_share`.

    Raises
    ------
    SimulatorError
        Where no severity is open, or the target is out of the range that these families and means can have, which
        the sentence tells.

    Examples
    --------
    >>> people = [("young", 0.8, 500.0), ("old", 0.2, 4_000.0)]
    >>> segments = [
    ...     {"name": name, "share": share, "severity": {"family": "lognormal", "mean": mean}}
    ...     for name, share, mean in people
    ... ]
    >>> solved = calibrate_population({"segments": segments}, top_share={0.05: 0.52})
    >>> {round(segment.severity.cv, 3) for segment in solved.segments}
    {2.209}
    """
    raw = {**population, "calibrate": {"top_share": dict(top_share)}}
    try:
        return Population.model_validate(raw)
    except ValidationError as error:
        raise mistakes_in(error, raw, "population") from None
