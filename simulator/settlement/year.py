"""One contract year of one design, on simulated populations or expected ones."""

from functools import cached_property
from typing import Any

import numpy as np

from ..contracts.budget import BySegment, Expectations, Past
from ..contracts.context import Array, Context
from ..contracts.design import Design
from ..contracts.exclusion import CarveOut, ExclusionRule
from ..contracts.services import Moves
from ..engine import kernels
from ..errors import SimulatorError
from .clearing import Apart, Cleared, clear
from .populations import Populations
from .services import Year, clear_services


class ContractYear:
    """One contract year of one design, with an exclusion rule at one point of the grid."""

    def __init__(self, populations: Populations, design: Design, rule: ExclusionRule) -> None:
        self.populations, self.design, self.rule = populations, design, rule
        self.growth = populations.grown(design.year)
        self.expected_cost = self.growth * populations.expected_retained(rule)
        self.expected_excess = self.growth * populations.expected_gross - self.expected_cost

    def clear(self) -> Cleared:
        """Budget, quality and activity of every replicate, and what follows from them."""
        return self.with_saving(self.accounted(self.settled(self.budget())))

    def settled(self, budget: Array, **earlier: Any) -> Cleared:
        """At the cost of every replicate, after what turns out otherwise than agreed."""
        moves, lines = self.populations.moves, self.populations.lines(self.rule)
        if lines is not None:
            lines = lines.grown(self.growth, self.of_drawn)
            done = lines.activity.sum(axis=0)
            if self.design.services is not None:
                return clear_services(self.design, Year(self._context(done, budget), self.expected_cost), lines)
            price = np.divide((lines.price * lines.activity).sum(axis=0), done, out=np.ones_like(done), where=done > 0)
            apart = Apart(price, lines.gone.sum(axis=0), done - self.cost)
        elif moves == Moves():
            return self.clear_at(self.cost, budget, **earlier)
        else:
            done = moves.factor("activity") * self.cost
            apart = Apart(moves.factor("price"), moves.elsewhere.get("", 0.0) * done, done - self.cost)
        return self.clear_at(done, budget, apart=apart, **earlier)

    def accounted(self, cleared: Cleared) -> Cleared:
        """With what growth and the design's own saving make of the cost that was drawn."""
        accounts, saved = cleared.accounts, None
        if self.growth != 1.0:
            accounts.own_cost = accounts.own_cost + (self.growth - 1.0) * self.populations.gross
        if self.design.savings != 0.0:
            saved = (self.growth - self.of_drawn) * self.populations.retained(self.rule)
            accounts.own_cost = accounts.own_cost - saved
        return cleared._replace(saved=saved)

    def with_saving(self, cleared: Cleared) -> Cleared:
        """With what each party has more than if care were paid for as it comes and nothing saved."""
        if cleared.saved is None:
            return cleared
        accounts, before = cleared.accounts, self.growth * self.populations.gross
        saving = {name: accounts.surplus(name) for name in accounts.payment}
        for name, share in self.design.funders.items():
            saving[name] = saving[name] - accounts.funding[name] + share * before
        return cleared._replace(saving=saving)

    @property
    def of_drawn(self) -> float:
        """The retained cost that the design leaves, as a multiple of what was drawn."""
        return self.growth * (1.0 - self.design.saves)

    @cached_property
    def cost(self) -> Array:
        """Retained cost of every replicate, grown and without what the design saves."""
        drawn = self.populations.retained(self.rule)
        return drawn if self.of_drawn == 1.0 else self.of_drawn * drawn

    def clear_at(self, cost: Array, budget: Array, given: float | None = None, **earlier: Any) -> Cleared:
        """The same at a retained cost, a budget, a quality score where one is given, and what `earlier` years left."""
        if self.design.services is not None:
            bound = "is settled by service, which follows more than the cost of one year"
            raise SimulatorError(f"design {self.design.name!r}", None, bound, "use `simulator settle` or `stress`")
        return clear(
            self.design, self._context(cost, budget, given), expected_cost=self.expected_cost,
            expected_excess=self.expected_excess, excess=self.excess, activity_change=self._activity_change(),
            **earlier,
        )  # fmt: skip

    def _context(self, cost: Array, budget: Array, given: float | None = None) -> Context:
        """What terms may look at."""
        score, outcomes_met = self._quality(given)
        met = None if score is None or self.design.quality is None else score >= self.design.quality.standard
        revenue = None if self.design.revenue is None else self.design.revenue * budget
        return Context(
            budget=budget, cost=cost, members=self.populations.members, year=self.design.year,
            rule_year=self.design.rule_year, revenue=revenue, quality=score, met_standard=met,
            outcomes_met=outcomes_met, allocations=self.populations.allocations(self.design.year),
        )  # fmt: skip

    @cached_property
    def excess(self) -> Array:
        """Cost that the rule removes, of every replicate."""
        excess = self.populations.excess(self.rule)
        return excess if self.growth == 1.0 else self.growth * excess

    def budget(self, past: Past | None = None) -> Array:
        """Budget of every replicate, money per year; from drawn `past` years, where there are any."""
        budget = self.design.budget.evaluate(self._expectations(past)) * np.ones_like(self.expected_cost)
        if isinstance(self.rule, CarveOut) and not (self.rule.keep_capitation or self.rule.excludes_nobody):
            threshold, populations = self.rule.fixed_thresholds()[0], self.populations
            known = populations.above_of_truth if self._follows_truth else populations.expected_above
            left = populations.members - populations.above(threshold)
            budget = budget * left / (populations.members - known(threshold))
        return np.asarray(budget)

    @property
    def _follows_truth(self) -> bool:
        """Whether the budget comes from years that were drawn under the same parameter set as this one."""
        return self.design.budget.kind == "past_years"

    def _expectations(self, past: Past | None) -> Expectations:
        populations, design = self.populations, self.design
        segments = design.budget.kind == "by_segment"
        known = self._of_past_years(past) if self._follows_truth else self._of_all_sets()
        known |= {name: self.growth * known[name] for name in ("gross", "removed", "sd")}
        return Expectations(
            members=populations.members,
            **known,
            segment_members=populations.segment_members() if segments else {},
            usual_members=populations.usual_members() if segments else {},
            year=design.year,
            years_on=0 if populations.year is None else design.year - 1,
        )

    def _of_all_sets(self) -> dict[str, Any]:
        """What is expected of a year of which nobody knows the parameter set."""
        budget, populations = self.design.budget, self.populations
        follows = isinstance(budget, BySegment) and budget.follows_case_mix
        return {
            "gross": populations.expected_gross,
            "removed": populations.expected_gross
            - populations.expected_retained(self.rule)
            + (populations.excess_of_case_mix(self.rule) if follows else np.zeros(1)),
            "sd": np.zeros(1) if isinstance(budget.loading, int | float) else populations.luck_sd(self.rule),
        }

    def _of_past_years(self, past: Past | None) -> dict[str, Any]:
        """What past years tell of this one, as they were drawn under the same parameter set."""
        populations, rule = self.populations, self.rule
        gross, sd = populations.expected_of_truth(None), populations.luck_sd_of_truth(rule)
        known = {"gross": gross, "removed": gross - populations.expected_of_truth(rule), "sd": sd, "past": past}
        if past is not None:
            return known
        return known | {
            "luck": populations.luck(rule) / np.where(sd > 0, sd, 1.0),
            "baseline": populations.by_replicate(populations.deviates(kernels.BASELINE, 1)[:, 0]),
        }

    def _quality(self, given: float | None) -> tuple[Array | None, Array | None]:
        """The score, and whether every measure is met; nothing of a design without quality."""
        quality = self.design.quality
        if quality is None:
            return None, None
        if given is not None:
            return np.asarray(given), np.asarray(given >= 1.0)
        deviates = self.populations.deviates(kernels.QUALITY, quality.draws) if quality.draws else np.zeros((1, 1))
        score = self.populations.by_replicate(quality.score_from(deviates))
        return score, self.populations.by_replicate(quality.all_met(deviates))

    def _activity_change(self) -> dict[str, Array]:
        follows = self.design.follows_patients
        if follows is None:
            return {}
        parties = {party.name: party for party in self.design.parties}
        changes = follows.change(self.populations.deviates(kernels.ACTIVITY, len(follows.providers)), parties)
        return {name: self.populations.by_replicate(change) for name, change in changes.items()}
