"""What the literature says about the size of a risk pool, compared with a scenario of the same size.

Bachmann and Bevan simulated rare costly referrals of general practices and found that variation grows sharply below
30,000 person-years, so that a list of 10,000 should pool three years. Jones held that below 100,000 heads the risk is
higher than acceptable. Neither says how likely which overspend may be; so each is put the other way round: which
overspend is passed in one year of twenty at their size?

References
----------
Bachmann, Bevan (1996), Determining the size of a total purchasing site to manage the financial risks of rare costly
    referrals: computer simulation model. BMJ 313:1054.
Jones (2009): as cited in the East Sussex accountable-care paper (2015).
"""

import xarray as xr

from ... import ledger as books
from ...scenario import Scenario
from ..luck.luck import by_risk
from .viable import viable_terms

FINDINGS = (
    ("Bachmann & Bevan, one year of a list", 10_000, "should pool three years"),
    ("Bachmann & Bevan, three years pooled", 30_000, "variation grows sharply below"),
    ("Jones", 100_000, "risk higher than acceptable below"),
)
"""Who names a size, how many people it is, and what is said of it."""


def beside_published(scenario: Scenario, *, at_most: float = 0.05) -> xr.Dataset:
    """The margin that is passed with a given chance at each size that the literature names.

    Parameters
    ----------
    scenario : Scenario
        Its population sizes do not matter.
    at_most : float
        Chance of an overspend above the margin.

    Returns
    -------
    xarray.Dataset
        ``margin`` (risk, source, threshold), exact, a fraction of the budget; with coordinates ``people`` and ``says``.

    Notes
    -----
    Three things set the answers apart. The scenario's budget holds all care, in which rare costly referrals are diluted
    by the many small costs that a practice's referral budget does not hold: for the same size its margin is smaller.
    Pooling years helps only as far as the same people's costs are not correlated from year to year; 30,000
    person-years of 10,000 people are worth fewer than 30,000 people. And system-wide shocks are not averaged
    out at all: at 100,000 heads it outweighs luck, so compare the two risks before calling a size acceptable.
    """
    risks, sizes = by_risk(scenario), [people for _, people, _ in FINDINGS]
    margins = [[viable_terms(asked, n, at_most=at_most)["margin"] for n in sizes] for asked in risks.values()]
    parts = [xr.concat(of_risk, dim="source") for of_risk in margins]
    margin = xr.concat(parts, dim=xr.DataArray(list(risks), dims="risk", name="risk"))
    answer = xr.Dataset({"margin": margin}).assign_coords(
        source=[source for source, _, _ in FINDINGS],
        people=("source", sizes),
        says=("source", [said for _, _, said in FINDINGS]),
    )
    answer.attrs = {"title": scenario.title, "currency": scenario.currency, "at_most": at_most, "method": "exact"}
    return books.declared(answer, "published", at_most=at_most)
