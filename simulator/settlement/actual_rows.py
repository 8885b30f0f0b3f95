"""Real year-end rows as the terms see them: what columns mean, in which unit, and what is refused."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ..contracts.context import FIRST_CALENDAR_YEAR, Array, Context
from ..contracts.design import Design
from ..contracts.quality import QualityShare
from ..errors import SimulatorError, columns_there

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "budget": ("budget", "benchmark"),
    "cost": ("cost", "expenditure"),
    "members": ("members", "beneficiaries"),
    "revenue": ("revenue", "provider_revenue"),
    "revenue_limited": ("revenue_limited", "revenue_loss_limit"),
    "quality": ("quality", "quality_score"),
    "met_standard": ("met_standard", "met_quality_standard"),
    "met_alternative": ("met_alternative", "met_alternative_standard"),
    "low_revenue": ("low_revenue", "revenue_category"),
    "final_share": ("final_share",),
    "minimum_rate": ("minimum_rate", "minimum_savings_rate"),
    "adjustment": ("adjustment",),
    "relief": ("relief", "disaster_adjustment"),
    "year": ("contract_year", "performance_year"),
    "design": ("design", "track"),
}
"""Columns of actual figures, each with the names it may have; only `budget` and `cost` must be there.

`revenue_limited` says in which rows a limit of revenue holds (0: it does not). `low_revenue` is 1 or 0, or a category
that begins with "low" or "high". `relief` reduces a loss, whatever its sign. `year` is a contract year; a calendar year
only tells rows of another year than the rules. `design` names the row's design where several are given. All shares are
fractions; only quality scores may be percentages where rows have final shares of their own. Capitals in a column's name
do not matter.
"""


def columns_of(frame: pd.DataFrame) -> dict[str, str]:
    """The frame's name of each column that it has."""
    found = {}
    for meaning, names in COLUMNS.items():
        present = [str(name) for name in frame if str(name).casefold() in names]
        if len(present) > 1:
            raise SimulatorError("frame", None, f"has both {present[0]!r} and {present[1]!r}", "keep one of them")
        if present:
            found[meaning] = present[0]
    for needed in ("budget", "cost"):
        if needed not in found:
            names = COLUMNS[needed]
            bound = f"has no column {' or '.join(map(repr, names))}"
            raise SimulatorError("frame", None, bound, columns_there([str(name) for name in frame], names))
    return found


