"""The words of a report, for those who do not use them every day."""

GLOSSARY = {
    "Budget": "The exact mean of the retained cost: the cost left in the budget after exclusions.",
    "Budget by contract": "What a design pays for that cost; it may be more or less than the expected cost.",
    "Calculated without simulation": "Worked out from the assumptions; it has no simulation error.",
    "Cap": "One patient's cost above the threshold in a year leaves the budget, and somebody else pays for it.",
    "Capitation": "A fixed amount of money for each person and year, whatever care the person needs.",
    "Coefficient of variation": "Standard deviation over mean. Of a population's cost, about one year in three "
    "strays as far from the mean, or further; of one person's cost, which is skewed, it only compares segments.",
    "Design": "Who pays, keeps and loses what: a budget, an exclusion, shares of gains and losses, parties.",
    "Margin": "How far above the budget a year may end before it counts as an overspend here.",
    "Mean of the worst years": "Average cost of the costliest 5% of years (TVaR): above a 1-in-20 year.",
    "Overspend": "Retained cost, divided by the budget, less one.",
    "Segment": "People with one distribution of annual cost: a need level, an age band.",
    "Share of the risk": "How much of the year-to-year risk a party carries; the shares add to 100%.",
    "Shock": "Something that moves everybody's cost at once: prices, a hard winter. A larger population does not "
    "average it out.",
    "Simulated year": "The cost of one synthetic population for one year, drawn at random.",
    "Standard error": "How far a simulated figure typically lies from what an endless simulation would give.",
    "Stress": "Something that does not go to plan, such as prices; budgets stay as they were agreed.",
    "Surplus": "What a party has left after the year: money it brought, plus what it is paid, less its costs.",
    "Threshold": "One patient's annual cost at which exclusion starts.",
    "95% interval": "Made so that 95 of 100 such intervals hold the true figure.",
}
"""Each term and what it means here, in alphabetical order."""
