"""Settlements of real year-end rows."""

import math
from typing import Any

import numpy as np
import pandas as pd

from ..figure import exact_percent, full_money
from ..tables import Cell, Page, Rows, Table
from ..tidy import LAST

_ROUNDING_OF_ROWS = 1.0
"""Money below which a settlement of real rows is what the rounding of their figures leaves."""

_ROUNDING_OF_BUDGET = 1e-6
"""The same as a share of the budget, for rows of small sums."""


def page(settled: pd.DataFrame, currency: str = "") -> Page:
    """Settlements of real rows, in their order."""
    names = [name for name in settled if settled[name].dtype.kind not in "fiub"]
    figures = [name for name in settled if name not in names]
    rows: Rows = [
        [str(index), *(str(row[name]) for name in names), *(_figure(row[name], name) for name in figures)]
        for index, row in zip(settled.index, settled.astype(object).to_dict("records"), strict=True)
    ]
    head = ["row", *map(str, names), *(str(name).replace("_", " ") for name in figures)]
    table = Table(head, rows, labels=1 + len(names))
    warnings = [*_other_year(settled), *settled.attrs.get("notes", ())]
    note = "Nothing is simulated. Money as in the rows."
    return Page("", [_actuals_sentence(settled, currency)], [table, note], warnings)


def _actuals_sentence(settled: pd.DataFrame, currency: str) -> str:
    """Who is paid and who pays back, but for what rounding left: figures of rows are rounded to the unit of money."""
    paid = settled["settlement"]
    told = np.minimum(_ROUNDING_OF_ROWS, _ROUNDING_OF_BUDGET * settled["budget"])
    gains, losses = paid >= told, paid <= -told
    sentence = (
        f"{len(settled):,} rows settled: {gains.sum():,} are paid, {losses.sum():,} pay back, "
        f"{(~(gains | losses)).sum():,} neither; in all {full_money(paid.sum(), currency)} to providers."
    )
    unknown = int((losses & settled["revenue_unknown"]).sum()) if "revenue_unknown" in settled else 0
    who = "1 row that pays back has" if unknown == 1 else f"{unknown:,} rows that pay back have"
    limit = f" {who} no known revenue, which might limit the loss further: give it in the column revenue."
    return sentence + limit * bool(unknown)


def _other_year(settled: pd.DataFrame) -> list[str]:
    """A warning about rows of another year than the rules."""
    other = int(settled["other_year"].sum()) if "other_year" in settled else 0
    rows = "1 row is" if other == 1 else f"{other:,} rows are"
    return [f"{rows} of another year than the rules, and may settle wrongly: use the file of that year."] * bool(other)


def _figure(value: Any, name: Any) -> Cell:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float) and not math.isfinite(value):
        return "none"
    if name == "savings_rate":
        return exact_percent(float(value), sign=True)
    return full_money(float(value), "", 2)


def long_rows(settled: pd.DataFrame) -> pd.DataFrame:
    """Settlements as a long table: one row a figure and organisation."""
    names = [str(name) for name in settled if settled[name].dtype.kind not in "fiub"]
    long = settled.rename_axis("row").reset_index().melt(["row", *names], var_name="figure")
    long["error"], long["basis"] = 0.0, "exact"
    long["unit"] = ["1" if figure == "savings_rate" else "money as in the rows" for figure in long["figure"]]
    return long.reindex(columns=["figure", "row", *names, *LAST])