def with_scores_as_fractions(frame: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """Scores as fractions where rows with a final share show that they are percentages.

    Beside a final share a score that is neither is passed over; elsewhere it is left to be refused.
    """
    if not {"quality", "final_share"} <= set(columns):
        return frame
    score = frame[columns["quality"]].to_numpy(dtype=float)
    shared = frame[columns["final_share"]].to_numpy(dtype=float) >= 0
    if (shared & (score > 1.0) & (score <= 100.0)).any():
        score = np.where((score > 1.0) & (score <= 100.0), score / 100.0, score)
    return frame.assign(**{columns["quality"]: np.where(shared & ((score < 0.0) | (score > 1.0)), np.nan, score)})


def figures_of(meaning: str, column: pd.Series) -> Array:
    """A column as numbers, NaN where it is blank; categories of revenue as 1 for low and 0 for high."""
    if meaning != "low_revenue" or column.dtype.kind in "fiub":
        return np.asarray(column.to_numpy(dtype=float))
    said = column.where(column.notna(), "").astype(str).str.strip().str.casefold()
    low, high, blank = said.str.startswith("low"), said.str.startswith("high"), said == ""
    if not (low | high | blank).all():
        odd = str(column[~(low | high | blank)].iloc[0])
        raise SimulatorError(str(column.name), odd, "is no category of revenue", "write low or high, or 1 or 0")
    return np.where(blank, np.nan, low.astype(float))


def context_of(design: Design, figures: Mapping[str, Array]) -> Context:
    """What the terms of a design may look at in some rows."""
    for needed in ("budget", "cost"):
        if not np.isfinite(figures[needed]).all():
            raise SimulatorError(needed, None, "is missing in a row", "give it in every row")
    if (least := float(figures["budget"].min())) <= 0:
        raise SimulatorError("budget", least, "must be above 0", "give a positive budget in every row")
    _check_ranges(figures)
    revenue, year = figures.get("revenue", np.full(figures["budget"].shape, np.nan)), figures.get("year")
    if "revenue_limited" in figures:
        revenue = np.where(figures["revenue_limited"] == 0, np.inf, revenue)
    contract_year: Array | int = design.year
    if year is not None:  # a calendar year, or none, leaves the design's own
        counted = (year >= 1) & (year < FIRST_CALENDAR_YEAR)
        contract_year = np.where(counted, np.nan_to_num(year), design.year).astype(int)
    by_final_share = any(isinstance(term, QualityShare) for term in design.terms)
    as_they_are = ("quality", "met_alternative", "low_revenue", "minimum_rate", "adjustment", "relief")
    return Context(
        budget=figures["budget"],
        cost=figures["cost"],
        members=figures.get("members", np.full(figures["budget"].shape, np.nan)),
        year=contract_year,
        rule_year=design.rule_year,
        revenue=revenue,
        met_standard=_standard(design, figures),
        final_share=figures.get("final_share") if by_final_share else None,
        allocations={},
        **{name: figures.get(name) for name in as_they_are},
    )


def of_another_year(design: Design, figures: Mapping[str, Array]) -> Array | None:
    """Rows whose calendar year is not that of the design's rules; None where either is unknown."""
    year = figures.get("year")
    if year is None or design.rule_year is None:
        return None
    return (year >= FIRST_CALENDAR_YEAR) & (year != design.rule_year)


_RANGES = {
    "quality": (0.0, 1.0, "must lie between 0 and 1", "give fractions: 0.02 for 2%"),
    "final_share": (0.0, 1.0, "must lie between 0 and 1", "give fractions: 0.02 for 2%"),
    "minimum_rate": (0.0, 1.0, "must lie between 0 and 1", "give fractions: 0.02 for 2%"),
    "members": (1.0, np.inf, "must be at least 1", "give people, or leave it blank"),
    "revenue": (0.0, np.inf, "must be at least 0", "give it without a sign"),
}
"""Between which figures a column must lie, and what is said of those that do not."""


def _check_ranges(figures: Mapping[str, Array]) -> None:
    """Refuse percentages in place of fractions, negative revenue, and years that are not contract years."""
    for name, (low, high, bound, mend) in _RANGES.items():
        known = figures.get(name, np.empty(0))
        outside = known[(known < low) | (known > high)]
        if outside.size:
            raise SimulatorError(name, float(outside[0] if high == 1 else outside.min()), bound, mend)
    year = figures.get("year", np.empty(0))
    year = year[year < FIRST_CALENDAR_YEAR]
    wrong = year[(year < 1) | (year != np.round(year))]
    if wrong.size:
        raise SimulatorError("year", float(wrong[0]), "must be a contract year", "count years from 1")


def _standard(design: Design, figures: Mapping[str, Array]) -> Array | None:
    """Whether the standard is met, 1 or 0: as the row says, else by its score or its final share; NaN if neither."""
    by_score = None
    if "quality" in figures and design.quality is not None:
        score = figures["quality"]
        by_score = np.where(np.isnan(score), np.nan, score >= design.quality.standard)
    if "met_standard" not in figures:
        return by_score
    said = figures["met_standard"]
    if by_score is None and "final_share" in figures:
        share = figures["final_share"]
        by_score = np.where(np.isnan(share), np.nan, share > 0)
    if np.isnan(said).any() and by_score is None:
        raise SimulatorError("met_quality_standard", None, "is missing in a row", "give 1 or 0 in every row")
    met = np.where(np.isnan(said), np.nan, said != 0)
    return met if by_score is None else np.where(np.isnan(met), by_score, met)
