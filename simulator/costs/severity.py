"""Families of annual cost of one user: parameters, survival function, quantile function.

A family says how likely a cost above x is (`sf`) and which cost is exceeded with probability s (`isf`). Moments,
limited means, tables and concentration shares of every family follow from `isf` alone (`quadrature.py`), so a new
family is one class here and its place in the union at the end. A family that is composed of others names its `parts`:
integrals are then sums of theirs, since its own quantile function may have steps, flats and steep pieces.

Costs are money per year of a person who has any cost; s is a survival probability in (0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Discriminator, Field, Tag, model_validator
from scipy import optimize, special

from ..errors import also, mistake
from ..terms import Number, Positive, Term

if TYPE_CHECKING:
    from .quadrature import Moments

Array = NDArray[np.float64]


_MESH = np.concatenate([-np.expm1(-np.arange(50, 1, -1) * math.log(2)), np.exp2(-np.arange(1.0, 61))])
"""Survival probabilities between which the quantile function of a family that is not composed is nearly straight."""


class Part(NamedTuple):
    """One of the laws of which a family is composed: E[g(X)] = Σ weight · E[g(Y + shift); low < Y ≤ high]."""

    law: Severity
    """Of Y; its `isf` is smooth between its `breaks`."""
    weight: float = 1.0
    low: float = -math.inf
    high: float = math.inf
    shift: float = 0.0


class Severity(Term):
    """Annual cost of one user."""

    ways: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """The sets of figures, any one of which determines the family."""

    @property
    def tail_index(self) -> float:
        """Moments of this order and above are infinite."""
        return math.inf

    @property
    def breaks(self) -> Array:
        """Survival probabilities at which `isf` has a kink or a jump."""
        return np.empty(0)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The laws of which it is composed; itself alone where `isf` is smooth between `breaks`."""
        return (Part(self),)

    @cached_property
    def moments(self) -> Moments:
        """Partial moments, prepared once."""
        from .quadrature import Moments

        return Moments(self)

    @property
    def atoms(self) -> tuple[Array, Array]:
        """Single costs that have a chance of their own, and that chance; of a family that is not composed."""
        return np.empty(0), np.empty(0)

    @property
    def has_atoms(self) -> bool:
        """Whether some single cost has a chance of its own."""
        return any(part.law.atoms[0].size > 0 for part in self.parts)

    def sf(self, x: ArrayLike) -> Array:
        """P(X > x)."""
        raise NotImplementedError

    def isf(self, s: ArrayLike) -> Array:
        """The cost that is exceeded with probability s."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _determined(self) -> Self:
        optional = {name for way in self.ways for name in way}
        given = {name for name in optional if getattr(self, name) is not None}
        if self.ways and given not in [set(way) for way in self.ways]:
            listed = " or ".join("(" + ", ".join(way) + ")" for way in self.ways)
            found = ", ".join(sorted(given)) or "none of its figures"
            raise mistake(f"has {found}, which does not determine it", f"give exactly {listed}")
        try:
            with np.errstate(all="ignore"):
                median = float(self.isf(0.5))
        except ArithmeticError:
            median = math.nan
        if not math.isfinite(median):
            raise mistake("has figures outside the range of a computer's numbers", "give figures of a sensible size")
        return self


# ── two figures ──────────────────────────────────────────────────────────────────────────────────


class _WithMeanAndCv(Severity):
    """A family that may be given by the figures people have."""

    mean: Positive | None = None
    """Mean annual cost of a user."""
    cv: Positive | None = None
    """Standard deviation of a user's annual cost as a multiple of the mean."""


class Lognormal(_WithMeanAndCv):
    """log X is normal."""

    family: Literal["lognormal"] = "lognormal"
    mu: Number | None = None
    """Mean of the logarithm of cost."""
    sigma: Positive | None = None
    """Standard deviation of the logarithm of cost."""
    ways = (("mean", "cv"), ("mu", "sigma"))

    @cached_property
    def _log_law(self) -> tuple[float, float]:
        if self.mu is not None and self.sigma is not None:
            return self.mu, self.sigma
        assert self.mean is not None and self.cv is not None
        variance = math.log1p(self.cv**2)
        return math.log(self.mean) - variance / 2, math.sqrt(variance)

    def sf(self, x: ArrayLike) -> Array:
        mu, sigma = self._log_law
        with np.errstate(divide="ignore", invalid="ignore"):
            return special.ndtr((mu - np.log(np.maximum(x, 0.0))) / sigma)

    def isf(self, s: ArrayLike) -> Array:
        mu, sigma = self._log_law
        return np.exp(mu - sigma * special.ndtri(np.asarray(s, float)))


