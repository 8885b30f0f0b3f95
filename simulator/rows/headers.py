"""Names of columns: compared as people read them, and never taken for another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import columns_there
from .names import Said, plain_name


class Headers:
    """Where each column of a table stands.

    Parameters
    ----------
    names : sequence
        As the table has them, in order; of any type.
    other_names : mapping of str to str
        The header of each other name, plain.
    """

    def __init__(self, names: Sequence[object], other_names: Mapping[str, str] | None = None) -> None:
        self.names = [plain_name(name) for name in names]
        self.other_names = dict(other_names or {})

    def positions(self, name: str) -> list[int]:
        """Every column that is called so; a name given to a header goes before a header of that name."""
        wanted = plain_name(name)
        wanted = self.other_names.get(wanted, wanted)
        return [position for position, have in enumerate(self.names) if have == wanted]

    def only(self, name: str, said: Said) -> int:
        """The one column that is called so.

        Raises
        ------
        SimulatorError
            Where there is none, or more than one.
        """
        found = self.positions(name)
        wanted = self.other_names.get(plain_name(name), plain_name(name))
        if len(found) > 1:
            raise said.of_rows(f"{said.has} column {wanted!r} more than once", "rename one of the two")
        if not found:
            raise said.of_rows(
                f"{said.has} no column {wanted!r}", columns_there([n for n in self.names if n], [wanted])
            )
        return found[0]
