"""Twenty designs of every sort, at one threshold or swept over the grid."""

from __future__ import annotations

from typing import Any

import simulator as sim

_GATE, _SHARE = {"kind": "minimum_rate"}, {"kind": "share", "gain": 0.5, "loss": 0.3}
_SORTS: tuple[dict[str, Any], ...] = (
    {},
    {"terms": [_GATE, _SHARE]},
    {
        "quality": {"score": 0.9},
        "terms": [
            _GATE,
            {"kind": "quality_share", "gain": 0.5, "loss": 0.3},
            {"kind": "haircut", "keep": 0.98},
            {"kind": "gain_cap", "of_budget": 0.1},
            {"kind": "loss_limit", "of_budget": 0.04},
        ],
    },
    {"budget": {"kind": "past_years", "weights": [0.1, 0.3, 0.6], "correlation": [0.4, 0.3]}, "terms": [_SHARE]},
    {"terms": [{"kind": "cap_and_collar", "cap": 0.03, "collar": -0.03}]},
)


def twenty(threshold: float | None) -> list[sim.Design]:
    """Designs that cap a patient's cost at one threshold, or at each of the grid."""
    rule = {"kind": "cap"} if threshold is None else {"kind": "cap", "at": threshold}
    return [sim.Design(name=str(k), exclusion=rule, **_SORTS[k % len(_SORTS)]) for k in range(20)]
