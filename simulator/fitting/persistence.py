"""How persistent costs are, from rows with a person and a year: classes of people, fitted to where they are ranked.

Persons who have rows in two years are ranked by cost in each, within their segments, and counted by slab and slab. With
q the widths of slabs and W[j, c] the chance of class c in slab j, what the model expects k years apart is
dᵏ Σ_c q_j W[j, c] q_l W[l, c] / π_c + (1 − dᵏ) q_j q_l: W is that of greatest likelihood, and the number of classes is
judged on the other half of the persons. Cells of fewer than ten persons are counted together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from ..costs.persistence import PUBLISHED, SLABS
from ..costs.years import Persistence
from ..errors import SimulatorError
from ..numerals import figures
from .disclose.disclosure import persons, rounded_count
from .read.rows import Rows
from .read.sample import Array

Counts = NDArray[np.int64]

_CLASSES = range(2, 8)
_MOST_LAGS = 5
_PERSONS_A_SLAB = 10  # times the smallest count
_TOPS = (0.05, 0.10, 0.20)
(_AGAIN,) = PUBLISHED.again_in_top.items()
PUBLISHED_STAY = ((_AGAIN[1][5] - _AGAIN[0]) / (_AGAIN[1][1] - _AGAIN[0])) ** 0.25
"""Chance to keep one's class for a year: what is more than chance fades by it (Hirth 2015, after one year and five)."""


@dataclass(frozen=True)
class FittedYears:
    """What rows tell of several years; no person, and no count of fewer than ten."""

    persistence: Persistence
    leavers: float | dict[str, float]
    """Share of persons without a row in the next year, of all or by segment."""
    strengths: tuple[float, ...]
    """How strong persistence is in each parameter set, as a multiple."""
    told: dict[str, Any]
    """Persons, candidates, and shares again among the costliest, observed and fitted."""

    def table(self, uncertain: bool = False) -> dict[str, Any]:
        """Persistence and leavers as [years] has them."""
        own = self.persistence.model_dump(exclude_defaults=True)
        own |= {"strengths": self.strengths} if uncertain and self.strengths else {}
        return {"leavers": self.leavers, "persistence": own}


@dataclass(frozen=True)
class _Pairs:
    """Rows of the same person so many years apart, by the slab of each."""

    lag: int
    slabs: Counts  # shape (pair, 2)
    ranks: Array
    person: Counts
    fold: Counts


@dataclass(frozen=True)
class _Cells:
    """How often slab meets slab, by lag; `group` (slab, slab) says which cells are counted together."""

    lag: int
    group: Counts
    count: Array


def fit_years(rows: Rows, sets: int, smallest: int, seed: int) -> FittedYears:
    """Classes and leavers from rows that have persons and years."""
    assert rows.person is not None and rows.year is not None
    random = np.random.default_rng([seed, 6])
    people = [_pairs(rows, lag, random) for lag in range(1, _MOST_LAGS + 1)]
    enough = _PERSONS_A_SLAB * smallest
    known = [pairs for pairs in people if np.unique(pairs.person).size >= 8 * enough]
    if not known or known[0].lag != 1:
        bound = f"leaves fewer than {8 * enough} persons who have rows in two years running"
        raise SimulatorError("year", None, bound, "give more rows, or leave out `year` and give persistence yourself")
    ends = _ends(1 - float(np.average(rows.cost == 0, weights=rows.weight)), np.unique(known[0].person).size / enough)
    known = [_placed(pairs, ends) for pairs in known]
    width = np.diff(ends)
    groups = [_grouped(pairs, width.size, smallest) for pairs in known]
    whole = [_counted(pairs, group) for pairs, group in zip(known, groups, strict=True)]
    halves = [
        [_counted(pairs, group, half) for pairs, group in zip(known, groups, strict=True)] for half in (False, True)
    ]
    candidates, (first, second) = _judged(halves, width)
    chosen = next(row["classes"] for row in candidates if row["chosen"])
    weights, stay = _fitted(whole, width, chosen)
    again = [_again(known[0], top, weights, stay, ends, smallest) for top in _TOPS]
    error = _strength_error(whole[0], weights, stay, width, np.unique(known[0].person).size)
    told = {
        "persons": rounded_count(np.unique(known[0].person).size), "lags": [pairs.lag for pairs in known],
        "stay": figures(stay, 4), "stay_is_published": len(known) == 1,
        "stay_se": None if len(known) == 1 else figures(abs(first - second) / 2, 2), "strength_se": figures(error, 2),
        "candidates": candidates, "again_in_top": again,
    }  # fmt: skip
    strengths = np.maximum(1 + error * random.standard_normal(sets), 0.01)
    return FittedYears(
        Persistence(slabs=tuple(ends[1:].tolist()), weights=_rounded(weights), stay=figures(stay, 4)),
        _leavers(rows, smallest), tuple(figures(float(one), 4) for one in strengths), told,
    )  # fmt: skip