class Gamma(_WithMeanAndCv):
    """Gamma: a light tail."""

    family: Literal["gamma"] = "gamma"
    shape: Positive | None = None
    scale: Positive | None = None
    """Money per year."""
    ways = (("mean", "cv"), ("shape", "scale"))

    @cached_property
    def _law(self) -> tuple[float, float]:
        if self.shape is not None and self.scale is not None:
            return self.shape, self.scale
        assert self.mean is not None and self.cv is not None
        return self.cv**-2, self.mean * self.cv**2

    def sf(self, x: ArrayLike) -> Array:
        shape, scale = self._law
        return special.gammaincc(shape, np.maximum(np.asarray(x, float), 0.0) / scale)

    def isf(self, s: ArrayLike) -> Array:
        shape, scale = self._law
        s = np.asarray(s, float)
        return scale * np.where(s > 0.5, special.gammaincinv(shape, 1 - s), special.gammainccinv(shape, s))


class Weibull(_WithMeanAndCv):
    """Weibull: a tail between exponential (shape 1) and lognormal (shape towards 0)."""

    family: Literal["weibull"] = "weibull"
    shape: Positive | None = None
    scale: Positive | None = None
    """Money per year."""
    ways = (("mean", "cv"), ("shape", "scale"))

    @cached_property
    def _law(self) -> tuple[float, float]:
        if self.shape is not None and self.scale is not None:
            return self.shape, self.scale
        assert self.mean is not None and self.cv is not None
        target = math.log1p(self.cv**2)
        shape = _solve(
            lambda k: float(special.gammaln(1 + 2 / k) - 2 * special.gammaln(1 + 1 / k)) - target,
            0.02,
            1e4,
            "cv",
            self.cv,
        )
        return shape, self.mean * math.exp(-float(special.gammaln(1 + 1 / shape)))

    def sf(self, x: ArrayLike) -> Array:
        shape, scale = self._law
        with np.errstate(over="ignore"):
            return np.exp(-((np.maximum(x, 0.0) / scale) ** shape))

    def isf(self, s: ArrayLike) -> Array:
        shape, scale = self._law
        return scale * (-np.log(s)) ** (1 / shape)


class Pareto(_WithMeanAndCv):
    """Classical Pareto: no cost below `scale`, then P(X > x) = (scale / x)^alpha."""

    family: Literal["pareto"] = "pareto"
    scale: Positive | None = None
    """Smallest cost, money per year."""
    alpha: Positive | None = None
    """Tail index: moments of this order and above are infinite."""
    ways = (("mean", "cv"), ("scale", "alpha"))

    @cached_property
    def _law(self) -> tuple[float, float]:
        if self.scale is not None and self.alpha is not None:
            return self.scale, self.alpha
        assert self.mean is not None and self.cv is not None
        alpha = 1 + math.sqrt(1 + self.cv**-2)
        return self.mean * (alpha - 1) / alpha, alpha

    @property
    def tail_index(self) -> float:
        return self._law[1]

    def sf(self, x: ArrayLike) -> Array:
        scale, alpha = self._law
        return (scale / np.maximum(x, scale)) ** alpha

    def isf(self, s: ArrayLike) -> Array:
        scale, alpha = self._law
        return scale * np.asarray(s, float) ** (-1 / alpha)


