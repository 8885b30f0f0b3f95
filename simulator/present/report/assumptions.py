"""The tables of a report: what it rests on, and where its numbers come from. Nothing of any patient."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from ..figure import Cell, exact_share, full_money, money, people, percentage, plain_number
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


def assumption_tables(contents: Contents) -> Iterator[Table]:
    """Segments, rare services, shocks, thresholds, units and designs."""
    yield _segments(contents)
    yield from _shocks(contents)
    yield _thresholds(contents)
    yield from _rare_services(contents)
    yield from _units(contents)
    yield from _designs(contents)


def _segments(contents: Contents) -> Table:
    segments = contents.scenario["population"]["segments"]
    known = contents.described["segments"] if contents.described else [{}] * len(segments)
    rows: Rows = [
        [
            segment["name"],
            percentage(segment["share"]),
            percentage(segment.get("p_user", 1.0)),
            _money(row.get("mean"), contents.currency),
            _share(row.get("cv")),
            _share(row.get("share_of_cost")),
            _law(segment["severity"], row),
        ]
        for segment, row in zip(segments, known, strict=True)
    ]
    mix = contents.scenario["population"].get("membership", "fixed")
    held = "the same in every simulated year" if mix == "fixed" else "drawn anew for every simulated year"
    head = ["Segment", "Share of people", "% with any cost", "Mean cost a head", "Coefficient of variation",
            "Share of cost", "Distribution"]  # fmt: skip
    note = (
        "One person's annual cost, before shocks. Shares of people are given; the rest follows from the distributions. "
        f"Case mix: {held}."
    )
    return Table(head, rows, "Segments: who costs what", note=note)


def _law(severity: dict[str, Any], row: dict[str, Any]) -> str:
    if "withheld" in severity:
        return str(severity["withheld"])
    if "calibrate" in severity:
        return f"{severity['calibrate'].get('family', row.get('family', ''))}, calibrated"
    return str(severity.get("family", row.get("family", "")))


def _money(value: Any, currency: str) -> Cell:
    if isinstance(value, int | float):
        return money(float(value), currency)
    return "—" if value is None else "infinite"


def _share(value: Any) -> Cell:
    return exact_share(value) if isinstance(value, int | float) else "—" if value is None else "infinite"


def _shocks(contents: Contents) -> Iterator[Table]:
    shocks = contents.scenario.get("shocks", ())
    told = [(key, title) for key, title in _SHOCK_FIGURES if any(key in shock for shock in shocks)]
    rows: Rows = [
        [
            shock["name"],
            *(percentage(shock[key]) if key in shock else "—" for key, _ in told),
            ", ".join(shock.get("segments", ())) or "everybody",
        ]
        for shock in shocks
    ]
    if rows:
        note = "As given. A shock multiplies the cost of all whom it hits in a year at once; its mean is 1."
        head = ["Shock", *(title for _, title in told), "Hits"]
        yield Table(head, rows, "Shocks: what hits many at once", note=note)


_SHOCK_FIGURES = (("cv", "Coefficient of variation"), ("by", "Changes cost by"), ("probability", "In so many years"))
"""Figures of a shock, and what a column says of them."""


def _thresholds(contents: Contents) -> Table:
    lowest, highest = contents.amounts.min("segment").values, contents.amounts.max("segment").values
    ends = [lowest, *([highest] if (lowest != highest).any() else [])]
    by_percentile = contents.summary["threshold"].attrs.get("units") == "1"
    rows: Rows = [
        [
            name,
            *(_amount(float(end[at]), contents.currency) for end in ends),
            *([percentage(float(contents.summary["threshold"][at]))] if by_percentile else []),
        ]
        for at, name in enumerate(contents.thresholds)
    ]
    by_segment = [": lowest segment", ": highest segment"] if len(ends) > 1 else [""]
    head = ["Cap on a patient’s cost", *(f"One patient's annual cost{which}" for which in by_segment)]
    head += ["Percentile of patients"] if by_percentile else []
    note = "Of each patient's cost, what lies above is taken out of the budget."
    return Table(head, rows, "Thresholds: where exclusion starts", note=note)


def _amount(value: float, currency: str) -> Cell:
    if value == float("inf"):
        return "without limit"
    return full_money(value, currency)


def _rare_services(contents: Contents) -> Iterator[Table]:
    services = contents.described["rare_services"] if contents.described else []
    rows: Rows = [
        [
            service["name"],
            plain_number(service["rate_per_100k"], "g"),
            _money(service["mean_price"], contents.currency),
            "in the budget" if service["in_scope"] else "outside the budget",
        ]
        for service in services
    ]
    if rows:
        head = ["Service", "Events a year for 100,000 people", "Mean cost of an event", "Paid"]
        yield Table(head, rows, "Rare services, counted by event", note="Rates are given; mean costs are calculated.")


def _units(contents: Contents) -> Iterator[Table]:
    units = contents.scenario["population"].get("units", ())
    rows: Rows = [[unit["name"], people(unit["members"])] for unit in units]
    if rows:
        yield Table(["Unit", "People"], rows, "Units, drawn together", note="As given.")


def _designs(contents: Contents) -> Iterator[Table]:
    yield from term_tables(contents.designs, contents.currency)


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