def _pairs(rows: Rows, lag: int, random: np.random.Generator) -> _Pairs:
    """Rows of a person so many years apart, ranked among those who have both; shares of people, the costliest first."""
    assert rows.person is not None and rows.year is not None
    key, span = rows.person * 4096, rows.year - rows.year.min()
    order = np.argsort(key + span, kind="stable")
    here = (key + span)[order]
    if np.any(np.diff(here) == 0):
        bound = "finds persons with two rows in a year"
        raise SimulatorError("year", None, bound, "add them up, or take the later ones out")
    at = np.minimum(np.searchsorted(here, here + lag), here.size - 1)
    first, later = order[here[at] == here + lag], order[at[here[at] == here + lag]]
    ranks = np.stack([_ranks(rows, part, random) for part in (first, later)], axis=1)
    return _Pairs(lag, np.zeros(ranks.shape, int), ranks, rows.person[first], rows.fold[first].astype(int))


def _ranks(rows: Rows, here: Counts, random: np.random.Generator) -> Array:
    """Rank of rows among those of their segment and year; equal costs at random."""
    assert rows.year is not None
    group = rows.segment[here] * 4096 + rows.year[here] - rows.year.min()
    order = np.lexsort((random.random(here.size), -rows.cost[here], group))
    _, start, count = np.unique(group[order], return_index=True, return_counts=True)
    found = np.empty(here.size)
    found[order] = (np.arange(here.size) - np.repeat(start, count) + 0.5) / np.repeat(count, count)
    return found


def _ends(users: float, most: float) -> Array:
    """Ends of slabs from 0 to 1, each of enough persons; one where costs end."""
    ends = [0.0]
    for end in SLABS:
        if end - ends[-1] >= 1 / most and abs(end - users) > 0.03:
            ends.append(float(end))
    return np.array(sorted({*ends[: -1 if ends[-1] == 1 else None], round(users, 4), 1.0}))


def _placed(pairs: _Pairs, ends: Array) -> _Pairs:
    slabs = np.clip(np.searchsorted(ends, pairs.ranks, side="right") - 1, 0, ends.size - 2)
    return _Pairs(pairs.lag, slabs, pairs.ranks, pairs.person, pairs.fold)


def _grouped(pairs: _Pairs, slabs: int, smallest: int) -> Counts:
    """Which cells are counted together: each by itself, with its mirror image, and all of few persons as one."""
    low, high = pairs.slabs.min(axis=1), pairs.slabs.max(axis=1)
    cell = low * slabs + high
    single = np.unique(np.stack([cell, pairs.person], axis=1), axis=0)[:, 0]
    met = np.bincount(single, minlength=slabs * slabs)
    own = np.array([j * slabs + k for j in range(slabs) for k in range(j, slabs)])
    order = own[np.argsort(met[own], kind="stable")]
    few = int((met[order] < smallest).sum())
    while 0 < few < order.size and persons(pairs.person, np.isin(cell, order[:few])) < smallest:
        few += 1
    label = np.full(slabs * slabs, -1)
    label[order] = np.maximum(np.arange(order.size) - max(few - 1, 0), 0)
    upper = label.reshape(slabs, slabs)
    return np.maximum(upper, upper.T)


