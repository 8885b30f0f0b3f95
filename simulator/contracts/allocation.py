"""What funders have, and what care would cost without the contract: neither depends on a design."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from ..terms import Count, Name, Number, Positive, Term

Growth = Annotated[Number, Field(gt=-1)]


class Allocation(Term):
    """A funder's money for the people of the contract, whatever a design makes of it."""

    funder: Name
    """The party that has it."""
    per_head: Positive
    """Money per member in contract year 1."""
    growth: Growth = 0.0
    """Growth a year, as a fraction."""

    def in_year(self, year: int) -> float:
        """Money per member in a contract year."""
        return self.per_head * (1.0 + self.growth) ** (year - 1)


class DoNothing(Term):
    """What care would cost without the contract: the scenario's costs in contract year 1, then growth."""

    growth: Growth
    """Growth of cost a year without the contract, as a fraction."""
    years: Count = 5
    """Contract years for which money and cost are shown."""

    def in_year(self, year: int) -> float:
        """Cost in a contract year, as a multiple of that in year 1."""
        return (1.0 + self.growth) ** (year - 1)


GivenDoNothing = Annotated[
    DoNothing,
    BeforeValidator(
        lambda raw: raw if isinstance(raw, dict | DoNothing) else {"growth": raw},
        json_schema_input_type=Growth | DoNothing,
    ),
]
"""Written as a plain growth, or with the years that are shown."""
