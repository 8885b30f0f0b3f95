"""How patients' costs divide among services, such as acute, community, mental health and drugs.

A patient's split is Dirichlet with the shares as its mean and concentration kappa, independent of the cost within a
segment. With an infinite kappa all patients of a segment have the same split.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from ..errors import Contradiction, also, mistake
from ..terms import Fraction, Name, Positive, Term, Threshold, names_differ
from .quadrature import Array
from .segment import Stream

LEAST_KAPPA = 0.05
_ROUNDING = 1e-6  # by which shares may miss 1

BySegment = Fraction | dict[Name, Fraction]


class ServiceShare(Term):
    """One service, and its share of costs."""

    name: Name
    """What the service is called in results."""
    share: BySegment = 0.0
    """Share of a segment's cost: one for all segments, or one for each by name."""
    share_above: BySegment | None = None
    """The same of patients who cost more than `above` of [service_split]; without it `share`."""
    rare_services: tuple[Name, ...] = ()
    """Rare services in scope whose events belong to it wholly."""

    def of(self, segment: str, dear: bool) -> float:
        """Share of a segment's cost."""
        given = self.share_above if dear and self.share_above is not None else self.share
        return given.get(segment, 0.0) if isinstance(given, dict) else given

    @property
    def segments(self) -> set[str]:
        """Segments that it names."""
        return {name for given in (self.share, self.share_above) if isinstance(given, dict) for name in given}


class SplitLaw(Term):
    """How much patients' splits differ, and from which cost on they have other shares."""

    kappa: Threshold = math.inf
    """Concentration of a patient's split, at least 0.05: a share w varies with sd √(w(1 − w)/(kappa + 1)) from patient
    to patient; inf: all have the same split."""
    above: Positive | None = None
    """Patient's annual cost, before shocks, above which `share_above` holds for all of the cost."""

    def _contradictions(self) -> Iterator[Contradiction]:
        if self.kappa < LEAST_KAPPA:
            yield ("kappa",), mistake(f"must be at least {LEAST_KAPPA:g}", "give a larger one, or omit it")


class ServiceSplit(Term):
    """Into which services costs divide, and by which law."""

    services: Annotated[tuple[ServiceShare, ...], Field(min_length=1), also(names_differ)]
    law: SplitLaw = SplitLaw()

    @property
    def names(self) -> list[str]:
        """Names of the services."""
        return [service.name for service in self.services]

    def mistakes_of(self, segments: Sequence[str], rare: Collection[str]) -> Iterator[Contradiction]:
        """What does not go with these segments and rare services in scope."""
        for place, service in enumerate(self.services):
            for stranger in sorted(service.segments - set(segments)):
                yield (place, "share"), mistake(f"names {stranger!r}, which is no segment", "use the segments' names")
            for stranger in sorted(set(service.rare_services) - set(rare)):
                bound = f"names {stranger!r}, which is no rare service in scope"
                yield (place, "rare_services"), mistake(bound, "name one of [[population.rare_services]]")
        for name in rare:
            owners = sum(service.rare_services.count(name) for service in self.services)
            if owners != 1:
                bound = f"name the rare service {name!r} {owners} times"
                yield (), mistake(bound, "let one service have it in its rare_services", value=None)
        for segment in segments:
            for dear in (False, True):
                total = math.fsum(service.of(segment, dear) for service in self.services)
                if abs(total - 1.0) > _ROUNDING:
                    which = f"shares of {segment!r}" + (" above the cost" if dear else "")
                    yield (), mistake(f"have {which} that add up to {total:.8g}, not 1", "make them 1", value=None)
                    break
        if self.law.above is None and any(service.share_above is not None for service in self.services):
            yield (), mistake("give share_above, and no cost to begin at", "add [service_split] above", value=None)

    def shares(self, streams: Sequence[Stream], repeats: Sequence[int] | None = None) -> Array:
        """Shares by stream, of patients up to the dear cost and above it; shape (stream, 2, service).

        `repeats` are the states of each stream's people, where `streams` are those of one year.
        """
        found = np.zeros((len(streams), 2, len(self.services)))
        for s, stream in enumerate(streams):
            for h, service in enumerate(self.services):
                for dear in (False, True):
                    own = service.of(stream.name, dear) if stream.is_segment else stream.name in service.rare_services
                    found[s, int(dear), h] = own
        total = found.sum(axis=2, keepdims=True)
        found = found / np.where(total > 0, total, 1.0)
        return found if repeats is None else np.repeat(found, repeats, axis=0)


class Nodes(NamedTuple):
    """Factors of the streams that stand for their shocks, shape (node, stream), and their weights."""

    factors: Array
    weights: Array


def expected_lines(
    split: ServiceSplit,
    streams: Sequence[Stream],
    nodes: Nodes,
    heads: Array,
    layers: Sequence[tuple[Array, float, float]],
) -> Array:
    """Expected cost of each service that a rule keeps, money per year; shape (population, service).

    Parameters
    ----------
    heads : ndarray, shape (population, segment)
    layers : sequence of (threshold by stream, share of the excess removed, share of the whole patient removed)
    """
    shares = split.shares(streams)
    above = math.inf if split.law.above is None else split.law.above
    people = np.hstack([heads, np.repeat(heads.sum(axis=1, keepdims=True), len(streams) - heads.shape[1], axis=1)])
    found = np.zeros((len(heads), len(split.services)))
    for s, stream in enumerate(streams):
        if not stream.in_scope:
            continue
        own = [(float(at[s]), excess, whole) for at, excess, whole in layers]
        every, dear = (
            stream.rate * _kept_above(stream, nodes.factors[:, s], own, c) @ nodes.weights for c in (0.0, above)
        )
        found += people[:, s, None] * ((every - dear) * shares[s, 0] + dear * shares[s, 1])
    return found


def _kept_above(stream: Stream, factors: Array, layers: Sequence[tuple[float, float, float]], cost: float) -> Array:
    """E[g(λX); X > cost] of a user for each factor λ, g what the layers keep; shape (node,)."""
    moments = stream.severity.moments
    steps = sorted(layer for layer in layers if math.isfinite(layer[0]))
    edges = [np.full(factors.shape, cost), *(np.maximum(at / factors, cost) for at, _, _ in steps)]
    beyond = [moments.above(edge)[:2] for edge in edges] + [np.zeros((2, factors.size))]
    slope, intercept, kept = 1.0, 0.0, np.zeros(factors.size)
    for k in range(len(edges)):
        if k:
            at, excess, whole = steps[k - 1]
            slope, intercept = slope - excess - whole, intercept + excess * at
        chance, mean = beyond[k] - beyond[k + 1]
        kept += slope * factors * mean + intercept * chance
    return kept
