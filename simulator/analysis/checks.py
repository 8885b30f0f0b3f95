"""What several questions ask of their arguments, refused in the same words."""

from __future__ import annotations

import numpy as np

from ..errors import SimulatorError


def check_members(members: object) -> None:
    """Require a positive whole number of people."""
    if not isinstance(members, int | np.integer) or members < 1:
        raise SimulatorError("members", members, "must be a whole number of at least 1", "give people, such as 50_000")


def check_fraction(name: str, value: float, such_as: float = 0.05, above: float = 0.0) -> None:
    """Refuse a chance or level that does not lie between 0, or another end, and 1."""
    if not above < value < 1:
        raise SimulatorError(name, value, f"must lie between {above:g} and 1", f"give a fraction such as {such_as:g}")
