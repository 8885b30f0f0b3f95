"""What a cost model implies about people, exactly: no draws, no shocks.

What an analyst can compare with what he knows: the mean, who has no cost, how concentrated cost is, how much of the
differences between people the segments explain, and what lies above each threshold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import effort
from ...costs.calibrate import CALIBRATED_FAMILIES, calibrate
from ...costs.model import CostModel, Population
from ...costs.moments import gross_per_head
from ...costs.segment import Segment
from ...costs.shock_nodes import joint_nodes
from ...errors import SimulatorError
from ...numerals import plain
from ...terms import Array
from ...thresholds import Thresholds, percentiles_of

if TYPE_CHECKING:
    from ...scenario import Scenario


TOP = (0.01, 0.05, 0.10)  # shares of people whose share of cost is told

PUBLISHED_R_SQUARED = {"age and sex": 0.037, "diagnoses": 0.12}
"""Share of the variance of one person's cost that capitation formulas explain (Dixon et al., BMJ 2011;343:d6608)."""

DEFAULT_THRESHOLDS = (25_000.0, 50_000.0, 100_000.0, 250_000.0, math.inf)


def describe(scenario: Scenario) -> dict[str, Any]:
    """What a scenario implies about one person's annual cost, exactly.

    Parameters
    ----------
    scenario : Scenario

    Returns
    -------
    dict
        As `describe_model`, with the scenario's title and currency. It can be written as JSON; infinity is "inf".
        Where the scenario carries parameter sets, figures are the central ones, and `parameter_sets` tells the number
        of sets, the mean cost over them, which is what a budget expects, and its standard deviation between them.

    Examples
    --------
    >>> import simulator as sim
    >>> round(sim.describe(sim.load("configs/east_sussex.toml"))["top_share"]["0.05"], 3)
    0.514
    """
    columns, streams = scenario.threshold_labels.size, len(scenario.cost_model.streams)
    work = effort.moments(streams, columns, 1)
    effort.expect("what the scenario implies", work, "simulation.thresholds", columns, "give fewer, or fewer segments")
    found = describe_model(scenario.cost_model, scenario.simulation.thresholds)
    if scenario.population.n_sets:
        means = np.array([_People(truth).mean for truth in scenario.cost_model.truths])
        found["parameter_sets"] = {"number": means.size, "mean": float(means.mean()), "mean_sd": float(means.std())}
    if scenario.years is not None:
        found["years"] = list(scenario.years.years)
    return {"title": scenario.title, "currency": scenario.currency, **found}


def describe_model(model: CostModel, thresholds: Thresholds = DEFAULT_THRESHOLDS) -> dict[str, Any]:
    """What a cost model implies about one person's annual cost, before shocks; an infinite variance is "inf"."""
    people = _People(model)
    between = people.variance_of(people.raw[:, 1])
    described = {
        "membership": model.population.membership,
        "mean": people.mean,
        "zero_share": 1 - model.person_sf(0.0),
        "sd": people.sd,
        "cv": people.sd / people.mean,
        "tail_index": min(s.severity.tail_index for s in model.streams),
        "top_share": {f"{q:g}": model.top_share(q) for q in TOP},
        "bottom_half_share": 1 - model.top_share(0.5),
        "r_squared": _part(between, people.sd**2),
        "variance_between_segments": between,
        "published_r_squared": dict(PUBLISHED_R_SQUARED),
        "thresholds": _threshold_rows(people, thresholds),
        "segments": _segment_rows(people),
        "shocks": [shock.model_dump() | {"cv": shock.cv} for shock in model.shocks],
        "shock_correlations": [pair.model_dump() for pair in model.shock_correlations],
        "shock_cv": shock_cv(model),
        **_rare_services(model),
    }
    told: dict[str, Any] = plain(described)
    return told


