"""Common shocks: what multiplies the cost of many people in a replicate at once, and how shocks go together.

Every shock has a law of mean exactly 1 and a largest factor that is known. A segment's factor is the product of the
shocks that hit it; as shocks that go together never hit the same segment, its mean is 1 too.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Discriminator, Field, Tag
from pydantic_core import PydanticCustomError
from scipy import special

from ..errors import also, mistake
from ..terms import Name, OpenFraction, Term, name_key, nothing_twice
from .quadrature import Array

SHOCK_BOUND = 6.0
"""A shock's normal score is truncated at this many standard deviations, so that its largest factor is known."""


def _wrong(bound: str, mend: str) -> PydanticCustomError:
    return mistake(bound, mend, value=None)


def _some_each_once(raw: Any) -> Iterator[PydanticCustomError]:
    """A list that is given names somebody, and nobody twice."""
    if not isinstance(raw, list | tuple):
        return
    if not raw:
        yield _wrong("is an empty list", "name whom the shock hits, or omit the key: then it hits everybody")
    yield from nothing_twice([name_key(name) for name in raw])


Segments = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    Field(exclude_if=lambda names: not names),
    also(_some_each_once),
]
"""Names of the segments and rare services that a shock hits; everybody where there are none."""


PerUnit = Annotated[Literal["unit"] | None, Field(exclude_if=lambda per: per is None)]
"""Whether each unit has a shock of its own, of the same law; without units it is one of the whole population."""
Persistence = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
"""Correlation of normal scores from one year to the next; a share of what is counted that comes again."""


class Shock(Term):
    """What multiplies the cost of many people in a replicate at once: prices, a hard winter. Its mean is exactly 1."""

    name: Name
    cv: Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False)]
    """Coefficient of variation of the lognormal factor."""
    segments: Segments = ()
    """Segments and rare services that it hits; everybody where there are none."""
    per: PerUnit = None
    persistence: Annotated[Persistence | Literal["walk"] | None, Field(exclude_if=lambda given: given is None)] = None
    """Correlation with the next year's, 0 to 1; "walk": every year away from year 0 multiplies one more such factor."""

    @cached_property
    def sigma(self) -> float:
        """Standard deviation of the factor's logarithm before truncation."""
        return math.sqrt(math.log1p(self.cv**2))

    @cached_property
    def scale(self) -> float:
        """What makes the mean of the truncated factor 1."""
        inside = special.ndtr(SHOCK_BOUND) - special.ndtr(-SHOCK_BOUND)
        tilted = special.ndtr(SHOCK_BOUND - self.sigma) - special.ndtr(-SHOCK_BOUND - self.sigma)
        return float(math.exp(-(self.sigma**2) / 2) * inside / tilted)

    @property
    def largest(self) -> float:
        """The largest factor that the law allows."""
        return self.scale * math.exp(self.sigma * SHOCK_BOUND)

    def factor(self, uniform: Array) -> Array:
        """The factor at a uniform in (0, 1)."""
        low, high = special.ndtr(-SHOCK_BOUND), special.ndtr(SHOCK_BOUND)
        score = np.clip(special.ndtri(low + uniform * (high - low)), -SHOCK_BOUND, SHOCK_BOUND)
        return np.asarray(self.scale * np.exp(self.sigma * score))