class Lomax(_WithMeanAndCv):
    """Lomax (Pareto type II): P(X > x) = (1 + x / scale)^−alpha."""

    family: Literal["lomax"] = "lomax"
    cv: Annotated[float, Field(strict=True, gt=1, allow_inf_nan=False)] | None = None
    """Standard deviation of a user's annual cost as a multiple of the mean; above 1."""
    scale: Positive | None = None
    """Money per year."""
    alpha: Positive | None = None
    """Tail index: moments of this order and above are infinite."""
    ways = (("mean", "cv"), ("scale", "alpha"))

    @cached_property
    def _law(self) -> tuple[float, float]:
        if self.scale is not None and self.alpha is not None:
            return self.scale, self.alpha
        assert self.mean is not None and self.cv is not None
        alpha = 2 * self.cv**2 / (self.cv**2 - 1)
        return self.mean * (alpha - 1), alpha

    @property
    def tail_index(self) -> float:
        return self._law[1]

    def sf(self, x: ArrayLike) -> Array:
        scale, alpha = self._law
        return np.exp(-alpha * np.log1p(np.maximum(x, 0.0) / scale))

    def isf(self, s: ArrayLike) -> Array:
        scale, alpha = self._law
        return scale * np.expm1(-np.log(s) / alpha)


class GeneralizedPareto(_WithMeanAndCv):
    """Generalized Pareto: P(X > x) = (1 + shape·x / scale)^(−1/shape); exponential at shape 0, bounded below it."""

    family: Literal["gpd"] = "gpd"
    shape: Number | None = None
    """ξ: the reciprocal of the tail index where positive."""
    scale: Positive | None = None
    """Money per year."""
    ways = (("mean", "cv"), ("shape", "scale"))

    @cached_property
    def _law(self) -> tuple[float, float]:
        if self.shape is not None and self.scale is not None:
            return self.shape, self.scale
        assert self.mean is not None and self.cv is not None
        shape = (1 - self.cv**-2) / 2
        return shape, self.mean * (1 - shape)

    @property
    def tail_index(self) -> float:
        shape = self._law[0]
        return 1 / shape if shape > 0 else math.inf

    def sf(self, x: ArrayLike) -> Array:
        shape, scale = self._law
        y = np.maximum(x, 0.0) / scale
        if shape == 0:
            return np.exp(-y)
        with np.errstate(divide="ignore"):
            return np.exp(-np.log1p(np.maximum(shape * y, -1.0)) / shape)

    def isf(self, s: ArrayLike) -> Array:
        shape, scale = self._law
        y = -np.log(s)
        return scale * (y if shape == 0 else np.expm1(shape * y) / shape)


# ── three figures and more ───────────────────────────────────────────────────────────────────────


class Burr(_WithMeanAndCv):
    """Burr XII: P(X > x) = (1 + (x / scale)^c)^−d; its tail index is c·d."""

    family: Literal["burr"] = "burr"
    tail: Annotated[float, Field(strict=True, gt=2, allow_inf_nan=False)] | None = None
    """Tail index c·d, the third figure beside mean and cv; above 2, since the variance is given."""
    c: Positive | None = None
    d: Positive | None = None
    scale: Positive | None = None
    """Money per year."""
    ways = (("mean", "cv", "tail"), ("c", "d", "scale"))

    @cached_property
    def _law(self) -> tuple[float, float, float]:
        if self.c is not None and self.d is not None and self.scale is not None:
            return self.c, self.d, self.scale
        assert self.mean is not None and self.cv is not None and self.tail is not None
        tail, target = self.tail, math.log1p(self.cv**2)
        c = _solve(lambda c: _log_burr_moment(2, c, tail / c) - 2 * _log_burr_moment(1, c, tail / c) - target,
                   1e-2, 1e3, "cv", self.cv)  # fmt: skip
        return c, tail / c, self.mean * math.exp(-_log_burr_moment(1, c, tail / c))

    @property
    def tail_index(self) -> float:
        c, d, _ = self._law
        return c * d

    def sf(self, x: ArrayLike) -> Array:
        c, d, scale = self._law
        # logarithms throughout, so that a large c or a small d stays within a computer's numbers
        with np.errstate(divide="ignore"):
            return np.exp(-d * np.logaddexp(0.0, c * np.log(np.maximum(x, 0.0) / scale)))

    def isf(self, s: ArrayLike) -> Array:
        c, d, scale = self._law
        odds = -np.log(s) / d
        with np.errstate(divide="ignore"):
            return scale * np.exp((odds + np.log(-np.expm1(-odds))) / c)


