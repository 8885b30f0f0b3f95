"""The colours of all pictures, and why they can be told apart.

Series: the palette of the UK Government Analysis Function, at least 3:1 against white. Words in a series' colour are
darkened to 4.5:1, as small type needs. Colour maps of heat maps go from white to the palette in equal steps of
lightness (CIE L*), so that equal differences look equal.
"""

import numpy as np
from matplotlib.colors import ListedColormap, to_rgb
from numpy.typing import ArrayLike, NDArray

SERIES = ("#12436D", "#28A197", "#801650", "#F46A25")
WORDS = {"#12436D": "#12436D", "#28A197": "#1A6E67", "#801650": "#801650", "#F46A25": "#B0440F"}
"""A series' colour as small type is written in it."""
INK, GREY, PALE = "#3D3D3D", "#505A5F", "#D9D9D9"
"""Text and exact curves; axes and footers; grid."""

_STEPS = 256


def luminance(colour: str) -> float:
    """Relative luminance, 0 for black to 1 for white (WCAG 2.1)."""
    red, green, blue = _linear(to_rgb(colour))
    return float(0.2126 * red + 0.7152 * green + 0.0722 * blue)


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.1)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def ink_on(colour: str) -> str:
    """Black or white, whichever is better read on a cell of this colour."""
    return max(("#000000", "#FFFFFF"), key=lambda ink: contrast(ink, colour))


def lightness(rgb: ArrayLike) -> NDArray[np.float64]:
    """CIE L* of colours, shape (…, 3) to (…): 0 for black, 100 for white."""
    y = _linear(rgb) @ np.array([0.2126, 0.7152, 0.0722])
    return np.where(y > 216 / 24389, 116 * np.cbrt(y) - 16, y * 24389 / 27)


def _linear(rgb: ArrayLike) -> NDArray[np.float64]:
    channel = np.asarray(rgb, float)
    return np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)


def _evenly_light(start: str, end: str, steps: int) -> NDArray[np.float64]:
    """Colours on the way from one to another, in equal steps of lightness."""
    way = np.linspace(0, 1, 1_001)[:, None] * (np.array(to_rgb(end)) - to_rgb(start)) + to_rgb(start)
    light = lightness(way)
    wanted = np.linspace(light[0], light[-1], steps)
    order = np.argsort(light)
    return np.stack([np.interp(wanted, light[order], way[order, k]) for k in range(3)], axis=1)


SEQUENTIAL = ListedColormap(_evenly_light("#FFFFFF", SERIES[0], _STEPS), "house sequential")
"""Little to much: white to blue."""
DIVERGING = ListedColormap(
    np.concatenate(
        [_evenly_light(SERIES[2], "#FFFFFF", _STEPS // 2), _evenly_light("#FFFFFF", SERIES[0], _STEPS // 2)]
    ),
    "house diverging",
)
"""Loss to gain: purple over white to blue, which people who do not see red or green tell apart as well."""
