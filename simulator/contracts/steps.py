"""What every step of a design may say of itself: a term, which changes a settlement, or a transfer between parties."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from ..terms import Term
from .context import Array, Context

Basis = Literal["prospective", "retrospective"]


class Mitigation(Term):
    """An exclusion, a limit or a pool: agreed before the year, or applied to its costs afterwards."""

    basis: Basis | None = None
    """Whether it is agreed before the year ("prospective") or taken after it ("retrospective"); a label."""


class Step(Term):
    """A term or a transfer; what a step does not say of itself is as here."""

    event: ClassVar[str] = ""
    """Name of what is counted where the step changed something; nothing is counted without one."""
    needs_quality: ClassVar[bool] = False
    """Whether a design with it must give quality."""

    @property
    def rests_on_revenue(self) -> bool:
        """Whether it has nothing but revenue to go by."""
        return False

    @property
    def limited_by_revenue(self) -> bool:
        """Whether the provider's revenue limits what it does."""
        return self.rests_on_revenue

    @property
    def goes_by_revenue(self) -> bool:
        """Whether the provider's revenue decides which of its figures holds."""
        return False

    def parties_needed(self) -> tuple[str, ...]:
        """Names that must be among the parties."""
        return ()


class SettlementTerm(Step):
    """A step that changes the settlement, signed money per year, positive when it goes to the provider."""

    def apply(self, settlement: Array, context: Context) -> Array:
        """What the settlement becomes."""
        raise NotImplementedError

    def triggered(self, before: Array, after: Array, context: Context) -> Array:
        """Where its event occurred: where it changed the settlement."""
        return np.asarray(before != after)