def _log_burr_moment(order: int, c: float, d: float) -> float:
    return float(special.gammaln(d - order / c) + special.gammaln(1 + order / c) - special.gammaln(d))


class GeneralizedGamma(_WithMeanAndCv):
    """Generalized gamma: (X / scale)^power is gamma with this shape; gamma at power 1, Weibull at shape 1.

    Or by Prentice's figures (1974, Biometrika 61:539), in which the lognormal is no limit but a member: q = shape^−½,
    sigma = q / power, and log X has its centre near mu. The lognormal has q = 0; where q is below 0 the tail is a power
    law, of index 1 / (sigma·|q|).
    """

    family: Literal["gengamma"] = "gengamma"
    shape: Positive | None = None
    power: Positive | None = None
    """Of cost; with mean and cv the third figure."""
    scale: Positive | None = None
    """Money per year."""
    mu: Number | None = None
    """Centre of the logarithm of cost."""
    sigma: Positive | None = None
    """Spread of the logarithm of cost."""
    q: Number | None = None
    """1 over the root of the shape; of either sign, 0 for the lognormal."""
    ways = (("mean", "cv", "power"), ("shape", "power", "scale"), ("mu", "sigma", "q"))

    @cached_property
    def _law(self) -> tuple[float, float, float]:
        """Prentice's figures."""
        if self.mu is not None and self.sigma is not None and self.q is not None:
            return self.mu, self.sigma, self.q
        assert self.power is not None
        shape, scale = self.shape, self.scale
        if shape is None or scale is None:
            assert self.mean is not None and self.cv is not None
            power, target = self.power, math.log1p(self.cv**2)
            shape = _solve(lambda a: _log_gamma_step(a, 2 / power) - 2 * _log_gamma_step(a, 1 / power) - target,
                           1e-3, 1e8, "cv", self.cv)  # fmt: skip
            scale = self.mean * math.exp(-_log_gamma_step(shape, 1 / power))
        q = shape**-0.5
        return math.log(scale) + math.log(shape) / self.power, q / self.power, q

    @property
    def tail_index(self) -> float:
        _, sigma, q = self._law
        return 1 / (sigma * -q) if q < -LEAST_Q else math.inf

    def sf(self, x: ArrayLike) -> Array:
        mu, sigma, q = self._law
        with np.errstate(divide="ignore", over="ignore"):
            w = (np.log(np.maximum(x, 0.0)) - mu) / sigma
            if abs(q) <= LEAST_Q:
                return special.ndtr(-w)
            above = special.gammaincc if q > 0 else special.gammainc
            return np.asarray(above(q**-2, q**-2 * np.exp(q * w)))

    def isf(self, s: ArrayLike) -> Array:
        mu, sigma, q = self._law
        s = np.asarray(s, float)
        if abs(q) <= LEAST_Q:
            return np.exp(mu - sigma * special.ndtri(s))
        above, below = (s, 1 - s) if q > 0 else (1 - s, s)
        with np.errstate(divide="ignore", over="ignore"):
            return np.exp(mu + sigma / q * (_log_gamma_quantile(q**-2, above, below) + 2 * math.log(abs(q))))


LEAST_Q = 1e-3
"""Nearer to 0 than this the lognormal is taken, since incomplete gammas of so large a shape cannot be inverted in
double precision. At sigma 1 the costliest user in a million then differs by 0.4%."""


def _log_gamma_step(shape: float, step: float) -> float:
    """log Γ(shape + step) − log Γ(shape)."""
    return float(special.gammaln(shape + step) - special.gammaln(shape))


def _log_gamma_quantile(shape: float, above: Array, below: Array) -> Array:
    """Logarithm of the gamma variable with these chances above and below it."""
    found = np.where(above < 0.5, special.gammainccinv(shape, above), special.gammaincinv(shape, below))
    # so near to 0 the chance below is a power of the variable, which may lie beyond a computer's numbers
    power = (np.log(below) + special.gammaln(shape + 1)) / shape
    return np.where(power < _TINY, power, np.log(found))


