"""The tables of a report: its assumptions, and where its numbers come from. No patient data."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...terms import read_toml
from ..answers.description import tables
from ..figure import people, percentage
from ..tables import Rows, Table
from .gather import Contents
from .otherwise import drawn_for
from .terms import term_tables

WORDS = read_toml(Path(__file__).with_name("templates") / "words.toml")
"""Its `limits`, what a board must not conclude, and its `glossary`."""


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
