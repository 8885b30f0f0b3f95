"""Every picture by the name that the shell has for it, in the order of `plots`; each stands in its own file."""

from dataclasses import replace
from importlib import import_module

from ..errors import SimulatorError
from . import plots
from .picture import Picture
from .plot_request import PlotRequest

_FOUND = [getattr(import_module(getattr(plots, name).__module__), "PICTURE", None) for name in plots.__all__]
PICTURES: dict[str, Picture] = {one.name: one for one in _FOUND if one is not None}


def drawable(one: PlotRequest) -> list[str]:
    """Names of the kinds that this file has the figures for."""
    return [kind.name for kind in PICTURES.values() if kind.lacks(one) is None]


def check(picture: Picture, one: PlotRequest) -> None:
    """Refuse a file that has not what the picture needs, and say which pictures it has."""
    refused = picture.lacks(one)
    if refused is None:
        return
    if refused.path != one.path:
        raise refused
    kinds = drawable(replace(one, members=None, threshold=None, design=None))
    instead = f"or draw {', '.join(kinds)}" if kinds else "no picture can be drawn from this file"
    raise SimulatorError(refused.path, None, refused.bound, f"{refused.mend}; {instead}")


def picture_named(name: str) -> Picture:
    """The kind of this name."""
    kind = PICTURES.get(name.replace("_", "-"))
    if kind is None:
        raise SimulatorError("--kind", name, "is not a kind of picture", f"choose from {', '.join(PICTURES)}")
    return kind
