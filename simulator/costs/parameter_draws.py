"""Parameter uncertainty in a scenario: parameter sets, one of which is used for each replicate.

Replicate r is drawn under set r mod the number of sets, so that sets are strata of equal size: a longer run leaves the
earlier draws as they are, and the sets themselves add no noise to what is compared between two runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated

from pydantic import ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from ..errors import SimulatorError, mistake
from ..terms import Number, Term
from .segment import Segment

_KEPT = 8
"""Lists of populations by set that are kept: a scenario is validated anew for every question that is asked of it."""


class ParameterSets(Term):
    """What one segment's parameters may be: a list for each parameter, with one value for each set."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "additionalProperties": {"type": "array", "items": {"type": "number"}, "minItems": 1},
            "description": (
                "What one segment's parameters may be: lists of equal length by parameter: p_user, level, tail_share, "
                'or the path of a figure in the severity, such as "tail.shape". As model files have them.'
            ),
        },
    )
    __pydantic_extra__: dict[str, Annotated[tuple[Number, ...], Field(min_length=1)]] = Field(init=False)

    segment: str
    """Name of the segment."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParameterSets) and (self.segment, self.figures) == (other.segment, other.figures)

    __hash__ = Term.__hash__

    @property
    def figures(self) -> dict[str, tuple[float, ...]]:
        """Values by parameter, one a set."""
        return dict(self.__pydantic_extra__)


def count(sets: Sequence[ParameterSets] | None) -> int:
    """How many sets there are; 0 where parameters are taken as known."""
    if sets is None:
        return 0
    lengths = {len(values) for part in sets for values in part.figures.values()}
    if len(lengths) > 1:
        bound = f"has parameter sets of {min(lengths)} to {max(lengths)} values"
        raise mistake(bound, "give one value of each parameter a set")
    if not lengths:
        raise mistake("has parameter sets without values", "give a list for each parameter, or leave them out")
    return lengths.pop()


def check_names(sets: Sequence[ParameterSets], segments: Sequence[Segment]) -> None:
    """Refuse sets of a segment that does not exist, or that are given twice."""
    named, known = [part.segment for part in sets], {segment.name for segment in segments}
    for name in named:
        if name not in known:
            bound = f"has parameter sets of a segment {name!r} that does not exist"
            raise mistake(bound, "use the names of the segments")
        if named.count(name) > 1:
            raise mistake(f"has parameter sets of the segment {name!r} twice", "give each segment one table")


@lru_cache(maxsize=_KEPT)
def segments_of_sets(segments: tuple[Segment, ...], sets: tuple[ParameterSets, ...]) -> tuple[tuple[Segment, ...], ...]:
    """The segments under each parameter set."""
    drawn = {part.segment: part.figures for part in sets}
    each = [(segment, drawn.get(segment.name, {})) for segment in segments]
    return tuple(tuple(_changed(*one, b) for one in each) for b in range(count(sets)))


def _changed(segment: Segment, drawn: dict[str, tuple[float, ...]], b: int) -> Segment:
    if not drawn:
        return segment
    try:
        changed = segment.with_figures({name: values[b] for name, values in drawn.items()})
    except (SimulatorError, ValidationError, PydanticCustomError, LookupError, TypeError, ValueError) as error:
        raise _unfit(segment, b, _reason(error)) from None
    mean = float(changed.users_severity.moments.raw[1])
    if not 0 < changed.p_user <= 1:
        raise _unfit(segment, b, f": p_user {changed.p_user:g} is not above 0 and at most 1")
    if not 0 < mean < math.inf:
        raise _unfit(segment, b, f": the mean is {mean:g}")
    return changed


def _unfit(segment: Segment, b: int, reason: str) -> PydanticCustomError:
    bound = f"has a parameter set {b} that does not fit the segment {segment.name!r}{reason}"
    return mistake(bound, "fit the model afresh")


def _reason(error: Exception) -> str:
    if isinstance(error, SimulatorError):
        return f": {error.path} {error.bound}"
    if isinstance(error, ValidationError):
        line = error.errors(include_url=False)[0]
        told = line.get("ctx", {}).get("bound", line["msg"][:1].lower() + line["msg"][1:])
        return f": {'.'.join(str(step) for step in line['loc'])} {told}".rstrip()
    return f": it has no {error.args[0]!r}" if isinstance(error, KeyError) else ""
