"""Real year-end figures settled by the terms that scenario files use: one row an organisation."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np
import pandas as pd

from ..contracts.context import Array, Context
from ..contracts.design import Design
from ..contracts.sharing import MinimumRate
from ..errors import SimulatorError
from ..rows.layout import LayoutOptions
from ..scenario import Scenario, load
from ..terms import read_toml
from .actual_rows import columns_of, context_of, figures_of, of_another_year, with_scores_as_fractions
from .clearing import clear
from .reading import year_end_rows
from .shared_designs import load_designs as load_designs


def settle_actuals(design: Design | Sequence[Design], frame: Any, **table: Unpack[LayoutOptions]) -> pd.DataFrame:
    """Settle actual figures.

    Parameters
    ----------
    design : Design or sequence of Design
        With several, the column `design` (or `track`) says which one holds for a row, by its name or one of its labels,
        whatever the case and the punctuation. A single design without labels is a proposal, and settles every row
        whatever the column says; one with labels refuses rows of another design.
    frame : path-like or DataFrame
        One row an organisation and year, from a file (CSV, Parquet, Excel) or a frame; columns as in `rows.COLUMNS`, or
        as in the public files of the Medicare Shared Savings Program. Money per year in one currency.
    **table
        How the table is laid out: `missing`, texts that stand for a missing value besides the empty cell; `sheet`, by
        name or number from 1; `header_row`, the row that names the columns, from 1; `columns`, other names for them
        ("benchmark=Budget 2023"); `blank_as_zero`, whether a blank cost, adjustment or relief is 0.

    Returns
    -------
    pandas.DataFrame
        The index of `frame`; `design`, `budget`, `cost`, `savings_rate`, `settlement` (money per year, positive to the
        provider, not rounded), a true/false column for each event, and `payment_…` and `surplus_…` for each party.
        `revenue_unknown` is true where a row's revenue might have limited it more than the other limits did, and
        `other_year` where a row's calendar year is not that of the design's rules.

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
        raise SimulatorError("designs", None, "none are given", "give at least one design")
    if isinstance(frame, pd.DataFrame) and frame.empty:
        raise SimulatorError("frame", None, "has no rows", "give at least one organisation")
    return settle_rows(designs, year_end_rows(frame, **table))


def settle_rows(designs: Sequence[Design], frame: pd.DataFrame) -> pd.DataFrame:
    """`settle_actuals` of rows that `year_end_rows` gave."""
    columns = columns_of(frame)
    frame = with_scores_as_fractions(frame, columns)
    chosen = _design_of_row(designs, frame, columns)
    parts = [_settle_rows(each, frame, columns, chosen == k) for k, each in enumerate(designs) if (chosen == k).any()]
    settled = pd.concat(parts).sort_index()
    settled.index = frame.index
    for name in [name for name in settled if settled[name].dtype == object and name != "design"]:
        settled[name] = settled[name].eq(True)  # an event that a row's design does not know has not come to pass
    settled.attrs["notes"] = frame.attrs["notes"]
    return settled


def load_scenario(path: str | os.PathLike[str]) -> Scenario | None:
    """The scenario of a TOML file; None where it holds nothing but designs."""
    return load(path) if "population" in read_toml(path) else None


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
        odd, mend = said[found.isna()].iloc[0], f"choose from {', '.join(d.name for d in designs)}"
        raise SimulatorError(columns["design"], odd, "is not a design that is given", mend)
    return found.to_numpy(dtype=int)


def _settle_rows(design: Design, frame: pd.DataFrame, columns: Mapping[str, str], rows: Array) -> pd.DataFrame:
    named = {meaning: name for meaning, name in columns.items() if meaning != "design"}
    figures = {meaning: figures_of(meaning, frame[name][rows]) for meaning, name in named.items()}
    context = context_of(design, figures)
    cleared = clear(design, context, expected_cost=context.budget)
    unknown = np.isnan(cleared.settlement + sum(cleared.accounts.payment.values()))
    if unknown.any():
        where = int(np.flatnonzero(unknown)[0])
        bound = f"lacks a figure that design {design.name!r} needs"
        mend = f"give its {' or its '.join(_lacking(design, context, where))}"
        raise SimulatorError(f"row {frame.index[rows][where]}", None, bound, mend)
    settled: dict[str, object] = {
        "design": design.name, "budget": context.budget, "cost": context.cost,
        "savings_rate": context.savings_rate, "settlement": cleared.settlement, **cleared.accounts.events,
    }  # fmt: skip
    if any(term.limited_by_revenue for term in design.terms):
        settled["revenue_unknown"] = _unknown(context.revenue, context) & (cleared.settlement < 0)
    if (other := of_another_year(design, figures)) is not None:
        settled["other_year"] = other
    for name in cleared.accounts.payment:
        settled[f"payment_{name}"] = cleared.accounts.payment[name]
        settled[f"surplus_{name}"] = cleared.accounts.surplus(name)
    return pd.DataFrame(settled, index=np.flatnonzero(rows))


def _unknown(figure: Array | None, context: Context) -> Array:
    return np.isnan(np.broadcast_to(np.nan if figure is None else figure, context.budget.shape))


def _lacking(design: Design, context: Context, row: int) -> list[str]:
    """What the design looks at and the row does not say."""
    by_quality = any(step.needs_quality for step in (*design.terms, *design.transfers))
    gates = [term for term in design.terms if isinstance(term, MinimumRate)]
    by_size = any(term.rate is None for term in gates)
    by_revenue = any(term.if_missed_revenue_below is not None for term in gates)
    from_size = any(term.if_missed_from > 1 for term in gates)
    asked = {
        "quality score": by_quality and _unknown(context.quality, context)[row],
        "quality standard": by_quality and _unknown(context.met_standard, context)[row],
        "revenue": any(term.rests_on_revenue for term in design.terms) and _unknown(context.revenue, context)[row],
        "members": _unknown(context.members, context)[row]
        and (from_size or (by_size and _unknown(context.minimum_rate, context)[row])),
        "revenue category": by_revenue and _unknown(context.low_revenue, context)[row],
    }
    return [name for name, lacks in asked.items() if lacks] or ["figures"]
