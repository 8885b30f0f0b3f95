"""`sim.table`: the page of any answer, in a notebook."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import SimulatorError
from ..ledger.swept import points_of
from .answers import kind_of
from .figure import errors_shown
from .tables import Page as Page
from .tables import Table
from .tidy import LAST, tidy

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

_MOST_ROWS = 400


def table(answer: Any, *, margin: float | None = None, at_most: float = 0.05, errors: bool = False) -> Page:
    """The page that the command line prints of an answer: the verdict, then tables.

    Parameters
    ----------
    answer : xarray.Dataset, DataFrame, mapping or FittedModel
        What a public function gave, of `sweep` block by block. Figures that are no answer are shown as a long table.
    margin : float, optional
        Of a summary: the tolerance of the overspend probability; 0.03 where it is there, else the first.
    at_most : float
        Of a summary: the largest accepted overspend probability.
    errors : bool
        Show ± one standard error on every simulated figure, in place of the digits that the errors support.

    Returns
    -------
    Page
        A notebook shows it as HTML; `print` and `str` give the terminal's text.

    Raises
    ------
    SimulatorError
        For draws, which are no figures yet, and what is no answer at all.

    Examples
    --------
    >>> import simulator as sim
    >>> model = sim.load("configs/east_sussex.toml")
    >>> str(sim.table(sim.describe(model))).splitlines()[2][:34]
    'A person costs £1,731 a year on av'
    """
    import pandas as pd
    import xarray as xr

    from .answers import actuals, description, fit

    with errors_shown(errors):
        if isinstance(answer, xr.Dataset):
            return _dataset_page(answer, margin, at_most)
        if isinstance(answer, pd.DataFrame):
            return actuals.page(answer) if "settlement" in answer else _frame_page(answer)
        if isinstance(answer, Mapping) and "top_share" in answer:
            return description.page(answer)
        if hasattr(answer, "goodness"):
            return fit.page(answer)
    raise SimulatorError(
        "answer", type(answer).__name__, "is not an answer of this package", "give what `summarise` gave"
    )


def _dataset_page(answer: xr.Dataset, margin: float | None, at_most: float) -> Page:
    if not any(answer[name].size for name in answer.data_vars):
        raise SimulatorError("answer", None, "holds no figures", "select at least one of each dim")
    (_, answer), *others = points = points_of(answer)
    if others:
        return _swept_page({said: _dataset_page(one, margin, at_most) for said, one in points})
    if "replicate" in answer.dims:
        raise SimulatorError("answer", None, "holds draws, not figures", "give summarise(ledger) or compare(outcome)")
    kind = kind_of(answer)
    if kind is None:
        return _frame_page(tidy(answer))
    try:
        return kind.page(answer, margin, at_most) if "margin" in answer.dims else kind.page(answer)
    except SimulatorError:
        raise
    except (IndexError, KeyError, TypeError, ValueError):  # a part of an answer has no page of its own
        return _frame_page(tidy(answer))


def _swept_page(pages: dict[str, Page]) -> Page:
    parts = [
        part for said, page in pages.items() for part in (page.title or said, "\n".join(page.verdict), *page.parts)
    ]
    return Page("", (), parts, [f"{said}: {warning}" for said, page in pages.items() for warning in page.warnings])


def _frame_page(rows: pd.DataFrame) -> Page:
    """Any long table, as it is."""
    shown = rows.head(_MOST_ROWS).dropna(axis="columns", how="all")
    labels = max(1, sum(column not in LAST for column in shown))
    cells = [[_cell(cell) for cell in row] for row in shown.itertuples(index=False)]
    more = [f"{len(rows) - len(shown):,} more rows are not shown."] if len(rows) > len(shown) else []
    return Page("", (), [Table([str(column) for column in shown], cells, labels=labels), *more])


def _cell(value: Any) -> str:
    if isinstance(value, float):
        endless = {math.inf: "no limit", -math.inf: "−infinite"}
        return "" if math.isnan(value) else endless.get(value) or f"{value:,.6g}"
    return str(value)
