"""Real year-end figures settled by the terms that scenario files use: one row an organisation."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..base import SimulatorError
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

`revenue_limited` says in which rows a limit of revenue holds (0: only the limit of the budget). `relief` reduces a
loss, whatever its sign. `design` names the row's design where several are given. All shares are fractions.
"""


def settle_actuals(design: Design | Sequence[Design], frame: pd.DataFrame) -> pd.DataFrame:
    """Settle actual figures.

    Parameters
    ----------
    design : Design or sequence of Design
        With several, the column `design` (or `track`) says which one holds for a row, by its name or one of its labels,
        whatever the case and the punctuation.
    frame : pandas.DataFrame
        One row an organisation and year; columns as in `COLUMNS`, money per year in one currency.

    Returns
    -------
    pandas.DataFrame
        The index of `frame`; `design`, `budget`, `cost`, `savings_rate`, `settlement` (money per year, positive to the
        provider, not rounded), a true/false column for each event, and `payment_…` and `surplus_…` for each party.

    Raises
    ------
    SimulatorError
        Where a column is missing or not numeric, a design is not known, or a term needs a figure that a row lacks.

    Examples
    --------
    A benchmark of 100, a cost of 90 and a share of one half give a settlement of 5.

    >>> import pandas as pd
    >>> import simulator as sim
    >>> half = sim.Design(name="half", terms=({"kind": "share", "gain": 0.5, "loss": 0.5},))
    >>> sim.settle_actuals(half, pd.DataFrame({"benchmark": [100.0], "expenditure": [90.0]}))["settlement"].tolist()
    [5.0]
    """
    designs = (design,) if isinstance(design, Design) else tuple(design)
    if not designs:
        raise SimulatorError("designs", None, "are none", "give at least one design")
    if frame.empty:
        raise SimulatorError("frame", None, "has no rows", "give at least one organisation")
    columns = _columns(frame)
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
    try:
        raw = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SimulatorError(str(path), None, f"is not valid TOML: {error}", "mend that line") from None
    except OSError as error:
        raise SimulatorError(str(path), None, f"cannot be read ({error.strerror})", "name a TOML file") from None
    return designs_from(raw.get("designs", ()), str(path))


def _in_order(parts: Sequence[pd.DataFrame], frame: pd.DataFrame) -> pd.DataFrame:
    settled = pd.concat(parts).sort_index()
    settled.index = frame.index
    events = [name for name in settled if settled[name].dtype == object and name != "design"]
    return settled.fillna(dict.fromkeys(events, False)).infer_objects()


def _columns(frame: pd.DataFrame) -> dict[str, str]:
    """The frame's name of each column that it has."""
    found = {}
    for meaning, names in COLUMNS.items():
        present = [name for name in names if name in frame]
        if len(present) > 1:
            raise SimulatorError("frame", None, f"has both {present[0]!r} and {present[1]!r}", "keep one of them")
        if present:
            found[meaning] = present[0]
    for needed in ("budget", "cost"):
        if needed not in found:
            raise SimulatorError("frame", None, f"has no column {' or '.join(map(repr, COLUMNS[needed]))}", "add it")
    return found


def _plain(name: object) -> str:
    return "".join(letter for letter in str(name).casefold().replace("+", "plus") if letter.isalnum())


def _design_of_row(designs: Sequence[Design], frame: pd.DataFrame, columns: Mapping[str, str]) -> Array:
    if len(designs) == 1:
        return np.zeros(len(frame), dtype=int)
    if "design" not in columns:
        raise SimulatorError("frame", None, "does not say which design holds for a row", "add a column 'design'")
    known = {_plain(name): k for k, design in enumerate(designs) for name in (design.name, *design.labels)}
    names = frame[columns["design"]].map(_plain)
    unknown = frame[columns["design"]][~names.isin(list(known))]
    if len(unknown):
        raise SimulatorError(
            columns["design"],
            unknown.iloc[0],
            "is not a design that is given",
            f"choose from {', '.join(d.name for d in designs)}",
        )
    return names.map(known).to_numpy()


def _settle_rows(design: Design, frame: pd.DataFrame, columns: Mapping[str, str], rows: Array) -> pd.DataFrame:
    figures = {meaning: _numbers(frame[name][rows]) for meaning, name in columns.items() if meaning != "design"}
    context = _context(design, figures)
    cleared = clear(design, context, expected_cost=context.budget)
    unknown = np.isnan(cleared.settlement + sum(cleared.accounts.payment.values()))
    if unknown.any():
        where = frame.index[rows][unknown][0]
        raise SimulatorError(
            f"row {where}",
            None,
            f"lacks a figure that design {design.name!r} needs",
            "give its quality score, or its members",
        )
    settled: dict[str, object] = {
        "design": design.name, "budget": context.budget, "cost": context.cost,
        "savings_rate": context.savings_rate, "settlement": cleared.settlement, **cleared.accounts.events,
    }  # fmt: skip
    for name in cleared.accounts.payment:
        settled[f"payment_{name}"] = cleared.accounts.payment[name]
        settled[f"surplus_{name}"] = cleared.accounts.surplus(name)
    return pd.DataFrame(settled, index=np.flatnonzero(rows))


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
    revenue = figures.get("revenue")
    if revenue is not None and "revenue_limited" in figures:
        revenue = np.where(figures["revenue_limited"] == 0, np.nan, revenue)
    year = figures.get("year")
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
    final_share = figures.get("final_share", np.full(figures["budget"].shape, np.nan))
    quality = figures.get("quality", final_share)
    # a score that the row's own share makes idle may have any unit
    looked_at = {"quality": np.where(np.isnan(final_share), quality, np.nan), "final_share": final_share}
    for name in ("quality", "final_share", "minimum_rate"):
        known = looked_at.get(name, figures.get(name, np.empty(0)))
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
    """Whether the standard is met: as the row says, else by its score."""
    by_score = None
    if "quality" in figures and design.quality is not None:
        by_score = np.asarray(figures["quality"] >= design.quality.standard)
    if "met_standard" not in figures:
        return by_score
    said = figures["met_standard"]
    if by_score is None and "final_share" in figures:
        by_score = np.asarray(figures["final_share"] > 0)
    if np.isnan(said).any() and by_score is None:
        raise SimulatorError("met_quality_standard", None, "is missing in a row", "give 1 or 0 in every row")
    return np.asarray(said != 0) if by_score is None else np.where(np.isnan(said), by_score, said != 0)
