"""Variance components of a panel: y = m_t + a_it + b_it + e_it, by restricted likelihood, clustered by organisation.

Fisher scoring of the Gaussian restricted likelihood needs no normal law to be unbiased. Errors are sandwiches over
organisations (HC3). Intervals are those of a scaled χ² (Wilson & Hilferty 1931) of the same error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ...terms import Array

EFFECTS = ("lasting", "drift", "yearly", "luck")
_ROUNDS = 60
_SETTLED = 1e-7
_TOLD_APART = 2e-3
"""Least share of an effect's own pattern that no other effect has."""


@dataclass(frozen=True)
class Panel:
    """Deviations by organisation and year, both of shape (organisation, year); NaN where there is no row."""

    organisations: tuple[str, ...]
    years: Array
    deviation: Array
    people: Array
    money: Array | None = None

    @property
    def budgets(self) -> Array:
        """What each row counts for in money: its budget where that is known, else its people."""
        return self.people if self.money is None else self.money

    def centred(self) -> Panel:
        """The panel with the mean of each year removed."""
        return replace(self, deviation=self.deviation - np.nanmean(self.deviation, axis=0))

    @property
    def known(self) -> Array:
        """1 where there is a row."""
        return np.isfinite(self.deviation).astype(float)

    def kernels(self) -> dict[str, Array]:
        """Covariance of each effect at variance 1, shape (organisation, year, year); drift is a walk from mid-panel."""
        both = self.known[:, :, None] * self.known[:, None, :]
        years = self.years - (self.years[0] + self.years[-1]) / 2
        away = np.abs(years)
        walk = (away[:, None] + away[None, :] - np.abs(years[:, None] - years[None, :])) / 2
        own = np.eye(years.size) * both
        luck = own / np.where(self.known > 0, self.people, 1.0)[:, :, None]
        return {"lasting": both, "drift": both * walk, "yearly": own, "luck": luck}

    def subset(self, kept: NDArray[np.bool_]) -> Panel:
        """The rows of a mask of shape (organisation, year)."""
        deviation, some = np.where(kept, self.deviation, np.nan), np.asarray(kept.any(axis=1))
        years = np.flatnonzero(kept.any(axis=0))
        names = tuple(name for name, one in zip(self.organisations, some, strict=True) if one)
        return Panel(names, self.years[years], deviation[some][:, years], self.people[some][:, years])


@dataclass(frozen=True)
class Components:
    """Variances of the effects that can be told apart; `free` and `se` unconstrained, `variance` at least 0."""

    variance: Mapping[str, float]
    se: Mapping[str, float]
    interval: Mapping[str, tuple[float, float]]
    correlation: Mapping[tuple[str, str], float]
    means: Array
    means_covariance: Array
    residual: Array

    def covariance(self, panel: Panel, fixed_luck: float | None) -> Array:
        """Covariance of the deviations within each organisation, shape (organisation, year, year)."""
        variances = dict(self.variance) | ({} if fixed_luck is None else {"luck": fixed_luck})
        kernels = panel.kernels()
        return np.asarray(sum(variances[name] * kernels[name] for name in variances))


def components(panel: Panel, fixed_luck: float | None = None, effects: tuple[str, ...] = EFFECTS) -> Components:
    """Fit the effects; `fixed_luck` is the variance of luck of one person, where it is known."""
    kernels = panel.kernels()
    scale = {name: float(np.trace(kernels[name], axis1=1, axis2=2).sum() / panel.known.sum()) for name in EFFECTS}
    unit = float(np.nanvar(panel.deviation)) or 1.0
    wanted = [name for name in effects if name != "luck" or fixed_luck is None]
    offset = np.zeros_like(kernels["luck"]) if fixed_luck is None else kernels["luck"] * fixed_luck / unit
    scaled = {name: kernels[name] / (scale[name] or 1.0) for name in wanted}
    first = {name: 1.0 / len(wanted) for name in wanted}
    wanted = _told_apart(wanted, _Step(panel, unit, scaled, offset, first).information)
    scaled = {name: scaled[name] for name in wanted}
    free, step = _solve(panel, unit, scaled, offset, wanted)
    active = list(wanted)
    held = dict(free)
    while any(held[name] < 0 for name in active):
        active.remove(min(active, key=lambda name: held[name]))
        held = dict.fromkeys(wanted, 0.0)
        held |= _solve(panel, unit, {name: scaled[name] for name in active}, offset, active)[0]
    covariance = step.robust()
    errors = np.sqrt(np.diag(covariance))
    ratio = {name: unit / (scale[name] or 1.0) for name in wanted}
    intervals = {}
    for k, name in enumerate(wanted):
        low, high = _interval(panel, unit, scaled, offset, free, name, float(errors[k]))
        intervals[name] = (min(low, held[name]) * ratio[name], max(high, held[name]) * ratio[name])
    last = _Step(panel, unit, scaled, offset, held)
    pairs = {
        (a, b): float(covariance[i, j] / (errors[i] * errors[j])) if errors[i] * errors[j] > 0 else 0.0
        for i, a in enumerate(wanted) for j, b in enumerate(wanted) if i < j
    }  # fmt: skip
    return Components(
        variance={name: held[name] * ratio[name] for name in wanted},
        se={name: float(errors[k]) * ratio[name] for k, name in enumerate(wanted)},
        interval=intervals,
        correlation=pairs,
        means=last.means * math.sqrt(unit),
        means_covariance=last.means_covariance * unit,
        residual=np.where(panel.known > 0, last.residual * math.sqrt(unit), np.nan),
    )