_TINY = -36.0


class GeneralizedBeta2(_WithMeanAndCv):
    """Generalized beta of the second kind: (X / scale)^a is the odds of a beta(p, q) variable; its tail index is a·q.

    Burr XII at p = 1, Lomax at a = p = 1 (McDonald 1984, Econometrica 52:647).
    """

    family: Literal["gb2"] = "gb2"
    tail: Annotated[float, Field(strict=True, gt=2, allow_inf_nan=False)] | None = None
    """Tail index a·q, the third figure beside mean, cv and p; above 2, since the variance is given."""
    a: Positive | None = None
    p: Positive | None = None
    """Shape of the body: costs near 0 have the density of a power a·p − 1."""
    q: Positive | None = None
    scale: Positive | None = None
    """Money per year."""
    ways = (("mean", "cv", "tail", "p"), ("a", "p", "q", "scale"))

    @cached_property
    def _law(self) -> tuple[float, float, float, float]:
        assert self.p is not None
        if self.a is not None and self.q is not None and self.scale is not None:
            return self.a, self.p, self.q, self.scale
        assert self.mean is not None and self.cv is not None and self.tail is not None
        p, tail, target = self.p, self.tail, math.log1p(self.cv**2)
        a = _solve(lambda a: _log_gb2_moment(2, a, p, tail / a) - 2 * _log_gb2_moment(1, a, p, tail / a) - target,
                   1e-2, 1e3, "cv", self.cv)  # fmt: skip
        return a, p, tail / a, self.mean * math.exp(-_log_gb2_moment(1, a, p, tail / a))

    @property
    def tail_index(self) -> float:
        a, _, q, _ = self._law
        return a * q

    def sf(self, x: ArrayLike) -> Array:
        a, p, q, scale = self._law
        with np.errstate(divide="ignore"):
            log_odds = a * np.log(np.maximum(x, 0.0) / scale)
        small, large = special.betainc(q, p, special.expit(-log_odds)), special.betainc(p, q, special.expit(log_odds))
        return np.where(log_odds > 0, small, 1 - large)

    def isf(self, s: ArrayLike) -> Array:
        a, p, q, scale = self._law
        s = np.asarray(s, float)
        with np.errstate(divide="ignore", over="ignore"):
            low, high = _log_beta_quantile(p, q, 1 - s), _log_beta_quantile(q, p, s)
            log_odds = np.where(s > 0.5, low - np.log(-np.expm1(low)), np.log(-np.expm1(high)) - high)
            return scale * np.exp(log_odds / a)


def _log_gb2_moment(order: int, a: float, p: float, q: float) -> float:
    return _log_gamma_step(p, order / a) + _log_gamma_step(q, -order / a)


def _log_beta_quantile(p: float, q: float, below: Array) -> Array:
    """Logarithm of the beta(p, q) variable with this chance below it."""
    power = (np.log(below) + math.log(p) + float(special.betaln(p, q))) / p
    return np.where(power < _TINY, power, np.log(special.betaincinv(p, q, below)))


def _solve(gap: Callable[[float], float], low: float, high: float, name: str, value: float) -> float:
    """The figure in [low, high] at which `gap` vanishes, sought on a log scale."""
    try:
        return math.exp(
            optimize.brentq(lambda y: gap(math.exp(y)), math.log(low), math.log(high), xtol=1e-13, rtol=1e-13)
        )
    except ValueError:
        raise mistake(f"has {name} = {value:g}, which this family cannot have", "choose another family") from None


# ── composed of others ───────────────────────────────────────────────────────────────────────────


class ParetoTail(Term):
    """Classical Pareto that starts at the splice."""

    family: Literal["pareto"] = "pareto"
    alpha: Positive
    """Tail index: moments of this order and above are infinite."""


def _tail_kind(raw: Any) -> str | None:
    family = raw.get("family") if isinstance(raw, dict) else getattr(raw, "family", None)
    given = raw if isinstance(raw, dict) else getattr(raw, "__dict__", {})
    if family == "pareto" and all(given.get(name) is None for name in ("mean", "cv", "scale")):
        return "pareto_tail"
    return family


