"""What several questions ask of their arguments, refused in the same words, and what they leave out."""

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from ..contracts.design import Design
from ..errors import SimulatorError
from ..scenario import Scenario


def check_members(members: object) -> None:
    """Require a positive whole number of people."""
    if not isinstance(members, int | np.integer) or members < 1:
        raise SimulatorError("members", members, "must be a whole number of at least 1", "give people, such as 50_000")


def check_fraction(name: str, value: float, such_as: float = 0.05, above: float = 0.0) -> None:
    """Refuse a chance or level that does not lie between 0, or another end, and 1."""
    if not above < value < 1:
        raise SimulatorError(name, value, f"must lie between {above:g} and 1", f"give a fraction such as {such_as:g}")


def left_out(scenario: Scenario, asked: Sequence[object]) -> dict[str, str]:
    """What an answer about the scenario's own designs says of those that it is not about; `asked` are names."""
    swept = [design.name for design in scenario.designs if design.name not in asked]
    return {"left_out": ", ".join(swept)} if swept else {}


def check_party(designs: Sequence[Design], party: str) -> None:
    """Refuse a party that one of the designs lacks."""
    for design in designs:
        names = ", ".join(each.name for each in design.parties)
        if party not in [each.name for each in design.parties]:
            raise SimulatorError("party", party, f"is not in design {design.name!r} ({names})", "name one of these")


def checked_weights(name: str, weights: Any) -> Mapping[int, float]:
    """Weights by year, refused where they are none."""
    listed = weights.values() if isinstance(weights, Mapping) else ["none"]
    if not all(isinstance(one, Real) and (one == 0 or 1e-100 <= abs(float(one)) <= 1e100) for one in listed):
        raise SimulatorError(
            name, weights, "is no mapping of years to finite weights", "give some, such as {1: 1, 2: 1}"
        )
    return dict(weights)
