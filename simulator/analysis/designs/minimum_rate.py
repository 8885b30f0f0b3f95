"""A minimum savings rate from luck: how large a saving must be to be distinguishable from noise, by population size."""

import os
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from ...errors import validated
from ...terms import Array, Count, Fraction, Positive, Term, read_toml


class Score(Term):
    """The one-sided normal score that is asked for at a size."""

    people: Count
    z: Positive


class Corner(Term):
    """A printed rate."""

    people: Count
    rate: Fraction


class MinimumRateRule(Term):
    """rate = scale / √n × z(n), with z linear in n between given sizes and constant beyond, and a floor.

    The scale stands for the coefficient of variation of one person's cost: scale / √n is the standard deviation of the
    savings rate of n people, and z(n) the confidence that is asked for.
    """

    scale: Positive
    """Standard deviation of the savings rate of one person, a fraction of the budget."""
    floor: Fraction = 0.0
    """Smallest rate, a fraction of the budget."""
    floor_from: Count
    """People from which on the rate is the floor."""
    scores: Annotated[tuple[Score, ...], Field(min_length=1)]
    """Ascending in people."""
    corners: tuple[Corner, ...] = ()
    """Published figures, rounded as printed."""

    def z(self, people: ArrayLike) -> Array:
        sizes, scores = zip(*((score.people, score.z) for score in self.scores), strict=True)
        return np.asarray(np.interp(np.asarray(people, float), sizes, scores))

    def rate(self, people: ArrayLike) -> Array:
        """Minimum savings rate, a fraction. Example: 10,000 people → 2.135 / 100 × 1.4027 = 0.0299."""
        n = np.asarray(people, float)
        rate = np.maximum(self.scale / np.sqrt(n) * self.z(n), self.floor)
        return np.asarray(np.where(n >= self.floor_from, self.floor, rate))

    def misses(self) -> Array:
        sizes = [corner.people for corner in self.corners]
        return np.asarray(self.rate(sizes) - np.array([corner.rate for corner in self.corners]))


def load_minimum_rate(path: str | os.PathLike[str]) -> MinimumRateRule:
    """Read a rule, such as `configs/published/mssp_msr.toml`.

    Raises
    ------
    SimulatorError
        Where the file cannot be read, or is no such rule.
    """
    return validated(MinimumRateRule, read_toml(path), str(Path(path)))