class Spliced(Severity):
    """One family below `at`, another above: what a body gets wrong about very costly patients, a tail mends.

    The tail has the body's probability of a cost above `at`, so that the survival function is continuous (no gap, no
    atom) while the density may jump. A gpd or lomax tail describes the excess over `at`; a pareto tail without scale
    starts at `at`; any other family is taken given that it exceeds `at`. The body's mean and cv belong to the body
    before splicing.
    """

    family: Literal["spliced"] = "spliced"
    body: AnySeverity
    tail: TailSeverity
    at: Positive
    """Annual cost at which the tail takes over."""

    @model_validator(mode="after")
    def _overlap(self) -> Spliced:
        if not 0 < self._weight < 1:
            raise mistake(
                f"has its splice at {self.at:g}, where the body leaves {self._weight:g} of its users",
                "move `at` inside the body's range",
            )
        if isinstance(self._above, Severity) and not self._is_excess and float(self._above.sf(self.at)) <= 0:
            raise mistake(f"has a tail that never exceeds {self.at:g}", "take another tail")
        if isinstance(self.tail, Pareto) and self.tail._law[0] > self.at:
            raise mistake(
                f"has a tail that starts at {self.tail._law[0]:g}, above the splice at {self.at:g}",
                "leave the tail's scale out",
            )
        return self

    @cached_property
    def _weight(self) -> float:
        return float(self.body.sf(self.at))

    @cached_property
    def _above(self) -> Severity:
        return Pareto(scale=self.at, alpha=self.tail.alpha) if isinstance(self.tail, ParetoTail) else self.tail

    @property
    def _is_excess(self) -> bool:
        return isinstance(self.tail, GeneralizedPareto | Lomax)

    @property
    def tail_index(self) -> float:
        return self._above.tail_index

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        if self._is_smooth:
            return (Part(self),)
        body = [part._replace(high=min(part.high, self.at - part.shift)) for part in self.body.parts]
        if self._is_excess:
            tail = [Part(self._above, self._weight, shift=self.at)]
        else:
            scale = self._weight / float(self._above.sf(self.at))
            tail = [
                part._replace(weight=part.weight * scale, low=max(part.low, self.at - part.shift))
                for part in self._above.parts
            ]
        return tuple(part for part in (*body, *tail) if part.low < part.high)

    @property
    def _is_smooth(self) -> bool:
        """Whether `isf` is smooth between `breaks`: a power law is so from the splice on, as an excess is."""
        one = all(len(law.parts) == 1 and not law.has_atoms for law in (self.body, self._above))
        return one and isinstance(self.tail, GeneralizedPareto | Lomax | Pareto | ParetoTail)

    @cached_property
    def breaks(self) -> Array:
        inside = self.body.breaks[self.body.breaks > self._weight]
        reached = 1.0 if self._is_excess else float(self._above.sf(self.at))
        beyond = self._above.breaks[self._above.breaks < reached] / reached * self._weight
        # another tail may rise steeply where it starts
        steep = np.empty(0) if self._is_smooth else _MESH[_MESH > 0.5] * self._weight
        return np.concatenate([inside, [self._weight], beyond, steep])

    def sf(self, x: ArrayLike) -> Array:
        x = np.asarray(x, float)
        high = np.maximum(x, self.at)
        beyond = self._above.sf(high - self.at) if self._is_excess else self._above.sf(high) / self._above.sf(self.at)
        return np.where(x < self.at, self.body.sf(np.minimum(x, self.at)), self._weight * beyond)

    def isf(self, s: ArrayLike) -> Array:
        s = np.asarray(s, float)
        given = np.minimum(s / self._weight, 1.0)
        beyond = (
            self.at + self._above.isf(given) if self._is_excess else self._above.isf(given * self._above.sf(self.at))
        )
        return np.where(
            s > self._weight,
            np.minimum(self.body.isf(np.maximum(s, self._weight)), self.at),
            np.maximum(beyond, self.at),
        )


class Component(Term):
    """One part of a mixture."""

    weight: Positive
    """Share of users; the weights of a mixture add up to 1."""
    severity: AnySeverity


