"""A report that a board can open, and a workbook for finance: a ledger in, one HTML, Word or Excel file out.

`gather` asks the analysis for every figure; `sections`, `charts` and `explorer` put them into words, tables and
pictures; `page`, `word` and `workbook` write them. A further picture is a line in `charts.CHARTS`.
"""

from .gather import Contents, gather
from .page import write_html
from .word import write_word
from .workbook import write_workbook

__all__ = ["Contents", "gather", "write_html", "write_word", "write_workbook"]