class RareShock(Term):
    """What comes in some years only, and then hits everybody concerned alike: an epidemic, a strike.

    In such a year costs are 1 + by times those of other years. The costs of the scenario are means over all years, so
    that the factor is (1 + by) / (1 + p·by) in a year with the event and 1 / (1 + p·by) in the others: its mean over
    years is exactly 1.

    Examples
    --------
    A chance of 0.1 and 0.05 more: 1.05 / 1.005 in one year of ten, 1 / 1.005 in the other nine.
    """

    name: Name
    probability: OpenFraction
    """Chance that it comes in a year."""
    by: Annotated[float, Field(strict=True, gt=-1, le=10, allow_inf_nan=False)]
    """Additional cost in such a year, as a fraction; below 0 where it makes care cheaper."""
    segments: Segments = ()
    """Segments and rare services that it hits; everybody where there are none."""
    per: PerUnit = None
    persistence: Annotated[Persistence | None, Field(exclude_if=lambda given: given is None)] = None
    """Correlation of its normal score with the next year's, 0 to 1."""

    @property
    def cv(self) -> float:
        """Coefficient of variation of the factor."""
        p = self.probability
        return math.sqrt(p * (1 - p)) * abs(self.by) / (1 + p * self.by)

    @property
    def levels(self) -> tuple[float, float]:
        """The smaller and the larger factor."""
        ordinary = 1 / (1 + self.probability * self.by)
        return min(ordinary, ordinary * (1 + self.by)), max(ordinary, ordinary * (1 + self.by))

    @property
    def p_smaller(self) -> float:
        """Chance of the smaller factor."""
        return 1 - self.probability if self.by >= 0 else self.probability

    @property
    def largest(self) -> float:
        """The largest factor that the law allows."""
        return self.levels[1]

    def factor(self, uniform: Array) -> Array:
        """The factor at a uniform in (0, 1); the larger one for large uniforms, as of every shock."""
        low, high = self.levels
        return np.where(uniform < self.p_smaller, low, high)


def _shock_kind(raw: Any) -> str:
    rare = bool({"probability", "by"} & raw.keys()) if isinstance(raw, dict) else isinstance(raw, RareShock)
    return "rare" if rare else "yearly"


AnyShock = Annotated[
    Annotated[Shock, Tag("yearly")] | Annotated[RareShock, Tag("rare")],
    Discriminator(_shock_kind),
]
"""A shock of every year by its cv, or a rare one by its probability and size."""


class ShockCorrelation(Term):
    """Two shocks that tend to come in the same years, by a Gaussian copula: each keeps its own law."""

    between: tuple[str, str]
    """Names of two shocks, which hit different people."""
    value: Annotated[float, Field(strict=True, gt=-1, lt=1, allow_inf_nan=False)]
    """Correlation of their normal scores; above 0 where both tend to be dear in the same years."""


Correlations = Annotated[tuple[ShockCorrelation, ...], Field(exclude_if=lambda pairs: not pairs)]
"""Pairs of shocks that are correlated; those without a pair are independent."""


Place = tuple[str | int, ...]
"""Where a mistake is, from the model's root."""


def mistakes_of(
    shocks: Sequence[Shock | RareShock], correlations: Sequence[ShockCorrelation], hit: Sequence[str]
) -> Iterator[tuple[Place, PydanticCustomError]]:
    """Where shocks and their correlations do not fit together, or do not fit whom they hit."""
    for place, shock in enumerate(shocks):
        strangers = [name for name in shock.segments if name not in hit]
        if strangers:
            bound = f"has {strangers[0]!r}, which is neither a segment nor a rare service"
            yield ("shocks", place, "segments"), _wrong(bound, "use their names")
    named, seen, sound = {shock.name: shock for shock in shocks}, set[frozenset[str]](), True
    for place, pair in enumerate(correlations):
        found = _pairs_mistake(pair, named, seen)
        if found is not None:
            sound = False
            yield ("shock_correlations", place, "between"), found
        seen.add(frozenset(pair.between))
    if sound and correlations and np.linalg.eigvalsh(_matrix(shocks, correlations)).min() <= 1e-10:
        bound = "are not those of any joint law: the matrix is not positive definite"
        yield ("shock_correlations",), _wrong(bound, "make some smaller")
    elif sound and correlations and _changes_of(shocks, correlations).min() < -1e-10:
        bound = "cannot hold in every year: the shocks' persistences differ too much for them"
        yield ("shock_correlations",), _wrong(bound, "make the persistences more alike, or the correlations smaller")


