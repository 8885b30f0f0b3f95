"""Made-up rows of patients for measurements: the same at every call."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd


def write_costs(path: Path, people: int = 6_000) -> str:
    """A CSV of annual costs in three bands; gives its name."""
    rng = np.random.default_rng(20)
    band = rng.choice(["low", "middle", "high"], people, p=[0.7, 0.25, 0.05])
    scale = np.select([band == "low", band == "middle"], [400.0, 2_000.0], 9_000.0)
    total = np.where(rng.random(people) < 0.8, scale * rng.lognormal(0.0, 1.2, people), 0.0)
    pd.DataFrame({"total": total.round(2), "band": band}).to_csv(path, index=False)
    return str(path)
