"""What columns and tables are called: names as people read them, and the subject of a sentence."""

import unicodedata
from dataclasses import dataclass

from ..errors import SimulatorError

_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u200c\u200d\u2060"))


def plain_name(name: object) -> str:
    r"""A name in composed form, with line breaks and runs of blanks as one blank and none at its ends.

    Examples
    --------
    >>> plain_name(" annual\n  total ")
    'annual total'
    """
    return " ".join(unicodedata.normalize("NFC", str(name)).translate(_INVISIBLE).split())


@dataclass(frozen=True)
class Said:
    """What sentences call a table and its file, and whether they may repeat a cell."""

    file: str
    rows: str
    many: bool = False  # whether `rows` is a plural
    private: bool = True  # whether cells may be a patient's

    @property
    def has(self) -> str:
        return "have" if self.many else "has"

    @property
    def holds(self) -> str:
        return "hold" if self.many else "holds"

    def of_file(self, bound: str, mend: str) -> SimulatorError:
        return SimulatorError(self.file, None, bound, mend)

    def of_rows(self, bound: str, mend: str) -> SimulatorError:
        return SimulatorError(self.rows, None, bound, mend)

    def nested(self, name: object) -> SimulatorError:
        """That a column holds more than one value a cell."""
        what = f"{self.has} lists or records in column {str(name)!r}"
        return self.of_rows(what, "give one number or one text a cell")


def needs(package: str, what: str) -> SimulatorError:
    """That an optional package is missing."""
    mend = "install it with: pip install 'capitation-risk[data]'"
    return SimulatorError(what, None, f"need the package {package}", mend)


COSTS = Said("the file of costs", "the costs", many=True)
"""Patients' rows: neither the path nor a cell is repeated, since both may name a patient."""