def _weights_add_up(raw: Any) -> Iterator[Any]:
    try:
        total = math.fsum(float(part["weight"] if isinstance(part, dict) else part.weight) for part in raw)
    except (TypeError, ValueError, KeyError, AttributeError):
        return
    if abs(total - 1) > 1e-9:
        yield mistake(f"has weights that add up to {total:.10g}, not 1", "make them add up to 1")


class Mixture(Severity):
    """A user is of one kind or another, each with its own law."""

    family: Literal["mixture"] = "mixture"
    components: Annotated[tuple[Component, ...], Field(min_length=1), also(_weights_add_up)]

    @property
    def tail_index(self) -> float:
        return min(part.severity.tail_index for part in self.components)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        return tuple(
            part._replace(weight=part.weight * component.weight)
            for component in self.components
            for part in component.severity.parts
        )

    @cached_property
    def breaks(self) -> Array:
        # where a component starts or ends, the others go on; between them the cost rises steeply
        with np.errstate(all="ignore"):
            at = [
                part.severity.isf(np.concatenate([[1.0], _MESH, part.severity.breaks, [0.0]]))
                for part in self.components
            ]
        costs = np.unique(np.concatenate(at))
        costs = costs[(costs > 0) & np.isfinite(costs)]
        return np.unique(np.concatenate([self.sf(costs), self.sf(np.nextafter(costs, 0))]))

    def sf(self, x: ArrayLike) -> Array:
        return np.sum([part.weight * part.severity.sf(x) for part in self.components], axis=0)

    def isf(self, s: ArrayLike) -> Array:
        s = np.asarray(s, float)
        quantiles = np.stack([part.severity.isf(s) for part in self.components])
        low, high = quantiles.min(axis=0), quantiles.max(axis=0)
        for _ in range(200):
            middle = np.where(low > 0, np.sqrt(np.maximum(low, 1e-300) * high), 0.5 * high)
            middle = np.where((middle <= low) | (middle >= high), 0.5 * (low + high), middle)
            above = self.sf(middle) > s
            low, high = np.where(above, middle, low), np.where(above, high, middle)
            if np.all(high - low <= 4e-16 * high):
                break
        return high


def _costs_fit(raw: Any) -> Iterator[Any]:
    if not isinstance(raw, dict):
        return
    values, weights = raw.get("values"), raw.get("weights")
    if (values is None) == (raw.get("quantiles") is None):
        yield mistake("must have either values or quantiles", "give one of the two")
    if weights is not None and values is None:
        yield mistake("has weights but no values", "take the weights out")
    if isinstance(values, list | tuple) and isinstance(weights, list | tuple) and len(values) != len(weights):
        yield mistake(f"has {len(values)} values and {len(weights)} weights", "give as many weights as values")


def _quantiles_ascend(raw: Any) -> Iterator[Any]:
    try:
        points = sorted((float(p), float(x)) for p, x in raw.items())
    except (AttributeError, TypeError, ValueError):
        return
    levels, costs = [p for p, _ in points], [x for _, x in points]
    if levels[:1] != [0.0] or levels[-1:] != [1.0]:
        yield mistake("must reach from 0 to 1", 'give the lowest cost as "0" and the highest as "1"')
    if costs != sorted(costs) or len(set(levels)) != len(levels):
        yield mistake("must not fall as the level rises", "sort the costs")


