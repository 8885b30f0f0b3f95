"""What the terminal shows of an answer, in a notebook."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import SimulatorError
from . import text_answers, text_beside, text_check, text_fit, text_run, text_settle, text_stress
from .page import Page as Page
from .page import Table
from .tidy import LAST, tidy

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

_MOST_ROWS = 400


def table(answer: Any, *, margin: float | None = None, at_most: float = 0.05) -> Page:
    """The page that the command line prints of an answer: the verdict, then tables with errors and units.

    Parameters
    ----------
    answer : xarray.Dataset, DataFrame, mapping or FittedModel
        What a public function gave: `summarise`, `exact`, `minimum_population`, `viable_terms`, `luck`, `compare`,
        `payoff`, `stress`, `reverse_stress`, `sensitivity`, `fair_price`, `compare_rules`, `beside_published`,
        `detection`, `variance_by_source`, `settle_actuals`, `describe`, `fit`. Any other Dataset of figures is shown
        as a long table.
    margin : float, optional
        Of a summary: the tolerance of the overspend probability; 0.03 where it is there, else the first.
    at_most : float
        Of a summary: the largest tolerated overspend probability.

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

    if isinstance(answer, xr.Dataset):
        _refuse_empty(answer)
        try:
            return _page_of(answer, margin, at_most)
        except SimulatorError:
            raise
        except (IndexError, KeyError, TypeError, ValueError):  # a part of an answer has no page of its own
            return _frame_page(tidy(answer))
    if isinstance(answer, pd.DataFrame):
        return text_settle.actuals_report(answer) if "settlement" in answer else _frame_page(answer)
    if isinstance(answer, Mapping) and "top_share" in answer:
        return text_check.check_table(answer)
    if hasattr(answer, "goodness"):
        return text_fit.fit_report(answer)
    raise SimulatorError("answer", type(answer).__name__, "is no answer of this package", "give what `summarise` gave")


def _page_of(answer: xr.Dataset, margin: float | None, at_most: float) -> Page:
    if "replicate" in answer.dims:
        raise SimulatorError("answer", None, "holds draws, not figures", "give summarise(ledger) or compare(outcome)")
    if "p_overspend" in answer and "cv" in answer:
        margins = [float(one) for one in answer["margin"].values]
        chosen = (0.03 if 0.03 in margins else margins[0]) if margin is None else margin
        if chosen not in margins:
            raise SimulatorError("margin", chosen, "is not in the summary", f"ask summarise for margins=({chosen},)")
        report = text_run.run_report if "cv_se" in answer else text_run.exact_report
        return report(answer, chosen, at_most)
    known = next((page for name, page in _PAGES.items() if name in answer), None)
    return _frame_page(tidy(answer)) if known is None else known(answer)


def _refuse_empty(answer: xr.Dataset) -> None:
    """Refuse what holds no figure at all."""
    if not any(answer[name].size for name in answer.data_vars):
        raise SimulatorError("answer", None, "holds no figures", "select at least one of each dim")


def _comparison(compared: xr.Dataset) -> Page:
    from ..analysis.designs.exact_comparison import with_exact
    from ..settlement.compare import comparison_json

    known = compared.attrs
    return text_settle.comparison_report(
        comparison_json(with_exact(compared)), known.get("title", ""), known.get("currency", ""), known
    )


_PAGES: dict[str, Callable[[xr.Dataset], Page]] = {
    "provider_share": text_answers.terms_report,
    "exact_minimum_population": text_answers.size_report,
    "p_two_sided": text_answers.luck_report,
    "rule_threshold": text_beside.rules_report,
    "says": text_beside.published_report,
    "price_pmpy": text_answers.price_report,
    "p_paid": text_answers.power_report,
    "enough_people": text_answers.sources_report,
    "surplus_difference_share": text_stress.stress_report,
    "breaking_point": lambda found: text_stress.reverse_report([found]),
    "tornado": text_stress.sensitivity_report,
    "risk_share": _comparison,
    "settlement": text_settle.payoff_report,
}
"""A variable that only one kind of answer has, and the page of that kind."""


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
