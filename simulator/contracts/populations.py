"""The ledger as plain arrays: what settling needs to know of the populations that were drawn, and expected of them."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import xarray as xr
from scipy.special import ndtri

from .. import runs
from ..base import SimulatorError
from ..costs.conditional import kept_means
from ..costs.model import CostModel, Population, head_counts
from ..costs.moments import Exact, Layer
from ..engine import kernels
from ..ledger import check_draws, retained_cost
from ..scenario import Scenario
from .context import Array
from .exclusion import ExclusionRule


class Populations:
    """The populations of a ledger; every array has the dims (replicate, others …), length 1 where it does not vary.

    Expectations are exact where the ledger carries its whole scenario; where observed costs were withheld from it,
    they are means over replicates.
    """

    def __init__(self, ledger: xr.Dataset) -> None:
        check_draws(ledger)
        self.ledger = ledger
        self.others = tuple(str(dim) for dim in ledger["gross_cost"].dims if dim != "replicate")
        self.place = "population_size" if "population_size" in ledger.dims else "unit"
        self.gross = self.plain(ledger["gross_cost"])
        self.replicates = np.asarray(ledger["replicate"].values)
        self.members = self.plain(ledger["unit_size" if self.place == "unit" else self.place].astype(float))
        self._drawn: dict[tuple[int, int], Array] = {}
        self._retained: dict[ExclusionRule, Array] = {}
        self._known: dict[tuple[ExclusionRule | None, bool], tuple[Array, Array]] = {}

    # what was drawn

    def plain(self, variable: xr.DataArray) -> Array:
        """Values with the dims (replicate, others …)."""
        missing = [dim for dim in ("replicate", *self.others) if dim not in variable.dims]
        return np.asarray(variable.expand_dims(missing).transpose("replicate", *self.others).values)

    def retained(self, rule: ExclusionRule) -> Array:
        """Cost that the rule keeps."""
        if excludes_nobody(rule):
            return self.gross
        if rule not in self._retained:
            self._retained[rule] = self.plain(retained_cost(self.ledger, rule).squeeze("threshold", drop=True))
        return self._retained[rule]

    def excess(self, rule: ExclusionRule) -> Array:
        """Cost that the rule removes."""
        return np.zeros(1) if excludes_nobody(rule) else self.gross - self.retained(rule)

    def above(self, threshold: float) -> Array:
        """Patients above a threshold."""
        return self.plain(self.ledger["n_above"].sel(threshold=threshold, drop=True))

    def luck(self, rule: ExclusionRule) -> Array:
        """Cost that the rule keeps, less its mean given the replicate's common shocks."""
        return self.retained(rule) - self.mean_given_shocks(rule)

    def mean_given_shocks(self, rule: ExclusionRule) -> Array:
        """Mean of the cost that the rule keeps, given the common shocks of each replicate; over all parameter sets."""
        if "shock_factor" not in self.ledger:
            return self.expected_retained(rule)
        if self.scenario is None:
            return self._fitted_to_shocks(self.retained(rule))
        model = self.scenario.cost_model
        factors = model.joint_shocks.by_stream(self.ledger["shock_factor"].transpose("replicate", "shock").values)
        layers = self._layers(rule)
        means = np.mean([kept_means(truth, self._heads, layers, factors) for truth in model.truths], axis=0)
        return self.plain(xr.DataArray(means, dims=("replicate", self.place)))

    def _fitted_to_shocks(self, cost: Array) -> Array:
        """Cost fitted by a parabola in the logarithm of every shock, where there is no exact mean."""
        logs = np.log(self.ledger["shock_factor"].transpose("replicate", "shock").values)
        columns = np.column_stack([np.ones(len(logs)), logs, logs**2])
        by_replicate = cost.reshape(len(logs), -1)
        return np.asarray(columns @ np.linalg.lstsq(columns, by_replicate, rcond=None)[0]).reshape(cost.shape)

    def segment_members(self) -> dict[str, Array]:
        """People by segment."""
        if "members" not in self.ledger:
            return self.usual_members()
        drawn = self.ledger["members"]
        return {str(name): self.plain(drawn.sel(segment=name, drop=True)) for name in drawn["segment"].values}

    # what is drawn when a ledger is settled

    def deviates(self, purpose: int, count: int) -> Array:
        """Standard normal deviates, shape (replicate, count): the same for every design, and for a longer ledger."""
        if (purpose, count) not in self._drawn:
            seed = int(self.ledger.attrs["seed"])
            self._drawn[purpose, count] = ndtri(kernels.uniforms(seed, purpose, 0, self.replicates, count))
        return self._drawn[purpose, count]

    def by_replicate(self, values: Array) -> Array:
        """One value a replicate, to broadcast against money."""
        return values.reshape(-1, *(1 for _ in self.others))

    # what is expected

    @cached_property
    def scenario(self) -> Scenario | None:
        """The scenario that the ledger was drawn from, if the ledger carries it."""
        return runs.scenario_of(self.ledger) if "scenario" in self.ledger.attrs else None

    @cached_property
    def expected_gross(self) -> Array:
        """Expected gross cost."""
        return self._exact_moments(None)[0] if self.scenario else self.gross.mean(axis=0, keepdims=True)

    def expected_retained(self, rule: ExclusionRule) -> Array:
        """Expected cost that the rule keeps."""
        if excludes_nobody(rule):
            return self.expected_gross
        return (
            self._exact_moments(rule)[0]
            if self.scenario
            else np.asarray(self.retained(rule).mean(axis=0, keepdims=True))
        )

    def luck_sd(self, rule: ExclusionRule) -> Array:
        """Standard deviation of the cost that the rule keeps, common shocks apart."""
        if self.scenario:
            return self._exact_moments(rule, shocks=False)[1]
        return np.asarray(self.luck(rule).std(axis=0, keepdims=True))

    def expected_above(self, threshold: float) -> Array:
        """Expected patients above a threshold."""
        if not self.scenario:
            return np.asarray(self.above(threshold).mean(axis=0, keepdims=True))
        return self._placed(self._exact().n_above(self._heads, self._amounts(threshold))[0])

    def usual_members(self) -> dict[str, Array]:
        """People by segment as expected."""
        names = [str(name) for name in self.ledger["segment"].values]
        return {name: self._placed(self._heads[:, k].astype(float)) for k, name in enumerate(names)}

    def excess_of_case_mix(self, rule: ExclusionRule) -> Array:
        """Expected excess of the people who were drawn, beyond that of the usual case mix."""
        if "members" not in self.ledger or self.scenario is None or excludes_nobody(rule):
            return np.zeros(1)
        alone = self.scenario.population.model_copy(update={"membership": "fixed"})
        exact = Exact(self.scenario.cost_model.model_copy(update={"population": alone}))
        one_each = np.eye(len(alone.segments), dtype=np.int64)
        a_head = exact.total(one_each, []).mean - exact.total(one_each, self._layers(rule)).mean
        usual, drawn = self.usual_members(), self.segment_members()
        return np.asarray(sum((drawn[name] - usual[name]) * excess for name, excess in zip(usual, a_head, strict=True)))

    @cached_property
    def _heads(self) -> Array:
        """People, shape (population or unit, segment)."""
        covered = self.scenario.population if self.scenario else self._covered()
        by_unit = {unit.name: head_counts(unit.members, covered.shares_of(unit)) for unit in covered.units}
        if self.place == "unit":
            return np.stack([by_unit[str(name)] for name in self.ledger["unit"].values])
        if by_unit:
            return np.sum(list(by_unit.values()), axis=0)[None, :]
        return np.stack([head_counts(int(size), covered.shares) for size in self.ledger["population_size"].values])

    def _covered(self) -> Population:
        """Who is covered, where the ledger withholds observed costs of its scenario."""
        if "scenario" not in self.ledger.attrs:
            raise SimulatorError("ledger", None, "does not carry its scenario", "give what `simulate` drew")
        return runs.population_of(self.ledger)

    def _exact(self, shocks: bool = True) -> Exact:
        assert self.scenario is not None
        model = self.scenario.cost_model
        if not (shocks and model.shocks):
            return self._exact_without_shocks
        return self._exact_with_shocks

    @cached_property
    def _exact_with_shocks(self) -> Exact:
        assert self.scenario is not None
        return Exact(self.scenario.cost_model)

    @cached_property
    def _exact_without_shocks(self) -> Exact:
        assert self.scenario is not None
        return Exact(CostModel(population=self.scenario.population))

    def _exact_moments(self, rule: ExclusionRule | None, shocks: bool = True) -> tuple[Array, Array]:
        """Exact mean and standard deviation of the cost that a rule keeps."""
        if (rule, shocks) not in self._known:
            self._known[rule, shocks] = self._total_of(rule, shocks)
        return self._known[rule, shocks]

    def _total_of(self, rule: ExclusionRule | None, shocks: bool) -> tuple[Array, Array]:
        total = self._exact(shocks).total(self._heads, self._layers(rule))
        return self._placed(total.mean), self._placed(total.sd)

    def _layers(self, rule: ExclusionRule | None) -> list[Layer]:
        fixed = () if rule is None or excludes_nobody(rule) else rule.layers(rule.fixed_thresholds()[-1])
        return [(self._amounts(at), excess, whole) for at, excess, whole in fixed]

    def _amounts(self, label: float) -> Array:
        """The money of each stream at a point of the grid."""
        assert self.scenario is not None
        if math.isinf(label):
            return np.full(self.scenario.threshold_amounts.shape[0], math.inf)
        return np.asarray(self.scenario.threshold_amounts[:, self.scenario.threshold_labels.tolist().index(label)])

    def _placed(self, values: Array) -> Array:
        return self.plain(xr.DataArray(values, dims=self.place))


def excludes_nobody(rule: ExclusionRule) -> bool:
    """Whether the rule's own thresholds are all infinite; a rule that is swept has none of its own."""
    fixed = rule.fixed_thresholds()
    return bool(fixed) and all(math.isinf(threshold) for threshold in fixed)
