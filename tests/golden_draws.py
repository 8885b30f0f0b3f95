"""The draws of small scenarios, and the file that keeps them by version of the draws.

`python tests/golden_draws.py` records what the file lacks, and everything anew once `DRAWS_VERSION` in
`simulator/terms.py` was raised; it never changes what is recorded of the present version.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import FAMILIES, KINDS, LOGNORMAL, RARE, SETS, UNITS, alone, make

import simulator as sim
from simulator.ledger import VARIABLES, fingerprint
from simulator.terms import DRAWS_VERSION

FILE = Path(__file__).with_name("golden_draws.json")
CLOSE = 1e-9
"""Other processors and packages move the tables in their last digits, and sums by less than this."""

_RARE_YEARS = [
    {"name": "pandemic", "probability": 0.4, "by": 0.3},
    {"name": "prices", "cv": 0.05, "segments": ["well"]},
    {"name": "winter", "cv": 0.02, "segments": ["complex"]},
]
_TOGETHER = [{"between": ["prices", "winter"], "value": 0.5}]
_WAYS: dict[str, dict[str, Any]] = {
    **KINDS,
    "segment shocks, rare years and correlation": {"shocks": _RARE_YEARS, "shock_correlations": _TOGETHER},
    "parameter sets with units": {"population": {"parameter_sets": SETS, "units": UNITS}},
    "rare services with sampled units": {
        "population": {"rare_services": RARE, "units": UNITS, "membership": "sampled"},
        "shocks": _RARE_YEARS,
    },
    "a cut of its own": {"simulation": {"cut": 1_500.0}},
    "another seed": {"simulation": {"seed": 2**63 - 1}},
    "no thresholds": {"simulation": {"thresholds": [float("inf")]}},
}


def scenarios() -> dict[str, sim.Scenario]:
    """Every family, and everything that the engine does."""
    ways = {name: make(**_small(change)) for name, change in _WAYS.items()}
    laws = {
        f"family {name}": alone(severity, p_user=0.8, **_small({"simulation": {"thresholds": [900.0, 4_000.0]}}))
        for name, severity in FAMILIES.items()
    }
    all_large = {"all claims large": alone(LOGNORMAL, **_small({"simulation": {"thresholds": [1.0, 4_000.0]}}))}
    return ways | laws | all_large


def _small(change: dict[str, Any]) -> dict[str, Any]:
    return change | {"simulation": {"replicates": 6, "population_sizes": [60, 250], **change.get("simulation", {})}}


def drawn(scenario: sim.Scenario) -> dict[str, Any]:
    """What is kept of a scenario's draws: tables and bits by hash, and of each variable a sum that knows its places."""
    ledger = sim.simulate(scenario, progress=False)
    kept = {"tables": ledger.attrs["tables_hash"], "bits": fingerprint(ledger)}
    return kept | {"sums": {str(name): _sum(ledger[name]) for name in ledger.data_vars if str(name) in VARIABLES}}


def _sum(values: xr.DataArray) -> float:
    flat = values.values.ravel().astype(float)
    return float(np.where(np.isfinite(flat), flat, 0.0) @ (1.0 + np.arange(flat.size) % 97))


def differences(recorded: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """In what two records differ by more than another processor explains."""
    names = sorted({*recorded["sums"], *found["sums"]})
    moved = [name for name in names if not _alike(recorded["sums"].get(name), found["sums"].get(name))]
    same_tables = recorded["tables"] == found["tables"]
    return moved or (["bits"] if same_tables and recorded["bits"] != found["bits"] else [])


def _alike(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and abs(one - other) <= CLOSE * max(abs(one), abs(other))


def recorded() -> dict[str, Any]:
    """What the file keeps."""
    kept: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {"draws_version": 0, "draws": {}}
    return kept


def record() -> list[str]:
    """Write the file; gives the names of scenarios whose draws have changed though the version has not."""
    kept, found = recorded(), {name: drawn(scenario) for name, scenario in scenarios().items()}
    same = kept["draws_version"] == DRAWS_VERSION
    changed = [
        name for name in found if same and name in kept["draws"] and differences(kept["draws"][name], found[name])
    ]
    if not changed:
        draws = {name: kept["draws"].get(name, one) if same else one for name, one in found.items()}
        FILE.write_text(json.dumps({"draws_version": DRAWS_VERSION, "draws": draws}, indent=1) + "\n")
    return changed


if __name__ == "__main__":
    refused = record()
    if refused:
        raise SystemExit(
            f"the draws of {', '.join(refused)} have changed: raise DRAWS_VERSION in simulator/terms.py first"
        )
