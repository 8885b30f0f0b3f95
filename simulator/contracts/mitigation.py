"""What every mitigation of financial risk may say of itself."""

from __future__ import annotations

from typing import Literal

from ..terms import Term

Basis = Literal["prospective", "retrospective"]


class Mitigation(Term):
    """An exclusion, a limit or a pool: agreed before the year, or applied to its costs afterwards."""

    basis: Basis | None = None
    """Whether it is agreed before the year ("prospective") or taken after it ("retrospective"); a label."""
