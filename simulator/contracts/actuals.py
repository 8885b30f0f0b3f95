"""Real year-end figures settled by the terms that scenario files use: one row an organisation."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..base import SimulatorError
from ..scenario import Scenario, load
from .clearing import clear
from .context import Array, Context
from .design import Design, designs_from

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "budget": ("budget", "benchmark"),
    "cost": ("cost", "expenditure"),
    "members": ("members", "beneficiaries"),
    "revenue": ("revenue", "provider_revenue"),
    "revenue_limited": ("revenue_limited", "revenue_loss_limit"),
    "quality": ("quality", "quality_score"),
    "met_standard": ("met_standard", "met_quality_standard"),
    "final_share": ("final_share",),
    "minimum_rate": ("minimum_rate", "minimum_savings_rate"),
    "adjustment": ("adjustment",),
    "relief": ("relief", "disaster_adjustment"),
    "year": ("contract_year", "performance_year"),
    "design": ("design", "track"),
}
"""Columns of actual figures, each with the names it may have; only `budget` and `cost` must be there.

`revenue_limited` says in which rows a limit of revenue holds (0: it does not). `relief` reduces a loss, whatever its
sign. `design` names the row's design where several are given. All shares are fractions; only quality scores may
be percentages where rows have final shares of their own. Capitals in a column's name do not matter.
"""


def settle_actuals(design: Design | Sequence[Design], frame: pd.DataFrame) -> pd.DataFrame:
    """Settle actual figures.

    Parameters
    ----------
    design : Design or sequence of Design
        With several, the column `design` (or `track`) says which one holds for a row, by its name or one of its labels,
        whatever the case and the punctuation. A single design without labels is a proposal, and settles every row
        whatever the column says; one with labels refuses rows of another design.
    frame : pandas.DataFrame
        One row an organisation and year; columns as in `COLUMNS`, money per year in one currency.

    Returns
    -------
    pandas.DataFrame
        The index of `frame`; `design`, `budget`, `cost`, `savings_rate`, `settlement` (money per year, positive to the
        provider, not rounded), a true/false column for each event, and `payment_…` and `surplus_…` for each party.
        `revenue_unknown` is true where a row's revenue might have limited it more than the other limits did.

    Raises
    ------
    SimulatorError
        Where a column is missing or not numeric, a design is not known, or a term needs a figure that a row lacks.

    Examples
    --------
    A benchmark of 100, a cost of 90 and a share of one half give a settlement of 5.
    """
    designs = (design,) if isinstance(design, Design) else tuple(design)
    if not designs:
        raise SimulatorError("designs", None, "are none", "give at least one design")
    if frame.empty:
        raise SimulatorError("frame", None, "has no rows", "give at least one organisation")
    columns = _columns(frame)
    frame = _with_scores_as_fractions(frame, columns)
    chosen = _design_of_row(designs, frame, columns)
    parts = [_settle_rows(each, frame, columns, chosen == k) for k, each in enumerate(designs) if (chosen == k).any()]
    return _in_order(parts, frame)


def load_designs(path: str | os.PathLike[str]) -> tuple[Design, ...]:
    """The designs of a TOML file: a whole scenario, or nothing but `[[designs]]`.

    Raises
    ------
    SimulatorError
        Listing every mistake.
    """
    return designs_from(_parsed(path).get("designs", ()), str(path))


def load_scenario(path: str | os.PathLike[str]) -> Scenario | None:
    """The scenario of a TOML file; None where it holds nothing but designs.

    Raises
    ------
    SimulatorError
        Listing every mistake.
    """
    return load(path) if "population" in _parsed(path) else None


def _parsed(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SimulatorError(str(path), None, f"is not valid TOML: {error}", "mend that line") from None
    except OSError as error:
        raise SimulatorError(str(path), None, f"cannot be read ({error.strerror})", "name a TOML file") from None


def _in_order(parts: Sequence[pd.DataFrame], frame: pd.DataFrame) -> pd.DataFrame:
    settled = pd.concat(parts).sort_index()
    settled.index = frame.index
    events = [name for name in settled if settled[name].dtype == object and name != "design"]
    return settled.fillna(dict.fromkeys(events, False)).infer_objects()


def _columns(frame: pd.DataFrame) -> dict[str, str]:
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
            raise SimulatorError("frame", None, f"has no column {' or '.join(map(repr, COLUMNS[needed]))}", "add it")
    return found


def _with_scores_as_fractions(frame: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """Scores as fractions where rows with a final share show that they are percentages.

    Beside a final share a score that is neither is passed over; elsewhere it is left to be refused.
    """
    if not {"quality", "final_share"} <= set(columns):
        return frame
    score, shared = _numbers(frame[columns["quality"]]), _numbers(frame[columns["final_share"]]) >= 0
    if (shared & (score > 1.0) & (score <= 100.0)).any():
        score = np.where((score > 1.0) & (score <= 100.0), score / 100.0, score)
    return frame.assign(**{columns["quality"]: np.where(shared & ((score < 0.0) | (score > 1.0)), np.nan, score)})


def _plain(name: object) -> str:
    return "".join(letter for letter in str(name).casefold().replace("+", "plus") if letter.isalnum())


def _label(value: object) -> object:
    """A track as it was meant: a column of whole numbers with blanks is read as 3.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _design_of_row(designs: Sequence[Design], frame: pd.DataFrame, columns: Mapping[str, str]) -> Array:
    known = {_plain(name): k for k, design in enumerate(designs) for name in (design.name, *design.labels)}
    if "design" not in columns:
        if len(designs) > 1:
            raise SimulatorError("frame", None, "does not say which design holds for a row", "add a column 'design'")
        return np.zeros(len(frame), dtype=int)
    said = frame[columns["design"]].map(_label)
    found = said.map(_plain).map(known)
    if len(designs) == 1 and not designs[0].labels and found.isna().all():
        return np.zeros(len(frame), dtype=int)
    if said.isna().any():
        raise SimulatorError(columns["design"], None, "is missing in a row", "say which design holds in every row")
    if found.isna().any():
        raise SimulatorError(
            columns["design"],
            said[found.isna()].iloc[0],
            "is not a design that is given",
            f"choose from {', '.join(d.name for d in designs)}",
        )
    return found.to_numpy(dtype=int)


