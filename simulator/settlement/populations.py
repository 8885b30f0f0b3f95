"""The ledger as plain arrays: what settling needs to know about simulated populations, and their expected values."""

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtri

from .. import runs
from ..contracts.context import Array
from ..contracts.exclusion import ExclusionRule
from ..contracts.services import Moves, Service
from ..costs.conditional import kept_means
from ..costs.model import CostModel, head_counts
from ..costs.moments import Exact, Layer, removed_layers
from ..costs.shock_nodes import quasi_random_uniforms
from ..engine import kernels
from ..errors import SimulatorError
from ..ledger import check_draws, expected_means, retained_cost
from ..scenario import Scenario
from ..strata import strata_of
from .services import Lines, lines_of, moves_of


class Populations:
    """The populations of a ledger; every array has the dims (replicate, others …), length 1 where it does not vary.

    Expectations are exact: from the scenario that the ledger carries or, where observed costs were withheld from it,
    from the means that it keeps. Only of a ledger without either they are means over replicates.

    Where there are parameter sets, what is expected is the mean over them, for nobody knows which one holds; what is
    known *of the truth* is that of the set under which a replicate was drawn.
    """

    def __init__(self, ledger: xr.Dataset, year: int | None = None) -> None:
        check_draws(ledger)
        if year is None and "year" in ledger.coords:
            bound = "holds several years, and this is an answer of one"
            raise SimulatorError("ledger", None, bound, "pool them: sim.pool_years(ledger, {1: 1}) is year 1")
        self.year = year
        self.ledger = ledger = ledger if year is None else ledger.sel(year=year, drop=True)
        self.others = tuple(str(dim) for dim in ledger["gross_cost"].dims if dim != "replicate")
        self.place = "population_size" if "population_size" in ledger.dims else "unit"
        self.gross = self.plain(ledger["gross_cost"])
        self.replicates = np.asarray(ledger["replicate"].values)
        self.members = self.plain(ledger["unit_size" if self.place == "unit" else self.place].astype(float))
        self._drawn: dict[tuple[int, int], Array] = {}
        self._retained: dict[ExclusionRule, Array] = {}
        self._means: dict[ExclusionRule | None, Array] = {}
        self._sds: dict[ExclusionRule | None, Array] = {}
        self._lines: dict[ExclusionRule, Lines | None] = {}

    @cached_property
    def services(self) -> tuple[Service, ...]:
        """The services of the ledger's scenario; none where it does not say."""
        return runs.services_of(self.ledger) if "scenario" in self.ledger.attrs else ()

    @cached_property
    def moves(self) -> Moves:
        """What turns out otherwise than agreed."""
        return moves_of(self.ledger)

    def lines(self, rule: ExclusionRule) -> Lines | None:
        """Services' lines that the rule keeps; None without services."""
        if rule not in self._lines:
            self._lines[rule] = lines_of(self, rule)
        return self._lines[rule]

    # what was drawn

    def plain(self, variable: xr.DataArray) -> Array:
        """Values with the dims (replicate, others …)."""
        missing = [dim for dim in ("replicate", *self.others) if dim not in variable.dims]
        return np.asarray(variable.expand_dims(missing).transpose("replicate", *self.others).values)

    def retained(self, rule: ExclusionRule) -> Array:
        """Cost that the rule keeps."""
        if rule.excludes_nobody:
            return self.gross
        if rule not in self._retained:
            self._retained[rule] = self.plain(retained_cost(self.ledger, rule).squeeze("threshold", drop=True))
        return self._retained[rule]

    def excess(self, rule: ExclusionRule) -> Array:
        """Cost that the rule removes."""
        return np.zeros(1) if rule.excludes_nobody else self.gross - self.retained(rule)

    def above(self, threshold: float) -> Array:
        """Patients above a threshold."""
        return self.plain(self.ledger["n_above"].sel(threshold=threshold, drop=True))

    def luck(self, rule: ExclusionRule) -> Array:
        """Cost that the rule keeps, less its mean given the replicate's common shocks and parameter set."""
        return self.retained(rule) - self.mean_given_shocks(rule)

    def mean_given_shocks(self, rule: ExclusionRule) -> Array:
        """Mean of the cost that the rule keeps, given the common shocks and the parameter set of each replicate."""
        if not {"shock_factor", "unit_shock_factor"} & set(self.ledger):
            return self.expected_of_truth(rule)
        if self.scenario is None:
            return self._fitted_to_shocks(self.retained(rule), self.expected_of_truth(rule))
        model, heads = self.scenario.cost_model, self.heads
        drawn = self._factors
        if drawn.shape[1] > 1 and self.place != "unit":  # all units' total, each under its own
            heads = runs.increments(self.scenario)
        layers = self.layers(rule)
        means = np.empty((self.replicates.size, len(heads)))
        drawn_under = self._set_of_replicate(len(model.truths))
        for number, truth in enumerate(model.truths):
            here = np.flatnonzero(drawn_under == number)
            for u in range(drawn.shape[1] if here.size else 0):
                rows = slice(u, u + 1) if drawn.shape[1] > 1 else slice(None)
                means[here, rows] = kept_means(truth, heads[rows], layers, model.joint_shocks.by_stream(drawn[here, u]))
        means = means if len(heads) == len(self.heads) else means.sum(axis=1, keepdims=True)
        return self.plain(xr.DataArray(means, dims=("replicate", self.place)))

    @property
    def _factors(self) -> Array:
        """What shocks came to, shape (replicate, 1 or unit, shock)."""
        found = self.ledger["unit_shock_factor" if "unit_shock_factor" in self.ledger else "shock_factor"]
        found = found if "unit" in found.dims else found.expand_dims("unit")
        return np.asarray(found.transpose("replicate", "unit", "shock").values)

    def _set_of_replicate(self, sets: int) -> NDArray[np.int64]:
        if "parameter_draw" in self.ledger.coords:
            return np.asarray(self.ledger["parameter_draw"].values)
        return np.asarray(self.replicates % sets)

    def _fitted_to_shocks(self, cost: Array, mean: Array) -> Array:
        """Cost over its mean fitted by a parabola in the logarithm of every shock, where there is no exact mean."""
        logs = np.log(self._factors.reshape(len(self.replicates), -1))
        columns = np.column_stack([np.ones(len(logs)), logs, logs**2])
        ratio = (cost / mean).reshape(len(logs), -1)
        return np.asarray(columns @ np.linalg.lstsq(columns, ratio, rcond=None)[0]).reshape(cost.shape) * mean

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
            if self.ledger.attrs.get("method") == "exact":  # equally likely years and no draws: spread evenly
                n = self.replicates.size
                even = quasi_random_uniforms(count, 1 << math.ceil(math.log2(n)))[:n]
                uniforms = np.random.default_rng(purpose).permutation(even)
            else:
                seed = int(self.ledger.attrs["seed"])
                uniforms = kernels.uniforms(seed, purpose, 0, self.replicates, count, year=self.year or 1)
            self._drawn[purpose, count] = ndtri(uniforms)
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
        return self._over_sets(self.means_by_set(None))

    def expected_retained(self, rule: ExclusionRule) -> Array:
        """Expected cost that the rule keeps."""
        return self.expected_gross if rule.excludes_nobody else self._over_sets(self.means_by_set(rule))

    def luck_sd(self, rule: ExclusionRule) -> Array:
        """Standard deviation of the cost that the rule keeps, common shocks apart, as it is expected.

        That is the mean over parameter sets of the standard deviation under each: their difference is no luck.
        """
        return self._over_sets(self._sds_by_set(rule))

    def expected_above(self, threshold: float) -> Array:
        """Expected patients above a threshold."""
        return self._over_sets(self._above_by_set(threshold))

    def means_by_set(self, rule: ExclusionRule | None) -> Array:
        """Expected cost that a rule keeps under each parameter set, or gross; shape (set, others …)."""
        wanted = None if rule is None or rule.excludes_nobody else rule
        if wanted not in self._means:
            self._means[wanted] = self._mean_of_each(wanted)
        return self._means[wanted]

    def removed_moments(self, rule: ExclusionRule | None) -> Array:
        """Exact mean, sd, skewness and excess kurtosis of what a rule removes; without a rule of the gross cost.

        Shape (moment, parameter set, place).
        """
        layers = removed_layers(self.layers(rule))
        by_set = [exact.total(self.heads, layers) for exact in self.exact_by_set]
        return np.stack([np.stack(moment) for moment in zip(*by_set, strict=True)])

    def _mean_of_each(self, rule: ExclusionRule | None) -> Array:
        if self.scenario is not None:
            layers = self.layers(rule)
            return self._by_set([exact.total(self.heads, layers).mean for exact in self.exact_by_set])
        if self._kept is not None:
            mean = self._kept["gross_cost"] if rule is None else retained_cost(self._kept, rule).squeeze("threshold")
            return self._plain_by_set(mean)
        cost = self.gross if rule is None else self.retained(rule)
        return cost.mean(axis=0, keepdims=True)

    def _sds_by_set(self, rule: ExclusionRule) -> Array:
        """Standard deviation of luck under each parameter set, shape (set, others …); within sets where not known."""
        if rule not in self._sds:
            if self.scenario is not None:
                layers = self.layers(rule)
                self._sds[rule] = self._by_set([e.total(self.heads, layers).sd for e in self._exact_without_shocks])
            else:
                luck, strata = self.luck(rule), strata_of(self.ledger)
                self._sds[rule] = (strata.sd(luck) if strata else luck.std(axis=0))[None]
        return self._sds[rule]

    def _above_by_set(self, threshold: float) -> Array:
        if self.scenario is not None:
            amounts = self._amounts[threshold]
            return self._by_set([exact.count_above(self.heads, amounts).mean for exact in self.exact_by_set])
        if self._kept is not None:
            return self._plain_by_set(self._kept["n_above"].sel(threshold=threshold, drop=True))
        return self.above(threshold).mean(axis=0, keepdims=True)

    def grown(self, year: int) -> float:
        """Cost in a contract year without the contract, as a multiple of what was drawn."""
        path = None if self.scenario is None else self.scenario.do_nothing
        return 1.0 if path is None else path.in_year(year)

    def allocations(self, year: int) -> dict[str, Array]:
        """What funders have in a contract year, money by party."""
        given = () if self.scenario is None else self.scenario.allocations
        return {one.funder: one.in_year(year) * self.members for one in given}

    # what is known of the truth

    def expected_of_truth(self, rule: ExclusionRule | None) -> Array:
        """Expected cost that the rule keeps, or gross, under each replicate's own parameter set."""
        return self._of_truth(self.means_by_set(rule))

    def luck_sd_of_truth(self, rule: ExclusionRule) -> Array:
        """Standard deviation of the cost that the rule keeps, common shocks apart, under each replicate's own set."""
        return self._of_truth(self._sds_by_set(rule))

    def above_of_truth(self, threshold: float) -> Array:
        """Expected patients above a threshold under each replicate's own parameter set."""
        return self._of_truth(self._above_by_set(threshold))

    def _over_sets(self, by_set: Array) -> Array:
        return np.asarray(by_set.mean(axis=0, keepdims=True))

    def _of_truth(self, by_set: Array) -> Array:
        return by_set if len(by_set) == 1 else by_set[self._set_of_replicate(len(by_set))]

    def _by_set(self, found: Sequence[Array]) -> Array:
        """From one array of (place,) for each parameter set."""
        return self._plain_by_set(xr.DataArray(np.stack(found), dims=("parameter_set", self.place)))

    def _plain_by_set(self, values: xr.DataArray) -> Array:
        return self.plain(values.rename(parameter_set="replicate"))

    @cached_property
    def _kept(self) -> xr.Dataset | None:
        """The exact means that the ledger itself keeps."""
        return expected_means(self.ledger)

    def usual_members(self) -> dict[str, Array]:
        """People by segment as expected."""
        names = [str(name) for name in self.ledger["segment"].values]
        people = self.heads.astype(float)
        if self.year is not None and self.scenario is not None and not self.scenario.cost_model.sampled:
            model = self.scenario.cost_model.by_year
            laws = model.laws_in(self.year).reshape(-1, *[people.shape[1]] * 2, model.n_classes).sum(axis=3)
            own = np.broadcast_to(laws, (len(people), *laws.shape[1:])) if len(laws) in (1, len(people)) else laws
            rows = people if len(own) == len(people) else self.scenario.cost_model.unit_heads
            moved = np.einsum("ph,phg->pg", rows, own)
            people = moved if len(moved) == len(people) else moved.sum(axis=0, keepdims=True)
        heads = xr.DataArray(people, dims=(self.place, "segment"))
        return {name: self.plain(heads.isel(segment=k)) for k, name in enumerate(names)}

    def excess_of_case_mix(self, rule: ExclusionRule) -> Array:
        """Expected excess of the people who were drawn, beyond that of the usual case mix."""
        if "members" not in self.ledger or self.scenario is None or rule.excludes_nobody:
            return np.zeros(1)
        alone = self.scenario.population.model_copy(update={"membership": "fixed"})
        exact = Exact(self.scenario.cost_model.model_copy(update={"population": alone}), year=self.year, settled=True)
        one_each = np.eye(len(alone.segments), dtype=np.int64)
        a_head = exact.total(one_each, []).mean - exact.total(one_each, self.layers(rule)).mean
        usual, drawn = self.usual_members(), self.segment_members()
        return np.asarray(sum((drawn[name] - usual[name]) * excess for name, excess in zip(usual, a_head, strict=True)))

    @cached_property
    def heads(self) -> Array:
        """People, shape (population or unit, segment)."""
        if self.scenario is None and "scenario" not in self.ledger.attrs:
            raise SimulatorError("ledger", None, "does not carry its scenario", "give what `simulate` drew")
        # who is covered is there also where the ledger withholds observed costs of its scenario
        covered = self.scenario.population if self.scenario else runs.population_of(self.ledger)
        by_unit = {unit.name: head_counts(unit.members, covered.shares_of(unit)) for unit in covered.units}
        if self.place == "unit":
            return np.stack([by_unit[str(name)] for name in self.ledger["unit"].values])
        if by_unit:
            return np.sum(list(by_unit.values()), axis=0)[None, :]
        return np.stack([head_counts(int(size), covered.shares) for size in self.ledger["population_size"].values])

    @cached_property
    def exact_by_set(self) -> tuple[Exact, ...]:
        """Exact moments under each parameter set."""
        assert self.scenario is not None
        return tuple(Exact(truth, year=self.year) for truth in self.scenario.cost_model.truths)

    @cached_property
    def _exact_without_shocks(self) -> tuple[Exact, ...]:
        assert self.scenario is not None
        if not self.scenario.shocks:
            return self.exact_by_set
        alone = CostModel(population=self.scenario.population, years=self.scenario.years)
        return tuple(Exact(truth, year=self.year) for truth in alone.truths)

    @cached_property
    def _amounts(self) -> dict[float, Array]:
        """Money at which exclusion starts, by the threshold's label."""
        assert self.scenario is not None
        return self.scenario.amounts if self.year is None else self.scenario.amounts_in(self.year)

    def layers(self, rule: ExclusionRule | None) -> list[Layer]:
        """What the rule takes off every stream's costs; nothing without a rule."""
        fixed = () if rule is None or rule.excludes_nobody else rule.layers(rule.fixed_thresholds()[-1])
        return [(self._amounts[at], excess, whole) for at, excess, whole in fixed]