def _counted(pairs: _Pairs, group: Counts, half: bool | None = None) -> _Cells:
    here = slice(None) if half is None else pairs.fold == half
    found = np.bincount(group[tuple(pairs.slabs[here].T)], minlength=group.max() + 1).astype(float)
    return _Cells(pairs.lag, group, np.round(found / 5) * 5 if half is None else found)


def _expected(weights: Array, stay: float, width: Array, lag: int = 1) -> Array:
    """How often slab meets slab, (slab, slab)."""
    own = width[:, None] * weights
    kept = stay**lag
    return np.asarray(kept * (own / np.maximum(own.sum(axis=0), 1e-300)) @ own.T + (1 - kept) * np.outer(width, width))


def _fitted(cells: Sequence[_Cells], width: Array, classes: int) -> tuple[Array, float]:
    """Weights (slab, class) and the chance to stay of greatest likelihood; the published one where one lag is known."""
    middle = special.ndtri(1 - np.cumsum(width) + width / 2)
    centre = np.linspace(middle.min(), middle.max(), classes + 2)[1:-1][::-1]
    start = -((middle[:, None] - centre) ** 2) * 2
    alone, all_pairs = len(cells) == 1, sum(one.count.sum() for one in cells)
    apart = np.outer(width, width)

    def loss(theta: Array) -> tuple[float, Array]:
        stay = PUBLISHED_STAY if alone else float(special.expit(theta[-1]))
        weights = special.softmax(theta[: start.size].reshape(start.shape), axis=1)
        own = width[:, None] * weights
        shares = np.maximum(own.sum(axis=0), 1e-12)
        together = (own / shares) @ own.T
        value, pull, of_stay = 0.0, np.zeros(together.shape), 0.0
        for one in cells:
            kept = stay**one.lag
            mean = np.bincount(one.group.ravel(), (kept * together + (1 - kept) * apart).ravel())
            value -= float(one.count @ np.log(mean)) / all_pairs
            force = -(one.count / mean / all_pairs)[one.group]
            pull += kept * force
            of_stay += one.lag * kept * (1 - stay) * float((force * (together - apart)).sum())
        moved = pull @ (own / shares)
        by_weight = width[:, None] * (2 * moved - ((own / shares) * moved).sum(axis=0))
        slope = weights * (by_weight - (weights * by_weight).sum(axis=1, keepdims=True))
        return value, np.append(slope.ravel(), [] if alone else [of_stay])

    begin: Array = np.append(start.ravel(), [] if alone else [2.5])
    options = {"maxiter": 1_000, "ftol": 0.002 / all_pairs, "gtol": 1e-7}  # of a likelihood of about 4 a pair
    fit: Any = optimize.minimize(loss, begin, jac=True, method="L-BFGS-B", options=options)  # type: ignore[call-overload]
    found = fit.x
    weights = special.softmax(found[: start.size].reshape(start.shape), axis=1)
    order = np.argsort((np.cumsum(width) * width) @ weights / (width @ weights))[::-1]
    return weights[:, order], PUBLISHED_STAY if alone else float(special.expit(found[-1]))


def _judged(halves: Sequence[Sequence[_Cells]], width: Array) -> tuple[list[dict[str, Any]], tuple[float, float]]:
    """Numbers of classes with their likelihood in the other half, and what both halves say of staying.

    The smallest is chosen of those that are behind the best by no more than one standard error.
    """
    scores: dict[int, list[tuple[Array, Array]]] = {}
    stays, total = {}, dict[int, float]()
    for classes in _CLASSES:
        fits = [_fitted(half, width, classes) for half in halves]
        stays[classes] = fits[0][1], fits[1][1]
        scores[classes] = [
            (np.log(np.bincount(one.group.ravel(), _expected(*fit, width, one.lag).ravel())), one.count)
            for fit, half in zip(fits, halves[::-1], strict=True)
            for one in half
        ]
        total[classes] = sum(float(log @ count) for log, count in scores[classes])
        if total[classes] < total.get(classes - 1, -math.inf):
            break

    def behind(classes: int, than: int) -> tuple[float, float]:
        gaps = np.concatenate([b - a for (a, _), (b, _) in zip(scores[classes], scores[than], strict=True)])
        counts = np.concatenate([count for _, count in scores[than]])
        mean = float(np.average(gaps, weights=counts))
        return mean, math.sqrt(float(np.average((gaps - mean) ** 2, weights=counts)) / counts.sum())

    best = max(total, key=lambda classes: total[classes])
    gaps = {classes: behind(classes, best) for classes in scores}
    chosen = next(classes for classes, (mean, error) in gaps.items() if mean <= error)
    rows = [
        {"classes": n, "behind": figures(mean, 3), "behind_se": figures(error, 3), "chosen": n == chosen}
        for n, (mean, error) in gaps.items()
    ]
    return rows, stays[chosen]


