"""From summary figures to a family: mean, coefficient of variation and concentration shares of a whole segment.

An analyst rarely has patient rows but often knows a mean and how much of the cost the costliest few hold. Those
figures count people without any cost; the family describes users only. With p the share of users, the mean of users is
mean / p, their squared cv is p·(1 + cv²) − 1, and the costliest share q of people are the costliest q / p of users.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Annotated, Literal, NamedTuple

import numpy as np
import scipy
from pydantic import Field, ValidationError
from pydantic_core import PydanticCustomError

from ..errors import SimulatorError, mistake, mistakes_in
from ..terms import OpenFraction, Positive, Term
from .families.base import Severity
from .families.union import FAMILIES
from .quadrature import Array
from .shapes import SHAPES, squared_cv, top_share

TopShare = dict[Annotated[float, Field(gt=0, lt=1)], OpenFraction]

TOLERANCE = 0.0005
"""How far a family may miss a target when there are more targets than it has figures."""


class Calibration(Term):
    """Targets that describe everybody in the segment, non-users included."""

    family: Literal["lognormal", "gamma", "weibull", "pareto", "lomax", "gpd", "burr", "gengamma", "gb2"]
    mean: Positive
    """Mean annual cost a head."""
    cv: Positive | None = None
    """Standard deviation of a person's annual cost as a multiple of the mean."""
    top_share: TopShare = Field(default_factory=dict)
    """Share of cost of the costliest share of people: { "0.05" = 0.514 }."""


class PopulationCalibration(Term):
    """A target that describes everybody in the population, non-users included."""

    top_share: TopShare
    """Share of all cost of the costliest share of all people, for one cv of users: { "0.05" = 0.52 }."""


class _Request(Calibration):
    """What `calibrate` is asked for."""

    p_user: Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False)]


class Calibrated(Term):
    """A severity to be solved for."""

    calibrate: Calibration

    def users_severity(self, p_user: float) -> Severity:
        """The users' severity that meets the targets in a segment with this share of users."""
        return _solve(self.calibrate, p_user)


def calibrate(
    family: str,
    *,
    mean: float,
    p_user: float = 1.0,
    cv: float | None = None,
    top_share: Mapping[float, float] | None = None,
) -> Severity:
    """The users' severity of which the whole segment has these figures, people without cost included.

    Parameters
    ----------
    family : str
        "lognormal", "gamma", "weibull", "pareto", "lomax" or "gpd", each determined by the mean and one more target;
        "burr" and "gengamma" (generalized gamma) by the mean and two more; "gb2" (generalized beta of the second kind)
        by the mean and three more. More targets than that are met in least squares, or refused.
    mean : float
        Mean annual cost a head, money.
    p_user : float
        Share of people with any cost in the year.
    cv : float, optional
        Standard deviation of a person's annual cost as a multiple of `mean`.
    top_share : mapping of float to float, optional
        Share of cost of the costliest share of people, fractions: {0.05: 0.514}.

    Returns
    -------
    Severity
        Annual cost of a user, with mean `mean / p_user`.

    Raises
    ------
    SimulatorError
        Where a figure is out of range, where the targets do not determine the family, contradict one another or
        cannot be had by it. The sentence names the closest attainable figures.

    Examples
    --------
    >>> import simulator as sim
    >>> users = sim.calibrate("lognormal", mean=952.0, p_user=0.85, top_share={0.05: 0.514})
    >>> users.family, round(users.mu, 4), round(users.sigma, 4)
    ('lognormal', 5.7414, 1.5998)
    """
    shares = {} if top_share is None else top_share
    figures = {"family": family, "mean": mean, "cv": cv, "top_share": shares, "p_user": p_user}
    try:
        request = _Request.model_validate(figures)
        return _solve(request, request.p_user)
    except ValidationError as error:
        raise mistakes_in(error, figures, "calibrate", known=figures) from None
    except PydanticCustomError as error:
        context = error.context or {}
        bound = str(context["bound"]).removeprefix(_REFUSAL)
        raise SimulatorError("calibrate", None, bound, context["mend"]) from None


