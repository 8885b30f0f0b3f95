"""A report that a board can open, and a workbook for finance: a ledger in, one HTML or Excel file out.

`gather` asks the analysis for every figure; `sections`, `charts` and `explorer` put them into words, tables and
pictures; `page` and `workbook` write them. A further picture is a line in `charts.CHARTS`.
"""

from .gather import Contents, gather
from .page import write_html
from .workbook import write_workbook

__all__ = ["Contents", "gather", "write_html", "write_workbook"]
