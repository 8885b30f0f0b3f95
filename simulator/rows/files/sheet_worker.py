"""Reads one sheet of a workbook in a process of its own, whose memory and time are bounded; run as a script.

A workbook of a few kilobytes can ask for hundreds of gigabytes (one cell far from the others) or break its reader.
Here that ends this process and no other. It prints a pickled tuple: what was found, and its parts.
"""

import contextlib
import json
import pickle
import sys

MOST_CELLS = 20_000_000
_MEMORY = 2 << 30
_SECONDS = 60


def main() -> None:
    """Read what the arguments name: the module path as JSON, the file, and the sheet as JSON."""
    sys.path[:] = json.loads(sys.argv[1])
    with contextlib.suppress(ImportError, ValueError, OSError):  # not every system can bound a process
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.stdout.buffer.write(pickle.dumps(read(sys.argv[2], json.loads(sys.argv[3])), protocol=5))


def read(path: str, wanted: "str | int | None") -> tuple[object, ...]:
    """The rows of a sheet that are not blank, with their numbers; by its name, by its number from 1, or the first."""
    try:
        import python_calamine
    except ImportError:
        return ("no reader",)
    book = python_calamine.CalamineWorkbook.from_path(path)
    names = list(book.sheet_names)
    number = wanted if isinstance(wanted, int) else 1 if wanted is None else 0
    if isinstance(wanted, str):
        number = names.index(wanted) + 1 if wanted in names else int(wanted) if wanted.isdecimal() else 0
    if not 1 <= number <= len(names):
        return ("no such sheet", names)
    sheet = book.get_sheet_by_name(names[number - 1])
    if sheet.total_height * sheet.total_width > MOST_CELLS:
        return ("too wide", names)
    filled = [(number, row) for number, row in enumerate(sheet.iter_rows(), start=1) if any(cell != "" for cell in row)]
    return ("rows", names, filled)


if __name__ == "__main__":
    main()
