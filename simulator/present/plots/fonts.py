"""Letters that the house's font lacks: taken from another font of this machine, or reported in one sentence."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, fontManager, get_font
from matplotlib.text import Text

from ...errors import SimulatorWarning


@contextmanager
def all_letters(figure: Figure) -> Iterator[None]:
    """Let a picture be written with fonts that have its letters, without a word from matplotlib on each of them."""
    texts = figure.findobj(Text)
    missing = frozenset(letter for text in texts for letter in _missing(text))
    if not missing:
        yield
        return
    helpers = helpers_for(missing)
    for text in texts:
        if missing & set(text.get_text()):
            text.set_fontfamily([*text.get_fontfamily(), *helpers])
    lacking = missing - {letter for name in helpers for letter in _letters(_files()[name])}
    if lacking:
        warnings.warn(
            f"the picture lacks the letters {''.join(sorted(lacking)[:12])!r}, which no font of this machine has; "
            "install one that does (Noto has all), or write the title in other letters",
            SimulatorWarning,
            stacklevel=3,
        )
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Glyph .* missing|Matplotlib currently does not support", category=UserWarning
        )
        yield


def _missing(text: Text) -> set[str]:
    """Letters of a text that its own font lacks."""
    return set(text.get_text()) - _letters(str(findfont(text.get_fontproperties()))) - set("\n\r\t")


def helpers_for(letters: frozenset[str]) -> list[str]:
    """Names of fonts of this machine that together have as many of these letters as can be had, best first."""
    chosen: list[str] = []
    wanted = set(letters)
    while wanted:
        best = max(_files(), key=lambda name: len(wanted & _letters(_files()[name])), default=None)
        if best is None or not wanted & _letters(_files()[best]):
            break
        chosen.append(best)
        wanted -= _letters(_files()[best])
    return chosen


@cache
def _files() -> dict[str, str]:
    """The file of each family of this machine, in alphabetical order."""
    return {font.name: font.fname for font in sorted(fontManager.ttflist, key=lambda font: font.name)}


@cache
def _letters(file: str) -> frozenset[str]:
    """The letters of a font's file."""
    return frozenset(map(chr, get_font(file).get_charmap()))