def shock_cv(model: CostModel) -> float:
    """Coefficient of variation that all shocks together give the cost in scope of an infinite population."""
    joint = model.joint_shocks
    if joint.hits.all():
        return math.sqrt(math.prod(1 + shock.cv**2 for shock in model.shocks) - 1)
    weight = gross_per_head(model)
    nodes = joint_nodes(joint)
    apart = nodes.factors @ weight / weight.sum() - 1
    return math.sqrt(nodes.weights @ apart**2)


class _People:
    """Everybody of the segments, a mixture of users and of people without cost."""

    def __init__(self, model: CostModel) -> None:
        self.model = model
        self.streams = model.streams[: model.shares.size]
        self.shares = model.shares
        self.rates = np.array([s.rate for s in self.streams])
        self.moments = [s.severity.moments for s in self.streams]

    @cached_property
    def raw(self) -> Array:
        """E[Xᵏ] of a person of each segment, shape (segment, 5)."""
        raw: Array = self.rates[:, None] * np.array([m.raw for m in self.moments])
        raw[:, 0] = 1.0
        return raw

    @property
    def mean(self) -> float:
        return float(self.shares @ self.raw[:, 1])

    @property
    def sd(self) -> float:
        # what is left of a difference of equal squares may be less than nothing
        return math.sqrt(max(float(self.shares @ self.raw[:, 2]) - self.mean**2, 0.0))

    def variance_of(self, segment_means: Array) -> float:
        """Variance between people of what is the same for everybody in a segment."""
        return float(self.shares @ (segment_means - self.shares @ segment_means) ** 2)

    def above(self, cost: Array) -> Array:
        """E[Xᵏ; X > cost] of a person of each segment, shape (segment, 5), at each segment's own cost."""
        return np.stack([rate * m.above(c) for rate, m, c in zip(self.rates, self.moments, cost, strict=True)])

    def capped(self, cost: Array) -> Array:
        """E[min(X, cost)ᵏ], k = 1, 2, of a person of each segment, shape (segment, 2)."""
        above = self.p_above(cost)
        # a threshold that nobody exceeds may be too large for its square
        finite = np.where(above > 0, cost, 0.0)
        below = np.array([rate * m.below(c)[1:3] for rate, m, c in zip(self.rates, self.moments, cost, strict=True)])
        capped: Array = below + np.stack([finite, finite**2], axis=1) * above[:, None]
        return capped

    def p_above(self, cost: Array) -> Array:
        """P(X > cost) of a person of each segment."""
        each = zip(self.rates, self.streams, cost, strict=True)
        return np.array([rate * float(s.severity.sf(c)) if math.isfinite(c) else 0.0 for rate, s, c in each])


def _threshold_rows(people: _People, thresholds: Thresholds) -> list[dict[str, Any]]:
    amounts, given = people.model.threshold_amounts(thresholds)[: people.shares.size], percentiles_of(thresholds)
    levels = given.percentiles if given else [None] * amounts.shape[1]
    return [_threshold_row(people, *one) for one in effort.each(zip(amounts.T, levels, strict=True), "thresholds")]


def _threshold_row(people: _People, amount: Array, percentile: float | None) -> dict[str, Any]:
    capped = people.capped(amount)
    mean = float(people.shares @ capped[:, 0])
    variance = max(float(people.shares @ capped[:, 1]) - mean**2, 0.0)
    p_above = people.p_above(amount)
    whole = people.above(amount)[:, 1]
    excess = whole - np.where(np.isfinite(amount), amount, 0.0) * p_above
    shared = float(amount[0]) if np.all(amount == amount[0]) else None
    return {
        "threshold": shared,
        "threshold_by_segment": None if shared is not None else amount.tolist(),
        "percentile": percentile,
        "p_above": float(people.shares @ p_above),
        "share_of_cost_above": float(people.shares @ excess) / people.mean,
        "share_of_cost_of_patients_above": float(people.shares @ whole) / people.mean,
        "share_of_variance_above": 0.0 if np.all(np.isinf(amount)) else _part(people.sd**2 - variance, people.sd**2),
        "mean_below": mean,
        "sd": math.sqrt(variance),
        "cv": math.sqrt(variance) / mean,
        "r_squared": _part(people.variance_of(capped[:, 0]), variance),
    }