def _strength_error(cells: _Cells, weights: Array, stay: float, width: Array, people: int) -> float:
    """Relative standard error of how strong persistence is: of the product of both years' leading scores."""
    ends = np.sqrt(width)
    left, _, _ = np.linalg.svd(_expected(weights, stay, width) / np.outer(ends, ends))
    score = left[:, 1] / ends
    product = np.outer(score, score)
    mean = np.bincount(cells.group.ravel(), product.ravel()) / np.bincount(cells.group.ravel())
    average = float(np.average(mean, weights=cells.count))
    spread = math.sqrt(float(np.average((mean - average) ** 2, weights=cells.count)) / people)
    return spread / (2 * abs(average))


def _again(
    pairs: _Pairs, top: float, weights: Array, stay: float, ends: Array, smallest: int
) -> dict[str, float | None]:
    """Of the costliest share, how many are in it again a year later, observed and fitted."""
    there = np.asarray((pairs.ranks < top).all(axis=1), bool)
    inside = int((pairs.ranks[:, 0] < top).sum())
    both, people = persons(pairs.person, there), np.unique(pairs.person[pairs.ranks[:, 0] < top]).size
    width = np.diff(ends)
    part = np.clip((top - ends[:-1]) / width, 0.0, 1.0)
    fitted = float(part @ _expected(weights, stay, width) @ part) / top
    told = min(both, persons(pairs.person, np.asarray((pairs.ranks[:, 0] < top) & ~there))) >= smallest
    share = rounded_count(int(there.sum())) / max(rounded_count(inside), 5)
    error = math.sqrt(share * (1 - share) / max(people, 1))
    observed = (figures(share, 3), figures(error, 2)) if told else (None, None)
    return {"top": top, "observed": observed[0], "observed_se": observed[1], "fitted": figures(fitted, 3)}


def _rounded(weights: Array) -> tuple[tuple[float, ...], ...]:
    """Weights to four decimals, whose rows add up to 1."""
    found = np.round(weights, 4)
    found[np.arange(len(found)), found.argmax(axis=1)] += 1 - found.sum(axis=1)
    return tuple(tuple(float(round(value, 4)) for value in row) for row in found)


def _leavers(rows: Rows, smallest: int) -> float | dict[str, float]:
    """Share of persons who have no row in the next year: by segment where enough leave and stay, else of all."""
    assert rows.person is not None and rows.year is not None
    key = rows.person * 4096 + rows.year - rows.year.min()
    before = rows.year < rows.year.max()
    gone = before & ~np.isin(key + 1, key)

    def share(here: NDArray[np.bool_]) -> float | None:
        left, stayed = (persons(rows.person, np.asarray(here & part)) for part in (gone, before & ~gone))
        counts = [rounded_count(int((here & part).sum())) for part in (gone, before)]
        return figures(counts[0] / counts[1], 3) if min(left, stayed) >= smallest else None

    by_segment: Mapping[str, float | None] = {name: share(rows.segment == at) for at, name in enumerate(rows.names)}
    told = {name: one for name, one in by_segment.items() if one is not None}
    if len(told) == len(by_segment) > 1:
        return told
    return share(np.ones(rows.cost.size, bool)) or 0.0
