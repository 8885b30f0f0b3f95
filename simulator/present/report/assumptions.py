"""The tables of a report: its assumptions, and where its numbers come from. No patient data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from ..answers.description import tables
from ..figure import people, percentage
from ..tables import Rows, Table
from .gather import Contents
from .otherwise import drawn_for
from .terms import term_tables

LIMITS = (
    "The model is the assumptions above: it says how far chance moves the cost of such a population, not whether the "
    "assumptions are right. Another spread of cost among the costliest patients can change the answer twofold.",
    "Costs of people are independent given the shocks: contagion inside a practice, and who joins or leaves because of "
    "the contract, are in the figures only if an assumption says so.",
    "It is one contract year. Simulation error is only that of the simulation; it does not cover doubt about the "
    "assumptions.",
)
"""What a board must not conclude."""

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


def assumption_tables(contents: Contents) -> Iterator[Table]:
    """What the scenario implies, units and designs."""
    if contents.described is None:
        yield from _withheld(contents)
    else:
        yield from tables(contents.described)
    yield from _units(contents)
    yield from term_tables(contents.designs, contents.currency)


def _withheld(contents: Contents) -> Iterator[Table]:
    """The segments and shocks of a scenario whose observed costs are withheld."""
    segments = contents.scenario["population"]["segments"]
    rows: Rows = [[one["name"], percentage(one["share"])] for one in segments]
    yield Table(["Segment", "Share of people"], rows, "Segments: who costs what", note="Observed costs are withheld.")
    if shocks := contents.scenario.get("shocks", ()):
        yield Table(["Shock"], [[one["name"]] for one in shocks], "Shocks, which hit many people at once")


def _units(contents: Contents) -> Iterator[Table]:
    units = contents.scenario["population"].get("units", ())
    rows: Rows = [[unit["name"], people(unit["members"])] for unit in units]
    if rows:
        yield Table(["Unit", "People"], rows, "Units, drawn together", note="As given.")


def _named(what: str, given: Sequence[dict[str, Any]], more: str = "") -> Rows:
    return [[what, f"{_told(given)}{more}"]] if given else []


def _told(given: Sequence[dict[str, Any]]) -> str:
    """The names of designs or stresses, and a hash of all that they say."""
    names = ", ".join(str(one["name"]) for one in given)
    said = json.dumps(given, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"{names} (SHA-256 {hashlib.sha256(said.encode()).hexdigest()[:16]})"


# ── where the numbers come from ──────────────────────────────────────────────────────────────────

_STOPPED = {
    "target": "simulated until every 95% interval was as narrow as asked",
    "max_replicates": "stopped at the limit of simulated years: not every 95% interval is as narrow as asked",
}


def provenance(contents: Contents) -> Table:
    """Seed, replicates, scenario, versions and the run's own check."""
    known = contents.summary.attrs
    versions, stresses = json.loads(known.get("versions", "{}")), contents.scenario.get("stresses", ())
    rows: Rows = [
        ["Simulated years", people(known["replicates"])],
        ["Seed", str(known["seed"])],
        ["Scenario", f"{known['scenario_id']} (SHA-256 of what affects the draws)"],
        *_named("Designs", contents.scenario.get("designs", ()) if contents.designs else ()),
        *_named("Stresses", stresses, f"; {drawn_for(contents)}"),
        ["Version of the simulation", str(known.get("draws_version", 1))],
        ["Tables", str(known.get("tables_hash", "—"))],
        ["Simulated at", str(known.get("created_at", "—"))],
        ["Platform", str(known.get("platform", "—"))],
        ["Versions", ", ".join([f"simulator {known.get('simulator_version', '—')}",
                                *(f"{name} {version}" for name, version in sorted(versions.items()))])],
        ["Self-check", str(known["check_sentence"])],
    ]  # fmt: skip
    if known.get("stopped_by") in _STOPPED:
        rows.append(["Length of the run", _STOPPED[str(known["stopped_by"])]])
    note = "The same scenario, seed and number of years give the same figures again."
    return Table(["What", "Value"], rows, "Where these figures come from", note=note, prose=True)
