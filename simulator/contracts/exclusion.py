"""Patient-level exclusion rules: which part of one patient's annual cost leaves the budget.

Every rule removes, from a patient who costs x, a sum over its *layers* of

    excess_share · max(x − threshold, 0)  +  whole_share · x · 1{x > threshold}

so a rule is a linear function of what the ledger keeps (`excess_cost`, `above_cost`), and needs no second draw. Each
says what it is called: `label` in tables and pictures, `sentence` in sentences.
"""

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, TypeAdapter

from ..errors import also
from ..terms import Fraction, Term, Threshold, ascend
from ..thresholds import NO_EXCLUSION as NO_EXCLUSION
from .context import Mitigation


class Layer(NamedTuple):
    """One step of an exclusion rule at one threshold of the grid."""

    threshold: float
    excess_share: float
    whole_share: float


Told = Callable[[float], str]  # how a threshold is told: £25k, percentile 99, or `NO_EXCLUSION`


class _Rule(Mitigation):
    """A rule that says where it holds, and what it is called there."""

    label_form: ClassVar[str]  # as the head of a column, of `rule` and of where exclusion starts, `at`
    sentence_form: ClassVar[str]  # the same as part of a sentence

    def fixed_thresholds(self) -> tuple[float, ...]:
        """The thresholds that the rule fixes itself; empty where it is swept over the grid."""
        raise NotImplementedError

    @property
    def excludes_nobody(self) -> bool:
        """Whether the rule's own thresholds are all infinite; a rule that is swept has none of its own."""
        fixed = self.fixed_thresholds()
        return bool(fixed) and all(map(math.isinf, fixed))

    def at_point(self, point: float) -> Self:
        """The rule at one point of the grid; one that fixes its thresholds as it is."""
        return self if self.fixed_thresholds() else self.model_copy(update={"at": point})

    def starts(self, threshold: float) -> float:
        """Where exclusion starts, the rule being applied at this point of the grid."""
        return threshold

    def label(self, threshold: float, told: Told) -> str:
        """The rule at a threshold, as the head of a column or the name of a line: cap £25k."""
        at = told(self.starts(threshold))
        return at if at == NO_EXCLUSION else self.label_form.format(rule=self, at=at)

    def sentence(self, threshold: float, told: Told) -> str:
        """The rule at a threshold, as part of a sentence: with each patient's cost capped at £25k."""
        at = told(self.starts(threshold))
        return "without exclusion" if at == NO_EXCLUSION else self.sentence_form.format(rule=self, at=at)


class _Swept(_Rule):
    """A rule with a single threshold, its own or each point of the grid."""

    at: Threshold | None = None
    """The patient's annual cost at which exclusion starts; without it the rule is swept over the grid."""
    removes: ClassVar[tuple[float, float]] = (1.0, 0.0)
    """Shares of the excess, and of all cost of a patient above the threshold, that are removed."""

    def fixed_thresholds(self) -> tuple[float, ...]:
        """The thresholds that the rule fixes itself; empty where it is swept over the grid."""
        return () if self.at is None else (self.at,)

    def layers(self, threshold: float) -> tuple[Layer, ...]:
        """The rule's layers, where `threshold` is the point of the grid it is applied at."""
        return (Layer(threshold, *self.removes),)


class Cap(_Swept):
    """The excess over the threshold is removed (individual stop-loss): min(x, d) is kept."""

    kind: Literal["cap"] = "cap"
    label_form = "cap {at}"
    sentence_form = "with each patient's cost capped at {at}"

    def label(self, threshold: float, told: Told) -> str:
        """The rule at a threshold, as the head of a column or the name of a line: cap £25k, cap at percentile 99."""
        return super().label(threshold, told).replace("cap percentile", "cap at percentile")


class Coinsure(_Swept):
    """A share of the excess over the threshold is removed; the rest of it stays with the budget holder."""

    kind: Literal["coinsure"] = "coinsure"
    share: Fraction
    """Share of the excess that is removed, 0 to 1."""
    label_form = "{rule.percent:.6g}% out above {at}"
    sentence_form = "with {rule.percent:.6g}% of each patient's cost above {at} taken out"

    @property
    def percent(self) -> float:
        """The share, as it is written."""
        return 100 * self.share

    def layers(self, threshold: float) -> tuple[Layer, ...]:
        return (Layer(threshold, self.share, 0.0),)


class CarveOut(_Swept):
    """A patient who costs more than the threshold leaves the budget with all of his cost."""

    kind: Literal["carve_out"] = "carve_out"
    keep_capitation: bool = False
    """Whether the budget holder keeps the capitation of the patients who left."""
    removes = (0.0, 1.0)
    label_form = "carve-out above {at}"
    sentence_form = "with patients who cost more than {at} carved out"


class Step(Term):
    """One band of `Banded`: from `at` upwards, `share` of the cost is removed."""

    at: Threshold
    """The patient's annual cost at which the band starts."""
    share: Fraction
    """Share of the cost inside the band that is removed, 0 to 1."""


_Ascending = also(ascend("at", "bands must start one above the other"))


class Banded(_Rule):
    """Each band of a patient's cost has its own share removed (layers of stop-loss)."""

    kind: Literal["banded"] = "banded"
    bands: Annotated[tuple[Step, ...], Field(min_length=1), _Ascending]
    """Bands, ascending; a band ends where the next begins. Each `at` must be a threshold of the grid."""
    label_form = "bands from {at}"
    sentence_form = "with bands of each patient's cost above {at} taken out"

    def fixed_thresholds(self) -> tuple[float, ...]:
        return tuple(band.at for band in self.bands)

    def starts(self, threshold: float) -> float:
        return self.bands[0].at

    def layers(self, threshold: float) -> tuple[Layer, ...]:
        """The rule's layers; `threshold` is not used, since the bands fix their own."""
        steps = zip(self.bands, (0.0, *(band.share for band in self.bands[:-1])), strict=True)
        return tuple(Layer(band.at, band.share - before, 0.0) for band, before in steps)


ExclusionRule = Annotated[Cap | Coinsure | CarveOut | Banded, Field(discriminator="kind")]

_ANY: TypeAdapter[ExclusionRule] = TypeAdapter(ExclusionRule)


def as_attribute(rule: ExclusionRule) -> dict[str, str]:
    """The attribute by which an answer says under which rule it holds."""
    return {"rule": rule.model_dump_json(exclude_none=True)}


def rule_of(attributes: Mapping[Any, Any]) -> ExclusionRule:
    """The rule under which an answer holds; a cap where it does not say."""
    return _ANY.validate_json(attributes["rule"]) if "rule" in attributes else Cap()


def rule_from(raw: Mapping[str, Any]) -> ExclusionRule:
    """A rule from its JSON."""
    return _ANY.validate_python(raw)
