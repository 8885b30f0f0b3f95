"""The words of a report, for those who do not use them every day."""

from __future__ import annotations

from typing import NamedTuple


class Word(NamedTuple):
    """A term and what it means here."""

    term: str
    meaning: str


GLOSSARY = (
    Word("Budget", "The exact mean of the retained cost: the cost left in the budget after exclusions."),
    Word("Budget by contract", "What a design pays for that cost; it may be more or less than the expected cost."),
    Word("Calculated without simulation", "Worked out from the assumptions; it has no simulation error."),
    Word("Cap", "One patient's cost above the threshold in a year leaves the budget, and somebody else pays for it."),
    Word("Capitation", "A fixed amount of money for each person and year, whatever care the person needs."),
    Word("Coefficient of variation", "Standard deviation over mean. Of a population's cost, about one year in three "
         "strays as far from the mean, or further; of one person's cost, which is skewed, it only compares segments."),
    Word("Design", "Who pays, keeps and loses what: a budget, an exclusion, shares of gains and losses, parties."),
    Word("Margin", "How far above the budget a year may end before it counts as an overspend here."),
    Word("Mean of the worst years", "Average cost of the costliest 5% of years (TVaR): above a 1-in-20 year."),
    Word("Overspend", "Retained cost, divided by the budget, less one."),
    Word("Segment", "People with one distribution of annual cost: a need level, an age band."),
    Word("Share of the risk", "How much of the year-to-year risk a party carries; the shares add to 100%."),
    Word("Shock", "Something that moves everybody's cost at once: prices, a hard winter. A larger population does not "
         "average it out."),
    Word("Simulated year", "The cost of one synthetic population for one year, drawn at random."),
    Word("Standard error", "How far a simulated figure typically lies from what an endless simulation would give."),
    Word("Stress", "Something that does not go to plan, such as prices; budgets stay as they were agreed."),
    Word("Surplus", "What a party has left after the year: money it brought, plus what it is paid, less its costs."),
    Word("Threshold", "One patient's annual cost at which exclusion starts."),
    Word("95% interval", "Made so that 95 of 100 such intervals hold the true figure."),
)  # fmt: skip
"""In alphabetical order."""
