"""A matplotlib picture as SVG inside a page: text as text, ids of its own, and words for those who do not see it."""

import io
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb

from ..plots.colours import contrast
from ..plots.fonts import all_letters

_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_FILL = re.compile(r"fill: (#[0-9a-f]{6})")
_LEGIBLE = 4.5  # contrast of text on white that WCAG 2.1 asks for; lines and areas need 3
_PALE = 1.5  # contrast below which text is meant for a dark ground
_SETTINGS: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "capitation", "text.parse_math": False}


def inline_svg(draw: Callable[[], Axes], name: str, title: str, told: str) -> str:
    """A picture as an ``<svg>`` element."""
    with matplotlib.rc_context(_SETTINGS):
        axes = draw()
        for where in ("left", "center", "right"):
            axes.set_title("", loc=where)  # the page has it as a heading
        figure = axes.get_figure(root=True)
        assert figure is not None
        written = io.StringIO()
        with all_letters(figure):
            figure.savefig(written, format="svg", bbox_inches="tight", transparent=True, metadata={"Date": None})
        plt.close(figure)
    return _embedded(_UNWRITABLE.sub("", written.getvalue()), name, title, told)


def _embedded(text: str, name: str, title: str, told: str) -> str:
    root = ElementTree.fromstring(text)
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    for element in root.iter():
        _rename(element, name)
        if element.tag == f"{{{_SVG}}}text":
            element.attrib["style"] = _FILL.sub(_legible, element.attrib.get("style", ""))
    for dropped in ("width", "height", "version"):
        root.attrib.pop(dropped, None)
    root.attrib |= {"role": "img", "aria-labelledby": f"{name}-title {name}-told", "focusable": "false"}
    for position, (tag, words) in enumerate((("title", title), ("desc", told))):
        element = ElementTree.Element(f"{{{_SVG}}}{tag}", {"id": f"{name}-{'title' if tag == 'title' else 'told'}"})
        element.text = words
        root.insert(position, element)
    ElementTree.register_namespace("", _SVG)
    return ElementTree.tostring(root, encoding="unicode")


def _rename(element: ElementTree.Element, name: str) -> None:
    """Begin ids, and references to them, with the picture's name; drop colours' namespaces."""
    for key, value in list(element.attrib.items()):
        if key == "id":
            element.attrib[key] = f"{name}-{value}"
        elif key == _LINK:
            del element.attrib[key]
            element.attrib["href"] = f"#{name}-{value.removeprefix('#')}"
        elif "url(#" in value:
            element.attrib[key] = value.replace("url(#", f"url(#{name}-")


def _legible(fill: re.Match[str]) -> str:
    """A colour of text, darkened until it can be read on white."""
    colour = to_rgb(fill[1])
    if contrast(to_hex(colour), "#FFFFFF") < _PALE:
        return fill[0]
    while contrast(to_hex(colour), "#FFFFFF") < _LEGIBLE:
        colour = 0.95 * colour[0], 0.95 * colour[1], 0.95 * colour[2]
    return f"fill: {to_hex(colour)}"