def _part(part: float, whole: float) -> float:
    """A share of a variance: 0 if the whole is 0; 1 if the part is infinite."""
    return 0.0 if whole == 0 else 1.0 if math.isinf(part) else part / whole


def _segment_rows(people: _People) -> list[dict[str, Any]]:
    return [
        {
            "name": stream.name,
            "share_of_people": float(share),
            "share_of_cost": float(share * raw[1]) / people.mean,
            "mean": float(raw[1]),
            "cv": math.sqrt(max(float(raw[2]) - float(raw[1]) ** 2, 0.0)) / float(raw[1]),
            "p_user": stream.rate,
            "family": stream.severity.family,  # type: ignore[attr-defined]
            "tail_index": stream.severity.tail_index,
        }
        for stream, share, raw in zip(people.streams, people.shares, people.raw, strict=True)
    ]


def _rare_services(model: CostModel) -> dict[str, Any]:
    rows: list[dict[str, Any]] = [
        {
            "name": service.name,
            "in_scope": service.in_scope,
            "rate_per_100k": service.rate_per_100k,
            "mean_price": (price := float(service.price.moments.raw[1])),
            "cost_a_head": service.rate_per_100k / 100_000 * price,
        }
        for service in model.population.rare_services
    ]
    return {
        "rare_services": rows,
        "rare_cost_in_scope": math.fsum(row["cost_a_head"] for row in rows if row["in_scope"]),
        "rare_cost_out_of_scope": math.fsum(row["cost_a_head"] for row in rows if not row["in_scope"]),
    }


def describe_calibration(
    family: str,
    *,
    mean: float,
    p_user: float = 1.0,
    cv: float | None = None,
    top_share: Mapping[float, float] | None = None,
    thresholds: Sequence[float] = DEFAULT_THRESHOLDS,
) -> dict[str, Any]:
    """One family calibrated from summary figures, with what it reaches beside each target."""
    users = calibrate(family, mean=mean, p_user=p_user, cv=cv, top_share=top_share)
    segment = Segment.model_validate({"name": "everybody", "share": 1.0, "p_user": float(p_user), "severity": users})
    model = CostModel(population=Population(segments=(segment,)))
    people = _People(model)
    fit = [("mean", mean, people.mean)]
    fit += [] if cv is None else [("cv", cv, people.sd / people.mean)]
    fit += [(f"top-{q * 100:g}% share", share, model.top_share(q)) for q, share in sorted((top_share or {}).items())]
    told: dict[str, Any] = plain({
        "family": family, "p_user": float(p_user), "severity": users.model_dump(exclude_none=True),
        "fit": [{"target": name, "wanted": float(wanted), "reached": reached} for name, wanted, reached in fit],
        "segment": describe_model(model, tuple(thresholds)),
    })  # fmt: skip
    return told


def compare_families(
    *,
    mean: float,
    p_user: float = 1.0,
    cv: float | None = None,
    top_share: Mapping[float, float] | None = None,
    thresholds: Sequence[float] = DEFAULT_THRESHOLDS,
) -> list[dict[str, Any]]:
    """All families for the same summary figures, side by side.

    Families that agree on the mean and on one more figure can differ by a third on what lies above a threshold.
    """
    rows: list[dict[str, Any]] = []
    targets: dict[str, Any] = {"mean": mean, "p_user": p_user, "cv": cv, "top_share": top_share}
    for family in CALIBRATED_FAMILIES:
        try:
            row = describe_calibration(family, thresholds=thresholds, **targets)
        except SimulatorError as error:
            row = {"family": family, "refused": str(error).removeprefix("calibrate: ")}
        rows.append(row)
    reasons = {row.get("refused") for row in rows}
    if len(reasons) == 1 and None not in reasons:
        # the targets themselves are at fault: tell it once
        calibrate(CALIBRATED_FAMILIES[0], **targets)
    return rows
