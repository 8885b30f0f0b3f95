"""What is predicted of each organisation-year: by luck, by a fit to years before, by the organisation's own past."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats
from scipy.interpolate import RegularGridInterpolator

from ... import runs
from ...contracts.exclusion import Cap
from ...scenario import Scenario
from ...terms import Array
from ..statistics.exact import law_of
from ..statistics.self_check import cells_of
from .components import EFFECTS, Panel, components

SCORES = np.linspace(-12.0, 12.0, 481)
NORMAL = special.ndtr(SCORES)
_SMOOTHED = 0.2
_SIZES = 8
_FOLDS = 5


@dataclass(frozen=True)
class Prediction:
    """The distribution of the result of each row: `shape` of scores, scaled by `sd`, about `centre`."""

    shape: Callable[[Array], Array]
    sd: Array
    centre: Array | float = 0.0

    def below(self, y: Array) -> Array:
        """Chance of a result of at most this, by row."""
        return np.clip(self.shape((y - self.centre) / self.sd), 0.0, 1.0)

    def log_density(self, y: Array) -> Array:
        """Logarithm of the predicted density of a result, by row."""
        step = 0.05 * self.sd
        return np.asarray(np.log(np.maximum((self.below(y + step) - self.below(y - step)) / (2 * step), 1e-9)))


def of_shape(shape: Array) -> Callable[[Array], Array]:
    """Chance of at most so many sd, from the chances at `SCORES`."""
    return lambda z: np.interp(z, SCORES, shape)


def of_scenario(scenario: Scenario, people: Array) -> Prediction:
    """The exact distribution at a few sizes, carried to others in units of its sd."""
    sizes = np.unique(np.round(np.geomspace(people.min(), people.max(), _SIZES)).astype(int))
    shapes, spreads = [], []
    for size in sizes.tolist():
        one = scenario.resized((size,))
        point = one.threshold_labels.tolist()[-1]
        cells = cells_of(one, Cap(at=point), [point], runs.heads(one))
        law, sd = law_of(one, Cap(at=point), point, 0, cells), float(np.squeeze(cells.sd))
        shapes.append(law.cdf(law.mean + SCORES * sd))
        spreads.append(sd / law.mean)
    at, known = np.log(people), np.log(sizes)
    spread = np.exp(np.interp(at, known, np.log(spreads)))
    if sizes.size == 1:
        return Prediction(of_shape(shapes[0]), spread)
    between = RegularGridInterpolator((known, SCORES), np.array(shapes))
    inside = np.clip(at, known[0], known[-1])
    return Prediction(lambda z: between(np.stack([inside, np.clip(z, SCORES[0], SCORES[-1])], axis=1)), spread)


@dataclass(frozen=True)
class Fit:
    """Variance τ² + s² / people, and a shape, fitted to rows."""

    tau: float
    person: float
    shape: Array
    shape_name: str

    def at(self, people: Array) -> Array:
        """The sd of a result, by row."""
        return np.sqrt(self.tau + self.person / people)


def fitted(y: Array, people: Array, who: NDArray[np.intp]) -> Fit:
    """The fit to rows, with the shape that best predicts organisations left out of it, one fold in five at a time."""
    scores: dict[str, float] = {}
    places = np.unique(who, return_inverse=True)[1] % _FOLDS
    for fold in range(_FOLDS):
        out = places == fold
        if out.all() or not out.any():
            continue
        tau, person = _variance(y[~out], people[~out])
        seen, sd = y[~out] / np.sqrt(tau + person / people[~out]), np.sqrt(tau + person / people[out])
        for name, (shape, _) in _shapes(seen).items():
            scores[name] = scores.get(name, 0.0) + float(Prediction(of_shape(shape), sd).log_density(y[out]).sum())
    tau, person = _variance(y, people)
    shapes = _shapes(y / np.sqrt(tau + person / people))
    shape, told = shapes[max(scores, key=lambda name: scores[name]) if scores else "normal"]
    return Fit(tau, person, shape, told)


def _shapes(scores: Array) -> dict[str, tuple[Array, str]]:
    """Distributions of sd 1 at `SCORES`: normal, Student's t, and that of the scores, smoothed; and what each is."""
    scores = scores / np.sqrt(np.mean(scores**2))

    def unit_t(freedom: float) -> tuple[float, float]:
        return freedom, math.sqrt(freedom / (freedom - 2))

    def surprise(freedom: float) -> float:
        df, ratio = unit_t(freedom)
        return -float(stats.t.logpdf(scores * ratio, df).mean()) - math.log(ratio)

    df, ratio = unit_t(float(optimize.minimize_scalar(surprise, bounds=(2.1, 100.0), method="bounded").x))
    width = _SMOOTHED / math.sqrt(1 + _SMOOTHED**2)
    smooth = special.ndtr((SCORES[:, None] - scores / math.sqrt(1 + _SMOOTHED**2)) / width).mean(axis=1)
    return {
        "normal": (NORMAL, "normal"),
        "t": (special.stdtr(df, SCORES * ratio), f"Student's t with {df:.1f} degrees of freedom"),
        "past": (np.asarray(smooth), "that of past results"),
    }


def _variance(y: Array, people: Array) -> tuple[float, float]:
    """τ² and s², by weighted regression of squares on 1 / people; neither is below 0."""
    design = np.stack([np.ones_like(people), 1 / people], axis=1)
    square, at = y**2, np.array([np.mean(y**2) / 2, np.mean(y**2) / (2 * np.mean(1 / people))])
    for _ in range(50):
        weight = 1 / np.maximum(design @ at, 1e-3 * square.mean()) ** 2
        at = np.maximum(np.linalg.pinv(design.T @ (weight[:, None] * design)) @ (design.T @ (weight * square)), 0.0)
    return (float(at[0]), float(at[1])) if at.any() else (float(square.mean()), 0.0)


def given_past(panel: Panel, past: NDArray[np.bool_], person: float) -> tuple[Array, Array]:
    """The mean and sd of each organisation-year given the organisation's own past, (organisation, year).

    `panel` has its year means removed.
    """
    fit = components(panel.subset(past), person**2)
    variance = {name: fit.variance.get(name, 0.0) for name in EFFECTS} | {"luck": person**2}
    kernels = panel.kernels()
    covariance = sum(variance[name] * kernels[name] for name in EFFECTS)
    mean, sd = np.zeros(past.shape), np.zeros(past.shape)
    for i, whole in enumerate(np.asarray(covariance)):
        here = np.flatnonzero(past[i])
        weight = np.linalg.solve(whole[np.ix_(here, here)], whole[here]).T
        mean[i] = weight @ panel.deviation[i, here]
        sd[i] = np.sqrt(np.maximum(np.diag(whole) - np.einsum("tk,kt->t", weight, whole[here]), 1e-12))
    return mean, sd