class Target(NamedTuple):
    """One figure to be met, and how a family of users is read for it."""

    name: str
    value: float
    read: Callable[[Severity], float]


def targets_of(c: Calibration, p_user: float) -> list[Target]:
    """The shape targets of a calibration, as figures of the whole segment."""
    cv = [] if c.cv is None else [Target("cv", c.cv, partial(person_cv, p_user=p_user))]
    shares = sorted(c.top_share.items())
    return cv + [Target(f"top-{q * 100:g}% share", share, partial(top_share, u=q / p_user)) for q, share in shares]


def person_cv(users: Severity, p_user: float) -> float:
    """Coefficient of variation of a person's annual cost, people without cost included."""
    return math.sqrt(max(squared_cv(users) / p_user - 1, 0.0))


_REFUSAL = "cannot be calibrated: "


def _refuse(why: str, mend: str) -> PydanticCustomError:
    return mistake(_REFUSAL + why, mend, value=None)


def _check(c: Calibration, p_user: float) -> None:
    _check_shares(sorted(c.top_share.items()), p_user)
    least = math.sqrt(1 / p_user - 1)
    if c.cv is not None and c.cv <= least:
        why = f"cv is {c.cv:g}, but people without any cost ({1 - p_user:.1%}) alone make it more than {least:.4g}"
        raise _refuse(why, "give a larger cv or a larger p_user")
    if not 1e-90 < c.mean / p_user < 1e90:
        raise _refuse(f"a mean of {c.mean:g} is outside the range of a computer's numbers", "give it in another unit")
    given, needed = len(c.top_share) + (c.cv is not None), SHAPES[c.family].figures
    if given < needed:
        wanted, mend = _WANTED[needed]
        raise _refuse(f"{c.family} needs {wanted} beside the mean and has {given or 'none'}", mend)


_WANTED = {
    1: ("one target", "give cv or top_share"),
    2: ("two targets", "give cv and a top_share, or two of them"),
    3: ("three targets", "give cv and two top_shares, or three of them"),
}
"""How many targets determine a family, and what to give."""


def _check_shares(shares: Sequence[tuple[float, float]], p_user: float) -> None:
    for q, share in shares:
        people = f"the costliest {q * 100:g}% of people"
        if q >= p_user:
            why = f"{people} hold every cost, as {p_user * 100:g}% have any"
            raise _refuse(why, "give a smaller share of people or a larger p_user")
        if share <= q:
            raise _refuse(f"{people} cannot hold {share * 100:g}% of cost", f"give a share of cost above {q:g}")
        if share <= q / p_user:
            least = f"{q / p_user * 100:.4g}% of cost, as {p_user * 100:g}% have any"
            why = f"{people} hold more than {least}, not {share * 100:g}%"
            raise _refuse(why, "give a larger share of cost or a larger p_user")
    for (q, share), (more_q, more_share) in pairwise(shares):
        if more_share <= share or more_share / more_q >= share / q:
            few, more = f"the costliest {q * 100:g}%", f"the costliest {more_q * 100:g}%"
            why = f"{few} cannot hold {share * 100:g}% of cost while {more} hold {more_share * 100:g}%"
            raise _refuse(why, "a larger group holds more in all and less a head")


CALIBRATED_FAMILIES = tuple(SHAPES)
"""Families that `calibrate` knows."""


def _solve(c: Calibration, p_user: float) -> Severity:
    """The users' severity; raises what a pydantic validator raises."""
    _check(c, p_user)
    shape, users_mean = SHAPES[c.family], c.mean / p_user
    targets = targets_of(c, p_user)
    low, high = shape.bounds(finite=c.cv is not None)
    if shape.figures == 1 and len(targets) == 1:
        if c.cv is not None:
            return _from_cv(c, c.cv, p_user)
        return _exactly(c.family, targets[0], users_mean, float(low[0]), float(high[0]))
    return _closest(c.family, targets, users_mean, low, high)


