"""Parameter uncertainty: sets drawn from the approximate posterior, kept as parameters only.

Bodies: normal with White's covariance. Tails: normal in (ξ, log scale) with Fisher's. Shares of users: Beta with
Jeffreys' prior. Of a quantile table the level (what all costs are multiplied by) and the share above the splice vary;
of a blend of laws the level. Case mix is taken as known.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .. import effort
from ..costs.families.composite import Spliced
from ..costs.model import CostModel, Population, head_counts
from ..costs.model_file import Drawn
from ..costs.moments import Exact, Layer
from ..errors import SimulatorError
from ..numerals import figures
from .choose import SegmentFit
from .disclose.disclosure import SMALLEST_COUNT
from .disclose.groups import groups_of
from .laws.tails import HIGHEST_SHAPE, LOWEST_SHAPE, Tail
from .read.sample import Array


def draw(fits: Sequence[SegmentFit], number: int, seed: int, smallest: int = SMALLEST_COUNT) -> dict[str, Drawn]:
    """Parameter sets by segment, so many of each; none for 0."""
    random = np.random.default_rng([seed, 4])
    each = effort.each(fits if number else (), "parameter sets")
    return {fit.name: _drawn(fit, number, random, smallest) for fit in each}


def _drawn(fit: SegmentFit, number: int, random: np.random.Generator, smallest: int) -> Drawn:
    sample, found = fit.sample, {"p_user": [fit.p_user] * number}
    if fit.p_user < 1:
        users = fit.p_user * sample.effective
        found["p_user"] = random.beta(users + 0.5, sample.effective - users + 0.5, number).tolist()
    if fit.family == "resample":
        return {}
    blended = fit.credibility < 1
    if blended or fit.body is None:
        error = fit.level_error if blended else _level_error(fit, smallest)
        found["level"] = np.exp(_normal(np.zeros(1), np.array([[error**2]]), number, random)[:, 0]).tolist()
    if fit.body is not None and not blended:
        prefix = "body." if isinstance(fit.severity, Spliced) else ""
        rows = [fit.body.figures_at(theta) for theta in _normal(fit.body.theta, fit.body.covariance, number, random)]
        found |= {prefix + name: [row[name] for row in rows] for name in rows[0]}
    if isinstance(fit.severity, Spliced) and fit.tail is not None and not blended:
        found |= _tail_draws(fit.tail, number, random)
        if fit.body is None:
            above = float(fit.severity.sf(fit.tail.at))
            users = sample.effective_users
            found["tail_share"] = random.beta(above * users + 0.5, (1 - above) * users + 0.5, number).tolist()
    return {name: tuple(figures(float(value)) for value in values) for name, values in found.items()}


def _level_error(fit: SegmentFit, smallest: int) -> float:
    """Standard error of the log of users' mean cost; of those below the splice where the tail varies by itself."""
    # of whom a set may tell: with the seed it tells its error, and an error the squares of the costs
    sample = fit.sample if fit.family == "bands" else groups_of(fit.sample.tempered(), smallest).sample
    inside = sample.x <= (fit.tail.at if fit.tail is not None else math.inf)
    x, w = sample.x[inside], sample.w[inside]
    mean = float(np.average(x, weights=w))
    sd = math.sqrt(float(np.average((x - mean) ** 2, weights=w)))
    return sd / mean / math.sqrt(float(w.sum() ** 2 / sample.w2[inside].sum()))


def _normal(mean: Array, covariance: Array, number: int, random: np.random.Generator) -> Array:
    """Normal draws, shape (number, figure), with just this mean and covariance where there are draws enough.

    Forty draws as they fall have a spread that is off by 11%, and by as much in every fit of the same seed.
    """
    draws = random.standard_normal((number, mean.size))
    if number > mean.size + 1:
        draws -= draws.mean(axis=0)
        draws = np.linalg.solve(np.linalg.cholesky(draws.T @ draws / (number - 1)), draws.T).T
    axes, squares, _ = np.linalg.svd(covariance)
    return np.asarray(mean + draws * np.sqrt(squares) @ axes.T)


def _tail_draws(tail: Tail, number: int, random: np.random.Generator) -> dict[str, list[float]]:
    """Shapes and scales, drawn as shape and mean excess: rows tell the mean excess whatever the shape may be."""
    center, covariance = np.array([tail.shape, math.log(tail.mean_excess)]), tail.covariance()
    # a shape that is shrunk is less in doubt
    squeeze = np.diag([tail.shape_se / math.sqrt(covariance[0, 0]), 1.0])
    to_mean = np.array([[1.0, 0.0], [1 / (1 - tail.shape), 1.0]]) @ squeeze
    drawn = _normal(center, to_mean @ covariance @ to_mean.T, number, random)
    shape = np.clip(drawn[:, 0], LOWEST_SHAPE, HIGHEST_SHAPE)
    return {"tail.shape": shape.tolist(), "tail.scale": (np.exp(drawn[:, 1]) * (1 - shape)).tolist()}


def population_of_set(population: Population, sets: Mapping[str, Drawn], b: int) -> Population:
    """The population under parameter set `b`."""
    number = count(sets)
    if not 0 <= b < number:
        bound = f"must be from 0 to {number - 1}" if number else "has no sets to choose from"
        raise SimulatorError("parameter_draw", b, bound, "fit with parameter sets")
    segments = tuple(
        segment.with_figures({name: values[b] for name, values in sets.get(segment.name, {}).items()})
        for segment in population.segments
    )
    return population.model_copy(update={"segments": segments})


def count(sets: Mapping[str, Drawn]) -> int:
    """How many sets there are."""
    return min((len(values) for drawn in sets.values() for values in drawn.values()), default=0)


class VarianceParts(NamedTuple):
    """Variance of a population's cost in money squared, by its cause, and its share of the whole."""

    process: float  # luck, given the parameters
    parameter: float  # doubt about the parameters
    systematic: float  # what hits everybody at once

    @property
    def shares(self) -> tuple[float, float, float]:
        total = sum(self)
        return self.process / total, self.parameter / total, self.systematic / total


def sources(model: CostModel, size: int, threshold: float) -> tuple[float, float, float]:
    """Mean of a population's retained cost, its variance given the shocks, and the variance of its mean given them."""
    layers: list[Layer] = [] if math.isinf(threshold) else [(np.full(len(model.streams), threshold), 1.0, 0.0)]
    mean, process, systematic = Exact(model).sources(head_counts(size, model.shares)[None, :], layers)
    return mean.item(), process.item(), systematic.item()