def _pairs_mistake(
    pair: ShockCorrelation, named: Mapping[str, Shock | RareShock], seen: Collection[frozenset[str]]
) -> PydanticCustomError | None:
    """What is wrong with a pair that stands alone."""
    one, other = pair.between
    strangers = [name for name in pair.between if name not in named]
    if strangers:
        return _wrong(f"has {strangers[0]!r}, which is no shock", "use the names of [[shocks]]")
    if one == other:
        return _wrong(f"has {one!r} twice", "name two shocks")
    if frozenset(pair.between) in seen:
        return _wrong(f"has the pair {one!r}, {other!r} a second time", "give each pair once")
    if pair.value and _overlap(named[one], named[other]):
        why = "which hit the same people, so that their product would not have mean 1"
        mend = "merge them into one shock, or let them hit different segments"
        return _wrong(f"correlates {one!r} and {other!r}, {why}", mend)
    if named[one].per != named[other].per:
        why = "of which one is each unit's own and the other is everybody's"
        return _wrong(f"correlates {one!r} and {other!r}, {why}", 'give both per = "unit", or neither')
    if "walk" in (named[one].persistence, named[other].persistence):
        return _wrong(f"correlates {one!r} and {other!r}, of which one is a walk", "correlate shocks that return")
    return None


def _changes_of(shocks: Sequence[Shock | RareShock], correlations: Sequence[ShockCorrelation]) -> Array:
    """Eigenvalues of what one year adds to the scores, of which no variance may be below 0."""
    stays = _persistences(shocks)
    return np.asarray(np.linalg.eigvalsh(_matrix(shocks, correlations) * (1 - np.outer(stays, stays))))


def _persistences(shocks: Sequence[Shock | RareShock]) -> Array:
    """Correlation of each normal score with the next year's; 0 of a walk, which is made of new ones."""
    return np.array([0.0 if s.persistence in (None, "walk") else float(s.persistence) for s in shocks])


def _overlap(one: Shock | RareShock, other: Shock | RareShock) -> bool:
    return not one.segments or not other.segments or bool(set(one.segments) & set(other.segments))


def _matrix(shocks: Sequence[Shock | RareShock], correlations: Sequence[ShockCorrelation]) -> Array:
    places = {shock.name: place for place, shock in enumerate(shocks)}
    matrix = np.eye(len(shocks))
    for pair in correlations:
        i, j = (places[name] for name in pair.between)
        matrix[i, j] = matrix[j, i] = pair.value
    return matrix