class _Step:
    """One step of Fisher scoring: weights at given variances."""

    def __init__(
        self, panel: Panel, unit: float, kernels: Mapping[str, Array], offset: Array, at: Mapping[str, float]
    ) -> None:
        known = panel.known
        shape = np.eye(known.shape[1])
        covariance = offset + sum(max(at[name], 0.0) * kernels[name] for name in kernels)
        floor = 1e-3 * known
        least = floor * (np.trace(covariance, axis1=1, axis2=2) / known.sum(axis=1))[:, None]
        covariance = covariance + shape * (1 - known + least + 1e-6)[:, :, None]
        both = known[:, :, None] * known[:, None, :]
        inverse = np.linalg.inv(covariance) * both
        self.means_covariance = c = np.linalg.inv(inverse.sum(axis=0))
        y = np.where(known > 0, panel.deviation, 0.0) / math.sqrt(unit)
        self.means = c @ np.einsum("ijk,ik->j", inverse, y)
        self.residual = r = (y - self.means) * known
        parts = [*kernels.values(), offset]
        left = [inverse @ part for part in parts]
        weighted = [one @ inverse for one in left]
        sums = [one.sum(axis=0) for one in weighted]
        count, seen = len(kernels), r[:, :, None] * r[:, None, :] + c * both
        turned = np.stack([one.transpose(0, 2, 1).reshape(known.shape[0], -1) for one in left])
        flat = np.stack([one.reshape(known.shape[0], -1) for one in left])
        self.own = np.einsum("kix,mix->kmi", flat[:count], turned)
        lost = np.array([
            [2 * np.sum(c * np.tensordot(b, a, ((0, 1), (0, 2)))) - np.sum((c @ sums[k]) * (c @ sums[m]).T)
             for m, b in enumerate(weighted)] for k, a in enumerate(left[:count])
        ]).reshape(count, len(parts))  # fmt: skip
        whole = self.own.sum(axis=2) - lost
        self.information, self.beside = whole[:, :count], whole[:, count]
        self.plain = np.array([np.einsum("ijk,ijk->i", one, r[:, :, None] * r[:, None, :]) for one in weighted[:count]])
        self.seen = np.array([np.einsum("ijk,ijk->i", one, seen) for one in weighted[:count]])
        self.at = dict(at)

    def next(self) -> Array:
        return np.asarray(np.linalg.solve(self.information, self.plain.sum(axis=1) - self.beside))

    def robust(self) -> Array:
        """Sandwich over organisations, each one's part of the score taken as if it had been left out."""
        count = self.information.shape[0]
        at = np.array([*self.at.values(), 1.0])
        scores = (self.seen - np.einsum("kmi,m->ki", self.own, at)).T
        scores = scores - scores.mean(axis=0)
        share = np.moveaxis(self.own[:, :count], 2, 0) @ np.linalg.inv(self.information)
        eye = np.eye(count)
        kept = np.linalg.solve(eye - np.clip(share, -0.5, 0.9), scores[:, :, None])[:, :, 0]
        moved = kept @ np.linalg.inv(self.information).T
        return np.asarray(moved.T @ moved)


def _solve(
    panel: Panel, unit: float, kernels: Mapping[str, Array], offset: Array, names: list[str]
) -> tuple[dict[str, float], _Step]:
    at = {name: 1.0 / max(len(names), 1) for name in names}
    step = _Step(panel, unit, kernels, offset, at)
    for _ in range(_ROUNDS if names else 0):
        new = dict(zip(names, step.next().tolist(), strict=True))
        moved = max(abs(new[name] - at[name]) for name in names)
        at = new
        step = _Step(panel, unit, kernels, offset, at)
        if moved < _SETTLED:
            break
    return at, step


def _told_apart(wanted: list[str], information: Array) -> list[str]:
    """Effects whose pattern the ones before do not already have: lasting, yearly, luck, drift in this order."""
    order = [name for name in ("yearly", "lasting", "luck", "drift") if name in wanted]
    kept: list[str] = []
    for name in order:
        tried = [wanted.index(one) for one in (*kept, name)]
        part = information[np.ix_(tried, tried)]
        size = np.sqrt(np.maximum(np.diag(part), 1e-300))
        if size[-1] > 1e-100 and np.linalg.eigvalsh(part / np.outer(size, size))[0] > _TOLD_APART:
            kept.append(name)
    return [name for name in wanted if name in kept]


def _interval(
    panel: Panel, unit: float, kernels: Mapping[str, Array], offset: Array, at: Mapping[str, float], name: str,
    se: float, level: float = 0.95,
) -> tuple[float, float]:  # fmt: skip
    """Ends of a variance: a scaled χ² less the noise beneath it, as wide as the sandwich says."""
    place = list(kernels).index(name)

    def expected(value: float) -> float:
        step = _Step(panel, unit, kernels, offset, {**at, name: value})
        return math.sqrt(2 * float(np.linalg.inv(step.information)[place, place]))

    here = max(at[name], 0.0)
    low, top = expected(0.0), max(here, se)
    if top == 0.0:  # rows without any difference of this kind
        return 0.0, 0.0
    noise = low / max((expected(top) - low) / top, 1e-6)
    return scaled_chi2(at[name], noise, max(se, expected(here)), panel.deviation.shape[0], level)


def scaled_chi2(at: float, noise: float, se: float, count: int, level: float = 0.95) -> tuple[float, float]:
    """Ends of a variance that is a scaled χ² less a known noise, from its error and the number of organisations."""
    freedom = max(2 * ((max(at, 0.0) + noise) / se) ** 2, 1.0)
    z = float(stats.t.ppf((1 + level) / 2, max(count - 1, 2)))
    middle, half = 1 - 2 / (9 * freedom), z * math.sqrt(2 / (9 * freedom))
    ends = [max(at + noise, 0.0) / max(middle + sign * half, 0.05) ** 3 - noise for sign in (1, -1)]
    return max(ends[0], 0.0), max(ends[1], 0.0)
