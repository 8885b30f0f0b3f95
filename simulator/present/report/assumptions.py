"""The tables of a report: what it rests on, and where its numbers come from. Nothing of any patient."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from ..text import full_money, money, people
from .gather import Contents
from .otherwise import drawn_for
from .rounding import exact, given
from .tables import Number, Table
from .terms import term_tables

LIMITS = (
    "The model is the assumptions above: it says how far chance moves the cost of such a population, not whether the "
    "assumptions are right. Another spread of cost among the costliest patients can change the answer twofold.",
    "Costs of people are independent given the shocks: contagion inside a practice, and who joins or leaves because of "
    "the contract, are in the figures only as far as an assumption says so.",
    "It is one contract year. The error beside each figure is that of drawing; it does not hold doubt about the "
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
    rows = [
        [
            segment["name"],
            given(segment["share"]),
            given(segment.get("p_user", 1.0)),
            _money(row.get("mean"), contents.currency),
            _share(row.get("cv")),
            _share(row.get("share_of_cost")),
            _law(segment["severity"], row),
        ]
        for segment, row in zip(segments, known, strict=True)
    ]
    mix = contents.scenario["population"].get("membership", "fixed")
    held = "the same in every population" if mix == "fixed" else "drawn anew for every population"
    head = ["Segment", "Share of people", "Any cost in a year", "Mean cost a head", "Coefficient of variation",
            "Share of cost", "Law"]  # fmt: skip
    note = (
        "One person's annual cost, before shocks. Shares of people are given, the rest is exact. Three figures. "
        f"Case mix: {held}."
    )
    return Table("Segments: who costs what", head, rows, note)


def _law(severity: dict[str, Any], row: dict[str, Any]) -> str:
    if "withheld" in severity:
        return str(severity["withheld"])
    if "calibrate" in severity:
        return f"{severity['calibrate'].get('family', row.get('family', ''))}, calibrated"
    return str(severity.get("family", row.get("family", "")))


def _money(value: Any, currency: str) -> str:
    if isinstance(value, int | float):
        return Number(money(float(value), currency), value, "money")
    return "—" if value is None else "infinite"


def _share(value: Any) -> str:
    return exact(value) if isinstance(value, int | float) else "—" if value is None else "infinite"


def _shocks(contents: Contents) -> Iterator[Table]:
    shocks = contents.scenario.get("shocks", ())
    told = [(key, title) for key, title in _SHOCK_FIGURES if any(key in shock for shock in shocks)]
    rows = [
        [
            shock["name"],
            *(given(shock[key]) if key in shock else "—" for key, _ in told),
            ", ".join(shock.get("segments", ())) or "everybody",
        ]
        for shock in shocks
    ]
    if rows:
        note = "As given. A shock multiplies the cost of all whom it hits in a year at once; its mean is 1."
        head = ["Shock", *(title for _, title in told), "Hits"]
        yield Table("Shocks: what hits many at once", head, rows, note)


_SHOCK_FIGURES = (("cv", "Coefficient of variation"), ("by", "Changes cost by"), ("probability", "In so many years"))
"""Figures of a shock, and what a column says of them."""


def _thresholds(contents: Contents) -> Table:
    lowest, highest = contents.amounts.min("segment").values, contents.amounts.max("segment").values
    ends = [lowest, *([highest] if (lowest != highest).any() else [])]
    by_percentile = contents.summary["threshold"].attrs.get("units") == "1"
    rows = [
        [
            name,
            *(_amount(float(end[at]), contents.currency) for end in ends),
            *([given(float(contents.summary["threshold"][at]))] if by_percentile else []),
        ]
        for at, name in enumerate(contents.thresholds)
    ]
    by_segment = [": lowest segment", ": highest segment"] if len(ends) > 1 else [""]
    head = ["Patient-level rule", *(f"One patient's annual cost{which}" for which in by_segment)]
    head += ["Percentile of patients"] if by_percentile else []
    note = "Exact. Of each patient's cost, what lies above is taken out of the budget."
    return Table("Thresholds: where exclusion starts", head, rows, note)


def _amount(value: float, currency: str) -> str:
    if value == float("inf"):
        return "without limit"
    return Number(full_money(value, currency), value, "money")


def _rare_services(contents: Contents) -> Iterator[Table]:
    services = contents.described["rare_services"] if contents.described else []
    rows = [
        [
            service["name"],
            Number(f"{service['rate_per_100k']:g}", service["rate_per_100k"], "number"),
            _money(service["mean_price"], contents.currency),
            "in the budget" if service["in_scope"] else "outside the budget",
        ]
        for service in services
    ]
    if rows:
        head = ["Service", "Events a year for 100,000 people", "Mean cost of an event", "Paid"]
        yield Table("Rare services, counted by event", head, rows, "Rates are given; mean costs are exact.")


def _units(contents: Contents) -> Iterator[Table]:
    units = contents.scenario["population"].get("units", ())
    rows = [[unit["name"], Number(people(unit["members"]), unit["members"], "people")] for unit in units]
    if rows:
        yield Table("Units, drawn together", ["Unit", "People"], rows, "As given.")


def _designs(contents: Contents) -> Iterator[Table]:
    yield from term_tables(contents.designs, contents.currency)


def _told(given: Sequence[dict[str, Any]]) -> str:
    """The names of designs or stresses, and a hash of all that they say."""
    names = ", ".join(str(one["name"]) for one in given)
    said = json.dumps(given, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"{names} (SHA-256 {hashlib.sha256(said.encode()).hexdigest()[:16]})"


# ── where the numbers come from ──────────────────────────────────────────────────────────────────

_STOPPED = {
    "target": "drawn on until every 95% interval was as narrow as asked",
    "max_replicates": "stopped at the limit of populations: not every 95% interval is as narrow as asked",
}


def provenance(contents: Contents) -> Table:
    """Seed, replicates, scenario, versions and the run's own check."""
    known = contents.summary.attrs
    versions, stresses = json.loads(known.get("versions", "{}")), contents.scenario.get("stresses", ())
    rows = [
        ["Synthetic populations", Number(f"{known['replicates']:,}", known["replicates"], "people")],
        ["Seed", str(known["seed"])],
        ["Scenario", f"{known['scenario_id']} (SHA-256 of what affects the draws)"],
        *([["Designs", _told(contents.scenario["designs"])]] if contents.designs else []),
        *([["Stresses", f"{_told(contents.scenario['stresses'])}; {drawn_for(contents)}"]] if stresses else []),
        ["Version of the draws", str(known.get("draws_version", 1))],
        ["Tables", str(known.get("tables_hash", "—"))],
        ["Drawn at", str(known.get("created_at", "—"))],
        ["Platform", str(known.get("platform", "—"))],
        ["Versions", ", ".join([f"simulator {known.get('simulator_version', '—')}",
                                *(f"{name} {version}" for name, version in sorted(versions.items()))])],
        ["Self-check", str(known["check_sentence"])],
    ]  # fmt: skip
    if known.get("stopped_by") in _STOPPED:
        rows.append(["Length of the run", _STOPPED[str(known["stopped_by"])]])
    note = "The same scenario, seed and number of populations give the same figures again."
    return Table("Where these figures come from", ["What", "Value"], rows, note, prose=True)