def _from_cv(c: Calibration, cv: float, p_user: float) -> Severity:
    users_cv = math.sqrt(p_user * (1 + cv**2) - 1)
    if c.family == "lomax" and users_cv <= 1:
        least = math.sqrt(2 / p_user - 1)
        raise _refuse(f"no lomax has cv {cv:g} here; it must be above {least:.4g}", "give a larger cv or take gpd")
    why = f"no {c.family} has cv {cv:g} within the range of a computer's numbers"
    out_of_range = _refuse(why, "take another family")
    try:
        users = FAMILIES[c.family].model_validate({"mean": c.mean / p_user, "cv": users_cv})
    except ValidationError:
        raise out_of_range from None
    if not abs(person_cv(users, p_user) - cv) <= 1e-6 * cv:
        raise out_of_range
    return users


def _exactly(family: str, target: Target, mean: float, low: float, high: float) -> Severity:
    """The one shape at which the target is met; all families have it monotone in y."""
    build = SHAPES[family].build

    def gap(y: float) -> float:
        return target.read(build(mean, np.array([y]))) - target.value

    at_low, at_high = gap(low), gap(high)
    if at_low * at_high > 0:
        least, most = sorted((at_low + target.value, at_high + target.value))
        closest = least if target.value < least else most
        why = f"no {family} has a {target.name} of {target.value:g}; the closest it can have is {closest:.5g}"
        raise _refuse(why, "take another family or give another target")
    root = scipy.optimize.brentq(gap, low, high, xtol=1e-14, rtol=1e-14, maxiter=200)
    return build(mean, np.array([root]))


def _closest(family: str, targets: Sequence[Target], mean: float, low: Array, high: Array) -> Severity:
    """The family nearest to all targets in least squares, refused where one of them is missed."""
    best = _least_squares(family, targets, mean, low, high)
    met = [target.read(best) for target in targets]
    if max(abs(found - target.value) for found, target in zip(met, targets, strict=True)) > TOLERANCE:
        asked = " and ".join(f"{target.name} {target.value:g}" for target in targets)
        reached = " and ".join(f"{target.name} {found:.4f}" for found, target in zip(met, targets, strict=True))
        why = f"no {family} has {asked} together; the closest has {reached}"
        raise _refuse(why, "drop a target or take another family")
    return best


def _least_squares(family: str, targets: Sequence[Target], mean: float, low: Array, high: Array) -> Severity:
    build = SHAPES[family].build

    def gaps(y: Array) -> Array:
        users = build(mean, y)
        return np.array([_gap(target, users) for target in targets])

    starts = sorted(_starts(low, high), key=lambda y: float(np.sum(gaps(y) ** 2)))[:3]
    fits = []
    for start in starts:
        fit = scipy.optimize.least_squares(
            gaps, start, bounds=(low, high), xtol=1e-15, ftol=1e-15, gtol=1e-15, diff_step=[1e-6]
        )
        fits.append((float(fit.cost), tuple(fit.x)))
        if fit.cost < 1e-20:
            break
    return build(mean, np.array(min(fits)[1]))


def _gap(target: Target, users: Severity) -> float:
    found = target.read(users)
    # the logarithm tames a cv that grows without bound; near the target it is the difference itself
    return target.value * math.log(found / target.value) if target.name == "cv" else found - target.value


def _starts(low: Array, high: Array) -> list[Array]:
    """A coarse grid over the sensible middle of the bounds."""
    points = 9 if low.size < 3 else 6
    axes = [np.linspace(max(a, -4.0), min(b, 4.0), points) for a, b in zip(low, high, strict=True)]
    return [np.array(point) for point in np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, low.size)]