def _settle_rows(design: Design, frame: pd.DataFrame, columns: Mapping[str, str], rows: Array) -> pd.DataFrame:
    figures = {meaning: _numbers(frame[name][rows]) for meaning, name in columns.items() if meaning != "design"}
    context = _context(design, figures)
    cleared = clear(design, context, expected_cost=context.budget)
    unknown = np.isnan(cleared.settlement + sum(cleared.accounts.payment.values()))
    if unknown.any():
        where = int(np.flatnonzero(unknown)[0])
        raise SimulatorError(
            f"row {frame.index[rows][where]}",
            None,
            f"lacks a figure that design {design.name!r} needs",
            f"give its {' or its '.join(_lacking(design, context, where))}",
        )
    settled: dict[str, object] = {
        "design": design.name, "budget": context.budget, "cost": context.cost,
        "savings_rate": context.savings_rate, "settlement": cleared.settlement, **cleared.accounts.events,
    }  # fmt: skip
    if _limited_by_revenue(design):
        settled["revenue_unknown"] = _unknown(context.revenue, context) & (cleared.settlement < 0)
    for name in cleared.accounts.payment:
        settled[f"payment_{name}"] = cleared.accounts.payment[name]
        settled[f"surplus_{name}"] = cleared.accounts.surplus(name)
    return pd.DataFrame(settled, index=np.flatnonzero(rows))


def _unknown(figure: Array | None, context: Context) -> Array:
    return np.isnan(np.broadcast_to(np.nan if figure is None else figure, context.budget.shape))


def _limited_by_revenue(design: Design) -> bool:
    return any(
        getattr(term, "of_revenue", None) is not None or getattr(term, "turnover", "") == "revenue"
        for term in design.terms
    )


def _lacking(design: Design, context: Context, row: int) -> list[str]:
    """What the design looks at and the row does not say."""
    by_quality = any(getattr(step, "needs_quality", False) for step in (*design.terms, *design.transfers))
    asked = {
        "quality score": by_quality and _unknown(context.quality, context)[row],
        "quality standard": by_quality and _unknown(context.met_standard, context)[row],
        "revenue": _limited_by_revenue(design) and _unknown(context.revenue, context)[row],
        "members": _unknown(context.members, context)[row] and _unknown(context.minimum_rate, context)[row],
    }
    return [name for name, lacks in asked.items() if lacks]


def _numbers(column: pd.Series) -> Array:
    try:
        return pd.to_numeric(column).to_numpy(dtype=float)
    except (ValueError, TypeError):
        raise SimulatorError(
            str(column.name), None, "is not a column of numbers", "take out signs and separators"
        ) from None


def _context(design: Design, figures: Mapping[str, Array]) -> Context:
    for needed in ("budget", "cost"):
        if not np.isfinite(figures[needed]).all():
            raise SimulatorError(needed, None, "is missing in a row", "give it in every row")
    if (figures["budget"] <= 0).any():
        raise SimulatorError(
            "budget", float(figures["budget"].min()), "must be above 0", "give a positive budget in every row"
        )
    _check_ranges(figures)
    revenue, year = figures.get("revenue", np.full(figures["budget"].shape, np.nan)), figures.get("year")
    if "revenue_limited" in figures:
        revenue = np.where(figures["revenue_limited"] == 0, np.inf, revenue)
    return Context(
        budget=figures["budget"],
        cost=figures["cost"],
        members=figures.get("members", np.full(figures["budget"].shape, np.nan)),
        year=design.year if year is None else _contract_years(year, design.year),
        revenue=revenue,
        quality=figures.get("quality"),
        met_standard=_standard(design, figures),
        minimum_rate=figures.get("minimum_rate"),
        final_share=figures.get("final_share"),
        adjustment=figures.get("adjustment"),
        relief=figures.get("relief"),
    )


_FIRST_CALENDAR_YEAR = 1900


def _check_ranges(figures: Mapping[str, Array]) -> None:
    """Refuse percentages in the place of fractions, negative revenue, and years that are no contract years."""
    for name in ("quality", "final_share", "minimum_rate"):
        known = figures.get(name, np.empty(0))
        outside = known[(known < 0) | (known > 1)]
        if outside.size:
            raise SimulatorError(name, float(outside[0]), "must lie between 0 and 1", "give fractions: 0.02 for 2%")
    revenue = figures.get("revenue", np.empty(0))
    if (revenue < 0).any():
        raise SimulatorError("revenue", float(np.nanmin(revenue)), "must be at least 0", "give it without a sign")
    year = figures.get("year", np.empty(0))
    year = year[year < _FIRST_CALENDAR_YEAR]
    wrong = year[(year < 1) | (year != np.round(year))]
    if wrong.size:
        raise SimulatorError("year", float(wrong[0]), "must be a contract year", "count years from 1")


def _contract_years(year: Array, own: int) -> Array:
    """Years counted from 1; a calendar year, or none, leaves the design's own."""
    known = (year >= 1) & (year < _FIRST_CALENDAR_YEAR)
    return np.where(known, np.nan_to_num(year), own).astype(int)


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