class Empirical(Severity):
    """Observed costs: values, each as likely as its weight; or a quantile table, linear between its levels."""

    family: Literal["empirical"] = "empirical"
    values: Annotated[tuple[Positive, ...], Field(min_length=1)] | None = None
    """Annual costs of users, resampled as they are."""
    weights: Annotated[tuple[Positive, ...], Field(min_length=1)] | None = None
    """How often each value is drawn, in any unit; alike where absent."""
    quantiles: (
        Annotated[dict[float, Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]], also(_quantiles_ascend)]
        | None
    ) = None
    """Cost below which a user lies with probability p, from "0" to "1"."""

    @model_validator(mode="before")
    @classmethod
    def _one_kind(cls, raw: Any) -> Any:
        for error in _costs_fit(raw):
            raise error
        return raw

    @cached_property
    def _steps(self) -> tuple[Array, Array]:
        """Costs ascending, and P(X > cost) after each."""
        assert self.values is not None
        order = np.argsort(self.values, kind="stable")
        weight = np.ones(len(self.values)) if self.weights is None else np.asarray(self.weights, float)
        # divided last: counts add up without rounding, so that a percentile meets its own value
        above = np.append(np.cumsum(weight[order][::-1])[::-1][1:], 0.0) / weight.sum()
        return np.asarray(self.values, float)[order], above

    @cached_property
    def _line(self) -> tuple[Array, Array]:
        """Survival probabilities descending from 1 to 0, and the costs there."""
        assert self.quantiles is not None
        points = sorted(self.quantiles.items())
        return 1 - np.array([p for p, _ in points]), np.array([x for _, x in points])

    @property
    def breaks(self) -> Array:
        return self._steps[1][:-1] if self.values is not None else self._line[0][1:-1]

    @cached_property
    def atoms(self) -> tuple[Array, Array]:
        if self.values is not None:
            costs, place = np.unique(self._steps[0], return_inverse=True)
            return costs, np.asarray(np.bincount(place, -np.diff(np.append(1.0, self._steps[1]))), float)
        survival, costs = self._line
        flat = np.diff(costs) == 0
        return costs[1:][flat], -np.diff(survival)[flat]

    def sf(self, x: ArrayLike) -> Array:
        x = np.asarray(x, float)
        if self.values is not None:
            costs, above = self._steps
            return np.append(1.0, above)[np.searchsorted(costs, x, side="right")]
        survival, costs = self._line
        step = np.clip(np.searchsorted(costs, x, side="right"), 1, costs.size - 1)
        width = costs[step] - costs[step - 1]
        share = np.clip((x - costs[step - 1]) / np.where(width > 0, width, 1.0), 0.0, 1.0)
        inside = survival[step - 1] + (survival[step] - survival[step - 1]) * share
        return np.where(x < costs[0], 1.0, np.where(x >= costs[-1], 0.0, inside))

    def isf(self, s: ArrayLike) -> Array:
        s = np.asarray(s, float)
        if self.values is not None:
            costs, above = self._steps
            return costs[np.minimum(np.searchsorted(-above, -s, side="left"), costs.size - 1)]
        survival, costs = self._line
        return np.interp(-s, -survival, costs)


# ── the union of them ────────────────────────────────────────────────────────────────────────────

_Family = (
    Annotated[Lognormal, Tag("lognormal")]
    | Annotated[Gamma, Tag("gamma")]
    | Annotated[Weibull, Tag("weibull")]
    | Annotated[Pareto, Tag("pareto")]
    | Annotated[Lomax, Tag("lomax")]
    | Annotated[GeneralizedPareto, Tag("gpd")]
    | Annotated[Burr, Tag("burr")]
    | Annotated[GeneralizedGamma, Tag("gengamma")]
    | Annotated[GeneralizedBeta2, Tag("gb2")]
    | Annotated[Spliced, Tag("spliced")]
    | Annotated[Mixture, Tag("mixture")]
    | Annotated[Empirical, Tag("empirical")]
)
AnySeverity = Annotated[_Family, Field(discriminator="family")]
TailSeverity = Annotated[
    _Family | Annotated[ParetoTail, Tag("pareto_tail")],
    Discriminator(
        _tail_kind,
        custom_error_type="mistake",
        custom_error_message="{bound}",
        custom_error_context={
            "bound": "does not name a family that exists",
            "mend": 'give family = "pareto", "lomax", "gpd" …',
        },
    ),
]

for _model in (Spliced, Component, Mixture):
    _model.model_rebuild()

FAMILIES: dict[str, type[Severity]] = {
    "lognormal": Lognormal,
    "gamma": Gamma,
    "weibull": Weibull,
    "pareto": Pareto,
    "lomax": Lomax,
    "gpd": GeneralizedPareto,
    "burr": Burr,
    "gengamma": GeneralizedGamma,
    "gb2": GeneralizedBeta2,
    "spliced": Spliced,
    "mixture": Mixture,
    "empirical": Empirical,
}
"""Every family by its name in a scenario file."""