def _root_of(covariance: Array) -> Array:
    """The one symmetric root of a matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)


@dataclass(frozen=True)
class JointShocks:
    """All shocks of a model and whom they hit; what the engine and the exact answers need to know of them."""

    shocks: tuple[Shock | RareShock, ...]
    hits: NDArray[np.bool_]
    """Shape (shock, stream)."""
    correlation: Array
    """Of the normal scores, shape (shock, shock)."""

    @classmethod
    def of(
        cls, shocks: Sequence[Shock | RareShock], correlations: Sequence[ShockCorrelation], streams: Sequence[str]
    ) -> JointShocks:
        """From the terms of a model and the names of its streams."""
        hits = np.array([[not s.segments or name in s.segments for name in streams] for s in shocks], bool)
        return cls(tuple(shocks), hits.reshape(len(shocks), len(streams)), _matrix(shocks, correlations))

    @cached_property
    def _alike(self) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        groups, back = np.unique(self.hits, axis=1, return_inverse=True)
        return groups, back.ravel()

    @property
    def groups(self) -> NDArray[np.bool_]:
        """Whom the shocks hit, once for streams that are hit alike, shape (shock, group)."""
        return self._alike[0]

    @property
    def group_of(self) -> NDArray[np.int64]:
        """The group of each stream, shape (stream,)."""
        return self._alike[1]

    def only(self, which: NDArray[np.bool_]) -> JointShocks:
        """Some of the shocks, of a mask of shape (shock,)."""
        shocks = tuple(shock for shock, taken in zip(self.shocks, which, strict=True) if taken)
        return JointShocks(shocks, self.hits[which], self.correlation[np.ix_(which, which)])

    def repeated(self, counts: Sequence[int]) -> JointShocks:
        """The same shocks where each stream is so many, shape (stream,)."""
        return JointShocks(self.shocks, np.repeat(self.hits, counts, axis=1), self.correlation)

    @property
    def correlated(self) -> NDArray[np.bool_]:
        """Which shocks are correlated with another, shape (shock,)."""
        return np.asarray((self.correlation != np.eye(len(self.shocks))).any(axis=1))

    @property
    def largest(self) -> Array:
        """The largest product of factors that the laws allow, shape (stream,)."""
        largest = np.array([shock.largest for shock in self.shocks])
        return np.array([math.prod(largest[column].tolist()) for column in self.hits.T])

    @cached_property
    def per_unit(self) -> NDArray[np.bool_]:
        """Which shocks are each unit's own, shape (shock,)."""
        return np.array([shock.per == "unit" for shock in self.shocks], bool)

    def factors(self, uniforms: Array) -> Array:
        """The shocks' factors from independent uniforms in (0, 1), both of shape (replicate …, shock)."""
        if self.correlated.any():
            uniforms = uniforms.copy()
            here = np.flatnonzero(self.correlated)
            root = np.linalg.cholesky(self.correlation[np.ix_(here, here)])
            uniforms[..., here] = special.ndtr(special.ndtri(uniforms[..., here]) @ root.T)
        return self._factors_at(uniforms)

    def _factors_at(self, uniforms: Array) -> Array:
        factors = [shock.factor(uniforms[..., k]) for k, shock in enumerate(self.shocks)]
        return np.stack(factors, axis=-1) if factors else np.empty((*uniforms.shape[:-1], 0))

    def over_years(self, uniforms: Mapping[int, Array]) -> dict[int, Array]:
        """The shocks' factors by year, from each year's independent uniforms, shape (replicate …, shock).

        Normal scores go on from year 1 either way, so that more years change none. A walk is 1 in year 0.
        """
        stays, walks = _persistences(self.shocks), np.array([s.persistence == "walk" for s in self.shocks], bool)
        spread = self.correlation * stays
        back = spread @ np.linalg.inv(self.correlation) if stays.size else spread
        ahead = np.diag(stays), _root_of(self.correlation - spread.T * stays)
        behind = back, _root_of(self.correlation - back @ self.correlation @ back.T)
        scores = {year: special.ndtri(own) for year, own in uniforms.items()}
        if 1 in scores:
            scores[1] = scores[1] @ np.linalg.cholesky(self.correlation).T if stays.size else scores[1]
        for year in (y for way in (range(2, 130), range(0, -127, -1)) for y in way if y in scores):
            moved, new = ahead if year > 1 else behind
            scores[year] = scores[year - 1 if year > 1 else year + 1] @ moved.T + scores[year] @ new.T
        found: dict[int, Array] = {}
        for year in sorted(scores, key=lambda y: abs(y - 1) if y > 0 else abs(y)):
            own = self.factors(uniforms[1]) if year == 1 else self._factors_at(special.ndtr(scores[year]))
            near = found[year - 1 if year > 0 else year + 1][..., walks] if year not in (0, 1) else 1.0
            own[..., walks] = own[..., walks] * near if year else 1.0
            found[year] = own
        return found

    def in_year(self, year: int) -> JointShocks:
        """The shocks by their laws in a year: a walk has gone as many steps as it lies from year 0."""

        def gone(shock: Shock | RareShock) -> Shock | RareShock:
            walked = isinstance(shock, Shock) and shock.persistence == "walk"
            return shock.model_copy(update={"cv": math.sqrt((1 + shock.cv**2) ** abs(year) - 1)}) if walked else shock

        still = np.array([shock.persistence == "walk" and year == 0 for shock in self.shocks], bool)
        return JointShocks(tuple(map(gone, self.shocks)), self.hits, self.correlation).only(~still)

    def largest_in(self, year: int) -> Array:
        """The largest product of factors that the laws allow in a year, shape (stream,)."""
        steps = [abs(year) if shock.persistence == "walk" else 1 for shock in self.shocks]
        largest = np.array([shock.largest**step for shock, step in zip(self.shocks, steps, strict=True)])
        return np.array([math.prod(largest[column].tolist()) for column in self.hits.T])

    def by_stream(self, factors: Array) -> Array:
        """What multiplies each stream's cost, (replicate …, stream), from the shocks' factors (replicate …, shock)."""
        product = np.ones((*factors.shape[:-1], self.hits.shape[1]))
        for k, hit in enumerate(self.hits):
            product[..., hit] *= factors[..., k, None]
        return product
