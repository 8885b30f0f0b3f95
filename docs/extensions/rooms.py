"""Draws the rooms of the package and what they import: `python docs/extensions/rooms.py rooms.svg`.

The floors are those of `tests/test_layout.py`, which holds every import to them. A room's number of files and lines
stands in it; an arrow is as wide as the number of files that import from the room below.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from test_layout import FLOORS, imports_of, room_of  # noqa: E402

PACKAGE = ROOT / "simulator"
WIDE, HIGH = 1.7, 0.62


def size_of(room: str) -> str:
    """How many files and lines a room has."""
    place = PACKAGE / room
    files = list(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)
    return f"{len(files)} files, {lines:,} lines" if place.is_dir() else f"{lines:,} lines"


def places() -> dict[str, tuple[float, float]]:
    """Where each room stands: a row a floor, the ground at the bottom."""
    found = {}
    for floor, rooms in enumerate(FLOORS):
        for number, room in enumerate(rooms):
            found[room] = ((number - (len(rooms) - 1) / 2) * (WIDE + 0.5), floor * 1.05)
    return found


def draw(path: str) -> None:
    """Write the picture."""
    where = places()
    arrows = Counter((room_of(a), room_of(b)) for a, b in imports_of(PACKAGE) if room_of(a) != room_of(b))
    figure, axes = plt.subplots(figsize=(10.5, 0.8 * len(FLOORS) + 1))
    for (above, below), count in arrows.items():
        (x, y), (u, v) = where[above], where[below]
        style = {"arrowstyle": "-|>", "color": "#12436D", "alpha": 0.25, "lw": 0.5 + count / 12, "shrinkA": 14}
        axes.annotate("", xy=(u, v + HIGH / 2), xytext=(x, y - HIGH / 2), arrowprops=style | {"shrinkB": 2})
    for room, (x, y) in where.items():
        axes.add_patch(plt.Rectangle((x - WIDE / 2, y - HIGH / 2), WIDE, HIGH, fc="white", ec="#12436D", lw=1.2))
        axes.text(x, y + 0.08, room.strip("_"), ha="center", va="center", fontsize=9, fontweight="bold")
        axes.text(x, y - 0.16, size_of(room), ha="center", va="center", fontsize=7, color="#4A5358")
    axes.set(xlim=(-5.2, 5.2), ylim=(-0.8, 1.05 * len(FLOORS)))
    axes.axis("off")
    figure.savefig(path, bbox_inches="tight")


if __name__ == "__main__":
    draw(sys.argv[1] if len(sys.argv) > 1 else "results/rooms.svg")
