"""Would an evaluation with a control group see a saving? Its standard error and power."""

from __future__ import annotations

import math

import xarray as xr
from scipy import special

from ...errors import SimulatorError
from ...ledger import declared


def evaluation(
    saving: float,
    cv: float,
    treated: int,
    controls: int,
    *,
    level: float = 0.05,
    practice_people: int = 0,
    practice_sd: float = 0.0,
    correlation: float = 0.0,
) -> xr.Dataset:
    """The error and power of a comparison of mean costs with an estimated counterfactual.

    Parameters
    ----------
    saving : float
        True saving as a share of the mean cost.
    cv : float
        Of one person's cost, the same in both groups.
    treated, controls : int
        People.
    level : float
        Of the two-sided test.
    practice_people, practice_sd : optional
        Randomised by practice: people of a practice, and the sd between practices beyond luck (`spread`).
    correlation : float
        Of cost with a year before, for a difference in differences; 0 compares one year alone.

    Returns
    -------
    xarray.Dataset
        ``standard_error`` of the saving, as a share of the mean cost, and ``power``: the chance that it is seen.

    Raises
    ------
    SimulatorError
        For a figure out of range.

    Examples
    --------
    The Whole System Demonstrator: an 8% saving among 3,000 and 3,000 people with cv 1.86.

    >>> answer = evaluation(0.08, 1.86, 3_000, 3_000)
    >>> round(float(answer["standard_error"]), 3), round(float(answer["power"]), 2)
    (0.048, 0.38)
    """
    for name, value, sound in (
        ("cv", cv, cv > 0), ("treated", treated, treated >= 1), ("controls", controls, controls >= 1),
        ("level", level, 0 < level < 1), ("correlation", correlation, 0 <= correlation < 1),
        ("practice_sd", practice_sd, practice_sd >= 0), ("practice_people", practice_people, practice_people >= 0),
    ):  # fmt: skip
        if not sound:
            raise SimulatorError(name, value, "is out of range", "give people of at least 1, shares from 0 to 1")
    person = cv**2 + practice_people * practice_sd**2
    change = 2 * (1 - correlation) if correlation else 1.0
    error = math.sqrt(person * change * (1 / treated + 1 / controls))
    bar, seen = float(special.ndtri(1 - level / 2)), abs(saving) / error
    power = float(special.ndtr(seen - bar) + special.ndtr(-seen - bar))
    return declared(xr.Dataset({"standard_error": ((), error), "power": ((), power)}), "evaluation")
